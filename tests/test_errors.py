"""The edge of a process: what becomes one line, and what stays a bug."""

import errno
import logging

import pytest

from t2t.errors import ConfigError, RunError, end_in_one_line

log = logging.getLogger("edge")


def ends(error: BaseException, caplog: pytest.LogCaptureFixture) -> tuple[int, str]:
    caplog.clear()
    with pytest.raises(SystemExit) as stopped, end_in_one_line(log, interrupted="stopped"):
        raise error
    return stopped.value.code, caplog.text


def test_usage_ends_with_2_a_failed_run_with_1_and_ctrl_c_with_130(caplog):
    assert ends(ConfigError("no such recipe"), caplog)[0] == 2
    assert ends(RunError("the server died"), caplog)[0] == 1
    code, said = ends(KeyboardInterrupt(), caplog)
    assert code == 130 and "stopped" in said


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)"),
        RuntimeError("[enforce fail at inline_container.cc:672] . PytorchStreamWriter failed writing file data/0"),
    ],
    ids=["system", "quota", "safetensors", "torch"],
)
def test_a_full_disk_is_one_line_whoever_wrote(error, caplog):
    wrapped = ValueError("could not save")
    wrapped.__cause__ = error
    for full in (error, wrapped):
        code, said = ends(full, caplog)
        assert code == 1 and "the disk is full" in said and "Traceback" not in said


def test_a_bug_goes_through_as_it_is():
    with pytest.raises(ZeroDivisionError), end_in_one_line(log, interrupted=""):
        raise ZeroDivisionError
