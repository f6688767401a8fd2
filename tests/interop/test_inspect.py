"""Inspect reads our logs: the same samples, messages, calls and scores as in the records."""

import json
import shutil
import subprocess
import sys
import weakref
import zipfile
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

from t2t.domain.domain import load_domain
from t2t.interop.inspect import Origin, export_inspect
from t2t.records import Message, Rollout, Turn
from t2t.report.talk_export import export_openai, export_parquet
from tests.recorded_talks import talks

HOME = Path(__file__).parents[2] / "build" / "inspect-ai"
PIN = "inspect-ai==0.3.285"
ORIGIN = Origin("quickstart/rollout", "0f0f", datetime(2026, 11, 20, 8, 30, tzinfo=UTC))


@pytest.fixture(scope="module")
def rollouts() -> list[Rollout]:
    """Talks of all domains, some tasks with several attempts; one has tokens and thoughts."""
    rollouts = [one.rollout for one in talks(360, seed=9)]
    first = rollouts[0]
    last = Message(role="assistant", content="Bye \u2028 \U0001f600", reasoning="They want to go.")
    turns = (Turn(prompt_ids=(5, 6), sampled_ids=(7,)), Turn(sampled_ids=(8, 9), finish_reason="length"))
    return [first.model_copy(update={"messages": (*first.messages, last), "turns": turns}), *rollouts[1:]]


@pytest.fixture(scope="session")
def inspect_home() -> Path:
    """An environment with Inspect; installed once, and kept until `make clean`."""
    stamp = HOME / "installed.txt"
    if not stamp.exists() or stamp.read_text() != PIN:
        shutil.rmtree(HOME, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", HOME], check=True)
        subprocess.run([HOME / "bin" / "python", "-m", "pip", "install", "--quiet", PIN], check=True)
        stamp.write_text(PIN)
    return HOME / "bin"


@pytest.fixture(scope="module")
def logs(rollouts: list[Rollout], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("logs")
    export_inspect(rollouts, folder, ORIGIN)
    return folder


@pytest.fixture(scope="module")
def read(inspect_home: Path, logs: Path) -> dict[str, Any]:
    """What Inspect reads, by agent."""
    return {agent: run_reader(inspect_home, logs / f"{agent}.eval") for agent in ("reference", "spoiled")}


def run_reader(inspect_home: Path, file: Path) -> dict[str, Any]:
    command = [inspect_home / "python", "-I", Path(__file__).with_name("inspect_reader.py"), file]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def by_agent(rollouts: list[Rollout], agent: str) -> list[Rollout]:
    return [rollout for rollout in rollouts if rollout.agent == agent]


def members(file: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(file) as log:
        return {name: log.read(name) for name in log.namelist()}


def test_every_talk_is_one_member_of_the_log_of_its_agent(rollouts: list[Rollout], logs: Path):
    for agent in ("reference", "spoiled"):
        names = {name for name in members(logs / f"{agent}.eval") if name.startswith("samples/")}
        assert names == {
            f"samples/{rollout.task_id}_epoch_{rollout.attempt + 1}.json" for rollout in by_agent(rollouts, agent)
        }


def test_equal_talks_give_equal_bytes_and_an_agents_name_stays_in_the_folder(rollouts: list[Rollout], tmp_path: Path):
    named = [rollout.model_copy(update={"agent": "../openai/gpt"}) for rollout in rollouts[:3:2]]
    files = [next(iter(export_inspect(named, tmp_path / name, ORIGIN))) for name in ("a", "b")]
    assert [file.name for file in files] == ["..-openai-gpt.eval"] * 2
    assert files[0].read_bytes() == files[1].read_bytes()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a", "b"]


def test_a_log_that_breaks_off_leaves_what_was_there(rollouts: list[Rollout], tmp_path: Path):
    def break_off() -> Iterator[Rollout]:
        yield from rollouts[:3]
        raise KeyboardInterrupt

    export_inspect(rollouts[:2], tmp_path, ORIGIN)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    with pytest.raises(KeyboardInterrupt):
        export_inspect(break_off(), tmp_path, ORIGIN)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


@pytest.mark.parametrize("kind", ["openai", "parquet", "inspect"])
def test_no_export_holds_all_talks(kind: str, rollouts: list[Rollout], tmp_path: Path):
    alive: set[int] = set()
    most = 0

    def stream() -> Iterator[Rollout]:
        nonlocal most
        for number in range(1500):
            one = rollouts[number % 2].model_copy(update={"task_id": f"task-{number}"})
            alive.add(number)
            weakref.finalize(one, alive.discard, number)
            most = max(most, len(alive))
            yield one

    if kind == "openai":
        export_openai(stream(), tmp_path / "file", load_domain)
    elif kind == "parquet":
        export_parquet(stream(), tmp_path / "file")
    else:
        export_inspect(stream(), tmp_path, ORIGIN)
    assert most <= 3


@pytest.mark.inspect
@pytest.mark.slow
def test_inspect_reads_every_talk_with_its_score(rollouts: list[Rollout], read: dict[str, Any]):
    for agent, log in read.items():
        own = {(rollout.task_id, rollout.attempt + 1): rollout for rollout in by_agent(rollouts, agent)}
        assert len(own) == len(log["samples"]) == log["streamed"] == log["total"] == len(log["summaries"])
        for sample in (*log["samples"], *log["summaries"]):
            rollout = own[sample["id"], sample["epoch"]]
            assert sample["scores"]["reward"]["value"] == rollout.reward.value
            assert sample["metadata"]["stop_reason"] == rollout.stop_reason.value
            for note in rollout.reward.notes:
                assert note in sample["scores"]["reward"]["explanation"]
        for sample in log["samples"]:
            rollout = own[sample["id"], sample["epoch"]]
            assert sample["scores"]["reward"]["metadata"]["checks"] == rollout.reward.checks
            assert tuple(sample["scores"]["reward"]["metadata"]["broken_clauses"]) == rollout.reward.broken_clauses
            assert sample["input"] == next(m.content for m in rollout.messages if m.role == "user" and m.content)


@pytest.mark.inspect
@pytest.mark.slow
def test_inspect_reads_the_messages_and_calls_of_every_talk(rollouts: list[Rollout], read: dict[str, Any]):
    hidden = unread = 0
    for agent, log in read.items():
        own = {(rollout.task_id, rollout.attempt + 1): rollout for rollout in by_agent(rollouts, agent)}
        for sample in log["samples"]:
            rollout = own[sample["id"], sample["epoch"]]
            seen = []
            actions = []
            for message in rollout.messages:
                if message.role == "user" and message.tool_calls:
                    actions += [{"call": call.model_dump(mode="json")} for call in message.tool_calls]
                elif message.result and message.result.requestor == "user":
                    actions.append({"result": message.result.model_dump(mode="json")})
                else:
                    seen.append(message)
            told = [a for m in sample["messages"] for a in (m.get("metadata") or {}).get("caller_actions", ())]
            assert told == actions
            hidden += len(actions)
            assert len(sample["messages"]) == len(seen)
            for there, message in zip(sample["messages"], seen, strict=True):
                assert there["role"] == message.role
                if message.reasoning:
                    assert [part.get("reasoning", part.get("text")) for part in there["content"]] == [
                        message.reasoning,
                        message.content,
                    ]
                else:
                    assert there["content"] == message.content
                calls = [(call["id"], call["function"], call["arguments"]) for call in there.get("tool_calls") or ()]
                assert calls == [(call.id, call.name, call.arguments) for call in message.tool_calls]
                if message.result:
                    assert (there["tool_call_id"] or "") == message.result.call_id
                    assert (there["error"] is not None) is message.result.is_error
                    unread += not message.result.call_id
    assert hidden and unread


@pytest.mark.inspect
@pytest.mark.slow
def test_inspect_shows_whose_talks_they_are_and_how_many_pass(rollouts: list[Rollout], read: dict[str, Any]):
    for agent, log in read.items():
        values = defaultdict[str, list[float]](list)
        for rollout in by_agent(rollouts, agent):
            values[rollout.task_id].append(rollout.reward.value)
        assert (log["version"], log["status"], log["task"]) == (2, "success", "quickstart/rollout")
        assert (log["model"], log["created"]) == (f"t2t/{agent}", "2026-11-20T08:30:00+00:00")
        assert (log["num_tasks"], log["epochs"]) == (len(values), 3)
        assert log["metrics"]["accuracy"] == pytest.approx(fmean(map(fmean, values.values())))
        assert 0 <= log["metrics"]["stderr"] < 0.1
        assert sorted(log["listed"]) == ["reference.eval", "spoiled.eval"]
    assert read["reference"]["usage"] == {"t2t/reference": 3}


@pytest.mark.inspect
@pytest.mark.slow
def test_the_command_line_of_inspect_dumps_a_log(inspect_home: Path, rollouts: list[Rollout], logs: Path):
    command = [inspect_home / "inspect", "log", "dump", logs / "spoiled.eval"]
    dumped = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert len(dumped["samples"]) == len(by_agent(rollouts, "spoiled"))
    assert {"to": ["Mars", {"or": None}]} in [
        call["arguments"]
        for sample in dumped["samples"]
        for message in sample["messages"]
        for call in message.get("tool_calls") or ()
    ]


@pytest.mark.inspect
@pytest.mark.slow
def test_a_log_of_an_interrupted_stage_says_so(inspect_home: Path, rollouts: list[Rollout], tmp_path: Path):
    export_inspect(rollouts[:1], tmp_path, ORIGIN._replace(complete=False))
    assert run_reader(inspect_home, tmp_path / "reference.eval")["status"] == "cancelled"
