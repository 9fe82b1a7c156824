"""Text as it is compared: without capitals, accents, invisible characters or typographic quotes. Pure.

`fold` is what patterns run over; `places` leads back to the text itself.
"""

import unicodedata
from bisect import bisect_right

_PLAIN = {"‘": "'", "’": "'", "ʼ": "'", "′": "'", "´": "'", "“": '"', "”": '"', "„": '"', "«": '"', "»": '"',
          "‐": "-", "‑": "-", "‒": "-", "–": "-", "—": "-", "―": "-", "−": "-"}  # fmt: skip


class _Table(dict[int, int | None]):
    """What becomes of a character after compatibility decomposition: marks and invisible ones go, quotes are plain."""

    def __missing__(self, code: int) -> int | None:
        char = chr(code)
        gone = unicodedata.combining(char) or unicodedata.category(char) in ("Mn", "Cf")
        self[code] = None if gone else ord(_PLAIN.get(char, char))
        return self[code]


_TABLE = _Table()


def fold(text: str) -> str:
    """The text in the form in which two spellings of one thing are equal."""
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFKD", text).translate(_TABLE).casefold()


class Folded:
    """A text beside its folded form, with the way back from places in the one to places in the other."""

    def __init__(self, text: str) -> None:
        self.text = text
        pieces = [fold(char) for char in text]
        self.folded = "".join(pieces)
        self._starts: list[int] = []
        self._from: list[int] = []
        at = 0
        for i, piece in enumerate(pieces):
            if piece:
                self._starts.append(at)
                self._from.append(i)
            at += len(piece)

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Where a stretch of the folded form stands in the text; marks and invisible characters after it belong to it."""
        first = bisect_right(self._starts, start) - 1
        after = bisect_right(self._starts, end - 1)
        return self._from[first], self._from[after] if after < len(self._from) else len(self.text)
