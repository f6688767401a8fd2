import random

from hypothesis import given
from hypothesis import strategies as st

from t2t.records import Task
from t2t.scheduling.ledger import Ledger, Owed, expected_turns, rollout_id

AGENT = "base"


def succeeds(task_id: str, attempt: int) -> bool:
    """A verdict that depends on nothing but the talk, as a model's with its own seed."""
    return random.Random(f"{task_id}/{attempt}").random() < 0.4


def play_out(ledger: Ledger, at_once: int, seed: int, faulty: float = 0.0) -> list[tuple[str, int]]:
    """Play with so many talks under way, which end in a random order; some come to nothing and are owed again."""
    rng = random.Random(seed)
    running: list[Owed] = []
    finished: list[tuple[str, int]] = []
    while True:
        while len(running) < at_once and (owed := ledger.take()):
            running.append(owed)
        if not running:
            return finished
        owed = running.pop(rng.randrange(len(running)))
        if rng.random() < faulty:
            ledger.give_back(owed.task.id, owed.attempt)
        else:
            finished.append((owed.task.id, owed.attempt))
            ledger.finish(owed.task.id, owed.attempt, succeeds(owed.task.id, owed.attempt))


def needed(tasks: list[Task], attempts: int, until: int) -> set[tuple[str, int]]:
    """What one who plays one talk after the other would play."""
    talks: set[tuple[str, int]] = set()
    for task in tasks:
        successes = 0
        for attempt in range(attempts):
            if until and successes >= until:
                break
            talks.add((task.id, attempt))
            successes += succeeds(task.id, attempt)
    return talks


@given(
    attempts=st.integers(1, 6),
    until=st.integers(0, 4),
    at_once=st.integers(1, 40),
    seed=st.integers(0, 999),
    faulty=st.sampled_from([0.0, 0.3]),
)
def test_the_talks_played_are_those_of_one_after_the_other(library_tasks, attempts, until, at_once, seed, faulty):
    tasks = library_tasks[:12]
    ledger = Ledger(tasks, AGENT, attempts, until)
    played = play_out(ledger, at_once, seed, faulty)
    assert len(played) == len(set(played))
    assert set(played) == needed(tasks, attempts, until)
    assert ledger.over and ledger.owed == 0 and ledger.done == len(played)


@given(
    until=st.integers(0, 3),
    before=st.integers(1, 3),
    more=st.integers(0, 4),
    lost=st.floats(0, 1),
    seed=st.integers(0, 99),
)
def test_what_is_there_is_not_played_again_and_more_attempts_play_only_what_is_missing(
    library_tasks, until, before, more, lost, seed
):
    tasks = library_tasks[:10]
    rng = random.Random(seed)
    # An interrupted run leaves any part of its talks behind.
    there = {talk for talk in needed(tasks, before, until) if rng.random() >= lost}
    verdicts = {rollout_id(task_id, AGENT, attempt): succeeds(task_id, attempt) for task_id, attempt in there}
    played = play_out(Ledger(tasks, AGENT, before + more, until, verdicts), 8, seed)
    assert not there & set(played)
    assert there | set(played) == needed(tasks, before + more, until)


def test_the_longest_come_first_and_the_attempts_at_a_task_together(library_tasks):
    ledger = Ledger(library_tasks, AGENT, attempts=3)
    order = list(iter(ledger.take, None))
    lengths = [expected_turns(owed.task) for owed in order]
    assert lengths == sorted(lengths, reverse=True) and len(set(lengths)) > 1
    for first in range(0, len(order), 3):
        assert [owed.attempt for owed in order[first : first + 3]] == [0, 1, 2]
        assert len({owed.task.id for owed in order[first : first + 3]}) == 1


def test_other_agents_talks_are_not_ones_own(library_tasks):
    verdicts = {rollout_id(library_tasks[0].id, "tuned", 0): True}
    assert Ledger(library_tasks[:1], AGENT, 1, 0, verdicts).owed == 1


def test_the_needless_attempts_are_told_once_a_task_is_settled(library_tasks):
    ledger = Ledger(library_tasks[:1], AGENT, attempts=5, until_successes=1)
    first = ledger.take()
    assert first is not None and ledger.take() is None and ledger.owed == 5
    assert ledger.finish(first.task.id, 0, success=False) == 0
    second = ledger.take()
    assert second is not None and second.attempt == 1
    assert ledger.finish(second.task.id, 1, success=True) == 3
    assert ledger.over and ledger.owed == 0
