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


WRITES_FOR_EVER = """
import sys
from pathlib import Path
from t2t.records import ToolCall
from t2t.store import Writer
with Writer(Path(sys.argv[1])) as writer:
    number = len(writer.ids)
    while number < 3000:
        writer.append(ToolCall(id=f"c{number}", name="n", arguments={"x": number}))
        writer.sync()
        print(number, flush=True)
        number += 1
"""


def test_what_was_made_durable_survives_kill_9(tmp_path: Path):
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
