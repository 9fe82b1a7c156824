"""The blinding guard against a plain word list: time for 10,000 battles, leaks found, clean answers flagged.

    python -m bench.guard [FILE]

FILE is `responses` as JSONL (prompt_id, prompt, model, response); without it, the demo's showcase, over and over. The
plain way looks for a list of names in the lower-cased text of each battle (as public arenas clean their logs), and the
slow way tries each of our names and phrases on each text. Times are of the processor, best of three.
"""

import itertools
import json
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path

from db.entities.campaigns import Finding, FindingKind
from db.entities.catalog import Message
from labeling import guarding
from labeling.folding import fold
from labeling.guard_words import MARK_KNOWN, default_words, watch
from tests.leaks import CLEAN, LEAKS, OWN
from training.starter import showcase

WANTED = 10_000
Battle = tuple[list[Message], str, str]


def from_file(file: Path) -> tuple[list[Battle], tuple[str, ...]]:
    """Every two models' answers to every prompt, and the models."""
    answers: dict[str, dict[str, str]] = defaultdict(dict)
    prompts: dict[str, str] = {}
    for line in file.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        answers[row["prompt_id"]][row["model"]] = row["response"]
        prompts[row["prompt_id"]] = row["prompt"]
    models = tuple(sorted({m for row in answers.values() for m in row}))
    made: list[Battle] = [
        ([{"role": "user", "content": prompts[p]}], row[a], row[b])
        for p, row in answers.items()
        for a, b in itertools.combinations(models, 2)
        if a in row and b in row
    ]
    return made, models


def from_showcase() -> tuple[list[Battle], tuple[str, ...]]:
    """The demo's written answers, each copy a little different so that nothing is remembered."""
    shown = showcase()
    made: list[Battle] = []
    for i in range(WANTED // len(shown) + 1):
        for item in shown:
            first, second = (f"{a.response}\n{i}" for a in item.answers)
            made.append(
                ([{"role": m["role"], "content": m["content"]} for m in item.messages], first, second)
            )
    return made, tuple(a.model for a in shown[0].answers)


def ours(battles: list[Battle], names: tuple[str, ...]) -> list[tuple[Finding, ...]]:
    """What the guard does."""
    words = default_words()
    return [guarding.findings(m, a, b, names, words) for m, a, b in battles]


def word_list(battles: list[Battle], names: tuple[str, ...]) -> list[bool]:
    """Whether any name of the list stands anywhere in a battle."""
    words = default_words()
    listed = [n.lower() for n in (*words.names, *words.everyday, *names) if len(n) > 3]
    found = []
    for _, a, b in battles:
        text = f"{a}\n{b}".lower()
        found.append(any(n in text for n in listed))
    return found


def slow(battles: list[Battle], names: tuple[str, ...]) -> int:
    """Each name and phrase of the list on each text, as it stands."""
    listed = watch(names, default_words())
    every = {name for group in listed.latin.values() for name in group} | {name for _, name in listed.other}
    hits = 0
    for _, *texts in battles:
        for text in texts:
            folded = fold(text)
            for name in every:
                marked = name.pattern.sub(MARK_KNOWN, folded)
                hits += any(phrase.pattern.search(marked) is not None for phrase in listed.phrases[:3])
    return hits


def timed(work: Callable[[], object], runs: int = 3) -> float:
    """Processor seconds, the best of some runs, nothing remembered from one to the next."""
    best = float("inf")
    for _ in range(runs):
        for kept in (guarding.traces_in, guarding._words, guarding._settled):
            kept.cache_clear()
        begun = time.process_time()
        work()
        best = min(best, time.process_time() - begun)
    return best


def main() -> None:
    """Print the table."""
    given = sys.argv[1:]
    battles, names = from_file(Path(given[0])) if given else from_showcase()
    battles = battles[:WANTED] if len(battles) > WANTED else battles
    per = WANTED / len(battles)
    watch(names, default_words())
    print(
        f"{len(battles)} battles, {sum(len(a) + len(b) for _, a, b in battles) / 2 / len(battles):.0f} characters an answer"
    )
    few = battles[:20]
    print(f"ours          {per * timed(lambda: ours(battles, names)):8.2f} s for 10,000 battles")
    print(f"a word list   {per * timed(lambda: word_list(battles, names)):8.2f} s")
    print(
        f"try all       {WANTED / len(few) * timed(lambda: slow(few, names), 1):8.2f} s (from {len(few)} battles, 3 phrases of all)"
    )
    found = ours(battles, names)
    kinds = Counter(kind for f in found for kind in {x.kind.value for x in f})
    print(f"held by ours: {sum(map(bool, found))} of {len(battles)} {dict(kinds)}")
    print(f"held by a word list: {sum(word_list(battles, names))}")
    plant: list[Battle] = [([{"role": "user", "content": "Hm?"}], text, "Nobody.") for text in LEAKS]
    clean: list[Battle] = [([{"role": "user", "content": p}], text, "Nobody.") for p, text in CLEAN]
    told = [any(x.kind is FindingKind.IDENTITY for x in f) for f in ours(plant, OWN)]
    print(f"planted leaks found: ours {sum(told)} of {len(plant)}, a word list {sum(word_list(plant, OWN))}")
    print(
        f"clean answers flagged: ours {sum(map(bool, ours(clean, OWN)))} of {len(clean)}, a word list {sum(word_list(clean, OWN))}"
    )


if __name__ == "__main__":
    main()
