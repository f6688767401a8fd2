"""Answers of a model that were paid for, kept on disk: who asks again, asks the file.

One JSON line per answer, found by the hash of everything that it depends on. A line is in the
hands of the system when `put` returns, so that it outlives the process, and on the disk at most a
second later; a torn last line is cut off, and its answer is asked for once more.
"""

import hashlib
import os
import time
from pathlib import Path
from types import TracebackType

import orjson
from pydantic import JsonValue

from t2t.errors import RunError

_SECONDS_BETWEEN_SYNCS = 1.0


def key_of(value: JsonValue) -> str:
    """Hash of what an answer depends on, 64 hex digits, equal for equal values.

    Args:
        value: all of it: model, sampling, seed, question.
    """
    return hashlib.sha256(orjson.dumps(value, option=orjson.OPT_SORT_KEYS)).hexdigest()


class Journal:
    """A file of answers by key, for one process at a time; of each only its place is held in memory.

    Args:
        file: where they are kept; made with its folder when there is none.

    Raises:
        RunError: a line other than the last does not read; the text names file and line.
    """

    def __init__(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self._file = file
        self._places: dict[str, int] = {}
        self._handle = file.open("a+b")
        try:
            self._end = self._read_places()
            self._handle.truncate(self._end)
        except BaseException:
            self._handle.close()
            raise
        self._synced = time.monotonic()

    def __len__(self) -> int:
        """Answers that are kept."""
        return len(self._places)

    def __contains__(self, key: str) -> bool:
        """True when there is an answer for `key`, be it None."""
        return key in self._places

    def get(self, key: str) -> JsonValue:
        """The answer for `key`, None where there is none."""
        place = self._places.get(key)
        if place is None:
            return None
        self._handle.seek(place)
        return orjson.loads(self._handle.readline())["value"]

    def put(self, key: str, value: JsonValue) -> None:
        """Keep an answer; the first one for a key stays."""
        if key in self._places:
            return
        line = orjson.dumps({"key": key, "value": value}) + b"\n"
        self._handle.write(line)
        self._handle.flush()
        self._places[key] = self._end
        self._end += len(line)
        if time.monotonic() - self._synced >= _SECONDS_BETWEEN_SYNCS:
            self.sync()

    def sync(self) -> None:
        """Make everything durable that was put so far."""
        os.fsync(self._handle.fileno())
        self._synced = time.monotonic()

    def close(self) -> None:
        """Make everything durable and close the file."""
        try:
            self.sync()
        finally:
            self._handle.close()

    def __enter__(self) -> "Journal":
        """The journal itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    def _read_places(self) -> int:
        """Note where each answer lies; the length of the file without a torn last line."""
        whole = 0
        self._handle.seek(0)
        for number, line in enumerate(self._handle, start=1):
            if not line.endswith(b"\n"):
                break
            try:
                entry = orjson.loads(line)
                self._places.setdefault(entry["key"], whole)
            except (orjson.JSONDecodeError, TypeError, KeyError):
                raise RunError(
                    f"{self._file}:{number} is no answer of a model; delete this line, and it is asked for again"
                ) from None
            whole += len(line)
        return whole
