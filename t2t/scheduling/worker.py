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
from t2t.models.metrics import EngineMetrics
from t2t.records import Rollout, Task
from t2t.scheduling.ledger import Owed, rollout_id
from t2t.scheduling.limit import Limit
from t2t.scheduling.monitor import Monitor
from t2t.scheduling.players import Said
from t2t.scheduling.pool import Pool
from t2t.scheduling.talks import Talks, TalkSpec

_SECONDS_BETWEEN_STATES = 1.0
_LONGEST_LINE = 2**28
_PR_SET_PDEATHSIG = 1

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
        self._limit = Limit(-(-spec.settings.concurrency // spec.players))
        self._pool = Pool(self._queue, self._talks.play, self._settle, self._limit)
        self._told: Counter[str] = Counter()
        self._requests_told = 0
        self._num_overloaded = 0

    async def run(self, lines: asyncio.StreamReader) -> None:
        """Play what comes; ends with an error alone, and with the process when nobody sends any more."""
        monitor = Monitor(self._spec.base_urls, self._follow)
        parts = (self._pool.run(stay=lambda: True), self._listen(lines), self._report(), monitor.run())
        tasks = [asyncio.create_task(part) for part in parts]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()

    async def _listen(self, lines: asyncio.StreamReader) -> None:
        while (line := await lines.readline()).endswith(b"\n"):
            self._queue.put(line)
            self._pool.wake()
        # Nobody is there to take what would come of it.
        os._exit(0)

    async def _report(self) -> None:
        while True:
            self._say(self._state())
            await asyncio.sleep(_SECONDS_BETWEEN_STATES)

    def _state(self) -> Said:
        """What is wanted, and what came since it was said last."""
        faults = Counter(self._talks.faults) - self._told
        self._told += faults
        requests = self._talks.requests - self._requests_told
        self._requests_told += requests
        wanted = self._limit.value + max(2, self._limit.value // 4)
        return Said(wanted=wanted, in_flight=self._pool.in_flight, faults=faults, requests=requests)

    def _follow(self, metrics: EngineMetrics | None, preempted: int) -> None:
        overloaded = self._talks.faults["http_429"]
        new, self._num_overloaded = overloaded - self._num_overloaded, overloaded
        self._limit.follow(metrics, self._pool.in_flight, preempted=preempted, overloaded=new)
        self._pool.wake()

    def _settle(self, owed: Owed, outcome: Rollout | InfraError) -> None:
        state = self._state()
        if isinstance(outcome, InfraError):
            name = rollout_id(owed.task.id, self._spec.agent, owed.attempt)
            self._say(state.model_copy(update={"owed": name, "text": str(outcome)}))
            return
        finished = {"done": outcome.id, "success": outcome.reward.value == 1.0}
        self._say(state.model_copy(update=finished), outcome.model_dump_json().encode())

    def _say(self, said: Said, record: bytes = b"") -> None:
        _write(self._output, said, record)


def _write(output: int, said: Said, record: bytes = b"") -> None:
    line = said.model_dump_json(exclude_defaults=True).encode() + b"\n"
    left = memoryview(line + record + b"\n" if record else line)
    while left:
        left = left[os.write(output, left) :]


def _last_word(error: Exception) -> Said:
    """Why this cannot go on."""
    if isinstance(error, T2TError):
        return Said(stopped=str(error), usage=isinstance(error, ConfigError))
    notes = "; ".join(getattr(error, "__notes__", ()))
    return Said(stopped=" ".join(f"{type(error).__name__}: {error} {notes}".split()))


async def _main(output: int) -> None:
    lines = asyncio.StreamReader(limit=_LONGEST_LINE)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin.buffer)
    first = await lines.readline()
    if not first:
        return
    try:
        await _Worker(TalkSpec.model_validate_json(first), output).run(lines)
    except Exception as error:  # noqa: BLE001  whoever started this says what happened
        if not isinstance(error, T2TError):
            traceback.print_exc()
        _write(output, _last_word(error))


def main() -> None:
    """Serve the process at the other end of the standard streams until it closes them or ends."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    logs.configure()
    # What a domain prints must not stand between the lines of the protocol.
    output = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    asyncio.run(_main(output))


if __name__ == "__main__":
    main()
