"""Talks in other processes: a worker plays what it is sent, and says what became of it.

``python -m t2t.scheduling.worker`` reads lines of JSON and writes some. The first line that it gets is its
`TalkSpec`; each one after that is ``[[task, attempt], ...]``. What it writes is a `Said` per line; a finished
talk's record follows as a line of its own, so that nobody has to read it on its way to the file.
"""

import asyncio
import contextlib
import sys
from typing import Protocol

import orjson
from pydantic import BaseModel

from t2t.scheduling.ledger import Owed
from t2t.scheduling.talks import TalkSpec

_LONGEST_LINE = 2**28


class Said(BaseModel):
    """What a worker says."""

    done: str = ""
    """Id of a talk whose record is the next line."""
    success: bool = False
    """Verdict of that talk."""
    owed: str = ""
    """Id of a talk that a service failed for good."""
    text: str = ""
    """Why."""
    stopped: str = ""
    """Why the worker cannot go on: an error of a setting or of the program."""
    usage: bool = False
    """True when a setting is to blame for it."""
    wanted: int = 0
    """Talks that it wants to have, those under way included; 0 says nothing of it."""
    in_flight: int = 0
    """Talks under way, beside `wanted`."""
    faults: dict[str, int] = {}
    """Faults of services since it said so last, by kind, beside `wanted`."""
    requests: int = 0
    """Requests since then."""


class PlayerLost(Exception):
    """A worker is gone, with all that it was playing; the text says how."""


class Player(Protocol):
    """A worker, wherever it runs."""

    async def send(self, line: bytes) -> None:
        """Give it a line, without a line end.

        Raises:
            PlayerLost: it is gone.
        """
        ...

    async def receive(self) -> bytes:
        """The next line that it wrote, without the line end.

        Raises:
            PlayerLost: it is gone.
        """
        ...

    async def stop(self) -> None:
        """End it at once; what it was playing is lost. Does nothing when it is gone."""
        ...


class ProcessPlayer:
    """A worker on this machine, which ends when this process does."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        """Take a process that `start` started."""
        self._process = process

    @classmethod
    async def start(cls, spec: TalkSpec) -> "ProcessPlayer":
        """Start a worker and give it its task."""
        process = await asyncio.create_subprocess_exec(
            *worker_command(),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=_LONGEST_LINE,
            # Ctrl-C in a terminal is for this process alone.
            process_group=0,
        )
        player = cls(process)
        try:
            await player.send(spec.model_dump_json().encode())
        except BaseException:
            await player.stop()
            raise
        return player

    async def send(self, line: bytes) -> None:
        """See `Player`."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line + b"\n")
            await self._process.stdin.drain()
        except (BrokenPipeError, ConnectionResetError):
            raise PlayerLost(await self._end()) from None

    async def receive(self) -> bytes:
        """See `Player`."""
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        if not line.endswith(b"\n"):
            raise PlayerLost(await self._end())
        return line[:-1]

    async def stop(self) -> None:
        """See `Player`."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        if self._process.stdin is not None:
            self._process.stdin.close()
        # It ends at once, and whoever is in a hurry waits for that: a process that nobody waited for is a zombie.
        ended = asyncio.ensure_future(self._process.wait())
        hurried = False
        while not ended.done():
            try:
                await asyncio.shield(ended)
            except asyncio.CancelledError:
                hurried = True
        if hurried:
            raise asyncio.CancelledError

    async def _end(self) -> str:
        code = await self._process.wait()
        return f"signal {-code}" if code < 0 else f"exit status {code}"


def worker_command() -> list[str]:
    """What starts a worker."""
    return [sys.executable, "-m", "t2t.scheduling.worker"]


def to_line(owed: list[Owed]) -> bytes:
    """Talks as a worker takes them."""
    return orjson.dumps([[task.model_dump(mode="json"), attempt] for task, attempt in owed])
