"""Freezing the pairs or answers of a run: hashed, stored, and written to the file its trainer reads."""

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, zip_longest
from pathlib import Path
from typing import NamedTuple

from sqlite_utils import Database

from db.answers import (
    SnapshotAnswer,
    add_answer_snapshot,
    answer_rows,
    stored_answers,
)
from db.catalog import add_responses
from db.connection import transaction
from db.entities.catalog import Response, Split, content_id
from db.entities.runs import Snapshot
from db.entities.votes import Outcome, PreferencePair, Vote
from db.errors import UserError
from db.files import written_file
from db.snapshots import add_snapshot, pairs_of_set, snapshot_rows
from labeling.pairs import PairPolicy, Pairs, Read, check_raters, pairs_of, read_votes
from labeling.replaying import replay, together
from labeling.unpaired import judged_answers

FEWEST = 2


class Source(NamedTuple):
    """Where rows come from: campaigns (their votes), a named pair set, or stored answers by their name."""

    campaigns: tuple[str, ...] = ()
    pair_set: str | None = None
    data: str | None = None
    replay: float = 0.0
    """share (0 to 1) of the battles of older campaigns in the same lineages whose votes are mixed in"""
    seed: int = 0
    """draws them"""
    until: str | None = None
    """only votes that were there at that moment (UTC ISO text)"""

    def __str__(self) -> str:
        """As it is stored with the snapshot."""
        if self.data:
            return f"answers:{self.data}"
        return f"pairs:{self.pair_set}" if self.pair_set else "votes:" + ",".join(self.campaigns or ("all",))


def gather(db: Database, source: Source, policy: PairPolicy) -> Pairs:
    """The pairs a snapshot of this source would hold."""
    return _gathered(db, source, policy)[0]


def _gathered(db: Database, source: Source, policy: PairPolicy) -> tuple[Pairs, dict[str, object]]:
    """The pairs, and what is recorded of how they came about."""
    if source.pair_set:
        check_source(source, policy)
        return Pairs(tuple(pairs_of_set(db, source.pair_set)), (), {}), policy.to_json()
    read, recorded = _read(db, source, policy)
    return pairs_of(read, policy), recorded


def _read(db: Database, source: Source, policy: PairPolicy) -> tuple[Read, dict[str, object]]:
    """The votes of a source's campaigns, with older ones mixed in where that is asked for."""
    check_source(source, policy)
    check_raters(db, policy)
    read, recorded = (
        read_votes(db, source.campaigns, training=True, until=source.until),
        policy.to_json(),
    )
    if not source.replay:
        return read, recorded
    old, replayed = replay(db, source.campaigns, source.replay, source.seed, policy, source.until)
    return together(read, old), recorded | {"replay": replayed.to_json()}


def check_source(source: Source, policy: PairPolicy) -> None:
    """UserError where what is asked of votes is asked of rows that come from none."""
    if source.campaigns or not (source.pair_set or source.data):
        if source.replay and not source.campaigns:
            raise UserError(
                "older votes are mixed into those of a campaign, and none is named",
                "name one with --campaign",
            )
        return
    for asked, option in ((policy.without, "--without"), (source.replay, "--replay")):
        if asked:
            raise UserError(f"{option} is about votes, and {source} holds none", "use it with --campaign")


def votes_left_out(db: Database, source: Source, policy: PairPolicy) -> dict[str, tuple[int, ...]]:
    """The votes of a source's campaigns that make no pair, ties for one, by the reason."""
    found: dict[str, list[int]] = {}
    for one in gather(db, source, policy).out:
        found.setdefault(one.reason, []).append(one.vote)
    return {reason: tuple(votes) for reason, votes in found.items()}


def freeze(db: Database, source: Source, policy: PairPolicy) -> Snapshot:
    """Freeze the pairs of a source; the same pairs under the same policy give the same snapshot.

    UserError where there are too few to train on.
    """
    found, recorded = _gathered(db, source, policy)
    trainable = sum(p.split is Split.TRAIN for p in found.pairs)
    if trainable < FEWEST:
        raise UserError(
            f"{source} gives {trainable} pairs to train on ({_why(found)})",
            f"collect at least {FEWEST} votes that prefer one answer, on prompts that are not held out",
        )
    with transaction(db):  # what raters wrote becomes a response when pairs are frozen that name it
        add_responses(db, (found.written or {}).values())
        return add_snapshot(db, snapshot_id(found.pairs, recorded), str(source), recorded, found.pairs)


def freeze_answers(db: Database, source: Source, policy: PairPolicy) -> Snapshot:
    """Freeze the answers of a source, one by one: what votes call good or bad, both sides of pairs, or stored answers.

    UserError where there are too few to train on.
    """
    answers, written, left_out, recorded = gather_answers(db, source, policy)
    train = sum(a.split is Split.TRAIN for a in answers)
    if train < FEWEST:
        reasons = ", ".join(f"{n} {reason}" for reason, n in left_out.items()) or "none that count"
        raise UserError(
            f"{source} gives {train} answers to train on ({reasons})",
            f"give at least {FEWEST} answers to prompts that are not held out",
        )
    with transaction(db):
        add_responses(db, written)
        return add_answer_snapshot(db, answers_id(answers, recorded), str(source), recorded, answers)


class Answers(NamedTuple):
    """Answers one by one, those that raters wrote among them, and why votes made none."""

    answers: list[SnapshotAnswer]
    written: list[Response]
    left_out: Mapping[str, int]
    recorded: Mapping[str, object]


def gather_answers(db: Database, source: Source, policy: PairPolicy) -> Answers:
    """The answers a snapshot of this source would hold."""
    if source.data:
        check_source(source, policy)
        return Answers(stored_answers(db, source.data), [], {}, policy.to_json())
    if source.pair_set:
        check_source(source, policy)
        pairs = pairs_of_set(db, source.pair_set)
        sides = [(p, r, r == p.chosen) for p in pairs for r in (p.chosen, p.rejected)]
        # A response that won one pair and lost another says nothing by itself.
        both = {r for _, r, good in sides if good} & {r for _, r, good in sides if not good}
        once = {r: SnapshotAnswer(p.prompt, r, good, (), p.split) for p, r, good in sides if r not in both}
        lost = {"answers that won and lost": len(both)} if both else {}
        return Answers(list(once.values()), [], lost, policy.to_json())
    read, recorded = _read(db, source, policy)
    judged = judged_answers(read.votes, read.texts, policy, read.ruled)
    made = [SnapshotAnswer(a.prompt, a.response, a.good, a.votes, a.split) for a in judged.answers]
    return Answers(made, list(judged.written.values()), judged.left_out, recorded)


def _why(found: Pairs) -> str:
    heldout = sum(p.split is Split.HELDOUT for p in found.pairs)
    reasons = {**found.left_out, **({"held-out prompt": heldout} if heldout else {})}
    return ", ".join(f"{n} {reason}" for reason, n in reasons.items()) or "no votes that count"


def snapshot_id(pairs: Sequence[PreferencePair], policy: Mapping[str, object]) -> str:
    """The hash of exactly these pairs, in this order, with their votes, under this policy."""
    return content_id("snapshot", policy, [(p.prompt, p.chosen, p.rejected, p.votes) for p in pairs])


def measured_flips(db: Database, snapshot: Snapshot, policy: PairPolicy) -> float:
    """The flip rate of the votes behind a snapshot, replayed ones too; UserError where they cannot show one."""
    counts: dict[int, Counter[Outcome]] = {}
    for vote in _votes_behind(db, snapshot, policy):
        if vote.outcome.decisive and policy.takes(vote):
            counts.setdefault(vote.battle, Counter())[vote.outcome] += 1
    return flip_rate([(n[Outcome.A], n[Outcome.B]) for n in counts.values()])


def _votes_behind(db: Database, snapshot: Snapshot, policy: PairPolicy) -> tuple[Vote, ...]:
    """The votes of a snapshot's campaigns, and the older ones that were mixed in; none where it holds no votes."""
    kind, _, names = snapshot.source.partition(":")
    if kind != "votes":
        return ()
    campaigns = () if names == "all" else tuple(names.split(","))
    votes = read_votes(db, campaigns, training=True).votes
    replayed = json.loads(snapshot.policy).get("replay")
    if replayed:
        votes += replay(db, campaigns, replayed["share"], replayed["seed"], policy)[0].votes
    return votes


def flip_rate(battles: Sequence[tuple[int, int]]) -> float:
    """The share of votes that say the opposite of what was meant, from the votes for either answer of each battle.

    If each vote is turned round with probability e, two votes on one battle differ with 2 e (1 - e); so e is
    (1 - sqrt(1 - 2 d)) / 2 for the share d of pairs of votes that differ, held below 1/2. UserError without overlap.
    """
    differ = sum(a * b for a, b in battles)
    seen = sum((a + b) * (a + b - 1) // 2 for a, b in battles)
    if not seen:
        raise UserError(
            "the flip rate cannot be measured: no two votes are on one battle",
            "write label_smoothing=0.1 or so, or collect votes with overlap",
        )
    return min(0.45, (1 - math.sqrt(max(0.0, 1 - 2 * differ / seen))) / 2)


def answers_id(answers: Sequence[SnapshotAnswer], policy: Mapping[str, object]) -> str:
    """The hash of exactly these answers, in this order, with what is said of them, under this policy."""
    return content_id("answers", policy, [(a.prompt, a.response, a.good, a.votes) for a in answers])


def write_rows(db: Database, snapshot: str, file: Path) -> int:
    """Write a snapshot as the JSONL file a trainer reads, aside and then renamed; the number of rows."""
    n = 0
    with written_file(file) as aside, aside.open("w", encoding="utf-8") as out:
        for line in lines_of(db, snapshot):
            n += 1
            out.write(line)
    return n


def lines_of(db: Database, snapshot: str) -> Iterator[str]:
    """The lines of the file that a trainer reads, in order."""
    for row in chain(_pair_lines(db, snapshot), _answer_lines(db, snapshot)):
        yield json.dumps(row, ensure_ascii=False) + "\n"


def differs(db: Database, snapshot: str, file: Path) -> str | None:
    """What is wrong with the file of a run's rows, beside the snapshot it was written from; None where nothing is."""
    if not file.is_file():
        return "is missing"
    with file.open(encoding="utf-8", errors="replace", newline="\n") as written:
        for n, (line, expected) in enumerate(zip_longest(written, lines_of(db, snapshot)), 1):
            if line is None:
                return f"ends before row {n}"
            if line != expected and not (expected and _taken_out(line, expected)):
                return f"is not what was written, from row {n} on"
    return None


def _taken_out(written: str, expected: str) -> bool:
    """Whether all that differs is a prompt whose words were taken out since, as whoever asked it withdrew."""
    now = json.loads(expected)
    if now["prompt"]:
        return False
    try:
        then = json.loads(written)
    except ValueError:
        return False
    return isinstance(then, dict) and then | {"prompt": []} == now


def _pair_lines(db: Database, snapshot: str) -> Iterator[dict[str, object]]:
    for row in snapshot_rows(db, snapshot):
        yield {
            "pair": row.position, "part": row.part, "prompt_id": row.prompt_id, "prompt": row.prompt,
            "chosen": [{"role": "assistant", "content": row.chosen}],
            "rejected": [{"role": "assistant", "content": row.rejected}],
            "votes": row.votes, "agreement": row.agreement, "margin": row.margin,
        }  # fmt: skip


def _answer_lines(db: Database, snapshot: str) -> Iterator[dict[str, object]]:
    for row in answer_rows(db, snapshot):
        yield {
            "row": row.position, "part": row.part, "prompt_id": row.prompt_id, "prompt": row.prompt,
            "completion": [{"role": "assistant", "content": row.answer}], "label": row.good, "votes": row.votes,
        }  # fmt: skip
