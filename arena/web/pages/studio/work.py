"""Jobs: every heavy command, whoever started it; its log, a way to stop it and to run it again."""

from collections.abc import Sequence

import gradio as gr

from arena import jobs, registry
from arena.web.context import Context
from arena.web.pages.studio.acts import Part, act, cancel_job, panel, reconcile, told
from arena.web.pages.studio.markup import Cell, Code, Meter, chip, note, render, table
from db.errors import UserError
from db.runs import get_job, list_jobs

EVERY = 2.0
HEADS = ("Job", "Status", "Progress", "Command", "Says", "Started", "Ended")


def job_table(context: Context) -> str:
    """The newest jobs first."""
    rows: list[Sequence[Cell]] = [
        (str(j.id), chip(j.status.value), None if j.progress is None else Meter(j.progress, f"{j.progress:.0%}"),
         Code(jobs.shown(j.command)), j.message, _when(j.started_at), _when(j.finished_at))
        for j in list_jobs(context.readers.get(), 60)
    ]  # fmt: skip
    return table(HEADS, rows, empty="Nothing has run yet.", caption="Jobs, the newest 60")


def _when(moment: str | None) -> str | None:
    return moment[:19].replace("T", " ") if moment else None


def log_of(context: Context, job_id: str | None) -> str:
    """What a job printed, its end."""
    if not job_id:
        return ""
    job = get_job(context.readers.get(), int(job_id))
    return render("log", title=f"Job {job.id}", text=jobs.read_log(context.home, job))


def chosen_job(job_id: str | None) -> int:
    """The number of the job that is chosen."""
    if not job_id:
        raise UserError("no job is chosen", "choose one from the list")
    return int(job_id)


def again(context: Context, job_id: str | None) -> str:
    """Run the command of a finished job again."""
    number = chosen_job(job_id)
    job = act(context, f"ran job {number} again", lambda db: registry.resume_job(context.home, db, number))
    return f"Job {job.id} runs {jobs.shown(job.command)}."


def look(context: Context) -> None:
    """Mark jobs whose process is gone without a word, before anything is shown."""
    reconcile(context)


def choices(context: Context) -> list[tuple[str, str]]:
    """(words, number) of the jobs for the list."""
    found = list_jobs(context.readers.get(), 60)
    return [(f"{j.id}: {' '.join(j.command)[:60]} ({j.status})", str(j.id)) for j in found]


def build(context: Context) -> Part:
    """The tab's components and what its buttons do."""

    def refresh() -> tuple[str, gr.Dropdown]:
        look(context)
        return job_table(context), gr.Dropdown(choices=choices(context))

    def tick(job_id: str | None) -> tuple[str, str]:
        look(context)
        return job_table(context), log_of(context, job_id)

    shown = panel()
    with gr.Row(elem_classes="tb-buttons"):
        job = gr.Dropdown([], label="Job", info="Whose log to show, to stop, or to run again.", scale=3)
        with gr.Row(scale=2, elem_classes="tb-buttons"):
            stop = gr.Button("Cancel", variant="stop", min_width=90)
            rerun = gr.Button("Run again", min_width=90)
    said = panel()
    log = panel()
    job.change(told(lambda j: log_of(context, j)), job, log, api_visibility="private")
    stop.click(told(lambda j: note(cancel_job(context, chosen_job(j)), "good")), job, said, api_visibility="private",
               ).success(refresh, outputs=[shown, job], api_visibility="private")  # fmt: skip
    rerun.click(told(lambda j: note(again(context, j), "good")), job, said, api_visibility="private",
                ).success(refresh, outputs=[shown, job], api_visibility="private")  # fmt: skip
    timer = gr.Timer(EVERY, active=False)
    timer.tick(tick, job, [shown, log], show_progress="hidden", api_visibility="private")
    return Part(refresh, [shown, job], timer)
