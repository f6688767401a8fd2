"""Packs are fitted to the memory that is free, by the model's configuration alone."""

from pathlib import Path

from test_sft import CONFIG, with_changes

from t2t.config import TrainConfig
from t2t.train.memory import Estimate, _free_of_container, plan_memory


def estimate(config: TrainConfig, source: str) -> Estimate:
    return plan_memory(config, source, longest=50, num_ranks=1)


def test_an_estimate_counts_what_is_trained(tiny_source: str):
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(tiny_source, dtype=torch.float32)
    count = sum(weight.numel() for weight in model.parameters())
    whole = estimate(with_changes(adapter="none"), tiny_source)
    assert (whole.weights, whole.gradients, whole.optimiser) == (4 * count, 4 * count, 8 * count)
    adapter = estimate(CONFIG, tiny_source)
    assert 0 < adapter.optimiser < whole.optimiser
    assert adapter.fits and "GiB" in adapter.lines()[0]


def test_what_is_set_is_kept_and_what_is_not_is_fitted(tiny_source: str):
    fitted = estimate(CONFIG, tiny_source)
    assert fitted.tokens_per_pack >= 50
    assert not fitted.recompute
    set_by_hand = estimate(with_changes(tokens_per_pack=123, recompute="always"), tiny_source)
    assert (set_by_hand.tokens_per_pack, set_by_hand.recompute) == (123, True)
    assert set_by_hand.activations < estimate(with_changes(tokens_per_pack=123), tiny_source).activations


def test_where_packs_cannot_fit_activations_are_computed_again_and_the_way_out_is_said(tiny_source: str):
    huge = estimate(with_changes(tokens_per_pack=10**10), tiny_source)
    assert huge.recompute
    assert not huge.fits
    assert "does not fit; set train.tokens_per_pack=5000000000" in huge.lines()[-1]


def test_a_container_leaves_its_limit_less_what_is_held(tmp_path: Path):
    (tmp_path / "memory.max").write_text("1000\n")
    (tmp_path / "memory.current").write_text("700\n")
    (tmp_path / "memory.stat").write_text("anon 400\ninactive_file 200\nactive_file 50\n")
    assert _free_of_container(tmp_path) == 550
    (tmp_path / "memory.max").write_text("max\n")
    assert _free_of_container(tmp_path) == float("inf")
