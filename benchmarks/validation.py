"""How much of what is broken on purpose the validation finds, and what it rejects of what is good.

    python benchmarks/validation.py [--good 1000] [--per-kind 20] [--seed 0] [--judge URL MODEL]

Good tasks of all domains and intents are composed and not filtered; broken ones are made of them, with one
defect each (tests/planted). Validated in one process. With ``--judge`` a model behind an OpenAI-compatible
endpoint grades a sample of both, and its agreement with what was planted is printed as well: it sees neither
the data nor the proof, so it can find only what shows in the words. Exits with 1 when less than 99 % are found
or more than 1 % of the good ones are rejected.
"""

import argparse
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).parent.parent))

from t2t.config import ApiConfig
from t2t.domain.domain import load_domain
from t2t.intents.judge import Grade, agreement, judge_all
from t2t.journal import Journal, key_of
from t2t.models.structured import StructuredClient
from t2t.records import Task
from t2t.verify.validation import validate
from tests.planted.corpus import KINDS, Planted, carried_out_tasks, failing, good_tasks, plant

RECALL, FALSE_REJECTS = 0.99, 0.01
"""What is held to."""
JUDGED = 200
"""Tasks of each sort that a judge grades at most."""
THRESHOLD = 5.0
"""A task with at least this grade is good in the judge's eyes."""


def print_recall(planted: Sequence[Planted]) -> int:
    """Print what was found by kind; returns how many were found."""
    found = [(one, failing(one.task, one.run, one.evaluated)) for one in planted]
    print(f"{'kind':36} {'planted':>8} {'found':>6} {'domains':>8}  found first by")
    for kind in KINDS:
        rows = [(one, problems) for one, problems in found if one.kind == kind]
        domains = {one.task.domain for one, _ in rows}
        first = Counter(next(iter(problems)) for _, problems in rows if problems)
        by = ", ".join(f"{check} {count}" for check, count in first.most_common())
        print(f"{kind:36} {len(rows):8} {sum(bool(p) for _, p in rows):6} {len(domains):8}  {by}")
    return sum(bool(problems) for _, problems in found)


def print_judgement(good: Sequence[Task], broken: Sequence[Task], url: str, model: str, seed: int) -> dict[str, float]:
    """Print how far a judge's grades agree with what was planted; returns the figures."""
    rng = random.Random(seed)
    samples = [rng.sample(tasks, min(JUDGED, len(tasks))) for tasks in (good, broken)]
    api = ApiConfig(base_urls=(url,), model=model, temperature=0.0)
    with TemporaryDirectory() as folder, Journal(Path(folder) / "answers.jsonl") as journal:
        client = StructuredClient(api, key_of([model]), journal)
        graded = [list(judge_all(tasks, client.ask, max_tries=3, concurrency=16, seed=seed)) for tasks in samples]
    scores = [[grade.score for grade in grades if isinstance(grade, Grade)] for grades in graded]
    result = agreement(*scores, threshold=THRESHOLD)
    unread = sum(map(len, samples)) - result.num_good - result.num_broken
    print(
        f"judge {model}: {result.num_good} good and {result.num_broken} broken tasks graded, {unread} answers unread; "
        f"accuracy {result.accuracy:.3f}, kappa {result.kappa:.3f} [{result.kappa_low:.3f}, {result.kappa_high:.3f}]"
    )
    return {"judge_accuracy": round(result.accuracy, 3), "judge_kappa": round(result.kappa, 3)}


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the validation of tasks.")
    parser.add_argument("--good", type=int, default=1000)
    parser.add_argument("--per-kind", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--judge", nargs=2, metavar=("URL", "MODEL"))
    options = parser.parse_args()
    good = good_tasks(options.good, options.seed)
    carried_out = carried_out_tasks(options.per_kind, options.seed, num_walks=200)
    planted = plant([*good, *carried_out], options.per_kind, options.seed)
    num_found = print_recall(planted)

    validate(load_domain(good[0].domain), good[0])
    start = time.perf_counter()
    validations = [validate(load_domain(task.domain), task) for task in good]
    rate = len(good) / (time.perf_counter() - start)
    rejected = {one.id: one.problem for one in validations if one.problem}
    rejected |= {task.id: "contamination" for task in good if "contamination" in failing(task)}
    print(f"\n{len(rejected)} of {len(good)} good tasks are rejected")
    for task_id, problem in rejected.items():
        print(f"    {task_id}: {problem}")
    print(f"{rate:.0f} tasks validated per second in one process, all domains at 200 rows")
    figures = {
        "recall": round(num_found / len(planted), 4),
        "false_rejects": round(len(rejected) / len(good), 4),
        "tasks_per_s": round(rate, 1),
        "planted": len(planted),
        "kinds": len(KINDS),
    }
    if options.judge:
        # A duplicate reads as well as what it repeats, so no judge of single tasks can see it.
        broken = [one.task for one in planted if not one.run and not one.evaluated]
        figures |= print_judgement(good, broken, *options.judge, seed=options.seed)
    print(json.dumps(figures))
    if figures["recall"] < RECALL or figures["false_rejects"] > FALSE_REJECTS:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
