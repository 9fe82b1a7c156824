"""Which ballots come: sessions that begin and end, practice, check questions, sampling, and a large crowd."""

import random
from collections import Counter
from datetime import timedelta

import pytest

from db.assignments import expire_leases, get_assignment
from db.campaigns import battles_of, coverage, get_campaign, set_status
from db.checks import GoldPair, add_gold_pairs, check_votes, expected, gold_score
from db.connection import open_writer, transaction
from db.counting import counts, standing_of_rater
from db.entities.campaigns import CampaignSettings, CampaignStatus, QuizQuestion, Recruit, Sampling
from db.entities.votes import BallotKind, Outcome, VoteDetails
from db.errors import Conflict
from db.raters import decide_rater, list_raters
from db.seats import add_seat
from db.upkeep import check
from db.votes import add_vote, counted_votes
from labeling import briefing, joining, lending, rating
from labeling.submission import Malformed, parse_submission
from tests.factories import NOW, make_home

PLAIN = CampaignSettings()


class Session:
    """A home with one campaign, and raters that rate in it."""

    def __init__(self, folder, settings=PLAIN, prompts=12, gold=0):
        self.home = make_home(folder / "home", settings=settings, prompts=prompts)
        self.db = open_writer(self.home)
        self.campaign = get_campaign(self.db, "first")
        if gold:
            first = battles_of(self.db, self.campaign.id)[:gold]
            pairs = [GoldPair(b.prompt, f"A good answer, number {b.id}.", f"bad {b.id}") for b in first]
            assert add_gold_pairs(self.db, self.campaign, pairs, "file") == gold

    def rater(self):
        return Rater(self)


class Rater:
    """A rater's browser."""

    def __init__(self, session):
        self.db = session.db
        self.campaign = session.campaign
        self.cookie = joining.join(self.db, joining.invite(self.db, "first", 1)[0].token, None, NOW)

    @property
    def seat(self):
        return joining.session_from(self.db, self.cookie, NOW)

    def next(self, n=1, now=NOW):
        with transaction(self.db):
            return lending.next_ballots(self.db, self.seat, n, now)

    def vote(self, ballot, choice="left", now=NOW, **more):
        body = {"assignment": ballot.assignment, "choice": choice, "key": ballot.assignment, **more}
        with transaction(self.db):
            return rating.cast_vote(self.db, self.seat, parse_submission(body), now)

    def kind(self, ballot):
        return get_assignment(self.db, ballot.assignment).kind

    def right_side(self, ballot):
        """The side that is known to be better."""
        lent = get_assignment(self.db, ballot.assignment)
        return "left" if expected(self.db, lent.battle).value == lent.left_is else "right"

    def rate_all(self, most=200):
        kinds = Counter()
        for _ in range(most):
            found = self.next()
            if not found.ballots:
                return kinds, found
            kinds[self.kind(found.ballots[0])] += 1
            self.vote(found.ballots[0])
        raise AssertionError("there was always another ballot")


# -- when a session is on --------------------------------------------------------------------------------------


def test_a_session_begins_and_ends_when_it_says(tmp_path):
    settings = CampaignSettings(starts_at="2026-01-02T03:00:00.000Z", ends_at="2026-01-02T04:00:00.000Z")
    rater = Session(tmp_path, settings).rater()
    assert rater.next(now=NOW - timedelta(minutes=10)).end.message == lending.NOT_YET
    ballot = rater.next().ballots[0]
    late = NOW + timedelta(hours=1)
    assert rater.next(now=late).end.message == lending.OVER
    assert rater.vote(ballot, now=late).done == 1, "a vote on a ballot that was out is taken"


def test_a_campaign_that_met_its_target_lends_no_more(tmp_path):
    rater = Session(tmp_path, CampaignSettings(target=3)).rater()
    for _ in range(3):
        rater.vote(rater.next().ballots[0])
    assert rater.next().end.message == lending.ALL_DONE


# -- what comes before -----------------------------------------------------------------------------------------

QUIZ = (QuizQuestion("What is better?", ("The longer answer", "The more helpful answer"), 1),)


def test_the_comprehension_check_is_passed_at_the_second_try(tmp_path):
    rater = Session(tmp_path, CampaignSettings(quiz=QUIZ)).rater()
    with pytest.raises(lending.QuizRequired) as asked:
        rater.next()
    assert asked.value.tries_left == 2
    first = briefing.answer_quiz(rater.db, rater.seat, [0], NOW)
    assert (first.passed, first.tries_left, first.wrong) == (False, 1, (0,))
    assert briefing.answer_quiz(rater.db, rater.seat, [1], NOW).passed
    assert rater.next().ballots
    with pytest.raises(Conflict):
        briefing.answer_quiz(rater.db, rater.seat, [1], NOW)


def test_who_fails_twice_is_screened_out_with_the_code_for_that(tmp_path):
    settings = CampaignSettings(
        quiz=QUIZ, recruit=Recruit.PROLIFIC, screenout_code="SORRY", screenout_url="https://x.example"
    )
    rater = Session(tmp_path, settings).rater()
    for _ in range(2):
        briefing.answer_quiz(rater.db, rater.seat, [0], NOW)
    end = rater.next().end
    assert (end.message, end.code) == (lending.SCREENED, "SORRY")
    assert briefing.briefing(rater.db, rater.seat, None, NOW).finish_url == "https://x.example"


@pytest.mark.parametrize("answers", [None, [], [0, 0], ["1"], [True], {"0": 1}])
def test_answers_that_are_none_are_refused_and_cost_no_try(tmp_path, answers):
    rater = Session(tmp_path, CampaignSettings(quiz=QUIZ)).rater()
    with pytest.raises(Malformed):
        briefing.answer_quiz(rater.db, rater.seat, answers, NOW)
    assert rater.seat.quiz_tries == 0


def test_practice_comes_first_says_what_is_right_and_never_counts(tmp_path):
    session = Session(tmp_path, CampaignSettings(practice=2), gold=4)
    rater = session.rater()
    for number in (1, 2):
        found = rater.next(5)
        ballot = found.ballots[0]
        assert len(found.ballots) == 3 - number
        assert briefing.briefing(rater.db, rater.seat, ballot.assignment, NOW).practice == (number, 2)
        right = rater.right_side(ballot)
        chosen = right if number == 1 else ("left" if right == "right" else "right")
        said = rater.vote(ballot, chosen).practice
        assert (said.matched, said.expected.value) == (number == 1, right)
    after = rater.next()
    assert (after.done, after.target) == (0, 12), "practice moves no progress"
    assert after.briefing != found.briefing
    assert rater.kind(after.ballots[0]) is BallotKind.BATTLE
    assert rater.vote(after.ballots[0]).practice is None
    assert counts(rater.db, session.campaign.id).excluded == {"practice": 2}
    assert len(list(counted_votes(rater.db, session.campaign.id))) == 1


# -- check questions -------------------------------------------------------------------------------------------


def test_check_questions_come_at_their_rates_never_count_and_move_progress_alike(tmp_path):
    session = Session(tmp_path, CampaignSettings(gold_rate=0.25, repeat_rate=0.25), prompts=60, gold=40)
    rater = session.rater()
    kinds, targets = Counter(), set()
    for _ in range(60):
        ballot = rater.next().ballots[0]
        kinds[rater.kind(ballot)] += 1
        targets.add(rater.vote(ballot).target)
    assert kinds[BallotKind.GOLD] >= 5
    assert kinds[BallotKind.REPEAT] >= 5
    assert targets == {60}, "progress tells nothing of which ballot was a check"
    assert len(list(counted_votes(session.db, session.campaign.id))) == kinds[BallotKind.BATTLE]
    assert counts(session.db, session.campaign.id).excluded == {
        "known answer": kinds[BallotKind.GOLD], "repeat": kinds[BallotKind.REPEAT]
    }  # fmt: skip
    assert coverage(session.db, session.campaign).battles == 60
    assert check(session.home) == []


def test_a_repeat_comes_a_while_later_once_with_its_sides_swapped(tmp_path):
    session = Session(tmp_path, CampaignSettings(repeat_rate=0.5), prompts=40)
    rater = session.rater()
    first, at = {}, {}
    for step in range(40):
        ballot = rater.next().ballots[0]
        lent = get_assignment(session.db, ballot.assignment)
        if lent.kind is BallotKind.REPEAT:
            assert step - at[lent.battle] > lending.REPEAT_GAP
            assert lent.left_is != first.pop(lent.battle), "shown again once, the other way round"
        else:
            first[lent.battle], at[lent.battle] = lent.left_is, step
        rater.vote(ballot)
    repeats = [c for c in check_votes(session.db, session.campaign.id) if c.kind is BallotKind.REPEAT]
    assert len(repeats) >= 5
    assert all(c.better is None for c in repeats)


def test_no_repeats_where_each_vote_reveals_the_models(tmp_path):
    session = Session(tmp_path, CampaignSettings(repeat_rate=0.5, reveal="each"), prompts=20)
    assert set(session.rater().rate_all()[0]) == {BallotKind.BATTLE}


def test_a_check_question_can_be_undone_and_comes_again_as_one(tmp_path):
    session = Session(tmp_path, CampaignSettings(gold_rate=0.5), prompts=20, gold=10)
    rater = session.rater()
    while rater.kind(ballot := rater.next().ballots[0]) is not BallotKind.GOLD:
        rater.vote(ballot)
    wrong = "left" if rater.right_side(ballot) == "right" else "right"
    rater.vote(ballot, wrong)
    assert gold_score(session.db, session.campaign.id, rater.seat.rater) == (0, 1)
    with transaction(session.db):
        again = rating.undo(session.db, rater.seat, ballot.assignment, NOW)
    lent = get_assignment(session.db, again.assignment)
    assert lent.kind is BallotKind.GOLD
    assert gold_score(session.db, session.campaign.id, rater.seat.rater) == (0, 0)
    assert check(session.home) == []


def test_who_misses_the_check_questions_gets_no_more_ballots(tmp_path):
    settings = CampaignSettings(gold_rate=0.5, block_below=0.7, screenout_code="STOP")
    session = Session(tmp_path, settings, prompts=40, gold=20)
    rater = session.rater()
    for _ in range(40):
        found = rater.next()
        if not found.ballots:
            break
        ballot, side = found.ballots[0], "left"
        if rater.kind(ballot) is BallotKind.GOLD:
            side = "left" if rater.right_side(ballot) == "right" else "right"
        rater.vote(ballot, side)
    assert (found.end.message, found.end.code) == (lending.BLOCKED, "STOP")
    assert gold_score(session.db, session.campaign.id, rater.seat.rater) == (0, 4), "three tell too little"
    assert session.rater().next().ballots, "others go on"


@pytest.mark.parametrize("choice", ["left", "tie", "both_bad", "skip"])
def test_no_choice_and_no_undo_tells_by_its_progress_what_a_ballot_is(tmp_path, choice):
    """The change of progress, asked of every ballot by every choice and its undo, is the same for every kind."""
    settings = CampaignSettings(gold_rate=0.3, repeat_rate=0.2, overlap=2)
    session = Session(tmp_path, settings, prompts=40, gold=30)
    other = session.rater()
    for _ in range(5):
        other.vote(other.next().ballots[0])
    rater, seen = session.rater(), {}
    for _ in range(40):
        found = rater.next()
        ballot = found.ballots[0]
        said = rater.vote(ballot, choice)
        with transaction(session.db):
            back = rating.undo(session.db, rater.seat, ballot.assignment, NOW)
        delta = tuple(x - y for x, y in zip((said.done, said.target, back.done, back.target),
                                            (found.done, found.target) * 2, strict=True))  # fmt: skip
        seen.setdefault(rater.kind(ballot), set()).add(delta)
        again = next(b for b in rater.next(5).ballots if b.assignment == back.assignment)
        rater.vote(again, "left")
    assert len(seen) == 3
    assert len(set().union(*seen.values())) == 1, seen


def test_undo_twice_gives_the_same_answer_while_a_repeat_of_the_battle_is_out(tmp_path):
    session = Session(tmp_path, CampaignSettings(repeat_rate=0.5), prompts=30)
    rater = session.rater()
    cast = {}
    while rater.kind(ballot := rater.next().ballots[0]) is not BallotKind.REPEAT:
        rater.vote(ballot)
        cast[get_assignment(session.db, ballot.assignment).battle] = ballot
    original = cast[get_assignment(session.db, ballot.assignment).battle]
    with transaction(session.db):
        first, second = (rating.undo(session.db, rater.seat, original.assignment, NOW) for _ in range(2))
    assert first.assignment == second.assignment != ballot.assignment


def test_excluded_raters_cover_no_battle_until_they_are_taken_in_again(tmp_path):
    session = Session(tmp_path, prompts=4)
    rater, other = session.rater(), session.rater()
    for _ in range(3):
        rater.vote(rater.next().ballots[0])
    name = next(r.name for r in list_raters(session.db) if r.id == rater.seat.rater)
    decide_rater(session.db, name, counted=False, reason="a test")
    assert coverage(session.db, session.campaign).votes == 0
    rater.vote(rater.next().ballots[0])
    assert coverage(session.db, session.campaign).votes == 0
    assert check(session.home) == []
    for _ in range(4):
        other.vote(other.next().ballots[0])
    assert coverage(session.db, session.campaign).votes == 4
    decide_rater(session.db, name, counted=True, reason="looked again")
    assert coverage(session.db, session.campaign).votes == 8
    assert check(session.home) == []


def test_a_target_is_not_overshot_by_ballots_that_are_out(tmp_path):
    session = Session(tmp_path, CampaignSettings(target=5))
    raters = [session.rater() for _ in range(4)]
    lent = [b for rater in raters for b in rater.next(5).ballots]
    assert len(lent) == 5
    assert raters[0].next().target == 5


def test_a_battle_that_was_held_meanwhile_is_not_shown_again(tmp_path):
    session = Session(tmp_path)
    rater = session.rater()
    ballot = rater.next().ballots[0]
    battle = get_assignment(session.db, ballot.assignment).battle
    session.db.execute("UPDATE battle_cover SET held = 1 WHERE battle = ?", (battle,))
    session.db.conn.commit()
    assert rater.next().ballots[0].assignment != ballot.assignment
    assert rater.vote(ballot).done == 1, "a vote that comes all the same is taken"


def test_another_comprehension_check_is_asked_anew(tmp_path):
    session = Session(tmp_path, CampaignSettings(quiz=QUIZ))
    rater = session.rater()
    assert briefing.answer_quiz(session.db, rater.seat, [1], NOW).passed
    rater.next()
    session.db.execute(
        """UPDATE campaigns SET quiz = '[{"question": "New?", "answers": ["a", "b"], "correct": 0}]'"""
    )
    session.db.conn.commit()
    with pytest.raises(lending.QuizRequired) as asked:
        rater.next()
    assert asked.value.tries_left == 2


# -- the completion code ---------------------------------------------------------------------------------------


def test_the_code_comes_when_the_votes_are_stored(tmp_path):
    settings = CampaignSettings(rater_cap=5, completion_code="DONE", completion_url="https://x.example/?cc=DONE",
                                recruit=Recruit.PROLIFIC)  # fmt: skip
    rater = Session(tmp_path, settings).rater()
    for _ in range(5):
        assert briefing.briefing(rater.db, rater.seat, None, NOW).finish_url == "", "not before"
        rater.vote(rater.next().ballots[0])
    end = rater.next().end
    assert (end.message, end.code) == (lending.ALL_DONE, "DONE")
    assert briefing.briefing(rater.db, rater.seat, None, NOW).finish_url == "https://x.example/?cc=DONE"


def test_practice_takes_nothing_from_the_ballots_a_rater_may_have(tmp_path):
    settings = CampaignSettings(practice=2, rater_cap=3, completion_code="DONE")
    rater = Session(tmp_path, settings, gold=4).rater()
    kinds, last = rater.rate_all()
    assert kinds == {BallotKind.PRACTICE: 2, BallotKind.BATTLE: 3}
    assert (last.done, last.target, last.end.code) == (3, 3, "DONE")


def test_who_skips_most_gets_no_code(tmp_path):
    rater = Session(tmp_path, CampaignSettings(rater_cap=5, completion_code="DONE")).rater()
    for n in range(5):
        rater.vote(rater.next().ballots[0], "left" if n < 3 else "skip")
    assert standing_of_rater(rater.db, rater.seat.rater, 1) == (5, 2)
    end = rater.next().end
    assert (end.message, end.code) == (lending.SKIPPED, None)


def test_a_pause_gives_no_code(tmp_path):
    rater = Session(tmp_path, CampaignSettings(completion_code="DONE")).rater()
    rater.vote(rater.next().ballots[0])
    set_status(rater.db, "first", CampaignStatus.PAUSED)
    assert (rater.next().end.message, rater.next().end.code) == (lending.PAUSED, None)


@pytest.mark.parametrize("how", ["target met", "closed", "over"])
def test_whoever_is_stopped_by_the_end_of_a_session_gets_the_code(tmp_path, how):
    settings = CampaignSettings(completion_code="DONE", rater_cap=9, target=2 if how == "target met" else None,
                                ends_at="2026-01-03T00:00:00.000Z")  # fmt: skip
    rater = Session(tmp_path, settings).rater()
    for _ in range(2):
        rater.vote(rater.next().ballots[0])
    if how == "closed":
        set_status(rater.db, "first", CampaignStatus.CLOSED)
    found = rater.next(now=NOW + timedelta(days=1) if how == "over" else NOW)
    assert (found.end.code, found.done) == ("DONE", 2)


def test_the_code_stays_after_the_models_were_shown(tmp_path):
    rater = Session(tmp_path, CampaignSettings(completion_code="DONE", reveal="end"), prompts=2).rater()
    for _ in range(2):
        rater.vote(rater.next().ballots[0])
    with transaction(rater.db):
        rating.reveal_all(rater.db, rater.seat, NOW)
    end = rater.next().end
    assert (end.message, end.code) == (lending.SEEN, "DONE")


# -- reveal at the end -----------------------------------------------------------------------------------------


def test_the_models_are_shown_at_the_end_and_nothing_is_undone_after(tmp_path):
    rater = Session(tmp_path, CampaignSettings(reveal="end"), prompts=3).rater()
    last = None
    for _ in range(3):
        last = rater.next().ballots[0]
        with pytest.raises(rating.Contradiction):
            rating.reveal_all(rater.db, rater.seat, NOW)
        rater.vote(last)
    with transaction(rater.db):
        shown = rating.reveal_all(rater.db, rater.seat, NOW)
    assert len(shown) == 3
    assert all({s.left, s.right} == {"model-one", "model-two"} for s in shown)
    with pytest.raises(rating.Contradiction, match="revealed"):
        rating.undo(rater.db, rater.seat, last.assignment, NOW)
    assert rater.next().end.message == lending.SEEN


def test_nothing_is_shown_in_a_pause_or_with_ballots_out_and_nothing_counts_after(tmp_path):
    session = Session(tmp_path, CampaignSettings(reveal="end", ends_at="2026-01-03T00:00:00.000Z"))
    rater = session.rater()
    rater.vote(rater.next().ballots[0])
    held = rater.next().ballots[0]
    set_status(session.db, "first", CampaignStatus.PAUSED)
    with pytest.raises(rating.Contradiction):
        rating.reveal_all(session.db, rater.seat, NOW)
    set_status(session.db, "first", CampaignStatus.OPEN)
    with pytest.raises(rating.Contradiction):
        rating.reveal_all(session.db, rater.seat, NOW + timedelta(days=1))
    set_status(session.db, "first", CampaignStatus.CLOSED)
    with transaction(session.db):
        assert len(rating.reveal_all(session.db, rater.seat, NOW)) == 1
    set_status(session.db, "first", CampaignStatus.OPEN)
    with pytest.raises(rating.Contradiction, match="revealed"):
        rater.vote(held)


def test_nothing_is_shown_where_the_campaign_never_reveals(tmp_path):
    rater = Session(tmp_path, prompts=1).rater()
    rater.vote(rater.next().ballots[0])
    with pytest.raises(rating.Contradiction):
        rating.reveal_all(rater.db, rater.seat, NOW)


# -- sampling and conversations --------------------------------------------------------------------------------


@pytest.mark.parametrize("sampling", list(Sampling))
def test_every_way_of_sampling_covers_all_and_stores_the_chance(tmp_path, sampling):
    session = Session(tmp_path, CampaignSettings(sampling=sampling, overlap=2))
    seen = []
    for _ in range(2):
        rater = session.rater()
        while found := rater.next(2).ballots:
            seen += [get_assignment(session.db, b.assignment) for b in found]
            for ballot in found:
                rater.vote(ballot)
    assert Counter(Counter(a.battle for a in seen).values()) == {2: 12}
    assert all(a.chance and 0 < a.chance <= 1 and a.among and a.among <= 12 for a in seen)


@pytest.mark.parametrize("how", ["the time ran out", "the vote was undone"])
def test_a_battle_lent_again_keeps_the_chance_it_was_drawn_with(tmp_path, how):
    session = Session(tmp_path, CampaignSettings(sampling=Sampling.MOST_UNCERTAIN))
    rater, now = session.rater(), NOW
    ballot = rater.next().ballots[0]
    drawn = get_assignment(session.db, ballot.assignment)
    if how == "the time ran out":
        now = NOW + timedelta(seconds=session.campaign.settings.lease_seconds + 1)
        again = rater.next(now=now).ballots[0].assignment
    else:
        rater.vote(ballot)
        with transaction(session.db):
            again = rating.undo(session.db, rater.seat, ballot.assignment, NOW).assignment
    lent = get_assignment(session.db, again)
    assert (lent.battle, lent.left_is) == (drawn.battle, drawn.left_is)
    assert (lent.chance, lent.among) == (drawn.chance, drawn.among)
    assert drawn.chance is not None


def test_a_conversation_goes_on_with_the_same_rater(tmp_path):
    def messages(i):
        start = {"role": "user", "content": f"Question {i // 2}?"}
        more = [{"role": "assistant", "content": "Yes."}, {"role": "user", "content": "And then?"}]
        return [start, *(more if i % 2 else [])]

    home = make_home(
        tmp_path / "home", prompts=20, messages=messages, settings=CampaignSettings(follow_turns=True)
    )
    session = Session.__new__(Session)
    session.home, session.db = home, open_writer(home)
    session.campaign = get_campaign(session.db, "first")
    rater = session.rater()
    seen, followed = set(), 0
    while found := rater.next().ballots:
        prompt = found[0].prompt
        rater.vote(found[0])
        seen.add((prompt[0]["content"], len(prompt)))
        if len(prompt) == 1 and (prompt[0]["content"], 3) not in seen:
            then = rater.next().ballots[0].prompt
            assert (then[0], len(then)) == (prompt[0], 3)
            followed += 1
    assert len(seen) == 20
    assert followed >= 1


# -- a large crowd ---------------------------------------------------------------------------------------------


def test_two_hundred_raters_one_in_ten_walks_away_and_every_battle_gets_its_three(tmp_path):
    """1,000 battles, overlap 3, at most 2 % votes too many; leases run out while the session goes on."""
    session = Session(tmp_path, CampaignSettings(overlap=3, lease_seconds=300), prompts=1000)
    db, lot = session.db, random.Random(7)
    crowd = [add_seat(db, session.campaign, f"{n:064d}") for n in range(200)]
    leaves_after = {s.id: lot.randint(0, 12) for s in lot.sample(crowd, 20)}
    given: Counter[int] = Counter()
    held: dict[int, list] = {}
    now, walked = NOW, set()
    settings = session.campaign.settings
    db.conn.execute("PRAGMA synchronous=OFF")
    for _turn in range(200):
        lot.shuffle(crowd)
        with transaction(db):
            for seat in crowd:
                if seat.id in walked:
                    continue
                now += timedelta(milliseconds=40)
                expire_leases(db, lending.stamp(now))
                mine = held.pop(seat.id, None) or lending._lend(db, session.campaign, seat.rater, 2, now)
                if seat.id in leaves_after and given[seat.id] >= leaves_after[seat.id]:
                    walked.add(seat.id)
                    continue
                if mine:
                    _cast(db, session.campaign, mine[0], now)
                    given[seat.id] += 1
                    if mine[1:]:
                        held[seat.id] = mine[1:]
        if coverage(db, session.campaign).votes >= 3000 and not held:
            break
        now += timedelta(seconds=8)
    per_battle = [r[0] for r in db.execute("SELECT votes FROM battle_cover")]
    assert len(walked) == 20
    print(f"\nR13: {len(per_battle)} battles of 3 votes, 20 of 200 raters gone: {min(per_battle)} votes at least, "
          f"{sum(per_battle) / 3000 - 1:.1%} too many")  # fmt: skip
    assert min(per_battle) >= settings.overlap
    assert sum(per_battle) <= 3000 * 1.02
    assert check(session.home) == []


def _cast(db, campaign, assignment, now):
    add_vote(db, receipt=assignment.id, assignment=assignment.id, campaign=campaign.id, battle=assignment.battle,
             rater=assignment.rater, outcome=Outcome.A, key=assignment.id, body="", details=VoteDetails(),
             consent_version=None, revealed=False, created_at=lending.stamp(now))  # fmt: skip
