"""Seeded data of the bank. Names, merchants, payees and employers of the two splits never meet."""

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cache
from typing import Literal

from t2t.domain.database import Base
from t2t.domains.banking.schema import (
    ADDRESS_DAYS,
    BLOCK_REASONS,
    CARD_RAISE_DAYS,
    CLAIM_REASONS,
    EMAIL_DAYS,
    FIRST_LOAN_DAYS,
    FRESH_PAYEE_DAYS,
    NOTICE_DAYS,
    SAVINGS_MINIMUM_CENTS,
    TODAY,
    TWIN_DAYS,
    Account,
    AccountId,
    AccountKind,
    AccountNumber,
    Amount,
    Card,
    CardId,
    Customer,
    CustomerId,
    CustomerNumber,
    FullName,
    Loan,
    LoanId,
    LoanKind,
    Mandate,
    MonthDay,
    NewEmail,
    Payee,
    PayeeId,
    PayeeName,
    StandingOrder,
    StandingOrderId,
    Transaction,
    TransactionId,
    TransactionKind,
    cents_of,
    money,
)
from t2t.records import DataSpec, Split


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.replace("_", " ") for word in text.split())


_FIRST: dict[Split, tuple[str, ...]] = {
    "train": _words(
        "Alma Andre Astrid Basil Carmen Cedric Dina Edwin Elsa Ernesto Farah Flora Gideon Gwen Harriet Hector Iris "
        "Ivan Jolene Karim Laura Lionel Louisa Magnus Marion Nadine Nikhil Odette Otis Pascal Ramona Reuben Rhea "
        "Samira Silas Stella Teresa Tomas Valentin Wilma Yasmin Zeno"
    ),
    "test": _words(
        "Abel Bridget Caspar Corinne Darius Eloise Ferdinand Giselle Hugh Ingrid Jerome Kendra Lorenzo Mabel Nestor "
        "Ophelia Percy Roland Selma Thaddeus Uri Vivian Warren Yolanda"
    ),
}
_LAST: dict[Split, tuple[str, ...]] = {
    "train": _words(
        "Abrams Ashford Banerjee Barlow Bishara Carver Cohen Crane Darby Delgado Eklund Escobar Fane Fitzroy Galvan "
        "Goodwin Hadley Horvat Ingram Jansen Joyce Kemp Kovac Langley Lister Marsh Merino Nash Norden Oduya Paxton "
        "Pruitt Rasmus Redmond Salazar Sheridan Tait Tobin Underhill Varga Wade Winslow"
    ),
    "test": _words(
        "Alder Bannister Caldwell Corbin Dupont Eastman Figueroa Garland Hobbs Irwin Jamison Kersey Lockhart Maddox "
        "Newell Ormond Pryce Ramsey Stanton Thatcher Upton Vickers Whitlock Yeats"
    ),
}
_MERCHANTS: dict[Split, tuple[str, ...]] = {
    "train": _words(
        "Alto_Coffee Bramble_Books Cinder_Grill Delta_Fuel Elm_Pharmacy Fable_Toys Giro_Bikes Halo_Cinema Iona_Shoes "
        "Juno_Market Kite_Airlines Lumen_Electric Mesa_Hardware Nova_Gym Opal_Jewellers Pico_Electronics Quay_Hotel "
        "Rustic_Bakery Sable_Fashion Tundra_Outdoors Umbra_Optics Vela_Garden Willow_Spa Zephyr_Taxi"
    ),
    "test": _words(
        "Agora_Deli Birch_Furniture Comet_Rail Dora_Flowers Ember_Pizza Fern_Grocers Gable_Paints Harp_Music "
        "Indigo_Hostel Jade_Garden Keel_Marine Lark_Streaming Moss_Petcare Noble_Tailors Orbit_Phones Prism_Glass"
    ),
}
_PAYEES: dict[Split, tuple[str, ...]] = {
    "train": _words(
        "Arden_Property Bolt_Gas Cove_Water Dale_Insurance Evergreen_Daycare Fox_Telecom Grove_Tennis_Club "
        "Hill_Music_School Island_Charity Jet_Internet Kerr_Plumbing Lane_Dental Mill_Driving_School North_Power "
        "Oak_Parking Pine_Cleaning"
    ),
    "test": _words(
        "Ash_Estates Brook_Electricity Crest_Swim_Club Dawn_Nursery Echo_Mobile Field_Riding_School Glen_Roofing "
        "Haven_Insurance Inlet_Storage Jasper_Law Knoll_Gardening Lodge_Rescue_Fund"
    ),
}
_NEW_PAYEES: dict[Split, tuple[str, ...]] = {
    "train": _words(
        "Quill_Accounting Ridge_Catering Stone_Removals Trent_Solar Upland_Vets Vale_Yoga Wren_Locksmiths "
        "York_Translations Zinc_Garage Amber_Theatre"
    ),
    "test": _words(
        "Mount_Choir Nook_Upholstery Otter_Sailing Pearl_Weddings Quince_Nursery Rook_Chess_Club Sedge_Tiling"
    ),
}
_EMPLOYERS: dict[Split, tuple[str, ...]] = {
    "train": _words("Almond_Foods Bering_Freight Castle_Press Dune_Software Eider_Clinics Falk_Steel"),
    "test": _words("Gorse_Textiles Heath_Robotics Isle_Shipping Jarrow_Schools"),
}
_FEES = ("overdraft fee", "foreign payment fee", "paper statement fee", "returned payment fee", "express fee")
_HOSTS: dict[Split, tuple[str, ...]] = {
    "train": ("swiftpost.com", "homemail.org", "brightbox.net"),
    "test": ("cloudletter.com", "mailwell.org", "openinbox.net"),
}
_OFFSET: dict[Split, int] = {"train": 0, "test": 40_000_000}
"""Keeps the ids and numbers of the splits apart."""
_ALONE: tuple[tuple[AccountKind, ...], ...] = (
    ("current", "savings"),
    ("current", "current", "savings"),
    ("current", "deposit", "savings"),
    ("current", "savings", "savings"),
    ("current", "savings", "deposit"),
    ("current", "current", "savings", "deposit"),
)
"""What one adult may hold; a couple's joint account comes first."""


def generate(data: DataSpec) -> Base:
    """Make the bank's data; `data.size` is the number of accounts, and all else grows with it."""
    rng = random.Random(f"banking/{data.split}/{data.seed}")
    bank = _Bank(rng, data.split)
    while (left := data.size - len(bank.accounts)) > 0:
        drawn = rng.random()
        if drawn < 0.2:
            bank.add_child(left)
        elif drawn < 0.5 and left >= 3:
            bank.add_couple(left)
        else:
            bank.add_adult(left)
    return Base(
        {
            "customers": bank.customers,
            "accounts": bank.accounts,
            "cards": bank.cards,
            "transactions": bank.transactions,
            "payees": bank.payees,
            "standing_orders": bank.standing_orders,
            "loans": bank.loans,
        }
    )


def amounts_of(customer: Customer) -> tuple[Amount, ...]:
    """Sums the customer may want to move; the same at every call: small, middling, large."""
    rng = random.Random(f"amounts/{customer.id}")
    steps = ((10, 60), (65, 98), (120, 300)) if customer.age < 18 else ((25, 195), (210, 490), (520, 1400))
    return tuple(Amount(money(rng.randint(*span) * 100 + rng.choice((0, 0, 50)))) for span in steps)


def card_limits_of(customer: Customer) -> tuple[Amount, ...]:
    """Daily card limits the customer may want; the same at every call. The last is out of reach."""
    rng = random.Random(f"limits/{customer.id}")
    steps = ((4, 9), (12, 19), (25, 40)) if customer.age < 18 else ((30, 90), (110, 195), (210, 400))
    return tuple(Amount(money(rng.randint(*span) * 1000)) for span in steps)


def overdrafts_of(customer: Customer) -> tuple[Amount, ...]:
    """Overdraft limits the customer may want; the same at every call."""
    rng = random.Random(f"overdrafts/{customer.id}")
    return tuple(Amount(money(rng.randint(*span) * 10000)) for span in ((3, 9), (11, 19), (21, 45)))


def order_days_of(customer: Customer) -> tuple[MonthDay, ...]:
    """Days of the month the customer may want for a standing order; the same at every call."""
    return tuple(MonthDay(day) for day in random.Random(f"days/{customer.id}").sample(range(1, 29), 3))


def new_payees_of(customer: Customer) -> tuple[PayeeName, ...]:
    """Payees the customer may want to add; the same at every call."""
    names = _NEW_PAYEES[_split_of(customer)]
    return tuple(PayeeName(name) for name in random.Random(f"payees/{customer.id}").sample(names, 3))


def new_numbers_of(customer: Customer) -> tuple[AccountNumber, ...]:
    """Account numbers the customer may have noted; the same at every call."""
    rng = random.Random(f"numbers/{customer.id}")
    return tuple(AccountNumber(str(number)) for number in rng.sample(range(10**9, 10**10), 3))


def new_emails_of(customer: Customer) -> tuple[NewEmail, ...]:
    """E-mail addresses the customer may want to use instead; the same at every call."""
    first, last = customer.name.lower().split(" ")
    number = customer.id[-2:]
    hosts = _HOSTS[_split_of(customer)]
    texts = (f"{first[0]}.{last}{number}@{hosts[0]}", f"{last}.{first}{number}@{hosts[1]}", f"{first}{last}@{hosts[2]}")
    return tuple(NewEmail(text) for text in texts)


def _split_of(customer: Customer) -> Split:
    """The half of the data that a customer belongs to."""
    return "test" if int(customer.id[1:]) > _OFFSET["test"] else "train"


_AGES = {False: (6_590, 18_000), True: (4_400, 2_100)}
"""Age of the youngest in days and how many days the others are spread over, by whether they are children."""
_SPANS = ((2, 13), (2, 13), (16, 28), (16, 28), (31, 58), (61, 88), (92, 118), (122, 150))
"""Days ago in which payments by card lie, on both sides of every time limit."""
_LOANS: tuple[tuple[LoanKind, ...], ...] = (
    ("personal loan",),
    ("car loan",),
    ("home loan", "personal loan"),
    ("home loan", "car loan"),
    ("car loan", "personal loan"),
)
"""What a borrower may owe."""
_INSTALMENTS: dict[LoanKind, tuple[int, int]] = {
    "personal loan": (4_000, 12_000),
    "car loan": (9_000, 28_000),
    "home loan": (40_000, 90_000),
}
"""Cents of an instalment, lowest and highest."""


@cache
def _ago(days: int) -> str:
    """ISO date of so many days ago; one string for all rows of a day."""
    return (TODAY - timedelta(days=days)).isoformat()


@dataclass(frozen=True)
class _Person:
    """A customer while their accounts are opened."""

    id: CustomerId
    payees: tuple[Payee, ...]


@dataclass
class _Bank:
    """The tables as they grow, household by household."""

    rng: random.Random
    split: Split
    customers: dict[str, Customer] = field(default_factory=dict[str, Customer])
    accounts: dict[str, Account] = field(default_factory=dict[str, Account])
    cards: dict[str, Card] = field(default_factory=dict[str, Card])
    transactions: dict[str, Transaction] = field(default_factory=dict[str, Transaction])
    payees: dict[str, Payee] = field(default_factory=dict[str, Payee])
    standing_orders: dict[str, StandingOrder] = field(default_factory=dict[str, StandingOrder])
    loans: dict[str, Loan] = field(default_factory=dict[str, Loan])
    names_used: dict[tuple[str, bool], tuple[int, int]] = field(default_factory=dict[tuple[str, bool], tuple[int, int]])
    """First day of birth and people so far, by name and whether they are children."""

    def add_child(self, left: int) -> None:
        """A customer under age with a youth account and, where there is room, savings."""
        child = self._customer(self._last_name(), child=True)
        self._open((child,), ("youth", "savings")[:left])

    def add_adult(self, left: int) -> None:
        """A customer who holds all accounts alone."""
        adult = self._customer(self._last_name(), child=False)
        self._open((adult,), self.rng.choice(_ALONE)[:left])
        self._lend(adult)

    def add_couple(self, left: int) -> None:
        """Two customers with a joint account and one or two accounts each."""
        last = self._last_name()
        one, other = self._customer(last, child=False), self._customer(last, child=False)
        self._open((one, other), ("current",))
        for adult, room in ((one, left // 2), (other, (left - 1) // 2)):
            self._open((adult,), ("current", "savings")[: min(room, self.rng.choice((1, 2, 2)))])
            self._lend(adult)

    def _id(self, table: Mapping[str, object], letter: str) -> str:
        return f"{letter}{100_001 + _OFFSET[self.split] + len(table)}"

    def _last_name(self) -> str:
        return self.rng.choice(_LAST[self.split])

    def _customer(self, last: str, *, child: bool) -> _Person:
        rng = self.rng
        name = f"{rng.choice(_FIRST[self.split])} {last}"
        youngest, span = _AGES[child]
        start, repeat = self.names_used.get((name, child), (rng.randrange(span), 0))
        self.names_used[(name, child)] = (start, repeat + 1)
        # A step without common divisor with the span: the birthdays of people of one name differ.
        born = _ago(youngest + (start + 6151 * repeat) % span)
        customer_id = CustomerId(self._id(self.customers, "C"))
        number = CustomerNumber(str(20_000_000 + _OFFSET[self.split] + 7 * len(self.customers)))
        tag = f"{repeat + 1 if repeat else ''}{'.jr' if child else ''}"
        email = f"{name.lower().replace(' ', '.')}{tag}@{rng.choice(_HOSTS[self.split])}"
        email_changed = _days_since(rng, (3, 27), (EMAIL_DAYS, EMAIL_DAYS + 7), (40, 1500))
        moved = _days_since(rng, (1, 13), (ADDRESS_DAYS, ADDRESS_DAYS + 3), (20, 2000))
        self.customers[customer_id] = Customer(
            customer_id, number, FullName(name), born, email, _ago(email_changed), _ago(moved), ()
        )
        return _Person(customer_id, self._payees(customer_id, 2 if child else rng.choice((2, 3, 4))))

    def _payees(self, customer_id: CustomerId, count: int) -> tuple[Payee, ...]:
        rng = self.rng
        newest = 0 if rng.random() < 0.2 else rng.randint(5, 900)
        found: list[Payee] = []
        for position, name in enumerate(rng.sample(_PAYEES[self.split], count)):
            added = newest if position == 0 else rng.choice((1, 2, FRESH_PAYEE_DAYS, *rng.sample(range(5, 900), 4)))
            payee_id = PayeeId(self._id(self.payees, "P"))
            number = AccountNumber(str(rng.randrange(10**9, 10**10)))
            self.payees[payee_id] = Payee(payee_id, customer_id, name, number, _ago(added))
            found.append(self.payees[payee_id])
        return tuple(found)

    def _open(self, holders: tuple[_Person, ...], kinds: Sequence[AccountKind]) -> None:
        """Open accounts, give them a history and carry what the history does not explain."""
        opened: list[AccountId] = []
        net: Counter[str] = Counter()
        for kind in kinds:
            account = self._account(holders, kind)
            opened.append(account.id)
            if kind in ("current", "youth"):
                self._give_cards(account, holders)
                self._spend(account, holders, net)
            elif kind == "savings" and opened[0] != account.id:
                for _ in range(self.rng.choice((0, 0, 1, 2, 3, 3))):
                    cents = self.rng.randrange(2000, 20000, 500)
                    day = self.rng.randint(1, 16)
                    self._book(net, "transfer", day, cents, "own account", from_id=account.id, to_id=opened[0])
            if kind == "current":
                self._order(account, holders[0])
        for account_id in opened:
            account = self.accounts[account_id]
            self.accounts[account_id] = replace(account, carried_cents=account.balance_cents - net[account_id])

    def _account(self, holders: tuple[_Person, ...], kind: AccountKind) -> Account:
        rng = self.rng
        account_id = AccountId(self._id(self.accounts, "A"))
        taken = {self.accounts[held].number[-4:] for person in holders for held in self.customers[person.id].accounts}
        digits = f"{rng.randrange(10000):04d}"
        while digits in taken:
            digits = f"{rng.randrange(10000):04d}"
        number = AccountNumber(f"{300_000 + len(self.accounts) % 600_000}{digits}")
        mandate: Mandate = "single" if len(holders) == 1 else rng.choice(("either", "both"))
        balance, overdraft, matures = rng.randrange(6000, 40000), 0, ""
        if kind == "current":
            drawn = rng.random()
            overdraft = rng.choice((0, 20000, 50000, 50000, 100000))
            if drawn < 0.25:
                overdraft = rng.choice((50000, 100000))
                balance = -rng.randrange(2000, overdraft)
            else:
                balance = rng.randrange(40000, 600000) if drawn < 0.8 else rng.randrange(600000, 1600000)
                if drawn < 0.33:
                    balance %= 5000
        elif kind == "savings":
            balance = rng.randrange(90000, 2000000)
            if rng.random() < 0.5:
                wanted = cents_of(rng.choice(amounts_of(self.customers[holders[0].id]))) or 0
                balance = wanted + rng.randrange(2 * SAVINGS_MINIMUM_CENTS)
        elif kind == "deposit":
            balance = rng.randrange(200000, 2000000, 5000)
            matures = _ago(rng.randint(1, 45) if rng.random() < 0.4 else -rng.randint(20, 900))
        ids = tuple(person.id for person in holders)
        account = Account(account_id, number, kind, ids, mandate, balance, balance, overdraft, matures)
        self.accounts[account_id] = account
        for customer_id in ids:
            customer = self.customers[customer_id]
            self.customers[customer_id] = replace(customer, accounts=(*customer.accounts, account_id))
        return account

    def _give_cards(self, account: Account, holders: tuple[_Person, ...]) -> None:
        rng = self.rng
        for person in holders:
            kinds: list[Literal["debit", "credit"]] = ["debit"]
            if account.kind == "current" and rng.random() < 0.35:
                kinds.append("credit")
            for kind in kinds:
                card_id = CardId(self._id(self.cards, "K"))
                # Cards are numbered through, so a customer's cards differ in their last four digits.
                digits = f"{1000 + 37 * len(self.cards) % 9000}"
                limit = (
                    rng.randrange(3000, 15000, 1000) if account.kind == "youth" else rng.randrange(30000, 160000, 10000)
                )
                changed = _days_since(rng, (2, 28), (CARD_RAISE_DAYS, CARD_RAISE_DAYS + 7), (40, 700))
                self.cards[card_id] = Card(
                    card_id, person.id, account.id, kind, digits, "active", "", limit, _ago(changed)
                )
                if rng.random() < 0.35:
                    blocked = replace(self.cards[card_id], state="blocked", block_reason=rng.choice(BLOCK_REASONS))
                    self.cards[card_id] = blocked

    def _spend(self, account: Account, holders: tuple[_Person, ...], net: Counter[str]) -> None:
        """Salary, payments by card, fees and refunds of fees, and payments that were made today."""
        rng = self.rng
        grown_up = account.kind == "current"
        if grown_up and rng.random() < 0.7:
            employer, salary = rng.choice(_EMPLOYERS[self.split]), rng.randrange(140000, 420000, 1000)
            for day in (rng.randint(1, 28), rng.randint(33, 60))[: rng.choice((1, 2))]:
                self._book(net, "salary", day, salary, employer, to_id=account.id)
        merchants = rng.sample(_MERCHANTS[self.split], 3)
        days: set[int] = set()
        claims = rng.choice((2, 2, 1, 0, 0, 0))
        twice = rng.random() < 0.4
        for position in range(claims + rng.choice((2, 2, 3, 4))):
            day = _free_day(rng, days, rng.choice(_SPANS))
            cents = rng.choice((rng.randrange(450, 9900), rng.randrange(10100, 48000)))
            merchant = rng.choice(merchants)
            claim = rng.choice(CLAIM_REASONS) if position < claims else ""
            row = self._book(net, "card payment", day, cents, merchant, from_id=account.id)
            if claim:
                self.transactions[row.id] = replace(row, claim=claim, decided=rng.random() < 0.1)
            again = day - rng.choice((1, TWIN_DAYS))
            if twice and position == claims and again > 0 and again not in days:
                days.add(again)
                self._book(net, "card payment", again, cents, merchant, from_id=account.id)
        if rng.random() < 0.3 and not days & {0, 1}:
            row = self._book(Counter(), "card payment", 0, rng.randrange(450, 9900), merchants[0], from_id=account.id)
            self.transactions[row.id] = replace(row, pending=True)
        if grown_up:
            overdrawn = account.balance_cents < 0
            for name in _FEES[: rng.choice((1, 1, 2))] if overdrawn else rng.sample(_FEES, rng.choice((1, 1, 2, 2))):
                day = _free_day(rng, days, (3, 57) if overdrawn or rng.random() < 0.65 else (61, 100))
                self._book(net, "fee", day, rng.randrange(400, 2800, 25), name, from_id=account.id)
            for cents in rng.choice(((), (), (rng.randrange(3200, 4800, 25),), (500, 650), (475, 900))):
                party = f"{rng.choice(_FEES)}, {_ago(rng.randint(205, 230))}"
                self._book(net, "fee refund", rng.randint(110, 200), cents, party, to_id=account.id)
        if rng.random() < 0.3:
            payee = rng.choice(holders[0].payees)
            cents = rng.randrange(50000, 95000, 500) if grown_up else rng.randrange(4000, 9000, 100)
            self._book(net, "payment", 0, cents, payee.name, from_id=account.id)

    def _book(
        self,
        net: Counter[str],
        kind: TransactionKind,
        day: int,
        cents: int,
        party: str,
        *,
        from_id: AccountId | Literal[""] = "",
        to_id: AccountId | Literal[""] = "",
    ) -> Transaction:
        transaction_id = TransactionId(self._id(self.transactions, "T"))
        row = Transaction(transaction_id, _ago(day), kind, AccountId(from_id), AccountId(to_id), cents, party)
        self.transactions[transaction_id] = row
        net[from_id] -= cents
        net[to_id] += cents
        return row

    def _order(self, account: Account, holder: _Person) -> None:
        rng = self.rng
        count = min(rng.choice((0, 1, 2, 3)), len(holder.payees))
        for payee in rng.sample(holder.payees, count):
            order_id = StandingOrderId(self._id(self.standing_orders, "S"))
            day = TODAY.day + rng.randint(1, NOTICE_DAYS + 1) if rng.random() < 0.25 else rng.randint(1, 28)
            cents = rng.choice((rng.randrange(2000, 30000, 500), rng.randrange(30000, 60000, 1000)))
            self.standing_orders[order_id] = StandingOrder(order_id, account.id, payee.id, cents, day)

    def _lend(self, adult: _Person) -> None:
        rng = self.rng
        if rng.random() < 0.2:
            return
        for kind in rng.choice(_LOANS):
            num_left = rng.randint(1, 2) if kind == "home loan" else rng.randint(2, 24)
            instalment = rng.randrange(*_INSTALMENTS[kind])
            loan_id = LoanId(self._id(self.loans, "L"))
            started = _days_since(rng, (20, 170), (FIRST_LOAN_DAYS, FIRST_LOAN_DAYS + 45), (230, 1500))
            missed = rng.randint(1, 2) if rng.random() < 0.3 else 0
            owed = round(instalment * num_left * 0.93)
            rate = rng.randrange(290, 990, 10)
            self.loans[loan_id] = Loan(
                loan_id, adult.id, kind, _ago(started), owed, rate, instalment, num_left, missed, rng.randint(1, 28)
            )


def _days_since(rng: random.Random, short: tuple[int, int], enough: tuple[int, int], long: tuple[int, int]) -> int:
    """Days since a change: too few for some clause in a quarter of all draws, just enough in an eighth."""
    drawn = rng.random()
    return rng.randint(*(short if drawn < 0.25 else enough if drawn < 0.37 else long))


def _free_day(rng: random.Random, days: set[int], span: tuple[int, int]) -> int:
    """A day of the span, or the next free one after it; taken from then on."""
    day = rng.randint(*span)
    while day in days:
        day += 1
    days.add(day)
    return day
