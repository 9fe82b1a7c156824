"""Workflow: a language model grades answers one by one, from 1 to 10, resumable. Its grades are scores beside others."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from sqlite_utils import Database

from arena.judges import Answered, Graded
from arena.progress import Say
from db.catalog import responses_without_score
from db.entities.campaigns import Campaign
from db.entities.catalog import Prompt, Response
from db.errors import UserError
from db.grades import Grade, add_grades, unread
from db.judges import JudgeRow

LOT = 16
"""grades that are asked for together; each lot stays"""


class Grading(Protocol):
    """A judge that grades answers one by one."""

    def grade(self, answered: Sequence[Answered]) -> list[Graded]:
        """One grade of each answer, in their order."""
        ...


class Grader(NamedTuple):
    """A judge that grades: who it is among raters, and how it is loaded."""

    row: JudgeRow
    load: Callable[[], Grading]
    notes: tuple[str, ...] = ()
    """what a person should know before they trust it"""


class Grades(NamedTuple):
    """What a grader did to a campaign: new grades, responses without one that can be read, and those without a text."""

    graded: int
    errors: int
    textless: int


def grade_campaign(
    db: Database,
    campaign: Campaign,
    grader: Grader,
    *,
    again: bool = False,
    say: Say = lambda _p, _m: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Grades:
    """Grade what has no grade yet of a campaign's responses. `again` asks anew where nothing could be read.

    UserError where the model does not load or answer, or when it is told to stop; what is graded stays.
    """
    missing = responses_without_score(db, grader.row.name, campaign.id)
    there = [(prompt, response) for prompt, response in missing if prompt.messages]
    graded = grade(db, there, grader, again=again, say=say, should_stop=should_stop)
    failed = unread(db, grader.row.id)
    return Grades(graded, sum(r.id in failed for _, r in there), len(missing) - len(there))


def grade(
    db: Database,
    missing: Sequence[tuple[Prompt, Response]],
    grader: Grader,
    *,
    again: bool = False,
    say: Say = lambda _p, _m: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> int:
    """Grade these responses, in lots that stay; how many grades could be read. UserError as `grade_campaign`."""
    failed = unread(db, grader.row.id) if not again else frozenset[str]()
    todo = [(prompt, response) for prompt, response in missing if response.id not in failed]
    if not todo:
        return 0
    say(0.0, f"loading {grader.row.name}")
    judge, readable = grader.load(), 0
    for at in range(0, len(todo), LOT):
        if should_stop():
            raise UserError(f"stopped after {at} of {len(todo)} grades", "run it again to go on")
        lot = todo[at : at + LOT]
        said = judge.grade([Answered(prompt.messages, response.text or "") for prompt, response in lot])
        add_grades(db, grader.row, [
            Grade(prompt.id, response.id, g.grade, g.details)
            for (prompt, response), g in zip(lot, said, strict=True)
        ])  # fmt: skip
        readable += sum(g.grade is not None for g in said)
        done = at + len(lot)
        say(done / len(todo), f"{done} of {len(todo)} responses graded by {grader.row.name}")
    return readable
