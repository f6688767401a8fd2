"""Which talks are owed, and the order in which they are played."""

import heapq
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from t2t.records import Task


class Owed(NamedTuple):
    """A talk that is to be played."""

    task: Task
    attempt: int
    """0 for the first talk about the task."""


def rollout_id(task_id: str, agent: str, attempt: int) -> str:
    """Id of the record of one talk."""
    return f"{task_id}/{agent}/{attempt}"


def expected_turns(task: Task) -> int:
    """Turns that the agent needs at least, as the reference talk has them; 1 more for the goodbye."""
    return 1 + max(len(task.expectation.moves), len(task.expectation.calls))


class _Account:
    """The attempts at one task: True and False are verdicts, None is owed, and `running` are under way."""

    __slots__ = ("place", "running", "task", "verdicts")

    def __init__(self, task: Task, place: int, verdicts: list[bool | None]) -> None:
        self.task, self.place, self.verdicts = task, place, verdicts
        self.running: set[int] = set()

    def needed(self, until_successes: int) -> list[int]:
        """Attempts that must be played whatever becomes of those that are owed or under way before them."""
        if not until_successes:
            return [attempt for attempt, verdict in enumerate(self.verdicts) if verdict is None]
        found: list[int] = []
        at_best = 0
        for attempt, verdict in enumerate(self.verdicts):
            if at_best >= until_successes:
                break
            if verdict is None:
                found.append(attempt)
            at_best += verdict is not False
        return found

    def settled(self, until_successes: int) -> bool:
        return not self.running and not self.needed(until_successes)


class Ledger:
    """Hands out talks, longest first and those of one task together, until none is owed.

    With `until_successes` an attempt is handed out only when it is certain that it must be made: those before
    it cannot bring enough successes. So the set of talks is the same however many are played at once.

    Args:
        tasks: The tasks.
        agent: Name of the agent in the records.
        attempts: Talks per task at most.
        until_successes: Successes after which a task is not tried again; 0 makes all attempts.
        verdicts: Success by rollout id of the talks that are there; others than the agent's are ignored.
    """

    def __init__(
        self,
        tasks: Sequence[Task],
        agent: str,
        attempts: int,
        until_successes: int = 0,
        verdicts: Mapping[str, bool] | None = None,
    ) -> None:
        self._agent, self._until = agent, until_successes
        known = verdicts or {}
        # The longest first, so that no long talk begins when the others are over and the engine idles.
        ordered = sorted(tasks, key=expected_turns, reverse=True)
        self._accounts = {
            task.id: _Account(task, place, [known.get(rollout_id(task.id, agent, n)) for n in range(attempts)])
            for place, task in enumerate(ordered)
        }
        self._ready: list[tuple[int, int]] = []
        self._waiting: set[tuple[int, int]] = set()
        self._num_running = 0
        self._by_place = [self._accounts[task.id] for task in ordered]
        for account in self._by_place:
            self._offer(account)

    @property
    def done(self) -> int:
        """Talks that are there."""
        return sum(verdict is not None for one in self._by_place for verdict in one.verdicts)

    @property
    def owed(self) -> int:
        """Talks that are still to be made at most."""
        return sum(
            0 if one.settled(self._until) else sum(verdict is None for verdict in one.verdicts)
            for one in self._by_place
        )

    @property
    def over(self) -> bool:
        """True when no talk is owed and none is under way."""
        return not self._ready and not self._num_running

    @property
    def expected_work(self) -> float:
        """Agent turns that the owed talks take, as `expected_turns` has them."""
        return float(sum(expected_turns(one.task) * len(one.needed(self._until)) for one in self._by_place))

    def take(self) -> Owed | None:
        """The next talk to play; None when none can be handed out before another is finished, or at all."""
        if not self._ready:
            return None
        place, attempt = heapq.heappop(self._ready)
        self._waiting.discard((place, attempt))
        account = self._by_place[place]
        account.running.add(attempt)
        self._num_running += 1
        return Owed(account.task, attempt)

    def finish(self, task_id: str, attempt: int, success: bool) -> int:
        """Note the verdict of a talk that was taken; returns how many talks this makes needless."""
        account = self._accounts[task_id]
        account.running.remove(attempt)
        self._num_running -= 1
        account.verdicts[attempt] = success
        self._offer(account)
        if self._until and account.settled(self._until):
            return sum(verdict is None for verdict in account.verdicts)
        return 0

    def give_back(self, task_id: str, attempt: int) -> None:
        """Owe a talk again that was taken and came to nothing."""
        account = self._accounts[task_id]
        account.running.remove(attempt)
        self._num_running -= 1
        self._offer(account)

    def _offer(self, account: _Account) -> None:
        for attempt in account.needed(self._until):
            key = (account.place, attempt)
            if attempt not in account.running and key not in self._waiting:
                self._waiting.add(key)
                heapq.heappush(self._ready, key)
