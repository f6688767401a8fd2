"""Tables of the airline: airports, flights (one row per flight and day), members, bookings.

All times are in one time zone, texts like "2026-05-14 07:40"; `NOW` is the moment of every talk.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Literal, NewType

from t2t.domain.database import Base, Database

MemberNumber = NewType("MemberNumber", str)
Locator = NewType("Locator", str)
"""Booking code, six letters and digits."""
FlightId = NewType("FlightId", str)
"""Flight number and day: "NV412-0514"."""
PassengerId = NewType("PassengerId", str)
Route = NewType("Route", str)
"""Airport codes from and to: "LIS-OSL"."""
Day = NewType("Day", str)
Surname = NewType("Surname", str)
NewName = NewType("NewName", str)
"""A passenger's full name as it should be spelled."""
InfantName = NewType("InfantName", str)
BirthDay = NewType("BirthDay", str)

Tier = Literal["blue", "silver", "gold"]
Fare = Literal["light", "standard", "flex"]
Cabin = Literal["economy", "business"]
BagKind = Literal["checked bag", "heavy bag", "bicycle"]
BAG_KINDS: tuple[BagKind, ...] = ("checked bag", "heavy bag", "bicycle")
Assistance = Literal["wheelchair", "guide dog", "stretcher"]
Payout = Literal["bank transfer", "travel voucher"]
PAYOUTS: tuple[Payout, ...] = ("bank transfer", "travel voucher")
Cause = Literal["", "technical", "crew", "weather", "air traffic control"]

NOW = datetime(2026, 5, 11, 12, 0)
"""The moment of every talk; the policy names it."""
SEARCH_DAYS = 2
"""How many days before and after a day a search looks."""
DISRUPTION_MINUTES = 180
"""From this delay on a flight counts as disrupted."""
CUT_OFF_MINUTES: dict[Tier, int] = {"blue": 180, "silver": 180, "gold": 60}
"""Before departure, for changes of flight, seats and bags."""
CHANGE_FEE_CENTS: dict[Fare, int] = {"light": 0, "standard": 4500, "flex": 0}
"""Per passenger; light fares are changed only when disrupted, and that is free."""
STANDARD_MOVE_DAYS = 1
CONNECTION_MINUTES = 60
CANCEL_HOURS: dict[Fare, int] = {"light": 24, "standard": 24, "flex": 2}
"""Before the first departure."""
CANCEL_FEE_CENTS = 6000
"""Per passenger of a standard fare."""
GRACE_HOURS = 24
"""After booking, in which every fare is refunded in full."""
VOUCHER_BONUS_PERCENT = 10
FREE_BAGS: dict[Fare, int] = {"light": 0, "standard": 1, "flex": 2}
"""Checked bags without charge; gold members have one more."""
BAG_CENTS: dict[BagKind, int] = {"checked bag": 4000, "heavy bag": 6500, "bicycle": 9000}
MAX_BAGS: dict[Tier, int] = {"blue": 3, "silver": 3, "gold": 4}
BICYCLE_HOURS = 48
LIGHT_SEAT_HOURS = 24
SEAT_CENTS = 1500
SPACE_SEAT_CENTS = 3500
"""Seats with more legroom and in exit rows."""
BUSINESS_ROWS = range(1, 5)
LEGROOM_ROWS = range(5, 8)
EXIT_ROWS = (12, 13)
BANDS_KM = (1500, 3500)
"""Upper ends of the short and the medium distance."""
UPGRADE_MILES = (8000, 16000, 30000)
"""Per passenger, by distance band."""
GOLD_MILES_PERCENT = 80
UPGRADE_HOURS: dict[Tier, int] = {"blue": 24, "silver": 24, "gold": 4}
MAX_CHARACTERS = 3
NOTICE_HOURS: dict[Assistance, int] = {"wheelchair": 24, "guide dog": 48, "stretcher": 72}
INFANT_CENTS = (2500, 2500, 7500)
"""Per flight, by distance band."""
INFANT_DAYS = 7
INFANT_YEARS = 2
COMPENSATION_CENTS = (25000, 40000, 60000)
"""Per passenger, by distance band."""
FULL_COMPENSATION_MINUTES = 240
"""Delay from which long flights are compensated in full; below it by half."""
CLAIM_DAYS = 60
ANNOUNCED_DAYS = 14
OWN_CAUSES: tuple[Cause, ...] = ("technical", "crew")
CHECK_IN_HOURS: dict[Tier, int] = {"blue": 24, "silver": 24, "gold": 48}
CHECK_IN_CLOSES_MINUTES = 60
BOARDING_MINUTES = (45, 45, 60)
"""Before departure, by distance band."""


@dataclass(frozen=True, slots=True)
class Airport:
    """An airport."""

    id: str
    """Three-letter code."""
    city: str


@dataclass(frozen=True, slots=True)
class Flight:
    """A flight on one day."""

    id: FlightId
    number: str
    route: Route
    day: Day
    """ISO date of the scheduled departure."""
    scheduled: str
    """Scheduled departure."""
    minutes: int
    """From departure to arrival."""
    distance_km: int
    economy_cents: int
    """Fare of today for one passenger."""
    business_cents: int
    economy_left: int
    """Places that can be sold."""
    business_left: int
    open_seats: tuple[str, ...]
    """Seats that can be chosen."""
    delay_minutes: int = 0
    cause: Cause = ""
    """Why it is late or cancelled."""
    cancelled: bool = False
    announced: str = ""
    """ISO date on which passengers were told of the cancellation."""

    @property
    def departs(self) -> str:
        """Departure with the delay."""
        return _later(self.scheduled, self.delay_minutes) if self.delay_minutes else self.scheduled

    @property
    def arrives(self) -> str:
        """Arrival with the delay."""
        return _later(self.departs, self.minutes)

    @property
    def minutes_left(self) -> int:
        """Minutes from now to departure; zero or less when that is over."""
        return _minutes_until(self.departs)

    @property
    def is_disrupted(self) -> bool:
        """Cancelled or very late."""
        return self.cancelled or self.delay_minutes >= DISRUPTION_MINUTES

    @property
    def band(self) -> int:
        """Distance band: 0 short, 1 medium, 2 long."""
        return sum(self.distance_km > end for end in BANDS_KM)

    def fare_cents(self, cabin: Cabin) -> int:
        """Fare of today in a cabin."""
        return self.business_cents if cabin == "business" else self.economy_cents

    def places_left(self, cabin: Cabin) -> int:
        """Places that can be sold in a cabin."""
        return self.business_left if cabin == "business" else self.economy_left


@dataclass(frozen=True, slots=True)
class Member:
    """A member of the frequent flyer programme."""

    id: MemberNumber
    name: str
    """First name and surname."""
    tier: Tier
    miles: int

    @property
    def surname(self) -> Surname:
        """The last word of the name."""
        return surname_of(self.name)


@dataclass(frozen=True, slots=True)
class Infant:
    """A child on an adult's lap."""

    name: str
    born: str
    """ISO date."""


@dataclass(frozen=True, slots=True)
class Passenger:
    """Somebody with a seat of their own."""

    id: PassengerId
    name: str
    kind: Literal["adult", "child"]
    bags: tuple[BagKind, ...]
    """Pieces for the whole trip."""
    assistance: tuple[Assistance, ...]
    infants: tuple[Infant, ...]
    corrected: bool
    """The name was corrected before."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A flight of a trip."""

    flight_id: FlightId
    cabin: Cabin
    paid_cents: int
    """Fare paid for one passenger."""
    seats: tuple[str, ...]
    """By passenger; empty where none is chosen."""
    checked_in: bool
    compensation: Payout | Literal[""] = ""
    """How compensation was paid; empty when none was."""


@dataclass(frozen=True, slots=True)
class Booking:
    """A trip of one or more passengers."""

    id: Locator
    member_number: MemberNumber
    """Who booked it; the first passenger."""
    fare: Fare
    paid_with: Literal["card", "voucher"]
    booked: str
    passengers: tuple[Passenger, ...]
    segments: tuple[Segment, ...]
    """In order of departure."""
    cancelled: bool = False
    refund: Payout | Literal[""] = ""
    """How the fares were paid back; empty while it is not cancelled."""

    @property
    def total_cents(self) -> int:
        """Fares of all passengers."""
        return sum(segment.paid_cents for segment in self.segments) * len(self.passengers)


class AirlineDB(Database):
    """The airline's tables."""

    def __init__(self, base: Base) -> None:
        """Open the tables over `base`."""
        super().__init__(base)
        self.airports = self.table("airports", Airport)
        self.flights = self.table("flights", Flight)
        self.members = self.table("members", Member)
        self.bookings = self.table("bookings", Booking)

    def cities(self, route: str) -> tuple[str, str]:
        """Cities that a route leads from and to."""
        start, _, end = route.partition("-")
        return self.airports[start].city, self.airports[end].city

    def flights_left(self, booking: Booking) -> list[Flight]:
        """Flights of a trip that did not depart yet, in order."""
        flights = (self.flights[segment.flight_id] for segment in booking.segments)
        return [flight for flight in flights if flight.minutes_left > 0]

    def flights_around(self, route: str, day: date) -> Iterator[Flight]:
        """Flights of a route that can still be taken, up to `SEARCH_DAYS` before and after a day."""
        for flight in self.flights.where("route", route):
            near = abs((date.fromisoformat(flight.day) - day).days) <= SEARCH_DAYS
            if near and not flight.cancelled and flight.minutes_left > 0:
                yield flight


def moment(text: str) -> datetime:
    """A time of a row."""
    return datetime.fromisoformat(text)


def text_of(time: datetime) -> str:
    """A time as rows hold it: "2026-05-14 07:40"."""
    return time.isoformat(" ", "minutes")


@lru_cache(maxsize=1 << 15)
def _later(time: str, minutes: int) -> str:
    return text_of(moment(time) + timedelta(minutes=minutes))


@lru_cache(maxsize=1 << 15)
def _minutes_until(time: str) -> int:
    return int((moment(time) - NOW).total_seconds()) // 60


def surname_of(name: str) -> Surname:
    """The last word of a name."""
    return Surname(name.rpartition(" ")[2])


def row_of(seat: str) -> int:
    """Row of a seat; 0 for no seat."""
    return int(seat[:-1] or 0)


def characters_changed(old: str, new: str) -> int:
    """Characters added, removed or replaced between two names, ignoring case (Levenshtein distance)."""
    old, new = old.lower(), new.lower()
    above = list(range(len(new) + 1))
    for row, letter in enumerate(old, 1):
        here = [row]
        for column, other in enumerate(new, 1):
            here.append(min(above[column] + 1, here[-1] + 1, above[column - 1] + (letter != other)))
        above = here
    return above[-1]


def money(cents: int) -> str:
    """An amount as it is written: "42.50"."""
    return f"{cents // 100}.{cents % 100:02d}"
