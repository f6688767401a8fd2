import asyncio

import pytest

from t2t.errors import InfraError
from t2t.scheduling.ledger import Ledger, Owed
from t2t.scheduling.limit import Limit
from t2t.scheduling.pool import Pool


def play_all(tasks, play, limit: int, wake_with: int = 0):
    """Outcomes by task, and the most talks that were under way at once."""
    ledger = Ledger(tasks, "base", 1)
    outcomes: dict[str, object] = {}
    most = now = 0

    async def counted(owed: Owed):
        nonlocal most, now
        now += 1
        most = max(most, now)
        try:
            return await play(owed)
        finally:
            now -= 1

    def settle(owed: Owed, outcome) -> None:
        outcomes[owed.task.id] = outcome
        ledger.finish(owed.task.id, owed.attempt, success=True)

    async def main() -> None:
        pool = Pool(ledger, counted, settle, Limit(limit))
        if wake_with:

            async def raise_limit() -> None:
                await asyncio.sleep(0.02)
                pool.limit.value = wake_with
                pool.wake()

            raising = asyncio.create_task(raise_limit())
            await pool.run()
            await raising
        else:
            await pool.run()

    asyncio.run(main())
    return outcomes, most


async def rest(owed: Owed) -> str:
    await asyncio.sleep(0.005)
    return owed.task.id


def test_as_many_are_under_way_as_the_limit_says_and_all_end(library_tasks):
    outcomes, most = play_all(library_tasks, rest, 5)
    assert outcomes == {task.id: task.id for task in library_tasks} and most == 5


def test_a_limit_that_rises_is_used_at_once(library_tasks):
    async def wait(owed: Owed) -> str:
        await asyncio.sleep(0.1)
        return owed.task.id

    assert play_all(library_tasks[:12], wait, 1, wake_with=11)[1] == 12 - 1


def test_a_fault_of_a_service_is_an_outcome_and_a_bug_ends_the_run(library_tasks):
    async def faulty(owed: Owed) -> str:
        raise InfraError("gone")

    outcomes, _ = play_all(library_tasks[:4], faulty, 2)
    assert {str(outcome) for outcome in outcomes.values()} == {"gone"}

    cancelled: list[str] = []

    async def buggy(owed: Owed) -> str:
        if owed.task.id == library_tasks[0].id:
            raise KeyError("a bug")
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.append(owed.task.id)
            raise
        return ""

    with pytest.raises(KeyError, match="a bug"):
        play_all(library_tasks[:4], buggy, 4)
    assert len(cancelled) == 3
