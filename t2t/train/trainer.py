"""TRL's `SFTTrainer` fed with packs. Imports torch and TRL, so only `t2t.train.sft` imports it."""

import itertools
import math
import shutil
import signal
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import torch
from accelerate.utils import gather_object
from safetensors import SafetensorError
from transformers import Trainer, TrainerCallback
from trl.trainer.sft_trainer import SFTTrainer

from t2t.errors import RunError
from t2t.train.attention import PackLayout
from t2t.train.checkpoints import MARK, keep_complete
from t2t.train.packing import IGNORE, Pack, Plan
from t2t.train.ranks import any_rank

_NUM_CHECKPOINTS = 2


def to_batch(pack: Pack, alone: bool) -> dict[str, Any]:
    """Turn a pack into the model's arguments.

    Args:
        pack: What is computed in one pass.
        alone: The pack is one row for a model with its own attention, which knows of no layout.

    Returns:
        ``loss_positions`` are the positions whose next token carries loss, ``targets`` those next
        tokens and ``token_weights`` the weights of their rows; all of shape (m,). Ids and positions
        have shape (1, n); all else is plain data.
    """
    labels = torch.tensor(pack.labels)
    (positions,) = (labels[1:] != IGNORE).nonzero(as_tuple=True)
    lengths: list[int] = []
    weights: list[float] = []
    of_rows = iter(pack.weights)
    for bundle in pack.layout:
        lengths += [bundle.prefix_length, *bundle.branch_lengths]
        weights += [0.0, *itertools.islice(of_rows, len(bundle.branch_lengths))]
    token_weights = torch.tensor(weights).repeat_interleave(torch.tensor(lengths))
    batch = {
        "input_ids": torch.tensor([pack.input_ids]),
        "loss_positions": positions,
        "targets": labels[1:][positions],
        "token_weights": token_weights[1:][positions],
        "row_ids": pack.row_ids,
    }
    if not alone:
        batch |= {"position_ids": torch.tensor([pack.position_ids]), "pack_layout": PackLayout(pack.layout)}
    return batch


class CheckpointedTrainer(Trainer):
    """A `Trainer` whose checkpoints are whole or absent; mixed in before one of TRL's trainers."""

    mark: str = ""
    """Written into each checkpoint: the run it belongs to."""
    _partial = False

    def _get_output_dir(self, trial: Any) -> str:
        folder = Path(str(self.args.output_dir))
        return str(folder / "partial" if self._partial else folder)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """Save under another name, mark, and rename; then remove what is older.

        Raises:
            RunError: Nothing could be written; earlier checkpoints stay as they are.
        """
        folder = Path(str(self.args.output_dir))
        name = f"checkpoint-{self.state.global_step}"
        is_main = self.accelerator.is_main_process
        self._partial = True
        try:
            # TRL would add a model card to every checkpoint.
            Trainer._save_checkpoint(self, model, trial)
            self.accelerator.wait_for_everyone()
            if is_main:
                (folder / "partial" / name / MARK).write_text(self.mark, encoding="utf-8")
                shutil.rmtree(folder / name, ignore_errors=True)
                (folder / "partial" / name).rename(folder / name)
        except (OSError, RuntimeError, SafetensorError) as error:
            if isinstance(error, torch.OutOfMemoryError):
                raise
            shutil.rmtree(folder / "partial", ignore_errors=True)
            raise RunError(
                f"cannot save step {self.state.global_step} in {folder}: {str(error).splitlines()[0]}; "
                "free some space and start again, earlier checkpoints are kept"
            ) from error
        finally:
            self._partial = False
        if is_main:
            keep_complete(folder, _NUM_CHECKPOINTS)
        self.accelerator.wait_for_everyone()


class PackTrainer(CheckpointedTrainer, SFTTrainer):
    """`SFTTrainer` that computes packs and weighs the loss of a step by its tokens over all ranks."""

    loss_is_scaled_for_ga = True

    def __init__(self, plan: Plan, lengths: dict[str, int], **arguments: Any) -> None:
        """Take the plan, the tokens of each row by id, and the arguments of `SFTTrainer`."""
        cast(Any, super()).__init__(**arguments)
        self._tokens = [sum(lengths[row_id] for pack in step for row_id in pack.row_ids) for step in plan.steps]
        self._losses: list[tuple[torch.Tensor, tuple[str, ...]]] = []
        self._correct = torch.zeros(2)
        self._since = 0.0

    def get_batch_samples(self, epoch_iterator: Any, num_batches: int, device: Any) -> Any:
        """Take the packs of one step, and add up the weights of its tokens over all ranks."""
        self._losses.clear()
        self._correct = torch.zeros(2, device=device)
        self._since = self._since or time.monotonic()
        batches = list(itertools.islice(epoch_iterator, num_batches))
        weight = torch.stack([batch["token_weights"].sum() for batch in batches]).sum().to(device)
        return batches, cast(Any, self.accelerator).reduce(weight, "sum")

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Share of this pack in the step's weighted mean loss, times the ranks that DDP averages over."""
        row_ids: tuple[str, ...] = inputs.pop("row_ids")
        output = model(**inputs, use_cache=False)
        loss = output["loss"] / num_items_in_batch * self.accelerator.num_processes
        self._losses.append((loss.detach(), row_ids))
        self._correct += torch.stack([output["num_correct"], output["num_correct"].new_tensor(len(inputs["targets"]))])
        return (loss, output) if return_outputs else loss

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Add accuracy and speed to a step's losses.

        Raises:
            RunError: The loss or the gradient is not finite; names the rows.
        """
        if "loss" in logs:
            self._check_finite(logs)
            correct, count = cast(Any, self.accelerator).reduce(self._correct, "sum").tolist()
            now = time.monotonic()
            logs["mean_token_accuracy"] = correct / max(count, 1.0)
            logs["real_tokens_per_s"] = self._tokens[self.state.global_step - 1] / max(now - self._since, 1e-9)
            self._since = now
        super().log(logs, start_time)

    def _check_finite(self, logs: dict[str, float]) -> None:
        if math.isfinite(logs["loss"]) and math.isfinite(logs.get("grad_norm", 0.0)):
            return
        bad = [row_id for loss, ids in self._losses if not bool(loss.isfinite()) for row_id in ids]
        everywhere = cast(list[str], gather_object(bad))
        # A gradient that overflows has no single pack to blame.
        named = everywhere or cast(list[str], gather_object([row_id for _, ids in self._losses for row_id in ids]))
        value = "loss" if not math.isfinite(logs["loss"]) else "grad_norm"
        raise RunError(
            f"step {self.state.global_step}: the {value} is {logs[value]} on rows {', '.join(named)}; "
            "lower train.learning_rate, or look at these rows"
        )


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


class StopOnSigterm(TrainerCallback):
    """After SIGTERM on any rank, all ranks save a checkpoint at the end of the step and stop.

    Used as a context around training, in the main thread; elsewhere signals are left alone.
    """

    def __init__(self) -> None:
        """Start with nothing asked."""
        self._asked = False
        self._before: Any = None
        self.stopped = False
        """Whether training ended before its time."""

    def __enter__(self) -> "StopOnSigterm":
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGTERM, self._ask)
        return self

    def __exit__(self, *_: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGTERM, self._before)

    def _ask(self, _number: int, _frame: object) -> None:
        self._asked = True

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Agree over all ranks, since every rank takes part in a checkpoint."""
        if any_rank(self._asked):
            control.should_save = control.should_training_stop = self.stopped = True


def losses_of(model: Any, packs: Sequence[Pack], alone: bool) -> list[float]:
    """Mean loss per labelled token of each pack in nats, without its rows' weights; every rank computes all."""
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    losses: list[float] = []
    with torch.no_grad():
        for pack in packs:
            batch = {
                name: value.to(device) if isinstance(value, torch.Tensor) else value
                for name, value in to_batch(pack, alone).items()
                if name != "row_ids"
            }
            losses.append(float(model(**batch, use_cache=False)["nll"].mean()))
    model.train(was_training)
    return losses
