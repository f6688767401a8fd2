"""Planted defects: each makes a good domain fail one check of the contract, and no other."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any, Literal

import pytest
from documented import load_bikes

from t2t.domain.database import Base
from t2t.domain.domain import Domain
from t2t.domain.rule import Rule, RuleContext
from t2t.domain.tool import Parameter, Tool, tool
from t2t.domain.wish import Candidate, Instruction, Slot, Wish
from t2t.errors import ToolError
from t2t.records import DataSpec
from t2t.verify.contract import check_domain, find
from t2t.verify.inspection import Inspection

BIKES = load_bikes()
SIZE = 80


@dataclass(frozen=True)
class Note:
    id: str
    text: Any


class NotesDB(BIKES.database):  # type: ignore[misc, name-defined]
    def __init__(self, base: Base) -> None:
        super().__init__(base)
        self.notes = self.table("notes", Note)


@dataclass(frozen=True)
class Lock:
    state: str


@tool(writes=False)
def check_lock(db: Any) -> Lock:
    """See whether the bike in front of you is locked."""
    return Lock("locked")


CHECK_LOCK = Instruction(
    tool="check_lock",
    say="Please look at the lock of the bike in front of you.",
    asked_by=("look at the lock",),
    answers={"train": ("It is {state}.",), "test": ("I see that it is {state}.",)},
)
WITH_LOCKS = replace(BIKES, user_tools=(check_lock,), instructions=(CHECK_LOCK,))


def with_tool(changed: Tool, domain: Domain = BIKES) -> Domain:
    kept = [changed if one.name == changed.name else one for one in domain.tools]
    return replace(domain, tools=tuple(kept) if changed in kept else (*kept, changed))


def with_function(name: str, function: Callable[..., Any]) -> Domain:
    return with_tool(replace(BIKES.tool_by_name[name], function=function))


def with_parameter(name: str, **changes: Any) -> Domain:
    old = BIKES.tool_by_name[name]
    parameters: list[Parameter] = [replace(parameter, **changes) for parameter in old.parameters]
    return with_tool(replace(old, parameters=tuple(parameters)))


def with_rule(changed: Rule) -> Domain:
    kept = [changed if rule.clause == changed.clause else rule for rule in BIKES.rules]
    return replace(BIKES, rules=tuple(kept) if changed in kept else (*kept, changed))


def rule(clause: str) -> Rule:
    return next(one for one in BIKES.rules if one.clause == clause)


def with_wish(name: str, **changes: Any) -> Domain:
    wishes = [replace(wish, **changes) if wish.tool == name else wish for wish in BIKES.wishes]
    return replace(BIKES, wishes=tuple(wishes))


def with_name_slot(**changes: Any) -> Domain:
    slots: list[Slot] = [replace(one, **changes) if one.name == "name" else one for one in BIKES.callers.slots]
    return replace(BIKES, callers=replace(BIKES.callers, slots=tuple(slots)))


def with_notes(text: Any, **changes: Any) -> Domain:
    def generate(data: DataSpec) -> Base:
        return Base({**BIKES.generate(data).tables, "notes": {"n1": Note("n1", text)}})

    return replace(BIKES, database=NotesDB, generate=generate, **changes)


def with_generator(change: Callable[[DataSpec], dict[str, Any]]) -> Domain:
    return replace(BIKES, generate=lambda data: BIKES.generate(data.model_copy(update=change(data))))


def with_policy(text: str, folder: Path) -> Domain:
    (folder / "policy.md").write_text(f"{BIKES.policy}\n{text}\n")
    return replace(BIKES, home=folder)


def with_instruction(**changes: Any) -> Domain:
    return replace(WITH_LOCKS, instructions=(replace(CHECK_LOCK, **changes),))


def edit_in_place(db: Any, booking_id: str) -> Any:
    result = BIKES.tool_by_name["cancel_booking"].function(db, booking_id)
    object.__setattr__(db.notes["n1"], "text", "cancelled")
    return result


def crash_on_unknown(db: Any, booking_id: str) -> Any:
    row = db.bookings[booking_id]
    return BIKES.tool_by_name["cancel_booking"].function(db, row.id)


def say_little(db: Any, booking_id: str) -> Any:
    if db.bookings.get(booking_id) is None:
        raise ToolError(f"Booking {booking_id} not found")
    return BIKES.tool_by_name["cancel_booking"].function(db, booking_id)


def accept_anyone(db: Any, rider_id: str) -> Any:
    return [] if db.riders.get(rider_id) is None else BIKES.tool_by_name["list_bookings"].function(db, rider_id)


@tool(writes=False)
def quote_days(db: Any, days: int) -> str:
    """Get the price of some days.

    Args:
        days: Number of days.
    """
    return f"{days * 12}.50"


@tool(writes=False)
def count_visits(db: Any, last: int) -> str:
    """Count the latest visits.

    Args:
        last: How many to count, from 1 to 99.
    """
    if not 0 < last < 100:
        raise ToolError(f"{last} visits cannot be counted; name a number from 1 to 99")
    db.notes.put(replace(db.notes["n1"], text="counted"))
    return "counted"


@tool(writes=False)
def find_by_phone(db: Any, phone: str) -> str:
    """Find a rider by telephone.

    Args:
        phone: Number of the telephone.
    """
    raise ToolError(f"no rider with the number {phone!r}; ask for another number")


def tool_of_bookings(name: str, *, writes: bool) -> Tool:
    """A tool that takes an id of a booking and does nothing much."""
    cancel = BIKES.tool_by_name["cancel_booking"]

    def function(db: Any, booking_id: str) -> str:
        if db.bookings.get(booking_id) is None:
            raise ToolError(f"no booking {booking_id!r}; ids come from list_bookings")
        if writes:
            db.bookings.put(replace(db.bookings[booking_id], price_cents=1))
        return "done"

    return replace(cancel, name=name, function=function, writes=writes, harvest=lambda value: iter(()))


def same_day(context: RuleContext) -> bool:
    booking = context.db.bookings.get(context.call.arguments["booking_id"])
    return booking is not None and booking.day == context.call.arguments["day"]


def with_same_days(db: Any, caller: str) -> Iterator[Candidate]:
    """Moves to the day there is too: the backend refuses them, whatever a rule says."""
    for booking in db.bookings.where("rider_id", caller):
        slots = {"bike": booking.bike, "booked": booking.day, "day": booking.day}
        yield Candidate({"booking_id": booking.id, "day": booking.day}, slots)
    yield from BIKES.wish_by_tool["move_booking"].candidates(db, caller)


def changed_candidates(**changes: Any) -> Callable[[Any, str], Iterator[Candidate]]:
    def candidates(db: Any, caller: str) -> Iterator[Candidate]:
        for number, candidate in enumerate(BIKES.wish_by_tool["move_booking"].candidates(db, caller)):
            yield replace(candidate, **changes) if number == 0 else candidate

    return candidates


def clear_openings(wish: Wish) -> Wish:
    names = " ".join(f"{{{slot.name}}}" for slot in wish.slots)
    return replace(
        wish,
        openings={
            "train": tuple(f"I want {verb} {names}." for verb in ("this:", "that:", "it:", "so:")),
            "test": (f"May it be {names}?", f"It has to be {names}."),
        },
    )


ALWAYS: Callable[[RuleContext], bool] = lambda context: True  # noqa: E731
MOVE = BIKES.wish_by_tool["move_booking"]
ENFORCED = Rule("1.3", frozenset({"move_booking"}), same_day, "it is for that day already", ("already",))
NEVER_KEPT = Rule("1.3", frozenset({"look_up"}), ALWAYS, "I never look it up", ("never",))
NUMBERS = count()

DEFECTS: dict[str, tuple[str, str, Callable[[Path], Domain]]] = {
    "a name that is not the module's": ("name", "my_domains.boats", lambda _: replace(BIKES, name="my_domains.boats")),
    "data from no seed": ("data", "differ", lambda _: with_generator(lambda data: {"seed": next(NUMBERS)})),
    "data of one seed": ("data", "another seed", lambda _: with_generator(lambda data: {"seed": 0})),
    "data of one size": ("data", "no more rows", lambda _: with_generator(lambda data: {"size": SIZE})),
    "people of both splits": ("splits", "same email", lambda _: with_generator(lambda data: {"split": "train"})),
    "a list in a row": ("rows", "text holds a list", lambda _: with_notes(["x"])),
    "a dict deep in a row": ("rows", "text holds a dict", lambda _: with_notes(("x", ({},)))),
    "an edit in place": (
        "hash",
        "in place",
        lambda _: with_notes("", tools=with_function("cancel_booking", edit_in_place).tools),
    ),
    "a tool that says nothing": (
        "schemas",
        "'Move.'",
        lambda _: with_tool(replace(BIKES.tool_by_name["move_booking"], description="Move.")),
    ),
    "a parameter that says nothing": (
        "schemas",
        "sentence",
        lambda _: with_parameter("find_rider", description="Mail"),
    ),
    "a name with blanks": (
        "schemas",
        "no name for a tool",
        lambda _: with_tool(tool_of_bookings("look up", writes=False)),
    ),
    "a tool that never works": ("reach", "no call of find_by_phone", lambda _: with_tool(find_by_phone)),
    "a read that writes": ("reads", "count_visits", lambda _: with_notes("", tools=(*BIKES.tools, count_visits))),
    "a crash in place of a refusal": (
        "refusals",
        "KeyError",
        lambda _: with_function("cancel_booking", crash_on_unknown),
    ),
    "a refusal that does not help": ("refusals", "not found", lambda _: with_function("cancel_booking", say_little)),
    "an unknown id that is served": (
        "refusals",
        "is not refused",
        lambda _: with_function("list_bookings", accept_anyone),
    ),
    "any number of days": ("refusals", "far-out days", lambda _: with_tool(quote_days)),
    "a clause that is not there": ("clauses", "9.9", lambda _: with_rule(replace(rule("1.2"), clause="9.9"))),
    "two rules of a clause": (
        "clauses",
        "2 rules cite clause 1.2",
        lambda _: replace(BIKES, rules=(*BIKES.rules, replace(rule("1.2"), reason="say yes"))),
    ),
    "a rule about no tool": (
        "clauses",
        "fly",
        lambda _: with_rule(replace(rule("1.2"), tools=rule("1.2").tools | {"fly"})),
    ),
    "a rule that a tool enforces": (
        "rules",
        "no call breaks clause 1.3",
        lambda _: replace(with_wish("move_booking", candidates=with_same_days), rules=(*BIKES.rules, ENFORCED)),
    ),
    "a rule that nothing keeps": (
        "rules",
        "every call",
        lambda _: replace(with_rule(NEVER_KEPT), tools=(*BIKES.tools, tool_of_bookings("look_up", writes=False))),
    ),
    "a policy with a tool of its own": ("policy", "paint_bike", lambda folder: with_policy("Use paint_bike.", folder)),
    "a write that nobody wants": ("wishes", "nobody", lambda _: with_tool(tool_of_bookings("paint_bike", writes=True))),
    "two wishes of a tool": ("wishes", "2 wishes", lambda _: replace(BIKES, wishes=(*BIKES.wishes, MOVE))),
    "a candidate that is no call": (
        "wishes",
        "'day'",
        lambda _: with_wish(
            "move_booking", candidates=changed_candidates(arguments={"booking_id": "B1", "day": "Someday"})
        ),
    ),
    "a slot that no candidate has": (
        "wishes",
        "colour",
        lambda _: with_wish("move_booking", slots=(*MOVE.slots, replace(MOVE.slots[0], name="colour"))),
    ),
    "openings that leave nothing to ask": (
        "tasks",
        "no ambiguous task in train wording",
        lambda _: replace(BIKES, wishes=tuple(map(clear_openings, BIKES.wishes))),
    ),
    "a tool of both sides": (
        "caller_tools",
        "both sides",
        lambda _: replace(WITH_LOCKS, tools=(*BIKES.tools, check_lock)),
    ),
    "a tool of the caller without instruction": (
        "caller_tools",
        "no instruction",
        lambda _: replace(WITH_LOCKS, instructions=()),
    ),
    "an instruction that is not understood": (
        "caller_tools",
        "makes the caller do",
        lambda _: with_instruction(say="Please see if it is locked."),
    ),
    "a question that is an instruction": (
        "caller_tools",
        "Which bike do you mean?",
        lambda _: with_instruction(say="Which bike do you see?", asked_by=("which bike do you",)),
    ),
    "an answer that cannot be told": (
        "caller_tools",
        "cannot tell",
        lambda _: with_instruction(answers={"train": ("It is {colour}.",), "test": ("So: {state}.",)}),
    ),
    "a sentence of both wordings": (
        "wordings",
        "both wordings",
        lambda _: with_wish("move_booking", openings={**MOVE.openings, "test": MOVE.openings["train"][:2]}),
    ),
    "an opening with an unknown slot": (
        "wordings",
        "colour",
        lambda _: with_wish(
            "move_booking", openings={**MOVE.openings, "train": (*MOVE.openings["train"], "Move the {colour} one.")}
        ),
    ),
    "an answer without its value": (
        "wordings",
        "I have one",
        lambda _: with_name_slot(answers={"train": ("I have one.",), "test": ("{value}",)}),
    ),
    "a question without its word": ("questions", "holds none", lambda _: with_name_slot(question="Who are you?")),
    "a question that is a proposal": (
        "questions",
        "proposal",
        lambda _: with_name_slot(question="Shall I go ahead and ask for your name?"),
    ),
    "a reason without a cue": ("cues", "none of the cues", lambda _: with_rule(replace(rule("1.2"), reason="No"))),
    "a number for a cue": ("cues", "'2'", lambda _: with_rule(replace(rule("1.2"), cues=("yes", "2")))),
}


ENTAILED = {"I have one": {"tasks"}}
"""Further checks that a defect fails by its nature: no task with such an answer is proved."""


@pytest.mark.parametrize(("check", "said", "plant"), DEFECTS.values(), ids=DEFECTS)
def test_a_planted_defect_fails_its_check_and_no_other(
    check: str, said: str, plant: Callable[[Path], Domain], tmp_path: Path
):
    findings = check_domain(plant(tmp_path), size=SIZE)
    found = {finding.check for finding in findings}
    assert found - ENTAILED.get(said, set()) == {check}, findings
    assert any(said in finding.text for finding in findings), findings


@pytest.mark.parametrize("domain", [BIKES, WITH_LOCKS], ids=["bikes", "bikes with a lock"])
def test_the_domain_without_a_defect_fails_none(domain: Domain):
    assert check_domain(domain, size=SIZE) == []


def test_what_a_domain_raises_is_a_finding_with_its_place():
    def generate(data: DataSpec) -> Base:
        raise ZeroDivisionError("no bikes")

    findings = find(Inspection(replace(BIKES, generate=generate)), "data")
    assert re.search(r"ZeroDivisionError: no bikes \(test_contract_defects.py:\d+\)", findings[0].text)


def test_a_caller_can_only_do_what_is_known_beforehand():
    @tool(writes=False)
    def shout(db: Any, word: str, loud: Literal["yes", "no"]) -> str:
        """Shout a word of your own.

        Args:
            word: The word.
            loud: Loud or not.
        """
        return word

    instruction = replace(CHECK_LOCK, tool="shout", say="Please shout {word}.", asked_by=("shout {word}",))
    domain = replace(BIKES, user_tools=(shout,), instructions=(instruction,))
    findings = find(Inspection(domain, size=SIZE), "caller_tools")
    assert [finding.text for finding in findings if "word has to be a Literal" in finding.text]
