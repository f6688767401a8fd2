"""Work on several cores: in order, with the workers' errors, and without a process left behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from t2t.errors import RunError
from t2t.stages.workers import open_workers

LONG = """
import os, sys, time
from t2t.stages.workers import open_workers

def work(seconds):
    time.sleep(seconds)
    return os.getpid()

with open_workers(work, 2, forks=True) as run_all:
    print(*run_all([0.01, 0.01, 0.01, 0.01]), flush=True)
    list(run_all([60, 60]))
"""


@pytest.mark.parametrize("count", [1, 2, 3])
def test_results_come_in_the_order_of_the_items(count: int):
    with open_workers(lambda number: number * number, count, forks=True) as run_all:
        assert list(run_all(range(50))) == [number * number for number in range(50)]
        assert list(run_all([])) == []


def test_what_was_loaded_before_is_shared_and_need_not_pickle():
    loaded = {"function": lambda text: text.upper()}
    with open_workers(lambda text: loaded["function"](text), 2, forks=True) as run_all:
        assert list(run_all(["a", "b"])) == ["A", "B"]


def test_without_forks_everything_happens_here():
    with open_workers(lambda _: os.getpid(), 2, forks=False) as run_all:
        assert set(run_all(range(4))) == {os.getpid()}


def test_the_error_of_a_worker_is_raised_where_its_result_is_wanted():
    def work(number: int) -> int:
        if number == 2:
            raise RunError("no 2")
        return number

    with open_workers(work, 2, forks=True) as run_all:
        results = run_all([1, 2, 3])
        assert next(results) == 1
        with pytest.raises(RunError, match="no 2"):
            next(results)


def test_a_worker_that_is_killed_ends_the_stage_with_its_cause():
    with (
        open_workers(lambda _: os.kill(os.getpid(), signal.SIGKILL), 2, forks=True) as run_all,
        pytest.raises(RunError, match="worker process was ended"),
    ):
        list(run_all(range(4)))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_no_worker_outlives_the_one_who_started_it(number: signal.Signals):
    with subprocess.Popen([sys.executable, "-c", LONG], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        workers = {int(word) for word in process.stdout.readline().split()}
        assert workers and process.pid not in workers
        time.sleep(0.3)
        process.send_signal(number)
        assert process.wait(timeout=20) != 0
    deadline = time.monotonic() + 20
    while any(Path(f"/proc/{worker}").exists() for worker in workers) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not [worker for worker in workers if Path(f"/proc/{worker}").exists()]
