"""A rollout stage in a process of its own, watched from outside."""

import contextlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.faults.harness import ROOT, Case


def until(condition: Callable[[], Any], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it does not happen"
        time.sleep(0.02)


@contextlib.contextmanager
def stage(case: Case) -> Iterator[subprocess.Popen[str]]:
    """The rollout stage of a case in a process of its own, which is killed in the end."""
    file = case.folder / "rollout.json"
    file.write_text(case.config.model_dump_json())
    words = [sys.executable, "-m", "t2t.pipeline", "rollout", str(file), str(os.getpid())]
    process = subprocess.Popen(words, cwd=ROOT, stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def end(process: subprocess.Popen[str], seconds: float = 120) -> tuple[int, str]:
    """Exit status and what was said."""
    _, said = process.communicate(timeout=seconds)
    return process.returncode, said


def finished(case: Case) -> dict[str, Any]:
    return json.loads((case.artifact.folder / "manifest.json").read_text())["result"]


def in_the_middle(case: Case, process: subprocess.Popen[str], num_talks: int) -> None:
    """Wait until some talks are there."""
    until(lambda: process.poll() is not None or len(case.lines()) >= num_talks)
    assert process.poll() is None, process.communicate()[1][-3000:]


def lost_talks(said: str) -> int:
    """Talks that were under way in workers that were lost."""
    return sum(int(count) for count in re.findall(r"was lost \(.*\); (\d+) talks are begun again", said))


def command_of(pid: int) -> bytes:
    """Command line of a process; empty when it is gone."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def is_worker(pid: int) -> bool:
    """True for a process that plays talks."""
    return b"t2t.scheduling.worker" in command_of(pid)


def below(pid: int) -> list[int]:
    """All processes below `pid`."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in map(int, (task / "children").read_text().split()):
                found += [child, *below(child)]
    return found
