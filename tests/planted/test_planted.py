"""Broken tasks are found, by the check that is there for them, and good ones are kept."""

from collections import Counter
from pathlib import Path

import pytest

from t2t.intents.compose import task_id
from t2t.records import Task
from t2t.verify.validation import CHECKS
from tests.planted.corpus import KINDS, Planted, carried_out_tasks, failing, good_tasks, plant

NUM_GOOD = 520
PER_KIND = 10
SEED = 7


@pytest.fixture(scope="module")
def good() -> list[Task]:
    return good_tasks(NUM_GOOD, SEED)


@pytest.fixture(scope="module")
def planted(good: list[Task]) -> list[Planted]:
    return plant([*good, *carried_out_tasks(12, SEED)], PER_KIND, SEED)


def test_good_tasks_of_every_domain_and_intent_are_kept(good: list[Task]):
    rejected = {task.id: problems for task in good if (problems := failing(task))}
    assert len({(task.domain, task.intent) for task in good}) == 6 * 4
    assert len(rejected) <= NUM_GOOD / 100, rejected


def test_every_kind_is_planted_in_several_domains(planted: list[Planted]):
    counts = Counter(one.kind for one in planted)
    domains = {kind: {one.task.domain for one in planted if one.kind == kind} for kind in KINDS}
    assert {kind: counts[kind] for kind in KINDS if counts[kind] < PER_KIND} == {}
    assert {kind: found for kind, found in domains.items() if len(found) < 3} == {}


def test_broken_tasks_are_found_by_the_check_that_is_there_for_them(planted: list[Planted]):
    missed = [
        (one.kind, one.task.id, problems)
        for one in planted
        if not (problems := failing(one.task, one.run, one.evaluated)).keys() & set(KINDS[one.kind].found_by)
    ]
    assert len(missed) <= len(planted) / 100, missed


def test_a_broken_task_has_the_id_that_its_content_gives(planted: list[Planted]):
    assert [one.kind for one in planted if one.task.id != task_id(one.task)] == []


def test_every_check_has_a_kind_that_it_is_to_find():
    aimed_at = {check for kind in KINDS.values() for check in kind.found_by}
    assert aimed_at >= CHECKS.keys() - {"refuse_everything"}


def test_the_table_names_every_kind_and_its_checks():
    rows = [line.split("|") for line in (Path(__file__).parent / "README.md").read_text().splitlines()]
    table = {
        row[1].strip(): row[3].replace("`", "").strip() for row in rows if len(row) == 5 and row[1].strip() in KINDS
    }
    assert table == {name: ", ".join(kind.found_by) for name, kind in KINDS.items()}
