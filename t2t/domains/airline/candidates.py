"""Everything a caller of the airline could mean: calls and what a caller could say of them.

A member's trips share no day, so a route and a day single out one flight, and the day of its first
flight singles out a trip.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import get_args

from t2t.domain.wish import Candidate
from t2t.domains.airline.data import infants_of, names_to_correct
from t2t.domains.airline.schema import (
    BAG_KINDS,
    BUSINESS_ROWS,
    PAYOUTS,
    AirlineDB,
    Assistance,
    BirthDay,
    Booking,
    Flight,
    InfantName,
    NewName,
    Passenger,
    Segment,
    row_of,
)


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What a caller brings to a talk beside their own name and numbers."""

    names: tuple[NewName, ...]
    infants: tuple[InfantName, ...]
    births: tuple[BirthDay, ...]


def knowledge(db: AirlineDB, caller: str, rng: random.Random) -> Knowledge:
    """What this caller brings to a walk."""
    del rng  # the same in every talk
    infants = infants_of(db.members[caller])
    names = (name for booking in _trips(db, caller) for row in booking.passengers for name in names_to_correct(row))
    return Knowledge(tuple(names), tuple(name for name, _ in infants), tuple(born for _, born in infants))


def caller_facts(db: AirlineDB, caller: str) -> dict[str, str]:
    """What a caller knows about themselves, and the code of one of their trips."""
    member = db.members[caller]
    first, _, surname = member.name.partition(" ")
    locator = db.bookings.where("member_number", caller)[0].id
    return {"name": member.name, "first": first, "surname": surname, "membership": caller, "locator": locator}


def account(db: AirlineDB, caller: str) -> Iterator[Candidate]:
    """The caller's own account."""
    yield Candidate({"member_number": caller, "last_name": db.members[caller].surname}, {})


def totals(db: AirlineDB, caller: str) -> Iterator[Candidate]:
    """Any trip."""
    for booking in db.bookings.where("member_number", caller):
        yield Candidate({"locator": booking.id}, _trip_slots(db, booking))


def departures(db: AirlineDB, caller: str) -> Iterator[Candidate]:
    """Any flight to come."""
    for _, _, flight, slots in _flights(db, caller):
        yield Candidate({"flight_id": flight.id}, slots)


def changes(db: AirlineDB, caller: str) -> Iterator[Candidate]:
    """Any flight to come, to any other flight around it."""
    for booking, _, flight, slots in _flights(db, caller):
        for new in db.flights_around(flight.route, date.fromisoformat(flight.day)):
            if new.id != flight.id:
                arguments = {"locator": booking.id, "flight_id": flight.id, "new_flight_id": new.id}
                told = {"new_day": spoken_day(new.departs), "new_time": new.departs[11:]}
                yield Candidate({**arguments}, {**slots, **told})


def cancellations(db: AirlineDB, caller: str) -> Iterator[Candidate]:
    """Any trip to come, also one that was cancelled before the talk, with each way of payment."""
    rows = (booking for booking in db.bookings.where("member_number", caller) if db.flights_left(booking))
    before = db.base.tables["bookings"]
    yield from _cancellations(db, [row for row in rows if not row.cancelled or before.get(row.id) is row])


def refund_quotes(db: AirlineDB, caller: str) -> Iterator[Candidate]:
    """Any trip to come that is not cancelled, with each way of payment."""
    yield from _cancellations(db, _trips(db, caller))


def _cancellations(db: AirlineDB, bookings: Sequence[Booking]) -> Iterator[Candidate]:
    for booking in bookings:
        for payout in PAYOUTS:
            yield Candidate({"locator": booking.id, "payout": payout}, {**_trip_slots(db, booking), "payout": payout})


def bags(db: AirlineDB, caller: str) -> Iterator[Candidate]:
    """Any kind of luggage for any passenger of a trip to come."""
    for booking, passenger, slots in _passengers(db, caller):
        for bag in BAG_KINDS:
            arguments = {"locator": booking.id, "passenger_id": passenger.id, "bag": bag}
            yield Candidate({**arguments}, {**slots, "bag": bag})


def seats(db: AirlineDB, caller: str) -> Iterator[Candidate]:
    """Any free seat of the cabin for any passenger of a flight to come."""
    for booking, segment, flight, slots in _flights(db, caller):
        for passenger in booking.passengers:
            for seat in flight.open_seats:
                if (row_of(seat) in BUSINESS_ROWS) == (segment.cabin == "business"):
                    arguments = {"locator": booking.id, "passenger_id": passenger.id, "flight_id": flight.id}
                    yield Candidate({**arguments, "seat": seat}, {**slots, "who": passenger.name, "seat": seat})


def upgrades(db: AirlineDB, caller: str) -> Iterator[Candidate]:
    """Any flight to come in economy."""
    for booking, segment, flight, slots in _flights(db, caller):
        if segment.cabin == "economy":
            yield Candidate({"locator": booking.id, "flight_id": flight.id}, slots)


def corrections(db: AirlineDB, caller: str) -> Iterator[Candidate]:
    """Any other name for any passenger of a trip to come."""
    for booking, passenger, slots in _passengers(db, caller):
        for name in names_to_correct(passenger):
            arguments = {"locator": booking.id, "passenger_id": passenger.id, "new_name": name}
            yield Candidate({**arguments}, {**slots, "new_name": name})


def assistances(db: AirlineDB, caller: str) -> Iterator[Candidate]:
    """Any assistance for any passenger of a trip to come."""
    for booking, passenger, slots in _passengers(db, caller):
        for assistance in get_args(Assistance):
            arguments = {"locator": booking.id, "passenger_id": passenger.id, "assistance": assistance}
            yield Candidate({**arguments}, {**slots, "assistance": assistance})


def infants(db: AirlineDB, caller: str) -> Iterator[Candidate]:
    """Each infant the caller has in mind, with any adult of a trip to come."""
    for booking, passenger, slots in _passengers(db, caller):
        if passenger.kind == "adult":
            for name, born in infants_of(db.members[caller]):
                arguments = {"locator": booking.id, "passenger_id": passenger.id, "infant_name": name, "born": born}
                yield Candidate({**arguments}, {**slots, "infant": name, "born": born})


def claims(db: AirlineDB, caller: str) -> Iterator[Candidate]:
    """Any flight of the past that was cancelled or late, with each way of payment."""
    for booking in db.bookings.where("member_number", caller):
        for segment in booking.segments:
            flight = db.flights[segment.flight_id]
            if (flight.cancelled or flight.delay_minutes) and flight.minutes_left <= 0 and not booking.cancelled:
                for payout in PAYOUTS:
                    arguments = {"locator": booking.id, "flight_id": flight.id, "payout": payout}
                    yield Candidate({**arguments}, {**_flight_slots(db, flight), "payout": payout})


def check_ins(db: AirlineDB, caller: str) -> Iterator[Candidate]:
    """Any flight to come."""
    for booking, _, flight, slots in _flights(db, caller):
        yield Candidate({"locator": booking.id, "flight_id": flight.id}, slots)


def spoken_day(iso: str) -> str:
    """The day of an ISO date or time as a caller says it: "May 14"."""
    day = date.fromisoformat(iso[:10])
    return f"{day:%B} {day.day}"


def _trips(db: AirlineDB, caller: str) -> list[Booking]:
    """Trips of which something can still be flown."""
    rows = db.bookings.where("member_number", caller)
    return [booking for booking in rows if not booking.cancelled and db.flights_left(booking)]


def _trip_slots(db: AirlineDB, booking: Booking) -> dict[str, str]:
    flights = [db.flights[segment.flight_id] for segment in booking.segments]
    start, end = flights[0].route[:3], flights[-1].route[4:]
    goal = flights[0].route[4:] if start == end else end
    return {"trip": db.airports[goal].city, "begins": spoken_day(flights[0].day)}


def _flight_slots(db: AirlineDB, flight: Flight) -> dict[str, str]:
    return {"route": " to ".join(db.cities(flight.route)), "day": spoken_day(flight.day)}


def _passengers(db: AirlineDB, caller: str) -> Iterator[tuple[Booking, Passenger, dict[str, str]]]:
    for booking in _trips(db, caller):
        for passenger in booking.passengers:
            yield booking, passenger, {**_trip_slots(db, booking), "who": passenger.name}


def _flights(db: AirlineDB, caller: str) -> Iterator[tuple[Booking, Segment, Flight, dict[str, str]]]:
    for booking in _trips(db, caller):
        for segment in booking.segments:
            flight = db.flights[segment.flight_id]
            if flight.minutes_left > 0:
                yield booking, segment, flight, _flight_slots(db, flight)
