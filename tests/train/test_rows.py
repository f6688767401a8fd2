"""Examples as rows of tokens: what carries loss, what is dropped, and that nothing drifts from what is served."""

from pathlib import Path

import numpy as np
import pytest

from t2t.config import RunConfig, TrainConfig
from t2t.domain.domain import Domain
from t2t.errors import ConfigError, RunError
from t2t.models.rendering import IGNORED, Renderer
from t2t.records import Example, Intent, Message, Reward, Rollout, StopReason, ToolCall, ToolResult, Turn
from t2t.train.rows import load_rows

TALK = (
    Message(role="system", content="You serve callers with the tools below."),
    Message(role="user", content="Please renew Düne."),
    Message(role="assistant", content="What is your e-mail?"),
    Message(role="user", content="ann@example.com"),
    Message(
        role="assistant",
        content="",
        tool_calls=(ToolCall(id="call_1", name="find_member", arguments={"email": "an@example.com"}),),
    ),
    Message(
        role="tool",
        content="no member",
        result=ToolResult(call_id="call_1", name="find_member", content="no member", is_error=True, error="refused"),
    ),
    Message(
        role="assistant",
        content="",
        tool_calls=(ToolCall(id="call_2", name="renew_loan", arguments={"loan_id": "L1"}),),
    ),
    Message(
        role="tool",
        content='{"due":"2026-12-01"}',
        result=ToolResult(call_id="call_2", name="renew_loan", content='{"due":"2026-12-01"}', is_error=False),
    ),
    Message(role="assistant", content="It is due on 2026-12-01."),
    Message(role="user", content="Thanks, goodbye."),
)
ASKS, FAILS, WRITES, TELLS = (
    "What is your e-mail?<|im_end|>",
    '<tool_call>{"name":"find_member","arguments":{"email":"an@example.com"}}</tool_call><|im_end|>',
    '<tool_call>{"name":"renew_loan","arguments":{"loan_id":"L1"}}</tool_call><|im_end|>',
    "It is due on 2026-12-01.<|im_end|>",
)
SILENT = TALK[:2]
READ_ONLY = (*TALK[:6], Message(role="assistant", content="I cannot find you."))


@pytest.fixture(scope="module")
def renderer(weights_dir: Path) -> Renderer:
    return Renderer("smollm2", weights_dir)


class Made:
    """Examples and rollouts on disk, read as rows."""

    def __init__(self, folder: Path, renderer: Renderer, library: Domain) -> None:
        self.folder, self.renderer, self.library = folder, renderer, library

    def write(self, *talks: tuple[Message, ...], turns: tuple[Turn, ...] = (), intent: Intent = Intent.GENERAL) -> None:
        examples, rollouts = [], []
        for number, messages in enumerate(talks):
            about = {"id": f"t{number}/base/0", "task_id": f"t{number}", "domain": "library", "intent": intent}
            examples.append(Example(**about, messages=messages, tools=self.library.tool_schemas))
            rest = {
                "agent": "base",
                "attempt": 0,
                "stop_reason": StopReason.USER_DONE,
                "final_hash": "",
                "reward": Reward(value=1.0, checks={}),
            }
            rollouts.append(Rollout(**about, messages=messages, turns=turns, **rest))
        for name, records in (("examples", examples), ("rollouts", rollouts)):
            text = "".join(record.model_dump_json() + "\n" for record in records)
            (self.folder / f"{name}.jsonl").write_text(text)

    def load(self, **settings):
        def write_tools(domain: str) -> set[str]:
            assert domain == "library"
            return {tool.name for tool in self.library.tools if tool.writes}

        files = (self.folder / "examples.jsonl", self.folder / "rollouts.jsonl")
        return load_rows(*files, self.renderer, TrainConfig(**settings), write_tools, self.folder)

    def trained(self, row) -> list[str]:
        """The turns that carry loss, as text."""
        text = self.renderer.decode([int(label) for label in row.labels if label != IGNORED])
        return [f"{part}<|im_end|>" for part in text.split("<|im_end|>")[:-1]]


@pytest.fixture
def made(tmp_path: Path, renderer: Renderer, library: Domain) -> Made:
    return Made(tmp_path, renderer, library)


def sampled(renderer: Renderer, talk: tuple[Message, ...], **other: list[int]) -> tuple[Turn, ...]:
    """The turns of a talk as a rollout records them; `other` samples stand in for turns by number, ``t0=[...]``."""
    turns: list[Turn] = []
    new: list[Message] = []
    tools = other.pop("tools")
    for message in talk:
        if message.role != "assistant":
            new.append(message)
            continue
        prompt = renderer.continue_ids(new, turns[-1].sampled_ids) if turns else renderer.prompt_ids(new, tools)
        ids = other.get(f"t{len(turns)}", renderer.reply_ids(message))
        turns.append(Turn(prompt_ids=tuple(prompt), sampled_ids=tuple(ids), finish_reason="stop"))
        new = []
    return tuple(turns)


@pytest.mark.parametrize(
    ("settings", "loss", "left_out"),
    [
        ({}, [ASKS, FAILS, WRITES, TELLS], {}),
        ({"skip_failed_calls": True}, [ASKS, WRITES, TELLS], {"a call failed": 1}),
        ({"loss_from": "first_write"}, [WRITES, TELLS], {"before the first write": 2}),
        ({"loss_from": "first_write", "skip_failed_calls": True}, [WRITES, TELLS], {"before the first write": 2}),
    ],
)
def test_chosen_turns_carry_loss_and_the_rest_is_read(made: Made, settings: dict, loss: list[str], left_out: dict):
    made.write(TALK)
    rows = made.load(**settings)
    (row,), (note,) = rows.rows, rows.notes
    assert made.trained(row) == loss
    assert dict(rows.left_out) == left_out and not rows.dropped
    assert made.renderer.decode([int(t) for t in row.input_ids]) == made.renderer.text(
        TALK[:-1], made.library.tool_schemas
    )
    assert all(label in (IGNORED, token) for token, label in zip(row.input_ids, row.labels, strict=True))
    assert note.num_loss == sum(label != IGNORED for label in row.labels) and row.weight == 1.0


def test_a_turn_whose_call_could_not_be_read_is_a_failed_one(made: Made):
    broken = ToolResult(call_id="", name="", content="Error: no JSON", is_error=True, error="malformed")
    talk = (
        *TALK[:4],
        Message(role="assistant", content="<tool_call>{"),
        Message(role="tool", content=broken.content, result=broken),
        *TALK[6:],
    )
    made.write(talk)
    assert made.trained(made.load(skip_failed_calls=True).rows[0]) == [ASKS, WRITES, TELLS]


def test_rows_without_loss_are_dropped_with_their_reason(made: Made):
    made.write(TALK, READ_ONLY, SILENT)
    rows = made.load(loss_from="first_write")
    assert [row.id for row in rows.rows] == ["t0/base/0"] == [note.id for note in rows.notes]
    assert dict(rows.dropped) == {
        "every turn is left out (before the first write)": 1,
        "the agent says nothing": 1,
    }


def test_nothing_left_to_train_on_is_one_line_with_the_reasons(made: Made):
    made.write(READ_ONLY, SILENT)
    with pytest.raises(ConfigError, match=r"none of 2 rows .*1 because every turn is left out.*train.loss_from"):
        made.load(loss_from="first_write")


def test_an_empty_file_of_examples_is_one_line(made: Made):
    made.write()
    with pytest.raises(ConfigError, match=r"examples.jsonl holds no example"):
        made.load()


def test_weights_multiply_by_intent_and_domain_and_zero_drops_a_row(made: Made):
    made.write(TALK, intent=Intent.INFEASIBLE)
    assert made.load(weights={"infeasible": 2, "library": 1.5, "general": 7}).rows[0].weight == 3.0
    with pytest.raises(ConfigError, match="1 because its weight is 0"):
        made.load(weights={"infeasible": 0})


def test_sampled_ids_are_trained_on_in_place_of_their_text(made: Made):
    letters = [made.renderer.reply_ids(Message(role="assistant", content=letter))[0] for letter in "What is"]
    odd = [*letters, *made.renderer.reply_ids(Message(role="assistant", content=" your e-mail?"))]
    turns = sampled(made.renderer, TALK, t0=odd, tools=made.library.tool_schemas)
    made.write(TALK, turns=turns)
    row = made.load().rows[0]
    sent = [token for turn in turns for token in (*turn.prompt_ids, *turn.sampled_ids)]
    assert list(row.input_ids) == sent
    assert [label for label in row.labels if label != IGNORED][: len(odd)] == odd
    assert made.trained(row) == [ASKS, FAILS, WRITES, TELLS]


def test_a_turn_that_was_cut_off_gets_a_stop_token_without_loss(made: Made):
    cut = made.renderer.reply_ids(TALK[2])[:-1]
    made.write(TALK, turns=sampled(made.renderer, TALK, t0=cut, tools=made.library.tool_schemas))
    row = made.load().rows[0]
    assert made.trained(row)[0] == ASKS.removesuffix("<|im_end|>") + FAILS
    stop = list(row.input_ids).index(cut[-1], list(row.labels).index(cut[0])) + 1
    assert row.input_ids[stop] == made.renderer.stop_id and row.labels[stop] == IGNORED


def test_tokens_that_the_rollout_did_not_send_stop_the_run(made: Made):
    turns = sampled(made.renderer, TALK, tools=made.library.tool_schemas)
    drifted = turns[1].model_copy(update={"prompt_ids": (*turns[1].prompt_ids[:-1], 7)})
    made.write(TALK, turns=(turns[0], drifted, *turns[2:]))
    with pytest.raises(RunError, match=r"row t0/base/0: from token \d+ on training would read"):
        made.load()


def test_a_template_that_renders_the_whole_differently_stops_the_run(
    made: Made, renderer: Renderer, monkeypatch: pytest.MonkeyPatch
):
    class Drifting(Renderer):
        def text(self, messages, tools):
            return super().text(messages, tools).replace("ann@", "Ann@")

    made.write(TALK)
    made.renderer = Drifting("smollm2", renderer._source)
    with pytest.raises(RunError, match=r"from character \d+ on .*'ann@example.*'Ann@example"):
        made.load()


def test_rows_are_made_once_and_again_when_a_token_may_differ(made: Made):
    made.write(TALK, READ_ONLY)
    first = made.load()
    (folder,) = (made.folder / "rows").iterdir()
    made_at = (folder / "input_ids.int32").stat().st_mtime_ns
    again = made.load(learning_rate=1e-4, weights={"library": 2})
    assert (folder / "input_ids.int32").stat().st_mtime_ns == made_at
    for one, other in zip(first.rows, again.rows, strict=True):
        assert list(one.input_ids) == list(other.input_ids) and other.weight == 2
        assert isinstance(one.input_ids, np.ndarray) and one.input_ids.dtype == np.int32
        assert not one.input_ids.flags.owndata and not one.input_ids.flags.writeable
    made.load(skip_failed_calls=True)
    assert len(list((made.folder / "rows").iterdir())) == 2
    made.write(TALK)
    assert len(made.load().rows) == 1
    assert len(list((made.folder / "rows").iterdir())) == 3


def test_an_interrupted_cache_is_made_again(made: Made):
    made.write(TALK, READ_ONLY)
    whole = [(row.id, list(row.input_ids), list(row.labels)) for row in made.load().rows]
    (folder,) = (made.folder / "rows").iterdir()
    (folder / "manifest.json").unlink()
    for name in ("input_ids.int32", "labels.int32", "rows.jsonl"):
        file = folder / name
        file.write_bytes(file.read_bytes()[:100])
    folder.rename(folder.with_name(f"{folder.name}.partial"))
    assert [(row.id, list(row.input_ids), list(row.labels)) for row in made.load().rows] == whole


def test_a_row_that_would_be_cut_is_refused_with_what_fits(made: Made):
    made.write(TALK, READ_ONLY)
    rows = made.load()
    lengths = [len(row.input_ids) for row in rows.rows]
    rows.check_lengths(max(lengths))
    with pytest.raises(
        ConfigError, match=rf"1 of 2 rows .*longest {max(lengths)} \(t0/base/0\).*max_length={max(lengths)}"
    ):
        rows.check_lengths(max(lengths) - 1)


def test_other_ranks_read_what_the_main_process_wrote(made: Made, monkeypatch: pytest.MonkeyPatch):
    made.write(TALK)
    first = made.load()
    before = {file: file.stat().st_mtime_ns for file in made.folder.rglob("*")}
    monkeypatch.setenv("RANK", "1")
    assert list(made.load().rows[0].input_ids) == list(first.rows[0].input_ids)
    assert {file: file.stat().st_mtime_ns for file in made.folder.rglob("*")} == before


def test_weights_name_an_intent_or_a_trained_domain():
    about = {"domain": {"train": ["library"]}, "evaluate": {"domains": ["retail"]}}
    assert RunConfig.model_validate({**about, "train": {"weights": {"library": 2, "changing": 0}}})
    known = "known: general, ambiguous, changing, infeasible, library"
    for name in ("infeasable", "retail"):
        with pytest.raises(ValueError, match=f"train.weights holds '{name}'.*{known}"):
            RunConfig.model_validate({**about, "train": {"weights": {name: 2}}})
