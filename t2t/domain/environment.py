"""One live copy of a domain's database, used for one episode."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from t2t.domain.database import State
from t2t.domain.domain import Domain
from t2t.domain.rule import PastCall, Rule, RuleContext, broken_rules
from t2t.domain.tool import to_json
from t2t.errors import ToolError
from t2t.records import Assertion, DataSpec, ToolCall, ToolResult


@dataclass(frozen=True)
class Executed:
    """A call that went through."""

    value: Any
    """What the tool returned."""
    content: str
    """The same as JSON text."""
    broken: tuple[Rule, ...]
    """Rules that the call broke; tools do not enforce them."""


class Environment:
    """A domain's tools, the agent's and the caller's, over one episode's database."""

    def __init__(self, domain: Domain, data: DataSpec) -> None:
        """Open a fresh copy; costs microseconds once the data exists."""
        self.domain = domain
        self.db: State = domain.open(data)
        self.past: list[PastCall] = []
        """Calls that went through, in order."""

    def run(self, call: ToolCall, confirmed: bool | None = None) -> Executed:
        """Execute a call.

        Args:
            call: The call.
            confirmed: Has the caller agreed since the last write? None where there is no caller.

        Raises:
            ToolError: the tool is unknown or refuses; the database is then unchanged.
        """
        tool = self.domain.find_tool(call)
        if tool is None:
            known = self.domain.tools if call.requestor == "assistant" else self.domain.user_tools
            raise ToolError(f"no tool {call.name!r}; tools are: {', '.join(tool.name for tool in known)}")
        broken = tuple(self.breaks(call, confirmed))
        savepoint = self.db.savepoint()
        try:
            value = tool(self.db, call.arguments)
        except BaseException:
            self.db.rollback(savepoint)
            raise
        if not tool.writes and self.db.savepoint() != savepoint:
            raise TypeError(f"tool {call.name!r} of {self.domain.name} is declared a read but wrote")
        self.past.append(PastCall(call, value))
        return Executed(value, to_json(value), broken)

    def breaks(self, call: ToolCall, confirmed: bool | None = None) -> list[Rule]:
        """Rules that the call would break now; empty when its arguments are not valid."""
        tool = self.domain.find_tool(call)
        if tool is None:
            return []
        try:
            tool.check(call.arguments)
        except ToolError:
            return []
        return broken_rules(self.domain.rules, RuleContext(self.db, call, tuple(self.past), confirmed))

    def answer(self, call: ToolCall, confirmed: bool | None = None) -> tuple[ToolResult, tuple[Rule, ...]]:
        """Execute a call in a talk: a refusal becomes an error result."""
        try:
            done = self.run(call, confirmed)
            content, broken, is_error = done.content, done.broken, False
        except ToolError as error:
            content, broken, is_error = f"Error: {error}", (), True
        result = ToolResult(
            call_id=call.id, name=call.name, content=content, is_error=is_error, requestor=call.requestor
        )
        return result, broken

    def state_hash(self) -> str:
        """Hash of the whole database, 32 hex digits."""
        return self.db.state_hash()

    def failed(self, assertions: Sequence[Assertion]) -> tuple[str, ...]:
        """Functions of the assertions that do not hold of the state as it is."""
        return tuple(one.function for one in assertions if not self.domain.holds(self.db, one))
