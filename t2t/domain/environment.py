"""One live copy of a domain's database, used for one episode."""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from t2t.domain.database import State
from t2t.domain.domain import Domain
from t2t.domain.rule import Constraint, PastCall, Rule, RuleContext
from t2t.domain.time_limit import TimeUp, run_within
from t2t.domain.tool import Tool, to_json
from t2t.errors import ToolError
from t2t.records import Assertion, DataSpec, ToolCall, ToolResult


class Executed(NamedTuple):
    """A call that went through."""

    value: Any
    """What the tool returned."""
    content: str
    """The same as JSON text."""
    broken: tuple[Rule, ...]
    """Rules that the call broke; tools do not enforce them."""


class Mark(NamedTuple):
    """A moment of an episode; see `Environment.mark`."""

    savepoint: int
    past: int


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
        checked = _check(tool, call)
        broken = () if checked is None else self._broken(call, confirmed)
        savepoint = self.db.savepoint()
        try:
            value = tool(self.db, call.arguments) if checked is None else tool.run(self.db, checked)
        except BaseException:
            self.db.rollback(savepoint)
            raise
        if not tool.writes and self.db.savepoint() != savepoint:
            raise TypeError(f"tool {call.name!r} of {self.domain.name} is declared a read but wrote")
        content = to_json(value)
        self.past.append(PastCall(call, value))
        return Executed(value, content, broken)

    def breaks(self, call: ToolCall, confirmed: bool | None = None) -> tuple[Rule, ...]:
        """Rules that the call would break now; empty when its arguments are not valid."""
        tool = self.domain.find_tool(call)
        return () if tool is None or _check(tool, call) is None else self._broken(call, confirmed)

    def answer(
        self, call: ToolCall, confirmed: bool | None = None, seconds: float = 0.0
    ) -> tuple[ToolResult, tuple[Rule, ...]]:
        """Execute a call in a talk: a refusal becomes an error result, and so does a call that takes too long.

        Args:
            call: The call.
            confirmed: Has the caller agreed since the last write? None where there is no caller.
            seconds: Longest run; 0 is no bound, and neither is there one outside the main thread.
        """
        error: Literal["", "unknown", "arguments", "refused", "timeout"] = ""
        broken: tuple[Rule, ...] = ()
        mark = self.mark()
        try:
            done = run_within(seconds, lambda: self.run(call, confirmed)) if seconds else self.run(call, confirmed)
            content, broken = done.content, done.broken
        except ToolError as refusal:
            content = f"Error: {refusal}"
            tool = self.domain.find_tool(call)
            error = "unknown" if tool is None else "arguments" if _check(tool, call) is None else "refused"
        except TimeUp:
            self.back_to(mark)
            content, error = f"Error: {call.name} did not answer within {seconds:g} seconds", "timeout"
        result = ToolResult(
            call_id=call.id,
            name=call.name,
            content=content,
            is_error=bool(error),
            requestor=call.requestor,
            error=error,
        )
        return result, broken

    def mark(self) -> Mark:
        """This moment, to which `back_to` returns; marks nest."""
        return Mark(self.db.savepoint(), len(self.past))

    def back_to(self, mark: Mark) -> None:
        """Undo all calls since `mark`."""
        self.db.rollback(mark.savepoint)
        del self.past[mark.past :]

    def refusal(self, call: ToolCall) -> str:
        """What the tool would say if it refused the call now; empty when the call would go through."""
        mark = self.mark()
        try:
            self.run(call)
        except ToolError as error:
            return str(error)
        self.back_to(mark)
        return ""

    def refusing_constraint(self, call: ToolCall) -> Constraint | None:
        """The constraint by which the tool would refuse the call now; None when it would not, or by no known one."""
        constraints = [one for one in self.domain.constraints if call.name in one.tools]
        refusal = self.refusal(call) if constraints else ""
        return next((one for one in constraints if refusal and one.says in refusal), None)

    def state_hash(self) -> str:
        """Hash of the whole database, 32 hex digits."""
        return self.db.state_hash()

    def failed(self, assertions: Sequence[Assertion]) -> tuple[str, ...]:
        """Functions of the assertions that do not hold of the state as it is."""
        return tuple(one.function for one in assertions if not self.domain.holds(self.db, one))

    def _broken(self, call: ToolCall, confirmed: bool | None) -> tuple[Rule, ...]:
        rules = self.domain.rules_by_tool.get(call.name, ())
        if not rules:
            return ()
        context = RuleContext(self.db, call, self.past, confirmed)
        return tuple([rule for rule in rules if rule.breaks(context)])


def _check(tool: Tool, call: ToolCall) -> dict[str, Any] | None:
    """Arguments as the tool takes them, None where they are not valid."""
    try:
        return tool.check(call.arguments)
    except ToolError:
        return None
