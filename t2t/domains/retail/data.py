"""Seeded data of the shop. Names, streets, cities, brands and kinds of the two splits never meet."""

import random
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Literal

from t2t.domain.database import Base
from t2t.domains.retail.schema import (
    EMAIL_DAYS,
    SERVED_COUNTRIES,
    TODAY,
    Address,
    AddressId,
    AddressLabel,
    AddressLine,
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
    Product,
    ProductId,
    Status,
    Tier,
    User,
    UserId,
    ZipCode,
)
from t2t.records import DataSpec, Split


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.replace("_", " ") for word in text.split())


_FIRST: dict[Split, tuple[str, ...]] = {
    "train": _words(
        "Aaron Alice Amir Annika Arjun Bella Bruno Camila Chloe Daniel Dolores Edgar Elif Emma Ethan Fatima Felipe "
        "Freya George Hana Henry Ines Isaac Jada Jorge Julia Kemal Lena Leon Lucia Malik Maya Mila Nathan Nora Oscar "
        "Paula Priya Rafael Rania Robert Sara Simon Sofia Theo Valeria Vikram Yuki"
    ),
    "test": _words(
        "Adele Albert Amina Anders Beatriz Benoit Calvin Clara Damian Diana Edith Emre Fiona Gavin Helena Ibrahim "
        "Irene Joel Judith Kavya Lars Leila Marcus Monica Naomi Oliver Penelope Ravi Regina Sven Tobias Vanessa "
        "Wesley Zainab"
    ),
}
_LAST: dict[Split, tuple[str, ...]] = {
    "train": _words(
        "Adler Alvarez Bauer Bennett Brandt Cardenas Chen Coleman Costa Dalton Demir Duran Eriksen Farrell Ferrari "
        "Foster Gomez Greene Gupta Haddad Hale Hoffman Iqbal Jacobs Jimenez Kaya Kelly Kowalski Lambert Larsen Lindt "
        "Malone Martin Mendez Meyer Murphy Nakamura Nguyen Ochoa Olsen Pereira Quinlan Reyes Ruiz Sato Sharma Stone "
        "Tran Turner Vogel Walsh Wright Young Zhang"
    ),
    "test": _words(
        "Acosta Arnold Barros Becker Blake Calloway Cho Conti Dixon Edwards Fontaine Franco Gruber Hamid Hart Ibarra "
        "Jonsson Kapoor Klein Laurent Lim Marino Mason Medina Moser Nair Osborne Park Pinto Rahman Roth Santos Sauer "
        "Shah Soto Thomsen Urban Vidal Wallace Wolf"
    ),
}
_STREETS: dict[Split, tuple[str, ...]] = {
    "train": _words(
        "Alder_Row Birch_Lane Canal_Street Cedar_Avenue Chapel_Road Clover_Court Copper_Street Dune_Road Elm_Street "
        "Falcon_Drive Garden_Street Granite_Way Harbor_Road Hazel_Court Ivy_Lane Juniper_Street Lakeview_Drive "
        "Lime_Street Maple_Avenue Mill_Road Orchard_Way Pine_Street Quarry_Road Ridge_Avenue River_Street Rose_Court"
    ),
    "test": _words(
        "Acorn_Street Bay_Terrace Bishop_Lane Cherry_Place Coral_Drive Cypress_Road Ferry_Street Foxglove_Lane "
        "Heron_Place Linden_Terrace Magnolia_Road Meadow_Place Oak_Terrace Poplar_Place Station_Road Summit_Lane "
        "Violet_Terrace Willow_Place"
    ),
}
_CITIES: dict[Split, tuple[tuple[str, str], ...]] = {
    "train": (
        *((city, "United States") for city in _words("Farholt Brookmere Eastvale Port_Linden Grantsby Sandford_Hills")),
        *((city, "Canada") for city in _words("Pinecrest Lac_Bellerive Northgate Whitmoor")),
        *((city, "Mexico") for city in _words("San_Aurelio Puerto_Claro Valle_Sereno")),
    ),
    "test": (
        *((city, "United States") for city in _words("Oakridge_Falls Millhaven Weston_Quay Cold_Harbor Dunmore")),
        *((city, "Canada") for city in _words("Mont_Argent Stillwater Kingsferry")),
        *((city, "Mexico") for city in _words("Santa_Lira Rio_Nuevo")),
    ),
}
_ABROAD: dict[Split, tuple[tuple[str, str], ...]] = {
    "train": (("Bergen", "Norway"), ("Porto", "Portugal"), ("Osaka", "Japan"), ("Graz", "Austria")),
    "test": (("Aarhus", "Denmark"), ("Seville", "Spain"), ("Busan", "South Korea")),
}
_ZIPS: dict[Split, tuple[int, int]] = {"train": (10000, 49999), "test": (50000, 94999)}
_HOSTS: dict[Split, tuple[str, ...]] = {
    "train": ("mailbox.com", "postly.net", "inboxhub.org"),
    "test": ("letterbox.io", "quickmail.com", "mailpoint.net"),
}
_BRANDS: dict[Split, tuple[str, ...]] = {
    "train": _words(
        "Halden Quorra Marlow Tarn Velmo Brisa Kestrel Norvik Ombra Pellino Rookwood Silvan Tamsin Umber Wexley "
        "Yarrow Zento Arvo Beacon Calder Dovetail Eskil Fernby Gale Hollis Jura"
    ),
    "test": _words(
        "Ardent Bellamy Corvo Drift Elara Fjord Grove Hexley Inlet Jasmin Kodan Luma Mossly Nettle Orbis Petra Quill "
        "Runa Saltby Torva"
    ),
}


@dataclass(frozen=True)
class _Kind:
    """What a product may be."""

    name: str
    category: Category
    options: tuple[str, ...]
    """Names of `_OPTIONS`, those spoken before the name first."""
    before: int
    cents: tuple[int, int]
    """Lowest and highest price."""


_OPTIONS: dict[str, tuple[str, ...]] = {
    "colour": ("black", "white", "navy", "olive", "grey", "red", "teal", "sand"),
    "fabric": ("cotton", "wool", "linen"),
    "material": ("oak", "steel", "glass", "bamboo", "ceramic"),
    "size": ("size S", "size M", "size L", "size XL"),
    "shoe": ("size 38", "size 40", "size 42", "size 44"),
    "volume": ("300 ml", "500 ml", "1 litre"),
    "length": ("40 cm", "60 cm", "90 cm"),
    "storage": ("64 GB", "128 GB", "256 GB"),
    "scent": ("lavender", "citrus", "unscented", "mint"),
}


def _kinds(category: Category, options: str, cents: tuple[int, int], names: str) -> tuple[_Kind, ...]:
    parts = tuple(options.split())
    before = sum(part in ("colour", "fabric", "material", "scent") for part in parts)
    return tuple(_Kind(name, category, parts, before, cents) for name in _words(names))


_KINDS: dict[Split, tuple[_Kind, ...]] = {
    "train": (
        *_kinds("clothing", "colour fabric size", (2500, 9000), "hoodie cardigan polo_shirt scarf"),
        *_kinds("clothing", "colour size", (3500, 18000), "rain_jacket chinos sun_hat"),
        *_kinds("clothing", "colour shoe", (5000, 16000), "running_shoes hiking_boots"),
        *_kinds("electronics", "colour", (4000, 30000), "headphones smart_watch bluetooth_speaker keyboard"),
        *_kinds("electronics", "colour storage", (9000, 38000), "e-reader action_camera"),
        *_kinds("home", "colour length", (2500, 12000), "desk_lamp wall_clock throw_blanket"),
        *_kinds("home", "material length", (2000, 26000), "bookshelf cutting_board picture_frame"),
        *_kinds("home", "colour volume", (1200, 6000), "water_bottle vase coffee_grinder"),
        *_kinds("care", "colour", (1500, 9000), "electric_toothbrush beard_trimmer"),
        *_kinds("care", "scent volume", (800, 3500), "body_lotion bath_oil"),
    ),
    "test": (
        *_kinds("clothing", "colour fabric size", (2800, 9500), "turtleneck blazer beanie"),
        *_kinds("clothing", "colour size", (4500, 19000), "parka denim_jacket"),
        *_kinds("clothing", "colour shoe", (4500, 15000), "sneakers trekking_sandals"),
        *_kinds("electronics", "colour", (3000, 28000), "webcam projector fitness_band"),
        *_kinds("electronics", "colour storage", (12000, 39000), "tablet"),
        *_kinds("home", "colour length", (2500, 14000), "floor_lamp mirror"),
        *_kinds("home", "material length", (2500, 28000), "side_table serving_tray"),
        *_kinds("home", "colour volume", (1500, 6500), "teapot saucepan"),
        *_kinds("care", "colour", (1200, 8000), "razor hair_brush"),
        *_kinds("care", "scent volume", (700, 3000), "hand_cream shampoo"),
    ),
}
_SHORT_NOTES: dict[Split, tuple[str, ...]] = {
    "train": (
        "Happy birthday, Mia!",
        "Enjoy your new home!",
        "Thank you for everything.",
        "Congratulations on the new job!",
        "Get well soon, Tom.",
        "With love from all of us.",
    ),
    "test": (
        "Well done, graduate!",
        "Merry wishes from Kim.",
        "To the best neighbour ever.",
        "Welcome to the world, Ada!",
        "A small thank-you from me.",
    ),
}
_FITTING_NOTES: dict[Split, tuple[str, ...]] = {
    "train": (
        "Happy birthday from the whole team, we are glad to have you!",
        "For the best aunt in the world, from all your nieces.",
        "Congratulations to you both, see you at the party!",
        "To a wonderful teacher, with thanks from class 4b.",
    ),
    "test": (
        "You made it at last, and we never doubted it for a minute!",
        "From everybody at number twelve, enjoy your retirement.",
        "A little light for the long evenings up in the north.",
    ),
}
"""Notes that are only just short enough."""
_LONG_NOTES: dict[Split, tuple[str, ...]] = {
    "train": (
        "Happy anniversary to the two kindest people we know, may many more years follow!",
        "Dear Grandma, we hope this keeps you warm until we can all visit you in the summer.",
    ),
    "test": (
        "For Noah, who never stopped asking when this one would finally be in the shop again.",
        "To my favourite colleagues: the office will not be the same without your morning jokes.",
    ),
}
_NETWORKS = ("Visa", "Mastercard", "Amex")
_WALLET = "Tapwell wallet"
_OFFSET: dict[Split, int] = {"train": 0, "test": 5_000_000}
"""Keeps the ids of the splits apart."""
_STATUSES: tuple[Status, ...] = (
    "pending",
    "pending",
    "pending",
    "pending",
    "pending",
    "pending",
    "pending",
    "delivered",
    "delivered",
    "delivered",
    "delivered",
    "delivered",
    "delivered",
    "delivered",
    "delivered",
    "delivered",
    "processed",
    "processed",
    "shipped",
    "cancelled",
)
"""One entry for a twentieth of the orders."""


def generate(data: DataSpec) -> Base:
    """Make the shop's data; `data.size` is the number of orders.

    Users grow with the orders (one for about four); products too (one for six), until every
    brand makes every kind: 728 in ``train`` and 420 in ``test``.
    """
    rng = random.Random(f"retail/{data.split}/{data.seed}")
    products, items = _catalogue(rng, data.split, data.size)
    by_kind: dict[str, list[ItemId]] = {}
    for product in products.values():
        by_kind.setdefault(product.kind, []).extend(product.items)
    shelves = list(by_kind.values())
    everything = list(items)
    users: dict[str, User] = {}
    orders: dict[str, Order] = {}
    names_used: dict[str, tuple[int, int]] = {}
    while len(orders) < data.size:
        user = _user(rng, data.split, len(users), names_used)
        users[user.id] = user
        favourites = [rng.choice(shelves), rng.choice(shelves)]
        returns_often = rng.random() < 0.2
        days: set[str] = set()
        for _ in range(min(rng.choice((2, 3, 4, 4, 5, 6)), data.size - len(orders))):
            order_id = OrderId(f"R{1_000_001 + _OFFSET[data.split] + len(orders)}")
            picked = {rng.choice(rng.choice(favourites) if rng.random() < 0.55 else everything) for _ in range(4)}
            picked = sorted(picked)[: rng.choice((1, 2, 2, 3, 3, 4))]
            order = _order(rng, order_id, user, [items[i] for i in picked], days, returns_often)
            orders[order_id] = order
    return Base({"products": products, "items": items, "users": users, "orders": orders})


def new_addresses(user: User) -> tuple[AddressLine, ...]:
    """Addresses the user may want to add; the same at every call. One of three is out of reach."""
    split = _split_of(user)
    rng = random.Random(f"addresses/{user.id}/{user.name}")
    home = next(address for address in user.addresses if address.label == "home")
    near = [city for city, country in _CITIES[split] if country == home.country]
    served = [place for place in _CITIES[split] if place[1] in SERVED_COUNTRIES]
    places = [(rng.choice(near), home.country), rng.choice(served), rng.choice(_ABROAD[split])]
    return tuple(_address(rng, split, AddressId(""), "home", place).line for place in places)


def new_emails(user: User) -> tuple[NewEmail, ...]:
    """E-mail addresses the user may want to use instead; the same at every call."""
    first, last = user.name.lower().split(" ")
    number = user.id[-2:]
    hosts = _HOSTS[_split_of(user)]
    return (
        NewEmail(f"{first[0]}.{last}{number}@{hosts[0]}"),
        NewEmail(f"{last}.{first}{number}@{hosts[1]}"),
        NewEmail(f"{first}{number}{last}@{hosts[2]}"),
    )


def notes_of(user: User) -> tuple[NoteText, ...]:
    """Gift notes the user may want; the same at every call. The third just fits, the last is too long."""
    split = _split_of(user)
    rng = random.Random(f"notes/{user.id}")
    longer = (rng.choice(notes[split]) for notes in (_FITTING_NOTES, _LONG_NOTES))
    return tuple(NoteText(text) for text in (*rng.sample(_SHORT_NOTES[split], 2), *longer))


def _split_of(user: User) -> Split:
    return "test" if int(user.id[1:]) > _OFFSET["test"] else "train"


def _catalogue(rng: random.Random, split: Split, size: int) -> tuple[dict[str, Product], dict[str, Item]]:
    pairs = [(brand, kind) for brand in _BRANDS[split] for kind in _KINDS[split]]
    rng.shuffle(pairs)
    products: dict[str, Product] = {}
    items: dict[str, Item] = {}
    for brand, kind in pairs[: max(30, size // 6)]:
        product_id = ProductId(f"P{1001 + _OFFSET[split] + len(products)}")
        base = rng.randrange(*kind.cents, 50)
        final_sale = rng.random() < 0.1
        made_to_order = not final_sale and kind.category in ("home", "clothing") and rng.random() < 0.2
        variants: set[tuple[str, ...]] = set()
        wanted = rng.randint(3, 5)
        while len(variants) < wanted:
            variants.add(tuple(rng.choice(_OPTIONS[name]) for name in kind.options))
        ids: list[ItemId] = []
        for options in sorted(variants):
            item_id = ItemId(f"I{10001 + _OFFSET[split] + len(items)}")
            price = base + rng.choice((0, 0, 100, 250, 400, 650, 1150))
            stock = 0 if rng.random() < 0.15 else rng.randint(1, 40)
            items[item_id] = Item(item_id, product_id, options, kind.before, price, stock)
            ids.append(item_id)
        products[product_id] = Product(
            product_id, brand, kind.name, kind.category, final_sale, made_to_order, tuple(ids)
        )
    return products, items


def _address(
    rng: random.Random, split: Split, address_id: AddressId, label: AddressLabel, place: tuple[str, str]
) -> Address:
    street = f"{rng.randint(1, 199)} {rng.choice(_STREETS[split])}"
    return Address(address_id, label, street, place[0], str(rng.randint(*_ZIPS[split])), place[1])


def _user(rng: random.Random, split: Split, index: int, names_used: dict[str, tuple[int, int]]) -> User:
    number = 100_001 + _OFFSET[split] + index
    name = f"{rng.choice(_FIRST[split])} {rng.choice(_LAST[split])}"
    lowest, highest = _ZIPS[split]
    start, repeat = names_used.get(name, (rng.randrange(highest - lowest), 0))
    names_used[name] = (start, repeat + 1)
    # A step without common divisor with the span: the zip codes of people of one name differ.
    zip_code = str(lowest + (start + 6151 * repeat) % (highest - lowest))
    email = f"{name.lower().replace(' ', '.')}{repeat + 1 if repeat else ''}@{rng.choice(_HOSTS[split])}"
    labels: tuple[AddressLabel, ...] = rng.choice(
        (("home",), ("home", "work"), ("home", "work", "family"), ("home", "family"), ("home", "family", "family"))
    )
    home = rng.choice(_CITIES[split])
    addresses: list[Address] = []
    for position, label in enumerate(labels):
        place = home if position == 0 or rng.random() < 0.5 else rng.choice(_CITIES[split])
        addresses.append(_address(rng, split, AddressId(f"A{number}{position + 1}"), label, place))
    addresses[0] = replace(addresses[0], zip_code=zip_code)
    changed = rng.randint(5, 85) if rng.random() < 0.25 else rng.randint(95, 1500)
    if 95 <= changed < 240:  # some have just waited long enough
        changed = EMAIL_DAYS + changed % 25
    tier: Tier = rng.choice(("basic", "basic", "basic", "silver", "gold"))
    return User(
        UserId(f"U{number}"),
        FullName(name),
        Email(email),
        ZipCode(zip_code),
        tier,
        tuple(addresses),
        rng.choice(addresses[:2]).id,
        _payments(rng, number),
        (TODAY - timedelta(days=changed)).isoformat(),
    )


def _payments(rng: random.Random, number: int) -> tuple[Payment, ...]:
    kinds: tuple[Literal["card", "gift_card", "wallet"], ...] = rng.choice(
        (
            ("card",),
            ("card",),
            ("wallet",),
            ("card", "gift_card"),
            ("card", "wallet"),
            ("wallet", "gift_card"),
            ("card", "card"),
            ("card", "gift_card", "gift_card"),
            ("card", "card", "gift_card"),
            ("wallet", "card", "gift_card"),
        )
    )
    payments: list[Payment] = []
    digits = rng.sample(range(1000, 10000), len(kinds))
    for position, kind in enumerate(kinds):
        label = _WALLET
        if kind == "card":
            label = f"{rng.choice(_NETWORKS)} ending in {digits[position]}"
        elif kind == "gift_card":
            label = f"gift card ending in {digits[position]}"
        balance = rng.randrange(0, 30000, 25) if kind == "gift_card" else 0
        payments.append(Payment(PaymentId(f"C{number}{position + 1}"), kind, label, balance))
    return tuple(payments)


def _order(
    rng: random.Random, order_id: OrderId, user: User, items: list[Item], days: set[str], returns_often: bool
) -> Order:
    status = rng.choice(_STATUSES)
    ordered, delivery = _dates(rng, status)
    while (TODAY - timedelta(days=ordered)).isoformat() in days:
        ordered += 1
    day = (TODAY - timedelta(days=ordered)).isoformat()
    days.add(day)
    lines: list[Line] = []
    for item in items:
        shift = rng.random()
        paid = item.price_cents
        if shift < 0.25:
            paid += rng.randrange(200, 2000, 25)
        elif shift < 0.35:
            paid = max(500, paid - rng.randrange(100, 600, 25))
        lines.append(Line(item.id, paid))
    order = Order(
        order_id,
        user.id,
        status,
        day,
        "" if status == "cancelled" else (TODAY - timedelta(days=delivery)).isoformat(),
        rng.random() < 0.2,
        rng.choice(user.addresses).line,
        tuple(lines),
        rng.choice(user.payments).id,
    )
    if status == "cancelled":
        refund = Posting(order.payment_id, -order.total_cents)
        return replace(order, cancel_reason="ordered twice", postings=(refund,))
    if status == "pending":
        order = replace(order, changed=rng.random() < 0.2)
    elif status == "delivered":
        if rng.random() < (0.7 if returns_often else 0.04):
            lines[0] = replace(lines[0], state="returned")
            order = replace(order, lines=tuple(lines), postings=(Posting(order.payment_id, -lines[0].price_cents),))
        order = replace(order, exchanged=rng.random() < 0.22)
    return replace(order, price_protected=rng.random() < 0.2)


def _dates(rng: random.Random, status: Status) -> tuple[int, int]:
    """Days since the order and since its delivery; the latter is negative for a day to come."""
    if status == "pending":
        return (rng.randint(0, 3) if rng.random() < 0.65 else rng.randint(4, 10)), -rng.randint(4, 9)
    if status == "processed":
        return rng.randint(1, 4), -rng.randint(3, 6)
    if status == "shipped":
        return rng.randint(2, 7), -rng.randint(1, 4)
    delivery = rng.choice((rng.randint(1, 10), rng.randint(1, 13), rng.randint(15, 29), rng.randint(31, 75)))
    return delivery + rng.randint(2, 6), delivery
