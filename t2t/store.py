"""Artifacts on disk: folders named by what made them, JSONL that survives any kind of end.

``runs/<stage>/<key>/`` is complete; ``runs/<stage>/<key>.partial/`` is under way or was interrupted.
Records are appended as `t2t.lines` says: a finished one survives the process, a torn last line is one
record owed. The manifest is written last, then the folder is renamed.
"""

import fcntl
import hashlib
import itertools
import json
import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import orjson
from pydantic import JsonValue, ValidationError

from t2t.errors import RunError
from t2t.lines import Lines, whole_lines
from t2t.records import Record

R = TypeVar("R", bound=Record)

MANIFEST = "manifest.json"


def hash_of(value: JsonValue) -> str:
    """Hash of a JSON value, 12 hex digits, equal for equal values."""
    return hashlib.sha256(orjson.dumps(value, option=orjson.OPT_SORT_KEYS)).hexdigest()[:12]


class Artifact:
    """The folder that one stage makes."""

    def __init__(self, root: Path, stage: str, key: str) -> None:
        """Name the folder; nothing is touched yet."""
        self.stage, self.key = stage, key
        self.folder = root / stage / key
        self.partial = root / stage / f"{key}.partial"

    @property
    def complete(self) -> bool:
        """True when the stage has finished."""
        return (self.folder / MANIFEST).exists()

    def manifest(self) -> dict[str, JsonValue]:
        """What the stage wrote about itself.

        Raises:
            RunError: the artifact is not complete.
        """
        if not self.complete:
            raise RunError(f"{self.folder} is not complete; run stage {self.stage!r} first")
        return json.loads((self.folder / MANIFEST).read_text(encoding="utf-8"))

    @contextmanager
    def making(self) -> Generator[Path]:
        """Hold the artifact's lock and give its partial folder; another process waits here.

        Whoever waited may find the artifact complete, and then there is no partial folder.
        """
        lock = self.partial.with_suffix(".lock")
        lock.parent.mkdir(parents=True, exist_ok=True)
        with lock.open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            if not self.complete:
                self.partial.mkdir(exist_ok=True)
            yield self.partial
        lock.unlink(missing_ok=True)

    def finish(self, manifest: dict[str, JsonValue]) -> None:
        """Write the manifest and give the folder its final name."""
        write_json(self.partial / MANIFEST, manifest)
        self.partial.rename(self.folder)
        _sync_folder(self.folder.parent)


def write_json(file: Path, value: JsonValue) -> None:
    """Write a JSON file in one atomic step."""
    temporary = file.with_name(file.name + ".tmp")
    with temporary.open("w", encoding="utf-8") as handle:
        json.dump(value, handle, indent=2, ensure_ascii=False)
        handle.write("\n")
        handle.flush()
        os.fsync(handle.fileno())
    temporary.replace(file)


def read_records(file: Path, record_type: type[R]) -> Iterator[R]:
    """Read the records of a file, one line each; a torn last line is left out.

    Raises:
        RunError: a line other than the last does not read; the text names file and line.
    """
    for record, _ in read_placed(file, record_type):
        yield record


def read_placed(file: Path, record_type: type[R]) -> Iterator[tuple[R, int]]:
    """As `read_records`, with the place where each line begins, in bytes."""
    place = 0
    for number, line in enumerate(whole_lines(file), start=1):
        try:
            yield record_type.model_validate_json(line), place
        except ValidationError as error:
            raise RunError(
                f"{file}:{number} is no {record_type.__name__}: {error.errors()[0]['msg']}; "
                "delete the folder to make it again"
            ) from None
        place += len(line)


class Writer(Lines):
    """Appends records to a JSONL file, durably and each id once.

    Args:
        file: Made when there is none; a torn last line is cut off, the ids that are there are known.

    Raises:
        RunError: a line other than the last is no record; the text names file and line.
    """

    def __init__(self, file: Path) -> None:
        self.ids: set[str] = set()
        """Ids of the records in the file."""
        numbers = itertools.count(1)

        def note(line: bytes, place: int) -> None:
            number = next(numbers)
            try:
                self.ids.add(orjson.loads(line)["id"])
            except (orjson.JSONDecodeError, TypeError, KeyError):
                raise RunError(f"{file}:{number} is no record; delete this line, and it is made again") from None

        super().__init__(file, note)

    def append(self, record: Record) -> bool:
        """Add a record; False when its id is there already.

        Raises:
            RunError: it could not be written, and nothing of it stays in the file.
        """
        record_id: str = getattr(record, "id")  # noqa: B009  every stored record has one
        return record_id not in self.ids and self.append_bytes(record_id, record.model_dump_json().encode())

    def append_bytes(self, record_id: str, line: bytes) -> bool:
        """Add a record that is JSON already, without a line end; False when its id is there already.

        Raises:
            RunError: it could not be written, and nothing of it stays in the file.
        """
        if record_id in self.ids:
            return False
        self.append_line(line)
        self.ids.add(record_id)
        return True


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
