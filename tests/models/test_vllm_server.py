"""One real server with an adapter and a key, owned by another process, which the last test kills."""

import asyncio
import json
import os
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
from t2t.models.engines import check_names
from t2t.models.metrics import read_metrics
from t2t.models.rendering import to_openai
from t2t.models.vllm import VLLMChat
from t2t.records import Message

pytestmark = [pytest.mark.vllm, pytest.mark.slow, pytest.mark.timeout(900)]

TEMPLATE = Path(t2t.models.rendering.__file__).parent / "templates" / "smollm2.jinja"
MAX_CONTEXT = 1024
OWNER = """
import sys
from pathlib import Path
from t2t.config import EngineConfig, ModelConfig
from t2t.models.engines import Engines
model = ModelConfig.model_validate_json(sys.argv[1])
engine = EngineConfig.model_validate_json(sys.argv[2])
engines = Engines(model, engine, "base", Path(sys.argv[3]), seeded=True, adapters={"adapter": Path(sys.argv[4])})
engines.start()
print(engines.base_urls[0], flush=True)
for line in sys.stdin:
    print(engines.restarts(), flush=True)
"""
KEY = "canary-8c1d"
TOOLS = json.dumps([{"type": "function", "function": {"name": "look_up", "description": "Look.", "parameters": {}}}])
SYSTEM = Message(role="system", content="You are a helpful assistant who answers in one sentence. " * 12)


class Served(NamedTuple):
    owner: subprocess.Popen[str]
    url: str
    model: ModelConfig
    log_file: Path

    def chat(self, *, name="base", max_tokens=12, temperature=0.0, max_context=MAX_CONTEXT):
        model = self.model.model_copy(update={"max_context": max_context})
        return VLLMChat(
            model,
            EngineConfig(),
            (self.url,),
            name,
            max_tokens=max_tokens,
            temperature=temperature,
            logprobs=True,
        )

    def restarts(self):
        self.owner.stdin.write("?\n")
        self.owner.stdin.flush()
        return int(self.owner.stdout.readline())


@pytest.fixture(scope="module")
def adapter(weights_dir, tmp_path_factory):
    """A LoRA adapter of the real weights that says other things than they do."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    folder = tmp_path_factory.mktemp("adapter")
    torch.manual_seed(0)
    config = LoraConfig(r=12, lora_alpha=24, target_modules=["q_proj", "v_proj"], init_lora_weights=False)
    get_peft_model(AutoModelForCausalLM.from_pretrained(weights_dir), config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def served(weights_dir, tmp_path_factory, adapter):
    log_file = tmp_path_factory.mktemp("vllm") / "server.log"
    model = ModelConfig(source=str(weights_dir), max_context=MAX_CONTEXT)
    engine = EngineConfig(
        max_num_seqs=8, cpu_kv_cache_gib=1, args={"chat_template": str(TEMPLATE), "max_num_batched_tokens": MAX_CONTEXT}
    )
    settings = [model.model_dump_json(), engine.model_dump_json(), str(log_file), str(adapter)]
    with (
        pytest.MonkeyPatch.context() as patch,
        subprocess.Popen(
            [sys.executable, "-c", OWNER, *settings],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "VLLM_API_KEY": KEY},
        ) as owner,
    ):
        patch.setenv("VLLM_API_KEY", KEY)
        url = owner.stdout.readline().strip()
        assert url, log_file.read_text()[-3000:]
        yield Served(owner, url, model, log_file)
        owner.kill()


def user(content):
    return Message(role="user", content=content)


def test_a_talk_goes_on_from_the_ids_it_sampled_and_hits_the_prefix_cache(served):
    chat = served.chat()
    session = chat.open(TOOLS)

    async def talk():
        replies = [await session.reply([SYSTEM, user("What is the capital of France?")])]
        before = await read_metrics(served.url)
        replies.append(await session.reply([user("And of Italy?")]))
        return replies, before, await read_metrics(served.url)

    replies, before, after = asyncio.run(talk())
    hits = after.prefix_hits - before.prefix_hits
    assert after.prompt_tokens - before.prompt_tokens == after.prefix_queries - before.prefix_queries > hits
    assert after.generation_tokens - before.generation_tokens == len(replies[1].turn.sampled_ids)
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
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {KEY}"}
    request = urllib.request.Request(f"{served.url}/v1/chat/completions", json.dumps(body).encode(), headers)
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


def test_the_log_probabilities_are_those_of_the_sampled_ids(served):
    turn = asyncio.run(served.chat().open("").reply([user("What is the capital of France?")])).turn
    assert len(turn.logprobs) == len(turn.sampled_ids) > 1
    # The greedy choice among N words cannot be less likely than 1 / N.
    assert all(-11 < logprob <= 0 for logprob in turn.logprobs)


def test_an_adapter_is_served_by_name_and_an_unknown_name_never_gets_the_base_model(served):
    question = [user("What is the capital of France?")]
    texts = [
        asyncio.run(served.chat(name=name).open("").reply(question)).message.content for name in ("base", "adapter")
    ]
    assert "Paris" in texts[0] and texts[1] != texts[0]
    engine = EngineConfig(base_urls=(served.url,), api_key_env="VLLM_API_KEY")
    check_names(engine, ["base", "adapter"])
    with pytest.raises(ConfigError, match="does not serve 'tuned'; it serves 'base', 'adapter'"):
        check_names(engine, ["tuned"])


def test_talks_under_way_are_answered_after_the_engine_was_killed(served, descendants):
    """The whole process group of the engine goes at once, as when the kernel wants its memory."""
    chat = served.chat(max_tokens=40)
    server = next(
        pid
        for pid, _ in descendants(served.owner.pid)
        if b"-I" not in (words := Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"))
        and b"vllm.entrypoints.openai.api_server" in words
        and os.getpgid(pid) == pid
    )

    async def talks():
        asked = [
            asyncio.create_task(chat.open("", number).reply([user(f"Tell a long story about {number} dragons.")]))
            for number in range(8)
        ]
        await asyncio.sleep(1)
        assert not any(task.done() for task in asked)
        os.killpg(server, signal.SIGKILL)
        return await asyncio.gather(*asked)

    replies = asyncio.run(talks())
    assert all(len(reply.turn.sampled_ids) > 1 for reply in replies)
    assert served.restarts() == 1 and set(chat.faults) == {"connection"}
    assert "--- started again (1 of 3) since it ended: it was killed" in served.log_file.read_text()


def test_the_key_stands_in_no_log(served):
    assert "api_server" in (text := served.log_file.read_text()) and KEY not in text


def test_no_process_outlives_an_owner_that_is_killed(served, descendants, wait_until_gone):
    family = descendants(served.owner.pid)
    assert len(family) >= 4
    os.kill(served.owner.pid, signal.SIGKILL)
    served.owner.wait()
    assert wait_until_gone(family, 20) == set()
