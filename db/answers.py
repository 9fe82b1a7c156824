"""Answers one by one: the stored answers of a file, and snapshots of them that a run learns from."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlite_utils import Database

from db.catalog import find_model, prompt_sets
from db.entities.catalog import Split
from db.entities.runs import Snapshot
from db.errors import NotFound
from db.snapshots import freeze_rows


@dataclass(frozen=True, slots=True)
class SnapshotAnswer:
    """One answer as it was frozen: good or bad, and the votes that say so."""

    prompt: str
    response: str
    good: bool
    votes: tuple[int, ...]
    split: Split


def stored_answers(db: Database, name: str) -> list[SnapshotAnswer]:
    """The answers that go by this name, in the prompts' order: a model's, or all recorded ones to a set of prompts.

    A file of answers is stored under its own name, as a model or, where its rows name their models, as a set.
    NotFound names what there is.
    """
    if find_model(db, name) is not None:
        where = "m.name = ?"
    elif name in (sets := {s.name for s in prompt_sets(db)}):
        where = """m.kind = 'recorded' AND p.id IN (SELECT i.prompt FROM prompt_set_members i
          JOIN prompt_sets s ON s.id = i.prompt_set WHERE s.name = ?)"""
    else:
        raise NotFound(
            f"there are no answers named {name!r}",
            f"give a file of questions and answers, or one of these sets: {', '.join(sorted(sets)) or 'none yet'}",
        )
    rows = db.conn.execute(
        f"""SELECT p.id, r.id, p.split FROM responses r JOIN prompts p ON p.id = r.prompt
        JOIN models m ON m.id = r.model
        WHERE {where} AND p.messages <> '[]' AND trim(r.text, ' ' || char(9, 10, 13)) <> ''
        ORDER BY p.number, r.sample, r.number""",
        (name,),
    )
    return [SnapshotAnswer(r[0], r[1], True, (), Split(r[2])) for r in rows]


def add_answer_snapshot(
    db: Database,
    snapshot_id: str,
    source: str,
    policy: Mapping[str, object],
    answers: Sequence[SnapshotAnswer],
) -> Snapshot:
    """Freeze answers."""
    rows = [(a.split, a.prompt, a.response, a.good, json.dumps(a.votes)) for a in answers]
    return freeze_rows(db, snapshot_id, source, policy, "snapshot_answers", rows)


def snapshot_answers(db: Database, snapshot_id: str) -> list[SnapshotAnswer]:
    """The answers of a snapshot as they were frozen, in order; none where it holds pairs."""
    rows = db.conn.execute(
        "SELECT prompt, response, good, votes, part FROM snapshot_answers WHERE snapshot = ? ORDER BY position",
        (snapshot_id,),
    )
    return [SnapshotAnswer(r[0], r[1], bool(r[2]), tuple(json.loads(r[3])), Split(r[4])) for r in rows]


class AnswerRow(NamedTuple):
    """An answer of a snapshot with its texts: one line of the file a trainer reads."""

    position: int
    part: str
    prompt_id: str
    prompt: list[dict[str, str]]
    answer: str
    good: bool
    votes: list[int]


def answer_rows(db: Database, snapshot_id: str) -> Iterator[AnswerRow]:
    """The answers of a snapshot with their texts, in order; none where it holds pairs."""
    rows = db.conn.execute(
        """SELECT s.position, s.part, s.prompt, p.messages, r.text, s.good, s.votes FROM snapshot_answers s
        JOIN prompts p ON p.id = s.prompt JOIN responses r ON r.id = s.response
        WHERE s.snapshot = ? ORDER BY s.position""",
        (snapshot_id,),
    )
    for r in rows:
        yield AnswerRow(r[0], r[1], r[2], json.loads(r[3]), r[4], bool(r[5]), json.loads(r[6]))
