"""docs/verified.md names tests that exist, and what it says of platforms is so."""

import re
import subprocess
import sys

from db.connection import PROJECT

ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in (PROJECT / "docs" / "verified.md").read_text(encoding="utf-8").splitlines()
    if line.startswith("| ") and not line.startswith("| what ")
]


def test_every_test_that_is_named_exists():
    assert len(ROWS) > 20
    for what, _, by in ROWS:
        for name in re.findall(r"`(tests/[^`]+)`", by):
            assert (PROJECT / name).exists(), (what, name)


def test_what_says_that_it_ran_names_its_test():
    for what, how, by in ROWS:
        if how.startswith(("ran", "random weights", "stand-in")):
            assert "`tests/" in by, what
        assert re.match(
            r"ran|random weights|stand-in|read only|not run|checked|refused|none is meant|its own client", how
        ), how


def test_windows_is_refused_in_one_line():
    """In a process of its own that takes itself for one on Windows."""
    code = "import sys, launch; sys.platform = 'win32'; launch.main(['check'])"
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stdout) == (2, "")
    assert (
        ran.stderr
        == "error: Tastebench does not run on Windows itself; use WSL 2 or Docker, as docs/deploy.md says\n"
    )
