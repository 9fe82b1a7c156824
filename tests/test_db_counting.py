"""Counts kept up and lists cut short, beside the plain reading of every vote."""

import random
from datetime import timedelta

import pytest
from sqlite_utils import Database

from db import adjudications, clusters
from db.adjudications import Split, add_ruling, disputed, splits
from db.campaigns import battles_of, create_campaign, get_campaign
from db.clusters import Cluster
from db.connection import open_writer
from db.counting import counts
from db.entities.campaigns import CampaignSettings, Guard
from db.entities.votes import Choice, Outcome, RaterKind
from db.imports import ImportCounts, ImportedVote, add_imported_votes, begin_import, finish_import
from db.live import votes_since
from db.raters import add_rater, decide_rater
from db.votes import counted_votes
from labeling.briefing import withdraw
from labeling.gold import add_spoiled
from labeling.joining import invite, join, session_from, stamp
from labeling.lending import next_ballots
from labeling.rating import cast_vote, undo
from labeling.scanning import scan
from labeling.submission import parse_submission
from tests.factories import NOW, make_home
from tests.votes_by_hand import by_prompt, by_rater

PLAIN = """SELECT z.battle, sum(z.outcome = 'a') AS a, sum(z.outcome = 'b') AS b, sum(z.outcome NOT IN ('a', 'b')),
  (SELECT outcome FROM adjudications j WHERE j.battle = z.battle ORDER BY j.id DESC LIMIT 1) AS ruled
FROM vote_states z JOIN raters t ON t.id = z.rater AND t.kind <> 'judge' WHERE z.state = 'counted'
GROUP BY z.battle HAVING a > 0 AND b > 0 ORDER BY ruled IS NOT NULL, a + b DESC, z.battle"""


@pytest.fixture(scope="module")
def db(tmp_path_factory):
    """Votes in every state there is: skipped, taken back, checks, leaks, raters left out or gone, imports whole and cut off."""
    settings = CampaignSettings(overlap=5, gold_rate=0.3, repeat_rate=0.3, practice=1, guard=Guard.ALLOW)
    home = make_home(
        tmp_path_factory.mktemp("states"), prompts=14, split=None, settings=settings,
        answer=lambda m, i: ("I am ChatGPT, a model by OpenAI. " if i % 3 == 1 else "") + f"answer number {i} in so many words by {m[-3:]}",
    )  # fmt: skip
    db = open_writer(home)
    campaign = get_campaign(db, "first")
    add_spoiled(db, campaign, 6)
    scan(db, campaign.id)
    sessions = [_voted(db, random.Random(n)) for n in range(5)]
    withdraw(db, sessions[0])
    name = db.conn.execute("SELECT name FROM raters WHERE id = ?", (sessions[1].rater,)).fetchone()[0]
    decide_rater(db, name, counted=False, reason="test")
    _import(db, campaign.id, "one", RaterKind.PERSON, Outcome.A)
    _import(
        db, campaign.id, "other", RaterKind.PERSON, Outcome.B
    )  # so that there is disagreement on most battles
    _import(db, campaign.id, "machine", RaterKind.JUDGE, Outcome.A)
    _import(db, campaign.id, "cut off", RaterKind.PERSON, Outcome.B, finished=False)
    yield db
    db.conn.close()


def _voted(db, lot):
    """A rater who votes on all they are shown and takes a vote back now and then."""
    cookie = join(db, invite(db, "first", 1)[0].token, None, NOW)
    n = 0
    while ballots := next_ballots(db, session_from(db, cookie, NOW), 1, NOW).ballots:
        n += 1
        session, assignment = session_from(db, cookie, NOW), ballots[0].assignment
        choice = Choice.SKIP if n % 6 == 5 else lot.choice([Choice.LEFT, Choice.RIGHT, Choice.TIE])
        body = {"assignment": assignment, "choice": choice.value, "key": f"k{n}"}
        cast_vote(db, session, parse_submission(body), NOW + timedelta(seconds=n))
        if n % 7 == 3:
            undo(db, session, assignment, NOW + timedelta(seconds=n))
            if n > 20:
                break
    return session_from(db, cookie, NOW)


def _import(db: Database, campaign, name, kind, outcome, *, finished=True):
    theirs = (
        "SELECT id FROM battles WHERE campaign = ? AND id NOT IN (SELECT battle FROM gold_pairs) ORDER BY id"
    )
    battles = [r[0] for r in db.conn.execute(theirs, (campaign,))]
    opened = begin_import(db, "votes", name, campaign)
    rater = add_rater(db, name, kind)
    cast = [
        ImportedVote(f"{name} {b}", campaign, b, rater, Outcome.SKIP if n % 5 == 4 else outcome, None)
        for n, b in enumerate(battles)
    ]
    add_imported_votes(db, cast, opened)
    if finished:
        finish_import(db, opened, ImportCounts(len(cast), len(cast), 0, 0))


def test_counts_kept_up_are_those_of_every_vote_read(db):
    states = dict(db.conn.execute("SELECT state, count(*) FROM vote_states GROUP BY state").fetchall())
    assert set(states) == {
        "counted", "skipped", "retracted", "withdrawn", "rater excluded", "practice", "known answer", "repeat", "identity leak",
        "import unfinished"}  # fmt: skip
    stored = sum(states.values())
    shown = db.conn.execute("SELECT count(*) FROM assignments").fetchone()[0]
    for campaign in (None, get_campaign(db, "first").id):
        found = counts(db, campaign)
        assert {"counted": found.counted, "retracted": found.retracted, **found.excluded} == states
        assert (found.shown, found.stored) == (shown, stored)
    assert counts(db, 99) == (0, 0, 0, 0, {})


def test_votes_by_rater_and_by_prompt_are_those_of_every_vote_read(db):
    first = get_campaign(db, "first")
    people = [v for v in counted_votes(db, first.id) if v.rater_kind is RaterKind.PERSON]
    assert len(people) > 10
    for found, plain in (
        (clusters.by_rater(db, first.id), by_rater(people)),
        (clusters.by_prompt(db, first.id), by_prompt(people)),
    ):
        assert sorted(c[2:] for c in found) == sorted(c[2:] for c in plain)
        assert len({c[:2] for c in found}) == 1
    assert (clusters.by_rater(db, 99), clusters.by_prompt(db, 99)) == ([], [])


def test_the_votes_of_the_last_minutes_are_those_cast_here_since_then(db):
    first = get_campaign(db, "first")
    since = stamp(NOW + timedelta(seconds=6))
    plain = db.conn.execute(
        """SELECT z.vote, v.created_at, v.rater, z.state <> 'retracted' AND v.outcome <> 'skip' AND s.kind = 'battle'
        FROM vote_states z JOIN votes v ON v.id = z.vote JOIN assignments s ON s.id = v.assignment
        WHERE v.created_at >= ? ORDER BY v.id DESC""",
        (since,),
    ).fetchall()
    assert {bool(r[3]) for r in plain} == {True, False}
    assert list(votes_since(db, first.id, since)) == [
        (at, rater, bool(covers)) for _, at, rater, covers in plain
    ]
    assert list(votes_since(db, 99, since)) == []


def test_wins_are_those_of_the_model_that_was_there_first_whichever_slot_it_has(tmp_path):
    home = make_home(tmp_path, prompts=6, split=None)
    db = open_writer(home)
    made = create_campaign(db, "turned", ["model-two", "model-one"], "all", CampaignSettings()).campaign
    _import(db, made.id, "one", RaterKind.PERSON, Outcome.A)
    assert {(b.model_a, b.model_b) for b in battles_of(db, made.id)} == {("model-two", "model-one")}
    assert clusters.by_rater(db, made.id) == [Cluster(1, 2, 0, 5, 0)]
    assert clusters.by_prompt(db, made.id) == [Cluster(1, 2, 0, 1, 0)] * 5
    db.conn.close()


@pytest.mark.parametrize("look", [1, 3, 500])
def test_the_battles_people_disagree_on_are_those_of_every_vote_read(db, monkeypatch, look):
    monkeypatch.setattr(adjudications, "FIRST_LOOK", look)
    plain = [tuple(r) for r in db.conn.execute(PLAIN)]
    assert len(plain) > 4
    for limit in (1, 2, len(plain) - 1, 200):
        for campaign in (None, "first"):
            found = disputed(db, campaign, limit)
            assert [(d.battle, d.votes_a, d.votes_b, d.others, d.ruled) for d in found] == plain[:limit]
            assert {d.campaign for d in found} == {"first"}
    assert disputed(db, "none of that name") == []
    assert splits(db, [plain[0][0], 10_000]) == {plain[0][0]: Split(*plain[0][1:4])}


def test_battles_ruled_on_come_last(db):
    first = disputed(db, limit=1)[0].battle
    add_ruling(db, first, Outcome.A, "", "owner")
    plain = [r[0] for r in db.conn.execute(PLAIN)]
    assert [d.battle for d in disputed(db)] == plain
    assert plain[-1] == first
