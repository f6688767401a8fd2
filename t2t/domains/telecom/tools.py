"""What the carrier's support can do. Tools enforce what the backend would; the rest is policy."""

from dataclasses import dataclass, replace
from datetime import timedelta
from zlib import crc32

from t2t.domain.tool import tool
from t2t.domains.telecom.schema import (
    DAYS_IN_MONTH,
    DAYS_LEFT,
    PORT_CODE_DAYS,
    REFUELS,
    TODAY,
    Bill,
    BillId,
    BirthDate,
    Cap,
    Country,
    CustomerId,
    FullName,
    HeldPass,
    Line,
    LineId,
    LineStatus,
    PassId,
    PhoneNumber,
    Plan,
    PlanId,
    RefuelSize,
    SimNumber,
    SuspendReason,
    TelecomDB,
    gigabytes,
    money,
)
from t2t.errors import ToolError


@dataclass(frozen=True, slots=True)
class LineSummary:
    """A line in a list."""

    line_id: LineId
    number: str
    user: str
    plan: str
    status: LineStatus


@dataclass(frozen=True, slots=True)
class LineView:
    """A line with all that the policy asks about."""

    line_id: LineId
    number: str
    user: str
    child: bool
    customer_since: str
    overdue_bill: bool
    plan: str
    monthly: str
    plan_changed: str
    contract_end: str
    status: LineStatus
    suspended_for: str
    suspensions_this_year: int
    roaming: bool
    zones_included: int
    passes: tuple[HeldPass, ...]
    data_of_plan: str
    data_refuelled: str
    data_used: str
    refuels_this_month: int
    extras_this_month: str
    cap: str
    sim_changed: str
    new_sims_sent: tuple[str, ...]
    """Last four digits of the SIM cards that were sent to the customer and are not active yet."""
    port_code_until: str


@dataclass(frozen=True, slots=True)
class PlanView:
    """A plan that a line does not have; a retired one is no longer sold."""

    plan_id: PlanId
    name: str
    monthly: str
    data: str
    zones_included: int
    retired: bool


@dataclass(frozen=True, slots=True)
class PlanQuote:
    """What another plan costs or saves for the rest of this month; one of the two is 0.00."""

    plan: str
    to_pay: str
    credit: str


@dataclass(frozen=True, slots=True)
class PassView:
    """A roaming pass."""

    pass_id: PassId
    name: str
    zone: int
    days: int
    price: str


@dataclass(frozen=True, slots=True)
class PassAdded:
    """A roaming pass on a line; `until` is its last day."""

    name: str
    price: str
    until: str


@dataclass(frozen=True, slots=True)
class Refuel:
    """Data added to a line."""

    price: str
    data_left: str


@dataclass(frozen=True, slots=True)
class PortCode:
    """A code by which another carrier takes over a number."""

    code: str
    valid_until: str


@dataclass(frozen=True, slots=True)
class BillSummary:
    """A bill in a list."""

    bill_id: BillId
    month: str
    total: str
    due: str
    paid: bool


@dataclass(frozen=True, slots=True)
class ChargeView:
    """An entry of a bill."""

    label: str
    amount: str


@dataclass(frozen=True, slots=True)
class BillView:
    """A bill with its entries and the total of the month before, empty where there is none."""

    month: str
    charges: tuple[ChargeView, ...]
    total: str
    total_of_month_before: str


def _find_line(db: TelecomDB, line_id: str) -> Line:
    found = db.lines.get(line_id)
    if found is None:
        raise ToolError(f"no line {line_id!r}; ids look like 'L1000001' and come from list_lines")
    return found


def _find_active_line(db: TelecomDB, line_id: str) -> Line:
    line = _find_line(db, line_id)
    if line.status != "active":
        raise ToolError(f"line {line.id} is suspended ({line.suspended_for}); resume_line resumes it")
    return line


def _require_customer(db: TelecomDB, customer_id: str) -> None:
    if db.customers.get(customer_id) is None:
        raise ToolError(f"no customer {customer_id!r}; ids look like 'C100001' and come from find_customer_by_number")


def _other_plan(db: TelecomDB, line: Line, plan_id: str) -> Plan:
    plan = db.plans.get(plan_id)
    if plan is None:
        raise ToolError(f"no plan {plan_id!r}; list_plans {line.id} lists those the line can get")
    if plan.id == line.plan_id:
        raise ToolError(f"line {line.id} has the plan {plan.name} already; name another plan")
    return plan


def prorated_cents(old: Plan, new: Plan) -> int:
    """What the rest of this month costs more with the new plan, rounded to a cent; negative when less."""
    difference = (new.monthly_cents - old.monthly_cents) * DAYS_LEFT
    sign = -1 if difference < 0 else 1
    return sign * ((2 * abs(difference) + DAYS_IN_MONTH) // (2 * DAYS_IN_MONTH))


def _quote(db: TelecomDB, line: Line, plan: Plan) -> PlanQuote:
    cents = prorated_cents(db.plans[line.plan_id], plan)
    return PlanQuote(plan.name, money(max(0, cents)), money(max(0, -cents)))


def _bill_before(db: TelecomDB, bill: Bill) -> Bill | None:
    earlier = [row for row in db.bills.where("customer_id", bill.customer_id) if row.month < bill.month]
    return max(earlier, key=lambda row: row.month, default=None)


@tool(writes=False)
def find_customer_by_number(db: TelecomDB, number: PhoneNumber) -> CustomerId:
    """Find a customer by the phone number of any of their lines and get the customer id.

    Args:
        number: Phone number, such as "201-555-0100".
    """
    digits = "".join(character for character in number if character in "0123456789")
    found = db.lines.where("number", f"{digits[:3]}-{digits[3:6]}-{digits[6:]}")
    if not found:
        raise ToolError(f"no line with number {number!r}; ask the caller again, or for name and date of birth")
    return found[0].customer_id


@tool(writes=False)
def find_customer_by_name(db: TelecomDB, name: FullName, born: BirthDate) -> CustomerId:
    """Find a customer by full name and date of birth and get the customer id.

    Args:
        name: First and last name.
        born: Date of birth, YYYY-MM-DD.
    """
    for customer in db.customers.where("name", name.strip().title()):
        if customer.born == born.strip():
            return customer.id
    raise ToolError(f"no customer {name!r} born {born!r}; ask the caller again, or for a phone number")


@tool(writes=False)
def list_lines(db: TelecomDB, customer_id: CustomerId) -> list[LineSummary]:
    """List a customer's lines; `user` says whose each is, in the customer's words.

    Args:
        customer_id: Id of the customer.
    """
    _require_customer(db, customer_id)
    return [
        LineSummary(line.id, line.number, line.user, db.plans[line.plan_id].name, line.status)
        for line in db.lines.where("customer_id", customer_id)
    ]


@tool(writes=False)
def get_line(db: TelecomDB, line_id: LineId) -> LineView:
    """Get a line: plan, contract, roaming, data, extras, SIM card, and what the policy asks about.

    Args:
        line_id: Id of the line.
    """
    line = _find_line(db, line_id)
    plan = db.plans[line.plan_id]
    return LineView(
        line_id=line.id,
        number=line.number,
        user=line.user,
        child=line.child,
        customer_since=db.customers[line.customer_id].since,
        overdue_bill=db.overdue(line.customer_id),
        plan=plan.name,
        monthly=money(plan.monthly_cents),
        plan_changed=line.plan_changed,
        contract_end=line.contract_end,
        status=line.status,
        suspended_for=line.suspended_for,
        suspensions_this_year=line.suspensions,
        roaming=line.roaming,
        zones_included=plan.roaming_zone,
        passes=line.passes,
        data_of_plan=gigabytes(plan.data),
        data_refuelled=gigabytes(line.data_added),
        data_used=gigabytes(line.data_used),
        refuels_this_month=line.refuels,
        extras_this_month=money(line.extras_cents),
        cap=money(line.cap_cents),
        sim_changed=line.sim_changed,
        new_sims_sent=tuple(
            sim.id[-4:] for sim in db.sims.where("customer_id", line.customer_id) if sim.state == "new"
        ),
        port_code_until=line.port_code_until,
    )


@tool(writes=False)
def list_plans(db: TelecomDB, line_id: LineId) -> list[PlanView]:
    """List the plans other than the one a line has, with monthly price and data.

    Args:
        line_id: Id of the line.
    """
    line = _find_line(db, line_id)
    return [
        PlanView(plan.id, plan.name, money(plan.monthly_cents), gigabytes(plan.data), plan.roaming_zone, plan.retired)
        for plan in db.plans
        if plan.id != line.plan_id
    ]


@tool(writes=False)
def quote_plan_change(db: TelecomDB, line_id: LineId, plan_id: PlanId) -> PlanQuote:
    """Get what another plan costs or saves for the rest of this month; changes nothing.

    Args:
        line_id: Id of the line.
        plan_id: Id of the plan wanted instead.
    """
    line = _find_line(db, line_id)
    return _quote(db, line, _other_plan(db, line, plan_id))


@tool(writes=False)
def list_passes(db: TelecomDB, country: Country) -> list[PassView]:
    """List the roaming passes for a country abroad.

    Args:
        country: Name of the country.
    """
    found = db.countries.get(country.strip().title())
    if found is None:
        raise ToolError(f"no roaming partner in {country!r}; ask the caller for another spelling of the country")
    return [
        PassView(row.id, row.name, row.zone, row.days, money(row.price_cents))
        for row in db.passes.where("zone", found.zone)
    ]


@tool(writes=False)
def list_bills(db: TelecomDB, customer_id: CustomerId) -> list[BillSummary]:
    """List a customer's bills, latest first.

    Args:
        customer_id: Id of the customer.
    """
    _require_customer(db, customer_id)
    bills = sorted(db.bills.where("customer_id", customer_id), key=lambda bill: bill.month, reverse=True)
    return [BillSummary(bill.id, bill.month, money(bill.total_cents), bill.due, bill.paid) for bill in bills]


@tool(writes=False)
def get_bill(db: TelecomDB, bill_id: BillId) -> BillView:
    """Get the entries of a bill, its total and the total of the month before.

    Args:
        bill_id: Id of the bill.
    """
    bill = db.bills.get(bill_id)
    if bill is None:
        raise ToolError(f"no bill {bill_id!r}; ids look like 'B1000001' and come from list_bills")
    before = _bill_before(db, bill)
    return BillView(
        bill.month,
        tuple(ChargeView(charge.label, money(charge.cents)) for charge in bill.charges),
        money(bill.total_cents),
        money(before.total_cents) if before else "",
    )


@tool(writes=True)
def change_plan(db: TelecomDB, line_id: LineId, plan_id: PlanId) -> PlanQuote:
    """Move a line to another plan from today on and charge or credit the rest of this month.

    Args:
        line_id: Id of the line.
        plan_id: Id of the plan wanted instead.
    """
    line = _find_active_line(db, line_id)
    plan = _other_plan(db, line, plan_id)
    quote = _quote(db, line, plan)
    db.lines.put(replace(line, plan_id=plan.id, plan_changed=TODAY.isoformat()))
    return quote


@tool(writes=True)
def enable_roaming(db: TelecomDB, line_id: LineId) -> str:
    """Open a line for networks abroad.

    Args:
        line_id: Id of the line.
    """
    line = _find_active_line(db, line_id)
    if line.roaming:
        raise ToolError(f"line {line.id} is open for roaming already; the cause must be on the phone")
    db.lines.put(replace(line, roaming=True))
    return f"line {line.number} is open for roaming"


@tool(writes=True)
def add_roaming_pass(db: TelecomDB, line_id: LineId, pass_id: PassId) -> PassAdded:
    """Sell a roaming pass; it runs from today and is charged as an extra.

    Args:
        line_id: Id of the line.
        pass_id: Id of the pass, from list_passes.
    """
    line = _find_active_line(db, line_id)
    row = db.passes.get(pass_id)
    if row is None:
        raise ToolError(f"no pass {pass_id!r}; list_passes lists the passes for a country")
    until = (TODAY + timedelta(days=row.days - 1)).isoformat()
    held = HeldPass(row.name, row.zone, until)
    db.lines.put(replace(line, passes=(*line.passes, held), extras_cents=line.extras_cents + row.price_cents))
    return PassAdded(row.name, money(row.price_cents), until)


@tool(writes=True)
def suspend_line(db: TelecomDB, line_id: LineId, reason: SuspendReason) -> str:
    """Suspend an active line.

    Args:
        line_id: Id of the line.
        reason: Why the customer wants it.
    """
    line = _find_active_line(db, line_id)
    db.lines.put(replace(line, status="suspended", suspended_for=reason, suspensions=line.suspensions + 1))
    return f"line {line.number} is suspended"


@tool(writes=True)
def resume_line(db: TelecomDB, line_id: LineId) -> str:
    """Make a suspended line work again.

    Args:
        line_id: Id of the line.
    """
    line = _find_line(db, line_id)
    if line.status != "suspended":
        raise ToolError(f"line {line.id} is active; there is nothing to resume")
    db.lines.put(replace(line, status="active", suspended_for=""))
    return f"line {line.number} is active"


@tool(writes=True)
def activate_sim(db: TelecomDB, line_id: LineId, sim_number: SimNumber) -> str:
    """Make a new SIM card the one of a line; the old card stops working.

    Args:
        line_id: Id of the line.
        sim_number: Number of the new SIM card, 19 digits, as the caller's phone shows it.
    """
    line = _find_active_line(db, line_id)
    sim = db.sims.get(sim_number.replace(" ", ""))
    if sim is None:
        raise ToolError(f"no SIM card {sim_number!r}; it has 19 digits and stands in the settings of the phone")
    if sim.state != "new":
        raise ToolError(f"SIM card {sim.id} is {sim.state}; only a new card can be activated")
    old = db.sims[line.sim_number]
    db.sims.put(replace(old, state="blocked"))
    db.sims.put(replace(sim, state="active"))
    db.lines.put(replace(line, sim_number=sim.id, sim_changed=TODAY.isoformat()))
    return f"SIM card {sim.id} is active on line {line.number}"


@tool(writes=True)
def refuel_data(db: TelecomDB, line_id: LineId, size: RefuelSize) -> Refuel:
    """Sell more data for this month; charged as an extra.

    Args:
        line_id: Id of the line.
        size: How much; 1 GB costs 4.50, 5 GB 14.00, 10 GB 22.00.
    """
    line = _find_active_line(db, line_id)
    tenths, cents = REFUELS[size]
    line = replace(
        line,
        data_added=line.data_added + tenths,
        refuels=line.refuels + 1,
        extras_cents=line.extras_cents + cents,
    )
    db.lines.put(line)
    return Refuel(money(cents), gigabytes(db.data_left(line)))


@tool(writes=True)
def set_spending_cap(db: TelecomDB, line_id: LineId, cap: Cap) -> str:
    """Set the most that extras of a line may reach in a month.

    Args:
        line_id: Id of the line.
        cap: The amount.
    """
    line = _find_active_line(db, line_id)
    if cap == money(line.cap_cents):
        raise ToolError(f"the cap of line {line.id} is {cap} already; name another amount")
    db.lines.put(replace(line, cap_cents=int(cap.replace(".", ""))))
    return f"the cap of line {line.number} is {cap}"


@tool(writes=True)
def create_port_code(db: TelecomDB, line_id: LineId) -> PortCode:
    """Create the code by which another carrier takes over a number.

    Args:
        line_id: Id of the line.
    """
    line = _find_active_line(db, line_id)
    if line.port_code_until:
        raise ToolError(f"line {line.id} has a port-out code until {line.port_code_until}; it was sent by letter")
    until = (TODAY + timedelta(days=PORT_CODE_DAYS)).isoformat()
    db.lines.put(replace(line, port_code_until=until))
    return PortCode(f"P{crc32(line.number.encode()) % 1_000_000:06d}", until)


TOOLS = (
    find_customer_by_number,
    find_customer_by_name,
    list_lines,
    get_line,
    list_plans,
    quote_plan_change,
    list_passes,
    list_bills,
    get_bill,
    change_plan,
    enable_roaming,
    add_roaming_pass,
    suspend_line,
    resume_line,
    activate_sim,
    refuel_data,
    set_spending_cap,
    create_port_code,
)
