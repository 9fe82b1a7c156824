"""The server's log: one form for every line, on stderr, without secrets.

    2026-11-21T14:00:00.123Z warning 6f1d2c3b4a596877 tastebench.requests: POST /api/vote 507 in 3.1 ms

Time (UTC), level, the id of the request it belongs to (or a dash), who speaks, what. A traceback follows its line.
"""

import logging
import re
import sys
from asyncio import CancelledError
from datetime import UTC, datetime
from enum import StrEnum

from arena.web.request_log import request_id
from labeling.joining import stamp

SECRETS = re.compile(
    r"(?P<before>/join/|token=|tastebench(?:-owner)?=|[Bb]earer )(?P<secret>[A-Za-z0-9_\-.~+/=]{8,})"
)
NOISY = ("httpx", "httpcore", "asyncio", "multipart", "markdown_it", "PIL", "matplotlib")


class Chatter(StrEnum):
    """How much the server logs."""

    PROBLEMS = "problems"
    """what failed, and what took two seconds or more"""
    REQUESTS = "requests"
    """a line for each request too"""


class Plain(logging.Formatter):
    """A line in the house's form, secrets of links and cookies struck out wherever they stand."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, and its traceback where it has one."""
        at = stamp(datetime.fromtimestamp(record.created, UTC))
        text = record.getMessage()
        for more in (self.formatException(record.exc_info) if record.exc_info else "", record.stack_info):
            text += f"\n{more}" if more else ""
        said = SECRETS.sub(lambda m: f"{m['before']}(secret)", text)
        return f"{at} {record.levelname.lower()} {request_id.get()} {record.name}: {said}"


def _worth_telling(record: logging.LogRecord) -> bool:
    """Whether it is more than a page that was open when the server was stopped: its stream of events is cut then."""
    cut = record.exc_info is not None and isinstance(record.exc_info[1], CancelledError)
    return not cut and "timeout graceful shutdown exceeded" not in record.getMessage()


def set_up(chatter: Chatter) -> None:
    """Let everything of this process that logs do it in one form on stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Plain())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("tastebench").setLevel(logging.INFO if chatter is Chatter.REQUESTS else logging.WARNING)
    for name in NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("uvicorn.error").addFilter(_worth_telling)
    logging.captureWarnings(capture=True)
