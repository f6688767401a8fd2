"""The clauses of ``policy.md`` that code checks and no tool enforces."""

from collections.abc import Callable

from t2t.domain.rule import Constraint, Rule, RuleContext
from t2t.domain.tool import Tool
from t2t.domains.telecom.phone import PHONE_TOOLS
from t2t.domains.telecom.schema import (
    CHILD_CAP_CENTS,
    MAX_REFUELS,
    MAX_SUSPENSIONS,
    NEW_CUSTOMER_DAYS,
    PLAN_CHANGE_DAYS,
    PORT_AFTER_SIM_DAYS,
    REFUELS,
    SIM_CHANGE_DAYS,
    CustomerId,
    Line,
    Phone,
    Plan,
    TelecomDB,
    days_since,
)
from t2t.domains.telecom.tools import TOOLS
from t2t.errors import ToolError
from t2t.records import Arguments

_TOOLS: dict[str, Tool] = {tool.name: tool for tool in (*TOOLS, *PHONE_TOOLS)}
_WRITES = " ".join(tool.name for tool in TOOLS if tool.writes)
_FINDS = "find_customer_by_number find_customer_by_name"
_DAYS_AFTER_CONTRACT = 30
"""For so long after a contract ended, an agent has to look closely whether it still runs."""
_DAYS_BEFORE_DUE = 7
"""The same, of days before an unpaid bill is due."""
_READS = "list_lines get_line list_plans quote_plan_change list_bills get_bill"


def _db(context: RuleContext) -> TelecomDB:
    return context.db


def _text(context: RuleContext, name: str) -> str:
    return str(context.call.arguments.get(name, ""))


def _line(context: RuleContext) -> Line:
    return _db(context).lines[_text(context, "line_id")]


def _plan(context: RuleContext) -> Plan:
    return _db(context).plans[_text(context, "plan_id")]


def _phone(context: RuleContext) -> Phone:
    return _db(context).phones[_text(context, "phone_id")]


def _accepted(context: RuleContext) -> bool:
    """True when the call would change something; no rule speaks of one that is refused or does nothing."""
    db = _db(context)
    savepoint, before = db.savepoint(), db.state_hash()
    try:
        _TOOLS[context.call.name](db, context.call.arguments)
        return db.state_hash() != before
    except ToolError:
        return False
    finally:
        db.rollback(savepoint)


def _identified(context: RuleContext) -> set[CustomerId]:
    return {past.value for past in context.past if past.call.name in _FINDS.split()}


def _owner(context: RuleContext) -> str | None:
    """Whose account, line or bill the call is about."""
    db, arguments = _db(context), context.call.arguments
    if "customer_id" in arguments:
        return _text(context, "customer_id") if db.customers.get(_text(context, "customer_id")) else None
    row = db.lines.get(_text(context, "line_id")) or db.bills.get(_text(context, "bill_id"))
    return row.customer_id if row else None


def _not_their_own(context: RuleContext) -> bool:
    known, owner = _identified(context), _owner(context)
    return bool(known) and owner is not None and owner not in known


def _second_customer(context: RuleContext) -> bool:
    known = _identified(context)
    try:
        found = _TOOLS[context.call.name](_db(context), context.call.arguments)
    except ToolError:
        return False
    return bool(known) and found not in known


def _look_at_line(context: RuleContext) -> tuple[str, Arguments]:
    phone = _db(context).phones.get(_text(context, "phone_id"))
    return "get_line", {"line_id": phone.line_id if phone else _text(context, "line_id")}


def _may_cost(context: RuleContext) -> bool:
    """False for settings of the phone that cannot make data abroad dearer."""
    if context.call.name != "switch_setting":
        return True
    return (_text(context, "setting"), _text(context, "state")) in (("data roaming", "on"), ("data saver", "off"))


def _last_quarter(value: int, limit: int) -> bool:
    """True for a value in the last quarter of what is allowed."""
    return 4 * value > 3 * limit


def _just_waited(days: int, wait: int) -> bool:
    """True when a wait of so many days is over by at most a quarter of it."""
    return 4 * wait <= 4 * days <= 5 * wait


def _other_lines(context: RuleContext) -> list[Line]:
    """The customer's lines beside the one of the call."""
    line = _line(context)
    return [row for row in _db(context).lines.where("customer_id", line.customer_id) if row.id != line.id]


def _cheaper_under_contract(context: RuleContext) -> bool:
    line = _line(context)
    cheaper = _plan(context).monthly_cents < _db(context).plans[line.plan_id].monthly_cents
    return cheaper and days_since(line.contract_end) < 0


def _cheaper_after_contract(context: RuleContext) -> bool:
    """A cheaper plan soon after the contract ended, or one that is hardly dearer while it runs."""
    days = days_since(_line(context).contract_end)
    old, new = _db(context).plans[_line(context).plan_id].monthly_cents, _plan(context).monthly_cents
    return days <= _DAYS_AFTER_CONTRACT if new < old else days < 0 and 4 * new <= 5 * old


def _holds_less_than_used(context: RuleContext) -> bool:
    return _plan(context).data < _line(context).data_used


def _holds_little_more_than_used(context: RuleContext) -> bool:
    return _last_quarter(_line(context).data_used, _plan(context).data)


def _overdue(context: RuleContext) -> bool:
    return _db(context).overdue(_line(context).customer_id)


def _due_soon(context: RuleContext) -> bool:
    """True while a bill of the customer is unpaid and due within the next days."""
    bills = _db(context).bills.where("customer_id", _line(context).customer_id)
    return any(not bill.paid and -_DAYS_BEFORE_DUE <= days_since(bill.due) <= 0 for bill in bills)


def _days_a_customer(context: RuleContext) -> int:
    return days_since(_db(context).customers[_line(context).customer_id].since)


def _new_customer(context: RuleContext) -> bool:
    return _days_a_customer(context) < NEW_CUSTOMER_DAYS


def _zone_included(context: RuleContext) -> bool:
    return _zones_beyond_plan(context) <= 0


def _zones_beyond_plan(context: RuleContext) -> int:
    """By how many zones a pass goes beyond those that the plan of the line includes."""
    db = _db(context)
    return db.passes[_text(context, "pass_id")].zone - db.plans[_line(context).plan_id].roaming_zone


def _zone_after_the_last_included(context: RuleContext) -> bool:
    included = _db(context).plans[_line(context).plan_id].roaming_zone
    return included > 0 and _zones_beyond_plan(context) == 1


def _extras_then(context: RuleContext) -> int:
    """Cents of extras on the line once the call is made."""
    if context.call.name == "add_roaming_pass":
        price = _db(context).passes[_text(context, "pass_id")].price_cents
    else:
        price = next(cents for size, (_, cents) in REFUELS.items() if size == _text(context, "size"))
    return _line(context).extras_cents + price


def _exceeds_cap(context: RuleContext) -> bool:
    return _extras_then(context) > _line(context).cap_cents


def _costly_abroad(context: RuleContext, setting: str, state: str) -> bool:
    phone = _phone(context)
    wanted = (_text(context, "setting"), _text(context, "state")) == (setting, state)
    return wanted and phone.country != "" and not _db(context).covered_abroad(_db(context).lines[phone.line_id])


def _covered_abroad_by_one(context: RuleContext, setting: str, state: str) -> bool:
    """Abroad, with a pass or zones in the plan, not both: without it the switch would cost."""
    db, phone = _db(context), _phone(context)
    if (_text(context, "setting"), _text(context, "state")) != (setting, state) or not phone.country:
        return False
    line = db.lines[phone.line_id]
    return bool(line.passes) != (db.plans[line.plan_id].roaming_zone > 0)


def _travel_under_contract(context: RuleContext) -> bool:
    return _text(context, "reason") == "travel" and days_since(_line(context).contract_end) < 0


def _travel_after_contract(context: RuleContext) -> bool:
    """For travel, soon after the contract ended, or while that of another line runs."""
    if _text(context, "reason") != "travel":
        return False
    soon = days_since(_line(context).contract_end) <= _DAYS_AFTER_CONTRACT
    return soon or any(days_since(line.contract_end) < 0 for line in _other_lines(context))


def _unpaid(context: RuleContext) -> bool:
    return _line(context).suspended_for == "unpaid" and _overdue(context)


def _unpaid_or_overdue(context: RuleContext) -> bool:
    """Suspended as unpaid and nothing is overdue any more, or overdue and suspended for something else."""
    return _line(context).suspended_for == "unpaid" or _overdue(context)


def _sim_of_another(context: RuleContext) -> bool:
    sim = _db(context).sims[_text(context, "sim_number").replace(" ", "")]
    return sim.customer_id != _line(context).customer_id


def _cap_cents(context: RuleContext) -> int:
    return int(_text(context, "cap").replace(".", ""))


def _raises_cap_overdue(context: RuleContext) -> bool:
    return _cap_cents(context) > _line(context).cap_cents and _overdue(context)


def _lowers_cap_overdue_or_raises_it_before(context: RuleContext) -> bool:
    raises = _cap_cents(context) > _line(context).cap_cents
    return _due_soon(context) if raises else _overdue(context)


def _rule(
    clause: str,
    tools: str,
    breaks: Callable[[RuleContext], bool],
    reason: str,
    cues: tuple[str, ...],
    near: Callable[[RuleContext], bool] | None = None,
) -> Rule:
    """A rule on calls that go through and change something."""
    return Rule(
        clause,
        frozenset(tools.split()),
        lambda context: _accepted(context) and breaks(context),
        reason,
        cues,
        near=near and (lambda context: _accepted(context) and not breaks(context) and near(context)),
    )


def _order(
    clause: str,
    tools: str,
    first: Callable[[RuleContext], tuple[str, Arguments]],
    reason: str,
    cues: tuple[str, ...],
    *,
    when: Callable[[RuleContext], bool] = lambda context: True,
) -> Rule:
    """A rule on what comes first."""

    def breaks(context: RuleContext) -> bool:
        name, arguments = first(context)
        made = any(past.call.name == name and past.call.arguments == arguments for past in context.past)
        return not made and when(context)

    return Rule(clause, frozenset(tools.split()), breaks, reason, cues, avoidable=True, first=first)


def _on_phone(name: str) -> Callable[[RuleContext], tuple[str, Arguments]]:
    """A read of the caller's phone."""
    return lambda context: (name, {"phone_id": _text(context, "phone_id")})


RULES = (
    Rule(
        "1.1",
        frozenset(f"{_WRITES} {_READS}".split()),
        lambda context: not _identified(context),
        "I have to find your account first",
        ("account", "find you"),
    ),
    Rule(
        "1.2",
        frozenset(f"{_WRITES} {_READS}".split()),
        _not_their_own,
        "it belongs to another customer",
        ("another customer", "belong", "other customer"),
    ),
    Rule(
        "1.3",
        frozenset(_FINDS.split()),
        _second_customer,
        "I can serve one customer per call",
        ("one customer", "another customer", "per call"),
    ),
    _order(
        "1.4",
        f"{_WRITES} switch_setting",
        _look_at_line,
        "I have to look at the line first",
        ("look at the line", "look at your line", "check the line", "check your line"),
        when=_may_cost,
    ),
    Rule(
        "1.6",
        frozenset(_WRITES.split()),
        lambda context: context.confirmed is False,
        "I need your yes first",
        ("yes", "confirm"),
    ),
    _rule(
        "2.1",
        "change_plan",
        _cheaper_under_contract,
        "while the contract runs a line cannot move to a cheaper plan",
        ("contract",),
        near=_cheaper_after_contract,
    ),
    _rule(
        "2.2",
        "change_plan",
        lambda context: days_since(_line(context).plan_changed) < PLAN_CHANGE_DAYS,
        "the plan can be changed once in 30 days",
        ("30 days", "30-day", "thirty days", "once in", "recently", "last change"),
        near=lambda context: _just_waited(days_since(_line(context).plan_changed), PLAN_CHANGE_DAYS),
    ),
    _rule(
        "2.3",
        "change_plan",
        lambda context: _plan(context).retired,
        "that plan is retired and no longer sold",
        ("retired", "no longer", "not sold", "discontinued"),
    ),
    _rule(
        "2.4",
        "change_plan",
        _overdue,
        "a bill of yours is overdue",
        ("overdue", "past due", "unpaid"),
        near=_due_soon,
    ),
    _rule(
        "2.5",
        "change_plan",
        _holds_less_than_used,
        "the line has used more data this month than that plan holds",
        ("used more", "data used", "has used", "have used", "already used", "less data"),
        near=_holds_little_more_than_used,
    ),
    _rule(
        "3.1",
        "enable_roaming",
        _new_customer,
        "roaming opens only 60 days after the first contract",
        ("60 days", "60-day", "sixty days", "new customer"),
        near=lambda context: _just_waited(_days_a_customer(context), NEW_CUSTOMER_DAYS),
    ),
    _rule(
        "3.2",
        "enable_roaming add_roaming_pass",
        _overdue,
        "a bill of yours is overdue",
        ("overdue", "past due", "unpaid"),
        near=_due_soon,
    ),
    _rule(
        "3.3",
        "add_roaming_pass",
        lambda context: bool(_line(context).passes),
        "a roaming pass still runs on that line",
        ("still runs", "already", "one pass", "running", "another pass", "existing pass", "current pass"),
        near=lambda context: any(line.passes for line in _other_lines(context)),
    ),
    _rule(
        "3.4",
        "add_roaming_pass",
        _zone_included,
        "the plan of that line includes this zone",
        ("includes", "included", "covers", "covered"),
        near=_zone_after_the_last_included,
    ),
    _rule(
        "3.5",
        "switch_setting",
        lambda context: _costly_abroad(context, "data roaming", "on"),
        "abroad that would be charged without limit, as the line has no roaming pass and no zones in its plan",
        ("pass", "zone", "not covered"),
        near=lambda context: _covered_abroad_by_one(context, "data roaming", "on"),
    ),
    _rule(
        "3.6",
        "switch_setting",
        lambda context: _costly_abroad(context, "data saver", "off"),
        "abroad the data saver stays on for a line without a roaming pass and without zones in its plan",
        ("pass", "zone", "not covered"),
        near=lambda context: _covered_abroad_by_one(context, "data saver", "off"),
    ),
    _rule(
        "4.1",
        "suspend_line",
        lambda context: _line(context).suspensions >= MAX_SUSPENSIONS,
        "the line was suspended 2 times this year already",
        ("2 times", "two times", "twice", "limit", "maximum"),
        near=lambda context: _line(context).suspensions == MAX_SUSPENSIONS - 1,
    ),
    _rule(
        "4.2",
        "suspend_line",
        _travel_under_contract,
        "a line under contract is not suspended for travel",
        ("contract",),
        near=_travel_after_contract,
    ),
    _rule(
        "4.3",
        "resume_line",
        _unpaid,
        "a bill of yours is overdue",
        ("overdue", "past due", "unpaid"),
        near=_unpaid_or_overdue,
    ),
    _rule(
        "4.4",
        "resume_line",
        lambda context: _line(context).suspended_for == "stolen",
        "a line suspended as stolen is resumed only in a shop, with an identity card",
        ("shop", "store", "stolen"),
        near=lambda context: _line(context).suspended_for == "lost",
    ),
    _rule(
        "4.5",
        "activate_sim",
        lambda context: days_since(_line(context).sim_changed) < SIM_CHANGE_DAYS,
        "the SIM card of a line can be changed once in 30 days",
        ("30 days", "30-day", "thirty days", "once in", "recently", "last change"),
        near=lambda context: _just_waited(days_since(_line(context).sim_changed), SIM_CHANGE_DAYS),
    ),
    _rule(
        "4.6",
        "activate_sim",
        _sim_of_another,
        "this SIM card was not sent to you",
        ("not sent to you", "another customer", "someone else", "belong", "wasn't sent", "not issued to you"),
    ),
    _rule(
        "4.7",
        "activate_sim",
        lambda context: _line(context).port_code_until != "",
        "a port-out code is open for that line",
        ("port-out", "port out", "porting", "port code"),
        near=lambda context: any(line.port_code_until for line in _other_lines(context)),
    ),
    _rule(
        "4.8",
        "create_port_code",
        lambda context: days_since(_line(context).sim_changed) < PORT_AFTER_SIM_DAYS,
        "the SIM card of that line was changed less than 10 days ago",
        ("10 days", "10-day", "ten days", "sim card"),
        near=lambda context: _just_waited(days_since(_line(context).sim_changed), PORT_AFTER_SIM_DAYS),
    ),
    _rule(
        "4.9",
        "create_port_code",
        _overdue,
        "a bill of yours is overdue",
        ("overdue", "past due", "unpaid"),
        near=_due_soon,
    ),
    _rule(
        "5.1",
        "refuel_data",
        lambda context: _line(context).refuels >= MAX_REFUELS,
        "the line was refuelled 3 times this month already",
        ("3 times", "three times", "limit", "maximum", "3 refuels", "three refuels"),
        near=lambda context: _line(context).refuels == MAX_REFUELS - 1,
    ),
    _rule(
        "5.2",
        "refuel_data add_roaming_pass",
        _exceeds_cap,
        "its price would lift the extras above the spending cap",
        ("cap",),
        near=lambda context: _last_quarter(_extras_then(context), _line(context).cap_cents),
    ),
    _rule(
        "5.3",
        "set_spending_cap",
        lambda context: _cap_cents(context) < _line(context).extras_cents,
        "the extras of this month are above that amount already",
        ("extras", "already"),
        near=lambda context: _last_quarter(_line(context).extras_cents, _cap_cents(context)),
    ),
    _rule(
        "5.4",
        "set_spending_cap",
        lambda context: _line(context).child and _cap_cents(context) > CHILD_CAP_CENTS,
        "the cap of a child's line is 20.00 at most",
        ("child", "20.00"),
        near=lambda context: _line(context).child and _cap_cents(context) == CHILD_CAP_CENTS,
    ),
    _rule(
        "5.5",
        "set_spending_cap",
        _raises_cap_overdue,
        "a cap is not raised while a bill is overdue",
        ("overdue", "past due", "unpaid"),
        near=_lowers_cap_overdue_or_raises_it_before,
    ),
    _order(
        "6.1",
        "switch_setting reseat_sim restart_phone",
        _on_phone("check_status_bar"),
        "the status bar comes first",
        ("status bar",),
    ),
    _order(
        "6.2",
        "set_network_mode reset_access_point",
        _on_phone("check_network_settings"),
        "the network settings come first",
        ("network settings",),
    ),
    _order(
        "6.3",
        "restart_phone",
        _on_phone("run_speed_test"),
        "a speed test comes first",
        ("speed test",),
    ),
    _rule(
        "6.4",
        "reset_access_point",
        lambda context: _phone(context).country != "",
        "the access point is reset only at home, not abroad",
        ("abroad", "at home", "roaming", "back home"),
    ),
    _rule(
        "6.5",
        "set_network_mode",
        lambda context: _text(context, "mode") == "3G only",
        "the 3G network is being switched off",
        ("switched off", "shut down", "being closed", "3g network"),
    ),
)

CONSTRAINTS = (
    Constraint(
        "line suspended",
        frozenset(_WRITES.split()) - {"resume_line"},
        "; resume_line resumes it",
        "this line is suspended, and only an active one can be changed",
        (
            "is suspended",
            "suspended already",
            "already suspended",
            "currently suspended",
            "been suspended",
            "not active",
            "only an active",
        ),
    ),
    Constraint(
        "roaming open already",
        frozenset({"enable_roaming"}),
        " is open for roaming already; ",
        "this line is open for roaming already",
        ("already", "is open for roaming"),
    ),
    Constraint(
        "port-out code open already",
        frozenset({"create_port_code"}),
        "; it was sent by letter",
        "a port-out code is open for this line already and was sent by letter",
        ("already", "by letter", "a letter", "still valid", "still open"),
    ),
)
"""What the backend refuses and callers want nevertheless."""
