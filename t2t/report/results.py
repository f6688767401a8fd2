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


class _Talk(NamedTuple):
    """What the numbers need of one talk."""

    model: str
    task_id: str
    success: bool
    stop_reason: str
    failed_checks: tuple[str, ...]
    broken_clauses: tuple[str, ...]


class _TaskFacts(NamedTuple):
    domain: str
    intent: Intent
    wording: Split
    held_out: bool


_Outcomes = dict[str, list[bool]]
"""Success by attempt, by task id."""


def summarize(rollouts: Iterable[Rollout], tasks: Iterable[Task], trained: Collection[str]) -> Results:
    """Compute the numbers of a report.

    Args:
        rollouts: talks of any agents, in any order; a repeated id counts once, the last one read.
        tasks: the tasks they are about, and possibly others.
        trained: domains that training rows come from.

    Returns:
        The same for any order of the talks.

    Raises:
        RunError: a talk is about an unknown task, or about one on the training half of a trained domain.
    """
    facts = {task.id: _TaskFacts(task.domain, task.intent, task.wording, task.data.split == "test") for task in tasks}
    talks = {rollout.id: _read(rollout) for rollout in rollouts}
    for rollout_id, talk in talks.items():
        if talk.task_id not in facts:
            raise RunError(f"rollout {rollout_id} is about a task that is not given; pass the tasks it was played on")
        if facts[talk.task_id].domain in trained and not facts[talk.task_id].held_out:
            raise RunError(f"rollout {rollout_id} is about a training task; evaluate on tasks with data.split=test")

    outcomes: defaultdict[str, defaultdict[str, list[bool]]] = defaultdict(lambda: defaultdict(list))
    for talk in talks.values():
        outcomes[talk.model][talk.task_id].append(talk.success)
    models = sort_models(outcomes)
    domains = sorted(
        {facts[talk.task_id].domain for talk in talks.values()}, key=lambda name: (name not in trained, name)
    )

    def select(model: str, domain: str, condition: Condition, wording: Split | None = None) -> _Outcomes:
        return {
            task_id: attempts
            for task_id, attempts in outcomes[model].items()
            if facts[task_id].domain == domain
            and condition in ("all", facts[task_id].intent.value)
            and wording in (None, facts[task_id].wording)
        }

    def count(names: Callable[[_Talk], Sequence[str]]) -> tuple[CountRow, ...]:
        talks_of = Counter((facts[talk.task_id].domain, talk.model) for talk in talks.values())
        counts = Counter((facts[t.task_id].domain, t.model, name) for t in talks.values() for name in names(t))
        rows = [
            CountRow(model=model, domain=domain, name=name, count=number, num_rollouts=talks_of[domain, model])
            for (domain, model, name), number in counts.items()
        ]
        return tuple(sorted(rows, key=lambda r: (domains.index(r.domain), models.index(r.model), -r.count, r.name)))

    return Results(
        results=tuple(
            _result_row(model, domain, domain in trained, condition, chosen)
            for domain in domains
            for condition in CONDITIONS
            for model in models
            if (chosen := select(model, domain, condition))
        ),
        by_wording=tuple(
            _wording_row(model, domain, WORDINGS[wording], chosen)
            for domain in domains
            if domain in trained
            for wording in WORDINGS
            for model in models
            if (chosen := select(model, domain, "all", wording))
        ),
        comparisons=tuple(
            comparison
            for domain in domains
            for condition in CONDITIONS
            for comparison in _comparisons(
                domain,
                domain in trained,
                condition,
                select("tuned", domain, condition),
                select("base", domain, condition),
            )
        ),
        pass_k=tuple(
            row
            for domain in domains
            for model in models
            for row in _pass_rows(model, domain, select(model, domain, "all"))
        ),
        stop_reasons=count(lambda talk: (talk.stop_reason,)),
        failed_checks=count(lambda talk: talk.failed_checks),
        broken_clauses=count(lambda talk: talk.broken_clauses),
    )


def sort_models(models: Iterable[str]) -> list[str]:
    """Order models from floor to ceiling; others come before the ceiling, by name."""

    def place(model: str) -> tuple[float, str]:
        return (_MODEL_ORDER.index(model) if model in _MODEL_ORDER else 2.5, model)

    return sorted(set(models), key=place)


def _read(rollout: Rollout) -> _Talk:
    return _Talk(
        model=rollout.agent,
        task_id=rollout.task_id,
        success=rollout.reward.value == 1.0,
        stop_reason=rollout.stop_reason.value,
        failed_checks=tuple(name for name, passed in rollout.reward.checks.items() if not passed),
        broken_clauses=tuple(sorted(set(rollout.reward.broken_clauses))),
    )


def _result_row(model: str, domain: str, seen: bool, intent: Condition, outcomes: _Outcomes) -> ResultRow:
    share = success_share(list(outcomes.values()))
    return ResultRow(
        model=model,
        domain=domain,
        seen=seen,
        intent=intent,
        num_tasks=len(outcomes),
        success=share.value,
        low=share.low,
        high=share.high,
    )


def _wording_row(model: str, domain: str, wording: Wording, outcomes: _Outcomes) -> WordingRow:
    share = success_share(list(outcomes.values()))
    return WordingRow(
        model=model,
        domain=domain,
        wording=wording,
        num_tasks=len(outcomes),
        success=share.value,
        low=share.low,
        high=share.high,
    )


def _comparisons(
    domain: str, seen: bool, intent: Condition, tuned: _Outcomes, base: _Outcomes
) -> tuple[Comparison, ...]:
    """The comparison, or none where the two have no task in common."""
    common = sorted(tuned.keys() & base.keys())
    if not common:
        return ()
    ours, theirs = [tuned[task_id] for task_id in common], [base[task_id] for task_id in common]
    our_share, their_share = success_share(ours), success_share(theirs)
    difference = compare(ours, theirs)
    return (
        Comparison(
            domain=domain,
            seen=seen,
            intent=intent,
            num_tasks=len(common),
            difference=difference.value,
            low=difference.low,
            high=difference.high,
            p_value=difference.p_value,
            overlap=our_share.low <= their_share.high and their_share.low <= our_share.high,
        ),
    )


def _pass_rows(model: str, domain: str, outcomes: _Outcomes) -> tuple[PassRow, ...]:
    numbers = {len(attempts) for attempts in outcomes.values()}
    if len(numbers) != 1 or numbers == {1}:
        return ()
    attempts = numbers.pop()
    successes = [sum(done) for done in outcomes.values()]
    return tuple(
        PassRow(model=model, domain=domain, k=k, value=pass_hat_k(successes, attempts, k))
        for k in range(1, attempts + 1)
    )
