"""Workflow: what models still know of what the first of them knew, side by side."""

from collections.abc import Sequence

from sqlite_utils import Database

from arena.demo import ensure_starter
from arena.generating import files_of
from arena.jobs import ThisJob
from db.answers import stored_answers
from db.catalog import get_prompt, get_response
from db.connection import Home
from db.entities.catalog import Split
from db.errors import UserError
from training.answers import Answer

MOST = 200
"""answers of a set that are read"""
UNHARMED, LOST = 1.05, 1.5
"""plain text that many times as perplexing: as before, and forgotten (the alarm of a run has the same upper limit)"""


def retained(
    db: Database, home: Home, models: Sequence[str], sets: Sequence[str], job: ThisJob
) -> list[dict[str, object]]:  # fmt: skip
    """A row a model, the first being what the others are held against; UserError where one has no weights here.

    Only answers to held-out prompts are read: no model trained on them.
    """
    from training.retaining import measure

    if len(models) < 2:
        raise UserError(
            "one model alone retains nothing", "name the model it came from first, then the others"
        )
    files = [(name, files_of(home, ensure_starter(db, name))) for name in models]
    answers = {name: heldout_answers(db, name) for name in sets}
    start, first, rows = None, 0.0, list[dict[str, object]]()
    for number, (name, its) in enumerate(files):
        job.say(number / len(files), f"reading with {name}")
        knows, logps = measure(its, answers, start)
        start = logps if start is None else start
        first = first or knows.perplexity
        told = in_words(knows.perplexity / first) if number else "the start"
        losses = {f"loss on {s}": None if x is None else round(x, 4) for s, x in knows.losses.items()}
        moved = None if knows.divergence is None else round(knows.divergence, 4)
        rows.append(
            {
                "model": name,
                "perplexity": round(knows.perplexity, 3),
                "divergence": moved,
                **losses,
                "verdict": told,
            }
        )
    return rows


def in_words(times: float) -> str:
    """What it means that plain text is so many times as perplexing as to the start."""
    if times <= UNHARMED:
        return (
            "reads plain text as well as the start"
            if times > 1 / UNHARMED
            else "reads plain text better than the start"
        )
    share = f"plain text is {100 * (times - 1):.0f} % more perplexing to it than to the start"
    return f"forgot: {share}" if times > LOST else f"mostly retained: {share}"


def heldout_answers(db: Database, name: str) -> list[Answer]:
    """The stored answers of this name to held-out prompts, at most MOST; UserError where there are none."""
    found = [a for a in stored_answers(db, name) if a.split is Split.HELDOUT][:MOST]
    if not found:
        raise UserError(
            f"no answer of {name!r} is to a held-out prompt, and what was trained on shows nothing",
            "import it with --split heldout, or name another set",
        )
    return [
        Answer(n, Split.HELDOUT, get_prompt(db, a.prompt).messages,
               ({"role": "assistant", "content": get_response(db, a.response).text or ""},), good=True)
        for n, a in enumerate(found, 1)
    ]  # fmt: skip
