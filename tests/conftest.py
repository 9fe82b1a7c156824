"""What tests share: a home of their own, a writing connection to it, and a place to find real data."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlite_utils import Database

from db.catalog import add_model
from db.connection import Home, home_at, open_writer
from db.entities import Model, ModelKind
from tests.standin import StandIn, standing_in

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return home_at(tmp_path / "home")


@pytest.fixture
def db(home: Home) -> Iterator[Database]:
    opened = open_writer(home)
    yield opened
    opened.conn.close()


@pytest.fixture
def voted(db: Database) -> Database:
    """The home's database after eight votes for the polite answers; for a `home` that can train."""
    from tests.workshop import give_votes

    give_votes(db)
    return db


@pytest.fixture
def server() -> Iterator[StandIn]:
    """An OpenAI-compatible server that answers as the test says."""
    with standing_in() as running:
        yield running


@pytest.fixture
def far(db: Database, server: StandIn) -> Model:
    """A model behind that server, registered as `far`."""
    return add_model(db, "far", ModelKind.ENDPOINT, endpoint=server.url, remote_name="far-away-7b")


@pytest.fixture
def shared_data() -> Path:
    """The folder of real third-party data, read in place; skips where it is absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip("no ../shared/data beside the checkout: real third-party data is read in place")
    return SHARED_DATA
