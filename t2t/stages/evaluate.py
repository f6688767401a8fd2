"""Baseline and evaluate: play the held-out tasks. Read tasks and weights, write ``rollouts.jsonl``.

The baseline plays them with the untuned model, an agent that does nothing and the reference agent;
it does not depend on training, so a sweep over training settings shares it.
"""

from collections import defaultdict
from typing import cast

from pydantic import JsonValue

from t2t.config import RunConfig
from t2t.records import Rollout, Task
from t2t.stages.rollout import is_training, summary
from t2t.stages.serving import serve
from t2t.stages.stage import StageContext
from t2t.stages.talks import callers_of, idle_sessions, model_sessions, play_all, reference_sessions
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
    every = list(read_records(context.inputs["synthesize"] / "tasks.jsonl", Task))
    tasks = held_out_tasks(config, every)
    label = "baseline" if baseline else "evaluate"
    file = context.folder / "rollouts.jsonl"
    agent = "base" if baseline else "tuned"
    servers = config.domain.mcp
    source = config.model.source if baseline else str(context.inputs["train"] / "merged")
    with Writer(file) as writer:
        if baseline:
            play_all(tasks, "do_nothing", idle_sessions, config.evaluate, servers, writer, label)
            play_all(tasks, "reference", reference_sessions, config.evaluate, servers, writer, label)
        with serve(config, source, agent, context.folder / "server.log", config.evaluate) as served:
            sessions, callers = model_sessions(served.chat, servers), callers_of(config.user, servers)
            play_all(tasks, agent, sessions, config.evaluate, servers, writer, label, callers)
    agents = defaultdict[str, list[Rollout]](list)
    for rollout in read_records(file, Rollout):
        agents[rollout.agent].append(rollout)
    return {"count": len(tasks), "agents": cast(JsonValue, {name: summary(found) for name, found in agents.items()})}
