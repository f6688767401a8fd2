"""Changing: the caller wants something else before the first wish is carried out.

Proof: the first wish is allowed and leads to another state than the last word, so that an agent that
acts on the first wish fails; the last word fits exactly one call.
"""

import random

from t2t.domain.wish import Candidate, named_slots
from t2t.intents.assemble import assemble, join_openings
from t2t.intents.scene import Goal, Scene, Script, Unsuitable, flat, key, meanings, pick_opening, revealed
from t2t.records import Change, Intent, Split, Task, ToolCall

_FIRST_WISHES_TRIED = 12


def write(scene: Scene, wording: Split, rng: random.Random) -> Task:
    """Write the task.

    Raises:
        Unsuitable: the wish has no other candidate that could have been meant first.
    """
    goals = list(scene.goals.values())
    if len(goals) != 1 or not goals[0].writes or goals[0].blocked:
        raise Unsuitable("not a single write")
    last = goals[0]
    options = [c for c in last.options if key(c) != key(last.candidate)]
    for candidate in rng.sample(options, min(_FIRST_WISHES_TRIED, len(options))):
        try:
            return _write(scene, last, last._replace(candidate=candidate), wording, rng)
        except Unsuitable:
            continue
    raise Unsuitable("no first wish leads elsewhere")


def _write(scene: Scene, last: Goal, first: Goal, wording: Split, rng: random.Random) -> Task:
    first_hash = scene.outcome(first, first.candidate)
    if first_hash is None or first_hash == scene.final_hash:
        raise Unsuitable("the first wish leads nowhere else")
    script = Script(scene, wording, rng)
    template = pick_opening(first, wording, rng, clear=True)
    told = revealed(template, first.candidate.slots)
    before = dict(told)
    later: list[ToolCall] = []
    for step in scene.trajectory.steps:
        look = _look_at_first(step.call, last, first) if scene.looks_at(last, step.call) else step.call
        if step.call.id != last.call.id:
            script.read(look, told, first)
            later += [step.call] if look != step.call else []
    if told != before:
        raise Unsuitable("the opening leaves something to ask")
    seen = scene.seen(last.call.id) | set(told.values()) | set(script.told_of_caller.values())
    looked_up = {parameter.name for parameter in scene.domain.tool_by_name[last.call.name].parameters if parameter.kind}
    needed = {name: value for name, value in first.candidate.arguments.items() if name in looked_up}
    if last.call.requestor == "assistant" and not set(flat(needed)) <= seen:
        raise Unsuitable("the talk does not show what the first wish needs")
    change = _change(last, first.candidate, told, wording, rng)
    script.propose(first)
    for call in later:
        script.read(call, told, last)
    script.propose(last)
    script.act(last, last.call, last.tell)
    text = change.format(**last.candidate.slots)
    return assemble(
        script,
        Intent.CHANGING,
        join_openings(script, [template.format(**first.candidate.slots)]),
        script.facts_of(first, first.candidate.slots, template),
        calls=tuple(step.call for step in scene.trajectory.steps),
        final_hash=scene.final_hash,
        tell=last.tell,
        changes=(
            Change(
                cue="proposal",
                text=text,
                facts=script.caller_known() + script.facts_of(last, last.candidate.slots, change),
            ),
        ),
    )


def _look_at_first(call: ToolCall, last: Goal, first: Goal) -> ToolCall:
    """A look at what the last wish is about, turned to the first."""
    arguments = {
        name: first.candidate.arguments.get(name, value) if value == last.call.arguments.get(name) else value
        for name, value in call.arguments.items()
    }
    if arguments == call.arguments:
        return call
    return call.model_copy(update={"id": f"{call.id}_first", "arguments": arguments})


def _change(last: Goal, first: Candidate, told: dict[str, str], wording: Split, rng: random.Random) -> str:
    templates = list(last.wish.changes[wording])
    for template in rng.sample(templates, len(templates)):
        names = named_slots(template)
        if not names <= last.candidate.slots.keys():
            continue
        if all(first.slots.get(name) == last.candidate.slots[name] for name in names):
            continue
        if any(last.candidate.slots.get(name) != value for name, value in told.items() if name not in names):
            continue
        if meanings(last, {**told, **revealed(template, last.candidate.slots)}) == 1:
            return template
    raise Unsuitable("no change of mind says clearly what is wanted")
