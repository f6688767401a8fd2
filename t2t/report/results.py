"""From talks to the numbers of a report: success, comparisons, how talks end and what they fail.

Talks and tasks are read once and one at a time; only the outcome of each attempt is kept.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

from t2t.errors import RunError
from t2t.records import Intent, Record, Rollout, Split, Task
from t2t.report.statistics import compare, pass_hat_k, success_share

Condition = Literal["all", "general", "ambiguous", "changing", "infeasible"]
"""An `Intent` value, or ``all`` for every intent together."""

Wording = Literal["known wordings, new entities", "new wordings, new entities"]
"""What a held-out task of a trained domain shares with the training tasks."""

CONDITIONS: tuple[Condition, ...] = ("all", "general", "ambiguous", "changing", "infeasible")
"""Conditions in the order of the report."""

WORDINGS: Mapping[Split, Wording] = {"train": "known wordings, new entities", "test": "new wordings, new entities"}
"""Heading by the pool that a task's sentences come from."""

_MODEL_ORDER = ("do_nothing", "base", "tuned", "reference")


class ResultRow(Record):
    """Success of one model on the tasks of one domain and condition."""

    model: str
    """Who spoke for the agent: ``do_nothing`` (floor), ``base``, ``tuned``, ``reference`` (ceiling)."""
    domain: str
    """Domain name."""
    seen: bool
    """True when training rows come from the domain."""
    intent: Condition
    """Condition of the tasks."""
    num_tasks: int
    """Tasks played."""
    success: float
    """Share of successful talks, every task weighing the same, in [0, 1]."""
    low: float
    """Lower end of the 95 % interval."""
    high: float
    """Upper end of the 95 % interval."""


class WordingRow(Record):
    """Success of one model on the held-out tasks of a trained domain, by where the sentences come from."""

    model: str
    """Who spoke for the agent."""
    domain: str
    """Domain name; trained domains only, since every wording of an unseen domain is new."""
    wording: Wording
    """What the tasks share with the training tasks."""
    num_tasks: int
    """Tasks played."""
    success: float
    """Share of successful talks, in [0, 1]."""
    low: float
    """Lower end of the 95 % interval."""
    high: float
    """Upper end of the 95 % interval."""


class Comparison(Record):
    """Tuned against base on the tasks that both played, paired by task."""

    domain: str
    """Domain name."""
    seen: bool
    """True when training rows come from the domain."""
    intent: Condition
    """Condition of the tasks."""
    num_tasks: int
    """Tasks that both played."""
    difference: float
    """Success of tuned less success of base, in [-1, 1]."""
    low: float
    """Lower end of the 95 % interval of the difference."""
    high: float
    """Upper end of the 95 % interval of the difference."""
    p_value: float
    """Two-sided, not corrected for the number of comparisons."""
    overlap: bool
    """True when the two models' own intervals on these tasks share a point."""

    @property
    def verdict(self) -> Literal["higher", "lower", "open"]:
        """What the talks show of tuned against base: ``open`` unless the intervals are apart and p < 0.05."""
        if self.overlap or self.p_value >= 0.05:
            return "open"
        return "higher" if self.difference > 0 else "lower"


class CountRow(Record):
    """How many talks of one model in one domain have a property."""

    model: str
    """Who spoke for the agent."""
    domain: str
    """Domain name."""
    name: str
    """Stop reason, failed check or broken clause."""
    count: int
    """Talks that have it."""
    num_rollouts: int
    """Talks of the model in the domain."""


class PassRow(Record):
    """pass^k of one model in one domain."""

    model: str
    """Who spoke for the agent."""
    domain: str
    """Domain name."""
    k: int
    """Attempts that must all succeed."""
    value: float
    """Chance of that, averaged over tasks, in [0, 1]."""


class Results(Record):
    """All numbers that come from talks about held-out tasks."""

    results: tuple[ResultRow, ...]
    """Success by domain, condition and model, in this order."""
    by_wording: tuple[WordingRow, ...]
    """Trained domains by wording."""
    comparisons: tuple[Comparison, ...]
    """Tuned against base by domain and condition; ``all`` comes first in each domain."""
    pass_k: tuple[PassRow, ...]
    """pass^k for k up to the number of attempts; empty where tasks have one or differing numbers."""
    stop_reasons: tuple[CountRow, ...]
    """Why talks end."""
    failed_checks: tuple[CountRow, ...]
    """Checks that talks fail; a talk may fail several."""
    broken_clauses: tuple[CountRow, ...]
    """Policy clauses that talks break, whether or not it costs the reward."""


class _TaskFacts(NamedTuple):
    domain: str
    intent: Intent
    wording: Split


_Attempts = dict[str, dict[str, bool]]
"""Success by rollout id, by task id."""


def summarize(rollouts: Iterable[Rollout], tasks: Iterable[Task], trained: Collection[str]) -> Results:
    """Compute the numbers of a report.

    Args:
        rollouts: talks of any agents, in any order; a repeated id counts once, the last one read.
        tasks: the tasks they are about, and possibly others.
        trained: domains that training rows come from.

    Returns:
        The same for any order of the talks.

    Raises:
        RunError: a talk is about an unknown task, or about a task on the training half of a trained domain.
    """
    facts = {task.id: _facts(task, trained) for task in tasks}
    attempts: defaultdict[str, _Attempts] = defaultdict(lambda: defaultdict(dict))
    endings: dict[str, tuple[str, str, str, tuple[str, ...], tuple[str, ...]]] = {}
    for rollout in rollouts:
        if rollout.task_id not in facts:
            raise RunError(f"rollout {rollout.id} is about a task that is not given; pass the tasks it was played on")
        attempts[rollout.agent][rollout.task_id][rollout.id] = rollout.reward.value >= 1
        endings[rollout.id] = (
            rollout.agent,
            facts[rollout.task_id].domain,
            rollout.stop_reason.value,
            tuple(name for name, passed in rollout.reward.checks.items() if not passed),
            tuple(sorted(set(rollout.reward.broken_clauses))),
        )
    models = sort_models(attempts)
    domains = sorted({facts[task_id].domain for played in attempts.values() for task_id in played})
    domains.sort(key=lambda domain: domain not in trained)
    num_rollouts = Counter((model, domain) for model, domain, _, _, _ in endings.values())

    def count(names: Callable[[str, tuple[str, ...], tuple[str, ...]], Sequence[str]]) -> tuple[CountRow, ...]:
        counts = Counter(
            (model, domain, name)
            for model, domain, reason, checks, clauses in endings.values()
            for name in names(reason, checks, clauses)
        )
        return tuple(
            CountRow(model=model, domain=domain, name=name, count=number, num_rollouts=num_rollouts[model, domain])
            for (model, domain, name), number in sorted(
                counts.items(),
                key=lambda item: (domains.index(item[0][1]), models.index(item[0][0]), -item[1], item[0][2]),
            )
        )

    return Results(
        results=tuple(
            ResultRow(
                model=model,
                domain=domain,
                seen=domain in trained,
                intent=condition,
                num_tasks=len(outcomes),
                **success_share(outcomes)._asdict_success(),
            )
            for domain in domains
            for condition in CONDITIONS
            for model in models
            if (outcomes := _select(attempts[model], facts, domain, condition).outcomes)
        ),
        by_wording=(),
        comparisons=(),
        pass_k=(),
        stop_reasons=count(lambda reason, checks, clauses: (reason,)),
        failed_checks=count(lambda reason, checks, clauses: checks),
        broken_clauses=count(lambda reason, checks, clauses: clauses),
    )
