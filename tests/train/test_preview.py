"""What is printed before training: counts that add up, and masks that read with and without colours."""

import io
import re

import numpy as np
import pytest
from rich.console import Console

from t2t.models.rendering import IGNORED, Renderer
from t2t.records import Intent, Message
from t2t.train.packing import TokenRow
from t2t.train.preview import choose, describe, print_rows, write_row
from t2t.train.rows import LeftOut, RowNote, Rows


@pytest.fixture(scope="module")
def renderer(weights_dir) -> Renderer:
    return Renderer("smollm2", weights_dir)


def made_row(renderer: Renderer, number: int, said: str, words: int = 0, left_out: bool = False, weight: float = 1.0):
    """A talk of two agent turns; with `left_out` the first carries no loss."""
    talk = (
        Message(role="system", content="Be kind. " + "word " * words),
        Message(role="user", content="Hello"),
        Message(role="assistant", content="First."),
        Message(role="user", content="And?"),
        Message(role="assistant", content=said),
    )
    encoded = renderer.encode(talk, "")
    labels = np.array(encoded.labels, dtype=np.int32)
    spoken = np.flatnonzero(labels != IGNORED)
    stop = int(spoken[np.flatnonzero(np.diff(spoken) > 1)[0]]) + 1
    turns = (LeftOut(int(spoken[0]), stop, "a call failed"),) if left_out else ()
    for turn in turns:
        labels[turn.start : turn.stop] = IGNORED
    note = RowNote(
        id=f"row-{number}",
        domain="library",
        intent=Intent.GENERAL,
        end=0,
        num_loss=int((labels != IGNORED).sum()),
        left_out=turns,
    )
    return TokenRow(note.id, np.array(encoded.input_ids, dtype=np.int32), labels, weight), note


def made_rows(*made, dropped: dict[str, int] | None = None) -> Rows:
    return Rows([row for row, _ in made], [note for _, note in made], dropped or {})


def test_a_row_shows_its_loss_and_what_is_left_out_by_marks_alone(renderer: Renderer):
    text = write_row(*made_row(renderer, 1, "Second.", left_out=True), renderer).plain
    assert text.splitlines()[0].startswith("row-1 (library, general): ")
    assert "assistant\n‹First.<|im_end|>›" in text
    assert "assistant\n«Second.<|im_end|>»" in text
    assert text.count("«") == text.count("»") == text.count("‹") == text.count("›") == 1


def test_on_a_terminal_the_marks_have_colours(renderer: Renderer):
    out = io.StringIO()
    rows = made_rows(made_row(renderer, 1, "Second.", left_out=True))
    print_rows(rows, renderer, Console(file=out, force_terminal=True, color_system="standard", highlight=False))
    styled = re.findall(r"\x1b\[([\d;]+)m([^\x1b]*)", out.getvalue())
    assert {("1;32", "«Second.<|im_end|>»"), ("31", "‹First.<|im_end|>›")} <= set(styled)


def test_long_stretches_are_cut_in_their_middle_and_turns_never(renderer: Renderer):
    said = "so " * 400
    text = write_row(*made_row(renderer, 1, said, words=500), renderer).plain
    assert f"«{said}<|im_end|>»" in text
    assert "Be kind." in text and "characters ...]" in text and text.count("word") < 100


def test_control_characters_of_a_talk_do_not_reach_the_terminal(renderer: Renderer):
    assert "\x1b" not in write_row(*made_row(renderer, 1, "\x1b[31mred\x1b[0m"), renderer).plain


def test_the_counts_say_what_is_kept_dropped_and_left_out(renderer: Renderer):
    made = [made_row(renderer, n, "Second." * n, left_out=n == 2, weight=2.0 if n == 3 else 1.0) for n in (1, 2, 3)]
    rows = made_rows(*made, dropped={"the agent says nothing": 2})
    text = "\n".join(describe(rows, max_length=max(len(row.input_ids) for row in rows.rows) - 1))
    assert "rows: 3 of 5 kept; 2 dropped: the agent says nothing" in text
    assert "would cut 1" in text
    assert "agent's turns without loss: 1 (a call failed)" in text
    assert "weights of rows: 1 for 2, 2 for 1" in text
    tokens = sum(len(row.input_ids) for row in rows.rows)
    assert f"{sum(note.num_loss for note in rows.notes)} of {tokens}" in text


def test_three_rows_are_shown_one_with_a_turn_left_out_among_them(renderer: Renderer):
    rows = made_rows(*(made_row(renderer, n, "Second." * n, left_out=n == 5) for n in range(9)))
    assert choose(rows) == [4, 8, 5]
    assert choose(made_rows(made_row(renderer, 0, "One."))) == [0]
