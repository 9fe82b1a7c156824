"""Local models give way to a training that holds every GPU. The GPUs are named; the model is a real small one."""

import pytest

from arena import giving_way
from arena.players import GenerationSettings
from arena.web.chatting import Players
from db import queueing, runs
from db.catalog import get_model
from db.connection import open_writer
from db.entities.runs import JobStatus
from db.errors import UserError
from tests.workshop import trainable_home

SETTINGS = GenerationSettings(temperature=0.0, max_new_tokens=4)


def training(db, slots):
    """A training that has its slot; its job."""
    job = runs.add_job(db, ["train", "dpo", "--from", "m"]).id
    queueing.enqueue(db, job)
    assert queueing.claim_next(db, slots) is not None
    return job


def test_models_pause_only_while_every_gpu_is_held(db):
    assert giving_way.reason(db, ("0",)) is None
    job = training(db, 2)
    assert giving_way.reason(db, ()) is None
    assert giving_way.reason(db, ("0", "1")) is None
    assert giving_way.reason(db, ("0",)) == "local models pause while a training holds the only GPU"
    training(db, 2)
    assert "holds all 2 GPUs" in str(giving_way.reason(db, ("0", "1")))
    runs.end_job(db, job, JobStatus.SUCCEEDED, 0, "")
    assert giving_way.reason(db, ("0", "1")) is None


@pytest.mark.slow
def test_a_model_in_memory_is_let_go_says_why_and_comes_back(tmp_path):
    home = trainable_home(tmp_path / "home")
    db = open_writer(home)
    one = get_model(db, "one")
    why: list[str | None] = [None]
    players = Players(home, lambda: why[0])
    said = [{"role": "user", "content": "hello"}]
    try:
        before = "".join(players.stream(one, said, SETTINGS))
        players.give_way()
        assert players.alive() == ["one"]
        why[0] = "local models pause while r1 holds the only GPU"
        players.give_way()
        assert players.alive() == []
        with pytest.raises(UserError, match="pause while r1 holds the only GPU; ask again when it has ended"):
            "".join(players.stream(one, said, SETTINGS))
        why[0] = None
        assert "".join(players.stream(one, said, SETTINGS)) == before
    finally:
        players.close()
        db.conn.close()
