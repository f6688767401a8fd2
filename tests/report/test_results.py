"""Rows say what the talks say."""

import random

import pytest

from t2t.errors import RunError
from t2t.report.results import WORDINGS, summarize


def test_rows_have_exactly_the_promised_fields(make_content):
    results = make_content({"library": (1, 20), "retail": (0, 0)}).results.model_dump()
    for row in results["results"]:
        assert list(row) == ["model", "domain", "seen", "intent", "num_tasks", "success", "low", "high"]
    for row in results["by_wording"]:
        assert list(row) == ["model", "domain", "wording", "num_tasks", "success", "low", "high"]


def test_rows_cover_every_model_domain_and_condition(make_content):
    results = make_content({"library": (1, 20), "retail": (0, 0)}).results
    assert len(results.results) == 4 * 2 * 5
    found = {(r.domain, r.intent, r.model): r for r in results.results}
    assert found["library", "all", "tuned"].success == 0.5
    assert found["library", "general", "tuned"].num_tasks == 10
    assert found["library", "all", "reference"].success == 1
    assert found["retail", "all", "do_nothing"].success == 0
    assert {r.domain: r.seen for r in results.results} == {"library": True, "retail": False}


def test_wordings_split_trained_domains_only(make_content):
    rows = make_content({"library": (1, 20), "retail": (0, 0)}).results.by_wording
    assert {row.domain for row in rows} == {"library"}
    assert {row.wording: row.num_tasks for row in rows} == dict.fromkeys(WORDINGS.values(), 20)


def test_comparison_pairs_common_tasks_only(make_task, make_rollout):
    tasks = [make_task("library", number) for number in range(10)]
    talks = [make_rollout(task, "tuned", True) for task in tasks]
    talks += [make_rollout(task, "base", False) for task in tasks[:6]]
    (row, *_) = summarize(talks, tasks, {"library"}).comparisons
    assert (row.num_tasks, row.difference, row.overlap, row.verdict) == (6, 1.0, False, "higher")


def test_order_and_repetition_of_talks_change_nothing(make_task, make_rollout):
    tasks = [make_task(domain, number) for domain in ("retail", "library") for number in range(12)]
    talks = [make_rollout(task, agent, i % 3 == 0) for agent in ("base", "tuned") for i, task in enumerate(tasks)]
    shuffled = random.Random(1).sample(talks + talks[:5], len(talks) + 5)
    assert summarize(shuffled, tasks, {"library"}) == summarize(talks, tasks, {"library"})


def test_several_attempts_give_pass_k(make_content):
    results = make_content({"library": (1, 20)}, attempts=3).results
    assert [row.value for row in results.pass_k if row.model == "tuned"] == [0.5, 0.5, 0.5]
    assert {row.num_tasks for row in results.results if row.intent == "all"} == {40}


def test_counts_say_how_talks_end_and_what_they_fail(make_content):
    results = make_content({"library": (1, 20)}).results
    ends = {(row.model, row.name): (row.count, row.num_rollouts) for row in results.stop_reasons}
    assert ends["base", "max_turns"] == (39, 40)
    failed = {(row.model, row.name): row.count for row in results.failed_checks}
    assert failed["tuned", "db_state"] == 20
    assert ("tuned", "ended") not in failed
    assert {(row.model, row.name): row.count for row in results.broken_clauses}["base", "2.1"] == 39


def test_a_training_task_or_an_unknown_one_is_refused(make_task, make_rollout):
    task = make_task("library", 1, split="train")
    with pytest.raises(RunError, match="training task"):
        summarize([make_rollout(task, "base", True)], [task], {"library"})
    with pytest.raises(RunError, match="not given"):
        summarize([make_rollout(task, "base", True)], [], {"library"})


def test_nothing_played_gives_no_rows():
    results = summarize([], [], {"library"})
    assert not any(results.model_dump().values())
