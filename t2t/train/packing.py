"""Order tokenised talks into optimiser steps, and rows that begin alike into packs.

A bundle is one prefix followed by branches. A branch attends to the prefix and to itself, and its
positions go on from the prefix's end, so each branch sees exactly what its own row would have seen
alone (`t2t.train.attention`). A pack is one or more bundles behind each other, computed in one
pass. Rows may be lists or memory-mapped arrays; a plan holds no token of its own, and nothing here
imports torch.
"""

import math
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Literal, NamedTuple, cast

import numpy as np

IGNORE = -100
"""Label of a token that carries no loss, as in transformers."""

_RUN = 4
"""Rows of one group that stay side by side when rows are shuffled, so that a step holds rows to share with."""
_WORTHWHILE = 0.2
"""Share of the rows' tokens from which on ``auto`` shares prefixes."""
_MIN_GAIN = 1.25
"""Rows leave their group only for one that saves this many times what they save there; a step mixes talks."""
_FINENESS = 16
"""Ranks are balanced until a pack's bound is known to this part of itself."""
_CHUNK = 256
"""Tokens that are compared at a time when rows are put in order."""


@dataclass(frozen=True, slots=True)
class TokenRow:
    """One talk in tokens."""

    id: str
    """Names the row in messages."""
    input_ids: Sequence[int]
    """Token ids; shape (n,)."""
    labels: Sequence[int]
    """The token id where the agent spoke, else `IGNORE`; shape (n,), not shifted."""
    weight: float = 1.0
    """Factor on the loss of this row's tokens."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """Rows laid out behind the tokens they share."""

    prefix_length: int
    """Tokens that all branches share; 0 where nothing is shared."""
    branch_lengths: tuple[int, ...]
    """Tokens of each branch, at least 1; one branch and no prefix is a plain document."""

    @property
    def num_tokens(self) -> int:
        """Tokens to compute."""
        return self.prefix_length + sum(self.branch_lengths)


@dataclass(frozen=True, slots=True)
class Pack:
    """Rows that are computed in one pass; its tokens are laid out when they are read."""

    rows: tuple[TokenRow, ...]
    """The rows in the order of their branches."""
    layout: tuple[Bundle, ...]
    """Bundles in their order; together they have one branch per row."""

    @property
    def row_ids(self) -> tuple[str, ...]:
        """Ids of the rows; empty for a pack that only fills up a step."""
        return tuple(row.id for row in self.rows if row.id)

    @property
    def weights(self) -> tuple[float, ...]:
        """Factor on the loss of each branch."""
        return tuple(row.weight for row in self.rows)

    @property
    def num_tokens(self) -> int:
        """Tokens to compute."""
        return sum(bundle.num_tokens for bundle in self.layout)

    @property
    def input_ids(self) -> list[int]:
        """Token ids, bundle by bundle, prefix before branches; shape (n,)."""
        ids: list[int] = []
        for bundle, rows in self._bundles():
            ids += _plain(rows[0].input_ids[: bundle.prefix_length])
            for row in rows:
                ids += _plain(row.input_ids[bundle.prefix_length :])
        return ids

    @property
    def position_ids(self) -> list[int]:
        """Position of each token in its own row; shape (n,)."""
        positions: list[int] = []
        for bundle in self.layout:
            prefix = bundle.prefix_length
            positions += range(prefix)
            for length in bundle.branch_lengths:
                positions += range(prefix, prefix + length)
        return positions

    @property
    def labels(self) -> list[int]:
        """Labels, not shifted; a prefix and the first token of each branch carry none; shape (n,)."""
        labels: list[int] = []
        for bundle, rows in self._bundles():
            prefix = bundle.prefix_length
            labels += [IGNORE] * prefix
            for row in rows:
                # The token before a branch's first one belongs to the prefix or to another row.
                labels.append(IGNORE)
                labels += _plain(row.labels[prefix + 1 :])
        return labels

    def _bundles(self) -> Iterable[tuple[Bundle, tuple[TokenRow, ...]]]:
        start = 0
        for bundle in self.layout:
            stop = start + len(bundle.branch_lengths)
            yield bundle, self.rows[start:stop]
            start = stop


EMPTY = Pack((TokenRow("", (0, 0), (IGNORE, IGNORE), 0.0),), (Bundle(0, (2,)),))
"""Fills up a step so that every step and every rank has equally many packs; adds nothing to a loss."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Every optimiser step of a run."""

    steps: list[list[Pack]]
    """Packs by step, equally many in each; pack i of a step is for rank i modulo `num_ranks`."""
    num_ranks: int
    """Processes that share a step."""
    tokens_per_pack: int
    """Tokens computed in one pass at most, but for longer rows."""
    shares: bool
    """Whether prefixes are computed once per bundle."""
    shared_share: float
    """Share of the rows' tokens that repeat the beginning of another row; in [0, 1)."""
    groups: list[tuple[int, int]] = field(repr=False)
    """Rows that begin alike: how many tokens, how many rows; largest first."""

    @property
    def num_steps(self) -> int:
        """Optimiser steps."""
        return len(self.steps)

    @property
    def tokens_real(self) -> int:
        """Tokens of all rows over all epochs, each with its own prefix."""
        return sum(len(row.input_ids) for pack in self._packs() for row in pack.rows)

    @property
    def tokens_computed(self) -> int:
        """Tokens that are computed for them."""
        return sum(pack.num_tokens for pack in self._packs())

    def _packs(self) -> Iterable[Pack]:
        return (pack for step in self.steps for pack in step if pack.row_ids)

    def describe(self) -> list[str]:
        """Say in a few lines how rows become steps and packs."""
        packs = list(self._packs())
        rows = [sum(len(pack.row_ids) for pack in step) for step in self.steps]
        real, computed = self.tokens_real, self.tokens_computed
        alike = ", ".join(f"{count} rows behind {length} tokens" for length, count in self.groups[:5] if length)
        more = sum(1 for length, _ in self.groups if length) - 5
        shared = f"{self.shared_share:.0%} of the rows' tokens repeat the beginning of another row"
        ranks = f"{self.num_ranks} ranks" if self.num_ranks > 1 else "1 rank"
        lines = [
            f"{self.num_steps} steps of {min(rows)} to {max(rows)} rows on {ranks}",
            f"{len(packs)} packs of at most {self.tokens_per_pack} tokens, longest {max(p.num_tokens for p in packs)}, "
            f"{sum(len(pack.rows) for pack in packs) / len(packs):.1f} rows and "
            f"{sum(1 for pack in packs for bundle in pack.layout if bundle.prefix_length) / len(packs):.1f} "
            "shared prefixes a pack",
            f"{shared}, " + ("computed once per bundle" if self.shares else "computed for each row"),
            f"{computed} tokens to compute instead of {real} ({real / computed:.2f}x)",
        ]
        if alike:
            lines.insert(3, f"rows that begin alike: {alike}" + (f" and {more} more groups" if more > 0 else ""))
        if self.num_ranks > 1:
            lines.append(f"the busiest rank computes {self._imbalance():.1%} more than the mean")
        return lines

    def _imbalance(self) -> float:
        """Work that ranks wait for, over all steps."""
        most = 0
        for step in self.steps:
            most += max(sum(p.num_tokens for p in step[rank :: self.num_ranks]) for rank in range(self.num_ranks))
        whole = sum(pack.num_tokens for step in self.steps for pack in step)
        return most * self.num_ranks / whole - 1


def plan_run(
    rows: Sequence[TokenRow],
    *,
    epochs: float,
    loss_tokens_per_step: int,
    tokens_per_pack: int,
    share: Literal["auto", "always", "never"],
    seed: int,
    num_ranks: int,
) -> Plan:
    """Plan every optimiser step of a run; equal on every rank.

    Which rows a step holds follows from the rows, `epochs`, `loss_tokens_per_step` and `seed`
    alone; the other arguments only say how they are computed. A step takes rows until it has its
    tokens; what is left at the end of an epoch is a step of its own if it has at least half of
    them, else it joins the last one.

    Args:
        rows: At least one row; ids are unique and not empty.
        epochs: Passes over the rows; of a part of one, that part of its steps is kept.
        loss_tokens_per_step: Tokens that carry loss, over all ranks.
        tokens_per_pack: Tokens computed in one pass; a longer row has a pack of its own.
        share: Compute shared prefixes once; ``auto`` where they are a fifth of the rows' tokens.
        seed: Seed of the order.
        num_ranks: Processes that share a step.
    """
    rows = [rows[i] for i in _in_order(rows)]
    sizes = [_measure(row) for row in rows]
    groups = _group(rows, sizes, range(len(rows)), _MIN_GAIN)
    repeated = sum(group.prefix * (len(group.rows) - 1) for group in groups)
    shared_share = repeated / sum(size.tokens for size in sizes)
    shares = share == "always" or (share == "auto" and shared_share >= _WORTHWHILE)

    steps: list[list[Pack]] = []
    for epoch in range(math.ceil(epochs)):
        order = _shuffle(groups, random.Random(f"{seed}/{epoch}"))
        members = _cut(order, sizes, loss_tokens_per_step)
        for step in members[: math.ceil(min(1.0, epochs - epoch) * len(members))]:
            bundles = _group(rows, sizes, sorted(step), 1.0) if shares else [_Group(0, step)]
            packs = _pack(bundles, sizes, tokens_per_pack, num_ranks)
            steps.append([_lay_out(rows, sizes, pack) for pack in packs])
    most = max(len(step) for step in steps)
    per_rank = -(-most // num_ranks)
    steps = [_deal_to_ranks(step, num_ranks, per_rank) for step in steps]
    alike = sorted(((group.prefix, len(group.rows)) for group in groups), key=lambda size: (-size[1], size[0]))
    return Plan(steps, num_ranks, tokens_per_pack, shares, shared_share, alike)


def build_pack(rows: Sequence[TokenRow], share_prefix: bool) -> Pack:
    """Lay rows out in one pack.

    Args:
        rows: At least one row.
        share_prefix: True puts them behind the longest prefix that all share, False side by side.
    """
    prefix = shared_length(rows) if share_prefix and len(rows) > 1 else 0
    lengths = tuple(len(row.input_ids) - prefix for row in rows)
    layout = (Bundle(prefix, lengths),) if prefix else tuple(Bundle(0, (length,)) for length in lengths)
    return Pack(tuple(rows), layout)


def shared_length(rows: Sequence[TokenRow]) -> int:
    """Count the leading tokens that all rows share and that can be computed once.

    The count stops early enough that in every row the first token behind it exists and carries no
    loss: that token would be predicted by the last token of the prefix, which all rows share.
    """
    heads = [_measure(row).head for row in rows]
    return min((_common(rows[0], row, min(heads)) for row in rows[1:]), default=heads[0])


class _Size(NamedTuple):
    """Token counts of one row."""

    tokens: int
    losses: int
    """Tokens that carry loss; the first of a row cannot, since nothing comes before it."""
    head: int
    """Longest prefix that leaves a token without loss behind it."""


class _Group(NamedTuple):
    """Rows that begin alike."""

    prefix: int
    """Tokens that they share and that can be computed once."""
    rows: list[int]
    """Indices of the rows."""


class _Subtree(NamedTuple):
    """Rows that share a prefix, in groups that may share longer ones."""

    gain: int
    """Tokens that the groups save."""
    groups: list[list[int]]
    """Places of the rows."""


def _measure(row: TokenRow) -> _Size:
    tokens = len(row.input_ids)
    labelled = np.flatnonzero(np.asarray(row.labels) != IGNORE)
    first = int(labelled[0]) if len(labelled) else tokens
    return _Size(tokens, len(labelled) - (first == 0), max(0, first - 1))


def _common(a: TokenRow, b: TokenRow, most: int) -> int:
    """Count the leading tokens that two rows share, up to `most`."""
    differ = np.asarray(a.input_ids[:most]) != np.asarray(b.input_ids[:most])
    return int(differ.argmax()) if differ.any() else most


def _in_order(rows: Sequence[TokenRow]) -> list[int]:
    """Sort rows so that those that begin alike lie side by side; the same whatever order they come in.

    Tokens are compared a stretch at a time and only among rows that are equal so far, so a sort
    reads most tokens once and keeps none.
    """
    order: list[int] = []
    todo = [(0, sorted(range(len(rows)), key=lambda i: rows[i].id))]
    while todo:
        start, members = todo.pop()
        if len(members) == 1 or all(len(rows[i].input_ids) <= start for i in members):
            order += members
            continue
        by_stretch: dict[bytes, list[int]] = {}
        for i in members:
            stretch = np.asarray(rows[i].input_ids[start : start + _CHUNK], dtype=np.int32).tobytes()
            by_stretch.setdefault(stretch, []).append(i)
        todo += [(start + _CHUNK, by_stretch[stretch]) for stretch in sorted(by_stretch, reverse=True)]
    return order


def _group(rows: Sequence[TokenRow], sizes: Sequence[_Size], order: Sequence[int], min_gain: float) -> list[_Group]:
    """Group rows that begin alike, such as those of one domain.

    The rows form a tree of prefixes. From the longest prefixes on, a subtree keeps its own groups
    where they save more than `min_gain` times what its rows save behind the shorter prefix that
    they share with their neighbours; else its rows join those.

    Args:
        rows: All rows, in the order of `_in_order`.
        sizes: Their token counts.
        order: Indices of the rows to group, at least one, ascending.
        min_gain: At least 1.
    """
    common = [_common(rows[a], rows[b], min(sizes[a].head, sizes[b].head)) for a, b in pairwise(order)]

    def join(depth: int, parts: list[_Subtree]) -> _Subtree:
        gain, groups, mixed = 0, list[list[int]](), list[int]()
        for part in parts:
            if part.gain > min_gain * depth * sum(len(group) for group in part.groups):
                gain += part.gain
                groups += part.groups
            else:
                mixed += [i for group in part.groups for i in group]
        if mixed:
            gain += depth * (len(mixed) - 1)
            groups.append(mixed)
        return _Subtree(gain, groups)

    opened: list[tuple[int, list[_Subtree]]] = []
    tree = _Subtree(0, [[0]])
    for number, depth in enumerate([*common, -1]):
        while opened and opened[-1][0] > depth:
            opened[-1][1].append(tree)
            tree = join(*opened.pop())
        if opened and opened[-1][0] == depth:
            opened[-1][1].append(tree)
        else:
            opened.append((depth, [tree]))
        tree = _Subtree(0, [[number + 1]])
    ((_, (tree,)),) = opened
    groups = [sorted(group) for group in tree.groups]
    return [_Group(min(common[g[0] : g[-1]], default=0), [order[i] for i in g]) for g in sorted(groups)]


def _shuffle(groups: Sequence[_Group], rng: random.Random) -> list[int]:
    """Shuffle rows, keeping `_RUN` of one group side by side."""
    runs: list[list[int]] = []
    for group in groups:
        rows = list(group.rows)
        rng.shuffle(rows)
        runs += [rows[start : start + _RUN] for start in range(0, len(rows), _RUN)]
    rng.shuffle(runs)
    return [row for run in runs for row in run]


def _cut(order: Sequence[int], sizes: Sequence[_Size], loss_tokens: int) -> list[list[int]]:
    """Cut an epoch into steps of at least `loss_tokens` each."""
    steps, step, count = list[list[int]](), list[int](), 0
    for row in order:
        step.append(row)
        count += sizes[row].losses
        if count >= loss_tokens:
            steps.append(step)
            step, count = [], 0
    if step and (not steps or 2 * count >= loss_tokens):
        steps.append(step)
    elif step:
        steps[-1] += step
    return steps


class _Part(NamedTuple):
    """A bundle, or as much of it as one pack takes."""

    prefix: int
    rows: list[int]
    tokens: int
    """Tokens to compute."""


def _pack(bundles: Sequence[_Group], sizes: Sequence[_Size], most: int, num_ranks: int) -> list[list[_Part]]:
    """Put the rows of a step into as few packs as they need, or as many ranks want, about equally full."""
    packs = _fill(bundles, sizes, most)
    if num_ranks == 1:
        return packs
    # Ranks wait for each other at the end of a step: lower the bound while no rank gets another pack.
    allowed = -(-len(packs) // num_ranks) * num_ranks
    loads = [_tokens(pack) for pack in packs]
    best, low, high = _busiest(loads, num_ranks), sum(loads) // (2 * allowed), min(most, max(loads))
    while high - low > max(1, high // _FINENESS):
        bound = (low + high) // 2
        tighter = _fill(bundles, sizes, bound)
        if len(tighter) > allowed:
            low = bound
            continue
        high = bound
        busiest = _busiest([_tokens(pack) for pack in tighter], num_ranks)
        if busiest < best:
            packs, best = tighter, busiest
    return packs


def _fill(bundles: Sequence[_Group], sizes: Sequence[_Size], most: int) -> list[list[_Part]]:
    """Put rows into packs of at most `most` tokens; a longer row is alone in its pack.

    A bundle is split only where it does not fit into one pack, for each part computes the prefix.
    """
    parts = [part for bundle in bundles for part in _split(bundle, sizes, most)]
    parts.sort(key=lambda part: (-part.tokens, part.rows))
    packs: list[list[_Part]] = []
    loads: list[int] = []
    for part in parts:
        fitting = next((i for i, load in enumerate(loads) if load + part.tokens <= most), None)
        if fitting is None:
            packs.append([part])
            loads.append(part.tokens)
        else:
            packs[fitting].append(part)
            loads[fitting] += part.tokens
    return packs


def _split(bundle: _Group, sizes: Sequence[_Size], most: int) -> list[_Part]:
    """Split a bundle into as few parts of at most `most` tokens as it needs, about equally long."""
    prefix, rows = bundle
    if prefix and prefix < most:
        own = {row: sizes[row].tokens - prefix for row in rows}
        longest_first = sorted(rows, key=lambda row: (-own[row], row))
        for count in range(-(-sum(own.values()) // (most - prefix)), len(rows)):
            parts: list[list[int]] = [[] for _ in range(count)]
            loads = [prefix] * count
            for row in longest_first:
                least = loads.index(min(loads))
                parts[least].append(row)
                loads[least] += own[row]
            if max(loads) <= most:
                return [_Part(prefix, part, load) for part, load in zip(parts, loads, strict=True)]
    return [_Part(0, [row], sizes[row].tokens) for row in rows]


def _tokens(pack: Sequence[_Part]) -> int:
    """Count the tokens that a pack computes."""
    return sum(part.tokens for part in pack)


def _busiest(loads: Sequence[int], num_ranks: int) -> int:
    """Count the tokens of the rank that has most, where packs have `loads`."""
    ranks = [0] * num_ranks
    for load in sorted(loads, reverse=True):
        ranks[ranks.index(min(ranks))] += load
    return max(ranks)


def _lay_out(rows: Sequence[TokenRow], sizes: Sequence[_Size], pack: Sequence[_Part]) -> Pack:
    layout: list[Bundle] = []
    for prefix, members, _ in pack:
        if prefix and len(members) > 1:
            layout.append(Bundle(prefix, tuple(sizes[i].tokens - prefix for i in members)))
        else:
            layout += [Bundle(0, (sizes[i].tokens,)) for i in members]
    return Pack(tuple(rows[i] for part in pack for i in part.rows), tuple(layout))


def _deal_to_ranks(packs: Sequence[Pack], num_ranks: int, per_rank: int) -> list[Pack]:
    """Deal packs, longest first, to the rank that has least to compute; fill up with `EMPTY` ones."""
    hands: list[list[Pack]] = [[] for _ in range(num_ranks)]
    for pack in sorted(packs, key=lambda pack: (-pack.num_tokens, pack.row_ids)):
        free = [hand for hand in hands if len(hand) < per_rank]
        min(free, key=lambda hand: sum(p.num_tokens for p in hand)).append(pack)
    hands = [[*hand, *[EMPTY] * (per_rank - len(hand))] for hand in hands]
    return [hand[i] for i in range(per_rank) for hand in hands]


def _plain(tokens: Sequence[int]) -> list[int]:
    """Turn tokens, which may be an array, into a list of Python's own integers."""
    return cast(Any, tokens).tolist() if isinstance(tokens, np.ndarray) else list(tokens)
