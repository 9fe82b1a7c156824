"""Jobs: no shell, no path outside the home, no code or pickle of a model, no secret in what a command is given."""

import contextlib
import json
import os
import shlex
import shutil
import sys
from pathlib import Path

import click
import psutil
import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import launch
from arena import jobs
from arena.environment import for_command, is_secret
from arena.players.scorer import RewardScorer
from arena.web.pages.studio.retraining import Form, From, arguments, settings_of
from db.connection import PROJECT, Home, checked_name, open_writer
from db.entities.runs import RunKind
from db.errors import UserError
from db.runs import job_processes
from tests import tiny
from tests.factories import make_home
from tests.standin import standing_in
from tests.workshop import ended, endpoint_home
from training.loading import load_policy, load_scorer, load_tokenizer
from training.settings import ModelFiles

EVIL = [
    "; touch {w}", "$(touch {w})", "`touch {w}`", "| touch {w}", "a && touch {w}", "\ntouch {w}\n", "../../{w}", "/etc/passwd", "--help",
    "--home=/tmp", "-c", "a/../b", "..", ".", "~", "~root", "C:\\Windows", "a\x00b", "a\\..\\b", "%2e%2e", "\u202e", "CON", "a" * 300,
    "{0.__class__}", "%s%n", "<script>", "' OR 1=1 --", "\"; DROP TABLE votes; --", "$HOME", "file:///etc/passwd", " ", "\t", "-", "=",
]  # fmt: skip
TEXT = st.sampled_from(EVIL) | st.text(max_size=40)


@given(TEXT)
@example("a" * 80)
@example("a..b")
@example("a.")
def test_a_name_is_a_folder_of_the_home_or_refused(name: str) -> None:
    runs = Path("/homes/one/runs")
    try:
        folder = runs / checked_name(name, "run")
    except UserError:
        return
    assert Path(os.path.normpath(folder)).parent == runs
    assert shlex.split(shlex.quote(name)) == [name]
    assert not name.startswith("-")


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return make_home(tmp_path_factory.mktemp("jobs") / "home")


def parsed(words: list[str]) -> dict[str, object]:
    """What the command line makes of the words, without running them."""
    group = launch.cli.commands["train"]
    assert isinstance(group, click.Group)
    return dict(group.commands[words[1]].make_context(words[1], words[2:]).params)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kind=st.sampled_from(RunKind), parent=TEXT, picked=TEXT, name=TEXT, more=TEXT, reference=TEXT, against=TEXT,
       values=st.dictionaries(st.sampled_from(["beta", "epochs", "seed", "loss", "quantize", "learning_rate"]), TEXT | st.floats()))  # fmt: skip
def test_what_the_training_form_says_reaches_the_command_as_it_is_or_is_refused(
    filled: Home, kind: RunKind, parent: str, picked: str, name: str, more: str, reference: str, against: str, values: dict[str, object]
) -> None:  # fmt: skip
    db = open_writer(filled)
    form = Form(
        parent, [], False, "vote", "lora", values, more, name, kind, From.PAIRS, picked, reference, against
    )  # type: ignore[arg-type]
    try:
        words = arguments(db, form)
        settings_of(form)
    except UserError:
        return
    finally:
        db.conn.close()
    command = jobs.command_line(filled, words)
    assert command[:4] == [sys.executable, str(PROJECT / "launch.py"), "--home", str(filled.root)]
    assert shlex.split(jobs.shown(words)) == ["python", "launch.py", *words], "what is shown is what runs"
    taken = parsed(words)
    assert (taken["parent"], taken["pairs"]) == (parent, picked)
    assert taken["name"] == (name.strip() or None)


SETTINGS = st.dictionaries(
    st.sampled_from(["trust_remote_code", "use_safetensors", "output_dir", "hub_token", "deepspeed", "learning_rate", "epochs", "__class__"])
    | st.text(max_size=12), TEXT, max_size=4,
)  # fmt: skip


@given(kind=st.sampled_from(RunKind), changes=SETTINGS)
def test_a_setting_is_a_known_key_within_its_bounds_or_refused(
    kind: RunKind, changes: dict[str, str]
) -> None:
    known = {"learning_rate", "epochs"}
    form = Form(
        "m", [], False, "vote", "lora", {}, "\n".join(f"{k}={v}" for k, v in changes.items()), kind=kind
    )
    try:
        found = settings_of(form)
    except UserError:
        return
    assert 0 < found.learning_rate < 1
    assert 0 < found.epochs <= 100
    assert not {
        "trust_remote_code",
        "use_safetensors",
        "output_dir",
        "hub_token",
        "deepspeed",
        "__class__",
    } & (set(changes) - known)


@pytest.mark.parametrize("word", ["; touch {w}", "$(touch {w})"])
def test_a_command_of_evil_words_ends_with_one_line_and_touches_nothing(
    filled: Home, tmp_path: Path, word: str
) -> None:
    """As a real process, where a shell would have its chance."""
    witness = tmp_path / "witness"
    db = open_writer(filled)
    job = ended(db, jobs.start(filled, db, ["import", "prompts", word.format(w=witness)]).id)
    db.conn.close()
    assert job.exit_code == 2
    assert not witness.exists()


# -- secrets -----------------------------------------------------------------------------------------------------

PLANTED = {
    "HF_TOKEN": "hub", "OPENAI_API_KEY": "model", "TASTEBENCH_API_KEY_API_EXAMPLE_COM": "model", "WANDB_API_KEY": "tracker",
    "AWS_SECRET_ACCESS_KEY": "other", "DB_PASSWORD": "other", "GITHUB_TOKEN": "other", "TASTEBENCH_METRICS_TOKEN": "other",
    "SESSION_COOKIE": "other", "GPG_KEY": "other",
}  # fmt: skip
PLAIN = {"PATH": "x", "TOKENIZERS_PARALLELISM": "1", "TASTEBENCH_HOME": "x", "CUDA_VISIBLE_DEVICES": "0", "KEYBOARD": "de",
         "SSL_CERT_FILE": "x", "HF_HOME": "x", "OMP_NUM_THREADS": "1"}  # fmt: skip


def test_a_command_gets_the_secrets_that_it_uses_and_no_other() -> None:
    everything = PLANTED | PLAIN
    used = {n for n, use in PLANTED.items() if use != "other"}
    for verb in (
        "train",
        "generate",
        "judge",
        "rank",
        "recipe",
        "import",
        "export",
        "models",
        "campaign",
        "merge",
    ):
        assert set(for_command([verb, "x"], everything)) == used | set(PLAIN)
    for verb in ("report", "check", "backup", "raters", "jobs", "promote"):
        assert set(for_command([verb, "x"], everything)) == set(PLAIN)
    assert set(for_command([], everything)) == set(PLAIN)
    assert not any(map(is_secret, PLAIN))


def test_a_jobs_process_has_no_secret_in_its_environment_its_command_or_its_log(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in PLANTED:
        monkeypatch.setenv(name, f"planted-{name}")
    db = open_writer(home)
    job = jobs.start(home, db, ["check", "--json"])
    process = psutil.Process(next(pid for j, pid, _ in job_processes(db) if j == job.id and pid))
    found = process.environ()
    assert found["TASTEBENCH_JOB"] == str(job.id)
    assert not [v for v in found.values() if v.startswith("planted-")]
    done = ended(db, job.id)
    assert "planted-" not in jobs.read_log(home, done)
    db.conn.close()
    for file in home.root.rglob("*"):
        assert not file.is_file() or b"planted-" not in file.read_bytes(), file


def test_a_key_that_a_server_repeats_is_in_no_log_no_row_and_no_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in PLANTED:
        monkeypatch.setenv(name, f"planted-{name}")
    with standing_in() as server:
        server.statuses, server.repeats_key = [401] * 9, True
        home = endpoint_home(tmp_path / "home", server.url)
        db = open_writer(home)
        done = ended(db, jobs.start(home, db, ["generate", "--models", "far", "--prompts", "asked"]).id)
        assert done.exit_code == 2
        assert {h["authorization"] for h in server.headers_seen} == {"Bearer planted-OPENAI_API_KEY"}
        assert "no\\nsuch luck with Bearer (key)" in jobs.read_log(home, done)
        db.conn.close()
    for file in home.root.rglob("*"):
        assert not file.is_file() or b"planted-" not in file.read_bytes(), file


# -- models that would run code ----------------------------------------------------------------------------------


class Evil:
    """What a pickle may hold: a call."""

    def __init__(self, witness: Path) -> None:
        self.witness = witness

    def __reduce__(self) -> tuple[object, ...]:
        return (os.system, (f"touch {self.witness}",))


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.tiny_llama(tmp_path_factory.mktemp("models") / "base")


def copied(base: Path, folder: Path) -> Path:
    shutil.copytree(base, folder)
    return folder


@pytest.mark.parametrize(
    "load",
    [
        lambda f: load_policy(ModelFiles(str(f))),
        lambda f: load_scorer(str(f)),
        lambda f: RewardScorer(str(f)),
    ],
)
def test_a_pickle_is_never_read(base: Path, tmp_path: Path, load: object) -> None:
    folder, witness = copied(base, tmp_path / "evil"), tmp_path / "witness"
    (folder / "model.safetensors").unlink()
    torch.save({"weights": Evil(witness)}, folder / "pytorch_model.bin")
    with pytest.raises(UserError, match="as a pickle"):
        load(folder)  # type: ignore[operator]
    assert not witness.exists()


def test_an_adapter_in_a_pickle_is_never_read(base: Path, tmp_path: Path) -> None:
    adapter, witness = tiny.tiny_adapter(base, tmp_path / "adapter"), tmp_path / "witness"
    (adapter / "adapter_model.safetensors").unlink()
    torch.save({"weights": Evil(witness)}, adapter / "adapter_model.bin")
    with pytest.raises(UserError, match=r"adapter_model\.safetensors"):
        load_policy(ModelFiles(str(base), str(adapter)))
    assert not witness.exists()


@pytest.mark.parametrize("what", ["model", "tokenizer"])
def test_code_that_a_model_brings_is_never_run(base: Path, tmp_path: Path, what: str) -> None:
    folder, witness = copied(base, tmp_path / "evil"), tmp_path / "witness"
    (folder / "evil.py").write_text(
        f"import pathlib\npathlib.Path({str(witness)!r}).touch()\n"
        "from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerFast\n"
        "class Config(PretrainedConfig):\n    model_type = 'evil'\nclass Model(PreTrainedModel):\n    config_class = Config\n"
        "class Tokenizer(PreTrainedTokenizerFast):\n    pass\n"
    )
    name = "config.json" if what == "model" else "tokenizer_config.json"
    config = json.loads((folder / name).read_text())
    if what == "model":
        config |= {
            "model_type": "evil",
            "auto_map": {"AutoConfig": "evil.Config", "AutoModelForCausalLM": "evil.Model"},
        }
    else:
        config |= {"tokenizer_class": "Tokenizer", "auto_map": {"AutoTokenizer": [None, "evil.Tokenizer"]}}
    (folder / name).write_text(json.dumps(config))
    if what == "model":
        with pytest.raises(UserError, match="code of its own"):
            load_policy(ModelFiles(str(folder)))
    else:  # a plain tokenizer is read without its code, or refused
        with contextlib.suppress(UserError):
            load_tokenizer(str(folder))
    assert not witness.exists()
