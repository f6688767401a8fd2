"""Bound the time of code that nobody can trust to end, such as a tool with arguments that a model wrote."""

import signal
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import TypeVar

T = TypeVar("T")

_AGAIN_S = 0.5
"""Seconds after which code that caught the interruption is interrupted once more."""


class TimeUp(BaseException):
    """The time is over; no `Exception`, so that a tool's own handlers let it through."""


def run_within(seconds: float, work: Callable[[], T]) -> T:
    """Result of `work`, which is interrupted after `seconds`.

    The interruption is a signal, so it also ends loops inside the interpreter such as ``9**9**9`` or a regular
    expression that backtracks. Signals reach the main thread alone: in another one `work` has no bound.

    Raises:
        TimeUp: it took longer; whatever `work` was changing is as it was left.
    """
    if threading.current_thread() is not threading.main_thread():
        return work()
    armed = True

    def interrupt(number: int, frame: FrameType | None) -> None:
        if armed:
            raise TimeUp

    def disarm() -> None:
        nonlocal armed
        armed = False
        signal.signal(signal.SIGALRM, previous)
        # Somebody else's alarm, a test runner's for instance, goes on where it was.
        left = max(outer - (time.monotonic() - started), 0.001) if outer else 0.0
        signal.setitimer(signal.ITIMER_REAL, left, outer_interval)

    started = time.monotonic()
    previous = signal.signal(signal.SIGALRM, interrupt)
    outer, outer_interval = signal.setitimer(signal.ITIMER_REAL, seconds, _AGAIN_S)
    try:
        try:
            return work()
        finally:
            disarm()
    except TimeUp:
        disarm()
        raise
