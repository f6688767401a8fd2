"""Read the talks of a file that a filter chooses, parsing no more than is asked for, also while the file grows."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence, Set
from pathlib import Path
from typing import Any, Self

import orjson
from pydantic import ConfigDict, ValidationError

from t2t.errors import ConfigError
from t2t.records import Intent, Record, Rollout, StopReason

TALKS = "rollouts.jsonl"
"""Name of a stage's file of talks."""

STAGES = ("evaluate", "baseline", "rollout")
"""Stages that play talks, the last one of the chain first."""

_HEAD = {"id", "task_id", "domain", "intent", "agent"}
_TAIL = {"stop_reason", "reward"}


def find_talks(given: Path, stages: Sequence[str] = STAGES) -> Path:
    """The file of talks that a path leads to: itself, or the one in the folder of a stage or of a run.

    Raises:
        ConfigError: there is none.
    """
    for file in (given, given / TALKS):
        if file.is_file():
            return file
    for stage in stages:
        file = given / stage / TALKS
        if file.is_file() and file.stat().st_size:
            return file
    raise ConfigError(f"no talks in {given}; they lie in {TALKS} in a folder of {', '.join(stages)}")


class TalkFilter(Record):
    """Which talks are chosen; what is empty or None chooses all."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    intent: Intent | None = None
    """Only talks with this intent."""
    domain: str = ""
    """Only talks in this domain."""
    agent: str = ""
    """Only talks of this agent."""
    task: str = ""
    """Only talks about this task."""
    stop: StopReason | None = None
    """Only talks that ended so."""
    success: bool | None = None
    """Only talks that succeeded, or that did not."""
    user_fault: bool | None = None
    """Only talks in which a model in the part of the caller did something wrong, or did not."""


class TalkLine:
    """One line of a file of talks, read no further than is asked for.

    `Rollout` writes its fields in order and without blanks. A quotation mark inside a text is escaped, so the first
    ``,"messages":[`` and the last ``,"stop_reason":"`` and ``,"turns":[`` are the record's own. A line written by
    another program is read whole.
    """

    def __init__(self, place: str, line: bytes) -> None:
        """Take a line with its end; `place` says in errors where it stands."""
        self._place, self._line = place, line
        self._messages_at = line.find(b',"messages":[') if line.startswith(b'{"id":') else -1
        self._end_at = line.rfind(b',"stop_reason":"')
        self._whole: dict[str, Any] | None = None

    def head(self) -> Mapping[str, Any]:
        """``id``, ``task_id``, ``domain``, ``intent``, ``agent``.

        Raises:
            ConfigError: the line is no talk; so do the other methods.
        """
        return self._part(self._messages_at > 0, b"", 0, self._messages_at, b"}", _HEAD)

    def tail(self) -> Mapping[str, Any]:
        """``stop_reason``, ``reward``, and ``user_faults`` where there are any."""
        ordered = 0 < self._messages_at < self._end_at
        found = self._part(ordered, b"{", self._end_at + 1, len(self._line), b"", _TAIL)
        reward = found["reward"]
        if not isinstance(reward, dict) or not {"value", "checks"} <= reward.keys():
            raise self._no_talk()
        return found

    def messages(self) -> Sequence[Mapping[str, Any]]:
        """The talk as JSON."""
        turns_at = self._line.rfind(b',"turns":[', 0, max(self._end_at, 0))
        ordered = 0 < self._messages_at < turns_at
        return self._part(ordered, b"{", self._messages_at + 1, turns_at, b"}", {"messages"})["messages"]

    def rollout(self) -> Rollout:
        """The whole record."""
        try:
            return Rollout.model_validate_json(self._line)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise ConfigError(f"{self._place} is no talk: {where}: {first['msg']}") from None

    def _part(
        self, ordered: bool, before: bytes, start: int, end: int, after: bytes, keys: Set[str]
    ) -> Mapping[str, Any]:
        """The object between two places of the line, or the whole line where that does not hold `keys`."""
        if ordered:
            with contextlib.suppress(orjson.JSONDecodeError):
                found = orjson.loads(before + self._line[start:end] + after)
                if keys <= found.keys():
                    return found
        if self._whole is None:
            try:
                self._whole = orjson.loads(self._line)
            except orjson.JSONDecodeError as error:
                raise ConfigError(f"{self._place} is no JSON: {error}") from None
        if not isinstance(self._whole, dict) or not _HEAD | _TAIL | {"messages"} <= self._whole.keys():
            raise self._no_talk()
        return self._whole

    def _no_talk(self) -> ConfigError:
        return ConfigError(f"{self._place} is no talk; talks lie in {TALKS} of a stage's folder")


class TalkFile:
    """The talks of a file that a filter chooses, found as far as they are asked for.

    The file may grow meanwhile; a last line without its end is left for later.
    """

    def __init__(self, file: Path, choice: TalkFilter) -> None:
        """Open `file`; nothing is read yet.

        Raises:
            ConfigError: it cannot be read.
        """
        self.file = file
        self._choice = choice
        try:
            self._handle = file.open("rb")
        except OSError as error:
            raise ConfigError(f"{file} cannot be read: {error.strerror}") from None
        self._chosen: list[tuple[int, int]] = []
        """Place in the file and line number of each talk that is chosen."""
        self.read = 0
        """Lines read so far."""
        self._at = 0

    def __enter__(self) -> Self:
        """The same."""
        return self

    def __exit__(self, *raised: object) -> None:
        """Close the file."""
        self._handle.close()

    @property
    def num_known(self) -> int:
        """Chosen talks found so far."""
        return len(self._chosen)

    def more(self) -> Iterator[TalkLine]:
        """The chosen talks after those that are known."""
        self._handle.seek(self._at)
        for text in self._handle:
            if not text.endswith(b"\n"):
                return
            at, self._at = self._at, self._at + len(text)
            self.read += 1
            line = TalkLine(f"{self.file}:{self.read}", text)
            if self._fits(line):
                self._chosen.append((at, self.read))
                yield line

    def get(self, number: int) -> TalkLine | None:
        """The chosen talk of this number, from 1; None where there are not as many yet."""
        more = self.more()
        while len(self._chosen) < number:
            if next(more, None) is None:
                return None
        at, line_number = self._chosen[number - 1]
        self._handle.seek(at)
        return TalkLine(f"{self.file}:{line_number}", self._handle.readline())

    def _fits(self, line: TalkLine) -> bool:
        asked = self._choice
        head = line.head()
        for wanted, name in ((asked.domain, "domain"), (asked.agent, "agent"), (asked.task, "task_id")):
            if wanted and head[name] != wanted:
                return False
        if asked.intent and head["intent"] != asked.intent:
            return False
        if asked.stop is None and asked.success is None and asked.user_fault is None:
            return True
        tail = line.tail()
        return (
            asked.stop in (None, tail["stop_reason"])
            and asked.success in (None, tail["reward"]["value"] == 1.0)
            and asked.user_fault in (None, bool(tail.get("user_faults")))
        )
