"""Talks in tau2's message classes, and tau2's talks in t2t's."""

from collections.abc import Iterable, Sequence
from typing import Any

from t2t.interop.tau2.source import import_tau2
from t2t.records import Message, ToolCall, ToolResult


def to_tau2(messages: Sequence[Message]) -> list[Any]:
    """Messages as tau2's evaluator reads them; system messages are left out, as tau2 leaves them out.

    What answers a malformed call is left out too: tau2 has no call that it could stand behind.
    """
    classes = import_tau2("data_model.message")
    made: list[Any] = []
    for message in messages:
        if message.role == "tool" and message.result is not None and message.result.call_id:
            result = message.result
            made.append(
                classes.ToolMessage(
                    id=result.call_id,
                    role="tool",
                    content=result.content,
                    requestor=result.requestor,
                    error=result.is_error,
                )
            )
        elif message.role in ("user", "assistant"):
            # tau2 takes an empty list for a call, so that no calls must be None.
            calls = [
                classes.ToolCall(id=call.id, name=call.name, arguments=call.arguments, requestor=call.requestor)
                for call in message.tool_calls
            ] or None
            kind = classes.UserMessage if message.role == "user" else classes.AssistantMessage
            made.append(kind(role=message.role, content=message.content or None, tool_calls=calls))
    return made


def from_tau2(messages: Iterable[Any]) -> tuple[Message, ...]:
    """Messages of tau2 as t2t's records."""
    made: list[Message] = []
    names: dict[str, str] = {}
    for message in _flatten(messages):
        content = message.content or ""
        calls = tuple(
            ToolCall(id=call.id, name=call.name, arguments=call.arguments, requestor=call.requestor)
            for call in getattr(message, "tool_calls", None) or ()
        )
        names.update({call.id: call.name for call in calls})
        result = None
        if message.role == "tool":
            result = ToolResult(
                call_id=message.id,
                name=names.get(message.id, ""),
                content=content,
                is_error=message.error,
                requestor=message.requestor,
            )
        made.append(Message(role=message.role, content=content, tool_calls=calls, result=result))
    return tuple(made)


def _flatten(messages: Iterable[Any]) -> Iterable[Any]:
    for message in messages:
        yield from getattr(message, "tool_messages", (message,))
