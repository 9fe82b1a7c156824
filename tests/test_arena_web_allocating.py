"""The server's threads share few heaps and give back what is free: seen in what the C library and the system say, each in a
process of its own."""

import ctypes
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from arena.web.allocating import ARENAS

SCRIPT = """
import ctypes, sys, threading
if sys.argv[2] == "shared":
    from arena.web.allocating import share_arenas
    share_arenas()
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.fopen.restype = ctypes.c_void_p, ctypes.c_void_p
together = threading.Barrier(12)
def work():
    together.wait()
    for _ in range(200):
        libc.malloc(ctypes.c_size_t(600))  # lets go of Python's lock, so that several want the heap at once
    together.wait()
threads = [threading.Thread(target=work) for _ in range(12)]
for t in threads: t.start()
for t in threads: t.join()
out = ctypes.c_void_p(libc.fopen(sys.argv[1].encode(), b"w"))
libc.malloc_info(0, out)
libc.fclose(out)
"""

HOLES = """
import ctypes, psutil
from arena.web.allocating import give_back
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
held = [ctypes.c_void_p(libc.malloc(ctypes.c_size_t(6_000))) for _ in range(20_000)]
for part in held:
    ctypes.memset(part, 1, 6_000)
for part in held[:-1]:
    libc.free(part)
memory = lambda: psutil.Process().memory_info().rss / 2**20
before = memory()
give_back()
print(before, memory())
"""

ARROW = """
import launch
from arena.web.allocating import share_arenas
share_arenas()
import pyarrow
print(pyarrow.default_memory_pool().backend_name)
"""


GNU = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="there is no GNU C library here")


def printed(script: str, *args: str) -> str:
    """What a script prints in a process that nobody has told how to allocate."""
    told = ("MALLOC_ARENA_MAX", "GLIBC_TUNABLES", "ARROW_DEFAULT_MEMORY_POOL")
    return subprocess.run(
        [sys.executable, "-c", script, *args],
        check=True,
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
        env={k: v for k, v in os.environ.items() if k not in told},
    ).stdout


@GNU
@pytest.mark.parametrize("way", ["shared", "of itself"])
def test_threads_share_heaps_only_where_they_are_told_to(way: str, tmp_path: Path) -> None:
    assert hasattr(ctypes.CDLL(None), "mallopt")
    told = tmp_path / "heaps.xml"
    printed(SCRIPT, str(told), way)
    heaps = told.read_text().count("<heap nr=")
    assert heaps <= ARENAS if way == "shared" else heaps > ARENAS


@GNU
def test_what_is_free_between_things_in_use_is_given_back() -> None:
    before, after = map(float, printed(HOLES).split())
    assert before - after > 60, "MB, of about 115 that are free"


@GNU
def test_arrow_takes_its_memory_from_the_same_heaps() -> None:
    assert printed(ARROW).strip() == "system"
