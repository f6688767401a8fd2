"""Tables of the bank: customers, accounts, cards, transactions, payees, standing orders, loans.

Every transaction has two ends, the account that money leaves and the account that it reaches; an empty
end lies outside the customers' accounts. An account's balance is what it carried plus its booked ends.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal, NewType

from t2t.domain.database import Base, Database

CustomerId = NewType("CustomerId", str)
CustomerNumber = NewType("CustomerNumber", str)
"""Eight digits that customers know."""
FullName = NewType("FullName", str)
BirthDate = NewType("BirthDate", str)
AccountId = NewType("AccountId", str)
CardId = NewType("CardId", str)
TransactionId = NewType("TransactionId", str)
PayeeId = NewType("PayeeId", str)
StandingOrderId = NewType("StandingOrderId", str)
LoanId = NewType("LoanId", str)
Amount = NewType("Amount", str)
"""Money as it is written: "42.50"."""
MonthDay = NewType("MonthDay", int)
PayeeName = NewType("PayeeName", str)
"""Name of a payee that the customer does not have yet."""
AccountNumber = NewType("AccountNumber", str)
"""Ten digits of an account at another bank."""
NewEmail = NewType("NewEmail", str)

AccountKind = Literal["current", "savings", "youth", "deposit"]
Mandate = Literal["single", "either", "both"]
CardState = Literal["active", "blocked", "replaced"]
BlockReason = Literal["lost", "stolen", "damaged"]
BLOCK_REASONS: tuple[BlockReason, ...] = ("lost", "stolen", "damaged")
TransactionKind = Literal[
    "card payment", "payment", "transfer", "fee", "fee refund", "salary", "loan repayment", "claim credit"
]
ClaimReason = Literal["not recognised", "charged twice", "not delivered", "wrong amount"]
CLAIM_REASONS: tuple[ClaimReason, ...] = ("not recognised", "charged twice", "not delivered", "wrong amount")
LoanKind = Literal["personal loan", "car loan", "home loan"]

TODAY = date(2026, 9, 17)
"""The day on which every talk takes place; the policy names it."""
DAILY_PAYMENTS_CENTS = 100_000
YOUTH_DAILY_PAYMENTS_CENTS = 10_000
FRESH_PAYEE_DAYS = 3
FRESH_PAYEE_CENTS = 20_000
ONE_HOLDER_CENTS = 50_000
"""What one holder moves alone out of a joint account that both sign for."""
SAVINGS_WITHDRAWALS = 3
SAVINGS_MINIMUM_CENTS = 10_000
CARD_LIMIT_CENTS = 200_000
YOUTH_CARD_LIMIT_CENTS = 20_000
CARD_RAISE_DAYS = 30
ADDRESS_DAYS = 14
CLAIM_DAYS: dict[ClaimReason, int] = {
    "not recognised": 120,
    "not delivered": 90,
    "charged twice": 60,
    "wrong amount": 30,
}
"""Days from a payment in which it can be disputed, by reason."""
DECISION_DAYS: dict[ClaimReason, int] = {
    "not recognised": 10,
    "not delivered": 30,
    "charged twice": 5,
    "wrong amount": 20,
}
"""Days from a claim to its decision, by reason."""
DELIVERY_DAYS = 15
TWIN_DAYS = 3
OPEN_CLAIMS = 2
CREDITED_AT_ONCE_CENTS = 10_000
"""Claims up to this are credited until they are decided."""
FEE_DAYS = 60
FEE_REFUNDS = 2
FEE_REFUND_CENTS = 5_000
NOTICE_DAYS = 2
MONTHLY_ORDERS_CENTS = 150_000
EARLY_FEE_INSTALMENTS = 12
"""An early repayment costs 1 % while more instalments than this are left."""
FIRST_LOAN_DAYS = 180
EMAIL_DAYS = 30
ADULT_AGE = 18
SALARY_DAYS = 31


@dataclass(frozen=True, slots=True)
class Customer:
    """A person with accounts."""

    id: CustomerId
    number: CustomerNumber
    name: FullName
    born: str
    """ISO date."""
    email: str
    email_changed: str
    """ISO date of the last change."""
    address_changed: str
    """ISO date of the last change."""
    accounts: tuple[AccountId, ...]
    """Accounts they hold, alone or jointly."""

    @property
    def age(self) -> int:
        """Years of age today."""
        born = date.fromisoformat(self.born)
        return TODAY.year - born.year - ((TODAY.month, TODAY.day) < (born.month, born.day))


@dataclass(frozen=True, slots=True)
class Account:
    """An account; its number ends in four digits that no other account of its holders ends in."""

    id: AccountId
    number: AccountNumber
    kind: AccountKind
    holders: tuple[CustomerId, ...]
    """One customer, or the two of a joint account."""
    mandate: Mandate
    """Who signs for a joint account; ``single`` where there is one holder."""
    carried_cents: int
    """Balance before the oldest transaction on file."""
    balance_cents: int
    overdraft_cents: int
    """How far below zero the balance may go."""
    matures: str
    """ISO date on which a deposit ends; empty for other kinds."""

    @property
    def sort(self) -> str:
        """What it is, as a customer calls it: "joint account"."""
        if len(self.holders) > 1:
            return "joint account"
        return "fixed deposit" if self.kind == "deposit" else f"{self.kind} account"

    @property
    def label(self) -> str:
        """The account among those of its holders: "savings account ending in 4471"."""
        return f"{self.sort} ending in {self.number[-4:]}"


@dataclass(frozen=True, slots=True)
class Card:
    """A card; its payments are booked on its account."""

    id: CardId
    customer_id: CustomerId
    account_id: AccountId
    kind: Literal["debit", "credit"]
    digits: str
    """The last four."""
    state: CardState
    block_reason: BlockReason | Literal[""]
    limit_cents: int
    """What can be paid in a day."""
    limit_changed: str
    """ISO date of the last change."""

    @property
    def sort(self) -> str:
        """What it is: "debit card"."""
        return f"{self.kind} card"

    @property
    def label(self) -> str:
        """The card among those of its customer: "debit card ending in 8031"."""
        return f"{self.sort} ending in {self.digits}"


@dataclass(frozen=True, slots=True)
class Transaction:
    """Money that moved from one end to the other."""

    id: TransactionId
    day: str
    """ISO date."""
    kind: TransactionKind
    from_id: AccountId
    """Account that the money left; empty when it came from outside."""
    to_id: AccountId
    """Account that the money reached; empty when it went outside."""
    cents: int
    """Always positive."""
    party: str
    """Merchant, payee, employer or name of the fee."""
    pending: bool = False
    """Authorised and not booked: not in the balance yet."""
    claim: ClaimReason | Literal[""] = ""
    """Why it is disputed."""
    decided: bool = False
    """True when the claim is closed."""
    refunded: bool = False
    """True for a fee that was given back."""


@dataclass(frozen=True, slots=True)
class Payee:
    """Somebody at another bank whom a customer pays."""

    id: PayeeId
    customer_id: CustomerId
    name: str
    """Unique among the payees of the customer."""
    number: AccountNumber
    added: str
    """ISO date."""


@dataclass(frozen=True, slots=True)
class StandingOrder:
    """A payment that runs every month."""

    id: StandingOrderId
    account_id: AccountId
    payee_id: PayeeId
    cents: int
    day: int
    """Day of the month, 1 to 28."""


@dataclass(frozen=True, slots=True)
class Loan:
    """A loan that is paid back in monthly instalments."""

    id: LoanId
    customer_id: CustomerId
    kind: LoanKind
    started: str
    """ISO date."""
    principal_cents: int
    """What is still owed; 0 when it is repaid."""
    rate_bp: int
    """Yearly interest in hundredths of a per cent."""
    instalment_cents: int
    num_left: int
    """Instalments left, missed ones included."""
    num_missed: int
    due_day: int
    """Day of the month on which an instalment is due, 1 to 28."""


class BankDB(Database):
    """The bank's tables."""

    def __init__(self, base: Base) -> None:
        """Open the tables over `base`."""
        super().__init__(base)
        self.customers = self.table("customers", Customer)
        self.accounts = self.table("accounts", Account)
        self.cards = self.table("cards", Card)
        self.transactions = self.table("transactions", Transaction)
        self.payees = self.table("payees", Payee)
        self.standing_orders = self.table("standing_orders", StandingOrder)
        self.loans = self.table("loans", Loan)

    def accounts_of(self, customer_id: str) -> list[Account]:
        """Accounts that a customer holds, alone or jointly."""
        return [self.accounts[account_id] for account_id in self.customers[customer_id].accounts]

    def outgoing(self, account_id: str) -> list[Transaction]:
        """Transactions whose money left an account, or will."""
        return self.transactions.where("from_id", account_id)

    def incoming(self, account_id: str) -> list[Transaction]:
        """Transactions whose money reached an account."""
        return self.transactions.where("to_id", account_id)

    def history_of(self, customer_id: str) -> Iterator[Transaction]:
        """Transactions on all accounts of a customer; one between two of them comes twice."""
        for account in self.accounts_of(customer_id):
            yield from self.outgoing(account.id)
            yield from self.incoming(account.id)

    def available_cents(self, account: Account) -> int:
        """What can leave an account: balance and overdraft less what is pending."""
        pending = sum(row.cents for row in self.outgoing(account.id) if row.pending)
        return account.balance_cents + account.overdraft_cents - pending


def money(cents: int) -> str:
    """An amount as it is written: "42.50"."""
    sign = "-" if cents < 0 else ""
    return f"{sign}{abs(cents) // 100}.{abs(cents) % 100:02d}"


def cents_of(text: str) -> int | None:
    """Cents of an amount as it is written, commas allowed; None when it is no amount above zero."""
    found = re.fullmatch(r"\$?(\d{1,3}(?:,?\d{3}){0,2})(?:\.(\d{2}))?", text.strip(), re.ASCII)
    if found is None:
        return None
    return int(found[1].replace(",", "")) * 100 + int(found[2] or 0) or None


def day_of(text: str) -> str | None:
    """ISO date of a day as it is written ("1984-03-12", "March 12, 1984"); None when it is no day."""
    for form in ("%Y-%m-%d", "%B %d, %Y", "%B %d %Y", "%d %B %Y"):
        try:
            return datetime.strptime(text.strip(), form).date().isoformat()
        except ValueError:
            continue
    return None


def days_since(iso: str) -> int:
    """Days from an ISO date to today; negative for a day to come."""
    return (TODAY - date.fromisoformat(iso)).days


def next_run(day: int) -> str:
    """ISO date of the next time after today that a day of the month comes, 1 <= day <= 28."""
    if day > TODAY.day:
        return TODAY.replace(day=day).isoformat()
    return (TODAY.replace(day=1) + timedelta(days=31)).replace(day=day).isoformat()


def payoff_cents(loan: Loan) -> tuple[int, int, int]:
    """What ends a loan today: principal, interest since the last due day, fee for repaying early."""
    day = loan.due_day
    last = TODAY.replace(day=day) if day <= TODAY.day else (TODAY.replace(day=1) - timedelta(days=1)).replace(day=day)
    days = (TODAY - last).days
    interest = (loan.principal_cents * loan.rate_bp * days * 2 + 3_650_000) // 7_300_000
    fee = (loan.principal_cents + 50) // 100 if loan.num_left > EARLY_FEE_INSTALMENTS else 0
    return loan.principal_cents, interest, fee
