import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from t2t.errors import RunError
from t2t.records import ToolCall
from t2t.store import Artifact, Writer, hash_of, read_records, write_json


def call(number: int) -> ToolCall:
    return ToolCall(id=f"c{number}", name="näme", arguments={"x": number})


def test_a_torn_last_line_is_one_record_owed_wherever_it_is_cut(tmp_path: Path):
    file = tmp_path / "calls.jsonl"
    with Writer(file) as writer:
        for number in range(3):
            writer.append(call(number))
    whole = file.read_bytes()
    start_of_last = whole[:-1].rindex(b"\n") + 1
    for cut in range(start_of_last, len(whole)):
        file.write_bytes(whole[:cut])
        assert [c.id for c in read_records(file, ToolCall)] == ["c0", "c1"]
        with Writer(file) as writer:
            assert writer.ids == {"c0", "c1"}
            writer.append(call(2))
        assert file.read_bytes() == whole


def test_a_record_is_written_once(tmp_path: Path):
    with Writer(tmp_path / "calls.jsonl") as writer:
        assert writer.append(call(1)) and not writer.append(call(1))
    assert len(list(read_records(tmp_path / "calls.jsonl", ToolCall))) == 1


def test_a_broken_line_in_the_middle_names_file_and_line(tmp_path: Path):
    file = tmp_path / "calls.jsonl"
    file.write_text('{"id":"c1","name":"n","arguments":{}}\n{"id":"c2"}\n{"id":"c3","name":"n","arguments":{}}\n')
    with pytest.raises(RunError, match=r"calls\.jsonl:2"):
        list(read_records(file, ToolCall))


def test_an_artifact_is_complete_only_after_its_manifest(tmp_path: Path):
    artifact = Artifact(tmp_path, "explore", "abc")
    with artifact.making() as folder:
        (folder / "x.jsonl").write_text("")
        assert not artifact.complete
        with pytest.raises(RunError, match="explore"):
            artifact.manifest()
        artifact.finish({"count": 0})
    assert artifact.complete and artifact.manifest() == {"count": 0}
    assert not artifact.partial.exists()


def test_keys_follow_content_and_not_order():
    assert hash_of({"a": 1, "b": [1, 2]}) == hash_of({"b": [1, 2], "a": 1}) != hash_of({"a": 1, "b": [2, 1]})


def test_json_is_replaced_whole(tmp_path: Path):
    write_json(tmp_path / "a.json", {"x": 1})
    write_json(tmp_path / "a.json", {"x": 2})
    assert (tmp_path / "a.json").read_text() == '{\n  "x": 2\n}\n'
    assert [file.name for file in tmp_path.iterdir()] == ["a.json"]


@pytest.mark.parametrize("torn", [b"\0" * 4096, b"\0" * 4096 + b"}\n", b'{"id":"c3",\n', b"\n", b"half\n{"])
def test_what_a_loss_of_power_leaves_at_the_end_is_one_record_owed(tmp_path: Path, torn: bytes):
    file = tmp_path / "calls.jsonl"
    with Writer(file) as writer:
        for number in range(3):
            writer.append(call(number))
    whole = file.read_bytes()
    file.write_bytes(whole + torn)
    assert [c.id for c in read_records(file, ToolCall)] == ["c0", "c1", "c2"]
    with Writer(file) as writer:
        assert writer.ids == {"c0", "c1", "c2"}
    assert file.read_bytes() == whole


@pytest.mark.parametrize("bad", [b"\0\0\n", b"half\n", b"[1]\n", b'{"x":1}\n', b"\n"])
def test_a_file_with_a_broken_line_in_the_middle_is_not_written_to(tmp_path: Path, bad: bytes):
    file = tmp_path / "calls.jsonl"
    content = b'{"id":"c1"}\n' + bad + b'{"id":"c2"}\n'
    file.write_bytes(content)
    with pytest.raises(RunError, match=r"calls\.jsonl:2 "):
        Writer(file)
    assert file.read_bytes() == content


def test_lines_that_come_as_bytes_and_records_share_their_ids(tmp_path: Path):
    with Writer(tmp_path / "calls.jsonl") as writer:
        assert writer.append_bytes("c1", call(1).model_dump_json().encode())
        assert not writer.append(call(1)) and not writer.append_bytes("c1", b"{}")
        assert writer.append(call(2)) and not writer.append_bytes("c2", b"{}")
    assert list(read_records(tmp_path / "calls.jsonl", ToolCall)) == [call(1), call(2)]


def test_a_record_is_in_the_file_when_append_returns(tmp_path: Path):
    file = tmp_path / "calls.jsonl"
    with Writer(file) as writer:
        for number in range(50):
            writer.append(call(number))
            assert [c.id for c in read_records(file, ToolCall)][-1] == f"c{number}"


FILLS_UP = """
import resource, sys
from pathlib import Path
from t2t.errors import RunError
from t2t.records import ToolCall
from t2t.store import Writer
file, room = Path(sys.argv[1]), int(sys.argv[2])
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
calls = [ToolCall(id=f"c{n}", name="n" * 40, arguments={"x": n}) for n in range(20)]
with Writer(file) as writer:
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
    for number, call in enumerate(calls):
        try:
            writer.append(call)
        except RunError as error:
            said = str(error)
            break
    else:
        sys.exit("the disk was never full")
    whole = file.read_bytes()
    assert whole[-1:] in (b"", b"\\n") and whole.count(b"\\n") == number == len(writer.ids), whole
    assert "calls.jsonl cannot be written to" in said, said
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    for call in calls:
        writer.append(call)
"""


@pytest.mark.parametrize("room", [1, 100, 260, 333, 400])
def test_a_write_that_fails_half_way_leaves_no_trace_and_with_room_it_goes_on(tmp_path: Path, room: int):
    file = tmp_path / "calls.jsonl"
    done = subprocess.run([sys.executable, "-c", FILLS_UP, str(file), str(room)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert [c.id for c in read_records(file, ToolCall)] == [f"c{n}" for n in range(20)]


WRITES_FOR_EVER = """
import sys
from pathlib import Path
from t2t.records import ToolCall
from t2t.store import Writer
with Writer(Path(sys.argv[1])) as writer:
    number = len(writer.ids)
    while number < 100_000:
        writer.append(ToolCall(id=f"c{number}", name="n", arguments={"x": number}))
        print(number, flush=True)
        number += 1
"""


def test_what_was_appended_survives_kill_9(tmp_path: Path):
    file = tmp_path / "calls.jsonl"
    said = -1
    for delay in (0.05, 0.02, 0.1):
        process = subprocess.Popen([sys.executable, "-c", WRITES_FOR_EVER, str(file)], stdout=subprocess.PIPE)
        assert process.stdout
        line = process.stdout.readline()
        time.sleep(delay)
        os.kill(process.pid, signal.SIGKILL)
        rest = [line, *process.stdout.read().splitlines()]
        process.stdout.close()
        process.wait()
        assert int(line) == said + 1, "a record was lost or written twice"
        kept = [c.id for c in read_records(file, ToolCall)]
        said = int(rest[-1])
        assert kept[: said + 1] == [f"c{n}" for n in range(said + 1)]
        said = len(kept) - 1
