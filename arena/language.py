"""The language of a prompt, guessed from its words by py3langid; no guess where it would be one. Pure."""

import re
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

SURE = 0.5
"""py3langid 0.4 spreads its belief by how much there is to read: over this it named no English prompt of 1,000 otherwise"""
FEWEST_LETTERS, MOST_CHARACTERS = 12, 2000

_LETTER = re.compile(r"[^\W\d_]")
_CODE = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)


@lru_cache(maxsize=1)
def _identifier() -> "LanguageIdentifier":
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


def language_of(text: str) -> str | None:
    """The ISO 639-1 code of the language a text is in; None where it is too short or not clear. Code blocks are left out."""
    plain = _CODE.sub(" ", text[:MOST_CHARACTERS])
    if len(_LETTER.findall(plain)) < FEWEST_LETTERS:
        return None
    code, sure = _identifier().classify(plain)
    return str(code) if sure >= SURE else None
