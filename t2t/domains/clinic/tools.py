"""What the front desk can do. Tools enforce what the backend would; the rest is policy."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date

from t2t.domain.tool import tool
from t2t.domains.clinic.schema import (
    FREE_CANCEL_NOTICE,
    MONTHS,
    NEXT_PLAN_DAY,
    NOW,
    TERMS,
    TODAY,
    Access,
    Appointment,
    AppointmentId,
    BirthDate,
    ClinicDB,
    FullName,
    Invoice,
    InvoiceId,
    InvoiceStatus,
    Kind,
    Language,
    Patient,
    PatientId,
    Pharmacy,
    PharmacyId,
    Phone,
    PlanId,
    Prescription,
    PrescriptionId,
    Proxy,
    ReferralId,
    Scope,
    Slot,
    SlotId,
    Status,
    add_working_days,
    day_of,
    end_of,
    is_ahead,
    moment,
    money,
)
from t2t.errors import ToolError

_LATE_FEE_CENTS = 2500
_LATE_FEE_ON_REFERRAL_CENTS = 4000


@dataclass(frozen=True, slots=True)
class FamilyMember:
    """Somebody insured together with a patient; `access` is what the patient may do for them."""

    patient_id: PatientId
    name: str
    born: str
    access: Access


@dataclass(frozen=True, slots=True)
class FoundPatient:
    """A patient who was looked up."""

    patient_id: PatientId
    name: str
    family: tuple[FamilyMember, ...]


@dataclass(frozen=True, slots=True)
class PatientView:
    """A patient's record; `next_plan` is in force from 2026-07-01."""

    patient_id: PatientId
    name: str
    born: str
    plan: str
    next_plan: str
    plan_changed: str
    allergies: tuple[str, ...]
    proxies: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AppointmentView:
    """A visit with all that the policy asks about."""

    appointment_id: AppointmentId
    kind: Kind
    clinician: str
    languages: tuple[str, ...]
    site: str
    start: str
    end: str
    status: Status
    moves: int
    interpreter: str


@dataclass(frozen=True, slots=True)
class SlotView:
    """A free time."""

    slot_id: SlotId
    clinician: str
    site: str
    start: str
    end: str


@dataclass(frozen=True, slots=True)
class Quote:
    """What a visit would cost the patient: the copay, or outside the network the full price."""

    plan: str
    in_network: bool
    to_pay: str


@dataclass(frozen=True, slots=True)
class ReferralView:
    """A referral."""

    referral_id: ReferralId
    kind: Kind
    issued: str
    valid_until: str
    visits: int


@dataclass(frozen=True, slots=True)
class PrescriptionView:
    """A prescription; `supply_until` is the day on which the last filling is used up."""

    prescription_id: PrescriptionId
    drug: str
    group: str
    controlled: bool
    prescriber: str
    refills_left: int
    supply_until: str
    valid_until: str
    pharmacy: str


@dataclass(frozen=True, slots=True)
class PharmacyView:
    """A pharmacy of the practice."""

    pharmacy_id: PharmacyId
    name: str


@dataclass(frozen=True, slots=True)
class PlanView:
    """An insurance plan; ages are in years, both ends included."""

    plan_id: PlanId
    name: str
    copay: str
    specialist_copay: str
    ages: tuple[int, int]
    network: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class InvoiceView:
    """An invoice."""

    invoice_id: InvoiceId
    text: str
    amount: str
    issued: str
    due: str
    status: InvoiceStatus


@dataclass(frozen=True, slots=True)
class Account:
    """A patient's invoices and the sum of those that are not paid."""

    to_pay: str
    invoices: tuple[InvoiceView, ...]


@dataclass(frozen=True, slots=True)
class Booking:
    """A visit that is agreed, and what the patient pays for it."""

    appointment_id: AppointmentId
    start: str
    to_pay: str


@dataclass(frozen=True, slots=True)
class Cancellation:
    """A visit that is off, and what that costs."""

    appointment_id: AppointmentId
    fee: str


@dataclass(frozen=True, slots=True)
class Refill:
    """A refill under way."""

    pharmacy: str
    ready: str
    refills_left: int


@dataclass(frozen=True, slots=True)
class PlanChange:
    """A change of plan to come."""

    plan: str
    in_force_from: str


@dataclass(frozen=True, slots=True)
class Instalments:
    """How an invoice is paid off; the last instalment takes what rounding leaves over."""

    monthly: str
    last: str
    months: int


def _require_patient(db: ClinicDB, patient_id: str) -> Patient:
    found = db.patients.get(patient_id)
    if found is None:
        raise ToolError(f"no patient {patient_id!r}; ids look like 'P1000001' and come from find_patient")
    return found


def _found(db: ClinicDB, row: Patient) -> FoundPatient:
    family = (db.patients[member_id] for member_id in row.family)
    members = tuple(FamilyMember(other.id, other.name, other.born, db.access(row, other)) for other in family)
    return FoundPatient(row.id, row.name, members)


def _find_ahead(db: ClinicDB, appointment_id: str) -> Appointment:
    found = db.appointments.get(appointment_id)
    if found is None:
        raise ToolError(f"no visit {appointment_id!r}; ids look like 'A1000001' and come from list_appointments")
    if not is_ahead(found):
        state = "over" if found.status == "booked" else found.status
        raise ToolError(f"visit {appointment_id} of {found.start} is {state}; only booked visits ahead can be changed")
    return found


def _find_slot(db: ClinicDB, slot_id: str, patient: Patient) -> Slot:
    found = db.slots.get(slot_id)
    if found is None:
        raise ToolError(f"no free time {slot_id!r}; ids look like 'S1000001' and come from find_slots")
    if db.clinicians[found.clinician_id].practice_id != patient.practice_id:
        raise ToolError(f"time {slot_id} is at another practice than the one where {patient.name} is registered")
    return found


def _find_prescription(db: ClinicDB, prescription_id: str) -> Prescription:
    found = db.prescriptions.get(prescription_id)
    if found is None:
        raise ToolError(
            f"no prescription {prescription_id!r}; ids look like 'X1000001' and come from list_prescriptions"
        )
    return found


def _slot_views(db: ClinicDB, slots: Iterable[Slot]) -> list[SlotView]:
    return [
        SlotView(
            slot.id,
            db.clinicians[slot.clinician_id].name,
            slot.site,
            slot.start,
            f"{end_of(slot.start, slot.kind):%H:%M}",
        )
        for slot in slots
    ]


def _to_pay_cents(db: ClinicDB, patient: Patient, slot: Slot) -> int:
    """The copay, or outside the network the full price."""
    plan = db.plan_on(patient, day_of(slot.start))
    if slot.site not in plan.network:
        return TERMS[slot.kind].price_cents
    return plan.specialist_copay_cents if TERMS[slot.kind].referral else plan.copay_cents


@tool(writes=False)
def find_patient(db: ClinicDB, name: FullName, born: BirthDate) -> FoundPatient:
    """Find a patient by full name and date of birth, with the family and what the patient may do for each of them.

    Args:
        name: First and last name.
        born: Date of birth, YYYY-MM-DD.
    """
    for row in db.patients.where("name", name.strip().title()):
        if row.born == born.strip():
            return _found(db, row)
    raise ToolError(f"no patient {name!r} born {born!r}; write the date like '1984-03-02', or ask for the phone number")


@tool(writes=False)
def find_patient_by_phone(db: ClinicDB, phone: Phone) -> FoundPatient:
    """Find a patient by phone number, with the family and what the patient may do for each of them.

    Args:
        phone: Phone number, such as "031-5550147".
    """
    number = phone.strip()
    found = db.patients.where("phone", number) if number else []
    if not found:
        raise ToolError(f"no patient with phone {phone!r}; ask again, or for name and date of birth")
    return _found(db, found[0])


@tool(writes=False)
def get_patient(db: ClinicDB, patient_id: PatientId) -> PatientView:
    """Get a patient's record: insurance plan, allergies, proxies.

    Args:
        patient_id: Id of the patient.
    """
    row = _require_patient(db, patient_id)
    return PatientView(
        row.id,
        row.name,
        row.born,
        db.plans[row.plan_id].name,
        db.plans[row.next_plan_id].name if row.next_plan_id else "",
        row.plan_changed,
        row.allergies,
        tuple(f"{db.patients[proxy.patient_id].name} ({proxy.scope})" for proxy in row.proxies),
    )


@tool(writes=False)
def list_appointments(db: ClinicDB, patient_id: PatientId) -> list[AppointmentView]:
    """List a patient's visits, past and to come, earliest first.

    Args:
        patient_id: Id of the patient.
    """
    rows = db.appointments.where("patient_id", _require_patient(db, patient_id).id)
    views: list[AppointmentView] = []
    for row in sorted(rows, key=lambda row: row.start):
        clinician = db.clinicians[row.clinician_id]
        views.append(
            AppointmentView(
                row.id,
                row.kind,
                clinician.name,
                ("English", *clinician.languages),
                row.site,
                row.start,
                f"{end_of(row.start, row.kind):%H:%M}",
                row.status,
                row.moves,
                row.interpreter,
            )
        )
    return views


@tool(writes=False)
def find_slots(
    db: ClinicDB, patient_id: PatientId, kind: Kind, day: str | None = None, site: str | None = None
) -> list[SlotView]:
    """List the free times for a kind of visit at the patient's practice, earliest first.

    Args:
        patient_id: Id of the patient.
        kind: Kind of visit.
        day: Only this day, YYYY-MM-DD.
        site: Only this site.
    """
    patient = _require_patient(db, patient_id)
    slots = db.slots_of(patient.practice_id, kind)
    if day is not None:
        wanted = _read_day(day)
        slots = [slot for slot in slots if day_of(slot.start) == wanted]
    if site is not None:
        sites = {name for row in db.clinicians.where("practice_id", patient.practice_id) for name in row.sites}
        if site not in sites:
            raise ToolError(f"the practice has no site {site!r}; its sites are {', '.join(sorted(sites))}")
        slots = [slot for slot in slots if slot.site == site]
    return _slot_views(db, slots)


@tool(writes=False)
def find_new_times(db: ClinicDB, appointment_id: AppointmentId) -> list[SlotView]:
    """List the free times to which a booked visit could move, with any clinician, earliest first.

    Args:
        appointment_id: Id of the visit.
    """
    row = _find_ahead(db, appointment_id)
    return _slot_views(db, db.slots_of(db.patients[row.patient_id].practice_id, row.kind))


@tool(writes=False)
def quote_visit(db: ClinicDB, patient_id: PatientId, slot_id: SlotId) -> Quote:
    """Get what a visit at a free time would cost the patient; changes nothing.

    Args:
        patient_id: Id of the patient.
        slot_id: Id of the free time.
    """
    patient = _require_patient(db, patient_id)
    slot = _find_slot(db, slot_id, patient)
    plan = db.plan_on(patient, day_of(slot.start))
    return Quote(plan.name, slot.site in plan.network, money(_to_pay_cents(db, patient, slot)))


@tool(writes=False)
def list_referrals(db: ClinicDB, patient_id: PatientId) -> list[ReferralView]:
    """List a patient's referrals.

    Args:
        patient_id: Id of the patient.
    """
    rows = db.referrals.where("patient_id", _require_patient(db, patient_id).id)
    return [ReferralView(row.id, row.kind, row.issued, row.valid_until, row.visits) for row in rows]


@tool(writes=False)
def list_prescriptions(db: ClinicDB, patient_id: PatientId) -> list[PrescriptionView]:
    """List a patient's prescriptions.

    Args:
        patient_id: Id of the patient.
    """
    return [
        PrescriptionView(
            row.id,
            row.drug,
            row.group,
            row.controlled,
            db.clinicians[row.clinician_id].name,
            row.refills_left,
            row.supply_until.isoformat(),
            row.valid_until,
            db.pharmacies[row.pharmacy_id].name,
        )
        for row in db.prescriptions.where("patient_id", _require_patient(db, patient_id).id)
    ]


@tool(writes=False)
def list_pharmacies(db: ClinicDB, patient_id: PatientId) -> list[PharmacyView]:
    """List the pharmacies that the patient's practice works with.

    Args:
        patient_id: Id of the patient.
    """
    rows = db.pharmacies.where("practice_id", _require_patient(db, patient_id).practice_id)
    return [PharmacyView(row.id, row.name) for row in rows]


@tool(writes=False)
def list_plans(db: ClinicDB, patient_id: PatientId) -> list[PlanView]:
    """List the insurance plans that the patient's practice accepts, with copays, ages and network.

    Args:
        patient_id: Id of the patient.
    """
    return [
        PlanView(row.id, row.name, money(row.copay_cents), money(row.specialist_copay_cents), row.ages, row.network)
        for row in db.plans.where("practice_id", _require_patient(db, patient_id).practice_id)
    ]


@tool(writes=False)
def list_invoices(db: ClinicDB, patient_id: PatientId) -> Account:
    """List a patient's invoices, latest first, and what is still to pay in all.

    Args:
        patient_id: Id of the patient.
    """
    rows = db.invoices.where("patient_id", _require_patient(db, patient_id).id)
    rows.sort(key=lambda row: (row.issued, row.id), reverse=True)
    views = (InvoiceView(row.id, row.text, money(row.cents), row.issued, row.due, row.status) for row in rows)
    return Account(money(sum(row.cents for row in rows if row.status != "paid")), tuple(views))


@tool(writes=True)
def book_appointment(db: ClinicDB, patient_id: PatientId, slot_id: SlotId) -> Booking:
    """Book a free time for a patient; the kind of visit is the one the time is laid out for.

    Args:
        patient_id: Id of the patient.
        slot_id: Id of the free time.
    """
    patient = _require_patient(db, patient_id)
    slot = _find_slot(db, slot_id, patient)
    db.slots.delete(slot.id)
    appointment_id = AppointmentId(f"A{slot.id[1:]}")
    row = Appointment(appointment_id, patient.id, slot.clinician_id, slot.kind, slot.site, slot.start, "booked")
    db.appointments.put(row)
    return Booking(row.id, row.start, money(_to_pay_cents(db, patient, slot)))


@tool(writes=True)
def move_appointment(db: ClinicDB, appointment_id: AppointmentId, slot_id: SlotId) -> str:
    """Move a booked visit to a free time for the same kind of visit; an interpreter moves along.

    Args:
        appointment_id: Id of the visit.
        slot_id: Id of the free time.
    """
    row = _find_ahead(db, appointment_id)
    slot = _find_slot(db, slot_id, db.patients[row.patient_id])
    if slot.kind != row.kind:
        raise ToolError(f"time {slot_id} is for a {slot.kind}, not a {row.kind}; find_new_times lists what fits")
    db.slots.delete(slot.id)
    moved = replace(row, clinician_id=slot.clinician_id, site=slot.site, start=slot.start, moves=row.moves + 1)
    db.appointments.put(moved)
    return f"{row.kind} with {db.clinicians[slot.clinician_id].name}: {slot.start}, {slot.site}"


@tool(writes=True)
def cancel_appointment(db: ClinicDB, appointment_id: AppointmentId) -> Cancellation:
    """Cancel a booked visit; a late fee, if any, is billed.

    Args:
        appointment_id: Id of the visit.
    """
    row = _find_ahead(db, appointment_id)
    fee = 0
    if moment(row.start) - NOW < FREE_CANCEL_NOTICE:
        fee = _LATE_FEE_ON_REFERRAL_CENTS if TERMS[row.kind].referral else _LATE_FEE_CENTS
        due = add_working_days(TODAY, 10).isoformat()
        bill_id = InvoiceId(f"I{row.id}")
        db.invoices.put(Invoice(bill_id, row.patient_id, "cancellation", fee, TODAY.isoformat(), due, "open"))
    db.appointments.put(replace(row, status="cancelled"))
    return Cancellation(row.id, money(fee))


@tool(writes=True)
def book_interpreter(db: ClinicDB, appointment_id: AppointmentId, language: Language) -> str:
    """Book an interpreter for a booked visit.

    Args:
        appointment_id: Id of the visit.
        language: Language to interpret.
    """
    row = _find_ahead(db, appointment_id)
    if row.interpreter:
        raise ToolError(
            f"an interpreter for {row.interpreter} comes to visit {appointment_id} already; a visit has only one"
        )
    db.appointments.put(replace(row, interpreter=language))
    return f"an interpreter for {language} comes to the {row.kind} on {row.start}"


@tool(writes=True)
def request_refill(db: ClinicDB, prescription_id: PrescriptionId) -> Refill:
    """Have a prescription filled again at its pharmacy.

    Args:
        prescription_id: Id of the prescription.
    """
    row = _find_prescription(db, prescription_id)
    if row.refills_left == 0:
        raise ToolError(f"prescription {prescription_id} has no refills left; the prescriber has to write a new one")
    pharmacy = db.pharmacies[row.pharmacy_id]
    ready = add_working_days(TODAY, pharmacy.working_days).isoformat()
    db.prescriptions.put(replace(row, refills_left=row.refills_left - 1, last_filled=ready))
    return Refill(pharmacy.name, ready, row.refills_left - 1)


@tool(writes=True)
def change_pharmacy(db: ClinicDB, prescription_id: PrescriptionId, pharmacy_id: PharmacyId) -> str:
    """Send the refills of a prescription to another pharmacy from now on.

    Args:
        prescription_id: Id of the prescription.
        pharmacy_id: Id of the pharmacy.
    """
    row = _find_prescription(db, prescription_id)
    pharmacy = _pharmacy_for(db, db.patients[row.patient_id], pharmacy_id)
    if row.pharmacy_id == pharmacy.id:
        raise ToolError(f"{row.drug} is filled at {pharmacy.name} already; name another pharmacy")
    db.prescriptions.put(replace(row, pharmacy_id=pharmacy.id))
    return f"{row.drug} is filled at {pharmacy.name}"


def _pharmacy_for(db: ClinicDB, patient: Patient, pharmacy_id: str) -> Pharmacy:
    found = db.pharmacies.get(pharmacy_id)
    if found is None or found.practice_id != patient.practice_id:
        raise ToolError(f"the practice works with no pharmacy {pharmacy_id!r}; list_pharmacies names those it does")
    return found


@tool(writes=True)
def change_plan(db: ClinicDB, patient_id: PatientId, plan_id: PlanId) -> PlanChange:
    """Change a patient's insurance plan from the first day of next month.

    Args:
        patient_id: Id of the patient.
        plan_id: Id of the plan.
    """
    row = _require_patient(db, patient_id)
    plan = db.plans.get(plan_id)
    if plan is None or plan.practice_id != row.practice_id:
        raise ToolError(f"the practice accepts no plan {plan_id!r}; list_plans names those it does")
    if plan.id == (row.next_plan_id or row.plan_id):
        raise ToolError(f"{row.name} has, or is about to have, the plan {plan.name} already; name another plan")
    db.patients.put(replace(row, next_plan_id=plan.id, plan_changed=TODAY.isoformat()))
    return PlanChange(plan.name, NEXT_PLAN_DAY.isoformat())


@tool(writes=True)
def set_up_instalments(db: ClinicDB, invoice_id: InvoiceId, months: int) -> Instalments:
    """Let an open invoice be paid in equal monthly instalments.

    Args:
        invoice_id: Id of the invoice.
        months: Number of instalments, 2 to 24.
    """
    row = db.invoices.get(invoice_id)
    if row is None:
        raise ToolError(f"no invoice {invoice_id!r}; ids look like 'I1000001' and come from list_invoices")
    if row.status != "open":
        raise ToolError(f"invoice {invoice_id} is {row.status}; only open invoices can be paid in instalments")
    if months not in MONTHS:
        raise ToolError(f"{months} instalments are not possible; name a number from {MONTHS[0]} to {MONTHS[-1]}")
    monthly = row.cents // months
    db.invoices.put(replace(row, status="in instalments", months=months))
    return Instalments(money(monthly), money(row.cents - monthly * (months - 1)), months)


@tool(writes=True)
def name_proxy(db: ClinicDB, patient_id: PatientId, proxy_id: PatientId, scope: Scope) -> str:
    """Let a member of the family act for a patient, or change what they may do.

    Args:
        patient_id: Id of the patient.
        proxy_id: Id of the family member who may act.
        scope: Visits and referrals only (appointments), or everything.
    """
    row = _require_patient(db, patient_id)
    if proxy_id not in row.family:
        raise ToolError(f"{proxy_id!r} is not in the family of {row.name}; find_patient lists it")
    if Proxy(proxy_id, scope) in row.proxies:
        raise ToolError(f"{proxy_id} is a proxy of {row.name} for {scope} already; name the other scope")
    others = tuple(proxy for proxy in row.proxies if proxy.patient_id != proxy_id)
    db.patients.put(replace(row, proxies=(*others, Proxy(proxy_id, scope))))
    return f"{db.patients[proxy_id].name} may act for {row.name}: {scope}"


def _read_day(text: str) -> date:
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        raise ToolError(f"cannot read the day {text!r}; write it like '2026-06-12'") from None


TOOLS = (
    find_patient,
    find_patient_by_phone,
    get_patient,
    list_appointments,
    find_slots,
    find_new_times,
    quote_visit,
    list_referrals,
    list_prescriptions,
    list_pharmacies,
    list_plans,
    list_invoices,
    book_appointment,
    move_appointment,
    cancel_appointment,
    book_interpreter,
    request_refill,
    change_pharmacy,
    change_plan,
    set_up_instalments,
    name_proxy,
)
