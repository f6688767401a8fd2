"""A caller that a model plays: it reads the four texts of a scenario and nothing else of the task.

What it says is checked after every turn (`t2t.episode.user_check`). A turn that breaks the scenario is thrown away
and drawn again by a fresh talk that is handed all that was said, with another seed and a word on what was wrong; a
model that does not mend its ways has its last draw stand. Its tokens are nobody's to train on, and are not kept.
"""

import copy
import hashlib
import re
from collections.abc import Sequence
from typing import Any

import orjson
from pydantic import JsonValue

from t2t.domain.domain import Domain
from t2t.episode.user import UserTurn
from t2t.episode.user_check import Kind, UserCheck, describe
from t2t.models.chat import ChatModel, ContextOverflow, Reply
from t2t.records import Arguments, Message, ToolCall, ToolResult, UserAction, UserFault, UserScenario

STOP = "###STOP###"
"""What the model writes when the talk is over."""

_GREETING = "Hello, how can I help you?"
_PROMPT = """\
You play a person who contacts a service desk. Write what this person says next, one short message at a time, in the \
first person, and nothing else: no notes, no quotation marks, no words of the agent.

Why you get in touch: {reason_for_call}
What you know: {known_info}
What you do not know: {unknown_info}
How you behave: {task_instructions}

- Use only what stands above. When you are asked for something else, say that you do not know; never make up names, \
numbers or ids.
- Give what you know when you are asked for it, not all at once.
- Say it in your own words. Before the agent changes something for you, agree only if it is what you want.{tools}
- Once the agent has said that all is done, or that it cannot be, say goodbye and write {stop} at the end of that \
message. A yes is no goodbye: after it the agent still has to do what you agreed to."""
_TOOLS = """
- You have tools of your own, such as the device in your hand. Use one only when the agent asks you to, one at a time, \
and then say what you see."""
_AGAIN = """

What you wrote at this point was thrown away: {what}. Write it anew."""
_STOPS = re.compile(r"#{2,} *STOP *#*|^STOP$", re.MULTILINE)
"""The stop word as models write it."""
_MAX_SEED = 2**31
_AGREES = re.compile(
    r"^\W*(yes|yep|yeah|sure|ok|okay|of course|certainly|absolutely|correct|right|please do|go ahead|"
    r"that(?:'s| is) (?:right|correct|fine|good)|sounds good|perfect)\b|\b(go ahead|please proceed|i confirm|i agree)\b"
)
_DISAGREES = re.compile(r"\b(no|not|don't|do not|wait|instead|actually|rather)\b")


class ModelUser:
    """Plays one scenario.

    Args:
        domain: Its tools for callers become the model's.
        scenario: Its four texts are the prompt.
        model: The model that plays.
        seed: Seed of its sampling, below 2**31.
        redraws: Times that a turn which breaks the scenario is drawn again before it stands.
    """

    def __init__(
        self, domain: Domain, scenario: UserScenario, model: ChatModel, seed: int = 0, *, redraws: int = 0
    ) -> None:
        tools, self._bound = _own_tools(domain, scenario)
        self._own = frozenset(tool.name for tool in domain.user_tools)
        self._writes = frozenset(tool.name for tool in domain.user_tools if tool.writes)
        self._model, self._seed, self._redraws = model, seed, redraws
        self._tools = orjson.dumps(tools).decode() if tools else ""
        self._session = model.open(self._tools, seed)
        self._prompt = _PROMPT.format(
            reason_for_call=scenario.reason_for_call,
            known_info=scenario.known_info or "nothing in particular",
            unknown_info=scenario.unknown_info or "nothing in particular",
            task_instructions=scenario.task_instructions or "As you like.",
            tools=_TOOLS if tools else "",
            stop=STOP,
        )
        self._check = UserCheck(scenario)
        self._talk: list[Message] = []
        self._num_turns = 0
        self._faults: list[UserFault] = []

    @property
    def faults(self) -> Sequence[UserFault]:
        """What was wrong with its draws, in order, those that were thrown away included."""
        return self._faults

    async def open(self) -> UserTurn:
        """The first message."""
        return await self._turn([Message(role="system", content=self._prompt), Message(role="user", content=_GREETING)])

    async def answer(self, text: str) -> UserTurn:
        """Answer one message of the agent that was meant for the caller."""
        self._check.hear(text)
        return await self._turn([Message(role="user", content=text or "...")])

    async def tell_results(self, actions: Sequence[UserAction], results: Sequence[ToolResult]) -> UserTurn:
        """Go on after the tools were used."""
        named = [
            result.model_copy(update={"call_id": action.call.id})
            for action, result in zip(actions, results, strict=True)
        ]
        for result in named:
            self._check.see(result.content)
        return await self._turn([Message(role="tool", content=result.content, result=result) for result in named])

    async def _turn(self, messages: Sequence[Message]) -> UserTurn:
        """Draw until a turn holds to the scenario or no draw is left."""
        self._talk.extend(messages)
        place = self._num_turns
        self._num_turns += 1
        fault: Kind | None = None
        for draw in range(self._redraws + 1):
            try:
                reply = await self._draw(messages, place, draw, fault)
            except ContextOverflow:
                return UserTurn("", failed=True)
            turn, fault = self._read(reply)
            last = draw == self._redraws
            if fault:
                kept = last and not turn.failed
                self._faults.append(UserFault(place=place, kind=fault, text=reply.message.content, kept=kept))
            if not fault or last:
                self._talk.append(reply.message)
                if not turn.actions:
                    self._check.say(turn.text)
                return turn
        raise AssertionError("the last draw returns")

    async def _draw(self, messages: Sequence[Message], place: int, draw: int, fault: Kind | None) -> Reply:
        if fault is None:
            return await self._session.reply(messages)
        digest = hashlib.sha256(f"{self._seed}/{place}/{draw}".encode()).digest()
        self._session = self._model.open(self._tools, int.from_bytes(digest[:4]) % _MAX_SEED)
        system, *talk = self._talk
        told = system.model_copy(update={"content": system.content + _AGAIN.format(what=describe(fault))})
        return await self._session.reply([told, *talk])

    def _read(self, reply: Reply) -> tuple[UserTurn, Kind | None]:
        """What a reply says or does, and what is wrong with it."""
        calls = reply.message.tool_calls
        if calls:
            fault: Kind | None = None if all(call.name in self._own for call in calls) else "speaks_for_agent"
            return UserTurn("", actions=tuple(map(self._action, calls))), fault
        text = reply.message.content
        done = _STOPS.search(text) is not None
        text = _STOPS.sub("", text).strip()
        said = text.lower().replace("’", "'")
        agrees = bool(_AGREES.search(said)) and not _DISAGREES.search(said)
        fault = self._check.find(text, done=done, agrees=agrees)
        if fault == "empty":
            return UserTurn("", failed=True), fault
        return UserTurn(text or "Goodbye.", done=done, agrees=agrees), fault

    def _action(self, call: ToolCall) -> UserAction:
        arguments = {**call.arguments, **self._bound.get(call.name, {})}
        own = call.model_copy(update={"requestor": "user", "arguments": arguments})
        return UserAction(call=own, writes=call.name in self._writes, asked_by=(), answer="{result}")


def _own_tools(domain: Domain, scenario: UserScenario) -> tuple[list[dict[str, JsonValue]], dict[str, Arguments]]:
    """Schemas of the caller's tools, and the arguments that are theirs anyway, such as which phone they hold."""
    tools: list[dict[str, JsonValue]] = []
    bound: dict[str, Arguments] = {}
    for tool in domain.user_tools:
        schema: dict[str, Any] = copy.deepcopy(tool.schema)
        properties, required = (schema["function"]["parameters"].get(key) for key in ("properties", "required"))
        calls = [action.call for action in scenario.actions if action.call.name == tool.name]
        for parameter in tool.parameters:
            values = list(dict.fromkeys(str(call.arguments.get(parameter.name)) for call in calls))
            if parameter.kind is None or parameter.choices or not values:
                continue
            if len(values) > 1:
                properties[parameter.name]["enum"] = values
                continue
            bound.setdefault(tool.name, {})[parameter.name] = calls[0].arguments[parameter.name]
            del properties[parameter.name]
            if parameter.name in required:
                required.remove(parameter.name)
        tools.append(schema)
    return tools, bound
