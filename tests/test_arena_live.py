"""Live sessions over HTTP: two stand-in servers answer a rater's own prompt, and nothing tells the two apart."""

import contextlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from arena.web.failing import QUIET, Failing, Failures
from arena.web.pages.studio.live import Looks, live_view
from db.assignments import get_assignment
from db.campaigns import create_campaign, get_battle
from db.catalog import add_model, get_prompt, get_response, responses_of
from db.connection import home_at, open_writer
from db.entities.campaigns import CampaignSettings, Guard, Purpose
from db.entities.catalog import ModelKind, split_of
from db.errors import UserError
from db.guarding import mark_scanned
from db.notices import NoticeKind, list_notices
from labeling import campaign_settings
from labeling.live_battles import ALIKE, GUARDED, USED_UP
from tests.factories import NOW
from tests.serving import Running, running
from tests.standin import StandIn, completion, standing_in
from tests.workshop import wait_for

LIVE = CampaignSettings(live=True, live_limit=5)
QUICK, SLOW = "A short reply.", "Another reply, which took its time."


class Arena(NamedTuple):
    """A served home whose campaign `first` is live between the models `quick` and `slow`."""

    web: Running
    quick: StandIn
    slow: StandIn


@contextlib.contextmanager
def arena(folder: Path, settings: CampaignSettings = LIVE, third: str | None = None) -> Iterator[Arena]:
    with standing_in() as quick, standing_in() as slow:
        quick.body, slow.body = completion(QUICK), completion(SLOW)
        home = home_at(folder)
        db = open_writer(home)
        names = ["quick", "slow"]
        for name, server in (("quick", quick), ("slow", slow)):
            add_model(db, name, ModelKind.ENDPOINT, endpoint=server.url, remote_name=name)
        if third:
            add_model(db, "third", ModelKind.ENDPOINT, endpoint=third, remote_name="third")
            names.append("third")
        mark_scanned(db, create_campaign(db, "first", names, "all", settings).campaign.id)
        db.conn.close()
        with running(home) as web:
            yield Arena(web, quick, slow)


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Arena]:
    """An arena in which nothing has happened."""
    with arena(tmp_path / "home") as made:
        yield made


@pytest.fixture(scope="module")
def _lasting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    with arena(tmp_path_factory.mktemp("live") / "home") as made:
        yield made


@pytest.fixture
def live(_lasting: Arena) -> Arena:
    """The arena of this file, whose models have been asked nothing yet and answer as they do at first."""
    for model, text in ((_lasting.quick, QUICK), (_lasting.slow, SLOW)):
        model.hold().set()
        model.seen.clear()
        model.statuses, model.body = [], completion(text)
    return _lasting


def ask(rater: httpx.Client, message: str = "What is a quokka?", *, after: bool = False) -> None:
    answer = rater.post("/api/live", json={"message": message, "after": after})
    assert (answer.status_code, answer.json()) == (200, {"state": "writing"})


def looks(rater: httpx.Client, until: float = 20.0) -> list[httpx.Response]:
    """Every answer to GET /api/live until the state is no longer `writing`."""
    seen: list[httpx.Response] = []
    end = time.monotonic() + until
    while time.monotonic() < end:
        seen.append(rater.get("/api/live"))
        assert seen[-1].status_code == 200, seen[-1].text
        if seen[-1].json()["live"]["state"] != "writing":
            return seen
        time.sleep(0.02)
    raise AssertionError("the answers never came")


def ballot(rater: httpx.Client) -> dict[str, Any]:
    found: dict[str, Any] = looks(rater)[-1].json()["ballots"][0]
    return found


def vote(rater: httpx.Client, assignment: str, choice: str = "left", key: str = "k") -> dict[str, Any]:
    answer = rater.post("/api/vote", json={"assignment": assignment, "choice": choice, "key": key})
    assert answer.status_code == 200, answer.text
    said: dict[str, Any] = answer.json()
    return said


def test_a_rater_asks_two_models_answer_and_the_vote_is_one_like_any_other(live: Arena) -> None:
    rater = live.web.rater()
    assert rater.get("/api/live").json()["live"] == {"state": "open", "talk": [], "note": ""}
    ask(rater)
    shown = ballot(rater)
    assert set(shown) == {"assignment", "prompt", "left", "right", "criteria"}
    assert shown["prompt"][0]["content"] == "What is a quokka?"
    assert {shown["left"]["text"], shown["right"]["text"]} == {QUICK, SLOW}
    assert rater.get("/api/next").json()["ballots"] == [shown], "the rating page shows the same ballot"
    vote(rater, shown["assignment"])
    db = live.web.app.state.web.context.readers.get()
    made = get_assignment(db, shown["assignment"])
    assert made is not None
    battle = get_battle(db, made.battle)
    assert (battle.model_a, battle.model_b) == ("quick", "slow")
    assert (made.chance, made.among) == (1.0, 1)
    prompt = get_prompt(db, battle.prompt)
    assert (prompt.tags, prompt.split) == (("live",), split_of(prompt.id))
    stored = get_response(db, battle.response_a)
    assert stored.finish_reason == "stop"
    assert stored.settings is not None
    assert {"temperature", "top_p", "max_new_tokens", "seed", "system", "tokens"} <= set(stored.settings)


def test_what_a_browser_receives_does_not_tell_a_fast_model_from_a_slow_one(live: Arena) -> None:
    for n in range(5):
        held = live.slow.hold()
        rater = live.web.rater()
        ask(rater, f"Question number {n}")
        wait_for(lambda n=n: len(live.quick.seen) == len(live.slow.seen) == n + 1)
        waits = [rater.get("/api/live") for _ in range(4)]
        assert {w.json()["live"]["state"] for w in waits} == {"writing"}, "the fast answer is held back"
        held.set()
        last = looks(rater)[-1]
        assert len({w.content for w in waits}) == 1, "no reply says that one side is done"
        assert {w.headers["content-length"] for w in waits} == {str(len(waits[0].content))}
        text = last.text + json.dumps(dict(last.headers))
        for word in (
            "quick",
            "slow",
            "seconds",
            "latency",
            "tokens",
            "finish",
            "stop",
            "model",
            "127.0.0.1:" + str(live.slow.server_port),
        ):
            assert word not in text.replace("took its time", ""), word
        [shown] = last.json()["ballots"]
        assert set(shown["left"]) == set(shown["right"]) == {"text", "html"}
        for path in (f"/api/guidelines?assignment={shown['assignment']}", "/api/next"):
            assert "quick" not in rater.get(path).text
    assert len(live.quick.seen) == len(live.slow.seen) == 5, "each was asked once"


def test_sides_are_drawn_anew_for_every_battle(live: Arena) -> None:
    lefts = set()
    for n in range(24):
        rater = live.web.rater()
        ask(rater, f"Question {n}")
        lefts.add(ballot(rater)["left"]["text"])
        if len(lefts) == 2:
            return
    raise AssertionError("the same model stood on the left 24 times")


def test_only_the_side_that_failed_is_tried_again(live: Arena) -> None:
    rater = live.web.rater()
    live.slow.statuses = [500, 500]
    ask(rater)
    failed = looks(rater)[-1].json()
    assert (failed["live"]["state"], failed["ballots"]) == ("failed", [])
    assert "slow" not in json.dumps(failed)
    assert rater.post("/api/live/again", json={}).json() == {"state": "writing"}
    assert ballot(rater)["prompt"][0]["content"] == "What is a quokka?"
    assert (len(live.quick.seen), len(live.slow.seen)) == (1, 3)


def test_the_owner_is_told_which_model_failed_and_why_the_rater_is_not(fresh: Arena) -> None:
    context = fresh.web.app.state.web.context
    raters = [fresh.web.rater(), fresh.web.rater()]
    fresh.slow.statuses = [500] * 4
    for n, rater in enumerate(raters):
        ask(rater, f"Question {n}")
        told = looks(rater)[-1].text + rater.get("/api/next").text
        assert "slow" not in told
        assert "500" not in told
    [notice] = list_notices(context.readers.get())  # not one for each rater
    assert (notice.kind, notice.campaign) == (NoticeKind.ALARM, "first")
    assert notice.text.startswith("first: slow did not answer a rater of the live session, at 2 tries: ")
    assert "answered 500" in notice.text
    shown = live_view(context, Looks(context), "first")
    assert "slow does not answer raters&#39; prompts: 2 times since" in shown
    assert "answered 500" in shown
    assert raters[0].post("/api/live/again", json={}).json() == {"state": "writing"}
    ballot(raters[0])
    assert "does not answer" not in live_view(context, Looks(context), "first"), "it answers again"


def test_a_model_that_fails_again_after_a_quiet_while_is_told_of_anew() -> None:
    failures = Failures()
    assert failures.failed(1, "far", "broken", NOW)
    assert not failures.failed(1, "far", "slow", NOW + QUIET / 2)
    assert failures.of(1) == [Failing("far", "slow", 2, NOW, NOW + QUIET / 2)]
    failures.answered(1, "far")
    assert failures.of(1) == failures.of(2) == []
    assert not failures.failed(1, "far", "broken", NOW + QUIET)
    assert failures.failed(1, "far", "broken", NOW + 2 * QUIET)
    assert failures.failed(2, "far", "broken", NOW + 2 * QUIET), "another campaign is told apart"


def test_one_failure_is_mended_before_the_rater_hears_of_it(live: Arena) -> None:
    rater = live.web.rater()
    live.quick.statuses = [503]
    ask(rater)
    assert ballot(rater)
    assert (len(live.quick.seen), len(live.slow.seen)) == (2, 1)


def test_a_message_that_nobody_answers_is_given_up_and_costs_nothing(live: Arena) -> None:
    rater = live.web.rater()
    live.slow.statuses = [400, 400]
    ask(rater)
    assert rater.post("/api/live", json={"message": "more"}).status_code == 409
    looks(rater)
    assert rater.post("/api/live/back", json={}).json() == {"state": "open"}
    after = rater.get("/api/live").json()
    assert after["progress"]["done"] == 0
    assert after["live"]["note"].startswith("The answers did not come")
    assert rater.post("/api/live/back", json={}).status_code == 409
    ask(rater, "Once more?")
    assert ballot(rater)


def test_a_slow_model_keeps_nobody_else_waiting(tmp_path: Path) -> None:
    """Three models, one of them stuck: whoever drew the other two is served at once, and every page answers."""
    with standing_in() as third:
        third.body = completion("A third way to put it.")
        with arena(tmp_path / "home", CampaignSettings(live=True), third=third.url) as live:
            held = live.slow.hold()
            raters = [live.web.rater() for _ in range(12)]
            for n, rater in enumerate(raters):
                ask(rater, f"Question {n}")
            db = live.web.app.state.web.context.readers.get()
            turns = "SELECT ended IS NOT NULL FROM live_turns WHERE {} (SELECT id FROM models WHERE name = 'slow') IN (model_a, model_b)"
            others, stuck = turns.format("NOT"), turns.format("")
            wait_for(
                lambda: all(r[0] for r in db.execute(others).fetchall())
            )  # not on a model they did not draw
            assert len(db.execute(others).fetchall()) + len(db.execute(stuck).fetchall()) == 12
            assert not any(r[0] for r in db.execute(stuck).fetchall())
            assert {r.get("/api/live").json()["live"]["state"] for r in raters} == {"ballot", "writing"}
            held.set()


def test_a_talk_goes_on_from_the_answer_that_was_chosen(live: Arena) -> None:
    rater = live.web.rater()
    ask(rater)
    first = ballot(rater)
    vote(rater, first["assignment"], "right")
    where = rater.get("/api/live").json()["live"]
    assert [m["role"] for m in where["talk"]] == ["user", "assistant"]
    assert where["talk"][1]["content"] == first["right"]["text"]
    ask(rater, "Tell me more.", after=True)
    second = ballot(rater)
    assert [m["content"] for m in second["prompt"]] == [
        "What is a quokka?", first["right"]["text"], "Tell me more.",
    ]  # fmt: skip
    assert live.quick.seen[-1]["messages"] == live.slow.seen[-1]["messages"]
    vote(rater, second["assignment"], "skip", "k2")
    assert rater.get("/api/live").json()["live"]["talk"] == []
    ask(rater, "Something new.", after=True)
    assert len(ballot(rater)["prompt"]) == 1


def test_an_undone_vote_brings_its_ballot_back(live: Arena) -> None:
    rater = live.web.rater()
    ask(rater)
    shown = ballot(rater)
    vote(rater, shown["assignment"])
    again = rater.post("/api/undo", json={"assignment": shown["assignment"]}).json()["assignment"]
    assert ballot(rater)["assignment"] == again


def test_answers_that_leave_nothing_to_compare_are_no_ballot(fresh: Arena) -> None:
    rater = fresh.web.rater()
    for body in (fresh.quick.body, completion("  ")):
        fresh.slow.body = body
        ask(rater)
        last = looks(rater)[-1].json()
        assert (last["ballots"], last["live"]["note"]) == ([], ALIKE)
    assert last["progress"]["done"] == 2
    db = fresh.web.app.state.web.context.readers.get()
    assert db.execute("SELECT count(*) FROM prompts").fetchone()[0] == 0, (
        "words that no battle holds could not be taken back"
    )


def test_an_answer_that_names_its_model_is_held_or_covered(tmp_path: Path) -> None:
    named = completion("I am ChatGPT, made by OpenAI, and a quokka is a small marsupial.")
    with arena(tmp_path / "held") as live:
        live.slow.body = named
        rater = live.web.rater()
        ask(rater)
        last = looks(rater)[-1].json()
        assert (last["ballots"], last["live"]["note"]) == ([], GUARDED)
        assert rater.get("/api/next").json()["ballots"] == []
    with arena(tmp_path / "covered", CampaignSettings(live=True, guard=Guard.REDACT)) as live:
        live.slow.body = named
        rater = live.web.rater()
        ask(rater)
        shown = ballot(rater)
        side = "left" if "[hidden]" in shown["left"]["text"] else "right"
        assert "ChatGPT" not in json.dumps(shown)
        vote(rater, shown["assignment"], side)
        ask(rater, "And who are they?", after=True)
        assert "ChatGPT" not in json.dumps(looks(rater)[-1].json())
        assert "ChatGPT" not in json.dumps(live.quick.seen[-1])


def test_limits_and_reveal(tmp_path: Path) -> None:
    with arena(tmp_path / "home", CampaignSettings(live=True, live_limit=1, reveal="each")) as live:
        rater = live.web.rater()
        ask(rater)
        shown = ballot(rater)
        said = vote(rater, shown["assignment"])
        assert set(said["reveal"].values()) == {"quick", "slow"}
        where = rater.get("/api/live").json()
        assert (where["live"]["state"], where["live"]["note"]) == ("over", USED_UP)
        refused = rater.post("/api/live", json={"message": "more"})
        assert (refused.status_code, refused.json()["error"]) == (403, USED_UP.rstrip("."))


@pytest.mark.parametrize(
    ("body", "field"),
    [({}, "message"), ({"message": "  "}, "message"), ({"message": "x" * 8001}, "message"),
     ({"message": "x", "after": "yes"}, "after"), ({"message": 5}, "message")],
)  # fmt: skip
def test_what_is_no_message_is_refused_by_its_field(live: Arena, body: dict[str, Any], field: str) -> None:
    answer = live.web.rater().post("/api/live", json=body)
    assert (answer.status_code, answer.json()["field"]) == (422, field)


def test_where_it_is_not_allowed_there_is_nothing(tmp_path: Path) -> None:
    with arena(tmp_path / "home", CampaignSettings()) as live:
        rater = live.web.rater()
        assert rater.get("/live/").status_code == 303
        assert rater.get("/api/live").status_code == 403
        assert rater.post("/api/live", json={"message": "hi"}).status_code == 403
        assert rater.get("/api/guidelines").json()["live"] is False
        live.web.writer.call(lambda db: db.execute("UPDATE campaigns SET live = 1"))
        assert rater.get("/live/").status_code == 200
        assert live.web.client().get("/api/live").status_code == 401
        assert rater.get("/api/guidelines").json()["live"] is True


def test_answers_that_were_on_the_way_when_the_server_stopped_are_written_anew(tmp_path: Path) -> None:
    with arena(tmp_path / "home") as live:
        held = live.slow.hold()
        rater = live.web.rater()
        ask(rater)
        wait_for(lambda: len(live.slow.seen) == 1)
        token = rater.cookies["tastebench"]
        with running(live.web.home) as second:
            other = second.client()
            other.cookies.set("tastebench", token)
            live.slow.hold().set()
            assert ballot(other)["prompt"][0]["content"] == "What is a quokka?"
        held.set()
        looks(rater)
        db = live.web.app.state.web.context.readers.get()
        assert db.execute("SELECT count(*) FROM battles").fetchone()[0] == 1


def test_a_rater_who_withdraws_takes_their_words_along(fresh: Arena) -> None:
    rater = fresh.web.rater()
    ask(rater, "My name is Ada, who am I?")
    vote(rater, ballot(rater)["assignment"])
    assert rater.post("/api/forget", json={}).status_code == 200
    db = fresh.web.app.state.web.context.readers.get()
    assert db.execute("SELECT messages, text FROM prompts").fetchall() == [("[]", "")]
    assert db.execute("SELECT messages FROM live_turns").fetchall() == [("[]",)]
    assert db.execute("SELECT count(*) FROM prompts_fts WHERE prompts_fts MATCH 'Ada'").fetchone()[0] == 0
    assert len(list(responses_of(db, "quick"))) == 0  # of prompts without a text nothing is listed


def test_answers_that_come_after_a_rater_withdrew_are_not_kept(fresh: Arena) -> None:
    held = fresh.slow.hold()
    rater, other = fresh.web.rater(), fresh.web.rater()
    ask(rater, "My name is Ada, who am I?")
    wait_for(lambda: len(fresh.slow.seen) == 1)
    assert rater.post("/api/forget", json={}).status_code == 200
    held.set()
    ask(other, "What is a quokka?")
    looks(other)
    db = fresh.web.app.state.web.context.readers.get()
    asked = [json.loads(r[0]) for r in db.execute("SELECT messages FROM prompts").fetchall()]
    assert asked == [[{"role": "user", "content": "What is a quokka?"}]]
    assert db.execute("SELECT count(*) FROM responses").fetchone()[0] == 2
    assert db.execute("SELECT messages, ended FROM live_turns ORDER BY asked_at").fetchone() == (
        "[]",
        "given_up",
    )


def test_an_evaluation_takes_no_prompts_of_raters() -> None:
    with pytest.raises(UserError, match="held-out prompts only"):
        campaign_settings.changed(CampaignSettings(purpose=Purpose.EVALUATE), {"live": "yes"})
    with pytest.raises(UserError, match="live_limit"):
        campaign_settings.changed(CampaignSettings(), {"live_limit": "0"})


@pytest.mark.slow
def test_models_of_this_machine_answer_from_their_own_processes(tmp_path: Path) -> None:
    from tests.workshop import trainable_home

    home = trainable_home(tmp_path / "home")
    db = open_writer(home)
    db.execute("UPDATE campaigns SET live = 1")
    db.conn.commit()
    db.conn.close()
    with running(home) as web:
        rater = web.rater()
        for n in range(6):  # models this small may both answer with nothing, which is told, and no ballot
            ask(rater, f"What is a quokka, number {n}?")
            last = looks(rater, until=150.0)[-1].json()["live"]
            if last["state"] == "ballot":
                break
            assert (last["state"], last["note"]) == ("open", ALIKE)
        assert last["state"] == "ballot"
        db = web.app.state.web.context.readers.get()
        made = [
            get_response(db, r[0])
            for r in db.execute("SELECT id FROM responses ORDER BY number DESC LIMIT 2")
        ]
        assert {r.model for r in made} == {"one", "two"}
        assert {(r.settings or {})["max_new_tokens"] for r in made} == {8}
        assert len({(r.settings or {})["seed"] for r in made}) == 1
