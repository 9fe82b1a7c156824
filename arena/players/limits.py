"""How hard a server of models may be asked: seconds to wait, tries, requests a minute, tokens in all. Light.

What is counted is counted by address in this process, so that chats, live answers and judges share one measure.
"""

import os
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from db.errors import UserError

PREFIX = "TASTEBENCH_ENDPOINT_"
LONGEST_WAIT = 120.0
"""seconds of a server's own Retry-After that are waited at most"""


@dataclass(frozen=True, slots=True)
class Limits:
    """How a server is asked. `per_minute` counts requests, `tokens` those of prompts and answers; None: no limit."""

    timeout: float = 120.0
    tries: int = 4
    at_once: int = 8
    per_minute: int | None = None
    tokens: int | None = None


def limits_from(environ: Mapping[str, str] = os.environ) -> Limits:
    """The limits that TASTEBENCH_ENDPOINT_TIMEOUT, _TRIES, _AT_ONCE, _PER_MINUTE and _TOKENS set."""
    usual = Limits()
    return Limits(
        float(_number(environ, "TIMEOUT") or usual.timeout), _number(environ, "TRIES") or usual.tries,
        _number(environ, "AT_ONCE") or usual.at_once, _number(environ, "PER_MINUTE"), _number(environ, "TOKENS"),
    )  # fmt: skip


def _number(environ: Mapping[str, str], name: str) -> int | None:
    text = environ.get(PREFIX + name, "").strip()
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise UserError(
            f"{PREFIX}{name}={text[:40]} is no whole number above 0", "give one, or leave it unset"
        )
    return int(text)


def key_for(url: str, environ: Mapping[str, str] = os.environ) -> str | None:
    """The key for a server: that of its host (TASTEBENCH_API_KEY_API_EXAMPLE_COM), else the general one, or None."""
    host = re.sub(r"[^A-Z0-9]+", "_", (urlsplit(url).hostname or "").upper())
    names = (f"TASTEBENCH_API_KEY_{host}", "TASTEBENCH_API_KEY", "OPENAI_API_KEY")
    return next((environ[name] for name in names if environ.get(name)), None)


def asked_to_wait(header: str | None) -> float:
    """The seconds of a Retry-After header (RFC 9110, 10.2.3: seconds or a date); 0 where it says nothing."""
    text = (header or "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text), LONGEST_WAIT)
    try:
        seconds = (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds()
    except (ValueError, TypeError):
        return 0.0
    return min(max(0.0, seconds), LONGEST_WAIT)


class Meter:
    """Requests and tokens that went to one server from this process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._free_at = 0.0
        self.tokens = 0

    def turn(self, per_minute: int | None) -> float:
        """Take the next place; the seconds to wait for it."""
        if per_minute is None:
            return 0.0
        with self._lock:
            at = max(self._clock(), self._free_at)
            self._free_at = at + 60.0 / per_minute
            return at - self._clock()

    def spend(self, tokens: int) -> None:
        """Count what an answer took."""
        with self._lock:
            self.tokens += tokens

    def check(self, url: str, budget: int | None) -> None:
        """UserError where the budget is used up."""
        if budget is not None and self.tokens >= budget:
            raise UserError(f"the budget of {budget:,} tokens for {url} is used up ({self.tokens:,} so far)",
                            f"raise {PREFIX}TOKENS, then go on")  # fmt: skip


_METERS: dict[str, Meter] = {}
_METERS_LOCK = threading.Lock()


def meter_of(url: str) -> Meter:
    """The meter of a server's address, one in this process."""
    with _METERS_LOCK:
        return _METERS.setdefault(url, Meter())
