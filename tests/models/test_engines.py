"""Engines whose process is a stand-in for vLLM's; the real one is in test_vllm_server.py."""

import asyncio
import json
import os
import signal
import time
from pathlib import Path

import pytest

import t2t.models.engines
from t2t.config import EngineConfig, ModelConfig
from t2t.errors import ConfigError, RunError
from t2t.models.completions import CompletionClient, Sampling, ids_text
from t2t.models.engines import Engines, check_names, gpu_shares
from t2t.models.server import lora_options
from tests.scripted_server import serving

SAMPLING = Sampling(max_tokens=5, temperature=0.0, top_p=1.0, stop_id=2)


@pytest.fixture
def start(weights_dir, tmp_path, monkeypatch):
    """Engines of a stand-in, stopped at the end."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent / "stand_in"))
    monkeypatch.setenv("STAND_IN", str(tmp_path))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    started = []

    def make(**settings):
        engines = Engines(
            ModelConfig(source=str(weights_dir)), EngineConfig(**settings), "base", tmp_path / "logs" / "server.log"
        )
        started.append(engines)
        return engines

    yield make
    for engines in started:
        engines.stop()


@pytest.fixture
def server_of(descendants):
    """Process group of the server at an address."""

    def find(url):
        port = url.rpartition(":")[2]
        for pid, _ in descendants(os.getpid()):
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            if b"-I" not in words and port.encode() in words and os.getpgid(pid) == pid:
                return pid
        raise LookupError(url)

    return find


def ask(engines, count, meanwhile, patience_s=60.0):
    """Answers to `count` requests, while something happens to the engines."""

    async def run():
        client = CompletionClient(engines.base_urls, "base", 5.0, patience_s, problem=engines.problem)
        tasks = [
            asyncio.create_task(client.complete(ids_text([1]), SAMPLING, 5, 0, prefer=client.choose_url()))
            for _ in range(count)
        ]
        await asyncio.sleep(0.25)
        meanwhile()
        return await asyncio.gather(*tasks, return_exceptions=True), client

    return asyncio.run(run())


def test_requests_under_way_are_answered_after_the_engine_was_killed(start, server_of, tmp_path):
    engines = start()
    engines.start()
    urls = engines.base_urls
    answers, client = ask(engines, 8, lambda: os.killpg(server_of(urls[0]), signal.SIGKILL))
    assert [answer.value.ids for answer in answers] == [[7, 2]] * 8
    assert engines.restarts() == 1 and engines.base_urls == urls and engines.problem() == ""
    assert client.faults["connection"] >= 1 and set(client.faults) == {"connection"}
    lines = (tmp_path / "logs" / "server.log").read_text().splitlines()
    # The server that died may have complained of broken connections meanwhile.
    starts = [line for line in lines if line.startswith(("threads", "---"))]
    assert [line.split()[0] for line in starts] == ["threads", "---", "threads"]
    assert "started again (1 of 3) since it ended: it was killed" in starts[1]


def test_when_the_restarts_are_spent_every_request_says_why(start, server_of, tmp_path):
    engines = start(restarts=0)
    engines.start()
    started = time.monotonic()
    answers, _ = ask(engines, 4, lambda: os.killpg(server_of(engines.base_urls[0]), signal.SIGKILL))
    assert all(isinstance(one, RunError) for one in answers) and time.monotonic() - started < 10
    assert "engine.restarts=0 are spent: it was killed, most likely for want of memory" in str(answers[0])


def test_a_restart_that_fails_is_a_death_like_another(start, server_of, tmp_path, monkeypatch):
    monkeypatch.setattr(t2t.models.engines, "_RETRY_S", 0.1)
    engines = start(restarts=2)
    engines.start()
    (tmp_path / "kill").write_text("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB")
    answers, _ = ask(engines, 1, lambda: os.killpg(server_of(engines.base_urls[0]), signal.SIGKILL))
    assert isinstance(answers[0], RunError) and "out of memory (torch.OutOfMemoryError" in str(answers[0])
    assert engines.restarts() == 2


def test_a_death_at_the_first_start_is_final(start, tmp_path, descendants):
    (tmp_path / "kill").write_text("RuntimeError: CUDA error: all CUDA-capable devices are busy or unavailable")
    before = descendants(os.getpid())
    with pytest.raises(RunError, match=r"^vLLM ended at its start: the GPU is in use by others.*server\.log$"):
        start().start()
    assert descendants(os.getpid()) <= before


@pytest.mark.slow
def test_an_engine_that_lives_and_does_not_answer_is_started_again(start, server_of, monkeypatch):
    monkeypatch.setattr(t2t.models.engines, "_HUNG_S", 0.5)
    monkeypatch.setattr(t2t.models.engines, "_HEALTH_EVERY_S", 0.2)
    engines = start()
    engines.start()
    answers, _ = ask(engines, 2, lambda: os.killpg(server_of(engines.base_urls[0]), signal.SIGSTOP), patience_s=100)
    assert [answer.value.ids for answer in answers] == [[7, 2]] * 2
    assert engines.restarts() == 1


def test_several_engines_share_the_cores_and_one_that_dies_stops_nothing(start, server_of, tmp_path):
    engines = start(replicas=2)
    engines.start()
    first, second = engines.base_urls
    started = time.monotonic()
    answers, _ = ask(engines, 4, lambda: os.killpg(server_of(first), signal.SIGKILL))
    assert {answer.url for answer in answers} == {f"{second}/v1/completions"} and time.monotonic() - started < 5
    threads = max(1, len(os.sched_getaffinity(0)) // 2)
    for name in ("server.log", "server.1.log"):
        assert (tmp_path / "logs" / name).read_text().startswith(f"threads {threads}\n")


def test_nothing_is_left_when_engines_stop(start, descendants, wait_until_gone):
    before = descendants(os.getpid())
    engines = start(replicas=2)
    engines.start()
    family = descendants(os.getpid()) - before
    assert len(family) >= 6
    engines.stop()
    assert wait_until_gone(family, 1) == set()


@pytest.mark.parametrize(
    ("settings", "num_gpus", "shares"),
    [
        ({}, 0, [""]),
        ({"replicas": 3}, 0, ["", "", ""]),
        ({}, 2, ["0", "1"]),
        ({"replicas": 1}, 4, ["0"]),
        ({"args": {"tensor_parallel_size": 2}}, 5, ["0,1", "2,3"]),
        ({"args": {"tensor_parallel_size": 2, "pipeline_parallel_size": 2}}, 4, ["0,1,2,3"]),
        ({"args": {"data_parallel_size": 4}}, 4, ["0,1,2,3"]),
    ],
)
def test_each_engine_gets_a_share_of_the_gpus(settings, num_gpus, shares):
    assert gpu_shares(EngineConfig(**settings), [str(place) for place in range(num_gpus)]) == shares


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"replicas": 3}, "engine.replicas=3 servers of 1 GPUs each need 3, and there are 2"),
        ({"args": {"tensor_parallel_size": 4}}, "each need 4, and there are 2"),
        ({"replicas": 2, "args": {"data_parallel_size": 2}}, "set one of them"),
    ],
)
def test_gpus_that_are_not_there_are_asked_for_in_vain(settings, message):
    with pytest.raises(ConfigError, match=message):
        gpu_shares(EngineConfig(**settings), ["0", "1"])


def adapter(folder, **settings):
    folder.mkdir(exist_ok=True)
    plain = {"peft_type": "LORA", "r": 12, "bias": "none", "init_lora_weights": True, "modules_to_save": None}
    (folder / "adapter_config.json").write_text(json.dumps({**plain, **settings}))
    (folder / "adapter_model.safetensors").write_bytes(b"")
    return folder


def test_adapters_are_served_by_name_with_room_for_their_ranks(tmp_path):
    first, second = adapter(tmp_path / "a"), adapter(tmp_path / "b=c", r=8, rank_pattern={"q_proj": 33})
    options = lora_options({"tuned": first, "other": second})
    assert (options["enable_lora"], options["max_lora_rank"], options["max_loras"]) == (True, 64, 2)
    assert json.loads(options["lora_modules"][1]) == {"name": "other", "path": str(second)}
    assert "lora_target_modules" not in options


def test_the_engine_adapts_the_layers_of_its_adapters_alone(tmp_path):
    first = adapter(tmp_path / "a", target_modules=["v_proj", "q_proj"])
    second = adapter(tmp_path / "b", target_modules=["model.layers.0.mlp.up_proj", "q_proj"])
    assert lora_options({"one": first, "two": second})["lora_target_modules"] == ["q_proj", "up_proj", "v_proj"]
    pattern = adapter(tmp_path / "c", target_modules=r".*\.q_proj")
    assert "lora_target_modules" not in lora_options({"one": first, "three": pattern})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"use_dora": True}, "has use_dora, which vLLM cannot serve; set evaluate.weights=merged"),
        ({"modules_to_save": ["lm_head"], "bias": "all"}, "has modules_to_save and bias=all,"),
        ({"init_lora_weights": "pissa_niter_4"}, "has init_lora_weights=pissa_niter_4,"),
        ({"peft_type": "IA3"}, "has peft_type=IA3,"),
        ({"r": 1024}, r"has r=1024, which is not in 1\.\.512,"),
        ({"r": None}, "cannot be read"),
    ],
)
def test_an_adapter_that_vllm_cannot_serve_is_refused_before_the_start(tmp_path, settings, message):
    with pytest.raises(ConfigError, match=message):
        lora_options({"tuned": adapter(tmp_path / "a", **settings)})


def test_an_adapter_that_is_not_there_is_refused_before_the_start(tmp_path):
    with pytest.raises(ConfigError, match="the adapter 'tuned' in .*gone is not there"):
        lora_options({"tuned": tmp_path / "gone"})


def test_a_name_that_a_given_server_lacks_is_refused_and_never_the_base_in_its_place(weights_dir):
    with serving(weights_dir, list) as server:
        engine = EngineConfig(base_urls=(server.url,))
        check_names(engine, ["base", "tuned"])
        with pytest.raises(ConfigError, match=rf"{server.url} does not serve 'adapter'; it serves 'base', 'tuned'"):
            check_names(engine, ["adapter"])


def test_one_given_server_may_be_down_and_all_may_not(weights_dir, caplog):
    gone = "http://127.0.0.1:9"
    with serving(weights_dir, list) as server:
        check_names(EngineConfig(base_urls=(gone, server.url)), ["base"])
    assert f"{gone} does not answer" in caplog.text
    with pytest.raises(RunError, match="no server answered within engine.start_timeout_s=0.2"):
        check_names(EngineConfig(base_urls=(gone,), start_timeout_s=0.2), ["base"])
