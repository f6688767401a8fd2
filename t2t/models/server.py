"""One vLLM server of this process: gone when this process is, however it ends. `t2t.models.engines` watches several."""

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
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from t2t.config import EngineConfig, ModelConfig
from t2t.errors import ConfigError, RunError
from t2t.models.checkpoint import find_checkpoint
from t2t.models.cpu import fast_cpu_dtype
from t2t.models.server_log import cause_of_death

log = logging.getLogger(__name__)

LOOPBACK = "127.0.0.1"
_HEALTHY = 200
_PROMPT_TOKENS = 4096
"""Tokens of prompts in one step, where prompts are not split."""
_FEW_CORES = 4
_STOP_TIMEOUT_S = 20.0
_LORA_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""Values that vLLM takes for ``max_lora_rank``."""
_UNSERVED = ("modules_to_save", "use_dora", "lora_bias", "alora_invocation_tokens", "layer_replication", "use_qalora")
"""Settings of peft that change what an adapter computes in ways vLLM does not know."""
_CHANGE_BASE = ("pissa", "olora", "corda", "loftq")
"""Ways to begin an adapter that change the weights below it."""


class VLLMServer:
    """Serves one checkpoint from ``launch`` to ``stop``; `t2t.models.engines` watches it.

    Args:
        model: the checkpoint (``source``) and the context.
        engine: port, types and limits of the engine.
        name: model name to serve it by.
        log_file: what the server says is appended to it.
        seeded: replies are drawn, each with a seed, rather than greedy.
        adapters: folders of LoRA adapters by the name that they are served by, beside the checkpoint itself.
        gpus: numbers of the GPUs that it may use, as ``CUDA_VISIBLE_DEVICES`` has them; empty for all.
        num_cores: cores that it should use where it runs on the CPU; 0 for all.
        host: address of this machine that it listens at; others than this machine reach it at its own.

    Raises:
        ConfigError: the checkpoint is missing or incomplete, an adapter cannot be served, vLLM is not installed, or
            the port is taken.
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
        gpus: str = "",
        num_cores: int = 0,
        host: str = LOOPBACK,
    ) -> None:
        self._checkpoint = find_checkpoint(model.source)
        if importlib.util.find_spec("vllm") is None:
            raise ConfigError(
                "vLLM is not installed here: `make setup` installs it for the CPU, `pip install t2t[rollout]` for "
                "GPUs; or name running servers in engine.base_urls"
            )
        self._engine = engine
        self._host = host
        self._port = engine.port or free_ports(1, host)[0]
        if not is_free(host, self._port):
            raise ConfigError(f"engine.port={self._port} is in use on {host}; choose another, or 0 for a free one")
        self.log_file = log_file
        """Takes what the server says."""
        options = lora_options(adapters) if adapters else {}
        self._command = _command(model, engine, name, host, self._port, options, seeded=seeded)
        self._environment = _environment(offline=self._checkpoint is not None)
        if gpus:
            self._environment["CUDA_VISIBLE_DEVICES"] = gpus
        if is_cpu_build():
            self._environment |= _cpu_environment(engine, num_cores)
        self._guard: subprocess.Popen[bytes] | None = None
        self._log_start = 0

    @property
    def base_url(self) -> str:
        """Address of the server, such as ``http://127.0.0.1:8000``."""
        return f"http://{self._host}:{self._port}"

    def launch(self, note: str = "") -> None:
        """Start the server and do not wait for it; `note` stands in the log before what it says."""
        guard_file = Path(__file__).with_name("guard.py")
        self.log_file.parent.mkdir(parents=True, exist_ok=True)
        with self.log_file.open("ab") as output:
            if note:
                output.write(f"--- {note} ---\n".encode())
                output.flush()
            self._log_start = output.tell()
            self._guard = subprocess.Popen(
                [sys.executable, "-I", str(guard_file), *self._command],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self._environment,
                start_new_session=True,
            )

    def wait(self) -> None:
        """Wait until the server answers.

        Raises:
            RunError: it ended, with its cause, or did not answer in time.
        """
        started = time.monotonic()
        while not self.is_healthy():
            if cause := self.cause_of_death():
                raise RunError(f"vLLM ended at its start: {cause}; see {self.log_file}")
            if time.monotonic() - started > self._engine.start_timeout_s:
                raise RunError(
                    f"vLLM did not answer within engine.start_timeout_s={self._engine.start_timeout_s:g}; "
                    f"see {self.log_file}"
                )
            time.sleep(0.2)
        log.info("vLLM answers at %s after %.0f s (%s)", self.base_url, time.monotonic() - started, self.log_file)

    def cause_of_death(self) -> str:
        """Why the server ended, in one line; empty while it runs."""
        status = self._guard.poll() if self._guard is not None else None
        return "" if status is None else cause_of_death(self.log_file, status, self._log_start)

    def is_port_free(self) -> bool:
        """True when nothing listens where the server does."""
        return is_free(self._host, self._port)

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

    def is_healthy(self) -> bool:
        """Whether the server answers."""
        connection = http.client.HTTPConnection(self._host, self._port, timeout=5)
        with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
            connection.request("GET", "/health")
            return connection.getresponse().status == _HEALTHY
        return False


def lora_options(adapters: Mapping[str, Path]) -> dict[str, Any]:
    """Options of vLLM that serve LoRA adapters by name.

    Raises:
        ConfigError: a folder holds no adapter, or one that vLLM cannot serve.
    """
    checked = [_check_adapter(name, folder) for name, folder in adapters.items()]
    rank = max(rank for rank, _ in checked)
    options: dict[str, Any] = {
        "enable_lora": True,
        "max_lora_rank": min(allowed for allowed in _LORA_RANKS if allowed >= rank),
        "max_loras": len(adapters),
        "lora_modules": [json.dumps({"name": name, "path": str(folder)}) for name, folder in adapters.items()],
    }
    if all(targets for _, targets in checked):
        # By itself vLLM prepares every layer, the head among them, whose part then fails on the CPU at the
        # log-probabilities of a prompt.
        options["lora_target_modules"] = sorted({name for _, targets in checked for name in targets})
    return options


def _check_adapter(name: str, folder: Path) -> tuple[int, list[str]]:
    """The rank of an adapter that vLLM can serve, and the names of its layers; none where they are a pattern."""
    file = folder / "adapter_config.json"
    where = f"the adapter {name!r} in {folder}"
    weights = [folder / f"adapter_model.{kind}" for kind in ("safetensors", "bin")]
    if not file.is_file() or not any(one.is_file() for one in weights):
        raise ConfigError(f"{where} is not there or not whole; it needs adapter_config.json and adapter_model.*")
    try:
        settings: Any = json.loads(file.read_text(encoding="utf-8"))
        ranks: list[Any] = [settings["r"], *(settings.get("rank_pattern") or {}).values()]
        rank = max(map(int, ranks))
        named: Any = settings.get("target_modules")
        targets = [str(one).rpartition(".")[2] for one in named] if isinstance(named, list) else []
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ConfigError(f"{where} has an adapter_config.json that cannot be read; save it again with peft") from None
    problems = [name for name in _UNSERVED if settings.get(name)]
    init = str(settings.get("init_lora_weights", True)).lower()
    if init.startswith(_CHANGE_BASE):
        problems.append(f"init_lora_weights={init}")
    if settings.get("peft_type") != "LORA":
        problems.append(f"peft_type={settings.get('peft_type')}")
    if settings.get("bias", "none") != "none":
        problems.append(f"bias={settings['bias']}")
    if not 1 <= rank <= _LORA_RANKS[-1]:
        problems.append(f"r={rank}, which is not in 1..{_LORA_RANKS[-1]}")
    if problems:
        raise ConfigError(f"{where} has {' and '.join(problems)}, which vLLM cannot serve; set evaluate.weights=merged")
    return rank, targets


def _command(
    model: ModelConfig, engine: EngineConfig, name: str, host: str, port: int, more: Mapping[str, Any], *, seeded: bool
) -> list[str]:
    options: dict[str, Any] = {
        "model": model.source,
        "served_model_name": name,
        "host": host,
        "port": port,
        "dtype": _dtype(engine.dtype),
        "max_model_len": model.max_context,
        "max_num_seqs": engine.max_num_seqs,
        "generation_config": "vllm",
        "enable_prefix_caching": True,
        "disable_uvicorn_access_log": True,
        **more,
    }
    if is_cpu_build():
        options["enforce_eager"] = True
    if is_cpu_build() and seeded:
        # After a part of a prompt vLLM winds the request's random generator back, which torch's generator for
        # the CPU cannot do: the engine dies. So no prompt is computed in parts.
        options |= {"enable_chunked_prefill": False, "max_num_batched_tokens": max(model.max_context, _PROMPT_TOKENS)}
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server"]
    for option, value in {**options, **engine.args}.items():
        command += _flag(option, value)
    return command


def _dtype(dtype: str) -> str:
    """``auto`` is what the processor computes fast; on a GPU it is the checkpoint's own type."""
    return fast_cpu_dtype() if dtype == "auto" and is_cpu_build() else dtype


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


def _environment(*, offline: bool) -> dict[str, str]:
    environment = {**os.environ, "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}
    if offline:
        environment |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
    return environment


def _cpu_environment(engine: EngineConfig, num_cores: int) -> dict[str, str]:
    environment = {"VLLM_CPU_KVCACHE_SPACE": str(engine.cpu_kv_cache_gib)}
    every = len(os.sched_getaffinity(0))
    if (every <= _FEW_CORES or num_cores) and "VLLM_CPU_OMP_THREADS_BIND" not in os.environ:
        # By itself vLLM leaves one core to others, half of a small machine, and several servers bind to the same
        # cores. Threads that wait for each other by spinning are three times slower than sleeping ones once
        # anything else runs beside them.
        environment |= {"VLLM_CPU_OMP_THREADS_BIND": "nobind", "OMP_NUM_THREADS": str(num_cores or every)}
        if "OMP_WAIT_POLICY" not in os.environ:
            environment["OMP_WAIT_POLICY"] = "PASSIVE"
    return environment


def is_cpu_build() -> bool:
    """Whether the vLLM that is installed runs on the CPU."""
    try:
        return "+cpu" in importlib.metadata.version("vllm")
    except importlib.metadata.PackageNotFoundError:
        return True  # the package vllm-cpu


def free_ports(count: int, host: str = LOOPBACK) -> list[int]:
    """Ports at which nothing listens now, all different."""
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind((host, 0))
        return [probe.getsockname()[1] for probe in probes]


def is_free(host: str, port: int) -> bool:
    """True when nothing listens there."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True
