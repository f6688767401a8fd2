"""Progress and messages for the person who waits: one line per ten seconds, or one that updates."""

import logging
import os
import sys
import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

_SECONDS_BETWEEN_LINES = 10.0
_SECONDS_BETWEEN_UPDATES = 0.5
_SECONDS_BETWEEN_SAMPLES = 1.0
_SHORTEST_WINDOW_S = 60.0
_CLEAR = "\r\x1b[2K"


def configure(level: int = logging.INFO) -> None:
    """Send this package's messages to standard error, each with the time of day."""
    # On a terminal a line that updates may stand where the message goes.
    start = _CLEAR if sys.stderr.isatty() else ""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter(f"{start}%(asctime)s %(message)s", datefmt="%H:%M:%S"))
    logger = logging.getLogger("t2t")
    logger.handlers[:] = [handler]
    logger.setLevel(level)
    logger.propagate = False


class _Sample(NamedTuple):
    """How far the work was at a moment."""

    at: float
    """Seconds of the monotonic clock."""
    done: int
    """Units done."""
    work: float
    """Work done."""


class Progress:
    """Counts work done and says so: done of total, rate, time left.

    Units may differ in size: with `work` the time left follows the work that is done, not the number of units.
    Rates are those of the later half of the
    time so far, and of a minute at least, so that a slow start is forgotten.
    """

    def __init__(self, label: str, total: int, unit: str, done: int = 0, work: float = 0.0) -> None:
        """Start counting.

        Args:
            label: Stage, and agent or domain where there are several.
            total: Units in all.
            unit: Plural noun, such as ``tasks``.
            done: Units that were there before this run.
            work: Work expected of the units that are owed, in any measure; 0 counts every unit as 1.
        """
        self._label, self._total, self._unit = label, total, unit
        self._first = self._done = done
        self._owed = work or float(total - done)
        self._worked = 0.0
        self._started = self._last = time.monotonic()
        self._samples = deque([_Sample(self._started, done, 0.0)])
        self._bar = sys.stderr.isatty()
        self.note: Callable[[], str] = lambda: ""
        """Further text for the line, its parts set apart by ``", "``, such as the success so far."""
        self.begun: Callable[[], float] = lambda: 0.0
        """Work done on units that are not done yet, such as the turns played of talks in flight; without it the time
        left is too long while all is in flight and little is done."""

    def step(self, count: int = 1, work: float | None = None) -> None:
        """Count units as done.

        Args:
            count: Units.
            work: The work that was expected of them, whatever they took; None is `count`.
        """
        self._done += count
        self._worked += count if work is None else work
        now = time.monotonic()
        if now - self._samples[-1].at >= _SECONDS_BETWEEN_SAMPLES:
            self._samples.append(_Sample(now, self._done, self._worked + self.begun()))
            window = max(_SHORTEST_WINDOW_S, (now - self._started) / 2)
            while len(self._samples) > 2 and now - self._samples[1].at >= window:
                self._samples.popleft()
        if now - self._last >= (_SECONDS_BETWEEN_UPDATES if self._bar else _SECONDS_BETWEEN_LINES):
            self._last = now
            self._show()

    def tick(self) -> None:
        """Show the line again although nothing new is done."""
        self.step(0)

    def close(self) -> None:
        """Show the last line."""
        self._show()
        if self._bar:
            sys.stderr.write("\n")

    def line(self, width: int = 0) -> str:
        """The line as it stands.

        Args:
            width: Columns that it must not exceed, 0 for no bound. What the note says last goes first; the count
                and the time left stay longest.
        """
        now = time.monotonic()
        finished = self._done >= self._total
        since = _Sample(self._started, self._first, 0.0) if finished else self._samples[0]
        seconds = max(now - since.at, 1e-6)
        start = [f"{self._label} {self._done}/{self._total} {self._unit}"]
        if self._done > self._first:
            start.append(f"{short((self._done - since.done) / seconds)}/s")
        worked = self._worked + self.begun()
        speed = (worked - since.work) / seconds
        if not finished and speed > 0:
            # Where talks outlast what was expected of them, the work may run out before the units do.
            owed = max(self._owed - worked, 0.0)
            end = f"{spoken(owed / speed)} left" if owed else "nearly done"
        else:
            end = spoken(now - self._started) + ("" if finished else " so far")
        note = [part for part in self.note().split(", ") if part]
        line = ", ".join([*start, *note, end])
        while width and len(line) > width and note:
            note.pop()
            line = ", ".join([*start, *note, end])
        return line[:width] if width else line

    def _show(self) -> None:
        if self._bar:
            sys.stderr.write(_CLEAR + self.line(_terminal_width() - 1))
            sys.stderr.flush()
        else:
            logging.getLogger("t2t").info(self.line())


def _terminal_width() -> int:
    """Columns of the terminal that standard error goes to; 80 where it does not say."""
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or 80
    except (OSError, ValueError):
        return 80


def spoken(seconds: float) -> str:
    """A duration: "41 s", "3 min 20 s", "1 h 5 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def short(number: float) -> str:
    """A number of at least 0 in three digits: "7", "0.25", "18.2k", "3.4M"."""
    for size, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= 0.9995 * size:
            return f"{number / size:.3g}{unit}"
    return f"{number:.3g}"
