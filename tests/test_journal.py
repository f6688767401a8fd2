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
