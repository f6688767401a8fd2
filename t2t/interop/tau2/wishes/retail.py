"""tau2's retail: what customers want of their orders and addresses, and the clauses that forbid it."""

import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, NewType

import orjson
from pydantic import JsonValue

from t2t.domain.rule import Rule, RuleContext
from t2t.domain.tool import KindedValue
from t2t.domain.wish import Callers, Candidate, Identity, Instruction, Slot, Wish
from t2t.interop.tau2.wishes import ending, split_of
from t2t.records import Arguments, Split

Email = NewType("Email", str)
FirstName = NewType("FirstName", str)
LastName = NewType("LastName", str)
UserId = NewType("UserId", str)
OrderId = NewType("OrderId", str)
ItemId = NewType("ItemId", str)
ProductId = NewType("ProductId", str)
PaymentId = NewType("PaymentId", str)
Address1 = NewType("Address1", str)
Address2 = NewType("Address2", str)
City = NewType("City", str)
State = NewType("State", str)
Country = NewType("Country", str)
Zip = NewType("Zip", str)

KINDS: Mapping[str, Any] = {
    "email": Email,
    "first_name": FirstName,
    "last_name": LastName,
    "user_id": UserId,
    "order_id": OrderId,
    "item_ids": list[ItemId],
    "new_item_ids": list[ItemId],
    "product_id": ProductId,
    "payment_method_id": PaymentId,
    "address1": Address1,
    "address2": Address2,
    "city": City,
    "state": State,
    "country": Country,
    "zip": Zip,
}

HELD_OUT = frozenset(
    "aarav_anderson amelia_silva chen_johnson daiki_johnson daiki_sanchez emma_kovacs fatima_johnson fatima_taylor "
    "isabella_johansson isabella_lopez ivan_hernandez ivan_johnson ivan_khan james_kovacs james_sanchez lei_li "
    "lei_wilson liam_thomas mei_davis mei_kovacs mei_patel mia_garcia noah_ito noah_patel olivia_lopez sofia_hernandez "
    "sofia_li yara_silva yusuf_gonzalez yusuf_hernandez yusuf_li".split()
)
"""Names, as user ids begin with them, of everybody in tau2's official test tasks."""

_FIELDS = {
    "address1": "Address1",
    "address2": "Address2",
    "city": "City",
    "state": "State",
    "country": "Country",
    "zip": "Zip",
}
_STREETS: Mapping[Split, tuple[str, ...]] = {
    "train": ("Alder Court", "Birch Lane", "Canal Street", "Dover Road", "Ferry Street", "Grove Terrace"),
    "test": ("Harbor Walk", "Juniper Way", "Kingsley Drive", "Linden Place", "Mill Road", "Orchard Crescent"),
}
_PLACES: Mapping[Split, tuple[tuple[str, str, str], ...]] = {
    "train": (("Portland", "OR", "97205"), ("Madison", "WI", "53703"), ("Tucson", "AZ", "85701")),
    "test": (("Boise", "ID", "83702"), ("Omaha", "NE", "68102"), ("Tampa", "FL", "33602")),
}
_REASONS = {
    "no longer needed": "it is no longer needed",
    "ordered by mistake": "it was ordered by mistake",
    "found cheaper elsewhere": "I found it cheaper elsewhere",
}
_ALLOWED_REASONS = ("no longer needed", "ordered by mistake")


def harvest(tool_name: str, value: Any) -> Iterator[KindedValue]:
    """Every value of a known kind in what a tool returned."""
    if tool_name.startswith("find_user_id"):
        yield "UserId", str(value)
        return
    if tool_name in ("calculate", "transfer_to_human_agents"):
        return
    read = orjson.loads(value)
    if tool_name == "list_all_product_types":
        yield from (("ProductId", product_id) for product_id in read.values())
        return
    if tool_name == "get_product_details":
        yield from (("ItemId", item_id) for item_id in read["variants"])
        return
    yield "UserId", read["user_id"]
    yield from ((kind, read["address"][field]) for field, kind in _FIELDS.items())
    yield from (("OrderId", order_id) for order_id in read.get("orders", ()))
    yield from (("PaymentId", payment_id) for payment_id in read.get("payment_methods", ()))
    yield from (("PaymentId", payment["payment_method_id"]) for payment in read.get("payment_history", ()))
    for item in read.get("items", ()):
        yield "ItemId", item["item_id"]
        yield "ProductId", item["product_id"]


# What a caller could mean.


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What a caller brings: who they are, and the parts of addresses that are in no order yet."""

    email: Email
    first_name: FirstName
    last_name: LastName
    zip_codes: tuple[Zip, ...]
    address1: tuple[Address1, ...]
    address2: tuple[Address2, ...]
    cities: tuple[City, ...]
    states: tuple[State, ...]
    countries: tuple[Country, ...]


def _knows(db: Any, caller: str, rng: random.Random) -> Knowledge:
    user, new = db.agent.users[caller], _new_addresses(db, caller)
    return Knowledge(
        Email(user.email),
        FirstName(user.name.first_name),
        LastName(user.name.last_name),
        (Zip(user.address.zip), *(Zip(parts["zip"]) for parts in new)),
        tuple(Address1(parts["address1"]) for parts in new),
        tuple(Address2(parts["address2"]) for parts in new),
        tuple(City(parts["city"]) for parts in new),
        tuple(State(parts["state"]) for parts in new),
        tuple(Country(parts["country"]) for parts in new),
    )


def _caller_facts(db: Any, caller: str) -> dict[str, str]:
    user = db.agent.users[caller]
    first, last = user.name.first_name, user.name.last_name
    return {"email": user.email, "first_name": first, "last_name": last, "zip": user.address.zip}


def _ids(db: Any) -> list[str]:
    users = db.agent.users.values()
    return [user.user_id for user in users if user.orders and db.split == split_of(_stem(user.user_id), HELD_OUT)]


def _stem(user_id: str) -> str:
    return user_id.rpartition("_")[0]


def _new_addresses(db: Any, caller: str) -> list[dict[str, str]]:
    """Two addresses that the caller has in mind: with one alone, nobody would have to say it."""
    rng = random.Random(f"tau2.retail/{caller}")
    return [
        {
            "address1": f"{rng.randint(11, 989)} {street}",
            "address2": f"Suite {rng.randint(101, 989)}",
            "city": city,
            "state": state,
            "country": "USA",
            "zip": zip_code,
        }
        for street, (city, state, zip_code) in zip(
            rng.sample(_STREETS[db.split], 2), rng.sample(_PLACES[db.split], 2), strict=True
        )
    ]


def _fields(address: Any) -> dict[str, str]:
    return {name: getattr(address, name) for name in _FIELDS}


def _addresses(db: Any, caller: str) -> list[tuple[dict[str, str], dict[str, str]]]:
    """Addresses that a caller may name: parts and slots; their own, those of their orders, and new ones."""
    user = db.agent.users[caller]
    named = [("my default address", _fields(user.address))]
    for order_id in user.orders:
        named.append((f"the address of my order {order_id}", _fields(db.agent.orders[order_id].address)))
    found: list[tuple[dict[str, str], dict[str, str]]] = []
    for place, parts in named:
        if parts not in [other for other, _ in found]:
            found.append((parts, {"place": place, "address": _spoken_address(parts)}))
    return [*found, *((parts, {"address": _spoken_address(parts)}) for parts in _new_addresses(db, caller))]


def _spoken_address(parts: Mapping[str, str]) -> str:
    street = ", ".join(part for part in (parts["address1"], parts["address2"]) if part)
    return f"{street}, {parts['city']}, {parts['state']} {parts['zip']}"


def _orders(db: Any, caller: str, *statuses: str) -> Iterator[tuple[Any, dict[str, str]]]:
    """Orders of the caller in one of the statuses, with their number and an article that no other order has."""
    orders = [db.agent.orders[order_id] for order_id in db.agent.users[caller].orders]
    holders = Counter(name for order in orders for name in {item.name for item in order.items})
    for order in orders:
        if any(status in order.status for status in statuses):
            slots = {"order": order.order_id}
            telling = next((item.name for item in order.items if holders[item.name] == 1), None)
            if telling:
                slots["contains"] = f"the {_thing(telling)}"
            yield order, slots


def _payments(db: Any, caller: str) -> list[tuple[str, dict[str, str]]]:
    """Payment methods of the caller: id and slots."""
    methods = list(db.agent.users[caller].payment_methods.values())
    kinds = Counter(method.source for method in methods)
    found: list[tuple[str, dict[str, str]]] = []
    for method in methods:
        way = {"credit_card": "credit card", "gift_card": "gift card", "paypal": "PayPal account"}[method.source]
        label = f"{method.brand} ending in {method.last_four}" if method.source == "credit_card" else way
        if method.source != "credit_card" and kinds[method.source] > 1:
            label = f"{way} ending in {ending(method.id)}"
        found.append((method.id, {"payment": label, "way": way}))
    return found


def _thing(product: str) -> str:
    return " ".join(word if word.isupper() else word.lower() for word in product.split())


def _variant(options: Mapping[str, str]) -> str:
    """Options as said: the value, with its name where it is too short to speak for itself."""
    return ", ".join(value if len(value) > 4 else f"{name} {value}" for name, value in options.items())


def _items(db: Any, caller: str, *statuses: str) -> Iterator[tuple[Any, Any, dict[str, str]]]:
    """Articles of such orders, those that an order holds once."""
    for order, slots in _orders(db, caller, *statuses):
        held = Counter(item.item_id for item in order.items)
        for item in order.items:
            if held[item.item_id] == 1:
                thing = _thing(item.name)
                yield order, item, {**slots, "thing": thing, "item": f"{thing} ({_variant(item.options)})"}


def _cancellations(db: Any, caller: str) -> Iterator[Candidate]:
    for order, slots in _orders(db, caller, "pending", "processed"):
        for reason, said in _REASONS.items():
            yield Candidate({"order_id": order.order_id, "reason": reason}, {**slots, "reason": said})


def _returns(db: Any, caller: str) -> Iterator[Candidate]:
    singles = list(_items(db, caller, "delivered", "processed", "requested"))
    sets: list[tuple[Any, tuple[Any, ...], dict[str, str]]]
    sets = [(order, (item,), slots) for order, item, slots in singles]
    for (order, one, slots), (other, two, more) in combinations(singles, 2):
        if order is other and slots["thing"] != more["thing"]:
            both = {name: f"{slots[name]} and the {more[name]}" for name in ("item", "thing")}
            sets.append((order, (one, two), {**slots, **both}))
    for order, items, slots in sets:
        for payment_id, told in _payments(db, caller):
            arguments: Arguments = {
                "order_id": order.order_id,
                "item_ids": [item.item_id for item in items],
                "payment_method_id": payment_id,
            }
            yield Candidate(arguments, {**slots, **told})


def _swaps(db: Any, caller: str, *statuses: str) -> Iterator[Candidate]:
    """Any article for any variant of the same product, itself and those out of stock too."""
    for order, item, slots in _items(db, caller, *statuses):
        for variant in db.agent.products[item.product_id].variants.values():
            for payment_id, told in _payments(db, caller):
                arguments: Arguments = {
                    "order_id": order.order_id,
                    "item_ids": [item.item_id],
                    "new_item_ids": [variant.item_id],
                    "payment_method_id": payment_id,
                }
                yield Candidate(arguments, {**slots, **told, "variant": _variant(variant.options)})


def _exchanges(db: Any, caller: str) -> Iterator[Candidate]:
    return _swaps(db, caller, "delivered", "processed", "requested")


def _item_changes(db: Any, caller: str) -> Iterator[Candidate]:
    return _swaps(db, caller, "pending", "processed")


def _address_changes(db: Any, caller: str) -> Iterator[Candidate]:
    for order, slots in _orders(db, caller, "pending", "processed"):
        for parts, told in _addresses(db, caller):
            if parts != _fields(order.address):
                yield Candidate({"order_id": order.order_id, **parts}, {**slots, **told})


def _payment_changes(db: Any, caller: str) -> Iterator[Candidate]:
    for order, slots in _orders(db, caller, "pending", "processed"):
        for payment_id, told in _payments(db, caller):
            yield Candidate({"order_id": order.order_id, "payment_method_id": payment_id}, {**slots, **told})


def _home_changes(db: Any, caller: str) -> Iterator[Candidate]:
    for parts, told in _addresses(db, caller):
        if parts != _fields(db.agent.users[caller].address):
            yield Candidate({"user_id": caller, **parts}, told)


def _orders_to_total(db: Any, caller: str) -> Iterator[Candidate]:
    for order, slots in _orders(db, caller, ""):
        yield Candidate({"order_id": order.order_id}, slots)


def _balances(db: Any, caller: str) -> Iterator[Candidate]:
    for payment_id, told in _payments(db, caller):
        if payment_id.startswith("gift_card"):
            yield Candidate({"user_id": caller}, {"payment": told["payment"]})


def _prices(db: Any, caller: str) -> Iterator[Candidate]:
    for product in db.agent.products.values():
        for variant in product.variants.values():
            slots = {"product": _thing(product.name), "variant": _variant(variant.options)}
            yield Candidate({"product_id": product.product_id}, slots)


# What must be told.

_Slots = Mapping[str, str]
_Told = tuple[str, ...]


def _tell_refund(db: Any, arguments: Arguments, slots: _Slots, value: str) -> _Told:
    paid = [row["amount"] for row in orjson.loads(value)["payment_history"] if row["transaction_type"] == "refund"]
    return (f"{sum(paid):.2f}",)


def _tell_return(db: Any, arguments: Arguments, slots: _Slots, value: str) -> _Told:
    order = orjson.loads(value)
    return (f"{sum(item['price'] for item in order['items'] if item['item_id'] in order['return_items']):.2f}",)


def _tell_exchange(db: Any, arguments: Arguments, slots: _Slots, value: str) -> _Told:
    return (f"{abs(orjson.loads(value)['exchange_price_difference']):.2f}",)


def _tell_item_change(db: Any, arguments: Arguments, slots: _Slots, value: str) -> _Told:
    return (f"{orjson.loads(value)['payment_history'][-1]['amount']:.2f}",)


def _tell_total(db: Any, arguments: Arguments, slots: _Slots, value: str) -> _Told:
    return (f"{sum(item['price'] for item in orjson.loads(value)['items']):.2f}",)


def _tell_balance(db: Any, arguments: Arguments, slots: _Slots, value: str) -> _Told:
    labels = dict(_payments(db, str(arguments["user_id"])))
    methods = orjson.loads(value)["payment_methods"]
    return tuple(f"{methods[i]['balance']:.2f}" for i in methods if labels[i]["payment"] == slots["payment"])


def _tell_price(db: Any, arguments: Arguments, slots: _Slots, value: str) -> _Told:
    variants = orjson.loads(value)["variants"].values()
    return tuple(f"{row['price']:.2f}" for row in variants if _variant(row["options"]) == slots["variant"])


# What the policy forbids.

_FINDS = frozenset({"find_user_id_by_email", "find_user_id_by_name_zip"})
_CANCEL = frozenset({"cancel_pending_order"})
_MODIFY = frozenset({"modify_pending_order_address", "modify_pending_order_items", "modify_pending_order_payment"})
_ITEMS = frozenset({"modify_pending_order_items"})
_PAYMENT = frozenset({"modify_pending_order_payment"})
_RETURN = frozenset({"return_delivered_order_items"})
_EXCHANGE = frozenset({"exchange_delivered_order_items"})
_WRITES = _CANCEL | _MODIFY | _RETURN | _EXCHANGE | {"modify_user_address"}
_READS = frozenset({"get_user_details", "get_order_details"})
_STATUS = {
    "cancel_pending_order": "pending",
    "modify_pending_order_address": "pending",
    "modify_pending_order_items": "pending",
    "modify_pending_order_payment": "pending",
    "return_delivered_order_items": "delivered",
    "exchange_delivered_order_items": "delivered",
}
_MODIFIED = "pending (item modified)"


def _text(context: RuleContext, name: str) -> str:
    return str(context.call.arguments.get(name, ""))


def _order(context: RuleContext) -> Any | None:
    return context.db.agent.orders.get(_text(context, "order_id"))


def _open_order(context: RuleContext) -> Any | None:
    """The order of the call if its status lets the call happen, so that one reason is named, not two."""
    order = _order(context)
    return order if order is not None and order.status == _STATUS[context.call.name] else None


def _identified(context: RuleContext) -> set[str]:
    return {str(past.value) for past in context.past if past.call.name in _FINDS}


def _not_identified(context: RuleContext) -> bool:
    return not _identified(context)


def _of_another(context: RuleContext) -> bool:
    known = _identified(context)
    if not known or context.call.name not in _FINDS:
        order = _order(context)
        owner = order.user_id if order is not None else _text(context, "user_id")
        return bool(known) and owner in context.db.agent.users and owner not in known
    return not any(_is_sought(context, context.db.agent.users[user_id]) for user_id in known)


def _is_sought(context: RuleContext, user: Any) -> bool:
    """True for the user that a call that finds users names, and where it names none at all."""
    if context.call.name == "find_user_id_by_email":
        return user.email.lower() == _text(context, "email").lower()
    named = (_text(context, "first_name").lower(), _text(context, "last_name").lower(), _text(context, "zip"))
    return (user.name.first_name.lower(), user.name.last_name.lower(), user.address.zip) == named


def _not_confirmed(context: RuleContext) -> bool:
    return context.confirmed is False


def _not_looked_at(context: RuleContext) -> bool:
    looked = [past.call for past in context.past if past.call.name == "get_order_details"]
    return _text(context, "order_id") not in [call.arguments["order_id"] for call in looked]


def _look(context: RuleContext) -> tuple[str, Arguments]:
    return "get_order_details", {"order_id": _text(context, "order_id")}


def _wrong_status(context: RuleContext) -> bool:
    order = _order(context)
    return order is not None and order.status not in (_STATUS[context.call.name], _MODIFIED)


def _items_modified(context: RuleContext) -> bool:
    order = _order(context)
    return order is not None and order.status == _MODIFIED


def _wrong_reason(context: RuleContext) -> bool:
    return _open_order(context) is not None and _text(context, "reason") not in _ALLOWED_REASONS


def _gift_card_balance(context: RuleContext, order: Any) -> float | None:
    """Balance of the gift card that the call pays with; None for another method."""
    method = context.db.agent.users[order.user_id].payment_methods.get(_text(context, "payment_method_id"))
    return method.balance if method is not None and method.source == "gift_card" else None


def _same_payment(context: RuleContext) -> bool:
    order = _open_order(context)
    return order is not None and order.payment_history[0].payment_method_id == _text(context, "payment_method_id")


def _card_below_total(context: RuleContext) -> bool:
    order = _open_order(context)
    if order is None or _same_payment(context):
        return False
    balance = _gift_card_balance(context, order)
    return balance is not None and balance < order.payment_history[0].amount


def _pairs(context: RuleContext, order: Any) -> list[tuple[Any, Any | None]]:
    """Each article of the order that is to be swapped, with the variant for it; None where there is no such."""
    items = {item.item_id: item for item in order.items}
    old, new = (_strings(context.call.arguments.get(name)) for name in ("item_ids", "new_item_ids"))
    return [
        (items[one], context.db.agent.products[items[one].product_id].variants.get(other))
        for one, other in zip(old, new, strict=False)
        if one in items
    ]


def _strings(value: JsonValue) -> Sequence[str]:
    return [str(item) for item in value] if isinstance(value, list) else ()


def _no_such_option(context: RuleContext) -> bool:
    order = _open_order(context)
    return order is not None and any(
        new is None or not new.available or new.item_id == old.item_id for old, new in _pairs(context, order)
    )


def _card_below_difference(context: RuleContext) -> bool:
    order = _open_order(context)
    if order is None or _no_such_option(context):
        return False
    balance = _gift_card_balance(context, order)
    difference = sum(new.price - old.price for old, new in _pairs(context, order) if new is not None)
    return balance is not None and balance < round(difference, 2)


def _refund_astray(context: RuleContext) -> bool:
    order = _open_order(context)
    if order is None:
        return False
    payment_id = _text(context, "payment_method_id")
    method = context.db.agent.users[order.user_id].payment_methods.get(payment_id)
    original = order.payment_history[0].payment_method_id
    return method is not None and method.source != "gift_card" and payment_id != original


_LOOK = ("I have to look at the order first", ("look", "check"))
_OPTION = ("available", "in stock", "out of stock", "different option", "another option", "other option", "same item")
_BALANCE = ("balance", "enough", "cover", "insufficient")

RULES = (
    Rule(
        "0.6",
        _WRITES | _READS,
        _not_identified,
        "I have to find your account first",
        ("account", "email", "e-mail"),
        avoidable=True,
    ),
    Rule("0.8", _WRITES | _READS | _FINDS, _of_another, "I can serve one customer only", ("one customer", "another")),
    Rule("0.9", _WRITES, _not_confirmed, "I need your yes first", ("yes", "confirm"), avoidable=True),
    Rule(
        "6.1",
        _CANCEL,
        _wrong_status,
        "only a pending order can be cancelled, and this one is not pending",
        ("pending", "processed", "delivered", "cancelled already"),
    ),
    Rule(
        "6.2",
        _CANCEL,
        _wrong_reason,
        "the only reasons are that it is no longer needed or was ordered by mistake",
        ("no longer needed", "ordered by mistake", "reason"),
    ),
    Rule(
        "7.1",
        _MODIFY,
        _wrong_status,
        "only a pending order can be modified, and this one is not pending",
        ("pending", "processed", "delivered"),
    ),
    Rule(
        "8.1",
        _PAYMENT,
        _same_payment,
        "the new payment method must be different from the original one",
        ("different", "same", "already", "original"),
    ),
    Rule("8.2", _PAYMENT, _card_below_total, "the gift card's balance does not cover the total", _BALANCE),
    Rule(
        "9.1",
        _CANCEL | _MODIFY,
        _items_modified,
        "its items were modified, and after that nothing of the order can be changed",
        ("modified", "once", "already"),
    ),
    Rule(
        "9.2",
        _ITEMS,
        _no_such_option,
        "an item can only be changed to an available one of the same product with a different option",
        _OPTION,
    ),
    Rule("9.3", _ITEMS, _card_below_difference, "the gift card's balance does not cover the difference", _BALANCE),
    Rule(
        "10.1",
        _RETURN,
        _wrong_status,
        "only a delivered order can be returned, and this one is not in that status",
        ("delivered", "processed", "requested"),
    ),
    Rule(
        "10.4",
        _RETURN,
        _refund_astray,
        "a refund goes to the original payment method or to a gift card",
        ("original", "gift card"),
    ),
    Rule(
        "11.1",
        _EXCHANGE,
        _wrong_status,
        "only a delivered order can be exchanged, and this one is not in that status",
        ("delivered", "processed", "requested"),
    ),
    Rule(
        "11.2",
        _EXCHANGE,
        _no_such_option,
        "an item can only be exchanged for an available one of the same product with a different option",
        _OPTION,
    ),
    Rule("11.3", _EXCHANGE, _card_below_difference, "the gift card's balance does not cover the difference", _BALANCE),
    Rule("6.1", _CANCEL, _not_looked_at, *_LOOK, avoidable=True, first=_look),
    Rule("7.1", _MODIFY, _not_looked_at, *_LOOK, avoidable=True, first=_look),
    Rule("10.1", _RETURN, _not_looked_at, *_LOOK, avoidable=True, first=_look),
    Rule("11.1", _EXCHANGE, _not_looked_at, *_LOOK, avoidable=True, first=_look),
)

# What callers say.

_NO_CHANGES: Mapping[Split, tuple[str, ...]] = {"train": (), "test": ()}
_ORDER = Slot(
    "order",
    ("which order", "what order", "order number", "order id"),
    "What is the order number?",
    {
        "train": ("It is {value}.", "The order number is {value}.", "{value}.", "Order {value}."),
        "test": ("That is {value}.", "You will find it under {value}.", "The number says {value}."),
    },
)
_CONTAINS = Slot(
    "contains",
    ("which order", "what order", "what is in", "what was in", "contain"),
    "What is in the order?",
    {
        "train": ("It is the one with {value}.", "The order with {value}.", "I ordered {value}."),
        "test": ("{value} is in it.", "You will find {value} in it."),
    },
)
_REASON = Slot(
    "reason",
    ("reason", "why"),
    "What is the reason?",
    {
        "train": ("The reason is that {value}.", "Because {value}.", "Well, {value}."),
        "test": ("Simply put, {value}.", "To be honest, {value}."),
    },
)
_ITEM = Slot(
    "item",
    ("which item", "what item", "which product", "which one", "which of"),
    "Which item do you mean?",
    {
        "train": ("I mean the {value}.", "The {value}.", "It is about the {value}.", "The {value}, please."),
        "test": ("That would be the {value}.", "I am talking about the {value}."),
    },
)
_THING = Slot(
    "thing",
    ("what kind of product", "what type of product"),
    "What kind of product is it?",
    {"train": ("It is the {value}.", "The {value}."), "test": ("We are speaking of the {value}.",)},
)
_VARIANT = Slot(
    "variant",
    ("variant", "option", "instead", "new item"),
    "Which options do you want?",
    {
        "train": ("I want {value}.", "{value}, please.", "The one with {value}."),
        "test": ("It should be {value}.", "{value} is what I would like."),
    },
)
_PAYS = Slot(
    "payment",
    ("payment", "card", "method", "refund to", "pay with"),
    "Which payment method should be used?",
    {
        "train": ("My {value}.", "Use my {value}.", "The {value}, please."),
        "test": ("Take the {value}.", "I prefer my {value}.", "Let it be the {value}."),
    },
)
_WAY = Slot(
    "way",
    ("kind of payment", "type of payment"),
    "What kind of payment method is it?",
    {"train": ("A {value}.", "It is a {value}."), "test": ("That is a {value}.",)},
)
_ADDRESS = Slot(
    "address",
    ("address", "where"),
    "What is the full address?",
    {
        "train": ("It is {value}.", "{value}.", "The address is {value}."),
        "test": ("Please note {value}.", "You can reach me at {value}."),
    },
)
_PLACE = Slot(
    "place",
    ("is it on file", "known address"),
    "Is it on file with us?",
    {"train": ("Yes, it is {value}.",), "test": ("You know it, it is {value}.",)},
)
_PRODUCT = Slot(
    "product",
    ("which product", "what product"),
    "Which product do you mean?",
    {"train": ("The {value}.", "I mean the {value}."), "test": ("I am looking at the {value}.",)},
)

CALLERS = Callers(
    ids=_ids,
    facts=_caller_facts,
    knows=_knows,
    identities=(
        Identity("find_user_id_by_email", {"email": "email"}),
        Identity("find_user_id_by_name_zip", {"first_name": "first_name", "last_name": "last_name", "zip": "zip"}),
    ),
    slots=(
        Slot(
            "email",
            ("e-mail", "email"),
            "What is the e-mail address of your account?",
            {
                "train": ("It is {value}.", "My e-mail is {value}.", "{value}"),
                "test": ("I am registered with {value}.", "Sure, {value}."),
            },
        ),
        Slot(
            "first_name",
            ("first name", "your name", "full name"),
            "What is your first name?",
            {"train": ("My first name is {value}.", "{value}."), "test": ("People call me {value}.",)},
        ),
        Slot(
            "last_name",
            ("last name", "your name", "full name", "surname"),
            "And your last name?",
            {"train": ("My last name is {value}.", "{value}."), "test": ("The family name is {value}.",)},
        ),
        Slot(
            "zip",
            ("zip", "postal code"),
            "What is the zip code of your account?",
            {
                "train": ("The zip code is {value}.", "My zip is {value}.", "{value}."),
                "test": ("My area has the code {value}.",),
            },
        ),
    ),
    introductions={
        "train": (
            "Hi, my e-mail is {email}.",
            "Hello, this is {first_name} {last_name}.",
            "Hi, I'm {first_name} {last_name}, zip code {zip}.",
            "Hey there!",
            "Good morning, {first_name} {last_name} here, my account is under {email}.",
            "Hello, my name is {first_name} {last_name} and my zip code is {zip}.",
            "",
        ),
        "test": (
            "Good afternoon, I am {first_name} {last_name} and I live in the {zip} area.",
            "Hello there, I shop with you as {email}.",
            "Good day.",
            "Greetings, {first_name} {last_name} writing, registered with {email}.",
            "I have a request, my name is {first_name} {last_name}.",
        ),
    },
)

WISHES: tuple[Wish, ...] = (
    Wish(
        tool="cancel_pending_order",
        candidates=_cancellations,
        slots=(_ORDER, _CONTAINS, _REASON),
        openings={
            "train": (
                "Please cancel my order {order}, {reason}.",
                "I want to cancel the order with {contains} because {reason}.",
                "Can you cancel order {order}?",
                "I'd like to cancel an order.",
                "Please cancel the order with {contains}.",
                "Could you stop order {order} for me? The reason is that {reason}.",
                "I have to cancel an order because {reason}.",
                "Cancel order {order}, the one with {contains}, please; {reason}.",
            ),
            "test": (
                "There is an order {order} that I don't want, since {reason}.",
                "Would you call off the order containing {contains}? You see, {reason}.",
                "One of my orders should not be sent at all.",
                "I must call off {order}.",
                "My purchase {order} is to be called off, as {reason}.",
            ),
        },
        changes={
            "train": (
                "Actually, keep that one. Cancel order {order} instead.",
                "Sorry, I mixed them up: cancel the one with {contains}.",
                "Wait, please put down another reason: {reason}.",
                "On second thought, say that {reason}.",
            ),
            "test": (
                "Hold on, I took the wrong one. {order} should go.",
                "Before you do, note that {reason}.",
            ),
        },
        proposal="cancel your order {order} because {reason}",
        tell=_tell_refund,
        report="You get ${0} back.",
    ),
    Wish(
        tool="return_delivered_order_items",
        candidates=_returns,
        slots=(_ITEM, _ORDER, _PAYS, _THING, _CONTAINS, _WAY),
        openings={
            "train": (
                "I want to return the {item} and get the money back on my {payment}.",
                "I'd like to return the {thing} of order {order}, refund it to my {payment}.",
                "Please take back the {thing}, with the refund on my {payment}.",
                "Can I return the {thing}?",
                "I need to return something from order {order}, please refund it to my {payment}.",
                "I want to send back the {item} from my order {order}. My {payment} should get the money.",
                "I want to return something I bought.",
                "I'm returning the {item}.",
            ),
            "test": (
                "The {item} did not work out for me; I would like the money on my {payment}.",
                "How do I give back the {thing} of {order}? My {payment} should receive the sum.",
                "Something I received is not for me and has to go back.",
                "You may have the {thing} again if my {payment} gets the money.",
                "I am not happy with the {thing}, so it should go back to you.",
            ),
        },
        changes={
            "train": (
                "Actually, refund it to my {payment} instead.",
                "Wait, I'd rather return the {item}.",
                "Sorry, it is the {item} I want to return, with the refund on my {payment}.",
            ),
            "test": (
                "Hold on, my {payment} is the better place for the money.",
                "Hmm, I will hang on to that one, and give back the {item}.",
            ),
        },
        proposal="return the {item} from order {order} and refund your {payment}",
        tell=_tell_return,
        report="You get ${0} back.",
    ),
    Wish(
        tool="exchange_delivered_order_items",
        candidates=_exchanges,
        slots=(_ITEM, _VARIANT, _ORDER, _PAYS, _THING, _WAY),
        openings={
            "train": (
                "I want to exchange the {item} for one with {variant}, using my {payment}.",
                "Can I exchange the {thing} from order {order} for one with {variant}? Use my {payment}.",
                "I'd like to exchange the {item} for {variant}.",
                "Please exchange my {thing}.",
                "I want to swap the {thing} for one with {variant}. My {payment} can take the difference.",
                "Could you exchange the {item} of order {order} for one with {variant}? Use my {payment}.",
                "I'd like to exchange something from order {order}.",
            ),
            "test": (
                "The {item} is not quite right; {variant} would be, and my {payment} settles the difference.",
                "Is a trade possible, my {thing} of {order} against one with {variant}, settled with my {payment}?",
                "My {thing} is not quite right and I wish to trade it.",
                "I wish to trade the {item} for {variant}.",
                "Trade my {thing} for one with {variant}, please, and settle it with my {payment}.",
            ),
        },
        changes={
            "train": (
                "Actually, I want {variant} instead.",
                "Wait, use my {payment} instead.",
                "On second thought, make it {variant}.",
                "Sorry, {variant} on my {payment}, please.",
            ),
            "test": ("Hold on, {variant} suits me better.", "Hmm, settle it with my {payment} rather."),
        },
        proposal="exchange the {item} from order {order} for one with {variant}, settled with your {payment}",
        tell=_tell_exchange,
        report="The price difference is ${0}.",
    ),
    Wish(
        tool="modify_pending_order_items",
        candidates=_item_changes,
        slots=(_ITEM, _VARIANT, _ORDER, _PAYS, _THING, _WAY),
        openings={
            "train": (
                "Please change the {item} in my order to {variant}, and use my {payment}.",
                "I ordered the {thing} in {order} but I need {variant} now. Use my {payment}.",
                "Can you change the {item} I ordered to {variant}?",
                "I want to modify the {thing} in my order.",
                "Before you ship order {order}, please change the {thing} to {variant}; my {payment} can be used.",
                "I picked the wrong {thing}. I want {variant} and pay with my {payment}.",
                "I need to change an item of order {order}.",
            ),
            "test": (
                "The {item} on order is the wrong pick; {variant} is right, with my {payment} for the difference.",
                "Can {order} still be altered so that the {thing} comes with {variant}? My {payment} is there for it.",
                "I made the wrong pick with the {thing} on order.",
                "Alter the {thing} on order to {variant}, please, and settle it with my {payment}.",
                "The {item} on order ought to be altered to {variant}.",
            ),
        },
        changes={
            "train": (
                "Actually, {variant} is what I want.",
                "Wait, use my {payment} for it.",
                "On second thought, change it to {variant}.",
                "Sorry, {variant}, and with my {payment}.",
            ),
            "test": ("Hold on, let it be {variant}.", "Hmm, rather settle it with my {payment}."),
        },
        proposal="change the {item} in order {order} to {variant}, settled with your {payment}",
        tell=_tell_item_change,
        report="The price difference is ${0}.",
    ),
    Wish(
        tool="modify_pending_order_address",
        candidates=_address_changes,
        slots=(_ORDER, _CONTAINS, _ADDRESS, _PLACE),
        openings={
            "train": (
                "Please send order {order} to {address}.",
                "I need order {order} to go to {place}.",
                "Can you change the address of order {order}?",
                "I want the order with {contains} delivered to {address}.",
                "The shipping address of an order of mine is wrong.",
                "Please ship the order with {contains} to {place} instead.",
                "I moved, so please deliver {order} to {address}.",
                "Change the shipping address to {address}, please.",
            ),
            "test": (
                "{order} is headed to the wrong door; {address} is the right one.",
                "What I bought, {contains}, should arrive at {place}.",
                "One of my parcels is headed to the wrong door.",
                "Let {order} arrive at {place}.",
                "The right door for {order} is {address}.",
            ),
        },
        changes={
            "train": (
                "Actually, send it to {address}.",
                "Wait, send it to {place} instead.",
                "Sorry, I meant order {order}.",
            ),
            "test": ("Hold on, {address} is where I will be.", "Hmm, {place} is better after all."),
        },
        proposal="send order {order} to {address}",
    ),
    Wish(
        tool="modify_pending_order_payment",
        candidates=_payment_changes,
        slots=(_ORDER, _CONTAINS, _PAYS, _WAY),
        openings={
            "train": (
                "Please charge order {order} to my {payment} instead.",
                "I want to pay for the order with {contains} with my {payment}.",
                "Can you change the payment method of order {order}?",
                "I'd like to use another payment method for an order.",
                "Put order {order} on my {payment}, please.",
                "The order with {contains} should be paid with a different method.",
                "Please switch the payment of {order}, with {contains}, to my {payment}.",
            ),
            "test": (
                "{order} was billed to the wrong method, it should be my {payment}.",
                "For what I bought, {contains}, bill my {payment}.",
                "A purchase of mine was billed to the wrong method.",
                "Bill my {payment} for {order} rather.",
            ),
        },
        changes={
            "train": (
                "Actually, use my {payment}.",
                "Wait, I meant order {order}.",
                "On second thought, my {payment} is better.",
            ),
            "test": ("Hold on, bill my {payment}.", "Hmm, it is about {order}."),
        },
        proposal="charge order {order} to your {payment}",
    ),
    Wish(
        tool="modify_user_address",
        candidates=_home_changes,
        slots=(_ADDRESS, _PLACE),
        openings={
            "train": (
                "Please change the default address of my account to {address}.",
                "I moved and my new address is {address}. Please update my profile.",
                "Can you update my default address?",
                "I want {place} to be my default address.",
                "Make {address} the default address of my account.",
                "My profile has an old address, please change it.",
            ),
            "test": (
                "My profile should carry {address} from now on.",
                "Kindly take {place} as my standard address.",
                "The standard address in my profile is out of date.",
                "I live at {address} now, please note it in my profile.",
            ),
        },
        changes={
            "train": ("Actually, make it {address}.", "Wait, take {place}.", "Sorry, it has to be {address}."),
            "test": ("Hold on, {address} is right.", "Hmm, {place} makes more sense."),
        },
        proposal="make {address} the default address of your account",
    ),
    Wish(
        tool="get_order_details",
        candidates=_orders_to_total,
        slots=(_ORDER, _CONTAINS),
        openings={
            "train": (
                "How much do the items of order {order} cost together?",
                "What is the total of the order with {contains}?",
                "Can you tell me what I paid for the items of order {order}?",
                "I need the exact total of {order}.",
                "What did the order with {contains} come to?",
                "How much is everything in {order}?",
            ),
            "test": (
                "For my ledger, which sum do the articles of {order} make?",
                "The purchase with {contains} came to what sum?",
                "I keep a ledger and lack the sum of {order}.",
                "Tell me the sum of all articles in the purchase with {contains}.",
            ),
        },
        changes=_NO_CHANGES,
        proposal="look up order {order}",
        tell=_tell_total,
        report="The items of order {order} cost ${0} together.",
    ),
    Wish(
        tool="get_user_details",
        candidates=_balances,
        slots=(_PAYS,),
        openings={
            "train": (
                "How much is left on my {payment}?",
                "What is the balance of my gift card?",
                "Can you check the balance of my {payment}?",
                "Please tell me the exact balance of my {payment}.",
                "I want to know how much money is on my gift card.",
                "How much do I have on my {payment}?",
            ),
            "test": (
                "What can I still spend from my {payment}?",
                "I lost track of what my gift card is still worth.",
                "The {payment} of mine is still worth what sum?",
                "Is anything left to spend from my gift card, and what sum?",
            ),
        },
        changes=_NO_CHANGES,
        proposal="look up your {payment}",
        tell=_tell_balance,
        report="Your {payment} holds ${0}.",
    ),
    Wish(
        tool="get_product_details",
        candidates=_prices,
        slots=(_PRODUCT, _VARIANT),
        openings={
            "train": (
                "How much is the {product} with {variant}?",
                "What does the {product} with {variant} cost?",
                "Can you tell me the price of the {product} ({variant})?",
                "I'm interested in the {product} with {variant}. What is the price?",
                "What would I pay for the {product} with {variant}?",
                "Please tell me the price for the {product}, {variant}.",
            ),
            "test": (
                "I have my eye on the {product}, {variant}, and wonder what you charge.",
                "What do you charge for the {product} when I pick {variant}?",
                "The {product}, {variant}: what is the price tag?",
                "Tell me your price tag on the {product} that comes with {variant}.",
            ),
        },
        changes=_NO_CHANGES,
        proposal="look up the {product}",
        tell=_tell_price,
        report="The {product} with {variant} costs ${0}.",
    ),
)

INSTRUCTIONS: tuple[Instruction, ...] = ()
