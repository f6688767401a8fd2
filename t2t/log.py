"""Progress and messages for the person who waits: one line per ten seconds, or one that updates."""

import logging
import sys
import time
from collections.abc import Callable

_SECONDS_BETWEEN_LINES = 10.0
_SECONDS_BETWEEN_UPDATES = 0.5


def configure(level: int = logging.INFO) -> None:
    """Send this package's messages to standard error, each with the time of day."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", datefmt="%H:%M:%S"))
    logger = logging.getLogger("t2t")
    logger.handlers[:] = [handler]
    logger.setLevel(level)
    logger.propagate = False


class Progress:
    """Counts work done and says so: done of total, rate, time left."""

    def __init__(self, label: str, total: int, unit: str, done: int = 0) -> None:
        """Start counting.

        Args:
            label: Stage, and agent or domain where there are several.
            total: Units in all.
            unit: Plural noun, such as ``tasks``.
            done: Units that were there before this run.
        """
        self._label, self._total, self._unit = label, total, unit
        self._first = self._done = done
        self._started = time.monotonic()
        self._last = self._started
        self._bar = sys.stderr.isatty()
        self.note: Callable[[], str] = lambda: ""
        """Further text for the line, such as the success so far."""

    def step(self, count: int = 1) -> None:
        """Count units as done."""
        self._done += count
        now = time.monotonic()
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

    def line(self) -> str:
        """The line as it stands."""
        seconds = max(time.monotonic() - self._started, 1e-6)
        rate = (self._done - self._first) / seconds
        parts = [f"{self._label} {self._done}/{self._total} {self._unit}", f"{rate:.3g}/s"]
        if note := self.note():
            parts.append(note)
        if rate > 0 and self._done < self._total:
            parts.append(f"{spoken((self._total - self._done) / rate)} left")
        else:
            parts.append(spoken(seconds))
        return ", ".join(parts)

    def _show(self) -> None:
        if self._bar:
            sys.stderr.write(f"\r\x1b[2K{self.line()}")
            sys.stderr.flush()
        else:
            logging.getLogger("t2t").info(self.line())


def spoken(seconds: float) -> str:
    """A duration: "41 s", "3 min 20 s", "1 h 5 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
