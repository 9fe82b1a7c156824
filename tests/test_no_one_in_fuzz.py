"""Anything at all, posted to every JSON route and given to every importer: an answer or one line, and nothing half in."""

import contextlib
import csv
import io
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from arena.web.sessions import now
from db.connection import home_at, open_reader
from db.entities.campaigns import CampaignSettings
from db.errors import UserError
from db.upkeep import check
from labeling.importing import ImportKind, import_file
from labeling.owners import owner_link_token
from tests.census import routes_of
from tests.factories import make_home
from tests.serving import Running, running
from tests.test_labeling_formats import KNOWN

pytestmark = pytest.mark.slow

TEXT = st.text(max_size=30) | st.sampled_from(
    ["left", "0" * 32, "\x00", "\ud800", "1e999", "../..", "' OR 1=1 --", "[" * 500]
)
LEAF = st.none() | st.booleans() | st.integers() | st.floats() | TEXT | st.just(10**400) | st.just(-(2**63))
JSON = st.recursive(
    LEAF, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3), max_leaves=5
)
FIELDS = ("assignment", "choice", "key", "strength", "acceptable", "criteria", "tags", "comment", "better", "reason", "report", "elapsed_ms",
          "version", "answers", "message", "after", "token", "name", "password", "everywhere")  # fmt: skip
OURS = sorted(
    ["/api/vote", "/api/undo", "/api/consent", "/api/quiz", "/api/forget", "/api/login", "/api/logout", "/api/live",
     "/api/live/again", "/api/live/back"]
)  # fmt: skip
MANY = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    home = make_home(
        tmp_path_factory.mktemp("fuzz") / "home", prompts=20, settings=CampaignSettings(overlap=500)
    )
    with running(home) as served:
        yield served


def dumped(body: object) -> bytes:
    return json.dumps(body).encode("utf-8", "surrogatepass")


def test_every_json_route_is_fuzzed(web: Running) -> None:
    assert {path for method, path in routes_of(web.app) if method == "POST"} == set(OURS)


@pytest.mark.parametrize("path", OURS)
def test_any_json_is_answered_and_never_by_a_bug(web: Running, path: str) -> None:
    rater = web.rater()
    held = rater.get("/api/next").json()["ballots"][0]["assignment"]
    near = st.fixed_dictionaries({}, optional=dict.fromkeys(FIELDS, JSON)).map(
        lambda odd: {"assignment": held, "choice": "left", "key": "k", **odd}
    )

    @MANY
    @given(body=JSON | near)
    def posted(body: object) -> None:
        if isinstance(body, dict) and path == "/api/login":
            web.app.state.web.tries.__init__()  # the brake on guessing has tests of its own
        answer = rater.post(path, content=dumped(body), headers={"content-type": "application/json"})
        assert answer.status_code in (200, 401, 403, 404, 409, 422, 429), (body, answer.text)
        assert answer.headers["content-type"] == "application/json"

    posted()
    assert web.client().get("/healthz").status_code == 200


@MANY
@given(query=st.dictionaries(st.sampled_from(["n", "campaign", "assignment", "PROLIFIC_PID", "SESSION_ID", "workerId", "from", "token"]), TEXT, max_size=4),
       path=st.sampled_from(["/api/next", "/api/guidelines", "/api/live", "/api/reveal", "/rate/", "/login/", "/join/" + "x" * 32]))  # fmt: skip
def test_any_query_is_answered_and_never_by_a_bug(web: Running, query: dict[str, str], path: str) -> None:
    web.app.state.web.tries.__init__()
    client = _rater(web)
    with contextlib.suppress(UnicodeEncodeError, httpx.InvalidURL):
        answer = client.get(path, params={k: v.replace("\ud800", "") for k, v in query.items()})
        assert answer.status_code in (200, 303, 307, 400, 401, 403, 404, 409, 422), (query, answer.text)
        if "location" in answer.headers:
            assert answer.headers["location"].startswith(("/rate", "/login/?from="))


_RATERS: dict[str, httpx.Client] = {}


def _rater(web: Running) -> httpx.Client:
    return _RATERS.setdefault(web.base, web.rater())


@MANY
@given(
    content=st.binary(max_size=200),
    kind=st.sampled_from(["application/json", "application/json; charset=utf-16", "application/JSON ;x"]),
)
def test_any_bytes_are_answered(web: Running, content: bytes, kind: str) -> None:
    answer = _rater(web).post("/api/vote", content=content, headers={"content-type": kind})
    assert answer.status_code == 422


def test_the_home_is_whole_afterwards(web: Running) -> None:
    assert problems(web.home.root) == []
    assert web.writer.call(lambda db: owner_link_token(db, now()))


# -- importers ---------------------------------------------------------------------------------------------------

ROW = st.dictionaries(
    st.sampled_from(sorted({key for _, _, row in KNOWN for key in row})) | st.text(max_size=5),
    JSON,
    max_size=4,
)


def problems(root: Path) -> list[str]:
    return check(home_at(root))


def written(path: Path, rows: list[dict[str, Any]]) -> None:
    """The rows in the form that the file's name says; what it cannot hold is left out."""
    if path.suffix == ".parquet":
        texts = [{str(k): json.dumps(v) for k, v in row.items()} for row in rows]
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(texts), path)
    elif path.suffix == ".csv":
        columns = list(dict.fromkeys(itertools.chain.from_iterable(rows)))
        held = io.StringIO()
        sheet = csv.DictWriter(held, columns)
        sheet.writeheader()
        sheet.writerows(
            {k: v if isinstance(v, str) else json.dumps(v) for k, v in row.items()} for row in rows
        )
        path.write_bytes(held.getvalue().encode("utf-8", "replace"))
    elif path.suffix == ".json":
        path.write_bytes(dumped(rows))
    else:
        path.write_bytes(b"\n".join(dumped(row) for row in rows))


@pytest.mark.parametrize("suffix", [".jsonl", ".json", ".csv", ".parquet"])
def test_any_rows_in_any_format_go_in_or_are_refused_and_the_home_stays_whole(
    tmp_path: Path, suffix: str
) -> None:
    root = tmp_path / "home"
    home = home_at(root)

    @settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
    @given(known=st.sampled_from(KNOWN), odd=st.lists(ROW, max_size=3), other=st.sampled_from(ImportKind), named=st.booleans(),
           swap=st.booleans())  # fmt: skip
    def brought(
        known: tuple[str, str, dict[str, Any]],
        odd: list[dict[str, Any]],
        other: ImportKind,
        named: bool,
        swap: bool,
    ) -> None:
        name, kind, row = known
        rows = [row, *({**row, **one} for one in odd), *odd]
        try:
            written(tmp_path / f"f{suffix}", rows)
        except (ValueError, UnicodeEncodeError, pyarrow.ArrowException):
            return  # what this kind of file cannot hold
        into = other if swap else ImportKind(kind)
        try:
            report = import_file(
                home, into, str(tmp_path / f"f{suffix}"), format=name if named and not swap else None
            )
        except UserError as error:
            assert len(str(error).splitlines()) == 1  # noqa: PT017 - any of them is right that is one line
        else:
            assert report.read == len(rows)
            again = import_file(
                home, into, str(tmp_path / f"f{suffix}"), format=name if named and not swap else None
            )
            assert (again.added, again.refused) == (0, report.refused)

    brought()
    if home.database.exists():
        assert problems(root) == []
        db = open_reader(home)
        with contextlib.closing(db.conn):
            unfinished = db.conn.execute("SELECT count(*) FROM imports WHERE finished_at IS NULL").fetchone()
        assert unfinished == (0,), "a file that is refused leaves no import behind that waits for its end"


@pytest.mark.parametrize("suffix", [".jsonl", ".json", ".csv", ".tsv", ".parquet", ".jsonl.gz", ".txt"])
def test_any_bytes_under_any_name_are_rows_or_one_line(tmp_path: Path, suffix: str) -> None:
    home = home_at(tmp_path / "home")
    heads = st.sampled_from(
        [b"", b"PAR1", b"\x1f\x8b\x08", b"prompt\n", b'{"prompt":', b"[", b"\xef\xbb\xbf", b"PK\x03\x04"]
    )

    @settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
    @given(head=heads, content=st.binary(max_size=120), kind=st.sampled_from(ImportKind))
    def brought(head: bytes, content: bytes, kind: ImportKind) -> None:
        file = tmp_path / f"f{suffix}"
        file.write_bytes(head + content)
        try:
            import_file(home, kind, str(file))
        except UserError as error:
            assert len(str(error).splitlines()) == 1  # noqa: PT017 - any of them is right that is one line

    brought()
    if home.database.exists():
        assert problems(tmp_path / "home") == []
