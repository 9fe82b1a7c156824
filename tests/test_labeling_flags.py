"""Flags of habit, the owner's limits, and the block: found when they should be, and not by chance."""

import random

import pytest

from labeling.agreement import TIE, A, B
from labeling.flags import Flag, Habits, below, blocked, coin_evidence, habits_raise
from labeling.reading import Press


def pressed(sides):
    """Presses of l, r and t, with what stood left changing every time."""
    return [Press({"l": i % 2, "r": 1 - i % 2, "t": TIE}[side], i % 2) for i, side in enumerate(sides)]


def raised(sides, **habits):
    return {
        r.flag: r.reason
        for r in habits_raise(Habits(pressed(sides), habits.pop("seconds", ()), (), **habits))
    }


def test_sides_are_told_with_their_numbers():
    assert raised("l" * 38 + "rr") == {Flag.LEFT: "pressed left 38 of 40 times"}
    assert raised("r" * 15) == {Flag.RIGHT: "pressed right 15 of 15 times"}
    assert raised("r" * 14) == {}, "a dozen alike still happens to readers, looked at again and again"
    assert raised("l" * 20 + "r" * 20) == {Flag.COPY: "changed sides 1 of 39 times; sides are drawn by lot"}
    assert raised("lr" * 10) == {Flag.ALTERNATES: "changed sides 19 of 19 times; sides are drawn by lot"}
    assert raised("l" * 11) == {}, "a handful flags nobody"


def test_other_habits_are_told_with_their_numbers():
    fair = "llrlrrlrlrrllrrlrl"
    assert raised(fair) == {}
    assert raised(fair, seconds=[0.5] * 12) == {Flag.FAST: "half of 12 votes took under 0.5 seconds"}
    slow = raised(fair, seconds=[4.0] * 12, under_floor=9, floor=5.0)
    assert slow == {Flag.FLOOR: "9 of 12 votes took under the floor of 5 seconds"}
    assert raised("t" * 19 + "l") == {Flag.SAME: "preferred neither answer 19 of 20 times"}
    assert raised(fair, gold=(1, 4), warn_below=0.7, others_find=0.95) == {
        Flag.GOLD: "found 1 of 4 known answers; the limit is 70 %, the others find 95 %"
    }
    assert raised(fair, repeats=(4, 12)) == {Flag.INCONSISTENT: "answered 4 of 12 repeats as the first time"}


def test_coin_evidence_in_closed_form_and_alike_for_both_faces():
    assert coin_evidence(12, 12) == pytest.approx(2**12 / 13)
    assert coin_evidence(0, 0) == 1
    assert coin_evidence(3, 20) == pytest.approx(coin_evidence(17, 20))


def test_a_fair_coin_looked_at_after_every_throw_raises_nothing():
    rng = random.Random(2)
    found = 0
    for _ in range(150):
        sides = "".join(rng.choice("lr") for _ in range(80))
        found += any(raised(sides[:n]) for n in range(12, 80, 2))
    assert found == 0, "two tests, each by chance in one of 2,000 at most"


@pytest.mark.parametrize(("hits", "asked", "limit", "others", "warned"), [
    (1, 4, 0.7, 0.95, True), (2, 4, 0.7, 0.95, False), (0, 3, 0.7, 0.95, False), (5, 10, 0.7, 0.95, True),
    (1, 4, 0.0, 0.95, False), (1, 4, 0.7, 0.6, False), (14, 20, 0.7, 0.95, False),
])  # fmt: skip
def test_the_warning_asks_for_a_shortfall_beyond_chance_and_beyond_the_others(
    hits, asked, limit, others, warned
):
    assert below(hits, asked, limit, others) is warned


@pytest.mark.parametrize(("hits", "asked", "limit", "gone"), [
    (0, 4, 0.7, True), (0, 3, 0.7, False), (1, 8, 0.7, True), (2, 8, 0.7, False), (4, 14, 0.7, True),
    (0, 40, 0.0, False), (3, 4, 1.0, True), (4, 4, 1.0, False), (40, 40, 0.9, False),
])  # fmt: skip
def test_who_is_blocked(hits, asked, limit, gone):
    assert blocked(hits, asked, limit) is gone


def ever_blocked(rate, limit, questions):
    """The exact chance to be blocked at any of so many known answers, for one who finds each with this chance."""
    standing, gone = {0: 1.0}, 0.0
    for n in range(1, questions + 1):
        after = {}
        for hits, chance in standing.items():
            after[hits + 1] = after.get(hits + 1, 0.0) + chance * rate
            after[hits] = after.get(hits, 0.0) + chance * (1 - rate)
        gone += sum(c for hits, c in after.items() if blocked(hits, n, limit))
        standing = {hits: c for hits, c in after.items() if not blocked(hits, n, limit)}
    return gone


@pytest.mark.parametrize("limit", [0.5, 0.7, 0.8])
def test_nobody_at_the_limit_is_blocked_by_chance_however_often_one_looks(limit):
    assert ever_blocked(limit, limit, 60) <= 0.05
    assert ever_blocked(min(0.95, limit + 0.15), limit, 60) <= 0.005


def test_who_guesses_is_blocked_in_time():
    assert ever_blocked(1 / 3, 0.7, 20) > 0.75
    assert ever_blocked(1 / 3, 0.8, 20) > 0.95


def test_a_label_without_its_side_is_no_side():
    assert habits_raise(Habits([Press(A, None)] * 30 + [Press(B, None)] * 3, (), ())) == ()
