"""The planner: its votes are checked by simulated sessions that the report's own interval judges."""

from dataclasses import replace
from math import inf, nan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arena.intervals import anytime, clustered_mean, decided_needed
from arena.planning import Alike, Crowd, Ground, Wish, difference_for, plan, settled_after, votes_for
from db.errors import UserError

INDEPENDENT = Alike(0.0, 0.0)
GROUND = Ground(
    "first", 2, 400, 0, 400, 1, 20.0, "by the length of the texts", 0.0, Alike(0.01, 0.2), "as elsewhere"
)


def session(rng, votes, crowd, difference):
    """y, rater and prompt of one session: everybody has a win rate of their own, ties come at the crowd's share."""
    rate = 0.5 + difference / (1 - crowd.ties)
    tastes = np.full(crowd.people, rate)
    if crowd.alike.rater:
        more = 1 / crowd.alike.rater - 1  # a beta-binomial with this intraclass correlation
        tastes = rng.beta(rate * more, (1 - rate) * more, crowd.people)
    rater, prompt = np.arange(votes) % crowd.people, np.arange(votes) % crowd.prompts
    y = (rng.random(votes) < tastes[rater]).astype(float)
    y[rng.random(votes) < crowd.ties] = 0.5
    return y, rater, prompt


def found(y, rater, prompt):
    """Whether the report's interval leaves a half out."""
    interval = clustered_mean(y, rater, prompt).ci95
    return interval is not None and not interval.low <= 0.5 <= interval.high


@pytest.mark.parametrize(
    ("difference", "crowd"),
    [
        (0.1, Crowd(2000, 2000, INDEPENDENT)),
        (0.1, Crowd(12, 2000, Alike(0.02, 0.0))),
        (0.15, Crowd(20, 500, Alike(0.05, 0.0))),
        (0.1, Crowd(30, 1000, INDEPENDENT, ties=0.3)),
    ],
    ids=["everybody once", "twelve people", "tastes of their own", "ties"],
)
def test_so_many_votes_find_the_difference_in_four_of_five_sessions(difference, crowd):
    votes, rng = votes_for(difference, crowd), np.random.default_rng(5)
    power = np.mean([found(*session(rng, votes, crowd, difference)) for _ in range(400)])
    assert 0.74 < power < 0.88, (
        votes,
        power,
    )  # three standard errors of 400 runs around 0.8, and t's own approximation
    fewer = np.mean([found(*session(rng, votes // 2, crowd, difference)) for _ in range(200)])
    assert fewer < 0.68, "half as many would not do"


@pytest.mark.parametrize(("difference", "ties"), [(0.1, 0.0), (0.15, 0.25)])
def test_the_anytime_test_has_settled_by_then_in_four_of_five_sessions(difference, ties):
    votes, rng = settled_after(difference, ties), np.random.default_rng(3)
    crowd = Crowd(votes, votes, INDEPENDENT, ties)
    runs = [session(rng, votes, crowd, difference)[0] for _ in range(400)]
    assert 0.74 < np.mean([anytime(y[y != 0.5] == 1).p <= 0.05 for y in runs]) < 0.86


def test_independent_votes_are_those_of_the_report():
    """A second source: the report's own figure for decided votes."""
    for difference in (0.05, 0.1, 0.15, 0.2):
        ours = votes_for(difference, Crowd(10**5, 10**5, INDEPENDENT))
        assert ours == decided_needed(0.5 + difference, 0.8)


@given(st.floats(0.03, 0.3), st.integers(2, 200), st.integers(20, 2000), st.floats(0, 0.2), st.floats(0, 0.5))
@settings(max_examples=60, deadline=None)
def test_more_people_more_difference_less_alike_never_take_more_votes(
    difference, people, prompts, rater, prompt
):
    crowd = Crowd(people, prompts, Alike(rater, prompt))
    votes = votes_for(difference, crowd)
    easier = votes_for(difference * 1.3, crowd)
    apart = votes_for(difference, crowd._replace(alike=Alike(rater / 2, prompt / 2)))
    if votes is not None:
        assert easier is not None
        assert easier <= votes
        assert apart is not None
        assert apart <= votes
        assert difference_for(votes, crowd) <= difference + 0.001
        assert votes <= people * prompts


# -- people, minutes, money ------------------------------------------------------------------------------------


def test_a_plan_adds_up():
    made = plan(Wish(0.1, 30, pay=12, fee=1 / 3), replace(GROUND, checks=0.2, practice=3, briefing_words=480))
    assert made.votes == made.votes_a_pair == votes_for(0.1, Crowd(30, 400))
    assert made.ballots_each == -(-made.votes * 10 // (30 * 8)) + 3
    assert made.minutes_each == pytest.approx(made.ballots_each * 20 / 60 + 2)
    assert made.hours == pytest.approx(30 * made.minutes_each / 60)
    assert made.pay == pytest.approx(12 * made.hours)
    assert made.cost == pytest.approx(made.pay + made.fee) == pytest.approx(16 * made.hours)
    assert made.sentence.startswith(
        f"To see a 60:40 preference you need about {made.votes} votes: 30 people for about "
    )
    assert "EUR" in made.sentence
    assert made.settled > made.votes


def test_three_models_are_three_pairs():
    two, three = (plan(Wish(0.1, 30), replace(GROUND, models=m, wanted=400 * p)) for m, p in ((2, 1), (3, 3)))
    assert three.votes == 3 * two.votes
    assert three.tells_apart == two.tells_apart
    assert three.minutes_each == pytest.approx(3 * two.minutes_each, rel=0.1)


def test_too_few_people_are_told_what_would_do():
    made = plan(Wish(0.05, 5), GROUND)
    assert (made.votes, made.cost, made.minutes_each, made.settled) == (None, None, None, None)
    people = int(made.why.split()[0])
    assert people > 5
    assert plan(Wish(0.05, people), GROUND).votes is not None
    assert made.why in made.sentence


def test_too_few_prompts_are_told_what_would_do():
    made = plan(Wish(0.05, 100_000), replace(GROUND, prompts=20))
    assert made.votes is None
    assert "prompts in place of 20 could tell" in made.why


def test_what_the_campaign_as_it_stands_tells_apart():
    made = plan(Wish(0.1, 30), GROUND)
    assert (
        votes_for(made.tells_apart, Crowd(30, 400))
        <= 400
        < votes_for(made.tells_apart - 0.002, Crowd(30, 400))
    )
    few = plan(Wish(0.1, 30), replace(GROUND, wanted=3))
    assert few.tells_apart is None
    assert any("too few to show any preference" in note for note in few.notes)


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        (Wish(0.0), "difference of 0 cannot"), (Wish(0.6), "difference of 0.6 cannot"), (Wish(people=0), "1 to 100,000"),
        (Wish(pay=-1), "not negative"), (Wish(fee=-0.1), "not negative"), (Wish(seconds=0), "more than 0"),
        *((Wish(**{name: number}), "and") for name in ("pay", "fee", "seconds", "difference") for number in (nan, inf)),
    ],
)  # fmt: skip
def test_what_cannot_be_planned_is_refused_with_a_remedy(wish, words):
    with pytest.raises(UserError, match=words):
        plan(wish, GROUND)


def test_a_campaign_without_battles_cannot_be_planned():
    with pytest.raises(UserError, match="has no battles to vote on"):
        plan(Wish(), replace(GROUND, prompts=0))
