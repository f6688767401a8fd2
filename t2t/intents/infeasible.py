"""Infeasible: a rule forbids the wish, alone or beside a feasible one.

Proof: everything that fits all the caller knows of the wish is forbidden; the feasible rest is the
reference; and silence is no success, for the refusal with its reason must be told.
"""

import random

from t2t.domain.wish import fits
from t2t.intents.assemble import assemble, join_openings
from t2t.intents.scene import Goal, Scene, Script, Unsuitable, pick_opening, revealed
from t2t.records import Intent, Split, Task


def write(scene: Scene, wording: Split, rng: random.Random) -> Task:
    """Write the task.

    Raises:
        Unsuitable: the walk ends before no forbidden call, or the wish could be granted after all.
    """
    if scene.trajectory.blocked is None:
        raise Unsuitable("not blocked")
    *feasible, refused = scene.goals.values()
    granting = [c for c in refused.options if fits(c, refused.candidate.slots)]
    if any(scene.outcome(refused, candidate) is not None for candidate in granting):
        raise Unsuitable("the wish can be granted")
    script = Script(scene, wording, rng)
    templates: dict[str, str] = {}
    told: dict[str, dict[str, str]] = {}
    for goal in (*feasible, refused):
        template = pick_opening(goal, wording, rng, clear=True) if feasible else _any_opening(goal, wording, rng)
        templates[goal.call.id] = template
        told[goal.call.id] = revealed(template, goal.candidate.slots)
    for step in scene.trajectory.steps:
        goal = scene.goals.get(step.call.id)
        if goal is None or not goal.writes:
            owner = goal or scene.served(step.call.id)
            if not feasible and scene.looks_at(refused, step.call):
                script.resolve(refused, told[refused.call.id])
            script.read(step.call, told[owner.call.id], owner)
            if goal is not None:
                script.report(goal, goal.tell)
            continue
        script.propose(goal)
        script.act(goal, goal.call, goal.tell)
    if not feasible:
        script.resolve(refused, told[refused.call.id])
    script.refuse(refused)
    openings = [templates[g.call.id].format(**g.candidate.slots) for g in (*feasible, refused)]
    facts = () if feasible else script.facts_of(refused, refused.candidate.slots, templates[refused.call.id])
    return assemble(
        script,
        Intent.INFEASIBLE,
        join_openings(script, openings),
        facts,
        calls=tuple(step.call for step in scene.trajectory.steps),
        final_hash=scene.final_hash,
        tell=tuple(text for goal in feasible for text in goal.tell),
        refused=refused,
    )


def _any_opening(goal: Goal, wording: Split, rng: random.Random) -> str:
    """Clear in most cases, so that refusing and asking back are not told apart by the words."""
    first = rng.random() < 0.75
    try:
        return pick_opening(goal, wording, rng, clear=first)
    except Unsuitable:
        return pick_opening(goal, wording, rng, clear=not first)
