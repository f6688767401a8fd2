"""kill -9 at random moments: nothing is lost, nothing is doubled, nothing is paid for twice."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.faults.conftest import DELAY_S, Undisturbed
from tests.faults.harness import (
    ROOT,
    Base,
    StageProcess,
    check_nothing_was_lost,
    descendants,
    fault_server,
    kill_again_and_again,
    new_case,
    task_of,
    wait_until_gone,
)


def kill(
    base: Base,
    undisturbed: Undisturbed,
    folder: Path,
    weights: Path,
    num_kills: int,
    *,
    seed: int,
    players: int = 1,
    number: int = signal.SIGKILL,
) -> None:
    """Kill `num_kills` times in all, over as many runs as it takes."""
    longest_s = 1.2 * undisturbed.seconds
    rng = random.Random(seed)
    left, num_kept, num_runs = num_kills, 0, 0
    with fault_server(folder / "server", base, weights, delay_s=DELAY_S) as server:
        while left:
            num_runs += 1
            changes = {"engine": {"base_urls": [server.url]}, "compute": {"players": players}}
            case = new_case(base, folder / f"runs{num_runs}", changes)
            killing = kill_again_and_again(case, server, rng, longest_s, left, undisturbed.num_turns, number)
            assert case.rollouts() == undisturbed.rollouts
            left -= killing.num_kills
            num_kept += killing.num_kept
    assert num_kept > 0, "no kill came after a talk was finished"


def test_a_few_kills_lose_nothing_and_no_talk_is_paid_for_twice(base, undisturbed, tmp_path: Path, weights_dir: Path):
    kill(base, undisturbed, tmp_path, weights_dir, 5, seed=1)


@pytest.mark.faults
@pytest.mark.timeout(3600)
def test_200_kills_lose_nothing_and_no_talk_is_paid_for_twice(base, undisturbed, tmp_path: Path, weights_dir: Path):
    kill(base, undisturbed, tmp_path, weights_dir, 200, seed=2)


@pytest.mark.faults
@pytest.mark.timeout(1800)
def test_a_stage_that_is_told_to_end_ends_and_loses_nothing(base, undisturbed, tmp_path: Path, weights_dir: Path):
    kill(base, undisturbed, tmp_path, weights_dir, 30, seed=6, number=signal.SIGTERM)


@pytest.mark.faults
@pytest.mark.timeout(1800)
def test_kills_of_a_run_with_two_players_lose_nothing(base, undisturbed, tmp_path: Path, weights_dir: Path):
    kill(base, undisturbed, tmp_path, weights_dir, 15, seed=3, players=2)


@pytest.mark.faults
@pytest.mark.timeout(900)
def test_players_that_are_killed_are_started_again_and_their_talks_played(
    base, undisturbed, tmp_path: Path, weights_dir: Path
):
    rng = random.Random(4)
    with fault_server(tmp_path / "server", base, weights_dir, delay_s=0.1) as server:
        changes = {"engine": {"base_urls": [server.url]}, "compute": {"players": 2}}
        case = new_case(base, tmp_path / "runs", changes)
        process = StageProcess("rollout", case.config, case.folder)
        try:
            paid: dict[str, int] = {}
            for _ in range(3):
                wanted = len(case.lines()) + rng.randrange(1, 9)
                while len(case.lines()) < wanted:
                    assert process.wait(0.02) is None, process.log.read_text()[-3000:]
                os.kill(rng.choice(process.children()), signal.SIGKILL)
                for name in case.lines():
                    paid.setdefault(name, sum(n for (task, _, _), n in server.asked().items() if task == task_of(name)))
            assert process.wait(240) == 0, process.log.read_text()[-3000:]
        finally:
            process.kill()
        assert case.rollouts() == undisturbed.rollouts
        asked = server.asked()
        assert all(sum(n for (task, _, _), n in asked.items() if task == task_of(name)) == paid[name] for name in paid)
        assert case.artifact.manifest()["result"]["faults"]["player_lost"] == 3


@pytest.mark.faults
@pytest.mark.timeout(900)
def test_kills_of_the_command_end_the_stage_and_the_same_command_goes_on(
    base, undisturbed, tmp_path: Path, weights_dir: Path
):
    rng = random.Random(5)
    with fault_server(tmp_path / "server", base, weights_dir, delay_s=0.05) as server:
        case = new_case(base, tmp_path / "runs", {"engine": {"base_urls": [server.url]}})
        settings = tmp_path / "config.json"
        settings.write_text(case.config.model_copy(update={"stages": ("rollout",)}).model_dump_json())
        command = [sys.executable, "-c", RUN, str(settings)]
        finished: dict[str, bytes] = {}
        for _ in range(10):
            process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
            time.sleep(rng.uniform(0.5, 5.0))
            started = descendants(process.pid)
            process.kill()
            process.wait()
            wait_until_gone(started)
            finished = check_nothing_was_lost(case, finished)
        begun = server.mark()
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-3000:]
        assert case.rollouts() == undisturbed.rollouts
        assert not {task for task, _, _ in server.asked(begun)} & set(map(task_of, finished))


RUN = """
import sys
from pathlib import Path
from t2t import launch, log, pipeline
from t2t.config import RunConfig
log.configure()
launch.exit_on_sigterm()
pipeline.run(RunConfig.model_validate_json(Path(sys.argv[1]).read_text()))
"""
