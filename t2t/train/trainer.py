"""TRL's `SFTTrainer` fed with packs. Imports torch and TRL, so only `t2t.train.sft` imports it."""

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import torch
from transformers import TrainerCallback
from trl.trainer.sft_trainer import SFTTrainer

from t2t.errors import RunError
from t2t.train.packing import IGNORE, Pack


def to_columns(packs: Sequence[Pack]) -> dict[str, list[Any]]:
    """Columns of a data set with one pack per row, in TRL's names for tokens that are ready."""
    return {
        "input_ids": [pack.input_ids for pack in packs],
        "position_ids": [pack.position_ids for pack in packs],
        "labels": [pack.labels for pack in packs],
        "pack_layout": [[pack.prefix_length, *pack.branch_lengths] for pack in packs],
        "row_ids": [list(pack.row_ids) for pack in packs],
    }


def collate(items: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Turn one pack into the model's arguments.

    Args:
        items: Exactly one row of `to_columns`.

    Returns:
        ``loss_positions`` are the positions whose next token carries loss and ``shift_labels`` those
        next tokens; both have shape (1, m). All else has shape (1, n) or is plain data.
    """
    (item,) = items
    labels = torch.tensor([item["labels"]])
    targets = labels[:, 1:]
    positions = (targets[0] != IGNORE).nonzero()[:, 0]
    return {
        "input_ids": torch.tensor([item["input_ids"]]),
        "position_ids": torch.tensor([item["position_ids"]]),
        "labels": labels,
        "shift_labels": targets[:, positions],
        "loss_positions": positions[None],
        "pack_layout": tuple(item["pack_layout"]),
        "row_ids": tuple(item["row_ids"]),
    }


def keep_loss_positions(_module: Any, _args: Any, kwargs: dict[str, Any], output: Any) -> Any:
    """Forward hook of the backbone: hand only positions with a label on to the LM head.

    TRL's head scores every position unless Triton is there, and a vocabulary of 49,152 is a fifth of
    the weights of a 135M model.
    """
    positions = kwargs.get("loss_positions")
    if positions is not None:
        output.last_hidden_state = output.last_hidden_state[:, positions[0]]
    return output


class PackTrainer(SFTTrainer):
    """`SFTTrainer` that names the rows of a loss that is not a number."""

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """As in TRL; stops the run on a loss that is not finite."""
        row_ids: tuple[str, ...] = inputs.pop("row_ids")
        loss = cast(Any, super()).compute_loss(model, inputs, return_outputs, num_items_in_batch)
        if not math.isfinite(float(loss.detach())):
            raise RunError(
                f"step {cast(Any, self).state.global_step + 1}: the loss is {float(loss.detach())} on rows "
                f"{', '.join(row_ids)}; lower train.learning_rate, or look at these rows"
            )
        return loss


class ProgressCallback(TrainerCallback):
    """Counts packs and hands step, loss and elapsed time on."""

    def __init__(self, report: Callable[[int, int, float, float], None]) -> None:
        """Take `report(step, packs of this rank, last loss, seconds)`; called after every pack."""
        self._report = report
        self._packs = 0
        self._loss = math.nan
        self._start = 0.0

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Start the clock."""
        self._start = time.monotonic()

    def on_log(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Note the loss, and report the step it belongs to."""
        loss = kwargs["logs"].get("loss")
        if loss is not None:
            self._loss = float(loss)
            self._report(state.global_step, self._packs, self._loss, time.monotonic() - self._start)

    def on_substep_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Count a pack within a step."""
        self._packs += 1
        self._report(state.global_step, self._packs, self._loss, time.monotonic() - self._start)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Count the last pack of a step; `on_log` reports it."""
        self._packs += 1


class MarkComplete(TrainerCallback):
    """Writes a last file into each checkpoint, so that a torn one is known."""

    def __init__(self, name: str, text: str) -> None:
        """Take the file's name and text."""
        self._name, self._text = name, text

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Mark the checkpoint that was just written."""
        if state.is_world_process_zero:
            folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
            (folder / self._name).write_text(self._text, encoding="utf-8")
