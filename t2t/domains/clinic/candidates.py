"""Everything a caller of the practice could mean: calls and what a caller could say of them.

Callers speak of themselves and of their family. Whose matter it is stands in two slots: ``whose`` as the
caller says it ("my", "Theo's"), and ``patient``, the first name, as the agent repeats it.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from functools import cache

from t2t.domain.wish import Candidate
from t2t.domains.clinic.schema import (
    LANGUAGES,
    SCOPES,
    TERMS,
    TODAY,
    Appointment,
    BirthDate,
    ClinicDB,
    FullName,
    Kind,
    Patient,
    Phone,
    Prescription,
    Slot,
    day_of,
    is_ahead,
)

_MONTHS = (3, 6, 12)
"""Numbers of instalments that callers think of."""


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What a caller brings: who they are."""

    name: FullName
    born: BirthDate
    phone: Phone


def knowledge(db: ClinicDB, caller: str, rng: random.Random) -> Knowledge:
    """What this caller brings to a walk."""
    del rng  # everybody knows the same about themselves
    row = db.patients[caller]
    return Knowledge(row.name, row.born, row.phone)


def caller_ids(db: ClinicDB) -> list[str]:
    """Patients who are old enough to call; nobody begins or ceases to during an episode."""
    return db.base.index("patients", "calls")[True]


def caller_facts(db: ClinicDB, caller: str) -> dict[str, str]:
    """What a caller knows about themselves."""
    row = db.patients[caller]
    return {"name": row.name, "birthdate": row.born, "phone": row.phone}


def bookings(db: ClinicDB, caller: str) -> Iterator[Candidate]:
    """Any free time of the practice, for the caller or anybody of the family."""
    free = _free_times(db, db.patients[caller])
    for patient, slots in _people(db, caller):
        for slot, told in free:
            yield Candidate({"patient_id": patient.id, "slot_id": slot.id}, {**slots, **told})


def moves(db: ClinicDB, caller: str) -> Iterator[Candidate]:
    """Any visit that lies ahead, or would, to any free time for the same kind of visit."""
    free = _free_times(db, db.patients[caller])
    for row, slots in _agreed(db, caller):
        for slot, told in free:
            if slot.kind == row.kind:
                new = {f"new_{name}": told[name] for name in ("day", "time", "clinician")}
                yield Candidate({"appointment_id": row.id, "slot_id": slot.id}, {**slots, **new})


def cancellations(db: ClinicDB, caller: str) -> Iterator[Candidate]:
    """Any visit that lies ahead, or would."""
    for row, slots in _agreed(db, caller):
        yield Candidate({"appointment_id": row.id}, slots)


def interpreters(db: ClinicDB, caller: str) -> Iterator[Candidate]:
    """Any visit that lies ahead, or would, with each language."""
    for row, slots in _agreed(db, caller):
        for language in LANGUAGES:
            yield Candidate({"appointment_id": row.id, "language": language}, {**slots, "language": language})


def next_visits(db: ClinicDB, caller: str) -> Iterator[Candidate]:
    """The next visit of each kind of each person, with each clinician; the call lists all visits of the person."""
    seen: set[tuple[str, Kind, str]] = set()
    ahead = [(row, slots) for row, slots in _agreed(db, caller) if is_ahead(row)]
    for row, slots in sorted(ahead, key=lambda pair: pair[0].start):
        key = (row.patient_id, row.kind, row.clinician_id)
        if key not in seen:
            seen.add(key)
            yield Candidate({"patient_id": row.patient_id}, {name: slots[name] for name in slots if name != "day"})


def referrals(db: ClinicDB, caller: str) -> Iterator[Candidate]:
    """Any referral; the call lists all of the person."""
    for patient, slots in _people(db, caller):
        for row in db.referrals.where("patient_id", patient.id):
            yield Candidate({"patient_id": patient.id}, {**slots, "kind": row.kind})


def refills(db: ClinicDB, caller: str) -> Iterator[Candidate]:
    """Any prescription."""
    for row, slots in _drugs(db, caller):
        yield Candidate({"prescription_id": row.id}, slots)


def supplies(db: ClinicDB, caller: str) -> Iterator[Candidate]:
    """Any prescription; the call lists all of the person."""
    for row, slots in _drugs(db, caller):
        yield Candidate({"patient_id": row.patient_id}, slots)


def pharmacy_changes(db: ClinicDB, caller: str) -> Iterator[Candidate]:
    """Any prescription, to any other pharmacy of the practice."""
    pharmacies = db.pharmacies.where("practice_id", db.patients[caller].practice_id)
    for row, slots in _drugs(db, caller):
        for pharmacy in pharmacies:
            if pharmacy.id != row.pharmacy_id:
                arguments = {"prescription_id": row.id, "pharmacy_id": pharmacy.id}
                yield Candidate({**arguments}, {**slots, "pharmacy": pharmacy.name})


def plan_changes(db: ClinicDB, caller: str) -> Iterator[Candidate]:
    """Any plan of the practice that the person does not have, or is not about to have."""
    for patient, slots in _people(db, caller):
        for plan in db.plans.where("practice_id", patient.practice_id):
            if plan.id != (patient.next_plan_id or patient.plan_id):
                yield Candidate({"patient_id": patient.id, "plan_id": plan.id}, {**slots, "plan": plan.name})


def plans(db: ClinicDB, caller: str) -> Iterator[Candidate]:
    """Any plan of the practice; the call lists them all."""
    for plan in db.plans.where("practice_id", db.patients[caller].practice_id):
        yield Candidate({"patient_id": caller}, {"plan": plan.name})


def instalments(db: ClinicDB, caller: str) -> Iterator[Candidate]:
    """Any invoice that is not paid, in each number of instalments that it is not paid in."""
    for patient, slots in _people(db, caller):
        for row in db.invoices.where("patient_id", patient.id):
            if row.status != "paid":
                told = {**slots, "kind": row.text, "billed": spoken_day(row.issued)}
                for months in _MONTHS:
                    if months != row.months:
                        yield Candidate({"invoice_id": row.id, "months": months}, {**told, "months": str(months)})


def people(db: ClinicDB, caller: str) -> Iterator[Candidate]:
    """The caller, or anybody of the family; the call shows the person's record, or all invoices."""
    for patient, slots in _people(db, caller):
        yield Candidate({"patient_id": patient.id}, slots)


def proxies(db: ClinicDB, caller: str) -> Iterator[Candidate]:
    """Any member of the family as a proxy of any other, in each scope they do not have."""
    for patient, slots in _people(db, caller):
        for proxy_id in patient.family:
            proxy = db.patients[proxy_id]
            for scope in SCOPES:
                if not any(row.patient_id == proxy_id and row.scope == scope for row in patient.proxies):
                    name = proxy.first_name
                    told = {"proxy": "me" if proxy_id == caller else name, "proxy_name": name, "scope": scope}
                    arguments = {"patient_id": patient.id, "proxy_id": proxy_id, "scope": scope}
                    yield Candidate({**arguments}, {**slots, **told})


@cache
def spoken_day(iso: str) -> str:
    """A day of an ISO date as a caller says it: "June 12", with the year if it is not the current one."""
    day = date.fromisoformat(iso)
    return f"{day:%B} {day.day}" if day.year == TODAY.year else f"{day:%B} {day.day}, {day.year}"


def _people(db: ClinicDB, caller: str) -> Iterator[tuple[Patient, dict[str, str]]]:
    """The caller and the family, with whose matter it is."""
    row = db.patients[caller]
    yield row, {"whose": "my", "patient": row.first_name}
    for member_id in row.family:
        member = db.patients[member_id]
        yield member, {"whose": f"{member.first_name}'s", "patient": member.first_name}


def _free_times(db: ClinicDB, patient: Patient) -> list[tuple[Slot, dict[str, str]]]:
    return [
        (slot, {**_visit_slots(db, slot), "time": slot.start[11:]})
        for kind in TERMS
        for slot in db.slots_of(patient.practice_id, kind)
    ]


def _agreed(db: ClinicDB, caller: str) -> Iterator[tuple[Appointment, dict[str, str]]]:
    """Visits that lie ahead, and those that the family does not know to have been cancelled before the talk."""
    for patient, slots in _people(db, caller):
        for row in db.appointments.where("patient_id", patient.id):
            if is_ahead(row) or (row.status == "cancelled" and db.base.tables["appointments"].get(row.id) is row):
                yield row, {**slots, **_visit_slots(db, row)}


def _visit_slots(db: ClinicDB, row: Appointment | Slot) -> dict[str, str]:
    clinician = db.clinicians[row.clinician_id].spoken
    return {"kind": row.kind, "day": spoken_day(day_of(row.start).isoformat()), "clinician": clinician}


def _drugs(db: ClinicDB, caller: str) -> Iterator[tuple[Prescription, dict[str, str]]]:
    for patient, slots in _people(db, caller):
        for row in db.prescriptions.where("patient_id", patient.id):
            clinician = db.clinicians[row.clinician_id].spoken
            yield row, {**slots, "drug": row.drug, "clinician": clinician}
