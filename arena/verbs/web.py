"""The verbs of the web app: serve, its owners, its notices."""

import os
import sys
from dataclasses import asdict
from datetime import timedelta
from typing import Any

import click

from arena.verbs.shared import Number, as_json, home, show, table, writing


@click.command()
@click.option("--host", envvar="TASTEBENCH_HOST", show_envvar=True,
              help="Address to listen on (default: 127.0.0.1; in a Space 0.0.0.0).")  # fmt: skip
@click.option("--port", type=click.IntRange(1, 65535), envvar="PORT", show_envvar=True,
              help="Port to listen on (default: 7860).")  # fmt: skip
@click.option(
    "--open/--no-open", "open_", default=None, help="Open a browser (default: if there is a screen)."
)
@click.option("--public-url", envvar="TASTEBENCH_PUBLIC_URL", show_envvar=True,
              help="Address that raters use, if another than this machine's; other names are refused then.")  # fmt: skip
@click.option("--root-path", envvar="TASTEBENCH_ROOT_PATH", show_envvar=True,
              help="Path under which a reverse proxy shows the app (default: the path of --public-url).")  # fmt: skip
@click.option("--embed", metavar="ORIGIN", envvar="TASTEBENCH_EMBED", show_envvar=True,
              help="Origin of a page that may show the rating page in a frame.")  # fmt: skip
@click.option("--trusted-proxies", metavar="ADDRESSES", envvar="TASTEBENCH_TRUSTED_PROXIES", show_envvar=True,
              help="Proxies whose X-Forwarded-For and -Proto are believed, comma-separated, '' for none "
                   "(default: 127.0.0.1,::1; in a Space private networks).")  # fmt: skip
@click.option("--backup-minutes", type=Number(0, 10_000), default=15.0, show_default=True,
              envvar="TASTEBENCH_BACKUP_MINUTES", show_envvar=True,
              help="Copy the database into backups/ so often, where something changed; 0 for never.")  # fmt: skip
@click.option("--log", type=click.Choice(["problems", "requests"]), default="problems", show_default=True,
              envvar="TASTEBENCH_LOG", show_envvar=True,
              help="What to log: what failed or took two seconds, or a line for each request too.")  # fmt: skip
@click.option("--keep-in", metavar="DATASET", envvar="TASTEBENCH_KEEP_IN", show_envvar=True,
              help="Private dataset on the hub that keeps the home where the disk does not last; needs HF_TOKEN.")  # fmt: skip
@click.option("--keep-minutes", type=Number(0.05, 10_000), default=5.0, show_default=True,
              envvar="TASTEBENCH_KEEP_MINUTES", show_envvar=True,
              help="With --keep-in: send the home there so often, where something changed, and when the server stops.")  # fmt: skip
@click.option("--a", help="A model to compare: a checkpoint or adapter folder, hub id or registered name.")
@click.option("--b", help="The model it meets.")
@click.option("--prompts", help="File (or hub dataset) of prompts they answer.")
def serve(open_: bool | None, backup_minutes: float, log: str, a: str | None, b: str | None, prompts: str | None,
          keep_minutes: float, **place: Any) -> None:  # fmt: skip  # noqa: ANN401
    """Start the web app (the default)."""
    from arena.web.allocating import share_arenas

    share_arenas()  # before the first thread
    from arena.hosting import Place, placed
    from arena.keeping import kept
    from arena.serving import Contest, prepared
    from arena.web.hosts import checked_proxies
    from db.errors import UserError

    contest = Contest(a, b, prompts) if a and b and prompts else None
    if contest is None and (a or b or prompts):
        raise UserError("--a, --b and --prompts belong together", "give all three or none")
    at = placed(Place(**place), os.environ)
    checked_proxies(at.proxies)
    host, port = at.listens
    with (
        kept(home(), at.keep_in, keep_minutes, lambda line: click.echo(line, err=True)) as told,
        prepared(home(), host, port, contest, at.told) as links_for,
    ):
        links = links_for(at.public)
        click.echo(f"Tastebench, home {home().root}")
        for line in (*told, *links.scanned):
            click.echo(f"  {line}")
        later = "not yet: `owner link` prints it once a campaign is open"
        click.echo(f"  rate    {links.rate or later}")
        click.echo(f"  studio  {links.studio}")
        where = "by that address" if at.told else "on this machine"
        opens = "Both links open" if links.rate else "The link opens"
        click.echo(
            f"{opens} {where} once it says Ready, in some seconds. Ctrl-C stops the server; no vote is lost by it."
        )
        sys.stdout.flush()
        from arena.upkeep import copied_every
        from arena.web.app import serve as serve_app

        copying = copied_every(
            home(), timedelta(minutes=backup_minutes), lambda line: click.echo(line, err=True)
        )
        with copying:
            serve_app(home(), host=host, port=port, public_url=at.told, root_path=at.root, embed=at.embed,
                      trusted_proxies=at.proxies, log=log, open_url=_browser(open_, links.rate or links.studio))  # fmt: skip


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


@click.group()
def owner() -> None:
    """Who may open the studio: owners, and viewers who only look."""


@owner.command("link")
@click.option("--name", help="Whose; the first owner by default.")
@as_json
def owner_link(name: str | None, as_json: bool) -> None:
    """Print a new one-time link to the studio; without --name also a new link to the owner's own rating seat."""
    from datetime import UTC, datetime

    from arena.inviting import address
    from arena.serving import links, studio_link
    from labeling.owners import owner_link_token

    with writing() as (here, db):
        public = address(db, here)
        if name is not None:
            rate, studio = None, studio_link(public, owner_link_token(db, datetime.now(UTC), name))
        else:
            made = links(db, public)
            rate, studio = made.rate, made.studio
    lines = ([f"rate    {rate}"] if rate else []) + [f"studio  {studio}"]
    show({"rate": rate, "studio": studio}, as_json, lambda: lines)


@owner.command("add")
@click.argument("name")
@click.option("--viewer", is_flag=True, help="May look at everything and change nothing.")
@as_json
def owner_add(name: str, viewer: bool, as_json: bool) -> None:
    """Let someone in under NAME; prints the one-time link to send them."""
    from datetime import UTC, datetime

    from arena.inviting import address
    from arena.serving import studio_link
    from labeling.owners import add

    with writing() as (here, db):
        token = add(db, name, viewer=viewer, now=datetime.now(UTC))
        row = {
            "name": name,
            "role": "viewer" if viewer else "owner",
            "link": studio_link(address(db, here), token),
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


@click.group()
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
