"""The clauses of ``policy.md`` that code checks and no tool enforces, and what tools refuse themselves."""

from datetime import date

from t2t.domain.rule import Constraint, Rule, RuleContext
from t2t.domains.library.schema import MAX_FINE_CENTS, MAX_RENEWALS, MAX_RESERVATIONS, TODAY, LibraryDB

_WRITES = frozenset({"renew_loan", "reserve_book", "cancel_reservation", "change_pickup"})
_READS_OF_A_MEMBER = frozenset({"list_loans", "list_reservations"})


def _identified(context: RuleContext) -> set[str]:
    return {past.value.id for past in context.past if past.call.name == "find_member"}


def _owner(context: RuleContext) -> str | None:
    db: LibraryDB = context.db
    arguments = context.call.arguments
    if "member_id" in arguments:
        return str(arguments["member_id"])
    if "loan_id" in arguments:
        loan = db.loans.get(str(arguments["loan_id"]))
        return loan.member_id if loan else None
    row = db.reservations.get(str(arguments["reservation_id"]))
    return row.member_id if row else None


def _not_identified(context: RuleContext) -> bool:
    return not _identified(context)


def _not_their_own(context: RuleContext) -> bool:
    owner = _owner(context)
    known = _identified(context)
    return bool(known) and owner is not None and owner not in known


def _not_confirmed(context: RuleContext) -> bool:
    return context.confirmed is False


def _renewed_too_often(context: RuleContext) -> bool:
    loan = context.db.loans.get(context.call.arguments["loan_id"])
    return loan is not None and loan.renewals >= MAX_RENEWALS


def _others_wait(context: RuleContext) -> bool:
    db: LibraryDB = context.db
    loan = db.loans.get(str(context.call.arguments["loan_id"]))
    if loan is None:
        return False
    return any(row.member_id != loan.member_id for row in db.reservations.where("book_id", loan.book_id))


def _overdue(context: RuleContext) -> bool:
    loan = context.db.loans.get(context.call.arguments["loan_id"])
    return loan is not None and loan.due < TODAY.isoformat()


def _owes(context: RuleContext) -> bool:
    member = context.db.members.get(context.call.arguments["member_id"])
    return member is not None and member.fine_cents > MAX_FINE_CENTS


def _too_many(context: RuleContext) -> bool:
    db: LibraryDB = context.db
    return len(db.reservations.where("member_id", context.call.arguments["member_id"])) >= MAX_RESERVATIONS


def _reference_only(context: RuleContext) -> bool:
    book = context.db.books.get(context.call.arguments["book_id"])
    return book is not None and book.reference_only


def _ready(context: RuleContext) -> bool:
    row = context.db.reservations.get(context.call.arguments["reservation_id"])
    return row is not None and row.ready


_NEARLY_OVERDUE_DAYS = 3
_NEARLY_OWED_CENTS = MAX_FINE_CENTS * 3 // 4


def _last_renewal(context: RuleContext) -> bool:
    loan = context.db.loans.get(context.call.arguments["loan_id"])
    return loan is not None and loan.renewals == MAX_RENEWALS - 1


def _others_wait_for_another_loan(context: RuleContext) -> bool:
    """Nobody waits for this book, and somebody does for another that the member has."""
    db: LibraryDB = context.db
    loan = db.loans.get(str(context.call.arguments["loan_id"]))
    if loan is None or _others_wait(context):
        return False
    return any(
        row.member_id != loan.member_id
        for other in db.loans.where("member_id", loan.member_id)
        for row in db.reservations.where("book_id", other.book_id)
    )


def _nearly_overdue(context: RuleContext) -> bool:
    loan = context.db.loans.get(context.call.arguments["loan_id"])
    return loan is not None and 0 <= (date.fromisoformat(loan.due) - TODAY).days <= _NEARLY_OVERDUE_DAYS


def _owes_almost_too_much(context: RuleContext) -> bool:
    member = context.db.members.get(context.call.arguments["member_id"])
    return member is not None and _NEARLY_OWED_CENTS <= member.fine_cents <= MAX_FINE_CENTS


def _last_reservation(context: RuleContext) -> bool:
    db: LibraryDB = context.db
    return len(db.reservations.where("member_id", context.call.arguments["member_id"])) == MAX_RESERVATIONS - 1


def _author_has_reference_books(context: RuleContext) -> bool:
    """The book can be lent, and another by its author cannot."""
    db: LibraryDB = context.db
    book = db.books.get(str(context.call.arguments["book_id"]))
    if book is None or book.reference_only:
        return False
    return any(other.reference_only for other in db.books.where("author", book.author))


def _another_is_ready(context: RuleContext) -> bool:
    """The reservation does not lie at the branch yet, and another of the member does."""
    db: LibraryDB = context.db
    row = db.reservations.get(str(context.call.arguments["reservation_id"]))
    if row is None or row.ready:
        return False
    return any(other.ready for other in db.reservations.where("member_id", row.member_id))


_RENEW = frozenset({"renew_loan"})
_RESERVE = frozenset({"reserve_book"})
_TOUCH = frozenset({"cancel_reservation", "change_pickup"})

RULES = (
    Rule(
        "1.1",
        _WRITES | _READS_OF_A_MEMBER,
        _not_identified,
        "I have to find your account first",
        ("e-mail", "account"),
    ),
    Rule("1.2", _WRITES | _READS_OF_A_MEMBER, _not_their_own, "it belongs to another member", ("another", "belong")),
    Rule("1.4", _WRITES, _not_confirmed, "I need your yes first", ("yes", "confirm")),
    Rule(
        "2.1",
        _RENEW,
        _renewed_too_often,
        "it was renewed 2 times already",
        ("times", "twice", "limit", "maximum"),
        near=_last_renewal,
    ),
    Rule(
        "2.2",
        _RENEW,
        _others_wait,
        "others wait for this book",
        ("others", "wait", "someone", "another"),
        near=_others_wait_for_another_loan,
    ),
    Rule("2.3", _RENEW, _overdue, "the loan is overdue", ("overdue", "past due", "late"), near=_nearly_overdue),
    Rule("3.1", _RESERVE, _owes, "your fines exceed 10.00", ("fine", "owe"), near=_owes_almost_too_much),
    Rule(
        "3.2",
        _RESERVE,
        _too_many,
        "you have 3 reservations already",
        ("3 reservations", "three", "limit", "too many"),
        near=_last_reservation,
    ),
    Rule(
        "3.3",
        _RESERVE,
        _reference_only,
        "the book is reference-only",
        ("reference",),
        near=_author_has_reference_books,
    ),
    Rule("3.4", _TOUCH, _ready, "the reservation is ready for pickup", ("ready",), near=_another_is_ready),
)

CONSTRAINTS = (
    Constraint(
        "reserved already",
        _RESERVE,
        "has reserved",
        "you have reserved this book already",
        ("already", "have reserved", "have a reservation"),
    ),
    Constraint(
        "at that branch already",
        frozenset({"change_pickup"}),
        "already; name another branch",
        "the reservation is for that branch already",
        ("already",),
    ),
)
