"""The clauses of ``policy.md`` that code checks and no tool enforces."""

from collections.abc import Callable
from datetime import timedelta
from typing import NamedTuple

from t2t.domain.rule import Constraint, Rule, RuleContext
from t2t.domains.clinic.schema import (
    BOOKING_NOTICE,
    CANCEL_NOTICE,
    EARLY_REFILL_DAYS,
    GUARDIAN_UNTIL_AGE,
    INTERPRETER_NOTICE,
    MAX_MOVES,
    MIN_INSTALMENT_CENTS,
    MIN_INSTALMENT_INVOICE_CENTS,
    MINUTES_BETWEEN_VISITS,
    MONTHS,
    MOVE_NOTICE,
    NEXT_PLAN_DAY,
    NOW,
    OVERDUE_DAYS,
    PROXY_FROM_AGE,
    SCAN_NOTICE,
    SEEN_WITHIN_DAYS,
    TERMS,
    TODAY,
    Access,
    Appointment,
    ClinicDB,
    Invoice,
    Patient,
    Plan,
    Prescription,
    Referral,
    Slot,
    age_on,
    day_of,
    end_of,
    is_ahead,
    moment,
)

_FINDS = frozenset({"find_patient", "find_patient_by_phone"})
_TIMES = frozenset({"book_appointment", "move_appointment"})
_VISIT_WRITES = _TIMES | {"cancel_appointment", "book_interpreter"}
_VISIT_READS = frozenset({"list_appointments", "find_slots", "find_new_times", "quote_visit", "list_referrals"})
_OTHER_WRITES = frozenset({"request_refill", "change_pharmacy", "change_plan", "set_up_instalments", "name_proxy"})
_OTHER_READS = frozenset({"get_patient", "list_prescriptions", "list_pharmacies", "list_plans", "list_invoices"})
_WRITES = _VISIT_WRITES | _OTHER_WRITES
_ALL = _WRITES | _VISIT_READS | _OTHER_READS


class _Visit(NamedTuple):
    """A visit that a call would agree on."""

    patient: Patient
    slot: Slot
    moved: Appointment | None
    """The visit that would take this time, None for a new one."""


def _db(context: RuleContext) -> ClinicDB:
    return context.db


def _text(context: RuleContext, name: str) -> str:
    return str(context.call.arguments.get(name, ""))


def _appointment(context: RuleContext) -> Appointment | None:
    """The visit of the call, unless the backend refuses to change it."""
    row = _db(context).appointments.get(_text(context, "appointment_id"))
    return row if row is not None and is_ahead(row) else None


def _prescription(context: RuleContext) -> Prescription | None:
    """The prescription of the call, unless the backend refuses."""
    row = _db(context).prescriptions.get(_text(context, "prescription_id"))
    if row is None or (context.call.name == "request_refill" and row.refills_left == 0):
        return None
    return row


def _patient(context: RuleContext) -> Patient | None:
    """Whose matter the call is."""
    db = _db(context)
    row = (
        db.appointments.get(_text(context, "appointment_id"))
        or db.prescriptions.get(_text(context, "prescription_id"))
        or db.invoices.get(_text(context, "invoice_id"))
    )
    return db.patients.get(row.patient_id if row else _text(context, "patient_id"))


def _identified(context: RuleContext) -> list[str]:
    return [str(past.value.patient_id) for past in context.past if past.call.name in _FINDS]


def _caller(context: RuleContext) -> Patient | None:
    known = _identified(context)
    return _db(context).patients[known[0]] if known else None


def _access(context: RuleContext) -> Access:
    """What the caller may do for the patient of the call; all, where there is no caller or patient to ask about."""
    caller, patient = _caller(context), _patient(context)
    return "self" if caller is None or patient is None else _db(context).access(caller, patient)


def _visit(context: RuleContext) -> _Visit | None:
    """The visit that the call would agree on, unless the backend refuses."""
    db = _db(context)
    slot, patient, moved = db.slots.get(_text(context, "slot_id")), _patient(context), None
    if slot is None or patient is None or db.clinicians[slot.clinician_id].practice_id != patient.practice_id:
        return None
    if context.call.name == "move_appointment":
        moved = _appointment(context)
        if moved is None or moved.kind != slot.kind:
            return None
    return _Visit(patient, slot, moved)


def _other_visits(context: RuleContext, visit: _Visit) -> list[Appointment]:
    """Visits of the patient that are done or booked, the moved one aside."""
    rows = _db(context).appointments.where("patient_id", visit.patient.id)
    return [
        row for row in rows if row.status in ("done", "booked") and (visit.moved is None or row.id != visit.moved.id)
    ]


def _valid_referrals(context: RuleContext, visit: _Visit) -> list[Referral]:
    day = day_of(visit.slot.start).isoformat()
    rows = _db(context).referrals.where("patient_id", visit.patient.id)
    return [row for row in rows if row.kind == visit.slot.kind and row.valid_until >= day]


def _just(breaks: Callable[[RuleContext], bool], near: Callable[[RuleContext], bool]) -> Callable[[RuleContext], bool]:
    """True for a call that the backend takes and the clause allows, and that is near to breaking it."""
    return lambda context: not breaks(context) and near(context)


def _just_ahead(start: str, notice: timedelta) -> bool:
    """True for a time that keeps a notice by at most a quarter of it."""
    return notice <= moment(start) - NOW <= notice + notice / 4


def _not_identified(context: RuleContext) -> bool:
    return not _identified(context)


def _second_person(context: RuleContext) -> bool:
    db, known = _db(context), _identified(context)
    if context.call.name == "find_patient_by_phone":
        phone = _text(context, "phone").strip()
        found = db.patients.where("phone", phone) if phone else []
    else:
        rows = db.patients.where("name", _text(context, "name").strip().title())
        found = [row for row in rows if row.born == _text(context, "born").strip()]
    return bool(known) and bool(found) and found[0].id not in known


def _no_access(context: RuleContext) -> bool:
    return _access(context) == "none"


def _beside_no_access(context: RuleContext) -> bool:
    """Access to the patient, and none to somebody else of the family."""
    caller, patient = _caller(context), _patient(context)
    if caller is None or patient is None or caller.id == patient.id:
        return False
    db = _db(context)
    return any(db.access(caller, db.patients[member_id]) == "none" for member_id in caller.family)


def _guardianship_over(context: RuleContext) -> bool:
    patient = _patient(context)
    over = patient is not None and age_on(patient.born, TODAY) >= GUARDIAN_UNTIL_AGE
    return over and _access(context) == "guardian"


def _guardianship_ends(context: RuleContext) -> bool:
    """A child in the last year of guardianship, or one past it who named the caller as a proxy."""
    caller, patient = _caller(context), _patient(context)
    if caller is None or patient is None or caller.id not in patient.guardians:
        return False
    return age_on(patient.born, TODAY) >= GUARDIAN_UNTIL_AGE - 1


def _beyond_appointments(context: RuleContext) -> bool:
    return _access(context) == "appointments"


def _beside_appointments(context: RuleContext) -> bool:
    """A proxy for everything."""
    return _access(context) == "everything"


def _not_confirmed(context: RuleContext) -> bool:
    return context.confirmed is False


def _booked_too_late(context: RuleContext) -> bool:
    visit = _visit(context)
    return visit is not None and moment(visit.slot.start) - NOW < BOOKING_NOTICE


def _booked_late(context: RuleContext) -> bool:
    visit = _visit(context)
    return visit is not None and _just_ahead(visit.slot.start, BOOKING_NOTICE)


def _closer_than(context: RuleContext, pause: timedelta) -> bool:
    """True when less than `pause` lies between the visit and another one of the patient."""
    visit = _visit(context)
    if visit is None:
        return False
    start, end = moment(visit.slot.start), end_of(visit.slot.start, visit.slot.kind)
    return any(
        start < end_of(row.start, row.kind) + pause and moment(row.start) < end + pause
        for row in _other_visits(context, visit)
    )


def _too_close_in_time(context: RuleContext) -> bool:
    return _closer_than(context, timedelta(minutes=MINUTES_BETWEEN_VISITS))


def _close_in_time(context: RuleContext) -> bool:
    return _closer_than(context, timedelta(minutes=2 * MINUTES_BETWEEN_VISITS))


def _wrong_age(context: RuleContext) -> bool:
    visit = _visit(context)
    if visit is None:
        return False
    youngest, oldest = TERMS[visit.slot.kind].ages
    return not youngest <= age_on(visit.patient.born, day_of(visit.slot.start)) <= oldest


def _hardly_the_age(context: RuleContext) -> bool:
    visit = _visit(context)
    if visit is None:
        return False
    youngest, oldest = TERMS[visit.slot.kind].ages
    age = age_on(visit.patient.born, day_of(visit.slot.start))
    return (youngest > 0 and age - youngest < _LAST_YEARS) or oldest - age < _LAST_YEARS


def _no_referral(context: RuleContext) -> bool:
    visit = _visit(context)
    return visit is not None and TERMS[visit.slot.kind].referral and not _valid_referrals(context, visit)


def _referral_ends(context: RuleContext) -> bool:
    visit = _visit(context)
    if visit is None or not TERMS[visit.slot.kind].referral:
        return False
    last = max((row.valid_until for row in _valid_referrals(context, visit)), default="")
    return bool(last) and (day_of(last) - day_of(visit.slot.start)).days <= _LAST_DAYS


def _visits_left(context: RuleContext) -> int | None:
    """Visits that a valid referral still covers, at most; None where no referral is needed or none is valid."""
    visit = _visit(context)
    if visit is None or not TERMS[visit.slot.kind].referral:
        return None
    days = [day_of(row.start).isoformat() for row in _other_visits(context, visit) if row.kind == visit.slot.kind]
    left = [row.visits - sum(day >= row.issued for day in days) for row in _valid_referrals(context, visit)]
    return max(left, default=None)


def _referral_used_up(context: RuleContext) -> bool:
    left = _visits_left(context)
    return left is not None and left <= 0


def _last_visit_covered(context: RuleContext) -> bool:
    return _visits_left(context) == 1


def _nearest_and_gap(context: RuleContext) -> tuple[int, int] | None:
    """Days to the nearest other visit of the kind and days that have to lie between; None where there is none."""
    visit = _visit(context)
    if visit is None:
        return None
    kind, day = visit.slot.kind, day_of(visit.slot.start)
    days = [abs((day - day_of(row.start)).days) for row in _other_visits(context, visit) if row.kind == kind]
    return (min(days), TERMS[kind].gap_days) if days else None


def _too_soon_again(context: RuleContext) -> bool:
    found = _nearest_and_gap(context)
    return found is not None and found[0] < found[1]


def _soon_again(context: RuleContext) -> bool:
    found = _nearest_and_gap(context)
    return found is not None and 4 * found[0] <= 5 * found[1]


def _out_of_network(context: RuleContext) -> bool:
    visit = _visit(context)
    if visit is None:
        return False
    return visit.slot.site not in _db(context).plan_on(visit.patient, day_of(visit.slot.start)).network


def _out_of_the_other_network(context: RuleContext) -> bool:
    """In the network of the plan in force on the day, and not in that of the one before or after it."""
    visit = _visit(context)
    if visit is None or visit.patient.next_plan_id is None:
        return False
    networks = [_db(context).plans[row_id].network for row_id in (visit.patient.plan_id, visit.patient.next_plan_id)]
    return any(visit.slot.site not in network for network in networks)


def _most_overdue(db: ClinicDB, patient_id: str) -> int:
    """Days since the oldest open invoice of a patient was due; negative before that, or where none is open."""
    days = [row.due for row in db.invoices.where("patient_id", patient_id) if row.status == "open"]
    return (TODAY - day_of(min(days))).days if days else -1


def _owes(context: RuleContext) -> bool:
    visit, caller = _visit(context), _caller(context)
    if visit is None or caller is None:
        return False
    return _most_overdue(_db(context), caller.id) > OVERDUE_DAYS


def _owes_for_a_while(context: RuleContext) -> bool:
    """An invoice that is not overdue for long enough, or one of the patient, when only the caller's count."""
    visit, caller = _visit(context), _caller(context)
    if visit is None or caller is None:
        return False
    own, other = (_most_overdue(_db(context), row.id) for row in (caller, visit.patient))
    return 4 * own > 3 * OVERDUE_DAYS or other > OVERDUE_DAYS


def _moved_too_late(context: RuleContext) -> bool:
    visit = _visit(context)
    return visit is not None and visit.moved is not None and moment(visit.moved.start) - NOW < MOVE_NOTICE


def _moved_late(context: RuleContext) -> bool:
    visit = _visit(context)
    return visit is not None and visit.moved is not None and _just_ahead(visit.moved.start, MOVE_NOTICE)


def _moved_too_often(context: RuleContext) -> bool:
    visit = _visit(context)
    return visit is not None and visit.moved is not None and visit.moved.moves >= MAX_MOVES


def _moved_for_the_last_time(context: RuleContext) -> bool:
    visit = _visit(context)
    return visit is not None and visit.moved is not None and visit.moved.moves == MAX_MOVES - 1


def _changes_clinician(context: RuleContext) -> bool:
    visit = _visit(context)
    if visit is None or visit.moved is None or not TERMS[visit.slot.kind].referral:
        return False
    return visit.moved.clinician_id != visit.slot.clinician_id


def _keeps_clinician(context: RuleContext) -> bool:
    """A visit on referral whose clinician is not the only one with a free time for it."""
    visit = _visit(context)
    if visit is None or visit.moved is None or not TERMS[visit.slot.kind].referral:
        return False
    free = _db(context).slots_of(visit.patient.practice_id, visit.slot.kind)
    return any(slot.clinician_id != visit.moved.clinician_id for slot in free)


def _scan(context: RuleContext) -> Appointment | None:
    """The heart scan of the call, unless the backend refuses to change it."""
    row = _appointment(context)
    if row is None or (context.call.name == "move_appointment" and _visit(context) is None):
        return None
    return row if row.kind == "heart scan" else None


def _scan_is_prepared(context: RuleContext) -> bool:
    row = _scan(context)
    return row is not None and moment(row.start) - NOW < SCAN_NOTICE


def _scan_is_soon(context: RuleContext) -> bool:
    row = _scan(context)
    return row is not None and _just_ahead(row.start, SCAN_NOTICE)


def _cancelled_too_late(context: RuleContext) -> bool:
    row = _appointment(context)
    return row is not None and moment(row.start) - NOW < CANCEL_NOTICE


def _cancelled_late(context: RuleContext) -> bool:
    row = _appointment(context)
    return row is not None and _just_ahead(row.start, CANCEL_NOTICE)


def _refilled_too_soon(context: RuleContext) -> bool:
    row = _prescription(context)
    return row is not None and not row.controlled and row.supply_until - TODAY > timedelta(days=EARLY_REFILL_DAYS)


def _refilled_soon(context: RuleContext) -> bool:
    row = _prescription(context)
    if row is None or row.controlled:
        return False
    return 4 * (row.supply_until - TODAY) > timedelta(days=3 * EARLY_REFILL_DAYS)


def _controlled_too_soon(context: RuleContext) -> bool:
    row = _prescription(context)
    return row is not None and row.controlled and row.supply_until > TODAY


def _controlled_soon(context: RuleContext) -> bool:
    row = _prescription(context)
    return row is not None and row.controlled and TODAY - row.supply_until <= timedelta(days=_DAYS_AFTER_SUPPLY)


def _prescription_over(context: RuleContext) -> bool:
    row = _prescription(context)
    return row is not None and row.valid_until < TODAY.isoformat()


def _prescription_ends(context: RuleContext) -> bool:
    row = _prescription(context)
    return row is not None and (day_of(row.valid_until) - TODAY).days <= _LAST_DAYS


def _allergic(context: RuleContext) -> bool:
    row = _prescription(context)
    return row is not None and row.group in _db(context).patients[row.patient_id].allergies


def _allergic_to_another(context: RuleContext) -> bool:
    """The patient is allergic to another drug of theirs, or somebody of the family to this one."""
    row, db = _prescription(context), _db(context)
    if row is None:
        return False
    patient = db.patients[row.patient_id]
    drugs = db.prescriptions.where("patient_id", patient.id)
    family = (db.patients[member_id] for member_id in patient.family)
    return any(other.group in patient.allergies for other in drugs) or any(
        row.group in member.allergies for member in family
    )


def _days_since_seen(context: RuleContext) -> int | None:
    """Days since the prescriber last saw the patient, None for never or where the backend refuses."""
    row = _prescription(context)
    if row is None:
        return None
    days = [
        (TODAY - day_of(visit.start)).days
        for visit in _db(context).appointments.where("patient_id", row.patient_id)
        if visit.status == "done" and visit.clinician_id == row.clinician_id
    ]
    return min(days, default=None)


def _not_seen_lately(context: RuleContext) -> bool:
    days = _days_since_seen(context)
    return _prescription(context) is not None and (days is None or days > SEEN_WITHIN_DAYS)


def _seen_a_while_ago(context: RuleContext) -> bool:
    days = _days_since_seen(context)
    return days is not None and 4 * days > 3 * SEEN_WITHIN_DAYS


def _controlled_moves(context: RuleContext) -> bool:
    row = _prescription(context)
    pharmacy = _db(context).pharmacies.get(_text(context, "pharmacy_id"))
    if row is None or pharmacy is None or pharmacy.id == row.pharmacy_id:
        return False
    return row.controlled and pharmacy.practice_id == _db(context).patients[row.patient_id].practice_id


def _moves_beside_controlled(context: RuleContext) -> bool:
    """The patient has a controlled drug too, and that one would have to stay."""
    row = _prescription(context)
    if row is None:
        return False
    return any(other.controlled for other in _db(context).prescriptions.where("patient_id", row.patient_id))


def _new_plan(context: RuleContext) -> tuple[Patient, Plan] | None:
    """The patient and the plan of the call, unless the backend refuses."""
    patient, plan = _patient(context), _db(context).plans.get(_text(context, "plan_id"))
    if patient is None or plan is None or plan.practice_id != patient.practice_id:
        return None
    return None if plan.id == (patient.next_plan_id or patient.plan_id) else (patient, plan)


def _changed_this_year(context: RuleContext) -> bool:
    found = _new_plan(context)
    return found is not None and found[0].plan_changed[:4] == str(TODAY.year)


def _changed_within_a_year(context: RuleContext) -> bool:
    found = _new_plan(context)
    if found is None or not found[0].plan_changed:
        return False
    return (TODAY - day_of(found[0].plan_changed)).days < _YEAR_DAYS


def _visits_outside(context: RuleContext) -> list[str]:
    """ISO days of the patient's visits ahead that are at a site outside the new plan's network."""
    found = _new_plan(context)
    if found is None:
        return []
    patient, plan = found
    rows = _db(context).appointments.where("patient_id", patient.id)
    return [row.start[:10] for row in rows if is_ahead(row) and row.site not in plan.network]


def _strands_a_visit(context: RuleContext) -> bool:
    return any(day >= NEXT_PLAN_DAY.isoformat() for day in _visits_outside(context))


def _leaves_a_visit_before_it(context: RuleContext) -> bool:
    return bool(_visits_outside(context))


def _wrong_age_for_plan(context: RuleContext) -> bool:
    found = _new_plan(context)
    if found is None:
        return False
    patient, plan = found
    return not plan.ages[0] <= age_on(patient.born, NEXT_PLAN_DAY) <= plan.ages[1]


def _hardly_the_age_for_plan(context: RuleContext) -> bool:
    found = _new_plan(context)
    if found is None:
        return False
    patient, plan = found
    youngest, oldest = plan.ages
    age = age_on(patient.born, NEXT_PLAN_DAY)
    return (youngest > 0 and age - youngest < _LAST_YEARS) or oldest - age < _LAST_YEARS


def _instalments(context: RuleContext) -> tuple[Invoice, int] | None:
    """The invoice and the number of instalments, unless the backend refuses."""
    row, months = _db(context).invoices.get(_text(context, "invoice_id")), context.call.arguments.get("months")
    if row is None or row.status != "open" or not isinstance(months, int) or months not in MONTHS:
        return None
    return row, months


def _invoice_too_small(context: RuleContext) -> bool:
    found = _instalments(context)
    return found is not None and found[0].cents < MIN_INSTALMENT_INVOICE_CENTS


def _invoice_small(context: RuleContext) -> bool:
    found = _instalments(context)
    return found is not None and 4 * found[0].cents <= 5 * MIN_INSTALMENT_INVOICE_CENTS


def _instalment_too_small(context: RuleContext) -> bool:
    found = _instalments(context)
    return found is not None and found[0].cents // found[1] < MIN_INSTALMENT_CENTS


def _instalment_small(context: RuleContext) -> bool:
    found = _instalments(context)
    return found is not None and 4 * found[0].cents <= 5 * found[1] * MIN_INSTALMENT_CENTS


def _pays_off(db: ClinicDB, patient_id: str) -> bool:
    """True for a patient with an invoice in instalments."""
    return any(row.status == "in instalments" for row in db.invoices.where("patient_id", patient_id))


def _pays_another_off(context: RuleContext) -> bool:
    found = _instalments(context)
    return found is not None and _pays_off(_db(context), found[0].patient_id)


def _family_pays_another_off(context: RuleContext) -> bool:
    found, db = _instalments(context), _db(context)
    return found is not None and any(_pays_off(db, row_id) for row_id in db.patients[found[0].patient_id].family)


def _proxy(context: RuleContext) -> tuple[Patient, Patient] | None:
    """The patient and the proxy of the call, unless the backend refuses."""
    patient, proxy = _patient(context), _db(context).patients.get(_text(context, "proxy_id"))
    if patient is None or proxy is None or proxy.id not in patient.family:
        return None
    wanted = (proxy.id, _text(context, "scope"))
    return None if wanted in [(row.patient_id, row.scope) for row in patient.proxies] else (patient, proxy)


def _names_for_another(context: RuleContext) -> bool:
    found, caller = _proxy(context), _caller(context)
    return found is not None and caller is not None and found[0].id != caller.id


def _proxy_too_young(context: RuleContext) -> bool:
    found = _proxy(context)
    return found is not None and age_on(found[1].born, TODAY) < PROXY_FROM_AGE


def _proxy_young(context: RuleContext) -> bool:
    found = _proxy(context)
    return found is not None and age_on(found[1].born, TODAY) < PROXY_FROM_AGE + _LAST_YEARS


def _has_a_proxy(context: RuleContext) -> bool:
    found = _proxy(context)
    return found is not None and any(row.patient_id != found[1].id for row in found[0].proxies)


def _has_this_proxy(context: RuleContext) -> bool:
    found = _proxy(context)
    return found is not None and bool(found[0].proxies)


def _interpreted(context: RuleContext) -> Appointment | None:
    """The visit that needs an interpreter, unless the backend refuses."""
    row = _appointment(context)
    return row if row is not None and not row.interpreter else None


def _interpreter_too_late(context: RuleContext) -> bool:
    row = _interpreted(context)
    return row is not None and moment(row.start) - NOW < INTERPRETER_NOTICE


def _interpreter_late(context: RuleContext) -> bool:
    row = _interpreted(context)
    return row is not None and _just_ahead(row.start, INTERPRETER_NOTICE)


def _language_is_spoken(context: RuleContext) -> bool:
    row = _interpreted(context)
    return row is not None and _text(context, "language") in _db(context).clinicians[row.clinician_id].languages


def _language_is_spoken_elsewhere(context: RuleContext) -> bool:
    """Somebody else speaks the language whom the patient, or one of the family, is about to see."""
    row, db = _interpreted(context), _db(context)
    if row is None:
        return False
    people = (row.patient_id, *db.patients[row.patient_id].family)
    visits = (visit for row_id in people for visit in db.appointments.where("patient_id", row_id))
    return any(
        is_ahead(visit) and _text(context, "language") in db.clinicians[visit.clinician_id].languages
        for visit in visits
    )


_LAST_DAYS = 7
"""So many days before a referral or a prescription ends, an agent has to look closely whether it still holds."""
_DAYS_AFTER_SUPPLY = 2
"""The same, of days since the supply of a controlled drug ended."""
_LAST_YEARS = 3
"""The same, of years to the ages of a visit, a plan or a proxy."""
_YEAR_DAYS = 365
_BOOK = frozenset({"book_appointment"})
_MOVE = frozenset({"move_appointment"})
_CANCEL = frozenset({"cancel_appointment"})
_INTERPRETER = frozenset({"book_interpreter"})
_REFILL = frozenset({"request_refill"})
_PLAN = frozenset({"change_plan"})
_INSTALMENTS = frozenset({"set_up_instalments"})
_NAME_PROXY = frozenset({"name_proxy"})

RULES = (
    Rule("1.1", _ALL, _not_identified, "I have to find your record first", ("record", "date of birth", "phone")),
    Rule(
        "1.2",
        _FINDS,
        _second_person,
        "I can look up only one caller per conversation",
        ("one caller", "per conversation", "another person", "somebody else", "someone else"),
    ),
    Rule(
        "1.3",
        _ALL,
        _no_access,
        "you have no access to this family member's matters",
        ("access", "authoris", "authoriz", "not a proxy", "proxy"),
        near=_just(_no_access, _beside_no_access),
    ),
    Rule(
        "1.4",
        _ALL,
        _guardianship_over,
        "a guardian acts for a child only until the 16th birthday",
        ("16th", "sixteen", "16 years", "turned 16", "aged 16", "age of 16", "16 or older", "under 16", "guardian"),
        near=_just(_guardianship_over, _guardianship_ends),
    ),
    Rule(
        "1.5",
        _OTHER_WRITES | _OTHER_READS,
        _beyond_appointments,
        "your access covers only visits and referrals of this family member",
        ("only visits", "visits and referrals", "appointments", "limited", "access"),
        near=_just(_beyond_appointments, _beside_appointments),
    ),
    Rule("1.7", _WRITES, _not_confirmed, "I need your yes first", ("yes", "confirm")),
    Rule(
        "2.2",
        _TIMES,
        _booked_too_late,
        "a time has to start at least 24 hours from now",
        ("24 hours", "24-hour", "short notice", "too soon", "in advance"),
        near=_just(_booked_too_late, _booked_late),
    ),
    Rule(
        "2.3",
        _TIMES,
        _too_close_in_time,
        "at least 30 minutes have to lie between two visits of a patient",
        ("30 minutes", "half an hour", "between two visits", "overlap", "another visit", "another appointment"),
        near=_just(_too_close_in_time, _close_in_time),
    ),
    Rule(
        "2.4",
        _TIMES,
        _wrong_age,
        "the patient does not have the age for this kind of visit",
        (" age ", " age.", " age,", "aged ", "years old", "too young", "too old", "under 16", "from 18", "from 6"),
        near=_just(_wrong_age, _hardly_the_age),
    ),
    Rule(
        "2.5",
        _TIMES,
        _no_referral,
        "it needs a referral that is valid on the day of the visit",
        ("referral",),
        near=_just(_no_referral, _referral_ends),
    ),
    Rule(
        "2.6",
        _BOOK,
        _referral_used_up,
        "the visits that the referral covers are used up",
        ("used up", "used", "covers", "covered", "no visits left", "remaining"),
        near=_just(_referral_used_up, _last_visit_covered),
    ),
    Rule(
        "2.7",
        _TIMES,
        _too_soon_again,
        "too few days lie between it and another visit of this kind",
        ("days", "too soon", "too early", "too close", "gap", "apart", "once a year"),
        near=_just(_too_soon_again, _soon_again),
    ),
    Rule(
        "2.8",
        _TIMES,
        _out_of_network,
        "the site is not in the network of the plan in force on that day",
        ("network",),
        near=_just(_out_of_network, _out_of_the_other_network),
    ),
    Rule(
        "2.9",
        _BOOK,
        _owes,
        "an invoice of yours is open more than 30 days after it was due",
        ("invoice", "overdue", "unpaid", "bill"),
        near=_just(_owes, _owes_for_a_while),
    ),
    Rule(
        "3.2",
        _MOVE,
        _moved_too_late,
        "the visit starts in less than 24 hours and stays where it is",
        ("24 hours", "24-hour", "too late", "short notice", "starts in less"),
        near=_just(_moved_too_late, _moved_late),
    ),
    Rule(
        "3.3",
        _MOVE,
        _moved_too_often,
        "it was moved 2 times already",
        ("2 times", "two times", "twice", "already been moved", "moved already", "maximum"),
        near=_just(_moved_too_often, _moved_for_the_last_time),
    ),
    Rule(
        "3.4",
        _MOVE,
        _changes_clinician,
        "a visit on referral stays with its clinician",
        ("clinician", "same doctor", "different doctor", "another doctor", "stays with"),
        near=_just(_changes_clinician, _keeps_clinician),
    ),
    Rule(
        "3.5",
        _MOVE | _CANCEL,
        _scan_is_prepared,
        "a heart scan stays as it is in the 72 hours before it",
        ("72 hours", "72-hour", "three days", "3 days"),
        near=_just(_scan_is_prepared, _scan_is_soon),
    ),
    Rule(
        "3.6",
        _CANCEL,
        _cancelled_too_late,
        "the visit starts in less than 2 hours",
        ("2 hours", "two hours", "2-hour", "too late"),
        near=_just(_cancelled_too_late, _cancelled_late),
    ),
    Rule(
        "4.2",
        _REFILL,
        _refilled_too_soon,
        "a refill is possible from 7 days before the supply ends",
        ("7 days", "seven days", "too soon", "too early", "supply"),
        near=_just(_refilled_too_soon, _refilled_soon),
    ),
    Rule(
        "4.3",
        _REFILL,
        _controlled_too_soon,
        "a controlled drug is not refilled before the day on which the supply ends",
        ("controlled",),
        near=_just(_controlled_too_soon, _controlled_soon),
    ),
    Rule(
        "4.4",
        _REFILL,
        _prescription_over,
        "the prescription is not valid any more",
        ("valid", "expired", "ran out", "lapsed"),
        near=_just(_prescription_over, _prescription_ends),
    ),
    Rule(
        "4.5",
        _REFILL,
        _allergic,
        "the drug belongs to a group that is listed among the allergies",
        ("allerg",),
        near=_just(_allergic, _allergic_to_another),
    ),
    Rule(
        "4.6",
        _REFILL,
        _not_seen_lately,
        "the prescriber has not seen the patient in the last 365 days",
        ("365 days", "seen", "last year", "past year", "12 months", "one year", "a year"),
        near=_just(_not_seen_lately, _seen_a_while_ago),
    ),
    Rule(
        "4.7",
        frozenset({"change_pharmacy"}),
        _controlled_moves,
        "a controlled drug stays with its pharmacy",
        ("controlled",),
        near=_just(_controlled_moves, _moves_beside_controlled),
    ),
    Rule(
        "5.1",
        _PLAN,
        _changed_this_year,
        "the plan can be changed once per calendar year, and that was done",
        ("once", "calendar year", "this year", "already"),
        near=_just(_changed_this_year, _changed_within_a_year),
    ),
    Rule(
        "5.2",
        _PLAN,
        _strands_a_visit,
        "a visit is booked at a site outside the new plan's network",
        ("network",),
        near=_just(_strands_a_visit, _leaves_a_visit_before_it),
    ),
    Rule(
        "5.3",
        _PLAN,
        _wrong_age_for_plan,
        "the patient's age is not within the ages of the plan",
        (" age ", " ages ", " age.", "aged ", "years old", "too young", "too old"),
        near=_just(_wrong_age_for_plan, _hardly_the_age_for_plan),
    ),
    Rule(
        "5.4",
        _INSTALMENTS,
        _invoice_too_small,
        "instalments are for invoices of 100.00 or more",
        ("100.00", "$100", "100 dollars", "at least 100", "100 or more", "below 100", "under 100", "less than 100"),
        near=_just(_invoice_too_small, _invoice_small),
    ),
    Rule(
        "5.5",
        _INSTALMENTS,
        _instalment_too_small,
        "each instalment has to be 20.00 or more",
        ("20.00", "$20", "20 dollars", "at least 20", "20 or more", "below 20", "under 20", "less than 20"),
        near=_just(_instalment_too_small, _instalment_small),
    ),
    Rule(
        "5.6",
        _INSTALMENTS,
        _pays_another_off,
        "another invoice of the patient is being paid in instalments",
        ("another invoice", "one invoice", "other invoice", "already", "at a time"),
        near=_just(_pays_another_off, _family_pays_another_off),
    ),
    Rule(
        "6.1",
        _NAME_PROXY,
        _names_for_another,
        "callers name a proxy for themselves only",
        ("themselves", "yourself", "only for you", "somebody else", "someone else"),
    ),
    Rule(
        "6.2",
        _NAME_PROXY,
        _proxy_too_young,
        "a proxy has to be at least 18",
        ("at least 18", "18 or older", "18 years", "eighteen", "under 18", "too young", "adult", " age "),
        near=_just(_proxy_too_young, _proxy_young),
    ),
    Rule(
        "6.3",
        _NAME_PROXY,
        _has_a_proxy,
        "a patient has one proxy, and there is one already",
        ("one proxy", "already", "second proxy", "another proxy"),
        near=_just(_has_a_proxy, _has_this_proxy),
    ),
    Rule(
        "6.4",
        _INTERPRETER,
        _interpreter_too_late,
        "an interpreter has to be booked 72 hours before the visit",
        ("72 hours", "72-hour", "three days", "3 days", "short notice"),
        near=_just(_interpreter_too_late, _interpreter_late),
    ),
    Rule(
        "6.5",
        _INTERPRETER,
        _language_is_spoken,
        "the clinician speaks this language",
        ("speaks", "spoken", "speak"),
        near=_just(_language_is_spoken, _language_is_spoken_elsewhere),
    ),
)

CONSTRAINTS = (
    Constraint(
        "visit cancelled",
        _MOVE | _CANCEL | _INTERPRETER,
        " is cancelled; only booked visits",
        "this visit was cancelled before",
        (
            "was cancelled",
            "is cancelled",
            "already cancelled",
            "cancelled already",
            "been cancelled",
            "called off",
            "only booked",
        ),
    ),
    Constraint(
        "interpreter booked already",
        _INTERPRETER,
        "; a visit has only one",
        "an interpreter comes to this visit already, and a visit has only one",
        ("already", "only one", "has an interpreter"),
    ),
    Constraint(
        "no refills left",
        _REFILL,
        " has no refills left; ",
        "this prescription has no refills left",
        ("no refill", "refills left", "refills remaining", "out of refills", "new prescription", "write a new"),
    ),
    Constraint(
        "paid in instalments already",
        _INSTALMENTS,
        " is in instalments; ",
        "this invoice is being paid in instalments already",
        ("in instalments already", "already in instalments", "already being paid", "already", "only open invoices"),
    ),
)
"""What the backend refuses and callers want nevertheless."""
