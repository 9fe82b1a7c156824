"""What is retained: a model held against the one it came from, on plain text and on answers that nobody was taught."""

import pytest
import torch

from arena.jobs import ThisJob
from arena.retaining import heldout_answers, in_words, retained
from db import runs
from db.catalog import add_model
from db.connection import open_writer
from db.entities.catalog import ModelKind, Split
from db.errors import UserError
from tests.tiny import tiny_llama
from tests.workshop import run, trainable_home
from training.answers import Answer
from training.loading import load_policy
from training.retaining import loss_on
from training.settings import ModelFiles


@pytest.fixture
def workshop(tmp_path):
    home = trainable_home(tmp_path / "home")
    db = open_writer(home)
    yield home, db
    db.conn.close()


def job(db):
    return ThisJob(runs.add_job(db, ["models", "retained"]).id, db)


def test_a_model_beside_itself_has_lost_nothing_and_another_one_has(workshop, tmp_path):
    home, db = workshop
    tiny_llama(tmp_path / "same", seed=0)
    add_model(db, "same", ModelKind.CHECKPOINT, source=str(tmp_path / "same"))
    start, same, other = retained(db, home, ["one", "same", "two"], ["one"], job(db))
    assert (start["divergence"], start["verdict"]) == (None, "the start")
    assert (same["perplexity"], same["loss on one"]) == (start["perplexity"], start["loss on one"])
    assert same["divergence"] == pytest.approx(0, abs=1e-4)
    assert "as well as the start" in same["verdict"]
    assert other["divergence"] > 0.01
    assert other["perplexity"] != start["perplexity"]
    ran = run(home.root, "models", "retained", "one", "two", "--data", "one")
    assert "loss on one" in ran.out.splitlines()[0]


def test_the_loss_is_that_of_the_models_own_loss_function(tmp_path):
    """Held against transformers: labels masked over the prompt, mean over answer tokens."""
    source = str(tiny_llama(tmp_path / "m"))
    model, tokenizer = load_policy(ModelFiles(source))
    prompt, said = (
        ({"role": "user", "content": "Name three colours."},),
        ({"role": "assistant", "content": "Red, green."},),
    )
    answer = Answer(1, Split.HELDOUT, prompt, said, good=True)
    whole = tokenizer.apply_chat_template([*prompt, *said], return_tensors="pt", return_dict=True)[
        "input_ids"
    ]
    begin = len(
        tokenizer.apply_chat_template(list(prompt), add_generation_prompt=True, return_dict=True)["input_ids"]
    )
    labels = whole.clone()
    labels[0, :begin] = -100
    with torch.no_grad():
        expected = float(model(input_ids=whole, labels=labels).loss)
    assert loss_on(model, tokenizer, [answer]) == pytest.approx(expected, abs=1e-5)
    assert loss_on(model, tokenizer, [answer, answer]) == pytest.approx(expected, abs=1e-5)
    assert loss_on(model, tokenizer, []) is None
    assert loss_on(model, tokenizer, [answer], most_tokens=begin) is None


def test_only_answers_to_held_out_prompts_are_read(workshop):
    _, db = workshop
    assert len(heldout_answers(db, "one")) == 12
    assert all(a.part is Split.HELDOUT for a in heldout_answers(db, "one"))
    db.conn.execute(
        "DELETE FROM prompt_set_members WHERE prompt IN (SELECT id FROM prompts WHERE split = 'heldout')"
    )
    with pytest.raises(UserError, match="held-out"):
        heldout_answers(db, "questions")


def test_words_for_what_was_lost():
    assert "as well" in in_words(1.0)
    assert "better" in in_words(0.9)
    assert in_words(1.2) == "mostly retained: plain text is 20 % more perplexing to it than to the start"
    assert in_words(2.0).startswith("forgot")


def test_one_model_alone_and_a_model_without_weights_are_one_line(workshop):
    home, db = workshop
    with pytest.raises(UserError, match="one model alone"):
        retained(db, home, ["one"], [], job(db))
    add_model(db, "spoken", ModelKind.RECORDED)
    with pytest.raises(UserError, match="no weights"):
        retained(db, home, ["one", "spoken"], [], job(db))
