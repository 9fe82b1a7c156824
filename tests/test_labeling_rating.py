"""The workflow of a rater on a real database; every status the contract names is an error type here."""

import contextlib
import random
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from db.campaigns import add_battle, coverage, create_campaign, get_campaign, set_status
from db.catalog import add_model, add_prompts, add_responses, get_response
from db.connection import open_writer, transaction
from db.counting import counts
from db.entities.campaigns import CampaignSettings, CampaignStatus, Purpose
from db.entities.catalog import ModelKind, Prompt, Response, Split
from db.entities.votes import Choice, Outcome
from db.errors import Conflict, NotFound, Refused
from db.seats import revoke_seat
from db.votes import browse_votes
from labeling import joining, lending, rating
from labeling.ballot import choice_of, outcome_of
from labeling.submission import Malformed, parse_submission
from tests.factories import NOW, make_home


@pytest.fixture
def db(tmp_path):
    opened = open_writer(make_home(tmp_path / "home"))
    yield opened
    opened.conn.close()


class Rater:
    """A rater with a cookie, as the routes see one."""

    def __init__(self, db, campaign="first", token=None):
        self.db = db
        self.token = token or joining.invite(db, campaign, 1)[0].token
        self.cookie = joining.join(db, self.token, None, NOW)

    @property
    def session(self):
        return joining.session_from(self.db, self.cookie, NOW)

    def next(self, n=1, now=NOW, campaign=None):
        return lending.next_ballots(self.db, self.session, n, now, campaign)

    def vote(self, assignment, choice="left", key=None, now=NOW, **more):
        body = {"assignment": assignment, "choice": choice, "key": key or f"key-{assignment}", **more}
        with transaction(self.db):
            return rating.cast_vote(self.db, self.session, parse_submission(body), now)

    def undo(self, assignment, now=NOW):
        with transaction(self.db):
            return rating.undo(self.db, self.session, assignment, now)


def stored(db):
    return counts(db, get_campaign(db, "first").id)


def test_a_rater_goes_through_everything_and_reaches_an_end(db):
    rater = Rater(db)
    seen = []
    for expected in range(6):
        given_now = rater.next(2)
        assert (given_now.done, given_now.target) == (expected, 6)
        seen.append(given_now.ballots[0].prompt[0]["content"])
        assert rater.vote(given_now.ballots[0].assignment).done == expected + 1
    last = rater.next(2)
    assert last.ballots == ()
    assert "everything" in last.end.message
    assert len(set(seen)) == 6


def test_the_same_ballots_come_back_until_they_are_voted_on(db):
    rater = Rater(db)
    first = rater.next(2).ballots
    assert rater.next(2).ballots == first
    rater.vote(first[0].assignment)
    assert rater.next(2).ballots[0] == first[1]


def test_what_was_pressed_is_what_is_stored(db):
    rater = Rater(db)
    for choice in ("left", "right", "left", "right", "left"):
        ballot = rater.next().ballots[0]
        rater.vote(ballot.assignment, choice)
        preferred = ballot.left if choice == "left" else ballot.right
        view = db.execute("SELECT chosen FROM vote_pairs ORDER BY vote DESC LIMIT 1").fetchone()[0]
        assert view == preferred


def test_the_same_key_and_body_is_one_row(db):
    rater = Rater(db)
    a = rater.next().ballots[0].assignment
    assert rater.vote(a).receipt == rater.vote(a).receipt
    assert stored(db).stored == 1


def test_the_same_key_with_another_body_is_malformed(db):
    rater = Rater(db)
    a, b = (x.assignment for x in rater.next(2).ballots)
    rater.vote(a, key="k")
    with pytest.raises(Malformed) as error:
        rater.vote(b, key="k")
    assert error.value.field == "key"


def test_another_key_with_the_same_choice_gets_the_stored_receipt(db):
    rater = Rater(db)
    a = rater.next().ballots[0].assignment
    assert rater.vote(a, key="one").receipt == rater.vote(a, key="two").receipt
    assert stored(db).stored == 1


def test_a_different_choice_is_a_conflict_that_shows_what_is_stored(db):
    rater = Rater(db)
    a = rater.next().ballots[0].assignment
    receipt = rater.vote(a, "left").receipt
    with pytest.raises(rating.Contradiction) as error:
        rater.vote(a, "right", key="other")
    assert error.value.stored == {"receipt": receipt, "choice": "left"}


def test_another_raters_assignment_is_refused(db):
    one, two = Rater(db), Rater(db)
    a = one.next().ballots[0].assignment
    two.next()
    with pytest.raises(Refused):
        two.vote(a)
    with pytest.raises(Refused):
        two.vote("made-up")


@pytest.mark.parametrize("status", [CampaignStatus.PAUSED, CampaignStatus.CLOSED])
def test_a_paused_or_closed_campaign_takes_no_new_vote_but_repeats_old_answers(db, status):
    rater = Rater(db)
    a, b = (x.assignment for x in rater.next(2).ballots)
    receipt = rater.vote(a).receipt
    set_status(db, "first", status)
    with pytest.raises(Conflict):
        rater.vote(b)
    assert rater.vote(a).receipt == receipt
    assert rater.next().end.message


def test_a_late_vote_on_an_expired_lease_counts(db):
    rater = Rater(db)
    a = rater.next().ballots[0].assignment
    rater.vote(a, now=NOW + timedelta(days=2))
    assert stored(db).counted == 1


def test_an_expired_ballot_comes_back_with_the_same_sides(db):
    rater = Rater(db)
    before = rater.next().ballots[0]
    after = rater.next(now=NOW + timedelta(hours=1)).ballots[0]
    assert after.assignment != before.assignment
    assert (after.left, after.right) == (before.left, before.right)


def test_an_expired_ballot_that_someone_else_rated_is_not_offered_again(db):
    one, two = Rater(db), Rater(db)
    text = one.next().ballots[0].prompt
    later = NOW + timedelta(hours=1)
    for _ in range(6):
        for ballot in two.next(now=later).ballots:
            two.vote(ballot.assignment, now=later)
    assert stored(db).stored == 6
    assert one.next(now=later).ballots == ()
    assert text


def test_undo_lends_the_battle_again_with_the_same_sides_and_twice_answers_the_same(db):
    rater = Rater(db)
    ballot = rater.next().ballots[0]
    rater.vote(ballot.assignment)
    undone = rater.undo(ballot.assignment)
    assert rater.undo(ballot.assignment) == undone
    again = rater.next().ballots[0]
    assert again.assignment == undone.assignment != ballot.assignment
    assert (again.left, again.right) == (ballot.left, ballot.right)
    rater.vote(again.assignment, "right")
    c = stored(db)
    assert (c.stored, c.counted, c.retracted) == (2, 1, 1)
    assert rater.undo(ballot.assignment).assignment == undone.assignment


def test_an_undone_battle_comes_before_those_lent_after_it(db):
    rater = Rater(db)
    first, second = rater.next(2).ballots
    rater.vote(first.assignment)
    undone = rater.undo(first.assignment)
    assert [b.assignment for b in rater.next(2).ballots] == [undone.assignment, second.assignment]
    assert rater.next(1).ballots[0].left == first.left


def test_a_vote_on_an_undone_ballot_is_a_conflict_but_its_repeat_is_not(db):
    rater = Rater(db)
    a = rater.next().ballots[0].assignment
    receipt = rater.vote(a, key="k").receipt
    rater.undo(a)
    assert rater.vote(a, key="k").receipt == receipt
    with pytest.raises(Conflict, match="undone"):
        rater.vote(a, key="another")


def test_undo_has_an_end(db):
    rater = Rater(db)
    a = rater.next().ballots[0].assignment
    rater.vote(a)
    with pytest.raises(Conflict, match="too late"):
        rater.undo(a, now=NOW + timedelta(hours=2))
    with pytest.raises(Conflict, match="no vote"):
        rater.undo(rater.next().ballots[0].assignment)


def test_after_a_reveal_there_is_no_undo(tmp_path):
    db = open_writer(make_home(tmp_path / "h", settings=CampaignSettings(reveal="each")))
    rater = Rater(db)
    ballot = rater.next().ballots[0]
    reveal = rater.vote(ballot.assignment).reveal
    by_model = {r.model: r.text for r in (get_response(db, i) for i in _responses(db))}
    assert {reveal["left"], reveal["right"]} == {"model-one", "model-two"}
    assert ballot.left in {r[0] for r in db.execute(
        "SELECT r.text FROM responses r JOIN models m ON m.id = r.model WHERE m.name = ?", (reveal["left"],))}  # fmt: skip
    assert by_model
    with pytest.raises(Conflict, match="revealed"):
        rater.undo(ballot.assignment)


def _responses(db):
    return [r[0] for r in db.execute("SELECT id FROM responses")]


def test_a_skipped_battle_is_stored_not_counted_and_never_shown_again(db):
    rater = Rater(db)
    ballot = rater.next().ballots[0]
    rater.vote(ballot.assignment, "skip", reason="too hard")
    c = stored(db)
    assert (c.stored, c.counted, c.excluded) == (1, 0, {"skipped": 1})
    prompts = set()
    while ballots := rater.next().ballots:
        prompts.add(ballots[0].prompt[0]["content"])
        rater.vote(ballots[0].assignment)
    assert ballot.prompt[0]["content"] not in prompts
    assert len(prompts) == 5


def test_a_link_binds_to_the_first_browser_that_asks_for_a_ballot(db):
    token = joining.invite(db, "first", 1)[0].token
    scanner = joining.join(db, token, None, NOW)
    browser = joining.join(db, token, None, NOW)
    lending.next_ballots(db, joining.session_from(db, browser, NOW), 1, NOW)
    with pytest.raises(Refused, match="another browser"):
        lending.next_ballots(db, joining.session_from(db, scanner, NOW), 1, NOW)
    with pytest.raises(Conflict, match="another browser"):
        joining.join(db, token, None, NOW)
    assert joining.join(db, token, browser, NOW) == browser
    with pytest.raises(NotFound):
        joining.join(db, "guess", None, NOW)


def test_a_reissued_seat_keeps_its_ballot_and_its_old_browser_until_the_new_link_is_used(db):
    rater = Rater(db)
    ballot = rater.next().ballots[0]
    new = joining.reissue(db, rater.session.seat)
    assert rater.next().ballots[0] == ballot
    with pytest.raises(NotFound):
        joining.join(db, rater.token, None, NOW)
    other = Rater(db, token=new.token)
    assert other.next().ballots[0] == ballot
    with pytest.raises(Refused):
        rater.next()


def test_a_revoked_seat_is_closed(db):
    rater = Rater(db)
    rater.next()
    revoke_seat(db, rater.session.seat)
    with pytest.raises(Refused, match="closed"):
        rater.next()


def test_without_a_session_nothing_is_given(db):
    with pytest.raises(joining.NoSession):
        lending.next_ballots(db, None, 1, NOW)
    with pytest.raises(joining.NoSession):
        lending.next_ballots(db, joining.session_from(db, "forged", NOW), 1, NOW)


def test_consent_comes_first(tmp_path):
    settings = CampaignSettings(consent_text="May we keep your votes?", consent_version="2")
    db = open_writer(make_home(tmp_path / "h", settings=settings))
    rater = Rater(db)
    with pytest.raises(lending.ConsentRequired) as error:
        rater.next()
    assert error.value.version == "2"
    joining.agree(db, rater.session, "2")
    a = rater.next().ballots[0].assignment
    rater.vote(a)
    assert db.execute("SELECT consent_version FROM votes").fetchone() == ("2",)


def test_overlap_is_filled_and_not_overfilled(tmp_path):
    db = open_writer(make_home(tmp_path / "h", prompts=10, settings=CampaignSettings(overlap=3)))
    raters = [Rater(db) for _ in range(7)]
    rng = random.Random(1)
    for _ in range(200):
        rater = rng.choice(raters)
        for ballot in rater.next().ballots:
            rater.vote(ballot.assignment, rng.choice(["left", "right", "tie"]))
    votes = dict(db.execute("SELECT battle, count(*) FROM votes GROUP BY battle"))
    assert list(votes.values()) == [3] * 10
    assert db.execute(
        "SELECT max(n) FROM (SELECT count(*) n FROM votes GROUP BY battle, rater)"
    ).fetchone() == (1,)
    assert coverage(db, get_campaign(db, "first"))[:3] == (10, 30, 30)


def test_sides_are_drawn_evenly(tmp_path):
    db = open_writer(make_home(tmp_path / "h", prompts=100, settings=CampaignSettings(overlap=20)))
    for _ in range(20):
        rater = Rater(db)
        rater.next(100)
    n, left = db.execute("SELECT count(*), sum(left_is = 'a') FROM assignments").fetchone()
    assert n == 2000
    assert abs(left - n / 2) < 4 * (n / 4) ** 0.5


def test_a_rater_cap_ends_a_campaign_for_that_rater(tmp_path):
    db = open_writer(make_home(tmp_path / "h", prompts=10, settings=CampaignSettings(rater_cap=3)))
    rater = Rater(db)
    n = 0
    while ballots := rater.next(2).ballots:
        rater.vote(ballots[0].assignment)
        n += 1
    assert n == 3


def test_a_seat_moves_on_to_the_newest_round_of_its_lineage(db):
    """A rematch opened after the seat was made comes before the seat's own campaign."""
    rater = Rater(db)
    held = Prompt.of([{"role": "user", "content": "held out"}], Split.HELDOUT)
    add_prompts(db, [held], prompt_set="fresh")
    for model in ("model-one", "model-two"):
        add_responses(db, [Response.of(held.id, model, f"{model} says")])
    lineage = get_campaign(db, "first").lineage
    db.execute(
        "INSERT INTO snapshots(id, source, policy, train, heldout) VALUES (?, 'x', '{}', 0, 0)", ("f" * 32,)
    )
    db.execute("""INSERT INTO runs(id, name, kind, parent, snapshot, status, folder, settings, finished_at)
                  VALUES (1, 'r', 'dpo', 1, ?, 'succeeded', 'r', '{}', 'now')""", ("f" * 32,))  # fmt: skip
    db.execute("UPDATE seats SET created_at = '2000-01-01T00:00:00.000Z'")
    create_campaign(db, "rematch", ("model-one", "model-two"), "fresh", CampaignSettings(purpose=Purpose.EVALUATE),
                    parent_run=1, lineage=lineage)  # fmt: skip
    first = rater.next(2).ballots
    assert first[0].prompt[0]["content"] == "held out"
    assert len(first) == 1, "all ballots of one answer are of one campaign"
    rater.vote(first[0].assignment)
    assert rater.next(2).ballots[0].prompt[0]["content"] != "held out"
    assert rater.next(1, campaign="first").ballots[0].prompt[0]["content"] != "held out"
    with pytest.raises(Refused):
        rater.next(1, campaign="nowhere")


def test_battles_between_empty_or_identical_answers_are_not_made(db):
    p = Prompt.of([{"role": "user", "content": "same?"}])
    add_prompts(db, [p], prompt_set="odd")
    for name, text in (("x", "alike"), ("y", " alike\n"), ("z", "  ")):
        add_model(db, name, ModelKind.RECORDED)
        add_responses(db, [Response.of(p.id, name, text)])
    made = create_campaign(db, "odd", ("x", "y", "z"), "odd", CampaignSettings())
    assert (made.battles, made.identical, made.missing) == (0, 3, 0)


def test_an_evaluate_campaign_takes_no_train_prompt(db):
    made = create_campaign(
        db, "eval", ("model-one", "model-two"), "all", CampaignSettings(purpose=Purpose.EVALUATE)
    )
    assert made.battles == 0
    p = db.execute("SELECT prompt, id FROM responses LIMIT 1").fetchone()
    other = db.execute("SELECT id FROM responses WHERE prompt = ? AND id <> ?", p).fetchone()[0]
    with pytest.raises(Exception, match="held-out prompts only"):
        add_battle(db, made.campaign.id, p[0], p[1], other, 1, 2)


def test_details_are_kept_in_terms_of_the_battle(db):
    rater = Rater(db)
    ballot = rater.next().ballots[0]
    rater.vote(ballot.assignment, "right", strength="clear", acceptable={"left": False, "right": True},
               criteria={"truthful": "left"}, tags={"left": ["vague"]}, comment="so", elapsed_ms=1200.5)  # fmt: skip
    row = db.query("SELECT v.*, s.left_is FROM votes v JOIN assignments s ON s.id = v.assignment")
    got = next(iter(row))
    left = got["left_is"]
    right = "b" if left == "a" else "a"
    assert got["outcome"] == right
    assert got[f"acceptable_{left}"] == 0
    assert got[f"acceptable_{right}"] == 1
    assert got["criteria"] == f'{{"truthful": "{left}"}}'
    assert got[f"tags_{left}"] == '["vague"]'
    assert (got["strength"], got["elapsed_ms"], got["comment"]) == ("clear", 1200, "so")
    assert [r.outcome for r in browse_votes(db, "first")] == [right]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"choice": "sideways"}, "choice"), ({"choice": None}, "choice"), ({"assignment": ""}, "assignment"),
        ({"assignment": 7}, "assignment"), ({"key": None}, "key"), ({"key": "x" * 200}, "key"),
        ({"strength": "huge"}, "strength"), ({"acceptable": {"top": True}}, "acceptable"),
        ({"acceptable": {"left": "yes"}}, "acceptable"), ({"acceptable": [1]}, "acceptable"),
        ({"criteria": {"x": "both_bad"}}, "criteria"), ({"tags": {"left": "vague"}}, "tags"),
        ({"criteria": {str(n): "tie" for n in range(21)}}, "criteria"), ({"criteria": {"x" * 81: "tie"}}, "criteria"),
        ({"criteria": {"a\0": "tie"}}, "criteria"), ({"criteria": {"x": ["tie"]}}, "criteria"),
        ({"tags": {"left": ["a\0"]}}, "tags"), ({"better": "a\0b"}, "better"),
        ({"comment": "x" * 30000}, "comment"), ({"comment": "\ud800"}, "comment"),
        ({"elapsed_ms": -1}, "elapsed_ms"), ({"elapsed_ms": True}, "elapsed_ms"), ({"winner": "a"}, "winner"),
    ],
)  # fmt: skip
def test_malformed_fields_are_named(change, field):
    body = {"assignment": "a", "choice": "left", "key": "k"} | change
    with pytest.raises(Malformed) as error:
        parse_submission(body)
    assert error.value.field == field


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(),
                    lambda c: st.lists(c, max_size=3) | st.dictionaries(st.text(), c, max_size=3)))  # fmt: skip
def test_any_json_is_parsed_or_malformed(body):
    with contextlib.suppress(Malformed):
        assert parse_submission(body).key


@given(st.sampled_from(list(Choice)), st.sampled_from("ab"))
def test_choice_and_outcome_are_each_others_inverse(choice, left_is):
    outcome = outcome_of(choice, left_is)
    assert choice_of(outcome, left_is) is choice
    assert outcome.decisive == (choice in (Choice.LEFT, Choice.RIGHT))
    if choice is Choice.LEFT:
        assert outcome == Outcome(left_is)
