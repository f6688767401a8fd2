"""Bound the time of code that nobody can trust to end, such as a tool with arguments that a model wrote."""

import signal
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any, TypeVar, cast

T = TypeVar("T")

_AGAIN_S = 0.5
"""Seconds after which code that caught the interruption is interrupted once more."""


_get_handler: Callable[[int], Any] = getattr(cast(Any, signal.getsignal), "__wrapped__", signal.getsignal)
# Without the wrapper, which makes an enumeration's member of the answer; that takes longer than a call of a tool.


class TimeUp(BaseException):
    """The time is over; no `Exception`, so that a tool's own handlers let it through."""


_armed = False


def _interrupt(number: int, frame: FrameType | None) -> None:
    if _armed:
        raise TimeUp


def run_within(seconds: float, work: Callable[[], T]) -> T:
    """Result of `work`, which is interrupted after `seconds`.

    The interruption is a signal, so it also ends loops inside the interpreter such as ``9**9**9`` or a regular
    expression that backtracks. Signals reach the main thread alone: in another one `work` has no bound. Calls do
    not nest.

    Raises:
        TimeUp: it took longer; whatever `work` was changing is as it was left.
    """
    if threading.current_thread() is not threading.main_thread():
        return work()
    global _armed
    previous = _get_handler(signal.SIGALRM)
    if previous is not _interrupt:
        signal.signal(signal.SIGALRM, _interrupt)
    started = time.monotonic()
    _armed = True
    outer = signal.setitimer(signal.ITIMER_REAL, seconds, _AGAIN_S)
    try:
        try:
            return work()
        finally:
            _disarm(previous, outer, started)
    except TimeUp:
        _disarm(previous, outer, started)
        raise


def _disarm(previous: object, outer: tuple[float, float], started: float) -> None:
    """Leave other alarms, a test runner's for instance, as they would be."""
    global _armed
    _armed = False
    left, interval = outer
    signal.setitimer(signal.ITIMER_REAL, max(left - (time.monotonic() - started), 0.001) if left else 0.0, interval)
    # Where nobody had a handler ours stays: it does nothing by itself, and installing it costs more than a call.
    if callable(previous) and previous is not _interrupt:
        signal.signal(signal.SIGALRM, previous)
