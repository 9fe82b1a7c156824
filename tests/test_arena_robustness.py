"""Rates with and without raters, in closed form; the same whichever slots the models stand in."""

import pytest

from arena.columns import TwoModels
from arena.robustness import robustness
from tests.votes_by_hand import swapped, vote

PAIR = [TwoModels("one", "two")]
VOTES = [vote(1, "a", rater="x"), vote(2, "a", rater="x"), vote(3, "b", rater="y"), vote(4, "t", rater="z")]
OUT = [vote(5, "b", rater="gone"), vote(6, "b", rater="gone")]


def test_rates_with_and_without_in_closed_form():
    (found,) = robustness(VOTES, OUT, {"x"}, PAIR)
    assert found.counted == (4, 2.5 / 4)
    assert found.with_excluded == (6, 2.5 / 6)
    assert found.without_flagged == (2, 0.5 / 2)
    assert found.most_influential.rater == "x"
    assert found.most_influential.without == (2, pytest.approx(0.25))


def test_slots_do_not_matter():
    assert robustness(map(swapped, VOTES), OUT, {"x"}, PAIR) == robustness(
        VOTES, map(swapped, OUT), {"x"}, PAIR
    )


def test_what_is_undefined_says_why():
    (found,) = robustness(VOTES[:2], [], {"x"}, PAIR)
    assert found.most_influential is None
    assert found.without_flagged == (0, None)
    assert set(found.why) == {"most_influential", "without_flagged"}
