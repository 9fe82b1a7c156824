"""Cards of models, and models pushed to a hub with them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from arena.modelcards import card, hub_id, write
from arena.promoting import promote
from arena.web.pages.studio import models
from db import runs
from db.catalog import add_model, get_model
from db.connection import PROJECT
from db.entities.catalog import ModelKind
from db.entities.votes import RaterKind
from tests.hubstand import standin
from tests.serving import running
from tests.test_arena_promoting import give
from tests.workshop import QUICK, ended, give_votes, run, trainable_home
from training.folders import MARKER, put_card, seal, verify


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A home with a candidate of one run on eight votes of a person and four of a made-up rater."""
    home = trainable_home(tmp_path_factory.mktemp("cards") / "home")
    from db.connection import open_writer

    db = open_writer(home)
    give_votes(db)
    give(db, "first", "w" * 4, rater="sim-1", kind=RaterKind.SIMULATED)
    ran = run(home, "train", "dpo", "--from", "one", "--campaign", "first", *QUICK, "--json")
    assert ran.code == 0, ran.err
    yield home, db
    db.conn.close()


def front_matter(text):
    head = text.split("---\n")[1]
    return yaml.safe_load(head)


# -- the card --------------------------------------------------------------------------------------------------


def test_a_candidate_is_registered_with_its_card_in_a_sealed_folder(made):
    home, db = made
    folder = Path(home.locate(get_model(db, "one-r1").adapter))
    verify(folder)
    text = (folder / "README.md").read_text()
    run_ = runs.get_run(db, "one-r1")
    head = front_matter(text)
    assert head["license"] == "unknown"
    assert (head["library_name"], head["pipeline_tag"]) == ("peft", "text-generation")
    assert "dpo" in head["tags"]
    assert "base_model" not in head, "a folder of this machine is no id"
    for said in (
        run_.snapshot, "8 to train on", "8 of 1 person", "**4 of 1 simulated raters: a program, not people**",
        "margin 0.00000 (expected 0.00000), loss 0.69315 (expected 0.69315): passed", "| `max_steps` | 3 |", "not rated yet",
        "rafailov2023dpo", "hu2022lora", "Set `license`", "Rater agreement: 100% of 4 pairs",
        json.loads((folder / MARKER).read_text())["adapter_model.safetensors"]["sha256"], "trl ",
    ):  # fmt: skip
        assert said in text, said
    assert str(home.root) not in text
    assert "/tmp" not in text, "no path of this machine"


def test_figures_and_decisions_come_into_the_card(made):
    home, db = made
    give(db, "one-r1 rematch", "w" * 9 + "l" + "t", rater="ann")
    give(db, "one-r1 rematch", "l" * 3, rater="sim-2", kind=RaterKind.SIMULATED)
    text = card(db, home, "one-r1")
    assert "| `one` (parent) | 11 | 1 | 86 % |" in text
    assert "| 9 of 10 |" in text
    assert "Simulated raters (a program, not people; not counted above): 9 of 13 decided votes" in text
    promote(db, "one-r1", "me", reason="it was time")
    assert "by hand: it was time." in card(db, home, "one-r1")
    folder = Path(home.locate(get_model(db, "one-r1").adapter))
    assert "it was time" not in (folder / "README.md").read_text()
    write(db, home, "one-r1")
    assert "it was time" in (folder / "README.md").read_text()
    verify(folder)


def test_a_model_that_was_not_trained_here_has_a_card_too(made):
    home, db = made
    text = run(home, "models", "card", "two").out
    assert "it was not trained here" in text
    assert write(db, home, "two") is None, "its folder is not ours to write into"
    assert "starter model of the demo" in card(db, home, "starter-dpo")


def test_the_seal_holds_at_every_step(tmp_path):
    (tmp_path / "weights").write_text("x")
    (tmp_path / "README.md").write_text("theirs")
    seal(tmp_path)
    put_card(tmp_path, "README.md", "ours")
    verify(tmp_path)
    assert set(json.loads((tmp_path / MARKER).read_text())) == {"weights", "README.md"}
    before = (tmp_path / MARKER).read_text()
    for text in ("ours", "ours again"):
        put_card(tmp_path, "README.md", text)
    verify(tmp_path)
    assert (tmp_path / MARKER).read_text() != before
    assert not list(tmp_path.glob(".*.part"))


def test_what_is_a_hub_id(made, tmp_path):
    home, _ = made
    assert hub_id(home, "meta-llama/Llama-3.2-1B") == "meta-llama/Llama-3.2-1B"
    for local in (None, str(tmp_path), "/gone/away", "training/starter/weights/sft"):
        assert hub_id(home, local) is None


def test_the_studio_shows_the_card_and_sends_the_model_by_a_job(made, monkeypatch):
    home, db = made
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(home.root / "hf"))
    with running(home) as web:
        context = web.app.state.web.context
        shown = models.card_of(context, "one-r1")
        assert "<h2>" in shown
        assert runs.get_run(db, "one-r1").snapshot in shown
        assert models.card_of(context, None) == ""
        job = models.start_push(context, "one-r1", "me/taste", "merged", public=True)
        assert job.command == (
            "models",
            "push",
            "one-r1",
            "--repo",
            "me/taste",
            "--what",
            "merged",
            "--public",
        )
        assert "no hub token is set" in ended(db, job.id).message


# -- pushing ---------------------------------------------------------------------------------------------------


def push(home, hub, *words, token=True):
    """`models push` in a process of its own, which speaks to the stand-in."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "HUGGING"))}
    env |= {"HF_ENDPOINT": hub.address, "HF_HOME": str(home.root / "hf"), "HF_HUB_DISABLE_TELEMETRY": "1"}
    env |= {"HF_TOKEN": hub.token} if token else {}
    return subprocess.run(
        [sys.executable, "launch.py", "--home", str(home.root), "models", "push", *words], cwd=PROJECT, env=env,
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_an_adapter_goes_with_its_card_and_a_base_others_can_load(made):
    home, _db = made
    with standin() as hub:
        said = push(home, hub, "one-r1", "--repo", "me/taste")
        assert said.returncode == 2
        assert "nobody else could load the adapter; push the merged model" in said.stderr
        assert hub.repos == {}
        done = push(home, hub, "one-r1", "--repo", "me/taste", "--base", "owner/one", "--json")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout) == {
            "model": "one-r1", "what": "adapter", "address": f"{hub.address}/me/taste", "private": True,
        }  # fmt: skip
        sent = hub.repos["me/taste"]
        assert (hub.types, hub.private["me/taste"]) == (["model"], True)
        assert json.loads(sent["adapter_config.json"])["base_model_name_or_path"] == "owner/one"
        assert {"adapter_model.safetensors", "README.md", "tokenizer.json"} <= set(sent)
        assert MARKER not in sent
        assert b'from_pretrained("me/taste")' in sent["README.md"]
        assert b"Data hash" in sent["README.md"]
        again = push(home, hub, "one-r1", "--repo", "me/taste", "--base", "owner/one")
        assert again.returncode == 0, again.stderr


def test_the_merged_model_goes_once_there_is_one(made):
    home, _db = made
    with standin() as hub:
        said = push(home, hub, "one-r1", "--repo", "me/whole", "--what", "merged")
        assert "one-r1 is not merged yet; run `merge one-r1 --as one-r1-merged` first" in said.stderr
        assert run(home, "merge", "one-r1", "--as", "one-r1-merged").code == 0
        done = push(home, hub, "one-r1", "--repo", "me/whole", "--what", "merged", "--public", "--json")
        assert done.returncode == 0, done.stderr
        own = push(home, hub, "one-r1-merged", "--json")
        assert own.returncode == 0, own.stderr
        assert json.loads(own.stdout)["address"] == f"{hub.address}/me/one-r1-merged"
        assert b"me/one-r1-merged" in hub.repos["me/one-r1-merged"]["README.md"]
        sent = hub.repos["me/whole"]
        assert "model.safetensors" in sent
        assert hub.private["me/whole"] is False
        text = sent["README.md"].decode()
        assert "the adapter `one-r1` folded in" in text
        assert runs.get_run(made[1], "one-r1").snapshot in text
        verify(home.root / "runs/one-r1-merged")


def test_a_reward_model_goes_as_one(made):
    home, _ = made
    ran = run(home, "train", "reward", "--from", "one", "--campaign", "first", *QUICK, "--name", "taste")
    assert ran.code == 0, ran.err
    with standin() as hub:
        done = push(home, hub, "taste", "--repo", "me/reward")
        assert done.returncode == 0, done.stderr
        text = hub.repos["me/reward"]["README.md"].decode()
        assert front_matter(text)["pipeline_tag"] == "text-classification"
        assert "A reward model, trained from `one`" in text
        assert "AutoModelForSequenceClassification" in text
        assert "/tmp" not in text


def test_what_a_push_refuses_in_one_line(made):
    home, db = made
    add_model(db, "far", ModelKind.RECORDED)
    words = ["one-r1", "--base", "owner/one", "--repo"]
    with standin() as hub:
        hub.repos["me/prefs"], hub.kinds["me/prefs"], hub.private["me/prefs"] = {}, "dataset", True
        hub.repos["me/open"], hub.kinds["me/open"], hub.private["me/open"] = {}, "model", False
        for repo, reason in (
            ("me/prefs", "me/prefs is a dataset on the hub"), ("datasets/me/prefs", "write owner/name alone"),
            ("me/a/b", "is not the name of a repository"), ("me/open", "is public, so nothing was sent"),
        ):  # fmt: skip
            said = push(home, hub, *words, repo)
            assert (said.returncode, said.stderr.count("error:")) == (2, 1), said.stderr
            assert reason in said.stderr
        assert hub.repos == {"me/prefs": {}, "me/open": {}}
        assert "no hub token is set" in push(home, hub, *words, "me/new", token=False).stderr
        assert "has no weights here" in push(home, hub, "far", "--repo", "me/new").stderr
        assert "is no adapter" in push(home, hub, "two", "--repo", "me/new", "--what", "adapter").stderr
        assert hub.types == ["model"], "only the public one was asked for"
        assert "no hub token is set" in push(home, hub, "one-r1", token=False).stderr
