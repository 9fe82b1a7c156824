"""A full disk: votes, exports, copies and models are refused in plain words, nothing is called saved, and it goes on after."""

import contextlib
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.factories import make_home
from tests.faults.full_disk import scene
from tests.faults.shim import build, compiler, under_shim

pytestmark = pytest.mark.slow
SIZE = 12 * 2**20


@pytest.mark.skipif(compiler() is None, reason="no C compiler for the shim (Debian: apt-get install gcc)")
def test_a_disk_that_is_full_by_a_switch(tmp_path):
    (tmp_path / "home").mkdir()
    ran = under_shim(build(tmp_path), "tests.faults.full_disk", tmp_path / "home")
    assert ran.returncode == 0, ran.stderr
    figures = ran.stdout.splitlines()[-1]
    print(f"\ndisk full (switch): {figures}")
    assert json.loads(figures)["acts refused"] == ["backup", "checkpoint of a model", "export"]


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A file system of its own of SIZE bytes; skips where none may be mounted."""
    folder.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", folder], capture_output=True, text=True
    )
    if made.returncode:
        pytest.skip(f"no small disk can be mounted here: {made.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may mount a small disk"
)
def test_a_small_disk_that_really_fills_up(tmp_path):
    with small_disk(tmp_path / "disk") as disk:

        @contextlib.contextmanager
        def full() -> Iterator[None]:
            with (disk / "filler").open("wb", buffering=0) as filler, contextlib.suppress(OSError):
                while True:
                    filler.write(b"x" * 4096)
            yield
            (disk / "filler").unlink()

        print(f"\ndisk full (tmpfs): {json.dumps(scene(make_home(disk / 'home'), disk, full))}")
