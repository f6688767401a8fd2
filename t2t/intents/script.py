"""The reference talk, written forwards: what an argument needs was told or shown before, else it is asked for."""

import random
from collections.abc import Mapping
from functools import cached_property
from itertools import product

from t2t.domain.environment import Environment
from t2t.domain.tool import harvest
from t2t.domain.wish import Slot, Undo, named_slots
from t2t.intents.persona import NEUTRAL, Persona, dress
from t2t.intents.scene import Goal, Scene, Unsuitable, best_question, flat, meanings, revealed
from t2t.records import Fact, Move, Split, ToolCall, UserAction


class Script:
    """Writes the talk forwards: what was told, what the agent does next."""

    def __init__(self, scene: Scene, wording: Split, rng: random.Random, persona: Persona = NEUTRAL) -> None:
        """Start with the caller's introduction."""
        self.scene = scene
        self.wording: Split = wording
        self.persona = persona
        self.rng = rng
        self.moves: list[Move] = []
        self.pending = ""
        self.caller_facts = scene.caller_facts
        template = rng.choice(_introductions(scene, wording))
        self.introduction = template.format(**self.caller_facts)
        self.told_of_caller = revealed(template, self.caller_facts)
        self.shown: dict[str, str] = {}
        """What the caller's own reads have shown, by field."""

    def say(self, text: str) -> None:
        """Speak to the caller."""
        self.moves.append(Move(say=f"{self.pending} {text}".strip()))
        self.pending = ""

    @property
    def spoken(self) -> bool:
        """True once the agent has said something."""
        return any(move.say for move in self.moves)

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
        questions = {slot.name: slot.question for slot in goal.wish.slots}
        while meanings(goal, told) > 1:
            name = best_question(goal, told)
            if name is None:
                raise Unsuitable("what the caller knows does not tell the meanings apart")
            self.say(questions[name])
            told[name] = goal.candidate.slots[name]

    def propose(self, goal: Goal) -> None:
        """Say what will be done and ask for a yes, or have the caller do what only they can."""
        if goal.call.requestor == "user":
            self.say(self._instruct(goal.call))
            return
        self._offer(goal.wish.proposal.format(**goal.candidate.slots))

    def take_back(self, undo: Undo, call: ToolCall) -> None:
        """Propose to take something back, and do it."""
        self._offer(undo.proposal)
        self.moves.append(Move(calls=(call,)))
        self.pending = f"{self.pending} Done.".strip()

    def act(self, goal: Goal) -> None:
        """Make the call, unless the caller made it when told to, and remember what to report."""
        if goal.call.requestor == "assistant":
            self.moves.append(Move(calls=(goal.call,)))
        self.report(goal)

    def report(self, goal: Goal) -> None:
        """Remember to say that a goal is reached."""
        done = "Done." if goal.writes else ""
        told = goal.wish.report.format(*goal.tell, **goal.candidate.slots) if goal.wish.report else ""
        self.pending = " ".join(part for part in (self.pending, done, told) if part)

    def refuse(self, goal: Goal) -> None:
        """Say no with the reason."""
        self.say(f"I am sorry, I can't {goal.wish.proposal.format(**goal.candidate.slots)}: {goal.reason}.")

    def finish(self) -> None:
        """Say what is left to say."""
        if self.pending:
            self.say("")

    def dressed_opening(self, wishes: list[str], values: Mapping[str, str]) -> str:
        """The introduction and what is wanted, as the persona says it in one message."""
        first, *rest = wishes
        keep = [*values.values(), *self.caller_facts.values()]
        as_it_is = ("I ", "I'", *keep)
        also = [f"Also, {text}" if text.startswith(as_it_is) else f"Also, {text[0].lower()}{text[1:]}" for text in rest]
        text = " ".join(part for part in (self.introduction, first, *also) if part)
        return dress(text, self.persona, self.wording, self.rng, "opening", keep)

    def dressed_change(self, text: str, values: Mapping[str, str]) -> str:
        """A change of mind as the persona says it."""
        return dress(text, self.persona, self.wording, self.rng, "change", list(values.values()))

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

    @cached_property
    def caller_known(self) -> tuple[Fact, ...]:
        """The caller's facts about themselves."""
        slots = {slot.name: slot for slot in self.scene.domain.callers.slots}
        return tuple(
            self._fact(slots[name], value, name in named_slots(self.introduction) or value in self.introduction)
            for name, value in self.caller_facts.items()
            if name in slots
        )

    def facts_of(self, goal: Goal, told: frozenset[str]) -> tuple[Fact, ...]:
        """What the caller can tell of a goal when asked; `told` they have said already."""
        slots = goal.candidate.slots
        return tuple(
            self._fact(slot, slots[slot.name], slot.name in told) for slot in goal.wish.slots if slot.name in slots
        )

    def _offer(self, proposal: str) -> None:
        lead = "Next, I" if self.pending else "I"
        self.say(f"{lead} will {proposal}. Shall I go ahead?")

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
        plain = self.rng.choice(slot.answers[self.wording]).format(value=value)
        answer = dress(plain, self.persona, self.wording, self.rng, "answer", [value])
        return Fact(name=slot.name, value=value, asked_by=slot.asked_by, answer=answer, in_opening=in_opening)


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
