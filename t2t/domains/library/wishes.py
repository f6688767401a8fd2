"""What callers of the library want, and how they say it."""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from t2t.domain.wish import Callers, Candidate, Identity, Slot, Undo, Wish
from t2t.domains.library.schema import BRANCHES, Email, LibraryDB, Loan, Reservation, SearchText
from t2t.domains.library.tools import LoanView, MemberView, Renewal
from t2t.records import Arguments


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What a caller brings: who they are and what they may look for."""

    email: Email
    texts: tuple[SearchText, ...]


def _knows(db: LibraryDB, caller: str, rng: random.Random) -> Knowledge:
    books = [book for book in db.books if rng.random() < 0.2] or list(db.books)
    picked = rng.sample(books, min(3, len(books)))
    texts = [SearchText(book.author if rng.random() < 0.4 else book.title) for book in picked]
    return Knowledge(db.members[caller].email, tuple(texts))


def _caller_facts(db: LibraryDB, caller: str) -> Mapping[str, str]:
    member = db.members[caller]
    return {"name": member.name, "email": member.email}


def _spoken_day(iso: str) -> str:
    day = date.fromisoformat(iso)
    return f"{day:%B} {day.day}"


def _loan_slots(db: LibraryDB, loan: Loan) -> dict[str, str]:
    book = db.books[loan.book_id]
    return {"title": book.title, "due": _spoken_day(loan.due)}


def _loans(db: LibraryDB, caller: str) -> Iterator[Candidate]:
    for loan in db.loans.where("member_id", caller):
        yield Candidate({"loan_id": loan.id}, _loan_slots(db, loan))


def _loan_lists(db: LibraryDB, caller: str) -> Iterator[Candidate]:
    for loan in db.loans.where("member_id", caller):
        yield Candidate({"member_id": caller}, {"title": db.books[loan.book_id].title})


def _accounts(db: LibraryDB, caller: str) -> Iterator[Candidate]:
    yield Candidate({"email": db.members[caller].email}, {})


def _books(db: LibraryDB, caller: str) -> Iterator[Candidate]:
    for book in db.books:
        for branch in BRANCHES:
            yield Candidate(
                {"member_id": caller, "book_id": book.id, "branch": branch},
                {"title": book.title, "author": book.author, "branch": branch},
            )


def _reservation_slots(db: LibraryDB, row: Reservation) -> dict[str, str]:
    book = db.books[row.book_id]
    return {"title": book.title, "pickup": row.branch}


def _reservations(db: LibraryDB, caller: str) -> Iterator[Candidate]:
    for row in db.reservations.where("member_id", caller):
        yield Candidate({"reservation_id": row.id}, _reservation_slots(db, row))


def _moves(db: LibraryDB, caller: str) -> Iterator[Candidate]:
    for row in db.reservations.where("member_id", caller):
        for branch in BRANCHES:
            arguments = {"reservation_id": row.id, "branch": branch}
            if branch != row.branch:
                yield Candidate({**arguments}, {**_reservation_slots(db, row), "branch": branch})
            elif not row.ready:  # a caller who wants that has forgotten where it is
                yield Candidate({**arguments}, {"title": db.books[row.book_id].title, "branch": branch})


def _tell_due(
    db: LibraryDB, arguments: Arguments, slots: Mapping[str, str], value: Sequence[LoanView]
) -> tuple[str, ...]:
    return tuple(view.due for view in value if view.title == slots["title"])


def _tell_fines(db: LibraryDB, arguments: Arguments, slots: Mapping[str, str], value: MemberView) -> tuple[str, ...]:
    return (value.fines,)


def _tell_new_due(db: LibraryDB, arguments: Arguments, slots: Mapping[str, str], value: Renewal) -> tuple[str, ...]:
    return (value.due,)


def _undo_reservation(db: LibraryDB, arguments: Arguments, slots: Mapping[str, str], value: str) -> tuple[Undo, ...]:
    reservation_id = value.rpartition(" ")[2]
    return (
        Undo("cancel_reservation", {"reservation_id": reservation_id}, f"cancel the reservation of {slots['title']}"),
    )


_TITLE = Slot(
    "title",
    ("title", "which book", "which one", "which of", "which loan", "which reservation"),
    "Which title do you mean?",
    {
        "train": ("I mean {value}.", "The title is {value}.", "{value}, please.", "It is {value}."),
        "test": ("The one called {value}.", "That would be {value}.", "I am talking about {value}."),
    },
)
_AUTHOR = Slot(
    "author",
    ("author", "wrote", "written"),
    "Who is the author?",
    {
        "train": ("It is by {value}.", "The author is {value}."),
        "test": ("{value} wrote it.", "Written by {value}."),
    },
)
_DUE = Slot(
    "due",
    ("due", "what date"),
    "When is it due?",
    {"train": ("It is due on {value}.",), "test": ("{value} is the due date.",)},
)
_BRANCH = Slot(
    "branch",
    ("branch", "where", "location", "pick it up"),
    "Which branch do you want: Central, Harbour or Northside?",
    {
        "train": ("{value}, please.", "At {value}.", "The {value} branch."),
        "test": ("{value} works best for me.", "I can get to {value}."),
    },
)
_PICKUP = Slot(
    "pickup",
    ("current branch", "is it now", "old branch"),
    "At what place is it now?",
    {"train": ("It is at {value} now.",), "test": ("{value} is where it waits.",)},
)
_EMAIL = Slot(
    "email",
    ("e-mail", "email", "mail address"),
    "What is your e-mail address?",
    {
        "train": ("It is {value}.", "My e-mail is {value}.", "{value}"),
        "test": ("Sure, {value}.", "You can find me under {value}."),
    },
)
_NAME = Slot(
    "name",
    ("your name", "full name", "who am i speaking"),
    "What is your name?",
    {"train": ("I am {value}.",), "test": ("The name is {value}.",)},
)

CALLERS = Callers(
    ids=lambda db: [member.id for member in db.members],
    facts=_caller_facts,
    knows=_knows,
    identities=(Identity("find_member", {"email": "email"}),),
    slots=(_EMAIL, _NAME),
    introductions={
        "train": (
            "Hi, my e-mail is {email}.",
            "Hello, this is {name}.",
            "Hi!",
            "Good morning, {name} here, {email}.",
            "Hello, I am {name} and my e-mail is {email}.",
            "Hey, it's {name}.",
            "",
            "Hi, {email} is my e-mail.",
        ),
        "test": (
            "Good afternoon, {name} speaking.",
            "Hello there, my account is under {email}.",
            "Hi, I am calling about my library card, {email}.",
            "Good day.",
            "Hello, {name} with the address {email}.",
        ),
    },
)

WISHES: tuple[Wish, ...] = (
    Wish(
        tool="renew_loan",
        candidates=_loans,
        slots=(_TITLE, _DUE),
        openings={
            "train": (
                "I would like to renew {title}.",
                "Please renew {title} for me.",
                "Can you renew the book I have until {due}?",
                "I need more time with {title}.",
                "Could you extend the book that is due on {due}?",
                "I want to renew a book.",
                "Please extend my loan of {title}, due {due}.",
                "Can I keep {title} a bit longer?",
                "I need an extension for one of my loans.",
                "Please renew the one due on {due}.",
            ),
            "test": (
                "I am not done reading {title} and want to keep it.",
                "Is it possible to prolong {title}?",
                "The book I must return by {due} should stay with me for another few weeks.",
                "I have not finished a book and need it longer.",
                "The loan that ends on {due} should be prolonged.",
            ),
        },
        changes={
            "train": (
                "Actually, renew {title} instead.",
                "Sorry, I meant {title}, not that one.",
                "Wait, I would rather renew {title}.",
                "On second thought, make it {title}.",
            ),
            "test": ("Hold on, I changed my mind: it should be {title}.", "Hmm, please take {title} rather than that."),
        },
        proposal="renew {title}",
        tell=_tell_new_due,
        report="It is now due on {0}.",
    ),
    Wish(
        tool="list_loans",
        candidates=_loan_lists,
        slots=(_TITLE,),
        openings={
            "train": (
                "When is {title} due?",
                "When do I have to bring back {title}?",
                "Can you tell me the due date of {title}?",
                "Until when can I keep {title}?",
                "Which day is {title} due?",
                "When do I have to return a book I have?",
            ),
            "test": (
                "By what day must {title} be back?",
                "How long may I hold on to {title}?",
                "What is the last day I can have {title}?",
            ),
        },
        changes={"train": (), "test": ()},
        proposal="look up {title}",
        tell=_tell_due,
        report="{title} is due on {0}.",
    ),
    Wish(
        tool="find_member",
        candidates=_accounts,
        slots=(),
        openings={
            "train": (
                "How much do I owe in fines?",
                "What are my fines?",
                "Can you tell me what I owe?",
                "Do I have any fines, and how much?",
            ),
            "test": ("What is the balance of late fees on my card?", "I want to know the sum I have to pay in fines."),
        },
        changes={"train": (), "test": ()},
        proposal="look up your fines",
        tell=_tell_fines,
        report="Your fines are {0}.",
    ),
    Wish(
        tool="reserve_book",
        candidates=_books,
        slots=(_TITLE, _AUTHOR, _BRANCH),
        openings={
            "train": (
                "I would like to reserve {title} at {branch}.",
                "Please reserve {title} for me.",
                "Can you put {title} aside for me at {branch}?",
                "I want to reserve something by {author}.",
                "Please reserve a book by {author} for pickup at {branch}.",
                "Reserve {title} by {author}, I will pick it up at {branch}.",
                "I want a reservation for {title}, pickup {branch}.",
                "Could you hold {title} for me at {branch}?",
            ),
            "test": (
                "I am looking to get {title}; {branch} is my branch.",
                "Please keep {title} for me.",
                "Is there a way to get hold of {title} through {branch}?",
                "I am after one of the books of {author}.",
                "Set aside {title} at {branch}, would you?",
            ),
        },
        changes={
            "train": (
                "Actually, I want to pick it up at {branch}.",
                "Wait, make that {branch} instead.",
                "Sorry, {branch} is better for me.",
                "On second thought, {branch}, please.",
            ),
            "test": ("Hold on, I will be near {branch}, so send it there.", "Hmm, could it be {branch} rather?"),
        },
        proposal="reserve {title} for pickup at {branch}",
        undo=_undo_reservation,
    ),
    Wish(
        tool="cancel_reservation",
        candidates=_reservations,
        slots=(_TITLE, _PICKUP),
        openings={
            "train": (
                "Please cancel my reservation of {title}.",
                "I don't need {title} any more, cancel it.",
                "Can you cancel my reservation at {pickup}?",
                "I want to cancel a reservation.",
                "Cancel the reservation of {title} at {pickup}.",
                "Take me off the list for {title}.",
                "Please drop one of my reservations.",
                "I want to cancel the {title} reservation.",
            ),
            "test": (
                "I no longer want to wait for {title}.",
                "There is no need to keep {title} for me any longer.",
                "The book I am waiting for at {pickup}: forget about that one.",
                "One of the books I am waiting for is no longer needed.",
            ),
        },
        changes={
            "train": (
                "Actually, cancel {title} instead.",
                "Sorry, I meant {title}.",
                "Wait, keep that one and cancel {title}.",
                "On second thought, cancel {title}.",
            ),
            "test": ("Hold on, it is {title} that should go.", "Hmm, drop {title} rather than that."),
        },
        proposal="cancel the reservation of {title}",
    ),
    Wish(
        tool="change_pickup",
        candidates=_moves,
        slots=(_TITLE, _BRANCH, _PICKUP),
        openings={
            "train": (
                "I want to pick up {title} at {branch}.",
                "Please move my reservation of {title} to {branch}.",
                "Can you change the pickup of {title} to {branch}?",
                "Can you move my {pickup} reservation to {branch}?",
                "I want to change where I pick up {title}.",
                "Please send my reservation to {branch} instead.",
                "I want another branch for one of my reservations.",
                "Switch the branch of {title} to {branch}.",
            ),
            "test": (
                "I can't get to the old branch, so let {title} come to {branch}.",
                "{branch} is closer to me now, please have {title} sent there.",
                "The book I wait for should go to another branch.",
                "The pickup place of {title} has to change.",
            ),
        },
        changes={
            "train": (
                "Actually, make it {branch}.",
                "Wait, {branch} is better.",
                "Sorry, I meant {branch}.",
                "On second thought, {branch}, please.",
            ),
            "test": ("Hold on, {branch} suits me more.", "Hmm, let it be {branch} rather."),
        },
        proposal="move the reservation of {title} to {branch}",
    ),
)
