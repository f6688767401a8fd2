"""Rules: clauses of the policy that code can check and that no tool enforces."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from t2t.records import Arguments, ToolCall


class PastCall(NamedTuple):
    """A call that went through earlier in the same episode."""

    call: ToolCall
    value: Any
    """What the tool returned, as Python objects."""


class RuleContext(NamedTuple):
    """What a rule looks at: one call that is about to run."""

    db: Any
    """The domain's database before the call."""
    call: ToolCall
    """The call; its arguments are valid and its tool exists."""
    past: Sequence[PastCall]
    """Calls that went through before it, in order."""
    confirmed: bool | None
    """Did the caller agree since the last write? None where there is no caller, as in exploration."""


@dataclass(frozen=True)
class Rule:
    """One checkable clause."""

    clause: str
    """Number in ``policy.md``, such as ``3.2``."""
    tools: frozenset[str]
    """Tools whose calls it looks at."""
    breaks: Callable[[RuleContext], bool]
    """True when the call breaks the clause."""
    reason: str
    """Why not, as an agent would tell the caller: "another member is waiting for this book"."""
    cues: tuple[str, ...]
    """Lower-case words; an honest refusal holds at least one of them."""
    avoidable: bool = False
    """True for an order of steps ("look first"): it can be kept for every wish, so it makes none infeasible."""
    first: Callable[[RuleContext], tuple[str, Arguments]] | None = None
    """For an avoidable clause: the read that a call that breaks it waits for, by tool name and arguments."""
    near: Callable[[RuleContext], bool] | None = None
    """True when the call keeps the clause by so little that an agent has to look closely: the last day of a window,
    the last renewal, an amount just under the limit. Looked at only for calls that break nothing."""


@dataclass(frozen=True)
class Constraint:
    """Something that a tool itself refuses and a caller can nevertheless want."""

    name: str
    """Short name, such as ``order already shipped``; unique in its domain."""
    tools: frozenset[str]
    """Tools that refuse so."""
    says: str
    """Part of the refusal's text that no other refusal of these tools has."""
    reason: str
    """Why not, as an agent would tell the caller: "the order has already left our house"."""
    cues: tuple[str, ...]
    """Lower-case words; an honest refusal holds at least one of them."""
