import time
from collections.abc import Callable
from pathlib import Path

import pytest


def _processes() -> dict[int, tuple[int, str]]:
    """Parent and start time of each living process."""
    found: dict[int, tuple[int, str]] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if fields[0] not in "ZX":
                found[int(folder.name)] = (int(fields[1]), fields[19])
    return found


@pytest.fixture(scope="session")
def descendants() -> Callable[[int], set[tuple[int, str]]]:
    """The living descendants of a process, each by its id and start time."""

    def find(root: int) -> set[tuple[int, str]]:
        processes = _processes()
        inside = {root}
        while True:
            more = {pid for pid, (parent, _) in processes.items() if parent in inside} - inside
            if not more:
                return {(pid, processes[pid][1]) for pid in inside - {root}}
            inside |= more

    return find


@pytest.fixture(scope="session")
def wait_until_gone() -> Callable[[set[tuple[int, str]], float], set[tuple[int, str]]]:
    """Wait for processes to end; those that have not after so many seconds."""

    def wait(expected: set[tuple[int, str]], timeout_s: float) -> set[tuple[int, str]]:
        deadline = time.monotonic() + timeout_s
        while True:
            alive = expected & {(pid, start) for pid, (_, start) in _processes().items()}
            if not alive or time.monotonic() > deadline:
                return alive
            time.sleep(0.1)

    return wait
