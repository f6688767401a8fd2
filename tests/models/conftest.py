from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def weights_dir() -> Path:
    folder = ROOT / "weights" / "smollm2-135m-instruct"
    if not (folder / "config.json").is_file():
        pytest.fail(f"{folder} is not there; run `make weights`")
    return folder
