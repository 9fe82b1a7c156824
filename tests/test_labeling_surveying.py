"""What an export knows of its votes taken together, beside the plain way of working it out."""

import os
from itertools import combinations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from db.entities.catalog import Split, content_id
from db.entities.votes import Outcome, RaterKind, Vote
from labeling.agreement import battle_key
from labeling.policy import Method, PairPolicy
from labeling.surveying import Numbers, hash_of_votes, survey
from labeling.verdicts import SWAPPED

SIDES = [("m1", "ra"), ("m2", "rb"), ("m2", "rc")]


@st.composite
def cast(draw: st.DrawFn) -> list[Vote]:
    """Votes on a few battles, either way round, by people and made-up raters."""
    ids = draw(st.lists(st.integers(1, 10_000), unique=True, max_size=30))
    votes = []
    for number in ids:
        (model_a, a), (model_b, b) = draw(st.permutations(SIDES))[:2]
        made_up = draw(st.booleans())
        votes.append(Vote(
            number, 1, 1, 1, draw(st.sampled_from(list(Outcome))), draw(st.sampled_from([None, "a"])), "2026-01-01", "p", a, b,
            model_a, model_b, f"{'s' if made_up else 'r'}{draw(st.integers(0, 2))}",
            RaterKind.SIMULATED if made_up else RaterKind.PERSON, Split.TRAIN,
        ))  # fmt: skip
    return votes


@given(cast(), st.booleans())
def test_a_survey_is_what_one_finds_by_holding_every_vote(votes: list[Vote], simulated: bool) -> None:
    policy = PairPolicy(Method.VOTE, simulated=simulated)
    seen = survey(iter(votes), policy)
    takes = [v for v in votes if policy.takes(v)]
    assert seen.ids.tolist() == [v.id for v in votes]
    assert seen.taken.tolist() == [v.id for v in takes]
    assert {v for refused in seen.refused.values() for v in refused.tolist()} == {v.id for v in votes} - {
        v.id for v in takes
    }
    assert list(seen.raters) == list(dict.fromkeys(v.rater_name for v in votes))
    assert list(seen.taken_raters) == list(dict.fromkeys(v.rater_name for v in takes))
    assert seen.models == {m for v in takes for m in (v.model_a, v.model_b)}
    assert seen.simulated == sum(v.rater_kind is RaterKind.SIMULATED for v in votes)
    assert seen.imported == sum(v.left_is is None for v in votes)
    said: dict[str, list[Outcome]] = {}
    for vote in votes:
        key, swapped = battle_key(vote)
        said.setdefault(key, []).append(SWAPPED.get(vote.outcome, vote.outcome) if swapped else vote.outcome)
    same = [a is b for outcomes in said.values() for a, b in combinations(outcomes, 2)]
    assert (seen.repeated, seen.agreement) == (
        sum(len(o) > 1 for o in said.values()),
        sum(same) / len(same) if same else None,
    )
    assert (
        seen.snapshot
        == hash_of_votes(votes)
        == content_id("votes", sorted((v.id, v.outcome.value) for v in votes))
    )


def test_numbers_are_a_lot_without_gaps() -> None:
    votes = np.array([7, 3, 500, 3, 42], np.int64)
    numbers = Numbers(votes, os.urandom(40))
    assert list(numbers) == [3, 7, 42, 500]
    assert sorted(numbers.values()) == [1, 2, 3, 4]
    assert 8 not in numbers
    assert 501 not in numbers
    assert [numbers[v] for v in numbers.in_order(np.array([500, 7, 3])).tolist()] == sorted(
        numbers[v] for v in (3, 7, 500)
    )
    first = {tuple(Numbers(votes, os.urandom(40)).values()) for _ in range(60)}
    assert len(first) > 1
