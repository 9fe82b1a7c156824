"""The web app: JSON routes for raters and one Gradio mount a page, behind the guard. No torch in this process."""

import contextlib
import gc
import importlib
import os
import re
import sys
import webbrowser
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

# before Gradio is imported: no telemetry, no figures kept of every event
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("GRADIO_ANALYTICS_CACHE_FREQUENCY", "1000000000")
os.environ.setdefault("GRADIO_ANALYTICS_MAX_EVENTS", "1")

import gradio as gr
import uvicorn
from fastapi import FastAPI, Request

from arena import notices
from arena.web import api, chrome, live_api, logins, logs, metrics
from arena.web.context import OWNERS, RATERS
from arena.web.context import Context as Context
from arena.web.guard import Guard
from arena.web.hosts import checked_proxies
from arena.web.live_room import Room
from arena.web.request_log import Requests
from arena.web.sessions import BadTries, Door, Page, may_open, now
from arena.web.watching import Watcher
from db.connection import Home, Readers, Writer
from db.errors import UserError

MOUNT_OPTIONS = {
    "footer_links": [], "run_history": False, "show_error": False, "enable_monitoring": False, "mcp_server": False,
    "ssr_mode": False, "max_file_size": "1mb", "allowed_paths": [], "pwa": False,
}  # fmt: skip
_ORIGIN = re.compile(r"https?://[A-Za-z0-9.-]+(:\d+)?")
_ROOT_PATH = re.compile(r"(/[A-Za-z0-9._~-]+)*")


@dataclass(frozen=True, slots=True)
class Address:
    """How the outside reaches the app: the public address, a proxy's prefix, a site that may frame the rating page,
    the address it listens on."""

    public_url: str | None = None
    root_path: str = ""
    embed: str | None = None
    listens: str = "127.0.0.1"
    https: bool = field(init=False)
    host: str | None = field(init=False)

    def __post_init__(self) -> None:
        if self.embed is not None and not _ORIGIN.fullmatch(self.embed):
            raise UserError(f"{self.embed!r} is no origin", "give one such as --embed https://example.org")
        if not _ROOT_PATH.fullmatch(self.root_path):
            raise UserError(f"{self.root_path!r} is no path", "give one such as --root-path /tastebench")
        parts = urlsplit(self.public_url or "")
        object.__setattr__(self, "https", parts.scheme == "https")
        object.__setattr__(self, "host", parts.netloc.lower() or None)


def create_app(
    home: Home,
    *,
    embed: str | None = None,
    root_path: str = "",
    https: bool = False,
    public_url: str | None = None,
    listens: str = "127.0.0.1",
    metrics_token: str | None = None,
) -> FastAPI:
    """The whole app over a home: routes, pages, guard. Its writer closes when the app shuts down."""
    address = Address(public_url, root_path.rstrip("/"), embed, listens)
    writer, readers = Writer(home), Readers(home)
    context = Context(home, readers, writer, chrome.theme())
    door = Door(readers, https or address.https, embed)
    web = api.Web(context, door, BadTries(), address.root_path)
    room = Room(readers, writer, context.players, context.failures)

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        writer.call(lambda db: notices.begin(db, now()))
        watcher = Watcher(context, lambda: web.logins.failures)
        watcher.start()
        context.kept.warm()
        yield
        watcher.stop()
        web.logins.close()
        room.close()
        context.players.close()
        context.kept.close()
        writer.close()

    app = FastAPI(lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    app.state.web, app.state.room = web, room
    app.state.metrics = metrics.Metrics(readers, writer, metrics_token)
    api.add_ballot_routes(app)
    app.include_router(metrics.router)
    app.include_router(api.router)
    app.include_router(logins.router)
    app.include_router(live_api.router)
    app.add_exception_handler(UserError, api.on_user_error)
    app.add_exception_handler(api.NotJson, api.on_not_json)
    app.add_exception_handler(Exception, api.on_bug)
    for page in Page:
        _mount(app, page, context, door, address)
    app.add_middleware(
        Guard, door=door, root_path=address.root_path, public_host=address.host, listens=listens
    )
    app.add_middleware(Requests, timed=app.state.metrics.timed, root_path=address.root_path)
    return app


def _mount(app: FastAPI, page: Page, context: Context, door: Door, address: Address) -> None:
    """One page: a Gradio app of its own with its own permission check."""
    name = f"arena.web.pages.{page}"
    build: Callable[[Context], gr.Blocks] = importlib.import_module(name).page
    gr.mount_gradio_app(
        app, build(context), path=f"/{page}", auth_dependency=_permission(page, door), theme=context.theme,
        head=chrome.head(page, address.root_path), **MOUNT_OPTIONS,
    )  # fmt: skip


def _permission(page: Page, door: Door) -> Callable[[Request], str | None]:
    """Gradio's own check of a request: a word for whoever may open the page, None for the others.

    The word names an owner's session, so that an act in the page is known to be theirs (studio/acts.py), or a rater's
    lineage, whose shared results are all they see.
    """

    def allowed(request: Request) -> str | None:
        visitor = door.visitor(request)
        if not may_open(page, visitor):
            return None
        if visitor.owner is not None:
            return f"{OWNERS}{visitor.owner.id}"
        return f"{RATERS}{visitor.rater.lineage}" if visitor.rater is not None else "visitor"

    return allowed


class _Server(uvicorn.Server):
    """Uvicorn that opens a browser once it answers, and no longer looks for garbage in what the start left behind."""

    def __init__(self, config: uvicorn.Config, open_url: str | None) -> None:
        super().__init__(config)
        self._open_url = open_url

    async def startup(self, *args: object, **kwargs: object) -> None:
        """Start listening, say so, then open the browser."""
        await super().startup(*args, **kwargs)  # type: ignore[arg-type]
        gc.collect()
        gc.freeze()  # or every full collection walks all of Gradio, in the middle of somebody's vote
        if self.started:
            sys.stdout.write("Ready.\n")
            sys.stdout.flush()
        if self._open_url and self.started:
            webbrowser.open(self._open_url)


def _engine() -> tuple[str, str]:
    """(loop, parser): Uvicorn's fast ones, or its plain ones where those cannot be had (Windows)."""
    try:
        import httptools
        import uvloop
    except ImportError:
        return "asyncio", "h11"
    return uvloop.__name__, httptools.__name__


def serve(
    home: Home, *, host: str = "127.0.0.1", port: int = 7860, public_url: str | None = None, root_path: str = "",
    embed: str | None = None, trusted_proxies: str = "127.0.0.1,::1", open_url: str | None = None,
    log: str = logs.Chatter.PROBLEMS,
) -> None:  # fmt: skip
    """Run the app until it is told to stop. One process: sessions of Gradio's pages live in it.

    A client's address and https are taken from X-Forwarded-For and X-Forwarded-Proto where one of `trusted_proxies` says
    them, and from nobody else.
    """
    proxies = checked_proxies(trusted_proxies)
    app = create_app(home, embed=embed, root_path=root_path, public_url=public_url, listens=host,
                     metrics_token=os.environ.get(metrics.TOKEN_VARIABLE))  # fmt: skip
    loop, parser = _engine()
    config = uvicorn.Config(
        app, host=host, port=port, log_level="warning", log_config=None, access_log=False, server_header=False,
        timeout_graceful_shutdown=3, timeout_keep_alive=30, lifespan="on",
        proxy_headers=bool(proxies), forwarded_allow_ips=proxies, loop=loop, http=parser,
    )  # fmt: skip
    logs.set_up(logs.Chatter(log))
    _Server(config, open_url).run()
