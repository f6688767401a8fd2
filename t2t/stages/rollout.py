"""Rollout: play the training tasks. Reads tasks, writes ``rollouts.jsonl``."""

from pydantic import JsonValue

from t2t.records import Task
from t2t.report.summary import Summary
from t2t.stages.earlier import take_over
from t2t.stages.stage import StageContext
from t2t.stages.talks import close_books, play_unserved, play_with_model, sum_up
from t2t.store import Writer, read_records


def run(context: StageContext) -> dict[str, JsonValue]:
    """Play every training task ``rollout.attempts`` times, or until ``rollout.until_successes``."""
    settings = context.config.rollout
    tasks = [task for task in read_records(context.inputs["synthesize"] / "tasks.jsonl", Task) if is_training(task)]
    agent = "reference" if settings.agent == "reference" else "teacher" if settings.api.base_urls else "base"
    until = settings.until_successes
    with Writer(context.folder / "rollouts.jsonl") as writer:
        taken = take_over(context, tasks, writer, [agent], settings.attempts, until)
        if agent != "base":
            play_unserved(context, tasks, writer, agent, "rollout", "rollout", until)
        else:
            play_with_model(context, tasks, writer, agent, "rollout", "rollout", until_successes=until)
    summary = sum_up(context.folder).get(agent, Summary())
    return {**summary.as_json(), **taken, **close_books(context.folder, agent, summary)}


def is_training(task: Task) -> bool:
    """True for tasks that may be trained on."""
    return task.data.split == "train"
