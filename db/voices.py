"""Whose votes stand behind rows: who gave them, for which side of the screen, for which model."""

import json
from collections.abc import Sequence
from typing import NamedTuple

from sqlite_utils import Database


class Voice(NamedTuple):
    """One decisive vote. `side` is left or right, None for an imported vote; the models are those of its battle."""

    vote: int
    rater: str
    side: str | None
    winner: str
    loser: str


def voices(db: Database, votes: Sequence[int]) -> list[Voice]:
    """The decisive ones of these votes, in order."""
    rows = db.conn.execute(
        """SELECT v.id, t.name, CASE WHEN s.left_is IS NULL THEN NULL WHEN s.left_is = v.outcome THEN 'left' ELSE 'right' END,
          CASE v.outcome WHEN 'a' THEN ma.name ELSE mb.name END, CASE v.outcome WHEN 'a' THEN mb.name ELSE ma.name END
        FROM json_each(?) j JOIN votes v ON v.id = j.value JOIN raters t ON t.id = v.rater JOIN battles b ON b.id = v.battle
        JOIN models ma ON ma.id = b.model_a JOIN models mb ON mb.id = b.model_b
        LEFT JOIN assignments s ON s.id = v.assignment
        WHERE v.outcome IN ('a', 'b') ORDER BY v.id""",
        (json.dumps(list(votes)),),
    )
    return [Voice(*row) for row in rows]


def votes_of_snapshot(db: Database, snapshot: str) -> list[int]:
    """The votes behind a snapshot's rows that train, each once."""
    rows = db.conn.execute(
        """SELECT DISTINCT j.value FROM snapshot_pairs s, json_each(s.votes) j WHERE s.snapshot = ?1 AND s.part = 'train'
        UNION SELECT j.value FROM snapshot_answers s, json_each(s.votes) j WHERE s.snapshot = ?1 AND s.part = 'train'""",
        (snapshot,),
    )
    return [int(row[0]) for row in rows]


def longest_row(db: Database, responses: Sequence[str]) -> int:
    """Characters of the longest of these responses with its prompt; 0 of none."""
    found = db.conn.execute(
        """SELECT max(length(p.messages) + length(coalesce(r.text, ''))) FROM json_each(?) j
        JOIN responses r ON r.id = j.value JOIN prompts p ON p.id = r.prompt""",
        (json.dumps(list(responses)),),
    ).fetchone()[0]
    return int(found or 0)
