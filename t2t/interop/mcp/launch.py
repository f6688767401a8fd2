"""Start an MCP server that cannot outlive its owner: ``python launch.py OWNER COMMAND...``, standard library only.

The launcher leads the server's process group and waits. A server whose standard input closes should end by
itself; one that hangs does not, so when the owner is gone, however it ended, the kernel tells the launcher,
and the launcher kills the group.
"""

import ctypes
import os
import signal
import sys
from types import FrameType

_PR_SET_PDEATHSIG = 1


def main(owner: int, command: list[str]) -> int:
    """Run `command` until it ends; the exit status is the command's."""
    signal.signal(signal.SIGTERM, _kill_group)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != owner:
        return 1
    try:
        server = os.posix_spawnp(command[0], command, os.environ)
    except OSError as error:
        sys.stderr.write(f"{command[0]}: {error.strerror}\n")
        return 127
    return os.waitstatus_to_exitcode(os.waitpid(server, 0)[1])


def _kill_group(number: int, frame: FrameType | None) -> None:
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2:]))
