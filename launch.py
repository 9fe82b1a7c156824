"""Tastebench from the command line: one short function a verb, each calling one workflow.

    python launch.py [--home DIR] VERB ...        (no verb: serve)

Exit 0: done. Exit 2: the user can mend it, one line `error: what is wrong; what to do`. Anything else is a bug.
Only the standard library and click are imported here; a verb imports its workflow when it runs.
"""

import contextlib
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

if TYPE_CHECKING:
    from sqlite_utils import Database

    from arena.campaigning import Changed
    from arena.jobs import ThisJob
    from db.connection import Home
    from db.entities import Run
    from training.answers import AnswerPreflight
    from training.preflight import Preflight, RenderedToken

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 120}


# -- shared by the verbs ---------------------------------------------------------------------------------------


def home() -> "Home":
    """The home this command works on."""
    from db.connection import home_at

    return home_at(Path(click.get_current_context().find_root().params["home"]))


@contextlib.contextmanager
def writing() -> Iterator[tuple["Home", "Database"]]:
    """The home and a writing connection to it."""
    from db.connection import open_writer

    here = home()
    db = open_writer(here)
    try:
        yield here, db
    finally:
        db.conn.close()


@contextlib.contextmanager
def working() -> Iterator[tuple["Home", "Database", "ThisJob"]]:
    """The same for a heavy verb: it is a job, its progress goes to stderr, libraries that print too."""
    from arena.jobs import this_job, threads

    os.environ.setdefault("OMP_NUM_THREADS", threads())  # before torch is imported, which reads it once
    with (
        writing() as (here, db),
        this_job(db, _typed(), lambda line: click.echo(line, err=True)) as job,
        contextlib.redirect_stdout(sys.stderr),
    ):
        yield here, db, job


def _typed() -> list[str]:
    """What was typed from the verb on."""
    words: list[str] = click.get_current_context().find_root().obj or []
    for i, word in enumerate(words):
        if not word.startswith("-") and (i == 0 or words[i - 1] != "--home"):
            return words[i:]
    return words


def show(value: object, as_json: bool, lines: Callable[[], Sequence[str]]) -> None:
    """Print a result: one JSON document, or lines for a person."""
    if as_json:
        click.echo(json.dumps(value, default=_plain, ensure_ascii=False, indent=1))
    else:
        for line in lines():
            click.echo(line)


def _plain(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, Mapping):
        return dict(value)
    return str(value)


def table(rows: Sequence[Mapping[str, object]]) -> list[str]:
    """Rows in aligned columns under their names."""
    if not rows:
        return ["(none)"]
    heads = list(rows[0])
    cells = [heads] + [[_cell(row[head]) for head in heads] for row in rows]
    widths = [max(len(c[i]) for c in cells) for i in range(len(heads))]
    return ["  ".join(x.ljust(w) for x, w in zip(c, widths, strict=True)).rstrip() for c in cells]


def _cell(value: object) -> str:
    return (
        "" if value is None else ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    )


def names_of(text: str) -> list[str]:
    """A,B,C as a list."""
    return [part.strip() for part in text.split(",") if part.strip()]


as_json = click.option("--json", "as_json", is_flag=True, help="Print exactly one JSON document on stdout.")
models_named = click.option("--models", "models_", required=True, help="Models, comma-separated.")
prompts_chosen = click.option("--prompts", required=True,
                              help="A set's name, all, train, heldout, or SET:train / SET:heldout.")  # fmt: skip
temperature = click.option(
    "--temperature", default=0.8, show_default=True, help="0 takes the likeliest token."
)
max_new_tokens = click.option("--max-new-tokens", default=256, show_default=True, help="Longest answer.")
system_prompt = click.option("--system", default="", help="System prompt; none by default.")


def pairs_made(default: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The options that say how votes become pairs."""
    options = (
        click.option("--policy", type=click.Choice(["majority", "vote", "consensus", "min-agreement"]), default=default,
                     show_default=True, help="How votes become pairs."),
        click.option("--min-agreement", type=click.FloatRange(0.5, 1.0), default=0.7, show_default=True,
                     help="With --policy min-agreement: the share of a battle's votes that must agree."),
        click.option("--weigh-raters", is_flag=True, help="Count each rater by what their votes tell (needs overlap)."),
        click.option("--no-simulated", is_flag=True, help="Leave votes of simulated raters out."),
        click.option("--no-written", is_flag=True, help="Leave better answers that raters wrote out."),
    )  # fmt: skip

    def add(verb: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            verb = option(verb)
        return verb

    return add


@click.group(context_settings=CONTEXT, invoke_without_command=True)
@click.option("--home", default="workspace", envvar="TASTEBENCH_HOME", show_default=True, show_envvar=True,
              help="Folder with arena.db, runs/, exports/, backups/.")  # fmt: skip
@click.pass_context
def cli(context: click.Context, home: str) -> None:  # noqa: ARG001 - read through the context
    """Blind taste tests for language models, and the training loop behind them. Without a verb: serve."""
    if context.invoked_subcommand is None:
        with serve.make_context("serve", [], parent=context) as alone:  # unlike invoke, it reads PORT
            serve.invoke(alone)


ACTS = {"campaign", "raters", "owner", "models", "jobs", "notices"}
LOOKS = {"list", "show", "preview", "logs", "live", "links", "plan", "settings"}


@cli.result_callback()
def noted(_result: object, **_options: object) -> None:
    """Write an act that was typed in a terminal into the audit log; the studio writes down its own."""
    words = _typed()
    if len(words) < 2 or words[0] not in ACTS or words[1] in LOOKS:
        return
    from arena.jobs import ASKED_VARIABLE, shown
    from db.audit import note
    from labeling.owners import TERMINAL

    if ASKED_VARIABLE in os.environ:
        return
    with writing() as (_, db):  # the address of a webhook can hold a secret
        note(db, TERMINAL, f"ran: {shown(words[:2] if words[0] == 'notices' else words)}")


# -- the web app -----------------------------------------------------------------------------------------------


@cli.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(1, 65535), default=7860, envvar="PORT", show_default=True,
              show_envvar=True, help="Port to listen on.")  # fmt: skip
@click.option(
    "--open/--no-open", "open_", default=None, help="Open a browser (default: if there is a screen)."
)
@click.option("--public-url", help="Address that raters use, if another than this machine's.")
@click.option("--root-path", default="", help="Path under which a reverse proxy shows the app.")
@click.option("--embed", metavar="ORIGIN", help="Origin of a page that may show the rating page in a frame.")
@click.option("--a", help="A model to compare: a checkpoint or adapter folder, hub id or registered name.")
@click.option("--b", help="The model it meets.")
@click.option("--prompts", help="File (or hub dataset) of prompts they answer.")
def serve(host: str, port: int, open_: bool | None, public_url: str | None, root_path: str, embed: str | None,
          a: str | None, b: str | None, prompts: str | None) -> None:  # fmt: skip
    """Start the web app (the default)."""
    from arena.serving import Contest, address_of, prepared
    from db.errors import UserError

    contest = Contest(a, b, prompts) if a and b and prompts else None
    if contest is None and (a or b or prompts):
        raise UserError("--a, --b and --prompts belong together", "give all three or none")
    root_path = root_path.rstrip("/")
    public = (public_url or address_of(host, port) + root_path).rstrip("/")
    with prepared(home(), host, port, contest, public if public_url or root_path else None) as links_for:
        links = links_for(public)
        click.echo(f"Tastebench, home {home().root}")
        for line in links.scanned:
            click.echo(f"  {line}")
        if links.rate:
            click.echo(f"  rate    {links.rate}")
        click.echo(f"  studio  {links.studio}")
        click.echo("Both links open at once on this machine. Ctrl-C stops the server; no vote is lost by it.")
        sys.stdout.flush()
        from arena.web.app import serve as serve_app

        serve_app(home(), host=host, port=port, public_url=public, root_path=root_path, embed=embed,
                  open_url=_browser(open_, links.rate or links.studio))  # fmt: skip


def _browser(wanted: bool | None, url: str) -> str | None:
    """The address to open in a browser once the app answers, or None."""
    if wanted is None:
        screen = (
            os.environ.get("DISPLAY")
            or os.environ.get("WAYLAND_DISPLAY")
            or sys.platform in ("darwin", "win32")
        )
        wanted = bool(screen) and sys.stdout.isatty()
    return url if wanted else None


@cli.group()
def owner() -> None:
    """Who may open the studio: owners, and viewers who only look."""


@owner.command("link")
@click.option("--name", help="Whose; the first owner by default.")
def owner_link(name: str | None) -> None:
    """Print a new one-time link to the studio; without --name also a new link to the owner's own rating seat."""
    from datetime import UTC, datetime

    from arena.serving import address_for_links, links, studio_link
    from labeling.owners import owner_link_token

    with writing() as (here, db):
        public = address_for_links(here, db)
        if name is not None:
            click.echo(f"studio  {studio_link(public, owner_link_token(db, datetime.now(UTC), name))}")
            return
        made = links(db, public)
    if made.rate:
        click.echo(f"rate    {made.rate}")
    click.echo(f"studio  {made.studio}")


@owner.command("add")
@click.argument("name")
@click.option("--viewer", is_flag=True, help="May look at everything and change nothing.")
@as_json
def owner_add(name: str, viewer: bool, as_json: bool) -> None:
    """Let someone in under NAME; prints the one-time link to send them."""
    from datetime import UTC, datetime

    from arena.serving import address_for_links, studio_link
    from labeling.owners import add

    with writing() as (here, db):
        token = add(db, name, viewer=viewer, now=datetime.now(UTC))
        row = {
            "name": name,
            "role": "viewer" if viewer else "owner",
            "link": studio_link(address_for_links(here, db), token),
        }
    show(row, as_json, lambda: [str(row["link"])])


@owner.command("list")
@as_json
def owner_list(as_json: bool) -> None:
    """Owners and viewers."""
    from db.owners import list_owners

    with writing() as (_, db):
        rows = [asdict(o) for o in list_owners(db)]
    show(rows, as_json, lambda: table([{k: v for k, v in r.items() if k != "id"} for r in rows]))


@owner.command("remove")
@click.argument("name")
def owner_remove(name: str) -> None:
    """Take someone's way in: their links, password and open browsers."""
    from db.owners import remove_owner

    with writing() as (_, db):
        remove_owner(db, name)
        click.echo(f"{name} is out: no link, password or browser of theirs opens the studio any more")


@owner.command("password")
@click.option("--name", help="Whose; the first owner's by default.")
def owner_password(name: str | None) -> None:
    """Set a password; it is asked for, never an argument. Their open browsers are logged out."""
    from db.owners import get_owner
    from labeling.owners import hash_of, set_password

    with writing() as (_, db):
        called = get_owner(db, name).name
        hashed = hash_of(
            click.prompt(f"new password of {called}", hide_input=True, confirmation_prompt=True), called
        )
        set_password(db, called, hashed)
        click.echo(f"{called} logs in with this name and password from now on")


# -- notices ---------------------------------------------------------------------------------------------------


@cli.group()
def notices() -> None:
    """What happened: a target met, a job ended, an alarm; in the studio and by a signed webhook."""


@notices.command("list")
@click.option("--n", default=50, show_default=True, help="How many, the newest first.")
@as_json
def notices_list(n: int, as_json: bool) -> None:
    """The newest notices first."""
    from db.notices import list_notices

    with writing() as (_, db):
        rows = [asdict(found) for found in list_notices(db, n)]
    brief = [{k: r[k] for k in ("at", "kind", "text", "sent_at", "problem")} for r in rows]
    show(rows, as_json, lambda: table(brief))


@notices.command("webhook")
@click.argument("url", required=False)
@click.option("--own-network", is_flag=True, help="The address may be a private one or this machine's.")
@click.option("--off", is_flag=True, help="Send notices nowhere.")
def notices_webhook(url: str | None, own_network: bool, off: bool) -> None:
    """Send notices to URL from now on; prints the secret that signs them, once."""
    from datetime import UTC, datetime

    from arena.notices import set_webhook
    from db import notices as kept
    from db.errors import UserError

    if (url is None) != off:
        raise UserError("either an address or --off is wanted", "give one of the two")
    with writing() as (_, db):
        if url is None:
            kept.set_webhook(db, None)
            click.echo("notices are sent nowhere from now on")
        else:
            click.echo(set_webhook(db, url, datetime.now(UTC), own_network=own_network))


@notices.command("test")
def notices_test() -> None:
    """Send a made-up notice to the webhook now."""
    from arena.notices import send_test
    from db.notices import get_webhook

    with writing() as (_, db):
        hook = get_webhook(db)
    send_test(hook)
    click.echo("delivered")


# -- models, data ----------------------------------------------------------------------------------------------


@cli.group()
def models() -> None:
    """The registry of models."""


@models.command("add")
@click.argument("name")
@click.option("--source", help="Checkpoint folder or hub id.")
@click.option("--adapter", help="Adapter folder over the source.")
@click.option("--quantize", type=click.Choice(["4bit", "8bit"]), help="Hold the weights in fewer bits.")
@click.option("--endpoint", help="Address of an OpenAI-compatible server, /v1 included.")
@click.option("--remote-name", help="The model's name on that server.")
@click.option("--recorded", is_flag=True, help="Its responses are imported.")
@as_json
def models_add(name: str, as_json: bool, **options: Any) -> None:  # noqa: ANN401
    """Register a model under NAME."""
    from arena.registry import add

    with writing() as (_, db):
        model = add(db, name, **options)
        show(model, as_json, lambda: [f"{model.name}: {model.kind}"])


@models.command("list")
@as_json
def models_list(as_json: bool) -> None:
    """Every registered model."""
    from arena.registry import listing

    with writing() as (_, db):
        rows = listing(db)
        show(rows, as_json, lambda: table(rows))


@models.command("show")
@click.argument("name")
@as_json
def models_show(name: str, as_json: bool) -> None:
    """One model."""
    from arena.demo import ensure_starter

    with writing() as (_, db):
        model = ensure_starter(db, name)
        show(model, as_json, lambda: [f"{k}: {v}" for k, v in asdict(model).items() if v is not None])


@models.command("remove")
@click.argument("name")
def models_remove(name: str) -> None:
    """Take a model off the lists; its responses and votes stay."""
    from db.catalog import remove_model

    with writing() as (_, db):
        remove_model(db, name)
        click.echo(f"{name} is off the lists; its responses and votes stay")


@cli.command("import")
@click.argument("kind", type=click.Choice(["prompts", "responses", "votes", "verdicts", "pairs", "scores"]))
@click.argument("file")
@click.option(
    "--format", "format_", help="Name of the file's format; guessed from its columns where left out."
)
@click.option("--map", "mapping", multiple=True, metavar="THEIRS=OURS", help="Which column is which.")
@click.option("--campaign", help="Campaign to fill; else one named after the file.")
@click.option("--split", type=click.Choice(["train", "heldout"]), help="Put all prompts into this half.")
@as_json
def import_(kind: str, file: str, format_: str | None, mapping: Sequence[str], campaign: str | None,
            split: str | None, as_json: bool) -> None:  # fmt: skip
    """Bring in prompts, responses, votes, verdicts, pairs or scores."""
    from db.entities import Split
    from db.errors import UserError
    from labeling.importing import ImportKind, import_file

    for pair in mapping:
        if "=" not in pair:
            raise UserError(f"--map {pair} names no column of ours", "write --map theirs=ours")
    columns = dict(pair.split("=", 1) for pair in mapping)
    with working() as (here, _, _job):
        report = import_file(here, ImportKind(kind), file, format=format_, mapping=columns, campaign=campaign,
                             split=Split(split) if split else None)  # fmt: skip
    for refusal in report.refusals:
        click.echo(f"line {refusal.line}: {refusal.reason}", err=True)
    fields = ("read", "added", "already_there", "refused", "refused_file")
    for note in report.notes:
        click.echo(note, err=True)
    result = {f: getattr(report, f) for f in fields}
    show(result, as_json, lambda: [f"{k}: {v}" for k, v in result.items() if v is not None])


@cli.command()
@models_named
@prompts_chosen
@click.option("--n", "samples", default=1, show_default=True, help="Responses a prompt.")
@temperature
@max_new_tokens
@click.option("--seed", default=0, show_default=True, help="Fixes the draw.")
@system_prompt
@as_json
def generate(models_: str, prompts: str, samples: int, as_json: bool, **options: Any) -> None:  # noqa: ANN401
    """Write the responses that are missing; can be stopped and run again."""
    from arena.demo import ensure_starter
    from arena.generating import generate as run
    from arena.players import GenerationSettings

    with working() as (here, db, job):
        for name in names_of(models_):
            ensure_starter(db, name)
        written = run(here, db, names_of(models_), prompts, GenerationSettings(**options), samples=samples,
                      say=job.say, should_stop=job.should_stop)  # fmt: skip
    rows = [w._asdict() for w in written]
    show(rows, as_json, lambda: table(rows))


# -- campaigns and raters --------------------------------------------------------------------------------------


@cli.group()
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
    from arena.registry import create_campaign
    from db.entities import CampaignSettings
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
    from db.entities import FROZEN, CampaignSettings
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
                click.echo(scanning.decide(db, name, battle, "owner", held=held, reason=reason), err=True)
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
@click.option("--n", default=3, show_default=True, help="How many ballots.")
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
    def change(name: str) -> None:
        from db.entities import CampaignStatus
        from labeling.scanning import set_status

        with writing() as (_, db):
            click.echo(f"{name}: {set_status(db, name, CampaignStatus(status)).status}")


_status_verb("open", "open", "Hand out ballots (again).")
_status_verb("pause", "paused", "Hand out no ballots for now; votes on those already out are refused.")
_status_verb("close", "closed", "End a campaign.")


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
@click.argument("seat", type=int)
def campaign_revoke(name: str, seat: int) -> None:
    """Close a seat of a campaign; its votes stay."""
    from arena.inviting import revoke

    with writing() as (_, db):
        revoke(db, name, seat)
        click.echo(f"seat {seat} is closed; its votes stay")


@campaign.command("revoke-link")
@click.argument("name")
@click.argument("link", type=int)
def campaign_revoke_link(name: str, link: int) -> None:
    """Let nobody new in by an open link; who has a seat keeps it."""
    from arena.inviting import revoke_link

    with writing() as (_, db):
        revoke_link(db, name, link)
        click.echo(f"open link {link} lets nobody new in; who has a seat keeps it")


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


@cli.group()
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
    def decide(rater: str, reason: str) -> None:
        from db.campaigns import decide_rater

        with writing() as (_, db):
            decide_rater(db, rater, counted=counted, reason=reason)
            click.echo(
                f"{rater}: {'counted again' if counted else 'left out of every figure; nothing is deleted'}"
            )


_decision_verb("exclude", False, "Leave a rater's votes out of every figure; nothing is deleted.")
_decision_verb("include", True, "Count a rater's votes again.")


@raters.command("forget")
@click.argument("rater")
def raters_forget(rater: str) -> None:
    """Forget who a rater is: pseudonym, platform ids, links, written texts. The votes leave every figure; no way back."""
    from arena.inviting import forget

    with writing() as (_, db):
        click.echo(f"{rater} is forgotten; {forget(db, rater)} stays as a tombstone without any of it")


# -- judges, figures, data out ---------------------------------------------------------------------------------


@cli.command()
@click.argument("campaign")
@click.option("--with", "kind", type=click.Choice(["reward"]), default="reward", show_default=True,
              help="What judges.")  # fmt: skip
@click.option("--model", help="Reward model: a folder or hub id; the home's own by default.")
@as_json
def judge(campaign: str, kind: str, model: str | None, as_json: bool) -> None:
    """Let a machine rater judge the battles of a campaign."""
    from arena.judging import reward_judge, score_campaign
    from db.campaigns import get_campaign

    with working() as (here, db, job):
        chosen = reward_judge(db, here, model)
        n = score_campaign(db, get_campaign(db, campaign), chosen, job.say, job.should_stop)
    result = {"judge": chosen.name, "kind": kind, "scored": n}
    show(result, as_json, lambda: [f"{n} responses scored by {chosen.name}"])


@cli.command()
@click.argument("campaign", required=False)
@click.option("--where", help="Only some votes, e.g. turn=1,rater=expert*,tag=code.")
@click.option("--html", type=click.Path(dir_okay=False), help="Write one self-contained page.")
@click.option("--plots", type=click.Path(file_okay=False), help="Write the plots into a folder.")
@as_json
def report(
    campaign: str | None, where: str | None, html: str | None, plots: str | None, as_json: bool
) -> None:
    """What the votes say."""
    from arena import report as reporting

    with writing() as (_, db):
        made = reporting.report(db, campaign, where)
    if html:
        reporting.write_html(made, Path(html))
    if plots:
        reporting.write_plots(made, Path(plots))
    show(made.to_json(), as_json, made.to_lines)


@cli.command()
@click.argument("folder", type=click.Path(file_okay=False))
@click.option("--campaign", help="Only this campaign's votes.")
@click.option(
    "--format",
    "format_",
    default="trl",
    show_default=True,
    help="trl, kto, reward, ultrafeedback, responses, sft, votes or csv.",
)
@pairs_made("vote")
@click.option("--ties", type=click.Choice(["drop", "good", "bad"]), default="drop", show_default=True,
              help="With --format kto: what a tie says of its two answers.")  # fmt: skip
@click.option(
    "--push", metavar="REPO", help="Send it to a private hub dataset repository too, made where missing."
)
@click.option(
    "--public", is_flag=True, help="With --push: the repository may be public, and is made so where missing."
)
@click.option("--allow-personal-data/--no-personal-data", "allow_personal", default=None,
              help="You have looked at texts that seem to hold mail addresses, phone numbers or keys, and they may go; or "
                   "stop where there are any. By default they are named, and only --push stops.")  # fmt: skip
@click.option("--with-comments", "comments", is_flag=True,
              help="Also what raters wrote as comments, reasons and reports: it may tell who they are.")  # fmt: skip
@click.option("--exact-times", is_flag=True, help="Times to the millisecond instead of the day.")
@click.option("--preview", "preview_", is_flag=True, help="Only show what would be written.")
@as_json
def export(folder: str, format_: str, preview_: bool, as_json: bool, **options: Any) -> None:  # noqa: ANN401
    """Write a dataset folder that datasets.load_dataset(FOLDER) loads."""
    from labeling.exporting import export as run
    from labeling.exporting import order_of, preview, preview_lines
    from labeling.policy import policy_of

    if preview_:
        seen = preview(home(), order_of(options["campaign"], format_, policy_of(options), comments=options["comments"],
                                        exact_times=options["exact_times"]))  # fmt: skip
        show(seen, as_json, lambda: preview_lines(seen))
        return
    with working() as (here, _, _job):
        made = run(here, Path(folder), campaign=options["campaign"], format=format_, push=options["push"],
                   public=options["public"], policy=policy_of(options), allow_personal=options["allow_personal"],
                   comments=options["comments"], exact_times=options["exact_times"])  # fmt: skip
    for reason, n in made.left_out.items():
        click.echo(f"left out: {n} votes, {reason}", err=True)
    if made.personal and not options["allow_personal"]:
        found = ", ".join(f"{n} {kind}" for kind, n in made.personal.items())
        click.echo(f"look before you pass it on: the texts seem to hold personal data ({found}); --preview names the "
                   "places", err=True)  # fmt: skip
    for refused in made.refused[:20]:
        click.echo(f"refused: {refused.reason}, answers {' and '.join(refused.responses)}", err=True)
    show(made, as_json, lambda: [f"{made.folder}: " + ", ".join(f"{k} {v}" for k, v in made.splits.items())])


# -- training --------------------------------------------------------------------------------------------------


@cli.group()
def train() -> None:
    """Freeze a snapshot of votes, train, register the candidate, open its blind rematch."""


def run_options(kind: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The options of `train KIND`."""
    options: list[Callable[..., Any]] = [
        click.option("--from", "parent", required=True, help="Model to start from."),
        click.option("--campaign", "campaigns", multiple=True, help="Campaign whose votes train; may be given again."),
        click.option("--pairs", help="A named pair set, or a file of pairs."),
        click.option("--snapshot", help="A snapshot frozen before, by its hash."),
        click.option("--preset",
                     help="starter, lora, qlora, full or smoke; the one that suits the model by default."),
        click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE",
                     help="Change a setting; may be given again."),
        pairs_made("majority"),
        click.option("--preflight", "preflight_", is_flag=True, help="Only show what would be trained on."),
        click.option("--dry-run", is_flag=True, help="Only show what the run would be: rows, settings, steps, warnings."),
        click.option("--name", help="The candidate's name; PARENT-r1, -r2, ... by default."),
    ]  # fmt: skip
    if kind == "sft":
        options.append(click.option("--data", help="Answers to learn: a file of questions and answers (qa, alpaca, "
                                    "sharegpt, lima), or the name such a file was imported under."))  # fmt: skip
    if kind == "dpo":
        options.append(
            click.option("--reference", default="parent", show_default=True, help="parent, or a model.")
        )
    if kind != "reward":
        options += [
            click.option("--against", default="parent", show_default=True,
                         help="parent, base, champion or a model."),
            click.option("--no-rematch", is_flag=True, help="Only train and register."),
        ]  # fmt: skip

    def add(verb: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            verb = option(verb)
        return as_json(verb)

    return add


def train_kind(kind: str, as_json: bool, preflight_: bool, options: dict[str, Any]) -> None:
    """What every `train KIND` does."""
    from arena.rounds import dry_run, preflight, request_from, retrain
    from db.entities import RunKind

    if options.pop("dry_run"):
        with writing() as (here, db), contextlib.redirect_stdout(sys.stderr):
            would = dry_run(db, here, request_from(here, options, RunKind(kind)))._asdict()
        show(would, as_json, lambda: [f"{k}: {v}" for k, v in would.items()])
        return
    if preflight_:
        with writing() as (here, db), contextlib.redirect_stdout(sys.stderr):
            shown = preflight(db, here, request_from(here, options, RunKind(kind)))
        show(asdict(shown) | {"problems": shown.problems}, as_json, lambda: preflight_lines(shown))
        return
    with working() as (here, db, job):
        made = retrain(db, here, request_from(here, options, RunKind(kind)), job)
    if made.note:
        click.echo(made.note, err=True)
    result = run_row(made.run)
    show(result, as_json, lambda: [f"{k}: {v}" for k, v in result.items()])


@train.command("sft")
@run_options("sft")
def train_sft(as_json: bool, preflight_: bool, **options: Any) -> None:  # noqa: ANN401
    """Learn answers as they stand: a file's, the chosen sides of pairs, and what raters wrote."""
    train_kind("sft", as_json, preflight_, options)


@train.command("dpo")
@run_options("dpo")
def train_dpo(as_json: bool, preflight_: bool, **options: Any) -> None:  # noqa: ANN401
    """Direct preference optimisation on the votes of a campaign, a pair set or a snapshot."""
    train_kind("dpo", as_json, preflight_, options)


@train.command("kto")
@run_options("kto")
def train_kto(as_json: bool, preflight_: bool, **options: Any) -> None:  # noqa: ANN401
    """Learn from answers judged one by one: good or bad, with or without a partner."""
    train_kind("kto", as_json, preflight_, options)


@train.command("reward")
@run_options("reward")
def train_reward(as_json: bool, preflight_: bool, **options: Any) -> None:  # noqa: ANN401
    """A reward model of your own, for `judge --with reward --model`; compared with the one in use on held-out pairs."""
    train_kind("reward", as_json, preflight_, options)


@train.command("resume")
@click.argument("run")
@as_json
def train_resume(run: str, as_json: bool) -> None:
    """Let a run that failed, was cancelled or killed go on from its newest checkpoint that verifies."""
    from arena.rounds import resume

    with working() as (here, db, job):
        made = resume(db, here, run, job)
    if made.note:
        click.echo(made.note, err=True)
    result = run_row(made.run)
    show(result, as_json, lambda: [f"{k}: {v}" for k, v in result.items()])


def preflight_lines(shown: "AnswerPreflight | Preflight") -> list[str]:
    """What a trainer would see, for a person."""
    from training.answers import AnswerPreflight

    def text(tokens: "Sequence[RenderedToken]") -> str:
        return repr("".join(token.text for token in tokens))

    rows = "answers" if isinstance(shown, AnswerPreflight) else "pairs"
    lines = [
        f"{shown.trained} of {shown.train} {rows} would train, {shown.evaluated} of {shown.heldout} are held out"
    ]
    lines += shown.problems
    if isinstance(shown, AnswerPreflight):
        for one in shown.rendered:
            lines += [
                f"row {one.row}: {one.prompt!r}",
                f"  {'good' if one.good else 'bad '}      {text(one.answer)}",
            ]
        return lines
    for row in shown.rendered:
        lines += [f"pair {row.pair}: {row.prompt!r}", f"  chosen    {text(row.chosen)}",
                  f"  rejected  {text(row.rejected)}"]  # fmt: skip
    return lines


def run_row(run: "Run") -> dict[str, object]:
    """A run as `train --json` prints it."""
    return {
        "run": run.name, "kind": run.kind, "model": run.model, "parent": run.parent, "snapshot": run.snapshot,
        "reference_proof": run.reference_proof, "metrics": run.metrics, "seconds": run.seconds,
        "rematch": run.rematch, "status": run.status,
    }  # fmt: skip


@cli.command()
@click.argument("model")
@click.option("--as", "name", required=True, help="Name of the merged model.")
@click.option("--mode", type=click.Choice(["base16", "nf4"]), default="base16", show_default=True,
              help="The base to add to: as it is kept, or rounded to 4 bits as QLoRA taught on it.")  # fmt: skip
@as_json
def merge(model: str, name: str, mode: str, as_json: bool) -> None:
    """Make a standalone checkpoint of an adapter model, checked against the adapter's own outputs."""
    from arena.registry import merge as run

    with working() as (here, db, job):
        job.say(0.0, f"merging {model}")
        made = run(here, db, model, name, mode)
    text = (f"{name}: largest logit difference {made.max_difference:.2g} (allowed {made.tolerance:.2g}), "
            f"{made.same_texts} of {made.prompts} answers the same")  # fmt: skip
    show(made, as_json, lambda: [text])


@cli.group()
def snapshot() -> None:
    """Frozen pairs."""


@snapshot.command("freeze")
@click.option(
    "--campaign", "campaigns", multiple=True, help="Campaign whose votes to freeze; all by default."
)
@click.option("--pairs", help="A named pair set instead.")
@pairs_made("majority")
@as_json
def snapshot_freeze(campaigns: Sequence[str], pairs: str | None, as_json: bool, **options: Any) -> None:  # noqa: ANN401
    """Freeze the pairs that votes make now."""
    from labeling.policy import policy_of
    from training.snapshots import Source, freeze

    with writing() as (_, db):
        made = freeze(db, Source(tuple(campaigns), pairs), policy_of(options))
        show(made, as_json, lambda: [f"{made.id}: {made.train} pairs to train on, {made.heldout} held out"])


@snapshot.command("show")
@click.argument("snapshot_id", required=False)
@as_json
def snapshot_show(snapshot_id: str | None, as_json: bool) -> None:
    """Every snapshot, or the pairs of one."""
    from db.runs import get_snapshot, list_snapshots, snapshot_rows

    with writing() as (_, db):
        if snapshot_id is None:
            rows = [asdict(s) for s in list_snapshots(db)]
            show(rows, as_json, lambda: table(rows))
        else:
            pairs = [r._asdict() for r in snapshot_rows(db, get_snapshot(db, snapshot_id).id)]
            show(
                pairs,
                as_json,
                lambda: [f"{p['part']:8} {p['chosen'][:60]!r} over {p['rejected'][:60]!r}" for p in pairs],
            )


# -- jobs, crowd, chat, the home -------------------------------------------------------------------------------


@cli.group("jobs")
def jobs_() -> None:
    """Every heavy command, whoever started it."""


@jobs_.command("list")
@as_json
def jobs_list(as_json: bool) -> None:
    """The newest jobs first."""
    from arena.registry import job_listing

    with writing() as (_, db):
        rows = job_listing(db)
        show(rows, as_json, lambda: table(rows))


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
        show(found, as_json, lambda: [f"{k}: {v}" for k, v in found.items() if v is not None])


@jobs_.command("cancel")
@click.argument("job", type=int)
def jobs_cancel(job: int) -> None:
    """Ask a job to end; kill it if it does not within half a minute."""
    from arena.jobs import cancel

    with writing() as (_, db):
        click.echo(f"job {job}: {cancel(db, job).status}")


@jobs_.command("resume")
@click.argument("job", type=int)
def jobs_resume(job: int) -> None:
    """Start a finished job's command again, as a new job; a training without a model goes on where it was."""
    from arena.registry import resume_job

    with writing() as (here, db):
        click.echo(f"job {resume_job(here, db, job).id} started; `jobs logs` shows what it prints")


@jobs_.command("logs")
@click.argument("job", type=int)
def jobs_logs(job: int) -> None:
    """What a job printed."""
    from arena.jobs import read_log
    from db.runs import get_job

    with writing() as (here, db):
        click.echo(read_log(here, get_job(db, job)))


@cli.command()
@click.argument("campaign")
@click.option("--raters", "raters_", default=10, show_default=True, help="How many made-up raters.")
@click.option("--votes", default=200, show_default=True, help="Votes in all.")
@click.option("--profile", default="honest", show_default=True, help="How they judge; replay reads FILE.",
              type=click.Choice(["honest", "careful", "lazy", "left", "random", "fast", "copy", "replay"]))  # fmt: skip
@click.option("--noise", type=float, help="Share of votes turned round (0 to 0.5).")
@click.option("--pace", type=float, default=0.0, help="Seconds really waited before each vote.")
@click.option("--seed", default=0, show_default=True, help="Fixes their draws.")
@click.argument("file", required=False)
@as_json
def simulate(campaign: str, as_json: bool, **options: Any) -> None:  # noqa: ANN401
    """Let made-up raters vote over HTTP on the running server; their seats are marked simulated."""
    from arena.crowd import simulate as run

    with working() as (here, db, job):
        made = run(here, db, campaign, job, raters=options["raters_"], votes=options["votes"],
                   profile=options["profile"], noise=options["noise"], pace=options["pace"], seed=options["seed"],
                   file=options["file"])  # fmt: skip
    show(
        made,
        as_json,
        lambda: [f"{made.votes} votes by {made.raters} simulated raters in {made.seconds:.1f} s"],
    )


@cli.command()
@click.argument("model")
@temperature
@max_new_tokens
@system_prompt
def chat(model: str, **options: Any) -> None:  # noqa: ANN401
    """Talk to a model in the terminal; an empty line ends it."""
    from arena.demo import ensure_starter
    from arena.generating import player_of
    from arena.players import GenerationSettings
    from db.entities import Message

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


@cli.command()
@click.argument("file", type=click.Path(dir_okay=False))
def backup(file: str) -> None:
    """Write a consistent copy of the database, also while the server runs."""
    from db.upkeep import backup as run

    click.echo(f"{file}: {run(home(), Path(file))} bytes")


@cli.command()
@click.argument("file", type=click.Path(dir_okay=False))
def restore(file: str) -> None:
    """Put a backup in the place of the home's database; the old one is kept beside it."""
    from arena.upkeep import restore as run

    kept = run(home(), Path(file))
    click.echo("restored" + (f"; the database it replaces is kept as {kept}" if kept else ""))


@cli.command()
@as_json
def check(as_json: bool) -> None:
    """Check the home: integrity, invariants, hashes of snapshots, files of models."""
    from arena.upkeep import check as run
    from db.errors import UserError

    found = run(home())
    show({"problems": found}, as_json, lambda: found or ["no problem found"])
    if found:
        raise UserError(f"{len(found)} problems in {home().root}", "restore a backup, or report them")


# -- the way out -----------------------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command; errors the user can mend are one line and exit code 2."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    from db.errors import UserError

    try:
        cli.main(words, prog_name="launch.py", obj=words, standalone_mode=False)
    except UserError as error:
        _refuse(str(error), words)
    except click.ClickException as error:
        _refuse(f"{_usage(error)}; see `{_verb_of(error)} --help`", words)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except BrokenPipeError:  # whoever read the output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    sys.exit(0)


def _usage(error: click.ClickException) -> str:
    """What was typed wrong."""
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        return f"{_verb_of(error)} needs a verb"
    return error.format_message().strip().rstrip(".")


def _verb_of(error: click.ClickException) -> str:
    """The verb that was misused, as it is typed."""
    return error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else "launch.py"


def _refuse(reason: str, words: Sequence[str]) -> NoReturn:
    """One line on stderr, exit code 2; a supervised job that could not even begin keeps the reason."""
    line = " ".join(reason.split())
    click.echo(f"error: {line}", err=True)
    if "TASTEBENCH_JOB" in os.environ and words[:1] == ["--home"]:
        from arena.jobs import never_began
        from db.connection import home_at

        never_began(home_at(Path(words[1])), line)
    sys.exit(2)


if __name__ == "__main__":
    main()
