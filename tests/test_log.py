"""The line that a person waits beside: its numbers, its width, and what it leaves on the screen."""

import io
import logging
import os
import pty
import re
import subprocess
import sys
import time

import pytest

from t2t import log as logs
from t2t.log import Progress, short, spoken


class Clock:
    """A clock that only moves when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", clock)
    return clock


def seconds_left(line: str) -> float:
    found = re.search(r"(?:(\d+) h )?(?:(\d+) min ?)?(?:(\d+) s)? left$", line)
    assert found, line
    hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return 3600 * hours + 60 * minutes + seconds


def test_the_line_gives_count_rate_note_and_time_left(clock: Clock):
    progress = Progress("rollout base", 4000, "talks")
    progress.note = lambda: "61.3% success, 18.2k tok/s, cache 93%, 256 in flight"
    for _ in range(812):
        clock.now += 1 / 12.4
        progress.step()
    assert progress.line() == (
        "rollout base 812/4000 talks, 12.4/s, 61.3% success, 18.2k tok/s, cache 93%, 256 in flight, 4 min 17 s left"
    )


def test_what_was_there_before_counts_as_done_and_not_as_fast(clock: Clock):
    progress = Progress("rollout base", 100, "talks", done=90)
    clock.now += 5
    progress.step(5)
    assert progress.line() == "rollout base 95/100 talks, 1/s, 5 s left"


def test_nothing_left_to_do_has_no_rate(clock: Clock):
    assert Progress("rollout base", 40, "talks", done=40).line() == "rollout base 40/40 talks, 0 s"


def test_the_last_line_tells_the_rate_and_time_of_the_whole_run(clock: Clock):
    progress = Progress("explore", 1000, "walks")
    clock.now += 400
    for _ in range(1000):
        clock.now += 0.6
        progress.step()
    assert progress.line() == "explore 1000/1000 walks, 1/s, 16 min 40 s"


def test_a_slow_start_is_forgotten(clock: Clock):
    progress = Progress("rollout base", 10_000, "talks")
    for _ in range(300):
        clock.now += 1
        progress.tick()
    for _ in range(400):
        clock.now += 1
        progress.step(10)
    assert seconds_left(progress.line()) == pytest.approx(600, rel=0.02)


@pytest.mark.parametrize("done", [50, 300, 700])
def test_time_left_is_right_when_the_longest_talks_come_first(clock: Clock, done: int):
    lengths = [20.0 if number < 200 else 2.0 for number in range(1000)]
    progress = Progress("rollout base", len(lengths), "talks", work=sum(lengths))
    for length in lengths[:done]:
        clock.now += 0.25 * length
        progress.step(1, work=length)
    assert seconds_left(progress.line()) == pytest.approx(0.25 * sum(lengths[done:]), rel=0.02, abs=1)


def test_time_left_is_right_while_all_talks_are_in_flight(clock: Clock):
    progress = Progress("rollout base", 32, "talks", work=32 * 10)
    turns = 0
    progress.begun = lambda: turns
    assert progress.line() == "rollout base 0/32 talks, 0 s so far"
    for _ in range(32 * 4):
        clock.now += 1
        turns += 1
        progress.tick()
    assert progress.line() == "rollout base 0/32 talks, 3 min 12 s left"


def test_talks_that_outlast_what_was_expected_are_nearly_done(clock: Clock):
    progress = Progress("rollout base", 10, "talks", work=100)
    clock.now += 100
    progress.step(9, work=130)
    assert progress.line().endswith("nearly done")


def test_a_narrow_line_loses_the_end_of_its_note_and_never_wraps(clock: Clock):
    progress = Progress("rollout base", 4000, "talks")
    progress.note = lambda: "61.3% success, 18.2k tok/s, cache 93%, 256 in flight"
    clock.now += 100
    progress.step(2000)
    assert progress.line(70) == "rollout base 2000/4000 talks, 20/s, 61.3% success, 1 min 40 s left"
    assert all(len(progress.line(width)) <= width for width in range(1, 140))


def test_without_a_terminal_a_line_comes_every_ten_seconds_and_holds_no_escape(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
):
    out = io.StringIO()
    monkeypatch.setattr(sys, "stderr", out)
    logger = logging.getLogger("t2t")
    before = (logger.handlers[:], logger.level, logger.propagate)
    try:
        logs.configure()
        progress = Progress("rollout base", 100, "talks")
        for _ in range(60):
            clock.now += 1
            progress.step()
        progress.close()
    finally:
        logger.handlers[:], logger.level, logger.propagate = before
    lines = out.getvalue().splitlines()
    assert len(lines) == 7
    assert re.fullmatch(r"\d\d:\d\d:\d\d rollout base 10/100 talks, 1/s, 1 min 30 s left", lines[0])
    assert "\x1b" not in out.getvalue()


_ON_A_TERMINAL = """
import logging, time
from t2t import log as logs
from t2t.log import Progress
logs.configure()
progress = Progress("rollout base", 100, "talks")
progress.note = lambda: "61.3% success, " + "x" * 500
try:
    for _ in range(2):
        time.sleep(0.6)
        progress.step()
    logging.getLogger("t2t").warning("the server was started again")
    time.sleep(0.6)
    progress.step()
    raise KeyboardInterrupt
except KeyboardInterrupt:
    pass
finally:
    progress.close()
logging.getLogger("t2t").error("interrupted")
"""


def test_on_a_terminal_one_line_updates_and_messages_and_the_end_leave_clean_lines():
    ours, theirs = pty.openpty()
    with subprocess.Popen([sys.executable, "-c", _ON_A_TERMINAL], stdin=theirs, stderr=theirs, stdout=theirs) as child:
        os.close(theirs)
        said = b""
        while True:
            try:
                piece = os.read(ours, 4096)
            except OSError:
                break
            if not piece:
                break
            said += piece
        assert child.wait() == 0
    os.close(ours)
    screen = [line.rpartition("\x1b[2K")[2] for line in said.decode().replace("\r\n", "\n").strip("\n").split("\n")]
    assert len(screen) == 3
    assert screen[0].endswith("the server was started again")
    assert screen[1].startswith("rollout base 3/100 talks, ")
    assert screen[2].endswith(" interrupted")
    assert all(len(line) < 80 for line in re.split(r"\x1b\[2K|\r?\n", said.decode()))


@pytest.mark.parametrize(
    ("seconds", "said"), [(0, "0 s"), (59.4, "59 s"), (200, "3 min 20 s"), (3900, "1 h 5 min"), (90000, "25 h 0 min")]
)
def test_durations_are_spoken(seconds: float, said: str):
    assert spoken(seconds) == said


@pytest.mark.parametrize(
    ("number", "said"),
    [(0, "0"), (0.25, "0.25"), (7, "7"), (999.4, "999"), (999.6, "1k"), (18_240, "18.2k"), (3_400_000, "3.4M")],
)
def test_large_numbers_are_short(number: float, said: str):
    assert short(number) == said
