"""Seeded data of the library. Names, titles and authors of the two splits never meet."""

import random
from datetime import timedelta

from t2t.domain.database import Base
from t2t.domains.library.schema import (
    BRANCHES,
    TODAY,
    Book,
    BookId,
    Email,
    Loan,
    LoanId,
    Member,
    MemberId,
    Reservation,
    ReservationId,
)
from t2t.records import DataSpec, Split

_FIRST: dict[Split, tuple[str, ...]] = {
    "train": tuple(
        "Ada Ben Carla Dmitri Elena Farid Greta Hugo Imani Jonas Keiko Liam Marta Nadia Omar Petra Quinn "
        "Rosa Samuel Tara Uma Victor Wanda Yusuf Zoe Anton Bianca Cyril Daria Emil".split()
    ),
    "test": tuple(
        "Agnes Boris Celia Derek Esther Felix Gloria Hassan Ivy Jasper Klara Leo Miriam Nils Olga Pavel "
        "Ruth Stefan Tilda Ursula Vera Walter Xenia Yara Zachary".split()
    ),
}
_LAST: dict[Split, tuple[str, ...]] = {
    "train": tuple(
        "Abbott Berg Castro Dahl Engel Fischer Garcia Hansen Ito Jensen Khan Lopez Moreau Novak Okafor "
        "Patel Quist Rossi Silva Tanaka Ueda Vargas Weber Yilmaz Zeller Arden Brook Cole Drake Ellis".split()
    ),
    "test": tuple(
        "Amsel Bowen Chavez Duarte Evans Flores Grimm Holt Ivanov Jarvis Keller Lund Mbeki Nolan Ortiz "
        "Price Romero Schulz Thorne Udall Vega Winter Yates Zamora".split()
    ),
}
_ADJECTIVES: dict[Split, tuple[str, ...]] = {
    "train": tuple(
        "Silent Crooked Golden Hollow Last Northern Paper Quiet Red Salt Second Sleeping Stone Summer "
        "Tall Velvet White Wild Winter Broken Copper Distant Empty Foreign".split()
    ),
    "test": tuple(
        "Amber Bitter Blue Burning Early Faded Glass Hidden Iron Late Narrow Pale Roaming Secret Silver "
        "Sunken Thin Wandering Young".split()
    ),
}
_NOUNS: dict[Split, tuple[str, ...]] = {
    "train": tuple(
        "Orchard River Door Garden Harvest Island Kingdom Lantern Mirror Mountain Ocean Road Sky "
        "Teacher Tower Village Voyage Window Clock Desert Fox Bridge Map".split()
    ),
    "test": tuple(
        "Anchor Bakery Canyon Diary Ember Forest Glacier Heron Inn Journey Kitchen Library Meadow "
        "Needle Oracle Piano Quarry Station Train Valley Well".split()
    ),
}


def generate(data: DataSpec) -> Base:
    """Make the library's data; `data.size` is the number of loans."""
    rng = random.Random(f"library/{data.split}/{data.seed}")
    num_members = max(12, data.size // 2)
    num_books = max(30, data.size)
    members = _members(rng, data.split, num_members)
    books = _books(rng, data.split, num_books)
    loans: dict[str, Loan] = {}
    reservations: dict[str, Reservation] = {}
    book_ids, member_ids = list(books), list(members)
    lendable = [book_id for book_id in book_ids if not books[book_id].reference_only]
    rng.shuffle(lendable)
    for number in range(min(data.size, len(lendable))):
        loan_id = LoanId(f"L{101 + number}")
        due = TODAY + timedelta(days=rng.choice((-6, -2, 1, 3, 5, 8, 12, 16, 19)))
        renewals = rng.choice((0, 0, 1, 2))
        member_id = MemberId(rng.choice(member_ids))
        loans[loan_id] = Loan(loan_id, member_id, BookId(lendable[number]), due.isoformat(), renewals)
    taken: set[tuple[str, str]] = {(loan.member_id, loan.book_id) for loan in loans.values()}
    held: dict[str, int] = {}
    for number in range(data.size // 2):
        reservation_id = ReservationId(f"R{101 + number}")
        member_id, book_id = MemberId(rng.choice(member_ids)), BookId(rng.choice(lendable))
        if (member_id, book_id) in taken or held.get(member_id, 0) >= 3:
            continue
        taken.add((member_id, book_id))
        held[member_id] = held.get(member_id, 0) + 1
        reservations[reservation_id] = Reservation(
            reservation_id, member_id, book_id, rng.choice(BRANCHES), rng.random() < 0.25
        )
    return Base({"members": members, "books": books, "loans": loans, "reservations": reservations})


def _members(rng: random.Random, split: Split, count: int) -> dict[str, Member]:
    members: dict[str, Member] = {}
    seen: dict[str, int] = {}
    for number in range(count):
        first, last = rng.choice(_FIRST[split]), rng.choice(_LAST[split])
        stem = f"{first}.{last}".lower()
        seen[stem] = seen.get(stem, 0) + 1
        digits = "" if seen[stem] == 1 else str(seen[stem])
        host = rng.choice(("mail.com", "post.org", "inbox.net"))
        member_id = MemberId(f"M{101 + number}")
        fine = rng.choice((0, 0, 0, 150, 400, 850, 1250, 1800))
        members[member_id] = Member(member_id, f"{first} {last}", Email(f"{stem}{digits}@{host}"), fine)
    return members


def _books(rng: random.Random, split: Split, count: int) -> dict[str, Book]:
    authors = [f"{first} {last}" for first in _FIRST[split] for last in _LAST[split]]
    rng.shuffle(authors)
    authors = authors[: max(8, count // 4)]
    patterns = ("The {a} {n}", "{a} {n}", "The {n} of {m}", "A {a} {n}", "{n} and {m}", "Beyond the {a} {n}")
    books: dict[str, Book] = {}
    titles: set[str] = set()
    while len(books) < count:
        a, n, m = rng.choice(_ADJECTIVES[split]), rng.choice(_NOUNS[split]), rng.choice(_NOUNS[split])
        title = rng.choice(patterns).format(a=a, n=n, m=m)
        if title in titles or n == m:
            if len(titles) < 1500:
                continue
            title = f"{title}, Volume {rng.randint(2, 10**6)}"
        titles.add(title)
        book_id = BookId(f"B{101 + len(books)}")
        books[book_id] = Book(book_id, title, rng.choice(authors), rng.random() < 0.08)
    return books
