"""The error tree. Each class says who has to act on it.

T2TError
├── ConfigError     the person at the keyboard: a setting, a name, a missing input (exit code 2)
├── ToolError       the agent: a call that the backend refuses; its text is the tool result
├── InfraError      nobody: a server gone or slow; the work is retried and stays owed (exit code 1)
└── RunError        the person who started the run: the run cannot go on (exit code 1)
"""

import errno


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


def explain(error: BaseException) -> tuple[str, int]:
    """One line for a failure and the exit code: 2 for usage, 1 for a failed run; empty for a bug."""
    if isinstance(error, ConfigError):
        return f"error: {error}", 2
    if isinstance(error, T2TError):
        return f"error: {error}", 1
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return "error: the disk is full; free some space and start again, finished work is kept", 1
    return "", 1
