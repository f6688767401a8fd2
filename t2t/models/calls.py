"""Read the tool calls that a model wrote into its text.

The syntax is ``<tool_call>{"name":"find_book","arguments":{"title":"Dune"}}</tool_call>``, any number of
times, beside plain text. The chat template writes the same; a test holds the two together.
"""

import json
import math
from typing import Any, NoReturn

from t2t.records import Message, ToolCall

_OPEN = "<tool_call>"
_CLOSE = "</tool_call>"
_MAX_INTEGER = 2**63
_MAX_DEPTH = 32


class _CallError(Exception):
    """A call that cannot be read; the text is for the agent."""


def parse_reply(text: str, first_call: int = 1) -> tuple[Message, str]:
    """Split a model's text into words and calls.

    Args:
        text: what the model wrote, without its stop token.
        first_call: number of the first call; ids run on from ``call_<first_call>``.

    Returns:
        The message, and why a call in it could not be read (empty when all is well). With one bad
        call none is made, and the content is the whole text.
    """
    if _OPEN not in text and _CLOSE not in text:
        return Message(role="assistant", content=text.strip()), ""
    try:
        content, calls = _split(text, first_call)
    except _CallError as error:
        return Message(role="assistant", content=text.strip()), str(error)
    return Message(role="assistant", content=content, tool_calls=calls), ""


def _split(text: str, first_call: int) -> tuple[str, tuple[ToolCall, ...]]:
    calls: list[ToolCall] = []
    words: list[str] = []
    at = 0
    while (start := text.find(_OPEN, at)) >= 0:
        words.append(text[at:start])
        value, end = _read_json(text, start + len(_OPEN))
        if not text.startswith(_CLOSE, end):
            raise _CallError(f"{_CLOSE} does not follow the JSON of a call")
        at = end + len(_CLOSE)
        calls.append(_check_call(value, f"call_{first_call + len(calls)}"))
    words.append(text[at:])
    content = "\n".join(part.strip() for part in words if part.strip())
    if _CLOSE in content:
        raise _CallError(f"{_CLOSE} stands without {_OPEN}")
    return content, tuple(calls)


def _check_call(value: Any, call_id: str) -> ToolCall:
    if not isinstance(value, dict) or set(map(str, value)) != {"name", "arguments"}:
        raise _CallError('a call is a JSON object with the keys "name" and "arguments"')
    name: Any = value["name"]
    arguments: Any = value["arguments"]
    if not isinstance(name, str) or not name:
        raise _CallError('"name" of a call is the name of a tool')
    if not isinstance(arguments, dict):
        raise _CallError(f'"arguments" of {name} is not a JSON object')
    return ToolCall(id=call_id, name=name, arguments=arguments)


def _read_json(text: str, start: int) -> tuple[Any, int]:
    """The JSON value that begins at `start`, and where what follows it begins; blanks around it are skipped."""
    start = _skip_blanks(text, start)
    if start == len(text):
        raise _CallError(f"the text ends after {_OPEN}")
    try:
        value, end = _DECODER.raw_decode(text, start)
        if _is_deeper(value, _MAX_DEPTH):
            raise RecursionError
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise _CallError("the JSON of a call holds half a character") from None
    except json.JSONDecodeError as error:
        if error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated string"):
            raise _CallError(f"the text ends inside a call, before {_CLOSE}") from None
        raise _CallError(f"the JSON of a call is wrong at {text[error.pos : error.pos + 20]!r} ({error.msg})") from None
    except ValueError as error:
        raise _CallError(f"the JSON of a call is wrong: {error}") from None
    except RecursionError:
        raise _CallError("the JSON of a call is nested too deeply") from None
    return value, _skip_blanks(text, end)


def _is_deeper(value: Any, depth: int) -> bool:
    if isinstance(value, (dict, list)):
        inner = value.values() if isinstance(value, dict) else value
        return depth == 0 or any(_is_deeper(each, depth - 1) for each in inner)
    return False


def _skip_blanks(text: str, at: int) -> int:
    while at < len(text) and text[at].isspace():
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
