"""The verbs of campaigns: what is compared, with which settings and checks, and how it stands."""

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from arena.verbs.shared import (
    as_json,
    asked_by,
    models_named,
    names_of,
    prompts_chosen,
    show,
    table,
    working,
    writing,
)

if TYPE_CHECKING:
    from sqlite_utils import Database

    from arena.campaigning import Changed


@click.group()
def campaign() -> None:
    """Blind comparisons: who meets whom, over which prompts."""


def settings_typed() -> Callable[[Callable[..., None]], Callable[..., None]]:
    """The option that sets any of a campaign's settings."""
    return click.option("--set", "typed", multiple=True, metavar="KEY=VALUE",
                        help="A setting of `campaign settings`; may be given again. @FILE reads a file.")  # fmt: skip


@campaign.command("create")
@click.argument("name")
@models_named
@prompts_chosen
@click.option("--overlap", default=1, show_default=True, help="Votes wanted for each battle.")
@click.option("--purpose", type=click.Choice(["collect", "evaluate"]), default="collect", show_default=True,
              help="collect: its votes train; evaluate: held-out prompts only, never trains.")  # fmt: skip
@click.option("--criteria", default="", help="Further questions, comma-separated.")
@settings_typed()
@click.option("--draft", is_flag=True, help="Do not open it yet.")
@click.option("--generate", "generate_", is_flag=True, help="First write the responses that are missing.")
@as_json
def campaign_create(name: str, as_json: bool, typed: Sequence[str], **options: Any) -> None:  # noqa: ANN401
    """Create a campaign and open it."""
    from arena.campaigning import create_campaign
    from db.entities.campaigns import CampaignSettings
    from labeling.campaign_settings import changed, typed_pairs

    named = {key: str(options[key]) for key in ("overlap", "purpose", "criteria")}
    settings = changed(CampaignSettings(), named | typed_pairs(typed))
    with contextlib.ExitStack() as stack:
        if options["generate_"]:
            here, db, job = stack.enter_context(working())
        else:
            (here, db), job = stack.enter_context(writing()), None
        made = create_campaign(here, db, name, names_of(options["models_"]), options["prompts"], settings,
                               draft=options["draft"], job=job)  # fmt: skip
    for line in made.notes:
        click.echo(line, err=True)
    show(made.row, as_json, lambda: [f"{name}: {made.battles} battles, {made.row['status']}"])


@campaign.command("settings")
@click.argument("name", required=False)
@as_json
def campaign_settings(name: str | None, as_json: bool) -> None:
    """Every setting of a campaign (or the defaults), what it means, and whether votes freeze it."""
    from db.campaigns import get_campaign
    from db.entities.campaigns import FROZEN, CampaignSettings
    from labeling.campaign_settings import MEANING, shown

    with writing() as (_, db):
        settings = get_campaign(db, name).settings if name else CampaignSettings()
    rows = [{"key": key, "value": shown(settings, key), "frozen": "with votes" if key in FROZEN else "",
             "meaning": meaning} for key, meaning in MEANING.items()]  # fmt: skip
    show(rows, as_json, lambda: table(rows))


@campaign.command("set")
@click.argument("name")
@click.argument("typed", nargs=-1, required=True, metavar="KEY=VALUE...")
@as_json
def campaign_set(name: str, typed: Sequence[str], as_json: bool) -> None:
    """Change settings; where there are votes and raters would see the change, a new version takes the campaign's place."""
    from arena.campaigning import change
    from labeling.campaign_settings import typed_pairs

    with writing() as (_, db):
        _show_changed(db, change(db, name, typed_pairs(typed)), as_json)


@campaign.command("clone")
@click.argument("name")
@click.option("--as", "new", help="The copy's name; NAME copy by default.")
@click.option("--models", "models_", default="", help="Other models, comma-separated.")
@click.option("--prompts", help="Other prompts.")
@settings_typed()
@as_json
def campaign_clone(name: str, new: str | None, models_: str, prompts: str | None, typed: Sequence[str],
                   as_json: bool) -> None:  # fmt: skip
    """Make a draft like another campaign, with its settings and check questions."""
    from arena.campaigning import clone
    from labeling.campaign_settings import typed_pairs

    with writing() as (_, db):
        _show_changed(db, clone(db, name, new, names_of(models_), prompts, typed_pairs(typed)), as_json)


def _show_changed(db: "Database", made: "Changed", as_json: bool) -> None:
    from arena.registry import campaign_row

    for line in made.notes:
        click.echo(line, err=True)
    row = campaign_row(db, made.campaign)
    word = "new version" if made.new_version else row["status"]
    show(row, as_json, lambda: [f"{made.campaign.name}: {word}, {row['battles']} battles"])


@campaign.command("gold")
@click.argument("name")
@click.option(
    "--file",
    "file",
    help="File of pairs (prompt, chosen, rejected), or a hub dataset: chosen is the known better.",
)
@click.option("--make", type=click.IntRange(1, 1000), help="Make so many by spoiling stored answers.")
@click.option("--seed", default=0, show_default=True, help="Fixes which answers are spoiled.")
@as_json
def campaign_gold(name: str, file: str | None, make: int | None, seed: int, as_json: bool) -> None:
    """Add check questions, whose better answer is known; without an option, count them."""
    from db.campaigns import get_campaign
    from db.checks import gold_count
    from labeling.gold import Added, add_file, add_spoiled

    with writing() as (_, db):
        chosen = get_campaign(db, name)
        made = Added(0, 0, 0)
        if file is not None:
            made = add_file(db, chosen, file)
        if make is not None:
            made = add_spoiled(db, chosen, make, seed)
        result = {"questions": gold_count(db, chosen.id), **made._asdict()}
    show(result, as_json, lambda: [f"{name}: {result['questions']} check questions ({made.added} new)"])


@campaign.command("guard")
@click.argument("name")
@click.option("--scan", "scan_", is_flag=True, help="Look at every battle again, with the list as it is now.")
@click.option(
    "--release", type=int, metavar="BATTLE", help="Serve and count a battle in spite of what was found."
)
@click.option("--hold", type=int, metavar="BATTLE", help="Hold a battle by hand: it is not lent any more.")
@click.option("--reason", default="", help="Why; it stays on record.")
@as_json
def campaign_guard(
    name: str, scan_: bool, release: int | None, hold: int | None, reason: str, as_json: bool
) -> None:
    """Battles that give a model away, are empty or as good as the same, or were reported; release or hold one."""
    from db.campaigns import get_campaign
    from labeling import scanning

    with writing() as (_, db):
        chosen = get_campaign(db, name)
        if scan_:
            scanned = scanning.scan(db, chosen.id)
            click.echo(f"{scanned.battles} battles scanned, {scanned.found} with a finding", err=True)
        for battle, held in ((release, False), (hold, True)):
            if battle is not None:
                click.echo(scanning.decide(db, name, battle, asked_by(), held=held, reason=reason), err=True)
        show(scanning.document(db, chosen), as_json, lambda: scanning.lines(db, chosen))


@campaign.command("guard-words")
@click.argument("file", required=False)
@click.option("--default", "default", is_flag=True, help="Go back to the list that the program comes with.")
def campaign_guard_words(file: str | None, default: bool) -> None:
    """Print the list of names and phrases that the guard looks for; with FILE, replace it."""
    from db.errors import UserError
    from labeling import scanning

    with writing() as (_, db):
        if file is None and not default:
            click.echo(scanning.words_text(db), nl=False)
            return
        try:
            text = "" if default or file is None else Path(file).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"cannot read {file}: {error}", "name a text file in UTF-8") from None
        words = scanning.save_words(db, text)
    click.echo(f"{len(words.names) + len(words.everyday)} names and {len(words.phrases)} phrases are looked for from now on; "
               "`campaign guard NAME --scan` looks at the battles there are")  # fmt: skip


@campaign.command("list")
@as_json
def campaign_list(as_json: bool) -> None:
    """Every campaign."""
    from arena.registry import campaign_listing

    with writing() as (_, db):
        rows = campaign_listing(db)
        show(rows, as_json, lambda: table(rows))


@campaign.command("preview")
@click.argument("name")
@click.option("--n", type=click.IntRange(1), default=3, show_default=True, help="How many ballots.")
@as_json
def campaign_preview(name: str, n: int, as_json: bool) -> None:
    """Print the first ballots of a campaign as a rater would read them."""
    from arena.registry import preview, preview_lines

    with writing() as (_, db):
        ballots = preview(db, name, n)
        show(ballots, as_json, lambda: preview_lines(ballots))


def _status_verb(word: str, status: str, text: str) -> None:
    """The three verbs that open, pause and close a campaign."""

    @campaign.command(word, help=text)
    @click.argument("name")
    @as_json
    def change(name: str, as_json: bool) -> None:
        from arena.registry import campaign_row
        from db.entities.campaigns import CampaignStatus
        from labeling.scanning import set_status

        with writing() as (_, db):
            row = campaign_row(db, set_status(db, name, CampaignStatus(status)))
        show(row, as_json, lambda: [f"{name}: {row['status']}"])


_status_verb("open", "open", "Hand out ballots (again).")
_status_verb("pause", "paused", "Hand out no ballots for now; votes on those already out are refused.")
_status_verb("close", "closed", "End a campaign.")


@campaign.command("live")
@click.argument("name")
@as_json
def campaign_live(name: str, as_json: bool) -> None:
    """An open session now: who is there, votes a minute, how far it is, flags."""
    from datetime import UTC, datetime

    from db.campaigns import get_campaign
    from labeling import live

    with writing() as (_, db):
        chosen = get_campaign(db, name)
        pulse, look = live.pulse(db, chosen, datetime.now(UTC)), live.look(db, chosen)
    show(live.document(pulse, look), as_json, lambda: live.lines(pulse, look))


@campaign.command("plan")
@click.argument("name")
@click.option(
    "--difference", default=0.1, show_default=True, help="How far from a half the win rate is: 0.1 is 60:40."
)
@click.option("--people", default=10, show_default=True, help="How many rate.")
@click.option("--pay", default=0.0, help="What a person is paid an hour.")
@click.option("--fee", default=0.0, help="The platform's fee as a share of the pay: 0.33 is a third.")
@click.option("--currency", default="EUR", show_default=True, help="Of the pay.")
@click.option(
    "--seconds", type=float, help="A vote takes; by the votes so far or the length of the texts if left out."
)
@as_json
def campaign_plan(name: str, as_json: bool, **options: Any) -> None:  # noqa: ANN401
    """Votes, people, minutes and cost for a wanted difference, and what the campaign can tell apart as it stands."""
    from arena.planning import Wish
    from arena.plans import plan

    with writing() as (_, db):
        made = plan(db, name, Wish(**options))
    show(made, as_json, lambda: [made.sentence, *made.notes])
