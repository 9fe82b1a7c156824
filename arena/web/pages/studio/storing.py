"""Copies of the home with the commands that put them back, and what takes room; part of Settings."""

import json
from collections.abc import Sequence
from typing import NamedTuple

import gradio as gr

from arena.jobs import shown
from arena.upkeep import all_copies
from arena.web.context import Context
from arena.web.pages.studio.acts import Part, panel, run_verb, told
from arena.web.pages.studio.markup import Cell, Code, note, table
from arena.web.sessions import now

MB = 2**20
ABOUT = (
    "The database is copied into backups/ before every upgrade and every job that writes, and while the server runs "
    "(serve --backup-minutes). The newest 8 stay, then one an hour of a day, one a day of a week, one a week of a month. "
    "To go back to a copy, stop the server and type its command; what it replaces is kept too."
)
ROOM = (
    "Old checkpoints, what unfinished runs left, removed models that nothing uses, old exports and copies. Votes, prompts, "
    "answers and figures never go, nor a model that something uses."
)


def copies_table(context: Context) -> str:
    """The copies there are, newest first, each with what puts it back."""
    home = context.home
    rows: list[Sequence[Cell]] = [
        (f"{copy.at:%Y-%m-%d %H:%M}", copy.why, f"{copy.size / MB:,.1f} MB",
         Code(shown(["--home", str(home.root), "restore", str(copy.file)])))
        for copy in all_copies(home)
    ]  # fmt: skip
    heads = ("When (UTC)", "Made", "Size", "Put it back with")
    return table(
        heads,
        rows,
        empty="No copy yet: one is made before the next job that writes.",
        caption="Copies of the home",
    )


def copy_now(context: Context) -> str:
    """Make a copy by the command that a person would type."""
    file = context.home.backups / f"backup-{now():%Y%m%dT%H%M%S}.db"
    words = ["backup", str(file)]
    run_verb(context, words)
    return f"Copied, by {shown(words)}"


class Room(NamedTuple):
    """What takes room, as HTML, and whether something of it can go."""

    shown: str
    can_go: bool


def room(context: Context, *, remove: bool = False) -> Room:
    """What takes room and could go, or what was removed."""
    words = ["prune", *(["--yes"] if remove else []), "--json"]
    found = json.loads(run_verb(context, words))
    rows: list[Sequence[Cell]] = [
        (piece["what"], Code(piece["path"]), f"{piece['bytes'] / MB:,.1f} MB", piece["changed"], piece["stays"] or ("removed" if remove else "can go"))
        for piece in (*found["can_go"], *found["stays"])
    ]  # fmt: skip
    size = f"{(found['freed'] if remove else found['bytes']) / MB:,.1f} MB"
    said = (
        f"{size} {'freed' if remove else 'can go'}, by {shown(words[:-1])}"
        if found["can_go"]
        else "Nothing can go."
    )
    heads = ("What", "Where", "Size", "Last changed", "Stays because")
    listed = table(heads, rows, empty="Nothing takes room that could go.", caption="What takes room")
    return Room(note(said, "good" if remove else "plain") + listed, bool(found["can_go"]) and not remove)


def look_at(context: Context, *, remove: bool = False) -> tuple[str, gr.Button]:
    """What takes room, and the button that removes it where something can go."""
    seen = room(context, remove=remove)
    return seen.shown, gr.Button(visible=seen.can_go)


def build(context: Context) -> Part:
    """The components and what their buttons do."""
    with gr.Accordion("Copies of the home", open=False):
        panel(note(ABOUT))
        listed = panel()
        with gr.Row(elem_classes="tb-buttons"):
            copy = gr.Button("Copy now")
        said = panel()
    with gr.Accordion("What takes room", open=False):
        panel(note(ROOM))
        with gr.Row(elem_classes="tb-buttons"):
            look = gr.Button("See what can go")
            remove = gr.Button("Remove what can go", variant="stop", visible=False)
        found = panel()

    def refresh() -> str:
        return copies_table(context)

    copy.click(told(lambda: note(copy_now(context), "good")), outputs=said, api_visibility="private",
               ).success(refresh, outputs=listed, api_visibility="private")  # fmt: skip
    look.click(
        told(lambda: look_at(context)),
        outputs=[found, remove],
        api_visibility="private",
    )
    remove.click(told(lambda: look_at(context, remove=True)), outputs=[found, remove],
                 api_visibility="private").success(refresh, outputs=listed, api_visibility="private")  # fmt: skip
    return Part(refresh, [listed])
