"""The verbs that decide which model leads, and tell the rounds that led there."""

from pathlib import Path

import click

from arena.verbs.data import models
from arena.verbs.shared import as_json, asked_by, show, working, writing

count_simulated = click.option(
    "--count-simulated", is_flag=True, help="Also count votes of simulated raters; the record says so."
)


@click.command()
@click.argument("model")
@click.option("--reason", help="Why, where the rule does not promote it: it is then promoted by hand.")
@click.option("--force", is_flag=True, help="With --reason: also where votes found a rival better.")
@count_simulated
@as_json
def promote(model: str, reason: str | None, force: bool, count_simulated: bool, as_json: bool) -> None:
    """Make MODEL the champion: by the rule from blind votes on held-out prompts, or by hand with a reason."""
    from arena.promoting import promote as run

    with writing() as (_, db):
        made = run(db, model, asked_by(), reason=reason, force=force, simulated=count_simulated)
    show(made._asdict(), as_json, lambda: [
        f"{made.promotion.model} is the champion, by {made.promotion.way}: {made.promotion.reason}",
        *(f"closed: {name}" for name in made.closed),
    ])  # fmt: skip


@click.command()
@click.option("--reason", help="Why; it is kept with the record.")
@as_json
def rollback(reason: str | None, as_json: bool) -> None:
    """Make the champion before the present one the champion again; nothing is deleted."""
    from arena.promoting import rollback as run

    with writing() as (_, db):
        made = run(db, asked_by(), reason=reason)
    now = f"{made.champion} is the champion again" if made.champion else "there is no champion now"
    show(made._asdict(), as_json, lambda: [f"the promotion of {made.promotion.model} is rolled back; {now}"])


@click.command()
@click.option("--csv", "csv_", type=click.Path(dir_okay=False), help="Write them as a table too.")
@count_simulated
@as_json
def rounds(csv_: str | None, count_simulated: bool, as_json: bool) -> None:
    """One record a round: snapshot, run, candidate, blind rematch, evidence, decision, next step."""
    from arena.lineage import rounds as read
    from arena.lineage import to_csv, to_json, to_lines
    from arena.report_files import write_text

    with writing() as (_, db):
        found = read(db, simulated=count_simulated)
    if csv_:
        write_text(Path(csv_), to_csv(found))
    show(to_json(found), as_json, lambda: to_lines(found))


@models.command("card")
@click.argument("name")
def models_card(name: str) -> None:
    """The card of a model as the figures stand now, as Markdown."""
    from arena.modelcards import card

    with writing() as (here, db):
        click.echo(card(db, here, name))


@models.command("push")
@click.argument("name")
@click.option(
    "--repo",
    metavar="OWNER/NAME",
    help="The model repository, made where missing, private; your own NAME by default.",
)
@click.option("--what", type=click.Choice(["adapter", "merged"]),
              help="Of an adapter model: itself (default), or the checkpoint it was merged into.")  # fmt: skip
@click.option(
    "--base", metavar="HUB_ID", help="Of an adapter over a folder of this machine: its base on the hub."
)
@click.option("--public", is_flag=True, help="The repository may be public, and is made so where missing.")
@as_json
def models_push(
    name: str, repo: str | None, what: str | None, base: str | None, public: bool, as_json: bool
) -> None:
    """Send a model (adapter, merged or reward model) with its card to a hub: private unless --public."""
    from arena.pushing import push
    from labeling.hub import own_repo

    with working(writes=False) as (here, db, job):
        repo = repo or own_repo(name)
        job.say(0.0, f"sending {name} to {repo}")
        made = push(db, here, name, repo, what=what, base=base, public=public)
    show(made._asdict(), as_json, lambda: [f"{made.model} ({made.what}) is at {made.address}"])
