"""Win rates against statsmodels, closed forms, published leaderboards, and what must not change them."""

import csv
import json
import math
import random
from dataclasses import replace

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, t

from arena.columns import columns
from arena.intervals import anytime, clustered_mean, decided_needed, sign_test, votes_needed, wilson
from arena.winrates import head_to_head, length_controlled
from db.assignments import Candidate
from db.entities.campaigns import Sampling
from labeling.assignment import draw
from tests.votes_by_hand import swapped, vote


def duel(votes, lengths=None, order=("one", "two")):
    ((pair, found),) = columns(votes, order).pairs()
    return head_to_head(pair, found, lengths or {}, 0.0)


def crowd(n=400, raters=12, prompts=80, seed=1, rate=0.6):
    """Votes of raters with tastes of their own on prompts with winners of their own."""
    rng = random.Random(seed)
    taste = [rng.gauss(0, 0.15) for _ in range(raters)]
    hard = [rng.gauss(0, 0.2) for _ in range(prompts)]
    found = []
    for i in range(n):
        r, p = rng.randrange(raters), rng.randrange(prompts)
        outcome = "t" if rng.random() < 0.15 else "a" if rng.random() < rate + taste[r] + hard[p] else "b"
        found.append(vote(i, outcome, rater=f"r{r}", prompt=f"p{p}", left=rng.choice("ab")))
    return found


def test_counts_and_rate_of_a_small_table():
    found = duel([vote(i, o) for i, o in enumerate("aaabttgxx")])
    assert (found.wins_a, found.wins_b, found.ties, found.both_good, found.both_bad) == (3, 1, 2, 1, 2)
    assert found.n == 9
    assert found.win_rate_a == pytest.approx((3 + 5 * 0.5) / 9)
    assert found.decided_win_rate_a == 0.75
    assert found.sign_test_p == pytest.approx(2 * binom.cdf(1, 4, 0.5))


def test_two_way_standard_error_is_statsmodels_own():
    votes = crowd()
    found = duel(votes)
    c = columns(votes)
    fit = sm.OLS(c.y, np.ones(len(c))).fit(
        cov_type="cluster", cov_kwds={"groups": np.column_stack([c.rater, c.prompt])}
    )
    assert found.se == pytest.approx(float(fit.bse[0]))
    assert found.ci_method == "two-way cluster-robust by rater and prompt, t(11)"
    margin = t.ppf(0.975, 11) * found.se
    assert found.ci95 == pytest.approx((found.win_rate_a - margin, found.win_rate_a + margin))
    assert found.ci95.high - found.ci95.low > found.naive_ci95.high - found.naive_ci95.low


def test_two_way_variance_in_closed_form():
    """Cluster sums of residuals, squared, each with G / (G - 1): by rater, plus by prompt, less by both."""
    c = columns(crowd(n=150, raters=5, prompts=30, seed=4))
    residual = c.y - c.y.mean()

    def part(group):
        sums = np.array([residual[group == g].sum() for g in np.unique(group)])
        return len(sums) / (len(sums) - 1) * (sums**2).sum() / len(c) ** 2

    expected = part(c.rater) + part(c.prompt) - part(c.rater * 1000 + c.prompt)
    assert clustered_mean(c.y, c.rater, c.prompt).se ** 2 == pytest.approx(expected)


def test_the_method_follows_what_repeats():
    y = np.array([1.0, 0, 0.5, 1, 0, 1, 1, 0])
    each, two, one = np.arange(8), np.arange(8) % 2, np.zeros(8, int)
    assert clustered_mean(y, each, each).method == "HC0, normal"
    assert clustered_mean(y, two, each).method == "cluster-robust by rater, t(1)"
    assert clustered_mean(y, each, np.arange(8) // 2).method == "cluster-robust by prompt, t(3)"
    assert clustered_mean(y, one, each).method == "HC0, normal"
    assert clustered_mean(y, one, np.arange(8) // 2).method == "cluster-robust by prompt, t(3)"
    assert clustered_mean(y, each, each).se == pytest.approx(y.std() / math.sqrt(8))


def test_a_two_way_variance_that_is_not_positive_takes_the_larger_one_way():
    y, rater, prompt = np.array([1, 1, 1, 0.5, 1]), np.array([0, 1, 1, 1, 1]), np.array([1, 0, 1, 1, 2])
    found = clustered_mean(y, rater, prompt)
    by_rater, by_prompt = 2 * (0.1**2 + 0.1**2) / 25, 3 / 2 * (0.2**2 + 0.1**2 + 0.1**2) / 25
    assert by_prompt > by_rater
    assert found.se == pytest.approx(math.sqrt(by_prompt))
    assert found.method == "cluster-robust by prompt, t(2) (the two-way variance was not positive)"


def test_clusters_that_leave_no_spread_give_no_interval():
    y, rater, prompt = np.array([1.0, 0, 0, 1]), np.array([0, 0, 1, 1]), np.arange(4)
    found = clustered_mean(y, rater, prompt)
    assert (found.se, found.ci95) == (None, None)
    assert "leaves no spread" in found.method


@pytest.mark.parametrize("model", ["phi-2", "phi-2-sft", "phi-2-dpo", "tulu-2-dpo-7b", "zephyr-7b-beta"])
def test_alpaca_eval_win_rates_and_standard_errors_as_published(shared_data, model):
    with (shared_data / "arena_published_winrates.csv").open(encoding="utf-8") as file:
        row, = (r for r in csv.DictReader(file)
                if r["model"] == model and r["leaderboard"] == "alpaca_eval_gpt4 vs text_davinci_003")  # fmt: skip
    with (shared_data / "arena_judge_prefs.jsonl").open(encoding="utf-8") as file:
        wins = [r["p_model_wins"] for r in map(json.loads, file) if r["model"] == model]
    y = np.array(wins, dtype=float)
    found = clustered_mean(y, np.zeros(len(y), int), np.arange(len(y)))
    assert len(y) == int(row["n_total"])
    assert 100 * found.mean == pytest.approx(float(row["win_rate"]))
    assert 100 * found.naive_se == pytest.approx(float(row["standard_error"]))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abtgx"), st.integers(0, 3), st.integers(0, 5), st.sampled_from("ab")),
                min_size=1, max_size=60), st.randoms())  # fmt: skip
def test_slots_and_order_of_rows_change_nothing(rows, rng):
    votes = [vote(i, o, rater=f"r{r}", prompt=f"p{p}", left=side) for i, (o, r, p, side) in enumerate(rows)]
    lengths = {f"p{p}-{m}": 7 * p + len(m) * 3 for p in range(6) for m in ("one", "two")}
    expected = duel(votes, lengths)
    turned = [swapped(v) if rng.random() < 0.5 else v for v in votes]
    rng.shuffle(turned)
    assert duel(turned, lengths) == expected


def test_exchanging_the_models_mirrors_every_figure():
    votes = crowd()
    rng = random.Random(9)
    lengths = {r: rng.randrange(20, 900) for v in votes for r in (v.response_a, v.response_b)}
    ab, ba = duel(votes, lengths), duel(votes, lengths, order=("two", "one"))
    assert (ba.model_a, ba.wins_a, ba.wins_b) == ("two", ab.wins_b, ab.wins_a)
    assert ba.win_rate_a == pytest.approx(1 - ab.win_rate_a)
    assert ba.se == pytest.approx(ab.se)
    assert ba.length_controlled_win_rate_a == pytest.approx(1 - ab.length_controlled_win_rate_a)
    assert ba.anytime.p == pytest.approx(ab.anytime.p)
    assert ba.anytime.cs95 == pytest.approx((1 - ab.anytime.cs95.high, 1 - ab.anytime.cs95.low))
    assert ba.left_win_share == ab.left_win_share


# -- edges -----------------------------------------------------------------------------------------------------


def test_ties_only():
    found = duel([vote(i, "t") for i in range(5)])
    assert (found.win_rate_a, found.se, found.ci95, found.decided_win_rate_a, found.sign_test_p) == (
        0.5,
        None,
        None,
        None,
        1,
    )
    assert found.anytime == (1, 1, (0, 1))
    assert found.why["decided_win_rate_a"] == "every vote is a tie"
    assert "every vote is the same" in found.why["ci95"]
    assert found.verdict.startswith("No difference seen")


def test_one_vote():
    found = duel([vote(1, "a")])
    assert (found.win_rate_a, found.se, found.naive_ci95) == (1, None, None)
    assert found.why["se"] == "one vote"
    assert "too few votes" in found.verdict
    assert found.verdict.endswith("This speaks for one rater alone.")


def test_all_wins_have_no_standard_error_but_a_wilson_interval_and_are_settled():
    found = duel([vote(i, "b", rater=f"r{i % 3}") for i in range(20)])
    assert (found.win_rate_a, found.se) == (0, None)
    assert found.decided_ci95 == pytest.approx((0, 0.1611), abs=1e-4)
    assert found.settled
    assert found.verdict.startswith("two is preferred to one: it wins 100 % of votes")


def test_a_clear_lead_of_votes_that_hang_together_is_not_settled():
    """Two raters who each always say the same: many votes, two opinions."""
    votes = [vote(i, "a" if i % 3 else "b", rater="r1" if i % 3 else "r2") for i in range(120)]
    found = duel(votes)
    assert found.anytime.p < 0.05
    assert not found.settled
    assert found.verdict.startswith("one is ahead of two")
    assert "the interval still holds 50 %" in found.verdict


def test_equal_models_are_called_so():
    votes = [vote(i, "ab"[i % 2], rater=f"r{i % 97}") for i in range(4000)]
    assert "about as good as each other" in duel(votes).verdict


def test_a_battle_of_a_model_with_itself_and_a_skip_count_nowhere():
    assert len(columns([vote(1, "a", models=("one", "one"))])) == 0


def test_left_wins():
    votes = [
        vote(1, "a", left="a"),
        vote(2, "b", left="b"),
        vote(3, "b", left="a"),
        vote(4, "a", left=None),
        vote(5, "t"),
    ]
    found = duel(votes)
    assert found.left_win_share == pytest.approx(2 / 3)
    assert found.left_win_ci95 == pytest.approx(tuple(wilson(2, 3)))
    unknown = duel([vote(1, "a", left=None)])
    assert (unknown.left_win_share, "left_win_share" in unknown.why) == (None, True)


# -- single figures --------------------------------------------------------------------------------------------


def test_wilson_in_closed_form():
    z, k, n = 1.959963984540054, 27, 40
    p = k / n
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    assert wilson(k, n) == pytest.approx((middle - half, middle + half))
    assert wilson(0, 0) is None


@pytest.mark.parametrize("k", range(9))
def test_sign_test_in_closed_form(k):
    tail = sum(math.comb(8, i) for i in range(min(k, 8 - k) + 1)) / 2**8
    assert sign_test(k, 8) == pytest.approx(min(1, 2 * tail))


def test_e_value_in_closed_form_and_p_from_its_largest():
    won = np.array([True] * 9 + [False] * 9)
    found = anytime(won)
    beta = math.factorial(9) * math.factorial(9) / math.factorial(19)
    assert found.e_value == pytest.approx(beta * 2**18)
    assert found.p == pytest.approx(10 / 2**9), "nine wins in a row: B(10, 1) * 2^9 = 2^9 / 10"


def test_the_confidence_sequence_is_where_e_is_under_twenty():
    won = np.array([True] * 31 + [False] * 11)
    low, high = anytime(won).cs95
    for p in (low, high):
        e = math.exp(math.lgamma(32) + math.lgamma(12) - math.lgamma(44)) / (p**31 * (1 - p) ** 11)
        assert e == pytest.approx(20)
    assert low < 31 / 42 < high
    assert anytime(np.array([True])).cs95 == (pytest.approx(1 / 40), 1)
    assert anytime(np.zeros(3, bool)).cs95[0] == 0


def test_a_row_of_wins_longer_than_a_float_can_weigh():
    found = anytime(np.ones(5000, bool))
    assert math.isfinite(found.e_value)
    assert 0 <= found.p < 1e-300


def test_looking_after_every_vote_errs_in_at_most_one_run_of_twenty():
    rng = np.random.default_rng(7)
    runs = [anytime(rng.random(500) < 0.5).p <= 0.05 for _ in range(400)]
    fixed = [any(sign_test(int(k), n) <= 0.05 for n, k in enumerate(np.cumsum(rng.random(200) < 0.5), 1) if n % 10 == 0)
             for _ in range(100)]  # fmt: skip
    assert np.mean(runs) <= 0.05 < np.mean(fixed)


def test_votes_needed_equals_the_textbook_formula_and_grows_with_what_is_lost():
    z, power = 1.959963984540054, 0.8416212335729143
    for p in (0.55, 0.6, 0.65, 0.7):
        n = ((z * 0.5 + power * math.sqrt(p * (1 - p))) / (p - 0.5)) ** 2
        assert decided_needed(p, 0.8) == math.ceil(n)
    plain, spread = votes_needed(), votes_needed(design_effect=2.0, decided_share=0.5)
    assert [n.rate for n in plain] == [0.55, 0.6, 0.65, 0.7]
    assert spread[1].power80 == 4 * plain[1].power80
    assert all(n.power90 > n.power80 for n in plain)


def test_length_control_finds_the_rate_at_equal_length():
    """Votes drawn from the model itself: 0.5 at equal length, longer answers win more."""
    rng = np.random.default_rng(2)
    difference = rng.normal(300, 400, 20000)
    x = np.tanh(difference / difference.std(ddof=1))
    y = (rng.random(20000) < 1 / (1 + np.exp(-1.5 * x))).astype(float)
    assert y.mean() > 0.6
    assert length_controlled(y, difference).value == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize(("y", "difference", "reason"), [
    ([1.0] * 20, range(20), "fewer than 50"), ([1.0, 0.0] * 30, [5] * 60, "by the same"),
    ([1.0] * 60, range(60), "one way"), ([0.0] * 30 + [1.0] * 30, range(60), "length alone"),
    ([1.0, 0.0] * 60, [math.nan] * 120, "fewer than 50"),
])  # fmt: skip
def test_length_control_says_why_it_is_undefined(y, difference, reason):
    found = length_controlled(np.array(y), np.array(list(difference), dtype=float))
    assert found.value is None
    assert reason in found.why


# -- uneven sampling -------------------------------------------------------------------------------------------


def test_weights_give_the_published_form_of_the_weighted_mean_and_its_error():
    y, w = np.array([1.0, 0.0, 1.0, 0.5, 0.0]), np.array([1.0, 2.0, 0.5, 1.0, 3.0])
    each = np.arange(5)
    found = clustered_mean(y, each, each, w)
    mean = (w * y).sum() / w.sum()
    assert found.mean == pytest.approx(mean)
    assert found.se == pytest.approx(np.sqrt(((w * (y - mean)) ** 2).sum()) / w.sum()), (
        "linearised (Hajek, 1971)"
    )
    assert clustered_mean(y, each, each, np.ones(5)) == clustered_mean(y, each, each)


@pytest.mark.parametrize("sampling", [Sampling.MOST_UNCERTAIN, Sampling.JUDGE_DISAGREEMENT])
def test_smart_sampling_leaves_the_win_rate_where_even_sampling_puts_it(sampling):
    """Battles that the sampling prefers are won by b more often; by their weights the rate is the battles' own."""
    lot = random.Random(7)
    battles = [Candidate(n, 3 if n % 2 else 0, 0, 0, 0.97 if n % 2 else 0.5) for n in range(200)]
    truth = {c.battle: 0.9 if c.battle % 2 else 0.3 for c in battles}
    plain, weighted = [], []
    for _ in range(60):
        votes = []
        for number in range(100):
            one = draw(battles, len(battles), sampling, 0.2, 1, lot)[0]
            won = "a" if lot.random() < truth[one.battle] else "b"
            votes.append(
                replace(vote(number, won, prompt=str(one.battle)), weight=1 / (one.chance * one.among))
            )
        found = columns(votes)
        weighted.append(clustered_mean(found.y, found.rater, found.prompt, found.weight).mean)
        plain.append(found.y.mean())
    assert np.mean(weighted) == pytest.approx(0.6, abs=0.025)
    assert abs(np.mean(plain) - 0.6) > 0.1
