"""The verbs of raters: the links that let them in, who counts, who is forgotten; and made-up ones."""

import contextlib
from pathlib import Path
from typing import Any

import click

from arena.verbs.campaigns import campaign
from arena.verbs.shared import Number, as_json, asked_by, show, table, working, writing


@campaign.command("invite")
@click.argument("name")
@click.option(
    "--seats",
    default=1,
    show_default=True,
    help="How many people: personal links, or seats of the open link.",
)
@click.option("--reissue", type=int, metavar="SEAT", help="A new link to a seat that exists.")
@click.option("--open-link", is_flag=True, help="One link that all of them use, in place of one each.")
@click.option("--expires", type=float, metavar="DAYS", help="Links nobody has used by then stop working.")
@click.option(
    "--sheet", type=click.Path(dir_okay=False), help="Also write a page to print: cards with QR codes (HTML)."
)
@as_json
def campaign_invite(name: str, seats: int, reissue: int | None, open_link: bool, expires: float | None,
                    sheet: str | None, as_json: bool) -> None:  # fmt: skip
    """Print links, one a line; a personal link is one seat. They are shown once."""
    from arena import inviting
    from arena.sheet import write_sheet
    from db.errors import UserError

    if open_link and reissue is not None:
        raise UserError(
            "--reissue renews a personal link",
            "leave out --open-link, or revoke it with `campaign revoke-link`",
        )
    with writing() as (here, db):
        if open_link:
            links = [inviting.invite_openly(db, here, name, seats, expires)]
        elif reissue is not None:
            links = [inviting.reissue(db, here, name, reissue, expires)]
        else:
            links = inviting.invite(db, here, name, seats, expires)
        for line in inviting.advice(db, here, name):
            click.echo(line, err=True)
    show(links, as_json, lambda: [link.link for link in links])
    if sheet:
        write_sheet(Path(sheet), links)


@campaign.command("links")
@click.argument("name")
@as_json
def campaign_links(name: str, as_json: bool) -> None:
    """Open links and seats of a campaign and how they stand. The links themselves are not kept: reissue one."""
    from arena import inviting

    with writing() as (_, db):
        found = inviting.listing(db, name)
    links, seats = ([row._asdict() for row in rows] for rows in (found.open_links, found.seats))
    show(
        {"open_links": links, "seats": seats},
        as_json,
        lambda: ["Open links", *table(links), "", "Seats", *table(seats)],
    )


@campaign.command("revoke")
@click.argument("name")
@click.argument("seat", type=int, required=False)
@as_json
def campaign_revoke(name: str, seat: int | None, as_json: bool) -> None:
    """Close a seat of a campaign, or, where none is named, all its seats and open links; votes stay."""
    from arena.inviting import Revoked, revoke, revoke_all

    with writing() as (_, db):
        if seat is not None:
            revoke(db, name, seat)
            made = Revoked([seat], [])
        else:
            made = revoke_all(db, name)
    lines = [f"seat {n} is closed; its votes stay" for n in made.seats]
    lines += [f"open link {n} lets nobody new in" for n in made.open_links]
    row = {"name": name, **made._asdict()}
    show(row, as_json, lambda: lines or [f"{name} has no seat or open link to close"])


@campaign.command("revoke-link")
@click.argument("name")
@click.argument("link", type=int)
def campaign_revoke_link(name: str, link: int) -> None:
    """Let nobody new in by an open link; who has a seat keeps it."""
    from arena.inviting import revoke_link

    with writing() as (_, db):
        revoke_link(db, name, link)
        click.echo(f"open link {link} lets nobody new in; who has a seat keeps it")


@click.group()
def raters() -> None:
    """Who rates, by pseudonym."""


@raters.command("list")
@as_json
def raters_list(as_json: bool) -> None:
    """Every rater with their seat, their figures and what to look at."""
    from arena.raters import rater_listing

    with writing() as (_, db):
        rows = rater_listing(db)
        short = (
            "name",
            "kind",
            "seat",
            "campaign",
            "votes",
            "excluded",
            "gold_accuracy",
            "agreement",
            "reasons",
        )
        show(rows, as_json, lambda: table([{key: row.get(key) for key in short} for row in rows]))


def _decision_verb(word: str, counted: bool, text: str) -> None:
    """The two verbs that leave a rater out and take them in again."""

    @raters.command(word, help=text)
    @click.argument("rater")
    @click.option("--reason", required=True, help="Why; it stays on record.")
    @as_json
    def decide(rater: str, reason: str, as_json: bool) -> None:
        from db.raters import decide_rater

        with writing() as (_, db):
            decide_rater(db, rater, counted=counted, reason=reason)
        text = f"{rater}: {'counted again' if counted else 'left out of every figure; nothing is deleted'}"
        show({"name": rater, "counted": counted, "reason": reason}, as_json, lambda: [text])


_decision_verb("exclude", False, "Leave a rater's votes out of every figure; nothing is deleted.")
_decision_verb("include", True, "Count a rater's votes again.")


@raters.command("forget")
@click.argument("rater")
@click.option(
    "--reason", default="", help="Why; it goes into the log of what was done, without the pseudonym."
)
@as_json
def raters_forget(rater: str, reason: str, as_json: bool) -> None:
    """Forget who a rater is: pseudonym, platform ids, links, written texts. The votes leave every figure; no way back."""
    from arena.inviting import forget
    from db.audit import note

    with writing() as (_, db):
        left = forget(db, rater)
        note(db, asked_by(), f"forgot a rater; {left} stays" + (f": {reason}" if reason else ""))
    text = f"{rater} is forgotten; {left} stays as a tombstone without any of it"
    show({"name": left, "forgotten": True, "reason": reason}, as_json, lambda: [text])


@click.command()
@click.argument("campaign")
@click.option("--raters", "raters_", default=10, show_default=True, help="How many made-up raters.")
@click.option("--votes", default=200, show_default=True, help="Votes in all.")
@click.option("--profile", default="honest", show_default=True, help="How they judge; replay reads FILE.",
              type=click.Choice(["honest", "careful", "lazy", "left", "random", "fast", "copy", "replay"]))  # fmt: skip
@click.option("--noise", type=float, help="Share of votes turned round (0 to 0.5).")
@click.option("--pace", type=Number(0, 3600), default=0.0, help="Seconds really waited before each vote.")
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
