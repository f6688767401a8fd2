"""Plans and packs: every row once, nothing shared that carries loss, the same plan every time."""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from token_rows import make_rows

from t2t.train.packing import EMPTY, IGNORE, Bundle, Pack, Plan, TokenRow, build_pack, plan_run, shared_length


def plan(rows: Sequence[TokenRow], **changes: Any) -> Plan:
    arguments: dict[str, Any] = {
        "epochs": 1,
        "loss_tokens_per_step": 60,
        "tokens_per_pack": 256,
        "share": "auto",
        "seed": 0,
        "num_ranks": 1,
    }
    return plan_run(rows, **{**arguments, **changes})


def unpack(pack: Pack) -> list[tuple[str, list[int], list[int], list[int]]]:
    """Id, token ids, positions and labels of each row, read back from a pack."""
    rows, start, ids = [], 0, iter(pack.row_ids)
    for bundle in pack.layout:
        prefix = slice(start, start + bundle.prefix_length)
        start = prefix.stop
        for length in bundle.branch_lengths:
            own = slice(start, start + length)
            parts = [column[prefix] + column[own] for column in (pack.input_ids, pack.position_ids, pack.labels)]
            rows.append((next(ids), *parts))
            start += length
    assert start == len(pack.input_ids) == len(pack.position_ids) == len(pack.labels) == pack.num_tokens
    return rows


def rows_of(step: Sequence[Pack]) -> list[str]:
    return sorted(row_id for pack in step for row_id in pack.row_ids)


@st.composite
def data_sets(draw: st.DrawFn) -> list[TokenRow]:
    """Rows that copy their beginnings from each other, with loss on any tokens."""
    tokens = st.integers(3, 6)
    rows: list[TokenRow] = []
    for number in range(draw(st.integers(1, 14))):
        head = rows[draw(st.integers(0, number - 1))].input_ids if rows and draw(st.booleans()) else []
        ids = [*head[: draw(st.integers(0, len(head)))], *draw(st.lists(tokens, min_size=2, max_size=9))]
        mute = draw(st.integers(0, len(ids) - 1))
        labels = [token if i >= mute and draw(st.booleans()) else IGNORE for i, token in enumerate(ids)]
        rows.append(TokenRow(f"row-{number}", ids, labels, weight=number + 0.5))
    return rows


@given(
    rows=data_sets(),
    loss_tokens=st.integers(1, 30),
    tokens_per_pack=st.integers(1, 60),
    share=st.sampled_from(["auto", "always", "never"]),
    num_ranks=st.integers(1, 4),
    as_array=st.booleans(),
)
@settings(max_examples=200, deadline=None)
def test_a_plan_holds_every_row_whole_and_once_an_epoch(
    rows: list[TokenRow], loss_tokens: int, tokens_per_pack: int, share: str, num_ranks: int, as_array: bool
):
    by_id = {row.id: row for row in rows}
    given_rows = rows
    if as_array:
        given_rows = [
            TokenRow(row.id, *(np.asarray(part, np.int32) for part in (row.input_ids, row.labels)), row.weight)  # type: ignore[arg-type]
            for row in rows
        ]
    planned = plan(
        given_rows,
        epochs=2,
        loss_tokens_per_step=loss_tokens,
        tokens_per_pack=tokens_per_pack,
        share=share,
        num_ranks=num_ranks,
    )
    plain = plan(rows, epochs=2, loss_tokens_per_step=loss_tokens, tokens_per_pack=1, share="never")
    assert [rows_of(step) for step in planned.steps] == [rows_of(step) for step in plain.steps]
    assert sorted(itertools.chain.from_iterable(map(rows_of, planned.steps))) == sorted([*by_id, *by_id])
    assert len({len(step) for step in planned.steps}) == 1
    assert len(planned.steps[0]) % num_ranks == 0
    for pack in itertools.chain.from_iterable(planned.steps):
        if not pack.row_ids:
            assert pack == EMPTY
            continue
        assert pack.num_tokens <= tokens_per_pack or len(pack.row_ids) == 1
        assert pack.weights == tuple(by_id[row_id].weight for row_id in pack.row_ids)
        for row_id, ids, positions, labels in unpack(pack):
            assert ids == by_id[row_id].input_ids
            assert positions == list(range(len(ids)))
            assert labels == [IGNORE, *by_id[row_id].labels[1:]]
        assert all(type(value) is int for value in (*pack.input_ids, *pack.labels, *pack.position_ids))
    packs = [pack for step in planned.steps for pack in step if pack.row_ids]
    assert planned.tokens_computed == sum(pack.num_tokens for pack in packs) <= planned.tokens_real
    assert planned.tokens_real == 2 * sum(len(row.input_ids) for row in rows)
    assert planned.shares or planned.tokens_computed == planned.tokens_real
    assert planned.describe()


@given(rows=data_sets(), loss_tokens=st.integers(1, 30), seed=st.integers(0, 3))
@settings(max_examples=100, deadline=None)
def test_the_order_of_the_rows_given_does_not_matter(rows: list[TokenRow], loss_tokens: int, seed: int):
    one, other = (
        plan(given_rows, loss_tokens_per_step=loss_tokens, seed=seed, share="always")
        for given_rows in (rows, rows[::-1])
    )
    assert one.steps == other.steps


@given(rows=data_sets(), loss_tokens=st.integers(1, 30))
@settings(max_examples=100, deadline=None)
def test_every_step_has_its_loss_tokens_but_for_the_rest_of_an_epoch(rows: list[TokenRow], loss_tokens: int):
    planned = plan(rows, loss_tokens_per_step=loss_tokens, share="never")
    counts = [sum(label != IGNORE for pack in step for label in pack.labels) for step in planned.steps]
    assert all(count >= loss_tokens for count in counts[:-1])
    assert len(counts) == 1 or 2 * counts[-1] >= loss_tokens


def test_a_prefix_ends_before_the_token_that_precedes_the_first_label():
    ids = [5, 6, 7, 8, 9, 10]
    rows = [TokenRow("a", ids, [IGNORE] * 3 + [8, 9, 10]), TokenRow("b", ids, [IGNORE] * 4 + [9, 10])]
    pack = build_pack(rows, share_prefix=True)
    assert pack.layout == (Bundle(2, (4, 4)),)
    assert [x for x in pack.labels if x != IGNORE] == [8, 9, 10, 9, 10]


def test_equal_rows_and_a_row_inside_another_still_have_branches():
    short = TokenRow("short", [5, 6, 7, 8], [IGNORE, IGNORE, IGNORE, 8])
    long = TokenRow("long", [5, 6, 7, 8, 9, 9], [IGNORE] * 4 + [9, 9])
    twin = TokenRow("twin", [5, 6, 7, 8], [IGNORE, IGNORE, IGNORE, 8])
    pack = build_pack([short, long, twin], share_prefix=True)
    assert pack.layout == (Bundle(2, (2, 4, 2)),)
    assert [ids for _, ids, _, _ in unpack(pack)] == [row.input_ids for row in (short, long, twin)]


def test_a_step_shares_the_longest_prefix_of_every_domain_in_it():
    a, b = make_rows(4, prefix=80, name="a"), make_rows(4, prefix=60, seed=5, name="b")
    planned = plan(a + b, loss_tokens_per_step=10_000, tokens_per_pack=10_000)
    ((pack,),) = planned.steps
    assert sorted(bundle.prefix_length for bundle in pack.layout) == sorted([shared_length(a), shared_length(b)])
    assert planned.tokens_computed == planned.tokens_real - 3 * (shared_length(a) + shared_length(b))


def test_rows_that_share_more_than_their_domain_have_a_bundle_of_their_own():
    domain = list(range(1, 41))
    rows = [
        TokenRow(f"{task}-{i}", [*domain, *[task] * 60, 90 + i, i, i], [IGNORE] * 102 + [i])
        for task in (50, 51)
        for i in range(5)
    ]
    ((pack,),) = plan(rows, loss_tokens_per_step=1000, tokens_per_pack=1000).steps
    assert [bundle.prefix_length for bundle in pack.layout] == [100, 100]


def test_prefixes_are_shared_from_a_fifth_of_the_tokens_on():
    def rows(prefix: int) -> list[TokenRow]:
        return [
            TokenRow(f"{i}", [*range(3, 3 + prefix), *[60 + i] * 40], [IGNORE] * (prefix + 39) + [60 + i])
            for i in range(10)
        ]

    little, much = plan(rows(9)), plan(rows(13))
    assert (little.shares, much.shares) == (False, True)
    assert little.shared_share == pytest.approx(9 * 9 / (10 * 49))
    assert plan(rows(9), share="always").shares
    assert not plan(rows(13), share="never").shares


def test_a_row_longer_than_a_pack_is_alone_in_one():
    rows = [*make_rows(3), TokenRow("long", list(range(3, 90)), [IGNORE] * 80 + list(range(83, 90)))]
    (step,) = plan(rows, tokens_per_pack=80, loss_tokens_per_step=1000).steps
    assert ("long",) in [pack.row_ids for pack in step]
    assert all(pack.num_tokens <= 80 for pack in step if pack.row_ids != ("long",))


@pytest.mark.parametrize("share", ["always", "never"])
def test_ranks_have_about_equally_much_to_compute(share: str):
    rows = make_rows(400, prefix=60, name="a") + make_rows(200, prefix=40, seed=5, name="b")
    planned = plan(rows, loss_tokens_per_step=400, tokens_per_pack=600, share=share, num_ranks=4)
    waiting = [
        max(loads) / (sum(loads) / 4)
        for step in planned.steps
        for loads in [[sum(pack.num_tokens for pack in step[rank::4]) for rank in range(4)]]
    ]
    assert sum(waiting) / len(waiting) < 1.2


def test_the_order_follows_the_seed_and_differs_from_epoch_to_epoch():
    rows = make_rows(40)
    one, same, other = (plan(rows, seed=seed, epochs=2) for seed in (1, 1, 2))
    assert one.steps == same.steps != other.steps
    half = one.num_steps // 2
    assert [rows_of(step) for step in one.steps[:half]] != [rows_of(step) for step in one.steps[half:]]


def test_a_part_of_an_epoch_is_a_part_of_its_steps():
    rows = make_rows(40)
    whole = plan(rows)
    half, more = plan(rows, epochs=0.5), plan(rows, epochs=1.5)
    assert half.steps == whole.steps[: -(-whole.num_steps // 2)]
    assert more.steps[: whole.num_steps] == whole.steps
    assert more.num_steps == whole.num_steps + half.num_steps


def test_a_plan_says_what_it_saves():
    rows = make_rows(8, prefix=60, name="a") + make_rows(4, prefix=40, seed=5, name="b")
    planned = plan(rows, num_ranks=2)
    text = "\n".join(planned.describe())
    assert f"{planned.tokens_computed} tokens to compute instead of {planned.tokens_real}" in text
    assert "8 rows behind 60 tokens, 4 rows behind 40 tokens" in text
    assert "the busiest rank computes" in text
