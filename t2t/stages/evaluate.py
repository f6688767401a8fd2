"""Baseline and evaluate: play the held-out tasks. Read tasks and weights, write ``rollouts.jsonl``.

The baseline plays them with the untuned model, an agent that does nothing and the reference agent;
it does not depend on training, so a sweep over training settings shares it.
"""

from collections import defaultdict
from typing import cast

from pydantic import JsonValue

from t2t.config import RunConfig
from t2t.records import Task
from t2t.stages.earlier import take_over
from t2t.stages.rollout import is_training
from t2t.stages.stage import StageContext
from t2t.stages.talks import close_books, play_unserved, play_with_model, sum_up
from t2t.store import Writer, read_records


def held_out_tasks(config: RunConfig, tasks: list[Task]) -> list[Task]:
    """The evaluated tasks: all of the trained domains, ``evaluate.num_unseen`` of each unseen one, and tau2's.

    Raises:
        ConfigError: ``evaluate.tau2`` names what tau2 does not have, or tau2 is not installed.
    """
    chosen: list[Task] = []
    by_domain: dict[str, list[Task]] = defaultdict(list)
    for task in tasks:
        if not is_training(task):
            by_domain[task.domain].append(task)
    for domain, found in by_domain.items():
        if domain in config.domain.train:
            chosen.extend(found)
            continue
        by_intent: dict[str, list[Task]] = defaultdict(list)
        for task in found:
            by_intent[task.intent.value].append(task)
        left = config.evaluate.num_unseen
        while left and any(by_intent.values()):
            for intent in sorted(by_intent):
                if left and by_intent[intent]:
                    chosen.append(by_intent[intent].pop(0))
                    left -= 1
    for part in config.evaluate.tau2:
        from t2t.interop.tau2 import load_tasks

        member, _, split = part.partition(":")
        chosen.extend(load_tasks(member, split or "test"))
    return chosen


def run_baseline(context: StageContext) -> dict[str, JsonValue]:
    """Play with the floor, the ceiling and the untuned model."""
    return _run(context, baseline=True)


def run_tuned(context: StageContext) -> dict[str, JsonValue]:
    """Play with the tuned model's merged weights."""
    return _run(context, baseline=False)


def _run(context: StageContext, *, baseline: bool) -> dict[str, JsonValue]:
    config = context.config
    tasks = held_out_tasks(config, list(read_records(context.inputs["synthesize"] / "tasks.jsonl", Task)))
    label = "baseline" if baseline else "evaluate"
    agents = ("do_nothing", "reference", "base") if baseline else ("tuned",)
    with Writer(context.folder / "rollouts.jsonl") as writer:
        taken = take_over(context, tasks, writer, agents, config.evaluate.attempts)
        if baseline:
            play_unserved(context, tasks, writer, "do_nothing", "evaluate", label)
            play_unserved(context, tasks, writer, "reference", "evaluate", label)
            play_with_model(context, tasks, writer, "base", "evaluate", label)
        else:
            play_with_model(context, tasks, writer, "tuned", "evaluate", label, tuned=context.inputs["train"])
    found = sum_up(context.folder)
    books = close_books(context.folder, agents[-1], found[agents[-1]]) if agents[-1] in found else {}
    outcomes = {name: summary.as_json() for name, summary in found.items()}
    return {"count": len(tasks), "agents": cast(JsonValue, outcomes), **taken, **books}
