"""The fingerprint that is part of the package is that of the installed tau2, and it finds tau2's tasks."""

from itertools import pairwise

import pytest

from t2t.interop.tau2 import load_tasks
from t2t.interop.tau2.fingerprint import DOMAINS, load_fingerprint, make_fingerprint
from t2t.report.text import scenario_text, words
from t2t.verify.duplicates import Contamination, print_of

pytestmark = pytest.mark.tau2


def test_the_fingerprint_is_what_the_script_would_make():
    assert load_fingerprint() == make_fingerprint(), "run scripts/fingerprint_tau2.py"


@pytest.mark.parametrize("member", DOMAINS)
def test_every_human_written_task_is_found(member: str):
    contamination = Contamination(0.9)
    for task in load_tasks(member):
        assert contamination.find(print_of(task, "")) == "same text as an evaluation task"
        scenario = task.scenario.model_copy(update={"opening": f"Hello! {task.scenario.opening}"})
        if len({*pairwise(words(task.scenario.reason_for_call))}) >= 12:
            scenario = scenario.model_copy(update={"known_info": "You are Jo.", "task_instructions": ""})
        repeated = task.model_copy(update={"scenario": scenario})
        assert contamination.find(print_of(repeated, "elsewhere")) == "words of an evaluation task", task.id


def test_the_figures_count_each_task_once():
    for member in DOMAINS:
        tasks, figures = load_tasks(member), load_fingerprint().figures[member]
        assert figures.tasks == len(tasks)
        for histogram in (figures.words, figures.calls, figures.readability):
            assert sum(histogram.values()) == len(tasks)
        longest = max(tasks, key=lambda task: len(words(scenario_text(task.scenario))))
        assert max(figures.words) == len(words(scenario_text(longest.scenario)))
