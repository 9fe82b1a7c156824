"""The hub: a dataset folder up, its rows down again; what it refuses is one line."""

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from sqlite_utils import Database

from db.connection import PROJECT, Home, open_writer
from db.entities.votes import Choice
from labeling.lending import next_ballots
from tests.factories import NOW, make_home
from tests.hubstand import standin
from tests.test_labeling_exporting import Person

PUSH = """
import sys
from pathlib import Path
from db.connection import Home, home_at
from db.errors import UserError
from labeling.exporting import export
from labeling.importing import import_file
try:
    print(export(Home(Path(sys.argv[1])), Path(sys.argv[2]), push=sys.argv[3]).pushed)
    if len(sys.argv) > 4:
        print(import_file(home_at(Path(sys.argv[4])), "pairs", f"{sys.argv[3]}:test").added)
        import_file(home_at(Path(sys.argv[4])), "pairs", "me/gone")
except UserError as error:
    print(error)
"""


def push(voted: Home, folder: Path, repo: str, env: dict[str, str], *more: str) -> list[str]:
    args = [sys.executable, "-c", PUSH, str(voted.root), str(folder), repo, *more]
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "HUGGING"))}
    env = kept | {"HF_HOME": str(folder.parent / "hf")} | env
    return subprocess.run(
        args, capture_output=True, text=True, cwd=PROJECT, env=env, check=True
    ).stdout.splitlines()


@pytest.fixture
def voted(tmp_path: Path) -> Home:
    """A home in which every prompt has one decisive vote, held-out ones too."""
    home = make_home(tmp_path / "voted", prompts=24, split=None)  # type: ignore[arg-type]
    with contextlib.closing(open_writer(home).conn) as conn:
        person = Person(Database(conn))
        while next_ballots(person.db, person.session, 1, NOW).ballots:
            person.vote(Choice.LEFT)
    return home


def test_push_and_import_again_from_the_hub(voted: Home, tmp_path: Path) -> None:
    with standin() as hub:
        env = {"HF_ENDPOINT": hub.address, "HF_TOKEN": hub.token}
        said = push(voted, tmp_path / "out", "me/prefs", env, str(tmp_path / "other"))
        assert said[0] == f"{hub.address}/datasets/me/prefs"
        heldout = json.loads((tmp_path / "out/manifest.json").read_text())["rows"]["test"]
        assert int(said[1]) == heldout
        assert said[2].startswith("cannot get the dataset me/gone: the hub has no such repository")
        assert hub.private == {"me/prefs": True}
        assert hub.types == ["dataset"]
        files = {
            str(p.relative_to(tmp_path / "out")): p.read_bytes()
            for p in (tmp_path / "out").rglob("*")
            if p.is_file()
        }
        assert hub.repos["me/prefs"] == files
        push(voted, tmp_path / "out", "me/prefs", env)  # the files of the replaced export go
        assert {p for p in hub.repos["me/prefs"] if p.startswith("data/")} == {
            str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out/data").iterdir()}  # fmt: skip
        hub.private["me/prefs"], sent = False, len([c for c in hub.calls if c[1].endswith("/commit/main")])
        assert push(voted, tmp_path / "out", "me/prefs", env) == [
            (f"the dataset me/prefs is public, so nothing was sent to it; the folder {tmp_path / 'out'} is written; "
            "make the dataset private on its page, or push with --public")]  # fmt: skip
        assert len([c for c in hub.calls if c[1].endswith("/commit/main")]) == sent
        hub.private["me/prefs"] = True
        refused = push(voted, tmp_path / "out", "me/prefs", env | {"HF_TOKEN": "hf_wrong"})
        assert refused == [
            "cannot push to the dataset me/prefs: the hub refuses the token (401); use a token that may write there"
        ]


def test_push_without_a_token_or_a_name_or_a_network_is_one_line(voted: Home, tmp_path: Path) -> None:
    nowhere = {"HF_ENDPOINT": "http://127.0.0.1:9"}
    assert push(voted, tmp_path / "out", "me/prefs", nowhere) == [
        "no hub token is set, so nothing is pushed; set HF_TOKEN or log in with `hf auth login`"]  # fmt: skip
    assert not (tmp_path / "out").exists()
    assert push(voted, tmp_path / "out", "me/a/b", nowhere | {"HF_TOKEN": "x"})[0].startswith(
        "'me/a/b' is not the name"
    )
    [line] = push(voted, tmp_path / "out", "me/prefs", nowhere | {"HF_TOKEN": "x"})
    assert line.startswith("cannot push to the dataset me/prefs (")
