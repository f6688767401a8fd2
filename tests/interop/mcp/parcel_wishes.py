"""What customers of `parcel_server` want: the part of a domain that no server brings."""

import json
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NewType

from t2t.domain.rule import Rule, RuleContext
from t2t.domain.wish import Callers, Candidate, Identity, Slot, Wish
from t2t.interop.mcp.state import McpState

Email = NewType("Email", str)
CustomerId = NewType("CustomerId", str)
ParcelId = NewType("ParcelId", str)
KINDS = {"email": Email, "customer_id": CustomerId, "parcel_id": ParcelId}
LOCKERS = ("station", "market", "harbour")


@dataclass(frozen=True)
class Knowledge:
    email: Email


def everything(db: McpState) -> dict[str, Any]:
    return json.loads(db.call("dump", {}))


def facts(db: McpState, caller: str) -> Mapping[str, str]:
    row = everything(db)["customers"][caller]
    return {"email": row["email"], "name": row["name"]}


def knows(db: McpState, caller: str, rng: random.Random) -> Knowledge:
    return Knowledge(facts(db, caller)["email"])


def moves(db: McpState, caller: str) -> Iterator[Candidate]:
    for parcel, row in everything(db)["parcels"].items():
        for locker in LOCKERS:
            if row["customer_id"] == caller and locker != row["locker"]:
                yield Candidate({"parcel_id": parcel, "locker": locker}, {"thing": row["thing"], "locker": locker})


def is_heavy(context: RuleContext) -> bool:
    row = everything(context.db)["parcels"].get(context.call.arguments["parcel_id"])
    return row is not None and row["kg"] > 20


CALLERS = Callers(
    ids=lambda db: sorted(everything(db)["customers"]),
    facts=facts,
    knows=knows,
    identities=(Identity("find_customer", {"email": "email"}),),
    slots=(
        Slot(
            "email", ("e-mail",), "What is your e-mail address?", {"train": ("It is {value}.",), "test": ("{value}.",)}
        ),
        Slot("name", ("your name",), "What is your name?", {"train": ("I am {value}.",), "test": ("{value}.",)}),
    ),
    introductions={
        "train": ("Hi, my e-mail is {email}.", "Hello, this is {name}.", "Hi!"),
        "test": ("Good day, {email} is my e-mail.", "Good evening, {name} speaking."),
    },
)
RULES = (
    Rule(
        "1.1",
        frozenset({"move_parcel", "list_parcels"}),
        lambda context: not any(past.call.name == "find_customer" for past in context.past),
        "I have to find you first",
        ("find you",),
    ),
    Rule("2.1", frozenset({"move_parcel"}), is_heavy, "the parcel is too heavy to be moved", ("heavy",)),
)
WISHES = (
    Wish(
        tool="move_parcel",
        candidates=moves,
        slots=(
            Slot(
                "thing",
                ("which parcel", "what is in it"),
                "What is in it?",
                {"train": ("It is the {value}.",), "test": ("The {value}.",)},
            ),
            Slot(
                "locker",
                ("which locker", "where"),
                "Which locker do you want it in?",
                {"train": ("In the one at the {value}.",), "test": ("The {value} one.",)},
            ),
        ),
        openings={
            "train": (
                "Please send my {thing} to the {locker}.",
                "I want my {thing} elsewhere.",
                "I want to move a parcel.",
            ),
            "test": ("My {thing} should go to the {locker}.", "Could one of my parcels go to the {locker}?"),
        },
        changes={
            "train": ("Actually, send the {thing} to the {locker}.", "No, the {locker} is better."),
            "test": ("Hm, make it the {thing}, and the {locker}.",),
        },
        proposal="send your {thing} to the {locker}",
    ),
)
