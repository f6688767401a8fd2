"""What gives a task away, and how far it is from one that a person wrote.

Two questions about a sample of tasks. How well do the words of the opening alone tell the intent, and the
tools that will write? And how far are length, vocabulary, tools and reading level from those of tau2's
human-written tasks, whose counts (never their texts) stand in a fingerprint?
"""

import random
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from math import exp, log
from statistics import fmean
from typing import Any, Generic, Literal, TypeVar, cast

from pydantic import Field

from t2t.interop.tau2.fingerprint import Figures, count_tasks, load_fingerprint
from t2t.records import Record, Task
from t2t.report.export import WriteTools, write_names
from t2t.report.statistics import success_share
from t2t.report.text import words

T = TypeVar("T")

Target = Literal["intent", "write tools"]
"""What the opening is asked to tell: the intent, or the set of tools of the reference that write."""

ALL = "all"
"""Stands for every domain together."""

SAMPLE_SIZE = 4000
"""Tasks that `measure` should get at most; of six domains they take about ten seconds."""

_NUM_FOLDS = 5
_MIN_TASKS = 50
_MIN_WALKS_PER_SET = 5
_NUM_WORDS_SHOWN = 5
_MIN_OPENINGS = 5
_MIN_SHARE = 0.005


class Reservoir(Generic[T]):
    """A uniform sample of a stream of unknown length.

    Source: Vitter 1985, algorithm R.
    """

    def __init__(self, size: int, seed: int) -> None:
        """Hold at most `size` items; equal seeds and streams give equal samples."""
        self._size = size
        self._rng = random.Random(f"reservoir/{seed}")
        self._seen = 0
        self.items: list[T] = []
        """The sample of what was added so far."""

    def add(self, item: T) -> None:
        """Take the item in, in place of another one or not at all."""
        self._seen += 1
        if len(self.items) < self._size:
            self.items.append(item)
        elif (place := self._rng.randrange(self._seen)) < self._size:
            self.items[place] = item


class Telling(Record):
    """How well a bag of words of the opening tells something, in five folds over trajectories."""

    domain: str
    """Domain name, or ``all`` for one model over all domains."""
    target: Target
    """What is told."""
    num_tasks: int
    """Tasks in the sample."""
    num_classes: int = 0
    """Classes to choose from."""
    accuracy: float = 0.0
    """Share told right, every trajectory weighing the same, in [0, 1]."""
    low: float = 0.0
    """Lower end of its 95 % interval."""
    high: float = 0.0
    """Upper end of its 95 % interval."""
    baseline: float = 0.0
    """Share told right by always naming the most frequent class, weighed in the same way."""
    baseline_low: float = 0.0
    """Lower end of its 95 % interval."""
    baseline_high: float = 0.0
    """Upper end of its 95 % interval."""
    words: dict[str, tuple[str, ...]] = Field(default_factory=dict[str, tuple[str, ...]])
    """Words that speak most for each intent, strongest first; only where the intent is told."""
    not_measured: str = ""
    """Why there are no figures; empty where there are."""


Measure = Literal["words", "calls", "tools", "reading level", "vocabulary"]
"""What is compared: words of a scenario, reference calls, how many tools they spread over, automated readability
index, frequencies of words."""


class Distance(Record):
    """One property of the tasks of a domain beside that of tau2's human-written ones."""

    domain: str
    """Domain name."""
    measure: Measure
    """The property."""
    ours: float
    """Mean over our tasks; for tools and vocabulary the number of equally frequent ones that would spread as wide."""
    human: float
    """The same of the human-written tasks."""
    distance: float
    """Wasserstein distance in the unit of the mean; of the tools' spreads the difference; for the vocabulary the
    Jensen-Shannon distance in [0, 1]."""
    among_humans: float | None
    """Mean of the same distance from this to tau2's other domains: what another subject alone makes."""


class ArtifactFigures(Record):
    """All that was measured on a sample."""

    num_tasks: int
    """Tasks in the sample."""
    telling: tuple[Telling, ...]
    """By target, all domains first."""
    distances: tuple[Distance, ...]
    """By domain and measure."""
    not_compared: dict[str, str] = Field(default_factory=dict[str, str])
    """Why a domain has no distances, by its name."""


def measure(
    tasks: Sequence[Task], write_tools: WriteTools, human: Mapping[str, Figures] | None = None
) -> ArtifactFigures:
    """Measure a sample of tasks; see `Reservoir` for drawing one.

    Args:
        tasks: the sample, of any number of domains and in any order.
        write_tools: tools that may change the database, by domain.
        human: figures of human-written tasks by family, such as ``retail``; tau2's by default. Domains are
            compared with the family of their name, a prefix such as ``tau2.`` left out.

    Raises:
        RunError: the tools of some task's domain are not given.
    """
    human = load_fingerprint().figures if human is None else human
    domains = sorted({task.domain for task in tasks})
    ordered = sorted(tasks, key=lambda task: task.id)
    by_domain = {domain: [task for task in ordered if task.domain == domain] for domain in domains}
    groups = {ALL: ordered, **(by_domain if len(domains) > 1 else {})}
    not_compared = {
        domain: f"tau2 has no human-written tasks about {_family(domain)}"
        for domain in domains
        if _family(domain) not in human
    }
    return ArtifactFigures(
        num_tasks=len(ordered),
        telling=tuple(
            _tell(domain, target, chosen, write_tools)
            for target in ("intent", "write tools")
            for domain, chosen in groups.items()
        ),
        distances=tuple(
            row
            for domain in domains
            if domain not in not_compared
            for row in _distances(domain, count_tasks(by_domain[domain]), human)
        ),
        not_compared=not_compared,
    )


def _tell(domain: str, target: Target, tasks: Sequence[Task], write_tools: WriteTools) -> Telling:
    if len(tasks) < _MIN_TASKS:
        reason = f"{len(tasks)} tasks are fewer than {_MIN_TASKS}"
        return Telling(domain=domain, target=target, num_tasks=len(tasks), not_measured=reason)
    walks = [f"{task.domain}/{task.trajectory or task.id}" for task in tasks]
    labels = [task.intent.value for task in tasks] if target == "intent" else _write_sets(tasks, walks, write_tools)
    if len(set(labels)) < 2:
        reason = f"all tasks have the same {target}: {labels[0]}"
        return Telling(domain=domain, target=target, num_tasks=len(tasks), not_measured=reason)
    if len(set(walks)) < _NUM_FOLDS:
        reason = f"the tasks come from fewer than {_NUM_FOLDS} trajectories"
        return Telling(domain=domain, target=target, num_tasks=len(tasks), not_measured=reason)
    return _cross_validate(domain, target, [task.scenario.opening for task in tasks], labels, walks)


def _write_sets(tasks: Sequence[Task], walks: Sequence[str], write_tools: WriteTools) -> list[str]:
    """The set of writing tools of each task as one text; sets of fewer than five trajectories are one class."""
    sets = [" + ".join(sorted(set(write_names(task, write_tools)))) or "none" for task in tasks]
    walks_of = Counter(label for label, _ in set(zip(sets, walks, strict=True)))
    return [label if walks_of[label] >= _MIN_WALKS_PER_SET else "rare" for label in sets]


def _cross_validate(
    domain: str, target: Target, openings: Sequence[str], labels: Sequence[str], walks: Sequence[str]
) -> Telling:
    import numpy as np
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.model_selection import GroupKFold

    # A word that one task alone has can tell nothing about another.
    vectorizer: Any = CountVectorizer(analyzer=cast(Any, words), min_df=2)
    try:
        counts: Any = vectorizer.fit_transform(openings).astype(np.float64)
    except ValueError:
        reason = "no two openings share a word"
        return Telling(domain=domain, target=target, num_tasks=len(labels), not_measured=reason)
    truth = np.asarray(labels)
    guesses = np.empty_like(truth)
    folds = GroupKFold(n_splits=_NUM_FOLDS, shuffle=True, random_state=0)
    for fitted, held_out in folds.split(counts, truth, walks):
        guesses[held_out] = _fit(counts[fitted], truth[fitted]).predict(counts[held_out])
    most_frequent = min(Counter(labels).items(), key=lambda item: (-item[1], item[0]))[0]
    right: defaultdict[str, list[bool]] = defaultdict(list)
    named: defaultdict[str, list[bool]] = defaultdict(list)
    for walk, label, guess in zip(walks, labels, guesses.tolist(), strict=True):
        right[walk].append(label == guess)
        named[walk].append(label == most_frequent)
    accuracy, baseline = success_share(list(right.values())), success_share(list(named.values()))
    telling: dict[str, tuple[str, ...]] = {}
    if target == "intent":
        told_by = np.asarray((counts > 0).sum(axis=0)).ravel() >= max(_MIN_OPENINGS, _MIN_SHARE * len(labels))
        telling = _strongest(_fit(counts, truth), vectorizer.get_feature_names_out().tolist(), told_by.tolist())
    return Telling(
        domain=domain,
        target=target,
        num_tasks=len(labels),
        num_classes=len(set(labels)),
        accuracy=round(accuracy.value, 4),
        low=round(accuracy.low, 4),
        high=round(accuracy.high, 4),
        baseline=round(baseline.value, 4),
        baseline_low=round(baseline.low, 4),
        baseline_high=round(baseline.high, 4),
        words=telling,
    )


def _fit(counts: Any, truth: Any) -> Any:
    """A model of the labels; where there is one label only, one that always names it."""
    import warnings

    from sklearn.dummy import DummyClassifier
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    if len(set(truth.tolist())) == 1:
        return DummyClassifier().fit(counts, truth)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        # Ten times as fast as the default over some dozens of tool sets, and as accurate.
        return LogisticRegression(solver="newton-cg", tol=1e-2, max_iter=50).fit(counts, truth)


def _strongest(model: Any, names: Sequence[str], shown: Sequence[bool]) -> dict[str, tuple[str, ...]]:
    """Words by class whose coefficients are largest, of those `shown`; only such that speak for the class."""
    rows = model.coef_.tolist()
    if len(rows) == 1:
        rows = [[-value for value in rows[0]], rows[0]]
    found: dict[str, tuple[str, ...]] = {}
    for label, row in zip(model.classes_.tolist(), rows, strict=True):
        ranked = sorted((-round(value, 4), name) for value, name, show in zip(row, names, shown, strict=True) if show)
        found[label] = tuple(name for value, name in ranked if value < 0)[:_NUM_WORDS_SHOWN]
    return found


def _family(domain: str) -> str:
    return domain.rpartition(".")[2]


def _distances(domain: str, ours: Figures, human: Mapping[str, Figures]) -> list[Distance]:
    theirs = human[_family(domain)]
    others = [figures for family, figures in human.items() if family != _family(domain)]

    def compared(measure: Measure, mean: Callable[[Figures], float], distance: Callable[[Figures], float]) -> Distance:
        return Distance(
            domain=domain,
            measure=measure,
            ours=round(mean(ours), 2),
            human=round(mean(theirs), 2),
            distance=round(distance(ours), 3),
            among_humans=round(fmean(map(distance, others)), 3) if others else None,
        )

    return [
        compared("words", lambda f: _mean(f.words), lambda f: _wasserstein(f.words, theirs.words)),
        compared("calls", lambda f: _mean(f.calls), lambda f: _wasserstein(f.calls, theirs.calls)),
        compared("tools", lambda f: _spread(f.tools), lambda f: abs(_spread(f.tools) - _spread(theirs.tools))),
        compared(
            "reading level", lambda f: _mean(f.readability), lambda f: _wasserstein(f.readability, theirs.readability)
        ),
        compared(
            "vocabulary", lambda f: _spread(f.vocabulary), lambda f: _jensen_shannon(f.vocabulary, theirs.vocabulary)
        ),
    ]


def _mean(histogram: Mapping[int, int]) -> float:
    return sum(value * count for value, count in histogram.items()) / sum(histogram.values())


def _spread(uses: Mapping[str, int]) -> float:
    """How many names, all used equally often, would be as hard to foresee as these; 0.0 where none is used."""
    total = sum(uses.values())
    return exp(-sum(count / total * log(count / total) for count in uses.values() if count)) if total else 0.0


def _wasserstein(a: Mapping[int, int], b: Mapping[int, int]) -> float:
    from scipy.stats import wasserstein_distance

    return float(wasserstein_distance(list(a), list(b), list(a.values()), list(b.values())))


def _jensen_shannon(a: Mapping[str, int], b: Mapping[str, int]) -> float:
    """Square root of the divergence in bits: 0 for equal shares of all words, 1 for no word in common."""
    from scipy.spatial.distance import jensenshannon

    if not a or not b:
        return 0.0 if a == b else 1.0
    names = sorted(a.keys() | b.keys())
    return float(jensenshannon([a.get(name, 0) for name in names], [b.get(name, 0) for name in names], base=2))
