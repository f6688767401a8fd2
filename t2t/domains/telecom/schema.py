"""Tables of the carrier: plans, passes, countries, customers, lines, SIM cards, bills, and the callers' phones."""

from dataclasses import dataclass
from datetime import date
from typing import Literal, NewType

from t2t.domain.database import Base, Database

CustomerId = NewType("CustomerId", str)
LineId = NewType("LineId", str)
PlanId = NewType("PlanId", str)
PassId = NewType("PassId", str)
BillId = NewType("BillId", str)
PhoneId = NewType("PhoneId", str)
"""The phone in a caller's hand; no tool of the agent shows it."""
SimNumber = NewType("SimNumber", str)
"""Number printed on a SIM card and shown in the settings of the phone that holds it; 19 digits."""
PhoneNumber = NewType("PhoneNumber", str)
FullName = NewType("FullName", str)
BirthDate = NewType("BirthDate", str)
Country = NewType("Country", str)

LineStatus = Literal["active", "suspended"]
SuspendReason = Literal["lost", "stolen", "travel"]
SUSPEND_REASONS: tuple[SuspendReason, ...] = ("lost", "stolen", "travel")
RefuelSize = Literal["1 GB", "5 GB", "10 GB"]
REFUELS: dict[RefuelSize, tuple[int, int]] = {"1 GB": (10, 450), "5 GB": (50, 1400), "10 GB": (100, 2200)}
"""Tenths of a GB and cents by size."""
Cap = Literal["10.00", "20.00", "50.00", "100.00"]
CAPS: tuple[Cap, ...] = ("10.00", "20.00", "50.00", "100.00")
Setting = Literal["airplane mode", "mobile data", "data roaming", "data saver"]
SETTINGS: tuple[Setting, ...] = ("airplane mode", "mobile data", "data roaming", "data saver")
Switch = Literal["on", "off"]
NetworkMode = Literal["automatic", "4G only", "3G only"]
NETWORK_MODES: tuple[NetworkMode, ...] = ("automatic", "4G only", "3G only")

TODAY = date(2026, 9, 21)
"""The day on which every talk takes place; the policy names it."""
DAYS_LEFT, DAYS_IN_MONTH = 10, 30
"""Days of this month still to come, today included, for which a plan change is charged."""
PLAN_CHANGE_DAYS = 30
NEW_CUSTOMER_DAYS = 60
MAX_SUSPENSIONS = 2
SIM_CHANGE_DAYS = 30
PORT_AFTER_SIM_DAYS = 10
PORT_CODE_DAYS = 7
MAX_REFUELS = 3
CHILD_CAP_CENTS = 2000


@dataclass(frozen=True, slots=True)
class Plan:
    """What a line costs and holds each month."""

    id: PlanId
    name: str
    monthly_cents: int
    data: int
    """Data in tenths of a GB."""
    roaming_zone: int
    """Zones up to this one are included; 0 for none."""
    retired: bool
    """Kept by those who have it, sold to nobody."""


@dataclass(frozen=True, slots=True)
class RoamingPass:
    """Data for the countries of one zone."""

    id: PassId
    zone: int
    days: int
    price_cents: int

    @property
    def name(self) -> str:
        """Name as it is sold: "zone 2 pass, 7 days"."""
        return f"zone {self.zone} pass, {self.days} days"


@dataclass(frozen=True, slots=True)
class CountryZone:
    """A country abroad."""

    id: Country
    zone: int


@dataclass(frozen=True, slots=True)
class Customer:
    """A person with a contract."""

    id: CustomerId
    name: FullName
    born: BirthDate
    since: str
    """ISO date of the first contract."""
    phone_id: PhoneId
    """The phone they call from; its line is the first of theirs."""


@dataclass(frozen=True, slots=True)
class HeldPass:
    """A roaming pass on a line."""

    name: str
    zone: int
    until: str
    """ISO date of its last day."""


@dataclass(frozen=True, slots=True)
class Line:
    """A phone number with its plan."""

    id: LineId
    customer_id: CustomerId
    number: PhoneNumber
    user: str
    """Whose it is, as the customer says it: "my own", "my son's"."""
    child: bool
    """Used by a child."""
    plan_id: PlanId
    plan_changed: str
    """ISO date of the last change of plan."""
    contract_end: str
    """ISO date; a contract runs while it lies ahead."""
    status: LineStatus
    suspended_for: str
    """Reason of the suspension, "unpaid" included; empty when active."""
    suspensions: int
    """Suspensions that the customer asked for this year."""
    roaming: bool
    """Opened for networks abroad."""
    passes: tuple[HeldPass, ...]
    """Roaming passes that still run."""
    data_used: int
    """This month, in tenths of a GB."""
    data_added: int
    """Refuelled this month, in tenths of a GB."""
    refuels: int
    """Refuels this month."""
    extras_cents: int
    """Charged this month on top of the plan."""
    cap_cents: int
    """Most that extras may reach."""
    sim_number: SimNumber
    sim_changed: str
    """ISO date on which the SIM card was activated."""
    port_code_until: str
    """ISO date to which a port-out code is open, or empty."""


@dataclass(frozen=True, slots=True)
class Sim:
    """A SIM card."""

    id: SimNumber
    customer_id: CustomerId
    """Whom it was sent to."""
    state: Literal["new", "active", "blocked"]


@dataclass(frozen=True, slots=True)
class Charge:
    """An entry of a bill."""

    label: str
    cents: int


@dataclass(frozen=True, slots=True)
class Bill:
    """What a customer pays for one month."""

    id: BillId
    customer_id: CustomerId
    month: str
    """ISO month: "2026-08"."""
    charges: tuple[Charge, ...]
    due: str
    """ISO date."""
    paid: bool

    @property
    def total_cents(self) -> int:
        """Sum of the charges."""
        return sum(charge.cents for charge in self.charges)


@dataclass(frozen=True, slots=True)
class Phone:
    """A caller's phone; only the caller sees and changes it."""

    id: PhoneId
    line_id: LineId
    country: str
    """Country abroad where it is, or empty at home."""
    sim_number: SimNumber
    """Of the SIM in it."""
    esim: bool
    """Built in: there is nothing to take out."""
    sim_seated: bool
    airplane_mode: bool
    mobile_data: bool
    data_roaming: bool
    data_saver: bool
    network_mode: NetworkMode
    access_point: Literal["standard", "changed by hand"]
    stuck: bool
    """Needs a restart, and shows no sign of it."""


class TelecomDB(Database):
    """The carrier's tables and the callers' phones."""

    def __init__(self, base: Base) -> None:
        """Open the tables over `base`."""
        super().__init__(base)
        self.plans = self.table("plans", Plan)
        self.passes = self.table("passes", RoamingPass)
        self.countries = self.table("countries", CountryZone)
        self.customers = self.table("customers", Customer)
        self.lines = self.table("lines", Line)
        self.sims = self.table("sims", Sim)
        self.bills = self.table("bills", Bill)
        self.phones = self.table("phones", Phone)

    def overdue(self, customer_id: CustomerId) -> bool:
        """True while a bill of the customer is unpaid past its due date."""
        today = TODAY.isoformat()
        return any(not bill.paid and bill.due < today for bill in self.bills.where("customer_id", customer_id))

    def covered_abroad(self, line: Line) -> bool:
        """True when a running pass or the plan pays for data abroad."""
        return bool(line.passes) or self.plans[line.plan_id].roaming_zone > 0

    def data_left(self, line: Line) -> int:
        """Data that a line has left this month, in tenths of a GB."""
        return max(0, self.plans[line.plan_id].data + line.data_added - line.data_used)


def money(cents: int) -> str:
    """An amount as it is written: "42.50"."""
    sign = "-" if cents < 0 else ""
    return f"{sign}{abs(cents) // 100}.{abs(cents) % 100:02d}"


def gigabytes(tenths: int) -> str:
    """An amount of data as it is written: "4.5 GB"."""
    return f"{tenths // 10}.{tenths % 10} GB"


def days_since(iso: str) -> int:
    """Days from an ISO date to today; negative for a day to come."""
    return (TODAY - date.fromisoformat(iso)).days
