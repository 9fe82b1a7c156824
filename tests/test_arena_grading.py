"""A language model that grades answers one by one, 1 to 10: read, stored with its reasons, a verdict where two differ."""

import json

import pytest

from arena.judges.asking import SINGLE_VERSION, ask_single, read_grade
from arena.judging import judge_of
from arena.report import report
from arena.suite_files import write_files
from arena.suites import ALL, SuiteName, suite
from db.campaigns import create_campaign, get_campaign
from db.catalog import add_model, add_prompts, add_responses, get_response, scores_of_campaign
from db.entities.campaigns import CampaignSettings
from db.entities.catalog import ModelKind, Prompt, Response, Split
from db.errors import UserError
from db.figures import judge_votes
from db.snapshots import pairs_of_set
from tests.workshop import give_votes, refused, run, trainable_home

NAME = f"llm far {SINGLE_VERSION}"


@pytest.fixture
def home(tmp_path):
    return trainable_home(tmp_path / "home")


@pytest.fixture
def server(server):
    server.answer = polite
    return server


def answer_in(text):
    return text.split("[answer begins]\n")[1].split("\n[answer ends]")[0]


def polite(text):
    """A judge that likes thanks: nine with, four without."""
    return f"It is {'kind' if 'thank' in answer_in(text) else 'curt'}.\n\n**GRADE: {9 if 'thank' in answer_in(text) else 4}**"


def graded(home, *words, campaign="first"):
    return run(home, "judge", campaign, "--with", "llm", "--model", "far", "--single", *words, "--json")


def scores(db, campaign="first"):
    return {
        r: s.score for r, s in scores_of_campaign(db, get_campaign(db, campaign).id).get(NAME, {}).items()
    }


# -- what is asked and read ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "grade"),
    [
        ("Because.\nGRADE: 7", 7),
        ("Because.\n\n**Grade: 10**\n", 10),
        ("grade: 3/10.", 3),
        ("GRADE: 6 / 10", 6),
        ("<think>GRADE: 2\nor 3?</think>\nFine.\nGRADE: 8", 8),
        ("GRADE: 5\nGRADE: 5", 5),
        ("GRADE: 5\nOn reflection:\nGRADE: 6", None),
        ("GRADE: 0", None),
        ("GRADE: 11", None),
        ("GRADE: 100", None),
        ("GRADE: 7.5", None),
        ("GRADE: -3", None),
        ("GRADE: 7/5", None),
        ("GRADE: seven", None),
        ("I would give it a 7.", None),
        ("My grade: 7 of 10 or so", None),
        ("<think>GRADE: 7", None),
        ("", None),
    ],
)
def test_a_grade_is_read_where_there_is_exactly_one_from_1_to_10(said, grade):
    assert read_grade(said) == grade


def test_the_request_and_the_answer_are_shown_once_with_no_name():
    chat = [
        {"role": "user", "content": "Hi {answer}"},
        {"role": "assistant", "content": "Yes?"},
        {"role": "user", "content": "Why?"},
    ]
    [asked] = ask_single(chat, " Since {request}. ")
    assert answer_in(asked["content"]) == "Since {request}."
    assert "user: Hi {answer}\n\nassistant: Yes?\n\nuser: Why?" in asked["content"]


# -- grades ----------------------------------------------------------------------------------------------------


def test_each_response_is_graded_once_and_its_reasons_are_kept(home, db, server, far):
    ran = graded(home)
    assert ran.json == {"judge": NAME, "kind": "llm_single", "scored": 16, "errors": 0, "textless": 0}
    assert len(server.seen) == 16
    assert {(s["temperature"], s["model"]) for s in server.seen} == {(0.0, "far-away-7b")}
    for response, score in scores(db).items():
        assert score == (9 if "thank" in get_response(db, response).text else 4)
    for grade, details in db.execute("SELECT grade, details FROM grades").fetchall():
        kept = json.loads(details)
        assert kept["prompt"] == SINGLE_VERSION
        assert kept["said"].startswith("It is ")
        assert kept["grade"] == grade
    assert judge_votes(db, get_campaign(db, "first").id) == [], "a grade is no vote"
    create_campaign(db, "again", ("two", "one"), "questions:train", CampaignSettings())
    assert graded(home, campaign="again").json["scored"] == 0
    assert len(server.seen) == 16
    told = run(home, "judge", "first", "--with", "llm", "--model", "far", "--single").out
    assert told == f"nothing to do: {NAME} has graded every response that has a text\n"


def test_what_cannot_be_read_is_an_error_and_never_a_grade(home, db, server, far):
    server.answer = lambda text: "Hard to say." if "Question 3" in text and "Sorry" in text else polite(text)
    give_votes(db, votes=8)
    assert graded(home).json == {
        "judge": NAME,
        "kind": "llm_single",
        "scored": 15,
        "errors": 1,
        "textless": 0,
    }
    assert len(scores(db)) == 15
    [figures] = report(db, "first").judges
    assert (figures.scored, figures.errors) == (7, 1)
    asked = len(server.seen)
    assert graded(home).json["errors"] == 1
    assert len(server.seen) == asked, "it is not asked again by itself"
    server.answer = polite
    assert graded(home, "--again").json == {
        "judge": NAME,
        "kind": "llm_single",
        "scored": 1,
        "errors": 0,
        "textless": 0,
    }
    assert report(db, "first").judges[0].errors == 0
    assert db.execute("SELECT count(*) FROM grades").fetchone()[0] == 17, (
        "what it said before stays on record"
    )


def test_a_judge_of_which_no_grade_could_be_read_is_shown_with_its_errors(home, db, server, far):
    server.answer = lambda _text: "Fine."
    assert graded(home).json["errors"] == 16
    [figures] = report(db, "first").judges
    assert (figures.name, figures.kind, figures.scored, figures.errors) == (NAME, "llm_single", 0, 8)
    assert figures.win_rate_a is None


def test_a_server_that_ends_half_way_leaves_what_was_graded_and_it_goes_on(home, db, server, far):
    server.answer = lambda _text: None
    assert "takes 8192 tokens" in refused(graded(home))
    assert scores(db) == {}
    server.answer = lambda text: None if "Question 5" in text else polite(text)
    assert graded(home).json | {"errors": 2} == {
        "judge": NAME, "kind": "llm_single", "scored": 14, "errors": 2, "textless": 0}  # fmt: skip
    told = [json.loads(d)["error"] for (d,) in db.execute("SELECT details FROM grades WHERE grade IS NULL")]
    assert all("takes 8192 tokens" in t for t in told)


def test_a_judge_that_grades_its_kin_is_warned_of(home, db, server, far):
    add_model(db, "mine", ModelKind.ENDPOINT, endpoint=server.url, remote_name="far-away-7b", parent="one")
    ran = run(home, "judge", "first", "--with", "llm", "--model", "mine", "--single", "--json")
    told = "judge mine and one come from the same model: a judge tends to prefer its own kind"
    assert ran.json["notes"] == [f"the {told}"]
    assert f"The {told}." in report(db, "first").warnings


def test_only_a_language_model_grades(home, db):
    assert "only a language model gives grades" in refused(
        run(home, "judge", "first", "--with", "length", "--single")
    )
    assert "say which model judges" in refused(run(home, "judge", "first", "--with", "llm", "--single"))


# -- figures ---------------------------------------------------------------------------------------------------


def test_two_grades_make_a_verdict_and_equal_ones_a_tie(home, db, server, far):
    give_votes(db, votes=8)
    server.answer = lambda text: "GRADE: 5" if "Question 2," in text else polite(text)
    graded(home)
    server.answer = lambda _text: "VERDICT: TIE"
    run(home, "judge", "first", "--with", "llm", "--model", "far")
    by_kind = {j.kind: j for j in report(db, "first").judges}
    single = by_kind["llm_single"]
    assert {j.name for j in by_kind.values()} == {NAME, "llm far pair-1"}
    assert (single.scored, single.draws, single.win_rate_a) == (8, 1 / 8, (7 + 0.5) / 8)
    assert (single.agreement_decided, single.agreement_n) == (1.0, 7), "its tie decides nothing"
    assert (single.agreement_with_ties, single.agreement_with_ties_n) == (7 / 8, 8)
    assert single.mean_score == {"one": (7 * 9 + 5) / 8, "two": (7 * 4 + 5) / 8}
    assert (single.auc, single.score_gap) == (pytest.approx(1 - 1 / 128), 35 / 8)
    assert (single.truncated_share, single.why["truncated_share"]) == (None, "it reads texts whole")


def test_an_excluded_grader_is_left_out_of_the_report(home, db, server, far):
    graded(home)
    assert [j.name for j in report(db, "first").judges] == [NAME]
    run(home, "raters", "exclude", NAME, "--reason", "too kind")
    assert report(db, "first").judges == ()


def test_grades_are_mt_bench_marks_by_category_and_turn_without_any_vote(home, db, server, far, tmp_path):
    first = [{"role": "user", "content": "Draw a cat."}]
    later = [*first, {"role": "assistant", "content": "=^.^="}, {"role": "user", "content": "Now a dog."}]
    asked = [Prompt.of(first, Split.TRAIN, ("art",)), Prompt.of(later, Split.TRAIN, ("art", "animals"))]
    add_prompts(db, asked, prompt_set="bench")
    add_responses(db, [Response.of(p.id, m, f"{m}: {i + 2 if m == 'one' else i + 5}")
                       for m in ("one", "two") for i, p in enumerate(asked)])  # fmt: skip
    create_campaign(db, "bench", ("one", "two"), "bench", CampaignSettings())
    server.answer = lambda text: f"So.\nGRADE: {answer_in(text).split(': ')[1]}"
    graded(home, campaign="bench")
    marks = {
        (r.judge, r.model, r.category, r.turn): r.score for r in suite(db, SuiteName.MTBENCH, "bench").rows
    }
    assert marks == {
        (NAME, model, category, turn): score
        for model, first_turn in (("one", 2), ("two", 5))
        for category, turn, score in [
            (ALL, ALL, first_turn + 0.5), (ALL, "1", first_turn), (ALL, "2", first_turn + 1),
            ("art", ALL, first_turn + 0.5), ("art", "1", first_turn), ("art", "2", first_turn + 1),
            ("animals", ALL, first_turn + 1), ("animals", "2", first_turn + 1),
        ]
    }  # fmt: skip
    made = write_files(db, tmp_path / "files", SuiteName.MTBENCH, "bench")
    assert made.files["results.csv"] == len(marks)


def test_a_grader_ranks_answers_into_pairs(home, db, server, far):
    asked = [Prompt.of([{"role": "user", "content": f"Say {i}."}]) for i in range(2)]
    add_prompts(db, asked, prompt_set="few")
    add_responses(db, [Response.of(p.id, "one", f"Word {n}", sample=n) for p in asked for n in range(3)])
    server.answer = lambda text: {"Word 0": "GRADE: 2", "Word 1": "Unsure."}.get(answer_in(text), "GRADE: 8")
    ran = run(home, "rank", "few", "--model", "one", "--n", 3, "--with", "llm", "--single", "--judge-model", "far",
              "--as", "ranked", "--json")  # fmt: skip
    assert (ran.json["judge"], ran.json["pairs"], ran.json["errors"]) == (NAME, 2, 2)
    assert ran.json["truncated_share"] is None
    said = [
        (get_response(db, p.chosen).text, get_response(db, p.rejected).text)
        for p in pairs_of_set(db, "ranked")
    ]
    assert said == [("Word 2", "Word 0")] * 2
    again = run(home, "rank", "few", "--model", "one", "--n", 3, "--with", "llm", "--single", "--judge-model", "far",
                "--as", "ranked", "--json")  # fmt: skip
    assert (again.json["already_there"], len(server.seen)) == (2, 6)


def test_scores_of_the_same_name_keep_a_new_judge_from_it(home, db, far, tmp_path):
    response = db.execute("SELECT id FROM responses").fetchone()[0]
    db.execute("INSERT INTO scores(response, scorer, score) VALUES (?, ?, 1)", (response, NAME))
    db.conn.commit()
    with pytest.raises(UserError, match="say which model judges"):
        judge_of(db, home, "llm", None, single=True)
    assert judge_of(db, home, "llm", "far", single=True).row.name == f"{NAME}-2"
