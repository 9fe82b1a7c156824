"""The verbs of the home: its jobs, a made-up crowd, a chat, backups and the check."""

import contextlib
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from arena.verbs.shared import (
    as_json,
    home,
    max_new_tokens,
    shortened,
    show,
    system_prompt,
    table,
    temperature,
    told,
    working,
    writing,
)


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


@click.command()
@click.argument("campaign")
@click.option("--raters", "raters_", default=10, show_default=True, help="How many made-up raters.")
@click.option("--votes", default=200, show_default=True, help="Votes in all.")
@click.option("--profile", default="honest", show_default=True, help="How they judge; replay reads FILE.",
              type=click.Choice(["honest", "careful", "lazy", "left", "random", "fast", "copy", "replay"]))  # fmt: skip
@click.option("--noise", type=float, help="Share of votes turned round (0 to 0.5).")
@click.option("--pace", type=float, default=0.0, help="Seconds really waited before each vote.")
@click.option("--seed", default=0, show_default=True, help="Fixes their draws.")
@click.option("--serve", "serve_", is_flag=True, help="Where no server runs, run one meanwhile.")
@click.argument("file", required=False)
@as_json
def simulate(campaign: str, as_json: bool, **options: Any) -> None:  # noqa: ANN401
    """Let made-up raters vote over HTTP on the running server; their seats are marked simulated."""
    from arena.crowd import server_address
    from arena.crowd import simulate as run
    from arena.replay import replay
    from arena.serving import served

    with working() as (here, db, job), served(here) if options["serve_"] else contextlib.nullcontext():
        if options["profile"] == "replay":
            made = replay(here, db, campaign, job, server_address(here), options["file"])
        else:
            made = run(here, db, campaign, job, raters=options["raters_"], votes=options["votes"],
                       profile=options["profile"], noise=options["noise"], pace=options["pace"], seed=options["seed"],
                       file=options["file"])  # fmt: skip
    show(
        made,
        as_json,
        lambda: [f"{made.votes} votes by {made.raters} simulated raters in {made.seconds:.1f} s"],
    )


@click.command()
@click.argument("model")
@temperature
@max_new_tokens
@system_prompt
def chat(model: str, **options: Any) -> None:  # noqa: ANN401
    """Talk to a model in the terminal; an empty line ends it."""
    from arena.demo import ensure_starter
    from arena.generating import player_of
    from arena.players import GenerationSettings
    from db.entities.catalog import Message

    with writing() as (here, db):
        player = player_of(here, ensure_starter(db, model))
    turns: list[Message] = []
    while text := _asked():
        turns.append({"role": "user", "content": text})
        click.echo(f"{model}: ", nl=False)
        answer = ""
        for piece in player.stream(turns, GenerationSettings(**options)):
            answer += piece
            click.echo(piece, nl=False)
        click.echo()
        turns.append({"role": "assistant", "content": answer})


def _asked() -> str:
    """What the person types next; nothing at the end of input."""
    try:
        return str(click.prompt("you", default="", show_default=False))
    except click.Abort:
        return ""


@click.command()
@click.argument("file", type=click.Path(dir_okay=False))
@as_json
def backup(file: str, as_json: bool) -> None:
    """Write a consistent copy of the database, also while the server runs."""
    from db.upkeep import backup as run

    size = run(home(), Path(file))
    show({"file": file, "bytes": size}, as_json, lambda: [f"{file}: {size} bytes"])


@click.command()
@click.argument("file", type=click.Path(dir_okay=False))
@as_json
def restore(file: str, as_json: bool) -> None:
    """Put a backup in the place of the home's database; the old one is kept beside it."""
    from arena.upkeep import restore as run

    kept = run(home(), Path(file))
    text = "restored" + (f"; the database it replaces is kept as {kept}" if kept else "")
    show({"file": file, "replaced": kept}, as_json, lambda: [text])


@click.command()
@as_json
def check(as_json: bool) -> None:
    """Check the home: integrity, invariants, hashes of snapshots, files of models."""
    from arena.upkeep import check as run
    from db.errors import UserError

    found = run(home())
    show({"problems": found}, as_json, lambda: found or ["no problem found"])
    if found:
        raise UserError(f"problems in {home().root}: {len(found)}", "restore a backup, or report them")


@click.command()
@click.option("--yes", is_flag=True, help="Remove what can go; without it nothing is removed.")
@click.option("--older-than", type=click.IntRange(0), default=14, show_default=True, metavar="DAYS",
              help="Only what did not change for so many days.")  # fmt: skip
@click.option(
    "--hub", is_flag=True, help="Also the cache of hub downloads, which other programs on this machine share."
)
@as_json
def prune(yes: bool, older_than: int, hub: bool, as_json: bool) -> None:
    """Show what takes room and nothing uses: old checkpoints, unfinished runs, models, exports, backups. Votes stay."""
    from datetime import timedelta

    from arena import pruning
    from arena.jobs import reconcile

    with writing() as (here, db):
        reconcile(db)
        found = pruning.look(db, here, timedelta(days=older_than), hub=hub)
        freed = pruning.remove(found) if yes else 0

    def row(piece: pruning.Piece) -> dict[str, object]:
        return {"what": piece.sort.value, "bytes": piece.size, "changed": f"{piece.changed:%Y-%m-%d}",
                "path": here.relative(piece.path), "stays": piece.stays}  # fmt: skip

    document = {"can_go": [row(p) for p in found.can_go], "stays": [row(p) for p in found.stays],
                "bytes": found.size, "freed": freed}  # fmt: skip
    shown = [{**row(p), "bytes": megabytes(p.size), "stays": p.stays or ("removed" if yes else "can go")}
             for p in (*found.can_go, *found.stays)]  # fmt: skip
    end = f"{megabytes(freed)} freed" if yes else f"{megabytes(found.size)} can go: `prune --yes` removes it"
    show(
        document,
        as_json,
        lambda: [*(table(shown) if shown else []), end if found.can_go else "nothing can go"],
    )


def megabytes(size: int) -> str:
    """A size as people read it."""
    return f"{size / 2**20:,.1f} MB"


@click.command()
@click.argument("other_home", type=click.Path(file_okay=False))
@click.option("--as", "label", metavar="LABEL", help="What stands behind a name that is taken here: NAME@LABEL "
              "(default: the other home's folder).")  # fmt: skip
@as_json
def combine(other_home: str, label: str | None, as_json: bool) -> None:
    """Bring another home's prompts, answers, models, campaigns, raters, votes and runs into this one; twice adds nothing."""
    from arena.combining import combine as run

    with working() as (here, db, job):
        report = run(here, db, Path(other_home), label, job)
    lines = [*table([{"what": noun, "new": n, "already there": report.already_there[noun]} for noun, n in report.added.items()]),
             *(f"the {noun} {old!r} is another one here: it came in as {new!r}" for noun, old, new in report.renamed),
             "left in the other home: " + ", ".join(f"{n} {noun}" for noun, n in report.left.items())]  # fmt: skip
    show(report._asdict(), as_json, lambda: lines)
