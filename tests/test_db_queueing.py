"""Whose turn is next: the queue's order, and which slot a command may have. Devices are named, none is needed."""

import os

import pytest

from arena import accelerators, jobs
from db import queueing, runs
from db.entities.runs import JobStatus
from db.errors import Conflict

TRAIN = ("train", "dpo", "--from", "m")


@pytest.mark.parametrize(
    ("everywhere", "slots", "taken", "slot"),
    [
        (False, 1, set(), 0),
        (False, 1, {0}, None),
        (False, 3, {0, 2}, 1),
        (False, 2, {0, 1}, None),
        (False, 2, {queueing.EVERY_SLOT}, None),
        (True, 4, set(), queueing.EVERY_SLOT),
        (True, 4, {3}, None),
    ],
)
def test_the_slot_a_training_may_have(everywhere, slots, taken, slot):
    assert queueing.free_slot(everywhere, slots, taken) == slot


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({}, None),
        ({"CUDA_VISIBLE_DEVICES": "0,3"}, ("0", "3")),
        ({"CUDA_VISIBLE_DEVICES": "GPU-a1"}, ("GPU-a1",)),
        ({"CUDA_VISIBLE_DEVICES": ""}, ()),
        ({"CUDA_VISIBLE_DEVICES": "-1"}, ()),
        ({"CUDA_VISIBLE_DEVICES": "1,-1,0"}, ("1",)),
        ({"CUDA_VISIBLE_DEVICES": "1", "TASTEBENCH_DEVICES": "0,1"}, ("0", "1")),
    ],
)
def test_the_devices_an_environment_names(environment, named):
    assert accelerators.named_devices(environment) == named


def test_each_slot_sees_its_own_device_and_the_next_job_still_knows_all():
    found = ("0", "3")
    assert accelerators.slots(found) == 2
    seen = accelerators.seen_by(1, found)
    assert seen["CUDA_VISIBLE_DEVICES"] == "3"
    assert accelerators.named_devices(seen) == found
    assert accelerators.seen_by(queueing.EVERY_SLOT, found) == {}
    assert accelerators.seen_by(None, found) == {}
    assert (accelerators.slots(()), accelerators.seen_by(0, ())) == (1, {})


def test_when_every_device_is_busy():
    assert not accelerators.all_busy((), {0})
    assert not accelerators.all_busy(("0", "1"), {0})
    assert accelerators.all_busy(("0",), {0})
    assert accelerators.all_busy(("0", "1"), {queueing.EVERY_SLOT})


def waiting(db, n):
    made = [runs.add_job(db, TRAIN).id for _ in range(n)]
    for job in made:
        queueing.enqueue(db, job)
    return made


def test_jobs_get_their_slots_in_order_while_there_are_any(db):
    a, b, c = waiting(db, 3)
    assert queueing.claim_next(db, 2) == (a, 0)
    assert queueing.claim_next(db, 2) == (b, 1)
    assert queueing.claim_next(db, 2) is None
    assert queueing.taken_slots(db) == {0, 1}
    runs.end_job(db, a, JobStatus.SUCCEEDED, 0, "")
    assert queueing.claim_next(db, 2) == (c, 0)
    assert queueing.queue(db) == []


def test_jobs_change_places(db):
    a, b, c = waiting(db, 3)
    queueing.move(db, c, earlier=True)
    queueing.move(db, a, earlier=False)
    assert queueing.queue(db) == [c, a, b]
    with pytest.raises(Conflict, match=f"job {c} is first already"):
        queueing.move(db, c, earlier=True)
    with pytest.raises(Conflict, match=f"job {b} is last already"):
        queueing.move(db, b, earlier=False)
    runs.end_job(db, a, JobStatus.CANCELLED, None, "")
    assert queueing.queue(db) == [c, b]
    with pytest.raises(Conflict, match="does not wait in the queue"):
        queueing.move(db, a, earlier=True)


def test_a_job_that_a_terminal_waits_for_is_left_to_it(db):
    own, other = runs.add_job(db, TRAIN).id, runs.add_job(db, TRAIN).id
    queueing.enqueue(db, own, os.getpid(), jobs.own_start())
    queueing.enqueue(db, other)
    assert queueing.claim_next(db, 1) is None
    assert queueing.claim_next(db, 1, other) is None
    assert queueing.claim_next(db, 1, own) == (own, 0)


def test_one_run_a_slot_and_not_two(db, tmp_path):
    first, second = waiting(db, 2)
    assert (queueing.claim_next(db, 2), queueing.claim_next(db, 2)) == ((first, 0), (second, 1))
    queueing.share_slot(db, runs.add_job(db, TRAIN).id, second)
    assert [j.slot for j in runs.list_jobs(db)] == [1, 1, 0]
