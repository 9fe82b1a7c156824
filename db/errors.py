"""The errors of the program.

    Exception
    └── UserError          the person can mend it: shown as one line, exit code 2
        ├── NotFound       a name that nothing answers to
        ├── Conflict       it contradicts what is already stored (HTTP 409)
        ├── Refused        not allowed for whoever asks (HTTP 403)
        └── Unwritable     the database cannot be written: the disk is full (HTTP 507)
            └── Busy       not right now: another process holds it, or the server is stopping (HTTP 503)

Anything that is not a UserError is a bug and keeps its traceback.
"""

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """What went wrong and what to do about it, in one line for the person who asked."""

    def __init__(self, what: str, remedy: str = "") -> None:
        self.what = what.strip().rstrip(".;")
        self.remedy = remedy.strip()
        super().__init__(f"{self.what}; {self.remedy}" if self.remedy else self.what)


class NotFound(UserError):
    """Nothing in the home has this name or id."""


class Conflict(UserError):
    """The request contradicts what is stored already."""


class Refused(UserError):
    """Whoever asks may not do this."""


class Unwritable(UserError):
    """The database cannot be written; nothing of the request was stored."""


class Busy(Unwritable):
    """The database cannot be written at this moment; the same request again, a little later, may go well."""


def one_of(names: Iterable[str], asked: str, most: int = 10) -> str:
    """Names to choose from, for an error: in their order, or the likest to what was asked where there are many."""
    found = list(names)
    if len(found) <= most:
        return ", ".join(found) or "none yet"
    likest = difflib.get_close_matches(asked, found, most, cutoff=0)
    return f"{', '.join(likest)}, and {len(found) - len(likest)} more"
