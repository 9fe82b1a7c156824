"""Exports: what was pressed is what is chosen, in every format; folders whole or not at all; the hub."""

import hashlib
import json
import os
import random
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import datasets
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlite_utils import Database

from db.campaigns import Session, decide_rater, get_campaign
from db.connection import Home, open_reader, open_writer
from db.entities import CampaignSettings, Choice, Message, Outcome, Purpose, Split
from db.errors import NotFound, UserError
from db.votes import counted_votes
from labeling.exporting import ExportFormat, _gather, export, hash_of_votes
from labeling.importing import ImportKind, import_file
from labeling.joining import invite, join, session_from
from labeling.lending import next_ballots
from labeling.pairs import Method, PairPolicy
from labeling.rating import cast_vote, undo
from labeling.submission import parse_submission
from labeling.tables import columns, flat_chat, rows, safe_cell
from tests.factories import NOW, make_home
from tests.hubstand import standin

ROOT = Path(__file__).resolve().parent.parent


class Person:
    """A rater at a seat, voting as a browser would, without the HTTP."""

    def __init__(self, db: Database, campaign: str = "first", *, simulated: bool = False) -> None:
        self.db = db
        cookie = join(db, invite(db, campaign, 1, simulated=simulated)[0].token, None, NOW)
        self.cookie = cookie
        self.n = 0

    @property
    def session(self) -> Session | None:
        return session_from(self.db, self.cookie, NOW)

    def vote(self, choice: Choice, **more: object) -> tuple[str, str, str]:
        """Vote on the next ballot: (the assignment, the left text, the right text)."""
        self.n += 1
        ballot = next_ballots(self.db, self.session, 1, NOW).ballots[0]
        body = {"assignment": ballot.assignment, "choice": choice.value, "key": f"k{self.n}", **more}
        cast_vote(self.db, self.session, parse_submission(body), NOW + timedelta(seconds=self.n))
        return ballot.assignment, ballot.left, ballot.right


def load(folder: Path | str, tmp_path: Path) -> datasets.DatasetDict:
    return datasets.load_dataset(str(folder), cache_dir=str(tmp_path / "cache"))


@pytest.fixture
def voted(tmp_path: Path) -> Home:
    """Two people on twelve prompts, some held out by their hash: six choices each, and one vote taken back."""
    home = make_home(tmp_path / "voted", prompts=24, split=None, settings=CampaignSettings(overlap=2))  # type: ignore[arg-type]
    db = open_writer(home)
    person, machine = Person(db), Person(db, simulated=True)
    for choice in (Choice.LEFT, Choice.RIGHT, Choice.TIE, Choice.BOTH_GOOD, Choice.BOTH_BAD, Choice.SKIP) * 2:
        person.vote(choice, **({"strength": "clear"} if choice is Choice.LEFT else {}))
        machine.vote(choice)
    assignment, _, _ = person.vote(Choice.LEFT)
    undo(db, person.session, assignment, NOW + timedelta(seconds=30))
    db.conn.close()
    return home


# -- round trip --------------------------------------------------------------------------------------------------

TEXT = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=40
).filter(lambda t: bool(t.strip()))  # a response of blanks makes no pair: it stands under left_out


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(
    texts=st.lists(
        st.tuples(TEXT, TEXT).filter(lambda p: p[0].strip() != p[1].strip()), min_size=1, max_size=4
    ),
    data=st.data(),
)
def test_the_text_that_was_pressed_is_the_text_that_becomes_chosen(
    tmp_path_factory: pytest.TempPathFactory, texts: list[tuple[str, str]], data: st.DataObject
) -> None:
    home = make_home(
        tmp_path_factory.mktemp("pressed"), prompts=len(texts), answer=lambda m, i: texts[i][m == "model-two"]
    )
    db = open_writer(home)
    person = Person(db)
    pressed = set()
    for _ in texts:
        choice = data.draw(st.sampled_from([Choice.LEFT, Choice.RIGHT, Choice.TIE, Choice.BOTH_BAD]))
        _, left, right = person.vote(choice)
        if choice in (Choice.LEFT, Choice.RIGHT):
            pressed.add((left, right) if choice is Choice.LEFT else (right, left))
    if pressed:
        found = _gather(db, "first", ExportFormat.TRL, PairPolicy(method=Method.VOTE)).found
        exported = {
            (r["chosen"][0]["content"], r["rejected"][0]["content"]) for _, r in rows(ExportFormat.TRL, found)
        }  # type: ignore[index]
        assert exported == pressed
        seen = {tuple(r) for r in db.execute("SELECT chosen, rejected FROM vote_pairs")}
        assert seen == pressed
    db.conn.close()


# -- formats -----------------------------------------------------------------------------------------------------


def test_trl_rows_are_the_decisive_counted_votes(voted: Home, tmp_path: Path) -> None:
    report = export(voted, tmp_path / "out", campaign="first")
    made = load(tmp_path / "out", tmp_path)
    assert {k: len(v) for k, v in made.items()} == report.splits
    view = open_reader(voted).execute("SELECT count(*) FROM vote_pairs").fetchone()[0]
    assert sum(report.splits.values()) == view == 8
    assert report.left_out == {"tie": 4, "both_good": 4, "both_bad": 4}
    heldout = {p for (p,) in open_reader(voted).execute("SELECT id FROM prompts WHERE split = 'heldout'")}
    for split, data in made.items():
        assert data.features["chosen"] == datasets.List(
            {"role": datasets.Value("string"), "content": datasets.Value("string")}
        )
        assert list(data.features) == list(columns(ExportFormat.TRL))
        for row in data:
            assert (row["prompt_id"] in heldout) == (split == "test")
            assert [m["role"] for m in row["prompt"] + row["chosen"] + row["rejected"]] == [
                "user",
                "assistant",
                "assistant",
            ]
            assert row["chosen_model"][-1] == row["chosen"][0]["content"][-2]
            assert (row["margin"], row["strength"]) in ((1.0, "clear"), (None, None))
            assert (row["campaign"], row["purpose"], row["n_votes"]) == ("first", "collect", 1)
            assert row["raters"][0][0] == ("s" if row["simulated"] else "r")
            assert "sim" not in row["raters"][0]


@pytest.mark.parametrize("shape", list(ExportFormat))
def test_every_format_loads_with_the_counts_it_reports(
    voted: Home, tmp_path: Path, shape: ExportFormat
) -> None:
    report = export(voted, tmp_path / "out", campaign="first", format=shape)
    made = load(tmp_path / "out", tmp_path)
    expected = {"trl": 8, "reward": 8, "ultrafeedback": 8, "kto": 32, "responses": 48, "votes": 20, "csv": 20}
    assert {k: len(v) for k, v in made.items()} == report.splits
    assert sum(report.splits.values()) == expected[shape.value]
    for data in made.values():
        assert list(data.features) == list(columns(shape))


def test_kto_labels(voted: Home, tmp_path: Path) -> None:
    export(voted, tmp_path / "out", format="kto")
    both = [row for data in load(tmp_path / "out", tmp_path).values() for row in data]
    assert sum(r["label"] for r in both) == 16
    db = open_writer(voted)
    Person(db).vote(Choice.TIE, acceptable={"left": True, "right": False})
    Person(db).vote(Choice.LEFT, acceptable={"left": True, "right": True})
    assert sum(export(voted, tmp_path / "out", format="kto").splits.values()) == 36
    after = [row for data in load(tmp_path / "out", tmp_path).values() for row in data]
    assert (len(after), sum(r["label"] for r in after)) == (36, 19)


def test_ultrafeedback_scores_are_shares_of_the_votes(home: Home, tmp_path: Path) -> None:
    votes = [{"rater": r, "prompt": "Why?", "model_a": "m1", "model_b": "m2", "response_a": "one", "response_b": "two", "winner": w}
             for r, w in (("a", "model_a"), ("b", "model_a"), ("c", "tie"), ("d", "model_b"))]  # fmt: skip
    (tmp_path / "v.json").write_text(json.dumps(votes))
    import_file(home, ImportKind.VOTES, str(tmp_path / "v.json"))
    export(home, tmp_path / "out", format="ultrafeedback", policy=PairPolicy(method=Method.MAJORITY))
    [row] = [r for data in load(tmp_path / "out", tmp_path).values() for r in data]
    assert (row["score_chosen"], row["score_rejected"]) == (0.625, 0.375)
    assert [m["content"] for m in row["chosen"]] == ["Why?", "one"]
    assert row["messages"] == row["chosen"]
    assert row["prompt_id"] == hashlib.sha256(b"Why?").hexdigest()
    assert (row["n_votes"], row["agreement"]) == (2, 0.5)


def test_votes_come_back_in_as_they_went_out(voted: Home, home: Home, tmp_path: Path) -> None:
    export(voted, tmp_path / "out", format="votes")
    report = [
        import_file(home, ImportKind.VOTES, str(p), campaign="first")
        for p in sorted((tmp_path / "out/data").iterdir())
    ]
    assert [r.refused for r in report] == [0, 0]

    def told(which: Home) -> list[tuple[object, ...]]:
        db = open_reader(which)
        return sorted(
            (v.prompt, v.model_a, v.model_b, v.outcome.value, v.rater_kind.value, v.created_at)
            if v.model_a < v.model_b else (v.prompt, v.model_b, v.model_a, _other(v.outcome).value, v.rater_kind.value, v.created_at)
            for v in counted_votes(db, get_campaign(db, "first").id)
        )  # fmt: skip

    assert told(home) == told(voted)


def _other(outcome: Outcome) -> Outcome:
    return {Outcome.A: Outcome.B, Outcome.B: Outcome.A}.get(outcome, outcome)


def test_csv_is_safe_in_a_spreadsheet(home: Home, tmp_path: Path) -> None:
    row = {"rater": "a", "prompt": "=HYPERLINK(1)", "model_a": "m1", "model_b": "m2", "response_a": "+1\r\nnext, \"so\"",
           "response_b": "fine\r", "winner": "model_a"}  # fmt: skip
    (tmp_path / "v.json").write_text(json.dumps([row, {**row, "rater": "b", "prompt": "@x"}]))
    import_file(home, ImportKind.VOTES, str(tmp_path / "v.json"))
    report = export(home, tmp_path / "out", format="csv")
    loaded = [r for data in load(tmp_path / "out", tmp_path).values() for r in data]
    assert sum(report.splits.values()) == len(loaded) == 2
    assert {r["prompt"] for r in loaded} == {"'=HYPERLINK(1)", "'@x"}
    assert {r["response_a"] for r in loaded} == {'\'+1\r\nnext, "so"'}
    assert {r["response_b"] for r in loaded} == {"fine\r"}


def test_csv_has_one_type_a_column_whatever_its_splits_lack(home: Home, tmp_path: Path) -> None:
    row = {
        "rater": "7",
        "prompt": "1",
        "model_a": "1",
        "model_b": "2",
        "response_a": "3",
        "response_b": "4",
        "winner": "tie",
    }
    (tmp_path / "v.json").write_text(
        json.dumps(
            [row | {"split": "train", "turn": 1, "tags": "5"}, row | {"prompt": "2", "split": "heldout"}]
        )
    )
    import_file(home, ImportKind.VOTES, str(tmp_path / "v.json"))
    assert export(home, tmp_path / "out", format="csv").splits == {"train": 1, "test": 1}
    made = load(tmp_path / "out", tmp_path)
    assert (made["train"][0]["turn"], made["test"][0]["turn"], made["train"][0]["tags"]) == (1.0, None, "5")
    assert (made["train"][0]["response_a"], made["test"][0]["tags"]) == ("3", None)


def test_cells_and_chats() -> None:
    assert [safe_cell(t) for t in ("=a", "-1", "\tx", "a=b", "")] == ["'=a", "'-1", "'\tx", "a=b", ""]
    chat: list[Message] = [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b"},
        {"role": "user", "content": "c"},
    ]
    assert flat_chat(chat) == "user: a\n\nassistant: b\n\nuser: c"
    assert flat_chat(chat[:1]) == "a"


# -- what an export says of itself -------------------------------------------------------------------------------


def test_card_and_manifest_say_what_is_in_the_folder(voted: Home, tmp_path: Path) -> None:
    report = export(voted, tmp_path / "out", campaign="first")
    manifest = json.loads((tmp_path / "out/manifest.json").read_text())
    assert (manifest["rows"], manifest["votes_read"], manifest["snapshot"]) == (
        report.splits,
        20,
        report.snapshot,
    )
    for file in manifest["files"]:
        content = (tmp_path / "out" / file["path"]).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (file["bytes"], file["sha256"])
    assert {f["path"] for f in manifest["files"]} | {"manifest.json"} == set(report.files)
    card = (tmp_path / "out/README.md").read_text()
    for said in ("license: unknown", "| train |", "1 raters are simulated", "gave 10 of the votes", "4 tie",
                 "each decisive vote is a pair of its own", report.snapshot, "model `model-one`"):  # fmt: skip
        assert said in card
    reader = open_reader(voted)
    names = {v.rater_name for v in counted_votes(reader, get_campaign(reader, "first").id)}
    everything = card + (tmp_path / "out/manifest.json").read_text()
    assert not [n for n in names if n in everything]


def test_snapshot_hash_follows_the_votes(voted: Home, tmp_path: Path) -> None:
    first = export(voted, tmp_path / "a", campaign="first")
    assert export(voted, tmp_path / "b", campaign="first", format="votes").snapshot == first.snapshot
    db = open_writer(voted)
    votes = list(counted_votes(db, get_campaign(db, "first").id))
    assert hash_of_votes(reversed(votes)) == first.snapshot
    decide_rater(db, votes[0].rater_name, counted=False, reason="test")
    left = export(voted, tmp_path / "a", campaign="first")
    assert left.snapshot != first.snapshot
    assert sum(left.splits.values()) == 4


def test_a_replaced_export_is_not_loaded_from_the_cache_of_the_old_one(voted: Home, tmp_path: Path) -> None:
    export(voted, tmp_path / "out")
    before = sum(map(len, load(tmp_path / "out", tmp_path).values()))
    Person(open_writer(voted)).vote(Choice.LEFT)
    export(voted, tmp_path / "out")
    assert sum(map(len, load(tmp_path / "out", tmp_path).values())) == before + 1


def test_contradictions_are_listed(home: Home, tmp_path: Path) -> None:
    votes = [{"rater": r, "prompt": "Why?", "model_a": "m1", "model_b": "m2", "response_a": "one", "response_b": "two", "winner": w}
             for r, w in (("a", "model_a"), ("b", "model_b"), ("c", "model_b"))]  # fmt: skip
    (tmp_path / "v.json").write_text(json.dumps(votes))
    import_file(home, ImportKind.VOTES, str(tmp_path / "v.json"))
    report = export(home, tmp_path / "out")
    assert (sum(report.splits.values()), report.contradictions) == (3, 1)
    assert json.loads((tmp_path / "out/manifest.json").read_text())["contradictions"][0]["votes_a"] in (1, 2)
    assert "33.3% of the pairs of votes say the same" in (tmp_path / "out/README.md").read_text()


def test_an_evaluation_is_marked_and_lands_in_test(tmp_path: Path) -> None:
    home = make_home(tmp_path / "h", split=Split.HELDOUT, settings=CampaignSettings(Purpose.EVALUATE))
    db = open_writer(home)
    Person(db).vote(Choice.LEFT)
    report = export(home, tmp_path / "out", campaign="first")
    assert report.splits == {"test": 1}
    assert load(tmp_path / "out", tmp_path)["test"][0]["purpose"] == "evaluate"
    assert "must not train" in (tmp_path / "out/README.md").read_text()
    assert json.loads((tmp_path / "out/manifest.json").read_text())["evaluation"] is True


# -- folders -----------------------------------------------------------------------------------------------------


def test_nothing_to_export_writes_nothing(tmp_path: Path) -> None:
    home = make_home(tmp_path / "h")
    with pytest.raises(UserError, match="the campaign 'first' has no votes to export; collect"):
        export(home, tmp_path / "out", campaign="first")
    db = open_writer(home)
    Person(db).vote(Choice.TIE)
    with pytest.raises(UserError, match=r"has no pairs to export \(1 tie\); collect"):
        export(home, tmp_path / "out", campaign="first")
    with pytest.raises(NotFound, match="there is no campaign 'gone'"):
        export(home, tmp_path / "out", campaign="gone")
    with pytest.raises(UserError, match="there is no export format 'xml'; use one of: trl, kto"):
        export(home, tmp_path / "out", format="xml")
    assert [p.name for p in tmp_path.iterdir()] == ["h"]


def test_only_an_export_of_ours_is_replaced(voted: Home, tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "out"
    export(voted, folder, format="votes")
    export(voted, folder, format="trl")
    assert json.loads((folder / "manifest.json").read_text())["format"] == "trl"
    assert [p.name for p in folder.parent.iterdir()] == ["out"]
    (tmp_path / "mine").mkdir()
    export(voted, tmp_path / "mine")
    for name in ("theirs", "file"):
        (tmp_path / "theirs").mkdir(exist_ok=True)
        (tmp_path / "theirs" / "thesis.txt").write_text("precious")
        (tmp_path / "file").write_text("precious")
        with pytest.raises(UserError, match="name a folder that does not exist yet"):
            export(voted, tmp_path / name)
    assert (tmp_path / "theirs" / "thesis.txt").read_text() == "precious"


def test_a_disk_that_is_full_leaves_the_old_export(tmp_path: Path) -> None:
    dice = random.Random(0)
    home = make_home(tmp_path / "h", answer=lambda _m, _i: dice.randbytes(20_000).hex())
    db = open_writer(home)
    Person(db).vote(Choice.LEFT)
    export(home, tmp_path / "out")
    before = (tmp_path / "out/manifest.json").read_text()
    program = """
import resource, signal, sys
from pathlib import Path
from db.connection import Home
from db.errors import UserError
from labeling.exporting import export
import datasets
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (35_000, 35_000))
try:
    export(Home(Path(sys.argv[1])), Path(sys.argv[2]))
except UserError as error:
    print(error)
"""
    args = [sys.executable, "-c", program, str(home.root), str(tmp_path / "out")]
    done = subprocess.run(args, capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.startswith(f"cannot write {tmp_path / 'out'}: ")
    assert (tmp_path / "out/manifest.json").read_text() == before
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".out")]


# -- the hub -----------------------------------------------------------------------------------------------------

PUSH = """
import sys
from pathlib import Path
from db.connection import Home, home_at
from db.errors import UserError
from labeling.exporting import export
from labeling.importing import import_file
try:
    print(export(Home(Path(sys.argv[1])), Path(sys.argv[2]), push=sys.argv[3]).pushed)
    if len(sys.argv) > 4:
        print(import_file(home_at(Path(sys.argv[4])), "pairs", f"{sys.argv[3]}:test").added)
        import_file(home_at(Path(sys.argv[4])), "pairs", "me/gone")
except UserError as error:
    print(error)
"""


def push(voted: Home, folder: Path, repo: str, env: dict[str, str], *more: str) -> list[str]:
    args = [sys.executable, "-c", PUSH, str(voted.root), str(folder), repo, *more]
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "HUGGING"))}
    env = kept | {"HF_HOME": str(folder.parent / "hf")} | env
    return subprocess.run(
        args, capture_output=True, text=True, cwd=ROOT, env=env, check=True
    ).stdout.splitlines()


def test_push_and_import_again_from_the_hub(voted: Home, tmp_path: Path) -> None:
    with standin() as hub:
        env = {"HF_ENDPOINT": hub.address, "HF_TOKEN": hub.token}
        said = push(voted, tmp_path / "out", "me/prefs", env, str(tmp_path / "other"))
        assert said[0] == f"{hub.address}/datasets/me/prefs"
        heldout = json.loads((tmp_path / "out/manifest.json").read_text())["rows"]["test"]
        assert int(said[1]) == heldout
        assert said[2].startswith("cannot get the dataset me/gone: the hub has no such repository")
        assert hub.private == {"me/prefs": True}
        assert hub.types == ["dataset"]
        files = {
            str(p.relative_to(tmp_path / "out")): p.read_bytes()
            for p in (tmp_path / "out").rglob("*")
            if p.is_file()
        }
        assert hub.repos["me/prefs"] == files
        push(voted, tmp_path / "out", "me/prefs", env)  # the files of the replaced export go
        assert {p for p in hub.repos["me/prefs"] if p.startswith("data/")} == {
            str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out/data").iterdir()}  # fmt: skip
        refused = push(voted, tmp_path / "out", "me/prefs", env | {"HF_TOKEN": "hf_wrong"})
        assert refused == [
            "cannot push to the dataset me/prefs: the hub refuses the token (401); use a token that may write there"
        ]


def test_push_without_a_token_or_a_name_or_a_network_is_one_line(voted: Home, tmp_path: Path) -> None:
    nowhere = {"HF_ENDPOINT": "http://127.0.0.1:9"}
    assert push(voted, tmp_path / "out", "me/prefs", nowhere) == [
        "no hub token is set, so nothing is pushed; set HF_TOKEN or log in with `hf auth login`"]  # fmt: skip
    assert not (tmp_path / "out").exists()
    assert push(voted, tmp_path / "out", "me/a/b", nowhere | {"HF_TOKEN": "x"})[0].startswith(
        "'me/a/b' is not the name"
    )
    [line] = push(voted, tmp_path / "out", "me/prefs", nowhere | {"HF_TOKEN": "x"})
    assert line.startswith("cannot push to the dataset me/prefs (")
