"""Packs and steps: every row once, nothing shared that carries loss, the same plan every time."""

import random

import pytest
from token_rows import make_rows

from t2t.train.packing import EMPTY, IGNORE, Pack, TokenRow, build_pack, fill_steps, group_rows, plan_epoch


def unpack(pack: Pack) -> list[tuple[list[int], list[int]]]:
    """Positions and ids of each row, read back from a pack."""
    prefix, rows, start = pack.prefix_length, [], pack.prefix_length
    for length in pack.branch_lengths:
        part = slice(start, start + length)
        rows.append(
            (
                pack.position_ids[:prefix] + pack.position_ids[part],
                pack.input_ids[:prefix] + pack.input_ids[part],
            )
        )
        start += length
    return rows


def test_a_pack_holds_its_rows_whole_and_counts_positions_from_their_start():
    rows = make_rows(3)
    pack = build_pack(rows, share_prefix=True)
    assert pack.prefix_length >= 20
    for row, (positions, ids) in zip(rows, unpack(pack), strict=True):
        assert positions == list(range(len(row.input_ids)))
        assert ids == list(row.input_ids)


def test_a_pack_keeps_every_label_and_none_on_the_first_token_of_a_branch():
    rows = make_rows(4)
    pack = build_pack(rows, share_prefix=True)
    assert [x for x in pack.labels if x != IGNORE] == [x for row in rows for x in row.labels if x != IGNORE]
    assert set(pack.labels[: pack.prefix_length]) == {IGNORE}
    start = pack.prefix_length
    for length in pack.branch_lengths:
        assert pack.labels[start] == IGNORE
        start += length


def test_a_prefix_ends_before_the_token_that_precedes_the_first_label():
    ids = [5, 6, 7, 8, 9, 10]
    rows = [TokenRow("a", ids, [IGNORE] * 3 + [8, 9, 10]), TokenRow("b", ids, [IGNORE] * 4 + [9, 10])]
    pack = build_pack(rows, share_prefix=True)
    assert pack.prefix_length == 2
    assert [x for x in pack.labels if x != IGNORE] == [8, 9, 10, 9, 10]


def test_equal_rows_and_a_row_inside_another_still_have_branches():
    short = TokenRow("short", [5, 6, 7, 8], [IGNORE, IGNORE, IGNORE, 8])
    long = TokenRow("long", [5, 6, 7, 8, 9, 9], [IGNORE] * 4 + [9, 9])
    twin = TokenRow("twin", [5, 6, 7, 8], [IGNORE, IGNORE, IGNORE, 8])
    pack = build_pack([short, long, twin], share_prefix=True)
    assert min(pack.branch_lengths) >= 1
    assert [ids for _, ids in unpack(pack)] == [list(r.input_ids) for r in (short, long, twin)]


def test_rows_of_two_domains_form_two_groups():
    rows = make_rows(6, seed=1, name="a") + make_rows(6, seed=2, name="b")
    groups = group_rows(rows, rows_per_pack=4)
    assert sorted(sorted(rows[i].id[0] for i in group) for group in groups) == [["a"] * 6, ["b"] * 6]


def test_rows_of_one_domain_stay_one_group_whatever_they_open_with():
    rows = make_rows(16, prefix=60)
    assert len(group_rows(rows, rows_per_pack=4)) == 1


def test_rows_with_nothing_in_common_are_planned_all_the_same():
    rows = [TokenRow(str(i), [i, 50, 51, 52], [IGNORE, IGNORE, 51, 52]) for i in range(5)]
    steps = plan_epoch(rows, group_rows(rows, 2), 4, 2, True, random.Random(0))
    assert sorted(row_id for step in steps for pack in step for row_id in pack.row_ids) == list("01234")


@pytest.mark.parametrize("rows_per_pack", [1, 2, 4, 8])
def test_a_step_holds_the_same_rows_however_they_are_packed(rows_per_pack: int):
    rows = make_rows(21)

    def plan(per_pack: int, share: bool) -> list[list[str]]:
        steps = plan_epoch(rows, group_rows(rows, per_pack), 8, per_pack, share, random.Random(7))
        return [sorted(row_id for pack in step for row_id in pack.row_ids) for step in steps]

    assert plan(rows_per_pack, True) == plan(rows_per_pack, False) == plan(4, True)
    assert [len(step) for step in plan(rows_per_pack, True)] == [8, 8, 5]


def test_an_epoch_holds_every_row_once_and_its_order_follows_the_seed():
    rows = make_rows(13, name="a") + make_rows(9, seed=5, name="b")
    groups = group_rows(rows, 4)
    plans = [plan_epoch(rows, groups, 8, 4, True, random.Random(seed)) for seed in (1, 1, 2)]
    assert plans[0] == plans[1] != plans[2]
    for plan in plans:
        ids = [row_id for step in plan for pack in step for row_id in pack.row_ids]
        assert sorted(ids) == sorted(row.id for row in rows)
        assert all(len(pack.row_ids) <= 4 for step in plan for pack in step)


def test_packs_of_a_step_are_about_equally_long():
    rows = make_rows(8, prefix=40)
    (step,) = plan_epoch(rows, group_rows(rows, 4), 8, 4, True, random.Random(0))
    longest, shortest = (len(pack.input_ids) for pack in step)
    assert longest - shortest <= 12


@pytest.mark.parametrize("num_ranks", [1, 2, 3])
def test_every_step_has_equally_many_packs_on_every_rank(num_ranks: int):
    rows = make_rows(21)
    steps = fill_steps(plan_epoch(rows, group_rows(rows, 4), 8, 4, True, random.Random(0)), num_ranks)
    assert len({len(step) for step in steps}) == 1
    assert len(steps[0]) % num_ranks == 0
    assert set(EMPTY.labels) == {IGNORE}
