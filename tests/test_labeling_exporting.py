"""Exports: what was pressed is what is chosen, in every format; folders whole or not at all; the hub."""

import contextlib
import hashlib
import json
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

from db.adjudications import add_ruling
from db.campaigns import create_campaign, get_campaign
from db.catalog import add_scores
from db.connection import Home, open_reader, open_writer
from db.entities.campaigns import CampaignSettings, Guard, Purpose
from db.entities.catalog import Message, Score, Split
from db.entities.votes import Choice, Outcome
from db.errors import NotFound, UserError
from db.raters import decide_rater
from db.sessions import Session
from db.snapshots import add_snapshot, snapshot_rows
from db.votes import counted_votes
from labeling.briefing import withdraw
from labeling.export_rows import rows_of
from labeling.exporting import ExportFormat, export, hash_of_votes, preview
from labeling.gathering import Order, gather
from labeling.gold import add_spoiled
from labeling.importing import ImportKind, import_file
from labeling.joining import agree, invite, join, session_from
from labeling.lending import next_ballots
from labeling.pairs import Method, PairPolicy
from labeling.rating import cast_vote, undo
from labeling.scanning import scan
from labeling.submission import parse_submission
from labeling.tables import columns, flat_chat, safe_cell
from tests.factories import NOW, make_home
from training.snapshots import Source, freeze

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
    home = make_home(tmp_path / "voted", prompts=24, split=None,  # type: ignore[arg-type]
                     settings=CampaignSettings(overlap=2, ask_better=True))  # fmt: skip
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
        found = gather(db, Order("first", ExportFormat.TRL, PairPolicy(method=Method.VOTE)))
        exported = {(r["chosen"][0]["content"], r["rejected"][0]["content"]) for _, r in rows_of(db, found)}  # type: ignore[index]
        assert exported == pressed
        seen = {tuple(r) for r in db.execute("SELECT chosen, rejected FROM vote_pairs")}
        assert seen == pressed
    db.conn.close()


@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(data=st.data(), shape=st.sampled_from([ExportFormat.TRL, ExportFormat.KTO, ExportFormat.VOTES]),
       method=st.sampled_from([Method.VOTE, Method.MAJORITY, Method.MIN_AGREEMENT]))  # fmt: skip
def test_every_stored_vote_is_in_the_export_or_listed_with_its_reason(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, shape: ExportFormat, method: Method
) -> None:
    """Whatever became of it: taken back, of an excluded rater, a tie, outvoted, on equal or empty texts."""
    answers = data.draw(
        st.lists(st.tuples(*[st.sampled_from(["x", " x", "y", "z", " "])] * 2), min_size=2, max_size=3)
    )
    home = make_home(tmp_path_factory.mktemp("stored"), prompts=len(answers), settings=CampaignSettings(overlap=3, guard=Guard.ALLOW, ask_better=True),
                     answer=lambda m, i: answers[i][m == "model-two"])  # fmt: skip
    db = open_writer(home)
    people = [Person(db), Person(db), Person(db, simulated=True)]
    pressed: dict[int, tuple[str, str]] = {}
    for person in people:
        while next_ballots(db, person.session, 1, NOW).ballots:
            choice = data.draw(
                st.sampled_from([Choice.LEFT, Choice.RIGHT, Choice.TIE, Choice.BOTH_GOOD, Choice.SKIP])
            )
            better = (
                {"better": "mine"} if data.draw(st.integers(0, 4)) == 0 and choice is not Choice.SKIP else {}
            )
            assignment, left, right = person.vote(choice, **better)
            vote = db.conn.execute("SELECT id FROM votes WHERE assignment = ?", (assignment,)).fetchone()[0]
            pressed[vote] = (left, right) if choice is Choice.LEFT else (right, left)
            if data.draw(st.integers(0, 9)) == 0:
                undo(db, person.session, assignment, NOW + timedelta(seconds=30))
                break
    if data.draw(st.booleans()):
        name = db.conn.execute("SELECT name FROM raters ORDER BY id DESC LIMIT 1").fetchone()[0]
        decide_rater(db, name, counted=False, reason="test")
    stored = {r[0] for r in db.conn.execute("SELECT id FROM votes")}
    view = {r[0]: (r[1], r[2]) for r in db.conn.execute("SELECT vote, chosen, rejected FROM vote_pairs")}
    policy = PairPolicy(method, simulated=data.draw(st.booleans()))
    written = []
    with contextlib.suppress(UserError):  # nothing of it makes a row
        made = gather(db, Order("first", shape, policy))
        written = [r for _, r in rows_of(db, made)]
    if not written:
        db.conn.close()
        return
    home_id = {n: vote for vote, n in made.found.ids.items()}
    for row in written:
        if "vote_ids" in row:
            row["vote_ids"] = [home_id[n] for n in row["vote_ids"]]  # type: ignore[union-attr]
        else:
            row["vote_id"] = home_id[row["vote_id"]]  # type: ignore[index]
    inside = {v for r in written for v in r.get("vote_ids", [r.get("vote_id")])}  # type: ignore[union-attr]
    assert inside | {v for v, _ in made.out} == stored
    assert not inside & {v for v, _ in made.out}
    if shape is ExportFormat.TRL:
        for row in written:
            texts = row["chosen"][0]["content"], row["rejected"][0]["content"]  # type: ignore[index]
            if row["written"]:
                assert texts[0] == "mine"
                continue
            assert {pressed[v] for v in row["vote_ids"]} == {view[v] for v in row["vote_ids"]} == {texts}  # type: ignore[union-attr]
        if method is Method.VOTE and policy.simulated:
            assert {v for r in written if not r["written"] for v in r["vote_ids"]} == set(view)  # type: ignore[union-attr]
    db.conn.close()


def test_check_questions_leaks_and_withdrawn_raters_are_in_no_row(tmp_path: Path) -> None:
    """Practice, known answers, repeats and answers that name their model are listed, and their texts stay in."""
    home = make_home(
        tmp_path / "h", prompts=14, split=None,  # type: ignore[arg-type]
        settings=CampaignSettings(overlap=3, gold_rate=0.4, repeat_rate=0.3, practice=1, guard=Guard.ALLOW),
        answer=lambda m, i: ("I am ChatGPT, a model by OpenAI. " if i == 3 else "") + f"answer number {i} in so many words by number {len(m)} {m[-3:]}",
    )  # fmt: skip
    db = open_writer(home)
    add_spoiled(db, get_campaign(db, "first"), 6)
    scan(db, get_campaign(db, "first").id)
    people = [Person(db), Person(db)]
    for person in people:
        while next_ballots(db, person.session, 1, NOW).ballots:
            person.vote(Choice.LEFT)
    states = dict(db.conn.execute("SELECT state, count(*) FROM vote_states GROUP BY state").fetchall())
    assert {"practice", "known answer", "repeat", "identity leak", "counted"} <= set(states)
    for shape in (ExportFormat.TRL, ExportFormat.KTO, ExportFormat.VOTES):
        report = export(home, tmp_path / shape, format=shape)
        assert {r: n for r, n in report.left_out.items() if r in states} == {
            r: n for r, n in states.items() if r != "counted"}  # fmt: skip
    withdraw(db, people[0].session)
    gone = export(home, tmp_path / "trl")
    assert gone.left_out["withdrawn"] >= 10
    export(home, tmp_path / "all", format="responses")
    spoiled = {r[0] for r in db.conn.execute(
        "SELECT text FROM responses r JOIN models m ON m.id = r.model WHERE m.name = 'gold'")}  # fmt: skip
    own = {
        r[0]
        for r in db.conn.execute(
            "SELECT text FROM responses r JOIN models m ON m.id = r.model WHERE m.name <> 'gold'"
        )
    }
    written = json.dumps([everything(tmp_path / f, tmp_path) for f in ("trl", "kto", "votes", "all")])
    assert spoiled - own
    assert not [text for text in spoiled - own if text in written]


# -- formats -----------------------------------------------------------------------------------------------------


def test_trl_rows_are_the_decisive_counted_votes(voted: Home, tmp_path: Path) -> None:
    report = export(voted, tmp_path / "out", campaign="first")
    made = load(tmp_path / "out", tmp_path)
    assert {k: len(v) for k, v in made.items()} == report.splits
    view = open_reader(voted).execute("SELECT count(*) FROM vote_pairs").fetchone()[0]
    assert sum(report.splits.values()) == view == 8
    assert report.left_out == {"tie": 4, "both_good": 4, "both_bad": 4, "skipped": 4, "retracted": 1}
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
    if shape is ExportFormat.SFT:
        Person(open_writer(voted)).vote(Choice.TIE, better="A better one.")
    report = export(voted, tmp_path / "out", campaign="first", format=shape)
    made = load(tmp_path / "out", tmp_path)
    expected = {
        "trl": 8,
        "reward": 8,
        "ultrafeedback": 8,
        "kto": 32,
        "responses": 24,
        "sft": 1,
        "votes": 20,
        "csv": 20,
    }
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


def everything(folder: Path, tmp_path: Path) -> list[dict[str, object]]:
    return [row for data in load(folder, tmp_path).values() for row in data]


def votes_in(home: Home, tmp_path: Path, *winners: str, **more: object) -> int:
    """Votes of as many people on one battle; its row number."""
    given = [{"rater": f"p{i}", "prompt": "Why?", "model_a": "m1", "model_b": "m2", "response_a": "one",
              "response_b": "two", "winner": w} | more for i, w in enumerate(winners)]  # fmt: skip
    (tmp_path / "v.json").write_text(json.dumps(given))
    import_file(home, ImportKind.VOTES, str(tmp_path / "v.json"))
    return int(open_reader(home).execute("SELECT max(id) FROM battles").fetchone()[0])


def test_a_policy_decides_what_goes_out_and_left_out_votes_are_named(home: Home, tmp_path: Path) -> None:
    votes_in(home, tmp_path, "model_a", "model_a", "model_b", "tie")
    report = export(home, tmp_path / "out", policy=PairPolicy(Method.MIN_AGREEMENT, min_agreement=0.5))
    assert report.left_out == {"outvoted": 1, "tie": 1}
    head, *listed = (tmp_path / "out/left_out.csv").read_text().splitlines()
    assert (head, {line.split(",")[1] for line in listed}) == ("vote,reason", {"outvoted", "tie"})
    with pytest.raises(UserError, match=r"no pairs to export \(4 too little agreement\)"):
        export(home, tmp_path / "out", policy=PairPolicy(Method.MIN_AGREEMENT, min_agreement=0.9))
    card = (tmp_path / "out/README.md").read_text()
    assert "they are at least 50% of its votes; where the owner ruled on a battle, that stands" in card
    assert "1 outvoted, 1 tie; `left_out.csv` names each vote." in card


def test_a_ruling_goes_out_marked_even_where_nobody_voted_so(home: Home, tmp_path: Path) -> None:
    battle = votes_in(home, tmp_path, "model_a", "model_a")
    with open_writer(home).conn as conn:
        add_ruling(Database(conn), battle, Outcome.B, "the first one is wrong", "owner")
    export(home, tmp_path / "out", format="ultrafeedback", policy=PairPolicy())
    [row] = everything(tmp_path / "out", tmp_path)
    assert (row["chosen_response"], row["ruled"], row["n_votes"], row["vote_ids"]) == ("two", True, 0, [])
    assert (row["score_chosen"], row["chosen_avg_rating"], row["rejected_avg_rating"]) == (1.0, 5.0, 1.0)
    assert "On 1 battle the owner ruled" in (tmp_path / "out/README.md").read_text()


def test_what_raters_write_is_chosen_over_both_and_trains_alone(tmp_path: Path) -> None:
    home = make_home(tmp_path / "h", settings=CampaignSettings(ask_better=True))
    db = open_writer(home)
    _, left, right = Person(db).vote(Choice.TIE, better="Best of all.")
    export(home, tmp_path / "trl")
    pairs = everything(tmp_path / "trl", tmp_path)
    assert {(r["chosen"][0]["content"], r["rejected"][0]["content"]) for r in pairs} == {  # type: ignore[index]
        ("Best of all.", left), ("Best of all.", right)}  # fmt: skip
    assert {(r["written"], r["chosen_model"]) for r in pairs} == {(True, None)}
    export(home, tmp_path / "sft", format="sft")
    [row] = everything(tmp_path / "sft", tmp_path)
    assert (row["completion"], row["written"]) == ([{"role": "assistant", "content": "Best of all."}], True)
    # frozen, it becomes a response of no model, and a withdrawn rater's text is in no later export
    frozen = freeze(db, Source(("first",)), PairPolicy(Method.VOTE))
    assert {r.chosen for r in snapshot_rows(db, frozen.id)} == {"Best of all."}
    with db.conn:
        db.conn.execute("INSERT INTO withdrawals(rater) SELECT rater FROM votes")
        db.conn.execute("UPDATE votes SET comment = NULL, better = NULL, reason = NULL, report = NULL")
    with pytest.raises(UserError, match="has no votes to export"):
        export(home, tmp_path / "trl")
    export(home, tmp_path / "all", format="responses")
    assert "Best of all." not in json.dumps(everything(tmp_path / "all", tmp_path))


def test_equal_empty_and_repeated_texts_are_refused_with_their_ids(home: Home, tmp_path: Path) -> None:
    rows_ = [{"rater": "a", "prompt": "Why?", "model_a": a, "model_b": b, "response_a": x, "response_b": y, "winner": "model_a"}
             for a, b, x, y in (("m1", "m2", "one", "two"), ("m3", "m4", "one", "two "), ("m1", "m5", "one", " one"),
                                ("m2", "m6", "two", " "))]  # fmt: skip
    (tmp_path / "v.json").write_text(json.dumps(rows_))
    import_file(home, ImportKind.VOTES, str(tmp_path / "v.json"))
    report = export(home, tmp_path / "out")
    assert sum(report.splits.values()) == 1
    assert {r.reason: r.votes for r in report.refused} == {
        "the same two texts as another pair": (2,), "identical responses": (3,), "empty response": (4,)}  # fmt: skip
    assert report.left_out == {r.reason: 1 for r in report.refused}
    manifest = json.loads((tmp_path / "out/manifest.json").read_text())
    stored = {r[0] for r in open_reader(home).execute("SELECT id FROM responses")}
    assert all(set(r["responses"]) <= stored for r in manifest["refused"])
    assert len(manifest["refused"]) == 3


def test_one_row_a_prompt_holds_every_response_and_score(home: Home, tmp_path: Path) -> None:
    votes_in(home, tmp_path, "model_b")
    given = [{"prompt": "Why?", "model": "m1", "response": "three"}, {"prompt": "How?", "model": "m1", "response": "x"},
             {"prompt": "How?", "model": "m2", "response": "y"}]  # fmt: skip
    (tmp_path / "r.json").write_text(json.dumps(given))
    import_file(home, ImportKind.RESPONSES, str(tmp_path / "r.json"))
    db = open_writer(home)
    ids = dict(db.conn.execute("SELECT text, id FROM responses"))
    add_scores(db, [Score(ids["x"], "rm", 0.5), Score(ids["y"], "rm", -1.0), Score(ids["one"], "rm", 3.0)])
    export(home, tmp_path / "out", format="responses")
    found = {str(r["prompt"]): r for r in everything(tmp_path / "out", tmp_path)}
    why, how = found["Why?"], found["How?"]
    assert (why["all_generated_responses"], why["models"], why["samples"]) == (
        ["one", "two", "three"], ["m1", "m2", "m1"], [0, 0, 1])  # fmt: skip
    assert (why["chosen"][-1]["content"], why["rejected"][-1]["content"], why["chosen_by"]) == (
        "two",
        "one",
        "votes",
    )  # type: ignore[index]
    assert (why["all_rm_scores"], why["scores"]) == (
        [3.0, None, None],
        [{"judge": "rm", "scores": [3.0, None, None]}],
    )
    assert (how["chosen"][-1]["content"], how["rejected"][-1]["content"], how["chosen_by"]) == (
        "x",
        "y",
        "rm",
    )  # type: ignore[index]


def test_responses_and_scores_come_back_in_as_they_went_out(voted: Home, home: Home, tmp_path: Path) -> None:
    db = open_writer(voted)
    answers = [r[0] for r in db.conn.execute("SELECT id FROM responses ORDER BY number LIMIT 5")]
    add_scores(db, [Score(r, "rm", i / 3) for i, r in enumerate(answers)])
    export(voted, tmp_path / "out", format="responses")
    for path in sorted((tmp_path / "out/data").iterdir()):
        assert import_file(home, ImportKind.RESPONSES, str(path)).refused == 0
        assert import_file(home, ImportKind.SCORES, str(path)).refused == 0

    def told(which: Home, what: str) -> list[tuple[object, ...]]:
        return sorted(open_reader(which).execute(what).fetchall())

    for what in ("SELECT r.prompt, m.name, r.text FROM responses r JOIN models m ON m.id = r.model",
                 "SELECT r.text, s.scorer, s.score FROM scores s JOIN responses r ON r.id = s.response"):  # fmt: skip
        assert told(home, what) == told(voted, what)


def test_each_round_of_the_loop_has_splits_of_its_own(tmp_path: Path) -> None:
    home = make_home(tmp_path / "h", prompts=3)
    db = open_writer(home)
    Person(db).vote(Choice.LEFT)
    snapshot = add_snapshot(db, "0" * 32, "votes:first", {}, [])
    root = get_campaign(db, "first")
    db.conn.execute("INSERT INTO runs(name, kind, parent, snapshot, status, folder, settings) VALUES ('r1', 'dpo', 1, ?, 'running', '', '{}')",
                    (snapshot.id,))  # fmt: skip
    create_campaign(
        db,
        "second",
        ["model-one", "model-two"],
        "set of first",
        CampaignSettings(),
        lineage=root.lineage,
        parent_run=1,
    )
    report = export(home, tmp_path / "out", campaign="second", format="responses")
    assert report.splits == {"train_iteration_1": 3, "train_iteration_2": 3}
    assert list(load(tmp_path / "out", tmp_path)) == ["train_iteration_1", "train_iteration_2"]


def test_the_argilla_columns_and_the_messages_form_are_both_there(
    voted: Home, home: Home, tmp_path: Path
) -> None:
    report = export(voted, tmp_path / "out", format="ultrafeedback")
    [row, *_] = everything(tmp_path / "out", tmp_path)
    assert row["chosen"][-1]["content"] == row["chosen_response"]  # type: ignore[index]
    assert row["instruction"] == row["prompt"]
    back = [import_file(home, ImportKind.PAIRS, str(p)) for p in sorted((tmp_path / "out/data").iterdir())]
    assert {b.format for b in back} == {"ultrafeedback"}
    assert sum(b.read - b.refused for b in back) == sum(report.splits.values())


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
            (v.prompt, v.model_a, v.model_b, v.outcome.value, v.rater_kind.value, v.created_at[:10])
            if v.model_a < v.model_b else (v.prompt, v.model_b, v.model_a, _other(v.outcome).value, v.rater_kind.value, v.created_at[:10])
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


def remarked_home(folder: Path) -> Home:
    """A person who answers everything that is asked on one vote, skips another and takes a third back."""
    asks = CampaignSettings(
        criteria=("helpful", "true"), reason_tags=("vague", "kind"), ask_comment=True, ask_better=True, guard=Guard.REDACT,
        ask_acceptable=True, overlap=2,
    )  # fmt: skip
    home = make_home(folder, settings=asks, prompts=4,
                     answer=lambda m, i: f"I am ChatGPT, a model by OpenAI. Number {i} in " + ("a long way." if m == "model-one" else "short.") if i == 0 else f"Plain answer {i} " + ("with a reason." if m == "model-one" else "in short words."))  # fmt: skip
    with contextlib.closing(open_writer(home).conn) as conn:
        db = Database(conn)
        scan(db, get_campaign(db, "first").id)
        person = Person(db)
        person.vote(Choice.LEFT, comment="=HYPERLINK(2)", criteria={"helpful": "left", "true": "tie"}, report="odd layout",
                    tags={"left": ["kind"], "right": ["vague"]}, better="Mine.", elapsed_ms=4321)  # fmt: skip
        person.vote(Choice.SKIP, reason="call me at anna@web.de")
        gone, _, _ = person.vote(Choice.RIGHT, comment="said in haste")
        undo(db, person.session, gone, NOW + timedelta(seconds=30))
        while next_ballots(db, person.session, 1, NOW + timedelta(seconds=40)).ballots:
            person.vote(Choice.TIE)
    return home


@pytest.mark.parametrize("shape", ["votes", "csv"])
def test_what_came_with_a_vote_goes_out_and_words_of_raters_only_on_demand(
    tmp_path: Path, shape: str
) -> None:
    home = remarked_home(tmp_path / "h")
    export(home, tmp_path / "quiet", format=shape)
    [row] = [r for r in everything(tmp_path / "quiet", tmp_path) if r["criteria"]]
    mine = "a" if row["winner"] == "model_a" else "b"
    other = "b" if mine == "a" else "a"
    assert json.loads(str(row["criteria"])) == {"helpful": row["winner"], "true": "tie"}
    tags = (row[f"reason_tags_{mine}"], row[f"reason_tags_{other}"])
    assert tags == (("kind", "vague") if shape == "csv" else (["kind"], ["vague"]))
    assert (row["better"], row["elapsed_ms"], 0 < float(str(row["chance"])) <= 1) == ("Mine.", 4000, True)
    assert (row["comment"], row["reason"], row["report"]) == (None, None, None)
    folder = "".join(
        p.read_text(errors="replace")
        for p in (tmp_path / "quiet").rglob("*")
        if p.suffix in (".md", ".csv", ".json")
    )
    assert "HYPERLINK" not in folder
    assert "comments, reasons and reports is not in it" in folder
    with pytest.raises(UserError, match="personal data: 1 mail address"):
        export(home, tmp_path / "loud", format=shape, comments=True, allow_personal=False)
    export(home, tmp_path / "loud", format=shape, comments=True, allow_personal=True, exact_times=True)
    [row] = [r for r in everything(tmp_path / "loud", tmp_path) if r["criteria"]]
    assert (row["comment"], row["report"], row["elapsed_ms"]) == (
        "'=HYPERLINK(2)" if shape == "csv" else "=HYPERLINK(2)", "odd layout", 4321)  # fmt: skip
    assert str(row["tstamp"]).endswith("Z")
    left_out = (tmp_path / "loud/left_out.csv").read_text()
    assert "call me at anna@web.de" in left_out
    assert "said in haste" not in left_out
    assert "comments, reasons and reports is in it" in (tmp_path / "loud/README.md").read_text()


@pytest.mark.parametrize("shape", ["votes", "trl"])
def test_votes_on_covered_words_say_so(tmp_path: Path, shape: str) -> None:
    home = remarked_home(tmp_path / "h")
    db = open_writer(home)
    person = Person(db)
    while next_ballots(db, person.session, 1, NOW).ballots:
        person.vote(Choice.LEFT)
    db.conn.close()
    export(home, tmp_path / "out", format=shape)
    found = everything(tmp_path / "out", tmp_path)
    assert {r["redacted"] for r in found} == {True, False}
    for row in found:
        assert row["redacted"] is ("ChatGPT" in json.dumps(row))
    assert "they did not see" in " ".join((tmp_path / "out/README.md").read_text().split())


def test_rows_of_two_exports_cannot_be_joined_by_their_ids_and_times(tmp_path: Path) -> None:
    home = make_home(tmp_path / "h", prompts=40)
    db = open_writer(home)
    person = Person(db)
    for _ in range(40):
        person.vote(Choice.LEFT)
    reports = [export(home, tmp_path / name, format="votes") for name in ("one", "two")]
    assert reports[0].version == reports[1].version
    told = []
    for name in ("one", "two"):
        rows_ = everything(tmp_path / name, tmp_path)
        told.append([(r["prompt_id"], r["vote_id"]) for r in rows_])
        assert {r["tstamp"] for r in rows_} == {NOW.strftime("%Y-%m-%d")}
        assert [r["vote_id"] for r in rows_] == list(range(1, 41))
        manifest = json.loads((tmp_path / name / "manifest.json").read_text())
        kept = home.exports / ".maps" / f"{manifest['export']}.json"
        votes = json.loads(kept.read_text())["votes"]
        asked = dict(
            db.conn.execute("SELECT v.id, b.prompt FROM votes v JOIN battles b ON b.id = v.battle").fetchall()
        )
        assert {(asked[votes[str(r["vote_id"])]], r["vote_id"]) for r in rows_} == set(told[-1])
        assert kept.stat().st_mode & 0o077 == 0
    assert told[0] != told[1]
    db.conn.close()


def test_an_export_that_comes_in_twice_adds_nothing(voted: Home, home: Home, tmp_path: Path) -> None:
    export(voted, tmp_path / "out", format="votes")
    files = sorted(str(p) for p in (tmp_path / "out/data").iterdir())
    first = [import_file(home, ImportKind.VOTES, f, campaign="first") for f in files]
    again = [import_file(home, ImportKind.VOTES, f, campaign="first") for f in files]
    assert sum(r.added for r in first) == 20
    assert [(r.added, r.refused) for r in again] == [(0, 0)] * len(files)


@pytest.mark.parametrize(
    "cell",
    [
        "=a",
        "+a",
        "-1",
        "@a",
        "\tx",
        "\rx",
        "\nx",
        "  =a",
        "\u3000+a",
        "\uff1da",
        "\uff0ba",
        "\uff0da",
        " \uff20a",
    ],
)
def test_a_cell_that_a_spreadsheet_would_run_has_an_apostrophe_before_it(cell: str) -> None:
    assert safe_cell(cell) == f"'{cell}"


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
    for said in ("license: unknown", "| train |", "1 rater is simulated", "gave 10 of the votes", "4 tie",
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


def test_agreement_joins_a_battle_that_recurs_the_other_way_round(home: Home, tmp_path: Path) -> None:
    votes_in(home, tmp_path, "model_a", "model_a")
    other = {"rater": "z", "prompt": "Why?", "model_a": "m2", "model_b": "m1", "response_a": "two", "response_b": "one",
             "winner": "model_b"}  # fmt: skip
    (tmp_path / "w.json").write_text(json.dumps([other]))
    import_file(home, ImportKind.VOTES, str(tmp_path / "w.json"))
    export(home, tmp_path / "out", format="votes")
    assert (
        "on 1 battles with two votes or more, 100.0% of the pairs" in (tmp_path / "out/README.md").read_text()
    )


def test_an_evaluation_is_marked_and_lands_in_test(tmp_path: Path) -> None:
    home = make_home(tmp_path / "h", split=Split.HELDOUT, settings=CampaignSettings(Purpose.EVALUATE))
    db = open_writer(home)
    Person(db).vote(Choice.LEFT)
    report = export(home, tmp_path / "out", campaign="first")
    assert report.splits == {"test": 1}
    assert load(tmp_path / "out", tmp_path)["test"][0]["purpose"] == "evaluate"
    assert "must not train" in (tmp_path / "out/README.md").read_text()
    assert json.loads((tmp_path / "out/manifest.json").read_text())["evaluation"] is True


def test_the_card_states_licence_consent_and_how_raters_were_found(tmp_path: Path) -> None:
    settings_ = CampaignSettings(consent_text="May we publish?", consent_version="v3", license="CC-BY-4.0",
                                 recruited="Students of one\ncourse, paid 15 EUR an hour")  # fmt: skip
    home = make_home(tmp_path / "h", settings=settings_)
    db = open_writer(home)
    person = Person(db)
    agree(db, person.session, "v3")
    person.vote(Choice.LEFT)
    export(home, tmp_path / "out")
    card = (tmp_path / "out/README.md").read_text()
    for said in ("license: cc-by-4.0", "1 vote under version `v3` of the consent text.", "Licence, as the owner states it: CC-BY-4.0",
                 "How its raters were found: Students of one course, paid 15 EUR an hour", "keys found none"):  # fmt: skip
        assert said in card
    manifest = json.loads((tmp_path / "out/manifest.json").read_text())
    assert manifest["consent"] == [{"version": "v3", "votes": 1}]
    assert manifest["version"] in card


def test_personal_data_stays_in_until_the_owner_lets_it_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_none")
    secret = "anna.schmidt@web.de"
    home = make_home(tmp_path / "h", answer=lambda m, i: f"Write to {secret}, says {m}.")
    Person(open_writer(home)).vote(Choice.LEFT)
    for how in ({"push": "me/mine"}, {"allow_personal": False}):
        with pytest.raises(UserError, match="seem to hold personal data: 2 mail addresses") as refused:
            export(home, tmp_path / "out", **how)
    assert secret not in str(refused.value)
    assert "train row 1, chosen: mail address ann..." in str(refused.value)
    assert not (tmp_path / "out").exists()
    export(home, tmp_path / "here")  # on this machine it is only named
    assert "nobody looked at it yet" in (tmp_path / "here/README.md").read_text()
    manifest = json.loads((tmp_path / "here/manifest.json").read_text())
    assert manifest["personal_data"] == {"found": {"mail address": 2}, "confirmed_by_owner": False}
    report = export(home, tmp_path / "out", allow_personal=True)
    assert report.personal == {"mail address": 2}
    assert "a search found 2 mail addresses; the owner looked" in (tmp_path / "out/README.md").read_text()
    manifest = json.loads((tmp_path / "out/manifest.json").read_text())
    assert manifest["personal_data"] == {"found": {"mail address": 2}, "confirmed_by_owner": True}


def test_a_preview_says_what_would_be_written_and_writes_nothing(voted: Home, tmp_path: Path) -> None:
    before = sorted(p.name for p in tmp_path.iterdir())
    seen = preview(voted, Order("first", ExportFormat.TRL, PairPolicy(Method.VOTE)))
    report = export(voted, tmp_path / "out", campaign="first")
    assert (seen.splits, seen.left_out, seen.contradictions) == (
        report.splits,
        report.left_out,
        report.contradictions,
    )
    assert [split for split, _ in seen.first] == ["train"] * 3 or len(seen.first) == 3
    assert seen.places == ()
    by_method = {e.policy.method: e for e in seen.effects}
    assert (by_method[Method.VOTE].pairs, by_method[Method.VOTE].left_out) == (8, 12)
    assert (
        by_method[Method.CONSENSUS].why_not == "a consensus needs 3 raters who share battles, and here are 0"
    )
    assert before == [n for n in sorted(p.name for p in tmp_path.iterdir()) if n != "out"]


def test_the_command_line_takes_a_policy_and_shows_first(voted: Home, tmp_path: Path) -> None:
    def launch(*words: str) -> subprocess.CompletedProcess[str]:
        command = [
            sys.executable,
            "launch.py",
            "--home",
            str(voted.root),
            "export",
            str(tmp_path / "out"),
            *words,
        ]
        return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)

    shown = launch("--preview", "--policy", "majority", "--json")
    assert sum(json.loads(shown.stdout)["splits"].values()) == 8
    assert not (tmp_path / "out").exists()
    made = json.loads(launch("--policy", "majority", "--no-simulated", "--json").stdout)
    assert made["left_out"]["simulated rater"] == 10
    refused = launch("--policy", "consensus")
    assert refused.returncode == 2
    assert "a consensus needs 3 raters" in refused.stderr


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
