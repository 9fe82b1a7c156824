"""Models: what can answer, where each came from, and how to add one or merge an adapter."""

from collections.abc import Sequence

import gradio as gr

from arena import jobs, registry
from arena.modelcards import card
from arena.web.context import Context
from arena.web.pages.studio.acts import Part, act, first_panel, panel, start_job, told, typed, wanted
from arena.web.pages.studio.markup import Cell, Chip, note, render, table
from db import runs
from db.catalog import list_models, remove_model, response_counts
from db.entities.catalog import Model, ModelKind
from db.entities.runs import Job

KINDS = [
    ("Checkpoint: a folder on this server, or a hub id", "checkpoint"),
    ("Checkpoint with an adapter over it", "adapter"),
    ("Endpoint: an OpenAI-compatible server", "endpoint"),
    ("Recorded: its answers are imported", "recorded"),
]
HEADS = ("Name", "Kind", "Parent", "Made by run", "Responses", "Weights or address", "Note")


def model_table(context: Context) -> str:
    """Every model with its lineage, as a table and a family tree."""
    db = context.readers.get()
    models, answers = list_models(db), response_counts(db)
    names, first = {r.id: r.name for r in runs.list_runs(db)}, runs.champion(db)
    rows: list[Sequence[Cell]] = [
        (Chip(f"{m.name} (champion)", "good") if m.name == first else m.name, m.kind.value, m.parent,
         names.get(m.run or 0), answers.get(m.name, 0), m.endpoint or m.adapter or m.source, m.note)
        for m in models
    ]  # fmt: skip
    shown = table(
        HEADS, rows, empty="No models yet: add two below, and a campaign can compare them.", caption="Models"
    )
    return shown + render("lineage", trees=family(models))


def family(models: Sequence[Model]) -> list[tuple[int, str]]:
    """(depth, name) of the models that have a parent or a child, parents before their children."""
    children: dict[str | None, list[str]] = {}
    names = {m.name for m in models}
    for m in models:
        children.setdefault(m.parent if m.parent in names else None, []).append(m.name)
    lines: list[tuple[int, str]] = []

    def walk(name: str, depth: int) -> None:
        lines.append((depth, name))
        for child in children.get(name, []):
            walk(child, depth + 1)

    for root in children.get(None, []):
        if root in children:
            walk(root, 0)
    return lines


def add_model(
    context: Context, kind: str, name: str | None, source: str | None, second: str | None, quantize: str
) -> str:
    """Register a model; `second` is the adapter's folder or the model's name on the endpoint."""
    name = wanted(name, "the model needs a name", "write a short one, such as my-sft")
    place = typed(source) or None
    if kind != "recorded":
        place = wanted(source, "where is the model?", "give a folder, a hub id or an address")
    if kind == "adapter":
        second = wanted(second, "where is the adapter?", "give its folder")
    bits = quantize if kind in ("checkpoint", "adapter") and quantize != "none" else None
    made = act(context, f"added model {name}", lambda db: registry.add(
        db, name, source=place if kind in ("checkpoint", "adapter") else None,
        adapter=typed(second) if kind == "adapter" else None, quantize=bits,
        endpoint=place if kind == "endpoint" else None, remote_name=typed(second) if kind == "endpoint" else None,
        recorded=kind == "recorded",
    ))  # fmt: skip
    return f"{made.name} is registered ({made.kind})"


def take_off(context: Context, name: str | None) -> str:
    """Take a model off the lists."""
    chosen = wanted(name, "no model is chosen", "choose one from the list")
    act(context, f"took model {chosen} off the lists", lambda db: remove_model(db, chosen))
    return f"{chosen} is off the lists; its responses and votes stay"


def start_merge(context: Context, model: str | None, name: str | None) -> Job:
    """Start the job that makes a standalone checkpoint of an adapter model."""
    chosen = wanted(model, "no adapter model is chosen", "retrain first, or register an adapter")
    return start_job(
        context, ["merge", chosen, "--as", wanted(name, "the merged model needs a name", "write one")]
    )


def adapters(context: Context) -> list[str]:
    """The models that can be merged."""
    return [m.name for m in list_models(context.readers.get()) if m.kind is ModelKind.ADAPTER]


def card_of(context: Context, name: str | None) -> str:
    """The card of a model as the figures stand now, as a person reads it."""
    text = card(context.readers.get(), context.home, name).split("---\n", 2)[2] if name else ""
    return render(
        "card",
        text=text.replace("<details><summary>Settings</summary>", "**Settings**").replace("</details>", ""),
    )


def start_push(context: Context, name: str | None, repo: str | None, what: str, public: bool) -> Job:
    """Start the job that sends a model with its card to a hub."""
    chosen = wanted(name, "no model is chosen", "choose one from the list")
    words = ["models", "push", chosen, "--repo", wanted(repo, "where should it go?", "write owner/name")]
    words += ["--what", what] if what != "as it is" else []
    return start_job(context, words + (["--public"] if public else []))


def build(context: Context) -> Part:
    """The tab's components and what its buttons do."""

    def refresh() -> tuple[str, gr.Dropdown, gr.Dropdown, gr.Dropdown]:
        names = [m.name for m in list_models(context.readers.get())]
        return (model_table(context), gr.Dropdown(choices=adapters(context)), gr.Dropdown(choices=names),
                gr.Dropdown(choices=names[::-1]))  # fmt: skip

    shown = first_panel()
    with gr.Accordion("Add a model", open=False):
        kind = gr.Radio(
            KINDS, value="checkpoint", label="What is it?", info="Anything that can answer a prompt."
        )
        with gr.Row():
            name = gr.Textbox(label="Name", info="How it is called here; raters never see it.", max_length=80)
            source = gr.Textbox(
                label="Folder, hub id or address", info="For an endpoint http(s)://.../v1; not for recorded."
            )
            second = gr.Textbox(
                label="Adapter folder, or name on the endpoint", info="Leave empty for a plain checkpoint."
            )
        quantize = gr.Radio(["none", "8bit", "4bit"], value="none", label="Hold weights in",
                            info="Fewer bits take less memory and answer a little worse.")  # fmt: skip
        add = gr.Button("Add", variant="primary")
    with gr.Accordion("Merge an adapter into a checkpoint of its own", open=False), gr.Row():
        adapter = gr.Dropdown(
            [], label="Adapter model", info="Its outputs are compared with the merged ones before it is kept."
        )
        merged = gr.Textbox(label="Name of the merged model", info="A new name.", max_length=80)
        merge = gr.Button("Merge", min_width=120)
    with gr.Accordion("Card", open=False, elem_id="model-card"):
        carded = gr.Dropdown([], label="Model", elem_id="carded",
                             info="What it came from, what it learned, and what people say of it.")  # fmt: skip
        read = panel(elem_id="card-text")
        with gr.Row():
            repo = gr.Textbox(label="Send it to a hub with this card", max_length=120, elem_id="push-repo",
                              info="A model repository, owner/name; private where it is new. Needs HF_TOKEN.")  # fmt: skip
            what = gr.Radio(["as it is", "merged"], value="as it is", label="Of an adapter",
                            info="Itself, or the checkpoint it was merged into.")  # fmt: skip
            public = gr.Checkbox(False, label="Public", info="Anyone can read it.")
            push = gr.Button("Push", min_width=120, elem_id="push-model")
    with gr.Accordion("Take a model off the lists", open=False), gr.Row():
        gone = gr.Dropdown([], label="Model", info="Its responses and votes stay; figures do not change.")
        remove = gr.Button("Take off", min_width=120)
    said = panel()
    outputs = [shown, adapter, gone, carded]

    def merging(model: str | None, new: str | None) -> str:
        job = start_merge(context, model, new)
        return note(f"Job {job.id} runs {jobs.shown(job.command)}; the Jobs tab shows how far it is.", "good")

    add.click(told(lambda *a: note(add_model(context, *a), "good")), [kind, name, source, second, quantize], said,
              api_visibility="private").success(refresh, outputs=outputs, api_visibility="private")  # fmt: skip
    remove.click(told(lambda n: note(take_off(context, n), "good")), gone, said,
                 api_visibility="private").success(refresh, outputs=outputs, api_visibility="private")  # fmt: skip

    def pushing(name: str | None, where: str | None, which: str, open_: bool) -> str:
        job = start_push(context, name, where, which, bool(open_))
        return note(f"Job {job.id} runs {jobs.shown(job.command)}; the Jobs tab shows how far it is.", "good")

    merge.click(told(merging), [adapter, merged], said, api_visibility="private")
    carded.input(told(lambda n: card_of(context, n)), carded, read, api_visibility="private")
    push.click(told(pushing), [carded, repo, what, public], said, api_visibility="private")
    return Part(refresh, outputs)
