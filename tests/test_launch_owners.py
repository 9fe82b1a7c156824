"""Owners in the terminal: links, names, passwords that are asked for; and what is typed there stands in the audit log."""

import os
import subprocess
import sys

import pytest

from arena import jobs
from arena.web.sessions import now
from db import audit, owners
from db.connection import PROJECT, open_reader
from labeling import owners as way_in
from tests.factories import make_home
from tests.serving import running
from tests.workshop import refused, run

GOOD = "four words in a row"


@pytest.fixture
def home(tmp_path):
    return make_home(tmp_path / "home")


def noted(home):
    return [(a.who, a.what) for a in audit.recent(open_reader(home))][::-1]


def test_a_viewer_is_added_let_in_by_the_printed_link_and_removed(home):
    added = run(home, "owner", "add", "vera", "--viewer", "--json").json
    assert (added["name"], added["role"]) == ("vera", "viewer")
    with running(home) as web:
        client = web.client()
        token = added["link"].rpartition("token=")[2]
        assert client.post("/api/login", json={"token": token}).status_code == 200
        rows = {r["name"]: r for r in run(home, "owner", "list", "--json").json}
        assert {n: (r["role"], r["browsers"]) for n, r in rows.items()} == {
            "owner": ("owner", 0),
            "vera": ("viewer", 1),
        }
        assert run(home, "owner", "remove", "vera").code == 0
        assert client.get("/studio/").status_code == 303, "their open browser is out at once"
    assert "nobody here is named 'vera'" in refused(run(home, "owner", "link", "--name", "vera"))
    assert "is the last owner" in refused(run(home, "owner", "remove", "owner"))
    assert [n for n, r in rows.items()] == ["owner", "vera"]


def test_a_link_for_a_name_is_theirs_and_without_one_the_first_owners(home):
    run(home, "owner", "add", "anna")
    for words, name in ((["--name", "anna"], "anna"), ([], "owner")):
        lines = run(home, "owner", "link", *words).out.split()
        token = lines[lines.index("studio") + 1].rpartition("token=")[2]
        with running(home) as web:
            cookie = web.writer.call(lambda db, t=token: way_in.open_studio(db, t, now()))
            assert cookie
        assert noted(home)[-1] == (name, "logged in by a one-time link")


def type_password(home, *typed, name="owner"):
    """Run the verb without a terminal, as the prompt reads its input then."""
    words = [sys.executable, "launch.py", "--home", str(home.root), "owner", "password", "--name", name]
    return subprocess.run(words, cwd=PROJECT, input="".join(f"{t}\n" for t in typed), capture_output=True, text=True,
                          start_new_session=True, check=False, timeout=120)  # fmt: skip


def test_a_password_is_asked_for_twice_and_lets_its_owner_in(home):
    assert type_password(home, GOOD, GOOD).returncode == 0
    kept = owners.password_hash(open_reader(home), "owner")
    assert kept.startswith("$argon2id$")
    assert GOOD not in " ".join(what for _, what in noted(home))
    with running(home) as web:
        answer = web.client().post("/api/login", json={"name": "owner", "password": GOOD})
        assert answer.status_code == 200
    short = type_password(home, "short", "short")
    assert (short.returncode, "a password has 12 to 256 characters" in short.stderr) == (2, True)
    assert type_password(home, GOOD, GOOD, name="nobody").returncode == 2
    assert owners.password_hash(open_reader(home), "owner") == kept


def test_what_is_typed_in_a_terminal_is_in_the_audit_log_and_looking_is_not(home):
    for words in (
        ["campaign", "list"], ["owner", "list"], ["raters", "list"], ["jobs", "list"], ["notices", "list"],
        ["campaign", "preview", "first"], ["campaign", "pause", "nowhere"],
    ):  # fmt: skip
        run(home, *words)
    assert noted(home) == [], "neither a look nor what was refused"
    run(home, "campaign", "pause", "first")
    run(home, "campaign", "open", "first")
    run(home, "campaign", "invite", "first")
    run(home, "raters", "exclude", "rater-1", "--reason", "always left; twice")
    run(home, "owner", "add", "anna")
    assert noted(home) == [("terminal", f"ran: python launch.py {words}") for words in (
        "campaign pause first", "campaign open first", "campaign invite first",
        "raters exclude rater-1 --reason 'always left; twice'", "owner add anna",
    )]  # fmt: skip


def test_a_verb_the_studio_runs_is_noted_once_under_who_asked(home):
    with running(home) as web:
        from arena.web.pages.studio import acts

        acts.run_verb(web.app.state.web.context, ["campaign", "pause", "first"])
    assert noted(home) == [("owner", "ran: python launch.py campaign pause first")]
    environment = {**os.environ, jobs.ASKED_VARIABLE: "anna"}
    subprocess.run(jobs.command_line(home, ["campaign", "open", "first"]), env=environment, cwd=PROJECT, check=True,
                   capture_output=True)  # fmt: skip
    assert len(noted(home)) == 1
