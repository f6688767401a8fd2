from dataclasses import dataclass, replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from t2t.domain.database import Base, Database

COLOURS = ("red", "blue", "green")


@dataclass(frozen=True, slots=True)
class Lamp:
    id: str
    colour: str
    bulbs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Room:
    id: str
    colour: str


@dataclass
class Loose:
    id: str


class LampDB(Database):
    def __init__(self, base: Base) -> None:
        super().__init__(base)
        self.lamps = self.table("lamps", Lamp)
        self.rooms = self.table("rooms", Room)


def make_base(count: int = 8) -> Base:
    return Base(
        {
            "lamps": {f"l{n}": Lamp(f"l{n}", COLOURS[n % 2], (n,)) for n in range(count)},
            "rooms": {f"l{n}": Room(f"l{n}", COLOURS[n % 3]) for n in range(count)},
        }
    )


def rehash(db: LampDB) -> str:
    """The hash of the same rows, read in the opposite order into a database of their own."""
    lamps, rooms = ({row.id: row for row in reversed(list(table))} for table in (db.lamps, db.rooms))
    return LampDB(Base({"rooms": rooms, "lamps": lamps})).state_hash()


IDS = st.integers(0, 11).map("l{}".format)
BASE = make_base()
UNTOUCHED = LampDB(BASE).full_hash()


class EpisodeMachine(RuleBasedStateMachine):
    """Random writes, deletes, savepoints and undos, beside two dicts that are copied for each savepoint."""

    def __init__(self) -> None:
        super().__init__()
        self.db = LampDB(BASE)
        self.lamps: dict[str, Lamp] = {row.id: row for row in self.db.lamps}
        self.rooms: dict[str, Room] = {row.id: row for row in self.db.rooms}
        self.marks: list[tuple[int, str, dict[str, Lamp], dict[str, Room]]] = []

    @rule(row_id=IDS, colour=st.sampled_from(COLOURS), bulbs=st.lists(st.integers(0, 3), max_size=2))
    def put_a_lamp(self, row_id: str, colour: str, bulbs: list[int]) -> None:
        row = Lamp(row_id, colour, tuple(bulbs))
        assert self.db.lamps.put(row) is row
        self.lamps[row_id] = row

    @rule(row_id=IDS, colour=st.sampled_from(COLOURS))
    def put_a_room(self, row_id: str, colour: str) -> None:
        self.rooms[row_id] = self.db.rooms.put(Room(row_id, colour))

    @rule(row_id=IDS)
    def delete_a_lamp(self, row_id: str) -> None:
        if row_id in self.lamps:
            self.db.lamps.delete(row_id)
            del self.lamps[row_id]
        else:
            with pytest.raises(KeyError):
                self.db.lamps.delete(row_id)

    @rule(row_id=IDS)
    def put_what_cannot_be_kept(self, row_id: str) -> None:
        with pytest.raises(TypeError):
            self.db.lamps.put(Lamp(row_id, "\ud800", ()))

    @rule()
    def set_a_savepoint(self) -> None:
        self.marks.append((self.db.savepoint(), self.db.state_hash(), dict(self.lamps), dict(self.rooms)))

    @precondition(lambda self: self.marks)
    @rule(data=st.data())
    def undo(self, data: st.DataObject) -> None:
        number = data.draw(st.integers(0, len(self.marks) - 1))
        mark, expected, self.lamps, self.rooms = self.marks[number]
        del self.marks[number:]
        self.db.rollback(mark)
        assert self.db.state_hash() == expected

    @invariant()
    def the_hash_is_that_of_the_rows_whatever_their_order(self) -> None:
        assert self.db.state_hash() == self.db.full_hash() == rehash(self.db)

    @invariant()
    def reads_agree_with_the_dicts(self) -> None:
        assert {row.id: row for row in self.db.lamps} == self.lamps
        assert {row.id: row for row in self.db.rooms} == self.rooms
        assert len(list(self.db.lamps)) == len(self.db.lamps) == len(self.lamps)
        assert all(self.db.lamps.get(f"l{n}") == self.lamps.get(f"l{n}") for n in range(12))
        for colour in COLOURS:
            found = [row.id for row in self.db.lamps.where("colour", colour)]
            assert found == sorted(row.id for row in self.lamps.values() if row.colour == colour)

    def teardown(self) -> None:
        assert LampDB(BASE).state_hash() == LampDB(BASE).full_hash() == UNTOUCHED


TestEpisode = EpisodeMachine.TestCase
TestEpisode.settings = settings(max_examples=100, stateful_step_count=50, deadline=None)


def test_order_of_writes_does_not_matter_to_the_hash():
    one, other = LampDB(make_base()), LampDB(make_base())
    for row_id in ("l1", "l2"):
        one.lamps.put(replace(one.lamps[row_id], colour="black"))
    for row_id in ("l2", "l1"):
        other.lamps.put(replace(other.lamps[row_id], colour="black"))
    assert one.state_hash() == other.state_hash() != LampDB(make_base()).state_hash()


def test_equal_rows_of_two_tables_are_told_apart_by_the_hash():
    one, other = (LampDB(Base({"lamps": {}, "rooms": {}})) for _ in range(2))
    one.lamps.put(Lamp("l1", "red", ()))
    other.table("rooms", Lamp).put(Lamp("l1", "red", ()))
    assert one.state_hash() != other.state_hash()


def test_episodes_do_not_see_each_others_writes():
    base = make_base()
    one, other = LampDB(base), LampDB(base)
    one.lamps.put(Lamp("l0", "gold", ()))
    assert other.lamps["l0"].colour == "red"
    assert base.tables["lamps"]["l0"].colour == "red"  # type: ignore[attr-defined]


def test_an_edit_in_place_shows_in_the_full_hash():
    db = LampDB(make_base())
    object.__setattr__(db.lamps["l0"], "colour", "gold")
    assert db.full_hash() != db.state_hash()


def test_a_write_that_fails_leaves_no_trace_and_can_be_undone():
    db = LampDB(make_base())
    before, mark = db.state_hash(), db.savepoint()
    db.lamps.put(Lamp("l1", "gold", ()))
    with pytest.raises(TypeError):
        db.lamps.put(Lamp("l0", "\ud800", ()))
    db.rollback(mark)
    assert db.state_hash() == db.full_hash() == before


def test_rows_that_could_be_edited_in_place_are_refused():
    with pytest.raises(TypeError, match="frozen"):
        Base({"loose": {"a": Loose("a")}})


def test_a_row_under_another_id_is_refused():
    with pytest.raises(TypeError, match="'l1' of table 'lamps' stands under the id 'l2'"):
        Base({"lamps": {"l2": Lamp("l1", "red", ())}})


def test_deleting_what_is_not_there_raises():
    with pytest.raises(KeyError):
        LampDB(make_base()).lamps.delete("nothing")
