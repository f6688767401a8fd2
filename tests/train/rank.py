"""One rank of a small training run, as a program: ``rank.py SOURCE OUT SETTINGS`` (a `TrainConfig` in JSON)."""

import json
import logging
import os
import sys
from pathlib import Path

from token_rows import make_rows

from t2t import log as logs
from t2t.config import TrainConfig
from t2t.errors import end_in_one_line
from t2t.train.packing import TokenRow
from t2t.train.sft import Progress, train


def rows() -> list[TokenRow]:
    """Rows of two kinds, in a number that two ranks do not share evenly."""
    return make_rows(7, name="a") + make_rows(4, seed=4, name="b")


def main() -> None:
    """Train; the file ``rank0.json`` and so on holds each rank's losses."""
    source, out, settings = sys.argv[1:]
    rank = os.environ.get("RANK", "0")
    logs.configure()

    def say(progress: Progress) -> None:
        with Path(out, "step").open("w", encoding="utf-8") as file:
            file.write(str(progress.step))

    Path(out).mkdir(parents=True, exist_ok=True)
    Path(out, f"pid{rank}").write_text(str(os.getpid()), encoding="utf-8")
    with end_in_one_line(logging.getLogger("t2t.rank"), interrupted=""):
        result = train(rows(), TrainConfig.model_validate_json(settings), source, Path(out), seed=1, progress=say)
        losses = [entry["loss"] for entry in result.history]
        Path(out, f"rank{rank}.json").write_text(json.dumps(losses), encoding="utf-8")


if __name__ == "__main__":
    main()
