"""Tables of the shop: products, items (their variants), users, orders."""

from dataclasses import dataclass, field
from datetime import date
from typing import Literal, NewType

from t2t.domain.database import Base, Database

UserId = NewType("UserId", str)
OrderId = NewType("OrderId", str)
ProductId = NewType("ProductId", str)
ItemId = NewType("ItemId", str)
"""One variant of a product, such as the black lamp; unique in the shop."""
PaymentId = NewType("PaymentId", str)
AddressId = NewType("AddressId", str)
Email = NewType("Email", str)
NewEmail = NewType("NewEmail", str)
"""An e-mail address that the shop does not know yet."""
FullName = NewType("FullName", str)
ZipCode = NewType("ZipCode", str)
AddressLine = NewType("AddressLine", str)
"""An address in one line: "12 Alder Row, Farholt 20417, Canada"."""
NoteText = NewType("NoteText", str)
SearchText = NewType("SearchText", str)

Status = Literal["pending", "processed", "shipped", "delivered", "cancelled"]
Category = Literal["clothing", "electronics", "home", "care"]
Tier = Literal["basic", "silver", "gold"]
CancelReason = Literal["ordered twice", "ordered by mistake", "found cheaper elsewhere"]
CANCEL_REASONS: tuple[CancelReason, ...] = ("ordered twice", "ordered by mistake", "found cheaper elsewhere")
AddressLabel = Literal["home", "work", "family"]
ADDRESS_LABELS: tuple[AddressLabel, ...] = ("home", "work", "family")

TODAY = date(2026, 3, 16)
"""The day on which every talk takes place; the policy names it."""
CANCEL_DAYS = 3
GOLD_CANCEL_DAYS = 7
RETURN_DAYS: dict[Category, int] = {"clothing": 60, "electronics": 14, "home": 30, "care": 30}
"""Days from delivery in which an item may come back, by category."""
RETURN_FEE_CENTS = 400
"""Kept back once for each return of a basic member."""
MAX_GIFT_CARD_REFUND_CENTS = 25000
MAX_NOTE_CHARACTERS = 60
PRICE_PROTECTION_DAYS = 14
EMAIL_DAYS = 90
REQUIRED_STATUS: dict[str, tuple[Status, ...]] = {
    "quote_return": ("delivered",),
    "cancel_order": ("pending",),
    "return_items": ("delivered",),
    "exchange_item": ("delivered",),
    "change_order_item": ("pending",),
    "change_order_address": ("pending",),
    "change_order_payment": ("pending",),
    "set_gift_note": ("pending", "processed"),
    "refund_price_drop": ("pending", "processed", "shipped", "delivered"),
}
"""Statuses of an order on which a tool works; the backend refuses the others."""
SERVED_COUNTRIES = ("United States", "Canada", "Mexico")


@dataclass(frozen=True, slots=True)
class Product:
    """A model that comes in several variants."""

    id: ProductId
    brand: str
    kind: str
    """What it is, as a customer calls it: "desk lamp"."""
    category: Category
    final_sale: bool
    """Sold off: no way back."""
    made_to_order: bool
    """Produced only when ordered."""
    items: tuple[ItemId, ...]
    """Its variants."""
    name: str = field(init=False)
    """Name in the shop: "Halden desk lamp"."""

    def __post_init__(self) -> None:
        """Put the name together once; tools show it all the time."""
        object.__setattr__(self, "name", f"{self.brand} {self.kind}")

    @property
    def search_text(self) -> str:
        """What a search looks in."""
        return self.name.lower()

    @property
    def terms(self) -> str:
        """Special terms; empty for most."""
        if self.final_sale:
            return "final sale"
        return "made to order" if self.made_to_order else ""


@dataclass(frozen=True, slots=True)
class Item:
    """A variant of a product."""

    id: ItemId
    product_id: ProductId
    options: tuple[str, ...]
    """Values such as ``("black", "60 cm")``; unique within the product."""
    before: int
    """How many of the options a speaker puts before the name; the rest follow it."""
    price_cents: int
    """Price of today."""
    stock: int
    options_text: str = field(init=False)
    """Options as tools show them: "black, 60 cm"."""

    def __post_init__(self) -> None:
        """Put the options together once; tools show them all the time."""
        object.__setattr__(self, "options_text", ", ".join(self.options))

    def described(self, product_name: str) -> str:
        """The variant in words: "black Halden desk lamp in 60 cm"."""
        name = " ".join((*self.options[: self.before], product_name))
        return " in ".join((name, *self.options[self.before :]))


@dataclass(frozen=True, slots=True)
class Address:
    """An entry of a user's address book."""

    id: AddressId
    label: AddressLabel
    street: str
    """Street and number."""
    city: str
    zip_code: str
    country: str

    @property
    def line(self) -> AddressLine:
        """The address in one line."""
        return AddressLine(f"{self.street}, {self.city} {self.zip_code}, {self.country}")


@dataclass(frozen=True, slots=True)
class Payment:
    """A payment method on file."""

    id: PaymentId
    kind: Literal["card", "gift_card", "wallet"]
    label: str
    """As customers say it: "Visa ending in 4242"; unique within the user."""
    balance_cents: int
    """What a gift card holds; 0 for the others."""


@dataclass(frozen=True, slots=True)
class User:
    """A customer with an account."""

    id: UserId
    name: FullName
    email: Email
    zip_code: ZipCode
    """Zip code of the account, by which a caller without e-mail is found."""
    tier: Tier
    addresses: tuple[Address, ...]
    default_address: AddressId
    payments: tuple[Payment, ...]
    email_changed: str
    """ISO date of the last change of e-mail, or of the account's opening."""


@dataclass(frozen=True, slots=True)
class Line:
    """One article of an order."""

    item_id: ItemId
    price_cents: int
    """What was paid for it."""
    state: Literal["ordered", "returned", "exchanged"] = "ordered"


@dataclass(frozen=True, slots=True)
class Posting:
    """Money that moved for an order after it was placed."""

    payment_id: PaymentId
    cents: int
    """Positive when the customer pays, negative when refunded."""


@dataclass(frozen=True, slots=True)
class Order:
    """An order."""

    id: OrderId
    user_id: UserId
    status: Status
    ordered: str
    """ISO date; no two orders of a user share it."""
    delivery: str
    """ISO date of delivery: done when the status is delivered, else expected."""
    express: bool
    address: AddressLine
    lines: tuple[Line, ...]
    payment_id: PaymentId
    gift_note: str = ""
    cancel_reason: str = ""
    exchanged: bool = False
    """An exchange was made for it."""
    changed: bool = False
    """An item was swapped while it was pending."""
    price_protected: bool = False
    """A later price drop was refunded."""
    postings: tuple[Posting, ...] = ()

    @property
    def total_cents(self) -> int:
        """What its articles cost."""
        return sum(line.price_cents for line in self.lines)


class RetailDB(Database):
    """The shop's tables."""

    def __init__(self, base: Base) -> None:
        """Open the tables over `base`."""
        super().__init__(base)
        self.products = self.table("products", Product)
        self.items = self.table("items", Item)
        self.users = self.table("users", User)
        self.orders = self.table("orders", Order)

    def product_of(self, item_id: ItemId) -> Product:
        """The product that an item is a variant of."""
        return self.products[self.items[item_id].product_id]


def money(cents: int) -> str:
    """An amount as it is written: "42.50"."""
    sign = "-" if cents < 0 else ""
    return f"{sign}{abs(cents) // 100}.{abs(cents) % 100:02d}"


def days_since(iso: str) -> int:
    """Days from an ISO date to today; negative for a day to come."""
    return (TODAY - date.fromisoformat(iso)).days
