"""Notices: what the owners should hear of, each raised once, and how far its way to the webhook is."""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from sqlite_utils import Database

from db.catalog import get_setting, set_setting
from db.connection import transaction
from db.migrations import NOW


class NoticeKind(StrEnum):
    """What the owners are told of."""

    TARGET_MET = "target_met"
    JOB_ENDED = "job_ended"
    ALARM = "alarm"


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing that happened; `subject` names it, so that it is raised once. Times are UTC ISO text."""

    id: int
    subject: str
    kind: NoticeKind
    campaign: str | None
    text: str
    at: str
    seen_at: str | None
    sent_at: str | None
    tries: int
    tried_at: str | None
    problem: str | None
    """why the last try to send it failed"""


class Found(NamedTuple):
    """Something to raise."""

    subject: str
    kind: NoticeKind
    campaign: int | None
    text: str


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where notices are sent: an address, the secret that signs them, and since when."""

    url: str
    secret: str
    own_network: bool
    since: str


_NOTICE = """SELECT n.id, n.subject, n.kind, c.name, n.text, n.at, n.seen_at, n.sent_at, n.tries, n.tried_at, n.problem
  FROM notices n LEFT JOIN campaigns c ON c.id = n.campaign"""


def _notice(r: tuple[int, str, str, str | None, str, str, str | None, str | None, int, str | None, str | None]) -> Notice:  # fmt: skip
    return Notice(r[0], r[1], NoticeKind(r[2]), *r[3:])


def raise_notice(db: Database, found: Found) -> bool:
    """Raise a notice; False where its subject was raised before."""
    with transaction(db):
        cursor = db.conn.execute(
            """INSERT INTO notices(subject, kind, campaign, text) VALUES (?, ?, ?, ?)
            ON CONFLICT (subject) DO NOTHING""",
            found,
        )
        return int(cursor.rowcount) == 1


def list_notices(db: Database, limit: int = 100, *, unseen: bool = False) -> list[Notice]:
    """The newest notices first; only those nobody has marked as read, if asked."""
    only = "WHERE n.seen_at IS NULL" if unseen else ""
    return [_notice(r) for r in db.conn.execute(f"{_NOTICE} {only} ORDER BY n.id DESC LIMIT ?", (limit,))]


def count_unseen(db: Database) -> int:
    """How many notices nobody has marked as read."""
    return int(db.conn.execute("SELECT count(*) FROM notices WHERE seen_at IS NULL").fetchone()[0])


def mark_seen(db: Database) -> int:
    """Mark every notice as read; how many were not yet."""
    with transaction(db):
        return int(db.conn.execute(f"UPDATE notices SET seen_at = {NOW} WHERE seen_at IS NULL").rowcount)


def unsent(db: Database, since: str, most_tries: int) -> list[Notice]:
    """The notices raised since then that no receiver has taken and that were not given up, oldest first."""
    rows = db.conn.execute(
        f"{_NOTICE} WHERE n.sent_at IS NULL AND n.at >= ? AND n.tries < ? ORDER BY n.id", (since, most_tries)
    )
    return [_notice(r) for r in rows]


def mark_tried(db: Database, notice: int, at: str, problem: str | None) -> None:
    """One more try to send a notice: taken by the receiver where there was no problem."""
    with transaction(db):
        db.conn.execute(
            """UPDATE notices SET tries = tries + 1, tried_at = ?2, problem = ?3,
            sent_at = CASE WHEN ?3 IS NULL THEN ?2 END WHERE id = ?1""",
            (notice, at, problem),
        )


def targets_met(db: Database) -> list[Found]:
    """The open and paused campaigns that have the votes they want, and no notice of it yet.

    A campaign whose overlap or target is raised afterwards has a new one to meet.
    """
    rows = db.conn.execute(
        """SELECT * FROM (SELECT 'target:' || c.id || ':' || coalesce('votes=' || c.target, 'overlap=' || c.overlap) AS subject,
          c.id, c.name, z.votes AS votes, coalesce(c.target, (z.battles - z.held) * c.overlap) AS wanted
          FROM campaigns c JOIN campaign_sizes z ON z.campaign = c.id WHERE c.status IN ('open', 'paused'))
        WHERE wanted > 0 AND votes >= wanted AND subject NOT IN (SELECT subject FROM notices)"""
    )
    return [
        Found(
            subject,
            NoticeKind.TARGET_MET,
            campaign,
            f"{name} has all the votes it wants: {votes:,} of {wanted:,}.",
        )
        for subject, campaign, name, votes, wanted in rows
    ]


class Ended(NamedTuple):
    """A job that is over and of which no notice says so."""

    job: int
    status: str
    command: str
    """as the JSON list it is stored as"""
    message: str


def jobs_ended(db: Database, since: str) -> list[Ended]:
    """The jobs that ended since then without a notice, oldest first."""
    rows = db.conn.execute(
        """SELECT j.id, j.status, j.command, j.message FROM jobs j WHERE j.finished_at >= ?
        AND NOT EXISTS (SELECT 1 FROM notices n WHERE n.subject = 'job:' || j.id) ORDER BY j.id""",
        (since,),
    )
    return [Ended(*r) for r in rows]


def get_webhook(db: Database) -> Webhook | None:
    """Where notices are sent; None where nowhere."""
    url, secret = get_setting(db, "webhook_url"), get_setting(db, "webhook_secret")
    if not url or not secret:
        return None
    return Webhook(
        url, secret, get_setting(db, "webhook_own_network") == "1", get_setting(db, "webhook_since") or ""
    )


def set_webhook(db: Database, webhook: Webhook | None) -> None:
    """Send notices there from now on; None: nowhere."""
    with transaction(db):
        set_setting(db, "webhook_url", webhook.url if webhook else "")
        set_setting(db, "webhook_secret", webhook.secret if webhook else "")
        set_setting(db, "webhook_own_network", "1" if webhook and webhook.own_network else "")
        set_setting(db, "webhook_since", webhook.since if webhook else "")
