"""A process that plays talks for another one; see `t2t.scheduling.players` for what the two say to each other."""

import asyncio
import ctypes
import logging
import os
import signal
import sys
import traceback
from collections import Counter, deque

import orjson

from t2t import log as logs
from t2t.errors import ConfigError, InfraError, T2TError
from t2t.records import Rollout, Task
from t2t.scheduling.ledger import Owed, rollout_id
from t2t.scheduling.limit import Limit
from t2t.scheduling.monitor import Monitor
from t2t.scheduling.players import Said
from t2t.scheduling.pool import Pool
from t2t.scheduling.talks import Talks, TalkSpec

_SECONDS_BETWEEN_STATES = 1.0
_LONGEST_LINE = 2**28

log = logging.getLogger(__name__)


class _Queue:
    """Talks that were sent and not begun."""

    def __init__(self) -> None:
        self._waiting: deque[Owed] = deque()

    def put(self, line: bytes) -> None:
        for task, attempt in orjson.loads(line):
            self._waiting.append(Owed(Task.model_validate(task), attempt))

    def take(self) -> Owed | None:
        return self._waiting.popleft() if self._waiting else None


class _Worker:
    def __init__(self, spec: TalkSpec, output: int) -> None:
        self._spec, self._output = spec, output
        self._talks = Talks(spec)
        self._queue = _Queue()
        self._limit = Limit(spec.settings.concurrency)
        self._pool = Pool(self._queue, self._talks.play, self._settle, self._limit)
        self._told: Counter[str] = Counter()
        self._requests_told = 0

    async def run(self, lines: asyncio.StreamReader) -> None:
        """Play what comes until nobody sends any more."""
        monitor = Monitor(self._spec.base_urls, lambda metrics, preempted: self._follow(metrics, preempted))
        helpers = [asyncio.create_task(work) for work in (self._listen(lines), self._report(), monitor.run())]
        try:
            await self._pool.run(stay=lambda: True)
        finally:
            for helper in helpers:
                helper.cancel()

    async def _listen(self, lines: asyncio.StreamReader) -> None:
        while (line := await lines.readline()).endswith(b"\n"):
            self._queue.put(line)
            self._pool.wake()
        # Nobody is there to take what would come of it.
        os._exit(0)

    async def _report(self) -> None:
        while True:
            faults = Counter(self._talks.faults) - self._told
            self._told += faults
            wanted = self._limit.value + max(2, self._limit.value // 4)
            requests = self._talks.requests - self._requests_told
            self._requests_told += requests
            self._say(Said(wanted=wanted, in_flight=self._pool.in_flight, faults=faults, requests=requests))
            await asyncio.sleep(_SECONDS_BETWEEN_STATES)

    def _follow(self, metrics: object, preempted: int) -> None:
        from t2t.models.metrics import EngineMetrics

        seen = metrics if isinstance(metrics, EngineMetrics) else None
        self._limit.follow(seen, self._pool.in_flight, preempted=preempted, overloaded=0)
        self._pool.wake()

    def _settle(self, owed: Owed, outcome: Rollout | InfraError) -> None:
        if isinstance(outcome, InfraError):
            self._say(Said(owed=rollout_id(owed.task.id, self._spec.agent, owed.attempt), text=str(outcome)))
            return
        self._say(Said(done=outcome.id, success=outcome.reward.value == 1.0), outcome.model_dump_json().encode())

    def _say(self, said: Said, record: bytes = b"") -> None:
        line = said.model_dump_json(exclude_defaults=True).encode() + b"\n"
        left = memoryview(line + record + b"\n" if record else line)
        while left:
            left = left[os.write(self._output, left) :]

    def stop(self, error: Exception) -> None:
        """Say why this cannot go on."""
        if isinstance(error, T2TError):
            self._say(Said(stopped=str(error), usage=isinstance(error, ConfigError)))
            return
        notes = "; ".join(getattr(error, "__notes__", ()))
        self._say(Said(stopped=f"{type(error).__name__}: {error} {notes}".strip()))


async def _main(output: int) -> None:
    lines = asyncio.StreamReader(limit=_LONGEST_LINE)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin.buffer)
    spec = TalkSpec.model_validate_json(await lines.readline())
    worker = _Worker(spec, output)
    try:
        await worker.run(lines)
    except Exception as error:  # noqa: BLE001  whoever started this says what happened
        if not isinstance(error, T2TError):
            traceback.print_exc()
        worker.stop(error)


def main() -> None:
    """Serve the process at the other end of the standard streams until it closes them or ends."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logs.configure()
    # What a domain prints must not stand between the lines of the protocol.
    output = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    asyncio.run(_main(output))


if __name__ == "__main__":
    main()
