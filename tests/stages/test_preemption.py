"""``t2t train`` with two processes, told to end: it saves on every one, and the same command goes on."""

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from t2t.train.checkpoints import MARK
from tests.stages.test_train import runs, tiny_model, typed  # noqa: F401  fixtures

ROOT = Path(__file__).parents[2]
LONG = ("train.epochs=6", "train.loss_tokens_per_step=300", "train.save_steps=2", "compute.num_processes=2")


def command(folder: Path, model: Path) -> list[str]:
    return [sys.executable, "-m", "t2t", "train", *typed(folder, model, *LONG)]


def losses(folder: Path) -> list[float]:
    return [entry["loss"] for entry in json.loads(next(folder.glob("train/*/loss.json")).read_text())]


@pytest.mark.training
def test_sigterm_saves_on_every_rank_and_the_same_command_ends_as_if_undisturbed(
    runs: Path,  # noqa: F811
    tiny_model: Path,  # noqa: F811
    tmp_path: Path,
):
    folders = [tmp_path / name for name in ("whole", "cut")]
    for folder in folders:
        shutil.copytree(runs, folder, symlinks=True, ignore=shutil.ignore_patterns("train"))
    whole, cut = folders
    done = subprocess.run(command(whole, tiny_model), cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "on 2 ranks" in done.stderr

    process = subprocess.Popen(command(cut, tiny_model), cwd=ROOT, stderr=subprocess.PIPE, text=True)
    while not list(cut.glob(f"train/*.partial/checkpoints/checkpoint-*/{MARK}")):
        assert process.poll() is None, process.communicate()[1][-3000:]
        time.sleep(0.02)
    process.terminate()
    _, said = process.communicate()
    assert process.returncode == 143
    assert "the same command goes on from there" in said
    assert not list(cut.glob("train/*/manifest.json"))

    done = subprocess.run(command(cut, tiny_model), cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "train goes on from step" in done.stderr
    assert losses(cut) == pytest.approx(losses(whole), rel=1e-6)
