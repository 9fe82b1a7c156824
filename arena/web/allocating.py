"""The allocator of a server that runs for weeks: its memory stays what is in use."""

import ctypes
import os
import sys

M_ARENA_MAX = -8
"""as in malloc.h of the GNU C library"""
ARENAS = 2


def share_arenas() -> None:
    """Let the threads share two heaps of the GNU C library; nothing happens where there is another.

    Of itself it gives threads up to eight heaps a core. Each keeps what its largest moment needed, so that the memory of a
    server creeps up for hours while nothing in it grows (docs/nightly.md). Arrow, which pandas keeps texts in, has an
    allocator of its own that keeps and gives back as it likes: it takes its memory from those heaps too. Call it before
    threads are started and before Arrow is loaded.
    """
    if mallopt := _of_gnu("mallopt"):
        mallopt(M_ARENA_MAX, ARENAS)
        os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")


def give_back() -> None:
    """Give whole free pages of the GNU C library's heaps back to the system, those between things in use too.

    Of itself it gives back only what is free at a heap's end.
    """
    if trim := _of_gnu("malloc_trim"):
        trim(ctypes.c_size_t(0))


def _of_gnu(name: str) -> "ctypes._NamedFuncPointer | None":
    """A function of the GNU C library; None elsewhere."""
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None
