"""Judges a talk by its effect: final state, what the caller was told, what was refused or done wrongly."""

import re
from datetime import date
from typing import NamedTuple

from t2t.records import CallPattern, Message, RequiredCall, Reward, StopReason, Task, ToolCall

_REFUSES = re.compile(
    r"\b(can'?t|cannot|can not|could not|unable|not able|not allowed|not permitted|not possible|isn't possible|"
    r"won't be able|must decline|have to decline|not eligible|may not|not available)\b"
)


class Talk(NamedTuple):
    """What the verifier looks at."""

    messages: tuple[Message, ...]
    """The whole talk."""
    stop_reason: StopReason
    """Why it ended."""
    final_hash: str
    """State hash at the end."""
    broken_clauses: tuple[str, ...] = ()
    """Clauses broken on the way."""
    failed_assertions: tuple[str, ...] = ()
    """Functions of the task's assertions that do not hold of the final state."""


def verify(task: Task, talk: Talk) -> Reward:
    """Judge one talk about `task`.

    Checks: ``ended`` (the caller hung up), ``db_state`` (the final state is the reference's, whatever
    the path), and where the task asks for them ``communicated`` (every string in ``tell`` reached the
    caller), ``declined`` (one message refuses and names the reason), ``allowed`` (no forbidden call
    went through). Tasks from elsewhere may leave the final state free and ask instead for ``asserted``
    (what they assert of it holds) and ``called`` (required calls were made). The value is 1.0 when all hold.

    Source: arXiv:2601.20144, verification by final effect.
    """
    expected = task.expectation
    said = [message.content for message in talk.messages if message.role == "assistant" and message.content]
    checks = {"ended": talk.stop_reason is StopReason.USER_DONE}
    notes: list[str] = []
    if not checks["ended"]:
        notes.append(f"ended: {talk.stop_reason.value}")
    if expected.final_hash:
        checks["db_state"] = talk.final_hash == expected.final_hash
        if not checks["db_state"]:
            notes.append("db_state: the final state is not the one the reference calls lead to")
    if expected.tell or expected.mention:
        missing = [text for text in expected.tell if not any(tells(message, text) for message in said)]
        missing += [text for text in expected.mention if not any(mentions(message, text) for message in said)]
        checks["communicated"] = not missing
        notes.extend(f"communicated: the caller was never told {text!r}" for text in missing)
    if expected.refusal:
        checks["declined"] = any(refuses(message, expected.refusal.cues) for message in said)
        if not checks["declined"]:
            notes.append("declined: no message refuses and names the reason")
    if expected.forbidden:
        done = [call for call in successful_calls(talk.messages) if any(matches(p, call) for p in expected.forbidden)]
        checks["allowed"] = not done
        notes.extend(f"allowed: forbidden call {call.name} went through" for call in done)
    if expected.assertions:
        checks["asserted"] = not talk.failed_assertions
        notes.extend(f"asserted: {function} does not hold" for function in talk.failed_assertions)
    if expected.required:
        made = [call for message in talk.messages for call in message.tool_calls]
        missed = [wanted for wanted in expected.required if not any(meets(wanted, call) for call in made)]
        checks["called"] = not missed
        notes.extend(f"called: {wanted.name} was not called as required" for wanted in missed)
    value = 1.0 if all(checks.values()) else 0.0
    return Reward(value=value, checks=checks, broken_clauses=talk.broken_clauses, notes=tuple(notes))


def tells(message: str, wanted: str) -> bool:
    """True when a message holds a string as a word of its own; commas and case do not matter.

    An ISO date also counts as told in words ("June 4", "4 June").
    """
    forms = [wanted]
    try:
        day = date.fromisoformat(wanted)
        forms += [f"{day:%B} {day.day}", f"{day.day} {day:%B}", f"{day:%b} {day.day}"]
    except ValueError:
        pass
    text = message.lower().replace(",", "")
    plain = [form.lower().replace(",", "") for form in forms]
    return any(
        form in text and re.search(rf"(?<![\w.]){re.escape(form)}(?!\w|[.]\d)", text) is not None for form in plain
    )


def mentions(message: str, wanted: str) -> bool:
    """True when a message holds a text anywhere, commas of the message and case aside.

    Source: tau2, whose evaluator reads messages so.
    """
    return bool(message.strip()) and wanted.lower() in message.lower().replace(",", "")


def refuses(message: str, cues: tuple[str, ...]) -> bool:
    """True when a message says no and names the reason by one of the cues."""
    text = message.lower().replace("’", "'")
    return _REFUSES.search(text) is not None and any(cue in text for cue in cues)


def successful_calls(messages: tuple[Message, ...]) -> list[ToolCall]:
    """Calls whose result is no error, in order."""
    failed = {message.result.call_id for message in messages if message.result and message.result.is_error}
    return [call for message in messages for call in message.tool_calls if call.id not in failed]


def matches(pattern: CallPattern, call: ToolCall) -> bool:
    """True when a call has the pattern's name and all of its arguments."""
    return call.name == pattern.name and all(
        call.arguments.get(name) == value for name, value in pattern.arguments.items()
    )


def meets(wanted: RequiredCall, call: ToolCall) -> bool:
    """True when a call has the wanted name and agrees in the arguments that are compared.

    Source: tau2, whose evaluator compares actions so.
    """
    compared = call.arguments.keys() if wanted.compare is None else wanted.compare
    given = {name: value for name, value in call.arguments.items() if name in compared}
    return call.name == wanted.name and given == {k: v for k, v in wanted.arguments.items() if k in compared}
