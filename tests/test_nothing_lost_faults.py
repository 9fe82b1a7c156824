"""Any single change to the disk may go wrong: afterwards the old state is there or the new one, never a mix.

For every n the n-th write, fsync, rename or unlink of a scene fails, or the process is killed there. The scenes and
what must hold after each are in tests/faults/scenes.py.
"""

import json
from pathlib import Path

import pytest

from tests.eras.make import FOLDER as ERAS
from tests.faults.shim import FAULTS, build, compiler, under_shim

pytestmark = pytest.mark.skipif(
    compiler() is None, reason="no C compiler for the shim (Debian: apt-get install gcc)"
)

SOONER = [("vote", "I/O error"), ("vote", "killed"), ("migration", "killed"), ("export", "I/O error"), ("export", "killed"),
          ("job start", "I/O error"), ("job start", "killed")]  # fmt: skip
SCENES = ("vote", "migration", "new home", "export", "job start", "backup", "restore")
OLD = [f"migration from {file.stem}" for file in sorted(ERAS.glob("m*.sql"))]
LATER = [(s, f) for s in SCENES for f in FAULTS if (s, f) not in SOONER]
LATER += [(scene, f) for scene in OLD for f in ("I/O error", "killed")]


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("shim"))


@pytest.mark.parametrize(
    ("scene", "fault"),
    [*(pytest.param(*p, marks=pytest.mark.slow) for p in SOONER),
     *(pytest.param(*p, marks=pytest.mark.nightly) for p in LATER)],
)  # fmt: skip
def test_whichever_change_goes_wrong_the_old_state_stands_or_the_new(library, scene, fault):
    ran = under_shim(library, "tests.faults.drive", scene, fault)
    assert ran.returncode == 0, ran.stderr
    print(f"\n{ran.stdout.strip()}")
    counted = json.loads(ran.stdout)
    assert counted["changes"] >= 5, "the shim saw nothing"
    assert counted.get("died" if FAULTS[fault].deadly else "refused", 0) > 0, "nothing ever went wrong"


@pytest.mark.slow
def test_an_export_where_folders_cannot_be_exchanged_comes_back_with_the_next(library):
    ran = under_shim(library, "tests.faults.drive", "export", "killed", "plain")
    assert ran.returncode == 0, ran.stderr
    print(f"\n{ran.stdout.strip()}")


def test_the_shim_lets_a_lie_be_found(library):
    """A scene that writes in place is caught at the change that tears it."""
    ran = under_shim(library, "tests.faults.in_place")
    assert ran.returncode == 1
    assert "killed at change 2, died" in ran.stderr
