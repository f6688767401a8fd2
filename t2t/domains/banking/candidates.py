"""Everything a caller of the bank could mean: calls and what a caller could say of them.

What is told of a candidate is true of it and of no candidate with another value, so that counting the
candidates that fit tells how clear a sentence is.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from functools import cache
from itertools import permutations, product

from t2t.domain.wish import Candidate
from t2t.domains.banking.data import (
    amounts_of,
    card_limits_of,
    new_emails_of,
    new_numbers_of,
    new_payees_of,
    order_days_of,
    overdrafts_of,
)
from t2t.domains.banking.schema import (
    BLOCK_REASONS,
    CLAIM_REASONS,
    Account,
    AccountNumber,
    Amount,
    BankDB,
    BirthDate,
    Card,
    CustomerNumber,
    FullName,
    Loan,
    MonthDay,
    NewEmail,
    PayeeName,
    StandingOrder,
    Transaction,
    TransactionKind,
    money,
)


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What a caller brings: who they are and what they may ask for."""

    number: CustomerNumber
    name: FullName
    born: BirthDate
    amounts: tuple[Amount, ...]
    days: tuple[MonthDay, ...]
    payees: tuple[PayeeName, ...]
    numbers: tuple[AccountNumber, ...]
    emails: tuple[NewEmail, ...]


def knowledge(db: BankDB, caller: str, rng: random.Random) -> Knowledge:
    """What this caller brings to a walk."""
    del rng  # all of it follows from who they are
    customer = db.customers[caller]
    return Knowledge(
        customer.number,
        customer.name,
        BirthDate(_birthday(customer.born)),
        (*amounts_of(customer), *card_limits_of(customer), *overdrafts_of(customer)),
        order_days_of(customer),
        new_payees_of(customer),
        new_numbers_of(customer),
        new_emails_of(customer),
    )


def caller_facts(db: BankDB, caller: str) -> dict[str, str]:
    """What a caller knows about themselves."""
    customer = db.customers[caller]
    return {"number": customer.number, "name": customer.name, "born": _birthday(customer.born)}


def customers(db: BankDB, caller: str) -> Iterator[Candidate]:
    """The caller, about whom there is one thing to ask."""
    del db  # the id says it all
    yield Candidate({"customer_id": caller}, {})


def balances(db: BankDB, caller: str) -> Iterator[Candidate]:
    """Any account; the call lists them all."""
    for account in db.accounts_of(caller):
        yield Candidate({"customer_id": caller}, _account_slots(account))


def spendings(db: BankDB, caller: str) -> Iterator[Candidate]:
    """Any merchant paid by card, on any account, where every payment is booked and undisputed."""
    for account in db.accounts_of(caller):
        rows = [row for row in db.outgoing(account.id) if row.kind == "card payment"]
        unsettled = {row.party for row in rows if row.pending or row.claim}
        for merchant in sorted({row.party for row in rows} - unsettled):
            yield Candidate({"account_id": account.id}, {"merchant": merchant, **_account_slots(account)})


def order_totals(db: BankDB, caller: str) -> Iterator[Candidate]:
    """Any account with standing orders; the call lists them all."""
    for account in db.accounts_of(caller):
        if db.standing_orders.where("account_id", account.id):
            yield Candidate({"customer_id": caller}, _account_slots(account))


def due_dates(db: BankDB, caller: str) -> Iterator[Candidate]:
    """Any open loan; the call lists them all."""
    for loan in _loans(db, caller):
        yield Candidate({"customer_id": caller}, {"loan": loan.kind})


def payoffs(db: BankDB, caller: str) -> Iterator[Candidate]:
    """Any open loan."""
    for loan in _loans(db, caller):
        yield Candidate({"loan_id": loan.id}, {"loan": loan.kind})


def repayments(db: BankDB, caller: str) -> Iterator[Candidate]:
    """Any open loan, paid from any account."""
    for loan, account in product(_loans(db, caller), db.accounts_of(caller)):
        arguments = {"loan_id": loan.id, "account_id": account.id}
        yield Candidate({**arguments}, {"loan": loan.kind, **_account_slots(account)})


def transfers(db: BankDB, caller: str) -> Iterator[Candidate]:
    """Any two accounts and each sum the caller has in mind."""
    for source, target in permutations(db.accounts_of(caller), 2):
        for amount in amounts_of(db.customers[caller]):
            arguments = {"from_account_id": source.id, "to_account_id": target.id, "amount": amount}
            ends = {"target": target.label, "target_sort": target.sort}
            yield Candidate({**arguments}, {"amount": amount, **_account_slots(source), **ends})


def payments(db: BankDB, caller: str) -> Iterator[Candidate]:
    """Any payee, from any account, and each sum the caller has in mind."""
    payees = db.payees.where("customer_id", caller)
    for account, payee, amount in product(db.accounts_of(caller), payees, amounts_of(db.customers[caller])):
        arguments = {"account_id": account.id, "payee_id": payee.id, "amount": amount}
        yield Candidate({**arguments}, {"payee": payee.name, "amount": amount, **_account_slots(account)})


def payee_additions(db: BankDB, caller: str) -> Iterator[Candidate]:
    """Each payee the caller has in mind, with each number they have noted."""
    customer = db.customers[caller]
    for name, number in product(new_payees_of(customer), new_numbers_of(customer)):
        arguments = {"customer_id": caller, "name": name, "account_number": number}
        yield Candidate({**arguments}, {"new_payee": name, "new_number": number})


def blocks(db: BankDB, caller: str) -> Iterator[Candidate]:
    """Any card, for each reason."""
    for card, reason in product(_cards(db, caller), BLOCK_REASONS):
        yield Candidate({"card_id": card.id, "reason": reason}, {**_card_slots(card), "reason": reason})


def replacements(db: BankDB, caller: str) -> Iterator[Candidate]:
    """Any card."""
    for card in _cards(db, caller):
        yield Candidate({"card_id": card.id}, _card_slots(card))


def card_limits(db: BankDB, caller: str) -> Iterator[Candidate]:
    """Any card, with each limit the caller has in mind."""
    for card, limit in product(_cards(db, caller), card_limits_of(db.customers[caller])):
        yield Candidate({"card_id": card.id, "limit": limit}, {**_card_slots(card), "limit": limit})


def disputes(db: BankDB, caller: str) -> Iterator[Candidate]:
    """Any payment by card, for each reason."""
    for row, slots in _rows(db, caller, "card payment"):
        for reason in CLAIM_REASONS:
            told = {"merchant": row.party, "reason": reason, **slots}
            yield Candidate({"transaction_id": row.id, "reason": reason}, told)


def fee_refunds(db: BankDB, caller: str) -> Iterator[Candidate]:
    """Any fee."""
    for row, slots in _rows(db, caller, "fee"):
        yield Candidate({"transaction_id": row.id}, {"fee": row.party, **slots})


def order_creations(db: BankDB, caller: str) -> Iterator[Candidate]:
    """Any payee, from any account, with each sum and each day the caller has in mind."""
    customer = db.customers[caller]
    for paid in payments(db, caller):
        for day in order_days_of(customer):
            yield Candidate({**paid.arguments, "day": day}, {**paid.slots, "run_day": str(day)})


def order_changes(db: BankDB, caller: str) -> Iterator[Candidate]:
    """Any standing order, to each sum the caller has in mind."""
    for order, slots in _orders(db, caller):
        for amount in amounts_of(db.customers[caller]):
            if amount != money(order.cents):
                yield Candidate({"standing_order_id": order.id, "amount": amount}, {**slots, "amount": amount})


def order_cancellations(db: BankDB, caller: str) -> Iterator[Candidate]:
    """Any standing order."""
    for order, slots in _orders(db, caller):
        yield Candidate({"standing_order_id": order.id}, slots)


def overdrafts(db: BankDB, caller: str) -> Iterator[Candidate]:
    """Any account but fixed deposits, with each limit the caller has in mind; only current accounts have one."""
    for account in db.accounts_of(caller):
        if account.kind != "deposit":
            for limit in overdrafts_of(db.customers[caller]):
                slots = {"overdraft": limit, **_account_slots(account)}
                yield Candidate({"account_id": account.id, "limit": limit}, slots)


def email_updates(db: BankDB, caller: str) -> Iterator[Candidate]:
    """Each e-mail address the caller has in mind."""
    for email in new_emails_of(db.customers[caller]):
        yield Candidate({"customer_id": caller, "new_email": email}, {"new_email": email})


@cache
def spoken_day(iso: str) -> str:
    """A day of an ISO date as a caller says it: "September 3"."""
    day = date.fromisoformat(iso)
    return f"{day:%B} {day.day}"


def _birthday(iso: str) -> str:
    """A date of birth as a caller says it: "March 12, 1984"."""
    return f"{spoken_day(iso)}, {iso[:4]}"


def _account_slots(account: Account) -> dict[str, str]:
    return {"account": account.label, "account_sort": account.sort}


def _card_slots(card: Card) -> dict[str, str]:
    return {"card": card.label, "card_sort": card.sort}


def _loans(db: BankDB, caller: str) -> list[Loan]:
    return [loan for loan in db.loans.where("customer_id", caller) if loan.principal_cents]


def _cards(db: BankDB, caller: str) -> list[Card]:
    return [card for card in db.cards.where("customer_id", caller) if card.state != "replaced"]


def _rows(db: BankDB, caller: str, kind: TransactionKind) -> Iterator[tuple[Transaction, dict[str, str]]]:
    """Transactions of a kind that left any account of the caller, with day and account."""
    for account in db.accounts_of(caller):
        for row in db.outgoing(account.id):
            if row.kind == kind:
                yield row, {"day": spoken_day(row.day), **_account_slots(account)}


def _orders(db: BankDB, caller: str) -> Iterator[tuple[StandingOrder, dict[str, str]]]:
    for account in db.accounts_of(caller):
        for order in db.standing_orders.where("account_id", account.id):
            slots = {
                "payee": db.payees[order.payee_id].name,
                "run_day": str(order.day),
                "old_amount": money(order.cents),
            }
            yield order, {**slots, **_account_slots(account)}
