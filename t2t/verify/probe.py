"""Calls that try a domain out: one call without lasting effect, and calls that no sane model makes."""

import random
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

import orjson
from pydantic import JsonValue

from t2t.domain.domain import Domain
from t2t.domain.environment import Environment
from t2t.errors import ToolError
from t2t.models.calls import parse_reply
from t2t.records import Arguments, ToolCall


class Outcome(NamedTuple):
    """What came of a call that was undone at once."""

    value: Any
    """What the tool returned; None when it returned nothing."""
    refusal: str
    """Text of the `ToolError`, or empty."""
    crash: str
    """Any other error, with its place, or empty; that a read wrote is none."""
    changed: bool
    """True when the state was another one before the call was undone."""

    @property
    def went_through(self) -> bool:
        """True when the tool did its work."""
        return not self.refusal and not self.crash


def try_call(environment: Environment, call: ToolCall) -> Outcome:
    """Run a call and undo it; the environment is afterwards as it was."""
    before, savepoint, num_past = environment.state_hash(), environment.db.savepoint(), len(environment.past)
    value, refusal, crash = None, "", ""
    try:
        value = environment.run(call).value
    except ToolError as error:
        refusal = str(error) or "an empty text"
    except Exception as error:  # noqa: BLE001  whatever a domain's code raises is what is looked for
        crash = describe_crash(error)
    changed = environment.state_hash() != before
    if changed and (tool := environment.domain.find_tool(call)) and not tool.writes:
        crash = ""
    environment.db.rollback(savepoint)
    del environment.past[num_past:]
    return Outcome(value, refusal, crash, changed)


def describe_crash(error: Exception) -> str:
    """One line: what was raised, and where."""
    places = traceback.extract_tb(error.__traceback__)
    where = f" ({Path(places[-1].filename).name}:{places[-1].lineno})" if places else ""
    return f"{type(error).__name__}: {str(error)[:200]}{where}"


def attempt(environment: Environment, hostile: str | ToolCall) -> str:
    """Hand one hostile text or call to an environment, as a talk does, and undo what came of it.

    Returns:
        Empty when it ended in a result or in a refusal that changed nothing, else what happened.
    """
    calls: Sequence[ToolCall] = (hostile,) if isinstance(hostile, ToolCall) else parse_reply(hostile)[0].tool_calls
    before = environment.state_hash()
    for call in calls:
        outcome = try_call(environment, call)
        if outcome.crash:
            return f"{_short(call)} raises {outcome.crash}"
        if outcome.refusal and outcome.changed:
            return f"{_short(call)} is refused and changes the state"
        if environment.state_hash() != before:
            return f"{_short(call)} cannot be undone"
    return ""


def hostile_calls(domain: Domain, examples: Sequence[ToolCall], seed: str) -> Iterator[str | ToolCall]:
    """Endless calls of unknown tools, with wrong, huge, deep and odd arguments; half of them as a model's text.

    Args:
        domain: Whose tools are called.
        examples: Calls that go through; their values are mixed with hostile ones.
        seed: The calls follow from it alone.
    """
    rng = random.Random(f"hostile/{seed}")
    known: list[JsonValue] = [value for call in examples for value in call.arguments.values()]
    while True:
        name, arguments = _target(domain, examples, rng)
        values = _VALUES if rng.random() < 0.7 or not known else known
        for parameter in rng.sample(list(arguments), rng.randint(min(1, len(arguments)), len(arguments))):
            arguments[parameter] = rng.choice(values)
        if rng.random() < 0.1:
            arguments[rng.choice(_NAMES)] = rng.choice(_VALUES)
        if arguments and rng.random() < 0.1:
            del arguments[rng.choice(list(arguments))]
        if rng.random() < 0.5:
            yield ToolCall(
                id="hostile", name=name, arguments=arguments, requestor=rng.choice(("assistant", "assistant", "user"))
            )
        else:
            yield _text(name, arguments, rng)


def _target(domain: Domain, examples: Sequence[ToolCall], rng: random.Random) -> tuple[str, Arguments]:
    if examples and rng.random() < 0.5:
        call = rng.choice(examples)
        return call.name, dict(call.arguments)
    if rng.random() < 0.15:
        return rng.choice(_NAMES), {"x": None}
    tool = rng.choice(list(domain.tool_by_name.values()))
    return tool.name, {parameter.name: rng.choice([*parameter.choices, None]) for parameter in tool.parameters}


def _text(name: str, arguments: Arguments, rng: random.Random) -> str:
    """A model's reply around the call, now and then one that is no JSON."""
    plain = _without_oddities(arguments)
    body = orjson.dumps({"name": name.encode(errors="replace").decode(), "arguments": plain}).decode()
    kind = rng.randrange(8)
    if kind == 0:
        body = rng.choice(_BROKEN).replace("NAME", name.encode(errors="replace").decode())
    elif kind == 1:
        body = body.replace('"arguments":{', f'"arguments":{{"x":{rng.choice(_LITERALS)},', 1)
    elif kind == 2:
        body = body[:-1] + ',"arguments":{},"name":"twice"}'
    elif kind == 3:
        body = body[: rng.randrange(len(body) + 1)]
    text = f"<tool_call>{body}</tool_call>"
    return f"Sure! {text} {text}" if rng.random() < 0.1 else text


def _without_oddities(arguments: Arguments) -> JsonValue:
    try:
        return cast(JsonValue, orjson.loads(orjson.dumps(arguments)))
    except orjson.JSONEncodeError:
        return {"odd": "9**9**9"}


def _nested(depth: int) -> JsonValue:
    value: JsonValue = 1
    for level in range(depth):
        value = [value] if level % 2 else {"x": value}
    return value


def _short(call: ToolCall) -> str:
    text = ", ".join(f"{name}={value!r}"[:60] for name, value in call.arguments.items())
    return f"{call.name[:40]}({text[:200]})"


_NAMES = (
    "",
    " ",
    "fly",
    "__import__",
    "eval",
    "tool",
    "é" * 50,
    "x" * 100_000,
    "../run",
    "NaN",
    "\u2028",
    "self",
    "db",
)
_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 7, 2**31, 2**63 - 1, -(2**63), 2**64, 10**400, -(10**12)),
    *(0.0, -0.0, 1.5, 1e-320, 1e308, -1e308, float("nan"), float("inf"), float("-inf")),
    *("", " ", "\n", "\x00", "nothing", "null", "None", "NaN", "0", "-1", "1e999", "9**9**9", "٣", "²", "½"),
    *("{0.__class__}", "{value}", "{", "}", "%s%n", "$(reboot)", "'; DROP TABLE users; --", "../../../etc/passwd"),
    *("__import__('os')._exit(1)", "exit()", "lambda: 0", "<tool_call>", "</tool_call>", "\\", '"', "'", "[", "(a+)+$"),
    *("é\u2028'\"", "\u202eabc", "\u200b", "😀" * 40, "İ", "ß", "\ud800", "Ａ", "a\u0301", "A" * 10_000, "a." * 5_000),
    *("2026-02-30", "9999-12-31", "0001-01-01", "2026-13-01", "2026-1-1", "24:00", "99:99", "12/31/2026", "tomorrow"),
    *("2026-05-14T10:00:00+99:00", "0.1", "1,000", "1.005", "1e5", "-0.01", "100000000000000000000.00", "inf", "+1"),
    *("a@b", "@", "a@" + "b." * 2_000, "+" + "1" * 40, "000-000", "#", "0x10", "1_000", " 1 ", "1 2"),
    *([], [None], [[]], [""], ["nothing"] * 2, ["x"] * 2_000, [1, "x", None], {}, {"a": {}}, {"": ""}, {"id": "x"}),
    *(_nested(8), _nested(31), _nested(120), ["A" * 10_000] * 20, {"x" * 1_000: "y"}),
)
_LITERALS = ("NaN", "Infinity", "-Infinity", "1e999", "1" * 400, "1" * 5_000, "-1", "[" * 40 + "]" * 40, '"\\ud800"')
_BROKEN = (
    "",
    "{",
    "{}",
    "[]",
    "null",
    '"NAME"',
    "9**9**9",
    '{"name":"NAME"}',
    '{"name":"NAME","arguments":null}',
    '{"name":"NAME","arguments":"{}"}',
    '{"name":["NAME"],"arguments":{}}',
    '{"name":"NAME","arguments":{}} {"name":"NAME","arguments":{}}',
    "{'name':'NAME','arguments':{}}",
    '{"name":"NAME","arguments":{"x":1,"x":2}}',
    '{"name":"NAME","arguments":{"__class__":"object"}}',
    "<tool_call><tool_call>",
    "[" * 100_000,
    '{"x":' * 50_000,
    '{"name":"NAME","arguments":{"x":"' + "\\u0041" * 20_000 + '"}}',
    '{"name":"NAME","arguments":{' + ",".join(f'"k{n}":{n}' for n in range(3_000)) + "}}",
)
