"""Imports: every format, every way a file can be wrong, twice with nothing added, real data where it is at hand."""

import contextlib
import gzip
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import labeling.importing as importing
import labeling.intake as intake
from arena.report import report
from db import exports, imports
from db.campaigns import get_campaign, list_campaigns
from db.catalog import (
    add_model,
    get_prompt,
    list_models,
    prompt_sets,
    prompts_of,
    responses_of,
    scores_of_campaign,
)
from db.connection import Home, home_at, open_reader, open_writer
from db.counting import counts
from db.entities.campaigns import CampaignSettings, CampaignStatus, Purpose
from db.entities.catalog import ModelKind, Split, bare
from db.entities.votes import Outcome, RaterKind
from db.errors import NotFound, UserError
from db.guarding import unscanned
from db.imports import ImportedVote, add_imported_votes, begin_import
from db.lock import Lock
from db.raters import list_raters
from db.snapshots import pair_sets, pairs_of_set
from db.votes import counted_votes
from labeling.formats.naming import rater_name, safe_name
from labeling.formats.reading import ReadRow
from labeling.formats.records import BadRow
from labeling.formats.transcripts import parse_transcript
from labeling.importing import ImportKind, import_file, preview


def write(folder: Path, name: str, rows: list[object]) -> str:
    path = folder / name
    text = json.dumps(rows) if name.endswith(".json") else "".join(json.dumps(r) + "\n" for r in rows)
    path.write_text(text, encoding="utf-8")
    return str(path)


def texts(home: Home, model: str) -> list[str | None]:
    return [r.text for r in responses_of(open_reader(home), model)]


def vote(**fields: object) -> dict[str, object]:
    row: dict[str, object] = {"rater": "ann", "prompt": "Why?", "model_a": "m1", "model_b": "m2",
                              "response_a": "one", "response_b": "two", "winner": "model_a"}  # fmt: skip
    return row | fields


# -- the contract's own formats ----------------------------------------------------------------------------------


def test_prompts_with_tags_split_and_messages(home: Home, tmp_path: Path) -> None:
    chat = [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b"},
        {"role": "user", "content": "c"},
    ]
    rows = [{"prompt": "One?", "tags": ["x", "y"], "split": "heldout"}, {"messages": chat, "tags": "z, w"},
            {"prompt": "Three?", "system": "Be brief."}]  # fmt: skip
    report = import_file(home, ImportKind.PROMPTS, write(tmp_path, "mine.jsonl", rows))
    assert (report.read, report.added, report.prompt_set) == (3, 3, "mine")
    one, two, three = prompts_of(open_reader(home), "mine")
    assert (one.text, one.tags, one.split) == ("One?", ("x", "y"), Split.HELDOUT)
    assert [m["content"] for m in two.messages] == ["a", "b", "c"]
    assert two.tags == ("w", "z")
    assert three.messages[0] == {"role": "system", "content": "Be brief."}


def test_split_that_is_stored_stays_and_is_said(home: Home, tmp_path: Path) -> None:
    source = write(tmp_path, "p.jsonl", [{"prompt": "One?"}])
    import_file(home, ImportKind.PROMPTS, source, split=Split.HELDOUT)
    report = import_file(home, ImportKind.PROMPTS, source, split=Split.TRAIN)
    assert report.notes == ("1 prompts keep the split they are stored with",)
    assert prompts_of(open_reader(home), "p")[0].split is Split.HELDOUT


def test_responses_register_recorded_models_and_number_their_samples(home: Home, tmp_path: Path) -> None:
    rows = [
        {"prompt": "One?", "model": "org/m (7B)", "response": r, "prompt_id": "q1"} for r in ("a", "b", "a")
    ]
    source = write(tmp_path, "r.jsonl", rows)
    report = import_file(home, ImportKind.RESPONSES, source)
    assert (report.read, report.added, report.already_there) == (3, 2, 1)
    model = list_models(open_reader(home))[0]
    assert (model.name, model.kind) == ("org-m 7B", ModelKind.RECORDED)
    assert [(r.text, r.sample) for r in responses_of(open_reader(home), model.name)] == [("a", 0), ("b", 1)]
    again = import_file(home, ImportKind.RESPONSES, source)
    assert (again.added, again.already_there) == (0, 3)
    by_ref = write(tmp_path, "r2.jsonl", [{"prompt_id": "q1", "model": "n", "response": "c"},
                                          {"prompt_id": "q2", "model": "n", "response": "c"}])  # fmt: skip
    report = import_file(home, ImportKind.RESPONSES, by_ref)
    assert (report.added, report.refused) == (1, 1)
    assert "no prompt is known as q2" in report.refusals[0].reason


def test_responses_join_a_model_that_is_no_recording(home: Home, tmp_path: Path) -> None:
    db = open_writer(home)
    add_model(db, "big", ModelKind.ENDPOINT, endpoint="http://localhost:1")
    import_file(
        home,
        ImportKind.RESPONSES,
        write(tmp_path, "r.jsonl", [{"prompt": "a", "model": "big", "response": "b"}]),
    )
    assert texts(home, "big") == ["b"]


def test_votes_make_a_closed_campaign_and_count_at_once(home: Home, tmp_path: Path) -> None:
    rows = [vote(), vote(rater="bob", model_a="m2", model_b="m1", response_a="two", response_b="one", winner="model_a"),
            vote(rater="cy", winner="tie"), vote(rater="di", winner="both_bad", tstamp=1700000000.5)]  # fmt: skip
    source = write(tmp_path, "votes.jsonl", rows)
    report = import_file(home, ImportKind.VOTES, source)
    assert (report.added, report.campaign) == (4, "votes")
    reader = open_reader(home)
    campaign = get_campaign(reader, "votes")
    assert (campaign.status, campaign.settings.purpose, campaign.models) == (
        CampaignStatus.CLOSED,
        Purpose.COLLECT,
        ("m1", "m2"),
    )
    got = {v.rater_name: v for v in counted_votes(reader, campaign.id)}
    assert {n: v.outcome for n, v in got.items()} == {
        "ann": Outcome.A,
        "bob": Outcome.B,
        "cy": Outcome.TIE,
        "di": Outcome.BOTH_BAD,
    }
    assert len({v.battle for v in got.values()}) == 1
    assert got["di"].created_at == "2023-11-14T22:13:20.500Z"
    pairs = reader.execute("SELECT chosen, rejected, rater FROM vote_pairs ORDER BY vote").fetchall()
    assert pairs == [("one", "two", "ann"), ("two", "one", "bob")]
    assert counts(reader, campaign.id).counted == 4
    assert reader.execute("SELECT sum(n) FROM vote_counts").fetchone() == (4,)
    again = import_file(home, ImportKind.VOTES, source)
    assert (again.added, again.already_there, again.refused) == (0, 4, 0)
    assert open_reader(home).execute("SELECT sum(n) FROM vote_counts").fetchone() == (4,)


def test_a_rater_may_vote_twice_on_a_battle_and_a_longer_file_adds_the_rest(
    home: Home, tmp_path: Path
) -> None:
    first = write(tmp_path, "a.jsonl", [vote(), vote(winner="tie")])
    assert import_file(home, ImportKind.VOTES, first, campaign="c").added == 2
    longer = write(tmp_path, "b.jsonl", [vote(), vote(winner="tie"), vote(rater="bob")])
    assert import_file(home, ImportKind.VOTES, longer, campaign="c").added == 1
    changed = write(tmp_path, "c.jsonl", [vote(winner="model_b")])
    report = import_file(home, ImportKind.VOTES, changed, campaign="c")
    assert (report.added, report.refusals[0].reason) == (
        0,
        "this rater's vote here is stored as a, not b: votes never change",
    )
    assert import_file(home, ImportKind.VOTES, changed, campaign="d").added == 1


def test_votes_known_by_id_alone_count_and_never_become_pairs(home: Home, tmp_path: Path) -> None:
    row = {"judge": "e1", "question_id": 7, "model_a": "m1", "model_b": "m2", "winner": "model_b", "turn": 1}
    report = import_file(
        home, ImportKind.VOTES, write(tmp_path, "v.jsonl", [row, row | {"turn": 2}, row | {"judge": "e2"}])
    )
    assert report.added == 3
    reader = open_reader(home)
    votes = list(counted_votes(reader, get_campaign(reader, "v").id))
    assert [v.turn for v in votes] == [1, 2, 1]
    assert votes[0].prompt != votes[1].prompt == get_prompt(reader, votes[1].prompt).id
    assert get_prompt(reader, votes[0].prompt).messages == ()
    assert reader.execute("SELECT count(*) FROM vote_pairs").fetchone() == (0,)


def test_texts_stored_before_are_joined_to_votes_known_by_id(home: Home, tmp_path: Path) -> None:
    questions = write(
        tmp_path, "q.jsonl", [{"question_id": 7, "category": "math", "turns": ["First?", "Second?"]}]
    )
    answers = [
        {"question_id": 7, "model_id": m, "choices": [{"turns": [f"by {m}", "later"]}]} for m in ("m1", "m2")
    ]
    import_file(home, ImportKind.PROMPTS, questions)
    assert import_file(home, ImportKind.RESPONSES, write(tmp_path, "a.jsonl", answers)).added == 2
    row = {"judge": "e1", "question_id": 7, "model_a": "m2", "model_b": "m1", "winner": "model_a", "turn": 1}
    third = row | {"model_b": "m3"}
    import_file(home, ImportKind.VOTES, write(tmp_path, "v.jsonl", [row, row | {"turn": 2}, third]))
    reader = open_reader(home)
    assert reader.execute("SELECT chosen, rejected, rater FROM vote_pairs").fetchall() == [
        ("by m2", "by m1", "e1")
    ]
    first, second, _ = counted_votes(reader, get_campaign(reader, "v").id)
    assert [get_prompt(reader, v.prompt).tags for v in (first, second)] == [("math",), ("math",)]
    assert get_prompt(reader, second.prompt).messages == ()


def test_verdicts_meet_the_same_battles_even_when_texts_came_in_between(home: Home, tmp_path: Path) -> None:
    row = {"judge": "e1", "question_id": 7, "model_a": "m1", "model_b": "m2", "winner": "model_a", "turn": 1}
    votes = write(tmp_path, "v.jsonl", [row])
    import_file(home, ImportKind.VOTES, votes, campaign="c")
    import_file(
        home, ImportKind.PROMPTS, write(tmp_path, "q.jsonl", [{"question_id": 7, "turns": ["First?"]}])
    )
    import_file(
        home,
        ImportKind.RESPONSES,
        write(tmp_path, "a.jsonl", [{"question_id": 7, "model": m, "turns": [m]} for m in ("m1", "m2")]),
    )
    verdict = row | {"judge": "gpt", "model_a": "m2", "model_b": "m1", "winner": "tie (inconsistent)"}
    assert (
        import_file(home, ImportKind.VERDICTS, write(tmp_path, "g.jsonl", [verdict]), campaign="c").added == 1
    )
    assert import_file(home, ImportKind.VOTES, votes, campaign="c").already_there == 1
    reader = open_reader(home)
    assert reader.execute("SELECT count(*) FROM battles").fetchone() == (1,)
    assert {(r.name, r.kind) for r in list_raters(reader)} == {
        ("e1", RaterKind.PERSON),
        ("gpt", RaterKind.JUDGE),
    }


def test_who_came_with_a_refused_row_is_stored_with_the_next_good_one(home: Home, tmp_path: Path) -> None:
    """A refused row leaves nothing, so what it would have stored must not be taken as there."""
    good = vote()
    rows = [{**good, "model_b": good["model_a"]}, good, {**good, "turn": 2}]
    report = import_file(home, ImportKind.VOTES, write(tmp_path, "v.jsonl", rows))
    assert (report.added, report.refused) == (2, 1)
    db = open_reader(home)
    assert [db.conn.execute(f"SELECT count(*) FROM {t}").fetchone()[0] for t in ("raters", "votes")] == [1, 2]


def test_machine_and_person_of_one_name_are_kept_apart(home: Home, tmp_path: Path) -> None:
    import_file(home, ImportKind.VOTES, write(tmp_path, "v.jsonl", [vote(rater="gpt")]))
    report = import_file(
        home, ImportKind.VERDICTS, write(tmp_path, "g.jsonl", [vote(rater="gpt")]), campaign="v"
    )
    assert (report.added, report.refusals[0].reason) == (0, "a rater 'gpt' is here already, as a person")


def test_simulated_votes_stay_marked(home: Home, tmp_path: Path) -> None:
    import_file(home, ImportKind.VOTES, write(tmp_path, "v.jsonl", [vote(rater="crowd", simulated=True)]))
    assert [r.kind for r in list_raters(open_reader(home))] == [RaterKind.SIMULATED]


def test_items_then_their_votes(home: Home, tmp_path: Path) -> None:
    items = [{"item_id": i, "instruction": "Do it.", "input": "with this", "left": "m1", "left_response": f"l{i}",
              "right": "m2", "right_response": f"r{i}"} for i in range(2)]  # fmt: skip
    votes = [{"item_id": 0, "rater": "w", "choice": "right"}, {"item_id": 1, "rater": "w", "choice": "left"},
             {"item_id": 9, "rater": "w", "choice": "tie"}]  # fmt: skip
    report = import_file(home, ImportKind.RESPONSES, write(tmp_path, "items.jsonl", items))
    assert (report.format, report.added) == ("items", 2)
    report = import_file(home, ImportKind.VOTES, write(tmp_path, "v.jsonl", votes))
    assert (report.added, [r.line for r in report.refusals]) == (2, [3])
    rows = (
        open_reader(home)
        .execute("SELECT json_extract(prompt, '$[0].content'), chosen FROM vote_pairs ORDER BY vote")
        .fetchall()
    )
    assert rows == [("Do it.\n\nwith this", "r0"), ("Do it.\n\nwith this", "l1")]


def test_items_become_the_battles_of_a_named_campaign(home: Home, tmp_path: Path) -> None:
    db = open_writer(home)
    imports.add_empty_campaign(db, "crowd", "all", CampaignSettings(overlap=5), CampaignStatus.OPEN)
    item = {
        "item_id": "i",
        "prompt": "p",
        "model_a": "m1",
        "response_a": "x",
        "model_b": "m2",
        "response_b": "y",
    }
    for _ in range(2):
        import_file(home, ImportKind.RESPONSES, write(tmp_path, "i.jsonl", [item]), campaign="crowd")
    assert db.conn.execute("SELECT count(*) FROM battles").fetchone() == (1,)
    assert get_campaign(db, "crowd").models == ("m1", "m2")


def test_pairs_in_every_spelling(home: Home, tmp_path: Path) -> None:
    ask, a, b = (
        {"role": r, "content": c} for r, c in (("user", "Q?"), ("assistant", "good"), ("assistant", "bad"))
    )
    rows = [{"prompt": "Q?", "chosen": "good", "rejected": "bad"},
            {"prompt": [ask], "chosen": [a], "rejected": [b]},
            {"chosen": [ask, a], "rejected": [ask, b]},
            {"prompt": "Q?", "chosen": [ask, a], "rejected": [ask, b]}]  # fmt: skip
    source = write(tmp_path, "pairs.jsonl", rows)
    report = import_file(home, ImportKind.PAIRS, source)
    assert (report.added, report.already_there, report.pair_set) == (1, 3, "pairs")
    reader = open_reader(home)
    pair = pairs_of_set(reader, "pairs")[0]
    found = exports.response_texts(reader, [pair.chosen, pair.rejected])
    assert (found[pair.chosen].text, found[pair.rejected].text) == ("good", "bad")
    assert import_file(home, ImportKind.PAIRS, source).added == 0


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"prompt": "q", "chosen": "x", "rejected": "x "}, "chosen and rejected are the same"),
        ({"prompt": "q", "chosen": "x", "rejected": " "}, "the rejected response is empty"),
        ({"prompt": "", "chosen": "x", "rejected": "y"}, "prompt is empty"),
        ({"prompt": 3, "chosen": "x", "rejected": "y"}, "prompt is a number where a text or messages are wanted"),
        ({"prompt": "q", "chosen": ["x"], "rejected": "y"}, "chosen[0] is a text where a message is wanted"),
        ({"prompt": [{"role": "assistant", "content": "q"}], "chosen": "x", "rejected": "y"},
         "prompt does not end with the user's message"),
        ({"prompt": [{"role": "tool", "content": "q"}], "chosen": "x", "rejected": "y"},
         "prompt[0] has the role 'tool', not system, user or assistant"),
        ({"prompt": "q", "chosen": "y", "rejected": "good"}, "the other way round than line 1"),
        ({"prompt": "\ud800", "chosen": "x", "rejected": "y"}, "prompt holds half a surrogate pair, which is not text"),
        ({"prompt": "q\0", "chosen": "x", "rejected": "y"}, "prompt holds a NUL character"),
    ],
)  # fmt: skip
def test_a_bad_pair_is_refused_with_its_reason_and_kept(
    home: Home, tmp_path: Path, row: object, reason: str
) -> None:
    good = {"prompt": "q", "chosen": "good", "rejected": "y"}
    report = import_file(home, ImportKind.PAIRS, write(tmp_path, "p.jsonl", [good, row]))
    assert (report.read, report.added, report.refused) == (2, 1, 1)
    assert (report.refusals[0].line, report.refusals[0].reason) == (2, reason)
    assert Path(str(report.refused_file)).name == "refused.jsonl"
    kept = [json.loads(line) for line in Path(str(report.refused_file)).read_text().splitlines()]
    assert [(k["line"], k["reason"], json.loads(k["row"])) for k in kept] == [(2, reason, row)]


def test_scores_of_stored_and_of_new_responses(home: Home, tmp_path: Path) -> None:
    rows = [vote()]
    import_file(home, ImportKind.VOTES, write(tmp_path, "v.jsonl", rows))
    scored = [{"prompt": "Why?", "model": "m1", "scorer": "rm", "score": 1.5},
              {"prompt": "Why?", "model": "m2", "response": "two", "reward_model": "rm", "reward": "-2"},
              {"prompt": "Why?", "model": "m2", "scorer": "rm", "score": float("nan")},
              {"prompt": "New?", "model": "m2", "scorer": "rm", "score": 1}]  # fmt: skip
    first = import_file(home, ImportKind.SCORES, write(tmp_path, "s.jsonl", [scored[0], *scored[2:]]))
    assert (first.added, [r.line for r in first.refusals]) == (1, [2, 3])
    second = import_file(home, ImportKind.SCORES, write(tmp_path, "s2.jsonl", [scored[1]]))
    assert (second.added, second.mapping) == (1, (("reward_model", "scorer"), ("reward", "score")))
    reader = open_reader(home)
    by_response = scores_of_campaign(reader, get_campaign(reader, "v").id)["rm"]
    assert sorted(s.score for s in by_response.values()) == [-2.0, 1.5]


# -- formats of others -------------------------------------------------------------------------------------------

HH = "\n\nHuman: Hi.\n\nAssistant: Yes?\n\nHuman: What?\n\nAssistant: "


@pytest.mark.parametrize(
    ("row", "format_name", "prompt", "chosen", "rejected"),
    [
        ({"chosen": HH + "this", "rejected": HH + "that"}, "hh", ["Hi.", "Yes?", "What?"], "this", "that"),
        ({"prompt": "Human: What? Assistant:", "chosen": "x", "rejected": "y"}, "rlhf_reward", None, "", ""),
        ({"prompt": "\n\nHuman: What?\n\nAssistant:", "chosen": " this", "rejected": " that"}, "rlhf_reward", ["What?"], "this", "that"),
        ({"instruction": "What?", "chosen_response": "this", "rejected_response": "that", "chosen_avg_rating": 5.0},
         "ultrafeedback", ["What?"], "this", "that"),
        ({"prompt": "What?", "prompt_id": "f", "score_chosen": 8.0, "score_rejected": 2.0, "messages": [],
          "chosen": [{"role": "user", "content": "What?"}, {"role": "assistant", "content": "this"}],
          "rejected": [{"role": "user", "content": "What?"}, {"role": "assistant", "content": "that"}]},
         "ultrafeedback", ["What?"], "this", "that"),
        ({"conversations": [{"from": "human", "value": "What?"}], "chosen": {"from": "gpt", "value": "this"},
          "rejected": {"from": "gpt", "value": "that"}}, "sharegpt", ["What?"], "this", "that"),
    ],
)  # fmt: skip
def test_pairs_in_the_formats_of_others(
    home: Home,
    tmp_path: Path,
    row: object,
    format_name: str,
    prompt: list[str] | None,
    chosen: str,
    rejected: str,
) -> None:
    report = import_file(home, ImportKind.PAIRS, write(tmp_path, "p.json", [row]))
    assert report.format == format_name
    if prompt is None:
        assert report.refused == 1
        return
    reader = open_reader(home)
    pair = pairs_of_set(reader, "p")[0]
    found = exports.response_texts(reader, [pair.chosen, pair.rejected])
    assert [m["content"] for m in get_prompt(reader, pair.prompt).messages] == prompt
    assert (found[pair.chosen].text, found[pair.rejected].text) == (chosen, rejected)


@pytest.mark.parametrize(
    ("row", "format_name", "model", "prompt", "response"),
    [
        ({"instruction": "Do.", "input": "it", "output": "done"}, "alpaca", "f", "Do.\n\nit", "done"),
        ({"instruction": "Do.", "input": "", "output": "done"}, "alpaca", "f", "Do.", "done"),
        ({"question": "Q?", "answer": "A."}, "qa", "f", "Q?", "A."),
        ({"conversations": ["Q?", "A."], "source": "x"}, "lima", "f", "Q?", "A."),
        ({"conversations": [{"from": "human", "value": "Q?"}, {"from": "gpt", "value": "A."}]}, "sharegpt", "f", "Q?", "A."),
        ({"instruction": "Q?", "output": "A.", "generator": "m9", "dataset": "d"}, "alpaca_eval", "m9", "Q?", "A."),
    ],
)  # fmt: skip
def test_responses_in_the_formats_of_others(
    home: Home, tmp_path: Path, row: object, format_name: str, model: str, prompt: str, response: str
) -> None:
    source = write(tmp_path, "f.json", [row])
    assert import_file(home, ImportKind.RESPONSES, source).format == format_name
    assert texts(home, model) == [response]
    assert [p.text for p in prompts_of(open_reader(home), "f")] == [prompt]
    assert import_file(home, ImportKind.PROMPTS, source).already_there == 1


@pytest.mark.parametrize(
    ("row", "outcome"),
    [
        ({"question_id": 1, "model_1": "a", "model_2": "b", "g1_winner": "model_1", "g2_winner": "model_1",
          "judge": ["gpt-4", "pair-v2"], "turn": 1, "tstamp": 1.7e9}, Outcome.A),
        ({"question_id": 1, "model_1": "a", "model_2": "b", "g1_winner": "model_1", "g2_winner": "model_2",
          "judge": ["gpt-4", "pair-v2"], "turn": 1}, Outcome.TIE),
        ({"instruction": "q", "output_1": "x", "generator_1": "a", "output_2": "y", "generator_2": "b",
          "preference": 1.9, "annotator": "gpt-4"}, Outcome.B),
        ({"instruction": "q", "output_1": "x", "generator_1": "a", "output_2": "y", "generator_2": "b",
          "preference": 1.5, "annotator": "gpt-4"}, Outcome.TIE),
        ({"prompt_id": "p", "baseline": "a", "model": "b", "preference": 1.0, "judge": "gpt-4"}, Outcome.A),
        (vote(judge="gpt-4", model_a="a", model_b="b", inconsistent=True, rater=None), Outcome.TIE),
    ],
)  # fmt: skip
def test_verdicts_in_the_formats_of_others(
    home: Home, tmp_path: Path, row: dict[str, object], outcome: Outcome
) -> None:
    clean = {k: v for k, v in row.items() if v is not None}
    assert import_file(home, ImportKind.VERDICTS, write(tmp_path, "j.jsonl", [clean])).added == 1
    reader = open_reader(home)
    stored = reader.execute(
        "SELECT outcome, t.name, t.kind FROM votes v JOIN raters t ON t.id = v.rater"
    ).fetchall()
    assert stored == [(outcome, "gpt-4", "judge")]


def test_arena_conversations(home: Home, tmp_path: Path) -> None:
    def talk(*said: str) -> list[dict[str, str]]:
        return [{"role": ("user", "assistant")[i % 2], "content": s} for i, s in enumerate(said)]

    base = {
        "question_id": "x1",
        "model_a": "m1",
        "model_b": "m2",
        "winner": "tie (bothbad)",
        "judge": "j1",
        "turn": 1,
    }
    same = base | {
        "conversation_a": talk("Q?", "one"),
        "conversation_b": talk("Q?", "two"),
        "winner": "model_b",
    }
    apart = base | {
        "question_id": "x2",
        "conversation_a": talk("Q?", "one", "So?", "x"),
        "conversation_b": talk("Q?", "two", "So?", "y"),
    }
    assert import_file(home, ImportKind.VOTES, write(tmp_path, "arena.jsonl", [same, apart])).added == 2
    reader = open_reader(home)
    assert reader.execute("SELECT chosen FROM vote_pairs").fetchall() == [("two",)]
    assert reader.execute("SELECT outcome FROM votes ORDER BY id").fetchall() == [("b",), ("both_bad",)]


def test_columns_are_mapped_by_hand(home: Home, tmp_path: Path) -> None:
    source = write(
        tmp_path, "m.jsonl", [{"wer": "ann", "frage": "Q?", "links": "a", "rechts": "b", "besser": "left"}]
    )
    mapping = {"wer": "rater", "frage": "prompt", "links": "model_a", "rechts": "model_b", "besser": "winner"}
    assert import_file(home, ImportKind.VOTES, source, mapping=mapping).added == 1
    with pytest.raises(
        UserError, match=r"its columns are wer, frage, links, rechts, besser; needed are .*--map theirs=ours"
    ):
        import_file(home, ImportKind.VOTES, source)
    with pytest.raises(UserError, match="has no column 'nein' to map; its columns are: wer"):
        import_file(home, ImportKind.VOTES, source, mapping={"nein": "rater"})
    with pytest.raises(UserError, match="nothing here is called 'sieger'"):
        import_file(home, ImportKind.VOTES, source, mapping={"besser": "sieger"})
    with pytest.raises(UserError, match=r"there is no format 'exotic'; for votes use one of: .*votes"):
        import_file(home, ImportKind.VOTES, source, format="exotic")
    with pytest.raises(UserError, match="the format qa holds no votes"):
        import_file(home, ImportKind.VOTES, source, format="qa")


# -- files -------------------------------------------------------------------------------------------------------

ROWS = [
    {"prompt": "One, two?", "model": "m", "response": 'say "hi"\nand go'},
    {"prompt": "Drei – ß?", "model": "m", "response": "x"},
]


def _store(path: Path) -> None:
    if path.name.endswith(".parquet"):
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(ROWS), path)
    elif path.name.endswith(".csv"):
        quoted = "\n".join(",".join('"' + r[c].replace('"', '""') + '"' for c in ROWS[0]) for r in ROWS)
        path.write_text("\ufeffprompt,model,response\n" + quoted + "\n", encoding="utf-8")
    elif path.name.endswith(".json"):
        path.write_text(json.dumps({"version": 1, "data": ROWS}, ensure_ascii=False), encoding="utf-8")
    else:
        lines = "\ufeff" + "\r\n".join(json.dumps(r, ensure_ascii=False) for r in ROWS) + "\n\n"
        path.write_bytes(gzip.compress(lines.encode()) if path.suffix == ".gz" else lines.encode())


@pytest.mark.parametrize("name", ["r.jsonl", "r.json", "r.csv", "r.parquet", "r.jsonl.gz"])
def test_every_kind_of_file_gives_the_same(home: Home, tmp_path: Path, name: str) -> None:
    _store(tmp_path / name)
    report = import_file(home, ImportKind.RESPONSES, str(tmp_path / name))
    assert (report.read, report.added, report.prompt_set) == (2, 2, "r")
    assert texts(home, "m") == ['say "hi"\nand go', "x"]
    assert [p.text for p in prompts_of(open_reader(home), "r")] == ["One, two?", "Drei – ß?"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("e.jsonl", b"", "is empty; give a file"),
        ("e.jsonl", b"\n \n", "holds no rows"),
        ("e.csv", b"prompt,model,response\n", "holds no rows"),
        ("e.json", b"[]", "holds no rows"),
        ("e.json", b'{"a": [', "is not JSON (line 1"),
        ("l.jsonl", '{"prompt": "ok"}\n{"prompt": "né"}\n'.encode("latin-1"), "is not UTF-8 (line 2, byte 0xe9); save it as UTF-8"),
        ("u.csv", "prompt\nhi\n".encode("utf-16"), "is UTF-16, not UTF-8"),
        ("x.xlsx", b"PK", "is none of .jsonl"),
        ("p.parquet", b"nonsense", "is not Parquet that can be read"),
        ("g.jsonl.gz", b"nonsense", "cannot read"),
        ("g.jsonl.gz", gzip.compress(b'{"prompt": "a"}\n' * 99, mtime=0)[:-9], "is cut off"),
        ("n.jsonl", b"never mind\nme\n", "can be read (line 1: not JSON"),
        ("d.csv", b"prompt,prompt\na,b\n", "names a column twice"),
        ("t.json", b"[" * 100_000, "is not JSON"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_use_is_one_clear_line_and_writes_nothing(
    home: Home, tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError) as error:
        import_file(home, ImportKind.PROMPTS, str(tmp_path / name))
    assert message in str(error.value)
    assert name in str(error.value)
    assert "\n" not in str(error.value)
    assert not home.database.exists()


def test_missing_file_folder_and_hub_without_a_network(home: Home, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"there is no file gone\.jsonl"):
        import_file(home, ImportKind.PROMPTS, "gone.jsonl")
    with pytest.raises(UserError, match="is a folder"):
        import_file(home, ImportKind.PROMPTS, str(tmp_path))
    program = f"""
from pathlib import Path
from db.connection import home_at
from db.errors import UserError
from labeling.importing import import_file
try:
    import_file(home_at(Path({str(tmp_path)!r})), "pairs", "someone/some-dataset")
except UserError as error:
    print(error)
"""
    env = os.environ | {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": str(tmp_path / "hf")}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=env, check=True
    )
    assert done.stdout.startswith("cannot get the dataset someone/some-dataset (")
    assert done.stdout.count("\n") == 1


def test_a_line_that_is_cut_or_no_object_is_refused_and_the_rest_goes_in(home: Home, tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text('{"prompt": "a"}\n{"prompt": \n[1]\n"text"\n{"prompt": "b"}\n' + "[" * 50_000 + "\n")
    report = import_file(home, ImportKind.PROMPTS, str(path))
    assert (report.read, report.added, report.refused) == (6, 2, 4)
    assert [r.line for r in report.refusals] == [2, 3, 4, 6]
    assert [r.reason for r in report.refusals][1:] == ["not an object with named fields"] * 2 + [
        "not JSON that can be read"
    ]


def test_names_that_mean_something_else_are_changed(home: Home, tmp_path: Path) -> None:
    report = import_file(home, ImportKind.PROMPTS, write(tmp_path, "train.jsonl", [{"prompt": "a"}]))
    assert report.prompt_set == "train-prompts"
    assert [s.name for s in prompt_sets(open_reader(home))] == ["train-prompts"]


def test_names_from_elsewhere() -> None:
    assert safe_name("GPT 3.5 Turbo (16k)", "model") == "GPT 3.5 Turbo 16k"
    assert safe_name("org/name", "model") == "org-name"
    assert safe_name("phi-2-sft", "model") == "phi-2-sft"
    assert safe_name("通义", "model") != safe_name("千问", "model")
    assert rater_name("ann@example.org").startswith("rater-")
    assert "ann" not in rater_name("ann@example.org")
    assert rater_name("rater-3") == "imported-rater-3"
    with pytest.raises(BadRow):
        safe_name("  ", "model")


def test_a_killed_import_shows_nothing_and_is_taken_up_again(home: Home, tmp_path: Path) -> None:
    source = write(tmp_path, "v.jsonl", [vote(), vote(rater="bob")])
    import_file(
        home, ImportKind.VOTES, source, campaign="other"
    )  # the same texts, so that battles can be made by hand
    db = open_writer(home)
    campaign = imports.add_empty_campaign(db, "c", "all", CampaignSettings(), CampaignStatus.CLOSED)
    begun = begin_import(db, "votes", str(Path(source).resolve()), campaign.id)
    begun_intake = importing.Intake(db, importing.Target(begun, "v", source, campaign))
    reader = importing._recognised(importing.source_of(source), ImportKind.VOTES, None, {})[1]
    begun_intake.take(reader.read(vote()), 1)
    assert list(counted_votes(db, campaign.id)) == []
    moved = write(tmp_path, "w.jsonl", [vote()])
    assert "cut off" in import_file(home, ImportKind.VOTES, moved, campaign="c").refusals[0].reason
    report = import_file(home, ImportKind.VOTES, source, campaign="c")
    assert (report.added, report.already_there) == (1, 1)
    assert len(list(counted_votes(db, campaign.id))) == 2
    assert db.conn.execute(
        "SELECT sum(n) FROM vote_counts WHERE campaign = ?", (campaign.id,)
    ).fetchone() == (2,)


def test_an_import_into_an_open_campaign_shows_nothing_unscanned_even_when_cut_off(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "CHUNK_ALONE", 1)
    db = open_writer(home)
    campaign = imports.add_empty_campaign(db, "open", "all", CampaignSettings(), CampaignStatus.OPEN)
    source = write(tmp_path, "v.jsonl", [vote(response_a="I am ChatGPT."), vote(prompt="What?"), vote()])
    shown: list[list[int]] = []

    def cut_off(chunks: Iterator[list[ReadRow]]) -> Iterator[list[ReadRow]]:
        for i, chunk in enumerate(chunks):
            rows = open_reader(home).conn.execute("SELECT battle FROM battle_cover WHERE held = 0")
            shown.append([r[0] for r in rows])
            if i == 2:
                raise KeyboardInterrupt
            yield chunk

    whole = importing._chunks
    monkeypatch.setattr(importing, "_chunks", lambda rows, size: cut_off(whole(rows, size)))
    with pytest.raises(KeyboardInterrupt):
        import_file(home, ImportKind.VOTES, source, campaign="open")
    assert shown == [[], [], [2]], "the leak of the first row was never there to be served"
    monkeypatch.setattr(importing, "_chunks", whole)
    assert unscanned(db) == [campaign.id]
    import_file(home, ImportKind.VOTES, source, campaign="open")
    assert unscanned(db) == []


def test_only_an_import_beside_a_server_pauses(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[str] = []

    def seen(chunks: Iterator[list[ReadRow]]) -> Iterator[list[ReadRow]]:
        begun.append("pausing")
        return chunks

    monkeypatch.setattr(importing, "with_pauses", seen)
    source = write(tmp_path, "v.jsonl", [vote()])
    import_file(home, ImportKind.VOTES, source)
    assert begun == []
    server = Lock(home)
    import_file(home, ImportKind.VOTES, source)
    server.release()
    assert begun == ["pausing"]


def test_two_files_of_one_name_keep_their_refused_rows_apart(home: Home, tmp_path: Path) -> None:
    kept = []
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        source = write(tmp_path / folder, "v.jsonl", [vote(), vote(rater=folder, winner="nobody knows")])
        kept.append(import_file(home, ImportKind.VOTES, source).refused_file)
    rows = [json.loads(Path(file or "").read_text())["row"] for file in kept]
    assert [r["rater"] if isinstance(r, dict) else json.loads(r)["rater"] for r in rows] == ["one", "two"]


def test_sides_of_votes_and_the_order_of_rows_change_no_figure(home: Home, tmp_path: Path) -> None:
    rows = [vote(prompt=f"q{i}", winner=("model_a", "model_a", "model_b", "tie")[i % 4]) for i in range(8)]
    other = {"model_a": "model_b", "model_b": "model_a"}
    turned = [
        r | {"model_a": r["model_b"], "model_b": r["model_a"], "response_a": r["response_b"],
             "response_b": r["response_a"], "winner": other.get(str(r["winner"]), r["winner"])}
        for r in reversed(rows)
    ]  # fmt: skip
    seen = []
    for name, votes in (("as they were", rows), ("turned", turned)):
        import_file(home, ImportKind.VOTES, write(tmp_path, "v.jsonl", votes), campaign=name)
        (pair,) = report(open_writer(home), name).pairs
        seen.append((pair.model_a, pair.wins_a, pair.wins_b, pair.ties, pair.win_rate_a, pair.ci95))
    assert seen[0] == seen[1]
    assert seen[0][:4] == ("m1", 4, 2, 2)


def test_votes_without_texts_never_reach_raters(home: Home, tmp_path: Path) -> None:
    import_file(home, ImportKind.VOTES, write(tmp_path, "v.jsonl", [vote()]))
    db = open_writer(home)
    imports.add_empty_campaign(db, "open", "all", CampaignSettings(), CampaignStatus.OPEN)
    bare = {k: v for k, v in vote(model_b="m9").items() if not k.startswith("response")}
    report = import_file(home, ImportKind.VOTES, write(tmp_path, "b.jsonl", [bare]), campaign="open")
    assert "would be shown to raters" in report.refusals[0].reason
    assert db.conn.execute("SELECT count(*) FROM battles WHERE response_b IS NULL").fetchone() == (0,)


def test_evaluate_campaigns_take_held_out_prompts_only(home: Home, tmp_path: Path) -> None:
    db = open_writer(home)
    imports.add_empty_campaign(db, "exam", "all", CampaignSettings(Purpose.EVALUATE), CampaignStatus.CLOSED)
    rows = [vote(split="train"), vote(prompt="Held?", split="heldout")]
    report = import_file(home, ImportKind.VOTES, write(tmp_path, "v.jsonl", rows), campaign="exam")
    assert (report.added, [r.line for r in report.refusals]) == (1, [1])


def test_nothing_but_refused_votes_leaves_no_campaign(home: Home, tmp_path: Path) -> None:
    report = import_file(home, ImportKind.VOTES, write(tmp_path, "v.jsonl", [vote(winner="dunno")]))
    assert (report.added, report.refused, report.campaign) == (0, 1, None)
    assert list_campaigns(open_reader(home)) == []


def test_one_import_at_a_time(home: Home, tmp_path: Path) -> None:
    source = write(tmp_path, "p.jsonl", [{"prompt": "a"}])
    with importing._alone(home), pytest.raises(UserError, match="another import runs"):
        import_file(home, ImportKind.PROMPTS, source)
    assert import_file(home, ImportKind.PROMPTS, source).added == 1


def test_preview_shows_rows_and_writes_nothing(home: Home, tmp_path: Path) -> None:
    source = write(tmp_path, "v.jsonl", [{"judge": "e", "question_id": 7, "model_a": "m1", "model_b": "m2", "winner": "tie"},
                                         *[vote(rater=str(i)) for i in range(9)]])  # fmt: skip
    shown = preview(source, ImportKind.VOTES)
    assert shown.format == "votes"
    assert len(shown.rows) == 3
    assert ("ann", "a") not in shown.rows[0].parts
    assert shown.rows[0].parts[-1] == ("e", "tie") or shown.refusals
    pairs = preview(
        write(tmp_path, "p.jsonl", [{"chosen": HH + "this", "rejected": HH + "that"}]), ImportKind.PAIRS
    )
    assert pairs.rows[0].parts[-2:] == (("chosen", "this"), ("rejected", "that"))
    assert not home.database.exists()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
FIELDS = st.sampled_from([
    "prompt", "prompt_id", "messages", "model", "response", "rater", "judge", "model_a", "model_b", "response_a", "response_b",
    "winner", "turn", "tags", "tstamp", "chosen", "rejected", "scorer", "score", "item_id", "conversations", "turns", "settings",
    "question_id", "instruction", "output", "conversation_a", "conversation_b", "split", "system", "preference", "input",
])  # fmt: skip
GOOD = {
    ImportKind.PROMPTS: {"prompt": "q"}, ImportKind.RESPONSES: {"prompt": "q", "model": "m", "response": "r"},
    ImportKind.VOTES: vote(), ImportKind.VERDICTS: vote(rater="gpt"), ImportKind.PAIRS: {"prompt": "q", "chosen": "a", "rejected": "b"},
    ImportKind.SCORES: {"prompt": "q", "model": "m", "response": "r", "scorer": "s", "score": 1},
}  # fmt: skip


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(kind=st.sampled_from(ImportKind), odd=st.lists(st.dictionaries(FIELDS, JSON, max_size=6), max_size=4),
       line=st.text(st.characters(exclude_categories=["Cs"]), max_size=30))  # fmt: skip
def test_any_line_goes_in_or_is_refused(
    tmp_path_factory: pytest.TempPathFactory, kind: ImportKind, odd: list[dict[str, object]], line: str
) -> None:
    folder = tmp_path_factory.getbasetemp() / "fuzz"
    folder.mkdir(exist_ok=True)
    good: dict[str, object] = GOOD[kind]
    lines = [json.dumps(good), *(json.dumps(good | o) for o in odd), *(json.dumps(o) for o in odd), line]
    (folder / f"{kind}.jsonl").write_text("\n".join(lines), encoding="utf-8")
    with contextlib.suppress(UserError):  # odd columns may speak for a format that no row then has
        import_file(home_at(folder / "home"), kind, str(folder / f"{kind}.jsonl"))
    report = import_file(home_at(folder / "home"), kind, str(folder / f"{kind}.jsonl"), format=str(kind))
    assert report.refused <= report.read - 1
    assert report.added + report.already_there >= report.read - report.refused


# -- real data ---------------------------------------------------------------------------------------------------


def twice(home: Home, kind: ImportKind, path: Path, **options: object) -> importing.ImportReport:
    first = import_file(home, kind, str(path), **options)  # type: ignore[arg-type]
    again = import_file(home, kind, str(path), **options)  # type: ignore[arg-type]
    assert (again.read, again.added, again.refused) == (first.read, 0, first.refused)
    return first


def test_recorded_responses_of_real_models(home: Home, shared_data: Path) -> None:
    report = twice(home, ImportKind.RESPONSES, shared_data / "arena_alpacaeval.jsonl")
    assert (report.added, report.refused, report.prompt_set) == (4233, 0, "arena_alpacaeval")
    assert len(prompts_of(open_reader(home), "arena_alpacaeval")) == 605
    assert {m.name for m in list_models(open_reader(home))} >= {"phi-2-sft", "phi-2-dpo"}


def test_mtbench_human_votes_and_verdicts(home: Home, shared_data: Path) -> None:
    twice(home, ImportKind.PROMPTS, shared_data / "mtbench_questions.jsonl")
    assert twice(home, ImportKind.RESPONSES, shared_data / "mtbench_answers.jsonl").added == 400
    report = twice(home, ImportKind.VOTES, shared_data / "mtbench_human_votes.jsonl")
    assert (report.added, report.campaign) == (3355, "mtbench_human_votes")
    verdicts = twice(
        home, ImportKind.VERDICTS, shared_data / "mtbench_gpt4_pair.jsonl", campaign="mtbench_human_votes"
    )
    assert verdicts.added == 2400
    reader = open_reader(home)
    votes = list(counted_votes(reader, get_campaign(reader, "mtbench_human_votes").id))
    assert (len(votes), len({v.rater_name for v in votes}), len({v.battle for v in votes})) == (
        3355,
        65,
        1814,
    )
    rows = [json.loads(line) for line in (shared_data / "mtbench_human_votes.jsonl").read_text().splitlines()]
    wins = sum(r["winner"] in ("model_a", "model_b") and r[r["winner"]] == "gpt-4" for r in rows)
    won = sum(
        (v.model_a if v.outcome is Outcome.A else v.model_b) == "gpt-4" for v in votes if v.outcome.decisive
    )
    assert won == wins
    # texts are there for first turns between models whose answers were imported, and nowhere else
    answers = [json.loads(line) for line in (shared_data / "mtbench_answers.jsonl").read_text().splitlines()]
    said = {(a["question_id"], a["model"]): a["turns"][0] for a in answers}
    texts_of = [
        [said.get((r["question_id"], r[m])) for m in ("model_a", "model_b")]
        for r in rows
        if r["turn"] == 1 and r["winner"] != "tie"
    ]
    known = sum(bool(bare(a or "") and bare(b or "")) and bare(a) != bare(b) for a, b in texts_of)
    assert known > 800
    assert reader.execute("SELECT count(*) FROM vote_pairs").fetchone() == (known,)


@pytest.mark.parametrize(("name", "items", "votes"), [("llmfao", 1345, 5635), ("pandalm", 400, 1200)])
def test_items_and_crowd_votes(home: Home, shared_data: Path, name: str, items: int, votes: int) -> None:
    assert twice(home, ImportKind.RESPONSES, shared_data / f"{name}_items.jsonl").added == items
    assert twice(home, ImportKind.VOTES, shared_data / f"{name}_votes.jsonl").added == votes
    reader = open_reader(home)
    found = list(counted_votes(reader, get_campaign(reader, f"{name}_votes").id))
    assert (len(found), len({v.battle for v in found})) == (votes, items)


def test_hh_transcripts_parse_as_the_published_messages(home: Home, shared_data: Path) -> None:
    report = twice(home, ImportKind.PAIRS, shared_data / "hh_raw_sample.jsonl")
    assert (report.format, report.added, report.refused) == ("hh", 200, 0)
    parsed = twice(home, ImportKind.PAIRS, shared_data / "hh_helpful_train.jsonl")
    assert (parsed.format, parsed.added) == ("pairs", 4000)
    reader = open_reader(home)
    raw, published = (
        {(p.prompt, p.chosen, p.rejected) for p in pairs_of_set(reader, n)}
        for n in ("hh_raw_sample", "hh_helpful_train")
    )
    assert raw <= published
    assert {n: c for n, _, c in pair_sets(reader)} == {"hh_raw_sample": 200, "hh_helpful_train": 4000}


def test_every_known_anomaly_is_refused_for_its_reason(home: Home, shared_data: Path) -> None:
    path = shared_data / "hh_anomalies.jsonl"
    report = twice(home, ImportKind.PAIRS, path)
    assert report.refused == report.read == 32
    said = {"empty_message": "empty message", "chosen_equals_rejected": "are the same", "roles_do_not_alternate": "do not alternate",
            "prompt_differs": "not the same prompt", "last_turn_not_assistant": "does not end with the assistant"}  # fmt: skip
    reasons = [json.loads(line)["reason"] for line in Path(str(report.refused_file)).read_text().splitlines()]
    for row, reason in zip(map(json.loads, path.read_text().splitlines()), reasons, strict=True):
        assert any(said[known] in reason for known in row["reasons"]), (row["reasons"], reason)


@pytest.mark.parametrize(
    ("kind", "name", "format_name", "added"),
    [
        (ImportKind.RESPONSES, "nvidia_qa.csv", "qa", 2000),
        (ImportKind.PROMPTS, "sft_alpaca.json", "alpaca", 2961),
        (ImportKind.PAIRS, "dpo_sharegpt_demo.json", "sharegpt", 295),
        (ImportKind.SCORES, "scored_pairs_vicuna80.jsonl", "scored_pairs", 112),
        (ImportKind.VOTES, "scored_pairs_vicuna80.jsonl", "scored_pairs", 56),
        (ImportKind.VERDICTS, "arena_judge_prefs.jsonl", "alpaca_eval", 4015),
        (ImportKind.PAIRS, "hh_helpful_base_test.jsonl", "pairs", 500),
    ],
)  # fmt: skip
def test_the_other_real_files(
    home: Home, shared_data: Path, kind: ImportKind, name: str, format_name: str, added: int
) -> None:
    report = twice(home, kind, shared_data / name)
    assert (report.format, report.added, report.refused) == (format_name, added, 0)


def test_transcript_turns() -> None:
    assert parse_transcript("Human: a\n\nAssistant:  b \n\nHuman: c", "x") == (
        {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"})  # fmt: skip
    with pytest.raises(BadRow, match="does not begin"):
        parse_transcript("well, Human: a", "x")


def test_the_schema_guards_items(home: Home) -> None:
    db = open_writer(home)
    with pytest.raises(sqlite3.IntegrityError):
        db.conn.execute("INSERT INTO item_refs VALUES ('x', 'nope', 'neither')")
    assert add_imported_votes(db, list[ImportedVote](), 0) == 0


@pytest.mark.parametrize("remembered", [50_000, -1])
def test_votes_without_texts_find_their_battle_however_little_is_remembered(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, remembered: int
) -> None:
    """Either way round; where two battles are possible, the one of the first answers."""
    monkeypatch.setattr(intake, "MOST_REMEMBERED", remembered)
    bare = {"response_a": None, "response_b": None}
    rows = [
        vote(), vote(prompt="How?"), vote(rater="bob", **bare), vote(rater="cid", **bare, model_a="m2", model_b="m1"),
        vote(rater="bob", prompt="How?", **bare), vote(rater="ann", **bare), vote(rater="dan", response_b="three"),
        vote(rater="eve", **bare),
    ]  # fmt: skip
    report = import_file(home, ImportKind.VOTES, write(tmp_path, "v.jsonl", rows), campaign="c")
    assert (report.added, report.refused) == (len(rows), 0)
    votes = list(counted_votes(db := open_reader(home), get_campaign(db, "c").id))
    first, second, third = dict.fromkeys(v.battle for v in votes)
    assert [v.battle for v in votes] == [first, second, first, first, second, first, third, first]
    assert [v.outcome.value for v in votes] == ["a", "a", "a", "b", "a", "a", "a", "a"]
