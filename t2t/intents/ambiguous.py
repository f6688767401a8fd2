"""Ambiguous: the opening fits several calls, what the caller knows fits one.

Proof: at least two meanings fit the opening; exactly one fits all that the caller knows; and at least
one other meaning is allowed and leads to another state, so that guessing is punished.
"""

import random

from t2t.domain.wish import fits
from t2t.intents.assemble import assemble, join_openings
from t2t.intents.scene import Scene, Script, Unsuitable, key, pick_opening, revealed
from t2t.records import Intent, Split, Task

_OTHERS_TRIED = 6


def write(scene: Scene, wording: Split, rng: random.Random) -> Task:
    """Write the task.

    Raises:
        Unsuitable: no opening is ambiguous, or guessing another meaning would not matter.
    """
    goals = list(scene.goals.values())
    if len(goals) != 1 or not goals[0].writes or goals[0].blocked:
        raise Unsuitable("not a single write")
    goal = goals[0]
    script = Script(scene, wording, rng)
    template = pick_opening(goal, wording, rng, clear=False)
    told = revealed(template, goal.candidate.slots)
    others = [c for c in goal.options if fits(c, told) and key(c) != key(goal.candidate)]
    others = rng.sample(others, min(_OTHERS_TRIED, len(others)))
    states = {scene.outcome(goal, other) for other in others} - {None}
    if not states - {scene.final_hash}:
        raise Unsuitable("no other meaning leads elsewhere")
    for step in scene.trajectory.steps:
        if step.call.id != goal.call.id:
            if scene.looks_at(goal, step.call):
                script.resolve(goal, told)
            script.read(step.call, told, goal)
    asked = len(script.moves)
    script.resolve(goal, told)
    if len(script.moves) == asked and told == revealed(template, goal.candidate.slots):
        raise Unsuitable("nothing is left to ask")
    script.propose(goal)
    script.act(goal, goal.call, goal.tell)
    return assemble(
        script,
        Intent.AMBIGUOUS,
        join_openings(script, [template.format(**goal.candidate.slots)]),
        script.facts_of(goal, goal.candidate.slots, template),
        calls=tuple(step.call for step in scene.trajectory.steps),
        final_hash=scene.final_hash,
        tell=goal.tell,
    )
