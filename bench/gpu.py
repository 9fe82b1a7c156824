"""Ours beside plain TRL on a GPU: the shapes of Llama-3.2-1B and 3B with random weights, LoRA in bfloat16 and QLoRA.

    python -m bench.gpu [--shape 1b] [--way lora] [--steps 30] [--times 3]

Samples a second and the most memory the GPU held. Both use batches of 2 pairs of 1,024 tokens, activation checkpointing and
the same LoRA; each run is a process of its own, the two in turns. `--tiny` is two steps of a tiny shape, once: it runs
anywhere, to see that it works, and its figures mean nothing.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.second_reference import make_pairs
from bench.votes import ROOT

SHAPES: dict[str, dict[str, int]] = {
    "1b": {"hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 16, "num_attention_heads": 32,
           "num_key_value_heads": 8, "vocab_size": 128256},
    "3b": {"hidden_size": 3072, "intermediate_size": 8192, "num_hidden_layers": 28, "num_attention_heads": 24,
           "num_key_value_heads": 8, "vocab_size": 128256},
    "tiny": {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
             "num_key_value_heads": 2, "vocab_size": 512},
}  # fmt: skip
BATCH, ACCUMULATION, LENGTH = 2, 2, 1024


def make(folder: Path, shape: str) -> Path:
    """A checkpoint of that shape in bfloat16, with a byte-level tokenizer."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from tests.tiny import tiny_tokenizer

    tokenizer = tiny_tokenizer()
    config = LlamaConfig(
        **SHAPES[shape], max_position_embeddings=4096, tie_word_embeddings=True, bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    torch.manual_seed(0)
    LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def plain(model: Path, rows: Path, way: str, steps: int) -> dict[str, float]:
    """In this process: TRL's trainer as its guide has it."""
    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import BitsAndBytesConfig
    from trl import DPOConfig, DPOTrainer

    cuda = torch.cuda.is_available()
    pairs = [json.loads(line) for line in rows.read_text(encoding="utf-8").splitlines()]
    four = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True,
                              bnb_4bit_compute_dtype=torch.bfloat16 if cuda else torch.float32)  # fmt: skip
    kind = torch.bfloat16 if cuda else torch.float32
    trainer = DPOTrainer(
        model=str(model),
        args=DPOConfig(
            output_dir=str(rows.parent / "plain"), max_steps=steps, per_device_train_batch_size=BATCH,
            gradient_accumulation_steps=ACCUMULATION, max_length=LENGTH, learning_rate=5e-6, activation_checkpointing=True,
            use_cpu=not cuda, bf16=cuda, logging_steps=1, save_strategy="no", report_to="none", disable_tqdm=True,
            model_init_kwargs={"dtype": kind, **({"quantization_config": four} if way == "qlora" else {})},
        ),
        train_dataset=Dataset.from_list([{k: r[k] for k in ("prompt", "chosen", "rejected")} for r in pairs]),
        peft_config=LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM"),
    )  # fmt: skip
    began = time.monotonic()
    trainer.train()
    return told(steps, time.monotonic() - began)


def ours(model: Path, rows: Path, way: str, steps: int) -> dict[str, float]:
    """In this process: our trainer, its steps alone."""
    from db.entities.runs import RunKind
    from training.metrics import read_metrics
    from training.presets import PRESETS
    from training.rank import train_here
    from training.settings import ModelFiles, RunSpec, with_overrides

    words = [f"max_steps={steps}", f"batch_size={BATCH}", f"gradient_accumulation={ACCUMULATION}", f"max_length={LENGTH}",
             "checkpointing=true"]  # fmt: skip
    out = rows.parent / "ours"
    train_here(
        RunSpec(
            RunKind.DPO, out, rows, ModelFiles(str(model)), None, with_overrides(PRESETS[way].settings, words)
        )
    )
    seconds = before = 0.0
    for m in read_metrics(out / "metrics.jsonl"):
        if "tokens_per_second" in m.values:
            seconds += (m.values["num_tokens"] - before) / m.values["tokens_per_second"]
            before = m.values["num_tokens"]
    return told(steps, seconds)


def told(steps: int, seconds: float) -> dict[str, float]:
    from training.monitoring import memory_held

    return {"samples": steps * BATCH * ACCUMULATION / seconds, "memory": memory_held() / 2**30}


def child(who: str, model: Path, rows: Path, way: str, steps: int) -> dict[str, float]:
    """One of the two in a process of its own, with files of its own."""
    with tempfile.TemporaryDirectory() as work:
        copy = Path(work) / "rows.jsonl"
        copy.write_bytes(rows.read_bytes())
        run = subprocess.run([sys.executable, "-m", "bench.gpu", "--child", who, str(model), str(copy), "--way", way, "--steps", str(steps)],
                             cwd=ROOT, capture_output=True, text=True)  # fmt: skip
        if run.returncode:
            raise SystemExit(run.stderr[-3000:])
        found: dict[str, float] = json.loads(run.stdout.splitlines()[-1])
        return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shape", choices=list(SHAPES), default="1b")
    parser.add_argument("--way", choices=["lora", "qlora"], default="lora")
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument(
        "--tiny", action="store_true", help="Two steps of a tiny shape, once: to see that it runs."
    )
    options = parser.parse_args()
    if options.tiny:
        options.shape, options.steps, options.times = "tiny", 2, 1
    if options.child:
        who, model, rows = options.child
        print(
            json.dumps(
                {"ours": ours, "plain": plain}[who](Path(model), Path(rows), options.way, options.steps)
            )
        )
        return
    with tempfile.TemporaryDirectory() as work:
        model = make(Path(work) / "model", options.shape)
        rows = Path(work) / "rows.jsonl"
        pairs: Sequence[dict[str, Any]] = [
            {**r, "part": "train"} for r in make_pairs(options.steps * BATCH * ACCUMULATION)
        ]
        rows.write_text("".join(json.dumps(r) + "\n" for r in pairs), encoding="utf-8")
        found: dict[str, list[dict[str, float]]] = {"plain": [], "ours": []}
        for _ in range(options.times):
            for who, runs in found.items():
                runs.append(child(who, model, rows, options.way, options.steps))
    middle = {who: {k: statistics.median(r[k] for r in runs) for k in runs[0]} for who, runs in found.items()}
    for who, figures in middle.items():
        print(
            f"{options.shape} {options.way} {who:6} {figures['samples']:.2f} pairs/s   {figures['memory']:.2f} GiB"
        )
    print(f"ours: {middle['ours']['samples'] / middle['plain']['samples']:.2f} times the pairs a second at "
          f"{middle['ours']['memory'] / middle['plain']['memory']:.2f} of the memory")  # fmt: skip


if __name__ == "__main__":
    main()
