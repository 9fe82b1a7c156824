"""Draws: their chances add up, are what is stored, and leave weighted figures unbiased."""

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from db.assignments import Candidate
from db.entities.campaigns import Sampling
from db.entities.votes import BallotKind
from labeling.assignment import draw, kind_of_next, weight

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


def lent(rates, ballots, seed, can=lambda kind, number: True):
    """The kinds of a rater's ballots, where a check question that cannot be lent makes room for a battle."""
    lot, given = random.Random(seed), Counter()
    for number in range(ballots):
        kind = kind_of_next(rates, given, number, lot)
        given[kind if can(kind, number) else BallotKind.BATTLE] += 1
    return given


@pytest.mark.parametrize(("gold", "repeat"), [(0.1, 0.1), (0.05, 0.25), (0.3, 0.02), (0.0, 0.5)])
def test_check_questions_come_at_their_rates(gold, repeat):
    kinds = lent({BallotKind.GOLD: gold, BallotKind.REPEAT: repeat}, 5000, 5)
    assert kinds[BallotKind.GOLD] / 5000 == pytest.approx(gold, abs=0.002)
    assert kinds[BallotKind.REPEAT] / 5000 == pytest.approx(repeat, abs=0.002)


def test_every_rater_is_checked_about_as_often():
    rates = {BallotKind.GOLD: 0.1, BallotKind.REPEAT: 0.1}
    fewest = min(lent(rates, 40, seed)[kind] for seed in range(300) for kind in rates)
    assert fewest >= 3, "one of each kind in ten ballots, the last of them perhaps a little late"


def test_a_kind_that_cannot_be_lent_keeps_the_other_from_nothing_and_is_made_up_for():
    rates = {BallotKind.GOLD: 0.1, BallotKind.REPEAT: 0.1}
    without = lent(rates, 200, 1, can=lambda kind, _: kind is not BallotKind.GOLD)
    assert without[BallotKind.REPEAT] >= 18
    late = lent(rates, 60, 2, can=lambda kind, number: kind is not BallotKind.REPEAT or number > 20)
    assert late[BallotKind.REPEAT] >= 5


def test_where_in_ten_ballots_a_check_comes_is_drawn():
    places = Counter()
    for seed in range(2000):
        lot = random.Random(seed)
        kinds = [BallotKind.BATTLE]
        while kinds[-1] is BallotKind.BATTLE and len(kinds) <= 10:
            kinds.append(kind_of_next({BallotKind.GOLD: 0.1}, {}, len(kinds) - 1, lot))
        places[len(kinds) - 2] += 1
    assert min(places[n] for n in range(9)) > 150, "about 200 at each place"
