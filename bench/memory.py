"""How much memory runs take, beside what the estimate said before them.

    python -m bench.memory [--shapes starter,20m,100m] [--only lora] [--out FILE]

Each run is a real one of two steps in a process of its own, on a random Llama of the shape and on rows that fill
`max_length`; what is measured is the most that the process ever held (ru_maxrss). Ratios are estimate / measured.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
STARTER = ROOT / "training" / "starter" / "weights" / "base"


@dataclass(frozen=True)
class Shape:
    """A Llama by its widths."""

    hidden: int
    layers: int
    intermediate: int
    heads: int
    kv_heads: int
    vocab: int


SHAPES = {
    "starter": Shape(128, 4, 352, 4, 4, 1024),
    "20m": Shape(384, 8, 1024, 6, 6, 8192),
    "100m": Shape(768, 12, 2048, 12, 12, 32000),
    "wide": Shape(1024, 6, 4096, 16, 4, 32000),
}
LORA, FULL = "lora=true", "lora=false"
RUNS = {
    "starter": [
        ("dpo", LORA, "batch_size=16", "max_length=256"), ("dpo", FULL, "batch_size=16", "max_length=256"),
        ("dpo", LORA, "batch_size=16", "max_length=256", "sft_weight=4"), ("reward", LORA, "batch_size=16", "max_length=256"),
        ("sft", LORA, "batch_size=16", "max_length=256"), ("kto", LORA, "batch_size=16", "max_length=256"),
        ("dpo", LORA, "batch_size=4", "max_length=64"), ("dpo", LORA, "batch_size=16", "max_length=1024"),
    ],
    "20m": [
        ("dpo", LORA, "batch_size=4", "max_length=256"), ("dpo", LORA, "batch_size=8", "max_length=512"),
        ("dpo", LORA, "batch_size=8", "max_length=512", "checkpointing=true"), ("dpo", FULL, "batch_size=4", "max_length=256"),
        ("dpo", LORA, "batch_size=4", "max_length=256", "quantize=4bit"), ("sft", LORA, "batch_size=8", "max_length=512"),
        ("sft", FULL, "batch_size=8", "max_length=512", "checkpointing=true"), ("kto", LORA, "batch_size=8", "max_length=256"),
        ("reward", LORA, "batch_size=8", "max_length=256"), ("reward", FULL, "batch_size=8", "max_length=256"),
    ],
    "100m": [
        ("dpo", LORA, "batch_size=1", "max_length=128"), ("dpo", LORA, "batch_size=2", "max_length=256"),
        ("dpo", LORA, "batch_size=2", "max_length=256", "checkpointing=true"), ("dpo", FULL, "batch_size=1", "max_length=128"),
        ("dpo", FULL, "batch_size=1", "max_length=128", "precompute=true"), ("dpo", LORA, "batch_size=1", "max_length=128", "quantize=4bit"),
        ("sft", LORA, "batch_size=2", "max_length=256"), ("kto", FULL, "batch_size=2", "max_length=128"),
    ],
    "wide": [("dpo", LORA, "batch_size=1", "max_length=256"), ("sft", FULL, "batch_size=1", "max_length=256", "checkpointing=true")],
}  # fmt: skip


def checkpoint(shape: Shape, folder: Path) -> Path:
    """A random Llama of the shape, with the starter's tokenizer."""
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    tokenizer = AutoTokenizer.from_pretrained(str(STARTER))
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=shape.vocab, hidden_size=shape.hidden, intermediate_size=shape.intermediate,
        num_hidden_layers=shape.layers, num_attention_heads=shape.heads, num_key_value_heads=shape.kv_heads,
        max_position_embeddings=2048, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def rows(folder: Path, n: int) -> Path:
    """Pairs that fill any `max_length`; a fifth is held out."""
    file = folder / "rows.jsonl"
    with file.open("w") as out:
        for i in range(n):
            chosen, rejected = (f"{i} {word} " + "what is red and blue " * 400 for word in ("yes", "no"))
            out.write(json.dumps({
                "pair": i, "part": "heldout" if i % 5 == 0 else "train",
                "prompt": [{"role": "user", "content": f"Question {i}"}],
                "chosen": [{"role": "assistant", "content": chosen}],
                "rejected": [{"role": "assistant", "content": rejected}],
            }) + "\n")  # fmt: skip
    return file


def one(source: str, words: list[str]) -> None:
    """Run in this process and print the most it held."""
    import resource

    from arena import run_kinds
    from db.entities.runs import RunKind
    from training.presets import preset_of
    from training.settings import ModelFiles, RunSpec, with_overrides

    kind = RunKind(words[0])
    settings = with_overrides(preset_of(kind, "lora").settings, [
        "checkpointing=false", "gradient_accumulation=1", "max_steps=2", "lora_r=16", *words[1:]])  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        file = rows(Path(folder), max(10, settings.batch_size * 3))
        spec = RunSpec(kind, Path(folder) / "run", file, ModelFiles(source), None, settings)
        run_kinds.train(spec, lambda _: None, lambda: False)
    print("HELD", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)


def measured(source: Path, words: tuple[str, ...]) -> int:
    """Bytes that a run of these words held at most, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.memory", "--one", str(source), *words], cwd=ROOT, capture_output=True, text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}, check=False,
    )  # fmt: skip
    held = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("HELD")]
    if not held:
        raise SystemExit(f"{' '.join(words)} failed:\n{done.stderr[-3000:]}")
    return int(held[0])


def estimated(source: Path, words: tuple[str, ...]) -> int:
    """What the estimate says of the same run."""
    from db.entities.runs import RunKind
    from training.memory import estimate, shape_in
    from training.presets import preset_of
    from training.settings import with_overrides

    kind = RunKind(words[0])
    settings = with_overrides(preset_of(kind, "lora").settings, ["checkpointing=false", *words[1:]])
    shape = shape_in(str(source))
    assert shape is not None
    return estimate(shape, settings, tokens=settings.max_length, on_gpu=False).total


def main() -> None:
    """Print the table."""
    ask = argparse.ArgumentParser()
    ask.add_argument("--one", nargs=argparse.REMAINDER)
    ask.add_argument("--shapes", default=",".join(SHAPES))
    ask.add_argument("--only", default="", help="runs whose words hold this")
    ask.add_argument("--out", type=Path, help="append the measured lines to this file as JSON")
    asked = ask.parse_args()
    if asked.one:
        one(asked.one[0], asked.one[1:])
        return
    for name in asked.shapes.split(","):
        with tempfile.TemporaryDirectory() as folder:
            source = checkpoint(SHAPES[name], Path(folder))
            for words in RUNS[name]:
                if asked.only not in " ".join(words):
                    continue
                held, said = measured(source, words), estimated(source, words)
                print(f"{name:8} {' '.join(words):66} measured {held / 2**20:7,.0f} MiB  estimate {said / 2**20:7,.0f}"
                      f"  ratio {said / held:.2f}", flush=True)  # fmt: skip
                if asked.out:
                    with asked.out.open("a") as out:
                        out.write(json.dumps({"shape": name, "words": words, "held": held}) + "\n")


if __name__ == "__main__":
    main()
