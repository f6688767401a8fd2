"""Everything a caller of the carrier could mean: calls and what a caller could say of them.

A caller who names only a symptom ("no internet") does not know its cause. The symptom belongs to a
candidate when it has one cause alone and the call mends it. Where a setting of the phone is the cause, the
other settings could be it as well until the caller has looked at the phone, and what it shows tells.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from t2t.domain.wish import Candidate
from t2t.domains.telecom.data import destinations, split_of
from t2t.domains.telecom.phone import Cause, Fault, Symptom, faults, is_on, status_bar
from t2t.domains.telecom.schema import (
    CAPS,
    NETWORK_MODES,
    REFUELS,
    SETTINGS,
    SUSPEND_REASONS,
    BirthDate,
    Country,
    FullName,
    Line,
    Phone,
    PhoneId,
    PhoneNumber,
    Setting,
    TelecomDB,
    money,
)
from t2t.records import Split

_HOME: dict[Split, dict[Symptom, str]] = {
    "train": {
        "no internet": "has no internet",
        "slow internet": "is awfully slow online",
        "no service": "has no service at all",
    },
    "test": {
        "no internet": "cannot get online",
        "slow internet": "takes forever to load anything",
        "no service": "does not find any network",
    },
}
_ABROAD: dict[Split, dict[Symptom, str]] = {
    "train": {
        "no internet": "has had no internet since I landed in {country}",
        "slow internet": "has been awfully slow online since I landed in {country}",
        "no service": "has had no service since I landed in {country}",
    },
    "test": {
        "no internet": "has not been online since I got to {country}",
        "slow internet": "has taken forever to load anything since I got to {country}",
        "no service": "has not found a network since I got to {country}",
    },
}
_WORKING: dict[Setting, str] = {"airplane mode": "off", "mobile data": "on", "data roaming": "on", "data saver": "off"}
"""How each setting must be for the internet to work."""
_MONTHS = {"2026-07": "July", "2026-08": "August"}


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What a caller brings: who they are, the phone in their hand, where they may go."""

    number: PhoneNumber
    name: FullName
    born: BirthDate
    phone_id: PhoneId
    countries: tuple[Country, ...]


def knowledge(db: TelecomDB, caller: str, rng: random.Random) -> Knowledge:
    """What this caller brings to a walk."""
    del rng  # it is always the same
    customer = db.customers[caller]
    own = db.lines[db.phones[customer.phone_id].line_id]
    return Knowledge(own.number, customer.name, customer.born, customer.phone_id, destinations(customer))


def caller_facts(db: TelecomDB, caller: str) -> dict[str, str]:
    """What a caller knows about themselves."""
    customer = db.customers[caller]
    own = db.lines[db.phones[customer.phone_id].line_id]
    return {"number": own.number, "name": customer.name, "born": customer.born}


def account(db: TelecomDB, caller: str) -> Iterator[Candidate]:
    """The caller's own account."""
    del db  # the id says it all
    yield Candidate({"customer_id": caller}, {})


def bills_to_compare(db: TelecomDB, caller: str) -> Iterator[Candidate]:
    """Any bill that has one before it."""
    for bill in db.bills.where("customer_id", caller):
        if bill.month in _MONTHS:
            yield Candidate({"bill_id": bill.id}, {"month": _MONTHS[bill.month]})


def lines_to_look_at(db: TelecomDB, caller: str) -> Iterator[Candidate]:
    """Any line."""
    for line, slots in _lines(db, caller):
        yield Candidate({"line_id": line.id}, slots)


def plan_changes(db: TelecomDB, caller: str) -> Iterator[Candidate]:
    """Any line to any other plan."""
    for line, slots in _open_lines(db, caller):
        for plan in db.plans:
            if plan.id != line.plan_id:
                told = {**slots, "plan": plan.name, "data": f"{plan.data // 10} GB"}
                yield Candidate({"line_id": line.id, "plan_id": plan.id}, told)


def roaming_openings(db: TelecomDB, caller: str) -> Iterator[Candidate]:
    """Any line that is not open for roaming, and any that was before the talk."""
    for line, slots in _open_lines(db, caller):
        if not line.roaming or _before(db, line).roaming:
            yield Candidate({"line_id": line.id}, {**slots, **_trouble(db, caller, line, "line roaming")})


def passes(db: TelecomDB, caller: str) -> Iterator[Candidate]:
    """Any line, any pass for a country where the caller may go."""
    for line, slots in _open_lines(db, caller):
        for country in destinations(db.customers[caller]):
            for row in db.passes.where("zone", db.countries[country].zone):
                told = {**slots, "country": country, "days": f"{row.days} days"}
                yield Candidate({"line_id": line.id, "pass_id": row.id}, told)


def suspensions(db: TelecomDB, caller: str) -> Iterator[Candidate]:
    """Any line, for each reason."""
    for line, slots in _open_lines(db, caller):
        for reason in SUSPEND_REASONS:
            yield Candidate({"line_id": line.id, "reason": reason}, {**slots, "reason": _SPOKEN_REASON[reason]})


def resumptions(db: TelecomDB, caller: str) -> Iterator[Candidate]:
    """Any suspended line."""
    for line, slots in _lines(db, caller):
        if line.status == "suspended":
            yield Candidate({"line_id": line.id}, {**slots, **_trouble(db, caller, line, "suspended")})


def sim_activations(db: TelecomDB, caller: str) -> Iterator[Candidate]:
    """The new SIM card in the phone, for any line."""
    sim = db.sims[_phone(db, caller).sim_number]
    if sim.state == "new":
        for line, slots in _open_lines(db, caller):
            told = {**slots, **_trouble(db, caller, line, "new SIM")}
            yield Candidate({"line_id": line.id, "sim_number": sim.id}, told)


def refuels(db: TelecomDB, caller: str) -> Iterator[Candidate]:
    """Any line, any size."""
    for line, slots in _open_lines(db, caller):
        for size in REFUELS:
            told = {**slots, "size": size, **_trouble(db, caller, line, "data used up")}
            yield Candidate({"line_id": line.id, "size": size}, told)


def caps(db: TelecomDB, caller: str) -> Iterator[Candidate]:
    """Any line, any other cap."""
    for line, slots in _open_lines(db, caller):
        for cap in CAPS:
            if cap != money(line.cap_cents):
                yield Candidate({"line_id": line.id, "cap": cap}, {**slots, "cap": cap})


def port_codes(db: TelecomDB, caller: str) -> Iterator[Candidate]:
    """Any line without an open code, and any that had one before the talk."""
    for line, slots in _open_lines(db, caller):
        if not line.port_code_until or _before(db, line).port_code_until:
            yield Candidate({"line_id": line.id}, slots)


def switches(db: TelecomDB, caller: str) -> Iterator[Candidate]:
    """On a phone that works, every setting the other way; else the setting at fault, and those it could be as well."""
    phone = _phone(db, caller)
    if not faults(db, phone):
        for setting in SETTINGS:
            slots = {"setting": setting, "state": "off" if is_on(phone, setting) else "on"}
            yield Candidate({"phone_id": phone.id, **slots}, slots)
    fault = _only_fault(db, phone)
    if fault is None or fault.cause not in SETTINGS:
        return
    told = {"trouble": _spoken(phone, caller, fault.symptom)}
    for setting, state in _WORKING.items():
        slots = {"setting": setting, "state": state}
        if setting == fault.cause:
            yield Candidate({"phone_id": phone.id, **slots}, {**told, **slots, "shows": status_bar(db, phone)})
        elif is_on(phone, setting) == (state == "on"):
            yield Candidate({"phone_id": phone.id, **slots}, told)


def network_modes(db: TelecomDB, caller: str) -> Iterator[Candidate]:
    """Every other network mode, on a phone that works or is slow for its mode; then the automatic one mends it."""
    phone = _phone(db, caller)
    trouble = _trouble_of_phone(db, caller, "network mode")
    if faults(db, phone) and not trouble:
        return
    for mode in NETWORK_MODES:
        if mode != phone.network_mode:
            yield Candidate(
                {"phone_id": phone.id, "mode": mode}, {"mode": mode, **(trouble if mode == "automatic" else {})}
            )


def sim_reseatings(db: TelecomDB, caller: str) -> Iterator[Candidate]:
    """A loose SIM card."""
    phone = _phone(db, caller)
    if not phone.sim_seated:
        yield Candidate({"phone_id": phone.id}, _trouble_of_phone(db, caller, "loose SIM"))


def access_point_resets(db: TelecomDB, caller: str) -> Iterator[Candidate]:
    """An access point that was changed by hand."""
    phone = _phone(db, caller)
    if phone.access_point != "standard":
        yield Candidate({"phone_id": phone.id}, _trouble_of_phone(db, caller, "access point"))


def restarts(db: TelecomDB, caller: str) -> Iterator[Candidate]:
    """A phone that is stuck."""
    phone = _phone(db, caller)
    if phone.stuck:
        yield Candidate({"phone_id": phone.id}, _trouble_of_phone(db, caller, "stuck"))


_SPOKEN_REASON = {"lost": "lost", "stolen": "stolen", "travel": "not needed while we travel"}


def _phone(db: TelecomDB, caller: str) -> Phone:
    return db.phones[db.customers[caller].phone_id]


def _lines(db: TelecomDB, caller: str) -> Iterator[tuple[Line, dict[str, str]]]:
    """Lines of the caller, with what tells them apart."""
    for line in db.lines.where("customer_id", caller):
        yield line, {"user": line.user, "line": line.number}


def _open_lines(db: TelecomDB, caller: str) -> Iterator[tuple[Line, dict[str, str]]]:
    """The same without those suspended in the talk itself, for which nobody asks more."""
    for line, slots in _lines(db, caller):
        if line.status == "active" or _before(db, line).status == "suspended":
            yield line, slots


def _before(db: TelecomDB, line: Line) -> Line:
    """The line as it was before the talk."""
    return db.base.tables["lines"].get(line.id, line)  # pyright: ignore[reportReturnType]


def _only_fault(db: TelecomDB, phone: Phone) -> Fault | None:
    """What is wrong with a phone, if it is one thing."""
    found = faults(db, phone)
    return found[0] if len(found) == 1 else None


def _trouble_of_phone(db: TelecomDB, caller: str, cause: Cause) -> dict[str, str]:
    """The symptom as a slot, if this is its only cause."""
    phone = _phone(db, caller)
    fault = _only_fault(db, phone)
    return {"trouble": _spoken(phone, caller, fault.symptom)} if fault and fault.cause == cause else {}


def _trouble(db: TelecomDB, caller: str, line: Line, cause: Cause) -> dict[str, str]:
    """The same for a cause on a line, which must be that of the caller's phone."""
    return _trouble_of_phone(db, caller, cause) if _phone(db, caller).line_id == line.id else {}


def _spoken(phone: Phone, caller: str, symptom: Symptom) -> str:
    pool = _ABROAD if phone.country else _HOME
    return pool[split_of(caller)][symptom].format(country=phone.country)
