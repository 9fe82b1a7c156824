"""Settings: the reward model that scores, the owner's links, where things lie, and what was done."""

import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version

import gradio as gr

from arena.judging import STOCK
from arena.web.context import Context
from arena.web.pages.studio.acts import Part, act, panel, told, wanted
from arena.web.pages.studio.markup import Cell, Code, note, table
from arena.web.pages.studio.overview import rate_path
from db import audit
from db.catalog import get_setting, set_setting
from db.connection import sqlite_version
from labeling.joining import OWNER_LINK_HOURS, owner_link_token

PACKAGES = ("gradio", "transformers", "trl", "peft", "datasets", "bitsandbytes", "torch", "sqlite-utils")
# the browser knows the address it came by; the server may not
LINK = "(path) => path ? window.location.origin + window.location.pathname.replace(/studio\\/?$/, '') + path : ''"


def reward_model(context: Context) -> str:
    """The reward model whose scores stand beside the votes."""
    return get_setting(context.readers.get(), "reward_model") or STOCK


def keep_reward_model(context: Context, name: str | None) -> str:
    """Use another reward model from now on."""
    chosen = wanted(name, "the reward model has no name", f"give a folder or a hub id, such as {STOCK}")
    act(context, f"set the reward model to {chosen}", lambda db: set_setting(db, "reward_model", chosen))
    return f"{chosen} scores from now on; scores that are there stay."


def studio_path(context: Context) -> str:
    """A new one-time link to the studio, as a path."""
    token = act(context, "made a link to the studio", lambda db: owner_link_token(db, datetime.now(UTC)))
    return f"login/?token={token}"


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


def acts_table(context: Context) -> str:
    """What the owner did, newest first."""
    rows: list[Sequence[Cell]] = [
        (a.at[:19].replace("T", " "), a.who, a.what) for a in audit.recent(context.readers.get())
    ]
    return table(("When", "Who", "What"), rows, empty="Nothing yet.", caption="What was done here")


def build(context: Context) -> Part:
    """The tab's components and what its buttons do."""

    def refresh() -> tuple[str, str, str]:
        return reward_model(context), facts(context), acts_table(context)

    with gr.Row(elem_classes="tb-buttons"):
        reward = gr.Textbox(
            label="Reward model", info="A folder or hub id; scores every answer beside the votes.", scale=4
        )
        keep = gr.Button("Keep", variant="primary", min_width=110)
    said = panel()
    with gr.Row(elem_classes="tb-buttons"):
        rate = gr.Button("New link to my rating seat")
        studio = gr.Button("New one-time link to the studio")
    path = gr.Textbox(visible="hidden")
    link = gr.Textbox(label="Link", info=f"A studio link works once, within {OWNER_LINK_HOURS} hours; a rating link opens your one seat.",
                      interactive=False, buttons=["copy"])  # fmt: skip
    shown, acts = panel(), panel()
    keep.click(told(lambda n: note(keep_reward_model(context, n), "good")), reward, said, api_visibility="private",
               ).success(refresh, outputs=[reward, shown, acts], api_visibility="private")  # fmt: skip
    rate.click(told(lambda: rate_path(context)), outputs=path, api_visibility="private").then(
        None, path, link, js=LINK
    )
    studio.click(told(lambda: studio_path(context)), outputs=path, api_visibility="private").then(
        None, path, link, js=LINK
    )
    return Part(refresh, [reward, shown, acts])
