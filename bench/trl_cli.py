"""Our DPO run beside TRL's own command line, `trl dpo`: same model, rows and settings. Same losses? As fast, as much memory?

    python -m bench.trl_cli [--times 3] [--pairs 64] [--hidden 256] [--layers 6] [--full]

Each run is a process of its own with one thread, the two in turns; medians. Ours gets the GLIBC_TUNABLES of a job. Losses,
margins and gradient norms are compared step by step. Steps a second are those of the steps alone; the whole process is shown
too, by the clock and in seconds of the processor, because ours does more (it proves the reference, keeps ten verified
checkpoints, answers fixed prompts three times, reads the neutral set ten times). With
--full every weight is trained instead of LoRA, with a second model as reference in both.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from arena.jobs import WHOLE_MEMORY
from bench.second_reference import libraries, make_model, make_pairs
from bench.votes import ROOT

BATCH, ACCUMULATION, LENGTH, EPOCHS, RATE = 2, 2, 192, 1, 1e-4
COMPARED = ("loss", "rewards/margins", "rewards/chosen", "logps/chosen", "learning_rate", "grad_norm")


class Run(NamedTuple):
    """What a process logged at each step, how long its steps and all of it took, its seconds of the processor, and the most
    memory it held (MiB).
    """

    steps: list[dict[str, float]]
    step_seconds: float
    whole: float
    processor: float
    memory: float


class Ended(NamedTuple):
    """What a process printed, its seconds by the clock and of the processor, and the most memory it held (MiB)."""

    printed: str
    whole: float
    processor: float
    memory: float


def theirs(model: Path, data: Path, out: Path, full: bool) -> list[str]:
    """The command line of TRL. Its seconds come from what it logs; the last checkpoint carries every figure."""
    words = [
        str(Path(sys.executable).with_name("trl")), "dpo", "--model_name_or_path", str(model), "--dataset_name", str(data),
        "--output_dir", str(out), "--dtype", "float32", "--use_cpu", "true", "--bf16", "false",
        "--per_device_train_batch_size", str(BATCH), "--gradient_accumulation_steps", str(ACCUMULATION),
        "--max_length", str(LENGTH), "--num_train_epochs", str(EPOCHS), "--learning_rate", str(RATE),
        "--lr_scheduler_type", "cosine", "--warmup_steps", "0.1", "--logging_steps", "1", "--logging_first_step", "true",
        "--activation_checkpointing", "false", "--gradient_checkpointing", "false",
        "--eval_strategy", "no", "--save_strategy", "epoch", "--report_to", "none", "--disable_tqdm", "true",
        "--seed", "42", "--data_seed", "42", "--beta", "0.1", "--dataloader_pin_memory", "false",
    ]  # fmt: skip
    lora = [
        "--use_peft",
        "--lora_r",
        "16",
        "--lora_alpha",
        "32",
        "--lora_dropout",
        "0",
        "--lora_target_modules",
        "all-linear",
    ]
    return words if full else words + lora


def train_ours(model: Path, rows: Path, out: Path, full: bool) -> None:
    from db.entities.runs import RunKind
    from training.presets import PRESETS
    from training.rank import train_here
    from training.settings import ModelFiles, RunSpec, with_overrides

    words = [f"batch_size={BATCH}", f"gradient_accumulation={ACCUMULATION}", f"max_length={LENGTH}", f"epochs={EPOCHS}",
             f"learning_rate={RATE}", "checkpointing=false", "lora_r=16", "lora_alpha=32", f"lora={not full}".lower()]  # fmt: skip
    settings = with_overrides(PRESETS["lora"].settings, words)
    train_here(RunSpec(RunKind.DPO, out, rows, ModelFiles(str(model)), None, settings))


def timed(command: Sequence[str], **more: str) -> Ended:
    """Run a command to its end, with `more` in its environment."""
    began = time.monotonic()
    with tempfile.TemporaryFile("w+") as said:
        run = subprocess.Popen(command, cwd=ROOT, stdout=said, stderr=subprocess.STDOUT,
                               env={**os.environ, "OMP_NUM_THREADS": "1", "TQDM_DISABLE": "1", "HF_HUB_OFFLINE": "1", **more})  # fmt: skip
        _, status, used = os.wait4(run.pid, 0)
        seconds = time.monotonic() - began
        said.seek(0)
        printed = said.read()
    if status:
        raise SystemExit(printed[-3000:])
    return Ended(printed, seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def run_theirs(model: Path, data: Path, out: Path, full: bool) -> Run:
    ended = timed(theirs(model, data, out, full))
    found = re.search(r"'train_runtime': '?([0-9.e+-]+)", ended.printed)
    assert found, ended.printed[-2000:]
    state = next(out.glob("checkpoint-*/trainer_state.json"))
    history = json.loads(state.read_text(encoding="utf-8"))["log_history"]
    return Run([e for e in history if "loss" in e], float(found[1]), *ended[1:])


def run_ours(model: Path, rows: Path, out: Path, full: bool) -> Run:
    from training.metrics import read_metrics

    words = [sys.executable, "-m", "bench.trl_cli", "--child", str(model), str(rows), str(out)]
    ended = timed([*words, *(["--full"] if full else [])], GLIBC_TUNABLES=WHOLE_MEMORY)
    logged = [m.values for m in read_metrics(out / "metrics.jsonl") if "loss" in m.values]
    seconds = before = 0.0
    for values in logged:
        seconds += (values["num_tokens"] - before) / values["tokens_per_second"]
        before = values["num_tokens"]
    return Run(logged, seconds, *ended[1:])


def differences(a: Sequence[Mapping[str, float]], b: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The largest difference of each figure over the steps."""
    return {k: max(abs(x[k] - y[k]) for x, y in zip(a, b, strict=True)) for k in COMPARED}


def line(name: str, runs: Sequence[Run], base: float) -> str:
    rates = [len(r.steps) / r.step_seconds for r in runs]
    return (f"{name:12} {statistics.median(rates):.3f} steps/s ({min(rates):.3f} to {max(rates):.3f})   "
            f"{statistics.median(r.memory for r in runs):.0f} MiB ({statistics.median(r.memory - base for r in runs):.0f} beyond the libraries)   "
            f"whole process {statistics.median(r.whole for r in runs):.0f} s, of the processor "
            f"{statistics.median(r.processor for r in runs):.1f}")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--pairs", type=int, default=64)
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--child", nargs=3, type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        train_ours(*options.child, options.full)
        return
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work)
        model = make_model(folder / "model", options.hidden, options.layers)
        pairs = [{**row, "part": "train"} for row in make_pairs(options.pairs)]
        rows = folder / "rows.jsonl"
        rows.write_text("".join(json.dumps(r) + "\n" for r in pairs), encoding="utf-8")
        (folder / "data").mkdir()
        told = ({k: row[k] for k in ("prompt", "chosen", "rejected")} for row in pairs)
        (folder / "data" / "train.jsonl").write_text(
            "".join(json.dumps(r) + "\n" for r in told), encoding="utf-8"
        )
        base, trl, own = libraries(), [], []
        for i in range(options.times):
            trl.append(run_theirs(model, folder / "data", folder / f"theirs-{i}", options.full))
            own.append(run_ours(model, rows, folder / f"ours-{i}", options.full))
            print(f"  {i + 1} of {options.times}: {trl[-1][1:]} {own[-1][1:]}", flush=True)
        print(line("trl dpo", trl, base))
        print(line("train dpo", own, base))
        print("largest differences over", len(own[0].steps), "steps:",
              {k: f"{v:.2g}" for k, v in differences(own[0].steps, trl[0].steps).items()})  # fmt: skip
        rate = statistics.median(r.step_seconds for r in trl) / statistics.median(r.step_seconds for r in own)
        held = statistics.median(r.memory for r in own) / statistics.median(r.memory for r in trl)
        print(f"ours: {rate:.2f} times the steps a second at {held:.2f} of the memory")


if __name__ == "__main__":
    main()
