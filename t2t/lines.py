"""Files of JSON lines that only grow and survive any kind of end: a kill, a full disk, a loss of power.

A line is in the hands of the system when `Lines.append_line` returns, so that it outlives the process,
and on the disk when `Lines.sync` returns, which happens by itself once a second while lines come. A write
that fails half way leaves no trace. What an interrupted write left at the end of a file is one line owed.
"""

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import orjson

from t2t.errors import RunError

_SECONDS_BETWEEN_SYNCS = 1.0


def whole_lines(file: Path) -> Iterator[bytes]:
    """The lines of a file, each with its line end; a torn last line is left out.

    Torn is what has no line end, and a last line that is no JSON: after a loss of power a file may
    have its full length and hold zeros.
    """
    held = b""
    with file.open("rb") as handle:
        for line in handle:
            if not line.endswith(b"\n"):
                break
            if held:
                yield held
            held = line
    if held:
        try:
            orjson.loads(held)
        except orjson.JSONDecodeError:
            return
        yield held


class Lines:
    """Appends lines to a file, for one process at a time.

    Args:
        file: Made when there is none; a torn last line is cut off.
        seen: Is given each whole line that is there and the place where it begins, in bytes.
    """

    def __init__(self, file: Path, seen: Callable[[bytes, int], None] | None = None) -> None:
        self._file = file
        self.count = 0
        """Lines appended."""
        self.syncs_itself = True
        """False where someone else calls `sync` once a second, from a thread: a slow disk then holds up nothing."""
        self.end = 0
        """Length of the file in bytes, which is where the next line begins."""
        for line in whole_lines(file) if file.exists() else ():
            if seen is not None:
                seen(line, self.end)
            self.end += len(line)
        self._descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
        self._torn = os.fstat(self._descriptor).st_size > self.end
        self._unsynced = False
        self._synced = time.monotonic()
        if self._torn:
            self._cut()

    def append_line(self, line: bytes) -> None:
        """Add a line; it holds no line end.

        Raises:
            RunError: it could not be written, and nothing of it stays in the file.
        """
        left = memoryview(line + b"\n")
        if self._torn:
            self._cut()
        self._torn = True
        try:
            while left:
                left = left[os.write(self._descriptor, left) :]
            self.end += len(line) + 1
            self._torn = False
        except BaseException as error:
            with contextlib.suppress(OSError):
                self._cut()
            if isinstance(error, OSError):
                raise self._unwritable(error) from None
            raise
        self.count += 1
        self._unsynced = True
        if self.syncs_itself and time.monotonic() - self._synced >= _SECONDS_BETWEEN_SYNCS:
            self.sync()

    def read(self, place: int, length: int) -> bytes:
        """Bytes of the file."""
        return os.pread(self._descriptor, length, place)

    def sync(self) -> None:
        """Make everything appended so far durable; costs nothing when it is already.

        Raises:
            RunError: the disk does not take it.
        """
        self._synced = time.monotonic()
        if self._unsynced:
            # Set first: a line that comes meanwhile may miss this sync.
            self._unsynced = False
            try:
                os.fsync(self._descriptor)
            except OSError as error:
                self._unsynced = True
                raise self._unwritable(error) from None

    def close(self) -> None:
        """Make everything durable and close the file; a second time does nothing."""
        if self._descriptor < 0:
            return
        try:
            self.sync()
        finally:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Self:
        """The same."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Make everything durable and close the file."""
        self.close()

    def _unwritable(self, error: OSError) -> RunError:
        return RunError(
            f"{self._file} cannot be written to: {error.strerror}; free some space or mend the disk and start again, "
            "finished work is kept"
        )

    def _cut(self) -> None:
        """Take off what stands behind the last whole line."""
        os.ftruncate(self._descriptor, self.end)
        self._torn = False
