"""A disk that fills up beside a running server: what each act says then, and that it works again without a restart.

    LD_PRELOAD=shim.so python -m tests.faults.full_disk FOLDER

With the shim the disk is full by a switch; `scene` also runs on a small disk of its own. Prints one JSON line.
"""

import contextlib
import json
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from db import upkeep
from db.connection import Home
from db.errors import UserError
from labeling.exporting import export
from tests.factories import make_home
from tests.faults.scenes import give, stored
from tests.faults.shim import FAULTS, Switch
from tests.serving import running
from training.folders import verify, written_aside

Full = Callable[[], AbstractContextManager[None]]
WEIGHTS = b"w" * 300_000


def scene(home: Home, out: Path, full: Full) -> dict[str, object]:
    """Vote, export, back up, write a model's folder, on a full disk and after it. Raises on any lie."""
    give(home, 2)
    export(home, out / "data")
    before = (out / "data/manifest.json").read_text()
    with running(home) as site, contextlib.closing(site.rater()) as rater:
        ballots = rater.get("/api/next?n=4").json()["ballots"]
        bodies = [
            {"assignment": b["assignment"], "choice": "left", "key": f"k{n}"} for n, b in enumerate(ballots)
        ]
        with full():
            refused = [rater.post("/api/vote", json=body) for body in bodies]
            said = {name: told(act) for name, act in acts(home, out).items()}
            health = rater.get("/healthz").status_code
            page = rater.get("/api/next?n=1")
        assert (out / "data/manifest.json").read_text() == before
        assert not (out / "copy.db").exists()
        assert not (out / "model").exists()
        in_between = stored(home.database)
        saved = [rater.post("/api/vote", json=body) for body in bodies]
        again = {name: told(act) for name, act in acts(home, out).items()}
        verify(out / "model")
    for answer in refused:
        assert answer.status_code == 507, answer.text
        assert "not saved" in answer.json()["error"], answer.text
        assert answer.json()["remedy"]
    assert (health, in_between) == (200, 2)
    assert page.status_code in (200, 507), page.text
    assert all(isinstance(text, str) and ("full" in text or "space" in text) for text in said.values()), said
    assert [a.status_code for a in saved] == [200] * len(bodies), [a.text for a in saved]
    assert set(again.values()) == {None}, again
    assert stored(home.database) == stored(out / "copy.db") == 2 + len(bodies)
    assert json.loads((out / "data/manifest.json").read_text())["votes_read"] == 2 + len(bodies)
    assert [p.name for p in out.iterdir() if p.name.startswith(".")] == []
    assert upkeep.check(home) == []
    return {
        "votes refused": len(refused),
        "acts refused": sorted(said),
        "votes saved after": len(saved),
        "status": 507,
    }


def acts(home: Home, out: Path) -> dict[str, Callable[[], object]]:
    """What else writes."""
    return {
        "export": lambda: export(home, out / "data"),
        "backup": lambda: upkeep.backup(home, out / "copy.db"),
        "checkpoint of a model": lambda: checkpoint(out / "model"),
    }


def checkpoint(folder: Path) -> None:
    """A model's folder as training writes it."""
    with written_aside(folder) as aside:
        (aside / "model.safetensors").write_bytes(WEIGHTS)


def told(act: Callable[[], object]) -> str | None:
    """What an act says where it cannot; None where it can."""
    try:
        act()
    except UserError as error:
        return str(error)
    return None


def main(folder: Path) -> None:
    """The scene under the shim."""
    switch = Switch()

    @contextlib.contextmanager
    def full():
        switch.arm(folder, 1, FAULTS["disk full from here"])
        yield
        switch.disarm()

    print(json.dumps(scene(make_home(folder / "home"), folder, full)))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
