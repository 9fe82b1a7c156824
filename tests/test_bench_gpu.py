"""The bench for a GPU runs through at a tiny shape on whatever there is."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.slow
def test_ours_and_the_plain_trainer_both_run():
    run = subprocess.run(
        [sys.executable, "-m", "bench.gpu", "--tiny"], cwd=ROOT, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr[-2000:]
    speeds = re.findall(r"tiny lora +(ours|plain) +([\d.]+) pairs/s +([\d.]+) GiB", run.stdout)
    assert [who for who, *_ in speeds] == ["plain", "ours"]
    assert all(float(pairs) > 0 and float(memory) > 0 for _, pairs, memory in speeds)
