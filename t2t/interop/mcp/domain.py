"""A `Domain` made of what an MCP server says of its tools and what the configuration adds."""

import hashlib
import importlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import mcp_types
from pydantic import JsonValue, ValidationError

from t2t.config import McpConfig
from t2t.domain.domain import Domain
from t2t.domain.rule import Rule
from t2t.domain.tool import KindedValue, Tool, external_tool, kind_of
from t2t.domain.wish import Callers, Wish
from t2t.errors import ConfigError, InfraError, ToolError
from t2t.interop.mcp.server import Listing, Server
from t2t.interop.mcp.state import McpState, Pool
from t2t.records import DataSpec, Task

_LISTED = DataSpec(seed=0, size=50, split="train")
_NOBODY = Callers(
    ids=lambda db: (),
    facts=lambda db, caller: {},
    knows=lambda db, caller, rng: None,
    identities=(),
    slots=(),
    introductions={},
)


class _Wishes(NamedTuple):
    """What no server brings: who calls, what they want, what is forbidden."""

    callers: Callers = _NOBODY
    wishes: tuple[Wish, ...] = ()
    rules: tuple[Rule, ...] = ()
    kinds: Mapping[str, Any] = {}
    home: Path | None = None


@dataclass(frozen=True, eq=False)
class McpDomain(Domain):
    """A domain whose policy and fingerprint come from a server and its settings."""

    rule_text: str = ""
    """The policy."""
    content_hash: str = ""
    """Hash of the settings, of the files they name and of what the server lists, 16 hex digits."""
    tasks: tuple[Task, ...] = ()
    """The tasks of the configured file."""

    @cached_property
    def policy(self) -> str:
        """The rule text that the agent reads."""
        return self.rule_text

    @cached_property
    def fingerprint(self) -> str:
        """Hash of all that the domain depends on, 16 hex digits."""
        return self.content_hash

    @property
    def given_tasks(self) -> tuple[Task, ...]:
        """Tasks that the domain brings, beside those that are synthesized."""
        return self.tasks


@lru_cache(maxsize=64)
def load(member: str, settings_json: str) -> McpDomain:
    """Start the server once to list its tools, and make the domain ``mcp.<member>``; see `t2t.interop.mcp`."""
    settings = McpConfig.model_validate_json(settings_json)
    where = f"domain.mcp.{member}"
    for name, path in (("files", settings.files), ("policy", settings.policy), ("tasks", settings.tasks)):
        if path and not Path(path).exists():
            raise ConfigError(f"{where}.{name}={path}: there is no such file or folder")
    brought = _import_wishes(where, settings.wishes)
    tasks = _read_tasks(where, member, settings)
    listing = _list(f"mcp.{member}", settings)
    _require_known(where, settings, {tool.name for tool in listing.tools})
    policy = Path(settings.policy).read_text(encoding="utf-8") if settings.policy else listing.instructions
    writing = frozenset(tool.name for tool in listing.tools if _writes(tool, settings))
    hidden = {settings.reset, *settings.hidden}
    tools = tuple(_tool(tool, tool.name in writing, brought.kinds) for tool in listing.tools if tool.name not in hidden)
    for wish in brought.wishes:
        if wish.tool not in [tool.name for tool in tools]:
            raise ConfigError(f"{where}.wishes={settings.wishes}: a wish names {wish.tool!r}, which is no tool")
    return McpDomain(
        name=f"mcp.{member}",
        home=brought.home or Path(),
        database=lambda pool: McpState(pool, writing),
        generate=lambda data: Pool(f"mcp.{member}", settings, data.model_dump()),
        tools=tools,
        rules=brought.rules,
        callers=brought.callers,
        wishes=brought.wishes,
        forks=False,
        rule_text=policy.strip(),
        tasks=tasks,
        content_hash=_fingerprint(settings, listing, policy, brought.home),
    )


def _list(name: str, settings: McpConfig) -> Listing:
    server = Server(name, settings, _LISTED.model_dump())
    try:
        return server.list_tools()
    except (InfraError, ToolError) as error:
        raise ConfigError(f"domain.{name}.command={list(settings.command)}: {error}") from None
    finally:
        server.stop()


def _require_known(where: str, settings: McpConfig, known: set[str]) -> None:
    named = {
        "reads": settings.reads,
        "writes": settings.writes,
        "hidden": settings.hidden,
        "snapshot": [probe.tool for probe in settings.snapshot],
        "reset": [settings.reset] if settings.reset else [],
    }
    for setting, tools in named.items():
        for tool in tools:
            if tool not in known:
                raise ConfigError(
                    f"{where}.{setting} names {tool!r}; the server's tools are: {', '.join(sorted(known))}"
                )


def _writes(tool: mcp_types.Tool, settings: McpConfig) -> bool:
    """A tool may write unless it or the configuration says that it does not."""
    if tool.name in settings.reads or tool.name in settings.writes:
        return tool.name in settings.writes
    return not (tool.annotations and tool.annotations.read_only_hint)


def _tool(tool: mcp_types.Tool, writes: bool, kinds: Mapping[str, Any]) -> Tool:
    def run(db: McpState, /, **arguments: JsonValue) -> str:
        return db.call(tool.name, arguments)

    return external_tool(
        tool.name,
        tool.description or tool.title or tool.name,
        tool.input_schema,
        run,
        writes=writes,
        kinds=kinds,
        harvest=lambda text: _harvest(text, kinds),
    )


def _harvest(text: str, kinds: Mapping[str, Any]) -> Iterator[KindedValue]:
    """Values in a result of JSON documents that stand under a name of `kinds`."""
    decoder = json.JSONDecoder()
    rest = text.strip()
    while rest:
        try:
            value, end = decoder.raw_decode(rest)
        except ValueError:
            return
        yield from _walk(value, "", kinds)
        rest = rest[end:].strip()


def _walk(value: JsonValue, name: str, kinds: Mapping[str, Any]) -> Iterator[KindedValue]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _walk(inner, key, kinds)
    elif isinstance(value, list):
        for inner in value:
            yield from _walk(inner, name, kinds)
    elif name in kinds and isinstance(value, str | int) and (kind := kind_of(kinds[name])):
        yield kind, value


def _import_wishes(where: str, module_name: str) -> _Wishes:
    if not module_name:
        return _Wishes()
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not module_name.startswith(error.name):
            raise
        raise ConfigError(f"{where}.wishes={module_name}: there is no such module") from None
    found = vars(module)
    missing = [name for name in ("CALLERS", "WISHES", "RULES") if name not in found]
    if missing:
        raise ConfigError(
            f"{where}.wishes={module_name}: the module holds no {missing[0]}; docs/mcp.md says what it is"
        )
    home = Path(str(module.__file__)).parent
    return _Wishes(found["CALLERS"], found["WISHES"], found["RULES"], found.get("KINDS", {}), home)


def _read_tasks(where: str, member: str, settings: McpConfig) -> tuple[Task, ...]:
    if not settings.tasks:
        return ()
    tasks: list[Task] = []
    for number, line in enumerate(Path(settings.tasks).read_text(encoding="utf-8").splitlines(), start=1):
        try:
            task = Task.model_validate_json(line)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"])
            raise ConfigError(f"{where}.tasks={settings.tasks}: line {number}: {place}: {first['msg']}") from None
        if task.domain != f"mcp.{member}":
            raise ConfigError(f"{where}.tasks={settings.tasks}: line {number}: domain is not 'mcp.{member}'")
        tasks.append(task)
    return tuple(tasks)


def _fingerprint(settings: McpConfig, listing: Listing, policy: str, home: Path | None) -> str:
    files = sorted(home.glob("*.py")) if home else []
    if settings.files:
        files += sorted(file for file in Path(settings.files).rglob("*") if file.is_file())
    if settings.tasks:
        files.append(Path(settings.tasks))
    named = [tool.model_dump(mode="json") for tool in listing.tools]
    kept = settings.model_dump(exclude={"files", "policy", "tasks", "start_timeout_s", "call_timeout_s"})
    digest = hashlib.sha256(json.dumps([kept, listing.version, named, policy], sort_keys=True).encode())
    for file in files:
        digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()[:16]
