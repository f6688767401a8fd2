"""Several training processes: how they join, shard weights, agree to stop and notice a lost one.

accelerate does the work: DDP, where each rank holds the model whole, or FSDP2, where the ranks share
it. A rank is one process of a launch (``torchrun``, ``accelerate launch``, or ``t2t run`` with several
GPUs); without a launcher there is one, and everything here is a matter of course.
"""

import contextlib
import os
from collections.abc import Generator
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import torch
from accelerate import PartialState
from accelerate.utils import DistributedType

from t2t.config import TrainConfig
from t2t.errors import ConfigError, RunError

_PATIENCE = timedelta(hours=2)
"""How long ranks wait for each other: the main one merges and saves alone."""

_LOST = (
    "connection closed by peer",
    "connection reset by peer",
    "connection refused",
    "broken pipe",
    "timed out",
    "socket timeout",
    "remote process",
    "nccl",
    "failed to recv",
)
"""What gloo and NCCL say when another rank is gone, in lower case."""


def join(config: TrainConfig) -> PartialState:
    """Join the process group of a launch, or be the only rank where there is none.

    Raises:
        ConfigError: ``train.fsdp`` and the launch contradict each other.
    """
    on_gpu = torch.cuda.is_available()
    asked = os.environ.get("ACCELERATE_USE_FSDP", "false").lower() == "true"
    if asked and not config.fsdp:
        raise ConfigError("the launcher asks for FSDP and train.fsdp is false; set train.fsdp=true, or launch for DDP")
    # Gloo beside NCCL: small things such as a flag are agreed on without waiting for the GPU.
    state = PartialState(
        cpu=not on_gpu, timeout=_PATIENCE, **({"backend": "cuda:nccl,cpu:gloo"} if on_gpu and _launched() else {})
    )
    if config.fsdp and state.num_processes < 2:
        raise ConfigError(
            "train.fsdp=true shards the weights over several processes, and this is one; set compute.num_processes, "
            "or type: accelerate launch --config_file conf/accelerate/fsdp2.yaml --num_processes N scripts/train.py"
        )
    return state


def parallel_arguments(config: TrainConfig) -> dict[str, Any]:
    """What `SFTConfig` is told about several ranks; checkpoints of sharded weights are written in shards."""
    arguments: dict[str, Any] = {
        "ddp_find_unused_parameters": False,
        "ddp_timeout": int(_PATIENCE.total_seconds()),
    }
    if config.fsdp:
        arguments["fsdp"] = True
        arguments["fsdp_config"] = {
            "version": 2,
            "reshard_after_forward": True,
            "state_dict_type": "SHARDED_STATE_DICT",
        }
    return arguments


def allow_sharding(config: TrainConfig) -> None:
    """Have accelerate shard on the CPU as well; called after `SFTConfig` is made, which begins its state anew.

    It shards on accelerators only, and would hold the model whole on each rank without a word, though
    FSDP2 itself runs over gloo.
    """
    state = PartialState()
    if config.fsdp and state.distributed_type == DistributedType.MULTI_CPU:
        state.distributed_type = DistributedType.MULTI_GPU


def save_whole(trainer: Any, folder: Path) -> None:
    """Write what `trainer` trained to `folder`, gathered first where it is sharded; called on every rank."""
    if trainer.is_fsdp_enabled:
        trainer.accelerator.state.fsdp_plugin.set_state_dict_type("FULL_STATE_DICT")
    trainer.save_model(str(folder))


def any_rank(fact: bool) -> bool:
    """True on every rank when `fact` holds on one of them; every rank has to ask."""
    distributed = cast(Any, torch.distributed)
    if not distributed.is_initialized() or distributed.get_world_size() == 1:
        return fact
    flag = torch.tensor(int(fact))
    distributed.all_reduce(flag, op=distributed.ReduceOp.MAX)
    return bool(flag.item())


@contextlib.contextmanager
def noticing_lost_ranks() -> Generator[None]:
    """Turn what gloo or NCCL says when another rank is gone into one line.

    Raises:
        RunError: another rank is gone.
    """
    try:
        yield
    except RuntimeError as error:
        text = str(error).lower()
        if not _launched() or not any(words in text for words in _LOST):
            raise
        raise RunError(
            "another training process is gone, its own lines say why; the last checkpoint is kept, "
            "and the same command goes on from it"
        ) from error


def _launched() -> bool:
    return int(os.environ.get("WORLD_SIZE", "1")) > 1
