"""What a parser hands over: one frozen type for each thing a row can hold, and the reason where it holds none."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from db.entities.catalog import Message, Split
from db.entities.votes import Outcome, RaterKind


class ImportKind(StrEnum):
    """What an import brings."""

    PROMPTS = "prompts"
    RESPONSES = "responses"
    VOTES = "votes"
    VERDICTS = "verdicts"
    PAIRS = "pairs"
    SCORES = "scores"


class BadRow(Exception):
    """A row that cannot go in; its text is the reason the person reads."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A row that stayed out: its line (row number for Parquet and hub data, from 1) and why."""

    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class GivenPrompt:
    """A prompt as a row gives it: its messages, or only the source's own id for it, or both."""

    messages: tuple[Message, ...] = ()
    ref: str | None = None
    split: Split | None = None
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class GivenResponse:
    """One model's answer. `model` None stands for the model named after the file."""

    prompt: GivenPrompt
    model: str | None
    text: str
    settings: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True)
class GivenItem:
    """Two responses to one prompt that votes in another file know by one id."""

    item: str
    prompt: GivenPrompt
    model_a: str
    model_b: str
    text_a: str
    text_b: str


@dataclass(frozen=True, slots=True)
class GivenVote:
    """A vote or a machine's verdict: on two models' responses, or on an item that came before."""

    rater: str
    kind: RaterKind
    outcome: Outcome
    prompt: GivenPrompt = GivenPrompt()
    model_a: str = ""
    model_b: str = ""
    text_a: str | None = None
    text_b: str | None = None
    turn: int | None = None
    at: str | None = None
    item: str | None = None


@dataclass(frozen=True, slots=True)
class GivenPair:
    """A preference pair that nobody here voted on."""

    prompt: GivenPrompt
    chosen: str
    rejected: str


@dataclass(frozen=True, slots=True)
class GivenScore:
    """A scorer's number for a response, known by its text or as its model's only one."""

    prompt: GivenPrompt
    model: str
    text: str | None
    scorer: str
    score: float


Given = GivenPrompt | GivenResponse | GivenItem | GivenVote | GivenPair | GivenScore
Row = Mapping[str, object]
Parser = Callable[[Row], Iterable[Given]]


@dataclass(frozen=True, slots=True)
class Format:
    """A family of files: how to know it, what it must have, and how each kind is read from it."""

    name: str
    needs: tuple[tuple[str, ...], ...]
    """columns a row must have; of each inner tuple one"""
    parsers: Mapping[ImportKind, Parser]
    matches: Callable[[frozenset[str], Row], bool] = lambda _columns, _row: False
    """whether these columns, with this first row, are of this format although nobody said so"""
    aliased: bool = False
    """whether the column names people use elsewhere are taken for ours first"""

    def lacks(self, columns: frozenset[str]) -> list[str]:
        """The needed columns that are not there."""
        return [" or ".join(names) for names in self.needs if not columns.intersection(names)]
