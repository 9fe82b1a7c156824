"""Votes made by hand for tests of the figures."""

from collections import defaultdict

from db.clusters import Cluster
from db.entities.catalog import Split
from db.entities.votes import Outcome, RaterKind, Vote

KEY = {"a": Outcome.A, "b": Outcome.B, "t": Outcome.TIE, "g": Outcome.BOTH_GOOD, "x": Outcome.BOTH_BAD}


def vote(number, outcome, *, rater="r1", prompt=None, models=("one", "two"), left="a", ms=None, kind="person",
         responses=None, turn=None):  # fmt: skip
    """One vote; by default on a battle of its own."""
    prompt = prompt or f"p{number}"
    first, second = responses or tuple(f"{prompt}-{m}" for m in models)
    return Vote(
        id=number, campaign=1, battle=number, rater=1, outcome=KEY[outcome], left_is=left, created_at="", prompt=prompt,
        response_a=first, response_b=second, model_a=models[0], model_b=models[1], rater_name=rater,
        rater_kind=RaterKind(kind), split=Split.TRAIN, elapsed_ms=ms, turn=turn,
    )  # fmt: skip


def swapped(v):
    """The same vote with its battle's slots exchanged."""
    outcome = {Outcome.A: Outcome.B, Outcome.B: Outcome.A}.get(v.outcome, v.outcome)
    left = {"a": "b", "b": "a", None: None}[v.left_is]
    return Vote(
        id=v.id, campaign=v.campaign, battle=v.battle, rater=v.rater, outcome=outcome, left_is=left,
        created_at=v.created_at, prompt=v.prompt, response_a=v.response_b, response_b=v.response_a, model_a=v.model_b,
        model_b=v.model_a, rater_name=v.rater_name, rater_kind=v.rater_kind, split=v.split, strength=v.strength,
        elapsed_ms=v.elapsed_ms, turn=v.turn,
    )  # fmt: skip


def clusters(votes, of):
    """The votes by two models and by `of` a vote (its rater, its prompt), as the database counts them; models by name."""
    number = {m: n for n, m in enumerate(sorted({m for v in votes for m in (v.model_a, v.model_b)}))}
    found = defaultdict(lambda: [0, 0, 0])
    for v in votes:
        first, second = number[v.model_a], number[v.model_b]
        turned = v if first < second else swapped(v)
        place = {Outcome.A: 0, Outcome.B: 1}.get(turned.outcome, 2)
        found[min(first, second), max(first, second), of(v)][place] += 1
    return [Cluster(first, second, *counted) for (first, second, _), counted in found.items()]


def by_rater(votes):
    """The votes by rater."""
    return clusters(votes, lambda v: v.rater_name)


def by_prompt(votes):
    """The votes by prompt."""
    return clusters(votes, lambda v: v.prompt)
