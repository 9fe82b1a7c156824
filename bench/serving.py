"""Servers for the benchmarks: ours on a home, a plain Gradio arena as the peer, each a process of its own."""

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from typing import NamedTuple

from bench.votes import ROOT, free_port, wait_for

ENVIRONMENT = {**os.environ, "GRADIO_ANALYTICS_ENABLED": "False", "PYTHONPATH": str(ROOT)}


class Served(NamedTuple):
    """A server that answers: its port and its process."""

    port: int
    process: subprocess.Popen[bytes]


@contextlib.contextmanager
def ours(home: str) -> Iterator[Served]:
    """`serve` on the home; an empty one is seeded with the demo."""
    port = free_port()
    words = [sys.executable, "launch.py", "--home", home, "serve", "--no-open", "--port", str(port)]
    with _running(words, port, "/healthz") as served:
        yield served


@contextlib.contextmanager
def plain_gradio(folder: str) -> Iterator[Served]:
    """The plain Gradio arena of bench/votes.py."""
    port = free_port()
    words = [sys.executable, "-m", "bench.votes", "--serve-peer", folder, str(port)]
    with _running(words, port, "/") as served:
        yield served


@contextlib.contextmanager
def _running(words: list[str], port: int, path: str) -> Iterator[Served]:
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(words, cwd=ROOT, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=said)
        try:
            wait_for(f"http://127.0.0.1:{port}{path}", process)
            yield Served(port, process)
        except SystemExit:
            said.seek(0)
            print(said.read().decode(errors="replace")[-2000:], file=sys.stderr)
            raise
        finally:
            process.terminate()
            process.wait(30)
