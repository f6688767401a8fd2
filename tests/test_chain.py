"""The chain end to end: every stage for real, a tiny model in training, scripted replies in evaluation."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from t2t.records import Rollout, Task
from t2t.store import read_records
from tests.scripted_server import ScriptedServer, serving

ROOT = Path(__file__).parent.parent
SETTINGS = (
    "recipe=quickstart",
    "explore.num_train=120",
    "explore.num_test=80",
    "synthesize.num_train=40",
    "synthesize.num_test=16",
    "evaluate.num_unseen=4",
    "filter.max_examples=16",
    "train.epochs=1",
    "train.lora_r=4",
    "train.dtype=float32",
)


@pytest.fixture(scope="module")
def tiny_model(weights_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Llama of two thin layers with the real tokenizer."""
    import torch
    from transformers import AutoConfig, LlamaForCausalLM

    folder = tmp_path_factory.mktemp("weights") / "tiny"
    shutil.copytree(weights_dir, folder, ignore=shutil.ignore_patterns("*.safetensors"))
    config = AutoConfig.from_pretrained(folder)
    config.update(
        {
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "head_dim": 8,
        }
    )
    torch.manual_seed(0)
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("chain") / "runs"


@pytest.fixture(scope="module")
def server(weights_dir: Path, runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScriptedServer]:
    def tasks() -> list[Task]:
        files = runs.glob("synthesize/*/tasks.jsonl")
        return [task for file in files for task in read_records(file, Task)]

    def scored() -> list[dict[str, Any]]:
        files = tmp_path_factory.getbasetemp().rglob("train/*/check.json")
        return [row for file in files for row in json.loads(file.read_text())["rows"]]

    with serving(weights_dir, tasks, scored) as found:
        yield found


def command(runs: Path, server: ScriptedServer, model: Path, *more: str) -> list[str]:
    settings = (*SETTINGS, f"paths.runs={runs}", f"engine.base_urls=[{server.url}]", f"model.source={model}", *more)
    return [sys.executable, "-c", "from t2t.cli import main; main()", "run", *settings]


def test_the_whole_chain_runs_once_and_is_reused(runs: Path, server: ScriptedServer, tiny_model: Path):
    first = subprocess.run(command(runs, server, tiny_model), capture_output=True, text=True, cwd=ROOT)
    assert first.returncode == 0, first.stderr[-3000:]
    report = json.loads((runs / "quickstart" / "report.json").read_text())
    rows = {(row["model"], row["domain"], row["intent"]): row for row in report["results"]}
    for domain in ("library", "retail"):
        assert rows["reference", domain, "all"]["success"] == 1.0
        assert rows["tuned", domain, "all"]["success"] == 1.0
        assert rows["do_nothing", domain, "all"]["success"] == 0.0
        assert rows["tuned", domain, "all"]["seen"] == (domain == "library")
    assert rows["tuned", "library", "all"]["num_tasks"] == 16
    assert set(report["results"][0]) == {"model", "domain", "seen", "intent", "num_tasks", "success", "low", "high"}
    assert "<html" in (runs / "quickstart" / "report.html").read_text()
    merged = next(runs.glob("train/*/merged"))
    assert (merged / "model.safetensors").exists() and (merged / "chat_template.jinja").exists()
    manifest = json.loads(next(runs.glob("train/*/manifest.json")).read_text())
    assert manifest["versions"]["trl"] and manifest["inputs"]["filter"] and manifest["seed"] == 0

    before = {file: file.stat().st_mtime_ns for file in runs.rglob("*.jsonl")}
    asked = server.num_requests
    second = subprocess.run(command(runs, server, tiny_model), capture_output=True, text=True, cwd=ROOT)
    assert second.returncode == 0, second.stderr[-3000:]
    assert {file: file.stat().st_mtime_ns for file in runs.rglob("*.jsonl")} == before
    assert server.num_requests == asked
    assert second.stderr.count("reused") == 8


def test_token_ids_in_the_record_are_those_that_training_would_use(runs: Path, weights_dir: Path):
    from t2t.models.rendering import Renderer

    renderer = Renderer("smollm2", weights_dir)
    file = next(runs.glob("evaluate/*/rollouts.jsonl"))
    for rollout in read_records(file, Rollout):
        sent = [token for turn in rollout.turns for token in (*turn.prompt_ids, *turn.sampled_ids)]
        last = max(n for n, message in enumerate(rollout.messages) if message.role == "assistant")
        from t2t.domain.domain import load_domain

        tools = load_domain(rollout.domain).tool_schemas
        assert renderer.encode(rollout.messages[: last + 1], tools, rollout.turns).input_ids == sent


def test_training_and_evaluation_tasks_share_no_caller_and_no_opening(runs: Path):
    tasks = list(read_records(next(runs.glob("synthesize/*/tasks.jsonl")), Task))
    openings = [task.scenario.opening for task in tasks]
    assert len(openings) == len(set(openings))
    people = {
        split: {
            f.value
            for t in tasks
            if t.data.split == split and t.domain == "library"
            for f in t.scenario.facts
            if f.name in ("name", "email")
        }
        for split in ("train", "test")
    }
    assert people["train"] and people["test"] and not people["train"] & people["test"]


def test_the_same_seed_gives_byte_identical_tasks(runs: Path, tmp_path: Path, server: ScriptedServer, tiny_model: Path):
    made = next(runs.glob("synthesize/*/tasks.jsonl"))
    done = subprocess.run(
        command(tmp_path, server, tiny_model, "stages=[explore,synthesize]"), capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr[-3000:]
    again = next(tmp_path.glob("synthesize/*/tasks.jsonl"))
    assert again.parent.name == made.parent.name
    assert again.read_bytes() == made.read_bytes()


def test_kill_9_loses_nothing_and_leaves_no_process(tmp_path: Path, server: ScriptedServer, tiny_model: Path):
    """Killed at some moments, then run to the end: the same records as a run that was left alone."""
    words = command(tmp_path, server, tiny_model, "stages=[explore,synthesize,rollout,baseline]")
    for delay in (2.0, 4.0):
        process = subprocess.Popen(words, stderr=subprocess.DEVNULL, cwd=ROOT)
        time.sleep(delay)
        children = _children(process.pid)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        deadline = time.monotonic() + 20
        while any(Path(f"/proc/{child}").exists() for child in children) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert not [child for child in children if Path(f"/proc/{child}").exists()]
    done = subprocess.run(words, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-3000:]
    for name in ("rollout", "baseline"):
        ids = [rollout.id for rollout in read_records(next(tmp_path.glob(f"{name}/*/rollouts.jsonl")), Rollout)]
        assert len(ids) == len(set(ids)) == {"rollout": 40, "baseline": 60}[name]


@pytest.mark.slow
def test_two_ranks_of_a_launcher_make_each_artifact_once(tmp_path: Path, server: ScriptedServer, tiny_model: Path):
    """The main process makes what training needs while the other waits, both train, the main one reports."""
    settings = command(tmp_path, server, tiny_model, "evaluate.domains=[]")[4:]
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    words = [*launcher, "scripts/train.py", *settings]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(words, capture_output=True, text=True, cwd=ROOT, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    for stage in ("explore", "synthesize", "rollout", "filter", "baseline", "train", "parity", "evaluate"):
        assert [child.name.count(".") for child in (tmp_path / stage).iterdir()] == [0], stage
    assert (tmp_path / "quickstart" / "report.json").exists()
    assert re.search(r"[0-9]+ steps of [0-9]+ to [0-9]+ rows on 2 ranks", done.stderr)


def _children(pid: int) -> list[int]:
    """All processes below `pid`."""
    found: list[int] = []
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        found += [int(child), *_children(int(child))]
    return found
