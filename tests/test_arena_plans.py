"""A plan from what a home knows: how long votes take, how alike they are, what the campaign asks for."""

from dataclasses import replace
from datetime import timedelta

import pytest

from arena import planning
from arena.alike import ALIKE_PROMPT, ALIKE_RATER, alike
from arena.planning import Wish
from arena.plans import ground, plan
from db.campaigns import get_campaign
from db.entities.campaigns import CampaignSettings
from db.votes import counted_votes
from tests.factories import NOW, make_home
from tests.test_labeling_live import Person
from tests.votes_by_hand import by_prompt, by_rater
from tests.workshop import refused, run

WORDS = " ".join(["word"] * 119)


@pytest.fixture
def home(tmp_path):
    return make_home(tmp_path / "home", prompts=200, settings=CampaignSettings(guidelines="two words"),
                     answer=lambda model, i: f"{WORDS} {model[-1]}{i}")  # fmt: skip


def test_without_votes_reading_speed_tells_how_long_one_takes(db, home):
    known = ground(db, get_campaign(db, "first"))
    assert known.seconds == pytest.approx(5 + 60 * 242 / 240)
    assert "242 words at 240 a minute" in known.seconds_from
    assert (known.prompts, known.pairs, known.wanted, known.briefing_words) == (200, 1, 200, 2)
    assert known.alike == (ALIKE_RATER, ALIKE_PROMPT)
    assert "as on MT-Bench" in known.alike_from


def test_from_twenty_votes_on_their_median_does(db, home):
    person = Person(db)
    for i in range(25):
        person.vote(NOW + timedelta(minutes=i), "left" if i % 3 else "tie")
    known = ground(db, get_campaign(db, "first"))
    assert known.seconds == 9.0
    assert known.seconds_from == "here so far (median)"
    run(home, "campaign", "create", "second", "--models", "model-one,model-two", "--prompts", "all")
    other = ground(db, get_campaign(db, "second"))
    assert (other.seconds, other.seconds_from) == (9.0, "in this home so far (median)")


def test_simulated_raters_do_not_tell_how_people_vote(db, home):
    person = Person(db)
    for i in range(25):
        person.vote(NOW + timedelta(minutes=i))
    db.conn.execute("UPDATE raters SET kind = 'simulated'")
    known = ground(db, get_campaign(db, "first"))
    assert known.seconds > 60
    assert known.ties == 0.0
    assert known.votes == 25


def test_ties_and_likeness_come_from_enough_votes_of_people(db, home):
    people = [Person(db) for _ in range(12)]
    for i in range(180):
        people[i % 12].vote(NOW + timedelta(seconds=i), "tie" if i % 4 == 0 else "left")
    known = ground(db, get_campaign(db, "first"))
    assert known.ties == pytest.approx(0.25)
    assert known.alike.rater != ALIKE_RATER
    assert known.alike.prompt == ALIKE_PROMPT, "with an overlap of 1 no two votes share a prompt"
    assert "one person gave them (as the votes so far show)" in known.alike_from
    assert "on one prompt (as on MT-Bench" in known.alike_from


def test_a_plan_from_counts_is_the_plan_from_every_vote(db, home):
    people = [Person(db) for _ in range(12)]
    for i in range(180):
        people[i % 12].vote(NOW + timedelta(seconds=i), "tie" if i % 4 == 0 else "left" if i % 5 else "right")
    known, every = (
        ground(db, get_campaign(db, "first")),
        list(counted_votes(db, get_campaign(db, "first").id)),
    )
    assert known.ties == sum(not v.outcome.decisive for v in every) / len(every)
    seen = alike(by_rater(every), by_prompt(every))
    assert known.alike.rater == pytest.approx(seen.rater, rel=1e-12)
    plainly = replace(known, alike=known.alike._replace(rater=seen.rater))
    assert plan(db, "first", Wish(people=40)) == planning.plan(Wish(people=40), plainly)


def test_the_terminal_plans(db, home):
    made = run(home, "campaign", "plan", "first", "--people", 40, "--pay", 12, "--fee", 0.33, "--json").json
    wish = Wish(people=40, pay=12, fee=0.33)
    expected = plan(db, "first", wish)
    assert (made["votes"], made["cost"], made["sentence"]) == (
        expected.votes,
        expected.cost,
        expected.sentence,
    )
    plain = run(home, "campaign", "plan", "first", "--people", 40, "--pay", 12, "--fee", 0.33).out
    assert plain.splitlines()[0] == made["sentence"]
    assert "cannot be planned for" in refused(run(home, "campaign", "plan", "first", "--difference", 0.9))
    assert "there is no campaign" in refused(run(home, "campaign", "plan", "other"))
