"""vLLM servers on the nodes of a Ray cluster: placed by Ray, watched, and started again when one is lost."""

import contextlib
import logging
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from t2t.config import ComputeConfig, EngineConfig, ModelConfig
from t2t.errors import ConfigError, RunError, T2TError
from t2t.models.engines import Engines
from t2t.models.server import is_free
from t2t.scheduling.ray_cluster import connected, load_ray

log = logging.getLogger(__name__)

_POLL_S = 1.0
_WAITING_S = 60.0
_RETRY_S = 5.0
_STOP_S = 40.0
_PORT_FREE_S = 20.0
_LOG_PIECE = 2**20


class _Order(NamedTuple):
    """What an actor serves; travels to it."""

    model: ModelConfig
    engine: EngineConfig
    name: str
    seeded: bool
    adapters: dict[str, Path]
    folder: str
    """Where the command was typed: relative paths are taken from there, where a node has it."""


class RayEngines:
    """Serves one checkpoint on a Ray cluster while its block runs; see `t2t.models.engines.Engines`.

    A server that dies is started again where it was. One whose node is lost is started on another node, under
    another address. Both count towards ``engine.restarts``.

    Args:
        compute: the cluster.
        model: the checkpoint (``source``), which every node has at the same place, and the context.
        engine: how many servers, and their types and limits.
        name: model name to serve it by.
        log_file: takes what the first server says; the second one's is ``server.1.log`` beside ``server.log``.
        seeded: replies are drawn, each with a seed, rather than greedy.
        adapters: folders of LoRA adapters by the name that they are served by, beside the checkpoint itself.
    """

    def __init__(
        self,
        compute: ComputeConfig,
        model: ModelConfig,
        engine: EngineConfig,
        name: str,
        log_file: Path,
        *,
        seeded: bool = False,
        adapters: Mapping[str, Path] | None = None,
    ) -> None:
        self._address, self._engine, self._log_file = compute.ray_address, engine, log_file
        # One port for servers on many nodes would collide where two of them share one.
        alone = engine.model_copy(update={"replicas": 1, "port": 0})
        self._order = _Order(model, alone, name, seeded, dict(adapters or {}), str(Path.cwd()))
        self._placed: list[_Placed] = []
        self._stack = contextlib.ExitStack()

    @property
    def base_urls(self) -> tuple[str, ...]:
        """Addresses of the servers as they are now."""
        return tuple(one.url for one in self._placed)

    def restarts(self) -> int:
        """Times so far that a server was started again."""
        return sum(one.restarts for one in self._placed)

    def problem(self) -> str:
        """Why no server will ever answer again; empty while one may."""
        causes = [one.gave_up for one in self._placed]
        return causes[0] if all(causes) else ""

    def __enter__(self) -> Self:
        """Start the servers and wait until all answer.

        Raises:
            ConfigError: there is no cluster, it has too few GPUs, or a node cannot serve the checkpoint.
            RunError: a server ended, with its cause, or did not answer in time.
        """
        self._stack.enter_context(connected(self._address))
        try:
            for place, (options, node) in enumerate(engine_places(self._engine)):
                stem = f"{self._log_file.stem}.{place}" if place else self._log_file.stem
                one = _Placed(self._order, options, node, self._log_file.with_stem(stem))
                self._placed.append(one)
            for one in self._placed:
                one.wait()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for one in self._placed:
            one.end()
        for one in self._placed:
            one.join()
        self._stack.close()


def engine_places(engine: EngineConfig) -> list[tuple[dict[str, float], str]]:
    """What each server takes of the cluster, and the id of the node that it should be on; empty for any.

    Raises:
        ConfigError: there are fewer GPUs than the servers need.
    """
    ray = load_ray()
    num_gpus = int(ray.cluster_resources().get("GPU", 0))
    if not num_gpus:
        nodes = [str(node["NodeID"]) for node in ray.nodes() if node["Alive"]]
        return [({"num_cpus": 1}, nodes[place % len(nodes)]) for place in range(engine.replicas or len(nodes))]
    size = 1
    for way in ("tensor", "pipeline", "data"):
        size *= int(engine.args.get(f"{way}_parallel_size") or 1)
    replicas = engine.replicas or max(1, num_gpus // size)
    if replicas * size > num_gpus:
        raise ConfigError(
            f"engine.replicas={replicas} servers of {size} GPUs each need {replicas * size}, and the Ray cluster has "
            f"{num_gpus}; lower engine.replicas or engine.args.tensor_parallel_size"
        )
    return [({"num_cpus": 1, "num_gpus": size}, "")] * replicas


class _Placed:
    """One server, looked after by a thread of its own."""

    def __init__(self, order: _Order, options: dict[str, float], node: str, log_file: Path) -> None:
        self._order, self._options, self._node, self._log_file = order, options, node, log_file
        self.url = ""
        self.gave_up = ""
        """Why it is not started again; empty while it may be."""
        self._lost = 0
        self._restarts_before = self._restarts_now = 0
        self._port = 0
        self._first_error: T2TError | None = None
        self._answered, self._ended = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._look_after, name="ray engine", daemon=True)
        self._thread.start()

    @property
    def restarts(self) -> int:
        return self._lost + self._restarts_before + self._restarts_now

    def wait(self) -> None:
        """Wait until it answers for the first time.

        Raises:
            T2TError: it never will.
        """
        self._answered.wait()
        if self._first_error is not None:
            raise self._first_error

    def end(self) -> None:
        self._ended.set()

    def join(self) -> None:
        self._thread.join()

    def _look_after(self) -> None:
        ray = load_ray()
        while True:
            cause = ""
            try:
                cause = self._serve()
            except ray.exceptions.RayError as error:
                cause = f"its actor was lost ({type(error).__name__})"
            except T2TError as error:
                if not self._answered.is_set():
                    self._first_error = error
                cause = str(error)
            if self._ended.is_set() or self._first_error is not None:
                self._answered.set()
                return
            most = self._order.engine.restarts
            if self.gave_up or self._lost >= most:
                self.gave_up = self.gave_up or f"vLLM on the Ray cluster was lost {most + 1} times, at last: {cause}"
                self._first_error = None if self._answered.is_set() else RunError(self.gave_up)
                log.error(self.gave_up)
                self._answered.set()
                return
            self._lost += 1
            self._restarts_before, self._restarts_now = self._restarts_before + self._restarts_now, 0
            log.warning(f"vLLM at {self.url or 'a node'} is started again ({self._lost} of {most}): {cause}")
            if self._ended.wait(_RETRY_S):
                return

    def _serve(self) -> str:
        """Serve until it is to end, or the server is gone for good; returns why.

        Raises:
            RayError: the actor is lost.
            T2TError: the server did not start.
        """
        ray = load_ray()
        options: dict[str, Any] = {**self._options, "max_concurrency": 2}
        if self._node:
            affinity = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(self._node, soft=True)
            options["scheduling_strategy"] = affinity
        actor = ray.remote(**options)(_EngineHost).remote(self._order.folder)
        try:
            started = actor.start.remote(self._order, self._port)
            waited = 0.0
            while not ray.wait([started], timeout=_POLL_S)[0]:
                if self._ended.is_set():
                    return ""
                waited += _POLL_S
                if waited % _WAITING_S == 0 and not ray.wait([actor.node.remote()], timeout=_POLL_S)[0]:
                    wanted = ", ".join(f"{count:g} {name[4:]}" for name, count in self._options.items())
                    log.warning(f"an engine waits for a node of the Ray cluster with {wanted} free")
            reply: _Started = ray.get(started)
            self._keep_log(reply.said)
            if reply.problem:
                told = reply.problem.replace(reply.log_file, str(self._log_file))
                raise (ConfigError if reply.usage else RunError)(f"node {reply.host}: {told}")
            self.url, self._node, self._port = reply.url, reply.node, reply.port
            log.info(f"vLLM answers at {self.url} ({self._log_file})")
            self._answered.set()
            while not self._ended.wait(_POLL_S):
                said, self._restarts_now, problem = ray.get(actor.look.remote(), timeout=_STOP_S)
                self._keep_log(said)
                if problem:
                    self.gave_up = problem.replace(reply.log_file, str(self._log_file))
                    return self.gave_up
            ray.get(actor.stop.remote(), timeout=_STOP_S)
            return ""
        finally:
            ray.kill(actor)

    def _keep_log(self, said: bytes) -> None:
        self._log_file.parent.mkdir(parents=True, exist_ok=True)
        with self._log_file.open("ab") as file:
            file.write(said)


class _Started(NamedTuple):
    """How the start of a server went."""

    url: str
    port: int
    node: str
    """Ray's id of the node."""
    host: str
    problem: str
    """Why it did not start; empty when it answers."""
    usage: bool
    """True when a setting is to blame."""
    log_file: str
    """What its messages call its log."""
    said: bytes
    """What the server said so far."""


class _EngineHost:
    """In an actor: a server on the actor's node, and what it says."""

    def __init__(self, folder: str) -> None:
        if Path(folder).is_dir():
            os.chdir(folder)
        # Ray allows a process as many threads as the actor asks for CPUs; the engine sees to its own.
        os.environ.pop("OMP_NUM_THREADS", None)
        self._engines: Engines | None = None
        self._log_file = Path(tempfile.mkdtemp(prefix="t2t-engine-")) / "server.log"
        self._log_place = 0

    def node(self) -> str:
        """Address of the node."""
        return str(load_ray().util.get_node_ip_address())

    def start(self, order: _Order, port: int) -> _Started:
        """Start the server, at `port` if that is free, and wait until it answers."""
        host, node = self.node(), str(load_ray().get_runtime_context().get_node_id())
        problem, usage, url = "", False, ""
        deadline = time.monotonic() + _PORT_FREE_S
        # What served there before may still be ending.
        while port and not is_free(host, port) and time.monotonic() < deadline:
            time.sleep(_POLL_S)
        for wished in dict.fromkeys((port, 0)):
            problem = ""
            try:
                self._engines = Engines(
                    order.model,
                    order.engine.model_copy(update={"port": wished}),
                    order.name,
                    self._log_file,
                    seeded=order.seeded,
                    adapters=order.adapters,
                    host=host,
                )
                self._engines.start()
                url = self._engines.base_urls[0]
                break
            except T2TError as error:
                problem, usage = str(error), isinstance(error, ConfigError)
        at = int(url.rpartition(":")[2]) if url else 0
        return _Started(url, at, node, host, problem, usage, str(self._log_file), self._said())

    def look(self) -> tuple[bytes, int, str]:
        """What the server said since the last look, its restarts so far, and why it will not answer any more."""
        assert self._engines is not None
        return self._said(), self._engines.restarts(), self._engines.problem()

    def stop(self) -> None:
        """Stop the server."""
        if self._engines is not None:
            self._engines.stop()
        shutil.rmtree(self._log_file.parent, ignore_errors=True)

    def _said(self) -> bytes:
        if not self._log_file.exists():
            return b""
        with self._log_file.open("rb") as file:
            file.seek(self._log_place)
            said = file.read(_LOG_PIECE)
        self._log_place += len(said)
        return said
