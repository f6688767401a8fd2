"""Turn examples into rows of tokens, once: every rank and every later run reads the same files, mapped into memory.

Writes ``<root>/rows/<key>/``: ``input_ids.int32`` and ``labels.int32`` hold the rows one behind the other,
``rows.jsonl`` says where each ends. The key is that of all that decides a token, so runs which differ in anything
else share the folder; it may be deleted at any time. Needs no torch.
"""

import hashlib
import os
import time
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
import orjson

from t2t.config import TrainConfig
from t2t.errors import ConfigError, RunError
from t2t.lines import whole_lines
from t2t.log import Progress
from t2t.models.rendering import IGNORED, Renderer
from t2t.records import Example, Intent, Message, Pair, Record, Rollout, Turn
from t2t.store import Artifact, Writer, hash_of, read_records
from t2t.train.packing import TokenRow

WriteTools = Callable[[str], Collection[str]]
"""Names of the tools that may change the database, for the name of a domain."""

_VERSION = 1
"""Raised when the same examples give other tokens or labels."""

_BEFORE_WRITE = "before the first write"
_FAILED = "a call failed"


class LeftOut(NamedTuple):
    """A turn of the agent that carries no loss."""

    start: int
    """First of its tokens in the row."""
    stop: int
    """The token behind its last."""
    reason: str
    """Why."""


class RowNote(Record):
    """What is known of a row beside its tokens."""

    id: str
    """Id of the example."""
    domain: str
    """Its domain."""
    intent: Intent
    """Its intent."""
    end: int
    """Where its tokens end in the files; they begin where those of the row before end."""
    num_loss: int
    """Tokens that carry loss."""
    left_out: tuple[LeftOut, ...] = ()
    """Turns of the agent that carry none, in order."""


class Rows(NamedTuple):
    """The rows of a training run, and what became of the examples that give none."""

    rows: Sequence[TokenRow]
    """Rows with a token that carries loss, in the order of the examples; ids and labels are read from the disk."""
    notes: Sequence[RowNote]
    """What is known of each of `rows`."""
    dropped: Mapping[str, int]
    """Examples without a row, by reason."""

    @property
    def left_out(self) -> Counter[str]:
        """Turns of the agent in `rows` that carry no loss, by reason."""
        return Counter(turn.reason for note in self.notes for turn in note.left_out)

    def check_lengths(self, max_length: int) -> None:
        """Refuse rows that would have to be cut.

        Raises:
            ConfigError: a row has more than `max_length` tokens; the text says how many do and what fits.
        """
        longest = max(self.rows, key=lambda row: len(row.input_ids))
        too_long = sum(len(row.input_ids) > max_length for row in self.rows)
        if too_long:
            fits = len(longest.input_ids)
            raise ConfigError(
                f"{too_long} of {len(self.rows)} rows have more tokens than train.max_length={max_length}, the longest "
                f"{fits} ({longest.id}); no row is cut: set train.max_length={fits} or leave long talks out"
            )


def load_rows(
    examples: Path, rollouts: Path, renderer: Renderer, config: TrainConfig, write_tools: WriteTools, root: Path
) -> Rows:
    """Read the rows that examples give, making them where there are none.

    The main process of a launch makes them while the others wait.

    Args:
        examples: File of `Example`.
        rollouts: File of the rollouts that they come from, for the token ids that were sampled.
        renderer: The renderer of the rollouts.
        config: Which turns carry loss, and the weights.
        write_tools: Asked only with ``loss_from=first_write``.
        root: Folder of the artifacts.

    Raises:
        ConfigError: there is no example, or none has a token that carries loss.
        RunError: the tokens are not those that the rollouts sent, or not those that a server renders.
    """
    masking: list[str | bool] = [config.loss_from, config.skip_failed_calls]
    key = hash_of([_VERSION, _file_hash(examples), _file_hash(rollouts), renderer.hash, *masking])
    artifact = Artifact(root, "rows", key)
    if os.environ.get("RANK", "0") != "0":
        while not artifact.complete:
            time.sleep(0.2)
    else:
        with artifact.making() as folder:
            if not artifact.complete:
                count = _write(folder, examples, rollouts, renderer, config, write_tools)
                artifact.finish({"key": key, "count": count, "template_hash": renderer.hash})
    return _read(artifact.folder, examples, config)


def rows_of_pairs(pairs: Sequence[Pair], sides: Iterable[tuple[TokenRow, TokenRow]]) -> Rows:
    """Both sides of each pair as rows, for looking at them and checking their lengths."""
    rows: list[TokenRow] = []
    notes: list[RowNote] = []
    for pair, both in zip(pairs, sides, strict=True):
        for row in both:
            num_loss = int(np.count_nonzero(np.asarray(row.labels)[1:] != IGNORED))
            rows.append(row)
            notes.append(RowNote(id=row.id, domain=pair.domain, intent=pair.intent, end=0, num_loss=num_loss))
    return Rows(rows, notes, {})


def _write(
    folder: Path, examples: Path, rollouts: Path, renderer: Renderer, config: TrainConfig, write_tools: WriteTools
) -> int:
    """Tokenise all examples; counts them."""
    ids = [orjson.loads(line)["id"] for line in whole_lines(examples)]
    if not ids:
        raise ConfigError(f"{examples} holds no example; keep more rollouts in the filter stage")
    if len(set(ids)) != len(ids):
        raise RunError(
            f"{examples} holds {Counter(ids).most_common(1)[0][0]} twice; delete its folder to make it again"
        )
    note_file = folder / "rows.jsonl"
    note_file.unlink(missing_ok=True)
    progress = Progress("train", len(ids), "rows tokenised")
    end = 0
    with (
        (folder / "input_ids.int32").open("wb") as id_file,
        (folder / "labels.int32").open("wb") as label_file,
        TurnFile(rollouts, set(ids)) as turns_of,
        Writer(note_file) as notes,
    ):
        for example in read_records(examples, Example):
            messages = _until_last_reply(example.messages)
            turns = turns_of(example.id)
            encoded = renderer.encode(messages, example.tools, turns)
            check_rendering(example.id, messages, example.tools, turns, encoded.input_ids, renderer)
            input_ids, labels = (np.asarray(part, dtype=np.int32) for part in encoded)
            reasons = _reasons(messages, config, write_tools, example.domain)
            left_out = tuple(
                LeftOut(*span, reason)
                for span, reason in zip(_turn_spans(labels), reasons, strict=True)
                if reason is not None
            )
            for turn in left_out:
                labels[turn.start : turn.stop] = IGNORED
            id_file.write(input_ids.tobytes())
            label_file.write(labels.tobytes())
            end += len(input_ids)
            notes.append(
                RowNote(
                    id=example.id,
                    domain=example.domain,
                    intent=example.intent,
                    end=end,
                    num_loss=int(np.count_nonzero(labels[1:] != IGNORED)),
                    left_out=left_out,
                )
            )
            progress.step()
        for file in (id_file, label_file):
            file.flush()
            os.fsync(file.fileno())
    progress.close()
    return len(ids)


def _read(folder: Path, examples: Path, config: TrainConfig) -> Rows:
    # Plain arrays over the map: slices of `memmap` itself cost several times more memory each.
    input_ids, labels = (
        cast(Sequence[int], np.asarray(np.memmap(folder / name, dtype=np.int32, mode="r")))
        for name in ("input_ids.int32", "labels.int32")
    )
    rows: list[TokenRow] = []
    kept: list[RowNote] = []
    dropped: Counter[str] = Counter()
    start = 0
    for note in read_records(folder / "rows.jsonl", RowNote):
        weight = config.weights.get(note.intent.value, 1.0) * config.weights.get(note.domain, 1.0)
        if reason := _reason_to_drop(note, weight):
            dropped[reason] += 1
        else:
            rows.append(TokenRow(note.id, input_ids[start : note.end], labels[start : note.end], weight))
            kept.append(note)
        start = note.end
    if not rows:
        reasons = ", ".join(f"{count} because {reason}" for reason, count in dropped.most_common())
        raise ConfigError(
            f"none of {dropped.total()} rows has a token that carries loss, {reasons} ({examples}); "
            "change train.loss_from, train.skip_failed_calls or train.weights, or keep other talks"
        )
    return Rows(rows, kept, dropped)


def _reason_to_drop(note: RowNote, weight: float) -> str:
    if note.num_loss and weight > 0:
        return ""
    if note.num_loss:
        return "its weight is 0"
    if not note.left_out:
        return "the agent says nothing"
    return f"every turn is left out ({', '.join(dict.fromkeys(turn.reason for turn in note.left_out))})"


def _reasons(
    messages: Sequence[Message], config: TrainConfig, write_tools: WriteTools, domain: str
) -> Iterator[str | None]:
    """Why a turn of the agent carries no loss, for each in order; None for one that carries loss."""
    begun = config.loss_from == "first_turn"
    writing = () if begun else write_tools(domain)
    for place, message in enumerate(messages):
        if message.role != "assistant":
            continue
        begun = begun or any(call.name in writing for call in message.tool_calls)
        if not begun:
            yield _BEFORE_WRITE
        elif config.skip_failed_calls and _failed(messages, place):
            yield _FAILED
        else:
            yield None


def _failed(messages: Sequence[Message], place: int) -> bool:
    """True when a result that came back for the turn at `place` is an error."""
    for message in messages[place + 1 :]:
        if message.role != "tool":
            return False
        if message.result is not None and message.result.is_error:
            return True
    return False


def _turn_spans(labels: np.ndarray[tuple[int], np.dtype[np.int32]]) -> list[tuple[int, int]]:
    """Where each turn of the agent begins and ends: the header of the next stands between any two."""
    said = np.concatenate(([False], labels != IGNORED, [False]))
    edges = np.flatnonzero(said[1:] != said[:-1]).tolist()
    return list(zip(edges[::2], edges[1::2], strict=True))


def check_rendering(
    row_id: str,
    messages: Sequence[Message],
    tools: str,
    turns: Sequence[Turn],
    input_ids: Sequence[int],
    renderer: Renderer,
) -> None:
    """Compare a row with what a server reads: the ids that were sent and sampled, or the text of the chat template.

    Raises:
        RunError: they differ; says where.
    """
    if any(turn.sampled_ids for turn in turns):
        sent = [token for turn in turns for token in (*turn.prompt_ids, *turn.sampled_ids)]
        stop = [] if sent[-1] == renderer.stop_id else [renderer.stop_id]
        if list(input_ids) == [*sent, *stop]:
            return
        place = _first_difference(input_ids, sent)
        ours, theirs = (renderer.decode(ids[place : place + 8]) for ids in (input_ids, sent))
        raise RunError(
            f"row {row_id}: from token {place} on training would read {ours!r} where the rollout sent {theirs!r}; "
            "the template or the tokenizer changed since: delete the rollouts and play them again"
        )
    ours, theirs = renderer.decode(input_ids), renderer.text(messages, tools)
    # Some tokenizers bring text into Unicode's composed form; a server's does the same.
    if ours != theirs and unicodedata.normalize("NFC", ours) != unicodedata.normalize("NFC", theirs):
        place = _first_difference(ours, theirs)
        raise RunError(
            f"row {row_id}: from character {place} on training would read {ours[place : place + 40]!r} where the chat "
            f"template writes {theirs[place : place + 40]!r}; choose the model.template of the tokenizer's family"
        )


def _first_difference(one: Sequence[object], other: Sequence[object]) -> int:
    pairs = enumerate(zip(one, other, strict=False))
    return next((place for place, (a, b) in pairs if a != b), min(len(one), len(other)))


class TurnFile:
    """The token ids of chosen rollouts, read from their file one at a time."""

    def __init__(self, file: Path, ids: Collection[str]) -> None:
        """Note where the rollouts named by `ids` lie."""
        self._places: dict[str, tuple[int, int]] = {}
        start = 0
        for line in whole_lines(file):
            if (row_id := orjson.loads(line)["id"]) in ids:
                self._places[row_id] = start, len(line)
            start += len(line)
        self._file = file
        self._descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)

    def __call__(self, row_id: str) -> tuple[Turn, ...]:
        """Turns of a rollout; empty where its agent has no tokens."""
        if row_id not in self._places:
            raise RunError(f"{self._file} holds no rollout {row_id}; delete the filter's folder to make it again")
        start, length = self._places[row_id]
        return Rollout.model_validate_json(os.pread(self._descriptor, length, start)).turns

    def __enter__(self) -> "TurnFile":
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)


def _until_last_reply(messages: Sequence[Message]) -> Sequence[Message]:
    """Without what follows the agent's last turn: nothing there is learned from."""
    said = [number for number, message in enumerate(messages) if message.role == "assistant"]
    return messages[: said[-1] + 1] if said else messages


def _file_hash(file: Path) -> str:
    with file.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
