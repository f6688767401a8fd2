"""A planted give-away is found, and where there is none nothing is found."""

import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from t2t.interop.tau2.fingerprint import Figures, count_tasks
from t2t.records import Intent, Task, ToolCall
from t2t.report.artifacts import ArtifactFigures, Distance, Reservoir, Telling, measure

WRITE_TOOLS = {"library": {"renew_loan", "reserve_book"}, "retail": {"cancel_order", "renew_loan"}}

PLAIN = "hello i would like to see about my book loan order please thanks today soon maybe title card".split()


@pytest.fixture
def make_sample(make_task: Callable[..., Task]) -> Callable[..., list[Task]]:
    """Tasks whose opening is ten plain words; `word` adds one by intent."""

    def make(num: int, domain: str = "library", word: dict[Intent, str] | None = None, per_walk: int = 1) -> list[Task]:
        rng = random.Random(domain)
        tasks: list[Task] = []
        for number in range(num):
            task = make_task(domain, number)
            opening = " ".join(rng.choices(PLAIN, k=10)) + " " + (word or {}).get(task.intent, "")
            scenario = task.scenario.model_copy(update={"opening": opening})
            walk = f"{domain}-{number // per_walk}"
            tasks.append(task.model_copy(update={"scenario": scenario, "trajectory": walk}))
        return tasks

    return make


def telling(figures: ArtifactFigures, target: str, domain: str = "all") -> Telling:
    return next(row for row in figures.telling if (row.target, row.domain) == (target, domain))


def test_a_word_that_gives_an_intent_away_is_found_and_named(make_sample):
    tasks = make_sample(400, word={Intent.INFEASIBLE: "unfortunately"})
    row = telling(measure(tasks, WRITE_TOOLS, {}), "intent")
    # One intent in four is known for sure, the rest is a guess among three.
    assert row.low > row.baseline_high
    assert 0.4 < row.accuracy < 0.65
    assert row.baseline == 0.25
    assert row.words["infeasible"][0] == "unfortunately"
    assert all("unfortunately" not in row.words[name] for name in ("general", "ambiguous", "changing"))


def test_words_that_say_all_tell_all(make_sample):
    tasks = make_sample(200, word={intent: f"sign{intent.value}" for intent in Intent})
    row = telling(measure(tasks, WRITE_TOOLS, {}), "intent")
    assert row.accuracy == 1.0
    assert {intent: found[0] for intent, found in row.words.items()} == {i.value: f"sign{i.value}" for i in Intent}


def test_openings_without_a_cue_tell_no_more_than_chance(make_sample):
    row = telling(measure(make_sample(600), WRITE_TOOLS, {}), "intent")
    assert row.low <= row.baseline
    assert row.low <= row.accuracy <= row.high < 0.35


def test_tasks_of_one_walk_are_never_on_both_sides(make_sample):
    """Each walk has a word of its own and one intent; only a model that has seen the walk can tell it."""
    tasks = make_sample(400, per_walk=8)
    marked: list[Task] = []
    for task in tasks:
        opening = f"{task.scenario.opening} {'walk' + task.trajectory.replace('-', '')} "
        intent = tuple(Intent)[sum(map(ord, task.trajectory)) % 4]
        scenario = task.scenario.model_copy(update={"opening": opening * 5})
        marked.append(task.model_copy(update={"scenario": scenario, "intent": intent}))
    grouped = telling(measure(marked, WRITE_TOOLS, {}), "intent")
    apart = [task.model_copy(update={"trajectory": task.id}) for task in marked]
    assert grouped.accuracy < 0.45
    assert telling(measure(apart, WRITE_TOOLS, {}), "intent").accuracy > 0.95


def with_calls(task: Task, names: tuple[str, ...]) -> Task:
    calls = tuple(ToolCall(id=f"c{number}", name=name, arguments={}) for number, name in enumerate(names))
    return task.model_copy(update={"expectation": task.expectation.model_copy(update={"calls": calls})})


def test_write_tools_are_told_as_sets(make_sample):
    sets = [("reserve_book",), ("renew_loan", "reserve_book"), ("reserve_book", "renew_loan", "renew_loan"), ()]
    signs = ["one", "both", "both", "none"]
    tasks: list[Task] = []
    for number, task in enumerate(make_sample(400)):
        scenario = task.scenario.model_copy(update={"opening": f"{task.scenario.opening} {signs[number % 4]}"})
        task = task.model_copy(update={"scenario": scenario})
        tasks.append(with_calls(task, ("find_member", *sets[number % 4])))
    row = telling(measure(tasks, WRITE_TOOLS, {}), "write tools")
    assert (row.num_classes, row.baseline, row.words) == (3, 0.5, {})
    assert row.accuracy > 0.98


def test_sets_of_tools_that_hardly_any_walk_has_are_one_class(make_sample):
    names = ["renew_loan"] * 94 + ["reserve_book"] * 4 + ["find_member"] * 2
    tasks = [with_calls(task, (name,)) for task, name in zip(make_sample(100), names, strict=True)]
    row = telling(measure(tasks, WRITE_TOOLS, {}), "write tools")
    assert (row.num_classes, row.baseline) == (2, 0.94)


def test_each_domain_has_its_own_figures_beside_those_of_all(make_sample):
    tasks = make_sample(80, word={Intent.GENERAL: "clearly"}) + make_sample(80, "retail")
    figures = measure(tasks, WRITE_TOOLS, {})
    places = [(row.target, row.domain, row.num_tasks) for row in figures.telling]
    sizes = [("all", 160), ("library", 80), ("retail", 80)]
    assert places == [(target, *size) for target in ("intent", "write tools") for size in sizes]
    assert telling(figures, "intent", "library").words["general"][0] == "clearly"
    assert all("clearly" not in found for found in telling(figures, "intent", "retail").words.values())


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda tasks: tasks[:49], "49 tasks are fewer than 50"),
        (lambda tasks: [], "0 tasks are fewer than 50"),
        (lambda tasks: [t.model_copy(update={"intent": Intent.CHANGING}) for t in tasks], "the same intent: changing"),
        (lambda tasks: [t.model_copy(update={"trajectory": "one"}) for t in tasks], "fewer than 5 trajectories"),
        (
            lambda tasks: [
                t.model_copy(update={"scenario": t.scenario.model_copy(update={"opening": f"w{n}"})})
                for n, t in enumerate(tasks)
            ],
            "no two openings share a word",
        ),
    ],
    ids=["few", "none", "one intent", "one walk", "no words"],
)
def test_what_cannot_be_measured_says_why(make_sample, change, reason):
    row = telling(measure(change(make_sample(100)), WRITE_TOOLS, {}), "intent")
    assert reason in row.not_measured
    assert row.num_classes == 0


def test_the_order_of_the_sample_changes_nothing(make_sample):
    tasks = make_sample(120, word={Intent.CHANGING: "first"}) + make_sample(60, "retail")
    figures = measure(tasks, WRITE_TOOLS)
    assert measure(tasks[::-1], WRITE_TOOLS) == figures
    assert ArtifactFigures.model_validate_json(figures.model_dump_json()) == figures


def distances(figures: ArtifactFigures) -> dict[str, Distance]:
    return {row.measure: row for row in figures.distances}


def test_distances_are_zero_to_oneself_and_grow_with_what_differs(make_sample):
    tasks = make_sample(20, "retail")
    same = count_tasks(tasks)
    assert {row.distance for row in measure(tasks, WRITE_TOOLS, {"retail": same}).distances} == {0.0}
    other = same.model_copy(
        update={
            "words": {words + 7: count for words, count in same.words.items()},
            "calls": {calls + 2: count for calls, count in same.calls.items()},
            "tools": {"a": 5, "b": 5, "c": 5},
            "readability": {3 + level: count for level, count in same.readability.items()},
            "vocabulary": {"else": 3},
        }
    )
    rows = distances(measure(tasks, WRITE_TOOLS, {"retail": other, "airline": same}))
    assert {name: row.distance for name, row in rows.items()} == {
        "words": 7.0,
        "calls": 2.0,
        "tools": 2.0,
        "reading level": 3.0,
        "vocabulary": 1.0,
    }
    assert {name: row.among_humans for name, row in rows.items()} == {name: row.distance for name, row in rows.items()}
    assert (rows["tools"].ours, rows["tools"].human) == (1.0, 3.0)
    assert rows["calls"].human == rows["calls"].ours + 2 == 3.0


def test_domains_are_compared_with_tau2s_tasks_about_the_same_matter(make_task):
    tasks = [make_task(domain, number) for domain in ("retail", "tau2.retail", "library") for number in range(4)]
    figures = measure(tasks, {**WRITE_TOOLS, "tau2.retail": set()})
    assert {row.domain for row in figures.distances} == {"retail", "tau2.retail"}
    assert figures.not_compared == {"library": "tau2 has no human-written tasks about library"}
    assert all(row.among_humans is not None and row.among_humans > 0 for row in figures.distances)


def test_words_with_digits_are_no_vocabulary(make_task):
    figures: Figures = count_tasks([make_task("retail", 0, text="W0001234 4th order")])
    assert "order" in figures.vocabulary
    assert not any(any(c.isdigit() for c in word) for word in figures.vocabulary)


@given(st.integers(1, 20), st.integers(0, 60), st.integers(0, 5))
def test_a_reservoir_holds_items_of_the_stream_each_once(size, length, seed):
    first, second = Reservoir[int](size, seed), Reservoir[int](size, seed)
    for item in range(length):
        first.add(item)
        second.add(item)
    assert first.items == second.items
    assert len(set(first.items)) == len(first.items) == min(size, length)
    assert set(first.items) <= set(range(length))


def test_a_reservoir_prefers_no_part_of_the_stream():
    held = [0] * 50
    for seed in range(2000):
        sample = Reservoir[int](10, seed)
        for item in range(50):
            sample.add(item)
        for item in sample.items:
            held[item] += 1
    # Each is expected 400 times with a deviation of 18.
    assert all(310 < count < 490 for count in held)
