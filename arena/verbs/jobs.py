"""The verbs of jobs: which there are, how they go, stopping and going on, and the queue of trainings."""

from dataclasses import asdict

import click

from arena.verbs.shared import as_json, shortened, show, table, told, writing


@click.group("jobs")
def jobs_() -> None:
    """Every heavy command, whoever started it."""


@jobs_.command("list")
@as_json
def jobs_list(as_json: bool) -> None:
    """The newest jobs first."""
    from arena.registry import job_listing

    with writing() as (_, db):
        rows = job_listing(db)
        short = [
            {k: v for k, v in row.items() if k != "name"} | {"message": shortened(row["message"])}
            for row in rows
        ]
        show(rows, as_json, lambda: table(short))


@jobs_.command("show")
@click.argument("job", type=int)
@as_json
def jobs_show(job: int, as_json: bool) -> None:
    """One job."""
    from arena.jobs import reconcile, shown
    from db.runs import get_job

    with writing() as (_, db):
        reconcile(db)
        found = asdict(get_job(db, job))
        found["command"] = shown(found["command"])
        show(found, as_json, lambda: told(found))


@jobs_.command("cancel")
@click.argument("job", type=int)
@as_json
def jobs_cancel(job: int, as_json: bool) -> None:
    """Ask a job to end; kill it if it does not within half a minute."""
    from arena.jobs import cancel

    with writing() as (_, db):
        status = cancel(db, job).status
    show({"id": job, "status": status}, as_json, lambda: [f"job {job}: {status}"])


@jobs_.command("resume")
@click.argument("job", type=int)
@as_json
def jobs_resume(job: int, as_json: bool) -> None:
    """Start a finished job's command again, as a new job; a training without a model goes on where it was."""
    from arena.jobs import shown
    from arena.registry import resume_job

    with writing() as (here, db):
        made = resume_job(here, db, job)
    row = {"id": made.id, "command": shown(made.command), "status": made.status}
    show(row, as_json, lambda: [f"job {made.id} started; `jobs logs` shows what it prints"])


@jobs_.command("up")
@click.argument("job", type=int)
def jobs_up(job: int) -> None:
    """Let a training that waits in the queue go before the one ahead of it."""
    _move(job, earlier=True)


@jobs_.command("down")
@click.argument("job", type=int)
def jobs_down(job: int) -> None:
    """Let a training that waits in the queue go after the one behind it."""
    _move(job, earlier=False)


def _move(job: int, *, earlier: bool) -> None:
    from db.queueing import move, queue

    with writing() as (_, db):
        move(db, job, earlier=earlier)
        click.echo(f"the queue is now: {', '.join(map(str, queue(db)))}")


@jobs_.command("logs")
@click.argument("job", type=int)
@as_json
def jobs_logs(job: int, as_json: bool) -> None:
    """What a job printed."""
    from arena.jobs import read_log
    from db.runs import get_job

    with writing() as (here, db):
        log = read_log(here, get_job(db, job))
    show({"id": job, "log": log}, as_json, lambda: [log])
