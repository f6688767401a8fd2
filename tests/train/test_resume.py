"""A run that ends early goes on to the end that an undisturbed one reaches."""

import os
import resource
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file
from test_sft import CONFIG, with_changes
from token_rows import make_rows

from t2t.errors import ConfigError, RunError
from t2t.train.sft import Progress, TrainResult, train

ROWS = make_rows(10)


class Lost(Exception):
    """Stands for a lost machine."""


def assert_same_end(one: TrainResult, two: TrainResult) -> None:
    assert [e["loss"] for e in one.history] == [e["loss"] for e in two.history]
    assert one.adapter_dir and two.adapter_dir
    weights = [load_file(folder / "adapter_model.safetensors") for folder in (one.adapter_dir, two.adapter_dir)]
    assert all(bool((weights[0][name] == weights[1][name]).all()) for name in weights[0])


@pytest.fixture(scope="module")
def whole(tiny_source: str, tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    result = train(ROWS, CONFIG, tiny_source, tmp_path_factory.mktemp("whole"), seed=0)
    assert result.num_steps >= 6
    return result


def lose_at(step: int) -> Any:
    def lose(progress: Progress) -> None:
        if progress.step == step:
            raise Lost

    return lose


def test_a_lost_run_goes_on_past_a_torn_checkpoint(tiny_source: str, tmp_path: Path, whole: TrainResult):
    with pytest.raises(Lost):
        train(ROWS, CONFIG, tiny_source, tmp_path, seed=0, progress=lose_at(5))
    (tmp_path / "checkpoints" / "checkpoint-5").mkdir()
    seen: list[Progress] = []
    resumed = train(ROWS, CONFIG, tiny_source, tmp_path, seed=0, progress=seen.append)
    assert seen[0].step >= 4
    assert_same_end(resumed, whole)


def test_sigterm_saves_at_the_end_of_the_step_and_exits(tiny_source: str, tmp_path: Path, whole: TrainResult):
    def terminate(progress: Progress) -> None:
        if progress.step == 3:
            os.kill(os.getpid(), signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as ended:
        train(ROWS, CONFIG, tiny_source, tmp_path, seed=0, progress=terminate)
    assert ended.value.code == 143
    assert signal.getsignal(signal.SIGTERM) is before
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["checkpoint-2", "checkpoint-4"]
    assert not (tmp_path / "merged").exists()
    seen: list[Progress] = []
    resumed = train(ROWS, CONFIG, tiny_source, tmp_path, seed=0, progress=seen.append)
    assert seen[0].step >= 4
    assert_same_end(resumed, whole)


def test_a_run_goes_on_with_other_packs_and_refuses_other_learning(
    tiny_source: str, tmp_path: Path, whole: TrainResult
):
    with pytest.raises(Lost):
        train(ROWS, CONFIG, tiny_source, tmp_path, seed=0, progress=lose_at(5))
    for rows, changes, seed in ((ROWS[1:], {}, 0), (ROWS, {"learning_rate": 2e-2}, 0), (ROWS, {}, 1)):
        with pytest.raises(ConfigError, match="other rows or settings"):
            train(rows, with_changes(**changes), tiny_source, tmp_path, seed=seed)
    shutil.copytree(tmp_path, tmp_path / "anew")
    changes = {"tokens_per_pack": 60, "share_prefix": "never", "recompute": "always", "save_steps": 3}
    seen: list[Progress] = []
    resumed = train(ROWS, with_changes(**changes), tiny_source, tmp_path, seed=0, progress=seen.append)
    assert seen[0].step >= 4
    assert [e["loss"] for e in resumed.history] == pytest.approx([e["loss"] for e in whole.history], rel=1e-4)
    seen.clear()
    train(ROWS, with_changes(resume="never"), tiny_source, tmp_path / "anew", seed=0, progress=seen.append)
    assert seen[0].step <= 1


def test_a_full_disk_leaves_the_last_checkpoint_to_go_on_from(tiny_source: str, tmp_path: Path, whole: TrainResult):
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(progress: Progress) -> None:
        if progress.step == 3:
            resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limit[1]))

    try:
        with pytest.raises(RunError, match=r"cannot save step 4 in .*checkpoints.*free some space"):
            train(ROWS, CONFIG, tiny_source, tmp_path, seed=0, progress=fill)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["checkpoint-2"]
    assert_same_end(train(ROWS, CONFIG, tiny_source, tmp_path, seed=0), whole)
