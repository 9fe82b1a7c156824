"""What a scraper of figures asks of the home: a few kept counts, the same work however many votes there are."""

from typing import NamedTuple

from sqlite_utils import Database

from db.counting import tallies
from db.entities.runs import JobStatus


class Measured(NamedTuple):
    """The home in numbers."""

    stored: int
    """votes ever stored, retracted ones and those of unfinished imports too"""
    counted: int
    """standing votes of people, simulated people and judges that count in figures; skips left out"""
    retracted: int
    jobs: dict[JobStatus, int]
    """by status, each of them named"""
    open_campaigns: int


def measured(db: Database) -> Measured:
    """The numbers now. Votes are never deleted, so the number of the newest one is how many were stored."""
    stored, retracted, open_campaigns = db.conn.execute(
        """SELECT (SELECT coalesce(max(id), 0) FROM votes), (SELECT count(*) FROM retractions),
          (SELECT count(*) FROM campaigns WHERE status = 'open')"""
    ).fetchone()
    jobs = dict(db.conn.execute("SELECT status, count(*) FROM jobs GROUP BY status"))
    counted = sum(t.votes for t in tallies(db))
    return Measured(stored, counted, retracted, {s: int(jobs.get(s, 0)) for s in JobStatus}, open_campaigns)
