import random
from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from t2t.domain.database import Base, Database


@dataclass(frozen=True, slots=True)
class Lamp:
    id: str
    colour: str
    bulbs: tuple[int, ...]


@dataclass
class Loose:
    id: str


class LampDB(Database):
    def __init__(self, base: Base) -> None:
        super().__init__(base)
        self.lamps = self.table("lamps", Lamp)


def make_base(count: int = 20) -> Base:
    return Base({"lamps": {f"l{n}": Lamp(f"l{n}", ("red", "blue")[n % 2], (n,)) for n in range(count)}})


def rehash(db: LampDB) -> str:
    """The hash of the same rows from scratch."""
    return LampDB(Base({"lamps": {lamp.id: lamp for lamp in db.lamps}})).state_hash()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6))
def test_incremental_hash_equals_a_full_rehash_through_writes_deletes_and_nested_undo(seed: int):
    rng = random.Random(seed)
    db = LampDB(make_base())
    marks: list[tuple[int, str]] = []
    for _ in range(60):
        action = rng.random()
        row_id = f"l{rng.randrange(30)}"
        if action < 0.5:
            db.lamps.put(Lamp(row_id, rng.choice(["red", "green"]), tuple(rng.sample(range(9), 2))))
        elif action < 0.7 and db.lamps.get(row_id):
            db.lamps.delete(row_id)
        elif action < 0.85:
            marks.append((db.savepoint(), db.state_hash()))
        elif marks:
            mark, expected = marks.pop(rng.randrange(len(marks)))
            db.rollback(mark)
            marks = [other for other in marks if other[0] <= mark]
            assert db.state_hash() == expected
        assert db.state_hash() == rehash(db)
        assert len(db.lamps) == len(list(db.lamps))
        assert {lamp.id for lamp in db.lamps.where("colour", "red")} == {
            lamp.id for lamp in db.lamps if lamp.colour == "red"
        }


def test_order_of_writes_does_not_matter_to_the_hash():
    one, other = LampDB(make_base()), LampDB(make_base())
    for row_id in ("l1", "l2"):
        one.lamps.put(replace(one.lamps[row_id], colour="black"))
    for row_id in ("l2", "l1"):
        other.lamps.put(replace(other.lamps[row_id], colour="black"))
    assert one.state_hash() == other.state_hash() != LampDB(make_base()).state_hash()


def test_episodes_do_not_see_each_others_writes():
    base = make_base()
    one, other = LampDB(base), LampDB(base)
    one.lamps.put(Lamp("l0", "gold", ()))
    assert other.lamps["l0"].colour == "red"
    assert base.tables["lamps"]["l0"].colour == "red"  # type: ignore[attr-defined]


def test_rows_that_could_be_edited_in_place_are_refused():
    with pytest.raises(TypeError, match="frozen"):
        Base({"loose": {"a": Loose("a")}})


def test_deleting_what_is_not_there_raises():
    with pytest.raises(KeyError):
        LampDB(make_base()).lamps.delete("nothing")
