"""Settings: the reward model that scores, links, who may come in, the webhook, what was done, where things lie."""

import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import gradio as gr

from arena.judging import STOCK
from arena.web.context import Context
from arena.web.pages.studio import people, storing, telling
from arena.web.pages.studio.acts import Part, act, looker, panel, told, typed, wanted
from arena.web.pages.studio.markup import Cell, Code, note, table
from arena.web.pages.studio.overview import rate_path
from arena.web.pages.studio.people import LINK
from db import audit
from db.catalog import get_setting, set_setting
from db.connection import sqlite_version
from labeling.owners import OWNER_LINK_HOURS

PACKAGES = ("gradio", "transformers", "trl", "peft", "datasets", "bitsandbytes", "torch", "sqlite-utils")
ACTS = 200
"""newest lines of the audit log that are shown"""


def reward_model(context: Context) -> str:
    """The reward model whose scores stand beside the votes."""
    return get_setting(context.readers.get(), "reward_model") or STOCK


def keep_reward_model(context: Context, name: str | None) -> str:
    """Use another reward model from now on."""
    chosen = wanted(name, "the reward model has no name", f"give a folder or a hub id, such as {STOCK}")
    act(context, f"set the reward model to {chosen}", lambda db: set_setting(db, "reward_model", chosen))
    return f"{chosen} scores from now on; scores that are there stay."


def studio_path(context: Context) -> str:
    """A new one-time link to the studio for whoever asks, as a path."""
    return people.link(context, looker(context).name)


def facts(context: Context) -> str:
    """Where things lie and which versions run."""
    home = context.home
    rows: list[Sequence[Cell]] = [
        ("Home", Code(str(home.root))), ("Database", Code(str(home.database))), ("Runs", Code(str(home.runs))),
        ("Exports", Code(str(home.exports))), ("Backups", Code(str(home.backups))), ("Logs of jobs", Code(str(home.logs))),
        ("Python", platform.python_version()), ("SQLite", sqlite_version()),
        *((name, _version(name)) for name in PACKAGES),
    ]  # fmt: skip
    return table(("What", "Where or which"), rows, empty="", caption="This home and its versions")


def _version(package: str) -> str | None:
    """Read from the package's metadata: importing it would load it into the web process."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def acts_table(context: Context, words: str | None = "") -> str:
    """What was done here, newest first; only what holds the words, where some are given."""
    rows: list[Sequence[Cell]] = [
        (a.at[:19].replace("T", " "), a.who, a.what)
        for a in audit.recent(context.readers.get(), ACTS, typed(words))
    ]
    empty = "Nothing done here holds these words." if typed(words) else "Nothing yet."
    return table(("When", "Who", "What"), rows, empty=empty, caption="What was done here")


def build(context: Context) -> Part:
    """The tab's components and what its buttons do."""
    with gr.Row(elem_classes="tb-buttons"):
        reward = gr.Textbox(
            label="Reward model", info="A folder or hub id; scores every answer beside the votes.", scale=4
        )
        keep = gr.Button("Keep", variant="primary", min_width=110)
    said = panel()
    _links(context)
    parts = [people.build(context), telling.build(context), storing.build(context)]
    with gr.Accordion("What was done here", open=False):
        words = gr.Textbox(label="Search", info="Words of what was done, or a name; empty shows the newest.",
                           submit_btn="Search")  # fmt: skip
        acts = panel()
    with gr.Accordion("Where things lie, and versions", open=False):
        shown = panel()

    def refresh() -> tuple[Any, ...]:
        table_, person = parts[0].refresh()
        rest = (part.refresh() for part in parts[1:])
        return reward_model(context), facts(context), acts_table(context), table_, person, *rest

    outputs = [reward, shown, acts, *(output for part in parts for output in part.outputs)]
    words.submit(lambda w: acts_table(context, w), words, acts, api_visibility="private")
    keep.click(told(lambda n: note(keep_reward_model(context, n), "good")), reward, said, api_visibility="private",
               ).success(refresh, outputs=outputs, api_visibility="private")  # fmt: skip
    return Part(refresh, outputs)


def _links(context: Context) -> None:
    """New links for oneself."""
    with gr.Row(elem_classes="tb-buttons"):
        rate = gr.Button("New link to my rating seat")
        studio = gr.Button("New one-time link to the studio")
    path = gr.Textbox(visible="hidden")
    link = gr.Textbox(label="Link", info=f"A studio link works once, within {OWNER_LINK_HOURS} hours; a rating link opens your one seat.",
                      interactive=False, buttons=["copy"])  # fmt: skip
    rate.click(told(lambda: rate_path(context)), outputs=path, api_visibility="private").then(
        None, path, link, js=LINK
    )
    studio.click(told(lambda: studio_path(context)), outputs=path, api_visibility="private").then(
        None, path, link, js=LINK
    )
