"""A service that fails: every fault is tried again and counted, the talks are those of an undisturbed run."""

import random
import time
from pathlib import Path

import pytest

from tests.faults.conftest import DELAY_S, Undisturbed
from tests.faults.fault_server import FAULTS
from tests.faults.harness import (
    Base,
    Case,
    FaultServer,
    StageProcess,
    fault_server,
    kill_again_and_again,
    new_case,
    play,
    task_of,
)

KINDS = {
    "http_429": {"http_429"},
    "http_429_after": {"http_429"},
    "http_500": {"http_5xx"},
    "http_503": {"http_5xx"},
    "reset_before": {"connection"},
    "half_json": {"half_reply"},
    "wrong_shape": {"wrong_shape"},
    "huge": {"too_large"},
    "drip": {"timeout"},
}
"""Names of faults in the manifest, where another would be wrong."""


def settings_for(*servers: FaultServer) -> dict[str, dict[str, object]]:
    return {"engine": {"base_urls": [server.url for server in servers], "request_timeout_s": 1.5, "patience_s": 120}}


def play_through(
    base: Base, undisturbed: Undisturbed, folder: Path, weights: Path, *faults: str, share: float, seed: int
) -> None:
    """Play while a share of the turns meets faults."""
    with fault_server(folder / "server", base, weights, faults=faults, share=share, seed=seed) as server:
        case = new_case(base, folder / "runs", settings_for(server))
        assert play(case) == undisturbed.rollouts
        asked = server.asked()
    met = {outcome for _, _, outcome in asked} - {"ok"}
    num_met = sum(count for (_, _, outcome), count in asked.items() if outcome != "ok")
    assert num_met >= share * sum(undisturbed.num_turns.values()) / 2
    counted = counted_faults(case)
    # A reply that a busy machine gives late is a fault as well, and one that the server knows nothing of.
    assert sum(counted.values()) >= num_met
    assert set(counted) >= set().union(*(KINDS.get(fault, set()) for fault in met))
    if len(faults) == 1:
        assert max(counted.values()) >= num_met


def counted_faults(case: Case) -> dict[str, int]:
    faults = case.artifact.manifest()["result"]["faults"]
    assert isinstance(faults, dict)
    return faults


def test_all_faults_at_once_change_no_talk_and_are_counted(base, undisturbed, tmp_path: Path, weights_dir: Path):
    play_through(base, undisturbed, tmp_path, weights_dir, *FAULTS, share=0.12, seed=3)


@pytest.mark.faults
@pytest.mark.timeout(900)
@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_changes_no_talk_and_is_counted(base, undisturbed, tmp_path: Path, weights_dir: Path, fault: str):
    share = {"drip": 0.04, "huge": 0.1}.get(fault, 0.3)
    play_through(base, undisturbed, tmp_path, weights_dir, fault, share=share, seed=4)


@pytest.mark.faults
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", [5, 6, 7])
def test_faults_at_half_of_the_turns_change_no_talk(base, undisturbed, tmp_path: Path, weights_dir: Path, seed: int):
    play_through(base, undisturbed, tmp_path, weights_dir, *FAULTS, share=0.5, seed=seed)


def restart_again_and_again(
    base: Base, undisturbed: Undisturbed, folder: Path, weights: Path, num_restarts: int, seed: int
) -> None:
    """Kill the server at random moments and start it on the same port, while one run goes on."""
    rng = random.Random(seed)
    with fault_server(folder / "server", base, weights, delay_s=0.03) as server:
        case = new_case(base, folder / "runs", settings_for(server))
        process = StageProcess("rollout", case.config, case.folder)
        try:
            paid: dict[str, int] = {}
            for _ in range(num_restarts):
                wait_for_more(case, process, len(paid) + rng.randrange(1, 3))
                server.kill()
                time.sleep(rng.uniform(0, 0.5))
                for name in case.lines():
                    paid.setdefault(name, requests_for(server, name))
                server.start()
            code = process.wait(240)
            assert code == 0, process.log.read_text()[-3000:]
        finally:
            process.kill()
        assert case.rollouts() == undisturbed.rollouts
        assert all(requests_for(server, name) == before for name, before in paid.items())
        assert len(paid) >= num_restarts and counted_faults(case)["connection"] >= num_restarts


def wait_for_more(case: Case, process: StageProcess, count: int) -> None:
    """Wait until `count` talks are finished."""
    while len(case.lines()) < count:
        assert process.wait(0.02) is None, "the run ended before its server was killed often enough"


def requests_for(server: FaultServer, rollout_id: str) -> int:
    return sum(count for (task, _, _), count in server.asked().items() if task == task_of(rollout_id))


def test_a_server_that_is_killed_and_comes_back_costs_no_talk(base, undisturbed, tmp_path: Path, weights_dir: Path):
    restart_again_and_again(base, undisturbed, tmp_path, weights_dir, 1, seed=8)


@pytest.mark.faults
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", [9, 10, 11])
def test_a_server_that_is_killed_many_times_costs_no_talk(base, undisturbed, tmp_path: Path, weights_dir: Path, seed):
    restart_again_and_again(base, undisturbed, tmp_path, weights_dir, 10, seed=seed)


@pytest.mark.faults
def test_talks_go_on_elsewhere_when_one_of_two_servers_is_gone_for_good(
    base, undisturbed, tmp_path: Path, weights_dir: Path
):
    with (
        fault_server(tmp_path / "one", base, weights_dir, delay_s=DELAY_S) as one,
        fault_server(tmp_path / "two", base, weights_dir, delay_s=DELAY_S) as two,
    ):
        case = new_case(base, tmp_path / "runs", settings_for(one, two))
        process = StageProcess("rollout", case.config, case.folder)
        try:
            wait_for_more(case, process, 10)
            two.kill()
            code = process.wait(240)
        finally:
            process.kill()
        assert code == 0, process.log.read_text()[-3000:]
        assert case.rollouts() == undisturbed.rollouts
        assert one.asked() and two.asked()


@pytest.mark.faults
def test_a_server_that_never_comes_back_ends_the_run_in_one_line_and_keeps_the_talks(
    base, undisturbed, tmp_path: Path, weights_dir: Path
):
    with fault_server(tmp_path / "server", base, weights_dir, delay_s=DELAY_S) as server:
        settings = settings_for(server)
        settings["engine"]["patience_s"] = 2
        case = new_case(base, tmp_path / "runs", settings)
        process = StageProcess("rollout", case.config, case.folder)
        try:
            wait_for_more(case, process, 10)
            server.kill()
            finished = case.lines()
            code = process.wait(60)
        finally:
            process.kill()
        said = process.log.read_text()
        assert code == 1 and said.count("error: ") == 1 and server.url in said and "Traceback" not in said, said
        assert case.lines().keys() >= finished.keys()
        server.start()
        begun = server.mark()
        assert play(case) == undisturbed.rollouts
        assert not {task for task, _, _ in server.asked(begun)} & set(map(task_of, finished))


@pytest.mark.faults
@pytest.mark.timeout(1800)
def test_kills_and_faults_together_change_no_talk(base, undisturbed, tmp_path: Path, weights_dir: Path):
    rng = random.Random(12)
    for number in range(3):
        orders = {"delay_s": DELAY_S, "faults": FAULTS, "share": 0.1, "seed": number}
        with fault_server(tmp_path / f"server{number}", base, weights_dir, **orders) as server:
            case = new_case(base, tmp_path / f"runs{number}", settings_for(server))
            longest_s = 1.5 * undisturbed.seconds
            kill_again_and_again(case, server, rng, longest_s, 10, undisturbed.num_turns)
            assert case.rollouts() == undisturbed.rollouts
