"""What callers of the bank want, and how they say it."""

from collections.abc import Mapping, Sequence

from t2t.domain.wish import Callers, Identity, Slot, Undo, Wish
from t2t.domains.banking import candidates
from t2t.domains.banking.schema import BankDB, cents_of, money
from t2t.domains.banking.tools import (
    AccountView,
    Booked,
    Claim,
    CustomerView,
    LoanView,
    NewCard,
    NewOrder,
    Payoff,
    StandingOrderView,
    TransactionView,
    Transferred,
)
from t2t.records import Arguments, Split

_Told = tuple[str, ...]
_Slots = Mapping[str, str]
_NO_CHANGES: Mapping[Split, tuple[str, ...]] = {"train": (), "test": ()}


def _tell_email(db: BankDB, arguments: Arguments, slots: _Slots, value: CustomerView) -> _Told:
    return (value.email,)


def _tell_available(db: BankDB, arguments: Arguments, slots: _Slots, value: Sequence[AccountView]) -> _Told:
    return tuple(view.available for view in value if view.account == slots["account"])


def _tell_spent(db: BankDB, arguments: Arguments, slots: _Slots, value: Sequence[TransactionView]) -> _Told:
    rows = [view for view in value if view.kind == "card payment" and view.party == slots["merchant"]]
    return (money(sum(cents_of(view.amount.lstrip("-")) or 0 for view in rows)),)


def _tell_order_total(db: BankDB, arguments: Arguments, slots: _Slots, value: Sequence[StandingOrderView]) -> _Told:
    return (money(sum(cents_of(view.amount) or 0 for view in value if view.account == slots["account"])),)


def _tell_due(db: BankDB, arguments: Arguments, slots: _Slots, value: Sequence[LoanView]) -> _Told:
    return tuple(view.next_due for view in value if view.kind == slots["loan"])


def _tell_total(db: BankDB, arguments: Arguments, slots: _Slots, value: Payoff) -> _Told:
    return (value.total,)


def _tell_from_balance(db: BankDB, arguments: Arguments, slots: _Slots, value: Transferred) -> _Told:
    return (value.from_balance,)


def _tell_balance(db: BankDB, arguments: Arguments, slots: _Slots, value: Booked) -> _Told:
    return (value.balance,)


def _tell_amount(db: BankDB, arguments: Arguments, slots: _Slots, value: Booked) -> _Told:
    return (value.amount,)


def _tell_arrival(db: BankDB, arguments: Arguments, slots: _Slots, value: NewCard) -> _Told:
    return (value.arrives,)


def _tell_decision(db: BankDB, arguments: Arguments, slots: _Slots, value: Claim) -> _Told:
    return (value.decision_by,)


def _tell_first_run(db: BankDB, arguments: Arguments, slots: _Slots, value: NewOrder) -> _Told:
    return (value.first_run,)


def _tell_new_available(db: BankDB, arguments: Arguments, slots: _Slots, value: AccountView) -> _Told:
    return (value.available,)


def _cancel_order(db: BankDB, arguments: Arguments, slots: _Slots, value: NewOrder) -> Sequence[Undo]:
    proposal = f"cancel the new standing order to {slots['payee']} on day {slots['run_day']}"
    return (Undo("cancel_standing_order", {"standing_order_id": value.standing_order_id}, proposal),)


_ACCOUNT = Slot(
    "account",
    ("which account", "what account", "which of your accounts"),
    "Which account do you mean?",
    {
        "train": ("I mean my {value}.", "My {value}.", "It is the {value}.", "The {value}, please."),
        "test": ("That would be my {value}.", "I am talking about the {value}.", "You have it as {value}."),
    },
)
_ACCOUNT_SORT = Slot(
    "account_sort",
    ("kind of account", "type of account"),
    "What kind of account is it?",
    {
        "train": ("It is my {value}.", "My {value}."),
        "test": ("That is a {value}.", "Mine is a {value}."),
    },
)
_SOURCE = Slot(
    "account",
    ("which account", "what account", "from where", "which of your accounts", "should pay"),
    "From which account should the money come?",
    {
        "train": ("From my {value}.", "Take it from my {value}.", "It should come from my {value}."),
        "test": ("My {value} is the one to pay.", "Draw on my {value}.", "Out of the {value}, if you please."),
    },
)
_SOURCE_SORT = Slot(
    "account_sort",
    ("kind of account should pay", "type of account should pay", "kind of account does"),
    "What kind of account should pay?",
    {
        "train": ("From my {value}.", "My {value} pays."),
        "test": ("Draw on the {value}.", "It is the {value} that pays."),
    },
)
_TARGET = Slot(
    "target",
    ("which account", "what account", "to where", "receive", "should the money go"),
    "Which account should receive the money?",
    {
        "train": ("It goes to my {value}.", "To my {value}.", "Put it into my {value}."),
        "test": ("My {value} is to receive it.", "Let it land on my {value}.", "Into the {value}, if you please."),
    },
)
_TARGET_SORT = Slot(
    "target_sort",
    ("kind of account should receive", "type of account should receive", "kind of account receives"),
    "What kind of account should receive it?",
    {"train": ("It goes to my {value}.", "To my {value}."), "test": ("Into the {value}.", "The {value} receives it.")},
)
_AMOUNT = Slot(
    "amount",
    ("how much", "amount", "what sum"),
    "How much should it be?",
    {
        "train": ("{value}.", "Make it ${value}.", "It should be ${value}.", "${value}, please."),
        "test": ("The sum is ${value}.", "I thought of ${value}.", "${value} will do."),
    },
)
_PAYEE = Slot(
    "payee",
    ("which payee", "what payee", "to whom", "who should", "who gets", "which standing order"),
    "Which payee do you mean?",
    {
        "train": ("{value}.", "It is {value}.", "I mean {value}.", "The payee is {value}."),
        "test": ("{value} is who I have in mind.", "You will find them as {value}.", "They are called {value}."),
    },
)
_NEW_PAYEE = Slot(
    "new_payee",
    ("name of the", "payee's name", "payee called", "who is the new payee", "which payee"),
    "What is the name of the new payee?",
    {
        "train": ("The name is {value}.", "It is {value}.", "{value}."),
        "test": ("They go by {value}.", "Write down {value}."),
    },
)
_NEW_NUMBER = Slot(
    "new_number",
    ("account number",),
    "What is the account number of the payee?",
    {
        "train": ("The number is {value}.", "It is {value}.", "{value}."),
        "test": ("I have {value} in front of me.", "Their digits are {value}."),
    },
)
_CARD = Slot(
    "card",
    ("which card", "what card", "last four", "digits", "which of your cards"),
    "Which card do you mean?",
    {
        "train": ("My {value}.", "It is the {value}.", "The {value}, please.", "I mean my {value}."),
        "test": ("That is the {value}.", "I am speaking of the {value}.", "The one in question is the {value}."),
    },
)
_CARD_SORT = Slot(
    "card_sort",
    ("debit card or", "debit or credit", "kind of card", "type of card"),
    "Is it a debit card or a credit card?",
    {"train": ("It is a {value}.", "My {value}."), "test": ("That one is a {value}.", "The {value}, I believe.")},
)
_BLOCK_REASON = Slot(
    "reason",
    ("lost, stolen", "lost or stolen", "reason", "what happened", "why"),
    "Was it lost, stolen or damaged?",
    {
        "train": ("It was {value}.", "{value}.", "It is {value}."),
        "test": ("I am afraid it got {value}.", "Note it as {value}."),
    },
)
_LIMIT = Slot(
    "limit",
    ("limit", "how much"),
    "What should the daily limit be?",
    {
        "train": ("${value}.", "Set it to ${value}.", "It should be ${value}."),
        "test": ("${value} would suit me.", "I had ${value} in mind."),
    },
)
_MERCHANT = Slot(
    "merchant",
    ("which merchant", "what merchant", "which shop", "which payment", "who was paid"),
    "Which merchant do you mean?",
    {
        "train": ("It was {value}.", "{value}.", "I mean {value}.", "The payment went to {value}."),
        "test": ("The money went to {value}.", "They are called {value}.", "On the statement it says {value}."),
    },
)
_DAY = Slot(
    "day",
    ("which day", "what day", "date", "when"),
    "On which day was it booked?",
    {
        "train": ("It was on {value}.", "On {value}.", "The one of {value}."),
        "test": ("My statement says {value}.", "{value} is the day."),
    },
)
_CLAIM_REASON = Slot(
    "reason",
    ("what is wrong", "what's wrong", "reason", "why"),
    "What is wrong with it: not recognised, charged twice, not delivered or wrong amount?",
    {
        "train": ("The reason is: {value}.", "It is a case of {value}.", "{value}."),
        "test": ("Put it down as {value}.", "I would say {value}."),
    },
)
_FEE = Slot(
    "fee",
    ("which fee", "what fee", "kind of fee", "name of the fee"),
    "Which fee do you mean?",
    {
        "train": ("The {value}.", "I mean the {value}.", "It was an item called {value}."),
        "test": ("On paper it says {value}.", "That would be the {value}."),
    },
)
_RUN_DAY = Slot(
    "run_day",
    ("day of the month", "which day", "what day"),
    "On which day of the month does it run?",
    {
        "train": ("On day {value}.", "Day {value} of the month.", "It is day {value}."),
        "test": ("Each time on day {value}.", "Day {value} it is."),
    },
)
_OLD_AMOUNT = Slot(
    "old_amount",
    ("at present", "current amount", "pay now", "so far"),
    "What does it pay at present?",
    {
        "train": ("It pays ${value} now.", "${value} so far."),
        "test": ("Up to today it takes ${value}.", "It has been ${value} each time."),
    },
)
_LOAN = Slot(
    "loan",
    ("which loan", "what loan", "kind of loan"),
    "Which loan do you mean?",
    {
        "train": ("My {value}.", "The {value}.", "It is the {value}."),
        "test": ("That is my {value}.", "I have the {value} in mind."),
    },
)
_OVERDRAFT = Slot(
    "overdraft",
    ("overdraft limit", "which limit", "what limit", "how much", "how far"),
    "What overdraft limit do you want?",
    {
        "train": ("${value}.", "I want ${value}.", "It should be ${value}."),
        "test": ("${value} would be enough.", "Let us say ${value}."),
    },
)
_NEW_EMAIL = Slot(
    "new_email",
    ("e-mail", "email"),
    "What is the new e-mail address?",
    {
        "train": ("The new one is {value}.", "It should be {value}.", "Use {value} from now on."),
        "test": ("From today it is {value}.", "Please switch to {value}."),
    },
)
_NUMBER = Slot(
    "number",
    ("customer number",),
    "What is your customer number?",
    {
        "train": ("It is {value}.", "My customer number is {value}.", "{value}", "The number is {value}."),
        "test": ("Sure, {value}.", "On my papers it says {value}."),
    },
)
_NAME = Slot(
    "name",
    ("your name", "full name", "last name"),
    "What is your full name?",
    {
        "train": ("My name is {value}.", "I am {value}.", "{value}."),
        "test": ("The name is {value}.", "You are speaking with {value}."),
    },
)
_BORN = Slot(
    "born",
    ("date of birth", "born", "birthday", "birth date"),
    "What is your date of birth?",
    {
        "train": ("I was born on {value}.", "{value}.", "It is {value}."),
        "test": ("My birthday is {value}.", "That would be {value}."),
    },
)

CALLERS = Callers(
    ids=lambda db: list(db.base.tables["customers"]),
    facts=candidates.caller_facts,
    knows=candidates.knowledge,
    identities=(
        Identity("find_customer_by_number", {"number": "number", "born": "born"}),
        Identity("find_customer_by_name", {"name": "name", "born": "born"}),
    ),
    slots=(_NUMBER, _NAME, _BORN),
    introductions={
        "train": (
            "Hi, my customer number is {number}, born {born}.",
            "Hello, this is {name}.",
            "Good morning, {name}, born on {born}.",
            "Hi!",
            "Hello, customer number {number}, date of birth {born}.",
            "Hi, I'm {name} and I was born on {born}.",
            "Hey, {name} here.",
            "",
            "Good afternoon. My number with you is {number} and I was born on {born}.",
        ),
        "test": (
            "Good evening, {name} speaking.",
            "Greetings, I bank with you under {number}; my birthday is {born}.",
            "Good day.",
            "Hello there, {name}, birthday {born}.",
            "I have a question, my name is {name}.",
            "Good day to you, {number}, and my date of birth would be {born}.",
        ),
    },
)

_TRANSFER = Wish(
    tool="transfer_money",
    candidates=candidates.transfers,
    slots=(_AMOUNT, _SOURCE, _TARGET, _SOURCE_SORT, _TARGET_SORT),
    openings={
        "train": (
            "Please transfer ${amount} from my {account} to my {target}.",
            "Move ${amount} to my {target}, out of my {account}.",
            "I want to move money between my accounts.",
            "Can you transfer ${amount} from my {account_sort} to my {target_sort}?",
            "I'd like to put ${amount} into my {target}.",
            "Please take ${amount} from my {account} and put it on the {target}.",
            "Could you move some money from my {account} to my {target}?",
            "I need ${amount} on my {target_sort}, please take it from the {account_sort}.",
            "Transfer ${amount} from my {account}, please.",
        ),
        "test": (
            "Kindly shift ${amount} out of the {account} into the {target}.",
            "There is ${amount} that I would rather see on my {target} than on my {account}.",
            "Some of my money sits on the wrong account and has to be shifted.",
            "Would you shift ${amount} from the {account_sort} over to the {target_sort}?",
            "My {target} could use ${amount}.",
            "Let ${amount} go from {account} to {target}, both of them mine.",
        ),
    },
    changes={
        "train": (
            "Actually, make it ${amount}.",
            "Wait, take it from my {account} instead.",
            "Sorry, it should go to my {target}.",
            "On second thought, transfer ${amount} from my {account} to my {target}.",
        ),
        "test": (
            "Hold on, ${amount} is closer to what I need.",
            "Hmm, let it land on my {target} rather.",
            "No, better draw on my {account}.",
        ),
    },
    proposal="transfer ${amount} from your {account} to your {target}",
    tell=_tell_from_balance,
    report="Your {account} now holds {0}.",
)
_PAY = Wish(
    tool="pay_payee",
    candidates=candidates.payments,
    slots=(_PAYEE, _AMOUNT, _SOURCE, _SOURCE_SORT),
    openings={
        "train": (
            "Please pay ${amount} to {payee} from my {account}.",
            "I want to send ${amount} to {payee}.",
            "Can you pay {payee} ${amount} out of my {account_sort}?",
            "I have a bill to pay, please.",
            "I owe {payee} ${amount}. Take it from my {account}.",
            "Please send money to {payee} from my {account}.",
            "I need to pay {payee} today: ${amount}, from the {account_sort}.",
            "Pay ${amount} from my {account}, please.",
            "A payment of ${amount} to {payee}, please, out of my {account}.",
        ),
        "test": (
            "They wait for ${amount} at {payee}; my {account} should cover it.",
            "I have an invoice of ${amount} by {payee} here.",
            "Would you settle ${amount} with {payee}, drawing on the {account_sort}?",
            "There is an invoice on my desk that wants to be settled.",
            "Let {payee} have ${amount}, drawn on my {account}.",
            "Please settle what {payee} billed me: ${amount} off my {account}.",
        ),
    },
    changes={
        "train": (
            "Actually, pay ${amount}.",
            "Wait, use my {account} for it.",
            "Sorry, it is {payee} I want to pay.",
            "On second thought, send ${amount} to {payee} from my {account}.",
        ),
        "test": (
            "Hold on, the invoice says ${amount}.",
            "Hmm, rather draw on my {account}.",
            "No, {payee} is the one to be settled.",
        ),
    },
    proposal="pay ${amount} to {payee} from your {account}",
    tell=_tell_balance,
    report="Your {account} now holds {0}.",
)
_ADD_PAYEE = Wish(
    tool="add_payee",
    candidates=candidates.payee_additions,
    slots=(_NEW_PAYEE, _NEW_NUMBER),
    openings={
        "train": (
            "Please add {new_payee} to my payees, account number {new_number}.",
            "I'd like to add a new payee.",
            "Can you set up {new_payee} as a payee for me?",
            "I want to save a payee: {new_payee}, number {new_number}.",
            "Please register {new_payee} so that I can pay them later.",
            "I have a new payee with the account number {new_number}. The name is {new_payee}.",
            "Add a payee for me, the account number is {new_number}.",
        ),
        "test": (
            "From now on I do business with {new_payee}, at {new_number}; put them on my list.",
            "My list of people to pay lacks somebody.",
            "Could {new_payee} go on my list of people to pay?",
            "Somebody at {new_number} has to go on my list of people to pay.",
            "List {new_payee} among those I can pay, their digits being {new_number}.",
        ),
    },
    changes={
        "train": (
            "Actually, the number is {new_number}.",
            "Wait, the name should be {new_payee}.",
            "Sorry, I read the wrong line: {new_payee}, number {new_number}.",
            "On second thought, make it {new_payee}, number {new_number}.",
        ),
        "test": (
            "Hold on, I misread: the digits are {new_number}.",
            "Hmm, they go by {new_payee} rather.",
            "No, put {new_payee} at {new_number} on it.",
        ),
    },
    proposal="add {new_payee} with the account number {new_number} to your payees",
)
_BLOCK = Wish(
    tool="block_card",
    candidates=candidates.blocks,
    slots=(_CARD, _BLOCK_REASON, _CARD_SORT),
    openings={
        "train": (
            "Please block my {card}, it was {reason}.",
            "I need to block a card.",
            "My {card_sort} was {reason}, please block it.",
            "Can you block my {card}?",
            "One of my cards was {reason}. Block it, please.",
            "I want my {card} blocked right away. It is {reason}.",
            "Block my {card_sort}, please.",
        ),
        "test": (
            "The {card} of mine got {reason} and nobody should be able to use it.",
            "Nobody should be able to use one of my cards any more.",
            "Would you shut down the {card}?",
            "My {card_sort} got {reason}; shut it down before something happens.",
            "A card of mine got {reason} on the train.",
        ),
    },
    changes={
        "train": (
            "Actually, it is my {card}.",
            "Wait, that one is fine. It is the {card}.",
            "Sorry, put down that it was {reason}.",
            "On second thought, block my {card}, it was {reason}.",
        ),
        "test": (
            "Hold on, I have that one right here; shut down the {card}.",
            "Hmm, note {reason} rather.",
        ),
    },
    proposal="block your {card} as {reason}",
)
_REPLACE = Wish(
    tool="replace_card",
    candidates=candidates.replacements,
    slots=(_CARD, _CARD_SORT),
    openings={
        "train": (
            "Please send me a new card in place of my {card}.",
            "I need a replacement for my blocked card.",
            "Can I get a new {card_sort}? The old one is blocked.",
            "My {card} is blocked and I'd like a replacement.",
            "Please replace my {card}.",
            "I want a new card, mine is blocked.",
            "Could you order a replacement for my {card_sort}?",
        ),
        "test": (
            "Since the {card} no longer works, I would like a fresh one by mail.",
            "I am without a working card and would like a fresh one by mail.",
            "Could a successor of my {card} be mailed to me?",
            "Kindly mail me a fresh {card_sort}.",
        ),
    },
    changes={
        "train": (
            "Actually, replace my {card}.",
            "Wait, it is the {card} I need a new one for.",
            "Sorry, I meant the {card}.",
        ),
        "test": ("Hold on, it is the {card} that I miss.", "Hmm, rather a successor of the {card}."),
    },
    proposal="send you a new card in place of your {card}",
    tell=_tell_arrival,
    report="It arrives on {0}.",
)
_CARD_LIMIT = Wish(
    tool="set_card_limit",
    candidates=candidates.card_limits,
    slots=(_CARD, _LIMIT, _CARD_SORT),
    openings={
        "train": (
            "Please set the daily limit of my {card} to ${limit}.",
            "I want to change the limit of a card.",
            "Can you change the limit of my {card_sort} to ${limit}?",
            "I'd like another daily limit on my {card}.",
            "My {card} should have a limit of ${limit} a day.",
            "I need a card limit of ${limit}.",
            "Change my {card_sort} limit to ${limit}, please.",
        ),
        "test": (
            "I would like to be able to spend ${limit} a day with my {card}, no more and no less.",
            "What I can spend by card in a day does not suit me.",
            "Let my {card_sort} go up or down to ${limit} a day.",
            "The {card} needs another cap.",
            "Cap my {card} at ${limit}.",
        ),
    },
    changes={
        "train": (
            "Actually, make the limit ${limit}.",
            "Wait, I meant my {card}.",
            "Sorry, ${limit} is better.",
            "On second thought, set ${limit} on my {card}.",
        ),
        "test": ("Hold on, a cap of ${limit} is wiser.", "Hmm, it is the {card} that needs it."),
    },
    proposal="set the daily limit of your {card} to ${limit}",
)
_DISPUTE = Wish(
    tool="dispute_payment",
    candidates=candidates.disputes,
    slots=(_MERCHANT, _DAY, _CLAIM_REASON, _ACCOUNT, _ACCOUNT_SORT),
    openings={
        "train": (
            "I want to dispute the payment to {merchant} of {day}: {reason}.",
            "There is something wrong with a card payment of mine.",
            "Please dispute what {merchant} took from my {account} on {day}. The reason is: {reason}.",
            "I'd like to dispute a payment to {merchant}.",
            "A card payment of {day} is wrong, I want to dispute it. The reason: {reason}.",
            "Can you open a claim against {merchant} for {day}? The problem: {reason}.",
            "I need to dispute the {day} payment at {merchant}.",
            "Open a claim for me, please: {merchant}, {day}, {reason}.",
        ),
        "test": (
            "My statement shows {merchant} on {day}, and I object to it: {reason}.",
            "I object to something on my card statement.",
            "I was charged by {merchant} and object, the grounds being: {reason}.",
            "The charge of {day} by {merchant} should be looked into.",
            "Kindly look into {merchant}, {day}; you can file it as {reason}.",
        ),
    },
    changes={
        "train": (
            "Actually, the reason is: {reason}.",
            "Wait, I meant the payment to {merchant} on {day}.",
            "Sorry, it was the one of {day}.",
            "On second thought, leave that. Dispute {merchant} on {day} instead, reason: {reason}.",
        ),
        "test": (
            "Hold on, file it as {reason}.",
            "Hmm, the charge I object to is by {merchant}, on {day}.",
        ),
    },
    proposal="dispute the payment to {merchant} of {day} as {reason}",
    tell=_tell_decision,
    report="The claim is decided by {0}.",
)
_REFUND_FEE = Wish(
    tool="refund_fee",
    candidates=candidates.fee_refunds,
    slots=(_FEE, _DAY, _ACCOUNT, _ACCOUNT_SORT),
    openings={
        "train": (
            "Please refund the {fee} of {day}.",
            "I was charged a fee and want it back.",
            "Can you give me back the {fee} on my {account}?",
            "I don't think the {fee} is fair. Can I have it back?",
            "There is a fee of {day} on my {account}. Please refund it.",
            "I want the {fee} from {day} refunded to my {account_sort}.",
            "Please refund a fee on my {account_sort}.",
        ),
        "test": (
            "My statement of {day} lists a {fee}, and I ask for goodwill.",
            "You took something for your services that I would like to see again.",
            "As goodwill, may I have the {fee} back that hit my {account}?",
            "Out of goodwill, could the {fee} be waived?",
            "The {fee} dated {day} was a surprise; please waive it.",
        ),
    },
    changes={
        "train": (
            "Actually, I meant the {fee} of {day}.",
            "Wait, refund the one of {day} instead.",
            "Sorry, it is the {fee} on my {account}.",
            "On second thought, give me back the {fee}.",
        ),
        "test": ("Hold on, it is the {fee} of {day} that hurts.", "Hmm, rather waive what was taken on {day}."),
    },
    proposal="refund the {fee} of {day}",
    tell=_tell_amount,
    report="You get {0} back.",
)
_CREATE_ORDER = Wish(
    tool="create_standing_order",
    candidates=candidates.order_creations,
    slots=(_PAYEE, _AMOUNT, _RUN_DAY, _SOURCE, _SOURCE_SORT),
    openings={
        "train": (
            "Please set up a standing order of ${amount} to {payee} from my {account}, on day {run_day} of the month.",
            "I'd like to set up a standing order.",
            "Can you pay {payee} ${amount} every month on day {run_day}, out of my {account}?",
            "I want to pay {payee} every month.",
            "Set up a monthly payment of ${amount} to {payee}, day {run_day}, from my {account_sort}.",
            "From now on, pay ${amount} to {payee} each month from my {account}.",
            "I need a standing order to {payee} on day {run_day}, please.",
            "Every month on day {run_day} I want to send ${amount} to {payee}, please use my {account_sort}.",
        ),
        "test": (
            "Let {payee} have ${amount} off my {account} each month, always on day {run_day}.",
            "I keep forgetting a bill that comes each month, so let it run by itself.",
            "Make ${amount} go to {payee} by itself, month after month on day {run_day}, off the {account_sort}.",
            "What {payee} gets from me each month should go by itself.",
            "Month after month, on day {run_day}, my {account} is to send ${amount} to {payee}.",
        ),
    },
    changes={
        "train": (
            "Actually, make it ${amount}.",
            "Wait, day {run_day} suits me better.",
            "Sorry, it should come from my {account}.",
            "On second thought, make it ${amount} on day {run_day}.",
        ),
        "test": (
            "Hold on, let it go on day {run_day}.",
            "Hmm, ${amount} each time is what I want.",
            "No, draw it on my {account}.",
        ),
    },
    proposal="set up a standing order of ${amount} to {payee} from your {account}, on day {run_day} of each month",
    tell=_tell_first_run,
    report="It runs for the first time on {0}.",
    undo=_cancel_order,
)
_CHANGE_ORDER = Wish(
    tool="change_standing_order",
    candidates=candidates.order_changes,
    slots=(_PAYEE, _AMOUNT, _RUN_DAY, _OLD_AMOUNT, _ACCOUNT, _ACCOUNT_SORT),
    openings={
        "train": (
            "Please change my standing order to {payee} to ${amount}.",
            "I want to change how much a standing order pays.",
            "The standing order on day {run_day} should pay ${amount} from now on.",
            "Can you change the standing order to {payee} on my {account} to ${amount}?",
            "I'd like my standing order to {payee} to pay a different amount.",
            "The standing order of ${old_amount} should become ${amount}.",
            "My payment to {payee} of ${old_amount} a month changes to ${amount}.",
            "Set one of my standing orders to ${amount}, please.",
        ),
        "test": (
            "What {payee} gets each month is ${amount} from now on, rather than ${old_amount}.",
            "What leaves my account by itself each month is no longer the right sum.",
            "What I send to {payee} each month should be ${amount} henceforth.",
            "Henceforth ${amount}, please, for what runs on day {run_day}.",
            "The sum {payee} gets each month is out of date.",
        ),
    },
    changes={
        "train": (
            "Actually, make it ${amount}.",
            "Wait, I meant the one to {payee}.",
            "Sorry, ${amount} is the right amount.",
            "On second thought, leave that. Change the one to {payee} to ${amount}.",
        ),
        "test": ("Hold on, ${amount} is what we agreed.", "Hmm, it is the one for {payee} that I meant."),
    },
    proposal="change the standing order to {payee} on day {run_day} to ${amount}",
)
_CANCEL_ORDER = Wish(
    tool="cancel_standing_order",
    candidates=candidates.order_cancellations,
    slots=(_PAYEE, _RUN_DAY, _OLD_AMOUNT, _ACCOUNT, _ACCOUNT_SORT),
    openings={
        "train": (
            "Please cancel my standing order to {payee}.",
            "I want to cancel a standing order.",
            "Can you stop the standing order on day {run_day}?",
            "I don't need the monthly payment of ${old_amount} to {payee} any more.",
            "Cancel the standing order on my {account}, please.",
            "Please stop my monthly payment of ${old_amount}.",
            "The standing order to {payee} on day {run_day} can be cancelled.",
        ),
        "test": (
            "There is nothing that {payee} shall get from me each month any longer.",
            "Something that runs by itself each month has to end.",
            "Let the ${old_amount} that {payee} gets each month come to an end.",
            "What runs on day {run_day} has to end.",
            "I moved on from {payee}, so end what they get each month.",
        ),
    },
    changes={
        "train": (
            "Actually, cancel the one to {payee}.",
            "Wait, keep that. It is the one on day {run_day}.",
            "Sorry, I meant the standing order to {payee}.",
        ),
        "test": ("Hold on, it is {payee} who should get nothing more.", "Hmm, end what runs on day {run_day} rather."),
    },
    proposal="cancel the standing order to {payee} on day {run_day}",
)
_REPAY = Wish(
    tool="repay_loan",
    candidates=candidates.repayments,
    slots=(_LOAN, _SOURCE, _SOURCE_SORT),
    openings={
        "train": (
            "I want to pay off my {loan} from my {account}.",
            "Please repay my whole {loan} today, out of my {account_sort}.",
            "I'd like to pay off a loan early.",
            "Can you repay my {loan} in full from my {account}?",
            "I came into some money and want to pay off my {loan}.",
            "Use my {account} to pay off a loan of mine, please.",
            "Please close my {loan} with the money on my {account_sort}.",
            "Pay off the {loan}, please.",
        ),
        "test": (
            "Time to be free of my {loan}; the {account} has what it takes.",
            "I would like to be free of a debt with you before its time.",
            "Clear my {loan} in one go, drawing on the {account_sort}.",
            "I am in a position to clear the {loan} in one go.",
            "Would you clear the {loan} in one go with what is on my {account}?",
        ),
    },
    changes={
        "train": (
            "Actually, take it from my {account}.",
            "Wait, I meant my {loan}.",
            "Sorry, use my {account} for that.",
            "On second thought, pay off the {loan} from my {account}.",
        ),
        "test": ("Hold on, draw on my {account} for it.", "Hmm, the {loan} is the one to clear."),
    },
    proposal="repay your {loan} in full from your {account}",
    tell=_tell_amount,
    report="That took {0}, and the {loan} is repaid.",
)
_SET_OVERDRAFT = Wish(
    tool="set_overdraft",
    candidates=candidates.overdrafts,
    slots=(_ACCOUNT, _OVERDRAFT, _ACCOUNT_SORT),
    openings={
        "train": (
            "Please set the overdraft limit of my {account} to ${overdraft}.",
            "I'd like to change my overdraft.",
            "Can I have an overdraft of ${overdraft} on my {account_sort}?",
            "I want another overdraft limit on my {account}.",
            "I need an overdraft limit of ${overdraft}.",
            "Change the overdraft on my {account} to ${overdraft}, please.",
            "My {account_sort} should have an overdraft limit of ${overdraft}.",
        ),
        "test": (
            "Let my {account} dip as far as ${overdraft} into the red.",
            "How far I may dip into the red no longer fits my life.",
            "I wish to be allowed ${overdraft} into the red on the {account_sort}.",
            "May my {account} dip further, or less far, into the red?",
            "For the {account}, let the red end at ${overdraft}.",
        ),
    },
    changes={
        "train": (
            "Actually, make it ${overdraft}.",
            "Wait, I meant my {account}.",
            "Sorry, ${overdraft} is what I need.",
            "On second thought, set ${overdraft} on my {account}.",
        ),
        "test": ("Hold on, ${overdraft} of red is plenty.", "Hmm, it is the {account} that may dip."),
    },
    proposal="set the overdraft limit of your {account} to ${overdraft}",
    tell=_tell_new_available,
    report="You now have {0} available on it.",
)
_UPDATE_EMAIL = Wish(
    tool="update_email",
    candidates=candidates.email_updates,
    slots=(_NEW_EMAIL,),
    openings={
        "train": (
            "Please change my e-mail address to {new_email}.",
            "I want to update my e-mail.",
            "I have a new e-mail, {new_email}, please update it.",
            "Can you send my notifications to another e-mail address?",
            "My e-mail address changed, it is {new_email} now.",
            "I'd like my notifications at {new_email}.",
            "Can you change the e-mail you have for me?",
        ),
        "test": (
            "Whatever you write to me should arrive at {new_email} henceforth.",
            "The mailbox you write to is one I gave up.",
            "I gave up my old mailbox; {new_email} is the one I read.",
            "Kindly direct your letters to {new_email}.",
        ),
    },
    changes={
        "train": ("Actually, use {new_email}.", "Wait, make it {new_email}.", "Sorry, I'd rather have {new_email}."),
        "test": ("Hold on, {new_email} is the mailbox I read.", "Hmm, rather {new_email}."),
    },
    proposal="change your e-mail address to {new_email}",
)
_BALANCE = Wish(
    tool="list_accounts",
    candidates=candidates.balances,
    slots=(_ACCOUNT, _ACCOUNT_SORT),
    openings={
        "train": (
            "How much is available on my {account}?",
            "How much can I spend from my {account_sort}, overdraft included?",
            "What can I still take out of my {account}?",
            "Please tell me what is available on my {account_sort}.",
            "I need to know the available amount on my {account}.",
            "Before I pay something: how much is available on my {account}?",
        ),
        "test": (
            "Up to what sum could I go on my {account} right now?",
            "With everything counted, what is at my disposal on the {account_sort}?",
            "What is at my disposal on my {account}?",
            "Say I emptied my {account} as far as you let me, what sum would that be?",
        ),
    },
    changes=_NO_CHANGES,
    proposal="look up what is available on your {account}",
    tell=_tell_available,
    report="You have {0} available on your {account}.",
)
_SPENT = Wish(
    tool="list_transactions",
    candidates=candidates.spendings,
    slots=(_MERCHANT, _ACCOUNT, _ACCOUNT_SORT),
    openings={
        "train": (
            "How much have I paid to {merchant} from my {account} in total?",
            "What is the sum of my card payments to {merchant}?",
            "Can you add up what I spent at {merchant} with my {account_sort}?",
            "I want to know the total I spent at {merchant}, from my {account}.",
            "For my budget, what do my payments to {merchant} add up to?",
            "Please add up all card payments to {merchant} on my {account}.",
        ),
        "test": (
            "All in all, what did {merchant} get from my {account}?",
            "I lost track of what went to {merchant}; what does it come to altogether?",
            "Taken together, what did {merchant} charge to the {account_sort}?",
            "What does everything I paid {merchant} off my {account} come to?",
        ),
    },
    changes=_NO_CHANGES,
    proposal="add up your payments to {merchant}",
    tell=_tell_spent,
    report="Your card payments to {merchant} come to {0} in total.",
)
_ORDER_TOTAL = Wish(
    tool="list_standing_orders",
    candidates=candidates.order_totals,
    slots=(_ACCOUNT, _ACCOUNT_SORT),
    openings={
        "train": (
            "How much do the standing orders on my {account} cost me a month in total?",
            "What do my standing orders on the {account_sort} add up to?",
            "Can you add up the standing orders on my {account}?",
            "I want to know the monthly total of standing orders on my {account_sort}.",
            "What is the sum of all standing orders on my {account}?",
            "How much leaves my {account} through standing orders each month?",
        ),
        "test": (
            "All in all, what runs off my {account} by itself each month?",
            "What does everything that runs by itself off the {account_sort} come to each month?",
            "Taken together, which sum does my {account} send out by itself each month?",
            "I lost track of what goes off my {account} by itself; what does a month come to?",
        ),
    },
    changes=_NO_CHANGES,
    proposal="add up the standing orders on your {account}",
    tell=_tell_order_total,
    report="The standing orders on your {account} come to {0} a month.",
)
_DUE = Wish(
    tool="list_loans",
    candidates=candidates.due_dates,
    slots=(_LOAN,),
    openings={
        "train": (
            "When is the next instalment of my {loan} due?",
            "Which day is the next payment on my {loan}?",
            "Can you tell me the next due date of my {loan}?",
            "On what date do I pay the next instalment of the {loan}?",
            "I need the date of my next {loan} instalment.",
            "When do you collect the next instalment for my {loan}?",
        ),
        "test": (
            "By what day must my account be ready for the {loan}?",
            "My {loan} takes its share every month; when does it come again?",
            "Remind me when the {loan} comes around again.",
            "What day should I mark for the {loan} this time?",
        ),
    },
    changes=_NO_CHANGES,
    proposal="look up the next due date of your {loan}",
    tell=_tell_due,
    report="The next instalment of your {loan} is due on {0}.",
)
_PAYOFF = Wish(
    tool="quote_payoff",
    candidates=candidates.payoffs,
    slots=(_LOAN,),
    openings={
        "train": (
            "How much would it take to pay off my {loan} today?",
            "What is the payoff amount of my {loan}?",
            "I'm thinking of paying off my {loan}. What would it cost in total?",
            "Can you give me a quote for repaying my {loan} early? I don't want to do it yet.",
            "If I repaid my {loan} today, how much would I have to pay?",
            "Please tell me the exact amount that would end my {loan}.",
        ),
        "test": (
            "Purely as a question: what sum would rid me of my {loan} today?",
            "Suppose I were to clear the {loan} now, what would you ask for, all included?",
            "I have not decided, but which sum would clear my {loan} in one go?",
            "Only asking: the {loan}, cleared today, comes to what sum?",
        ),
    },
    changes=_NO_CHANGES,
    proposal="look up what would end your {loan}",
    tell=_tell_total,
    report="Repaying your {loan} today takes {0}.",
)
_EMAIL_ON_FILE = Wish(
    tool="get_customer",
    candidates=candidates.customers,
    slots=(),
    openings={
        "train": (
            "Which e-mail address do you have for me?",
            "I don't get your notifications. What e-mail do you have on file?",
            "Can you tell me to which e-mail you send my notifications?",
            "Please check the e-mail address in my profile. What is it?",
            "What e-mail address is stored for me?",
            "I forgot which e-mail I gave you. Can you look it up?",
        ),
        "test": (
            "Nothing of yours reaches me. To which mailbox do you write?",
            "I have several mailboxes; which of them do you use?",
            "Let me know the mailbox that your letters go to.",
            "Could you read out the mailbox you hold for me?",
        ),
    },
    changes=_NO_CHANGES,
    proposal="look up your e-mail address",
    tell=_tell_email,
    report="The e-mail address we have for you is {0}.",
)

WISHES: tuple[Wish, ...] = (
    _TRANSFER,
    _PAY,
    _ADD_PAYEE,
    _BLOCK,
    _REPLACE,
    _CARD_LIMIT,
    _DISPUTE,
    _REFUND_FEE,
    _CREATE_ORDER,
    _CHANGE_ORDER,
    _CANCEL_ORDER,
    _REPAY,
    _SET_OVERDRAFT,
    _UPDATE_EMAIL,
    _BALANCE,
    _SPENT,
    _ORDER_TOTAL,
    _DUE,
    _PAYOFF,
    _EMAIL_ON_FILE,
)
