"""General: the caller says clearly what they want; one referent fits every wish."""

import random

from t2t.intents.assemble import assemble, join_openings
from t2t.intents.scene import Scene, Script, Unsuitable, pick_opening, revealed
from t2t.records import Intent, Split, Task


def write(scene: Scene, wording: Split, rng: random.Random) -> Task:
    """Write the task.

    Raises:
        Unsuitable: a wish has no clear opening, or the walk ends before a call that cannot be made.
    """
    if scene.trajectory.blocked is not None:
        raise Unsuitable("blocked")
    script = Script(scene, wording, rng)
    goals = list(scene.goals.values())
    openings = {goal.call.id: pick_opening(goal, wording, rng, clear=True) for goal in goals}
    told = {g.call.id: revealed(openings[g.call.id], g.candidate.slots) for g in goals}
    for step in scene.trajectory.steps:
        goal = scene.goals.get(step.call.id)
        if goal is None or not goal.writes:
            owner = goal or scene.served(step.call.id)
            script.read(step.call, told[owner.call.id], owner)
            if goal is not None:
                script.report(goal, goal.tell)
            continue
        script.propose(goal)
        script.act(goal, goal.call, goal.tell)
    opening = join_openings(script, [openings[g.call.id].format(**g.candidate.slots) for g in goals])
    facts = script.facts_of(goals[0], goals[0].candidate.slots, openings[goals[0].call.id]) if len(goals) == 1 else ()
    if any(told[g.call.id].keys() != revealed(openings[g.call.id], g.candidate.slots).keys() for g in goals):
        raise Unsuitable("the opening leaves something to ask")
    return assemble(
        script,
        Intent.GENERAL,
        opening,
        facts,
        calls=tuple(step.call for step in scene.trajectory.steps),
        final_hash=scene.final_hash,
        tell=tuple(text for goal in goals for text in goal.tell),
    )
