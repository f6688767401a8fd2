"""What playing has cost so far, over every try of a stage: kept beside the records, line by line."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import orjson
from pydantic import JsonValue

from t2t.lines import Lines, whole_lines

_NAMES = ("seconds", "requests", "generated_tokens", "prompt_tokens", "prefix_queries", "prefix_hits", "preemptions")


class Costs:
    """Sums that outlive the process.

    Args:
        file: Where they are kept, one line per addition.
    """

    def __init__(self, file: Path) -> None:
        self._lines = Lines(file)

    def add(self, sums: Mapping[str, float], faults: Mapping[str, int]) -> None:
        """Add what came since the last call.

        Args:
            sums: ``seconds`` of playing, ``requests``, ``generated_tokens`` and ``prompt_tokens`` as the engines
                count them, tokens looked up in their prefix cache (``prefix_queries``) and found there
                (``prefix_hits``), ``preemptions``.
            faults: Faults of services by kind, ``engine_restart`` and ``player_lost`` among them.
        """
        entry = {
            "sums": {name: round(value, 3) for name, value in sums.items() if value},
            "faults": {name: count for name, count in faults.items() if count},
        }
        if any(entry.values()):
            self._lines.append_line(orjson.dumps(entry))

    def close(self) -> None:
        """Make everything durable."""
        self._lines.close()


def read_costs(file: Path) -> dict[str, JsonValue]:
    """All sums by name, rates made of them, and ``faults`` by kind; only ``faults`` where there is no file.

    Returns:
        Beside the sums: ``tokens_per_s`` generated over the time of playing, and ``cache_hit_share`` of the prompt
        tokens that were looked up.
    """
    sums: Counter[str] = Counter()
    faults: Counter[str] = Counter()
    for line in whole_lines(file) if file.exists() else ():
        entry = orjson.loads(line)
        sums.update(entry["sums"])
        faults.update(entry["faults"])
    costs: dict[str, JsonValue] = {
        name: round(sums[name], 1) if name == "seconds" else round(sums[name]) for name in _NAMES if sums[name]
    }
    if sums["seconds"] and sums["generated_tokens"]:
        costs["tokens_per_s"] = round(sums["generated_tokens"] / sums["seconds"], 1)
    if sums["prefix_queries"]:
        costs["cache_hit_share"] = round(sums["prefix_hits"] / sums["prefix_queries"], 4)
    return {**costs, "faults": dict(sorted(faults.items()))}
