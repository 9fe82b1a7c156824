"""Agreement against published figures, a worked example and closed forms."""

import json
import random

import numpy as np
import pytest

from bench.consensus import majorities
from labeling.agreement import (
    TIE,
    A,
    B,
    Opinion,
    Repeats,
    agreement,
    cohen_kappas,
    krippendorff_alpha,
    label_counts,
    rater_pairs,
    standing,
)

LABEL = {"a": A, "b": B, "tie": TIE}


def rows(path):
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def given(*votes):
    """(battle, rater, label) triples as opinions in order of arrival."""
    return [Opinion(b, r, LABEL[x], i) for i, (b, r, x) in enumerate(votes)]


def mtbench(path, turn=None, who=""):
    """MT-Bench rows as opinions on the unordered two models."""
    found = []
    for i, row in enumerate(rows(path)):
        if not row["judge"].startswith(who) or (turn and row["turn"] != turn):
            continue
        first, second = sorted((row["model_a"], row["model_b"]))
        label = (
            TIE if row["winner"] not in ("model_a", "model_b") else A if row[row["winner"]] == first else B
        )
        found.append(Opinion(f"{row['question_id']}/{row['turn']}/{first}/{second}", row["judge"], label, i))
    return found


@pytest.mark.parametrize("turn", [1, 2])
def test_mtbench_experts_agree_as_published(shared_data, turn):
    published = json.loads((shared_data / "published_agreement.json").read_text(encoding="utf-8"))[
        "mt_bench"
    ]["cells"]
    cell = {c["setup"]: c for c in published if c["turn"] == turn and c["between"] == "human-human"}
    found = agreement(mtbench(shared_data / "mtbench_human_votes.jsonl", turn, "expert"), Repeats.EVERY)
    assert found.percent_n == cell["S1"]["total"]
    assert found.percent == pytest.approx(cell["S1"]["agree"] / cell["S1"]["total"])
    assert found.percent_decided_n == cell["S2"]["total"]
    assert found.percent_decided == pytest.approx(cell["S2"]["agree"] / cell["S2"]["total"])
    assert found.convention == "every vote"


def test_mtbench_alpha_and_battles_with_two(shared_data):
    published = json.loads((shared_data / "published_agreement.json").read_text(encoding="utf-8"))
    expected = published["mt_bench"]["judgelab_report_reproduced"]
    votes = mtbench(shared_data / "mtbench_human_votes.jsonl")
    found = agreement(votes, Repeats.EVERY)
    assert found.raters == 65
    assert found.battles_with_2plus == expected["items_with_2plus_votes"]
    assert agreement(votes).battles_with_2plus == found.battles_with_2plus - 1, (
        "one rater alone voted twice on one"
    )
    assert found.krippendorff_alpha == pytest.approx(expected["krippendorff_alpha_nominal_human"], abs=0.0006)
    assert (found.fleiss_kappa, found.why["fleiss_kappa"]) == (
        None,
        "battles have different numbers of votes",
    )


def test_pandalm_kappas_as_published(shared_data):
    published = json.loads((shared_data / "published_agreement.json").read_text(encoding="utf-8"))
    expected = published["pandalm"]["recomputed_shared_400"]
    votes = rows(shared_data / "pandalm_votes.jsonl")
    found = agreement(given(*((v["item_id"], v["rater"], v["choice"]) for v in votes)))
    kappas = {f"{k.rater_1[-1]}-{k.rater_2[-1]}": k for k in found.cohen_kappa}
    for pair in ("1-2", "1-3", "2-3"):
        assert kappas[pair].kappa == pytest.approx(expected[pair], abs=6e-5)
        assert kappas[pair].n == 400
    assert found.fleiss_kappa == pytest.approx(expected["fleiss"], abs=6e-5)
    assert found.krippendorff_alpha == pytest.approx(expected["krippendorff_alpha"], abs=6e-5)


def test_llmfao_alpha_as_published(shared_data):
    published = json.loads((shared_data / "published_agreement.json").read_text(encoding="utf-8"))
    label = {"left": "a", "right": "b", "tie": "tie"}
    votes = [(v["item_id"], v["rater"], label[v["choice"]]) for v in rows(shared_data / "llmfao_votes.jsonl")]
    found = agreement(given(*votes))
    expected = published["llmfao_shared_recomputed"]["krippendorff_alpha_nominal"]
    assert found.krippendorff_alpha == pytest.approx(expected, abs=6e-5)


def test_alpha_of_a_worked_example():
    """Twelve units, four coders, nominal: the example of Krippendorff's own note (alpha 0.743), five labels."""
    coders = [
        "1 2 3 3 2 1 4 1 2 - - -",
        "1 2 3 3 2 2 4 1 2 5 - 3",
        "- 3 3 3 2 3 4 2 2 5 1 -",
        "1 2 3 3 2 4 4 1 2 5 1 -",
    ]
    table = np.zeros((12, 5), np.int64)
    for coder in coders:
        for unit, label in enumerate(coder.split()):
            if label != "-":
                table[unit, int(label) - 1] += 1
    assert krippendorff_alpha(table)[0] == pytest.approx(0.743, abs=5e-4)


def test_order_of_rows_changes_nothing():
    rng = random.Random(3)
    votes = [(f"b{i % 20}", f"r{rng.randrange(5)}", rng.choice(["a", "b", "tie"])) for i in range(120)]
    stored = given(*votes)
    shuffled = stored[:]
    rng.shuffle(shuffled)
    assert agreement(shuffled) == agreement(stored)


def test_swapping_sides_with_labels_changes_nothing():
    rng = random.Random(5)
    votes = [(f"b{i // 3}", f"r{i % 3}", rng.choice(["a", "b", "tie"])) for i in range(90)]
    swap = {"a": "b", "b": "a", "tie": "tie"}
    assert agreement(given(*((b, r, swap[x]) for b, r, x in votes))) == agreement(given(*votes))


def test_a_rater_who_voted_twice_counts_once_with_the_last_vote():
    votes = given(("x", "r1", "a"), ("x", "r2", "b"), ("x", "r1", "b"))
    last, every = agreement(votes), agreement(votes, Repeats.EVERY)
    assert (last.percent, last.percent_n) == (1.0, 1)
    assert (every.percent, every.percent_n) == (pytest.approx(1 / 3), 3)
    assert [o.label for o in standing(votes)] == [B, B]


@pytest.mark.parametrize("votes", [[], [("x", "r1", "a")], [("x", "r1", "a"), ("y", "r1", "b")]])
def test_nothing_to_compare_is_none_with_a_reason(votes):
    found = agreement(given(*votes))
    assert (found.percent, found.percent_decided, found.fleiss_kappa, found.krippendorff_alpha) == (None,) * 4
    assert found.battles_with_2plus == found.percent_n == 0
    assert set(found.why) == {"percent", "percent_decided", "fleiss_kappa", "krippendorff_alpha"}


def test_one_label_only_leaves_the_chance_corrected_figures_undefined():
    found = agreement(given(*((f"b{i}", r, "tie") for i in range(5) for r in ("r1", "r2"))))
    assert found.percent == 1.0
    assert found.percent_decided is None
    assert found.cohen_kappa[0].kappa is None
    assert found.cohen_kappa[0].why == {"kappa": "both gave one same answer throughout"}
    assert found.why["krippendorff_alpha"] == found.why["fleiss_kappa"] == "everyone gave the same label"


def test_two_raters_without_chance_agreement_have_alpha_near_zero():
    rng = random.Random(11)
    votes = [(f"b{i}", r, rng.choice(["a", "b"])) for i in range(4000) for r in ("r1", "r2")]
    assert agreement(given(*votes)).krippendorff_alpha == pytest.approx(0, abs=0.05)


def test_what_most_say_is_a_strict_majority_or_a_tie():
    votes = given(("x", "r1", "a"), ("x", "r2", "a"), ("x", "r3", "b"), ("y", "r1", "a"), ("y", "r2", "b"),
                  ("z", "r1", "tie"), ("z", "r2", "tie"), ("z", "r3", "a"))  # fmt: skip
    assert majorities(votes) == {"x": A, "y": TIE, "z": TIE}
    assert label_counts(standing(votes)).tolist() == [[2, 1, 0], [1, 1, 0], [1, 0, 2]]


def test_two_rater_kappas_name_those_with_most_in_common_first_and_never_one_rater_twice():
    votes = given(*((f"b{i}", r, "ab"[i % 2]) for i in range(6) for r in ("z", "y")),
                  *((f"b{i}", "x", "a") for i in range(4)), ("b0", "z", "b"))  # fmt: skip
    pairs = rater_pairs(standing(votes, Repeats.EVERY))
    found = [(k.rater_1, k.rater_2, k.n) for k in cohen_kappas(pairs)]
    assert found == [("y", "z", 7), ("x", "z", 5), ("x", "y", 4)]
    assert [(k.rater_1, k.rater_2) for k in cohen_kappas(pairs, most=1)] == [("y", "z")]
    assert agreement(votes).cohen_kappa[0].kappa == pytest.approx(2 / 3), "5 of 6 agree, chance alone a half"
