"""Check questions made by spoiling stored answers: plainly worse, and of the better of two answers."""

import itertools
import random

from arena.crowd import decision
from bench.raters import starter_world
from db.campaigns import battles_of, get_campaign
from db.catalog import add_scores
from db.checks import gold_pairs_of
from db.connection import open_writer
from db.entities import Choice, Score
from labeling import gold
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
