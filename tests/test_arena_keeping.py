"""A home kept in a dataset: put back first, sent afterwards, and never the other way round; against a stand-in for the hub."""

import json
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from huggingface_hub import constants

from arena.hubstore import HubStore
from arena.keeping import MANIFEST, Keeping, kept
from db.catalog import add_model
from db.connection import Home, home_at, open_reader, open_writer
from db.entities.catalog import ModelKind
from db.errors import Conflict, UserError
from db.upkeep import check
from tests.factories import make_home
from tests.hubstand import Hub, standin
from tests.serving import served_by_command

NAME = "team/home"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.setattr(
        constants, "HF_HUB_OFFLINE", False
    )  # which tests with tiny models switch on for their process
    with standin() as stand:
        yield stand


def keeping(home: Home, hub: Hub) -> Keeping:
    return Keeping(home, HubStore(NAME, hub.address, hub.token))


def manifest(hub: Hub) -> dict[str, object]:
    return dict(json.loads(hub.repos[NAME][MANIFEST]))


def rename(home: Home, name: str) -> None:
    """Change something in the home: a model more."""
    db = open_writer(home)
    add_model(db, name, ModelKind.RECORDED)
    db.conn.close()


def models(home: Home) -> list[str]:
    db = open_reader(home)
    found = [row[0] for row in db.conn.execute("SELECT name FROM models ORDER BY id")]
    db.conn.close()
    return found


def a_run(home: Home) -> Path:
    """A model of the home's own with its folder, and a checkpoint that is not kept."""
    folder = home.runs / "r1"
    for name, text in {
        "model/config.json": "{}",
        "metrics.jsonl": "1",
        "checkpoint-3/optimizer.pt": "big",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (home.runs / "other").mkdir()
    (home.runs / "other" / "half").write_text("no model of the database")
    db = open_writer(home)
    add_model(db, "mine", ModelKind.CHECKPOINT, source="runs/r1/model")
    db.conn.close()
    return folder


@pytest.fixture
def first(tmp_path: Path, hub: Hub) -> Keeping:
    """A home that was sent once."""
    made = keeping(make_home(tmp_path / "first"), hub)
    a_run(made.home)
    made.put_back()
    assert made.send()
    return made


def test_an_empty_dataset_is_made_private_and_filled(first: Keeping, hub: Hub) -> None:
    assert hub.private[NAME]
    assert sorted(hub.repos[NAME]) == [
        "arena.db",
        MANIFEST,
        "runs/r1/metrics.jsonl",
        "runs/r1/model/config.json",
    ]
    assert manifest(hub)["generation"] == 1
    calls = len(hub.calls)
    assert not first.send(), "nothing changed"
    assert len(hub.calls) == calls
    rename(first.home, "three")
    assert first.send()
    assert manifest(hub)["generation"] == 2


def test_a_wiped_disk_gets_everything_back(first: Keeping, hub: Hub) -> None:
    shutil.rmtree(first.home.root)
    again = keeping(home_at(first.home.root), hub)
    assert "generation 1" in again.put_back()
    assert models(again.home) == ["model-one", "model-two", "mine"]
    assert (again.home.runs / "r1" / "model" / "config.json").read_text() == "{}"
    assert check(again.home) == []
    assert not again.send(), "it is what the dataset holds"
    rename(again.home, "three")
    assert again.send()
    assert manifest(hub)["generation"] == 2


def test_a_home_on_a_lasting_disk_goes_on_where_it_was(first: Keeping, hub: Hub) -> None:
    rename(first.home, "unsent")
    again = keeping(first.home, hub)
    again.put_back()
    assert models(first.home)[-1] == "unsent", "what was not sent yet is not lost"
    assert again.send()
    assert manifest(hub)["generation"] == 2


def test_an_older_home_replaces_nothing_that_is_newer(first: Keeping, hub: Hub, tmp_path: Path) -> None:
    second = keeping(home_at(tmp_path / "second"), hub)
    second.put_back()
    rename(second.home, "newer")
    assert second.send()
    held = dict(hub.repos[NAME])
    rename(first.home, "stale")
    with pytest.raises(Conflict, match="something newer"):
        first.send()
    assert hub.repos[NAME] == held
    with pytest.raises(UserError, match="has not, and the other way round"):
        keeping(first.home, hub).put_back()
    assert models(first.home)[-1] == "stale", "both sides are as they were"
    assert hub.repos[NAME] == held


def test_an_older_home_without_changes_is_brought_up(first: Keeping, hub: Hub, tmp_path: Path) -> None:
    second = keeping(home_at(tmp_path / "second"), hub)
    second.put_back()
    rename(second.home, "newer")
    second.send()
    again = keeping(first.home, hub)
    assert "generation 2" in again.put_back()
    assert models(first.home)[-1] == "newer"
    assert list(first.home.backups.glob("replaced-*.db")), "what it replaces is kept"


def test_another_home_is_not_mixed_with_the_one_that_is_kept(
    first: Keeping, hub: Hub, tmp_path: Path
) -> None:
    other = make_home(tmp_path / "other", models=("x-one", "x-two"))
    held = dict(hub.repos[NAME])
    with pytest.raises(UserError, match="move one of them"):
        keeping(other, hub).put_back()
    assert models(other) == ["x-one", "x-two"]
    assert hub.repos[NAME] == held


@pytest.mark.parametrize("file", ["arena.db", "runs/r1/model/config.json", MANIFEST])
@pytest.mark.parametrize("how", ["altered", "missing"])
def test_a_damaged_dataset_leaves_the_disk_as_it_was(
    first: Keeping, hub: Hub, tmp_path: Path, file: str, how: str
) -> None:
    if how == "altered":
        hub.repos[NAME][file] = hub.repos[NAME][file][:-1]
    elif file != MANIFEST:
        del hub.repos[NAME][file]
    else:
        pytest.skip("without a manifest the dataset is empty")
    wiped = home_at(tmp_path / "wiped")
    with pytest.raises(UserError):
        keeping(wiped, hub).put_back()
    assert not wiped.database.exists()
    assert [p for p in wiped.root.rglob("*") if p.is_file() and p.name != "serve.lock"] == []


@pytest.mark.parametrize("name", ["../out", "runs/../../out", "/etc/passwd", "runs/x", "logs/a/b"])
def test_a_manifest_reaches_nothing_outside_the_runs(
    first: Keeping, hub: Hub, tmp_path: Path, name: str
) -> None:
    told = manifest(hub)
    told["files"] = {**dict(told["files"]), name: "0" * 64}  # type: ignore[call-overload]
    hub.repos[NAME][MANIFEST] = json.dumps(told).encode()
    with pytest.raises(UserError, match="does not belong to a home"):
        keeping(home_at(tmp_path / "wiped"), hub).put_back()


def test_a_public_dataset_keeps_no_home(first: Keeping, hub: Hub) -> None:
    hub.private[NAME] = False
    rename(first.home, "three")
    with pytest.raises(UserError, match="public now"):
        first.send()
    assert manifest(hub)["generation"] == 1
    with pytest.raises(UserError, match="is public"):
        keeping(first.home, hub).put_back()


def test_an_answer_that_got_lost_is_no_other_server(first: Keeping, hub: Hub) -> None:
    rename(first.home, "three")
    hub.deaf = True
    with pytest.raises(UserError, match="503"):
        first.send()
    assert manifest(hub)["generation"] == 2, "it arrived all the same"
    again = keeping(first.home, hub)
    again.put_back()
    assert again.generation == 2
    first.send()
    assert first.generation == 2
    rename(first.home, "four")
    assert first.send()
    assert manifest(hub)["generation"] == 3


def test_without_a_token_nothing_begins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setenv("HF_TOKEN_PATH", str(tmp_path / "none"))
    with pytest.raises(UserError, match="no hub token"), kept(home_at(tmp_path / "h"), NAME, 5, print):
        pass
    with kept(home_at(tmp_path / "h"), None, 5, print) as told:
        assert told == ()


def space(hub: Hub, port: int | None = None) -> dict[str, str]:
    """The environment of a Space that keeps its home."""
    return {"SPACE_ID": "team/taste", "SPACE_HOST": "team-taste.hf.space", "HF_ENDPOINT": hub.address,
            "HF_HUB_OFFLINE": "0", "HF_TOKEN": hub.token, "TASTEBENCH_KEEP_IN": NAME}  # fmt: skip


@pytest.mark.slow
def test_a_space_goes_on_after_its_disk_was_wiped(tmp_path: Path, hub: Hub) -> None:
    """The real server, stopped by SIGTERM as the place does, on three disks, one after the other."""
    home = make_home(tmp_path / "one")
    with served_by_command(home, environ=space(hub)) as served:
        for page, framed in (("rate", "https://huggingface.co"), ("login", "'none'")):
            answer = httpx.get(
                f"{served.base}/{page}/", headers={"host": "team-taste.hf.space"}, trust_env=False
            )
            assert answer.status_code in (200, 303), "without a seat one is sent to join"
            assert f"frame-ancestors {framed}" in answer.headers["content-security-policy"]
        rename(home, "made while it ran")
        assert served.stop(signal.SIGTERM) == 0
    assert "https://team-taste.hf.space/login?token=" in served.out
    assert "open by that address" in served.out
    assert "is empty; this home is kept there from now on" in served.out
    sent = manifest(hub)["generation"]

    with served_by_command(home_at(tmp_path / "two"), environ=space(hub)) as served:
        assert models(home_at(tmp_path / "two"))[-1] == "made while it ran"
        served.stop(signal.SIGTERM)
    assert f"home put back from team/home: generation {sent}" in served.out

    held = dict(hub.repos[NAME])
    hub.broken = True
    with served_by_command(home_at(tmp_path / "three"), environ=space(hub), answers=False) as served:
        assert served.process.wait(120) == 2
        served.stop()
    assert served.err.splitlines()[-1].startswith("error: cannot read the dataset team/home")
    assert not home_at(tmp_path / "three").database.exists(), "no new home begins beside votes that are there"
    assert hub.repos[NAME] == held
