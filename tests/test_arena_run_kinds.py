"""The kinds of run as a script calls them: what they freeze, register and compare, with real training on tiny models."""

import json
import random
from pathlib import Path

import pytest

from arena.judging import reward_judge
from arena.upkeep import check
from db import runs
from db.answers import snapshot_answers
from db.campaigns import create_campaign
from db.catalog import get_model
from db.entities.campaigns import CampaignSettings
from db.entities.catalog import ModelKind, Split
from db.entities.runs import RunKind
from db.errors import UserError
from db.figures import trained_prompts
from db.snapshots import get_snapshot, pair_sets
from tests.workshop import give_votes, refused, run, trainable_home, weights
from training.folders import verify
from training.snapshots import flip_rate

QUICK = ["--from", "one", "--preset", "smoke", "--json"]


@pytest.fixture
def home(tmp_path):
    return trainable_home(tmp_path / "home")


def qa_file(folder, n=12):
    path = folder / "facts.jsonl"
    rows = [{"question": f"What is {i} and {i}?", "answer": f"It is {2 * i}."} for i in range(n)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_sft_on_a_file_registers_a_candidate_and_opens_its_rematch(home, db, tmp_path):
    made = run(home, "train", "sft", *QUICK, "--data", qa_file(tmp_path), "--name", "taught")
    assert made.code == 0, made.err
    assert (made.json["kind"], made.json["model"], made.json["parent"]) == ("sft", "taught", "one")
    assert made.json["reference_proof"] is None
    assert made.json["rematch"] == "taught rematch"
    model = get_model(db, "taught")
    assert run(home, "models", "show", "taught", "--json").json["run"] == "taught"
    assert (model.kind, model.adapter) == (ModelKind.ADAPTER, "runs/taught/model")
    verify(Path(home.locate(model.adapter)))
    snapshot = get_snapshot(db, made.json["snapshot"])
    assert snapshot.source == "answers:facts"
    answers = snapshot_answers(db, snapshot.id)
    assert len(answers) == 12
    assert {a.prompt for a in answers if a.split is Split.TRAIN} == trained_prompts(db, "taught")
    assert [p for p in check(home) if "snapshot" in p or "model" in p or "train" in p] == []
    again = run(home, "train", "sft", *QUICK, "--data", "facts", "--name", "again", "--no-rematch")
    assert again.json["snapshot"] == snapshot.id


def test_sft_learns_the_chosen_sides_of_votes(home, voted):
    made = run(home, "train", "sft", *QUICK, "--campaign", "first", "--no-rematch").json
    assert made["metrics"]["counts"]["trained"] == 8
    lines = [json.loads(s) for s in (home.runs / made["run"] / "pairs.jsonl").read_text().splitlines()]
    assert all("thank you" in line["chosen"][0]["content"] for line in lines)
    assert snapshot_answers(voted, made["snapshot"]) == []


def test_kto_learns_from_the_same_votes_one_answer_at_a_time(home, voted):
    made = run(home, "train", "kto", *QUICK, "--campaign", "first").json
    assert made["reference_proof"]["ok"] is True
    assert made["reference_proof"]["expected_loss"] == 0.5
    assert made["rematch"] == "one-r1 rematch"
    answers = snapshot_answers(voted, made["snapshot"])
    assert [a.good for a in answers].count(True) == 8
    assert [a.good for a in answers].count(False) == 8
    assert all(len(a.votes) == 1 for a in answers)
    assert [p for p in check(home) if "snapshot" in p or "model" in p or "train" in p] == []


def test_a_reward_model_is_found_by_its_name_and_compared_on_held_out_pairs(home, db, tmp_path):
    pairs = tmp_path / "polite.jsonl"
    rows = [
        {"prompt": f"Ask {i}", "chosen": f"Yes, thank you: {i}.", "rejected": f"No. Sorry {i}"}
        for i in range(60)
    ]
    pairs.write_text("".join(json.dumps(row) + "\n" for row in rows))
    made = run(home, "train", "reward", "--from", "one", "--preset", "starter", "--set", "epochs=6",
               "--set", "learning_rate=5e-3", "--pairs", pairs, "--name", "taste", "--json")  # fmt: skip
    assert made.code == 0, made.err
    own, stock = made.json["metrics"]["heldout"]
    assert (own["scorer"], own["accuracy"]) == ("taste", 1.0)
    assert stock["scorer"] == str(weights() / "reward")
    assert own["n"] == stock["n"] > 0
    assert 0 <= stock["ci95"][0] <= stock["accuracy"] <= stock["ci95"][1] <= 1
    assert made.json["rematch"] is None
    model = get_model(db, "taste")
    assert (model.kind, model.quantize) == (ModelKind.CHECKPOINT, None)
    assert reward_judge(db, home, "taste").source == home.locate("runs/taste/model")
    scored = run(home, "judge", "first", "--with", "reward", "--model", "taste")
    assert scored.code == 0, scored.err
    assert "it scores answers and writes none" in refused(
        run(home, "generate", "--models", "taste", "--prompts", "questions")
    )


def test_pairs_are_not_made_of_answers(home, db, tmp_path):
    made = run(home, "train", "sft", *QUICK, "--data", qa_file(tmp_path), "--no-rematch").json
    for kind in ("dpo", "reward"):
        assert "holds answers one by one" in refused(
            run(home, "train", kind, *QUICK, "--snapshot", made["snapshot"])
        )


@pytest.mark.parametrize("kind", ["sft", "kto", "reward"])
def test_preflight_of_each_kind_trains_nothing(home, voted, kind):
    shown = run(home, "train", kind, *QUICK, "--campaign", "first", "--preflight")
    assert shown.code == 0, shown.err
    assert shown.json["trained"] == {"sft": 8, "kto": 16, "reward": 8}[kind]
    assert len(shown.json["rendered"]) == 3
    words = run(home, "train", kind, *QUICK[:-1], "--campaign", "first", "--preflight").out
    assert f"{shown.json['trained']} of {shown.json['trained']}" in words
    assert runs.list_runs(voted) == []


@pytest.mark.parametrize("kind", ["dpo", "kto", "reward"])
def test_every_kind_takes_the_options_of_every_other(home, db, tmp_path, kind):
    pairs = tmp_path / "polite.jsonl"
    rows = [{"prompt": f"Ask {i}", "chosen": f"Yes: {i}.", "rejected": f"No. {i}"} for i in range(12)]
    pairs.write_text("".join(json.dumps(row) + "\n" for row in rows))
    words = ("train", kind, *QUICK, "--data", pairs, "--reference", "parent", "--against", "parent")
    ran = run(home, *words, "--no-rematch", "--preflight")
    assert ran.code == 0, ran.err
    assert [name for name, *_ in pair_sets(db)] == ["polite"]
    assert ran.json["trained"] > 0


def test_an_option_that_means_nothing_to_a_kind_is_one_line(home):
    assert "leave --reference out" in refused(
        run(home, "train", "sft", *QUICK, "--campaign", "first", "--reference", "two")
    )
    assert "leave --against out" in refused(
        run(home, "train", "reward", *QUICK, "--campaign", "first", "--against", "two")
    )


def test_unknown_data_and_two_sources_are_one_line(home, tmp_path):
    assert "there are no answers named 'nothing'" in refused(
        run(home, "train", "sft", *QUICK, "--data", "nothing")
    )
    words = refused(run(home, "train", "sft", *QUICK, "--data", "x", "--campaign", "first"))
    assert "give one of --campaign, --pairs, --data or --snapshot" in words


def test_the_flip_rate_is_that_of_the_votes():
    assert flip_rate([(2, 0), (0, 3)]) == 0.0
    assert flip_rate([(3, 1), (1, 1)]) == 0.45  # four of seven pairs of votes differ: worse than chance
    # One battle is split 2:1 (2 of its 3 pairs differ), nine of three votes are not: d = 2 / 30.
    assert flip_rate([(2, 1), *[(3, 0)] * 9]) == pytest.approx((1 - (1 - 4 / 30) ** 0.5) / 2)
    with pytest.raises(UserError, match="no two votes are on one battle"):
        flip_rate([(1, 0), (0, 1)])


def test_the_flip_rate_finds_the_share_that_was_turned_round():
    rng = random.Random(5)
    for e in (0.05, 0.2, 0.35):
        a = [sum(rng.random() >= e for _ in range(5)) for _ in range(4000)]
        assert flip_rate([(n, 5 - n) for n in a]) == pytest.approx(e, abs=0.02)


def test_the_robust_loss_takes_the_measured_rate(home, voted):
    words = refused(run(home, "train", "dpo", *QUICK, "--campaign", "first", "--set", "loss=robust",
                        "--set", "label_smoothing=measured"))  # fmt: skip
    assert "no two votes are on one battle" in words
    create_campaign(voted, "twice", ("one", "two"), "questions:train", CampaignSettings(overlap=2))
    give_votes(voted, "twice", 8)
    give_votes(voted, "twice", 2, polite=False)
    give_votes(voted, "twice", 6)
    made = run(home, "train", "dpo", *QUICK, "--campaign", "twice", "--set", "loss=robust", "--no-rematch",
               "--set", "label_smoothing=measured")  # fmt: skip
    assert made.code == 0, made.err
    recorded = runs.get_run(voted, made.json["run"]).settings
    assert recorded["label_smoothing"] == pytest.approx((1 - (1 - 2 * 2 / 8) ** 0.5) / 2, abs=1e-4)


@pytest.mark.parametrize("kind", RunKind)
def test_a_dry_run_says_what_would_be_and_leaves_no_run(home, voted, kind):
    would = run(home, "train", kind, "--from", "one", "--campaign", "first", "--dry-run", "--json",
                "--set", "learning_rate=9e-5", "--set", "lora=false", "--set", "epochs=2")  # fmt: skip
    assert would.code == 0, would.err
    rows = {RunKind.KTO: 16}.get(kind, 8)
    assert (would.json["kind"], would.json["name"], would.json["preset"]) == (kind, "one-r1", "starter")
    assert (would.json["trained"], would.json["steps"]) == (rows, 2)
    assert would.json["settings"]["learning_rate"] == 9e-5
    assert any("learning_rate" in w for w in would.json["warnings"])
    assert any("under 200" in w for w in would.json["warnings"])
    assert would.json["why"].endswith(".")
    memory = would.json["memory"]
    assert memory["estimate"] == sum(memory["parts"].values())
    assert memory["free"] > memory["estimate"] > 0
    assert memory["fits"]
    assert would.json["fitted"] == []
    assert runs.list_runs(voted) == []
    assert not (home.runs / "one-r1").exists()


def test_a_run_that_is_too_large_says_what_would_fit_and_fit_does_it(home, voted):
    words = (
        "train",
        "dpo",
        "--from",
        "one",
        "--campaign",
        "first",
        "--dry-run",
        "--set",
        "batch_size=90000000",
    )
    said = run(home, *words)
    assert "too much for this machine; to make it fit, --fit would set: --set batch_size=" in said.out
    fitted = run(home, *words, "--fit", "--json").json
    assert fitted["memory"]["fits"]
    assert fitted["settings"]["batch_size"] < 90_000_000
    assert fitted["settings"]["batch_size"] * fitted["settings"]["gradient_accumulation"] >= 90_000_000
    assert "fewer rows at a time" in fitted["fitted"][0]


def test_preflight_counts_the_votes_behind_the_rows(home, voted):
    shown = run(home, "train", "dpo", "--from", "one", "--campaign", "first", "--preflight", "--json").json
    assert shown["balance"]["votes"] > 0
    assert shown["balance"]["rater"]["of"] >= 1
    assert any("under 200" in w for w in shown["warnings"])
    assert set(shown["left_out"]) <= {
        "tie",
        "both_good",
        "both_bad",
        "outvoted",
        "contradiction",
        "simulated rater",
    }
    assert [piece for row in shown["rendered"] for piece in row["pieces"]]
