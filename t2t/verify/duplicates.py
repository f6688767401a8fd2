"""Tasks that say what another task says already, and tasks that say what an evaluation task says.

`print_of` makes a small `Print` of a task, in any process; `Duplicates` holds the prints of one run and
`Contamination` those of the evaluation tasks and of tau2's human-written ones, of which a fingerprint is
part of this package. Words are compared as sets of word pairs: with one word of an opening changed, real
tasks keep 0.91 to 0.96 of them, while two callers, or two wishes of one caller, share less than 0.9.
Nothing here depends on Python's hash.
"""

import hashlib
import importlib
import json
import re
import zlib
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple, cast

import numpy as np
import numpy.typing as npt

from t2t.records import Arguments, Task
from t2t.report.text import words

NUM_PERM = 240
"""Values of a MinHash signature; bands of 2 to 30 rows divide it."""

_CATALOGUE = frozenset(
    "product item flight plan slot book branch service device clinician pharmacy practice payee".split()
)
"""Nouns of ids that name what many callers ask for, not whose matter it is."""

_EMAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_DIGITS = re.compile(r"[^ \n]*\d[^ \n]*")
_MIN_PAIRS = 8
"""An evaluation task of fewer word pairs is known by its whole text alone."""

_Hashes = npt.NDArray[np.uint32]


class WordPrint(NamedTuple):
    """The words of some texts, so far as near texts are found by them; about 1 KB, the same in every process."""

    signature: bytes
    """MinHash of the word pairs, `NUM_PERM` numbers of 16 bits."""
    pairs: bytes
    """The word pairs as hashes of 32 bits, ascending, each once."""


class Print(NamedTuple):
    """What of a task is compared with other tasks; about 1 KB, the same in every process."""

    exact: int
    """Digest of the texts and of the reference calls, 64 bits."""
    text: int
    """Digest of the texts that the caller sees, 64 bits; case, punctuation and line ends do not count."""
    structure: int
    """Digest of domain, intent, call skeleton and what the caller says unasked, their values masked; 64 bits."""
    words: WordPrint
    """The word pairs of the texts."""
    identifiers: tuple[str, ...]
    """E-mail addresses in lower case, and ids of callers and their matters as ``scope:id``; sorted."""


def print_of(task: Task, domain_scope: str) -> Print:
    """Take the print of a task.

    Args:
        task: The task.
        domain_scope: Where its ids mean something, such as ``retail/0/200/train`` for data that is generated for
            each split, without a colon; empty where they mean the same everywhere, as tau2's do. E-mail addresses
            always do.
    """
    fields = list(_texts(task))
    tokens = [words(text) for text in fields]
    plain = "\n".join(" ".join(field) for field in tokens)
    calls = [(call.requestor, call.name, call.arguments) for call in task.expectation.calls]
    return Print(
        exact=_digest(plain.encode() + b"\0" + json.dumps(calls, sort_keys=True).encode()),
        text=_digest(plain.encode()),
        structure=_digest(f"{task.domain}\0{task.intent}\0{_skeleton(task)}\0{_masked(task)}".encode()),
        words=_word_print(tokens),
        identifiers=tuple(sorted(_identifiers(task, fields, domain_scope))),
    )


def word_print(texts: Iterable[str]) -> WordPrint:
    """Take the print of texts; a pair of words lies within one text."""
    return _word_print([words(text) for text in texts])


class Duplicates:
    """The tasks of a run, so far as a new one could repeat them."""

    def __init__(self, threshold: float, per_structure: int):
        """Begin with none.

        Args:
            threshold: Jaccard similarity of the word pairs from which a task counts as said already, in (0, 1].
            per_structure: Tasks that may differ in nothing but ids, names and values; 0 is no bound.
        """
        self._per_structure = per_structure
        self._exact: set[int] = set()
        self._structures: dict[int, int] = {}
        self._words = NearWords(threshold)

    def find(self, imprint: Print) -> str:
        """Why the task would be one too many, or empty: the same, near in words, or of a structure seen enough."""
        if imprint.exact in self._exact:
            return "exact duplicate"
        if self._words.holds_near(imprint.words):
            return "near-duplicate in words"
        seen = self._structures.get(imprint.structure, 0)
        if self._per_structure and seen >= self._per_structure:
            return f"structure seen {seen} times"
        return ""

    def add(self, imprint: Print) -> None:
        """Count the task among those of the run."""
        self._exact.add(imprint.exact)
        self._structures[imprint.structure] = self._structures.get(imprint.structure, 0) + 1
        self._words.add(imprint.words)


class Contamination:
    """What no training task may repeat: evaluation tasks, and tau2's human-written tasks."""

    def __init__(self, threshold: float):
        """Begin with tau2's tasks.

        Args:
            threshold: Jaccard similarity of the word pairs from which a task repeats an evaluation task, and share
                of the words in which one of tau2's tasks states its matter from which a task repeats that, in (0, 1].
        """
        from t2t.interop.tau2.fingerprint import load_fingerprint

        tau2 = load_fingerprint()
        self._threshold = threshold
        self._texts = set(tau2.texts)
        self._identifiers = set(tau2.identifiers)
        self._passages: list[_Hashes] = [np.frombuffer(pairs, dtype="<u4") for pairs in tau2.pairs]
        self._num_tau2 = len(self._passages)
        self._holders: dict[int, list[int]] = {}

    def add_task(self, imprint: Print) -> None:
        """Add an evaluation task; add them all before the first `find`."""
        self._texts.add(imprint.text)
        self._identifiers.update(identifier_digest(identifier) for identifier in imprint.identifiers)
        pairs: _Hashes = np.frombuffer(imprint.words.pairs, dtype="<u4")
        if len(pairs) >= _MIN_PAIRS:
            self._passages.append(pairs)
            self._holders.clear()

    def find(self, imprint: Print) -> str:
        """What of an evaluation task the task repeats: its text, its words, or an identifier; empty for nothing."""
        if imprint.text in self._texts:
            return "same text as an evaluation task"
        if self._holds_words(np.frombuffer(imprint.words.pairs, dtype="<u4")):
            return "words of an evaluation task"
        for identifier in imprint.identifiers:
            if identifier_digest(identifier) in self._identifiers:
                return f"identifier {identifier.partition(':')[2] or identifier} of an evaluation task"
        return ""

    def _holds_words(self, pairs: _Hashes) -> bool:
        if not self._holders:
            self._file()
        numbers = {number for pair in pairs.tolist() for number in self._holders.get(pair, ())}
        for number in numbers:
            passage = self._passages[number]
            common = _common(pairs, passage)
            of = len(passage) if number < self._num_tau2 else len(pairs) + len(passage) - common
            if _reaches(common, of, self._threshold):
                return True
        return False

    def _file(self) -> None:
        """File each passage under its rarest pairs, so many that who holds none of them holds too little of it."""
        values, counts = np.unique(np.concatenate(self._passages), return_counts=True)
        for number, passage in enumerate(self._passages):
            rarest = passage[np.argsort(counts[np.searchsorted(values, passage)], kind="stable")]
            spare = int((1 - self._threshold) * len(passage) + 1e-9)
            for pair in rarest[: spare + 1].tolist():
                self._holders.setdefault(pair, []).append(number)


def identifier_digest(identifier: str) -> int:
    """The first 64 bits of the SHA-256 of an identifier of a `Print`."""
    return int.from_bytes(hashlib.sha256(identifier.encode()).digest()[:8], "little")


class NearWords:
    """Sets of word pairs; finds those near to a set by bands of their MinHash, and compares these exactly.

    A band is filed under its hash in a table of chains: `_heads` holds the newest set of a slot plus one,
    `_older` for each set and band the one before it. About 600 bytes a set of 75 pairs.
    """

    def __init__(self, threshold: float):
        """Begin with none; the threshold is a Jaccard similarity of word pairs in (0, 1]."""
        self._threshold = threshold
        self._num_bands = NUM_PERM // _rows_per_band(threshold)
        self._bands = np.arange(self._num_bands)
        rng = np.random.default_rng(0)
        self._factors = rng.integers(1, 2**63, size=NUM_PERM // self._num_bands, dtype=np.uint64) | np.uint64(1)
        self._count = 0
        self._keys = np.empty((64, self._num_bands), np.uint32)
        self._older = np.empty((64, self._num_bands), np.uint32)
        self._heads = np.zeros((self._num_bands, 64), np.uint32)
        self._ends = np.zeros(65, np.uint64)
        self._pairs: _Hashes = np.empty(4096, np.uint32)

    def add(self, imprint: WordPrint) -> None:
        """Add a set."""
        number, pairs = self._count, np.frombuffer(imprint.pairs, dtype="<u4")
        begin = int(self._ends[number])
        self._keys = _grown(self._keys, number + 1)
        self._older = _grown(self._older, number + 1)
        self._ends = _grown(self._ends, number + 2)
        self._pairs = _grown(self._pairs, begin + len(pairs))
        self._pairs[begin : begin + len(pairs)] = pairs
        self._ends[number + 1] = begin + len(pairs)
        self._keys[number] = self._keys_of(imprint)
        self._count += 1
        if self._count > self._heads.shape[1]:
            self._rebuild()
        else:
            self._chain(number)

    def holds_near(self, imprint: WordPrint) -> bool:
        """Whether a set was added whose Jaccard similarity reaches the threshold."""
        pairs = np.frombuffer(imprint.pairs, dtype="<u4")
        return any(self._near(pairs, number) for number in self._candidates(self._keys_of(imprint)))

    def _near(self, pairs: _Hashes, number: int) -> bool:
        other = self._pairs[int(self._ends[number]) : int(self._ends[number + 1])]
        common = _common(pairs, other)
        return _reaches(common, len(pairs) + len(other) - common, self._threshold)

    def _candidates(self, keys: _Hashes) -> Iterator[int]:
        """Sets that share a band, newest first in each chain, each once."""
        bands, seen = self._bands, set[int]()
        links = self._heads[bands, keys & np.uint32(self._heads.shape[1] - 1)]
        while True:
            linked = links > 0
            if not linked.any():
                return
            bands, numbers = bands[linked], links[linked] - 1
            same = self._keys[numbers, bands] == keys[bands]
            for number in numbers[same].tolist():
                if number not in seen:
                    seen.add(number)
                    yield number
            links = self._older[numbers, bands]

    def _keys_of(self, imprint: WordPrint) -> _Hashes:
        rows = np.frombuffer(imprint.signature, dtype="<u2").reshape(self._num_bands, -1).astype(np.uint64)
        return ((rows * self._factors).sum(axis=1) >> np.uint64(32)).astype(np.uint32)

    def _chain(self, number: int) -> None:
        slots = self._keys[number] & np.uint32(self._heads.shape[1] - 1)
        self._older[number] = self._heads[self._bands, slots]
        self._heads[self._bands, slots] = number + 1

    def _rebuild(self) -> None:
        """Double the slots, so that chains stay about as long as what is alike."""
        self._heads = np.zeros((self._num_bands, 2 * self._heads.shape[1]), np.uint32)
        for band in range(self._num_bands):
            slots = self._keys[: self._count, band] & np.uint32(self._heads.shape[1] - 1)
            order = np.argsort(slots, kind="stable").astype(np.uint32)
            ordered = slots[order]
            first = np.append(True, ordered[1:] != ordered[:-1])
            self._older[order, band] = np.where(first, 0, np.roll(order, 1) + np.uint32(1))
            last = np.append(ordered[1:] != ordered[:-1], True)
            self._heads[band, ordered[last]] = order[last] + np.uint32(1)


def _rows_per_band(threshold: float) -> int:
    """The longest bands by which 99 in 100 sets as near as the threshold are found: 12 rows for 0.9."""
    return max(
        rows
        for rows in (1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 16, 20, 24, 30)
        if rows == 1 or 1 - (1 - threshold**rows) ** (NUM_PERM // rows) >= 0.99
    )


def _reaches(common: int, of: int, threshold: float) -> bool:
    """Whether the share reaches the threshold, whatever the rounding of their product."""
    return common > 0 and common >= threshold * of - 1e-9


def _common(some: _Hashes, others: _Hashes) -> int:
    return len(np.intersect1d(some, others, assume_unique=True))


def _grown(array: npt.NDArray[Any], length: int) -> npt.NDArray[Any]:
    """The array, by a quarter longer if it is shorter than `length`."""
    if length <= len(array):
        return array
    longer = np.empty((max(length, len(array) + len(array) // 4), *array.shape[1:]), array.dtype)
    longer[: len(array)] = array
    return longer


def _texts(task: Task) -> Iterator[str]:
    """The texts that the caller sees, in a fixed order; the persona is a manner, not a matter."""
    scenario = task.scenario
    yield from (scenario.opening, scenario.reason_for_call, scenario.known_info, scenario.task_instructions)
    yield from (fact.answer for fact in scenario.facts)
    yield from (action.answer for action in scenario.actions)
    for change in scenario.changes:
        yield change.text
        yield from (fact.answer for fact in change.facts)


def _pairs(tokens: list[str]) -> list[str]:
    return [f"{one} {two}" for one, two in pairwise(tokens)] or tokens


def _word_print(tokens: Iterable[list[str]]) -> WordPrint:
    shingles = {pair for field in tokens for pair in _pairs(field)}
    pairs = np.array(sorted({zlib.crc32(pair.encode()) for pair in shingles}), dtype="<u4")
    return WordPrint(_signature(shingles), pairs.tobytes())


def _signature(shingles: set[str]) -> bytes:
    rensa: Any = importlib.import_module("rensa")
    minhash = rensa.RMinHash(NUM_PERM, 0)
    minhash.update(list(shingles))
    return np.array(minhash.digest(), dtype="<u4").astype("<u2").tobytes()


def _digest(data: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little")


def _skeleton(task: Task) -> str:
    """Names of the calls and of their arguments, with a number for each value: equal values have equal numbers."""
    numbers: dict[str, int] = {}

    def number(value: object) -> str:
        if isinstance(value, list):
            return f"[{','.join(number(item) for item in cast(list[object], value))}]"
        return str(numbers.setdefault(str(value), len(numbers)))

    return ";".join(
        " ".join(
            [call.requestor, call.name, *(f"{name}={number(call.arguments[name])}" for name in sorted(call.arguments))]
        )
        for call in task.expectation.calls
    )


def _masked(task: Task) -> str:
    """What the caller says unasked, without the values of facts, slots and arguments, and without numbers."""
    scenario, expectation = task.scenario, task.expectation
    values = [fact.value for fact in scenario.facts]
    values += [fact.value for change in scenario.changes for fact in change.facts]
    values += [value for wish in (*expectation.wishes, *expectation.earlier) for value in wish.slots.values()]
    values += [value for call in expectation.calls for value in call.arguments.values() if isinstance(value, str)]
    said = (scenario.opening, *(change.text for change in scenario.changes))
    text = "".join(f" {' '.join(words(one))} \n" for one in said)
    for phrase in sorted({" ".join(words(value)) for value in {*values}} - {""}, key=lambda one: (-len(one), one)):
        text = text.replace(f" {phrase} ", " _ ")
    return _DIGITS.sub("0", text)


def _identifiers(task: Task, texts: list[str], scope: str) -> set[str]:
    expectation = task.expectation
    arguments: list[Arguments] = [
        *(call.arguments for call in expectation.calls),
        *(wish.arguments for wish in (*expectation.wishes, *expectation.earlier)),
        *(pattern.arguments for pattern in expectation.forbidden),
    ]
    found = {f"{scope}:{expectation.caller.lstrip('#')}"} if expectation.caller else set[str]()
    for own in arguments:
        for name, value in own.items():
            for item in value if isinstance(value, list) else (value,):
                if not isinstance(item, str | int) or isinstance(item, bool):
                    continue
                if isinstance(item, str) and "@" in item:
                    found.update(address.lower() for address in _EMAIL.findall(item))
                elif _names_a_matter(name):
                    found.add(f"{scope}:{str(item).lstrip('#')}")
    found.update(address.lower() for text in {*texts} if "@" in text for address in _EMAIL.findall(text))
    return found


@lru_cache(maxsize=1024)
def _names_a_matter(argument: str) -> bool:
    """Whether an argument of this name holds the id of a caller or of something of theirs."""
    *nouns, last = argument.lower().split("_")
    return last in ("id", "ids") and not _CATALOGUE.intersection(nouns)
