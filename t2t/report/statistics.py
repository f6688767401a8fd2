"""Success shares with intervals, and the paired comparison of two agents.

The unit is the task: tasks are drawn at random, the attempts at one task are not independent. All
intervals are of 95 %, cover the choice of tasks and leave out the chance in training.
"""

import statistics
from collections.abc import Sequence
from math import comb, sqrt
from typing import NamedTuple

from t2t.errors import ConfigError, RunError

Outcomes = Sequence[Sequence[bool]]
"""Success by task and attempt; the number of attempts may differ, and is at least 1."""

CONFIDENCE = 0.95
"""Confidence level of every interval."""

_NUM_RESAMPLES = 9999


class Share(NamedTuple):
    """A share of solved tasks and its interval, all in [0, 1]."""

    value: float
    low: float
    high: float


class Difference(NamedTuple):
    """Share of one agent less the share of another on the same tasks, in [-1, 1]."""

    value: float
    low: float
    high: float
    p_value: float
    """Two-sided; exact when every task has one attempt."""


def success_share(outcomes: Outcomes) -> Share:
    """Share of successes, every task weighing the same, with a Wilson interval clustered by task.

    With one attempt per task it is the Wilson score interval. With several, the number of tasks is
    replaced by an effective sample size: the one at which independent draws would vary as the task
    rates do, lowered for being an estimate (t in place of the normal quantile), and kept between the
    number of tasks (attempts repeat each other) and the number of attempts (attempts are independent).
    A bootstrap over tasks is not used because it has no width when no task, or every task, is solved.

    Args:
        outcomes: success by task and attempt, shape (tasks, attempts of the task).

    Returns:
        The share and its interval; 0 <= low <= value <= high <= 1.

    Raises:
        RunError: there is no task, or a task has no attempt.

    Source: Wilson 1927; Korn and Graubard 1998, Survey Methodology 24(2), for the effective size.
    """
    rates = _task_rates(outcomes)
    share = statistics.fmean(rates)
    return _wilson(share, _effective_size(rates, [len(attempts) for attempts in outcomes]))


def compare(ours: Outcomes, theirs: Outcomes) -> Difference:
    """Difference of two agents' shares on the same tasks, paired by task.

    The p value is McNemar's exact test where every task has one attempt, and a permutation test that
    swaps the two agents within tasks (seeded, 9,999 draws) where the task rates are finer. The interval
    joins the two intervals of `success_share` and the correlation of the task rates (Newcombe's method
    10, with its continuity correction), so it has a width even when the agents never differ.

    Args:
        ours: success by task and attempt of the first agent, shape (tasks, attempts of the task).
        theirs: the same of the second agent; task i is task i of `ours`.

    Raises:
        RunError: the numbers of tasks differ, there is no task, or a task has no attempt.

    Source: Newcombe 1998, Statistics in Medicine 17:2635; Zou and Donner 2008, ibid. 27:1693.
    """
    if len(ours) != len(theirs):
        raise RunError(f"{len(ours)} and {len(theirs)} tasks cannot be paired; give both agents the same tasks")
    our_rates, their_rates = _task_rates(ours), _task_rates(theirs)
    a, b = success_share(ours), success_share(theirs)
    value = a.value - b.value
    correlation = _shrunk_correlation(our_rates, their_rates)
    return Difference(
        value=value,
        low=max(-1.0, value - _joined(a.value - a.low, b.high - b.value, correlation)),
        high=min(1.0, value + _joined(a.high - a.value, b.value - b.low, correlation)),
        p_value=_paired_p_value(our_rates, their_rates),
    )


def pass_hat_k(successes: Sequence[int], attempts: int, k: int) -> float:
    """Chance that `k` fresh attempts at one task all succeed, averaged over tasks.

    Args:
        successes: successful attempts per task, shape (tasks,), each in [0, attempts].
        attempts: rollouts per task, the same for every task.
        k: attempts that must all succeed, 1 <= k <= attempts.

    Returns:
        A probability in [0, 1]; an unbiased estimate, so no task needs exactly k attempts.

    Raises:
        ConfigError: k > attempts, where the estimate does not exist.
        RunError: there is no task.

    Source: tau-bench, Yao et al. 2024, arXiv:2406.12045.
    """
    if not 1 <= k <= attempts:
        raise ConfigError(f"k={k} is not in 1..{attempts}; raise evaluate.attempts or lower k")
    if not successes:
        raise RunError("no tasks to average over; play at least one task")
    return sum(comb(count, k) for count in successes) / (len(successes) * comb(attempts, k))


def _task_rates(outcomes: Outcomes) -> list[float]:
    if not outcomes:
        raise RunError("no tasks to average over; play at least one task")
    if not all(outcomes):
        raise RunError(f"task {next(i for i, row in enumerate(outcomes) if not row)} has no attempt; leave it out")
    return [sum(attempts) / len(attempts) for attempts in outcomes]


def _effective_size(rates: Sequence[float], attempts: Sequence[int]) -> float:
    """Independent draws that are worth as much as these tasks; in [tasks, attempts]."""
    num_tasks = len(rates)
    share = statistics.fmean(rates)
    if max(attempts) == 1 or num_tasks == 1 or not 0 < share < 1:
        return num_tasks
    independent = num_tasks / statistics.fmean(1 / count for count in attempts)
    variance = statistics.variance(rates) / num_tasks
    if variance == 0:
        return independent
    from scipy.stats import t

    quantile = float(t.ppf((1 + CONFIDENCE) / 2, num_tasks - 1))
    measured = share * (1 - share) / variance * (_normal_quantile() / quantile) ** 2
    return min(max(measured, num_tasks), independent)


def _wilson(share: float, size: float) -> Share:
    """Wilson score interval; unlike SciPy's, `size` need not be whole."""
    z2 = _normal_quantile() ** 2
    centre = (share + z2 / (2 * size)) / (1 + z2 / size)
    half = sqrt(z2 * (share * (1 - share) / size + z2 / (4 * size**2))) / (1 + z2 / size)
    return Share(share, max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half)))


def _normal_quantile() -> float:
    return statistics.NormalDist().inv_cdf((1 + CONFIDENCE) / 2)


def _joined(ours: float, theirs: float, correlation: float) -> float:
    return sqrt(max(0.0, ours**2 - 2 * correlation * ours * theirs + theirs**2))


def _shrunk_correlation(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Correlation over tasks; a positive one is lowered by 1 / (2 tasks) of covariance, at most to 0."""
    our_spread, their_spread = statistics.pstdev(ours), statistics.pstdev(theirs)
    if our_spread == 0 or their_spread == 0:
        return 0.0
    mean_product = statistics.fmean(x * y for x, y in zip(ours, theirs, strict=True))
    covariance = mean_product - statistics.fmean(ours) * statistics.fmean(theirs)
    if covariance > 0:
        covariance = max(0.0, covariance - 1 / (2 * len(ours)))
    return max(-1.0, min(1.0, covariance / (our_spread * their_spread)))


def _paired_p_value(ours: Sequence[float], theirs: Sequence[float]) -> float:
    import numpy as np
    from scipy.stats import binomtest, permutation_test

    differences = [x - y for x, y in zip(ours, theirs, strict=True) if x != y]
    if not differences:
        return 1.0
    if len({abs(difference) for difference in differences}) == 1:
        return float(binomtest(sum(difference > 0 for difference in differences), len(differences)).pvalue)
    test = permutation_test(
        (np.asarray(ours), np.asarray(theirs)),
        lambda x, y, axis: np.mean(x - y, axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=_NUM_RESAMPLES,
        batch=1000,
        rng=np.random.default_rng(0),
    )
    return float(test.pvalue)
