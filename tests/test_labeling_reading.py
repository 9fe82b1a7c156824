"""Pressing blind beside reading: closed form, whom it finds, and that readers seldom look blind."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labeling.agreement import TIE, A, B
from labeling.reader_kinds import STATED, kinds_of_others
from labeling.reading import MANNERS, MOST, Answers, Beside, Check, Crowd, Press, blind_factor, fits

SURE = (0.9, 0.05, 0.05)


def factor_of(given):
    """The factor before anything is known of the crowd."""
    return blind_factor(fits(given))


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
    assert factor_of(Answers(said, gold=[Check(said[0], A)])) == pytest.approx(left / reads)


def test_nothing_to_go_by_says_nothing():
    assert factor_of(Answers([])) == pytest.approx(1)
    assert factor_of(Answers(presses(random.Random(1), 40))) == pytest.approx(1)


@given(
    st.sampled_from([(1 / 3, 1 / 3, 1 / 3), (0.5, 0.5, 0.0), (1.0, 0.0, 0.0), (0.1, 0.1, 0.8)]),
    st.integers(0, 50),
)
def test_who_presses_blind_is_told_by_many_checks_whatever_they_press(shares, seed):
    rng = random.Random(seed)
    found = presses(rng, 80, shares)
    assert factor_of(Answers(found, gold=checks(found[:20], rng), repeats=checks(found[20:40], rng))) > 100


@given(st.integers(0, 50))
def test_who_reads_with_a_slip_is_far_from_blind(seed):
    rng = random.Random(seed)
    found = [Press(rng.choice((A, B)), rng.choice((A, B))) for _ in range(40)]
    slip = rng.randrange(10)
    right = [Check(p, 1 - p.label if n == slip else p.label) for n, p in enumerate(found[:10])]
    assert factor_of(Answers(found, gold=right[:5], repeats=right[5:])) < 1


def test_a_taste_unlike_everyone_elses_is_no_proof_while_known_answers_are_found():
    rng = random.Random(3)
    found = [Press(rng.choice((A, B)), rng.choice((A, B))) for _ in range(60)]
    beside = [Beside(p, SURE) for p in found]
    odd = Answers(found, shared=beside)
    proven = Answers(found, gold=[Check(p, p.label) for p in found[:10]], shared=beside)
    assert factor_of(odd) > 10 > 1 > factor_of(proven)


def test_ties_of_ones_own_measure_are_no_proof():
    """Someone who ties on half of the battles but else sides with the others reads."""
    found = [Press(TIE if i % 2 else A, i // 2 % 2) for i in range(60)]
    assert factor_of(Answers(found, shared=[Beside(p, SURE) for p in found])) < 0.01


def test_liking_the_other_model_is_never_enough_alone():
    found = [Press(B, i % 2) for i in range(200)]
    assert factor_of(Answers(found, alike=[Beside(p, SURE) for p in found])) <= 1 / 0.02 + 1


def test_questions_that_the_others_miss_too_weigh_less():
    found = [Press(A, i % 2) for i in range(12)]
    missed = [Check(p, B) for p in found[:4]]
    assert (
        factor_of(Answers(found, gold=missed, crowd=Crowd(gold=0.5)))
        < factor_of(Answers(found, gold=missed)) / 20
    )


def test_factors_stay_finite():
    found = presses(random.Random(4), 3000)
    missed = [Check(p, 1 - p.label) for p in found if p.label != TIE]
    assert factor_of(Answers(found, gold=missed)) == pytest.approx(MOST)
    same = [Press(A, i % 2) for i in range(3000)]
    assert math.isclose(factor_of(Answers(same, shared=[Beside(p, SURE) for p in same])), 1 / MOST)


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
        manner = rng.choices(MANNERS, STATED.manners)[0]
        found, gold, again = [], [], []
        for n in range(60):
            found += presses(rng, 1)
            if n % 10 == 4:
                gold.append(check_of(rng, manner.gold, 1 / 2))
                found[-1] = gold[-1].press
            if n % 10 == 9:
                again.append(check_of(rng, manner.same, 2 / 3))
                found[-1] = again[-1].press
            if n >= 12 and factor_of(Answers(found, gold, again)) >= 10:
                reached += 1
                break
    assert reached / 150 <= 0.1


def reader(rng, right, n=40, ties=0.0):
    """Answers beside others who are sure: right so often, the other side else; so many ties whatever they say."""
    found = [Press(TIE if rng.random() < ties else A if rng.random() < right else B, i % 2) for i in range(n)]
    return fits(Answers(found, shared=[Beside(p, SURE) for p in found]))


def test_what_kinds_of_readers_there_are_is_learned_from_the_others():
    rng = random.Random(5)
    careful = {f"careful-{n}": reader(rng, 0.97) for n in range(12)}
    sloppy = {f"sloppy-{n}": reader(rng, 0.8, ties=0.4) for n in range(12)}
    among_careful = kinds_of_others(careful, careful)["careful-0"]
    among_sloppy = kinds_of_others(sloppy, sloppy)["sloppy-0"]
    assert among_careful.manners[0] > 0.8 > STATED.manners[0] > among_sloppy.manners[0]
    assert among_careful.styles[1] < 0.1 < STATED.styles[1] < 0.8 < among_sloppy.styles[1]
    for kinds in (among_careful, among_sloppy):
        assert kinds.manners.sum() == pytest.approx(1)
        assert kinds.styles.sum() == pytest.approx(1)


def test_the_same_answers_are_more_suspicious_among_careful_readers_than_among_sloppy_ones():
    rng = random.Random(6)
    mine = reader(random.Random(1), 0.75, ties=0.3)
    factors = []
    for right, ties in ((0.97, 0.02), (0.8, 0.3)):
        fit = {"me": mine, **{f"other-{n}": reader(rng, right, ties=ties) for n in range(12)}}
        factors.append(blind_factor(mine, kinds_of_others(fit, fit)["me"]))
    assert factors[0] > 5 * factors[1]


def test_nobody_is_measured_by_their_own_answers_and_who_presses_blind_is_no_kind_of_reader():
    rng = random.Random(7)
    fit = {f"careful-{n}": reader(rng, 0.97) for n in range(6)}
    blind = presses(rng, 60)
    dice = fits(Answers(blind, shared=[Beside(p, SURE) for p in blind]))
    alone = kinds_of_others({"me": dice}, {"me"})["me"]
    assert alone.manners == pytest.approx(STATED.manners)
    assert alone.styles == pytest.approx(STATED.styles)
    with_dice = kinds_of_others({**fit, "dice": dice}, {*fit, "dice"})
    outside = kinds_of_others({**fit, "dice": dice}, set(fit))
    for name in fit:
        assert with_dice[name].manners == pytest.approx(outside[name].manners, abs=0.01)
    assert with_dice["dice"].manners == pytest.approx(outside["dice"].manners, abs=0.01)


def test_with_no_crowd_the_stated_shares_hold():
    dice = reader(random.Random(8), 0.5)
    assert kinds_of_others({"me": dice}, ())["me"].manners == pytest.approx(STATED.manners)
    assert kinds_of_others({}, ()) == {}
