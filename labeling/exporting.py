"""A dataset folder out: gathered at one moment, written aside, fsynced, renamed; and sent to a hub where wanted."""

import contextlib
import csv
import hashlib
import json
import os
import secrets
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import combinations
from pathlib import Path

from sqlite_utils import Database

from db import exchange
from db.campaigns import get_campaign, list_campaigns
from db.catalog import list_models
from db.connection import Home, open_reader
from db.entities import Campaign, Outcome, Purpose, RaterKind, Split, Vote, content_id
from db.errors import UserError
from db.votes import counted_votes
from labeling.cards import Facts, card
from labeling.hub import check_push, push_folder
from labeling.pairs import Method, PairPolicy, Pairs, pairs_of_campaigns
from labeling.tables import MESSAGES, ExportFormat, Gathered, Row, columns, rows

__all__ = ["ExportFormat", "ExportReport", "export", "hash_of_votes"]

NAMES = {Split.TRAIN: "train", Split.HELDOUT: "test"}
PROGRAM = "tastebench"
PAIRED = (ExportFormat.TRL, ExportFormat.REWARD, ExportFormat.ULTRAFEEDBACK)


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
    snapshot: str
    files: tuple[str, ...]
    pushed: str | None = None


def export(
    home: Home,
    folder: Path,
    *,
    campaign: str | None = None,
    format: str = ExportFormat.TRL,  # noqa: A002 - the option's name
    push: str | None = None,
    policy: PairPolicy | None = None,
) -> ExportReport:
    """Write a folder that datasets.load_dataset loads; an export of ours in its place is replaced, nothing else.

    The default policy gives a row for each decisive vote. UserError, with nothing written, where there is nothing to
    export or the folder is in the way.
    """
    shape = _shape(format)
    folder = folder.expanduser().absolute()
    _check_target(folder)
    if push:
        check_push(push)
    policy = policy or PairPolicy(method=Method.VOTE)
    with contextlib.closing(open_reader(home).conn) as conn:
        conn.execute("BEGIN")  # one moment of the database, whatever is voted meanwhile
        gathering = _gather(Database(conn), campaign, shape, policy)
    made = _write(folder, gathering)
    address = push_folder(folder, push) if push else None
    return ExportReport(str(folder), shape.value, made.splits, gathering.pairs.left_out,
                        len(gathering.pairs.contradictions), gathering.facts.snapshot, made.files, address)  # fmt: skip


def hash_of_votes(votes: Iterable[Vote]) -> str:
    """The hash of exactly these votes: the same ones, in any order, give the same."""
    return content_id("votes", sorted((v.id, v.outcome.value) for v in votes))


def _shape(name: str) -> ExportFormat:
    if name not in list(ExportFormat):
        raise UserError(f"there is no export format {name!r}", f"use one of: {', '.join(ExportFormat)}")
    return ExportFormat(name)


def _check_target(folder: Path) -> None:
    """The folder may be missing, empty, or an export of ours."""
    remedy = "name a folder that does not exist yet"
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise UserError(f"{folder} is not a folder", remedy)
    if folder.is_dir() and any(folder.iterdir()) and not _is_ours(folder):
        raise UserError(f"{folder} holds something that is not an export of Tastebench", remedy)


def _is_ours(folder: Path) -> bool:
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(manifest, dict) and manifest.get("program") == PROGRAM


# -- reading -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Gathering:
    """What an export writes, and what its card says but for the counts."""

    shape: ExportFormat
    found: Gathered
    pairs: Pairs
    facts: Facts


def _gather(db: Database, campaign: str | None, shape: ExportFormat, policy: PairPolicy) -> _Gathering:
    chosen = [get_campaign(db, campaign)] if campaign else list_campaigns(db)
    votes = {v.id: v for c in chosen for v in counted_votes(db, c.id)}
    if shape in PAIRED:
        pairs = pairs_of_campaigns(db, [c.name for c in chosen], policy) if chosen else Pairs((), (), {})
    else:
        pairs = Pairs((), (), {})
    where = f"the campaign {campaign!r}" if campaign else "this home"
    if shape is ExportFormat.RESPONSES:
        wanted = list(exchange.response_ids(db, chosen[0].id if campaign else None))
    else:
        _check_any(where, shape, votes, pairs)
        wanted = [r for v in votes.values() for r in (v.response_a, v.response_b)]
    responses = exchange.response_texts(db, wanted)
    ordered = {r: responses[r] for r in dict.fromkeys(wanted)}
    prompts = dict.fromkeys([v.prompt for v in votes.values()] + [r.prompt for r in ordered.values()])
    found = Gathered(
        pairs.pairs, votes, exchange.messages_of(db, prompts), exchange.splits_of(db, list(prompts)),
        exchange.tags_of(db, prompts), ordered, exchange.acceptances(db, list(votes)),
        {c.id: (c.name, c.settings.purpose) for c in chosen}, _pseudonyms(votes.values()),
    )  # fmt: skip
    return _Gathering(shape, found, pairs, _facts(db, shape, policy, chosen, found, pairs))


def _check_any(where: str, shape: ExportFormat, votes: Mapping[int, Vote], pairs: Pairs) -> None:
    """UserError where there are no votes, or none that makes a pair for a format of pairs."""
    if not votes:
        raise UserError(f"{where} has no votes to export", "collect or import votes first")
    if shape in PAIRED and not pairs.pairs:
        why = ", ".join(f"{n} {reason}" for reason, n in pairs.left_out.items())
        raise UserError(
            f"{where} has no pairs to export ({why})",
            "collect votes that prefer one response, or export --format votes",
        )


def _pseudonyms(votes: Iterable[Vote]) -> dict[str, str]:
    """A new name for each rater, in an order that tells nothing: people r001..., made-up ones s001...."""
    names = dict.fromkeys((v.rater_name, v.rater_kind) for v in votes)
    drawn = sorted(names, key=lambda _: secrets.randbits(64))
    width = max(3, len(str(len(drawn))))
    counters: Counter[str] = Counter()
    given = {}
    for name, kind in drawn:
        letter = "s" if kind is RaterKind.SIMULATED else "r"
        counters[letter] += 1
        given[name] = f"{letter}{counters[letter]:0{width}d}"
    return given


def _facts(
    db: Database, shape: ExportFormat, policy: PairPolicy, chosen: Sequence[Campaign], found: Gathered, pairs: Pairs
) -> Facts:  # fmt: skip
    votes = list(found.votes.values())
    kinds = {v.rater_name: v.rater_kind for v in votes}
    repeated, agreement = _agreement(votes)
    named = {r.model for r in found.responses.values()}
    says = {
        Method.VOTE: "each decisive vote is a pair of its own",
        Method.MAJORITY: "the majority of a battle's votes is a pair",
    }
    return Facts(
        name="", shape=shape, splits={}, data={}, left_out=pairs.left_out, contradictions=len(pairs.contradictions),
        policy=says[policy.method] + ("" if policy.simulated else "; simulated raters are left out"),
        votes=len(votes), people=sum(k is not RaterKind.SIMULATED for k in kinds.values()),
        simulated=sum(k is RaterKind.SIMULATED for k in kinds.values()),
        simulated_votes=sum(v.rater_kind is RaterKind.SIMULATED for v in votes),
        imported_votes=sum(v.left_is is None for v in votes), repeated_battles=repeated, agreement=agreement,
        snapshot=hash_of_votes(votes), campaigns=chosen,
        models=[m for m in list_models(db) if m.name in named],
        sources=exchange.sources(db, [c.id for c in chosen]), created_at=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )  # fmt: skip


def _agreement(votes: Iterable[Vote]) -> tuple[int, float | None]:
    """(battles with two votes or more, share of the pairs of votes on one battle that say the same)."""
    battles: dict[int, list[Outcome]] = {}
    for vote in votes:
        battles.setdefault(vote.battle, []).append(vote.outcome)
    same = [a is b for outcomes in battles.values() for a, b in combinations(outcomes, 2)]
    return sum(len(o) > 1 for o in battles.values()), sum(same) / len(same) if same else None


# -- writing -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Made:
    splits: Mapping[str, int]
    files: tuple[str, ...]


def _write(folder: Path, gathering: _Gathering) -> _Made:
    """The folder, whole or not at all: a reader sees the old one or the new one."""
    aside = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(aside, ignore_errors=True)
        (aside / "data").mkdir(parents=True)
        splits, data = _write_data(aside, gathering)
        files = _write_papers(
            aside, replace(gathering.facts, name=folder.name, splits=splits, data=data), gathering
        )
        for path in (*sorted(aside.rglob("*")), aside):
            _sync(path)
        _put(aside, folder)
    except OSError as error:
        raise UserError(
            f"cannot write {folder}: {error.strerror or error}", "free some disk space or name another folder"
        ) from None
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return _Made(splits, files)


def _write_data(aside: Path, gathering: _Gathering) -> tuple[dict[str, int], dict[str, str]]:
    """One file a split that has rows, through a DatasetDict with named features: ({split: rows}, {split: path}).

    Each file has part of its hash in its name: load_dataset's cache knows a folder by the names in its card, and
    would go on giving the rows of an export that was replaced.
    """
    import datasets

    shape = gathering.shape
    by_split: dict[Split, list[Row]] = {Split.TRAIN: [], Split.HELDOUT: []}
    for split, row in rows(shape, gathering.found):
        by_split[split].append(row)
    if not any(by_split.values()):
        raise UserError("nothing of what was found can be exported in this format", "try --format votes")
    features = _features(shape)
    made = datasets.DatasetDict(
        {NAMES[s]: datasets.Dataset.from_list([{c: r[c] for c in features} for r in given], features=features)
         for s, given in by_split.items() if given}
    )  # fmt: skip
    paths = {}
    with _quiet_bars():
        for name, data in made.items():
            file = aside / "data" / name
            if shape is ExportFormat.CSV:
                data.to_csv(file, index=False, quoting=csv.QUOTE_NONNUMERIC)
            else:
                data.to_parquet(file)
            ending = "csv" if shape is ExportFormat.CSV else "parquet"
            final = file.rename(file.with_name(f"{name}-{_sha256(file)[:12]}.{ending}"))
            paths[name] = f"data/{final.name}"
    return {name: data.num_rows for name, data in made.items()}, paths


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


def _features(shape: ExportFormat):  # type: ignore[no-untyped-def]  # noqa: ANN202 - datasets has no types
    import datasets

    def feature(kind: str) -> object:
        if kind == MESSAGES:
            return datasets.List({"role": datasets.Value("string"), "content": datasets.Value("string")})
        return datasets.List(datasets.Value(kind[:-2])) if kind.endswith("[]") else datasets.Value(kind)

    return datasets.Features({name: feature(kind) for name, kind in columns(shape).items()})


def _write_papers(aside: Path, facts: Facts, gathering: _Gathering) -> tuple[str, ...]:
    """The card and the manifest; every file of the folder."""
    (aside / "README.md").write_text(card(facts), encoding="utf-8")
    listed = [p for p in sorted(aside.rglob("*")) if p.is_file()]
    manifest = {
        "program": PROGRAM, "manifest": 1, "format": gathering.shape.value, "created_at": facts.created_at,
        "rows": dict(facts.splits), "votes_read": facts.votes, "snapshot": facts.snapshot, "policy": facts.policy,
        "left_out": dict(facts.left_out), "contradictions": [
            {"prompt": c.prompt, "response_a": c.response_a, "response_b": c.response_b, "votes_a": c.votes_a,
             "votes_b": c.votes_b} for c in gathering.pairs.contradictions],
        "campaigns": [{"name": c.name, "purpose": c.settings.purpose.value} for c in facts.campaigns],
        "evaluation": any(c.settings.purpose is Purpose.EVALUATE for c in facts.campaigns),
        "files": [{"path": str(p.relative_to(aside)), "bytes": p.stat().st_size, "sha256": _sha256(p)} for p in listed],
    }  # fmt: skip
    (aside / "manifest.json").write_text(
        json.dumps(manifest, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    return tuple(str(p.relative_to(aside)) for p in (*listed, aside / "manifest.json"))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _put(aside: Path, folder: Path) -> None:
    """Put the finished folder in its place; an old export stands aside until the new one is there."""
    if not folder.exists():
        aside.rename(folder)
    else:
        old = folder.with_name(f".{folder.name}.{os.getpid()}.old")
        shutil.rmtree(old, ignore_errors=True)
        folder.rename(old)
        try:
            aside.rename(folder)
        except OSError:
            old.rename(folder)
            raise
        shutil.rmtree(old, ignore_errors=True)
    _sync(folder.parent)
