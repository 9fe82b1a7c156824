"""Runs without a rater, the same run once more, and older votes mixed in."""

import json

import pytest

from db import runs
from db.campaigns import battles_of, create_campaign, get_campaign
from db.catalog import get_prompt
from db.entities.campaigns import CampaignSettings, Purpose
from db.entities.catalog import Split
from db.errors import NotFound, UserError
from db.snapshots import get_snapshot, raters_of_snapshot
from labeling.pairs import PairPolicy, read_votes
from labeling.policy import Method, policy_from, policy_of
from labeling.replaying import older_campaigns, replay
from tests.test_arena_promoting import give
from tests.workshop import QUICK, give_votes, refused, run, trainable_home
from training.snapshots import Source, freeze, freeze_answers, measured_flips


@pytest.fixture
def home(tmp_path):
    return trainable_home(tmp_path / "home", train=20)


@pytest.fixture
def two_raters(home, db):
    """ann prefers the polite answers, bob the others; they share the first four battles."""
    give(db, "first", "w" * 10, rater="ann")
    give(db, "first", "l" * 4, rater="bob")
    return db


def frozen(db, *without, **source):
    return freeze(db, Source(("first",), **source), PairPolicy(Method.MAJORITY, without=without))


# -- without a rater -------------------------------------------------------------------------------------------


def test_a_snapshot_without_a_rater_says_so_and_holds_none_of_their_votes(two_raters):
    assert frozen(two_raters).train == 6, "the four battles they disagree on are no pairs"
    without = frozen(two_raters, "bob")
    assert without.train == 10
    assert json.loads(without.policy)["without"] == ["bob"]
    assert raters_of_snapshot(two_raters, without.id) == {"ann": 10}
    assert policy_from(json.loads(without.policy)).without == ("bob",)
    assert freeze_answers(two_raters, Source(("first",)), PairPolicy(without=("ann",))).train == 8


def test_a_rater_nobody_knows_is_one_clear_line(two_raters):
    with pytest.raises(NotFound, match="there is no rater 'carl'"):
        frozen(two_raters, "carl")


def test_what_holds_no_votes_has_no_rater_to_leave_out(home, two_raters):
    with pytest.raises(UserError, match="--without is about votes, and pairs:polite holds none"):
        freeze(two_raters, Source(pair_set="polite"), PairPolicy(without=("bob",)))
    snapshot = frozen(two_raters).id
    words = ["train", "dpo", "--from", "one", "--snapshot", snapshot, "--without", "bob", "--dry-run"]
    assert "a frozen snapshot stays as it is" in refused(run(home, *words))


def test_an_export_without_a_rater_never_tells_who(home, two_raters, tmp_path):
    made = run(home, "export", tmp_path / "out", "--policy", "majority", "--without", "bob", "--json")
    assert made.code == 0, made.err
    assert made.json["left_out"] == {"rater left out by name": 4}
    written = b"".join(p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file())
    assert b"the votes of 1 rater are left out by name" in written
    assert b"bob" not in written
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["policy"]["without"] == 1


def test_options_name_raters_once():
    assert policy_of({"policy": "vote", "without": ("a", "b", "a")}).without == ("a", "b")
    assert policy_of({"policy": "vote"}).without == ()


# -- older votes -----------------------------------------------------------------------------------------------


@pytest.fixture
def two_rounds(db, home):
    """The campaign `first`, fully voted on, and a later one in its lineage with four votes on other prompts."""
    give(db, "first", "w" * 16, rater="ann")
    lineage = get_campaign(db, "first").lineage
    create_campaign(db, "later", ("one", "two"), "questions", CampaignSettings(), lineage=lineage)
    create_campaign(
        db,
        "measured",
        ("one", "two"),
        "questions",
        CampaignSettings(purpose=Purpose.EVALUATE),
        lineage=lineage,
    )
    create_campaign(db, "elsewhere", ("one", "two"), "questions:train", CampaignSettings())
    give(db, "later", "w" * 4, rater="bob")
    return db


def test_a_share_of_the_older_battles_is_mixed_in_and_recorded(two_rounds):
    alone = freeze(two_rounds, Source(("later",)), PairPolicy())
    half = freeze(two_rounds, Source(("later",), replay=0.5, seed=3), PairPolicy())
    assert (alone.train, json.loads(alone.policy).get("replay")) == (4, None)
    kept = json.loads(half.policy)["replay"]
    assert kept == {"share": 0.5, "seed": 3, "campaigns": ["first"], "battles": 8, "of_battles": 16, "votes": 8,
                    "of_votes": 16}  # fmt: skip
    assert raters_of_snapshot(two_rounds, half.id) == {"ann": 8, "bob": 4}
    assert freeze(two_rounds, Source(("later",), replay=0.5, seed=3), PairPolicy()) == half
    assert freeze(two_rounds, Source(("later",), replay=0.5, seed=4), PairPolicy()).id != half.id


def test_a_larger_share_holds_the_smaller_and_all_of_it_all(two_rounds):
    drawn = []
    for share in (0.25, 0.5, 1.0):
        read, told = replay(two_rounds, ["later"], share, 0, PairPolicy())
        drawn.append({v.id for v in read.votes})
        assert told.battles == round(16 * share) == len(read.votes)
    assert drawn[0] < drawn[1] < drawn[2]
    assert drawn[2] == {v.id for v in read_votes(two_rounds, ["first"]).votes}


def test_only_older_campaigns_of_the_lineage_whose_votes_train(two_rounds):
    assert [c.name for c in older_campaigns(two_rounds, ["later"])] == ["first"]
    assert older_campaigns(two_rounds, ["first"]) == []
    read, told = replay(two_rounds, ["first"], 1.0, 0, PairPolicy())
    assert (read.votes, told.of_battles) == ((), 0)


def test_held_out_prompts_and_left_out_raters_are_not_replayed(two_rounds):
    give(two_rounds, "first", "", rater="nobody")
    create_campaign(two_rounds, "last", ("one", "two"), "questions:train", CampaignSettings(),
                    lineage=get_campaign(two_rounds, "first").lineage)  # fmt: skip
    held = [b for b in battles_of(two_rounds, get_campaign(two_rounds, "later").id)
            if get_prompt(two_rounds, b.prompt).split is Split.HELDOUT]  # fmt: skip
    assert held, "the later campaign has held-out prompts too"
    read, _ = replay(two_rounds, ["last"], 1.0, 0, PairPolicy())
    assert {v.split for v in read.votes} == {Split.TRAIN}
    read, _ = replay(two_rounds, ["last"], 1.0, 0, PairPolicy(without=("ann",)))
    assert {v.rater_name for v in read.votes} == {"bob"}


def test_the_flip_rate_counts_replayed_votes_too(two_rounds):
    alone = freeze(two_rounds, Source(("later",)), PairPolicy())
    with pytest.raises(UserError, match="no two votes are on one battle"):
        measured_flips(two_rounds, alone, PairPolicy())
    give(two_rounds, "first", "w" * 8, rater="carl")
    mixed = freeze(two_rounds, Source(("later",), replay=1.0), PairPolicy())
    assert measured_flips(two_rounds, mixed, PairPolicy()) == 0.0
    give(two_rounds, "first", "l" * 8, rater="dora")
    assert measured_flips(two_rounds, mixed, PairPolicy()) > 0.1


def test_replay_needs_a_campaign(home, two_rounds):
    words = ["train", "dpo", "--from", "one", "--pairs", "polite", "--replay", "0.5", "--dry-run"]
    assert "--replay is about votes" in refused(run(home, *words))
    with pytest.raises(UserError, match="none is named"):
        freeze(two_rounds, Source(replay=0.5), PairPolicy())
    made = run(home, "train", "dpo", "--from", "one", "--campaign", "later", "--replay", "0.5", "--set", "seed=3",
               *QUICK, "--dry-run", "--json").json  # fmt: skip
    assert json.loads(get_snapshot(two_rounds, made["snapshot"]).policy)["replay"]["seed"] == 3


# -- the same run again ----------------------------------------------------------------------------------------


def test_a_run_again_and_without_a_rater(home, two_raters):
    first = run(home, "train", "dpo", "--from", "one", "--campaign", "first", "--policy", "vote", "--set", "beta=0.3",
                *QUICK, "--no-rematch", "--json").json  # fmt: skip
    give(two_raters, "first", "w" * 5, rater="late")
    same = run(home, "train", "again", first["run"], "--no-rematch", "--json").json
    assert (same["snapshot"], same["run"], same["like"]) == (first["snapshot"], "one-r1-again", "one-r1")
    assert same["metrics"]["loss"] == pytest.approx(first["metrics"]["loss"], abs=1e-5)
    other = run(home, "train", "again", first["run"], "--without", "bob", "--no-rematch", "--json").json
    assert other["run"] == "one-r1-without-bob"
    made = runs.get_run(two_raters, other["run"])
    assert raters_of_snapshot(two_raters, made.snapshot) == {"ann": 10}, "late came after the run"
    assert made.settings == {**runs.get_run(two_raters, "one-r1").settings, "like": "one-r1", "against": None}
    assert (made.settings["beta"], made.parent) == (0.3, "one")


def test_a_run_again_that_cannot_be(home, two_raters, tmp_path):
    assert "there is no run 'nothing'" in refused(run(home, "train", "again", "nothing"))
    run(home, "train", "dpo", "--from", "one", "--campaign", "first", *QUICK, "--no-rematch")
    said = refused(run(home, "train", "again", "one-r1", "--without", "carl"))
    assert "no row one-r1 learned from rests on a vote of 'carl'" in said
    assert "ann" in said
    pairs = tmp_path / "polite.jsonl"
    rows = [{"prompt": f"Pair {i}?", "chosen": f"Yes {i}", "rejected": f"No {i}"} for i in range(12)]
    pairs.write_text("".join(json.dumps(r) + "\n" for r in rows), encoding="utf-8")
    run(home, "train", "dpo", "--from", "one", "--pairs", pairs, *QUICK, "--no-rematch")
    assert "did not learn from votes" in refused(run(home, "train", "again", "one-r2"))


def test_votes_given_later_and_votes_taken_back(home, db):
    give_votes(db)
    snapshot = freeze(db, Source(("first",)), PairPolicy())
    assert [
        len(read_votes(db, ["first"], until=until).votes)
        for until in (None, "2026-01-02T03:04:09", "2026-01-01")
    ] == [8, 4, 0]
    assert snapshot.train == 8
