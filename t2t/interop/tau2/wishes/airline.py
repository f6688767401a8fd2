"""tau2's airline: what travellers want of their reservations, and the clauses that forbid it.

Booking is no wish here: its eleven arguments would have to be told one by one. Its rules are checked
all the same, for an agent that books unasked.
"""

import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, NewType

import orjson
from pydantic import JsonValue

from t2t.domain.rule import Rule, RuleContext
from t2t.domain.tool import KindedValue
from t2t.domain.wish import Callers, Candidate, Identity, Instruction, Slot, Wish
from t2t.interop.tau2.wishes import ending, split_of
from t2t.records import Arguments, Split

UserId = NewType("UserId", str)
ReservationId = NewType("ReservationId", str)
PaymentId = NewType("PaymentId", str)
FlightNumber = NewType("FlightNumber", str)
FlightDate = NewType("FlightDate", str)
Airport = NewType("Airport", str)

KINDS: Mapping[str, Any] = {
    "user_id": UserId,
    "reservation_id": ReservationId,
    "payment_id": PaymentId,
    "flight_number": FlightNumber,
    "date": FlightDate,
    "origin": Airport,
    "destination": Airport,
}

HELD_OUT = frozenset(
    "aarav_ahmed aarav_garcia amelia_sanchez anya_garcia daiki_lee ivan_muller ivan_rossi james_lee james_taylor "
    "mia_kim noah_muller olivia_gonzalez omar_davis omar_rossi raj_brown sophia_silva sophia_taylor".split()
)
"""Names, as user ids begin with them, of everybody in tau2's official test tasks."""

_NOW = datetime(2024, 5, 15, 15)
_CABINS = {"basic_economy": "basic economy", "economy": "economy", "business": "business class"}
_FREE_BAGS = {"basic_economy": 0, "economy": 1, "business": 2}
_EXTRA_FREE_BAGS = {"regular": 0, "silver": 1, "gold": 2}
_CITIES = {
    "SFO": "San Francisco",
    "JFK": "New York",
    "LAX": "Los Angeles",
    "ORD": "Chicago",
    "DFW": "Dallas",
    "DEN": "Denver",
    "SEA": "Seattle",
    "ATL": "Atlanta",
    "MIA": "Miami",
    "BOS": "Boston",
    "PHX": "Phoenix",
    "IAH": "Houston",
    "LAS": "Las Vegas",
    "MCO": "Orlando",
    "EWR": "Newark",
    "CLT": "Charlotte",
    "MSP": "Minneapolis",
    "DTW": "Detroit",
    "PHL": "Philadelphia",
    "LGA": "LaGuardia",
}
_NEWCOMERS: Mapping[Split, tuple[tuple[str, str, str], ...]] = {
    "train": (("Greta", "Holm", "1984-02-11"), ("Pablo", "Reyes", "1991-07-30"), ("Naomi", "Clarke", "1976-10-05")),
    "test": (("Stefan", "Weiss", "1989-01-23"), ("Lucia", "Moretti", "1993-09-14"), ("Hassan", "Idris", "1979-12-02")),
}
_EXCUSES = ("I fell ill", "the weather forecast is too bad", "my plans changed")
_MONEY_BACK_EXCUSES = _EXCUSES[:2]
_GROUNDED = "the airline cancelled a flight"


def harvest(tool_name: str, value: Any) -> Iterator[KindedValue]:
    """Every value of a known kind in what a tool returned.

    Flights and passengers are arguments as whole objects; the text of one is a value too, so that a
    talk is known to have shown it.
    """
    if tool_name == "get_user_details":
        read = orjson.loads(value)
        yield "UserId", read["user_id"]
        yield from (("ReservationId", reservation_id) for reservation_id in read["reservations"])
        yield from (("PaymentId", payment_id) for payment_id in read["payment_methods"])
        yield from (("Passenger", str(passenger)) for passenger in read["saved_passengers"])
    elif tool_name in ("search_direct_flight", "list_all_airports"):
        for row in orjson.loads(value):
            yield ("Airport", row["iata"]) if "iata" in row else ("FlightNumber", row["flight_number"])
    elif tool_name == "get_reservation_details":
        read = orjson.loads(value)
        yield "UserId", read["user_id"]
        yield "ReservationId", read["reservation_id"]
        yield from (("PaymentId", payment["payment_id"]) for payment in read["payment_history"])
        yield from (("Passenger", str(passenger)) for passenger in read["passengers"])
        for flight in read["flights"]:
            yield "FlightNumber", flight["flight_number"]
            yield "FlightDate", flight["date"]
            yield from (("Airport", flight[end]) for end in ("origin", "destination"))
            yield "Flight", str({name: flight[name] for name in ("flight_number", "date")})


# What a caller could mean.


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What a caller brings."""

    user_id: UserId


def _knows(db: Any, caller: str, rng: random.Random) -> Knowledge:
    return Knowledge(UserId(caller))


def _caller_facts(db: Any, caller: str) -> dict[str, str]:
    user = db.agent.users[caller]
    return {"user_id": caller, "name": f"{user.name.first_name} {user.name.last_name}"}


def _ids(db: Any) -> list[str]:
    users = db.agent.users.values()
    return [u.user_id for u in users if u.reservations and db.split == split_of(_stem(u.user_id), HELD_OUT)]


def _stem(user_id: str) -> str:
    return user_id.rpartition("_")[0]


def _spoken_day(iso: str) -> str:
    day = date.fromisoformat(iso)
    return f"{day:%B} {day.day}"


def _status(db: Any, flight: Any) -> str:
    return db.agent.flights[flight.flight_number].dates[flight.date].status


def _is_flown(db: Any, reservation: Any) -> bool:
    return any(_status(db, flight) in ("landed", "flying") for flight in reservation.flights)


def _is_grounded(db: Any, reservation: Any) -> bool:
    return any(_status(db, flight) == "cancelled" for flight in reservation.flights)


def _is_recent(reservation: Any) -> bool:
    return _NOW - datetime.fromisoformat(reservation.created_at) <= timedelta(hours=24)


def _free_bags(db: Any, reservation: Any) -> int:
    member = db.agent.users[reservation.user_id].membership
    return len(reservation.passengers) * (_FREE_BAGS[reservation.cabin] + _EXTRA_FREE_BAGS[member])


def _reservations(db: Any, caller: str) -> Iterator[tuple[Any, dict[str, str]]]:
    """Reservations of the caller that stand, with number, route and day."""
    for reservation_id in db.agent.users[caller].reservations:
        row = db.agent.reservations[reservation_id]
        if row.status is None:
            route = f"{_CITIES[row.origin]} to {_CITIES[row.destination]}"
            yield row, {"reservation": row.reservation_id, "route": route, "day": _spoken_day(row.flights[0].date)}


def _payments(db: Any, caller: str) -> list[tuple[Any, dict[str, str]]]:
    """Payment methods of the caller, with their names."""
    methods = list(db.agent.users[caller].payment_methods.values())
    kinds = Counter(method.source for method in methods)
    found: list[tuple[Any, dict[str, str]]] = []
    for method in methods:
        if method.source == "credit_card":
            label = f"{method.brand} ending in {method.last_four}"
        else:
            way = "gift card" if method.source == "gift_card" else "travel certificate"
            label = way if kinds[method.source] == 1 else f"{way} ending in {ending(method.id)}"
        found.append((method, {"payment": label}))
    return found


def _can_pay(method: Any, price: int) -> bool:
    return method.source == "credit_card" or (method.source == "gift_card" and method.amount >= price)


def _cancellations(db: Any, caller: str) -> Iterator[Candidate]:
    """Any reservation, with a reason that is true of it; insurance pays for illness and weather alone."""
    for row, slots in _reservations(db, caller):
        excuses = _MONEY_BACK_EXCUSES if row.insurance == "yes" else _EXCUSES
        excuse = excuses[sum(row.reservation_id.encode()) % len(excuses)]
        reason = _GROUNDED if _is_grounded(db, row) else excuse
        yield Candidate({"reservation_id": row.reservation_id}, {**slots, "reason": reason})


def _flights(reservation: Any) -> list[JsonValue]:
    return [{"flight_number": flight.flight_number, "date": flight.date} for flight in reservation.flights]


def _open_price(db: Any, number: str, day: str, cabin: str, seats: int) -> int | None:
    """Price of a seat where so many can be booked."""
    flight = db.agent.flights[number].dates.get(day)
    if flight is None or flight.status != "available" or flight.available_seats[cabin] < seats:
        return None
    return flight.prices[cabin]


def _moves(db: Any, row: Any) -> Iterator[tuple[str, list[JsonValue], str, int]]:
    """Other cabins and days of a reservation: cabin, flights, how it is said, and what is to be paid."""
    seats, kept, flown = len(row.passengers), _flights(row), _is_flown(db, row)
    paid = sum(flight.price for flight in row.flights)
    for cabin, said in _CABINS.items():
        prices = [_open_price(db, flight.flight_number, flight.date, cabin, seats) for flight in row.flights]
        if cabin != row.cabin and (flown or None not in prices):
            yield cabin, kept, f"to {said}", (sum(price or 0 for price in prices) - paid) * seats
    days = [flight.date for flight in row.flights]
    for place, flight in enumerate(row.flights):
        if flown or days.count(flight.date) > 1:
            continue
        for shift in (-2, -1, 1, 2):
            day = (date.fromisoformat(flight.date) + timedelta(days=shift)).isoformat()
            price = _open_price(db, flight.flight_number, day, row.cabin, seats)
            moved = [*days[:place], day, *days[place + 1 :]]
            if price is not None and moved == sorted(moved) and day > _NOW.date().isoformat():
                changed: JsonValue = {"flight_number": flight.flight_number, "date": day}
                said = f"so that the flight of {_spoken_day(flight.date)} is on {_spoken_day(day)}"
                yield row.cabin, [*kept[:place], changed, *kept[place + 1 :]], said, (price - flight.price) * seats


def _flight_changes(db: Any, caller: str) -> Iterator[Candidate]:
    for row, slots in _reservations(db, caller):
        for cabin, flights, said, price in _moves(db, row):
            for method, told in _payments(db, caller):
                if method.source == "certificate" or _can_pay(method, price):
                    arguments: Arguments = {
                        "reservation_id": row.reservation_id,
                        "cabin": cabin,
                        "flights": flights,
                        "payment_id": method.id,
                    }
                    yield Candidate(arguments, {**slots, **told, "change": said})


def _bag_changes(db: Any, caller: str) -> Iterator[Candidate]:
    for row, slots in _reservations(db, caller):
        if _is_flown(db, row):
            continue
        for more, said in ((1, "one more checked bag"), (2, "two more checked bags"), (-1, "one checked bag less")):
            total = row.total_baggages + more
            nonfree = max(0, total - _free_bags(db, row))
            for method, told in _payments(db, caller):
                if total >= 0 and _can_pay(method, 50 * max(0, nonfree - row.nonfree_baggages)):
                    arguments: Arguments = {
                        "reservation_id": row.reservation_id,
                        "total_baggages": total,
                        "nonfree_baggages": nonfree,
                        "payment_id": method.id,
                    }
                    yield Candidate(arguments, {**slots, **told, "bags": said})


def _passengers(rows: Sequence[Any]) -> list[dict[str, JsonValue]]:
    return [{"first_name": row.first_name, "last_name": row.last_name, "dob": row.dob} for row in rows]


def _spoken_person(person: Mapping[str, JsonValue]) -> str:
    return f"{person['first_name']} {person['last_name']}"


def _passenger_changes(db: Any, caller: str) -> Iterator[Candidate]:
    """Another traveller in place of one, or beside them."""
    newcomers = _passengers(db.agent.users[caller].saved_passengers)
    for first, last, born in _NEWCOMERS[db.split]:
        newcomers.append({"first_name": first, "last_name": last, "dob": born})
    for row, slots in _reservations(db, caller):
        if _is_flown(db, row):
            continue
        there = _passengers(row.passengers)
        for new in newcomers:
            if new in there:
                continue
            said = f"{_spoken_person(new)}, born {new['dob']}"
            for place, old in enumerate(there):
                changed = [*there[:place], new, *there[place + 1 :]]
                change = f"{said}, travels in place of {_spoken_person(old)}"
                yield Candidate(_manifest(row, changed), {**slots, "change": change})
            yield Candidate(_manifest(row, [*there, new]), {**slots, "change": f"{said}, travels with the others"})


def _manifest(reservation: Any, passengers: Sequence[dict[str, JsonValue]]) -> Arguments:
    return {"reservation_id": reservation.reservation_id, "passengers": [*passengers]}


def _compensations(db: Any, caller: str) -> Iterator[Candidate]:
    """A certificate for any reservation; a false claim only where its amount is not owed for another one."""
    rows = list(_reservations(db, caller))
    owed = {_gesture(row) for row, _ in rows if _is_grounded(db, row) and _may_compensate(db, row)}
    for row, slots in rows:
        entitled = _is_grounded(db, row) and _may_compensate(db, row)
        if entitled or _gesture(row) not in owed:
            yield Candidate({"user_id": caller, "amount": _gesture(row)}, slots)


def _gesture(reservation: Any) -> int:
    return 100 * len(reservation.passengers)


def _may_compensate(db: Any, reservation: Any) -> bool:
    member = db.agent.users[reservation.user_id].membership
    return member != "regular" or reservation.insurance == "yes" or reservation.cabin == "business"


def _details(db: Any, caller: str) -> Iterator[Candidate]:
    for row, slots in _reservations(db, caller):
        yield Candidate({"reservation_id": row.reservation_id}, slots)


def _profiles(db: Any, caller: str) -> Iterator[Candidate]:
    yield Candidate({"user_id": caller}, {})


def _own_flights(db: Any, caller: str) -> Iterator[Candidate]:
    for row, _ in _reservations(db, caller):
        for flight in row.flights:
            slots = {"flight": flight.flight_number, "day": _spoken_day(flight.date)}
            yield Candidate({"flight_number": flight.flight_number, "date": flight.date}, slots)


# What must be told.

_Slots = Mapping[str, str]
_Told = tuple[str, ...]


def _tell_refund(db: Any, arguments: Arguments, slots: _Slots, value: str) -> _Told:
    return (str(-sum(row["amount"] for row in orjson.loads(value)["payment_history"] if row["amount"] < 0)),)


def _tell_paid(db: Any, arguments: Arguments, slots: _Slots, value: str) -> _Told:
    return (str(sum(row["amount"] for row in orjson.loads(value)["payment_history"])),)


def _tell_member(db: Any, arguments: Arguments, slots: _Slots, value: str) -> _Told:
    return (orjson.loads(value)["membership"],)


def _tell_status(db: Any, arguments: Arguments, slots: _Slots, value: str) -> _Told:
    return (value,)


# What the policy forbids.

_FLIGHTS = frozenset({"update_reservation_flights"})
_BAGS = frozenset({"update_reservation_baggages"})
_PASSENGERS = frozenset({"update_reservation_passengers"})
_CANCEL = frozenset({"cancel_reservation"})
_COMPENSATE = frozenset({"send_certificate"})
_BOOK = frozenset({"book_reservation"})
_CHANGES = _FLIGHTS | _BAGS | _PASSENGERS | _CANCEL
_WRITES = _CHANGES | _BOOK | _COMPENSATE


def _rows(value: JsonValue) -> list[dict[str, JsonValue]]:
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []


def _number(context: RuleContext, name: str) -> int:
    value = context.call.arguments.get(name)
    return value if isinstance(value, int) else 0


def _text(context: RuleContext, name: str) -> str:
    return str(context.call.arguments.get(name, ""))


def _reservation(context: RuleContext) -> Any | None:
    row = context.db.agent.reservations.get(_text(context, "reservation_id"))
    return row if row is not None and row.status is None else None


def _method(context: RuleContext, user_id: str, payment_id: str) -> Any | None:
    user = context.db.agent.users.get(user_id)
    return user.payment_methods.get(payment_id) if user is not None else None


def _not_confirmed(context: RuleContext) -> bool:
    return context.confirmed is False


def _looked_at(context: RuleContext) -> list[Any]:
    """Reservations whose details were read."""
    read = [past.call for past in context.past if past.call.name == "get_reservation_details"]
    return [context.db.agent.reservations[str(call.arguments["reservation_id"])] for call in read]


def _not_looked_at(context: RuleContext) -> bool:
    return _text(context, "reservation_id") not in [row.reservation_id for row in _looked_at(context)]


def _look(context: RuleContext) -> tuple[str, Arguments]:
    return "get_reservation_details", {"reservation_id": _text(context, "reservation_id")}


def _look_at_facts(context: RuleContext) -> tuple[str, Arguments]:
    """At the reservation that could justify the certificate, or one with that many passengers."""
    user = context.db.agent.users[_text(context, "user_id")]
    rows = [context.db.agent.reservations[reservation_id] for reservation_id in user.reservations]
    meant = [*_claims(context), *(row for row in rows if _number(context, "amount") == _gesture(row)), *rows]
    return "get_reservation_details", {"reservation_id": meant[0].reservation_id}


def _facts_not_looked_at(context: RuleContext) -> bool:
    return not any(row.user_id == _text(context, "user_id") for row in _looked_at(context))


def _changes_flights(context: RuleContext, row: Any) -> bool:
    return context.call.arguments.get("flights") != _flights(row)


def _basic_economy(context: RuleContext) -> bool:
    row = _reservation(context)
    return row is not None and row.cabin == "basic_economy" and _changes_flights(context, row)


def _other_trip(context: RuleContext) -> bool:
    row = _reservation(context)
    if row is None or row.cabin == "basic_economy":
        return False
    flights = [context.db.agent.flights.get(str(flight.get("flight_number"))) for flight in _flights_of(context)]
    known = [flight for flight in flights if flight is not None]
    if not known:
        return False
    home = row.destination if row.flight_type == "one_way" else row.origin
    passes = row.destination in [flight.destination for flight in known]
    return (known[0].origin, known[-1].destination) != (row.origin, home) or not passes


def _flights_of(context: RuleContext) -> list[dict[str, JsonValue]]:
    return _rows(context.call.arguments.get("flights"))


def _cabin_after_flight(context: RuleContext) -> bool:
    row = _reservation(context)
    return row is not None and _text(context, "cabin") != row.cabin and _is_flown(context.db, row)


def _pays_by_certificate(context: RuleContext) -> bool:
    row = _reservation(context)
    if row is None or _cabin_after_flight(context) or _basic_economy(context):
        return False
    method = _method(context, row.user_id, _text(context, "payment_id"))
    return method is not None and method.source == "certificate"


def _removes_bags(context: RuleContext) -> bool:
    row = _reservation(context)
    return row is not None and _number(context, "total_baggages") < row.total_baggages


def _miscounts_bags(context: RuleContext) -> bool:
    arguments, users = context.call.arguments, context.db.agent.users
    row = _reservation(context)
    if row is not None:
        free = _free_bags(context.db, row)
    else:
        user, cabin = users.get(_text(context, "user_id")), _text(context, "cabin")
        if user is None or cabin not in _FREE_BAGS:
            return False
        free = len(_rows(arguments.get("passengers"))) * (_FREE_BAGS[cabin] + _EXTRA_FREE_BAGS[user.membership])
    return _number(context, "nonfree_baggages") != max(0, _number(context, "total_baggages") - free)


def _changes_headcount(context: RuleContext) -> bool:
    row = _reservation(context)
    return row is not None and len(_rows(context.call.arguments.get("passengers"))) != len(row.passengers)


def _flown(context: RuleContext) -> bool:
    row = _reservation(context)
    return row is not None and _is_flown(context.db, row)


def _no_ground_to_cancel(context: RuleContext) -> bool:
    row = _reservation(context)
    if row is None or _is_flown(context.db, row):
        return False
    return not (_is_recent(row) or _is_grounded(context.db, row) or row.cabin == "business" or row.insurance == "yes")


def _too_many_passengers(context: RuleContext) -> bool:
    return len(_rows(context.call.arguments.get("passengers"))) > 5


def _too_many_payments(context: RuleContext) -> bool:
    paid = [str(row.get("payment_id")) for row in _rows(context.call.arguments.get("payment_methods"))]
    methods = [_method(context, _text(context, "user_id"), payment_id) for payment_id in paid]
    kinds = Counter(method.source for method in methods if method is not None)
    return kinds["certificate"] > 1 or kinds["credit_card"] > 1 or kinds["gift_card"] > 3


def _claims(context: RuleContext) -> list[Any]:
    """Reservations whose cancelled or delayed flights could justify the certificate."""
    db, user = context.db, context.db.agent.users.get(_text(context, "user_id"))
    amount = _number(context, "amount")
    touched = {str(past.call.arguments.get("reservation_id")) for past in context.past if past.call.name in _CHANGES}
    rows = [db.agent.reservations[reservation_id] for reservation_id in user.reservations] if user is not None else []
    return [
        row
        for row in rows
        if (_is_grounded(db, row) and amount == _gesture(row))
        or (
            row.reservation_id in touched
            and amount == 50 * len(row.passengers)
            and any(_status(db, flight) == "delayed" for flight in row.flights)
        )
    ]


def _no_claim(context: RuleContext) -> bool:
    return not _claims(context)


def _not_entitled(context: RuleContext) -> bool:
    claims = _claims(context)
    return bool(claims) and not any(_may_compensate(context.db, row) for row in claims)


_LOOK = ("I have to look at the reservation first", ("look", "check"))

RULES = (
    Rule("0.3", _WRITES, _not_confirmed, "I need your yes first", ("yes", "confirm"), avoidable=True),
    Rule(
        "5.6", _BOOK, _too_many_passengers, "a reservation has at most five passengers", ("five", "at most", "5 pass")
    ),
    Rule(
        "5.10",
        _BOOK,
        _too_many_payments,
        "a reservation takes one certificate, one credit card and three gift cards at most",
        ("at most", "one certificate", "one credit card", "three gift"),
    ),
    Rule("5.13", _BAGS | _BOOK, _miscounts_bags, "the free bags are counted wrongly", ("free", "allowance")),
    Rule("6.5", _FLIGHTS, _basic_economy, "basic economy flights cannot be modified", ("basic economy",)),
    Rule(
        "6.6",
        _FLIGHTS,
        _other_trip,
        "origin, destination and trip type have to stay",
        ("origin", "destination", "trip type"),
    ),
    Rule(
        "6.10",
        _FLIGHTS,
        _cabin_after_flight,
        "a flight of the reservation has already been flown",
        ("flown", "already", "taken off", "landed"),
    ),
    Rule(
        "6.16",
        _BAGS,
        _removes_bags,
        "checked bags can be added but not removed",
        ("not remove", "not removed", "cannot remove", "can't remove", "only add", "only be added", "removed"),
    ),
    Rule(
        "6.19",
        _PASSENGERS,
        _changes_headcount,
        "the number of passengers cannot be modified",
        ("number of passengers", "add a passenger", "additional passenger", "extra passenger"),
    ),
    Rule(
        "6.22",
        _FLIGHTS,
        _pays_by_certificate,
        "a change is paid with a gift card or a credit card, not with a certificate",
        ("certificate", "gift card or", "credit card or"),
    ),
    Rule(
        "7.5",
        _CANCEL,
        _flown,
        "a portion of the flight has already been flown",
        ("flown", "already", "landed", "taken off"),
    ),
    Rule(
        "7.6",
        _CANCEL,
        _no_ground_to_cancel,
        "it was not booked within 24 hours, is no business flight, has no insurance, and no flight was cancelled",
        ("24 hours", "24 hrs", "insurance", "business"),
    ),
    Rule(
        "8.4",
        _COMPENSATE,
        _not_entitled,
        "only silver and gold members, insured travellers and business flights are compensated",
        ("silver", "gold", "insur", "business"),
    ),
    Rule(
        "8.5",
        _COMPENSATE,
        _no_claim,
        "our records show no cancelled flight for that",
        ("no cancelled", "not cancelled", "no canceled", "not canceled", "records", "no flight was"),
    ),
    Rule("6.8", _FLIGHTS, _not_looked_at, *_LOOK, avoidable=True, first=_look),
    Rule("7.11", _CANCEL, _not_looked_at, *_LOOK, avoidable=True, first=_look),
    Rule("8.3", _COMPENSATE, _facts_not_looked_at, *_LOOK, avoidable=True, first=_look_at_facts),
)

# What callers say.

_NO_CHANGES: Mapping[Split, tuple[str, ...]] = {"train": (), "test": ()}
_RESERVATION = Slot(
    "reservation",
    ("reservation id", "reservation number", "which reservation", "what reservation", "confirmation"),
    "What is the reservation id?",
    {
        "train": ("It is {value}.", "The reservation is {value}.", "{value}."),
        "test": ("That is {value}.", "It reads {value}."),
    },
)
_ROUTE = Slot(
    "route",
    ("which trip", "which flight", "from where", "which reservation", "destination"),
    "Which trip is it?",
    {
        "train": ("The one from {value}.", "It goes from {value}.", "From {value}."),
        "test": ("We fly from {value}.", "That is the trip from {value}."),
    },
)
_DAY = Slot(
    "day",
    ("which day", "what day", "date", "when"),
    "On which day does it start?",
    {"train": ("On {value}.", "It starts on {value}."), "test": ("We leave on {value}.",)},
)
_REASON = Slot(
    "reason",
    ("reason", "why"),
    "What is the reason?",
    {"train": ("Because {value}.", "Well, {value}."), "test": ("You see, {value}.",)},
)
_PAYS = Slot(
    "payment",
    ("payment", "card", "method", "pay with"),
    "Which payment method should be used?",
    {
        "train": ("My {value}.", "Use my {value}.", "The {value}, please."),
        "test": ("Take the {value}.", "I prefer my {value}."),
    },
)
_CHANGE = Slot(
    "change",
    ("what change", "which change", "what should", "how should", "what would"),
    "What change do you want?",
    {"train": ("I want it changed {value}.", "Change it {value}."), "test": ("It is to be altered {value}.",)},
)
_WHO = Slot(
    "change",
    ("what change", "who", "which passenger", "what should"),
    "Who should travel in place of whom?",
    {"train": ("It is like this: {value}.", "{value}."), "test": ("Please note: {value}.",)},
)
_MANY = Slot(
    "bags",
    ("how many", "number of bags"),
    "How many bags should it be?",
    {"train": ("I want {value}.", "{value}, please."), "test": ("It comes to {value}.",)},
)
_FLIGHT = Slot(
    "flight",
    ("flight number", "which flight"),
    "What is the flight number?",
    {"train": ("It is {value}.", "Flight {value}."), "test": ("The ticket says {value}.",)},
)

CALLERS = Callers(
    ids=_ids,
    facts=_caller_facts,
    knows=_knows,
    identities=(Identity("get_user_details", {"user_id": "user_id"}),),
    slots=(
        Slot(
            "user_id",
            ("user id", "user name", "account id", "customer id"),
            "What is your user id?",
            {
                "train": ("It is {value}.", "My user id is {value}.", "{value}"),
                "test": ("You have me as {value}.", "Sure, {value}."),
            },
        ),
        Slot(
            "name",
            ("your name", "full name"),
            "What is your name?",
            {"train": ("I am {value}.",), "test": ("The name is {value}.",)},
        ),
    ),
    introductions={
        "train": (
            "Hi, my user id is {user_id}.",
            "Hello, this is {name}.",
            "Hi!",
            "Good morning, {name} here, user id {user_id}.",
            "",
            "Hello, I am {name} and my id is {user_id}.",
        ),
        "test": (
            "Good afternoon, {name} speaking.",
            "Hello there, I fly with you as {user_id}.",
            "Good day.",
            "Greetings, {name}, registered as {user_id}.",
        ),
    },
)

WISHES: tuple[Wish, ...] = (
    Wish(
        tool="cancel_reservation",
        candidates=_cancellations,
        slots=(_RESERVATION, _ROUTE, _DAY, _REASON),
        openings={
            "train": (
                "Please cancel my reservation {reservation}, {reason}.",
                "I want to cancel my trip from {route} because {reason}.",
                "Can you cancel reservation {reservation}? The reason is that {reason}.",
                "I need to cancel a trip, {reason}.",
                "I have to cancel the flight from {route} on {day} because {reason}.",
                "We can't fly on {day}, {reason}. Please cancel and refund it.",
                "Cancel {reservation} from {route}, please; {reason}.",
            ),
            "test": (
                "Reservation {reservation} has to be called off, since {reason}.",
                "The trip from {route} is off for us as {reason}; I want the money back.",
                "A trip of mine is to be called off, since {reason}.",
                "Call off our departure of {day} from {route}, for {reason}.",
                "Since {reason}, {reservation} should be called off.",
            ),
        },
        changes={
            "train": (
                "Actually, keep that one. Cancel {reservation} instead.",
                "Sorry, I mixed them up: cancel the one from {route}.",
                "Wait, I meant reservation {reservation}.",
                "On second thought, cancel the trip from {route} on {day} instead.",
            ),
            "test": (
                "Hold on, I took the wrong one. {reservation} should go.",
                "Hmm, no, the trip from {route} is the one to call off.",
            ),
        },
        proposal="cancel reservation {reservation} from {route}",
        tell=_tell_refund,
        report="You get ${0} back.",
    ),
    Wish(
        tool="update_reservation_flights",
        candidates=_flight_changes,
        slots=(_RESERVATION, _CHANGE, _ROUTE, _DAY, _PAYS),
        openings={
            "train": (
                "Please change my reservation {reservation} {change}, with my {payment}.",
                "I want to change my trip from {route} {change}. Use my {payment}.",
                "Can you change reservation {reservation} {change}?",
                "I need to change a reservation.",
                "I'd like to change the trip from {route}, please use my {payment}.",
                "Change {reservation}, which starts on {day}, {change} and use my {payment}, please.",
                "Could you change my trip that starts on {day} {change}?",
            ),
            "test": (
                "Reservation {reservation} is to be altered {change}; settle it with my {payment}.",
                "Our trip from {route} needs altering {change}, by way of my {payment}.",
                "A reservation of mine needs altering.",
                "Alter {reservation} {change}, please.",
                "The departure of {day} is to be altered {change}, settled with my {payment}.",
            ),
        },
        changes={
            "train": (
                "Actually, change it {change}.",
                "Wait, use my {payment} instead.",
                "On second thought, change {reservation} {change}.",
                "Sorry, change it {change} and use my {payment}.",
            ),
            "test": ("Hold on, alter it {change} rather.", "Hmm, settle it with my {payment}."),
        },
        proposal="change reservation {reservation} {change}, settled with your {payment}",
    ),
    Wish(
        tool="update_reservation_baggages",
        candidates=_bag_changes,
        slots=(_RESERVATION, _MANY, _ROUTE, _DAY, _PAYS),
        openings={
            "train": (
                "I want {bags} on reservation {reservation}, charged to my {payment} if it costs anything.",
                "For my trip from {route} I need {bags}. Use my {payment}.",
                "Can you change the bags of reservation {reservation}?",
                "Please make it {bags} for the trip on {day}, with my {payment}.",
                "I need {bags} for {reservation}.",
                "I want to change my checked bags.",
                "Please put down {bags} for my flight from {route} on {day}.",
            ),
            "test": (
                "Reservation {reservation} should carry {bags}; my {payment} is there for any fee.",
                "We pack differently: {bags} from {route}, any fee on my {payment}.",
                "Our luggage has changed.",
                "The luggage of {reservation} comes to {bags}.",
                "Travelling on {day} we have {bags}, any fee on my {payment}.",
            ),
        },
        changes={
            "train": (
                "Actually, make it {bags}.",
                "Wait, use my {payment} instead.",
                "Sorry, I meant reservation {reservation}.",
            ),
            "test": ("Hold on, it comes to {bags}.", "Hmm, put any fee on my {payment}."),
        },
        proposal="note {bags} for reservation {reservation}, with your {payment} for any fee",
    ),
    Wish(
        tool="update_reservation_passengers",
        candidates=_passenger_changes,
        slots=(_RESERVATION, _WHO, _ROUTE, _DAY),
        openings={
            "train": (
                "Please change the passengers of {reservation}: {change}.",
                "For my trip from {route}, {change}. Please update it.",
                "I need to change a passenger.",
                "Can you change the passengers on reservation {reservation}?",
                "There is a change on the trip of {day}: {change}.",
                "I want to change who travels from {route}.",
                "Update reservation {reservation}, starting on {day}, please: {change}.",
            ),
            "test": (
                "The party of {reservation} is not the same anymore: {change}.",
                "Somebody else flies with us.",
                "From {route} the party is different: {change}.",
                "The party of {reservation} is not the same anymore.",
                "Kindly note for {day} that {change}.",
            ),
        },
        changes={
            "train": (
                "Actually, {change}.",
                "Wait, I meant reservation {reservation}.",
                "Sorry, it is different: {change}.",
            ),
            "test": ("Hold on, {change}.", "Hmm, no: {change}."),
        },
        proposal="note for reservation {reservation} that {change}",
    ),
    Wish(
        tool="send_certificate",
        candidates=_compensations,
        slots=(_RESERVATION, _ROUTE, _DAY),
        openings={
            "train": (
                "You cancelled a flight of my reservation {reservation}. I want compensation.",
                "A flight on my trip from {route} was cancelled and I expect a compensation.",
                "My flight was cancelled, I want to be compensated.",
                "I demand a compensation because a flight of {reservation} was cancelled.",
                "The trip that started on {day} had a cancelled flight. Please compensate me.",
                "What do I get for the cancelled flight on my trip from {route} on {day}? I want a compensation.",
            ),
            "test": (
                "Being left stranded by a cancelled flight on {reservation} calls for a certificate.",
                "I was left stranded: a flight from {route} never left. Kindly make amends.",
                "I was left stranded by a cancelled flight and ask for amends.",
                "How will you make amends for the cancelled flight of {day}?",
            ),
        },
        changes={
            "train": (
                "Sorry, I meant reservation {reservation}.",
                "Wait, it was the trip from {route}.",
                "Actually, it is about {reservation} from {route}.",
            ),
            "test": ("Hold on, it happened on {reservation}.", "Hmm, that was the trip from {route}."),
        },
        proposal="send you a certificate for the cancelled flight of reservation {reservation}",
    ),
    Wish(
        tool="get_reservation_details",
        candidates=_details,
        slots=(_RESERVATION, _ROUTE, _DAY),
        openings={
            "train": (
                "How much did I pay for reservation {reservation}?",
                "What was the total of my trip from {route}?",
                "Can you tell me what {reservation} cost me?",
                "I need the exact amount I paid for the trip on {day}.",
                "What did I pay for the trip from {route} on {day}?",
                "How much was reservation {reservation} in total?",
            ),
            "test": (
                "My expense report lacks the sum of {reservation}.",
                "Which sum did you bill me for the trip from {route}?",
                "The departure of {day} was billed at what sum?",
                "For an expense report, the sum of {reservation}, please.",
            ),
        },
        changes=_NO_CHANGES,
        proposal="look up reservation {reservation}",
        tell=_tell_paid,
        report="You paid ${0} for reservation {reservation}.",
    ),
    Wish(
        tool="get_user_details",
        candidates=_profiles,
        slots=(),
        openings={
            "train": (
                "What is my membership level?",
                "Which membership do I have?",
                "Can you tell me my membership level?",
                "Please check what kind of member I am.",
                "I'd like to know my membership status.",
                "What member level is on my profile?",
            ),
            "test": (
                "Which tier am I in with you?",
                "I forgot my tier in your programme.",
                "How do you rank me as a member?",
                "Tell me my tier, please.",
            ),
        },
        changes=_NO_CHANGES,
        proposal="look up your membership",
        tell=_tell_member,
        report="Your membership level is {0}.",
    ),
    Wish(
        tool="get_flight_status",
        candidates=_own_flights,
        slots=(_FLIGHT, _DAY),
        openings={
            "train": (
                "What is the status of flight {flight} on {day}?",
                "Can you check flight {flight} of {day} for me?",
                "Please tell me the status of my flight {flight} on {day}.",
                "How is {flight} doing on {day}?",
                "I want to know the status of flight {flight}, {day}.",
                "What does the system say for {flight} on {day}?",
            ),
            "test": (
                "How do things stand with {flight} on {day}?",
                "I wonder how {flight} of {day} is getting on.",
                "For {day}, how is {flight} listed?",
                "Look up how {flight} is listed on {day}, please.",
            ),
        },
        changes=_NO_CHANGES,
        proposal="look up flight {flight}",
        tell=_tell_status,
        report="The status of flight {flight} is: {0}.",
    ),
)

INSTRUCTIONS: tuple[Instruction, ...] = ()
