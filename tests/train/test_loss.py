"""The loss in chunks equals the loss from the whole matrix of logits, for every way logits are made."""

from typing import Any

import pytest
import torch
from transformers import CohereConfig, Gemma2Config, GraniteConfig, LlamaConfig

from t2t.train import loss as loss_module
from t2t.train.loss import add_loss

SIZES: dict[str, Any] = {
    "vocab_size": 61,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 8,
    "initializer_range": 0.5,
    "pad_token_id": 0,
    "attn_implementation": "eager",
}
CONFIGS = {
    "tied": LlamaConfig(**SIZES, tie_word_embeddings=True),
    "own head": LlamaConfig(**SIZES, tie_word_embeddings=False),
    "soft cap": Gemma2Config(**SIZES, final_logit_softcapping=3.0),
    "divided": GraniteConfig(**SIZES, logits_scaling=4.0),
    "multiplied": CohereConfig(**SIZES, logit_scale=0.25),
}


def make_model(config: Any) -> Any:
    from transformers import AutoModelForCausalLM

    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(config).train()


@pytest.mark.parametrize("kind", CONFIGS)
def test_loss_and_gradients_equal_those_of_all_logits(kind: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(loss_module, "_CHUNK", 61 * 3)  # three tokens at a time
    ids = torch.randint(1, 61, (1, 20), generator=torch.Generator().manual_seed(1))
    positions = torch.tensor([2, 3, 5, 8, 9, 13, 18])
    targets, weights = ids[0, positions + 1], torch.tensor([1.0, 0.5, 2.0, 0.0, 1.0, 3.0, 1.0])

    plain = make_model(CONFIGS[kind])
    logits = plain(input_ids=ids, use_cache=False).logits[0, positions]
    nll = torch.nn.functional.cross_entropy(logits, targets, reduction="none")
    ((nll * weights).sum() / 3).backward()

    ours = make_model(CONFIGS[kind])
    add_loss(ours)
    output = ours(input_ids=ids, loss_positions=positions, targets=targets, token_weights=weights, use_cache=False)
    (output["loss"] / 3).backward()

    assert output["loss"].item() == pytest.approx((nll * weights).sum().item(), rel=1e-5)
    assert output["nll"].tolist() == pytest.approx(nll.tolist(), rel=1e-4)
    assert float(output["num_correct"]) == float((logits.argmax(-1) == targets).sum())
    for (name, one), (_, two) in zip(plain.named_parameters(), ours.named_parameters(), strict=True):
        assert float((one.grad - two.grad).norm()) <= 1e-5 * float(one.grad.norm()) + 1e-8, name


def test_a_pass_without_labels_adds_nothing_and_has_gradients_of_zero():
    model = make_model(CONFIGS["tied"])
    add_loss(model)
    none = torch.zeros(0, dtype=torch.long)
    output = model(
        input_ids=torch.tensor([[1, 2]]),
        loss_positions=none,
        targets=none,
        token_weights=torch.zeros(0),
        use_cache=False,
    )
    output["loss"].backward()
    assert output["loss"].item() == 0.0
    assert all(float(weight.grad.abs().sum()) == 0.0 for weight in model.parameters())


def test_a_call_without_targets_gives_logits_as_before():
    model = make_model(CONFIGS["soft cap"])
    ids = torch.tensor([[1, 2, 3]])
    before = model(input_ids=ids, use_cache=False).logits
    add_loss(model)
    assert torch.equal(model(input_ids=ids, use_cache=False).logits, before)
    assert model(input_ids=ids, labels=ids, use_cache=False).loss is not None
