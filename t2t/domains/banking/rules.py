"""The clauses of ``policy.md`` that code checks and no tool enforces."""

from collections.abc import Callable
from datetime import date

from t2t.domain.rule import Rule, RuleContext
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


def _too_much_for_a_day(context: RuleContext) -> bool:
    account = _paying_account(context)
    today = [row for row in _db(context).outgoing(account.id) if row.kind == "payment" and row.day == TODAY.isoformat()]
    limit = YOUTH_DAILY_PAYMENTS_CENTS if account.kind == "youth" else DAILY_PAYMENTS_CENTS
    return sum(row.cents for row in today) + _cents(context) > limit


def _payee_too_fresh(context: RuleContext) -> bool:
    payee = _db(context).payees[_text(context, "payee_id")]
    if days_since(payee.added) >= FRESH_PAYEE_DAYS:
        return False
    return context.call.name == "create_standing_order" or _cents(context) > FRESH_PAYEE_CENTS


def _other_holder_must_sign(context: RuleContext) -> bool:
    if _paying_account(context).mandate != "both":
        return False
    moves_money = context.call.name in _MOVE
    return not moves_money or _cents(context) > ONE_HOLDER_CENTS


def _savings_pay_a_payee(context: RuleContext) -> bool:
    return _paying_account(context).kind in ("savings", "deposit")


def _too_many_withdrawals(context: RuleContext) -> bool:
    account = _paying_account(context)
    rows = _db(context).outgoing(account.id)
    this_month = [row for row in rows if row.kind == "transfer" and row.day[:7] == TODAY.isoformat()[:7]]
    return account.kind == "savings" and len(this_month) >= SAVINGS_WITHDRAWALS


def _savings_run_low(context: RuleContext) -> bool:
    account = _paying_account(context)
    return account.kind == "savings" and account.balance_cents - _cents(context) < SAVINGS_MINIMUM_CENTS


def _deposit_is_fixed(context: RuleContext) -> bool:
    ends = [_db(context).accounts[_text(context, name)] for name in ("from_account_id", "to_account_id")]
    return any(account.matures > TODAY.isoformat() for account in ends)


def _card_limit_too_high(context: RuleContext) -> bool:
    db = _db(context)
    account = db.accounts[db.cards[_text(context, "card_id")].account_id]
    return _cents(context) > (YOUTH_CARD_LIMIT_CENTS if account.kind == "youth" else CARD_LIMIT_CENTS)


def _raises_limit(context: RuleContext) -> bool:
    return _cents(context) > _db(context).cards[_text(context, "card_id")].limit_cents


def _limit_changed_lately(context: RuleContext) -> bool:
    card = _db(context).cards[_text(context, "card_id")]
    return _raises_limit(context) and days_since(card.limit_changed) < CARD_RAISE_DAYS


def _is_overdrawn(context: RuleContext) -> bool:
    db = _db(context)
    accounts = db.accounts_of(db.cards[_text(context, "card_id")].customer_id)
    return _raises_limit(context) and any(account.balance_cents < 0 for account in accounts)


def _moved_lately(context: RuleContext) -> bool:
    db = _db(context)
    customer = db.customers[db.cards[_text(context, "card_id")].customer_id]
    return days_since(customer.address_changed) < ADDRESS_DAYS


def _too_late_to_dispute(context: RuleContext) -> bool:
    days = {str(reason): limit for reason, limit in CLAIM_DAYS.items()}
    return days_since(_transaction(context).day) > days[_text(context, "reason")]


def _may_still_arrive(context: RuleContext) -> bool:
    return _text(context, "reason") == "not delivered" and days_since(_transaction(context).day) < DELIVERY_DAYS


def _has_no_twin(context: RuleContext) -> bool:
    row = _transaction(context)
    twins = [
        other
        for other in _db(context).outgoing(row.from_id)
        if other.kind == "card payment"
        and other.id != row.id
        and (other.party, other.cents) == (row.party, row.cents)
        and abs((date.fromisoformat(other.day) - date.fromisoformat(row.day)).days) <= TWIN_DAYS
    ]
    return _text(context, "reason") == "charged twice" and not twins


def _too_many_claims(context: RuleContext) -> bool:
    rows = _db(context).outgoing(_transaction(context).from_id)
    return sum(bool(row.claim) and not row.decided for row in rows) >= OPEN_CLAIMS


def _fee_too_old(context: RuleContext) -> bool:
    return days_since(_transaction(context).day) > FEE_DAYS


def _refunds_of_the_year(context: RuleContext) -> list[int]:
    rows = _db(context).incoming(_transaction(context).from_id)
    return [row.cents for row in rows if row.kind == "fee refund" and row.day[:4] == str(TODAY.year)]


def _too_many_refunds(context: RuleContext) -> bool:
    return len(_refunds_of_the_year(context)) >= FEE_REFUNDS


def _refunds_add_up(context: RuleContext) -> bool:
    return sum(_refunds_of_the_year(context)) + _transaction(context).cents > FEE_REFUND_CENTS


def _fee_of_an_overdraft_in_use(context: RuleContext) -> bool:
    row = _transaction(context)
    return row.party == "overdraft fee" and _db(context).accounts[row.from_id].balance_cents < 0


def _not_a_current_account(context: RuleContext) -> bool:
    return _paying_account(context).kind != "current"


def _runs_soon(context: RuleContext) -> bool:
    row = _db(context).standing_orders[_text(context, "standing_order_id")]
    return -days_since(next_run(row.day)) <= NOTICE_DAYS


def _orders_add_up(context: RuleContext) -> bool:
    rows = _db(context).standing_orders.where("account_id", _paying_account(context).id)
    others = sum(row.cents for row in rows if row.id != _text(context, "standing_order_id"))
    return others + _cents(context) > MONTHLY_ORDERS_CENTS


def _is_home_loan(context: RuleContext) -> bool:
    return _db(context).loans[_text(context, "loan_id")].kind == "home loan"


def _loan_too_young(context: RuleContext) -> bool:
    return days_since(_db(context).loans[_text(context, "loan_id")].started) < FIRST_LOAN_DAYS


def _missed_an_instalment(context: RuleContext) -> bool:
    return _db(context).loans[_text(context, "loan_id")].num_missed > 0


def _sum_not_looked_up(context: RuleContext) -> bool:
    quotes = [past.call.arguments for past in context.past if past.call.name == "quote_payoff"]
    return {"loan_id": _text(context, "loan_id")} not in quotes


def _email_changed_lately(context: RuleContext) -> bool:
    return days_since(_customer(context).email_changed) < EMAIL_DAYS


def _card_was_stolen(context: RuleContext) -> bool:
    cards = _db(context).cards.where("customer_id", _customer(context).id)
    return any(card.state == "blocked" and card.block_reason == "stolen" for card in cards)


def _is_under_age(context: RuleContext) -> bool:
    return _customer(context).age < ADULT_AGE


def _added_a_payee_today(context: RuleContext) -> bool:
    payees = _db(context).payees.where("customer_id", _customer(context).id)
    return any(payee.added == TODAY.isoformat() for payee in payees)


def _overdraft_above_salary(context: RuleContext) -> bool:
    account = _paying_account(context)
    rows = [row for row in _db(context).incoming(account.id) if row.kind == "salary"]
    salary = sum(row.cents for row in rows if days_since(row.day) <= SALARY_DAYS)
    return _cents(context) > account.overdraft_cents and _cents(context) > salary


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
    ),
    Rule(
        "2.3",
        _PAY | _CREATE,
        _accepted(_payee_too_fresh),
        "the payee was added less than 3 days ago",
        ("3 days", "three days", "recently", "new payee", "just added", "cooling"),
    ),
    Rule(
        "2.4",
        _MOVE | _ORDER | _OVERDRAFT,
        _accepted(_other_holder_must_sign),
        "both holders of the joint account have to agree to this",
        ("both holders", "other holder", "second holder", "co-holder", "both of you", "both have to"),
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
    ),
    Rule(
        "2.7",
        _TRANSFER,
        _accepted(_savings_run_low),
        "at least 100.00 has to stay on a savings account",
        ("minimum", "at least", "has to stay", "must stay", "must remain", "has to remain"),
    ),
    Rule(
        "2.8",
        _TRANSFER,
        _accepted(_deposit_is_fixed),
        "a fixed deposit takes and gives no money before it matures",
        ("matur", "until it ends", "term ends"),
    ),
    Rule(
        "3.2",
        _LIMIT,
        _accepted(_card_limit_too_high),
        "a card limit is at most 2000.00 a day, 200.00 on a youth account",
        ("2000.00", "2,000", "at most", "maximum", "highest", "upper limit", "no more than"),
    ),
    Rule(
        "3.3",
        _LIMIT,
        _accepted(_limit_changed_lately),
        "the limit was changed in the last 30 days",
        ("30 days", "30-day", "thirty", "recently"),
    ),
    Rule(
        "3.4",
        _LIMIT,
        _accepted(_is_overdrawn),
        "an account of yours is overdrawn",
        ("overdrawn", "below zero", "below 0", "negative"),
    ),
    Rule(
        "3.5",
        frozenset({"replace_card"}),
        _accepted(_moved_lately),
        "your address was changed in the last 14 days",
        ("14 days", "14-day", "fourteen", "two weeks", "address was changed", "change of address", "address change"),
    ),
    Rule(
        "4.2",
        _DISPUTE,
        _accepted(_too_late_to_dispute),
        "the days for disputing a payment for this reason are over",
        ("days", "window", "too late", "deadline", "too long ago"),
    ),
    Rule(
        "4.3",
        _DISPUTE,
        _accepted(_may_still_arrive),
        "you have to wait 15 days for a delivery",
        ("15 days", "15-day", "fifteen", "wait", "too early", "too soon"),
    ),
    Rule(
        "4.4",
        _DISPUTE,
        _accepted(_has_no_twin),
        "there is no second payment of that amount to the merchant within 3 days",
        ("no second", "no other", "second payment", "only one", "only once", "no matching", "no duplicate"),
    ),
    Rule(
        "4.5",
        _DISPUTE,
        _accepted(_too_many_claims),
        "2 claims are open on the account already",
        ("2 claims", "two claims", "open claim", "claims open", "claims are open"),
    ),
    Rule(
        "5.2",
        _FEE,
        _accepted(_fee_too_old),
        "a fee is refunded up to 60 days after it was booked",
        ("60 days", "60-day", "sixty", "too long ago", "too old"),
    ),
    Rule(
        "5.3",
        _FEE,
        _accepted(_too_many_refunds),
        "2 fees were refunded on this account this year already",
        ("2 fees", "two fees", "2 refunds", "two refunds", "twice", "this year", "calendar year"),
    ),
    Rule(
        "5.4",
        _FEE,
        _accepted(_refunds_add_up),
        "fee refunds of a year total at most 50.00 on an account",
        ("50.00", "$50", "this year", "calendar year", "in a year", "per year"),
    ),
    Rule(
        "5.5",
        _FEE,
        _accepted(_fee_of_an_overdraft_in_use),
        "the account is overdrawn now",
        ("overdrawn", "below zero", "below 0", "negative"),
    ),
    Rule(
        "6.2",
        _CREATE | _REPAY,
        _accepted(_not_a_current_account),
        "this is paid from current accounts only",
        ("current accounts", "a current account", "only be paid from", "only paid from"),
    ),
    Rule(
        "6.3",
        frozenset({"change_standing_order", "cancel_standing_order"}),
        _accepted(_runs_soon),
        "the order runs within the next 2 days",
        ("2 days", "two days", "too soon", "runs within", "about to run"),
    ),
    Rule(
        "6.4",
        _ORDER,
        _accepted(_orders_add_up),
        "the standing orders of an account total at most 1500.00 a month",
        ("1500.00", "1,500", "a month", "per month", "monthly limit", "monthly total"),
    ),
    Rule("7.2", _REPAY, _accepted(_is_home_loan), "home loans are repaid early at a branch only", ("branch",)),
    Rule(
        "7.3",
        _REPAY,
        _accepted(_loan_too_young),
        "a loan cannot be repaid early in its first 180 days",
        ("180 days", "180-day", "first 180", "six months"),
    ),
    Rule(
        "7.4",
        _REPAY,
        _accepted(_missed_an_instalment),
        "an instalment of the loan was missed",
        ("missed", "arrears", "overdue"),
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
    ),
    Rule("8.2", _EMAIL, _accepted(_card_was_stolen), "a card of yours is blocked as stolen", ("stolen",)),
    Rule(
        "8.3",
        _PAYEE,
        _accepted(_is_under_age),
        "customers under 18 cannot add payees",
        ("under 18", "18 years", "under age", "underage", "minor"),
    ),
    Rule(
        "8.4",
        _PAYEE,
        _accepted(_added_a_payee_today),
        "one payee a day can be added, and that was done today",
        ("one payee", "one new payee", "a day", "per day", "already added"),
    ),
    Rule(
        "9.2",
        _OVERDRAFT,
        _accepted(_overdraft_above_salary),
        "an overdraft limit is raised at most to the salary of the last 31 days",
        ("salary", "income", "31 days", "31-day"),
    ),
)
