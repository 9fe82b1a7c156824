"""Owners and viewers: their names, password hashes, one-time tokens and sessions. One owner always stays (a trigger)."""

from dataclasses import dataclass
from enum import StrEnum

from sqlite_utils import Database

from db.connection import transaction
from db.errors import Conflict, NotFound
from db.migrations import NOW


class OwnerRole(StrEnum):
    """An owner acts; a viewer looks."""

    OWNER = "owner"
    VIEWER = "viewer"


@dataclass(frozen=True, slots=True)
class Owner:
    """Who may open the studio; `browsers` is how many are logged in."""

    id: int
    name: str
    role: OwnerRole
    has_password: bool
    created_at: str
    browsers: int

    @property
    def viewer(self) -> bool:
        """Whether they may only look."""
        return self.role is OwnerRole.VIEWER


_OWNER = f"""SELECT o.id, o.name, o.role, o.password_hash IS NOT NULL, o.created_at,
  (SELECT count(*) FROM sessions x WHERE x.owner = o.id AND x.ended_at IS NULL AND x.expires_at > {NOW})
  FROM owners o WHERE o.removed_at IS NULL"""


def _owner(row: tuple[int, str, str, int, str, int]) -> Owner:
    return Owner(row[0], row[1], OwnerRole(row[2]), bool(row[3]), row[4], row[5])


def list_owners(db: Database) -> list[Owner]:
    """Everybody who may open the studio, the first one first; who was removed is left out."""
    return [_owner(r) for r in db.conn.execute(f"{_OWNER} ORDER BY o.id")]


def find_owner(db: Database, name: str) -> Owner | None:
    """An owner or viewer by name, or None."""
    row = db.conn.execute(f"{_OWNER} AND o.name = ?", (name,)).fetchone()
    return _owner(row) if row else None


def get_owner(db: Database, name: str | None = None) -> Owner:
    """An owner or viewer by name, the first owner where none is given; NotFound."""
    if name is None:
        return next(o for o in list_owners(db) if not o.viewer)
    found = find_owner(db, name)
    if found is None:
        raise NotFound(f"nobody here is named {name!r}", "`owner list` shows the names")
    return found


def add_owner(db: Database, name: str, role: OwnerRole) -> Owner:
    """A new owner or viewer. Who was removed comes back without a password; Conflict where the name is taken."""
    with transaction(db):
        if find_owner(db, name) is not None:
            raise Conflict(f"{name!r} is here already", "choose another name, or make a new link for them")
        db.conn.execute(
            """INSERT INTO owners(name, role) VALUES (?, ?) ON CONFLICT (name) DO UPDATE
            SET role = excluded.role, password_hash = NULL, removed_at = NULL""",
            (name, role),
        )
        return get_owner(db, name)


def remove_owner(db: Database, name: str) -> Owner:
    """Take someone's way in: no link, password or session of theirs works any more. Conflict for the last owner."""
    with transaction(db):
        gone = get_owner(db, name)
        if not gone.viewer and sum(not o.viewer for o in list_owners(db)) == 1:
            raise Conflict(f"{name!r} is the last owner", "add another owner first")
        end_sessions(db, gone.id)
        drop_tokens(db, gone.id)
        db.conn.execute(
            f"UPDATE owners SET removed_at = {NOW}, password_hash = NULL WHERE id = ?", (gone.id,)
        )
        return gone


def password_hash(db: Database, name: str) -> str | None:
    """The stored hash of someone's password; None where there is no such name or no password."""
    row = db.conn.execute(
        "SELECT password_hash FROM owners WHERE name = ? AND removed_at IS NULL", (name,)
    ).fetchone()
    return row[0] if row else None


def set_password_hash(db: Database, owner: int, hashed: str) -> None:
    """Keep the hash of a password."""
    with transaction(db):
        db.conn.execute("UPDATE owners SET password_hash = ? WHERE id = ?", (hashed, owner))


def add_token(db: Database, owner: int, token_hash: str, expires_at: str) -> None:
    """A one-time token that lets this owner or viewer in."""
    with transaction(db):
        db.conn.execute(
            "INSERT INTO owner_tokens(token_hash, owner, expires_at) VALUES (?, ?, ?)",
            (token_hash, owner, expires_at),
        )


def use_token(db: Database, token_hash: str, now: str) -> Owner | None:
    """Spend a one-time token; whose it was, or None where it is unknown, spent or past its end."""
    with transaction(db):
        row = db.conn.execute(
            """UPDATE owner_tokens SET used_at = ?2 WHERE token_hash = ?1 AND used_at IS NULL AND expires_at > ?2
            RETURNING owner""",
            (token_hash, now),
        ).fetchone()
        return next((o for o in list_owners(db) if row and o.id == row[0]), None)


def drop_tokens(db: Database, owner: int) -> None:
    """Let no one-time token of theirs that is still out work any more."""
    db.conn.execute(f"UPDATE owner_tokens SET used_at = {NOW} WHERE owner = ? AND used_at IS NULL", (owner,))


def end_sessions(db: Database, owner: int, *, only: int | None = None, but: int | None = None) -> int:
    """Log someone out: everywhere, in one browser only, or everywhere but in one; how many browsers that were."""
    with transaction(db):
        cursor = db.conn.execute(
            f"""UPDATE sessions SET ended_at = {NOW} WHERE owner = ?1 AND ended_at IS NULL
            AND (?2 IS NULL OR id = ?2) AND (?3 IS NULL OR id <> ?3)""",
            (owner, only, but),
        )
        return int(cursor.rowcount)


def owner_of_session(db: Database, session: int, now: str) -> Owner | None:
    """Whose live session this is, or None."""
    row = db.conn.execute(
        f"""{_OWNER} AND o.id = (SELECT owner FROM sessions
            WHERE id = ? AND role = 'owner' AND ended_at IS NULL AND expires_at > ?)""",
        (session, now),
    ).fetchone()
    return _owner(row) if row else None
