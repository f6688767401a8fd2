"""Filter: choose what to train on. Reads tasks and rollouts, writes ``examples.jsonl``, for dpo ``pairs.jsonl`` too.

The rollouts are read once to choose, which keeps of each but a few numbers, and the chosen ones once more to be
written. Their order in the file changes nothing.
"""

import logging
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import cycle
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

from pydantic import JsonValue

from t2t.config import RunConfig
from t2t.domain.domain import load_domain
from t2t.episode.agent import agent_view
from t2t.errors import RunError
from t2t.filter.choice import (
    ADVICE,
    Candidate,
    Funnel,
    Loss,
    agents_side,
    find_clean,
    find_loss,
    is_agents_failure,
    take_evenly,
    to_candidate,
)
from t2t.filter.pairs import make_pair
from t2t.records import Example, Rollout, Task
from t2t.stages.rollout import is_training
from t2t.stages.stage import StageContext
from t2t.store import Writer, read_placed, read_records
from t2t.verify.duplicates import NearWords, word_print

log = logging.getLogger(__name__)


class _Read(NamedTuple):
    """What the first reading leaves."""

    funnel: Funnel
    good: list[Candidate]
    """Talks that nothing stops by itself, in the order of their draw."""
    failures: dict[str, list[Candidate]]
    """Talks that the agent failed, by task, in the order of their draw; for preferences only."""


def run(context: StageContext) -> dict[str, JsonValue]:
    """Keep successes that broke no rule, a bounded number per task, none alike, balanced over intents.

    Raises:
        RunError: nothing is left, or there is no failed talk to prefer any to; says what to change.
    """
    config = context.config
    file = context.inputs["rollout"] / "rollouts.jsonl"
    read = _read(file, context)
    with file.open("rb") as handle:
        chosen = _choose(read, config, handle)
        for line in read.funnel.lines():
            log.info("filter %s", line)
        if not chosen:
            raise RunError(_emptiness(read.funnel))
        chosen.sort(key=lambda one: one.id)
        with _fresh(context.folder / "examples.jsonl") as writer:
            for one in chosen:
                writer.append(_to_example(_record(handle, one), config))
        paired = _write_pairs(context, chosen, read.failures, handle) if config.train.method == "dpo" else {}
    counts = Counter(one.intent for one in chosen)
    return {
        "count": len(chosen),
        "read": read.funnel.steps()[0]["left"],
        "by_intent": cast(JsonValue, dict(sorted(counts.items()))),
        "rejected": cast(JsonValue, read.funnel.lost),
        "funnel": cast(JsonValue, read.funnel.steps()),
        **({"pairs": cast(JsonValue, paired)} if paired else {}),
    }


def _read(file: Path, context: StageContext) -> _Read:
    config = context.config
    tasks = context.inputs["synthesize"] / "tasks.jsonl"
    clean = find_clean(lambda: read_records(tasks, Task), is_training, config.synthesize.near_duplicate)
    read = _Read(Funnel(), [], defaultdict(list))
    for rollout, place in read_placed(file, Rollout):
        read.funnel.read(rollout)
        loss = find_loss(rollout, config.filter.max_tool_errors)
        if loss is None and rollout.task_id not in clean:
            loss = Loss.HELD_OUT
        if loss is None:
            read.good.append(to_candidate(rollout, place, config.seed))
            continue
        read.funnel.lose(loss, rollout)
        if config.train.method == "dpo" and is_agents_failure(rollout):
            read.failures[rollout.task_id].append(to_candidate(rollout, place, config.seed))
    for candidates in (read.good, *read.failures.values()):
        candidates.sort()
    return read


def _choose(read: _Read, config: RunConfig, handle: BinaryIO) -> list[Candidate]:
    """Of good talks, those that are not too many of their task, not alike, and not too many in all."""
    settings = config.filter
    kept: list[Candidate] = []
    per_task: Counter[str] = Counter()
    near = NearWords(settings.max_similarity)
    for one in read.good:
        if per_task[one.task_id] >= settings.per_task:
            read.funnel.lose(Loss.PER_TASK, one)
            continue
        if settings.max_similarity < 1:
            imprint = word_print(agents_side(_record(handle, one)))
            if near.holds_near(imprint):
                read.funnel.lose(Loss.SIMILAR, one)
                continue
            near.add(imprint)
        per_task[one.task_id] += 1
        kept.append(one)
    chosen = take_evenly(kept, settings.max_examples) if settings.balance else kept[: settings.max_examples]
    taken = {one.id for one in chosen}
    for one in kept:
        if one.id not in taken:
            read.funnel.lose(Loss.MOST, one)
    return chosen


def _write_pairs(
    context: StageContext, chosen: Sequence[Candidate], failures: dict[str, list[Candidate]], handle: BinaryIO
) -> dict[str, int]:
    """Pair each chosen task's talks with failed ones of it, at most ``filter.per_task`` pairs a task.

    Raises:
        RunError: no chosen task has a failed talk.
    """
    config = context.config
    by_task: dict[str, list[Candidate]] = defaultdict(list)
    for one in chosen:
        by_task[one.task_id].append(one)
    counts: Counter[str] = Counter()
    with _fresh(context.folder / "pairs.jsonl") as writer:
        for task_id, right in by_task.items():
            wrong = failures.get(task_id, [])
            counts["tasks without a failed talk"] += not wrong
            for one, other in zip(cycle(right), wrong[: config.filter.per_task], strict=False):
                tools = load_domain(one.domain, config.domain.mcp).tool_schemas
                pair = make_pair(_record(handle, one), _record(handle, other), tools)
                counts["count" if pair else "nothing to tell apart"] += 1
                if pair:
                    writer.append(pair)
    log.info(
        "filter %d pairs from %d tasks; %d tasks have no failed talk",
        *(counts["count"], len(by_task), counts["tasks without a failed talk"]),
    )
    if not counts["count"]:
        raise RunError(
            f"filter: none of {len(by_task)} tasks with a chosen talk has one that the agent failed, and "
            "train.method=dpo tells the two apart; set rollout.agent=model and raise rollout.attempts"
        )
    return {name: count for name, count in counts.items() if count or name == "count"}


def _to_example(rollout: Rollout, config: RunConfig) -> Example:
    return Example(
        id=rollout.id,
        task_id=rollout.task_id,
        domain=rollout.domain,
        intent=rollout.intent,
        messages=agent_view(rollout.messages),
        tools=load_domain(rollout.domain, config.domain.mcp).tool_schemas,
    )


def _emptiness(funnel: Funnel) -> str:
    worst, read = funnel.worst(), funnel.steps()[0]["left"]
    if worst is None:
        return "filter: there are no rollouts; raise synthesize.num_train"
    taken = funnel.lost[worst.value]
    return f"filter: none of {read} rollouts is left, {taken} of them: {worst.value}; {ADVICE[worst]}"


def _fresh(file: Path) -> Writer:
    file.unlink(missing_ok=True)
    return Writer(file)


def _record(handle: BinaryIO, one: Candidate) -> Rollout:
    handle.seek(one.place)
    return Rollout.model_validate_json(handle.readline())
