"""A chat completions endpoint whose answers a test writes."""

import asyncio
import json
import re
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

from aiohttp import web

from t2t.intents.writer import Texts

Answer = tuple[int, Any]


def said(content: Any, finish: str = "stop") -> Answer:
    """A completion; what is no text travels as JSON."""
    text = content if isinstance(content, str) else json.dumps(content)
    return 200, {"choices": [{"message": {"content": text}, "finish_reason": finish}]}


class Endpoint:
    """Answers each request by a function of its body; remembers what it was asked."""

    def __init__(self, answer: Callable[[dict[str, Any]], Answer]) -> None:
        self.answer = answer
        self.asked: list[dict[str, Any]] = []
        self.url = ""
        self.now = 0
        self.most_at_once = 0

    async def handle(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.asked.append(body)
        self.now += 1
        self.most_at_once = max(self.most_at_once, self.now)
        await asyncio.sleep(0.005)
        self.now -= 1
        status, answer = self.answer(body)
        return web.json_response(answer, status=status)


@contextmanager
def answering(answer: Callable[[dict[str, Any]], Answer]) -> Generator[Endpoint]:
    """Serve on a free port of the loopback, in a thread, until the block ends."""
    endpoint = Endpoint(answer)
    loop = asyncio.new_event_loop()
    app = web.Application()
    app.router.add_post("/v1/chat/completions", endpoint.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    loop.run_until_complete(runner.setup())
    loop.run_until_complete(web.TCPSite(runner, "127.0.0.1", 0).start())
    endpoint.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield endpoint
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.run_until_complete(runner.cleanup())
        loop.close()


def plain_of(messages):
    """The plain texts that a prompt holds, by field."""
    prompt = messages[1]["content"] if isinstance(messages[1], dict) else messages[1].content
    return dict(re.findall(r"^(\w+(?:\[\d+\])?): (.*)$", prompt, re.MULTILINE))


def good_texts(messages):
    """What a model writes that does as it is told: other words around the same placeholders."""
    plain = plain_of(messages)
    named = {field: " and ".join(dict.fromkeys(re.findall(r"\{\w+\}", text))) for field, text in plain.items()}
    return Texts(
        opening=f"Good to have you there. {plain['opening']}",
        reason_for_call=f"You write about this: {named['reason_for_call']}.",
        known_info=f"You know {named['known_info']}.",
        unknown_info="You have never read the rules.",
        task_instructions="You sound relaxed.",
        changes=[f"Oh, listen. {text}" for field, text in plain.items() if field.startswith("changes[")],
    )
