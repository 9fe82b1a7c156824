"""/metrics: who may read it, that its numbers are the home's, that it names nobody; request ids, and the log's lines."""

import logging
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from fastapi import Request, Response
from prometheus_client.parser import text_string_to_metric_families

from arena.web.logs import Plain
from arena.web.metrics import Metrics
from arena.web.request_log import LOG, request_id, route_of
from db.entities.runs import JobStatus
from db.metering import measured
from db.runs import add_job
from tests.factories import make_home
from tests.serving import Running, running

TOKEN = "a-scraper-of-figures-1234567890"


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    home = make_home(tmp_path_factory.mktemp("metrics") / "home", models=("canary-one", "canary-two"))
    with running(home, metrics_token=TOKEN) as served:
        yield served


def samples(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    families = text_string_to_metric_families(text)
    return {(s.name, frozenset(s.labels.items())): s.value for f in families for s in f.samples}


def read(web: Running, **headers: str) -> httpx.Response:
    return web.client(**headers).get("/metrics")


def vote(rater: httpx.Client, choice: str = "left") -> httpx.Response:
    ballot = rater.get("/api/next").json()["ballots"][0]["assignment"]
    return rater.post("/api/vote", json={"assignment": ballot, "choice": choice, "key": ballot})


def test_only_owners_and_the_scraper_read_it(web: Running) -> None:
    assert read(web).status_code == 401
    assert web.rater().get("/metrics").status_code == 401
    assert web.owner().get("/metrics").status_code == 200
    assert read(web, authorization=f"Bearer {TOKEN}").status_code == 200
    assert read(web, authorization=f"Basic {TOKEN}").status_code == 401


@pytest.mark.parametrize("brought", ["Bearer ", "Bearer None", "bearer", "", "Bearer x"])
def test_without_a_token_set_no_bearer_opens_it(web: Running, brought: str) -> None:
    context = web.app.state.web.context
    for unset in (None, ""):
        assert not Metrics(context.readers, context.writer, unset).opens_for(brought)


def test_guesses_of_the_token_are_slowed_down(tmp_path: Path) -> None:
    with running(make_home(tmp_path / "home"), metrics_token=TOKEN) as served:
        owner = served.owner()
        answers = [read(served, authorization=f"Bearer wrong{i}").status_code for i in range(12)]
        assert answers == [401] * 10 + [429] * 2
        assert read(served, authorization=f"Bearer {TOKEN}").status_code == 429
        assert owner.get("/metrics").status_code == 200


def test_the_numbers_are_the_homes(web: Running) -> None:
    before = samples(read(web, authorization=f"Bearer {TOKEN}").text)
    rater = web.rater()
    assert vote(rater).status_code == 200
    assert vote(rater, "skip").status_code == 200
    web.writer.call(lambda db: add_job(db, ["train", "dpo"]))
    after = samples(read(web, authorization=f"Bearer {TOKEN}").text)
    none: frozenset[tuple[str, str]] = frozenset()
    assert after["tastebench_votes_stored_total", none] == before["tastebench_votes_stored_total", none] + 2
    assert after["tastebench_votes_counted", none] == before["tastebench_votes_counted", none] + 1
    share = after["tastebench_votes_counted", none] / after["tastebench_votes_stored_total", none]
    assert after["tastebench_votes_counted_share", none] == pytest.approx(share)
    assert {
        s: after["tastebench_jobs", frozenset({("status", str(s))})] for s in JobStatus
    } == web.writer.call(lambda db: measured(db).jobs)
    asked = frozenset({("route", "/api/vote"), ("method", "POST"), ("answer", "2xx")})
    assert after["tastebench_request_seconds_count", asked] >= 2
    assert after["tastebench_writer_queue", none] >= 0


def test_it_names_no_model_rater_or_token(web: Running) -> None:
    link = web.link()
    web.client().get(link)
    web.client().get("/a-path-of-my-own")
    web.client().request("BREW", "/studio/")
    text = read(web, authorization=f"Bearer {TOKEN}").text
    for canary in (
        "canary",
        "first",
        link.rpartition("/")[2],
        "rater-",
        "127.0.0.1",
        "a-path-of-my-own",
        "BREW",
    ):
        assert canary not in text, canary


def test_every_answer_has_an_id_of_its_own(web: Running) -> None:
    client = web.client()
    answers = [client.get(path) for path in ("/healthz", "/healthz", "/nowhere", "/login/", "/metrics")]
    ids = [a.headers["x-request-id"] for a in answers]
    assert len(set(ids)) == 5
    assert all(re.fullmatch("[0-9a-f]{16}", one) for one in ids)
    mine = client.get("/healthz", headers={"x-request-id": "made-up"}).headers["x-request-id"]
    assert mine != "made-up"


def test_a_failure_of_ours_names_its_number(web: Running, caplog: pytest.LogCaptureFixture) -> None:
    def broken(_request: Request) -> Response:
        raise RuntimeError("a bug")

    web.app.add_route("/robots.txt", broken)
    web.app.router.routes.insert(0, web.app.router.routes.pop())
    try:
        with caplog.at_level(logging.WARNING, "tastebench.requests"):
            answer = web.client().get("/robots.txt")
    finally:
        web.app.router.routes.pop(0)
    assert answer.status_code == 500
    number = answer.headers["x-request-id"]
    assert number in answer.json()["remedy"]
    assert any("/robots.txt 500" in r.getMessage() for r in caplog.records)


def test_a_line_of_the_log_is_readable_and_holds_no_secret() -> None:
    secret = "s3cretS3cretS3cretS3cretS3cret00"
    set_before = request_id.set("0123456789abcdef")
    try:
        record = LOG.makeRecord(
            "tastebench.requests", logging.WARNING, "f", 1,
            "GET /join/%s?token=%s cookie tastebench=%s tastebench-owner=%s Authorization: Bearer %s", (secret,) * 5, None,
        )  # fmt: skip
        line = Plain().format(record)
    finally:
        request_id.reset(set_before)
    assert re.match(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z warning 0123456789abcdef tastebench.requests: GET /join/",
        line,
    )
    assert secret not in line
    assert line.count("(secret)") == 5


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/api/vote", "/api/vote"), ("/join/abcdef", "/join"), ("/studio/", "/studio"), ("/rate/assets/a.js", "static"),
        ("/studio/gradio_api/queue/data", "/studio/events"), ("/studio/config", "other"), ("/%2e%2e/x", "other"),
        ("//", "other"), ("/metrics", "/metrics"),
    ],
)  # fmt: skip
def test_routes_have_few_names(path: str, said: str) -> None:
    assert route_of(path, "GET" if path != "/api/vote" else "POST") == said
    assert route_of(f"/prefix{path}", "GET" if path != "/api/vote" else "POST", "/prefix") == said
