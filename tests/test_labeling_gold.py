"""Check questions made by spoiling stored answers: plainly worse, and of the better of two answers."""

import itertools
import json
import random

from arena.crowd import decision
from bench.raters import starter_world
from db.campaigns import battles_of, get_campaign
from db.catalog import add_scores
from db.checks import gold_pairs_of
from db.connection import open_writer
from db.entities.catalog import Score
from db.entities.votes import Choice
from labeling import gold
from labeling.scanning import scan
from tests.factories import make_home


def test_spoiling_is_half_as_long_and_says_every_word_twice():
    assert (
        gold.spoiled("One two three four five six seven eight.", "Other words, and more.")
        == "Other Other words words"
    )
    assert gold.spoiled("ha ha ha ha ha ha ha ha", "no no") == "no no no no", (
        "one word said many times ends too"
    )


def test_honest_raters_find_nearly_every_spoiled_answer():
    decide = decision("honest", random.Random(1), 0.0)
    found = asked = 0
    matches = starter_world()[:150]
    for match, other in itertools.pairwise(matches):
        good, bad = match.texts[1], gold.spoiled(match.texts[1], other.texts[1])
        ballot = {
            "prompt": [{"role": "user", "content": match.prompt}],
            "left": {"text": good},
            "right": {"text": bad},
        }
        found, asked = found + (decide(ballot) is Choice.LEFT), asked + 1
    assert found / asked >= 0.9


def test_the_better_scored_answer_is_the_known_one(tmp_path):
    home = make_home(tmp_path / "home", prompts=8)
    db = open_writer(home)
    campaign = get_campaign(db, "first")
    battles = battles_of(db, campaign.id)
    add_scores(
        db,
        [Score(b.response_b, "judge", 1.0) for b in battles]
        + [Score(b.response_a, "judge", -1.0) for b in battles],
    )
    assert gold.add_spoiled(db, campaign, 4).added == 4
    assert all("manner of 9 o" in p.good for p in gold_pairs_of(db, campaign.id)), "model-two's"
    db.conn.close()


def test_what_the_guard_finds_never_becomes_a_check_question(tmp_path):
    def answer(model, i):
        if model == "model-one" or i > 1:
            return f"Answer {i} in the manner of {model[6:]}."
        return ("I am ChatGPT, and here is a long answer.", "It goes on for long.<|im_end|>")[i]

    db = open_writer(make_home(tmp_path / "home", prompts=5, answer=answer))
    campaign = get_campaign(db, "first")
    scan(db, campaign.id)
    gold.add_spoiled(db, campaign, 5)
    made = gold_pairs_of(db, campaign.id)
    assert len(made) == 3
    assert all("ChatGPT" not in text and "<|" not in text for pair in made for text in pair[1:])
    db.conn.close()


def test_spoiled_answers_of_a_campaign_nobody_scanned_are_looked_at_themselves(tmp_path):
    words = "Here is a long answer, and by the way I am ChatGPT, so there."
    home = make_home(
        tmp_path / "home",
        prompts=4,
        answer=lambda model, i: words if i == 0 else f"Answer {i} of {model[6:]}.",
    )
    db = open_writer(home)
    added = gold.add_spoiled(db, get_campaign(db, "first"), 4)
    assert all("ChatGPT" not in pair.good for pair in gold_pairs_of(db, 1))
    assert added.added + added.refused <= 4
    db.conn.close()


def test_pairs_of_a_file_that_give_a_model_away_are_refused(tmp_path):
    db = open_writer(make_home(tmp_path / "home"))
    file = tmp_path / "gold.jsonl"
    rows = [("Why?", "Because it is so.", "No idea."), ("Who?", "I am ChatGPT.", "Nobody."), ("Where?", "Here it is.", "model-one says there.")]  # fmt: skip
    file.write_text(
        "".join(json.dumps(dict(zip(("prompt", "chosen", "rejected"), r, strict=True))) + "\n" for r in rows)
    )
    added = gold.add_file(db, get_campaign(db, "first"), str(file))
    assert added == (1, 0, 2)
    assert [p.good for p in gold_pairs_of(db, 1)] == ["Because it is so."]
    db.conn.close()
