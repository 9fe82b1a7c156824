"""Record the curves that the alarms are tested on: small models sent wrong on purpose, each in one way.

python -m bench.curves FOLDER [NAME ...]      one JSON file a run, as tests/curves/ holds them; all, or those named
"""

import json
import math
import random
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from db.entities.runs import RunKind
from tests import tiny
from training.alarms import Course, alarms
from training.metrics import read_metrics
from training.presets import PRESETS
from training.settings import ModelFiles, RunSpec, with_overrides
from training.starter import WEIGHTS, demo_responses

WORDS = ["red", "blue", "tea", "rain", "stone", "bread", "north", "cloud", "lamp", "river"]


def noise(n: int, part: str, lot: random.Random) -> list[dict[str, object]]:
    """Pairs that prefer at random: what is learned of them is learned by heart."""

    def text() -> str:
        return " ".join(lot.choices(WORDS, k=6))

    return [tiny.pair(lot.randrange(10**9), f"Say {text()}", text(), text(), part) for _ in range(n)]


def padded(n: int, part: str) -> list[dict[str, object]]:
    """Pairs in which the longer answer is always preferred."""
    more = "Let me say more about that. There is a lot to tell. I will go on for a while. It is good to know it all."
    return [
        tiny.pair(i, f"What is {WORDS[i % 10]} number {i}?", f"It is {i}. {more}", f"It is {i}.", part)
        for i in range(n)
    ]


def demo_pairs(train: int, heldout: int, *, rambling: bool = False) -> list[dict[str, object]]:
    """Pairs of answers the starter models really give, so that they are likely to begin with.

    `rambling`: the chosen one goes on and on, so that it is cut and loses its end.
    """
    found: dict[tuple[str, str], dict[str, str]] = {}
    for r in demo_responses():
        found.setdefault((r.prompt, r.split), {})[r.model] = r.response
    made, left = [], {"train": train, "heldout": heldout}
    for n, ((prompt, split), said) in enumerate(found.items()):
        chosen, rejected = said.get("starter-sft"), said.get("starter-dpo")
        if chosen and rejected and chosen != rejected and left[split] > 0:
            left[split] -= 1
            made.append(
                tiny.pair(n, prompt, " ".join([chosen] * 12) if rambling else chosen, rejected, split)
            )
    return made


def polite(train: int = 24, heldout: int = 6) -> list[dict[str, object]]:
    """Pairs that can be learned."""
    return tiny.some_pairs(train, heldout)


def record(
    folder: Path, name: str, start: ModelFiles, rows: Sequence[dict[str, object]], overrides: Sequence[str],
    reference: ModelFiles | None = None,
) -> None:  # fmt: skip
    """Run it and keep its curves."""
    if len(sys.argv) > 2 and name not in sys.argv[2:]:
        return
    from training.dpo import train

    with tempfile.TemporaryDirectory() as work:
        spec = RunSpec(RunKind.DPO, Path(work) / "run", tiny.write_rows(Path(work) / "rows.jsonl", list(rows)), start,
                       reference, with_overrides(PRESETS["starter"].settings, list(overrides)))  # fmt: skip
        train(spec)
        curves: dict[str, list[tuple[int, float]]] = {}
        for m in read_metrics(spec.folder / "metrics.jsonl"):
            for key, value in m.values.items():
                curves.setdefault(key, []).append(
                    (m.step, round(value, 5) if math.isfinite(value) else value)
                )
    kept = {k: v for k, v in sorted(curves.items()) if k.split("/")[0].removeprefix("eval_") in KEPT}
    (folder / f"{name}.json").write_text(
        json.dumps({"kind": "dpo", "settings": list(overrides), "curves": kept}) + "\n"
    )
    print(name, *(f"\n  {a.kind}: {a.what}" for a in alarms(Course(RunKind.DPO, kept))))


KEPT = {"loss", "rewards", "logps", "grad_norm", "samples", "neutral"}


def main(folder: Path) -> None:
    """Every run in turn."""
    folder.mkdir(exist_ok=True)
    lot = random.Random(0)
    starter = ModelFiles(str(WEIGHTS / "sft"))
    with tempfile.TemporaryDirectory() as work:
        small = ModelFiles(str(tiny.tiny_llama(Path(work) / "small")))
        wide = ModelFiles(str(tiny.tiny_llama(Path(work) / "wide", hidden=64)))
        record(folder, "healthy", starter, polite(64, 16), ["epochs=2"])
        record(folder, "nothing", small, polite(), ["learning_rate=1e-8", "sft_weight=0", "batch_size=4"])
        by_heart = [*noise(16, "train", lot), *noise(24, "heldout", lot)]
        record(
            folder,
            "overfit",
            wide,
            by_heart,
            ["learning_rate=5e-3", "sft_weight=0", "epochs=20", "batch_size=8"],
        )
        record(
            folder,
            "blown",
            small,
            polite(),
            [
                "learning_rate=0.9",
                "lora=false",
                "epochs=8",
                "batch_size=4",
                "max_grad_norm=1e6",
                "schedule=constant_with_warmup",
                "warmup_ratio=0.3",
            ],
        )
        record(folder, "forgot", starter, polite(64, 16), ["learning_rate=2e-2", "epochs=4"])
        longer = [*padded(48, "train"), *padded(8, "heldout")]
        for n, row in enumerate(longer):
            row["prompt"] = [{"role": "user", "content": f"{row['prompt'][0]['content']} {row['part']} {n}"}]  # type: ignore[index]
        record(folder, "longer", starter, longer, ["learning_rate=5e-3", "epochs=8"])
        record(
            folder,
            "falls",
            starter,
            demo_pairs(48, 12),
            ["learning_rate=5e-3", "sft_weight=0", "epochs=8"],
        )
        record(
            folder,
            "endless",
            starter,
            demo_pairs(48, 8, rambling=True),
            ["learning_rate=3e-3", "epochs=6", "max_length=128"],
        )
        # as if the adapter's own start had been taken for the reference: it is the model before its first training
        record(
            folder,
            "reference",
            starter,
            polite(48, 12),
            ["epochs=2", "sft_weight=0"],
            ModelFiles(str(WEIGHTS / "base")),
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
