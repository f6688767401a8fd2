"""Fine-tune on tokenised talks with LoRA: TRL trains, packs save the work that rows share.

Writes ``adapter/`` and ``merged/`` (both servable by vLLM) and ``checkpoints/`` under one folder.
Works in one process and under ``accelerate launch``: every rank plans the same steps, ranks share
the packs of a step, and only the main process writes.
"""

import ctypes
import dataclasses
import difflib
import hashlib
import json
import logging
import math
import random
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from t2t.config import TrainConfig
from t2t.errors import ConfigError
from t2t.models.cpu import fast_cpu_dtype
from t2t.train.packing import Pack, TokenRow, fill_steps, group_rows, plan_epoch

log = logging.getLogger(__name__)

_MARK = "t2t_complete.json"
_LOG_EVERY_S = 10.0
_MAX_LORA_RANK = 512
"""Highest rank that vLLM serves."""

_OURS = {
    "learning_rate": "train.learning_rate",
    "num_train_epochs": "train.epochs",
    "max_steps": "train.epochs",
    "warmup_steps": "train.warmup_share",
    "warmup_ratio": "train.warmup_share",
    "max_length": "train.max_length",
    "save_steps": "train.save_steps",
    "save_strategy": "train.save_steps",
    "per_device_train_batch_size": "train.rows_per_pack",
    "gradient_accumulation_steps": "train.rows_per_step",
    "packing": "train.share_prefix",
    "padding_free": "train.share_prefix",
    "bf16": "train.dtype",
    "fp16": "train.dtype",
    "seed": "seed",
    "data_seed": "seed",
    "output_dir": "paths.runs",
    "dataset_kwargs": "train.max_length",
    "remove_unused_columns": "train.share_prefix",
    "train_sampling_strategy": "seed",
    "average_tokens_across_devices": "train.rows_per_step",
}
"""Arguments of `SFTConfig` that settings of this project decide."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a training run stands."""

    step: int
    """Optimiser steps done, those before a resume included."""
    num_steps: int
    """Steps in all."""
    loss: float
    """Loss per labelled token of the last step; NaN before the first."""
    real_tokens_per_s: float
    """Tokens per second since the start or the resume, each row counted with its own prefix."""
    seconds_left: float
    """Estimate from the tokens still to compute."""


@dataclass(frozen=True, slots=True)
class TrainResult:
    """What a training run leaves."""

    adapter_dir: Path
    """LoRA adapter in PEFT's format, with tokenizer and chat template."""
    merged_dir: Path
    """Whole checkpoint in bfloat16 with the adapter merged, with tokenizer and chat template."""
    history: list[dict[str, float]]
    """One entry per step: ``step``, ``loss``, ``learning_rate``, ``grad_norm`` and TRL's metrics."""
    num_steps: int
    """Optimiser steps."""
    tokens_real: int
    """Tokens of all rows over all epochs, each with its own prefix."""
    tokens_computed: int
    """Tokens that were computed for them."""
    seconds: float
    """Time spent training since the start or the resume."""


def train(
    rows: Sequence[TokenRow],
    config: TrainConfig,
    model_source: str,
    out_dir: Path,
    seed: int,
    progress: Callable[[Progress], None] | None = None,
) -> TrainResult:
    """Fine-tune a model on rows and save adapter and merged checkpoint.

    Goes on from the last complete checkpoint under `out_dir`, and then ends with the same loss as
    an undisturbed run.

    Args:
        rows: Talks in tokens; equal on every rank.
        config: Settings.
        model_source: Checkpoint folder, or a hub id.
        out_dir: Folder for ``adapter``, ``merged`` and ``checkpoints``.
        seed: Seed of the order and of the adapter's first weights.
        progress: Called on the main process after every step and every pack.

    Returns:
        The result, the same on every rank.

    Raises:
        ConfigError: Rows or settings that cannot work; before a model loads, but for targets it lacks.
        RunError: The loss is not finite; names the rows.
    """
    _check_rows(rows, config)
    _check_lora(config)
    _check_passthrough(config.trl)
    _quiet()
    import torch
    from accelerate import PartialState

    from t2t.train.trainer import MarkComplete, ProgressCallback

    state = PartialState(cpu=not torch.cuda.is_available())
    ranks, is_main = state.num_processes, state.is_main_process
    steps = plan_steps(rows, config, seed, ranks)
    packs = [pack for step in steps for pack in step]
    lengths = {row.id: len(row.input_ids) for row in rows}
    plan = _Plan(packs, lengths, len(steps), ranks)
    if is_main:
        _log_plan(rows, plan)
    checkpoints = out_dir / "checkpoints"
    mark = _fingerprint(rows, config, model_source, seed)
    resume_from = _last_complete(checkpoints, mark)
    start = _step_of(resume_from) if resume_from else 0
    if is_main and resume_from:
        log.info("train goes on from step %d/%d (%s)", start, len(steps), resume_from)

    reporter = _Reporter(plan, start, progress if is_main else None, is_main)
    trainer = build_trainer(packs, len(steps), config, model_source, str(checkpoints), seed, ranks)
    trainer.add_callback(ProgressCallback(reporter.report))
    trainer.add_callback(MarkComplete(_MARK, mark))
    tokenizer = trainer.processing_class
    began = time.monotonic()
    trainer.train(resume_from_checkpoint=str(resume_from) if resume_from else None)
    seconds = time.monotonic() - began

    adapter_dir, merged_dir = out_dir / "adapter", out_dir / "merged"
    trainer.save_model(str(adapter_dir))
    if is_main:
        tokenizer.save_pretrained(str(adapter_dir))
        (adapter_dir / "training_args.bin").unlink(missing_ok=True)
        _save_merged(adapter_dir, merged_dir, model_source)
        tokenizer.save_pretrained(str(merged_dir))
        log.info("train done: %d steps in %.0f s (%s)", len(steps), seconds, merged_dir)
    state.wait_for_everyone()
    history = [
        {**entry, "epoch": entry["epoch"] * config.epochs} for entry in trainer.state.log_history if "loss" in entry
    ]
    return TrainResult(
        adapter_dir, merged_dir, history, len(steps), sum(plan.real), sum(plan.computed), round(seconds, 3)
    )


def build_trainer(
    packs: Sequence[Pack],
    num_steps: int,
    config: TrainConfig,
    model_source: str,
    checkpoint_dir: str,
    seed: int,
    num_ranks: int,
) -> Any:
    """Load the model and give it, with all packs of a run in order, to TRL.

    Returns:
        A `t2t.train.trainer.PackTrainer`; `Any` because its bases have no types.
    """
    from datasets import Dataset
    from transformers import AutoTokenizer
    from transformers.trainer_callback import PrinterCallback

    from t2t.train.trainer import PackTrainer, collate, keep_loss_positions, to_columns

    _quiet()
    _keep_freed_memory()
    model, lora = _load(config, model_source)
    trainer: Any = PackTrainer(
        model=model,
        args=_sft_config(config, checkpoint_dir, seed, num_steps, len(packs) // num_steps // num_ranks),
        data_collator=collate,
        train_dataset=Dataset.from_dict(to_columns(packs)),
        processing_class=cast(Any, AutoTokenizer).from_pretrained(model_source),
        peft_config=lora,
    )
    trainer.remove_callback(PrinterCallback)
    trainer.model.get_base_model().base_model.register_forward_hook(keep_loss_positions, with_kwargs=True)
    return trainer


def plan_steps(rows: Sequence[TokenRow], config: TrainConfig, seed: int, num_ranks: int) -> list[list[Pack]]:
    """Plan every optimiser step of a run; equal on every rank.

    Returns:
        Packs by step; every step has the same number, a multiple of `num_ranks`.
    """
    groups = group_rows(rows, config.rows_per_pack)
    per_epoch = -(-len(rows) // config.rows_per_step)
    num_steps = max(1, math.ceil(config.epochs * per_epoch))
    steps: list[list[Pack]] = []
    for epoch in range(-(-num_steps // per_epoch)):
        rng = random.Random(f"{seed}/{epoch}")
        steps += plan_epoch(rows, groups, config.rows_per_step, config.rows_per_pack, config.share_prefix, rng)
    return fill_steps(steps[:num_steps], num_ranks)


@dataclass(frozen=True, slots=True)
class _Plan:
    """Token counts by pack, in the order of training."""

    packs: Sequence[Pack]
    lengths: dict[str, int]
    num_steps: int
    num_ranks: int

    @property
    def real(self) -> list[int]:
        return [sum(self.lengths[row_id] for row_id in pack.row_ids) for pack in self.packs]

    @property
    def computed(self) -> list[int]:
        return [len(pack.input_ids) for pack in self.packs]


class _Reporter:
    """Turns counts of packs into log lines and `Progress`."""

    def __init__(
        self, plan: _Plan, start_step: int, progress: Callable[[Progress], None] | None, is_main: bool
    ) -> None:
        self._plan = plan
        self._skipped = len(plan.packs) // plan.num_steps * start_step
        self._real, self._computed = _cumulated(plan.real), _cumulated(plan.computed)
        self._progress, self._is_main = progress, is_main
        self._logged = time.monotonic()

    def report(self, step: int, packs: int, loss: float, seconds: float) -> None:
        if not self._is_main:
            return
        done = min(self._skipped + packs * self._plan.num_ranks, len(self._plan.packs))
        real = self._real[done] - self._real[self._skipped]
        computed = self._computed[done] - self._computed[self._skipped]
        left = (self._computed[-1] - self._computed[done]) * seconds / max(computed, 1)
        now = Progress(step, self._plan.num_steps, loss, real / max(seconds, 1e-9), left)
        if time.monotonic() - self._logged >= _LOG_EVERY_S or done == len(self._plan.packs):
            self._logged = time.monotonic()
            log.info(
                "train %d/%d steps, loss %.4f, %.0f real tokens/s, %.0f s left",
                *(now.step, now.num_steps, now.loss, now.real_tokens_per_s, now.seconds_left),
            )
        if self._progress:
            self._progress(now)


def _cumulated(counts: Sequence[int]) -> list[int]:
    sums = [0]
    for count in counts:
        sums.append(sums[-1] + count)
    return sums


def _check_rows(rows: Sequence[TokenRow], config: TrainConfig) -> None:
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
    masked = [row.id for row in rows if all(label < 0 for label in row.labels[1:])]
    if masked:
        raise ConfigError(
            f"{len(masked)} of {len(rows)} rows have no token that carries loss, such as {masked[0]}; "
            "the agent says nothing in them"
        )


def _check_lora(config: TrainConfig) -> None:
    if config.lora_r > _MAX_LORA_RANK:
        raise ConfigError(f"train.lora_r={config.lora_r} is above {_MAX_LORA_RANK}, the highest rank that vLLM serves")
    if not config.lora_targets:
        raise ConfigError("train.lora_targets is empty; name at least one linear layer, such as q_proj")
    for name in config.lora_targets:
        if name in ("lm_head", "embed_tokens"):
            raise ConfigError(f"train.lora_targets holds {name!r}, which cannot be trained and served; leave it out")


def resolve_dtype(dtype: str) -> str:
    """Replace ``auto``: bfloat16 on a GPU, on a CPU what it multiplies fast."""
    import torch

    if dtype != "auto":
        return dtype
    return "bfloat16" if torch.cuda.is_available() else fast_cpu_dtype()


def _check_passthrough(arguments: dict[str, Any]) -> None:
    if not arguments:
        return
    _quiet()
    from trl.trainer.sft_config import SFTConfig

    known = [field.name for field in dataclasses.fields(SFTConfig)]
    for key in arguments:
        if key in _OURS:
            raise ConfigError(f"train.trl.{key} is decided by {_OURS[key]}; set that instead")
        if key not in known:
            near = difflib.get_close_matches(key, known, 1)
            hint = f"; did you mean train.trl.{near[0]}?" if near else ""
            raise ConfigError(f"train.trl.{key} is no argument of TRL's SFTConfig{hint}")


def _quiet() -> None:
    """Silence progress bars and notices of the libraries; what matters is logged by this module."""
    import datasets
    import transformers

    for name in ("transformers", "trl", "datasets", "accelerate", "peft"):
        logging.getLogger(name).setLevel(logging.ERROR)
    cast(Any, transformers).logging.disable_progress_bar()
    cast(Any, datasets).disable_progress_bars()


def _keep_freed_memory() -> None:
    """Have glibc keep freed blocks, where training runs on the CPU.

    Otherwise each large tensor is mapped and zeroed by the kernel anew.
    """
    import torch

    if sys.platform == "linux" and not torch.cuda.is_available():
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # absent in other C libraries
        if mallopt is not None:
            mallopt(-3, 1 << 30)
            mallopt(-1, (1 << 31) - 1)


def _load(config: TrainConfig, model_source: str) -> tuple[Any, Any]:
    """Load the model with packed attention, and make the adapter's settings for it."""
    import torch
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM

    from t2t.train import attention
    from t2t.train.lora import use_folded_linear

    attention.register()
    packed = config.share_prefix or config.rows_per_pack > 1
    dtype = getattr(torch, resolve_dtype(config.dtype))
    model: Any = cast(Any, AutoModelForCausalLM).from_pretrained(
        model_source, dtype=dtype, attn_implementation=attention.NAME if packed else "sdpa"
    )
    linear = {name.rsplit(".", 1)[-1] for name, module in model.named_modules() if isinstance(module, torch.nn.Linear)}
    for name in config.lora_targets:
        if name not in linear:
            raise ConfigError(
                f"train.lora_targets holds {name!r}, which {model_source} does not have; "
                f"it has {', '.join(sorted(linear - {'lm_head'}))}"
            )
    lora = LoraConfig(
        r=config.lora_r,
        lora_alpha=config.lora_alpha,
        lora_dropout=0.0,
        target_modules=list(config.lora_targets),
        task_type="CAUSAL_LM",
    )
    if dtype == torch.float32:
        use_folded_linear(lora)
    return model, lora


def _sft_config(config: TrainConfig, checkpoint_dir: str, seed: int, num_steps: int, packs_per_step: int) -> Any:
    """Make TRL's arguments; `packs_per_step` counts those of one rank."""
    import torch
    from trl.trainer.sft_config import SFTConfig

    on_gpu = torch.cuda.is_available()
    ours: dict[str, Any] = {
        "output_dir": checkpoint_dir,
        "learning_rate": config.learning_rate,
        "lr_scheduler_type": "cosine",
        "warmup_steps": math.ceil(config.warmup_share * num_steps),
        "max_steps": num_steps,
        "per_device_train_batch_size": 1,
        "gradient_accumulation_steps": packs_per_step,
        "max_length": None,
        "packing": False,
        "dataset_kwargs": {"skip_prepare_dataset": True},
        "remove_unused_columns": False,
        "train_sampling_strategy": "sequential",
        "average_tokens_across_devices": True,
        "bf16": on_gpu and resolve_dtype(config.dtype) == "bfloat16",
        "fp16": False,
        "use_cpu": not on_gpu,
        "dataloader_pin_memory": on_gpu,
        "ddp_find_unused_parameters": False,
        "gradient_checkpointing": False,
        "logging_steps": 1,
        "logging_nan_inf_filter": False,
        "save_strategy": "steps",
        "save_steps": config.save_steps,
        "save_total_limit": 2,
        "seed": seed,
        "data_seed": seed,
        "report_to": "none",
        "disable_tqdm": True,
        "log_level": "error",
        "log_level_replica": "error",
    }
    return SFTConfig(**{**ours, **config.trl})


def _fingerprint(rows: Sequence[TokenRow], config: TrainConfig, model_source: str, seed: int) -> str:
    """Identity of a run: a checkpoint of another one is never continued."""
    digest = hashlib.sha256()
    for row in rows:
        digest.update(json.dumps([row.id, list(row.input_ids), list(row.labels)]).encode())
    digest.update(json.dumps([config.model_dump(mode="json"), Path(model_source).name, seed]).encode())
    return json.dumps({"run": digest.hexdigest()})


def _last_complete(checkpoints: Path, mark: str) -> Path | None:
    complete = [path.parent for path in checkpoints.glob(f"checkpoint-*/{_MARK}")]
    for path in complete:
        if (path / _MARK).read_text(encoding="utf-8") != mark:
            raise ConfigError(f"{path} belongs to other rows or settings; delete {checkpoints} to train anew")
    return max(complete, key=_step_of, default=None)


def _step_of(checkpoint: Path) -> int:
    return int(checkpoint.name.rsplit("-", 1)[1])


def _log_plan(rows: Sequence[TokenRow], plan: _Plan) -> None:
    lengths = sorted(len(row.input_ids) for row in rows)
    quantiles = [lengths[round(share * (len(lengths) - 1))] for share in (0.0, 0.5, 0.9, 1.0)]
    real, computed = sum(plan.real), sum(plan.computed)
    log.info(
        "train on %d rows of %d/%d/%d/%d tokens (least, median, 90%%, most) in %d steps on %d ranks; "
        "%d tokens to compute instead of %d (%.2fx)",
        *(len(rows), *quantiles, plan.num_steps, plan.num_ranks, computed, real, real / computed),
    )


def _save_merged(adapter_dir: Path, merged_dir: Path, model_source: str) -> None:
    """Merge in float32 and round once, so that served weights lie as close as they can to the trained ones."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    base: Any = cast(Any, AutoModelForCausalLM).from_pretrained(model_source, dtype=torch.float32)
    merged = cast(Any, PeftModel).from_pretrained(base, str(adapter_dir)).merge_and_unload(safe_merge=True)
    merged.to(torch.bfloat16).save_pretrained(str(merged_dir))
