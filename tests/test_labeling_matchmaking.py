"""Which models meet: chances that add up, a floor for each two, and figures that come out even after weighing."""

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from db.campaigns import create_campaign, get_battle
from db.catalog import add_model, add_prompts, add_responses
from db.connection import open_writer
from db.entities.campaigns import CampaignSettings, Matchmaking, Sampling
from db.entities.catalog import ModelKind, Prompt, Response, Split
from db.guarding import mark_scanned
from db.live_turns import Fought
from labeling.joining import invite, join, session_from
from labeling.lending import next_ballots
from labeling.matchmaking import chances, pair_up
from labeling.rating import cast_vote
from labeling.submission import parse_submission
from tests.factories import NOW

COUNTS = st.builds(Fought, *[st.integers(0, 500)] * 3)


@given(st.lists(COUNTS, min_size=1, max_size=12), st.sampled_from(Matchmaking), st.floats(0.01, 1.0))
def test_chances_add_up_and_no_two_are_left_out(known, way, share):
    odds = chances(known, way, share)
    assert sum(odds) == pytest.approx(1.0)
    assert min(odds) >= share / len(known) - 1e-12


def test_uniform_is_even_whatever_was_played():
    assert chances([Fought(9, 0, 0), Fought(0, 0, 0)], Matchmaking.UNIFORM, 0.2) == [0.5, 0.5]


def test_the_least_played_two_come_first():
    odds = chances([Fought(5, 5, 0), Fought(1, 0, 0), Fought(0, 0, 0)], Matchmaking.LEAST_PLAYED, 0.1)
    assert odds == sorted(odds)
    # by hand: worth 1/121, 1/4, 1; the last one 0.1 / 3 + 0.9 / (1 + 1/4 + 1/121)
    assert odds[2] == pytest.approx(0.1 / 3 + 0.9 / (1 + 1 / 4 + 1 / 121))


def test_a_close_race_tells_more_than_a_settled_one_and_few_votes_more_than_many():
    close, settled, long = Fought(10, 10, 0), Fought(20, 0, 0), Fought(100, 100, 0)
    a, b, c = chances([close, settled, long], Matchmaking.MOST_INFORMATIVE, 0.1)
    assert a > b
    assert a > c


def test_draws_follow_their_chances():
    known, lot = [Fought(8, 2, 0), Fought(0, 0, 1), Fought(3, 3, 3)], random.Random(4)
    met = [pair_up(known, Matchmaking.LEAST_PLAYED, 0.2, lot) for _ in range(4000)]
    odds, seen = chances(known, Matchmaking.LEAST_PLAYED, 0.2), Counter(m.at for m in met)
    assert all(m.chance == odds[m.at] and m.among == 3 for m in met)
    for at, chance in enumerate(odds):
        assert seen[at] / 4000 == pytest.approx(chance, abs=4 * (chance * (1 - chance) / 4000) ** 0.5)


@pytest.mark.parametrize("sampling", [Sampling.LEAST_COVERED, Sampling.UNIFORM, Sampling.MOST_UNCERTAIN])
def test_recorded_battles_of_three_models_keep_the_chance_they_were_drawn_with(home, sampling):
    """Two of three models have many votes: the others come first, and 1 / (among x chance) makes up for it."""
    db = open_writer(home)
    asked = [Prompt.of([{"role": "user", "content": f"Q{i}"}], Split.TRAIN) for i in range(30)]
    add_prompts(db, asked, prompt_set="s")
    for name in ("a", "b", "c"):
        add_model(db, name, ModelKind.RECORDED)
        add_responses(db, [Response.of(p.id, name, f"{name} says {i}") for i, p in enumerate(asked)])
    settings = CampaignSettings(matchmaking=Matchmaking.LEAST_PLAYED, sampling=sampling, overlap=50)
    campaign = create_campaign(db, "three", ("a", "b", "c"), "s", settings).campaign
    mark_scanned(db, campaign.id)
    cookie = join(db, invite(db, "three", 1)[0].token, None, NOW)
    met = Counter()
    for n in range(30):
        [ballot] = next_ballots(db, session_from(db, cookie, NOW), 1, NOW).ballots
        row = db.execute(
            "SELECT battle, chance, among FROM assignments WHERE id = ?", (ballot.assignment,)
        ).fetchone()
        battle = get_battle(db, row[0])
        met[battle.model_a + battle.model_b] += 1
        assert row[2] == 90 - n
        assert 0 < row[1] <= 1
        if n == 0:
            # no votes yet: each two as likely, each of their thirty battles too
            assert row[1] == pytest.approx(1 / 90)
        vote = {"assignment": ballot.assignment, "choice": "left", "key": f"key-{n}"}
        cast_vote(db, session_from(db, cookie, NOW), parse_submission(vote), NOW)
    assert max(met.values()) - min(met.values()) <= 12
    assert len(met) == 3
    db.conn.close()
