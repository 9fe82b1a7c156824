"""The endpoint player against a real socket that answers as OpenAI-compatible servers do, well and badly."""

import os
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from arena.players import GenerationSettings, Unfinished
from arena.players.endpoint import EndpointPlayer
from arena.players.limits import LONGEST_WAIT, Limits, Meter, asked_to_wait, key_for, limits_from
from db.errors import UserError
from tests.standin import completion, standing_in

SETTINGS = GenerationSettings(temperature=0.3, top_p=0.9, max_new_tokens=17, seed=5)


@pytest.fixture(autouse=True)
def clean(monkeypatch):
    for name in list(os.environ):
        if name.startswith(("TASTEBENCH_API_KEY", "TASTEBENCH_ENDPOINT_", "OPENAI_API_KEY")):
            monkeypatch.delenv(name)


def user(text):
    return [{"role": "user", "content": text}]


def test_every_prompt_gets_its_own_answer_in_order(server):
    player = EndpointPlayer(server.url, "m")
    answers = player.respond([user(f"word {i}") for i in range(20)], SETTINGS)
    assert [a.text for a in answers] == [f"You said word {i}" for i in range(20)]
    assert {a.finish_reason for a in answers} == {"stop"}
    assert {a.tokens for a in answers} == {4}


def test_the_request_carries_the_model_and_all_settings(server):
    EndpointPlayer(server.url + "/", "org/model").respond([user("hi")], SETTINGS)
    assert server.seen == [{
        "model": "org/model", "messages": user("hi"), "temperature": 0.3, "top_p": 0.9, "max_tokens": 17, "seed": 5,
    }]  # fmt: skip


def test_a_system_prompt_goes_first_and_does_not_replace_one_that_is_there(server):
    player = EndpointPlayer(server.url, "m")
    settings = GenerationSettings(system="Be brief.")
    own = [{"role": "system", "content": "Mine."}, *user("hi")]
    player.respond([user("hi")], settings)
    player.respond([own], settings)
    assert [s["messages"][0]["content"] for s in server.seen] == ["Be brief.", "Mine."]
    assert [len(s["messages"]) for s in server.seen] == [2, 2]


def test_a_busy_server_is_asked_again(server):
    waits = []
    server.statuses = [429, 503]
    assert (
        EndpointPlayer(server.url, "m", pause=waits.append).respond([user("hi")], SETTINGS)[0].text
        == "You said hi"
    )
    assert waits == [1.0, 2.0]
    assert len(server.seen) == 3


def test_a_server_that_stays_broken_is_named_after_four_tries(server):
    waits = []
    server.statuses = [500] * 9
    with pytest.raises(UserError, match="answered 500"):
        EndpointPlayer(server.url, "m", pause=waits.append).respond([user("hi")], SETTINGS)
    assert len(server.seen) == 4
    assert waits == [1.0, 2.0, 4.0]


def test_a_refused_request_is_not_repeated(server):
    waits = []
    server.statuses = [400]
    with pytest.raises(UserError, match="answered 400"):
        EndpointPlayer(server.url, "m", pause=waits.append).respond([user("hi")], SETTINGS)
    assert (len(server.seen), waits) == (1, [])


def test_a_bad_key_says_which_variable_holds_it(server, monkeypatch):
    server.key = "right"
    monkeypatch.setenv("OPENAI_API_KEY", "wrong")
    with pytest.raises(UserError, match=r"401.*TASTEBENCH_API_KEY") as caught:
        EndpointPlayer(server.url, "m").respond([user("hi")], SETTINGS)
    assert "wrong" not in str(caught.value)


def test_the_programs_own_key_comes_before_the_general_one(server, monkeypatch):
    server.key = "right"
    monkeypatch.setenv("TASTEBENCH_API_KEY", "right")
    monkeypatch.setenv("OPENAI_API_KEY", "wrong")
    assert EndpointPlayer(server.url, "m").respond([user("hi")], SETTINGS)[0].text == "You said hi"


def test_without_a_key_none_is_sent(server):
    EndpointPlayer(server.url, "m").respond([user("hi")], SETTINGS)
    assert "authorization" not in server.headers_seen[0]


@pytest.mark.parametrize(
    "body", ["<html>no</html>", "{}", '{"choices": []}', "[1]", '{"choices": [{"message": null}]}', ""]
)
def test_an_answer_that_is_no_completion_is_refused(server, body):
    server.body = body
    with pytest.raises(UserError, match="no chat completion"):
        EndpointPlayer(server.url, "m").respond([user("hi")], SETTINGS)


def test_a_cut_answer_says_so_and_an_empty_one_is_empty(server):
    server.body = completion("half a", finish="length")
    player = EndpointPlayer(server.url, "m")
    assert player.respond([user("hi")], SETTINGS)[0].finish_reason == "length"
    server.body = '{"choices": [{"message": {"content": null}}]}'
    answer = player.respond([user("hi")], SETTINGS)[0]
    assert (answer.text, answer.finish_reason, answer.tokens) == ("", "stop", 0)


def test_nobody_there():
    waits = []
    with standing_in() as gone:
        url = gone.url
    with pytest.raises(UserError, match="does not answer"):
        EndpointPlayer(url, "m", pause=waits.append).respond([user("hi")], SETTINGS)
    assert waits == [1.0, 2.0, 4.0]


def test_a_wrong_address_is_no_completion_server(server):
    with pytest.raises(UserError, match="answered 404"):
        EndpointPlayer(server.url.removesuffix("/v1"), "m").respond([user("hi")], SETTINGS)


def test_streaming_gives_the_answer_piece_by_piece(server):
    pieces = list(EndpointPlayer(server.url, "m").stream(user("three words here"), SETTINGS))
    assert "".join(pieces).strip() == "You said three words here"
    assert len([p for p in pieces if p]) == 5
    assert server.seen[0]["stream"] is True


def test_streaming_from_a_server_that_refuses(server):
    server.statuses = [401]
    with pytest.raises(UserError, match="answered 401"):
        list(EndpointPlayer(server.url, "m").stream(user("hi"), SETTINGS))


def test_a_stream_that_is_no_stream_is_refused(server):
    server.body = "data: <html>\n\n"
    with pytest.raises(UserError, match="no chat completion"):
        list(EndpointPlayer(server.url, "m").stream(user("hi"), SETTINGS))


def test_a_server_that_says_when_to_come_back_is_left_alone_until_then(server):
    waits = []
    server.statuses, server.retry_after = [429, 429], "7"
    EndpointPlayer(server.url, "m", pause=waits.append).respond([user("hi")], SETTINGS)
    assert waits == [7.0, 7.0]


def test_when_to_come_back_is_read_in_seconds_and_as_a_date():
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    assert 25 <= asked_to_wait(soon) <= 30
    assert [asked_to_wait(x) for x in ("3", "0", "", None, "tomorrow", "-4", "99999")] == [
        3.0, 0.0, 0.0, 0.0, 0.0, 0.0, LONGEST_WAIT,
    ]  # fmt: skip


def test_requests_a_minute_are_spread_evenly():
    clock = iter([100.0, 100.0, 100.5, 100.5, 110.0, 110.0])
    meter = Meter(lambda: next(clock))
    assert [meter.turn(60) for _ in range(3)] == [0.0, 0.5, 0.0]
    assert meter.turn(None) == 0.0


def test_the_rate_holds_for_all_players_of_one_address(server):
    waits = []
    for _ in range(2):
        player = EndpointPlayer(server.url, "m", Limits(per_minute=2, at_once=1), pause=waits.append)
        player.respond([user("a"), user("b")], SETTINGS)
    assert [round(w / 30) for w in waits] == [1, 2, 3]


def test_a_token_budget_stops_further_requests_and_keeps_what_came(server):
    limits = Limits(tokens=10, at_once=1)
    with pytest.raises(Unfinished, match="budget of 10 tokens") as caught:
        EndpointPlayer(server.url, "m", limits).respond(
            [user(f"word number {i}") for i in range(9)], SETTINGS
        )
    kept = caught.value.answers
    assert 0 < len(kept) == len(server.seen) < 9
    with pytest.raises(UserError, match="TASTEBENCH_ENDPOINT_TOKENS"):
        list(EndpointPlayer(server.url, "m", limits).stream(user("hi"), SETTINGS))


def test_limits_and_keys_come_from_the_environment():
    assert limits_from({}) == Limits()
    assert limits_from({"TASTEBENCH_ENDPOINT_TIMEOUT": "9", "TASTEBENCH_ENDPOINT_TRIES": "2",
                        "TASTEBENCH_ENDPOINT_AT_ONCE": "3", "TASTEBENCH_ENDPOINT_PER_MINUTE": "30",
                        "TASTEBENCH_ENDPOINT_TOKENS": "1000"}) == Limits(9.0, 2, 3, 30, 1000)  # fmt: skip
    for wrong in ("0", "-1", "many", "1.5"):
        with pytest.raises(UserError, match="TASTEBENCH_ENDPOINT_TRIES"):
            limits_from({"TASTEBENCH_ENDPOINT_TRIES": wrong})
    keys = {"TASTEBENCH_API_KEY_API_EXAMPLE_COM": "one", "TASTEBENCH_API_KEY": "two"}
    assert key_for("https://api.example.com/v1", keys) == "one"
    assert key_for("http://127.0.0.1:8000/v1", keys) == "two"
    assert key_for("http://127.0.0.1:8000/v1", {}) is None


def test_a_server_that_is_too_slow_is_not_waited_for(server):
    server.delay = 1.0
    with pytest.raises(UserError, match="does not answer"):
        EndpointPlayer(server.url, "m", Limits(timeout=0.1, tries=1)).respond([user("hi")], SETTINGS)
