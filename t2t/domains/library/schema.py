"""Tables of the library: members, books, loans, reservations."""

from dataclasses import dataclass
from datetime import date
from typing import Literal, NewType

from t2t.domain.database import Base, Database

MemberId = NewType("MemberId", str)
BookId = NewType("BookId", str)
LoanId = NewType("LoanId", str)
ReservationId = NewType("ReservationId", str)
Email = NewType("Email", str)
SearchText = NewType("SearchText", str)
"""A title or an author's name, as typed into the catalogue search."""

Branch = Literal["Central", "Harbour", "Northside"]
BRANCHES: tuple[Branch, ...] = ("Central", "Harbour", "Northside")

TODAY = date(2026, 5, 14)
"""The day on which every talk takes place; the policy names it."""
MAX_RENEWALS = 2
MAX_RESERVATIONS = 3
MAX_FINE_CENTS = 1000


@dataclass(frozen=True, slots=True)
class Member:
    """A person with a library card."""

    id: MemberId
    name: str
    email: Email
    fine_cents: int


@dataclass(frozen=True, slots=True)
class Book:
    """A title of the catalogue."""

    id: BookId
    title: str
    author: str
    reference_only: bool
    """True for books that never leave the building."""


@dataclass(frozen=True, slots=True)
class Loan:
    """A book that a member has at home."""

    id: LoanId
    member_id: MemberId
    book_id: BookId
    due: str
    """ISO date."""
    renewals: int


@dataclass(frozen=True, slots=True)
class Reservation:
    """A book that a member waits for."""

    id: ReservationId
    member_id: MemberId
    book_id: BookId
    branch: Branch
    ready: bool
    """True when the book lies at the branch, waiting to be fetched."""


class LibraryDB(Database):
    """The library's tables."""

    def __init__(self, base: Base) -> None:
        """Open the tables over `base`."""
        super().__init__(base)
        self.members = self.table("members", Member)
        self.books = self.table("books", Book)
        self.loans = self.table("loans", Loan)
        self.reservations = self.table("reservations", Reservation)
