"""A machine's verdict covers no battle: people are asked all the same, and the counts know people alone."""

import json
from contextlib import closing

import pytest

from arena.upkeep import check
from db.campaigns import coverage, get_campaign
from db.connection import open_writer
from db.raters import decide_rater, list_raters
from labeling.importing import ImportKind, import_file
from tests.factories import make_home

WINNERS = ["model_a", "tie", "model_b", "model_a", "model_a", "tie"]


@pytest.fixture
def judged(tmp_path):
    """An open campaign of six battles on which a machine gave its word, and a person one vote."""
    home = make_home(tmp_path / "home")
    rows = [
        {"prompt": f"Question {i}?", "model_a": "model-one", "model_b": "model-two", "winner": w,
         "response_a": f"Answer {i} in the manner of 9 e.", "response_b": f"Answer {i} in the manner of 9 o."}
        for i, w in enumerate(WINNERS)
    ]  # fmt: skip
    for name, kind, who, n in (
        ("machine", ImportKind.VERDICTS, "judge", 6),
        ("person", ImportKind.VOTES, "rater", 1),
    ):
        path = tmp_path / f"{name}.jsonl"
        path.write_text("".join(json.dumps({who: name, **row}) + "\n" for row in rows[:n]), encoding="utf-8")
        made = import_file(home, kind, str(path), campaign="first")
        assert made.refused == 0, made.refusals
    return home


def test_verdicts_cover_no_battle_and_votes_do(judged):
    with closing(open_writer(judged).conn) as conn:
        from sqlite_utils import Database

        db = Database(conn)
        covered = coverage(db, get_campaign(db, "first"))
        assert (covered.battles, covered.votes) == (6, 1)
    assert check(judged) == []


def test_leaving_a_judge_out_and_taking_it_in_again_moves_no_count(judged):
    with closing(open_writer(judged).conn) as conn:
        from sqlite_utils import Database

        db = Database(conn)
        (machine,) = [r for r in list_raters(db) if r.name == "machine"]
        for counted in (False, True):
            decide_rater(db, machine.name, counted=counted, reason="to see")
            assert coverage(db, get_campaign(db, "first")).votes == 1
            assert check(judged) == []
