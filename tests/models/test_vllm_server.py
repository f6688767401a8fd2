"""One real server, owned by another process, which the last test kills."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import NamedTuple

import pytest

import t2t.models.rendering
from t2t.config import EngineConfig, ModelConfig
from t2t.errors import ConfigError
from t2t.models.chat import ContextOverflow
from t2t.models.rendering import to_openai
from t2t.models.vllm import VLLMChat
from t2t.records import Message

pytestmark = [pytest.mark.vllm, pytest.mark.slow]

TEMPLATE = Path(t2t.models.rendering.__file__).parent / "templates" / "smollm2.jinja"
MAX_CONTEXT = 1024
OWNER = """
import sys, time
from pathlib import Path
from t2t.config import EngineConfig, ModelConfig
from t2t.models.vllm import VLLMServer
model = ModelConfig.model_validate_json(sys.argv[1])
engine = EngineConfig.model_validate_json(sys.argv[2])
server = VLLMServer(model, engine, "base", Path(sys.argv[3]), seeded=True)
server.start()
print(server.base_url, flush=True)
time.sleep(600)
"""
TOOLS = json.dumps([{"type": "function", "function": {"name": "look_up", "description": "Look.", "parameters": {}}}])
SYSTEM = Message(role="system", content="You are a helpful assistant who answers in one sentence. " * 12)


class Served(NamedTuple):
    owner: subprocess.Popen[str]
    url: str
    model: ModelConfig

    def chat(self, *, name="base", max_tokens=12, temperature=0.0, max_context=MAX_CONTEXT):
        model = self.model.model_copy(update={"max_context": max_context})
        return VLLMChat(model, EngineConfig(), (self.url,), name, max_tokens=max_tokens, temperature=temperature)

    def metric(self, name):
        text = urllib.request.urlopen(f"{self.url}/metrics").read().decode()
        return float(re.search(rf"^{name}{{.*?}} (\S+)$", text, re.MULTILINE)[1])


@pytest.fixture(scope="module")
def served(weights_dir, tmp_path_factory):
    log_file = tmp_path_factory.mktemp("vllm") / "server.log"
    model = ModelConfig(source=str(weights_dir), max_context=MAX_CONTEXT)
    engine = EngineConfig(
        max_num_seqs=8, cpu_kv_cache_gib=1, args={"chat_template": str(TEMPLATE), "max_num_batched_tokens": MAX_CONTEXT}
    )
    command = [sys.executable, "-c", OWNER, model.model_dump_json(), engine.model_dump_json(), str(log_file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as owner:
        url = owner.stdout.readline().strip()
        assert url, log_file.read_text()[-3000:]
        yield Served(owner, url, model)
        owner.kill()


def user(content):
    return Message(role="user", content=content)


def test_a_talk_goes_on_from_the_ids_it_sampled_and_hits_the_prefix_cache(served):
    chat = served.chat()
    session = chat.open(TOOLS)

    async def talk():
        replies = [await session.reply([SYSTEM, user("What is the capital of France?")])]
        hits = served.metric("vllm:prefix_cache_hits_total")
        replies.append(await session.reply([user("And of Italy?")]))
        return replies, served.metric("vllm:prefix_cache_hits_total") - hits

    replies, hits = asyncio.run(talk())
    assert "Paris" in replies[0].message.content
    assert replies[0].turn.finish_reason == "stop"
    assert replies[0].turn.sampled_ids[-1] == chat.renderer.stop_id
    turns = [reply.turn for reply in replies]
    ids = [id_ for turn in turns for id_ in turn.prompt_ids + turn.sampled_ids]
    talk = [SYSTEM, user("What is the capital of France?"), replies[0].message, user("And of Italy?")]
    assert chat.renderer.encode([*talk, replies[1].message], TOOLS, turns).input_ids[: len(ids)] == ids
    history = len(turns[0].prompt_ids) + len(turns[0].sampled_ids)
    assert hits >= history // 128 * 128 > 0


def test_vllm_renders_the_template_as_the_renderer_does(served):
    messages = [SYSTEM, user("Hello <b>")]
    body = {
        "model": "base",
        "messages": [to_openai(message) for message in messages],
        "tools": json.loads(TOOLS),
        "tool_choice": "none",
        "max_tokens": 1,
        "return_token_ids": True,
    }
    request = urllib.request.Request(
        f"{served.url}/v1/chat/completions", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    answer = json.loads(urllib.request.urlopen(request).read())
    assert answer["prompt_token_ids"] == served.chat().renderer.prompt_ids(messages, TOOLS)


def test_seeded_talks_whose_prompts_do_not_fit_one_step_are_answered(served):
    """A prompt computed in parts would end the engine: torch's CPU generator cannot be wound back."""
    chat = served.chat(temperature=1.0, max_tokens=3)

    async def talk(number):
        text = " ".join(str((7919 * number + step) % 997) for step in range(150))
        return (await chat.open("", number).reply([user(text)])).turn

    async def talks():
        return await asyncio.gather(*map(talk, range(4)))

    turns = asyncio.run(talks())
    assert sum(len(turn.prompt_ids) for turn in turns) > MAX_CONTEXT
    assert all(turn.sampled_ids for turn in turns)


def test_a_seed_decides_what_is_sampled(served):
    chat = served.chat(temperature=1.0)

    async def sample():
        sessions = [chat.open("", seed) for seed in (1, 1, 2, 3)]
        return await asyncio.gather(*(session.reply([user("Tell me a story.")]) for session in sessions))

    texts = [reply.message.content for reply in asyncio.run(sample())]
    assert texts[0] == texts[1]
    assert len(set(texts)) == 3


def test_a_turn_is_cut_to_the_room_that_is_left_and_then_the_context_is_full(served):
    chat = served.chat(max_context=60, max_tokens=50)
    session = chat.open("")

    async def talk():
        first = await session.reply([user("Write a very long story about a dragon, in at least a thousand words.")])
        with pytest.raises(ContextOverflow, match="no room in 60"):
            await session.reply([user("Go on.")])
        return first

    turn = asyncio.run(talk()).turn
    assert turn.finish_reason == "length"
    assert len(turn.prompt_ids) + len(turn.sampled_ids) == 60


def test_a_prompt_that_the_server_finds_too_long_is_an_overflow(served):
    session = served.chat(max_context=100_000).open("")
    with pytest.raises(ContextOverflow):
        asyncio.run(session.reply([user("word " * MAX_CONTEXT)]))


def test_an_unknown_model_is_a_matter_of_configuration(served):
    session = served.chat(name="tuned").open("")
    with pytest.raises(ConfigError, match="does not serve the model 'tuned'"):
        asyncio.run(session.reply([user("Hello")]))


def test_no_process_outlives_an_owner_that_is_killed(served, descendants, wait_until_gone):
    family = descendants(served.owner.pid)
    assert len(family) >= 4
    os.kill(served.owner.pid, signal.SIGKILL)
    served.owner.wait()
    assert wait_until_gone(family, 20) == set()
