"""Sweep: ``python scripts/sweep.py -m recipe=NAME train.learning_rate=1e-4,2e-4``.

Each job is a fresh ``accelerate launch scripts/train.py`` with its own overrides, so no state of one
leaks into the next. Jobs share the artifacts that their settings do not touch.
"""

import subprocess
import sys
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from t2t.cli import register_configs

ROOT = Path(__file__).parent.parent


@hydra.main(version_base="1.3", config_path=str(ROOT / "conf"), config_name="config")
def job(config: DictConfig) -> None:
    """Start one job with its overrides; a failed one stops the sweep."""
    overrides = list(HydraConfig.get().overrides.task)
    label = "_".join(word.partition("=")[2] for word in overrides if not word.startswith(("recipe=", "name=")))
    recipe = next((word.partition("=")[2] for word in overrides if word.startswith("recipe=")), "run")
    if not any(word.startswith("name=") for word in overrides):
        overrides.append(f"name={recipe}_{label or 'default'}")
    words = [word.lstrip("+") if not word.startswith("++") else word for word in overrides]
    command = [sys.executable, "-m", "accelerate.commands.launch", str(ROOT / "scripts" / "train.py"), *words]
    code = subprocess.run(command).returncode
    if code:
        raise SystemExit(code)


if __name__ == "__main__":
    register_configs()
    job()
