"""Everything a caller of the shop could mean: calls and what a caller could say of them.

What is told of a candidate is true of it and of no candidate with another value, so that counting the
candidates that fit tells how clear a sentence is.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from itertools import combinations

from t2t.domain.database import Base
from t2t.domain.wish import Candidate
from t2t.domains.retail.data import new_addresses, new_emails, notes_of
from t2t.domains.retail.schema import (
    ADDRESS_LABELS,
    CANCEL_REASONS,
    AddressLine,
    Email,
    FullName,
    Line,
    NewEmail,
    NoteText,
    Order,
    Payment,
    RetailDB,
    SearchText,
    Status,
    ZipCode,
)

_OPEN: tuple[Status, ...] = ("pending", "processed", "shipped")
_ON_ITS_WAY: tuple[Status, ...] = (*_OPEN, "delivered")


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What a caller brings: who they are and what they may ask for."""

    email: Email
    name: FullName
    zip_code: ZipCode
    texts: tuple[SearchText, ...]
    new_emails: tuple[NewEmail, ...]
    new_addresses: tuple[AddressLine, ...]
    notes: tuple[NoteText, ...]


def knowledge(db: RetailDB, caller: str, rng: random.Random) -> Knowledge:
    """What this caller brings to a walk."""
    user = db.users[caller]
    products = list(db.base.tables["products"])
    texts = (SearchText(db.products[product_id].name) for product_id in rng.sample(products, 2))
    return Knowledge(
        user.email, user.name, user.zip_code, tuple(texts), new_emails(user), new_addresses(user), notes_of(user)
    )


def caller_facts(db: RetailDB, caller: str) -> dict[str, str]:
    """What a caller knows about themselves."""
    user = db.users[caller]
    return {"email": user.email, "name": user.name, "zip": user.zip_code}


def account(db: RetailDB, caller: str) -> Iterator[Candidate]:
    """The caller's own account."""
    del db  # the id says it all
    yield Candidate({"user_id": caller}, {})


def orders_to_total(db: RetailDB, caller: str) -> Iterator[Candidate]:
    """Any order; the call lists them all."""
    for _, slots in _orders(db, caller, (*_ON_ITS_WAY, "cancelled")):
        yield Candidate({"user_id": caller}, slots)


def orders_to_track(db: RetailDB, caller: str) -> Iterator[Candidate]:
    """Any order that is, or was, on its way."""
    for order, slots in _orders(db, caller, _ON_ITS_WAY):
        yield Candidate({"order_id": order.id}, slots)


def cancellations(db: RetailDB, caller: str) -> Iterator[Candidate]:
    """Any order that did not arrive yet, also one that was cancelled before the talk, for each reason."""
    for order, slots in _orders(db, caller, (*_OPEN, "cancelled")):
        if order.status == "cancelled" and order is not db.base.tables["orders"].get(order.id):
            continue
        for reason in CANCEL_REASONS:
            yield Candidate({"order_id": order.id, "reason": reason}, {**slots, "reason": reason})


def address_changes(db: RetailDB, caller: str) -> Iterator[Candidate]:
    """Any order that did not arrive yet, to any other address of the book."""
    for order, slots in _orders(db, caller, _OPEN):
        for address in db.users[caller].addresses:
            if address.line != order.address:
                told = {**slots, "address": f"{address.label} address", "street": address.street}
                yield Candidate({"order_id": order.id, "address_id": address.id}, told)


def payment_changes(db: RetailDB, caller: str) -> Iterator[Candidate]:
    """Any order that did not arrive yet, to any other payment method."""
    for order, slots in _orders(db, caller, _OPEN):
        for payment in db.users[caller].payments:
            if payment.id != order.payment_id:
                told = {**slots, **_payment_slots(payment)}
                yield Candidate({"order_id": order.id, "payment_id": payment.id}, told)


def gift_notes(db: RetailDB, caller: str) -> Iterator[Candidate]:
    """Any order that did not arrive yet, with each note the caller has in mind."""
    for order, slots in _orders(db, caller, _OPEN):
        for note in notes_of(db.users[caller]):
            yield Candidate({"order_id": order.id, "note": note}, {**slots, "note": note})


def return_quotes(db: RetailDB, caller: str) -> Iterator[Candidate]:
    """Any delivered item, or two of one order."""
    for order, lines, slots in _returnable(db, caller):
        yield Candidate({"order_id": order.id, "item_ids": [line.item_id for line in lines]}, slots)


def returns(db: RetailDB, caller: str) -> Iterator[Candidate]:
    """Any delivered item, also one returned before the talk, or two of one order, refunded to any payment method."""
    for order, lines, slots in (*_returnable(db, caller), *_returned(db, caller)):
        for payment in db.users[caller].payments:
            yield Candidate(
                {"order_id": order.id, "item_ids": [line.item_id for line in lines], "refund_to": payment.id},
                {**slots, **_payment_slots(payment)},
            )


def exchanges(db: RetailDB, caller: str) -> Iterator[Candidate]:
    """Any delivered item for any other variant, with any payment method."""
    yield from _paid_swaps(db, caller, ("delivered",))


def item_changes(db: RetailDB, caller: str) -> Iterator[Candidate]:
    """Any item of a pending order for any other variant, with any payment method."""
    yield from _paid_swaps(db, caller, ("pending",))


def swap_quotes(db: RetailDB, caller: str) -> Iterator[Candidate]:
    """Any item that could be swapped for any other variant."""
    for order, line, slots in _lines(db, caller, ("pending", "delivered")):
        yield from _swaps(db, order, line, slots)


def price_drops(db: RetailDB, caller: str) -> Iterator[Candidate]:
    """Any item of any order."""
    for order, line, slots in _lines(db, caller, _ON_ITS_WAY):
        yield Candidate({"order_id": order.id, "item_id": line.item_id}, slots)


def default_addresses(db: RetailDB, caller: str) -> Iterator[Candidate]:
    """Any address of the book that is not the default."""
    user = db.users[caller]
    for address in user.addresses:
        if address.id != user.default_address:
            told = {"address": f"{address.label} address", "street": address.street}
            yield Candidate({"user_id": caller, "address_id": address.id}, told)


def address_additions(db: RetailDB, caller: str) -> Iterator[Candidate]:
    """Each address the caller has in mind, under each label."""
    for line in new_addresses(db.users[caller]):
        for label in ADDRESS_LABELS:
            arguments = {"user_id": caller, "label": label, "address": line}
            yield Candidate({**arguments}, {"new_address": line, "label": label})


def email_updates(db: RetailDB, caller: str) -> Iterator[Candidate]:
    """Each e-mail address the caller has in mind."""
    for email in new_emails(db.users[caller]):
        yield Candidate({"user_id": caller, "new_email": email}, {"new_email": email})


def gift_cards(db: RetailDB, caller: str) -> Iterator[Candidate]:
    """Any gift card of the caller."""
    for payment in db.users[caller].payments:
        if payment.kind == "gift_card":
            yield Candidate({"user_id": caller, "payment_id": payment.id}, {"payment": payment.label})


def catalogue(db: RetailDB, caller: str) -> Sequence[Candidate]:
    """Any variant of any product."""
    del caller  # the catalogue is open to all
    return _catalogue(db.base)


@lru_cache(maxsize=4)
def _catalogue(base: Base) -> Sequence[Candidate]:
    """The same for every caller and in every state, as no tool changes names or options."""
    db = RetailDB(base)
    variants = ((db.products[item.product_id], item) for item in db.items)
    return tuple(
        Candidate({"product_id": product.id}, {"product": product.name, "variant": item.options_text})
        for product, item in variants
    )


@lru_cache(maxsize=1024)
def spoken_day(iso: str) -> str:
    """A day of an ISO date as a caller says it: "March 3"."""
    day = date.fromisoformat(iso)
    return f"{day:%B} {day.day}"


def _payment_slots(payment: Payment) -> dict[str, str]:
    return {"payment": payment.label, "way": payment.kind.replace("_", " ")}


def _orders(db: RetailDB, caller: str, statuses: Sequence[Status]) -> list[tuple[Order, dict[str, str]]]:
    """Orders of the caller in one of the statuses, with day and contents."""
    orders = [order for order in db.orders.where("user_id", caller) if order.status in statuses]
    contents = _contents(db, orders)
    return [
        (order, {"ordered": spoken_day(order.ordered), "contains": what})
        for order, what in zip(orders, contents, strict=True)
    ]


def _contents(db: RetailDB, orders: Sequence[Order]) -> list[str]:
    """By which article each order goes: one that all orders holding it go by, else the full list."""
    kinds = [sorted({db.product_of(line.item_id).kind for line in order.lines}) for order in orders]
    holders: dict[str, list[int]] = {}
    for index, names in enumerate(kinds):
        for name in names:
            holders.setdefault(name, []).append(index)
    chosen: dict[int, str] = {}
    for name, indices in sorted(holders.items(), key=lambda entry: (len(entry[1]) == 1, entry[0])):
        if not any(index in chosen for index in indices):
            chosen.update(dict.fromkeys(indices, f"the {name}"))
    return [chosen.get(index, f"just the {' and the '.join(names)}") for index, names in enumerate(kinds)]


def _item_text(db: RetailDB, line: Line) -> str:
    return db.items[line.item_id].described(db.product_of(line.item_id).name)


def _lines(
    db: RetailDB, caller: str, statuses: Sequence[Status], state: str = "ordered"
) -> Iterator[tuple[Order, Line, dict[str, str]]]:
    for order in db.orders.where("user_id", caller):
        if order.status in statuses:
            for line in order.lines:
                if line.state == state:
                    kind = db.product_of(line.item_id).kind
                    slots = {"item": _item_text(db, line), "thing": kind, "ordered": spoken_day(order.ordered)}
                    yield order, line, slots


def _returnable(db: RetailDB, caller: str) -> Iterator[tuple[Order, tuple[Line, ...], dict[str, str]]]:
    singles = list(_lines(db, caller, ("delivered",)))
    for order, line, slots in singles:
        yield order, (line,), slots
    for (order, first, slots), (other, second, more) in combinations(singles, 2):
        if order.id == other.id:
            both = {name: f"{slots[name]} and the {more[name]}" for name in ("item", "thing")}
            yield order, (first, second), {**both, "ordered": slots["ordered"]}


def _returned(db: RetailDB, caller: str) -> Iterator[tuple[Order, tuple[Line, ...], dict[str, str]]]:
    for order, line, slots in _lines(db, caller, ("delivered",), "returned"):
        before = db.base.tables["orders"].get(order.id)
        if isinstance(before, Order) and line in before.lines:
            yield order, (line,), slots


def _swaps(db: RetailDB, order: Order, line: Line, slots: dict[str, str]) -> Iterator[Candidate]:
    held = {row.item_id for row in order.lines}
    for item_id in db.product_of(line.item_id).items:
        if item_id not in held:
            arguments = {"order_id": order.id, "item_id": line.item_id, "new_item_id": item_id}
            yield Candidate({**arguments}, {**slots, "variant": db.items[item_id].options_text})


def _paid_swaps(db: RetailDB, caller: str, statuses: Sequence[Status]) -> Iterator[Candidate]:
    for order, line, slots in _lines(db, caller, statuses):
        for swap in _swaps(db, order, line, slots):
            for payment in db.users[caller].payments:
                told = {**swap.slots, **_payment_slots(payment)}
                yield Candidate({**swap.arguments, "payment_id": payment.id}, told)
