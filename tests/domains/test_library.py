"""Each rule of the library: a call that breaks it, and one that does not."""

from t2t.domain.environment import Environment
from t2t.domains.library import DOMAIN
from t2t.domains.library.schema import TODAY, LibraryDB
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
