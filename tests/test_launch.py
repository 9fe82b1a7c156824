"""The command line as a stranger's script uses it: help, one JSON document, exit codes, one line for what can be mended."""

import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import click
import pytest

import launch
from arena.verbs.shared import shortened, told
from bench.votes import free_port
from db.campaigns import get_campaign, list_campaigns
from db.catalog import list_models, prompt_sets, prompts_of
from db.connection import PROJECT, home_at, open_writer
from db.lock import Lock
from tests.factories import make_home
from tests.workshop import give_votes, refused, run, trainable_home, wait_for, weights
from training.settings import Schedule


def verbs(command=launch.cli, path=()):
    """Every verb with the words that reach it."""
    yield path, command
    for name, sub in getattr(command, "commands", {}).items():
        yield from verbs(sub, (*path, name))


VERBS = dict(verbs())
WORDS = [" ".join(path) for path in VERBS]


@pytest.fixture
def home(tmp_path):
    return make_home(tmp_path / "home")


def child(*words, **more):
    """A real process."""
    return subprocess.run([sys.executable, str(PROJECT / "launch.py"), *map(str, words)], capture_output=True,
                          text=True, check=False, **more)  # fmt: skip


# -- help ------------------------------------------------------------------------------------------------------


TALKS = {"serve", "chat", "owner password", "owner remove", "notices webhook", "notices test", "models card",
         "campaign guard-words", "campaign revoke-link", "jobs up", "jobs down"}  # fmt: skip
"""verbs that go on until they are ended, ask, or say one line or a text that is the result itself"""


def test_every_other_verb_can_answer_with_one_json_document():
    ends = {" ".join(path): command for path, command in VERBS.items() if not hasattr(command, "commands")}
    assert {words for words, verb in ends.items() if "as_json" not in {p.name for p in verb.params}} == TALKS


def test_a_verb_that_acts_answers_with_one_json_document(home, tmp_path):
    row = run(home, "campaign", "pause", "first", "--json").json
    assert (row["name"], row["status"]) == ("first", "paused")
    copied = run(home, "backup", tmp_path / "copy.db", "--json").json
    assert copied == {"file": str(tmp_path / "copy.db"), "bytes": (tmp_path / "copy.db").stat().st_size}
    row = run(home, "restore", tmp_path / "copy.db", "--json").json
    assert (row["file"], Path(row["replaced"]).is_file()) == (str(tmp_path / "copy.db"), True)
    run(home, "campaign", "invite", "first")
    (name,) = [r["name"] for r in run(home, "raters", "list", "--json").json if r["seat"] == 1]
    assert run(home, "raters", "exclude", name, "--reason", "asleep", "--json").json == {
        "name": name, "counted": False, "reason": "asleep",
    }  # fmt: skip
    links = run(home, "owner", "link", "--json").json
    assert "/login?token=" in links["studio"]
    assert run(home, "models", "add", "x", "--recorded").code == 0
    assert run(home, "models", "remove", "x", "--json").json == {"name": "x", "removed": True}


@pytest.mark.parametrize("path", list(VERBS), ids=WORDS)
def test_every_verb_explains_itself(path, tmp_path):
    ran = run(tmp_path / "untouched", *path, "--help")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith(f"Usage: {' '.join(('launch.py', *path))}")
    for option in VERBS[path].params:
        if isinstance(option, click.Option):
            assert option.opts[0] in ran.out
            assert option.help, f"{option.opts[0]} of {path} says nothing"
    assert not (tmp_path / "untouched").exists(), "help makes no home"


def test_the_verbs_of_the_contract_are_there():
    listed = set(WORDS)
    assert {
        "serve", "models add", "models list", "models show", "models remove", "import", "generate", "campaign create",
        "campaign list", "campaign preview", "campaign open", "campaign pause", "campaign close", "campaign invite",
        "campaign revoke", "campaign links", "campaign revoke-link", "campaign live", "campaign plan", "raters list",
        "raters exclude", "raters include", "raters forget", "judge", "report", "export", "train dpo",
        "merge", "jobs list", "jobs show", "jobs cancel", "jobs resume", "jobs logs", "simulate", "chat",
        "owner link", "backup", "restore", "check", "snapshot freeze", "snapshot show", "recipe list", "recipe show",
        "recipe run", "models retained",
    } <= listed  # fmt: skip


REPORTS = [p for p, c in VERBS.items() if "as_json" in {o.name for o in c.params}]


def test_every_verb_that_reports_takes_json():
    lists = {" ".join(p) for p in REPORTS}
    assert {
        w
        for w in WORDS
        if w.endswith(
            (
                " list",
                " show",
                " add",
                " create",
                " invite",
                " freeze",
                " preview",
                " live",
                " plan",
                " links",
            )
        )
    } <= lists
    assert {
        "import",
        "generate",
        "judge",
        "report",
        "export",
        "train dpo",
        "merge",
        "simulate",
        "check",
    } <= lists


def test_help_needs_nothing_but_the_standard_library_and_click():
    code = (
        "import sys, launch\n"
        "try: launch.main(['--help'])\n"
        "except SystemExit: pass\n"
        "tops = {m.split('.')[0] for m in sys.modules} - set(sys.stdlib_module_names)\n"
        "print(sorted(t for t in tops if not t.startswith('_')), file=sys.stderr)"
    )
    ran = subprocess.run([sys.executable, "-S", "-c", code.replace("import sys, launch", SITE)], cwd=PROJECT,
                         capture_output=True, text=True, check=False)  # fmt: skip
    loaded = json.loads(ran.stderr.splitlines()[-1].replace("'", '"'))
    assert set(loaded) <= {"arena", "click", "launch", "db"}


SITE = f"import sys; sys.path[:0] = {[p for p in sys.path if 'site-packages' in p]!r}; import launch"


# -- JSON ------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_one_json_document_and_nothing_else_on_stdout(tmp_path):
    """A real child each: what libraries print would show here."""
    home = trainable_home(tmp_path / "home")
    ran = child(
        "--home", home.root, "generate", "--models", "one", "--prompts", "questions", "--n", "2", "--json"
    )
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout) == [{"model": "one", "written": 20}]
    assert "20 of 20 responses of one" in ran.stderr


@pytest.mark.parametrize(
    "words",
    [
        ["models", "list"], ["models", "show", "model-one"], ["models", "add", "old", "--recorded"],
        ["campaign", "list"], ["campaign", "preview", "first"], ["campaign", "invite", "first"], ["campaign", "links", "first"], ["campaign", "live", "first"],
        ["campaign", "plan", "first", "--difference", "0.3"], ["raters", "list"], ["snapshot", "freeze"],
        ["snapshot", "show"], ["jobs", "list"], ["check"], ["report"], ["report", "first"],
        ["campaign", "create", "x", "--models", "model-one,model-two", "--prompts", "all"],
        ["generate", "--models", "model-one", "--prompts", "all"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_json_of_every_kind_is_one_document(home, db, words):
    give_votes(db, votes=4)
    ran = run(home, *words, "--json")
    assert ran.code == 0, ran.err
    assert ran.json is not None
    plain = run(home, *[w if w not in ("x", "old") else f"{w}2" for w in words])
    assert plain.code == 0
    assert plain.out
    with pytest.raises(json.JSONDecodeError):
        json.loads(plain.out)


def test_lists_for_people_are_aligned_columns(home):
    head, row = run(home, "campaign", "list").out.splitlines()
    at = head.index("models")
    assert row[at:].startswith("model-one, model-two  open")


def test_text_stays_as_it_was_written(home, tmp_path):
    file = tmp_path / "p.jsonl"
    file.write_text(json.dumps({"text": "Grüße, 世界 \U0001f600"}), encoding="utf-8")
    ran = run(home, "import", "prompts", file, "--json")
    assert ran.json == {"read": 1, "added": 1, "already_there": 0, "refused": 0, "refused_file": None}
    out = child(
        "--home", home.root, "campaign", "list", "--json", env={**os.environ, "PYTHONUTF8": "1"}
    ).stdout
    assert json.loads(out)[0]["name"] == "first"


def test_import_names_refused_rows_on_stderr_and_keeps_them(home, tmp_path):
    file = tmp_path / "p.jsonl"
    file.write_text('{"text": "good"}\n{"text": ""}\n{"text": 5}\n', encoding="utf-8")
    ran = run(home, "import", "prompts", file, "--json")
    assert (ran.code, ran.json["read"], ran.json["added"], ran.json["refused"]) == (0, 3, 1, 2)
    assert re.search(r"^line 2: .+$", ran.err, re.MULTILINE)
    kept = [
        json.loads(line) for line in Path(ran.json["refused_file"]).read_text(encoding="utf-8").splitlines()
    ]
    assert [row["line"] for row in kept] == [2, 3]
    again = run(home, "import", "prompts", file, "--json")
    assert (again.json["added"], again.json["already_there"]) == (0, 1)


def test_a_campaigns_settings_are_listed_changed_and_cloned(home, db, tmp_path):
    guide = tmp_path / "guide.md"
    guide.write_text("Prefer what is true.", encoding="utf-8")
    listed = json.loads(run(home, "campaign", "settings", "first", "--json").out)
    assert {row["key"]: row["value"] for row in listed}["overlap"] == "1"
    ran = run(home, "campaign", "set", "first", f"guidelines=@{guide}", "reveal=end", "--json")
    assert (ran.code, json.loads(ran.out)["name"]) == (0, "first")
    assert get_campaign(db, "first").settings.guidelines == "Prefer what is true."
    assert (
        run(home, "campaign", "clone", "first", "--as", "second", "--set", "overlap=4").out
        == "second: draft, 6 battles\n"
    )
    assert get_campaign(db, "second").settings.overlap == 4
    wrong = run(home, "campaign", "set", "first", "colour=red")
    assert (wrong.code, wrong.err.count("\n")) == (2, 1)


def test_check_questions_are_made_and_counted(home, db):
    assert run(home, "campaign", "gold", "first").out == "first: 0 check questions (0 new)\n"
    assert json.loads(run(home, "campaign", "gold", "first", "--make", "3", "--json").out)["questions"] == 3


def test_columns_are_mapped_by_name(home, db, tmp_path):
    file = tmp_path / "mine.csv"
    file.write_text("frage,x\nWie spät ist es?,1\n", encoding="utf-8")
    ran = run(home, "import", "prompts", file, "--map", "frage=prompt", "--split", "heldout", "--json")
    assert (ran.code, ran.json["added"]) == (0, 1), ran.err
    assert [p.text for p in prompts_of(db, "mine:heldout")] == ["Wie spät ist es?"]
    assert "--map frage names no column" in refused(run(home, "import", "prompts", file, "--map", "frage"))


# -- what can be mended ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["nonsense"], "No such command 'nonsense'"),
        (["models"], "launch.py models needs a verb"),
        (["jobs"], "launch.py jobs needs a verb"),
        (["models", "list", "--colour"], "No such option '--colour'"),
        (["models", "add"], "Missing argument 'NAME'"),
        (["models", "add", "x", "--quantize", "3bit"], "'3bit' is not one of '4bit', '8bit'"),
        (["jobs", "show", "one"], "'one' is not a valid integer"),
        (["import", "nonsense", "x"], "'nonsense' is not one of 'prompts'"),
        (["import"], "Missing argument"),
        (["import", "prompts", "/nowhere/p.jsonl"], "/nowhere/p.jsonl"),
        (["generate", "--models", "model-one"], "Missing option '--prompts'"),
        (["serve", "--port", "70000"], "70000 is not in the range"),
        (["serve", "--port", "http"], "'http' is not a valid integer"),
        (["serve", "--a", "x"], "--a, --b and --prompts belong together"),
        (["report", "nothing"], "there is no campaign 'nothing'"),
        (["train"], "launch.py train needs a verb"),
        (["train", "dpo"], "Missing option '--from'"),
        (["simulate", "first"], "no server runs on"),
        (["simulate", "first", "--profile", "kind"], "'kind' is not one of 'honest'"),
        (["restore", "/nowhere.db"], "there is no file /nowhere.db"),
        (["chat", "nobody"], "there is no model 'nobody'"),
        (["chat", "model-one"], "'model-one' is recorded"),
    ],
    ids=lambda x: " ".join(x) if isinstance(x, list) else None,
)
def test_what_can_be_mended_is_one_line(home, words, reason):
    ran = run(home, *words)
    assert reason in refused(ran)
    assert len(ran.err.splitlines()) == 1


@pytest.mark.parametrize(
    "words",
    [
        ["import", "prompts"], ["models", "add", "x", "--source"], ["restore"], ["combine"], ["export", "--format", "votes"],
        ["train", "dpo", "--from", "model-one", "--pairs"], ["judge", "first", "--with", "reward", "--model"],
    ],
)  # fmt: skip
def test_a_path_that_no_disk_takes_is_one_line(home, tmp_path, words):
    """One that may not be read comes to the same place; tests often run as root, who may."""
    assert "File name too long; give a shorter" in refused(run(home, *words, tmp_path / ("n" * 300)))


def test_a_home_needs_a_name():
    assert "--home names no folder" in refused(run("", "models", "list"))


def test_a_real_child_ends_with_exit_2_and_one_line(tmp_path):
    ran = child("--home", tmp_path / "home", "models", "show", "no/body\n")
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr == (
        "error: there is no model 'no/body\\n'; add it with `models add`, or use one of: none yet\n"
    )


def test_a_bug_keeps_its_traceback(home):
    code = "import launch, db.upkeep, arena.upkeep\narena.upkeep.check = None\nlaunch.main(['check'])"
    ran = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=False,
                         env={**os.environ, "TASTEBENCH_HOME": str(home.root)})  # fmt: skip
    assert ran.returncode == 1
    assert "Traceback" in ran.stderr


def test_a_reader_that_goes_away_is_no_bug(home):
    words = f'"{sys.executable}" "{PROJECT}/launch.py" --home "{home.root}" campaign preview first --n 6'
    ran = subprocess.run(["bash", "-c", f"{words} | head -c 10; exit ${{PIPESTATUS[0]}}"], capture_output=True,
                         text=True, check=False)  # fmt: skip
    assert "Traceback" not in ran.stderr


def test_the_home_is_named_by_option_or_variable(tmp_path, monkeypatch):
    monkeypatch.setenv("TASTEBENCH_HOME", str(tmp_path / "by variable"))
    with pytest.raises(SystemExit):
        launch.main(["models", "add", "x", "--recorded"])
    assert (tmp_path / "by variable" / "arena.db").exists()
    assert run(tmp_path / "by option 100% #1?", "models", "add", "y", "--recorded").code == 0
    assert run(tmp_path / "by option 100% #1?", "report").code == 0
    assert [m["name"] for m in run(tmp_path / "by variable", "models", "list", "--json").json] == ["x"]


@pytest.mark.parametrize("where", ["a file", "/proc/nowhere"])
def test_a_home_that_cannot_be_written(tmp_path, where):
    (tmp_path / "a file").write_text("mine", encoding="utf-8")
    line = refused(run(tmp_path / where, "models", "list"))
    assert "cannot use" in line
    assert "--home" in line
    assert (tmp_path / "a file").read_text(encoding="utf-8") == "mine"


def test_a_folder_where_the_database_should_be(tmp_path):
    (tmp_path / "home" / "arena.db").mkdir(parents=True)
    assert "cannot write" in refused(run(tmp_path / "home", "models", "list"))


def test_a_damaged_database_is_named_and_left_alone(home):
    home.database.write_bytes(b"no database at all, " * 500)
    for words in (["models", "list"], ["check"], ["backup", str(home.root / "b.db")], ["report"]):
        line = refused(run(home, *words))
        assert "arena.db" in line or "b.db" in line
    assert home.database.read_bytes().startswith(b"no database at all")


def test_a_database_of_a_newer_version_is_left_alone(home):
    with sqlite3.connect(home.database) as conn:
        conn.execute(
            "INSERT INTO _sqlite_migrations(migration_set, name, applied_at) VALUES ('tastebench', 'm999_x', '')"
        )
    conn.close()
    before = home.database.read_bytes()
    for words in (["models", "list"], ["check"], ["models", "add", "x", "--recorded"]):
        assert "newer version (it has m999_x)" in refused(run(home, *words))
    assert home.database.read_bytes() == before


@pytest.mark.slow  # the hub's library tries five times
def test_a_hub_model_without_a_network_is_one_line(home, db):
    run(home, "models", "add", "far", "--source", "owner/no-such-model")
    line = refused(run(home, "generate", "--models", "far", "--prompts", "all"))
    assert "owner/no-such-model" in line
    assert "network" in line or "hub" in line


# -- serve -----------------------------------------------------------------------------------------------------


def test_a_port_in_use_leaves_an_empty_home(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        line = refused(run(tmp_path / "home", "serve", "--port", port))
    assert f"cannot listen on 127.0.0.1:{port}" in line
    assert "choose another --port" in line
    assert run(tmp_path / "home", "models", "list", "--json").json == []


def test_an_address_that_is_not_this_machines(tmp_path):
    assert "cannot listen on 192.0.2.1" in refused(run(tmp_path / "home", "serve", "--host", "192.0.2.1"))


def test_a_second_server_on_one_home_names_the_first(home):
    lock = Lock(home)
    lock.announce("http://127.0.0.1:4321")
    line = refused(run(home, "serve", "--port", free_port()))
    assert f"another server runs on {home.root} (process {os.getpid()}, http://127.0.0.1:4321)" in line
    lock.release()


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--a", "./nowhere", "--b", "model-two", "--prompts", "p.jsonl"], "there is no folder './nowhere'"),
        (["--a", "model-one", "--b", "model-two", "--prompts", "/nowhere.jsonl"], "/nowhere.jsonl"),
        (["--a", "model-one", "--b", "model-one", "--prompts", "/nowhere.jsonl"], "are both 'model-one'"),
        (["--backup-minutes", "nan"], "'nan' is no number"),
        (["--keep-minutes", "nan"], "'nan' is no number"),
    ],
)
def test_a_contest_that_cannot_begin(home, db, words, reason):
    assert reason in refused(run(home, "serve", "--port", free_port(), *words))
    assert [c.name for c in list_campaigns(db)] == ["first"]
    assert len(list_models(db)) == 2


def get(url):
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read().decode(), answer.status


def serving(home, *words):
    """The server as a child process, once it answers."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, str(PROJECT / "launch.py"), "--home", str(home.root), "serve", "--no-open", "--port", str(port), *words],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip

    def answers():
        assert process.poll() is None, process.stderr.read()
        try:
            return get(f"http://127.0.0.1:{port}/healthz")[1] == 200
        except OSError:
            return False

    wait_for(answers)
    return process, f"http://127.0.0.1:{port}"


def stopped(process):
    """What the server printed until it was told to stop."""
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    return process.returncode, out, err


@pytest.mark.slow
def test_serve_prints_two_links_that_open_and_verbs_find_the_server(home, db):
    copy = home.root / "copy.db"
    run(home, "backup", copy)
    process, address = serving(home)
    try:
        link = run(home, "owner", "link").out
        assert f"rate    {address}/join/" in link
        assert f"studio  {address}/login?token=" in link
        invited = run(home, "campaign", "invite", "first").out
        assert invited.startswith(f"{address}/join/")
        assert "another server runs" in refused(run(home, "restore", copy))
        assert "no server runs" not in run(home, "simulate", "first", "--profile", "honest").err
    finally:
        code, out, _ = stopped(process)
    assert code in (0, 130)
    assert f"  rate    {address}/join/" in out
    assert f"  studio  {address}/login?token=" in out
    assert out.splitlines()[-1] == "Ready."
    again, _ = serving(home)
    _, out2, _ = stopped(again)
    assert out2.splitlines()[1] != out.splitlines()[1], "a new link to the same seat"


@pytest.mark.slow
def test_a_contest_of_two_folders_can_be_rated(tmp_path):
    home = home_at(tmp_path / "home")
    prompts = tmp_path / "questions.jsonl"
    prompts.write_text(
        "".join(json.dumps({"text": f"Question {i}?"}) + "\n" for i in range(3)), encoding="utf-8"
    )
    contest = ["--a", str(weights() / "one"), "--b", str(weights() / "two"), "--prompts", str(prompts)]
    process, _ = serving(home, *contest)
    try:
        db = open_writer(home)
        wait_for(lambda: any(c.name == "one vs two" for c in list_campaigns(db)))
        assert [m.name for m in list_models(db)] == ["one", "two"]
        assert [s.name for s in prompt_sets(db)] == ["questions"]
        assert run(home, "campaign", "list", "--json").json[0]["battles"] == 3
        db.conn.close()
    finally:
        stopped(process)


@pytest.mark.slow
def test_without_a_verb_it_serves_on_the_port_of_the_environment(home):
    port = free_port()
    env = {**os.environ, "PORT": str(port), "TASTEBENCH_HOME": str(home.root)}
    process = subprocess.Popen([sys.executable, str(PROJECT / "launch.py")], env=env, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)  # fmt: skip
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                assert json.loads(get(f"http://127.0.0.1:{port}/healthz")[0])["ready_to_rate"] is True
                break
            except OSError:
                time.sleep(0.1)
        else:
            raise AssertionError("it does not answer")
    finally:
        stopped(process)


# -- upkeep ----------------------------------------------------------------------------------------------------


def test_backup_restore_and_check(home, tmp_path):
    file = tmp_path / "copy.db"
    assert run(home, "backup", file).out.startswith(f"{file}: ")
    run(home, "models", "add", "later", "--recorded")
    ran = run(home, "restore", file)
    assert (ran.code, "is kept as" in ran.out) == (0, True)
    assert [m["name"] for m in run(home, "models", "list", "--json").json] == ["model-one", "model-two"]
    assert run(home, "check", "--json").json == {"problems": []}
    assert run(home, "check").out == "no problem found\n"


def test_check_prints_problems_and_ends_with_exit_2(home):
    with sqlite3.connect(home.database) as conn:
        conn.execute("UPDATE campaign_sizes SET battles = 1")
    conn.close()
    ran = run(home, "check", "--json")
    assert ran.code == 2
    assert len(ran.json["problems"]) == 1
    assert ran.err.splitlines()[-1].startswith(f"error: problems in {home.root}: 1; ")


def test_a_record_is_told_in_plain_words():
    record = {"name": "r1", "why": "", "loss": 0.123456, "metrics": {"steps": 3, "notes": ("a", "b"), "gone": None},
              "schedule": Schedule.COSINE, "nothing": None, "none": []}  # fmt: skip
    assert told(record) == [
        "name: r1",
        "why: ",
        "loss: 0.1235",
        "metrics: steps 3, notes a; b",
        "schedule: cosine",
    ]
    assert shortened("x " * 50, 10) == "x x x x..."
    assert shortened(None) == ""
