"""tau2's telecom: what customers want of their lines, their bills and the phone in their hand.

The phone of tau2's data is nobody's in particular until a task says whose; here it is the caller's,
whoever calls. ``set_apn_settings`` has no instruction: its argument is an object that no caller says.
"""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal, NewType

import orjson

from t2t.domain.rule import Rule, RuleContext
from t2t.domain.tool import KindedValue
from t2t.domain.wish import Callers, Candidate, Identity, Instruction, Slot, Wish
from t2t.interop.tau2.wishes import split_of
from t2t.records import Arguments, Split

PhoneNumber = NewType("PhoneNumber", str)
FullName = NewType("FullName", str)
BirthDate = NewType("BirthDate", str)
CustomerId = NewType("CustomerId", str)
LineId = NewType("LineId", str)
BillId = NewType("BillId", str)
AnyId = NewType("AnyId", str)

_App = Literal["messaging", "browser"]
_Permission = Literal["sms", "storage", "phone", "network"]
_Mode = Literal["4g_5g_preferred", "4g_only", "3g_only", "2g_only"]

KINDS: Mapping[str, Any] = {
    "phone_number": PhoneNumber,
    "full_name": FullName,
    "dob": BirthDate,
    "customer_id": CustomerId,
    "line_id": LineId,
    "bill_id": BillId,
    "id": AnyId,
    "app_name": _App,
    "permission": _Permission,
    "mode": _Mode,
}

HELD_OUT = frozenset({"C1001"})
"""Ids of everybody in tau2's official test tasks."""

_TODAY = date(2025, 2, 25)
_MOST_GB = 2.0
_AMOUNTS = {1.0: "1 GB", 1.5: "1.5 GB", 2.0: "2 GB", 3.0: "3 GB", 5.0: "5 GB"}
_MODES = {
    "4g_5g_preferred": "4G and 5G preferred",
    "4g_only": "4G only",
    "3g_only": "3G only",
    "2g_only": "2G only",
}
_PERMISSIONS = {"sms": "text message", "storage": "storage", "phone": "phone", "network": "network"}
_IDLE_REASONS = ("lost the phone", "will not use it for a while")


def harvest(tool_name: str, value: Any) -> Iterator[KindedValue]:
    """Every value of a known kind in what a tool returned."""
    if not (tool_name.startswith("get_customer") or tool_name in ("get_details_by_id", "get_bills_for_customer")):
        return
    read = orjson.loads(value)
    for row in read if isinstance(read, list) else [read]:
        if "full_name" in row:
            yield "CustomerId", row["customer_id"]
            yield from (("LineId", line_id) for line_id in row["line_ids"])
            yield from (("BillId", bill_id) for bill_id in row["bill_ids"])
            yield from (("AnyId", found) for found in (*row["line_ids"], *row["bill_ids"]))
        elif "line_id" in row:
            yield "LineId", row["line_id"]
            yield from (("AnyId", row[name]) for name in ("plan_id", "device_id"))
        elif "bill_id" in row:
            yield "BillId", row["bill_id"]


# What a caller could mean.


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What a caller brings."""

    phone_number: PhoneNumber
    full_name: FullName
    birth_date: BirthDate


def _customer(db: Any, caller: str) -> Any:
    return next(row for row in db.agent.customers if row.customer_id == caller)


def _knows(db: Any, caller: str, rng: random.Random) -> Knowledge:
    row = _customer(db, caller)
    return Knowledge(PhoneNumber(row.phone_number), FullName(row.full_name), BirthDate(row.date_of_birth))


def _caller_facts(db: Any, caller: str) -> dict[str, str]:
    row = _customer(db, caller)
    return {"phone": row.phone_number, "name": row.full_name, "birth_date": row.date_of_birth}


def _ids(db: Any) -> list[str]:
    rows = db.agent.customers
    return [row.customer_id for row in rows if row.line_ids and db.split == split_of(row.customer_id, HELD_OUT)]


def _lines(db: Any, caller: str) -> Iterator[tuple[Any, dict[str, str]]]:
    owned = _customer(db, caller).line_ids
    models = {row.device_id: row.model for row in db.agent.devices}
    for line in db.agent.lines:
        if line.line_id in owned:
            yield line, {"number": line.phone_number, "device": models[line.device_id]}


def _of_line(caller: str, line: Any, **more: Any) -> Arguments:
    return {"customer_id": caller, "line_id": line.line_id, **more}


def _suspensions(db: Any, caller: str) -> Iterator[Candidate]:
    for line, slots in _lines(db, caller):
        if line.status == "Active":
            owes = _has_overdue_bill(db, caller)
            reason = "have an overdue bill" if owes else _IDLE_REASONS[int(line.line_id[1:]) % 2]
            yield Candidate(_of_line(caller, line, reason=f"I {reason}"), {**slots, "reason": f"I {reason}"})


def _resumptions(db: Any, caller: str) -> Iterator[Candidate]:
    for line, slots in _lines(db, caller):
        if line.status != "Active":
            yield Candidate(_of_line(caller, line), slots)


def _roaming(db: Any, caller: str, *, enabled: bool) -> Iterator[Candidate]:
    for line, slots in _lines(db, caller):
        if line.roaming_enabled is enabled:
            yield Candidate(_of_line(caller, line), slots)


def _roaming_to_start(db: Any, caller: str) -> Iterator[Candidate]:
    return _roaming(db, caller, enabled=False)


def _roaming_to_stop(db: Any, caller: str) -> Iterator[Candidate]:
    return _roaming(db, caller, enabled=True)


def _refuels(db: Any, caller: str) -> Iterator[Candidate]:
    for line, slots in _lines(db, caller):
        for amount, said in _AMOUNTS.items():
            yield Candidate(_of_line(caller, line, gb_amount=amount), {**slots, "amount": said})


def _bills(db: Any, caller: str) -> Iterator[Candidate]:
    owned = _customer(db, caller).bill_ids
    for bill in db.agent.bills:
        if bill.bill_id in owned and bill.status.value not in ("Draft", "Awaiting Payment"):
            slots = {"bill": bill.bill_id, "month": f"{bill.period_start:%B %Y}", "total": f"${bill.total_due:.2f}"}
            yield Candidate({"customer_id": caller, "bill_id": bill.bill_id}, slots)


def _has_overdue_bill(db: Any, caller: str) -> bool:
    owned = _customer(db, caller).bill_ids
    return any(bill.bill_id in owned and bill.status.value == "Overdue" for bill in db.agent.bills)


def _usages(db: Any, caller: str) -> Iterator[Candidate]:
    for line, slots in _lines(db, caller):
        yield Candidate(_of_line(caller, line), slots)


def _switched(name: str) -> Any:
    """Candidates of a switch on the phone: the other position."""

    def candidates(db: Any, caller: str) -> Iterator[Candidate]:
        yield Candidate({}, {"state": "off" if getattr(db.user.device, name) else "on"})

    return candidates


def _only_one(db: Any, caller: str) -> Iterator[Candidate]:
    yield Candidate({}, {})


def _vpn(*, connected: bool) -> Any:
    def candidates(db: Any, caller: str) -> Iterator[Candidate]:
        if db.user.device.vpn_connected is connected:
            yield Candidate({}, {})

    return candidates


def _modes(db: Any, caller: str) -> Iterator[Candidate]:
    for mode, said in _MODES.items():
        if mode != db.user.device.network_mode_preference.value:
            yield Candidate({"mode": mode}, {"mode": said})


def _grants(db: Any, caller: str) -> Iterator[Candidate]:
    for name, app in db.user.device.app_statuses.items():
        for permission, said in _PERMISSIONS.items():
            if not getattr(app.permissions, permission):
                slots = {"app": f"{name} app", "permission": f"{said} permission"}
                yield Candidate({"app_name": name, "permission": permission}, slots)


# What must be told.

_Slots = Mapping[str, str]
_Told = tuple[str, ...]


def _tell_charge(db: Any, arguments: Arguments, slots: _Slots, value: str) -> _Told:
    return (f"{float(orjson.loads(value)['charge']):.2f}",)


def _tell_usage(db: Any, arguments: Arguments, slots: _Slots, value: str) -> _Told:
    return (str(orjson.loads(value)["data_used_gb"]),)


# What the policy forbids.

_LINES = frozenset(
    {"suspend_line", "resume_line", "enable_roaming", "disable_roaming", "refuel_data", "get_data_usage"}
)
_MONEY = frozenset({"send_payment_request"})


def _text(context: RuleContext, name: str) -> str:
    return str(context.call.arguments.get(name, ""))


def _line(context: RuleContext) -> Any | None:
    """The line of the call if it belongs to the customer of the call."""
    owned = _owned(context, "line_ids")
    return next((row for row in context.db.agent.lines if row.line_id == _text(context, "line_id") in owned), None)


def _owned(context: RuleContext, name: str) -> list[str]:
    customers = context.db.agent.customers
    return next((getattr(row, name) for row in customers if row.customer_id == _text(context, "customer_id")), [])


def _not_identified(context: RuleContext) -> bool:
    return not any(past.call.name.startswith("get_customer") for past in context.past)


def _line_not_looked_at(context: RuleContext) -> bool:
    return _text(context, "line_id") not in _looked_at(context)


def _bill_not_looked_at(context: RuleContext) -> bool:
    listed = any(past.call.name == "get_bills_for_customer" for past in context.past)
    return not listed and _text(context, "bill_id") not in _looked_at(context)


def _looked_at(context: RuleContext) -> list[str]:
    return [str(past.call.arguments["id"]) for past in context.past if past.call.name == "get_details_by_id"]


def _look_at_line(context: RuleContext) -> tuple[str, Arguments]:
    return "get_details_by_id", {"id": _text(context, "line_id")}


def _look_at_bills(context: RuleContext) -> tuple[str, Arguments]:
    return "get_bills_for_customer", {"customer_id": _text(context, "customer_id")}


def _contract_over(line: Any) -> bool:
    return line.contract_end_date is not None and line.contract_end_date < _TODAY


def _not_overdue(context: RuleContext) -> bool:
    if _text(context, "bill_id") not in _owned(context, "bill_ids"):
        return False
    bill = next(row for row in context.db.agent.bills if row.bill_id == _text(context, "bill_id"))
    return bill.status.value != "Overdue"


def _no_cause_to_suspend(context: RuleContext) -> bool:
    line = _line(context)
    if line is None or line.status != "Active":
        return False
    return not (_has_overdue_bill(context.db, _text(context, "customer_id")) or _contract_over(line))


def _may_not_resume(context: RuleContext) -> bool:
    line = _line(context)
    if line is None or line.status == "Active":
        return False
    return _has_overdue_bill(context.db, _text(context, "customer_id")) or _contract_over(line)


def _refuels_too_much(context: RuleContext) -> bool:
    amount = context.call.arguments.get("gb_amount")
    return _line(context) is not None and isinstance(amount, int | float) and amount > _MOST_GB


_LOOK_AT_LINE = ("I have to look at the line first", ("look", "check"))

RULES = (
    Rule(
        "14.1",
        _LINES | _MONEY,
        _not_identified,
        "I have to find your account first",
        ("account", "phone number", "identify"),
        avoidable=True,
    ),
    Rule(
        "9.13",
        _MONEY,
        _not_overdue,
        "a payment can be requested for an overdue bill only, and this one is not overdue",
        ("overdue",),
    ),
    Rule(
        "10.1",
        frozenset({"suspend_line"}),
        _no_cause_to_suspend,
        "a line is suspended only for an overdue bill or after its contract has ended",
        ("overdue", "contract"),
    ),
    Rule(
        "10.4",
        frozenset({"resume_line"}),
        _may_not_resume,
        "the suspension stays while a bill is overdue or when the contract has ended",
        ("overdue", "contract"),
    ),
    Rule(
        "11.1",
        frozenset({"refuel_data"}),
        _refuels_too_much,
        "at most 2 GB of data can be refueled",
        ("2 gb", "2gb", "two gigabytes", "maximum"),
    ),
    Rule(
        "9.13",
        _MONEY,
        _bill_not_looked_at,
        "I have to look at the bill first",
        ("look", "check"),
        avoidable=True,
        first=_look_at_bills,
    ),
    *(
        Rule(clause, tools, _line_not_looked_at, *_LOOK_AT_LINE, avoidable=True, first=_look_at_line)
        for clause, tools in (
            ("10.1", frozenset({"suspend_line"})),
            ("10.4", frozenset({"resume_line"})),
            ("11.4", frozenset({"refuel_data"})),
            ("13.1", frozenset({"enable_roaming", "disable_roaming"})),
        )
    ),
)

# What callers say.

_NO_CHANGES: Mapping[Split, tuple[str, ...]] = {"train": (), "test": ()}
_NUMBER = Slot(
    "number",
    ("which line", "what line", "number of the line", "which number", "line's number"),
    "What is the number of the line?",
    {
        "train": ("It is {value}.", "The line is {value}.", "{value}."),
        "test": ("That is {value}.", "The one with {value}."),
    },
)
_DEVICE = Slot(
    "device",
    ("which device", "what device", "which line"),
    "Which device is it?",
    {"train": ("It is the {value}.", "My {value}."), "test": ("We are speaking of the {value}.",)},
)
_REASON = Slot(
    "reason",
    ("reason", "why"),
    "What is the reason?",
    {"train": ("Because {value}.", "Well, {value}."), "test": ("You see, {value}.",)},
)
_AMOUNT = Slot(
    "amount",
    ("how much", "how many", "amount"),
    "How much data do you want to add?",
    {"train": ("I want {value}.", "{value}, please."), "test": ("Make that {value}.",)},
)
_MONTH = Slot(
    "month",
    ("which month", "what month", "which bill"),
    "Which month is the bill for?",
    {"train": ("It is for {value}.", "{value}."), "test": ("The one of {value}.",)},
)
_BILL = Slot(
    "bill",
    ("bill id", "bill number", "which bill"),
    "What is the bill id?",
    {"train": ("It is {value}.", "{value}."), "test": ("It reads {value}.",)},
)
_TOTAL = Slot(
    "total",
    ("total", "amount of the bill"),
    "What is the total of the bill?",
    {"train": ("It is {value}.",), "test": ("It comes to {value}.",)},
)
_MODE = Slot(
    "mode",
    ("which network", "which mode", "what mode", "network mode"),
    "Which network mode do you want?",
    {"train": ("I want {value}.", "{value}, please."), "test": ("Let it be {value}.",)},
)
_APP = Slot(
    "app",
    ("which app", "what app"),
    "Which app is it?",
    {"train": ("The {value}.", "It is the {value}."), "test": ("I have the {value} in mind.",)},
)
_PERMISSION = Slot(
    "permission",
    ("which permission", "what permission"),
    "Which permission should it have?",
    {"train": ("The {value}.", "It needs the {value}."), "test": ("What it lacks is the {value}.",)},
)
_STATE = Slot(
    "state",
    ("on or off", "switched on"),
    "Do you want it on or off?",
    {"train": ("I want it {value}.",), "test": ("It should be {value}.",)},
)

CALLERS = Callers(
    ids=_ids,
    facts=_caller_facts,
    knows=_knows,
    identities=(
        Identity("get_customer_by_phone", {"phone_number": "phone"}),
        Identity("get_customer_by_name", {"full_name": "name", "dob": "birth_date"}),
    ),
    slots=(
        Slot(
            "phone",
            ("your phone number", "your number", "contact number"),
            "What is your phone number?",
            {
                "train": ("My number is {value}.", "It is {value}."),
                "test": ("You can reach me at {value}.", "Sure, {value}."),
            },
        ),
        Slot(
            "name",
            ("your name", "full name"),
            "What is your full name?",
            {"train": ("I am {value}.", "My name is {value}."), "test": ("The name is {value}.",)},
        ),
        Slot(
            "birth_date",
            ("birth", "born"),
            "What is your date of birth?",
            {"train": ("I was born on {value}.", "It is {value}."), "test": ("My birthday is {value}.",)},
        ),
    ),
    introductions={
        "train": (
            "Hi, my number is {phone}.",
            "Hello, this is {name}.",
            "Hi!",
            "Good morning, {name} here, born {birth_date}.",
            "",
            "Hello, I am {name} and my number is {phone}.",
            "Hey, my name is {name} and my date of birth is {birth_date}.",
        ),
        "test": (
            "Good afternoon, {name} speaking.",
            "Hello there, you can find me under {phone}.",
            "Good day.",
            "Greetings, {name}, born on {birth_date}.",
        ),
    },
)


def _switch(tool: str, name: str, thing: str) -> Wish:
    """A wish for a switch of the phone."""
    return Wish(
        tool=tool,
        candidates=_switched(name),
        slots=(_STATE,),
        openings={
            "train": (
                f"I want {thing} {{state}} on my phone. What do I have to do?",
                f"How do I turn {thing} {{state}}?",
                f"Please help me turn {thing} {{state}}.",
                f"Can you tell me how to switch {thing} {{state}} on this phone?",
                f"I need {thing} {{state}}.",
                f"My phone should have {thing} {{state}}, please walk me through it.",
            ),
            "test": (
                f"Kindly guide me so that {thing} is {{state}}.",
                f"I can't find where {thing} goes {{state}}.",
                f"Show me the way to have {thing} {{state}}.",
                f"It would suit me to have {thing} {{state}} from now.",
            ),
        },
        changes=_NO_CHANGES,
        proposal=f"have {thing} {{state}}",
    )


WISHES: tuple[Wish, ...] = (
    Wish(
        tool="suspend_line",
        candidates=_suspensions,
        slots=(_NUMBER, _DEVICE, _REASON),
        openings={
            "train": (
                "Please suspend my line {number}, {reason}.",
                "I want to suspend the line of my {device} because {reason}.",
                "Can you suspend a line of mine? It is because {reason}.",
                "Suspend {number}, please. The reason is that {reason}.",
                "I'd like to pause the line {number} of my {device} since {reason}.",
                "Could you put the line of my {device} on hold? The reason: {reason}.",
            ),
            "test": (
                "{number} should rest for some time, for {reason}.",
                "Let the line of the {device} rest, as {reason}.",
                "One of my lines should rest, as {reason}.",
                "Since {reason}, {number} may be put to rest.",
            ),
        },
        changes={
            "train": (
                "Actually, suspend {number} instead.",
                "Sorry, I meant the line of my {device}.",
                "Wait, it is {number}.",
            ),
            "test": ("Hold on, {number} is the one.", "Hmm, rather the line of the {device}."),
        },
        proposal="suspend line {number}",
    ),
    Wish(
        tool="resume_line",
        candidates=_resumptions,
        slots=(_NUMBER, _DEVICE),
        openings={
            "train": (
                "Please resume my line {number}.",
                "I want the line of my {device} back in service.",
                "Can you lift the suspension of {number}?",
                "The line of my {device} is suspended. Please activate it again.",
                "I need {number} again, please resume it.",
                "Could you bring a suspended line of mine back?",
            ),
            "test": (
                "{number} has rested long enough, wake it up.",
                "My {device} has no service as its line rests; end that, please.",
                "A line of mine has rested long enough.",
                "End the rest of {number}.",
            ),
        },
        changes={
            "train": (
                "Actually, resume {number} instead.",
                "Sorry, I meant the line of my {device}.",
                "Wait, it is {number}.",
            ),
            "test": ("Hold on, {number} is the one.", "Hmm, rather the line of the {device}."),
        },
        proposal="resume line {number}",
    ),
    Wish(
        tool="enable_roaming",
        candidates=_roaming_to_start,
        slots=(_NUMBER, _DEVICE),
        openings={
            "train": (
                "I am travelling abroad. Please enable roaming for {number}.",
                "I want roaming on the line of my {device}.",
                "Can you enable roaming for one of my lines?",
                "Please turn on roaming for line {number}, I am on a trip.",
                "My {device} needs roaming on its line.",
                "I'm going abroad with my {device}, so enable roaming for {number}, please.",
            ),
            "test": (
                "{number} has to work in other countries too.",
                "Across the border my {device} must stay online; see to its line.",
                "A line of mine has to work in other countries.",
                "Let {number} roam, please.",
            ),
        },
        changes={
            "train": (
                "Actually, I meant {number}.",
                "Sorry, it is the line of my {device}.",
                "Wait, do it for {number} instead.",
            ),
            "test": ("Hold on, {number} is the one.", "Hmm, rather the line of the {device}."),
        },
        proposal="enable roaming on line {number} at no cost",
    ),
    Wish(
        tool="disable_roaming",
        candidates=_roaming_to_stop,
        slots=(_NUMBER, _DEVICE),
        openings={
            "train": (
                "I am back home. Please disable roaming for {number}.",
                "I don't need roaming on the line of my {device} anymore.",
                "Can you disable roaming for one of my lines?",
                "Please turn off roaming for line {number}.",
                "The line of my {device} should not roam, please switch roaming off.",
                "Disable roaming for {number}, the line of my {device}.",
            ),
            "test": (
                "{number} stays in the country now and needs no foreign networks.",
                "Keep the line of the {device} off foreign networks.",
                "One line of mine should keep off foreign networks.",
                "Keep {number} off foreign networks, please.",
            ),
        },
        changes={
            "train": (
                "Actually, I meant {number}.",
                "Sorry, it is the line of my {device}.",
                "Wait, do it for {number} instead.",
            ),
            "test": ("Hold on, {number} is the one.", "Hmm, rather the line of the {device}."),
        },
        proposal="disable roaming on line {number}",
    ),
    Wish(
        tool="refuel_data",
        candidates=_refuels,
        slots=(_NUMBER, _AMOUNT, _DEVICE),
        openings={
            "train": (
                "Please add {amount} of data to {number}.",
                "I ran out of data on my {device} and want {amount} more.",
                "Can you add data to my line {number}?",
                "I need {amount} of extra data.",
                "I'd like to refuel {amount} on line {number} of my {device}.",
                "Please refuel the line of my {device}.",
                "Refuel {number} with {amount}, please.",
            ),
            "test": (
                "{number} is dry; fill in {amount}.",
                "My {device} could do with {amount} of data.",
                "My data is used up.",
                "Fill up {number}, would you?",
                "Fill the line of the {device} up by {amount}.",
            ),
        },
        changes={
            "train": (
                "Actually, make it {amount}.",
                "Wait, I want it on {number}.",
                "Sorry, {amount} on the line of my {device}.",
            ),
            "test": ("Hold on, {amount} is better.", "Hmm, put it on {number}."),
        },
        proposal="add {amount} of data to line {number}",
        tell=_tell_charge,
        report="The charge is ${0}.",
    ),
    Wish(
        tool="send_payment_request",
        candidates=_bills,
        slots=(_MONTH, _BILL, _TOTAL),
        openings={
            "train": (
                "I want to pay my bill of {month}.",
                "Please send me a payment request for bill {bill}.",
                "Can I pay a bill?",
                "I'd like to pay the bill over {total}.",
                "Please let me pay bill {bill} for {month}.",
                "I want to settle my {month} bill of {total}.",
            ),
            "test": (
                "What I owe for {month} should be settled today.",
                "Let me clear {bill}.",
                "I wish to clear what I owe.",
                "The {total} of {month} can be cleared right away.",
            ),
        },
        changes={
            "train": (
                "Actually, the one of {month}.",
                "Sorry, I meant bill {bill}.",
                "Wait, take the bill over {total}.",
            ),
            "test": ("Hold on, it is {bill}.", "Hmm, rather that of {month}."),
        },
        proposal="send you a payment request for bill {bill} of {month} over {total}",
    ),
    Wish(
        tool="get_data_usage",
        candidates=_usages,
        slots=(_NUMBER, _DEVICE),
        openings={
            "train": (
                "How much data have I used on {number}?",
                "What is the data usage of my {device}?",
                "Can you tell me how many gigabytes {number} used this month?",
                "I want to know the data used on line {number}.",
                "How much data did the line of my {device} use so far?",
                "Please check the data usage of {number}.",
            ),
            "test": (
                "How far is {number} into its data?",
                "I wonder what my {device} has consumed.",
                "The consumption of {number}, please.",
                "What has the line of the {device} consumed by now?",
            ),
        },
        changes=_NO_CHANGES,
        proposal="look up the usage of {number}",
        tell=_tell_usage,
        report="Line {number} has used {0} GB.",
    ),
    Wish(
        tool="set_network_mode_preference",
        candidates=_modes,
        slots=(_MODE,),
        openings={
            "train": (
                "I want my phone to use {mode}.",
                "How do I set the network mode to {mode}?",
                "Please help me change the network mode of my phone.",
                "My phone should be on {mode}, what do I do?",
                "I need another network mode on my phone.",
                "Can you tell me how to get {mode}?",
            ),
            "test": (
                "Kindly guide me to {mode}.",
                "The phone picks the wrong kind of network for my taste.",
                "I would rather be on {mode}.",
                "Show me the way to {mode} on this phone.",
            ),
        },
        changes={
            "train": ("Actually, I want {mode}.", "Wait, make it {mode}.", "Sorry, {mode} is better."),
            "test": ("Hold on, {mode} suits me more.", "Hmm, rather {mode}."),
        },
        proposal="have the network mode set to {mode}",
    ),
    Wish(
        tool="grant_app_permission",
        candidates=_grants,
        slots=(_APP, _PERMISSION),
        openings={
            "train": (
                "I want to give the {app} the {permission}.",
                "How do I grant the {permission} to the {app}?",
                "An app on my phone lacks the {permission}.",
                "Please help me with the permissions of the {app}.",
                "I need to give an app more permissions.",
                "The {app} asks for the {permission}, how do I allow it?",
            ),
            "test": (
                "Kindly guide me so that the {app} gets the {permission}.",
                "The {app} says it may not do something.",
                "Some app says that it may not do something.",
                "Show me how the {app} is allowed the {permission}.",
            ),
        },
        changes={
            "train": (
                "Actually, the {app} should get it, and the {permission}.",
                "Wait, I want the {permission} for the {app}.",
                "Sorry, it is the {permission} that it needs.",
            ),
            "test": ("Hold on, the {permission} for the {app}.", "Hmm, it rather lacks the {permission}."),
        },
        proposal="have the {permission} granted to the {app}",
    ),
    _switch("toggle_airplane_mode", "airplane_mode", "airplane mode"),
    _switch("toggle_data", "data_enabled", "mobile data"),
    _switch("toggle_roaming", "roaming_enabled", "data roaming"),
    _switch("toggle_data_saver_mode", "data_saver_mode", "data saver"),
    _switch("toggle_wifi", "wifi_enabled", "Wi-Fi"),
    _switch("toggle_wifi_calling", "wifi_calling_enabled", "Wi-Fi calling"),
    Wish(
        tool="connect_vpn",
        candidates=_vpn(connected=False),
        slots=(),
        openings={
            "train": (
                "How do I connect to my VPN?",
                "I want to be on my VPN.",
                "Please help me connect the VPN.",
                "My phone is not on the VPN and should be.",
            ),
            "test": ("Guide me onto my VPN, please.", "I'd feel safer behind a VPN.", "The VPN should be up."),
        },
        changes=_NO_CHANGES,
        proposal="have the VPN connected",
    ),
    Wish(
        tool="disconnect_vpn",
        candidates=_vpn(connected=True),
        slots=(),
        openings={
            "train": (
                "How do I get off my VPN?",
                "I want the VPN off.",
                "Please help me disconnect the VPN.",
                "My phone is on the VPN and should not be.",
            ),
            "test": ("Guide me out of my VPN, please.", "The VPN should be down.", "No VPN for me now, please."),
        },
        changes=_NO_CHANGES,
        proposal="have the VPN disconnected",
    ),
    Wish(
        tool="reset_apn_settings",
        candidates=_only_one,
        slots=(),
        openings={
            "train": (
                "I played with the APN settings and want the defaults back.",
                "How do I reset the APN settings?",
                "Please help me reset the APN settings of my phone.",
                "My APN settings should be the default ones again.",
            ),
            "test": (
                "The APN settings must go back to what they were when I got the phone.",
                "Guide me to the factory APN settings.",
                "Undo all that was done to my APN settings.",
            ),
        },
        changes=_NO_CHANGES,
        proposal="have the APN settings reset",
    ),
    Wish(
        tool="reboot_device",
        candidates=_only_one,
        slots=(),
        openings={
            "train": (
                "My phone acts up. How do I restart it?",
                "I want to reboot my phone, what do I do?",
                "Please help me restart my phone.",
                "A friend says I should reboot the phone. How?",
            ),
            "test": ("Guide me through a restart.", "The phone wants a fresh start.", "How does one start it anew?"),
        },
        changes=_NO_CHANGES,
        proposal="have the phone restarted",
    ),
    Wish(
        tool="reseat_sim_card",
        candidates=_only_one,
        slots=(),
        openings={
            "train": (
                "I want to put the SIM card in again.",
                "How do I take the SIM card out and put it back?",
                "Please help me reseat the SIM card.",
                "I think the SIM card sits badly. What do I do?",
            ),
            "test": ("Guide me to seat the SIM anew.", "The SIM may be loose.", "The card in the phone may be loose."),
        },
        changes=_NO_CHANGES,
        proposal="have the SIM card put in again",
    ),
)


def _instruct(tool: str, do: str) -> Instruction:
    """An instruction that is said with the phrase by which it is understood; the caller reads the phone out."""
    return Instruction(
        tool=tool,
        say=f"Please {do}.",
        asked_by=(do.lower(), tool),
        answers={"train": ("Okay. It says: {result}", "Done. {result}"), "test": ("I see this: {result}",)},
    )


INSTRUCTIONS: tuple[Instruction, ...] = (
    _instruct("check_status_bar", "look at the status bar"),
    _instruct("check_network_status", "check the network status"),
    _instruct("check_network_mode_preference", "check the network mode"),
    _instruct("set_network_mode_preference", "set the network mode to {mode}"),
    _instruct("run_speed_test", "run a speed test"),
    _instruct("toggle_airplane_mode", "toggle airplane mode"),
    _instruct("check_sim_status", "check the SIM card"),
    _instruct("reseat_sim_card", "reseat the SIM card"),
    _instruct("toggle_data", "toggle mobile data"),
    _instruct("toggle_roaming", "toggle data roaming"),
    _instruct("check_data_restriction_status", "check the data restrictions"),
    _instruct("toggle_data_saver_mode", "toggle data saver"),
    _instruct("check_apn_settings", "check the APN settings"),
    _instruct("reset_apn_settings", "reset the APN settings"),
    _instruct("check_wifi_status", "check the Wi-Fi status"),
    _instruct("toggle_wifi", "toggle the Wi-Fi"),
    _instruct("check_wifi_calling_status", "check the status of Wi-Fi calling"),
    _instruct("toggle_wifi_calling", "toggle calling over Wi-Fi"),
    _instruct("check_vpn_status", "check the VPN"),
    _instruct("connect_vpn", "connect the VPN"),
    _instruct("disconnect_vpn", "disconnect the VPN"),
    _instruct("check_installed_apps", "check which apps are installed"),
    _instruct("check_app_status", "check the status of the {app_name} app"),
    _instruct("check_app_permissions", "check the permissions of the {app_name} app"),
    _instruct("grant_app_permission", "grant the {permission} permission to the {app_name} app"),
    _instruct("can_send_mms", "check whether you can send an MMS"),
    _instruct("reboot_device", "reboot the phone"),
    _instruct("check_payment_request", "check your payment requests"),
    _instruct("make_payment", "make the payment"),
)
