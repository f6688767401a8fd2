"""The clauses of ``policy.md`` that code checks and no tool enforces."""

from t2t.domain.rule import Rule, RuleContext
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
    Rule("2.1", _RENEW, _renewed_too_often, "it was renewed 2 times already", ("times", "twice", "limit", "maximum")),
    Rule("2.2", _RENEW, _others_wait, "others wait for this book", ("others", "wait", "someone", "another")),
    Rule("2.3", _RENEW, _overdue, "the loan is overdue", ("overdue", "past due", "late")),
    Rule("3.1", _RESERVE, _owes, "your fines exceed 10.00", ("fine", "owe")),
    Rule(
        "3.2", _RESERVE, _too_many, "you have 3 reservations already", ("3 reservations", "three", "limit", "too many")
    ),
    Rule("3.3", _RESERVE, _reference_only, "the book is reference-only", ("reference",)),
    Rule("3.4", _TOUCH, _ready, "the reservation is ready for pickup", ("ready",)),
)
