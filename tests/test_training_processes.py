"""A process is known by a mark that no clock can change."""

import os
import subprocess
from pathlib import Path

import psutil
import pytest

from training.processes import mark_of, runs_still


@pytest.fixture
def sleeper():
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()


def test_a_process_keeps_its_mark_and_another_has_another(sleeper):
    mark = mark_of(sleeper.pid)
    assert mark_of(sleeper.pid) == mark
    assert runs_still(sleeper.pid, mark)
    assert not runs_still(os.getpid(), mark), "this process began earlier"
    assert mark_of(os.getpid()) < mark


def test_one_that_is_gone_or_waits_to_be_buried_does_not_run(sleeper):
    mark = mark_of(sleeper.pid)
    sleeper.kill()
    while psutil.Process(sleeper.pid).status() != psutil.STATUS_ZOMBIE:
        pass
    assert not runs_still(sleeper.pid, mark)
    sleeper.wait()
    assert not runs_still(sleeper.pid, mark)
    with pytest.raises(psutil.NoSuchProcess):
        mark_of(sleeper.pid)


@pytest.mark.skipif(
    not Path("/proc/self/stat").exists(), reason="only where /proc tells when a process began"
)
def test_the_mark_is_no_time_of_day_so_setting_the_clock_changes_nothing(sleeper):
    up = float(Path("/proc/uptime").read_text().split()[0])
    seconds = mark_of(sleeper.pid) % 2**27
    assert 0 < seconds < up + 1, "it counts from the machine's start"
    assert abs(mark_of(sleeper.pid) - psutil.Process(sleeper.pid).create_time()) > 3600


def test_homes_of_before_kept_the_time_of_day(sleeper):
    began = psutil.Process(sleeper.pid).create_time()
    assert runs_still(sleeper.pid, began)
    assert not runs_still(sleeper.pid, began - 3600)
    assert runs_still(sleeper.pid, None)
