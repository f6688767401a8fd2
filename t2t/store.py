"""Artifacts on disk: folders named by what made them, JSONL that survives any kind of end.

``runs/<stage>/<key>/`` is complete; ``runs/<stage>/<key>.partial/`` is under way or was interrupted.
Records are appended and made durable in batches of at most a second; a torn last line is one record
owed. The manifest is written last, then the folder is renamed.
"""

import fcntl
import hashlib
import json
import os
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import orjson
from pydantic import JsonValue, ValidationError

from t2t.errors import RunError
from t2t.records import Record

R = TypeVar("R", bound=Record)

MANIFEST = "manifest.json"
_SECONDS_BETWEEN_SYNCS = 1.0


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
    with file.open("rb") as handle:
        for number, line in enumerate(handle, start=1):
            if not line.endswith(b"\n"):
                return
            try:
                yield record_type.model_validate_json(line)
            except ValidationError as error:
                raise RunError(
                    f"{file}:{number} is no {record_type.__name__}: {error.errors()[0]['msg']}; "
                    "delete the folder to make it again"
                ) from None


class Lines:
    """Appends lines to a file, durable a second later at most."""

    def __init__(self, file: Path) -> None:
        """Open `file`, which is made when there is none."""
        self._handle = file.open("ab")
        self._synced = time.monotonic()
        self.count = 0
        """Lines appended."""

    def append_line(self, line: bytes) -> None:
        """Add a line; it holds no line end."""
        self._handle.write(line + b"\n")
        self.count += 1
        if time.monotonic() - self._synced >= _SECONDS_BETWEEN_SYNCS:
            self.sync()

    def sync(self) -> None:
        """Make everything appended so far durable."""
        self._handle.flush()
        os.fsync(self._handle.fileno())
        self._synced = time.monotonic()

    def __enter__(self) -> Self:
        """The same."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Make everything durable and close the file."""
        try:
            self.sync()
        finally:
            self._handle.close()


class Writer(Lines):
    """Appends records to a JSONL file, durably and each id once."""

    def __init__(self, file: Path) -> None:
        """Open `file`; a torn last line is cut off, the ids that are there are known."""
        self.ids: set[str] = set()
        """Ids of the records in the file."""
        if file.exists():
            whole = 0
            with file.open("rb") as handle:
                for line in handle:
                    if not line.endswith(b"\n"):
                        break
                    whole += len(line)
                    self.ids.add(orjson.loads(line)["id"])
            if whole < file.stat().st_size:
                os.truncate(file, whole)
        super().__init__(file)

    def append(self, record: Record) -> bool:
        """Add a record; False when its id is there already."""
        record_id: str = getattr(record, "id")  # noqa: B009  every stored record has one
        if record_id in self.ids:
            return False
        self.append_line(record.model_dump_json().encode())
        self.ids.add(record_id)
        return True


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
