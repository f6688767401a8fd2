"""Tables of the group practice, and the arithmetic of ages, times and plans that tools and rules share."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal, NewType

from t2t.domain.database import Base, Database

PracticeId = NewType("PracticeId", str)
PatientId = NewType("PatientId", str)
ClinicianId = NewType("ClinicianId", str)
SlotId = NewType("SlotId", str)
AppointmentId = NewType("AppointmentId", str)
ReferralId = NewType("ReferralId", str)
PrescriptionId = NewType("PrescriptionId", str)
PharmacyId = NewType("PharmacyId", str)
PlanId = NewType("PlanId", str)
InvoiceId = NewType("InvoiceId", str)
FullName = NewType("FullName", str)
BirthDate = NewType("BirthDate", str)
"""ISO date on which somebody was born."""
Phone = NewType("Phone", str)

Kind = Literal["check-up", "flu shot", "child check", "skin check", "heart scan", "physio session", "eye test"]
Specialty = Literal["general practice", "paediatrics", "dermatology", "cardiology", "physiotherapy", "eye care"]
Status = Literal["booked", "done", "missed", "cancelled"]
Scope = Literal["appointments", "everything"]
SCOPES: tuple[Scope, ...] = ("appointments", "everything")
Access = Literal["self", "guardian", "appointments", "everything", "none"]
"""What one patient may do for another: by guardianship, as a proxy with a scope, or nothing."""
Language = Literal["Spanish", "Arabic", "Polish", "Turkish", "French", "Portuguese"]
LANGUAGES: tuple[Language, ...] = ("Spanish", "Arabic", "Polish", "Turkish", "French", "Portuguese")
"""Languages beside English, which everybody at the practice speaks."""
InvoiceStatus = Literal["open", "paid", "in instalments"]

NOW = datetime(2026, 6, 8, 9, 0)
"""The moment at which every talk takes place, a Monday morning; the policy names it."""
TODAY = NOW.date()
NEXT_PLAN_DAY = date(2026, 7, 1)
"""First day of next month, on which a change of plan comes into force."""
BOOKING_NOTICE = timedelta(hours=24)
MOVE_NOTICE = timedelta(hours=24)
SCAN_NOTICE = timedelta(hours=72)
CANCEL_NOTICE = timedelta(hours=2)
FREE_CANCEL_NOTICE = timedelta(hours=48)
INTERPRETER_NOTICE = timedelta(hours=72)
MINUTES_BETWEEN_VISITS = 30
MAX_MOVES = 2
GUARDIAN_UNTIL_AGE = 16
PROXY_FROM_AGE = 18
EARLY_REFILL_DAYS = 7
SEEN_WITHIN_DAYS = 365
OVERDUE_DAYS = 30
MIN_INSTALMENT_INVOICE_CENTS = 10000
MIN_INSTALMENT_CENTS = 2000
MONTHS = range(2, 25)
"""Numbers of instalments that the billing system takes."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What holds for a kind of visit."""

    specialty: Specialty
    minutes: int
    """How long it takes."""
    ages: tuple[int, int]
    """Youngest and oldest age on the day of the visit, in years."""
    gap_days: int
    """Days that lie at least between two visits of this kind."""
    referral: bool
    """True when it needs a referral; the specialist's copay then applies."""
    price_cents: int
    """Price where no plan pays."""


TERMS: dict[Kind, Terms] = {
    "check-up": Terms("general practice", 30, (18, 150), 365, False, 14000),
    "flu shot": Terms("general practice", 15, (0, 150), 300, False, 4500),
    "child check": Terms("paediatrics", 30, (0, 15), 90, False, 9500),
    "skin check": Terms("dermatology", 20, (0, 150), 14, True, 16500),
    "heart scan": Terms("cardiology", 45, (18, 150), 28, True, 42000),
    "physio session": Terms("physiotherapy", 40, (0, 150), 2, True, 7500),
    "eye test": Terms("eye care", 20, (6, 150), 365, False, 8500),
}


@dataclass(frozen=True, slots=True)
class Plan:
    """An insurance plan that a practice accepts."""

    id: PlanId
    practice_id: PracticeId
    name: str
    copay_cents: int
    """What the patient pays for a visit without referral."""
    specialist_copay_cents: int
    """What the patient pays for a visit on referral."""
    network: tuple[str, ...]
    """Sites where the plan pays."""
    ages: tuple[int, int]
    """Youngest and oldest age at which it is sold."""


@dataclass(frozen=True, slots=True)
class Pharmacy:
    """A pharmacy that the practice sends prescriptions to."""

    id: PharmacyId
    practice_id: PracticeId
    name: str
    working_days: int
    """Working days from a request until a refill is ready."""


@dataclass(frozen=True, slots=True)
class Clinician:
    """Somebody who sees patients."""

    id: ClinicianId
    practice_id: PracticeId
    name: str
    """With title, if any: "Dr. Nadia Berg"; last names are unique within the practice."""
    specialty: Specialty
    sites: tuple[str, ...]
    languages: tuple[Language, ...]
    """Spoken beside English."""

    @property
    def spoken(self) -> str:
        """The name as patients say it: "Dr. Berg", or in full where there is no title."""
        return f"Dr. {self.name.rpartition(' ')[2]}" if self.name.startswith("Dr. ") else self.name


@dataclass(frozen=True, slots=True)
class Slot:
    """A free time in a clinician's calendar, laid out for one kind of visit."""

    id: SlotId
    clinician_id: ClinicianId
    kind: Kind
    site: str
    start: str
    """Local time, such as "2026-06-12 10:30"; unique within the clinician's calendar."""


@dataclass(frozen=True, slots=True)
class Proxy:
    """Somebody whom a patient lets act for them."""

    patient_id: PatientId
    """The proxy, a patient too."""
    scope: Scope


@dataclass(frozen=True, slots=True)
class Patient:
    """A patient."""

    id: PatientId
    practice_id: PracticeId
    name: FullName
    born: BirthDate
    phone: Phone
    """Empty for those under 18, who do not call."""
    plan_id: PlanId
    next_plan_id: PlanId | None
    """In force from `NEXT_PLAN_DAY`, if a change is due."""
    plan_changed: str
    """ISO date of the last change of plan, or empty."""
    allergies: tuple[str, ...]
    """Groups of drugs."""
    family: tuple[PatientId, ...]
    """The others insured together with this patient; first names are unique among them."""
    guardians: tuple[PatientId, ...]
    proxies: tuple[Proxy, ...]

    @property
    def first_name(self) -> str:
        """The name by which the family calls them."""
        return self.name.partition(" ")[0]

    @property
    def calls(self) -> bool:
        """True for those who are old enough to call."""
        return bool(self.phone)

    def plan_id_on(self, day: date) -> PlanId:
        """The plan in force on a day."""
        return self.plan_id if self.next_plan_id is None or day < NEXT_PLAN_DAY else self.next_plan_id


@dataclass(frozen=True, slots=True)
class Appointment:
    """A visit: agreed, over, missed or cancelled."""

    id: AppointmentId
    patient_id: PatientId
    clinician_id: ClinicianId
    kind: Kind
    site: str
    start: str
    """Local time, such as "2026-06-12 10:30"."""
    status: Status
    moves: int = 0
    """How often it was moved."""
    interpreter: str = ""
    """Language of the interpreter, if one comes."""


@dataclass(frozen=True, slots=True)
class Referral:
    """Leave to see a specialist."""

    id: ReferralId
    patient_id: PatientId
    kind: Kind
    issued: str
    """ISO date."""
    valid_until: str
    """ISO date of its last day."""
    visits: int
    """Visits it covers."""


@dataclass(frozen=True, slots=True)
class Prescription:
    """A drug that a patient takes over a longer time."""

    id: PrescriptionId
    patient_id: PatientId
    clinician_id: ClinicianId
    """Who prescribed it."""
    drug: str
    """Unique within the patient."""
    group: str
    """Group of drugs it belongs to, as allergies name them."""
    controlled: bool
    refills_left: int
    days_supply: int
    """Days that one filling lasts."""
    last_filled: str
    """ISO date."""
    valid_until: str
    """ISO date of its last day."""
    pharmacy_id: PharmacyId

    @property
    def supply_until(self) -> date:
        """The day on which the last filling is used up."""
        return date.fromisoformat(self.last_filled) + timedelta(days=self.days_supply)


@dataclass(frozen=True, slots=True)
class Invoice:
    """What a patient was billed."""

    id: InvoiceId
    patient_id: PatientId
    text: str
    """What it is for: a kind of visit, or a cancellation."""
    cents: int
    issued: str
    """ISO date."""
    due: str
    """ISO date."""
    status: InvoiceStatus
    months: int = 0
    """Number of instalments, if it is paid in such."""


class ClinicDB(Database):
    """The group's tables."""

    def __init__(self, base: Base) -> None:
        """Open the tables over `base`."""
        super().__init__(base)
        self.plans = self.table("plans", Plan)
        self.pharmacies = self.table("pharmacies", Pharmacy)
        self.clinicians = self.table("clinicians", Clinician)
        self.slots = self.table("slots", Slot)
        self.patients = self.table("patients", Patient)
        self.appointments = self.table("appointments", Appointment)
        self.referrals = self.table("referrals", Referral)
        self.prescriptions = self.table("prescriptions", Prescription)
        self.invoices = self.table("invoices", Invoice)

    def access(self, caller: Patient, patient: Patient) -> Access:
        """What `caller` may do for `patient`, age aside; a proxy counts before guardianship."""
        if caller.id == patient.id:
            return "self"
        for proxy in patient.proxies:
            if proxy.patient_id == caller.id:
                return proxy.scope
        return "guardian" if caller.id in patient.guardians else "none"

    def plan_on(self, patient: Patient, day: date) -> Plan:
        """The plan of a patient that is in force on a day."""
        return self.plans[patient.plan_id_on(day)]

    def slots_of(self, practice_id: PracticeId, kind: Kind) -> list[Slot]:
        """Free times of a practice for a kind of visit, earliest first."""
        clinicians = self.clinicians.where("practice_id", practice_id)
        offering = [row for row in clinicians if row.specialty == TERMS[kind].specialty]
        found = [slot for row in offering for slot in self.slots.where("clinician_id", row.id) if slot.kind == kind]
        return sorted(found, key=lambda slot: (slot.start, slot.id))


def money(cents: int) -> str:
    """An amount as it is written: "42.50"."""
    return f"{cents // 100}.{cents % 100:02d}"


def moment(start: str) -> datetime:
    """The local time of a slot or visit."""
    return datetime.fromisoformat(start)


def end_of(start: str, kind: Kind) -> datetime:
    """When a visit that starts then is over."""
    return moment(start) + timedelta(minutes=TERMS[kind].minutes)


def day_of(start: str) -> date:
    """The day of a slot or visit."""
    return date.fromisoformat(start[:10])


def age_on(born: str, day: date) -> int:
    """Age in full years on a day."""
    birth = date.fromisoformat(born)
    return day.year - birth.year - ((day.month, day.day) < (birth.month, birth.day))


def add_working_days(day: date, count: int) -> date:
    """The day that many working days (Monday to Friday) later."""
    while count:
        day += timedelta(days=1)
        count -= day.weekday() < 5
    return day


def is_ahead(row: Appointment) -> bool:
    """True for a visit that is agreed and did not begin yet."""
    return row.status == "booked" and moment(row.start) > NOW
