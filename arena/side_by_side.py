"""Workflow: the answers of a campaign's models side by side as CSV, a row a prompt, with what judges and people said of them."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from sqlite_utils import Database

from arena.figure_tables import as_csv
from arena.report_files import write_text
from db.campaigns import battles_of, get_campaign
from db.catalog import get_prompt, scores_of_campaign, texts_of_campaign
from db.entities.votes import Outcome
from db.figures import one_moment
from db.votes import counted_votes

Row = dict[str, object]


def write_csv(db: Database, campaigns: Sequence[str], path: Path) -> None:
    """Write the rows of the campaigns; UserError where the file cannot be written.

    Columns: campaign, prompt_id, split, prompt; for each model its answer, its length in characters, each scorer's score and
    the votes it won on the prompt; the votes in which neither won. Text that a spreadsheet would take for a formula gets an
    apostrophe before it.
    """
    with one_moment(db):
        rows = [row for name in campaigns for row in _rows(db, name)]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    write_text(path, as_csv([columns, *([row.get(c, "") for c in columns] for row in rows)]))


def _rows(db: Database, name: str) -> Iterable[Row]:
    campaign = get_campaign(db, name)
    texts, scores = texts_of_campaign(db, campaign.id), scores_of_campaign(db, campaign.id)
    answers: dict[str, dict[str, str]] = {}
    """{prompt: {model: response}}"""
    for battle in battles_of(db, campaign.id):
        found = answers.setdefault(battle.prompt, {})
        found[battle.model_a], found[battle.model_b] = battle.response_a, battle.response_b
    won = _won(db, campaign.id)
    for prompt_id, by_model in answers.items():
        prompt = get_prompt(db, prompt_id)
        row: Row = {
            "campaign": name,
            "prompt_id": prompt_id,
            "split": prompt.split.value,
            "prompt": prompt.text,
        }
        for model in (m for m in campaign.models if m in by_model):
            text = texts.get(by_model[model]) or ""
            row |= {f"{model}: answer": text, f"{model}: characters": len(text)}
            row |= {
                f"{model}: {scorer}": by[by_model[model]].score
                for scorer, by in sorted(scores.items())
                if by_model[model] in by
            }
            row[f"{model}: votes won"] = won[prompt_id][model]
        yield row | {"votes for neither": won[prompt_id][""]}


def _won(db: Database, campaign: int) -> defaultdict[str, Counter[str]]:
    """{prompt: {model, or nothing for a tie: votes}}."""
    found: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for vote in counted_votes(db, campaign):
        if vote.outcome is Outcome.SKIP:
            continue
        winner = {Outcome.A: vote.model_a, Outcome.B: vote.model_b}.get(vote.outcome, "")
        found[vote.prompt][winner] += 1
    return found
