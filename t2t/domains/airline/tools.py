"""What the airline's service desk can do. Tools enforce what the backend would; the rest is policy."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from t2t.domain.tool import tool
from t2t.domains.airline.schema import (
    BAG_CENTS,
    BOARDING_MINUTES,
    BUSINESS_ROWS,
    CANCEL_FEE_CENTS,
    CHANGE_FEE_CENTS,
    COMPENSATION_CENTS,
    DISRUPTION_MINUTES,
    EXIT_ROWS,
    FREE_BAGS,
    FULL_COMPENSATION_MINUTES,
    GOLD_MILES_PERCENT,
    GRACE_HOURS,
    INFANT_CENTS,
    LEGROOM_ROWS,
    NOW,
    SEAT_CENTS,
    SPACE_SEAT_CENTS,
    UPGRADE_MILES,
    VOUCHER_BONUS_PERCENT,
    AirlineDB,
    Assistance,
    BagKind,
    BirthDay,
    Booking,
    Cabin,
    Cause,
    Day,
    Fare,
    Flight,
    FlightId,
    Infant,
    InfantName,
    Locator,
    MemberNumber,
    NewName,
    Passenger,
    PassengerId,
    Payout,
    Route,
    Segment,
    Surname,
    Tier,
    moment,
    money,
    row_of,
    surname_of,
    text_of,
)
from t2t.errors import ToolError


@dataclass(frozen=True, slots=True)
class MemberView:
    """A member's account."""

    member_number: MemberNumber
    name: str
    tier: Tier
    miles: str


@dataclass(frozen=True, slots=True)
class TripSummary:
    """A trip in a list."""

    locator: Locator
    status: str
    flights: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PassengerView:
    """A passenger of a trip."""

    passenger_id: PassengerId
    name: str
    kind: str
    bags: tuple[str, ...]
    assistance: tuple[str, ...]
    infants: tuple[Infant, ...]
    name_corrected: bool


@dataclass(frozen=True, slots=True)
class SegmentView:
    """A flight of a trip; times hold the delay, `seats` are in the order of the passengers."""

    flight_id: FlightId
    route: Route
    cities: str
    day: Day
    departs: str
    arrives: str
    status: str
    delay_minutes: int
    distance_km: int
    cabin: Cabin
    seats: tuple[str, ...]
    checked_in: bool
    compensation: str


@dataclass(frozen=True, slots=True)
class TripView:
    """A trip with all that the policy asks about, but the causes of delays."""

    locator: Locator
    status: str
    fare: Fare
    tier: Tier
    paid_with: str
    booked: str
    total: str
    passengers: tuple[PassengerView, ...]
    flights: tuple[SegmentView, ...]


@dataclass(frozen=True, slots=True)
class FlightView:
    """A flight; times hold the delay."""

    flight_id: FlightId
    cities: str
    departs: str
    arrives: str
    status: str
    delay_minutes: int
    cause: Cause
    cancellation_announced: str
    distance_km: int
    open_seats: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FlightHit:
    """A hit of the flight search, with today's fare of one passenger."""

    flight_id: FlightId
    departs: str
    arrives: str
    economy: str
    business: str


@dataclass(frozen=True, slots=True)
class Charge:
    """What all passengers of a trip pay together for a change of flight."""

    fare_difference: str
    fee: str
    to_pay: str


@dataclass(frozen=True, slots=True)
class Refund:
    """What a cancellation pays back."""

    refund: str
    payout: Payout


@dataclass(frozen=True, slots=True)
class Payment:
    """What was charged."""

    to_pay: str


@dataclass(frozen=True, slots=True)
class Upgrade:
    """What an upgrade took from the member's account."""

    miles_used: str
    miles_left: str


@dataclass(frozen=True, slots=True)
class Compensation:
    """What a claim pays."""

    amount: str
    payout: Payout


@dataclass(frozen=True, slots=True)
class BoardingPass:
    """When boarding begins."""

    boarding: str


def _find_booking(db: AirlineDB, locator: str) -> Booking:
    found = db.bookings.get(locator)
    if found is None:
        raise ToolError(f"no booking {locator!r}; codes look like 'KB7QX2' and come from the caller or list_bookings")
    return found


def _find_trip(db: AirlineDB, locator: str) -> Booking:
    """The booking, when something of it can still be flown."""
    booking = _find_booking(db, locator)
    if booking.cancelled:
        raise ToolError(f"booking {locator} is cancelled; only confirmed ones can be touched")
    if not db.flights_left(booking):
        raise ToolError(f"all flights of booking {locator} are over; only trips to come can be touched")
    return booking


def _find_flight(db: AirlineDB, flight_id: str) -> Flight:
    found = db.flights.get(flight_id)
    if found is None:
        raise ToolError(f"no flight {flight_id!r}; ids look like 'NV412-0514' and come from get_booking")
    return found


def _find_segment(booking: Booking, flight_id: str) -> Segment:
    for segment in booking.segments:
        if segment.flight_id == flight_id:
            return segment
    known = ", ".join(segment.flight_id for segment in booking.segments)
    raise ToolError(f"booking {booking.id} holds no flight {flight_id!r}; its flights are {known}")


def _find_open(db: AirlineDB, booking: Booking, flight_id: str) -> tuple[Segment, Flight]:
    """A flight of the booking that is yet to depart, cancelled or not."""
    segment = _find_segment(booking, flight_id)
    flight = db.flights[segment.flight_id]
    if flight.minutes_left <= 0:
        raise ToolError(f"flight {flight_id} is over; only flights to come can be touched")
    return segment, flight


def _find_operating(db: AirlineDB, booking: Booking, flight_id: str) -> tuple[Segment, Flight]:
    """A flight of the booking that is yet to depart and does."""
    segment, flight = _find_open(db, booking, flight_id)
    if flight.cancelled:
        raise ToolError(f"flight {flight_id} is cancelled; change_flight moves the passengers to another one")
    return segment, flight


def _find_passenger(booking: Booking, passenger_id: str) -> Passenger:
    for passenger in booking.passengers:
        if passenger.id == passenger_id:
            return passenger
    known = ", ".join(passenger.id for passenger in booking.passengers)
    raise ToolError(f"booking {booking.id} holds no passenger {passenger_id!r}; its passengers are {known}")


def _put_passenger(db: AirlineDB, booking: Booking, old: Passenger, new: Passenger) -> None:
    passengers = tuple(new if row is old else row for row in booking.passengers)
    db.bookings.put(replace(booking, passengers=passengers))


def _put_segment(db: AirlineDB, booking: Booking, old: Segment, new: Segment) -> None:
    db.bookings.put(replace(booking, segments=tuple(new if row is old else row for row in booking.segments)))


def _free_seats(flight: Flight, seats: Sequence[str]) -> Flight:
    """The flight with these seats open again."""
    opened = {*flight.open_seats, *filter(None, seats)}
    return replace(flight, open_seats=tuple(sorted(opened, key=lambda seat: (row_of(seat), seat))))


def _sell_places(flight: Flight, cabin: Cabin, count: int) -> Flight:
    """The flight with fewer places in a cabin; a negative count gives places back."""
    if cabin == "business":
        return replace(flight, business_left=flight.business_left - count)
    return replace(flight, economy_left=flight.economy_left - count)


def _status(flight: Flight) -> str:
    if flight.cancelled:
        return "cancelled"
    if flight.minutes_left <= 0:
        return "over"
    return "delayed" if flight.delay_minutes else "on time"


def _cities(db: AirlineDB, flight: Flight) -> str:
    return " to ".join(db.cities(flight.route))


def _view(db: AirlineDB, booking: Booking) -> TripView:
    rows = [(segment, db.flights[segment.flight_id]) for segment in booking.segments]
    return TripView(
        booking.id,
        "cancelled" if booking.cancelled else "confirmed",
        booking.fare,
        db.members[booking.member_number].tier,
        booking.paid_with,
        booking.booked,
        money(booking.total_cents),
        tuple(
            PassengerView(row.id, row.name, row.kind, row.bags, row.assistance, row.infants, row.corrected)
            for row in booking.passengers
        ),
        tuple(
            SegmentView(
                flight.id,
                flight.route,
                _cities(db, flight),
                flight.day,
                flight.departs,
                flight.arrives,
                _status(flight),
                flight.delay_minutes,
                flight.distance_km,
                segment.cabin,
                segment.seats,
                segment.checked_in,
                segment.compensation,
            )
            for segment, flight in rows
        ),
    )


def _change(db: AirlineDB, locator: str, flight_id: str, new_flight_id: str) -> tuple[Booking, Segment, Flight, Charge]:
    """The booking, the flight to leave, the flight to take and what that costs."""
    booking = _find_trip(db, locator)
    segment, flight = _find_open(db, booking, flight_id)
    new = _find_flight(db, new_flight_id)
    if new.route != flight.route or new.id == flight.id:
        raise ToolError(
            f"flight {new_flight_id} does not replace {flight_id}; search_flights {flight.route} finds others"
        )
    if new.cancelled or new.minutes_left <= 0:
        raise ToolError(f"flight {new_flight_id} is cancelled or over; name another one")
    count = len(booking.passengers)
    if new.places_left(segment.cabin) < count:
        raise ToolError(f"flight {new_flight_id} has no {count} places in {segment.cabin}; name another one")
    more = max(0, new.fare_cents(segment.cabin) - segment.paid_cents) * count
    fee = CHANGE_FEE_CENTS[booking.fare] * count
    if flight.is_disrupted:
        more = fee = 0
    return booking, segment, new, Charge(money(more), money(fee), money(more + fee))


def _with_bonus(cents: int, payout: Payout) -> int:
    """A sum as it is paid out; vouchers are worth more."""
    return cents * (100 + VOUCHER_BONUS_PERCENT) // 100 if payout == "travel voucher" else cents


def _refund(db: AirlineDB, locator: str, payout: Payout) -> tuple[Booking, Refund]:
    booking = _find_trip(db, locator)
    left = db.flights_left(booking)
    if len(left) < len(booking.segments):
        raise ToolError(f"the trip of booking {locator} has begun; only trips that did not can be cancelled")
    cents = booking.total_cents
    in_grace = NOW - moment(booking.booked) <= timedelta(hours=GRACE_HOURS)
    if not in_grace and not any(flight.is_disrupted for flight in left):
        if booking.fare == "light":
            cents = 0
        elif booking.fare == "standard":
            cents = max(0, cents - CANCEL_FEE_CENTS * len(booking.passengers))
    return booking, Refund(money(_with_bonus(cents, payout)), payout)


def _read_day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ToolError(f"{text!r} is no day; write it like 2026-05-14") from None


def _read_name(text: str) -> str:
    name = " ".join(text.split())
    if len(name) > 60 or not re.fullmatch(r"[^\W\d_][\w'-]*( [^\W\d_][\w'-]*)+", name):
        raise ToolError(f"{text[:60]!r} is no full name; write first name and surname, such as 'Mia Stone'")
    return name


@tool(writes=False)
def find_member(db: AirlineDB, member_number: MemberNumber, last_name: Surname) -> MemberView:
    """Find a member of the frequent flyer programme; shows tier and miles.

    Args:
        member_number: Number on the member's card.
        last_name: Last name of the member.
    """
    found = db.members.get(member_number.strip())
    if found is None or found.surname.lower() != last_name.strip().lower():
        raise ToolError(f"no member {member_number!r} with last name {last_name!r}; ask again, or for a booking code")
    return MemberView(found.id, found.name, found.tier, str(found.miles))


@tool(writes=False)
def find_booking(db: AirlineDB, locator: Locator, last_name: Surname) -> TripView:
    """Find a trip by booking code and the last name of one of its passengers.

    Args:
        locator: Booking code, six letters and digits.
        last_name: Last name of a passenger.
    """
    found = db.bookings.get(locator.strip().upper())
    wanted = last_name.strip().lower()
    if found is None or all(surname_of(row.name).lower() != wanted for row in found.passengers):
        raise ToolError(f"no booking {locator!r} with last name {last_name!r}; ask again, or for a member number")
    return _view(db, found)


@tool(writes=False)
def list_bookings(db: AirlineDB, member_number: MemberNumber) -> list[TripSummary]:
    """List the trips of a member.

    Args:
        member_number: Number of the member.
    """
    if db.members.get(member_number) is None:
        raise ToolError(f"no member {member_number!r}; numbers come from find_member")
    return [
        TripSummary(
            booking.id,
            "cancelled" if booking.cancelled else "confirmed",
            tuple(
                f"{_cities(db, flight)}, {flight.day}"
                for flight in (db.flights[segment.flight_id] for segment in booking.segments)
            ),
        )
        for booking in db.bookings.where("member_number", member_number)
    ]


@tool(writes=False)
def get_booking(db: AirlineDB, locator: Locator) -> TripView:
    """Get a trip with its passengers and flights.

    Args:
        locator: Booking code.
    """
    return _view(db, _find_booking(db, locator))


@tool(writes=False)
def get_flight(db: AirlineDB, flight_id: FlightId) -> FlightView:
    """Get a flight: times, delay and its cause, distance, seats that can be chosen.

    Args:
        flight_id: Id of the flight.
    """
    flight = _find_flight(db, flight_id)
    return FlightView(
        flight.id,
        _cities(db, flight),
        flight.departs,
        flight.arrives,
        _status(flight),
        flight.delay_minutes,
        flight.cause,
        flight.announced,
        flight.distance_km,
        flight.open_seats,
    )


@tool(writes=False)
def search_flights(db: AirlineDB, route: Route, day: Day) -> list[FlightHit]:
    """Search flights of a route from two days before to two days after a day.

    Args:
        route: Airport codes from and to, such as "LIS-OSL".
        day: ISO date.
    """
    found = sorted(db.flights_around(route, _read_day(day)), key=lambda flight: flight.departs)
    if not found:
        raise ToolError(f"no flights on route {route!r} around {day}; get_booking shows the routes of a trip")
    return [
        FlightHit(row.id, row.departs, row.arrives, money(row.economy_cents), money(row.business_cents))
        for row in found
    ]


@tool(writes=False)
def quote_change(db: AirlineDB, locator: Locator, flight_id: FlightId, new_flight_id: FlightId) -> Charge:
    """Get what a change of flight would cost all passengers together; changes nothing.

    Args:
        locator: Booking code.
        flight_id: Flight of the trip to leave.
        new_flight_id: Flight to take instead.
    """
    return _change(db, locator, flight_id, new_flight_id)[3]


@tool(writes=False)
def quote_cancellation(db: AirlineDB, locator: Locator, payout: Payout) -> Refund:
    """Get what a cancellation of a trip would pay back; changes nothing.

    Args:
        locator: Booking code.
        payout: How the money would be paid back.
    """
    return _refund(db, locator, payout)[1]


@tool(writes=True)
def change_flight(db: AirlineDB, locator: Locator, flight_id: FlightId, new_flight_id: FlightId) -> Charge:
    """Move all passengers of a trip from one of its flights to another of the same route.

    Args:
        locator: Booking code.
        flight_id: Flight of the trip to leave.
        new_flight_id: Flight to take instead.
    """
    booking, segment, new, charge = _change(db, locator, flight_id, new_flight_id)
    count = len(booking.passengers)
    old = _sell_places(_free_seats(db.flights[segment.flight_id], segment.seats), segment.cabin, -count)
    db.flights.put(old)
    db.flights.put(_sell_places(new, segment.cabin, count))
    paid = segment.paid_cents if old.is_disrupted else max(segment.paid_cents, new.fare_cents(segment.cabin))
    moved = Segment(new.id, segment.cabin, paid, ("",) * count, checked_in=False)
    segments = tuple(moved if row is segment else row for row in booking.segments)
    db.bookings.put(replace(booking, segments=segments))
    return charge


@tool(writes=True)
def cancel_booking(db: AirlineDB, locator: Locator, payout: Payout) -> Refund:
    """Cancel a whole trip and pay back what its fare allows.

    Args:
        locator: Booking code.
        payout: How the money is paid back.
    """
    booking, refund = _refund(db, locator, payout)
    count = len(booking.passengers)
    for segment in booking.segments:
        flight = _free_seats(db.flights[segment.flight_id], segment.seats)
        db.flights.put(_sell_places(flight, segment.cabin, -count))
    segments = tuple(replace(segment, seats=("",) * count) for segment in booking.segments)
    db.bookings.put(replace(booking, segments=segments, cancelled=True, refund=payout))
    return refund


@tool(writes=True)
def add_bag(db: AirlineDB, locator: Locator, passenger_id: PassengerId, bag: BagKind) -> Payment:
    """Add one piece of luggage of a passenger for the rest of a trip.

    Args:
        locator: Booking code.
        passenger_id: Id of the passenger.
        bag: Kind of luggage.
    """
    booking = _find_trip(db, locator)
    passenger = _find_passenger(booking, passenger_id)
    free = FREE_BAGS[booking.fare] + (db.members[booking.member_number].tier == "gold")
    is_free = bag == "checked bag" and passenger.bags.count(bag) < free
    _put_passenger(db, booking, passenger, replace(passenger, bags=(*passenger.bags, bag)))
    return Payment(money(0 if is_free else BAG_CENTS[bag]))


@tool(writes=True)
def choose_seat(db: AirlineDB, locator: Locator, passenger_id: PassengerId, flight_id: FlightId, seat: str) -> Payment:
    """Give a passenger a seat on a flight, in place of the one they may have.

    Args:
        locator: Booking code.
        passenger_id: Id of the passenger.
        flight_id: Id of the flight.
        seat: Seat number, such as "14C".
    """
    booking = _find_trip(db, locator)
    segment, flight = _find_operating(db, booking, flight_id)
    place = booking.passengers.index(_find_passenger(booking, passenger_id))
    if seat not in flight.open_seats:
        raise ToolError(f"seat {seat!r} is not free; free on {flight_id}: {', '.join(flight.open_seats) or 'none'}")
    if (row_of(seat) in BUSINESS_ROWS) != (segment.cabin == "business"):
        raise ToolError(f"seat {seat} is not in {segment.cabin}, the cabin of this trip; name another seat")
    flight = _free_seats(flight, (segment.seats[place],))
    db.flights.put(replace(flight, open_seats=tuple(row for row in flight.open_seats if row != seat)))
    seats = tuple(seat if index == place else old for index, old in enumerate(segment.seats))
    _put_segment(db, booking, segment, replace(segment, seats=seats))
    has_space = row_of(seat) in LEGROOM_ROWS or row_of(seat) in EXIT_ROWS
    tier = db.members[booking.member_number].tier
    is_free = booking.fare == "flex" or segment.cabin == "business" or tier == "gold"
    if is_free or (tier == "silver" and not has_space):
        return Payment(money(0))
    return Payment(money(SPACE_SEAT_CENTS if has_space else SEAT_CENTS))


@tool(writes=True)
def upgrade_flight(db: AirlineDB, locator: Locator, flight_id: FlightId) -> Upgrade:
    """Move all passengers of a flight from economy to business for miles of the member who booked.

    Args:
        locator: Booking code.
        flight_id: Id of the flight.
    """
    booking = _find_trip(db, locator)
    segment, flight = _find_operating(db, booking, flight_id)
    count = len(booking.passengers)
    if segment.cabin == "business":
        raise ToolError(f"flight {flight_id} is booked in business already; only economy can be upgraded")
    if flight.business_left < count:
        raise ToolError(f"flight {flight_id} has no {count} places left in business")
    member = db.members[booking.member_number]
    miles = UPGRADE_MILES[flight.band] * count
    if member.tier == "gold":
        miles = miles * GOLD_MILES_PERCENT // 100
    if member.miles < miles:
        raise ToolError(f"the upgrade takes {miles} miles and the member has {member.miles}")
    db.members.put(replace(member, miles=member.miles - miles))
    flight = _sell_places(_sell_places(_free_seats(flight, segment.seats), "economy", -count), "business", count)
    db.flights.put(flight)
    _put_segment(db, booking, segment, replace(segment, cabin="business", seats=("",) * count))
    return Upgrade(str(miles), str(member.miles - miles))


@tool(writes=True)
def correct_name(db: AirlineDB, locator: Locator, passenger_id: PassengerId, new_name: NewName) -> str:
    """Correct the name of a passenger.

    Args:
        locator: Booking code.
        passenger_id: Id of the passenger.
        new_name: First name and surname as they should be.
    """
    booking = _find_trip(db, locator)
    passenger = _find_passenger(booking, passenger_id)
    name = _read_name(new_name)
    if any(row.name == name for row in booking.passengers):
        raise ToolError(
            f"a passenger of booking {locator} is called {name} already; ask how the name should be spelled"
        )
    _put_passenger(db, booking, passenger, replace(passenger, name=name, corrected=True))
    return f"passenger {passenger_id} is called {name}"


@tool(writes=True)
def request_assistance(db: AirlineDB, locator: Locator, passenger_id: PassengerId, assistance: Assistance) -> str:
    """Order assistance for a passenger for the rest of a trip.

    Args:
        locator: Booking code.
        passenger_id: Id of the passenger.
        assistance: What the passenger needs or brings.
    """
    booking = _find_trip(db, locator)
    passenger = _find_passenger(booking, passenger_id)
    if assistance in passenger.assistance:
        raise ToolError(f"{passenger.name} has a {assistance} on this trip already; name another passenger or kind")
    _put_passenger(db, booking, passenger, replace(passenger, assistance=(*passenger.assistance, assistance)))
    return f"{passenger.name} has a {assistance} on this trip"


@tool(writes=True)
def add_infant(
    db: AirlineDB, locator: Locator, passenger_id: PassengerId, infant_name: InfantName, born: BirthDay
) -> Payment:
    """Add an infant on the lap of an adult for the rest of a trip.

    Args:
        locator: Booking code.
        passenger_id: Id of the adult.
        infant_name: First name and surname of the infant.
        born: Day of birth as ISO date.
    """
    booking = _find_trip(db, locator)
    passenger = _find_passenger(booking, passenger_id)
    if passenger.kind != "adult":
        raise ToolError(f"{passenger.name} is a child; infants travel with an adult")
    name, day = _read_name(infant_name), _read_day(born)
    if day > NOW.date():
        raise ToolError(f"{born} is a day to come; ask for the day of birth")
    if any(infant.name == name for row in booking.passengers for infant in row.infants):
        raise ToolError(f"{name} travels on booking {locator} already; name another infant")
    infant = Infant(name, day.isoformat())
    _put_passenger(db, booking, passenger, replace(passenger, infants=(*passenger.infants, infant)))
    return Payment(money(sum(INFANT_CENTS[flight.band] for flight in db.flights_left(booking))))


@tool(writes=True)
def claim_compensation(db: AirlineDB, locator: Locator, flight_id: FlightId, payout: Payout) -> Compensation:
    """Pay compensation to all passengers of a flight that was cancelled or came at least 180 minutes late.

    Args:
        locator: Booking code.
        flight_id: Id of the flight.
        payout: How the money is paid.
    """
    booking = _find_booking(db, locator)
    segment = _find_segment(booking, flight_id)
    flight = db.flights[segment.flight_id]
    if booking.cancelled or flight.minutes_left > 0:
        raise ToolError(f"flight {flight_id} was not taken yet; only flights of the past are compensated")
    if not flight.is_disrupted:
        raise ToolError(
            f"flight {flight_id} was {flight.delay_minutes} minutes late; compensation begins at {DISRUPTION_MINUTES}"
        )
    if segment.compensation:
        raise ToolError(f"flight {flight_id} of booking {locator} is compensated already; each flight is paid once")
    cents = COMPENSATION_CENTS[flight.band] * len(booking.passengers)
    if flight.band == 2 and not flight.cancelled and flight.delay_minutes < FULL_COMPENSATION_MINUTES:
        cents //= 2
    _put_segment(db, booking, segment, replace(segment, compensation=payout))
    return Compensation(money(_with_bonus(cents, payout)), payout)


@tool(writes=True)
def check_in(db: AirlineDB, locator: Locator, flight_id: FlightId) -> BoardingPass:
    """Check in all passengers of a flight.

    Args:
        locator: Booking code.
        flight_id: Id of the flight.
    """
    booking = _find_trip(db, locator)
    segment, flight = _find_operating(db, booking, flight_id)
    if segment.checked_in:
        raise ToolError(f"the passengers of flight {flight_id} are checked in already; nothing needs to be done")
    _put_segment(db, booking, segment, replace(segment, checked_in=True))
    return BoardingPass(text_of(_boarding(flight)))


def _boarding(flight: Flight) -> datetime:
    return moment(flight.departs) - timedelta(minutes=BOARDING_MINUTES[flight.band])


TOOLS = (
    find_member,
    find_booking,
    list_bookings,
    get_booking,
    get_flight,
    search_flights,
    quote_change,
    quote_cancellation,
    change_flight,
    cancel_booking,
    add_bag,
    choose_seat,
    upgrade_flight,
    correct_name,
    request_assistance,
    add_infant,
    claim_compensation,
    check_in,
)
