"""What callers of the airline want, and how they say it."""

from collections.abc import Mapping

from t2t.domain.wish import Callers, Identity, Slot, Wish
from t2t.domains.airline import candidates
from t2t.domains.airline.schema import AirlineDB
from t2t.domains.airline.tools import (
    BoardingPass,
    Charge,
    Compensation,
    FlightView,
    MemberView,
    Payment,
    Refund,
    TripView,
    Upgrade,
)
from t2t.records import Arguments, Split

_Told = tuple[str, ...]
_Slots = Mapping[str, str]
_NO_CHANGES: Mapping[Split, tuple[str, ...]] = {"train": (), "test": ()}


def _tell_charge(db: AirlineDB, arguments: Arguments, slots: _Slots, value: Charge | Payment) -> _Told:
    return (value.to_pay,)


def _tell_refund(db: AirlineDB, arguments: Arguments, slots: _Slots, value: Refund) -> _Told:
    return (value.refund,)


def _tell_miles_used(db: AirlineDB, arguments: Arguments, slots: _Slots, value: Upgrade) -> _Told:
    return (value.miles_used,)


def _tell_compensation(db: AirlineDB, arguments: Arguments, slots: _Slots, value: Compensation) -> _Told:
    return (value.amount,)


def _tell_boarding(db: AirlineDB, arguments: Arguments, slots: _Slots, value: BoardingPass) -> _Told:
    return (value.boarding[11:],)


def _tell_departure(db: AirlineDB, arguments: Arguments, slots: _Slots, value: FlightView) -> _Told:
    return (value.departs[11:],)


def _tell_total(db: AirlineDB, arguments: Arguments, slots: _Slots, value: TripView) -> _Told:
    return (value.total,)


def _tell_miles(db: AirlineDB, arguments: Arguments, slots: _Slots, value: MemberView) -> _Told:
    return (value.miles,)


_TRIP = Slot(
    "trip",
    ("which trip", "which booking", "which reservation", "destination", "where to", "where does"),
    "Where does the trip go?",
    {
        "train": ("It is the trip to {value}.", "We are flying to {value}.", "To {value}.", "The {value} trip."),
        "test": ("{value} is where it goes.", "I am speaking of the journey to {value}.", "Destination {value}."),
    },
)
_BEGINS = Slot(
    "begins",
    (
        "which trip",
        "which booking",
        "which reservation",
        "which date",
        "what date",
        "which day",
        "what day",
        "when does",
    ),
    "On which day does the trip begin?",
    {
        "train": ("The trip I mean begins on {value}.", "It starts on {value}.", "The one that begins on {value}."),
        "test": ("My first day of travel is {value}.", "That journey sets off on {value}.", "Departure is {value}."),
    },
)
_ROUTE = Slot(
    "route",
    ("which flight", "what flight", "route", "from where", "which leg", "which segment", "which trip"),
    "Which flight do you mean, from where to where?",
    {
        "train": ("The flight from {value}.", "I mean {value}.", "{value}.", "It is the one from {value}."),
        "test": ("That would be {value}.", "I am flying {value}.", "The leg is {value}."),
    },
)
_DAY = Slot(
    "day",
    ("which flight", "what flight", "which date", "what date", "which day", "what day", "when is", "when was"),
    "On which day is the flight?",
    {
        "train": ("The flight I mean is on {value}.", "The one on {value}.", "It is the {value} flight."),
        "test": ("My flight is dated {value}.", "I am talking about {value}.", "Look at {value}."),
    },
)
_NEW_DAY = Slot(
    "new_day",
    ("new flight", "new date", "new day", "instead", "move it to", "change it to"),
    "Which date do you have in mind for the new flight?",
    {
        "train": ("I want to fly on {value} instead.", "The new date is {value}.", "Move it to {value}."),
        "test": ("{value} is when I can travel.", "I could make {value}.", "Please look at {value} for me."),
    },
)
_NEW_TIME = Slot(
    "new_time",
    ("what time", "which time", "departure time", "new flight", "how early", "how late"),
    "At what time of day does the new flight leave?",
    {
        "train": ("The one at {value}.", "The new one leaves at {value}.", "{value}, please."),
        "test": ("Your timetable has one at {value}.", "I picked {value}.", "It takes off at {value}."),
    },
)
_PAYOUT = Slot(
    "payout",
    ("bank transfer", "voucher", "how would you like", "how do you want", "in what form", "way of payment"),
    "Do you want a bank transfer or a travel voucher?",
    {
        "train": ("A {value}, please.", "I want a {value}.", "I'd like a {value}."),
        "test": ("The {value} suits me.", "Let it be a {value}.", "I prefer a {value}."),
    },
)
_WHO = Slot(
    "who",
    (
        "which passenger",
        "which traveler",
        "which traveller",
        "for whom",
        "who is",
        "who needs",
        "whose",
        "passenger's name",
    ),
    "Which passenger is it about?",
    {
        "train": ("It is for {value}.", "{value}.", "I mean {value}.", "The passenger is {value}."),
        "test": ("That is {value}.", "On the ticket it says {value}.", "I ask on behalf of {value}."),
    },
)
_BAG = Slot(
    "bag",
    ("what kind", "which kind", "what type", "kind of bag", "kind of luggage", "checked bag", "heavy bag", "piece"),
    "What kind of luggage is it: a checked bag, a heavy bag or a bicycle?",
    {
        "train": ("It is a {value}.", "A {value}.", "One {value}, please."),
        "test": ("I am bringing a {value}.", "Put it down as a {value}."),
    },
)
_SEAT = Slot(
    "seat",
    ("which seat", "what seat", "seat number", "seat would"),
    "Which seat number is it?",
    {
        "train": ("Seat {value}.", "{value}, please.", "I'd like {value}."),
        "test": ("Number {value} looks good.", "The plan shows {value} as free."),
    },
)
_NEW_NAME = Slot(
    "new_name",
    ("spell", "correct name", "right name", "new name", "name be", "changed to"),
    "How is the name spelled correctly?",
    {
        "train": ("It must read {value}.", "The correct name is {value}.", "{value}."),
        "test": ("The passport says {value}.", "Letter by letter it is {value}."),
    },
)
_ASSISTANCE = Slot(
    "assistance",
    ("what kind", "which kind", "what assistance", "which assistance", "wheelchair", "guide dog", "stretcher"),
    "Which assistance is it: a wheelchair, a guide dog or a stretcher?",
    {
        "train": ("It is a {value}.", "A {value}, please.", "We need a {value}."),
        "test": ("There will be a {value}.", "I am asking for a {value}."),
    },
)
_INFANT = Slot(
    "infant",
    ("name of the infant", "name of the baby", "infant's name", "baby's name", "which infant", "infant called"),
    "What is the name of the infant?",
    {
        "train": ("The baby is called {value}.", "{value}.", "Her full name is {value}."),
        "test": ("We named the baby {value}.", "Our little one is {value}."),
    },
)
_ADULT = Slot(
    "who",
    ("which adult", "which passenger", "whose lap", "who will", "who is", "for whom", "travel with", "on the lap"),
    "On whose lap does the infant travel?",
    {
        "train": ("With {value}.", "{value} takes the baby.", "On the lap of {value}."),
        "test": ("The adult is {value}.", "It is {value} who holds the little one."),
    },
)
_BORN = Slot(
    "born",
    ("born", "birth", "how old"),
    "When was the infant born?",
    {
        "train": ("Born on {value}.", "The date of birth is {value}.", "It was {value}."),
        "test": ("{value} is the birthday.", "The birth certificate says {value}."),
    },
)
_SURNAME = Slot(
    "surname",
    ("last name", "surname", "family name"),
    "What is your last name?",
    {
        "train": ("My last name is {value}.", "{value}.", "It is {value}."),
        "test": ("The family name is {value}.", "You will find me as {value}."),
    },
)
_NAME = Slot(
    "name",
    ("your name", "full name", "who am i speaking"),
    "What is your full name?",
    {
        "train": ("My name is {value}.", "I am {value}."),
        "test": ("The name is {value}.", "You are talking to {value}."),
    },
)
_MEMBERSHIP = Slot(
    "membership",
    ("member number", "membership", "loyalty", "frequent flyer", "frequent-flyer"),
    "What is your member number?",
    {
        "train": ("My member number is {value}.", "It is {value}.", "I have the number {value}."),
        "test": ("My card shows {value}.", "As a member I am {value}."),
    },
)
_LOCATOR = Slot(
    "locator",
    ("booking code", "locator", "booking reference", "confirmation code", "confirmation number", "reservation code"),
    "What is the booking code?",
    {
        "train": (
            "One booking code of mine is {value}.",
            "I have the code {value} at hand.",
            "A code I have is {value}.",
        ),
        "test": ("One of my confirmations says {value}.", "The code I wrote down is {value}."),
    },
)

CALLERS = Callers(
    ids=lambda db: list(db.base.tables["members"]),
    facts=candidates.caller_facts,
    knows=candidates.knowledge,
    identities=(
        Identity("find_member", {"member_number": "membership", "last_name": "surname"}),
        Identity("find_booking", {"locator": "locator", "last_name": "surname"}),
    ),
    slots=(_MEMBERSHIP, _LOCATOR, _SURNAME, _NAME),
    introductions={
        "train": (
            "Hi, {first} {surname} here, member number {membership}.",
            "Hello, I have the booking code {locator}, last name {surname}.",
            "Hi, this is {first} {surname}.",
            "Hello, my member number is {membership}.",
            "Good morning!",
            "Hi, it's about {locator}, the name is {surname}.",
            "{surname}, {membership}.",
            "",
            "Hey, I'm {first} {surname} and I am flying with you.",
        ),
        "test": (
            "Good afternoon, {first} {surname} with the card {membership}.",
            "Greetings, {surname} is the name and {locator} the confirmation.",
            "Good day.",
            "This is {first} {surname}, one of your passengers.",
            "Hello there, {membership} is my card and {surname} my name.",
            "I am holding the confirmation {locator}; the name is {first} {surname}.",
        ),
    },
)

_CHANGE = Wish(
    tool="change_flight",
    candidates=candidates.changes,
    slots=(_ROUTE, _DAY, _NEW_DAY, _NEW_TIME),
    openings={
        "train": (
            "Please move my flight from {route} on {day} to the one on {new_day} at {new_time}.",
            "I need to change the {route} flight to {new_day}, the {new_time} departure.",
            "Can I switch my flight of {day} to {new_day} at {new_time}?",
            "I'd like to change a flight.",
            "I want to fly {route} on {new_day} instead.",
            "Something came up and I can't take the {route} flight on {day}. Put us on another one.",
            "Rebook me from {route}, {day}, to {new_day} {new_time}.",
            "Could you please rebook my {day} flight from {route}? The one at {new_time} on {new_day} would be good.",
            "I have to be on a different flight than the one on {day}.",
        ),
        "test": (
            "My plans for {day} changed; instead of that {route} flight I want the {new_time} one of {new_day}.",
            "Is there room for us on the {new_time} from {route} on {new_day}? If so we would swap our {day} flight.",
            "The {route} leg no longer works for me.",
            "Take us off the plane on {day}, {route}, and give us {new_day}, {new_time}.",
            "A flight of mine must be at some other time.",
        ),
    },
    changes={
        "train": (
            "Actually, make that {new_day} at {new_time}.",
            "Wait, the one at {new_time} is better.",
            "Sorry, I'd rather fly on {new_day} at {new_time}.",
            "On second thought, leave that one and move the flight from {route} on {day} to {new_day} at {new_time}.",
        ),
        "test": (
            "Hold on, {new_day}, {new_time} fits my diary.",
            "Hmm, could we be on the {new_time} that leaves on {new_day}?",
            "Before you do: {new_time} is what I need.",
        ),
    },
    proposal="move your flight from {route} on {day} to the one on {new_day} at {new_time}",
    tell=_tell_charge,
    report="In total you pay {0} for it.",
)
_CANCEL = Wish(
    tool="cancel_booking",
    candidates=candidates.cancellations,
    slots=(_TRIP, _BEGINS, _PAYOUT),
    openings={
        "train": (
            "Please cancel my trip to {trip} and send me a {payout}.",
            "I want to cancel the trip that begins on {begins}.",
            "We can't go to {trip} any more. Please cancel everything.",
            "I'd like to cancel my {trip} trip of {begins}, with the refund as a {payout}.",
            "Cancel a booking for me, please.",
            "I need to cancel the booking for {begins}. A {payout} is fine.",
            "Can I get a {payout} if I cancel? Then please cancel a trip of mine.",
            "Our holiday in {trip} is off, cancel it please and give me a {payout}.",
            "Cancel {trip}, {begins}, {payout}.",
        ),
        "test": (
            "Sadly nobody is travelling to {trip}; call it off and let me have a {payout}.",
            "The journey planned for {begins} will not happen, so I want the money back as a {payout}.",
            "A journey of mine is not going to happen.",
            "Please annul the {trip} journey that sets off on {begins}; a {payout} would be right.",
            "I have to give up the journey to {trip}.",
        ),
    },
    changes={
        "train": (
            "Actually, I'd rather have a {payout}.",
            "Wait, cancel the trip of {begins} instead.",
            "Sorry, I meant the trip to {trip}.",
            "On second thought, make it a {payout}.",
        ),
        "test": (
            "Hold on, a {payout} is more useful to me.",
            "Hmm, it is the journey of {begins} that has to go.",
            "No, I was thinking of {trip}.",
        ),
    },
    proposal="cancel your trip to {trip} that begins on {begins}, refunded as a {payout}",
    tell=_tell_refund,
    report="You get {0} back.",
)
_BAG_WISH = Wish(
    tool="add_bag",
    candidates=candidates.bags,
    slots=(_WHO, _BAG, _TRIP, _BEGINS),
    openings={
        "train": (
            "Please add a {bag} for {who} on the trip to {trip}.",
            "I need to add luggage to a booking.",
            "Can {who} bring a {bag} on {begins}?",
            "I'd like to book a {bag} for the {trip} trip.",
            "We want to take a {bag} along.",
            "Add one {bag} for {who}, trip of {begins}.",
            "{who} needs a {bag} on the way to {trip}, starting {begins}. Can you book that?",
            "Could you put a {bag} on the booking for {who}?",
            "I have more luggage than I thought for {trip}, please add a {bag}.",
        ),
        "test": (
            "On the journey to {trip}, {who} will have a {bag} that is not booked.",
            "There will be a {bag} in addition, belonging to {who}.",
            "Our suitcases do not suffice, so we take something in addition.",
            "For {begins} I must register a {bag} under the name {who}.",
            "A {bag} in addition for the {trip} journey, if you please.",
        ),
    },
    changes={
        "train": (
            "Actually, it is a {bag}.",
            "Wait, it is for {who}.",
            "Sorry, make that a {bag} for {who}.",
            "On second thought, put it on the trip to {trip} of {begins}.",
        ),
        "test": (
            "Hold on, what we carry is a {bag}.",
            "Hmm, book it under {who}.",
            "No, it is for the journey of {begins}.",
        ),
    },
    proposal="add a {bag} for {who} to your trip to {trip} that begins on {begins}",
    tell=_tell_charge,
    report="It costs {0}.",
)
_SEAT_WISH = Wish(
    tool="choose_seat",
    candidates=candidates.seats,
    slots=(_ROUTE, _DAY, _WHO, _SEAT),
    openings={
        "train": (
            "Please give {who} seat {seat} on the {route} flight of {day}.",
            "I want to choose a seat.",
            "Can {who} have {seat} from {route}?",
            "I'd like seat {seat} on {day} for {who}.",
            "We would like to pick a seat for the flight on {day}.",
            "Seat {seat} for {who}, {route}, {day}.",
            "Could {who} get another seat on the flight from {route}?",
            "I saw that {seat} is free on {day}. I want it.",
            "Please reserve {seat} on the {route} flight.",
        ),
        "test": (
            "Your plan of the {route} plane shows {seat} as free; let {who} sit there on {day}.",
            "Where {who} sits on {day} matters to us: {seat} it should be.",
            "I care about where we sit.",
            "Could {who} sit in {seat} when we fly {route}?",
            "Kindly set {seat} aside for {who}.",
        ),
    },
    changes={
        "train": (
            "Actually, take seat {seat}.",
            "Wait, {seat} is better.",
            "Sorry, the seat is for {who}.",
            "On second thought, {who} would like {seat}.",
        ),
        "test": (
            "Hold on, {seat} seems nicer.",
            "Hmm, it is {who} who should sit there.",
            "No, let {who} sit in {seat}.",
        ),
    },
    proposal="give {who} seat {seat} on the flight from {route} on {day}",
    tell=_tell_charge,
    report="The seat costs {0}.",
)
_UPGRADE = Wish(
    tool="upgrade_flight",
    candidates=candidates.upgrades,
    slots=(_ROUTE, _DAY),
    openings={
        "train": (
            "Please upgrade the {route} flight on {day} to business with my miles.",
            "I want to use my miles for an upgrade.",
            "Can you upgrade us from {route}?",
            "I'd like business class on {day}, paid with miles.",
            "Use my miles to upgrade the flight of {day}, {route}.",
            "Could we fly business on the {route} flight? I have miles.",
            "Is an upgrade with miles possible on {day}? If so, do it please.",
            "I would like to upgrade one of my flights with miles.",
        ),
        "test": (
            "Let us sit up front from {route} on {day}; my miles should cover it.",
            "My miles are waiting to be spent on a better cabin.",
            "For the {route} leg we would like the better cabin, against miles.",
            "I wish to spend miles so that we travel in comfort on {day}.",
            "One of my flights deserves the better cabin, in exchange for miles.",
        ),
    },
    changes={
        "train": (
            "Actually, upgrade the flight from {route} instead.",
            "Wait, I meant the flight on {day}.",
            "Sorry, do it for the flight of {day} from {route}.",
            "On second thought, use the miles on {day}.",
        ),
        "test": (
            "Hold on, {route} is where I want the better cabin.",
            "Hmm, spend them on {day} rather.",
        ),
    },
    proposal="upgrade your flight from {route} on {day} to business with your miles",
    tell=_tell_miles_used,
    report="It took {0} miles.",
)
_NAME_WISH = Wish(
    tool="correct_name",
    candidates=candidates.corrections,
    slots=(_WHO, _NEW_NAME, _TRIP, _BEGINS),
    openings={
        "train": (
            "The name {who} is wrong on the trip to {trip}, it must be {new_name}.",
            "Please correct a passenger's name on the booking for {begins}.",
            "Can you change {who} to {new_name} on the {trip} trip of {begins}?",
            "There is a mistake in a name on my booking.",
            "I need the name on the ticket to be {new_name}, on the trip that begins on {begins}.",
            "{who} is not right, please fix the name.",
            "Please fix a name on the booking to {trip}: {new_name} instead of {who}.",
            "The ticket says {who}. It should say {new_name}.",
        ),
        "test": (
            "Somebody typed {who} for the journey to {trip}, yet the passport reads {new_name}.",
            "The spelling of a name in my papers is off.",
            "Where it now reads {who}, put {new_name}, for the journey of {begins}.",
            "I noticed {who} on the ticket; the passport reads otherwise.",
            "My papers for {trip} ought to carry the name {new_name} where {who} stands.",
        ),
    },
    changes={
        "train": (
            "Actually, it must be {new_name}.",
            "Wait, make it {new_name}.",
            "Sorry, it is {who} that must become {new_name}.",
            "On second thought, do it on the trip of {begins}, to {new_name}.",
        ),
        "test": (
            "Hold on, {new_name} is what the passport reads.",
            "Hmm, I looked again: {new_name}.",
        ),
    },
    proposal="correct the name of {who} to {new_name} on your trip to {trip} that begins on {begins}",
)
_ASSIST = Wish(
    tool="request_assistance",
    candidates=candidates.assistances,
    slots=(_WHO, _ASSISTANCE, _TRIP, _BEGINS),
    openings={
        "train": (
            "Please arrange a {assistance} for {who} on the trip to {trip}.",
            "{who} needs a {assistance} on {begins}.",
            "I need assistance for one of the passengers.",
            "Can you note a {assistance} for the {trip} trip?",
            "I'd like to request a {assistance} for {who}, trip of {begins} to {trip}.",
            "We need a {assistance} on our trip.",
            "Could {who} have a {assistance} when we go to {trip}?",
            "{who} needs some assistance on the trip of {begins}.",
        ),
        "test": (
            "When we set off on {begins}, {who} depends on a {assistance}; please provide for that.",
            "Somebody in our party cannot travel without help.",
            "The journey to {trip} includes a {assistance} for {who}, which you should know.",
            "Would you register a {assistance} in our party for {trip}?",
            "Without a {assistance}, {who} cannot board; kindly see to it.",
        ),
    },
    changes={
        "train": (
            "Actually, we need a {assistance}.",
            "Wait, it is for {who}.",
            "Sorry, I meant a {assistance} for {who}.",
            "On second thought, it is the trip of {begins} that needs it.",
        ),
        "test": (
            "Hold on, a {assistance} is what is called for.",
            "Hmm, the person in question is {who}.",
        ),
    },
    proposal="order a {assistance} for {who} on your trip to {trip} that begins on {begins}",
)
_INFANT_WISH = Wish(
    tool="add_infant",
    candidates=candidates.infants,
    slots=(_INFANT, _BORN, _ADULT, _TRIP, _BEGINS),
    openings={
        "train": (
            "Please add our baby {infant}, born {born}, to the trip to {trip}, with {who}.",
            "I'd like to add an infant to my booking.",
            "Can {infant}, born {born}, travel on the lap of {who}?",
            "We want to bring {infant} along on {begins}.",
            "{who} will have a baby on the lap, {infant}, born {born}. Please add it to the trip of {begins}.",
            "Add {infant} ({born}) with {who} to {trip}, {begins}.",
            "I need to add an infant to the {trip} trip.",
            "Our baby {infant} is coming along with {who}, please add that.",
        ),
        "test": (
            "The family grew: {infant}, born on {born}, will sit with {who} on the journey to {trip}.",
            "There is a little one to put on our ticket.",
            "Have {infant} put on the ticket of {who}; the birthday is {born} and we set off on {begins}.",
            "A little one named {infant} joins {who} on the way to {trip}.",
            "For the journey of {begins}: {infant}, {born}, on the knees of {who}.",
        ),
    },
    changes={
        "train": (
            "Actually, {who} will take the baby.",
            "Wait, it is {infant} who comes along, born {born}.",
            "Sorry, put the baby with {who}.",
            "On second thought, it is about the trip of {begins} to {trip}.",
        ),
        "test": (
            "Hold on, the little one sits with {who}.",
            "Hmm, we will bring {infant} rather, {born} being the birthday.",
        ),
    },
    proposal="add {infant}, born {born}, on the lap of {who} to your trip to {trip} that begins on {begins}",
    tell=_tell_charge,
    report="It costs {0}.",
)
_CLAIM = Wish(
    tool="claim_compensation",
    candidates=candidates.claims,
    slots=(_ROUTE, _DAY, _PAYOUT),
    openings={
        "train": (
            "The {route} flight on {day} went wrong. I want compensation as a {payout}.",
            "I want to claim compensation for a flight.",
            "Please pay me compensation for {day}, a {payout} please.",
            "My flight from {route} was delayed or cancelled, what about compensation? I'd take a {payout}.",
            "I'd like compensation for the {route} flight of {day}.",
            "What happened on {day} was a mess. I want my compensation.",
            "Compensation for {route}, {day}, as a {payout}.",
            "You owe me compensation. A {payout} is fine.",
        ),
        "test": (
            "We were stranded on {day}, {route}; I insist on being paid for it, by a {payout}.",
            "Being stranded was no fun and I insist on being paid for it.",
            "After the trouble on the {route} leg I expect a {payout} from you.",
            "I write about the trouble of {day} and expect a {payout}.",
            "I expect to be paid for the trouble we had flying {route}.",
        ),
    },
    changes={
        "train": (
            "Actually, I'd rather have a {payout}.",
            "Wait, it is about the flight on {day}.",
            "Sorry, I meant the flight from {route}.",
            "On second thought, send a {payout}.",
        ),
        "test": (
            "Hold on, a {payout} helps me more.",
            "Hmm, the trouble was on {day}.",
        ),
    },
    proposal="pay compensation for your flight from {route} on {day} as a {payout}",
    tell=_tell_compensation,
    report="The compensation is {0}.",
)
_CHECK_IN = Wish(
    tool="check_in",
    candidates=candidates.check_ins,
    slots=(_ROUTE, _DAY),
    openings={
        "train": (
            "Please check us in for the flight from {route} on {day}.",
            "I want to check in.",
            "Can you check me in for {route}?",
            "Check in for {day}, please.",
            "I'd like to check in for my flight on {day}. When does boarding start?",
            "Could you do the check-in for the {route} flight?",
            "I can't check in online. Can you do it?",
            "Check-in {route} {day}, please.",
        ),
        "test": (
            "I would like the boarding passes for {route} on {day}.",
            "The boarding passes are what I am missing.",
            "Get us ready to board the {day} flight, would you?",
            "We are about to leave for the airport and need boarding passes, {route}.",
            "Do whatever is needed so that we can board.",
        ),
    },
    changes={
        "train": (
            "Actually, check us in for {route} instead.",
            "Wait, I meant the flight on {day}.",
            "Sorry, the one from {route} on {day}.",
        ),
        "test": ("Hold on, the passes for {route} come first.", "Hmm, I need those of {day}."),
    },
    proposal="check you in for the flight from {route} on {day}",
    tell=_tell_boarding,
    report="Boarding begins at {0}.",
)
_QUOTE_CHANGE = Wish(
    tool="quote_change",
    candidates=candidates.changes,
    slots=(_ROUTE, _DAY, _NEW_DAY, _NEW_TIME),
    openings={
        "train": (
            "How much would it cost to move my flight from {route} on {day} to {new_day} at {new_time}?",
            "What would I pay to change the {route} flight to {new_day} at {new_time}? Just asking.",
            "I'm thinking of taking the {new_time} on {new_day} instead of my {day} flight. What does that cost?",
            "Before I decide: what would {new_day}, {new_time} instead of {day} from {route} cost?",
            "Can you tell me the price of changing {route}, {day}, to {new_day} at {new_time}? Don't change it yet.",
            "What is the total for switching my {day} flight to the {new_time} one on {new_day}?",
        ),
        "test": (
            "Purely as a question: at what price could we swap {route}, {day}, for {new_day}, {new_time}?",
            "I only wonder what you would charge for {new_day}, {new_time} in place of my {route} flight.",
            "Suppose we left at {new_time} on {new_day} rather than on {day}; what would you charge?",
            "Name me the price of swapping the {day} flight, {route}, for the {new_time} one of {new_day}, no more.",
        ),
    },
    changes=_NO_CHANGES,
    proposal="look up what a move of your flight from {route} on {day} to {new_day} at {new_time} costs",
    tell=_tell_charge,
    report="Moving your flight from {route} on {day} to {new_day} at {new_time} would cost {0} in total.",
)
_QUOTE_CANCELLATION = Wish(
    tool="quote_cancellation",
    candidates=candidates.refund_quotes,
    slots=(_TRIP, _BEGINS, _PAYOUT),
    openings={
        "train": (
            "How much would I get back as a {payout} if I cancelled my trip to {trip}?",
            "What is the refund for the trip of {begins}, as a {payout}? I'm only asking.",
            "If we don't go to {trip} on {begins}, what do I get as a {payout}?",
            "I haven't decided yet: what would cancelling {trip} bring me as a {payout}?",
            "Just tell me the refund for my {begins} trip if I take a {payout}.",
            "What amount would a {payout} be if I cancelled the {trip} trip that begins on {begins}?",
        ),
        "test": (
            "Purely as a question: giving up {trip}, what sum would a {payout} have?",
            "I only wonder what sum you would return for the journey of {begins}, by {payout}.",
            "Suppose the {trip} journey of {begins} fell through; what would the {payout} be worth?",
            "What would I see again of the money for {trip}, as a {payout}, should we stay at home?",
        ),
    },
    changes=_NO_CHANGES,
    proposal="look up the refund for your trip to {trip} that begins on {begins} as a {payout}",
    tell=_tell_refund,
    report="Cancelling your trip to {trip} would bring you {0} as a {payout}.",
)
_DEPARTURE = Wish(
    tool="get_flight",
    candidates=candidates.departures,
    slots=(_ROUTE, _DAY),
    openings={
        "train": (
            "When exactly does my flight from {route} on {day} leave?",
            "Is the {route} flight on time? At what time does it leave?",
            "What is the departure time of my flight on {day}?",
            "I need the current departure time for {route}, {day}.",
            "Can you tell me what time we leave on {day}?",
            "At what time does the flight from {route} depart now?",
        ),
        "test": (
            "I heard of delays; by what hour do we take off from {route} on {day}?",
            "To plan my way to the airport I need the hour at which we take off on {day}.",
            "Tell me the hour the {route} plane takes off.",
            "Which hour does your system show for our take-off, {route}, {day}?",
        ),
    },
    changes=_NO_CHANGES,
    proposal="look up the departure of your flight from {route} on {day}",
    tell=_tell_departure,
    report="Your flight from {route} on {day} leaves at {0}.",
)
_TOTAL = Wish(
    tool="get_booking",
    candidates=candidates.totals,
    slots=(_TRIP, _BEGINS),
    openings={
        "train": (
            "How much did I pay for the trip to {trip}?",
            "What was the total fare of my trip of {begins}?",
            "I need the total of the {trip} booking that begins on {begins}.",
            "Can you tell me what the tickets for {begins} cost in total?",
            "For my expenses: what was the total for {trip}?",
            "What did the {trip} trip of {begins} cost altogether?",
        ),
        "test": (
            "My accountant asks what sum the tickets to {trip} came to.",
            "I lack the receipt for the journey of {begins} and need its sum.",
            "To what sum did all tickets for {trip}, {begins}, add up?",
            "The sum of the fares for our {trip} journey, please.",
        ),
    },
    changes=_NO_CHANGES,
    proposal="look up the total of your trip to {trip} that begins on {begins}",
    tell=_tell_total,
    report="The total of your trip to {trip} that begins on {begins} is {0}.",
)
_MILES = Wish(
    tool="find_member",
    candidates=candidates.account,
    slots=(),
    openings={
        "train": (
            "How many miles do I have?",
            "What is my miles balance?",
            "Can you tell me how many miles are on my account?",
            "I want to know my current miles.",
            "Please check my miles for me.",
            "How many miles have I collected so far?",
        ),
        "test": (
            "What does my account hold in miles these days?",
            "I lost count of my miles, what is the figure?",
            "Read me the figure of miles on my card, please.",
            "Before I dream of a free flight: which figure of miles do you show for me?",
        ),
    },
    changes=_NO_CHANGES,
    proposal="look up your miles",
    tell=_tell_miles,
    report="You have {0} miles.",
)

WISHES: tuple[Wish, ...] = (
    _CHANGE,
    _CANCEL,
    _BAG_WISH,
    _SEAT_WISH,
    _UPGRADE,
    _NAME_WISH,
    _ASSIST,
    _INFANT_WISH,
    _CLAIM,
    _CHECK_IN,
    _QUOTE_CHANGE,
    _QUOTE_CANCELLATION,
    _DEPARTURE,
    _TOTAL,
    _MILES,
)
