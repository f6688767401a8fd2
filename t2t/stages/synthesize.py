"""Synthesize: write proved tasks of every intent. Reads trajectories, writes ``tasks.jsonl``."""

import logging
import random
from collections import Counter
from collections.abc import Iterator
from itertools import chain
from typing import cast

from pydantic import JsonValue

from t2t.config import RunConfig
from t2t.domain.domain import Domain, load_domain
from t2t.errors import RunError
from t2t.intents.scene import Scene, Unsuitable
from t2t.intents.writers import WRITERS
from t2t.log import Progress
from t2t.records import Intent, Split, Task, Trajectory
from t2t.stages.explore import Part, parts
from t2t.stages.stage import StageContext
from t2t.store import Writer, read_records
from t2t.verify.validation import prove

log = logging.getLogger(__name__)


def run(context: StageContext) -> dict[str, JsonValue]:
    """Write the tasks; no two of a run open with the same words.

    Raises:
        RunError: an intent of a domain gave no task at all.
    """
    config = context.config
    report: dict[str, JsonValue] = {}
    openings: set[str] = set()
    file = context.folder / "tasks.jsonl"
    file.unlink(missing_ok=True)
    with Writer(file) as writer:
        for part in parts(config):
            rejected: Counter[str] = Counter()
            kept: Counter[str] = Counter()
            wanted = _wanted(config, part)
            progress = Progress(f"synthesize {part.domain} ({part.split})", sum(wanted.values()), "tasks")
            trajectories = (
                trajectory
                for trajectory in read_records(context.inputs["explore"] / "trajectories.jsonl", Trajectory)
                if trajectory.domain == part.domain and trajectory.data.split == part.split
            )
            domain = load_domain(part.domain, config.domain.mcp)
            written = _write(domain, trajectories, wanted, config.seed, openings, rejected)
            for task in chain(written, _given(domain, part.split, rejected)):
                writer.append(task)
                kept[task.intent.value] += 1
                progress.step()
            progress.close()
            empty = [intent.value for intent in map(Intent, config.synthesize.intents) if not kept[intent.value]]
            if empty and part.num_trajectories and sum(wanted.values()):
                raise RunError(
                    f"synthesize: no {empty[0]} task came out of {part.num_trajectories} trajectories "
                    f"of {part.domain!r}; raise explore.num_train and explore.num_test"
                )
            report[f"{part.domain}/{part.split}"] = {
                "tasks": cast(JsonValue, dict(kept)),
                "rejected": cast(JsonValue, dict(rejected.most_common())),
            }
    return {"count": len(writer.ids), "parts": report}


def _given(domain: Domain, split: Split, rejected: Counter[str]) -> Iterator[Task]:
    """The tasks that the domain brings for a split, proved like any other."""
    for task in domain.given_tasks:
        if task.data.split != split:
            continue
        if problem := prove(domain, task):
            log.warning("synthesize: task %s of %s is left out: %s", task.id, domain.name, problem)
            rejected[f"given: {problem}"] += 1
            continue
        yield task


def _wanted(config: RunConfig, part: Part) -> Counter[tuple[Intent, Split]]:
    """Tasks per intent and wording: held-out tasks are half in wordings that training tasks use."""
    wanted: Counter[tuple[Intent, Split]] = Counter()
    if not part.num_trajectories:
        return wanted
    intents = [Intent(name) for name in config.synthesize.intents]
    total = config.synthesize.num_train if part.split == "train" else config.synthesize.num_test
    cells: list[tuple[Intent, Split]] = [(intent, "train") for intent in intents]
    if part.split == "test":
        cells = [(intent, wording) for wording in ("train", "test") for intent in intents]
    for number in range(total):
        wanted[cells[number % len(cells)]] += 1
    return wanted


def _write(
    domain: Domain,
    trajectories: Iterator[Trajectory],
    wanted: Counter[tuple[Intent, Split]],
    seed: int,
    openings: set[str],
    rejected: Counter[str],
) -> Iterator[Task]:
    left = Counter(wanted)
    for trajectory in trajectories:
        if not any(left.values()):
            return
        for intent, wording in sorted(left, key=lambda cell: (-left[cell], cell)):
            if not left[(intent, wording)]:
                continue
            rng = random.Random(f"synthesize/{seed}/{trajectory.id}/{intent.value}/{wording}")
            try:
                task = WRITERS[intent](Scene(domain, trajectory, rng), wording, rng)
            except Unsuitable as reason:
                rejected[f"{intent.value}: {reason}"] += 1
                continue
            if task.scenario.opening in openings:
                rejected[f"{intent.value}: reads like another task"] += 1
                continue
            if problem := prove(domain, task):
                rejected[f"{intent.value}: {problem}"] += 1
                continue
            openings.add(task.scenario.opening)
            left[(intent, wording)] -= 1
            yield task
            break
