"""Attention over packs: each prefix computed once, every branch attending to it and to itself.

Registered with transformers' own `AttentionInterface`, so any model whose layers pass their keyword
arguments on to the attention function (Llama, Qwen, Mistral, Gemma 3 and their kin) can use it;
`t2t.train.sharing` proves that a model does. On a CPU each part of a pack is a plain causal or full
attention; parts over the same queries are merged by their log-sum-exp, and the backward pass of
each part is taken with the merged output, which makes the gradients exact. On a GPU packs without
a prefix go through `varlen_attn`, others through `flex_attention` with a mask of blocks.
"""

import functools
import inspect
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray

from t2t.errors import RunError
from t2t.train.packing import Bundle

NAME = "t2t_packed"
"""Value of ``attn_implementation`` after `register`."""

Layout = tuple[Bundle, ...]
"""The bundles of a pack, see `t2t.train.packing`."""

_BLOCK = 128
"""Tokens along the side of a block of `flex_attention`'s mask."""


class PackLayout:
    """A pack's bundles as the argument ``pack_layout`` of a model.

    Blocks that are compiled pass it on without looking into it; for a tuple they would be compiled
    anew for each number of bundles.
    """

    def __init__(self, bundles: Layout) -> None:
        """Take the bundles in their order."""
        self._bundles = bundles

    def __iter__(self) -> Iterator[Bundle]:
        """Go through the bundles."""
        return iter(self._bundles)


def register() -> None:
    """Make `NAME` known to transformers; calling it again changes nothing."""
    from transformers import AttentionInterface
    from transformers.masking_utils import AttentionMaskInterface

    AttentionInterface.register(NAME, _attend)
    AttentionMaskInterface.register(NAME, _window_of_mask)


def _window_of_mask(*_args: Any, local_size: int | None = None, **kwargs: Any) -> int | None:
    """Stand in for a mask: the layout says who attends to whom, but for a layer's sliding window.

    Raises:
        RunError: The mask is more than causal within a window.
    """
    chunked = local_size is not None and local_size == vars(kwargs["config"]).get("attention_chunk_size")
    if chunked or kwargs.get("use_vmap") or "allow_is_bidirectional_skip" in kwargs:
        raise RunError("layers need another mask than a causal one with a sliding window")
    return local_size


# Layouts differ from pack to pack, so compiled blocks leave attention out rather than compile it for each.
@torch.compiler.disable
def _attend(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: int | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    sliding_window: int | None = None,
    pack_layout: Iterable[Bundle] | None = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """Attend within one pack.

    Args:
        module: The attention layer; not used.
        query: Shape (1, heads, n, head size).
        key: Shape (1, key heads, n, head size).
        value: As `key`.
        attention_mask: What `_window_of_mask` gave: the layer's window, or None.
        scaling: Factor on the scores; None is one over the root of the head size.
        dropout: Must be 0.
        sliding_window: Tokens that a token sees, itself included; None is all before it.
        pack_layout: Bundles that have n tokens together.
        kwargs: What else layers hand to attention; what would change the scores is refused.

    Returns:
        The output of shape (1, n, heads, head size), and no weights.

    Raises:
        RunError: The layer needs what packs do not have.
    """
    if pack_layout is None:
        raise RunError("layers do not pass pack_layout on to attention")
    for name in ("softcap", "s_aux", "position_bias"):
        if kwargs.get(name) is not None:
            raise RunError(f"attention uses {name}, which attention over packs does not have")
    if dropout:
        raise RunError(f"attention has a dropout of {dropout}, and attention over packs has none")
    layout = tuple(pack_layout)
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    window = attention_mask if attention_mask is not None else sliding_window
    if window is not None and window >= max(_longest(bundle) for bundle in layout):
        window = None
    if query.device.type == "cpu":
        if window is not None:
            return _attend_in_windows(query, key, value, layout, scale, window).transpose(1, 2), None
        return _PackedAttention.apply(query, key, value, layout, scale).transpose(1, 2), None
    if _fits_varlen(query, value, layout):
        return _attend_documents(query, key, value, layout, scale, window)[None], None
    return _attend_in_blocks(query, key, value, layout, scale, window).transpose(1, 2), None


def _longest(bundle: Bundle) -> int:
    """Tokens of the longest row of a bundle."""
    return bundle.prefix_length + max(bundle.branch_lengths)


class _Segment(NamedTuple):
    """A prefix or a branch."""

    start: int
    """First token in the pack."""
    length: int
    """Tokens."""
    prefix_start: int
    """First token of the prefix that it attends to."""
    prefix_length: int
    """Tokens of that prefix, which is also the position of the first token; 0 for a prefix itself."""

    @property
    def own(self) -> slice:
        """Its tokens in the pack."""
        return slice(self.start, self.start + self.length)


def _segments(layout: Layout) -> Iterator[_Segment]:
    """Prefixes and branches in the order of the pack; an empty prefix is left out."""
    start = 0
    for prefix, branches in ((bundle.prefix_length, bundle.branch_lengths) for bundle in layout):
        first = start
        if prefix:
            yield _Segment(first, prefix, first, 0)
        start += prefix
        for length in branches:
            yield _Segment(start, length, first, prefix)
            start += length


def _attend_in_windows(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, layout: Layout, scale: float, window: int
) -> torch.Tensor:
    """Attend a stretch of queries at a time to the keys that any of them sees, on any device."""
    outputs: list[torch.Tensor] = []
    for start, length, prefix_start, prefix in _segments(layout):
        for first in range(0, length, max(window, _BLOCK)):
            stop = min(first + max(window, _BLOCK), length)
            low = max(0, prefix + first - window + 1)
            parts = [slice(start + max(0, low - prefix), start + stop)]
            if low < prefix:
                parts.insert(0, slice(prefix_start + low, prefix_start + prefix))
            ahead = torch.arange(prefix + first, prefix + stop)[:, None] - torch.arange(low, prefix + stop)[None]
            outputs.append(
                torch.nn.functional.scaled_dot_product_attention(
                    query[:, :, start + first : start + stop],
                    torch.cat([key[:, :, part] for part in parts], 2),
                    torch.cat([value[:, :, part] for part in parts], 2),
                    attn_mask=((ahead >= 0) & (ahead < window)).to(query.device),
                    scale=scale,
                    enable_gqa=True,
                )
            )
    return torch.cat(outputs, 2)


_flash_forward: Any = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
_flash_backward: Any = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward


class _PackedAttention(torch.autograd.Function):
    """Attention of a pack on the CPU, in as many multiplications as the pack needs and no more."""

    @staticmethod
    def forward(ctx: Any, *args: Any) -> torch.Tensor:
        query, key, value, layout, scale = args
        output = torch.empty_like(query)
        lse = torch.empty(query.shape[:3], dtype=torch.float32)
        for segment in _segments(layout):
            part = segment.own
            output[:, :, part], lse[:, :, part] = _flash_forward(
                query[:, :, part], key[:, :, part], value[:, :, part], 0.0, True, scale=scale
            )
        for before, behind in _prefixes(layout):
            from_prefix, prefix_lse = _flash_forward(
                query[:, :, behind], key[:, :, before], value[:, :, before], 0.0, False, scale=scale
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

        for segment in _segments(ctx.layout):
            part = segment.own
            grad_query[:, :, part], grad_key[:, :, part], grad_value[:, :, part] = back(part, part, True)
        for before, behind in _prefixes(ctx.layout):
            parts = back(behind, before, False)
            grad_query[:, :, behind] += parts[0]
            grad_key[:, :, before] += parts[1]
            grad_value[:, :, before] += parts[2]
        return grad_query, grad_key, grad_value, None, None


def _prefixes(layout: Layout) -> Iterator[tuple[slice, slice]]:
    """Each prefix and all branches behind it, as slices of the pack."""
    start = 0
    for bundle in layout:
        behind = start + bundle.prefix_length
        if bundle.prefix_length:
            yield slice(start, behind), slice(behind, start + bundle.num_tokens)
        start += bundle.num_tokens


def _fits_varlen(query: torch.Tensor, value: torch.Tensor, layout: Layout) -> bool:
    """True where `varlen_attn` can compute the pack."""
    size = query.shape[-1]
    return (
        not any(bundle.prefix_length for bundle in layout)
        and query.dtype in (torch.float16, torch.bfloat16)
        and size == value.shape[-1]
        and size <= 256
        and size % 8 == 0
    )


def _attend_documents(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, layout: Layout, scale: float, window: int | None
) -> torch.Tensor:
    """Attend within plain documents on a GPU; returns shape (n, heads, head size)."""
    from torch.nn.attention.varlen import varlen_attn

    starts, longest = _document_starts(layout, query.device)
    # A release without the argument takes fewer key heads as they are.
    grouped = {"enable_gqa": True} if "enable_gqa" in inspect.signature(varlen_attn).parameters else {}
    return cast(Any, varlen_attn)(
        *(part[0].transpose(0, 1) for part in (query, key, value)),
        *(starts, starts, longest, longest),
        scale=scale,
        # A window of FlashAttention counts the tokens before a token without itself.
        window_size=(-1 if window is None else window - 1, 0),
        **grouped,
    )


@functools.lru_cache(maxsize=4)
def _document_starts(layout: Layout, device: torch.device) -> tuple[torch.Tensor, int]:
    """First token of every document and the end of the last, and the longest document's tokens.

    All layers of a pack ask for the same.
    """
    lengths = [length for bundle in layout for length in bundle.branch_lengths]
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    return torch.from_numpy(starts).to(device), max(lengths)


def _attend_in_blocks(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, layout: Layout, scale: float, window: int | None
) -> torch.Tensor:
    """Attend through `flex_attention`: compiled on a GPU, by the book on a CPU."""
    from torch.nn.attention.flex_attention import flex_attention

    attend = _compiled_flex_attention() if query.device.type != "cpu" else cast(Any, flex_attention)
    return attend(
        query,
        key,
        value,
        block_mask=_block_mask(layout, window, query.device),
        scale=scale,
        enable_gqa=query.shape[1] != key.shape[1],
        # The kernel for short inputs takes only some numbers of heads.
        kernel_options={"FORCE_USE_FLEX_ATTENTION": True},
    )


@functools.cache
def _compiled_flex_attention() -> Any:
    from torch.nn.attention.flex_attention import flex_attention

    return torch.compile(flex_attention, dynamic=True)


@functools.lru_cache(maxsize=4)
def _block_mask(layout: Layout, window: int | None, device: torch.device) -> Any:
    """Build the mask of a pack once for all layers that have the same window."""
    from torch.nn.attention.flex_attention import BlockMask

    own, before, until = seen = _visible(layout, window)
    counts = _count_by_block(*seen)
    full = counts == _BLOCK * _BLOCK
    first, low, high = (torch.from_numpy(array).to(device) for array in (own, before, until))

    def mask(_batch: Any, _head: Any, q: Any, k: Any) -> Any:
        return ((k >= first[q]) & (k <= q)) | ((k >= low[q]) & (k < high[q]))

    def listed(flags: NDArray[np.bool_]) -> tuple[torch.Tensor, torch.Tensor]:
        indices = np.argsort(~flags, axis=1, kind="stable").astype(np.int32)
        numbers = flags.sum(1).astype(np.int32)
        return torch.from_numpy(numbers).to(device)[None, None], torch.from_numpy(indices).to(device)[None, None]

    return cast(Any, BlockMask).from_kv_blocks(
        *listed((counts > 0) & ~full), *listed(full), BLOCK_SIZE=_BLOCK, mask_mod=mask, seq_lengths=(len(own), len(own))
    )


def _visible(layout: Layout, window: int | None) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]:
    """Say what every token sees: two stretches of tokens.

    Returns:
        Token i sees tokens from ``own[i]`` to i itself, and those of its prefix from ``before[i]``
        up to but not including ``until[i]``; each of shape (n,).
    """
    own: list[NDArray[np.int64]] = []
    before: list[NDArray[np.int64]] = []
    until: list[NDArray[np.int64]] = []
    for start, length, prefix_start, prefix in _segments(layout):
        places = np.arange(length)
        hidden = places * 0 if window is None else np.maximum(0, prefix + places - window + 1)
        own.append(start + np.maximum(0, hidden - prefix))
        before.append(prefix_start + np.minimum(hidden, prefix))
        until.append(np.full(length, prefix_start + prefix))
    first, low, high = (np.concatenate(parts).astype(np.int32) for parts in (own, before, until))
    return first, low, high


def _count_by_block(own: NDArray[np.int32], before: NDArray[np.int32], until: NDArray[np.int32]) -> NDArray[np.int64]:
    """Count the pairs of a query and a key it sees in every block; shape (query blocks, key blocks)."""
    num_blocks = -(-len(own) // _BLOCK)
    edges = np.arange(num_blocks) * _BLOCK

    def within(start: NDArray[np.int32], stop: NDArray[np.int32]) -> NDArray[np.int32]:
        left = np.maximum(start[:, None], edges[None])
        return np.maximum(0, np.minimum(stop[:, None], edges[None] + _BLOCK) - left)

    here = np.arange(1, len(own) + 1, dtype=np.int32)
    return np.add.reduceat(within(own, here) + within(before, until), edges, axis=0)
