"""Attention over packs equals attention over rows alone: kernels, windows, whole models."""

from typing import Any

import pytest
import torch
from tiny_models import TINY, tiny_model
from token_rows import make_rows

from t2t.errors import RunError
from t2t.train import attention
from t2t.train.packing import IGNORE, Bundle, Pack, TokenRow, build_pack

LAYOUTS = [
    (Bundle(0, (7,)),),
    (Bundle(5, (3, 4)),),
    (Bundle(0, (3,)), Bundle(0, (4,))),
    (Bundle(6, (1,)), Bundle(0, (9,)), Bundle(2, (5, 1, 3))),
    (Bundle(140, (30, 200)), Bundle(1, (129, 3))),
]


def sees(layout: attention.Layout, window: int | None) -> torch.Tensor:
    """Which token sees which, token by token; shape (n, n)."""
    owner, position = [], []
    for number, bundle in enumerate(layout):
        owner += [(number, None)] * bundle.prefix_length
        position += range(bundle.prefix_length)
        for branch, length in enumerate(bundle.branch_lengths):
            owner += [(number, branch)] * length
            position += range(bundle.prefix_length, bundle.prefix_length + length)
    rows = [
        [
            ours[0] == theirs[0]
            and theirs[1] in (None, ours[1])
            and 0 <= position[q] - position[k] < (window or len(owner))
            for k, theirs in enumerate(owner)
        ]
        for q, ours in enumerate(owner)
    ]
    return torch.tensor(rows)


def inputs(length: int, heads: int = 4, key_heads: int = 2, size: int = 8) -> list[torch.Tensor]:
    torch.manual_seed(length)
    return [torch.randn(1, count, length, size, requires_grad=True) for count in (heads, key_heads, key_heads)]


def expected(parts: list[torch.Tensor], layout: attention.Layout, window: int | None) -> torch.Tensor:
    query, key, value = parts
    seen = sees(layout, window)
    return torch.nn.functional.scaled_dot_product_attention(
        query, key, value, attn_mask=seen, scale=0.3, enable_gqa=True
    ).transpose(1, 2)


@pytest.mark.parametrize("window", [None, 1, 4, 150])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_branch_attends_to_its_prefix_and_to_itself(layout: attention.Layout, window: int | None):
    parts = inputs(sum(bundle.num_tokens for bundle in layout))
    ours, _ = attention._attend(torch.nn.Module(), *parts, None, 0.3, sliding_window=window, pack_layout=layout)
    wanted = expected(parts, layout, window)
    assert torch.allclose(ours, wanted, atol=1e-5)
    weight = torch.randn(ours.shape)
    for a, b in zip(torch.autograd.grad(ours, parts, weight), torch.autograd.grad(wanted, parts, weight), strict=True):
        assert torch.allclose(a, b, atol=1e-5)


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
@pytest.mark.parametrize("window", [None, 4, 150])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_attention_by_blocks_equals_attention_on_the_cpu(layout: attention.Layout, window: int | None):
    parts = inputs(sum(bundle.num_tokens for bundle in layout))
    parts = [part.detach() for part in parts]  # flex_attention has no backward pass on a CPU
    blocks = attention._attend_in_blocks(*parts, layout, 0.3, window).transpose(1, 2)
    assert torch.allclose(blocks, expected(parts, layout, window), atol=1e-5)


@pytest.mark.parametrize("window", [None, 4, 150])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_blocks_of_a_mask_are_those_that_the_mask_needs(layout: attention.Layout, window: int | None):
    mask = attention._block_mask(layout, window, torch.device("cpu"))
    length = sum(bundle.num_tokens for bundle in layout)
    blocks = -(-length // 128)
    seen = torch.zeros(blocks * 128, blocks * 128, dtype=torch.bool)
    seen[:length, :length] = sees(layout, window)
    tiles = seen.view(blocks, 128, blocks, 128).transpose(1, 2)
    for number in range(blocks):
        partial = set(mask.kv_indices[0, 0, number, : mask.kv_num_blocks[0, 0, number]].tolist())
        full = set(mask.full_kv_indices[0, 0, number, : mask.full_kv_num_blocks[0, 0, number]].tolist())
        assert full == {i for i in range(blocks) if tiles[number, i].all()}
        assert partial == {i for i in range(blocks) if tiles[number, i].any()} - full


def test_documents_begin_where_the_ones_before_end():
    starts, longest = attention._document_starts((Bundle(0, (3,)), Bundle(0, (7, 2))), torch.device("cpu"))
    assert (starts.tolist(), starts.dtype, longest) == ([0, 3, 10, 12], torch.int32, 7)


def test_what_a_pack_cannot_compute_is_refused():
    parts, layout = inputs(4), (Bundle(0, (4,)),)
    for others, message in (
        ({}, "pack_layout"),
        ({"pack_layout": layout, "softcap": 30.0}, "softcap"),
        ({"pack_layout": layout, "s_aux": torch.zeros(4)}, "s_aux"),
        ({"pack_layout": layout, "dropout": 0.1}, "dropout"),
    ):
        with pytest.raises(RunError, match=message):
            attention._attend(torch.nn.Module(), *parts, None, **others)


def arguments(pack: Pack) -> dict[str, Any]:
    """What a model needs to know of a pack beside its tokens."""
    return {
        "position_ids": torch.tensor([pack.position_ids]),
        "pack_layout": attention.PackLayout(pack.layout),
        "use_cache": False,
    }


def gradients(model: Any, rows: list[TokenRow], packs: list[Pack]) -> tuple[float, dict[str, torch.Tensor]]:
    """Summed loss and gradients: of packs if there are any, else of each row by itself."""
    model.zero_grad()
    attention.register()
    model.set_attn_implementation(attention.NAME if packs else "sdpa")
    total = 0.0
    batches = [(pack.input_ids, pack.labels, arguments(pack)) for pack in packs] or [
        (list(row.input_ids), list(row.labels), {"use_cache": False}) for row in rows
    ]
    for ids, labels, others in batches:
        logits = model(input_ids=torch.tensor([ids]), **others).logits[0, :-1]
        loss = torch.nn.functional.cross_entropy(logits, torch.tensor(labels[1:]), reduction="sum", ignore_index=IGNORE)
        loss.backward()
        total += loss.item()
    return total, {name: weight.grad for name, weight in model.named_parameters() if weight.grad is not None}


@pytest.mark.parametrize("architecture", [name for name, tiny in TINY.items() if tiny.packs])
def test_packs_have_the_loss_and_gradients_of_their_rows_alone(architecture: str):
    model = tiny_model(architecture)
    rows = make_rows(3, prefix=20) + make_rows(2, prefix=9, seed=3, name="other")
    alone, wanted = gradients(model, rows, [])
    shared = [build_pack(rows[:3], share_prefix=True), build_pack(rows[3:], share_prefix=True)]
    both = Pack(shared[0].rows + shared[1].rows, shared[0].layout + shared[1].layout)
    for packs in ([both], shared, [build_pack(rows, share_prefix=False)]):
        loss, found = gradients(model, rows, packs)
        assert loss == pytest.approx(alone, rel=1e-5)
        assert wanted.keys() == found.keys()
        for name, gradient in wanted.items():
            assert float((gradient - found[name]).norm()) <= 1e-5 * float(gradient.norm()) + 1e-7, name


def test_blocks_are_compiled_once_for_all_layouts():
    from torch._dynamo.testing import CompileCounter

    model = tiny_model("llama")
    attention.register()
    model.set_attn_implementation(attention.NAME)
    packs = [build_pack(make_rows(2 + number % 3, seed=number), share_prefix=number % 2 == 0) for number in range(5)]

    def run(some: list[Pack]) -> list[torch.Tensor]:
        with torch.no_grad():
            return [model(input_ids=torch.tensor([pack.input_ids]), **arguments(pack)).logits for pack in some]

    plain = run(packs)
    counter = CompileCounter()
    model.model.layers[0].compile(backend=counter, dynamic=True)
    run(packs[:1])
    first = counter.frame_count
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(plain, run(packs), strict=True))
    assert counter.frame_count == first > 0
