"""Promotions and rollbacks, append-only: who made which model the champion, when, why and on what evidence."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlite_utils import Database

from db.catalog import get_model
from db.connection import transaction
from db.errors import NotFound


class Way(StrEnum):
    """How a promotion came about: the rule said so, or a person did, with a reason."""

    RULE = "rule"
    HAND = "hand"


@dataclass(frozen=True, slots=True)
class Promotion:
    """A model was made the champion. `evidence` is what was known of it then; the last three tell of a rollback."""

    id: int
    model: str
    way: Way
    reason: str
    who: str
    at: str
    simulated: bool
    """whether votes of simulated raters were counted, because somebody said so"""
    evidence: Mapping[str, object]
    rolled_back_at: str | None = None
    rolled_back_by: str | None = None
    rollback_reason: str | None = None

    @property
    def stands(self) -> bool:
        """Whether it was not rolled back."""
        return self.rolled_back_at is None


_PROMOTION = """SELECT p.id, m.name, p.way, p.reason, p.who, p.at, p.simulated, p.evidence, r.at, r.who, r.reason
  FROM promotions p JOIN models m ON m.id = p.model LEFT JOIN rollbacks r ON r.promotion = p.id"""


def _promotion(r: Sequence[object]) -> Promotion:
    return Promotion(
        int(str(r[0])), str(r[1]), Way(str(r[2])), str(r[3]), str(r[4]), str(r[5]), bool(r[6]), json.loads(str(r[7])),
        *(None if value is None else str(value) for value in r[8:11]),
    )  # fmt: skip


def promotions(db: Database) -> list[Promotion]:
    """Every promotion, those rolled back too, oldest first."""
    return [_promotion(r) for r in db.conn.execute(f"{_PROMOTION} ORDER BY p.id")]


def standing_promotion(db: Database) -> Promotion | None:
    """The promotion of the present champion; None where there is none."""
    row = db.conn.execute(f"{_PROMOTION} WHERE r.id IS NULL ORDER BY p.id DESC LIMIT 1").fetchone()
    return _promotion(row) if row else None


def add_promotion(
    db: Database, model: str, way: Way, reason: str, who: str, *, simulated: bool, evidence: Mapping[str, object]
) -> Promotion:  # fmt: skip
    """Make a model the champion."""
    with transaction(db):
        cursor = db.conn.execute(
            "INSERT INTO promotions(model, way, reason, who, simulated, evidence) VALUES (?, ?, ?, ?, ?, ?)",
            (get_model(db, model).id, way, reason, who, int(simulated), json.dumps(evidence)),
        )
        return _promotion(
            db.conn.execute(f"{_PROMOTION} WHERE p.id = ?", (int(cursor.lastrowid or 0),)).fetchone()
        )


def add_rollback(db: Database, reason: str, who: str) -> Promotion:
    """Take the newest standing promotion back by a row beside it; the promotion as it stands then. NotFound."""
    with transaction(db):
        last = standing_promotion(db)
        if last is None:
            raise NotFound("no promotion stands, so there is nothing to roll back", "promote a model first")
        db.conn.execute(
            "INSERT INTO rollbacks(promotion, reason, who) VALUES (?, ?, ?)", (last.id, reason, who)
        )
        return _promotion(db.conn.execute(f"{_PROMOTION} WHERE p.id = ?", (last.id,)).fetchone())
