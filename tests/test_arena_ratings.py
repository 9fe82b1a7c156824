"""Bradley-Terry against statsmodels' GLM, closed forms, and votes without a finite answer."""

import math
import random

import numpy as np
import pytest
import statsmodels.api as sm

from arena.columns import columns
from arena.ratings import SCALE, newton, ratings
from tests.votes_by_hand import swapped, vote


def league(strengths, n, seed=1, raters=None):
    """Votes between models m0, m1, ... of these strengths; each of a rater of its own unless `raters` are given."""
    rng = random.Random(seed)
    found = []
    for i in range(n):
        x, y = rng.sample(range(len(strengths)), 2)
        chance = 1 / (1 + math.exp(strengths[y] - strengths[x]))
        outcome = "t" if rng.random() < 0.2 else "a" if rng.random() < chance else "b"
        rater = f"r{rng.randrange(raters)}" if raters else f"r{i}"
        found.append(vote(i, outcome, models=(f"m{x}", f"m{y}"), rater=rater))
    return found


def by_model(votes):
    return {r.model: r for r in ratings(columns(votes))}


def games(*results):
    """("x", "y", "aab"): x met y three times and won the first two."""
    return [vote(i, o, models=(x, y), rater=f"r{i}") for i, (x, y, o) in
            enumerate((x, y, o) for x, y, outcomes in results for o in outcomes)]  # fmt: skip


@pytest.mark.parametrize("raters", [None, 15])
def test_ratings_and_intervals_are_those_of_a_glm_on_every_vote(raters):
    votes = league([0.8, 0.3, 0.0, -0.4], 900, raters=raters)
    c = columns(votes)
    design = np.zeros((len(c), 4))
    design[np.arange(len(c)), c.a] = 1
    design[np.arange(len(c)), c.b] = -1
    kind = (
        {"cov_type": "cluster", "cov_kwds": {"groups": c.rater, "use_correction": False}}
        if raters
        else {"cov_type": "HC0"}
    )
    fit = sm.GLM(c.y, design[:, 1:], family=sm.families.Binomial()).fit(**kind)
    centre = np.vstack([np.zeros(3), np.eye(3)]) - np.full((4, 3), 1 / 4)
    expected = 1000 + SCALE * centre @ fit.params
    spread = SCALE * np.sqrt(np.diag(centre @ fit.cov_params() @ centre.T))
    if raters:
        spread *= math.sqrt(15 / 14)
    found = by_model(votes)
    for i, name in enumerate(c.models):
        assert found[name].rating == pytest.approx(expected[i], abs=1e-4)
        assert found[name].se == pytest.approx(spread[i], rel=1e-5)
        assert not found[name].preliminary


def test_two_models_in_closed_form():
    found = by_model(games(("x", "y", "aaab")))
    assert found["x"].rating - found["y"].rating == pytest.approx(SCALE * math.log(3))
    assert found["x"].rating + found["y"].rating == pytest.approx(2000)
    assert found["x"].preliminary


def test_the_fit_satisfies_its_own_equations_where_counts_are_far_apart():
    wins = np.array([[0, 5000, 1], [1, 0, 7], [0.5, 3, 0]])
    strength = newton(wins)
    chance = 1 / (1 + np.exp(strength[None, :] - strength[:, None]))
    assert ((wins + wins.T) * chance).sum(axis=1) - np.diag(wins + wins.T) / 2 == pytest.approx(
        wins.sum(axis=1)
    )


def test_slots_and_order_of_rows_change_nothing():
    votes = league([0.5, 0.0, -0.5], 200, raters=6)
    rng = random.Random(2)
    turned = [swapped(v) if rng.random() < 0.5 else v for v in votes]
    rng.shuffle(turned)
    assert ratings(columns(turned)) == ratings(columns(votes))


def test_a_model_that_never_loses_is_first_and_unbounded_and_the_rest_is_fitted_without_it():
    found = ratings(columns(games(("top", "x", "aaa"), ("x", "y", "aab"), ("low", "y", "bb"))))
    assert [(r.model, r.unbounded) for r in found] == [
        ("top", "above"),
        ("x", None),
        ("y", None),
        ("low", "below"),
    ]
    assert found[0].rating is None
    assert found[0].why["rating"].startswith("it never lost")
    assert found[1].rating - found[2].rating == pytest.approx(SCALE * math.log(2))
    assert {r.component for r in found} == {0}


def test_taking_one_out_can_leave_another_unbounded():
    found = ratings(columns(games(("first", "second", "aa"), ("second", "x", "aa"), ("x", "y", "ab"))))
    assert [(r.model, r.unbounded) for r in found] == [
        ("first", "above"),
        ("second", "above"),
        ("x", None),
        ("y", None),
    ]


def test_two_models_one_always_better():
    found = ratings(columns(games(("x", "y", "aaaa"))))
    assert [(r.model, r.rating, r.unbounded) for r in found] == [("x", None, "above"), ("y", None, "below")]


def test_models_that_never_met_are_components_of_their_own():
    found = by_model(games(("x", "y", "aab"), ("p", "q", "ab"), ("q", "r", "aab")))
    assert {found[m].component for m in "pqr"} == {0}, "the largest is the first"
    assert {found[m].component for m in "xy"} == {1}
    assert found["x"].rating + found["y"].rating == pytest.approx(2000), "each is centred by itself"


def test_a_group_that_beat_another_in_every_vote_is_apart_from_it():
    found = by_model(games(("x", "y", "ab"), ("p", "q", "ab"), ("x", "p", "aa"), ("y", "q", "aa")))
    assert all(r.unbounded is None for r in found.values())
    assert found["x"].component == found["y"].component != found["p"].component == found["q"].component


def test_ties_only_leave_no_interval():
    found = by_model(games(("x", "y", "ttt")))
    assert (found["x"].rating, found["x"].se, found["x"].why["se"]) == (
        1000,
        None,
        "the votes leave no spread",
    )


def test_no_votes_give_no_ratings():
    assert ratings(columns([])) == ()
