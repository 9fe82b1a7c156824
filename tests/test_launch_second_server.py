"""A home that is served: a second server is refused by name, everything else goes on beside the first."""

import signal
import subprocess

import pytest

from arena.jobs import command_line
from db.connection import PROJECT
from tests.test_launch import serving, stopped
from tests.workshop import give_votes, run, trainable_home


@pytest.fixture
def home(tmp_path):
    return trainable_home(tmp_path / "home")


@pytest.mark.slow
def test_a_second_server_names_the_first_and_reading_verbs_do_not_mind(home, db, tmp_path):
    process, address = serving(home)
    try:
        second = subprocess.run(
            command_line(home, ["serve", "--no-open", "--port", "7999"]),
            cwd=PROJECT,
            capture_output=True,
            text=True,
        )
        assert second.returncode == 2
        assert f"another server runs on {home.root} (process {process.pid}, {address})" in second.stderr
        give_votes(db, votes=4)
        assert run(home, "report", "first", "--json").json["counts"]["counted"] == 4
        assert run(home, "export", tmp_path / "out").code == 0
        assert run(home, "backup", tmp_path / "copy.db").code == 0
        assert run(home, "check").code == 0
        process.send_signal(signal.SIGKILL)
        process.wait()
        third, _ = serving(home)
        stopped(third)
    finally:
        process.kill()
        process.communicate()
    print(
        f"R8: refused by process {process.pid}; report, export, backup and check beside it; free once it was killed"
    )
