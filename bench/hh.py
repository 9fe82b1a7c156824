"""Does DPO learn what people preferred? The 4,000 pairs of hh-rlhf beside the checkout, judged on 500 it never saw.

    python -m bench.hh FOLDER [--seeds 1] [--hidden 64] [--layers 2] [--set key=value ...] [--data DIR]

A Llama of a few hundred thousand weights gets its tokenizer and its language from the chosen answers (full weights, `train
sft`), then the pairs (full weights, `train dpo`). Held-out reward accuracy: how often the chosen answer's reward,
beta * (log p of the model - log p of its start), is the higher one; equal ones count half, so the start stands at 0.5.
Beside it the judge that always prefers the longer answer. Both models are kept in FOLDER and used again.
"""

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from bench.votes import ROOT

VOCABULARY, LENGTH = 2048, 192
SHARED = ["lora=false", "batch_size=16", f"max_length={LENGTH}"]
SFT = [*SHARED, "learning_rate=3e-3", "epochs=1", "gradient_accumulation=1"]
DPO = [
    *SHARED,
    "learning_rate=1e-3",
    "epochs=2",
    "gradient_accumulation=2",
    "sft_weight=1",
    "precompute=true",
]
PROMPT_CHARACTERS = 120
"""a prompt keeps its last turns up to so many characters, and at least the last one's end"""


def pairs(data: Path, name: str, part: str) -> list[dict[str, Any]]:
    """A file's pairs as rows of a snapshot, prompts shortened from the front by whole turns."""
    rows = []
    for number, line in enumerate((data / name).read_text(encoding="utf-8").splitlines()):
        row = json.loads(line)
        rows.append({
            "prompt": shortened(row["prompt"]),
            "chosen": [{"role": "assistant", "content": row["chosen"]}],
            "rejected": [{"role": "assistant", "content": row["rejected"]}],
            "part": part, "pair": number,
        })  # fmt: skip
    return rows


def shortened(turns: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    """The last turns, beginning with a user's."""
    kept: list[dict[str, str]] = [{**turns[-1], "content": turns[-1]["content"][-PROMPT_CHARACTERS:]}]
    for i in range(len(turns) - 3, -1, -2):
        more = [dict(t) for t in turns[i : i + 2]]
        if sum(len(t["content"]) for t in [*more, *kept]) > PROMPT_CHARACTERS:
            break
        kept = [*more, *kept]
    return kept


def texts(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    for row in rows:
        yield from (m["content"] for m in [*row["prompt"], *row["chosen"]])


def start(folder: Path, rows: Sequence[dict[str, Any]], hidden: int, layers: int) -> Path:
    """A checkpoint of random weights with a tokenizer made of the rows' text."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    from training.starter.recipe import CHAT_TEMPLATE, EOS, PAD, ROLES

    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    core.train_from_iterator(texts(rows), trainers.BpeTrainer(
        vocab_size=VOCABULARY, special_tokens=[PAD, EOS, *ROLES], show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    ))  # fmt: skip
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core, eos_token=EOS, pad_token=PAD, additional_special_tokens=list(ROLES)
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=hidden, intermediate_size=hidden * 11 // 4, num_hidden_layers=layers,
        num_attention_heads=max(2, hidden // 32), num_key_value_heads=max(2, hidden // 32),
        max_position_embeddings=1024, tie_word_embeddings=True, bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def trained(kind: str, folder: Path, rows: Path, source: Path, overrides: Sequence[str]) -> Path:
    """The model of a run of that kind, made once."""
    from arena.run_kinds import train
    from db.entities.runs import RunKind
    from training.presets import PRESETS_OF
    from training.settings import ModelFiles, RunSpec, with_overrides

    if not (folder / "model").is_dir():
        settings = with_overrides(PRESETS_OF[RunKind(kind)]["starter"].settings, overrides)
        made = train(RunSpec(RunKind(kind), folder, rows, ModelFiles(str(source)), None, settings),
                     lambda _: None, lambda: False)  # fmt: skip
        print(f"{kind}: {made.steps} steps in {made.seconds:.0f} s", {k: round(v, 4) for k, v in made.metrics.items()
              if k in ("loss", "eval_loss", "rewards/margins", "eval_rewards/margins", "rewards/accuracies")}, flush=True)  # fmt: skip
    return folder / "model"


def gains(
    model: Path, reference: Path, rows: Sequence[dict[str, Any]], max_length: int
) -> list[tuple[float, float]]:
    """log p(model) - log p(reference) of (chosen, rejected) for each pair, cut as the trainer cuts them."""
    import torch

    from training.loading import load_policy
    from training.settings import ModelFiles

    policy, tokenizer = load_policy(ModelFiles(str(model)))
    start_model, _ = load_policy(ModelFiles(str(reference)))
    found = []
    with torch.no_grad():
        for row in rows:
            sides = []
            for side in ("chosen", "rejected"):
                prompt = tokenizer.apply_chat_template(row["prompt"], add_generation_prompt=True)["input_ids"]
                whole = tokenizer.apply_chat_template([*row["prompt"], *row[side]])["input_ids"][:max_length]
                ids = torch.tensor([whole])
                gain = 0.0
                for sign, m in ((1, policy), (-1, start_model)):
                    logps = m(input_ids=ids).logits[0, :-1].log_softmax(-1)
                    chosen = logps.gather(-1, ids[0, 1:, None])[len(prompt) - 1 :]
                    gain += sign * float(chosen.sum())
                sides.append(gain)
            found.append((sides[0], sides[1]))
    return found


def accuracy(wins: Sequence[float]) -> str:
    from arena.intervals import wilson

    band = wilson(sum(wins), len(wins))
    assert band is not None
    return f"{sum(wins) / len(wins):.3f} (95 % {band.low:.3f} to {band.high:.3f}, n = {len(wins)})"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--data", type=Path, default=Path(ROOT).parent / "shared" / "data")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--hidden", type=int, default=64)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument(
        "--set", action="append", default=[], dest="overrides", help="a setting of the DPO run"
    )
    options = parser.parse_args()
    train, test = (pairs(options.data, f, part) for f, part in (("hh_helpful_train.jsonl", "train"),
                                                                 ("hh_helpful_base_test.jsonl", "heldout")))  # fmt: skip
    held = {json.dumps(row["prompt"]) for row in test}
    seen = [row for row in train if json.dumps(row["prompt"]) in held]
    train = [row for row in train if json.dumps(row["prompt"]) not in held]
    print(
        f"{len(train)} pairs train ({len(seen)} left out: shortened, their prompt is a test prompt), {len(test)} are held out"
    )
    options.folder.mkdir(parents=True, exist_ok=True)
    file = options.folder / "pairs.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in [*train, *test]), encoding="utf-8")
    shape = f"{options.hidden}x{options.layers}"
    base = options.folder / f"base-{shape}"
    if not (base / "config.json").is_file():
        start(base, train, options.hidden, options.layers)
    sft = trained("sft", options.folder / f"sft-{shape}", file, base, SFT)
    longer = [(len(r["chosen"][0]["content"]) > len(r["rejected"][0]["content"]))
              + (len(r["chosen"][0]["content"]) == len(r["rejected"][0]["content"])) / 2 for r in test]  # fmt: skip
    print(f"the longer answer:  {accuracy(longer)}")
    print(f"the start:          {accuracy(won(gains(sft, sft, test[:50], LENGTH)))}")
    for seed in range(1, options.seeds + 1):
        name = "-".join([f"dpo-{shape}", *options.overrides, f"seed{seed}"]).replace("=", "")
        began = time.monotonic()
        model = trained("dpo", options.folder / name, file, sft, [*DPO, *options.overrides, f"seed={seed}"])
        found = gains(model, sft, test, LENGTH)
        wins = won(found)
        same = sum((a > b) == bool(right > 0.5) for (a, b), right in zip(found, longer, strict=True)) / len(
            test
        )
        print(f"DPO, seed {seed}:       {accuracy(wins)}; {same:.2f} of its choices are the longer answer; "
              f"{time.monotonic() - began:.0f} s", flush=True)  # fmt: skip


def won(found: Sequence[tuple[float, float]]) -> list[float]:
    return [(a > b) + (a == b) / 2 for a, b in found]


if __name__ == "__main__":
    main()
