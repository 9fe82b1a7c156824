"""Consensus: true labels found among bad raters, error rates recovered, and a plain word where overlap is too small."""

import json
import random

import pytest

from bench.consensus import majorities
from db.errors import UserError
from labeling.agreement import Opinion
from labeling.consensus import Consensus, dawid_skene, information, why_not


def crowd(seed, battles=300, good=3, bad=4, ties=0.2):
    """Labels on battles of known truth: some raters right nine times in ten, the others nearly always `a`."""
    dice = random.Random(seed)
    truth = {f"b{i}": 2 if dice.random() < ties else dice.randrange(2) for i in range(battles)}
    given = []
    for battle, label in truth.items():
        given += [(f"good{i}", battle, _mostly(dice, label)) for i in range(good)]
        given += [(f"bad{i}", battle, _mostly(dice, 0)) for i in range(bad)]
    dice.shuffle(given)
    return truth, given


def _mostly(dice, label):
    return label if dice.random() < 0.9 else dice.randrange(3)


def share(found, truth):
    return sum(found[b] == label for b, label in truth.items()) / len(truth)


@pytest.mark.parametrize("seed", range(3))
def test_true_labels_are_found_where_a_majority_of_raters_is_bad(seed):
    truth, given = crowd(seed)
    found = dawid_skene(given)
    best = {b: p.index(max(p)) for b, p in found.probabilities.items()}
    by_majority = majorities(Opinion(b, r, label, i) for i, (r, b, label) in enumerate(given))
    assert share(best, truth) > 0.95 > 0.7 > share(by_majority, truth)


def test_error_rates_say_who_errs_and_rows_are_shares():
    truth, given = crowd(1, battles=600)
    found = dawid_skene(given)
    for rater, rows in found.errors.items():
        assert [round(sum(row), 6) for row in rows] == [1, 1, 1]
        right = sum(rows[i][i] for i in range(3)) / 3
        assert (right > 0.88) if rater.startswith("good") else (right < 0.4 and rows[1][0] > 0.85)
    assert all(abs(sum(p) - 1) < 1e-6 for p in found.probabilities.values())
    assert len(found.probabilities) == len(truth)


def test_order_changes_nothing_and_a_label_nobody_gave_has_no_chance():
    _, given = crowd(2, battles=60, ties=0)
    given = [(r, b, min(label, 1)) for r, b, label in given]
    first, second = dawid_skene(given), dawid_skene(given[::-1])
    assert first == second
    assert all(p[2] == 0 for p in first.probabilities.values())
    assert first.errors["good0"][2] == (1 / 3, 1 / 3, 1 / 3)


def test_too_little_overlap_is_said_plainly():
    alone = [(f"r{i}", f"b{i}", 0) for i in range(50)]
    with pytest.raises(
        UserError, match="needs 3 raters who share battles, and here are 0; raise the campaign's overlap"
    ):
        dawid_skene(alone)
    three = [(f"r{i}", f"b{j}", 0) for i in range(3) for j in range(5)]
    assert why_not(three) == "a consensus needs 20 battles judged by two raters or more, and here are 5"
    assert why_not([(f"r{i}", f"b{j}", 0) for i in range(3) for j in range(20)]) is None


def test_information_is_bits_and_none_where_the_label_is_always_the_same():
    sure = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
    always = ((1.0, 0.0, 0.0),) * 3
    turned = ((0.0, 1.0, 0.0), (1.0, 0.0, 0.0), (0.0, 0.0, 1.0))
    even = {"b1": (1.0, 0.0, 0.0), "b2": (0.0, 1.0, 0.0)}
    bits = information(Consensus(even, {"sure": sure, "always": always, "turned": turned}))
    assert bits == {"sure": 1.0, "always": 0.0, "turned": 1.0}


def test_on_real_labels_of_three_careful_raters_it_says_what_the_majority_says(shared_data):
    rows = [json.loads(line) for line in (shared_data / "pandalm_votes.jsonl").read_text().splitlines()]
    given = [(r["rater"], r["item_id"], {"a": 0, "b": 1}.get(r["choice"], 2)) for r in rows]
    found = dawid_skene(given)
    by_majority = majorities(Opinion(b, r, label, i) for i, (r, b, label) in enumerate(given))
    assert {b: p.index(max(p)) for b, p in found.probabilities.items()} == by_majority
    assert all(bits > 1 for bits in information(found).values())
