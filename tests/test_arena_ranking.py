"""N responses a prompt, ranked by a machine judge, become a named pair set that trains and never passes for people's."""

import pytest
from pairrm_fixture import tiny_pairrm

from arena.judging import ranker_of
from arena.players import GenerationSettings
from arena.ranking import Order, Ranked, Which, by_points, distinct, pairs_of
from arena.ranking import rank as run_rank
from db.catalog import add_model, add_prompts, add_responses, get_response, responses_of, scores_of_responses
from db.entities.catalog import Message, ModelKind, Prompt, Response, Split
from db.entities.votes import Outcome
from db.errors import UserError
from db.judges import JudgeKind, Word
from db.snapshots import get_snapshot, pair_sets, pairs_of_set
from tests.standin import standing_in
from tests.workshop import QUICK, run, trainable_home, weights

A, B, C = "a" * 32, "b" * 32, "c" * 32


@pytest.fixture
def home(tmp_path):
    return trainable_home(tmp_path / "home", train=6, heldout=3)


def rank(home, *words, n=3, name="ranked"):
    return run(
        home,
        "rank",
        "questions",
        "--model",
        "one",
        "--n",
        n,
        "--max-new-tokens",
        8,
        "--as",
        name,
        *words,
        "--json",
    )


def texts(db, pair):
    return get_response(db, pair.chosen).text, get_response(db, pair.rejected).text


# -- pure ------------------------------------------------------------------------------------------------------


def test_the_best_meets_the_worst_or_every_two_that_differ():
    ranked = [Ranked(A, (2.0, 0.0)), Ranked(B, (1.0, 0.0)), Ranked(C, (1.0, 0.0))]
    assert pairs_of(ranked, Which.BEST_WORST) == [(A, C)]
    assert pairs_of(ranked, Which.ALL) == [(A, B), (A, C)]
    assert pairs_of([Ranked(A, (1.0, 0.0)), Ranked(B, (1.0, 0.0))], Which.BEST_WORST) == []


def test_comparisons_won_rank_first_and_margins_settle_the_rest():
    circle = {
        (A, B): Word(Outcome.A, 1.0, False),
        (B, C): Word(Outcome.A, 5.0, False),
        (A, C): Word(Outcome.B, -2.0, False),
    }
    assert by_points([C, A, B], circle) == [
        Ranked(C, (1.0, -3.0)),
        Ranked(A, (1.0, -1.0)),
        Ranked(B, (1.0, 4.0)),
    ]
    half = {(A, B): Word(Outcome.TIE, 0.5, False), (A, C): Word(None, None, False)}
    assert by_points([A, B, C], half) == [
        Ranked(A, (0.5, 0.5)),
        Ranked(B, (0.5, -0.5)),
        Ranked(C, (0.0, 0.0)),
    ]


def test_each_text_is_ranked_once_and_empty_ones_never():
    prompt = Prompt.of([Message(role="user", content="hi")])
    given = [
        Response.of(prompt.id, None, t, sample=n)
        for n, t in enumerate(["Yes.", "", " Yes.\n", "No.", "Later."])
    ]
    assert [r.text for r in distinct(given, 4)[prompt.id]] == ["Yes.", "No."]


# -- the verb --------------------------------------------------------------------------------------------------


def test_the_longest_beats_the_shortest(home, db):
    ran = rank(home, "--with", "length")
    assert ran.code == 0, ran.err
    made = pairs_of_set(db, "ranked")
    assert len(made) == ran.json["pairs"] == ran.json["train"] + ran.json["heldout"]
    assert all(len(longer) > len(shorter) for longer, shorter in (texts(db, p) for p in made))
    assert {r.sample for r in responses_of(db, "one")} == {0, 1, 2}
    for pair in made:
        mine = [r.text for r in responses_of(db, "one") if r.prompt == pair.prompt]
        assert [len(t) for t in texts(db, pair)] == [max(map(len, mine)), min(map(len, mine))]


def test_the_reward_model_scores_each_response_once_and_orders_the_pairs(home, db):
    ran = rank(home, "--with", "reward", "--pairs", "all")
    assert ran.code == 0, ran.err
    made, scorer = pairs_of_set(db, "ranked"), str(weights() / "reward")
    kept = scores_of_responses(db, scorer, [r.id for r in responses_of(db, "one")])
    assert ran.json["judge"] == scorer
    assert all(kept[p.chosen].score > kept[p.rejected].score for p in made)
    again = rank(home, "--with", "reward", "--pairs", "all")
    assert again.json | {"already_there": 0} == ran.json
    assert again.json["already_there"] == ran.json["pairs"]


def test_pairrm_ranks_by_what_both_orders_say(home, db, tmp_path):
    folder = tiny_pairrm(tmp_path / "PairRM-tiny")
    ran = rank(home, "--with", "pairrm", "--judge-model", folder)
    assert ran.code == 0, ran.err
    assert ran.json["judge"] == "pairrm PairRM-tiny"
    told = db.execute("SELECT count(*), count(DISTINCT response_a || response_b) FROM comparisons").fetchone()
    assert told[0] == told[1] >= len(pairs_of_set(db, "ranked"))
    again = rank(home, "--with", "pairrm", "--judge-model", folder)
    assert again.json["already_there"] == ran.json["pairs"]
    assert db.execute("SELECT count(*) FROM comparisons").fetchone()[0] == told[0]


def test_a_language_model_ranks_in_both_orders_and_what_it_cannot_say_is_no_win(home, db):
    with standing_in() as server:
        add_model(db, "far", ModelKind.ENDPOINT, endpoint=server.url, remote_name="far")
        server.answer = likes_short
        ran = rank(home, "--with", "llm", "--judge-model", "far")
        assert ran.code == 0, ran.err
        made, asked = pairs_of_set(db, "ranked"), len(server.seen)
        assert all(len(short) < len(long) for short, long in (texts(db, p) for p in made))
        assert asked == 2 * db.execute("SELECT count(*) FROM comparisons").fetchone()[0]
        assert rank(home, "--with", "llm", "--judge-model", "far").json["already_there"] == len(made)
        assert len(server.seen) == asked
        server.answer = lambda _text: "Who knows."
        none = rank(home, "--with", "llm", "--judge-model", "far", n=4, name="more")
        assert none.json["errors"] > 0
        server.answer = likes_short
        again = rank(home, "--with", "llm", "--judge-model", "far", "--again", n=4, name="more")
        assert again.json["errors"] == 0


def likes_short(text):
    """A judge that prefers the shorter of the two answers it is shown."""
    a, b = (text.split(f"[answer {x} begins]")[1].split(f"[answer {x} ends]")[0] for x in "AB")
    return f"Short is good.\nVERDICT: {'A' if len(a) < len(b) else 'B' if len(b) < len(a) else 'TIE'}"


def test_it_stops_when_told_and_goes_on(home, db):
    order = Order("questions", "one", 3, "ranked", settings=GenerationSettings(max_new_tokens=8))
    calls = iter([False, True])
    judge = ranker_of(db, home, JudgeKind.LENGTH)
    with pytest.raises(UserError, match="run it again to go on"):
        run_rank(db, home, order, judge, should_stop=lambda: next(calls, True))
    assert pair_sets(db) == []
    made = run_rank(db, home, order, judge)
    assert made.pairs == len(pairs_of_set(db, "ranked")) > 0


def test_the_set_trains_and_its_heldout_prompts_never_do(home, db):
    assert rank(home, "--with", "length").code == 0
    ran = run(
        home,
        "train",
        "dpo",
        "--from",
        "one",
        "--pairs",
        "ranked",
        *QUICK,
        "--no-rematch",
        "--name",
        "better",
        "--json",
    )
    assert ran.code == 0, ran.err
    snapshot = get_snapshot(db, ran.json["snapshot"])
    splits = [p.split for p in pairs_of_set(db, "ranked")]
    assert (snapshot.source, snapshot.train, snapshot.heldout) == (
        "pairs:ranked", splits.count(Split.TRAIN), splits.count(Split.HELDOUT))  # fmt: skip
    assert ran.json["reference_proof"]["ok"]


def test_a_set_says_who_ranked_it_and_takes_no_other_pairs(home, db):
    assert rank(home, "--with", "length").code == 0
    source = "3 responses of one to questions, best-worst by length"
    assert [(name, its) for name, its, _ in pair_sets(db)] == [("ranked", source)]
    other = rank(home, "--with", "length", n=4)
    assert (other.code, "already a pair set 'ranked'" in other.err) == (2, True)
    assert [(name, its) for name, its, _ in pair_sets(db)] == [("ranked", source)]
    assert db.execute("SELECT count(*) FROM votes").fetchone()[0] == 0


def test_responses_that_came_with_an_import_are_ranked_without_a_model_to_ask(home, db):
    run(home, "models", "add", "told", "--recorded")
    prompt = Prompt.of([Message(role="user", content="Name a colour.")], Split.TRAIN)
    add_prompts(db, [prompt], prompt_set="colours")
    add_responses(
        db,
        [
            Response.of(prompt.id, "told", t, sample=n)
            for n, t in enumerate(["Red.", "Perhaps blue.", "Red."])
        ],
    )
    ran = run(
        home, "rank", "colours", "--model", "told", "--n", 3, "--with", "length", "--as", "told", "--json"
    )
    assert ran.code == 0, ran.err
    assert [texts(db, p) for p in pairs_of_set(db, "told")] == [("Perhaps blue.", "Red.")]
    short = run(home, "rank", "colours", "--model", "told", "--n", 4, "--with", "length", "--as", "more")
    assert (short.code, "is recorded" in short.err) == (2, True)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["questions", "--model", "one", "--n", "1", "--as", "x"], "1 responses a prompt cannot be ranked"),
        (["nowhere", "--model", "one", "--as", "x"], "there is no prompt set 'nowhere'"),
        (["questions", "--model", "nobody", "--as", "x"], "there is no model 'nobody'"),
        (["questions", "--model", "one", "--as", "a/b"], "cannot be the name of a pair set"),
        (["questions", "--model", "one", "--with", "length", "--judge-model", "one", "--as", "x"], "has no model"),
        (["questions", "--model", "one", "--n", "2", "--temperature", "0", "--max-new-tokens", "1", "--with", "coin", "--as", "x"], "coin"),
    ],
)  # fmt: skip
def test_what_cannot_be_ranked_is_one_line(home, db, words, reason):
    ran = run(home, "rank", *words)
    assert ran.code == 2
    assert reason in ran.err.splitlines()[-1]
    assert pair_sets(db) == []


def test_answers_that_are_all_the_same_give_no_pairs(home, db):
    add_prompts(db, [Prompt.of([Message(role="user", content="Again?")], Split.TRAIN)], prompt_set="alike")
    prompt = Prompt.of([Message(role="user", content="Again?")], Split.TRAIN)
    add_responses(db, [Response.of(prompt.id, "one", "Same.", sample=n) for n in range(3)])
    ran = run(home, "rank", "alike", "--model", "one", "--n", 3, "--with", "length", "--as", "none")
    assert (ran.code, "tells no two of these responses apart" in ran.err) == (2, True)
    assert pair_sets(db) == []
