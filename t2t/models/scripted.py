"""A model that says what it is told to: the exact twin of a served one, for tests."""

from collections.abc import Callable, Sequence

from t2t.models.calls import parse_reply
from t2t.models.chat import Reply
from t2t.records import Message, Turn

Script = Sequence[str | Message] | Callable[[Sequence[Message]], str]
"""Replies in order, or a function from the talk so far to the text of the next reply."""


class ScriptExhausted(AssertionError):
    """A talk went on after the last scripted reply; the test is wrong."""


class ScriptedSession:
    """One talk with a `ScriptedChat`."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._messages: list[Message] = []
        self._num_replies = 0
        self._num_calls = 0

    async def reply(self, messages: Sequence[Message]) -> Reply:
        """The next reply; strings are read as a model's text, messages are taken as they are."""
        self._messages.extend(messages)
        scripted = self._next()
        problem = ""
        if isinstance(scripted, str):
            scripted, problem = parse_reply(scripted, first_call=self._num_calls + 1)
        self._num_replies += 1
        self._num_calls += len(scripted.tool_calls)
        self._messages.append(scripted)
        return Reply(scripted, Turn(), problem)

    def _next(self) -> str | Message:
        if callable(self._script):
            return self._script(tuple(self._messages))
        if self._num_replies >= len(self._script):
            raise ScriptExhausted(f"the script has {len(self._script)} replies, and one more was asked for")
        return self._script[self._num_replies]


class ScriptedChat:
    """A `ChatModel` whose every talk follows the same script."""

    def __init__(self, script: Script) -> None:
        self._script = script

    def open(self, tools: str, seed: int = 0) -> ScriptedSession:
        """Start a talk from the first reply; `tools` and `seed` change nothing."""
        return ScriptedSession(self._script)
