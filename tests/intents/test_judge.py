"""A judge's grades travel whole, and their worth is measured against what is known."""

import asyncio
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from t2t.config import ApiConfig
from t2t.errors import RunError
from t2t.intents.judge import Grade, agreement, judge, judge_all
from t2t.journal import Journal
from t2t.models.structured import Malformed, StructuredClient
from t2t.records import Intent
from tests.chat_endpoint import answering, said


def verdict(realism=8, answers=True):
    return {"says": "It reads well.", "realism": realism, "answers": answers}


def grade_all(url, tasks, file, max_tries=2):
    with Journal(file) as journal:
        client = StructuredClient(ApiConfig(base_urls=(url,), model="j", patience_s=0.05), "j", journal)
        return list(judge_all(tasks, client.ask, max_tries=max_tries, concurrency=3, seed=0))


def test_grades_come_in_the_order_of_the_tasks_and_are_paid_once(library_tasks, tmp_path):
    tasks = library_tasks[:12]
    openings = [task.scenario.opening for task in tasks]

    def answer(body):
        place = next(
            n
            for n, text in enumerate(openings)
            if f"opens with: {text or '(nothing)'}\n" in body["messages"][1]["content"]
        )
        return said(verdict(1 + openings.index(openings[place]) % 10, answers=place % 2 == 0))

    with answering(answer) as endpoint:
        grades = grade_all(endpoint.url, tasks, tmp_path / "j")
        assert grade_all(endpoint.url, tasks, tmp_path / "j") == grades
    assert len(endpoint.asked) == 12
    for place, (task, grade) in enumerate(zip(tasks, grades, strict=True)):
        first = openings.index(openings[place])
        assert grade == Grade(task.id, 1 + first % 10, first % 2 == 0, "It reads well.")
        assert grade.score == (grade.realism if first % 2 == 0 else 1.0)


def test_what_cannot_be_read_is_asked_for_again_within_bounds(library_tasks, tmp_path):
    answers = [said("no idea"), said(verdict(11)), said(verdict(3))]
    with answering(lambda body: answers[min(len(endpoint.asked), 3) - 1]) as endpoint:
        first = grade_all(endpoint.url, library_tasks[:1], tmp_path / "j")
        assert isinstance(first[0], Malformed) and first[0].reason.startswith("realism:")
        assert grade_all(endpoint.url, library_tasks[:1], tmp_path / "j", max_tries=3)[0].realism == 3
    assert len(endpoint.asked) == 3


def test_the_judge_sees_what_the_caller_says_and_the_reference_in_words(library_tasks):
    shown = []

    async def ask(messages, form, seed):
        shown.append(messages[-1].content)
        return Malformed("enough", "")

    for task in library_tasks:
        asyncio.run(judge(task, ask, max_tries=1, seed=0))
        text = shown[-1]
        assert task.scenario.opening in text
        assert all(change.text in text for change in task.scenario.changes)
        assert task.expectation.final_hash not in text
        assert ("refuse: " in text) == (task.expectation.refusal is not None)
        for wish in task.expectation.wishes:
            if wish.call:
                assert all(value in text for value in wish.slots.values())
    assert {task.intent for task in library_tasks} == set(Intent)


def test_agreement_is_whole_for_a_perfect_judge_and_none_for_a_blind_one():
    perfect = agreement([9.0] * 50, [2.0] * 30, 6)
    assert (perfect.accuracy, perfect.kappa, perfect.kappa_low, perfect.kappa_high) == (1, 1, 1, 1)
    assert (perfect.num_good, perfect.num_broken) == (50, 30)
    blind = agreement([9.0] * 50, [9.0] * 30, 6)
    assert (blind.accuracy, blind.kappa, blind.kappa_low, blind.kappa_high) == (50 / 80, 0, 0, 0)
    assert agreement([2.0] * 40, [9.0] * 40, 6).kappa == -1


@given(
    st.lists(st.integers(1, 10).map(float), min_size=1, max_size=25),
    st.lists(st.integers(1, 10).map(float), min_size=1, max_size=25),
)
def test_kappa_counts_what_is_beyond_chance(good, broken):
    """By the definition, over all pairs of a truth and a call."""
    pairs = [(True, grade >= 6) for grade in good] + [(False, grade >= 6) for grade in broken]
    agreed = sum(truth == call for truth, call in pairs) / len(pairs)
    chance = sum(truth == call for truth, _ in pairs for _, call in pairs) / len(pairs) ** 2
    found = agreement(good, broken, 6)
    assert found.kappa == pytest.approx((agreed - chance) / (1 - chance), abs=1e-12)
    assert found.accuracy == pytest.approx(agreed)
    assert -1 <= found.kappa_low <= found.kappa_high <= 1


def test_the_interval_covers_the_true_kappa_about_as_often_as_it_says():
    rng, covered = random.Random(1), 0
    true = 0.8 + 0.7 - 1  # Equal groups: sensitivity and specificity less one.
    for _ in range(60):
        good = [9.0 if rng.random() < 0.8 else 2.0 for _ in range(80)]
        broken = [2.0 if rng.random() < 0.7 else 9.0 for _ in range(80)]
        found = agreement(good, broken, 6)
        covered += found.kappa_low <= true <= found.kappa_high
    assert covered >= 52


def test_agreement_needs_both_kinds():
    with pytest.raises(RunError, match="0 good and 1 broken"):
        agreement([], [3.0], 6)
