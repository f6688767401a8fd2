"""A vLLM server of this process: started, watched, and gone when this process is, however it ends."""

import contextlib
import http.client
import importlib.metadata
import importlib.util
import json
import logging
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from t2t.config import EngineConfig, ModelConfig
from t2t.errors import ConfigError, RunError
from t2t.models.checkpoint import find_checkpoint
from t2t.models.cpu import fast_cpu_dtype
from t2t.models.server_log import cause_of_death

log = logging.getLogger(__name__)

_HOST = "127.0.0.1"
_HEALTHY = 200
_PROMPT_TOKENS = 4096
"""Tokens of prompts in one step, where prompts are not split."""
_FEW_CORES = 4
_STOP_TIMEOUT_S = 20.0


class VLLMServer:
    """Serves one checkpoint from ``start`` to ``stop``; a context manager does both.

    Args:
        model: the checkpoint (``source``) and the context.
        engine: port, types and limits of the engine.
        name: model name to serve it by.
        log_file: takes what the server says.
        seeded: replies are drawn, each with a seed, rather than greedy.

    Raises:
        ConfigError: the checkpoint is missing or incomplete, vLLM is not installed, or the port is taken.
    """

    def __init__(
        self, model: ModelConfig, engine: EngineConfig, name: str, log_file: Path, *, seeded: bool = False
    ) -> None:
        self._checkpoint = find_checkpoint(model.source)
        if importlib.util.find_spec("vllm") is None:
            raise ConfigError(
                "vLLM is not installed here: `make setup` installs it for the CPU, `pip install t2t[rollout]` for "
                "GPUs; or name running servers in engine.base_urls"
            )
        self._engine = engine
        self._port = engine.port or _free_port()
        if not _is_free(self._port):
            raise ConfigError(f"engine.port={self._port} is in use on {_HOST}; choose another, or 0 for a free one")
        self._log_file = log_file
        self._command = _command(model, engine, name, self._port, seeded=seeded)
        self._guard: subprocess.Popen[bytes] | None = None

    @property
    def base_url(self) -> str:
        """Address of the server, such as ``http://127.0.0.1:8000``."""
        return f"http://{_HOST}:{self._port}"

    def start(self) -> None:
        """Start the server and wait until it answers.

        Raises:
            RunError: it ended, with its cause, or did not answer in time.
        """
        guard_file = Path(__file__).with_name("guard.py")
        started = time.monotonic()
        self._log_file.parent.mkdir(parents=True, exist_ok=True)
        with self._log_file.open("wb") as output:
            self._guard = subprocess.Popen(
                [sys.executable, "-I", str(guard_file), *self._command],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=_environment(self._engine, offline=self._checkpoint is not None),
                start_new_session=True,
            )
        try:
            self._wait(self._guard, started)
        except BaseException:
            self.stop()
            raise
        log.info("vLLM answers at %s after %.0f s (%s)", self.base_url, time.monotonic() - started, self._log_file)

    def stop(self) -> None:
        """Stop the server and all its processes; does nothing when it does not run."""
        guard, self._guard = self._guard, None
        if guard is None:
            return
        if guard.stdin is not None:
            guard.stdin.close()
        try:
            guard.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            guard.kill()
            guard.wait()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def _wait(self, guard: subprocess.Popen[bytes], started: float) -> None:
        while not self._is_healthy():
            status = guard.poll()
            if status is not None:
                raise RunError(
                    f"vLLM ended at its start: {cause_of_death(self._log_file, status)}; see {self._log_file}"
                )
            if time.monotonic() - started > self._engine.start_timeout_s:
                raise RunError(
                    f"vLLM did not answer within engine.start_timeout_s={self._engine.start_timeout_s:g}; "
                    f"see {self._log_file}"
                )
            time.sleep(0.2)

    def _is_healthy(self) -> bool:
        connection = http.client.HTTPConnection(_HOST, self._port, timeout=5)
        with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
            connection.request("GET", "/health")
            return connection.getresponse().status == _HEALTHY
        return False


def _command(model: ModelConfig, engine: EngineConfig, name: str, port: int, *, seeded: bool) -> list[str]:
    options: dict[str, Any] = {
        "model": model.source,
        "served_model_name": name,
        "host": _HOST,
        "port": port,
        "dtype": _dtype(engine.dtype),
        "max_model_len": model.max_context,
        "max_num_seqs": engine.max_num_seqs,
        "generation_config": "vllm",
        "enable_prefix_caching": True,
        "disable_uvicorn_access_log": True,
    }
    if _is_cpu_build():
        options["enforce_eager"] = True
    if _is_cpu_build() and seeded:
        # After a part of a prompt vLLM winds the request's random generator back, which torch's generator for
        # the CPU cannot do: the engine dies. So no prompt is computed in parts.
        options |= {"enable_chunked_prefill": False, "max_num_batched_tokens": max(model.max_context, _PROMPT_TOKENS)}
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server"]
    for option, value in {**options, **engine.args}.items():
        command += _flag(option, value)
    return command


def _dtype(dtype: str) -> str:
    """``auto`` is what the processor computes fast; on a GPU it is the checkpoint's own type."""
    return fast_cpu_dtype() if dtype == "auto" and _is_cpu_build() else dtype


def _flag(option: str, value: Any) -> list[str]:
    flag = option.replace("_", "-")
    if value is None:
        return []
    if isinstance(value, bool):
        return [f"--{flag}" if value else f"--no-{flag}"]
    if isinstance(value, dict):
        return [f"--{flag}", json.dumps(value)]
    if isinstance(value, (list, tuple)):
        return [f"--{flag}", *map(str, value)]
    return [f"--{flag}", str(value)]


def _environment(engine: EngineConfig, *, offline: bool) -> dict[str, str]:
    environment = {**os.environ, "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}
    if offline:
        environment |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
    if _is_cpu_build():
        environment["VLLM_CPU_KVCACHE_SPACE"] = str(engine.cpu_kv_cache_gib)
        num_cores = len(os.sched_getaffinity(0))
        if num_cores <= _FEW_CORES and "VLLM_CPU_OMP_THREADS_BIND" not in os.environ:
            # By itself vLLM leaves one core to others, half of a small machine. Threads that wait for each
            # other by spinning are three times slower than sleeping ones once anything else runs beside them.
            environment |= {"VLLM_CPU_OMP_THREADS_BIND": "nobind", "OMP_NUM_THREADS": str(num_cores)}
            environment.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    return environment


def _is_cpu_build() -> bool:
    try:
        return "+cpu" in importlib.metadata.version("vllm")
    except importlib.metadata.PackageNotFoundError:
        return True  # the package vllm-cpu


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        return probe.getsockname()[1]


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, port))
        except OSError:
            return False
    return True
