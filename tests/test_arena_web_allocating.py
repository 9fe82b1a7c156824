"""The server's threads share few heaps: seen in what the C library itself says of them, in a process of its own."""

import ctypes
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


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="there is no GNU C library here")
@pytest.mark.parametrize("way", ["shared", "of itself"])
def test_threads_share_heaps_only_where_they_are_told_to(way: str, tmp_path: Path) -> None:
    assert hasattr(ctypes.CDLL(None), "mallopt")
    told = tmp_path / "heaps.xml"
    subprocess.run(
        [sys.executable, "-c", SCRIPT, str(told), way], check=True, cwd=Path(__file__).parent.parent
    )
    heaps = told.read_text().count("<heap nr=")
    assert heaps <= ARENAS if way == "shared" else heaps > ARENAS
