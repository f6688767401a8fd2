"""What other programs read of a talk is what its record holds."""

import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from t2t.cli import main
from t2t.domain.domain import load_domain
from t2t.records import Message, Rollout, ToolCall, ToolResult, Turn, UserFault
from t2t.report.talk_export import chat_messages, export_openai, export_parquet, read_row
from tests.recorded_talks import Recorded, talks

TEXT = 'a|b "quoted" \\ back\nnew\r\nline \u2028 separator \t tab é 漢字 \U0001f600 \x07 {"json": [1]} <tool_call>'


@pytest.fixture(scope="module")
def recorded() -> list[Recorded]:
    return talks(96, seed=3)


@pytest.fixture(scope="module")
def rollouts(recorded: list[Recorded]) -> list[Rollout]:
    """Talks of all domains; one has awkward texts, tokens and all that a record can hold."""
    rollouts = [one.rollout for one in recorded]
    first = rollouts[0]
    call = ToolCall(id="call_9", name="look", arguments={"deep": {"a": [None, {"b": TEXT}], "n": -0.1, "empty": {}}})
    result = ToolResult(call_id="call_9", name="look", content=TEXT, is_error=True, error="refused")
    told = (
        Message(role="assistant", content=TEXT, tool_calls=(call,), reasoning=f"I think {TEXT}"),
        Message(role="tool", content=TEXT, result=result),
    )
    full = {
        "messages": (*first.messages, *told),
        "turns": (
            Turn(prompt_ids=(1, 2**31 - 1), sampled_ids=(3,), finish_reason="length", logprobs=(-1.0000000000000002,)),
            Turn(),
        ),
        "user_faults": (UserFault(place=0, kind="leaks", text=TEXT, kept=True),),
        "agreed": None,
    }
    return [first.model_copy(update=full), *rollouts[1:]]


def read_lines(file: Path) -> list[dict]:
    return [json.loads(line) for line in file.read_bytes().removesuffix(b"\n").split(b"\n")]


def from_chat(chat: list[dict]) -> list[tuple]:
    """What a chat says: who, what, which calls with which arguments, in answer to which call."""
    return [
        (
            message["role"],
            message["content"],
            message.get("reasoning_content", ""),
            [
                (call["id"], call["type"], call["function"]["name"], json.loads(call["function"]["arguments"]))
                for call in message.get("tool_calls", ())
            ],
            message.get("tool_call_id"),
        )
        for message in chat
    ]


def test_a_chat_holds_what_the_agent_saw_and_wrote(rollouts: list[Rollout], tmp_path: Path):
    file = tmp_path / "chats" / "rollouts.jsonl"
    assert export_openai(rollouts, file, load_domain) == len(rollouts)
    hidden = 0
    for row, rollout in zip(read_lines(file), rollouts, strict=True):
        seen = [
            message
            for message in rollout.messages
            if not any(call.requestor == "user" for call in message.tool_calls)
            and not (message.result and message.result.requestor == "user")
        ]
        hidden += len(rollout.messages) - len(seen)
        assert from_chat(row["messages"]) == [
            (
                "user" if message.result and not message.result.call_id else message.role,
                message.content,
                message.reasoning,
                [(call.id, "function", call.name, call.arguments) for call in message.tool_calls],
                message.result.call_id or None if message.result else None,
            )
            for message in seen
        ]
        assert row["tools"] == [tool.schema for tool in load_domain(rollout.domain).tools]
        assert (row["id"], row["task_id"], row["agent"]) == (rollout.id, rollout.task_id, rollout.agent)
        assert (row["reward"], row["stop_reason"]) == (rollout.reward.value, rollout.stop_reason.value)
    assert hidden, "no talk has a caller with tools of their own"


def test_every_tool_message_answers_a_call_of_the_turn_before_it(rollouts: list[Rollout], tmp_path: Path):
    export_openai(rollouts, tmp_path / "rollouts.jsonl", load_domain)
    unread = 0
    for row in read_lines(tmp_path / "rollouts.jsonl"):
        open_calls: list[str] = []
        for message in row["messages"]:
            if message["role"] == "tool":
                open_calls.remove(message["tool_call_id"])
                continue
            assert open_calls == []
            open_calls = [call["id"] for call in message.get("tool_calls", ())]
            unread += message["role"] == "user" and message["content"].startswith("Error: ")
        assert open_calls == []
    assert unread, "no talk has a call that could not be read"


def test_a_call_that_could_not_be_read_is_answered_after_the_others_of_its_turn():
    call = ToolCall(id="call_1", name="look", arguments={})
    answer = ToolResult(call_id="call_1", name="look", content="{}", is_error=False)
    unread = ToolResult(call_id="", name="", content="Error: no JSON", is_error=True, error="malformed")
    chat = chat_messages(
        [
            Message(role="assistant", content="<tool_call>{</tool_call>", tool_calls=(call,)),
            Message(role="tool", content=unread.content, result=unread),
            Message(role="tool", content="{}", result=answer),
            Message(role="assistant", content="Done."),
        ]
    )
    assert [(one["role"], one["content"]) for one in chat[1:]] == [
        ("tool", "{}"),
        ("user", "Error: no JSON"),
        ("assistant", "Done."),
    ]


@pytest.mark.parametrize("domain", ["", "library"])
def test_arguments_and_tools_survive_the_loading_as_a_data_set(
    domain: str, rollouts: list[Rollout], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    from datasets import disable_progress_bars, load_dataset

    disable_progress_bars()
    file = tmp_path / "rollouts.jsonl"
    export_openai([one for one in rollouts if domain in ("", one.domain)], file, load_domain)
    loaded = load_dataset("json", data_files=str(file), split="train", cache_dir=str(tmp_path / "cache"))
    for row, before in zip(loaded, read_lines(file), strict=True):
        assert row["messages"] == before["messages"]
        assert row["tools"] == before["tools"]


def test_a_table_gives_every_record_back(rollouts: list[Rollout], tmp_path: Path):
    file = tmp_path / "rollouts.parquet"
    assert export_parquet(rollouts, file) == len(rollouts)
    rows = pq.read_table(file).to_pylist()
    assert [read_row(row) for row in rows] == rollouts
    for row, rollout in zip(rows, rollouts, strict=True):
        assert json.loads(row["messages"]) == rollout.model_dump(mode="json")["messages"]
        assert row["success"] is (rollout.reward.value == 1.0)
        assert row["num_agent_turns"] == sum(message.role == "assistant" for message in rollout.messages)
    assert [row["num_sampled_tokens"] for row in rows[:2]] == [1, 0]


def test_a_table_has_a_column_for_every_field_of_a_record(rollouts: list[Rollout], tmp_path: Path):
    export_parquet(rollouts[:1], tmp_path / "rollouts.parquet")
    schema = pq.read_schema(tmp_path / "rollouts.parquet")
    assert set(Rollout.model_fields) <= set(schema.names)
    turn = schema.field("turns").type.value_type
    assert {turn.field(place).name for place in range(turn.num_fields)} == set(Turn.model_fields)


def test_a_table_is_written_in_groups_with_the_same_columns(rollouts: list[Rollout], tmp_path: Path):
    export_parquet((rollouts[number % 3] for number in range(1201)), tmp_path / "rollouts.parquet")
    file = pq.ParquetFile(tmp_path / "rollouts.parquet")
    assert [file.metadata.row_group(number).num_rows for number in range(file.num_row_groups)] == [500, 500, 201]


def test_no_talks_give_an_empty_table_with_its_columns(tmp_path: Path):
    assert export_parquet([], tmp_path / "rollouts.parquet") == 0
    assert "messages" in pq.read_schema(tmp_path / "rollouts.parquet").names


def test_an_export_that_breaks_off_leaves_what_was_there(rollouts: list[Rollout], tmp_path: Path):
    def break_off() -> Iterator[Rollout]:
        yield rollouts[0]
        raise KeyboardInterrupt

    for file, export in (
        (tmp_path / "rollouts.jsonl", lambda talks, file: export_openai(talks, file, load_domain)),
        (tmp_path / "rollouts.parquet", export_parquet),
    ):
        export(rollouts[:2], file)
        before = file.read_bytes()
        with pytest.raises(KeyboardInterrupt):
            export(break_off(), file)
        assert file.read_bytes() == before
    assert sorted(one.name for one in tmp_path.iterdir()) == ["rollouts.jsonl", "rollouts.parquet"]


def test_equal_talks_give_equal_bytes(rollouts: list[Rollout], tmp_path: Path):
    for name in ("a", "b"):
        export_openai(rollouts, tmp_path / f"{name}.jsonl", load_domain)
        export_parquet(rollouts, tmp_path / f"{name}.parquet")
    for kind in ("jsonl", "parquet"):
        assert (tmp_path / f"a.{kind}").read_bytes() == (tmp_path / f"b.{kind}").read_bytes()


@pytest.mark.parametrize(
    ("kind", "files"),
    [
        ("openai", ["rollouts.jsonl"]),
        ("parquet", ["rollouts.parquet"]),
        ("inspect", ["reference.eval", "spoiled.eval"]),
    ],
)
def test_the_command_exports_what_an_interrupted_stage_has(
    kind: str, files: list[str], rollouts: list[Rollout], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    folder = tmp_path / "0f.partial"
    folder.mkdir()
    lines = "".join(rollout.model_dump_json() + "\n" for rollout in rollouts[:7])
    (folder / "rollouts.jsonl").write_text(lines + rollouts[7].model_dump_json()[:99])
    out = tmp_path / "out"
    main(["export", "rollouts", f"{folder}/rollouts.jsonl", f"format={kind}", f"out={out}"])
    note, last = capsys.readouterr().out.splitlines()
    assert note.startswith(f"{folder} is not complete")
    assert json.loads(last) == {"num_rollouts": 7, "complete": False, "files": [str(out / name) for name in files]}
    assert sorted(file.name for file in out.iterdir()) == files


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "write t2t export rollouts (recipe=NAME"),
        (["tasks"], "tasks lie as a data set in the folder of the stage synthesize"),
        (["rollouts", "format=csv", "out=x"], "does not exist; play the talks"),
        (["rollouts", "README.md", "format=csv", "out=x"], "format=csv: write t2t export rollouts"),
        (["rollouts", "README.md", "format=openai"], "out= is missing"),
        (["rollouts", "README.md", "stage=rollout"], "README.md and stage=rollout: one of them"),
    ],
)
def test_a_wrong_word_is_one_line_that_says_what_is_right(
    words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    with pytest.raises(SystemExit) as left:
        main(["export", *words, *([f"paths.runs={tmp_path}"] if words else [])])
    assert left.value.code == 2
    error = capsys.readouterr().err
    assert said in error and len(error.strip().splitlines()) == 1
