"""Shared by all tests: the weights, and tasks of the smallest domain."""

import random
from pathlib import Path

import pytest
from hypothesis import settings

from t2t.domain.domain import Domain, load_domain
from t2t.explore.program import Coverage, explore
from t2t.intents.compose import write_task
from t2t.intents.scene import Scene, Unsuitable
from t2t.records import DataSpec, Intent, Task

# A busy machine is no failure: no test is judged by the clock.
settings.register_profile("t2t", deadline=None)
settings.load_profile("t2t")

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def weights_dir() -> Path:
    """The real SmolLM2-135M-Instruct that `make setup` lays down."""
    folder = ROOT / "weights" / "smollm2-135m-instruct"
    assert (folder / "config.json").exists(), f"{folder} is missing; run `make setup`"
    return folder


@pytest.fixture(scope="session")
def library() -> Domain:
    return load_domain("library")


@pytest.fixture(scope="session")
def library_tasks(library: Domain) -> list[Task]:
    """A few hundred tasks of the library, unproved, all intents."""
    data = DataSpec(seed=5, size=120, split="train")
    tasks: list[Task] = []
    for trajectory in explore(library, data, 150, max_steps=8, blocked_share=0.4, seed=5, coverage=Coverage()):
        for intent in Intent:
            rng = random.Random(trajectory.id)
            try:
                tasks.append(write_task(intent, Scene(library, trajectory, rng), "train", rng))
            except Unsuitable:
                continue
    return tasks
