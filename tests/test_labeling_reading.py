"""Pressing blind beside reading: closed form, whom it finds, and that readers seldom look blind."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labeling.agreement import TIE, A, B
from labeling.reading import MANNERS, MOST, WEIGHTS, Answers, Beside, Check, Crowd, Press, blind_factor

SURE = (0.9, 0.05, 0.05)


def presses(rng, n, shares=(1 / 3, 1 / 3, 1 / 3)):
    """Blind presses: left, right and tie in these shares; what stood left by lot."""
    found = []
    for _ in range(n):
        left = rng.choice((A, B))
        pressed = rng.choices(("left", "right", "tie"), shares)[0]
        found.append(Press({"left": left, "right": 1 - left, "tie": TIE}[pressed], left))
    return found


def checks(found, rng):
    return [Check(p, rng.choice((A, B))) for p in found]


def test_a_single_known_answer_in_closed_form():
    """Two presses left: shares (3 / 3.5) * (2.5 / 3) for left; a hit on the left side."""
    said = [Press(A, A), Press(A, A)]
    left = 3 / 3.5 * 2.5 / 3
    reads = 0.5 * 0.97 + 0.35 * 0.92 + 0.15 * 0.85
    assert blind_factor(Answers(said, gold=[Check(said[0], A)])) == pytest.approx(left / reads)


def test_nothing_to_go_by_says_nothing():
    assert blind_factor(Answers([])) == pytest.approx(1)
    assert blind_factor(Answers(presses(random.Random(1), 40))) == pytest.approx(1)


@given(
    st.sampled_from([(1 / 3, 1 / 3, 1 / 3), (0.5, 0.5, 0.0), (1.0, 0.0, 0.0), (0.1, 0.1, 0.8)]),
    st.integers(0, 50),
)
def test_who_presses_blind_is_told_by_many_checks_whatever_they_press(shares, seed):
    rng = random.Random(seed)
    found = presses(rng, 80, shares)
    assert blind_factor(Answers(found, gold=checks(found[:20], rng), repeats=checks(found[20:40], rng))) > 100


@given(st.integers(0, 50))
def test_who_reads_with_a_slip_is_far_from_blind(seed):
    rng = random.Random(seed)
    found = [Press(rng.choice((A, B)), rng.choice((A, B))) for _ in range(40)]
    slip = rng.randrange(10)
    right = [Check(p, 1 - p.label if n == slip else p.label) for n, p in enumerate(found[:10])]
    assert blind_factor(Answers(found, gold=right[:5], repeats=right[5:])) < 1


def test_a_taste_unlike_everyone_elses_is_no_proof_while_known_answers_are_found():
    rng = random.Random(3)
    found = [Press(rng.choice((A, B)), rng.choice((A, B))) for _ in range(60)]
    beside = [Beside(p, SURE) for p in found]
    odd = Answers(found, shared=beside)
    proven = Answers(found, gold=[Check(p, p.label) for p in found[:10]], shared=beside)
    assert blind_factor(odd) > 10 > 1 > blind_factor(proven)


def test_ties_of_ones_own_measure_are_no_proof():
    """Someone who ties on half of the battles but else sides with the others reads."""
    found = [Press(TIE if i % 2 else A, i // 2 % 2) for i in range(60)]
    assert blind_factor(Answers(found, shared=[Beside(p, SURE) for p in found])) < 0.01


def test_liking_the_other_model_is_never_enough_alone():
    found = [Press(B, i % 2) for i in range(200)]
    assert blind_factor(Answers(found, alike=[Beside(p, SURE) for p in found])) <= 1 / 0.02 + 1


def test_questions_that_the_others_miss_too_weigh_less():
    found = [Press(A, i % 2) for i in range(12)]
    missed = [Check(p, B) for p in found[:4]]
    assert (
        blind_factor(Answers(found, gold=missed, crowd=Crowd(gold=0.5)))
        < blind_factor(Answers(found, gold=missed)) / 20
    )


def test_factors_stay_finite():
    found = presses(random.Random(4), 3000)
    missed = [Check(p, 1 - p.label) for p in found if p.label != TIE]
    assert blind_factor(Answers(found, gold=missed)) == pytest.approx(MOST)
    same = [Press(A, i % 2) for i in range(3000)]
    assert math.isclose(blind_factor(Answers(same, shared=[Beside(p, SURE) for p in same])), 1 / MOST)


def check_of(rng, right, tie):
    """A check with a label to be expected, and what a reader says who is right with this chance and ties else so often."""
    expected = rng.choice((A, B))
    label = expected if rng.random() < right else TIE if rng.random() < tie else 1 - expected
    return Check(Press(label, rng.choice((A, B))), expected)


def test_a_reader_seldom_reaches_the_factor_however_often_one_looks():
    """Ville's inequality: one in ten at most ever reaches a factor of 10; readers are drawn as the mixture has them."""
    reached = 0
    for seed in range(150):
        rng = random.Random(seed)
        manner = rng.choices(MANNERS, WEIGHTS)[0]
        found, gold, again = [], [], []
        for n in range(60):
            found += presses(rng, 1)
            if n % 10 == 4:
                gold.append(check_of(rng, manner.gold, 1 / 2))
                found[-1] = gold[-1].press
            if n % 10 == 9:
                again.append(check_of(rng, manner.same, 2 / 3))
                found[-1] = again[-1].press
            if n >= 12 and blind_factor(Answers(found, gold, again)) >= 10:
                reached += 1
                break
    assert reached / 150 <= 0.1
