"""Fine-tune on tokenised talks: TRL trains, packs save the work that rows share.

Writes ``adapter/`` and ``merged/`` (both servable by vLLM), ``check.json`` and ``checkpoints/`` under
one folder. Works in one process and under ``accelerate launch``: every rank plans the same steps,
ranks share the packs of a step, and only the main process writes.
"""

import json
import logging
import math
import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, cast

from t2t.config import TrainConfig
from t2t.errors import RunError
from t2t.train.checkpoints import find_checkpoint, fingerprint, keep_complete, step_of
from t2t.train.checks import check_arguments, check_packages, check_rows
from t2t.train.memory import Estimate, plan_memory, way_out
from t2t.train.model import load_model, resolve_dtype, save_trained
from t2t.train.packing import Bundle, Pack, Plan, TokenRow, plan_run

log = logging.getLogger(__name__)

_LOG_EVERY_S = 10.0
_HIGH_RATE = 1e-4
"""Learning rate above which training all weights tends to undo what the model knows."""


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

    adapter_dir: Path | None
    """LoRA adapter in PEFT's format, with tokenizer and chat template; None where all weights are trained."""
    merged_dir: Path
    """Whole checkpoint in bfloat16 with the adapter merged, with tokenizer and chat template."""
    history: list[dict[str, float]]
    """One entry per step: ``step``, ``loss``, ``learning_rate``, ``grad_norm``, ``mean_token_accuracy``,
    ``real_tokens_per_s`` and ``epoch``."""
    num_steps: int
    """Optimiser steps."""
    tokens_real: int
    """Tokens of all rows over all epochs, each with its own prefix."""
    tokens_computed: int
    """Tokens that were computed for them."""
    seconds: float
    """Time spent training since the start or the resume."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A loaded model and how it is going to be trained."""

    model: Any
    """Causal language model of transformers."""
    lora: Any
    """PEFT's `LoraConfig`, or None."""
    plan: Plan
    """Every step."""
    memory: Estimate
    """What it needs."""
    alone: bool
    """Whether the model can compute one row at a time only, with its own attention."""


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
        out_dir: Folder for ``adapter``, ``merged``, ``check.json`` and ``checkpoints``.
        seed: Seed of the order and of the adapter's first weights.
        progress: Called on the main process after every step and every pack.

    Returns:
        The result, the same on every rank.

    Raises:
        ConfigError: Rows or settings that cannot work; before a model loads, but for targets it lacks.
        RunError: The loss is not finite; memory or disk ran out; another rank is gone.
        SystemExit: 143 after SIGTERM, with a checkpoint saved.
    """
    check_rows(rows, config)
    check_packages(config)
    quiet()
    from trl.trainer.sft_config import SFTConfig

    from t2t.train import ranks

    check_arguments(config.trl, SFTConfig)
    state = ranks.join(config)
    checkpoints = out_dir / "checkpoints"
    mark = fingerprint(rows, config, model_source, seed)
    resume_from = open_checkpoints(checkpoints, mark, config, state)
    prepared = prepare(rows, config, model_source, seed, state.num_processes)
    plan = prepared.plan
    start = step_of(resume_from) if resume_from else 0
    if state.is_main_process:
        for line in [*plan.describe(), *prepared.memory.lines()]:
            log.info("train: %s", line)
        if config.adapter == "none" and config.learning_rate > _HIGH_RATE:
            log.warning("train.learning_rate=%g is high for all weights; 1e-5 is usual", config.learning_rate)
        if resume_from:
            log.info("train goes on from step %d/%d (%s)", start, plan.num_steps, resume_from)
    reporter = _Reporter(plan, start, progress if state.is_main_process else None, state.is_main_process)
    trainer = build_trainer(prepared, rows, config, model_source, checkpoints, seed, mark)
    with ranks.noticing_lost_ranks():
        advice = way_out(prepared.memory.tokens_per_pack, prepared.memory.recompute)
        seconds = run_trainer(trainer, reporter.report, resume_from, advice)
        write_check(trainer, _spread(rows, config.parity_prompts), out_dir, alone=prepared.alone)
        adapter_dir = save_trained(trainer, config, model_source, out_dir)
        if state.is_main_process:
            log.info("train done: %d steps in %.0f s (%s)", plan.num_steps, seconds, out_dir / "merged")
        state.wait_for_everyone()
    history = [
        {**entry, "epoch": entry["epoch"] * config.epochs} for entry in trainer.state.log_history if "loss" in entry
    ]
    return TrainResult(
        adapter_dir,
        out_dir / "merged",
        history,
        plan.num_steps,
        plan.tokens_real,
        plan.tokens_computed,
        round(seconds, 3),
    )


def prepare(rows: Sequence[TokenRow], config: TrainConfig, model_source: str, seed: int, num_ranks: int) -> Prepared:
    """Load the model, find out how it can be packed, and plan every step; equal on every rank.

    Raises:
        ConfigError: The model lacks a target of the adapter.
    """
    import torch

    from t2t.train.loss import add_loss
    from t2t.train.sharing import choose_packing

    memory = _agree(plan_memory(config, model_source, max(len(row.input_ids) for row in rows), num_ranks), num_ranks)
    model, lora = load_model(config, model_source)
    if torch.cuda.is_available() and not config.fsdp and config.quantize == "none":
        model.to(torch.cuda.current_device())  # so that packing is tried with the attention that trains
    packing = choose_packing(model, "packed" if config.share_prefix == "never" else "shared")
    share: Literal["auto", "always", "never"] = config.share_prefix if packing == "shared" else "never"
    plan = plan_run(
        rows,
        epochs=config.epochs,
        loss_tokens_per_step=config.loss_tokens_per_step,
        tokens_per_pack=1 if packing == "single" else memory.tokens_per_pack,
        share=share,
        seed=seed,
        num_ranks=num_ranks,
    )
    add_loss(model)
    if config.compile:
        compile_blocks(model)
    return Prepared(model, lora, plan, memory, alone=packing == "single")


def build_trainer(
    prepared: Prepared,
    rows: Sequence[TokenRow],
    config: TrainConfig,
    model_source: str,
    checkpoint_dir: Path,
    seed: int,
    mark: str = "",
) -> Any:
    """Give model and packs, in their order, to TRL.

    Returns:
        A `t2t.train.trainer.PackTrainer`; `Any` because its bases have no types.
    """
    from datasets import Dataset
    from transformers import AutoTokenizer
    from transformers.trainer_callback import PrinterCallback
    from trl.trainer.sft_config import SFTConfig

    from t2t.train.ranks import allow_sharding
    from t2t.train.trainer import PackTrainer, to_batch

    quiet()
    plan = prepared.plan
    packs = [pack for step in plan.steps for pack in step]
    per_rank = len(plan.steps[0]) // plan.num_ranks
    arguments: dict[str, Any] = {
        **common_arguments(config, checkpoint_dir, seed, plan.num_steps, prepared.memory.recompute),
        "per_device_train_batch_size": 1,
        "gradient_accumulation_steps": per_rank,
        "max_length": None,
        "packing": False,
        "dataset_kwargs": {"skip_prepare_dataset": True},
        "remove_unused_columns": False,
        "train_sampling_strategy": "sequential",
        "router_aux_loss_coef": 0.0,
    }
    settings = SFTConfig(**{**arguments, **config.trl})
    allow_sharding(config)
    trainer: Any = PackTrainer(
        plan,
        {row.id: len(row.input_ids) for row in rows},
        model=prepared.model,
        args=settings,
        data_collator=lambda items: to_batch(packs[items[0]["pack"]], alone=prepared.alone),
        train_dataset=Dataset.from_dict({"pack": list(range(len(packs)))}),
        processing_class=cast(Any, AutoTokenizer).from_pretrained(model_source),
        peft_config=prepared.lora,
    )
    trainer.mark = mark
    trainer.remove_callback(PrinterCallback)
    return trainer


def run_trainer(
    trainer: Any, report: Callable[[int, int, float, float], None], resume_from: Path | None, advice: str
) -> float:
    """Train to the end.

    Args:
        trainer: A trainer of TRL with `t2t.train.trainer.CheckpointedTrainer`.
        report: See `t2t.train.trainer.ProgressCallback`.
        resume_from: Checkpoint to go on from.
        advice: What to set when memory runs out.

    Returns:
        Seconds it took.

    Raises:
        RunError: Memory ran out; names the setting to lower.
        SystemExit: 143 after SIGTERM, with a checkpoint saved.
    """
    import torch

    from t2t.train.trainer import ProgressCallback, StopOnSigterm

    stop = StopOnSigterm()
    trainer.add_callback(ProgressCallback(report))
    trainer.add_callback(stop)
    began = time.monotonic()
    try:
        with stop:
            trainer.train(resume_from_checkpoint=str(resume_from) if resume_from else None)
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError | torch.OutOfMemoryError) and "can't allocate memory" not in str(error):
            raise
        raise RunError(f"step {trainer.state.global_step + 1}: out of memory; {advice}") from error
    if stop.stopped:
        step, last = trainer.state.global_step, trainer.state.max_steps
        if trainer.accelerator.is_main_process:
            log.warning("train stopped after step %d/%d as asked; the same command goes on from there", step, last)
        raise SystemExit(143)
    return time.monotonic() - began


def write_check(trainer: Any, rows: Sequence[TokenRow], out_dir: Path, alone: bool) -> None:
    """Write ``check.json``: rows and their mean loss per labelled token under the trained weights.

    Every rank takes part; the main one writes. `alone` is that of `Prepared`.
    """
    from t2t.train.trainer import losses_of

    packs = [Pack((row,), (Bundle(0, (len(row.input_ids),)),)) for row in rows]
    losses = losses_of(trainer.model, packs, alone)
    if trainer.accelerator.is_main_process:
        checks = [
            {
                "id": row.id,
                "input_ids": [int(i) for i in row.input_ids],
                "labels": [int(i) for i in row.labels],
                "loss": loss,
            }
            for row, loss in zip(rows, losses, strict=True)
        ]
        (out_dir / "check.json").write_text(json.dumps({"rows": checks}), encoding="utf-8")


def open_checkpoints(folder: Path, mark: str, config: TrainConfig, state: Any) -> Path | None:
    """Find what to go on from, and clear away what is torn; every rank calls.

    Returns:
        The last complete checkpoint; None where there is none, or ``resume=never``.

    Raises:
        ConfigError: It belongs to another run.
    """
    if state.is_main_process:
        if config.resume == "never":
            shutil.rmtree(folder, ignore_errors=True)
        keep_complete(folder, 2)
    state.wait_for_everyone()
    return find_checkpoint(folder, mark)


def common_arguments(
    config: TrainConfig, checkpoint_dir: Path, seed: int, num_steps: int, recompute: bool
) -> dict[str, Any]:
    """Arguments that every trainer of TRL takes here."""
    import torch

    from t2t.train.ranks import parallel_arguments

    on_gpu = torch.cuda.is_available()
    bfloat16 = resolve_dtype(config.dtype) == "bfloat16"
    whole_shards = config.fsdp and config.adapter == "none"
    _name_trackers(checkpoint_dir.parent)
    return {
        "output_dir": str(checkpoint_dir),
        "learning_rate": config.learning_rate,
        "lr_scheduler_type": "cosine",
        "warmup_steps": math.ceil(config.warmup_share * num_steps),
        "max_steps": num_steps,
        "average_tokens_across_devices": True,
        # Weights that are trained themselves stay in float32 and are cast as they are used.
        "bf16": bfloat16 and (on_gpu or config.adapter == "none"),
        "fp16": False,
        "use_cpu": not on_gpu,
        "dataloader_pin_memory": on_gpu,
        "gradient_checkpointing": recompute,
        "gradient_checkpointing_kwargs": {"use_reentrant": False} if recompute else None,
        "logging_steps": 1,
        "logging_nan_inf_filter": False,
        "save_strategy": "steps",
        "save_steps": config.save_steps,
        "save_total_limit": 2,
        "seed": seed,
        "data_seed": seed,
        "report_to": list(config.report_to) or "none",
        "project": "t2t",
        "run_name": checkpoint_dir.parent.name,
        "disable_tqdm": True,
        "log_level": "error",
        "log_level_replica": "error",
        # Otherwise each rank would hold the gradient of all weights between the packs of a step.
        "accelerator_config": {"gradient_accumulation_kwargs": {"sync_each_batch": True}} if whole_shards else None,
        **parallel_arguments(config),
    }


def compile_blocks(model: Any) -> None:
    """Compile each repeated block by itself: all share one compiled function, ready in a fraction of the time."""
    blocks: set[str] = set(model._no_split_modules or ())
    for module in model.modules():
        if type(module).__name__ in blocks:
            module.compile(dynamic=True)


def quiet() -> None:
    """Silence progress bars and notices of the libraries; what matters is logged by this module."""
    import datasets
    import transformers

    for name in ("transformers", "trl", "datasets", "accelerate", "peft", "bitsandbytes"):
        logging.getLogger(name).setLevel(logging.ERROR)
    cast(Any, transformers).logging.disable_progress_bar()
    cast(Any, datasets).disable_progress_bars()


class _Reporter:
    """Turns counts of packs into log lines and `Progress`."""

    def __init__(self, plan: Plan, start_step: int, progress: Callable[[Progress], None] | None, is_main: bool) -> None:
        packs = [pack for step in plan.steps for pack in step]
        self._num_steps, self._num_ranks = plan.num_steps, plan.num_ranks
        self._skipped = len(plan.steps[0]) * start_step
        self._real = _cumulated([sum(len(row.input_ids) for row in pack.rows if pack.row_ids) for pack in packs])
        self._computed = _cumulated([pack.num_tokens for pack in packs])
        self._progress, self._is_main = progress, is_main
        self._logged = time.monotonic()

    def report(self, step: int, packs: int, loss: float, seconds: float) -> None:
        if not self._is_main:
            return
        whole = len(self._computed) - 1
        done = min(self._skipped + packs * self._num_ranks, whole)
        real = self._real[done] - self._real[self._skipped]
        computed = self._computed[done] - self._computed[self._skipped]
        left = (self._computed[-1] - self._computed[done]) * seconds / max(computed, 1)
        now = Progress(step, self._num_steps, loss, real / max(seconds, 1e-9), left)
        if time.monotonic() - self._logged >= _LOG_EVERY_S or done == whole:
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


def _spread(rows: Sequence[TokenRow], count: int) -> list[TokenRow]:
    """At most `count` rows, evenly over all."""
    step = max(1, len(rows) // count)
    return [rows[i] for i in range(0, len(rows), step)][:count]


def _agree(memory: Estimate, num_ranks: int) -> Estimate:
    """Take the smallest packs that any rank has room for."""
    if num_ranks == 1:
        return memory
    from accelerate.utils import gather_object

    everywhere = cast(list[Estimate], gather_object([memory]))
    return replace(
        memory,
        tokens_per_pack=min(one.tokens_per_pack for one in everywhere),
        recompute=any(one.recompute for one in everywhere),
    )


def _name_trackers(folder: Path) -> None:
    """Tell trackers that read variables what TRL cannot tell them."""
    os.environ.setdefault("WANDB_PROJECT", "t2t")
    os.environ.setdefault("MLFLOW_EXPERIMENT_NAME", "t2t")
    os.environ.setdefault("TENSORBOARD_LOGGING_DIR", str(folder / "tensorboard"))
