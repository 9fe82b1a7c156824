"""A second model as reference, as the seeds had it, beside a reference that is asked once beforehand.

    python -m bench.second_reference [--times 3] [--pairs 24] [--hidden 768] [--layers 12] [--in-process] [--cpu-clock] [--plain]

Both train the same LoRA on the same random weights (about 100 M), rows and settings, two epochs, evaluated before, between
and after. Theirs: TRL's trainer with a second model loaded as `ref_model`. Ours: `train dpo --set precompute=true`, started
as the studio's button starts it (`arena.jobs.start`); with --in-process without the job around it. Each run is a process of
its own, the two in turns; medians.

Seconds are those of the steps, the evaluations and, for ours, of asking the reference. What ours does besides (answers on
fixed prompts, checkpoints, the reading test) is left out here and stands in the last line. Memory is the most a process
held, beyond what it holds once the libraries are imported. With --plain ours runs without the GLIBC_TUNABLES that a job gets
(`arena.jobs.WHOLE_MEMORY`); --cpu-clock counts seconds of the processor, for a busy machine.
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from arena.jobs import WHOLE_MEMORY
from bench.votes import ROOT

WORDS = [
    *(
        "the",
        "river",
        "ran",
        "under",
        "a",
        "stone",
        "bridge",
        "while",
        "people",
        "carried",
        "bread",
        "and",
        "lamps",
    ),
    *(
        "to",
        "the",
        "north",
        "market",
        "before",
        "rain",
        "came",
        "every",
        "cloud",
        "over",
        "hill",
        "turned",
        "grey",
    ),
]
SETTINGS = {"epochs": 2, "batch_size": 1, "gradient_accumulation": 4, "max_length": 192, "learning_rate": 5e-6,
            "lora_r": 16, "lora_alpha": 32}  # fmt: skip


class Cost(NamedTuple):
    """Seconds of the parts of a run, steps, and the most memory the process held, in MiB."""

    steps: int
    step_seconds: float
    eval_seconds: float
    reference_seconds: float
    memory: float
    whole: float

    @property
    def rate(self) -> float:
        """Steps a second, the reference and the evaluations counted."""
        return self.steps / (self.step_seconds + self.eval_seconds + self.reference_seconds)


def make_model(folder: Path, hidden: int, layers: int) -> Path:
    """Random weights in the shape of a small Llama, with a tokenizer of the words."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from tests.tiny import tiny_tokenizer

    tokenizer = tiny_tokenizer(corpus=[" ".join(WORDS)])
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=8192, hidden_size=hidden, intermediate_size=hidden * 8 // 3, num_hidden_layers=layers,
        num_attention_heads=hidden // 64, num_key_value_heads=hidden // 64, max_position_embeddings=1024,
        bos_token_id=None, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    print(f"{model.num_parameters() / 1e6:.0f} M weights", flush=True)
    model.to(torch.bfloat16).save_pretrained(folder)  # as real ones are kept; both sides compute in 32 bits
    tokenizer.save_pretrained(folder)
    return folder


def make_pairs(n: int) -> list[dict[str, Any]]:
    """Pairs of unequal length, a fifth of them held out."""
    draw = random.Random(0)

    def text(low: int, high: int) -> str:
        return " ".join(draw.choices(WORDS, k=draw.randint(low, high)))

    return [
        {
            "prompt": [{"role": "user", "content": f"{i} {text(8, 30)}"}],
            "chosen": [{"role": "assistant", "content": text(5, 40)}],
            "rejected": [{"role": "assistant", "content": text(5, 40)}],
            "part": "heldout" if i % 5 == 4 else "train",
            "pair": i,
        }
        for i in range(n * 5 // 4)
    ]


# -- the two ways --------------------------------------------------------------------------------------------------


def second_model(model: Path, rows: Path) -> dict[str, float]:
    """In this process: TRL's trainer with a second model."""
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
    from trl import DPOConfig, DPOTrainer

    class Clock(TrainerCallback):
        began = steps = 0.0

        def on_step_begin(self, *_: object, **__: object) -> None:
            self.began = time.monotonic()

        def on_step_end(self, *_: object, **__: object) -> None:
            self.steps += time.monotonic() - self.began

    parts: dict[str, list[dict[str, Any]]] = {"train": [], "heldout": []}
    for line in rows.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        parts[row["part"]].append({k: row[k] for k in ("prompt", "chosen", "rejected")})
    s, clock = SETTINGS, Clock()
    trainer = DPOTrainer(
        model=AutoModelForCausalLM.from_pretrained(model, dtype="float32"),
        ref_model=AutoModelForCausalLM.from_pretrained(model, dtype="float32"),
        args=DPOConfig(
            output_dir=str(rows.parent / "theirs"), num_train_epochs=s["epochs"], per_device_train_batch_size=s["batch_size"],
            per_device_eval_batch_size=s["batch_size"], gradient_accumulation_steps=s["gradient_accumulation"],
            max_length=s["max_length"], learning_rate=s["learning_rate"], lr_scheduler_type="cosine", warmup_steps=0.1,
            activation_checkpointing=False, use_cpu=True, bf16=False, eval_strategy="epoch", eval_on_start=True,
            logging_steps=1, save_strategy="no", report_to="none", disable_tqdm=True, seed=42, data_seed=42,
        ),
        train_dataset=Dataset.from_list(parts["train"]), eval_dataset=Dataset.from_list(parts["heldout"]),
        processing_class=AutoTokenizer.from_pretrained(model), callbacks=[clock],
        peft_config=LoraConfig(r=s["lora_r"], lora_alpha=s["lora_alpha"], target_modules="all-linear", task_type="CAUSAL_LM"),
    )  # fmt: skip
    began = time.monotonic()
    trainer.train()
    evals = sum(e["eval_runtime"] for e in trainer.state.log_history if "eval_runtime" in e)
    return {"steps": trainer.state.global_step, "step_seconds": clock.steps, "eval_seconds": evals,
            "reference_seconds": 0.0, "whole": time.monotonic() - began}  # fmt: skip


def overrides() -> list[str]:
    return [*(f"{k}={v}" for k, v in SETTINGS.items()), "checkpointing=false", "precompute=true"]


def beforehand(model: Path, rows: Path) -> dict[str, float]:
    """In this process: our trainer, the reference asked beforehand."""
    from db.entities.runs import RunKind
    from training.presets import PRESETS
    from training.rank import train_here
    from training.settings import ModelFiles, RunSpec, with_overrides

    settings = with_overrides(PRESETS["lora"].settings, overrides())
    made = train_here(
        RunSpec(
            RunKind.DPO, rows.parent / f"ours-{os.getpid()}", rows, ModelFiles(str(model)), None, settings
        )
    )
    return costs_of(rows.parent / f"ours-{os.getpid()}", made.metrics, made.steps, made.seconds)


def costs_of(run: Path, metrics: dict[str, Any], steps: int, whole: float) -> dict[str, float]:
    """The parts of a run's time, from what it logged of itself."""
    from training.metrics import read_metrics

    seconds = before = evals = 0.0
    for m in read_metrics(run / "metrics.jsonl"):
        evals += m.values.get("eval_runtime", 0.0)
        if "tokens_per_second" in m.values:
            seconds += (m.values["num_tokens"] - before) / m.values["tokens_per_second"]
            before = m.values["num_tokens"]
    return {"steps": steps, "step_seconds": seconds, "eval_seconds": evals, "whole": whole,
            "reference_seconds": metrics["reference_seconds"]}  # fmt: skip


def child(way: str, model: Path, rows: Path, *more: str, tunables: str = "") -> Cost:
    """One way in a process of its own."""
    environment = {**os.environ, **({"GLIBC_TUNABLES": tunables} if tunables else {})}
    with tempfile.TemporaryFile("w+") as out:
        run = subprocess.Popen([sys.executable, "-m", "bench.second_reference", "--child", way, str(model), str(rows), *more],
                               cwd=ROOT, stdout=out, stderr=subprocess.DEVNULL, env=environment)  # fmt: skip
        _, status, used = os.wait4(run.pid, 0)
        if status:
            raise SystemExit(f"{way}: it ended with {status}")
        out.seek(0)
        found = json.loads(out.read().splitlines()[-1])
    return Cost(**found, memory=used.ru_maxrss / 1024)


def pressed(home: Path, name: str) -> Cost:
    """Ours as the studio's button starts it: a job of the home."""
    from arena import jobs
    from db.connection import home_at, open_writer
    from db.runs import get_run, job_processes

    here = home_at(home)
    db = open_writer(here)
    words = [
        "train",
        "dpo",
        "--from",
        "big",
        "--pairs",
        str(home.parent / "pairs.jsonl"),
        "--preset",
        "lora",
        "--no-rematch",
        "--name",
        name,
    ]
    for text in overrides():
        words += ["--set", text]
    job = jobs.start(here, db, words)
    pid = next(pid for j, pid, _ in job_processes(db) if j == job.id and pid)
    _, status, used = os.wait4(pid, 0)
    if status:
        raise SystemExit(jobs.read_log(here, job)[-2000:])
    run = get_run(db, name)
    found = costs_of(
        here.root / run.folder, run.metrics or {}, int((run.metrics or {})["steps"]), run.seconds or 0.0
    )
    db.conn.close()
    return Cost(**found, memory=used.ru_maxrss / 1024)


def home_with(folder: Path, model: Path, rows: Sequence[dict[str, Any]]) -> Path:
    """A home that knows the model, beside the file of pairs."""
    home = folder / "home"
    told = ({k: row[k] for k in ("prompt", "chosen", "rejected")} for row in rows)
    (folder / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in told), encoding="utf-8")
    words = ["models", "add", "big", "--source", str(model)]
    subprocess.run([sys.executable, "launch.py", "--home", str(home), *words], cwd=ROOT, check=True, stdout=2)
    return home


def libraries() -> float:
    """MiB a process holds once everything is imported."""
    code = "import torch, transformers, peft, datasets; from trl import DPOTrainer; from transformers import AutoModelForCausalLM, LlamaForCausalLM"
    run = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    return float(os.wait4(run.pid, 0)[2].ru_maxrss / 1024)


def line(name: str, runs: Sequence[Cost], base: float) -> str:
    rates, held = [r.rate for r in runs], [r.memory - base for r in runs]
    return (f"{name:24} {statistics.median(rates):.3f} steps/s ({min(rates):.3f} to {max(rates):.3f})   "
            f"{statistics.median(held):.0f} MiB beyond the libraries ({statistics.median(r.memory for r in runs):.0f} in all)   "
            f"whole run {statistics.median(r.whole for r in runs):.0f} s")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--pairs", type=int, default=24)
    parser.add_argument("--hidden", type=int, default=768)
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--in-process", action="store_true")
    parser.add_argument(
        "--cpu-clock", action="store_true", help="seconds of the processor, for a busy machine; in process"
    )
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--plain", action="store_true", help="ours without the tunables of a job")
    parser.add_argument("--make", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.make:
        make_model(options.make, options.hidden, options.layers)
        return
    if options.child:
        way, model, rows = options.child
        if options.cpu_clock:
            time.monotonic = time.time = time.process_time
        print(json.dumps({"second": second_model, "beforehand": beforehand}[way](Path(model), Path(rows))))
        return
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work)
        subprocess.run([sys.executable, "-m", "bench.second_reference", "--make", str(folder / "model"),
                        "--hidden", str(options.hidden), "--layers", str(options.layers)], cwd=ROOT, check=True)  # fmt: skip
        model = folder / "model"
        pairs = make_pairs(options.pairs)
        rows = folder / "rows.jsonl"
        rows.write_text("".join(json.dumps(r) + "\n" for r in pairs), encoding="utf-8")
        more = ["--cpu-clock"] if options.cpu_clock else []
        home = None if options.in_process or options.cpu_clock else home_with(folder, model, pairs)
        base, theirs, ours = libraries(), [], []
        tunables = "" if options.plain else WHOLE_MEMORY
        for i in range(options.times):
            if options.plain:
                os.environ["GLIBC_TUNABLES"] = (
                    "glibc.malloc.check=0"  # the default, which a job leaves as it is
                )
            ours.append(
                pressed(home, f"run-{i}")
                if home
                else child("beforehand", model, rows, *more, tunables=tunables)
            )
            os.environ.pop("GLIBC_TUNABLES", None)
            rows = home / "runs" / "run-0" / "pairs.jsonl" if home else rows  # the very rows it trained on
            theirs.append(child("second", model, rows, *more))
            print(f"  {theirs[-1]}\n  {ours[-1]}", flush=True)
        print(line("a second model", theirs, base))
        print(line("asked once beforehand", ours, base))
        alone = statistics.median(r.steps / r.step_seconds for r in ours) / statistics.median(
            r.steps / r.step_seconds for r in theirs
        )
        rate = statistics.median(r.rate for r in ours) / statistics.median(r.rate for r in theirs)
        held = statistics.median(r.memory - base for r in ours) / statistics.median(
            r.memory - base for r in theirs
        )
        print(
            f"ours: {rate:.2f} times the steps a second (goal 1.25; of the steps alone {alone:.2f}) at {held:.2f} of the memory (goal 0.6)"
        )


if __name__ == "__main__":
    main()
