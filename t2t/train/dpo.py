"""Learn from pairs of a right and a wrong talk of one task: TRL's DPO over the agent's tokens.

A pair is rendered as its two talks are rendered for fine-tuning, token for token. Only what the agent said behind
their common beginning counts, so tools and the caller weigh nothing. The reference is the untuned model: with an
adapter the same weights without it, else a second copy. Writes what `t2t.train.sft` writes.

Source: Rafailov et al. 2023, arXiv:2305.18290.
"""

import logging
import math
import random
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np

from t2t.config import TrainConfig
from t2t.errors import ConfigError
from t2t.models.rendering import Renderer
from t2t.records import Pair, Turn
from t2t.train.checkpoints import fingerprint, step_of
from t2t.train.checks import check_arguments, check_packages, check_rows
from t2t.train.memory import Estimate, plan_memory
from t2t.train.model import load_model, save_trained
from t2t.train.packing import IGNORE, TokenRow
from t2t.train.sft import (
    TrainResult,
    common_arguments,
    compile_blocks,
    open_checkpoints,
    quiet,
    run_trainer,
    write_check,
)

log = logging.getLogger(__name__)

_LOG_EVERY_S = 10.0


class TokenPair(NamedTuple):
    """Two talks of one task in tokens."""

    id: str
    """Names the pair in messages."""
    chosen: TokenRow
    """The talk to prefer; it has labels where the agent spoke behind what both talks begin with."""
    rejected: TokenRow
    """The other talk, in the same way."""


class Steps(NamedTuple):
    """Which pairs each optimiser step learns from."""

    order: list[int]
    """Places of pairs, step by step; of length ``num_steps * per_step``."""
    per_step: int
    """Pairs per step over all ranks: a power of two, or a multiple of the ranks where they do not divide it."""

    @property
    def num_steps(self) -> int:
        """Optimiser steps."""
        return len(self.order) // self.per_step


def encode_pair(
    pair: Pair, renderer: Renderer, chosen_turns: Sequence[Turn] = (), rejected_turns: Sequence[Turn] = ()
) -> TokenPair:
    """Render both talks of a pair.

    Args:
        pair: The pair.
        renderer: The renderer of the rollouts.
        chosen_turns: Turns of the agent in the successful rollout, where they have token ids.
        rejected_turns: The same of the failed one.
    """
    chosen = renderer.encode((*pair.prompt, *pair.chosen), pair.tools, chosen_turns)
    rejected = renderer.encode((*pair.prompt, *pair.rejected), pair.tools, rejected_turns)
    shared = 0
    for one, other in zip(chosen.input_ids, rejected.input_ids, strict=False):
        if one != other:
            break
        shared += 1
    right, wrong = (
        TokenRow(f"{pair.id} {side}", encoded.input_ids, [IGNORE] * shared + encoded.labels[shared:])
        for side, encoded in (("chosen", chosen), ("rejected", rejected))
    )
    return TokenPair(pair.id, right, wrong)


def train(pairs: Sequence[TokenPair], config: TrainConfig, model_source: str, out_dir: Path, seed: int) -> TrainResult:
    """Teach a model to prefer the chosen talks, and save adapter and merged checkpoint.

    Goes on from the last complete checkpoint under `out_dir`, and then ends as an undisturbed run.

    Args:
        pairs: Pairs in tokens; equal on every rank.
        config: Settings.
        model_source: Checkpoint folder, or a hub id.
        out_dir: Folder for ``adapter``, ``merged``, ``check.json`` and ``checkpoints``.
        seed: Seed of the order and of the adapter's first weights.

    Returns:
        The result, the same on every rank; `history` also has TRL's ``rewards/margins`` and ``rewards/accuracies``.

    Raises:
        ConfigError: Pairs or settings that cannot work.
        RunError: The loss is not finite; memory or disk ran out; another rank is gone.
        SystemExit: 143 after SIGTERM, with a checkpoint saved.
    """
    rows = [row for pair in pairs for row in (pair.chosen, pair.rejected)]
    if not pairs:
        raise ConfigError("there are no pairs to train on; raise rollout.attempts")
    check_rows(rows, config)
    check_packages(config)
    quiet()
    from trl.trainer.dpo_config import DPOConfig

    from t2t.train import ranks

    check_arguments(config.trl, DPOConfig)
    state = ranks.join(config)
    checkpoints = out_dir / "checkpoints"
    mark = fingerprint(rows, config, model_source, seed)
    resume_from = open_checkpoints(checkpoints, mark, config, state)
    steps = plan_steps(pairs, config, seed, state.num_processes)
    start = step_of(resume_from) if resume_from else 0
    if state.is_main_process:
        log.info("train on %d pairs in %d steps of %d", len(pairs), steps.num_steps, steps.per_step)
        if resume_from:
            log.info("train goes on from step %d/%d (%s)", start, steps.num_steps, resume_from)
    memory = _plan_memory(pairs, config, model_source, state.num_processes)
    trainer = build_trainer(pairs, steps, config, model_source, checkpoints, seed, memory, mark)
    report = _Reporter(start, steps.num_steps, trainer if state.is_main_process else None).report
    with ranks.noticing_lost_ranks():
        seconds = run_trainer(trainer, report, resume_from, _way_out(memory))
        write_check(trainer, [pair.chosen for pair in pairs[: config.parity_prompts]], out_dir, alone=True)
        adapter_dir = save_trained(trainer, config, model_source, out_dir)
        if state.is_main_process:
            log.info("train done: %d steps in %.0f s (%s)", steps.num_steps, seconds, out_dir / "merged")
        state.wait_for_everyone()
    history = [
        {**entry, "epoch": entry["epoch"] * config.epochs} for entry in trainer.state.log_history if "loss" in entry
    ]
    lengths = [(len(pair.chosen.input_ids), len(pair.rejected.input_ids)) for pair in pairs]
    return TrainResult(
        adapter_dir,
        out_dir / "merged",
        history,
        steps.num_steps,
        sum(sum(lengths[place]) for place in steps.order),
        sum(2 * max(lengths[place]) for place in steps.order),
        round(seconds, 3),
    )


def plan_steps(pairs: Sequence[TokenPair], config: TrainConfig, seed: int, num_ranks: int) -> Steps:
    """Order the pairs of a run into steps of about ``loss_tokens_per_step`` tokens that count.

    Every step holds equally many pairs, since every pair weighs the same whatever its length; the last step goes on
    with the pairs of another epoch.
    """
    counting = sum(int(np.count_nonzero(np.asarray(row.labels) != IGNORE)) for pair in pairs for row in pair[1:])
    wanted = max(1.0, config.loss_tokens_per_step * len(pairs) / counting)
    per_step = 2 ** min(round(math.log2(wanted)), int(math.log2(len(pairs))))
    per_step = -(-per_step // num_ranks) * num_ranks
    total = math.ceil(config.epochs * len(pairs) / per_step) * per_step
    order: list[int] = []
    for epoch in range(-(-total // len(pairs))):
        places = list(range(len(pairs)))
        random.Random(f"{seed}/{epoch}").shuffle(places)
        order += places
    return Steps(order[:total], per_step)


def build_trainer(
    pairs: Sequence[TokenPair],
    steps: Steps,
    config: TrainConfig,
    model_source: str,
    checkpoint_dir: Path,
    seed: int,
    memory: Estimate,
    mark: str = "",
) -> Any:
    """Load the model and give it, with the pairs in their order, to TRL.

    Returns:
        A `t2t.train.dpo_trainer.PairTrainer`; `Any` because its bases have no types.
    """
    from accelerate import PartialState
    from datasets import Dataset
    from transformers import AutoTokenizer
    from transformers.trainer_callback import PrinterCallback
    from trl.trainer.dpo_config import DPOConfig

    from t2t.train.dpo_trainer import PairTrainer, collate, to_columns
    from t2t.train.loss import add_loss
    from t2t.train.ranks import allow_sharding

    quiet()
    model, lora = load_model(config, model_source, "sdpa")
    # For the losses of `write_check`; TRL's own head lies over it.
    add_loss(model)
    if config.compile:
        compile_blocks(model)
    arguments = {
        **common_arguments(config, checkpoint_dir, seed, steps.num_steps, memory.recompute),
        "beta": config.dpo_beta,
        "per_device_train_batch_size": 1,
        "gradient_accumulation_steps": steps.per_step // PartialState().num_processes,
        "max_length": None,
        "remove_unused_columns": False,
        "train_sampling_strategy": "sequential",
    }
    settings = cast(Any, DPOConfig)(**{**arguments, **config.trl})
    allow_sharding(config)
    trainer: Any = PairTrainer(
        model=model,
        args=settings,
        data_collator=collate,
        train_dataset=cast(Any, Dataset).from_dict(to_columns(pairs)).select(steps.order),
        processing_class=cast(Any, AutoTokenizer).from_pretrained(model_source),
        peft_config=lora,
    )
    trainer.mark = mark
    trainer.remove_callback(PrinterCallback)
    return trainer


def _plan_memory(pairs: Sequence[TokenPair], config: TrainConfig, model_source: str, num_ranks: int) -> Estimate:
    """As for rows, of which a pass computes two; a second copy of the model where all weights are trained."""
    longest = max(2 * max(len(row.input_ids) for row in pair[1:]) for pair in pairs)
    memory = plan_memory(config.model_copy(update={"tokens_per_pack": longest}), model_source, longest, num_ranks)
    return replace(memory, weights=memory.weights * 2) if config.adapter == "none" else memory


def _way_out(memory: Estimate) -> str:
    if not memory.recompute:
        return "set train.recompute=always"
    return (
        f"the longest pair takes {memory.tokens_per_pack} tokens; leave it out, or train an adapter on a quantised base"
    )


class _Reporter:
    """Logs where a run stands, once in a while; nothing without a trainer."""

    def __init__(self, start_step: int, num_steps: int, trainer: Any) -> None:
        self._start, self._num_steps, self._trainer = start_step, num_steps, trainer
        self._logged = time.monotonic()

    def report(self, step: int, _pairs: int, loss: float, seconds: float) -> None:
        now = time.monotonic()
        if self._trainer is None or (now - self._logged < _LOG_EVERY_S and step < self._num_steps):
            return
        self._logged = now
        history = [entry for entry in self._trainer.state.log_history if "rewards/margins" in entry]
        left = (self._num_steps - step) * seconds / max(1, step - self._start)
        log.info(
            "train %d/%d steps, loss %.4f, margin %.3f, %.0f s left",
            *(step, self._num_steps, loss, history[-1]["rewards/margins"] if history else 0.0, left),
        )
