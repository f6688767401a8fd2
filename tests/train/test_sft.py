"""Training on packs equals training on separate rows, survives a stop, and refuses bad input."""

import itertools
import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from token_rows import make_rows

from t2t.config import TrainConfig
from t2t.errors import ConfigError, RunError
from t2t.train.packing import IGNORE, TokenRow, build_pack
from t2t.train.sft import Progress, plan_steps, train

CONFIG = TrainConfig(
    dtype="float32",
    epochs=2,
    learning_rate=1e-2,
    lora_r=4,
    lora_alpha=8,
    save_steps=2,
    rows_per_step=4,
    rows_per_pack=2,
)


def gradients(source: str, packed: bool, folded: bool, rows: list[TokenRow]) -> tuple[float, dict[str, Any]]:
    """Summed loss over the rows, and the adapter's gradients; plain PEFT and sdpa, or all of ours."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    from t2t.train import attention
    from t2t.train.lora import use_folded_linear
    from t2t.train.trainer import collate, keep_loss_positions, to_columns

    attention.register()
    model: Any = AutoModelForCausalLM.from_pretrained(
        source, dtype=torch.float32, attn_implementation=attention.NAME if packed else "sdpa"
    )
    settings = LoraConfig(r=4, lora_alpha=8, target_modules=list(CONFIG.lora_targets), init_lora_weights=False)
    if folded:
        use_folded_linear(settings)
    torch.manual_seed(3)
    model = get_peft_model(model, settings)
    total = 0.0
    if packed:
        model.get_base_model().model.register_forward_hook(keep_loss_positions, with_kwargs=True)
        columns = to_columns([build_pack(rows, share_prefix=True)])
        batch = collate([{name: values[0] for name, values in columns.items()}])
        targets = batch["shift_labels"][0]
        for name in ("row_ids", "labels", "shift_labels"):
            batch.pop(name)
        logits = model(**batch, use_cache=False).logits[0]
        assert len(logits) == len(targets) == sum(label != IGNORE for row in rows for label in row.labels)
        loss = torch.nn.functional.cross_entropy(logits, targets, reduction="sum")
        loss.backward()
        total = loss.item()
    else:
        for row in rows:
            logits = model(input_ids=torch.tensor([row.input_ids]), use_cache=False).logits[0, :-1]
            loss = torch.nn.functional.cross_entropy(logits, torch.tensor(row.labels[1:]), reduction="sum")
            loss.backward()
            total += loss.item()
    return total, {name: weight.grad for name, weight in model.named_parameters() if weight.grad is not None}


@pytest.mark.parametrize("folded", [True, False])
@pytest.mark.parametrize("prefix", [0, 1, 20])
def test_a_pack_has_the_loss_and_gradients_of_its_rows_alone(tiny_source: str, prefix: int, folded: bool):
    rows = make_rows(4, prefix=prefix)
    plain_loss, plain = gradients(tiny_source, packed=False, folded=False, rows=rows)
    pack_loss, packed = gradients(tiny_source, packed=True, folded=folded, rows=rows)
    assert pack_loss == pytest.approx(plain_loss, rel=1e-5)
    assert plain.keys() == packed.keys()
    for name, gradient in plain.items():
        assert float((gradient - packed[name]).norm()) <= 1e-5 * float(gradient.norm()) + 1e-8, name


def test_attention_on_other_devices_equals_attention_on_the_cpu():
    import torch

    from t2t.train import attention

    torch.manual_seed(0)
    for layout in ((5, 3, 4), (0, 3, 4), (6, 1)):
        shape = (1, 2, sum(layout), 8)
        inputs = [torch.randn(shape, requires_grad=True) for _ in range(3)]
        ours = attention._PackedAttention.apply(*inputs, layout, 0.3)
        plain = attention._attend_by_branch(*inputs, layout, 0.3)
        assert torch.allclose(ours, plain, atol=1e-6)
        weight = torch.randn(shape)
        for a, b in zip(
            torch.autograd.grad(ours, inputs, weight), torch.autograd.grad(plain, inputs, weight), strict=True
        ):
            assert torch.allclose(a, b, atol=1e-5)


def test_packing_does_not_change_a_run(tiny_source: str, tmp_path: Path):
    rows = make_rows(7, name="a") + make_rows(4, seed=4, name="b")
    runs = []
    for share in (True, False):
        config = CONFIG.model_copy(update={"share_prefix": share})
        runs.append(train(rows, config, tiny_source, tmp_path / str(share), seed=1))
    packed, plain = runs
    assert [e["loss"] for e in packed.history] == pytest.approx([e["loss"] for e in plain.history], rel=1e-4)
    assert packed.tokens_real == plain.tokens_real == plain.tokens_computed > packed.tokens_computed
    assert packed.history[-1]["loss"] < packed.history[0]["loss"]


def test_a_stopped_run_goes_on_to_the_same_end(tiny_source: str, tmp_path: Path):
    from safetensors.torch import load_file

    rows = make_rows(10)

    class Stopped(Exception):
        """Stands for a lost machine."""

    def stop(progress: Progress) -> None:
        if progress.step == 5:
            raise Stopped

    whole = train(rows, CONFIG, tiny_source, tmp_path / "whole", seed=0)
    with pytest.raises(Stopped):
        train(rows, CONFIG, tiny_source, tmp_path / "stopped", seed=0, progress=stop)
    torn = tmp_path / "stopped" / "checkpoints" / "checkpoint-5"
    torn.mkdir()
    seen: list[Progress] = []
    resumed = train(rows, CONFIG, tiny_source, tmp_path / "stopped", seed=0, progress=seen.append)
    assert seen[0].step >= 4
    assert [e["loss"] for e in resumed.history] == [e["loss"] for e in whole.history]
    weights = [load_file(run.adapter_dir / "adapter_model.safetensors") for run in (whole, resumed)]
    assert all(bool((weights[0][name] == weights[1][name]).all()) for name in weights[0])
    with pytest.raises(ConfigError, match="other rows or settings"):
        train(rows[1:], CONFIG, tiny_source, tmp_path / "stopped", seed=0)


def test_a_run_leaves_an_adapter_and_a_merged_checkpoint_that_agree(
    tiny_source: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    caplog.set_level(logging.INFO, "t2t")
    rows = make_rows(6)
    config = CONFIG.model_copy(update={"trl": {"lr_scheduler_type": "linear"}})
    result = train(rows, config, tiny_source, tmp_path, seed=0)
    merged: Any = AutoModelForCausalLM.from_pretrained(result.merged_dir)
    assert merged.dtype == torch.bfloat16
    base: Any = AutoModelForCausalLM.from_pretrained(tiny_source, dtype=torch.float32)
    adapted = PeftModel.from_pretrained(base, str(result.adapter_dir))
    ids = torch.tensor([rows[0].input_ids])
    with torch.no_grad():
        assert torch.allclose(merged.float()(ids).logits, adapted(ids).logits, atol=0.2)
    for folder in (result.adapter_dir, result.merged_dir):
        assert AutoTokenizer.from_pretrained(folder).eos_token == "w1"
    settings = json.loads((result.adapter_dir / "adapter_config.json").read_text(encoding="utf-8"))
    assert sorted(settings["target_modules"]) == sorted(CONFIG.lora_targets)
    assert len(result.history) == result.num_steps == 4
    assert any("tokens to compute instead of" in message for message in caplog.messages)
    assert any("4/4 steps" in message for message in caplog.messages)


def test_every_rank_plans_the_same_steps_and_the_same_rows():
    rows = make_rows(11)
    one, two = (plan_steps(rows, CONFIG, seed=0, num_ranks=ranks) for ranks in (1, 2))
    for a, b in itertools.zip_longest(one, two):
        assert sorted(r for pack in a for r in pack.row_ids) == sorted(r for pack in b for r in pack.row_ids)


def test_a_part_of_an_epoch_is_a_part_of_its_steps():
    rows = make_rows(16)
    assert len(plan_steps(rows, CONFIG.model_copy(update={"epochs": 0.5}), 0, 1)) == 2
    assert len(plan_steps(rows, CONFIG.model_copy(update={"epochs": 1.5}), 0, 1)) == 6


def test_a_loss_that_is_not_a_number_stops_the_run_and_names_its_rows(tiny_source: str, tmp_path: Path):
    config = CONFIG.model_copy(update={"learning_rate": float("inf"), "warmup_share": 0.0})
    with pytest.raises(RunError, match=r"step 2: the loss is nan on rows .*row-"):
        train(make_rows(8), config, tiny_source, tmp_path, seed=0)


LONG = TokenRow("long", list(range(3, 90)), [IGNORE] * 80 + list(range(83, 90)))


@pytest.mark.parametrize(
    ("rows", "changes", "message"),
    [
        ([], {}, "no rows to train on"),
        ([LONG], {"max_length": 64}, "row long has 87 tokens.*train.max_length=87"),
        ([TokenRow("mute", [5, 6], [IGNORE, IGNORE])], {}, "1 of 1 rows have no token that carries loss, such as mute"),
        ([TokenRow("odd", [5, 6], [6])], {}, "row odd has 2 tokens but 1 labels"),
        ([LONG, LONG], {}, "same id"),
        ([LONG], {"trl": {"weight_deacy": 0.1}}, "train.trl.weight_deacy .*did you mean train.trl.weight_decay"),
        ([LONG], {"trl": {"learning_rate": 0.1}}, "set that instead"),
        ([LONG], {"lora_r": 1024}, "train.lora_r=1024"),
        ([LONG], {"lora_targets": ("lm_head",)}, "'lm_head'"),
        ([LONG], {"lora_targets": ()}, "train.lora_targets is empty"),
        ([LONG], {"lora_targets": ("qproj",)}, "'qproj'.*it has down_proj"),
    ],
)
def test_bad_input_is_refused_with_a_way_out(
    rows: list[TokenRow], changes: dict[str, Any], message: str, tiny_source: str, tmp_path: Path
):
    with pytest.raises(ConfigError, match=message):
        train(rows, CONFIG.model_copy(update=changes), tiny_source, tmp_path, seed=0)
    assert not (tmp_path / "merged").exists()


@pytest.mark.slow
def test_two_ranks_take_the_same_steps_as_one(tiny_source: str, tmp_path: Path):
    rows = make_rows(7, name="a") + make_rows(4, seed=4, name="b")
    one = train(rows, CONFIG, tiny_source, tmp_path / "one", seed=1)
    script = tmp_path / "two.py"
    script.write_text(
        "import json\nimport os\nimport sys\nfrom pathlib import Path\n"
        "from test_sft import CONFIG\nfrom token_rows import make_rows\nfrom t2t.train.sft import train\n"
        'rows = make_rows(7, name="a") + make_rows(4, seed=4, name="b")\n'
        "result = train(rows, CONFIG, sys.argv[1], Path(sys.argv[2]), seed=1)\n"
        "losses = [entry['loss'] for entry in result.history]\n"
        "Path(sys.argv[2], f'losses{os.environ[\"RANK\"]}.json').write_text(json.dumps(losses))\n",
        encoding="utf-8",
    )
    here = Path(__file__).parent
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    subprocess.run(
        [*launch, str(script), tiny_source, str(tmp_path / "two")],
        env={**os.environ, "PYTHONPATH": f"{here}:{here.parents[1]}", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        check=True,
    )
    for rank in (0, 1):
        losses = json.loads((tmp_path / "two" / f"losses{rank}.json").read_text())
        assert losses == pytest.approx([entry["loss"] for entry in one.history], rel=1e-4)
    assert (tmp_path / "two" / "merged" / "config.json").is_file()
