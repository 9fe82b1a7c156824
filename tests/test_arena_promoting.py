"""Promotion by the rule, by hand and back again; what counts as evidence; one record a round."""

import csv
import io
import math

import pytest

from arena.intervals import ENOUGH, anytime, votes_to_go
from arena.lineage import State, rounds, to_csv
from arena.promoting import SIMULATED, TRAINED, promote, rollback, weigh
from db import runs
from db.campaigns import battles_of, create_campaign, get_campaign, list_campaigns, set_status
from db.catalog import add_model, add_responses, add_scores, get_model, prompts_of, remove_model
from db.entities.campaigns import CampaignSettings, CampaignStatus, Purpose
from db.entities.catalog import ModelKind, Response, Score
from db.entities.runs import RunKind
from db.entities.votes import Outcome, RaterKind
from db.errors import Conflict, NotFound, UserError
from db.imports import ImportCounts, ImportedVote, add_imported_votes, begin_import, finish_import
from db.promotions import promotions
from db.raters import add_rater
from labeling.policy import PairPolicy
from tests.workshop import refused, run, trainable_home
from training.snapshots import Source, freeze


@pytest.fixture
def home(tmp_path):
    return trainable_home(tmp_path / "home", heldout=40)


def candidate(db, name="new", parent="one", rivals=("one",), kind=RunKind.DPO):
    """A model as a succeeded run registers it, with the two campaigns that open for it."""
    snapshot = freeze(db, Source(("first",)), PairPolicy())
    made = runs.add_run(
        db, name, kind, parent=parent, snapshot=snapshot.id, folder=f"runs/{name}", settings={"reference": parent},
        campaign=get_campaign(db, "first").id, job=None, pid=1, pid_started=0.0,
    )  # fmt: skip
    runs.finish_run(
        db, made.id, model=name, kind=ModelKind.ADAPTER, source="x", adapter=f"runs/{name}", quantize=None,
        reference_proof={"ok": True, "margin": 0.0}, metrics={}, versions={}, seconds=1.0,
    )  # fmt: skip
    for split, purpose, overlap in (("heldout", Purpose.EVALUATE, 5), ("train", Purpose.COLLECT, 1)):
        add_responses(
            db, [Response.of(p.id, name, f"{name} on {p.text}") for p in prompts_of(db, f"questions:{split}")]
        )
        create_campaign(
            db, f"{name} {'rematch' if overlap == 5 else 'collect'}", (name, *rivals), f"questions:{split}",
            CampaignSettings(purpose=purpose, overlap=overlap), parent_run=made.id,
        )  # fmt: skip
    runs.note_rematch(db, made.id, f"{name} rematch")
    return get_model(db, name)


def give(db, campaign, outcomes, rater="ann", kind=RaterKind.PERSON, against=None):
    """Imported votes of one rater on the campaign's battles, in order; 'w' for its first model, 'l', 't'."""
    here = get_campaign(db, campaign)
    who = add_rater(db, rater, kind)
    pair = {here.models[0], against or here.models[1]}
    battles = [b for b in battles_of(db, here.id) if {b.model_a, b.model_b} == pair]
    sides = {"w": Outcome.A, "l": Outcome.B, "t": Outcome.TIE}
    votes = [
        ImportedVote(f"{campaign}-{rater}-{b.id}", here.id, b.id, who, sides[o], None)
        for b, o in zip(battles, outcomes, strict=False)
    ]
    import_id = begin_import(db, "votes", "a test", here.id)
    assert add_imported_votes(db, votes, import_id) == len(outcomes)
    finish_import(db, import_id, ImportCounts(len(votes), len(votes), 0, 0))


# -- the rule --------------------------------------------------------------------------------------------------


def test_enough_wins_promote_and_one_less_does_not(voted):
    candidate(voted)
    give(voted, "new rematch", "w" * 7)
    standing = weigh(voted, "new")
    assert standing.rivals[0].e_value == pytest.approx(2**7 / 8)
    assert not standing.promotes
    with pytest.raises(UserError, match=r"7 of 7 decided votes|it won 7 of 7"):
        promote(voted, "new", "me")
    give(voted, "new rematch", "w" * 8, rater="bob")
    assert weigh(voted, "new").promotes
    made = promote(voted, "new", "me")
    assert (made.promotion.way, made.promotion.who, made.promotion.simulated) == ("rule", "me", False)
    assert runs.champion(voted) == "new"
    assert set(made.closed) == {"new rematch", "new collect"}
    closed = {c.name for c in list_campaigns(voted) if c.status is CampaignStatus.CLOSED}
    assert closed == {"new rematch", "new collect"}, "other campaigns go on"


def test_the_record_holds_the_evidence_as_it_was(voted):
    candidate(voted)
    give(voted, "new rematch", "w" * 20 + "ll" + "t")
    add_scores(voted, [
        Score(r, "judge", 1.0 if "new" not in r else 0.0)
        for b in battles_of(voted, get_campaign(voted, "new rematch").id) for r in (b.response_a, b.response_b)
    ])  # fmt: skip
    promote(voted, "new", "me")
    kept = promotions(voted)[0].evidence
    (rival,) = kept["rivals"]
    assert (kept["rule_met"], kept["champion_before"]) == (True, None)
    assert (rival["rival"], rival["role"], rival["n"], rival["wins"], rival["losses"], rival["ties"]) == (
        "one", "parent", 23, 20, 2, 1,
    )  # fmt: skip
    assert rival["win_rate"] == pytest.approx(20.5 / 23)
    assert rival["e_value"] == pytest.approx(math.comb(22, 2) ** -1 / 23 / 0.5**22)
    assert len(rival["votes"]) == 32
    before = rival["votes"]
    give(voted, "new rematch", "l", rater="late")
    assert promotions(voted)[0].evidence["rivals"][0]["votes"] == before
    assert weigh(voted, "new").rivals[0].votes != before
    with pytest.raises(Exception, match="promotions is append-only"):
        voted.conn.execute("UPDATE promotions SET reason = 'better'")


def test_the_champion_has_to_be_beaten_too(voted):
    candidate(voted, "first-try")
    give(voted, "first-try rematch", "w" * 8)
    promote(voted, "first-try", "me")
    candidate(voted, "second", rivals=("one", "first-try"))
    give(voted, "second rematch", "w" * 12)
    standing = weigh(voted, "second")
    assert [(r.rival, r.role, r.beats) for r in standing.rivals] == [
        ("one", "parent", True), ("first-try", "champion", False),
    ]  # fmt: skip
    assert not standing.promotes
    give(voted, "second rematch", "w" * 12, rater="bob", against="first-try")
    assert weigh(voted, "second").promotes
    assert promote(voted, "second", "me").promotion.way == "rule"


def test_a_parent_that_is_the_champion_is_met_once(voted):
    candidate(voted, "a")
    give(voted, "a rematch", "w" * 8)
    promote(voted, "a", "me")
    candidate(voted, "b", parent="a", rivals=("a",))
    assert [(r.rival, r.role) for r in weigh(voted, "b").rivals] == [("a", "parent and champion")]


def test_votes_on_prompts_that_were_trained_on_do_not_count(voted):
    """Pairs of an older version's home could hold a prompt that is held out now; such a vote is left out by name."""
    candidate(voted)
    give(voted, "new rematch", "w" * 9)
    asked = battles_of(voted, get_campaign(voted, "new rematch").id)[0].prompt
    voted.execute("DROP TRIGGER snapshot_pairs_wall")
    snapshot = runs.get_run(voted, "new").snapshot
    two = voted.execute("SELECT id FROM responses WHERE prompt = ? ORDER BY id LIMIT 2", (asked,)).fetchall()
    voted.conn.execute(
        "INSERT INTO snapshot_pairs(snapshot, position, part, prompt, chosen, rejected) VALUES (?, 99, 'train', ?, ?, ?)",
        (snapshot, asked, two[0][0], two[1][0]),
    )
    against = weigh(voted, "new").rivals[0]
    assert (against.n, dict(against.left_out)) == (8, {TRAINED: 1})


def test_simulated_votes_promote_only_where_that_is_said(voted):
    candidate(voted)
    give(voted, "new rematch", "w" * 20, rater="sim-1", kind=RaterKind.SIMULATED)
    standing = weigh(voted, "new")
    assert (standing.promotes, standing.rivals[0].n, standing.rivals[0].left_out) == (
        False,
        0,
        {SIMULATED: 20},
    )
    assert "20 votes of simulated raters are not counted" in standing.words()
    made = promote(voted, "new", "me", simulated=True).promotion
    assert (made.way, made.simulated) == ("rule", True)
    assert made.evidence["rivals"][0]["simulated"] == 20


def test_by_hand_with_a_reason_and_against_the_votes_only_with_force(voted):
    candidate(voted)
    made = promote(voted, "new", "me", reason="the customer asked for it").promotion
    assert (made.way, made.reason, made.evidence["rule_met"]) == ("hand", "the customer asked for it", False)
    with pytest.raises(Conflict, match="the champion already"):
        promote(voted, "new", "me", reason="again")
    candidate(voted, "worse")
    give(voted, "worse rematch", "l" * 12)
    assert weigh(voted, "worse").rivals[0].loses
    with pytest.raises(UserError, match=r"votes found one better than worse; .*--force"):
        promote(voted, "worse", "me", reason="I like it")
    assert promote(voted, "worse", "me", reason="I like it", force=True).promotion.way == "hand"


def test_what_cannot_be_promoted(voted):
    candidate(voted, "scorer", kind=RunKind.REWARD)
    with pytest.raises(UserError, match="scorer is a reward model"):
        promote(voted, "scorer", "me", reason="why not")
    with pytest.raises(NotFound):
        promote(voted, "nobody", "me", reason="why not")
    with pytest.raises(UserError, match="no parent here and there is no champion"):
        promote(voted, "one", "me")
    assert promotions(voted) == []


# -- back again ------------------------------------------------------------------------------------------------


def test_rollback_brings_the_champion_before_back_and_deletes_nothing(voted):
    for name in ("one", "two"):
        promote(voted, name, "me", reason="a start")
    undone = rollback(voted, "ann", reason="complaints")
    assert (undone.champion, undone.promotion.model) == ("one", "two")
    assert (undone.promotion.rolled_back_by, undone.promotion.rollback_reason) == ("ann", "complaints")
    assert [(p.model, p.stands) for p in promotions(voted)] == [("one", True), ("two", False)]
    promote(voted, "two", "me", reason="mended")
    assert runs.champion(voted) == "two"
    rollback(voted, "ann")
    assert rollback(voted, "ann").champion is None
    with pytest.raises(NotFound, match="nothing to roll back"):
        rollback(voted, "ann")
    assert len(promotions(voted)) == 3
    with pytest.raises(Exception, match="rollbacks is append-only"):
        voted.conn.execute("DELETE FROM rollbacks")


def test_only_the_newest_promotion_goes_back(voted):
    for name in ("one", "two"):
        promote(voted, name, "me", reason="a start")
    with pytest.raises(Exception, match="only the newest promotion"):
        voted.conn.execute("INSERT INTO rollbacks(promotion, who) VALUES (1, 'me')")


def test_the_champion_stays_on_the_lists(voted):
    add_model(voted, "far", ModelKind.RECORDED)
    promote(voted, "far", "me", reason="a start")
    with pytest.raises(Conflict, match="'far' is the champion"):
        remove_model(voted, "far")
    with pytest.raises(Exception, match="the champion stays"):
        voted.conn.execute("UPDATE models SET removed_at = 'now' WHERE name = 'far'")
    rollback(voted, "me")
    remove_model(voted, "far")


# -- how many more ---------------------------------------------------------------------------------------------


def reached(wins, losses):
    import numpy as np

    return anytime(np.array([True] * wins + [False] * losses)).e_value >= ENOUGH


@pytest.mark.parametrize(("wins", "losses"), [(0, 0), (3, 1), (10, 9), (30, 20), (4, 9)])
def test_the_least_votes_to_go_are_just_enough(wins, losses):
    least = votes_to_go(wins, losses, wins + losses).least
    assert reached(wins + least, losses)
    assert not reached(wins + least - 1, losses)


def test_votes_to_go_at_the_present_rate():
    so_far = votes_to_go(30, 20, 50)
    assert so_far.expected is not None
    assert reached(30 + round(0.6 * so_far.expected) + 1, 20 + round(0.4 * so_far.expected) - 1)
    assert votes_to_go(30, 20, 100).expected == pytest.approx(2 * so_far.expected, abs=2), (
        "half of all votes tie"
    )
    assert votes_to_go(20, 30, 50).expected is None
    assert votes_to_go(40, 0, 40).expected == 0
    assert "at least 8 more votes" in votes_to_go(0, 0, 0).words()


# -- the rounds ------------------------------------------------------------------------------------------------


def test_one_record_a_round(home, voted):
    candidate(voted, "a")
    (round_,) = rounds(voted)
    assert (round_.number, round_.state, round_.rematch.votes, round_.rematch.wanted) == (
        1,
        State.RATING,
        0,
        200,
    )
    give(voted, "a rematch", "w" * 8)
    assert rounds(voted)[0].state is State.PROMOTE
    assert rounds(voted)[0].next().startswith("Promote a.")
    promote(voted, "a", "me")
    candidate(voted, "b", parent="a", rivals=("a",))
    newer, older = rounds(voted)
    assert (newer.number, newer.parent, older.state, older.promotion.who) == (2, "a", State.CHAMPION, "me")
    promote(voted, "b", "me", reason="hand")
    assert [r.state for r in rounds(voted)] == [State.CHAMPION, State.FOLLOWED]
    rollback(voted, "me")
    assert [r.state for r in rounds(voted)] == [State.ROLLED_BACK, State.CHAMPION]
    rows = list(csv.DictReader(io.StringIO(to_csv(rounds(voted)))))
    assert [(r["run"], r["rival"], r["way"]) for r in rows] == [("b", "a", "hand"), ("a", "one", "rule")]
    assert float(rows[1]["e_value"]) == pytest.approx(2**8 / 9, rel=1e-3)


def test_a_round_whose_model_was_taken_off_the_lists_says_so(voted):
    candidate(voted, "a")
    for name in ("a rematch", "a collect"):
        set_status(voted, name, CampaignStatus.CLOSED)
    remove_model(voted, "a")
    (round_,) = rounds(voted)
    assert round_.state is State.REMOVED
    assert (
        round_.next() == "a made its model, which was taken off the list of models since; its record stays."
    )


def test_judges_stand_beside_and_disagreement_shows(voted):
    candidate(voted)
    give(voted, "new rematch", "w" * 9)
    battles = battles_of(voted, get_campaign(voted, "new rematch").id)
    for judge, sign in (("agrees", 1.0), ("disagrees", -1.0)):
        add_scores(
            voted,
            [Score(r, judge, sign * n) for b in battles for r, n in ((b.response_a, 1), (b.response_b, 0))],
        )
    said = {w.judge: w for w in weigh(voted, "new", details=True).details[0].judges}
    assert {name: (w.win_rate, w.disagrees) for name, w in said.items()} == {
        "agrees": (1.0, False), "disagrees": (0.0, True),
    }  # fmt: skip


# -- the command line ------------------------------------------------------------------------------------------


def test_the_verbs(home, voted):
    candidate(voted)
    assert "promote by hand" in refused(run(home, "promote", "new"))
    made = run(home, "promote", "new", "--reason", "a start", "--json").json
    assert (made["promotion"]["way"], made["promotion"]["who"], made["closed"]) == (
        "hand", "terminal", ["new rematch", "new collect"],
    )  # fmt: skip
    told = run(home, "rounds", "--json", "--csv", home.root / "rounds.csv").json
    assert (told[0]["run"], told[0]["standing"]["rivals"][0]["rival"], told[0]["state"]) == (
        "new",
        "one",
        "champion",
    )
    assert (home.root / "rounds.csv").read_text().startswith("round,run,")
    assert "round 1: new (dpo) from one" in run(home, "rounds").out
    assert "there is no champion now" in run(home, "rollback", "--reason", "a trial").out
    assert "nothing to roll back" in refused(run(home, "rollback"))
    acts = [r[0] for r in voted.execute("SELECT what FROM audit WHERE who = 'terminal' ORDER BY id")]
    assert acts == [
        "ran: python launch.py promote new --reason 'a start' --json",
        "ran: python launch.py rollback --reason 'a trial'",
    ]
