"""The headline claims what the intervals allow, and nothing more."""

import pytest

from t2t.report.headline import points, write_headline, write_headline_line

RAISES = "tuning raises success on library"
LOWERS = "tuning lowers success on"
NOT_SHOWN = "do not show that tuning changes success on library"
CARRIES = "The intervals do not overlap: what is learned carries over to retail"
NOT_CARRIED = "do not show that what is learned carries over to retail"


@pytest.mark.parametrize(
    ("solved", "trained", "unseen"),
    [
        ({"library": (1, 20), "retail": (0, 20)}, RAISES, CARRIES),
        ({"library": (1, 20), "retail": (0, 2)}, RAISES, NOT_CARRIED),
        ({"library": (4, 6), "retail": (0, 20)}, NOT_SHOWN, CARRIES),
        ({"library": (4, 6), "retail": (0, 0)}, NOT_SHOWN, NOT_CARRIED),
        ({"library": (20, 1), "retail": (20, 0)}, LOWERS, LOWERS),
    ],
)
def test_headline_follows_the_intervals(make_content, solved, trained, unseen):
    first, second = write_headline(make_content(solved).results)
    assert trained in first
    assert unseen in second
    assert "library, which it is trained on" in first
    assert "retail, from which no training row comes" in second


@pytest.mark.parametrize("tuned", range(0, 41, 4))
def test_overlapping_intervals_never_read_as_transfer(make_content, tuned):
    results = make_content({"library": (1, 20), "retail": (8, tuned)}).results
    row = next(row for row in results.comparisons if (row.domain, row.intent) == ("retail", "all"))
    assert (CARRIES in write_headline(results)[1]) is (not row.overlap and row.difference > 0)
    assert ("retail (unseen): tuned above base" in write_headline_line(results)) is (row.verdict == "higher")


def test_headline_gives_numbers_with_intervals(make_content):
    (sentence,) = write_headline(make_content({"library": (1, 20)}).results)
    assert "solves 50.0% (95% interval 35.2 to 64.8) and the base model 2.5% (95% interval 0.4 to 12.9)" in sentence
    assert "a difference of +47.5 points" in sentence
    assert "paired p < 0.001" in sentence


@pytest.mark.parametrize(("value", "text"), [(0.1, "+10.0"), (-0.0001, "0.0"), (0.0, "0.0"), (-0.2, "\u221220.0")])
def test_points_carry_their_sign(value, text):
    assert points(value) == text
