"""What can be known to fail before a model is loaded, each in one line with a way out."""

import dataclasses
import difflib
import importlib.util
from collections.abc import Sequence
from typing import Any

import numpy as np

from t2t.config import TrainConfig
from t2t.errors import ConfigError
from t2t.train.packing import TokenRow

_DECIDED_BY = {
    "learning_rate": "train.learning_rate",
    "num_train_epochs": "train.epochs",
    "max_steps": "train.epochs",
    "warmup_steps": "train.warmup_share",
    "warmup_ratio": "train.warmup_share",
    "max_length": "train.max_length",
    "save_steps": "train.save_steps",
    "save_strategy": "train.save_steps",
    "per_device_train_batch_size": "train.tokens_per_pack",
    "gradient_accumulation_steps": "train.loss_tokens_per_step",
    "average_tokens_across_devices": "train.loss_tokens_per_step",
    "auto_find_batch_size": "train.tokens_per_pack",
    "packing": "train.share_prefix",
    "padding_free": "train.share_prefix",
    "remove_unused_columns": "train.share_prefix",
    "gradient_checkpointing": "train.recompute",
    "gradient_checkpointing_kwargs": "train.recompute",
    "torch_compile": "train.compile",
    "fsdp": "train.fsdp",
    "fsdp_config": "train.fsdp",
    "bf16": "train.dtype",
    "fp16": "train.dtype",
    "seed": "seed",
    "data_seed": "seed",
    "train_sampling_strategy": "seed",
    "output_dir": "paths.runs",
    "dataset_kwargs": "train.max_length",
    "beta": "train.dpo_beta",
    "report_to": "train.report_to",
    "push_to_hub": "hub.push",
    "hub_model_id": "hub.repo",
    "chat_template_path": "model.template",
    "eos_token": "model.template",
    "assistant_only_loss": "train.loss_from",
    "completion_only_loss": "train.loss_from",
}
"""Arguments of TRL's configurations that settings of this project decide."""

_WITHOUT_EFFECT = ("loss_type", "label_smoothing_factor", "router_aux_loss_coef", "logging_steps", "logging_strategy")
"""Arguments of `SFTConfig` that say how TRL computes and logs a loss, which `t2t.train.trainer` does itself."""


def check_rows(rows: Sequence[TokenRow], config: TrainConfig) -> None:
    """Refuse rows that cannot be trained on.

    Raises:
        ConfigError: There are none; or one is torn, too long, of another's id, or without loss.
    """
    if not rows:
        raise ConfigError("there are no rows to train on; keep more examples in the filter stage")
    if len({row.id for row in rows}) != len(rows):
        raise ConfigError("two rows to train on have the same id; ids must be unique")
    for row in rows:
        if len(row.input_ids) != len(row.labels):
            raise ConfigError(f"row {row.id} has {len(row.input_ids)} tokens but {len(row.labels)} labels")
    longest = max(rows, key=lambda row: len(row.input_ids))
    if len(longest.input_ids) > config.max_length:
        raise ConfigError(
            f"row {longest.id} has {len(longest.input_ids)} tokens, more than train.max_length={config.max_length}; "
            f"set train.max_length={len(longest.input_ids)} or filter such rows"
        )
    masked = [row.id for row in rows if row.weight <= 0 or not bool((np.asarray(row.labels)[1:] >= 0).any())]
    if masked:
        raise ConfigError(
            f"{len(masked)} of {len(rows)} rows have no token that carries loss, such as {masked[0]}; "
            "the agent says nothing in them"
        )


def check_arguments(arguments: dict[str, Any], settings: type[Any]) -> None:
    """Refuse arguments of ``train.trl`` that `settings`, a configuration class of TRL, lacks or does not decide.

    Raises:
        ConfigError: Names the argument and what to set instead.
    """
    known = [field.name for field in dataclasses.fields(settings)]
    for key in arguments:
        if key in _DECIDED_BY:
            raise ConfigError(f"train.trl.{key} is decided by {_DECIDED_BY[key]}; set that instead")
        if key not in known:
            near = difflib.get_close_matches(key, known, 1)
            hint = f"; did you mean train.trl.{near[0]}?" if near else ""
            raise ConfigError(f"train.trl.{key} is no argument of TRL's {settings.__name__}{hint}")
        if key in _WITHOUT_EFFECT and settings.__name__ == "SFTConfig":
            raise ConfigError(f"train.trl.{key} has no effect: loss and its logging are not TRL's here; leave it out")


def check_packages(config: TrainConfig) -> None:
    """Refuse settings whose package, or device, is missing.

    Raises:
        ConfigError: Says what to type.
    """
    if config.quantize != "none" and importlib.util.find_spec("bitsandbytes") is None:
        raise ConfigError(f"train.quantize={config.quantize} needs bitsandbytes; type: pip install 't2t[quantize]'")
    if config.quantize == "nf4":
        import torch

        if not torch.cuda.is_available():
            raise ConfigError(
                "train.quantize=nf4 needs a GPU: on a CPU bitsandbytes lays 4-bit weights out for serving alone; "
                "set train.quantize=int8 or none"
            )
    for name in config.report_to:
        if importlib.util.find_spec(name) is None:
            raise ConfigError(f"train.report_to holds {name!r}, which is not installed; type: pip install {name}")
