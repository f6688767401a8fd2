"""vLLM servers of one checkpoint, one per share of the GPUs: watched, and started again when one dies."""

import http.client
import logging
import os
import ssl
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import orjson

from t2t.config import EngineConfig, ModelConfig
from t2t.errors import ConfigError, RunError
from t2t.models.http import read_key
from t2t.models.server import LOOPBACK, VLLMServer, free_ports, is_cpu_build

log = logging.getLogger(__name__)

_POLL_S = 0.5
_HEALTH_EVERY_S = 5.0
_HUNG_S = 120.0
"""A server that lives and has not answered for this long is started again."""
_PORT_FREE_S = 30.0
_RETRY_S = 5.0
_OK = 200
_NO_ACCESS = (401, 403)
_ROUTE_TIMEOUT_S = 10.0


class Engines:
    """Serves one checkpoint from ``start`` to ``stop``; a context manager does both.

    A server that dies, or does not answer for two minutes, is started again at the same address, at most
    ``engine.restarts`` times; one that dies at its first start is not.

    Args:
        model: the checkpoint (``source``) and the context.
        engine: how many servers, and their ports, types and limits.
        name: model name to serve it by.
        log_file: takes what the first server says; the second one's is ``server.1.log`` beside ``server.log``.
        seeded: replies are drawn, each with a seed, rather than greedy.
        adapters: folders of LoRA adapters by the name that they are served by, beside the checkpoint itself.
        host: address of this machine that they listen at.

    Raises:
        ConfigError: the checkpoint, an adapter, a port or the shares of the GPUs cannot work.
    """

    def __init__(
        self,
        model: ModelConfig,
        engine: EngineConfig,
        name: str,
        log_file: Path,
        *,
        seeded: bool = False,
        adapters: Mapping[str, Path] | None = None,
        host: str = LOOPBACK,
    ) -> None:
        shares = gpu_shares(engine, [] if is_cpu_build() else visible_gpus())
        num_cores = max(1, len(os.sched_getaffinity(0)) // len(shares)) if len(shares) > 1 else 0
        self._max_restarts = engine.restarts
        self._watched: list[_Watched] = []
        ports = [engine.port + place for place in range(len(shares))] if engine.port else free_ports(len(shares), host)
        for place, gpus in enumerate(shares):
            server = VLLMServer(
                model,
                engine.model_copy(update={"port": ports[place]}),
                name,
                log_file.with_stem(f"{log_file.stem}.{place}") if place else log_file,
                seeded=seeded,
                adapters=adapters,
                gpus=gpus,
                num_cores=num_cores,
                host=host,
            )
            self._watched.append(_Watched(server, engine))
        self._ended = threading.Event()
        self._watcher: threading.Thread | None = None

    @property
    def base_urls(self) -> tuple[str, ...]:
        """Addresses of the servers; they stay the same over restarts."""
        return tuple(one.server.base_url for one in self._watched)

    def restarts(self) -> int:
        """Times so far that a server was started again."""
        return sum(one.restarts for one in self._watched)

    def problem(self) -> str:
        """Why no server will ever answer again; empty while one may."""
        causes = [one.gave_up for one in self._watched]
        return causes[0] if all(causes) else ""

    def start(self) -> None:
        """Start the servers and wait until all answer.

        Raises:
            RunError: one ended, with its cause, or did not answer in time.
        """
        try:
            for one in self._watched:
                one.server.launch()
            for one in self._watched:
                one.server.wait()
        except BaseException:
            self.stop()
            raise
        self._ended.clear()
        self._watcher = threading.Thread(target=self._watch, name="engines", daemon=True)
        self._watcher.start()

    def stop(self) -> None:
        """Stop the servers and all their processes."""
        self._ended.set()
        if self._watcher is not None:
            self._watcher.join()
            self._watcher = None
        stoppers = [threading.Thread(target=one.server.stop) for one in self._watched]
        for stopper in stoppers:
            stopper.start()
        for stopper in stoppers:
            stopper.join()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def _watch(self) -> None:
        while not self._ended.wait(_POLL_S):
            for one in self._watched:
                if not one.gave_up:
                    one.look_after(self._max_restarts, self._ended)


class _Watched:
    """A server, and how it has fared; only the watching thread looks after it."""

    def __init__(self, server: VLLMServer, engine: EngineConfig) -> None:
        self.server = server
        self.restarts = 0
        self.gave_up = ""
        """Why it is not started again; empty while it may be."""
        self._start_timeout_s = engine.start_timeout_s
        self._starts = False
        self._since = 0.0
        """When it was started again, while it starts; else when it began not to answer, or 0."""
        self._next_check = 0.0

    def look_after(self, max_restarts: int, ended: threading.Event) -> None:
        """Start the server again if it died or hangs."""
        cause = self.server.cause_of_death() or self._hangs()
        if not cause:
            return
        url, log_file = self.server.base_url, self.server.log_file
        if self.restarts >= max_restarts:
            self.gave_up = f"vLLM at {url} ended and engine.restarts={max_restarts} are spent: {cause}; see {log_file}"
            log.error(self.gave_up)
            self.server.stop()
            return
        self.restarts += 1
        note = f"started again ({self.restarts} of {max_restarts}) since it ended: {cause}"
        log.warning(f"vLLM at {url} is {note}; see {log_file}")
        self.server.stop()
        if self._starts and ended.wait(_RETRY_S):
            return
        deadline = time.monotonic() + _PORT_FREE_S
        while not self.server.is_port_free() and time.monotonic() < deadline:
            if ended.wait(_POLL_S):
                return
        self.server.launch(note)
        self._starts = True
        self._since = time.monotonic()

    def _hangs(self) -> str:
        """How it hangs while its process lives; empty when it does not."""
        now = time.monotonic()
        if not self._starts and now < self._next_check:
            return ""
        self._next_check = now + _HEALTH_EVERY_S
        if self.server.is_healthy():
            if self._starts:
                log.info(f"vLLM answers again at {self.server.base_url} after {time.monotonic() - self._since:.0f} s")
            self._starts, self._since = False, 0.0
            return ""
        self._since = self._since or now
        limit_s = self._start_timeout_s if self._starts else _HUNG_S
        return f"it did not answer for {limit_s:g} s" if time.monotonic() - self._since > limit_s else ""


def gpu_shares(engine: EngineConfig, gpus: Sequence[str]) -> list[str]:
    """The GPUs of each server, as ``CUDA_VISIBLE_DEVICES`` has them; empty where a server sees all there are.

    Raises:
        ConfigError: there are fewer GPUs than the servers need.
    """
    ways = [engine.args.get(f"{way}_parallel_size") or 1 for way in ("tensor", "pipeline")]
    size = int(ways[0]) * int(ways[1])
    if not gpus:
        return [""] * (engine.replicas or 1)
    if int(engine.args.get("data_parallel_size") or 1) > 1:
        if engine.replicas > 1:
            raise ConfigError(
                f"engine.replicas={engine.replicas} and engine.args.data_parallel_size both ask for several engines; "
                "set one of them"
            )
        return [",".join(gpus)]
    replicas = engine.replicas or max(1, len(gpus) // size)
    if replicas * size > len(gpus):
        raise ConfigError(
            f"engine.replicas={replicas} servers of {size} GPUs each need {replicas * size}, and there are "
            f"{len(gpus)}; lower engine.replicas or engine.args.tensor_parallel_size"
        )
    return [",".join(gpus[place * size : (place + 1) * size]) for place in range(replicas)]


def visible_gpus() -> list[str]:
    """Names of the GPUs that this process may use, as ``CUDA_VISIBLE_DEVICES`` has them."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        return [name.strip() for name in chosen.split(",") if name.strip() not in ("", "-1")]
    command = ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    return found.split()


def engine_key(engine: EngineConfig) -> str:
    """The key of the servers: that of ``engine.api_key_env``, or what servers of ours take from ``VLLM_API_KEY``.

    Raises:
        ConfigError: the variable is named and not set.
    """
    return read_key(engine.api_key_env) if engine.base_urls else os.environ.get("VLLM_API_KEY", "")


def check_names(engine: EngineConfig, names: Sequence[str]) -> None:
    """Make sure that every one of ``engine.base_urls`` serves these names, before anything is sent.

    A server that does not answer is left to the client, unless none does.

    Raises:
        ConfigError: a server lacks a name, or gives no access.
        RunError: no server answered within ``engine.start_timeout_s``.
    """
    key, deadline = engine_key(engine), time.monotonic() + engine.start_timeout_s
    told = False
    while True:
        served = {url: _served_names(url, key) for url in engine.base_urls}
        for url, found in served.items():
            missing = [name for name in names if found is not None and name not in found]
            if missing:
                raise ConfigError(
                    f"engine.base_urls: {url} does not serve {' and '.join(map(repr, missing))}; it serves "
                    f"{', '.join(map(repr, found or ())) or 'nothing'} (vllm serve --served-model-name, --lora-modules)"
                )
        silent = [url for url, found in served.items() if found is None]
        if len(silent) < len(served):
            for url in silent:
                log.warning(f"engine.base_urls: {url} does not answer; it is tried again later")
            return
        if time.monotonic() > deadline:
            raise RunError(
                f"engine.base_urls: no server answered within engine.start_timeout_s={engine.start_timeout_s:g}: "
                f"{', '.join(silent)}"
            )
        if not told:
            log.warning(f"engine.base_urls: waiting for {', '.join(silent)}")
            told = True
        time.sleep(min(_RETRY_S, max(deadline - time.monotonic(), 0.05)))


def _served_names(base_url: str, key: str) -> list[str] | None:
    """Names that a server serves; None where it does not answer."""
    parts = urlsplit(f"{base_url.rstrip('/').removesuffix('/v1')}/v1/models")
    host = parts.hostname or ""
    if parts.scheme == "https":
        context = ssl.create_default_context()
        connection = http.client.HTTPSConnection(host, parts.port, timeout=_ROUTE_TIMEOUT_S, context=context)
    else:
        connection = http.client.HTTPConnection(host, parts.port, timeout=_ROUTE_TIMEOUT_S)
    try:
        connection.request("GET", parts.path, headers={"Authorization": f"Bearer {key}"} if key else {})
        response = connection.getresponse()
        if response.status in _NO_ACCESS:
            raise ConfigError(f"engine.base_urls: {base_url} gives no access (HTTP {response.status}); check the key")
        found: Any = orjson.loads(response.read()) if response.status == _OK else None
        return [str(one["id"]) for one in found["data"]]
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
        return None
    finally:
        connection.close()
