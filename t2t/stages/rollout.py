"""Rollout: play the training tasks. Reads tasks, writes ``rollouts.jsonl``."""

from collections import Counter
from collections.abc import Iterable
from typing import cast

from pydantic import JsonValue

from t2t.records import Rollout, Task
from t2t.stages.serving import serve
from t2t.stages.stage import StageContext
from t2t.stages.talks import callers_of, model_sessions, play_all, reference_sessions
from t2t.store import Writer, read_records


def run(context: StageContext) -> dict[str, JsonValue]:
    """Play every training task ``rollout.attempts`` times."""
    config = context.config
    tasks = [task for task in read_records(context.inputs["synthesize"] / "tasks.jsonl", Task) if is_training(task)]
    servers = config.domain.mcp
    file = context.folder / "rollouts.jsonl"
    with Writer(file) as writer:
        if config.rollout.agent == "reference":
            play_all(tasks, "reference", reference_sessions, config.rollout, servers, writer, "rollout")
        else:
            with serve(config, config.model.source, "base", context.folder / "server.log", config.rollout) as served:
                callers = callers_of(config.user, servers)
                sessions = model_sessions(served.chat, servers)
                play_all(tasks, "base", sessions, config.rollout, servers, writer, "rollout", callers)
    return summary(read_records(file, Rollout))


def is_training(task: Task) -> bool:
    """True for tasks that may be trained on."""
    return task.data.split == "train"


def summary(rollouts: Iterable[Rollout]) -> dict[str, JsonValue]:
    """Counts for the manifest: rollouts, successes, stop reasons, failed checks."""
    count = successes = 0
    stops: Counter[str] = Counter()
    failed: Counter[str] = Counter()
    for rollout in rollouts:
        count += 1
        successes += rollout.reward.value == 1.0
        stops[rollout.stop_reason.value] += 1
        failed.update(name for name, passed in rollout.reward.checks.items() if not passed)
    return {
        "count": count,
        "successes": successes,
        "stop_reasons": cast(JsonValue, dict(stops)),
        "failed_checks": cast(JsonValue, dict(failed)),
    }
