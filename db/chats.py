"""Talks of the owners with models: each belongs to one owner, is no vote and stands in no export."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from sqlite_utils import Database

from db.connection import transaction
from db.errors import NotFound
from db.migrations import NOW


@dataclass(frozen=True, slots=True)
class Chat:
    """A talk as it is listed: its first question in short, and when it went on last (UTC ISO text)."""

    id: str
    title: str
    changed_at: str


@dataclass(frozen=True, slots=True)
class OpenChat:
    """A talk as it is opened again: what was said, as the page keeps it, and how the models were asked."""

    id: str
    talks: str
    settings: Mapping[str, object]


def add_chat(
    db: Database, chat: str, owner: int, title: str, talks: str, settings: Mapping[str, object]
) -> None:
    """Keep a new talk under a random id; `talks` is JSON text."""
    with transaction(db):
        db.conn.execute(
            "INSERT INTO chats(id, owner, title, talks, settings) VALUES (?, ?, ?, ?, ?)",
            (chat, owner, title, talks, json.dumps(settings, ensure_ascii=False)),
        )


def update_chat(
    db: Database, chat: str, owner: int, talks: str, settings: Mapping[str, object], *, longer: bool = False
) -> bool:
    """Keep how a talk went on; False where this owner has no such talk (any more), or one with more turns.

    A stopped answer may come late, when the talk has gone on already: fewer turns never replace more. `longer`: nor
    as many, for a new question.
    """
    with transaction(db):
        cursor = db.conn.execute(
            f"""UPDATE chats SET talks = ?1, settings = ?2, changed_at = {NOW} WHERE id = ?3 AND owner = ?4
            AND json_array_length(talks, '$[0]') + ?5 <= json_array_length(?1, '$[0]')""",
            (talks, json.dumps(settings, ensure_ascii=False), chat, owner, int(longer)),
        )
        return int(cursor.rowcount) == 1


def list_chats(db: Database, owner: int, limit: int) -> list[Chat]:
    """An owner's talks, the one that went on last first."""
    rows = db.conn.execute(
        "SELECT id, title, changed_at FROM chats WHERE owner = ? ORDER BY changed_at DESC, rowid DESC LIMIT ?",
        (owner, limit),
    )
    return [Chat(*r) for r in rows]


def get_chat(db: Database, chat: str, owner: int) -> OpenChat:
    """An owner's talk; NotFound where they have no such one."""
    row = db.conn.execute(
        "SELECT id, talks, settings FROM chats WHERE id = ? AND owner = ?", (chat, owner)
    ).fetchone()
    if row is None:
        raise NotFound("this talk is not kept any more", "choose another one, or begin a new one")
    return OpenChat(row[0], row[1], json.loads(row[2]))


def delete_chat(db: Database, chat: str, owner: int) -> None:
    """Delete an owner's talk; NotFound where they have no such one."""
    with transaction(db):
        get_chat(db, chat, owner)
        db.conn.execute("DELETE FROM chats WHERE id = ?", (chat,))
