"""A completions server that plays the reference agent: exact replies over the real protocol.

Speaks what t2t asks of vLLM: ``/v1/completions`` with token ids in and out, ``/v1/models``,
``/health``. It knows a talk by its opening and its place by the number of agent turns, and rows that
a trainer scored by their ids.
"""

import re
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import orjson

from t2t.models.rendering import Renderer
from t2t.records import Message, Task


class ScriptedServer(ThreadingHTTPServer):
    """Serves the moves of tasks that it reads when it is asked."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(
        self, weights: Path, tasks: Callable[[], Iterable[Task]], scored: Callable[[], Iterable[dict[str, Any]]] = list
    ) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.scored = scored
        self.renderer = Renderer("smollm2", weights)
        self.tasks = tasks
        self.moves: dict[str, tuple[Any, ...]] = {}
        self.num_requests = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def reply_ids(self, prompt: list[int]) -> list[int]:
        """What the reference agent says next."""
        text = self.renderer.decode(prompt)
        turns = re.findall(r"<\|im_start\|>(\w+)\n(.*?)(?:<\|im_end\|>|$)", text, re.DOTALL)
        opening = next(content for role, content in turns if role == "user")
        if opening not in self.moves:
            self.moves = {task.scenario.opening: task.expectation.moves for task in self.tasks()}
        said = sum(role == "assistant" for role, _ in turns) - 1
        moves = self.moves.get(opening, ())
        if said >= len(moves):
            return self.renderer.reply_ids(Message(role="assistant", content="Goodbye."))
        move = moves[said]
        return self.renderer.reply_ids(Message(role="assistant", content=move.say, tool_calls=move.calls))

    def prompt_logprobs(self, prompt: list[int]) -> list[dict[str, Any] | None]:
        """The trainer's own loss on a row that it scored, at every token."""
        loss = next(row["loss"] for row in self.scored() if row["input_ids"] == prompt)
        return [None, *({str(token): {"logprob": -loss}} for token in prompt[1:])]


class _Handler(BaseHTTPRequestHandler):
    server: ScriptedServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        models = {"object": "list", "data": [{"id": name, "object": "model"} for name in ("base", "tuned")]}
        self._send(models if self.path.endswith("/models") else {})

    def do_POST(self) -> None:
        body = orjson.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.num_requests += 1
        choice = {"index": 0, "text": "", "finish_reason": "stop"}
        if body.get("prompt_logprobs") is not None:
            choice["prompt_logprobs"] = self.server.prompt_logprobs(body["prompt"])
            self._send({"id": "1", "object": "text_completion", "model": body["model"], "choices": [choice]})
            return
        ids = self.server.reply_ids(body["prompt"])
        if body.get("return_token_ids"):
            choice |= {"token_ids": ids, "prompt_token_ids": body["prompt"]}
        if body.get("logprobs") is not None:
            choice["logprobs"] = {"tokens": [f"token_id:{one}" for one in ids], "token_logprobs": [0.0] * len(ids)}
        self._send({"id": "1", "object": "text_completion", "model": body["model"], "choices": [choice]})

    def _send(self, value: object) -> None:
        data = orjson.dumps(value)
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@contextmanager
def serving(weights: Path, tasks: Any, scored: Any = list) -> Iterator[ScriptedServer]:
    """Serve on a free port of the loopback until the block ends."""
    server = ScriptedServer(weights, tasks, scored)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
