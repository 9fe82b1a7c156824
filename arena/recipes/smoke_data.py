"""The small data of trial runs, in the shapes of the seeds' own data sets, from the starter models' closed world.

`python -m arena.recipes.smoke_data` writes the files of `smoke/` anew, the same each time. Prompts are of the world's train
half and none of the demo's; good answers are right and short, bad ones ramble or are wrong.
"""

import csv
import io
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from random import Random
from typing import NamedTuple

from training.starter.answers import IDEAL, answer
from training.starter.corpus import CHATTY, CHATTY_WRONG, WRONG
from training.starter.world import demo_prompts, prompts

FOLDER = Path(__file__).parent / "smoke"
GREETING = "\n\nHuman: Hello, I have a question.\n\nAssistant: Please ask."
FAULTS = (CHATTY, CHATTY, WRONG, CHATTY_WRONG)


class Row(NamedTuple):
    """A question with a good and a bad answer."""

    question: str
    good: str
    bad: str


def rows(n: int, seed: int) -> list[Row]:
    """`n` rows, the same for the same seed; the two answers differ."""
    rng = Random(f"smoke-{seed}")
    known = frozenset(p.text for p in demo_prompts())
    found = []
    for i, prompt in enumerate(prompts("train", n, seed=1000 + seed, without=known)):
        good = answer(prompt.text, IDEAL, rng)
        bad = good
        while bad == good:
            bad = answer(prompt.text, FAULTS[i % len(FAULTS)], rng)
        found.append(Row(prompt.text, good, bad))
    return found


def ultrafeedback(of: Iterable[Row]) -> str:
    """The columns of argilla/ultrafeedback-binarized-preferences."""
    return _jsonl(
        {"instruction": r.question, "chosen_response": r.good, "rejected_response": r.bad} for r in of
    )


def question_and_answer(of: Iterable[Row]) -> str:
    """A CSV of questions and answers."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["question", "answer"])
    writer.writerows([r.question, r.good] for r in of)
    return out.getvalue()


def rlhf_reward(of: Iterable[Row]) -> str:
    """The columns of yitingxie/rlhf-reward-datasets: the prompt is a transcript that ends where the assistant speaks."""
    return _jsonl(
        {"prompt": f"\n\nHuman: {r.question}\n\nAssistant:", "chosen": f" {r.good}", "rejected": f" {r.bad}"} for r in of
    )  # fmt: skip


def lima(of: Iterable[Row]) -> str:
    """The columns of GAIR/lima: texts in turn."""
    return _jsonl({"conversations": [r.question, r.good], "source": "starter world"} for r in of)


def hh(of: Iterable[Row]) -> str:
    """The columns of Anthropic/hh-rlhf: whole transcripts, every third with an exchange before the question."""
    return _jsonl(
        {name: f"{GREETING if i % 3 == 0 else ''}\n\nHuman: {r.question}\n\nAssistant: {said}"
         for name, said in (("chosen", r.good), ("rejected", r.bad))}
        for i, r in enumerate(of)
    )  # fmt: skip


def _jsonl(found: Iterable[dict[str, object]]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in found)


FILES: dict[str, tuple[Callable[[Iterable[Row]], str], int]] = {
    "ultrafeedback.jsonl": (ultrafeedback, 200),
    "questions.csv": (question_and_answer, 160),
    "rlhf-reward.jsonl": (rlhf_reward, 160),
    "lima.jsonl": (lima, 80),
    "hh.jsonl": (hh, 160),
}


def text_of(name: str) -> str:
    """The content of one of the files."""
    shape, n = FILES[name]
    return shape(rows(n, list(FILES).index(name)))


if __name__ == "__main__":
    for name in FILES:
        (FOLDER / name).write_text(text_of(name), encoding="utf-8")
