"""What is found is kept, decides what is served and counted by the campaign's rule, and can be decided otherwise."""

import contextlib
import random
import sqlite3
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arena.serving import prepared
from db import guarding as store
from db.assignments import add_assignment
from db.audit import recent
from db.campaigns import change_settings, coverage, get_campaign
from db.catalog import add_model
from db.connection import open_writer
from db.counting import counts, tallies
from db.entities.campaigns import CampaignSettings, CampaignStatus, Finding, FindingKind, Guard
from db.entities.catalog import ModelKind
from db.entities.votes import Assignment
from db.errors import NotFound, UserError
from db.raters import decide_rater
from db.upkeep import INVARIANTS, check
from labeling import scanning
from labeling.importing import ImportKind, import_file
from tests.factories import NOW, make_home
from tests.test_labeling_rating import Rater
from tests.workshop import run

LEAK, TEMPLATE, SAME, CLEAN = 1, 2, 3, 4
"""battles of the home below: one that names a model, one with template remains, one twice the same, a clean one"""


def answer(model, i):
    if model == "model-one":
        return ("I am ChatGPT, and it is blue.", "It is green.<|im_end|>", "It is **red**.", "It is dark.")[i]
    return ("It is bluish.", "It is greenish.", "It is red", "It is bright.")[i]


@contextlib.contextmanager
def opened(folder, guard=Guard.HOLD, **more):
    """A scanned home with the four battles under a rule."""
    db = open_writer(
        make_home(folder, prompts=4, answer=answer, settings=CampaignSettings(guard=guard, **more))
    )
    try:
        scanning.scan(db, get_campaign(db, "first").id)
        yield db
    finally:
        db.conn.close()


def states(db):
    return {
        b: (bool(held), bool(leaked))
        for b, held, leaked in db.conn.execute("SELECT battle, held, leaked FROM battle_cover")
    }


def served(db, rater=None):
    """{battle: ballot} of all that a rater is given."""
    rater = rater or Rater(db)
    ballots = rater.next(5).ballots
    find = "SELECT battle FROM assignments WHERE id = ?"
    return {db.conn.execute(find, (b.assignment,)).fetchone()[0]: b for b in ballots}


def contradictions(db):
    return [sentence for sentence, query in INVARIANTS if db.conn.execute(query).fetchone()]


# -- the three rules ---------------------------------------------------------------------------------------------


def test_by_default_what_is_found_is_held(tmp_path):
    with opened(tmp_path / "h") as db:
        assert states(db) == {
            LEAK: (True, True),
            TEMPLATE: (True, True),
            SAME: (True, False),
            CLEAN: (False, False),
        }
        assert served(db).keys() == {CLEAN}
        cover = coverage(db, get_campaign(db, "first"))
        assert (cover.battles, cover.wanted, cover.held) == (1, 1, 3)


def test_redacted_leaks_are_served_with_the_words_covered(tmp_path):
    with opened(tmp_path / "h", Guard.REDACT) as db:
        assert states(db) == {
            LEAK: (False, False),
            TEMPLATE: (False, False),
            SAME: (True, False),
            CLEAN: (False, False),
        }
        rater = Rater(db)
        ballots = served(db, rater)
        assert ballots.keys() == {LEAK, TEMPLATE, CLEAN}
        assert {ballots[LEAK].left, ballots[LEAK].right} == {
            "I am [hidden], and it is blue.",
            "It is bluish.",
        }
        assert {ballots[TEMPLATE].left, ballots[TEMPLATE].right} == {
            "It is green.[hidden]",
            "It is greenish.",
        }
        side = "left" if "hidden" in ballots[LEAK].left else "right"
        rater.vote(ballots[LEAK].assignment, side)
        chosen = db.conn.execute("SELECT chosen FROM vote_pairs").fetchone()[0]
        assert chosen == "I am ChatGPT, and it is blue."


def test_allowed_leaks_are_served_and_their_votes_left_out(tmp_path):
    with opened(tmp_path / "h", Guard.ALLOW) as db:
        assert states(db) == {
            LEAK: (False, True),
            TEMPLATE: (False, True),
            SAME: (False, False),
            CLEAN: (False, False),
        }
        rater = Rater(db)
        for ballot in served(db, rater).values():
            rater.vote(ballot.assignment)
        found = counts(db, get_campaign(db, "first").id)
        assert (found.counted, found.excluded) == (2, {"identity leak": 2})
        assert [t.votes for t in tallies(db)] == [2]
        assert store.guard_counts(db, 1).left_out == 2
        assert contradictions(db) == []


def test_leaked_votes_count_where_the_owner_says_so(tmp_path):
    with opened(tmp_path / "h", Guard.ALLOW, count_leaked=True) as db:
        rater = Rater(db)
        for ballot in served(db, rater).values():
            rater.vote(ballot.assignment)
        assert counts(db, 1).excluded == {}
        assert [t.votes for t in tallies(db)] == [4]


def test_another_rule_before_the_first_vote_takes_hold_at_once(tmp_path):
    with opened(tmp_path / "h") as db:
        campaign = get_campaign(db, "first")
        change_settings(db, campaign, CampaignSettings(guard=Guard.ALLOW))
        assert states(db)[LEAK] == (False, True)
        change_settings(db, campaign, CampaignSettings(guard=Guard.REDACT))
        assert states(db)[LEAK] == (False, False)
        assert contradictions(db) == []


# -- the owner decides -------------------------------------------------------------------------------------------


def test_a_released_battle_is_served_and_its_votes_count_again(tmp_path):
    with opened(tmp_path / "h", Guard.ALLOW) as db:
        rater = Rater(db)
        rater.vote(served(db, rater)[LEAK].assignment)
        assert counts(db, 1).counted == 0
        said = scanning.decide(db, "first", LEAK, "ann", held=False, reason="a quotation")
        assert "1 finding dismissed" in said
        assert states(db)[LEAK] == (False, False)
        assert counts(db, 1).counted == 1
        assert [t.votes for t in tallies(db)] == [1]
        assert recent(db)[0][1:] == ("ann", f"released battle {LEAK}: a quotation")
        row = next(r for r in store.findings_of(db, 1) if r.battle == LEAK)
        assert (row.dismissed_by, row.dismissed_at is None) == ("ann", False)
        scanning.scan(db, 1)
        assert states(db)[LEAK] == (False, False), "a scan does not undo what the owner decided"
        with pytest.raises(UserError, match="nothing stands"):
            store.release(db, LEAK, "ann")


def test_any_battle_can_be_held_by_hand_and_its_votes_stay(tmp_path):
    with opened(tmp_path / "h") as db:
        rater = Rater(db)
        rater.vote(served(db, rater)[CLEAN].assignment)
        scanning.decide(db, "first", CLEAN, "ann", held=True, reason="off topic")
        assert states(db)[CLEAN] == (True, False)
        assert served(db) == {}
        assert counts(db, 1).counted == 1
        cover = coverage(db, get_campaign(db, "first"))
        assert (cover.votes, cover.wanted, cover.held_votes) == (1, 1, 1)
        scanning.decide(db, "first", CLEAN, "ann", held=False)
        scanning.decide(db, "first", CLEAN, "ann", held=True, reason="off topic")
        assert states(db)[CLEAN] == (True, False)


def test_only_a_battle_of_the_campaign_can_be_decided_on(tmp_path):
    with opened(tmp_path / "h") as db:
        with pytest.raises(NotFound, match="no battle 99"):
            scanning.decide(db, "first", 99, "ann", held=True)
        with pytest.raises(UserError, match="belongs to campaign 'first'"):
            scanning.decide(db, "second", LEAK, "ann", held=True)


# -- reports -----------------------------------------------------------------------------------------------------


class Reporters:
    """Raters of a campaign who are lent whatever battle is named."""

    def __init__(self, db):
        self.db = db

    def lent(self, rater, battle):
        until = (NOW + timedelta(hours=1)).isoformat()
        made = Assignment(
            f"{rater.session.rater:011}{battle:011}", battle, rater.session.rater, "a", NOW.isoformat(), until
        )
        add_assignment(self.db, made)
        return made.id

    def seat(self, votes):
        """A rater with so many votes, on the last battles."""
        rater = Rater(self.db)
        rater.next()  # binds the seat
        for battle in range(40, 40 - votes, -1):
            rater.vote(self.lent(rater, battle))
        return rater

    def report(self, rater, battle, text="Cut off."):
        assignment = self.lent(rater, battle)
        rater.vote(assignment, "skip", report=text)
        return assignment


@contextlib.contextmanager
def many(folder, prompts=40):
    """A home with so many clean battles, each wanted from many raters."""
    db = open_writer(make_home(folder, prompts=prompts, settings=CampaignSettings(overlap=9)))
    try:
        yield db, Reporters(db)
    finally:
        db.conn.close()


def held(db):
    return {b for b, (is_held, _) in states(db).items() if is_held}


def test_one_report_is_shown_and_two_hold_the_battle(tmp_path):
    with many(tmp_path / "h") as (db, seats):
        first, second = seats.seat(5), seats.seat(5)
        seats.report(first, 1, "The prompt is cut off.")
        assert held(db) == set()
        row = next(r for r in store.findings_of(db, 1) if r.kind is FindingKind.REPORTED)
        assert row.what == "The prompt is cut off."
        assert row.by == db.conn.execute("SELECT name FROM raters ORDER BY id LIMIT 1").fetchone()[0]
        reported = seats.report(second, 1)
        assert held(db) == {1}
        assert store.guard_counts(db, 1).reported == 1
        second.undo(reported)
        assert held(db) == set()
        assert contradictions(db) == []


def test_reports_of_raters_who_hardly_voted_are_shown_and_hold_nothing_until_they_have(tmp_path):
    with many(tmp_path / "h") as (db, seats):
        old, new = seats.seat(5), seats.seat(4)
        seats.report(old, 1)
        seats.report(new, 1)
        assert held(db) == set()
        assert store.guard_counts(db, 1).reported == 1
        fifth = seats.lent(new, 3)
        new.vote(fifth)
        assert held(db) == {1}
        new.undo(fifth)
        assert held(db) == set()
        assert contradictions(db) == []


def test_reports_of_excluded_raters_hold_nothing(tmp_path):
    with many(tmp_path / "h") as (db, seats):
        first, second = seats.seat(5), seats.seat(5)
        for rater in (first, second):
            seats.report(rater, 1)
        name = db.conn.execute("SELECT max(name) FROM raters").fetchone()[0]
        decide_rater(db, name, counted=False, reason="random")
        assert held(db) == set()
        decide_rater(db, name, counted=True, reason="not so random")
        assert held(db) == {1}
        assert contradictions(db) == []


def test_two_seats_cannot_empty_a_campaign(tmp_path):
    with many(tmp_path / "h") as (db, seats):
        first, second = seats.seat(5), seats.seat(5)
        for battle in range(1, 11):
            seats.report(first, battle)
            seats.report(second, battle)
        assert held(db) == {1, 2}, "one in twenty of forty"
        assert store.guard_counts(db, 1).reported == 10
        scanning.decide(db, "first", 1, "ann", held=False)
        assert held(db) == {2}
        seats.report(first, 11)
        seats.report(second, 11)
        assert held(db) == {2, 11}, "what the owner released is in no one's way"
        assert contradictions(db) == []


def test_an_empty_report_is_none(tmp_path):
    with opened(tmp_path / "h") as db:
        rater = Rater(db)
        rater.vote(served(db, rater)[CLEAN].assignment, report="  ")
        assert store.guard_counts(db, 1).reported == 0


# -- scanning ----------------------------------------------------------------------------------------------------


def test_scanning_again_adds_nothing_and_takes_away_what_is_not_found_any_more(tmp_path):
    with opened(tmp_path / "h") as db:
        before = store.findings_of(db, 1)
        assert scanning.scan(db, 1) == scanning.Scanned(4, 3)
        assert store.findings_of(db, 1) == before
        scanning.save_words(db, scanning.words_text(db).replace("\n[ignored]\n", "\n[ignored]\nChatGPT\n"))
        scanning.scan(db, 1)
        assert states(db)[LEAK] == (False, False)
        assert states(db)[TEMPLATE] == (True, True)
        scanning.save_words(db, "")
        assert scanning.words_text(db) == scanning.DEFAULT.read_text(encoding="utf-8")
        with pytest.raises(UserError, match="names no maker"):
            scanning.save_words(db, "[phrases]\nI am {name}")
        assert contradictions(db) == []


def test_a_campaign_is_scanned_when_it_is_made(tmp_path):
    from arena.registry import compare, preview, preview_lines

    with opened(tmp_path / "h") as db:
        made = compare(db, "second", ("model-one", "model-two"), "all", CampaignSettings(guard=Guard.REDACT))
        found = {r.kind for r in store.findings_of(db, made.campaign.id)}
        assert found == {FindingKind.IDENTITY, FindingKind.TEMPLATE, FindingKind.NEAR_IDENTICAL}
        assert any("I am [hidden]" in line for line in preview_lines(preview(db, "second", 4)))


def test_what_was_released_stays_so_in_the_next_version(tmp_path):
    from arena.campaigning import change

    with opened(tmp_path / "h", overlap=2) as db:
        scanning.decide(db, "first", LEAK, "ann", held=False)
        rater = Rater(db)
        rater.vote(next(iter(served(db, rater).values())).assignment)
        made = change(db, "first", {"guidelines": "Read both."})
        assert made.new_version
        standing = {r.kind: r.dismissed_by for r in store.findings_of(db, made.campaign.id)}
        assert standing == {
            FindingKind.IDENTITY: "ann",
            FindingKind.TEMPLATE: None,
            FindingKind.NEAR_IDENTICAL: None,
        }
        assert coverage(db, made.campaign).held == 2
        assert contradictions(db) == []


def test_every_name_of_a_model_and_its_ancestors_is_looked_for(tmp_path):
    db = open_writer(make_home(tmp_path / "h"))
    with contextlib.closing(db.conn):
        add_model(db, "old", ModelKind.CHECKPOINT, source="acme/Frobnicator-7B")
        add_model(db, "new", ModelKind.CHECKPOINT, source="/data/models/zebrafinch", parent="old")
        names = scanning.own_names(store.names_of(db, ["new"]))
        assert {"new", "old", "acme/Frobnicator-7B", "zebrafinch"} <= set(names)


def test_imported_votes_on_a_leak_are_marked_and_counted(tmp_path):
    home = make_home(tmp_path / "h", prompts=0)
    file = tmp_path / "votes.csv"
    file.write_text(
        "rater,prompt,model_a,model_b,response_a,response_b,winner\n"
        'ann,Who are you?,one,two,"I am ChatGPT, by OpenAI.",Nobody.,model_a\n'
        "bob,What is 2 and 2?,one,two,Four it is.,It makes five.,model_a\n"
    )
    report = import_file(home, ImportKind.VOTES, str(file), campaign="elsewhere")
    assert report.added == 2
    db = open_writer(home)
    with contextlib.closing(db.conn):
        campaign = get_campaign(db, "elsewhere")
        found = {(r.kind, r.what) for r in store.findings_of(db, campaign.id)}
        assert (FindingKind.IDENTITY, "ChatGPT") in found
        assert counts(db, campaign.id).counted == 2
        assert [t.votes for t in tallies(db)] == [2]
        assert store.guard_counts(db, campaign.id)[:2] == (1, 1)
        assert store.guard_counts(db, campaign.id).marked == 1
        assert contradictions(db) == []


@pytest.mark.parametrize("guard", Guard)
def test_an_answer_without_its_text_is_served_under_no_rule(tmp_path, guard):
    home = make_home(tmp_path / "h", prompts=0)
    file = tmp_path / "votes.jsonl"
    file.write_text(
        '{"rater": "ann", "prompt_id": "q1", "model_a": "one", "model_b": "two", "winner": "model_a"}\n'
    )
    report = import_file(home, ImportKind.VOTES, str(file), campaign="elsewhere")
    assert report.notes == ("1 battle without its texts here, never shown to raters",)
    db = open_writer(home)
    with contextlib.closing(db.conn):
        change = "UPDATE campaigns SET guard = ? WHERE name = 'elsewhere'"
        with contextlib.suppress(sqlite3.IntegrityError):
            db.conn.execute(change, (guard,))
        opened_ = scanning.set_status(db, "elsewhere", CampaignStatus.OPEN)
        assert served(db, Rater(db, campaign="elsewhere")) == {}
        assert (opened_.status, counts(db, opened_.id).counted) == (CampaignStatus.OPEN, 1)
        assert contradictions(db) == []


@pytest.mark.parametrize("guard", Guard)
def test_an_empty_answer_is_served_under_no_rule(tmp_path, guard):
    blank = make_home(tmp_path / "h", prompts=2, settings=CampaignSettings(guard=guard),
                      answer=lambda model, i: "..." if (model, i) == ("model-one", 0) else f"It is {model[-3:]}.")  # fmt: skip
    db = open_writer(blank)
    with contextlib.closing(db.conn):
        scanning.scan(db, 1)
        assert served(db).keys() == {2}


# -- campaigns of an older version -------------------------------------------------------------------------------


def older(folder):
    return make_home(folder, prompts=4, answer=answer, scanned=False)


def test_an_older_open_campaign_is_reported_and_scanned_when_the_server_starts(tmp_path):
    home = older(tmp_path / "h")
    assert check(home) == [
        "unscanned: campaign first is open and the blinding guard has not looked at it (start `serve`)"
    ]
    with prepared(home, "127.0.0.1", 0, None) as links_for:
        assert links_for("http://here").scanned == (
            'Looked at 4 battles of first, 3 with something found: `campaign guard "first"`',
        )
    assert check(home) == []
    with prepared(home, "127.0.0.1", 0, None) as links_for:
        assert links_for("http://here").scanned == ()
    db = open_writer(home)
    with contextlib.closing(db.conn):
        assert served(db).keys() == {CLEAN}


def test_an_older_campaign_is_scanned_before_it_opens(tmp_path):
    home = older(tmp_path / "h")
    for word in ("close", "open"):
        assert run(home, "campaign", word, "first").code == 0
    assert check(home) == []
    db = open_writer(home)
    with contextlib.closing(db.conn):
        assert served(db).keys() == {CLEAN}


# -- whatever happens --------------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), guard=st.sampled_from(Guard))
def test_kept_counts_follow_from_the_findings_whatever_happens(tmp_path_factory, seed, guard):
    rng = random.Random(seed)
    with opened(tmp_path_factory.mktemp("any") / "h", guard, overlap=3) as db:
        raters = [Rater(db) for _ in range(3)]
        given_: list[tuple[Rater, str]] = []
        for _ in range(25):
            act, battle = rng.randrange(6), rng.choice([LEAK, TEMPLATE, SAME, CLEAN])
            if act == 0:
                store.hold(db, battle, "ann", rng.choice(["", "why"]))
            elif act == 1:
                with contextlib.suppress(UserError):
                    store.release(db, battle, "ann")
            elif act == 2:
                found = [Finding("a", FindingKind.IDENTITY, "X")] * rng.randrange(2)
                store.put_findings(db, {battle: found})
            elif act == 3 and given_:
                rater, assignment = given_.pop()
                rater.undo(assignment)
            else:
                rater = rng.choice(raters)
                for ballot in rater.next().ballots:
                    rater.vote(ballot.assignment, "tie", report=rng.choice(["", "bad"]))
                    given_.append((rater, ballot.assignment))
            assert contradictions(db) == []
        counted = sum(t.votes for t in tallies(db))
        assert counted == counts(db, 1).counted


def test_whoever_makes_or_fills_a_campaign_is_told_what_was_found(tmp_path):
    with opened(tmp_path / "h") as db:
        said = scanning.notes(db, 1)
        assert said == [('3 battles with an answer that gives its model away, is empty or equals the other; 3 held; '
                        '`campaign guard "first"` lists them')]  # fmt: skip
    made = run(
        tmp_path / "h", "campaign", "create", "second", "--models", "model-one,model-two", "--prompts", "all"
    )
    assert '3 held; `campaign guard "second"` lists them' in made.err
    db = open_writer(make_home(tmp_path / "clean"))
    with contextlib.closing(db.conn):
        scanning.scan(db, 1)
        assert scanning.notes(db, 1) == []
