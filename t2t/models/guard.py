"""Run a server that cannot outlive its owner: ``python guard.py COMMAND...``, standard library only.

The guard's standard input is a pipe whose other end the owner holds and never writes to. When it closes,
however the owner ended, the guard stops the server and its whole process group. A second process watches
the guard in the same way, so that killing the guard leaves nothing either; and should both be killed at once,
the kernel tells the server. The server is asked before it is killed, since vLLM then frees its shared memory.
"""

import contextlib
import ctypes
import os
import select
import signal
import sys
import time
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_GRACE_S = 10.0
_REST_GRACE_S = 2.0
_POLL_S = 0.2


def main(command: list[str]) -> int:
    """Run `command` until it ends or the owner does; the exit status is the command's, or 128 + signal."""
    asked: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: asked.append(number))
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    owner = os.getppid()
    watcher, watcher_pipe = _start_watcher()
    server = _start_server(command, libc)
    os.write(watcher_pipe, f"{server}\n".encode())
    statuses: dict[int, int] = {}

    def has_ended() -> bool:
        _reap(statuses)
        return server in statuses

    while not has_ended() and not asked and os.getppid() == owner:
        if _is_closed(sys.stdin.fileno()):
            break
    _stop(server, has_ended)
    code = os.waitstatus_to_exitcode(statuses[server] if has_ended() else os.waitpid(server, 0)[1])
    with contextlib.suppress(BrokenPipeError):
        os.write(watcher_pipe, b"stopped\n")
    os.close(watcher_pipe)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(watcher, 0)
    return code if code >= 0 else 128 - code


def _start_server(command: list[str], libc: ctypes.CDLL) -> int:
    """Process id, and process group, of the server."""
    guard = os.getpid()
    server = os.fork()
    if server:
        with contextlib.suppress(OSError):
            os.setpgid(server, server)
        return server
    os.setpgid(0, 0)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != guard:
        os._exit(1)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    try:
        os.execvp(command[0], command)
    except OSError as error:
        os.write(2, f"{command[0]}: {error}\n".encode())
        os._exit(127)


def _start_watcher() -> tuple[int, int]:
    """Process id of the watcher, and the pipe that tells it what to stop, and then that it was stopped."""
    reader, writer = os.pipe()
    watcher = os.fork()
    if watcher:
        os.close(reader)
        return watcher, writer
    os.setsid()
    os.close(writer)
    os.close(0)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with open(reader) as pipe:  # noqa: PTH123  (a descriptor, not a path)
        words = pipe.read().split()
    if len(words) == 1:
        server = int(words[0])
        _stop(server, lambda: not _exists(server))
    os._exit(0)


def _is_closed(pipe: int) -> bool:
    readable, _, _ = select.select([pipe], [], [], _POLL_S)
    return bool(readable) and not os.read(pipe, 4096)


def _reap(statuses: dict[int, int]) -> None:
    """Collect the statuses of children that ended, orphans of the server among them."""
    with contextlib.suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            statuses[ended[0]] = ended[1]


def _stop(server: int, has_ended: Callable[[], bool]) -> None:
    """Ask the server to end, then what it left, and kill what is still there."""
    with contextlib.suppress(ProcessLookupError):
        if not has_ended():
            os.kill(server, signal.SIGTERM)
    deadline = time.monotonic() + _GRACE_S
    while not has_ended() and time.monotonic() < deadline:
        time.sleep(0.05)
    _kill(server, signal.SIGTERM)
    deadline = time.monotonic() + _REST_GRACE_S
    while _kill(server, 0) and time.monotonic() < deadline:
        time.sleep(0.05)
        has_ended()
    _kill(server, signal.SIGKILL)


def _exists(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def _kill(group: int, number: int) -> bool:
    """Signal a process group; False when it is empty."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
