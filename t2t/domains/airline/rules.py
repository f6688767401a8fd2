"""The clauses of ``policy.md`` that code checks and no tool enforces, and what tools refuse themselves.

From section 2 on a clause is asked only about a call that the backend would carry out: the call is
tried and undone first, so the rows that the clause looks at exist, and no refusal is said twice.
What is near a clause is asked only about calls that keep it.
"""

from collections.abc import Callable
from datetime import date, timedelta

from t2t.domain.rule import Constraint, Rule, RuleContext
from t2t.domains.airline.schema import (
    ANNOUNCED_DAYS,
    BICYCLE_HOURS,
    CANCEL_HOURS,
    CHECK_IN_CLOSES_MINUTES,
    CHECK_IN_HOURS,
    CLAIM_DAYS,
    CONNECTION_MINUTES,
    CUT_OFF_MINUTES,
    EXIT_ROWS,
    GRACE_HOURS,
    INFANT_DAYS,
    INFANT_YEARS,
    LIGHT_SEAT_HOURS,
    MAX_BAGS,
    MAX_CHARACTERS,
    NOTICE_HOURS,
    NOW,
    OWN_CAUSES,
    STANDARD_MOVE_DAYS,
    UPGRADE_HOURS,
    AirlineDB,
    Booking,
    Flight,
    Passenger,
    Segment,
    Tier,
    characters_changed,
    moment,
    row_of,
)
from t2t.domains.airline.tools import TOOLS, MemberView
from t2t.errors import ToolError
from t2t.records import Arguments

_TOOL = {tool.name: tool for tool in TOOLS}
_FINDS = frozenset({"find_member", "find_booking"})
_READS = frozenset({"list_bookings", "get_booking", "quote_change", "quote_cancellation"})
_WRITES = frozenset(tool.name for tool in TOOLS if tool.writes)


def _db(context: RuleContext) -> AirlineDB:
    return context.db


def _text(context: RuleContext, name: str) -> str:
    return str(context.call.arguments.get(name, ""))


def _accepted(context: RuleContext) -> bool:
    """Would the backend carry the call out?"""
    global _trial  # every clause asks this of the same call, one after another
    db = _db(context)
    state, (tried, before, went_through) = db.state_hash(), _trial
    if tried is context and before == state:
        return went_through
    savepoint = db.savepoint()
    try:
        _TOOL[context.call.name](db, context.call.arguments)
        went_through = True
    except ToolError:
        went_through = False
    finally:
        db.rollback(savepoint)
    _trial = (context, state, went_through)
    return went_through


_trial: tuple[RuleContext | None, str, bool] = (None, "", False)
"""The call tried last, the state it was tried on, and whether it went through."""


def _opened(context: RuleContext) -> dict[str, str]:
    """By what the caller was found (member numbers and booking codes), and the member whom it names."""
    opened: dict[str, str] = {}
    for past in context.past:
        if past.call.name in _FINDS:
            key = past.value.member_number if isinstance(past.value, MemberView) else past.value.locator
            booking = _db(context).bookings.get(key)
            opened[key] = booking.member_number if booking else key
    return opened


def _not_identified(context: RuleContext) -> bool:
    return not _opened(context)


def _not_their_own(context: RuleContext) -> bool:
    """A booking opens itself, a member number all trips of the member."""
    opened, db = _opened(context), _db(context)
    booking = db.bookings.get(_text(context, "locator"))
    member = db.members.get(booking.member_number if booking else _text(context, "member_number"))
    if not opened or member is None:
        return False
    return member.id not in opened and (booking is None or booking.id not in opened)


def _second_traveller(context: RuleContext) -> bool:
    if not _accepted(context):
        return False
    known = set(_opened(context).values())
    if context.call.name == "find_member":
        return bool(known) and _text(context, "member_number").strip() not in known
    return bool(known) and _db(context).bookings[_text(context, "locator").strip().upper()].member_number not in known


def _not_confirmed(context: RuleContext) -> bool:
    return context.confirmed is False


def _look(context: RuleContext) -> tuple[str, Arguments]:
    """The read that a seat or a claim waits for."""
    return "get_flight", {"flight_id": _text(context, "flight_id")}


def _not_looked_at(context: RuleContext) -> bool:
    name, arguments = _look(context)
    looked = any(past.call.name == name and past.call.arguments == arguments for past in context.past)
    return not looked and _accepted(context)


def _booking(context: RuleContext) -> Booking:
    return _db(context).bookings[_text(context, "locator")]


def _tier(context: RuleContext) -> Tier:
    return _db(context).members[_booking(context).member_number].tier


def _passenger(context: RuleContext) -> Passenger:
    wanted = _text(context, "passenger_id")
    return next(row for row in _booking(context).passengers if row.id == wanted)


def _flight(context: RuleContext) -> Flight:
    """The flight of the trip that the call names, else the next one of the trip."""
    flight_id = _text(context, "flight_id")
    return _db(context).flights[flight_id] if flight_id else _left(context)[0]


def _segment(context: RuleContext) -> Segment:
    wanted = _text(context, "flight_id")
    return next(row for row in _booking(context).segments if row.flight_id == wanted)


def _left(context: RuleContext) -> list[Flight]:
    """Flights of the trip that are yet to depart; those of a trip to come are never none."""
    return _db(context).flights_left(_booking(context))


def _is_trip_disrupted(context: RuleContext) -> bool:
    return any(flight.is_disrupted for flight in _left(context))


def _is_light(context: RuleContext) -> bool:
    return _booking(context).fare == "light"


def _is_paid_with_voucher(context: RuleContext) -> bool:
    return _booking(context).paid_with == "voucher"


def _light_stays(context: RuleContext) -> bool:
    return _is_light(context) and not _flight(context).is_disrupted


def _too_late_to_change(context: RuleContext) -> bool:
    new = _db(context).flights.get(_text(context, "new_flight_id"))
    minutes = min(flight.minutes_left for flight in (_flight(context), new) if flight)
    return minutes < CUT_OFF_MINUTES[_tier(context)]


def _moves_too_far(context: RuleContext) -> bool:
    old, new = _flight(context), _db(context).flights[_text(context, "new_flight_id")]
    days = abs((date.fromisoformat(new.day) - date.fromisoformat(old.day)).days)
    return _booking(context).fare == "standard" and not old.is_disrupted and days > STANDARD_MOVE_DAYS


def _misses_connection(context: RuleContext) -> bool:
    db, segments = _db(context), _booking(context).segments
    new, place = db.flights[_text(context, "new_flight_id")], segments.index(_segment(context))
    gap = timedelta(minutes=CONNECTION_MINUTES)
    before = [db.flights[row.flight_id] for row in segments[:place]]
    after = [db.flights[row.flight_id] for row in segments[place + 1 :]]
    return any(moment(row.arrives) + gap > moment(new.departs) for row in before) or any(
        moment(new.arrives) + gap > moment(row.departs) for row in after
    )


def _is_checked_in(context: RuleContext) -> bool:
    if _text(context, "flight_id"):
        return _segment(context).checked_in
    db = _db(context)
    return any(row.checked_in and db.flights[row.flight_id].minutes_left > 0 for row in _booking(context).segments)


def _light_not_refunded(context: RuleContext) -> bool:
    in_grace = NOW - moment(_booking(context).booked) <= timedelta(hours=GRACE_HOURS)
    return _is_light(context) and not in_grace and not _is_trip_disrupted(context)


def _too_late_to_cancel(context: RuleContext) -> bool:
    hours = CANCEL_HOURS[_booking(context).fare]
    return _flight(context).minutes_left < hours * 60 and not _is_trip_disrupted(context)


def _voucher_paid_out(context: RuleContext) -> bool:
    return _is_paid_with_voucher(context) and _text(context, "payout") != "travel voucher"


def _too_many_bags(context: RuleContext) -> bool:
    return len(_passenger(context).bags) >= MAX_BAGS[_tier(context)]


def _bicycle_too_late(context: RuleContext) -> bool:
    return _text(context, "bag") == "bicycle" and _flight(context).minutes_left < BICYCLE_HOURS * 60


def _seat_too_early(context: RuleContext) -> bool:
    early = _flight(context).minutes_left > LIGHT_SEAT_HOURS * 60
    return early and _is_light(context) and _tier(context) == "blue"


def _unfit_for_exit_row(context: RuleContext) -> bool:
    passenger = _passenger(context)
    needs_help = passenger.kind == "child" or bool(passenger.infants) or bool(passenger.assistance)
    return needs_help and row_of(_text(context, "seat")) in EXIT_ROWS


def _too_late_to_upgrade(context: RuleContext) -> bool:
    return _flight(context).minutes_left < UPGRADE_HOURS[_tier(context)] * 60


def _another_name(context: RuleContext) -> bool:
    return characters_changed(_passenger(context).name, " ".join(_text(context, "new_name").split())) > MAX_CHARACTERS


def _corrected_before(context: RuleContext) -> bool:
    return _passenger(context).corrected


def _notice_too_short(context: RuleContext) -> bool:
    wanted = _text(context, "assistance")
    return any(name == wanted and _flight(context).minutes_left < hours * 60 for name, hours in NOTICE_HOURS.items())


def _second_infant(context: RuleContext) -> bool:
    return bool(_passenger(context).infants)


def _infant_of_wrong_age(context: RuleContext) -> bool:
    born = date.fromisoformat(_text(context, "born"))
    first, last = (date.fromisoformat(flight.day) for flight in (_left(context)[0], _left(context)[-1]))
    is_two = (last.year - INFANT_YEARS, last.month, last.day) >= (born.year, born.month, born.day)
    return is_two or (first - born).days < INFANT_DAYS


def _infant_in_exit_row(context: RuleContext) -> bool:
    booking, db = _booking(context), _db(context)
    place = booking.passengers.index(_passenger(context))
    return any(
        row_of(row.seats[place]) in EXIT_ROWS and db.flights[row.flight_id].minutes_left > 0 for row in booking.segments
    )


def _not_our_fault(context: RuleContext) -> bool:
    return _flight(context).cause not in OWN_CAUSES


def _claimed_too_late(context: RuleContext) -> bool:
    return (NOW.date() - date.fromisoformat(_flight(context).day)).days > CLAIM_DAYS


def _announced_early(context: RuleContext) -> bool:
    flight = _flight(context)
    if not flight.cancelled:
        return False
    return (date.fromisoformat(flight.day) - date.fromisoformat(flight.announced)).days >= ANNOUNCED_DAYS


def _check_in_closed(context: RuleContext) -> bool:
    minutes = _flight(context).minutes_left
    return not CHECK_IN_CLOSES_MINUTES <= minutes <= CHECK_IN_HOURS[_tier(context)] * 60


def _checks_in_at_airport(context: RuleContext) -> bool:
    return any(row.infants or "stretcher" in row.assistance for row in _booking(context).passengers)


_QUARTER = 0.75
"""A number is near its limit from this share of it on."""
_NEARLY_TWO_DAYS = 90


def _is_just_below(number: int, limit: int) -> bool:
    return _QUARTER * limit < number <= limit


def _is_just_above(number: int, limit: int) -> bool:
    return limit <= number <= limit / _QUARTER


def _other_passengers(context: RuleContext) -> list[Passenger]:
    return [row for row in _booking(context).passengers if row.id != _text(context, "passenger_id")]


def _other_trips(context: RuleContext) -> list[Booking]:
    """The member's other trips to come."""
    db, booking = _db(context), _booking(context)
    rows = db.bookings.where("member_number", booking.member_number)
    return [row for row in rows if row.id != booking.id and not row.cancelled and db.flights_left(row)]


def _barely_in_time(minutes: int, limit: int, usual: int) -> bool:
    """Shortly before the limit, or where only a better tier or fare than usual helps."""
    return _is_just_above(minutes, limit) or limit <= minutes < usual


def _light_changes(context: RuleContext) -> bool:
    """On a light fare, only because the flight is disrupted; else where another trip is light."""
    return _is_light(context) or _another_trip_is_light(context)


def _changes_end(context: RuleContext) -> bool:
    new = _db(context).flights.get(_text(context, "new_flight_id"))
    minutes = min(flight.minutes_left for flight in (_flight(context), new) if flight)
    return _barely_in_time(minutes, CUT_OFF_MINUTES[_tier(context)], CUT_OFF_MINUTES["blue"])


def _moves_as_far_as_allowed(context: RuleContext) -> bool:
    """By the last day, or farther only because the flight is disrupted."""
    old, new = _flight(context), _db(context).flights[_text(context, "new_flight_id")]
    days = abs((date.fromisoformat(new.day) - date.fromisoformat(old.day)).days)
    if _booking(context).fare != "standard":
        return False
    return days > STANDARD_MOVE_DAYS if old.is_disrupted else days == STANDARD_MOVE_DAYS


def _nearly_misses_connection(context: RuleContext) -> bool:
    """Less than twice the time that is needed."""
    db, segments = _db(context), _booking(context).segments
    new, place = db.flights[_text(context, "new_flight_id")], segments.index(_segment(context))
    gap = timedelta(minutes=2 * CONNECTION_MINUTES)
    before = [db.flights[row.flight_id] for row in segments[:place]]
    after = [db.flights[row.flight_id] for row in segments[place + 1 :]]
    return any(moment(row.arrives) + gap > moment(new.departs) for row in before) or any(
        moment(new.arrives) + gap > moment(row.departs) for row in after
    )


def _another_flight_is_checked_in(context: RuleContext) -> bool:
    """Another flight of the trip is, or a flight that is over was."""
    return any(row.checked_in for row in _booking(context).segments)


def _cancelling_ends(context: RuleContext) -> bool:
    """Shortly before the limit, or after it only because of the fare or a disrupted flight."""
    limit, minutes = CANCEL_HOURS[_booking(context).fare] * 60, _flight(context).minutes_left
    return minutes < limit or _barely_in_time(minutes, limit, CANCEL_HOURS["standard"] * 60)


def _last_bag(context: RuleContext) -> bool:
    return len(_passenger(context).bags) == MAX_BAGS[_tier(context)] - 1


def _bicycle_in_time(context: RuleContext) -> bool:
    return _text(context, "bag") == "bicycle" and _is_just_above(_flight(context).minutes_left, BICYCLE_HOURS * 60)


def _seats_just_opened(context: RuleContext) -> bool:
    """On a light fare, a few hours after seats opened, or before that only because of the tier."""
    minutes, limit = _flight(context).minutes_left, LIGHT_SEAT_HOURS * 60
    if not _is_light(context):
        return False
    return _is_just_below(minutes, limit) if _tier(context) == "blue" else minutes > limit


def _another_is_unfit_for_exit_row(context: RuleContext) -> bool:
    others = _other_passengers(context)
    unfit = any(row.kind == "child" or row.infants or row.assistance for row in others)
    return unfit and row_of(_text(context, "seat")) in EXIT_ROWS


def _another_trip_is_light(context: RuleContext) -> bool:
    return any(row.fare == "light" for row in _other_trips(context))


def _upgrades_end(context: RuleContext) -> bool:
    limits = (UPGRADE_HOURS[tier] * 60 for tier in (_tier(context), "blue"))
    return _barely_in_time(_flight(context).minutes_left, *limits)


def _another_trip_is_paid_with_voucher(context: RuleContext) -> bool:
    return any(row.paid_with == "voucher" for row in _other_trips(context))


def _many_characters(context: RuleContext) -> bool:
    changed = characters_changed(_passenger(context).name, " ".join(_text(context, "new_name").split()))
    return changed == MAX_CHARACTERS


def _another_was_corrected(context: RuleContext) -> bool:
    return any(row.corrected for row in _other_passengers(context))


def _notice_just_long_enough(context: RuleContext) -> bool:
    wanted, minutes = _text(context, "assistance"), _flight(context).minutes_left
    return any(name == wanted and _is_just_above(minutes, hours * 60) for name, hours in NOTICE_HOURS.items())


def _another_has_infant(context: RuleContext) -> bool:
    return any(row.infants for row in _other_passengers(context))


def _infant_of_just_the_right_age(context: RuleContext) -> bool:
    """In the second week of its life, or shortly before its second birthday."""
    born = date.fromisoformat(_text(context, "born"))
    first, last = (date.fromisoformat(flight.day) for flight in (_left(context)[0], _left(context)[-1]))
    later = last + timedelta(days=_NEARLY_TWO_DAYS)
    will_be_two = (later.year - INFANT_YEARS, later.month, later.day) >= (born.year, born.month, born.day)
    return will_be_two or (first - born).days < 2 * INFANT_DAYS


def _another_sits_in_exit_row(context: RuleContext) -> bool:
    booking, db = _booking(context), _db(context)
    to_come = [row for row in booking.segments if db.flights[row.flight_id].minutes_left > 0]
    return any(row_of(seat) in EXIT_ROWS for row in to_come for seat in row.seats)


def _another_flight_was_not_our_fault(context: RuleContext) -> bool:
    db, this = _db(context), _flight(context)
    rows = db.bookings.where("member_number", _booking(context).member_number)
    flights = [db.flights[segment.flight_id] for row in rows if not row.cancelled for segment in row.segments]
    return any(
        flight.id != this.id and flight.is_disrupted and flight.minutes_left <= 0 and flight.cause not in OWN_CAUSES
        for flight in flights
    )


def _claims_end(context: RuleContext) -> bool:
    return _is_just_below((NOW.date() - date.fromisoformat(_flight(context).day)).days, CLAIM_DAYS)


def _announced_almost_early(context: RuleContext) -> bool:
    flight = _flight(context)
    if not flight.cancelled:
        return False
    days = (date.fromisoformat(flight.day) - date.fromisoformat(flight.announced)).days
    return _is_just_below(days, ANNOUNCED_DAYS)


def _check_in_is_just_open(context: RuleContext) -> bool:
    """Shortly after it opened or before it closes, or open only because of the tier."""
    minutes, opens = _flight(context).minutes_left, CHECK_IN_HOURS[_tier(context)] * 60
    return (
        _is_just_below(minutes, opens)
        or _is_just_above(minutes, CHECK_IN_CLOSES_MINUTES)
        or (minutes > CHECK_IN_HOURS["blue"] * 60)
    )


def _some_assistance(context: RuleContext) -> bool:
    return any(row.assistance for row in _booking(context).passengers)


def _rule(
    clause: str,
    tools: str,
    breaks: Callable[[RuleContext], bool],
    near: Callable[[RuleContext], bool],
    reason: str,
    *cues: str,
) -> Rule:
    """A clause about calls that the backend would carry out."""
    return Rule(
        clause,
        frozenset(tools.split()),
        lambda context: _accepted(context) and breaks(context),
        reason,
        cues,
        near=lambda context: _accepted(context) and not breaks(context) and near(context),
    )


RULES = (
    Rule(
        "1.1",
        _WRITES | _READS,
        _not_identified,
        "I have to find you or your booking first",
        ("find you", "booking code", "member number", "identify", "verify"),
    ),
    Rule(
        "1.2",
        _WRITES | _READS,
        _not_their_own,
        "that is not the trip or the account you identified for",
        ("not the trip", "another", "identified", "belong", "member number"),
    ),
    Rule(
        "1.3",
        _FINDS,
        _second_traveller,
        "I serve one traveller per conversation",
        ("one traveller", "one traveler", "another", "per conversation"),
    ),
    Rule("1.5", _WRITES, _not_confirmed, "I need your yes first", ("yes", "confirm")),
    Rule(
        "1.8",
        frozenset({"choose_seat", "claim_compensation"}),
        _not_looked_at,
        "I have to look at the flight first",
        ("look at the flight", "flight first"),
        avoidable=True,
        first=_look,
    ),
    _rule("2.2", "change_flight", _light_stays, _light_changes, "light fares are not changed", "light"),
    _rule(
        "2.3",
        "change_flight choose_seat add_bag",
        _too_late_to_change,
        _changes_end,
        "changes end 180 minutes before departure, 60 for gold members",
        *("180 min", "60 min", "3 hours", "three hours", "too late", "too close", "before departure"),
    ),
    _rule(
        "2.4",
        "change_flight",
        _moves_too_far,
        _moves_as_far_as_allowed,
        "standard fares move by at most one day",
        *("one day", "1 day", "day before", "next day", "day after"),
    ),
    _rule(
        "2.5",
        "change_flight",
        _misses_connection,
        _nearly_misses_connection,
        "there must be at least 60 minutes to the other flights of the trip",
        *("60 min", "one hour", "an hour", "connection", "connecting", "other flight"),
    ),
    _rule(
        "2.6",
        "change_flight cancel_booking upgrade_flight correct_name",
        _is_checked_in,
        _another_flight_is_checked_in,
        "a flight of it is checked in",
        *("checked in", "checked-in", "check-in"),
    ),
    _rule("3.2", "cancel_booking", _light_not_refunded, _is_light, "light fares are not cancelled", "light"),
    _rule(
        "3.3",
        "cancel_booking",
        _too_late_to_cancel,
        _cancelling_ends,
        "cancelling ends 24 hours before the first departure, 2 hours for flex",
        *("24 hours", "2 hours", "24-hour", "two hours", "too late", "too close", "before departure"),
    ),
    _rule(
        "3.4",
        "cancel_booking",
        _voucher_paid_out,
        _is_paid_with_voucher,
        "a trip paid with a voucher is refunded as a travel voucher only",
        "voucher",
    ),
    _rule(
        "4.1",
        "add_bag",
        _too_many_bags,
        _last_bag,
        "there are at most 3 pieces per passenger, 4 for gold members",
        *("3 pieces", "three pieces", "4 pieces", "four pieces", "3 bags", "4 bags", "at most", "maximum", "limit"),
    ),
    _rule(
        "4.2",
        "add_bag",
        _bicycle_too_late,
        _bicycle_in_time,
        "bicycles need 48 hours before departure",
        *("48 hours", "48-hour", "bicycles need", "bikes need", "too late"),
    ),
    _rule(
        "5.1",
        "choose_seat",
        _seat_too_early,
        _seats_just_opened,
        "on light fares of blue members seats are chosen in the last 24 hours only",
        *("24 hours", "24-hour", "light"),
    ),
    _rule(
        "5.2",
        "choose_seat",
        _unfit_for_exit_row,
        _another_is_unfit_for_exit_row,
        "exit rows are for adults without infant and without assistance",
        *("exit row", "exit-row"),
    ),
    _rule("6.1", "upgrade_flight", _is_light, _another_trip_is_light, "light fares are not upgraded", "light"),
    _rule(
        "6.2",
        "upgrade_flight",
        _too_late_to_upgrade,
        _upgrades_end,
        "upgrades end 24 hours before departure, 4 for gold members",
        *("24 hours", "24-hour", "4 hours", "four hours", "too late", "too close", "before departure"),
    ),
    _rule(
        "6.3",
        "upgrade_flight",
        _is_paid_with_voucher,
        _another_trip_is_paid_with_voucher,
        "a trip paid with a voucher is not upgraded",
        "voucher",
    ),
    _rule(
        "7.1",
        "correct_name",
        _another_name,
        _many_characters,
        "a correction changes at most 3 characters",
        *("3 letters", "three letters", "3 characters", "three characters", "at most"),
    ),
    _rule(
        "7.2",
        "correct_name",
        _corrected_before,
        _another_was_corrected,
        "a name is corrected once, and this one was",
        *("once", "already", "before", "second time"),
    ),
    _rule(
        "8.1",
        "request_assistance",
        _notice_too_short,
        _notice_just_long_enough,
        "the notice before departure is too short",
        *("notice", "24 hours", "48 hours", "72 hours", "too late", "too short"),
    ),
    _rule(
        "9.1",
        "add_infant",
        _second_infant,
        _another_has_infant,
        "an adult takes one infant",
        *("one infant", "already", "second infant", "another infant"),
    ),
    _rule(
        "9.2",
        "add_infant",
        _infant_of_wrong_age,
        _infant_of_just_the_right_age,
        "an infant is at least 7 days and under 2 years old on the flights",
        *("7 days", "seven days", "2 years", "two years", "too old", "too young", "under 2", "under two"),
    ),
    _rule(
        "9.3",
        "add_infant",
        _infant_in_exit_row,
        _another_sits_in_exit_row,
        "the adult sits in an exit row",
        "exit row",
        "exit-row",
    ),
    _rule(
        "10.1",
        "claim_compensation",
        _not_our_fault,
        _another_flight_was_not_our_fault,
        "the cause was weather or air traffic control",
        *("weather", "air traffic"),
    ),
    _rule(
        "10.2",
        "claim_compensation",
        _claimed_too_late,
        _claims_end,
        "claims are made within 60 days after the flight",
        *("60 days", "60-day", "sixty", "too late", "too long ago"),
    ),
    _rule(
        "10.3",
        "claim_compensation",
        _announced_early,
        _announced_almost_early,
        "the cancellation was announced 14 days or more before",
        *("14 days", "14-day", "fourteen", "two weeks", "in advance", "announced"),
    ),
    _rule(
        "11.1",
        "check_in",
        _check_in_closed,
        _check_in_is_just_open,
        "check-in opens 24 hours before departure, 48 for gold members, and closes 60 minutes before",
        *("24 hours", "48 hours", "60 minutes", "not open", "closed", "opens", "closes"),
    ),
    _rule(
        "11.2",
        "check_in",
        _checks_in_at_airport,
        _some_assistance,
        "trips with an infant or a stretcher check in at the airport",
        *("at the airport", "infant", "stretcher"),
    ),
)

CONSTRAINTS = (
    Constraint(
        "flight full",
        frozenset({"change_flight"}),
        " places in ",
        "that flight has not enough places left",
        ("enough", "places", "full", "sold out", "no room", "seats left"),
    ),
    Constraint(
        "business full",
        frozenset({"upgrade_flight"}),
        "places left in business",
        "business has not enough places left on that flight",
        ("enough", "places", "full", "sold out", "no room", "seats left"),
    ),
    Constraint(
        "too few miles",
        frozenset({"upgrade_flight"}),
        "the upgrade takes",
        "you do not have enough miles for it",
        ("enough miles", "too few miles", "short of miles", "miles are needed", "sufficient", "takes"),
    ),
    Constraint(
        "trip has begun",
        frozenset({"cancel_booking"}),
        "has begun",
        "the trip has begun",
        ("begun", "started", "underway", "under way", "already"),
    ),
    Constraint(
        "trip cancelled",
        frozenset({"cancel_booking"}),
        "is cancelled; only confirmed",
        "the trip was cancelled already",
        ("already", "is cancelled", "was cancelled", "been cancelled", "is canceled", "was canceled", "been canceled"),
    ),
    Constraint(
        "flight cancelled",
        frozenset({"choose_seat", "upgrade_flight", "check_in"}),
        "is cancelled; change_flight",
        "the flight is cancelled",
        ("cancelled", "canceled"),
    ),
    Constraint(
        "assistance ordered",
        frozenset({"request_assistance"}),
        "on this trip already",
        "that assistance is ordered already",
        ("already",),
    ),
    Constraint(
        "delay too short",
        frozenset({"claim_compensation"}),
        "compensation begins at",
        "the flight was less than 180 minutes late",
        ("180", "3 hours", "three hours", "not late enough", "too short"),
    ),
    Constraint(
        "checked in",
        frozenset({"check_in"}),
        "are checked in already",
        "you are checked in already",
        ("already",),
    ),
)
