"""What the shop's service desk can do. Tools enforce what the backend would; the rest is policy."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from t2t.domain.tool import tool
from t2t.domains.retail.schema import (
    REQUIRED_STATUS,
    RETURN_FEE_CENTS,
    TODAY,
    Address,
    AddressId,
    AddressLabel,
    AddressLine,
    CancelReason,
    Category,
    Email,
    FullName,
    Item,
    ItemId,
    Line,
    NewEmail,
    NoteText,
    Order,
    OrderId,
    Payment,
    PaymentId,
    Posting,
    ProductId,
    RetailDB,
    SearchText,
    Status,
    Tier,
    User,
    UserId,
    ZipCode,
    money,
)
from t2t.errors import ToolError


@dataclass(frozen=True, slots=True)
class AddressView:
    """An address of the user's book."""

    address_id: AddressId
    label: AddressLabel
    address: str


@dataclass(frozen=True, slots=True)
class PaymentView:
    """A payment method; the balance of a gift card is shown by get_gift_card."""

    payment_id: PaymentId
    label: str


@dataclass(frozen=True, slots=True)
class UserView:
    """A customer's account."""

    user_id: UserId
    name: str
    email: str
    email_changed: str
    tier: Tier
    default_address: AddressId
    addresses: tuple[AddressView, ...]
    payments: tuple[PaymentView, ...]


@dataclass(frozen=True, slots=True)
class OrderSummary:
    """An order in a list."""

    order_id: OrderId
    status: Status
    ordered: str
    items: tuple[str, ...]
    total: str


@dataclass(frozen=True, slots=True)
class LineView:
    """An article of an order; `terms` is empty, "final sale" or "made to order"."""

    item_id: ItemId
    product_id: ProductId
    name: str
    options: str
    price: str
    category: Category
    terms: str
    state: str


@dataclass(frozen=True, slots=True)
class OrderView:
    """An order with all that the policy asks about."""

    order_id: OrderId
    user_id: UserId
    status: Status
    ordered: str
    delivery: str
    express: bool
    address: str
    paid_with: PaymentId
    total: str
    items: tuple[LineView, ...]
    gift_note: str
    exchanged: bool
    changed: bool
    price_protected: bool


@dataclass(frozen=True, slots=True)
class ItemView:
    """A variant at today's price."""

    item_id: ItemId
    options: str
    price: str
    stock: int


@dataclass(frozen=True, slots=True)
class ProductView:
    """A product with its variants."""

    product_id: ProductId
    name: str
    category: Category
    terms: str
    items: tuple[ItemView, ...]


@dataclass(frozen=True, slots=True)
class ProductHit:
    """A hit of the catalogue search."""

    product_id: ProductId
    name: str
    price_from: str


@dataclass(frozen=True, slots=True)
class Tracking:
    """Where an order is; `delivery` is the day it was, or is expected to be, delivered."""

    order_id: OrderId
    status: Status
    delivery: str


@dataclass(frozen=True, slots=True)
class ReturnQuote:
    """What a return would pay back."""

    prices: str
    fee: str
    refund: str


@dataclass(frozen=True, slots=True)
class SwapQuote:
    """What a swap of variants would cost or pay back."""

    to_pay: str
    refund: str


@dataclass(frozen=True, slots=True)
class GiftCardView:
    """A gift card and what it holds."""

    label: str
    balance: str


@dataclass(frozen=True, slots=True)
class Receipt:
    """Money that a change of an order moved."""

    order_id: OrderId
    status: Status
    paid: str
    refunded: str
    payment_id: PaymentId


@dataclass(frozen=True, slots=True)
class Swap:
    """A swap of variants: what it cost or paid back, and through which payment method."""

    to_pay: str
    refund: str
    payment_id: PaymentId


def find_user(db: RetailDB, user_id: str) -> User:
    """The user with this id.

    Raises:
        ToolError: there is none.
    """
    found = db.users.get(user_id)
    if found is None:
        raise ToolError(f"no user {user_id!r}; ids look like 'U100001' and come from find_user_by_email")
    return found


def find_order(db: RetailDB, order_id: str) -> Order:
    """The order with this id.

    Raises:
        ToolError: there is none.
    """
    found = db.orders.get(order_id)
    if found is None:
        raise ToolError(f"no order {order_id!r}; ids look like 'R1000001' and come from list_orders")
    return found


def _find_order_for(db: RetailDB, order_id: str, tool_name: str, what: str) -> Order:
    order = find_order(db, order_id)
    allowed = REQUIRED_STATUS[tool_name]
    if order.status not in allowed:
        raise ToolError(f"order {order.id} is {order.status}; only {' or '.join(allowed)} orders can {what}")
    return order


def _find_line(order: Order, item_id: str) -> Line:
    for line in order.lines:
        if line.item_id == item_id:
            return line
    known = ", ".join(line.item_id for line in order.lines)
    raise ToolError(f"order {order.id} holds no item {item_id!r}; its items are {known}")


def _find_open_line(order: Order, item_id: str) -> Line:
    line = _find_line(order, item_id)
    if line.state != "ordered":
        raise ToolError(f"item {item_id} of order {order.id} is {line.state} already; name an item that is not")
    return line


def _find_payment(user: User, payment_id: str) -> Payment:
    for payment in user.payments:
        if payment.id == payment_id:
            return payment
    known = ", ".join(payment.id for payment in user.payments)
    raise ToolError(f"user {user.id} has no payment method {payment_id!r}; they have {known}")


def _find_address(user: User, address_id: str) -> Address:
    for address in user.addresses:
        if address.id == address_id:
            return address
    known = ", ".join(address.id for address in user.addresses)
    raise ToolError(f"user {user.id} has no address {address_id!r}; they have {known}; add_address adds one")


def _move_money(db: RetailDB, user_id: UserId, payment_id: PaymentId, cents: int) -> None:
    """Charge (positive) or refund (negative); only gift cards keep a balance here."""
    user = db.users[user_id]
    payment = _find_payment(user, payment_id)
    if payment.kind != "gift_card" or cents == 0:
        return
    if payment.balance_cents < cents:
        raise ToolError(
            f"the {payment.label} holds {money(payment.balance_cents)}, not {money(cents)}; use another payment method"
        )
    charged = replace(payment, balance_cents=payment.balance_cents - cents)
    db.users.put(replace(user, payments=tuple(charged if p.id == payment_id else p for p in user.payments)))


def _post(db: RetailDB, order: Order, payment_id: PaymentId, cents: int) -> None:
    """Write an order together with the money that moves for it."""
    _move_money(db, order.user_id, payment_id, cents)
    postings = (*order.postings, Posting(payment_id, cents)) if cents else order.postings
    db.orders.put(replace(order, postings=postings))


def _line_view(db: RetailDB, line: Line) -> LineView:
    item, product = db.items[line.item_id], db.product_of(line.item_id)
    return LineView(
        line.item_id,
        product.id,
        product.name,
        item.options_text,
        money(line.price_cents),
        product.category,
        product.terms,
        line.state,
    )


def return_fee_cents(user: User) -> int:
    """What the shop keeps back for one return."""
    return RETURN_FEE_CENTS if user.tier == "basic" else 0


def refund_cents(db: RetailDB, order: Order, item_ids: Sequence[str]) -> int:
    """What a return of these items pays back; items the order does not hold count nothing."""
    prices = sum(line.price_cents for line in order.lines if line.item_id in item_ids)
    return max(0, prices - return_fee_cents(db.users[order.user_id]))


def _new_variant(db: RetailDB, old: Line, new_item_id: ItemId) -> Item:
    new = db.items.get(new_item_id)
    product = db.product_of(old.item_id)
    if new is None or new.product_id != product.id:
        raise ToolError(
            f"item {new_item_id!r} is no variant of the {product.name}; get_product {product.id} lists its variants"
        )
    if new.id == old.item_id:
        raise ToolError(f"item {new.id} is the one the order holds; name another variant")
    if new.stock == 0:
        raise ToolError(f"item {new.id} ({new.options_text}) is out of stock; name a variant in stock")
    return new


def _quote(old: Line, new: Item) -> SwapQuote:
    difference = new.price_cents - old.price_cents
    return SwapQuote(money(max(0, difference)), money(max(0, -difference)))


def _swap(
    db: RetailDB, order: Order, item_id: ItemId, new_item_id: ItemId, payment_id: PaymentId, *, delivered: bool
) -> Swap:
    old = _find_open_line(order, item_id)
    new = _new_variant(db, old, new_item_id)
    if any(line.item_id == new.id for line in order.lines):
        raise ToolError(f"order {order.id} holds item {new.id} already; name another variant")
    line = Line(new.id, new.price_cents, "exchanged" if delivered else "ordered")
    order = replace(order, lines=tuple(line if row is old else row for row in order.lines))
    order = replace(order, exchanged=True) if delivered else replace(order, changed=True)
    _post(db, order, payment_id, new.price_cents - old.price_cents)
    db.items.put(replace(new, stock=new.stock - 1))
    quote = _quote(old, new)
    return Swap(quote.to_pay, quote.refund, payment_id)


@tool(writes=False)
def find_user_by_email(db: RetailDB, email: Email) -> UserId:
    """Find a customer by e-mail and get the user id.

    Args:
        email: E-mail of the account.
    """
    found = db.users.where("email", email.strip().lower())
    if not found:
        raise ToolError(f"no account with e-mail {email!r}; ask the caller to spell it, or for name and zip code")
    return found[0].id


@tool(writes=False)
def find_user_by_name_zip(db: RetailDB, name: FullName, zip_code: ZipCode) -> UserId:
    """Find a customer by full name and zip code and get the user id.

    Args:
        name: First and last name.
        zip_code: Zip code of the account, five digits.
    """
    for user in db.users.where("name", name.strip().title()):
        if user.zip_code == zip_code.strip():
            return user.id
    raise ToolError(f"no account of {name!r} with zip code {zip_code!r}; ask the caller again, or for the e-mail")


@tool(writes=False)
def get_user(db: RetailDB, user_id: UserId) -> UserView:
    """Get an account: tier, addresses, payment methods.

    Args:
        user_id: Id of the user.
    """
    user = find_user(db, user_id)
    return UserView(
        user.id,
        user.name,
        user.email,
        user.email_changed,
        user.tier,
        user.default_address,
        tuple(AddressView(row.id, row.label, row.line) for row in user.addresses),
        tuple(PaymentView(row.id, row.label) for row in user.payments),
    )


@tool(writes=False)
def list_orders(db: RetailDB, user_id: UserId) -> list[OrderSummary]:
    """List a customer's orders, latest first.

    Args:
        user_id: Id of the user.
    """
    user = find_user(db, user_id)
    orders = sorted(db.orders.where("user_id", user.id), key=lambda order: order.ordered, reverse=True)
    return [
        OrderSummary(
            order.id,
            order.status,
            order.ordered,
            tuple(
                f"{db.products[item.product_id].name} ({item.options_text})"
                for item in [db.items[line.item_id] for line in order.lines]
            ),
            money(order.total_cents),
        )
        for order in orders
    ]


@tool(writes=False)
def get_order(db: RetailDB, order_id: OrderId) -> OrderView:
    """Get an order with its items.

    Args:
        order_id: Id of the order.
    """
    order = find_order(db, order_id)
    return OrderView(
        order.id,
        order.user_id,
        order.status,
        order.ordered,
        order.delivery,
        order.express,
        order.address,
        order.payment_id,
        money(order.total_cents),
        tuple(_line_view(db, line) for line in order.lines),
        order.gift_note,
        order.exchanged,
        order.changed,
        order.price_protected,
    )


@tool(writes=False)
def get_product(db: RetailDB, product_id: ProductId) -> ProductView:
    """Get a product with all variants, their prices of today and stock.

    Args:
        product_id: Id of the product.
    """
    product = db.products.get(product_id)
    if product is None:
        raise ToolError(f"no product {product_id!r}; ids look like 'P1001' and come from get_order or search_products")
    variants = tuple(
        ItemView(item.id, item.options_text, money(item.price_cents), item.stock)
        for item in (db.items[item_id] for item_id in product.items)
    )
    return ProductView(product.id, product.name, product.category, product.terms, variants)


@tool(writes=False)
def search_products(db: RetailDB, text: SearchText) -> list[ProductHit]:
    """Search the catalogue; at most six hits.

    Args:
        text: Brand, kind or both, such as "desk lamp".
    """
    first, *others = text.lower().split() or [""]
    hits: list[ProductHit] = []
    if not first:
        return hits
    for text_of_product, product_id in db.products.column("search_text"):
        if first in text_of_product and all(word in text_of_product for word in others):
            product = db.products[product_id]
            cheapest = min(db.items[item_id].price_cents for item_id in product.items)
            hits.append(ProductHit(product.id, product.name, money(cheapest)))
        if len(hits) == 6:
            break
    return hits


@tool(writes=False)
def track_order(db: RetailDB, order_id: OrderId) -> Tracking:
    """Get the status and the day of delivery of an order.

    Args:
        order_id: Id of the order.
    """
    order = find_order(db, order_id)
    if order.status == "cancelled":
        raise ToolError(f"order {order_id} is cancelled and will not be delivered; only other orders are tracked")
    return Tracking(order.id, order.status, order.delivery)


@tool(writes=False)
def quote_return(db: RetailDB, order_id: OrderId, item_ids: list[ItemId]) -> ReturnQuote:
    """Get what a return of items would refund; changes nothing.

    Args:
        order_id: Id of the order.
        item_ids: Ids of the items.
    """
    order = _find_order_for(db, order_id, "quote_return", "be returned")
    _require_distinct(item_ids)
    prices = sum(_find_open_line(order, item_id).price_cents for item_id in item_ids)
    refund = refund_cents(db, order, item_ids)
    return ReturnQuote(money(prices), money(prices - refund), money(refund))


@tool(writes=False)
def quote_swap(db: RetailDB, order_id: OrderId, item_id: ItemId, new_item_id: ItemId) -> SwapQuote:
    """Get the price difference of an exchange or a change of item; changes nothing.

    Args:
        order_id: Id of the order.
        item_id: Id of the item in the order.
        new_item_id: Id of the variant wanted instead.
    """
    old = _find_open_line(find_order(db, order_id), item_id)
    return _quote(old, _new_variant(db, old, new_item_id))


@tool(writes=False)
def get_gift_card(db: RetailDB, user_id: UserId, payment_id: PaymentId) -> GiftCardView:
    """Get the balance of a gift card.

    Args:
        user_id: Id of the user.
        payment_id: Id of the gift card.
    """
    payment = _find_payment(find_user(db, user_id), payment_id)
    if payment.kind != "gift_card":
        raise ToolError(f"payment method {payment_id} is a {payment.kind}, not a gift card; only gift cards hold money")
    return GiftCardView(payment.label, money(payment.balance_cents))


@tool(writes=True)
def cancel_order(db: RetailDB, order_id: OrderId, reason: CancelReason) -> Receipt:
    """Cancel a pending order and refund the payment method it was paid with.

    Args:
        order_id: Id of the order.
        reason: Why the customer cancels.
    """
    order = _find_order_for(db, order_id, "cancel_order", "be cancelled")
    _post(
        db, replace(order, status="cancelled", delivery="", cancel_reason=reason), order.payment_id, -order.total_cents
    )
    return Receipt(order.id, "cancelled", money(0), money(order.total_cents), order.payment_id)


@tool(writes=True)
def return_items(db: RetailDB, order_id: OrderId, item_ids: list[ItemId], refund_to: PaymentId) -> Receipt:
    """Return items of a delivered order for a refund.

    Args:
        order_id: Id of the order.
        item_ids: Ids of the items that come back.
        refund_to: Id of the payment method that receives the refund.
    """
    order = _find_order_for(db, order_id, "return_items", "be returned")
    _require_distinct(item_ids)
    for item_id in item_ids:
        _find_open_line(order, item_id)
    refund = refund_cents(db, order, item_ids)
    lines = tuple(replace(line, state="returned") if line.item_id in item_ids else line for line in order.lines)
    _post(db, replace(order, lines=lines), refund_to, -refund)
    return Receipt(order.id, order.status, money(0), money(refund), refund_to)


@tool(writes=True)
def exchange_item(db: RetailDB, order_id: OrderId, item_id: ItemId, new_item_id: ItemId, payment_id: PaymentId) -> Swap:
    """Exchange an item of a delivered order for another variant of the same product.

    Args:
        order_id: Id of the order.
        item_id: Id of the item that comes back.
        new_item_id: Id of the variant wanted instead; must be in stock.
        payment_id: Id of the payment method that pays or receives the price difference.
    """
    order = _find_order_for(
        db, order_id, "exchange_item", "have items exchanged; change_order_item serves pending ones"
    )
    return _swap(db, order, item_id, new_item_id, payment_id, delivered=True)


@tool(writes=True)
def change_order_item(
    db: RetailDB, order_id: OrderId, item_id: ItemId, new_item_id: ItemId, payment_id: PaymentId
) -> Swap:
    """Change an item of a pending order into another variant of the same product.

    Args:
        order_id: Id of the order.
        item_id: Id of the item in the order.
        new_item_id: Id of the variant wanted instead; must be in stock.
        payment_id: Id of the payment method that pays or receives the price difference.
    """
    order = _find_order_for(
        db, order_id, "change_order_item", "have items changed; exchange_item serves delivered ones"
    )
    return _swap(db, order, item_id, new_item_id, payment_id, delivered=False)


@tool(writes=True)
def change_order_address(db: RetailDB, order_id: OrderId, address_id: AddressId) -> str:
    """Send a pending order to another address of the customer's address book.

    Args:
        order_id: Id of the order.
        address_id: Id of the address.
    """
    order = _find_order_for(db, order_id, "change_order_address", "be sent elsewhere")
    address = _find_address(db.users[order.user_id], address_id)
    if address.line == order.address:
        raise ToolError(f"order {order_id} goes to {address.line} already; name another address")
    db.orders.put(replace(order, address=address.line))
    return f"order {order_id} goes to {address.line}, no longer to {order.address}"


@tool(writes=True)
def change_order_payment(db: RetailDB, order_id: OrderId, payment_id: PaymentId) -> str:
    """Charge a pending order to another payment method of the customer.

    Args:
        order_id: Id of the order.
        payment_id: Id of the payment method to charge instead.
    """
    order = _find_order_for(db, order_id, "change_order_payment", "be charged to another payment method")
    if order.payment_id == payment_id:
        raise ToolError(f"order {order_id} is paid with {payment_id} already; name another payment method")
    user = db.users[order.user_id]
    before, label = (_find_payment(user, row).label for row in (order.payment_id, payment_id))
    _move_money(db, order.user_id, order.payment_id, -order.total_cents)
    _move_money(db, order.user_id, payment_id, order.total_cents)
    db.orders.put(replace(order, payment_id=payment_id))
    return f"{money(order.total_cents)} is charged to {label}, no longer to {before}"


@tool(writes=True)
def set_gift_note(db: RetailDB, order_id: OrderId, note: NoteText) -> str:
    """Put a gift note into an order that is not yet shipped.

    Args:
        order_id: Id of the order.
        note: Text of the note, word for word.
    """
    order = _find_order_for(db, order_id, "set_gift_note", "get a gift note")
    text = note.strip()
    if not text:
        raise ToolError("the note is empty; ask the caller for its text")
    if text == order.gift_note:
        raise ToolError(f"order {order_id} holds this note already; name another text")
    db.orders.put(replace(order, gift_note=text))
    return f"order {order_id} gets the note: {text}"


@tool(writes=True)
def refund_price_drop(db: RetailDB, order_id: OrderId, item_id: ItemId) -> Receipt:
    """Refund the difference when an item costs less today than the customer paid.

    Args:
        order_id: Id of the order.
        item_id: Id of the item.
    """
    order = _find_order_for(db, order_id, "refund_price_drop", "get a price refund")
    line = _find_open_line(order, item_id)
    price = db.items[item_id].price_cents
    if price >= line.price_cents:
        raise ToolError(
            f"item {item_id} costs {money(price)} today and {money(line.price_cents)} was paid; nothing to refund"
        )
    lines = tuple(replace(row, price_cents=price) if row is line else row for row in order.lines)
    drop = line.price_cents - price
    _post(db, replace(order, lines=lines, price_protected=True), order.payment_id, -drop)
    return Receipt(order.id, order.status, money(0), money(drop), order.payment_id)


@tool(writes=True)
def set_default_address(db: RetailDB, user_id: UserId, address_id: AddressId) -> str:
    """Make an address of the address book the default for orders to come.

    Args:
        user_id: Id of the user.
        address_id: Id of the address.
    """
    user = find_user(db, user_id)
    address = _find_address(user, address_id)
    if user.default_address == address_id:
        raise ToolError(f"{address.line} is the default address already; name another address")
    db.users.put(replace(user, default_address=address.id))
    return f"default address: {address.line}"


@tool(writes=True)
def add_address(db: RetailDB, user_id: UserId, label: AddressLabel, address: AddressLine) -> AddressView:
    """Add an address to the address book; orders and the default stay as they are.

    Args:
        user_id: Id of the user.
        label: What the customer calls it.
        address: In one line: street and number, city and zip code, country.
    """
    user = find_user(db, user_id)
    parts = [part.strip() for part in address.split(",")]
    city, _, zip_code = parts[1].rpartition(" ") if len(parts) == 3 else ("", "", "")
    if not (city and re.fullmatch(r"\d{5}", zip_code) and parts[0] and parts[2]):
        raise ToolError(f"cannot read the address {address!r}; write it like '12 Alder Row, Farholt 20417, Canada'")
    if any(row.line == ", ".join(parts) for row in user.addresses):
        raise ToolError(f"{address} is in the address book already; get_user lists its id")
    row = Address(AddressId(f"A{user.id[1:]}{len(user.addresses) + 1}"), label, parts[0], city, zip_code, parts[2])
    db.users.put(replace(user, addresses=(*user.addresses, row)))
    return AddressView(row.id, row.label, row.line)


@tool(writes=True)
def update_email(db: RetailDB, user_id: UserId, new_email: NewEmail) -> str:
    """Change the e-mail of an account.

    Args:
        user_id: Id of the user.
        new_email: The address to use from now on.
    """
    user = find_user(db, user_id)
    email = new_email.strip().lower()
    if not re.fullmatch(r"[^@\s]+@[^@\s]+\.[a-z]+", email):
        raise ToolError(f"{new_email!r} is no e-mail address; it needs a name, an @ and a domain")
    if db.users.where("email", email):
        raise ToolError(f"{email} belongs to an account already; ask for another address")
    db.users.put(replace(user, email=Email(email), email_changed=TODAY.isoformat()))
    return f"e-mail of {user.name}: {email}"


def _require_distinct(item_ids: Sequence[str]) -> None:
    if not item_ids or len(set(item_ids)) < len(item_ids):
        raise ToolError("item_ids must name each item once, and at least one item")


TOOLS = (
    find_user_by_email,
    find_user_by_name_zip,
    get_user,
    list_orders,
    get_order,
    get_product,
    search_products,
    track_order,
    quote_return,
    quote_swap,
    get_gift_card,
    cancel_order,
    return_items,
    exchange_item,
    change_order_item,
    change_order_address,
    change_order_payment,
    set_gift_note,
    refund_price_drop,
    set_default_address,
    add_address,
    update_email,
)
