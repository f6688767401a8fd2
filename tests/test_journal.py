import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from t2t.errors import RunError
from t2t.journal import Journal, key_of

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(st.lists(st.tuples(st.text(), JSON), max_size=12), st.integers(0, 12))
def test_every_answer_is_found_again_and_the_first_for_a_key_stays(tmp_path_factory, answers, reopened_after):
    file = tmp_path_factory.mktemp("journal") / "folder" / "answers.jsonl"
    expected = {}
    journal = Journal(file)
    for number, (key, value) in enumerate(answers):
        if number == reopened_after:
            journal.close()
            journal = Journal(file)
        journal.put(key, value)
        expected.setdefault(key, value)
        assert journal.get(key) == expected[key]
    journal.close()
    with Journal(file) as journal:
        assert {key: journal.get(key) for key in expected} == expected
        assert len(journal) == len(expected) == len(file.read_bytes().splitlines())
        assert all(key in journal for key in expected) and "no such key " * 9 not in journal
        assert journal.get("no such key " * 9) is None


def test_a_torn_last_line_is_one_answer_owed_wherever_it_is_cut(tmp_path: Path):
    file = tmp_path / "answers.jsonl"
    with Journal(file) as journal:
        for number in range(3):
            journal.put(f"k{number}", {"text": "straße", "number": number})
    whole = file.read_bytes()
    start_of_last = whole[:-1].rindex(b"\n") + 1
    for cut in range(start_of_last, len(whole)):
        file.write_bytes(whole[:cut])
        with Journal(file) as journal:
            assert len(journal) == 2 and "k2" not in journal
            assert journal.get("k1") == {"text": "straße", "number": 1}
            journal.put("k2", {"text": "straße", "number": 2})
        assert file.read_bytes() == whole


@pytest.mark.parametrize("line", [b"nonsense", b"[1]", b'{"value":1}'])
def test_a_broken_line_in_the_middle_names_file_and_line(tmp_path: Path, line):
    file = tmp_path / "answers.jsonl"
    file.write_bytes(b'{"key":"a","value":1}\n' + line + b'\n{"key":"b","value":2}\n')
    with pytest.raises(RunError, match=r"answers\.jsonl:2 "):
        Journal(file)


FILLS_UP = """
import resource, sys
from pathlib import Path
from t2t.errors import RunError
from t2t.journal import Journal
file, room = Path(sys.argv[1]), int(sys.argv[2])
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
with Journal(file) as journal:
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
    try:
        for number in range(20):
            journal.put(f"k{number}", "v" * number)
        sys.exit("the disk was never full")
    except RunError as error:
        assert "answers.jsonl cannot be written to" in str(error), error
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    for again in range(20):
        assert (f"k{again}" in journal) == (again < number)
        journal.put(f"k{again}", "v" * again)
        assert journal.get(f"k{again}") == "v" * again
"""


@pytest.mark.parametrize("room", [1, 100, 137, 200])
def test_an_answer_that_fails_half_way_leaves_no_trace_and_with_room_it_goes_on(tmp_path: Path, room: int):
    file = tmp_path / "answers.jsonl"
    done = subprocess.run([sys.executable, "-c", FILLS_UP, str(file), str(room)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    with Journal(file) as journal:
        assert [journal.get(f"k{number}") for number in range(20)] == ["v" * number for number in range(20)]


@pytest.mark.parametrize("torn", [b"\0" * 4096, b"\0" * 9 + b"}\n", b"half\n{"])
def test_what_a_loss_of_power_leaves_at_the_end_is_one_answer_owed(tmp_path: Path, torn: bytes):
    file = tmp_path / "answers.jsonl"
    file.write_bytes(b'{"key":"a","value":1}\n' + torn)
    with Journal(file) as journal:
        journal.put("b", 2)
        assert (journal.get("a"), journal.get("b"), len(journal)) == (1, 2, 2)


def test_keys_follow_content_and_not_order():
    assert key_of({"a": 1, "b": [1, 2]}) == key_of({"b": [1, 2], "a": 1}) != key_of({"a": 1, "b": [2, 1]})
    assert len(key_of(None)) == 64


PUTS_FOR_EVER = """
import sys
from pathlib import Path
from t2t.journal import Journal, key_of
with Journal(Path(sys.argv[1])) as journal:
    number = len(journal)
    while number < 100_000:
        journal.put(key_of(number), {"number": number, "text": "x" * (number * 97 % 9000)})
        print(number, flush=True)
        number += 1
"""


def test_what_was_put_survives_kill_9_and_the_next_process_goes_on(tmp_path: Path):
    file = tmp_path / "answers.jsonl"
    num_kept = 0
    for delay in (0.05, 0.02, 0.1, 0.03):
        process = subprocess.Popen([sys.executable, "-c", PUTS_FOR_EVER, str(file)], stdout=subprocess.PIPE)
        assert process.stdout
        first = process.stdout.readline()
        time.sleep(delay)
        os.kill(process.pid, signal.SIGKILL)
        said = [int(line) for line in [first, *process.stdout.read().splitlines()]]
        process.stdout.close()
        process.wait()
        assert said == list(range(num_kept, said[-1] + 1)), "an answer was lost or put twice"
        with Journal(file) as journal:
            num_kept = len(journal)
            assert num_kept >= said[-1] + 1
            assert [journal.get(key_of(n))["number"] for n in range(num_kept)] == list(range(num_kept))
        assert [orjson.loads(line)["value"]["number"] for line in file.read_bytes().splitlines()] == list(
            range(num_kept)
        )
