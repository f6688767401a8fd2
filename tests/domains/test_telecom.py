"""Telecom: each rule has a call that breaks it and one that does not; tools refuse with advice; phones have faults."""

import random
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any, NamedTuple

import pytest
from meant import never_met, never_near, undone

from t2t.domain.environment import Environment
from t2t.domain.rule import RuleContext
from t2t.domains.telecom import DOMAIN
from t2t.domains.telecom.candidates import switches
from t2t.domains.telecom.phone import faults, status_bar
from t2t.domains.telecom.schema import (
    CHILD_CAP_CENTS,
    MAX_REFUELS,
    MAX_SUSPENSIONS,
    NEW_CUSTOMER_DAYS,
    PLAN_CHANGE_DAYS,
    PORT_AFTER_SIM_DAYS,
    REFUELS,
    SIM_CHANGE_DAYS,
    TODAY,
    Bill,
    BillId,
    BirthDate,
    Charge,
    Country,
    CountryZone,
    Customer,
    CustomerId,
    FullName,
    HeldPass,
    Line,
    LineId,
    PassId,
    Phone,
    PhoneId,
    PhoneNumber,
    Plan,
    PlanId,
    RoamingPass,
    Sim,
    SimNumber,
    TelecomDB,
    money,
)
from t2t.domains.telecom.tools import prorated_cents
from t2t.errors import ToolError
from t2t.explore.program import Coverage, explore
from t2t.intents.compose import write_task
from t2t.intents.scene import Scene, Unsuitable
from t2t.records import Arguments, DataSpec, Intent, Split, ToolCall
from t2t.verify.validation import prove

DATA = DataSpec(seed=0, size=60, split="train")
NOTHING: Mapping[str, Any] = {}
OLD_SIM, NEW_SIM = SimNumber("8901000000000000001"), SimNumber("8902000000000000002")


def ago(days: int) -> str:
    return (TODAY - timedelta(days=days)).isoformat()


class Desk(NamedTuple):
    """An environment with one customer, Ann, whose line LA has the phone HA."""

    environment: Environment
    db: TelecomDB

    def call(self, name: str, arguments: Arguments) -> ToolCall:
        return ToolCall(id="c", name=name, arguments=arguments, requestor=DOMAIN.requestor_of(name))

    def run(self, name: str, arguments: Arguments) -> Any:
        return self.environment.run(self.call(name, arguments), confirmed=True).value

    def clauses(self, name: str, arguments: Arguments, confirmed: bool | None = True) -> set[str]:
        return {rule.clause for rule in self.environment.breaks(self.call(name, arguments), confirmed)}


def desk(
    line: Mapping[str, Any] = NOTHING,
    phone: Mapping[str, Any] = NOTHING,
    customer: Mapping[str, Any] = NOTHING,
    bill: Mapping[str, Any] = NOTHING,
    plan: Mapping[str, Any] = NOTHING,
    sim: Mapping[str, Any] = NOTHING,
    *,
    look: bool = True,
) -> Desk:
    """Ann, a customer of long standing; all is well with her line and her phone, and they are looked at."""
    environment = Environment(DOMAIN, DATA)
    db = environment.db
    assert isinstance(db, TelecomDB)
    small = Plan(PlanId("S"), "Small", 1500, 50, 0, retired=False)
    db.plans.put(replace(small, **plan))
    db.plans.put(Plan(PlanId("L"), "Large", 3000, 200, 0, retired=False))
    db.plans.put(Plan(PlanId("R"), "Relic", 2000, 100, 0, retired=True))
    db.passes.put(RoamingPass(PassId("Z1"), 1, 7, 1100))
    db.countries.put(CountryZone(Country("Ruritania"), 1))
    ann = Customer(CustomerId("C7"), FullName("Ann Lee"), BirthDate("1980-02-03"), ago(900), PhoneId("HA"))
    db.customers.put(replace(ann, **customer))
    row = Line(
        id=LineId("LA"),
        customer_id=ann.id,
        number=PhoneNumber("199-555-0100"),
        user="my own",
        child=False,
        plan_id=small.id,
        plan_changed=ago(400),
        contract_end=ago(30),
        status="active",
        suspended_for="",
        suspensions=0,
        roaming=False,
        passes=(),
        data_used=20,
        data_added=0,
        refuels=0,
        extras_cents=500,
        cap_cents=5000,
        sim_number=OLD_SIM,
        sim_changed=ago(300),
        port_code_until="",
    )
    db.lines.put(replace(row, **line))
    db.sims.put(Sim(OLD_SIM, ann.id, "active"))
    db.sims.put(replace(Sim(NEW_SIM, ann.id, "new"), **sim))
    charges = (Charge("plans", 1500),)
    db.bills.put(Bill(BillId("B7"), ann.id, "2026-07", charges, "2026-08-28", paid=True))
    last = Bill(BillId("B8"), ann.id, "2026-08", (*charges, Charge("calls abroad", 345)), "2026-09-28", paid=False)
    db.bills.put(replace(last, **bill))
    good = Phone(
        id=ann.phone_id,
        line_id=row.id,
        country="",
        sim_number=OLD_SIM,
        esim=False,
        sim_seated=True,
        airplane_mode=False,
        mobile_data=True,
        data_roaming=False,
        data_saver=False,
        network_mode="automatic",
        access_point="standard",
        stuck=False,
    )
    db.phones.put(replace(good, **phone))
    found = Desk(environment, db)
    if look:
        found.run("find_customer_by_number", {"number": row.number})
        found.run("get_line", {"line_id": "LA"})
        for name in ("check_status_bar", "check_network_settings", "run_speed_test"):
            found.run(name, PHONE)
    return found


PHONE: Arguments = {"phone_id": "HA"}
LINE: Arguments = {"line_id": "LA"}
OVERDUE = {"bill": {"due": ago(1)}}
PAID: Mapping[str, Any] = {"bill": {"paid": True}}
DEARER: Mapping[str, Any] = {"plan": {"monthly_cents": 2500}, "line": {"contract_end": ago(-1)}}
ABROAD: Mapping[str, Any] = {"country": "Ruritania"}
PASS: Mapping[str, Any] = {"passes": (HeldPass("zone 1 pass, 7 days", 1, ago(-3)),)}
SUSPENDED: Mapping[str, Any] = {"status": "suspended", "suspended_for": "travel"}


class Case(NamedTuple):
    """A call that is fine at one desk and breaks one clause at another."""

    clause: str
    tool: str
    arguments: Arguments
    bad: Mapping[str, Any]
    good: Mapping[str, Any] = NOTHING
    bad_arguments: Arguments | None = None


def plan_case(clause: str, plan_id: str, bad: Mapping[str, Any], good: Mapping[str, Any] = NOTHING) -> Case:
    return Case(clause, "change_plan", {**LINE, "plan_id": plan_id}, bad, good)


LARGE: Mapping[str, Any] = {"plan_id": PlanId("L")}
SUSPEND: Arguments = {**LINE, "reason": "lost"}
ACTIVATE: Arguments = {**LINE, "sim_number": NEW_SIM}
REFUEL: Arguments = {**LINE, "size": "5 GB"}
ADD_PASS: Arguments = {**LINE, "pass_id": "Z1"}
ROAMING_ON: Arguments = {**PHONE, "setting": "data roaming", "state": "on"}
SAVER_OFF: Arguments = {**PHONE, "setting": "data saver", "state": "off"}

CASES = (
    plan_case("2.1", "S", {"line": {**LARGE, "contract_end": ago(-1)}}, {"line": {**LARGE, "contract_end": ago(0)}}),
    plan_case(
        "2.2",
        "L",
        {"line": {"plan_changed": ago(PLAN_CHANGE_DAYS - 1)}},
        {"line": {"plan_changed": ago(PLAN_CHANGE_DAYS)}},
    ),
    Case("2.3", "change_plan", {**LINE, "plan_id": "L"}, {}, bad_arguments={**LINE, "plan_id": "R"}),
    plan_case("2.4", "L", OVERDUE, {"bill": {"due": ago(0)}}),
    plan_case("2.5", "S", {"line": {**LARGE, "data_used": 51}}, {"line": {**LARGE, "data_used": 50}}),
    Case(
        "3.1",
        "enable_roaming",
        LINE,
        {"customer": {"since": ago(NEW_CUSTOMER_DAYS - 1)}},
        {"customer": {"since": ago(NEW_CUSTOMER_DAYS)}},
    ),
    Case("3.2", "enable_roaming", LINE, OVERDUE),
    Case("3.2", "add_roaming_pass", ADD_PASS, OVERDUE),
    Case("3.3", "add_roaming_pass", ADD_PASS, {"line": PASS}),
    Case("3.4", "add_roaming_pass", ADD_PASS, {"plan": {"roaming_zone": 1}}),
    Case("3.5", "switch_setting", ROAMING_ON, {"phone": ABROAD}, {"phone": ABROAD, "line": PASS}),
    Case("3.5", "switch_setting", ROAMING_ON, {"phone": ABROAD}, {"phone": ABROAD, "plan": {"roaming_zone": 1}}),
    Case(
        "3.6", "switch_setting", SAVER_OFF, {"phone": {**ABROAD, "data_saver": True}}, {"phone": {"data_saver": True}}
    ),
    Case(
        "4.1",
        "suspend_line",
        SUSPEND,
        {"line": {"suspensions": MAX_SUSPENSIONS}},
        {"line": {"suspensions": MAX_SUSPENSIONS - 1}},
    ),
    Case(
        "4.2",
        "suspend_line",
        SUSPEND,
        {"line": {"contract_end": ago(-1)}},
        {"line": {"contract_end": ago(-1)}},
        {**LINE, "reason": "travel"},
    ),
    Case(
        "4.3",
        "resume_line",
        LINE,
        {"line": {**SUSPENDED, "suspended_for": "unpaid"}, **OVERDUE},
        {"line": {**SUSPENDED, "suspended_for": "unpaid"}},
    ),
    Case("4.4", "resume_line", LINE, {"line": {**SUSPENDED, "suspended_for": "stolen"}}, {"line": SUSPENDED}),
    Case(
        "4.5",
        "activate_sim",
        ACTIVATE,
        {"line": {"sim_changed": ago(SIM_CHANGE_DAYS - 1)}},
        {"line": {"sim_changed": ago(SIM_CHANGE_DAYS)}},
    ),
    Case("4.6", "activate_sim", ACTIVATE, {"sim": {"customer_id": CustomerId("C100001")}}),
    Case("4.7", "activate_sim", ACTIVATE, {"line": {"port_code_until": ago(-2)}}),
    Case(
        "4.8",
        "create_port_code",
        LINE,
        {"line": {"sim_changed": ago(PORT_AFTER_SIM_DAYS - 1)}},
        {"line": {"sim_changed": ago(PORT_AFTER_SIM_DAYS)}},
    ),
    Case("4.9", "create_port_code", LINE, OVERDUE),
    Case("5.1", "refuel_data", REFUEL, {"line": {"refuels": MAX_REFUELS}}, {"line": {"refuels": MAX_REFUELS - 1}}),
    Case("5.2", "refuel_data", REFUEL, {"line": {"extras_cents": 3601}}, {"line": {"extras_cents": 3600}}),
    Case("5.2", "add_roaming_pass", ADD_PASS, {"line": {"extras_cents": 3901}}, {"line": {"extras_cents": 3900}}),
    Case(
        "5.3",
        "set_spending_cap",
        {**LINE, "cap": "20.00"},
        {"line": {"extras_cents": 2001}},
        {"line": {"extras_cents": 2000}},
    ),
    Case(
        "5.4",
        "set_spending_cap",
        {**LINE, "cap": "20.00"},
        {"line": {"child": True, "cap_cents": 1000}},
        {"line": {"child": True, "cap_cents": 1000}},
        {**LINE, "cap": "50.00"},
    ),
    Case("5.5", "set_spending_cap", {**LINE, "cap": "20.00"}, OVERDUE, OVERDUE, {**LINE, "cap": "100.00"}),
    Case(
        "6.4",
        "reset_access_point",
        PHONE,
        {"phone": {**ABROAD, "access_point": "changed by hand"}},
        {"phone": {"access_point": "changed by hand"}},
    ),
    Case("6.5", "set_network_mode", {**PHONE, "mode": "4G only"}, {}, {}, {**PHONE, "mode": "3G only"}),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.clause}-{case.tool}")
def test_a_rule_forbids_one_call_and_lets_its_twin_pass(case: Case):
    good, bad = desk(**case.good), desk(**case.bad)
    assert good.clauses(case.tool, case.arguments) == set()
    good.run(case.tool, case.arguments)
    arguments = case.bad_arguments or case.arguments
    assert bad.clauses(case.tool, arguments) == {case.clause}
    bad.run(case.tool, arguments)  # no tool enforces it


def near(one: Desk, tool: str, arguments: Arguments) -> set[str]:
    """Clauses that a call keeps by so little that an agent has to look closely."""
    context = RuleContext(one.db, one.call(tool, arguments), one.environment.past, True)
    return {rule.clause for rule in DOMAIN.rules if tool in rule.tools and rule.near and rule.near(context)}


NOT_NEAR = ("2.3", "3.3", "3.4", "3.6", "4.2", "4.4", "4.6", "4.7", "6.4", "6.5")
"""Clauses whose cases are allowed by far, or that have no near side."""
TRAVEL: Arguments = {**LINE, "reason": "travel"}
SAVER_ABROAD: Mapping[str, Any] = {"phone": {**ABROAD, "data_saver": True}}
NARROW = (
    *(case for case in CASES if case.clause not in NOT_NEAR),
    plan_case("2.1", "L", {"plan": {"monthly_cents": 3100}, "line": {"contract_end": ago(-1)}}, DEARER),
    Case("3.6", "switch_setting", SAVER_OFF, SAVER_ABROAD, {**SAVER_ABROAD, "plan": {"roaming_zone": 1}}),
    Case("4.2", "suspend_line", TRAVEL, {"line": {"contract_end": ago(-1)}}, {"line": {"contract_end": ago(30)}}),
    Case("4.3", "resume_line", LINE, NOTHING, {"line": SUSPENDED, **OVERDUE}),
    Case("4.4", "resume_line", LINE, NOTHING, {"line": {**SUSPENDED, "suspended_for": "lost"}}),
)


@pytest.mark.parametrize("case", NARROW, ids=lambda case: f"{case.clause}-{case.tool}")
def test_a_call_that_is_just_allowed_is_near_its_clause_and_a_forbidden_one_is_not(case: Case):
    assert case.clause in near(desk(**case.good), case.tool, case.arguments)
    assert case.clause not in near(desk(**case.bad), case.tool, case.bad_arguments or case.arguments)


@pytest.mark.parametrize(
    ("clause", "tool", "arguments", "other"),
    [
        ("3.3", "add_roaming_pass", ADD_PASS, PASS),
        ("4.2", "suspend_line", TRAVEL, {"contract_end": ago(-1)}),
        ("4.7", "activate_sim", ACTIVATE, {"port_code_until": ago(-2)}),
    ],
)
def test_a_call_is_near_a_clause_that_forbids_it_for_another_line(
    clause: str, tool: str, arguments: Arguments, other: Mapping[str, Any]
):
    one = desk(line={"contract_end": ago(31)}, **PAID)
    assert near(one, tool, arguments) == set()
    line = replace(one.db.lines["LA"], id=LineId("LB"), number=PhoneNumber("199-555-0101"), **other)
    one.db.lines.put(line)
    assert near(one, tool, arguments) == {clause}
    assert near(one, tool, {**arguments, "line_id": "LB"}) == set()


def test_a_pass_for_the_zone_after_the_last_one_included_is_near_3_4():
    one = desk(plan={"roaming_zone": 1}, **PAID)
    one.db.passes.put(RoamingPass(PassId("Z2"), 2, 7, 1100))
    one.db.passes.put(RoamingPass(PassId("Z3"), 3, 7, 1100))
    assert near(one, "add_roaming_pass", {**ADD_PASS, "pass_id": "Z2"}) == {"3.4"}
    assert near(one, "add_roaming_pass", {**ADD_PASS, "pass_id": "Z3"}) == set()


WIDE: tuple[tuple[str, Arguments, Mapping[str, Any]], ...] = (
    ("change_plan", {**LINE, "plan_id": "L"}, {"line": {"plan_changed": ago(38)}}),
    ("change_plan", {**LINE, "plan_id": "S"}, {"line": {**LARGE, "contract_end": ago(31), "data_used": 37}}),
    ("change_plan", {**LINE, "plan_id": "L"}, {"line": {"status": "suspended", "plan_changed": ago(30)}}),
    ("enable_roaming", LINE, {"customer": {"since": ago(76)}}),
    ("add_roaming_pass", ADD_PASS, {"line": {"extras_cents": 2650}}),
    ("switch_setting", ROAMING_ON, {}),
    ("suspend_line", SUSPEND, {}),
    ("suspend_line", TRAVEL, {"line": {"contract_end": ago(31)}}),
    ("resume_line", LINE, {"line": SUSPENDED}),
    ("activate_sim", ACTIVATE, {"line": {"sim_changed": ago(38)}}),
    ("create_port_code", LINE, {"line": {"sim_changed": ago(13)}}),
    ("refuel_data", REFUEL, {"line": {"refuels": 1, "extras_cents": 2350}}),
    ("set_spending_cap", {**LINE, "cap": "100.00"}, {}),
    ("set_spending_cap", {**LINE, "cap": "20.00"}, {"line": {"extras_cents": 1500}}),
)


@pytest.mark.parametrize(("tool", "arguments", "given"), WIDE)
def test_a_call_with_room_to_spare_is_near_no_clause(tool: str, arguments: Arguments, given: Mapping[str, Any]):
    assert near(desk(**{**PAID, **given}), tool, arguments) == set()


@pytest.mark.parametrize("split", ["train", "test"])
def test_callers_come_near_every_clause_and_meet_every_constraint(split: Split):
    sides = {rule.clause for rule in DOMAIN.rules if rule.near}
    far = {rule.clause for rule in DOMAIN.rules if rule.avoidable} | {"1.1", "1.2", "1.3", "1.6"}
    assert sides == {rule.clause for rule in DOMAIN.rules} - far - {"2.3", "4.6", "6.4", "6.5"}
    assert never_near(DOMAIN, split, size=600) == set()
    assert never_met(DOMAIN, split) == set()


def test_a_line_that_was_suspended_is_active_again_when_that_is_taken_back():
    one = desk()
    before = one.db.lines["LA"]
    wish = DOMAIN.wish_by_tool["suspend_line"]
    value = one.run("suspend_line", SUSPEND)
    assert wish.undo is not None
    (undo,) = wish.undo(one.db, SUSPEND, {"line": before.number}, value)
    assert undo == ("resume_line", LINE, f"resume the line {before.number}")
    assert one.clauses(undo.tool, undo.arguments) == set()
    one.run(undo.tool, undo.arguments)
    assert one.db.lines["LA"] == replace(before, suspensions=1)
    assert {wish.tool for wish in DOMAIN.wishes if wish.undo} == {"suspend_line"}
    assert {tool for tool, _, _ in undone(DOMAIN, "train", most=30)} == {"suspend_line"}


def test_nobody_asks_for_more_on_a_line_that_the_talk_itself_suspended():
    db = DOMAIN.open(DataSpec(seed=0, size=60, split="train"))
    assert isinstance(db, TelecomDB)
    refuels = DOMAIN.wish_by_tool["refuel_data"].candidates
    line = next(row for row in db.lines if row.status == "active")
    asked = {one.arguments["line_id"] for one in refuels(db, line.customer_id)}
    assert asked == {row.id for row in db.lines.where("customer_id", line.customer_id)}
    db.lines.put(replace(line, status="suspended", suspended_for="lost"))
    assert {one.arguments["line_id"] for one in refuels(db, line.customer_id)} == asked - {line.id}


def test_every_rule_is_tested():
    elsewhere = {"1.1", "1.2", "1.3", "1.4", "1.6", "6.1", "6.2", "6.3"}
    assert {case.clause for case in CASES} | elsewhere == {rule.clause for rule in DOMAIN.rules}


def test_lines_and_bills_are_closed_until_the_caller_is_found_and_passes_are_open():
    found = desk(look=False)
    assert found.clauses("list_bills", {"customer_id": "C7"}) == {"1.1"}
    assert found.clauses("get_line", LINE) == {"1.1"}
    assert found.clauses("list_passes", {"country": "Ruritania"}) == set()
    found.run("find_customer_by_name", {"name": "ann lee", "born": "1980-02-03"})
    assert found.clauses("get_line", LINE) == set()


def test_what_belongs_to_another_customer_is_closed_and_a_second_customer_is_not_looked_up():
    found = desk()
    other = next(line for line in found.db.lines if line.customer_id != "C7")
    assert "1.2" in found.clauses("get_line", {"line_id": other.id})
    assert found.clauses("get_bill", {"bill_id": "B1000001"}) == {"1.2"}
    assert found.clauses("list_lines", {"customer_id": other.customer_id}) == {"1.2"}
    assert found.clauses("find_customer_by_number", {"number": other.number}) == {"1.3"}
    assert found.clauses("find_customer_by_number", {"number": "199 555 0100"}) == set()
    assert found.clauses("find_customer_by_number", {"number": "000-000-0000"}) == set()


def test_a_change_of_the_agent_needs_a_yes_and_one_of_the_caller_does_not():
    found = desk(phone={"stuck": True})
    assert found.clauses("enable_roaming", LINE, confirmed=False) == {"1.6"}
    assert found.clauses("restart_phone", PHONE, confirmed=False) == set()


def test_a_line_is_looked_at_before_it_is_changed_and_before_data_abroad_may_cost():
    found = desk(look=False)
    found.run("find_customer_by_number", {"number": "199-555-0100"})
    found.run("check_status_bar", PHONE)
    assert found.clauses("enable_roaming", LINE) == {"1.4"}
    assert found.clauses("switch_setting", ROAMING_ON) == {"1.4"}
    assert found.clauses("switch_setting", {**PHONE, "setting": "airplane mode", "state": "on"}) == set()
    found.run("get_line", LINE)
    assert found.clauses("enable_roaming", LINE) == set()
    assert found.clauses("switch_setting", ROAMING_ON) == set()


def test_each_change_on_the_phone_waits_for_its_look():
    found = desk(look=False)
    airplane: Arguments = {**PHONE, "setting": "airplane mode", "state": "on"}
    assert found.clauses("switch_setting", airplane) == {"6.1"}
    assert found.clauses("reseat_sim", PHONE) == {"6.1"}
    assert found.clauses("restart_phone", PHONE) == {"6.1", "6.3"}
    assert found.clauses("set_network_mode", {**PHONE, "mode": "4G only"}) == {"6.2"}
    assert found.clauses("reset_access_point", PHONE) == {"6.2"}


def test_no_rule_speaks_of_a_call_that_the_backend_refuses_or_that_changes_nothing():
    suspended = desk(line=SUSPENDED, **OVERDUE)
    assert suspended.clauses("change_plan", {**LINE, "plan_id": "R"}) == set()
    on_already = desk(phone={**ABROAD, "data_roaming": True})
    assert on_already.clauses("switch_setting", ROAMING_ON) == set()


REFUSALS: tuple[tuple[str, Arguments, Mapping[str, Any], str], ...] = (
    ("find_customer_by_number", {"number": "1"}, {}, "name and date of birth"),
    ("find_customer_by_name", {"name": "Ann Lee", "born": "1980-02-04"}, {}, "phone number"),
    ("list_lines", {"customer_id": "C0"}, {}, "find_customer_by_number"),
    ("get_line", {"line_id": "L0"}, {}, "list_lines"),
    ("list_plans", {"line_id": "L0"}, {}, "list_lines"),
    ("quote_plan_change", {**LINE, "plan_id": "X"}, {}, "list_plans LA"),
    ("list_passes", {"country": "Atlantis"}, {}, "another spelling"),
    ("list_bills", {"customer_id": "C0"}, {}, "find_customer_by_number"),
    ("get_bill", {"bill_id": "B0"}, {}, "list_bills"),
    ("change_plan", {**LINE, "plan_id": "S"}, {}, "name another plan"),
    ("change_plan", {**LINE, "plan_id": "L"}, {"line": SUSPENDED}, "resume_line"),
    ("enable_roaming", LINE, {"line": {"roaming": True}}, "on the phone"),
    ("add_roaming_pass", {**LINE, "pass_id": "X"}, {}, "list_passes"),
    ("suspend_line", SUSPEND, {"line": SUSPENDED}, "suspended (travel)"),
    ("suspend_line", {**LINE, "reason": "bored"}, {}, "reason"),
    ("resume_line", LINE, {}, "nothing to resume"),
    ("activate_sim", {**LINE, "sim_number": "123"}, {}, "19 digits"),
    ("activate_sim", {**LINE, "sim_number": OLD_SIM}, {}, "only a new card"),
    ("refuel_data", REFUEL, {"line": SUSPENDED}, "resume_line"),
    ("set_spending_cap", {**LINE, "cap": "50.00"}, {}, "name another amount"),
    ("create_port_code", LINE, {"line": {"port_code_until": ago(-4)}}, "by letter"),
    *((tool.name, {**PHONE, "phone_id": "H0"}, {}, "ids look like") for tool in DOMAIN.user_tools[:4]),
    ("switch_setting", {**ROAMING_ON, "phone_id": "H0"}, {}, "ids look like"),
    ("set_network_mode", {"phone_id": "H0", "mode": "automatic"}, {}, "ids look like"),
    *((tool.name, {**PHONE, "phone_id": "H0"}, {}, "ids look like") for tool in DOMAIN.user_tools[6:]),
)


@pytest.mark.parametrize(("name", "arguments", "given", "advice"), REFUSALS)
def test_a_refused_call_gives_advice_and_changes_nothing(
    name: str, arguments: Arguments, given: Mapping[str, Any], advice: str
):
    found = desk(**given)
    before = found.db.state_hash()
    with pytest.raises(ToolError, match=re.escape(advice)):
        found.run(name, arguments)
    assert found.db.state_hash() == before


def test_every_tool_refuses_something():
    assert {name for name, *_ in REFUSALS} == set(DOMAIN.tool_by_name)


def test_a_plan_change_is_charged_for_the_ten_days_left_and_equals_its_quote():
    found = desk()
    quote = found.run("quote_plan_change", {**LINE, "plan_id": "L"})
    assert (quote.to_pay, quote.credit) == ("5.00", "0.00")
    assert found.run("change_plan", {**LINE, "plan_id": "L"}) == quote
    back = found.run("quote_plan_change", {**LINE, "plan_id": "S"})
    assert (back.to_pay, back.credit) == ("0.00", "5.00")
    one, other = found.db.plans["S"], found.db.plans["L"]
    assert prorated_cents(one, replace(other, monthly_cents=1501)) == 0
    assert prorated_cents(one, replace(other, monthly_cents=1502)) == 1
    assert prorated_cents(one, replace(other, monthly_cents=1498)) == -1


def test_extras_add_up_until_the_cap_and_data_is_there_at_once():
    found = desk()
    refuel = found.run("refuel_data", REFUEL)
    assert (refuel.price, refuel.data_left) == (money(REFUELS["5 GB"][1]), "8.0 GB")
    added = found.run("add_roaming_pass", ADD_PASS)
    assert (added.price, added.until) == ("11.00", "2026-09-27")
    view = found.run("get_line", LINE)
    assert (view.extras_this_month, view.refuels_this_month, view.data_refuelled) == ("30.00", 1, "5.0 GB")
    assert [held.until for held in view.passes] == ["2026-09-27"]


def test_a_new_sim_card_replaces_the_old_and_the_phone_works_with_it():
    found = desk(phone={"sim_number": NEW_SIM})
    assert found.run("check_status_bar", PHONE).shows == "the words No service"
    assert found.run("get_line", LINE).new_sims_sent == (NEW_SIM[-4:],)
    number = found.run("show_sim_number", PHONE).sim_number
    found.run("activate_sim", {**LINE, "sim_number": f"{number[:4]} {number[4:]}"})
    assert (found.db.sims[OLD_SIM].state, found.db.sims[NEW_SIM].state) == ("blocked", "active")
    assert found.run("check_status_bar", PHONE).shows == "full bars and 5G"
    assert found.run("get_line", LINE).new_sims_sent == ()


def test_a_bill_shows_the_month_before_and_a_line_its_data():
    found = desk()
    bill = found.run("get_bill", {"bill_id": "B8"})
    assert (bill.total, bill.total_of_month_before) == ("18.45", "15.00")
    assert found.run("get_bill", {"bill_id": "B7"}).total_of_month_before == ""
    assert [row.month for row in found.run("list_bills", {"customer_id": "C7"})] == ["2026-08", "2026-07"]
    assert found.run("get_line", LINE).data_used == "2.0 GB"


def test_a_line_sleeps_and_wakes_and_a_number_leaves_with_a_code():
    found = desk()
    code = found.run("create_port_code", LINE)
    assert re.fullmatch(r"P\d{6}", code.code)
    assert code.valid_until == "2026-09-28"
    found.run("suspend_line", SUSPEND)
    assert found.run("check_status_bar", PHONE).shows == "the words No service"
    found.run("resume_line", LINE)
    view = found.run("get_line", LINE)
    assert (view.status, view.suspended_for, view.suspensions_this_year) == ("active", "", 1)
    found.run("set_spending_cap", {**LINE, "cap": money(CHILD_CAP_CENTS)})
    assert found.run("get_line", LINE).cap == "20.00"


FAULTS: tuple[tuple[Mapping[str, Any], Mapping[str, Any], str, str, str], ...] = (
    ({"airplane_mode": True}, {}, "airplane mode", "a little plane", "0.0"),
    ({"mobile_data": False}, {}, "mobile data", "full bars and no data sign", "0.0"),
    ({**ABROAD, "data_roaming": False}, {"roaming": True}, "data roaming", "full bars, 5G and a crossed-out R", "0.0"),
    ({**ABROAD, "data_roaming": True}, {}, "line roaming", "full bars, 5G and an R", "0.0"),
    ({"access_point": "changed by hand"}, {}, "access point", "full bars and 5G", "0.0"),
    ({"stuck": True}, {}, "stuck", "full bars and 5G", "0.0"),
    ({"data_saver": True}, {}, "data saver", "full bars, 5G and a leaf", "0.9"),
    ({"network_mode": "3G only"}, {}, "network mode", "full bars and 3G", "0.9"),
    ({}, {"data_used": 50}, "data used up", "full bars and 5G", "0.9"),
    ({"sim_seated": False}, {}, "loose SIM", "the words No SIM", "0.0"),
    ({"sim_number": NEW_SIM}, {}, "new SIM", "the words No service", "0.0"),
    ({}, SUSPENDED, "suspended", "the words No service", "0.0"),
)


@pytest.mark.parametrize(("phone", "line", "cause", "shows", "speed"), FAULTS)
def test_each_fault_is_the_only_one_and_shows(
    phone: Mapping[str, Any], line: Mapping[str, Any], cause: str, shows: str, speed: str
):
    found = desk(line=line, phone=phone)
    row = found.db.phones["HA"]
    assert [fault.cause for fault in faults(found.db, row)] == [cause]
    assert status_bar(found.db, row) == found.run("check_status_bar", PHONE).shows == shows
    assert found.run("run_speed_test", PHONE).download == speed
    assert faults(desk().db, desk().db.phones["HA"]) == []


def test_the_caller_mends_what_is_wrong_on_the_phone():
    settings: Mapping[str, Any] = {"airplane_mode": True, "mobile_data": False, "data_saver": True}
    found = desk(phone={**settings, "sim_seated": False, "network_mode": "3G only", "stuck": True})
    for setting, state in (("airplane mode", "off"), ("mobile data", "on"), ("data saver", "off")):
        assert found.run("switch_setting", {**PHONE, "setting": setting, "state": state}).now == f"{setting} {state}"
    found.run("reseat_sim", PHONE)
    found.run("restart_phone", PHONE)
    found.run("reset_access_point", PHONE)
    assert found.run("set_network_mode", {**PHONE, "mode": "automatic"}).shows == "full bars and 5G"
    assert faults(found.db, found.db.phones["HA"]) == []
    assert "eSIM" in desk(phone={"esim": True}).run("reseat_sim", PHONE).now


def test_a_symptom_belongs_to_the_one_setting_at_fault_and_its_words_fit_others_that_are_right():
    found = desk(phone={**ABROAD, "mobile_data": False, "data_roaming": True}, line={"roaming": True})
    options = list(switches(found.db, "C7"))
    real = [candidate for candidate in options if "shows" in candidate.slots]
    assert [candidate.arguments["setting"] for candidate in real] == ["mobile data"]
    assert real[0].slots["shows"] == "full bars, no data sign and an R"
    assert {candidate.slots["trouble"] for candidate in options} == {"has had no internet since I landed in Ruritania"}
    assert len(options) == 4
    before = found.db.state_hash()
    for candidate in options:
        if candidate not in real:
            found.run("switch_setting", candidate.arguments)
            assert found.db.state_hash() == before
    two_faults = desk(phone={"mobile_data": False, "stuck": True})
    assert list(switches(two_faults.db, "C7")) == []


def test_every_clause_that_forbids_a_wish_becomes_an_infeasible_task():
    procedural = {"1.1", "1.2", "1.3", "1.6"}
    wanted = {rule.clause for rule in DOMAIN.rules if not rule.avoidable} - procedural
    data = DataSpec(seed=5, size=200, split="train")
    for trajectory in explore(DOMAIN, data, 500, max_steps=10, blocked_share=1.0, seed=5, coverage=Coverage()):
        assert trajectory.blocked is not None
        if trajectory.blocked.clause not in wanted:
            continue
        rng = random.Random(trajectory.id)
        try:
            task = write_task(Intent.INFEASIBLE, Scene(DOMAIN, trajectory, rng), "train", rng)
        except Unsuitable:
            continue
        if not prove(DOMAIN, task):
            wanted.remove(trajectory.blocked.clause)
        if not wanted:
            return
    raise AssertionError(f"no task about {sorted(wanted)}")


def test_most_walks_become_general_tasks_and_enough_the_others():
    intents = (Intent.GENERAL, Intent.AMBIGUOUS, Intent.CHANGING)
    kept: Counter[str] = Counter()
    data = DataSpec(seed=4, size=120, split="test")
    walks = list(explore(DOMAIN, data, 60, max_steps=8, blocked_share=0.0, seed=4, coverage=Coverage()))
    for walk in walks:
        for intent in intents:
            rng = random.Random(walk.id)
            try:
                kept[intent.value] += not prove(DOMAIN, write_task(intent, Scene(DOMAIN, walk, rng), "test", rng))
            except Unsuitable:
                continue
    assert kept["general"] >= 0.8 * len(walks)
    assert min(kept["ambiguous"], kept["changing"]) >= 0.15 * len(walks)


def test_splits_share_no_person_place_plan_or_id():
    def words(split: str) -> set[str]:
        base = DOMAIN.generate(DataSpec(seed=1, size=600, split=split))  # type: ignore[arg-type]
        db = TelecomDB(base)
        found = {row.id for name in base.tables for row in base.tables[name].values()}
        found |= {word for row in db.customers for word in (row.name, *row.name.split())}
        found |= {plan.name for plan in db.plans} | {line.number for line in db.lines}
        return found | {line.user for line in db.lines if line.user != "my own"}

    assert not words("train") & words("test")


@pytest.mark.parametrize("size", [1, 50, 3000])
def test_data_has_the_size_asked_for_and_is_sound(size: int):
    db = TelecomDB(DOMAIN.generate(DataSpec(seed=2, size=size, split="test")))
    customers = list(db.customers)
    assert len(db.lines) == size
    assert size / 4 <= len(customers) == len(db.phones) <= size
    assert len({(row.name, row.born) for row in customers}) == len(customers)
    assert len({line.number for line in db.lines}) == size
    new_sims = {sim.id for sim in db.sims if sim.state == "new"}
    for customer in customers:
        lines = db.lines.where("customer_id", customer.id)
        phone = db.phones[customer.phone_id]
        assert lines[0].id == phone.line_id
        assert lines[0].user == "my own"
        assert len(faults(db, phone)) <= 1
        assert phone.sim_number == lines[0].sim_number or phone.sim_number in new_sims
        assert len(db.bills.where("customer_id", customer.id)) == 3
        for line in lines:
            assert line.extras_cents <= line.cap_cents
            assert (line.status == "suspended") == bool(line.suspended_for)
            assert not line.child or line.cap_cents <= CHILD_CAP_CENTS


def test_every_fault_occurs_in_little_data():
    db = DOMAIN.open(DataSpec(seed=3, size=120, split="train"))
    assert isinstance(db, TelecomDB)
    causes = Counter(fault.cause for phone in db.phones for fault in faults(db, phone))
    assert set(causes) == {cause for _, _, cause, _, _ in FAULTS}
    assert min(causes.values()) >= 2


def test_the_policy_quotes_the_numbers_that_code_checks():
    assert f"Today is {TODAY.isoformat()}" in DOMAIN.policy
    for days in (PLAN_CHANGE_DAYS, NEW_CUSTOMER_DAYS, SIM_CHANGE_DAYS, PORT_AFTER_SIM_DAYS):
        assert f"{days} days" in DOMAIN.policy
    assert f"{MAX_SUSPENSIONS} times a year" in DOMAIN.policy
    assert f"{MAX_REFUELS} times a month" in DOMAIN.policy
    assert money(CHILD_CAP_CENTS) in DOMAIN.policy
    assert len(DOMAIN.policy.split()) < 750
