"""Talks over a Ray cluster: workers that live in actors, wherever the cluster has room for them.

An actor starts the very worker that `t2t.scheduling.players` starts here, as a child on its node, and passes the
lines both ways. So time limits work there as they do here, and nothing but lines travels: the nodes need this
package, the model's files and the variables that hold keys, and no shared folder.
"""

import asyncio
import contextlib
import importlib
import logging
import os
import queue
import signal
import socket
import subprocess
import threading
from collections import deque
from collections.abc import Generator
from pathlib import Path
from typing import Any

from t2t.errors import ConfigError
from t2t.scheduling.players import PlayerLost, worker_command
from t2t.scheduling.talks import TalkSpec

log = logging.getLogger(__name__)

_SECONDS_BETWEEN_WARNINGS = 60.0
_REACH_S = 10.0
_MOST_LINES = 1024
"""Lines that wait in an actor; a worker that has written more waits."""


def load_ray() -> Any:
    """The package ``ray``.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        return importlib.import_module("ray")
    except ImportError:
        raise ConfigError("compute=ray needs Ray, which is not installed: pip install 't2t[ray]'") from None


@contextlib.contextmanager
def connected(address: str) -> Generator[None]:
    """Belong to a Ray cluster until the block ends; actors that were started in it end with it.

    Args:
        address: ``compute.ray_address``.

    Raises:
        ConfigError: Ray is not installed, or no cluster answers there.
    """
    ray = load_ray()
    if ray.is_initialized():
        yield
        return
    in_main_thread = threading.current_thread() is threading.main_thread()
    on_sigterm = signal.getsignal(signal.SIGTERM)
    try:
        _reach(address)
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        raise ConfigError(
            f"compute.ray_address={address}: no Ray cluster takes this process ({_first_line(error)}); start one with "
            "`ray start --head`, or name the head of one as HOST:PORT"
        ) from None
    finally:
        if in_main_thread:
            signal.signal(signal.SIGTERM, on_sigterm)
    try:
        yield
    finally:
        ray.shutdown()


def describe(address: str) -> str:
    """What a cluster has: ``2 nodes, 16 CPUs, 2 GPUs``.

    Raises:
        ConfigError: Ray is not installed, or no cluster answers there.
    """
    with connected(address):
        ray = load_ray()
        num_nodes = sum(bool(node["Alive"]) for node in ray.nodes())
        found = ray.cluster_resources()
        return f"{num_nodes} nodes, {found.get('CPU', 0):g} CPUs, {found.get('GPU', 0):g} GPUs"


def _reach(address: str) -> None:
    """See at once what Ray would try for minutes: whether anything listens there.

    Raises:
        OSError: nothing does.
    """
    host, _, port = address.rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), _REACH_S).close()


class RayPlayer:
    """A worker on some node of the cluster that this process belongs to; it ends when this process does."""

    def __init__(self, actor: Any) -> None:
        """Take the handle of a `_Host`."""
        self._actor = actor
        self._lines: deque[bytes] = deque()
        self._end = ""

    @classmethod
    async def start(cls, spec: TalkSpec) -> "RayPlayer":
        """Start a worker once a node has a free CPU, and give it its task.

        Raises:
            PlayerLost: its node was lost at once.
        """
        ray = load_ray()
        host = ray.remote(num_cpus=1, max_concurrency=2, scheduling_strategy="SPREAD")(_Host)
        player = cls(host.remote(str(Path.cwd())))
        try:
            await player._wait_for_room()
            await player.send(spec.model_dump_json().encode())
        except BaseException:
            await player.stop()
            raise
        return player

    async def send(self, line: bytes) -> None:
        """See `Player`."""
        if not await _result(self._actor.send.remote(line)):
            _, end = await _result(self._actor.receive.remote())
            raise PlayerLost(end or "it takes no more lines")

    async def receive(self) -> bytes:
        """See `Player`."""
        while not self._lines:
            if self._end:
                raise PlayerLost(self._end)
            lines, self._end = await _result(self._actor.receive.remote())
            self._lines.extend(lines)
        return self._lines.popleft()

    async def stop(self) -> None:
        """See `Player`."""
        load_ray().kill(self._actor)

    async def _wait_for_room(self) -> None:
        ray = load_ray()
        placed = asyncio.ensure_future(_result(self._actor.node.remote()))
        try:
            while not (await asyncio.wait([placed], timeout=_SECONDS_BETWEEN_WARNINGS))[0]:
                free, every = (found.get("CPU", 0) for found in (ray.available_resources(), ray.cluster_resources()))
                log.warning(f"a player waits for a node of the Ray cluster: {free:g} of {every:g} CPUs are free")
            await placed
        finally:
            placed.cancel()


class _Host:
    """In an actor: a worker, and the lines that it wrote and nobody has taken yet."""

    def __init__(self, folder: str) -> None:
        self._lines: queue.Queue[bytes] = queue.Queue(_MOST_LINES)
        self._started: queue.Queue[subprocess.Popen[bytes]] = queue.Queue()
        # A worker is told to end when the thread that started it does, so that this one waits for it.
        threading.Thread(target=self._read, args=(folder,), daemon=True).start()
        self._process = self._started.get()

    def node(self) -> str:
        """Host name of the node."""
        return os.uname().nodename

    def send(self, line: bytes) -> bool:
        """Pass a line on; False when the worker is gone."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line + b"\n")
            self._process.stdin.flush()
        except OSError:
            return False
        return True

    def receive(self) -> tuple[list[bytes], str]:
        """Lines that the worker wrote, one at least, and how it ended if it did."""
        found = [self._lines.get()]
        with contextlib.suppress(queue.Empty):
            while len(found) < _MOST_LINES:
                found.append(self._lines.get_nowait())
        lines = [line[:-1] for line in found if line.endswith(b"\n")]
        if len(lines) == len(found):
            return lines, ""
        code = self._process.wait()
        return lines, f"signal {-code}" if code < 0 else f"exit status {code}"

    def _read(self, folder: str) -> None:
        """Start the worker, in the folder of that name where this node has it, and read until it ends."""
        home = folder if Path(folder).is_dir() else None
        process = subprocess.Popen(worker_command(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=home)
        self._started.put(process)
        assert process.stdout is not None
        while (line := process.stdout.readline()).endswith(b"\n"):
            self._lines.put(line)
        # What is left of a line, or nothing, stands for the end.
        self._lines.put(line)
        process.wait()


async def _result(reference: Any) -> Any:
    """What a method of an actor returned.

    Raises:
        PlayerLost: the actor or its node is gone.
    """
    try:
        return await reference
    except load_ray().exceptions.RayError as error:
        raise PlayerLost(f"{type(error).__name__}: {_first_line(error)}") from None


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__).rstrip(".")
