"""Machine judges that compare two answers: what they said of which responses, and the verdicts that follow from it.

A comparison is of two responses, wherever they meet; a verdict is a judge's vote on a battle, beside people's votes.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from sqlite_utils import Database

from db.connection import transaction
from db.entities.catalog import Prompt, Split, content_id
from db.entities.votes import Outcome, RaterKind
from db.errors import NotFound
from db.imports import ImportCounts, ImportedVote, add_imported_votes, begin_import, finish_import, last_vote
from db.raters import add_rater


class JudgeKind(StrEnum):
    """How a judge that compares two answers finds its word."""

    PAIRRM = "pairrm"
    LLM = "llm"
    LENGTH = "length"


@dataclass(frozen=True, slots=True)
class JudgeRow:
    """A machine rater: its name among raters, its model, and the version of the prompt it is asked with."""

    id: int
    name: str
    kind: JudgeKind
    model: str
    prompt_version: str


_JUDGE = (
    "SELECT j.rater, t.name, j.kind, j.model, j.prompt_version FROM judges j JOIN raters t ON t.id = j.rater"
)


def add_judge(db: Database, name: str, kind: JudgeKind, model: str, prompt_version: str = "") -> JudgeRow:
    """The judge of this kind, model and prompt; made under the name, or the name with a number where it is taken."""
    with transaction(db):
        row = db.conn.execute(
            f"{_JUDGE} WHERE j.kind = ? AND j.model = ? AND j.prompt_version = ?",
            (kind, model, prompt_version),
        ).fetchone()
        if row is None:
            rater = add_rater(db, _free_name(db, name), RaterKind.JUDGE)
            db.conn.execute("INSERT INTO judges VALUES (?, ?, ?, ?)", (rater, kind, model, prompt_version))
            row = db.conn.execute(f"{_JUDGE} WHERE j.rater = ?", (rater,)).fetchone()
        return JudgeRow(row[0], row[1], JudgeKind(row[2]), row[3], row[4])


def _free_name(db: Database, name: str) -> str:
    number, free = 1, name
    taken = "SELECT 1 FROM raters WHERE name = ?1 UNION ALL SELECT 1 FROM scores WHERE scorer = ?1"
    while db.conn.execute(taken, (free,)).fetchone():
        number += 1
        free = f"{name}-{number}"
    return free


class Two(NamedTuple):
    """Two responses to one prompt, the lower id first."""

    prompt: Prompt
    response_a: str
    text_a: str
    response_b: str
    text_b: str


class Asked(NamedTuple):
    """The two responses of each battle that a judge has no word on yet, and the battles that nobody could compare."""

    open: list[Two]
    unreadable: int
    """battles that were asked before and gave nothing to read; among `open` only where they are asked again"""
    textless: int
    """battles without a prompt or an answer to show"""


_OPEN = """SELECT DISTINCT b.prompt, min(b.response_a, b.response_b), max(b.response_a, b.response_b)
  FROM battles b WHERE b.campaign = ?2 AND (?3 IS NULL OR b.id = ?3) AND b.id NOT IN (SELECT battle FROM gold_pairs)
  AND NOT EXISTS (SELECT 1 FROM comparisons c WHERE c.judge = ?1 AND c.outcome IS NOT NULL
    AND c.response_a = min(b.response_a, b.response_b) AND c.response_b = max(b.response_a, b.response_b))"""


def open_battles(
    db: Database, judge: int, campaign: int, battle: int | None = None, *, again: bool = False
) -> Asked:
    """What a judge still has to say of a campaign, or of one battle. What gave nothing to read is asked anew only with
    `again`.
    """
    found = [(str(p), str(a), str(b)) for p, a, b in db.conn.execute(_OPEN, (judge, campaign, battle))]
    failed = {
        (str(a), str(b))
        for a, b in db.conn.execute(
            "SELECT response_a, response_b FROM comparisons WHERE judge = ? AND outcome IS NULL", (judge,)
        )
    }
    tried = [one for one in found if one[1:] in failed]
    wanted = found if again else [one for one in found if one[1:] not in failed]
    open_ = twos(db, wanted)
    return Asked(open_, len(tried), len(wanted) - len(open_))


def twos(db: Database, wanted: Sequence[tuple[str, str, str]]) -> list[Two]:
    """(prompt, response, response) with their texts; those where a prompt or an answer has none are left out."""
    rows = db.conn.execute(
        """SELECT p.id, p.messages, p.split, a.id, a.text, b.id, b.text FROM json_each(?) w
        JOIN prompts p ON p.id = w.value ->> 0 JOIN responses a ON a.id = w.value ->> 1
        JOIN responses b ON b.id = w.value ->> 2
        WHERE p.messages <> '[]' AND a.text IS NOT NULL AND b.text IS NOT NULL ORDER BY w.key""",
        (json.dumps([(p, min(a, b), max(a, b)) for p, a, b in wanted]),),
    )
    return [
        Two(Prompt(r[0], tuple(json.loads(r[1])), Split(r[2])), str(r[3]), str(r[4]), str(r[5]), str(r[6]))
        for r in rows
    ]


class Comparison(NamedTuple):
    """A judge's word on two responses, the lower id in slot a; no outcome: nothing that could be read."""

    two: Two
    outcome: Outcome | None
    margin: float | None
    cut: bool
    details: Mapping[str, object]


def add_comparisons(db: Database, judge: int, comparisons: Iterable[Comparison]) -> None:
    """Keep what a judge said; its first word on two responses stays."""
    with transaction(db):
        db.conn.executemany(
            """INSERT INTO comparisons(judge, prompt, response_a, response_b, outcome, margin, cut, details)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING""",
            [
                (judge, c.two.prompt.id, c.two.response_a, c.two.response_b, c.outcome, c.margin, int(c.cut),
                 json.dumps(dict(c.details), ensure_ascii=False))
                for c in comparisons
            ],
        )  # fmt: skip


class Word(NamedTuple):
    """What a judge said of two responses, the lower id in slot a."""

    outcome: Outcome | None
    margin: float | None
    cut: bool


def words(db: Database, judge: int, prompts: Iterable[str]) -> dict[tuple[str, str], Word]:
    """{(lower response id, higher): the judge's word} over the responses to these prompts; a read word beats an error."""
    rows = db.conn.execute(
        """SELECT response_a, response_b, outcome, margin, cut FROM comparisons
        WHERE judge = ? AND prompt IN (SELECT value FROM json_each(?)) ORDER BY outcome IS NOT NULL, id""",
        (judge, json.dumps(sorted(set(prompts)))),
    )
    return {(r[0], r[1]): Word(Outcome(r[2]) if r[2] else None, r[3], bool(r[4])) for r in rows}


class Verdict(NamedTuple):
    """What a judge's word comes to on a battle."""

    battle: int
    outcome: Outcome


def due_verdicts(db: Database, judge: int, campaign: int, battle: int | None = None) -> list[Verdict]:
    """What a judge said of the responses of a campaign's battles (or of one), where it has no vote on them yet."""
    rows = db.conn.execute(
        """SELECT b.id, c.outcome, b.response_a > b.response_b FROM battles b JOIN comparisons c
        ON c.judge = ?1 AND c.outcome IS NOT NULL AND c.response_a = min(b.response_a, b.response_b)
        AND c.response_b = max(b.response_a, b.response_b)
        WHERE b.campaign = ?2 AND (?3 IS NULL OR b.id = ?3) AND b.id NOT IN (SELECT battle FROM gold_pairs)
        AND NOT EXISTS (SELECT 1 FROM votes v WHERE v.battle = b.id AND v.rater = ?1) ORDER BY b.id""",
        (judge, campaign, battle),
    )
    return [Verdict(r[0], in_slots(Outcome(r[1]), other_way=bool(r[2]))) for r in rows]


def cast_verdicts(db: Database, judge: JudgeRow, campaign: int, due: Sequence[Verdict]) -> int:
    """A vote of the judge for each of these verdicts, in one transaction; how many were not there yet."""
    with transaction(db):
        name = db.conn.execute("SELECT name FROM campaigns WHERE id = ?", (campaign,)).fetchone()
        if name is None:
            raise NotFound(f"there is no campaign {campaign}")
        after = last_vote(db)
        import_id = begin_import(db, "verdicts", f"judge {judge.name}", campaign)
        added = add_imported_votes(
            db,
            [
                ImportedVote(content_id("vote", name[0], judge.name, v.battle), campaign, v.battle, judge.id, v.outcome, None)
                for v in due
            ],
            import_id,
        )  # fmt: skip
        finish_import(db, import_id, ImportCounts(len(due), added, len(due) - added, 0), after)
    return added


def in_slots(outcome: Outcome, *, other_way: bool) -> Outcome:
    """The outcome in the slots of a battle, which may be the other way round."""
    return {Outcome.A: Outcome.B, Outcome.B: Outcome.A}.get(outcome, outcome) if other_way else outcome


@dataclass(frozen=True, slots=True)
class Beside:
    """What stands beside a judge's verdicts on a campaign."""

    kind: JudgeKind
    model: str
    read: int
    """battles on which its answer could be read"""
    errors: int
    """battles on which its answer could not be read"""
    cut: frozenset[tuple[str, str]]
    """the two responses, lower id first, of battles whose texts were cut to fit it"""

    def __add__(self, other: "Beside") -> "Beside":
        """The same over two campaigns."""
        return Beside(
            self.kind, self.model, self.read + other.read, self.errors + other.errors, self.cut | other.cut
        )


def beside_verdicts(db: Database, campaign: int) -> dict[str, Beside]:
    """{judge: what stands beside its verdicts} for each judge that was asked about this campaign's responses."""
    if db.conn.execute("SELECT 1 FROM judges LIMIT 1").fetchone() is None:
        return {}  # else every battle of the campaign would be looked up
    rows = db.conn.execute(
        """SELECT t.name, j.kind, j.model, c.response_a, c.response_b, max(c.outcome IS NOT NULL), max(c.cut)
        FROM battles b JOIN comparisons c ON c.response_a = min(b.response_a, b.response_b)
          AND c.response_b = max(b.response_a, b.response_b)
        JOIN judges j ON j.rater = c.judge JOIN raters t ON t.id = j.rater
        LEFT JOIN excluded_raters x ON x.rater = t.id
        WHERE b.campaign = ? AND b.id NOT IN (SELECT battle FROM gold_pairs) AND x.rater IS NULL
        GROUP BY t.name, b.id""",
        (campaign,),
    )
    found: dict[str, Beside] = {}
    for name, kind, model, a, b, read, cut in rows:
        old = found.get(name, Beside(JudgeKind(kind), str(model), 0, 0, frozenset()))
        cut_here = frozenset({(str(a), str(b))} if cut else ())
        found[name] = old + Beside(old.kind, old.model, int(read), int(not read), cut_here)
    return found
