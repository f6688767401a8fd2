"""Tasks for the workers, made once, and their talks as one process plays them."""

from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.faults.harness import Base, fault_server, make_base, merged, new_case, run_stage

SETTINGS: dict[str, Any] = {
    "domain": {"train": ["library"]},
    "explore": {"num_train": 100, "num_test": 8},
    "synthesize": {"num_train": 40, "num_test": 4, "personas": 0},
    "evaluate": {"domains": []},
    "rollout": {"agent": "model", "attempts": 2, "temperature": 1.0},
    "compute": {"workers": 1},
    "engine": {"request_timeout_s": 20, "patience_s": 60},
}


class Alone(NamedTuple):
    """A run in one process that nothing disturbed."""

    base: Base
    lines: dict[str, bytes]
    """The records by id, as they stand in the file."""


def base_of(folder: Path, weights: Path, changes: dict[str, Any]) -> Base:
    """Tasks of some settings."""
    return make_base(folder, merged(SETTINGS, {"model": {"source": str(weights)}}, changes))


@pytest.fixture(scope="session")
def alone(tmp_path_factory: pytest.TempPathFactory, weights_dir: Path) -> Alone:
    folder = tmp_path_factory.mktemp("alone")
    base = base_of(folder / "base", weights_dir, {})
    with fault_server(folder / "server", base, weights_dir) as server:
        case = new_case(base, folder / "runs", {"engine": {"base_urls": [server.url]}})
        code, said = run_stage("rollout", case.config, case.folder)
    assert code == 0, said[-3000:]
    lines = case.lines()
    assert len(lines) == 2 * len(base.tasks) == 80
    return Alone(base, lines)
