"""The blinding guard: what in a battle would tell a rater who wrote it, or leaves nothing to compare. Pure.

Four kinds are found: a response that names its model or maker, remains of a chat template, two responses that are as
good as the same, and one with nothing to read. A name is a finding where the model speaks of itself with it ("I am
...", "developed by ..."), in any of the languages of the list, or where it is the registered name of one of the
campaign's own models. A name that the prompt brought up, or that the answer merely writes about, is none.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from db.entities.campaigns import Finding, FindingKind
from db.entities.catalog import Message
from labeling.folding import Folded, fold
from labeling.guard_words import BEGINNING, MARK_ANY, MARK_KNOWN, GuardWords, Name, Phrase, Watch, watch

HIDDEN = "[hidden]"
"""what stands in a served text for words that are covered"""
SAME_SHARE = 0.98
"""share of words in common from which two long texts are near-identical: one word in fifty differs"""
FEWEST_WORDS = 50
"""words from which that share is asked for; shorter texts must have the same words, as one word is all of an answer"""
AROUND = 160
"""characters beside a name in which it is asked who speaks"""
MOST_SIGNS, LAST_LATIN = 3, 0x2000
"""signs that are no answer by themselves; beyond this code point a sign may be one (an arrow, a picture)"""
COVERABLE = frozenset({FindingKind.IDENTITY, FindingKind.TEMPLATE})
"""kinds that can be covered; the others leave nothing to judge"""


def findings(
    messages: Sequence[Message], text_a: str, text_b: str, names: Sequence[str], words: GuardWords
) -> tuple[Finding, ...]:
    """What the guard finds in a battle. `names`: whatever the campaign's models are called, here or at their source."""
    listed = watch(tuple(names), words)
    found: list[Finding] = []
    for slot, text in (("a", text_a), ("b", text_b)):
        traces = traces_in(text, listed)
        if traces.any:
            found += _beyond_the_prompt(slot, traces, text, messages, listed)
        if is_empty(text, traces.templates):
            found.append(Finding(slot, FindingKind.EMPTY, "nothing to read"))
    if near_identical(text_a, text_b):
        found.append(Finding("both", FindingKind.NEAR_IDENTICAL, "the two answers are as good as the same"))
    return tuple(dict.fromkeys(found))


# -- one text ----------------------------------------------------------------------------------------------------


class Traces(NamedTuple):
    """What one text holds, whatever it was asked: folded names and phrases, and template remains as they stand."""

    bare: tuple[str, ...]
    """the campaign's own names, wherever they stand"""
    spoken: tuple[str, ...]
    """names with which the text speaks of itself, and phrases of the list"""
    plainly: tuple[str, ...]
    """those of them that hold for an everyday word too, so that no comparison with another model is among them"""
    templates: tuple[str, ...]

    @property
    def any(self) -> bool:
        """Whether there is anything."""
        return bool(self.bare or self.spoken or self.templates)


@lru_cache(maxsize=8192)
def traces_in(text: str, listed: Watch) -> Traces:
    """The traces in one text; kept, as a response meets several others."""
    folded = fold(text)
    bare: dict[str, None] = {}
    spoken: dict[str, bool] = {}
    for (start, end), name in _longest(_names_in(folded, listed)):
        found = folded[start:end]
        if name.bare:
            bare[found] = None
        elif not spoken.get(found):
            window = _sentence(folded, start, end)
            if name.known and _on(listed.phrases, window, MARK_KNOWN):
                spoken[found] = False
            if _on(listed.phrases, window, MARK_ANY):
                spoken[found] = True
    spoken |= {m.group(): True for p in listed.plain if p.on(folded) and (m := p.pattern.search(folded))}
    plainly = tuple(found for found, plain in spoken.items() if plain)
    return Traces(tuple(bare), tuple(spoken), plainly, tuple(_templates_in(text, listed.templates)))


_WORD = re.compile(r"[a-z]+")


_Place = tuple[tuple[int, int], Name]


def _names_in(folded: str, listed: Watch) -> Iterator[_Place]:
    """Where which names stand in the text; a name is tried only where its first letters are there."""
    for first in listed.latin.keys() & set(_WORD.findall(folded)):
        for name in listed.latin[first]:
            yield from ((m.span(), name) for m in name.pattern.finditer(folded))
    if not folded.isascii():
        for whole, name in listed.other:
            if whole in folded:
                yield from ((m.span(), name) for m in name.pattern.finditer(folded))


def _longest(found: Iterable[_Place]) -> list[_Place]:
    """Names without those that are part of a longer one at the same place, in the order of the text."""
    kept: list[_Place] = []
    for place in sorted(found, key=lambda p: (p[0][0], -p[0][1], not p[1].bare)):
        if not kept or place[0][1] > kept[-1][0][1]:
            kept.append(place)
    return kept


_SENTENCE_END = re.compile(r"[.!?]\s|\n\s*\n|[。！？]")


def _sentence(folded: str, start: int, end: int) -> tuple[str, str]:
    """The words before and after a name in its sentence."""
    left, right = folded[max(0, start - AROUND) : start], folded[end : end + AROUND]
    begun = max((m.end() for m in _SENTENCE_END.finditer(left)), default=0)
    stop = _SENTENCE_END.search(right)
    if begun == 0 and start <= AROUND:
        left = BEGINNING + left
    return left[begun:], right[: stop.start() + 1] if stop else right


def _on(phrases: Iterable[Phrase], window: tuple[str, str], mark: str) -> bool:
    """Whether any phrase is in these words, with a mark in the name's place."""
    words = mark.join(window)
    return any(phrase.on(words) for phrase in phrases)


# -- templates ---------------------------------------------------------------------------------------------------

_REMAINS = tuple(
    re.compile(pattern, flags)
    for pattern, flags in (
        (r"<[|｜][A-Za-z_][\w▁ .-]{1,38}[|｜]>", 0),
        (r"</s>(?=\s*$|\s*\[|\s*<s>)|^\s*<s>(?!.*</s>\S)", 0),
        (
            r"</?(?:unk|pad|eos|bos|endoftext|start_of_turn|end_of_turn|eot|human|bot|assistant)>",
            0,
        ),
        (
            r"\[(?:PAD|UNK|CLS|SEP|EOS|BOS|MASK|/?INST|/?SYS|/?SYSTEM_PROMPT|/?USER|/?ASSISTANT)\]|<</?SYS>>",
            0,
        ),
        (r"</?(?:think|thinking|thought|reasoning|scratchpad)>", 0),
        (r"^#{2,3} ?(?:instruction|response|human|assistant|system|user|input|output)s?:", re.I | re.M),
        (r"^#{2,3} ?(?:instruction|response|human|assistant)\s*$", re.I | re.M),
        (r"\A\s*(?:\*\*)?(?:assistant|ai assistant|ai|chatbot|bot|gpt|model)(?:\*\*)?\s?[:：]", re.I),
        (r"^(?:human|user)\s?:(?=[\s\S]*^(?:assistant|ai|bot|gpt)\s?:)", re.I | re.M),
        (r"^(?:assistant|ai|bot|gpt)\s?:(?=[\s\S]*^(?:human|user)\s?:)", re.I | re.M),
        (r"\n\n(?:Human|HUMAN|USER|ASSISTANT)\s?:", 0),
        (r"▁[A-Za-z]+|[ĠĊ][a-z]+(?=.*[ĠĊ][a-z])", 0),
    )
)
_FENCED = re.compile(r"```.*?```|`[^`\n]+`", re.DOTALL)
_HINTS = ("<", "[", "#", "▁", "Ġ", "Ċ", ":", "：")


def _templates_in(text: str, literal: Iterable[str]) -> Iterator[str]:
    """Remains of a chat template as they stand; what is shown as code is none."""
    if any(hint in text for hint in _HINTS):
        outside = _FENCED.sub(lambda m: " " * len(m.group()), text) if "`" in text else text
        for pattern in _REMAINS:
            yield from dict.fromkeys(m.group().strip() for m in pattern.finditer(outside))
    yield from (phrase for phrase in literal if phrase in text)


# -- the prompt --------------------------------------------------------------------------------------------------

_PLAYED = re.compile(
    r"dialog|conversation|script|chat|transcript|interview|roleplay|role-play|q&a|screenplay|story"
)


def _beyond_the_prompt(
    slot: str, traces: Traces, text: str, messages: Sequence[Message], listed: Watch
) -> Iterator[Finding]:
    """The traces of a text that its prompt did not bring up, in the text's own spelling."""
    asked = fold("\n\n".join(m["content"] for m in messages))
    folded = Folded(text)
    for found in (*traces.bare, *traces.spoken):
        named = _joined(found) in _joined(asked)
        if named and not (found in traces.plainly and _asked_who(asked, found, listed)):
            continue
        start = folded.folded.find(found)
        first, last = folded.span(start, start + len(found))
        yield Finding(slot, FindingKind.IDENTITY, text[first:last])
    labels = _PLAYED.search(asked) is not None
    for remain in traces.templates:
        if fold(remain) not in asked and not (labels and remain.endswith((":", "："))):
            yield Finding(slot, FindingKind.TEMPLATE, remain)


def _joined(folded: str) -> str:
    """A folded text without what may or may not stand between the words of a name."""
    return re.sub(r"[\s\-_.]+", "", folded)


_ABOUT_YOU = re.compile(
    r"\b(?:are|who|what|which|made|created|developed|trained|built) (?:are )?you\b|your (?:name|creator|maker|developer|model)"
)


def _asked_who(asked: str, name: str, listed: Watch) -> bool:
    """Whether a prompt that names someone asks the model who it is; giving it a part to play is not asking."""
    if not _ABOUT_YOU.search(asked):
        return False
    windows = [_sentence(asked, *m.span()) for m in re.finditer(re.escape(name), asked)]
    return not any(_on((*listed.roles, *listed.phrases), window, MARK_ANY) for window in windows)


# -- two texts ---------------------------------------------------------------------------------------------------

_TOKEN = re.compile(r"\w+|[^\w\s]")
_EMPHASIS = re.compile(r"[*_#`]+")


def near_identical(text_a: str, text_b: str) -> bool:
    """Whether two texts leave a rater nothing to choose between.

    The same but for spaces, emphasis and a last stop; or, from fifty words on, at most one word in fifty apart, capitals
    aside, and no number among them (an answer that is off by one digit is another answer).
    """
    if _settled(text_a) == _settled(text_b):
        return _settled(text_a) != ""
    shorter, longer = sorted((len(text_a), len(text_b)))
    if shorter < 2 * FEWEST_WORDS or shorter < 0.8 * longer:
        return False
    a, b = _words(text_a), _words(text_b)
    if min(len(a), len(b)) < FEWEST_WORDS or abs(len(a) - len(b)) > (1 - SAME_SHARE) * (len(a) + len(b)):
        return False
    from rapidfuzz.distance import Indel

    alike = Indel.normalized_similarity(a, b, score_cutoff=SAME_SHARE) >= SAME_SHARE
    return alike and _numbers(a) == _numbers(b)


@lru_cache(maxsize=8192)
def _settled(text: str) -> str:
    """A text without what only sets it: spaces at its ends and doubled ones, emphasis, a stop at the end."""
    return " ".join(_EMPHASIS.sub(" ", text).split()).rstrip(" .!")


@lru_cache(maxsize=8192)
def _words(text: str) -> tuple[str, ...]:
    return tuple(_TOKEN.findall(fold(text)))


def _numbers(words: Iterable[str]) -> Counter[str]:
    return Counter(w for w in words if any(c.isdigit() for c in w))


def is_empty(text: str, templates: Iterable[str] = ()) -> bool:
    """Whether a text without its template remains holds nothing, or at most three signs (a stop, a lone fence)."""
    for remain in templates:
        text = text.replace(remain, "")
    if any(c.isalnum() for c in text):
        return False
    seen = [c for c in fold(text) if not c.isspace() and c.isprintable()]
    return len(seen) <= MOST_SIGNS and not any(ord(c) > LAST_LATIN for c in seen)


# -- covering ----------------------------------------------------------------------------------------------------


def places(text: str, what: str) -> list[tuple[int, int]]:
    """Where the words of a finding stand in a text, however they are spelled there; whole words only."""
    sought = fold(what).strip()
    if not sought:
        return []
    folded = Folded(text)
    left = r"(?<![a-z0-9])" if re.match("[a-z0-9]", sought) else ""
    right = r"(?![a-z0-9])" if re.search("[a-z0-9]$", sought) else ""
    pattern = left + r"\s+".join(re.escape(w) for w in sought.split()) + right
    return [folded.span(*m.span()) for m in re.finditer(pattern, folded.folded)]


def redacted(text: str, found: Iterable[str]) -> str:
    """The text with the words of its findings covered by a neutral block."""
    spans = sorted({place for what in found for place in places(text, what)})
    out: list[str] = []
    at = 0
    for start, end in spans:
        if start >= at:
            out += [text[at:start], HIDDEN]
        at = max(at, end)
    return "".join([*out, text[at:]])


def excerpt(text: str, what: str, around: int = 70) -> tuple[str, str, str]:
    """(before, the words, after) of the first place of a finding; the beginning of the text where it has none."""
    found = places(text, what)
    if not found:
        return "", "", _one_line(text[: 2 * around])
    start, end = found[0]
    return (
        _one_line(text[max(0, start - around) : start]),
        text[start:end],
        _one_line(text[end : end + around]),
    )


def _one_line(text: str) -> str:
    return re.sub(r"\s+", " ", text)
