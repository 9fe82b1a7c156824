"""What the rows of a snapshot look like to the trainer, before anything is trained.

Rows are rendered through the tokenizer's own chat template exactly as the trainer does it: the loss falls on
the tokens after the longest common beginning of prompt and prompt-with-answer. Needs a tokenizer, never torch.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from db.entities.catalog import Message, Split
from db.errors import UserError
from training.balance import Balance
from training.settings import Settings

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

SHOWN = 3


@dataclass(frozen=True, slots=True)
class Row:
    """One preference pair of a snapshot file, with the line it stands on."""

    pair: int
    part: Split
    prompt: tuple[Message, ...]
    chosen: tuple[Message, ...]
    rejected: tuple[Message, ...]
    clear: float = 0.0
    """how clear the votes were: 1 clearly, 0.5 slightly, 0 where they do not say"""

    @property
    def identical(self) -> bool:
        """Whether both answers say the same, so that nothing can be learned from it."""
        return texts_of(self.chosen) == texts_of(self.rejected)


@dataclass(frozen=True, slots=True)
class Tokens:
    """A row in tokens: the part both sequences share, then what each answer adds. Only answers carry loss."""

    prompt: list[int]
    chosen: list[int]
    rejected: list[int]
    lost: list[int]


@dataclass(frozen=True, slots=True)
class RenderedToken:
    """One token as text, and whether the loss counts it."""

    text: str
    loss: bool


@dataclass(frozen=True, slots=True)
class RenderedRow:
    """A pair as the trainer sees it: the end of `prompt` is where the loss begins. `pieces` are the prompt's tokens."""

    pair: int
    prompt: str
    pieces: tuple[str, ...]
    chosen: tuple[RenderedToken, ...]
    rejected: tuple[RenderedToken, ...]
    prompt_tokens: int
    ends: bool


Finding = tuple[Sequence[int], str]
"""numbers of rows, and what is so about them"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What is found in rows of any kind before they train: how many, and the numbers of those to know about.

    Lengths are tokens, uncut. `trained` and `evaluated` are what is left after the rows that are left out. `shifted` are
    those whose prompt changes when an answer is appended; `doubled` begin or end with one special token twice;
    `split_prompts` have a prompt that stands in both parts. `warnings` and `balance` look at the votes behind the rows;
    `left_out` are the votes that made no row, by the reason. Both stay empty where only a file is looked at.
    """

    train: int
    heldout: int
    trained: int
    evaluated: int
    duplicate: tuple[int, ...]
    contradictory: tuple[int, ...]
    dropped: tuple[int, ...]
    cut: tuple[int, ...]
    shifted: tuple[int, ...]
    unended: tuple[int, ...]
    doubled: tuple[int, ...]
    split_prompts: tuple[int, ...]
    lengths: dict[str, int]
    max_length: int
    warnings: tuple[str, ...] = ()
    balance: Balance | None = None
    left_out: dict[str, tuple[int, ...]] = field(default_factory=dict)

    @property
    def rows(self) -> tuple[str, str]:
        """What one row is called, and what its number is called."""
        return "pair", "pair"

    def findings(self) -> list[Finding]:
        """What is so about which rows, in the order a person should read it."""
        return [
            (self.dropped, f"left out: the prompt alone fills max_length {self.max_length}; raise max_length"),
            (self.shifted, "losing the end of the prompt: the chat template renders it differently before an answer"),
            (self.unended, "with an answer that has no end token: the chat template does not end the turn"),
            (self.doubled, "that begin or end with one special token twice: the template writes what the tokenizer adds"),
            (self.split_prompts, "with a prompt that both trains and is held out; no run starts like this"),
        ]  # fmt: skip

    @property
    def problems(self) -> tuple[str, ...]:
        """One sentence for each thing a person should know before starting; empty when all is well."""
        return tuple(
            f"{count} {sentence} ({which})"
            for ids, sentence in self.findings()
            if ids
            for count, which in [in_words(ids, *self.rows)]
        )

    def to_json(self) -> str:
        """Everything above as one JSON object."""
        return json.dumps({**asdict(self), "problems": self.problems}, ensure_ascii=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Preflight(Report):
    """What is found in pairs. Lengths are of prompt plus longer answer; identical pairs are left out."""

    identical: tuple[int, ...]
    rendered: tuple[RenderedRow, ...]

    @property
    def cut_sentence(self) -> str:
        """What being cut does to a pair."""
        return f"cut at max_length {self.max_length}, so an answer loses its end token; raise max_length"

    def findings(self) -> list[Finding]:
        """As for all rows, and what can be so about two answers."""
        return [
            *Report.findings(self)[:1],
            (self.cut, self.cut_sentence),
            (self.identical, "left out: both answers are the same"),
            (self.duplicate, "in the file more than once"),
            (self.contradictory, "contradicting another pair: the same two answers the other way round"),
            *Report.findings(self)[1:],
        ]


def read_rows(path: Path) -> list[Row]:
    """The pairs of a snapshot file; UserError names the file and the line that is not a pair."""
    if not path.is_file():
        raise UserError(f"there is no file of pairs {path}", "check the path, or freeze a snapshot first")
    return [_row(path, number, line) for number, line in enumerate(lines_of(path), 1) if line.strip()]


def lines_of(path: Path) -> list[str]:
    """The lines of a JSONL file. Texts may hold signs that end a line elsewhere, such as U+2028."""
    return path.read_text(encoding="utf-8").split("\n")


def usable(row: Row, tokens: Tokens, settings: Settings) -> bool:
    """Whether the trainer can learn from the row at all."""
    return not row.identical and len(tokens.prompt) < settings.max_length


def tokenize(row: Row, tokenizer: PreTrainedTokenizerBase) -> Tokens:
    """The row in tokens, split where the trainer splits it."""
    prompt = token_ids(tokenizer, row.prompt, add_generation_prompt=True)
    chosen = token_ids(tokenizer, row.prompt + row.chosen)
    rejected = token_ids(tokenizer, row.prompt + row.rejected)
    n = min(common(prompt, chosen), common(prompt, rejected))
    return Tokens(prompt[:n], chosen[n:], rejected[n:], prompt[n:])


def preflight(rows: Path, tokenizer: PreTrainedTokenizerBase, settings: Settings) -> Preflight:
    """Counts, pair ids, lengths and three rendered rows of the snapshot file `rows`."""
    read = [(row, tokenize(row, tokenizer)) for row in read_rows(rows)]
    rows_read = [row for row, _ in read]
    good = [(row, tokens) for row, tokens in read if usable(row, tokens, settings)]

    def ids(found: Iterable[tuple[Row, Tokens]]) -> tuple[int, ...]:
        return tuple(row.pair for row, _ in found)

    return Preflight(
        train=sum(row.part is Split.TRAIN for row, _ in read),
        heldout=sum(row.part is Split.HELDOUT for row, _ in read),
        trained=sum(row.part is Split.TRAIN for row, _ in good),
        evaluated=sum(row.part is Split.HELDOUT for row, _ in good),
        identical=ids(r for r in read if r[0].identical),
        duplicate=repeated(rows_read),
        contradictory=contradicted(rows_read),
        dropped=ids(r for r in read if len(r[1].prompt) >= settings.max_length),
        cut=ids(r for r in good if _length(r[1]) > settings.max_length),
        shifted=ids(r for r in read if r[1].lost),
        unended=ids(r for r in read if not _ends(r[1], tokenizer)),
        doubled=ids(
            r
            for r in read
            if any(twice(r[1].prompt + side, tokenizer) for side in (r[1].chosen, r[1].rejected))
        ),
        split_prompts=split_prompts(rows_read),
        lengths=quantiles([_length(tokens) for _, tokens in read]),
        rendered=tuple(_rendered(row, tokens, tokenizer, settings) for row, tokens in read[:SHOWN]),
        max_length=settings.max_length,
    )


def split_prompts(rows: Sequence[Row]) -> tuple[int, ...]:
    """The pairs whose prompt stands in both parts."""
    parts: dict[object, set[Split]] = {}
    for row in rows:
        parts.setdefault(_prompt_key(row), set()).add(row.part)
    return tuple(row.pair for row in rows if len(parts[_prompt_key(row)]) > 1)


def repeated(rows: Sequence[Row]) -> tuple[int, ...]:
    """The pairs that are in the file more than once."""
    keys = Counter(_key(row) for row in rows)
    return tuple(row.pair for row in rows if keys[_key(row)] > 1)


def contradicted(rows: Sequence[Row]) -> tuple[int, ...]:
    """The pairs that stand in the file the other way round as well."""
    keys = {_key(row) for row in rows}
    return tuple(row.pair for row in rows if not row.identical and _key(row, swapped=True) in keys)


def _row(path: Path, number: int, line: str) -> Row:
    where = f"{path.name}, line {number}"
    try:
        raw = json.loads(line)
        prompt, chosen, rejected = (messages_of(raw[key]) for key in ("prompt", "chosen", "rejected"))
        row = Row(int(raw.get("pair", number)), Split(raw.get("part", "train")), prompt, chosen, rejected,
                  float(raw.get("margin") or 0.0))  # fmt: skip
    except (json.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError) as e:
        raise UserError(
            f"{where} is not a preference pair ({type(e).__name__}: {e})",
            "each line needs prompt, chosen and rejected as lists of messages",
        ) from e
    if not prompt or prompt[-1]["role"] != "user" or not chosen or not rejected:
        raise UserError(
            f"{where}: the prompt must end with the user, and both answers must be there", "mend that line"
        )
    return row


def messages_of(raw: object) -> tuple[Message, ...]:
    """Messages as a file holds them; TypeError, KeyError or ValueError where they are none."""
    if not isinstance(raw, list):
        raise TypeError("messages must be a list")
    return tuple({"role": str(m["role"]), "content": str(m["content"])} for m in raw)


def token_ids(
    tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message], add_generation_prompt: bool = False
) -> list[int]:
    """The messages rendered by the chat template, in tokens; UserError where the template refuses them."""
    from jinja2 import TemplateError

    try:
        rendered = tokenizer.apply_chat_template(
            list(messages), tokenize=True, return_dict=True, add_generation_prompt=add_generation_prompt
        )
    except TemplateError as e:
        raise UserError(f"the model's chat template refuses a prompt: {e}", "leave such prompts out") from e
    return list(rendered["input_ids"])


def common(a: Sequence[int], b: Sequence[int]) -> int:
    """Length of the longest common beginning."""
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


def _length(tokens: Tokens) -> int:
    return len(tokens.prompt) + max(len(tokens.chosen), len(tokens.rejected))


def _ends(tokens: Tokens, tokenizer: PreTrainedTokenizerBase) -> bool:
    return all(ended(ids, tokenizer) for ids in (tokens.chosen, tokens.rejected))


def ended(answer: Sequence[int], tokenizer: PreTrainedTokenizerBase) -> bool:
    """Whether an answer ends its turn: a special token among the last three (a line break may follow it)."""
    return bool(set(tokenizer.all_special_ids) & set(answer[-3:]))


def twice(ids: Sequence[int], tokenizer: PreTrainedTokenizerBase) -> bool:
    """Whether it begins with two begin tokens, or ends with two end tokens: a template and a tokenizer that both add one."""
    begin, end = tokenizer.bos_token_id, tokenizer.eos_token_id
    return (begin is not None and begin != end and list(ids[:2]) == [begin, begin]) or list(ids[-2:]) == [
        end,
        end,
    ]


def _rendered(
    row: Row, tokens: Tokens, tokenizer: PreTrainedTokenizerBase, settings: Settings
) -> RenderedRow:
    room = settings.max_length - len(tokens.prompt)

    def shown(ids: list[int]) -> tuple[RenderedToken, ...]:
        return tuple(RenderedToken(tokenizer.decode([i]), n < room) for n, i in enumerate(ids))

    return RenderedRow(
        pair=row.pair,
        prompt=tokenizer.decode(tokens.prompt),
        pieces=tuple(tokenizer.decode([i]) for i in tokens.prompt),
        chosen=shown(tokens.chosen),
        rejected=shown(tokens.rejected),
        prompt_tokens=len(tokens.prompt),
        ends=_ends(tokens, tokenizer) and _length(tokens) <= settings.max_length,
    )


def quantiles(lengths: Sequence[int]) -> dict[str, int]:
    """Smallest, median, 90th and 99th percentile (nearest rank) and largest length."""
    ordered = sorted(lengths)
    if not ordered:
        return {}
    at = {"min": 0.0, "p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}
    return {name: ordered[round(share * (len(ordered) - 1))] for name, share in at.items()}


def texts_of(messages: Sequence[Message]) -> tuple[str, ...]:
    """What the messages say, without the white space around it."""
    return tuple(m["content"].strip() for m in messages)


def _prompt_key(row: Row) -> tuple[tuple[str, str], ...]:
    return tuple((m["role"], m["content"]) for m in row.prompt)


def _key(row: Row, swapped: bool = False) -> tuple[object, ...]:
    first, second = (row.rejected, row.chosen) if swapped else (row.chosen, row.rejected)
    return _prompt_key(row), texts_of(first), texts_of(second)


def in_words(ids: Sequence[int], what: str = "pair", where: str = "pair") -> tuple[str, str]:
    """("3 pairs", "pair 1, 2, 7"): how many there are, and the first five of them."""
    shown = ", ".join(map(str, ids[:5])) + (f" and {len(ids) - 5} more" if len(ids) > 5 else "")
    return f"{len(ids)} {what}{'s' if len(ids) != 1 else ''}", f"{where} {shown}"
