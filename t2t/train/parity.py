"""Compare trained weights with served ones, in greedy tokens and losses. Numbers only; `t2t.stages.parity` asks."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from t2t.errors import RunError
from t2t.models.rendering import IGNORED
from t2t.models.scoring import Choice

GAP_TOLERANCE = 0.5
"""Nats by which a model may prefer its own token where the two count as equally likely.

Activations and logits are rounded to bfloat16, whose 8 significant bits put logits from 32 to 64 a step of 1/4 apart
(the format itself: 2**5 / 2**7; the largest of SmolLM2-135M are 45). Each of two logits may fall to either side, so a
lead moves by two steps. Seen there, merged against adapter in bfloat16: 99 of 100 leads move by 0.5 or less. An untuned
model in place of the merged one leads by 1.4 and more, an adapter at twice its scaling by 2.1 and more.
"""

LOSS_TOLERANCE = {"none": 0.02, "int8": 0.05, "nf4": 0.15}
"""Nats a token by which losses may differ on average, by ``train.quantize``.

0.02 is rounding to bfloat16. A quantised base is served unquantised, so there the trainer's own loss carries the error
of quantisation; these bounds are an allowance for it, several times what published 7B models lose, and not measured.
"""


class CheckedRow(NamedTuple):
    """A row that the trainer scored with the final weights."""

    id: str
    """Id of the row."""
    input_ids: Sequence[int]
    """Token ids; shape (n,)."""
    labels: Sequence[int]
    """The id itself where it carries loss, else `IGNORED`; shape (n,), not shifted."""
    loss: float
    """The trainer's mean loss per labelled token, in nats."""


class PromptParity(NamedTuple):
    """How two models went on after one prompt."""

    id: str
    """Id of the task."""
    tokens: int
    """Greedy tokens that are equal, from the start."""
    first_difference: tuple[int, int] | None
    """The two tokens behind them, the merged model's first; None where all are equal."""
    gap: float
    """The larger of the leads that the models there give their own token over the other's, in nats; at least that
    where one model does not list the other's token. 0 where all are equal."""


class RowParity(NamedTuple):
    """Losses of one row, in nats per labelled token."""

    id: str
    """Id of the row."""
    tokens: int
    """Labelled tokens."""
    trainer: float
    """Under the trainer."""
    served: Mapping[str, float]
    """As served, by what is served: ``merged``, ``adapter``."""


def read_check(file: Path) -> list[CheckedRow]:
    """Rows that the train stage scored.

    Raises:
        RunError: the file is not there or holds no such rows.
    """
    try:
        found: Any = orjson.loads(file.read_bytes())
        rows = [CheckedRow(one["id"], one["input_ids"], one["labels"], float(one["loss"])) for one in found["rows"]]
    except (OSError, orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise RunError(f"{file} does not read ({error}); delete its folder to train again") from None
    if not rows:
        raise RunError(f"{file} holds no rows to compare; delete its folder to train again")
    return rows


def check_labels(row: CheckedRow, header: Sequence[int], stop_id: int) -> None:
    """Make sure that a row's loss lies on whole turns of the agent, stop token included.

    Args:
        row: the row.
        header: ids that begin a turn of the agent; none of them carries loss.
        stop_id: id that ends a turn.

    Raises:
        RunError: a label is not the token at its place, a run of labels does not begin a turn, or no stop token
            carries loss.
    """
    ids, labels = list(row.input_ids), list(row.labels)
    where = f"row {row.id} is not labelled as talks are:"
    if len(ids) != len(labels):
        raise RunError(f"{where} {len(ids)} tokens have {len(labels)} labels")
    labelled = [place for place, label in enumerate(labels) if label != IGNORED]
    for place in labelled:
        if labels[place] != ids[place]:
            raise RunError(f"{where} token {place} is {ids[place]} and its label {labels[place]}; they must be equal")
        begins = place == 0 or labels[place - 1] == IGNORED
        if begins and ids[max(0, place - len(header)) : place] != list(header):
            raise RunError(f"{where} the labels from token {place} on do not begin a turn of the agent")
    if not any(ids[place] == stop_id for place in labelled):
        raise RunError(f"{where} no stop token carries loss, so no turn would ever end")


def compare_greedy(prompt_id: str, merged: Sequence[Choice], adapter: Sequence[Choice]) -> PromptParity:
    """Compare what two models chose after one prompt; behind the first difference they had other histories."""
    for place, (one, other) in enumerate(zip(merged, adapter, strict=False)):
        if one.token != other.token:
            gap = max(_lead(one, other.token), _lead(other, one.token))
            return PromptParity(prompt_id, place, (one.token, other.token), gap)
    return PromptParity(prompt_id, min(len(merged), len(adapter)), None, 0.0)


def served_loss(row: CheckedRow, scores: Sequence[float]) -> tuple[float, int]:
    """Mean loss of a row per labelled token, and how many there are; `scores` are those of all ids but the first."""
    kept = [-score for label, score in zip(row.labels[1:], scores, strict=True) if label != IGNORED]
    return sum(kept) / len(kept), len(kept)


def loss_difference(rows: Sequence[RowParity], served: str) -> float:
    """Mean difference from the trainer's loss over all labelled tokens, in nats; rows do not cancel each other."""
    total = sum(row.tokens for row in rows)
    return sum(abs(row.served[served] - row.trainer) * row.tokens for row in rows) / total


def find_failure(prompts: Sequence[PromptParity], rows: Sequence[RowParity], loss_tolerance: float) -> str:
    """The worst that keeps served weights from counting as the trained ones, in one line; empty where nothing does."""
    for name in rows[0].served:
        difference = loss_difference(rows, name)
        if not difference <= loss_tolerance:
            worst = max(rows, key=lambda row: abs(row.served[name] - row.trainer))
            return (
                f"the {name} weights as served differ from the trained ones by {difference:.4f} nats a token, more "
                f"than {loss_tolerance:g}; most on row {worst.id}: {worst.served[name]:.4f} served, "
                f"{worst.trainer:.4f} trained"
            )
    worst = max(prompts, key=lambda prompt: prompt.gap, default=None)
    if worst is not None and worst.first_difference and worst.gap > GAP_TOLERANCE:
        one, other = worst.first_difference
        return (
            f"merged weights and adapter answer the prompt of {worst.id} differently: after {worst.tokens} equal "
            f"tokens one writes token {one} and the other {other}, {worst.gap:.2f} nats apart, more than "
            f"{GAP_TOLERANCE:g}"
        )
    return ""


def _lead(choice: Choice, other: int) -> float:
    """By how much a model prefers its own token to another, or to the least likely one that it lists."""
    return choice.best[choice.token] - choice.best.get(other, min(choice.best.values()))
