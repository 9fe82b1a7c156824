"""How many votes: shown, stored, counted, and why the rest is not; by campaign, by kind of rater, by rater."""

from typing import NamedTuple

from sqlite_utils import Database

from db.entities.votes import RaterKind


class Counts(NamedTuple):
    """What happened to ballots and votes of a campaign. stored = counted + retracted + sum of excluded."""

    shown: int
    stored: int
    counted: int
    retracted: int
    excluded: dict[str, int]


def counts(db: Database, campaign: int | None = None) -> Counts:
    """Shown, stored, counted, retracted and excluded (by reason), of one campaign or of the home.

    From the counts kept up (docs/schema.md), which `check` holds against the votes: as quick with a million votes. What
    they do not tell apart is counted one by one: there are few votes taken back, and few on battles that give a model away.
    """
    states = dict(db.conn.execute(_STATES, (campaign,)).fetchall())
    shown = db.conn.execute(
        "SELECT count(*) FROM assignments"
        if campaign is None
        else "SELECT count(*) FROM assignments s JOIN battles b ON b.id = s.battle WHERE b.campaign = ?",
        () if campaign is None else (campaign,),
    ).fetchone()[0]
    counted, retracted = states.pop("counted", 0), states.pop("retracted", 0)
    return Counts(int(shown), counted + retracted + sum(states.values()), counted, retracted, states)


# CROSS JOIN keeps the order: what is rare first, then its votes, instead of every vote
_STATES = """WITH stands AS (
  SELECT campaign, rater, CASE outcome WHEN 'skip' THEN 'skipped' ELSE 'counted' END AS state, n FROM vote_counts
  UNION ALL SELECT campaign, rater, 'skipped', skipped FROM check_counts
  UNION ALL SELECT campaign, rater, CASE kind WHEN 'gold' THEN 'known answer' ELSE kind END, n - skipped FROM check_counts
  UNION ALL SELECT v.campaign, v.rater, m.value, CASE m.value WHEN 'counted' THEN -1 ELSE 1 END
  FROM battle_cover c JOIN campaigns k ON k.id = c.campaign AND k.count_leaked = 0
  CROSS JOIN votes v ON v.battle = c.battle AND v.import IS NULL AND v.outcome <> 'skip'
  CROSS JOIN assignments s ON s.id = v.assignment AND s.kind = 'battle' CROSS JOIN json_each('["counted", "identity leak"]') m
  WHERE c.leaked = 1 AND NOT EXISTS (SELECT 1 FROM retractions r WHERE r.vote = v.id))
SELECT state, sum(n) FROM (
  SELECT CASE WHEN w.rater IS NOT NULL THEN 'withdrawn' WHEN x.rater IS NOT NULL THEN 'rater excluded' ELSE n.state END AS state,
    n.n FROM stands n LEFT JOIN withdrawals w ON w.rater = n.rater LEFT JOIN excluded_raters x ON x.rater = n.rater
  WHERE ?1 IS NULL OR n.campaign = ?1
  UNION ALL SELECT 'retracted', 1 FROM retractions r CROSS JOIN votes v ON v.id = r.vote WHERE ?1 IS NULL OR v.campaign = ?1
  UNION ALL SELECT 'import unfinished', 1 FROM imports i CROSS JOIN votes v ON v.import = i.id WHERE i.finished_at IS NULL
  AND (?1 IS NULL OR v.campaign = ?1) AND NOT EXISTS (SELECT 1 FROM retractions r WHERE r.vote = v.id)
) GROUP BY state HAVING sum(n) > 0"""


class Tally(NamedTuple):
    """Standing votes of one kind of rater in one campaign; skips and excluded raters left out."""

    campaign: int
    kind: RaterKind
    votes: int
    decisive: int


def tallies(db: Database) -> list[Tally]:
    """How many votes each campaign has from people, simulated raters and judges, from the counts kept up.

    Votes on battles that give a model away are taken off one by one: there are few.
    """
    rows = db.conn.execute(
        """SELECT n.campaign, t.kind, sum(n.n), sum(n.n * (n.outcome IN ('a', 'b')))
        FROM (
          SELECT campaign, rater, outcome, n FROM vote_counts
          UNION ALL SELECT v.campaign, v.rater, v.outcome, -1 FROM battle_cover c
          JOIN campaigns k ON k.id = c.campaign AND k.count_leaked = 0
          CROSS JOIN votes v ON v.battle = c.battle AND v.import IS NULL
          CROSS JOIN assignments s ON s.id = v.assignment AND s.kind = 'battle'
          WHERE c.leaked = 1 AND NOT EXISTS (SELECT 1 FROM retractions r WHERE r.vote = v.id)
        ) n JOIN raters t ON t.id = n.rater LEFT JOIN excluded_raters x ON x.rater = n.rater
        WHERE n.outcome <> 'skip' AND x.rater IS NULL GROUP BY 1, 2 HAVING sum(n.n) > 0"""
    )
    return [Tally(int(r[0]), RaterKind(r[1]), int(r[2]), int(r[3])) for r in rows]


def trained_votes(db: Database) -> dict[tuple[int, RaterKind], int]:
    """{(campaign, kind of rater): standing votes up to the last one that a succeeded run learned from}."""
    rows = db.conn.execute(
        """WITH last AS (
          SELECT v.campaign, max(v.id) AS vote FROM snapshot_rows s JOIN json_each(s.votes) j
          JOIN votes v ON v.id = j.value
          WHERE s.snapshot IN (SELECT snapshot FROM runs WHERE status = 'succeeded') GROUP BY v.campaign)
        SELECT v.campaign, t.kind, count(*) FROM last JOIN votes v ON v.campaign = last.campaign AND v.id <= last.vote
        JOIN vote_states z ON z.vote = v.id JOIN raters t ON t.id = v.rater
        WHERE z.state = 'counted' GROUP BY 1, 2"""
    )
    return {(int(r[0]), RaterKind(r[1])): int(r[2]) for r in rows}


def rater_progress(db: Database, rater: int, campaign: int) -> int:
    """How many standing votes (skips and check questions too, practice not) the rater has in a campaign."""
    row = db.conn.execute(
        """SELECT (SELECT coalesce(sum(n), 0) FROM vote_counts INDEXED BY vote_counts_by_rater
            WHERE rater = ?1 AND campaign = ?2)
          + (SELECT coalesce(sum(n), 0) FROM check_counts WHERE rater = ?1 AND campaign = ?2 AND kind <> 'practice')""",
        (rater, campaign),
    ).fetchone()
    return int(row[0])


class Standing(NamedTuple):
    """A rater's standing votes in a campaign, check questions included, practice not."""

    all: int
    skipped: int


def standing_of_rater(db: Database, rater: int, campaign: int) -> Standing:
    """How many votes of a rater stand in a campaign, counted from the votes themselves."""
    row = db.conn.execute(
        """SELECT count(*), coalesce(sum(v.outcome = 'skip'), 0) FROM votes v LEFT JOIN assignments s ON s.id = v.assignment
        WHERE v.rater = ? AND v.campaign = ? AND coalesce(s.kind, 'battle') <> 'practice'
        AND NOT EXISTS (SELECT 1 FROM retractions r WHERE r.vote = v.id)""",
        (rater, campaign),
    ).fetchone()
    return Standing(int(row[0]), int(row[1]))
