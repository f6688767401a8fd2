"""Talks over a local Ray cluster of two nodes: the same records as in one process, whatever is lost."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from t2t.config import ComputeConfig, EngineConfig, ModelConfig
from t2t.errors import ConfigError, RunError
from t2t.scheduling.ray_cluster import connected
from t2t.scheduling.ray_engines import RayEngines, engine_places
from tests.faults.harness import ROOT, Case, fault_server, new_case
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
        """Both nodes are there, and no other; Ray takes some seconds to see that one is gone."""
        if self._second is None:
            self._second = self._cluster.add_node(**NODE)
        state = self._cluster.global_state
        until(lambda: sum(node["Alive"] for node in state.node_table()) == 2)

    def add(self, **options: Any) -> Any:
        """A further node."""
        return self._cluster.add_node(**{**NODE, **options})

    def remove(self, node: Any) -> None:
        """kill -9 of all of a node."""
        self._cluster.remove_node(node, allow_graceful=False)

    def remove_second(self) -> None:
        """kill -9 of all of the second node."""
        self.remove(self._second)
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
    left = [
        command for child in below(os.getpid()) if re.search(rb"ray::|raylet|gcs_server", command := command_of(child))
    ]
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


def answers(url: str) -> bool:
    with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/health", timeout=5):
        return True
    return False


def test_engines_are_shared_out_over_gpus_or_nodes_and_come_back_when_they_are_lost(
    cluster: Cluster, tmp_path: Path, weights_dir: Path
):
    """Stand-ins serve on nodes that say they have a GPU each."""
    servers = Path(__file__).parent.parent / "models" / "stand_in"
    options = {"num_gpus": 1, "env_vars": {"PYTHONPATH": str(servers), "STAND_IN": str(tmp_path)}}
    log_file = tmp_path / "logs" / "server.log"
    model, engine = ModelConfig(source=str(weights_dir)), EngineConfig(start_timeout_s=60)
    with connected(cluster.address):
        until(lambda: len({node for _, node in engine_places(engine)}) == 2)
        first, second = cluster.add(**options), cluster.add(**options)
        until(lambda: engine_places(engine) == [({"num_cpus": 1, "num_gpus": 1}, "")] * 2)
        pairs = engine.model_copy(update={"args": {"tensor_parallel_size": 2}})
        assert engine_places(pairs) == [({"num_cpus": 1, "num_gpus": 2}, "")]
        with pytest.raises(ConfigError, match=r"engine\.replicas=2 servers of 2 GPUs each need 4.* has 2;"):
            engine_places(pairs.model_copy(update={"replicas": 2}))

        def servers_of(node: Any) -> list[int]:
            (raylet,) = node.all_processes["raylet"]
            return [child for child in below(raylet.process.pid) if b"-m\0vllm.entry" in command_of(child)]

        try:
            compute = ComputeConfig(kind="ray", ray_address=cluster.address)
            with RayEngines(compute, model, engine, "base", log_file) as engines:
                begun = engines.base_urls
                assert len(set(begun)) == 2 and all(map(answers, begun))
                os.kill(servers_of(first)[-1], signal.SIGKILL)
                until(lambda: engines.restarts() == 1 and all(map(answers, engines.base_urls)))
                assert engines.base_urls == begun, "a server that died comes back where it was"
                cluster.remove(second)
                until(lambda: engines.restarts() == 2)
                second = cluster.add(**options)
                until(lambda: len(servers_of(second)) > 0 and all(map(answers, engines.base_urls)))
                assert engines.problem() == ""
            assert "threads" in log_file.read_text() and log_file.with_stem("server.1").exists()
            until(lambda: not servers_of(first) and not servers_of(second), 30)
            (tmp_path / "kill").write_text("ValueError: no such weights")
            with pytest.raises(RunError, match="node 127.0.0.1: vLLM ended at its start"):
                RayEngines(compute, model, engine, "base", log_file).__enter__()
        finally:
            for node in (first, second):
                cluster.remove(node)


def test_doctor_says_what_the_cluster_has(cluster: Cluster):
    words = [sys.executable, "-c", "from t2t.cli import main; main()", "doctor", "compute=ray"]
    words.append(f"compute.ray_address={cluster.address}")
    said = subprocess.run(words, cwd=ROOT, capture_output=True, text=True).stdout
    assert re.search(r"^ray cluster \S+ +\d nodes, \d CPUs, \d GPUs$", said, re.MULTILINE), said


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
    engines = re.compile(rb"vllm\.entrypoints|VLLM::")
    until(lambda: not [child for child in below(os.getpid()) if engines.search(command_of(child))], 30)
