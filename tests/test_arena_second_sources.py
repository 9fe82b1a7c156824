"""Figures against second sources: published numbers, and other libraries on made-up votes of every awkward kind."""

import json
import math
import random

import evalica
import krippendorff
import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from crowdkit.metrics.data import alpha_krippendorff
from scipy.stats import binomtest
from statsmodels.stats.inter_rater import aggregate_raters, cohens_kappa, fleiss_kappa
from statsmodels.stats.proportion import proportion_confint

from arena.columns import columns
from arena.intervals import clustered_mean, wilson
from arena.ratings import SCALE, ratings
from arena.style import FEATURES, Style, style_controlled, style_of
from arena.winrates import head_to_head
from labeling.agreement import TIE, A, B, Opinion, agreement, krippendorff_alpha, label_counts
from tests.votes_by_hand import swapped, vote


def two(votes):
    """The head-to-head of votes on two models."""
    ((pair, part),) = columns(votes).pairs()
    return head_to_head(pair, part, {})


# -- published -------------------------------------------------------------------------------------------------


def test_the_ultraaligned_table_under_both_conventions():
    """26 wins, 13 draws, 11 losses of 50: 52 % of all (38.5 to 65.2), or 65 % with draws as half (51 to 77)."""
    found = two([vote(i, o) for i, o in enumerate("a" * 26 + "t" * 13 + "b" * 11)])
    assert found.wins_of_all_a == 0.52
    assert found.wins_of_all_ci95 == pytest.approx((0.385, 0.652), abs=5e-4)
    assert found.win_rate_a == 0.65
    assert wilson(0.65 * 50, 50) == pytest.approx((0.51, 0.77), abs=5e-3)
    fit = sm.OLS([1] * 26 + [0.5] * 13 + [0] * 11, np.ones(50)).fit(cov_type="HC0")
    assert found.ci95 == pytest.approx(fit.conf_int()[0])
    assert found.decided_ci95 == pytest.approx(proportion_confint(26, 37, method="wilson"))


def test_llmfao_ratings_are_evalicas_bradley_terry_scores(shared_data):
    lines = (shared_data / "llmfao_items.jsonl").read_text(encoding="utf-8").splitlines()
    items = {i["item_id"]: i for i in map(json.loads, lines)}
    key = {"left": "a", "right": "b", "tie": "t"}
    cast = map(json.loads, (shared_data / "llmfao_votes.jsonl").read_text(encoding="utf-8").splitlines())
    votes = [
        vote(n, key[v["choice"]], rater=v["rater"], models=(items[v["item_id"]]["left"], items[v["item_id"]]["right"]))
        for n, v in enumerate(cast) if items[v["item_id"]]["left"] != items[v["item_id"]]["right"]
    ]  # fmt: skip
    found = ratings(columns(votes))
    finite = {r.model: r.rating for r in found if r.rating is not None and r.component == 0}
    assert len(finite) >= 50
    kept = [v for v in votes if v.model_a in finite and v.model_b in finite]
    assert finite == pytest.approx(by_evalica(kept), abs=0.01)


def by_evalica(votes):
    """{model: rating on our scale} from evalica's scores."""
    side = {"a": evalica.Winner.X, "b": evalica.Winner.Y}
    scores = evalica.bradley_terry(
        [v.model_a for v in votes], [v.model_b for v in votes],
        [side.get(v.outcome.value, evalica.Winner.Draw) for v in votes], tolerance=1e-13, limit=100_000,
    ).scores  # fmt: skip
    strength = np.log(scores)
    return dict((1000 + SCALE * (strength - strength.mean())).items())


# -- ratings ---------------------------------------------------------------------------------------------------


def league(strengths, n, seed, ties=0.2, raters=None):
    rng = random.Random(seed)
    found = []
    for i in range(n):
        x, y = rng.sample(range(len(strengths)), 2)
        chance = 1 / (1 + math.exp(strengths[y] - strengths[x]))
        outcome = "t" if rng.random() < ties else "a" if rng.random() < chance else "b"
        rater = f"r{rng.randrange(raters)}" if raters else f"r{i}"
        found.append(vote(i, outcome, models=(f"m{x}", f"m{y}"), rater=rater))
    return found


@pytest.mark.parametrize(("ties", "seed"), [(0.0, 1), (0.2, 2), (0.7, 3)])
def test_ratings_of_made_up_leagues_are_evalicas(ties, seed):
    votes = league([1.0, 0.4, 0.2, 0.0, -0.6], 600, seed, ties)
    found = {r.model: r.rating for r in ratings(columns(votes))}
    assert found == pytest.approx(by_evalica(votes), abs=0.01)
    mirrored = {r.model: r.rating for r in ratings(columns([swapped(v) for v in votes]))}
    assert mirrored == pytest.approx(found)


def test_two_leagues_that_never_met_are_each_rated_as_alone():
    one = league([0.5, 0.0, -0.5], 300, 4)
    other = [vote(i + 300, o, models=("x", "y"), rater=f"q{i}") for i, o in enumerate("aabtab")]
    found = {r.model: r for r in ratings(columns([*one, *other]))}
    assert {m: found[m].rating for m in ("m0", "m1", "m2")} == pytest.approx(by_evalica(one), abs=0.01)
    assert {m: found[m].rating for m in ("x", "y")} == pytest.approx(by_evalica(other), abs=0.01)
    assert {found["m0"].component, found["x"].component} == {0, 1}


def test_ratings_stand_by_the_lower_end_of_their_interval():
    """x looks best on four votes; y is nearly as good on four hundred and stands above it."""
    few = [vote(i, o, models=("x", "z"), rater=f"f{i}") for i, o in enumerate("aaabt")]
    many = [vote(10 + i, "a" if i % 3 else "b", models=("y", "z"), rater=f"m{i}") for i in range(400)]
    found = ratings(columns([*few, *many]))
    assert next(r.model for r in found) == "y"
    assert max(found, key=lambda r: r.rating).model == "x"


@pytest.mark.parametrize("raters", [None, 12])
def test_ratings_at_equal_style_are_a_glm_with_style_columns(raters):
    rng = random.Random(5)
    votes = league([0.6, 0.0, -0.3], 500, 6, raters=raters)
    texts = {r: "# head\n" * rng.randrange(2) + "- item\n" * rng.randrange(4) + "**b** " * rng.randrange(3)
             + "word " * rng.randint(5, 80) for v in votes for r in (v.response_a, v.response_b)}  # fmt: skip
    styles = {r: style_of(t) for r, t in texts.items()}
    c = columns(votes)
    found = style_controlled(c, styles)
    design = np.zeros((len(c), 3))
    design[np.arange(len(c)), c.a], design[np.arange(len(c)), c.b] = 1, -1
    of_a, of_b = (np.array([styles[r] for r in side]) for side in (c.response_a, c.response_b))
    total = of_a + of_b
    z = np.where(total == 0, 0, (of_a - of_b) / np.where(total == 0, 1, total))
    z = z / z.std(axis=0, ddof=1)
    kind = (
        {"cov_type": "cluster", "cov_kwds": {"groups": c.rater, "use_correction": False}}
        if raters
        else {"cov_type": "HC0"}
    )
    fit = sm.GLM(c.y, np.hstack([design[:, 1:], z]), family=sm.families.Binomial()).fit(**kind)
    wider = math.sqrt(raters / (raters - 1)) if raters else 1
    for i, name in enumerate(FEATURES):
        assert found.coefficients[name].value == pytest.approx(fit.params[2 + i], abs=1e-7)
        assert found.coefficients[name].se == pytest.approx(fit.bse[2 + i] * wider, rel=1e-5)
    strength = np.concatenate([[0], fit.params[:2]])
    expected = dict(zip(c.models, 1000 + SCALE * (strength - strength.mean()), strict=True))
    assert {r.model: r.rating for r in found.ratings} == pytest.approx(expected, abs=1e-4)


def test_equal_style_finds_the_coefficient_that_made_the_votes():
    """One unit of log odds for each standard deviation of length, and models that are the same otherwise."""
    rng = np.random.default_rng(7)
    length = rng.integers(50, 500, size=(4000, 2)).astype(float)
    z = (length[:, 0] - length[:, 1]) / length.sum(axis=1)
    won = rng.random(4000) < 1 / (1 + np.exp(-z / z.std(ddof=1)))
    votes = [vote(i, "a" if w else "b", rater=f"r{i}") for i, w in enumerate(won)]
    styles = {
        f"p{i}-{m}": Style(x, 0, 0, 0)
        for i, two in enumerate(length)
        for m, x in zip(("one", "two"), two, strict=True)
    }
    found = style_controlled(columns(votes), styles)
    low, high = found.coefficients["length"].ci95
    assert low < 1.0 < high
    assert high - low < 0.2
    assert found.why == {name: f"no two answers differ in {name}" for name in ("headers", "lists", "bold")}


def test_style_that_tells_every_winner_gives_no_rating():
    votes = [vote(i, "ab"[i % 2], rater=f"r{i}") for i in range(40)]
    styles = {
        f"p{i}-{m}": Style(100 if (m == "one") == (i % 2 == 0) else 50, 0, 0, 0)
        for i in range(40)
        for m in ("one", "two")
    }
    assert style_controlled(columns(votes), styles) == "style alone tells who won: no finite rating fits"
    assert style_controlled(columns(votes), {}) == "no vote has both texts on record"


def test_style_is_read_outside_code():
    text = "# Title\n\n* one\n2. two\n**bold** and __bold__\n```\n# no\n- no\n**no**\n```"
    assert style_of(text) == Style(len(text), 1, 2, 2)


# -- win rates -------------------------------------------------------------------------------------------------


CASES = {
    "ties only": ["t"] * 9, "one vote": ["a"], "all wins": ["a"] * 12, "mixed": list("aabtabgxab" * 4),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_shares_and_tests_are_scipys_and_statsmodels(case):
    outcomes = CASES[case]
    found = two([vote(i, o, rater=f"r{i}") for i, o in enumerate(outcomes)])
    wins, losses = outcomes.count("a"), outcomes.count("b")
    assert found.win_rate_a == pytest.approx(np.mean([{"a": 1, "b": 0}.get(o, 0.5) for o in outcomes]))
    if wins + losses:
        assert found.decided_ci95 == pytest.approx(proportion_confint(wins, wins + losses, method="wilson"))
        assert found.sign_test_p == pytest.approx(binomtest(wins, wins + losses).pvalue)
    else:
        assert (found.decided_win_rate_a, found.sign_test_p) == (None, 1.0)


@pytest.mark.parametrize("seed", [1, 2])
def test_correlated_raters_widen_the_interval_as_statsmodels_says(seed):
    """Twelve raters with tastes of their own: the cluster-robust error, and well over the naive one."""
    rng = np.random.default_rng(seed)
    taste = rng.normal(0, 1.2, 12)
    rater = rng.integers(0, 12, 300)
    y = (rng.random(300) < 1 / (1 + np.exp(-taste[rater]))).astype(float)
    found = clustered_mean(y, rater, np.arange(300))
    fit = sm.OLS(y, np.ones(300)).fit(cov_type="cluster", cov_kwds={"groups": rater})
    assert found.se == pytest.approx(fit.bse[0])
    assert found.se > 1.5 * found.naive_se
    assert found.design_effect == pytest.approx((found.se / found.naive_se) ** 2)


# -- agreement -------------------------------------------------------------------------------------------------


def sheet(raters, battles, seed, missing=0.3, labels=(A, B, TIE)):
    """{rater: [label or None]} of raters who mostly agree."""
    rng = random.Random(seed)
    truth = [rng.choice(labels) for _ in range(battles)]
    return {f"r{k}": [None if rng.random() < missing else t if rng.random() < 0.7 else rng.choice(labels) for t in truth]
            for k in range(raters)}  # fmt: skip


def given(table):
    return [Opinion(f"i{i}", rater, label, n) for n, (rater, i, label) in
            enumerate((r, i, x) for r, row in table.items() for i, x in enumerate(row) if x is not None)]  # fmt: skip


@pytest.mark.parametrize("seed", range(4))
def test_alpha_is_that_of_three_libraries(seed):
    table = sheet(5, 40, seed)
    found = agreement(given(table)).krippendorff_alpha
    data = np.array([[np.nan if x is None else x for x in row] for row in table.values()])
    assert found == pytest.approx(krippendorff.alpha(reliability_data=data, level_of_measurement="nominal"))
    assert found == pytest.approx(evalica.alpha(pd.DataFrame(data), distance="nominal").alpha)
    rows = [(f"i{i}", r, x) for r, row in table.items() for i, x in enumerate(row) if x is not None]
    assert found == pytest.approx(alpha_krippendorff(pd.DataFrame(rows, columns=["task", "worker", "label"])))


@pytest.mark.parametrize("seed", range(3))
def test_kappas_are_those_of_statsmodels(seed):
    table = sheet(3, 30, seed, missing=0.0)
    found = agreement(given(table))
    data = np.array(list(table.values())).T
    assert found.fleiss_kappa == pytest.approx(fleiss_kappa(aggregate_raters(data, n_cat=3)[0]))
    for k in found.cohen_kappa:
        cells = np.zeros((3, 3), int)
        np.add.at(cells, (np.array(table[k.rater_1]), np.array(table[k.rater_2])), 1)
        assert k.kappa == pytest.approx(cohens_kappa(cells, return_results=False))


def test_one_label_only_is_undefined_where_other_libraries_say_one_or_raise():
    table = {r: [A] * 8 for r in ("r0", "r1", "r2")}
    found = agreement(given(table))
    assert (found.krippendorff_alpha, found.why["krippendorff_alpha"]) == (
        None,
        "everyone gave the same label",
    )
    assert evalica.alpha(pd.DataFrame([[0.0] * 8] * 3), distance="nominal").alpha == 1.0
    with pytest.raises(ValueError, match="more than one value"):
        krippendorff.alpha(reliability_data=np.zeros((3, 8)), level_of_measurement="nominal")


def test_a_rater_who_repeats_changes_the_figures_only_where_every_vote_counts():
    table = sheet(4, 20, 9, missing=0.0)
    once = given(table)
    again = [Opinion(o.battle, o.rater, o.label, 1000 + o.at) for o in once]
    assert agreement([*once, *again]) == agreement(once)
    assert krippendorff_alpha(label_counts(once))[0] == agreement(once).krippendorff_alpha


def test_no_votes_are_no_columns_and_no_ratings():
    assert ratings(columns([])) == ()
    assert agreement([]).percent is None
    assert list(columns([]).pairs()) == []
