"""Read what a model wrote: its words, its thoughts and its tool calls.

Calls stand beside plain words, any number of them, in the syntax of the chat template:

- ``hermes``: ``<tool_call>{"name":"find_book","arguments":{"title":"Dune"}}</tool_call>``, anywhere.
- ``json``: ``{"name": "find_book", "parameters": {"title": "Dune"}}``, at the start of a line, in a code block or
  after ``<|python_tag|>``; more follow after a ``;`` or at once, words on a line of their own.

A test holds each template and the syntax that it writes together.
"""

import json
import math
import re
from typing import Any, Literal, NoReturn

from t2t.records import Message, ToolCall

Syntax = Literal["hermes", "json"]
"""How a model writes its calls."""

_OPEN = "<tool_call>"
_CLOSE = "</tool_call>"
_THINK = "<think>"
_THOUGHT = "</think>"
_FENCE = "```"
_JSON_OPENS = re.compile(
    r"<\|python_tag\|>|"
    r'^[ \t]*(?P<block>```\w*\s+)?(?={\s*"(?:(?:name|parameters|arguments)"\s*:|type"\s*:\s*"function"))',
    re.MULTILINE,
)
_MAX_INTEGER = 2**63
_MAX_DEPTH = 32


class _CallError(Exception):
    """A call that cannot be read; the text is for the agent."""


def parse_reply(
    text: str, first_call: int = 1, *, syntax: Syntax = "hermes", thinks: bool = False
) -> tuple[Message, str]:
    """Split a model's text into thoughts, words and calls.

    Args:
        text: what the model wrote, without its stop token.
        first_call: number of the first call; ids run on from ``call_<first_call>``.
        syntax: how it writes calls.
        thinks: it may think first, between ``<think>`` and ``</think>``.

    Returns:
        The message, and why a call or a thought in it could not be read (empty when all is well). With one
        bad call none is made, and the content is all that was written, thoughts apart.
    """
    reasoning = ""
    if thinks:
        reasoning, text, is_open = _split_thoughts(text)
        if is_open:
            problem = f"the text ends inside {_THINK}, before {_THOUGHT}"
            return Message(role="assistant", content="", reasoning=reasoning), problem
    try:
        content, calls = _split_hermes(text, first_call) if syntax == "hermes" else _split_json(text, first_call)
    except _CallError as error:
        return Message(role="assistant", content=text.strip(), reasoning=reasoning), str(error)
    return Message(role="assistant", content=content, tool_calls=calls, reasoning=reasoning), ""


def _split_thoughts(text: str) -> tuple[str, str, bool]:
    """Thoughts, what follows them, and whether they were left open; the prompt may have opened them."""
    before, closed, after = text.partition(_THOUGHT)
    before = before.lstrip()
    if before.startswith(_THINK):
        return before.removeprefix(_THINK).strip(), after, not closed
    return (before.rstrip(), after, False) if closed and _OPEN not in before else ("", text, False)


def _split_hermes(text: str, first_call: int) -> tuple[str, tuple[ToolCall, ...]]:
    if _OPEN not in text and _CLOSE not in text:
        return text.strip(), ()
    calls: list[ToolCall] = []
    words: list[str] = []
    at = 0
    while (start := text.find(_OPEN, at)) >= 0:
        words.append(text[at:start])
        value, end = _read_json(text, start + len(_OPEN), _OPEN, f", before {_CLOSE}")
        end = _skip(text, end)
        if not text.startswith(_CLOSE, end):
            raise _CallError(f"{_CLOSE} does not follow the JSON of a call")
        at = end + len(_CLOSE)
        calls.append(_check_call(value, f"call_{first_call + len(calls)}", "arguments"))
    words.append(text[at:])
    content = _join(words)
    if _CLOSE in content:
        raise _CallError(f"{_CLOSE} stands without {_OPEN}")
    return content, tuple(calls)


def _split_json(text: str, first_call: int) -> tuple[str, tuple[ToolCall, ...]]:
    calls: list[ToolCall] = []
    words: list[str] = []
    at = 0
    while opens := _JSON_OPENS.search(text, at):
        words.append(text[at : opens.start()])
        values, end, at = _read_row(text, opens.end(), opens[0])
        for value in values:
            key = "arguments" if isinstance(value, dict) and "arguments" in value else "parameters"
            calls.append(_check_call(value, f"call_{first_call + len(calls)}", key))
        if opens["block"]:
            if not text.startswith(_FENCE, at):
                raise _CallError(f"{_FENCE} does not close the block of a call")
            end = at + len(_FENCE)
            at = _skip(text, end)
        if at < len(text) and "\n" not in text[end:at]:
            raise _CallError(f"after the JSON of a call stands {text[at : at + 20]!r}")
    words.append(text[at:])
    return _join(words), tuple(calls)


def _read_row(text: str, start: int, after: str) -> tuple[list[Any], int, int]:
    """JSON values in a row, where the last of them ends, and where what follows it begins."""
    value, end = _read_json(text, start, after, "")
    values = [value]
    while text.startswith("{", following := _skip(text, end, ";")):
        value, end = _read_json(text, following, after, "")
        values.append(value)
    return values, end, following


def _join(words: list[str]) -> str:
    return "\n".join(part.strip() for part in words if part.strip())


def _check_call(value: Any, call_id: str, key: str) -> ToolCall:
    if isinstance(value, dict) and key == "parameters" and value.get("type") == "function":
        value = {name: part for name, part in value.items() if name != "type"}
    if not isinstance(value, dict) or set(map(str, value)) != {"name", key}:
        raise _CallError(f'a call is a JSON object with the keys "name" and "{key}"')
    name: Any = value["name"]
    arguments: Any = value[key]
    if not isinstance(name, str) or not name:
        raise _CallError('"name" of a call is the name of a tool')
    if not isinstance(arguments, dict):
        raise _CallError(f'"{key}" of {name} is not a JSON object')
    return ToolCall(id=call_id, name=name, arguments=arguments)


def _read_json(text: str, start: int, after: str, before: str) -> tuple[Any, int]:
    """The JSON value that begins at `start`, blanks ahead of it aside, and where it ends.

    Args:
        text: what the model wrote.
        start: a place in it.
        after: what opened the call, for the agent.
        before: what should have closed it, for the agent.
    """
    start = _skip(text, start)
    if start == len(text):
        raise _CallError(f"the text ends after {after}")
    try:
        value, end = _DECODER.raw_decode(text, start)
        if _is_deeper(value, _MAX_DEPTH):
            raise RecursionError
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise _CallError("the JSON of a call holds half a character") from None
    except json.JSONDecodeError as error:
        if error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated string"):
            raise _CallError(f"the text ends inside a call{before}") from None
        raise _CallError(f"the JSON of a call is wrong at {text[error.pos : error.pos + 20]!r} ({error.msg})") from None
    except ValueError as error:
        raise _CallError(f"the JSON of a call is wrong: {error}") from None
    except RecursionError:
        raise _CallError("the JSON of a call is nested too deeply") from None
    return value, end


def _is_deeper(value: Any, depth: int) -> bool:
    if isinstance(value, (dict, list)):
        inner = value.values() if isinstance(value, dict) else value
        return depth == 0 or any(_is_deeper(each, depth - 1) for each in inner)
    return False


def _skip(text: str, at: int, more: str = "") -> int:
    """Where what is neither blank nor one of `more` begins."""
    while at < len(text) and (text[at].isspace() or text[at] in more):
        at += 1
    return at


def _read_integer(digits: str) -> int:
    value = int(digits)
    if not -_MAX_INTEGER <= value < _MAX_INTEGER:
        raise ValueError("a number is too large")
    return value


def _read_float(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError("a number is too large")
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_int=_read_integer, parse_float=_read_float, parse_constant=_refuse_constant)
