"""Banking: money is conserved; each rule has a call that breaks it and one that does not; data scales."""

import random
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from itertools import islice
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from meant import never_met, never_near, undone

from t2t.domain.environment import Environment
from t2t.domain.rule import RuleContext
from t2t.domains.banking import DOMAIN
from t2t.domains.banking.candidates import disputes, transfers
from t2t.domains.banking.schema import (
    BLOCK_REASONS,
    CARD_LIMIT_CENTS,
    CLAIM_DAYS,
    CLAIM_REASONS,
    DAILY_PAYMENTS_CENTS,
    FEE_REFUND_CENTS,
    FRESH_PAYEE_CENTS,
    MONTHLY_ORDERS_CENTS,
    ONE_HOLDER_CENTS,
    SAVINGS_MINIMUM_CENTS,
    TODAY,
    YOUTH_CARD_LIMIT_CENTS,
    YOUTH_DAILY_PAYMENTS_CENTS,
    Account,
    AccountId,
    AccountNumber,
    BankDB,
    Card,
    CardId,
    Customer,
    CustomerId,
    CustomerNumber,
    FullName,
    Loan,
    LoanId,
    Payee,
    PayeeId,
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
from t2t.explore.program import Coverage, explore
from t2t.intents.compose import write_task
from t2t.intents.scene import Scene, Unsuitable
from t2t.records import Arguments, DataSpec, Intent, Split, ToolCall
from t2t.verify.validation import prove
from t2t.verify.verifier import refuses

DATA = DataSpec(seed=0, size=60, split="train")
CLOSED = ("1.1", "1.2", "1.3", "1.5", "7.5")
"""Clauses about the conversation; no wish is forbidden by them."""


def ago(days: int) -> str:
    return (TODAY - timedelta(days=days)).isoformat()


class Desk(NamedTuple):
    """An environment with one customer, Ann, who holds four accounts, one of them with Ben."""

    environment: Environment
    db: BankDB

    def run(self, name: str, arguments: Arguments) -> Any:
        return self.environment.run(ToolCall(id="c", name=name, arguments=arguments), confirmed=True).value

    def clauses(self, name: str, arguments: Arguments, confirmed: bool | None = True) -> set[str]:
        call = ToolCall(id="c", name=name, arguments=arguments)
        return {rule.clause for rule in self.environment.breaks(call, confirmed)}


def entry(
    kind: TransactionKind, cents: int, days: int, *, to: str = "", party: str = "Shop", **more: Any
) -> Transaction:
    """A transaction that left A1, or reached the account `to`."""
    ends = AccountId("" if to else "A1"), AccountId(to)
    return Transaction(TransactionId(""), ago(days), kind, *ends, cents, party, **more)


def account(account_id: str, kind: Any, cents: int, *holders: str, overdraft: int = 0, matures: str = "") -> Account:
    number = AccountNumber(f"111111{account_id[1:]:0>4}")
    ids = tuple(CustomerId(holder) for holder in holders)
    mandate = "both" if len(ids) > 1 else "single"
    return Account(AccountId(account_id), number, kind, ids, mandate, cents, cents, overdraft, matures)


def rows() -> dict[str, Any]:
    ids = tuple(AccountId(f"A{number}") for number in range(1, 5))
    ann = Customer(
        CustomerId("C1"), CustomerNumber("11"), FullName("Ann Lee"), "1980-05-01", "a@b.test", ago(400), ago(400), ids
    )
    return {
        "C1": ann,
        "C2": replace(
            ann, id=CustomerId("C2"), number=CustomerNumber("12"), name=FullName("Ben Lee"), accounts=ids[2:3]
        ),
        "A1": account("A1", "current", 200_000, "C1", overdraft=50_000),
        "A2": account("A2", "savings", 500_000, "C1"),
        "A3": account("A3", "current", 300_000, "C1", "C2", overdraft=50_000),
        "A4": account("A4", "deposit", 900_000, "C1", matures=ago(0)),
        "K1": Card(CardId("K1"), CustomerId("C1"), ids[0], "debit", "1111", "active", "", 50_000, ago(100)),
        "K2": Card(CardId("K2"), CustomerId("C1"), ids[0], "credit", "2222", "blocked", "lost", 50_000, ago(100)),
        "P1": Payee(PayeeId("P1"), CustomerId("C1"), "Gas Co", AccountNumber("1234567890"), ago(100)),
        "T1": entry("card payment", 4_000, 20),
        "T2": entry("fee", 2_000, 20, party="express fee"),
        "S1": StandingOrder(StandingOrderId("S1"), ids[0], PayeeId("P1"), 10_000, 10),
        "L1": Loan(LoanId("L1"), CustomerId("C1"), "personal loan", ago(400), 100_000, 500, 10_500, 10, 0, 7),
    }


def desk(changes: Mapping[str, Any] | None = None, *, identify: bool = True) -> Desk:
    """Ann's bank; `changes` maps a row id to changed fields, or to a row that is added.

    Unless `identify` is off she is found, and the sum of her loan looked up, before the changes.
    """
    environment = Environment(DOMAIN, DATA)
    db = environment.db
    assert isinstance(db, BankDB)
    table = {
        "C": db.customers,
        "A": db.accounts,
        "K": db.cards,
        "P": db.payees,
        "T": db.transactions,
        "S": db.standing_orders,
        "L": db.loans,
    }
    one = Desk(environment, db)
    for row_id, row in rows().items():
        table[row_id[0]].put(replace(row, id=row_id))
    if identify:
        one.run("find_customer_by_number", {"number": "11", "born": "1980-05-01"})
        one.run("quote_payoff", {"loan_id": "L1"})
    for row_id, change in (changes or {}).items():
        row = replace(rows()[row_id], **change) if isinstance(change, Mapping) else change
        table[row_id[0]].put(replace(row, id=row_id))
    return one


def transfer(source: str, target: str, amount: str) -> Arguments:
    return {"from_account_id": source, "to_account_id": target, "amount": amount}


def pay(source: str, amount: str) -> Arguments:
    return {"account_id": source, "payee_id": "P1", "amount": amount}


def dispute(reason: str) -> Arguments:
    return {"transaction_id": "T1", "reason": reason}


LIMIT: Arguments = {"card_id": "K1", "limit": "600.00"}
FEE: Arguments = {"transaction_id": "T2"}
ORDER: Arguments = {**pay("A1", "50.00"), "day": 5}
REPAY: Arguments = {"loan_id": "L1", "account_id": "A1"}
EMAIL: Arguments = {"customer_id": "C1", "new_email": "new@b.test"}
PAYEE: Arguments = {"customer_id": "C1", "name": "Book Club", "account_number": "1234567891"}
OVERDRAFT: Arguments = {"account_id": "A1", "limit": "1500.00"}
YOUTH = {"A1": {"kind": "youth"}}
EITHER = {"A3": {"mandate": "either"}}


def withdrawals(*days: int) -> dict[str, Any]:
    moved = [replace(entry("transfer", 100, day), from_id=AccountId("A2"), to_id=AccountId("A1")) for day in days]
    return {f"T9{number}": row for number, row in enumerate(moved)}


class Case(NamedTuple):
    """A call that is fine at one desk and breaks one clause at another, or with other arguments."""

    clause: str
    tool: str
    arguments: Arguments
    bad: Mapping[str, Any] = {}
    good: Mapping[str, Any] = {}
    bad_arguments: Arguments | None = None


CASES = (
    Case(
        "2.2",
        "pay_payee",
        pay("A1", "300.00"),
        {"T9": entry("payment", 70_001, 0)},
        {"T9": entry("payment", 70_000, 0), "T8": entry("payment", 90_000, 1), "T7": entry("card payment", 90_000, 0)},
    ),
    Case("2.2", "pay_payee", pay("A1", "100.00"), YOUTH, YOUTH, pay("A1", "100.01")),
    Case("2.3", "pay_payee", pay("A1", "200.01"), {"P1": {"added": ago(2)}}, {"P1": {"added": ago(3)}}),
    Case("2.3", "create_standing_order", ORDER, {"P1": {"added": ago(2)}}, {"P1": {"added": ago(3)}}),
    Case("2.4", "transfer_money", transfer("A3", "A1", "500.00"), {}, {}, transfer("A3", "A1", "500.01")),
    Case("2.4", "pay_payee", pay("A3", "500.01"), {}, EITHER),
    Case("2.4", "repay_loan", {**REPAY, "account_id": "A3"}, {}, EITHER),
    Case("2.4", "create_standing_order", {**ORDER, "account_id": "A3"}, {}, EITHER),
    Case(
        "2.4",
        "change_standing_order",
        {"standing_order_id": "S1", "amount": "90.00"},
        {"S1": {"account_id": "A3"}},
        {**EITHER, "S1": {"account_id": "A3"}},
    ),
    Case("2.4", "set_overdraft", {"account_id": "A3", "limit": "100.00"}, {}, EITHER),
    Case("2.5", "pay_payee", pay("A1", "10.00"), {}, {}, pay("A2", "10.00")),
    Case("2.5", "pay_payee", pay("A1", "10.00"), {}, {}, pay("A4", "10.00")),
    Case("2.6", "transfer_money", transfer("A2", "A1", "10.00"), withdrawals(0, 1, 16), withdrawals(1, 16, 17)),
    Case("2.7", "transfer_money", transfer("A2", "A1", "4900.00"), {}, {}, transfer("A2", "A1", "4900.01")),
    Case("2.8", "transfer_money", transfer("A4", "A1", "10.00"), {"A4": {"matures": ago(-1)}}),
    Case("2.8", "transfer_money", transfer("A1", "A4", "10.00"), {"A4": {"matures": ago(-1)}}),
    Case("3.2", "set_card_limit", {**LIMIT, "limit": "2000.00"}, {}, {}, {**LIMIT, "limit": "2000.01"}),
    Case("3.2", "set_card_limit", {**LIMIT, "limit": "200.00"}, YOUTH, YOUTH, {**LIMIT, "limit": "200.01"}),
    Case("3.3", "set_card_limit", LIMIT, {"K1": {"limit_changed": ago(29)}}, {"K1": {"limit_changed": ago(30)}}),
    Case("3.4", "set_card_limit", LIMIT, {"A3": {"balance_cents": -1}}, {"A3": {"balance_cents": 0}}),
    Case(
        "3.5",
        "replace_card",
        {"card_id": "K2"},
        {"C1": {"address_changed": ago(13)}},
        {"C1": {"address_changed": ago(14)}},
    ),
    *(
        Case(
            "4.2",
            "dispute_payment",
            dispute(reason),
            {"T1": {"day": ago(days + 1)}, "T9": entry("card payment", 4_000, days)},
            {"T1": {"day": ago(days)}, "T9": entry("card payment", 4_000, days)},
        )
        for reason, days in CLAIM_DAYS.items()
    ),
    Case("4.3", "dispute_payment", dispute("not delivered"), {"T1": {"day": ago(14)}}, {"T1": {"day": ago(15)}}),
    *(
        Case(
            "4.4",
            "dispute_payment",
            dispute("charged twice"),
            {"T9": no_twin},
            {"T9": entry("card payment", 4_000, 17)},
        )
        for no_twin in (
            entry("card payment", 4_000, 16),
            entry("card payment", 4_001, 20),
            entry("card payment", 4_000, 20, party="Other Shop"),
        )
    ),
    Case(
        "4.5",
        "dispute_payment",
        dispute("wrong amount"),
        {
            "T8": entry("card payment", 1, 50, claim="wrong amount"),
            "T9": entry("card payment", 2, 50, claim="not delivered"),
        },
        {
            "T8": entry("card payment", 1, 50, claim="wrong amount"),
            "T9": entry("card payment", 2, 50, claim="not delivered", decided=True),
        },
    ),
    Case("5.2", "refund_fee", FEE, {"T2": {"day": ago(61)}}, {"T2": {"day": ago(60)}}),
    Case(
        "5.3",
        "refund_fee",
        FEE,
        {"T8": entry("fee refund", 100, 50, to="A1"), "T9": entry("fee refund", 100, 200, to="A1")},
        {"T8": entry("fee refund", 100, 50, to="A1"), "T9": entry("fee refund", 100, 270, to="A1")},
    ),
    Case(
        "5.4",
        "refund_fee",
        FEE,
        {"T9": entry("fee refund", 3_001, 50, to="A1")},
        {"T9": entry("fee refund", 3_000, 50, to="A1")},
    ),
    Case(
        "5.5",
        "refund_fee",
        FEE,
        {"T2": {"party": "overdraft fee"}, "A1": {"balance_cents": -1}},
        {"T2": {"party": "overdraft fee"}, "A1": {"balance_cents": 0}},
    ),
    Case("6.2", "create_standing_order", ORDER, {}, {}, {**ORDER, "account_id": "A2"}),
    Case("6.2", "repay_loan", REPAY, {}, {}, {**REPAY, "account_id": "A2"}),
    Case("6.3", "cancel_standing_order", {"standing_order_id": "S1"}, {"S1": {"day": 19}}, {"S1": {"day": 20}}),
    Case(
        "6.3",
        "change_standing_order",
        {"standing_order_id": "S1", "amount": "1.00"},
        {"S1": {"day": 18}},
        {"S1": {"day": 17}},
    ),
    Case("6.4", "create_standing_order", {**ORDER, "amount": "1400.00"}, {}, {}, {**ORDER, "amount": "1400.01"}),
    Case(
        "6.4",
        "change_standing_order",
        {"standing_order_id": "S1", "amount": "1500.00"},
        {},
        {},
        {"standing_order_id": "S1", "amount": "1500.01"},
    ),
    Case("7.2", "repay_loan", REPAY, {"L1": {"kind": "home loan"}}),
    Case("7.3", "repay_loan", REPAY, {"L1": {"started": ago(179)}}, {"L1": {"started": ago(180)}}),
    Case("7.4", "repay_loan", REPAY, {"L1": {"num_missed": 1}}),
    Case("8.1", "update_email", EMAIL, {"C1": {"email_changed": ago(29)}}, {"C1": {"email_changed": ago(30)}}),
    Case(
        "8.2",
        "update_email",
        EMAIL,
        {"K2": {"block_reason": "stolen"}},
        {"K2": {"block_reason": "stolen", "state": "replaced"}},
    ),
    Case("8.3", "add_payee", PAYEE, {"C1": {"born": "2008-09-18"}}, {"C1": {"born": "2008-09-17"}}),
    Case("8.4", "add_payee", PAYEE, {"P1": {"added": ago(0)}}, {"P1": {"added": ago(1)}}),
    Case(
        "9.2",
        "set_overdraft",
        OVERDRAFT,
        {"T9": entry("salary", 150_000, 32, to="A1")},
        {"T9": entry("salary", 80_000, 31, to="A1"), "T8": entry("salary", 70_000, 3, to="A1")},
    ),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.clause}-{case.tool}")
def test_a_rule_forbids_one_call_and_lets_its_twin_pass(case: Case):
    good, bad = desk(case.good), desk(case.bad)
    assert good.clauses(case.tool, case.arguments) == set()
    good.run(case.tool, case.arguments)
    arguments = case.bad_arguments or case.arguments
    assert bad.clauses(case.tool, arguments) == {case.clause}
    bad.run(case.tool, arguments)  # no tool enforces it


def near(one: Desk, tool: str, arguments: Arguments) -> set[str]:
    """Clauses that a call keeps by so little that an agent has to look closely."""
    call = ToolCall(id="c", name=tool, arguments=arguments)
    context = RuleContext(one.db, call, one.environment.past, True)
    return {rule.clause for rule in DOMAIN.rules if tool in rule.tools and rule.near and rule.near(context)}


NARROW: tuple[Case, ...] = (
    *(
        case
        for case in CASES
        if case.clause not in ("2.5", "6.2", "7.2", "7.4", "8.2") and case.good != {"S1": {"day": 17}}
    ),
    Case("2.3", "pay_payee", pay("A1", "200.00"), bad={}, good={"P1": {"added": ago(2)}}),
    Case("3.3", "set_card_limit", {**LIMIT, "limit": "400.00"}, bad={}, good={"K1": {"limit_changed": ago(2)}}),
    Case("3.4", "set_card_limit", {**LIMIT, "limit": "400.00"}, bad={}, good={"A3": {"balance_cents": -1}}),
    Case("5.5", "refund_fee", FEE, bad={}, good={"A1": {"balance_cents": -1}}),
    Case(
        "6.2", "repay_loan", {**REPAY, "account_id": "A3"}, bad={"A3": {"kind": "savings", **EITHER["A3"]}}, good=EITHER
    ),
    Case("7.2", "repay_loan", REPAY, good={"L2": replace(rows()["L1"], kind="home loan")}),
    Case("7.4", "repay_loan", REPAY, good={"L2": replace(rows()["L1"], num_missed=1)}),
    Case("8.2", "update_email", EMAIL, bad={"K2": {"block_reason": "stolen"}}, good={"K2": {"block_reason": "lost"}}),
    Case("9.2", "set_overdraft", {**OVERDRAFT, "limit": "400.00"}, bad={"A1": {"overdraft_cents": 0}}, good={}),
)


@pytest.mark.parametrize("case", NARROW, ids=lambda case: f"{case.clause}-{case.tool}")
def test_a_call_that_is_just_allowed_is_near_its_clause_and_a_forbidden_one_is_not(case: Case):
    assert case.clause in near(desk(case.good), case.tool, case.arguments)
    arguments = case.bad_arguments or case.arguments
    assert case.clause not in near(desk(case.bad), case.tool, arguments)


WIDE: tuple[tuple[str, Arguments, Mapping[str, Any]], ...] = (
    ("transfer_money", transfer("A2", "A1", "50.00"), {}),
    ("transfer_money", transfer("A4", "A1", "50.00"), {"A4": {"matures": ago(31)}}),
    ("transfer_money", transfer("A3", "A1", "375.00"), {}),
    ("pay_payee", pay("A1", "750.00"), {}),
    ("pay_payee", pay("A1", "150.00"), {"P1": {"added": ago(2)}}),
    ("pay_payee", pay("A1", "9000.00"), {}),
    ("create_standing_order", ORDER, {"P1": {"added": ago(4)}}),
    ("set_card_limit", LIMIT, {"K1": {"limit_changed": ago(38)}}),
    ("replace_card", {"card_id": "K2"}, {"C1": {"address_changed": ago(18)}}),
    ("dispute_payment", dispute("wrong amount"), {}),
    ("dispute_payment", dispute("not delivered"), {}),
    ("dispute_payment", dispute("charged twice"), {"T9": entry("card payment", 4_000, 18)}),
    ("refund_fee", FEE, {"T2": {"party": "overdraft fee", "day": ago(45)}}),
    ("cancel_standing_order", {"standing_order_id": "S1"}, {"S1": {"day": 21}}),
    ("repay_loan", REPAY, {"L1": {"started": ago(226)}}),
    ("update_email", EMAIL, {"C1": {"email_changed": ago(38)}, "K2": {"state": "replaced"}}),
    ("add_payee", PAYEE, {"P1": {"added": ago(2)}}),
    ("set_overdraft", OVERDRAFT, {"T9": entry("salary", 300_000, 3, to="A1")}),
)


@pytest.mark.parametrize(("tool", "arguments", "changes"), WIDE)
def test_a_call_with_room_to_spare_is_near_no_clause(tool: str, arguments: Arguments, changes: Mapping[str, Any]):
    assert near(desk(changes), tool, arguments) == set()


@pytest.mark.parametrize("split", ["train", "test"])
def test_callers_come_near_every_clause_and_meet_every_constraint(split: Split):
    sides = {rule.clause for rule in DOMAIN.rules if rule.near}
    assert sides == {rule.clause for rule in DOMAIN.rules} - {*CLOSED, "2.5"}
    assert never_near(DOMAIN, split, size=400) == set()
    assert never_met(DOMAIN, split) == set()


def test_a_standing_order_that_was_set_up_is_gone_when_it_is_taken_back():
    taken_back = undone(DOMAIN, "test")
    assert {wish.tool for wish in DOMAIN.wishes if wish.undo} == {"create_standing_order"}
    assert taken_back
    assert all(before == after for _, before, after in taken_back)


def test_every_rule_is_tested():
    assert {case.clause for case in CASES} | set(CLOSED) == {rule.clause for rule in DOMAIN.rules}


def test_lowering_is_open_where_raising_is_not():
    one = desk({"K1": {"limit_changed": ago(1)}, "A3": {"balance_cents": -1}})
    assert one.clauses("set_card_limit", LIMIT) == {"3.3", "3.4"}
    assert one.clauses("set_card_limit", {**LIMIT, "limit": "400.00"}) == set()
    assert one.clauses("set_overdraft", OVERDRAFT) == {"9.2"}
    assert one.clauses("set_overdraft", {**OVERDRAFT, "limit": "400.00"}) == set()


def test_each_holder_of_a_joint_account_cancels_its_standing_orders():
    one = desk({"S1": {"account_id": "A3"}})
    assert one.clauses("cancel_standing_order", {"standing_order_id": "S1"}) == set()


def test_1_1_nothing_is_looked_at_before_the_caller_is_found():
    one = desk(identify=False)
    assert one.clauses("list_accounts", {"customer_id": "C1"}) == {"1.1"}
    assert one.clauses("list_transactions", {"account_id": "A1"}) == {"1.1"}
    one.run("find_customer_by_name", {"name": "ann lee", "born": "May 1, 1980"})
    assert one.clauses("list_transactions", {"account_id": "A1"}) == set()


def test_1_2_and_1_3_keep_to_one_customer_and_what_they_hold():
    theirs = {
        "K9": replace(rows()["K1"], customer_id=CustomerId("C2")),
        "P9": replace(rows()["P1"], customer_id=CustomerId("C2")),
        "L9": replace(rows()["L1"], customer_id=CustomerId("C2")),
        "A9": account("A9", "current", 100_000, "C2"),
        "S9": replace(rows()["S1"], account_id=AccountId("A9")),
        "T9": replace(rows()["T1"], from_id=AccountId("A9")),
    }
    one = desk(theirs)
    calls: list[tuple[str, Arguments]] = [
        ("get_customer", {"customer_id": "C2"}),
        ("list_transactions", {"account_id": "A9"}),
        ("transfer_money", transfer("A9", "A1", "1.00")),
        ("transfer_money", transfer("A1", "A9", "1.00")),
        ("pay_payee", {**pay("A1", "1.00"), "payee_id": "P9"}),
        ("block_card", {"card_id": "K9", "reason": "lost"}),
        ("quote_payoff", {"loan_id": "L9"}),
        ("cancel_standing_order", {"standing_order_id": "S9"}),
        ("dispute_payment", {"transaction_id": "T9", "reason": "not recognised"}),
        ("find_customer_by_number", {"number": "12", "born": "1980-05-01"}),
        ("find_customer_by_name", {"name": "Ben Lee", "born": "1980-05-01"}),
    ]
    for name, arguments in calls:
        assert one.clauses(name, arguments) == {"1.3" if name.startswith("find") else "1.2"}, name
    assert one.clauses("list_transactions", {"account_id": "A3"}) == set()
    assert one.clauses("find_customer_by_name", {"name": "Ann Lee", "born": "1980-05-01"}) == set()


@pytest.mark.parametrize("name", [tool.name for tool in DOMAIN.tools if tool.writes])
def test_1_5_every_write_needs_a_yes(name: str):
    assert name in next(rule for rule in DOMAIN.rules if rule.clause == "1.5").tools
    one = desk()
    assert one.clauses("pay_payee", pay("A1", "1.00"), confirmed=False) == {"1.5"}
    assert one.clauses("pay_payee", pay("A1", "1.00"), confirmed=None) == set()


def test_7_5_the_sum_of_a_loan_is_looked_up_before_it_is_repaid():
    one = desk({"L9": rows()["L1"]}, identify=False)
    one.run("find_customer_by_number", {"number": "11", "born": "1980-05-01"})
    one.run("quote_payoff", {"loan_id": "L9"})
    assert one.clauses("repay_loan", REPAY) == {"7.5"}
    one.run("quote_payoff", {"loan_id": "L1"})
    assert one.clauses("repay_loan", REPAY) == set()


def test_a_rule_is_silent_where_the_backend_refuses_anyway():
    one = desk({"P1": {"added": ago(0)}, "L1": {"kind": "home loan"}})
    assert one.clauses("pay_payee", pay("A1", "2500.01")) == set()
    assert one.clauses("repay_loan", {**REPAY, "account_id": "A9"}) == set()
    assert one.clauses("set_card_limit", {**LIMIT, "card_id": "K2", "limit": "9000.00"}) == set()


def test_asking_the_rules_leaves_no_trace():
    one = desk()
    before = one.db.state_hash()
    for case in CASES:
        one.clauses(case.tool, case.arguments, confirmed=False)
    assert one.db.state_hash() == before


REFUSALS: tuple[tuple[str, Arguments, Mapping[str, Any], str], ...] = (
    ("find_customer_by_number", {"number": "11", "born": "1980-05-02"}, {}, "name and date of birth"),
    ("find_customer_by_name", {"name": "Ann Lee", "born": "some day"}, {}, "customer number"),
    ("get_customer", {"customer_id": "C0"}, {}, "find_customer_by_number"),
    ("list_accounts", {"customer_id": "C0"}, {}, "find_customer_by_number"),
    ("list_transactions", {"account_id": ""}, {}, "list_accounts"),
    ("list_standing_orders", {"customer_id": "C0"}, {}, "find_customer_by_number"),
    ("list_loans", {"customer_id": "C0"}, {}, "find_customer_by_number"),
    ("quote_payoff", {"loan_id": "L0"}, {}, "list_loans"),
    ("quote_payoff", {"loan_id": "L1"}, {"L1": {"principal_cents": 0}}, "list_loans shows the open ones"),
    ("transfer_money", transfer("A1", "A1", "1.00"), {}, "name two accounts"),
    ("transfer_money", transfer("A1", "A2", "2500.01"), {}, "2500.00 available, not 2500.01"),
    ("transfer_money", transfer("A1", "A2", "2500.00"), {"T9": entry("card payment", 1, 0, pending=True)}, "2499.99"),
    ("transfer_money", transfer("A1", "A2", "0.00"), {}, "above zero"),
    ("pay_payee", pay("A2", "5000.01"), {}, "5000.00 available"),
    ("pay_payee", {**pay("A1", "1.00"), "payee_id": "P0"}, {}, "add_payee"),
    ("pay_payee", pay("A1", "-5"), {}, "42.50"),
    ("add_payee", {**PAYEE, "account_number": "12345"}, {}, "ten digits"),
    ("add_payee", {**PAYEE, "name": "Gas Co"}, {}, "already"),
    ("add_payee", {**PAYEE, "name": " "}, {}, "ask the caller"),
    ("block_card", {"card_id": "K2", "reason": "lost"}, {}, "replace_card"),
    ("block_card", {"card_id": "K0", "reason": "lost"}, {}, "get_customer"),
    ("block_card", {"card_id": "K1", "reason": "lost"}, {"K1": {"state": "replaced"}}, "of no use"),
    ("replace_card", {"card_id": "K1"}, {}, "block_card"),
    ("set_card_limit", {**LIMIT, "card_id": "K2"}, {}, "only active cards"),
    ("set_card_limit", {**LIMIT, "limit": "500.00"}, {}, "already"),
    ("dispute_payment", {**dispute("wrong amount"), "transaction_id": "T0"}, {}, "list_transactions"),
    ("dispute_payment", {**dispute("wrong amount"), "transaction_id": "T2"}, {}, "is a fee"),
    ("dispute_payment", dispute("wrong amount"), {"T1": {"pending": True}}, "only booked card payments"),
    ("dispute_payment", dispute("wrong amount"), {"T1": {"claim": "not delivered"}}, "disputed already"),
    ("refund_fee", {"transaction_id": "T1"}, {}, "only fees"),
    ("refund_fee", FEE, {"T2": {"refunded": True}}, "refunded already"),
    ("create_standing_order", {**ORDER, "day": 29}, {}, "1 to 28"),
    ("change_standing_order", {"standing_order_id": "S1", "amount": "100.00"}, {}, "already"),
    ("change_standing_order", {"standing_order_id": "S0", "amount": "100.00"}, {}, "list_standing_orders"),
    ("cancel_standing_order", {"standing_order_id": "S0"}, {}, "list_standing_orders"),
    ("repay_loan", REPAY, {"A1": {"balance_cents": 50_136}}, "1001.36 available, not 1001.37"),
    ("set_overdraft", {**OVERDRAFT, "account_id": "A2"}, {}, "only current accounts"),
    ("set_overdraft", {**OVERDRAFT, "limit": "500.00"}, {}, "already"),
    ("set_overdraft", {**OVERDRAFT, "limit": "100.00"}, {"A1": {"balance_cents": -10_001}}, "in use"),
    ("update_email", {**EMAIL, "new_email": "a@b.test"}, {}, "already"),
    ("update_email", {**EMAIL, "new_email": "ann"}, {}, "needs a name"),
)


@pytest.mark.parametrize(("name", "arguments", "given_rows", "advice"), REFUSALS)
def test_a_refused_call_gives_advice_and_changes_nothing(
    name: str, arguments: Arguments, given_rows: Mapping[str, Any], advice: str
):
    one = desk(given_rows)
    before = one.db.state_hash()
    with pytest.raises(ToolError, match=re.escape(advice)):
        one.run(name, arguments)
    assert one.db.state_hash() == before


def test_every_tool_refuses_something():
    assert {name for name, *_ in REFUSALS} == set(DOMAIN.tool_by_name)


def test_what_is_told_after_money_moved_is_what_the_accounts_then_show():
    one = desk()
    moved = one.run("transfer_money", transfer("A1", "A2", "120.50"))
    paid = one.run("pay_payee", pay("A1", "79.50"))
    refunded = one.run("refund_fee", FEE)
    repaid = one.run("repay_loan", REPAY)
    raised = one.run("set_overdraft", {**OVERDRAFT, "limit": "400.00"})
    assert (moved.from_balance, moved.to_balance) == ("1879.50", "5120.50")
    assert (paid.amount, paid.balance) == ("79.50", "1800.00")
    assert (refunded.amount, refunded.balance) == ("20.00", "1820.00")
    assert (repaid.amount, repaid.balance) == ("1001.37", "818.63")
    assert raised.available == "1218.63"
    assert one.run("list_accounts", {"customer_id": "C1"})[0] == raised
    assert one.run("list_loans", {"customer_id": "C1"}) == []


def test_a_payoff_counts_interest_by_the_day_and_a_fee_while_many_instalments_are_left():
    loan: Loan = rows()["L1"]
    assert payoff_cents(loan) == (100_000, 137, 0)
    assert payoff_cents(replace(loan, due_day=17)) == (100_000, 0, 0)
    assert payoff_cents(replace(loan, due_day=18)) == (100_000, 411, 0)
    assert payoff_cents(replace(loan, num_left=13)) == (100_000, 137, 1_000)
    quote = desk({"L1": {"num_left": 13}}).run("quote_payoff", {"loan_id": "L1"})
    assert (quote.principal, quote.interest, quote.early_fee, quote.total) == ("1000.00", "1.37", "10.00", "1011.37")


def test_small_claims_are_credited_at_once_and_large_ones_are_not():
    small, large = desk({"T1": {"cents": 10_000}}), desk({"T1": {"cents": 10_001}})
    claim = small.run("dispute_payment", dispute("not recognised"))
    assert (claim.credited, claim.decision_by) == ("100.00", "2026-09-27")
    assert small.db.accounts["A1"].balance_cents == 210_000
    assert large.run("dispute_payment", dispute("wrong amount")).credited == "0.00"
    assert large.db.accounts["A1"].balance_cents == 200_000
    assert "claim open" in {row.state for row in large.run("list_transactions", {"account_id": "A1"})}


def test_a_replaced_card_makes_way_for_a_new_one_with_other_digits():
    one = desk({"K1": {"digits": "2259"}})
    sent = one.run("replace_card", {"card_id": "K2"})
    cards = one.run("get_customer", {"customer_id": "C1"}).cards
    assert sent.arrives == "2026-09-26"
    assert [card.state for card in cards] == ["active", "active"]
    assert len({card.card for card in cards}) == 2
    assert {sent.card} < {card.card for card in cards}


def test_standing_orders_run_after_today():
    assert (next_run(18), next_run(17), next_run(1)) == ("2026-09-18", "2026-10-17", "2026-10-01")
    one = desk()
    made = one.run("create_standing_order", ORDER)
    assert made.first_run == "2026-10-05"
    one.run("cancel_standing_order", {"standing_order_id": "S1"})
    assert [row.standing_order_id for row in one.run("list_standing_orders", {"customer_id": "C1"})] == [
        made.standing_order_id
    ]


def ids(*names: str) -> st.SearchStrategy[str]:
    return st.sampled_from(names)


AMOUNTS = st.integers(1, 400_000).map(money)
WRITES = st.one_of(
    st.tuples(
        st.just("transfer_money"),
        st.fixed_dictionaries(
            {"from_account_id": ids("A1", "A2", "A3", "A4"), "to_account_id": ids("A1", "A2", "A3"), "amount": AMOUNTS}
        ),
    ),
    st.tuples(
        st.just("pay_payee"),
        st.fixed_dictionaries({"account_id": ids("A1", "A2", "A3"), "payee_id": ids("P1"), "amount": AMOUNTS}),
    ),
    st.tuples(
        st.just("dispute_payment"),
        st.fixed_dictionaries({"transaction_id": ids("T1", "T8", "T9"), "reason": ids(*CLAIM_REASONS)}),
    ),
    st.tuples(st.just("refund_fee"), st.fixed_dictionaries({"transaction_id": ids("T2", "T1")})),
    st.tuples(
        st.just("repay_loan"),
        st.fixed_dictionaries({"loan_id": ids("L1"), "account_id": ids("A1", "A2", "A3")}),
    ),
    st.tuples(st.just("set_overdraft"), st.fixed_dictionaries({"account_id": ids("A1", "A3"), "limit": AMOUNTS})),
    st.tuples(st.just("block_card"), st.fixed_dictionaries({"card_id": ids("K1"), "reason": ids(*BLOCK_REASONS)})),
)
EXTRA = {"T8": entry("card payment", 3_000, 40), "T9": entry("card payment", 20_000, 40)}


def flows(db: BankDB, kinds: set[str]) -> int:
    """Cents that came from outside less those that went there today, by these kinds of transaction."""
    today = [row for row in db.transactions if row.day == ago(0) and row.kind in kinds and not row.pending]
    return sum(row.cents for row in today if not row.from_id) - sum(row.cents for row in today if not row.to_id)


@settings(max_examples=60)
@given(calls=st.lists(WRITES, max_size=8))
def test_money_is_conserved_by_every_run_of_calls(calls: list[tuple[str, Arguments]]):
    one = desk(EXTRA)
    names = ("A1", "A2", "A3", "A4")
    before = {name: one.db.accounts[name].balance_cents for name in names}
    known = {row.id for row in one.db.transactions}
    for name, arguments in calls:
        total = sum(one.db.accounts[row].balance_cents for row in names)
        try:
            one.run(name, arguments)
        except ToolError:
            continue
        if name in ("transfer_money", "set_overdraft", "block_card"):
            assert sum(one.db.accounts[row].balance_cents for row in names) == total
    moved: Counter[str] = Counter()
    for row in one.db.transactions:
        if row.id not in known:
            moved[row.from_id] -= row.cents
            moved[row.to_id] += row.cents
    assert {name: one.db.accounts[name].balance_cents - before[name] for name in names} == {
        name: moved[name] for name in names
    }
    assert sum(moved.values()) == 0
    for name in names:
        row = one.db.accounts[name]
        assert row.balance_cents >= -max(row.overdraft_cents, 0)


@settings(max_examples=60)
@given(first=WRITES, second=WRITES)
def test_the_order_of_two_writes_leaves_no_trace(first: tuple[str, Arguments], second: tuple[str, Arguments]):
    def after(*calls: tuple[str, Arguments]) -> str | None:
        one = desk(EXTRA)
        try:
            for name, arguments in calls:
                one.run(name, arguments)
        except ToolError:
            return None
        return one.db.state_hash()

    touched = [
        {call[1].get(key) for key in ("transaction_id", "loan_id", "card_id")} - {None} for call in (first, second)
    ]
    there, back = after(first, second), after(second, first)
    if there and back and not touched[0] & touched[1] and "set_overdraft" not in (first[0], second[0]):
        assert there == back


@given(cents=st.integers(1, 99_999_999_999))
def test_an_amount_is_read_as_it_is_written(cents: int):
    assert cents_of(money(cents)) == cents
    assert cents_of(f"${cents // 100:,}.{cents % 100:02d}") == cents


@pytest.mark.parametrize(
    "text", ["", "0", "0.00", "-5.00", "5.1", "5.123", "1e5", "five", "1,00.00", "٣.٠٠", "9" * 40, "."]
)
def test_what_is_no_amount_above_zero_is_not_read(text: str):
    assert cents_of(text) is None


@pytest.mark.parametrize("text", ["1984-03-12", "March 12, 1984", "12 March 1984", " march 12 1984 "])
def test_a_day_is_read_in_the_ways_people_write_it(text: str):
    assert day_of(text) == "1984-03-12"
    assert day_of(text.replace("12", "32")) is None


@pytest.mark.parametrize("size", [1, 2, 50, 3000])
def test_data_has_the_size_asked_for_and_every_balance_is_explained(size: int):
    db = BankDB(DOMAIN.generate(DataSpec(seed=2, size=size, split="test")))
    booked: Counter[str] = Counter()
    for row in db.transactions:
        assert row.cents > 0
        assert row.from_id != row.to_id
        assert row.day <= TODAY.isoformat()
        if not row.pending:
            booked[row.from_id] -= row.cents
            booked[row.to_id] += row.cents
    assert len(db.accounts) == size
    assert len(db.transactions) <= 6 * size + 10
    held: Counter[str] = Counter()
    for customer in db.customers:
        held.update(customer.accounts)
        labels = [account.label for account in db.accounts_of(customer.id)]
        cards = [card.label for card in db.cards.where("customer_id", customer.id)]
        payees = [payee.name for payee in db.payees.where("customer_id", customer.id)]
        assert all(len(set(said)) == len(said) for said in (labels, cards, payees))
        assert {loan.kind for loan in db.loans.where("customer_id", customer.id)} <= {
            "personal loan",
            "car loan",
            "home loan",
        }
    for row in db.accounts:
        assert row.balance_cents == row.carried_cents + booked[row.id]
        assert row.balance_cents >= -row.overdraft_cents
        assert held[row.id] == len(row.holders) == (1 if row.mandate == "single" else 2)
    people = list(db.customers)
    assert len({(one.name, one.born) for one in people}) == len({one.number for one in people}) == len(people)


def test_splits_share_no_person_merchant_payee_employer_or_id():
    def words(split: str) -> set[str]:
        base = DOMAIN.generate(DataSpec(seed=1, size=900, split=split))  # type: ignore[arg-type]
        db = BankDB(base)
        found = {row.id for name in base.tables for row in base.tables[name].values()}
        found |= {word for one in db.customers for word in (one.name, one.email, one.number, *one.name.split())}
        found |= {payee.name for payee in db.payees}
        return found | {row.party for row in db.transactions if row.kind in ("card payment", "salary", "payment")}

    assert not words("train") & words("test")


def test_candidates_are_told_apart_by_all_that_is_known():
    db = DOMAIN.open(DataSpec(seed=5, size=400, split="train"))
    for customer in islice(db.customers, 60):  # type: ignore[attr-defined]
        for candidates in (transfers, disputes):
            found = list(candidates(db, customer.id))  # type: ignore[arg-type]
            assert len({tuple(sorted(one.slots.items())) for one in found}) == len(found)


def test_a_refusal_without_its_reason_is_not_taken_for_one_with_it():
    db = DOMAIN.open(DataSpec(seed=5, size=300, split="train"))
    for wish in DOMAIN.wishes:
        rules = [rule for rule in DOMAIN.rules if wish.tool in rule.tools and rule.clause not in CLOSED]
        for caller in DOMAIN.callers.ids(db)[:60]:
            for candidate in islice(wish.candidates(db, caller), 20):
                said = f"I am sorry, I can't {wish.proposal.format(**candidate.slots)}."
                assert not [rule.clause for rule in rules if refuses(said, rule.cues)], said


def test_every_clause_that_forbids_a_wish_becomes_an_infeasible_task():
    wanted, refused = {rule.clause for rule in DOMAIN.rules} - set(CLOSED), set[str]()
    data = DataSpec(seed=1, size=300, split="train")
    for walk in explore(DOMAIN, data, 400, max_steps=8, blocked_share=1.0, seed=0, coverage=Coverage()):
        if walk.blocked and walk.blocked.clause and walk.blocked.clause not in refused:
            rng = random.Random(walk.id)
            task = write_task(Intent.INFEASIBLE, Scene(DOMAIN, walk, rng), "train", rng)
            assert task.expectation.refusal and task.expectation.refusal.clause == walk.blocked.clause
            if not prove(DOMAIN, task):
                refused.add(walk.blocked.clause)
        if refused == wanted:
            break
    assert refused == wanted


def test_every_wish_is_reached_and_every_intent_is_proved():
    data = DataSpec(seed=3, size=120, split="test")
    coverage = Coverage()
    walks = list(explore(DOMAIN, data, 150, max_steps=8, blocked_share=0.3, seed=0, coverage=coverage))
    assert set(coverage.goals) == {wish.tool for wish in DOMAIN.wishes}
    proved: Counter[Intent] = Counter()
    for walk in walks[:80]:
        for intent in Intent:
            rng = random.Random(walk.id)
            try:
                task = write_task(intent, Scene(DOMAIN, walk, rng), "test", rng)
            except Unsuitable:
                continue
            proved[task.intent] += not prove(DOMAIN, task)
            assert "Also, i'" not in task.scenario.opening
    assert proved[Intent.GENERAL] >= 50
    assert min(proved[intent] for intent in Intent) >= 15


def test_the_policy_quotes_the_numbers_that_code_checks():
    assert f"Today is {TODAY.isoformat()}" in DOMAIN.policy
    for cents in (
        DAILY_PAYMENTS_CENTS,
        YOUTH_DAILY_PAYMENTS_CENTS,
        FRESH_PAYEE_CENTS,
        ONE_HOLDER_CENTS,
        SAVINGS_MINIMUM_CENTS,
        CARD_LIMIT_CENTS,
        YOUTH_CARD_LIMIT_CENTS,
        FEE_REFUND_CENTS,
        MONTHLY_ORDERS_CENTS,
    ):
        assert money(cents) in DOMAIN.policy
    assert all(f"{reason} {days}" in DOMAIN.policy for reason, days in CLAIM_DAYS.items())
    assert len(DOMAIN.policy.split()) < 750
