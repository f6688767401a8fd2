"""Each rule of the library: a call that breaks it, one that does not, and one that only just does not."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from t2t.domain.environment import Environment
from t2t.domain.rule import RuleContext
from t2t.domains.library import DOMAIN
from t2t.domains.library.schema import TODAY, BookId, LibraryDB, MemberId, Reservation, ReservationId
from t2t.errors import ToolError
from t2t.records import Arguments, DataSpec, ToolCall

DATA = DataSpec(seed=0, size=200, split="train")


def start(identify: str = "") -> tuple[Environment, LibraryDB]:
    environment = Environment(DOMAIN, DATA)
    db = environment.db
    assert isinstance(db, LibraryDB)
    if identify:
        environment.run(ToolCall(id="a", name="find_member", arguments={"email": db.members[identify].email}))
    return environment, db


def clauses(environment: Environment, name: str, arguments: Arguments, confirmed: bool | None = None) -> set[str]:
    call = ToolCall(id="b", name=name, arguments=arguments)
    return {rule.clause for rule in environment.breaks(call, confirmed)}


def renewal(environment: Environment, db: LibraryDB, loan_id: str) -> set[str]:
    return clauses(environment, "renew_loan", {"loan_id": loan_id})


def good_loan(db: LibraryDB):
    return next(
        loan
        for loan in db.loans
        if loan.renewals < 2
        and loan.due >= TODAY.isoformat()
        and all(r.member_id == loan.member_id for r in db.reservations.where("book_id", loan.book_id))
    )


def test_a_good_renewal_breaks_nothing_and_moves_the_date_by_three_weeks():
    _, db = start()
    loan = good_loan(db)
    environment, db = start(loan.member_id)
    call = ToolCall(id="b", name="renew_loan", arguments={"loan_id": loan.id})
    assert environment.run(call, confirmed=True).broken == ()
    assert db.loans[loan.id].renewals == loan.renewals + 1
    assert db.loans[loan.id].due > loan.due


def test_1_1_nothing_of_a_member_is_touched_before_the_caller_is_found():
    environment, db = start()
    assert clauses(environment, "list_loans", {"member_id": next(iter(db.members)).id}) == {"1.1"}


def test_1_2_another_members_loan_is_not_touched():
    _, db = start()
    loan = good_loan(db)
    other = next(member.id for member in db.members if member.id != loan.member_id)
    environment, db = start(other)
    assert renewal(environment, db, loan.id) == {"1.2"}


def test_1_4_a_write_needs_a_yes_where_there_is_a_caller():
    _, db = start()
    loan = good_loan(db)
    environment, db = start(loan.member_id)
    assert clauses(environment, "renew_loan", {"loan_id": loan.id}, confirmed=False) == {"1.4"}
    assert clauses(environment, "renew_loan", {"loan_id": loan.id}, confirmed=True) == set()


def test_2_1_to_2_3_forbid_some_renewals():
    _, db = start()
    broken: set[str] = set()
    for loan in list(db.loans):
        environment, db = start(loan.member_id)
        found = renewal(environment, db, loan.id)
        assert ("2.1" in found) == (loan.renewals >= 2)
        assert ("2.3" in found) == (loan.due < TODAY.isoformat())
        broken |= found
    assert broken == {"2.1", "2.2", "2.3"}


def test_3_1_to_3_3_forbid_some_reservations():
    _, db = start()
    broken: set[str] = set()
    for member in list(db.members):
        environment, db = start(member.id)
        for book in list(db.books)[:30]:
            arguments: Arguments = {"member_id": member.id, "book_id": book.id, "branch": "Central"}
            found = clauses(environment, "reserve_book", arguments)
            assert ("3.1" in found) == (member.fine_cents > 1000)
            assert ("3.3" in found) == book.reference_only
            assert ("3.2" in found) == (len(db.reservations.where("member_id", member.id)) >= 3)
            broken |= found
    assert broken == {"3.1", "3.2", "3.3"}


def test_3_4_a_ready_reservation_stays():
    _, db = start()
    for row in list(db.reservations):
        environment, db = start(row.member_id)
        found = clauses(environment, "cancel_reservation", {"reservation_id": row.id})
        assert found == ({"3.4"} if row.ready else set())


def put_loan(db: LibraryDB, **changes: Any) -> Arguments:
    """A renewal of the only loan of a member without reservations, for whose book nobody waits."""
    loan = next(
        loan
        for loan in db.loans
        if len(db.loans.where("member_id", loan.member_id)) == 1 and not db.reservations.where("book_id", loan.book_id)
    )
    far = (TODAY + timedelta(days=15)).isoformat()
    db.loans.put(replace(loan, **{"due": far, "renewals": 0, **changes}))
    return {"loan_id": loan.id}


def put_waiting(db: LibraryDB, books_on_loan: int) -> Arguments:
    """A renewal by a member with so many loans; somebody waits for the book of the last."""
    arguments = put_loan(db)
    loan = db.loans[str(arguments["loan_id"])]
    free = [book.id for book in db.books if not db.loans.where("book_id", book.id)]
    for number, book_id in enumerate(free[: books_on_loan - 1]):
        loan = db.loans.put(replace(loan, id=f"L9{number}", book_id=book_id))
    other = next(member.id for member in db.members if member.id != loan.member_id)
    db.reservations.put(Reservation(ReservationId("R9"), other, loan.book_id, "Central", ready=False))
    return arguments


def put_reservations(db: LibraryDB, *, fine_cents: int = 0, held: int = 0, ready: tuple[int, ...] = ()) -> MemberId:
    """A member with these fines and so many reservations, R90 and on; those numbered in `ready` are ready."""
    member = next(m for m in db.members if not db.reservations.where("member_id", m.id))
    db.members.put(replace(member, fine_cents=fine_cents))
    for number in range(held):
        row = Reservation(
            ReservationId(f"R9{number}"), member.id, BookId(f"B10{number + 1}"), "Central", number in ready
        )
        db.reservations.put(row)
    return member.id


def put_book(db: LibraryDB, *, sibling_stays: bool, stays: bool = False) -> Arguments:
    """A reservation of a book whose author wrote one other."""
    book, other = list(db.books)[-2:]
    db.books.put(replace(book, author="Nobody Else", reference_only=stays))
    db.books.put(replace(other, author="Nobody Else", reference_only=sibling_stays))
    return {"member_id": put_reservations(db), "book_id": book.id, "branch": "Central"}


def reserve(db: LibraryDB, **held: int) -> Arguments:
    return {**put_book(db, sibling_stays=False), "member_id": put_reservations(db, **held)}


def soon(days: int) -> str:
    return (TODAY + timedelta(days=days)).isoformat()


@pytest.mark.parametrize(
    ("clause", "tool", "near", "far"),
    [
        ("2.1", "renew_loan", lambda db: put_loan(db, renewals=1), lambda db: put_loan(db, renewals=0)),
        ("2.1", "renew_loan", lambda db: put_loan(db, renewals=1), lambda db: put_loan(db, renewals=2)),
        ("2.2", "renew_loan", lambda db: put_waiting(db, 2), put_loan),
        ("2.2", "renew_loan", lambda db: put_waiting(db, 2), lambda db: put_waiting(db, 1)),
        ("2.3", "renew_loan", lambda db: put_loan(db, due=soon(0)), lambda db: put_loan(db, due=soon(-1))),
        ("2.3", "renew_loan", lambda db: put_loan(db, due=soon(3)), lambda db: put_loan(db, due=soon(4))),
        ("3.1", "reserve_book", lambda db: reserve(db, fine_cents=1000), lambda db: reserve(db, fine_cents=1001)),
        ("3.1", "reserve_book", lambda db: reserve(db, fine_cents=750), lambda db: reserve(db, fine_cents=749)),
        ("3.2", "reserve_book", lambda db: reserve(db, held=2), lambda db: reserve(db, held=1)),
        ("3.2", "reserve_book", lambda db: reserve(db, held=2), lambda db: reserve(db, held=3)),
        (
            "3.3",
            "reserve_book",
            lambda db: put_book(db, sibling_stays=True),
            lambda db: put_book(db, sibling_stays=False),
        ),
        (
            "3.3",
            "reserve_book",
            lambda db: put_book(db, sibling_stays=True),
            lambda db: put_book(db, sibling_stays=True, stays=True),
        ),
    ],
)
def test_a_call_is_near_a_clause_that_a_small_change_would_break(
    clause: str, tool: str, near: Callable[[LibraryDB], Arguments], far: Callable[[LibraryDB], Arguments]
):
    (rule,) = (rule for rule in DOMAIN.rules if rule.clause == clause)
    assert rule.near is not None
    for make, expected in ((near, True), (far, False)):
        _, db = start()
        context = RuleContext(db, ToolCall(id="b", name=tool, arguments=make(db)), (), None)
        assert rule.near(context) == expected
        assert not (expected and rule.breaks(context))


@pytest.mark.parametrize(("ready", "expected"), [((), False), ((0,), False), ((1,), True)])
def test_a_reservation_is_near_3_4_when_another_of_the_member_is_ready(ready: tuple[int, ...], expected: bool):
    (rule,) = (rule for rule in DOMAIN.rules if rule.clause == "3.4")
    _, db = start()
    put_reservations(db, held=2, ready=ready)
    call = ToolCall(id="b", name="cancel_reservation", arguments={"reservation_id": "R90"})
    assert rule.near is not None
    assert rule.near(RuleContext(db, call, (), None)) == expected


@pytest.mark.parametrize("constraint", DOMAIN.constraints, ids=lambda constraint: constraint.name)
def test_a_member_can_want_what_the_backend_alone_refuses(constraint: Any):
    (tool,) = constraint.tools
    _, db = start()
    for member in list(db.members):
        environment, db = start(member.id)
        for candidate in DOMAIN.wish_by_tool[tool].candidates(db, member.id):
            if clauses(environment, tool, candidate.arguments):
                continue
            try:
                environment.run(ToolCall(id="c", name=tool, arguments=candidate.arguments))
            except ToolError as error:
                assert constraint.says in str(error)
                return
            environment, db = start(member.id)
    pytest.fail("nobody can want it")


def test_an_undone_reservation_is_gone_and_broke_no_rule():
    _, db = start()
    wish = DOMAIN.wish_by_tool["reserve_book"]
    assert wish.undo is not None
    member = next(m.id for m in db.members if m.fine_cents == 0 and not db.reservations.where("member_id", m.id))
    environment, db = start(member)
    before = environment.state_hash()
    candidate = next(iter(wish.candidates(db, member)))
    value = environment.run(ToolCall(id="b", name=wish.tool, arguments=candidate.arguments)).value
    (undo,) = wish.undo(db, candidate.arguments, candidate.slots, value)
    assert candidate.slots["title"] in undo.proposal
    assert environment.run(ToolCall(id="c", name=undo.tool, arguments=undo.arguments), confirmed=True).broken == ()
    assert environment.state_hash() == before
