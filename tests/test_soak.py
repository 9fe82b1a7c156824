"""An hour of 50 raters at human pace with the studio open (bench/soak.py says what is held against what)."""

import subprocess
import sys

import pytest

from bench.votes import ROOT


@pytest.mark.nightly
def test_an_hour_of_rating_leaks_and_loses_nothing():
    done = subprocess.run(
        [sys.executable, "-m", "bench.soak", "--minutes", "60"], cwd=ROOT, capture_output=True, text=True
    )
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
