import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import t2t.models.guard

GUARD = [sys.executable, "-I", t2t.models.guard.__file__]
FAMILY = """
import subprocess, sys, time
child = "import time; time.sleep(600)"
subprocess.Popen([sys.executable, "-c", child])
print("up", flush=True)
time.sleep(600)
"""
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + FAMILY
OWNER = f"""
import signal, subprocess, sys, time
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # ignored below nohup
guard = subprocess.Popen({GUARD!r} + [sys.executable, "-c", {FAMILY!r}], stdin=subprocess.PIPE, start_new_session=True)
print(guard.pid, flush=True)
time.sleep(600)
"""


@pytest.fixture
def owner(descendants):
    """A process that owns a guarded family of processes."""
    process = subprocess.Popen([sys.executable, "-c", OWNER], stdout=subprocess.PIPE, text=True)
    guard = int(process.stdout.readline())
    assert process.stdout.readline() == "up\n"
    while len(descendants(guard)) < 3:
        time.sleep(0.05)
    yield process, guard
    process.kill()
    process.wait()
    process.stdout.close()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_nothing_outlives_an_owner_that_a_signal_ends(owner, descendants, wait_until_gone, number):
    process, _ = owner
    family = descendants(process.pid)
    assert len(family) == 4
    process.send_signal(number)
    process.wait()
    assert wait_until_gone(family, 15) == set()


def test_nothing_outlives_a_guard_that_is_killed(owner, descendants, wait_until_gone):
    process, guard = owner
    family = descendants(process.pid)
    os.kill(guard, signal.SIGKILL)
    assert {pid for pid, _ in wait_until_gone(family, 5)} - {guard} == set()


def test_a_guard_that_is_asked_to_end_ends_its_family(owner, descendants, wait_until_gone):
    process, guard = owner
    family = descendants(process.pid)
    os.kill(guard, signal.SIGTERM)
    assert wait_until_gone(family, 5) == set()


def test_the_exit_status_is_the_commands():
    codes = []
    for command in (["true"], ["sh", "-c", "exit 7"], ["sh", "-c", "kill -9 $$"], ["/no/such/command"]):
        with subprocess.Popen([*GUARD, *command], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) as guard:
            codes.append(guard.wait(30))
    assert codes == [0, 7, 137, 127]


def test_a_family_that_ignores_the_request_is_killed(descendants, wait_until_gone, monkeypatch, tmp_path):
    impatient = tmp_path / "guard.py"
    impatient.write_text(Path(GUARD[-1]).read_text().replace("_GRACE_S = 10.0", "_GRACE_S = 0.5"))
    command = [sys.executable, "-I", str(impatient), sys.executable, "-c", STUBBORN]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as guard:
        assert guard.stdout.readline() == "up\n"
        family = descendants(guard.pid)
        guard.stdin.close()
        assert guard.wait(10) == 137
    assert wait_until_gone(family, 2) == set()
