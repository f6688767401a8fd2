"""Talks over several processes: the same records as in one, whatever happens to a worker, and no process left."""

import json
import os
import re
import signal
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from t2t import pipeline
from t2t.config import RunConfig
from t2t.scheduling import run as scheduling
from t2t.scheduling.run import play_tasks
from t2t.scheduling.talks import TalkSpec
from t2t.store import Writer
from tests.faults.harness import Case, FaultServer, fault_server, new_case
from tests.scheduling.conftest import Alone, base_of
from tests.scheduling.played import below, end, finished, in_the_middle, is_worker, lost_talks, stage, until

PLAYERS = {"compute": {"players": 2}}


def workers_of(pid: int) -> list[int]:
    """Processes that `pid` started to play talks."""
    return [child for child in below(pid) if is_worker(child)]


def test_two_processes_write_the_records_of_one(alone: Alone, tmp_path: Path, weights_dir: Path):
    with fault_server(tmp_path / "server", alone.base, weights_dir, delay_s=0.05) as server:
        case = new_case(alone.base, tmp_path / "runs", {**PLAYERS, "engine": {"base_urls": [server.url]}})
        with stage(case) as process:
            in_the_middle(case, process, 10)
            workers = workers_of(process.pid)
            assert len(workers) == 2
            code, said = end(process)
        assert set(server.asked().values()) == {2}, "two attempts, and no turn of a talk was asked for twice"
    assert code == 0, said[-3000:]
    assert case.lines() == alone.lines
    assert finished(case)["faults"] == {}
    assert finished(case)["costs"]["requests"] == sum(server.asked().values())
    assert not [worker for worker in workers if Path(f"/proc/{worker}").exists()]


def test_talks_of_a_killed_worker_are_played_again(alone: Alone, tmp_path: Path, weights_dir: Path):
    with fault_server(tmp_path / "server", alone.base, weights_dir, delay_s=0.3) as server:
        case = new_case(alone.base, tmp_path / "runs", {**PLAYERS, "engine": {"base_urls": [server.url]}})
        with stage(case) as process:
            in_the_middle(case, process, 5)
            first, second = workers_of(process.pid)
            kept = case.lines()
            os.kill(first, signal.SIGKILL)
            until(lambda: len(workers_of(process.pid)) == 2 and first not in workers_of(process.pid))
            os.kill(second, signal.SIGKILL)
            code, said = end(process)
    assert code == 0, said[-3000:]
    assert case.lines() == alone.lines
    assert {name: line for name, line in case.lines().items() if name in kept} == kept
    assert "was lost (signal 9)" in said and lost_talks(said) > 0
    assert finished(case)["faults"] == {"player_lost": 2, "talk_begun_again": lost_talks(said)}


def test_the_number_of_talks_at_once_is_that_of_all_processes_together(alone: Alone, tmp_path: Path, weights_dir: Path):
    settings = {**PLAYERS, "rollout": {"concurrency": 6}}
    most, playing = 0, True
    with fault_server(tmp_path / "server", alone.base, weights_dir, delay_s=0.05) as server:

        def watch() -> None:
            nonlocal most
            while playing:
                text = urllib.request.urlopen(f"{server.url}/metrics").read().decode()
                most = max(most, int(re.findall(r"num_requests_running\{.*\} (\d+)", text)[0]))

        watcher = threading.Thread(target=watch)
        case = new_case(alone.base, tmp_path / "runs", {**settings, "engine": {"base_urls": [server.url]}})
        with stage(case) as process:
            watcher.start()
            code, said = end(process)
            playing = False
            watcher.join()
    assert code == 0, said[-3000:]
    assert case.lines() == alone.lines
    assert 3 < most <= 6


def play_here(case: Case, server: FaultServer, folder: Path, now: Callable[[], tuple[str, ...]] | None = None) -> None:
    """Play in workers of this process."""
    spec = TalkSpec(
        config=case.config, section="rollout", agent="base", kind="model", base_urls=(server.url,), served="base"
    )
    folder.mkdir()
    with Writer(folder / "rollouts.jsonl") as writer:
        play_tasks(spec, alone_tasks(case), writer, folder, "rollout", base_urls_now=now)


def alone_tasks(case: Case) -> list[Any]:
    from t2t.records import Task
    from t2t.stages.rollout import is_training
    from t2t.store import read_records

    found = pipeline.artifacts(case.config)["synthesize"].folder / "tasks.jsonl"
    return [task for task in read_records(found, Task) if is_training(task)]


def test_a_worker_that_hangs_where_no_signal_helps_is_replaced(
    alone: Alone, tmp_path: Path, weights_dir: Path, monkeypatch: pytest.MonkeyPatch
):
    settings = {**PLAYERS, "rollout": {"tool_seconds": 1, "concurrency": 6}}
    folder = tmp_path / "played"
    hung: list[int] = []
    with fault_server(tmp_path / "server", alone.base, weights_dir, delay_s=0.15) as server:
        case = new_case(alone.base, tmp_path / "runs", {**settings, "engine": {"base_urls": [server.url]}})

        def hang() -> None:
            until(lambda: (folder / "rollouts.jsonl").exists() and (folder / "rollouts.jsonl").stat().st_size > 0)
            # Only what is waited for now has this little patience; a worker that starts needs more.
            monkeypatch.setattr(scheduling, "_SILENCE_S", 6.0)
            time.sleep(2.5)
            hung.append(workers_of(os.getpid())[0])
            os.kill(hung[0], signal.SIGSTOP)
            monkeypatch.undo()

        thread = threading.Thread(target=hang)
        thread.start()
        play_here(case, server, folder)
        thread.join()
    lines = (folder / "rollouts.jsonl").read_bytes().splitlines(keepends=True)
    assert sorted(lines) == sorted(alone.lines.values())
    assert not Path(f"/proc/{hung[0]}").exists()
    costs = [json.loads(line)["faults"] for line in (folder / "costs.jsonl").read_text().splitlines()]
    assert sum(faults.get("player_lost", 0) for faults in costs) == 1


def test_workers_follow_an_engine_that_comes_back_elsewhere(alone: Alone, tmp_path: Path, weights_dir: Path):
    folder = tmp_path / "played"
    with (
        fault_server(tmp_path / "first", alone.base, weights_dir, delay_s=0.3) as first,
        fault_server(tmp_path / "second", alone.base, weights_dir) as second,
    ):
        urls = [(first.url,)]
        case = new_case(alone.base, tmp_path / "runs", {**PLAYERS, "engine": {"patience_s": 600}})

        def move() -> None:
            until(lambda: first.asked())
            first.kill()
            urls[0] = (second.url,)

        thread = threading.Thread(target=move)
        thread.start()
        play_here(case, first, folder, lambda: urls[0])
        thread.join()
        assert second.asked()
    lines = (folder / "rollouts.jsonl").read_bytes().splitlines(keepends=True)
    assert sorted(lines) == sorted(alone.lines.values())
    costs = [json.loads(line)["faults"] for line in (folder / "costs.jsonl").read_text().splitlines()]
    assert not any(faults.get("player_lost") for faults in costs)


def test_a_bug_of_a_domain_stops_the_stage_with_a_line_that_names_talk_and_cause(tmp_path: Path, weights_dir: Path):
    base = base_of(tmp_path / "base", weights_dir, {"domain": {"train": ["tests.scheduling.broken_domain"]}})
    broken = base.tasks[7].id
    with fault_server(tmp_path / "server", base, weights_dir, delay_s=0.02, loops=(broken,)) as server:
        case = new_case(base, tmp_path / "runs", {**PLAYERS, "engine": {"base_urls": [server.url]}})
        with stage(case) as process:
            code, said = end(process)
    assert code == 1
    lines = [line for line in said.splitlines() if "error: " in line]
    assert len(lines) == 1, said
    assert re.search(f"ZeroDivisionError: a bug in the library of .*in the talk {broken}/base/[01]$", lines[0])
    assert not case.artifact.complete


def test_a_wrong_setting_found_by_a_worker_is_a_mistake_of_usage(alone: Alone, tmp_path: Path, weights_dir: Path):
    with fault_server(tmp_path / "server", alone.base, weights_dir, key="right") as server:
        case = new_case(alone.base, tmp_path / "runs", {**PLAYERS, "engine": {"base_urls": [server.url]}})
        with stage(case) as process:
            code, said = end(process)
    assert code == 2, said[-3000:]
    assert len([line for line in said.splitlines() if "error: " in line]) == 1
    assert "401" in said and "right" not in said


def test_workers_that_cannot_even_start_stop_the_stage(alone: Alone, tmp_path: Path, weights_dir: Path):
    """The file of the tokenizer is gone when the workers begin."""
    with fault_server(tmp_path / "server", alone.base, weights_dir) as server:
        case = new_case(alone.base, tmp_path / "runs", {**PLAYERS, "engine": {"base_urls": [server.url]}})
        spec = TalkSpec(
            config=RunConfig.model_validate({**case.config.model_dump(), "model": {"source": str(tmp_path)}}),
            section="rollout",
            agent="base",
            kind="model",
            base_urls=(server.url,),
            served="base",
        )
        from t2t.errors import T2TError

        with Writer(tmp_path / "rollouts.jsonl") as writer, pytest.raises(T2TError, match="tokenizer"):
            play_tasks(spec, alone_tasks(case), writer, tmp_path, "rollout")
    assert not workers_of(os.getpid())


@pytest.mark.parametrize("end_signal", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_no_worker_outlives_the_stage(alone: Alone, tmp_path: Path, weights_dir: Path, end_signal: signal.Signals):
    with fault_server(tmp_path / "server", alone.base, weights_dir, delay_s=0.1) as server:
        case = new_case(alone.base, tmp_path / "runs", {**PLAYERS, "engine": {"base_urls": [server.url]}})
        with stage(case) as process:
            in_the_middle(case, process, 5)
            workers = workers_of(process.pid)
            assert len(workers) == 2
            process.send_signal(end_signal)
            _, said = end(process)
            until(lambda: not [worker for worker in workers if Path(f"/proc/{worker}").exists()], 10)
        assert "Traceback" not in said, said
        kept = case.lines()
        assert len(kept) >= 5
        with stage(case) as process:
            assert end(process)[0] == 0
    assert case.lines() == alone.lines
