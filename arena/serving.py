"""Workflow: what `serve` does before and around the web app: the lock, the demo, the links, the models it was given."""

import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from sqlite_utils import Database

from arena import jobs
from arena.demo import seed
from arena.hosting import address_of
from arena.registry import register
from db.campaigns import find_campaign
from db.catalog import set_setting
from db.connection import PROJECT, Home, open_writer
from db.errors import NotFound, UserError
from db.lock import Lock, server_of
from labeling.joining import owner_invitation
from labeling.owners import owner_link_token
from labeling.scanning import scan_unscanned

WAIT = 120.0
"""seconds that a server of our own has to start, and to end"""


@dataclass(frozen=True, slots=True)
class Links:
    """What the terminal shows."""

    rate: str | None
    studio: str
    scanned: tuple[str, ...] = ()
    """what the blinding guard did first, a line for each campaign of an older version"""


@dataclass(frozen=True, slots=True)
class Contest:
    """Two models and a prompt file to compare at once, as `serve --a --b --prompts` names them."""

    a: str
    b: str
    prompts: str


def check_port(host: str, port: int) -> None:
    """UserError where the address is taken or not this machine's."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise UserError(
                f"cannot listen on {host}:{port} ({error.strerror})", "choose another --port or --host"
            ) from None


@contextmanager
def prepared(
    home: Home, host: str, port: int, contest: Contest | None, public_url: str | None = None
) -> Iterator[Callable[[str], Links]]:
    """Hold the home while the block runs; yields what makes the links for a public address.

    UserError before anything is written where another server has the home or another program the port.
    """
    lock = Lock(home)
    try:
        check_port(host, port)
        db = open_writer(home)
        with closing(db.conn):
            jobs.reconcile(db)
            if contest is not None:
                begin_contest(home, db, contest)
            else:
                seed(db)
            set_setting(db, "public_url", public_url or "")
            scanned = tuple(scan_unscanned(db))
            lock.announce(address_of(host, port))
            yield lambda public: replace(links(db, public), scanned=scanned)
    finally:
        lock.release()


@contextmanager
def served(home: Home) -> Iterator[None]:
    """A server runs on the home while the block does: the one that is there, else one of our own on a free port.

    UserError where it does not answer within WAIT seconds; what went wrong is in the home's logs, its links nowhere.
    """
    if server_of(home) is not None:
        yield
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = home.logs / "serve.log"
    with log.open("ab") as out:
        command = jobs.command_line(home, ["serve", "--no-open", "--port", str(port)])
        server = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=out, stdin=subprocess.DEVNULL, cwd=PROJECT
        )
    try:
        _answers(address_of("127.0.0.1", port), server, log)
        yield
    finally:
        server.terminate()
        try:
            server.wait(WAIT)
        except subprocess.TimeoutExpired:
            server.kill()


def _answers(address: str, server: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until the server answers."""
    import httpx

    deadline = time.monotonic() + WAIT
    while time.monotonic() < deadline and server.poll() is None:
        try:
            if httpx.get(f"{address}/healthz", timeout=5, trust_env=False).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    raise UserError("the server did not start", f"see {log}, or start `serve` yourself")


def links(db: Database, public: str) -> Links:
    """New links to the owner's seat and to the studio, absolute."""
    now = datetime.now(UTC)
    try:
        rate = f"{public}/join/{owner_invitation(db).token}"
    except NotFound:  # no campaign yet
        rate = None
    return Links(rate, studio_link(public, owner_link_token(db, now)))


def studio_link(public: str, token: str) -> str:
    """The address that spends a one-time token."""
    return f"{public}/login?token={token}"


def begin_contest(home: Home, db: Database, contest: Contest) -> None:
    """Register two models, import the prompts, and start the job that answers them and opens the campaign."""
    from labeling.importing import ImportKind, import_file

    names = [register(db, source) for source in (contest.a, contest.b)]
    if names[0] == names[1]:
        raise UserError(f"--a and --b are both {names[0]!r}", "name two different models")
    report = import_file(home, ImportKind.PROMPTS, contest.prompts)
    name = f"{names[0][:38]} vs {names[1][:38]}"
    if find_campaign(db, name) is None:
        jobs.start(home, db, ["campaign", "create", name, "--models", ",".join(names), "--prompts",
                              report.prompt_set or "all", "--generate"])  # fmt: skip
