"""Tasks for the faults, made once, and the talks of a run that nothing disturbs."""

import time
from pathlib import Path
from typing import NamedTuple

import pytest

from t2t.records import Rollout
from tests.faults.harness import Base, fault_server, make_base, new_case, play

SETTINGS = {
    "domain": {"train": ["library"]},
    "explore": {"num_train": 90, "num_test": 8},
    "synthesize": {"num_train": 40, "num_test": 4, "personas": 0},
    "evaluate": {"domains": []},
    "rollout": {"agent": "model", "concurrency": 8},
    "compute": {"workers": 1},
    "engine": {"request_timeout_s": 5, "patience_s": 60},
}
DELAY_S = 0.01
"""What the server takes for an answer, so that a run is long enough to be killed in the middle."""


class Undisturbed(NamedTuple):
    """A run that was left alone."""

    rollouts: dict[str, Rollout]
    seconds: float

    @property
    def num_turns(self) -> dict[str, int]:
        """Agent turns by task id."""
        talks = self.rollouts.values()
        return {talk.task_id: sum(message.role == "assistant" for message in talk.messages) for talk in talks}


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory, weights_dir: Path) -> Base:
    folder = tmp_path_factory.mktemp("base")
    return make_base(folder, {**SETTINGS, "model": {"source": str(weights_dir)}})


@pytest.fixture(scope="session")
def undisturbed(base: Base, tmp_path_factory: pytest.TempPathFactory, weights_dir: Path) -> Undisturbed:
    folder = tmp_path_factory.mktemp("undisturbed")
    with fault_server(folder / "server", base, weights_dir, delay_s=DELAY_S) as server:
        case = new_case(base, folder / "runs", {"engine": {"base_urls": [server.url]}})
        started = time.monotonic()
        rollouts = play(case)
        seconds = time.monotonic() - started
        asked = server.asked()
    assert len(rollouts) == len(base.tasks) == 40
    assert all(rollout.reward.value == 1.0 for rollout in rollouts.values())
    assert set(asked.values()) == {1}, "a turn of a talk was asked for twice"
    found = Undisturbed(rollouts, seconds)
    assert sum(asked.values()) == sum(found.num_turns.values())
    return found
