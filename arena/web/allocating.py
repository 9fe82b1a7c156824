"""The allocator of a server that runs for weeks."""

import ctypes
import sys

M_ARENA_MAX = -8
"""as in malloc.h of the GNU C library"""
ARENAS = 2


def share_arenas() -> None:
    """Let the threads share two heaps of the GNU C library; nothing happens where there is another.

    Of itself it gives threads up to eight heaps a core. Each keeps what its largest moment needed, so that the memory of a
    server creeps up for hours while nothing in it grows (docs/nightly.md). Call it before threads are started.
    """
    if sys.platform == "linux" and (mallopt := getattr(ctypes.CDLL(None), "mallopt", None)):
        mallopt(M_ARENA_MAX, ARENAS)
