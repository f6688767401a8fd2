"""Filter: choose what to train on. Reads tasks and rollouts, writes ``examples.jsonl``."""

from collections import Counter, defaultdict
from typing import cast

from pydantic import JsonValue

from t2t.domain.domain import load_domain
from t2t.episode.agent import agent_view
from t2t.errors import RunError
from t2t.records import Example, Intent, Rollout, Task
from t2t.stages.rollout import is_training
from t2t.stages.stage import StageContext
from t2t.store import Writer, read_records


def run(context: StageContext) -> dict[str, JsonValue]:
    """Keep successes that broke no rule, a bounded number per task, balanced over intents.

    Raises:
        RunError: nothing is left, or a kept row belongs to an evaluation task.
    """
    config = context.config.filter
    rejected: Counter[str] = Counter()
    held_out: set[str] = set()
    tasks: dict[str, Task] = {}
    for task in read_records(context.inputs["synthesize"] / "tasks.jsonl", Task):
        if is_training(task):
            tasks[task.id] = task
        else:
            held_out.update(_marks(task))
    by_intent: dict[Intent, list[Rollout]] = defaultdict(list)
    per_task: Counter[str] = Counter()
    seen = 0
    for rollout in read_records(context.inputs["rollout"] / "rollouts.jsonl", Rollout):
        seen += 1
        task = tasks[rollout.task_id]
        if rollout.reward.value != 1.0:
            rejected["not a success"] += 1
        elif rollout.reward.broken_clauses:
            rejected["broke a rule"] += 1
        elif held_out & set(_marks(task)):
            rejected["shares an entity or an opening with an evaluation task"] += 1
        elif per_task[rollout.task_id] >= config.per_task:
            rejected["enough of this task"] += 1
        else:
            per_task[rollout.task_id] += 1
            by_intent[rollout.intent].append(rollout)
    chosen = _balance(by_intent, config.max_examples, config.balance)
    rejected["more than filter.max_examples or unbalanced"] += sum(map(len, by_intent.values())) - len(chosen)
    if not chosen:
        raise RunError(f"filter: none of {seen} rollouts is a success; look at the rollouts or play stronger agents")
    file = context.folder / "examples.jsonl"
    file.unlink(missing_ok=True)
    with Writer(file) as writer:
        for rollout in sorted(chosen, key=lambda rollout: rollout.id):
            writer.append(
                Example(
                    id=rollout.id,
                    task_id=rollout.task_id,
                    domain=rollout.domain,
                    intent=rollout.intent,
                    messages=agent_view(rollout.messages),
                    tools=load_domain(rollout.domain, context.config.domain.mcp).tool_schemas,
                )
            )
    counts = Counter(rollout.intent.value for rollout in chosen)
    return {
        "count": len(chosen),
        "read": seen,
        "by_intent": cast(JsonValue, dict(sorted(counts.items()))),
        "rejected": {reason: number for reason, number in rejected.items() if number},
    }


def _marks(task: Task) -> tuple[str, ...]:
    """What must not be shared between training and evaluation: the opening and the caller."""
    who = [fact.value for fact in task.scenario.facts if fact.name in ("email", "name")]
    return (task.scenario.opening, *(f"{task.domain}:{value}" for value in who))


def _balance(by_intent: dict[Intent, list[Rollout]], most: int, balance: bool) -> list[Rollout]:
    everything = [rollout for rollouts in by_intent.values() for rollout in rollouts]
    if not balance:
        return everything[:most]
    chosen: list[Rollout] = []
    left = {intent: list(rollouts) for intent, rollouts in by_intent.items()}
    while len(chosen) < most and any(left.values()):
        for intent in list(Intent):
            if left.get(intent) and len(chosen) < most:
                chosen.append(left[intent].pop(0))
    return chosen
