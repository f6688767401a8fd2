"""Seeded data of the airline. Names, cities, flight numbers and codes of the two splits never meet."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, time, timedelta
from math import acos, cos, radians, sin
from typing import Literal

from t2t.domain.database import Base
from t2t.domains.airline.schema import (
    BAG_KINDS,
    CHECK_IN_HOURS,
    CONNECTION_MINUTES,
    DISRUPTION_MINUTES,
    MAX_CHARACTERS,
    NOW,
    SEARCH_DAYS,
    Airport,
    Assistance,
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
    Member,
    MemberNumber,
    NewName,
    Passenger,
    PassengerId,
    Route,
    Segment,
    Tier,
    characters_changed,
    moment,
    surname_of,
    text_of,
)
from t2t.records import DataSpec, Split


@dataclass(frozen=True)
class _Place:
    """Where an airport lies, in degrees."""

    code: str
    city: str
    latitude: float
    longitude: float


def _pairs(text: str) -> dict[str, str]:
    return dict(pair.split("/") for pair in text.split())


_PLACES: dict[Split, tuple[_Place, ...]] = {
    "train": (
        _Place("LIS", "Lisbon", 38.8, -9.1),
        _Place("OSL", "Oslo", 60.2, 11.1),
        _Place("VIE", "Vienna", 48.1, 16.6),
        _Place("ATH", "Athens", 37.9, 23.9),
        _Place("DUB", "Dublin", 53.4, -6.3),
        _Place("WAW", "Warsaw", 52.2, 21.0),
        _Place("IST", "Istanbul", 41.3, 28.7),
        _Place("CAI", "Cairo", 30.1, 31.4),
        _Place("JFK", "New York", 40.6, -73.8),
        _Place("YUL", "Montreal", 45.5, -73.7),
        _Place("NBO", "Nairobi", -1.3, 36.9),
        _Place("BOM", "Mumbai", 19.1, 72.9),
    ),
    "test": (
        _Place("MAD", "Madrid", 40.5, -3.6),
        _Place("CPH", "Copenhagen", 55.6, 12.7),
        _Place("PRG", "Prague", 50.1, 14.3),
        _Place("RIX", "Riga", 56.9, 24.0),
        _Place("GVA", "Geneva", 46.2, 6.1),
        _Place("EDI", "Edinburgh", 56.0, -3.4),
        _Place("DXB", "Dubai", 25.3, 55.4),
        _Place("BOS", "Boston", 42.4, -71.0),
        _Place("ACC", "Accra", 5.6, -0.2),
    ),
}
_SPELLINGS: dict[Split, dict[str, str]] = {
    "train": _pairs(
        "Adriana/Adrianna Agnes/Agnese Bastian/Bastien Bianca/Bianka Caleb/Kaleb Carmen/Karmen Dario/Darijo "
        "Delia/Dahlia Dominik/Dominic Eleni/Elleni Erik/Eric Farah/Farrah Florian/Florin Gloria/Glorya Hakan/Haakan "
        "Hannah/Hanna Ivan/Iwan Jasmine/Yasmine Jonas/Jonah Karim/Kareem Katarina/Katharina Laszlo/Laszlow "
        "Linda/Lynda Lorenzo/Laurenzo Magda/Magdah Marta/Martha Milo/Mylo Nadia/Nadja Nils/Niels Olga/Olgha "
        "Pablo/Paolo Petra/Petrah Quentin/Quintin Rosa/Rossa Samir/Sameer Selma/Zelma Stefan/Stephan Tamara/Tamarah "
        "Ursula/Urszula Viktor/Victor Wanda/Vanda Yusuf/Yousuf"
    ),
    "test": _pairs(
        "Alma/Allma Anton/Antoine Birgit/Brigit Boris/Borys Celia/Cecilia Cosmo/Cosimo Daria/Darya Elias/Elyas "
        "Esther/Ester Fabio/Fabyo Gemma/Jemma Gustav/Gustaf Hilda/Hylda Igor/Ihor Jana/Yana Konrad/Conrad "
        "Lavinia/Lavinya Lukas/Lucas Mabel/Mable Mateo/Matteo Nina/Ninah Orlando/Orland Pilar/Pilare Rachel/Rachael "
        "Ruben/Reuben Silvia/Sylvia Tarek/Tariq Una/Oona Valentin/Valentyn Yara/Yarah"
    ),
}
"""First names, each with another way to write it."""
_MIDDLE: dict[Split, tuple[str, ...]] = {
    "train": ("A", "B", "D", "Al", "Bo", "Di", "Ed", "Jo", "Mo", "Ty"),
    "test": ("E", "K", "L", "Cy", "Gu", "Io", "Lu", "Ro", "Su", "Vi"),
}
"""What may stand between first name and surname; the longer ones are as much as a correction may add."""
_FIRST: dict[Split, tuple[str, ...]] = {split: tuple(names) for split, names in _SPELLINGS.items()}
_LAST: dict[Split, tuple[str, ...]] = {
    "train": tuple(
        "Abbott Aydin Baranski Bergmann Castell Cooper Dahlberg Delgado Dubois Ekstrom Fischer Garner Hallgren Hansen "
        "Horvath Jansson Karlsen Keller Kovacs Lindgren Lombardi Marchetti Mbeki Moreau Navarro Novak Okafor Palmer "
        "Petrov Ramires Rinaldi Rossi Schaefer Sorensen Tanaka Varga Visser Weber Winkler Zimmer".split()
    ),
    "test": tuple(
        "Aldana Barker Bianchi Carver Doyle Engel Farkas Gallo Hayashi Holm Ivanov Jarvis Kessler Lovell Maier Moreno "
        "Nyberg Oduya Pereyra Rahal Sandoval Steiner Tremblay Ulrich Vargas Wagner Yilmaz Zeman".split()
    ),
}
_OFFSET: dict[Split, int] = {"train": 0, "test": 1}
"""Keeps the ids of the splits apart."""
_LETTERS = "BCDFGHJKLMNPQRSTVWXZ23456789"
_FIRST_LETTERS: dict[Split, str] = {"train": "BCDFGHJKLM", "test": "NPQRSTVWXZ"}
_SEAT_ROWS = (12, 9, 6, 13, 10, 8, 5, 11, 14, 7)
_CAUSES: tuple[Cause, ...] = ("technical", "technical", "crew", "weather", "air traffic control")
_DISTURBANCES = ("cancelled", "very late", "late", "none")
_DISTURBED_PERCENT = {-1: (25, 35, 15, 25), 0: (6, 10, 10, 74), 1: (6, 0, 0, 94)}
"""Shares of `_DISTURBANCES` among the flights of past days (-1), of today and of days to come (1)."""


def generate(data: DataSpec) -> Base:
    """Make the airline's data; `data.size` is the number of bookings.

    Members grow with the bookings (five for about nine). Flights exist on the days around those that
    somebody booked, until every route flies every day: about 49,000 in ``train`` and 27,000 in ``test``.
    """
    rng = random.Random(f"airline/{data.split}/{data.seed}")
    timetable = _Timetable(rng, data.split)
    members: dict[str, Member] = {}
    bookings: dict[str, Booking] = {}
    while len(bookings) < data.size:
        number = MemberNumber(str(20_000_001 + 50_000_000 * _OFFSET[data.split] + len(members)))
        name = f"{rng.choice(_FIRST[data.split])} {rng.choice(_LAST[data.split])}"
        tier: Tier = rng.choice(("blue", "blue", "blue", "silver", "gold"))
        member = Member(number, name, tier, rng.randrange(8000, 260000, 50))
        members[number] = member
        taken: set[str] = set()
        for _ in range(min(rng.choice((1, 1, 2, 2, 3)), data.size - len(bookings))):
            booking = _booking(rng, data.split, len(bookings), member, timetable, taken)
            bookings[booking.id] = booking
    airports = {place.code: Airport(place.code, place.city) for place in _PLACES[data.split]}
    return Base({"airports": airports, "flights": timetable.flights, "members": members, "bookings": bookings})


def names_to_correct(passenger: Passenger) -> tuple[NewName, ...]:
    """How the passenger's name may have to be spelled; the same at every call. The last is another person's."""
    rng, split = random.Random(f"spelling/{passenger.id}"), _split_of(passenger.id)
    first, _, last = passenger.name.partition(" ")
    respelled = _SPELLINGS[split].get(first, f"{first}n")
    other = next(name for name in rng.sample(_LAST[split], 20) if characters_changed(last, name) > MAX_CHARACTERS)
    return (
        NewName(f"{respelled} {last}"),
        NewName(f"{first} {rng.choice(_MIDDLE[split])} {last}"),
        NewName(f"{first} {other}"),
    )


def infants_of(member: Member) -> tuple[tuple[InfantName, BirthDay], ...]:
    """Infants the member may travel with, and their days of birth; the same at every call. The last is too old."""
    rng = random.Random(f"infants/{member.id}")
    names = rng.sample(_FIRST["test" if int(member.id) > 50_000_000 else "train"], 3)
    days = (rng.randint(60, 690), rng.choice((3, 5, 90, 400)), rng.randint(735, 1000))
    return tuple(
        (InfantName(f"{name} {member.surname}"), BirthDay((NOW.date() - timedelta(days=age)).isoformat()))
        for name, age in zip(names, days, strict=True)
    )


def _split_of(passenger_id: str) -> Split:
    return "train" if passenger_id[0] in _FIRST_LETTERS["train"] else "test"


@dataclass
class _Timetable:
    """Flights, made when somebody asks for a route and day."""

    rng: random.Random
    split: Split
    flights: dict[str, Flight] = field(default_factory=dict[str, Flight])
    _days: dict[tuple[str, int], list[FlightId]] = field(default_factory=dict[tuple[str, int], list[FlightId]])
    _next_seat: dict[str, int] = field(default_factory=dict[str, int])
    _hours: dict[str, tuple[time, ...]] = field(default_factory=dict[str, tuple[time, ...]])

    def on(self, start: _Place, end: _Place, day: datetime) -> list[Flight]:
        """Flights of a day, in order of departure."""
        route = Route(f"{start.code}-{end.code}")
        key = (route, day.toordinal())
        if key not in self._days:
            kilometres = _distance_km(start, end)
            made = [
                self._flight(route, kilometres, slot, datetime.combine(day, hour))
                for slot, hour in enumerate(self._departures(route))
            ]
            self._days[key] = [flight.id for flight in made]
            self.flights.update((flight.id, flight) for flight in made)
        return [self.flights[flight_id] for flight_id in self._days[key]]

    def around(self, flight: Flight) -> None:
        """Make the flights that could be taken instead."""
        codes = flight.route.split("-")
        start, end = (next(place for place in _PLACES[self.split] if place.code == code) for code in codes)
        for days in range(-SEARCH_DAYS, SEARCH_DAYS + 1):
            day = moment(flight.scheduled) + timedelta(days=days)
            if day.date() >= NOW.date():
                self.on(start, end, day)

    def seat(self, flight: Flight, cabin: Cabin) -> str:
        """A seat of the flight that nobody has; empty when none is left or it is not economy."""
        number = self._next_seat.setdefault(flight.id, self.rng.randrange(12))
        if cabin == "business" or number >= 3 * len(_SEAT_ROWS):
            return ""
        self._next_seat[flight.id] = number + 1
        return f"{_SEAT_ROWS[number % len(_SEAT_ROWS)]}{'ABC'[number // len(_SEAT_ROWS)]}"

    def _departures(self, route: str) -> tuple[time, ...]:
        """Times at which a route flies every day: one before noon, one soon after, most days one in the evening."""
        if route not in self._hours:
            bands = ((6, 9), (12, 14), (17, 21)) if self.rng.random() < 0.8 else ((7, 10), (12, 14))
            self._hours[route] = tuple(time(self.rng.randint(*band), self.rng.randrange(20, 60, 5)) for band in bands)
        return self._hours[route]

    def _flight(self, route: Route, kilometres: int, slot: int, leaves: datetime) -> Flight:
        rng = self.rng
        codes = [place.code for place in _PLACES[self.split]]
        start, end = (codes.index(code) for code in route.split("-"))
        number = f"NV{1000 + 4000 * _OFFSET[self.split] + 4 * (start * len(codes) + end) + slot}"
        economy = 4500 + kilometres * 6 + rng.randrange(0, 9000, 50)
        rows = (rng.randint(1, 4), rng.randint(5, 7), rng.choice((12, 13)), rng.randint(15, 22), rng.randint(23, 30))
        flight = Flight(
            FlightId(f"{number}-{leaves:%m%d}"),
            number,
            route,
            Day(leaves.date().isoformat()),
            text_of(leaves),
            40 + kilometres // 13 // 5 * 5,
            kilometres,
            economy,
            economy * 5 // 2,
            rng.choice((0, 5, 8, 11, 14, 19, 23, 27)),
            rng.choice((0, 4, 5, 6, 7, 8)),
            tuple(f"{row}{rng.choice('DEF')}" for row in rows),
        )
        return self._disturbed(flight, leaves)

    def _disturbed(self, flight: Flight, leaves: datetime) -> Flight:
        """Delays are known for today and the past, cancellations ahead too."""
        rng, today = self.rng, NOW.date()
        when = (leaves.date() > today) - (leaves.date() < today)
        (kind,) = rng.choices(_DISTURBANCES, _DISTURBED_PERCENT[when])
        if kind == "cancelled":
            told = min(leaves - timedelta(days=rng.choice((1, 3, 6, 12, 14, 18, 30))), NOW - timedelta(days=1))
            cause = rng.choice(_CAUSES[:4])
            return replace(flight, cancelled=True, announced=told.date().isoformat(), cause=cause)
        if kind == "none":
            return flight
        delay = rng.randrange(DISRUPTION_MINUTES, 400, 5) if kind == "very late" else rng.randrange(10, 60, 5)
        if when == 0:  # so that a flight of today leaves today
            delay = min(delay, 24 * 60 - 5 - leaves.hour * 60 - leaves.minute)
        return replace(flight, delay_minutes=delay, cause=rng.choice(_CAUSES))


def _distance_km(start: _Place, end: _Place) -> int:
    """Great-circle distance."""
    here, there = radians(start.latitude), radians(end.latitude)
    turn = radians(end.longitude - start.longitude)
    return round(6371 * acos(sin(here) * sin(there) + cos(here) * cos(there) * cos(turn)))


def _booking(
    rng: random.Random, split: Split, index: int, member: Member, timetable: _Timetable, taken: set[str]
) -> Booking:
    locator = Locator(_locator(rng, split, index))
    cabin: Cabin = "business" if rng.random() < 0.15 else "economy"
    flights = _itinerary(rng, split, timetable, taken)
    passengers = tuple(_passengers(rng, split, locator, member))
    fare: Fare = rng.choice(("light", "light", "light", "standard", "standard", "standard", "standard", "flex", "flex"))
    segments: list[Segment] = []
    for flight in flights:
        seats = tuple(timetable.seat(flight, cabin) if rng.random() < 0.5 else "" for _ in passengers)
        is_open = flight.minutes_left <= CHECK_IN_HOURS[member.tier] * 60 and not flight.cancelled
        checked_in = is_open and (flight.minutes_left <= 0 or rng.random() < 0.4)
        paid = max(4000, flight.fare_cents(cabin) - rng.randrange(-2000, 6000, 50))
        segments.append(Segment(flight.id, cabin, paid, seats, checked_in))
        if flight.minutes_left > 0:
            timetable.around(flight)
    booked = min(moment(flights[0].scheduled), NOW) - timedelta(days=rng.randint(2, 60), minutes=rng.randrange(600))
    if flights[0].minutes_left > 24 * 60 and rng.random() < 0.1:
        booked = NOW - timedelta(minutes=rng.randrange(30, 1400))
    cancelled = flights[0].minutes_left > 0 and rng.random() < 0.06
    return Booking(
        locator,
        member.id,
        fare,
        "voucher" if rng.random() < 0.22 else "card",
        text_of(booked),
        passengers,
        tuple(segments),
        cancelled,
        "travel voucher" if cancelled else "",
    )


def _locator(rng: random.Random, split: Split, index: int) -> str:
    """A booking code; the factor has no divisor in common with the number of codes, so they differ."""
    number = index * 7_919_321 % len(_LETTERS) ** 5
    code = ""
    for _ in range(5):
        number, digit = divmod(number, len(_LETTERS))
        code += _LETTERS[digit]
    return rng.choice(_FIRST_LETTERS[split]) + code


def _itinerary(rng: random.Random, split: Split, timetable: _Timetable, taken: set[str]) -> list[Flight]:
    """One or two flights on days that no other trip of the member has, which are added to `taken`."""
    while True:
        flights = _try_itinerary(rng, split, timetable)
        days = {flight.day for flight in flights}
        is_over_today = flights[0].day == NOW.date().isoformat() and flights[0].minutes_left <= 0
        if not is_over_today and not days & taken:
            taken.update(days)
            return flights


def _try_itinerary(rng: random.Random, split: Split, timetable: _Timetable) -> list[Flight]:
    start, middle, end = rng.sample(_PLACES[split], 3)
    day = NOW + timedelta(days=_days_ahead(rng))
    first = rng.choice(timetable.on(start, middle, day))
    ready = moment(first.scheduled) + timedelta(minutes=first.minutes + CONNECTION_MINUTES)
    shape = rng.random()
    if shape < 0.3:
        return [first]
    if shape < 0.75:
        later = timetable.on(middle, start, day + timedelta(days=rng.choice((1, 2, 3, 4, 6))))
    else:
        later = timetable.on(middle, end, ready)
    possible = [flight for flight in later if moment(flight.scheduled) >= ready]
    return [first, rng.choice(possible)] if possible else [first]


def _days_ahead(rng: random.Random) -> int:
    """Days to the first flight of a trip: many today and tomorrow, a third in the past."""
    chance = rng.random()
    if chance < 0.4:
        return int(chance > 0.24)
    if chance < 0.68:
        return rng.randint(2, 3) if chance < 0.5 else rng.randint(4, 30)
    return -rng.choice((rng.randint(1, 10), rng.randint(10, 58), rng.randint(61, 95)))


def _passengers(rng: random.Random, split: Split, locator: str, member: Member) -> Iterator[Passenger]:
    names = [member.name]
    for _ in range(rng.choice((0, 1, 1, 1, 2, 3))):
        last = member.surname if rng.random() < 0.7 else rng.choice(_LAST[split])
        name = f"{rng.choice(_FIRST[split])} {last}"
        if name not in names:
            names.append(name)
    for place, name in enumerate(names):
        kind: Literal["adult", "child"] = "child" if place and rng.random() < 0.4 else "adult"
        pieces = rng.choice((0, 0, 1, 1, 2, 3, 3, 4 if member.tier == "gold" else 0))
        bags = tuple(rng.choices(BAG_KINDS, (3, 1, 1), k=pieces))
        assistance: tuple[Assistance, ...] = ()
        if rng.random() < 0.15:
            assistance = (rng.choice(("wheelchair", "guide dog", "stretcher")),)
        infants: tuple[Infant, ...] = ()
        if kind == "adult" and rng.random() < 0.11:
            born = NOW.date() - timedelta(days=rng.randint(100, 500))
            infants = (Infant(f"{rng.choice(_FIRST[split])} {surname_of(name)}", born.isoformat()),)
        passenger_id = PassengerId(f"{locator}-{place + 1}")
        yield Passenger(passenger_id, name, kind, bags, assistance, infants, corrected=rng.random() < 0.25)
