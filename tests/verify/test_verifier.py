import pytest

from t2t.verify.verifier import refuses, tells


@pytest.mark.parametrize(
    ("message", "wanted", "told"),
    [
        ("You owe 4.00 in all.", "4.00", True),
        ("You owe 14.00 in all.", "4.00", False),
        ("You owe 4.001 in all.", "4.00", False),
        ("That is $1,204.50.", "1204.50", True),
        ("It is due 2026-06-04.", "2026-06-04", True),
        ("It is due on June 4, 2026.", "2026-06-04", True),
        ("It is due on 4 June.", "2026-06-04", True),
        ("It is due on June 14.", "2026-06-04", False),
        ("Your plan is GOLD now", "gold", True),
        ("Your plan is golden now", "gold", False),
        ("", "4.00", False),
    ],
)
def test_a_string_is_told_as_a_word_of_its_own(message: str, wanted: str, told: bool):
    assert tells(message, wanted) is told


@pytest.mark.parametrize(
    ("message", "refused"),
    [
        ("I can't renew it: others wait for it.", True),
        ("I can’t renew it, others wait.", True),
        ("Unfortunately that is not possible, someone is waiting.", True),
        ("I can't renew it.", False),
        ("Others wait for it, but I renewed it.", False),
        ("", False),
    ],
)
def test_a_refusal_says_no_and_names_the_reason(message: str, refused: bool):
    assert refuses(message, ("wait",)) is refused
