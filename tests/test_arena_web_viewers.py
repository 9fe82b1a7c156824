"""A viewer posts every event of every page over HTTP, as a page would: nothing changes. An owner's acts bear their name."""

import hashlib
import subprocess

import psutil
import pytest

from arena.demo import seed
from arena.web.pages.studio import people
from arena.web.sessions import now
from db import audit, owners, runs
from db.campaigns import get_campaign
from db.catalog import get_setting
from db.connection import home_at, open_reader, open_writer
from db.entities.campaigns import CampaignStatus
from db.entities.votes import Outcome
from db.errors import Refused
from db.raters import get_rater
from labeling import owners as way_in
from tests.events import Visit
from tests.serving import running
from tests.test_arena_loop import give

AS_VIEWER = "you are here as a viewer"
FILLED = {
    "Address": "https://example.org/hook", "Comprehension check": "", "Starts (UTC)": "", "Ends (UTC)": "",
    "Completion address": "", "Screen-out address": "", "Version of the consent text": "", "Consent text": "",
    "Name": "quite-new", "Folder, hub id or address": "owner/model", "Present password": "",
    "New password": "a password of words", "Or a path on the server": "", "Columns by other names": "",
    "Pasted text": '{"prompt": "What is new?"}', "Reward model": "owner/reward", "New person": "nora",
    "May": people.VIEWER,
}  # fmt: skip


@pytest.fixture(scope="module")
def web(tmp_path_factory):
    """The demo with votes, two raters who disagree, and a training that seems to run."""
    home = home_at(tmp_path_factory.mktemp("viewers") / "home")
    db = open_writer(home)
    seed(db)
    give(db, "SFT vs DPO", 30)
    give(db, "SFT vs DPO", 4, outcome=Outcome.B, rater="other")
    job = runs.add_job(db, ["train", "dpo", "--from", "starter-sft"])
    with subprocess.Popen(["sleep", "600"]) as training:
        runs.start_job(db, job.id, training.pid, psutil.Process(training.pid).create_time())
        db.conn.close()
        with running(home) as served:
            yield served
        assert training.poll() is None, "a viewer's press reached a process"
        training.kill()


def let_in(web, name, *, viewer):
    """A browser of a new owner or viewer."""
    token = web.writer.call(lambda db: way_in.add(db, name, viewer=viewer, now=now()))
    client = web.client()
    assert client.post("/api/login", json={"token": token}).status_code == 200
    return client


def contents(home):
    """A hash of every row of every table, and the names of all files but the database's and the logs."""
    db = open_reader(home)
    tables = [r[0] for r in db.conn.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY 1")]
    rows = {
        t: hashlib.sha256(repr(db.conn.execute(f"SELECT * FROM [{t}]").fetchall()).encode()).hexdigest() for t in tables
    }  # fmt: skip
    db.conn.close()
    files = sorted(
        str(p.relative_to(home.root)) for p in home.root.rglob("*") if not p.name.startswith("arena.db")
    )
    return rows, files


def looked_at(visit):
    """The page with everything on it shown once: its fields have their choices then."""
    for event in (*visit.triggered("load"), *visit.triggered("select")):
        answer = visit.post(event)
        assert answer.error is None, answer
    return visit


@pytest.mark.parametrize(("page", "at_least"), [("studio", 35), ("chat", 1), ("results", 0)])
def test_no_event_of_a_viewer_changes_anything(web, page, at_least):
    name = f"viewer-of-{page}"
    visit = looked_at(Visit(web, let_in(web, name, viewer=True), page, FILLED))
    before = contents(web.home)
    answers = [visit.post(event) for event, _ in visit.events()]
    assert contents(web.home) == before
    refused = [a for a in answers if AS_VIEWER in (a.error or "")]
    assert len(refused) >= at_least, [(a.name, a.error) for a in answers]
    assert acts_of(web, name) == ["logged in by a one-time link"]


def acts_of(web, name):
    return [a.what for a in web.writer.call(lambda db: audit.recent(db, 1000, name)) if a.who == name]


@pytest.mark.parametrize(
    "words",
    ["Keep", "Add", "Add person", "Remove", "Set password", "Send there from now on", "Stop sending", "Send a test", "Mark as read",
     "New one-time link", "New link to my rating seat", "New one-time link to the studio", "Retrain", "Cancel the run",
     "Exclude", "Include again", "Import", "Look at three rows", "Cancel", "Resume or run again", "Rate"],
)  # fmt: skip
def test_these_buttons_say_why_they_do_nothing(web, words):
    visit = Visit(web, let_in(web, f"viewer {words}", viewer=True), "studio", FILLED)
    assert AS_VIEWER in visit_error(looked_at(visit), words)


def visit_error(visit, words):
    return visit.post(visit.of_button(words)).error or ""


def test_an_owners_acts_are_done_and_bear_their_name(web):
    visit = looked_at(Visit(web, let_in(web, "anna", viewer=False), "studio", FILLED))
    for words in ("Keep", "Add person", "Send there from now on", "Mark as read"):
        assert visit.post(visit.of_button(words)).error is None, words
    db = open_reader(web.home)
    assert get_setting(db, "reward_model") == "owner/reward"
    assert [o.viewer for o in owners.list_owners(db) if o.name == "nora"] == [True]
    assert acts_of(web, "anna") == [
        "marked the notices as read", "set the webhook to example.org, in the own network", "added viewer nora",
        "set the reward model to owner/reward", "logged in by a one-time link",
    ]  # fmt: skip
    db.conn.close()


def test_a_password_set_in_the_studio_lets_its_owner_in_and_ends_other_browsers(web):
    first = let_in(web, "petra", viewer=False)
    token = web.writer.call(lambda db: way_in.owner_link_token(db, now(), "petra"))
    second = web.client()
    second.post("/api/login", json={"token": token})
    visit = looked_at(Visit(web, second, "studio", FILLED))
    assert visit.post(visit.of_button("Set password")).error is None
    assert first.get("/studio/").status_code == 303, "the other browser is logged out"
    assert second.get("/studio/").status_code == 200
    visit.typed = {**FILLED, "Present password": "not the present one"}
    assert "the present password is wrong" in visit_error(visit, "Set password")
    again = web.client()
    body = {"name": "petra", "password": FILLED["New password"]}
    assert again.post("/api/login", json=body).status_code == 200


def test_who_was_removed_or_made_a_viewer_acts_no_more_in_an_open_page(web):
    client = let_in(web, "rolf", viewer=False)
    visit = looked_at(Visit(web, client, "studio", FILLED))
    assert visit.post(visit.of_button("Keep")).error is None
    web.writer.call(lambda db: owners.remove_owner(db, "rolf"))
    assert visit.post(visit.of_button("Keep")).error == "HTTP 401"
    assert len(acts_of(web, "rolf")) == 2


def test_an_event_that_waited_while_its_owner_left_is_refused_where_the_work_is_done(web):
    let_in(web, "late", viewer=False)
    number = web.writer.call(lambda db: db.conn.execute("SELECT max(id) FROM sessions").fetchone()[0])
    assert web.writer.call(lambda db: way_in.actor(db, number, now())).name == "late"
    web.writer.call(lambda db: owners.remove_owner(db, "late"))
    with pytest.raises(Refused, match="your login has ended"):
        web.writer.call(lambda db: way_in.actor(db, number, now()))


def test_the_campaigns_and_raters_are_as_they_were(web):
    db = open_reader(web.home)
    assert get_campaign(db, "SFT vs DPO").status is CampaignStatus.OPEN
    assert get_rater(db, "other").excluded is None
    assert not [o for o in owners.list_owners(db) if o.has_password and o.viewer]
    db.conn.close()
