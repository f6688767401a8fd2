import contextlib
import dataclasses
import re
import signal
import time

import pytest

from t2t.domain.domain import Domain
from t2t.domain.environment import Environment
from t2t.domain.time_limit import TimeUp, run_within
from t2t.records import DataSpec, ToolCall


def loop() -> None:
    while True:
        pass


def stubborn() -> None:
    for _ in range(2):
        with contextlib.suppress(BaseException):
            loop()
    loop()


@pytest.mark.parametrize(
    "work",
    [loop, stubborn, lambda: 9**9**9, lambda: re.match(r"(a+)+$", "a" * 40 + "b"), lambda: time.sleep(60)],
    ids=["a loop", "a loop that catches everything", "a power", "a regular expression", "a sleep"],
)
def test_what_does_not_end_is_interrupted(work):
    with pytest.raises(TimeUp):
        run_within(0.05, work)


def test_what_ends_in_time_gives_its_result_and_leaves_other_alarms_as_they_were():
    def handler(number, frame):
        raise AssertionError("nobody waits so long")

    first = signal.signal(signal.SIGALRM, handler)
    before = signal.setitimer(signal.ITIMER_REAL, 200)
    try:
        assert run_within(5, lambda: 7) == 7
        left, _ = signal.getitimer(signal.ITIMER_REAL)
        assert 150 < left <= 200
        assert signal.getsignal(signal.SIGALRM) is handler
    finally:
        signal.setitimer(signal.ITIMER_REAL, *before)
        signal.signal(signal.SIGALRM, first)


def test_a_tool_that_is_interrupted_leaves_the_database_as_it_was(library: Domain):
    tool_of = next(tool for tool in library.tools if tool.writes)
    environment = Environment(library, DataSpec(seed=1, size=60, split="train"))

    def write_and_hang(db, /, **arguments):
        table = next(iter(db.tables.values()))
        table.delete(next(iter(table)).id)
        loop()

    hanging = dataclasses.replace(tool_of, function=write_and_hang)
    environment.domain = dataclasses.replace(library, tools=(hanging,), rules=())
    before = environment.state_hash()
    names = tool_of.schema["function"]["parameters"]["required"]
    call = ToolCall(id="call_1", name=tool_of.name, arguments=dict.fromkeys(names, "x"))
    result, _ = environment.answer(call, seconds=0.05)
    assert (result.error, result.is_error) == ("timeout", True)
    assert "0.05 seconds" in result.content
    assert environment.state_hash() == before == environment.db.full_hash()
    assert environment.past == []
