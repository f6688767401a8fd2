"""tau2's databases as an episode sees them: its rows over those that all episodes share.

tau2's tools change pydantic objects in place, on a database that tau2 builds anew for every episode.
Here they run as they are over views of one database. A call that may write gets a copy of each row it
touches; when it is over, rows that came out different become the episode's own, and are never changed
again. A row is an entry of a table, or a part of the database that is one object (the caller's phone).

The state hash is the sum of the digests of the rows that differ from tau2's data, so that two states
have equal hashes exactly when tau2's two database hashes are equal.
"""

import ast
import copy
import hashlib
import json
from collections.abc import Callable, ItemsView, Iterator, Mapping, Sequence, ValuesView
from dataclasses import dataclass, field
from types import NoneType
from typing import Any, NamedTuple, TypeVar

import orjson
from pydantic import BaseModel

from t2t.errors import ToolError
from t2t.interop.tau2.source import Side, Source, import_tau2, pristine_vpn
from t2t.records import Arguments, Assertion, Split, ToolCall

_MODULUS = 1 << 128
_FAILURES = (ValueError, TypeError, AttributeError, LookupError, ArithmeticError, RecursionError, AssertionError)
_LARGEST_POWER = 64
_ATOMS = frozenset({str, int, float, bool, NoneType})

Key = tuple[Side, str, str | int | None]
"""Side, table, and the entry's key or place; None where the table is one object."""
T = TypeVar("T")


class _Own(NamedTuple):
    """A row of the episode."""

    row: Any
    digest: int


@dataclass(frozen=True)
class Start:
    """The state that episodes begin with: tau2's data, and the rows that a task's set-up changes."""

    split: Split
    """Half of the callers that it is for."""
    rows: Mapping[Key, _Own] = field(default_factory=dict[Key, _Own])
    hash_sum: int = 0


class _Entries(Mapping[str, Any]):
    """A table of rows by key."""

    def __init__(self, state: "Tau2State", side: Side, name: str, base: Mapping[str, Any]) -> None:
        self._side: Side = side
        self._state, self._name, self._base = state, name, base

    def __getitem__(self, key: str) -> Any:
        row = self._state.touch((self._side, self._name, key), self._base.get(key))
        if row is None:
            raise KeyError(key)
        return row

    def __contains__(self, key: object) -> bool:
        return key in self._base or self._state.owns((self._side, self._name, key))

    def __iter__(self) -> Iterator[str]:
        yield from self._base
        for key in self._state.own_keys(self._side, self._name):
            if key not in self._base:
                yield key  # pyright: ignore[reportReturnType]

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def items(self) -> ItemsView[str, Any]:
        """Keys and rows; a read that looks through a whole table is not slowed down where nothing was written."""
        return super().items() if self._state.alters(self._side, self._name) else self._base.items()

    def values(self) -> ValuesView[Any]:
        """Rows; see `items`."""
        return super().values() if self._state.alters(self._side, self._name) else self._base.values()

    def __setitem__(self, key: str, row: Any) -> None:
        self._state.add((self._side, self._name, key), row)


class _Places(Sequence[Any]):
    """A table of rows by place."""

    def __init__(self, state: "Tau2State", side: Side, name: str, base: Sequence[Any]) -> None:
        self._side: Side = side
        self._state, self._name, self._base = state, name, base

    def __getitem__(self, place: Any) -> Any:
        row = self._state.touch(
            (self._side, self._name, place), self._base[place] if 0 <= place < len(self._base) else None
        )
        if row is None:
            raise IndexError(place)
        return row

    def __len__(self) -> int:
        length = len(self._base)
        while self._state.owns((self._side, self._name, length)):
            length += 1
        return length

    def append(self, row: Any) -> None:
        self._state.add((self._side, self._name, len(self)), row)


class View:
    """One of tau2's databases through an episode's eyes; has the attributes of tau2's."""

    def __init__(self, state: "Tau2State", side: Side, database: Any) -> None:
        """Look at `database`."""
        self._side: Side = side
        self._state, self._database = state, database
        for name in type(database).model_fields:
            base = getattr(database, name)
            if isinstance(base, dict):
                self.__dict__[name] = _Entries(state, side, name, base)  # pyright: ignore[reportUnknownArgumentType]
            elif isinstance(base, list):
                self.__dict__[name] = _Places(state, side, name, base)  # pyright: ignore[reportUnknownArgumentType]

    def __getattr__(self, name: str) -> Any:
        base = pristine_vpn() if name == "default_vpn_details" else getattr(self._database, name)
        return self._state.touch((self._side, name, None), base)


class Tau2State:
    """An episode's databases; a `t2t.domain.database.State`."""

    def __init__(self, source: Source, start: Start) -> None:
        """Open an unchanged view; costs microseconds at any size of the data."""
        self.split: Split = start.split
        """Half of the callers that the episode is for."""
        self._source = source
        self._own = dict(start.rows)
        self._sum = start.hash_sum
        self._working: dict[Key, Any] | None = None
        self._seen: dict[Key, Any] = {}
        self._journal: list[tuple[Key, _Own | None, int]] = []
        views = {side: View(self, side, database) for side, database in source.databases.items()}
        self.agent: Any = views["assistant"]
        """The agent's database."""
        self.user: Any = views.get("user")
        """The caller's database, in telecom alone."""
        kits = {side: source.tool_kits[side](view) for side, view in views.items()}  # pyright: ignore
        names = {"assistant": "tools", "user": "user_tools"}
        self._environment: Any = type(source.prototype)(
            domain_name=source.member,
            policy=source.prototype.policy,
            **{names[side]: kit for side, kit in kits.items()},
        )

    def call(self, name: str, arguments: Arguments, requestor: Side) -> str:
        """Run a tool as tau2's environment does.

        Returns:
            The text that tau2 answers. It may be that of an error: where a failed call leaves something
            behind in tau2, it was no refusal, and what it left stays.

        Raises:
            ToolError: tau2 answers with an error; nothing has changed.
        """
        if name == "calculate" and _explodes(arguments.get("expression")):
            raise ToolError(f"exponents go up to {_LARGEST_POWER}")
        before = self.savepoint()
        writes = self._source.syncs or name in self._source.writers
        run = self._write if writes else self._refuse
        content, failed = run(lambda: self._respond(name, arguments, requestor))
        if failed and self.savepoint() == before:
            raise ToolError(content.removeprefix("Error: "))
        return content

    def _respond(self, name: str, arguments: Arguments, requestor: Side) -> tuple[str, bool]:
        """What tau2's environment answers, and whether that is an error; its own method also writes a log."""
        environment, failed = self._environment, False
        try:
            value = environment.make_tool_call(name, requestor=requestor, **arguments)
            environment.sync_tools()
        except Exception as error:  # noqa: BLE001  tau2 answers with whatever a tool raises
            value, failed = f"Error: {error}", True
        return self._text(value), failed

    def _text(self, value: Any) -> str:
        """What tau2 writes for a value; kept for the rows that all episodes share, which most reads return."""
        texts = self._source.texts
        if content := texts.get(id(value)):
            return content
        content = self._environment.to_json_str(value)
        content.encode()  # half a character is no answer
        if id(value) in texts:
            texts[id(value)] = content
        return content

    def run_reference(self, calls: Sequence[ToolCall]) -> list[str]:
        """Run reference calls as tau2's evaluator does: past errors, and without bringing the databases in line.

        Returns:
            One line for each call that fails.
        """
        failed: list[str] = []
        for call in calls:

            def run(call: ToolCall = call) -> None:
                try:
                    self._environment.make_tool_call(call.name, call.requestor, **call.arguments)
                except _FAILURES as error:
                    failed.append(f"{call.name}: {error}")

            self._write(run)
        return failed

    def holds(self, assertion: Assertion) -> bool:
        """Ask one of tau2's assertion functions; where it raises, the assertion does not hold."""
        function = import_tau2("data_model.tasks").EnvAssertion(
            env_type=assertion.requestor,
            func_name=assertion.function,
            arguments=assertion.arguments,
            assert_value=assertion.expected,
        )
        try:
            return self._write(lambda: self._environment.run_env_assertion(function, raise_assertion_error=False))
        except ToolError:
            return False

    def set_up(self, initial: Mapping[str, Any]) -> Start:
        """Bring about the initial state of one of tau2's tasks, as its file has it."""
        tasks = import_tau2("data_model.tasks")
        state = tasks.InitialState.model_validate(initial)
        if data := state.initialization_data:
            self._update("assistant", data.agent_data)
            self._update("user", data.user_data)
        for action in state.initialization_actions or ():
            self._write(lambda action=action: self._environment.run_env_function_call(action))
        for message in state.message_history or ():
            for call in getattr(message, "tool_calls", None) or ():
                self._write(lambda call=call: self._environment.get_response(call))
        self._write(self._environment.sync_tools)
        return Start(self.split, self._own, self._sum)

    def savepoint(self) -> int:
        """A mark to which `rollback` returns; marks nest."""
        return len(self._journal)

    def rollback(self, savepoint: int) -> None:
        """Undo every write since `savepoint`."""
        while len(self._journal) > savepoint:
            key, before, self._sum = self._journal.pop()
            if before is None:
                # A write that was interrupted may have been noted and not made.
                self._own.pop(key, None)
            else:
                self._own[key] = before

    def state_hash(self) -> str:
        """Hash of both databases, 32 hex digits."""
        return f"{self._sum:032x}"

    def touch(self, key: Key, base: Any) -> Any:
        """The row that a tool sees: a copy of its own during a call that may write; None where there is none."""
        if self._working is not None and key in self._working:
            return self._working[key]
        own = self._own.get(key)
        row = base if own is None else own.row
        if self._working is not None and row is not None:
            self._seen[key] = row
            row = self._working[key] = _copy(row, {})
        return row

    def add(self, key: Key, row: Any) -> None:
        """Add or replace a row during a call that may write."""
        if self._working is None:
            raise TypeError(f"a tool of tau2.{self._source.member} that is declared a read wrote to {key}")
        self._working[key] = row

    def owns(self, key: object) -> bool:
        """True when the episode has a row of its own under `key`."""
        return key in self._own or (self._working is not None and key in self._working)

    def alters(self, side: Side, table: str) -> bool:
        """True when a table may look other than at the start: it has rows of the episode, or a call may write."""
        return self._working is not None or any(owner == side and name == table for owner, name, _ in self._own)

    def own_keys(self, side: Side, table: str) -> list[str | int | None]:
        """Keys of a table's rows that are the episode's own, in the order they came."""
        keys = dict.fromkeys((*self._own, *(self._working or ())))
        return [key for owner, name, key in keys if owner == side and name == table]

    def _write(self, run: Callable[[], T]) -> T:
        """Run something that may write, and keep the rows that come out different."""
        self._working, self._seen = {}, {}
        try:
            result = self._refuse(run)
            digests = self._refuse(self._digests)
        finally:
            working, self._working = self._working, None
        for key, digest in digests.items():
            before = self._own.get(key)
            old = before.digest if before is not None else self._base_digest(key)
            if digest != old:
                self._journal.append((key, before, self._sum))
                self._sum = (self._sum + digest - old) % _MODULUS
                self._own[key] = _Own(working[key], digest)
        return result

    def _digests(self) -> dict[Key, int]:
        """Digests of the rows that a call may have changed; most were only looked at."""
        rows = self._working or {}
        return {key: _digest(key, row) for key, row in rows.items() if not self._is_same(key, row)}

    def _is_same(self, key: Key, row: Any) -> bool:
        """True only for a row with the same digest as before; comparing takes a fraction of a digest."""
        seen = self._seen.get(key)
        if not isinstance(row, BaseModel) or not isinstance(seen, BaseModel):
            return False
        if key in self._own:
            before = _plain(seen)
        else:
            # Rows that all episodes share never change: what they hold is read once.
            before = self._source.plain.get(key) or self._source.plain.setdefault(key, _plain(seen))
        # 1 and 1.0 are equal, and no digest of theirs is: so the text is compared as well.
        return bool(before[1]) and _plain(row) == before

    def _refuse(self, run: Callable[[], T]) -> T:
        """Run something of tau2; what fails past its own handling is a refusal too."""
        try:
            return run()
        except _FAILURES as error:
            raise ToolError(str(error)) from None

    def _base_digest(self, key: Key) -> int:
        if key in self._source.digests:
            return self._source.digests[key]
        side, name, place = key
        base = pristine_vpn() if name == "default_vpn_details" else getattr(self._source.databases[side], name)
        if isinstance(base, dict):
            base = base.get(place)  # pyright: ignore[reportUnknownVariableType]
        elif isinstance(base, list):
            base = base[place] if place < len(base) else None  # pyright: ignore
        digest = self._source.digests[key] = 0 if base is None else _digest(key, base)
        return digest

    def _update(self, side: Side, data: Mapping[str, Any] | None) -> None:
        """Merge values into a database as tau2 does, row by row."""
        if not data:
            return
        database = import_tau2("utils").update_pydantic_model_with_dict(self._source.databases[side], data)
        rows: dict[Key, Any] = {}
        for name in data:
            value = getattr(database, name)
            if isinstance(value, dict):
                rows.update({(side, name, key): row for key, row in value.items()})  # pyright: ignore
            elif isinstance(value, list):
                rows.update({(side, name, place): row for place, row in enumerate(value)})  # pyright: ignore
            else:
                rows[side, name, None] = value

        def write() -> None:
            for key, row in rows.items():
                self.add(key, row)

        self._write(write)


def _copy(value: Any, memo: dict[int, Any]) -> Any:
    """A deep copy of a row, several times as fast as pydantic's; what a row holds twice is held twice again."""
    kind = type(value)
    if kind in _ATOMS:
        return value
    if id(value) in memo:
        return memo[id(value)]
    if kind is dict:
        copied = memo[id(value)] = {}
        for key, inner in value.items():
            copied[key] = inner if type(inner) in _ATOMS else _copy(inner, memo)
        return copied
    if kind is list:
        memo[id(value)] = listed = []
        listed.extend([inner if type(inner) in _ATOMS else _copy(inner, memo) for inner in value])
        return listed
    if isinstance(value, BaseModel) and value.__pydantic_private__ is None and not value.__pydantic_extra__:
        model = memo[id(value)] = object.__new__(kind)
        # Most fields are texts and numbers, for which a call costs more than the look.
        fields = {
            name: inner if type(inner) in _ATOMS else _copy(inner, memo) for name, inner in value.__dict__.items()
        }
        object.__setattr__(model, "__dict__", fields)
        object.__setattr__(model, "__pydantic_fields_set__", set(value.__pydantic_fields_set__))
        object.__setattr__(model, "__pydantic_extra__", copy.copy(value.__pydantic_extra__))
        object.__setattr__(model, "__pydantic_private__", None)
        return model
    return copy.deepcopy(value, memo)


def _plain(row: BaseModel) -> tuple[Any, bytes]:
    """Fields of a row, and their text; empty where there is none."""
    fields = row.model_dump(warnings=False)
    try:
        return fields, orjson.dumps(fields, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError:
        return fields, b""


def _digest(key: Key, row: Any) -> int:
    text = json.dumps([*key, row.model_dump(warnings=False)], sort_keys=True, default=str)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=16).digest(), "big")


def _explodes(expression: object) -> bool:
    """True for a power that takes tau2's calculator longer than anyone waits."""
    if not isinstance(expression, str) or "**" not in expression:
        return False
    try:
        tree = ast.parse(expression.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    for node in ast.walk(tree):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
            exponent = node.right.operand if isinstance(node.right, ast.UnaryOp) else node.right
            simple = isinstance(node.left, ast.Constant) and isinstance(exponent, ast.Constant)
            if not simple or not isinstance(exponent.value, int | float) or exponent.value > _LARGEST_POWER:  # pyright: ignore
                return True
    return False
