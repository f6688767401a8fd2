"""Write tasks as a data set: Parquet and JSON Lines under ``data/``, one row per task, as they come.

`t2t.report.card` writes the ``README.md`` beside them whose header tells ``datasets.load_dataset`` which
files are the data.
"""

import os
from collections.abc import Collection, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import orjson

from t2t.errors import RunError
from t2t.records import Split, Task, Validation

WriteTools = Mapping[str, Collection[str]]
"""Names of the tools that may change the database, by domain."""

FOLDER = "data"
"""Where the files lie, seen from the folder of the README."""

SPLITS: tuple[Split, ...] = ("train", "test")
"""Splits in the order of the card; a split without tasks has no file."""

_ROWS_PER_GROUP = 1000

_TEXTS = (
    "id",
    "domain",
    "intent",
    "wording",
    "split",
    "opening",
    "reason_for_call",
    "known_info",
    "unknown_info",
    "task_instructions",
    "persona",
)
_LISTS = ("reference_tools", "tell")
_NUMBERS = ("num_calls", "num_writes")
_JSON = ("traits", "scenario", "expectation", "validation", "task")


def write_names(task: Task, write_tools: WriteTools) -> tuple[str, ...]:
    """Tools of the reference calls that may change the database, in order, repeats included.

    Raises:
        RunError: the tools of the task's domain are not given.
    """
    if task.domain not in write_tools:
        raise RunError(f"task {task.id} is of domain {task.domain!r}, whose writing tools are not given")
    writing = write_tools[task.domain]
    return tuple(call.name for call in task.expectation.calls if call.name in writing)


class Exporter:
    """Writes tasks to ``data/train.*`` and ``data/test.*``; holds at most 1,000 rows per split in memory.

    What lies there from an earlier run is deleted on entry. The files are whole once the block has ended.
    """

    def __init__(self, folder: Path, write_tools: WriteTools) -> None:
        """Name the folder; nothing is touched yet."""
        self._folder = folder / FOLDER
        self._write_tools = write_tools
        self._files: dict[str, _SplitFiles] = {}

    def add(self, task: Task, validation: Validation) -> None:
        """Append a task to the split of its data.

        Raises:
            RunError: the tools of the task's domain are not given.
        """
        split = task.data.split
        if split not in self._files:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._files[split] = _SplitFiles(self._folder / split)
        self._files[split].append(_row(task, validation, len(write_names(task, self._write_tools))))

    def __enter__(self) -> "Exporter":
        """The exporter, over an empty folder."""
        for split in SPLITS:
            for file in (self._folder / f"{split}.parquet", self._folder / f"{split}.jsonl"):
                file.unlink(missing_ok=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write what is left and close the files, after an error too."""
        for files in self._files.values():
            files.close()


class _SplitFiles:
    """The two files of one split."""

    def __init__(self, stem: Path) -> None:
        import pyarrow.parquet as pq

        self._rows: list[dict[str, Any]] = []
        self._schema = _schema()
        self._lines = stem.with_suffix(".jsonl").open("wb")
        self._table = stem.with_suffix(".parquet").open("wb")
        self._parquet = pq.ParquetWriter(self._table, self._schema, compression="zstd")

    def append(self, row: dict[str, Any]) -> None:
        self._lines.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))
        self._rows.append(row)
        if len(self._rows) == _ROWS_PER_GROUP:
            self._flush()

    def close(self) -> None:
        try:
            self._flush()
            self._parquet.close()
            for file in (self._lines, self._table):
                file.flush()
                os.fsync(file.fileno())
        finally:
            self._lines.close()
            self._table.close()

    def _flush(self) -> None:
        import pyarrow as pa

        if self._rows:
            self._parquet.write_table(pa.Table.from_pylist(self._rows, schema=self._schema))
            self._rows.clear()


def _schema() -> Any:
    import pyarrow as pa

    # Told beforehand, so that a split in which every list is empty has the same columns as one where none is.
    return pa.schema(
        [pa.field(name, pa.string(), nullable=False) for name in _TEXTS]
        + [pa.field(name, pa.list_(pa.string()), nullable=False) for name in _LISTS]
        + [pa.field(name, pa.int64(), nullable=False) for name in _NUMBERS]
        + [pa.field(name, pa.string(), nullable=False) for name in _JSON]
    )


def _row(task: Task, validation: Validation, num_writes: int) -> dict[str, Any]:
    scenario, expectation = task.scenario, task.expectation
    return {
        "id": task.id,
        "domain": task.domain,
        "intent": task.intent.value,
        "wording": task.wording,
        "split": task.data.split,
        "opening": scenario.opening,
        "reason_for_call": scenario.reason_for_call,
        "known_info": scenario.known_info,
        "unknown_info": scenario.unknown_info,
        "task_instructions": scenario.task_instructions,
        "persona": scenario.persona,
        "reference_tools": [call.name for call in expectation.calls],
        "tell": list(expectation.tell),
        "num_calls": len(expectation.calls),
        "num_writes": num_writes,
        "traits": orjson.dumps(task.traits).decode(),
        "scenario": scenario.model_dump_json(),
        "expectation": expectation.model_dump_json(),
        "validation": validation.model_dump_json(),
        "task": task.model_dump_json(),
    }
