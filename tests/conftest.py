"""What tests share: a home of their own, a writing connection to it, and a place to find real data."""

import gc
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlite_utils import Database

from db.catalog import add_model
from db.connection import Home, home_at, open_writer
from db.entities.catalog import Model, ModelKind
from tests.factories import new_home
from tests.standin import StandIn, standing_in

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
IN_MEMORY = Path("/dev/shm")
ROOM = 6 * 2**30
"""bytes free there for homes to go into memory; a whole run leaves less than one GiB behind"""


def pytest_configure() -> None:
    """Homes of tests lie in memory where it can be had: every vote is flushed to the disk, and here nobody waits for it."""
    if not IN_MEMORY.is_dir() or shutil.disk_usage(IN_MEMORY).free < ROOM:
        return
    if not os.statvfs(IN_MEMORY).f_flag & os.ST_NOEXEC:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(IN_MEMORY))


@pytest.fixture(autouse=True, scope="module")
def _little_garbage() -> None:
    """What earlier modules imported is left out when Python looks for garbage: half of a server's start went there."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return home_at(tmp_path / "home")


@pytest.fixture
def db(home: Home) -> Iterator[Database]:
    opened = open_writer(new_home(home.root))
    yield opened
    opened.conn.close()


@pytest.fixture
def voted(db: Database) -> Database:
    """The home's database after eight votes for the polite answers; for a `home` that can train."""
    from tests.workshop import give_votes

    give_votes(db)
    return db


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny checkpoint with a chat template. To be read: what changes files takes a copy."""
    from tests.tiny import tiny_llama

    return tiny_llama(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="session")
def adapter(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter over it. To be read, too."""
    from tests.tiny import tiny_adapter

    return tiny_adapter(base, tmp_path_factory.mktemp("adapter"))


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
