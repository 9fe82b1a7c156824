"""What the results page of a large campaign showed last, kept in the home over a restart of the server.

After a start the first report of many votes takes a while; until it is there the page shows this, with its time. It holds
no raters, no prompts and no answers: what somebody takes back must not stay in a file. It stands in no backup.
"""

import contextlib
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from arena.charts import body
from arena.report import Report
from db.connection import Home
from db.entities.catalog import content_id
from db.files import written_file


def last_page(home: Home, campaign: str | None) -> str | None:
    """The page as HTML; None where none is kept."""
    path = _path(home, campaign)
    return path.read_text(encoding="utf-8") if path.is_file() else None


def keep_page(home: Home, campaign: str | None, made: Report, at: datetime) -> None:
    """Keep what a report shows. Where the disk takes it not, the page waits after the next start as without it."""
    shown = body(replace(made, raters=(), robustness=(), differing=()), as_of=f"{at:%Y-%m-%d %H:%M:%S} UTC")
    path = _path(home, campaign)
    with contextlib.suppress(OSError):
        path.parent.mkdir(exist_ok=True)
        with written_file(path) as aside:
            aside.write_text(shown, encoding="utf-8")


def _path(home: Home, campaign: str | None) -> Path:
    return home.root / "cache" / f"results-{content_id(campaign or '')}.html"
