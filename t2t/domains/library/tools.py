"""What the library's desk can do. Tools enforce what the backend would; the rest is policy."""

from dataclasses import dataclass, replace
from datetime import date, timedelta

from t2t.domain.tool import tool
from t2t.domains.library.schema import (
    BookId,
    Branch,
    Email,
    LibraryDB,
    LoanId,
    MemberId,
    Reservation,
    ReservationId,
    SearchText,
)
from t2t.errors import ToolError


@dataclass(frozen=True, slots=True)
class MemberView:
    """A member as the desk sees one."""

    id: MemberId
    name: str
    fines: str
    reservations: int


@dataclass(frozen=True, slots=True)
class LoanView:
    """A loan with what decides whether it may be renewed."""

    id: LoanId
    title: str
    due: str
    renewals: int
    waiting: bool
    """True when another member waits for the book."""


@dataclass(frozen=True, slots=True)
class Renewal:
    """What a renewal changes."""

    due: str


@dataclass(frozen=True, slots=True)
class BookView:
    """A hit of the catalogue search."""

    id: BookId
    title: str
    author: str
    reference_only: bool


@dataclass(frozen=True, slots=True)
class ReservationView:
    """A reservation."""

    id: ReservationId
    title: str
    branch: Branch
    ready: bool


def money(cents: int) -> str:
    """An amount as it is written: "4.00"."""
    return f"{cents // 100}.{cents % 100:02d}"


def _require_member(db: LibraryDB, member_id: str) -> None:
    if db.members.get(member_id) is None:
        raise ToolError(f"no member {member_id!r}; ids look like 'M101' and come from find_member")


def _require_reservation(db: LibraryDB, reservation_id: str) -> Reservation:
    found = db.reservations.get(reservation_id)
    if found is None:
        raise ToolError(f"no reservation {reservation_id!r}; ids look like 'R101' and come from list_reservations")
    return found


def _view(db: LibraryDB, row: Reservation) -> ReservationView:
    book = db.books[row.book_id]
    return ReservationView(row.id, book.title, row.branch, row.ready)


@tool(writes=False)
def find_member(db: LibraryDB, email: Email) -> MemberView:
    """Find a member.

    Args:
        email: E-mail of the member.
    """
    found = db.members.where("email", email.strip().lower())
    if not found:
        raise ToolError(f"no member with e-mail {email!r}; ask the caller to spell it")
    row = found[0]
    return MemberView(row.id, row.name, money(row.fine_cents), len(db.reservations.where("member_id", row.id)))


@tool(writes=False)
def list_loans(db: LibraryDB, member_id: MemberId) -> list[LoanView]:
    """List the books a member has on loan.

    Args:
        member_id: Id of the member.
    """
    _require_member(db, member_id)
    views: list[LoanView] = []
    for loan in db.loans.where("member_id", member_id):
        book = db.books[loan.book_id]
        waiting = any(r.member_id != member_id for r in db.reservations.where("book_id", loan.book_id))
        views.append(LoanView(loan.id, book.title, loan.due, loan.renewals, waiting))
    return views


@tool(writes=False)
def list_reservations(db: LibraryDB, member_id: MemberId) -> list[ReservationView]:
    """List the reservations of a member.

    Args:
        member_id: Id of the member.
    """
    _require_member(db, member_id)
    return [_view(db, row) for row in db.reservations.where("member_id", member_id)]


@tool(writes=False)
def search_books(db: LibraryDB, text: SearchText) -> list[BookView]:
    """Search the catalogue.

    Args:
        text: Exact title or author.
    """
    wanted = text.strip().strip("\"'")
    rows = db.books.where("title", wanted) or db.books.where("author", wanted)
    if not rows:
        lowered = wanted.lower()
        rows = [book for book in db.books if lowered and lowered in (book.title.lower(), book.author.lower())]
    return [BookView(book.id, book.title, book.author, book.reference_only) for book in rows[:6]]


@tool(writes=True)
def renew_loan(db: LibraryDB, loan_id: LoanId) -> Renewal:
    """Renew a loan for 21 days.

    Args:
        loan_id: Id of the loan.
    """
    loan = db.loans.get(loan_id)
    if loan is None:
        raise ToolError(f"no loan {loan_id!r}; ids look like 'L101' and come from list_loans")
    due = date.fromisoformat(loan.due) + timedelta(days=21)
    loan = db.loans.put(replace(loan, due=due.isoformat(), renewals=loan.renewals + 1))
    return Renewal(loan.due)


@tool(writes=True)
def reserve_book(db: LibraryDB, member_id: MemberId, book_id: BookId, branch: Branch) -> str:
    """Reserve a book for pickup.

    Args:
        member_id: Id of the member.
        book_id: Id of the book.
        branch: Where to pick it up.
    """
    _require_member(db, member_id)
    if db.books.get(book_id) is None:
        raise ToolError(f"no book {book_id!r}; ids look like 'B101' and come from search_books")
    if any(row.book_id == book_id for row in db.reservations.where("member_id", member_id)):
        raise ToolError(f"member {member_id} has reserved {book_id} already; change_pickup changes the branch")
    number = len(db.reservations) + 1001
    while db.reservations.get(f"R{number}") is not None:
        number += 1
    row = db.reservations.put(Reservation(ReservationId(f"R{number}"), member_id, book_id, branch, ready=False))
    return f"reserved as {row.id}"


@tool(writes=True)
def cancel_reservation(db: LibraryDB, reservation_id: ReservationId) -> str:
    """Cancel a reservation.

    Args:
        reservation_id: Id of the reservation.
    """
    row = _require_reservation(db, reservation_id)
    db.reservations.delete(row.id)
    return "cancelled"


@tool(writes=True)
def change_pickup(db: LibraryDB, reservation_id: ReservationId, branch: Branch) -> str:
    """Change the branch where a reservation is picked up.

    Args:
        reservation_id: Id of the reservation.
        branch: Where to pick it up.
    """
    row = _require_reservation(db, reservation_id)
    if row.branch == branch:
        raise ToolError(f"reservation {reservation_id} is for {branch} already; name another branch")
    db.reservations.put(replace(row, branch=branch))
    return "changed"


TOOLS = (
    find_member,
    list_loans,
    list_reservations,
    search_books,
    renew_loan,
    reserve_book,
    cancel_reservation,
    change_pickup,
)
