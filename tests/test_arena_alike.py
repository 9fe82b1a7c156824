"""How alike votes are, from counts by rater and by prompt, beside the plain way over every vote."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arena.alike import ALIKE_PROMPT, ALIKE_RATER, FEWEST_ALIKE, FEWEST_CLUSTERS, MOST_ALIKE, Alike, alike
from arena.columns import columns
from arena.planning import Crowd
from tests.test_arena_planning import session
from tests.votes_by_hand import by_prompt, by_rater, swapped, vote


def plainly(made):
    """The same two numbers from a residual for each vote and every two votes of a cluster, one by one."""
    rest, free, products = 0.0, 0, {"rater": [], "prompt": []}
    repeating = {"rater": 0, "prompt": 0}
    for _, votes in columns(made).pairs():
        residual = votes.y - votes.y.mean()
        rest, free = rest + float(residual @ residual), free + len(votes) - 1
        for of, where in (("rater", votes.rater), ("prompt", votes.prompt)):
            for cluster in np.unique(where):
                shared = residual[where == cluster]
                repeating[of] += len(shared) > 1
                every_two = np.multiply.outer(shared, shared)
                products[of] += every_two[~np.eye(len(shared), dtype=bool)].tolist()
    told = {of: free >= FEWEST_ALIKE and rest > 0 and len(found) >= FEWEST_ALIKE and repeating[of] >= FEWEST_CLUSTERS
            for of, found in products.items()}  # fmt: skip
    return tuple(min(MOST_ALIKE, max(0.0, float(np.mean(found)) / (rest / free))) if told[of] else None
                 for of, found in products.items())  # fmt: skip


def near(seen):
    """What is the same as this but for rounding; None is nothing but None."""
    return tuple(s if s is None else pytest.approx(s, rel=1e-9, abs=1e-12) for s in seen)


VOTES = st.lists(
    st.tuples(
        st.sampled_from("aabbtgx"),
        st.integers(0, 14),
        st.integers(0, 24),
        st.sampled_from([("one", "two"), ("two", "one"), ("two", "three"), ("three", "one"), ("two", "two")]),
    ),
    max_size=400,
)


@given(VOTES)
def test_counts_tell_what_every_vote_tells(drawn):
    made = [vote(i, o, rater=f"r{r}", prompt=f"p{p}", models=m) for i, (o, r, p, m) in enumerate(drawn)]
    assert alike(by_rater(made), by_prompt(made)) == near(plainly(made))


def test_likeness_is_told_from_a_hundred_votes_on_and_the_order_of_slots_is_nothing_to_it():
    rng = np.random.default_rng(3)
    made = [
        vote(i, rng.choice(list("aabbtgx")), rater=f"r{i % 14}", prompt=f"p{i % 24 // 2}",
             models=("one", ("two", "three")[i % 2]))
        for i in range(400)
    ]  # fmt: skip
    for votes in (made, [swapped(v) if v.id % 3 else v for v in made]):
        seen = alike(by_rater(votes), by_prompt(votes))
        assert None not in seen
        assert seen == near(plainly(made))
    assert alike(by_rater(made[:100]), by_prompt(made[:100])) == (None, None), "99 free residuals"
    same = [vote(i, "a", rater=f"r{i % 14}", prompt=f"p{i % 24}") for i in range(400)]
    assert alike(by_rater(same), by_prompt(same)) == (None, None), "nothing varies"


def test_votes_of_people_with_a_taste_are_alike_by_that_much():
    rng, crowd = np.random.default_rng(1), Crowd(150, 6000, Alike(0.2, 0.0))
    y, rater, prompt = session(rng, 6000, crowd, 0.1)
    made = [
        vote(i, "a" if won else "b", rater=f"r{r}", prompt=f"p{p}")
        for i, (won, r, p) in enumerate(zip(y, rater, prompt, strict=True))
    ]
    seen = alike(by_rater(made), by_prompt(made))
    assert seen.rater == pytest.approx(0.2, abs=0.04)
    assert seen.prompt is None, "every prompt has one vote"
    assert alike(by_rater(made[:50]), by_prompt(made[:50])) == (None, None)


def test_the_default_is_what_people_do_on_mtbench(shared_data):
    """Where the two numbers come from."""
    key = {"model_a": "a", "model_b": "b"}
    rows = [
        json.loads(line)
        for line in (shared_data / "mtbench_human_votes.jsonl").read_text("utf-8").splitlines()
    ]
    made = [
        vote(
            i,
            key.get(r["winner"], "t"),
            rater=r["judge"],
            prompt=str(r["question_id"]),
            models=(r["model_a"], r["model_b"]),
        )
        for i, r in enumerate(rows)
    ]
    seen = alike(by_rater(made), by_prompt(made))
    assert seen.rater == pytest.approx(ALIKE_RATER, abs=0.005)
    assert seen.prompt == pytest.approx(ALIKE_PROMPT, abs=0.02)
