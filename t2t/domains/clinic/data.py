"""Seeded data of the group. People, sites, plans, pharmacies and drugs of the two splits never meet."""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from functools import cache

from t2t.domain.database import Base
from t2t.domains.clinic.schema import (
    GUARDIAN_UNTIL_AGE,
    LANGUAGES,
    MINUTES_BETWEEN_VISITS,
    NOW,
    PROXY_FROM_AGE,
    SCOPES,
    TERMS,
    TODAY,
    Appointment,
    AppointmentId,
    BirthDate,
    Clinician,
    ClinicianId,
    FullName,
    Invoice,
    InvoiceId,
    InvoiceStatus,
    Kind,
    Patient,
    PatientId,
    Pharmacy,
    PharmacyId,
    Phone,
    Plan,
    PlanId,
    PracticeId,
    Prescription,
    PrescriptionId,
    Proxy,
    Referral,
    ReferralId,
    Slot,
    SlotId,
    Specialty,
    Status,
    age_on,
    day_of,
)
from t2t.records import DataSpec, Split


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.replace("_", " ") for word in text.split())


_FIRST: dict[Split, tuple[str, ...]] = {
    "train": _words(
        "Abel Adriana Aisha Alan Amelie Andre Anika Arlo Astrid Basil Bettina Caleb Carmen Cedric Claudia Conrad Dalia "
        "Darius Delia Dominic Edda Elias Elvira Enzo Erin Fabian Faye Florian Gemma Gideon Greta Hector Heidi Hugo "
        "Ilse Imran Ingrid Ivan Jana Jerome Joanna Josef Juno Karim Katrin Kira Lance Layla Levi Linnea Lorena Lucas"
    ),
    "test": _words(
        "Alma Anton Ariel Asa Barbara Bjorn Cecilia Cosmo Dagmar Desmond Dinah Eamon Elsa Ernest Farah Flora Gerald "
        "Gisela Harold Hilda Idris Isolde Jarek Jolene Kasimir Kerstin Lydia Malcolm Marisol Milo Nadine Nestor Odette "
        "Orla Pascal Perla"
    ),
}
_LAST: dict[Split, tuple[str, ...]] = {
    "train": _words(
        "Abrams Almeida Archer Aydin Baker Barton Becker Bianchi Blum Borg Bristow Cahill Carver Chowdhury Clarke "
        "Correa Crane Dahlin Dawson Delgado Donovan Egan Ekstrom Esposito Fairfax Fiore Frank Gallo Garner Girard "
        "Goodwin Haas Harper Hedlund Herrera Hussain Ingram Jankowski Joyce Kaplan Keane Kral Kovac Lang Lassen Leroy "
        "Lombardi Lucero Madsen Marsh Mistry Molina"
    ),
    "test": _words(
        "Ackerman Aguilar Andrade Avery Bachmann Benitez Birch Brandao Byrne Castell Cohen Crowley Danner Desai Dolan "
        "Eklund Falk Fenton Galloway Gibbs Grant Guzman Hadley Halvorsen Hirsch Holden Iversen Kamara Kessler Lowell "
        "Marchetti Merino Nash Novotny Oduya Pacheco"
    ),
}
_SITES: dict[Split, tuple[str, ...]] = {
    "train": _words("Mill_Lane Harbour_Street Orchard_Road Castle_Square Canal_Walk Abbey_Court"),
    "test": _words("Bridge_End Chapel_Hill Lower_Green Quarry_Walk Temple_Gate"),
}
_PLAN_NAMES: dict[Split, tuple[str, str, str, str, str]] = {
    "train": ("Compact", "Complete", "Campus", "Evergreen", "Saver"),
    "test": ("Basis", "Panorama", "Fledgling", "Heritage", "Thrift"),
}
_PHARMACIES: dict[Split, tuple[str, ...]] = {
    "train": _words("Arrow_Pharmacy Beacon_Pharmacy Cornerstone_Chemist Daybreak_Pharmacy Elmwood_Chemist Fountain_Rx"),
    "test": _words("Gatehouse_Chemist Heron_Pharmacy Ivybridge_Rx Juniper_Pharmacy Kingfisher_Chemist"),
}
_GROUPS = ("penicillins", "sulfonamides", "salicylates", "opioids", "statins", "antihistamines")


@dataclass(frozen=True)
class _Drug:
    """Something that is prescribed; names are made up."""

    name: str
    group: str
    controlled: bool


def _drugs(names: str, controlled: str) -> tuple[_Drug, ...]:
    plain = tuple(_Drug(name, _GROUPS[number % len(_GROUPS)], False) for number, name in enumerate(names.split()))
    return (*plain, *(_Drug(name, "opioids", True) for name in controlled.split()))


_DRUGS: dict[Split, tuple[_Drug, ...]] = {
    "train": _drugs(
        "Velorin Catrexal Monapril Tezidol Orlavex Brimosan Quintara Ferolan Sudomil",
        "Nardolex Pervadin Solacet Tricodel",
    ),
    "test": _drugs("Halvoxin Lumetra Domirel Kestavan Zorafine Wexalor", "Ulpidane Ravotex Cordalen"),
}
_STAFF: tuple[Specialty, ...] = (
    "general practice",
    "general practice",
    "paediatrics",
    "dermatology",
    "dermatology",
    "cardiology",
    "physiotherapy",
    "physiotherapy",
    "eye care",
)
_KINDS: dict[Specialty, tuple[Kind, ...]] = {
    specialty: tuple(kind for kind, terms in TERMS.items() if terms.specialty == specialty) for specialty in _STAFF
}
_FAMILIES_PER_PRACTICE = 18
_SLOTS_PER_CLINICIAN = 8
_OPENS, _CLOSES = 8 * 60, 16 * 60 + 30
"""First and last start of a visit, in minutes of the day."""
_PHONE_PREFIX: dict[Split, str] = {"train": "031", "test": "047"}
_OFFSET: dict[Split, int] = {"train": 0, "test": 50_000_000}
"""Keeps the ids of the splits apart."""


@dataclass
class _Tables:
    """What is made so far."""

    rng: random.Random
    split: Split
    plans: dict[str, Plan] = field(default_factory=dict[str, Plan])
    pharmacies: dict[str, Pharmacy] = field(default_factory=dict[str, Pharmacy])
    clinicians: dict[str, Clinician] = field(default_factory=dict[str, Clinician])
    slots: dict[str, Slot] = field(default_factory=dict[str, Slot])
    patients: dict[str, Patient] = field(default_factory=dict[str, Patient])
    appointments: dict[str, Appointment] = field(default_factory=dict[str, Appointment])
    referrals: dict[str, Referral] = field(default_factory=dict[str, Referral])
    prescriptions: dict[str, Prescription] = field(default_factory=dict[str, Prescription])
    invoices: dict[str, Invoice] = field(default_factory=dict[str, Invoice])
    people: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])
    """Names with dates of birth; no two patients share both."""
    numbers: Counter[str] = field(default_factory=Counter[str])
    """Rows numbered so far, by series: the letter of their ids, or "calendar" for visits and free times."""

    def new_id(self, letter: str, series: str = "") -> str:
        """An id that no row of either split has; ids of one series share their numbers."""
        self.numbers[series or letter] += 1
        return f"{letter}{_OFFSET[self.split] + 1_000_000 + self.numbers[series or letter]}"


@dataclass
class _Practice:
    """One practice while its calendar fills."""

    id: PracticeId
    plans: tuple[Plan, ...]
    pharmacies: tuple[Pharmacy, ...]
    clinicians: tuple[Clinician, ...]
    taken: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])
    """Clinician and start of every visit and free time."""


def generate(data: DataSpec) -> Base:
    """Make the group's data; `data.size` is the number of visits, past ones included.

    Everything grows with the visits: about one patient for three visits, and one practice with nine
    clinicians for about two hundred. The calendar of free times reaches 33 days ahead.
    """
    tables = _Tables(random.Random(f"clinic/{data.split}/{data.seed}"), data.split)
    practice = _practice(tables)
    families = 0
    while len(tables.appointments) < data.size:
        if families == _FAMILIES_PER_PRACTICE:
            practice, families = _practice(tables), 0
        families += 1
        for patient in _family(tables, practice):
            visits = _visits(tables, practice, patient, data.size - len(tables.appointments))
            done = [row for row in visits if row.status == "done"]
            _prescriptions(tables, practice, patient, done)
            _invoices(tables, patient, done)
    return Base(
        {
            "plans": tables.plans,
            "pharmacies": tables.pharmacies,
            "clinicians": tables.clinicians,
            "slots": tables.slots,
            "patients": tables.patients,
            "appointments": tables.appointments,
            "referrals": tables.referrals,
            "prescriptions": tables.prescriptions,
            "invoices": tables.invoices,
        }
    )


def _practice(tables: _Tables) -> _Practice:
    """A practice with three sites, nine clinicians and their free times."""
    rng, split = tables.rng, tables.split
    practice_id = PracticeId(tables.new_id("G"))
    sites = tuple(rng.sample(_SITES[split], 3))
    terms = (
        (1500, 3500, 2, (0, 150)),
        (2500, 5000, 3, (0, 150)),
        (1000, 2000, 2, (0, 26)),
        (2000, 3000, 3, (65, 150)),
        (800, 1800, 1, (0, 150)),
    )
    plans = tuple(
        Plan(
            PlanId(tables.new_id("L")),
            practice_id,
            name,
            copay + rng.randrange(0, 500, 50),
            specialist + rng.randrange(0, 1000, 50),
            tuple(sorted(rng.sample(sites, num_sites))),
            ages,
        )
        for name, (copay, specialist, num_sites, ages) in zip(_PLAN_NAMES[split], terms, strict=True)
    )
    pharmacies = tuple(
        Pharmacy(PharmacyId(tables.new_id("H")), practice_id, name, rng.randint(1, 5))
        for name in rng.sample(_PHARMACIES[split], 4)
    )
    clinicians = tuple(
        Clinician(
            ClinicianId(tables.new_id("C")),
            practice_id,
            f"{'' if specialty == 'physiotherapy' else 'Dr. '}{rng.choice(_FIRST[split])} {last}",
            specialty,
            tuple(rng.sample(sites, rng.choice((1, 2, 2)))),
            tuple(rng.sample(LANGUAGES, rng.choice((0, 1, 1, 2)))),
        )
        for specialty, last in zip(_STAFF, rng.sample(_LAST[split], len(_STAFF)), strict=True)
    )
    tables.plans |= {row.id: row for row in plans}
    tables.pharmacies |= {row.id: row for row in pharmacies}
    tables.clinicians |= {row.id: row for row in clinicians}
    practice = _Practice(practice_id, plans, pharmacies, clinicians)
    for clinician in clinicians:
        for _ in range(_SLOTS_PER_CLINICIAN):
            kind = rng.choice(_KINDS[clinician.specialty])
            _offer(tables, practice, clinician, kind, _free_start(rng, practice, clinician, kind, _day_ahead(rng)))
    return practice


def _offer(tables: _Tables, practice: _Practice, clinician: Clinician, kind: Kind, start: str) -> None:
    """Put a free time into the calendar."""
    practice.taken.add((clinician.id, start))
    slot_id = SlotId(tables.new_id("S", "calendar"))
    tables.slots[slot_id] = Slot(slot_id, clinician.id, kind, tables.rng.choice(clinician.sites), start)


def _day_ahead(rng: random.Random) -> date:
    """A working day: today, the next three, the rest of the month, or the first days of the next month."""
    stretch = rng.random()
    if stretch < 0.16:
        return TODAY
    if stretch < 0.3:
        return TODAY + timedelta(days=rng.randint(1, 3))
    while True:
        lowest, highest = (4, 22) if stretch < 0.7 else (23, 32)
        day = TODAY + timedelta(days=rng.randint(lowest, highest))
        if day.weekday() < 5:
            return day


def _free_start(rng: random.Random, practice: _Practice, clinician: Clinician, kind: Kind, day: date) -> str:
    """A start at which the clinician has nothing yet, on that day or one further from today."""
    step = _step(kind)
    while True:
        lowest = _OPENS if day != TODAY else NOW.hour * 60 + step
        highest = lowest + 120 if day == TODAY and rng.random() < 0.7 else _CLOSES
        start = _start(day, rng.randrange(lowest, highest + 1, step))
        if (clinician.id, start) not in practice.taken:
            practice.taken.add((clinician.id, start))
            return start
        day += timedelta(days=1 if day >= TODAY else -1)
        while day.weekday() > 4:
            day += timedelta(days=1 if day >= TODAY else -1)


def _step(kind: Kind) -> int:
    """Minutes from one start to the next in the calendar of those who offer a kind."""
    return 30 if TERMS[kind].minutes <= 30 else 60


@cache
def _start(day: date, minute: int) -> str:
    return f"{datetime.combine(day, time(minute // 60, minute % 60)):%Y-%m-%d %H:%M}"


def _family(tables: _Tables, practice: _Practice) -> list[Patient]:
    """People who are insured together: an adult, often a partner, children, sometimes a parent."""
    rng, split = tables.rng, tables.split
    age = rng.randint(30, 66)
    ages = [age]
    if rng.random() < 0.6:
        ages.append(max(26, age + rng.randint(-6, 6)))
    parents = len(ages)
    for _ in range(rng.choice((0, 1, 1, 2, 2, 3))):
        child = rng.choice((rng.randint(1, 15), rng.randint(16, 17), rng.randint(18, 26)))
        if child <= age - 20:
            ages.append(child)
    if rng.random() < 0.25:
        ages.append(age + rng.randint(22, 30))
    ids = [PatientId(tables.new_id("P")) for _ in ages]
    last = rng.choice(_LAST[split])
    names: list[str] = []
    born: list[str] = []
    for place, first in enumerate(rng.sample(_FIRST[split], len(ids))):
        other_name = place > 0 and ages[place] >= 26 and rng.random() < 0.3
        names.append(f"{first} {rng.choice(_LAST[split]) if other_name else last}")
        born.append(_birth_date(rng, ages[place]))
        while (names[place], born[place]) in tables.people:
            born[place] = (date.fromisoformat(born[place]) - timedelta(days=1)).isoformat()
        tables.people.add((names[place], born[place]))
    years = [age_on(day, TODAY) for day in born]
    adults = [row_id for row_id, known in zip(ids, years, strict=True) if known >= PROXY_FROM_AGE]
    rows: list[Patient] = []
    for place, name in enumerate(names):
        others = tuple(row_id for row_id in ids if row_id != ids[place])
        grown = years[place] >= PROXY_FROM_AGE
        plan_id, next_plan_id, changed = _plans_of(rng, practice, years[place])
        row = Patient(
            ids[place],
            practice.id,
            FullName(name),
            BirthDate(born[place]),
            Phone(_phone(split, ids[place]) if grown else ""),
            plan_id,
            next_plan_id,
            changed,
            tuple(rng.sample(_GROUPS, rng.choice((1, 1, 2)))) if rng.random() < 0.45 else (),
            others,
            () if grown else tuple(ids[:parents]),
            _proxies(rng, [row_id for row_id in adults if row_id != ids[place]], years[place]),
        )
        tables.patients[row.id] = row
        rows.append(row)
    return rows


def _birth_date(rng: random.Random, years: int) -> str:
    return (TODAY - timedelta(days=round(years * 365.25) + rng.randrange(365))).isoformat()


def _phone(split: Split, patient_id: str) -> str:
    return f"{_PHONE_PREFIX[split]}-{int(patient_id[1:]) * 7919 % 10_000_000:07d}"


def _proxies(rng: random.Random, adults: Sequence[PatientId], years: int) -> tuple[Proxy, ...]:
    if not adults or years < GUARDIAN_UNTIL_AGE or rng.random() < 0.4:
        return ()
    return (Proxy(rng.choice(adults), rng.choice(SCOPES)),)


def _plans_of(rng: random.Random, practice: _Practice, years: int) -> tuple[PlanId, PlanId | None, str]:
    """Plan, next plan and day of the last change."""
    now, later = rng.sample([plan.id for plan in practice.plans if plan.ages[0] <= years <= plan.ages[1]], 2)
    chance = rng.random()
    if chance < 0.1:
        return now, later, (TODAY - timedelta(days=rng.randint(3, 40))).isoformat()
    if chance < 0.3:
        return now, None, (TODAY - timedelta(days=rng.randint(41, 157))).isoformat()
    return now, None, (TODAY - timedelta(days=rng.randint(160, 800))).isoformat() if chance < 0.5 else ""


def _visits(tables: _Tables, practice: _Practice, patient: Patient, most: int) -> list[Appointment]:
    """At most that many visits of a patient, to come and past, with the referrals behind them."""
    rng = tables.rng
    years = age_on(patient.born, TODAY)
    fitting: list[Kind] = [kind for kind, terms in TERMS.items() if terms.ages[0] <= years <= terms.ages[1]]
    ahead: list[Kind] = rng.sample(fitting, rng.choice((0, 1, 1, 2, 3)))
    if "physio session" in ahead and rng.random() < 0.6:
        ahead.append("physio session")
    before: list[Kind] = [kind for kind in fitting if kind not in ahead or kind == "physio session"]
    made: list[Appointment] = []

    def add(kind: Kind, day: date, status: Status) -> None:
        visit = _visit(tables, practice, patient, kind, day, status)
        if all(abs((day_of(visit.start) - day_of(row.start)).days) > 1 for row in made):
            made.append(visit)

    for kind in ahead[:most]:
        soon = kind == "heart scan" and rng.random() < 0.5
        day = TODAY + timedelta(days=rng.choice((2, 3, 3))) if soon else _day_ahead(rng)
        add(kind, day, "booked" if rng.random() < 0.9 else "cancelled")
    for _ in range(min(rng.choice((1, 2, 2, 3)), most - len(made))):
        add(rng.choice(before), _day_before(rng), "done" if rng.random() < 0.85 else "missed")
    for visit in made:
        tables.appointments[visit.id] = visit
        if visit.status == "booked" and rng.random() < 0.4:
            _offer_beside(tables, practice, visit)
    for kind in fitting:
        if TERMS[kind].referral:
            _referral(tables, patient, kind, [row for row in made if row.kind == kind])
    return made


def _day_before(rng: random.Random) -> date:
    """A working day of the last two years."""
    while True:
        day = TODAY - timedelta(
            days=rng.choice((rng.randint(3, 25), rng.randint(26, 120), rng.randint(121, 720), rng.randint(275, 364)))
        )
        if day.weekday() < 5:
            return day


def _visit(
    tables: _Tables, practice: _Practice, patient: Patient, kind: Kind, day: date, status: Status
) -> Appointment:
    """A visit with somebody who offers its kind, within the patient's network where that is possible."""
    rng = tables.rng
    network = tables.plans[patient.plan_id_on(day)].network
    offering = [row for row in practice.clinicians if kind in _KINDS[row.specialty]]
    places = [(row, site) for row in offering for site in row.sites]
    clinician, site = rng.choice([place for place in places if place[1] in network] or places)
    start = _free_start(rng, practice, clinician, kind, day)
    booked = status == "booked"
    return Appointment(
        AppointmentId(tables.new_id("A", "calendar")),
        patient.id,
        clinician.id,
        kind,
        site,
        start,
        status,
        rng.choice((0, 0, 0, 0, 1, 2, 2)) if booked else 0,
        rng.choice(LANGUAGES) if booked and rng.random() < 0.06 else "",
    )


def _offer_beside(tables: _Tables, practice: _Practice, visit: Appointment) -> None:
    """Offer a free time of somebody else at the time of a visit, or shortly after it."""
    rng = tables.rng
    clinician = rng.choice([row for row in practice.clinicians if row.id != visit.clinician_id])
    kind = rng.choice(_KINDS[clinician.specialty])
    minute = int(visit.start[11:13]) * 60 + int(visit.start[14:])
    if rng.random() < 0.4:
        minute += TERMS[visit.kind].minutes + MINUTES_BETWEEN_VISITS + _step(kind) - 1
    start = _start(day_of(visit.start), minute - minute % _step(kind))
    if (clinician.id, start) not in practice.taken and start > f"{NOW:%Y-%m-%d %H:%M}":
        _offer(tables, practice, clinician, kind, start)


def _referral(tables: _Tables, patient: Patient, kind: Kind, visits: Sequence[Appointment]) -> None:
    """A referral that covers what is booked, or one that nothing was booked on; often none."""
    rng = tables.rng
    issued = TODAY - timedelta(days=rng.randint(3, 60))
    booked = [day_of(row.start) for row in visits if row.status == "booked"]
    used = sum(row.status == "booked" or (row.status == "done" and day_of(row.start) >= issued) for row in visits)
    if booked:
        valid_until = max(booked) + timedelta(days=rng.randint(0, 30))
    elif rng.random() < 0.6:
        days = (rng.randint(-40, -1), rng.randint(3, 20), *(rng.randint(40, 70) for _ in range(4)))
        valid_until = TODAY + timedelta(days=rng.choice(days))
    else:
        return
    covered = max(used, rng.randint(4, 8) if kind == "physio session" else rng.choice((1, 1, 2)))
    if booked and rng.random() < 0.5:
        covered = used
    referral_id = ReferralId(tables.new_id("R"))
    tables.referrals[referral_id] = Referral(
        referral_id, patient.id, kind, issued.isoformat(), valid_until.isoformat(), covered
    )


def _prescriptions(tables: _Tables, practice: _Practice, patient: Patient, visits: Sequence[Appointment]) -> None:
    """What a patient takes, prescribed at one of the visits that are done, or longer ago."""
    rng = tables.rng
    grown = age_on(patient.born, TODAY) >= PROXY_FROM_AGE
    seen = [row.clinician_id for row in visits]
    doctors = [row.id for row in practice.clinicians if row.specialty == "general practice"]
    for drug in rng.sample(_DRUGS[tables.split], rng.choice((1, 1, 2, 2, 3) if grown else (0, 0, 1, 2))):
        supply = rng.choice((30, 60, 90))
        if rng.random() < (0.5 if drug.controlled else 0.3):
            since = rng.randint(1, supply - (1 if drug.controlled else 8))
        else:
            since = supply + (
                rng.choice((0, 1, *range(16))) if drug.controlled else rng.choice((-7, -6, *range(-7, 16)))
            )
        ends = rng.random()
        valid = rng.randint(-30, -1) if ends < 0.18 else rng.randint(0, 7) if ends < 0.32 else rng.randint(20, 300)
        prescription_id = PrescriptionId(tables.new_id("X"))
        tables.prescriptions[prescription_id] = Prescription(
            prescription_id,
            patient.id,
            rng.choice(seen or doctors),
            drug.name,
            drug.group,
            drug.controlled,
            rng.choice((0, 1, 1, 2, 2, 3, 4, 5)),
            supply,
            (TODAY - timedelta(days=since)).isoformat(),
            (TODAY + timedelta(days=valid)).isoformat(),
            rng.choice(practice.pharmacies).id,
        )


def _invoices(tables: _Tables, patient: Patient, visits: Sequence[Appointment]) -> None:
    """Invoices for most of the visits that are done, and now and then an older one that is paid in instalments."""
    rng = tables.rng
    for visit in visits:
        if rng.random() < 0.75:
            day = day_of(visit.start)
            paid = rng.random() < (0.75 if (TODAY - day).days > 60 else 0.15)
            _invoice(tables, patient, visit.kind, day, "paid" if paid else "open")
    if rng.random() < 0.2:
        _invoice(tables, patient, "skin check", TODAY - timedelta(days=rng.randint(100, 300)), "in instalments")


def _invoice(tables: _Tables, patient: Patient, kind: Kind, day: date, status: InvoiceStatus) -> None:
    rng = tables.rng
    cents = rng.randrange(6000, 12500, 50) if rng.random() < 0.5 else rng.randrange(10000, 42000, 50)
    due = day + timedelta(days=30)
    months = rng.choice((3, 6, 12)) if status == "in instalments" else 0
    invoice_id = InvoiceId(tables.new_id("I"))
    tables.invoices[invoice_id] = Invoice(
        invoice_id, patient.id, kind, cents, day.isoformat(), due.isoformat(), status, months
    )
