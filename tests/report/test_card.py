"""The card holds every count, and no text in it can break its tables."""

import io
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from rich.console import Console

from t2t.records import Fact, Intent, Refusal, Task, ToolCall, Validation
from t2t.report.artifacts import ArtifactFigures, measure
from t2t.report.card import CardFacts, controls_table, write_card
from t2t.report.content import FunnelStep

WRITE_TOOLS = {"library": {"renew_loan"}, "retail": {"cancel_order"}}

AWKWARD = "a|b `c` ``d`` *e* [f](g) <b>h</b> \\| \\ & # $x$\n\n# no heading\n- no list\n| no | table |\n```\n\x00\u202e"


def validate(task: Task, **controls: tuple[int, int]) -> Validation:
    return Validation(id=task.id, domain=task.domain, intent=task.intent, checks={}, controls=controls)


def read_tables(markdown: str) -> dict[str, list[list[str]]]:
    """Tables as a Markdown reader sees them, cells by row, by the heading above."""
    body = markdown.split("\n---\n", 1)[1]
    tables: dict[str, list[list[str]]] = {}
    heading, inside = "", ""
    for token in MarkdownIt("commonmark").enable("table").parse(body):
        if token.type.endswith("_open"):
            inside = token.type
            if token.type == "tr_open":
                tables.setdefault(heading, []).append([])
        elif token.type == "inline":
            children = token.children or []
            text = "".join(child.content for child in children if child.type in ("text", "code_inline", "text_special"))
            if inside == "heading_open":
                heading = text
            elif inside in ("td_open", "th_open"):
                tables[heading][-1].append(text)
    return tables


def write(
    folder: Path,
    tasks: Sequence[tuple[Task, Validation]],
    *,
    name: str = "books",
    funnel: dict[str, list[FunnelStep]] | None = None,
    artifacts: ArtifactFigures | None = None,
    settings: str = "recipe=quickstart seed=3",
) -> str:
    facts = CardFacts(WRITE_TOOLS)
    for task, validation in tasks:
        facts.add(task, validation)
    figures = artifacts or measure([task for task, _ in tasks], WRITE_TOOLS, {})
    write_card(folder, facts, name=name, funnel=funnel or {}, artifacts=figures, settings=settings)
    return (folder / "README.md").read_text(encoding="utf-8")


@pytest.fixture
def tasks(make_task: Callable[..., Task]) -> list[tuple[Task, Validation]]:
    chosen = [
        make_task(domain, number, split=split)
        for domain, split, num in (("library", "train", 11), ("library", "test", 5), ("retail", "test", 3))
        for number in range(num)
    ]
    return [(task, validate(task, reference=(1, 1), do_nothing=(0, 1))) for task in chosen]


def test_the_card_holds_every_count(tmp_path, tasks):
    counted = [
        (
            task.model_copy(
                update={
                    "traits": {
                        "withheld": number % 3,
                        "register": "terse" if number % 2 else "chatty",
                        "when": ["done", "proposal", "done"] if number == 2 else ["done"],
                        **({"twin": True} if number == 3 else {}),
                        **({"clause": "3.2"} if task.intent is Intent.INFEASIBLE else {}),
                        **({"constraint": "loan_is_lost"} if number == 5 else {}),
                    }
                }
            ),
            validation,
        )
        for number, (task, validation) in enumerate(tasks)
    ]
    tables = read_tables(write(tmp_path, counted))
    assert tables["How many"] == [
        ["domain", "split", "general", "ambiguous", "changing", "infeasible", "all"],
        ["library", "train", "3", "3", "3", "2", "11"],
        ["library", "test", "2", "1", "1", "1", "5"],
        ["retail", "test", "1", "1", "1", "0", "3"],
        ["all", "all", "6", "5", "5", "3", "19"],
    ]
    assert tables["By tool"][1:] == [
        ["library", "renew_loan", "yes", "16", "16"],
        ["retail", "renew_loan", "no", "3", "3"],
    ]
    assert tables["By rule and constraint"][1:] == [
        ["library", "clause 3.2", "2", "1"],
        ["library", "constraint loan_is_lost", "1", "0"],
    ]
    assert tables["By trait"][1:] == [
        ["register", '"chatty"', "4", "1", "4", "1", "10"],
        ["register", '"terse"', "2", "4", "1", "2", "9"],
        ["twin", "true", "0", "0", "0", "1", "1"],
        ["when", '"done"', "6", "5", "5", "3", "19"],
        ["when", '"proposal"', "0", "0", "1", "0", "1"],
        *(
            ["withheld", str(n), *(str(c) for c in counts), str(sum(counts))]
            for n, counts in expected_withheld(counted)
        ),
    ]


def expected_withheld(tasks: Sequence[tuple[Task, Validation]]) -> list[tuple[int, list[int]]]:
    counts = [
        (n, [sum(t.intent is intent and t.traits["withheld"] == n for t, _ in tasks) for intent in Intent])
        for n in range(3)
    ]
    return sorted(counts, key=lambda item: (-sum(item[1]), item[0]))


def test_a_trait_of_many_values_shows_the_most_frequent_and_sums_the_rest(tmp_path, tasks, make_task):
    many = []
    for number in range(100):
        task = make_task("library", number).model_copy(update={"traits": {"length": min(number, 98)}})
        many.append((task, validate(task)))
    rows = read_tables(write(tmp_path, many))["By trait"]
    assert rows[1][:2] == ["length", "98"] and rows[1][-1] == "2"
    assert len(rows) == 1 + 40 + 1
    assert rows[-1][:2] == ["length", "59 other values"] and rows[-1][-1] == "59"
    assert sum(int(row[-1]) for row in rows[1:]) == 100


def test_the_table_of_controls_sums_talks_by_intent_and_sets_twins_apart(tmp_path, tasks, make_task):
    twin = make_task("library", 7).model_copy(update={"traits": {"twin": True}})
    played = [
        *tasks,
        (twin, validate(twin, reference=(1, 1), refuse_everything=(0, 1))),
        (make_task("library", 1), validate(make_task("library", 1), other_candidate=(1, 3))),
    ]
    rows = read_tables(write(tmp_path, played))["Who passes"]
    assert rows == [
        ["intent", "reference", "do_nothing", "refuse_everything", "other_candidate"],
        ["general", "6 of 6 (100.0%)", "0 of 6 (0.0%)", "not played", "not played"],
        ["ambiguous", "5 of 5 (100.0%)", "0 of 5 (0.0%)", "not played", "1 of 3 (33.3%)"],
        ["changing", "5 of 5 (100.0%)", "0 of 5 (0.0%)", "not played", "not played"],
        ["infeasible", "3 of 3 (100.0%)", "0 of 3 (0.0%)", "not played", "not played"],
        ["infeasible, twin", "1 of 1 (100.0%)", "not played", "0 of 1 (0.0%)", "not played"],
        ["all", "20 of 20 (100.0%)", "0 of 19 (0.0%)", "0 of 1 (0.0%)", "1 of 3 (33.3%)"],
    ]


def test_the_terminal_shows_the_controls_in_80_columns(tasks):
    facts = CardFacts(WRITE_TOOLS)
    for task, validation in tasks:
        facts.add(task, validation)
    out = io.StringIO()
    Console(file=out, width=80).print(controls_table(facts))
    lines = out.getvalue().splitlines()
    assert all(len(line) <= 80 for line in lines)
    assert re.split(r"\s{2,}", lines[-1].strip()) == ["all", "19 of 19", "0 of 19"]


def test_the_funnel_names_every_reason_in_order_of_its_count(tmp_path, tasks):
    funnel = {
        "library": [
            FunnelStep(stage="explore", label="trajectories", count=90, rejected={"no effect": 4, "breaks 3.2": 6}),
            FunnelStep(stage="synthesize", label="unique", count=80, rejected={"near-duplicate in words": 10}),
        ],
        "retail": [FunnelStep(stage="explore", label="trajectories", count=7)],
    }
    assert read_tables(write(tmp_path, tasks, funnel=funnel))["What was turned away"][1:] == [
        ["library", "explore: trajectories", "90", "10", ""],
        ["library", "explore: trajectories", "", "6", "breaks 3.2"],
        ["library", "explore: trajectories", "", "4", "no effect"],
        ["library", "synthesize: unique", "80", "10", ""],
        ["library", "synthesize: unique", "", "10", "near-duplicate in words"],
        ["retail", "explore: trajectories", "7", "0", ""],
    ]


def test_each_adaptation_is_shown_beside_a_general_task_of_the_same_walk(tmp_path, make_task):
    general = make_task("library", 0)
    other = make_task("library", 4).model_copy(update={"trajectory": "elsewhere"})
    shown = [other, general]
    for number, words in ((1, "I want to renew something."), (2, "Renew it."), (3, "Renew the reserved one.")):
        task = make_task("library", number)
        fact = Fact(name="title", value="The Atlas", asked_by=("which",), answer="The Atlas.", in_opening=False)
        scenario = task.scenario.model_copy(update={"opening": words, "facts": (fact,)})
        shown.append(task.model_copy(update={"scenario": scenario, "trajectory": general.trajectory}))
    text = write(tmp_path, [(task, validate(task)) for task in shown])
    parts = re.split(r"\n### ", text.split("## Before and after")[1].split("\n## ")[0])[1:]
    assert [part.split("\n")[0] for part in parts] == ["Ambiguous", "Changing", "Infeasible"]
    for part, words in zip(parts, ("I want to renew something", "Renew it", "Renew the reserved one"), strict=True):
        assert "After, from the same trajectory:" in part
        assert f"> {words}.\n>\n> (when asked) The Atlas.\n" in part
        assert part.count('renew_loan(loan_id="L-0204", note="two weeks")\n') == 2
    assert "(in place of the yes) Wait, make it the other one." in parts[1]
    assert "refuse: clause 3.2" in parts[2]


def test_the_same_tools_stand_in_where_no_walk_is_shared_and_nothing_where_no_general_task_is(tmp_path, make_task):
    near, far = make_task("library", 0), make_task("library", 4)
    away = (ToolCall(id="call_1", name="reserve_book", arguments={"book": "The Atlas"}),)
    far = far.model_copy(update={"expectation": far.expectation.model_copy(update={"calls": away})})
    vague, lone = make_task("library", 1), make_task("retail", 2)
    text = write(tmp_path, [(task, validate(task)) for task in (far, near, vague, lone)])
    section = text.split("### Ambiguous")[1].split("### ")[0]
    assert "After, from another trajectory:" in section
    assert section.count("renew_loan(") == 2 and "reserve_book(" not in section
    assert text.count("No domain has both a general task and one of these.") == 2


def test_the_header_is_what_a_hub_reads(tmp_path, tasks):
    header = write(tmp_path, tasks, name='odd: "name" # 1').split("---\n")[1]
    assert yaml.safe_load(header) == {
        "license": "apache-2.0",
        "language": ["en"],
        "pretty_name": 'odd: "name" # 1',
        "task_categories": ["text-generation"],
        "tags": ["tool-calling", "agents", "verifiable", "synthetic", "t2t"],
        "size_categories": ["n<1K"],
        "configs": [
            {
                "config_name": "default",
                "data_files": [
                    {"split": "train", "path": "data/train.parquet"},
                    {"split": "test", "path": "data/test.parquet"},
                ],
            }
        ],
    }


def test_the_figures_stand_in_the_card(tmp_path, make_task):
    tasks = [make_task("retail", number) for number in range(60)]
    marked = [
        task.model_copy(update={"scenario": task.scenario.model_copy(update={"opening": f"so {task.intent.value}"})})
        for task in tasks
    ]
    figures = measure(marked, WRITE_TOOLS)
    text = write(tmp_path, [(task, validate(task)) for task in marked], artifacts=figures)
    tables = read_tables(text)
    rows = tables["What the opening gives away"]
    assert rows[1] == ["intent", "all", "60", "4", "100.0% (94.0 to 100.0)", "25.0% (15.8 to 37.2)"]
    assert rows[2] == ["write tools", "all", "60", "", "not measured: all tasks have the same write tools: none", ""]
    assert ["all", "changing", "changing"] in rows
    assert [row[1] for row in tables["Beside tasks that people wrote"][1:]] == [
        row.measure for row in figures.distances
    ]
    assert [row[4] for row in tables["Beside tasks that people wrote"][1:]] == [
        f"{row.distance:.2f}" for row in figures.distances
    ]
    assert "The goal is that the intent cannot be read from surface cues" in text


def test_a_judges_grades_are_averaged_by_intent(tmp_path, tasks):
    graded = [
        (task, validation.model_copy(update={"realism": 6.0 + n % 2})) for n, (task, validation) in enumerate(tasks)
    ]
    total = sum(6.0 + n % 2 for n, (task, _) in enumerate(tasks) if task.intent is Intent.GENERAL)
    assert f"general {total / 6:.1f} of 10 over 6 tasks" in write(tmp_path, graded)
    assert "A judge model" not in write(tmp_path, tasks)


def test_a_card_of_no_tasks_can_be_written(tmp_path):
    text = write(tmp_path, [])
    assert "0 tasks" in text and "n<1K" in text and "configs" not in text


def test_awkward_text_stays_where_it_belongs(tmp_path, make_task):
    tasks: list[Task] = []
    for number in range(8):
        task = make_task("library", number, text=AWKWARD)
        refusal = Refusal(clause=AWKWARD, cues=("x",)) if task.expectation.refusal else None
        tasks.append(
            task.model_copy(
                update={
                    "scenario": task.scenario.model_copy(update={"opening": AWKWARD}),
                    "expectation": task.expectation.model_copy(update={"refusal": refusal}),
                    "traits": {"note": AWKWARD, "clause": AWKWARD, AWKWARD: 1},
                }
            )
        )
    step = FunnelStep(stage=AWKWARD, label=AWKWARD, count=1, rejected={AWKWARD: 2})
    text = write(
        tmp_path,
        [(task, validate(task, **{AWKWARD: (1, 1)})) for task in tasks],
        name=AWKWARD,
        funnel={AWKWARD: [step]},
        settings=f"name={AWKWARD}",
    )
    tables = read_tables(text)
    flat = " ".join(AWKWARD.replace("\x00", "\ufffd").replace("\u202e", "\ufffd").split())
    assert tables["What was turned away"][2] == [flat, f"{flat}: {flat}", "", "2", flat]
    assert tables["By rule and constraint"][1][1] == f"clause {flat}"
    tokens = MarkdownIt("commonmark").enable("table").parse(text.split("\n---\n", 1)[1])
    kinds = {token.type for token in tokens}
    assert not kinds & {"html_block", "bullet_list_open", "ordered_list_open", "code_block", "hr"}
    assert "no heading" not in {token.content for token in tokens}
    quotes = [tokens[place + 2].children or [] for place, token in enumerate(tokens) if token.type == "blockquote_open"]
    assert all(child.type in ("text", "text_special", "softbreak") for quote in quotes for child in quote)
    assert not any(c in text for c in "\x00\u202e")


@given(st.text(max_size=30))
def test_any_reason_is_read_back_from_the_card_as_it_was(tmp_path_factory, reason):
    folder = tmp_path_factory.mktemp("card")
    step = FunnelStep(stage="validate", label="tasks", count=1, rejected={reason: 2})
    rows = read_tables(write(folder, [], funnel={"library": [step]}))["What was turned away"]
    flat = " ".join(reason.split())
    assert rows[2] == [
        "library",
        "validate: tasks",
        "",
        "2",
        "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in flat),
    ]


def test_json_values_of_traits_are_shown_as_json(tmp_path, make_task):
    task = make_task("library", 0).model_copy(update={"traits": {"when": {"a": [1, "|"]}, "twin": True}})
    rows = read_tables(write(tmp_path, [(task, validate(task))]))["By trait"]
    values = {row[0]: row[1] for row in rows[1:]}
    assert values["twin"] == "true"
    assert json.loads(values["when"]) == {"a": [1, "|"]}
