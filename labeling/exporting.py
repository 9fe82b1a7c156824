"""A dataset folder out: gathered at one moment, looked through while it is written aside, fsynced, renamed; and sent to a hub."""

import contextlib
import csv
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import chain
from pathlib import Path

from sqlite_utils import Database

from db import exports
from db.connection import Home, open_reader
from db.entities.campaigns import Purpose
from db.errors import UserError
from db.files import clear_left, sha256, written_file, written_folder
from labeling.cards import Facts, card
from labeling.dataset_files import write_splits
from labeling.export_rows import CHUNK, effects_of, rows_of
from labeling.gathering import Gathering, Order, RefusedText, gather
from labeling.hub import check_push, push_folder
from labeling.pairs import Effect
from labeling.policy import Method, PairPolicy
from labeling.privacy import Place, scan_rows, scanned, summary, told
from labeling.surveying import hash_of_votes
from labeling.tables import ExportFormat, Row, safe_cell, words_of

__all__ = ["ExportFormat", "ExportReport", "Preview", "export", "hash_of_votes", "preview"]

PROGRAM = "tastebench"
IDS = frozenset({
    "prompt_id", "pair_id", "raters", "rater", "vote_ids", "created_at", "tstamp", "purpose", "winner", "strength",
    "chosen_by", "source", "messages",
})  # fmt: skip
"""columns that hold nothing a person wrote, or the text of another column once more"""
SHOWN = 3
TAKEN_BACK = frozenset({"retracted", "withdrawn"})
"""states of votes whose raters do not want their words known"""


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What was written, and what of the votes is not in it."""

    folder: str
    format: str
    splits: Mapping[str, int]
    """{split: rows}"""
    left_out: Mapping[str, int]
    """{reason: votes}"""
    contradictions: int
    refused: tuple[RefusedText, ...]
    """texts that could not go out, by their ids"""
    personal: Mapping[str, int]
    """{kind of personal data: places} in what was written"""
    snapshot: str
    version: str
    files: tuple[str, ...]
    pushed: str | None = None


def export(
    home: Home,
    folder: Path,
    *,
    campaign: str | None = None,
    format: str = ExportFormat.TRL,  # noqa: A002 - the option's name
    push: str | None = None,
    public: bool = False,
    policy: PairPolicy | None = None,
    allow_personal: bool | None = None,
    comments: bool = False,
    exact_times: bool = False,
) -> ExportReport:
    """Write a folder that datasets.load_dataset loads; an export of ours in its place is replaced, nothing else.

    The default policy gives a row for each decisive vote. UserError, with nothing written, where there is nothing to
    export, the folder is in the way, or a text holds personal data that nobody allowed: by default such a text stays
    out of a push and is only named in a folder on this machine; `allow_personal` False keeps it out of both.
    """
    order = order_of(campaign, format, policy, comments=comments, exact_times=exact_times)
    folder = folder.expanduser().absolute()
    with contextlib.suppress(OSError):  # where it cannot be removed, nothing can be written either
        clear_left(folder.parent, folder.name)
    _check_target(folder)
    if push:
        check_push(push)
    allowed = push is None if allow_personal is None else allow_personal
    with one_moment(home) as db:
        gathering = gather(db, order)
        made = _write(home, db, folder, gathering, allowed=allowed, confirmed=bool(allow_personal))
    address = push_folder(folder, push, public=public) if push else None
    return ExportReport(
        str(folder), order.shape.value, made.splits, gathering.left_out, len(gathering.ledger.contradictions),
        tuple(gathering.ledger.refused), made.personal, gathering.facts.snapshot, gathering.facts.version, made.files, address,
    )  # fmt: skip


def order_of(
    campaign: str | None, format_name: str, policy: PairPolicy | None, *, comments: bool = False,
    exact_times: bool = False,
) -> Order:  # fmt: skip
    """What is wanted, from words; UserError where there is no such format."""
    if format_name not in list(ExportFormat):
        raise UserError(
            f"there is no export format {format_name!r}",
            f"use one of: {', '.join(ExportFormat)}, mtbench, alpaca_eval",
        )
    policy = policy or PairPolicy(method=Method.VOTE)
    return Order(campaign, ExportFormat(format_name), policy, comments, exact_times)


@contextlib.contextmanager
def one_moment(home: Home) -> Iterator[Database]:
    """A reader that sees one moment of the database, whatever is voted meanwhile."""
    with contextlib.closing(open_reader(home).conn) as conn:
        conn.execute("BEGIN")
        yield Database(conn)


def personal_data(places: Sequence[Place]) -> UserError:
    """What was found and where it begins, never whole."""
    first = "; ".join(str(p) for p in places[:SHOWN])
    return UserError(
        f"the texts seem to hold personal data: {told(summary(places))} ({first})",
        "take them out, or look at each and export again with --allow-personal-data",
    )


def _left_out(db: Database, gathering: Gathering) -> Iterator[Row]:
    """The votes that are in no row, by their numbers in this export; without the words of those who took them back."""
    fates, numbers, comments = gathering.ledger.fates, gathering.numbers, gathering.order.comments
    out = numbers.in_order(fates.votes)
    for start in range(0, len(out), CHUNK):
        part = out[start : start + CHUNK]
        remarks = exports.remarks(db, part.tolist()) if comments else {}
        for (vote, number), why in zip(numbers.among(part).items(), fates.reasons(part), strict=True):
            words = words_of(remarks[vote], comments) if comments and why not in TAKEN_BACK else {}
            yield {"vote": number, "reason": why, **{f"rater_{k}": v for k, v in words.items()}}


def _beside(db: Database, gathering: Gathering) -> Iterator[tuple[str, Row]]:
    """The rows of the file with the votes that are left out."""
    return (("left_out.csv", row) for row in _left_out(db, gathering))


# -- beforehand ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Preview:
    """What an export would write; nothing was written."""

    format: str
    splits: Mapping[str, int]
    left_out: Mapping[str, int]
    contradictions: int
    refused: tuple[RefusedText, ...]
    places: tuple[Place, ...]
    first: tuple[tuple[str, Row], ...]
    """(split, row) of the first rows"""
    effects: tuple[Effect, ...]
    """what each method would make of the same votes"""


def preview(home: Home, order: Order) -> Preview:
    """What the export would hold, and what each policy would give; UserError where there is nothing to export."""
    with one_moment(home) as db:
        effects = effects_of(db, order)
        gathering = gather(db, order)
        first: list[tuple[str, Row]] = []
        splits: Counter[str] = Counter()

        def seen() -> Iterator[tuple[str, Row]]:
            for split, row in rows_of(db, gathering):
                splits[split] += 1
                if len(first) < SHOWN:
                    first.append((split, row))
                yield split, row

        places = scan_rows(chain(seen(), _beside(db, gathering)), IDS)
    return Preview(
        order.shape.value, dict(splits), gathering.left_out, len(gathering.ledger.contradictions),
        tuple(gathering.ledger.refused), tuple(places), tuple(first), effects,
    )  # fmt: skip


def preview_lines(seen: Preview) -> list[str]:
    """A preview for a terminal."""
    lines = [f"{split}: {n} rows" for split, n in seen.splits.items()]
    lines += [f"left out: {n} votes, {reason}" for reason, n in seen.left_out.items()]
    lines += [f"refused: {r.reason}, answers {' and '.join(r.responses)}" for r in seen.refused[:20]]
    lines += [f"personal data: {place}" for place in seen.places[:20]]
    lines += [
        f"policy {e.policy.method}: {e.why_not or f'{e.pairs} pairs, {e.left_out} votes left out'}"
        for e in seen.effects
    ]
    return lines + [
        json.dumps({"split": split, **row}, ensure_ascii=False, default=str) for split, row in seen.first
    ]


# -- the folder ----------------------------------------------------------------------------------------------------


def _check_target(folder: Path) -> None:
    """The folder may be missing, empty, or an export of ours."""
    remedy = "name a folder that does not exist yet"
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise UserError(f"{folder} is not a folder", remedy)
    if folder.is_dir() and any(folder.iterdir()) and not _is_ours(folder):
        raise UserError(f"{folder} holds something that is not an export of Tastebench", remedy)


def _is_ours(folder: Path) -> bool:
    return _read_manifest(folder).get("program") == PROGRAM


def _read_manifest(folder: Path) -> dict[str, object]:
    """The manifest of the export in a folder; empty where there is none."""
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return manifest if isinstance(manifest, dict) else {}


@dataclass(frozen=True, slots=True)
class _Made:
    splits: Mapping[str, int]
    files: tuple[str, ...]
    personal: Mapping[str, int]


def _write(
    home: Home, db: Database, folder: Path, gathering: Gathering, *, allowed: bool, confirmed: bool
) -> _Made:  # fmt: skip
    """The folder, whole or not at all: a reader sees the old one or the new one.

    UserError where there is personal data in it and that is not `allowed`.
    """
    numbers = home.exports / ".maps" / f"{gathering.name}.json"
    try:
        with written_folder(folder) as aside:
            (aside / "data").mkdir()
            places: list[Place] = []
            splits, data = _write_data(
                aside, gathering.order.shape, scanned(rows_of(db, gathering), places, IDS)
            )
            places += scan_rows(_beside(db, gathering), IDS)
            if places and not allowed:
                raise personal_data(places)
            facts = replace(
                gathering.facts, name=folder.name, splits=splits, data=data, personal=summary(places), confirmed=confirmed,
                left_out=gathering.left_out, contradictions=len(gathering.ledger.contradictions),
                refused=len(gathering.ledger.refused), written=len(gathering.ledger.written),
            )  # fmt: skip
            files = _write_papers(aside, db, facts, gathering)
            _keep_numbers(numbers, gathering)
            _check_target(folder)  # once more: writing takes a while
    finally:
        if _read_manifest(folder).get("export") != gathering.name:
            numbers.unlink(missing_ok=True)
    return _Made(splits, files, summary(places))


def _keep_numbers(file: Path, gathering: Gathering) -> None:
    """Which vote each number of this export is, beside the home and not in the folder; for its owner's eyes only."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with written_file(file) as aside:
        handle = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as out:
            out.write('{"votes": {')
            for place, (vote, n) in enumerate(gathering.numbers.pairs()):
                out.write(f'{", " * (place > 0)}"{n}": {vote}')
            out.write("}}")


def _write_data(
    aside: Path, shape: ExportFormat, rows: Iterable[tuple[str, Row]]
) -> tuple[dict[str, int], dict[str, str]]:
    """One file a split that has rows: ({split: rows}, {split: path}).

    Each file has part of its hash in its name: load_dataset's cache knows a folder by the names in its card, and
    would go on giving the rows of an export that was replaced.
    """
    with _quiet_bars():
        splits = write_splits(aside / "data", shape, rows)
    if not splits:
        raise UserError("nothing of what was found can be exported in this format", "try --format votes")
    ending = "csv" if shape is ExportFormat.CSV else "parquet"
    paths = {}
    for name in sorted(splits, key=_order):
        file = aside / "data" / name
        final = file.rename(file.with_name(f"{name}-{sha256(file)[:12]}.{ending}"))
        paths[name] = f"data/{final.name}"
    return {name: splits[name] for name in paths}, paths


def _order(split: str) -> tuple[str, bool]:
    """Rounds in order, train before test."""
    name, _, place = split.partition("_iteration_")
    return place.rjust(6, "0"), name == "test"


@contextlib.contextmanager
def _quiet_bars() -> Iterator[None]:
    """Without the library's progress bars, which say nothing here."""
    import datasets

    were_on = datasets.are_progress_bars_disabled() is False
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        if were_on:
            datasets.enable_progress_bars()


def _write_papers(aside: Path, db: Database, facts: Facts, gathering: Gathering) -> tuple[str, ...]:
    """The card, the list of the votes that are not in it, and the manifest; every file of the folder."""
    (aside / "README.md").write_text(card(facts), encoding="utf-8")
    if gathering.left_out:
        with (aside / "left_out.csv").open("w", encoding="utf-8", newline="") as file:
            extra = ["rater_comment", "rater_reason", "rater_report"] if gathering.order.comments else []
            writer = csv.DictWriter(file, ["vote", "reason", *extra])
            writer.writeheader()
            for row in _left_out(db, gathering):
                writer.writerow({k: safe_cell(v) if isinstance(v, str) else v for k, v in row.items()})
    listed = [p for p in sorted(aside.rglob("*")) if p.is_file()]
    with (aside / "manifest.json").open("w", encoding="utf-8") as file:
        json.dump(_manifest(aside, facts, gathering, listed), file, indent=2, ensure_ascii=False)
        file.write("\n")
    return tuple(str(p.relative_to(aside)) for p in (*listed, aside / "manifest.json"))


def _manifest(aside: Path, facts: Facts, gathering: Gathering, listed: Sequence[Path]) -> dict[str, object]:
    return {
        "program": PROGRAM, "manifest": 2, "format": facts.shape.value, "created_at": facts.created_at,
        "version": facts.version, "rows": dict(facts.splits), "votes_read": facts.votes, "snapshot": facts.snapshot,
        "policy": facts.policy.told(), "policy_in_words": str(facts.policy), "left_out": dict(facts.left_out),
        "export": gathering.name, "comments": facts.comments, "exact_times": facts.exact_times,
        "refused": [{**asdict(r), "votes": sorted(gathering.numbers[v] for v in r.votes)}
                    for r in gathering.ledger.refused],
        "contradictions": [
            {"prompt": c.prompt, "response_a": c.response_a, "response_b": c.response_b, "votes_a": c.votes_a,
             "votes_b": c.votes_b} for c in gathering.ledger.contradictions],
        "campaigns": [{"name": c.name, "purpose": c.settings.purpose.value, "license": c.settings.license or None}
                      for c in facts.campaigns],
        "evaluation": any(c.settings.purpose is Purpose.EVALUATE for c in facts.campaigns),
        "consent": [{"version": version, "votes": n} for version, n in facts.consents],
        "personal_data": {"found": dict(facts.personal), "confirmed_by_owner": facts.confirmed},
        "files": [{"path": str(p.relative_to(aside)), "bytes": p.stat().st_size, "sha256": sha256(p)} for p in listed],
    }  # fmt: skip
