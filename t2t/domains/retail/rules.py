"""The clauses of ``policy.md`` that code checks and no tool enforces."""

from t2t.domain.rule import Rule, RuleContext
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
    ),
    Rule(
        "2.3", _CANCEL, _holds_made_to_order, "the order holds a made-to-order item", ("made to order", "made-to-order")
    ),
    Rule(
        "3.2",
        _BACK,
        _window_closed,
        "the days for bringing it back after delivery are over",
        ("days", "window", "too late", "period", "deadline"),
    ),
    Rule("3.3", _BACK, _is_final_sale, "it was a final-sale item", ("final sale", "final-sale")),
    Rule("3.4", _BACK, _is_care, "care products stay with the customer for hygiene", ("hygiene", "care product")),
    Rule(
        "3.5",
        _RETURN,
        _refund_astray,
        "a refund goes only to the payment method of the order or to a gift card",
        ("payment method of the order", "original", "or to a gift card", "or a gift card", "was paid with"),
    ),
    Rule(
        "3.6",
        _RETURN,
        _refund_too_large,
        "a refund above 250.00 goes only to the payment method of the order",
        ("250.00", "above 250", "over 250", "more than 250", "$250", "original", "payment method of the order"),
    ),
    Rule(
        "3.7",
        _RETURN,
        _another_return_open,
        "basic members return items of one order at a time, and another order has returned items",
        ("one order at a time", "basic member", "another order", "other order", "different order"),
    ),
    Rule(
        "4.2",
        _EXCHANGE,
        _exchanged_before,
        "there is one exchange per order and it was made",
        ("one exchange", "once", "already", "per order"),
    ),
    Rule("4.3", _EXCHANGE, _is_made_to_order, "it is a made-to-order item", ("made to order", "made-to-order")),
    Rule(
        "5.2",
        frozenset({"change_order_item"}),
        _changed_before,
        "items of an order can be changed once, and that was done",
        ("once", "already", "second time"),
    ),
    Rule(
        "5.3",
        _READDRESS,
        _leaves_country,
        "an order has to stay in its country",
        ("country", "abroad"),
    ),
    Rule("5.4", _READDRESS, _is_express, "express orders keep their address", ("express",)),
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
    ),
    Rule(
        "5.6",
        frozenset({"set_gift_note"}),
        _note_too_long,
        "a gift note has at most 60 characters",
        ("60 char", "sixty", "too long", "characters"),
    ),
    Rule(
        "6.2",
        _PRICE_DROP,
        _price_protection_over,
        "price protection ends 14 days after the order was placed",
        ("14 days", "14-day", "fourteen", "too late", "too long ago"),
    ),
    Rule(
        "6.3",
        _PRICE_DROP,
        _price_protected_before,
        "price protection works once per order, and it was used",
        ("once", "already", "one time"),
    ),
    Rule("6.4", _PRICE_DROP, _is_final_sale, "final-sale items have no price protection", ("final sale", "final-sale")),
    Rule(
        "7.1",
        frozenset({"set_default_address"}),
        _is_packing,
        "an order of yours is being packed",
        ("packed", "processed", "being processed"),
    ),
    Rule(
        "7.2",
        frozenset({"update_email"}),
        _email_changed_lately,
        "the e-mail can be changed once in 90 days",
        ("90 days", "90-day", "ninety", "once in", "recently"),
    ),
    Rule(
        "7.3",
        frozenset({"add_address"}),
        _unserved_country,
        "we deliver only to the United States, Canada and Mexico",
        ("united states", "canada", "mexico", "deliver"),
    ),
)
