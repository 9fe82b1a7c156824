"""The owners' way in: one-time links, passwords (argon2id), sessions, and who acts in the studio.

Every function that writes takes the writer's database inside its transaction; `now` is passed in (UTC). Hashing and
checking a password take some tenths of a second and 64 MiB by design: never call them in the writer's thread.
"""

from datetime import datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from sqlite_utils import Database

from db import audit, owners
from db.connection import checked_name, transaction
from db.errors import Refused, UserError
from db.owners import Owner, OwnerRole
from db.sessions import Session, add_session
from labeling.joining import hashed, new_secret, stamp

if TYPE_CHECKING:
    from argon2 import PasswordHasher

OWNER_DAYS, OWNER_LINK_HOURS = 14, 24
SHORTEST, LONGEST = 12, 256
"""characters of a password"""
TERMINAL = "terminal"
"""who acts where a command is typed: whoever can run it owns the home's files"""


class Checked(NamedTuple):
    """Whether a password is right, and its new hash where the old one was made with weaker settings."""

    right: bool
    rehashed: str | None = None


@cache
def _hasher() -> "PasswordHasher":
    from argon2 import PasswordHasher

    return PasswordHasher()  # argon2id with the settings of RFC 9106, 4: 64 MiB, 3 passes, 4 lanes


@cache
def _nobodys_hash() -> str:
    """A hash that no password fits: checked where there is none, so that an unknown name takes as long."""
    return _hasher().hash(new_secret())


def checked(stored: str | None, password: str) -> Checked:
    """Compare a password with a stored hash; takes as long where there is none to compare with. Slow: see above."""
    from argon2.exceptions import VerifyMismatchError

    try:
        _hasher().verify(stored or _nobodys_hash(), password)
    except VerifyMismatchError:
        return Checked(False)
    if stored is None:
        return Checked(False)
    return Checked(True, _hasher().hash(password) if _hasher().check_needs_rehash(stored) else None)


def hash_of(password: str, name: str) -> str:
    """The hash to keep of a new password; UserError where it is too easy or too long. Slow: see above."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise UserError(
            f"a password has {SHORTEST} to {LONGEST} characters", "a few words in a row are easy to keep"
        )
    if password.casefold() == name.casefold() or len(set(password)) < 4:
        raise UserError("this password is too easy to guess", "take a few words in a row")
    return _hasher().hash(password)


# -- links and logins ------------------------------------------------------------------------------------------


def owner_link_token(db: Database, now: datetime, name: str | None = None) -> str:
    """A one-time token that lets someone in within a day; the first owner where no name is given. NotFound."""
    token = new_secret()
    owners.add_token(
        db, owners.get_owner(db, name).id, hashed(token), stamp(now + timedelta(hours=OWNER_LINK_HOURS))
    )
    return token


def open_studio(db: Database, token: str, now: datetime) -> str | None:
    """Spend a one-time token for a session; the cookie's value, or None where the token is no good."""
    owner = owners.use_token(db, hashed(token), stamp(now))
    return None if owner is None else _let_in(db, owner, "logged in by a one-time link", now)


def log_in(db: Database, name: str, compared_with: str, rehashed: str | None, now: datetime) -> str | None:
    """A session for whoever gave the right password; the cookie's value.

    None where the hash it was compared with is no longer the stored one: the password changed, or the owner is gone.
    """
    owner = owners.find_owner(db, name)
    if owner is None or owners.password_hash(db, name) != compared_with:
        return None
    if rehashed is not None:
        owners.set_password_hash(db, owner.id, rehashed)
    return _let_in(db, owner, "logged in by password", now)


def _let_in(db: Database, owner: Owner, how: str, now: datetime) -> str:
    cookie = new_secret()
    with transaction(db):
        add_session(db, hashed(cookie), stamp(now + timedelta(days=OWNER_DAYS)), owner=owner.id)
        audit.note(db, owner.name, how)
    return cookie


def log_out(db: Database, session: Session, now: datetime, *, everywhere: bool = False) -> int:
    """End a session, or all of its owner's; how many browsers that were."""
    owner = owners.owner_of_session(db, session.id, stamp(now))
    if owner is None:
        return 0
    with transaction(db):
        if everywhere:
            owners.drop_tokens(db, owner.id)
        n = owners.end_sessions(db, owner.id, only=None if everywhere else session.id)
        audit.note(db, owner.name, f"logged out everywhere ({n})" if everywhere else "logged out")
    return n


# -- who there is ----------------------------------------------------------------------------------------------


def add(db: Database, name: str, *, viewer: bool, now: datetime) -> str:
    """A new owner or viewer and the one-time token that lets them in."""
    with transaction(db):
        owners.add_owner(
            db, checked_name(name.strip(), "person"), OwnerRole.VIEWER if viewer else OwnerRole.OWNER
        )
        return owner_link_token(db, now, name.strip())


def set_password(db: Database, name: str | None, new_hash: str, *, but: int | None = None) -> Owner:
    """Keep a new password's hash; every browser of theirs is logged out, except the session `but`."""
    with transaction(db):
        owner = owners.get_owner(db, name)
        owners.set_password_hash(db, owner.id, new_hash)
        owners.drop_tokens(db, owner.id)
        owners.end_sessions(db, owner.id, but=but)
        return owner


def looker(db: Database, session: int | None, now: datetime) -> Owner:
    """Whose session this is; Refused where it has ended."""
    owner = None if session is None else owners.owner_of_session(db, session, stamp(now))
    if owner is None:
        raise Refused("your login has ended", "log in again")
    return owner


def actor(db: Database, session: int | None, now: datetime) -> Owner:
    """Who acts in this session; Refused where it has ended or belongs to a viewer."""
    owner = looker(db, session, now)
    if owner.viewer:
        raise Refused(
            "you are here as a viewer: you can look at everything and change nothing", "ask an owner to do it"
        )
    return owner
