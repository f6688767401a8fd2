"""What a domain is, and finding one by name."""

import gc
import hashlib
import importlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import orjson

from t2t.config import McpConfig
from t2t.domain.database import State
from t2t.domain.rule import Constraint, Rule
from t2t.domain.tool import Tool
from t2t.domain.wish import Callers, Instruction, Wish
from t2t.errors import ConfigError
from t2t.records import Assertion, DataSpec, Split, Task, ToolCall

_CLAUSE = re.compile(r"^\W*(\d+(?:\.\d+)+)\b", re.MULTILINE)


@dataclass(frozen=True)
class Domain:
    """Tools, policy, rules, data and wishes of one business; static."""

    name: str
    """How configurations and records call it."""
    home: Path
    """Its folder; ``policy.md`` lies there, and its files are its fingerprint."""
    database: Callable[[Any], Any]
    """Opens an episode's view of what `generate` made; a subclass of `t2t.domain.database.Database`."""
    generate: Callable[[DataSpec], Any]
    """Makes the data; equal specs give equal data."""
    tools: tuple[Tool, ...]
    rules: tuple[Rule, ...]
    callers: Callers
    wishes: tuple[Wish, ...]
    user_tools: tuple[Tool, ...] = ()
    """Tools that only the caller can use, over the same database; no name of `tools` is among them."""
    instructions: tuple[Instruction, ...] = ()
    """One for each of `user_tools`."""
    constraints: tuple[Constraint, ...] = ()
    """What tools refuse and callers want nevertheless: beside the rules, a source of infeasible tasks."""
    forks: bool = True
    """True when a forked process can go on with its data; False where a server of its own holds them."""

    @cached_property
    def policy(self) -> str:
        """The rule text that the agent reads."""
        return (self.home / "policy.md").read_text(encoding="utf-8").strip()

    @cached_property
    def clauses(self) -> frozenset[str]:
        """Numbers of the policy's clauses; empty where its clauses have none."""
        return frozenset(_CLAUSE.findall(self.policy))

    @cached_property
    def tool_by_name(self) -> MappingProxyType[str, Tool]:
        """All tools by name, the agent's and the caller's."""
        return MappingProxyType({tool.name: tool for tool in (*self.tools, *self.user_tools)})

    @cached_property
    def rules_by_tool(self) -> MappingProxyType[str, tuple[Rule, ...]]:
        """Rules by the tools whose calls they look at, in their order."""
        names = dict.fromkeys(name for rule in self.rules for name in sorted(rule.tools))
        return MappingProxyType({name: tuple(rule for rule in self.rules if name in rule.tools) for name in names})

    @cached_property
    def instruction_by_tool(self) -> MappingProxyType[str, Instruction]:
        """Instructions by the caller's tool they are about."""
        return MappingProxyType({instruction.tool: instruction for instruction in self.instructions})

    def find_tool(self, call: ToolCall) -> Tool | None:
        """The tool of a call, None where the one who calls has no such tool."""
        tool = self.tool_by_name.get(call.name)
        return tool if tool is not None and self.requestor_of(call.name) == call.requestor else None

    def requestor_of(self, tool: str) -> Literal["assistant", "user"]:
        """Who can call a tool."""
        return "user" if tool in self.instruction_by_tool else "assistant"

    @cached_property
    def wish_by_tool(self) -> MappingProxyType[str, Wish]:
        """Wishes by the tool that fulfils them."""
        return MappingProxyType({wish.tool: wish for wish in self.wishes})

    @cached_property
    def tool_schemas(self) -> str:
        """JSON text of the agent's tool schemas, in OpenAI function format."""
        return orjson.dumps([tool.schema for tool in self.tools]).decode()

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the domain's files, 16 hex digits; part of every artifact key."""
        digest = hashlib.sha256()
        for file in sorted(self.home.glob("*.py")) + sorted(self.home.glob("*.md")):
            digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
        return digest.hexdigest()[:16]

    def open(self, data: DataSpec) -> State:
        """A fresh database over the data that `data` names; the base is made once per process."""
        return self.database(_base(self, data.seed, data.size, data.split))

    @property
    def given_tasks(self) -> tuple[Task, ...]:
        """Tasks that the domain brings, beside those that are synthesized."""
        return ()

    def holds(self, state: State, assertion: Assertion) -> bool:
        """Answer what a task asserts of a final state; only domains from elsewhere have such functions.

        Raises:
            ConfigError: this domain has none.
        """
        raise ConfigError(f"domain {self.name!r} answers no assertion {assertion.function!r}")

    def __hash__(self) -> int:
        """By name: a domain is one folder."""
        return hash(self.name)


@lru_cache(maxsize=64)
def _base(domain: Domain, seed: int, size: int, split: Split) -> Any:
    base = domain.generate(DataSpec(seed=seed, size=size, split=split))
    # The rows live as long as the process: without this each full collection walks over all of them.
    gc.collect()
    gc.freeze()
    return base


_NO_SERVERS: Mapping[str, McpConfig] = MappingProxyType({})


def load_domain(name: str, servers: Mapping[str, McpConfig] = _NO_SERVERS) -> Domain:
    """Find a domain.

    Args:
        name: ``retail`` in this package, ``tau2.retail`` of tau2, ``mcp.shop`` for the MCP server ``shop``, or any
            ``package.module`` with a ``DOMAIN``.
        servers: The configured MCP servers, ``domain.mcp``.

    Raises:
        ConfigError: there is no such module, or it holds no `Domain`.
    """
    family, _, member = name.partition(".")
    if family == "tau2" and member:
        return importlib.import_module("t2t.interop.tau2").load_domain(member)
    if family == "mcp" and member:
        return importlib.import_module("t2t.interop.mcp").load_domain(member, servers)
    module_name = name if "." in name else f"t2t.domains.{name}"
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is not None and (module_name == error.name or module_name.startswith(error.name + ".")):
            known = ", ".join(list_domains())
            raise ConfigError(f"no domain {name!r}; known: {known}, or a package.module of yours") from None
        raise
    domain = getattr(module, "DOMAIN", None)
    if not isinstance(domain, Domain):
        raise ConfigError(f"module {module_name!r} holds no DOMAIN; docs/add_a_domain.md says what a domain is")
    return domain


def list_domains() -> list[str]:
    """Names of the domains in this package."""
    folder = Path(__file__).parent.parent / "domains"
    return sorted(child.name for child in folder.iterdir() if (child / "tools.py").exists())
