"""A campaign as MT-Bench and AlpacaEval read it, from the recorded verdicts of their own judges."""

import csv
import errno
import io
import json

import pytest

from arena.suite_files import write_files
from arena.suites import PEOPLE, SuiteName, suite
from db import files
from db.campaigns import battles_of
from db.catalog import add_scores
from db.entities.catalog import Score
from db.errors import UserError
from labeling.importing import ImportKind, import_file
from tests.test_arena_report import filled, scored, voted


def test_alpaca_eval_replayed_gives_the_published_leaderboard(home, db, shared_data, tmp_path):
    names = {"alpaca_eval_gpt4": "alpaca_eval_gpt4 vs text_davinci_003",
             "weighted_alpaca_eval_gpt4_turbo": "weighted_alpaca_eval_gpt4_turbo vs gpt4_1106_preview"}  # fmt: skip
    import_file(home, ImportKind.VERDICTS, str(shared_data / "arena_judge_prefs.jsonl"), campaign="alpaca")
    found = {(r.judge, r.model): r for r in suite(db, SuiteName.ALPACA_EVAL, "alpaca").rows}
    with (shared_data / "arena_published_winrates.csv").open(encoding="utf-8") as file:
        published = {(r["leaderboard"], r["model"]): r for r in csv.DictReader(file)}
    assert len(found) == 5
    for (judge, model), row in found.items():
        told = published[names[judge], model]
        assert (row.n_wins, row.n_wins_base, row.n_draws, row.n_total) == tuple(
            int(told[k]) for k in ("n_wins", "n_wins_base", "n_draws", "n_total")
        )
        assert row.win_rate == pytest.approx(float(told["win_rate"]))
        assert row.standard_error == pytest.approx(float(told["standard_error"]))
        assert row.length_controlled_winrate is None
        assert row.why["length_controlled_winrate"] == "fewer than 50 votes with both texts"


def test_mtbench_replayed_gives_each_models_share_by_category_and_turn(home, db, shared_data):
    import_file(home, ImportKind.PROMPTS, str(shared_data / "mtbench_questions.jsonl"))
    import_file(home, ImportKind.VERDICTS, str(shared_data / "mtbench_gpt4_pair.jsonl"), campaign="mtbench")
    made = suite(db, SuiteName.MTBENCH, "mtbench")
    found = {(r.judge, r.model, r.category, r.turn): r for r in made.rows}
    lines = (shared_data / "mtbench_questions.jsonl").read_text(encoding="utf-8").splitlines()
    category = {q["question_id"]: q["category"] for q in map(json.loads, lines)}
    points = {}
    for v in map(
        json.loads, (shared_data / "mtbench_gpt4_pair.jsonl").read_text(encoding="utf-8").splitlines()
    ):
        for side in ("model_a", "model_b"):
            won = 0.5 if v["winner"].startswith("tie") else float(v["winner"] == side)
            for key in ((category[v["question_id"]], str(v["turn"])), ("all", "all")):
                points.setdefault((v[side], *key), []).append(won)
    assert len({c for _, c, _ in points}) == 9
    for (model, kind, turn), won in points.items():
        row = found["gpt4_pair", model, kind, turn]
        assert (row.n, row.win_rate) == (len(won), pytest.approx(sum(won) / len(won)))
    head, *rows = csv.reader(io.StringIO(made.to_csv()))
    assert head[:4] == ["judge", "model", "category", "turn"]
    assert len(rows) == len(made.rows)


def test_people_and_a_scoring_judge_stand_in_both_tables(db):
    campaign = filled(db, prompts=60)
    voted(db, campaign, ["a", "b", "b"] * 20)
    scored(db, campaign, lambda model, i: float(model == "dpo") * (i % 5 != 0) + 1)
    rows = {(r.judge, r.model): r for r in suite(db, SuiteName.ALPACA_EVAL, "first").rows}
    assert rows[PEOPLE, "dpo"].win_rate == pytest.approx(200 / 3)
    assert (rows["rm", "dpo"].n_wins, rows["rm", "dpo"].n_draws) == (48, 12)
    assert rows["rm", "dpo"].avg_length > 5
    marks = {(r.judge, r.model, r.category): r for r in suite(db, SuiteName.MTBENCH, "first").rows}
    assert marks["rm", "dpo", "all"].score == pytest.approx(1.8)
    assert marks["rm", "sft", "code"].score == 1.0
    assert marks[PEOPLE, "dpo", "all"].win_rate == pytest.approx(2 / 3)


def test_nothing_judged_is_one_line(db):
    filled(db)
    with pytest.raises(UserError, match="nothing was judged"):
        suite(db, SuiteName.MTBENCH, "first")


def test_files_that_cannot_be_leave_nothing_behind(db, tmp_path, monkeypatch):
    voted(db, filled(db), ["a"])

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files, "put_folder", full)
    with pytest.raises(UserError, match="No space left"):
        write_files(db, tmp_path / "files", SuiteName.MTBENCH, "first")
    assert not [path for path in tmp_path.iterdir() if "files" in path.name]


@pytest.mark.parametrize("name", list(SuiteName))
def test_the_files_of_a_benchmark_come_back_in_with_the_same_table(home, db, tmp_path, name):
    campaign = filled(db, prompts=60)
    voted(db, campaign, ["a", "b", "b", "tie"] * 15)
    before = {
        (r.judge, r.model): r for r in suite(db, name, "first").rows if getattr(r, "category", "all") == "all"
    }
    made = write_files(db, tmp_path / "files", name, "first")
    judged = "model_judgment/people_pair.jsonl" if name is SuiteName.MTBENCH else "annotations/people.json"
    assert made.files[judged] == 60
    assert (tmp_path / "files" / "results.csv").exists()
    import_file(
        home, ImportKind.VERDICTS, str(tmp_path / "files" / judged), campaign="again", format=str(name)
    )
    after = {
        (r.judge, r.model): r for r in suite(db, name, "again").rows if getattr(r, "category", "all") == "all"
    }
    assert {m: r.win_rate for (_, m), r in after.items()} == {m: r.win_rate for (_, m), r in before.items()}
    with pytest.raises(UserError, match="is not empty"):
        write_files(db, tmp_path / "files", name, "first")


def test_marks_are_written_as_the_benchmark_names_them_and_come_back_in(home, db, tmp_path):
    campaign = filled(db, prompts=20)
    scored(db, campaign, lambda model, i: 3.0 + 4 * (model == "dpo") + i % 3)
    add_scores(db, [Score(b.response_a, "a reward model", -1.0) for b in battles_of(db, campaign.id)])
    before = {
        (r.model, r.category): r.score for r in suite(db, SuiteName.MTBENCH, "first").rows if r.judge == "rm"
    }
    made = write_files(db, tmp_path / "files", SuiteName.MTBENCH, "first")
    assert [f for f in made.files if "judgment" in f] == ["model_judgment/rm_single.jsonl"]
    file = tmp_path / "files" / "model_judgment" / "rm_single.jsonl"
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert len(rows) == made.files["model_judgment/rm_single.jsonl"] == 40
    assert {(r["model"], r["score"], r["turn"]) for r in rows} == {
        (m, x + 3 + 4 * (m == "dpo"), 1) for m in ("dpo", "sft") for x in (0.0, 1.0, 2.0)
    }
    renamed = tmp_path / "again.jsonl"
    renamed.write_text(
        "".join(json.dumps({**r, "judge": ["again", "single-v1"]}) + "\n" for r in rows), encoding="utf-8"
    )
    import_file(home, ImportKind.PROMPTS, str(tmp_path / "files" / "question.jsonl"), format="mtbench")
    import_file(home, ImportKind.SCORES, str(renamed), format="mtbench")
    after = {
        (r.model, r.category): r.score
        for r in suite(db, SuiteName.MTBENCH, "first").rows
        if r.judge == "again" and r.category != "general"  # what a prompt without a tag is called in the file
    }
    assert after == before
