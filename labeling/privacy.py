"""Personal data and secrets in texts that are about to leave: mail addresses, phones, cards, accounts, keys. Pure.

Shapes with a checksum or a numbering plan are checked (phonenumbers, python-stdnum), the rest go by their form. What is
found is never repeated whole: `masked` shows enough of it to find the place.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

R = TypeVar("R", bound=Mapping[str, object])


class Personal(StrEnum):
    """What is looked for."""

    MAIL = "mail address"
    PHONE = "phone number"
    CARD = "card number"
    ACCOUNT = "bank account"
    KEY = "key or token"


@dataclass(frozen=True, slots=True)
class Finding:
    """One place in a text; `masked` is its first characters."""

    kind: Personal
    start: int
    end: int
    masked: str


@dataclass(frozen=True, slots=True)
class Place:
    """A finding in a row of a dataset; rows count from 1."""

    split: str
    row: int
    column: str
    kind: Personal
    masked: str

    def __str__(self) -> str:
        return f"{self.split} row {self.row}, {self.column}: {self.kind} {self.masked}"


MAIL = re.compile(r"(?<![\w.+%-])[\w.+%-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.)+[A-Za-z]{2,24}\b")
NOBODY = re.compile(
    r"(?:^|[@.])(?:example(?:\.[a-z]{2,3}){1,2}|[\w-]+\.(?:example|test|invalid|localhost))$", re.I
)
"""domains kept free for examples (RFC 2606, RFC 6761): nobody's"""
CARD = re.compile(r"(?<![\w.,-])(?:\d[ -]?){12,18}\d(?![\w-]|[.,]\d)")
CARD_STARTS = ("34", "36", "37", "38", "4", "5", "60", "62", "64", "65", "2")
IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b")
KEYS = (
    re.compile(r"\bsk-(?:proj-|ant-|or-|live-)?[A-Za-z0-9_-]{20,}"),
    re.compile(r"\b[sr]k_(?:live|test)_[A-Za-z0-9]{16,}"),
    re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"),
    re.compile(r"\bgh[pousr]_[A-Za-z0-9]{36,}"),
    re.compile(r"\bgithub_pat_[A-Za-z0-9_]{40,}"),
    re.compile(r"\bglpat-[A-Za-z0-9_-]{20,}"),
    re.compile(r"\bhf_[A-Za-z0-9]{30,}"),
    re.compile(r"\bxox[abprs]-[A-Za-z0-9-]{10,}"),
    re.compile(r"\bAIza[A-Za-z0-9_-]{35}"),
    re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}"),
    re.compile(r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY(?: BLOCK)?-----"),
)
KEY_MARKS = (
    "sk-",
    "k_",
    "AKIA",
    "ASIA",
    "ghp_",
    "gho_",
    "ghu_",
    "ghs_",
    "ghr_",
    "github_pat_",
    "glpat-",
    "hf_",
    "xox",
    "AIza",
    "eyJ",
    "-----BEGIN ",
)
"""one of these is in every key; most texts hold none, and are done sooner"""
PHONE = re.compile(r"(?<![\w.,/=-])\+?\(?\d[\d()./ \u00a0-]{6,22}\d(?![\w%]|[.,]\d)")
GROUPED = re.compile(r"\d[ ()./\u00a0-]+\d")
DECIMAL = re.compile(r"\d*\.\d+")
REGIONS = ("US", "GB", "DE", "FR")
"""whose ways of writing a number without its country are known; with + and the country's code, any is"""
FEWEST_DIGITS, MOST_DIGITS = 9, 15
SHOWN = 3
MOST_KNOWN = 10_000
"""texts whose findings are remembered"""


def scan(text: str) -> list[Finding]:
    """What a text holds, in order; where two kinds overlap, the first of mail, key, account, card, phone."""
    found: list[Finding] = []
    for kind, start, end in _all(text):
        if not any(f.start < end and start < f.end for f in found):
            found.append(Finding(kind, start, end, masked(text[start:end])))
    return sorted(found, key=lambda f: f.start)


def masked(secret: str) -> str:
    """The first few characters of a secret, and that there are more."""
    return f"{secret[:SHOWN]}..." if len(secret) > 2 * SHOWN else "..."


def _all(text: str) -> Iterator[tuple[Personal, int, int]]:
    if "@" in text:
        for m in MAIL.finditer(text):
            if not NOBODY.search(m.group()):
                yield Personal.MAIL, m.start(), m.end()
    if any(mark in text for mark in KEY_MARKS):
        for pattern in KEYS:
            for m in pattern.finditer(text):
                yield Personal.KEY, m.start(), m.end()
    if _digits(text) < FEWEST_DIGITS:
        return
    yield from _numbers(text)


def _digits(text: str) -> int:
    if text.isascii():
        return len(text) - len(text.encode().translate(None, b"0123456789"))
    return sum(c.isdigit() for c in text)


def _numbers(text: str) -> Iterator[tuple[Personal, int, int]]:
    from stdnum import iban, luhn

    for m in IBAN.finditer(text):
        if iban.is_valid(m.group()):
            yield Personal.ACCOUNT, m.start(), m.end()
    for m in CARD.finditer(text):
        digits = re.sub(r"\D", "", m.group())
        if digits.startswith(CARD_STARTS) and len(set(digits)) > 1 and luhn.is_valid(digits):
            yield Personal.CARD, m.start(), m.end()
    for m in PHONE.finditer(text):
        if _is_phone(m.group()):
            yield Personal.PHONE, m.start(), m.end()


def _is_phone(written: str) -> bool:
    """Whether it is a number that somebody can have, written as phone numbers are.

    Without a country code it must be grouped (a bare run of digits is more often something else).
    """
    import phonenumbers

    digits = sum(c.isdigit() for c in written)
    if not FEWEST_DIGITS <= digits <= MOST_DIGITS:
        return False
    international = written.lstrip("(").startswith(("+", "00"))
    if not international and (not GROUPED.search(written) or DECIMAL.fullmatch(written)):
        return False
    leniency = phonenumbers.Leniency.VALID if international else phonenumbers.Leniency.STRICT_GROUPING
    text = re.sub(r"^00", "+", written) if international else written
    regions: tuple[str | None, ...] = (None,) if international else REGIONS
    return any(
        m.start == 0 and m.end == len(text)
        for region in regions
        for m in phonenumbers.PhoneNumberMatcher(text, region, leniency=leniency)
    )


def scan_rows(
    rows: Iterable[tuple[str, Mapping[str, object]]], skip: frozenset[str] = frozenset()
) -> list[Place]:
    """What the texts of a dataset's rows hold: (split, row) in the order they are written. `skip` names columns of ids."""
    places: list[Place] = []
    for _ in scanned(rows, places, skip):
        pass
    return places


def scanned(
    rows: Iterable[tuple[str, R]], places: list[Place], skip: frozenset[str] = frozenset()
) -> Iterator[tuple[str, R]]:
    """The same rows, one by one; what `scan_rows` finds in each is in `places` before the row is given on."""
    counted: Counter[str] = Counter()
    known: dict[str, list[Finding]] = {}
    for split, row in rows:
        counted[split] += 1
        if len(known) > MOST_KNOWN:
            known.clear()
        for column, value in row.items():
            if value is None or column in skip:
                continue
            for text in (value,) if isinstance(value, str) else dict.fromkeys(_texts(value)):
                if text not in known:
                    known[text] = scan(text)
                if known[text]:
                    places += [Place(split, counted[split], column, f.kind, f.masked) for f in known[text]]
        yield split, row


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from _texts(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _texts(one)


def summary(places: Iterable[Place]) -> dict[str, int]:
    """{kind: places}, the commonest first."""
    return {kind.value: n for kind, n in Counter(p.kind for p in places).most_common()}


def told(counts: Mapping[str, int]) -> str:
    """The summary in words: 2 mail addresses, 1 phone number."""
    many = {Personal.MAIL: "mail addresses", Personal.KEY: "keys or tokens"}
    words = ((n, kind if n == 1 else many.get(Personal(kind), f"{kind}s")) for kind, n in counts.items())
    return ", ".join(f"{n} {word}" for n, word in words)
