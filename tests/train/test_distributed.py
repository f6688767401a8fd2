"""Several processes train as one does: the same losses and weights, preempted and robbed of a rank as well."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from rank import rows
from safetensors.torch import load_file

from t2t.config import TrainConfig
from t2t.train.checkpoints import MARK
from t2t.train.sft import train

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
CONFIG = TrainConfig(
    dtype="float32",
    epochs=2,
    learning_rate=1e-2,
    lora_r=4,
    lora_alpha=8,
    loss_tokens_per_step=40,
    tokens_per_pack=60,
    save_steps=2,
    parity_prompts=2,
)
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")


def accelerate(kind: str) -> tuple[str, ...]:
    file = str(ROOT / "conf" / "accelerate" / f"{kind}.yaml")
    return ("-m", "accelerate.commands.launch", "--config_file", file, "--num_processes=2", "--main_process_port=0")


def start(launcher: Sequence[str], source: str, out: Path, config: TrainConfig) -> subprocess.Popen[str]:
    words = [*launcher, str(HERE / "rank.py"), source, str(out), config.model_dump_json()]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "MASTER_ADDR": "127.0.0.1"}
    return subprocess.Popen([sys.executable, *words], env=environment, stderr=subprocess.PIPE, text=True)


def launch(launcher: Sequence[str], source: str, out: Path, config: TrainConfig) -> list[list[float]]:
    """Losses as each of two ranks saw them."""
    process = start(launcher, source, out, config)
    _, said = process.communicate()
    assert process.returncode == 0, said[-3000:]
    return [json.loads((out / f"rank{rank}.json").read_text()) for rank in (0, 1)]


def weights(out: Path) -> dict[str, Any]:
    """What was trained, by name."""
    adapter = out / "adapter" / "adapter_model.safetensors"
    return load_file(adapter if adapter.exists() else out / "merged" / "model.safetensors")


def assert_alike(out: Path, other: Path) -> None:
    found, wanted = weights(out), weights(other)
    assert found.keys() == wanted.keys()
    for name, weight in wanted.items():
        assert float((found[name] - weight).float().norm()) <= 1e-4 * float(weight.float().norm()) + 1e-6, name


def await_checkpoint(process: subprocess.Popen[str], out: Path) -> None:
    while not list(out.glob(f"checkpoints/checkpoint-*/{MARK}")):
        assert process.poll() is None, process.communicate()[1][-3000:]
        time.sleep(0.02)


CASES = {
    "torchrun": (TORCHRUN, {}),
    "accelerate launch": (accelerate("ddp"), {}),
    "all weights": (TORCHRUN, {"adapter": "none", "learning_rate": 1e-3}),
    "sharded": (TORCHRUN, {"fsdp": True}),
    "sharded by accelerate launch": (accelerate("fsdp2"), {"fsdp": True}),
    "all weights, sharded": (TORCHRUN, {"adapter": "none", "learning_rate": 1e-3, "fsdp": True}),
}


@pytest.mark.slow
@pytest.mark.parametrize(
    "case",
    [name if name in ("torchrun", "sharded") else pytest.param(name, marks=pytest.mark.training) for name in CASES],
)
def test_two_processes_train_to_the_losses_and_weights_of_one(case: str, tiny_source: str, tmp_path: Path):
    launcher, changes = CASES[case]
    config = CONFIG.model_copy(update=changes)
    alone = config.model_copy(update={"fsdp": False})
    expected = [entry["loss"] for entry in train(rows(), alone, tiny_source, tmp_path / "one", seed=1).history]
    found = launch(launcher, tiny_source, tmp_path / "two", config)
    assert len(expected) > 4
    assert found[0] == found[1] == pytest.approx(expected, rel=1e-5)
    assert_alike(tmp_path / "two", tmp_path / "one")
    checks = [json.loads((tmp_path / name / "check.json").read_text())["rows"] for name in ("one", "two")]
    assert [row["loss"] for row in checks[1]] == pytest.approx([row["loss"] for row in checks[0]], rel=1e-4)


@pytest.mark.training
@pytest.mark.parametrize("changes", [{}, {"fsdp": True}, {"adapter": "none", "fsdp": True}])
def test_preempted_processes_save_and_go_on_to_the_same_end(changes: dict[str, Any], tiny_source: str, tmp_path: Path):
    config = CONFIG.model_copy(update={"epochs": 12, "learning_rate": 1e-3, **changes})
    expected = launch(TORCHRUN, tiny_source, tmp_path / "whole", config)
    process = start(accelerate("fsdp2" if config.fsdp else "ddp"), tiny_source, tmp_path / "cut", config)
    await_checkpoint(process, tmp_path / "cut")
    process.terminate()
    _, said = process.communicate()
    assert process.returncode != 0
    assert "stopped after step" in said, said[-3000:]
    assert not (tmp_path / "cut" / "rank0.json").exists()
    found = launch(TORCHRUN, tiny_source, tmp_path / "cut", config)
    assert found[0] == pytest.approx(expected[0], rel=1e-6)
    assert_alike(tmp_path / "cut", tmp_path / "whole")


@pytest.mark.training
def test_a_killed_rank_ends_the_others_and_one_process_goes_on_from_the_last_checkpoint(
    tiny_source: str, tmp_path: Path
):
    config = CONFIG.model_copy(update={"epochs": 12, "learning_rate": 1e-3})
    process = start(TORCHRUN, tiny_source, tmp_path / "cut", config)
    await_checkpoint(process, tmp_path / "cut")
    pids = [int((tmp_path / "cut" / f"pid{rank}").read_text()) for rank in (0, 1)]
    os.kill(pids[1], signal.SIGKILL)
    _, said = process.communicate()
    assert process.returncode != 0
    assert "the last checkpoint is kept" in said, said[-3000:]
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
    runs = [train(rows(), config, tiny_source, tmp_path / name, seed=1).history for name in ("whole", "cut")]
    whole, resumed = ([entry["loss"] for entry in history] for history in runs)
    assert resumed == pytest.approx(whole, rel=1e-4)


@pytest.mark.parametrize(
    ("environment", "changes", "message"),
    [
        ({}, {"fsdp": True}, "train.fsdp=true shards the weights over several processes, and this is one"),
        ({"ACCELERATE_USE_FSDP": "true"}, {}, "the launcher asks for FSDP and train.fsdp is false"),
    ],
)
def test_a_launch_that_contradicts_the_settings_is_refused(
    environment: dict[str, str],
    changes: dict[str, Any],
    message: str,
    tiny_source: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    from t2t.errors import ConfigError

    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=message):
        train(rows(), CONFIG.model_copy(update=changes), tiny_source, tmp_path, seed=1)
