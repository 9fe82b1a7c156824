"""Links, who holds a seat, paper: what the owner gives out and what becomes of it."""

import json
import re
import stat
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
import zxingcpp

from arena import inviting
from arena.inviting import Link, network_address, platform_steps, reach
from arena.sheet import code_of, sheet
from db import open_links
from db.audit import recent
from db.entities.campaigns import CampaignSettings, Recruit
from db.errors import Conflict, NotFound, UserError
from db.lock import Lock
from db.raters import list_raters
from db.seats import SeatStatus
from labeling import joining
from labeling.joining import session_from, take_seat
from tests.factories import make_home
from tests.serving import running
from tests.workshop import give_votes, refused, run

URL = "https://taste.example.org/join/Zf9-a_b0123456789012345678901234"


@pytest.fixture
def home(tmp_path):
    return make_home(tmp_path / "home")


def path_of(link):
    return "/join/" + link.split("/join/")[1]


def statuses(db, name="first"):
    return {s.seat: s.status for s in inviting.listing(db, name).seats}


# -- links -----------------------------------------------------------------------------------------------------


def test_links_are_one_a_line_and_one_seat_each(home):
    ran = run(home, "campaign", "invite", "first", "--seats", 3)
    assert ran.code == 0
    assert len(set(ran.out.splitlines())) == 3
    assert all(
        re.fullmatch(r"http://127\.0\.0\.1:7860/join/[\w-]{32}", line) for line in ran.out.splitlines()
    )
    made = run(home, "campaign", "invite", "first", "--seats", 2, "--expires", 7, "--json").json
    assert [m["seat"] for m in made] == [4, 5]
    days = datetime.fromisoformat(made[0]["expires_at"]) - datetime.now(UTC)
    assert timedelta(days=6.9) < days < timedelta(days=7)


def test_a_server_that_is_only_starting_leaves_links_whole(home, db):
    lock = Lock(home)
    link = inviting.invite(db, home, "first", 1)[0].link
    lock.release()
    assert link.startswith("http://127.0.0.1:7860/join/")


def test_no_link_is_ever_stored(home, db):
    made = [*inviting.invite(db, home, "first", 2), inviting.invite_openly(db, home, "first", 5)]
    dump = "\n".join(db.conn.iterdump())
    listed = json.dumps(run(home, "campaign", "links", "first", "--json").json)
    for link in made:
        token = link.link.rpartition("/")[2]
        assert token not in dump
        assert token not in listed
        assert joining.hashed(token) in dump
        assert joining.hashed(token) not in listed


def test_a_seat_waits_is_used_closed_opened_again_and_expires(home, db):
    now = datetime.now(UTC)
    (link,) = inviting.invite(db, home, "first", 1, days=2)
    assert statuses(db) == {1: SeatStatus.WAITING}
    take_seat(db, session_from(db, joining.join(db, link.link.rpartition("/")[2], None, now), now))
    assert statuses(db) == {1: SeatStatus.IN_USE}
    inviting.revoke(db, "first", 1)
    assert statuses(db) == {1: SeatStatus.CLOSED}
    with pytest.raises(NotFound):
        joining.join(db, link.link.rpartition("/")[2], None, now)
    again = inviting.reissue(db, home, "first", 1)
    assert joining.join(db, again.link.rpartition("/")[2], None, now)
    assert statuses(db) == {1: SeatStatus.IN_USE}


def test_a_link_nobody_used_in_time_is_expired_until_it_is_made_anew(home, db):
    inviting.invite(db, home, "first", 1, days=2)
    late = datetime.now(UTC) + timedelta(days=3)
    db.conn.execute("UPDATE seats SET expires_at = '2020-01-01T00:00:00.000Z'")
    assert statuses(db) == {1: SeatStatus.EXPIRED}
    again = inviting.reissue(db, home, "first", 1)
    assert again.expires_at is None
    assert statuses(db) == {1: SeatStatus.WAITING}
    assert joining.join(db, again.link.rpartition("/")[2], None, late), (
        "the old end is gone with the old link"
    )


def test_screened_out_is_told_from_in_use(home, db):
    (link,) = inviting.invite(db, home, "first", 1)
    now = datetime.now(UTC)
    take_seat(db, session_from(db, joining.join(db, link.link.rpartition("/")[2], None, now), now))
    open_links.note_quiz(db, 1, passed=None, tries_left=0)
    assert statuses(db) == {1: SeatStatus.SCREENED_OUT}


def test_an_open_link_lets_its_number_in_and_can_be_revoked(home):
    with running(home) as web:
        made = web.writer.call(lambda db: inviting.invite_openly(db, web.home, "first", 2))
        people = [web.client() for _ in range(3)]
        assert [p.get(path_of(made.link)).status_code for p in people[:2]] == [303, 303]
        assert all(p.get("/api/next").json()["ballots"] for p in people[:2])
        assert people[2].get(path_of(made.link)).status_code == 409
        web.writer.call(lambda db: inviting.revoke_link(db, "first", made.open_link))
        assert web.client().get(path_of(made.link)).status_code == 404
        assert people[0].get("/api/next").status_code == 200, "who has a seat keeps it"
        listed = run(home, "campaign", "links", "first", "--json").json
    assert [(x["seats"], x["taken"], bool(x["revoked_at"])) for x in listed["open_links"]] == [(2, 2, True)]
    assert [(s["status"], s["open_link"]) for s in listed["seats"]] == [("in use", 1)] * 2
    plain = run(home, "campaign", "links", "first").out
    assert "in use" in plain
    assert "/join/" not in plain


def test_seats_of_another_campaign_are_none_of_ours(home, db):
    run(home, "campaign", "create", "second", "--models", "model-one,model-two", "--prompts", "all")
    inviting.invite(db, home, "second", 1)
    link = inviting.invite_openly(db, home, "second", 1)
    for act in (
        lambda: inviting.revoke(db, "first", 1),
        lambda: inviting.reissue(db, home, "first", 1),
        lambda: inviting.revoke_link(db, "first", link.open_link),
    ):
        with pytest.raises(NotFound, match="campaign 'first' has no"):
            act()
    assert statuses(db, "first") == {}
    assert statuses(db, "second") == {1: SeatStatus.WAITING}


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--seats", 0], "between 1 and 1000"), (["--expires", 0], "cannot expire after 0 days"),
        (["--open-link", "--reissue", 1], "--reissue renews a personal link"), (["--open-link", "--seats", 0], "1 to 100,000"),
        (["--reissue", 9], "there is no seat 9"),
    ],
)  # fmt: skip
def test_what_cannot_be_invited_is_one_line(home, words, reason):
    assert reason in refused(run(home, "campaign", "invite", "first", *words))


# -- where links work, and at a platform -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "recruit", "holds"),
    [
        ("http://127.0.0.1:7860", Recruit.LINK, ["this machine only", "--host 0.0.0.0 --port 7860 --public-url http://10.1.2.3:7860"]),
        ("http://localhost:8000", Recruit.PROLIFIC, ["this machine only", "people from Prolific", "port 8000", "--public-url https://"]),
        ("http://[::1]:7860", Recruit.LINK, ["this machine only"]),
        ("http://192.168.1.7:7860", Recruit.MTURK, ["your own network", "Mechanical Turk"]),
        ("http://taste.example.org", Recruit.LINK, ["unencrypted", "port 80"]),
    ],
)  # fmt: skip
def test_links_that_would_not_work_elsewhere_say_what_to_start(url, recruit, holds):
    said = reach(url, "10.1.2.3", recruit)
    assert all(words in said for words in holds), said


@pytest.mark.parametrize(
    ("url", "recruit"),
    [("http://192.168.1.7:7860", Recruit.LINK), ("https://taste.example.org", Recruit.PROLIFIC)],
)
def test_links_that_work_need_no_words(url, recruit):
    assert reach(url, None, recruit) == ""


def test_the_address_in_the_network_is_no_loopback():
    found = network_address()
    assert found is None or not found.startswith("127.")


def test_advice_stands_beside_the_links_and_never_among_them(home):
    ran = run(home, "campaign", "invite", "first")
    assert len(ran.out.splitlines()) == 1
    assert "No server is running" in ran.err
    assert "this machine only" in ran.err


def test_prolifics_placeholders_are_in_the_link_and_its_participants_get_in(home):
    run(home, "campaign", "set", "first", "recruit=prolific", "completion_code=C0DE42")
    with running(home) as web:
        made = web.writer.call(lambda db: inviting.invite_openly(db, web.home, "first", 5))
        assert made.link.endswith(
            "?PROLIFIC_PID={{%PROLIFIC_PID%}}&STUDY_ID={{%STUDY_ID%}}&SESSION_ID={{%SESSION_ID%}}"
        )
        filled = re.sub(
            r"\{\{%(\w+)%\}\}", lambda m: f"5f3e{m[1].lower().replace('_', '')}", path_of(made.link)
        )
        person = web.client()
        assert person.get(filled).status_code == 303
        assert person.get("/api/next").json()["ballots"]
        assert web.client().get(path_of(made.link).partition("?")[0]).status_code == 403
    (seat,) = run(home, "campaign", "links", "first", "--json").json["seats"]
    assert seat["worker"] == "5f3eprolificpid"
    assert run(home, "raters", "forget", seat["rater"]).code == 0
    (seat,) = run(home, "campaign", "links", "first", "--json").json["seats"]
    assert (seat["worker"], seat["status"], seat["withdrew"]) == (None, "closed", True)


def test_what_to_enter_at_the_platform():
    assert platform_steps(CampaignSettings()) == ()
    steps = " ".join(platform_steps(CampaignSettings(recruit=Recruit.PROLIFIC)))
    assert "no completion code yet" in steps
    assert "https://app.prolific.com/submissions/complete?cc=CODE" in steps
    ready = CampaignSettings(
        recruit=Recruit.PROLIFIC, completion_code="X", completion_url="https://app.prolific.com/x?cc=X"
    )
    assert len(platform_steps(ready)) == 1
    assert (
        "takes workerId, assignmentId and hitId along"
        in platform_steps(CampaignSettings(recruit=Recruit.MTURK))[0]
    )


# -- paper -----------------------------------------------------------------------------------------------------


def pixels(svg):
    """A QR code's SVG as an image: its one path is made of horizontal strokes, each one module high."""
    size = int(re.search(r'viewBox="0 0 (\d+) \1"', svg)[1])
    image, x, y = np.full((size, size), 255, np.uint8), 0.0, 0.0
    for move, a, b in re.findall(r"([Mmh])(-?[\d.]+)(?: ?(-?[\d.]+))?", re.search(r' d="([^"]+)"', svg)[1]):
        if move == "h":
            image[int(y), int(x) : int(x) + int(a)] = 0
            x += float(a)
        else:
            x, y = (float(a), float(b)) if move == "M" else (x + float(a), y + float(b))
    return np.kron(image, np.ones((6, 6), np.uint8))


def test_a_code_reads_as_its_link():
    """A second source: another library reads what is drawn."""
    for link in (URL, "http://192.168.0.12:7860/join/" + "x" * 32):
        (read,) = zxingcpp.read_barcodes(pixels(code_of(link)))
        assert read.text == link


def test_a_sheet_has_a_card_for_each_person_and_names_no_campaign(home, tmp_path):
    file = tmp_path / "cards.html"
    file.write_text("an older one, which anybody may read", "utf-8")
    ran = run(home, "campaign", "invite", "first", "--seats", 5, "--expires", 3, "--sheet", file)
    page, links = file.read_text("utf-8"), ran.out.splitlines()
    assert page.count("<article>") == page.count("<svg") == 5
    for i, link in enumerate(links, 1):
        assert link in page
        assert f"Seat {i}." in page
    assert "first" not in page.replace("First use until", "")
    assert "model-one" not in page
    assert "http" not in re.sub(r"http://127\.0\.0\.1:7860/join/", "", page), (
        "nothing is loaded from elsewhere"
    )
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_the_sheet_of_an_open_link_is_a_page_of_equal_cards():
    page = sheet([Link(URL, open_link=1, seats=30)])
    assert page.count("<article>") == page.count(URL) == 8
    assert "All cards carry the same link" in page


def test_a_sheet_that_cannot_be_is_one_line_and_the_links_are_not_lost(home, tmp_path):
    ran = run(home, "campaign", "invite", "first", "--sheet", tmp_path / "no" / "such.html")
    assert ran.code == 2
    assert "cannot write" in ran.err
    assert "/join/" in ran.out
    with pytest.raises(UserError, match="not for paper"):
        sheet([Link(URL + inviting.PROLIFIC, open_link=1)])


# -- forgetting ------------------------------------------------------------------------------------------------


def test_a_forgotten_rater_leaves_a_tombstone_and_no_figure(home, db):
    give_votes(db, votes=4)
    (rater,) = list_raters(db)
    ran = run(home, "raters", "forget", rater.name, "--reason", "asked by mail")
    assert ran.code == 0, ran.err
    assert f"withdrawn-{rater.id} stays" in ran.out
    assert [act.what for act in recent(db)] == [f"forgot a rater; withdrawn-{rater.id} stays: asked by mail"]
    assert [r.name for r in list_raters(db)] == [f"withdrawn-{rater.id}"]
    assert run(home, "report", "first", "--json").json["counts"]["counted"] == 0
    with pytest.raises(Conflict, match="has withdrawn"):
        inviting.reissue(db, home, "first", 1)
    assert statuses(db) == {1: SeatStatus.CLOSED}
    assert "there is no rater" in refused(run(home, "raters", "forget", rater.name))


def test_the_owners_own_seat_and_a_judge_are_not_forgotten(home, db):
    joining.owner_invitation(db)
    with pytest.raises(UserError, match="owner's own seat"):
        inviting.forget(db, list_raters(db)[0].name)
    db.conn.execute("INSERT INTO raters(name, kind) VALUES ('machine', 'judge')")
    with pytest.raises(UserError, match="machine judge"):
        inviting.forget(db, "machine")
    assert [r.excluded for r in list_raters(db)] == [None, None]
