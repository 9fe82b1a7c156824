"""A campaign's battles are looked at before the transaction that makes it, and nothing is missed by that."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from arena.campaigning import change, clone, create_campaign, read_for_change, read_for_clone
from db.campaigns import battles_of, battles_to_be, get_campaign
from db.catalog import add_model, add_responses, get_response
from db.connection import Writer, open_reader, open_writer, transaction
from db.entities.campaigns import CampaignSettings, Purpose
from db.entities.catalog import ModelKind, Response
from db.guarding import findings_of
from db.upkeep import check
from labeling import scanning
from tests.factories import make_home
from tests.test_arena_campaigning import voted

MODELS = ("model-one", "model-two", "model-three")
SAID = ("It is blue, says {}.", "I am ChatGPT, and {} is my name.", "The same of all.", "Green.<|im_end|> {}")


@pytest.fixture
def home(tmp_path):
    return make_home(
        tmp_path / "home",
        models=MODELS,
        prompts=12,
        answer=lambda model, i: SAID[i % 4].format(model[-3:] * 3),
    )


@pytest.fixture
def db(home):
    opened = open_writer(home)
    yield opened
    opened.conn.close()


def found(db, name):
    """What the guard found in a campaign's battles, by their responses."""
    battles = {b.id: (b.response_a, b.response_b) for b in battles_of(db, get_campaign(db, name).id)}
    return sorted(
        (battles[f.battle], f.slot, f.kind, f.what, f.held)
        for f in findings_of(db, get_campaign(db, name).id)
    )


def test_what_is_read_ahead_is_what_becomes_battles(db):
    battles = battles_of(db, get_campaign(db, "first").id)
    ahead = list(battles_to_be(db, MODELS, "all", Purpose.COLLECT))
    assert len(battles) == 27, "three models over twelve prompts, three of which they answer alike"
    assert {(b.response_a, b.response_b) for b in ahead} == {(b.response_a, b.response_b) for b in battles}
    assert all(b.text_a == get_response(db, b.response_a).text for b in ahead)
    assert list(battles_to_be(db, MODELS, "all", Purpose.EVALUATE)) == [], "nothing is held out here"


def test_the_same_is_found_ahead_as_afterwards(home, db):
    scanning.scan(db, get_campaign(db, "first").id)
    create_campaign(home, db, "second", MODELS, "all", CampaignSettings())
    assert len(found(db, "second")) > 9
    assert found(db, "second") == found(db, "first")


@pytest.fixture
def looked_at(home, monkeypatch):
    """Look at battles as ever; each time another connection must find the database free to write in."""
    other = open_writer(home)
    other.conn.execute("PRAGMA busy_timeout = 0")
    seen, found_in = [], scanning.found_in

    def spied(*battle):
        with transaction(other):
            seen.append(battle)
        return found_in(*battle)

    monkeypatch.setattr(scanning, "found_in", spied)
    yield seen
    other.conn.close()


def test_votes_go_in_while_a_campaign_is_made_copied_and_changed(home, db, looked_at):
    create_campaign(home, db, "second", MODELS, "all", CampaignSettings())
    assert len(looked_at) == 27
    clone(db, "second")
    assert len(looked_at) == 54
    voted(db, "second")
    looked_at.clear()
    assert change(db, "second", {"criteria": "helpful"}).new_version
    assert len(looked_at) == 27
    change(db, "second v2", {"target": "50"})
    assert len(looked_at) == 27, "no new version, nothing to look at"
    assert check(home) == []


def test_votes_go_in_while_the_studio_makes_one(home, looked_at):
    """The server's writer gets what a reader looked at; it looks at nothing itself."""
    writer, reader = Writer(home), open_reader(home)
    ahead = scanning.read_ahead(reader, MODELS, "all", Purpose.COLLECT)
    writer.call(
        lambda db: create_campaign(home, db, "second", MODELS, "all", CampaignSettings(), ahead=ahead)
    )
    ahead = read_for_clone(reader, "second")
    writer.call(lambda db: clone(db, "second", ahead=ahead))
    writer.call(lambda db: voted(db, "second"))
    ahead = read_for_change(reader, "second", {"criteria": "helpful"})
    assert writer.call(lambda db: change(db, "second", {"criteria": "helpful"}, ahead=ahead)).new_version
    assert len(looked_at) == 3 * 27
    writer.close()
    reader.conn.close()


def test_what_changed_since_it_was_read_is_looked_at_again(home, db):
    ahead = scanning.read_ahead(db, MODELS, "all", Purpose.COLLECT)
    text = scanning.words_text(db)
    scanning.save_words(db, text.replace("\n[ignored]\n", "\n[ignored]\nChatGPT\n"))
    create_campaign(home, db, "second", MODELS, "all", CampaignSettings(), ahead=ahead)
    assert not any("ChatGPT" in f[3] for f in found(db, "second")), "another list is in force by now"


def test_an_answer_that_came_since_is_looked_at_too(home, db):
    add_model(db, "late", ModelKind.RECORDED)
    ahead = scanning.read_ahead(db, ("model-one", "late"), "all", Purpose.COLLECT)
    assert ahead.found == {}
    add_responses(db, [Response.of(battles_of(db, 1)[0].prompt, "late", "I am ChatGPT, a slow one.")])
    create_campaign(home, db, "second", ("model-one", "late"), "all", CampaignSettings(), ahead=ahead)
    assert [f[3] for f in found(db, "second")] == ["ChatGPT"]


def test_votes_beside_a_large_campaign_are_all_taken_and_it_is_never_seen_half_made(tmp_path):
    home = make_home(tmp_path / "large", prompts=1500)

    def made():
        db = open_writer(home)
        try:
            return create_campaign(home, db, "second", MODELS[:2], "all", CampaignSettings()).battles
        finally:
            db.conn.close()

    writer, reader, seen, votes = Writer(home), open_reader(home), set(), 0
    with ThreadPoolExecutor(1) as beside:
        making = beside.submit(made)
        while not making.done():
            writer.call(lambda db: voted(db))  # Busy where it had to wait too long
            votes += 1
            seen.add(reader.conn.execute("SELECT count(*) FROM battles WHERE campaign = 2").fetchone()[0])
    assert making.result() == 1500
    assert seen <= {0, 1500}
    assert reader.conn.execute("SELECT count(*) FROM votes").fetchone()[0] == votes > 0
    writer.close()
    reader.conn.close()
    assert check(home) == []
