"""A caller that a model plays: it reads the four texts of a scenario and nothing else of the task."""

import copy
import re
from collections.abc import Sequence
from typing import Any

import orjson
from pydantic import JsonValue

from t2t.domain.domain import Domain
from t2t.episode.user import UserTurn
from t2t.models.chat import ChatModel, ContextOverflow
from t2t.records import Arguments, Message, ToolCall, ToolResult, UserAction, UserScenario

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
- When all is settled, or it is clear that it will not be, say goodbye and write {stop} at the end of that message."""
_TOOLS = """
- You have tools of your own, such as the device in your hand. Use one only when the agent asks you to, one at a time, \
and then say what you see."""
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
    """

    def __init__(self, domain: Domain, scenario: UserScenario, model: ChatModel, seed: int = 0) -> None:
        tools, self._bound = _own_tools(domain, scenario)
        self._writes = frozenset(tool.name for tool in domain.user_tools if tool.writes)
        self._session = model.open(orjson.dumps(tools).decode() if tools else "", seed)
        self._prompt = _PROMPT.format(
            reason_for_call=scenario.reason_for_call,
            known_info=scenario.known_info or "nothing in particular",
            unknown_info=scenario.unknown_info or "nothing in particular",
            task_instructions=scenario.task_instructions or "As you like.",
            tools=_TOOLS if tools else "",
            stop=STOP,
        )

    async def open(self) -> UserTurn:
        """The first message."""
        return await self._turn([Message(role="system", content=self._prompt), Message(role="user", content=_GREETING)])

    async def answer(self, text: str) -> UserTurn:
        """Answer one message of the agent that was meant for the caller."""
        return await self._turn([Message(role="user", content=text or "...")])

    async def tell_results(self, actions: Sequence[UserAction], results: Sequence[ToolResult]) -> UserTurn:
        """Go on after the tools were used."""
        named = [
            result.model_copy(update={"call_id": action.call.id})
            for action, result in zip(actions, results, strict=True)
        ]
        return await self._turn([Message(role="tool", content=result.content, result=result) for result in named])

    async def _turn(self, messages: Sequence[Message]) -> UserTurn:
        try:
            reply = await self._session.reply(messages)
        except ContextOverflow:
            return UserTurn("", failed=True)
        calls = reply.message.tool_calls
        if calls:
            return UserTurn("", actions=tuple(map(self._action, calls)))
        text = reply.message.content
        done = STOP in text
        text = text.replace(STOP, "").strip()
        if not text and not done:
            return UserTurn("", failed=True)
        said = text.lower().replace("’", "'")
        agrees = bool(_AGREES.search(said)) and not _DISAGREES.search(said)
        return UserTurn(text or "Goodbye.", done=done, agrees=agrees)

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
