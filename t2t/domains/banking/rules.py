"""The clauses of ``policy.md`` that code checks and no tool enforces."""

from collections.abc import Callable
from datetime import date

from t2t.domain.rule import Constraint, Rule, RuleContext
from t2t.domains.banking.schema import (
    ADDRESS_DAYS,
    ADULT_AGE,
    CARD_LIMIT_CENTS,
    CARD_RAISE_DAYS,
    CLAIM_DAYS,
    DAILY_PAYMENTS_CENTS,
    DELIVERY_DAYS,
    EMAIL_DAYS,
    FEE_DAYS,
    FEE_REFUND_CENTS,
    FEE_REFUNDS,
    FIRST_LOAN_DAYS,
    FRESH_PAYEE_CENTS,
    FRESH_PAYEE_DAYS,
    MONTHLY_ORDERS_CENTS,
    NOTICE_DAYS,
    ONE_HOLDER_CENTS,
    OPEN_CLAIMS,
    SALARY_DAYS,
    SAVINGS_MINIMUM_CENTS,
    SAVINGS_WITHDRAWALS,
    TODAY,
    TWIN_DAYS,
    YOUTH_CARD_LIMIT_CENTS,
    YOUTH_DAILY_PAYMENTS_CENTS,
    Account,
    BankDB,
    Customer,
    Loan,
    Transaction,
    cents_of,
    day_of,
    days_since,
    next_run,
    payoff_cents,
)
from t2t.domains.banking.tools import TOOLS
from t2t.errors import ToolError

_TOOL_BY_NAME = {tool.name: tool for tool in TOOLS}
_FINDS = frozenset({"find_customer_by_number", "find_customer_by_name"})
_WRITES = frozenset(tool.name for tool in TOOLS if tool.writes)
_TOUCHES = frozenset(_TOOL_BY_NAME) - _FINDS


def _db(context: RuleContext) -> BankDB:
    return context.db


def _text(context: RuleContext, name: str) -> str:
    return str(context.call.arguments.get(name, ""))


def _accepted(breaks: Callable[[RuleContext], bool]) -> Callable[[RuleContext], bool]:
    """The same rule, silent where the backend refuses the call anyway: it is tried and taken back.

    What is behind it can rely on every id and amount of the call.
    """

    def check(context: RuleContext) -> bool:
        db = _db(context)
        savepoint = db.savepoint()
        try:
            _TOOL_BY_NAME[context.call.name](db, context.call.arguments)
        except ToolError:
            return False
        finally:
            db.rollback(savepoint)
        return breaks(context)

    return check


def _just(breaks: Callable[[RuleContext], bool], near: Callable[[RuleContext], bool]) -> Callable[[RuleContext], bool]:
    """True for a call that the backend takes and the clause allows, and that is near to breaking it."""
    return _accepted(lambda context: not breaks(context) and near(context))


def _last_quarter(value: int, limit: int) -> bool:
    """True for a value that is allowed, and in the last quarter of what is."""
    return 3 * limit < 4 * value <= 4 * limit


def _just_waited(days: int, wait: int) -> bool:
    """True when a wait of so many days is over by at most a quarter of it."""
    return 4 * wait <= 4 * days <= 5 * wait


def _identified(context: RuleContext) -> set[str]:
    return {str(past.value) for past in context.past if past.call.name in _FINDS}


def _concerned(context: RuleContext) -> list[set[str]]:
    """For each thing that the call names, the customers whose it is; unknown things are left out."""
    db, found = _db(context), list[set[str]]()
    for name, value in context.call.arguments.items():
        row_id = str(value)
        if name.endswith("account_id") and (account := db.accounts.get(row_id)):
            found.append(set(account.holders))
        elif name == "customer_id" and (customer := db.customers.get(row_id)):
            found.append({customer.id})
        elif name == "card_id" and (card := db.cards.get(row_id)):
            found.append({card.customer_id})
        elif name == "payee_id" and (payee := db.payees.get(row_id)):
            found.append({payee.customer_id})
        elif name == "loan_id" and (loan := db.loans.get(row_id)):
            found.append({loan.customer_id})
        elif name == "standing_order_id" and (order := db.standing_orders.get(row_id)):
            found.append(set(db.accounts[order.account_id].holders))
        elif name == "transaction_id" and (row := db.transactions.get(row_id)):
            ends = [db.accounts[end] for end in (row.from_id, row.to_id) if end]
            found.append({holder for account in ends for holder in account.holders})
    return found


def _not_identified(context: RuleContext) -> bool:
    return not _identified(context)


def _not_their_own(context: RuleContext) -> bool:
    known = _identified(context)
    return bool(known) and any(not known & owners for owners in _concerned(context))


def _second_customer(context: RuleContext) -> bool:
    known, db = _identified(context), _db(context)
    if context.call.name == "find_customer_by_number":
        rows = db.customers.where("number", _text(context, "number").strip())
    else:
        rows = db.customers.where("name", _text(context, "name").strip().title())
    found = [row for row in rows if row.born == day_of(_text(context, "born"))]
    return bool(known) and bool(found) and found[0].id not in known


def _not_confirmed(context: RuleContext) -> bool:
    return context.confirmed is False


def _cents(context: RuleContext) -> int:
    """The amount of a call that the backend accepts."""
    if context.call.name == "repay_loan":
        return sum(payoff_cents(_db(context).loans[_text(context, "loan_id")]))
    return cents_of(_text(context, "amount" if "amount" in context.call.arguments else "limit")) or 0


def _paying_account(context: RuleContext) -> Account:
    """The account that money leaves, or would month by month, in a call that the backend accepts."""
    db = _db(context)
    if order_id := _text(context, "standing_order_id"):
        return db.accounts[db.standing_orders[order_id].account_id]
    return db.accounts[_text(context, "from_account_id") or _text(context, "account_id")]


def _customer(context: RuleContext) -> Customer:
    return _db(context).customers[_text(context, "customer_id")]


def _transaction(context: RuleContext) -> Transaction:
    return _db(context).transactions[_text(context, "transaction_id")]


def _paid_in_a_day(context: RuleContext) -> tuple[int, int]:
    """Cents paid from the account today, this payment included, and how many may be."""
    account = _paying_account(context)
    today = [row for row in _db(context).outgoing(account.id) if row.kind == "payment" and row.day == TODAY.isoformat()]
    limit = YOUTH_DAILY_PAYMENTS_CENTS if account.kind == "youth" else DAILY_PAYMENTS_CENTS
    return sum(row.cents for row in today) + _cents(context), limit


def _too_much_for_a_day(context: RuleContext) -> bool:
    paid, limit = _paid_in_a_day(context)
    return paid > limit


def _much_for_a_day(context: RuleContext) -> bool:
    return _last_quarter(*_paid_in_a_day(context))


def _payee_too_fresh(context: RuleContext) -> bool:
    payee = _db(context).payees[_text(context, "payee_id")]
    if days_since(payee.added) >= FRESH_PAYEE_DAYS:
        return False
    return context.call.name == "create_standing_order" or _cents(context) > FRESH_PAYEE_CENTS


def _payee_fresh(context: RuleContext) -> bool:
    days = days_since(_db(context).payees[_text(context, "payee_id")].added)
    if days < FRESH_PAYEE_DAYS:
        return _last_quarter(_cents(context), FRESH_PAYEE_CENTS)
    return days == FRESH_PAYEE_DAYS and (
        context.call.name == "create_standing_order" or _cents(context) > FRESH_PAYEE_CENTS
    )


def _other_holder_must_sign(context: RuleContext) -> bool:
    if _paying_account(context).mandate != "both":
        return False
    moves_money = context.call.name in _MOVE
    return not moves_money or _cents(context) > ONE_HOLDER_CENTS


def _may_sign_alone(context: RuleContext) -> bool:
    account = _paying_account(context)
    if account.mandate == "both":
        return _last_quarter(_cents(context), ONE_HOLDER_CENTS)
    return account.mandate == "either" and (context.call.name not in _MOVE or _cents(context) > ONE_HOLDER_CENTS)


def _savings_pay_a_payee(context: RuleContext) -> bool:
    return _paying_account(context).kind in ("savings", "deposit")


def _withdrawals(context: RuleContext) -> int:
    """Transfers that left a savings account this month; -1 for another account."""
    account = _paying_account(context)
    rows = _db(context).outgoing(account.id)
    this_month = [row for row in rows if row.kind == "transfer" and row.day[:7] == TODAY.isoformat()[:7]]
    return len(this_month) if account.kind == "savings" else -1


def _too_many_withdrawals(context: RuleContext) -> bool:
    return _withdrawals(context) >= SAVINGS_WITHDRAWALS


def _last_withdrawal(context: RuleContext) -> bool:
    return _withdrawals(context) == SAVINGS_WITHDRAWALS - 1


def _savings_run_low(context: RuleContext) -> bool:
    account = _paying_account(context)
    return account.kind == "savings" and account.balance_cents - _cents(context) < SAVINGS_MINIMUM_CENTS


def _savings_are_low(context: RuleContext) -> bool:
    account = _paying_account(context)
    return account.kind == "savings" and account.balance_cents - _cents(context) < 2 * SAVINGS_MINIMUM_CENTS


def _maturities(context: RuleContext) -> list[str]:
    """Days on which the deposits among both ends mature; empty texts for other accounts."""
    return [_db(context).accounts[_text(context, name)].matures for name in ("from_account_id", "to_account_id")]


def _deposit_is_fixed(context: RuleContext) -> bool:
    return any(day > TODAY.isoformat() for day in _maturities(context))


def _deposit_matured_lately(context: RuleContext) -> bool:
    return any(days_since(day) <= _LATELY_MATURED_DAYS for day in _maturities(context) if day)


def _highest_card_limit(context: RuleContext) -> int:
    db = _db(context)
    account = db.accounts[db.cards[_text(context, "card_id")].account_id]
    return YOUTH_CARD_LIMIT_CENTS if account.kind == "youth" else CARD_LIMIT_CENTS


def _card_limit_too_high(context: RuleContext) -> bool:
    return _cents(context) > _highest_card_limit(context)


def _card_limit_high(context: RuleContext) -> bool:
    return _last_quarter(_cents(context), _highest_card_limit(context))


def _raises_limit(context: RuleContext) -> bool:
    return _cents(context) > _db(context).cards[_text(context, "card_id")].limit_cents


def _limit_changed_lately(context: RuleContext) -> bool:
    card = _db(context).cards[_text(context, "card_id")]
    return _raises_limit(context) and days_since(card.limit_changed) < CARD_RAISE_DAYS


def _limit_changed_before(context: RuleContext) -> bool:
    days = days_since(_db(context).cards[_text(context, "card_id")].limit_changed)
    return _just_waited(days, CARD_RAISE_DAYS) if _raises_limit(context) else days < CARD_RAISE_DAYS


def _lowest_balance(context: RuleContext) -> int:
    """Cents on the account of the card's owner that holds least."""
    db = _db(context)
    return min(row.balance_cents for row in db.accounts_of(db.cards[_text(context, "card_id")].customer_id))


def _is_overdrawn(context: RuleContext) -> bool:
    return _raises_limit(context) and _lowest_balance(context) < 0


def _is_hardly_overdrawn(context: RuleContext) -> bool:
    balance = _lowest_balance(context)
    return 0 <= balance < _LOW_BALANCE_CENTS if _raises_limit(context) else balance < 0


def _days_at_address(context: RuleContext) -> int:
    """Days since the owner of the card moved."""
    db = _db(context)
    return days_since(db.customers[db.cards[_text(context, "card_id")].customer_id].address_changed)


def _moved_lately(context: RuleContext) -> bool:
    return _days_at_address(context) < ADDRESS_DAYS


def _moved_before(context: RuleContext) -> bool:
    return _just_waited(_days_at_address(context), ADDRESS_DAYS)


def _age_and_window(context: RuleContext) -> tuple[int, int]:
    """Days since the payment, and those in which it can be disputed for the reason."""
    days = {str(reason): limit for reason, limit in CLAIM_DAYS.items()}
    return days_since(_transaction(context).day), days[_text(context, "reason")]


def _too_late_to_dispute(context: RuleContext) -> bool:
    age, window = _age_and_window(context)
    return age > window


def _late_to_dispute(context: RuleContext) -> bool:
    return _last_quarter(*_age_and_window(context))


def _may_still_arrive(context: RuleContext) -> bool:
    return _text(context, "reason") == "not delivered" and days_since(_transaction(context).day) < DELIVERY_DAYS


def _could_have_arrived(context: RuleContext) -> bool:
    return _text(context, "reason") == "not delivered" and _just_waited(
        days_since(_transaction(context).day), DELIVERY_DAYS
    )


def _days_to_twins(context: RuleContext) -> list[int]:
    """Days between the payment and each other one by card of the amount to the merchant."""
    row = _transaction(context)
    return [
        abs((date.fromisoformat(other.day) - date.fromisoformat(row.day)).days)
        for other in _db(context).outgoing(row.from_id)
        if other.kind == "card payment" and other.id != row.id and (other.party, other.cents) == (row.party, row.cents)
    ]


def _has_no_twin(context: RuleContext) -> bool:
    if _text(context, "reason") != "charged twice":
        return False
    return not any(days <= TWIN_DAYS for days in _days_to_twins(context))


def _has_a_distant_twin(context: RuleContext) -> bool:
    return _text(context, "reason") == "charged twice" and min(_days_to_twins(context)) == TWIN_DAYS


def _open_claims(context: RuleContext) -> int:
    """Claims that are open on the account of the payment."""
    rows = _db(context).outgoing(_transaction(context).from_id)
    return sum(bool(row.claim) and not row.decided for row in rows)


def _too_many_claims(context: RuleContext) -> bool:
    return _open_claims(context) >= OPEN_CLAIMS


def _last_claim(context: RuleContext) -> bool:
    return _open_claims(context) == OPEN_CLAIMS - 1


def _fee_too_old(context: RuleContext) -> bool:
    return days_since(_transaction(context).day) > FEE_DAYS


def _fee_old(context: RuleContext) -> bool:
    return _last_quarter(days_since(_transaction(context).day), FEE_DAYS)


def _refunds_of_the_year(context: RuleContext) -> list[int]:
    rows = _db(context).incoming(_transaction(context).from_id)
    return [row.cents for row in rows if row.kind == "fee refund" and row.day[:4] == str(TODAY.year)]


def _too_many_refunds(context: RuleContext) -> bool:
    return len(_refunds_of_the_year(context)) >= FEE_REFUNDS


def _last_refund(context: RuleContext) -> bool:
    return len(_refunds_of_the_year(context)) == FEE_REFUNDS - 1


def _refunded_in_all(context: RuleContext) -> int:
    """Cents of the refunds of the year, this one included."""
    return sum(_refunds_of_the_year(context)) + _transaction(context).cents


def _refunds_add_up(context: RuleContext) -> bool:
    return _refunded_in_all(context) > FEE_REFUND_CENTS


def _refunds_nearly_add_up(context: RuleContext) -> bool:
    return _last_quarter(_refunded_in_all(context), FEE_REFUND_CENTS)


def _fee_of_an_overdraft_in_use(context: RuleContext) -> bool:
    row = _transaction(context)
    return row.party == "overdraft fee" and _db(context).accounts[row.from_id].balance_cents < 0


def _fee_beside_an_overdraft(context: RuleContext) -> bool:
    row = _transaction(context)
    balance = _db(context).accounts[row.from_id].balance_cents
    return 0 <= balance < _LOW_BALANCE_CENTS if row.party == "overdraft fee" else balance < 0


def _not_a_current_account(context: RuleContext) -> bool:
    return _paying_account(context).kind != "current"


def _is_a_joint_account(context: RuleContext) -> bool:
    return len(_paying_account(context).holders) > 1


def _days_to_run(context: RuleContext) -> int:
    """Days until the standing order runs."""
    return -days_since(next_run(_db(context).standing_orders[_text(context, "standing_order_id")].day))


def _runs_soon(context: RuleContext) -> bool:
    return _days_to_run(context) <= NOTICE_DAYS


def _runs_a_little_later(context: RuleContext) -> bool:
    return _days_to_run(context) == NOTICE_DAYS + 1


def _ordered_in_a_month(context: RuleContext) -> int:
    """Cents that the orders of the account pay a month, counting the one created or changed."""
    rows = _db(context).standing_orders.where("account_id", _paying_account(context).id)
    others = sum(row.cents for row in rows if row.id != _text(context, "standing_order_id"))
    return others + _cents(context)


def _orders_add_up(context: RuleContext) -> bool:
    return _ordered_in_a_month(context) > MONTHLY_ORDERS_CENTS


def _orders_nearly_add_up(context: RuleContext) -> bool:
    return _last_quarter(_ordered_in_a_month(context), MONTHLY_ORDERS_CENTS)


def _loan(context: RuleContext) -> Loan:
    return _db(context).loans[_text(context, "loan_id")]


def _other_loans(context: RuleContext) -> list[Loan]:
    """The customer's loans that are not repaid, this one aside."""
    loan = _loan(context)
    rows = _db(context).loans.where("customer_id", loan.customer_id)
    return [row for row in rows if row.id != loan.id and row.principal_cents]


def _is_home_loan(context: RuleContext) -> bool:
    return _loan(context).kind == "home loan"


def _is_beside_a_home_loan(context: RuleContext) -> bool:
    return any(row.kind == "home loan" for row in _other_loans(context))


def _loan_too_young(context: RuleContext) -> bool:
    return days_since(_loan(context).started) < FIRST_LOAN_DAYS


def _loan_young(context: RuleContext) -> bool:
    return _just_waited(days_since(_loan(context).started), FIRST_LOAN_DAYS)


def _missed_an_instalment(context: RuleContext) -> bool:
    return _loan(context).num_missed > 0


def _missed_one_of_another_loan(context: RuleContext) -> bool:
    return any(row.num_missed for row in _other_loans(context))


def _sum_not_looked_up(context: RuleContext) -> bool:
    quotes = [past.call.arguments for past in context.past if past.call.name == "quote_payoff"]
    return {"loan_id": _text(context, "loan_id")} not in quotes


def _email_changed_lately(context: RuleContext) -> bool:
    return days_since(_customer(context).email_changed) < EMAIL_DAYS


def _email_changed_before(context: RuleContext) -> bool:
    return _just_waited(days_since(_customer(context).email_changed), EMAIL_DAYS)


def _blocked_as(context: RuleContext) -> list[str]:
    """Why cards of the customer are blocked."""
    cards = _db(context).cards.where("customer_id", _customer(context).id)
    return [card.block_reason for card in cards if card.state == "blocked"]


def _card_was_stolen(context: RuleContext) -> bool:
    return "stolen" in _blocked_as(context)


def _card_was_blocked(context: RuleContext) -> bool:
    return bool(_blocked_as(context))


def _is_under_age(context: RuleContext) -> bool:
    return _customer(context).age < ADULT_AGE


def _is_hardly_of_age(context: RuleContext) -> bool:
    return _customer(context).age <= ADULT_AGE + 2


def _days_since_payees(context: RuleContext) -> list[int]:
    """Days since each payee of the customer was added."""
    payees = _db(context).payees.where("customer_id", _customer(context).id)
    return [days_since(payee.added) for payee in payees]


def _added_a_payee_today(context: RuleContext) -> bool:
    return 0 in _days_since_payees(context)


def _added_a_payee_yesterday(context: RuleContext) -> bool:
    return 1 in _days_since_payees(context)


def _salary(context: RuleContext) -> int:
    """Cents of salary on the account in the days that count."""
    rows = [row for row in _db(context).incoming(_paying_account(context).id) if row.kind == "salary"]
    return sum(row.cents for row in rows if days_since(row.day) <= SALARY_DAYS)


def _overdraft_above_salary(context: RuleContext) -> bool:
    return _cents(context) > _paying_account(context).overdraft_cents and _cents(context) > _salary(context)


def _overdraft_near_salary(context: RuleContext) -> bool:
    if _cents(context) > _paying_account(context).overdraft_cents:
        return _last_quarter(_cents(context), _salary(context))
    return _cents(context) > _salary(context)


_LATELY_MATURED_DAYS = 30
"""For so long after it matured, an agent has to look closely whether a deposit is still fixed."""
_LOW_BALANCE_CENTS = 5_000
"""Below this an account that is not overdrawn is near to it."""
_MOVE = frozenset({"transfer_money", "pay_payee", "repay_loan"})
_TRANSFER = frozenset({"transfer_money"})
_PAY = frozenset({"pay_payee"})
_ORDER = frozenset({"create_standing_order", "change_standing_order"})
_CREATE = frozenset({"create_standing_order"})
_LIMIT = frozenset({"set_card_limit"})
_DISPUTE = frozenset({"dispute_payment"})
_FEE = frozenset({"refund_fee"})
_REPAY = frozenset({"repay_loan"})
_OVERDRAFT = frozenset({"set_overdraft"})
_EMAIL = frozenset({"update_email"})
_PAYEE = frozenset({"add_payee"})

RULES = (
    Rule(
        "1.1",
        _TOUCHES,
        _not_identified,
        "I have to know who is calling first",
        ("who is calling", "customer number", "date of birth"),
    ),
    Rule(
        "1.2", _TOUCHES, _not_their_own, "it belongs to another customer", ("another customer", "belong", "not yours")
    ),
    Rule(
        "1.3",
        _FINDS,
        _second_customer,
        "I can serve one customer per conversation",
        ("one customer", "another customer", "per conversation"),
    ),
    Rule("1.5", _WRITES, _not_confirmed, "I need your yes first", ("yes", "confirm")),
    Rule(
        "2.2",
        _PAY,
        _accepted(_too_much_for_a_day),
        "payments from an account have a limit a day, 1000.00 or 100.00 on a youth account, and this goes beyond it",
        ("a day", "daily", "per day", "one day"),
        near=_just(_too_much_for_a_day, _much_for_a_day),
    ),
    Rule(
        "2.3",
        _PAY | _CREATE,
        _accepted(_payee_too_fresh),
        "the payee was added less than 3 days ago",
        ("3 days", "three days", "recently", "new payee", "just added", "cooling"),
        near=_just(_payee_too_fresh, _payee_fresh),
    ),
    Rule(
        "2.4",
        _MOVE | _ORDER | _OVERDRAFT,
        _accepted(_other_holder_must_sign),
        "both holders of the joint account have to agree to this",
        ("both holders", "other holder", "second holder", "co-holder", "both of you", "both have to"),
        near=_just(_other_holder_must_sign, _may_sign_alone),
    ),
    Rule(
        "2.5",
        _PAY,
        _accepted(_savings_pay_a_payee),
        "money from savings and fixed deposits goes only to your own accounts",
        ("own account", "between your", "not to payees", "pay payees", "pay a payee"),
    ),
    Rule(
        "2.6",
        _TRANSFER,
        _accepted(_too_many_withdrawals),
        "a savings account has 3 withdrawals in a calendar month, and they are used",
        ("3 withdrawals", "three withdrawals", "3 transfers", "three transfers", "this month", "calendar month"),
        near=_just(_too_many_withdrawals, _last_withdrawal),
    ),
    Rule(
        "2.7",
        _TRANSFER,
        _accepted(_savings_run_low),
        "at least 100.00 has to stay on a savings account",
        ("minimum", "at least", "has to stay", "must stay", "must remain", "has to remain"),
        near=_just(_savings_run_low, _savings_are_low),
    ),
    Rule(
        "2.8",
        _TRANSFER,
        _accepted(_deposit_is_fixed),
        "a fixed deposit takes and gives no money before it matures",
        ("matur", "until it ends", "term ends"),
        near=_just(_deposit_is_fixed, _deposit_matured_lately),
    ),
    Rule(
        "3.2",
        _LIMIT,
        _accepted(_card_limit_too_high),
        "a card limit is at most 2000.00 a day, 200.00 on a youth account",
        ("2000.00", "2,000", "at most", "maximum", "highest", "upper limit", "no more than"),
        near=_just(_card_limit_too_high, _card_limit_high),
    ),
    Rule(
        "3.3",
        _LIMIT,
        _accepted(_limit_changed_lately),
        "the limit was changed in the last 30 days",
        ("30 days", "30-day", "thirty", "recently"),
        near=_just(_limit_changed_lately, _limit_changed_before),
    ),
    Rule(
        "3.4",
        _LIMIT,
        _accepted(_is_overdrawn),
        "an account of yours is overdrawn",
        ("overdrawn", "below zero", "below 0", "negative"),
        near=_just(_is_overdrawn, _is_hardly_overdrawn),
    ),
    Rule(
        "3.5",
        frozenset({"replace_card"}),
        _accepted(_moved_lately),
        "your address was changed in the last 14 days",
        ("14 days", "14-day", "fourteen", "two weeks", "address was changed", "change of address", "address change"),
        near=_just(_moved_lately, _moved_before),
    ),
    Rule(
        "4.2",
        _DISPUTE,
        _accepted(_too_late_to_dispute),
        "the days for disputing a payment for this reason are over",
        ("days", "window", "too late", "deadline", "too long ago"),
        near=_just(_too_late_to_dispute, _late_to_dispute),
    ),
    Rule(
        "4.3",
        _DISPUTE,
        _accepted(_may_still_arrive),
        "you have to wait 15 days for a delivery",
        ("15 days", "15-day", "fifteen", "wait", "too early", "too soon"),
        near=_just(_may_still_arrive, _could_have_arrived),
    ),
    Rule(
        "4.4",
        _DISPUTE,
        _accepted(_has_no_twin),
        "there is no second payment of that amount to the merchant within 3 days",
        ("no second", "no other", "second payment", "only one", "only once", "no matching", "no duplicate"),
        near=_just(_has_no_twin, _has_a_distant_twin),
    ),
    Rule(
        "4.5",
        _DISPUTE,
        _accepted(_too_many_claims),
        "2 claims are open on the account already",
        ("2 claims", "two claims", "open claim", "claims open", "claims are open"),
        near=_just(_too_many_claims, _last_claim),
    ),
    Rule(
        "5.2",
        _FEE,
        _accepted(_fee_too_old),
        "a fee is refunded up to 60 days after it was booked",
        ("60 days", "60-day", "sixty", "too long ago", "too old"),
        near=_just(_fee_too_old, _fee_old),
    ),
    Rule(
        "5.3",
        _FEE,
        _accepted(_too_many_refunds),
        "2 fees were refunded on this account this year already",
        ("2 fees", "two fees", "2 refunds", "two refunds", "twice", "this year", "calendar year"),
        near=_just(_too_many_refunds, _last_refund),
    ),
    Rule(
        "5.4",
        _FEE,
        _accepted(_refunds_add_up),
        "fee refunds of a year total at most 50.00 on an account",
        ("50.00", "$50", "this year", "calendar year", "in a year", "per year"),
        near=_just(_refunds_add_up, _refunds_nearly_add_up),
    ),
    Rule(
        "5.5",
        _FEE,
        _accepted(_fee_of_an_overdraft_in_use),
        "the account is overdrawn now",
        ("overdrawn", "below zero", "below 0", "negative"),
        near=_just(_fee_of_an_overdraft_in_use, _fee_beside_an_overdraft),
    ),
    Rule(
        "6.2",
        _CREATE | _REPAY,
        _accepted(_not_a_current_account),
        "this is paid from current accounts only",
        ("current accounts", "a current account", "only be paid from", "only paid from"),
        near=_just(_not_a_current_account, _is_a_joint_account),
    ),
    Rule(
        "6.3",
        frozenset({"change_standing_order", "cancel_standing_order"}),
        _accepted(_runs_soon),
        "the order runs within the next 2 days",
        ("2 days", "two days", "too soon", "runs within", "about to run"),
        near=_just(_runs_soon, _runs_a_little_later),
    ),
    Rule(
        "6.4",
        _ORDER,
        _accepted(_orders_add_up),
        "the standing orders of an account total at most 1500.00 a month",
        ("1500.00", "1,500", "a month", "per month", "monthly limit", "monthly total"),
        near=_just(_orders_add_up, _orders_nearly_add_up),
    ),
    Rule(
        "7.2",
        _REPAY,
        _accepted(_is_home_loan),
        "home loans are repaid early at a branch only",
        ("branch",),
        near=_just(_is_home_loan, _is_beside_a_home_loan),
    ),
    Rule(
        "7.3",
        _REPAY,
        _accepted(_loan_too_young),
        "a loan cannot be repaid early in its first 180 days",
        ("180 days", "180-day", "first 180", "six months"),
        near=_just(_loan_too_young, _loan_young),
    ),
    Rule(
        "7.4",
        _REPAY,
        _accepted(_missed_an_instalment),
        "an instalment of the loan was missed",
        ("missed", "arrears", "overdue"),
        near=_just(_missed_an_instalment, _missed_one_of_another_loan),
    ),
    Rule(
        "7.5",
        _REPAY,
        _accepted(_sum_not_looked_up),
        "I have to look up the sum first",
        ("look up", "quote", "the sum first"),
        avoidable=True,
    ),
    Rule(
        "8.1",
        _EMAIL,
        _accepted(_email_changed_lately),
        "the e-mail can be changed once in 30 days",
        ("30 days", "30-day", "thirty", "once in", "recently"),
        near=_just(_email_changed_lately, _email_changed_before),
    ),
    Rule(
        "8.2",
        _EMAIL,
        _accepted(_card_was_stolen),
        "a card of yours is blocked as stolen",
        ("stolen",),
        near=_just(_card_was_stolen, _card_was_blocked),
    ),
    Rule(
        "8.3",
        _PAYEE,
        _accepted(_is_under_age),
        "customers under 18 cannot add payees",
        ("under 18", "18 years", "under age", "underage", "minor"),
        near=_just(_is_under_age, _is_hardly_of_age),
    ),
    Rule(
        "8.4",
        _PAYEE,
        _accepted(_added_a_payee_today),
        "one payee a day can be added, and that was done today",
        ("one payee", "one new payee", "a day", "per day", "already added"),
        near=_just(_added_a_payee_today, _added_a_payee_yesterday),
    ),
    Rule(
        "9.2",
        _OVERDRAFT,
        _accepted(_overdraft_above_salary),
        "an overdraft limit is raised at most to the salary of the last 31 days",
        ("salary", "income", "31 days", "31-day"),
        near=_just(_overdraft_above_salary, _overdraft_near_salary),
    ),
)

CONSTRAINTS = (
    Constraint(
        "too little available",
        _TRANSFER | _PAY,
        " available, not ",
        "there is not enough money available on this account",
        ("not enough", "too little", "insufficient", "available", "more than you have", "does not cover", "short of"),
    ),
    Constraint(
        "card blocked already",
        frozenset({"block_card"}),
        "is blocked already",
        "this card is blocked already",
        ("blocked already", "already blocked", "already been blocked", "is blocked", "was blocked"),
    ),
    Constraint(
        "card not blocked",
        frozenset({"replace_card"}),
        "only blocked cards are replaced",
        "this card is active, and only blocked cards are replaced",
        ("active", "only blocked", "not blocked", "isn't blocked", "still works"),
    ),
    Constraint(
        "card blocked",
        _LIMIT,
        "only active cards have their limit changed",
        "this card is blocked, and only active cards have their limit changed",
        ("blocked", "only active", "not active", "inactive"),
    ),
    Constraint(
        "payment pending",
        _DISPUTE,
        " is pending; ",
        "this payment is still pending, and only booked ones can be disputed",
        ("pending", "not booked", "not yet booked", "not been booked", "only booked"),
    ),
    Constraint(
        "payment disputed already",
        _DISPUTE,
        " is disputed already ",
        "this payment is disputed already",
        (
            "disputed already",
            "already disputed",
            "already been disputed",
            "disputed once",
            "already a claim",
            "a claim on",
        ),
    ),
    Constraint(
        "no overdraft on this account",
        _OVERDRAFT,
        " has no overdraft; ",
        "only current accounts have an overdraft",
        ("only current", "no overdraft", "not a current account", "does not have an overdraft"),
    ),
    Constraint(
        "overdraft in use",
        _OVERDRAFT,
        " of the overdraft is in use; ",
        "more of the overdraft is in use than that",
        ("in use", "overdrawn", "below zero", "below 0", "negative", "used more"),
    ),
)
"""What the backend refuses and callers want nevertheless."""
