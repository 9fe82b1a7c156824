"""Recorded votes given again over HTTP must say what their direct import says."""

import json
from pathlib import Path

import pytest
from serving import running

from arena.crowd import Crowd
from arena.jobs import this_job
from arena.replay import replay
from arena.report import report
from db.campaigns import find_campaign
from db.connection import Home, home_at, open_writer
from db.errors import UserError
from labeling.formats.records import ImportKind
from labeling.importing import import_file


def replayed(home: Home, name: str, file: Path | None) -> Crowd:
    with running(home) as web:
        db = open_writer(home)
        try:
            with this_job(db, ["simulate", name, "--profile", "replay"]) as job:
                return replay(home, db, name, job, web.base, str(file) if file else None)
        finally:
            db.conn.close()


def figures(home: Home, name: str) -> dict:
    """What a report says of the models, whichever slots they stand in."""
    db = open_writer(home)
    made = report(db, name).to_json()
    db.conn.close()
    pairs = {}
    for p in made["pairs"]:
        a = "a" if p["model_a"] < p["model_b"] else "b"
        b = "b" if a == "a" else "a"
        pairs[tuple(sorted((p["model_a"], p["model_b"])))] = (
            p["n"], p[f"wins_{a}"], p[f"wins_{b}"], p["ties"], p["both_good"], p["both_bad"],
        )  # fmt: skip
    return {
        "counted": made["counts"]["counted"],
        "pairs": pairs,
        "percent": made["agreement"]["percent"],
        "alpha": made["agreement"]["krippendorff_alpha"],
    }


def recorded_votes(file: Path) -> Path:
    """Three raters on four prompts, in both slot orders, with ties, a second vote and one without texts."""
    rows = []
    for i in range(4):
        for rater, winner in (("ann", "model_a"), ("bob", "model_b"), ("cyd", ("tie", "both_bad")[i % 2])):
            first, second = ("x", "y") if (i + len(rater)) % 2 else ("y", "x")
            rows.append({
                "rater": rater, "prompt": f"Question {i}?", "model_a": first, "model_b": second,
                "response_a": f"{first} says {i}", "response_b": f"{second} says {i}", "winner": winner,
            })  # fmt: skip
    rows.append(rows[0])
    rows.append({"rater": "ann", "prompt": "Unknown texts?", "model_a": "x", "model_b": "y", "winner": "tie"})
    file.write_text("".join(json.dumps(r) + "\n" for r in rows), encoding="utf-8")
    return file


def test_replayed_votes_are_those_that_were_recorded(tmp_path):
    home = home_at(tmp_path / "home")
    made = replayed(home, "again", recorded_votes(tmp_path / "votes.jsonl"))
    assert (made.raters, made.votes) == (3, 12)
    assert made.left_out == {"second vote of one rater on one battle": 1, "no text": 1}
    db = open_writer(home)
    chosen = set(db.execute("SELECT chosen, count(*) FROM vote_pairs WHERE campaign = 'again' GROUP BY 1"))
    direct = set(db.execute("""SELECT chosen, count(DISTINCT rater) FROM vote_pairs
                               WHERE campaign = 'again recorded' GROUP BY 1"""))  # fmt: skip
    assert chosen == direct
    assert {r[0] for r in db.execute("SELECT DISTINCT kind FROM raters WHERE name LIKE 'sim-%'")} == {
        "simulated"
    }
    db.conn.close()


def test_replay_needs_a_file_with_texts(tmp_path):
    home = home_at(tmp_path / "home")
    bare = tmp_path / "bare.jsonl"
    bare.write_text(
        json.dumps({"rater": "a", "prompt": "q", "model_a": "x", "model_b": "y", "winner": "tie"}) + "\n"
    )
    with pytest.raises(UserError, match="no vote that can be given again"):
        replayed(home, "again", bare)
    db = open_writer(home)
    assert find_campaign(db, "again") is None
    db.conn.close()
    with pytest.raises(UserError, match="needs the file"):
        replayed(home, "again", None)


@pytest.mark.slow
@pytest.mark.parametrize(("source", "votes"), [("llmfao", 5635), ("pandalm", 1200)])
def test_real_crowds_say_the_same_over_http(tmp_path, shared_data, source, votes):
    home = home_at(tmp_path / "home")
    import_file(home, ImportKind.RESPONSES, str(shared_data / f"{source}_items.jsonl"), format="items")
    made = replayed(home, source, shared_data / f"{source}_votes.jsonl")
    assert (made.votes, made.left_out) == (votes, {})
    assert figures(home, source) == figures(home, f"{source} recorded")
