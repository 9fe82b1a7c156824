"""Judges beside people: published agreement of GPT-4 with people, recorded scores, closed forms."""

import json
import random

import pytest
from scipy.stats import t

from arena.beside import Judge, judge_figures
from arena.columns import columns, columns_of_battles
from arena.where import parse
from db.entities.campaigns import Battle
from db.errors import UserError
from labeling.agreement import Repeats
from tests.votes_by_hand import swapped, vote


def rows(path):
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def outcome_of(winner):
    return {"model_a": "a", "model_b": "b"}.get(winner, "t")


def mtbench_vote(number, row):
    key = f"{row['question_id']}/{row['turn']}"
    models = (row["model_a"], row["model_b"])
    return vote(number, outcome_of(row["winner"]), rater=row["judge"], prompt=key, models=models, turn=row["turn"],
                responses=tuple(f"{key}/{m}" for m in models))  # fmt: skip


def verdicts(path, name):
    found = {}
    for row in rows(path):
        v = mtbench_vote(0, row)
        y = {"a": 1.0, "b": 0.0, "t": 0.5}[outcome_of(row["winner"])]
        found[v.response_a, v.response_b], found[v.response_b, v.response_a] = y, 1 - y
    return Judge(name, "verdicts", verdicts=found)


@pytest.mark.parametrize("turn", [1, 2])
def test_gpt4_agrees_with_mtbench_experts_as_published(shared_data, turn):
    published = json.loads((shared_data / "published_agreement.json").read_text(encoding="utf-8"))[
        "mt_bench"
    ]["cells"]
    cell = {c["setup"]: c for c in published if c["turn"] == turn and c["between"] == "gpt4_pair-human"}
    votes = [mtbench_vote(i, r) for i, r in enumerate(rows(shared_data / "mtbench_human_votes.jsonl"))]
    where = parse(f"turn={turn}, rater=expert*")
    kept = columns([v for v in votes if where.fits(v, {})])
    found = judge_figures(verdicts(shared_data / "mtbench_gpt4_pair.jsonl", "gpt4"), kept, {})
    assert (found.agreement_n, found.agreement_with_ties_n) == (cell["S2"]["total"], cell["S1"]["total"])
    assert found.agreement_decided == pytest.approx(cell["S2"]["agree"] / cell["S2"]["total"])
    assert found.agreement_with_ties == pytest.approx(cell["S1"]["agree"] / cell["S1"]["total"])
    assert len(found.pairs) == 15
    assert found.why["win_rate_a"] == "more than two models: see pairs"
    assert found.why["auc"] == "this judge votes and gives no scores"


def scored_pairs(shared_data):
    """Recorded scores of single answers beside a person's label on the two."""
    votes, scores, lengths = [], {}, {}
    for i, r in enumerate(rows(shared_data / "scored_pairs_vicuna80.jsonl")):
        v = vote(i, {"a": "a", "b": "b", "tie": "t"}[r["human"]], prompt=f"q{i}")
        votes.append(v)
        scores |= {v.response_a: float(r["score_a"]), v.response_b: float(r["score_b"])}
        lengths |= {v.response_a: len(r["response_a"]), v.response_b: len(r["response_b"])}
    return votes, Judge("gpt-4 score", "reward", scores), lengths


def test_recorded_scores_agree_with_people_as_recomputed_elsewhere(shared_data):
    published = json.loads((shared_data / "published_agreement.json").read_text(encoding="utf-8"))
    expected = published["scored_pairs_shared_recomputed"]
    votes, judge, lengths = scored_pairs(shared_data)
    found = judge_figures(judge, columns(votes), lengths)
    assert found.scored == expected["n"]
    assert found.agreement_with_ties == pytest.approx(
        expected["score_vs_human_agreement_with_ties"], abs=6e-5
    )
    assert found.cohen_kappa == pytest.approx(expected["cohen_kappa"], abs=6e-5)
    decided = [
        v for v in votes if v.outcome.decisive and judge.scores[v.response_a] != judge.scores[v.response_b]
    ]
    right = sum(
        (judge.scores[v.response_a] > judge.scores[v.response_b]) == (v.outcome == "a") for v in decided
    )
    assert f"{right} of {len(decided)}" == expected["decisive"]
    half = sum(v.outcome.decisive for v in votes) - len(decided)
    assert found.agreement_decided == pytest.approx((right + half / 2) / (len(decided) + half))


def test_slots_and_order_of_rows_change_nothing(shared_data):
    votes, judge, lengths = scored_pairs(shared_data)
    rng = random.Random(1)
    turned = [swapped(v) if rng.random() < 0.5 else v for v in votes]
    rng.shuffle(turned)
    assert judge_figures(judge, columns(turned), lengths) == judge_figures(judge, columns(votes), lengths)


def test_figures_of_three_battles_in_closed_form():
    votes = [vote(1, "a", prompt="p1"), vote(2, "b", prompt="p1", rater="r2"), vote(3, "a", prompt="p2"),
             vote(4, "t", prompt="p3"), vote(5, "a", prompt="p4")]  # fmt: skip
    scores = {"p1-one": 2.0, "p1-two": 1.0, "p2-one": 0.0, "p2-two": 3.0, "p3-one": 1.0, "p3-two": 1.0}
    found = judge_figures(Judge("rm", "reward", scores, {"p1-one"}), columns(votes, ("one", "two")), {})
    assert (found.scored, found.draws, found.win_rate_a) == (3, pytest.approx(1 / 3), 0.5)
    assert found.truncated_share == pytest.approx(1 / 6)
    assert found.mean_score == {"one": 1.0, "two": pytest.approx(5 / 3)}
    assert found.score_gap == pytest.approx(-2 / 3)
    assert (found.agreement_decided, found.agreement_n) == (pytest.approx(1 / 3), 3)
    assert (found.agreement_with_ties, found.agreement_with_ties_n) == (0.5, 4)
    assert found.auc == pytest.approx(2 / 9), (
        "gaps of the preferred 1, -1, -3 against -1, 1, 3, equal ones half"
    )
    assert found.longer_wins_baseline is None
    assert found.by_score_gap == ()


def test_auc_is_the_chance_that_the_preferred_answer_has_the_higher_gap():
    votes = [vote(i, o, prompt=f"p{i}") for i, o in enumerate("aabab")]
    gaps = [3.0, -1.0, -2.0, 0.5, 0.5]
    scores = {f"p{i}-one": g for i, g in enumerate(gaps)} | {f"p{i}-two": 0.0 for i in range(5)}
    found = judge_figures(Judge("rm", "reward", scores), columns(votes), {})
    won = [3.0, -1.0, 2.0, 0.5, -0.5]
    expected = sum((x > -y) + (x == -y) / 2 for x in won for y in won) / 25
    assert found.auc == pytest.approx(expected)


def test_a_judge_that_follows_people_is_calibrated_by_gap():
    rng = random.Random(3)
    votes, scores, lengths = [], {}, {}
    for i in range(400):
        gap = rng.gauss(0, 1)
        outcome = "ab"[gap < 0] if rng.random() < min(1, 0.5 + abs(gap) / 2) else "ab"[gap >= 0]
        votes.append(vote(i, outcome, prompt=f"p{i}"))
        scores |= {f"p{i}-one": gap, f"p{i}-two": 0.0}
        lengths |= {f"p{i}-one": rng.randrange(10, 99), f"p{i}-two": rng.randrange(10, 99)}
    found = judge_figures(Judge("rm", "reward", scores), columns(votes), lengths)
    shares = [b.agreement for b in found.by_score_gap]
    assert [b.n for b in found.by_score_gap] == [80] * 5
    assert shares[0] < 0.7 < 0.9 < shares[-1]
    assert sum(b.n for b in found.by_length_gap) == 400
    assert found.longer_wins_baseline == pytest.approx(0.5, abs=0.1)


def test_before_the_first_vote_a_judge_already_has_its_win_rate():
    battles = [Battle(i, 1, f"p{i}", f"p{i}-one", f"p{i}-two", "one", "two") for i in range(4)]
    scores = {f"p{i}-{m}": float(m == "two") for i in range(4) for m in ("one", "two")}
    found = judge_figures(Judge("rm", "reward", scores), columns_of_battles(battles, ("one", "two")), {})
    assert (found.scored, found.win_rate_a, found.score_gap) == (4, 0.0, -1.0)
    assert (found.agreement_decided, found.cohen_kappa, found.auc) == (None, None, None)


def test_a_judge_that_scored_nothing():
    found = judge_figures(Judge("rm", "reward"), columns([vote(1, "a")]), {})
    assert (found.scored, found.win_rate_a, found.pairs) == (0, None, ())
    assert found.why["win_rate_a"] == "no battle was judged"


def test_where_picks_votes():
    votes = [
        vote(1, "a", rater="expert_1", turn=1),
        vote(2, "a", rater="expert_2", turn=2),
        vote(3, "a", rater="x", turn=1),
    ]
    tags = {"p3": {"code"}}

    def picked(text):
        return [v.id for v in votes if parse(text).fits(v, tags)]

    assert picked(None) == picked("") == [1, 2, 3]
    assert picked("turn=1,rater=expert*") == [1]
    assert picked("turn=1, turn=2, rater=expert*") == [1, 2]
    assert picked("tag=c*") == [3]
    assert picked("split=heldout") == []
    assert picked("model=two,kind=person") == [1, 2, 3]
    assert parse("repeats=every").repeats is Repeats.EVERY


@pytest.mark.parametrize("text", ["turn", "turn=", "colour=red", "repeats=some", "=1"])
def test_where_names_what_it_does_not_understand(text):
    with pytest.raises(UserError, match="does not understand"):
        parse(text)


def test_wins_draws_and_the_interval_of_the_gap_in_closed_form():
    battles = [Battle(i, 1, f"p{i}", f"p{i}-one", f"p{i}-two", "one", "two") for i in range(4)]
    gaps = [1.0, -2.0, 0.0, 3.0]
    scores = {f"p{i}-one": g for i, g in enumerate(gaps)} | {f"p{i}-two": 0.0 for i in range(4)}
    found = judge_figures(Judge("rm", "reward", scores), columns_of_battles(battles, ("one", "two")), {})
    (pair,) = found.pairs
    assert (pair.wins_a, pair.wins_b, pair.n) == (2, 1, 4)
    assert pair.points == tuple((g, 0.0) for g in gaps)
    se = (sum((g - 0.5) ** 2 for g in gaps) / 4 / 4) ** 0.5
    reach = float(t.ppf(0.975, 3)) * se
    assert tuple(pair.score_gap_ci95) == pytest.approx((0.5 - reach, 0.5 + reach))


def test_a_gap_that_is_always_the_same_has_no_interval():
    battles = [Battle(i, 1, f"p{i}", f"p{i}-one", f"p{i}-two", "one", "two") for i in range(4)]
    scores = {f"p{i}-{m}": float(m == "two") for i in range(4) for m in ("one", "two")}
    (pair,) = judge_figures(
        Judge("rm", "reward", scores), columns_of_battles(battles, ("one", "two")), {}
    ).pairs
    assert (pair.score_gap, pair.score_gap_ci95) == (-1.0, None)
    assert "spread" in pair.why["score_gap_ci95"]
