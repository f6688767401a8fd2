"""Attention over packs: one prefix computed once, every branch attending to it and to itself.

Registered with transformers' own `AttentionInterface`, so any model whose layers pass their keyword
arguments on to the attention function (Llama, Qwen, Mistral and their kin) can use it. Each part is
a plain causal or full attention; parts over the same queries are merged by their log-sum-exp, and
the backward pass of each part is taken with the merged output, which makes the gradients exact.
"""

from typing import Any

import torch

from t2t.errors import RunError

NAME = "t2t_packed"
"""Value of ``attn_implementation`` after `register`."""

Layout = tuple[int, ...]
"""Length of the prefix, then of each branch, in tokens."""


def register() -> None:
    """Make `NAME` known to transformers; calling it again changes nothing."""
    from transformers import AttentionInterface
    from transformers.masking_utils import AttentionMaskInterface

    AttentionInterface.register(NAME, _attend)
    AttentionMaskInterface.register(NAME, _no_mask)


def _no_mask(*_args: Any, **_kwargs: Any) -> None:
    """The layout says who attends to whom."""


def _attend(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    pack_layout: Layout | None = None,
    **_kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """Attend within one pack.

    Args:
        module: The attention layer; not used.
        query: Shape (1, heads, n, head size).
        key: Shape (1, key heads, n, head size).
        value: As `key`.
        attention_mask: Not used, see `_no_mask`.
        scaling: Factor on the scores; None is one over the root of the head size.
        pack_layout: Prefix and branch lengths; they sum up to n.

    Returns:
        The output of shape (1, n, heads, head size), and no weights.
    """
    if pack_layout is None:
        raise RunError(
            "this model's layers do not pass pack_layout on to attention; "
            "set train.share_prefix=false and train.rows_per_pack=1"
        )
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    groups = query.shape[1] // key.shape[1]
    key, value = key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1)
    if query.device.type == "cpu":
        output = _PackedAttention.apply(query, key, value, pack_layout, scale)
    else:
        output = _attend_by_branch(query, key, value, pack_layout, scale)
    return output.transpose(1, 2), None


def _attend_by_branch(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, layout: Layout, scale: float
) -> torch.Tensor:
    """Attend branch by branch through ordinary attention with a mask, on any device."""
    attend = torch.nn.functional.scaled_dot_product_attention
    prefix, *branches = layout
    outputs: list[torch.Tensor] = []
    if prefix:
        part = slice(0, prefix)
        outputs.append(attend(query[:, :, part], key[:, :, part], value[:, :, part], is_causal=True, scale=scale))
    start = prefix
    for length in branches:
        part = slice(start, start + length)
        seen = torch.ones(length, prefix + length, dtype=torch.bool, device=query.device).tril(prefix)
        keys = torch.cat([key[:, :, :prefix], key[:, :, part]], 2)
        values = torch.cat([value[:, :, :prefix], value[:, :, part]], 2)
        outputs.append(attend(query[:, :, part], keys, values, attn_mask=seen, scale=scale))
        start += length
    return torch.cat(outputs, 2)


_flash_forward: Any = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
_flash_backward: Any = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward


class _PackedAttention(torch.autograd.Function):
    """Attention of a pack on the CPU, in as many multiplications as the pack needs and no more."""

    @staticmethod
    def forward(ctx: Any, *args: Any) -> torch.Tensor:
        query, key, value, layout, scale = args
        prefix = layout[0]
        output = torch.empty_like(query)
        lse = torch.empty(query.shape[:3], dtype=torch.float32)
        for part in _segments(layout):
            output[:, :, part], lse[:, :, part] = _flash_forward(
                query[:, :, part], key[:, :, part], value[:, :, part], 0.0, True, scale=scale
            )
        if prefix:
            behind = slice(prefix, None)
            from_prefix, prefix_lse = _flash_forward(
                query[:, :, behind], key[:, :, :prefix], value[:, :, :prefix], 0.0, False, scale=scale
            )
            merged = torch.logaddexp(lse[:, :, behind], prefix_lse)
            own = output[:, :, behind] * (lse[:, :, behind] - merged).exp().unsqueeze(-1)
            output[:, :, behind] = own + from_prefix * (prefix_lse - merged).exp().unsqueeze(-1)
            lse[:, :, behind] = merged
        ctx.layout, ctx.scale = layout, scale
        ctx.save_for_backward(query, key, value, output, lse)
        return output

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        query, key, value, output, lse = ctx.saved_tensors
        grad = grad_outputs[0].contiguous()
        prefix = ctx.layout[0]
        grad_query, grad_key, grad_value = torch.empty_like(query), torch.empty_like(key), torch.empty_like(value)

        def back(queries: slice, keys: slice, causal: bool) -> Any:
            return _flash_backward(
                grad[:, :, queries],
                query[:, :, queries],
                key[:, :, keys],
                value[:, :, keys],
                output[:, :, queries],
                lse[:, :, queries],
                0.0,
                causal,
                scale=ctx.scale,
            )

        for part in _segments(ctx.layout):
            grad_query[:, :, part], grad_key[:, :, part], grad_value[:, :, part] = back(part, part, True)
        if prefix:
            behind, before = slice(prefix, None), slice(0, prefix)
            parts = back(behind, before, False)
            grad_query[:, :, behind] += parts[0]
            grad_key[:, :, before] += parts[1]
            grad_value[:, :, before] += parts[2]
        return grad_query, grad_key, grad_value, None, None


def _segments(layout: Layout) -> list[slice]:
    """The prefix and the branches as slices of the pack; an empty prefix is left out."""
    parts: list[slice] = []
    start = 0
    for length in layout:
        if length:
            parts.append(slice(start, start + length))
        start += length
    return parts
