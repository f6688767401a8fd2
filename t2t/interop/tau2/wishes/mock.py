"""tau2's mock: a list of tasks to keep.

Its data has one user, who is the caller of both splits; only what they say and write differs.
"""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NewType

import orjson

from t2t.domain.rule import Rule, RuleContext
from t2t.domain.tool import KindedValue
from t2t.domain.wish import Callers, Candidate, Identity, Instruction, Slot, Wish
from t2t.records import Arguments, Split

UserId = NewType("UserId", str)
TaskId = NewType("TaskId", str)

KINDS: Mapping[str, Any] = {"user_id": UserId, "task_id": TaskId}

_TITLES: Mapping[Split, tuple[str, ...]] = {
    "train": (
        "Order new chairs",
        "Book the meeting room",
        "Renew the licence",
        "Call the landlord",
        "Water the plants",
    ),
    "test": ("Draft the minutes", "Test the fire alarm", "Repair the printer", "Plan the retreat"),
}
_NOTES: Mapping[Split, tuple[str, ...]] = {
    "train": ("It is due this week.", "Ask Dana for the details.", "It can wait until Monday."),
    "test": ("Nobody has looked at it yet.", "Half a day should do."),
}
_UNTITLED = "without a title"


def harvest(tool_name: str, value: Any) -> Iterator[KindedValue]:
    """Every value of a known kind in what a tool returned."""
    if tool_name == "get_users":
        for user in orjson.loads(value):
            yield "UserId", user["user_id"]
            yield from (("TaskId", task_id) for task_id in user["tasks"])
    elif tool_name in ("create_task", "update_task_status"):
        yield "TaskId", orjson.loads(value)["task_id"]


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What a caller brings."""

    user_id: UserId


def _knows(db: Any, caller: str, rng: random.Random) -> Knowledge:
    return Knowledge(UserId(caller))


def _caller_facts(db: Any, caller: str) -> dict[str, str]:
    return {"user_id": caller}


def _new_tasks(db: Any, caller: str) -> Iterator[Candidate]:
    """Any title the caller has in mind, or none, with any description."""
    for title in (*_TITLES[db.split], ""):
        slots = (
            {"title": title, "called": f'called "{title}"'} if title else {"untitled": _UNTITLED, "called": _UNTITLED}
        )
        for note in _NOTES[db.split]:
            arguments: Arguments = {"user_id": caller, "title": title, "description": note}
            yield Candidate(arguments, {**slots, "note": note})


def _status_changes(db: Any, caller: str) -> Iterator[Candidate]:
    for task_id in db.agent.users[caller].tasks:
        task = db.agent.tasks[task_id]
        other = "pending" if task.status == "completed" else "completed"
        slots = {"task": task_id, "title": task.title, "status": other}
        yield Candidate({"task_id": task_id, "status": other}, slots)


def _untitled(context: RuleContext) -> bool:
    return not str(context.call.arguments.get("title", "")).strip()


def _unknown_user(context: RuleContext) -> bool:
    return context.call.arguments.get("user_id") not in context.db.agent.users


_CREATE = frozenset({"create_task"})

RULES = (
    Rule("0.1", _CREATE, _untitled, "each task must have a title", ("title",)),
    Rule("0.3", _CREATE, _unknown_user, "only existing users can create tasks", ("user", "exist")),
)

_TASK = Slot(
    "task",
    ("task id", "number of the task"),
    "What is the task id?",
    {"train": ("It is {value}.", "{value}."), "test": ("That is {value}.",)},
)
_STATUS = Slot(
    "status",
    ("which status", "what status"),
    "Which status should it have?",
    {"train": ("It is {value}.", "{value}."), "test": ("Mark it {value}.",)},
)
_NEW_TITLE = Slot(
    "title",
    ("title", "call it", "name of"),
    "What should the title be?",
    {"train": ('I want it called "{value}".', 'Call it "{value}".'), "test": ('Let it read "{value}".',)},
)
_NO_TITLE = Slot(
    "untitled",
    ("title", "call it", "name of"),
    "Should it have a title?",
    {"train": ("I want it {value}.",), "test": ("Let it be {value}.",)},
)
_OLD_TITLE = Slot(
    "title",
    ("which task", "what task", "title"),
    "What is the title of the task?",
    {"train": ('It is "{value}".', '"{value}".'), "test": ('It reads "{value}".',)},
)
_NOTE = Slot(
    "note",
    ("description", "describe"),
    "What should the description say?",
    {"train": ('It should say "{value}"', 'Write "{value}"'), "test": ('Let it read "{value}"',)},
)

CALLERS = Callers(
    ids=lambda db: list(db.agent.users),
    facts=_caller_facts,
    knows=_knows,
    identities=(Identity("get_users", {}),),
    slots=(
        Slot(
            "user_id",
            ("user id", "who are you", "your id"),
            "What is your user id?",
            {"train": ("I am {value}.", "It is {value}."), "test": ("They call me {value}.",)},
        ),
    ),
    introductions={
        "train": ("Hi, I am {user_id}.", "Hello!", "", "Hey, {user_id} here.", "Good morning, this is {user_id}."),
        "test": ("Good day.", "Greetings from {user_id}.", "Good afternoon, {user_id} speaking."),
    },
)

WISHES: tuple[Wish, ...] = (
    Wish(
        tool="create_task",
        candidates=_new_tasks,
        slots=(_NEW_TITLE, _NO_TITLE, _NOTE),
        openings={
            "train": (
                'Please create a task called "{title}" with the description "{note}"',
                "I need a new task.",
                'Can you add a task "{title}"? The description is "{note}"',
                'I want to create a task called "{title}". I have a description for it too.',
                'Please make a task for me with the description "{note}"',
                'Add something to my list: a task called "{title}", described as "{note}"',
                'Please add a task {untitled}, just with the description "{note}"',
                'I only have a description, "{note}". Create the task {untitled}, please.',
            ),
            "test": (
                'My list lacks an entry "{title}", with the words "{note}"',
                "Something is missing on my list.",
                'Put "{title}" onto my list and add "{note}"',
                'My list lacks an entry with the words "{note}"',
                'An entry {untitled} will do, with the words "{note}"',
            ),
        },
        changes={
            "train": (
                'Actually, call it "{title}".',
                'Wait, describe it as "{note}"',
                'Sorry, call it "{title}", with the description "{note}"',
            ),
            "test": ('Hold on, "{title}" is a better title.', 'Hmm, let it say "{note}"'),
        },
        proposal='create a task {called}, described as "{note}"',
    ),
    Wish(
        tool="update_task_status",
        candidates=_status_changes,
        slots=(_OLD_TITLE, _TASK, _STATUS),
        openings={
            "train": (
                'Please mark "{title}" as {status}.',
                "The task {task} is {status} now.",
                "Can you set {task} to {status}?",
                'I want "{title}" to be {status}.',
                'Change the status of "{title}", please; it is {status}.',
                "Task {task} should be {status}.",
            ),
            "test": (
                'Tick "{title}": {status}.',
                'My list should show "{title}" as {status}.',
                "Note that {task} counts as {status}.",
                'List "{title}" under {status}, please.',
            ),
        },
        changes={
            "train": ('Actually, I meant "{title}".', "Wait, it is {task}.", 'Sorry, I want "{title}" to be {status}.'),
            "test": ('Hold on, it is "{title}".', "Hmm, {task} rather."),
        },
        proposal='set "{title}" to {status}',
    ),
)

INSTRUCTIONS: tuple[Instruction, ...] = ()
