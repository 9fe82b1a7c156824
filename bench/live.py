"""What one tick of the live view costs in a long session, beside reading the session's votes as one would write it first.

    python -m bench.live [--votes 100000] [--raters 200]

Naive: load every vote and every assignment of the campaign, and count in Python who came in the last two minutes, how
many votes came in each of the last sixty, and how the check questions went.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from sqlite_utils import Database

from db.campaigns import get_campaign
from db.connection import home_at, open_reader, open_writer, transaction
from db.entities.campaigns import Campaign, CampaignSettings
from labeling import joining, live
from labeling.joining import stamp
from tests.factories import NOW, make_home

EVERY = timedelta(seconds=1)


def fill(db: Database, raters: int, votes: int) -> None:
    """A session that has gone on for long: a vote a second, by all raters in turn, the newest at NOW."""
    with transaction(db):
        joining.invite(db, "first", raters)
        people = [int(r[0]) for r in db.conn.execute("SELECT rater FROM seats ORDER BY id")]
        battles = [int(r[0]) for r in db.conn.execute("SELECT id FROM battles ORDER BY id")]
        for n in range(votes):
            rater, battle, at = people[n % raters], battles[n // raters], stamp(NOW - (votes - n) * EVERY)
            token = f"assignment-{n:021d}"
            db.conn.execute(
                "INSERT INTO assignments(id, battle, rater, left_is, lent_at, expires_at) VALUES (?, ?, ?, 'a', ?, ?)",
                (token, battle, rater, at, at),
            )
            db.conn.execute(
                """INSERT INTO votes(receipt, assignment, campaign, battle, rater, outcome, key, created_at)
                VALUES (?, ?, 1, ?, ?, 'a', ?, ?)""",
                (token, token, battle, rater, token, at),
            )


def naive(db: Database, campaign: Campaign) -> tuple[int, list[int], int]:
    """Who is there, votes by minute, check questions answered: from every row."""
    votes = db.conn.execute(
        """SELECT v.created_at, v.rater, s.kind FROM votes v JOIN vote_states z ON z.vote = v.id
        LEFT JOIN assignments s ON s.id = v.assignment WHERE v.campaign = ? AND z.state <> 'retracted'""",
        (campaign.id,),
    ).fetchall()
    lent = db.conn.execute(
        "SELECT s.lent_at, s.rater FROM assignments s JOIN battles b ON b.id = s.battle WHERE b.campaign = ?",
        (campaign.id,),
    ).fetchall()
    recent = stamp(NOW - live.ONLINE)
    there = {r for at, r, _ in votes if at >= recent} | {r for at, r in lent if at >= recent}
    by_minute = [0] * 60
    for at, _, _ in votes:
        ago = int((NOW - live.moment(at)) / timedelta(minutes=1))
        if 0 <= ago < 60:
            by_minute[59 - ago] += 1
    return len(there), by_minute, sum(kind == "gold" for _, _, kind in votes)


def fastest(work: Callable[[], object], times: int = 5) -> float:
    """Seconds of the fastest of some runs."""
    found = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        found.append(time.perf_counter() - start)
    return min(found)


def main() -> None:
    """Print both."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--votes", type=int, default=100_000)
    asked.add_argument("--raters", type=int, default=200)
    wanted = asked.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = make_home(Path(folder) / "home", prompts=-(-wanted.votes // wanted.raters),
                         settings=CampaignSettings(overlap=wanted.raters))  # fmt: skip
        db = open_writer(home)
        fill(db, wanted.raters, wanted.votes)
        db.conn.close()
        reader = open_reader(home_at(home.root))
        campaign = get_campaign(reader, "first")
        now, (there, by_minute, gold) = live.pulse(reader, campaign, NOW), naive(reader, campaign)
        assert (now.online, list(now.last_hour), now.gold.answered) == (there, by_minute, gold)
        ours, theirs = (
            fastest(lambda: live.pulse(reader, campaign, NOW)),
            fastest(lambda: naive(reader, campaign), 3),
        )
        look = fastest(lambda: live.look(reader, campaign), 1)
        print(f"{wanted.votes:,} votes by {wanted.raters} raters")
        print(f"a tick of the live view  {1000 * ours:8.1f} ms")
        print(f"reading every row        {1000 * theirs:8.1f} ms, {theirs / ours:.0f} times as long")
        print(
            f"a look at every vote     {1000 * look:8.1f} ms; none follows within 15 s, nor within 30 times as long"
        )


if __name__ == "__main__":
    main()
