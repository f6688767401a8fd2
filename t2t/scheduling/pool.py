"""Many talks at once in one event loop."""

import asyncio
import gc
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from typing import Protocol

from t2t.errors import InfraError
from t2t.records import Rollout
from t2t.scheduling.ledger import Owed
from t2t.scheduling.limit import Limit

PlayTalk = Callable[[Owed], Awaitable[Rollout]]
"""Plays one talk; raises `InfraError` when a service failed for good."""

Settle = Callable[[Owed, Rollout | InfraError], None]
"""Takes what became of a talk."""


class Source(Protocol):
    """Where talks come from."""

    def take(self) -> Owed | None:
        """The next talk, None when there is none at the moment."""
        ...


class Pool:
    """Keeps as many talks under way as its limit says.

    Args:
        source: Hands out the talks.
        play: Plays one.
        settle: Is told what became of each, in the order in which they end.
        limit: How many may be under way.
    """

    def __init__(self, source: Source, play: PlayTalk, settle: Settle, limit: Limit) -> None:
        self._source, self._play, self._settle = source, play, settle
        self.limit = limit
        """How many may be under way; whoever changes it calls `wake`."""
        self._running: set[asyncio.Task[None]] = set()
        self._woken = asyncio.Event()
        self._failure: BaseException | None = None

    @property
    def in_flight(self) -> int:
        """Talks under way."""
        return len(self._running)

    def wake(self) -> None:
        """Look again whether a talk can begin."""
        self._woken.set()

    async def run(self, stay: Callable[[], bool] = lambda: False) -> None:
        """Play until nothing is under way and the source gives nothing.

        Args:
            stay: True while the source may still get talks.

        Raises:
            Exception: whatever but `InfraError` a talk or `settle` raised; the others are cancelled.
        """
        with _rare_collections():
            await self._run(stay)

    async def _run(self, stay: Callable[[], bool]) -> None:
        try:
            while self._failure is None:
                self._woken.clear()
                while len(self._running) < self.limit.value and (owed := self._source.take()):
                    task = asyncio.create_task(self._one(owed))
                    self._running.add(task)
                    task.add_done_callback(self._ended)
                if not self._running and not stay():
                    return
                await self._woken.wait()
            raise self._failure
        finally:
            for task in list(self._running):
                task.cancel()
            await asyncio.gather(*self._running, return_exceptions=True)

    async def _one(self, owed: Owed) -> None:
        try:
            outcome = await self._play(owed)
        except InfraError as error:
            self._settle(owed, error)
        else:
            self._settle(owed, outcome)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failure = self._failure or error
        self._woken.set()


@contextmanager
def _rare_collections() -> Generator[None]:
    """Thousands of talks are many objects that live: looking for garbage among them as often as by default is waste."""
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
    try:
        yield
    finally:
        gc.set_threshold(*before)
