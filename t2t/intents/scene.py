"""What a trajectory shows of its caller: their goals, and everything they could have meant instead."""

import random
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from itertools import pairwise
from types import MappingProxyType
from typing import Any, NamedTuple

import orjson

from t2t.domain.domain import Domain
from t2t.domain.environment import Environment, Executed
from t2t.domain.wish import Candidate, Wish, fits, named_slots
from t2t.errors import ToolError
from t2t.records import Arguments, Split, ToolCall, Trajectory

_OTHERS_TRIED = 24
_NOTHING: Mapping[str, str] = MappingProxyType({})


class Unsuitable(Exception):
    """A trajectory does not make a task of this kind; the text is the reason that is counted."""


class Goal(NamedTuple):
    """Something the caller wants."""

    wish: Wish
    candidate: Candidate
    """What they mean."""
    call: ToolCall
    """The call that fulfils it, or would."""
    options: tuple[Candidate, ...]
    """Everything the wish could mean at that moment."""
    tell: tuple[str, ...]
    """What must be told of its result."""
    writes: bool
    blocked: str = ""
    """Clause, or name of the constraint, that forbids it; empty where it may be granted."""
    reason: str = ""
    """Why it is forbidden, as an agent says it."""

    def asking(self, candidate: Candidate) -> ToolCall:
        """The goal's call with another meaning."""
        return self.call.model_copy(update={"arguments": candidate.arguments})

    def meaning(self, candidate: Candidate, call_id: str) -> "Goal":
        """The same wish with another meaning, allowed so far as is known, and nothing to tell of it."""
        call = self.call.model_copy(update={"id": call_id, "arguments": candidate.arguments})
        return self._replace(candidate=candidate, call=call, tell=(), blocked="", reason="")


class Scene:
    """A trajectory, replayed up to its last goal, the target."""

    def __init__(self, domain: Domain, trajectory: Trajectory, rng: random.Random) -> None:
        """Replay `trajectory` and pick for each goal one thing the caller means.

        Raises:
            Unsuitable: a call of the trajectory is no wish of the caller, or two wishes contradict each other.
        """
        self.domain = domain
        self.trajectory = trajectory
        self.goals: dict[str, Goal] = {}
        """Goals by call id, in order."""
        self.environment = environment = Environment(domain, trajectory.data)
        """Before the target's call; whoever makes calls takes them back."""
        self.initial_hash = environment.state_hash()
        self.values: dict[str, Any] = {}
        """What each call returned, by call id."""
        self.caller_facts = dict(domain.callers.facts(environment.db, trajectory.caller))
        self._seen: dict[str, frozenset[str]] = {}
        self._rng = rng
        shown: set[str] = set()
        steps = trajectory.steps
        before_last = environment.mark()
        for step in steps:
            self._seen[step.call.id] = frozenset(shown)
            before_last = environment.mark()
            wish = domain.wish_by_tool.get(step.call.name)
            if wish is not None and (step.writes or (step is steps[-1] and trajectory.blocked is None)):
                value = self._add_goal(wish, step.call, step.writes)
            elif step.writes:
                raise Unsuitable(f"no wish for {step.call.name}")
            else:
                value = environment.run(step.call).value
            self.values[step.call.id] = value
            shown |= {str(item) for _, item in domain.tool_by_name[step.call.name].harvest(value)}
        self.final_hash = environment.state_hash()
        blocked = trajectory.blocked
        if blocked is None:
            environment.back_to(before_last)
        else:
            self._seen[blocked.call.id] = frozenset(shown)
            if any(goal.call.arguments == blocked.call.arguments for goal in self.goals.values()):
                raise Unsuitable("the same is wanted twice")
            wish = domain.wish_by_tool[blocked.call.name]
            options = tuple(wish.candidates(environment.db, trajectory.caller))
            candidate = _pick(options, blocked.call.arguments, rng)
            forbidden_by = blocked.clause or blocked.constraint
            self.goals[blocked.call.id] = Goal(
                wish, candidate, blocked.call, options, (), True, forbidden_by, blocked.reason
            )
        if not self.goals:
            raise Unsuitable("no goal")
        self._check_order()
        self.target = list(self.goals.values())[-1]
        """The last goal: the call after the replayed ones, made or blocked."""

    def _check_order(self) -> None:
        """Two wishes that follow each other must not contradict each other, nor depend on who comes first."""
        writes = [goal.call for goal in self.goals.values() if goal.writes and not goal.blocked]
        calls = [step.call for step in self.trajectory.steps]
        for first, second in pairwise(writes):
            environment = Environment(self.domain, self.trajectory.data)
            start, end = calls.index(first), calls.index(second)
            for call in calls[:start]:
                environment.run(call)
            if attempt(environment, [*calls[start + 1 : end], second]) is None:
                continue
            if attempt(environment, [first]) is None:
                raise Unsuitable("the wishes contradict each other")
            if attempt(environment, calls[end + 1 :]) is None or environment.state_hash() != self.final_hash:
                raise Unsuitable("the order of the wishes matters")

    def _add_goal(self, wish: Wish, call: ToolCall, writes: bool) -> Any:
        environment = self.environment
        options = tuple(wish.candidates(environment.db, self.trajectory.caller))
        candidate = _pick(options, call.arguments, self._rng)
        tell, value = run_and_tell(environment, wish, call, candidate)
        self.goals[call.id] = Goal(wish, candidate, call, options, tell, writes)
        return value

    @property
    def calls_before_target(self) -> tuple[ToolCall, ...]:
        """All calls before the target's, in order, those of other goals included."""
        return tuple(step.call for step in self.trajectory.steps if step.call.id != self.target.call.id)

    @contextmanager
    def trying(self, calls: Sequence[ToolCall]) -> Generator[tuple[Executed, ...] | None]:
        """Make `calls` where the target's call stands, and take them back at the end.

        Gives what they returned, or None when a tool or a rule about more than the order of steps forbids one.
        """
        mark = self.environment.mark()
        try:
            yield attempt(self.environment, calls)
        finally:
            self.environment.back_to(mark)

    def outcome(self, *calls: ToolCall) -> str | None:
        """State hash after `calls` in place of the target's; None when one of them is forbidden."""
        with self.trying(calls) as done:
            return None if done is None else self.environment.state_hash()

    @cached_property
    def elsewhere(self) -> tuple[Candidate, ...]:
        """Other meanings of the target that are allowed and lead to another state; of many a sample."""
        others = [one for one in self.target.options if key(one) != key(self.target.candidate)]
        sample = self._rng.sample(others, min(_OTHERS_TRIED, len(others)))
        return tuple(one for one in sample if self.outcome(self.target.asking(one)) not in (None, self.final_hash))

    @cached_property
    def shown_to_caller(self) -> dict[str, str]:
        """What the caller's own looks before the target show, by field."""
        shown: dict[str, str] = {}
        for call in self.calls_before_target:
            if call.requestor == "user" and call.id not in self.goals:
                shown |= self.fields_of(call.id)
        return shown

    def served(self, call_id: str) -> Goal:
        """The goal that a read serves: the next one in the walk."""
        ids = [step.call.id for step in self.trajectory.steps]
        after = ids[ids.index(call_id) :]
        return next((goal for goal in self.goals.values() if goal.call.id in after), self.target)

    def seen(self, call_id: str) -> frozenset[str]:
        """Every value that the steps before `call_id` showed, as text; for a call of no step, all before the target."""
        return self._seen.get(call_id, self._seen[self.target.call.id])

    def fields_of(self, call_id: str) -> dict[str, str]:
        """What a call showed, by field of its result."""
        content = next(step.content for step in self.trajectory.steps if step.call.id == call_id)
        return {name: str(value) for name, value in orjson.loads(content).items()} if content.startswith("{") else {}

    def looks_at(self, goal: Goal, call: ToolCall) -> bool:
        """True when the agent's `call` is a look at what the goal is about, and a rule wants such a look first."""
        wanted = any(rule.first for rule in self.domain.rules_by_tool.get(goal.call.name, ()))
        about = set(flat(call.arguments)) & set(flat(goal.call.arguments))
        return wanted and bool(about) and call.requestor == "assistant"


def attempt(environment: Environment, calls: Sequence[ToolCall]) -> tuple[Executed, ...] | None:
    """Make `calls`; None, with some of them made, when a tool or a rule about more than order forbids one."""
    done: list[Executed] = []
    for call in calls:
        try:
            executed = environment.run(call)
        except ToolError:
            return None
        if any(not rule.avoidable for rule in executed.broken):
            return None
        done.append(executed)
    return tuple(done)


def run_and_tell(
    environment: Environment, wish: Wish, call: ToolCall, candidate: Candidate
) -> tuple[tuple[str, ...], Any]:
    """Make a wish's call: what must be told of it, and what it returned.

    Raises:
        ToolError: the tool refuses.
    """
    mark = environment.mark()
    value = environment.run(call).value
    environment.back_to(mark)
    tell = wish.tell(environment.db, call.arguments, candidate.slots, value)
    return tell, environment.run(call).value


def key(candidate: Candidate) -> str:
    """Equal for candidates that lead to the same call."""
    return orjson.dumps(candidate.arguments, option=orjson.OPT_SORT_KEYS).decode()


def told_apart(options: Sequence[Candidate], told: Mapping[str, str], *, by_slots: bool) -> set[str]:
    """Distinct meanings that fit what is told; read wishes differ by their slots alone."""
    found = [candidate for candidate in options if fits(candidate, told)]
    return {key(c) + (repr(sorted(c.slots.items())) if by_slots else "") for c in found}


def meanings(goal: Goal, told: Mapping[str, str]) -> int:
    """In how many ways the goal's wish can be read, given what is told."""
    return len(told_apart(goal.options, told, by_slots=not goal.writes))


def revealed(template: str, slots: Mapping[str, str]) -> dict[str, str]:
    """What a template tells of a candidate.

    Raises:
        KeyError: the candidate has no such slot.
    """
    return {name: slots[name] for name in named_slots(template)}


def pick_opening(
    goal: Goal, wording: Split, rng: random.Random, *, open_questions: int, shown: Mapping[str, str] = _NOTHING
) -> str:
    """An opening template that leaves so many questions to ask, 0 for a clear one; `shown` as in `count_questions`.

    Raises:
        Unsuitable: none of the wish's templates does.
    """
    templates = goal.wish.openings[wording]
    for template in rng.sample(templates, len(templates)):
        if not named_slots(template) <= goal.candidate.slots.keys():
            continue
        told = revealed(template, goal.candidate.slots)
        if count_questions(goal, told, shown) == open_questions:
            return template
    raise Unsuitable("no ambiguous opening" if open_questions else "no clear opening")


def count_questions(goal: Goal, told: Mapping[str, str], shown: Mapping[str, str] = _NOTHING) -> int | None:
    """Questions until one meaning is left; None when what the caller knows does not tell the meanings apart.

    What the caller's own looks show, by field, counts as the answer to one question, which comes first.
    """
    told, asked = dict(told), 0
    seen = {name: value for name, value in goal.candidate.slots.items() if shown.get(name) == value}
    if meanings(goal, {**told, **seen}) < meanings(goal, told):
        told, asked = {**told, **seen}, 1
    while meanings(goal, told) > 1:
        slot = best_question(goal, told)
        if slot is None:
            return None
        told[slot] = goal.candidate.slots[slot]
        asked += 1
    return asked


def best_question(goal: Goal, told: Mapping[str, str]) -> str | None:
    """Name of the first slot that tells some of the meanings apart."""
    now = meanings(goal, told)
    for slot in goal.wish.slots:
        value = goal.candidate.slots.get(slot.name)
        if value is not None and slot.name not in told and meanings(goal, {**told, slot.name: value}) < now:
            return slot.name
    return None


def flat(arguments: Arguments) -> list[str]:
    """All values of a call's arguments as text, those of lists one by one."""
    values: list[str] = []
    for value in arguments.values():
        values.extend(str(item) for item in (value if isinstance(value, list) else [value]))
    return values


def _pick(options: Sequence[Candidate], arguments: Arguments, rng: random.Random) -> Candidate:
    fitting = [candidate for candidate in options if candidate.arguments == arguments]
    if not fitting:
        raise Unsuitable("the call is no wish of the caller")
    return rng.choice(fitting)
