"""What a session that is on looks like from outside: who came when, who voted, how the check questions went.

Everything is read from the newest row backwards or from kept counts, so that looking costs the same in a long session.
"""

import heapq
from collections.abc import Iterator
from operator import itemgetter
from typing import NamedTuple

from sqlite_utils import Database

from db.checks import GoldScore
from db.entities.votes import RaterKind


class Cast(NamedTuple):
    """A vote that was cast here."""

    at: str
    rater: int
    covers: bool
    """whether it stands and brings its battle nearer to its overlap: no skip, no check question"""


# who was never lent a ballot has cast nothing here, however many votes of theirs were imported
_ACTIVE = """SELECT t.id FROM raters t WHERE EXISTS (SELECT 1 FROM assignments s WHERE s.rater = t.id)
  AND (SELECT v.created_at FROM votes v WHERE v.rater = t.id AND v.campaign = ?1 AND v.import IS NULL
       ORDER BY v.id DESC LIMIT 1) >= ?2"""
_CAST_BY = """SELECT v.id, v.created_at, s.kind = 'battle' AND v.outcome <> 'skip'
  AND NOT EXISTS (SELECT 1 FROM retractions r WHERE r.vote = v.id)
  FROM votes v CROSS JOIN assignments s ON s.id = v.assignment WHERE v.rater = ? AND v.campaign = ? ORDER BY v.id DESC"""


def votes_since(db: Database, campaign: int, since: str) -> Iterator[Cast]:
    """The votes cast in a campaign from a time on (UTC ISO text), the newest first; imported ones left out."""
    active = [int(r[0]) for r in db.conn.execute(_ACTIVE, (campaign, since))]
    each = [_cast_by(db, rater, campaign, since) for rater in active]
    return (cast for _, cast in heapq.merge(*each, key=itemgetter(0), reverse=True))


def _cast_by(db: Database, rater: int, campaign: int, since: str) -> Iterator[tuple[int, Cast]]:
    rows = db.conn.execute(_CAST_BY, (rater, campaign))
    try:
        for vote, at, covers in rows:
            if at < since:
                break
            yield vote, Cast(at, rater, bool(covers))
    finally:
        rows.close()


def asked_since(db: Database, campaign: int, since: str) -> set[int]:
    """The raters who were lent a battle of a campaign from a time on (UTC ISO text)."""
    rows = db.conn.execute(
        """SELECT s.lent_at, s.rater, b.campaign FROM assignments s CROSS JOIN battles b ON b.id = s.battle
        ORDER BY s.number DESC"""
    )
    found = set()
    for at, rater, where in rows:
        if at < since:
            break
        if where == campaign:
            found.add(int(rater))
    rows.close()
    return found


class Present(NamedTuple):
    """Somebody who has voted in a campaign, or holds a seat of it."""

    rater: int
    name: str
    kind: RaterKind
    votes: int
    """standing votes, check questions included"""
    last_vote: str | None
    last_asked: str | None
    """when a ballot was lent that is still to be answered"""
    excluded: str | None


def present(db: Database, campaign: int) -> list[Present]:
    """Who takes part in a campaign here, in order of arrival; judges and raters known from imports only left out."""
    rows = db.conn.execute(
        """WITH here AS (
          SELECT rater FROM vote_counts WHERE campaign = ?1 UNION SELECT rater FROM check_counts WHERE campaign = ?1
          UNION SELECT rater FROM seats WHERE campaign = ?1 AND session IS NOT NULL)
        SELECT t.id, t.name, t.kind,
          (SELECT coalesce(sum(n), 0) FROM vote_counts WHERE campaign = ?1 AND rater = t.id AND outcome <> 'skip')
          + (SELECT coalesce(sum(n), 0) FROM check_counts WHERE campaign = ?1 AND rater = t.id),
          (SELECT created_at FROM votes WHERE rater = t.id AND campaign = ?1 AND import IS NULL ORDER BY id DESC LIMIT 1),
          (SELECT max(s.lent_at) FROM open_leases o JOIN assignments s ON s.id = o.assignment
           JOIN battles b ON b.id = o.battle WHERE o.rater = t.id AND b.campaign = ?1), x.reason
        FROM here JOIN raters t ON t.id = here.rater LEFT JOIN excluded_raters x ON x.rater = t.id
        WHERE t.kind <> 'judge' AND EXISTS (SELECT 1 FROM seats WHERE rater = t.id) ORDER BY t.id""",
        (campaign,),
    )
    return [Present(r[0], r[1], RaterKind(r[2]), r[3], r[4], r[5], r[6]) for r in rows]


def gold_of_session(db: Database, campaign: int) -> GoldScore:
    """How everybody did on the check questions of a campaign, practice and withdrawn or excluded raters left out."""
    row = db.conn.execute(
        """SELECT coalesce(sum(v.outcome = g.better), 0), count(*)
        FROM battles b JOIN gold_pairs g ON g.battle = b.id JOIN votes v ON v.battle = b.id
        JOIN vote_states z ON z.vote = v.id AND z.state = 'known answer' WHERE b.campaign = ?""",
        (campaign,),
    ).fetchone()
    return GoldScore(int(row[0]), int(row[1]))


def newest_vote(db: Database, campaign: int) -> int:
    """The number of a campaign's newest vote; 0 where it has none."""
    row = db.conn.execute("SELECT coalesce(max(id), 0) FROM votes WHERE campaign = ?", (campaign,)).fetchone()
    return int(row[0])


def seconds_a_vote(db: Database, campaign: int | None = None, most: int = 2000) -> list[float]:
    """How long people (nobody simulated) took for their newest votes, of one campaign or of the home."""
    rows = db.conn.execute(
        """SELECT v.elapsed_ms FROM votes v JOIN raters t ON t.id = v.rater AND t.kind = 'person'
        WHERE v.elapsed_ms IS NOT NULL AND v.outcome <> 'skip' AND (?1 IS NULL OR v.campaign = ?1)
        ORDER BY v.id DESC LIMIT ?2""",
        (campaign, most),
    )
    return [float(r[0]) / 1000 for r in rows]


def words_a_battle(db: Database, campaign: int, most: int = 200) -> list[int]:
    """How many words there are to read in up to `most` battles of a campaign: the whole prompt and both responses."""
    rows = db.conn.execute(
        """SELECT (SELECT group_concat(json_extract(value, '$.content'), ' ') FROM json_each(p.messages)), a.text, b.text
        FROM (SELECT battle FROM battle_cover WHERE campaign = ?1 AND held = 0 ORDER BY lot LIMIT ?2) c
        JOIN battles w ON w.id = c.battle JOIN prompts p ON p.id = w.prompt
        JOIN responses a ON a.id = w.response_a JOIN responses b ON b.id = w.response_b""",
        (campaign, most),
    )
    return [sum(len((text or "").split()) for text in row) for row in rows]
