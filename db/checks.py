"""Check questions: pairs whose better answer is known, battles shown again, and what raters said on them.

Nothing here counts in a figure about models; it tells how well a rater reads.
"""

from collections.abc import Iterable
from typing import NamedTuple

from sqlite_utils import Database

from db.connection import transaction
from db.entities.campaigns import Campaign
from db.entities.catalog import ModelKind, Response
from db.entities.votes import BallotKind, Outcome, Vote
from db.errors import UserError
from db.votes import _VOTE, _votes_from

GOLD_MODEL = "gold"
"""the recorded model, off the lists, that both answers of a gold pair belong to"""


class GoldPair(NamedTuple):
    """Two answers to a stored prompt, the first one known to be better."""

    prompt: str
    good: str
    bad: str


def gold_model(db: Database) -> int:
    """The row number of the hidden model of gold pairs, made at the first call."""
    db.conn.execute(
        """INSERT INTO models(name, kind, note, removed_at)
        VALUES (?, ?, 'answers whose order is known; they check raters', strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
        ON CONFLICT (name) DO NOTHING""",
        (GOLD_MODEL, ModelKind.RECORDED),
    )
    row = db.conn.execute("SELECT id, removed_at FROM models WHERE name = ?", (GOLD_MODEL,)).fetchone()
    if row[1] is None:
        raise UserError(f"a model of yours is named {GOLD_MODEL!r}, which check questions need", "rename it")
    return int(row[0])


def add_gold_pairs(db: Database, campaign: Campaign, pairs: Iterable[GoldPair], source: str) -> int:
    """Make check questions of a campaign, in one transaction; how many were new. Slot a is the better one in half of them."""
    added = 0
    with transaction(db):
        model = gold_model(db)
        for pair in pairs:
            good, bad = (Response.of(pair.prompt, GOLD_MODEL, text) for text in (pair.good, pair.bad))
            for r in (good, bad):
                db.conn.execute(
                    "INSERT OR IGNORE INTO responses(id, prompt, model, text) VALUES (?, ?, ?, ?)",
                    (r.id, r.prompt, model, r.text),
                )
            better = "a" if int(good.id[:8], 16) % 2 else "b"
            slots = (good.id, bad.id) if better == "a" else (bad.id, good.id)
            if db.conn.execute(
                "SELECT 1 FROM battles WHERE campaign = ? AND response_a = ? AND response_b = ?",
                (campaign.id, *slots),
            ).fetchone():
                continue
            cursor = db.conn.execute(
                """INSERT INTO battles(campaign, prompt, response_a, response_b, model_a, model_b)
                VALUES (?, ?, ?, ?, ?, ?)""",
                (campaign.id, pair.prompt, *slots, model, model),
            )
            db.conn.execute(
                "INSERT INTO gold_pairs(battle, better, source) VALUES (?, ?, ?)",
                (cursor.lastrowid, better, source),
            )
            added += 1
    return added


def gold_count(db: Database, campaign: int) -> int:
    """How many check questions a campaign has."""
    row = db.conn.execute(
        "SELECT count(*) FROM gold_pairs g JOIN battles b ON b.id = g.battle WHERE b.campaign = ?",
        (campaign,),
    ).fetchone()
    return int(row[0])


def gold_pairs_of(db: Database, campaign: int) -> list[GoldPair]:
    """The check questions of a campaign, the better answer first."""
    rows = db.conn.execute(
        """SELECT b.prompt, CASE g.better WHEN 'a' THEN x.text ELSE y.text END,
          CASE g.better WHEN 'a' THEN y.text ELSE x.text END
        FROM gold_pairs g JOIN battles b ON b.id = g.battle JOIN responses x ON x.id = b.response_a
        JOIN responses y ON y.id = b.response_b WHERE b.campaign = ? ORDER BY g.battle""",
        (campaign,),
    )
    return [GoldPair(*r) for r in rows]


def unseen_gold(db: Database, campaign: int, rater: int, n: int) -> list[int]:
    """Up to n check questions never lent to this rater, by lot."""
    rows = db.conn.execute(
        """SELECT g.battle FROM gold_pairs g JOIN battles b ON b.id = g.battle
        WHERE b.campaign = ?1 AND NOT EXISTS (SELECT 1 FROM assignments s WHERE s.rater = ?2 AND s.battle = g.battle)
        ORDER BY random() LIMIT ?3""",
        (campaign, rater, n),
    )
    return [int(r[0]) for r in rows]


class Repeatable(NamedTuple):
    """A battle the rater has judged, and the slot that stood left."""

    battle: int
    left_is: str


def repeatable(db: Database, campaign: int, rater: int, gap: int) -> Repeatable | None:
    """A battle the rater decided on at least `gap` votes ago and was not shown again yet, by lot; None where there is none."""
    row = db.conn.execute(
        """WITH own AS (SELECT v.id, v.battle, s.left_is, row_number() OVER (ORDER BY v.id DESC) AS ago
          FROM votes v JOIN assignments s ON s.id = v.assignment AND s.kind = 'battle'
          WHERE v.rater = ?1 AND v.campaign = ?2 AND v.outcome IN ('a', 'b')
          AND NOT EXISTS (SELECT 1 FROM retractions r WHERE r.vote = v.id))
        SELECT battle, left_is FROM own WHERE ago > ?3
        AND NOT EXISTS (SELECT 1 FROM assignments s WHERE s.rater = ?1 AND s.battle = own.battle AND s.kind = 'repeat')
        ORDER BY random() LIMIT 1""",
        (rater, campaign, gap),
    ).fetchone()
    return Repeatable(int(row[0]), str(row[1])) if row else None


def checks_of_rater(db: Database, rater: int, campaign: int) -> dict[BallotKind, int]:
    """{kind: standing votes, skips too} of a rater on a campaign's check questions."""
    rows = db.conn.execute(
        "SELECT kind, n FROM check_counts WHERE rater = ? AND campaign = ?", (rater, campaign)
    )
    return {BallotKind(r[0]): int(r[1]) for r in rows}


def answered(db: Database, rater: int, campaign: int) -> int:
    """How many check questions a rater has answered, skips and practice left out."""
    row = db.conn.execute(
        """SELECT coalesce(sum(n - skipped), 0) FROM check_counts
        WHERE rater = ? AND campaign = ? AND kind <> 'practice'""",
        (rater, campaign),
    ).fetchone()
    return int(row[0])


def practised(db: Database, rater: int, campaign: int) -> int:
    """How many practice ballots a rater has answered."""
    return checks_of_rater(db, rater, campaign).get(BallotKind.PRACTICE, 0)


class GoldScore(NamedTuple):
    """Check questions answered right, and those answered at all; skips left out."""

    right: int
    answered: int


def gold_score(db: Database, campaign: int, rater: int) -> GoldScore:
    """How a rater did on the check questions of a campaign, practice left out. A tie on one is a wrong answer."""
    row = db.conn.execute(
        """SELECT coalesce(sum(v.outcome = g.better), 0), count(*) FROM votes v
        JOIN assignments s ON s.id = v.assignment AND s.kind = 'gold' JOIN gold_pairs g ON g.battle = v.battle
        WHERE v.rater = ? AND v.campaign = ? AND v.outcome <> 'skip'
        AND NOT EXISTS (SELECT 1 FROM retractions r WHERE r.vote = v.id)""",
        (rater, campaign),
    ).fetchone()
    return GoldScore(int(row[0]), int(row[1]))


def expected(db: Database, battle: int) -> Outcome | None:
    """The known answer of a check question; None for any other battle."""
    row = db.conn.execute("SELECT better FROM gold_pairs WHERE battle = ?", (battle,)).fetchone()
    return Outcome(row[0]) if row else None


class CheckVote(NamedTuple):
    """A standing vote on a check question."""

    vote: Vote
    kind: BallotKind
    better: Outcome | None
    """the known answer; None for a repeat"""


def check_votes(db: Database, campaign: int) -> list[CheckVote]:
    """The standing votes on a campaign's check questions, practice included and skips left out, in order of arrival."""
    rows = db.conn.execute(
        f"""{_VOTE.replace("FROM votes v", ", s.kind, g.better FROM votes v", 1)}
        LEFT JOIN gold_pairs g ON g.battle = v.battle
        WHERE v.campaign = ? AND s.kind <> 'battle' AND v.outcome <> 'skip'
        AND NOT EXISTS (SELECT 1 FROM retractions r WHERE r.vote = v.id) ORDER BY v.id""",
        (campaign,),
    ).fetchall()
    vote = _votes_from()
    return [CheckVote(vote(r[:-2]), BallotKind(r[-2]), Outcome(r[-1]) if r[-1] else None) for r in rows]
