"""Every format the import knows by name, in the shape its makers export it, through import_file; two tools' own shapes."""

import json
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from db.connection import Home, open_reader, open_writer
from db.entities.votes import RaterKind
from db.errors import UserError
from db.raters import add_rater
from labeling.formats.naming import rater_name
from labeling.formats.registry import FORMATS
from labeling.importing import ImportKind, import_file

U1, U2 = "5f4e1b1a-7c0e-4f2b-9d57-0a6a3c1d2e3f", "9b2d6f00-1111-4222-8333-444455556666"
TALK = "\n\nHuman: Hi.\n\nAssistant: Yes?\n\nHuman: What?\n\nAssistant: "
CHAT = [{"role": "user", "content": "Q?"}, {"role": "assistant", "content": "this"}]
OTHER = [{"role": "user", "content": "Q?"}, {"role": "assistant", "content": "that"}]

# (format, kind, a row as the format's makers write it)
KNOWN = [
    ("prompts", "prompts", {"prompt": "Q?", "tags": ["x"], "split": "train"}),
    ("responses", "responses", {"prompt": "Q?", "model": "m", "response": "r"}),
    ("votes", "votes", {"rater": "r", "prompt": "Q?", "model_a": "a", "model_b": "b", "response_a": "x",
                        "response_b": "y", "winner": "both_bad", "turn": 1, "tags": ["t"], "tstamp": 1.7e9}),
    ("verdicts", "verdicts", {"judge": "j", "prompt": "Q?", "model_a": "a", "model_b": "b", "winner": "model_a",
                              "p": 0.8, "inconsistent": False}),
    ("pairs", "pairs", {"prompt": "Q?", "chosen": "x", "rejected": "y"}),
    ("scores", "scores", {"prompt": "Q?", "model": "m", "response": "r", "scorer": "rm", "score": 0.5}),
    ("items", "responses", {"item_id": 1, "prompt": "Q?", "model_a": "a", "model_b": "b", "response_a": "x", "response_b": "y"}),
    ("scored_pairs", "scores", {"prompt": "Q?", "model_a": "a", "model_b": "b", "response_a": "x", "response_b": "y",
                                "score_a": 1, "score_b": 2, "scorer": "rm"}),
    ("hh", "pairs", {"chosen": TALK + "this", "rejected": TALK + "that"}),
    ("rlhf_reward", "pairs", {"prompt": "\n\nHuman: What?\n\nAssistant:", "chosen": " this", "rejected": " that"}),
    ("ultrafeedback", "pairs", {
        "source": "evol_instruct", "instruction": "Q?", "chosen_response": "this", "rejected_response": "that",
        "chosen_avg_rating": 4.5, "rejected_avg_rating": 2.0, "chosen_model": "gpt-4"}),
    ("ultrafeedback", "pairs", {"prompt": "Q?", "prompt_id": "ab", "chosen": CHAT, "rejected": OTHER, "messages": CHAT,
                                "score_chosen": 8.5, "score_rejected": 4.0}),
    ("sharegpt", "responses", {"conversations": [{"from": "human", "value": "Q?"}, {"from": "gpt", "value": "A."}]}),
    ("generations", "responses", {
        "prompt_id": "x1", "prompt": "Q?", "chosen": CHAT, "rejected": OTHER,
        "all_generated_responses": ["this", "that", "other"], "all_rm_scores": [1.5, -0.3, 0.1]}),
    ("generations", "scores", {"prompt": "Q?", "all_generated_responses": ["x", "y"], "models": ["a", "b"],
                               "scores": [{"judge": "rm", "scores": [0.5, None]}]}),
    ("lima", "responses", {"conversations": ["Q?", "A."], "source": "stackexchange"}),
    ("alpaca", "responses", {"instruction": "Do.", "input": "it", "output": "done"}),
    ("qa", "responses", {"question": "Q?", "answer": "A."}),
    ("mtbench", "prompts", {"question_id": 81, "category": "writing", "turns": ["First?", "Second?"]}),
    ("alpaca_eval", "responses", {"dataset": "helpful_base", "instruction": "Q?", "output": "A.", "generator": "m"}),
    ("alpaca_eval", "verdicts", {
        "instruction": "Q?", "output_1": "x", "generator_1": "davinci", "dataset": "selfinstruct", "output_2": "y",
        "generator_2": "m", "annotator": "weighted_alpaca_eval_gpt4_turbo", "preference": 1.87,
        "raw_completion": {"finish_reason": "length"}, "time_per_example": 0.2, "price_per_example": 0.003}),
    ("argilla", "votes", {
        "id": "r1", "status": "completed", "_server_id": U1, "metadata": {}, "vectors": {}, "suggestions": {},
        "fields": {"prompt": "Q?", "response1": "x", "response2": "y"},
        "responses": {"preference": [{"value": "response1", "user_id": U1}]}}),
    ("label_studio", "votes", {
        "id": 1, "data": {"prompt": "Q?", "answer1": "x", "answer2": "y"}, "predictions": [], "project": 3,
        "annotations": [{"id": 7, "completed_by": 2, "was_cancelled": False, "lead_time": 9.1,
                         "result": [{"id": "Dx1", "type": "pairwise", "from_name": "comparison", "origin": "manual",
                                     "to_name": "comparison", "value": {"selected": "left"}}]}]}),
]  # fmt: skip


def stored(home: Home) -> list[tuple[str, str, str, str, str, str, str]]:
    """(rater, kind, question, outcome, answer a, answer b, models) of every vote."""
    rows = open_reader(home).execute(
        """SELECT t.name, t.kind, p.text, v.outcome, a.text, b.text, ma.name || '/' || mb.name FROM votes v
        JOIN raters t ON t.id = v.rater JOIN battles w ON w.id = v.battle JOIN prompts p ON p.id = w.prompt
        JOIN responses a ON a.id = w.response_a JOIN responses b ON b.id = w.response_b
        JOIN models ma ON ma.id = w.model_a JOIN models mb ON mb.id = w.model_b ORDER BY v.id"""
    )
    return [tuple(r) for r in rows]  # type: ignore[misc]


def write(folder: Path, rows: list[object], name: str = "f.json") -> str:
    (folder / name).write_text(json.dumps(rows))
    return str(folder / name)


@pytest.mark.parametrize(("name", "kind", "row"), KNOWN)
def test_a_format_is_known_by_its_columns(
    home: Home, tmp_path: Path, name: str, kind: str, row: object
) -> None:
    source = write(tmp_path, [row])
    report = import_file(home, ImportKind(kind), source)
    assert (report.format, report.refused) == (name, 0)
    assert report.added >= 1
    assert import_file(home, ImportKind(kind), source).added == 0


def test_no_format_is_left_untried() -> None:
    assert {f.name for f in FORMATS} == {name for name, _, _ in KNOWN}


def test_mtbench_questions_answers_and_judgments_join(home: Home, tmp_path: Path) -> None:
    asked = [{"question_id": 81, "category": "writing", "turns": ["First?", "Second?"]}]
    answered = [{"question_id": 81, "answer_id": m, "model_id": m, "choices": [{"index": 0, "turns": [f"by {m}", "more"]}],
                 "tstamp": 1.6e9} for m in ("alpaca-13b", "gpt-4")]  # fmt: skip
    judged = [{"question_id": 81, "model_1": "alpaca-13b", "model_2": "gpt-4", "g1_winner": "model_2", "g2_winner": "model_2",
               "judge": ["gpt-4", "pair-v2"], "g1_user_prompt": "..", "g1_judgment": "[[B]]", "g2_user_prompt": "..",
               "g2_judgment": "[[A]]", "turn": 1, "tstamp": 1.6e9}]  # fmt: skip
    import_file(home, ImportKind.PROMPTS, write(tmp_path, list(asked), "question.json"))
    import_file(home, ImportKind.RESPONSES, write(tmp_path, list(answered), "answer.json"))
    assert (
        import_file(home, ImportKind.VERDICTS, write(tmp_path, list(judged), "judgment.json")).format
        == "mtbench"
    )
    assert stored(home) == [
        ("gpt-4", "judge", "First?", "b", "by alpaca-13b", "by gpt-4", "alpaca-13b/gpt-4")
    ]


# -- Argilla -----------------------------------------------------------------------------------------------------

FIELDS = {"instruction": "Q?", "response-1": "x", "response-2": "y"}
MODELS = {"response-1-model": "llama", "response-2-model": "mistral"}


def said(*votes: tuple[str, object]) -> list[dict[str, object]]:
    return [{"user_id": user, "value": value} for user, value in votes]


@pytest.mark.parametrize(
    "row",
    [
        {"id": "1", "fields": FIELDS, "metadata": MODELS, "suggestions": {}, "vectors": {}, "_server_id": U2,
         "responses": {"why": said((U1, "clearer")), "preference": said((U1, "response-1"), (U2, "response-2"))}},
        {"id": "1", **FIELDS, **MODELS, "_server_id": U2, "why.responses": ["clearer", None],
         "why.responses.users": [U1, U2], "why.responses.status": ["submitted", "submitted"],
         "preference.responses": ["response-1", "response-2", "response-1"], "preference.responses.users": [U1, U2, "x"],
         "preference.responses.status": ["submitted", "submitted", "discarded"], "preference.suggestion": "response-2"},
        {**FIELDS, "metadata": json.dumps(MODELS), "external_id": None, "preference-suggestion": "response-2",
         "preference": [{"user_id": U1, "value": "A", "status": "submitted"}, {"user_id": U2, "value": "2", "status": "submitted"},
                        {"user_id": "x", "value": "A", "status": "draft"}]},
        {**FIELDS, **MODELS, "preference": {"user_id": [U1, U2], "value": ["response-1", "response-2"],
                                            "status": ["submitted", "submitted"]}},
        {"id": "1", "fields": FIELDS, "metadata": MODELS, "responses": [
            {"user_id": U1, "status": "submitted", "values": {"preference": {"value": "response-1"}}},
            {"user_id": U2, "status": "submitted", "values": {"preference": {"value": "response-2"}}},
            {"user_id": "x", "status": "discarded", "values": {}}]},
        {"id": "1", "fields": FIELDS, "metadata": MODELS, "responses": {"ranking": said(
            (U1, ["response-1", "response-2"]),
            (U2, [{"rank": 2, "value": "response-1"}, {"rank": 1, "value": "response-2"}]))}},
    ],
    ids=["nested", "flattened", "feedback dataset", "feedback dataset of columns", "server", "rankings"],
)  # fmt: skip
def test_argilla_records_in_every_form(home: Home, tmp_path: Path, row: object) -> None:
    report = import_file(home, ImportKind.VOTES, write(tmp_path, [row]))
    assert (report.format, report.added, report.refused) == ("argilla", 2, 0)
    assert stored(home) == [(U1, "person", "Q?", "a", "x", "y", "llama/mistral"),
                            (U2, "person", "Q?", "b", "x", "y", "llama/mistral")]  # fmt: skip


def test_a_row_of_several_votes_goes_in_whole_or_not_at_all(home: Home, tmp_path: Path) -> None:
    db = open_writer(home)
    add_rater(db, rater_name(U2), RaterKind.JUDGE)
    votes = {"preference": said((U1, "response-1"), (U2, "response-2"))}
    refused = {"id": "1", "fields": FIELDS, "metadata": MODELS, "responses": votes}
    good = {"id": "2", "fields": FIELDS | {"instruction": "What?"}, "metadata": MODELS,
            "responses": {"preference": said((U1, "response-1"), ("x", "response-2"))}}  # fmt: skip
    report = import_file(home, ImportKind.VOTES, write(tmp_path, [refused, good]))
    assert (report.read, report.added, report.refused) == (2, 2, 1)
    assert "is here already, as a judge" in report.refusals[0].reason
    assert {row[2] for row in stored(home)} == {"What?"}
    assert db.conn.execute("SELECT count(*) FROM battles").fetchone() == (1,)
    db.conn.close()


def test_argilla_from_parquet_with_chats_ties_and_nobody(home: Home, tmp_path: Path) -> None:
    rows = [{"messages": [{"role": "user", "content": "Q?"}], "generation_a": "x", "generation_b": "y",
             "choice.responses": [value] if value else None, "choice.responses.users": [U1] if value else None,
             "choice.responses.status": ["submitted"] if value else None} for value in ("tie", None)]  # fmt: skip
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "f.parquet")
    report = import_file(home, ImportKind.VOTES, str(tmp_path / "f.parquet"))
    assert [(r.line, r.reason) for r in report.refusals] == [(2, "nobody has said which answer is better")]
    assert stored(home) == [(U1, "person", "Q?", "tie", "x", "y", "generation_a/generation_b")]
    assert import_file(home, ImportKind.RESPONSES, str(tmp_path / "f.parquet")).already_there == 4


def test_a_record_without_a_question_or_two_answers_is_refused(home: Home, tmp_path: Path) -> None:
    rows = [
        {"fields": {"text": "x"}, "responses": {}},
        {"fields": {"prompt": "Q?", "text": "x"}, "responses": {}},
    ]
    report = import_file(home, ImportKind.VOTES, write(tmp_path, list(rows)))
    assert [r.reason for r in report.refusals] == [
        "no field holds the question (one of prompt, instruction, question, query, input)",
        "no two fields hold the answers, such as response-1 and response-2"]  # fmt: skip


def test_annotations_that_people_gave_are_votes_draws_too(home: Home, tmp_path: Path) -> None:
    rows = [{"instruction": f"Q{number}?", "output_1": "x", "generator_1": "a", "output_2": "y", "generator_2": "b",
             "annotator": "people", "preference": number} for number in (1.0, 2.0, 1.5)]  # fmt: skip
    assert import_file(home, ImportKind.VOTES, write(tmp_path, list(rows))).refusals == ()
    assert [row[3] for row in stored(home)] == ["a", "b", "tie"]


# -- Label Studio ------------------------------------------------------------------------------------------------


def annotation(who: object, result: list[object], **more: object) -> dict[str, object]:
    return {"id": 7, "completed_by": who, "result": result, "was_cancelled": False, "lead_time": 4.2,
            "created_at": "2026-03-09T22:16:08.728353Z", **more}  # fmt: skip


def pairwise(side: str) -> dict[str, object]:
    return {"id": "u1", "type": "pairwise", "from_name": "pw", "to_name": "pw", "value": {"selected": side}}


def test_label_studio_tasks_with_several_annotators(home: Home, tmp_path: Path) -> None:
    choices = {
        "id": "u2",
        "type": "choices",
        "from_name": "which",
        "to_name": "prompt",
        "value": {"choices": ["Tie"]},
    }
    rating = {"id": "u3", "type": "rating", "from_name": "stars", "to_name": "prompt", "value": {"rating": 4}}
    task = {"id": 1, "data": {"prompt": "Q?", "answer1": "x", "answer2": "y", "model_1": "llama", "model_2": "mistral"},
            "annotations": [annotation(3, [rating, pairwise("right")]), annotation({"id": 4, "email": "a@b.de"}, [pairwise("left")]),
                            annotation(5, [choices]), annotation(6, [pairwise("left")], was_cancelled=True)]}  # fmt: skip
    report = import_file(home, ImportKind.VOTES, write(tmp_path, [task]))
    assert (report.format, report.added) == ("label_studio", 3)
    votes = stored(home)
    assert [(v[0][:10], v[3], v[6]) for v in votes] == [
        ("annotator-", "b", "llama/mistral"), ("rater-" + votes[1][0][6:10], "a", "llama/mistral"),
        ("annotator-", "tie", "llama/mistral")]  # fmt: skip
    assert "a@b.de" not in votes[1][0]
    when = open_reader(home).execute("SELECT created_at FROM votes LIMIT 1").fetchone()[0]
    assert when == "2026-03-09T22:16:08.728Z"


@pytest.mark.parametrize("answer", [[{"selected": "right"}], {"selected": "right"}, "right", "Answer 2"])
def test_label_studio_in_its_short_form(home: Home, tmp_path: Path, answer: object) -> None:
    row = {"id": 1, "prompt": "Q?", "answer1": "x", "answer2": "y", "source": "a", "comparison": answer, "annotator": 2,
           "annotation_id": 5, "lead_time": 3.1, "created_at": "2026-03-09T22:16:08Z", "updated_at": "2026-03-09T22:16:08Z"}  # fmt: skip
    assert import_file(home, ImportKind.VOTES, write(tmp_path, [row])).format == "label_studio"
    assert stored(home) == [("annotator-2", "person", "Q?", "b", "x", "y", "answer1/answer2")]


def test_label_studio_as_csv(home: Home, tmp_path: Path) -> None:
    cell = '"[{""selected"": ""left""}]"'
    (tmp_path / "f.csv").write_text(
        "prompt,answer1,answer2,id,pw,annotator,annotation_id,created_at,updated_at,lead_time\n"
        f"Q?,x,y,1,{cell},2,5,2026-03-09T22:16:08Z,2026-03-09T22:16:08Z,3.1\n"
    )
    assert import_file(home, ImportKind.VOTES, str(tmp_path / "f.csv")).added == 1
    assert stored(home)[0][3] == "a"


def test_a_task_nobody_annotated_still_brings_its_answers(home: Home, tmp_path: Path) -> None:
    task = {
        "id": 1,
        "data": {"text": "Which?", "question": "Q?", "text1": "x", "text2": "y"},
        "annotations": [],
    }
    source = write(tmp_path, [task])
    assert import_file(home, ImportKind.RESPONSES, source).added == 2
    report = import_file(home, ImportKind.VOTES, source)
    assert report.refusals[0].reason == "nobody has said which answer is better"
    with pytest.raises(UserError, match="the format label_studio holds no pairs"):
        import_file(home, ImportKind.PAIRS, source, format="label_studio")
