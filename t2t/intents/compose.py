"""Writes a task from a scene by a plan: the caller's words, the reference talk, and the evidence that proves it.

Nothing here decides whether a task is good: `t2t.verify.validation` proves that from the task alone.
"""

import hashlib
import random
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Literal, NamedTuple

from pydantic import JsonValue

from t2t.config import SynthesizeConfig
from t2t.domain.environment import Environment
from t2t.domain.rule import RuleContext
from t2t.domain.wish import Candidate, Undo, fits, named_slots
from t2t.errors import ToolError
from t2t.intents.persona import NEUTRAL, Persona, describe, draw
from t2t.intents.plan import Moment, Plan, plans
from t2t.intents.scene import (
    Goal,
    Scene,
    Unsuitable,
    count_questions,
    flat,
    key,
    meanings,
    pick_opening,
    revealed,
    run_and_tell,
)
from t2t.intents.script import Script
from t2t.records import (
    CallPattern,
    Change,
    Expectation,
    Fact,
    Intent,
    Meant,
    Refusal,
    Split,
    Task,
    ToolCall,
    UserScenario,
)
from t2t.verify.verifier import tells

Cue = Literal["message", "proposal", "done", "refusal"]

_MEANINGS_TRIED = 8
_GUESSES_TRIED = 6
_SAID_WHEN = {
    "message": "As soon as the agent has said something, say beside your answer",
    "proposal": "When the agent asks you to confirm, say instead",
    "done": "Once the agent says that it is done, say",
    "refusal": "If the agent refuses, say",
}
_TAKES_BACK = ("Please take that back. ", "No, undo that, please. ", "That was a mistake, please reverse it. ")
_ACCEPTS = ("I see. ", "All right. ", "Okay. ", "That is a pity. ")


def write_task(
    intent: Intent, scene: Scene, wording: Split, rng: random.Random, settings: SynthesizeConfig | None = None
) -> Task:
    """Write a task of `intent` by any of its plans, likelier ones first.

    Raises:
        Unsuitable: no plan fits the scene.
    """
    shares = plans(intent.value, settings or SynthesizeConfig(personas=0))
    reason = Unsuitable("no plan")
    order = sorted(shares, key=lambda plan: rng.random() ** (1 / shares[plan]), reverse=True)
    for plan in order:
        try:
            return compose(scene, plan, wording, rng)
        except Unsuitable as error:
            reason = error
    raise reason


def compose(scene: Scene, plan: Plan, wording: Split, rng: random.Random, *, personas: float = 0.0) -> Task:
    """Write the task.

    Args:
        scene: The replayed trajectory.
        plan: What makes it hard.
        wording: Pool of the sentences.
        rng: Picks among them.
        personas: Chance that the caller has a mood, register and length of their own.

    Raises:
        Unsuitable: the scene does not make such a task.
    """
    target = scene.target
    if plan.refused != bool(target.blocked):
        raise Unsuitable("not blocked" if plan.refused else "blocked")
    alone = len(scene.goals) == 1
    if plan.intent is not Intent.GENERAL and not alone and not plan.feasible_part:
        raise Unsuitable("more than one wish")
    if plan.feasible_part and alone:
        raise Unsuitable("nothing feasible beside it")
    if plan.intent is not Intent.GENERAL and not target.writes:
        raise Unsuitable("not a write")
    if plan.intent is Intent.GENERAL and plan.several == alone:
        raise Unsuitable("one wish" if alone else "more than one wish")
    if plan.intent is Intent.GENERAL and alone and plan.reads == target.writes:
        raise Unsuitable("a write" if plan.reads else "not a write")
    if plan.refused and any(
        scene.outcome(target.asking(candidate)) is not None
        for candidate in target.options
        if fits(candidate, target.candidate.slots)
    ):
        raise Unsuitable("the wish can be granted")
    if plan.twin and not just_allows(scene.environment, target, random.Random(0)):
        raise Unsuitable("no rule just allows it")
    persona = draw(rng, wording) if rng.random() < personas else NEUTRAL
    if not plan.changes and not plan.alternative:
        return _Draft(scene, plan, wording, rng, persona).write((), None)
    others = scene.elsewhere
    reason = Unsuitable("no other meaning leads elsewhere")
    for _ in range(min(_MEANINGS_TRIED, len(others) ** 2)):
        earlier = tuple(rng.choice(others) for _ in plan.changes)
        alternative = rng.choice(others) if plan.alternative else None
        if alternative is not None and any(key(alternative) == key(candidate) for candidate in earlier):
            continue
        try:
            return _Draft(scene, plan, wording, rng, persona).write(earlier, alternative)
        except Unsuitable as error:
            reason = error
    raise reason


class _Done(NamedTuple):
    """An earlier wish that was carried out, and how it is taken back."""

    goal: Goal
    looks: tuple[ToolCall, ...]
    undo: tuple[tuple[Undo, ToolCall], ...]


class _Draft:
    """One try to write a task."""

    def __init__(self, scene: Scene, plan: Plan, wording: Split, rng: random.Random, persona: Persona) -> None:
        self.scene, self.plan, self.rng = scene, plan, rng
        self.wording: Split = wording
        self.script = Script(scene, wording, rng, persona)
        self.changes: list[Change] = []
        self.carried_out: _Done | None = None
        self.looks: list[ToolCall] = []
        """Looks at what the target is about, which a rule wants first."""
        self.looked: list[ToolCall] = []

    def write(self, earlier: Sequence[Candidate], alternative: Candidate | None) -> Task:
        """Write the task in which the caller first wants `earlier`, one after the other."""
        scene, script, target = self.scene, self.script, self.scene.target
        chain = [target.meaning(candidate, f"call_first_{n}") for n, candidate in enumerate(earlier, 1)] + [target]
        self._check_earlier(chain)
        goals = [*scene.goals.values()][:-1]
        openings: dict[str, str] = {}
        for goal in goals:
            openings[goal.call.id] = pick_opening(goal, self.wording, self.rng, open_questions=0)
        shown = scene.shown_to_caller
        template = pick_opening(chain[0], self.wording, self.rng, open_questions=self.plan.withheld, shown=shown)
        told = {goal.call.id: revealed(openings[goal.call.id], goal.candidate.slots) for goal in goals}
        told_now = revealed(template, chain[0].candidate.slots)
        if self.plan.withheld and not self.plan.refused:
            self._check_guesses(chain[0], told_now)
        started = [frozenset(told_now)]
        place = 0
        for step in scene.trajectory.steps:
            if step.call.id == target.call.id:
                break
            goal = scene.goals.get(step.call.id)
            if goal is not None:
                self._keep_to(told, goal)
                script.propose(goal)
                script.act(goal)
                continue
            owner = scene.served(step.call.id)
            if owner is not target:
                script.read(step.call, told[owner.call.id], owner)
            elif scene.looks_at(target, step.call):
                self.looks.append(step.call)
                self._look(step.call, chain[place], told_now)
            else:
                script.read(step.call, told_now, chain[place])
            if place < len(earlier) and self.plan.changes[place] == "message" and script.spoken:
                place = self._change("message", chain, place, told_now, started)
        for moment in self.plan.changes[place:]:
            if moment == "message":
                raise Unsuitable("nothing is asked before a proposal")
            self._settle(chain[place], told_now, needs_seen=True)
            script.propose(chain[place])
            if moment == "done":
                self._carry_out(chain[place], target)
                script.finish()
            place = self._change(moment, chain, place, told_now, started)
        for goal in goals:
            if told[goal.call.id].keys() != revealed(openings[goal.call.id], goal.candidate.slots).keys():
                raise Unsuitable("the opening leaves something to ask")
        calls = [*scene.calls_before_target]
        if self.carried_out:
            calls += [*self.carried_out.looks, self.carried_out.goal.call]
            calls += [call for _, call in self.carried_out.undo]
        tell = [text for goal in goals for text in goal.tell]
        wishes = [_meant(goal, frozenset(named_slots(openings[goal.call.id]))) for goal in goals]
        final_hash = scene.final_hash
        if self.plan.refused:
            self._settle(target, told_now)
            script.refuse(target)
            wishes.append(_meant(target, started[-1]))
            if alternative is not None:
                goal = self._accept(alternative, told_now, started)
                looks = [_turned(look, target, goal) for look in self.looks]
                calls += [look for look in looks if look not in calls]
                calls.append(goal.call)
                tell += goal.tell
                wishes.append(_meant(goal, started[-1]))
                final_hash = scene.outcome(goal.call) or ""
                if any(scene.outcome(one.call) == final_hash for one in chain[:-1]):
                    raise Unsuitable("an earlier wish leads to the same as the alternative")
        else:
            final_hash = self._fulfil(target, told_now)
            calls.append(target.call)
            tell += target.tell
            wishes.append(_meant(target, started[-1]))
        if self.plan.intent is Intent.GENERAL and told_now.keys() != named_slots(template):
            raise Unsuitable("the opening leaves something to ask")
        opening = script.dressed_opening(
            [
                *(openings[goal.call.id].format(**goal.candidate.slots) for goal in goals),
                template.format(**chain[0].candidate.slots),
            ],
            {
                f"{n} {name}": value
                for n, goal in enumerate((*goals, chain[0]))
                for name, value in goal.candidate.slots.items()
            },
        )
        script.finish()
        facts = script.caller_known + (script.facts_of(chain[0], started[0]) if not goals else ())
        texts = [opening, *(fact.answer for fact in facts), *(change.text for change in self.changes)]
        texts += [fact.answer for change in self.changes for fact in change.facts]
        if any(tells(text, secret) for text in texts for secret in tell):
            raise Unsuitable("the caller knows what must be told")
        expectation = Expectation(
            calls=tuple(calls),
            final_hash=final_hash,
            tell=tuple(tell),
            refusal=_refusal(scene, target) if self.plan.refused else None,
            forbidden=(CallPattern(name=target.call.name, arguments=target.call.arguments),)
            if self.plan.refused
            else (),
            moves=tuple(script.moves),
            caller=scene.trajectory.caller,
            wishes=tuple(wishes),
            earlier=tuple(
                _meant(
                    goal,
                    names,
                    goal.call.id if self.carried_out and goal.call.id == self.carried_out.goal.call.id else "",
                )
                for goal, names in zip(chain[:-1], started, strict=False)
            ),
            repairs=tuple(call.id for _, call in self.carried_out.undo) if self.carried_out else (),
        )
        scenario = _scenario(script, opening, facts, tuple(self.changes))
        traits = self._traits(chain[0], template)
        return make_task(scene, self.plan.intent, self.wording, scenario, expectation, traits)

    def _check_earlier(self, chain: Sequence[Goal]) -> None:
        """Each wish is followed by another."""
        for goal, following in pairwise(chain):
            if key(goal.candidate) == key(following.candidate):
                raise Unsuitable("the mind changes to the same")

    def _check_guesses(self, goal: Goal, told: Mapping[str, str]) -> None:
        """Another meaning of the opening is allowed, and none leads to the final state."""
        others = [one for one in goal.options if fits(one, told) and key(one) != key(self.scene.target.candidate)]
        allowed = 0
        for candidate in self.rng.sample(others, min(_GUESSES_TRIED, len(others))):
            outcome = self.scene.outcome(goal.asking(candidate))
            if outcome == self.scene.final_hash:
                raise Unsuitable("another meaning leads to the same")
            allowed += outcome is not None
        if not allowed:
            raise Unsuitable("no other meaning leads elsewhere")

    def _keep_to(self, told: Mapping[str, Mapping[str, str]], goal: Goal) -> None:
        if meanings(goal, told[goal.call.id]) != 1:
            raise Unsuitable("the opening leaves something to ask")

    def _look(self, call: ToolCall, goal: Goal, told: dict[str, str]) -> None:
        """Look at what `goal` is about before a rule asks for it; a look needs to know at what."""
        if self.plan.withheld or self.plan.refused:
            self.script.resolve(goal, told)
        turned = _turned(call, self.scene.target, goal)
        if turned not in self.looked:
            self.script.read(turned, told, goal)
            self.looked.append(turned)

    def _settle(self, goal: Goal, told: dict[str, str], *, needs_seen: bool = False) -> None:
        """Ask until the goal is clear; with `needs_seen`, all that its call needs must have been shown by now."""
        if self.plan.intent is not Intent.GENERAL:
            self.script.resolve(goal, told)
        if not needs_seen or goal.call.requestor != "assistant":
            return
        scene = self.scene
        looked_up = {p.name for p in scene.domain.tool_by_name[goal.call.name].parameters if p.kind}
        needed = {name: value for name, value in goal.call.arguments.items() if name in looked_up}
        known = set(scene.seen(scene.target.call.id)) | set(told.values()) | set(self.script.told_of_caller.values())
        if not set(flat(needed)) <= known:
            raise Unsuitable("the talk does not show what the first wish needs")

    def _change(
        self, moment: Moment, chain: Sequence[Goal], place: int, told: dict[str, str], started: list[frozenset[str]]
    ) -> int:
        """The caller now wants the next wish; returns its place."""
        before, after = chain[place], chain[place + 1]
        template = self._change_template(after, before.candidate, told)
        undone = moment == "done" and self.carried_out is not None and self.carried_out.undo
        # Without the words another call might change what was done into what is wanted, and lead elsewhere.
        lead = self.rng.choice(_TAKES_BACK) if undone else ""
        self._say_change(moment, template, after, told, started, lead)
        for look in self.looks:
            self._look(look, after, told)
        return place + 1

    def _say_change(
        self, cue: Cue, template: str, goal: Goal, told: dict[str, str], started: list[frozenset[str]], lead: str = ""
    ) -> None:
        script, names = self.script, named_slots(template)
        text = lead + script.dressed_change(template.format(**goal.candidate.slots), goal.candidate.slots)
        facts = script.caller_known + script.facts_of(goal, names)
        self.changes.append(Change(cue=cue, text=text, facts=facts))
        told |= revealed(template, goal.candidate.slots)
        started.append(names)

    def _change_template(self, after: Goal, before: Candidate, told: Mapping[str, str]) -> str:
        templates = after.wish.changes[self.wording]
        slots = after.candidate.slots
        for template in self.rng.sample(templates, len(templates)):
            names = named_slots(template)
            if not names <= slots.keys() or all(before.slots.get(name) == slots[name] for name in names):
                continue
            if any(slots.get(name) != value for name, value in told.items() if name not in names):
                continue
            if meanings(after, {**told, **revealed(template, slots)}) == 1:
                return template
        raise Unsuitable("no change of mind says clearly what is wanted")

    def _carry_out(self, goal: Goal, target: Goal) -> None:
        """Carry out a wish that the caller then gives up, and find out how it is taken back.

        A wish is taken back by the calls that its domain names, or by the later wish itself where that leads to
        the state it would have led to alone. The order of the repair must not matter.
        """
        scene = self.scene
        with scene.trying([]) as _:
            environment = scene.environment
            looks = tuple(_turned(look, target, goal) for look in self.looks)
            for look in looks:
                environment.run(look)
            before = environment.mark()
            try:
                tell, value = run_and_tell(environment, goal.wish, goal.call, goal.candidate)
            except ToolError:
                raise Unsuitable("the first wish cannot be carried out") from None
            goal = goal._replace(tell=tell)
            undo = goal.wish.undo
            found = tuple(undo(environment.db, goal.call.arguments, goal.candidate.slots, value)) if undo else ()
            environment.back_to(before)
        calls = [
            ToolCall(id=f"call_undo_{n}", name=one.tool, arguments=one.arguments) for n, one in enumerate(found, 1)
        ]
        alone, first = scene.outcome(target.call), scene.outcome(*looks, goal.call)
        over = scene.outcome(*looks, goal.call, target.call)
        if over is not None and over == alone:
            calls, found = [], ()
        elif not calls:
            raise Unsuitable("what is carried out cannot be taken back")
        both = scene.outcome(*looks, goal.call, *calls, target.call)
        if both is None or both in (first, scene.initial_hash):
            raise Unsuitable("what is carried out cannot be taken back")
        if calls and scene.outcome(*looks, goal.call, target.call, *calls) not in (None, both):
            raise Unsuitable("the order of the repair matters")
        self.script.act(goal)
        self.carried_out = _Done(goal, looks, tuple(zip(found, calls, strict=True)))

    def _fulfil(self, target: Goal, told: dict[str, str]) -> str:
        """Bring the target's wish to its end; returns the final state."""
        scene, script, done = self.scene, self.script, self.carried_out
        if not target.writes:
            script.read(target.call, told, target)
            script.report(target)
            return scene.final_hash
        if done is not None:
            for undo, call in done.undo:
                script.take_back(undo, call)
        self._settle(target, told)
        script.propose(target)
        script.act(target)
        if done is None:
            return scene.final_hash
        return scene.outcome(*done.looks, done.goal.call, *(call for _, call in done.undo), target.call) or ""

    def _accept(self, alternative: Candidate, told: dict[str, str], started: list[frozenset[str]]) -> Goal:
        """The caller takes something else; returns it as a goal with what must be told of it."""
        scene, script, target = self.scene, self.script, self.scene.target
        goal = target.meaning(alternative, "call_alternative")
        if scene.outcome(goal.call) in (None, scene.final_hash):
            raise Unsuitable("the alternative is forbidden as well")
        template = self._change_template(goal, target.candidate, told)
        self._say_change("refusal", template, goal, told, started, self.rng.choice(_ACCEPTS))
        for look in self.looks:
            self._look(look, goal, told)
        self._settle(goal, told, needs_seen=True)
        with scene.trying([]):
            environment = scene.environment
            for look in self.looks:
                environment.run(_turned(look, target, goal))
            tell, _ = run_and_tell(environment, goal.wish, goal.call, goal.candidate)
        goal = goal._replace(tell=tell)
        script.propose(goal)
        script.act(goal)
        return goal

    def _traits(self, first: Goal, template: str) -> dict[str, JsonValue]:
        plan, scene = self.plan, self.scene
        traits: dict[str, JsonValue] = {"goals": len(scene.goals)}
        withheld = count_questions(first, revealed(template, first.candidate.slots), scene.shown_to_caller)
        if withheld:
            traits["withheld"] = withheld
        if plan.changes:
            traits |= {"changes": len(plan.changes), "when": list(plan.changes)}
        if plan.refused and scene.trajectory.blocked is not None:
            blocked = scene.trajectory.blocked
            traits |= {"clause": blocked.clause} if blocked.clause else {"constraint": blocked.constraint}
            traits |= {"feasible_part": plan.feasible_part, "alternative": plan.alternative}
        if plan.twin:
            traits |= {"twin": True, "clause": just_allows(scene.environment, scene.target, self.rng)}
        persona = self.script.persona
        if persona != NEUTRAL:
            traits |= {"mood": persona.mood, "register": persona.register, "length": persona.length}
        return traits


def just_allows(environment: Environment, goal: Goal, rng: random.Random) -> str:
    """A clause that allows the goal's call by little, or that forbids the same wish with a sibling's values; or empty.

    A rule without a `near` of its own allows by little when another thing that the caller could mean, and could
    say with the same slots, breaks it.
    """
    context = RuleContext(environment.db, goal.call, tuple(environment.past), None)
    rules = [rule for rule in environment.domain.rules_by_tool.get(goal.call.name, ()) if not rule.avoidable]
    for rule in rng.sample(rules, len(rules)):
        if rule.near is not None:
            if rule.near(context):
                return rule.clause
            continue
        for other in goal.options:
            call = goal.call.model_copy(update={"arguments": other.arguments})
            if other.slots.keys() == goal.candidate.slots.keys() and rule in environment.breaks(call):
                return rule.clause
    return ""


def make_task(
    scene: Scene,
    intent: Intent,
    wording: Split,
    scenario: UserScenario,
    expectation: Expectation,
    traits: dict[str, JsonValue],
) -> Task:
    """Make the task; its id is the hash of all it says and expects."""
    task = Task(
        id="",
        domain=scene.domain.name,
        intent=intent,
        data=scene.trajectory.data,
        wording=wording,
        scenario=scenario,
        expectation=expectation,
        trajectory=scene.trajectory.id,
        traits=traits,
    )
    return task.model_copy(update={"id": task_id(task)})


def task_id(task: Task) -> str:
    """``<domain>-<intent>-<hash>`` of all that a task says and expects, and of the data it is about."""
    body = f"{task.scenario.model_dump_json()}{task.expectation.model_dump_json()}{task.data.model_dump_json()}"
    return f"{task.domain}-{task.intent.value}-{hashlib.sha256(body.encode()).hexdigest()[:12]}"


def _scenario(script: Script, opening: str, facts: tuple[Fact, ...], changes: tuple[Change, ...]) -> UserScenario:
    known = {fact.name for fact in script.caller_known}
    held_back = [fact for fact in facts if fact.name not in known and not fact.in_opening]
    instructions = ["Answer what you are asked, briefly and truthfully."]
    instructions += [f"Only when asked: {fact.answer}" for fact in held_back]
    instructions += [f"{_SAID_WHEN[change.cue]}: {change.text}" for change in changes]
    instructions.append("Agree to a proposal that is what you want. Say goodbye once it is settled.")
    return UserScenario(
        reason_for_call=f"You call the {script.scene.domain.name}. You say: {opening}",
        known_info=" ".join(f"Your {fact.name} is {fact.value}." for fact in script.caller_known),
        unknown_info="You do not know the rules of the house or any internal ids.",
        task_instructions=" ".join(instructions),
        opening=opening,
        facts=facts,
        changes=changes,
        actions=script.actions(),
        persona=describe(script.persona),
    )


def _meant(goal: Goal, told: frozenset[str], call_id: str | None = None) -> Meant:
    fulfilled = "" if goal.blocked else goal.call.id
    return Meant(
        tool=goal.call.name,
        arguments=goal.call.arguments,
        slots=dict(goal.candidate.slots),
        told=tuple(sorted(told)),
        call=fulfilled if call_id is None else call_id,
        forbidden_by=goal.blocked,
    )


def _refusal(scene: Scene, goal: Goal) -> Refusal:
    for rule in scene.domain.rules:
        if rule.clause == goal.blocked:
            return Refusal(clause=rule.clause, cues=rule.cues)
    constraint = next(one for one in scene.domain.constraints if one.name == goal.blocked)
    return Refusal(clause="", cues=constraint.cues)


def _turned(call: ToolCall, target: Goal, goal: Goal) -> ToolCall:
    """A look at what the target is about, turned to what `goal` is about."""
    arguments = {
        name: goal.call.arguments.get(name, value) if value == target.call.arguments.get(name) else value
        for name, value in call.arguments.items()
    }
    if arguments == call.arguments:
        return call
    return call.model_copy(update={"id": f"{call.id}_{goal.call.id}", "arguments": arguments})
