"""Wishes: how a caller words what a tool does, and everything the words could mean.

A wish belongs to one tool. Its candidates are all the calls of that tool a caller could mean on a
given database; each is described by slots (``title``, ``author``, ``due``). An opening template
reveals the slots it names. Whether an opening is clear or ambiguous follows from the database alone:
it is clear when one candidate fits what is revealed, ambiguous when several do.
"""

import string
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

from t2t.records import Arguments, Split


@dataclass(frozen=True)
class Candidate:
    """One call that a wish could mean."""

    arguments: Arguments
    """Arguments of the wish's tool."""
    slots: Mapping[str, str]
    """What a caller could say of it, by slot name; the text as it is said."""


@dataclass(frozen=True)
class Slot:
    """One way to tell candidates apart."""

    name: str
    """Name used in templates."""
    asked_by: tuple[str, ...]
    """Lower-case words; a question that holds one asks for this slot."""
    question: str
    """How the reference agent asks for it; may name ``{options}``, the values that are possible."""
    answers: Mapping[Split, tuple[str, ...]]
    """How the caller tells it; each names ``{value}``."""


class Undo(NamedTuple):
    """One call that takes back what was carried out."""

    tool: str
    """The tool, one of the agent's."""
    arguments: Arguments
    """Its arguments."""
    proposal: str
    """What the agent says it will do: "cancel the reservation of Emma"."""


@dataclass(frozen=True)
class Wish:
    """What a caller may want from one tool."""

    tool: str
    """The tool that fulfils it: a write, the agent's or the caller's own, or a read whose result must be told."""
    candidates: Callable[[Any, str], Iterable[Candidate]]
    """All calls that the caller (second argument, a row id) could mean on a database; rules aside."""
    slots: tuple[Slot, ...]
    """The slots of its candidates, the most telling first."""
    openings: Mapping[Split, tuple[str, ...]]
    """How the caller asks, as a clause with slots, first letter upper case, full stop included."""
    changes: Mapping[Split, tuple[str, ...]]
    """How the caller replaces an earlier wish of this tool by another candidate."""
    proposal: str
    """What the agent says it will do, with slots: "renew {title}"."""
    tell: Callable[[Any, Arguments, Mapping[str, str], Any], tuple[str, ...]] = lambda db, arguments, slots, value: ()
    """Strings that must be told after the call: (database before, arguments, slots, value) -> strings."""
    report: str = ""
    """How the reference agent tells them: a sentence with ``{0}``, ``{1}`` and slots."""
    undo: Callable[[Any, Arguments, Mapping[str, str], Any], Sequence[Undo]] | None = None
    """Calls that take it back once it is carried out: (database after, arguments, slots, what the tool returned) ->
    calls in order. Where the policy or the tools forbid one of them no such task is written; None: nothing can."""


@dataclass(frozen=True)
class Instruction:
    """How an agent has the caller use one of the caller's own tools.

    Every parameter of such a tool is a `Literal` or of a kind that the caller brings (`Callers.knows`), so
    that all the caller can do is known beforehand. What a read of theirs shows counts as told by them: each
    field of its result tells the slot of its name.
    """

    tool: str
    """The caller's tool."""
    say: str
    """How the reference agent asks for it, with the arguments: "Please set the network mode to {mode}."."""
    asked_by: tuple[str, ...]
    """Lower-case phrases with the arguments, each with its verb: "set the network mode to {mode}"."""
    answers: Mapping[Split, tuple[str, ...]]
    """What the caller says after it; names the result's fields, or ``{result}`` where it is text."""
    verbs: Mapping[str, str] = field(default_factory=dict[str, str])
    """A verb that stands for an argument of a phrase, ``{verb}``: {"on": "enable", "off": "disable"}."""


@dataclass(frozen=True)
class Identity:
    """One way a caller identifies: with these facts, through this call."""

    tool: str
    """Tool that finds the caller."""
    parameters: Mapping[str, str]
    """Fact name by parameter name of the tool."""


@dataclass(frozen=True)
class Callers:
    """Who calls, what they know and how they say who they are."""

    ids: Callable[[Any], Sequence[str]]
    """Row ids of all possible callers."""
    facts: Callable[[Any, str], Mapping[str, str]]
    """What a caller knows about themselves, by fact name (``email``, ``name``, ``zip``)."""
    knows: Callable[[Any, str, Any], Any]
    """What a caller brings to a walk: a dataclass of kinded values (database, caller, random.Random)."""
    identities: tuple[Identity, ...]
    """Ways to identify; each alone is enough."""
    slots: tuple[Slot, ...]
    """How each fact is asked for and told."""
    introductions: Mapping[Split, tuple[str, ...]]
    """Openings before the wish, naming facts: "Hi, this is {name}."."""


@lru_cache(maxsize=16_384)
def named_slots(template: str) -> frozenset[str]:
    """Slots that a template names."""
    return frozenset(name for _, name, _, _ in string.Formatter().parse(template) if name)


def fits(candidate: Candidate, told: Mapping[str, str]) -> bool:
    """True when a candidate agrees with everything told of it."""
    slots = candidate.slots
    for name, value in told.items():  # noqa: SIM110  a loop takes half the time of all(), and this runs most of all
        if slots.get(name) != value:
            return False
    return True
