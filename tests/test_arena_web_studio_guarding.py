"""The guard's panel of the studio: what was found, marked; release, hold, scan and the list."""

import contextlib

import pytest

from arena.web import chrome
from arena.web.context import Context
from arena.web.pages.studio import campaigns, guarding
from db.audit import recent
from db.campaigns import set_status
from db.connection import Readers, Writer, open_writer
from db.entities.campaigns import CampaignSettings, CampaignStatus, Guard
from db.errors import UserError
from db.upkeep import check
from labeling import scanning
from tests.factories import make_home

LEAK, CLEAN = 1, 3


def answer(model, i):
    if model == "model-one":
        return ("<b>Hm</b>, I am ChatGPT, and it is blue.", "### Response: It is green.", "It is dark.")[i]
    return ("It is bluish.", "It is greenish.", "It is bright.")[i]


@pytest.fixture
def studio(tmp_path):
    """A home of three battles, two of them with a finding, under the rule to hold."""
    home = make_home(tmp_path / "home", prompts=3, answer=answer, settings=CampaignSettings(guard=Guard.HOLD))
    with contextlib.closing(open_writer(home).conn) as conn:
        from sqlite_utils import Database

        scanning.scan(Database(conn), 1)
    context = Context(home, Readers(home), Writer(home), chrome.theme())
    yield context
    context.writer.close()


def test_findings_are_shown_with_the_words_marked_and_no_model_named(studio):
    view = guarding.guard_view(studio, "first")
    assert "<mark>ChatGPT</mark>" in view
    assert "<mark>### Response:</mark>" in view
    assert "Held: 2 battles." in view
    assert "&lt;b&gt;Hm" in view
    assert "<b>Hm" not in view
    assert "model-one" not in view
    assert "rule of this campaign: hold" in view.lower()


def test_without_a_campaign_it_says_what_to_do(studio):
    assert "Choose a campaign" in guarding.guard_view(studio, None)
    with pytest.raises(UserError, match="no campaign is chosen"):
        guarding.decide(studio, None, "1", "", held=True)


def test_a_battle_is_released_and_another_held(studio):
    assert "1 finding dismissed" in guarding.decide(
        studio, "first", "1: names its model or maker (held)", "a quotation", held=False
    )
    assert "is held" in guarding.decide(studio, "first", str(CLEAN), "off topic", held=True)
    view = guarding.guard_view(studio, "first")
    assert "off topic" in view
    assert "released" in view
    acts = recent(studio.readers.get())
    assert [(a.who, a.what) for a in acts] == [
        ("owner", f"held battle {CLEAN}: off topic"),
        ("owner", f"released battle {LEAK}: a quotation"),
    ]
    with pytest.raises(UserError, match="not the number of a battle"):
        guarding.decide(studio, "first", "the first", "", held=False)


def test_the_list_is_kept_and_the_battles_can_be_scanned_with_it(studio):
    text = scanning.words_text(studio.readers.get())
    said = guarding.save_words(studio, text.replace("\n[ignored]\n", "\n[ignored]\nChatGPT\n"))
    assert "names and" in said
    assert "looked at again" in guarding.scan(studio, "first")
    assert "ChatGPT" not in guarding.guard_view(studio, "first")
    with pytest.raises(UserError, match="before any"):
        guarding.save_words(studio, "just a word")
    guarding.save_words(studio, "")
    assert scanning.words_text(studio.readers.get()) == text


def test_a_campaign_that_nobody_looked_at_is_looked_at_beside_the_server_before_it_opens(studio):
    studio.writer.call(lambda db: set_status(db, "first", CampaignStatus.DRAFT))
    studio.writer.call(lambda db: db.conn.execute("DELETE FROM battle_findings"))
    studio.writer.call(lambda db: db.conn.execute("UPDATE campaigns SET scanned_at = NULL"))
    assert campaigns.change_status(studio, "first", CampaignStatus.OPEN) == "first is open."
    assert "Held: 2 battles." in guarding.guard_view(studio, "first")
    assert "ran: python launch.py campaign guard first --scan" in [
        a.what for a in recent(studio.readers.get())
    ]
    assert check(studio.home) == []


def test_the_battles_to_choose_from_say_what_they_are(studio):
    made = guarding.battles(studio, "first")
    assert [c[0] for c in made.choices] == [
        "1: names its model or maker (held)",
        "2: chat template remains (held)",
    ]
