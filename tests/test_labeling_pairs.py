import random
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlite_utils import Database

from db.adjudications import Ruling, add_ruling, disputed, rulings
from db.campaigns import _insert_campaign, add_battle
from db.catalog import add_model, add_prompts, add_responses
from db.entities.campaigns import CampaignSettings, CampaignStatus
from db.entities.catalog import ModelKind, Prompt, Response, Split
from db.entities.votes import Outcome, RaterKind, Vote
from db.errors import UserError
from db.imports import ImportCounts, ImportedVote, add_imported_votes, begin_import, finish_import
from db.migrations import migrations
from db.raters import add_rater
from labeling.pairs import (
    Method,
    PairPolicy,
    TwoTexts,
    pairs_of,
    policy_effects,
    preference_pairs,
    read_votes,
)
from labeling.policy import Ties
from labeling.unpaired import judged_answers
from labeling.verdicts import Crowd

TEXTS = {f"r{i}": f"text {i}" for i in range(6)} | {"none": None, "empty": " ", "same": "text 0"}
TEXTS |= {f"{side}{i}": f"{side} {i}" for i in range(60) for side in "xy"}


def vote(number, a, b, outcome, prompt="p", kind=RaterKind.PERSON, rater=1, battle=1, **more):
    """A vote on two responses, each of a model of its own."""
    return Vote(number, 1, battle, rater, Outcome(outcome), "a", "now", prompt, a, b, f"by {a}", f"by {b}",
                f"r{rater}", kind, Split.TRAIN, **more)  # fmt: skip


def made(votes, method=Method.MAJORITY, **policy):
    return preference_pairs(votes, TEXTS, PairPolicy(method, **policy))


def test_majority_makes_one_pair_a_battle_and_lists_the_contradiction():
    found = made([vote(1, "r0", "r1", "a"), vote(2, "r0", "r1", "a"), vote(3, "r0", "r1", "b")])
    (pair,) = found.pairs
    assert (pair.chosen, pair.rejected, pair.votes) == ("r0", "r1", (1, 2))
    assert round(pair.agreement, 3) == 0.667
    assert found.left_out == {"outvoted": 1}
    assert [(c.votes_a, c.votes_b) for c in found.contradictions] == [(2, 1)]


def test_an_even_split_is_no_pair():
    found = made([vote(1, "r0", "r1", "a"), vote(2, "r0", "r1", "b")])
    assert found.pairs == ()
    assert found.left_out == {"contradiction": 2}


def test_ties_in_the_majority_make_no_pair():
    found = made([vote(1, "r0", "r1", "a"), vote(2, "r0", "r1", "tie"), vote(3, "r0", "r1", "both_bad")])
    assert found.pairs == ()
    assert found.left_out == {"outvoted by ties": 1, "tie": 1, "both_bad": 1}


def test_slots_do_not_matter():
    found = made([vote(1, "r0", "r1", "a"), vote(2, "r1", "r0", "b")])
    assert [(p.chosen, p.votes) for p in found.pairs] == [("r0", (1, 2))]


def test_each_decisive_vote_is_a_pair_under_the_vote_policy():
    found = made(
        [vote(1, "r0", "r1", "a"), vote(2, "r0", "r1", "b"), vote(3, "r0", "r1", "tie")], Method.VOTE
    )
    assert [(p.chosen, p.rejected) for p in found.pairs] == [("r0", "r1"), ("r1", "r0")]
    assert found.left_out == {"tie": 1}


def test_what_cannot_be_a_pair_is_left_out_with_its_reason():
    votes = [vote(1, "r0", "none", "a"), vote(2, "r0", "empty", "a"), vote(3, "r0", "same", "a"),
             vote(4, "r0", "r1", "a", kind=RaterKind.SIMULATED)]  # fmt: skip
    found = made(votes, simulated=False)
    assert found.pairs == ()
    assert found.left_out == {
        "no text": 1,
        "empty response": 1,
        "identical responses": 1,
        "simulated rater": 1,
    }


votes_strategy = st.lists(
    st.tuples(st.integers(0, 5), st.integers(0, 5), st.sampled_from([o.value for o in Outcome if o is not Outcome.SKIP]))
    .filter(lambda t: t[0] != t[1]),
    max_size=30,
)  # fmt: skip


@settings(deadline=None)  # the first consensus imports pandas
@given(votes_strategy, st.sampled_from(list(Method)), st.sampled_from([0.5, 0.7, 1.0]))
def test_every_vote_is_in_a_pair_or_left_out_and_never_against_what_was_pressed(given_votes, method, share):
    votes = [vote(i, f"r{a}", f"r{b}", outcome) for i, (a, b, outcome) in enumerate(given_votes)]
    if method is Method.CONSENSUS:  # which needs three raters with twenty battles in common
        votes += [vote(1000 + 3 * i + r, f"x{i}", f"y{i}", "ab"[i % 2], prompt=f"p{i}", rater=10 + r)
                  for i in range(20) for r in range(3)]  # fmt: skip
    found = made(votes, method, min_agreement=share)
    assert Counter(reason for _, reason in found.out) == found.left_out
    used = [v for p in found.pairs for v in p.votes]
    assert set(used) | {v for v, _ in found.out} == {v.id for v in votes}
    assert len(used) == len(set(used))
    assert len(used) + sum(found.left_out.values()) == len(votes)
    by_id = {v.id: v for v in votes}
    for pair in found.pairs:
        for number in pair.votes:
            v = by_id[number]
            pressed = v.response_a if v.outcome is Outcome.A else v.response_b
            assert pair.chosen == pressed
    if method is not Method.VOTE:
        assert (
            max(
                Counter((p.prompt, frozenset((p.chosen, p.rejected))) for p in found.pairs).values(),
                default=0,
            )
            <= 1
        )


BLANKS = st.text(alphabet=" \t\n\r\x0b\x1f\u00a0ab", max_size=4)


@settings(deadline=None)
@given(st.lists(st.tuples(BLANKS, BLANKS, st.sampled_from("ab")), min_size=1, max_size=8))
def test_the_view_and_the_vote_policy_hold_the_same_pairs(texts):
    """Also where responses are blank or differ in nothing but the blanks around them."""
    db = Database(memory=True)
    migrations.apply(db)
    for name in ("one", "two"):
        add_model(db, name, ModelKind.RECORDED)
    campaign = _insert_campaign(db, "c", "all", CampaignSettings(), CampaignStatus.CLOSED, None, None, None)
    rater, opened = add_rater(db, "rater", RaterKind.PERSON), begin_import(db, "votes", "test")
    for i, (a, b, outcome) in enumerate(texts):
        prompt = Prompt.of([{"role": "user", "content": f"prompt {i}"}])
        add_prompts(db, [prompt])
        first, second = Response.of(prompt.id, "one", a), Response.of(prompt.id, "two", b)
        add_responses(db, [first, second])
        battle, _ = add_battle(db, campaign, prompt.id, first.id, second.id, 1, 2)
        add_imported_votes(
            db, [ImportedVote(f"r{i}", campaign, battle, rater, Outcome(outcome), None)], opened
        )
    finish_import(db, opened, ImportCounts(len(texts), len(texts), 0, 0))
    found = pairs_of(read_votes(db, ["c"]), PairPolicy(Method.VOTE))
    by_id = dict(db.execute("SELECT id, text FROM responses"))
    view = sorted(db.execute("SELECT vote, chosen, rejected FROM vote_pairs"))
    assert view == sorted((p.votes[0], by_id[p.chosen], by_id[p.rejected]) for p in found.pairs)


# -- policies ----------------------------------------------------------------------------------------------------


def battle_of(outcomes, **more):
    return [vote(i, "r0", "r1", outcome, rater=i, **more) for i, outcome in enumerate(outcomes, 1)]


def test_a_pair_may_need_a_share_of_the_votes():
    votes = battle_of(["a", "a", "b"])
    assert len(made(votes, Method.MIN_AGREEMENT, min_agreement=2 / 3).pairs) == 1
    found = made(votes, Method.MIN_AGREEMENT, min_agreement=0.7)
    assert (found.pairs, found.left_out) == ((), {"too little agreement": 3})


def crowd(seed=0, battles=60):
    """Battles of known truth: three raters who are right nine times in ten, four who nearly always say `a`."""
    dice = random.Random(seed)
    truth = {f"p{i}": dice.choice("ab") for i in range(battles)}
    votes = []
    for i, (prompt, right) in enumerate(truth.items()):
        for rater in range(7):
            said = right if rater < 3 else "a"
            if dice.random() < 0.1:
                said = dice.choice("ab")
            votes.append(vote(len(votes), f"x{i}", f"y{i}", said, prompt=prompt, rater=rater, battle=i))
    return truth, votes


def test_consensus_finds_what_a_majority_of_bad_raters_hides():
    truth, votes = crowd()

    def right(method, **policy):
        found = made(votes, method, **policy).pairs
        return sum((p.chosen[0] == "x") == (truth[p.prompt] == "a") for p in found) / len(truth)

    assert right(Method.CONSENSUS) > 0.93 > 0.7 > right(Method.MAJORITY)
    assert right(Method.MAJORITY, weighted=True) > 0.93
    found = made(votes, Method.CONSENSUS)
    assert "against the consensus" in found.left_out
    assert all(p.agreement > 0.5 for p in found.pairs)


def test_weights_given_by_hand_decide_a_majority():
    votes = battle_of(["a", "b", "b"])
    policy = PairPolicy(weighted=True)
    (pair,) = preference_pairs(
        votes, TEXTS, policy, crowd=Crowd(weights={"r1": 1.0, "r2": 0.2, "r3": 0.2})
    ).pairs
    assert (pair.chosen, pair.votes, round(pair.agreement, 2)) == ("r0", (1,), 0.71)
    nothing = preference_pairs(votes, TEXTS, policy, crowd=Crowd(weights={}))
    assert nothing.left_out == {"raters whose votes tell nothing": 3}


def test_consensus_and_weights_need_overlap():
    for policy in (PairPolicy(Method.CONSENSUS), PairPolicy(weighted=True)):
        with pytest.raises(UserError, match="needs 3 raters"):
            preference_pairs(battle_of(["a"]), TEXTS, policy)
        assert preference_pairs([], TEXTS, policy).pairs == ()


def ruling(outcome, number=1, battle=1):
    return Ruling(number, battle, Outcome(outcome), "", "owner", "now")


def test_the_owners_ruling_stands_in_every_method_but_vote():
    votes = battle_of(["a", "a", "b"])
    (pair,) = preference_pairs(votes, TEXTS, PairPolicy(), {1: ruling("b")}).pairs
    assert (pair.chosen, pair.votes, pair.ruled, round(pair.agreement, 2)) == ("r1", (3,), True, 0.33)
    turned = [replace(v, response_a="r1", response_b="r0", battle=2) for v in votes]
    (pair,) = preference_pairs(turned, TEXTS, PairPolicy(Method.CONSENSUS), {2: ruling("b", battle=2)}).pairs
    assert pair.chosen == "r0"  # the ruling is in the battle's own slots
    found = preference_pairs(votes, TEXTS, PairPolicy(), {1: ruling("both_bad")})
    assert (found.pairs, found.left_out) == ((), {"overruled by the owner": 3})
    assert len(preference_pairs(votes, TEXTS, PairPolicy(Method.VOTE), {1: ruling("b")}).pairs) == 3


def test_the_newest_ruling_on_the_same_two_answers_stands():
    votes = [*battle_of(["a"]), vote(9, "r0", "r1", "a", battle=2, rater=9)]
    both = {1: ruling("a", 5, 1), 2: ruling("b", 6, 2)}
    assert preference_pairs(votes, TEXTS, PairPolicy(), both).pairs[0].chosen == "r1"


def test_a_written_answer_is_chosen_over_both():
    votes = [vote(1, "r0", "r1", "tie", better="mine"), vote(2, "r0", "r1", "a", rater=2, better="text 1")]
    found = made(votes, Method.VOTE)
    mine = Response.of("p", None, "mine").id
    copied = Response.of("p", None, "text 1").id
    assert {(p.chosen, p.rejected, p.votes) for p in found.pairs} == {
        ("r0", "r1", (2,)), (mine, "r0", (1,)), (mine, "r1", (1,)), (copied, "r0", (2,))}  # fmt: skip
    assert set(found.written) == {mine, copied}
    assert found.left_out == {}
    without = made(votes, Method.VOTE, written=False)
    assert (len(without.pairs), without.left_out) == (1, {"tie": 1})


def test_strength_gives_the_margin():
    votes = battle_of(["a", "a", "a"])
    strong = [replace(votes[0], strength="clear"), replace(votes[1], strength="slight"), votes[2]]
    assert made(strong).pairs[0].margin == 0.5
    assert made(votes).pairs[0].margin is None


def test_the_same_texts_from_other_responses_go_out_once():
    votes = [vote(1, "r0", "r1", "a"), vote(2, "r0", "r1", "a", rater=2), vote(3, "r1", "same", "b", rater=3)]
    pairs = made(votes, Method.VOTE).pairs
    kept, refused = TwoTexts().without_duplicates(pairs, TEXTS)
    assert [p.votes for p in kept] == [(1,), (2,)]
    assert [(r.reason, r.pair.votes) for r in refused] == [("the same two texts as another pair", (3,))]


def test_each_policys_effect_is_counted_beforehand():
    votes = battle_of(["a", "a", "b", "tie"])
    by_method = {e.policy.method: e for e in policy_effects(votes, TEXTS, PairPolicy(min_agreement=0.9))}
    told = {m.value: (e.pairs, e.train, e.left_out, e.contradictions) for m, e in by_method.items()}
    assert told == {
        "vote": (3, 3, 1, 1),
        "majority": (1, 1, 2, 1),
        "min-agreement": (0, 0, 4, 1),
        "consensus": (0, 0, 0, 0),
    }
    assert by_method[Method.CONSENSUS].why_not.startswith("a consensus needs")


def test_a_policy_says_only_what_plays_a_part():
    assert PairPolicy().to_json() == {"method": "majority", "simulated": True}
    assert PairPolicy(Method.MIN_AGREEMENT, weighted=True).to_json() == {
        "method": "min-agreement", "simulated": True, "min_agreement": 0.7, "weighted": True}  # fmt: skip
    assert str(PairPolicy(Method.MIN_AGREEMENT, min_agreement=0.8)).startswith(
        "a battle is a pair where a majority chose one answer and they are at least 80% of its votes")  # fmt: skip


# -- answers one by one ------------------------------------------------------------------------------------------


def judged(votes, method=Method.VOTE, **policy):
    found = judged_answers(votes, TEXTS, PairPolicy(method, **policy))
    return {(a.response, a.good, a.votes) for a in found.answers}, found.left_out


def test_what_was_pressed_judges_both_answers():
    votes = battle_of(["b", "both_good", "both_bad", "tie"])
    said, left_out = judged(votes)
    assert said == {("r0", False, (1,)), ("r1", True, (1,)), ("r0", True, (2,)), ("r1", True, (2,)),
                    ("r0", False, (3,)), ("r1", False, (3,))}  # fmt: skip
    assert left_out == {"tie": 1}
    said, left_out = judged(votes[3:], ties=Ties.BAD)
    assert (said, left_out) == ({("r0", False, (4,)), ("r1", False, (4,))}, {})


def test_what_is_said_of_an_answer_by_itself_goes_first():
    said, _ = judged([vote(1, "r1", "r0", "a", acceptable_a=False, acceptable_b=True)])
    assert said == {("r1", False, (1,)), ("r0", True, (1,))}
    three = [
        vote(i, "r0", "r1", "a", rater=i, acceptable_b=flag) for i, flag in ((1, True), (2, True), (3, False))
    ]
    assert judged(three, Method.MAJORITY)[0] == {("r0", True, (1, 2, 3)), ("r1", True, (1, 2))}
    assert judged(three[1:], Method.MAJORITY)[0] == {("r0", True, (2, 3))}


def test_a_battle_is_judged_by_what_most_pressed():
    said, left_out = judged(battle_of(["both_bad", "both_bad", "a"]), Method.MAJORITY)
    assert (said, left_out) == ({("r0", False, (1, 2)), ("r1", False, (1, 2))}, {"outvoted by ties": 1})
    assert judged([vote(1, "r0", "r1", "tie", better="mine")])[0] == {
        (Response.of("p", None, "mine").id, True, (1,))
    }


@given(
    votes_strategy,
    st.sampled_from([Method.VOTE, Method.MAJORITY, Method.MIN_AGREEMENT]),
    st.sampled_from(Ties),
)
def test_every_vote_judges_an_answer_or_is_left_out(given_votes, method, ties):
    votes = [vote(i, f"r{a}", f"r{b}", outcome) for i, (a, b, outcome) in enumerate(given_votes)]
    found = judged_answers(votes, TEXTS, PairPolicy(method, ties=ties))
    used = {v for a in found.answers for v in a.votes}
    assert used | {v for v, _ in found.out} == {v.id for v in votes}
    assert not used & {v for v, _ in found.out}


# -- rulings in the database -------------------------------------------------------------------------------------


def test_rulings_are_kept_and_the_newest_stands(db):
    for name in ("one", "two"):
        add_model(db, name, ModelKind.RECORDED)
    campaign = _insert_campaign(db, "c", "all", CampaignSettings(), CampaignStatus.CLOSED, None, None, None)
    opened = begin_import(db, "votes", "test")
    prompt = Prompt.of([{"role": "user", "content": "Why?"}], Split.TRAIN)
    add_prompts(db, [prompt])
    first, second = Response.of(prompt.id, "one", "x"), Response.of(prompt.id, "two", "y")
    add_responses(db, [first, second])
    battle, _ = add_battle(db, campaign, prompt.id, first.id, second.id, 1, 2)
    given = [ImportedVote(f"r{i}", campaign, battle, add_rater(db, f"rater {i}", RaterKind.PERSON), Outcome(o), None)
             for i, o in enumerate(["a", "b", "b", "tie"])]  # fmt: skip
    add_imported_votes(db, given, opened)
    finish_import(db, opened, ImportCounts(4, 4, 0, 0))
    assert [(d.battle, d.prompt, d.votes_a, d.votes_b, d.others, d.ruled) for d in disputed(db)] == [
        (battle, "Why?", 1, 2, 1, None)]  # fmt: skip
    add_ruling(db, battle, Outcome.B, "reads better", "owner")
    add_ruling(db, battle, Outcome.A, " the other one is wrong ", "owner")
    assert {b: (r.outcome, r.reason) for b, r in rulings(db, campaign).items()} == {
        battle: (Outcome.A, "the other one is wrong")}  # fmt: skip
    assert [d.ruled for d in disputed(db, "c")] == ["a"]
    assert [p.chosen for p in pairs_of(read_votes(db, ["c"]), PairPolicy()).pairs] == [first.id]
    assert db.conn.execute("SELECT count(*) FROM adjudications").fetchone() == (2,)
    with pytest.raises(UserError, match="there is no battle 99"):
        add_ruling(db, 99, Outcome.A, "", "owner")
