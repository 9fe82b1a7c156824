"""Workflow: the files that MT-Bench and AlpacaEval read and write, from a home's prompts, answers and verdicts.

MT-Bench: question.jsonl, model_answer/MODEL.jsonl, model_judgment/JUDGE_pair.jsonl and, of judges that
give marks, JUDGE_single.jsonl. AlpacaEval: MODEL/model_outputs.json and annotations/JUDGE.json. Both: results.csv, the benchmark's table. Each file comes back in through `import`.
"""

import csv
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from sqlite_utils import Database

from arena.suites import PEOPLE, SuiteName, suite
from db.campaigns import battles_of, get_campaign, list_campaigns
from db.catalog import scores_of_campaign
from db.entities.catalog import Message
from db.entities.votes import Outcome, Vote
from db.errors import UserError
from db.figures import asked_of, judge_votes, refs_of, tags_of, texts_of
from db.files import written_folder
from db.votes import counted_votes

WON = {Outcome.A: "model_1", Outcome.B: "model_2"}
LOWEST, HIGHEST = 1, 10
"""marks of MT-Bench"""
PREFERENCE = {Outcome.A: 1.0, Outcome.B: 2.0}


class Written(NamedTuple):
    """What was written, by path inside the folder: rows."""

    folder: str
    files: Mapping[str, int]


class _Found(NamedTuple):
    asked: Mapping[str, Sequence[Message]]
    refs: Mapping[str, str]
    tags: Mapping[str, frozenset[str]]
    answers: Mapping[str, Mapping[str, str]]
    """{model: {prompt: response id}}"""
    texts: Mapping[str, str]
    votes: Sequence[Vote]
    marks: Mapping[str, Mapping[str, float]]
    """{scorer: {response id: what it scored}}"""

    @property
    def judged(self) -> bool:
        """Whether people or machines said anything of the answers."""
        return bool(self.votes or self.marks)

    def question_id(self, prompt: str) -> int | str:
        """The prompt's own id in the benchmark where it has one."""
        ref = self.refs.get(prompt, prompt)
        return int(ref) if ref.isdecimal() else ref


def write_files(db: Database, folder: Path, name: SuiteName, campaign: str | None = None) -> Written:
    """Write the benchmark's files into a new or empty folder. UserError where there is something in it already."""
    if folder.exists() and any(folder.iterdir()):
        raise UserError(f"{folder} is not empty", "name a new folder")
    found = _read(db, campaign)
    table = suite(db, name, campaign).to_csv() if found.judged else None
    made = _mtbench(found) if name is SuiteName.MTBENCH else _alpaca_eval(found)
    with written_folder(folder) as aside:
        files = {path: _write(aside / path, rows) for path, rows in made}
        if table is not None:
            (aside / "results.csv").write_text(table, encoding="utf-8")
            files["results.csv"] = len(list(csv.reader(table.splitlines()))) - 1
    return Written(str(folder), files)


def _read(db: Database, campaign: str | None) -> _Found:
    chosen = [get_campaign(db, campaign)] if campaign is not None else list_campaigns(db)
    answers: dict[str, dict[str, str]] = defaultdict(dict)
    for battle in (b for c in chosen for b in battles_of(db, c.id)):
        answers[battle.model_a][battle.prompt] = battle.response_a
        answers[battle.model_b][battle.prompt] = battle.response_b
    prompts = {p for given in answers.values() for p in given}
    if not prompts:
        raise UserError("there is no battle to write", "name a campaign that has battles")
    texts = texts_of(db, {r for given in answers.values() for r in given.values()})
    votes = [v for c in chosen for v in (*counted_votes(db, c.id), *judge_votes(db, c.id))]
    tags = {p: t for c in chosen for p, t in tags_of(db, c.id).items()}
    marks: dict[str, dict[str, float]] = defaultdict(dict)
    for scorer, given in (s for c in chosen for s in scores_of_campaign(db, c.id).items()):
        marks[scorer] |= {response: score.score for response, score in given.items()}
    return _Found(asked_of(db, prompts), refs_of(db, prompts), tags, answers, texts, votes, marks)


def _write(path: Path, rows: Sequence[object]) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as file:
        if path.suffix == ".json":
            json.dump(rows, file, ensure_ascii=False, indent=1)
        else:
            file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    return len(rows)


def _safe(name: str) -> str:
    """A name as a file name."""
    return "".join(c if c.isalnum() or c in "-_. " else "_" for c in name).strip(". ") or "_"


def _of_judges(found: _Found) -> Iterator[tuple[str, list[Vote]]]:
    """The votes of people together, and of each judge."""
    by: dict[str, list[Vote]] = defaultdict(list)
    for v in found.votes:
        by[v.rater_name if v.rater_kind.value == "judge" else PEOPLE].append(v)
    yield from sorted(by.items())


def _turns(found: _Found, prompt: str, role: str) -> list[str]:
    return [m["content"] for m in found.asked.get(prompt, ()) if m["role"] == role]


def _mtbench(found: _Found) -> Iterator[tuple[str, list[object]]]:
    prompts = sorted(found.asked, key=lambda p: (str(type(found.question_id(p))), found.question_id(p)))
    yield "question.jsonl", [
        {"question_id": found.question_id(p), "category": next(iter(sorted(found.tags.get(p, ()))), "general"),
         "turns": _turns(found, p, "user")} for p in prompts
    ]  # fmt: skip
    for model, given in sorted(found.answers.items()):
        rows: list[object] = [
            {"question_id": found.question_id(p), "answer_id": given[p], "model_id": model,
             "choices": [{"index": 0, "turns": [*_turns(found, p, "assistant"), found.texts[given[p]]]}], "tstamp": 0.0}
            for p in prompts if p in given and given[p] in found.texts
        ]  # fmt: skip
        if rows:
            yield f"model_answer/{_safe(model)}.jsonl", rows
    for judge, votes in _of_judges(found):
        yield f"model_judgment/{_safe(judge)}_pair.jsonl", [
            {"question_id": found.question_id(v.prompt), "model_1": v.model_a, "model_2": v.model_b,
             "g1_winner": WON.get(v.outcome, "tie"), "g2_winner": WON.get(v.outcome, "tie"), "judge": judge,
             "turn": v.turn or 1} for v in votes
        ]  # fmt: skip
    for judge, marks in sorted(found.marks.items()):
        if all(
            LOWEST <= mark <= HIGHEST for mark in marks.values()
        ):  # the rewards of a model are none of its marks
            yield f"model_judgment/{_safe(judge)}_single.jsonl", [
                {"question_id": found.question_id(p), "model": model, "judge": judge, "score": marks[given[p]],
                 "turn": len(_turns(found, p, "user")), "tstamp": 0.0}
                for model, given in sorted(found.answers.items()) for p in prompts if given.get(p) in marks
            ]  # fmt: skip


def _alpaca_eval(found: _Found) -> Iterator[tuple[str, list[object]]]:
    def asked(prompt: str) -> str:
        return "\n\n".join(_turns(found, prompt, "user"))

    for model, given in sorted(found.answers.items()):
        rows: list[object] = [
            {"instruction": asked(p), "output": found.texts[r], "generator": model, "dataset": "tastebench"}
            for p, r in given.items() if p in found.asked and r in found.texts
        ]  # fmt: skip
        if rows:
            yield f"{_safe(model)}/model_outputs.json", rows
    for judge, votes in _of_judges(found):
        rows = [
            {"instruction": asked(v.prompt), "output_1": found.texts[v.response_a], "generator_1": v.model_a,
             "output_2": found.texts[v.response_b], "generator_2": v.model_b, "annotator": judge,
             "preference": PREFERENCE.get(v.outcome, 1.5)}
            for v in votes if v.prompt in found.asked and v.response_a in found.texts and v.response_b in found.texts
        ]  # fmt: skip
        if rows:
            yield f"annotations/{_safe(judge)}.json", rows
