"""Data: browse and search votes, and write them out as a dataset folder."""

from collections.abc import Sequence

import gradio as gr

from arena import jobs
from arena.web.context import Context
from arena.web.pages.studio.acts import Part, panel, start_job, told, typed, wanted
from arena.web.pages.studio.campaigns import choices
from arena.web.pages.studio.markup import Cell, chip, render, table
from db.connection import checked_name
from db.entities import Job, JobStatus
from db.errors import UserError
from db.runs import list_jobs
from db.votes import browse_votes

EVERY = 2.0
EVERYTHING = "(all campaigns)"
FORMATS = [
    ("trl: prompt, chosen, rejected", "trl"), ("kto: one answer and good or bad", "kto"),
    ("reward: chosen and rejected, for reward models", "reward"), ("ultrafeedback", "ultrafeedback"),
    ("responses", "responses"), ("votes", "votes"), ("csv", "csv"),
]  # fmt: skip
HEADS = ("Vote", "Campaign", "Rater", "Prompt", "A", "B", "Outcome", "State", "When")


def vote_table(context: Context, campaign: str | None, words: str | None) -> str:
    """The newest hundred votes that fit."""
    rows: list[Sequence[Cell]] = [
        (str(v.vote), v.campaign, v.rater, v.prompt[:160], v.model_a, v.model_b, _said(v.outcome, v.model_a, v.model_b),
         chip(v.state), v.created_at[:16].replace("T", " "))
        for v in browse_votes(context.readers.get(), _named(campaign), typed(words))
    ]  # fmt: skip
    return table(HEADS, rows, empty="No vote fits.", caption="Votes, the newest 100")


def _said(outcome: str, model_a: str, model_b: str) -> str:
    """An outcome in words."""
    return {"a": f"{model_a} won", "b": f"{model_b} won"}.get(outcome, outcome.replace("_", " "))


def _named(campaign: str | None) -> str | None:
    return None if campaign in (None, "", EVERYTHING) else campaign


def export_arguments(
    context: Context, name: str | None, campaign: str | None, form: str, push: str | None
) -> list[str]:
    """The verb that writes the folder."""
    folder = context.home.exports / checked_name(
        wanted(name, "the folder needs a name", "write one"), "folder"
    )
    if folder.exists():
        raise UserError(f"{folder} is there already", "choose another name")
    chosen = _named(campaign)
    return [
        "export", str(folder), *(["--campaign", chosen] if chosen else []), "--format", form,
        *(["--push", typed(push)] if typed(push) else []),
    ]  # fmt: skip


def start_export(
    context: Context, name: str | None, campaign: str | None, form: str, push: str | None
) -> Job:
    """Start the export as a job."""
    return start_job(context, export_arguments(context, name, campaign, form, push))


def last_export(context: Context) -> tuple[str, bool]:
    """What became of the newest export, and whether it still runs."""
    job = next((j for j in list_jobs(context.readers.get()) if j.command[:1] == ("export",)), None)
    if job is None:
        return "", False
    said = jobs.read_log(context.home, job, 2000).strip() if job.status.over else job.message
    shown = render(
        "export", job=job, status=chip(job.status.value), command=jobs.shown(job.command), said=said
    )
    return shown, job.status in (JobStatus.RUNNING, JobStatus.QUEUED)


def build(context: Context) -> Part:
    """The tab's components and what its buttons do."""
    with gr.Row():
        campaign = gr.Dropdown(
            [EVERYTHING],
            value=EVERYTHING,
            label="Campaign",
            info="Whose votes to show and to export.",
            min_width=260,
        )
        words = gr.Textbox(
            label="Search", info="Words of the prompt or of a comment.", submit_btn="Search", min_width=260
        )
    with gr.Accordion("Export as a dataset folder", open=False):
        with gr.Row():
            name = gr.Textbox(label="Folder name", info=f"Made in {context.home.exports}.", max_length=80)
            form = gr.Dropdown(FORMATS, value="trl", label="Format", info="What each row holds.")
            push = gr.Textbox(
                label="Also send to a hub (optional)",
                info="A dataset repository, owner/name; needs HF_TOKEN.",
            )
        go = gr.Button("Export", variant="primary")
        state = panel()
    shown = panel()
    timer = gr.Timer(EVERY, active=False)

    def watch() -> str:
        return last_export(context)[0]

    def export(*fields: str) -> str:
        start_export(context, *fields)
        return watch()

    def refresh() -> tuple[str, gr.Dropdown, str]:
        return vote_table(context, None, ""), gr.Dropdown(choices=[EVERYTHING, *choices(context)]), watch()

    gr.on([words.submit, campaign.change], lambda c, w: vote_table(context, c, w), [campaign, words], shown,
          api_visibility="private")  # fmt: skip
    go.click(told(export), [name, campaign, form, push], state, api_visibility="private")
    timer.tick(watch, outputs=state, show_progress="hidden", api_visibility="private")
    return Part(refresh, [shown, campaign, state], timer)
