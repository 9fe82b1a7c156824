"""Answers side by side as CSV: one row a prompt, each model's answer with its scores and the votes it won."""

import csv

import pytest

from arena.side_by_side import write_csv
from db.campaigns import battles_of, create_campaign, get_campaign
from db.catalog import add_model, add_prompts, add_responses, add_scores, get_response
from db.entities.campaigns import CampaignSettings
from db.entities.catalog import ModelKind, Prompt, Response, Score, content_id
from db.entities.votes import Outcome, RaterKind
from db.errors import UserError
from db.imports import ImportCounts, ImportedVote, add_imported_votes, begin_import, finish_import
from db.raters import add_rater


@pytest.fixture
def three(db):
    """Two prompts that three models answered; one answer looks like a formula; two votes on one battle."""
    asked = [Prompt.of([{"role": "user", "content": f"Question {i}?"}]) for i in range(2)]
    add_prompts(db, asked, prompt_set="questions")
    for model in ("base", "sft", "dpo"):
        add_model(db, model, ModelKind.RECORDED)
        add_responses(db, [Response.of(p.id, model, f"={model}({i})") for i, p in enumerate(asked)])
    made = create_campaign(db, "first", ("base", "sft", "dpo"), "questions", CampaignSettings()).campaign
    for battle in battles_of(db, made.id):
        for response in (battle.response_a, battle.response_b):
            add_scores(db, [Score(response, "rm", float(len(get_response(db, response).text or "")))])
    first = battles_of(db, made.id)[0]
    votes = begin_import(db, "votes", "by hand", made.id)
    for name, outcome in (("ann", Outcome.A), ("bob", Outcome.TIE)):
        rater = add_rater(db, name, RaterKind.PERSON)
        add_imported_votes(
            db, [ImportedVote(content_id(name), made.id, first.id, rater, outcome, None)], votes
        )
    finish_import(db, votes, ImportCounts(2, 2, 0, 0))
    return made


def read(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_row_a_prompt_with_answers_scores_and_votes(db, three, tmp_path):
    write_csv(db, ["first"], tmp_path / "deep" / "answers.csv")
    first, second = read(tmp_path / "deep" / "answers.csv")
    assert (first["campaign"], first["prompt"], second["prompt"]) == ("first", "Question 0?", "Question 1?")
    for model in ("base", "sft", "dpo"):
        assert first[f"{model}: answer"] == f"'={model}(0)", "a spreadsheet must not run it"
        assert float(first[f"{model}: rm"]) == int(first[f"{model}: characters"]) == len(f"={model}(0)")
    battle = battles_of(db, get_campaign(db, "first").id)[0]
    assert [first[f"{m}: votes won"] for m in ("base", "sft", "dpo")].count("1") == 1
    assert first[f"{battle.model_a}: votes won"] == "1"
    assert (first["votes for neither"], second["votes for neither"]) == ("1", "0")


def test_a_file_that_cannot_be_written_is_one_line(db, three, tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(UserError, match="cannot write"):
        write_csv(db, ["first"], tmp_path / "file" / "answers.csv")
