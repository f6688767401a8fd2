"""What the bank's phone desk can do. Tools enforce what the backend would; the rest is policy."""

import hashlib
import re
from dataclasses import dataclass, replace
from datetime import timedelta

from t2t.domain.tool import tool
from t2t.domains.banking.schema import (
    CREDITED_AT_ONCE_CENTS,
    DECISION_DAYS,
    TODAY,
    Account,
    AccountId,
    AccountNumber,
    Amount,
    BankDB,
    BirthDate,
    BlockReason,
    Card,
    CardId,
    ClaimReason,
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
    day_of,
    money,
    next_run,
    payoff_cents,
)
from t2t.errors import ToolError

_DELIVERY_OF_CARD = {"debit": 6, "credit": 9}
"""Days until a new card arrives, by kind."""


@dataclass(frozen=True, slots=True)
class CardView:
    """A card of the customer."""

    card_id: CardId
    card: str
    account: str
    state: str
    limit: str
    limit_changed: str


@dataclass(frozen=True, slots=True)
class PayeeView:
    """Somebody the customer pays."""

    payee_id: PayeeId
    name: str
    account_number: str
    added: str


@dataclass(frozen=True, slots=True)
class CustomerView:
    """A customer with cards and payees."""

    name: str
    age: int
    email: str
    email_changed: str
    address_changed: str
    cards: tuple[CardView, ...]
    payees: tuple[PayeeView, ...]


@dataclass(frozen=True, slots=True)
class AccountView:
    """An account with what is in it and what can leave it."""

    account_id: AccountId
    account: str
    holders: tuple[str, ...]
    mandate: Mandate
    balance: str
    overdraft_limit: str
    available: str
    matures: str


@dataclass(frozen=True, slots=True)
class TransactionView:
    """A transaction as one account sees it; what leaves the account is negative."""

    transaction_id: TransactionId
    day: str
    kind: TransactionKind
    party: str
    amount: str
    state: str


@dataclass(frozen=True, slots=True)
class StandingOrderView:
    """A standing order and its next run."""

    standing_order_id: StandingOrderId
    account: str
    payee: str
    amount: str
    day: int
    next_run: str


@dataclass(frozen=True, slots=True)
class LoanView:
    """A loan and where it stands."""

    loan_id: LoanId
    kind: LoanKind
    started: str
    owed: str
    instalment: str
    instalments_left: int
    instalments_missed: int
    next_due: str


@dataclass(frozen=True, slots=True)
class Payoff:
    """What ends a loan today."""

    principal: str
    interest: str
    early_fee: str
    total: str


@dataclass(frozen=True, slots=True)
class Transferred:
    """Balances of both accounts after a transfer."""

    from_balance: str
    to_balance: str


@dataclass(frozen=True, slots=True)
class Booked:
    """Money that moved, and the balance of the account after it."""

    amount: str
    balance: str


@dataclass(frozen=True, slots=True)
class Claim:
    """A dispute: what is credited until it is decided, and when that is."""

    credited: str
    decision_by: str


@dataclass(frozen=True, slots=True)
class NewCard:
    """A card on its way."""

    card: str
    arrives: str


@dataclass(frozen=True, slots=True)
class NewOrder:
    """A standing order that was set up."""

    standing_order_id: StandingOrderId
    first_run: str


def find_account(db: BankDB, account_id: str) -> Account:
    """The account with this id.

    Raises:
        ToolError: there is none.
    """
    found = db.accounts.get(account_id)
    if found is None:
        raise ToolError(f"no account {account_id!r}; ids look like 'A100001' and come from list_accounts")
    return found


def find_customer(db: BankDB, customer_id: str) -> Customer:
    """The customer with this id.

    Raises:
        ToolError: there is none.
    """
    found = db.customers.get(customer_id)
    if found is None:
        raise ToolError(f"no customer {customer_id!r}; ids look like 'C100001' and come from find_customer_by_number")
    return found


def _find_card(db: BankDB, card_id: str) -> Card:
    found = db.cards.get(card_id)
    if found is None:
        raise ToolError(f"no card {card_id!r}; ids look like 'K100001' and come from get_customer")
    if found.state == "replaced":
        raise ToolError(f"card {card_id} was replaced and is of no use; get_customer shows the cards")
    return found


def _find_payee(db: BankDB, payee_id: str) -> Payee:
    found = db.payees.get(payee_id)
    if found is None:
        raise ToolError(
            f"no payee {payee_id!r}; ids look like 'P100001' and come from get_customer; add_payee adds one"
        )
    return found


def _find_transaction(db: BankDB, transaction_id: str) -> Transaction:
    found = db.transactions.get(transaction_id)
    if found is None:
        raise ToolError(f"no transaction {transaction_id!r}; ids look like 'T100001' and come from list_transactions")
    return found


def _find_standing_order(db: BankDB, standing_order_id: str) -> StandingOrder:
    found = db.standing_orders.get(standing_order_id)
    if found is None:
        raise ToolError(
            f"no standing order {standing_order_id!r}; ids look like 'S100001' and come from list_standing_orders"
        )
    return found


def _find_open_loan(db: BankDB, loan_id: str) -> Loan:
    found = db.loans.get(loan_id)
    if found is None:
        raise ToolError(f"no loan {loan_id!r}; ids look like 'L100001' and come from list_loans")
    if found.principal_cents == 0:
        raise ToolError(f"loan {loan_id} is repaid and nothing is owed on it; list_loans shows the open ones")
    return found


def _read_amount(amount: str) -> int:
    cents = cents_of(amount)
    if cents is None:
        raise ToolError(f"cannot read the amount {amount!r}; write it above zero and like '42.50'")
    return cents


def _new_id(letter: str, *parts: object) -> str:
    """An id that follows from what the row says, so that the order of writes leaves no trace."""
    return f"{letter}{hashlib.blake2b(repr(parts).encode(), digest_size=5).hexdigest()}"


def _book(db: BankDB, kind: TransactionKind, cents: int, party: str, *, from_id: str = "", to_id: str = "") -> None:
    """Move money now: one transaction, and the balance at each end that is an account."""
    for account_id, change in ((from_id, -cents), (to_id, cents)):
        if account_id:
            account = db.accounts[account_id]
            db.accounts.put(replace(account, balance_cents=account.balance_cents + change))
    number = 0
    while db.transactions.get(new_id := _new_id("T", kind, cents, party, from_id, to_id, number)) is not None:
        number += 1
    ends = AccountId(from_id), AccountId(to_id)
    db.transactions.put(Transaction(TransactionId(new_id), TODAY.isoformat(), kind, *ends, cents, party))


def _require_available(db: BankDB, account: Account, cents: int) -> None:
    available = db.available_cents(account)
    if cents > available:
        raise ToolError(
            f"the {account.label} has {money(available)} available, not {money(cents)}; "
            "name a lower amount or another account"
        )


def _account_view(db: BankDB, account: Account) -> AccountView:
    return AccountView(
        account.id,
        account.label,
        tuple(db.customers[holder].name for holder in account.holders),
        account.mandate,
        money(account.balance_cents),
        money(account.overdraft_cents),
        money(db.available_cents(account)),
        account.matures,
    )


def _state(row: Transaction) -> str:
    """What became of a transaction, in one word."""
    if row.pending:
        return "pending"
    if row.refunded:
        return "refunded"
    return ("claim decided" if row.decided else "claim open") if row.claim else "booked"


@tool(writes=False)
def find_customer_by_number(db: BankDB, number: CustomerNumber, born: BirthDate) -> CustomerId:
    """Find a customer by customer number and date of birth and get the customer id.

    Args:
        number: Customer number, eight digits.
        born: Date of birth as the caller says it, such as "March 12, 1984" or "1984-03-12".
    """
    day = day_of(born)
    for customer in db.customers.where("number", number.strip()):
        if customer.born == day:
            return customer.id
    raise ToolError(f"no customer {number!r} born {born!r}; ask the caller again, or for name and date of birth")


@tool(writes=False)
def find_customer_by_name(db: BankDB, name: FullName, born: BirthDate) -> CustomerId:
    """Find a customer by full name and date of birth and get the customer id.

    Args:
        name: First and last name.
        born: Date of birth as the caller says it, such as "March 12, 1984" or "1984-03-12".
    """
    day = day_of(born)
    for customer in db.customers.where("name", name.strip().title()):
        if customer.born == day:
            return customer.id
    raise ToolError(f"no customer {name!r} born {born!r}; ask the caller again, or for the customer number")


@tool(writes=False)
def get_customer(db: BankDB, customer_id: CustomerId) -> CustomerView:
    """Get a customer: age, e-mail, last changes, cards and payees.

    Args:
        customer_id: Id of the customer.
    """
    customer = find_customer(db, customer_id)
    cards = tuple(
        CardView(
            card.id,
            card.label,
            db.accounts[card.account_id].label,
            f"blocked, {card.block_reason}" if card.state == "blocked" else card.state,
            money(card.limit_cents),
            card.limit_changed,
        )
        for card in db.cards.where("customer_id", customer.id)
        if card.state != "replaced"
    )
    payees = tuple(
        PayeeView(payee.id, payee.name, payee.number, payee.added)
        for payee in db.payees.where("customer_id", customer.id)
    )
    return CustomerView(
        customer.name,
        customer.age,
        customer.email,
        customer.email_changed,
        customer.address_changed,
        cards,
        payees,
    )


@tool(writes=False)
def list_accounts(db: BankDB, customer_id: CustomerId) -> list[AccountView]:
    """List the accounts a customer holds, with balance and what is available.

    Args:
        customer_id: Id of the customer.
    """
    customer = find_customer(db, customer_id)
    return [_account_view(db, account) for account in db.accounts_of(customer.id)]


@tool(writes=False)
def list_transactions(db: BankDB, account_id: AccountId) -> list[TransactionView]:
    """List all transactions on file of an account, latest first.

    Args:
        account_id: Id of the account.
    """
    account = find_account(db, account_id)
    signed = [(row, -row.cents) for row in db.outgoing(account.id)]
    signed += [(row, row.cents) for row in db.incoming(account.id)]
    signed.sort(key=lambda pair: (pair[0].day, pair[0].id), reverse=True)
    return [TransactionView(row.id, row.day, row.kind, row.party, money(cents), _state(row)) for row, cents in signed]


@tool(writes=False)
def list_standing_orders(db: BankDB, customer_id: CustomerId) -> list[StandingOrderView]:
    """List the standing orders on all accounts of a customer.

    Args:
        customer_id: Id of the customer.
    """
    return [
        StandingOrderView(
            row.id, account.label, db.payees[row.payee_id].name, money(row.cents), row.day, next_run(row.day)
        )
        for account in db.accounts_of(find_customer(db, customer_id).id)
        for row in db.standing_orders.where("account_id", account.id)
    ]


@tool(writes=False)
def list_loans(db: BankDB, customer_id: CustomerId) -> list[LoanView]:
    """List the loans of a customer that are not repaid.

    Args:
        customer_id: Id of the customer.
    """
    return [
        LoanView(
            loan.id,
            loan.kind,
            loan.started,
            money(loan.principal_cents),
            money(loan.instalment_cents),
            loan.num_left,
            loan.num_missed,
            next_run(loan.due_day),
        )
        for loan in db.loans.where("customer_id", find_customer(db, customer_id).id)
        if loan.principal_cents
    ]


@tool(writes=False)
def quote_payoff(db: BankDB, loan_id: LoanId) -> Payoff:
    """Get what would end a loan today; changes nothing.

    Args:
        loan_id: Id of the loan.
    """
    parts = payoff_cents(_find_open_loan(db, loan_id))
    principal, interest, fee = map(money, parts)
    return Payoff(principal, interest, fee, money(sum(parts)))


@tool(writes=True)
def transfer_money(db: BankDB, from_account_id: AccountId, to_account_id: AccountId, amount: Amount) -> Transferred:
    """Transfer money between two accounts of the customer.

    Args:
        from_account_id: Id of the account that the money leaves.
        to_account_id: Id of the account that receives it.
        amount: How much, such as "42.50".
    """
    source, target, cents = find_account(db, from_account_id), find_account(db, to_account_id), _read_amount(amount)
    if source.id == target.id:
        raise ToolError("from_account_id and to_account_id are the same; name two accounts")
    _require_available(db, source, cents)
    _book(db, "transfer", cents, "own account", from_id=source.id, to_id=target.id)
    return Transferred(*(money(db.accounts[row.id].balance_cents) for row in (source, target)))


@tool(writes=True)
def pay_payee(db: BankDB, account_id: AccountId, payee_id: PayeeId, amount: Amount) -> Booked:
    """Pay a payee of the customer at once.

    Args:
        account_id: Id of the account that the money leaves.
        payee_id: Id of the payee.
        amount: How much, such as "42.50".
    """
    account, payee, cents = find_account(db, account_id), _find_payee(db, payee_id), _read_amount(amount)
    _require_available(db, account, cents)
    _book(db, "payment", cents, payee.name, from_id=account.id)
    return Booked(money(cents), money(db.accounts[account.id].balance_cents))


@tool(writes=True)
def add_payee(db: BankDB, customer_id: CustomerId, name: PayeeName, account_number: AccountNumber) -> PayeeView:
    """Add a payee, whom the customer can then pay.

    Args:
        customer_id: Id of the customer.
        name: Name of the payee.
        account_number: Account number of the payee, ten digits.
    """
    customer = find_customer(db, customer_id)
    name, number = PayeeName(name.strip()), account_number.strip()
    if not name:
        raise ToolError("the name is empty; ask the caller for the payee's name")
    if re.fullmatch(r"[0-9]{10}", number) is None:
        raise ToolError(f"{account_number!r} is no account number; it needs ten digits")
    if any(payee.name == name for payee in db.payees.where("customer_id", customer.id)):
        raise ToolError(f"{name} is among the payees already; get_customer shows them")
    payee = Payee(
        PayeeId(_new_id("P", customer.id, name, number)), customer.id, name, AccountNumber(number), TODAY.isoformat()
    )
    db.payees.put(payee)
    return PayeeView(payee.id, payee.name, payee.number, payee.added)


@tool(writes=True)
def block_card(db: BankDB, card_id: CardId, reason: BlockReason) -> str:
    """Block an active card at once and for good.

    Args:
        card_id: Id of the card.
        reason: What happened to the card.
    """
    card = _find_card(db, card_id)
    if card.state != "active":
        raise ToolError(f"the {card.label} is blocked already; replace_card sends a new one")
    db.cards.put(replace(card, state="blocked", block_reason=reason))
    return f"blocked: {card.label}"


@tool(writes=True)
def replace_card(db: BankDB, card_id: CardId) -> NewCard:
    """Send a new card in place of a blocked one, to the customer's postal address.

    Args:
        card_id: Id of the blocked card.
    """
    card = _find_card(db, card_id)
    if card.state != "blocked":
        raise ToolError(f"the {card.label} is active; only blocked cards are replaced, block_card blocks it")
    taken = {row.digits for row in db.cards.where("customer_id", card.customer_id)}
    digits = next(
        text for step in range(1, 10000) if (text := f"{(int(card.digits) + 37 * step) % 10000:04d}") not in taken
    )
    new = replace(card, id=CardId(_new_id("K", card.id)), digits=digits, state="active", block_reason="")
    db.cards.put(replace(card, state="replaced"))
    db.cards.put(new)
    return NewCard(new.label, (TODAY + timedelta(days=_DELIVERY_OF_CARD[card.kind])).isoformat())


@tool(writes=True)
def set_card_limit(db: BankDB, card_id: CardId, limit: Amount) -> str:
    """Set what can be paid with an active card in a day.

    Args:
        card_id: Id of the card.
        limit: The limit from now on, such as "800.00".
    """
    card, cents = _find_card(db, card_id), _read_amount(limit)
    if card.state != "active":
        raise ToolError(f"the {card.label} is blocked; only active cards have their limit changed")
    if card.limit_cents == cents:
        raise ToolError(f"the limit of the {card.label} is {money(cents)} already; name another limit")
    db.cards.put(replace(card, limit_cents=cents, limit_changed=TODAY.isoformat()))
    return f"daily limit of the {card.label}: {money(cents)}"


@tool(writes=True)
def dispute_payment(db: BankDB, transaction_id: TransactionId, reason: ClaimReason) -> Claim:
    """Dispute a booked card payment; small sums are credited until the claim is decided.

    Args:
        transaction_id: Id of the card payment.
        reason: What is wrong with it.
    """
    row = _find_transaction(db, transaction_id)
    if row.kind != "card payment" or row.pending:
        what = "pending" if row.pending else f"a {row.kind}"
        raise ToolError(f"transaction {transaction_id} is {what}; only booked card payments can be disputed")
    if row.claim:
        raise ToolError(f"transaction {transaction_id} is disputed already as {row.claim!r}; name another payment")
    db.transactions.put(replace(row, claim=reason))
    credited = row.cents if row.cents <= CREDITED_AT_ONCE_CENTS else 0
    if credited:
        _book(db, "claim credit", credited, f"{row.party}, {row.day}", to_id=row.from_id)
    return Claim(money(credited), (TODAY + timedelta(days=DECISION_DAYS[reason])).isoformat())


@tool(writes=True)
def refund_fee(db: BankDB, transaction_id: TransactionId) -> Booked:
    """Give a fee back to the account it was taken from.

    Args:
        transaction_id: Id of the fee.
    """
    row = _find_transaction(db, transaction_id)
    if row.kind != "fee":
        raise ToolError(f"transaction {transaction_id} is a {row.kind}; only fees can be refunded")
    if row.refunded:
        raise ToolError(f"the {row.party} of {row.day} is refunded already; name another fee")
    db.transactions.put(replace(row, refunded=True))
    _book(db, "fee refund", row.cents, f"{row.party}, {row.day}", to_id=row.from_id)
    return Booked(money(row.cents), money(db.accounts[row.from_id].balance_cents))


@tool(writes=True)
def create_standing_order(
    db: BankDB, account_id: AccountId, payee_id: PayeeId, amount: Amount, day: MonthDay
) -> NewOrder:
    """Set up a payment that runs every month.

    Args:
        account_id: Id of the account that pays.
        payee_id: Id of the payee.
        amount: How much each time, such as "42.50".
        day: Day of the month, 1 to 28.
    """
    account, payee, cents = find_account(db, account_id), _find_payee(db, payee_id), _read_amount(amount)
    if not 1 <= day <= 28:
        raise ToolError(f"a standing order cannot run on day {day}; name a day from 1 to 28")
    order_id = StandingOrderId(_new_id("S", account.id, payee.id, cents, day))
    if db.standing_orders.get(order_id) is not None:
        raise ToolError(f"this standing order to {payee.name} exists already; list_standing_orders shows it")
    db.standing_orders.put(StandingOrder(order_id, account.id, payee.id, cents, day))
    return NewOrder(order_id, next_run(day))


@tool(writes=True)
def change_standing_order(db: BankDB, standing_order_id: StandingOrderId, amount: Amount) -> str:
    """Change how much a standing order pays.

    Args:
        standing_order_id: Id of the standing order.
        amount: How much from now on, such as "42.50".
    """
    row, cents = _find_standing_order(db, standing_order_id), _read_amount(amount)
    if row.cents == cents:
        raise ToolError(f"standing order {standing_order_id} pays {money(cents)} already; name another amount")
    db.standing_orders.put(replace(row, cents=cents))
    return f"standing order to {db.payees[row.payee_id].name}: {money(cents)}, next on {next_run(row.day)}"


@tool(writes=True)
def cancel_standing_order(db: BankDB, standing_order_id: StandingOrderId) -> str:
    """Cancel a standing order for good.

    Args:
        standing_order_id: Id of the standing order.
    """
    row = _find_standing_order(db, standing_order_id)
    db.standing_orders.delete(row.id)
    return f"standing order to {db.payees[row.payee_id].name} cancelled"


@tool(writes=True)
def repay_loan(db: BankDB, loan_id: LoanId, account_id: AccountId) -> Booked:
    """Repay all that is owed on a loan today, as quote_payoff shows it.

    Args:
        loan_id: Id of the loan.
        account_id: Id of the account that pays.
    """
    loan, account = _find_open_loan(db, loan_id), find_account(db, account_id)
    cents = sum(payoff_cents(loan))
    _require_available(db, account, cents)
    _book(db, "loan repayment", cents, loan.kind, from_id=account.id)
    db.loans.put(replace(loan, principal_cents=0, num_left=0, num_missed=0))
    return Booked(money(cents), money(db.accounts[account.id].balance_cents))


@tool(writes=True)
def set_overdraft(db: BankDB, account_id: AccountId, limit: Amount) -> AccountView:
    """Set the overdraft limit of a current account.

    Args:
        account_id: Id of the account.
        limit: How far below zero the balance may go, such as "500.00".
    """
    account, cents = find_account(db, account_id), _read_amount(limit)
    if account.kind != "current":
        raise ToolError(f"the {account.label} has no overdraft; only current accounts have one")
    if account.overdraft_cents == cents:
        raise ToolError(f"the overdraft limit is {money(cents)} already; name another limit")
    if db.available_cents(account) - account.overdraft_cents + cents < 0:
        raise ToolError(f"more than {money(cents)} of the overdraft is in use; name a higher limit")
    db.accounts.put(replace(account, overdraft_cents=cents))
    return _account_view(db, db.accounts[account.id])


@tool(writes=True)
def update_email(db: BankDB, customer_id: CustomerId, new_email: NewEmail) -> str:
    """Change the e-mail to which the bank writes.

    Args:
        customer_id: Id of the customer.
        new_email: The address to use from now on.
    """
    customer = find_customer(db, customer_id)
    email = new_email.strip().lower()
    if re.fullmatch(r"[^@\s]+@[^@\s]+\.[a-z]+", email) is None:
        raise ToolError(f"{new_email!r} is no e-mail address; it needs a name, an @ and a domain")
    if email == customer.email:
        raise ToolError(f"{email} is the e-mail on file already; name another address")
    db.customers.put(replace(customer, email=email, email_changed=TODAY.isoformat()))
    return f"e-mail of {customer.name}: {email}"


TOOLS = (
    find_customer_by_number,
    find_customer_by_name,
    get_customer,
    list_accounts,
    list_transactions,
    list_standing_orders,
    list_loans,
    quote_payoff,
    transfer_money,
    pay_payee,
    add_payee,
    block_card,
    replace_card,
    set_card_limit,
    dispute_payment,
    refund_fee,
    create_standing_order,
    change_standing_order,
    cancel_standing_order,
    repay_loan,
    set_overdraft,
    update_email,
)
