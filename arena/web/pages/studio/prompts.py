"""Prompts: search, sets, and bringing data in after looking at its first rows."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from arena import jobs
from arena.web.context import Context
from arena.web.pages.studio import judging
from arena.web.pages.studio.acts import Part, first_panel, may_act, panel, start_job, told, typed, wanted
from arena.web.pages.studio.campaigns import prompt_choices
from arena.web.pages.studio.markup import Cell, Code, note, render, table
from db.catalog import prompt_sets, search_prompts
from db.connection import checked_name
from db.entities.runs import Job
from db.errors import UserError
from db.files import written_file
from labeling.importing import ImportKind, Preview, preview

KINDS = [
    ("Prompts", "prompts"), ("Responses of models", "responses"), ("Votes of people", "votes"),
    ("Preference pairs", "pairs"), ("Scores", "scores"),
]  # fmt: skip


def set_table(context: Context) -> str:
    """The named sets with their halves."""
    rows: list[Sequence[Cell]] = [
        (s.name, s.train + s.heldout, s.train, s.heldout, Code(s.name), Code(f"{s.name}:train"))
        for s in prompt_sets(context.readers.get())
    ]
    heads = ("Set", "Prompts", "To train on", "Held out", "All of it", "Only what trains")
    return table(heads, rows, empty="No prompt sets yet: bring prompts in below.", caption="Prompt sets")


def found(context: Context, words: str | None) -> str:
    """Prompts that hold the words, or the newest."""
    rows: list[Sequence[Cell]] = [
        (p.text[:300], len(p.messages), p.split.value, ", ".join(p.tags))
        for p in search_prompts(context.readers.get(), typed(words), limit=30)
    ]
    empty = "No prompt holds these words." if typed(words) else "No prompts yet."
    return table(("Last turn", "Turns", "Split", "Tags"), rows, empty=empty, caption="Prompts")


def file_of(context: Context, pasted: str | None, name: str | None, path: str | None) -> str:
    """The file to import: the path as given, or pasted text kept in the home under its content's name.

    The name's set is the file's stem; the same text gives the same file. Refused for a
    viewer: a path may name any file of the server.
    """
    may_act(context)
    if typed(pasted) and typed(path):
        raise UserError("both pasted text and a path are given", "clear one of the two")
    if typed(path):
        chosen = Path(typed(path)).expanduser()
        if not chosen.is_file():
            raise UserError(f"there is no file {typed(path)} on the server",
                            "give the path of a file there, or use `import` in a terminal for a hub dataset")  # fmt: skip
        return str(chosen)
    text = wanted(
        pasted, "there is nothing to import", "paste JSONL or CSV text, or give a path on the server"
    )
    stem = checked_name(typed(name) or "pasted", "set").replace(" ", "-")
    ending = ".jsonl" if text.startswith("{") else ".json" if text.startswith("[") else ".csv"
    mark = hashlib.sha256(text.encode()).hexdigest()[:8]
    folder = context.home.root / "pasted" / mark
    file = folder / f"{stem}{ending}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with written_file(file) as aside:
            aside.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise UserError(
            f"the pasted text cannot be kept: {error.strerror or error}",
            "free some disk space, then try again",
        ) from None
    return str(file)


def mapping_of(text: str | None) -> dict[str, str]:
    """`theirs=ours` lines as a mapping."""
    pairs = [line.strip() for line in typed(text).splitlines() if line.strip()]
    for pair in pairs:
        if "=" not in pair:
            raise UserError(f"{pair!r} names no column of ours", "write one theirs=ours a line")
    return dict(pair.split("=", 1) for pair in pairs)


def look(
    context: Context, kind: str, pasted: str | None, name: str | None, path: str | None, mapping: str | None
) -> str:
    """The first three rows as they would go in; nothing reaches the database."""
    seen: Preview = preview(file_of(context, pasted, name, path), ImportKind(kind), None, mapping_of(mapping))
    return render("import_preview", seen=seen)


def start_import(
    context: Context,
    kind: str,
    pasted: str | None,
    name: str | None,
    path: str | None,
    mapping: str | None,
    split: str,
) -> Job:
    """Start the import as a job."""
    file = file_of(context, pasted, name, path)
    arguments = ["import", ImportKind(kind).value, file]
    for theirs, ours in mapping_of(mapping).items():
        arguments += ["--map", f"{theirs}={ours}"]
    if split in ("train", "heldout"):
        arguments += ["--split", split]
    return start_job(context, arguments)


def build(context: Context) -> Part:
    """The tab's components and what its buttons do."""
    sets = first_panel()
    with gr.Accordion("Bring data in", open=False):
        panel(note("Files cannot be uploaded here, so that nobody can fill the disk: paste the text (up to about "
                     "900 kB), or name a file that is on the server already."))  # fmt: skip
        with gr.Row():
            kind = gr.Dropdown(
                KINDS, value="prompts", label="What is it?", info="Columns are recognised by name."
            )
            name = gr.Textbox(
                label="Name for pasted text", info="Prompts become a set of this name.", max_length=60
            )
            split = gr.Dropdown([("by content: one in five held out", "auto"), ("all to train on", "train"),
                                 ("all held out", "heldout")], value="auto", label="Split",
                                info="Held-out prompts measure and never train.")  # fmt: skip
        pasted = gr.Textbox(label="Pasted text", info='JSONL, JSON or CSV with named columns, e.g. {"prompt": "..."} a line.',
                            lines=6, max_lines=14, max_length=900_000)  # fmt: skip
        with gr.Row():
            path = gr.Textbox(label="Or a path on the server", info="JSONL, JSON, CSV or Parquet.")
            mapping = gr.Textbox(
                label="Columns by other names", info="theirs=ours, one a line; seldom needed.", lines=2
            )
        with gr.Row(elem_classes="tb-buttons"):
            first = gr.Button("Look at three rows")
            go = gr.Button("Import", variant="primary")
        shown = panel()
    judging.build_ranking(context, prompt_choices)
    words = gr.Textbox(
        label="Search prompts", info="Words of the last turn; empty shows the newest.", submit_btn="Search"
    )
    results = panel()

    def importing(*fields: Any) -> str:  # noqa: ANN401 - what the components hold
        job = start_import(context, *fields)
        return note(
            f"Job {job.id} runs {jobs.shown(job.command)}; the Jobs tab shows what came of it.", "good"
        )

    def refresh(searched: str) -> tuple[str, str]:
        return set_table(context), found(context, searched)

    words.submit(told(lambda w: found(context, w)), words, results, api_visibility="private")
    first.click(
        told(lambda *a: look(context, *a)),
        [kind, pasted, name, path, mapping],
        shown,
        api_visibility="private",
    )
    go.click(told(importing), [kind, pasted, name, path, mapping, split], shown, api_visibility="private")
    return Part(lambda: refresh(""), [sets, results])
