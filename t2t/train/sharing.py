"""Prove on the loaded model that packs are exact for it, before anything is trained.

Whether a model's attention can be replaced, whether its layers hand the layout on, and whether it
has layers beside attention that mix tokens (recurrent ones, convolutions) is not written down in
one place, so it is tried: two short rows with a common beginning are computed alone and in one
pack, and have to come out the same.
"""

import logging
from typing import Any, Literal

import torch

from t2t.errors import RunError
from t2t.train import attention
from t2t.train.packing import IGNORE, Pack, TokenRow, build_pack

log = logging.getLogger(__name__)

Packing = Literal["shared", "packed", "single"]
"""Bundles with prefixes; plain documents side by side; one row per pass."""

_TOLERANCE = {torch.float32: 0.01}
"""Difference from a row alone, as a part of what seeing another row would make, that is rounding."""
_COARSE_TOLERANCE = 0.15
"""As `_TOLERANCE`, for other types; thirty layers in bfloat16 round to 0.06."""
_LENGTHS = (24, 12, 9)
"""Tokens of the trial's prefix and of its two branches."""


def choose_packing(model: Any, wanted: Packing) -> Packing:
    """Choose the densest packing, at most `wanted`, under which a model computes each row as if alone.

    Leaves the model with the attention that the choice needs: that of `t2t.train.attention`, or its
    own where rows are not packed, or where its own keeps documents apart by their positions. A
    choice below `wanted` is logged with its reason.

    Args:
        model: A causal language model of transformers, without an adapter.
        wanted: What the settings ask for.
    """
    attention.register()
    if model.config._attn_implementation == attention.NAME:
        model.set_attn_implementation("sdpa")
    own = model.config._attn_implementation
    ways: list[tuple[Packing, str]] = [("shared", attention.NAME), ("packed", attention.NAME), ("packed", own)]
    reasons: list[str] = []
    was_training = model.training
    model.eval()
    chosen: Packing = "single"
    for packing, implementation in ways:
        if wanted == "single" or (wanted == "packed" and packing == "shared"):
            continue
        reason = _why_not(model, packing == "shared", implementation, own)
        if not reason:
            chosen = packing
            break
        reasons.append(reason)
    model.train(was_training)
    if chosen != wanted:
        how = "packs rows without sharing their prefixes" if chosen == "packed" else "computes each row in a pass"
        log.warning("train %s, since with %s %s", how, type(model).__name__, reasons[0])
    return chosen


def _why_not(model: Any, share_prefix: bool, implementation: str, own: str) -> str:
    """Say why a model cannot compute packs, or nothing; only where it can does it keep `implementation`."""
    rows = _rows(model.get_input_embeddings().weight.shape[0])
    alone = [_logits(model, list(row.input_ids)) for row in rows]
    mixed = _logits(model, [*rows[0].input_ids, *rows[1].input_ids[_LENGTHS[0] :]])
    unlike = _distance(mixed[-_LENGTHS[2] :], alone[1][-_LENGTHS[2] :])
    pack = build_pack(rows, share_prefix)
    exact = False
    try:
        model.set_attn_implementation(implementation)
        if model.config._attn_implementation != implementation:
            return "attention cannot be replaced through AttentionInterface"
        layout = attention.PackLayout(pack.layout)
        arguments: dict[str, Any] = {"position_ids": pack.position_ids, "pack_layout": layout}
        packed = _split(_logits(model, pack.input_ids, **arguments), pack)
        ends = [single[-len(part) :] for single, part in zip(alone, packed, strict=True)]
        apart = max(_distance(part, end) for part, end in zip(packed, ends, strict=True))
        if apart > _TOLERANCE.get(model.dtype, _COARSE_TOLERANCE) * unlike:
            return "a row comes out otherwise in a pack than alone"
        # What only training asks of attention, such as dropout, is refused here rather than at the first step.
        _logits(model.train(), pack.input_ids, **arguments)
        exact = True
        return ""
    except (RunError, AttributeError, LookupError, NotImplementedError, RuntimeError, TypeError, ValueError) as error:
        return (str(error) or type(error).__name__).splitlines()[0]
    finally:
        model.eval()
        if not exact:
            model.set_attn_implementation(own)


def _rows(vocabulary: int) -> list[TokenRow]:
    """Two rows of ordinary tokens behind a common prefix."""
    numbers = iter(range(1, sum(_LENGTHS) + 1))
    prefix, *branches = [[next(numbers) * 7919 % vocabulary for _ in range(length)] for length in _LENGTHS]
    return [
        TokenRow(f"trial {number}", [*prefix, *branch], [IGNORE] * (len(prefix) + len(branch)))
        for number, branch in enumerate(branches)
    ]


def _logits(model: Any, ids: list[int], position_ids: list[int] | None = None, **arguments: Any) -> torch.Tensor:
    """Logits of one pass in float32; shape (n, vocabulary)."""
    device = model.get_input_embeddings().weight.device
    if position_ids is not None:
        arguments["position_ids"] = torch.tensor([position_ids], device=device)
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([ids], device=device), use_cache=False, **arguments).logits
    return logits[0].float()


def _split(logits: torch.Tensor, pack: Pack) -> list[torch.Tensor]:
    """The logits of every branch."""
    parts: list[torch.Tensor] = []
    start = 0
    for bundle in pack.layout:
        start += bundle.prefix_length
        for length in bundle.branch_lengths:
            parts.append(logits[start : start + length])
            start += length
    return parts


def _distance(a: torch.Tensor, b: torch.Tensor) -> float:
    """Root mean square of a difference."""
    return float((a - b).square().mean().sqrt())
