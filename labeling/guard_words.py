"""The list that the blinding guard works from, as an owner writes it, and as it is searched with.

labeling/guard_words.txt is the list the program comes with and says how it is written.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from db.errors import UserError
from labeling.folding import fold

DEFAULT = Path(__file__).with_name("guard_words.txt")
SECTIONS = ("names", "everyday names", "plain words", "phrases", "roles", "templates", "ignored")
SHORTEST = 4
"""letters and digits a name must have to be looked for"""
MARK_ANY, MARK_KNOWN, BEGINNING = "\x01", "\x02", "\x03"
"""what stands in for a name while phrases are tried on the words around it, and for the beginning of the answer"""
_BETWEEN = r"[\s*_\"'`~(),:;<>\[\]|-]"
_SIGNS = {"(": "(?:", "^": rf"(?:^|{BEGINNING}|[.!?]\s){_BETWEEN}*", "^^": rf"{BEGINNING}{_BETWEEN}*"}
_PIECES = re.compile(r"\{([^{}]+)\}|(\s*\*\s*)|(\s+)|(\^\^|[()|^])|([^\s{}()|^*]+)")
_CJK = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\u1100-\u11ff\uac00-\ud7af]")


@dataclass(frozen=True, slots=True)
class GuardWords:
    """The list by its sections, and the lists that phrases refer to."""

    names: tuple[str, ...]
    everyday: tuple[str, ...]
    plain: tuple[str, ...]
    phrases: tuple[str, ...]
    roles: tuple[str, ...]
    templates: tuple[str, ...]
    ignored: tuple[str, ...]
    lists: tuple[tuple[str, tuple[str, ...]], ...]


def parse_words(text: str) -> GuardWords:
    """The list from its text; UserError names the line that cannot be understood."""
    found: dict[str, list[str]] = {}
    section = ""
    for number, line in enumerate(text.splitlines(), 1):
        entry = line.strip()
        if _is_head(section, entry):
            section = entry[1:-1].strip()
            found.setdefault(section, [])
        elif entry and not entry.startswith("#"):
            if not section:
                raise UserError(
                    f"line {number} stands before any [section]", "begin with [names] or [phrases]"
                )
            found[section].append(entry)
    lists = {name: tuple(lines) for name, lines in found.items() if name not in SECTIONS}
    given = [tuple(found.get(name, ())) for name in SECTIONS]
    names, everyday, plain, phrases, roles, templates, ignored = given
    words = GuardWords(names, everyday, plain, phrases, roles, templates, ignored, tuple(lists.items()))
    groups = _grouped(lists)
    for phrase in (*words.phrases, *words.roles):
        _checked(phrase, groups)
    return words


def _is_head(section: str, entry: str) -> bool:
    """Whether a line is a section's head; among the templates, which may be [in brackets] too, only a known one is."""
    name = entry[1:-1].strip() if entry.startswith("[") and entry.endswith("]") else ""
    return bool(name) and (section != "templates" or name in SECTIONS)


def _checked(phrase: str, groups: "Mapping[str, _Group]") -> None:
    unknown = [
        n for n in re.findall(r"\{([^{}]+)\}", phrase) if n not in ("name", "known") and n not in groups
    ]
    if unknown:
        raise UserError(f"the phrase {phrase!r} names a list {{{unknown[0]}}} that is not there",
                        f"add a section [{unknown[0]}], or use {{name}}, {{known}} or {{ai}}")  # fmt: skip
    short = {name: _Group("x", ("x",)) for name in groups}
    try:
        re.compile(_pattern(phrase, short))
    except re.error as error:
        raise UserError(f"the phrase {phrase!r} cannot be read ({error})", "check its brackets") from None


@lru_cache(maxsize=1)
def default_words() -> GuardWords:
    """The list the program comes with."""
    return parse_words(DEFAULT.read_text(encoding="utf-8"))


# -- patterns ----------------------------------------------------------------------------------------------------


def _edge(char: str, side: str) -> str:
    """The condition that a word ends at this character; none where words are written without spaces."""
    if _CJK.match(char) or not char.isalnum():
        return ""
    inside = "[a-z0-9]" if char.isascii() else r"\w"
    return f"(?<!{inside})" if side == "left" else f"(?!{inside})"


def _word(text: str) -> str:
    """A folded text as a pattern of whole words; spaces in it stand for any small gap."""
    words = (f"{_BETWEEN}+").join(re.escape(w) for w in text.split())
    return f"{_edge(text[0], 'left')}{words}{_edge(text[-1], 'right')}"


class _Group(NamedTuple):
    """A list of the owner's as phrases use it: a pattern of any of its entries, and the words they begin with."""

    pattern: str
    begins: tuple[str, ...]


def _grouped(lists: Mapping[str, Sequence[str]]) -> dict[str, _Group]:
    groups: dict[str, _Group] = {}
    for name, entries in lists.items():
        longest_first = sorted({fold(entry) for entry in entries}, key=len, reverse=True)
        begins = dict.fromkeys(entry.split()[0] for entry in longest_first)
        groups[name] = _Group(f"(?:{'|'.join(map(_word, longest_first))})", tuple(begins))
    return groups


@lru_cache(maxsize=8192)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.DOTALL)


def _pattern(phrase: str, groups: Mapping[str, _Group]) -> str:
    """A phrase of the list as a pattern over folded text in which the name is a mark."""
    out: list[str] = []
    for group, gap, space, sign, text in _PIECES.findall(phrase):
        if group == "name":
            out.append(f"[{MARK_ANY}{MARK_KNOWN}]")
        elif group == "known":
            out.append(MARK_KNOWN)
        elif group:
            out.append(groups[group].pattern)
        elif gap:
            out.append(".{0,60}?")
        elif space:
            out.append(f"{_BETWEEN}*")  # words keep apart by their edges
        elif sign:
            out.append(_SIGNS.get(sign, sign))
        else:
            out.append(_word(fold(text)))
    return "".join(out)


@dataclass(frozen=True, slots=True)
class Phrase:
    """A pattern, and the words of which some must stand in a text for it to be worth trying.

    Patterns are compiled when they are first tried: most never are.
    """

    source: str
    needs: tuple[tuple[str, ...], ...]

    @property
    def pattern(self) -> re.Pattern[str]:
        """The phrase over folded text in which the name is a mark."""
        return _compiled(self.source)

    def on(self, window: str) -> bool:
        """Whether the phrase is in these words."""
        return all(any(w in window for w in some) for some in self.needs) and bool(
            self.pattern.search(window)
        )


def _phrase(phrase: str, groups: Mapping[str, _Group]) -> Phrase:
    needs: list[tuple[str, ...]] = []
    depth = 0
    for group, _, _, sign, text in _PIECES.findall(phrase):
        depth += {"(": 1, ")": -1}.get(sign, 0)
        if group and group not in ("name", "known"):
            needs.append(groups[group].begins)
        elif text and not depth:
            needs.append((fold(text),))
    return Phrase(_pattern(phrase, groups), tuple(needs))


@dataclass(frozen=True, slots=True)
class Name:
    """A name to look for. `known`: no everyday word. `bare`: a finding wherever it stands."""

    source: str
    known: bool
    bare: bool

    @property
    def pattern(self) -> re.Pattern[str]:
        """The name over folded text."""
        return _compiled(self.source)


@dataclass(frozen=True, eq=False, slots=True)
class Watch:
    """A list made ready for one campaign: names by their first run of Latin letters, the others by the whole."""

    latin: Mapping[str, tuple[Name, ...]]
    other: tuple[tuple[str, Name], ...]
    phrases: tuple[Phrase, ...]
    plain: tuple[Phrase, ...]
    roles: tuple[Phrase, ...]
    templates: tuple[str, ...]


_FIRST = re.compile(r"[a-z]+")
_SPLIT = re.compile(r"[\s\-_/.:@]+")
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")


def _name_pattern(name: str, *, literal: bool = False) -> str:
    """A name as a pattern over folded text; where it joins words, other dashes, spaces or dots may stand, or none."""
    folded = fold(name)
    parts = [p for p in _SPLIT.split(fold(_HUMP.sub(" ", name))) if p]
    if not literal:
        parts = [w for p in parts for w in re.findall(r"\d+(?:b|k|m)?(?![a-z])|[^\W\d]+|\w+", p)]
    inner = re.escape(folded) if literal else r"[\s\-_.]?".join(re.escape(p) for p in parts)
    return f"{_edge(folded[0], 'left')}{inner}{_edge(folded[-1], 'right')}"


def _beginnings(name: str) -> set[str]:
    """The runs of Latin letters of which one begins the name in a text, joined words or not; none for other scripts."""
    runs = (_FIRST.search(fold(n)) for n in (name, _HUMP.sub(" ", name)))
    return {run.group() for run in runs if run}


def long_enough(name: str) -> bool:
    """Whether a name has the four letters or digits it takes to be looked for."""
    folded = fold(name)
    return sum(c.isalnum() for c in folded) >= (SHORTEST if folded.isascii() else 2)


@lru_cache(maxsize=32)
def watch(own: tuple[str, ...], words: GuardWords) -> Watch:
    """What to look for in a campaign whose models go by these names (registered names, sources, remote ids)."""
    groups = _grouped(dict(words.lists))
    ignored = {fold(name) for name in words.ignored}
    names: dict[str, tuple[str, Name]] = {}
    for entries, known in ((words.everyday, False), (words.names, True)):
        for entry in entries:
            names[fold(entry)] = entry, Name(_name_pattern(entry), known, bare=False)
    names |= {fold(entry): (entry, name) for entry, name in _own_names(own, words)}
    latin: dict[str, list[Name]] = {}
    other: list[tuple[str, Name]] = []
    for folded, (entry, name) in names.items():
        if folded in ignored or not long_enough(folded):
            continue
        for first in (beginnings := _beginnings(entry)):
            latin.setdefault(first, []).append(name)
        if not beginnings:
            other.append((folded, name))
    made = [(p, _phrase(p, groups)) for p in words.phrases]
    named = tuple(phrase for text, phrase in made if "{name}" in text or "{known}" in text)
    plain = tuple(phrase for text, phrase in made if not ("{name}" in text or "{known}" in text))
    roles = tuple(_phrase(p, groups) for p in words.roles)
    return Watch({k: tuple(v) for k, v in latin.items()}, tuple(other), named, plain, roles, words.templates)


def _own_names(own: Iterable[str], words: GuardWords) -> Iterator[tuple[str, Name]]:
    """The names a campaign's models may give away: each in full, its maker, its family, and family with version."""
    everyday = {fold(n) for n in words.everyday}
    known = {fold(n) for n in words.names}
    generic = {fold(n) for n in words.plain}
    for name in own:
        for part in dict.fromkeys(p for p in name.split("/") if long_enough(p)):
            folded = fold(part)
            pieces = [p for p in _SPLIT.split(folded) if p]
            letters = [p for p in re.findall(r"[^\W\d_]+", folded) if p not in generic]
            single = len(pieces) == 1 and folded.isalpha()
            if single and (folded in everyday or folded in generic):
                yield (
                    part,
                    Name(_name_pattern(part, literal=True), folded not in generic, bare=False),
                )
                continue
            is_owner = "/" in name and part == name.split("/")[0]
            literal = not letters or max(map(len, letters)) < SHORTEST
            known_one = not is_owner or folded not in everyday
            yield part, Name(_name_pattern(part, literal=literal), known_one, bare=not is_owner)
            family = letters[0] if letters else ""
            if len(family) >= SHORTEST and folded.startswith(family) and family != folded:
                yield family, Name(_name_pattern(family), known=True, bare=family in known)
                if version := re.match(re.escape(family) + r"[\s\-_.]?(v?\d+(?:\.\d+)*b?)(?![a-z])", folded):
                    numbered = f"{family}-{version.group(1)}"
                    yield numbered, Name(_name_pattern(numbered), known=True, bare=True)
