"""Letting people in, in the Campaigns tab: links to copy and to print, who holds a seat, renewing and closing them."""

import base64
from collections.abc import Sequence
from typing import Any, NamedTuple

import gradio as gr

from arena import inviting
from arena.inviting import Link, Listing
from arena.sheet import sheet
from arena.web.context import Context
from arena.web.pages.studio.acts import act, panel, told, typed, wanted
from arena.web.pages.studio.markup import Cell, Chip, note, render, table
from arena.web.pages.studio.together import Together
from db.campaigns import find_campaign
from db.errors import UserError
from db.open_links import OpenLink
from db.raters import get_rater
from db.seats import SeatState, SeatStatus

EACH, ALL = "one link for each person", "one link for all of them"
MOST_CARDS = 200
"""cards that a page in the browser is made for; the command line prints any number"""
MOST_SEATS = 50
SEAT_HEADS = ("Seat", "Rater", "Stands", "Came by", "Made", "Expires")
LINK_HEADS = ("Open link", "Seats taken", "Stands", "Made", "Expires")
KINDS = {SeatStatus.IN_USE: "good", SeatStatus.WAITING: "plain", SeatStatus.EXPIRED: "busy",
         SeatStatus.SCREENED_OUT: "busy", SeatStatus.CLOSED: "bad"}  # fmt: skip


class Shown(NamedTuple):
    """Links that were just made, one a line, and what goes with them. Nothing of it is kept."""

    links: str
    beside: str


def make(context: Context, name: str | None, kind: str, seats: float | None, days: float | None) -> Shown:
    """New links to the chosen campaign."""
    chosen, n = _chosen(name), int(seats or 0)
    if kind == ALL:
        made = [act(context, f"made an open link with {n} seats to {chosen}",
                    lambda db: inviting.invite_openly(db, context.home, chosen, n, days or None))]  # fmt: skip
    else:
        made = act(context, f"invited {n} raters to {chosen}",
                   lambda db: inviting.invite(db, context.home, chosen, n, days or None))  # fmt: skip
    return _shown(context, chosen, made)


def renew(context: Context, name: str | None, seat: str | None, days: float | None) -> Shown:
    """A new link to a seat; the old one stops working."""
    chosen, number = _chosen(name), _number(seat, "no seat is chosen")
    made = act(context, f"made a new link to seat {number} of {chosen}",
               lambda db: inviting.reissue(db, context.home, chosen, number, days or None))  # fmt: skip
    return _shown(context, chosen, [made])


def close(context: Context, name: str | None, seat: str | None) -> str:
    """Close a seat; its votes stay."""
    chosen, number = _chosen(name), _number(seat, "no seat is chosen")
    act(context, f"closed seat {number} of {chosen}", lambda db: inviting.revoke(db, chosen, number))
    return f"Seat {number} is closed; its votes stay."


def stop(context: Context, name: str | None, link: str | None) -> str:
    """Let nobody new in by an open link."""
    chosen, number = _chosen(name), _number(link, "no open link is chosen")
    act(
        context,
        f"stopped open link {number} of {chosen}",
        lambda db: inviting.revoke_link(db, chosen, number),
    )
    return f"Open link {number} lets nobody new in; who has a seat keeps it."


def forget(context: Context, name: str | None, again: str | None) -> str:
    """Forget who a rater is, once their pseudonym was typed again; a tombstone stays, and the votes leave every figure."""
    rater = wanted(name, "no rater is chosen", "choose one from the list")
    if typed(again) != rater:
        raise UserError("there is no way back from this", f"type {rater} into the field to go on")
    number = get_rater(context.readers.get(), rater).id
    kept = act(
        context,
        f"forgot a rater on their wish; withdrawn-{number} stays",
        lambda db: inviting.forget(db, rater),
    )
    return f"{rater} is forgotten: name, platform ids, links and written texts are gone. {kept} stays in the list."


def _chosen(name: str | None) -> str:
    return wanted(name, "no campaign is chosen", "choose one from the list above")


def _number(choice: str | None, what: str) -> int:
    number = wanted(choice, what, "choose one from the list").partition(":")[0].strip()
    if not number.isdecimal() or len(number) > 15:
        raise UserError(f"{number!r} is not a number", "choose one from the list")
    return int(number)


def _shown(context: Context, name: str, made: Sequence[Link]) -> Shown:
    return Shown(
        "\n".join(x.link for x in made),
        beside(made, inviting.advice(context.readers.get(), context.home, name)),
    )


def beside(made: Sequence[Link], advice: Sequence[str]) -> str:
    """What stands under new links: the page to print, as a file the browser saves, and what to do so that links work."""
    on_paper = len(made) <= MOST_CARDS and not any(inviting.PROLIFIC in x.link for x in made)
    page = base64.b64encode(sheet(made).encode()).decode() if on_paper else ""
    return render("links", page=page, many=len(made) > MOST_CARDS, advice=advice)


# -- who holds a seat ------------------------------------------------------------------------------------------


def _listing(context: Context, name: str | None) -> Listing:
    db = context.readers.get()
    return inviting.listing(db, name) if name and find_campaign(db, name) else Listing((), ())


def seats_view(context: Context, name: str | None) -> str:
    """Open links and seats of the chosen campaign and how they stand; the links themselves are not known."""
    found = _listing(context, name)
    seats: list[Sequence[Cell]] = [
        (str(s.seat), s.rater, Chip(s.status, KINDS[s.status]), _came_by(s),
         _day(s.created_at), _day(s.expires_at))
        for s in found.seats
    ]  # fmt: skip
    links: list[Sequence[Cell]] = [
        (str(x.id), f"{x.taken} of {x.seats}", _stands(x), _day(x.created_at), _day(x.expires_at))
        for x in found.open_links
    ]
    shown = table(LINK_HEADS, links, empty="", caption="Open links") if links else ""
    caption = "Seats" if len(seats) <= MOST_SEATS else f"Seats, the newest {MOST_SEATS} of {len(seats):,}"
    return shown + table(SEAT_HEADS, seats[:MOST_SEATS], empty="Nobody was invited yet.", caption=caption)


def _came_by(seat: SeatState) -> str:
    if seat.open_link is None:
        return "their own link"
    return f"open link {seat.open_link}" + (f" as {seat.worker}" if seat.worker else "")


def _stands(link: OpenLink) -> Chip:
    if link.revoked_at:
        return Chip("stopped", "bad")
    return Chip("full", "busy") if link.taken >= link.seats else Chip("open", "good")


def _day(moment: str | None) -> str | None:
    return moment[:16].replace("T", " ") if moment else None


def choices(context: Context, name: str | None) -> tuple[gr.Dropdown, gr.Dropdown]:
    """The seats and the open links to choose from."""
    found = _listing(context, name)
    seats = [f"{s.seat}: {s.rater} ({s.status})" for s in found.seats if _renewable(s)]
    return (
        gr.Dropdown(choices=seats, value=None),
        gr.Dropdown(
            choices=[f"{x.id}: {x.taken} of {x.seats} taken" for x in found.open_links if not x.revoked_at],
            value=None,
        ),
    )


def _renewable(seat: SeatState) -> bool:
    return not seat.withdrew


def build(context: Context, chosen: gr.Dropdown, changed: Together) -> None:
    """The accordion for the campaign in `chosen`."""
    with gr.Accordion("Invite raters", open=False) as opened:
        with gr.Row(elem_classes="tb-buttons"):
            kind = gr.Radio(
                [EACH, ALL],
                value=EACH,
                label="Links",
                info="One for all is what Prolific, Mechanical Turk or a notice board want.",
                scale=2,
            )
            seats = gr.Number(5, label="Seats", minimum=1, maximum=1000, precision=0, info="How many people.")
            days = gr.Number(0, label="Expire after days", minimum=0, info="0: they never do.")
            go = gr.Button("Make links", variant="primary", min_width=140)
        links = gr.Textbox(label="Links, one a line", info="Shown once: copy them now. A personal link is one person's seat.",
                           lines=4, max_lines=12, interactive=False, buttons=["copy"])  # fmt: skip
        after = panel()
        listed = panel()
        with gr.Row(elem_classes="tb-buttons"):
            seat = gr.Dropdown([], label="Seat", info="Whose link to renew, or to close.", scale=2)
            fresh = gr.Button("New link to this seat", min_width=160)
            shut = gr.Button("Close this seat", min_width=140)
        with gr.Row(elem_classes="tb-buttons"):
            link = gr.Dropdown(
                [], label="Open link", info="Which one to stop; who has a seat keeps it.", scale=2
            )
            halt = gr.Button("Stop this open link", min_width=160)
        said = panel()
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}

    def refresh(name: str | None) -> tuple[str, gr.Dropdown, gr.Dropdown]:
        return seats_view(context, name), *choices(context, name)

    outputs = [listed, seat, link]
    opened.expand(refresh, chosen, outputs, **quiet)
    # links of the campaign looked at before must not stand under the name of another
    changed(lambda n: ("", "", *refresh(n)), chosen, [links, after, *outputs], **quiet)
    for button, handler, inputs, target in (
        (go, told(lambda *a: make(context, *a)), [chosen, kind, seats, days], [links, after]),
        (fresh, told(lambda *a: renew(context, *a)), [chosen, seat, days], [links, after]),
        (shut, told(lambda *a: note(close(context, *a), "good")), [chosen, seat], said),
        (halt, told(lambda *a: note(stop(context, *a), "good")), [chosen, link], said),
    ):  # fmt: skip
        button.click(handler, inputs, target, api_visibility="private").success(
            refresh, chosen, outputs, **quiet
        )
