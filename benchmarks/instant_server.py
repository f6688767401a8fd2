"""An OpenAI-compatible server that plays its part of known talks and costs next to nothing: for measuring clients.

It runs in a process of its own and answers with prepared bytes, at once or after a fixed delay. Of a request it
reads what tells the talk and the place in it, without parsing JSON: over chat completions the mark ``[task 17]``,
which a talk's texts carry, and how many messages each side has sent; over completions with token ids the seed,
which is that of the talk plus the number of the agent's turn.
"""

import asyncio
import multiprocessing
import os
import re
import resource
import socket
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import orjson

from t2t.records import ToolCall

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_PREPARED = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
_NOTHING = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
_LOST = b'HTTP/1.1 400 Bad Request\r\nContent-Length: 52\r\n\r\n{"error":{"message":"no such talk or place in it"}}\n'


class Part(NamedTuple):
    """What the server says in the talks about one task."""

    agent: tuple[str | ToolCall, ...]
    """Turns of the agent: words, or one call."""
    user: tuple[str, ...]
    """Turns of the caller; the first one opens the talk."""
    agent_ids: tuple[tuple[int, ...], ...] = ()
    """The agent's turns as token ids, for completions."""
    seeds: tuple[int, ...] = ()
    """Seeds of the talks about the task, for completions."""


class Usage(NamedTuple):
    """What the server has done since it started."""

    requests: int
    """Requests answered."""
    lost: int
    """Requests among them that belong to no known talk."""
    cpu_s: float
    """CPU seconds."""


class InstantServer:
    """A running server."""

    def __init__(self, pipe: Connection, port: int) -> None:
        """Speak to the server over `pipe`."""
        self._pipe = pipe
        self.url = f"http://127.0.0.1:{port}"
        """Its address, without a path."""

    def set_delay(self, seconds: float) -> None:
        """Answer every further request so long after it came."""
        self._ask("delay", seconds)

    def usage(self) -> Usage:
        """What it has done so far."""
        return Usage(*self._ask("usage"))

    def record(self) -> None:
        """Keep the bodies of all further requests, until `recorded` takes them."""
        self._ask("record")

    def recorded(self) -> dict[int, list[bytes]]:
        """Bodies by task number, in the order they came."""
        return self._ask("recorded")

    def _ask(self, *words: Any) -> Any:
        self._pipe.send(words)
        return self._pipe.recv()


@contextmanager
def serving(parts: dict[int, Part], core: int | None = None) -> Generator[InstantServer]:
    """Serve the talks of `parts`, by task number, on a free port until the block ends; `core` is the server's alone."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_main, args=(theirs, parts, core), daemon=True)
    process.start()
    theirs.close()
    try:
        yield InstantServer(ours, ours.recv())
    finally:
        ours.close()
        process.join(10)
        process.kill()


def raise_file_limit() -> None:
    """Let this process hold as many connections as the system grants."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class _Talks:
    """The prepared answers, and what is counted."""

    def __init__(self, parts: dict[int, Part]) -> None:
        self.agent = {number: [_chat(turn) for turn in part.agent] for number, part in parts.items()}
        self.user = {number: [_chat(turn) for turn in part.user] for number, part in parts.items()}
        self.ids: dict[int, bytes] = {}
        for part in parts.values():
            answers = [_completion(ids) for ids in part.agent_ids]
            self.ids.update((seed + turn, answer) for seed in part.seeds for turn, answer in enumerate(answers))
        self.delay_s = 0.0
        self.requests = self.lost = 0
        self.recorded: dict[int, list[bytes]] | None = None

    def answer(self, head: bytes, body: bytes) -> bytes:
        """The whole HTTP response to a request; there are no metrics to read."""
        if not head.startswith(b"POST"):
            return _NOTHING
        self.requests += 1
        try:
            return self._answer(head, body)
        except (LookupError, ValueError):
            self.lost += 1
            return _LOST

    def _answer(self, head: bytes, body: bytes) -> bytes:
        if head.startswith(b"POST /v1/completions"):
            start = body.index(b'"seed":') + 7
            return self.ids[int(body[start : body.index(b",", start)])]
        start = body.index(b"[task ") + 6
        number = int(body[start : body.index(b"]", start)])
        if self.recorded is not None:
            self.recorded.setdefault(number, []).append(body)
        if b'"tools"' in body:
            # A quote inside a text is escaped, so these are names of fields and roles.
            return self.agent[number][body.count(b'"tool_call_id"') + body.count(b'"user"') - 1]
        return self.user[number][body.count(b'"assistant"')]


class _Peer(asyncio.Protocol):
    """One connection, kept alive."""

    def __init__(self, talks: _Talks, loop: asyncio.AbstractEventLoop) -> None:
        self._talks = talks
        self._loop = loop
        self._held = b""
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def data_received(self, data: bytes) -> None:
        data = self._held + data
        while (end := data.find(b"\r\n\r\n")) >= 0:
            length = _LENGTH.search(data, 0, end)
            stop = end + 4 + (int(length[1]) if length else 0)
            if len(data) < stop:
                break
            reply = self._talks.answer(data[:end], data[end + 4 : stop])
            if self._talks.delay_s:
                self._loop.call_later(self._talks.delay_s, self._transport.write, reply)
            else:
                self._transport.write(reply)
            data = data[stop:]
        self._held = data


def _main(pipe: Connection, parts: dict[int, Part], core: int | None) -> None:
    raise_file_limit()
    if core is not None:
        os.sched_setaffinity(0, {core})
    asyncio.run(_serve(pipe, _Talks(parts)))


async def _serve(pipe: Connection, talks: _Talks) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Peer(talks, loop), "127.0.0.1", 0, backlog=4096)
    pipe.send(server.sockets[0].getsockname()[1])
    ended = asyncio.Event()

    def obey() -> None:
        try:
            words = pipe.recv()
        except EOFError:
            loop.remove_reader(pipe.fileno())
            ended.set()
            return
        pipe.send(_obey(talks, words))

    loop.add_reader(pipe.fileno(), obey)
    await ended.wait()
    server.close()


def _obey(talks: _Talks, words: Sequence[Any]) -> Any:
    match words:
        case ("delay", seconds):
            talks.delay_s = seconds
        case ("usage",):
            return talks.requests, talks.lost, time.process_time()
        case ("record",):
            talks.recorded = {}
        case ("recorded",):
            recorded, talks.recorded = talks.recorded, None
            return recorded
        case _:
            raise ValueError(f"the server knows no {words[0]!r}")
    return None


def _chat(turn: str | ToolCall) -> bytes:
    message: dict[str, Any] = {"role": "assistant", "content": turn if isinstance(turn, str) else None}
    if not isinstance(turn, str):
        function = {"name": turn.name, "arguments": orjson.dumps(turn.arguments).decode()}
        message["tool_calls"] = [{"id": turn.id, "type": "function", "function": function}]
    reason = "stop" if isinstance(turn, str) else "tool_calls"
    return _prepare("chat.completion", {"index": 0, "message": message, "finish_reason": reason})


def _completion(ids: Sequence[int]) -> bytes:
    logprobs = {"tokens": [f"token_id:{one}" for one in ids], "token_logprobs": [-0.5] * len(ids)}
    choice = {"index": 0, "text": "", "token_ids": list(ids), "finish_reason": "stop", "logprobs": logprobs}
    return _prepare("text_completion", choice)


def _prepare(kind: str, choice: dict[str, Any]) -> bytes:
    usage = {"prompt_tokens": 1000, "completion_tokens": 20, "total_tokens": 1020}
    value = {"id": "instant", "object": kind, "created": 0, "model": "m", "choices": [choice], "usage": usage}
    body = orjson.dumps(value)
    return _PREPARED % (len(body), body)
