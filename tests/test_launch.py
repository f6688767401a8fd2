"""Starting training as several processes: what is refused before any stage, and how it ends."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from t2t import launch
from t2t.config import RunConfig
from t2t.errors import ConfigError

ROOT = Path(__file__).parent.parent
ONE = {"compute": {"num_processes": 1}}
FSDP = {"train": {"fsdp": True}}


@pytest.mark.parametrize(
    ("gpus", "settings", "message"),
    [
        ("0,1,2,3", ONE, "4 GPUs are visible and one.*type: accelerate launch --num_processes 4 .*recipe=x.*DEVICES=0"),
        ("4,6", {"compute": {"num_processes": 3}}, "num_processes=3 is more than the 2 GPUs"),
        ("0", FSDP, "train.fsdp=true shards .*there would be one"),
        ("", FSDP, "train.fsdp=true shards .*there would be one"),
    ],
)
def test_a_start_that_would_not_train_as_meant_is_refused(
    gpus: str, settings: dict[str, dict[str, int]], message: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", gpus)
    with pytest.raises(ConfigError, match=message):
        launch.check_ranks(RunConfig.model_validate(settings), "recipe=x")


@pytest.mark.parametrize(
    ("gpus", "world_size", "settings"),
    [
        ("", "", {}),
        ("0", "", ONE),
        ("0,1", "", {}),
        ("", "", {"compute": {"num_processes": 2}, **FSDP}),
        ("0,1", "2", {**ONE, **FSDP}),
    ],
)
def test_a_start_that_trains_as_meant_is_not(
    gpus: str, world_size: str, settings: dict[str, dict[str, int]], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", gpus)
    if world_size:
        monkeypatch.setenv("WORLD_SIZE", world_size)
    launch.check_ranks(RunConfig.model_validate(settings), "recipe=x")


def test_a_bare_script_says_what_to_type_before_any_stage(tmp_path: Path):
    words = [sys.executable, "scripts/train.py", "recipe=quickstart", f"paths.runs={tmp_path / 'runs'}"]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "0,1"}
    done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert f"accelerate launch --num_processes 2 scripts/train.py {' '.join(words[2:])} " in done.stderr
    assert done.stderr.count("\n") == 1
    assert not list((tmp_path / "runs").iterdir())


STARTER = """
import sys
from t2t import launch, log
log.configure()
launch.exit_on_sigterm()
sys.exit(launch.run_training(sys.argv[2:], int(sys.argv[1])))
"""
RANK = """
import os, signal, sys, time
from pathlib import Path
folder, how = Path(sys.argv[1]), sys.argv[2]
rank = os.environ.get("RANK", "0")
def save(number, frame):
    time.sleep(0.5)
    (folder / f"saved{rank}").touch()
    sys.exit(143)
signal.signal(signal.SIGTERM, save)
(folder / f"pid{rank}").write_text(str(os.getpid()))
if how == "wait" or (how, rank) == ("die", "0"):
    time.sleep(200)
elif how == "die":
    os.kill(os.getpid(), signal.SIGKILL)
elif how == "refuse":
    sys.exit(2)
"""


def start(folder: Path, how: str, num_ranks: int = 2) -> subprocess.Popen[str]:
    script = folder / "rank.py"
    script.write_text(RANK, encoding="utf-8")
    words = [sys.executable, "-c", STARTER, str(num_ranks), str(script), str(folder), how]
    return subprocess.Popen(words, cwd=ROOT, stderr=subprocess.PIPE, text=True)


def await_files(*files: Path) -> None:
    while not all(file.exists() and file.read_text() for file in files):
        time.sleep(0.02)


@pytest.mark.slow
@pytest.mark.parametrize(("how", "code"), [("end", 0), ("refuse", 2)])
def test_ranks_that_end_alike_give_their_exit_code(how: str, code: int, tmp_path: Path):
    process = start(tmp_path, how)
    _, said = process.communicate()
    assert (process.returncode, said) == (code, "")


@pytest.mark.slow
def test_a_killed_rank_is_named_and_ends_the_others(tmp_path: Path):
    process = start(tmp_path, "die")
    _, said = process.communicate()
    assert process.returncode == 1
    assert "training process 1 of 2 was killed by SIGKILL" in said
    assert said.count("\n") == 1
    assert (tmp_path / "saved0").exists()


@pytest.mark.slow
@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_ranks_save_when_the_command_ends(end: signal.Signals, tmp_path: Path):
    process = start(tmp_path, "wait")
    pids = [tmp_path / "pid0", tmp_path / "pid1"]
    await_files(*pids)
    process.send_signal(end)
    process.communicate()
    assert process.returncode == (143 if end == signal.SIGTERM else -signal.SIGKILL)
    running = [int(file.read_text()) for file in pids]
    deadline = time.monotonic() + 60
    while any(Path(f"/proc/{pid}").exists() for pid in running) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert all((tmp_path / f"saved{rank}").exists() for rank in (0, 1))


def test_a_signal_that_comes_twice_at_once_is_one_wish(tmp_path: Path):
    """As from ``make`` or ``timeout``, which pass on what the whole process group gets as well."""
    process = start(tmp_path, "wait", num_ranks=1)
    await_files(tmp_path / "pid0")
    process.terminate()
    time.sleep(0.1)
    process.terminate()
    process.communicate()
    assert process.returncode == 143
    assert (tmp_path / "saved0").exists()
