"""The files of MT-Bench (questions, answers, judgments) and AlpacaEval (model outputs, annotations)."""

from collections.abc import Iterable, Mapping, Sequence

from db.entities.votes import Outcome, RaterKind
from labeling.formats.fields import clean, filled, moment, number, optional, reference, tags_of, text, turn_of
from labeling.formats.plain import question, rater_of, verdict_row
from labeling.formats.records import (
    BadRow,
    Format,
    GivenPrompt,
    GivenResponse,
    GivenScore,
    GivenVote,
    ImportKind,
    Row,
)

# -- MT-Bench ----------------------------------------------------------------------------------------------------


def mtbench_question(row: Row) -> Iterable[GivenPrompt]:
    """The first turn, tagged with its category. The second has a prompt only with a model's own first answer."""
    asks = question(_turn(row.get("turns"), "turns"))
    tags = tags_of({"tags": row.get("category", row.get("tags"))})
    yield GivenPrompt(asks.messages, _question_id(row), tags=tags)


def mtbench_answer(row: Row) -> Iterable[GivenResponse]:
    """A model's first answer, in FastChat's form (choices) or with its turns at the top."""
    turns = row.get("turns")
    choices = row.get("choices")
    if turns is None and isinstance(choices, Sequence) and choices and isinstance(choices[0], Mapping):
        turns = choices[0].get("turns")
    model = filled(row, "model_id" if row.get("model_id") is not None else "model")
    yield GivenResponse(GivenPrompt((), _question_id(row)), model, _turn(turns, "turns"))


def mtbench_verdict(row: Row) -> Iterable[GivenVote]:
    """A pairwise judgment. Played in both orders (g1, g2), only the same winner twice wins; an error is no verdict."""
    if row.get("g1_winner") is None:
        yield from verdict_row(
            {**row, "prompt_id": _question_id(row), "rater": row.get("judge", row.get("rater"))}
        )
        return
    games = filled(row, "g1_winner"), filled(row, "g2_winner")
    if "error" in games:
        raise BadRow("the judge gave no verdict (error)")
    same = games[0] if games[0] == games[1] else "tie"
    won = {"model_1": Outcome.A, "model_2": Outcome.B}.get(same, Outcome.TIE)
    model_a, model_b = filled(row, "model_1"), filled(row, "model_2")
    if model_a == model_b:
        raise BadRow("model_1 and model_2 are the same")
    yield GivenVote(rater_of({"rater": row.get("judge")}), RaterKind.JUDGE, won, GivenPrompt((), _question_id(row)),
                    model_a, model_b, turn=turn_of(row), at=moment(row))  # fmt: skip


def mtbench_score(row: Row) -> Iterable[GivenScore]:
    """A mark from 1 to 10 for a first answer; -1 stands for none."""
    if turn_of(row) not in (None, 1):
        raise BadRow("a mark of a second turn: its answer is not stored")
    mark = number(row, "score")
    if mark < 0:
        raise BadRow("the judge gave no mark")
    scorer = rater_of({"rater": row.get("judge", row.get("scorer"))})
    yield GivenScore(GivenPrompt((), _question_id(row)), filled(row, "model"), None, scorer, mark)


def _question_id(row: Row) -> str:
    ref = reference(row, "question_id") or reference(row, "prompt_id")
    if ref is None:
        raise BadRow("question_id is missing")
    return ref


def _turn(value: object, field: str) -> str:
    if (
        not isinstance(value, Sequence)
        or isinstance(value, str)
        or not value
        or not isinstance(value[0], str)
    ):
        raise BadRow(f"{field} is not a list of texts")
    return clean(value[0], field)


def _is_judgment(columns: frozenset[str], _row: Row) -> bool:
    return {"question_id", "judge"} <= columns and ("g1_winner" in columns or {"model", "score"} <= columns)


# -- AlpacaEval --------------------------------------------------------------------------------------------------


def alpaca_eval_output(row: Row) -> Iterable[GivenResponse]:
    """instruction, output, generator."""
    yield GivenResponse(question(filled(row, "instruction")), filled(row, "generator"), text(row, "output"))


def alpaca_eval_verdict(row: Row) -> Iterable[GivenVote]:
    """An annotation: preference 1 for the first output, 2 for the second, 0 or 1.5 for a draw, between them a lean."""
    if row.get("preference") is None:
        raise BadRow("the annotator gave no preference")
    preference = number(row, "preference")
    if not 0 <= preference <= 2 or 0 < preference < 1:
        raise BadRow("preference is not 0 or from 1 to 2")
    won = Outcome.TIE if preference in (0, 1.5) else Outcome.A if preference < 1.5 else Outcome.B
    judge = optional(row, "annotator") or optional(row, "judge") or "alpaca_eval"
    if row.get("instruction") is None:  # the short form: one model against the baseline, prompts by their id
        prompt, names = GivenPrompt((), reference(row, "prompt_id")), ("baseline", "model")
        if prompt.ref is None:
            raise BadRow("instruction is missing")
        texts: tuple[str | None, str | None] = (None, None)
    else:
        prompt, names = question(filled(row, "instruction")), ("generator_1", "generator_2")
        texts = text(row, "output_1"), text(row, "output_2")
    models = filled(row, names[0]), filled(row, names[1])
    if models[0] == models[1]:
        raise BadRow(f"{names[0]} and {names[1]} are the same")
    yield GivenVote(judge, RaterKind.JUDGE, won, prompt, *models, *texts)


FORMATS = (
    Format("mtbench", (("question_id",),),
           {ImportKind.PROMPTS: mtbench_question, ImportKind.RESPONSES: mtbench_answer,
            ImportKind.VERDICTS: mtbench_verdict, ImportKind.SCORES: mtbench_score},
           lambda columns, row: ("question_id" in columns and bool({"turns", "choices"} & columns))
           or _is_judgment(columns, row)),
    Format("alpaca_eval", (("instruction", "prompt_id"),),
           {ImportKind.RESPONSES: alpaca_eval_output, ImportKind.VERDICTS: alpaca_eval_verdict},
           lambda columns, _row: ({"instruction", "output", "generator"} <= columns and "input" not in columns)
           or {"output_1", "output_2", "preference"} <= columns or {"baseline", "model", "preference"} <= columns),
)  # fmt: skip
