"""The alarm of a falling counted share: raised when it falls, quiet when it does not, however often it is looked at."""

import random

import pytest

from labeling.alarms import LATEST, counted_share_alarm


def test_a_fall_is_told_with_both_shares():
    found = counted_share_alarm([True] * 200 + [True] * 30 + [False] * 20)
    assert (found.latest, found.before) == (0.6, 1.0)
    assert "60 % of the last 50" in found.words
    assert "100 %" in found.words


@pytest.mark.parametrize("counted", [
    [], [False] * 60, [True] * 400, [False] * 400, [True, False] * 300,
    [False] * 200 + [True] * 50,
    [True] * 950 + [False] * 4 + [True] * 46,
])  # fmt: skip
def test_no_fall_no_alarm(counted):
    assert counted_share_alarm(counted) is None


def test_looked_at_after_every_vote_it_is_raised_by_chance_in_under_one_of_a_hundred_sessions():
    rng, raised = random.Random(8), 0
    for _ in range(60):
        counted = [rng.random() < 0.95 for _ in range(700)]
        raised += any(counted_share_alarm(counted[:n]) for n in range(2 * LATEST, 700))
    assert raised == 0


def test_it_is_raised_within_the_latest_votes_of_a_real_fall():
    rng = random.Random(9)
    counted = [rng.random() < 0.97 for _ in range(300)] + [rng.random() < 0.4 for _ in range(LATEST)]
    first = next(n for n in range(300, len(counted)) if counted_share_alarm(counted[:n]))
    assert first - 300 <= 25, "some 15 votes left out of 50"
