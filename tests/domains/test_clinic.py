"""Clinic: each rule has a call that breaks it and one that does not; tools refuse with advice; data scales."""

import random
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date, timedelta
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from meant import never_met, never_near, undone

from t2t.domain.environment import Environment
from t2t.domain.rule import Rule, RuleContext
from t2t.domains.clinic import DOMAIN
from t2t.domains.clinic.candidates import spoken_day
from t2t.domains.clinic.schema import (
    MIN_INSTALMENT_CENTS,
    MIN_INSTALMENT_INVOICE_CENTS,
    MONTHS,
    NEXT_PLAN_DAY,
    NOW,
    TERMS,
    TODAY,
    Appointment,
    AppointmentId,
    BirthDate,
    ClinicDB,
    Clinician,
    ClinicianId,
    FullName,
    Invoice,
    InvoiceId,
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
    add_working_days,
    age_on,
    day_of,
    end_of,
    is_ahead,
    moment,
    money,
)
from t2t.errors import ToolError
from t2t.explore.program import Coverage, explore
from t2t.intents.compose import write_task
from t2t.intents.scene import Scene, Unsuitable
from t2t.records import Arguments, Blocked, DataSpec, Intent, Split, Step, ToolCall, Trajectory
from t2t.verify.validation import prove

DATA = DataSpec(seed=0, size=60, split="train")
NOTHING: Mapping[str, Mapping[str, Any]] = {}
HERE = PracticeId("G1")


def on(days: int) -> str:
    """The ISO date that many days from today."""
    return (TODAY + timedelta(days=days)).isoformat()


def in_hours(hours: float) -> str:
    """The time that many hours from now, as visits are written."""
    return f"{NOW + timedelta(hours=hours):%Y-%m-%d %H:%M}"


class Desk(NamedTuple):
    """An environment with one practice and one family, whose Ann is on the line."""

    environment: Environment
    db: ClinicDB

    def run(self, name: str, arguments: Arguments) -> Any:
        return self.environment.run(ToolCall(id="c", name=name, arguments=arguments), confirmed=True).value

    def clauses(self, name: str, arguments: Arguments, confirmed: bool | None = True) -> set[str]:
        call = ToolCall(id="c", name=name, arguments=arguments)
        return {rule.clause for rule in self.environment.breaks(call, confirmed)}


def person(number: int, name: str, born: str, **more: Any) -> Patient:
    """A member of the family on the plan L1."""
    ids = tuple(PatientId(f"P{n}") for n in range(1, 7) if n != number)
    row = Patient(
        PatientId(f"P{number}"),
        HERE,
        FullName(name),
        BirthDate(born),
        Phone(f"000-{number}" if age_on(born, TODAY) >= 18 else ""),
        PlanId("L1"),
        None,
        "",
        (),
        ids,
        (),
        (),
    )
    return replace(row, **more)


def rows() -> list[tuple[str, Any]]:
    """All rows of the practice by table; as they are, every call of `CASES` is within the rules."""
    ann, berg, lind, moss = PatientId("P1"), ClinicianId("C1"), ClinicianId("C2"), ClinicianId("C3")
    both = ("North", "South")
    return [
        ("plans", Plan(PlanId("L1"), HERE, "Alpha", 1500, 4000, both, (0, 150))),
        ("plans", Plan(PlanId("L2"), HERE, "Beta", 2000, 5000, ("North",), (0, 150))),
        ("plans", Plan(PlanId("L3"), HERE, "Gamma", 1000, 3000, both, (0, 26))),
        ("pharmacies", Pharmacy(PharmacyId("H1"), HERE, "Ash Pharmacy", 3)),
        ("pharmacies", Pharmacy(PharmacyId("H2"), HERE, "Bay Pharmacy", 5)),
        ("clinicians", Clinician(berg, HERE, "Dr. Nadia Berg", "general practice", both, ("Spanish",))),
        ("clinicians", Clinician(lind, HERE, "Dr. Omar Lind", "cardiology", both, ())),
        ("clinicians", Clinician(moss, HERE, "Kai Moss", "physiotherapy", both, ())),
        ("clinicians", Clinician(ClinicianId("C4"), HERE, "Lea Pohl", "physiotherapy", both, ())),
        ("clinicians", Clinician(ClinicianId("C5"), HERE, "Dr. Paul Quist", "paediatrics", both, ())),
        ("slots", Slot(SlotId("S11"), berg, "check-up", "North", f"{on(8)} 10:00")),
        ("slots", Slot(SlotId("S12"), berg, "flu shot", "North", f"{on(9)} 10:00")),
        ("slots", Slot(SlotId("S13"), lind, "heart scan", "North", f"{on(8)} 12:00")),
        ("slots", Slot(SlotId("S14"), moss, "physio session", "North", f"{on(15)} 10:00")),
        ("slots", Slot(SlotId("S15"), ClinicianId("C4"), "physio session", "North", f"{on(15)} 11:00")),
        ("slots", Slot(SlotId("S16"), ClinicianId("C5"), "child check", "North", f"{on(8)} 10:00")),
        ("patients", person(1, "Ann Lee", "1980-01-15")),
        ("patients", person(2, "Bo Lee", "2016-06-01", guardians=(ann,))),
        ("patients", person(3, "Cy Lee", "1979-03-03")),
        ("patients", person(4, "Di Lee", "2010-06-08", guardians=(ann,))),
        ("patients", person(5, "Eve Lee", "1950-05-05", proxies=(Proxy(ann, "everything"),))),
        ("patients", person(6, "Fay Lee", "1952-02-02", proxies=(Proxy(ann, "appointments"),))),
        ("appointments", Appointment(AppointmentId("A1"), ann, berg, "flu shot", "North", f"{on(5)} 10:00", "booked")),
        ("appointments", Appointment(AppointmentId("A2"), ann, berg, "check-up", "North", f"{on(-400)} 10:00", "done")),
        (
            "appointments",
            Appointment(AppointmentId("A3"), ann, lind, "heart scan", "North", f"{on(-100)} 10:00", "done"),
        ),
        (
            "appointments",
            Appointment(AppointmentId("A4"), ann, moss, "physio session", "North", f"{on(12)} 10:00", "booked"),
        ),
        ("referrals", Referral(ReferralId("R1"), ann, "heart scan", on(-20), on(60), 1)),
        ("referrals", Referral(ReferralId("R2"), ann, "physio session", on(-20), on(60), 3)),
        (
            "prescriptions",
            Prescription(
                PrescriptionId("X1"),
                ann,
                lind,
                "Testol",
                "statins",
                controlled=False,
                refills_left=2,
                days_supply=30,
                last_filled=on(-30),
                valid_until=on(100),
                pharmacy_id=PharmacyId("H1"),
            ),
        ),
        ("invoices", Invoice(InvoiceId("I1"), ann, "eye test", 24000, on(-10), on(20), "open")),
        ("invoices", Invoice(InvoiceId("I2"), ann, "skin check", 5000, on(-90), on(-60), "paid")),
    ]


def desk(edits: Mapping[str, Mapping[str, Any]] = NOTHING, *, identify: bool = True) -> Desk:
    """The practice with some fields of some rows changed, by row id."""
    environment = Environment(DOMAIN, DATA)
    db = environment.db
    assert isinstance(db, ClinicDB)
    known = rows()
    assert set(edits) <= {row.id for _, row in known}
    for table, row in known:
        getattr(db, table).put(replace(row, **edits.get(row.id, {})))
    found = Desk(environment, db)
    if identify:
        found.run("find_patient_by_phone", {"phone": "000-1"})
    return found


CHECK_UP: Arguments = {"patient_id": "P1", "slot_id": "S11"}
CHILD_CHECK: Arguments = {"patient_id": "P2", "slot_id": "S16"}
SCAN: Arguments = {"patient_id": "P1", "slot_id": "S13"}
PHYSIO: Arguments = {"patient_id": "P1", "slot_id": "S14"}
MOVE: Arguments = {"appointment_id": "A1", "slot_id": "S12"}
MOVE_PHYSIO: Arguments = {"appointment_id": "A4", "slot_id": "S14"}
CANCEL: Arguments = {"appointment_id": "A1"}
INTERPRETER: Arguments = {"appointment_id": "A1", "language": "Turkish"}
REFILL: Arguments = {"prescription_id": "X1"}
PHARMACY: Arguments = {"prescription_id": "X1", "pharmacy_id": "H2"}
PLAN: Arguments = {"patient_id": "P1", "plan_id": "L2"}
INSTALMENTS: Arguments = {"invoice_id": "I1", "months": 12}
PROXY: Arguments = {"patient_id": "P1", "proxy_id": "P3", "scope": "everything"}
A_SCAN = {"kind": "heart scan", "clinician_id": "C2"}


class Case(NamedTuple):
    """A call that is fine in one practice and breaks one clause in another."""

    clause: str
    tool: str
    arguments: Arguments
    bad: Mapping[str, Mapping[str, Any]]
    good: Mapping[str, Mapping[str, Any]] = NOTHING
    bad_arguments: Arguments | None = None


CASES = (
    Case("2.2", "book_appointment", CHECK_UP, {"S11": {"start": in_hours(23.5)}}, {"S11": {"start": in_hours(24)}}),
    Case("2.2", "move_appointment", MOVE, {"S12": {"start": in_hours(23.5)}}, {"S12": {"start": in_hours(24)}}),
    Case(
        "2.3",
        "book_appointment",
        CHECK_UP,
        {"S11": {"start": f"{on(5)} 10:44"}},
        {"S11": {"start": f"{on(5)} 10:45"}},
    ),
    Case(
        "2.3",
        "book_appointment",
        CHECK_UP,
        {"S11": {"start": f"{on(5)} 09:01"}},
        {"S11": {"start": f"{on(5)} 09:00"}},
    ),
    Case("2.4", "book_appointment", CHECK_UP, {"P1": {"born": "2008-06-17"}}, {"P1": {"born": "2008-06-16"}}),
    Case("2.4", "book_appointment", CHILD_CHECK, {"P2": {"born": "2010-06-16"}}, {"P2": {"born": "2010-06-17"}}),
    Case("2.5", "book_appointment", SCAN, {"R1": {"valid_until": on(7)}}, {"R1": {"valid_until": on(8)}}),
    Case("2.5", "book_appointment", SCAN, {"R1": {"kind": "skin check"}}),
    Case("2.5", "move_appointment", MOVE_PHYSIO, {"R2": {"valid_until": on(14)}}, {"R2": {"valid_until": on(15)}}),
    Case(
        "2.6",
        "book_appointment",
        SCAN,
        {"R1": {"issued": on(-40)}, "A3": {"start": f"{on(-40)} 10:00"}},
        {"R1": {"issued": on(-39)}, "A3": {"start": f"{on(-40)} 10:00"}},
    ),
    Case("2.6", "book_appointment", PHYSIO, {"R2": {"visits": 1}}, {"R2": {"visits": 2}}),
    Case(
        "2.7",
        "book_appointment",
        CHECK_UP,
        {"A2": {"start": f"{on(-356)} 10:00"}},
        {"A2": {"start": f"{on(-357)} 10:00"}},
    ),
    Case(
        "2.7",
        "move_appointment",
        MOVE,
        {"A2": {"kind": "flu shot", "start": f"{on(200)} 10:00"}},
        {"A2": {"kind": "flu shot", "start": f"{on(-300)} 10:00"}},
    ),
    Case(
        "2.8",
        "book_appointment",
        CHECK_UP,
        {"P1": {"plan_id": "L2"}, "S11": {"site": "South"}},
        {"S11": {"site": "South"}},
    ),
    Case(
        "2.8",
        "move_appointment",
        MOVE,
        {"P1": {"next_plan_id": "L2"}, "S12": {"site": "South", "start": "2026-07-01 10:00"}},
        {"P1": {"next_plan_id": "L2"}, "S12": {"site": "South", "start": "2026-06-30 10:00"}},
    ),
    Case("2.9", "book_appointment", CHECK_UP, {"I1": {"due": on(-31)}}, {"I1": {"due": on(-30)}}),
    Case("3.2", "move_appointment", MOVE, {"A1": {"start": in_hours(23.5)}}, {"A1": {"start": in_hours(24)}}),
    Case("3.3", "move_appointment", MOVE, {"A1": {"moves": 2}}, {"A1": {"moves": 1}}),
    Case("3.4", "move_appointment", MOVE_PHYSIO, {}, bad_arguments={**MOVE_PHYSIO, "slot_id": "S15"}),
    Case(
        "3.5",
        "move_appointment",
        {**MOVE, "slot_id": "S13"},
        {"A1": {**A_SCAN, "start": in_hours(71)}},
        {"A1": {**A_SCAN, "start": in_hours(72)}},
    ),
    Case(
        "3.5",
        "cancel_appointment",
        CANCEL,
        {"A1": {**A_SCAN, "start": in_hours(71)}},
        {"A1": {**A_SCAN, "start": in_hours(72)}},
    ),
    Case("3.6", "cancel_appointment", CANCEL, {"A1": {"start": in_hours(1.5)}}, {"A1": {"start": in_hours(2)}}),
    Case("4.2", "request_refill", REFILL, {"X1": {"last_filled": on(-22)}}, {"X1": {"last_filled": on(-23)}}),
    Case(
        "4.3",
        "request_refill",
        REFILL,
        {"X1": {"controlled": True, "last_filled": on(-29)}},
        {"X1": {"controlled": True, "last_filled": on(-30)}},
    ),
    Case("4.4", "request_refill", REFILL, {"X1": {"valid_until": on(-1)}}, {"X1": {"valid_until": on(0)}}),
    Case("4.5", "request_refill", REFILL, {"P1": {"allergies": ("statins",)}}, {"P1": {"allergies": ("opioids",)}}),
    Case(
        "4.6",
        "request_refill",
        REFILL,
        {"A3": {"start": f"{on(-366)} 10:00"}},
        {"A3": {"start": f"{on(-365)} 10:00"}},
    ),
    Case("4.6", "request_refill", REFILL, {"A3": {"status": "missed"}}),
    Case("4.7", "change_pharmacy", PHARMACY, {"X1": {"controlled": True}}),
    Case("5.1", "change_plan", PLAN, {"P1": {"plan_changed": "2026-01-01"}}, {"P1": {"plan_changed": "2025-12-31"}}),
    Case(
        "5.2",
        "change_plan",
        PLAN,
        {"A1": {"site": "South", "start": "2026-07-01 08:00"}},
        {"A1": {"site": "South", "start": "2026-06-30 16:00"}},
    ),
    Case(
        "5.3",
        "change_plan",
        {**PLAN, "plan_id": "L3"},
        {"P1": {"born": "1999-07-01"}},
        {"P1": {"born": "1999-07-02"}},
    ),
    Case(
        "5.4",
        "set_up_instalments",
        {**INSTALMENTS, "months": 2},
        {"I1": {"cents": MIN_INSTALMENT_INVOICE_CENTS - 1}},
        {"I1": {"cents": MIN_INSTALMENT_INVOICE_CENTS}},
    ),
    Case("5.5", "set_up_instalments", INSTALMENTS, {}, bad_arguments={**INSTALMENTS, "months": 13}),
    Case("5.6", "set_up_instalments", INSTALMENTS, {"I2": {"status": "in instalments"}}),
    Case("6.1", "name_proxy", PROXY, {}, bad_arguments={**PROXY, "patient_id": "P2"}),
    Case("6.2", "name_proxy", PROXY, {"P3": {"born": "2008-06-09"}}, {"P3": {"born": "2008-06-08"}}),
    Case(
        "6.3",
        "name_proxy",
        PROXY,
        {"P1": {"proxies": (Proxy(PatientId("P5"), "appointments"),)}},
        {"P1": {"proxies": (Proxy(PatientId("P3"), "appointments"),)}},
    ),
    Case("6.4", "book_interpreter", INTERPRETER, {"A1": {"start": in_hours(71)}}, {"A1": {"start": in_hours(72)}}),
    Case("6.5", "book_interpreter", INTERPRETER, {}, bad_arguments={**INTERPRETER, "language": "Spanish"}),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.clause}-{case.tool}")
def test_a_rule_forbids_one_call_and_lets_its_twin_pass(case: Case):
    good, bad = desk(case.good), desk(case.bad)
    assert good.clauses(case.tool, case.arguments) == set()
    good.run(case.tool, case.arguments)
    arguments = case.bad_arguments or case.arguments
    assert bad.clauses(case.tool, arguments) == {case.clause}
    bad.run(case.tool, arguments)  # no tool enforces it


def near(one: Desk, tool: str, arguments: Arguments) -> set[str]:
    """Clauses that a call keeps by so little that an agent has to look closely."""
    call = ToolCall(id="c", name=tool, arguments=arguments)
    context = RuleContext(one.db, call, one.environment.past, True)
    return {rule.clause for rule in DOMAIN.rules if tool in rule.tools and rule.near and rule.near(context)}


FOR_BO: Arguments = {"patient_id": "P2", "plan_id": "L2"}
FOR_EVE: Arguments = {"patient_id": "P5", "plan_id": "L2"}
BY_BESIDE_ANOTHER = ("4.5", "4.7", "5.6", "6.1", "6.5")
"""Clauses that a call comes near only beside another thing that they forbid."""
NARROW = (
    *(
        case
        for case in CASES
        if case.good and case.clause not in BY_BESIDE_ANOTHER and case.good != {"S11": {"site": "South"}}
    ),
    Case("1.3", "book_appointment", CHILD_CHECK, {"P2": {"guardians": ()}}),
    Case("1.4", "change_plan", FOR_BO, {"P2": {"born": "2010-06-08"}}, {"P2": {"born": "2010-06-09"}}),
    Case("1.5", "change_plan", FOR_EVE, {"P5": {"proxies": (Proxy(PatientId("P1"), "appointments"),)}}),
    Case(
        "2.9", "book_appointment", CHILD_CHECK, {"I1": {"due": on(-31)}}, {"I1": {"due": on(-31), "patient_id": "P2"}}
    ),
    Case("3.4", "move_appointment", MOVE_PHYSIO, {"S15": {"kind": "check-up"}}),
    Case("4.5", "request_refill", REFILL, {"P1": {"allergies": ("statins",)}}, {"P3": {"allergies": ("statins",)}}),
    Case("5.5", "set_up_instalments", INSTALMENTS, NOTHING, bad_arguments={**INSTALMENTS, "months": 13}),
    Case("5.6", "set_up_instalments", INSTALMENTS, NOTHING, {"I2": {"status": "in instalments", "patient_id": "P3"}}),
    Case(
        "6.5", "book_interpreter", INTERPRETER, {"C1": {"languages": ("Turkish",)}}, {"C3": {"languages": ("Turkish",)}}
    ),
)


@pytest.mark.parametrize("case", NARROW, ids=lambda case: f"{case.clause}-{case.tool}")
def test_a_call_that_is_just_allowed_is_near_its_clause_and_a_forbidden_one_is_not(case: Case):
    assert case.clause in near(desk(case.good), case.tool, case.arguments)
    assert case.clause not in near(desk(case.bad), case.tool, case.bad_arguments or case.arguments)


def test_4_7_is_near_for_a_patient_who_takes_a_controlled_drug_too():
    one = desk()
    assert near(one, "change_pharmacy", PHARMACY) == set()
    other = replace(one.db.prescriptions["X1"], id=PrescriptionId("X2"), drug="Otherol", controlled=True)
    one.db.prescriptions.put(other)
    assert near(one, "change_pharmacy", PHARMACY) == {"4.7"}
    assert near(one, "change_pharmacy", {**PHARMACY, "prescription_id": "X2"}) == set()


WIDE: tuple[tuple[str, Arguments, Mapping[str, Mapping[str, Any]]], ...] = (
    ("book_appointment", CHECK_UP, {"A2": {"start": f"{on(-500)} 10:00"}}),
    ("book_appointment", PHYSIO, {}),
    ("move_appointment", MOVE, {"S12": {"start": in_hours(30.5)}}),
    ("move_appointment", MOVE, {"A1": {"start": in_hours(30.5)}}),
    ("cancel_appointment", CANCEL, {"A1": {"start": in_hours(2.6)}}),
    ("book_interpreter", INTERPRETER, {"A1": {"start": in_hours(91)}}),
    ("request_refill", REFILL, {"X1": {"last_filled": on(-25)}}),
    ("request_refill", REFILL, {"X1": {"controlled": True, "last_filled": on(-33)}}),
    ("request_refill", REFILL, {"X1": {"refills_left": 0, "valid_until": on(0)}}),
    ("change_plan", PLAN, {}),
    ("set_up_instalments", {**INSTALMENTS, "months": 3}, {}),
    ("name_proxy", PROXY, {}),
)


@pytest.mark.parametrize(("tool", "arguments", "edits"), WIDE)
def test_a_call_with_room_to_spare_is_near_no_clause(
    tool: str, arguments: Arguments, edits: Mapping[str, Mapping[str, Any]]
):
    assert near(desk(edits), tool, arguments) == set()


@pytest.mark.parametrize("split", ["train", "test"])
def test_callers_come_near_every_clause_and_meet_every_constraint(split: Split):
    sides = {rule.clause for rule in DOMAIN.rules if rule.near}
    assert sides == {rule.clause for rule in DOMAIN.rules} - {"1.1", "1.2", "1.7", "6.1"}
    assert never_near(DOMAIN, split, size=600) == set()
    assert never_met(DOMAIN, split) == set()


def test_a_visit_that_was_booked_is_off_again_and_free_of_charge_when_it_is_taken_back():
    one = desk()
    booked = one.run("book_appointment", CHECK_UP)
    wish = DOMAIN.wish_by_tool["book_appointment"]
    slots = {"patient": "Ann", "kind": "check-up", "day": "June 16", "clinician": "Dr. Berg"}
    assert wish.undo is not None
    (undo,) = wish.undo(one.db, CHECK_UP, slots, booked)
    assert undo.proposal == "cancel Ann's new check-up on June 16 with Dr. Berg"
    assert one.clauses(undo.tool, undo.arguments) == set()
    assert one.run(undo.tool, undo.arguments).fee == "0.00"
    assert not is_ahead(one.db.appointments[booked.appointment_id])
    assert [row.status for row in one.db.invoices.where("patient_id", "P1")] == ["open", "paid"]
    soon = desk({"S11": {"start": in_hours(47)}})
    assert list(wish.undo(soon.db, CHECK_UP, slots, soon.run("book_appointment", CHECK_UP))) == []


def test_every_visit_that_can_be_taken_back_leaves_another_state_only_in_the_calendar():
    assert {wish.tool for wish in DOMAIN.wishes if wish.undo} == {"book_appointment"}
    assert len(undone(DOMAIN, "test", most=50)) >= 50


def test_a_visit_that_was_cancelled_before_the_talk_can_be_meant_and_is_told_as_such():
    for status, number in (("booked", 2), ("cancelled", 1)):
        one = desk()
        ahead = one.db.appointments["A1"]
        one.db.appointments.put(replace(ahead, status=status))
        meant = list(DOMAIN.wish_by_tool["cancel_appointment"].candidates(one.db, "P1"))
        assert len(meant) == number  # what is cancelled in the talk itself is known to be
    db = DOMAIN.open(DataSpec(seed=5, size=300, split="train"))
    assert isinstance(db, ClinicDB)
    off = {row.id for row in db.appointments if row.status == "cancelled"}
    for tool in ("cancel_appointment", "move_appointment", "book_interpreter"):
        found = (one for row in DOMAIN.callers.ids(db) for one in DOMAIN.wish_by_tool[tool].candidates(db, row))
        assert off & {str(one.arguments["appointment_id"]) for one in found}


def test_every_rule_is_tested():
    elsewhere = {"1.1", "1.2", "1.3", "1.4", "1.5", "1.7"}
    assert {case.clause for case in CASES} | elsewhere == {rule.clause for rule in DOMAIN.rules}


def test_1_1_records_are_closed_until_the_caller_is_found_in_either_way():
    for name, arguments in (
        ("find_patient", {"name": "ann lee", "born": "1980-01-15"}),
        ("find_patient_by_phone", {"phone": " 000-1 "}),
    ):
        found = desk(identify=False)
        assert found.clauses("get_patient", {"patient_id": "P1"}) == {"1.1"}
        assert found.clauses("find_slots", {"patient_id": "P1", "kind": "check-up"}) == {"1.1"}
        assert found.run(name, {**arguments}).patient_id == "P1"
        assert found.clauses("get_patient", {"patient_id": "P1"}) == set()


def test_1_2_looks_up_one_person_only():
    found = desk()
    assert found.clauses("find_patient", {"name": "Cy Lee", "born": "1979-03-03"}) == {"1.2"}
    assert found.clauses("find_patient_by_phone", {"phone": "000-3"}) == {"1.2"}
    assert found.clauses("find_patient", {"name": "Ann Lee", "born": "1980-01-15"}) == set()
    assert found.clauses("find_patient_by_phone", {"phone": ""}) == set()


def test_1_3_to_1_5_open_to_a_caller_what_their_access_covers():
    found = desk()
    stranger = next(row.id for row in found.db.patients if row.practice_id != HERE)

    def look(patient_id: str) -> tuple[set[str], set[str]]:
        visits = found.clauses("list_appointments", {"patient_id": patient_id})
        return visits, found.clauses("list_invoices", {"patient_id": patient_id})

    assert look("P1") == (set(), set())
    assert look("P2") == (set(), set())
    assert look("P3") == look(stranger) == ({"1.3"}, {"1.3"})
    assert look("P4") == ({"1.4"}, {"1.4"})
    assert look("P5") == (set(), set())
    assert look("P6") == (set(), {"1.5"})


def test_1_3_holds_for_what_belongs_to_a_patient_too():
    found = desk({"A1": {"patient_id": "P3"}, "X1": {"patient_id": "P6"}, "I1": {"patient_id": "P4"}})
    assert found.clauses("cancel_appointment", CANCEL) == {"1.3"}
    assert "1.5" in found.clauses("request_refill", REFILL)
    assert found.clauses("set_up_instalments", INSTALMENTS) == {"1.4"}


def test_1_4_ends_on_the_birthday_and_a_proxy_outlives_it():
    read: Arguments = {"patient_id": "P4"}
    assert desk({"P4": {"born": "2010-06-09"}}).clauses("get_patient", read) == set()
    trusted = desk({"P4": {"proxies": (Proxy(PatientId("P1"), "everything"),)}})
    assert trusted.clauses("get_patient", read) == set()


@pytest.mark.parametrize("name", [tool.name for tool in DOMAIN.tools if tool.writes])
def test_1_7_every_write_needs_a_yes(name: str):
    assert name in next(rule for rule in DOMAIN.rules if rule.clause == "1.7").tools
    assert desk().clauses("cancel_appointment", CANCEL, confirmed=False) == {"1.7"}
    assert desk().clauses("cancel_appointment", CANCEL, confirmed=None) == set()


def test_a_visit_that_was_missed_counts_for_no_gap_and_no_referral():
    recent = {"A2": {"start": f"{on(-10)} 10:00", "status": "missed"}}
    assert desk(recent).clauses("book_appointment", CHECK_UP) == set()
    used = {"R2": {"visits": 1}, "A4": {"status": "cancelled"}}
    assert desk(used).clauses("book_appointment", PHYSIO) == set()


def test_2_9_is_about_the_caller_whoever_the_visit_is_for():
    owes = {"I1": {"due": on(-31)}}
    assert desk(owes).clauses("book_appointment", CHILD_CHECK) == {"2.9"}
    assert desk({"I1": {"due": on(-31), "patient_id": "P2"}}).clauses("book_appointment", CHILD_CHECK) == set()
    assert desk(owes).clauses("move_appointment", MOVE) == set()


def test_a_rule_is_silent_where_the_backend_refuses_anyway():
    over = {"A1": {"start": f"{on(-1)} 10:00", "moves": 2}}
    assert desk(over).clauses("move_appointment", MOVE) == set()
    assert desk(over).clauses("cancel_appointment", CANCEL) == set()
    assert desk({"A1": {"moves": 2}}).clauses("move_appointment", {**MOVE, "slot_id": "S11"}) == set()
    assert desk({"A1": {"interpreter": "French"}}).clauses("book_interpreter", INTERPRETER) == set()
    assert desk({"X1": {"refills_left": 0, "valid_until": on(-1)}}).clauses("request_refill", REFILL) == set()
    assert desk({"X1": {"controlled": True}}).clauses("change_pharmacy", {**PHARMACY, "pharmacy_id": "H1"}) == set()
    assert desk({"P1": {"plan_changed": on(-1)}}).clauses("change_plan", {**PLAN, "plan_id": "L1"}) == set()
    assert desk({"I1": {"status": "paid", "cents": 1}}).clauses("set_up_instalments", INSTALMENTS) == set()
    assert desk().clauses("set_up_instalments", {**INSTALMENTS, "months": 25}) == set()
    assert desk().clauses("name_proxy", {**PROXY, "proxy_id": "P1"}) == set()


REFUSALS: tuple[tuple[str, Arguments, Mapping[str, Mapping[str, Any]], str], ...] = (
    ("find_patient", {"name": "Ann Lee", "born": "1980-01-16"}, {}, "ask for the phone number"),
    ("find_patient", {"name": "Ann Lee", "born": "15 January 1980"}, {}, "'1984-03-02'"),
    ("find_patient_by_phone", {"phone": "000-0"}, {}, "name and date of birth"),
    ("find_patient_by_phone", {"phone": ""}, {}, "name and date of birth"),
    ("get_patient", {"patient_id": "P0"}, {}, "come from find_patient"),
    ("list_appointments", {"patient_id": "P0"}, {}, "come from find_patient"),
    ("find_slots", {"patient_id": "P0", "kind": "check-up"}, {}, "come from find_patient"),
    ("find_slots", {"patient_id": "P1", "kind": "haircut"}, {}, "kind"),
    ("find_slots", {"patient_id": "P1", "kind": "check-up", "day": "June 12"}, {}, "'2026-06-12'"),
    ("find_slots", {"patient_id": "P1", "kind": "check-up", "site": "East"}, {}, "North, South"),
    ("find_new_times", {"appointment_id": "A2"}, {}, "is done"),
    ("quote_visit", {"patient_id": "P1", "slot_id": "S0"}, {}, "come from find_slots"),
    ("list_referrals", {"patient_id": "P0"}, {}, "come from find_patient"),
    ("list_prescriptions", {"patient_id": "P0"}, {}, "come from find_patient"),
    ("list_pharmacies", {"patient_id": "P0"}, {}, "come from find_patient"),
    ("list_plans", {"patient_id": "P0"}, {}, "come from find_patient"),
    ("list_invoices", {"patient_id": "P0"}, {}, "come from find_patient"),
    ("book_appointment", {**CHECK_UP, "slot_id": "S9"}, {}, "come from find_slots"),
    ("book_appointment", CHECK_UP, {"P1": {"practice_id": "G2"}}, "another practice"),
    ("move_appointment", {**MOVE, "appointment_id": "A0"}, {}, "come from list_appointments"),
    ("move_appointment", MOVE, {"A1": {"start": f"{on(0)} 08:00"}}, "is over"),
    ("move_appointment", {**MOVE, "slot_id": "S11"}, {}, "find_new_times"),
    ("cancel_appointment", CANCEL, {"A1": {"status": "cancelled"}}, "only booked visits ahead"),
    ("book_interpreter", INTERPRETER, {"A1": {"interpreter": "French"}}, "only one"),
    ("book_interpreter", {**INTERPRETER, "language": "Klingon"}, {}, "language"),
    ("request_refill", {"prescription_id": "X0"}, {}, "come from list_prescriptions"),
    ("request_refill", REFILL, {"X1": {"refills_left": 0}}, "write a new one"),
    ("change_pharmacy", {**PHARMACY, "pharmacy_id": "H1"}, {}, "already"),
    ("change_pharmacy", {**PHARMACY, "pharmacy_id": "H9"}, {}, "list_pharmacies"),
    ("change_plan", {**PLAN, "plan_id": "L1"}, {}, "already"),
    ("change_plan", PLAN, {"P1": {"next_plan_id": "L2"}}, "already"),
    ("change_plan", {**PLAN, "plan_id": "L9"}, {}, "list_plans"),
    ("set_up_instalments", {**INSTALMENTS, "invoice_id": "I0"}, {}, "come from list_invoices"),
    ("set_up_instalments", INSTALMENTS, {"I1": {"status": "paid"}}, "only open invoices"),
    ("set_up_instalments", {**INSTALMENTS, "months": 1}, {}, "from 2 to 24"),
    ("name_proxy", {**PROXY, "proxy_id": "P1"}, {}, "find_patient lists"),
    ("name_proxy", PROXY, {"P1": {"proxies": (Proxy(PatientId("P3"), "everything"),)}}, "already"),
)


@pytest.mark.parametrize(("name", "arguments", "edits", "advice"), REFUSALS)
def test_a_refused_call_gives_advice_and_changes_nothing(
    name: str, arguments: Arguments, edits: Mapping[str, Mapping[str, Any]], advice: str
):
    found = desk(edits)
    before = found.db.state_hash()
    with pytest.raises(ToolError, match=re.escape(advice)):
        found.run(name, arguments)
    assert found.db.state_hash() == before


def test_every_tool_refuses_something():
    assert {name for name, *_ in REFUSALS} == set(DOMAIN.tool_by_name)


def test_what_a_visit_costs_follows_its_kind_its_site_and_the_plan_of_its_day():
    found = desk({"P1": {"next_plan_id": "L2"}, "S12": {"start": "2026-07-02 10:00", "site": "South"}})
    assert found.run("quote_visit", {"patient_id": "P1", "slot_id": "S11"}).to_pay == "15.00"
    assert found.run("quote_visit", {"patient_id": "P1", "slot_id": "S13"}).to_pay == "40.00"
    outside = found.run("quote_visit", {"patient_id": "P1", "slot_id": "S12"})
    assert (outside.plan, outside.in_network, outside.to_pay) == ("Beta", False, money(TERMS["flu shot"].price_cents))
    assert found.run("book_appointment", SCAN).to_pay == "40.00"


@pytest.mark.parametrize(
    ("visit", "fee"),
    [
        ({"start": in_hours(48)}, "0.00"),
        ({"start": in_hours(47.5)}, "25.00"),
        ({**A_SCAN, "start": in_hours(47.5)}, "40.00"),
    ],
)
def test_a_late_cancellation_costs_a_fee_that_is_billed(visit: Mapping[str, Any], fee: str):
    found = desk({"A1": visit, "I1": {"status": "paid"}})
    assert found.run("cancel_appointment", CANCEL).fee == fee
    account = found.run("list_invoices", {"patient_id": "P1"})
    assert account.to_pay == fee
    assert [row.text for row in account.invoices if row.status == "open"] == ["cancellation"] * (fee != "0.00")


def test_a_refill_is_ready_after_the_working_days_of_its_pharmacy():
    found = desk()
    done = found.run("request_refill", REFILL)
    assert (done.pharmacy, done.ready, done.refills_left) == ("Ash Pharmacy", "2026-06-11", 1)
    assert found.clauses("request_refill", REFILL) == {"4.2"}
    found.run("change_pharmacy", PHARMACY)
    assert found.run("request_refill", REFILL).ready == "2026-06-15"
    assert add_working_days(date(2026, 6, 12), 1) == date(2026, 6, 15)


@given(st.dates(date(2026, 1, 1), date(2027, 1, 1)), st.integers(1, 40))
def test_working_days_are_the_days_from_monday_to_friday(day: date, count: int):
    later = add_working_days(day, count)
    after = [day + timedelta(days=number + 1) for number in range((later - day).days)]
    assert sum(one.weekday() < 5 for one in after) == count and later.weekday() < 5


@given(st.integers(MIN_INSTALMENT_INVOICE_CENTS, 10**7), st.sampled_from(MONTHS))
def test_instalments_sum_up_to_the_invoice(cents: int, months: int):
    done = desk({"I1": {"cents": cents}}).run("set_up_instalments", {**INSTALMENTS, "months": months})
    monthly, last = (int(text.replace(".", "")) for text in (done.monthly, done.last))
    assert monthly * (months - 1) + last == cents
    assert monthly <= last < monthly + months


def test_instalments_round_down_and_the_last_takes_the_rest():
    found = desk({"I1": {"cents": 10000}})
    done = found.run("set_up_instalments", {**INSTALMENTS, "months": 3})
    assert (done.monthly, done.last) == ("33.33", "33.34")
    account = found.run("list_invoices", {"patient_id": "P1"})
    assert (account.to_pay, account.invoices[0].status) == ("100.00", "in instalments")


def test_writes_reach_the_rows_they_name():
    found = desk()
    booked = found.run("book_appointment", CHECK_UP)
    found.run("book_interpreter", {"appointment_id": booked.appointment_id, "language": "Polish"})
    found.run("move_appointment", MOVE)
    found.run("change_plan", PLAN)
    found.run("name_proxy", PROXY)
    found.run("name_proxy", {**PROXY, "scope": "appointments"})
    found.run("cancel_appointment", {"appointment_id": "A4"})
    visits = {row.appointment_id: row for row in found.run("list_appointments", {"patient_id": "P1"})}
    new, moved = visits[booked.appointment_id], visits["A1"]
    assert (new.kind, new.clinician, new.start, new.end) == ("check-up", "Dr. Nadia Berg", f"{on(8)} 10:00", "10:30")
    assert (new.interpreter, new.languages) == ("Polish", ("English", "Spanish"))
    assert (moved.start, moved.moves, visits["A4"].status) == (f"{on(9)} 10:00", 1, "cancelled")
    assert found.run("find_slots", {"patient_id": "P1", "kind": "check-up"}) == []
    record = found.run("get_patient", {"patient_id": "P1"})
    assert (record.plan, record.next_plan, record.plan_changed) == ("Alpha", "Beta", TODAY.isoformat())
    assert record.proxies == ("Cy Lee (appointments)",)


def test_free_times_come_in_order_and_can_be_narrowed_down():
    found = desk({"S15": {"site": "South"}})
    everything: Arguments = {"patient_id": "P1", "kind": "physio session"}
    assert [row.slot_id for row in found.run("find_slots", everything)] == ["S14", "S15"]
    assert [row.slot_id for row in found.run("find_slots", {**everything, "site": "South"})] == ["S15"]
    assert found.run("find_slots", {**everything, "day": on(14)}) == []
    assert found.run("find_new_times", {"appointment_id": "A4"}) == found.run("find_slots", everything)


def test_a_look_up_shows_what_the_caller_may_do_for_the_family():
    family = desk().run("find_patient", {"name": "Ann Lee", "born": "1980-01-15"}).family
    assert {row.name[:2]: row.access for row in family} == {
        "Bo": "guardian",
        "Cy": "none",
        "Di": "guardian",
        "Ev": "everything",
        "Fa": "appointments",
    }


def test_splits_share_no_person_place_product_or_id():
    def words(split: str) -> set[str]:
        base = DOMAIN.generate(DataSpec(seed=1, size=600, split=split))  # type: ignore[arg-type]
        db = ClinicDB(base)
        found = {row.id for name in base.tables for row in base.tables[name].values()}
        found |= {word for row in db.patients for word in (row.name, row.phone, *row.name.split()) if word}
        found |= {word for row in db.clinicians for word in (*row.name.removeprefix("Dr. ").split(), *row.sites)}
        found |= {row.name for row in db.plans} | {row.name for row in db.pharmacies}
        return found | {row.drug for row in db.prescriptions}

    assert not words("train") & words("test")


@pytest.mark.parametrize("size", [1, 50, 2000])
def test_data_has_the_size_asked_for_and_is_sound(size: int):
    db = ClinicDB(DOMAIN.generate(DataSpec(seed=2, size=size, split="test")))
    patients = list(db.patients)
    assert len(db.appointments) == size
    assert size / 6 <= len(patients) <= size / 2 + 8
    assert len({(row.name, row.born) for row in patients}) == len(patients)
    phones = [row.phone for row in patients if age_on(row.born, TODAY) >= 18]
    assert len(set(phones)) == len(phones) == sum(bool(row.phone) for row in patients)
    starts = [(row.clinician_id, row.start) for row in (*db.appointments, *db.slots)]
    assert len(set(starts)) == len(starts)
    assert not {row.id[1:] for row in db.slots} & {row.id[1:] for row in db.appointments}  # a booking keeps the number
    for patient in patients:
        family = [db.patients[member] for member in patient.family]
        assert len({row.first_name for row in (patient, *family)}) == len(family) + 1
        assert all(patient.id in row.family and row.practice_id == patient.practice_id for row in family)
        visits = db.appointments.where("patient_id", patient.id)
        assert len({day_of(row.start) for row in visits}) == len(visits)
        for row in visits:
            youngest, oldest = TERMS[row.kind].ages
            assert youngest <= age_on(patient.born, TODAY) <= oldest
            assert is_ahead(row) == (row.status == "booked")
            assert db.clinicians[row.clinician_id].specialty == TERMS[row.kind].specialty
            assert row.site in db.clinicians[row.clinician_id].sites
        drugs = [row.drug for row in db.prescriptions.where("patient_id", patient.id)]
        assert len(set(drugs)) == len(drugs)
    assert all(moment(row.start) > NOW for row in db.slots)


def test_a_practice_does_not_grow_with_the_data():
    def largest(size: int) -> int:
        db = ClinicDB(DOMAIN.generate(DataSpec(seed=3, size=size, split="train")))
        return max(len(db.patients.where("practice_id", row.practice_id)) for row in db.clinicians)

    assert largest(3000) < 1.5 * largest(400)


def test_what_is_said_of_a_candidate_tells_it_from_all_others():
    db = DOMAIN.open(DataSpec(seed=5, size=300, split="train"))
    for caller in list(DOMAIN.callers.ids(db))[:25]:
        for wish in DOMAIN.wishes:
            found = list(wish.candidates(db, caller))
            said = [tuple(sorted(candidate.slots.items())) for candidate in found]
            assert len(set(said)) == len(said), wish.tool


def test_a_day_of_another_year_is_said_with_its_year():
    assert spoken_day("2026-06-12") == "June 12"
    assert spoken_day("2025-06-12") == "June 12, 2025"


def reads_before(db: ClinicDB, caller: str, call: ToolCall) -> Iterator[tuple[str, Arguments]]:
    """The reads that show the ids of a call."""
    row = db.patients[caller]
    yield "find_patient", {"name": row.name, "born": row.born}
    arguments = {name: str(value) for name, value in call.arguments.items()}
    if "appointment_id" in arguments:
        yield "list_appointments", {"patient_id": db.appointments[arguments["appointment_id"]].patient_id}
    if call.name == "move_appointment":
        yield "find_new_times", {"appointment_id": arguments["appointment_id"]}
    if call.name == "book_appointment":
        yield "find_slots", {"patient_id": caller, "kind": db.slots[arguments["slot_id"]].kind}
    if "prescription_id" in arguments:
        yield "list_prescriptions", {"patient_id": db.prescriptions[arguments["prescription_id"]].patient_id}
    if "pharmacy_id" in arguments:
        yield "list_pharmacies", {"patient_id": caller}
    if "plan_id" in arguments:
        yield "list_plans", {"patient_id": caller}
    if "invoice_id" in arguments:
        yield "list_invoices", {"patient_id": db.invoices[arguments["invoice_id"]].patient_id}


def blocked_walk(data: DataSpec, caller: str, call: ToolCall, rule: Rule) -> Trajectory | None:
    """The walk to a call that breaks `rule`; None where a read on the way breaks one too."""
    environment = Environment(DOMAIN, data)
    steps: list[Step] = []
    assert isinstance(environment.db, ClinicDB)
    for number, (name, arguments) in enumerate(reads_before(environment.db, caller, call)):
        read = ToolCall(id=f"call_{number}", name=name, arguments=arguments)
        done = environment.run(read)
        if done.broken:
            return None
        steps.append(Step(call=read, content=done.content, writes=False))
    block = Blocked(call=call, clause=rule.clause, reason=rule.reason)
    return Trajectory(id=rule.clause, domain=DOMAIN.name, data=data, caller=caller, steps=tuple(steps), blocked=block)


def test_every_clause_that_forbids_a_wish_becomes_a_proved_infeasible_task():
    data = DataSpec(seed=0, size=500, split="train")
    writes = [wish for wish in DOMAIN.wishes if DOMAIN.tool_by_name[wish.tool].writes]
    missing = {rule.clause for rule in DOMAIN.rules} - {"1.1", "1.2", "1.7"}
    for caller in DOMAIN.callers.ids(DOMAIN.open(data)):
        environment = Environment(DOMAIN, data)
        phone = environment.db.patients[caller].phone  # type: ignore[attr-defined]
        environment.run(ToolCall(id="c", name="find_patient_by_phone", arguments={"phone": phone}))
        for wish in writes:
            for candidate in wish.candidates(environment.db, caller):
                call = ToolCall(id="blocked", name=wish.tool, arguments=candidate.arguments)
                broken = environment.breaks(call)
                if len(broken) != 1 or broken[0].clause not in missing:
                    continue
                walk = blocked_walk(data, caller, call, broken[0])
                if walk is None:
                    continue
                task = write_task(Intent.INFEASIBLE, Scene(DOMAIN, walk, random.Random(0)), "train", random.Random(0))
                assert prove(DOMAIN, task) == ""
                missing.discard(broken[0].clause)
        if not missing:
            return
    pytest.fail(f"no candidate breaks only {sorted(missing)}")


@pytest.mark.parametrize("split", ["train", "test"])
def test_tasks_of_every_intent_come_out_proved_in_good_numbers(split: str):
    data = DataSpec(seed=4, size=120, split=split)  # type: ignore[arg-type]
    kept, tried = dict.fromkeys(Intent, 0), dict.fromkeys(Intent, 0)
    for walk in explore(DOMAIN, data, 60, max_steps=8, blocked_share=0.4, seed=4, coverage=Coverage()):
        single_write = len([step for step in walk.steps if step.writes]) == 1 and walk.steps[-1].writes
        for intent in Intent:
            if (intent is Intent.INFEASIBLE) != (walk.blocked is not None):
                continue
            if intent in (Intent.AMBIGUOUS, Intent.CHANGING) and not single_write:
                continue
            tried[intent] += 1
            rng = random.Random(f"{walk.id}/{intent}")
            try:
                task = write_task(intent, Scene(DOMAIN, walk, rng), data.split, rng)
            except Unsuitable:
                continue
            kept[intent] += prove(DOMAIN, task) == ""
    assert kept[Intent.GENERAL] >= 0.9 * tried[Intent.GENERAL] > 10
    assert kept[Intent.INFEASIBLE] >= 0.9 * tried[Intent.INFEASIBLE] > 5
    assert kept[Intent.AMBIGUOUS] >= 0.3 * tried[Intent.AMBIGUOUS] > 2
    assert kept[Intent.CHANGING] >= 0.3 * tried[Intent.CHANGING] > 2


def test_the_policy_quotes_the_numbers_that_code_checks():
    policy = DOMAIN.policy
    assert f"Now is Monday, {NOW:%Y-%m-%d, %H:%M}" in policy
    assert f"from {NEXT_PLAN_DAY.isoformat()}" in policy
    gaps = ", ".join(f"{kind} {terms.gap_days}" for kind, terms in TERMS.items())
    assert f"{gaps}." in policy
    assert money(MIN_INSTALMENT_INVOICE_CENTS) in policy and money(MIN_INSTALMENT_CENTS) in policy
    assert len(policy.split()) < 750


def test_a_visit_ends_after_the_minutes_of_its_kind():
    assert f"{end_of('2026-06-12 10:30', 'heart scan'):%H:%M}" == "11:15"
