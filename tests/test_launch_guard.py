"""The guard's verbs: what was found with the words around it, decisions with a reason, the list."""

import json

import pytest

from db.audit import recent
from db.connection import open_reader
from tests.factories import make_home
from tests.workshop import refused, run

LEAK = 1


@pytest.fixture
def home(tmp_path):
    def answer(model, i):
        leak = model == "model-one" and i == 0
        return "I am ChatGPT, and it is blue." if leak else f"Answer {i} of {len(model)} {model[-1]}."

    return make_home(tmp_path / "home", prompts=3, answer=answer)


def guard(home, *words):
    ran = run(home, "campaign", "guard", "first", *words, "--json")
    assert ran.code == 0, ran.err
    return json.loads(ran.out), ran.err


def test_an_older_campaign_is_scanned_on_demand_and_what_is_found_is_listed(home):
    assert guard(home)[0]["findings"] == []
    found, said = guard(home, "--scan")
    assert "3 battles scanned, 1 with a finding" in said
    assert (found["rule"], found["held"], found["leaked"], found["left_out"]) == ("hold", 1, 1, 0)
    row = found["findings"][0]
    assert (row["battle"], row["kind"], row["state"]) == (LEAK, "identity", "held")
    assert (row["before"], row["what"], row["after"]) == ("I am ", "ChatGPT", ", and it is blue.")
    lines = run(home, "campaign", "guard", "first").out.splitlines()
    assert lines[0] == "first: hold"
    assert lines[-1] == (
        "battle 1 [held] names its model or maker, one answer: I am >>ChatGPT<<, and it is blue."
    )


def test_a_battle_is_released_and_held_with_a_reason_on_record(home):
    guard(home, "--scan")
    found, said = guard(home, "--release", LEAK, "--reason", "a quotation")
    assert "served and counted again" in said
    assert (found["held"], found["findings"][0]["state"]) == (0, "released")
    assert guard(home, "--hold", 2)[0]["held"] == 1
    assert "released battle 1: a quotation" in [a.what for a in recent(open_reader(home))]
    assert "nothing stands against battle 3" in refused(
        run(home, "campaign", "guard", "first", "--release", 3)
    )
    assert "no battle 99" in refused(run(home, "campaign", "guard", "first", "--hold", 99))


def test_the_list_is_shown_replaced_and_put_back(home, tmp_path):
    text = run(home, "campaign", "guard-words").out
    file = tmp_path / "words.txt"
    file.write_text(text.replace("\n[ignored]\n", "\n[ignored]\nChatGPT\n"), encoding="utf-8")
    assert "are looked for from now on" in run(home, "campaign", "guard-words", file).out
    assert guard(home, "--scan")[0]["findings"] == []
    assert run(home, "campaign", "guard-words", "--default").code == 0
    assert run(home, "campaign", "guard-words").out == text
    assert len(guard(home, "--scan")[0]["findings"]) == 1
    file.write_text("[phrases]\nmade in {nowhere}\n", encoding="utf-8")
    assert "{nowhere}" in refused(run(home, "campaign", "guard-words", file))
    assert "cannot read" in refused(run(home, "campaign", "guard-words", tmp_path / "no such file"))
