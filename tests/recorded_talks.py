"""Talks of all domains, as the conversation loop records them: good ones and such as models spoil."""

import asyncio
import random
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from t2t.domain.domain import load_domain
from t2t.domain.environment import Environment
from t2t.episode.agent import ReferenceAgent
from t2t.episode.play import Limits, play
from t2t.models.chat import ChatSession
from t2t.models.scripted import ScriptedChat
from t2t.records import Arguments, Message, Rollout, Task, ToolCall
from tests.planted.corpus import good_tasks

LIMITS = Limits(max_turns=16, max_errors=3)


FLY = ToolCall(id="odd", name="fly", arguments={"to": ["Mars", {"or": None}]})


class Recorded(NamedTuple):
    task: Task
    rollout: Rollout


@lru_cache
def tasks_of_all_domains() -> list[Task]:
    return good_tasks(60, 17, size=60)


def play_talk(task: Task, session: ChatSession, agent: str = "a", attempt: int = 0, limits: Limits = LIMITS) -> Rollout:
    environment = Environment(load_domain(task.domain), task.data)
    return asyncio.run(play(task, agent, attempt, session, environment, limits))


def spoil(task: Task, rng: random.Random) -> list[str | Message]:
    """A reference talk as a model spoils it: moves are lost, repeated, swapped or take another argument, and broken
    calls stand between them."""
    moves = list(task.expectation.moves)
    for _ in range(rng.randint(1, 4)):
        place = rng.randrange(len(moves))
        what = rng.choice(["lose", "repeat", "swap", "early", "another"])
        if what == "lose" and len(moves) > 1:
            moves.pop(place)
        elif what == "repeat":
            moves.insert(place, moves[place])
        elif what == "swap":
            other = rng.randrange(len(moves))
            moves[place], moves[other] = moves[other], moves[place]
        elif what == "early":
            moves.insert(0, moves[place])
        else:
            calls = [
                call.model_copy(update={"arguments": _altered(call.arguments, rng)}) for call in moves[place].calls
            ]
            moves[place] = moves[place].model_copy(update={"calls": tuple(calls)})
    replies: list[str | Message] = [
        Message(role="assistant", content=move.say, tool_calls=move.calls) for move in moves
    ]
    for reply in (
        '<tool_call>{"name": "find", </tool_call>',
        Message(role="assistant", content="", tool_calls=(FLY,)),
        Message(role="assistant", content="Shall I go ahead?"),
        Message(role="assistant", content="é 漢字 \U0001f600 \u2028 One moment", tool_calls=moves[0].calls),
    ):
        if rng.random() < 0.4:
            replies.insert(rng.randrange(len(replies) + 1), reply)
    if rng.random() < 0.1:
        replies[1:1] = [Message(role="assistant", content="", tool_calls=(FLY,))] * LIMITS.max_errors
    if rng.random() < 0.1:
        replies = ["Shall I go ahead?"] * LIMITS.max_turns
    return replies + ["Goodbye."] * LIMITS.max_turns


def _altered(arguments: Arguments, rng: random.Random) -> Arguments:
    if not arguments:
        return {"surplus": None}
    name = rng.choice(sorted(arguments))
    return arguments | {name: rng.choice(["", "Z-0", 7, -1.5, None, [], True])}


def talks(count: int, seed: int = 0) -> list[Recorded]:
    """Talks of the tasks in turn: with the reference agent, and with one that spoils it."""
    rng = random.Random(f"talks/{seed}")
    tasks = tasks_of_all_domains()
    made: list[Recorded] = []
    for number in range(count):
        task = tasks[number // 2 % len(tasks)]
        attempt = number // (2 * len(tasks))
        if number % 2:
            session: ChatSession = ScriptedChat(spoil(task, rng)).open("")
            made.append(Recorded(task, play_talk(task, session, "spoiled", attempt)))
        else:
            made.append(Recorded(task, play_talk(task, ReferenceAgent(task), "reference", attempt)))
    return made


def by_id(recorded: Sequence[Recorded]) -> dict[str, Task]:
    return {one.task.id: one.task for one in recorded}
