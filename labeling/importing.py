"""Files and hub datasets in: read, recognised, stored row by row; what cannot go in is named and kept beside."""

import contextlib
import fcntl
import itertools
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sqlite_utils import Database

from db import imports
from db.campaigns import find_campaign, order_models_by_name
from db.connection import Home, open_writer, transaction
from db.entities.campaigns import Campaign, CampaignSettings, CampaignStatus
from db.entities.catalog import Split
from db.errors import UserError
from db.imports import ImportCounts, begin_import, cut_off_import, finish_import, last_vote
from db.lock import server_of
from db.pauses import with_pauses
from labeling.formats.naming import file_name, safe_name
from labeling.formats.reading import ReadRow, Source, read_rows, source_of
from labeling.formats.records import (
    BadRow,
    Given,
    GivenItem,
    GivenPair,
    GivenPrompt,
    GivenResponse,
    GivenScore,
    GivenVote,
    ImportKind,
    Refusal,
)
from labeling.formats.registry import Reader, reader_of
from labeling.intake import Intake
from labeling.intake_texts import Target, Took
from labeling.scanning import names_in, notes, scan, scan_battles

__all__ = ["ImportKind", "ImportReport", "Preview", "PreviewRow", "Refusal", "import_file", "preview"]

CHUNK = 50  # rows a transaction: 10 to 30 ms, so that votes beside it wait for nothing they would notice
CHUNK_ALONE = 2000  # where no server runs nobody waits, and each transaction costs a wait for the disk
LOOKED_AT = 20  # rows that show which columns there are


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import did. added and already_there count prompts, responses, items, votes, pairs or scores."""

    read: int
    added: int
    already_there: int
    refused: int
    refused_file: str | None
    refusals: tuple[Refusal, ...]
    """the first 20"""
    format: str
    mapping: tuple[tuple[str, str], ...]
    campaign: str | None = None
    prompt_set: str | None = None
    pair_set: str | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PreviewRow:
    """A row as it would go in: (what, text) in the order a person reads."""

    line: int
    parts: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Preview:
    """The first rows of a file as they would go in; nothing was written."""

    format: str
    columns: tuple[str, ...]
    mapping: tuple[tuple[str, str], ...]
    """(theirs, ours): what was given and what was guessed"""
    rows: tuple[PreviewRow, ...]
    refusals: tuple[Refusal, ...]


def import_file(
    home: Home,
    kind: ImportKind,
    source: str,
    *,
    format: str | None = None,  # noqa: A002 - the option's name
    mapping: Mapping[str, str] | None = None,
    campaign: str | None = None,
    split: Split | None = None,
    limit: int | None = None,
) -> ImportReport:
    """Bring a file or hub dataset in, its first `limit` rows. UserError where it cannot be read; bad rows are refused by line.

    Importing the same file again adds nothing. Votes and verdicts go into `campaign`, made (closed) where missing
    and named after the file where none is named; items become its battles where one is named (made as a draft).
    """
    origin = source_of(source)
    if limit is not None and limit < 1:
        raise UserError(f"--limit {limit} reads no row", "give 1 or more")
    rows, reader = _recognised(origin, ImportKind(kind), format, mapping or {})
    rows = itertools.islice(rows, limit)
    with _alone(home), contextlib.closing(_Refused(home, origin)) as refused:
        db = open_writer(home)
        try:
            chunks = with_pauses(_chunks(rows, CHUNK)) if server_of(home) else _chunks(rows, CHUNK_ALONE)
            return _bring(db, ImportKind(kind), origin, chunks, reader, refused, campaign, split)
        finally:
            db.conn.close()


def preview(
    source: str, kind: ImportKind, format: str | None = None, mapping: Mapping[str, str] | None = None, rows: int = 3  # noqa: A002
) -> Preview:  # fmt: skip
    """The first rows as they would go in, with the columns and what they are taken for; UserError as import_file."""
    origin = source_of(source)
    read, reader = _recognised(origin, ImportKind(kind), format, mapping or {})
    first = list(itertools.islice(read, LOOKED_AT))
    shown: list[PreviewRow] = []
    refusals: list[Refusal] = []
    for row in first:
        given, refusal = _given(reader, row)
        if refusal is not None:
            refusals.append(refusal)
        shown += [PreviewRow(row.line, _parts(g)) for g in given]
        if len(shown) >= rows:
            break
    columns = dict.fromkeys(name for row in first if row.row is not None for name in row.row)
    return Preview(reader.format.name, tuple(columns), reader.mapping, tuple(shown[:rows]), tuple(refusals))


def read_pairs(source: str) -> Iterator[GivenPair | None]:
    """The preference pairs of a file or hub dataset in any format that holds pairs; None for a row that cannot be read."""
    rows, reader = _recognised(source_of(source), ImportKind.PAIRS, None, {})
    for row in rows:
        given, refusal = _given(reader, row)
        if refusal is not None:
            yield None
        yield from (g for g in given if isinstance(g, GivenPair))


def _recognised(
    origin: Source, kind: ImportKind, format_name: str | None, mapping: Mapping[str, str]
) -> tuple[Iterator[ReadRow], Reader]:
    """The rows of a source from the first on, and how to read them."""
    rows = read_rows(origin)
    head = list(itertools.islice(rows, LOOKED_AT))
    good = [row.row for row in head if row.row is not None]
    if not head:
        raise UserError(f"{origin.label} holds no rows", "give a file with at least one row")
    if not good:
        refusal = head[0].refusal
        assert refusal is not None
        raise UserError(f"no row of {origin.label} can be read (line {refusal.line}: {refusal.reason})",
                        "give JSONL, JSON, CSV or Parquet with named columns")  # fmt: skip
    columns = [str(c) for c in dict.fromkeys(name for row in good for name in row)]
    return itertools.chain(head, rows), reader_of(kind, columns, good[0], format_name, mapping, origin.label)


def _bring(
    db: Database, kind: ImportKind, origin: Source, chunks: Iterator[list[ReadRow]], reader: Reader, refused: "_Refused",
    campaign: str | None, split: Split | None,
) -> ImportReport:  # fmt: skip
    """The rows into the database, chunk by chunk, under an import that is finished last."""
    voting = kind in (ImportKind.VOTES, ImportKind.VERDICTS)
    into = None
    if voting:
        into = _campaign(db, campaign or file_name(origin.stem, "votes"), CampaignStatus.CLOSED)
    elif campaign is not None and reader.format.name == "items":
        into = _campaign(db, campaign, CampaignStatus.DRAFT)
    elif campaign is not None:
        raise UserError(
            f"{kind} do not go into a campaign",
            "leave --campaign out; `campaign create` makes one of what is here",
        )
    label = str(origin.path.resolve()) if origin.path else origin.label
    cut_off = cut_off_import(db, kind, label, into.id if into else None)
    after = 0 if cut_off else last_vote(db)
    import_id = cut_off or begin_import(db, kind, label, into.id if into else None)
    name = file_name(origin.stem, "pairs" if kind is ImportKind.PAIRS else "prompts")
    tally = _Tally()
    with contextlib.closing(Intake(db, Target(import_id, name, origin.label, into, split))) as intake:
        for chunk in chunks:
            with transaction(db):
                for row in chunk:
                    _take(intake, reader, row, tally, refused)
                if into is not None:  # nothing is there to be served before it was looked at
                    scan_battles(db, intake.battles_met(), names_in(db, into.id))
        pairs = intake.finish()
    if into is not None:
        scan(db, into.id)
        # filled by this import from plain votes: the order of rows, and of the sides in them, says nothing
        if not into.models and reader.format.name == "votes":
            order_models_by_name(db, into.id)
    guarded = notes(db, into.id) if into is not None else []
    if into is not None and imports.drop_empty_campaign(db, into.id):
        into = None
    counts = ImportCounts(
        tally.read, tally.added + pairs.added, tally.there + pairs.already_there, refused.count
    )
    finish_import(db, import_id, counts, after)
    return ImportReport(
        *counts, refused.keep(import_id), tuple(refused.first), reader.format.name, reader.mapping,
        campaign=into.name if into else None,
        prompt_set=name if intake.fills_set else None,
        pair_set=name if kind is ImportKind.PAIRS and counts.read > counts.refused else None,
        notes=(*(f"{n} {note}" for note, n in intake.notes.items()), *guarded),
    )  # fmt: skip


def _chunks(rows: Iterator[ReadRow], size: int) -> Iterator[list[ReadRow]]:
    while chunk := list(itertools.islice(rows, size)):
        yield chunk


@dataclass(slots=True)
class _Tally:
    """Counts while rows go in."""

    read: int = 0
    added: int = 0
    there: int = 0


def _take(intake: Intake, reader: Reader, row: ReadRow, tally: _Tally, refused: "_Refused") -> None:
    tally.read += 1
    given, refusal = _given(reader, row)
    try:
        took = intake.take(given, row.line)
    except BadRow as error:
        took, refusal = [], Refusal(row.line, str(error))
    if refusal is not None:
        refused.add(refusal, row)
    tally.added += took.count(Took.ADDED)
    tally.there += took.count(Took.THERE)


def _given(reader: Reader, row: ReadRow) -> tuple[list[Given], Refusal | None]:
    """What a row gives, or why it gives nothing."""
    if row.row is None:
        return [], row.refusal
    try:
        return reader.read(row.row), None
    except BadRow as error:
        return [], Refusal(row.line, str(error))


def _campaign(db: Database, name: str, status: CampaignStatus) -> Campaign:
    """The campaign of this name. Made where missing: closed for votes, which need no ballots, a draft for items."""
    found = find_campaign(db, name)
    return found or imports.add_empty_campaign(db, name, "all", CampaignSettings(), status)


@contextlib.contextmanager
def _alone(home: Home) -> Iterator[None]:
    """One import at a time: an unfinished one that is found under this lock is dead."""
    with (home.root / "import.lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise UserError(
                f"another import runs on {home.root}", "wait until it is done, then start again"
            ) from None
        yield


class _Refused:
    """Keeps refused rows in a file of their own, there only once it is whole."""

    def __init__(self, home: Home, origin: Source) -> None:
        self.first: list[Refusal] = []
        self.count = 0
        self._folder, self._stem = home.exports, f"refused-{safe_name(origin.stem, 'file')}"
        self._aside = self._folder / f".{self._stem}.{os.getpid()}"
        self._file = self._aside.open("w", encoding="utf-8")

    def add(self, refusal: Refusal, row: ReadRow) -> None:
        """Remember one row with its reason."""
        self.count += 1
        if len(self.first) < 20:
            self.first.append(refusal)
        kept = row.raw if row.raw else row.row
        line = {"line": refusal.line, "reason": refusal.reason, "row": kept}
        self._file.write(json.dumps(line, default=str) + "\n")

    def keep(self, import_id: int) -> str | None:
        """Put the file in its place where there is anything in it; its path, which no other import has."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        if not self.count:
            return None
        path = self._folder / f"{self._stem}-{import_id}" / "refused.jsonl"
        path.parent.mkdir(exist_ok=True)
        self._aside.replace(path)
        return str(path)

    def close(self) -> None:
        """Leave nothing behind."""
        self._file.close()
        self._aside.unlink(missing_ok=True)


def _parts(given: Given) -> tuple[tuple[str, str], ...]:
    """A parsed row as labelled texts."""
    prompt = _prompt_parts(given if isinstance(given, GivenPrompt) else given.prompt)
    match given:
        case GivenPrompt():
            return prompt
        case GivenResponse():
            return (*prompt, (given.model or "response", given.text))
        case GivenPair():
            return (*prompt, ("chosen", given.chosen), ("rejected", given.rejected))
        case GivenScore():
            return (*prompt, (given.model, given.text or ""), (given.scorer, f"{given.score:g}"))
        case GivenItem():
            return (
                ("item", given.item),
                *prompt,
                (given.model_a, given.text_a),
                (given.model_b, given.text_b),
            )
        case GivenVote(item=str(item)):
            return (("item", item), (given.rater, given.outcome.value))
        case GivenVote():
            texts = [(m, t or "(text not given)") for m, t in
                     ((given.model_a, given.text_a), (given.model_b, given.text_b))]  # fmt: skip
            return (*prompt, *texts, (given.rater, given.outcome.value))


def _prompt_parts(prompt: GivenPrompt) -> tuple[tuple[str, str], ...]:
    turns = tuple((m["role"], m["content"]) for m in prompt.messages)
    named = (("prompt id", prompt.ref),) if prompt.ref is not None else ()
    tags = (("tags", ", ".join(prompt.tags)),) if prompt.tags else ()
    return (*named, *turns, *tags)
