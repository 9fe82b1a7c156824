"""Judges that compare: PairRM, a language model and length vote on battles apart from people, in both orders."""

import json

import pytest
from pairrm_fixture import tiny_pairrm

from arena import judging
from arena.charts import body
from arena.judges import Duel, LengthJudge
from arena.judges.asking import PAIR_VERSION, ask_pair, read_pair, together
from arena.judges.kinship import kin
from arena.judging import ASKED_LOT, compare_campaign, ranker_of
from arena.registry import compare
from arena.report import report
from arena.wording import lines
from db.campaigns import battles_of, coverage, create_campaign, get_campaign
from db.catalog import add_model, get_response
from db.connection import home_at, open_writer
from db.entities.campaigns import CampaignSettings
from db.entities.catalog import ModelKind
from db.entities.votes import Outcome, RaterKind
from db.errors import UserError
from db.figures import judge_votes
from db.judges import JudgeKind, cast_verdicts, due_verdicts
from db.upkeep import problems
from db.votes import counted_votes
from tests.factories import make_home
from tests.workshop import give_votes, run, trainable_home

A, B, TIE = Outcome.A, Outcome.B, Outcome.TIE


@pytest.fixture
def home(tmp_path):
    return trainable_home(tmp_path / "home")


def shown(text):
    """The two answers a judge was shown, by the marks around them."""
    return [text.split(f"[answer {x} begins]\n")[1].split(f"\n[answer {x} ends]")[0] for x in "AB"]


def polite(text):
    """A judge that likes thanks, wherever they stand."""
    a, b = ("thank" in answer for answer in shown(text))
    return f"One of them is friendlier.\n\n**VERDICT: {'A' if a > b else 'B' if b > a else 'TIE'}**"


def verdicts(db, campaign="first"):
    return judge_votes(db, get_campaign(db, campaign).id)


def judged(home, *words, campaign="first"):
    return run(home, "judge", campaign, *words, "--json")


# -- what is asked and read ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "word"),
    [
        ("Because.\nVERDICT: A", A),
        ("Because.\n\n**Verdict: B**\n", B),
        ("verdict:tie.", TIE),
        ("<think>VERDICT: A\nor B?</think>\nIt is B.\nVERDICT: B", B),
        ("A is fine.\nVERDICT: A\nVERDICT: A", A),
        ("VERDICT: A\nOn reflection:\nVERDICT: B", None),
        ("VERDICT: A or B", None),
        ("VERDICT: C", None),
        ("Answer A is better.", None),
        ("My verdict: A is better", None),
        ("<think>VERDICT: A", None),
        ("", None),
    ],
)
def test_a_verdict_is_read_where_there_is_exactly_one(said, word):
    assert read_pair(said) is word


@pytest.mark.parametrize(
    ("forward", "reverse", "word"),
    [
        (A, B, A),
        (B, A, B),
        (A, A, TIE),
        (B, B, TIE),
        (TIE, TIE, TIE),
        (A, TIE, TIE),
        (None, B, None),
        (A, None, None),
    ],
)
def test_orders_that_differ_are_a_tie_and_half_an_answer_is_none(forward, reverse, word):
    assert together(forward, reverse) is word


def test_the_request_and_both_answers_are_shown_once_with_no_name():
    chat = [
        {"role": "user", "content": "Hi {a}"},
        {"role": "assistant", "content": "Yes?"},
        {"role": "user", "content": "Why?"},
    ]
    [asked] = ask_pair(chat, "Since {b}.", "Because.")
    assert shown(asked["content"]) == ["Since {b}.", "Because."]
    assert "user: Hi {a}\n\nassistant: Yes?\n\nuser: Why?" in asked["content"]


@pytest.mark.parametrize(
    ("judge", "rated", "why"),
    [
        (["m"], ["m"], "are the same model"),
        (["m", "org/base"], ["n", "org/base"], "come from the same model"),
        (
            ["big", "meta-llama/Llama-3.3-70B-Instruct"],
            ["mine", "TinyLlama/TinyLlama-1.1B"],
            "are of one family (Llama)",
        ),
        (["judge", "gpt-4o"], ["mine", "openai-community/gpt2"], None),
        (["judge", "Qwen/Qwen3-8B"], ["mine", "./run"], None),
    ],
)
def test_kinship_is_told_by_names(judge, rated, why):
    assert kin(judge, rated) == why


def test_the_longer_answer_wins_whatever_it_says():
    duels = [Duel([], "long one", "short"), Duel([], "x", "xyz"), Duel([], " same ", "size")]
    assert [(w.outcome, w.margin) for w in LengthJudge().compare(duels)] == [(A, 3.0), (B, -2.0), (TIE, 0.0)]


# -- verdicts --------------------------------------------------------------------------------------------------


def test_length_votes_on_every_battle_and_people_are_left_alone(home, db):
    give_votes(db, votes=4)
    before = [v.id for v in counted_votes(db, get_campaign(db, "first").id)]
    ran = judged(home, "--with", "length")
    assert ran.json == {
        "judge": "length",
        "kind": "length",
        "compared": 8,
        "verdicts": 8,
        "errors": 0,
        "textless": 0,
    }
    for vote in verdicts(db):
        a, b = (get_response(db, r).text for r in (vote.response_a, vote.response_b))
        assert vote.outcome is (A if len(a) > len(b) else B)
        assert vote.rater_kind is RaterKind.JUDGE
    assert [v.id for v in counted_votes(db, get_campaign(db, "first").id)] == before
    assert judged(home, "--with", "length").json | {"compared": 8, "verdicts": 8} == ran.json
    assert len(verdicts(db)) == 8


def test_a_large_campaign_is_not_looked_through_for_every_lot(tmp_path, monkeypatch):
    home = make_home(tmp_path / "larger", prompts=60)
    db = open_writer(home)
    looks = []

    def looked(*words):
        due = due_verdicts(*words)
        looks.append(len(due))
        return due

    monkeypatch.setattr(judging, "due_verdicts", looked)
    done = compare_campaign(
        db, get_campaign(db, "first"), ranker_of(db, home, JudgeKind.LENGTH)._replace(lot=1)
    )
    assert (done.compared, done.verdicts, sum(looks), len(verdicts(db))) == (60, 60, 60, 60)
    assert len(looks) <= 40, "two more than the lots would be 62"
    db.conn.close()


def test_a_second_campaign_over_the_same_responses_is_voted_on_in_lots(home, db, monkeypatch):
    judged(home, "--with", "length")
    compare(db, "again", ("two", "one"), "questions:train", CampaignSettings())
    lots = []

    def cast(db, judge, campaign, due):
        assert not db.conn.in_transaction, "people's votes may go in between"
        lots.append(len(due))
        return cast_verdicts(db, judge, campaign, due)

    monkeypatch.setattr(judging, "VERDICTS", 3)
    monkeypatch.setattr(judging, "cast_verdicts", cast)
    done = compare_campaign(db, get_campaign(db, "again"), ranker_of(db, home, JudgeKind.LENGTH))
    assert (done.compared, done.verdicts, lots, len(verdicts(db, "again"))) == (0, 8, [3, 3, 2], 8)
    assert list(problems(db)) == []


def test_two_that_cast_the_same_verdicts_at_once_cast_them_once(home, db):
    judged(home, "--with", "length")
    compare(db, "again", ("two", "one"), "questions:train", CampaignSettings())
    judge, campaign = ranker_of(db, home, JudgeKind.LENGTH).row, get_campaign(db, "again").id
    due = due_verdicts(db, judge.id, campaign)
    assert (cast_verdicts(db, judge, campaign, due[:5]), cast_verdicts(db, judge, campaign, due)) == (5, 3)
    assert due_verdicts(db, judge.id, campaign) == []
    assert list(problems(db)) == []


def test_raters_are_still_asked_about_what_a_machine_judged(home, db):
    judged(home, "--with", "length")
    covered = coverage(db, get_campaign(db, "first"))
    assert (covered.votes, covered.wanted) == (0, 8)
    give_votes(db, votes=8)
    assert len(list(counted_votes(db, get_campaign(db, "first").id))) == 8


def test_a_second_campaign_over_the_same_responses_asks_nothing_again(home, db, server, far):
    server.answer = polite
    assert judged(home, "--with", "llm", "--model", "far").json["compared"] == 8
    asked = len(server.seen)
    assert asked == 16
    create_campaign(db, "again", ("two", "one"), "questions:train", CampaignSettings())
    ran = judged(home, "--with", "llm", "--model", "far", campaign="again")
    assert (ran.json["compared"], ran.json["verdicts"], len(server.seen)) == (0, 8, asked)
    assert {(v.model_a, v.outcome) for v in verdicts(db, "again")} <= {("one", A), ("two", B)}


def test_pairrm_votes_as_both_orders_say(home, db, tmp_path):
    folder = tiny_pairrm(tmp_path / "tiny")
    assert judged(home, "--with", "pairrm", "--model", folder).json["verdicts"] == 8
    row = ranker_of(db, home, JudgeKind.PAIRRM, str(folder))
    for vote in verdicts(db):
        lower = min(vote.response_a, vote.response_b)
        outcome, details = db.execute(
            "SELECT outcome, details FROM comparisons WHERE judge = ? AND response_a = ? AND response_b = ?",
            (row.row.id, lower, max(vote.response_a, vote.response_b)),
        ).fetchone()
        told = json.loads(details)
        prefers = (
            A
            if told["forward"] > 0 > told["reverse"]
            else B
            if told["forward"] < 0 < told["reverse"]
            else TIE
        )
        assert outcome == prefers
        assert vote.outcome is (prefers if lower == vote.response_a else {A: B, B: A}.get(prefers, TIE))


def test_a_language_model_is_asked_in_both_orders_and_its_reasons_are_kept(home, db, server, far):
    server.answer = polite
    ran = judged(home, "--with", "llm", "--model", "far")
    assert ran.json["judge"] == f"llm far {PAIR_VERSION}"
    assert {(v.model_a if v.outcome is A else v.model_b) for v in verdicts(db)} == {"one"}
    orders = {tuple(shown(s["messages"][0]["content"])) for s in server.seen}
    assert all((b, a) in orders for a, b in orders)
    assert {(s["temperature"], s["model"]) for s in server.seen} == {(0.0, "far-away-7b")}
    for (details,) in db.execute("SELECT details FROM comparisons"):
        kept = json.loads(details)
        assert kept["prompt"] == PAIR_VERSION
        assert "friendlier" in kept["forward"]["said"]
        assert {kept["forward"]["verdict"], kept["reverse"]["verdict"]} == {"a", "b"}


def test_a_judge_that_likes_the_first_place_says_nothing(home, db, server, far):
    server.answer = lambda _text: "The first.\nVERDICT: A"
    judged(home, "--with", "llm", "--model", "far")
    assert {v.outcome for v in verdicts(db)} == {TIE}


def test_what_cannot_be_read_is_counted_and_no_vote(home, db, server, far):
    sick = "Question 3"
    server.answer = lambda text: "I would rather not say." if sick in text else polite(text)
    ran = judged(home, "--with", "llm", "--model", "far")
    assert (ran.json["verdicts"], ran.json["errors"]) == (7, 1)
    [figures] = report(db, "first").judges
    assert (figures.kind, figures.scored, figures.errors) == ("llm", 7, 1)
    asked = len(server.seen)
    again = judged(home, "--with", "llm", "--model", "far")
    assert (again.json["errors"], len(server.seen)) == (1, asked)
    server.answer = polite
    mended = judged(home, "--with", "llm", "--model", "far", "--again")
    assert (mended.json["compared"], mended.json["verdicts"], mended.json["errors"]) == (1, 1, 0)
    assert report(db, "first").judges[0].errors == 0


def test_a_prompt_the_server_refuses_is_an_error_and_the_rest_goes_on(home, db, server, far):
    server.answer = lambda text: None if "Question 5" in text else polite(text)
    ran = judged(home, "--with", "llm", "--model", "far")
    assert (ran.json["verdicts"], ran.json["errors"]) == (7, 1)
    [told] = [json.loads(d) for (d,) in db.execute("SELECT details FROM comparisons WHERE outcome IS NULL")]
    assert "takes 8192 tokens" in told["forward"]["error"]


def test_a_server_that_refuses_everything_stops_the_job_and_stores_nothing(home, db, server, far):
    server.answer = lambda _text: None
    ran = judged(home, "--with", "llm", "--model", "far")
    assert (ran.code, "takes 8192 tokens" in ran.err) == (2, True)
    assert db.execute("SELECT count(*) FROM comparisons").fetchone()[0] == 0
    assert report(db, "first").judges == ()


def test_a_local_model_can_judge_and_is_warned_of_when_it_judges_itself(home, db):
    ran = judged(home, "--with", "llm", "--model", "one")
    assert ran.code in (0, 2)
    if ran.code == 0:
        assert ran.json["verdicts"] + ran.json["errors"] == 8
        assert ran.json["notes"] == [
            "the judge one and one are the same model: a judge tends to prefer its own kind"
        ]
    else:  # random weights and a context of 512 tokens: the whole request does not fit
        assert "the model takes 512" in ran.err


def test_it_stops_when_told_and_goes_on(tmp_path, server):
    home = make_home(tmp_path / "larger", prompts=ASKED_LOT + 4)
    db = open_writer(home_at(home.root))
    add_model(db, "far", ModelKind.ENDPOINT, endpoint=server.url, remote_name="far")
    server.answer = lambda _text: "VERDICT: TIE"
    first, asked = get_campaign(db, "first"), iter([False, True])
    judge = ranker_of(db, home, JudgeKind.LLM, "far")
    with pytest.raises(
        UserError, match=f"stopped after {ASKED_LOT} of {ASKED_LOT + 4} comparisons; run it again"
    ):
        compare_campaign(db, first, judge, should_stop=lambda: next(asked))
    assert len(verdicts(db)) == ASKED_LOT
    assert compare_campaign(db, first, judge).verdicts == 4
    assert len(server.seen) == 2 * (ASKED_LOT + 4)
    db.conn.close()


def test_check_questions_are_not_judged(home, db):
    first = get_campaign(db, "first")
    gold = battles_of(db, first.id)[0]
    db.execute("INSERT INTO gold_pairs(battle, better, source) VALUES (?, 'a', 'file')", (gold.id,))
    db.conn.commit()
    assert judged(home, "--with", "length").json["verdicts"] == 7


def test_battles_without_texts_are_left_out_and_counted(home, db, tmp_path):
    votes = [
        {"rater": "ann", "prompt": f"Why {i}?", "model_a": "x", "model_b": "y", "winner": "model_a"}
        for i in range(3)
    ]
    votes[0] |= {"response_a": "Because.", "response_b": "So."}
    file = tmp_path / "told.jsonl"
    file.write_text("".join(json.dumps(v) + "\n" for v in votes))
    assert run(home, "import", "votes", file, "--campaign", "told").code == 0
    ran = judged(home, "--with", "length", campaign="told")
    assert (ran.json["verdicts"], ran.json["textless"]) == (1, 2)
    assert "2 battles left out" in run(home, "judge", "told", "--with", "length").out


def test_two_models_of_one_name_are_two_judges(home, db, tmp_path):
    for part in "xy":
        tiny_pairrm(tmp_path / part / "PairRM", seed=ord(part))
        judged(home, "--with", "pairrm", "--model", tmp_path / part / "PairRM")
    assert [j.name for j in report(db, "first").judges] == ["pairrm PairRM", "pairrm PairRM-2"]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--with", "llm"], "say which model judges"),
        (["--with", "llm", "--model", "nobody"], "there is no model 'nobody'"),
        (["--with", "length", "--model", "one"], "has no model"),
        (["--with", "pairrm", "--model", "one"], "is no PairRM checkpoint"),
    ],
)
def test_what_cannot_compare_is_one_line(home, db, words, reason):
    ran = judged(home, *words)
    assert ran.code == 2
    assert reason in ran.err.splitlines()[-1]
    assert verdicts(db) == []


# -- the report ------------------------------------------------------------------------------------------------


def test_the_report_shows_each_judge_with_its_kind_errors_and_what_was_cut(home, db, tmp_path):
    give_votes(db, votes=4)
    judged(home, "--with", "length")
    judged(home, "--with", "reward")
    judged(home, "--with", "pairrm", "--model", tiny_pairrm(tmp_path / "tiny"))
    made = report(db, "first")
    assert {j.kind for j in made.judges} == {"reward", "length", "pairrm"}
    for j in made.judges:
        assert (j.scored, j.errors) == (4, 0)
        assert j.truncated_share == (None if j.kind == "length" else 0.0)
    by_kind = {j.kind: j for j in made.judges}
    assert by_kind["length"].agreement_decided == made.judges[0].longer_wins_baseline
    assert made.counts.counted == 4


def test_the_report_says_what_share_pairrm_had_to_cut_and_that_others_cut_nothing(tmp_path, server):
    home = make_home(
        tmp_path / "long", prompts=4, answer=lambda m, i: f"{m} says yes. " * (1500 if i == 2 else 1)
    )
    db = open_writer(home)
    add_model(db, "far", ModelKind.ENDPOINT, endpoint=server.url, remote_name="far")
    server.answer = lambda _text: "VERDICT: B"
    run(home, "judge", "first", "--with", "pairrm", "--model", tiny_pairrm(tmp_path / "tiny"))
    run(home, "judge", "first", "--with", "llm", "--model", "far")
    by_kind = {j.kind: j for j in report(db, "first").judges}
    assert by_kind["pairrm"].truncated_share == 0.25
    assert (by_kind["llm"].truncated_share, by_kind["llm"].why["truncated_share"]) == (
        None,
        "it reads texts whole",
    )
    told = "\n".join(lines(report(db, "first")))
    assert "judge pairrm tiny" in told
    db.conn.close()


def test_a_judge_of_which_nothing_could_be_read_is_shown_with_its_errors(home, db, server, far):
    server.answer = lambda _text: "Both are fine."
    ran = run(home, "judge", "first", "--with", "llm", "--model", "far")
    assert "8 answers of the judge could not be read" in ran.out
    [figures] = report(db, "first").judges
    assert (figures.name, figures.scored, figures.errors, figures.win_rate_a) == (
        "llm far pair-1",
        0,
        8,
        None,
    )
    assert figures.why["win_rate_a"] == "no battle was judged"
    assert "8 more on which it said nothing that can be read" in "\n".join(lines(report(db, "first")))
    page = body(report(db, "first"))
    assert "language model" in page


def test_the_report_warns_of_a_judge_that_judges_its_kin(home, db, server, far):
    add_model(db, "mine", ModelKind.ENDPOINT, endpoint=server.url, remote_name="far-away-7b", parent="one")
    server.answer = polite
    ran = judged(home, "--with", "llm", "--model", "mine")
    told = "judge mine and one come from the same model: a judge tends to prefer its own kind"
    assert ran.json["notes"] == [f"the {told}"]
    assert f"The {told}." in report(db, "first").warnings


def test_an_excluded_judge_is_left_out(home, db):
    judged(home, "--with", "length")
    run(home, "raters", "exclude", "length", "--reason", "a baseline only")
    assert report(db, "first").judges == ()
