"""How many proved tasks a second, and what a task costs in memory: the two stages as a user runs them.

    python benchmarks/synthesis.py [--tasks 2000] [--per-trajectory 3] [--domain retail] [--size 1000]

Explores and synthesizes into a folder of its own, without a model, on all usable cores. The rate is that
of kept tasks over the time of both stages, start of the processes included. Memory is the resident set
of the process that keeps the tasks, over the number of tasks in its file: the slope after the first fifth.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np


class Sample(NamedTuple):
    """A look at the stage under way."""

    tasks: int
    rss: int
    """Bytes."""


def find_child(parent: int, word: str) -> int:
    """Process id of the child of `parent` whose command line holds `word`; 0 when there is none."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            if int(fields[1]) == parent and word.encode() in (folder / "cmdline").read_bytes().split(b"\0"):
                return int(folder.name)
        except OSError:
            continue
    return 0


def read_rss(process: int) -> int:
    """Resident set in bytes; 0 when the process is gone."""
    try:
        pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * 4096


class Counter:
    """Counts the lines of a growing file."""

    def __init__(self, pattern: str, root: Path) -> None:
        self._pattern, self._root = pattern, root
        self._place = self.lines = 0

    def count(self) -> int:
        file = next(iter(self._root.glob(self._pattern)), None)
        if file is not None:
            with file.open("rb") as handle:
                handle.seek(self._place)
                while chunk := handle.read(1 << 20):
                    self.lines += chunk.count(b"\n")
                    self._place += len(chunk)
        return self.lines


def run(command: list[str], root: Path) -> list[Sample]:
    """Run the two stages; what was seen of the second."""
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    counter = Counter("synthesize/*.partial/tasks.jsonl", root)
    samples: list[Sample] = []
    while process.poll() is None:
        stage = find_child(process.pid, "synthesize")
        if stage:
            sample = Sample(counter.count(), read_rss(stage))
            if sample.rss and sample.tasks:
                samples.append(sample)
        time.sleep(0.5)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    return samples


def bytes_per_task(samples: list[Sample], tasks: int) -> float:
    """Slope of memory over tasks after the first fifth; NaN when there is too little to see."""
    late = [sample for sample in samples if sample.tasks > tasks / 5]
    if len({sample.tasks for sample in late}) < 5:
        return float("nan")
    return float(np.polyfit([s.tasks for s in late], [s.rss for s in late], 1)[0])


def main() -> None:
    parser = argparse.ArgumentParser(description="Synthesize tasks and take the time.")
    parser.add_argument("--tasks", type=int, default=2000)
    parser.add_argument("--per-trajectory", type=int, default=3)
    parser.add_argument("--domain", default="retail")
    parser.add_argument("--size", type=int, default=1000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        settings = [
            f"domain.train=[{options.domain}]",
            f"domain.size={options.size}",
            "evaluate.domains=[]",
            f"explore.num_train={-(-options.tasks * 5 // (2 * options.per_trajectory))}",
            "explore.num_test=100",
            f"synthesize.num_train={options.tasks}",
            "synthesize.num_test=16",
            f"synthesize.per_trajectory={options.per_trajectory}",
            "synthesize.per_structure=0",
            f"paths.runs={root}",
            "stages=[explore,synthesize]",
        ]
        samples = run([sys.executable, "-m", "t2t", "run", *settings], root)
        manifests = {
            name: json.loads(next(root.glob(f"{name}/*/manifest.json")).read_text())
            for name in ("explore", "synthesize")
        }
    walks, tasks = (manifests[name]["result"]["count"] for name in ("explore", "synthesize"))
    seconds = {name: manifest["seconds"] for name, manifest in manifests.items()}
    rejected = manifests["synthesize"]["result"]["parts"][f"{options.domain}/train"]["rejected"]
    print(f"{'stage':12} {'records':>9} {'seconds':>9} {'a second':>9}")
    for name, count in (("explore", walks), ("synthesize", tasks), ("both", tasks)):
        taken = seconds.get(name, sum(seconds.values()))
        print(f"{name:12} {count:9} {taken:9.1f} {count / taken:9.0f}")
    for reason, count in rejected.items():
        print(f"    not kept: {count} {reason}")
    growth = bytes_per_task(samples, tasks)
    print(f"memory: {growth:.0f} bytes a task, {max(s.rss for s in samples) / 2**20:.0f} MiB at most")
    figures = {
        "tasks": tasks,
        "tasks_per_s": round(tasks / sum(seconds.values()), 1),
        "synthesize_per_s": round(tasks / seconds["synthesize"], 1),
        "explore_per_s": round(walks / seconds["explore"], 1),
        "bytes_per_task": None if growth != growth else round(growth),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
