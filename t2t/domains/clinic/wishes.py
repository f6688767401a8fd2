"""What callers of the practice want, and how they say it."""

from collections.abc import Mapping, Sequence

from t2t.domain.wish import Callers, Identity, Slot, Undo, Wish
from t2t.domains.clinic import candidates
from t2t.domains.clinic.schema import FREE_CANCEL_NOTICE, NOW, ClinicDB, is_ahead, moment
from t2t.domains.clinic.tools import (
    Account,
    AppointmentView,
    Booking,
    Cancellation,
    Instalments,
    PatientView,
    PlanChange,
    PlanView,
    PrescriptionView,
    Quote,
    ReferralView,
    Refill,
)
from t2t.records import Arguments, Split

_Told = tuple[str, ...]
_Slots = Mapping[str, str]
_NO_CHANGES: Mapping[Split, tuple[str, ...]] = {"train": (), "test": ()}


def _tell_to_pay(db: ClinicDB, arguments: Arguments, slots: _Slots, value: Booking | Quote | Account) -> _Told:
    return (value.to_pay,)


def _tell_fee(db: ClinicDB, arguments: Arguments, slots: _Slots, value: Cancellation) -> _Told:
    return (value.fee,)


def _tell_ready(db: ClinicDB, arguments: Arguments, slots: _Slots, value: Refill) -> _Told:
    return (value.ready,)


def _tell_in_force(db: ClinicDB, arguments: Arguments, slots: _Slots, value: PlanChange) -> _Told:
    return (value.in_force_from,)


def _tell_monthly(db: ClinicDB, arguments: Arguments, slots: _Slots, value: Instalments) -> _Told:
    return (value.monthly,)


def _tell_next(db: ClinicDB, arguments: Arguments, slots: _Slots, value: Sequence[AppointmentView]) -> _Told:
    ahead = [db.appointments[view.appointment_id] for view in value]
    days = [
        row.start[:10]
        for row in ahead
        if is_ahead(row) and row.kind == slots["kind"] and db.clinicians[row.clinician_id].spoken == slots["clinician"]
    ]
    return (min(days),)


def _tell_valid(db: ClinicDB, arguments: Arguments, slots: _Slots, value: Sequence[ReferralView]) -> _Told:
    return tuple(view.valid_until for view in value if view.kind == slots["kind"])


def _tell_supply(db: ClinicDB, arguments: Arguments, slots: _Slots, value: Sequence[PrescriptionView]) -> _Told:
    return tuple(view.supply_until for view in value if view.drug == slots["drug"])


def _tell_plan(db: ClinicDB, arguments: Arguments, slots: _Slots, value: PatientView) -> _Told:
    return (value.plan,)


def _tell_copay(db: ClinicDB, arguments: Arguments, slots: _Slots, value: Sequence[PlanView]) -> _Told:
    return tuple(view.specialist_copay for view in value if view.name == slots["plan"])


def _cancel_visit(db: ClinicDB, arguments: Arguments, slots: _Slots, value: Booking) -> Sequence[Undo]:
    """Cancelling takes a new visit back while it is free of charge."""
    if moment(value.start) - NOW < FREE_CANCEL_NOTICE:
        return ()
    proposal = "cancel {patient}'s new {kind} on {day} with {clinician}".format(**slots)
    return (Undo("cancel_appointment", {"appointment_id": value.appointment_id}, proposal),)


def _whose(what: str) -> Slot:
    """Whose matter it is, in the words of what it is about."""
    return Slot(
        "whose",
        (
            "whose",
            "for whom",
            "who is it for",
            "who is this for",
            "who is the patient",
            "which patient",
            "family member",
        ),
        f"Whose {what} is it: yours, or that of a family member?",
        {
            "train": (f"It is {{value}} {what}.", f"I mean {{value}} {what}.", f"It is about {{value}} {what}."),
            "test": (f"This concerns {{value}} {what}.", f"We are speaking of {{value}} {what}."),
        },
    )


_PATIENT = Slot(
    "patient",
    ("patient's name", "patient's first name", "name of the patient"),
    "What is the patient's first name?",
    {
        "train": ("The patient is {value}.", "The first name is {value}."),
        "test": ("{value} is the patient.", "The patient goes by {value}."),
    },
)
_KIND = Slot(
    "kind",
    ("kind of", "type of", "what visit", "which visit", "what appointment", "which appointment", "which one"),
    "What kind of visit is it?",
    {
        "train": ("It is the {value}.", "The {value}.", "It's for the {value}."),
        "test": ("That would be the {value}.", "I am talking about the {value}."),
    },
)
_DAY = Slot(
    "day",
    ("which day", "what day", "which date", "what date", "when is", "which visit", "which appointment", "which one"),
    "Which day is it?",
    {
        "train": ("On {value}.", "It is {value}.", "{value}."),
        "test": ("The day is {value}.", "You should find it on {value}."),
    },
)
_FREE_DAY = Slot(
    "day",
    ("which day", "what day", "which date", "what date", "when would", "when do you", "date and time"),
    "On which day would you like to come?",
    {
        "train": ("On {value}.", "{value}, please.", "{value} works."),
        "test": ("Let it be {value}.", "{value} would be ideal."),
    },
)
_TIME = Slot(
    "time",
    ("what time", "which time", "time of day", "date and time"),
    "At what time?",
    {
        "train": ("At {value}.", "{value}, please.", "The one at {value}."),
        "test": ("I would come at {value}.", "{value} is the time for us."),
    },
)
_CLINICIAN = Slot(
    "clinician",
    ("which clinician", "which doctor", "what doctor", "doctor's name", "with whom", "name of the clinician"),
    "Which clinician is it with?",
    {
        "train": ("With {value}.", "{value}.", "It is {value}."),
        "test": ("{value} is the one.", "The name is {value}."),
    },
)
_NEW_DAY = Slot(
    "new_day",
    ("new day", "new date", "move to", "move it", "moved to", "instead", "prefer"),
    "What new day should it be?",
    {
        "train": ("Move it to {value}.", "To {value}, please.", "{value} instead."),
        "test": ("{value} would be the better day.", "Put it on {value}."),
    },
)
_NEW_TIME = Slot(
    "new_time",
    ("new time", "what time", "which time", "move it"),
    "At what new time?",
    {
        "train": ("At {value}.", "{value}, please."),
        "test": ("We could be there at {value}.", "{value} is the hour."),
    },
)
_NEW_CLINICIAN = Slot(
    "new_clinician",
    ("new clinician", "which clinician", "which doctor", "see instead", "with whom"),
    "And the new clinician, who should that be?",
    {
        "train": ("With {value}.", "{value}, please."),
        "test": ("We would see {value}.", "Let {value} do it."),
    },
)
_LANGUAGE = Slot(
    "language",
    ("language",),
    "Which language should be interpreted?",
    {
        "train": ("{value}.", "Into {value}, please.", "It has to be {value}."),
        "test": ("At home we speak {value}.", "That would be {value}."),
    },
)
_DRUG = Slot(
    "drug",
    (
        "which drug",
        "which prescription",
        "what prescription",
        "medication",
        "medicine",
        "name of the drug",
        "which one",
    ),
    "Which drug is it?",
    {
        "train": ("{value}.", "It is {value}.", "The one called {value}."),
        "test": ("The box says {value}.", "{value} is the name on the label."),
    },
)
_PRESCRIBER = Slot(
    "clinician",
    ("who prescribed", "prescriber", "which clinician", "which doctor"),
    "Who prescribed it?",
    {
        "train": ("{value} did.", "{value} prescribed it."),
        "test": ("It was written by {value}.", "I have it from {value}."),
    },
)
_PHARMACY = Slot(
    "pharmacy",
    ("pharmacy", "pharmacies", "chemist"),
    "Which pharmacy should it be?",
    {
        "train": ("{value}, please.", "At {value}.", "It should be {value}."),
        "test": ("{value} is around the corner from us.", "Let it be {value}."),
    },
)
_PLAN = Slot(
    "plan",
    ("which plan", "what plan", "new plan", "insurance plan", "plan would you", "name of the plan"),
    "Which plan do you mean?",
    {
        "train": ("The {value} plan.", "I mean {value}.", "{value}, please."),
        "test": ("The one called {value}.", "{value} is the name of it."),
    },
)
_BILLED = Slot(
    "billed",
    ("which invoice", "what invoice", "which bill", "date of the invoice", "invoice date", "invoice from", "which one"),
    "Which invoice is it, by its date?",
    {
        "train": ("The one of {value}.", "It is dated {value}.", "The invoice from {value}."),
        "test": ("It came on {value}.", "My copy says {value}."),
    },
)
_MONTHS = Slot(
    "months",
    ("how many", "how long", "number of instal", "over what period", "months"),
    "How many monthly instalments would you like?",
    {
        "train": ("{value} instalments.", "{value} months, please.", "Over {value} months."),
        "test": ("Spread it over {value}.", "I thought of {value} payments."),
    },
)
_PROXY = Slot(
    "proxy",
    (
        "who should be the proxy",
        "who should be",
        "which person",
        "who will be",
        "name of the proxy",
        "name of the person",
    ),
    "Who should be the proxy?",
    {
        "train": ("It should be {value}.", "Put down {value}."),
        "test": ("Please enter {value}.", "I thought of {value}."),
    },
)
_PROXY_NAME = Slot(
    "proxy_name",
    ("proxy's name", "proxy's first name"),
    "What is the proxy's first name?",
    {
        "train": ("The proxy's name is {value}.", "The first name of the proxy is {value}."),
        "test": ("You may write {value} for the proxy.", "The proxy goes by {value}."),
    },
)
_SCOPE = Slot(
    "scope",
    ("scope", "appointments or everything", "appointments only", "only appointments", "access"),
    "What is the scope: appointments or everything?",
    {
        "train": ("For {value}.", "The scope is {value}.", "{value}, please."),
        "test": ("Set it to {value}.", "I was thinking of {value}."),
    },
)
_NAME = Slot(
    "name",
    ("your name", "full name", "your first and last name"),
    "What is your full name?",
    {
        "train": ("My name is {value}.", "I am {value}.", "{value}."),
        "test": ("The name is {value}.", "You are talking to {value}."),
    },
)
_BIRTHDATE = Slot(
    "birthdate",
    ("date of birth", "birth date", "birthday", "when were you born"),
    "What is your date of birth?",
    {
        "train": ("I was born on {value}.", "It is {value}.", "{value}.", "My date of birth is {value}."),
        "test": ("My birthday is {value}.", "That is {value}."),
    },
)
_PHONE = Slot(
    "phone",
    ("phone", "number we have on file"),
    "What is your phone number?",
    {
        "train": ("It is {value}.", "My number is {value}.", "{value}."),
        "test": ("You reach me at {value}.", "That would be {value}."),
    },
)

CALLERS = Callers(
    ids=candidates.caller_ids,
    facts=candidates.caller_facts,
    knows=candidates.knowledge,
    identities=(
        Identity("find_patient", {"name": "name", "born": "birthdate"}),
        Identity("find_patient_by_phone", {"phone": "phone"}),
    ),
    slots=(_NAME, _BIRTHDATE, _PHONE),
    introductions={
        "train": (
            "Hello, this is {name}, born {birthdate}.",
            "Hi, {name} here.",
            "Good morning, my name is {name} and my phone number is {phone}.",
            "Hi, you have me under the phone number {phone}.",
            "Good morning!",
            "Hello, I'm {name}. My date of birth is {birthdate}.",
            "",
            "Hi there, {name} speaking, my number is {phone}.",
        ),
        "test": (
            "Good day, {name} is my name, and my birthday is {birthdate}.",
            "Greetings, it is {name}.",
            "Hello to everyone at the desk, I am on file with {phone}.",
            "Good day to you.",
            "My name is {name}, reachable at {phone}.",
            "{name}, {birthdate}, good day.",
        ),
    },
)

_BOOK = Wish(
    tool="book_appointment",
    candidates=candidates.bookings,
    slots=(_KIND, _whose("appointment"), _FREE_DAY, _CLINICIAN, _TIME, _PATIENT),
    openings={
        "train": (
            "I'd like to book {whose} {kind} with {clinician} on {day} at {time}.",
            "Can you put down {whose} {kind} for {day} at {time} with {clinician}?",
            "I need to make an appointment for {whose} {kind}.",
            "Please book {whose} {kind} with {clinician} on {day}.",
            "If {clinician} is free on {day} at {time}, I'd like that time for {whose} {kind}.",
            "I want to make an appointment.",
            "Can I get a time for {whose} {kind} on {day}?",
            "Please book {day} at {time} with {clinician} for {whose} {kind}.",
            "I need a time with {clinician}.",
            "Hoping to get {whose} {kind} done on {day}, {time}, by {clinician}. Can you book that?",
        ),
        "test": (
            "Would {clinician} have {time} on {day} for {whose} {kind}? I take it if so.",
            "It is time for {whose} {kind}; {clinician} on {day} at {time} would suit us.",
            "It is time for {whose} {kind}.",
            "Do reserve {day}, {time}, with {clinician}, for {whose} {kind}.",
            "Something has to go onto your calendar for us.",
            "Let {clinician} see to {whose} {kind} on {day}.",
        ),
    },
    changes={
        "train": (
            "Actually, make it {day} at {time} with {clinician}.",
            "Sorry, that time doesn't work after all. {day} at {time} with {clinician}, please.",
            "Wait, I should have said: it is for {whose} {kind}.",
            "On second thought, {time} would be better.",
            "Oh, that day is bad. Can we do {day} at {time}?",
        ),
        "test": (
            "Hold on, {day} at {time} with {clinician} suits us better.",
            "Hmm, let us say {time} rather.",
            "I misspoke, this is for {whose} {kind}.",
        ),
    },
    proposal="book {patient}'s {kind} with {clinician} on {day} at {time}",
    tell=_tell_to_pay,
    report="The visit costs {0}.",
    undo=_cancel_visit,
)
_MOVE = Wish(
    tool="move_appointment",
    candidates=candidates.moves,
    slots=(_KIND, _whose("appointment"), _DAY, _NEW_DAY, _NEW_TIME, _NEW_CLINICIAN, _CLINICIAN, _PATIENT),
    openings={
        "train": (
            "Please move {whose} {kind} from {day} to {new_day} at {new_time} with {new_clinician}.",
            "Can I reschedule {whose} {kind} to {new_day} at {new_time}?",
            "I can't make {whose} {kind} on {day}. Can we move it to {new_day}?",
            "I need to reschedule {whose} {kind}.",
            "I have to move an appointment.",
            "Could you change {whose} {kind} on {day} to {new_clinician}, {new_day} at {new_time}?",
            "Something came up on {day}, so please move {whose} {kind} to {new_day}, {new_time}, with {new_clinician}.",
            "The {kind} with {clinician} has to move to another day.",
            "I'd like {new_day} at {new_time} for {whose} {kind} instead of {day}.",
        ),
        "test": (
            "We cannot come to {whose} {kind} on {day}; {new_clinician} on {new_day} at {new_time} would do.",
            "Shift {whose} {kind} of {day} to {new_day}, {new_time}, with {new_clinician}, if you please.",
            "An appointment of ours is at a bad time and has to go elsewhere.",
            "Something else falls on {day}, so {whose} {kind} has to shift.",
            "Let {whose} {kind} take place on {new_day} at {new_time}.",
        ),
    },
    changes={
        "train": (
            "Actually, {new_day} at {new_time} with {new_clinician} is better.",
            "Wait, I'd rather move it to {new_day}, {new_time}, with {new_clinician}.",
            "Sorry, {new_time} would be better.",
            "On second thought, can we do {new_day} at {new_time}?",
        ),
        "test": (
            "Hold on, let us shift it to {new_day}, {new_time}, with {new_clinician}.",
            "Hmm, {new_day} at {new_time} is the wiser choice.",
        ),
    },
    proposal="move {patient}'s {kind} of {day} to {new_day} at {new_time} with {new_clinician}",
)
_CANCEL = Wish(
    tool="cancel_appointment",
    candidates=candidates.cancellations,
    slots=(_KIND, _whose("appointment"), _DAY, _CLINICIAN, _PATIENT),
    openings={
        "train": (
            "Please cancel {whose} {kind} on {day}.",
            "I need to cancel {whose} {kind} with {clinician}.",
            "I have to cancel an appointment.",
            "Can you cancel the {kind} on {day}?",
            "I won't need {whose} {kind} any more, please cancel it.",
            "I'd like to cancel the appointment with {clinician}.",
            "Please take {whose} {kind} on {day} with {clinician} off the calendar.",
            "Cancel the appointment on {day}, please.",
        ),
        "test": (
            "Nobody will show up for {whose} {kind} of {day}, so strike it.",
            "We have to call off {whose} {kind} with {clinician}.",
            "Something we have with you has to be called off.",
            "Strike {whose} {kind} from your book.",
            "What we have with {clinician} on {day} has to be called off.",
        ),
    },
    changes={
        "train": (
            "Actually, keep that one and cancel {whose} {kind} on {day}.",
            "Wait, wrong one. I meant the appointment on {day}.",
            "Sorry, it is {whose} {kind} that has to go, not that one.",
            "On second thought, leave it. Cancel the one with {clinician} on {day} instead.",
        ),
        "test": (
            "Hold on, that one stays. {whose} {kind} of {day} is the one to strike.",
            "Hmm, I took the wrong line of my diary; call off what we have on {day}.",
            "No, let that stand and strike {whose} {kind}.",
        ),
    },
    proposal="cancel {patient}'s {kind} on {day} with {clinician}",
    tell=_tell_fee,
    report="The cancellation fee is {0}.",
)
_INTERPRETER = Wish(
    tool="book_interpreter",
    candidates=candidates.interpreters,
    slots=(_LANGUAGE, _KIND, _whose("appointment"), _DAY, _CLINICIAN, _PATIENT),
    openings={
        "train": (
            "Please book an interpreter for {language} for {whose} {kind} on {day}.",
            "I need an interpreter for an appointment.",
            "Can someone interpret into {language} at {whose} {kind}?",
            "For {whose} {kind} with {clinician} we need an interpreter for {language}.",
            "We need {language} interpreted at the {kind} on {day}.",
            "Could you get an interpreter for {whose} {kind}?",
            "I'd like to have an interpreter for {language} at the visit with {clinician}.",
            "Is it possible to have an interpreter for {language} on {day}?",
        ),
        "test": (
            "Somebody should put things into {language} for us at {whose} {kind} of {day}.",
            "At {whose} {kind} with {clinician} we depend on somebody who speaks {language}.",
            "At {whose} {kind} we will not understand enough English.",
            "One of our visits needs somebody who puts things into {language}.",
            "Send somebody who speaks {language} along to {whose} {kind}.",
        ),
    },
    changes={
        "train": (
            "Actually, it should be {language}.",
            "Wait, the interpreter is for {whose} {kind} on {day}.",
            "Sorry, I mean the visit on {day}.",
            "On second thought, we need it for {whose} {kind}, in {language}.",
        ),
        "test": (
            "Hold on, {language} is what we understand best.",
            "Hmm, that one goes without. {whose} {kind} of {day} is where we need somebody.",
        ),
    },
    proposal="book an interpreter for {language} for {patient}'s {kind} on {day}",
)
_REFILL = Wish(
    tool="request_refill",
    candidates=candidates.refills,
    slots=(_DRUG, _whose("prescription"), _PRESCRIBER, _PATIENT),
    openings={
        "train": (
            "Please refill {whose} {drug}.",
            "I need a refill.",
            "Can I get a refill of {whose} {drug} from {clinician}?",
            "I'm calling about a refill of what {clinician} prescribed.",
            "We are running low on {whose} {drug}, can you have it refilled?",
            "I'd like to order {whose} {drug} again.",
            "Could you refill the {drug}?",
            "I need {whose} prescription refilled.",
        ),
        "test": (
            "There is not much of {whose} {drug} left, so kindly order the next box.",
            "The next box of {whose} {drug} is due, I believe.",
            "We need the next box of something that {clinician} wrote up.",
            "Kindly have the next box of {drug} made ready.",
            "A box in our cabinet is nearly empty.",
        ),
    },
    changes={
        "train": (
            "Actually, I need {whose} {drug} refilled, not that.",
            "Wait, it's {drug} that I need.",
            "Sorry, I mixed them up. Refill {whose} {drug} instead.",
            "On second thought, leave that and refill the {drug}.",
        ),
        "test": (
            "Hold on, {whose} {drug} is the box that is empty.",
            "Hmm, I held the wrong box; it is {drug}.",
        ),
    },
    proposal="request a refill of {patient}'s {drug}",
    tell=_tell_ready,
    report="It is ready on {0}.",
)
_CHANGE_PHARMACY = Wish(
    tool="change_pharmacy",
    candidates=candidates.pharmacy_changes,
    slots=(_DRUG, _whose("prescription"), _PHARMACY, _PRESCRIBER, _PATIENT),
    openings={
        "train": (
            "Please send {whose} {drug} to {pharmacy} from now on.",
            "I want to change the pharmacy for a prescription.",
            "Can {whose} {drug} be filled at {pharmacy} instead?",
            "I'd like to switch {whose} {drug} to another pharmacy.",
            "We moved. Please have the {drug} filled at {pharmacy}.",
            "Could {pharmacy} fill {whose} prescription?",
            "I'd like to pick up {whose} {drug} at {pharmacy} in future.",
            "Please switch what {clinician} prescribed to {pharmacy}.",
        ),
        "test": (
            "In future I will fetch {whose} {drug} at {pharmacy}.",
            "Let {pharmacy} have the order for {whose} {drug}.",
            "The place where we fetch {whose} {drug} is too far away.",
            "We would rather fetch one of our drugs at {pharmacy}.",
            "What {clinician} wrote up for us should go to {pharmacy}.",
        ),
    },
    changes={
        "train": (
            "Actually, {pharmacy} is closer.",
            "Wait, do that for {whose} {drug}.",
            "Sorry, make it {pharmacy}.",
            "On second thought, switch {whose} {drug} to {pharmacy} instead.",
        ),
        "test": ("Hold on, {pharmacy} is easier to reach.", "Hmm, I meant {whose} {drug}, and {pharmacy}."),
    },
    proposal="have {patient}'s {drug} filled at {pharmacy} from now on",
)
_CHANGE_PLAN = Wish(
    tool="change_plan",
    candidates=candidates.plan_changes,
    slots=(_PLAN, _whose("insurance"), _PATIENT),
    openings={
        "train": (
            "I want to switch {whose} insurance to the {plan} plan.",
            "Please change {whose} plan to {plan}.",
            "I'd like to change an insurance plan.",
            "Can {whose} insurance be changed?",
            "Please put {whose} insurance on the {plan} plan as soon as possible.",
            "We'd like to go over to the {plan} plan.",
            "The {plan} plan looks right to me, please switch {whose} insurance to it.",
        ),
        "test": (
            "From the next possible day, {plan} should be {whose} insurance.",
            "I read about {plan} and would like it for {whose} insurance.",
            "Our cover no longer fits us.",
            "Kindly move {whose} insurance over to {plan}.",
            "We have decided in favour of {plan}.",
        ),
    },
    changes={
        "train": (
            "Actually, I prefer the {plan} plan.",
            "Wait, do that for {whose} insurance.",
            "Sorry, I meant the {plan} plan for {whose} insurance.",
            "On second thought, take {plan}.",
        ),
        "test": ("Hold on, {plan} reads better.", "Hmm, it is {whose} insurance that I want changed."),
    },
    proposal="change {patient}'s insurance to the {plan} plan",
    tell=_tell_in_force,
    report="It is in force from {0}.",
)
_INSTALMENTS = Wish(
    tool="set_up_instalments",
    candidates=candidates.instalments,
    slots=(_BILLED, _KIND, _whose("invoice"), _MONTHS, _PATIENT),
    openings={
        "train": (
            "Can I pay the invoice for {whose} {kind} of {billed} in {months} instalments?",
            "I'd like to pay an invoice in instalments.",
            "Please split the invoice of {billed} into {months} monthly payments.",
            "The invoice for {whose} {kind} is too much at once. Can I pay it over {months} months?",
            "Can I set up a payment plan for {whose} {kind}?",
            "I need a payment plan over {months} months.",
            "I got an invoice dated {billed} and want to pay it over {months} months.",
            "Please set up {months} instalments for the invoice for {whose} {kind}.",
        ),
        "test": (
            "What you charged for {whose} {kind} on {billed}, I would pay off in {months} parts.",
            "Let me pay off {whose} {kind} in {months} parts.",
            "I received something to pay that I cannot settle in one go.",
            "The sum dated {billed} is beyond me in one go, I suggest {months} parts.",
            "Paying off {whose} {kind} bit by bit would help me.",
        ),
    },
    changes={
        "train": (
            "Actually, {months} instalments would be better.",
            "Wait, I meant the invoice of {billed}.",
            "Sorry, make it {months} months.",
            "On second thought, do that for {whose} {kind}, in {months} instalments.",
        ),
        "test": (
            "Hold on, {months} parts are easier for me.",
            "Hmm, it is the sum dated {billed} that I want to pay off.",
        ),
    },
    proposal="set up {months} instalments for the invoice of {billed} for {patient}'s {kind}",
    tell=_tell_monthly,
    report="Each monthly payment is {0}.",
)
_NAME_PROXY = Wish(
    tool="name_proxy",
    candidates=candidates.proxies,
    slots=(_PROXY, _SCOPE, _whose("file"), _PROXY_NAME, _PATIENT),
    openings={
        "train": (
            "Please put {proxy} down as a proxy on {whose} file, for {scope}.",
            "Please give {proxy} access to {whose} file, for {scope}.",
            "I'd like to name a proxy.",
            "Can you make {proxy} a proxy on {whose} file?",
            "Please add a proxy to {whose} file, for {scope}.",
            "Could you get {proxy} onto {whose} file as a proxy, for {scope}?",
            "Please register {proxy} as a proxy.",
        ),
        "test": (
            "Kindly enter {proxy} on {whose} file as somebody who may act, for {scope}.",
            "Somebody else should be allowed to act, on {whose} file.",
            "Entitle {proxy} to act on {whose} file, if you would, for {scope}.",
            "Kindly enter {proxy} as somebody who may act.",
            "Let {proxy} act on {whose} file.",
        ),
    },
    changes={
        "train": (
            "Actually, make the scope {scope}.",
            "Wait, make it {proxy} instead.",
            "Sorry, put {proxy} down, for {scope}.",
            "On second thought, for {scope}.",
        ),
        "test": ("Hold on, {scope} is the right extent.", "Hmm, better put {proxy} there, and for {scope}."),
    },
    proposal="name {proxy_name} as a proxy on {patient}'s file, for {scope}",
)
_QUOTE = Wish(
    tool="quote_visit",
    candidates=candidates.bookings,
    slots=(_KIND, _whose("appointment"), _FREE_DAY, _CLINICIAN, _TIME, _PATIENT),
    openings={
        "train": (
            "How much would {whose} {kind} with {clinician} on {day} at {time} cost?",
            "What would I pay for {whose} {kind} with {clinician} on {day} at {time}? I don't want to book yet.",
            "Before I book: what does {whose} {kind} cost on {day} at {time} with {clinician}?",
            "Can you tell me the price of {whose} {kind} if we come to {clinician} on {day} at {time}?",
            "I only want to know what we pay for {whose} {kind} on {day}, {time}, with {clinician}.",
            "If {clinician} did {whose} {kind} on {day} at {time}, what would it cost us?",
        ),
        "test": (
            "Purely as a question: what sum falls to us for {whose} {kind} with {clinician}, {day}, {time}?",
            "Say we took {day} at {time} with {clinician} for {whose} {kind}, what sum would you charge?",
            "What would you charge for {whose} {kind}, were it on {day} at {time} with {clinician}?",
            "I am only comparing: {whose} {kind}, {clinician}, {day}, {time}, comes to what sum?",
        ),
    },
    changes=_NO_CHANGES,
    proposal="look up what {patient}'s {kind} would cost on {day} at {time}",
    tell=_tell_to_pay,
    report="For {patient}, the {kind} with {clinician} on {day} at {time} costs {0}.",
)
_NEXT = Wish(
    tool="list_appointments",
    candidates=candidates.next_visits,
    slots=(_KIND, _whose("appointment"), _CLINICIAN, _PATIENT),
    openings={
        "train": (
            "When is {whose} next {kind}?",
            "On what date is {whose} next {kind} with {clinician}?",
            "I lost the card with the date of {whose} next {kind}. When is it?",
            "Can you tell me the date of {whose} next {kind}?",
            "What day did we say for {whose} {kind} with {clinician}?",
            "Please tell me on what day {whose} next {kind} is.",
        ),
        "test": (
            "I forgot which day we agreed on for {whose} coming {kind}.",
            "Which day does your book show for {whose} coming {kind} with {clinician}?",
            "My diary lacks the day of {whose} coming {kind}, could you look?",
            "For {whose} coming {kind} I need the exact day again.",
        ),
    },
    changes=_NO_CHANGES,
    proposal="look up {patient}'s next {kind}",
    tell=_tell_next,
    report="The next {kind} with {clinician} is on {0}.",
)
_REFERRAL = Wish(
    tool="list_referrals",
    candidates=candidates.referrals,
    slots=(_KIND, _whose("referral"), _PATIENT),
    openings={
        "train": (
            "Until when is {whose} referral for the {kind} valid?",
            "When does {whose} referral for the {kind} expire, or when did it?",
            "What is the last day of {whose} {kind} referral?",
            "Can you check until what date {whose} {kind} referral is good?",
            "I'd like to know how long {whose} referral for the {kind} is valid.",
            "Is there an end date on {whose} {kind} referral, and which one?",
        ),
        "test": (
            "Which day ends {whose} referral for the {kind}?",
            "I wonder up to which day {whose} {kind} referral counts.",
            "Could you read out the end of {whose} referral for the {kind}?",
            "By which day would {whose} {kind} referral have to be used?",
        ),
    },
    changes=_NO_CHANGES,
    proposal="look up {patient}'s referral for the {kind}",
    tell=_tell_valid,
    report="The last day of the referral for the {kind} is {0}.",
)
_SUPPLY = Wish(
    tool="list_prescriptions",
    candidates=candidates.supplies,
    slots=(_DRUG, _whose("prescription"), _PRESCRIBER, _PATIENT),
    openings={
        "train": (
            "When does {whose} supply of {drug} run out, or when did it?",
            "Until what date does {whose} {drug} last?",
            "Can you check when {whose} {drug} is used up?",
            "By what date is {whose} {drug} finished, going by the last filling?",
            "I'd like to know how long the last filling of {whose} {drug} lasts.",
            "On which day does the last filling of {whose} {drug} end?",
        ),
        "test": (
            "To which day will the box of {whose} {drug} take us, by your records?",
            "I try to plan ahead: which day sees the end of {whose} {drug}?",
            "Your records should show when the box of {whose} {drug} is empty.",
            "Reckon for me when {whose} present box of {drug} is empty, please.",
        ),
    },
    changes=_NO_CHANGES,
    proposal="look up {patient}'s supply of {drug}",
    tell=_tell_supply,
    report="The supply of {drug} lasts until {0}.",
)
_COPAY = Wish(
    tool="list_plans",
    candidates=candidates.plans,
    slots=(_PLAN,),
    openings={
        "train": (
            "What is the specialist copay on the {plan} plan?",
            "How much do you pay at a specialist with the {plan} plan?",
            "I'm comparing plans. What is the specialist copay of {plan}?",
            "Can you tell me the copay for specialists on {plan}?",
            "With the {plan} plan, what would a visit on referral cost as copay?",
            "Please look up the specialist copay for the {plan} plan.",
        ),
        "test": (
            "Somebody on {plan} who is sent to a specialist pays what sum?",
            "For {plan}, which share falls to the patient at a specialist?",
            "I wonder what {plan} leaves to the patient at a specialist.",
            "At a specialist, what sum does {plan} ask of the patient?",
        ),
    },
    changes=_NO_CHANGES,
    proposal="look up the {plan} plan",
    tell=_tell_copay,
    report="The specialist copay of the {plan} plan is {0}.",
)
_ACCOUNT = Wish(
    tool="list_invoices",
    candidates=candidates.people,
    slots=(_whose("account"), _PATIENT),
    openings={
        "train": (
            "How much is still to pay on {whose} account?",
            "What is the total of {whose} unpaid invoices?",
            "Can you tell me what is open on {whose} account?",
            "I'd like to know the exact amount that is unpaid on {whose} account.",
            "How much do we owe you on {whose} account in all?",
            "Is anything still to pay on {whose} account, and how much?",
        ),
        "test": (
            "Which sum stands against {whose} account at the moment?",
            "I keep our books and lack the sum still standing on {whose} account.",
            "Add up for me what is not settled on {whose} account.",
            "What sum would settle {whose} account?",
        ),
    },
    changes=_NO_CHANGES,
    proposal="look up {patient}'s account",
    tell=_tell_to_pay,
    report="In all {0} is still to pay.",
)
_RECORD = Wish(
    tool="get_patient",
    candidates=candidates.people,
    slots=(_whose("insurance"), _PATIENT),
    openings={
        "train": (
            "Which plan is {whose} insurance on at the moment?",
            "What is the name of the plan that {whose} insurance is on?",
            "Can you tell me the plan of {whose} insurance?",
            "I have to fill in a form. Which plan does {whose} insurance have right now?",
            "Please look up the plan of {whose} insurance as it is today.",
            "What plan do you have on file for {whose} insurance?",
        ),
        "test": (
            "Under what name does {whose} insurance run today?",
            "I am asked for the name of {whose} insurance and cannot find the card.",
            "A form wants to know how {whose} insurance is called.",
            "Do tell how {whose} insurance is called at present.",
        ),
    },
    changes=_NO_CHANGES,
    proposal="look up {patient}'s insurance plan",
    tell=_tell_plan,
    report="The plan in force is {0}.",
)

WISHES: tuple[Wish, ...] = (
    _BOOK,
    _MOVE,
    _CANCEL,
    _INTERPRETER,
    _REFILL,
    _CHANGE_PHARMACY,
    _CHANGE_PLAN,
    _INSTALMENTS,
    _NAME_PROXY,
    _QUOTE,
    _NEXT,
    _REFERRAL,
    _SUPPLY,
    _COPAY,
    _ACCOUNT,
    _RECORD,
)
