"""Results that a campaign shares with its raters: once it is closed, theirs alone, and nothing about each rater."""

import pytest

from arena.web.pages import results
from db.campaigns import set_status
from db.connection import transaction
from db.entities.campaigns import CampaignSettings, CampaignStatus
from tests.events import Visit
from tests.factories import make_home
from tests.serving import running


@pytest.fixture
def web(tmp_path):
    with running(make_home(tmp_path / "home", settings=CampaignSettings(share_results=True))) as server:
        yield server


def vote(client):
    ballot = client.get("/api/next").json()["ballots"][0]
    body = {"assignment": ballot["assignment"], "choice": "left", "key": ballot["assignment"]}
    assert client.post("/api/vote", json=body).status_code == 200


def close(web, name="first"):
    web.writer.call(lambda db: set_status(db, name, CampaignStatus.CLOSED))


def test_results_are_shared_when_the_campaign_is_closed_and_show_no_rater(web):
    rater, second = web.rater(), web.rater()
    for client in (rater, second):
        vote(client)
    assert rater.get("/results/").headers["location"].startswith("/login"), (
        "nobody sees others' answers while rating"
    )
    close(web)
    assert rater.get("/results/").status_code == 200
    assert rater.get("/api/guidelines").json()["results"]
    visit = Visit(web, rater, "results")
    shown = [visit.post(event) for event in visit.triggered("load")]
    text = str(shown)
    assert "model-one" in text
    assert "rater-2" not in text and "rater-1" not in text  # noqa: PT018
    assert results.ALL not in text
    assert "tr-shared" in text
    owner = Visit(web, web.owner(), "results")
    of_owner = str([owner.post(event) for event in owner.triggered("load")])
    assert ("rater-1" in of_owner, "tr-shared" in of_owner) == (True, False)


def test_a_rater_sees_no_other_campaign_whatever_they_ask_for(web):
    def other(db):
        from arena.campaigning import clone

        with transaction(db):
            clone(db, "first", "secret")
            set_status(db, "secret", CampaignStatus.CLOSED)

    web.writer.call(other)
    rater = web.rater()
    vote(rater)
    close(web)
    for asked in ("secret", results.ALL):
        visit = Visit(web, rater, "results", {"Campaign": asked})
        answers = [visit.post(event) for event in visit.triggered("click")]
        assert all(a.error for a in answers), answers
    assert "not shared" in str(answers), (
        "the page's own choices hold all campaigns together; its handler refuses"
    )


def test_without_sharing_the_page_stays_shut(tmp_path):
    with running(make_home(tmp_path / "home")) as web:
        rater = web.rater()
        vote(rater)
        close(web)
        assert rater.get("/results/").status_code == 303
