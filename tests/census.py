"""Every route of the built app, asked by everybody: `python -m tests.census` writes docs/routes.md, a test compares.

Each of our own routes is asked with what would do the thing for the rater it belongs to; Gradio's routes under each page
with nothing. A route that nobody wrote down here is found in the app itself, so a new one changes the table.
"""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from starlette.routing import Mount, Route

from arena.web.sessions import now
from db.connection import Home
from db.entities.campaigns import CampaignSettings
from labeling.owners import add, owner_link_token
from tests.factories import make_home
from tests.serving import Running, running

TARGET = Path(__file__).resolve().parents[1] / "docs" / "routes.md"
ROLES = ("nobody", "rater", "other rater", "viewer", "owner")
HEAD = """# Every route and who gets what

Made by `python -m tests.census` from the running app; do not edit. A test compares it, so a route that is new or answers
somebody else fails until this table is written anew and read. Roles: nobody (no cookie), the rater whom the ballot in the
request belongs to, another rater of the same campaign, a viewer, an owner. The numbers are HTTP statuses; 303 leads to the
login page unless the table says otherwise.
"""


@dataclass(frozen=True)
class Cast:
    """Who asks: a browser for each role, and the ballot that is the first rater's."""

    clients: Mapping[str, httpx.Client]
    assignment: str
    link: str
    token: Callable[[], str]
    """a new one-time token of the owner's"""


Body = Callable[[Cast], dict[str, Any]]
# what is posted where; a POST that is not named here is asked with an empty object
BODIES: dict[tuple[str, str], Body] = {
    ("POST", "/api/vote"): lambda c: {"assignment": c.assignment, "choice": "left", "key": "census"},
    ("POST", "/api/undo"): lambda c: {"assignment": c.assignment},
    ("POST", "/api/consent"): lambda c: {"version": "1"},
    ("POST", "/api/quiz"): lambda c: {"answers": [0]},
    ("POST", "/api/live"): lambda c: {"message": "What is new?"},
    ("POST", "/api/login"): lambda c: {"token": c.token()},
}  # fmt: skip


@dataclass
class Row:
    """One route's answers, by role."""

    method: str
    path: str
    answers: dict[str, int] = field(default_factory=dict)

    def cells(self) -> tuple[int, ...]:
        """The answers in the order of the roles."""
        return tuple(self.answers[role] for role in ROLES)


def home_of(folder: Path) -> Home:
    """A home with ballots enough for everybody who asks."""
    return make_home(folder, prompts=40, settings=CampaignSettings(overlap=500))


def routes_of(app: object) -> Iterator[tuple[str, str]]:
    """(method, path) of every route, those of routers it includes too (their paths hold the prefix already)."""
    for route in getattr(app, "routes", ()):
        if isinstance(route, Route):
            yield from ((method, route.path) for method in sorted(route.methods or ()))
        elif hasattr(route, "original_router"):
            yield from routes_of(route.original_router)


def cast(web: Running, viewer: str) -> Cast:
    """Fresh browsers for everybody, the first rater with a ballot."""
    rater, other = web.rater(), web.rater()
    ballot = rater.get("/api/next").json()["ballots"][0]["assignment"]
    other.get("/api/next")
    looks = web.client()
    token = web.writer.call(lambda db: add(db, viewer, viewer=True, now=now()))
    assert looks.post("/api/login", json={"token": token}).status_code == 200
    clients = dict(zip(ROLES, (web.client(), rater, other, looks, web.owner()), strict=True))
    login = lambda: web.writer.call(lambda db: owner_link_token(db, now()))  # noqa: E731
    return Cast(clients, ballot, web.link().rpartition("/")[2], login)


def asked(client: httpx.Client, method: str, address: str, body: dict[str, Any] | None = None) -> int:
    """The status of one answer, which may have no end."""
    given = {"json": body or {}} if method == "POST" else {}
    with client.stream(method, address, timeout=60, **given) as answer:
        return answer.status_code


def own_rows(web: Running) -> list[Row]:
    """Our own routes. Everybody is new at each that changes something; the rater whom it belongs to comes last."""
    rows, looking = [], cast(web, "viewer")
    for number, (method, path) in enumerate(sorted(set(routes_of(web.app)), key=lambda r: (r[1], r[0]))):
        people = cast(web, f"viewer {number}") if method == "POST" else looking
        body = BODIES.get((method, path), lambda _: {})
        addresses = {"": path} if "{token}" not in path else {
            " (a good link)": path.format(token=people.link), " (an unknown link)": path.format(token="x" * 32)}  # fmt: skip
        for note, address in addresses.items():
            row = Row(method, path + note)
            for role in sorted(ROLES, key=lambda r: r == "rater"):
                row.answers[role] = asked(people.clients[role], method, address, body(people))
            rows.append(row)
    return rows


def page_rows(web: Running) -> list[Row]:
    """Gradio's routes under every page."""
    people = cast(web, "viewer of pages")
    rows = []
    for mount in (r for r in web.app.routes if isinstance(r, Mount)):
        for method, path in sorted(set(routes_of(mount.app)), key=lambda r: (r[1], r[0])):
            plain = path.replace("{path:path}", "x").replace("{", "").replace("}", "")
            row = Row(method, mount.path + path)
            for role in ROLES:
                row.answers[role] = asked(people.clients[role], method, mount.path + plain)
            rows.append(row)
    return rows


def closed(rows: list[Row]) -> list[str]:
    """The paths under a page that are not there for anybody, on whichever page."""
    shut: dict[str, bool] = {}
    for row in rows:
        key = f"{row.method} /{row.path.split('/', 2)[2]}"
        shut[key] = shut.get(key, True) and set(row.cells()) == {404}
    return sorted(key for key, all_closed in shut.items() if all_closed)


def document(own: list[Row], pages: list[Row]) -> str:
    """docs/routes.md."""
    gone = closed(pages)
    kept = [r for r in pages if f"{r.method} /{r.path.split('/', 2)[2]}" not in gone]
    head = ["| route | " + " | ".join(ROLES) + " |", "|---" * (len(ROLES) + 1) + "|"]
    table = [f"| `{r.method} {r.path}` | " + " | ".join(map(str, r.cells())) + " |" for r in own]
    under = [f"| `{r.method} {r.path}` | " + " | ".join(map(str, r.cells())) + " |" for r in kept]
    return "\n".join([
        HEAD, "## Our own\n", *head, *table, "\n`GET /` leads each to the page that suits them, `GET /join` to `/rate`.",
        "\n## Under the pages\n", *head, *under, "\n## Gradio's routes that are not there: 404 for everybody on every page\n",
        "(Files under assets, static and svelte that exist are the same for everybody; `x`, which was asked for, does not.)\n",
        *(f"- `{key}`" for key in gone), "",
    ])  # fmt: skip


def main() -> None:
    """Write docs/routes.md."""
    with tempfile.TemporaryDirectory() as folder, running(home_of(Path(folder) / "home")) as web:
        TARGET.write_text(document(own_rows(web), page_rows(web)), encoding="utf-8")


if __name__ == "__main__":
    main()
