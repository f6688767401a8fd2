"""Intervals and tests hold what they promise."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from t2t.errors import ConfigError, RunError
from t2t.report.statistics import compare, pass_hat_k, success_share

outcomes = st.lists(st.lists(st.booleans(), min_size=1, max_size=5), min_size=1, max_size=40)
pairs = st.integers(1, 4).flatmap(
    lambda attempts: st.lists(
        st.tuples(*[st.lists(st.booleans(), min_size=attempts, max_size=attempts)] * 2), min_size=1, max_size=20
    )
)


@given(outcomes)
def test_interval_holds_the_share_and_stays_in_the_unit_interval(tasks):
    share = success_share(tasks)
    assert 0 <= share.low <= share.value <= share.high <= 1
    assert share.low < share.high


@given(outcomes)
def test_interval_of_failures_mirrors_that_of_successes(tasks):
    share, mirrored = success_share(tasks), success_share([[not done for done in task] for task in tasks])
    assert (1 - mirrored.value, 1 - mirrored.high, 1 - mirrored.low) == pytest.approx(share, abs=1e-9)


@given(st.lists(st.booleans(), min_size=1, max_size=100))
def test_one_attempt_per_task_gives_scipys_wilson_interval(done):
    from scipy.stats import binomtest

    expected = binomtest(sum(done), len(done)).proportion_ci(method="wilson")
    assert success_share([[d] for d in done])[1:] == pytest.approx((expected.low, expected.high), abs=1e-9)


@given(st.lists(st.booleans(), min_size=1, max_size=40), st.integers(2, 5))
def test_attempts_that_repeat_each_other_add_no_certainty(done, attempts):
    assert success_share([[d] * attempts for d in done]) == success_share([[d] for d in done])


@pytest.mark.parametrize(("num_tasks", "attempts"), [(24, 1), (24, 4), (64, 4)])
@pytest.mark.parametrize("share", [0.1, 0.5])
@pytest.mark.parametrize("clustering", [0.05, 0.5])
def test_interval_covers_the_true_share(num_tasks, attempts, share, clustering):
    rng = np.random.default_rng(7)
    scale = (1 - clustering) / clustering
    hits = 0
    for _ in range(400):
        rates = rng.beta(share * scale, (1 - share) * scale, num_tasks)
        found = success_share((rng.random((num_tasks, attempts)) < rates[:, None]).tolist())
        hits += found.low <= share <= found.high
    assert hits / 400 >= 0.92


@pytest.mark.parametrize(("ours", "theirs"), [(0.4, 0.4), (0.4, 0.05), (0.05, 0.05)])
@pytest.mark.parametrize("shared", [0.0, 0.7])
def test_difference_covers_the_truth_and_p_keeps_its_level(ours, theirs, shared):
    rng = np.random.default_rng(8)
    hits = false_alarms = 0
    for _ in range(300):
        luck = rng.random(40)
        other = np.where(rng.random(40) < shared, luck, rng.random(40))
        found = compare((luck[:, None] < ours).tolist(), (other[:, None] < theirs).tolist())
        hits += found.low <= ours - theirs <= found.high
        false_alarms += ours == theirs and found.p_value < 0.05
    assert hits / 300 >= 0.92
    assert false_alarms / 300 <= 0.05


@given(pairs)
def test_swapping_the_agents_flips_the_difference(tasks):
    ours, theirs = [a for a, _ in tasks], [b for _, b in tasks]
    found, flipped = compare(ours, theirs), compare(theirs, ours)
    assert (-flipped.value, -flipped.high, -flipped.low) == pytest.approx(found[:3], abs=1e-9)
    assert -1 <= found.low <= found.value <= found.high <= 1
    assert 0 < found.p_value <= 1


def test_p_value_is_mcnemars():
    ours = [[True]] * 12 + [[False]] * 2 + [[True]] * 20
    theirs = [[False]] * 12 + [[True]] * 2 + [[True]] * 20
    assert compare(ours, theirs).p_value == pytest.approx(2 * (1 + 14 + 91) / 2**14)


def test_several_attempts_are_permuted_by_task():
    ours, theirs = [[True, True], [True, False]] * 6, [[False, False], [False, False]] * 6
    found = compare(ours, theirs)
    assert found.value == pytest.approx(0.75)
    assert found.p_value == pytest.approx(2 / 2**12, abs=1e-3)
    assert found == compare(ours, theirs)


def test_two_agents_that_never_succeed_are_not_proved_equal():
    found = compare([[False]] * 24, [[False]] * 24)
    assert found.p_value == 1
    assert found.low < -0.1
    assert found.high > 0.1


def test_pass_hat_k_is_the_chance_that_all_succeed():
    assert pass_hat_k([4, 2, 0], 4, 1) == pytest.approx(0.5)
    assert pass_hat_k([4, 2, 0], 4, 2) == pytest.approx(7 / 18)


def test_what_cannot_be_computed_is_refused():
    with pytest.raises(ConfigError, match=r"k=5 is not in 1\.\.4"):
        pass_hat_k([4], 4, 5)
    with pytest.raises(RunError, match="at least one task"):
        pass_hat_k([], 4, 1)
    with pytest.raises(RunError, match="no tasks"):
        success_share([])
    with pytest.raises(RunError, match="task 1 has no attempt"):
        success_share([[True], []])
    with pytest.raises(RunError, match="cannot be paired"):
        compare([[True]], [])
