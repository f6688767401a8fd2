"""Stages as processes of their own, and training as several of them, one per GPU.

What is started here ends with this process, however that ends. SIGTERM is passed on, and training has
time to save a checkpoint first. Under a launcher (``accelerate launch``, ``torchrun``) each of its
ranks starts its own part of training, in the launcher's process group; everything else runs clean of
the launcher's variables.

``python -m t2t.launch RANKS PARENT WORD ...`` is the process between ``t2t run`` and its ranks.
"""

import contextlib
import ctypes
import logging
import math
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any, cast

from t2t import log as logs
from t2t.config import RunConfig
from t2t.errors import ConfigError
from t2t.models.engines import visible_gpus

log = logging.getLogger("t2t.launch")

_PATIENCE_S = 30.0
_SAME_WISH_S = 2.0
"""Signals within this are one wish: make and timeout pass on what each of their processes gets by itself as well."""
_TRAIN_PATIENCE_S = 600.0
"""How long training may take to save a checkpoint once it is asked to end."""
_INTERRUPTED = (128 + signal.SIGINT, 128 + signal.SIGTERM)
_LAUNCHER_PREFIXES = ("ACCELERATE_", "TORCHELASTIC_", "GROUP_", "ROLE_", "FSDP_", "NCCL_ASYNC", "TORCH_NCCL")
_LAUNCHER_NAMES = {"RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"}


def is_launched() -> bool:
    """True in a rank of a launcher."""
    return "WORLD_SIZE" in os.environ


def check_ranks(config: RunConfig, settings: str) -> None:
    """Find out before any stage that training would not run as it is meant to.

    Args:
        config: the run.
        settings: words to repeat in the command that the error proposes.

    Raises:
        ConfigError: GPUs would stay idle, or there are fewer than the ranks, or one rank alone would shard.
    """
    if is_launched():
        num_ranks = int(os.environ["WORLD_SIZE"])
    else:
        gpus, asked = visible_gpus(), config.compute.num_processes
        if asked == 1 and len(gpus) > 1:
            raise ConfigError(
                f"{len(gpus)} GPUs are visible and one process would train on one of them; type: accelerate launch "
                f"--num_processes {len(gpus)} scripts/train.py {settings} (`t2t run` starts one process per GPU by "
                f"itself), or set CUDA_VISIBLE_DEVICES={gpus[0]}"
            )
        if gpus and asked > len(gpus):
            raise ConfigError(f"compute.num_processes={asked} is more than the {len(gpus)} GPUs that are visible")
        num_ranks = asked or len(gpus)
    if config.train.fsdp and num_ranks < 2:
        raise ConfigError(
            "train.fsdp=true shards the weights over several processes, and there would be one; "
            "set compute.num_processes, or train.fsdp=false"
        )


def run_stage(words: Sequence[str]) -> int:
    """Run ``python WORD ...`` clean of a launcher's variables.

    Returns:
        The exit code: 0, 2 for usage, 130 or 143 for an interruption, else 1.
    """
    return _run(words, _clean_environment(), _PATIENCE_S)


def run_training(words: Sequence[str], num_processes: int) -> int:
    """Run ``python WORD ...`` as this rank's part of a launch; without a launcher, as all ranks.

    Args:
        words: what each rank runs.
        num_processes: ranks to start where there is no launcher; 0 is one per GPU, or one without a GPU.

    Returns:
        As `run_stage`.
    """
    if is_launched():
        return _run(words, dict(os.environ), _TRAIN_PATIENCE_S)
    num_ranks = num_processes or max(1, len(visible_gpus()))
    if num_ranks > 1:
        words = ["-m", "t2t.launch", str(num_ranks), str(os.getpid()), *words]
    return _run(words, _clean_environment(), _TRAIN_PATIENCE_S)


def _run(words: Sequence[str], environment: dict[str, str], patience_s: float) -> int:
    child = subprocess.Popen([sys.executable, *words], env=environment)
    try:
        code = child.wait()
    except BaseException:
        _stop(child, patience_s)
        raise
    if code < 0:
        log.error("error: the process was killed by %s; the same command goes on", signal.Signals(-code).name)
    return code if code in (0, 2, *_INTERRUPTED) else 1


def _stop(child: subprocess.Popen[bytes], patience_s: float) -> None:
    """Ask a process to end and wait; one that takes too long is killed, as it is by a second signal to this one."""
    try:
        child.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(timeout=patience_s)
    finally:
        child.kill()


def _clean_environment() -> dict[str, str]:
    dropped = _LAUNCHER_NAMES | ({"OMP_NUM_THREADS"} if is_launched() else set[str]())
    return {
        name: value
        for name, value in os.environ.items()
        if name not in dropped and not name.startswith(_LAUNCHER_PREFIXES)
    }


def end_with(parent: int) -> None:
    """Ask the kernel to send SIGTERM to this process when its parent is gone, by whatever means (Linux).

    Raises:
        SystemExit: `parent`, the process id of who started this, is gone already.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)
    if os.getppid() != parent and not is_launched():
        raise SystemExit(1)


def exit_on_sigterm() -> None:
    """Turn SIGTERM into an ordinary exit, so that servers are stopped and files are closed."""
    asked_at = -math.inf

    def leave(number: int, frame: FrameType | None) -> None:
        nonlocal asked_at
        again, asked_at = time.monotonic() - asked_at < _SAME_WISH_S, time.monotonic()
        if not again:
            raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, leave)


def main(arguments: Sequence[str]) -> None:
    """Run ranks on this machine until all have ended: ``python -m t2t.launch RANKS PARENT WORD ...``.

    SIGTERM goes to every rank, which saves and ends; how long that takes is its own business.

    Raises:
        SystemExit: as the first rank that did not end well.
    """
    num_ranks, parent, *words = arguments
    signal.signal(signal.SIGTERM, _pass_on)
    end_with(int(parent))
    logs.configure()
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    for name in logging.root.manager.loggerDict:
        if name.startswith("torch.distributed"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, len(os.sched_getaffinity(0)) // int(num_ranks))))
    settings = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=int(num_ranks),
        run_id=uuid.uuid4().hex,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        local_addr="localhost",
        max_restarts=0,
        signals_to_handle="SIGINT,SIGHUP,SIGQUIT",
    )
    try:
        cast(Any, elastic_launch(settings, sys.executable))(*words)
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        code = failure.exitcode
        if code < 0:
            log.error(
                "error: training process %d of %s was killed by %s; the last checkpoint is kept, and the same command "
                "goes on from it",
                *(rank, num_ranks, signal.Signals(-code).name),
            )
        raise SystemExit(code if code > 0 else 1) from None


def _pass_on(number: int, frame: FrameType | None) -> None:
    """Send a signal to the processes that this one started; each rank leads a session of its own."""
    started = Path(f"/proc/self/task/{os.getpid()}/children").read_text(encoding="ascii").split()
    if not started:
        raise SystemExit(128 + number)
    for child in started:
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(child), number)


if __name__ == "__main__":
    main(sys.argv[1:])
