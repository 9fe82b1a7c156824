"""How far work is, told while it runs: what the workflows are handed to say it with."""

from collections.abc import Callable

Say = Callable[[float | None, str], None]
"""told the share that is done (0 to 1, None where unknown) and what is done now"""


def part(say: Say, start: float, share: float) -> Say:
    """Tells of a part of the work in terms of the whole."""
    return lambda progress, message: say(start + share * (progress or 0.0), message)
