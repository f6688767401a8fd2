"""Run a server that cannot outlive its owner: ``python guard.py COMMAND...``, standard library only.

The guard's standard input is a pipe whose other end the owner holds and never writes to. When it closes,
however the owner ended, the guard stops the server's whole process group. A second process watches the
guard in the same way, so that killing the guard leaves nothing either; and should both be killed at once,
the kernel kills the server.
"""

import contextlib
import ctypes
import os
import select
import signal
import sys
import time

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
    status: int | None = None
    while status is None and not asked and os.getppid() == owner and not _is_closed(sys.stdin.fileno()):
        status = _reap(server)
    code = os.waitstatus_to_exitcode(_stop(server, status))
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
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != guard:
        os._exit(1)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    try:
        os.execvp(command[0], command)
    except OSError as error:
        os.write(2, f"{command[0]}: {error}\n".encode())
        os._exit(127)


def _start_watcher() -> tuple[int, int]:
    """Process id of the watcher, and the pipe that takes the process group to kill when it closes."""
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
        group = pipe.read()
    if group.strip():
        _kill(int(group), signal.SIGKILL)
    os._exit(0)


def _is_closed(pipe: int) -> bool:
    readable, _, _ = select.select([pipe], [], [], _POLL_S)
    return bool(readable) and not os.read(pipe, 4096)


def _reap(server: int) -> int | None:
    """Collect children that ended, orphans of the server among them; the server's status if it did."""
    status: int | None = None
    while True:
        try:
            ended, ended_status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return status
        if not ended:
            return status
        if ended == server:
            status = ended_status


def _stop(server: int, status: int | None) -> int:
    """Ask the server to end, then what it left, and kill what is still there; the server's status."""
    if status is None:
        os.kill(server, signal.SIGTERM)
    deadline = time.monotonic() + _GRACE_S
    while status is None and time.monotonic() < deadline:
        time.sleep(0.05)
        status = _reap(server)
    _kill(server, signal.SIGTERM)
    deadline = time.monotonic() + _REST_GRACE_S
    while status is not None and _kill(server, 0) and time.monotonic() < deadline:
        time.sleep(0.05)
        _reap(server)
    _kill(server, signal.SIGKILL)
    return status if status is not None else os.waitpid(server, 0)[1]


def _kill(group: int, number: int) -> bool:
    """Signal a process group; False when it is empty."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
