"""The verbs of the home: backups, the check, what can go, and two homes made one."""

from pathlib import Path

import click

from arena.verbs.shared import (
    as_json,
    home,
    show,
    table,
    working,
    writing,
)


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
