"""Order tokenised talks into optimiser steps, and rows that begin alike into packs.

A pack is one prefix followed by branches. A branch attends to the prefix and to itself, and its
positions go on from the prefix's end, so each branch sees exactly what its own row would have seen
alone (`t2t.train.attention`). Plain lists only: nothing here imports torch.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

IGNORE = -100
"""Label of a token that carries no loss, as in transformers."""

_MIN_GAIN = 1.25
"""A split of a group must save this many times what the group saves whole, or rows are kept mixed."""


@dataclass(frozen=True, slots=True)
class TokenRow:
    """One talk in tokens."""

    id: str
    """Names the row in messages."""
    input_ids: Sequence[int]
    """Token ids; shape (n,)."""
    labels: Sequence[int]
    """The token id where the agent spoke, else `IGNORE`; shape (n,), not shifted."""


@dataclass(frozen=True, slots=True)
class Pack:
    """One prefix and the branches behind it, as one sequence of tokens."""

    row_ids: tuple[str, ...]
    """Rows in the order of their branches; empty for a pack that only fills up a step."""
    prefix_length: int
    """Tokens that all branches share; 0 where nothing is shared."""
    branch_lengths: tuple[int, ...]
    """Tokens of each branch, at least 1."""
    input_ids: list[int]
    """Prefix, then the branches; shape (n,)."""
    position_ids: list[int]
    """Position of each token in its own row; shape (n,)."""
    labels: list[int]
    """Labels, not shifted; the prefix and the first token of each branch carry none; shape (n,)."""


EMPTY = Pack((), 0, (2,), [0, 0], [0, 1], [IGNORE, IGNORE])
"""Fills up a step so that every step and every rank has equally many packs; adds nothing to a loss."""


def shared_length(rows: Sequence[TokenRow]) -> int:
    """Count the leading tokens that all rows share and that can be computed once.

    The count stops early enough that in every row the first token behind it exists and carries no
    loss: that token would be predicted by the last token of the prefix, which all rows share.
    """
    length = min(_head_length(row) for row in rows)
    first = rows[0].input_ids
    for row in rows[1:]:
        length = _common_length(first, row.input_ids, length)
    return length


def build_pack(rows: Sequence[TokenRow], share_prefix: bool) -> Pack:
    """Lay rows out behind their longest shared prefix.

    Args:
        rows: At least one row.
        share_prefix: False lays the rows out whole, side by side.
    """
    prefix = shared_length(rows) if share_prefix and len(rows) > 1 else 0
    input_ids = list(rows[0].input_ids[:prefix])
    position_ids = list(range(prefix))
    labels = [IGNORE] * prefix
    for row in rows:
        input_ids.extend(row.input_ids[prefix:])
        position_ids.extend(range(prefix, len(row.input_ids)))
        # The token before a branch's first one belongs to the prefix or to another row.
        labels.append(IGNORE)
        labels.extend(row.labels[prefix + 1 :])
        assert prefix == 0 or row.labels[prefix] == IGNORE
    lengths = tuple(len(row.input_ids) - prefix for row in rows)
    return Pack(tuple(row.id for row in rows), prefix, lengths, input_ids, position_ids, labels)


def group_rows(rows: Sequence[TokenRow], rows_per_pack: int) -> list[list[int]]:
    """Group rows that begin alike, such as those of one domain.

    Rows stay together unless splitting them saves much more: two talks of one domain that also
    open with the same words are no group of their own, since a step should mix talks.

    Returns:
        Indices into `rows`, each exactly once; the same for every order of equal rows.
    """
    order = sorted(range(len(rows)), key=lambda i: (tuple(rows[i].input_ids), rows[i].id))
    heads = [_head_length(rows[i]) for i in order]
    common = [
        _common_length(rows[a].input_ids, rows[b].input_ids, min(_head_length(rows[a]), _head_length(rows[b])))
        for a, b in pairwise(order)
    ]

    def best(start: int, stop: int) -> tuple[float, list[tuple[int, int]]]:
        count = stop - start
        if count == 1:
            return 0.0, [(start, stop)]
        shared = min(common[start : stop - 1])
        spared = count - -(-count // rows_per_pack)
        whole = float(shared * spared)
        if sum(heads[start:stop]) <= _MIN_GAIN * shared * count:
            return whole, [(start, stop)]
        cuts = [start, *(i + 1 for i in range(start, stop - 1) if common[i] == shared), stop]
        gain, parts = 0.0, list[tuple[int, int]]()
        for a, b in pairwise(cuts):
            part_gain, part = best(a, b)
            gain += part_gain
            parts += part
        return (gain, parts) if gain > _MIN_GAIN * whole else (whole, [(start, stop)])

    return [order[start:stop] for start, stop in best(0, len(order))[1]] if rows else []


def plan_epoch(
    rows: Sequence[TokenRow],
    groups: Sequence[Sequence[int]],
    rows_per_step: int,
    rows_per_pack: int,
    share_prefix: bool,
    rng: random.Random,
) -> list[list[Pack]]:
    """Put every row into one step, and the rows of each step into packs.

    Which rows a step holds does not depend on `share_prefix`, nor, where all rows begin alike, on
    `rows_per_pack`.

    Returns:
        Packs by step, longest first within a step; the last step may hold fewer rows.
    """
    order = _shuffle(groups, rows_per_pack, rng)
    group_of = {row: number for number, group in enumerate(groups) for row in group}
    steps: list[list[Pack]] = []
    for start in range(0, len(order), rows_per_step):
        members: dict[int, list[int]] = {}
        for row in order[start : start + rows_per_step]:
            members.setdefault(group_of[row], []).append(row)
        packs = [
            build_pack([rows[i] for i in part], share_prefix)
            for group in members.values()
            for part in _balance(group, [len(row.input_ids) for row in rows], rows_per_pack)
        ]
        steps.append(sorted(packs, key=lambda pack: (-len(pack.input_ids), pack.row_ids)))
    return steps


def fill_steps(steps: Sequence[Sequence[Pack]], num_ranks: int) -> list[list[Pack]]:
    """Give every step the same number of packs, a multiple of `num_ranks`, by adding `EMPTY` ones."""
    most = max(len(step) for step in steps)
    width = -(-most // num_ranks) * num_ranks
    return [[*step, *[EMPTY] * (width - len(step))] for step in steps]


def _head_length(row: TokenRow) -> int:
    """Longest prefix of a row that leaves a token without loss behind it; 0 where there is none."""
    labelled = next((i for i, label in enumerate(row.labels) if label != IGNORE), len(row.labels))
    return max(0, min(labelled, len(row.labels)) - 1)


def _common_length(a: Sequence[int], b: Sequence[int], most: int) -> int:
    if a[:most] == b[:most]:
        return most
    return next(i for i in range(most) if a[i] != b[i])


def _shuffle(groups: Sequence[Sequence[int]], rows_per_pack: int, rng: random.Random) -> list[int]:
    """Shuffle rows, keeping `rows_per_pack` of one group side by side; odd rests come last."""
    queues: list[list[int]] = []
    for group in groups:
        queue = list(group)
        rng.shuffle(queue)
        queues.append(queue)
    turns = [number for number, queue in enumerate(queues) for _ in range(len(queue) // rows_per_pack)]
    rng.shuffle(turns)
    order: list[int] = []
    taken = [0] * len(queues)
    for number in turns:
        order += queues[number][taken[number] : taken[number] + rows_per_pack]
        taken[number] += rows_per_pack
    for number, queue in enumerate(queues):
        order += queue[taken[number] :]
    return order


def _balance(members: Sequence[int], lengths: Sequence[int], rows_per_pack: int) -> list[list[int]]:
    """Deal rows, longest first, to the pack that is shortest so far and not yet full."""
    parts: list[list[int]] = [[] for _ in range(-(-len(members) // rows_per_pack))]
    for row in sorted(members, key=lambda i: (-lengths[i], i)):
        open_parts = [part for part in parts if len(part) < rows_per_pack]
        min(open_parts, key=lambda part: sum(lengths[i] for i in part)).append(row)
    return parts
