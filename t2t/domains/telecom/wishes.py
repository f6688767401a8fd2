"""What callers of the carrier want, how they say it, and how they are asked to use their phone."""

from collections.abc import Mapping, Sequence

from t2t.domain.wish import Callers, Identity, Instruction, Slot, Undo, Wish
from t2t.domains.telecom import candidates
from t2t.domains.telecom.schema import TelecomDB, gigabytes, money
from t2t.domains.telecom.tools import BillSummary, BillView, LineView, PassAdded, PlanQuote, PortCode, Refuel
from t2t.records import Arguments, Split

_Told = tuple[str, ...]
_Slots = Mapping[str, str]
_NO_CHANGES: Mapping[Split, tuple[str, ...]] = {"train": (), "test": ()}


def _cents(amount: str) -> int:
    return int(amount.replace(".", ""))


def _tell_difference(db: TelecomDB, arguments: Arguments, slots: _Slots, value: PlanQuote) -> _Told:
    return (value.to_pay if value.credit == "0.00" else value.credit,)


def _tell_pass(db: TelecomDB, arguments: Arguments, slots: _Slots, value: PassAdded) -> _Told:
    return (value.price, value.until)


def _tell_price(db: TelecomDB, arguments: Arguments, slots: _Slots, value: Refuel) -> _Told:
    return (value.price,)


def _tell_code(db: TelecomDB, arguments: Arguments, slots: _Slots, value: PortCode) -> _Told:
    return (value.code, value.valid_until)


def _tell_data_left(db: TelecomDB, arguments: Arguments, slots: _Slots, value: LineView) -> _Told:
    return (gigabytes(db.data_left(db.lines[value.line_id])),)


def _tell_growth(db: TelecomDB, arguments: Arguments, slots: _Slots, value: BillView) -> _Told:
    return (money(abs(_cents(value.total) - _cents(value.total_of_month_before))),)


def _tell_debt(db: TelecomDB, arguments: Arguments, slots: _Slots, value: Sequence[BillSummary]) -> _Told:
    return (money(sum(_cents(bill.total) for bill in value if not bill.paid)),)


def _resume(db: TelecomDB, arguments: Arguments, slots: _Slots, value: str) -> Sequence[Undo]:
    return (Undo("resume_line", {"line_id": arguments["line_id"]}, f"resume the line {slots['line']}"),)


_USER = Slot(
    "user",
    ("whose line", "whose", "who uses", "which line"),
    "Whose line do you mean?",
    {
        "train": ("I mean {value}.", "It is {value}.", "I am talking about {value}.", "That is {value}."),
        "test": ("It would be {value}.", "I am speaking of {value}.", "The one in question is {value}."),
    },
)
_LINE = Slot(
    "line",
    ("number of the line", "what number", "which number", "which of your numbers", "phone number of the line"),
    "What is the number of the line?",
    {
        "train": ("The line is {value}.", "It has the number {value}.", "{value}."),
        "test": ("Its number reads {value}.", "You reach it under {value}."),
    },
)
_PLAN = Slot(
    "plan",
    ("which plan", "what plan", "name of the plan"),
    "Which plan do you want?",
    {
        "train": ("The {value}.", "I want the {value}.", "{value}, please.", "It should be {value}."),
        "test": ("I have the {value} in mind.", "Let it be {value}.", "That would be {value}."),
    },
)
_DATA = Slot(
    "data",
    ("how much data", "how many gigabytes", "gb a month"),
    "How much data a month should it have?",
    {
        "train": ("The one with {value}.", "{value} a month.", "It should have {value}."),
        "test": ("I am after {value} a month.", "With {value}, that is."),
    },
)
_COUNTRY = Slot(
    "country",
    ("which country", "what country", "where are you", "where will", "travel to", "destination"),
    "Which country are you travelling to?",
    {
        "train": ("I am going to {value}.", "It is {value}.", "{value}."),
        "test": ("My trip is to {value}.", "We head for {value}."),
    },
)
_DAYS = Slot(
    "days",
    ("how long", "how many days", "which length", "3, 7 or 30"),
    "How long should the pass run: 3, 7 or 30 days?",
    {
        "train": ("The one for {value}.", "{value}, please.", "I need {value}."),
        "test": ("We need {value} of it.", "{value} should do."),
    },
)
_REASON = Slot(
    "reason",
    ("reason", "why", "lost, stolen"),
    "What is the reason: is the phone lost, stolen, or not needed while you travel?",
    {
        "train": ("It is {value}.", "The phone is {value}.", "Because it is {value}."),
        "test": ("Well, it is {value}.", "You can note that it is {value}."),
    },
)
_SIZE = Slot(
    "size",
    ("how much data", "how many gb", "how many gigabytes", "which size", "1 gb, 5 gb"),
    "How much data do you want to add: 1 GB, 5 GB or 10 GB?",
    {
        "train": ("{value}, please.", "I will take {value}.", "Let's say {value}."),
        "test": ("{value} ought to be enough.", "Give it {value}."),
    },
)
_CAP = Slot(
    "cap",
    ("which cap", "what cap", "how high", "what amount", "which amount", "10.00, 20.00"),
    "How high should the cap be: 10.00, 20.00, 50.00 or 100.00?",
    {
        "train": ("{value}, please.", "Make it {value}.", "It should be {value}."),
        "test": ("{value} is what I had in mind.", "Put {value} there."),
    },
)
_MONTH = Slot(
    "month",
    ("which month", "what month", "which bill", "what bill"),
    "The bill of which month do you mean?",
    {
        "train": ("The one of {value}.", "{value}.", "I mean {value}."),
        "test": ("It is the {value} one.", "I have {value} before me."),
    },
)
_TROUBLE = Slot(
    "trouble",
    ("what is wrong", "what's wrong", "what happens", "the problem", "the trouble", "describe"),
    "What is wrong with the phone?",
    {
        "train": ("It {value}.", "My phone {value}.", "The phone {value}, that is all I know."),
        "test": ("Well, it {value}.", "This phone {value}."),
    },
)
_SETTING = Slot(
    "setting",
    ("which setting", "what setting", "airplane mode, mobile data"),
    "Which setting do you mean: airplane mode, mobile data, data roaming or data saver?",
    {
        "train": ("I mean {value}.", "The {value} setting.", "It is {value}."),
        "test": ("It is about {value}.", "The one called {value}."),
    },
)
_STATE = Slot(
    "state",
    ("on or off",),
    "Should it be on or off?",
    {
        "train": ("It should be {value}.", "I want it {value}."),
        "test": ("I would like it {value}.", "It had better be {value}."),
    },
)
_SHOWS = Slot(
    "shows",
    ("on the screen", "on your screen", "which sign", "what sign", "status bar"),
    "What do you see on the screen?",
    {
        "train": ("It shows {value}.", "I can see {value}.", "I see {value}."),
        "test": ("What I see is {value}.", "What I find there is {value}."),
    },
)
_MODE = Slot(
    "mode",
    ("which mode", "what mode", "automatic, 4g"),
    "Which mode do you want: automatic, 4G only or 3G only?",
    {
        "train": ("{value}, please.", "I want {value}.", "The {value} mode."),
        "test": ("It should say {value}.", "{value} is the one I want."),
    },
)
_NUMBER = Slot(
    "number",
    ("your phone number", "your number", "your own number"),
    "What is your phone number?",
    {
        "train": ("It is {value}.", "My number is {value}.", "{value}.", "I call from {value}."),
        "test": ("You see me calling as {value}.", "Sure, {value}.", "That would be {value}."),
    },
)
_NAME = Slot(
    "name",
    ("your name", "full name", "last name"),
    "What is your full name?",
    {
        "train": ("My name is {value}.", "I am {value}.", "{value}."),
        "test": ("The name is {value}.", "You are talking to {value}."),
    },
)
_BORN = Slot(
    "born",
    ("date of birth", "birthday", "born", "birth date"),
    "What is your date of birth?",
    {
        "train": ("I was born on {value}.", "It is {value}.", "{value}."),
        "test": ("My date of birth is {value}.", "The day is {value}."),
    },
)

CALLERS = Callers(
    ids=lambda db: list(db.base.tables["customers"]),
    facts=candidates.caller_facts,
    knows=candidates.knowledge,
    identities=(
        Identity("find_customer_by_number", {"number": "number"}),
        Identity("find_customer_by_name", {"name": "name", "born": "born"}),
    ),
    slots=(_NUMBER, _NAME, _BORN),
    introductions={
        "train": (
            "Hi, my number is {number}.",
            "Hello, this is {name}.",
            "Hi, {name} here, born {born}.",
            "Hello!",
            "Good morning, this is {name}, I call about {number}.",
            "My name is {name} and I was born on {born}.",
            "Hey, {name} speaking.",
            "",
            "Good afternoon, you have me under {number}.",
        ),
        "test": (
            "Good evening, {name} on the line, date of birth {born}.",
            "Hello there, I am a customer of yours with the number {number}.",
            "Good day.",
            "Greetings, I am {name} and I use {number}.",
            "It is {name}, I need a hand.",
            "Hello, this concerns {number}.",
        ),
    },
)

_CHANGE_PLAN = Wish(
    tool="change_plan",
    candidates=candidates.plan_changes,
    slots=(_USER, _PLAN, _LINE, _DATA),
    openings={
        "train": (
            "Please move the line {line} to {plan}.",
            "I want to change a plan.",
            "Can you change {user} line to the {plan} plan?",
            "I'd like another plan for {user} line, the one with {data}.",
            "We want {plan} on one of our lines.",
            "Could you switch {line} over to the plan with {data}, please?",
            "Change the plan of {line}, please.",
            "The plan of {user} line doesn't suit us any more.",
            "{plan} for {user} line from today on, please.",
        ),
        "test": (
            "Number {line} should run on {plan} from now on.",
            "We picked the wrong tariff for one of our numbers.",
            "I would be glad to have {user} line on {plan}.",
            "The tariff with {data} is what {user} line should have.",
            "{plan} looks like the right tariff to me, would you set it up?",
            "Could the tariff of {line} be swapped?",
        ),
    },
    changes={
        "train": (
            "Actually, make it {plan}.",
            "Wait, I'd rather take the plan with {data}.",
            "Sorry, I meant {user} line.",
            "On second thought, move {line} to {plan} instead.",
        ),
        "test": (
            "Hold on, {plan} is the better tariff.",
            "Hmm, it is {line} that should change.",
            "No, let {user} line have {plan}.",
        ),
    },
    proposal="move the line {line} to the {plan} plan",
    tell=_tell_difference,
    report="The difference for the rest of this month is {0}.",
)
_ENABLE_ROAMING = Wish(
    tool="enable_roaming",
    candidates=candidates.roaming_openings,
    slots=(_USER, _LINE, _TROUBLE),
    openings={
        "train": (
            "Please open roaming for the line {line}.",
            "We travel next week. Can you open roaming for {user} line?",
            "I need roaming.",
            "My phone {trouble}. Please help.",
            "My phone {trouble}, although I switched data roaming on. What is going on?",
            "I am abroad and my phone {trouble}. Is roaming open for it at all?",
            "Could you make {line} work abroad?",
            "One of our lines has to work abroad.",
            "Open {user} line for networks abroad, please.",
        ),
        "test": (
            "The number {line} should work outside the country as well.",
            "Soon we cross the border and one of our numbers must keep working.",
            "It is a puzzle to me: this phone {trouble}.",
            "This phone {trouble}; its own settings look right to me.",
            "Would you let {user} line use foreign networks?",
            "I ask for foreign networks on {line}.",
        ),
    },
    changes={
        "train": (
            "Actually, I meant {user} line.",
            "Wait, open {line} instead.",
            "Sorry, it is {user} line that travels, {line}.",
        ),
        "test": ("Hold on, it is {line} that goes abroad.", "Hmm, rather {user} line."),
    },
    proposal="open the line {line} for roaming",
)
_ADD_PASS = Wish(
    tool="add_roaming_pass",
    candidates=candidates.passes,
    slots=(_COUNTRY, _USER, _DAYS, _LINE),
    openings={
        "train": (
            "I need a roaming pass for {country} on the line {line}, {days}.",
            "Please add a pass for {days} in {country} to {user} line.",
            "We fly to {country} and want a roaming pass.",
            "Can I get a roaming pass?",
            "A roaming pass for {country} on {user} line, please.",
            "Please put a {days} pass on {line}.",
            "What about a pass for {user} line? It is {days} in {country}.",
            "I'd like to buy a pass for {days}, we are off to {country}.",
        ),
        "test": (
            "There is a trip to {country} ahead, {days}, and {user} line needs a pass.",
            "I want to use the internet abroad without a nasty surprise, so sell me a pass.",
            "Book a pass on {line} for {country}, for {days}.",
            "See that {user} line has a pass for {country}.",
            "A pass of {days} would be good before we leave for {country}.",
        ),
    },
    changes={
        "train": (
            "Actually, {days} would be better.",
            "Wait, put it on {user} line.",
            "Sorry, we go to {country} instead.",
            "On second thought, take the {days} pass for {country} on {line}.",
        ),
        "test": (
            "Hold on, {days} is what we need.",
            "Hmm, the plan has changed and it is {country} now.",
            "No, {line} is the one that needs it.",
        ),
    },
    proposal="add the {days} pass for {country} to the line {line}",
    tell=_tell_pass,
    report="It costs {0} and runs until {1}.",
)
_SUSPEND = Wish(
    tool="suspend_line",
    candidates=candidates.suspensions,
    slots=(_USER, _REASON, _LINE),
    openings={
        "train": (
            "Please suspend {user} line, the phone is {reason}.",
            "I need to suspend the line {line}, it is {reason}.",
            "Can you suspend {user} line?",
            "A phone of ours is {reason}. Please block the line.",
            "Suspend {line} right away, please.",
            "I want to suspend a line.",
            "The phone with {line} is {reason}, so please suspend the line.",
        ),
        "test": (
            "Nobody should be able to use {line} for now; the phone is {reason}.",
            "Put {user} line to sleep, as it is {reason}.",
            "One of our numbers has to be put to sleep.",
            "The phone is {reason}, and I worry about the bill.",
            "Would you put {line} on hold?",
        ),
    },
    changes={
        "train": (
            "Actually, it is {user} line I mean.",
            "Wait, the phone is {reason}, I just heard.",
            "Sorry, suspend {line} instead.",
            "On second thought, only {user} line, it is {reason}.",
        ),
        "test": ("Hold on, put down that it is {reason}.", "Hmm, {line} is the one to put to sleep."),
    },
    proposal="suspend the line {line} because the phone is {reason}",
    undo=_resume,
)
_RESUME = Wish(
    tool="resume_line",
    candidates=candidates.resumptions,
    slots=(_USER, _LINE, _TROUBLE),
    openings={
        "train": (
            "Please resume the line {line}.",
            "I want {user} line to work again.",
            "A line of ours was suspended and should work again.",
            "My phone {trouble}. Can you find out why?",
            "My phone {trouble}. Is my line still suspended?",
            "Could you lift the suspension of {user} line?",
            "We are back, please activate {line} again.",
            "Please lift a suspension for me.",
        ),
        "test": (
            "{line} may be woken up again.",
            "The suspension we asked for is no longer needed.",
            "I am out of reach, for this phone {trouble}.",
            "This phone {trouble}, can it be that it is still on hold?",
            "Wake up {user} line, would you?",
            "There is a number of ours on hold that we use again.",
        ),
    },
    changes={
        "train": ("Actually, I meant {user} line.", "Wait, it is {line}.", "Sorry, please resume {line} instead."),
        "test": ("Hold on, {line} is the one to wake up.", "Hmm, let it be {user} line."),
    },
    proposal="resume the line {line}",
)
_ACTIVATE_SIM = Wish(
    tool="activate_sim",
    candidates=candidates.sim_activations,
    slots=(_USER, _LINE, _TROUBLE),
    openings={
        "train": (
            "I put a new SIM card into my phone. Please activate it for the line {line}.",
            "I have a new SIM card for {user} line, it is in my phone already.",
            "Please activate my new SIM card.",
            "I have a new SIM card, but my phone {trouble}. Please sort it out.",
            "There is a new SIM card in my phone, and it {trouble}.",
            "The new SIM card in this phone is for {line}, can you activate it?",
            "Can you get the new SIM card going? It is for {user} line.",
            "How do I get my new SIM card to work?",
        ),
        "test": (
            "The card that came by mail sits in my phone and {line} should run on it.",
            "A fresh card is in this phone, and nothing happens.",
            "I changed the card, and this phone {trouble}.",
            "The fresh card I have put into this phone is for {user} line.",
            "Would you bring the fresh card in this phone to life for {line}?",
        ),
    },
    changes={
        "train": (
            "Actually, it is for {user} line.",
            "Wait, I want {line} on it.",
            "Sorry, the card belongs to {user} line, {line}.",
        ),
        "test": ("Hold on, the card is meant for {line}.", "Hmm, let {user} line have it."),
    },
    proposal="activate the new SIM card for the line {line}",
)
_REFUEL = Wish(
    tool="refuel_data",
    candidates=candidates.refuels,
    slots=(_USER, _SIZE, _LINE, _TROUBLE),
    openings={
        "train": (
            "Please add {size} to {user} line.",
            "I want to buy {size} more for the line {line}.",
            "My phone {trouble}. If the data is used up, please add {size}.",
            "We ran out of data.",
            "Can you refuel {user} line?",
            "I need {size} more data this month.",
            "More data for {line}, please.",
            "My phone {trouble}. I guess the data is used up, can I buy more?",
        ),
        "test": (
            "{line} could do with another {size}.",
            "The month is long and the data short.",
            "This phone {trouble}; should the data be gone, top it up by {size}.",
            "Top up {user} line by {size}, would you?",
            "I would pay for another {size}.",
            "Top up the data of {line}.",
        ),
    },
    changes={
        "train": (
            "Actually, {size} is better.",
            "Wait, it is for {user} line.",
            "Sorry, I meant the line {line}.",
            "On second thought, add {size} to {line} instead.",
        ),
        "test": ("Hold on, {size} is more like it.", "Hmm, {user} line needs it more."),
    },
    proposal="add {size} to the line {line}",
    tell=_tell_price,
    report="The price is {0}.",
)
_SET_CAP = Wish(
    tool="set_spending_cap",
    candidates=candidates.caps,
    slots=(_USER, _CAP, _LINE),
    openings={
        "train": (
            "Please set the spending cap of {user} line to {cap}.",
            "I want a cap of {cap} on the line {line}.",
            "Can you change the spending cap of {user} line?",
            "I'd like another spending cap.",
            "A cap of {cap}, please.",
            "The cap of {line} should be different.",
            "Could you set the cap for {line} at {cap}?",
        ),
        "test": (
            "Never again should {user} line cost more than {cap} in extras.",
            "Extras on {line} have to stop at {cap}.",
            "I wish for another ceiling on the extras.",
            "A ceiling of {cap} on the extras would calm me.",
            "The ceiling for {user} line does not fit any more.",
        ),
    },
    changes={
        "train": (
            "Actually, make it {cap}.",
            "Wait, I meant {user} line.",
            "Sorry, {cap} for {line}, please.",
            "On second thought, {cap} is enough.",
        ),
        "test": ("Hold on, {cap} is a better ceiling.", "Hmm, it is {line} that worries me."),
    },
    proposal="set the spending cap of the line {line} to {cap}",
)
_PORT_CODE = Wish(
    tool="create_port_code",
    candidates=candidates.port_codes,
    slots=(_USER, _LINE),
    openings={
        "train": (
            "I need a port-out code for the line {line}.",
            "We want to take {user} line to another carrier. What is the code?",
            "I want to take a number with me to another carrier.",
            "Please create a port-out code for {user} line.",
            "Can I get a port-out code?",
            "The line {line}, {user}, moves to another carrier. I need the code.",
        ),
        "test": (
            "I am leaving you with {line} and was told to ask for a code.",
            "My next carrier wants a code from you.",
            "As {user} line goes elsewhere, which code do I hand over?",
            "Kindly give me what the next carrier needs for {line}.",
        ),
    },
    changes={
        "train": ("Actually, I need it for {user} line.", "Wait, the number is {line}.", "Sorry, {line} is moving."),
        "test": ("Hold on, it is {line} that leaves.", "Hmm, make that {user} line."),
    },
    proposal="create a port-out code for the line {line}",
    tell=_tell_code,
    report="The code is {0} and is valid until {1}.",
)
_QUOTE_PLAN = Wish(
    tool="quote_plan_change",
    candidates=candidates.plan_changes,
    slots=(_USER, _PLAN, _LINE, _DATA),
    openings={
        "train": (
            "What would it cost this month to move {line} to {plan}? Just asking for now.",
            "How much more or less would I pay this month if {user} line had {plan}?",
            "If I moved {user} line to the plan with {data}, what is the difference for this month?",
            "Before I decide: what is the difference this month for {line} with {plan}?",
            "Can you tell me this month's difference between the plan of {line} and {plan}?",
            "What is the difference this month if {line} gets the plan with {data}? I don't want to change it yet.",
        ),
        "test": (
            "Suppose {user} line ran on {plan}: what sum would that be until the month is out?",
            "Only a question: {line} on {plan}, what would it come to for the rest of the month?",
            "I wonder what sum the tariff with {data} would make for {line} until the month is out.",
            "By what sum would the rest of the month differ with {plan} on {user} line?",
        ),
    },
    changes=_NO_CHANGES,
    proposal="look up the difference between the plan of {line} and {plan}",
    tell=_tell_difference,
    report="With {plan} the difference for the rest of this month is {0}.",
)
_COMPARE_BILLS = Wish(
    tool="get_bill",
    candidates=candidates.bills_to_compare,
    slots=(_MONTH,),
    openings={
        "train": (
            "By how much does the {month} bill differ from the one before?",
            "My {month} bill is not what it was the month before. What is the exact difference?",
            "How much more or less is the bill of {month} than the last one before it?",
            "Please tell me the difference between the {month} bill and the month before.",
            "I compare my bills. How far is {month} from the month before?",
            "What changed on the {month} bill, and by how much in total?",
        ),
        "test": (
            "For {month} you charged me another sum than a month earlier; how far apart are the two?",
            "Kindly work out how far {month} is from the month that preceded it.",
            "My ledger lacks one thing: the gap between {month} and its predecessor.",
            "The {month} bill surprised me. What is the gap to its predecessor?",
        ),
    },
    changes=_NO_CHANGES,
    proposal="compare the bill of {month} with the one before",
    tell=_tell_growth,
    report="The bill of {month} differs from the one before by {0}.",
)
_DEBT = Wish(
    tool="list_bills",
    candidates=candidates.account,
    slots=(),
    openings={
        "train": (
            "How much do I owe you in all?",
            "What is the total of my unpaid bills?",
            "Do I have open bills, and what do they add up to?",
            "Please tell me what is left to pay, all bills together.",
            "I want to settle everything. What is the sum?",
            "Can you check what I have not paid yet? I need the total.",
        ),
        "test": (
            "I lost track of what I have transferred; what sum is still open?",
            "Which sum would make us even?",
            "All my open bills taken together come to what sum?",
            "Be so kind as to add up what I still have to pay.",
        ),
    },
    changes=_NO_CHANGES,
    proposal="add up your unpaid bills",
    tell=_tell_debt,
    report="Your unpaid bills add up to {0}.",
)
_DATA_LEFT = Wish(
    tool="get_line",
    candidates=candidates.lines_to_look_at,
    slots=(_USER, _LINE),
    openings={
        "train": (
            "How much data is left on the line {line}?",
            "How much data does {user} line have left this month?",
            "Can you tell me what is left of the data of {line}?",
            "Does {user} line have data left, and how much?",
            "I want to know how much data we have left on {line}.",
            "Please check the data left on {user} line.",
        ),
        "test": (
            "What remains of the data on {line} until the month is out?",
            "How far will {user} line get with its data this month, in gigabytes?",
            "Tell me the remaining data of {line}, would you?",
            "I am curious what remains of the data on {user} line.",
        ),
    },
    changes=_NO_CHANGES,
    proposal="look up the data of the line {line}",
    tell=_tell_data_left,
    report="The line {line} has {0} left.",
)
_SWITCH = Wish(
    tool="switch_setting",
    candidates=candidates.switches,
    slots=(_SETTING, _STATE, _SHOWS, _TROUBLE),
    openings={
        "train": (
            "My phone {trouble}. Please help.",
            "My phone {trouble}, and at the top it shows {shows}. What can I do?",
            "My phone should have {setting} {state}, but I am no good with these things.",
            "How do I get {setting} {state}?",
            "My phone {trouble}. I have no idea why.",
            "I need help with a setting of my phone.",
            "I want {setting} {state}. Can you walk me through it?",
            "At the top of my screen I see {shows}, and the phone {trouble}.",
        ),
        "test": (
            "I am at my wits' end: this phone {trouble}.",
            "This phone {trouble}. On top I can see {shows}, if that says anything to you.",
            "One of the settings on this phone is not as it should be.",
            "On this phone, {setting} has to be {state}, and I cannot manage alone.",
            "Guide me, please: {setting} should be {state}.",
            "Well, this phone {trouble}, and my neighbour's works.",
        ),
    },
    changes={
        "train": (
            "Actually, it is {setting} I want {state}.",
            "Wait, I want {setting} {state} instead.",
            "Sorry, I meant {setting}, that should be {state}.",
        ),
        "test": ("Hold on, rather {setting} {state}.", "Hmm, {setting} should be {state}, leave the other one."),
    },
    proposal="help you with having {setting} {state}",
    report="That should do.",
)
_NETWORK_MODE = Wish(
    tool="set_network_mode",
    candidates=candidates.network_modes,
    slots=(_MODE, _TROUBLE),
    openings={
        "train": (
            "My phone {trouble}. Please help.",
            "I want my phone on {mode}. How do I do that?",
            "I'd like to change the network mode of my phone.",
            "Can you help me set my phone to {mode}?",
            "My phone {trouble}, and everything else seems fine. What is wrong?",
            "My phone {trouble}, even with full bars.",
            "Which steps are it to get the network mode {mode}?",
            "To save battery I want another network mode.",
        ),
        "test": (
            "This phone {trouble}, and I have tried everything I know.",
            "Guide me to the network mode {mode}, please.",
            "The networks this phone uses should be others.",
            "I am told that {mode} is best for my battery; how is it set?",
        ),
    },
    changes={
        "train": ("Actually, {mode} is better.", "Wait, I'd rather have {mode}.", "Sorry, I meant {mode}."),
        "test": ("Hold on, {mode} it is.", "Hmm, let me have {mode} after all."),
    },
    proposal="help you with the network mode {mode}",
    report="That should do.",
)
_RESEAT = Wish(
    tool="reseat_sim",
    candidates=candidates.sim_reseatings,
    slots=(_TROUBLE,),
    openings={
        "train": (
            "My phone {trouble}. Please help.",
            "My phone fell down the stairs. Now I notice that it {trouble}.",
            "I dropped my phone and I think something in it came loose.",
            "My phone {trouble}, and something rattles in it.",
            "What do I do with a phone that {trouble}?",
            "Since my phone fell it says that there is no SIM.",
        ),
        "test": (
            "It slipped out of my hand, and this phone {trouble}.",
            "I do not know what came loose, but this phone {trouble}.",
            "Something rattles in here and the SIM is said to be missing.",
            "A phone that {trouble} is of little use to me.",
        ),
    },
    changes={
        "train": (
            "Actually, there is something else: it {trouble}.",
            "Wait, my phone {trouble} too.",
            "Sorry, what I mean is that it {trouble}.",
        ),
        "test": ("Hold on, this phone {trouble}.", "Hmm, worse is that it {trouble}."),
    },
    proposal="help you with the SIM card",
    report="That should do.",
)
_RESET_ACCESS_POINT = Wish(
    tool="reset_access_point",
    candidates=candidates.access_point_resets,
    slots=(_TROUBLE,),
    openings={
        "train": (
            "My phone {trouble}. Please help.",
            "I followed some guide on the internet and changed the access point. How do I undo that?",
            "My phone {trouble}, though the bars are full.",
            "Can you help me to get the standard access point back?",
            "I have full bars and still my phone {trouble}.",
            "My phone {trouble}. I may have changed something in the settings.",
        ),
        "test": (
            "This phone {trouble}, and I swear I touched nothing important.",
            "A friend set another access point for me and I regret it.",
            "All looks well, and yet this phone {trouble}.",
            "I would like to undo what was done to my access point.",
        ),
    },
    changes={
        "train": (
            "Actually, there is something else: it {trouble}.",
            "Wait, my phone {trouble} too.",
            "Sorry, what I mean is that it {trouble}.",
        ),
        "test": ("Hold on, this phone {trouble}.", "Hmm, worse is that it {trouble}."),
    },
    proposal="help you with the access point",
    report="That should do.",
)
_RESTART = Wish(
    tool="restart_phone",
    candidates=candidates.restarts,
    slots=(_TROUBLE,),
    openings={
        "train": (
            "My phone {trouble}. Please help.",
            "My phone {trouble}, though everything looks normal.",
            "My phone acts strangely. Do I have to switch it off?",
            "I checked every setting, and still my phone {trouble}.",
            "My phone {trouble}. Is it broken?",
            "Something is stuck in my phone.",
        ),
        "test": (
            "This phone {trouble} for no reason I can see.",
            "I fear this phone has hung itself up.",
            "I looked at all there is to look at, and this phone {trouble}.",
            "Nothing is amiss to the eye, yet this phone {trouble}.",
        ),
    },
    changes={
        "train": (
            "Actually, there is something else: it {trouble}.",
            "Wait, my phone {trouble} too.",
            "Sorry, what I mean is that it {trouble}.",
        ),
        "test": ("Hold on, this phone {trouble}.", "Hmm, worse is that it {trouble}."),
    },
    proposal="help you with the phone",
    report="That should do.",
)

WISHES: tuple[Wish, ...] = (
    _CHANGE_PLAN,
    _ENABLE_ROAMING,
    _ADD_PASS,
    _SUSPEND,
    _RESUME,
    _ACTIVATE_SIM,
    _REFUEL,
    _SET_CAP,
    _PORT_CODE,
    _QUOTE_PLAN,
    _COMPARE_BILLS,
    _DEBT,
    _DATA_LEFT,
    _SWITCH,
    _NETWORK_MODE,
    _RESEAT,
    _RESET_ACCESS_POINT,
    _RESTART,
)

INSTRUCTIONS: tuple[Instruction, ...] = (
    Instruction(
        tool="check_status_bar",
        say="What does the status bar at the top of the screen show?",
        asked_by=(
            "what does the status bar",
            "what does your status bar",
            "what the status bar",
            "what your status bar",
            "what is in the status bar",
            "what you see in the status bar",
            "what you see at the top",
            "what do you see at the top",
            "what do you see in the status bar",
            "look at the status bar",
            "look at your status bar",
            "check the status bar",
            "check your status bar",
            "read me the status bar",
            "look at the top of",
        ),
        answers={
            "train": ("It shows {shows}.", "I see {shows}.", "At the top I can see {shows}."),
            "test": ("What I see there is {shows}.", "What I find is {shows}."),
        },
    ),
    Instruction(
        tool="check_network_settings",
        say="Please check the network settings: which network mode and which access point are set?",
        asked_by=(
            "check the network settings",
            "check your network settings",
            "check the mobile network settings",
            "look at the network settings",
            "look at your network settings",
            "open the network settings",
            "what the network settings",
            "what do the network settings",
            "which network mode is set",
            "what network mode is set",
            "check the network mode",
            "check your network mode",
            "check the access point",
            "check the apn",
            "which access point is set",
        ),
        answers={
            "train": (
                "The network mode is {network_mode} and the access point is {access_point}.",
                "It says network mode {network_mode}, access point {access_point}.",
            ),
            "test": ("For the mode I read {network_mode}, for the access point {access_point}.",),
        },
    ),
    Instruction(
        tool="show_sim_number",
        say="Please open the settings of the phone and read me the SIM number.",
        asked_by=(
            "read me the sim number",
            "read me the sim card number",
            "read me the number of the",
            "read out the sim number",
            "tell me the sim number",
            "tell me the sim card number",
            "tell me the number of the sim",
            "tell me the number of the new sim",
            "give me the sim number",
            "give me the sim card number",
            "give me the number of the sim",
            "give me the number of the new sim",
            "what is the sim number",
            "what is the sim card number",
            "what is the number of the sim",
            "what is the number of the new sim",
            "i need the sim number",
            "look up the sim number",
            "provide the sim number",
            "provide the sim card number",
            "share the sim number",
            "the 19 digits",
        ),
        answers={
            "train": ("The SIM number is {sim_number}.", "It says {sim_number}.", "{sim_number}."),
            "test": ("I read {sim_number}.", "The digits are {sim_number}."),
        },
    ),
    Instruction(
        tool="run_speed_test",
        say="Please run a speed test on the phone.",
        asked_by=(
            "run a speed test",
            "do a speed test",
            "make a speed test",
            "start a speed test",
            "perform a speed test",
            "try a speed test",
            "run the speed test",
        ),
        answers={
            "train": ("It says {download} megabits per second.", "The test gives {download} megabits per second."),
            "test": ("I measure {download} megabits per second.",),
        },
    ),
    Instruction(
        tool="switch_setting",
        say="In the settings of the phone, please switch {setting} {state}.",
        asked_by=(
            "switch {setting} {state}",
            "switch {state} {setting}",
            "switch the {setting} {state}",
            "switch {state} the {setting}",
            "turn {setting} {state}",
            "turn {state} {setting}",
            "turn the {setting} {state}",
            "turn {state} the {setting}",
            "turn your {setting} {state}",
            "toggle {setting} {state}",
            "set {setting} to {state}",
            "{verb} {setting}",
            "{verb} the {setting}",
            "sure {setting} is {state}",
            "sure that {setting} is {state}",
            "sure {setting} is turned {state}",
            "sure that {setting} is turned {state}",
        ),
        answers={
            "train": ("I switched it, it says {now}. At the top I see {shows}.", "Okay, {now}. It shows {shows} now."),
            "test": ("That is set: {now}. On top I see {shows}.",),
        },
        verbs={"on": "enable", "off": "disable"},
    ),
    Instruction(
        tool="set_network_mode",
        say="Please set the network mode of the phone to {mode}.",
        asked_by=(
            "network mode to {mode}",
            "network mode of the phone to {mode}",
            "network mode of your phone to {mode}",
            "preferred network to {mode}",
            "set it to {mode}",
            "change it to {mode}",
            "switch it to {mode}",
            "switch to {mode}",
            "choose {mode}",
            "select {mode}",
            "pick {mode}",
        ),
        answers={
            "train": ("I did that, {now}. At the top I see {shows}.", "Okay, {now}. It shows {shows} now."),
            "test": ("That is set: {now}. On top I see {shows}.",),
        },
    ),
    Instruction(
        tool="reseat_sim",
        say="Please take the SIM card out of the phone and put it back in.",
        asked_by=(
            "take the sim card out",
            "take the sim out",
            "take your sim card out",
            "take out the sim",
            "take out your sim",
            "remove the sim",
            "remove your sim",
            "reseat the sim",
            "reseat your sim",
            "re-seat the sim",
            "reinsert the sim",
            "reinsert your sim",
            "re-insert the sim",
            "put the sim card back in",
        ),
        answers={
            "train": ("Okay, {now}. At the top I see {shows}.", "I looked, {now}. It shows {shows} now."),
            "test": ("Here we are: {now}. On top I see {shows}.",),
        },
    ),
    Instruction(
        tool="reset_access_point",
        say="Please set the access point of the phone back to standard.",
        asked_by=(
            "access point of the phone back",
            "access point of your phone back",
            "access point back",
            "access point to standard",
            "access point to the standard",
            "apn back",
            "apn to standard",
            "reset the access point",
            "reset your access point",
            "reset the apn",
            "reset your apn",
            "restore the access point",
            "restore the standard access point",
        ),
        answers={
            "train": ("I did that, {now}.", "Okay, it says {now}."),
            "test": ("That is set: {now}.",),
        },
    ),
    Instruction(
        tool="restart_phone",
        say="Please restart the phone.",
        asked_by=(
            "restart the phone",
            "restart your phone",
            "restart your device",
            "restart the device",
            "restart it",
            "reboot the phone",
            "reboot your phone",
            "reboot your device",
            "reboot it",
            "turn the phone off and on",
            "turn your phone off and on",
            "turn it off and on",
            "switch the phone off and on",
            "switch your phone off and on",
            "power cycle",
        ),
        answers={
            "train": ("It is up again, and it shows {shows}.", "I restarted it. Now I see {shows}."),
            "test": ("It has come back, with {shows} on top.",),
        },
    ),
)
