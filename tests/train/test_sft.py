"""Training on packs equals training on separate rows with plain TRL, and leaves what vLLM serves."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from token_rows import make_rows

from t2t.config import TrainConfig
from t2t.train.packing import IGNORE, TokenRow, build_pack
from t2t.train.sft import train

CONFIG = TrainConfig(
    dtype="float32", epochs=2, learning_rate=1e-2, lora_r=4, lora_alpha=8, save_steps=2, loss_tokens_per_step=20
)


def with_changes(**changes: Any) -> TrainConfig:
    return TrainConfig.model_validate({**CONFIG.model_dump(), **changes})


def gradients(source: str, packed: bool, folded: bool, rows: list[TokenRow]) -> tuple[float, dict[str, Any]]:
    """Summed loss over the rows, and the adapter's gradients; plain PEFT and sdpa, or all of ours."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    from t2t.train import attention
    from t2t.train.lora import use_folded_linear
    from t2t.train.loss import add_loss
    from t2t.train.trainer import to_batch

    attention.register()
    model: Any = AutoModelForCausalLM.from_pretrained(
        source, dtype=torch.float32, attn_implementation=attention.NAME if packed else "sdpa"
    )
    add_loss(model)
    settings = LoraConfig(r=4, lora_alpha=8, target_modules=list(CONFIG.lora_targets), init_lora_weights=False)
    if folded:
        use_folded_linear(settings)
    torch.manual_seed(3)
    model = get_peft_model(model, settings)
    total = 0.0
    if packed:
        batch = to_batch(build_pack(rows, share_prefix=True), alone=False)
        batch.pop("row_ids")
        assert len(batch["targets"]) == sum(label != IGNORE for row in rows for label in row.labels)
        loss = model(**batch, use_cache=False)["loss"]
        loss.backward()
        total = loss.item()
    else:
        for row in rows:
            logits = model(input_ids=torch.tensor([row.input_ids]), use_cache=False).logits[0, :-1]
            loss = torch.nn.functional.cross_entropy(logits, torch.tensor(row.labels[1:]), reduction="sum")
            (loss * row.weight).backward()
            total += loss.item() * row.weight
    return total, {name: weight.grad for name, weight in model.named_parameters() if weight.grad is not None}


@pytest.mark.parametrize("folded", [True, False])
@pytest.mark.parametrize("prefix", [0, 1, 20])
def test_a_pack_has_the_loss_and_gradients_of_its_rows_alone(tiny_source: str, prefix: int, folded: bool):
    rows = [
        TokenRow(row.id, row.input_ids, row.labels, weight=weight)
        for row, weight in zip(make_rows(4, prefix=prefix), (1.0, 0.5, 3.0, 1.0), strict=True)
    ]
    plain_loss, plain = gradients(tiny_source, packed=False, folded=False, rows=rows)
    pack_loss, packed = gradients(tiny_source, packed=True, folded=folded, rows=rows)
    assert pack_loss == pytest.approx(plain_loss, rel=1e-5)
    assert plain.keys() == packed.keys()
    for name, gradient in plain.items():
        assert float((gradient - packed[name]).norm()) <= 1e-5 * float(gradient.norm()) + 1e-8, name


@pytest.mark.parametrize("adapter", ["lora", "rslora", "none"])
def test_losses_are_those_of_plain_trl(tiny_source: str, tmp_path: Path, adapter: str):
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl.trainer.sft_config import SFTConfig
    from trl.trainer.sft_trainer import SFTTrainer

    rows = make_rows(6)
    config = with_changes(adapter=adapter, epochs=4, loss_tokens_per_step=10_000, warmup_share=0.0)
    ours = train(rows, config, tiny_source, tmp_path / "ours", seed=3)
    lora = LoraConfig(
        r=4,
        lora_alpha=8,
        target_modules=list(config.lora_targets),
        use_rslora=adapter == "rslora",
        task_type="CAUSAL_LM",
    )
    plain: Any = SFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(tiny_source),
        args=SFTConfig(
            output_dir=str(tmp_path / "plain"),
            learning_rate=1e-2,
            lr_scheduler_type="cosine",
            max_steps=4,
            per_device_train_batch_size=len(rows),
            gradient_checkpointing=False,
            bf16=False,
            use_cpu=True,
            logging_steps=1,
            save_strategy="no",
            seed=3,
            report_to="none",
            disable_tqdm=True,
            dataloader_pin_memory=False,
        ),
        train_dataset=Dataset.from_list([{"input_ids": row.input_ids, "labels": row.labels} for row in rows]),
        processing_class=AutoTokenizer.from_pretrained(tiny_source),
        peft_config=None if adapter == "none" else lora,
    )
    plain.train()
    expected = [entry for entry in plain.state.log_history if "loss" in entry]
    for name in ("loss", "grad_norm", "mean_token_accuracy"):
        assert [e[name] for e in ours.history] == pytest.approx([e[name] for e in expected], rel=1e-3), name


@pytest.mark.parametrize(
    "changes", [{"share_prefix": "never"}, {"tokens_per_pack": 50}, {"recompute": "always"}, {"dtype": "bfloat16"}]
)
def test_how_a_run_is_computed_does_not_change_it(tiny_source: str, tmp_path: Path, changes: dict[str, Any]):
    rows = make_rows(7, name="a") + make_rows(4, seed=4, name="b")
    one = train(rows, with_changes(share_prefix="always"), tiny_source, tmp_path / "one", seed=1)
    two = train(rows, with_changes(**changes), tiny_source, tmp_path / "two", seed=1)
    rounding = 0.05 if "dtype" in changes else 1e-4
    assert [e["loss"] for e in two.history] == pytest.approx([e["loss"] for e in one.history], rel=rounding)
    assert one.tokens_real == two.tokens_real > one.tokens_computed
    assert one.history[-1]["loss"] < one.history[0]["loss"]


def test_a_heavier_row_pulls_the_loss_of_its_step(tiny_source: str, tmp_path: Path):
    rows = make_rows(2)
    losses = {}
    for weight in (1.0, 3.0):
        weighted = [rows[0], TokenRow(rows[1].id, rows[1].input_ids, rows[1].labels, weight)]
        config = with_changes(epochs=1, loss_tokens_per_step=10_000)
        losses[weight] = train(weighted, config, tiny_source, tmp_path / str(weight), seed=0).history[0]["loss"]
    alone = [train([row], with_changes(epochs=1), tiny_source, tmp_path / row.id, seed=0) for row in rows]
    counts = [sum(label != IGNORE for label in row.labels) for row in rows]
    for weight, loss in losses.items():
        total = counts[0] * alone[0].history[0]["loss"] + weight * counts[1] * alone[1].history[0]["loss"]
        assert loss == pytest.approx(total / (counts[0] + weight * counts[1]), rel=1e-5)


@pytest.mark.parametrize("adapter", ["lora", "none"])
def test_a_run_leaves_weights_that_agree_with_what_it_checked(
    tiny_source: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, adapter: str
):
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    caplog.set_level(logging.INFO, "t2t")
    rows = make_rows(6)
    config = with_changes(adapter=adapter, parity_prompts=4, trl={"lr_scheduler_type": "linear"})
    result = train(rows, config, tiny_source, tmp_path, seed=0)
    merged: Any = AutoModelForCausalLM.from_pretrained(result.merged_dir)
    assert merged.dtype == torch.bfloat16
    checks = json.loads((tmp_path / "check.json").read_text(encoding="utf-8"))["rows"]
    assert len({check["id"] for check in checks}) == 4
    served: list[Any] = [merged.float()]
    if result.adapter_dir is None:
        assert adapter == "none" and not (tmp_path / "adapter").exists()
    else:
        base: Any = AutoModelForCausalLM.from_pretrained(tiny_source, dtype=torch.float32)
        served.append(PeftModel.from_pretrained(base, str(result.adapter_dir)))
        settings = json.loads((result.adapter_dir / "adapter_config.json").read_text(encoding="utf-8"))
        assert settings["target_modules"] == sorted(CONFIG.lora_targets)
    for number, model in enumerate(served):
        for check in checks:
            with torch.no_grad():
                logits = model(torch.tensor([check["input_ids"]])).logits[0, :-1]
            loss = float(torch.nn.functional.cross_entropy(logits, torch.tensor(check["labels"][1:])))
            assert loss == pytest.approx(check["loss"], rel=0.02 if number == 0 else 1e-4)
    for folder in filter(None, (result.adapter_dir, result.merged_dir)):
        assert AutoTokenizer.from_pretrained(folder).eos_token == "w1"
    assert len(result.history) == result.num_steps
    assert any("tokens to compute instead of" in message for message in caplog.messages)
    assert any(f"{result.num_steps}/{result.num_steps} steps" in message for message in caplog.messages)


@pytest.mark.training
@pytest.mark.filterwarnings("ignore")  # of the compiler about its own ways
def test_compiled_blocks_have_the_same_losses(tiny_source: str, tmp_path: Path):
    rows = make_rows(8)
    plain = train(rows, CONFIG, tiny_source, tmp_path / "plain", seed=0)
    compiled = train(rows, with_changes(compile=True), tiny_source, tmp_path / "compiled", seed=0)
    assert [e["loss"] for e in compiled.history] == pytest.approx([e["loss"] for e in plain.history], rel=1e-4)
