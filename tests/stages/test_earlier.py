"""Talks that were played before: more attempts top up, another verifier judges anew, and nothing is paid for twice."""

import shutil
from pathlib import Path

import orjson
import pytest

from t2t import pipeline
from t2t.config import RunConfig
from t2t.records import Rollout, Task
from t2t.stages import earlier
from t2t.store import read_records
from tests.scripted_server import ScriptedServer, serving

MADE = {
    "domain": {"train": ["library"]},
    "explore": {"num_train": 40, "num_test": 0},
    "synthesize": {"num_train": 12, "num_test": 0},
    "evaluate": {"domains": []},
}


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """Runs that end with tasks."""
    runs = tmp_path_factory.mktemp("made") / "runs"
    config = RunConfig.model_validate({**MADE, "paths": {"runs": str(runs)}})
    make(config, "explore")
    make(config, "synthesize")
    return runs


@pytest.fixture
def runs(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "runs"))


@pytest.fixture(scope="module")
def server(weights_dir: Path, made: Path):
    file = next(made.glob("synthesize/*/tasks.jsonl"))
    with serving(weights_dir, lambda: read_records(file, Task)) as found:
        yield found


def make(config: RunConfig, name: str) -> Path:
    found = pipeline.artifacts(config)
    pipeline.make(config, next(stage for stage in pipeline.STAGES if stage.name == name), found)
    return found[name].folder


def roll_out(runs: Path, weights: Path, server: ScriptedServer, **settings) -> tuple[Path, dict, int]:
    """Folder, what the manifest says, and requests that it took."""
    before = server.num_requests
    config = RunConfig.model_validate(
        {
            **MADE,
            "paths": {"runs": str(runs)},
            "model": {"source": str(weights)},
            "engine": {"base_urls": [server.url]},
            "rollout": {"agent": "model", **settings},
        }
    )
    folder = make(config, "rollout")
    result = orjson.loads((folder / "manifest.json").read_bytes())["result"]
    return folder, result, server.num_requests - before


def records(folder: Path) -> dict[str, Rollout]:
    found = list(read_records(folder / "rollouts.jsonl", Rollout))
    assert len({rollout.id for rollout in found}) == len(found)
    return {rollout.id: rollout for rollout in found}


def test_more_attempts_play_only_what_is_missing(runs: Path, weights_dir: Path, server: ScriptedServer):
    first, result, cost = roll_out(runs, weights_dir, server, attempts=1)
    assert result["count"] == 12 and "taken" not in result
    second, result, more = roll_out(runs, weights_dir, server, attempts=3)
    assert (result["count"], result["taken"], result.get("rescored", 0)) == (36, 12, 0)
    assert more == 2 * cost
    assert records(first).items() <= records(second).items()


def test_fewer_attempts_and_enough_successes_take_what_they_need_and_play_nothing(
    runs: Path, weights_dir: Path, server: ScriptedServer
):
    roll_out(runs, weights_dir, server, attempts=3)
    folder, _, cost = roll_out(runs, weights_dir, server, attempts=3, until_successes=1)
    # The scripted model always succeeds, so that each task needs one attempt.
    assert cost == 0 and {rollout.attempt for rollout in records(folder).values()} == {0}


def test_an_interrupted_run_of_fewer_attempts_counts_as_well(runs: Path, weights_dir: Path, server: ScriptedServer):
    whole, _, cost = roll_out(runs, weights_dir, server, attempts=1)
    lines = (whole / "rollouts.jsonl").read_bytes().splitlines(keepends=True)
    partial = whole.with_name(f"{whole.name}.partial")
    whole.rename(partial)
    (partial / "manifest.json").unlink()
    (partial / "rollouts.jsonl").write_bytes(b"".join(lines[:5]) + lines[5][:40])
    _, result, more = roll_out(runs, weights_dir, server, attempts=2)
    assert result["count"] == 24 and result["taken"] == 5
    assert more < 2 * cost


@pytest.mark.parametrize("setting", [{"temperature": 0.5}, {"max_turns": 9}, {"top_p": 0.9}])
def test_other_settings_are_another_family(runs: Path, weights_dir: Path, server: ScriptedServer, setting: dict):
    _, _, cost = roll_out(runs, weights_dir, server)
    _, result, more = roll_out(runs, weights_dir, server, **setting)
    assert "taken" not in result and more == cost


def test_another_verifier_judges_the_same_talks_anew(
    runs: Path, weights_dir: Path, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
):
    first, _, _ = roll_out(runs, weights_dir, server)
    right = records(first)
    assert all(rollout.reward.value == 1.0 for rollout in right.values())
    # What an older verifier thought of them.
    wrong = [
        rollout.model_copy(update={"reward": rollout.reward.model_copy(update={"value": 0.0})})
        for rollout in right.values()
    ]
    (first / "rollouts.jsonl").write_text("".join(one.model_dump_json() + "\n" for one in wrong))
    for module in (earlier, pipeline):
        monkeypatch.setattr(module, "verifier_hash", lambda: "another")
    second, result, cost = roll_out(runs, weights_dir, server)
    assert second != first and cost == 0
    assert (result["taken"], result["rescored"], result["successes"]) == (12, 12, 12)
    assert records(second) == right


def test_a_domain_that_was_changed_is_played_again(runs: Path, weights_dir: Path, server: ScriptedServer):
    first, _, cost = roll_out(runs, weights_dir, server)
    marks = orjson.loads((first / "family.json").read_bytes())
    marks["domains"]["library"] = "before the change"
    (first / "family.json").write_bytes(orjson.dumps(marks))
    _, result, more = roll_out(runs, weights_dir, server, attempts=2)
    assert "taken" not in result and more == 2 * cost
