"""A disk that is full ends a run with one clear line, and with space the same command goes on."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from t2t import pipeline
from t2t.records import Rollout
from t2t.store import read_records
from tests.faults.conftest import Undisturbed
from tests.faults.harness import (
    ROOT,
    Base,
    check_nothing_was_lost,
    fault_server,
    new_case,
    play,
    run_stage,
    task_of,
)


def size_of(undisturbed: Undisturbed) -> int:
    """Length of the whole file in bytes."""
    return sum(len(talk.model_dump_json().encode()) + 1 for talk in undisturbed.rollouts.values())


def fill_up(base: Base, undisturbed: Undisturbed, folder: Path, weights: Path, shares: list[float]) -> None:
    """Run with room for a share of the file, then for more, then for all."""
    full = size_of(undisturbed)
    with fault_server(folder / "server", base, weights) as server:
        case = new_case(base, folder / "runs", {"engine": {"base_urls": [server.url]}})
        finished: dict[str, bytes] = {}
        for share in shares:
            code, said = run_stage("rollout", case.config, case.folder, limit_bytes=int(share * full))
            assert code == 1, said
            assert said.count("error: ") == 1 and "rollouts.jsonl cannot be written to: File too large" in said
            assert "Traceback" not in said
            content = case.file.read_bytes()
            assert not content or content.endswith(b"\n"), "half a line was left behind"
            finished = check_nothing_was_lost(case, finished)
        begun = server.mark()
        assert play(case) == undisturbed.rollouts
        again = {task for task, _, _ in server.asked(begun)}
        assert len(finished) > 5 and not again & set(map(task_of, finished))


def test_a_full_disk_is_one_line_and_with_space_the_run_goes_on(base, undisturbed, tmp_path: Path, weights_dir: Path):
    fill_up(base, undisturbed, tmp_path, weights_dir, [0.4])


@pytest.mark.faults
@pytest.mark.timeout(1800)
def test_a_disk_that_is_full_at_many_sizes_loses_nothing(base, undisturbed, tmp_path: Path, weights_dir: Path):
    fill_up(base, undisturbed, tmp_path, weights_dir, [0.01, *(place / 17 for place in range(1, 17))])


ON_A_SMALL_DISK = """
set -u
mount -t tmpfs -o size={small}k none {disk} || exit 77
cp -a {folder}/. {disk}/
cd {root}
{stage} > {out}/first.log 2>&1
echo $? > {out}/first.code
cp -a {disk} {out}/first
mount -o remount,size=200m {disk}
{stage} > {out}/second.log 2>&1
echo $? > {out}/second.code
cp -a {disk} {out}/second
"""


@pytest.mark.faults
@pytest.mark.timeout(600)
@pytest.mark.parametrize("share", [0.1, 0.5, 0.95])
def test_a_real_disk_that_is_full_loses_nothing(base, undisturbed, tmp_path: Path, weights_dir: Path, share: float):
    if shutil.which("unshare") is None or subprocess.run(["unshare", "-rm", "true"], check=False).returncode:
        pytest.skip("no user namespaces here, so no small disk can be mounted")
    small = int(share * size_of(undisturbed)) // 1024 + 16
    disk, out = tmp_path / "disk", tmp_path / "out"
    disk.mkdir()
    out.mkdir()
    with fault_server(tmp_path / "server", base, weights_dir) as server:
        case = new_case(base, tmp_path / "prepared", {"engine": {"base_urls": [server.url]}})
        config = case.config.model_copy(update={"paths": case.config.paths.model_copy(update={"runs": str(disk)})})
        settings = tmp_path / "config.json"
        settings.write_text(config.model_dump_json())
        stage = f"{sys.executable} -m t2t.pipeline rollout {settings} $$"
        script = ON_A_SMALL_DISK.format(small=small, disk=disk, folder=case.folder, root=ROOT, out=out, stage=stage)
        done = subprocess.run(["unshare", "-rm", "sh", "-c", script], capture_output=True, text=True, check=False)
        if done.returncode == 77:
            pytest.skip(f"no small disk can be mounted here: {done.stderr}")
        said = (out / "first.log").read_text()
        assert (out / "first.code").read_text() == "1\n", said
        assert said.count("error: ") == 1 and "Traceback" not in said
        assert "No space left on device" in said or "the disk is full" in said
        first = next((out / "first" / "rollout").glob("*/rollouts.jsonl"), None)
        kept = {talk.id for talk in read_records(first, Rollout)} if first else set()
        assert (out / "second.code").read_text() == "0\n", (out / "second.log").read_text()
        key = pipeline.artifacts(config)["rollout"].key
        rollouts = list(read_records(out / "second" / "rollout" / key / "rollouts.jsonl", Rollout))
        assert {talk.id: talk for talk in rollouts} == undisturbed.rollouts and len(rollouts) == len(base.tasks)
        asked = server.asked()
        for name in kept:
            turns = [count for (task, _, _), count in asked.items() if task == task_of(name)]
            assert turns == [1] * undisturbed.num_turns[task_of(name)], "a finished talk was asked for again"
