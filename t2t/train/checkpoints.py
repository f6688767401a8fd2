"""Checkpoints of a training run: whole or absent, and only ever continued by the run they belong to."""

import hashlib
import json
import logging
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from t2t.config import SPEED_SETTINGS, TrainConfig
from t2t.errors import ConfigError
from t2t.train.packing import TokenRow

log = logging.getLogger(__name__)

MARK = "t2t_complete.json"
"""File of a complete checkpoint; its text says to which run it belongs."""


def fingerprint(rows: Sequence[TokenRow], config: TrainConfig, model_source: str, seed: int) -> str:
    """Identity of a run: rows, seed, model and every setting that is not of speed alone."""
    digest = hashlib.sha256()
    for row in rows:
        digest.update(f"{row.id}\0{len(row.input_ids)}\0{row.weight}\0".encode())
        for ids in (row.input_ids, row.labels):
            digest.update(np.asarray(ids, dtype=np.int32).tobytes())
    settings = config.model_dump(mode="json", exclude=set(SPEED_SETTINGS))
    architecture = Path(model_source) / "config.json"
    model = architecture.read_text(encoding="utf-8") if architecture.is_file() else ""
    digest.update(json.dumps([settings, Path(model_source).name, model, seed], sort_keys=True).encode())
    return json.dumps({"run": digest.hexdigest()})


def step_of(checkpoint: Path) -> int:
    """Optimiser steps that a checkpoint has behind it."""
    return int(checkpoint.name.rsplit("-", 1)[1])


def find_checkpoint(folder: Path, mark: str) -> Path | None:
    """Last complete checkpoint, or None.

    Raises:
        ConfigError: A complete checkpoint belongs to another run.
    """
    complete = [path.parent for path in folder.glob(f"checkpoint-*/{MARK}")]
    for path in complete:
        if (path / MARK).read_text(encoding="utf-8") != mark:
            raise ConfigError(
                f"{path} belongs to other rows or settings; delete {folder}, or set train.resume=never to train anew"
            )
    return max(complete, key=step_of, default=None)


def keep_complete(folder: Path, num_kept: int) -> None:
    """Remove torn checkpoints, and of the complete ones all but the last `num_kept`."""
    found = sorted(folder.glob("checkpoint-*"), key=step_of)
    complete = [path for path in found if (path / MARK).is_file()]
    kept = set(complete[-num_kept:] if num_kept else [])
    for path in (*found, folder / "partial"):
        if path not in kept:
            shutil.rmtree(path, ignore_errors=True)
