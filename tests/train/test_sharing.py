"""A model packs rows only where that is proved to change nothing."""

import logging

import pytest
import torch
from tiny_models import TINY, tiny_model

from t2t.train import attention
from t2t.train.sharing import choose_packing


@pytest.mark.parametrize("architecture", [name for name, tiny in TINY.items() if tiny.packs])
def test_models_of_the_attention_interface_share_prefixes(architecture: str, caplog: pytest.LogCaptureFixture):
    model = tiny_model(architecture).train()
    assert choose_packing(model, "shared") == "shared"
    assert model.config._attn_implementation == attention.NAME
    assert model.training
    assert not caplog.records


@pytest.mark.parametrize(
    ("architecture", "packing", "reason"),
    [
        ("gemma2", "packed", "attention uses softcap"),
        ("gpt_oss", "single", "attention uses s_aux"),
        ("bloom", "single", "attention cannot be replaced through AttentionInterface"),
        ("mamba", "single", "comes out otherwise in a pack than alone"),
        ("qwen3_next", "single", "comes out otherwise in a pack than alone"),
    ],
)
def test_other_models_fall_back_and_say_why(
    architecture: str, packing: str, reason: str, caplog: pytest.LogCaptureFixture
):
    model = tiny_model(architecture)
    own = model.config._attn_implementation
    caplog.set_level(logging.WARNING, "t2t")
    assert choose_packing(model, "shared") == packing
    assert model.config._attn_implementation == own
    (line,) = [record.message for record in caplog.records if record.name.startswith("t2t")]
    assert reason in line


@pytest.mark.parametrize("wanted", ["packed", "single"])
def test_a_model_packs_no_more_densely_than_asked(wanted: str):
    assert choose_packing(tiny_model("llama"), wanted) == wanted  # pyright: ignore[reportArgumentType]


def test_a_model_whose_attention_drops_out_is_not_packed_by_ours():
    model = tiny_model("llama")
    for layer in model.model.layers:
        layer.self_attn.attention_dropout = 0.1
    assert choose_packing(model, "shared") == "packed"
    assert model.config._attn_implementation != attention.NAME


def test_a_trial_leaves_weights_and_gradients_as_they_are():
    model = tiny_model("qwen3")
    before = {name: weight.clone() for name, weight in model.named_parameters()}
    choose_packing(model, "shared")
    assert all(torch.equal(before[name], weight) for name, weight in model.named_parameters())
    assert all(weight.grad is None for weight in model.parameters())
