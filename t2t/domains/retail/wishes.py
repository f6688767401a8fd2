"""What callers of the shop want, and how they say it."""

from collections.abc import Mapping, Sequence

from t2t.domain.wish import Callers, Identity, Slot, Undo, Wish
from t2t.domains.retail import candidates
from t2t.domains.retail.schema import RetailDB
from t2t.domains.retail.tools import (
    GiftCardView,
    OrderSummary,
    ProductView,
    Receipt,
    ReturnQuote,
    Swap,
    SwapQuote,
    Tracking,
    UserView,
)
from t2t.records import Arguments, Split

_Told = tuple[str, ...]
_Slots = Mapping[str, str]
_NO_CHANGES: Mapping[Split, tuple[str, ...]] = {"train": (), "test": ()}


def _tell_default_address(db: RetailDB, arguments: Arguments, slots: _Slots, value: UserView) -> _Told:
    return tuple(row.address for row in value.addresses if row.address_id == value.default_address)


def _tell_total(db: RetailDB, arguments: Arguments, slots: _Slots, value: Sequence[OrderSummary]) -> _Told:
    return tuple(row.total for row in value if candidates.spoken_day(row.ordered) == slots["ordered"])


def _tell_delivery(db: RetailDB, arguments: Arguments, slots: _Slots, value: Tracking) -> _Told:
    return (value.delivery,)


def _tell_quote(db: RetailDB, arguments: Arguments, slots: _Slots, value: ReturnQuote) -> _Told:
    return (value.refund,)


def _tell_difference(db: RetailDB, arguments: Arguments, slots: _Slots, value: Swap | SwapQuote) -> _Told:
    return (value.to_pay if value.refund == "0.00" else value.refund,)


def _tell_balance(db: RetailDB, arguments: Arguments, slots: _Slots, value: GiftCardView) -> _Told:
    return (value.balance,)


def _tell_price(db: RetailDB, arguments: Arguments, slots: _Slots, value: ProductView) -> _Told:
    return tuple(item.price for item in value.items if item.options == slots["variant"])


def _tell_refund(db: RetailDB, arguments: Arguments, slots: _Slots, value: Receipt) -> _Told:
    return (value.refunded,)


def _undo_address(db: RetailDB, arguments: Arguments, slots: _Slots, value: str) -> tuple[Undo, ...]:
    """Where the later wish is about another order, this one goes to its old address again."""
    order, old = db.orders[str(arguments["order_id"])], value.rpartition("no longer to ")[2]
    return tuple(
        Undo(
            "change_order_address",
            {"order_id": order.id, "address_id": row.id},
            f"send your order from {slots['ordered']} to your {row.label} address, {row.street}, again",
        )
        for row in db.users[order.user_id].addresses
        if row.line == old
    )


def _undo_payment(db: RetailDB, arguments: Arguments, slots: _Slots, value: str) -> tuple[Undo, ...]:
    """Where the later wish is about another order, this one is charged as before again."""
    order, old = db.orders[str(arguments["order_id"])], value.rpartition("no longer to ")[2]
    return tuple(
        Undo(
            "change_order_payment",
            {"order_id": order.id, "payment_id": row.id},
            f"charge your order from {slots['ordered']} to your {row.label} again",
        )
        for row in db.users[order.user_id].payments
        if row.label == old
    )


_ITEM = Slot(
    "item",
    ("which item", "what item", "which product", "which article", "which one", "which of"),
    "Which item do you mean?",
    {
        "train": ("I mean the {value}.", "The {value}.", "It is about the {value}.", "The {value}, please."),
        "test": ("That would be the {value}.", "I am talking about the {value}.", "My {value}."),
    },
)
_THING = Slot(
    "thing",
    ("what kind of product", "what type of product", "what is it"),
    "What kind of product is it?",
    {
        "train": ("It is the {value}.", "The {value}."),
        "test": ("I have the {value} in mind.", "We are speaking of the {value}."),
    },
)
_ORDERED = Slot(
    "ordered",
    ("which order", "what order", "date", "when did", "when was", "what day", "which day"),
    "On which date did you place the order?",
    {
        "train": ("I ordered on {value}.", "It was on {value}.", "The order from {value}.", "{value}."),
        "test": ("My order dates from {value}.", "I bought it on {value}.", "That purchase was made on {value}."),
    },
)
_CONTAINS = Slot(
    "contains",
    ("which order", "what order", "what was in", "what is in", "in the order", "items"),
    "What is in the order?",
    {
        "train": ("It is the one with {value}.", "The order with {value}.", "I ordered {value}."),
        "test": ("You will find {value} in it.", "There is {value} inside."),
    },
)
_REASON = Slot(
    "reason",
    ("reason", "why"),
    "What is the reason: ordered twice, ordered by mistake, or found cheaper elsewhere?",
    {
        "train": ("It was {value}.", "The reason is: {value}.", "{value}."),
        "test": ("Put down: {value}.", "Let us say {value}."),
    },
)
_VARIANT = Slot(
    "variant",
    ("variant", "option", "instead", "colour", "color", "size", "replace"),
    "Which variant do you want instead?",
    {
        "train": ("I want it in {value}.", "In {value}.", "{value}, please.", "The one in {value}."),
        "test": ("It should be {value}.", "I am after {value}.", "{value} is what I would like."),
    },
)
_PAYMENT = Slot(
    "payment",
    ("payment", "card", "wallet", "refund to", "refunded to", "pay with", "method"),
    "Which payment method should be used?",
    {
        "train": ("My {value}.", "Use my {value}.", "The {value}, please.", "It should be my {value}."),
        "test": ("Take the {value}.", "I prefer my {value}.", "Let it be the {value}."),
    },
)
_WAY = Slot(
    "way",
    ("kind of payment", "type of payment", "card or"),
    "What kind of payment method is it: a card, a gift card or a wallet?",
    {"train": ("A {value}.", "It is a {value}."), "test": ("That is a {value}.", "The {value} one.")},
)
_ADDRESS = Slot(
    "address",
    ("which address", "what address", "where", "address"),
    "Which address of yours should it be?",
    {
        "train": ("My {value}.", "The {value}.", "My {value}, please."),
        "test": ("That is the {value}.", "Take my {value}.", "I mean the {value}."),
    },
)
_STREET = Slot(
    "street",
    ("street",),
    "What street is it on?",
    {
        "train": ("It is {value}.", "{value}.", "The one at {value}."),
        "test": ("You have it as {value}.", "Street and number are {value}."),
    },
)
_NOTE = Slot(
    "note",
    ("note", "text", "message"),
    "What should the note say, word for word?",
    {
        "train": ('It should say "{value}"', '"{value}"', 'Please write "{value}"'),
        "test": ('The words are "{value}"', 'Let it read "{value}"'),
    },
)
_NEW_ADDRESS = Slot(
    "new_address",
    ("what address", "which address", "new address", "full address", "street", "the address"),
    "What is the full new address?",
    {
        "train": ("It is {value}.", "{value}.", "The address is {value}."),
        "test": ("Please note {value}.", "I live at {value} now."),
    },
)
_LABEL = Slot(
    "label",
    ("label", "home, work", "kind of address", "type of address", "home or work"),
    "Is that a home, work or family address?",
    {
        "train": ("It is a {value} address.", "Call it {value}.", "{value}."),
        "test": ("File it under {value}.", "That one counts as {value}."),
    },
)
_NEW_EMAIL = Slot(
    "new_email",
    ("new e-mail", "new email", "which e-mail", "which email", "what e-mail", "what email", "change it to"),
    "What is the new e-mail address?",
    {
        "train": ("The new one is {value}.", "It should be {value}.", "Use {value} from now on."),
        "test": ("From today it is {value}.", "Please switch to {value}."),
    },
)
_PRODUCT = Slot(
    "product",
    ("which product", "what product", "name of", "which item"),
    "Which product do you mean?",
    {
        "train": ("The {value}.", "I mean the {value}.", "It is the {value}."),
        "test": ("I am looking at the {value}.", "That is the {value}."),
    },
)
_EMAIL = Slot(
    "email",
    ("e-mail", "email"),
    "What is the e-mail address of your account?",
    {
        "train": ("It is {value}.", "My e-mail is {value}.", "{value}", "My account is under {value}."),
        "test": ("I am registered with {value}.", "Sure, {value}.", "You have me under {value}."),
    },
)
_NAME = Slot(
    "name",
    ("your name", "full name", "last name"),
    "What is your full name?",
    {
        "train": ("My name is {value}.", "I am {value}.", "{value}."),
        "test": ("The name is {value}.", "You are talking to {value}."),
    },
)
_ZIP = Slot(
    "zip",
    ("zip", "postal code", "postcode"),
    "What is the zip code of your account?",
    {
        "train": ("The zip code is {value}.", "My zip is {value}.", "{value}."),
        "test": ("That is {value}.", "My area has the code {value}."),
    },
)

CALLERS = Callers(
    ids=lambda db: list(db.base.tables["users"]),
    facts=candidates.caller_facts,
    knows=candidates.knowledge,
    identities=(
        Identity("find_user_by_email", {"email": "email"}),
        Identity("find_user_by_name_zip", {"name": "name", "zip_code": "zip"}),
    ),
    slots=(_EMAIL, _NAME, _ZIP),
    introductions={
        "train": (
            "Hi, my e-mail is {email}.",
            "Hello, this is {name}.",
            "Hi, I'm {name}, zip code {zip}.",
            "Hey there!",
            "Good morning, {name} here. My account is under {email}.",
            "Hello, my name is {name} and my zip code is {zip}.",
            "Hi, {name} speaking.",
            "",
            "Hello! You can find my account under {email}.",
        ),
        "test": (
            "Good afternoon, I am {name} and I live in the {zip} area.",
            "Hello there, I shop with you as {email}.",
            "Good day.",
            "Greetings, {name} writing, registered with {email}.",
            "I have a request, my name is {name}.",
            "Good evening! {name}, {zip}.",
        ),
    },
)

_CANCEL = Wish(
    tool="cancel_order",
    candidates=candidates.cancellations,
    slots=(_ORDERED, _CONTAINS, _REASON),
    openings={
        "train": (
            "Please cancel my order from {ordered}, it was {reason}.",
            "I want to cancel the order with {contains}. It was {reason}.",
            "Can you cancel the order I placed on {ordered}?",
            "I'd like to cancel an order.",
            "Please cancel the order with {contains}.",
            "I need to cancel my {ordered} order with {contains}, it was {reason}.",
            "Could you please stop my order from {ordered}? It was {reason}.",
            "I have to cancel an order because it was {reason}.",
            "Cancel the order with {contains} for me, please. The reason: {reason}.",
        ),
        "test": (
            "There is an order of mine, placed {ordered}, that I don't want; the grounds are: {reason}.",
            "Would you call off the order containing {contains}? You may note it as {reason}.",
            "I must take back something I bought on {ordered}.",
            "One of my orders should not be sent at all.",
            "The purchase with {contains} has to be undone, it was {reason}.",
            "My purchase dated {ordered} is to be called off, being {reason}.",
        ),
    },
    changes={
        "train": (
            "Actually, keep that one. Cancel my order from {ordered} instead.",
            "Sorry, I mixed them up: cancel the one with {contains}.",
            "Wait, please put down another reason: it was {reason}.",
            "On second thought, cancel the order from {ordered} rather than that one.",
        ),
        "test": (
            "Hold on, I took the wrong one. The one placed {ordered} should go.",
            "Hmm, leave it and call off the one containing {contains}.",
            "Before you do, note {reason} as the grounds.",
        ),
    },
    proposal="cancel your order from {ordered} with {contains}, reason {reason}",
    tell=_tell_refund,
    report="You get {0} back.",
)
_RETURN = Wish(
    tool="return_items",
    candidates=candidates.returns,
    slots=(_ITEM, _ORDERED, _PAYMENT, _THING, _WAY),
    openings={
        "train": (
            "I want to return the {item} and get the money back on my {payment}.",
            "I'd like to return the {thing}.",
            "Please take back the {item} I ordered on {ordered}, refund it to my {payment}.",
            "Can I return the {item}?",
            "I want to send back the {thing} from my {ordered} order, with the refund on my {payment}.",
            "I need to return something, please refund it to my {payment}.",
            "Can I send back the {thing} and have it refunded to my {way}?",
            "I want to return something I bought.",
            "Please arrange a return of the {item}, refund to my {payment}.",
            "I'm returning the {item} from {ordered}.",
        ),
        "test": (
            "The {item} did not work out for me; I would like the money on my {payment}.",
            "I am not happy with the {thing}, so it should go back to you.",
            "How do I give back the {item} of {ordered}? My {payment} should receive the sum.",
            "Something I received is not for me and has to go back.",
            "The {item} is going back to you, please.",
            "You may have the {thing} of {ordered} again if my {payment} gets the money.",
        ),
    },
    changes={
        "train": (
            "Actually, refund it to my {payment} instead.",
            "Wait, I'd rather return the {item}.",
            "Sorry, it is the {item} I want to return, with the refund on my {payment}.",
            "On second thought, I keep that. Return the {item} from {ordered} instead.",
        ),
        "test": (
            "Hold on, my {payment} is the better place for the money.",
            "Hmm, I will hang on to that one, and give back the {item}.",
            "No, let it be the {item} of {ordered}.",
        ),
    },
    proposal="return the {item} from your order of {ordered} and refund it to your {payment}",
    tell=_tell_refund,
    report="The refund is {0}.",
)
_EXCHANGE = Wish(
    tool="exchange_item",
    candidates=candidates.exchanges,
    slots=(_ITEM, _VARIANT, _ORDERED, _PAYMENT, _THING, _WAY),
    openings={
        "train": (
            "I want to exchange the {item} for the same in {variant}. Use my {payment} for any difference.",
            "Can I exchange the {item} I got?",
            "I'd like to swap the {thing} I received for the same in {variant}, any difference on my {payment}.",
            "Please exchange the {item} from {ordered} for the same in {variant}, my {payment} pays the difference.",
            "I need the {thing} that was delivered in {variant} instead.",
            "I want to exchange something that was delivered.",
            "Please swap the {item} that arrived for the same in {variant}.",
            "I'd like to exchange the {thing} from {ordered}. Charge any difference to my {payment}.",
            "Could you exchange my {item} for the same in {variant}?",
        ),
        "test": (
            "The {item} you sent is not quite right: {variant} would be, and my {payment} can settle what is left.",
            "I received the {thing}, but should have picked {variant}.",
            "I would trade in the {item} of {ordered} against the same in {variant}; settle it with my {payment}.",
            "Something in my last parcel is the wrong choice and I need another version.",
            "Let me trade in the {item} against the same in {variant}.",
            "Let me trade in the {thing} that came, settling with my {payment}.",
        ),
    },
    changes={
        "train": (
            "Actually, make it {variant}.",
            "Wait, use my {payment} instead.",
            "Sorry, I'd rather have {variant}.",
            "On second thought, keep those and exchange the {item} for the same in {variant}.",
        ),
        "test": (
            "Hold on, {variant} suits me more.",
            "Hmm, settle it with my {payment} after all.",
            "No, it is the {item} that should become {variant}.",
        ),
    },
    proposal="exchange the {item} from your order of {ordered} for the same in {variant}, difference on your {payment}",
    tell=_tell_difference,
    report="The price difference is {0}.",
)
_CHANGE_ITEM = Wish(
    tool="change_order_item",
    candidates=candidates.item_changes,
    slots=(_ITEM, _VARIANT, _ORDERED, _PAYMENT, _THING, _WAY),
    openings={
        "train": (
            "In my pending order, change the {item} to {variant} and use my {payment} for any difference.",
            "I'd like to change the {thing} in an order that is not shipped yet.",
            "Please change the {item} in my open order of {ordered} to {variant}, paid with my {payment}.",
            "Before it ships, I want the {thing} in {variant}, any difference on my {payment}.",
            "Can you still change the {item} I ordered to {variant}?",
            "I want to change an item of my pending order.",
            "I chose the wrong {thing} on {ordered}, and it is still pending. Make it {variant}, please.",
            "Please update my pending order: the {item} should be {variant}.",
        ),
        "test": (
            "The {item} I am still waiting for should come as {variant}; my {payment} covers what it takes.",
            "You have not packed my {thing} yet, so let it be {variant}.",
            "Of what I bought on {ordered}, not packed yet, the {item} has to become {variant}, by my {payment}.",
            "I picked the wrong version of something you have not packed yet.",
            "As long as it is not packed: {variant} rather than the {item}, settled by my {payment}.",
            "As long as it is not packed, could the {item} become {variant}?",
        ),
    },
    changes={
        "train": (
            "Actually, make it {variant}.",
            "Wait, I'd rather pay with my {payment}.",
            "Sorry, I meant {variant}.",
            "On second thought, change the {item} to {variant} instead.",
        ),
        "test": (
            "Hold on, {variant} is nicer.",
            "Hmm, settle that by my {payment}.",
            "No, it is the {item} that has to become {variant}.",
        ),
    },
    proposal="change the {item} in your order of {ordered} to {variant}, difference on your {payment}",
    tell=_tell_difference,
    report="The price difference is {0}.",
)
_CHANGE_ADDRESS = Wish(
    tool="change_order_address",
    candidates=candidates.address_changes,
    slots=(_ORDERED, _ADDRESS, _CONTAINS, _STREET),
    openings={
        "train": (
            "Please send my order from {ordered} to my {address}.",
            "I want the order with {contains} to go to my {address} instead.",
            "Can you change the address of an order to my {address}?",
            "I need to change the delivery address of my {ordered} order.",
            "Please ship the order with {contains} to {street}.",
            "I'd like to change where my order is delivered.",
            "Can you send the {ordered} order to my {address} at {street}?",
            "Change the delivery address of the order with {contains} to {street}, please.",
        ),
        "test": (
            "What I bought on {ordered} should arrive at my {address}.",
            "The parcel with {contains} must not go to the old place; {street} is right.",
            "I won't be around, so a parcel of mine has to arrive at my {address}.",
            "For the purchase of {ordered}, {street} is the right destination.",
            "A parcel of mine is headed to the wrong place.",
            "The parcel with {contains} should arrive at my {address}, {street}.",
        ),
    },
    changes={
        "train": (
            "Actually, send it to my {address}.",
            "Wait, {street} is better.",
            "Sorry, I meant the order from {ordered}.",
            "On second thought, it is the order with {contains} that should go there.",
        ),
        "test": (
            "Hold on, {street} would be safer.",
            "Hmm, my {address} after all.",
            "No, it is the purchase of {ordered} I am worried about.",
        ),
    },
    proposal="send your order from {ordered} to your {address}, {street}",
    undo=_undo_address,
)
_CHANGE_PAYMENT = Wish(
    tool="change_order_payment",
    candidates=candidates.payment_changes,
    slots=(_ORDERED, _PAYMENT, _CONTAINS, _WAY),
    openings={
        "train": (
            "Please charge my order from {ordered} to my {payment}.",
            "I want to pay for the order with {contains} with my {payment} instead.",
            "Can you change the payment method of my {ordered} order?",
            "I'd like to use my {payment} for an order I placed.",
            "Please switch the order with {contains} to my {way}.",
            "I want another payment method for one of my orders.",
            "Can you move the {ordered} order to my {way}?",
            "Please put the {ordered} order with {contains} on my {payment}.",
        ),
        "test": (
            "My {payment} should be billed for what I bought on {ordered}.",
            "Bill {contains} to my {payment} rather than what I chose at the checkout.",
            "At the checkout I chose the wrong way to pay.",
            "For my purchase of {ordered}, bill a {way} of mine.",
            "My {payment} was meant to be billed, not what I chose at the checkout.",
        ),
    },
    changes={
        "train": (
            "Actually, use my {payment}.",
            "Wait, I meant the order from {ordered}.",
            "Sorry, put it on my {payment} instead.",
            "On second thought, leave that order. Change the one with {contains}.",
        ),
        "test": (
            "Hold on, bill my {payment} for it.",
            "Hmm, it is the purchase of {ordered} that was billed wrongly.",
        ),
    },
    proposal="charge your order from {ordered} to your {payment}",
    undo=_undo_payment,
)
_GIFT_NOTE = Wish(
    tool="set_gift_note",
    candidates=candidates.gift_notes,
    slots=(_ORDERED, _NOTE, _CONTAINS),
    openings={
        "train": (
            'Please add a gift note to my order from {ordered}: "{note}"',
            'I want a note in the order with {contains} that says "{note}"',
            "Can you add a gift note to my {ordered} order?",
            'My order is a gift. Please add the note "{note}"',
            "I'd like to add a gift note to an order.",
            "The order with {contains} is a present, please add a note.",
            'Put the gift note "{note}" into the order I placed on {ordered}.',
            'Please include this note with {contains}: "{note}"',
        ),
        "test": (
            'What I bought on {ordered} is a surprise; slip in a card reading "{note}"',
            'With {contains}, I would like a few words enclosed: "{note}"',
            "Is it possible to enclose a few words with what I bought on {ordered}?",
            'Enclose these words with a parcel of mine: "{note}"',
            "A parcel of mine is a surprise for somebody and needs a few words enclosed.",
        ),
    },
    changes={
        "train": (
            'Actually, make the note "{note}"',
            "Wait, it belongs to the order from {ordered}.",
            'Sorry, it should say "{note}" instead.',
            "On second thought, put it into the order with {contains}.",
        ),
        "test": (
            'Hold on, "{note}" sounds nicer.',
            "Hmm, it goes with what I bought on {ordered}.",
        ),
    },
    proposal='add the gift note "{note}" to your order from {ordered}',
)
_PRICE_DROP = Wish(
    tool="refund_price_drop",
    candidates=candidates.price_drops,
    slots=(_ITEM, _ORDERED, _THING),
    openings={
        "train": (
            "The {item} I bought is cheaper now. Please refund the difference.",
            "I'd like the price difference back for the {thing}, it got cheaper.",
            "The price of the {item} from my {ordered} order went down, can I get the difference?",
            "Something I ordered got cheaper and I want the difference back.",
            "Can you match the lower price for the {thing} I ordered on {ordered}?",
            "I paid too much on {ordered}, the price dropped. Please refund the difference.",
            "I saw the {item} for less. Please give me the difference.",
            "Please refund the price drop for the {thing}.",
        ),
        "test": (
            "Your site lists the {item} below what I paid; I ask for price protection.",
            "I ask for price protection on the {thing}.",
            "Since {ordered} the {item} became less expensive, so I ask for my price protection.",
            "I ask for price protection on something in my order history.",
            "One thing of {ordered} became less expensive, does price protection apply?",
        ),
    },
    changes={
        "train": (
            "Actually, I meant the {item}.",
            "Wait, do it for the {item} instead.",
            "Sorry, it was the one from {ordered}.",
            "On second thought, refund the difference for the {item} from {ordered}.",
        ),
        "test": (
            "Hold on, it is the {item} that became less expensive.",
            "Hmm, rather the {item} of {ordered}.",
        ),
    },
    proposal="refund the price drop of the {item} from your order of {ordered}",
    tell=_tell_refund,
    report="You get {0} back.",
)
_DEFAULT_ADDRESS = Wish(
    tool="set_default_address",
    candidates=candidates.default_addresses,
    slots=(_ADDRESS, _STREET),
    openings={
        "train": (
            "Please make my {address} the default.",
            "I want {street} to be my default address.",
            "Can you change my default address?",
            "Please use my {address} for future orders.",
            "I'd like to have my {address} at {street} as the default.",
            "Set {street} as the default address, please.",
            "I want a different default address.",
        ),
        "test": (
            "From now on everything should arrive at my {address}.",
            "My standard address needs to be {street}.",
            "The standard address in my profile is out of date.",
            "Let {street}, my {address}, be the standard from here on.",
        ),
    },
    changes={
        "train": ("Actually, take my {address}.", "Wait, {street} is better.", "Sorry, I meant {street}."),
        "test": ("Hold on, {street} makes more sense.", "Hmm, my {address} is where I mostly am."),
    },
    proposal="make your {address}, {street}, the default address",
)
_ADD_ADDRESS = Wish(
    tool="add_address",
    candidates=candidates.address_additions,
    slots=(_NEW_ADDRESS, _LABEL),
    openings={
        "train": (
            "Please add {new_address} to my account as a {label} address.",
            "I'd like to add a new address.",
            "I want to save {new_address} in my account.",
            "Can you add a {label} address?",
            "Please add a {label} address for me: {new_address}.",
            "I have a new {label} address, {new_address}, please add it.",
            "Please store a new address in my account.",
        ),
        "test": (
            "My address book lacks a {label} entry: {new_address}.",
            "Could {new_address} go into my address book?",
            "There is an entry missing in my address book.",
            "Put {new_address} into my address book, under {label}.",
            "My address book lacks a {label} entry.",
        ),
    },
    changes={
        "train": (
            "Actually, the address is {new_address}.",
            "Wait, make that a {label} address.",
            "Sorry, I need {new_address} instead.",
            "On second thought, save it as a {label} address.",
        ),
        "test": ("Hold on, {new_address} is what I need there.", "Hmm, file it under {label} rather."),
    },
    proposal="add {new_address} as a {label} address",
)
_UPDATE_EMAIL = Wish(
    tool="update_email",
    candidates=candidates.email_updates,
    slots=(_NEW_EMAIL,),
    openings={
        "train": (
            "Please change the e-mail of my account to {new_email}.",
            "I want to update my e-mail address.",
            "I have a new e-mail, {new_email}, please update it.",
            "Can you change my e-mail address?",
            "Please set my e-mail to {new_email}.",
            "I'd like {new_email} as my new e-mail address.",
            "I need another e-mail address on my account.",
        ),
        "test": (
            "Your messages should reach me at {new_email} from now on.",
            "I no longer read the mailbox you have on file.",
            "The mailbox you have on file is closed, switch me to {new_email}.",
            "Kindly replace the mailbox on file by {new_email}.",
        ),
    },
    changes={
        "train": (
            "Actually, use {new_email}.",
            "Wait, make it {new_email}.",
            "Sorry, I'd rather have {new_email}.",
        ),
        "test": ("Hold on, {new_email} is the mailbox I read.", "Hmm, rather {new_email}."),
    },
    proposal="change the e-mail of your account to {new_email}",
)
_TRACK = Wish(
    tool="track_order",
    candidates=candidates.orders_to_track,
    slots=(_ORDERED, _CONTAINS),
    openings={
        "train": (
            "When does my order from {ordered} arrive?",
            "What is the delivery date of the order with {contains}?",
            "On what day is the order I placed on {ordered} delivered?",
            "Can you tell me the delivery date of my {ordered} order?",
            "When will I get the order with {contains}, or was it delivered?",
            "I want to know the day of delivery for {contains} that I ordered on {ordered}.",
        ),
        "test": (
            "I am curious when the parcel with {contains} reaches, or reached, my door.",
            "By when is what I bought on {ordered} at my door?",
            "Which day applies to the parcel of my {ordered} purchase?",
            "Do you have an arrival day for the parcel with {contains}?",
        ),
    },
    changes=_NO_CHANGES,
    proposal="look up the delivery of your order from {ordered}",
    tell=_tell_delivery,
    report="The day of delivery of your order from {ordered} is {0}.",
)
_QUOTE_RETURN = Wish(
    tool="quote_return",
    candidates=candidates.return_quotes,
    slots=(_ITEM, _ORDERED, _THING),
    openings={
        "train": (
            "How much would I get back if I returned the {item}?",
            "What is the refund for the {thing} if I send it back?",
            "How much money do I get for returning the {item} from {ordered}?",
            "I'm thinking about returning the {thing} I ordered on {ordered}. What would the refund be?",
            "Can you tell me the exact refund for the {item}? I don't want to return it yet.",
            "What would a return of the {item} bring me?",
        ),
        "test": (
            "Suppose the {item} went back to you, what sum would I see again?",
            "I wonder what sum you would pay out for the {thing}; I have not decided anything.",
            "For the {item} of {ordered}, what sum would come back to me, purely as a question?",
            "Only asking: giving back the {thing} of {ordered} is worth what sum?",
        ),
    },
    changes=_NO_CHANGES,
    proposal="look up the refund for the {item}",
    tell=_tell_quote,
    report="Returning the {item} would refund {0}.",
)
_QUOTE_SWAP = Wish(
    tool="quote_swap",
    candidates=candidates.swap_quotes,
    slots=(_ITEM, _VARIANT, _ORDERED, _THING),
    openings={
        "train": (
            "What is the price difference if I take the {item} in {variant} instead?",
            "How much more or less would the {thing} be in {variant}? Just asking for now.",
            "Before I decide: what is the difference between the {item} from {ordered} and the same in {variant}?",
            "Can you tell me the price difference for the {thing} from my {ordered} order in {variant}?",
            "If I wanted the {item} in {variant}, what would the difference be?",
            "I only want to know the price difference between my {item} and the same in {variant}.",
        ),
        "test": (
            "Purely as a question: by what sum do my {item} and the same in {variant} differ?",
            "Say I had picked {variant} for my {item}, how far apart would the two be in money?",
            "Only asking: my {thing} of {ordered} against the same in {variant}, by what sum do they differ?",
            "I have not decided anything: how far apart are my {thing} and the same in {variant}, in money?",
        ),
    },
    changes=_NO_CHANGES,
    proposal="look up the difference between the {item} and the same in {variant}",
    tell=_tell_difference,
    report="The price difference between the {item} and the same in {variant} is {0}.",
)
_GIFT_CARD = Wish(
    tool="get_gift_card",
    candidates=candidates.gift_cards,
    slots=(_PAYMENT,),
    openings={
        "train": (
            "How much is left on my {payment}?",
            "What is the balance of my gift card?",
            "Can you check the balance of my {payment}?",
            "I want to know how much money is on my gift card.",
            "Please tell me the exact balance of my {payment}.",
            "How much do I have on my gift card?",
        ),
        "test": (
            "What can I still spend from my {payment}?",
            "I lost track of what my gift card is still worth.",
            "The {payment} of mine is still worth what sum?",
            "Is anything left to spend from my gift card, and what sum?",
        ),
    },
    changes=_NO_CHANGES,
    proposal="look up the balance of your {payment}",
    tell=_tell_balance,
    report="Your {payment} holds {0}.",
)
_PRICE = Wish(
    tool="get_product",
    candidates=candidates.catalogue,
    slots=(_PRODUCT, _VARIANT),
    openings={
        "train": (
            "How much is the {product} in {variant}?",
            "What does the {product} in {variant} cost today?",
            "Can you tell me the price of the {product} ({variant})?",
            "I'm interested in the {product} in {variant}. What is the price?",
            "What would I pay for the {product} in {variant}?",
            "Please tell me today's price for the {product}, {variant}.",
        ),
        "test": (
            "I have my eye on the {product}, {variant}, and wonder what you charge.",
            "What do you charge for the {product} when I pick {variant}?",
            "Tell me your current price tag on the {product}, {variant}.",
            "The {product}, {variant}: what is the price tag?",
        ),
    },
    changes=_NO_CHANGES,
    proposal="look up the {product}",
    tell=_tell_price,
    report="The {product} in {variant} costs {0}.",
)
_TOTAL = Wish(
    tool="list_orders",
    candidates=candidates.orders_to_total,
    slots=(_ORDERED, _CONTAINS),
    openings={
        "train": (
            "What was the total of my order from {ordered}?",
            "How much did I spend on the order with {contains}?",
            "Can you tell me what my {ordered} order cost in total?",
            "I need the total of the order with {contains}.",
            "How much was the order I placed on {ordered}?",
            "For my records, what is the total of the {ordered} order with {contains}?",
        ),
        "test": (
            "Which sum did you bill me for what I bought on {ordered}?",
            "I keep a ledger and lack the sum billed for the purchase with {contains}.",
            "My purchase of {ordered} came to what sum?",
            "The sum billed for {contains} and the rest of that purchase, please.",
        ),
    },
    changes=_NO_CHANGES,
    proposal="look up the total of your order from {ordered}",
    tell=_tell_total,
    report="The total of your order from {ordered} is {0}.",
)
_ACCOUNT = Wish(
    tool="get_user",
    candidates=candidates.account,
    slots=(),
    openings={
        "train": (
            "What is my default address?",
            "Which address do you have as my default?",
            "Can you tell me the default address of my account?",
            "Where do my orders go by default?",
            "Please read me my default address.",
            "I forgot which default address I have set. What is it?",
        ),
        "test": (
            "To what place would my next purchase be sent if I chose nothing?",
            "Let me know the standard address in my profile.",
            "I wonder what my profile says for the standard address.",
            "Could you read out the standard address you hold for me?",
        ),
    },
    changes=_NO_CHANGES,
    proposal="look up your default address",
    tell=_tell_default_address,
    report="Your default address is {0}.",
)

WISHES: tuple[Wish, ...] = (
    _CANCEL,
    _RETURN,
    _EXCHANGE,
    _CHANGE_ITEM,
    _CHANGE_ADDRESS,
    _CHANGE_PAYMENT,
    _GIFT_NOTE,
    _PRICE_DROP,
    _DEFAULT_ADDRESS,
    _ADD_ADDRESS,
    _UPDATE_EMAIL,
    _TRACK,
    _QUOTE_RETURN,
    _QUOTE_SWAP,
    _GIFT_CARD,
    _PRICE,
    _TOTAL,
    _ACCOUNT,
)
