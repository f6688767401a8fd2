"""Show what a training run would learn from before it takes a step: lengths, losses, and rows with their masks.

Everything reads the same without colours: what carries loss stands between «», what a setting leaves out between ‹›.
"""

from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from typing import NamedTuple

from rich.console import Console
from rich.text import Text

from t2t.models.rendering import IGNORED, Renderer
from t2t.report.talks import show_controls
from t2t.train.packing import TokenRow
from t2t.train.rows import RowNote, Rows

_QUANTILES = {"least": 0.0, "median": 0.5, "90%": 0.9, "99%": 0.99, "most": 1.0}
_HEAD, _TAIL = 240, 120
"""Characters shown of a stretch without loss: its beginning and its end."""


class _Look(NamedTuple):
    before: str
    after: str
    style: str


_LOSS = _Look("«", "»", "bold green")
_LEFT_OUT = _Look("‹", "›", "red")
_REST = _Look("", "", "dim")


def describe(rows: Rows, max_length: int) -> list[str]:
    """Lines about the rows: kept and dropped, lengths, what carries loss, what is left out, weights."""
    lengths = sorted(len(row.input_ids) for row in rows.rows)
    longer = sum(length > max_length for length in lengths)
    num_loss, num_tokens = sum(note.num_loss for note in rows.notes), sum(lengths)
    kept, total = len(lengths), len(lengths) + sum(rows.dropped.values())
    spread = ", ".join(f"{lengths[round(share * (kept - 1))]:,} {name}" for name, share in _QUANTILES.items())
    lines = [
        f"rows: {kept:,} of {total:,} kept" + "".join(f"; {n:,} dropped: {why}" for why, n in rows.dropped.items()),
        f"by intent: {_counted(note.intent.value for note in rows.notes)}; "
        f"by domain: {_counted(note.domain for note in rows.notes)}",
        f"tokens of a row: {spread}; train.max_length={max_length} would cut {longer or 'none'}",
        f"tokens with loss: {num_loss:,} of {num_tokens:,} ({num_loss / num_tokens:.1%}), {num_loss / kept:,.0f} a row",
    ]
    if left_out := rows.left_out:
        lines.append("agent's turns without loss: " + ", ".join(f"{n:,} ({why})" for why, n in left_out.most_common()))
    weights = Counter(row.weight for row in rows.rows)
    if set(weights) != {1.0}:
        lines.append("weights of rows: " + ", ".join(f"{weight:g} for {n:,}" for weight, n in sorted(weights.items())))
    return lines


def choose(rows: Rows) -> list[int]:
    """Places of up to three rows worth a look: the median, the longest, and the first with a turn left out."""
    order = sorted(range(len(rows.rows)), key=lambda place: len(rows.rows[place].input_ids))
    left_out = [place for place, note in enumerate(rows.notes) if note.left_out]
    wanted = [order[len(order) // 2], order[-1], *left_out[:1], *order]
    return list(dict.fromkeys(wanted))[:3]


def write_row(row: TokenRow, note: RowNote, renderer: Renderer) -> Text:
    """A row as text, what carries loss marked; long stretches without loss are cut in their middle."""
    weight = f", weight {row.weight:g}" if row.weight != 1.0 else ""
    title = (
        f"{note.id} ({note.domain}, {note.intent.value}): {len(row.input_ids):,} tokens, {note.num_loss:,} with loss"
    )
    text = Text().append(f"{title}{weight}\n", "bold")
    for start, stop, look in _stretches(row, note):
        words = show_controls(renderer.decode([int(token) for token in row.input_ids[start:stop]]))
        if look is _REST and len(words) > _HEAD + _TAIL + 40:
            words = f"{words[:_HEAD]} [... {len(words) - _HEAD - _TAIL:,} characters ...] {words[-_TAIL:]}"
        text.append(f"{look.before}{words}{look.after}", look.style)
    return text


def print_rows(rows: Rows, renderer: Renderer, console: Console) -> None:
    """Print the chosen rows with their masks, and what the marks mean."""
    legend = Text("three rows: " if len(rows.rows) > 2 else "rows: ")
    legend.append("«carries loss»", _LOSS.style).append(" ")
    legend.append("‹a turn left out›", _LEFT_OUT.style).append(" ").append("read only", _REST.style)
    console.print(legend, soft_wrap=True)
    for place in choose(rows):
        console.print(write_row(rows.rows[place], rows.notes[place], renderer), soft_wrap=True)
        console.print()


def _stretches(row: TokenRow, note: RowNote) -> list[tuple[int, int, _Look]]:
    """The row cut where its looks change: start, stop and look of each part."""
    looks = [_REST if label == IGNORED else _LOSS for label in row.labels]
    for turn in note.left_out:
        looks[turn.start : turn.stop] = [_LEFT_OUT] * (turn.stop - turn.start)
    edges = [0, *(place for place in range(1, len(looks)) if looks[place] is not looks[place - 1]), len(looks)]
    return [(start, stop, looks[start]) for start, stop in pairwise(edges)]


def _counted(names: Iterable[str]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in sorted(Counter(names).items()))
