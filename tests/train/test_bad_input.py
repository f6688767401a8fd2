"""What cannot work is refused in one line with a way out, before a model is loaded where it can be known."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from test_sft import CONFIG, with_changes
from token_rows import make_rows

from t2t.config import TrainConfig
from t2t.errors import ConfigError, RunError
from t2t.train.packing import IGNORE, TokenRow
from t2t.train.sft import train

LONG = TokenRow("long", list(range(3, 90)), [IGNORE] * 80 + list(range(83, 90)))


@pytest.mark.parametrize(
    ("rows", "changes", "message"),
    [
        ([], {}, "no rows to train on"),
        ([LONG], {"max_length": 64}, "row long has 87 tokens.*train.max_length=87"),
        ([TokenRow("mute", [5, 6], [IGNORE, IGNORE])], {}, "1 of 1 rows have no token that carries loss, such as mute"),
        ([TokenRow("light", [5, 6], [IGNORE, 6], 0.0)], {}, "no token that carries loss, such as light"),
        ([TokenRow("odd", [5, 6], [6])], {}, "row odd has 2 tokens but 1 labels"),
        ([LONG, LONG], {}, "same id"),
        ([LONG], {"trl": {"weight_deacy": 0.1}}, "train.trl.weight_deacy .*did you mean train.trl.weight_decay"),
        ([LONG], {"trl": {"learning_rate": 0.1}}, "set that instead"),
        ([LONG], {"trl": {"loss_type": "dft"}}, "has no effect"),
        ([LONG], {"lora_targets": ("qproj",)}, "'qproj'.*it has down_proj"),
        ([LONG], {"report_to": ("mlflow",)}, "'mlflow', which is not installed; type: pip install mlflow"),
        ([LONG], {"quantize": "nf4"}, r"needs bitsandbytes; type: pip install 't2t\[quantize\]'"),
        ([LONG], {"fsdp": True}, "train.fsdp=true"),
    ],
)
def test_bad_input_is_refused_with_a_way_out(
    rows: list[TokenRow], changes: dict[str, Any], message: str, tiny_source: str, tmp_path: Path
):
    with pytest.raises(ConfigError, match=message) as refused:
        train(rows, with_changes(**changes), tiny_source, tmp_path, seed=0)
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "merged").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lora_r": 1024}, "lora_r=1024 is above 512"),
        ({"lora_targets": ("lm_head",)}, "'lm_head'"),
        ({"lora_targets": ()}, "lora_targets is empty"),
        ({"adapter": "none", "quantize": "nf4"}, "quantised weights cannot be trained"),
        ({"fsdp": True, "quantize": "int8"}, "fsdp cannot shard"),
        ({"weights": {"infeasible": -1.0}}, "weights.infeasible"),
    ],
)
def test_settings_that_contradict_each_other_are_no_configuration(changes: dict[str, Any], message: str):
    with pytest.raises(ValidationError, match=message):
        TrainConfig(**changes)


def test_a_loss_that_is_not_a_number_stops_the_run_and_names_its_rows(tiny_source: str, tmp_path: Path):
    config = CONFIG.model_copy(update={"learning_rate": float("inf"), "warmup_share": 0.0})
    with pytest.raises(RunError, match=r"step 2: the loss is nan on rows .*row-"):
        train(make_rows(8), config, tiny_source, tmp_path, seed=0)
    assert not list((tmp_path / "checkpoints").glob("checkpoint-*"))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="limits its own address space")
def test_too_little_memory_names_the_setting_to_lower(tiny_source: str, tmp_path: Path):
    script = tmp_path / "large.py"
    script.write_text(
        "import resource, sys\nfrom pathlib import Path\nfrom test_sft import with_changes\n"
        "from t2t.errors import RunError\nfrom t2t.train.packing import TokenRow\nfrom t2t.train.sft import train\n"
        "import datasets, peft, torch, transformers, trl\nfrom trl.trainer.sft_trainer import SFTTrainer\n"
        "rows = [TokenRow(str(i), [3 + i % 90] * 2000, [-100] * 1999 + [5]) for i in range(100)]\n"
        "pages = int(Path('/proc/self/statm').read_text().split()[0])\n"
        "resource.setrlimit(resource.RLIMIT_AS, (pages * 4096 + (300 << 20),) * 2)\n"
        "packs = {'share_prefix': 'never', 'tokens_per_pack': 200000, 'recompute': 'never'}\n"
        "config = with_changes(loss_tokens_per_step=1000, **packs)\n"
        "try:\n    train(rows, config, sys.argv[1], Path(sys.argv[2]), seed=0)\n"
        "except RunError as error:\n    print(error)\n",
        encoding="utf-8",
    )
    here = Path(__file__).parent
    done = subprocess.run(
        [sys.executable, str(script), tiny_source, str(tmp_path / "out")],
        env={**os.environ, "PYTHONPATH": f"{here}:{here.parents[1]}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "step 1: out of memory; set train.tokens_per_pack=100000, and if that is not enough" in done.stdout
