"""Answers of a model that were paid for, kept on disk: who asks again, asks the file.

One JSON line per answer, found by the hash of everything that it depends on, kept as `t2t.lines` says:
an answer outlives the process once `put` returns; a torn last line is an answer that is asked for again.
"""

import hashlib
import itertools
from pathlib import Path
from types import TracebackType

import orjson
from pydantic import JsonValue

from t2t.errors import RunError
from t2t.lines import Lines


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
        self._places: dict[str, tuple[int, int]] = {}
        numbers = itertools.count(1)

        def note(line: bytes, place: int) -> None:
            number = next(numbers)
            try:
                entry = orjson.loads(line)
                self._places.setdefault(entry["key"], (place, len(line)))
                entry["value"]
            except (orjson.JSONDecodeError, TypeError, KeyError):
                raise RunError(
                    f"{file}:{number} is no answer of a model; delete this line, and it is asked for again"
                ) from None

        self._lines = Lines(file, note)

    def __len__(self) -> int:
        """Answers that are kept."""
        return len(self._places)

    def __contains__(self, key: str) -> bool:
        """True when there is an answer for `key`, be it None."""
        return key in self._places

    def get(self, key: str) -> JsonValue:
        """The answer for `key`, None where there is none."""
        place = self._places.get(key)
        return None if place is None else orjson.loads(self._lines.read(*place))["value"]

    def put(self, key: str, value: JsonValue) -> None:
        """Keep an answer; the first one for a key stays.

        Raises:
            RunError: it could not be written, and nothing of it stays in the file.
        """
        if key in self._places:
            return
        place = self._lines.end
        self._lines.append_line(orjson.dumps({"key": key, "value": value}))
        self._places[key] = (place, self._lines.end - place)

    def close(self) -> None:
        """Make everything durable and close the file."""
        self._lines.close()

    def __enter__(self) -> "Journal":
        """The journal itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()
