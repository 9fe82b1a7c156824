"""What was done here and by whom, in order: a row an act, append-only."""

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


def recent(db: Database, limit: int = 50, words: str = "") -> list[Act]:
    """The newest acts first; only those that hold the words, where some are given, in what was done or who did it."""
    plain = words.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    rows = db.conn.execute(
        """SELECT at, who, what FROM audit WHERE what LIKE ?1 ESCAPE '\\' OR who LIKE ?1 ESCAPE '\\'
        ORDER BY id DESC LIMIT ?2""",
        (f"%{plain}%", limit),
    )
    return [Act(*r) for r in rows]
