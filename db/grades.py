"""Grades of a language model that reads answers one by one: what it said of which response, readable or not.

A grade that could be read is a score too (table `scores`, under the judge's name), so whatever reads scores reads it.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from sqlite_utils import Database

from db.connection import transaction
from db.judges import JudgeRow


class Grade(NamedTuple):
    """A judge's word on one response: 1 to 10, or None where nothing could be read."""

    prompt: str
    response: str
    grade: int | None
    details: Mapping[str, object]
    """the version of what was asked, and what the model said"""


def add_grades(db: Database, judge: JudgeRow, grades: Iterable[Grade]) -> None:
    """Keep what a judge said; its first readable grade of a response stays."""
    rows = list(grades)
    with transaction(db):
        db.conn.executemany(
            """INSERT INTO grades(judge, prompt, response, grade, details) VALUES (?, ?, ?, ?, ?)
            ON CONFLICT DO NOTHING""",
            [
                (judge.id, g.prompt, g.response, g.grade, json.dumps(dict(g.details), ensure_ascii=False))
                for g in rows
            ],
        )
        db.conn.executemany(
            "INSERT INTO scores(response, scorer, score) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
            [(g.response, judge.name, float(g.grade)) for g in rows if g.grade is not None],
        )


def unread(db: Database, judge: int) -> frozenset[str]:
    """The responses of which a judge gave nothing that can be read, so far."""
    rows = db.conn.execute(
        "SELECT response FROM grades WHERE judge = ? GROUP BY response HAVING max(grade) IS NULL", (judge,)
    )
    return frozenset(str(r[0]) for r in rows)


@dataclass(frozen=True, slots=True)
class Graded:
    """What stands beside a judge's grades in a campaign."""

    model: str
    errors: int
    """battles of which it could not grade both responses, for its answer could not be read"""

    def __add__(self, other: "Graded") -> "Graded":
        """The same over two campaigns."""
        return Graded(self.model, self.errors + other.errors)


def beside_grades(db: Database, campaign: int) -> dict[str, Graded]:
    """{judge: what stands beside its grades} for each judge that was asked for grades of this campaign's responses."""
    if db.conn.execute("SELECT 1 FROM grades LIMIT 1").fetchone() is None:
        return {}  # else every battle of the campaign would be looked up
    rows = db.conn.execute(
        """SELECT t.name, j.model, j.rater FROM judges j JOIN raters t ON t.id = j.rater
        WHERE j.rater NOT IN (SELECT rater FROM excluded_raters) AND EXISTS (
          SELECT 1 FROM campaign_responses h JOIN grades g ON g.response = h.response AND g.judge = j.rater
          WHERE h.campaign = ?)""",
        (campaign,),
    )
    return {
        str(name): Graded(str(model), _errors(db, campaign, judge)) for name, model, judge in rows.fetchall()
    }


def _errors(db: Database, campaign: int, judge: int) -> int:
    failed = unread(db, judge)
    if not failed:
        return 0
    row = db.conn.execute(
        """SELECT count(*) FROM battles WHERE campaign = ?1 AND id NOT IN (SELECT battle FROM gold_pairs)
        AND (response_a IN (SELECT value FROM json_each(?2)) OR response_b IN (SELECT value FROM json_each(?2)))""",
        (campaign, json.dumps(sorted(failed))),
    ).fetchone()
    return int(row[0])
