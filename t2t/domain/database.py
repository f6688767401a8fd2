"""A database that costs nothing to copy: a frozen shared base and an overlay per episode.

Rows are frozen dataclasses, so an edit in place cannot happen by accident; a write replaces a row
in the overlay. The state hash is the sum of one digest per row: independent of order, updated by
each write, and equal to a hash from scratch.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import is_dataclass
from typing import Any, Generic, Protocol, TypeVar

import orjson

_MODULUS = 1 << 128
_DELETED = object()


class Row(Protocol):
    """A frozen dataclass with a string ``id``."""

    @property
    def id(self) -> str:
        """Primary key within its table."""
        ...


R = TypeVar("R", bound=Row)


class State(Protocol):
    """What an `Environment` asks of an episode's database."""

    def savepoint(self) -> int:
        """A mark to which `rollback` returns; marks nest, and no write leaves it as it was."""
        ...

    def rollback(self, savepoint: int) -> None:
        """Undo every write since `savepoint`."""
        ...

    def state_hash(self) -> str:
        """Hash of the whole state; equal states have equal hashes."""
        ...


def _digest(table: str, row: Row) -> int:
    text = orjson.dumps([table, row], option=orjson.OPT_SORT_KEYS)
    return int.from_bytes(hashlib.blake2b(text, digest_size=16).digest(), "big")


class Base:
    """The frozen tables that all environments of one data set share."""

    def __init__(self, tables: Mapping[str, Mapping[str, Row]]) -> None:
        """Take tables by name, each a mapping from row id to row.

        Raises:
            TypeError: a row is not a frozen dataclass, or stands under another id; the text names the table.
        """
        self.tables = tables
        self._indexes: dict[tuple[str, str], dict[object, list[str]]] = {}
        self._columns: dict[tuple[str, str], list[tuple[Any, str]]] = {}
        self._digests: dict[tuple[str, str], int] = {}
        total = 0
        for name, rows in tables.items():
            for row_id, row in rows.items():
                if not is_dataclass(row) or not row.__dataclass_params__.frozen:  # pyright: ignore
                    raise TypeError(f"a row of table {name!r} is not a frozen dataclass: {row!r}")
                if row.id != row_id:
                    raise TypeError(f"row {row.id!r} of table {name!r} stands under the id {row_id!r}")
                total += _digest(name, row)
        self.hash_sum = total % _MODULUS

    def digest(self, table: str, row_id: str) -> int:
        """Digest of a row, 0 where there is none; kept from its first use, since episodes touch the same rows."""
        key = (table, row_id)
        if key not in self._digests:
            row = self.tables[table].get(row_id)
            self._digests[key] = 0 if row is None else _digest(table, row)
        return self._digests[key]

    def column(self, table: str, field: str) -> list[tuple[Any, str]]:
        """Each row's `field`, or property, and id, in the table's order; made at the first use."""
        key = (table, field)
        if key not in self._columns:
            self._columns[key] = [(getattr(row, field), row_id) for row_id, row in self.tables[table].items()]
        return self._columns[key]

    def index(self, table: str, field: str) -> dict[object, list[str]]:
        """Row ids in order by the value of `field`, built at the first use."""
        key = (table, field)
        if key not in self._indexes:
            index: dict[object, list[str]] = {}
            for row in self.tables[table].values():
                index.setdefault(getattr(row, field), []).append(row.id)
            for ids in index.values():
                ids.sort()
            self._indexes[key] = index
        return self._indexes[key]


class Table(Generic[R]):
    """One table as an episode sees it: the base under the overlay."""

    __slots__ = ("_base", "_db", "_overlay", "name")

    def __init__(self, db: "Database", name: str) -> None:
        """Open table `name` of `db`."""
        self.name = name
        self._db = db
        self._base: Mapping[str, R] = db.base.tables[name]  # pyright: ignore[reportAttributeAccessIssue]
        self._overlay: dict[str, object] = {}

    def get(self, row_id: str) -> R | None:
        """The row with this id, or None."""
        row = self._overlay.get(row_id)
        if row is None:
            return self._base.get(row_id)
        return None if row is _DELETED else row  # pyright: ignore[reportReturnType]

    def __getitem__(self, row_id: str) -> R:
        """The row with this id.

        Raises:
            KeyError: there is none.
        """
        row = self._overlay.get(row_id)
        if row is None:
            return self._base[row_id]
        if row is _DELETED:
            raise KeyError(row_id)
        return row  # pyright: ignore[reportReturnType]

    def __iter__(self) -> Iterator[R]:
        """All rows: the base's in its order, then those added since."""
        for row_id, row in self._base.items():
            replaced = self._overlay.get(row_id, row)
            if replaced is not _DELETED:
                yield replaced  # pyright: ignore[reportReturnType]
        for row_id, row in self._overlay.items():
            if row_id not in self._base and row is not _DELETED:
                yield row  # pyright: ignore[reportReturnType]

    def __len__(self) -> int:
        """Number of rows."""
        changed = 0
        for row_id, row in self._overlay.items():
            changed += (row is not _DELETED) - (row_id in self._base)
        return len(self._base) + changed

    def where(self, field: str, value: object) -> list[R]:
        """Rows whose `field` equals `value`, found through an index, in order of id."""
        indexed = self._db.base.index(self.name, field).get(value, [])
        if not self._overlay:
            return [self._base[row_id] for row_id in indexed]
        found = {row_id for row_id in indexed if row_id not in self._overlay}
        for row_id, row in self._overlay.items():
            if row is not _DELETED and getattr(row, field) == value:
                found.add(row_id)
        return [self[row_id] for row_id in sorted(found)]

    def column(self, field: str) -> Iterator[tuple[Any, str]]:
        """Each row's `field`, or property, and id, in the order of iteration; cheaper than the rows themselves."""
        base = self._db.base.column(self.name, field)
        if not self._overlay:
            return iter(base)
        return ((getattr(row, field), row.id) for row in self)

    def put(self, row: R) -> R:
        """Add or replace the row with this id; returns it."""
        self._db.record(self, row.id, row)
        return row

    def delete(self, row_id: str) -> None:
        """Remove a row.

        Raises:
            KeyError: there is none.
        """
        if self.get(row_id) is None:
            raise KeyError(row_id)
        self._db.record(self, row_id, _DELETED)


class Database:
    """An episode's view of a `Base`; a domain subclasses it to name its tables.

    A new one costs microseconds at any size of the base.
    """

    def __init__(self, base: Base) -> None:
        """Open an unchanged view of `base`."""
        self.base = base
        self.tables: dict[str, Table[Any]] = {}
        """The tables that the domain opened, by name."""
        self._sum = base.hash_sum
        self._journal: list[tuple[Table[Row], str, object, int]] = []

    def table(self, name: str, row_type: type[R]) -> Table[R]:
        """Open a table; called by a domain's ``__init__``, once for each table."""
        del row_type  # binds R for the type checker
        table = Table[R](self, name)
        self.tables[name] = table
        return table

    def record(self, table: Table[R], row_id: str, value: object) -> None:
        """Write `value` over a row and note how to undo it."""
        overlay = table._overlay  # pyright: ignore[reportPrivateUsage]
        before = overlay.get(row_id)
        total = self._sum
        if before is None:
            total -= self.base.digest(table.name, row_id)
        elif before is not _DELETED:
            total -= _digest(table.name, before)  # pyright: ignore[reportArgumentType]
        if value is not _DELETED:
            total += _digest(table.name, value)  # pyright: ignore[reportArgumentType]
        self._journal.append((table, row_id, before, self._sum))  # pyright: ignore[reportArgumentType]
        self._sum = total % _MODULUS
        overlay[row_id] = value

    def savepoint(self) -> int:
        """A mark to which `rollback` returns; marks nest."""
        return len(self._journal)

    def rollback(self, savepoint: int) -> None:
        """Undo every write since `savepoint`."""
        while len(self._journal) > savepoint:
            table, row_id, before, total = self._journal.pop()
            overlay = table._overlay  # pyright: ignore[reportPrivateUsage]
            if before is None:
                # A write that was interrupted may have been noted and not made.
                overlay.pop(row_id, None)
            else:
                overlay[row_id] = before
            self._sum = total

    def state_hash(self) -> str:
        """Hash of all rows, 32 hex digits, independent of the order of writes."""
        return f"{self._sum:032x}"

    def full_hash(self) -> str:
        """The same from scratch, row by row; another than `state_hash` when a row was edited in place."""
        total = 0
        for name, rows in self.base.tables.items():
            total += sum(_digest(name, row) for row in self.tables.get(name, rows.values()))
        return f"{total % _MODULUS:032x}"
