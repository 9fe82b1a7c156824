"""What raters read in their own language: a plain catalogue, the English sentence its key (words/<language>.json).

A sentence of the page has named places ("{n} of {total}"), one of the server numbered ones ("this session is {1}"),
which are found again in the finished English sentence.
"""

import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType

HERE = Path(__file__).parent
ENGLISH = "en"


@cache
def catalogues() -> Mapping[str, Mapping[str, str]]:
    """{language: {English: the same in that language}} of every language but English."""
    found = {f.stem: json.loads(f.read_text(encoding="utf-8")) for f in sorted(HERE.glob("*.json"))}
    return MappingProxyType(found)


def script() -> str:
    """What a page's script stands on to speak the reader's language: the catalogues, and words.js."""
    known = {language: dict(words) for language, words in catalogues().items()}
    return f"const CATALOGUES = {json.dumps(known, ensure_ascii=False)};\n" + (HERE / "words.js").read_text(
        encoding="utf-8"
    )


def language_of(accepted: str) -> str:
    """The best language we have for an Accept-Language header (RFC 9110, 12.5.4); English where there is none."""
    wanted: list[tuple[float, str]] = []
    for part in accepted.split(","):
        tag, _, rest = part.strip().partition(";")
        weight = re.fullmatch(r"\s*q=([01](?:\.\d{0,3})?)\s*", rest)
        wanted.append((-float(weight[1]) if weight else -1.0, tag.partition("-")[0].lower()))
    known = (ENGLISH, *catalogues())
    return next(
        (tag for weight, tag in sorted(wanted, key=lambda w: w[0]) if weight and tag in known), ENGLISH
    )


def told(sentence: str, language: str) -> str:
    """A sentence of the server in this language; as it is where the catalogue does not know it."""
    words = catalogues().get(language, {})
    if sentence in words:
        return words[sentence]
    for english, other in words.items():
        if "{1}" in english and (found := _pattern(english).fullmatch(sentence)):
            return other.format("", *(words.get(value, value) for value in found.groups()))
    return sentence


@cache
def _pattern(english: str) -> re.Pattern[str]:
    return re.compile("(.+?)".join(re.escape(part) for part in re.split(r"\{\d\}", english)), re.DOTALL)
