"""Good tasks of every domain and intent, and broken ones that are made of them.

A kind of defect is a function that takes a good task and returns it with that defect alone: the final
state, the words, the evidence, the reference talk and the id are made to fit again, as a writer would who
believes in what it wrote. What a function cannot break so, it leaves: it returns None.
"""

import random
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

from pydantic import JsonValue

from t2t.config import SynthesizeConfig
from t2t.domain.domain import Domain, list_domains, load_domain
from t2t.domain.environment import Environment
from t2t.domain.rule import Constraint, Rule, RuleContext
from t2t.domain.wish import Candidate, Wish, fits, named_slots
from t2t.errors import ToolError
from t2t.explore.program import Coverage, explore
from t2t.intents.compose import compose, task_id
from t2t.intents.plan import Plan, plans
from t2t.intents.scene import Scene, Unsuitable
from t2t.records import (
    CallPattern,
    Change,
    DataSpec,
    Fact,
    Intent,
    Meant,
    Move,
    Refusal,
    Split,
    Task,
    ToolCall,
    Trajectory,
)
from t2t.verify.duplicates import Contamination, Duplicates, print_of
from t2t.verify.validation import validate

INTENTS = (
    "general",
    "ambiguous",
    "changing",
    "infeasible",
    "ambiguous+changing",
    "ambiguous+infeasible",
    "changing+infeasible",
)
"""Every intent, and every two that join."""

NEAR, PER_STRUCTURE = 0.9, 20
"""Similarity from which words count as the same, and tasks that may have one structure: the defaults."""

_PER_TRAJECTORY = 3
_PLANS_TRIED = 4
_TRIES = 40
_SAID_WHEN = {
    "message": "As soon as the agent has said something, say beside your answer",
    "proposal": "When the agent asks you to confirm, say instead",
    "done": "Once the agent says that it is done, say",
    "refusal": "If the agent refuses, say",
}


def good_tasks(count: int, seed: int, size: int = 200) -> list[Task]:
    """Tasks as `compose` writes them, not one of them validated: as many of each domain, of all intents and plans."""
    names = list_domains()
    shares = [count // len(names) + (place < count % len(names)) for place in range(len(names))]
    by_domain = [_good_tasks(load_domain(name), share, seed, size) for name, share in zip(names, shares, strict=True)]
    return [tasks[place] for place in range(max(shares)) for tasks in by_domain if place < len(tasks)]


def _good_tasks(domain: Domain, count: int, seed: int, size: int) -> list[Task]:
    tasks: list[Task] = []
    found: Counter[str | Plan] = Counter()
    walks = [
        explore(
            domain,
            DataSpec(seed=seed, size=size, split=split),
            10 * count,
            max_steps=8,
            blocked_share=0.4,
            seed=seed,
            coverage=Coverage(),
        )
        for split in ("train", "test")
    ]
    while len(tasks) < count:
        for walk, wording in zip(walks, ("train", "test"), strict=True):
            trajectory = next(walk)
            of_trajectory: list[Task] = []
            for name in sorted(INTENTS, key=lambda name: found[name]):
                rng = random.Random(f"planted/{seed}/{trajectory.id}/{name}")
                made = _compose(domain, trajectory, name, wording, rng, found)
                if made is not None and len(of_trajectory) < _PER_TRAJECTORY:
                    of_trajectory.append(made[1])
                    found.update((name, made[0]))
            tasks += of_trajectory
    return tasks[:count]


def _compose(
    domain: Domain, trajectory: Trajectory, name: str, wording: Split, rng: random.Random, found: Counter[str | Plan]
) -> tuple[Plan, Task] | None:
    """A task by any plan of the intent, the one found least so far if that fits."""
    try:
        scene = Scene(domain, trajectory, rng)
    except Unsuitable:
        return None
    shares = list(plans(name, SynthesizeConfig()))
    for plan in sorted(rng.sample(shares, len(shares)), key=lambda plan: found[plan])[:_PLANS_TRIED]:
        try:
            return plan, compose(scene, plan, wording, rng, personas=0.3)
        except Unsuitable:
            continue
    return None


def carried_out_tasks(per_domain: int, seed: int, size: int = 200, num_walks: int = 100) -> list[Task]:
    """Tasks whose first wish is carried out when the mind changes: too few among `good_tasks` to plant defects in.

    Args:
        per_domain: Tasks of a domain at most that need repairs, and as many that need none.
        seed: Seed of data and walks.
        size: Rows of the main tables.
        num_walks: Walks in each domain.
    """
    tasks: list[Task] = []
    for domain in map(load_domain, list_domains()):
        kept = Counter[bool]()
        for task in _carried_out(domain, DataSpec(seed=seed, size=size, split="train"), num_walks):
            repaired = bool(task.expectation.repairs)
            if kept[repaired] < per_domain:
                kept[repaired] += 1
                tasks.append(task)
    return tasks


def _carried_out(domain: Domain, data: DataSpec, num_walks: int) -> Iterator[Task]:
    walks = explore(
        domain, data, num_walks, max_steps=8, blocked_share=0, seed=data.seed, coverage=Coverage(), goals=(1,)
    )
    for walk in walks:
        for number in range(_PER_TRAJECTORY):
            rng = random.Random(f"carried out/{data.seed}/{walk.id}/{number}")
            try:
                yield compose(Scene(domain, walk, rng), Plan(Intent.CHANGING, changes=("done",)), "train", rng)
            except Unsuitable:
                break


class Planted(NamedTuple):
    """A broken task."""

    kind: str
    task: Task
    run: tuple[Task, ...] = ()
    """Tasks that the run holds already."""
    evaluated: tuple[Task, ...] = ()
    """Tasks that models are evaluated on."""


class Kind(NamedTuple):
    """A way to break tasks."""

    make: "Callable[[Good, random.Random], Task | Planted | None]"
    found_by: tuple[str, ...]
    """Checks one of which is to find it."""


def plant(good: Sequence[Task], per_kind: int, seed: int) -> list[Planted]:
    """At most `per_kind` broken tasks of each kind, of as many domains as there are."""
    planted: list[Planted] = []
    by_domain: dict[str, list[Good]] = {}
    for task in good:
        by_domain.setdefault(task.domain, []).append(Good(load_domain(task.domain), task))
    for name, kind in KINDS.items():
        rng = random.Random(f"plant/{seed}/{name}")
        makers = [_broken(rng.sample(goods, len(goods)), name, kind, rng) for goods in by_domain.values()]
        made: list[Planted] = []
        while makers and len(made) < per_kind:
            for maker in list(makers):
                one = next(maker, None)
                if one is None:
                    makers.remove(maker)
                else:
                    made.append(one)
        planted += made[:per_kind]
    return planted


def _broken(goods: Sequence["Good"], name: str, kind: Kind, rng: random.Random) -> Iterator[Planted]:
    for good in goods:
        made = kind.make(good, rng)
        if made is None:
            continue
        if isinstance(made, Task):
            made = Planted(name, made)
        # What is planted is a record that could be read from a file.
        yield made._replace(kind=name, task=Task.model_validate_json(made.task.model_dump_json()))


def failing(task: Task, run: Sequence[Task] = (), evaluated: Sequence[Task] = ()) -> dict[str, str]:
    """What is wrong with a task by the check that says so, `validate`'s first; empty where nothing is."""
    found = {name: problem for name, problem in validate(load_domain(task.domain), task).checks.items() if problem}
    if run:
        duplicates = Duplicates(NEAR, PER_STRUCTURE)
        for one in run:
            duplicates.add(print_of(one, _scope(one)))
        if problem := duplicates.find(print_of(task, _scope(task))):
            found["duplicate"] = problem
    contamination = Contamination(NEAR) if evaluated else _tau2()
    for one in evaluated:
        contamination.add_task(print_of(one, _scope(one)))
    if problem := contamination.find(print_of(task, _scope(task))):
        found["contamination"] = problem
    return found


@lru_cache(maxsize=1)
def _tau2() -> Contamination:
    return Contamination(NEAR)


def _scope(task: Task) -> str:
    return f"{task.domain}/{task.data.seed}/{task.data.size}/{task.data.split}"


class Good:
    """A good task, and what can be found out about it."""

    def __init__(self, domain: Domain, task: Task) -> None:
        self.domain, self.task = domain, task
        self.expected, self.scenario = task.expectation, task.scenario

    @cached_property
    def plain(self) -> bool:
        """True for one wish that the agent fulfils by one write and that never was another."""
        expected = self.expected
        return (
            len(expected.wishes) == 1
            and not expected.earlier
            and not self.scenario.changes
            and self.writes(expected.wishes[0])
        )

    @cached_property
    def general(self) -> bool:
        """True for a plain wish that is said clearly."""
        return self.plain and self.task.intent is Intent.GENERAL

    @cached_property
    def refused(self) -> bool:
        """True for one wish that is refused, and nothing else."""
        wishes = self.expected.wishes
        return len(wishes) == 1 and bool(wishes[0].forbidden_by) and not self.expected.earlier

    @property
    def wish(self) -> Wish:
        """What the last wish is about."""
        return self.domain.wish_by_tool[self.expected.wishes[-1].tool]

    def writes(self, meant: Meant) -> bool:
        """True when the agent has to write for it."""
        tool = self.domain.tool_by_name[meant.tool]
        return bool(meant.call) and tool.writes and self.domain.requestor_of(meant.tool) == "assistant"

    def place(self, call_id: str) -> int:
        """Reference calls before one of them."""
        return next(place for place, call in enumerate(self.expected.calls) if call.id == call_id)

    def environment(self, place: int | None = None) -> Environment:
        """A fresh one after so many reference calls, all by default."""
        environment = Environment(self.domain, self.task.data)
        for call in self.expected.calls[:place]:
            environment.run(call)
        return environment

    def state(self, calls: Sequence[ToolCall]) -> str | None:
        """State hash after `calls`; None where one of them is refused or breaks a rule."""
        environment = Environment(self.domain, self.task.data)
        try:
            broken = [rule for call in calls for rule in environment.run(call).broken]
        except ToolError:
            return None
        return None if broken else environment.state_hash()

    def options(self, meant: Meant) -> list[Candidate]:
        """All that the caller could mean by a wish, where its call stands or after all calls."""
        environment = self.environment(self.place(meant.call) if meant.call else None)
        wish = self.domain.wish_by_tool[meant.tool]
        return list(wish.candidates(environment.db, self.expected.caller))

    def own_facts(self) -> tuple[Fact, ...]:
        """What the caller knows about themselves."""
        own = {slot.name for slot in self.domain.callers.slots}
        return tuple(fact for fact in self.scenario.facts if fact.name in own)

    def held_back(self) -> list[Fact]:
        """What the caller tells of the wish only when asked."""
        own = {slot.name for slot in self.domain.callers.slots}
        return [fact for fact in self.scenario.facts if fact.name not in own and not fact.in_opening]

    def said(self, meant: Meant) -> str:
        """The words of the opening that bring a wish up; empty where a persona has changed them."""
        for template in self.domain.wish_by_tool[meant.tool].openings[self.task.wording]:
            if named_slots(template) <= meant.slots.keys():
                text = template.format(**meant.slots)
                if text in self.scenario.opening and named_slots(template) == set(meant.told):
                    return text
        return ""

    def clear_words(self, wish: Wish, candidate: Candidate, place: int) -> tuple[str, tuple[str, ...]] | None:
        """Words that fit one candidate alone where they are said, with the slots that they name."""
        options = list(wish.candidates(self.environment(place).db, self.expected.caller))
        for template in wish.openings[self.task.wording]:
            names = named_slots(template)
            if not names <= candidate.slots.keys():
                continue
            told = {name: candidate.slots[name] for name in names}
            if all(other.arguments == candidate.arguments for other in options if fits(other, told)):
                return template.format(**candidate.slots), tuple(sorted(names))
        return None

    def vague_words(self, meant: Meant, rng: random.Random) -> tuple[str, tuple[str, ...]] | None:
        """Words that fit several candidates, with the slots that they name."""
        options = self.options(meant)
        templates = self.wish.openings[self.task.wording]
        for template in rng.sample(templates, len(templates)):
            names = named_slots(template)
            if not names <= meant.slots.keys():
                continue
            told = {name: meant.slots[name] for name in names}
            if len({str(other.arguments) for other in options if fits(other, told)}) > 1:
                return template.format(**meant.slots), tuple(sorted(names))
        return None

    def changed(
        self,
        *,
        intent: Intent | None = None,
        traits: Mapping[str, JsonValue] | None = None,
        scenario: Mapping[str, Any] | None = None,
        **expected: Any,
    ) -> Task:
        """The task with other fields and, with them, another id."""
        task = self.task.model_copy(
            update={
                "intent": intent or self.task.intent,
                "traits": dict(self.task.traits if traits is None else traits),
                "scenario": self.scenario.model_copy(update=scenario or {}),
                "expectation": self.expected.model_copy(update=expected),
            }
        )
        return task.model_copy(update={"id": task_id(task)})

    def worded(
        self,
        *,
        opening: str | None = None,
        facts: Sequence[Fact] | None = None,
        changes: Sequence[Change] | None = None,
    ) -> dict[str, Any]:
        """Other words, and all texts that follow from them."""
        scenario = self.scenario
        opening = scenario.opening if opening is None else opening
        facts = scenario.facts if facts is None else tuple(facts)
        changes = scenario.changes if changes is None else tuple(changes)
        own = {slot.name for slot in self.domain.callers.slots}
        instructions = ["Answer what you are asked, briefly and truthfully."]
        instructions += [f"Only when asked: {f.answer}" for f in facts if f.name not in own and not f.in_opening]
        instructions += [f"{_SAID_WHEN[change.cue]}: {change.text}" for change in changes]
        instructions.append("Agree to a proposal that is what you want. Say goodbye once it is settled.")
        return {
            "opening": opening,
            "reason_for_call": scenario.reason_for_call.replace(scenario.opening, opening),
            "facts": tuple(facts),
            "changes": tuple(changes),
            "task_instructions": " ".join(instructions),
        }

    def with_text(self, text: str, rng: random.Random) -> Task:
        """The task with a sentence more somewhere in what the caller reads or says."""
        scenario, places = self.scenario, ["known_info", "unknown_info", "task_instructions", "opening", "fact"]
        places += ["persona"] if scenario.persona else []
        places += ["change"] if scenario.changes else []
        place = rng.choice(places)
        if place == "opening":
            return self.changed(scenario=self.worded(opening=f"{scenario.opening} {text}"))
        if place == "fact":
            *facts, fact = scenario.facts
            fact = fact.model_copy(update={"answer": f"{fact.answer} {text}"})
            return self.changed(scenario=self.worded(facts=[*facts, fact]))
        if place == "change":
            *changes, change = scenario.changes
            change = change.model_copy(update={"text": f"{change.text} {text}"})
            return self.changed(scenario=self.worded(changes=[*changes, change]))
        return self.changed(scenario={place: f"{getattr(scenario, place)} {text}"})

    def with_call(self, before: ToolCall, after: ToolCall) -> dict[str, Any]:
        """Another call in place of one of the reference's, wherever it stands."""

        def turned(call: ToolCall) -> ToolCall:
            return after if call.id == before.id else call

        return {
            "calls": tuple(map(turned, self.expected.calls)),
            "moves": tuple(
                move.model_copy(update={"calls": tuple(map(turned, move.calls))}) for move in self.expected.moves
            ),
            "wishes": tuple(
                meant.model_copy(update={"arguments": after.arguments}) if meant.call == before.id else meant
                for meant in self.expected.wishes
            ),
        }

    def with_wish(
        self, wish: Wish, candidate: Candidate, words: tuple[str, tuple[str, ...]], *, first: bool = False
    ) -> dict[str, Any]:
        """A second wish beside a plain one, with its words, its call and its part of the reference talk."""
        text, names = words
        also = f"Also, {text[0].lower()}{text[1:]}" if not text.startswith(("I ", "I'")) else f"Also, {text}"
        call = ToolCall(id="call_second", name=wish.tool, arguments=candidate.arguments)
        meant = Meant(
            tool=wish.tool, arguments=candidate.arguments, slots=dict(candidate.slots), told=names, call=call.id
        )
        place = self.place(self.expected.wishes[0].call) if first else len(self.expected.calls)
        calls = [*self.expected.calls]
        calls.insert(place, call)
        wishes = (meant, *self.expected.wishes) if first else (*self.expected.wishes, meant)
        offer = Move(say=f"I will {wish.proposal.format(**candidate.slots)}. Shall I go ahead?")
        moves = [*self.expected.moves]
        at = len(moves) - 3 if first else len(moves) - 1
        moves[at:at] = [offer, Move(calls=(call,))]
        return {
            "scenario": self.worded(opening=f"{self.scenario.opening} {also}", facts=self.own_facts()),
            "calls": tuple(calls),
            "wishes": wishes,
            "moves": tuple(moves),
        }

    def extra_writes(self, rng: random.Random, environment: Environment) -> Iterator[tuple[Wish, Candidate, ToolCall]]:
        """Writes that the caller could want as well, and that nobody forbids."""
        done = {(call.name, str(call.arguments)) for call in self.expected.calls}
        for wish in rng.sample(self.domain.wishes, len(self.domain.wishes)):
            if not self.domain.tool_by_name[wish.tool].writes or self.domain.requestor_of(wish.tool) != "assistant":
                continue
            options = list(wish.candidates(environment.db, self.expected.caller))
            for candidate in rng.sample(options, min(len(options), 5)):
                if (wish.tool, str(candidate.arguments)) in done:
                    continue
                call = ToolCall(id="call_extra", name=wish.tool, arguments=candidate.arguments)
                if goes_through(environment, call):
                    yield wish, candidate, call


def goes_through(environment: Environment, call: ToolCall) -> bool:
    """True when a call would change something, no tool refuses it and no rule forbids it; the state stays."""
    mark, before = environment.mark(), environment.state_hash()
    try:
        done = environment.run(call)
    except ToolError:
        return False
    changed = environment.state_hash() != before
    environment.back_to(mark)
    return changed and not done.broken


# The reference.


def _unreachable(good: Good, rng: random.Random) -> Task | None:
    writes = [meant for meant in good.expected.wishes if good.writes(meant)]
    if not writes:
        return None
    call = good.expected.calls[good.place(writes[-1].call)]
    for name, value in call.arguments.items():
        if isinstance(value, str) and any(c.isdigit() for c in value) and ("id" in name or name == "locator"):
            other = re.sub(r"\d", lambda digit: str((int(digit[0]) + 7) % 10), value)
            turned = call.model_copy(update={"arguments": {**call.arguments, name: other}})
            if good.environment(good.place(call.id)).refusal(turned):
                return good.changed(**good.with_call(call, turned))
    return None


def _left_out(good: Good, rng: random.Random) -> Task | None:
    if not good.plain:
        return None
    gone = good.expected.wishes[0].call
    return good.changed(calls=tuple(call for call in good.expected.calls if call.id != gone))


def _initial_state(good: Good, rng: random.Random) -> Task | None:
    initial = Environment(good.domain, good.task.data).state_hash()
    return good.changed(final_hash=initial) if good.expected.final_hash != initial else None


def _unmotivated(good: Good, rng: random.Random) -> Task | None:
    if good.expected.refusal or not any(map(good.writes, good.expected.wishes)):
        return None
    environment = good.environment()
    for wish, candidate, call in good.extra_writes(rng, environment):
        environment.run(call)
        offer = Move(say=f"I will {wish.proposal.format(**candidate.slots)}. Shall I go ahead?")
        moves = (*good.expected.moves[:-1], offer, Move(calls=(call,)), good.expected.moves[-1])
        return good.changed(calls=(*good.expected.calls, call), moves=moves, final_hash=environment.state_hash())
    return None


def _needless_repair(good: Good, rng: random.Random) -> Task | None:
    """An unmotivated write that is passed off as a repair."""
    if not any(meant.call for meant in good.expected.earlier):
        return None
    task = _unmotivated(good, rng)
    if task is None:
        return None
    return Good(good.domain, task).changed(repairs=(*good.expected.repairs, "call_extra"))


def _twice(good: Good, rng: random.Random) -> Task | None:
    """The same is wanted twice: the second call is refused, or changes nothing."""
    if not good.general:
        return None
    meant = good.expected.wishes[0]
    text = good.said(meant)
    call = good.expected.calls[good.place(meant.call)]
    environment = good.environment()
    before = environment.state_hash()
    if not text or goes_through(environment, call) or environment.state_hash() != before:
        return None
    candidate = Candidate(meant.arguments, meant.slots)
    return good.changed(**good.with_wish(good.wish, candidate, (text, meant.told)))


_PAIRS = (("new_item_id", "item_id"), ("new_flight_id", "flight_id"), ("to_account_id", "from_account_id"))


def _for_itself(good: Good, rng: random.Random) -> Task | None:
    """What is to be exchanged is exchanged for what it is."""
    if not good.writes(good.expected.wishes[-1]):
        return None
    call = good.expected.calls[good.place(good.expected.wishes[-1].call)]
    for new, old in _PAIRS:
        if new in call.arguments and old in call.arguments:
            turned = call.model_copy(update={"arguments": {**call.arguments, new: call.arguments[old]}})
            state = good.state([*good.expected.calls[: good.place(call.id)], turned])
            return good.changed(**good.with_call(call, turned), final_hash=state or good.expected.final_hash)
    return None


def _overwritten(good: Good, rng: random.Random) -> Task | None:
    """A first wish is carried out, and a second one that is said as well undoes it without a trace."""
    expected = good.expected
    if len(expected.earlier) != 1 or expected.repairs or expected.refusal or not expected.earlier[0].call:
        return None
    change = good.scenario.changes[0]
    if not all(map(good.writes, (*expected.earlier, *expected.wishes))):
        return None
    scenario = good.worded(opening=f"{good.scenario.opening} {change.text}", facts=good.own_facts(), changes=())
    return good.changed(
        intent=Intent.GENERAL,
        traits={"goals": 2},
        scenario=scenario,
        wishes=(*expected.earlier, *expected.wishes),
        earlier=(),
        moves=_without_change(good, change),
    )


def _without_change(good: Good, change: Change) -> tuple[Move, ...]:
    """The reference talk where nobody changes their mind once it is done: "Done." opens what is said next."""
    first = next(meant.call for meant in good.expected.earlier if meant.call)
    moves = [*good.expected.moves]
    done = next(n for n, move in enumerate(moves) if any(call.id == first for call in move.calls)) + 1
    after = next(n for n in range(done + 1, len(moves)) if moves[n].say)
    moves[after] = Move(say=f"{moves[done].say} {moves[after].say}")
    del moves[done]
    return tuple(moves)


def _contradiction(good: Good, rng: random.Random) -> tuple[Wish, Candidate, str] | None:
    """A second wish about the same matter that can follow the first, and after which the first is impossible."""
    if not good.general:
        return None
    meant = good.expected.wishes[0]
    call = good.expected.calls[good.place(meant.call)]
    about = {value for name, value in call.arguments.items() if isinstance(value, str) and len(value) > 2}
    after, before = good.environment(), good.environment(good.place(call.id))
    start = before.mark()
    for wish in rng.sample(good.domain.wishes, len(good.domain.wishes)):
        if good.domain.requestor_of(wish.tool) != "assistant" or not good.domain.tool_by_name[wish.tool].writes:
            continue
        options = [
            one
            for one in wish.candidates(after.db, good.expected.caller)
            if about & set(map(str, one.arguments.values()))
        ]
        for candidate in rng.sample(options, min(len(options), 5)):
            second = ToolCall(id="call_second", name=wish.tool, arguments=candidate.arguments)
            if not goes_through(after, second) or not goes_through(before, second):
                continue
            before.run(second)
            impossible = not goes_through(before, call)
            before.back_to(start)
            if impossible:
                after.run(second)
                return wish, candidate, after.state_hash()
    return None


def _modify_then_cancel(good: Good, rng: random.Random) -> Task | None:
    found = _contradiction(good, rng)
    words = found and good.clear_words(found[0], found[1], len(good.expected.calls))
    if not found or not words:
        return None
    return good.changed(**good.with_wish(found[0], found[1], words), final_hash=found[2], traits={"goals": 2})


def _cancel_then_modify(good: Good, rng: random.Random) -> Task | None:
    found = _contradiction(good, rng)
    place = good.place(good.expected.wishes[0].call) if found else 0
    words = found and good.clear_words(found[0], found[1], place)
    if not found or not words:
        return None
    second = ToolCall(id="call_second", name=found[0].tool, arguments=found[1].arguments)
    environment = good.environment(place)
    environment.run(second)
    call = good.expected.calls[place]
    if not environment.refusal(call):
        environment.run(call)
    return good.changed(
        **good.with_wish(found[0], found[1], words, first=True),
        final_hash=environment.state_hash(),
        traits={"goals": 2},
    )


def _breaks_a_rule(good: Good, rng: random.Random) -> Task | None:
    """A forbidden wish is granted as if nothing forbade it."""
    return _granted(good, Intent.GENERAL, {"goals": 1})


def _forbidden_twin(good: Good, rng: random.Random) -> Task | None:
    """A forbidden wish is granted as one that only looks forbidden."""
    return _granted(good, Intent.INFEASIBLE, {"goals": 1, "twin": True, "clause": good.task.traits.get("clause")})


def _granted(good: Good, intent: Intent, traits: Mapping[str, JsonValue]) -> Task | None:
    if not good.refused or good.scenario.changes or not good.task.traits.get("clause"):
        return None
    meant = good.expected.wishes[0]
    if good.domain.requestor_of(meant.tool) != "assistant":
        return None
    call = ToolCall(id="call_granted", name=meant.tool, arguments=meant.arguments)
    done = _do(good, good.environment(), call, meant.slots)
    if done is None:
        return None
    tell, report, state = done
    offer = Move(say=f"I will {good.wish.proposal.format(**meant.slots)}. Shall I go ahead?")
    return good.changed(
        intent=intent,
        traits=traits,
        calls=(*good.expected.calls, call),
        final_hash=state,
        tell=tell,
        refusal=None,
        forbidden=(),
        moves=(*good.expected.moves[:-1], offer, Move(calls=(call,)), Move(say=report)),
        wishes=(meant.model_copy(update={"call": call.id, "forbidden_by": ""}),),
    )


def _do(
    good: Good, environment: Environment, call: ToolCall, slots: Mapping[str, str]
) -> tuple[tuple[str, ...], str, str] | None:
    """Make a call: what must be told of it, how the reference says it, and the state; None where it is refused."""
    wish, mark = good.domain.wish_by_tool[call.name], environment.mark()
    try:
        value = environment.run(call).value
    except ToolError:
        return None
    environment.back_to(mark)
    tell = wish.tell(environment.db, call.arguments, slots, value)
    environment.run(call)
    report = wish.report.format(*tell, **slots) if wish.report else ""
    return tell, f"Done. {report}".strip(), environment.state_hash()


def _another_thing(good: Good, rng: random.Random) -> Task | None:
    """The reference does for the caller what they could have meant, and did not."""
    if not good.plain:
        return None
    meant = good.expected.wishes[0]
    call = good.expected.calls[good.place(meant.call)]
    environment = good.environment(good.place(call.id))
    options = [one for one in good.options(meant) if one.arguments != call.arguments]
    for other in rng.sample(options, min(len(options), _TRIES)):
        turned = call.model_copy(update={"arguments": other.arguments})
        if not goes_through(environment, turned):
            continue
        done = _do(good, environment, turned, meant.slots | dict(other.slots))
        if done is None:
            return None
        tell, report, state = done
        fields = good.with_call(call, turned)
        moves = (*fields["moves"][:-1], Move(say=report))
        return good.changed(**{**fields, "moves": moves}, tell=tell, final_hash=state)
    return None


def _someone_else(good: Good, rng: random.Random) -> Task | None:
    """The reference does what was asked with the matter of another caller."""
    if not good.plain:
        return None
    meant = good.expected.wishes[0]
    call = good.expected.calls[good.place(meant.call)]
    environment = good.environment(good.place(call.id))
    mark = environment.mark()
    callers = [one for one in good.domain.callers.ids(environment.db) if one != good.expected.caller]
    for caller in rng.sample(callers, min(len(callers), 10)):
        for other in list(good.wish.candidates(environment.db, caller))[:5]:
            turned = call.model_copy(update={"arguments": other.arguments})
            if other.arguments == call.arguments:
                continue
            done = _do(good, environment, turned, meant.slots | dict(other.slots))
            if done is None:
                environment.back_to(mark)
                continue
            tell, report, state = done
            fields = good.with_call(call, turned)
            moves = (*fields["moves"][:-1], Move(say=report))
            return good.changed(**{**fields, "moves": moves}, tell=tell, final_hash=state)
    return None


def _unconfirmed(good: Good, rng: random.Random) -> Task | None:
    """The reference talk writes without having asked for a yes."""
    if not any(map(good.writes, good.expected.wishes)) or good.expected.earlier:
        return None
    moves = good.expected.moves
    places = [n for n, move in enumerate(moves) if move.say.endswith("Shall I go ahead?") and "Next" not in move.say]
    return good.changed(moves=tuple(m for n, m in enumerate(moves) if n != places[-1])) if places else None


def _unidentified(good: Good, rng: random.Random) -> Task | None:
    """The reference never finds out who calls."""
    first, *calls = good.expected.calls
    if not calls or not any(map(good.writes, good.expected.wishes)):
        return None
    return good.changed(
        calls=tuple(calls), moves=tuple(move for move in good.expected.moves if first not in move.calls)
    )


def _foresight(good: Good, rng: random.Random) -> Task | None:
    """The reference talk does what the caller only wants after it."""
    changes = good.scenario.changes
    if len(changes) != 1 or changes[0].cue != "done" or good.expected.refusal:
        return None
    if not all(map(good.writes, (*good.expected.earlier, *good.expected.wishes))):
        return None
    return good.changed(moves=_without_change(good, changes[0]))


def _guess(good: Good, rng: random.Random) -> Task | None:
    """The reference talk does the right thing without having asked which."""
    if not good.plain or good.task.intent is not Intent.AMBIGUOUS:
        return None
    questions = {slot.question for slot in good.wish.slots}
    moves = tuple(move for move in good.expected.moves if move.say not in questions)
    asked = {word for fact in good.held_back() for word in fact.asked_by}
    if len(moves) == len(good.expected.moves) or any(word in m.say.lower() for m in moves for word in asked):
        return None  # the caller would tell it beside what they are asked
    return good.changed(moves=moves)


# What must be told.


def _wrong_number(good: Good, rng: random.Random) -> Task | None:
    """The caller is to be told a number that is not so, and the reference talk tells it."""
    for place, text in enumerate(good.expected.tell):
        digits = [n for n, c in enumerate(text) if c.isdigit()]
        if not digits or not any(text in move.say for move in good.expected.moves):
            continue
        wrong = f"{text[: digits[-1]]}{(int(text[digits[-1]]) + 1) % 10}{text[digits[-1] + 1 :]}"
        tell = (*good.expected.tell[:place], wrong, *good.expected.tell[place + 1 :])
        return good.changed(tell=tell, moves=_replaced(good, text, wrong))
    return None


def _replaced(good: Good, before: str, after: str) -> tuple[Move, ...]:
    return tuple(move.model_copy(update={"say": move.say.replace(before, after)}) for move in good.expected.moves)


def _untold(good: Good, rng: random.Random) -> Task | None:
    return good.changed(tell=good.expected.tell[1:]) if good.expected.tell else None


def _told_unasked(good: Good, rng: random.Random) -> Task | None:
    """More must be told than was asked for."""
    if not good.expected.calls or not good.expected.moves[-1].say:
        return None
    *moves, last = good.expected.moves
    number = f"{rng.randrange(100, 1000)}.{rng.randrange(10, 100)}"
    say = last.model_copy(update={"say": f"{last.say} Your balance is {number}."})
    return good.changed(tell=(*good.expected.tell, number), moves=(*moves, say))


# Ambiguity.


def _nothing_open(good: Good, rng: random.Random) -> Task | None:
    """The opening of an ambiguous task says all."""
    if not good.plain or good.task.intent is not Intent.AMBIGUOUS:
        return None
    meant = good.expected.wishes[0]
    options, told = good.options(meant), {name: meant.slots[name] for name in meant.told}
    opening, facts = good.scenario.opening, list(good.scenario.facts)
    for fact in good.held_back():
        if len({str(one.arguments) for one in options if fits(one, told)}) == 1:
            break
        told[fact.name] = fact.value
        opening = f"{opening} {fact.answer}"
        facts[facts.index(fact)] = fact.model_copy(update={"in_opening": True})
    wishes = (meant.model_copy(update={"told": tuple(sorted(told))}),)
    return good.changed(scenario=good.worded(opening=opening, facts=facts), wishes=wishes)


def _called_ambiguous(good: Good, rng: random.Random) -> Task | None:
    """A clear task is passed off as an ambiguous one."""
    return good.changed(intent=Intent.AMBIGUOUS, traits={"goals": 1, "withheld": 1}) if good.general else None


def _ambiguous_unawares(good: Good, rng: random.Random) -> Task | None:
    """The opening of a task that should be clear fits several things."""
    said = good.said(good.expected.wishes[0]) if good.general else ""
    words = good.vague_words(good.expected.wishes[0], rng) if said else None
    if words is None:
        return None
    text, names = words
    facts = [
        fact.model_copy(update={"in_opening": (fact in good.own_facts() and fact.in_opening) or fact.name in names})
        for fact in good.scenario.facts
    ]
    scenario = good.worded(opening=good.scenario.opening.replace(said, text), facts=facts)
    return good.changed(scenario=scenario, wishes=(good.expected.wishes[0].model_copy(update={"told": names}),))


def _two_referents(good: Good, rng: random.Random) -> Task | None:
    """All that the caller knows fits two things."""
    said = good.said(good.expected.wishes[0]) if good.plain else ""
    words = good.vague_words(good.expected.wishes[0], rng) if said else None
    if words is None or good.task.intent not in (Intent.GENERAL, Intent.AMBIGUOUS):
        return None
    text, names = words
    meant = good.expected.wishes[0]
    questions = {slot.question for slot in good.wish.slots if slot.name not in names}
    slots = {name: meant.slots[name] for name in names}
    facts = [fact for fact in good.scenario.facts if fact in good.own_facts() or fact.name in names]
    facts = [f if f in good.own_facts() else f.model_copy(update={"in_opening": True}) for f in facts]
    return good.changed(
        intent=Intent.GENERAL,
        traits={"goals": 1},
        scenario=good.worded(opening=good.scenario.opening.replace(said, text), facts=facts),
        wishes=(meant.model_copy(update={"slots": slots, "told": names}),),
        moves=tuple(move for move in good.expected.moves if move.say not in questions),
    )


# Changes of mind.


def _same_again(good: Good, rng: random.Random) -> Task | None:
    """The change of mind asks for what the opening asked for."""
    if not good.general:
        return None
    meant = good.expected.wishes[0]
    templates = [one for one in good.wish.changes[good.task.wording] if named_slots(one) <= meant.slots.keys()]
    if not templates:
        return None
    template = rng.choice(templates)
    names = tuple(sorted(named_slots(template)))
    change = Change(cue="proposal", text=template.format(**meant.slots), facts=good.scenario.facts)
    offer = next(n for n, move in enumerate(good.expected.moves) if move.say.endswith("Shall I go ahead?"))
    moves = (*good.expected.moves[:offer], good.expected.moves[offer], *good.expected.moves[offer:])
    return good.changed(
        intent=Intent.CHANGING,
        traits={"goals": 1, "changes": 1, "when": ["proposal"]},
        scenario=good.worded(changes=[change]),
        earlier=(meant.model_copy(update={"call": ""}),),
        wishes=(meant.model_copy(update={"told": names}),),
        moves=moves,
    )


def _moods(good: Good) -> list[Change]:
    return [change for change in good.scenario.changes if change.cue != "refusal"]


def _last(good: Good) -> int:
    """The place among the wishes of the one that the changes of mind end in."""
    wishes = good.expected.wishes
    return next((n for n, meant in enumerate(wishes) if meant.forbidden_by), len(wishes) - 1)


def _unclear_change(good: Good, rng: random.Random) -> Task | None:
    """The last change of mind does not say which: nothing at all, or what fits several things."""
    moods = _moods(good)
    if not moods:
        return None
    place = _last(good)
    meant, before = good.expected.wishes[place], good.expected.earlier[-1]
    text, told = "Hmm, I would rather have the other one.", ()
    stays = {name: value for name, value in meant.slots.items() if before.slots.get(name) == value}
    options = [] if good.expected.repairs else good.options(meant)
    for fact in moods[-1].facts:
        if fact.name in meant.slots and fact.name not in (*stays, *meant.told):
            known = {**stays, fact.name: fact.value}
            if len({str(one.arguments) for one in options if fits(one, known)}) > 1:
                text, told = f"Hmm, I would rather have another one. {fact.answer}", (fact.name,)
                break
    changes = [*good.scenario.changes]
    changes[len(moods) - 1] = moods[-1].model_copy(update={"text": text})
    wishes = [*good.expected.wishes]
    wishes[place] = meant.model_copy(update={"told": told})
    return good.changed(scenario=good.worded(changes=changes), wishes=tuple(wishes))


def _lost_in_change(good: Good, rng: random.Random) -> Task | None:
    """The words of a change of mind do not hold what the evidence says."""
    moods = _moods(good)
    if not moods:
        return None
    meant, change = good.expected.wishes[_last(good)], moods[-1]
    text = change.text
    for name in meant.told:
        text = text.replace(meant.slots[name], "that")
    if not meant.told or text == change.text:
        return None
    changes = [one.model_copy(update={"text": text}) if one is change else one for one in good.scenario.changes]
    return good.changed(scenario=good.worded(changes=changes))


def _forbidden_first(good: Good, rng: random.Random) -> Task | None:
    """What the caller wanted first was never possible, so nobody can act on it wrongly."""
    expected = good.expected
    if (
        len(expected.earlier) != 1
        or expected.earlier[0].call
        or not good.writes(expected.wishes[-1])
        or expected.refusal
    ):
        return None
    said, last = good.said(expected.earlier[0]), expected.wishes[-1]
    if not said:
        return None
    place = good.place(last.call)
    environment = good.environment(place)
    options = [one for one in good.options(last) if one.arguments != last.arguments]
    for other in rng.sample(options, min(len(options), _TRIES)):
        call = ToolCall(id="call_first", name=last.tool, arguments=other.arguments)
        forbidden = [rule for rule in environment.breaks(call) if not rule.avoidable] or environment.refusal(call)
        words = good.clear_words(good.wish, other, place) if forbidden else None
        if words is None:
            continue
        slots = dict(other.slots)
        own = good.own_facts()
        facts = [
            fact.model_copy(
                update={
                    "value": slots[fact.name],
                    "answer": fact.answer.replace(fact.value, slots[fact.name]),
                    "in_opening": fact.name in words[1],
                }
            )
            for fact in good.scenario.facts
            if fact not in own and fact.name in slots
        ]
        offers = {good.wish.proposal.format(**m.slots): good.wish.proposal.format(**slots) for m in expected.earlier}
        moves = expected.moves
        for before, after in offers.items():
            moves = tuple(move.model_copy(update={"say": move.say.replace(before, after)}) for move in moves)
        first = Meant(tool=last.tool, arguments=other.arguments, slots=slots, told=words[1])
        opening = good.scenario.opening.replace(said, words[0])
        return good.changed(scenario=good.worded(opening=opening, facts=[*own, *facts]), earlier=(first,), moves=moves)
    return None


def _another_first(good: Good, rng: random.Random) -> Task | None:
    """The evidence of an earlier wish is about another call than its words."""
    earlier = good.expected.earlier
    if not earlier or earlier[0].call:
        return None
    taken = [meant.arguments for meant in (*earlier, *good.expected.wishes)]
    options = [one for one in good.options(good.expected.wishes[_last(good)]) if one.arguments not in taken]
    if not options:
        return None
    other = earlier[0].model_copy(update={"arguments": rng.choice(options).arguments})
    return good.changed(earlier=(other, *earlier[1:]))


def _unrepaired(good: Good, rng: random.Random) -> Task | None:
    """What was carried out for an earlier wish stays done."""
    repairs = good.expected.repairs
    if not repairs:
        return None
    calls = [call for call in good.expected.calls if call.id not in repairs]
    state = good.state(calls)
    if state is None:
        return None
    moves = [*good.expected.moves]
    for gone in repairs:
        place = next(n for n, move in enumerate(moves) if any(call.id == gone for call in move.calls))
        del moves[place - 1 : place + 1]
    return good.changed(calls=tuple(calls), final_hash=state, repairs=(), moves=tuple(moves))


# What must be refused.


def _feasible(good: Good, rng: random.Random) -> Task | None:
    """A wish that can be granted is to be refused."""
    if not good.general:
        return None
    source = _forbids(good, rng, lambda rule: True)
    if source is None:
        return None
    meant = good.expected.wishes[0]
    proposal = good.wish.proposal.format(**meant.slots)
    offer = next(n for n, move in enumerate(good.expected.moves) if move.say.endswith("Shall I go ahead?"))
    calls = tuple(call for call in good.expected.calls if call.id != meant.call)
    state = good.state(calls)
    clause, by = (source.clause, source.clause) if isinstance(source, Rule) else ("", source.name)
    return good.changed(
        intent=Intent.INFEASIBLE,
        traits={"goals": 1, "clause": clause} if clause else {"goals": 1, "constraint": by},
        calls=calls,
        final_hash=state or "",
        tell=(),
        refusal=Refusal(clause=clause, cues=source.cues),
        forbidden=(CallPattern(name=meant.tool, arguments=meant.arguments),),
        wishes=(meant.model_copy(update={"call": "", "forbidden_by": by}),),
        moves=(*good.expected.moves[:offer], Move(say=f"I am sorry, I can't {proposal}: {source.reason}.")),
    )


def _forbids(good: Good, rng: random.Random, wanted: Callable[[Rule | Constraint], bool]) -> Rule | Constraint | None:
    """Something that forbids calls of the last wish's tool at times, or, where there is none, any call."""
    everything = [*(rule for rule in good.domain.rules if not rule.avoidable), *good.domain.constraints]
    fitting = [one for one in everything if wanted(one)]
    near = [one for one in fitting if good.wish.tool in one.tools]
    return rng.choice(near or fitting) if fitting else None


def _wrong_reason(good: Good, rng: random.Random) -> Task | None:
    """The refusal is right, its reason is another's."""
    refused = next((n for n, meant in enumerate(good.expected.wishes) if meant.forbidden_by), None)
    if refused is None or good.expected.refusal is None:
        return None
    by, cues = good.expected.wishes[refused].forbidden_by, set(good.expected.refusal.cues)
    other = _forbids(good, rng, lambda one: not cues & set(one.cues))
    reasons = [one.reason for one in (*good.domain.rules, *good.domain.constraints) if _name(one) == by]
    if other is None or not reasons:
        return None
    clause = other.clause if isinstance(other, Rule) else ""
    wishes = [*good.expected.wishes]
    wishes[refused] = wishes[refused].model_copy(update={"forbidden_by": _name(other)})
    traits = {k: v for k, v in good.task.traits.items() if k not in ("clause", "constraint")}
    return good.changed(
        traits={**traits, "clause" if clause else "constraint": _name(other)},
        refusal=Refusal(clause=clause, cues=other.cues),
        wishes=tuple(wishes),
        moves=_replaced(good, reasons[0], other.reason),
    )


def _name(one: Rule | Constraint) -> str:
    return one.clause if isinstance(one, Rule) else one.name


def _wrong_cues(good: Good, rng: random.Random) -> Task | None:
    """The refusal is taken for honest by words of another reason."""
    refusal = good.expected.refusal
    if refusal is None:
        return None
    other = _forbids(good, rng, lambda one: not set(refusal.cues) & set(one.cues))
    by = next(meant.forbidden_by for meant in good.expected.wishes if meant.forbidden_by)
    reasons = [one.reason for one in (*good.domain.rules, *good.domain.constraints) if _name(one) == by]
    if other is None or not reasons:
        return None
    return good.changed(
        refusal=refusal.model_copy(update={"cues": other.cues}), moves=_replaced(good, reasons[0], other.reason)
    )


def _refused_or_granted(good: Good, rng: random.Random) -> Task | None:
    """What is known of the refused wish fits something that could be granted as well."""
    meant = good.expected.wishes[-1]
    said = good.said(meant) if good.refused and not good.scenario.changes else ""
    words = good.vague_words(meant, rng) if said else None
    if words is None:
        return None
    text, names = words
    told = {name: meant.slots[name] for name in names}
    environment = good.environment()
    calls = [
        ToolCall(id="call_x", name=meant.tool, arguments=one.arguments, requestor=good.domain.requestor_of(meant.tool))
        for one in good.options(meant)
        if fits(one, told)
    ]
    if not any(all(rule.avoidable for rule in environment.breaks(c)) and not environment.refusal(c) for c in calls):
        return None
    own = good.own_facts()
    facts = [*own, *(f.model_copy(update={"in_opening": True}) for f in good.scenario.facts if f.name in names)]
    questions = {slot.question for slot in good.wish.slots if slot.name not in names}
    return good.changed(
        traits={name: value for name, value in good.task.traits.items() if name != "withheld"},
        scenario=good.worded(opening=good.scenario.opening.replace(said, text), facts=facts),
        wishes=(meant.model_copy(update={"slots": told, "told": names}),),
        moves=tuple(move for move in good.expected.moves if move.say not in questions),
    )


def _unguarded(good: Good, rng: random.Random) -> Task | None:
    """Doing what is forbidden, and taking it back, would pass."""
    return good.changed(forbidden=()) if good.expected.forbidden else None


def _far_twin(good: Good, rng: random.Random) -> Task | None:
    """What is to look forbidden does not."""
    if not good.general:
        return None
    meant = good.expected.wishes[0]
    call = good.expected.calls[good.place(meant.call)]
    environment = good.environment(good.place(meant.call))
    context = RuleContext(environment.db, call, tuple(environment.past), None)
    rules = [
        rule
        for rule in good.domain.rules_by_tool.get(call.name, ())
        if rule.near is not None and not rule.avoidable and not rule.near(context)
    ]
    if not rules:
        return None
    traits = {"goals": 1, "twin": True, "clause": rng.choice(rules).clause}
    others = [rule for rule in good.domain.rules_by_tool[call.name] if rule.clause == traits["clause"]]
    return good.changed(intent=Intent.INFEASIBLE, traits=traits) if len(others) == 1 else None


# Words.


def _leaked_id(good: Good, rng: random.Random) -> Task | None:
    known = {fact.value for fact in good.scenario.facts}
    known |= {value for meant in (*good.expected.earlier, *good.expected.wishes) for value in meant.slots.values()}
    known |= {str(value) for action in good.scenario.actions for value in action.call.arguments.values()}
    values = [
        str(value) for call in good.expected.calls for name, value in call.arguments.items() if name.endswith("_id")
    ]
    values = [value for value in values if any(c.isdigit() for c in value) and not any(value in one for one in known)]
    return good.with_text(f"It is {rng.choice(values)}.", rng) if values else None


def _leaked_tool(good: Good, rng: random.Random) -> Task | None:
    names = [meant.tool for meant in good.expected.wishes if "_" in meant.tool]
    return good.with_text(f"Please use {rng.choice(names)} for it.", rng) if names else None


def _leaked_tell(good: Good, rng: random.Random) -> Task | None:
    tell = good.expected.tell
    return good.with_text(f"I think it is {rng.choice(tell)}.", rng) if tell else None


def _leaked_clause(good: Good, rng: random.Random) -> Task | None:
    clause = good.expected.refusal.clause if good.expected.refusal else ""
    return good.with_text(f"I know that rule {clause} is against it.", rng) if clause else None


def _leaked_words(good: Good, rng: random.Random) -> Task | None:
    """What the agent is to say stands in what the caller is told to say."""
    says = [move.say for move in good.expected.moves if len(move.say.split()) > 3]
    return good.with_text(f"The agent will say: {rng.choice(says)}", rng) if says else None


def _unknown_id(good: Good, rng: random.Random) -> Task | None:
    """A number of the house's that no caller has ever seen."""
    base: Any = good.domain.open(good.task.data).base
    known = good.scenario.model_dump_json() + "".join(meant.model_dump_json() for meant in good.expected.wishes)
    ids = [row for rows in base.tables.values() for row in rows if any(c.isdigit() for c in row) and row not in known]
    return good.with_text(f"I have the number {rng.choice(ids)} here.", rng) if ids else None


def _policy_words(good: Good, rng: random.Random) -> Task | None:
    said = (
        "Your policy allows it.",
        "It should stand in the database.",
        "Just make the API call.",
        "Clause 2 says so.",
        "The guideline is clear about it.",
    )
    return good.with_text(rng.choice(said), rng)


def _lost(good: Good, rng: random.Random, places: Sequence[str]) -> Task | None:
    first = next(iter((*good.expected.earlier, *good.expected.wishes)))
    if not first.told:
        return None
    value = first.slots[rng.choice(first.told)]
    if any(value in first.slots[name] and first.slots[name] != value for name in first.told):
        return None
    own = [fact.value for fact in good.own_facts()]
    texts = {place: getattr(good.scenario, place).replace(value, "that thing") for place in places}
    if any(value in one for one in own) or any(value.lower() in text.lower() for text in texts.values()):
        return None
    return good.changed(scenario=texts)


def _lost_fact(good: Good, rng: random.Random) -> Task | None:
    return _lost(good, rng, ("opening", "reason_for_call"))


def _lost_reason(good: Good, rng: random.Random) -> Task | None:
    """The caller that a model plays does not read what the scripted one says."""
    return _lost(good, rng, ("reason_for_call",))


def _told_withheld(good: Good, rng: random.Random) -> Task | None:
    """The opening says what the evidence takes for withheld."""
    held_back = [fact for fact in good.held_back() if len(fact.value) > 3]
    first = next(iter((*good.expected.earlier, *good.expected.wishes)))
    told = " ".join([*(first.slots[name] for name in first.told), *(fact.value for fact in good.own_facts())]).lower()
    held_back = [fact for fact in held_back if fact.value.lower() not in told]
    if good.task.intent is not Intent.AMBIGUOUS or not held_back:
        return None
    return good.changed(scenario=good.worded(opening=f"{good.scenario.opening} {rng.choice(held_back).answer}"))


def _reason_tells(good: Good, rng: random.Random) -> Task | None:
    """The caller that a model plays is told to say what the scripted one withholds."""
    task = _told_withheld(good, rng)
    return task and good.changed(scenario={"reason_for_call": task.scenario.reason_for_call})


def _someone_they_are_not(good: Good, rng: random.Random) -> Task | None:
    """The caller gives the name, the address or the number of another."""
    db = good.domain.open(good.task.data)
    facts = [fact for fact in good.own_facts() if fact.value in fact.answer]
    if not facts:
        return None
    fact = rng.choice(facts)
    other = rng.choice([one for one in good.domain.callers.ids(db) if one != good.expected.caller])
    value = good.domain.callers.facts(db, other)[fact.name]
    if value == fact.value:
        return None

    def turned(one: Fact) -> Fact:
        if one.name != fact.name:
            return one
        return one.model_copy(update={"value": value, "answer": one.answer.replace(fact.value, value)})

    words = good.worded(
        opening=good.scenario.opening.replace(fact.value, value),
        facts=[turned(one) for one in good.scenario.facts],
        changes=[
            change.model_copy(update={"facts": tuple(map(turned, change.facts))}) for change in good.scenario.changes
        ],
    )
    known = good.scenario.known_info.replace(fact.value, value)
    return good.changed(scenario={**words, "known_info": known})


def _another_answer(good: Good, rng: random.Random) -> Task | None:
    """When asked, the caller says something else than they mean."""
    if not good.plain and not good.refused:
        return None
    wrong = _other_value(good, good.expected.wishes[0], good.held_back(), rng)
    if wrong is None:
        return None
    facts = [wrong if fact.name == wrong.name else fact for fact in good.scenario.facts]
    return good.changed(scenario=good.worded(facts=facts))


def _another_answer_later(good: Good, rng: random.Random) -> Task | None:
    """Asked after the change of mind, the caller says something else than they mean."""
    moods = _moods(good)
    if not moods or good.expected.repairs:
        return None
    meant = good.expected.wishes[_last(good)]
    facts = [fact for fact in moods[-1].facts if fact.name in meant.slots]
    wrong = _other_value(good, meant, facts, rng)
    if wrong is None:
        return None
    change = moods[-1].model_copy(
        update={"facts": tuple(wrong if fact.name == wrong.name else fact for fact in moods[-1].facts)}
    )
    changes = [change if one is moods[-1] else one for one in good.scenario.changes]
    return good.changed(scenario=good.worded(changes=changes))


def _other_value(good: Good, meant: Meant, facts: Sequence[Fact], rng: random.Random) -> Fact | None:
    own = {fact.name for fact in good.own_facts()}
    for fact in rng.sample(facts, len(facts)):
        values = sorted({one.slots[fact.name] for one in good.options(meant) if fact.name in one.slots} - {fact.value})
        if values and fact.value in fact.answer and fact.name not in own:
            value = rng.choice(values)
            return fact.model_copy(update={"value": value, "answer": fact.answer.replace(fact.value, value)})
    return None


def _wrong_sentence(good: Good, rng: random.Random) -> Task | None:
    """The answer's words say something else than its value."""
    wrong = _other_value(good, good.expected.wishes[-1], good.held_back(), rng) if good.plain or good.refused else None
    if wrong is None:
        return None
    facts = [
        fact.model_copy(update={"answer": wrong.answer}) if fact.name == wrong.name else fact
        for fact in good.scenario.facts
    ]
    return good.changed(scenario=good.worded(facts=facts))


def _instructions_lost_answer(good: Good, rng: random.Random) -> Task | None:
    """The caller that a model plays does not know what they are to answer."""
    told = good.scenario.known_info.lower()
    held_back = [fact for fact in good.held_back() if fact.value.lower() not in told]
    if not held_back:
        return None
    answer = rng.choice(held_back).answer
    text = good.scenario.task_instructions.replace(f"Only when asked: {answer} ", "")
    return good.changed(scenario={"task_instructions": text}) if answer not in text else None


def _instructions_lost_change(good: Good, rng: random.Random) -> Task | None:
    """The caller that a model plays never changes their mind."""
    if not good.scenario.changes:
        return None
    change = rng.choice(good.scenario.changes)
    text = good.scenario.task_instructions.replace(f"{_SAID_WHEN[change.cue]}: {change.text} ", "")
    return good.changed(scenario={"task_instructions": text}) if change.text not in text else None


# Sets of tasks.


def _duplicate(good: Good, rng: random.Random) -> Planted:
    again = good.task.model_copy(update={"trajectory": f"{good.task.trajectory}-again"})
    return Planted("", again, run=(good.task,))


def _near_duplicate(good: Good, rng: random.Random) -> Planted | None:
    """One word of the opening is another."""
    words = good.scenario.opening.split()
    known = " ".join(fact.value for fact in good.scenario.facts)
    plain = [n for n, word in enumerate(words) if word.isalpha() and len(word) > 2 and word not in known]
    total = len(good.scenario.model_dump_json().split())
    if not plain or total < 60:
        return None
    words[rng.choice(plain)] = "really"
    return Planted("", good.changed(scenario=good.worded(opening=" ".join(words))), run=(good.task,))


def _same_structure(good: Good, rng: random.Random) -> Planted | None:
    """As many tasks as may be differ in nothing but names and values."""
    if not good.general:
        return None
    return Planted("", good.task, run=tuple(_renamed(good, rng) for _ in range(PER_STRUCTURE)))


def _renamed(good: Good, rng: random.Random) -> Task:
    text = good.task.model_dump_json()
    values = {fact.value for fact in good.scenario.facts}
    values |= {value for meant in good.expected.wishes for value in meant.slots.values()}
    values |= {v for call in good.expected.calls for v in call.arguments.values() if isinstance(v, str)}
    # Values alone are renamed, not what holds them by chance, such as a sentence or a field of the record.
    for value in sorted((value for value in values if len(value) > 3), key=len, reverse=True):
        other = re.sub(r"[A-Za-z]+", lambda word: "".join(rng.choices("bcdfghklmnprstvz", k=len(word[0]))), value)
        text = re.sub(
            rf"(?<![\w]){re.escape(value)}(?![\w])", re.sub(r"\d", lambda _: str(rng.randrange(10)), other), text
        )
    return Task.model_validate_json(text)


def _evaluated_text(good: Good, rng: random.Random) -> Planted:
    """A training task has the words of an evaluation task."""
    return Planted("", good.task, evaluated=(_held_out(good.task),))


def _held_out(task: Task) -> Task:
    other: Split = "test" if task.data.split == "train" else "train"
    return task.model_copy(update={"data": task.data.model_copy(update={"split": other})})


def _evaluated_caller(good: Good, rng: random.Random) -> Planted | None:
    """A training task is about the caller of an evaluation task, in other words and with other calls."""
    other = _renamed(good, rng)
    expectation = other.expectation.model_copy(update={"caller": good.expected.caller})
    other = other.model_copy(update={"data": good.task.data, "expectation": expectation})
    return Planted("", good.task, evaluated=(other,))


_TAU2_SAYS = (
    "You received your order #W2378156 and wish to exchange the mechanical keyboard for a similar one but with clicky "
    "switches and the smart thermostat for one compatible with Google Home instead of Apple HomeKit. If there is no "
    "keyboard that is clicky, RGB backlight, full size, you'd go for no backlight."
)
"""How a task of tau2's retail states its matter (github.com/sierra-research/tau2-bench, MIT)."""


def _tau2_words(good: Good, rng: random.Random) -> Planted:
    """A task holds the words of one of tau2's human-written tasks."""
    return Planted("", good.changed(scenario={"known_info": f"{good.scenario.known_info} {_TAU2_SAYS}"}))


KINDS: Mapping[str, Kind] = {
    "unreachable reference": Kind(_unreachable, ("replay",)),
    "write left out": Kind(_left_out, ("replay",)),
    "final state of doing nothing": Kind(_initial_state, ("replay", "do_nothing")),
    "unmotivated write": Kind(_unmotivated, ("motive",)),
    "needless repair": Kind(_needless_repair, ("motive",)),
    "write that changes nothing": Kind(_twice, ("replay", "necessity", "rules")),
    "exchange for itself": Kind(_for_itself, ("replay", "necessity", "rules", "uniqueness")),
    "overwritten write": Kind(_overwritten, ("necessity",)),
    "modify, then cancel": Kind(_modify_then_cancel, ("consistency", "necessity")),
    "cancel, then modify": Kind(_cancel_then_modify, ("replay", "rules")),
    "reference that breaks a rule": Kind(_breaks_a_rule, ("rules",)),
    "forbidden twin": Kind(_forbidden_twin, ("rules",)),
    "reference that does another thing": Kind(_another_thing, ("uniqueness",)),
    "someone else's matter": Kind(_someone_else, ("rules", "uniqueness")),
    "reference without a yes": Kind(_unconfirmed, ("reference",)),
    "caller whom nobody identified": Kind(_unidentified, ("rules", "replay")),
    "reference with foresight": Kind(_foresight, ("reference",)),
    "reference that guesses": Kind(_guess, ("reference",)),
    "wrong number to tell": Kind(_wrong_number, ("tell",)),
    "nothing to tell": Kind(_untold, ("tell",)),
    "told unasked": Kind(_told_unasked, ("tell",)),
    "ambiguous task that is not": Kind(_nothing_open, ("ambiguity",)),
    "clear task called ambiguous": Kind(_called_ambiguous, ("ambiguity",)),
    "ambiguous unawares": Kind(_ambiguous_unawares, ("ambiguity",)),
    "two valid referents": Kind(_two_referents, ("uniqueness",)),
    "change that changes nothing": Kind(_same_again, ("change",)),
    "change that says not which": Kind(_unclear_change, ("change",)),
    "change that lost a fact": Kind(_lost_in_change, ("words",)),
    "earlier wish that is forbidden": Kind(_forbidden_first, ("change",)),
    "earlier wish of other evidence": Kind(_another_first, ("change",)),
    "missing repair": Kind(_unrepaired, ("motive",)),
    "feasible infeasible task": Kind(_feasible, ("infeasibility",)),
    "infeasible for another reason": Kind(_wrong_reason, ("infeasibility",)),
    "refusal of what could be granted": Kind(_refused_or_granted, ("infeasibility",)),
    "refusal by other words": Kind(_wrong_cues, ("infeasibility",)),
    "forbidden call that may be made": Kind(_unguarded, ("infeasibility",)),
    "twin that is not near": Kind(_far_twin, ("twin",)),
    "leak of an id": Kind(_leaked_id, ("leak",)),
    "leak of a tool": Kind(_leaked_tool, ("leak",)),
    "leak of what must be told": Kind(_leaked_tell, ("leak",)),
    "leak of a clause": Kind(_leaked_clause, ("leak",)),
    "leak of the agent's words": Kind(_leaked_words, ("leak",)),
    "id that no caller knows": Kind(_unknown_id, ("knowledge",)),
    "words of the house": Kind(_policy_words, ("knowledge",)),
    "text that lost a fact": Kind(_lost_fact, ("words",)),
    "reason that lost a fact": Kind(_lost_reason, ("words",)),
    "reason that tells what is withheld": Kind(_reason_tells, ("words",)),
    "caller who is someone else": Kind(_someone_they_are_not, ("knowledge",)),
    "text that tells what is withheld": Kind(_told_withheld, ("words",)),
    "answer that is not meant": Kind(_another_answer, ("words",)),
    "later answer that is not meant": Kind(_another_answer_later, ("words",)),
    "answer in other words": Kind(_wrong_sentence, ("words",)),
    "instructions without an answer": Kind(_instructions_lost_answer, ("words",)),
    "instructions without a change": Kind(_instructions_lost_change, ("words",)),
    "exact duplicate": Kind(_duplicate, ("duplicate",)),
    "near duplicate": Kind(_near_duplicate, ("duplicate",)),
    "structure seen too often": Kind(_same_structure, ("duplicate",)),
    "words of an evaluation task": Kind(_evaluated_text, ("contamination",)),
    "caller of an evaluation task": Kind(_evaluated_caller, ("contamination",)),
    "words of a task of tau2": Kind(_tau2_words, ("contamination",)),
}
"""Every kind, by name; README.md says what each does."""
