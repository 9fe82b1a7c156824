"""What a filled Train form would train on and take: rows, memory, what lies outside the safe bands. No Gradio here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from arena import beforehand
from arena.generating import files_of
from arena.web.pages.studio.retraining import (
    Form,
    From,
    arguments,
    policy_of,
    preset_for,
    settings_of,
    source_of,
)
from db.answers import SnapshotAnswer, snapshot_answers
from db.catalog import get_model, get_prompt, get_response
from db.connection import Database, Home
from db.entities.catalog import Message, Split
from db.entities.runs import RunKind
from db.entities.votes import PreferencePair
from db.errors import UserError
from db.snapshots import get_snapshot, snapshot_pairs
from db.voices import longest_row, voices
from labeling.pairs import Effect, effects_of_campaigns
from training.balance import balance
from training.presets import Outside, outside, preset_of
from training.settings import Settings
from training.snapshots import FEWEST, gather, gather_answers

T = TypeVar("T")

LETTERS_A_TOKEN = 2.5
"""fewer than most tokenizers put into a token, so that the longest row is not taken to be shorter than it is"""


class Shown(NamedTuple):
    """A row as a person reads it: a pair, or (`rejected` None) one answer and whether it is good."""

    prompt: Sequence[Message]
    chosen: str
    rejected: str | None
    votes: int
    good: bool = True


class Rows(NamedTuple):
    """What would be trained on: how many, some of them, the votes behind them, why votes are left out."""

    word: str
    train: int
    heldout: int
    shown: list[Shown]
    votes: list[int]
    left_out: list[tuple[str, int]]
    contradictions: int
    letters: int
    """of the longest row, prompt and one answer"""


@dataclass(frozen=True, slots=True)
class Look:
    """What a run would be trained on, and what is known of it before it starts."""

    rows: Rows
    warnings: Sequence[str]
    fields: Sequence[Outside]
    settings: Settings
    why: str
    enough: bool
    effects: Sequence[Effect]
    """what each way of making pairs would give"""
    memory: beforehand.Memory | None

    @property
    def train(self) -> int:
        """Rows to train on."""
        return self.rows.train

    @property
    def heldout(self) -> int:
        """Rows held out for measuring."""
        return self.rows.heldout


def look(home: Home, db: Database, form: Form) -> Look:
    """Gather the rows of the form; nothing is frozen. UserError where something is missing, or more votes are needed."""
    settings = settings_of(form)
    rows = rows_of(db, form)
    effects = (
        effects_of_campaigns(db, source_of(db, form).campaigns, policy_of(form)) if form.has_policy else ()
    )
    enough = rows.train >= FEWEST
    found = _outside(home, db, form, rows.train) if enough else []
    spread = balance(voices(db, rows.votes)).warnings
    needs = needs_of(home, db, form, rows)
    return Look(
        rows, [*(one.sentence for one in found), *spread], found, settings, preset_of(form.kind, form.preset).why, enough,
        effects, beforehand.memory_of(needs, settings) if needs else None,
    )  # fmt: skip


def needs_of(home: Home, db: Database, form: Form, rows: Rows | None = None) -> beforehand.Needs | None:
    """What the memory of the form's run is estimated from; None without a parent whose size is known here."""
    if not form.parent:
        return None
    rows = rows or rows_of(db, form)
    other = form.kind is RunKind.DPO and form.reference not in ("parent", form.parent)
    reference = files_of(home, get_model(db, form.reference)) if other else None
    tokens = int(rows.letters / LETTERS_A_TOKEN) + 16
    return beforehand.needs_of(files_of(home, get_model(db, form.parent)), reference, tokens)


def _outside(home: Home, db: Database, form: Form, rows: int) -> list[Outside]:
    """What lies outside the safe bands; what the preset that suits the model brings with it is no news."""
    suited = preset_of(form.kind, preset_for(home, db, form.parent)).settings
    usual = {one.sentence for one in outside(suited, 1000)}
    return [one for one in outside(settings_of(form), rows) if one.sentence not in usual]


def rows_of(db: Database, form: Form) -> Rows:
    """The rows the form's source would give its kind of run."""
    if form.rows is From.SNAPSHOT:
        return _of_snapshot(db, form)
    source, policy = source_of(db, form), policy_of(form)
    if form.kind is RunKind.KTO or form.rows is From.DATA:
        found = gather_answers(db, source, policy)
        texts = {r.id: r.text or "" for r in found.written}
        return _of_answers(db, found.answers, texts, found.left_out)
    pairs = gather(db, source, policy)
    texts = {r.id: r.text or "" for r in (pairs.written or {}).values()}
    return _of_pairs(db, pairs.pairs, texts, dict(pairs.left_out), len(pairs.contradictions))


def _of_snapshot(db: Database, form: Form) -> Rows:
    snapshot = get_snapshot(db, form.picked or "")
    answers = snapshot_answers(db, snapshot.id)
    if answers:
        if form.kind in (RunKind.DPO, RunKind.REWARD):
            raise UserError(
                "that snapshot holds answers one by one", f"{form.kind} learns from pairs; pick another"
            )
        return _of_answers(db, answers, {}, {})
    return _of_pairs(db, snapshot_pairs(db, snapshot.id), {}, {}, 0)


def _of_pairs(
    db: Database, pairs: Sequence[PreferencePair], texts: dict[str, str], left_out: dict[str, int], contradictions: int
) -> Rows:  # fmt: skip
    train = [p for p in pairs if p.split is Split.TRAIN]
    shown = [
        Shown(get_prompt(db, p.prompt).messages, _text(db, texts, p.chosen), _text(db, texts, p.rejected), len(p.votes))
        for p in _spread(train)
    ]  # fmt: skip
    return Rows(
        "pair", len(train), len(pairs) - len(train), shown, [v for p in train for v in p.votes], _sorted(left_out),
        contradictions, longest_row(db, [r for p in train for r in (p.chosen, p.rejected)]),
    )  # fmt: skip


def _of_answers(
    db: Database, answers: Sequence[SnapshotAnswer], texts: dict[str, str], left_out: Mapping[str, int]
) -> Rows:
    train = [a for a in answers if a.split is Split.TRAIN]
    shown = [
        Shown(get_prompt(db, a.prompt).messages, _text(db, texts, a.response), None, len(a.votes), a.good)
        for a in _spread(train)
    ]  # fmt: skip
    return Rows(
        "answer", len(train), len(answers) - len(train), shown, [v for a in train for v in a.votes], _sorted(left_out), 0,
        longest_row(db, [a.response for a in train]),
    )  # fmt: skip


def _sorted(left_out: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(left_out.items(), key=lambda reason: -reason[1])


def _text(db: Database, written: Mapping[str, str], response: str) -> str:
    """What a response says; one that a rater wrote is not stored before it is frozen."""
    return written.get(response) or get_response(db, response).text or ""


def _spread(rows: Sequence[T]) -> list[T]:
    """The first, the middle and the last."""
    last = len(rows) - 1
    return [rows[i] for i in dict.fromkeys((0, last // 2, last))] if rows else []


def check(home: Home, db: Database, form: Form) -> list[str]:
    """The verb, once everything that can be known beforehand is in order; where another run trains it waits its turn."""
    words = arguments(db, form)
    seen = look(home, db, form)
    if not seen.enough:
        raise UserError(
            f"there are {seen.train} {seen.rows.word}s to train on",
            f"collect at least {FEWEST} votes that prefer one answer",
        )
    return words
