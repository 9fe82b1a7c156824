"""Notices: each raised once, and sent, signed, to a real receiver; private addresses are not called unasked."""

import base64
import hashlib
import hmac
import json
import shutil
import ssl
import subprocess
import threading
import time
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from arena import notices
from arena.raters import counted_alarms
from db import notices as kept
from db import runs
from db.campaigns import get_campaign, set_status
from db.connection import open_reader, open_writer
from db.entities.campaigns import CampaignSettings, CampaignStatus
from db.entities.runs import JobStatus
from db.errors import UserError
from db.notices import NoticeKind
from db.raters import decide_rater
from tests.factories import NOW, make_home
from tests.hookstand import receiving
from tests.serving import awaited, running
from tests.workshop import give_votes, run

TARGET = CampaignSettings(target=4)


@pytest.fixture
def db(tmp_path):
    """A campaign that wants four votes; what happened before now is old news."""
    home = make_home(tmp_path / "home", prompts=8, settings=TARGET)
    opened = open_writer(home)
    notices.begin(opened, NOW)
    yield opened
    opened.conn.close()


def look(db):
    """One round: the texts of what it raised."""
    before = len(kept.list_notices(db))
    notices.keep(db, notices.look(db))
    return [n.text for n in kept.list_notices(db)[: len(kept.list_notices(db)) - before]]


def ended(db, status=JobStatus.SUCCEEDED, message="", command=("export", "out")):
    job = runs.add_job(db, command)
    runs.start_job(db, job.id, 1, 0.0)
    runs.end_job(db, job.id, status, 0, message)
    return job.id


# -- raising ---------------------------------------------------------------------------------------------------


def test_a_met_target_is_told_once_and_a_raised_one_anew(db):
    give_votes(db, votes=3)
    assert look(db) == []
    give_votes(db, votes=1)
    assert look(db) == ["first has all the votes it wants: 4 of 4."]
    assert look(db) == []
    db.conn.execute("UPDATE campaigns SET target = 6 WHERE name = 'first'")
    assert look(db) == []
    give_votes(db, votes=2)
    assert look(db) == ["first has all the votes it wants: 6 of 6."]


def test_a_closed_campaign_and_one_short_of_votes_are_not_told_of(db):
    give_votes(db, votes=4)
    set_status(db, "first", CampaignStatus.CLOSED)
    assert look(db) == []
    set_status(db, "first", CampaignStatus.PAUSED)
    assert len(look(db)) == 1


@pytest.mark.parametrize(
    ("status", "words"),
    [(JobStatus.SUCCEEDED, "Job 1 succeeded: python launch.py export out"),
     (JobStatus.FAILED, "Job 1 failed: python launch.py export out (the disk is full)"),
     (JobStatus.CANCELLED, "Job 1 cancelled: python launch.py export out (the disk is full)")],
)  # fmt: skip
def test_a_job_that_ends_is_told_of_once(db, status, words):
    ended(db, status, "the disk is full")
    assert look(db) == [words]
    assert look(db) == []


def test_jobs_that_ended_before_the_first_look_and_those_that_run_are_not_told_of(tmp_path):
    db = open_writer(make_home(tmp_path / "home"))
    ended(db)
    assert look(db) == [], "nobody has begun to look"
    notices.begin(db, datetime.now(UTC) + timedelta(seconds=1))
    assert look(db) == []
    runs.start_job(db, runs.add_job(db, ["train"]).id, 1, 0.0)
    assert look(db) == []
    notices.begin(db, NOW)
    assert look(db) == [], "a later start does not begin anew"
    db.conn.close()


def test_a_long_command_is_cut(db):
    ended(db, command=["train", "dpo", *("--campaign words" for _ in range(50))])
    (text,) = look(db)
    assert len(text) < 200


def test_an_alarm_is_told_once_while_it_stays_and_again_when_it_rises_anew(tmp_path):
    home = make_home(tmp_path / "home", prompts=120)
    db = open_writer(home)
    give_votes(db, votes=60)
    assert notices.look_for_alarms(db, NOW).found == []
    give_votes(db, votes=50)
    decide_rater(db, "rater-2", counted=False, reason="test")
    assert [a.campaign for a in counted_alarms(db)] == ["first"]
    first = notices.look_for_alarms(db, NOW)
    assert [(f.kind, f.campaign) for f in first.found] == [(NoticeKind.ALARM, get_campaign(db, "first").id)]
    assert first.found[0].text.startswith("first: Only 0 % of the last 50 votes count")
    notices.keep_alarms(db, first)
    for minutes in (1, 5, 14):  # looked at within ten minutes of the last time
        again = notices.look_for_alarms(db, NOW + timedelta(minutes=minutes))
        assert again.found == [], minutes
        notices.keep_alarms(db, again)
    decide_rater(db, "rater-2", counted=True, reason="test")
    calm = notices.look_for_alarms(db, NOW + timedelta(minutes=30))
    assert calm == ([], {})
    notices.keep_alarms(db, calm)
    decide_rater(db, "rater-2", counted=False, reason="test")
    assert len(notices.look_for_alarms(db, NOW + timedelta(minutes=40)).found) == 1
    db.conn.close()


def test_notices_are_marked_as_read(db):
    ended(db)
    ended(db)
    look(db)
    assert kept.count_unseen(db) == 2
    assert kept.mark_seen(db) == 2
    assert (kept.count_unseen(db), kept.list_notices(db, unseen=True)) == (0, [])
    assert len(kept.list_notices(db)) == 2


# -- the webhook: what is sent ---------------------------------------------------------------------------------


def hook_to(db, url, **options):
    notices.set_webhook(db, url, NOW, **{"own_network": True, **options})
    return kept.get_webhook(db)


def test_a_notice_arrives_signed_as_standard_webhooks_say(db):
    ended(db, JobStatus.FAILED, "no <more> disk é")
    look(db)
    with receiving() as receiver:
        hook = hook_to(db, f"{receiver.address}/in?x=1")
        (notice,) = notices.due(db, hook, NOW)
        when = datetime.now(UTC)
        assert awaited(notices.deliver(hook, *notices.message_of(notice), when)) is None
        (got,) = receiver.requests
    assert got.path == "/in?x=1"
    assert got.headers["content-type"] == "application/json"
    assert got.headers["host"] == receiver.address.removeprefix("http://")
    body = json.loads(got.body)
    assert body == {
        "type": "job_ended", "timestamp": notice.at,
        "data": {"id": notice.id, "subject": "job:1", "campaign": None, "text": notice.text},
    }  # fmt: skip
    assert abs(int(got.headers["webhook-timestamp"]) - when.timestamp()) <= 1
    # computed anew from the text of the standard, without the library that signs
    key = base64.b64decode(hook.secret.removeprefix("whsec_"))
    signed = f"{got.headers['webhook-id']}.{got.headers['webhook-timestamp']}.".encode() + got.body
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert got.headers["webhook-signature"] == f"v1,{expected}"
    assert len(key) == 24


def test_each_try_has_the_same_id_and_a_new_time(db):
    ended(db)
    look(db)
    (notice,) = kept.list_notices(db)
    assert notices.message_of(notice) == notices.message_of(notice)
    ended(db)
    look(db)
    ids = {notices.message_of(n)[0] for n in kept.list_notices(db)}
    assert len(ids) == 2


@pytest.mark.parametrize("status", [301, 302, 307, 308, 400, 404, 410, 429, 500, 503])
def test_anything_but_a_2xx_is_not_delivered_and_redirects_are_not_followed(db, status):
    with receiving() as receiver:
        receiver.planned = [status]
        hook = hook_to(db, receiver.address)
        assert awaited(notices.deliver(hook, "msg_1", "{}", NOW)) == f"the receiver answered {status}"
        assert [r.path for r in receiver.requests] == ["/"]


def test_a_receiver_that_is_not_there_is_said(db):
    with receiving() as receiver:
        gone = receiver.address
    assert "cannot be reached" in awaited(notices.deliver(hook_to(db, gone), "msg_1", "{}", NOW))
    nowhere = hook_to(db, "http://no-such-host.invalid/")
    assert "is not found" in awaited(notices.deliver(nowhere, "msg_1", "{}", NOW))


# -- the webhook: where to -------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", [
    "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1", "::1", "fc00::1", "fd12::1",
    "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:a00:1::", "192.0.2.1",
])  # fmt: skip
def test_private_addresses_are_called_only_where_the_owner_says_so(address):
    assert not notices.may_call(address, own_network=False)
    assert notices.may_call(address, own_network=True)


@pytest.mark.parametrize(
    "address", ["169.254.169.254", "fe80::1", "fe80::1%eth0", "224.0.0.1", "ff02::1", "0.0.0.0", "::", "255.255.255.255",
                "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe"]
)  # fmt: skip
def test_link_local_and_broadcast_addresses_are_never_called(address):
    assert not notices.may_call(address, own_network=True)


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1::1", "64:ff9b::5db8:d822"])
def test_public_addresses_are_called(address):
    assert notices.may_call(address, own_network=False)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "[::1]", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]"]
)
def test_no_spelling_of_this_machine_is_called_unasked(db, host):
    with receiving() as receiver:
        port = receiver.address.rpartition(":")[2]
        try:
            hook = hook_to(db, f"http://{host}:{port}/", own_network=False)
        except UserError:
            return
        assert "private network" in awaited(notices.deliver(hook, "msg_1", "{}", NOW))
        assert receiver.requests == []


def certified(folder, name):
    """A TLS context for a server of this name, and the file that vouches for it."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl to make a certificate with")
    key, cert = folder / f"{name}.key", folder / f"{name}.pem"
    words = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", str(key), "-out", str(cert),
             "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}"]  # fmt: skip
    subprocess.run([openssl, *words], check=True, capture_output=True)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(cert, key)
    return tls, cert


@pytest.mark.parametrize(("name", "arrives"), [("localhost", True), ("other.test", False)])
def test_over_https_the_certificate_must_be_the_hosts_though_its_address_is_called(
    db, tmp_path, monkeypatch, name, arrives
):
    tls, cert = certified(tmp_path, name)
    monkeypatch.setenv("SSL_CERT_FILE", str(cert))
    with receiving(tls) as receiver:
        problem = awaited(notices.deliver(hook_to(db, receiver.address), "msg_1", "{}", NOW))
        assert (problem is None, len(receiver.requests)) == (arrives, int(arrives)), problem


@pytest.mark.parametrize("url", [
    "", "ftp://example.org", "file:///etc/passwd", "example.org/hook", "http://", "https://name:word@example.org/",
    "javascript:alert(1)", "http://[::1", "http://x" + "y" * 2000,
])  # fmt: skip
def test_what_is_no_web_address_is_refused(url):
    with pytest.raises(UserError):
        notices.checked_address(url)


# -- trying again ----------------------------------------------------------------------------------------------


def test_a_notice_is_tried_five_times_with_longer_and_longer_waits(db):
    hook = hook_to(db, "http://192.168.0.1/")
    ended(db)
    look(db)
    start = datetime.now(UTC)
    moment, tried = start, []
    for seconds in range(3 * 3600):
        moment = start + timedelta(seconds=seconds)
        for notice in notices.due(db, hook, moment):
            tried.append(seconds)
            kept.mark_tried(db, notice.id, notices.stamp(moment), "the receiver answered 500")
    assert tried == [0, 5, 65, 665, 4265]
    (notice,) = kept.list_notices(db)
    assert (notice.tries, notice.sent_at, notice.problem) == (5, None, "the receiver answered 500")


def test_what_was_raised_before_the_webhook_was_set_or_was_delivered_is_not_sent(db):
    ended(db)
    look(db)
    notices.set_webhook(db, "http://192.168.0.1/", datetime.now(UTC) + timedelta(seconds=1), own_network=True)
    assert notices.due(db, kept.get_webhook(db), datetime.now(UTC)) == []
    hook = hook_to(db, "http://192.168.0.1/")
    (notice,) = notices.due(db, hook, datetime.now(UTC))
    kept.mark_tried(db, notice.id, notices.stamp(NOW), None)
    assert notices.due(db, hook, datetime.now(UTC) + timedelta(days=1)) == []


def test_a_new_address_has_a_new_secret(db):
    first = hook_to(db, "https://example.org/a").secret
    assert first != hook_to(db, "https://example.org/a").secret
    kept.set_webhook(db, None)
    assert kept.get_webhook(db) is None
    assert first not in "\n".join(db.conn.iterdump())


# -- the server does it by itself ------------------------------------------------------------------------------


def wait_until(it, seconds=30):
    end = time.monotonic() + seconds
    while not it():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)


def test_a_running_server_raises_sends_and_tries_again_while_others_go_on(tmp_path):
    home = make_home(tmp_path / "home", prompts=8, settings=TARGET)
    with receiving() as receiver, running(home) as web:
        receiver.planned = [500]
        run(home, "notices", "webhook", f"{receiver.address}/hook", "--own-network")
        web.writer.call(lambda db: give_votes(db, votes=4))
        wait_until(lambda: len(receiver.requests) == 2)
        wait_until(lambda: kept.list_notices(open_reader(home))[0].sent_at is not None)
        (notice,) = kept.list_notices(open_reader(home))
        assert (notice.kind, notice.campaign, notice.tries) == (NoticeKind.TARGET_MET, "first", 2)
        ids = {r.headers["webhook-id"] for r in receiver.requests}
        assert len(ids) == 1
        assert (
            receiver.requests[0].headers["webhook-timestamp"]
            <= receiver.requests[1].headers["webhook-timestamp"]
        )


def test_a_receiver_that_hangs_holds_up_nobody_and_not_the_end(tmp_path):
    home = make_home(tmp_path / "home", prompts=8, settings=TARGET)
    with receiving() as receiver:
        receiver.holding = threading.Event()
        with running(home) as web:
            run(home, "notices", "webhook", receiver.address, "--own-network")
            web.writer.call(lambda db: give_votes(db, votes=4))
            wait_until(lambda: len(receiver.requests) == 1)
            ended(open_writer(home))
            wait_until(lambda: kept.count_unseen(open_reader(home)) == 2)  # looked at meanwhile
            rater = web.rater()
            assert rater.get("/api/next").status_code == 200
            assert httpx.get(f"{web.base}/healthz", trust_env=False).status_code == 200
        receiver.holding.set()
    assert all(n.sent_at is None for n in kept.list_notices(open_reader(home)))


# -- the command line ------------------------------------------------------------------------------------------


def test_the_verbs_set_test_list_and_stop(tmp_path):
    home = make_home(tmp_path / "home")
    assert "no webhook is set" in run(home, "notices", "test").err
    with receiving() as receiver:
        unasked = run(home, "notices", "webhook", f"{receiver.address}/secret-path")
        assert (unasked.code, unasked.out[:6]) == (0, "whsec_")
        refused = run(home, "notices", "test")
        assert refused.code == 2
        assert "--own-network" in refused.err
        asked = run(home, "notices", "webhook", f"{receiver.address}/secret-path", "--own-network")
        assert run(home, "notices", "test").out == "delivered\n"
        (got,) = receiver.requests
        assert json.loads(got.body)["type"] == "test"
    db = open_writer(home)
    ended(db)
    notices.begin(db, NOW)
    look(db)
    (row,) = run(home, "notices", "list", "--json").json
    assert (row["kind"], row["subject"], row["sent_at"]) == ("job_ended", "job:1", None)
    said = " ".join(what for (what,) in db.conn.execute("SELECT what FROM audit"))
    assert "ran: python launch.py notices webhook" in said
    assert "secret-path" not in said
    assert asked.out.strip() not in said
    assert run(home, "notices", "webhook", "--off").code == 0
    assert kept.get_webhook(db) is None
    assert run(home, "notices", "webhook").code == 2
    db.conn.close()
