"""What the owner did, in order: a row an act, append-only."""

from typing import NamedTuple

from sqlite_utils import Database

from db.connection import transaction


class Act(NamedTuple):
    """One act: when, who, what."""

    at: str
    who: str
    what: str


def note(db: Database, who: str, what: str) -> None:
    """Write an act down, in the transaction of the act itself where there is one."""
    with transaction(db):
        db.conn.execute("INSERT INTO audit(who, what) VALUES (?, ?)", (who, what))


def recent(db: Database, limit: int = 50) -> list[Act]:
    """The newest acts first."""
    return [
        Act(*r) for r in db.conn.execute("SELECT at, who, what FROM audit ORDER BY id DESC LIMIT ?", (limit,))
    ]
