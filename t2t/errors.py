"""The error tree. Each class says who has to act on it.

T2TError
├── ConfigError     the person at the keyboard: a setting, a name, a missing input (exit code 2)
├── ToolError       the agent: a call that the backend refuses; its text is the tool result
├── InfraError      nobody: a server gone or slow; the work is retried and stays owed (exit code 1)
└── RunError        the person who started the run: the run cannot go on (exit code 1)
"""

import contextlib
import errno
import logging
from collections.abc import Generator


class T2TError(Exception):
    """Base of every error this package raises on purpose; its text is one line for a reader."""


class ConfigError(T2TError):
    """A setting, name or input that cannot work; names the setting, the value and the way out."""


class ToolError(T2TError):
    """A tool refuses a call; the text says what would be right, for the agent to read."""


class InfraError(T2TError):
    """A service failed, not the model: the attempt is retried and is never counted as a result."""


class RunError(T2TError):
    """A run stops; what was finished before stays on disk."""


@contextlib.contextmanager
def end_in_one_line(log: logging.Logger, *, interrupted: str) -> Generator[None]:
    """Edge of a process: a failure that somebody can act on becomes one line and an exit code.

    Args:
        log: where the line goes.
        interrupted: what to say after Ctrl-C; empty where another process says it.

    Raises:
        SystemExit: 2 for usage, 1 for a failed run, 130 after Ctrl-C. A bug goes through as it is.
    """
    try:
        yield
    except KeyboardInterrupt:
        if interrupted:
            log.error(interrupted)
        raise SystemExit(130) from None
    except Exception as error:
        if isinstance(error, T2TError):
            log.error(f"error: {error}")
            raise SystemExit(2 if isinstance(error, ConfigError) else 1) from None
        if _disk_is_full(error):
            log.error("error: the disk is full; free some space and start again, finished work is kept")
            raise SystemExit(1) from None
        raise


def _disk_is_full(error: BaseException) -> bool:
    """True when a write found no space, a quota included; libraries that write checkpoints say so in words only."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return True
    if "No space left on device" in str(error) or "PytorchStreamWriter failed writing" in str(error):
        return True
    earlier = error.__cause__ or error.__context__
    return earlier is not None and _disk_is_full(earlier)
