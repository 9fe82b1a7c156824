"""How the starter models rank, and how much a handful of votes teaches them: python bench/starter_order.py.

Prints the order of the three models on 200 held-out prompts, then what LoRA DPO from starter-sft makes of 60
and of 200 honest simulated votes (five seeds), and of three rounds of 200. Utility is the judge, ties half.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).parents[1]))

import torch
from datasets import Dataset, disable_progress_bars
from transformers import PreTrainedModel, PreTrainedTokenizerBase, PrinterCallback
from transformers.utils import logging
from trl import DPOTrainer

from db.entities.runs import RunKind
from training.dpo import arguments, lora
from training.presets import PRESETS
from training.settings import DpoSettings, ModelFiles, RunSpec, with_overrides
from training.starter import STARTER_MODELS, demo_prompts, demo_responses, weights_of
from training.starter.corpus import pair_rows
from training.starter.sampling import Sampling, load, respond
from training.starter.votes import Pair, honest_pairs, win_rate
from training.starter.world import bench_prompts, utility

Player = tuple[PreTrainedModel, PreTrainedTokenizerBase]
HELD_OUT = [prompt.text for prompt in bench_prompts()]


def texts(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, prompts: Sequence[str], seed: int
) -> list[str]:
    """One sampled answer a prompt."""
    return [answer.text for answer in respond(model, tokenizer, prompts, Sampling(seed=seed))]


def candidate(
    start: Player, pairs: Sequence[Pair], settings: DpoSettings, seed: int
) -> tuple[PreTrainedModel, float]:
    """LoRA DPO on the pairs with the program's own trainer arguments, merged, and the seconds it took."""
    model, tokenizer = start
    with tempfile.TemporaryDirectory() as folder:
        nowhere = ModelFiles("unused")
        spec = RunSpec(RunKind.DPO, Path(folder), Path(folder), nowhere, None, replace(settings, seed=seed))
        trainer = DPOTrainer(
            model=model, args=arguments(spec, len(pairs), 0), train_dataset=Dataset.from_list(pair_rows(pairs)),
            processing_class=tokenizer, peft_config=lora(settings),
        )  # fmt: skip
        trainer.remove_callback(PrinterCallback)
        started = time.monotonic()
        trainer.train()
        return trainer.model.merge_and_unload().eval(), time.monotonic() - started


def order() -> None:
    """Mean utility of each model and each adjacent win rate, over three draws."""
    rates: dict[str, list[float]] = {}
    for seed in (101, 202, 303):
        said = {
            name: texts(*load(weights_of(name)), HELD_OUT, seed + i) for i, name in enumerate(STARTER_MODELS)
        }
        for name, answers in said.items():
            mean = statistics.mean(map(utility, HELD_OUT, answers))
            perfect = statistics.mean(utility(*pair) > 0.99 for pair in zip(HELD_OUT, answers, strict=True))
            rates.setdefault(f"{name}: mean utility", []).append(mean)
            rates.setdefault(f"{name}: flawless share", []).append(perfect)
        for lower, upper in pairwise(STARTER_MODELS):
            rates.setdefault(f"{upper} beats {lower}", []).append(
                win_rate(HELD_OUT, said[upper], said[lower])
            )
    for line, values in rates.items():
        print(f"{line:38} {statistics.mean(values):.3f}  {[round(v, 3) for v in values]}", flush=True)


def stored_pairs(n: int, seed: int) -> list[Pair]:
    """`n` honest votes on the stored train answers of starter-sft and starter-dpo; ties make no pair."""
    rng = Random(seed)
    asked = rng.sample([prompt.text for prompt in demo_prompts() if prompt.split == "train"], n)
    said = {(row.model, row.prompt): row.response for row in demo_responses()}
    return honest_pairs(
        asked, [said["starter-sft", p] for p in asked], [said["starter-dpo", p] for p in asked], rng
    )


def one_press(votes: int, seeds: int, settings: DpoSettings) -> None:
    """Candidates from `votes` votes, against starter-sft."""
    wins, seconds, used = [], [], []
    for seed in range(seeds):
        start = load(weights_of("starter-sft"))
        parent = texts(*start, HELD_OUT, 900 + seed)
        pairs = stored_pairs(votes, seed)
        new, took = candidate(start, pairs, settings, seed)
        wins.append(win_rate(HELD_OUT, texts(new, start[1], HELD_OUT, 800 + seed), parent))
        seconds.append(took)
        used.append(len(pairs))
    print(
        f"{votes} votes ({min(used)}-{max(used)} pairs): mean {statistics.mean(wins):.3f}, lowest {min(wins):.3f}, "
        f"{statistics.mean(seconds):.0f} s  {[round(w, 3) for w in wins]}",
        flush=True,
    )


def rounds(votes: int, seed: int, settings: DpoSettings, replay: bool) -> None:
    """Three rounds: each votes on the newest model against its parent, all judged against the first parent.

    With `replay` a round trains on the votes of the rounds before it too.
    """
    model, tokenizer = load(weights_of("starter-sft"))
    first = texts(model, tokenizer, HELD_OUT, 700 + seed)
    pairs, results = stored_pairs(votes, seed), []
    asked = [prompt.text for prompt in demo_prompts() if prompt.split == "train"][:votes]
    for number in range(3):
        old = texts(model, tokenizer, asked, 600 + 10 * seed + number)
        model, _ = candidate((model, tokenizer), pairs, settings, seed + number)
        results.append(win_rate(HELD_OUT, texts(model, tokenizer, HELD_OUT, 500 + 10 * seed + number), first))
        new = texts(model, tokenizer, asked, 400 + 10 * seed + number)
        fresh = honest_pairs(asked, new, old, Random(300 + 10 * seed + number))
        pairs = [*pairs, *fresh] if replay else fresh
    print(f"three rounds of {votes}, seed {seed}: {[round(r, 3) for r in results]}", flush=True)


def main() -> None:
    """Order, one press with 60 and 200 votes, three rounds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--only", choices=("order", "press", "rounds"))
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="try another preset")
    parser.add_argument(
        "--replay", action="store_true", help="rounds train on the votes of earlier rounds too"
    )
    chosen = parser.parse_args()
    settings = with_overrides(PRESETS["starter"].settings, chosen.set)
    torch.set_num_threads(1)
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    disable_progress_bars()
    print(settings, flush=True)
    if chosen.only in (None, "order"):
        order()
    if chosen.only in (None, "press"):
        for votes in (60, 200):
            one_press(votes, chosen.seeds, settings)
    if chosen.only in (None, "rounds"):
        for seed in range(min(chosen.seeds, 3)):
            rounds(200, seed, settings, chosen.replay)


if __name__ == "__main__":
    main()
