"""A local OpenAI endpoint in front of a `ChatModel`, for programs that know nothing else.

A model is prompted and read here as in training: by t2t's own template and tool-call parser, not by an
engine's. Every request carries its whole talk, as such programs send it.
"""

import asyncio
import threading
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import orjson
from aiohttp import web

from t2t.errors import InfraError
from t2t.models.chat import ChatModel, ContextOverflow
from t2t.records import Message, ToolCall, ToolResult

_MAX_BODY = 64 * 2**20
_MAX_SEED = 2**31


class Endpoint:
    """Answers ``POST /v1/chat/completions``, without streaming."""

    def __init__(self, model: ChatModel) -> None:
        """Answer for `model`."""
        self._model = model
        self.failures: list[str] = []
        """Requests that the model's service failed; the last lines of each."""
        self.url = ""
        """Base URL for clients, once it is served."""

    async def answer(self, request: web.Request) -> web.Response:
        """One request; a prompt that is too long is a 400, a service that fails a 503."""
        body = orjson.loads(await request.read())
        messages = read_messages(body["messages"])
        tools = orjson.dumps(body["tools"]).decode() if body.get("tools") else ""
        session = self._model.open(tools, int(body.get("seed") or 0) % _MAX_SEED)
        try:
            reply = await session.reply(messages)
        except ContextOverflow as error:
            return _refuse(400, str(error), "context_length_exceeded")
        except InfraError as error:
            self.failures.append(str(error))
            return _refuse(503, str(error), "service_unavailable")
        made = sum(len(message.tool_calls) for message in messages)
        calls = [
            {
                "id": f"call_{made + place}",
                "type": "function",
                "function": {"name": call.name, "arguments": orjson.dumps(call.arguments).decode()},
            }
            for place, call in enumerate(reply.message.tool_calls, start=1)
        ]
        message: dict[str, Any] = {"role": "assistant", "content": reply.message.content or None}
        if calls:
            message["tool_calls"] = calls
        finish = "tool_calls" if calls else reply.turn.finish_reason or "stop"
        prompt, sampled = len(reply.turn.prompt_ids), len(reply.turn.sampled_ids)
        return web.json_response(
            {
                "id": "chatcmpl-t2t",
                "object": "chat.completion",
                "created": 0,
                "model": body.get("model", ""),
                "choices": [{"index": 0, "message": message, "finish_reason": finish}],
                "usage": {"prompt_tokens": prompt, "completion_tokens": sampled, "total_tokens": prompt + sampled},
            }
        )


def read_messages(sent: Sequence[Mapping[str, Any]]) -> list[Message]:
    """Messages of an OpenAI request as records."""
    messages: list[Message] = []
    names: dict[str, str] = {}
    for one in sent:
        calls = tuple(
            ToolCall(
                id=call["id"],
                name=call["function"]["name"],
                arguments=orjson.loads(call["function"]["arguments"] or "{}"),
            )
            for call in one.get("tool_calls") or ()
        )
        names.update({call.id: call.name for call in calls})
        content = _text(one.get("content"))
        result = None
        if one["role"] == "tool":
            call_id = one["tool_call_id"]
            result = ToolResult(call_id=call_id, name=names.get(call_id, ""), content=content, is_error=False)
        messages.append(Message(role=one["role"], content=content, tool_calls=calls, result=result))
    return messages


@contextmanager
def serving(model: ChatModel) -> Generator[Endpoint]:
    """Serve `model` on a free port of the loopback, from a thread of its own, until the block ends."""
    endpoint = Endpoint(model)
    ready, done = threading.Event(), asyncio.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    async def serve() -> None:
        application = web.Application(client_max_size=_MAX_BODY)
        application.router.add_post("/v1/chat/completions", endpoint.answer)
        runner = web.AppRunner(application, access_log=None)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            endpoint.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
            loops.append(asyncio.get_running_loop())
            ready.set()
            await done.wait()
        finally:
            await runner.cleanup()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    ready.wait()
    try:
        yield endpoint
    finally:
        loops[0].call_soon_threadsafe(done.set)
        thread.join()


def _text(content: Any) -> str:
    """Text of a message's content, which may come in parts."""
    if isinstance(content, list):
        return "".join(part.get("text", "") for part in content)  # pyright: ignore[reportUnknownVariableType]
    return content or ""


def _refuse(status: int, text: str, code: str) -> web.Response:
    return web.json_response({"error": {"message": text, "type": "invalid_request_error", "code": code}}, status=status)
