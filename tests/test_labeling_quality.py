"""Rater figures in closed form, and flags that find careless raters and leave careful ones alone."""

import random

import pytest

from labeling.flags import Flag
from labeling.others import Shared, information
from labeling.quality import rater_figures
from tests.votes_by_hand import swapped, vote


def crowd(profiles, battles=60, seed=1):
    """Every rater judges every battle; the truth favours a random side's model; sides are drawn for each rater."""
    rng = random.Random(seed)
    truth = [rng.choice("ab") for _ in range(battles)]
    found = []
    for name, profile in profiles.items():
        for i, best in enumerate(truth):
            left = rng.choice("ab")
            pressed = {"careful": best if rng.random() < 0.9 else rng.choice("abt"), "left": left,
                       "right": "ab"[left == "a"], "random": rng.choice("ab"), "tie": "t",
                       "fast": best}[profile]  # fmt: skip
            ms = 400 if profile == "fast" else int(8000 * rng.lognormvariate(0, 0.4))
            found.append(vote(len(found), pressed, rater=name, prompt=f"p{i}", left=left, ms=ms))
    return found


def by_name(votes, lengths=None):
    return {f.rater: f for f in rater_figures(votes, lengths or {})}


CROWD = {"c1": "careful", "c2": "careful", "c3": "careful", "lefty": "left", "righty": "right", "dice": "random",
         "shrug": "tie", "rush": "fast"}  # fmt: skip


def test_each_kind_of_careless_rater_is_flagged_for_what_they_do():
    found = by_name(crowd(CROWD))
    assert Flag.LEFT in found["lefty"].flags
    assert Flag.RIGHT in found["righty"].flags
    assert found["dice"].flags == (Flag.RANDOM,)
    assert found["shrug"].flags == (Flag.SAME,)
    assert found["rush"].flags == (Flag.FAST,)


@pytest.mark.parametrize("seed", range(8))
def test_careful_raters_are_not_flagged_even_among_careless_ones(seed):
    found = by_name(crowd(CROWD, seed=seed))
    assert [found[c].flags for c in ("c1", "c2", "c3")] == [(), (), ()]


def test_a_hundred_careful_raters_have_no_flag():
    votes = crowd({f"c{i}": "careful" for i in range(100)}, battles=40, seed=3)
    assert [f.rater for f in rater_figures(votes, {}) if f.flags] == []


def test_a_handful_of_votes_flags_nobody():
    assert all(f.flags == () for f in rater_figures(crowd(CROWD, battles=5), {}))


def test_reading_pace_counts_not_only_seconds():
    lengths = {f"p{i}-{m}": 4000 for i in range(60) for m in ("one", "two")}
    found = by_name(crowd({"skims": "careful"}), {k: v / 10 for k, v in lengths.items()})
    assert found["skims"].flags == ()
    assert by_name(crowd({"skims": "careful"}), lengths)["skims"].flags == (Flag.FAST,)


def test_figures_of_one_rater_in_closed_form():
    lengths = {"p1-one": 10, "p1-two": 5, "p2-one": 3, "p2-two": 9, "p3-one": 4, "p3-two": 4}
    votes = [vote(1, "a", prompt="p1", left="a", ms=2000), vote(2, "a", prompt="p2", left="b", ms=4000),
             vote(3, "b", prompt="p3", left="b", ms=9000), vote(4, "g", prompt="p4"),
             vote(5, "b", prompt="p1", left="a"), vote(6, "b", prompt="p1", left=None)]  # fmt: skip
    found = by_name(votes, lengths)["r1"]
    assert (found.votes, found.median_seconds) == (6, 4.0)
    assert found.left_share == pytest.approx(2 / 4)
    assert found.tie_share == pytest.approx(1 / 6)
    assert found.longer_share == pytest.approx(1 / 4), "p1 longer once, shorter twice, p2 shorter"
    assert found.self_consistency == pytest.approx(1 / 2), "a then b, then b again"
    assert (found.agreement, found.influence, found.information) == (None, None, None)
    assert found.why["agreement"] == "nobody else decided on the same battles"
    assert set(found.why) == {"gold_accuracy", "agreement", "information", "information_by", "influence"}


def test_agreement_is_with_the_majority_of_the_others():
    rows = {"r1": "aabt", "r2": "aaab", "r3": "abab"}
    votes = [
        vote(10 * i + j, o, rater=r, prompt=f"p{j}")
        for i, (r, os) in enumerate(rows.items())
        for j, o in enumerate(os)
    ]
    found = by_name(votes)
    assert (found["r1"].agreement, found["r1"].agreement_n) == (0.5, 2), (
        "p1: the others are split; p3: a tie of their own"
    )
    assert (found["r2"].agreement, found["r2"].agreement_n) == (1.0, 1)


def test_influence_is_how_far_the_rate_moves_without_the_rater():
    votes = [
        vote(1, "a", rater="x"),
        vote(2, "a", rater="x"),
        vote(3, "b", rater="y"),
        vote(4, "t", rater="z"),
    ]
    found = by_name(votes)
    assert found["x"].influence == pytest.approx(2.5 / 4 - 0.5 / 2)
    assert found["y"].influence == pytest.approx(2.5 / 3 - 2.5 / 4)


def test_swapping_slots_and_order_change_nothing():
    votes = crowd(CROWD, battles=25)
    rng = random.Random(4)
    turned = [swapped(v) if rng.random() < 0.5 else v for v in votes]
    rng.shuffle(turned)
    assert rater_figures(turned, {}) == rater_figures(votes, {})


def test_information_in_closed_form():
    """A perfect copy of a fair coin tells one bit; a constant tells nothing."""
    copies = [Shared(i % 2, (3, 0, 0) if i % 2 == 0 else (0, 3, 0)) for i in range(4000)]
    assert information(copies) == pytest.approx(1, abs=0.001)
    assert information([Shared(0, s.others) for s in copies]) == 0


def test_simulated_raters_say_so():
    found = by_name([vote(1, "a", rater="s", kind="simulated"), vote(2, "a", rater="p")])
    assert (found["s"].simulated, found["p"].simulated) == (True, False)


def test_no_votes():
    assert rater_figures([], {}) == ()
