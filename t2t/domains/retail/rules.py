"""The clauses of ``policy.md`` that code checks and no tool enforces, and what tools refuse themselves."""

from collections.abc import Callable

from t2t.domain.rule import Constraint, Rule, RuleContext
from t2t.domains.retail.schema import (
    CANCEL_DAYS,
    EMAIL_DAYS,
    GOLD_CANCEL_DAYS,
    MAX_GIFT_CARD_REFUND_CENTS,
    MAX_NOTE_CHARACTERS,
    PRICE_PROTECTION_DAYS,
    REQUIRED_STATUS,
    RETURN_DAYS,
    SERVED_COUNTRIES,
    Line,
    Order,
    Payment,
    Product,
    RetailDB,
    User,
    days_since,
)
from t2t.domains.retail.tools import refund_cents

_FINDS = frozenset({"find_user_by_email", "find_user_by_name_zip"})
_READS = frozenset(
    {"get_user", "list_orders", "get_order", "track_order", "quote_return", "quote_swap", "get_gift_card"}
)
_PENDING = frozenset({"change_order_item", "change_order_address", "change_order_payment"})
_ACCOUNT = frozenset({"set_default_address", "add_address", "update_email"})
_BACK = frozenset({"return_items", "exchange_item"})
_WRITES = _PENDING | _ACCOUNT | _BACK | {"cancel_order", "set_gift_note", "refund_price_drop"}


def _db(context: RuleContext) -> RetailDB:
    return context.db


def _text(context: RuleContext, name: str) -> str:
    return str(context.call.arguments.get(name, ""))


def _order(context: RuleContext) -> Order | None:
    """The order of the call, unless the backend refuses the call for the order's status."""
    order = _db(context).orders.get(_text(context, "order_id"))
    if order is None or order.status not in REQUIRED_STATUS.get(context.call.name, (order.status,)):
        return None
    return order


def _user(context: RuleContext) -> User | None:
    """Whose account or order the call is about."""
    order = _db(context).orders.get(_text(context, "order_id"))
    return _db(context).users.get(order.user_id if order else _text(context, "user_id"))


def _identified(context: RuleContext) -> set[str]:
    return {str(past.value) for past in context.past if past.call.name in _FINDS}


def _item_ids(context: RuleContext) -> list[str]:
    """Items of the order that the call is about."""
    named = context.call.arguments.get("item_ids")
    if isinstance(named, list):
        return [str(item_id) for item_id in named]
    return [_text(context, "item_id")]


def _lines(context: RuleContext) -> list[Line]:
    """Those items, as far as the order holds them and the backend lets them be touched."""
    order, db = _order(context), _db(context)
    if order is None:
        return []
    new_item = db.items.get(_text(context, "new_item_id"))
    if "new_item_id" in context.call.arguments and (new_item is None or new_item.stock == 0):
        return []
    lines = [line for line in order.lines if line.item_id in _item_ids(context) and line.state == "ordered"]
    if context.call.name == "refund_price_drop":
        return [line for line in lines if db.items[line.item_id].price_cents < line.price_cents]
    return lines


def _products(context: RuleContext) -> list[Product]:
    return [_db(context).product_of(line.item_id) for line in _lines(context)]


def _payment(context: RuleContext, payment_id: str) -> Payment | None:
    user = _user(context)
    return next((row for row in user.payments if row.id == payment_id), None) if user else None


def _not_identified(context: RuleContext) -> bool:
    return not _identified(context)


def _not_their_own(context: RuleContext) -> bool:
    known, user = _identified(context), _user(context)
    return bool(known) and user is not None and user.id not in known


def _second_customer(context: RuleContext) -> bool:
    known, db = _identified(context), _db(context)
    if context.call.name == "find_user_by_email":
        found = db.users.where("email", _text(context, "email").strip().lower())
    else:
        rows = db.users.where("name", _text(context, "name").strip().title())
        found = [row for row in rows if row.zip_code == _text(context, "zip_code").strip()]
    return bool(known) and bool(found) and found[0].id not in known


def _not_confirmed(context: RuleContext) -> bool:
    return context.confirmed is False


def _too_late_to_cancel(context: RuleContext) -> bool:
    order, user = _order(context), _user(context)
    if order is None or user is None:
        return False
    return days_since(order.ordered) > (GOLD_CANCEL_DAYS if user.tier == "gold" else CANCEL_DAYS)


def _holds_made_to_order(context: RuleContext) -> bool:
    order, db = _order(context), _db(context)
    return order is not None and any(db.product_of(line.item_id).made_to_order for line in order.lines)


def _window_closed(context: RuleContext) -> bool:
    order = _order(context)
    if order is None:
        return False
    days = days_since(order.delivery)
    return any(days > RETURN_DAYS[product.category] for product in _products(context))


def _is_final_sale(context: RuleContext) -> bool:
    return any(product.final_sale for product in _products(context))


def _is_care(context: RuleContext) -> bool:
    return any(product.category == "care" for product in _products(context))


def _is_made_to_order(context: RuleContext) -> bool:
    return any(product.made_to_order for product in _products(context))


def _refund_astray(context: RuleContext) -> bool:
    order, target = _order(context), _text(context, "refund_to")
    if order is None or not _lines(context) or target == order.payment_id:
        return False
    payment = _payment(context, target)
    return payment is not None and payment.kind != "gift_card"


def _refund_too_large(context: RuleContext) -> bool:
    order, target = _order(context), _text(context, "refund_to")
    if order is None or not _lines(context) or target == order.payment_id:
        return False
    payment = _payment(context, target)
    is_gift_card = payment is not None and payment.kind == "gift_card"
    return is_gift_card and refund_cents(_db(context), order, _item_ids(context)) > MAX_GIFT_CARD_REFUND_CENTS


def _another_return_open(context: RuleContext) -> bool:
    order, user = _order(context), _user(context)
    if order is None or not _lines(context) or user is None or user.tier != "basic":
        return False
    others = [row for row in _db(context).orders.where("user_id", user.id) if row.id != order.id]
    return any(line.state == "returned" for row in others for line in row.lines)


def _exchanged_before(context: RuleContext) -> bool:
    order = _order(context)
    return order is not None and bool(_lines(context)) and order.exchanged


def _changed_before(context: RuleContext) -> bool:
    order = _order(context)
    return order is not None and bool(_lines(context)) and order.changed


def _leaves_country(context: RuleContext) -> bool:
    order, user = _order(context), _user(context)
    if order is None or user is None:
        return False
    address = next((row for row in user.addresses if row.id == _text(context, "address_id")), None)
    return address is not None and address.country != _country(order.address)


def _country(line: str) -> str:
    return line.rpartition(",")[2].strip()


def _is_express(context: RuleContext) -> bool:
    order = _order(context)
    return order is not None and order.express


def _paid_by_gift_card(context: RuleContext) -> bool:
    order = _order(context)
    payment = _payment(context, order.payment_id) if order else None
    return payment is not None and payment.kind == "gift_card"


def _note_too_long(context: RuleContext) -> bool:
    return _order(context) is not None and len(_text(context, "note").strip()) > MAX_NOTE_CHARACTERS


def _price_protection_over(context: RuleContext) -> bool:
    order = _order(context)
    return order is not None and bool(_lines(context)) and days_since(order.ordered) > PRICE_PROTECTION_DAYS


def _price_protected_before(context: RuleContext) -> bool:
    order = _order(context)
    return order is not None and bool(_lines(context)) and order.price_protected


def _is_packing(context: RuleContext) -> bool:
    orders = _db(context).orders.where("user_id", _text(context, "user_id"))
    return any(order.status == "processed" for order in orders)


def _email_changed_lately(context: RuleContext) -> bool:
    user = _user(context)
    return user is not None and days_since(user.email_changed) < EMAIL_DAYS


def _unserved_country(context: RuleContext) -> bool:
    return _country(_text(context, "address")) not in SERVED_COUNTRIES


_LAST_QUARTER = 0.75
"""A number is near its limit from this share of it on."""


def _is_in_last_quarter(number: int, limit: int) -> bool:
    return _LAST_QUARTER * limit < number <= limit


def _other_orders(context: RuleContext) -> list[Order]:
    """The customer's other orders on which the call would work too."""
    order = _order(context)
    if order is None:
        return []
    rows = _db(context).orders.where("user_id", order.user_id)
    allowed = REQUIRED_STATUS[context.call.name]
    return [row for row in rows if row.id != order.id and row.status in allowed]


def _another_order(holds: Callable[[RetailDB, Order], bool]) -> Callable[[RuleContext], bool]:
    """True where this order does not hold, and another of the customer does."""

    def near(context: RuleContext) -> bool:
        order, db = _order(context), _db(context)
        if order is None or holds(db, order) or ("item_id" in context.call.arguments and not _lines(context)):
            return False
        return any(holds(db, row) for row in _other_orders(context))

    return near


def _another_item(holds: Callable[[Product], bool]) -> Callable[[RuleContext], bool]:
    """True where the items of the call do not hold, and another item of the same order does."""

    def near(context: RuleContext) -> bool:
        order, db, touched = _order(context), _db(context), _lines(context)
        if order is None or not touched or any(map(holds, _products(context))):
            return False
        return any(holds(db.product_of(line.item_id)) for line in order.lines if line not in touched)

    return near


def _nearly_too_late_to_cancel(context: RuleContext) -> bool:
    """The last day; for gold members every day that others do not have."""
    order, user = _order(context), _user(context)
    if order is None or user is None:
        return False
    days = days_since(order.ordered)
    return CANCEL_DAYS < days <= GOLD_CANCEL_DAYS if user.tier == "gold" else days == CANCEL_DAYS


def _window_closes(context: RuleContext) -> bool:
    order = _order(context)
    if order is None or _window_closed(context):
        return False
    days = days_since(order.delivery)
    return any(_is_in_last_quarter(days, RETURN_DAYS[product.category]) for product in _products(context))


def _refund_to_another_gift_card(context: RuleContext) -> bool:
    order, target = _order(context), _text(context, "refund_to")
    payment = _payment(context, target)
    return (
        order is not None
        and bool(_lines(context))
        and target != order.payment_id
        and payment is not None
        and payment.kind == "gift_card"
    )


def _refund_almost_too_large(context: RuleContext) -> bool:
    order = _order(context)
    if order is None or not _refund_to_another_gift_card(context):
        return False
    return _is_in_last_quarter(refund_cents(_db(context), order, _item_ids(context)), MAX_GIFT_CARD_REFUND_CENTS)


def _another_return_allowed(context: RuleContext) -> bool:
    """Returned before from this order, or from another by a member with a tier."""
    order, user = _order(context), _user(context)
    if order is None or not _lines(context) or user is None or _another_return_open(context):
        return False
    rows = [order] if user.tier == "basic" else _other_orders(context)
    return any(line.state == "returned" for row in rows for line in row.lines)


def _another_address_leaves_country(context: RuleContext) -> bool:
    order, user = _order(context), _user(context)
    if order is None or user is None or _leaves_country(context):
        return False
    return any(row.country != _country(order.address) for row in user.addresses)


def _pays_by_gift_card(db: RetailDB, order: Order) -> bool:
    return any(row.id == order.payment_id and row.kind == "gift_card" for row in db.users[order.user_id].payments)


def _note_almost_too_long(context: RuleContext) -> bool:
    return _order(context) is not None and _is_in_last_quarter(len(_text(context, "note").strip()), MAX_NOTE_CHARACTERS)


def _price_protection_ends(context: RuleContext) -> bool:
    order = _order(context)
    if order is None or not _lines(context):
        return False
    return _is_in_last_quarter(days_since(order.ordered), PRICE_PROTECTION_DAYS)


def _was_packed(context: RuleContext) -> bool:
    """No order is being packed; one just left."""
    orders = _db(context).orders.where("user_id", _text(context, "user_id"))
    return not _is_packing(context) and any(order.status == "shipped" for order in orders)


def _email_changed_before(context: RuleContext) -> bool:
    user = _user(context)
    return user is not None and EMAIL_DAYS <= days_since(user.email_changed) <= EMAIL_DAYS / _LAST_QUARTER


def _other_served_country(context: RuleContext) -> bool:
    """Abroad for this customer, and served."""
    user, country = _user(context), _country(_text(context, "address"))
    if user is None or country not in SERVED_COUNTRIES:
        return False
    return all(row.country != country for row in user.addresses)


_RETURN = frozenset({"return_items"})
_EXCHANGE = frozenset({"exchange_item"})
_CANCEL = frozenset({"cancel_order"})
_READDRESS = frozenset({"change_order_address"})
_PRICE_DROP = frozenset({"refund_price_drop"})

RULES = (
    Rule("1.1", _WRITES | _READS, _not_identified, "I have to find your account first", ("account", "e-mail", "email")),
    Rule("1.2", _WRITES | _READS, _not_their_own, "it belongs to another customer", ("another", "belong", "other")),
    Rule(
        "1.3", _FINDS, _second_customer, "I can serve one customer per conversation", ("one customer", "another", "per")
    ),
    Rule("1.5", _WRITES, _not_confirmed, "I need your yes first", ("yes", "confirm")),
    Rule(
        "2.2",
        _CANCEL,
        _too_late_to_cancel,
        "an order can be cancelled only up to 3 days after it was placed, 7 for gold members",
        ("3 days", "three days", "7 days", "seven days", "too late", "too long ago"),
        near=_nearly_too_late_to_cancel,
    ),
    Rule(
        "2.3",
        _CANCEL,
        _holds_made_to_order,
        "the order holds a made-to-order item",
        ("made to order", "made-to-order"),
        near=_another_order(lambda db, order: any(db.product_of(line.item_id).made_to_order for line in order.lines)),
    ),
    Rule(
        "3.2",
        _BACK,
        _window_closed,
        "the days for bringing it back after delivery are over",
        ("days", "window", "too late", "period", "deadline"),
        near=_window_closes,
    ),
    Rule(
        "3.3",
        _BACK,
        _is_final_sale,
        "it was a final-sale item",
        ("final sale", "final-sale"),
        near=_another_item(lambda product: product.final_sale),
    ),
    Rule(
        "3.4",
        _BACK,
        _is_care,
        "care products stay with the customer for hygiene",
        ("hygiene", "care product"),
        near=_another_item(lambda product: product.category == "care"),
    ),
    Rule(
        "3.5",
        _RETURN,
        _refund_astray,
        "a refund goes only to the payment method of the order or to a gift card",
        ("payment method of the order", "original", "or to a gift card", "or a gift card", "was paid with"),
        near=_refund_to_another_gift_card,
    ),
    Rule(
        "3.6",
        _RETURN,
        _refund_too_large,
        "a refund above 250.00 goes only to the payment method of the order",
        ("250.00", "above 250", "over 250", "more than 250", "$250", "original", "payment method of the order"),
        near=_refund_almost_too_large,
    ),
    Rule(
        "3.7",
        _RETURN,
        _another_return_open,
        "basic members return items of one order at a time, and another order has returned items",
        ("one order at a time", "basic member", "another order", "other order", "different order"),
        near=_another_return_allowed,
    ),
    Rule(
        "4.2",
        _EXCHANGE,
        _exchanged_before,
        "there is one exchange per order and it was made",
        ("one exchange", "once", "already", "per order"),
        near=_another_order(lambda db, order: order.exchanged),
    ),
    Rule(
        "4.3",
        _EXCHANGE,
        _is_made_to_order,
        "it is a made-to-order item",
        ("made to order", "made-to-order"),
        near=_another_item(lambda product: product.made_to_order),
    ),
    Rule(
        "5.2",
        frozenset({"change_order_item"}),
        _changed_before,
        "items of an order can be changed once, and that was done",
        ("once", "already", "second time"),
        near=_another_order(lambda db, order: order.changed),
    ),
    Rule(
        "5.3",
        _READDRESS,
        _leaves_country,
        "an order has to stay in its country",
        ("country", "abroad"),
        near=_another_address_leaves_country,
    ),
    Rule(
        "5.4",
        _READDRESS,
        _is_express,
        "express orders keep their address",
        ("express",),
        near=_another_order(lambda db, order: order.express),
    ),
    Rule(
        "5.5",
        frozenset({"change_order_payment"}),
        _paid_by_gift_card,
        "an order paid with a gift card keeps that payment method",
        (
            "paid with a gift card",
            "paid by gift card",
            "paid for with a gift card",
            "gift card payment",
            "gift card order",
        ),
        near=_another_order(_pays_by_gift_card),
    ),
    Rule(
        "5.6",
        frozenset({"set_gift_note"}),
        _note_too_long,
        "a gift note has at most 60 characters",
        ("60 char", "sixty", "too long", "characters"),
        near=_note_almost_too_long,
    ),
    Rule(
        "6.2",
        _PRICE_DROP,
        _price_protection_over,
        "price protection ends 14 days after the order was placed",
        ("14 days", "14-day", "fourteen", "too late", "too long ago"),
        near=_price_protection_ends,
    ),
    Rule(
        "6.3",
        _PRICE_DROP,
        _price_protected_before,
        "price protection works once per order, and it was used",
        ("once", "already", "one time"),
        near=_another_order(lambda db, order: order.price_protected),
    ),
    Rule(
        "6.4",
        _PRICE_DROP,
        _is_final_sale,
        "final-sale items have no price protection",
        ("final sale", "final-sale"),
        near=_another_item(lambda product: product.final_sale),
    ),
    Rule(
        "7.1",
        frozenset({"set_default_address"}),
        _is_packing,
        "an order of yours is being packed",
        ("packed", "processed", "being processed"),
        near=_was_packed,
    ),
    Rule(
        "7.2",
        frozenset({"update_email"}),
        _email_changed_lately,
        "the e-mail can be changed once in 90 days",
        ("90 days", "90-day", "ninety", "once in", "recently"),
        near=_email_changed_before,
    ),
    Rule(
        "7.3",
        frozenset({"add_address"}),
        _unserved_country,
        "we deliver only to the United States, Canada and Mexico",
        ("united states", "canada", "mexico", "deliver"),
        near=_other_served_country,
    ),
)

_KEPT_WHILE_PENDING = _PENDING | _CANCEL

CONSTRAINTS = (
    Constraint(
        "order processed",
        _KEPT_WHILE_PENDING,
        "is processed; only pending",
        "the order is being processed and no longer pending",
        ("processed", "pending", "packed"),
    ),
    Constraint(
        "order shipped",
        _KEPT_WHILE_PENDING | {"set_gift_note"},
        "is shipped; only pending",
        "the order has been shipped already",
        ("shipped", "on its way", "has left", "dispatched", "in transit", "pending"),
    ),
    Constraint(
        "order cancelled",
        _KEPT_WHILE_PENDING | {"set_gift_note"},
        "is cancelled; only pending",
        "the order was cancelled already",
        ("already", "is cancelled", "was cancelled", "been cancelled", "is canceled", "was canceled", "been canceled"),
    ),
    Constraint(
        "item returned",
        _BACK,
        "is returned already",
        "the item was returned already",
        ("already", "was returned", "is returned", "been returned"),
    ),
    Constraint(
        "variant out of stock",
        _EXCHANGE | {"change_order_item"},
        "is out of stock",
        "that variant is out of stock",
        ("stock", "sold out", "unavailable", "not available"),
    ),
    Constraint(
        "gift card holds too little",
        _EXCHANGE | {"change_order_item", "change_order_payment"},
        "use another payment method",
        "the gift card does not hold enough money",
        ("enough", "balance", "only holds", "holds only", "insufficient", "not cover", "too little"),
    ),
    Constraint(
        "no lower price",
        _PRICE_DROP,
        "nothing to refund",
        "the item does not cost less today than was paid",
        (
            "cost less",
            "costs less",
            "cheaper",
            "lower",
            "higher",
            "dropped",
            "gone down",
            "same price",
            "nothing to refund",
        ),
    ),
)
