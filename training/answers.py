"""Answers one by one, as sft and kto learn them: read from a snapshot file and looked at before anything is trained.

A file of pairs is read too: its chosen sides are good answers, its rejected ones bad. Rows are rendered and split as in
`training/preflight.py`, which is how the trainers do it. Needs a tokenizer, never torch.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from db.entities.catalog import Message, Split
from db.errors import UserError
from training.preflight import (
    SHOWN,
    Finding,
    RenderedToken,
    Report,
    common,
    ended,
    lines_of,
    messages_of,
    quantiles,
    read_rows,
    texts_of,
    token_ids,
    twice,
)
from training.settings import Settings

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer of a snapshot file, and the row it comes from."""

    row: int
    part: Split
    prompt: tuple[Message, ...]
    completion: tuple[Message, ...]
    good: bool

    @property
    def key(self) -> tuple[object, ...]:
        """Prompt and answer as text: equal for answers that repeat each other."""
        return tuple((m["role"], m["content"]) for m in self.prompt), texts_of(self.completion)


@dataclass(frozen=True, slots=True)
class AnswerTokens:
    """An answer in tokens; only `answer` carries loss. `lost` is the end of the prompt that an answer changes."""

    prompt: list[int]
    answer: list[int]
    lost: list[int]


@dataclass(frozen=True, slots=True)
class RenderedAnswer:
    """An answer as the trainer sees it: the loss begins where `prompt` ends. `pieces` are the prompt's tokens."""

    row: int
    good: bool
    prompt: str
    pieces: tuple[str, ...]
    answer: tuple[RenderedToken, ...]
    prompt_tokens: int
    ends: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerPreflight(Report):
    """What is found in answers one by one. Lengths are of prompt and answer; repeated and empty ones are left out.

    `good` and `bad` count what trains. `contradictory` are answers called good in one row and bad in another: with sft
    the bad ones are not read.
    """

    good: int
    bad: int
    empty: tuple[int, ...]
    rendered: tuple[RenderedAnswer, ...]

    @property
    def identical(self) -> tuple[int, ...]:
        """Rows left out because another says the same, or they say nothing."""
        return tuple(sorted({*self.duplicate, *self.empty}))

    @property
    def rows(self) -> tuple[str, str]:
        """What one row is called, and what its number is called."""
        return "answer", "row"

    def findings(self) -> list[Finding]:
        """As for all rows, and what can be so about one answer."""
        return [
            *Report.findings(self)[:1],
            (
                self.cut,
                f"cut at max_length {self.max_length}, so the answer loses its end token; raise max_length",
            ),
            (self.empty, "left out: the answer is empty"),
            (self.duplicate, "left out: another row has the same prompt and answer"),
            (self.contradictory, "called good in one row and bad in another"),
            *Report.findings(self)[1:],
        ]


def read_answers(path: Path, *, good_only: bool = False) -> list[Answer]:
    """The answers of a snapshot file; UserError names the file and the line that holds none.

    A pair gives its chosen side as a good answer and its rejected one as a bad one.
    """
    if not path.is_file():
        raise UserError(f"there is no file of answers {path}", "check the path, or freeze a snapshot first")
    lines = lines_of(path)
    if any('"chosen"' in line for line in lines[:1]):
        answers = [
            Answer(row.pair, row.part, row.prompt, side, side is row.chosen)
            for row in read_rows(path)
            for side in (row.chosen, row.rejected)
        ]
    else:
        answers = [_answer(path, n, line) for n, line in enumerate(lines, 1) if line.strip()]
    return [a for a in answers if a.good or not good_only]


def _answer(path: Path, number: int, line: str) -> Answer:
    where = f"{path.name}, line {number}"
    try:
        raw = json.loads(line)
        answer = Answer(
            int(raw.get("row", number)), Split(raw.get("part", "train")), messages_of(raw["prompt"]),
            messages_of(raw["completion"]), bool(raw.get("label", True)),
        )  # fmt: skip
    except (json.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError) as e:
        raise UserError(
            f"{where} is not an answer ({type(e).__name__}: {e})",
            "each line needs prompt and completion as lists of messages",
        ) from e
    if not answer.prompt or answer.prompt[-1]["role"] != "user" or not answer.completion:
        raise UserError(
            f"{where}: the prompt must end with the user, and the answer must be there", "mend that line"
        )
    return answer


def once(answers: Iterable[Answer]) -> list[Answer]:
    """The answers that say something, each of them once; one that is called good and bad stays in both."""
    kept: dict[object, Answer] = {}
    for answer in answers:
        if any(texts_of(answer.completion)):
            kept.setdefault((answer.key, answer.good), answer)
    return list(kept.values())


def tokenize_answer(answer: Answer, tokenizer: PreTrainedTokenizerBase) -> AnswerTokens:
    """The answer in tokens, split where the trainer splits it."""
    prompt = token_ids(tokenizer, answer.prompt, add_generation_prompt=True)
    whole = token_ids(tokenizer, answer.prompt + answer.completion)
    n = common(prompt, whole)
    return AnswerTokens(prompt[:n], whole[n:], prompt[n:])


def trainable(
    answers: Iterable[Answer], tokenizer: PreTrainedTokenizerBase, settings: Settings
) -> list[Answer]:
    """The answers a trainer can learn from."""
    return [
        a for a in once(answers) if len(tokenize_answer(a, tokenizer).prompt) < settings.max_length
    ]  # fmt: skip


def look(answers: list[Answer], tokenizer: PreTrainedTokenizerBase, settings: Settings) -> AnswerPreflight:
    """Counts, row numbers, lengths and three rendered rows."""
    read = [(a, tokenize_answer(a, tokenizer)) for a in answers]
    kept = set(map(id, once(answers)))
    good = [(a, t) for a, t in read if id(a) in kept and len(t.prompt) < settings.max_length]
    said: dict[object, set[bool]] = {}
    for a in answers:
        said.setdefault(a.key, set()).add(a.good)
    repeated = Counter((a.key, a.good) for a in answers)
    parts: dict[object, set[Split]] = {}
    for a in answers:
        parts.setdefault(a.key[0], set()).add(a.part)
    size = settings.max_length

    def rows(found: Iterable[tuple[Answer, AnswerTokens]]) -> tuple[int, ...]:
        return tuple(a.row for a, _ in found)

    training = [a for a, _ in good if a.part is Split.TRAIN]
    return AnswerPreflight(
        train=sum(a.part is Split.TRAIN for a in answers),
        heldout=sum(a.part is Split.HELDOUT for a in answers),
        trained=len(training),
        evaluated=len(good) - len(training),
        good=sum(a.good for a in training),
        bad=sum(not a.good for a in training),
        empty=tuple(a.row for a in answers if not any(texts_of(a.completion))),
        duplicate=tuple(a.row for a in answers if repeated[a.key, a.good] > 1 and id(a) not in kept),
        contradictory=tuple(a.row for a in answers if len(said[a.key]) > 1),
        dropped=rows(r for r in read if len(r[1].prompt) >= size),
        cut=rows(r for r in good if len(r[1].prompt) + len(r[1].answer) > size),
        shifted=rows(r for r in read if r[1].lost),
        unended=rows(r for r in read if not ended(r[1].answer, tokenizer)),
        doubled=rows(r for r in read if twice(r[1].prompt + r[1].answer, tokenizer)),
        split_prompts=tuple(a.row for a in answers if len(parts[a.key[0]]) > 1),
        lengths=quantiles([len(t.prompt) + len(t.answer) for _, t in read]),
        rendered=tuple(_rendered(a, t, tokenizer, size) for a, t in read[:SHOWN]),
        max_length=size,
    )


def _rendered(
    answer: Answer, tokens: AnswerTokens, tokenizer: PreTrainedTokenizerBase, size: int
) -> RenderedAnswer:
    room = size - len(tokens.prompt)
    shown = tuple(RenderedToken(tokenizer.decode([i]), n < room) for n, i in enumerate(tokens.answer))
    ends = ended(tokens.answer, tokenizer) and len(tokens.answer) <= room
    return RenderedAnswer(
        answer.row,
        answer.good,
        tokenizer.decode(tokens.prompt),
        tuple(tokenizer.decode([i]) for i in tokens.prompt),
        shown,
        len(tokens.prompt),
        ends,
    )
