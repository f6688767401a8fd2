import pytest
from hypothesis import given
from hypothesis import strategies as st

from t2t.records import UserScenario
from t2t.report.text import readability, scenario_text, sentences, words


def test_words_are_lower_case_runs_of_letters_and_digits():
    text = "Don't CANCEL #W0000001, it’s for sam_drake@mail.com; I owe $12.50!"
    assert words(text) == [*"don't cancel w0000001 it's for sam drake mail com i owe 12 50".split()]


def test_a_dot_inside_an_address_or_an_amount_ends_no_sentence():
    assert sentences("Write to a@b.com. It was 12.50, right?\n- the lamp\n\n...") == [
        "Write to a@b.com",
        "It was 12.50, right",
        "- the lamp",
    ]


def test_readability_is_the_automated_readability_index():
    assert readability("The cat sat. The dog ran.") == pytest.approx(4.71 * 18 / 6 + 0.5 * 6 / 2 - 21.43)
    assert readability("... !") == 0.0


@given(st.text())
def test_every_text_has_a_reading_level(text: str):
    assert readability(text) == readability(text)
    assert bool(words(text)) == bool(sentences(text))


def test_scenario_text_is_what_tau2_tasks_also_tell():
    scenario = UserScenario(
        reason_for_call="why",
        known_info="known",
        unknown_info="unknown",
        task_instructions="how",
        opening="Hi!",
        facts=(),
    )
    assert scenario_text(scenario) == "why\nknown\nhow"
