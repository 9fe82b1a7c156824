"""Draws: their chances add up, are what is stored, and leave weighted figures unbiased."""

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from db.campaigns import Candidate
from db.entities import BallotKind, Sampling
from labeling.assignment import blocked, draw, kind_of_next, weight

POOL = [Candidate(n, wins_a=n, wins_b=0, others=0, judged=n / 10) for n in range(8)]


@pytest.mark.parametrize("sampling", [Sampling.UNIFORM, Sampling.MOST_UNCERTAIN, Sampling.JUDGE_DISAGREEMENT])
def test_the_stored_chance_is_how_often_a_battle_is_drawn(sampling):
    lot = random.Random(1)
    drawn = [draw(POOL, len(POOL), sampling, 0.3, 1, lot)[0] for _ in range(20_000)]
    seen, said = Counter(d.battle for d in drawn), {d.battle: d.chance for d in drawn}
    assert sum(said.values()) == pytest.approx(1)
    for battle, chance in said.items():
        assert seen[battle] / len(drawn) == pytest.approx(chance, abs=0.012)


def test_the_random_share_gives_every_battle_a_chance():
    lot = random.Random(2)
    drawn = [draw(POOL, len(POOL), Sampling.MOST_UNCERTAIN, 0.2, 1, lot)[0] for _ in range(4000)]
    assert {d.battle for d in drawn} == set(range(8))
    assert min(d.chance for d in drawn) >= 0.2 / 8


def test_weighting_by_the_stored_chance_undoes_the_sampling():
    """The mean of any quantity over the battles, from a smart sample, by Hajek's estimator."""
    truth = {c.battle: c.battle**2 for c in POOL}
    lot = random.Random(3)
    drawn = [draw(POOL, len(POOL), Sampling.MOST_UNCERTAIN, 0.2, 1, lot)[0] for _ in range(30_000)]
    weights = [1 / (d.among * d.chance) for d in drawn]
    weighted = sum(w * truth[d.battle] for w, d in zip(weights, drawn, strict=True)) / sum(weights)
    plain = sum(truth[d.battle] for d in drawn) / len(drawn)
    mean = sum(truth.values()) / len(truth)
    assert weighted == pytest.approx(mean, rel=0.04)
    assert plain < 0.85 * mean, "the sample itself leans to the uncertain battles"


def test_a_pool_thinned_by_lot_says_so_in_its_chances():
    one = draw(POOL, 80, Sampling.UNIFORM, 0.2, 1, random.Random(4))[0]
    assert one.chance == pytest.approx(1 / 80)
    assert one.among == 80


def test_uncertain_battles_weigh_more():
    split, sure, fresh = (Candidate(0, *wins) for wins in ((2, 2, 0), (4, 0, 0), (0, 0, 0)))
    weights = [weight(c, Sampling.MOST_UNCERTAIN) for c in (fresh, split, sure)]
    assert weights == sorted(weights, reverse=True)
    torn, agreed, unknown = (Candidate(0, 0, 0, 0, p) for p in (0.5, 0.95, None))
    assert weight(torn, Sampling.JUDGE_DISAGREEMENT) == weight(unknown, Sampling.JUDGE_DISAGREEMENT) == 1
    assert weight(agreed, Sampling.JUDGE_DISAGREEMENT) < 0.25


@given(st.integers(1, 12), st.integers(0, 15))
def test_draws_are_different_battles_and_no_more_than_there_are(size, n):
    drawn = draw(POOL[:size], size, Sampling.UNIFORM, 0.5, n, random.Random(size * 31 + n))
    assert len({d.battle for d in drawn}) == len(drawn) == min(n, size, len(POOL))


def test_check_questions_come_at_their_rates():
    lot = random.Random(5)
    kinds = Counter(kind_of_next(0.1, 0.2, lot) for _ in range(20_000))
    assert kinds[BallotKind.GOLD] / 20_000 == pytest.approx(0.1, abs=0.01)
    assert kinds[BallotKind.REPEAT] / 20_000 == pytest.approx(0.2, abs=0.01)


def test_who_is_at_the_limit_is_seldom_sent_away():
    assert not blocked(0, 0, 0.7)
    assert not blocked(7, 10, 0.7)
    assert not blocked(1, 2, 0.7), "two answers tell too little"
    assert blocked(0, 3, 0.7)
    assert blocked(5, 20, 0.7)
    lot = random.Random(6)
    away = sum(blocked(sum(lot.random() < 0.7 for _ in range(10)), 10, 0.7) for _ in range(4000))
    assert away / 4000 <= 0.05
