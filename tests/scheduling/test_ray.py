"""Talks over a local Ray cluster of two nodes: the same records as in one process, whatever is lost."""

import os
import re
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.harness import Case, fault_server, new_case
from tests.scheduling.conftest import Alone, base_of
from tests.scheduling.played import below, command_of, end, finished, in_the_middle, is_worker, lost_talks, stage, until

pytestmark = [pytest.mark.ray, pytest.mark.timeout(600)]

os.environ |= {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    # Ray keeps to the loopback, as it does by itself on desktops.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
}
NODE = {
    "node_ip_address": "127.0.0.1",
    "num_cpus": 1,
    "num_gpus": 0,
    "object_store_memory": 80 * 2**20,
    "include_dashboard": False,
}


class Cluster:
    """Two nodes of one CPU each on the loopback; the second one can be removed and added again."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster as LocalCluster

        self._cluster: Any = LocalCluster(True, head_node_args=NODE)
        self._second: Any = None
        self.restore()

    @property
    def address(self) -> str:
        return self._cluster.address

    def restore(self) -> None:
        """Both nodes are there."""
        if self._second is None:
            self._second = self._cluster.add_node(**NODE)

    def remove_second(self) -> None:
        """kill -9 of all of the second node."""
        self._cluster.remove_node(self._second, allow_graceful=False)
        self._second = None

    def workers(self) -> list[int]:
        """Processes that play talks."""
        return [child for child in below(os.getpid()) if is_worker(child)]

    def workers_of_second(self) -> list[int]:
        (raylet,) = self._second.all_processes["raylet"]
        return [child for child in below(raylet.process.pid) if is_worker(child)]

    def stop(self) -> None:
        self._cluster.shutdown()


@pytest.fixture(scope="module")
def whole_cluster() -> Iterator[Cluster]:
    # Sockets of Ray lie in this folder, so that its path must be short.
    os.environ["RAY_TMPDIR"] = folder = tempfile.mkdtemp(prefix="ray")
    cluster = Cluster()
    yield cluster
    cluster.stop()
    shutil.rmtree(folder)
    left = [child for child in below(os.getpid()) if b"ray" in command_of(child)]
    assert not left, "processes of Ray are left"


@pytest.fixture
def cluster(whole_cluster: Cluster) -> Cluster:
    whole_cluster.restore()
    return whole_cluster


def ray_case(alone: Alone, folder: Path, cluster: Cluster, url: str) -> Case:
    compute = {"kind": "ray", "players": 2, "ray_address": cluster.address}
    return new_case(alone.base, folder, {"compute": compute, "engine": {"base_urls": [url]}})


def test_two_nodes_write_the_records_of_one_process(alone: Alone, cluster: Cluster, tmp_path: Path, weights_dir: Path):
    with fault_server(tmp_path / "server", alone.base, weights_dir, delay_s=0.1) as server:
        case = ray_case(alone, tmp_path / "runs", cluster, server.url)
        with stage(case) as process:
            in_the_middle(case, process, 10)
            until(lambda: len(cluster.workers()) == 2 and len(cluster.workers_of_second()) == 1)
            code, said = end(process)
        assert set(server.asked().values()) == {2}, "two attempts, and no turn of a talk was asked for twice"
    assert code == 0, said[-3000:]
    assert case.lines() == alone.lines
    assert finished(case)["faults"] == {}
    until(lambda: not cluster.workers(), 20)


def test_talks_of_a_node_that_is_lost_are_played_on_the_other(
    alone: Alone, cluster: Cluster, tmp_path: Path, weights_dir: Path
):
    with fault_server(tmp_path / "server", alone.base, weights_dir, delay_s=0.5) as server:
        case = ray_case(alone, tmp_path / "runs", cluster, server.url)
        with stage(case) as process:
            in_the_middle(case, process, 1)
            until(lambda: len(cluster.workers()) == 2)
            cluster.remove_second()
            code, said = end(process)
    assert code == 0, said[-3000:]
    assert case.lines() == alone.lines
    assert lost_talks(said) > 0, said
    assert finished(case)["faults"] == {"player_lost": 1, "talk_begun_again": lost_talks(said)}
    until(lambda: not cluster.workers(), 20)


def test_a_worker_that_is_killed_is_replaced(alone: Alone, cluster: Cluster, tmp_path: Path, weights_dir: Path):
    with fault_server(tmp_path / "server", alone.base, weights_dir, delay_s=0.5) as server:
        case = ray_case(alone, tmp_path / "runs", cluster, server.url)
        with stage(case) as process:
            in_the_middle(case, process, 1)
            until(lambda: len(cluster.workers()) == 2)
            os.kill(cluster.workers()[0], signal.SIGKILL)
            code, said = end(process)
    assert code == 0, said[-3000:]
    assert case.lines() == alone.lines
    assert "was lost (signal 9)" in said
    assert finished(case)["faults"] == {"player_lost": 1, "talk_begun_again": lost_talks(said)}


@pytest.mark.parametrize("end_signal", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_no_worker_outlives_the_stage(
    alone: Alone, cluster: Cluster, tmp_path: Path, weights_dir: Path, end_signal: signal.Signals
):
    with fault_server(tmp_path / "server", alone.base, weights_dir, delay_s=0.5) as server:
        case = ray_case(alone, tmp_path / "runs", cluster, server.url)
        with stage(case) as process:
            in_the_middle(case, process, 1)
            until(lambda: len(cluster.workers()) == 2)
            process.send_signal(end_signal)
            _, said = end(process)
        until(lambda: not cluster.workers(), 30)
    assert "Traceback" not in said, said


def test_where_no_cluster_is_the_setting_is_named(alone: Alone, tmp_path: Path, weights_dir: Path):
    with fault_server(tmp_path / "server", alone.base, weights_dir) as server:
        compute = {"kind": "ray", "players": 2, "ray_address": "127.0.0.1:1"}
        settings = {"compute": compute, "engine": {"base_urls": [server.url]}}
        case = new_case(alone.base, tmp_path / "runs", settings)
        with stage(case) as process:
            code, said = end(process)
    assert code == 2, said[-3000:]
    assert re.search(r"error: compute\.ray_address=127\.0\.0\.1:1: .*ray start --head", said)


@pytest.mark.vllm
def test_an_engine_on_the_cluster_serves_the_talks(cluster: Cluster, tmp_path: Path, weights_dir: Path):
    """A real vLLM, whose actor is killed in the middle and started again."""
    base = base_of(tmp_path / "base", weights_dir, {"explore": {"num_train": 20}, "synthesize": {"num_train": 4}})
    settings = {
        "compute": {"kind": "ray", "players": 1, "ray_address": cluster.address},
        "engine": {"replicas": 1, "cpu_kv_cache_gib": 1, "max_num_seqs": 4},
        "model": {"max_context": 4096},
        "rollout": {"attempts": 1, "max_turns": 3, "max_tokens": 24, "concurrency": 1},
    }
    case = new_case(base, tmp_path / "runs", settings)
    with stage(case) as process:
        until(lambda: process.poll() is not None or len(case.lines()) >= 1, 300)
        assert process.poll() is None, process.communicate()[1][-3000:]
        for actor in [child for child in below(os.getpid()) if b"EngineHost" in command_of(child)]:
            os.kill(actor, signal.SIGKILL)
        code, said = end(process, 300)
    assert code == 0, said[-3000:]
    assert len(case.lines()) == len(base.tasks) == 4
    assert finished(case)["faults"]["engine_restart"] == 1
    assert b"vLLM" in (case.artifact.folder / "server.log").read_bytes()
    until(lambda: not [child for child in below(os.getpid()) if b"vllm" in command_of(child).lower()], 30)
