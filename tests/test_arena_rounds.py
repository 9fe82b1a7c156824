"""One turn of the loop with real training on tiny checkpoints: votes in, candidate and blind rematch out."""

import json
import math
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from arena import jobs
from arena.demo import SFT_DPO, SIMULATED, seed
from arena.rematch import open_rematch
from arena.rounds import retrain
from arena.run_plans import Request, next_name, plan, preflight, request_from, settings_of
from db import runs
from db.campaigns import battles_of, create_campaign, get_campaign, list_campaigns
from db.catalog import (
    add_model,
    add_prompts,
    add_responses,
    find_model,
    get_model,
    get_prompt,
    get_response,
    list_models,
    prompts_of,
    responses_of,
    scores_of_campaign,
    set_setting,
)
from db.connection import PROJECT, home_at, open_writer
from db.entities.campaigns import CampaignSettings, CampaignStatus, Purpose
from db.entities.catalog import ModelKind, Prompt, Response, Split
from db.entities.runs import JobStatus, RunStatus
from db.errors import Conflict, NotFound, UserError
from db.snapshots import find_snapshot, get_snapshot, snapshot_rows
from tests.workshop import QUICK, ended, give_votes, refused, run, trainable_home, wait_for, weights
from training.folders import verify
from training.snapshots import Source
from training.starter import WEIGHTS
from training.starter.votes import win_rate

FIRST = Request(parent="one", source=Source(("first",)), preset="smoke")


@pytest.fixture
def home(tmp_path):
    return trainable_home(tmp_path / "home")


def turn(db, home, request=FIRST):
    with jobs.this_job(db, ["train", "dpo"]) as job:
        return retrain(db, home, request, job)


# -- a whole turn ----------------------------------------------------------------------------------------------


def test_a_whole_turn(home, voted):
    made = turn(voted, home)
    assert made.note == ""
    run_ = made.run
    assert (run_.name, run_.model, run_.parent, run_.status) == (
        "one-r1",
        "one-r1",
        "one",
        RunStatus.SUCCEEDED,
    )
    assert run_.job == runs.list_jobs(voted)[0].id
    assert run_.reference_proof["ok"] is True
    assert run_.reference_proof["margin"] == 0.0
    assert run_.reference_proof["loss"] == pytest.approx(math.log(2), abs=1e-6)
    assert run_.settings["reference"] == "one"
    assert settings_of(run_).max_steps == 3
    assert run_.metrics["counts"]["trained"] == 8
    assert [step for step, _ in runs.metrics_of(voted, run_.id)["loss"]] == [1, 2, 3]

    candidate = get_model(voted, "one-r1")
    assert (candidate.kind, candidate.parent, candidate.run) == (ModelKind.ADAPTER, "one", run_.id)
    assert candidate.source == str(weights() / "one")
    assert candidate.adapter == "runs/one-r1/model"
    verify(Path(home.locate(candidate.adapter)))
    snapshot = get_snapshot(voted, run_.snapshot)
    assert (snapshot.train, snapshot.heldout, snapshot.source) == (8, 0, "votes:first")


def test_the_two_campaigns_of_a_candidate(home, voted):
    first = get_campaign(voted, "first")
    run_ = turn(voted, home).run
    rematch, collect = get_campaign(voted, run_.rematch), get_campaign(voted, "one-r1 collect")
    assert (rematch.name, run_.rematch) == ("one-r1 rematch", "one-r1 rematch")
    for campaign, purpose, overlap, split in (
        (rematch, Purpose.EVALUATE, 5, Split.HELDOUT),
        (collect, Purpose.COLLECT, 1, Split.TRAIN),
    ):
        assert campaign.models == ("one-r1", "one")
        assert campaign.status is CampaignStatus.OPEN
        assert (campaign.settings.purpose, campaign.settings.overlap) == (purpose, overlap)
        assert (campaign.parent_run, campaign.lineage) == (run_.id, first.lineage)
        assert campaign.prompts == f"questions:{split}"
        asked = {get_prompt(voted, b.prompt).split for b in battles_of(voted, campaign.id)}
        assert asked == {split}
    assert len(battles_of(voted, rematch.id)) <= 12


def test_responses_are_drawn_like_the_parents_and_scored(home, voted):
    run_ = turn(voted, home).run
    drawn = list(responses_of(voted, "one-r1"))
    assert len(drawn) == 20
    assert {r.settings["max_new_tokens"] for r in drawn} == {8}
    for campaign in (get_campaign(voted, run_.rematch), get_campaign(voted, "one-r1 collect")):
        wanted = {r for b in battles_of(voted, campaign.id) for r in (b.response_a, b.response_b)}
        assert set(scores_of_campaign(voted, campaign.id)[str(weights() / "reward")]) == wanted


def test_the_criteria_and_consent_of_the_votes_go_on_and_their_limits_do_not(home, db):
    settings = CampaignSettings(
        criteria=("tone",),
        guidelines="Be fair.",
        consent_text="Yes?",
        reveal="end",
        target=3,
        rater_cap=8,
        overlap=2,
    )
    create_campaign(db, "asked", ("one", "two"), "questions:train", settings)
    votes_of(db, "asked")
    run_ = turn(db, home, replace(FIRST, source=Source(("asked",)))).run
    assert get_campaign(db, run_.rematch).settings == replace(
        settings, purpose=Purpose.EVALUATE, overlap=5, target=None, rater_cap=None
    )


def votes_of(db, name):
    """Eight imported votes for the polite answers of a campaign."""
    from db.entities.votes import Outcome, RaterKind
    from db.imports import ImportCounts, ImportedVote, add_imported_votes, begin_import, finish_import
    from db.raters import add_rater

    campaign = get_campaign(db, name)
    rater = add_rater(db, "someone", RaterKind.PERSON)
    import_id = begin_import(db, "votes", "a test", campaign.id)
    add_imported_votes(db, [
        ImportedVote(f"{name}-{b.id}", campaign.id, b.id, rater, Outcome.A, None)
        for b in battles_of(db, campaign.id)
    ], import_id)  # fmt: skip
    finish_import(db, import_id, ImportCounts(8, 8, 0, 0))


def test_a_second_round_goes_on_from_the_candidates_adapter(home, voted):
    turn(voted, home)
    give_votes(voted, "one-r1 collect", len(battles_of(voted, get_campaign(voted, "one-r1 collect").id)))
    voted.conn.execute(
        "INSERT INTO promotions(model, reason) SELECT id, 'it was good' FROM models WHERE name = 'two'"
    )
    both = Source(("first", "one-r1 collect"))
    further = ("learning_rate=0.02", "max_steps=10")  # far enough to say something else
    made = turn(voted, home, Request(parent="one-r1", source=both, preset="smoke", overrides=further))
    assert made.note == ""
    run_ = made.run
    assert (run_.name, run_.parent, run_.status) == ("one-r2", "one-r1", RunStatus.SUCCEEDED)
    assert run_.reference_proof["margin"] == 0.0
    second = get_model(voted, "one-r2")
    assert (second.kind, second.source) == (ModelKind.ADAPTER, str(weights() / "one"))
    assert second.adapter == "runs/one-r2/model"
    rematch = get_campaign(voted, run_.rematch)
    assert rematch.models == ("one-r2", "one-r1", "two"), "the champion is a further rival"
    assert get_campaign(voted, "one-r2 collect").models == ("one-r2", "one-r1")
    assert rematch.lineage == get_campaign(voted, "first").lineage


def test_full_training_makes_a_checkpoint(home, voted):
    made = turn(voted, home, replace(FIRST, overrides=("lora=false",), name="whole", rematch=False))
    whole = get_model(voted, "whole")
    assert (whole.kind, whole.source, whole.adapter) == (ModelKind.CHECKPOINT, "runs/whole/model", None)
    assert (made.rematch, made.note) == (None, "")
    assert [c.name for c in list_campaigns(voted)] == ["first"]


def test_another_reference_is_proven_too(home, voted):
    run_ = turn(voted, home, replace(FIRST, reference="two", rematch=False)).run
    assert run_.settings["reference"] == "two"
    proof = run_.reference_proof
    assert proof["ok"] is True
    assert proof["margin"] == pytest.approx(proof["expected_margin"], abs=1e-3)
    assert proof["expected_margin"] != 0.0


def test_pairs_of_a_file_train(home, db, tmp_path):
    pairs = tmp_path / "polite.jsonl"
    rows = [{"prompt": f"Pair {i}?", "chosen": f"Yes {i}", "rejected": f"No {i}"} for i in range(12)]
    pairs.write_text("".join(json.dumps(r) + "\n" for r in rows), encoding="utf-8")
    ran = run(home, "train", "dpo", "--from", "one", "--pairs", pairs, *QUICK, "--no-rematch", "--json")
    assert ran.code == 0, ran.err
    snapshot = get_snapshot(db, ran.json["snapshot"])
    assert snapshot.source == "pairs:polite"
    assert snapshot.train + snapshot.heldout == 12
    again = run(home, "train", "dpo", "--from", "one", "--pairs", "polite", *QUICK, "--no-rematch", "--json")
    assert again.json["snapshot"] == snapshot.id
    by_id = run(
        home, "train", "dpo", "--from", "one", "--snapshot", snapshot.id[:8], *QUICK, "--no-rematch", "--json"
    )
    assert by_id.json["run"] == "one-r3"


# -- what fails ------------------------------------------------------------------------------------------------


def test_model_and_success_come_together_or_not_at_all(home, voted):
    voted.execute(
        """CREATE TRIGGER broken_here BEFORE UPDATE OF status ON runs WHEN new.status = 'succeeded'
        BEGIN SELECT raise(ABORT, 'the power went'); END"""
    )
    with pytest.raises(Exception, match="the power went"):
        turn(voted, home)
    assert find_model(voted, "one-r1") is None
    run_ = runs.get_run(voted, "one-r1")
    assert (run_.status, run_.model, run_.error) == (RunStatus.FAILED, None, "the power went")
    assert runs.list_jobs(voted)[0].status is JobStatus.FAILED
    voted.execute("DROP TRIGGER broken_here")
    assert turn(voted, home).run.name == "one-r2", "a failed run keeps its name and its folder"


def test_training_that_fails_is_failed_with_its_reason(home, voted):
    with pytest.raises(UserError, match=r"cannot be compared|tokenizer"):
        turn(voted, home, replace(FIRST, reference=stranger(voted)))
    run_ = runs.get_run(voted, "one-r1")
    assert run_.status is RunStatus.FAILED
    assert "tokenizer" in run_.error
    assert find_model(voted, "one-r1") is None
    assert runs.list_jobs(voted)[0].exit_code == 2


def stranger(db):
    """A checkpoint with another vocabulary."""
    from tests.tiny import tiny_llama

    folder = weights() / "stranger"
    if not folder.exists():
        tiny_llama(folder, seed=2, corpus=["wholly other words, zzz zzz zzz"])
    add_model(db, "stranger", ModelKind.CHECKPOINT, source=str(folder))
    return "stranger"


def test_cancelled_in_the_middle_nothing_is_registered(home, voted):
    with jobs.this_job(voted, ["train", "dpo"]) as job:
        lines = []

        def after_two_steps(line):
            lines.append(line)
            job.stopping = job.stopping or "step 1 of" in line

        job.echo = after_two_steps
        with pytest.raises(UserError, match="cancelled at step 2 of 3"):
            retrain(voted, home, FIRST, job)
    run_ = runs.get_run(voted, "one-r1")
    assert (run_.status, run_.model) == (RunStatus.CANCELLED, None)
    assert find_model(voted, "one-r1") is None
    assert not (home.runs / "one-r1" / "model").exists()
    assert runs.list_jobs(voted)[0].status is JobStatus.CANCELLED


def test_one_run_at_a_time(home, voted):
    request = replace(FIRST, name="first-one")
    with jobs.this_job(voted, ["train", "dpo"]) as job:
        made = plan(voted, home, request)
        runs.add_run(
            voted, "first-one", "dpo", parent="one", snapshot=made.snapshot.id, folder="runs/first-one",
            settings={}, campaign=None, job=job.id, pid=os.getpid(), pid_started=jobs.own_start(),
        )  # fmt: skip
        with pytest.raises(Conflict, match="run 'first-one' is training; wait for it or cancel its job"):
            retrain(voted, home, FIRST, job)
    assert [r.name for r in runs.list_runs(voted)] == ["first-one"]
    assert not (home.runs / "one-r1").exists()


def test_a_dead_run_does_not_stand_in_the_way(home, voted):
    snapshot = plan(voted, home, FIRST).snapshot
    runs.add_run(voted, "dead", "dpo", parent="one", snapshot=snapshot.id, folder="runs/dead", settings={},
                 campaign=None, job=None, pid=os.getpid(), pid_started=1.0)  # fmt: skip
    assert turn(voted, home, replace(FIRST, rematch=False)).run.status is RunStatus.SUCCEEDED
    assert runs.get_run(voted, "dead").status is RunStatus.FAILED


def test_the_run_stays_succeeded_where_scores_cannot_be_had(home, voted):
    set_setting(voted, "reward_model", str(weights() / "one"))
    made = turn(voted, home)
    assert made.run.status is RunStatus.SUCCEEDED
    assert made.rematch == made.run.rematch == "one-r1 rematch"
    assert made.note.startswith("one-r1 is registered, but its rematch lacks something: ")
    assert {c.status for c in list_campaigns(voted)} == {CampaignStatus.OPEN}
    assert runs.list_jobs(voted)[0].status is JobStatus.SUCCEEDED


def test_the_run_stays_succeeded_where_there_is_nothing_to_compare(tmp_path):
    home = trainable_home(tmp_path / "home", heldout=0)
    db = open_writer(home)
    give_votes(db)
    made = turn(db, home)
    assert made.run.status is RunStatus.SUCCEEDED
    assert (made.rematch, made.run.rematch) == (None, None)
    assert "one-r1 is registered, but it has no rematch" in made.note
    assert "import more prompts" in made.note
    assert [c.name for c in list_campaigns(db)] == ["first", "one-r1 collect"]
    db.conn.close()


def test_few_held_out_prompts_are_a_warning(tmp_path):
    home = trainable_home(tmp_path / "home", heldout=3)
    db = open_writer(home)
    give_votes(db)
    ran = run(home, "train", "dpo", "--from", "one", "--campaign", "first", *QUICK, "--json")
    assert ran.code == 0
    assert "only 3 held-out prompts" in ran.err
    assert ran.json["rematch"] == "one-r1 rematch"
    db.conn.close()


# -- whom it meets ---------------------------------------------------------------------------------------------


def candidate(db, name="cand", parent="one", answers=True):
    """A model that answered every prompt in a way of its own."""
    model = add_model(db, name, ModelKind.RECORDED, parent=parent)
    if answers:
        add_responses(db, [Response.of(p.id, name, f"{name} on {p.text}") for p in prompts_of(db, "all")])
    return model


def test_against_whom(home, db):
    first = candidate(db, "first-child")
    second = candidate(db, "second-child", parent="first-child")
    candidate(db, "rival")

    def rivals(model, against):
        return get_campaign(db, open_rematch(db, home, model, None, against, lambda *_: None)).models[1:]

    assert rivals(second, "parent") == ("first-child",)
    assert rivals(second, "base") == ("one",)
    assert rivals(second, "rival") == ("rival",)
    assert rivals(second, "champion") == ("first-child",), "no champion yet: the parent"
    db.conn.execute(
        "INSERT INTO promotions(model, reason) SELECT id, 'good' FROM models WHERE name = 'rival'"
    )
    assert rivals(second, "champion") == ("rival",)
    assert rivals(second, "parent") == ("first-child", "rival")
    assert rivals(first, "parent") == ("one", "rival")


def test_names_of_campaigns_are_free_and_short_enough(home, db):
    model = candidate(db, "m" * 80)
    first = open_rematch(db, home, model, None, "parent", lambda *_: None)
    second = open_rematch(db, home, model, None, "parent", lambda *_: None)
    assert (first, second) == ("m" * 60 + " rematch", "m" * 60 + " rematch 2")


def test_a_recorded_rival_plays_with_what_it_has(home, db):
    candidate(db, "half", answers=False)
    some = prompts_of(db, "heldout")[:4] + prompts_of(db, "train")[:1]
    add_responses(db, [Response.of(p.id, "half", f"half on {p.text}") for p in some])
    rematch = get_campaign(db, open_rematch(db, home, candidate(db), None, "half", lambda *_: None))
    assert len(battles_of(db, rematch.id)) == 4


def test_the_next_free_name(home, db):
    one = get_model(db, "one")
    assert next_name(db, one) == "one-r1"
    candidate(db, "one-r1", answers=False)
    assert next_name(db, one) == "one-r2"
    assert next_name(db, get_model(db, "one-r1")) == "one-r2"


# -- the wall --------------------------------------------------------------------------------------------------


def test_held_out_prompts_never_train_and_are_measured_on(home, db):
    create_campaign(db, "both", ("one", "two"), "questions", CampaignSettings())
    votes_of(db, "both")
    snapshot = plan(db, home, replace(FIRST, source=Source(("both",)))).snapshot
    assert (snapshot.train, snapshot.heldout) == (8, 12)
    for row in snapshot_rows(db, snapshot.id):
        assert row.part == get_prompt(db, row.prompt_id).split
    heldout = prompts_of(db, "heldout")[0]
    a, b = (r.id for m in ("one", "two") for r in responses_of(db, m) if r.prompt == heldout.id)
    with pytest.raises(Exception, match="a held-out prompt must not be trained on"):
        db.conn.execute(
            "INSERT INTO snapshot_pairs(snapshot, position, part, prompt, chosen, rejected) VALUES (?, 99, 'train', ?, ?, ?)",
            (snapshot.id, heldout.id, a, b),
        )


def test_votes_of_a_rematch_never_train(home, db):
    create_campaign(db, "measured", ("one", "two"), "questions", CampaignSettings(purpose=Purpose.EVALUATE))
    votes_of(db, "measured")
    with pytest.raises(UserError, match=r"0 pairs to train on .*evaluate campaign"):
        plan(db, home, replace(FIRST, source=Source(("measured",))))
    give_votes(db)
    snapshot = plan(db, home, FIRST).snapshot
    vote = db.conn.execute(
        "SELECT v.id FROM votes v JOIN campaigns c ON c.id = v.campaign WHERE c.name = 'measured'"
    ).fetchone()[0]
    a_pair = db.conn.execute("SELECT prompt, chosen, rejected FROM snapshot_pairs").fetchone()
    with pytest.raises(Exception, match="votes of an evaluate campaign never train"):
        db.conn.execute(
            "INSERT INTO snapshot_pairs(snapshot, position, part, prompt, chosen, rejected, votes) VALUES (?, 99, 'train', ?, ?, ?, ?)",
            (snapshot.id, *a_pair, json.dumps([vote])),
        )


def test_a_snapshot_is_its_pairs(home, voted):
    first = plan(voted, home, FIRST).snapshot
    assert plan(voted, home, replace(FIRST, name="other")).snapshot == first
    add_prompts(voted, [Prompt.of([{"role": "user", "content": "unrelated"}], Split.TRAIN)])
    assert plan(voted, home, FIRST).snapshot.id == first.id
    create_campaign(voted, "second", ("two", "one"), "questions:train", CampaignSettings())
    give_votes(voted, "second", 3, polite=True)
    both = replace(FIRST, source=Source(("first", "second")))
    assert plan(voted, home, both).snapshot.id != first.id
    assert plan(voted, home, FIRST).snapshot.id == first.id, "votes elsewhere change nothing"


# -- before it starts ------------------------------------------------------------------------------------------


def test_preflight_shows_the_rows_and_trains_nothing(home, voted):
    shown = preflight(voted, home, FIRST)
    assert (shown.train, shown.trained, shown.heldout) == (8, 8, 0)
    assert "thank you" in "".join(t.text for t in shown.rendered[0].chosen)
    assert runs.list_runs(voted) == []
    ran = run(home, "train", "dpo", "--from", "one", "--campaign", "first", "--preflight", "--json")
    assert ran.code == 0
    assert ran.json["trained"] == 8
    assert list(ran.json["problems"]) == list(shown.problems)
    lines = run(home, "train", "dpo", "--from", "one", "--campaign", "first", "--preflight")
    assert lines.out.startswith("8 of 8 pairs would train, 0 of 0 are held out\n")


OPTIONS = {
    "parent": "one", "campaigns": (), "pairs": None, "snapshot": None, "preset": None, "overrides": (),
    "policy": "majority", "no_simulated": False, "reference": "parent", "against": "parent", "no_rematch": False,
    "name": None,
}  # fmt: skip


def test_what_to_train_on_is_said_once(home):
    for given in ({}, {"campaigns": ("first",), "pairs": "x"}, {"pairs": "x", "snapshot": "y"}):
        with pytest.raises(UserError, match="give one of --campaign, --pairs or --snapshot"):
            request_from(home, OPTIONS | given)
    made = request_from(
        home, OPTIONS | {"campaigns": ("first", "second"), "no_simulated": True, "policy": "vote"}
    )
    assert made.source == Source(("first", "second"))
    assert (made.policy.method, made.policy.simulated) == ("vote", False)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--from", "nobody", "--campaign", "first"], "there is no model 'nobody'"),
        (["--from", "one", "--campaign", "nothing"], "there is no campaign 'nothing'"),
        (["--from", "one", "--pairs", "/nowhere.jsonl"], "there is no pair set '/nowhere.jsonl'"),
        (["--from", "one", "--snapshot", "abcdef00"], "there is no snapshot 'abcdef00'"),
        (["--from", "one", "--snapshot", "______"], "there is no snapshot"),
        (["--from", "one"], "say once what to train on"),
        (["--from", "one", "--campaign", "first", "--preset", "huge"], "there is no preset 'huge'"),
        (["--from", "one", "--campaign", "first", "--set", "colour=red"], "'colour=red' sets nothing"),
        (["--from", "one", "--campaign", "first", "--set", "beta=-1"], "beta=-1.0 is out of range"),
        (["--from", "one", "--campaign", "first", "--set", "epochs=many"], "epochs=many is not possible"),
        (["--from", "one", "--campaign", "first", "--set", "nonsense"], "'nonsense' sets nothing"),
        (["--from", "one", "--campaign", "first", "--name", "../x"], "'../x' cannot be the name"),
        (["--from", "one", "--campaign", "first", "--name", "two"], "already a model named 'two'"),
        (["--from", "one", "--campaign", "first", "--reference", "nobody"], "there is no model 'nobody'"),
        (["--from", "one", "--campaign", "first", "--against", "nobody"], "there is no model 'nobody'"),
        (["--from", "one", "--campaign", "empty"], "0 pairs to train on (no votes that count)"),
    ],
)
def test_what_cannot_be_trained_is_one_line_and_leaves_nothing(home, voted, words, reason):
    create_campaign(voted, "empty", ("one", "two"), "questions:heldout", CampaignSettings())
    ran = (
        run(home, "train", "dpo", *words, *QUICK)
        if "--preset" not in words
        else run(home, "train", "dpo", *words)
    )
    assert reason in refused(ran)
    assert runs.list_runs(voted) == []
    assert list(home.runs.iterdir()) == []


def test_too_few_and_one_sided_votes(home, db):
    give_votes(db, votes=1)
    line = refused(run(home, "train", "dpo", "--from", "one", "--campaign", "first", *QUICK))
    assert "votes:first gives 1 pairs to train on" in line
    assert "collect at least 2 votes" in line


def test_models_without_weights_cannot_be_trained(home, voted):
    candidate(voted, "old")
    assert "'old' has no weights here" in refused(
        run(home, "train", "dpo", "--from", "old", "--campaign", "first")
    )


def test_a_tokenizer_without_an_end_token_is_refused(home, voted):
    from tests.tiny import tiny_llama

    folder = weights() / "endless"
    if not folder.exists():
        tiny_llama(folder, eos=None)
    add_model(voted, "endless", ModelKind.CHECKPOINT, source=str(folder))
    line = refused(run(home, "train", "dpo", "--from", "endless", "--campaign", "first", *QUICK))
    assert "end" in line
    assert runs.list_runs(voted)[0].status is RunStatus.FAILED


def test_a_folder_that_is_in_the_way(home, voted):
    (home.runs / "mine").mkdir()
    (home.runs / "mine" / "precious").write_text("keep", encoding="utf-8")
    words = ["train", "dpo", "--from", "one", "--campaign", "first", "--name", "mine", *QUICK]
    assert "mine is not empty" in refused(run(home, *words))
    assert (home.runs / "mine" / "precious").read_text(encoding="utf-8") == "keep"
    assert runs.list_runs(voted) == []


def test_an_unknown_model_says_which_there_are(home, db):
    with pytest.raises(NotFound, match="use one of: one, two"):
        plan(db, home, replace(FIRST, parent="three"))
    assert [m.name for m in list_models(db)] == ["one", "two"]


@pytest.mark.slow
@pytest.mark.skipif(not WEIGHTS.is_dir(), reason="the starter weights are not here: make starter")
def test_the_starter_model_gets_better_by_the_worlds_rubric(tmp_path):
    home = home_at(tmp_path / "starter")
    db = open_writer(home)
    seed(db)
    made = turn(db, home, Request(parent="starter-sft", source=Source((SIMULATED,)), overrides=("epochs=2",)))
    assert made.note == ""
    rematch = get_campaign(db, made.run.rematch)
    assert (rematch.demo, rematch.lineage) == ("starter", get_campaign(db, SFT_DPO).lineage)
    battles = battles_of(db, rematch.id)
    asked = [get_prompt(db, b.prompt).text for b in battles]
    new, old = (
        [get_response(db, getattr(b, slot)).text for b in battles] for slot in ("response_a", "response_b")
    )
    assert win_rate(asked, new, old) > 0.55
    assert run(home, "check").code == 0
    db.conn.close()


# -- as a child process ----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_train_as_a_script_calls_it(home, voted):
    words = ["train", "dpo", "--from", "one", "--campaign", "first", *QUICK, "--json"]
    ran = subprocess.run(
        [sys.executable, str(PROJECT / "launch.py"), "--home", str(home.root), *words],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    made = json.loads(ran.stdout)
    assert {k: made[k] for k in ("run", "model", "parent", "rematch")} == {
        "run": "one-r1", "model": "one-r1", "parent": "one", "rematch": "one-r1 rematch",
    }  # fmt: skip
    assert made["reference_proof"]["ok"] is True
    assert {"loss", "rewards/margins", "counts"} <= set(made["metrics"])
    assert made["seconds"] > 0
    assert find_snapshot(voted, made["snapshot"]).train == 8
    assert "step 3 of 3" in ran.stderr


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_training_job_that_is_ended_from_outside(home, voted, number):
    words = ["train", "dpo", "--from", "one", "--campaign", "first", *QUICK, "--set", "max_steps=100000"]
    job = jobs.start(home, voted, words)
    wait_for(lambda: any(runs.run_progress(voted, r.id)[0] >= 2 for r in runs.list_runs(voted)))
    assert "run 'one-r1' is training" in refused(run(home, *words, "--no-wait"))
    os.killpg(job.pid, number)
    found = ended(voted, job.id)
    run_ = runs.get_run(voted, "one-r1")
    if number is signal.SIGTERM:
        assert (found.status, found.exit_code, run_.status) == (JobStatus.CANCELLED, 2, RunStatus.CANCELLED)
        assert "cancelled at step" in run_.error
    else:
        assert (found.status, found.exit_code, run_.status) == (JobStatus.FAILED, None, RunStatus.FAILED)
        assert "killed" in run_.error
    assert find_model(voted, "one-r1") is None
    assert not (home.runs / "one-r1" / "model").exists()
    again = jobs.start(
        home, voted, ["train", "dpo", "--from", "one", "--campaign", "first", *QUICK, "--no-rematch"]
    )
    assert ended(voted, again.id).status is JobStatus.SUCCEEDED
    assert get_model(voted, "one-r2").parent == "one"
