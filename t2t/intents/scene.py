"""From a trajectory to a talk: what the caller could mean, what they say, and the reference agent's moves.

A `Scene` replays a trajectory and finds its goals. `Script` then writes the talk forwards: whatever an
argument needs must have been told by the caller or shown by a tool before, else it is asked for first.
"""

import random
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any, NamedTuple

import orjson

from t2t.domain.domain import Domain
from t2t.domain.environment import Environment
from t2t.domain.tool import harvest
from t2t.domain.wish import Candidate, Slot, Wish, fits, named_slots
from t2t.errors import ToolError
from t2t.records import Arguments, Fact, Move, Split, ToolCall, Trajectory, UserAction


class Unsuitable(Exception):
    """A trajectory does not make a task of this intent; the text is the reason that is counted."""


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
    """Clause that forbids it, or empty."""
    reason: str = ""
    """Why it is forbidden, as an agent says it."""


class Scene:
    """A trajectory, replayed."""

    def __init__(self, domain: Domain, trajectory: Trajectory, rng: random.Random) -> None:
        """Replay `trajectory` and pick for each goal one thing the caller means.

        Raises:
            Unsuitable: a write of the trajectory is no wish of the caller.
        """
        self.domain = domain
        self.trajectory = trajectory
        self.goals: dict[str, Goal] = {}
        """Goals by call id, in order."""
        before, environment = Environment(domain, trajectory.data), Environment(domain, trajectory.data)
        self.initial_hash = environment.state_hash()
        self.values: dict[str, Any] = {}
        """What each call returned, by call id."""
        last = trajectory.steps[-1].call.id
        for step in trajectory.steps:
            wish = domain.wish_by_tool.get(step.call.name)
            wanted = wish is not None and (step.writes or (step.call.id == last and trajectory.blocked is None))
            options = tuple(wish.candidates(environment.db, trajectory.caller)) if wish and wanted else ()
            value = environment.run(step.call).value
            self.values[step.call.id] = value
            if wish is None or not wanted:
                if step.writes:
                    raise Unsuitable(f"no wish for {step.call.name}")
            else:
                candidate = _pick(options, step.call.arguments, rng)
                tell = wish.tell(before.db, step.call.arguments, candidate.slots, value)
                self.goals[step.call.id] = Goal(wish, candidate, step.call, options, tell, step.writes)
            before.run(step.call)
        if trajectory.blocked is not None:
            call = trajectory.blocked.call
            wish = domain.wish_by_tool[call.name]
            options = tuple(wish.candidates(environment.db, trajectory.caller))
            candidate = _pick(options, call.arguments, rng)
            self.goals[call.id] = Goal(
                wish, candidate, call, options, (), True, trajectory.blocked.clause, trajectory.blocked.reason
            )
        if not self.goals:
            raise Unsuitable("no goal")
        self.final_hash = environment.state_hash()

    def outcome(self, goal: Goal, candidate: Candidate) -> str | None:
        """State hash when `candidate` is acted on in place of the goal's own; None if a rule or tool forbids it."""
        environment = Environment(self.domain, self.trajectory.data)
        for step in self.trajectory.steps:
            if step.call.id == goal.call.id:
                break
            environment.run(step.call)
        call = goal.call.model_copy(update={"arguments": candidate.arguments})
        if any(not rule.avoidable for rule in environment.breaks(call)):
            return None
        try:
            environment.run(call)
        except ToolError:
            return None
        return environment.state_hash()

    def served(self, call_id: str) -> Goal:
        """The goal that a read serves: the next one in the walk."""
        ids = [step.call.id for step in self.trajectory.steps]
        after = ids[ids.index(call_id) :]
        goals = list(self.goals.values())
        return next((goal for goal in goals if goal.call.id in after), goals[-1])

    def seen(self, call_id: str) -> set[str]:
        """Every value that the steps before `call_id` showed, as text."""
        shown: set[str] = set()
        for step in self.trajectory.steps:
            if step.call.id == call_id:
                break
            tool = self.domain.tool_by_name[step.call.name]
            shown |= {str(value) for _, value in tool.harvest(self.values[step.call.id])}
        return shown

    def fields_of(self, call_id: str) -> dict[str, str]:
        """What a call showed, by field of its result."""
        content = next(step.content for step in self.trajectory.steps if step.call.id == call_id)
        return {name: str(value) for name, value in orjson.loads(content).items()} if content.startswith("{") else {}

    def looks_at(self, goal: Goal, call: ToolCall) -> bool:
        """True when the agent's `call` is a look at what the goal is about, and a rule wants such a look first."""
        wanted = any(rule.first and goal.call.name in rule.tools for rule in self.domain.rules)
        about = set(flat(call.arguments)) & set(flat(goal.call.arguments))
        return wanted and bool(about) and call.requestor == "assistant"


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
    goal: Goal, wording: Split, rng: random.Random, *, clear: bool, needs: Mapping[str, str] | None = None
) -> str:
    """An opening template that is clear, or that fits several meanings.

    Raises:
        Unsuitable: none of the wish's templates is.
    """
    for template in _shuffled(goal.wish.openings[wording], rng):
        if not named_slots(template) <= goal.candidate.slots.keys():
            continue
        told = revealed(template, goal.candidate.slots)
        if needs and not needs.items() <= told.items():
            continue
        if (meanings(goal, told) == 1) == clear:
            return template
    raise Unsuitable("no clear opening" if clear else "no ambiguous opening")


class Script:
    """Writes the talk forwards: what was told, what the agent does next."""

    def __init__(self, scene: Scene, wording: Split, rng: random.Random) -> None:
        """Start with the caller's introduction."""
        self.scene = scene
        self.wording: Split = wording
        self.rng = rng
        self.moves: list[Move] = []
        self.pending = ""
        callers = scene.domain.callers
        environment = Environment(scene.domain, scene.trajectory.data)
        self.caller_facts = dict(callers.facts(environment.db, scene.trajectory.caller))
        template = rng.choice(_introductions(scene, wording))
        self.introduction = template.format(**self.caller_facts)
        self.told_of_caller = revealed(template, self.caller_facts)
        self.shown: dict[str, str] = {}
        """What the caller's own reads have shown, by field."""

    def say(self, text: str) -> None:
        """Speak to the caller."""
        self.moves.append(Move(say=f"{self.pending} {text}".strip()))
        self.pending = ""

    def read(self, call: ToolCall, told: dict[str, str], goal: Goal) -> None:
        """Make a call that only looks, asking first for what it needs.

        Raises:
            Unsuitable: an argument has no source, or a caller would find the question odd.
        """
        if call.requestor == "user":
            self.say(self._instruct(call))
            self.shown |= self.scene.fields_of(call.id)
            return
        for value in flat(call.arguments):
            if value in self.scene.seen(call.id) or value in told.values() or value in self.told_of_caller.values():
                continue
            name = next((name for name, fact in self.caller_facts.items() if fact == value), None)
            if name is not None:
                slot = next(slot for slot in self.scene.domain.callers.slots if slot.name == name)
                self.say(slot.question)
                self.told_of_caller[name] = value
                continue
            slot = goal.wish.slots[0] if goal.wish.slots else None
            if slot is None or goal.candidate.slots.get(slot.name) != value:
                raise Unsuitable("an argument has no source in the talk")
            self.say(slot.question)
            told[slot.name] = value
        self.moves.append(Move(calls=(call,)))

    def resolve(self, goal: Goal, told: dict[str, str]) -> None:
        """Take what the caller's own reads showed, then ask until one meaning is left.

        Raises:
            Unsuitable: the caller knows nothing that tells the meanings apart.
        """
        told |= {name: value for name, value in goal.candidate.slots.items() if self.shown.get(name) == value}
        while meanings(goal, told) > 1:
            slot = self._best_question(goal, told)
            self.say(slot.question)
            told[slot.name] = goal.candidate.slots[slot.name]

    def propose(self, goal: Goal, candidate: Candidate | None = None) -> None:
        """Say what will be done and ask for a yes, or have the caller do what only they can."""
        slots = (candidate or goal.candidate).slots
        if goal.call.requestor == "user":
            arguments = (candidate or goal.candidate).arguments
            self.say(self._instruct(goal.call.model_copy(update={"arguments": arguments})))
            return
        lead = "Next, I" if self.pending else "I"
        self.say(f"{lead} will {goal.wish.proposal.format(**slots)}. Shall I go ahead?")

    def act(self, goal: Goal, call: ToolCall, tell: tuple[str, ...], candidate: Candidate | None = None) -> None:
        """Make the call, unless the caller made it when told to, and remember what to report."""
        if call.requestor == "assistant":
            self.moves.append(Move(calls=(call,)))
        self.report(goal, tell, candidate)

    def report(self, goal: Goal, tell: tuple[str, ...], candidate: Candidate | None = None) -> None:
        """Remember to say that a goal is reached."""
        slots = (candidate or goal.candidate).slots
        done = "Done." if goal.writes else ""
        told = goal.wish.report.format(*tell, **slots) if goal.wish.report else ""
        self.pending = " ".join(part for part in (self.pending, done, told) if part)

    def refuse(self, goal: Goal) -> None:
        """Say no with the reason."""
        self.say(f"I am sorry, I can't {goal.wish.proposal.format(**goal.candidate.slots)}: {goal.reason}.")

    def actions(self) -> tuple[UserAction, ...]:
        """All that the caller can do with tools of their own."""
        domain = self.scene.domain
        actions: list[UserAction] = []
        brought = self._brought() if domain.instructions else {}
        for instruction in domain.instructions:
            tool = domain.tool_by_name[instruction.tool]
            choices = [parameter.choices or brought[parameter.kind] for parameter in tool.parameters]
            for number, values in enumerate(product(*choices)):
                named = dict(zip((parameter.name for parameter in tool.parameters), values, strict=True))
                verb = next((instruction.verbs[str(value)] for value in values if value in instruction.verbs), "")
                answer = self.rng.choice(instruction.answers[self.wording])
                actions.append(
                    UserAction(
                        call=ToolCall(
                            id=f"{instruction.tool}_{number}",
                            name=instruction.tool,
                            arguments={**named},
                            requestor="user",
                        ),
                        writes=tool.writes,
                        asked_by=tuple(phrase.format(**named, verb=verb).lower() for phrase in instruction.asked_by),
                        answer=answer,
                    )
                )
        return tuple(actions)

    def finish(self) -> None:
        """Say what is left to say."""
        if self.pending:
            self.say("")

    def caller_known(self) -> tuple[Fact, ...]:
        """The caller's facts about themselves."""
        slots = {slot.name: slot for slot in self.scene.domain.callers.slots}
        return tuple(
            self._fact(slots[name], value, name in named_slots(self.introduction) or value in self.introduction)
            for name, value in self.caller_facts.items()
            if name in slots
        )

    def facts_of(self, goal: Goal, slots: Mapping[str, str], opening: str) -> tuple[Fact, ...]:
        """What the caller can tell of a goal when asked."""
        return tuple(
            self._fact(slot, slots[slot.name], slot.name in named_slots(opening))
            for slot in goal.wish.slots
            if slot.name in slots
        )

    def _brought(self) -> dict[str | None, list[str | int]]:
        """What the caller brings, by kind."""
        environment = Environment(self.scene.domain, self.scene.trajectory.data)
        knowledge = self.scene.domain.callers.knows(environment.db, self.scene.trajectory.caller, self.rng)
        brought: dict[str | None, list[str | int]] = {}
        for kind, value in harvest(knowledge, type(knowledge)):
            brought.setdefault(kind, []).append(value)
        return brought

    def _instruct(self, call: ToolCall) -> str:
        return self.scene.domain.instruction_by_tool[call.name].say.format(**call.arguments)

    def _fact(self, slot: Slot, value: str, in_opening: bool) -> Fact:
        answer = self.rng.choice(slot.answers[self.wording]).format(value=value)
        return Fact(name=slot.name, value=value, asked_by=slot.asked_by, answer=answer, in_opening=in_opening)

    def _best_question(self, goal: Goal, told: Mapping[str, str]) -> Slot:
        now = meanings(goal, told)
        for slot in goal.wish.slots:
            value = goal.candidate.slots.get(slot.name)
            if value is not None and slot.name not in told and meanings(goal, {**told, slot.name: value}) < now:
                return slot
        raise Unsuitable("what the caller knows does not tell the meanings apart")


def _introductions(scene: Scene, wording: Split) -> list[str]:
    """Introductions by which an agent would identify the caller as the trajectory does, or could not yet."""
    callers = scene.domain.callers
    used = next(one for one in callers.identities if one.tool == scene.trajectory.steps[0].call.name)
    others = [set(one.parameters.values()) for one in callers.identities if one is not used]
    return [
        template
        for template in callers.introductions[wording]
        if set(used.parameters.values()) <= named_slots(template)
        or not any(other <= named_slots(template) for other in others)
    ]


def _pick(options: Sequence[Candidate], arguments: Arguments, rng: random.Random) -> Candidate:
    fitting = [candidate for candidate in options if candidate.arguments == arguments]
    if not fitting:
        raise Unsuitable("the call is no wish of the caller")
    return rng.choice(fitting)


def flat(arguments: Arguments) -> list[str]:
    """All values of a call's arguments as text, those of lists one by one."""
    values: list[str] = []
    for value in arguments.values():
        values.extend(str(item) for item in (value if isinstance(value, list) else [value]))
    return values


def _shuffled(templates: Sequence[str], rng: random.Random) -> list[str]:
    return rng.sample(list(templates), len(templates))
