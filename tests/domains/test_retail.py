"""Retail: each rule has a call that breaks it and one that does not; tools refuse with advice; data scales."""

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any, NamedTuple

import pytest
from meant import never_met, never_near, undone

from t2t.domain.environment import Environment
from t2t.domain.rule import RuleContext
from t2t.domains.retail import DOMAIN
from t2t.domains.retail.candidates import orders_to_total, returns, spoken_day
from t2t.domains.retail.schema import (
    MAX_GIFT_CARD_REFUND_CENTS,
    MAX_NOTE_CHARACTERS,
    RETURN_DAYS,
    TODAY,
    Address,
    AddressId,
    Email,
    FullName,
    Item,
    ItemId,
    Line,
    Order,
    OrderId,
    Payment,
    PaymentId,
    Product,
    ProductId,
    RetailDB,
    User,
    UserId,
    ZipCode,
    money,
)
from t2t.errors import ToolError
from t2t.records import Arguments, DataSpec, Split, ToolCall
from t2t.verify.probe import try_call

DATA = DataSpec(seed=0, size=60, split="train")
NOTHING: Mapping[str, Any] = {}


def ago(days: int) -> str:
    return (TODAY - timedelta(days=days)).isoformat()


class Shop(NamedTuple):
    """An environment with one customer, Ann, whose order R1 holds the item I1 of the product P1."""

    environment: Environment
    db: RetailDB

    def run(self, name: str, arguments: Arguments) -> Any:
        return self.environment.run(ToolCall(id="c", name=name, arguments=arguments), confirmed=True).value

    def clauses(self, name: str, arguments: Arguments, confirmed: bool | None = True) -> set[str]:
        call = ToolCall(id="c", name=name, arguments=arguments)
        return {rule.clause for rule in self.environment.breaks(call, confirmed)}


def shop(
    user: Mapping[str, Any] = NOTHING,
    order: Mapping[str, Any] = NOTHING,
    product: Mapping[str, Any] = NOTHING,
    items: Mapping[str, int] = NOTHING,
    *,
    identify: bool = True,
) -> Shop:
    """Ann, gold member, with a card, a gift card and a wallet; R1 is delivered and all is well with it."""
    environment = Environment(DOMAIN, DATA)
    db = environment.db
    assert isinstance(db, RetailDB)
    ids = (ItemId("I1"), ItemId("I2"), ItemId("I3"))
    row = Product(ProductId("P1"), "Acme", "lamp", "home", final_sale=False, made_to_order=False, items=ids)
    db.products.put(replace(row, **product))
    for item_id, options in zip(ids, (("black",), ("white",), ("red",)), strict=True):
        stock = 0 if item_id == "I3" else 5
        db.items.put(Item(item_id, row.id, options, 1, items.get(item_id, 4000), stock))
    places = (("A1", "home", "United States"), ("A2", "work", "United States"), ("A3", "family", "Canada"))
    ann = User(
        UserId("U1"),
        FullName("Ann Lee"),
        Email("ann@shop.test"),
        ZipCode("12345"),
        "gold",
        tuple(Address(AddressId(i), label, f"{i} Row", "Farholt", "12345", country) for i, label, country in places),  # type: ignore[arg-type]
        AddressId("A1"),
        (
            Payment(PaymentId("C1"), "card", "Visa ending in 1111", 0),
            Payment(PaymentId("C2"), "gift_card", "gift card ending in 2222", 5000),
            Payment(PaymentId("C3"), "wallet", "Tapwell wallet", 0),
        ),
        ago(400),
    )
    ann = replace(ann, **user)
    db.users.put(ann)
    good = Order(
        OrderId("R1"),
        ann.id,
        "delivered",
        ago(9),
        ago(5),
        express=False,
        address=ann.addresses[0].line,
        lines=(Line(ids[0], 4000),),
        payment_id=PaymentId("C1"),
    )
    db.orders.put(replace(good, **order))
    found = Shop(environment, db)
    if identify:
        found.run("find_user_by_email", {"email": ann.email})
    return found


PENDING = {"status": "pending", "ordered": ago(1), "delivery": ago(-4)}
CANCEL: Arguments = {"order_id": "R1", "reason": "ordered twice"}
RETURN: Arguments = {"order_id": "R1", "item_ids": ["I1"], "refund_to": "C1"}
EXCHANGE: Arguments = {"order_id": "R1", "item_id": "I1", "new_item_id": "I2", "payment_id": "C1"}
PRICE: Arguments = {"order_id": "R1", "item_id": "I1"}
DEAR = {"lines": (Line(ItemId("I1"), MAX_GIFT_CARD_REFUND_CENTS + 1),)}
CHEAPER = {"I1": 3000}


class Case(NamedTuple):
    """A call that is fine in one shop and breaks one clause in another."""

    clause: str
    tool: str
    arguments: Arguments
    bad: Mapping[str, Any]
    good: Mapping[str, Any] = NOTHING
    bad_arguments: Arguments | None = None


CASES = (
    Case(
        "2.2",
        "cancel_order",
        CANCEL,
        {"order": {**PENDING, "ordered": ago(8)}},
        {"order": {**PENDING, "ordered": ago(7)}},
    ),
    Case(
        "2.2",
        "cancel_order",
        CANCEL,
        {"order": {**PENDING, "ordered": ago(4)}, "user": {"tier": "silver"}},
        {"order": {**PENDING, "ordered": ago(3)}, "user": {"tier": "silver"}},
    ),
    Case("2.3", "cancel_order", CANCEL, {"order": PENDING, "product": {"made_to_order": True}}, {"order": PENDING}),
    Case("3.2", "return_items", RETURN, {"order": {"delivery": ago(31)}}, {"order": {"delivery": ago(30)}}),
    Case(
        "3.2",
        "exchange_item",
        EXCHANGE,
        {"order": {"delivery": ago(15)}, "product": {"category": "electronics"}},
        {"order": {"delivery": ago(60)}, "product": {"category": "clothing"}},
    ),
    Case("3.3", "return_items", RETURN, {"product": {"final_sale": True}}),
    Case("3.3", "exchange_item", EXCHANGE, {"product": {"final_sale": True}}),
    Case("3.4", "return_items", RETURN, {"product": {"category": "care"}}),
    Case("3.5", "return_items", {**RETURN, "refund_to": "C2"}, {}, bad_arguments={**RETURN, "refund_to": "C3"}),
    Case("3.6", "return_items", {**RETURN, "refund_to": "C2"}, {"order": DEAR}),
    Case("4.2", "exchange_item", EXCHANGE, {"order": {"exchanged": True}}),
    Case("4.3", "exchange_item", EXCHANGE, {"product": {"made_to_order": True}}),
    Case("5.2", "change_order_item", EXCHANGE, {"order": {**PENDING, "changed": True}}, {"order": PENDING}),
    Case(
        "5.3",
        "change_order_address",
        {"order_id": "R1", "address_id": "A2"},
        {"order": PENDING},
        {"order": PENDING},
        {"order_id": "R1", "address_id": "A3"},
    ),
    Case(
        "5.4",
        "change_order_address",
        {"order_id": "R1", "address_id": "A2"},
        {"order": {**PENDING, "express": True}},
        {"order": PENDING},
    ),
    Case(
        "5.5",
        "change_order_payment",
        {"order_id": "R1", "payment_id": "C3"},
        {"order": {**PENDING, "payment_id": PaymentId("C2")}},
        {"order": PENDING},
    ),
    Case(
        "5.6",
        "set_gift_note",
        {"order_id": "R1", "note": "x" * MAX_NOTE_CHARACTERS},
        {"order": PENDING},
        {"order": PENDING},
        {"order_id": "R1", "note": "x" * (MAX_NOTE_CHARACTERS + 1)},
    ),
    Case(
        "6.2",
        "refund_price_drop",
        PRICE,
        {"order": {"ordered": ago(15)}, "items": CHEAPER},
        {"order": {"ordered": ago(14)}, "items": CHEAPER},
    ),
    Case("6.3", "refund_price_drop", PRICE, {"order": {"price_protected": True}, "items": CHEAPER}, {"items": CHEAPER}),
    Case("6.4", "refund_price_drop", PRICE, {"product": {"final_sale": True}, "items": CHEAPER}, {"items": CHEAPER}),
    Case("7.1", "set_default_address", {"user_id": "U1", "address_id": "A2"}, {"order": {"status": "processed"}}),
    Case(
        "7.2",
        "update_email",
        {"user_id": "U1", "new_email": "lee@shop.test"},
        {"user": {"email_changed": ago(89)}},
        {"user": {"email_changed": ago(90)}},
    ),
    Case(
        "7.3",
        "add_address",
        {"user_id": "U1", "label": "work", "address": "1 Row, Farholt 12345, Mexico"},
        {},
        bad_arguments={"user_id": "U1", "label": "work", "address": "1 Row, Oslo 12345, Norway"},
    ),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.clause}-{case.tool}")
def test_a_rule_forbids_one_call_and_lets_its_twin_pass(case: Case):
    good, bad = shop(**case.good), shop(**case.bad)
    assert good.clauses(case.tool, case.arguments) == set()
    good.run(case.tool, case.arguments)
    arguments = case.bad_arguments or case.arguments
    assert bad.clauses(case.tool, arguments) == {case.clause}
    bad.run(case.tool, arguments)  # no tool enforces it


def test_every_rule_is_tested():
    elsewhere = {"1.1", "1.2", "1.3", "1.5", "3.7"}
    assert {case.clause for case in CASES} | elsewhere == {rule.clause for rule in DOMAIN.rules}


def test_3_7_looks_at_the_other_orders_of_basic_members_only():
    def with_open_returns(tier: str, count: int) -> set[str]:
        found = shop({"tier": tier})
        row = found.db.orders["R1"]
        for number in range(count):
            line = Line(ItemId("I2"), 4000, "returned")
            found.db.orders.put(replace(row, id=OrderId(f"R1{number}"), ordered=ago(20 + number), lines=(line,)))
        return found.clauses("return_items", RETURN)

    assert with_open_returns("basic", 1) == {"3.7"}
    assert with_open_returns("basic", 0) == set()
    assert with_open_returns("silver", 2) == set()


class Edge(NamedTuple):
    """A call that is near a clause in one shop, and farther from it in another."""

    clause: str
    tool: str
    arguments: Arguments
    near: Mapping[str, Any]
    far: Mapping[str, Any] = NOTHING
    other: Mapping[str, Any] | None = None
    """In the near shop, fields of a second order R2 of the item J1."""
    neighbour: Mapping[str, Any] | None = None
    """In the near shop, fields of the product of J1, a second item of R1 unless it is that of R2."""


BASIC = {"tier": "basic"}
RETURNED = {"lines": (Line(ItemId("J1"), 4000, "returned"),)}
MOVE: Arguments = {"order_id": "R1", "address_id": "A2"}
TO_WALLET: Arguments = {"order_id": "R1", "payment_id": "C3"}
TO_GIFT_CARD: Arguments = {**RETURN, "refund_to": "C2"}
NEW_EMAIL: Arguments = {"user_id": "U1", "new_email": "lee@shop.test"}
CHEAP = {"items": CHEAPER}
WAITING = {"order": PENDING}


AT_HOME = tuple(
    Address(AddressId(f"A{number}"), "home", f"{number} Row", "Farholt", "12345", "United States") for number in (1, 2)
)


def placed(days: int, **more: Any) -> Mapping[str, Any]:
    return {"order": {**PENDING, "ordered": ago(days)}, **more}


def came(days: int, category: str = "home") -> Mapping[str, Any]:
    return {"order": {"delivery": ago(days)}, "product": {"category": category}}


def paid(cents: int) -> Mapping[str, Any]:
    return {"order": {"lines": (Line(ItemId("I1"), cents),)}}


def note(length: int) -> Arguments:
    return {"order_id": "R1", "note": "x" * length}


def add_second(found: Shop, other: Mapping[str, Any] | None, neighbour: Mapping[str, Any] | None) -> None:
    """Give Ann a second order, R2, or her order R1 a second item, J1, of another product."""
    row = found.db.orders["R1"]
    line = Line(ItemId("J1"), 2000)
    product = Product(
        ProductId("P2"), "Acme", "desk", "home", final_sale=False, made_to_order=False, items=(line.item_id,)
    )
    found.db.products.put(replace(product, **(neighbour or {})))
    found.db.items.put(Item(line.item_id, product.id, ("black",), 1, 1000, 5))
    if other is not None:
        found.db.orders.put(replace(row, **{"id": OrderId("R2"), "ordered": ago(6), "lines": (line,), **other}))
    elif neighbour is not None:
        found.db.orders.put(replace(row, lines=(*row.lines, line)))


EDGES = (
    Edge("2.2", "cancel_order", CANCEL, placed(4), placed(3)),
    Edge("2.2", "cancel_order", CANCEL, placed(3, user=BASIC), placed(2, user=BASIC)),
    Edge("2.3", "cancel_order", CANCEL, WAITING, WAITING, other={}, neighbour={"made_to_order": True}),
    Edge("3.2", "return_items", RETURN, came(30), came(22)),
    Edge("3.2", "exchange_item", EXCHANGE, came(11, "electronics"), came(10, "electronics")),
    Edge("3.2", "return_items", RETURN, came(46, "clothing"), came(45, "clothing")),
    Edge("3.3", "return_items", RETURN, {}, {}, neighbour={"final_sale": True}),
    Edge("3.4", "exchange_item", EXCHANGE, {}, {}, neighbour={"category": "care"}),
    Edge("3.5", "return_items", TO_GIFT_CARD, {}, {"order": {"payment_id": PaymentId("C2")}}),
    Edge("3.6", "return_items", TO_GIFT_CARD, paid(MAX_GIFT_CARD_REFUND_CENTS), paid(18750)),
    Edge("3.7", "return_items", RETURN, {"user": {"tier": "silver"}}, {"user": {"tier": "silver"}}, other=RETURNED),
    Edge(
        "3.7", "return_items", RETURN, {"user": BASIC, "order": {"lines": (Line(ItemId("I1"), 9), *RETURNED["lines"])}}
    ),
    Edge("4.2", "exchange_item", EXCHANGE, {}, {}, other={"exchanged": True}),
    Edge("4.3", "exchange_item", EXCHANGE, {}, {}, neighbour={"made_to_order": True}),
    Edge("5.2", "change_order_item", EXCHANGE, WAITING, WAITING, other={"changed": True}),
    Edge("5.3", "change_order_address", MOVE, WAITING, {**WAITING, "user": {"addresses": AT_HOME}}),
    Edge("5.4", "change_order_address", MOVE, WAITING, WAITING, other={"express": True}),
    Edge("5.5", "change_order_payment", TO_WALLET, WAITING, WAITING, other={"payment_id": PaymentId("C2")}),
    Edge("5.6", "set_gift_note", note(60), WAITING),
    Edge("5.6", "set_gift_note", note(46), WAITING),
    Edge(
        "6.2",
        "refund_price_drop",
        PRICE,
        {**CHEAP, "order": {"ordered": ago(11)}},
        {**CHEAP, "order": {"ordered": ago(10)}},
    ),
    Edge("6.3", "refund_price_drop", PRICE, CHEAP, CHEAP, other={"price_protected": True}),
    Edge("6.4", "refund_price_drop", PRICE, CHEAP, CHEAP, neighbour={"final_sale": True}),
    Edge("7.1", "set_default_address", {"user_id": "U1", "address_id": "A2"}, {"order": {"status": "shipped"}}),
    Edge(
        "7.2", "update_email", NEW_EMAIL, {"user": {"email_changed": ago(120)}}, {"user": {"email_changed": ago(121)}}
    ),
    Edge(
        "7.3",
        "add_address",
        {"user_id": "U1", "label": "work", "address": "1 Row, Farholt 12345, Mexico"},
        {},
        {"user": {"addresses": (Address(AddressId("A1"), "home", "1 Row", "Farholt", "12345", "Mexico"),)}},
    ),
)


def is_near(found: Shop, clause: str, tool: str, arguments: Arguments) -> bool:
    (rule,) = (rule for rule in DOMAIN.rules if rule.clause == clause)
    assert rule.near is not None
    call = ToolCall(id="c", name=tool, arguments=arguments)
    return rule.near(RuleContext(found.db, call, found.environment.past, None))


@pytest.mark.parametrize("edge", EDGES, ids=lambda edge: f"{edge.clause}-{edge.tool}")
def test_a_call_is_near_a_clause_that_a_small_change_would_break(edge: Edge):
    near, far = shop(**edge.near), shop(**edge.far)
    add_second(near, edge.other, edge.neighbour)
    assert is_near(near, edge.clause, edge.tool, edge.arguments)
    assert near.clauses(edge.tool, edge.arguments) == set()
    near.run(edge.tool, edge.arguments)
    assert not is_near(far, edge.clause, edge.tool, edge.arguments)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.clause}-{case.tool}")
def test_a_call_that_breaks_a_clause_is_not_near_it(case: Case):
    bad = shop(**case.bad)
    assert not is_near(bad, case.clause, case.tool, case.bad_arguments or case.arguments)


def test_every_clause_that_forbids_a_wish_has_a_near_call():
    assert {edge.clause for edge in EDGES} == {rule.clause for rule in DOMAIN.rules if rule.near is not None}
    assert {rule.clause for rule in DOMAIN.rules if rule.near is None} == {"1.1", "1.2", "1.3", "1.5"}


@pytest.mark.parametrize("split", ["train", "test"])
def test_callers_get_near_every_clause_and_meet_every_constraint(split: Split):
    assert never_near(DOMAIN, split) == set()
    assert never_met(DOMAIN, split) == set()


@pytest.mark.parametrize("split", ["train", "test"])
def test_what_is_undone_is_as_it_was(split: Split):
    found = undone(DOMAIN, split)
    assert {tool for tool, _, _ in found} == {"change_order_address", "change_order_payment"}
    assert all(before == after for _, before, after in found)


def test_what_is_cancelled_or_returned_in_the_talk_itself_is_not_asked_for_again():
    def meant(found: Shop, tool: str) -> list[Arguments]:
        return [candidate.arguments for candidate in DOMAIN.wish_by_tool[tool].candidates(found.db, "U1")]

    waiting, delivered = shop(order=PENDING), shop()
    assert meant(waiting, "cancel_order")
    assert RETURN in meant(delivered, "return_items")
    waiting.run("cancel_order", CANCEL)
    delivered.run("return_items", RETURN)
    assert meant(waiting, "cancel_order") == meant(delivered, "return_items") == []


def test_an_order_cancelled_and_an_item_returned_before_the_talk_can_be_meant_and_are_refused():
    environment = Environment(DOMAIN, DataSpec(seed=0, size=400, split="train"))
    refusals: set[str] = set()
    for caller in DOMAIN.callers.ids(environment.db):
        for tool in ("cancel_order", "return_items"):
            for candidate in DOMAIN.wish_by_tool[tool].candidates(environment.db, caller):
                call = ToolCall(id="c", name=tool, arguments=candidate.arguments)
                refusal = try_call(environment, call).refusal
                refusals |= {one.name for one in DOMAIN.constraints if tool in one.tools and one.says in refusal}
    assert refusals == {"order processed", "order shipped", "order cancelled", "item returned"}


def test_a_constraint_is_told_in_words_that_count_as_a_refusal():
    for constraint in DOMAIN.constraints:
        assert any(cue in constraint.reason for cue in constraint.cues)
        assert all(cue == cue.lower() for cue in constraint.cues)


def test_1_1_accounts_are_closed_until_the_caller_is_found_and_the_catalogue_is_open():
    found = shop(identify=False)
    assert found.clauses("get_order", {"order_id": "R1"}) == {"1.1"}
    assert found.clauses("get_user", {"user_id": "U1"}) == {"1.1"}
    assert found.clauses("get_product", {"product_id": "P1"}) == set()
    found.run("find_user_by_name_zip", {"name": "Ann Lee", "zip_code": "12345"})
    assert found.clauses("get_order", {"order_id": "R1"}) == set()


def test_1_2_and_1_3_keep_to_one_customer():
    found = shop()
    other = next(row for row in found.db.users if row.id != "U1")
    theirs = found.db.orders.where("user_id", other.id)[0]
    assert found.clauses("get_order", {"order_id": theirs.id}) == {"1.2"}
    assert found.clauses("list_orders", {"user_id": other.id}) == {"1.2"}
    assert found.clauses("find_user_by_email", {"email": other.email}) == {"1.3"}
    assert found.clauses("find_user_by_name_zip", {"name": other.name, "zip_code": other.zip_code}) == {"1.3"}
    assert found.clauses("find_user_by_email", {"email": "ann@shop.test"}) == set()


@pytest.mark.parametrize("name", [tool.name for tool in DOMAIN.tools if tool.writes])
def test_1_5_every_write_needs_a_yes(name: str):
    rule = next(rule for rule in DOMAIN.rules if rule.clause == "1.5")
    assert name in rule.tools
    found = shop()
    assert found.clauses("return_items", RETURN, confirmed=False) == {"1.5"}
    assert found.clauses("return_items", RETURN, confirmed=None) == set()


def test_a_rule_is_silent_where_the_backend_refuses_anyway():
    delivered = shop(order={"ordered": ago(40)}, product={"made_to_order": True})
    assert delivered.clauses("cancel_order", CANCEL) == set()
    out_of_stock = shop(product={"final_sale": True})
    assert out_of_stock.clauses("exchange_item", {**EXCHANGE, "new_item_id": "I3"}) == set()
    assert shop(product={"final_sale": True}).clauses("refund_price_drop", PRICE) == set()


REFUSALS: tuple[tuple[str, Arguments, Mapping[str, Any], str], ...] = (
    ("find_user_by_email", {"email": "x@y.z"}, {}, "ask the caller"),
    ("find_user_by_name_zip", {"name": "Ann Lee", "zip_code": "99999"}, {}, "zip code"),
    ("get_user", {"user_id": "U0"}, {}, "find_user_by_email"),
    ("list_orders", {"user_id": "U0"}, {}, "find_user_by_email"),
    ("get_order", {"order_id": "R0"}, {}, "list_orders"),
    ("get_product", {"product_id": "P0"}, {}, "search_products"),
    ("track_order", {"order_id": "R1"}, {"order": {"status": "cancelled", "delivery": ""}}, "will not be delivered"),
    ("quote_return", {"order_id": "R1", "item_ids": ["I1"]}, {"order": PENDING}, "only delivered orders"),
    ("quote_return", {"order_id": "R1", "item_ids": []}, {}, "at least one item"),
    ("quote_swap", {"order_id": "R1", "item_id": "I1", "new_item_id": "I9"}, {}, "get_product P1"),
    ("get_gift_card", {"user_id": "U1", "payment_id": "C1"}, {}, "not a gift card"),
    ("get_gift_card", {"user_id": "U1", "payment_id": "C9"}, {}, "C1, C2, C3"),
    ("cancel_order", CANCEL, {}, "only pending orders can be cancelled"),
    ("cancel_order", {**CANCEL, "reason": "bored"}, {"order": PENDING}, "reason"),
    ("return_items", RETURN, {"order": {"status": "shipped"}}, "only delivered orders"),
    ("return_items", RETURN, {"order": {"lines": (Line(ItemId("I1"), 1, "returned"),)}}, "returned already"),
    ("return_items", {**RETURN, "item_ids": ["I2"]}, {}, "its items are I1"),
    ("return_items", {**RETURN, "item_ids": ["I1", "I1"]}, {}, "each item once"),
    ("return_items", {**RETURN, "refund_to": "C9"}, {}, "C1, C2, C3"),
    ("exchange_item", EXCHANGE, {"order": PENDING}, "change_order_item"),
    ("exchange_item", {**EXCHANGE, "new_item_id": "I1"}, {}, "another variant"),
    ("exchange_item", {**EXCHANGE, "new_item_id": "I3"}, {}, "out of stock"),
    ("exchange_item", {**EXCHANGE, "payment_id": "C2"}, {"items": {"I2": 9001}}, "holds 50.00, not 50.01"),
    ("change_order_item", EXCHANGE, {}, "exchange_item serves delivered"),
    ("change_order_address", {"order_id": "R1", "address_id": "A2"}, {}, "only pending orders"),
    ("change_order_address", {"order_id": "R1", "address_id": "A1"}, {"order": PENDING}, "already"),
    ("change_order_address", {"order_id": "R1", "address_id": "A9"}, {"order": PENDING}, "add_address"),
    ("change_order_payment", {"order_id": "R1", "payment_id": "C1"}, {"order": PENDING}, "already"),
    ("set_gift_note", {"order_id": "R1", "note": "Hi"}, {}, "pending or processed"),
    ("set_gift_note", {"order_id": "R1", "note": " "}, {"order": PENDING}, "empty"),
    ("refund_price_drop", PRICE, {}, "nothing to refund"),
    ("set_default_address", {"user_id": "U1", "address_id": "A1"}, {}, "already"),
    (
        "add_address",
        {"user_id": "U1", "label": "home", "address": "A1 Row, Farholt 12345, United States"},
        {},
        "already",
    ),
    ("add_address", {"user_id": "U1", "label": "home", "address": "somewhere"}, {}, "write it like"),
    ("update_email", {"user_id": "U1", "new_email": "ann@shop.test"}, {}, "already"),
    ("update_email", {"user_id": "U1", "new_email": "ann"}, {}, "needs a name"),
)


@pytest.mark.parametrize(("name", "arguments", "given", "advice"), REFUSALS)
def test_a_refused_call_gives_advice_and_changes_nothing(
    name: str, arguments: Arguments, given: Mapping[str, Any], advice: str
):
    found = shop(**given)
    before = found.db.state_hash()
    with pytest.raises(ToolError, match=re.escape(advice)):
        found.run(name, arguments)
    assert found.db.state_hash() == before


def test_every_tool_refuses_something():
    assert {name for name, *_ in REFUSALS} | {"search_products"} == set(DOMAIN.tool_by_name)


def test_money_of_a_return_is_fee_less_for_members_with_a_tier_and_reaches_gift_cards():
    gold, basic = shop(), shop({"tier": "basic"})
    to_gift_card: Arguments = {**RETURN, "refund_to": "C2"}
    assert basic.run("quote_return", {"order_id": "R1", "item_ids": ["I1"]}).refund == "36.00"
    assert gold.run("return_items", to_gift_card).refunded == "40.00"
    assert basic.run("return_items", to_gift_card).refunded == "36.00"
    balance = {"user_id": "U1", "payment_id": "C2"}
    assert gold.run("get_gift_card", dict(balance)).balance == "90.00"
    assert basic.run("get_gift_card", dict(balance)).balance == "86.00"


def test_an_exchange_charges_the_difference_and_takes_the_item_from_stock():
    found = shop(items={"I2": 4525})
    quote = found.run("quote_swap", {"order_id": "R1", "item_id": "I1", "new_item_id": "I2"})
    done = found.run("exchange_item", {**EXCHANGE, "payment_id": "C2"})
    assert (quote.to_pay, done.to_pay, done.refund) == ("5.25", "5.25", "0.00")
    assert found.run("get_gift_card", {"user_id": "U1", "payment_id": "C2"}).balance == "44.75"
    assert found.db.items["I2"].stock == 4
    assert found.db.orders["R1"].exchanged
    assert found.clauses("exchange_item", {**EXCHANGE, "item_id": "I2", "new_item_id": "I1"}) == set()


def test_a_price_refund_is_paid_once():
    found = shop(items=CHEAPER)
    assert found.run("refund_price_drop", PRICE).refunded == "10.00"
    with pytest.raises(ToolError, match="nothing to refund"):
        found.run("refund_price_drop", PRICE)


def test_writes_reach_the_rows_they_name():
    found = shop(order=PENDING)
    found.run("change_order_address", {"order_id": "R1", "address_id": "A2"})
    found.run("change_order_payment", {"order_id": "R1", "payment_id": "C2"})
    found.run("set_gift_note", {"order_id": "R1", "note": "Hi Ben"})
    found.run("set_default_address", {"user_id": "U1", "address_id": "A2"})
    added = found.run("add_address", {"user_id": "U1", "label": "work", "address": "7 Row, Farholt 12345, Mexico"})
    found.run("update_email", {"user_id": "U1", "new_email": "Lee@shop.test"})
    order, user = found.run("get_order", {"order_id": "R1"}), found.run("get_user", {"user_id": "U1"})
    assert (order.address, order.paid_with, order.gift_note) == ("A2 Row, Farholt 12345, United States", "C2", "Hi Ben")
    assert user.default_address == "A2"
    assert user.addresses[-1] == added
    assert (user.email, user.email_changed) == ("lee@shop.test", TODAY.isoformat())
    assert found.run("cancel_order", CANCEL).refunded == "40.00"
    assert found.run("get_gift_card", {"user_id": "U1", "payment_id": "C2"}).balance == "50.00"


def test_search_finds_brand_and_kind_in_any_case():
    found = shop()
    assert [hit.product_id for hit in found.run("search_products", {"text": "ACME lamp"})] == ["P1"]
    assert found.run("search_products", {"text": "acme boots"}) == []


def test_splits_share_no_person_place_product_or_id():
    def words(split: str) -> set[str]:
        base = DOMAIN.generate(DataSpec(seed=1, size=600, split=split))  # type: ignore[arg-type]
        db = RetailDB(base)
        found = {row.id for name in base.tables for row in base.tables[name].values()}
        found |= {word for user in db.users for word in (user.name, user.email, user.zip_code, *user.name.split())}
        found |= {address.street.split(" ", 1)[1] for user in db.users for address in user.addresses}
        found |= {address.city for user in db.users for address in user.addresses}
        return found | {word for product in db.products for word in (product.name, product.brand, product.kind)}

    assert not words("train") & words("test")


@pytest.mark.parametrize("size", [1, 50, 3000])
def test_data_has_the_size_asked_for_and_is_sound(size: int):
    db = RetailDB(DOMAIN.generate(DataSpec(seed=2, size=size, split="test")))
    users = list(db.users)
    assert len(db.orders) == size
    assert size / 6 <= len(users) <= size / 2 + 1
    assert len({user.email for user in users}) == len({(user.name, user.zip_code) for user in users}) == len(users)
    for user in users:
        orders = db.orders.where("user_id", user.id)
        assert orders
        assert len({order.ordered for order in orders}) == len(orders)
        assert len({payment.label for payment in user.payments}) == len(user.payments)
        for order in orders:
            assert order.ordered <= TODAY.isoformat()
            assert order.delivery >= order.ordered or order.status == "cancelled"
            assert len({line.item_id for line in order.lines}) == len(order.lines) > 0
            assert order.payment_id in {payment.id for payment in user.payments}
            assert all(db.items[line.item_id].price_cents > 0 < line.price_cents for line in order.lines)
            assert (order.status == "delivered") == (order.delivery != "" and order.delivery <= TODAY.isoformat())


def test_what_is_said_of_an_order_is_true_of_all_orders_it_is_said_of_and_of_no_other():
    db = DOMAIN.open(DataSpec(seed=5, size=400, split="train"))
    assert isinstance(db, RetailDB)
    shared = 0
    for user in db.users:
        told = {candidate.slots["ordered"]: candidate.slots["contains"] for candidate in orders_to_total(db, user.id)}
        kinds = {
            spoken_day(order.ordered): {f"the {db.product_of(line.item_id).kind}" for line in order.lines}
            for order in db.orders.where("user_id", user.id)
        }
        for what in {text for text in told.values() if not text.startswith("just ")}:
            said = {day for day, text in told.items() if text == what}
            assert said == {day for day, names in kinds.items() if what in names}
            shared += len(said) > 1
    assert shared > 10


def test_candidates_of_a_return_are_told_apart_by_all_that_is_known():
    db = DOMAIN.open(DataSpec(seed=5, size=400, split="train"))
    for user in list(db.users)[:40]:  # type: ignore[attr-defined]
        found = list(returns(db, user.id))  # type: ignore[arg-type]
        assert len({tuple(sorted(candidate.slots.items())) for candidate in found}) == len(found)


def test_the_policy_quotes_the_numbers_that_code_checks():
    assert f"Today is {TODAY.isoformat()}" in DOMAIN.policy
    assert all(f"{days} days" in DOMAIN.policy for days in RETURN_DAYS.values())
    assert money(MAX_GIFT_CARD_REFUND_CENTS) in DOMAIN.policy
    assert f"{MAX_NOTE_CHARACTERS} characters" in DOMAIN.policy
    assert len(DOMAIN.policy.split()) < 1100
