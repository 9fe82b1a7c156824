"""Runs side by side: what differs, and only what differs."""

import os
from datetime import timedelta

import pytest

from arena.comparing import compare
from db import runs
from db.connection import transaction
from db.entities.catalog import ModelKind
from db.entities.runs import RunKind
from db.errors import NotFound, UserError
from db.snapshots import get_snapshot
from labeling import joining, lending, rating
from labeling.pairs import PairPolicy
from labeling.submission import parse_submission
from tests.factories import NOW
from tests.workshop import give_votes, refused, run, trainable_home
from training.snapshots import Source, freeze


@pytest.fixture
def home(tmp_path):
    return trainable_home(tmp_path / "home")


def made(db, name, snapshot, losses, **settings):
    """A run that has ended, with curves as the trainer logs them."""
    begun = runs.add_run(db, name, RunKind.DPO, parent="one", snapshot=snapshot.id, folder=f"runs/{name}",
                         settings={"beta": 0.1, "learning_rate": 1e-4, **settings}, campaign=None, job=None,
                         pid=os.getpid(), pid_started=1.0)  # fmt: skip
    for step, loss in enumerate(losses, 1):
        runs.add_metrics(db, begun.id, step, len(losses), {
            "loss": loss, "rewards/margins": losses[0] - loss, "rewards/accuracies": 0.9, "memory_gib": 0.5 + step / 10,
        })  # fmt: skip
    runs.add_metrics(db, begun.id, len(losses), len(losses),
                     {"eval_loss": losses[-1], "eval_rewards/accuracies": 0.8, "eval_rewards/margins": 0.3})  # fmt: skip
    runs.finish_run(db, begun.id, model=name, kind=ModelKind.ADAPTER, source="one", adapter="x", quantize=None,
                    reference_proof=None, metrics={"counts": {"evaluated": 10}}, versions={}, seconds=3.0)  # fmt: skip
    return begun


@pytest.fixture
def two(home, db):
    """Two runs: the second on one vote more, with another beta."""
    give_votes(db, votes=5)
    first = freeze(db, Source(("first",)), PairPolicy())
    give_more(db)
    second = freeze(db, Source(("first",)), PairPolicy())
    made(db, "a", first, [0.69, 0.6, 0.5, 0.4])
    made(db, "b", second, [0.69, 0.69, 0.69, 0.69], beta=0.5, seed=7)
    return db


def give_more(db):
    """A second rater's vote on a battle nobody voted on yet."""
    now = NOW + timedelta(hours=1)
    cookie = joining.join(db, joining.invite(db, "first", 1)[0].token, None, now)
    with transaction(db):
        ballot = lending.next_ballots(db, joining.session_from(db, cookie, now), 1, now, None).ballots[0]
    with transaction(db):
        rating.cast_vote(db, joining.session_from(db, cookie, now),
                         parse_submission({"assignment": ballot.assignment, "choice": "left", "key": "more"}), now)  # fmt: skip


def test_only_the_settings_that_differ_stand_there(two):
    found = compare(two, ["a", "b"])
    assert found.settings == {"beta": {"a": 0.1, "b": 0.5}, "seed": {"a": None, "b": 7}}


def test_rows_of_one_run_alone_are_counted_and_shown(two):
    found = compare(two, ["a", "b"])
    assert not found.same_rows
    assert (found.rows["a"].train, found.rows["b"].train) == (5, 6)
    assert [(r.shared, r.only) for r in found.rows.values()] == [(5, 0), (5, 1)]
    (example,) = found.rows["b"].examples
    assert example.prompt[-1]["content"].startswith("Question")
    assert example.better != example.worse


def test_curves_and_results_of_each(two):
    found = compare(two, ["b", "a"])
    assert found.runs == ("b", "a")
    assert [v for _, v in found.curves["loss"]["a"]] == [0.69, 0.6, 0.5, 0.4]
    assert set(found.curves["eval_rewards/accuracies"]) == {"a", "b"}
    assert "accuracy" not in found.curves
    assert found.results["a"].memory_gib == pytest.approx(0.9)
    assert "nothing learned" in found.results["b"].verdict
    assert found.results["a"].verdict == "learned, no alarm"


def test_the_same_rows_are_said_to_be_the_same(two):
    made(two, "c", get_snapshot(two, runs.get_run(two, "a").snapshot), [0.69, 0.3])
    found = compare(two, ["a", "c"])
    assert found.same_rows
    assert [r.only for r in found.rows.values()] == [0, 0]
    assert found.settings == {}


def test_one_run_or_an_unknown_one_is_refused(two, home):
    with pytest.raises(UserError, match="1 runs are named; name 2 to 6 different runs"):
        compare(two, ["a", "a"])
    with pytest.raises(NotFound):
        compare(two, ["a", "zzz"])
    assert "there is no run 'zzz'" in refused(run(home, "train", "compare", "a", "zzz"))


def test_in_a_terminal(two, home):
    out = run(home, "train", "compare", "a", "b").out
    assert "held-out accuracy" in out
    assert "beta" in out
    assert "learning_rate" not in out
    found = run(home, "train", "compare", "a", "b", "--json").json
    assert found["curves"]["loss"]["b"][0] == [1, 0.69]
