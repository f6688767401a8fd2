"""TRL's `DPOTrainer` fed with pairs that are tokens already. Imports torch and TRL, so only `t2t.train.dpo` does so.

TRL counts every token behind the prompt. Here completions hold what tools and the caller said as well, so the
mask of what counts comes with the tokens.
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from trl.trainer.dpo_trainer import DPOTrainer

from t2t.errors import RunError
from t2t.train.packing import IGNORE, TokenRow
from t2t.train.trainer import CheckpointedTrainer

if TYPE_CHECKING:
    from t2t.train.dpo import TokenPair


def to_columns(pairs: "Sequence[TokenPair]") -> dict[str, list[Any]]:
    """Columns of a data set with one pair per row."""
    columns: dict[str, list[Any]] = {"pair_id": [pair.id for pair in pairs]}
    for side in ("chosen", "rejected"):
        rows: list[TokenRow] = [getattr(pair, side) for pair in pairs]
        columns[f"{side}_ids"] = [np.asarray(row.input_ids, dtype=np.int32) for row in rows]
        columns[f"{side}_labels"] = [np.asarray(row.labels, dtype=np.int32) for row in rows]
    return columns


def collate(items: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Turn k rows of `to_columns` into TRL's batch.

    Returns:
        ``input_ids``, ``attention_mask`` and ``completion_mask`` of shape (2k, n): the chosen talks, then the rejected
        ones, filled up on the right; ``completion_mask`` is 1 for tokens that count. ``pair_ids`` names the pairs.
    """
    sides = ("chosen", "rejected")
    ids = [torch.tensor(item[f"{side}_ids"], dtype=torch.long) for side in sides for item in items]
    labels = [torch.tensor(item[f"{side}_labels"], dtype=torch.long) for side in sides for item in items]
    pad = torch.nn.utils.rnn.pad_sequence
    # A causal model's real tokens see nothing of what is filled up behind them.
    return {
        "input_ids": pad(ids, batch_first=True),
        "attention_mask": pad([torch.ones_like(row) for row in ids], batch_first=True),
        "completion_mask": (pad(labels, batch_first=True, padding_value=IGNORE) != IGNORE).long(),
        "pair_ids": tuple(item["pair_id"] for item in items),
    }


class PairTrainer(CheckpointedTrainer, DPOTrainer):
    """`DPOTrainer` for pairs of tokens, which names the pairs of a loss that is not a number."""

    def _prepare_dataset(self, dataset: Any, processing_class: Any, args: Any, dataset_name: Any) -> Any:
        """The data set as it is: its rows are tokens."""
        return dataset

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """As in TRL.

        Raises:
            RunError: The loss is not finite; names the pairs.
        """
        pair_ids: tuple[str, ...] = inputs.pop("pair_ids")
        loss = cast(Any, super()).compute_loss(model, inputs, return_outputs, num_items_in_batch)
        if not math.isfinite(float(loss.detach())):
            raise RunError(
                f"step {cast(Any, self).state.global_step + 1}: the loss is {float(loss.detach())} on pairs "
                f"{', '.join(pair_ids)}; lower train.learning_rate, or look at these pairs"
            )
        return loss
