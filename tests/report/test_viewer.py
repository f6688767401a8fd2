"""Talks are found by what they are, shown with their verdict, and nothing in them reaches the terminal unseen."""

import fcntl
import io
import json
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from t2t.cli import main
from t2t.errors import ConfigError
from t2t.records import Intent, Message, Reward, Rollout, StopReason, ToolCall, ToolResult, Turn, UserFault
from t2t.report.talk_file import TalkFile, TalkFilter
from t2t.report.viewer import read_request, view

HOSTILE = st.sampled_from(
    [
        "plain",
        "",
        '","stop_reason":"max_turns","reward":{"value":1.0}',
        '{"id":"x","messages":[],"turns":[]}',
        '\\","turns":[',
        "two\nlines \x1b[31m \u202e",
    ]
)
ARGUMENTS = st.sampled_from(
    [
        {},
        {"messages": [{"role": "assistant"}], "turns": [1]},
        {"id": 1, "stop_reason": "timeout", "turns": [], "reward": {"value": 1.0}, "user_faults": [1]},
    ]
)


@st.composite
def talks(draw: st.DrawFn) -> list[Rollout]:
    made: list[Rollout] = []
    for number in range(draw(st.integers(0, 8))):
        calls = (ToolCall(id="call_1", name="find", arguments=draw(ARGUMENTS)),)
        messages = [
            Message(role="system", content=draw(HOSTILE)),
            *[Message(role="assistant", content=draw(HOSTILE), tool_calls=calls)] * draw(st.integers(0, 3)),
            Message(role="user", content=draw(HOSTILE)),
        ]
        success = draw(st.booleans())
        faults = draw(st.lists(HOSTILE, max_size=2))
        made.append(
            Rollout(
                id=f"{number}{draw(HOSTILE)}",
                task_id=draw(st.sampled_from(["task 1", "task 2"])),
                domain=draw(st.sampled_from(["library", "retail"])),
                intent=draw(st.sampled_from(list(Intent))),
                agent=draw(st.sampled_from(["base", "tuned"])),
                attempt=number,
                messages=tuple(messages),
                turns=tuple(Turn(finish_reason="stop") for _ in range(draw(st.integers(0, 2)))),
                stop_reason=draw(st.sampled_from(list(StopReason))),
                final_hash="",
                reward=Reward(value=float(success), checks={"ended": success}, notes=(draw(HOSTILE),)),
                user_faults=tuple(UserFault(place=1, kind="empty", text=text, kept=False) for text in faults),
            )
        )
    return made


CHOICES = st.builds(
    TalkFilter,
    intent=st.none() | st.sampled_from(list(Intent)),
    domain=st.sampled_from(["", "", "library"]),
    agent=st.sampled_from(["", "", "tuned"]),
    task=st.sampled_from(["", "", "task 1"]),
    stop=st.none() | st.sampled_from(list(StopReason)),
    success=st.none() | st.booleans(),
    user_fault=st.none() | st.booleans(),
)


def fits(talk: Rollout, choice: TalkFilter) -> bool:
    return (
        choice.intent in (None, talk.intent)
        and choice.domain in ("", talk.domain)
        and choice.agent in ("", talk.agent)
        and choice.task in ("", talk.task_id)
        and choice.stop in (None, talk.stop_reason)
        and choice.success in (None, talk.reward.value == 1.0)
        and choice.user_fault in (None, bool(talk.user_faults))
    )


def write(file: Path, rollouts: Sequence[Rollout]) -> Path:
    file.write_bytes(b"".join(rollout.model_dump_json().encode() + b"\n" for rollout in rollouts))
    return file


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("talks") / "rollouts.jsonl"


@pytest.mark.parametrize("foreign", [False, True], ids=["as the stages write them", "as another program writes them"])
@given(rollouts=talks(), choice=CHOICES)
def test_a_filter_chooses_what_it_says_whatever_the_texts_hold(
    place: Path, foreign: bool, rollouts: list[Rollout], choice: TalkFilter
):
    if foreign:
        place.write_text("".join(json.dumps(talk.model_dump(mode="json"), sort_keys=True) + "\n" for talk in rollouts))
    else:
        write(place, rollouts)
    expected = [talk for talk in rollouts if fits(talk, choice)]
    with TalkFile(place, choice) as found:
        assert [line.rollout() for line in found.more()] == expected
        assert (found.num_known, found.read) == (len(expected), len(rollouts))
        for number, talk in reversed(list(enumerate(expected, start=1))):
            line = found.get(number)
            assert line is not None
            plain = talk.model_dump(mode="json")
            assert line.rollout() == talk
            assert line.head()["id"] == talk.id
            assert line.tail()["reward"] == plain["reward"]
            assert line.messages() == plain["messages"]
        assert found.get(len(expected) + 1) is None


def test_a_file_that_grows_is_followed_and_a_torn_line_left_for_later(tmp_path: Path, make_task, make_rollout):
    rollouts = [make_rollout(make_task("library", number), "base", True) for number in range(3)]
    file = write(tmp_path / "rollouts.jsonl", rollouts[:1])
    torn = rollouts[1].model_dump_json().encode()
    with file.open("ab") as end, TalkFile(file, TalkFilter()) as found:
        end.write(torn[:100])
        end.flush()
        assert found.get(2) is None
        end.write(torn[100:] + b"\n")
        end.flush()
        line = found.get(2)
        assert line is not None
        assert line.rollout() == rollouts[1]
        assert found.get(3) is None


def test_showing_a_talk_reads_none_before_it(tmp_path: Path, make_task, make_rollout):
    rollouts = [make_rollout(make_task("library", number), "base", True) for number in range(3)]
    lines = [rollout.model_dump_json() for rollout in rollouts]
    lines[0] = lines[0].replace('"role":"system"', '"role":')
    file = tmp_path / "rollouts.jsonl"
    file.write_text("\n".join(lines) + "\n")
    assert rollouts[2].id in shown(file, "n=3")
    with pytest.raises(ConfigError, match=r"rollouts\.jsonl:1 is no talk: "):
        shown(file, "n=1")


def shown(*words: object) -> str:
    out = io.StringIO()
    request, _ = read_request([str(word) for word in words])
    view(request, {}, out)
    return out.getvalue()


@pytest.fixture
def file(tmp_path: Path, make_task, make_rollout) -> Path:
    """A stage's artifact: eight tasks, one talk each, the first three of which succeed."""
    tasks = [make_task("library", number) for number in range(8)]
    runs = tmp_path / "runs"
    (runs / "synthesize" / "abc").mkdir(parents=True)
    (runs / "synthesize" / "abc" / "tasks.jsonl").write_text("".join(f"{task.model_dump_json()}\n" for task in tasks))
    (runs / "rollout" / "def").mkdir(parents=True)
    (runs / "rollout" / "def" / "manifest.json").write_text(json.dumps({"inputs": {"synthesize": "abc"}}))
    rollouts = [make_rollout(task, "base", number < 3) for number, task in enumerate(tasks)]
    return write(runs / "rollout" / "def" / "rollouts.jsonl", rollouts)


def test_a_list_gives_verdict_ending_turns_and_the_first_failed_check(file: Path):
    assert shown(file, "intent=changing").splitlines() == [
        "     n        intent      ended             turns  failed        talk",
        "     1  pass  changing    user_done             3                library-changing-0002/base/0",
        "     2  fail  changing    max_turns             3  db_state      library-changing-0006/base/0",
        f"2 of 8 talks, 50.0% of them succeed; n=NUMBER shows one ({file})",
    ]


def test_a_list_of_nothing_says_so(file: Path):
    assert shown(file, "agent=tuned") == f"0 of 8 talks; n=NUMBER shows one ({file})\n"


def test_a_talk_shows_who_says_what_and_what_failed_and_why(file: Path):
    assert shown(file, "success=false", "n=1").splitlines() == [
        "1  library-infeasible-0003/base/0",
        "system    67 characters; full=true shows them",
        "caller    Hello, I would like to keep one of my books for longer.",
        "agent     May I have your e-mail address?",
        "caller    It is imke.sand@example.org.",
        'calls     find_member(email="imke.sand@example.org")',
        'error     {"id": "M-017", "name": "Imke Sand", "loans": [{"id": "L-0204", "title": "The Glass Harbour"}]}',
        "agent     I renew The Glass Harbour until 14 December. Is that right?",
        "caller    Yes, thank you. Goodbye.",
        "",
        "fail      db_state: the state differs",
        "fail      communicated: the caller was never told '14'",
        "holds     ended, allowed",
        "broke     clause 2.1",
        "ended     max_turns after 3 turns",
    ]


def test_a_talk_shows_mistakes_thoughts_faults_and_the_calls_of_the_caller(tmp_path: Path, make_task, make_rollout):
    talk = make_rollout(make_task("telecom", 0), "base", True)

    def result(content: str, **fields: object) -> Message:
        made = ToolResult.model_validate({"call_id": "", "name": "", "content": content, "is_error": False, **fields})
        return Message(role="tool", content=content, result=made)

    messages = (
        Message(role="system", content="rules"),
        Message(role="user", content="My phone is dead."),
        Message(role="assistant", content="<tool_call>{", reasoning="look it up"),
        result("Error: the text ends inside a call", is_error=True, error="malformed"),
        Message(role="assistant", content="Switch it off and on."),
        Message(
            role="user",
            content="",
            tool_calls=(ToolCall(id="user_1", name="reboot", arguments={}, requestor="user"),),
        ),
        result("rebooted" + "." * 400, requestor="user"),
        Message(role="assistant", content=""),
    )
    turns = (
        Turn(prompt_ids=(1,) * 1200, sampled_ids=(2,) * 16, finish_reason="length"),
        Turn(prompt_ids=(1,) * 30, sampled_ids=(2,) * 9, finish_reason="stop"),
        Turn(prompt_ids=(1,) * 30, sampled_ids=(2,), finish_reason="stop"),
    )
    faults = (
        UserFault(place=1, kind="leaks", text="My PIN is 1234.", kept=False),
        UserFault(place=8, kind="empty", text="", kept=True),
    )
    changed = talk.model_copy(update={"messages": messages, "turns": turns, "user_faults": faults})
    file = write(tmp_path / "rollouts.jsonl", [changed])
    lines = shown(file, "n=-1").splitlines()
    assert lines[2:-3] == [
        "fault     the caller tells what was to be held back, and is drawn again: My PIN is 1234.",
        "caller    My phone is dead.",
        "thinks    look it up",
        "agent     <tool_call>{",
        "cut off   the turn has the 16 tokens that it may have",
        "error     the text ends inside a call (malformed)",
        "agent     Switch it off and on.",
        "does      reboot()",
        f"sees      rebooted{'.' * 312} ... 88 characters more; full=true shows them",
        "agent     (nothing)",
        "fault     the caller says nothing, and it stands",
    ]
    assert lines[-1] == "ended     user_done after 3 turns, 1.26k tokens in prompts, 26 sampled"
    full = shown(file, "n=1", "full=true")
    assert f"rebooted{'.' * 400}\n" in full
    assert "system    rules\n" in full


def test_proof_shows_what_was_expected_beside_what_was_done(file: Path):
    lines = shown(file, "n=4", "proof=true").splitlines()
    assert 'expected  renew_loan(loan_id="L-0204", note="two weeks"): not made so' in lines
    assert f"state     {'0f' * 16}; the talk's is {'a1' * 16}" in lines
    assert "to tell   14 December" in lines
    assert "to refuse by naming one of: reserved, hold (clause 3.2)" in lines
    assert 'forbidden renew_loan(loan_id="L-0300")' in lines
    assert any(line.startswith("wish      You want to renew the loan of The Glass Harbour.") for line in lines)


def test_a_given_file_of_tasks_proves_talks_that_lie_alone(file: Path, tmp_path: Path):
    alone = tmp_path / "some.jsonl"
    alone.write_bytes(file.read_bytes())
    with pytest.raises(ConfigError, match="names its tasks; add tasks=FILE"):
        shown(alone, "n=1", "proof=true")
    tasks = file.parents[2] / "synthesize" / "abc" / "tasks.jsonl"
    assert "expected  renew_loan" in shown(alone, "n=1", "proof=true", f"tasks={tasks}")


def test_a_talk_is_found_by_its_id_among_all(file: Path):
    assert shown(file, "id=library-general-0004/base/0").startswith("5  library-general-0004/base/0\n")


@pytest.mark.parametrize("words", [(), ("n=1", "full=true")])
def test_in_a_pipe_lines_keep_their_width_and_no_escape_gets_through(tmp_path: Path, make_task, make_rollout, words):
    text = " \x1b[2J\x1b]0;title\x07 \u202e" + "wide " * 200
    talk = make_rollout(make_task("library", 0, text=text), "base", False, text=text)
    talk = talk.model_copy(update={"id": "id\x1b[31m"})
    out = shown(write(tmp_path / "rollouts.jsonl", [talk]), *words)
    assert "id\u241b[31m" in out
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f\u202e]", out)
    if words:
        assert max(map(len, out.splitlines())) > 1000


def on_a_terminal(words: Sequence[str], keys: str, width: int, **environment: str) -> list[str]:
    """Lines that ``t2t view`` writes to a terminal of this width, the keys typed one after the other."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(ours, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
    environ = {**os.environ, "TERM": "xterm-256color", "PAGER": "cat", **environment}
    for name in ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR"):
        environ.pop(name, None)
    command = [sys.executable, "-m", "t2t", "view", *words]
    typed = list(keys)
    said = b""
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environ) as child:
        os.close(theirs)
        ends = time.monotonic() + 60
        while time.monotonic() < ends:
            if not select.select([ours], [], [], 1)[0]:
                continue
            try:
                piece = os.read(ours, 65536)
            except OSError:
                break
            if not piece:
                break
            said += piece
            if typed and said.count(b"q quit") > len(keys) - len(typed):
                os.write(ours, typed.pop(0).encode())
        else:
            child.kill()
        assert child.wait() == 0, said.decode()
    os.close(ours)
    return said.decode().replace("\r\n", "\n").split("\n")


def plain(line: str) -> str:
    return re.sub("\x1b\\[[0-9;]*m", "", line.rpartition("\x1b[2K")[2])


@pytest.mark.parametrize("width", [50, 130])
def test_on_a_terminal_no_line_exceeds_the_width_and_verdicts_are_coloured(file: Path, width: int):
    listed = on_a_terminal([str(file)], "", width)
    talk = on_a_terminal([str(file), "n=4", "proof=true"], "q", width)
    assert all(len(plain(line)) <= width for line in listed + talk)
    assert sum("\x1b[1;32mpass" in line for line in listed) == 3
    assert sum("\x1b[1;31mfail" in line for line in listed) == 5
    assert any("\x1b[31merror" in line for line in talk)


def test_keys_lead_to_the_next_talk_and_the_one_before(file: Path):
    lines = [plain(line) for line in on_a_terminal([str(file), "success=true", "n=2"], "nnppq", 100)]
    heads = [line for line in lines if re.match(r"\d  library", line)]
    assert [head.split("  ")[0] for head in heads] == ["2", "3", "2", "1"]


def test_a_reader_who_leaves_early_causes_no_error(tmp_path: Path, make_task, make_rollout):
    talk = make_rollout(make_task("library", 0), "base", True)
    file = write(tmp_path / "rollouts.jsonl", [talk] * 5000)
    command = f"{sys.executable} -m t2t view {file} | head -1"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, check=False)
    assert (done.stdout.split()[:2], done.stderr, done.returncode) == (["n", "intent"], "", 0)


def test_a_run_is_viewed_by_its_recipe_also_while_a_stage_plays(tmp_path: Path, make_task, make_rollout, capsys):
    from t2t.cli import load_config
    from t2t.pipeline import artifacts

    words = ["recipe=quickstart", f"paths.runs={tmp_path}"]
    with pytest.raises(SystemExit):
        main(["view", *words])
    assert "no talks yet in" in capsys.readouterr().err
    found = artifacts(load_config(words))
    for stage, number in (("rollout", 1), ("baseline", 2)):
        found[stage].partial.mkdir(parents=True)
        write(
            found[stage].partial / "rollouts.jsonl",
            [make_rollout(make_task("library", other), "base", True) for other in range(number)],
        )
    main(["view", *words])
    assert "2 of 2 talks" in capsys.readouterr().out
    main(["view", *words, "stage=rollout"])
    assert "1 of 1 talks" in capsys.readouterr().out


def test_a_line_that_only_resembles_a_talk_is_refused(tmp_path: Path, make_task, make_rollout):
    fields = make_rollout(make_task("library", 0), "base", True).model_dump(mode="json")
    file = tmp_path / "exported.jsonl"
    file.write_text(json.dumps({**fields, "reward": 1.0}) + "\n")
    for words in ((), ("success=true",), ("n=1",)):
        with pytest.raises(ConfigError, match=r"exported\.jsonl:1 is no talk"):
            shown(file, *words)


def test_the_folder_of_a_run_is_viewed_without_its_settings(file: Path):
    run = file.parents[2] / "quickstart"
    run.mkdir()
    (run / "rollout").symlink_to(file.parent)
    assert "8 of 8 talks" in shown(run)
    assert "expected  renew_loan" in shown(run, "n=1", "proof=true")
    with pytest.raises(ConfigError, match="no talks in .*; they lie in"):
        shown(run, "stage=evaluate")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["FILE", "intent=changin"], "did you mean 'changing'?"),
        (["FILE", "success=maybe"], "success=maybe: input should be a valid boolean"),
        (["FILE", "stop=done"], "'user_done', 'max_turns'"),
        (["FILE", "n=9"], "n=9: only 8 talks of"),
        (["FILE", "n=-9"], "n=-9: only 8 talks of"),
        (["FILE", "id=nobody"], "no talk 'nobody' among the 8"),
        (["FILE", "id=x", "n=1"], "give one of them"),
        (["FILE", "FILE"], "one file at a time"),
        (["FILE", "recipe=quickstart"], "recipe=quickstart does not go with the file"),
        (["sucess=true"], "no filter 'sucess'; did you mean 'success'?"),
        (["FILE.missing"], "no talks in"),
        (["FILE/../manifest.json"], "is no talk; talks lie in rollouts.jsonl"),
        ([__file__], "is no JSON"),
        (["FILE", "n=1", "proof=true", "tasks=/nowhere"], "/nowhere, which does not exist"),
    ],
)
def test_bad_input_is_one_line_that_names_it(file: Path, capsys: pytest.CaptureFixture[str], words, said: str):
    if "FILE/../manifest.json" in words:
        (file.parent / "manifest.json").write_text('{"inputs": 1}\n')
    path = {"FILE/../manifest.json": file.parent / "manifest.json"}
    with pytest.raises(SystemExit) as ended:
        main(["view", *(str(path.get(word, word.replace("FILE", str(file)))) for word in words)])
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
