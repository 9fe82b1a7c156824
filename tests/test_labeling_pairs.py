from collections import Counter

from hypothesis import given
from hypothesis import strategies as st
from sqlite_utils import Database

from db.campaigns import _insert_campaign, add_battle, add_rater
from db.catalog import add_model, add_prompts, add_responses
from db.entities import (
    CampaignSettings,
    CampaignStatus,
    ModelKind,
    Outcome,
    Prompt,
    RaterKind,
    Response,
    Split,
    Vote,
)
from db.migrations import migrations
from db.votes import ImportCounts, ImportedVote, add_imported_votes, begin_import, finish_import
from labeling.pairs import Method, PairPolicy, pairs_of_campaigns, preference_pairs

TEXTS = {f"r{i}": f"text {i}" for i in range(6)} | {"none": None, "empty": " ", "same": "text 0"}


def vote(number, a, b, outcome, prompt="p", kind=RaterKind.PERSON, rater=1):
    return Vote(number, 1, 1, rater, Outcome(outcome), "a", "now", prompt, a, b, "ma", "mb", f"r{rater}", kind,
                Split.TRAIN)  # fmt: skip


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


@given(votes_strategy, st.sampled_from(list(Method)))
def test_every_vote_is_in_a_pair_or_left_out_and_never_against_what_was_pressed(given_votes, method):
    votes = [vote(i, f"r{a}", f"r{b}", outcome) for i, (a, b, outcome) in enumerate(given_votes)]
    found = made(votes, method)
    used = [v for p in found.pairs for v in p.votes]
    assert len(used) == len(set(used))
    assert len(used) + sum(found.left_out.values()) == len(votes)
    by_id = {v.id: v for v in votes}
    for pair in found.pairs:
        for number in pair.votes:
            v = by_id[number]
            pressed = v.response_a if v.outcome is Outcome.A else v.response_b
            assert pair.chosen == pressed
    if method is Method.MAJORITY:
        assert max(Counter(frozenset((p.chosen, p.rejected)) for p in found.pairs).values(), default=0) <= 1


BLANKS = st.text(alphabet=" \t\n\r\x0b\x1f\u00a0ab", max_size=4)


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
    found = pairs_of_campaigns(db, ["c"], PairPolicy(Method.VOTE))
    by_id = dict(db.execute("SELECT id, text FROM responses"))
    view = sorted(db.execute("SELECT vote, chosen, rejected FROM vote_pairs"))
    assert view == sorted((p.votes[0], by_id[p.chosen], by_id[p.rejected]) for p in found.pairs)
