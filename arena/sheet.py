"""Links on paper: a page of cards to cut out, each with its link as a QR code. What raters must not see is not on it."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from arena.inviting import PROLIFIC, Link
from db.errors import UserError

_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True, undefined=StrictUndefined,
    trim_blocks=True, lstrip_blocks=True,
)  # fmt: skip
SAME = 8
"""cards on the page of an open link, where all are alike: one sheet"""


class _Card(NamedTuple):
    link: str
    code: str
    seat: int | None
    until: str | None


def sheet(links: Sequence[Link]) -> str:
    """The page, complete in itself: one card a personal link, a sheet of equal cards for an open one; UserError."""
    if any(PROLIFIC in x.link for x in links):
        raise UserError("a link for Prolific is not for paper", "paste it as the study's URL there")
    cards = [_Card(x.link, code_of(x.link), x.seat, x.expires_at and x.expires_at[:10]) for x in links]
    personal = all(x.seat is not None for x in links)
    return _TEMPLATES.get_template("sheet.html").render(
        cards=cards if personal else cards * SAME, personal=personal
    )


def code_of(link: str) -> str:
    """A QR code as SVG without a size of its own; it can still be read with 15 % of it stained."""
    import segno

    out = io.BytesIO()
    segno.make(link, error="m", micro=False).save(
        out,
        kind="svg",
        xmldecl=False,
        svgns=False,
        omitsize=True,
        border=4,
        svgclass=None,
        lineclass=None,
        nl=False,
    )
    return out.getvalue().decode()


def write_sheet(path: Path, links: Sequence[Link]) -> None:
    """Write the page where only this user can read it: it holds links."""
    try:
        path.touch(mode=0o600)
        path.chmod(0o600)  # one that was there already
        path.write_text(sheet(links), encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}", "name another file") from None
