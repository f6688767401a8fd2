"""A model server that fails as it is told: ``python -m tests.faults.fault_server ORDERS.json``, a process of its own.

Speaks what t2t asks of vLLM (token ids in and out, ``/v1/models``, ``/health``, ``/metrics``) and the chat
completions route. As an agent it plays the reference moves: it knows a talk by its opening and its place by
the number of agent turns; in a talk that it does not know it says nothing to the point. Every request is
noted in a file before it is answered, so that the notes outlive the server: one line ``TASK TURN OUTCOME``,
the outcome being ``ok``, ``mistake`` or the kind of the fault.
"""

import asyncio
import contextlib
import os
import random
import re
import socket
import struct
import sys
import zlib
from pathlib import Path
from typing import Any

import orjson
from pydantic import BaseModel

from t2t.intents.judge import Verdict
from t2t.models.rendering import Renderer
from t2t.records import Message, Task, ToolCall
from t2t.store import read_records
from tests.chat_endpoint import good_texts

FAULTS = (
    "http_429",
    "http_429_after",
    "http_500",
    "http_503",
    "reset_before",
    "reset_half",
    "half_json",
    "wrong_shape",
    "aborted",
    "huge",
    "drip",
)
MISTAKES = ("malformed", "not_an_object", "unknown_tool", "wrong_arguments")
_REASONS = {200: "OK", 401: "Unauthorized", 429: "Too Many Requests", 500: "Server Error", 503: "Unavailable"}
_METRICS = """\
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{{engine="0",model_name="base"}} {running}.0
vllm:num_requests_waiting{{engine="0",model_name="base"}} 0.0
vllm:kv_cache_usage_perc{{engine="0",model_name="base"}} 0.1
vllm:num_preemptions_total{{engine="0",model_name="base"}} 0.0
vllm:prefix_cache_queries_total{{engine="0",model_name="base"}} 1000.0
vllm:prefix_cache_hits_total{{engine="0",model_name="base"}} 900.0
vllm:prompt_tokens_total{{engine="0",model_name="base"}} 1000.0
vllm:generation_tokens_total{{engine="0",model_name="base"}} 100.0
"""


class Orders(BaseModel):
    """What the server is told."""

    port: int
    tasks: Path
    weights: Path
    notes: Path
    delay_s: float = 0.0
    seed: int = 0
    faults: tuple[str, ...] = ()
    """Kinds to choose from."""
    share: float = 0.0
    """Part of the turns that meet a fault, one or two in a row."""
    mistakes: dict[str, dict[int, str]] = {}
    """What the model does wrong, by task id and turn."""
    endless: tuple[str, ...] = ()
    """Tasks in which the agent makes the same call for ever."""
    caller_never_stops: bool = False
    """The caller that a model plays never hangs up."""
    loops: tuple[str, ...] = ()
    """Tasks in which the agent first calls the tool ``wait_for_ever``."""
    key: str = ""
    """Key without which there is no answer; what is sent as key is named in the texts and headers of errors."""
    refuse: int = 0
    """HTTP status of every answer to a question; 0 answers."""


class Player:
    """The reference agent, with its planned mistakes, and the faults around it."""

    def __init__(self, orders: Orders) -> None:
        self.orders = orders
        self.renderer = Renderer("smollm2", orders.weights)
        self.tasks = {task.scenario.opening: task for task in read_records(orders.tasks, Task)}
        self.start_id = self.renderer.prompt_ids([Message(role="user", content="x")], "")[0]
        self.ids: dict[tuple[str, int], list[int]] = {}
        self.tries: dict[tuple[str, int], int] = {}
        self.running = 0
        self.notes = os.open(orders.notes, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def place_of(self, prompt: list[int]) -> tuple[Task | None, int]:
        """The task of a prompt and the number of agent turns that it holds; the system message is long and skipped."""
        second = prompt.index(self.start_id, 1)
        turns = re.findall(r"<\|im_start\|>(\w+)\n(.*?)(?:<\|im_end\|>|$)", self.renderer.decode(prompt[second:]), re.S)
        opening = next(text for role, text in turns if role == "user")
        return self.tasks.get(opening), sum(role == "assistant" for role, _ in turns) - 1

    def message(self, task: Task, turn: int) -> tuple[Message, str]:
        """What the agent says, and whether it is a mistake."""
        planned = self.orders.mistakes.get(task.id, {})
        mistake = planned.get(turn, "")
        if mistake == "malformed":
            return Message(role="assistant", content='<tool_call>{"name":"find'), mistake
        if mistake == "not_an_object":
            return Message(role="assistant", content="<tool_call>[1]</tool_call>"), mistake
        if mistake == "unknown_tool":
            call = ToolCall(id="", name="no_such_tool", arguments={})
            return Message(role="assistant", content="", tool_calls=(call,)), mistake
        if mistake == "wrong_arguments":
            name = next(call.name for move in task.expectation.moves for call in move.calls)
            call = ToolCall(id="", name=name, arguments={"no_such_argument": 1})
            return Message(role="assistant", content="", tool_calls=(call,)), mistake
        if task.id in self.orders.endless:
            first = next(call for move in task.expectation.moves for call in move.calls)
            return Message(role="assistant", content="", tool_calls=(first,)), ""
        if task.id in self.orders.loops:
            if turn == 0:
                call = ToolCall(id="", name="wait_for_ever", arguments={})
                return Message(role="assistant", content="", tool_calls=(call,)), ""
            turn -= 1
        place = turn - sum(earlier < turn for earlier in planned)
        moves = task.expectation.moves
        if place >= len(moves):
            return Message(role="assistant", content="Goodbye."), ""
        return Message(role="assistant", content=moves[place].say, tool_calls=moves[place].calls), ""

    def fault(self, task: Task, turn: int) -> str:
        """The fault that this try of a turn meets; the same for a seed, whatever the order of requests."""
        tried = self.tries[task.id, turn] = self.tries.get((task.id, turn), 0) + 1
        chance = random.Random(f"{self.orders.seed}/{task.id}/{turn}")
        num_faults = chance.choice((1, 1, 2)) if chance.random() < self.orders.share else 0
        kinds = [chance.choice(self.orders.faults) for _ in range(num_faults)]
        return kinds[tried - 1] if tried <= len(kinds) else ""

    def note(self, *words: object) -> None:
        os.write(self.notes, (" ".join(map(str, words)) + "\n").encode())


class Connection(asyncio.Protocol):
    """One connection; requests on it come one after the other."""

    def __init__(self, player: Player) -> None:
        self.player = player
        self.buffer = b""
        self.transport: Any = None
        self.key = ""
        self.num_errors = 0

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head = self.buffer[:end].decode("latin-1")
            found = re.search(r"(?i)\r\ncontent-length: *(\d+)", head)
            length = int(found[1]) if found else 0
            if len(self.buffer) < end + 4 + length:
                return
            body = self.buffer[end + 4 : end + 4 + length]
            self.buffer = self.buffer[end + 4 + length :]
            asyncio.get_running_loop().create_task(self.answer(head, body))

    async def answer(self, head: str, body: bytes) -> None:
        player, path = self.player, head.split(" ", 2)[1]
        key = player.orders.key
        found = re.search(r"(?i)\r\nauthorization: *Bearer ([^\r]*)", head)
        self.key = found[1] if found else ""
        if path == "/metrics":
            self.send(200, _METRICS.format(running=player.running).encode())
        elif head.startswith("GET"):
            names = [{"id": name, "object": "model"} for name in ("base", "tuned")]
            self.send(200, orjson.dumps({"object": "list", "data": names} if path.endswith("/models") else {}))
        elif key and self.key != key:
            self.send(401, self.error())
        elif player.orders.refuse:
            self.send(player.orders.refuse, self.error())
        else:
            player.running += 1
            try:
                await (self.complete if path == "/v1/completions" else self.chat)(orjson.loads(body))
            finally:
                player.running -= 1

    async def complete(self, body: dict[str, Any]) -> None:
        """The completions route, token ids in and out."""
        player = self.player
        task, turn = player.place_of(body["prompt"])
        if task is None:
            talk, fault, mistake = "unknown", "", ""
            message = Message(role="assistant", content=f"Let me see, this is thought {turn}.")
        else:
            talk, fault = task.id, player.fault(task, turn)
            message, mistake = player.message(task, turn)
        player.note(talk, turn, fault or ("mistake" if mistake else "ok"))
        ids = player.ids.get((talk, turn))
        if ids is None:
            ids = player.ids[talk, turn] = player.renderer.reply_ids(message)
        choice: dict[str, Any] = {
            "index": 0,
            "text": "",
            "token_ids": ids,
            "finish_reason": "abort" if fault == "aborted" else "stop",
            "prompt_token_ids": body["prompt"],
        }
        if body.get("logprobs") is not None:
            choice["logprobs"] = {
                "tokens": [f"token_id:{number}" for number in ids],
                "token_logprobs": [-0.5 - number % 7 / 8 for number in ids],
                "top_logprobs": [{}] * len(ids),
                "text_offset": [0] * len(ids),
            }
        await asyncio.sleep(player.orders.delay_s)
        answer = {"id": "1", "object": "text_completion", "model": body["model"], "choices": [choice]}
        await self.deliver(fault, orjson.dumps(answer))

    async def chat(self, body: dict[str, Any]) -> None:
        """The chat completions route: who words and grades tasks, or a caller who agrees a few times and hangs up."""
        said = [message for message in body["messages"] if message["role"] == "assistant"]
        prompt = next((m["content"] for m in body["messages"] if m["role"] == "system"), "")
        player = self.player
        turn = len(said)
        talk = str(zlib.crc32(orjson.dumps([prompt, said, body.get("seed")])))
        tried = player.tries[talk, turn] = player.tries.get((talk, turn), 0) + 1
        chance = random.Random(f"{player.orders.seed}/{talk}")
        hit = tried == 1 and chance.random() < player.orders.share
        fault = chance.choice(player.orders.faults) if hit else ""
        player.note("chat", turn, fault or "ok")
        stops = turn >= 3 and not player.orders.caller_never_stops
        text = "I would like some help, please." if turn == 0 else "Goodbye. ###STOP###" if stops else "Yes, please."
        form = body.get("response_format", {}).get("json_schema", {}).get("name")
        if form == "Texts":
            text = good_texts(body["messages"]).model_dump_json()
        elif form == "Verdict":
            text = Verdict(says="It reads well.", realism=8, answers=True).model_dump_json()
        answer = {"choices": [{"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}]}
        await asyncio.sleep(player.orders.delay_s)
        await self.deliver(fault, orjson.dumps(answer))

    async def deliver(self, fault: str, answer: bytes) -> None:
        """Send the answer, or what the fault makes of it."""
        error = self.error()
        if fault in ("http_500", "http_503"):
            self.send(int(fault[-3:]), error)
        elif fault.startswith("http_429"):
            self.send(429, error, "Retry-After: 1\r\n" if fault.endswith("after") else "")
        elif fault == "reset_before":
            self.reset()
        elif fault == "reset_half":
            self.send(200, answer, length=len(answer) // 2)
            await asyncio.sleep(0.01)
            self.reset()
        elif fault == "half_json":
            self.send(200, answer[: len(answer) // 2])
        elif fault == "wrong_shape":
            shapes = (b"{}", b"[]", b'{"choices":[]}', b'{"choices":[{"token_ids":"x","message":7}]}', b"null")
            self.send(200, shapes[len(answer) % len(shapes)])
        elif fault == "huge":
            self.send(200, b'{"choices":"' + b"x" * 10 * 2**20 + b'"}')
        elif fault == "drip":
            self.send(200, answer, length=0)
            for byte in answer:
                if self.transport.is_closing():
                    return
                self.transport.write(bytes([byte]))
                await asyncio.sleep(0.25)
        else:
            self.send(200, answer)

    def send(self, status: int, content: bytes, headers: str = "", *, length: int | None = None) -> None:
        """Send an answer, or its head and the first `length` bytes alone."""
        head = (
            f"HTTP/1.1 {status} {_REASONS.get(status, 'Bad Request')}\r\nContent-Type: application/json\r\n{headers}"
            f"Content-Length: {len(content)}\r\n" + (f"X-Echo: Bearer {self.key}\r\n" if self.key else "") + "\r\n"
        )
        if not self.transport.is_closing():
            self.transport.write(head.encode() + content[:length])

    def error(self) -> bytes:
        """An error that names the key, at a place where whoever cuts the text may cut the key in two."""
        self.num_errors += 1
        text = f"{'x' * (self.num_errors * 37 % 320)} Incorrect API key provided: {self.key or 'none'}"
        return orjson.dumps({"error": {"message": text}}) if self.num_errors % 3 else text.encode()

    def reset(self) -> None:
        """End the connection with RST."""
        raw = self.transport.get_extra_info("socket")
        with contextlib.suppress(OSError):
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()


async def main(orders: Orders) -> None:
    """Serve until killed."""
    player = Player(orders)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(player), "127.0.0.1", orders.port, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(Orders.model_validate_json(Path(sys.argv[1]).read_bytes())))
