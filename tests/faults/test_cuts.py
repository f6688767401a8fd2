"""The last line cut at any byte is one talk owed, and nothing else is."""

import os
from pathlib import Path

import pytest

from t2t.records import Rollout
from t2t.store import MANIFEST, Writer, read_records
from tests.faults.conftest import Undisturbed
from tests.faults.harness import Base, Case, fault_server, new_case, play, task_of


def write_lines(file: Path, undisturbed: Undisturbed, count: int) -> list[Rollout]:
    """A file of the shortest talks; they and their records."""
    talks = sorted(undisturbed.rollouts.values(), key=lambda talk: len(talk.model_dump_json()))[:count]
    with Writer(file) as writer:
        for talk in talks:
            writer.append(talk)
    return talks


def cut_everywhere(file: Path, talks: list[Rollout], step: int) -> None:
    """Cut the last line, open, append what is owed: the file is as it was."""
    whole = file.read_bytes()
    start = whole[:-1].rindex(b"\n") + 1
    ids = {talk.id for talk in talks[:-1]}
    for cut in range(start, len(whole), step):
        os.truncate(file, cut)
        with Writer(file) as writer:
            assert writer.ids == ids
            assert writer.append(talks[-1])
        assert file.read_bytes() == whole
    os.truncate(file, len(whole) - 1)
    assert list(read_records(file, Rollout)) == talks[:-1]


def test_the_last_talk_cut_at_many_bytes_is_owed(undisturbed: Undisturbed, tmp_path: Path):
    file = tmp_path / "rollouts.jsonl"
    cut_everywhere(file, write_lines(file, undisturbed, 3), 101)


@pytest.mark.faults
@pytest.mark.timeout(1800)
def test_the_last_talk_cut_at_every_byte_is_owed(undisturbed: Undisturbed, tmp_path: Path):
    file = tmp_path / "rollouts.jsonl"
    cut_everywhere(file, write_lines(file, undisturbed, 3), 1)


def go_on_from(base: Base, undisturbed: Undisturbed, folder: Path, weights: Path, cuts: list[float]) -> None:
    """Cut a finished run's last line and let the stage go on: it plays that talk and no other."""
    with fault_server(folder / "server", base, weights) as server:
        case = new_case(base, folder / "runs", {"engine": {"base_urls": [server.url]}})
        assert play(case) == undisturbed.rollouts
        for share in cuts:
            reopen(case)
            whole = case.file.read_bytes()
            start = whole[:-1].rindex(b"\n") + 1
            last = list(case.lines())[-1]
            os.truncate(case.file, start + round(share * (len(whole) - 1 - start)))
            begun = server.mark()
            assert play(case) == undisturbed.rollouts
            asked = server.asked(begun)
            assert {task for task, _, _ in asked} == {task_of(last)}
            assert sum(asked.values()) == undisturbed.num_turns[task_of(last)]
        reopen(case)
        begun = server.mark()
        assert play(case) == undisturbed.rollouts
        assert not server.asked(begun), "all talks were whole, and one was asked for again"


def reopen(case: Case) -> None:
    """Make a finished artifact one that is under way."""
    artifact = case.artifact
    artifact.folder.rename(artifact.partial)
    (artifact.partial / MANIFEST).unlink()


def test_a_stage_goes_on_from_a_cut_line_with_that_talk_alone(base, undisturbed, tmp_path: Path, weights_dir: Path):
    go_on_from(base, undisturbed, tmp_path, weights_dir, [0.0, 1.0])


@pytest.mark.faults
@pytest.mark.timeout(1800)
def test_a_stage_goes_on_from_many_cuts_with_that_talk_alone(base, undisturbed, tmp_path: Path, weights_dir: Path):
    go_on_from(base, undisturbed, tmp_path, weights_dir, [place / 12 for place in range(13)])
