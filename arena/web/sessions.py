"""Who asks: cookies, the visitor they stand for, the pages a visitor may open, and a brake on guessing."""

import asyncio
import ipaddress
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TypeVar

from starlette.requests import HTTPConnection
from starlette.responses import Response

from db.campaigns import shared_campaigns
from db.connection import Readers
from db.live_turns import live_campaigns
from db.sessions import Session
from labeling.joining import RATER_DAYS, session_from
from labeling.owners import OWNER_DAYS

T = TypeVar("T")
DAY = 86_400


class Page(StrEnum):
    """The mounts, by the first part of their path."""

    RATE = "rate"
    LIVE = "live"
    RESULTS = "results"
    STUDIO = "studio"
    CHAT = "chat"
    LOGIN = "login"


@dataclass(frozen=True, slots=True)
class Visitor:
    """The sessions a browser brings: a rater's, an owner's, both or none."""

    rater: Session | None
    owner: Session | None
    shared: tuple[str, ...] = ()
    """the campaigns whose results the rater may see"""
    live: bool = False
    """whether a campaign lets the rater write prompts"""


def may_open(page: Page, visitor: Visitor) -> bool:
    """Whether this visitor may see a page and call what lies under it."""
    if page is Page.LOGIN:
        return True
    if page is Page.RATE:
        return visitor.rater is not None and not visitor.rater.revoked
    if page is Page.LIVE:
        return visitor.live
    if page is Page.RESULTS and visitor.shared:
        return True
    return visitor.owner is not None


def now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Door:
    """Reads and writes the two cookies.

    Over https the names carry the `__Host-` prefix, which only this host can set. Inside another site's frame
    (`embed`) a cookie needs SameSite=None, Secure and a partition of its own.
    """

    readers: Readers
    https: bool = False
    embed: str | None = None

    def visitor(self, request: HTTPConnection) -> Visitor:
        """The sessions behind a request's cookies."""
        db = self.readers.get()
        rater = session_from(db, self.rater_cookie(request), now())
        owner = session_from(db, self.owner_cookie(request), now())
        rater = rater if rater is not None and rater.role == "rater" else None
        open_to_them = rater is not None and not rater.revoked
        return Visitor(
            rater,
            owner if owner is not None and owner.role == "owner" else None,
            tuple(shared_campaigns(db, rater.lineage or 0)) if rater is not None and open_to_them else (),
            rater is not None
            and open_to_them
            and bool(live_campaigns(db, None if rater.owner_seat else rater.lineage)),
        )

    def rater_cookie(self, request: HTTPConnection) -> str | None:
        """The value of the rater's cookie."""
        return request.cookies.get(self._name("tastebench", request))

    def owner_cookie(self, request: HTTPConnection) -> str | None:
        """The value of the owner's cookie."""
        return request.cookies.get(self._name("tastebench-owner", request))

    def let_rater_in(self, request: HTTPConnection, response: Response, value: str) -> None:
        """Set the rater's cookie."""
        policy = "SameSite=None; Secure; Partitioned" if self.embed else self._policy("Lax", request)
        self._set(response, self._name("tastebench", request), value, RATER_DAYS * DAY, policy)

    def let_owner_in(self, request: HTTPConnection, response: Response, value: str) -> None:
        """Set the owner's cookie."""
        name = self._name("tastebench-owner", request)
        self._set(response, name, value, OWNER_DAYS * DAY, self._policy("Strict", request))

    def see_owner_out(self, request: HTTPConnection, response: Response) -> None:
        """Take the owner's cookie back."""
        name = self._name("tastebench-owner", request)
        self._set(response, name, "", 0, self._policy("Strict", request))

    def _secure(self, request: HTTPConnection) -> bool:
        return self.https or request.scope.get("scheme") == "https"

    def _name(self, name: str, request: HTTPConnection) -> str:
        return f"__Host-{name}" if self._secure(request) else name

    def _policy(self, same_site: str, request: HTTPConnection) -> str:
        return f"SameSite={same_site}" + ("; Secure" if self._secure(request) else "")

    @staticmethod
    def _set(response: Response, name: str, value: str, seconds: int, policy: str) -> None:
        # written out by hand: the standard library knows Partitioned from Python 3.14 on only
        response.headers.append(
            "set-cookie", f"{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; {policy}"
        )


class BadTries:
    """Counts wrong links and tokens by address, in memory only; after ten in a minute the address has to wait."""

    LIMIT, SECONDS, ADDRESSES = 10, 60.0, 10_000

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._tries: dict[str, deque[float]] = {}

    def too_many(self, address: str) -> bool:
        """Whether this address has used up its wrong tries of the last minute."""
        tries = self._tries.get(address)
        while tries and tries[0] <= self._clock() - self.SECONDS:
            tries.popleft()
        return tries is not None and len(tries) >= self.LIMIT

    def note(self, address: str) -> None:
        """One more wrong try."""
        if len(self._tries) >= self.ADDRESSES and address not in self._tries:
            self._tries.pop(next(iter(self._tries)))
        self._tries.setdefault(address, deque(maxlen=self.LIMIT)).append(self._clock())


class Logins:
    """Slow work of logging in, one password at a time, with a brake by name and a count of what failed."""

    MOST_WAITING = 8

    def __init__(self) -> None:
        self.names = BadTries()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="passwords")
        self._waiting = 0
        self.failures = 0

    @property
    def crowded(self) -> bool:
        """Whether so many passwords wait to be checked that no more are taken."""
        return self._waiting >= self.MOST_WAITING

    async def slowly(self, work: Callable[[], T]) -> T:
        """Do the work beside the loop that serves everybody; each takes 64 MiB, so one after the other."""
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        finally:
            self._waiting -= 1

    def failed(self, name: str | None) -> None:
        """One more wrong try, by this name where one was given."""
        self.failures += 1
        if name is not None:
            self.names.note(name)

    def close(self) -> None:
        """Take no more work."""
        self._thread.shutdown(wait=False)


def address_of(request: HTTPConnection) -> str:
    """The address a request comes from, for the brakes only; it is never stored.

    Of IPv6 the first 64 bits: the rest is a household's own to choose, so it would pass any brake.
    """
    host = request.client.host if request.client else ""
    if ":" not in host:
        return host
    try:
        address = ipaddress.IPv6Address(host.partition("%")[0])
    except ValueError:
        return host
    return str(address.ipv4_mapped or ipaddress.IPv6Network((address, 64), strict=False).network_address)
