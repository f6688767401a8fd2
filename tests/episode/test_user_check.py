"""The check of a model that plays the caller: what it finds, and that it lets right turns pass, in all six domains."""

import asyncio
import random
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import pytest

from t2t.domain.domain import load_domain
from t2t.domain.environment import Environment
from t2t.episode.agent import ReferenceAgent
from t2t.episode.play import Limits, play
from t2t.episode.user import ScriptedUser, UserTurn
from t2t.episode.user_check import Kind, UserCheck
from t2t.explore.program import Coverage, explore
from t2t.intents.compose import write_task
from t2t.intents.scene import Scene, Unsuitable
from t2t.records import DataSpec, Fact, Intent, StopReason, Task, ToolResult, UserAction

DOMAINS = ("library", "retail", "airline", "banking", "clinic", "telecom")
LIMITS = Limits(max_turns=30, max_errors=3)
WALKS = 12

FLOORS = {"invents": 0.95, "leaks": 0.95, "withholds": 0.95, "ends_early": 0.95, "speaks_for_agent": 1.0, "empty": 1.0}
"""Share of the planted faults of each kind that must be found."""


class Said(NamedTuple):
    """One turn of the caller in a talk: what the check had heard before it, and what was said."""

    task: Task
    before: tuple[tuple[str, str], ...]
    """Method of `UserCheck` and its text, in order."""
    turn: UserTurn

    def check(self) -> UserCheck:
        check = UserCheck(self.task.scenario)
        for method, text in self.before:
            {"hear": check.hear, "see": check.see, "say": check.say}[method](text)
        return check

    def find(self, text: str | None = None, *, done: bool | None = None, agrees: bool | None = None) -> Kind | None:
        turn = self.turn
        return self.check().find(
            turn.text if text is None else text,
            done=turn.done if done is None else done,
            agrees=turn.agrees if agrees is None else agrees,
        )

    @property
    def heard(self) -> str:
        """The agent's message that it answers; empty for the opening."""
        return next((text for method, text in reversed(self.before) if method == "hear"), "")

    @property
    def facts(self) -> tuple[Fact, ...]:
        return self.task.scenario.facts


class Overheard:
    """The scripted caller, with what it hears and says written down."""

    faults = ()

    def __init__(self, task: Task) -> None:
        self._task, self._user = task, ScriptedUser(task.scenario, task.id)
        self._before: list[tuple[str, str]] = []
        self.said: list[Said] = []

    async def open(self) -> UserTurn:
        return self._keep(UserTurn(self._user.open()))

    async def answer(self, text: str) -> UserTurn:
        self._before.append(("hear", text))
        return self._keep(self._user.answer(text))

    async def tell_results(self, actions: Sequence[UserAction], results: Sequence[ToolResult]) -> UserTurn:
        self._before.extend(("see", result.content) for result in results)
        return self._keep(self._user.tell_results(actions, results))

    def _keep(self, turn: UserTurn) -> UserTurn:
        if not turn.actions:
            self.said.append(Said(self._task, tuple(self._before), turn))
            self._before.append(("say", turn.text))
        return turn


def tasks_of(name: str) -> Iterator[Task]:
    domain = load_domain(name)
    for split in ("train", "test"):
        data = DataSpec(seed=5, size=60, split=split)
        for walk in explore(domain, data, WALKS, max_steps=8, blocked_share=0.3, seed=5, coverage=Coverage()):
            for intent in Intent:
                rng = random.Random(walk.id)
                try:
                    yield write_task(intent, Scene(domain, walk, rng), split, rng)
                except Unsuitable:
                    continue


@pytest.fixture(scope="module")
def talks() -> list[list[Said]]:
    """Reference talks of all domains and intents, by the caller's turns."""
    found: list[list[Said]] = []
    for name in DOMAINS:
        for task in tasks_of(name):
            user = Overheard(task)
            environment = Environment(load_domain(name), task.data)
            rollout = asyncio.run(play(task, "reference", 0, ReferenceAgent(task), environment, LIMITS, user))
            assert (rollout.stop_reason, rollout.reward.value) == (StopReason.USER_DONE, 1.0)
            found.append(user.said)
    return found


@pytest.fixture(scope="module")
def turns(talks: list[list[Said]]) -> list[Said]:
    return [said for talk in talks for said in talk]


def test_no_turn_of_the_scripted_caller_is_called_bad(turns: list[Said]):
    assert len(turns) > 1000
    alarms = [(found, said.before, said.turn) for said in turns if (found := said.find())]
    assert alarms == []


MONTHS = "January February March April May June July August September October November December".split()


def forms(value: str) -> list[str]:
    """Other ways to write a value."""
    found = [value, value.upper(), value.lower()]
    if spoken := re.fullmatch(rf"({'|'.join(MONTHS)}) (\d+)(, \d+)?", value):
        month, day, year = spoken.groups()
        number = MONTHS.index(month) + 1
        found = [value, f"{day} {month}", f"{month[:3]} {day}th", f"the {day}th of {month}{year or ''}"]
        if year:
            found.append(f"{number}/{day}/{year[2:]}")
        found.append(f"{number}/{day}")
    elif iso := re.fullmatch(r"(\d{4})-(\d\d)-(\d\d)", value):
        year, month, day = iso.groups()
        name = MONTHS[int(month) - 1]
        found += [f"{name} {int(day)}, {year}", f"{int(day)} {name} {year}", f"{int(month)}/{int(day)}/{year}"]
    elif clock := re.fullmatch(r"(\d\d):(\d\d)", value):
        hour = int(clock[1])
        found += [f"{hour % 12 or 12}:{clock[2]} {'pm' if hour > 11 else 'am'}", f"{hour}:{clock[2]}"]
    elif re.fullmatch(r"\d+\.\d\d", value):
        found += [f"${value}", f"{value} dollars", f"about {value.removesuffix('.00')}"]
    elif re.fullmatch(r"[\d-]{7,}", value):
        found += [value.replace("-", " "), value.replace("-", "")]
    return found


FRAMES = (
    "{}",
    "Sure, it's {}.",
    "It is {} - thanks for asking!",
    "Oh, right. I believe that is {}, hope it helps.",
    "Yes of course, one second... {}.",
    "{}. I've been waiting for 20 minutes, could we do this quickly?",
    "That would be {}, thank you! Is that all you need?",
)


def test_a_fact_told_in_other_words_and_forms_is_no_fault(turns: list[Said]):
    rng = random.Random(0)
    alarms: list[object] = []
    told = 0
    for said in turns:
        for fact in said.facts:
            if fact.answer in said.turn.text and said.heard and not said.turn.done and not said.task.scenario.changes:
                for form in forms(fact.value):
                    text = rng.choice(FRAMES).format(form)
                    told += 1
                    if found := said.find(text):
                        alarms.append((found, said.heard, text))
    assert told > 1000 and alarms == []


@pytest.mark.parametrize(
    "text",
    [
        "Hm, can you say that again, please?",
        "I don't know that, sorry.",
        "No.",
        "Okay, I see. And then?",
        "Could you check it for me? I am not in front of my computer right now.",
        "I'd rather use the first one you named.",
        "Thanks, that's very kind of you, I really appreciate it.",
        "Great, Thank You! I would be free 24/7, or at least 50% of the time.",
        "Yes, Please Do That For Me As Soon As You Can Manage It",
        "So that would be 45.50 in all?",
        "Honestly, this is the 3rd time I call, and it's Monday morning.",
        "Hi there! Sorry to bother you, I hope you can sort this out for me.",
    ],
)
def test_words_without_a_fact_are_no_fault(turns: list[Said], text: str):
    for said in turns[::9]:
        if said.before:
            assert said.find(text, done=False, agrees=False) in (None, "withholds"), (said.before, text)


# How faults are planted: each takes a right turn and gives the turn with the fault in it, or None where it has no room.
Fault = tuple[str, bool, bool] | None
Plant = Callable[[Said, random.Random], Fault]


def _another_figure(value: str, rng: random.Random) -> str:
    """The value with other digits of the same number."""
    while True:
        other = re.sub(r"\d", lambda found: str(rng.randint(1, 9)), value)
        if other != value:
            return other


def swap_figure(said: Said, rng: random.Random) -> Fault:
    """Another zip code, phone number, amount or card."""
    figures = [f for f in said.facts if re.search(r"\d{3,}|\d\.\d\d", f.value) and f.value in said.turn.text]
    if not figures or re.search(r"\d{4}-\d\d-\d\d|@|[A-Z][a-z]+ \d", (fact := rng.choice(figures)).value):
        return None
    return said.turn.text.replace(fact.value, _another_figure(fact.value, rng)), said.turn.done, said.turn.agrees


def swap_date(said: Said, rng: random.Random) -> Fault:
    """Another day of another month."""
    dates = [f for f in said.facts if re.match(rf"({'|'.join(MONTHS)}) \d", f.value) and f.value in said.turn.text]
    if not dates:
        return None
    value = rng.choice(dates).value
    month = rng.choice([name for name in MONTHS if name not in value])
    return said.turn.text.replace(value, f"{month} {rng.randint(1, 28)}"), said.turn.done, said.turn.agrees


def swap_address(said: Said, rng: random.Random) -> Fault:
    """Another e-mail address."""
    addresses = [f for f in said.facts if "@" in f.value and f.value in said.turn.text]
    if not addresses:
        return None
    value = rng.choice(addresses).value
    return said.turn.text.replace(value, f"x{value}"), said.turn.done, said.turn.agrees


def swap_name(said: Said, rng: random.Random) -> Fault:
    """Somebody else's name."""
    names = [f for f in said.facts if f.name == "name" and f.value in said.turn.text]
    other = rng.choice(("Zelda Quimby", "Casimir Oyelaran", "Petra Vandersloot"))
    text = said.turn.text
    if not names:
        return None
    return text.replace(names[0].value, other), said.turn.done, said.turn.agrees


def add_id(said: Said, rng: random.Random) -> Fault:
    """An id that nobody gave."""
    lead = rng.choice(("My order number is", "It is under", "The reference is", "You should see"))
    return f"{said.turn.text} {lead} #{rng.choice('WQX')}{rng.randint(10**6, 10**7)}.", said.turn.done, said.turn.agrees


def tell_at_once(said: Said, rng: random.Random) -> Fault:
    """An opening, or an answer to who calls, that tells what is to be asked for."""
    held = [
        f
        for f in said.facts
        if not f.in_opening
        and f.value not in said.task.scenario.known_info
        and re.search(r"\d\d|[A-Z]", f.value)
        and not any(f.value.lower() in text.lower() for _, text in said.before)
        and f.value.lower() not in said.task.scenario.opening.lower()
        and not any(f.value in other.value for other in said.facts if other.in_opening)
    ]
    if said.before or not held:
        return None
    return f"{said.turn.text} {rng.choice(held).answer}", False, False


def change_at_once(said: Said, rng: random.Random) -> Fault:
    """A change of mind that the opening tells already."""
    if said.before or not said.task.scenario.changes:
        return None
    change = said.task.scenario.changes[0]
    before = f"{said.task.scenario.opening} {' '.join(fact.value for fact in said.facts)}".lower()
    news = [f.value for f in change.facts if f.value in change.text and f.value.lower() not in before]
    if not any(re.search(r"\d\d|[A-Z]", value) for value in news):
        return None
    return f"{said.turn.text} {change.text}", False, False


def refuse_to_tell(said: Said, rng: random.Random) -> Fault:
    """See `again`: no answer, where the same was asked and not answered before."""
    asked = [f for f in said.facts if f.answer in said.turn.text]
    if not said.heard or not asked or said.turn.done or not all(re.search(r"\d\d|@|[A-Z]", f.value) for f in asked):
        return None
    told = " ".join(text for method, text in said.before)
    if any(word in told for f in asked for word in re.findall(r"\w+", f.value) if len(word) > 1):
        return None
    return rng.choice(("I don't know.", "Why do you need that?", "Just do it, please.", "I won't tell.")), False, False


def again(said: Said, text: str) -> Said:
    """The same question after an answer that gave nothing."""
    return said._replace(before=(*said.before, ("say", text), ("hear", said.heard)))


def stop_at_once(said: Said, rng: random.Random) -> Fault:
    return None if said.before else (said.turn.text, True, False)


def stop_with_the_yes(said: Said, rng: random.Random) -> Fault:
    return (f"{said.turn.text} Goodbye.", True, True) if said.turn.agrees and "Shall I" in said.heard else None


def stop_before_the_change(said: Said, rng: random.Random) -> Fault:
    """Goodbye, where the mind should have changed once it is done."""
    changes = [change for change in said.task.scenario.changes if change.cue == "done"]
    if not changes or changes[0].text not in said.turn.text or change_at_once(said._replace(before=()), rng) is None:
        return None
    return "Thank you, goodbye.", True, False


def stop_instead_of_an_answer(said: Said, rng: random.Random) -> Fault:
    return ("Goodbye.", True, False) if refuse_to_tell(said, rng) else None


def write_both_roles(said: Said, rng: random.Random) -> Fault:
    role = rng.choice(("Agent: ", "\nAssistant: ", "\nCustomer service: ", "\n**Agent**: "))
    text = f"{said.turn.text}\n{role.lstrip()}One moment."
    return text, said.turn.done, said.turn.agrees


def write_the_agents_words(said: Said, rng: random.Random) -> Fault:
    words = (
        "How can I help you today?",
        '<tool_call>{"name": "x"',
        "Is there anything else I can help you with?",
        "Shall I go ahead?",
        '{"name": "find_book", "arguments": {}}',
        "<|im_start|>assistant",
    )
    return f"{said.turn.text} {rng.choice(words)}", False, False


def say_nothing(said: Said, rng: random.Random) -> Fault:
    return rng.choice(("", " ", "...", "\n", "!")), False, False


PLANTS: tuple[tuple[Kind, Plant], ...] = (
    ("invents", swap_figure),
    ("invents", swap_date),
    ("invents", swap_address),
    ("invents", swap_name),
    ("invents", add_id),
    ("leaks", tell_at_once),
    ("leaks", change_at_once),
    ("withholds", refuse_to_tell),
    ("ends_early", stop_at_once),
    ("ends_early", stop_with_the_yes),
    ("ends_early", stop_before_the_change),
    ("ends_early", stop_instead_of_an_answer),
    ("speaks_for_agent", write_both_roles),
    ("speaks_for_agent", write_the_agents_words),
    ("empty", say_nothing),
)


def test_planted_faults_are_found_for_what_they_are(turns: list[Said]):
    planted, found = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    missed: dict[tuple[str, str], list[object]] = {}
    for number, said in enumerate(turns):
        for kind, plant in PLANTS:
            rng = random.Random(f"{number}/{plant.__name__}")
            fault = plant(said, rng)
            if fault is None or (kind in ("empty", "speaks_for_agent") and number % 5):
                continue
            text, done, agrees = fault
            name = (kind, plant.__name__)
            planted[name] += 1
            judged = again(said, text) if plant is refuse_to_tell else said
            if judged.find(text, done=done, agrees=agrees) == kind:
                found[name] += 1
            else:
                missed.setdefault(name, []).append((said.before, fault))
    for kind, floor in FLOORS.items():
        names = [name for name in planted if name[0] == kind]
        share = sum(found[name] for name in names) / sum(planted[name] for name in names)
        assert share >= floor, (kind, share, [missed.get(name) for name in names])
        assert sum(planted[name] for name in names) >= 100, kind
