import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import tiny

from db.connection import PROJECT
from db.entities.runs import RunKind
from db.errors import UserError
from training.folders import verify
from training.following import Cancelled
from training.launching import launch_of, train_across
from training.metrics import read_metrics
from training.presets import PRESETS, PRESETS_OF
from training.rank import ORDER, Order, read_order, train_here
from training.settings import ModelFiles, RunSpec, with_overrides
from training.together import FOLDER, shared

SETTINGS = with_overrides(
    PRESETS["starter"].settings, ["batch_size=2", "gradient_accumulation=2", "epochs=2"]
)
NOT_A_FIGURE = (
    "second",
    "runtime",
    "memory",
    "entropy",
    "accuracy",
    "logits/",
    "min_reward",
    "max_reward",
    "train_loss",
    "total_flos",
)
"""what depends on the machine, or is averaged over batches of unequal tokens"""


@pytest.fixture
def spec(base, tmp_path):
    rows = tiny.write_rows(tmp_path / "rows.jsonl", tiny.some_pairs(24, 4))
    return RunSpec(RunKind.DPO, tmp_path / "one", rows, ModelFiles(str(base)), None, SETTINGS)


def curve(spec):
    """{(step, key): value} of what must not depend on the number of processes; each step is logged once."""
    metrics = read_metrics(spec.folder / "metrics.jsonl")
    steps = [m.step for m in metrics if "loss" in m.values]
    assert steps == sorted(set(steps))
    found = {(m.step, k): v for m in metrics for k, v in m.values.items()}
    return {key: v for key, v in found.items() if not any(word in key[1] for word in NOT_A_FIGURE)}


# -- what is asked for ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("processes", "batch", "accumulation", "expected"),
    [
        (1, 4, 4, (4, 4)),
        (2, 4, 4, (4, 2)),
        (8, 4, 4, (2, 1)),
        (6, 3, 4, (1, 2)),
        (3, 4, 4, None),
        (32, 4, 4, None),
    ],
)
def test_a_steps_rows_are_shared_by_accumulation_first(monkeypatch, processes, batch, accumulation, expected):
    monkeypatch.setenv("WORLD_SIZE", str(processes))
    monkeypatch.setenv("RANK", "0")
    assert shared(batch, accumulation) == expected


def config(folder, **keys):
    path = folder / "accelerate.yaml"
    path.write_text(json.dumps({"compute_environment": "LOCAL_MACHINE", **keys}))
    return str(path)


def test_a_number_of_processes_is_started_by_torchrun():
    launch = launch_of("2")
    assert launch.processes == 2
    assert "torch.distributed.run" in launch.command
    assert "--nproc-per-node=2" in launch.command


def test_a_config_for_cpus_is_started_by_torchrun_too(tmp_path):
    launch = launch_of(config(tmp_path, distributed_type="MULTI_CPU", use_cpu=True, num_processes=3))
    assert launch.processes == 3
    assert launch.cpu
    assert "--nproc-per-node=3" in launch.command


def test_each_of_several_machines_has_its_own_command(tmp_path):
    launch = launch_of(config(tmp_path, distributed_type="MULTI_CPU", use_cpu=True, num_processes=4, num_machines=2,
                              main_process_ip="10.0.0.1", main_process_port=29501))  # fmt: skip
    assert launch.processes == 4
    assert "--node-rank=0" in launch.command
    assert [other[other.index("--nnodes=2") :][:4] for other in launch.others] == [
        ["--nnodes=2", "--node-rank=1", "--master-addr=10.0.0.1", "--master-port=29501"]
    ]
    assert "--nproc-per-node=2" in launch.others[0]


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"distributed_type": "FSDP", "num_processes": 8}, "FSDP, which needs GPUs"),
        ({"distributed_type": "MULTI_CPU", "use_cpu": True, "num_processes": 3, "num_machines": 2}, "multiple of"),
        ({"distributed_type": "MULTI_CPU", "colour": "red"}, "unknown keys"),
        ({"num_processes": 2}, "distributed_type"),
        ({"compute_environment": "AMAZON_SAGEMAKER", "distributed_type": "NO"}, "accelerate config|hosted"),
    ],
)  # fmt: skip
def test_a_config_that_cannot_run_here_is_refused_in_one_line(tmp_path, keys, told):
    with pytest.raises(UserError, match=told) as caught:
        launch_of(config(tmp_path, **keys))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("config", "told"), [("0", "does not fit"), ("nowhere.yaml", "neither a number")])
def test_nonsense_is_refused(config, told):
    with pytest.raises(UserError, match=told):
        launch_of(config)


def test_an_order_reads_back_as_it_was_written(spec, tmp_path):
    order = Order(replace(spec, reference=ModelFiles("a", "b", "4bit")), 2, (1, 2.5))
    order.write(tmp_path / ORDER)
    assert read_order(tmp_path / ORDER) == order


# -- runs in two real processes --------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("kind", list(RunKind))
def test_two_processes_learn_what_one_learns(spec, tmp_path, kind):
    settings = with_overrides(PRESETS_OF[kind]["starter"].settings,
                              ["batch_size=2", "gradient_accumulation=2", "epochs=2"])  # fmt: skip
    one = replace(spec, kind=kind, settings=settings)
    if kind is RunKind.KTO:
        rows = [
            tiny.answer(i, f"Question {i}?", f"Yes, {i}." if i % 2 else f"No {i}", good=bool(i % 2))
            for i in range(24)
        ]
        one = replace(one, rows=tiny.write_rows(tmp_path / "answers.jsonl", rows))
    two = replace(one, folder=tmp_path / "two")
    train_here(one)
    heard = []
    trained = train_across(two, "2", heard.append)
    verify(trained.model_folder)
    # KTO estimates the model's drift from the rows that stand beside each other: of all processes, where there are more.
    near = 0.02 if kind is RunKind.KTO else 1e-4
    assert curve(two) == pytest.approx(curve(one), rel=near, abs=near / 10)
    assert [m.step for m in heard] == [m.step for m in read_metrics(two.folder / "metrics.jsonl")]
    assert not (two.folder / FOLDER).exists()


@pytest.mark.slow
def test_a_reference_asked_beforehand_is_the_same_in_two_processes(spec, tmp_path):
    one = replace(
        spec, settings=replace(SETTINGS, lora=False, precompute=True, learning_rate=1e-4, sft_weight=0.0)
    )
    two = replace(one, folder=tmp_path / "two")
    train_here(one)
    assert train_across(two, "2").reference_proof.ok
    a, b = ({k: v for k, v in curve(run).items() if "accuracies" not in k[1]} for run in (one, two))
    assert b == pytest.approx(
        a, rel=1e-4, abs=1e-5
    )  # accuracies: at margins of 1e-7 a coin says which is larger


class Witness:
    """Hears a run, and does something once after a step."""

    def __init__(self, step, act):
        self.step, self.act, self.done = step, act, False

    def __call__(self, metric):
        if metric.step >= self.step and not self.done:
            self.done = True
            self.act()


def kill_one(spec, index):
    pid, *_ = json.loads((spec.folder / FOLDER / f"process-{index}.json").read_text())
    os.kill(pid, signal.SIGKILL)


@pytest.mark.slow
@pytest.mark.parametrize("index", [0, 1])
def test_a_killed_process_ends_the_run_in_one_line_and_it_goes_on(spec, tmp_path, index):
    whole = replace(spec, folder=tmp_path / "whole")
    train_here(whole)
    with pytest.raises(UserError, match="ended without a word") as caught:
        train_across(spec, "2", Witness(5, lambda: kill_one(spec, index)))
    assert "\n" not in str(caught.value)
    assert not (spec.folder / "model").exists()
    trained = train_across(spec, "2")
    assert any("went on from its checkpoint" in note for note in trained.notes)
    assert curve(spec) == pytest.approx(curve(whole), rel=1e-4, abs=1e-5)


@pytest.mark.slow
def test_a_run_that_is_asked_to_stop_keeps_a_checkpoint_and_goes_on_in_one_process(spec, tmp_path):
    whole = replace(spec, folder=tmp_path / "whole")
    train_here(whole)
    asked = []
    with pytest.raises(Cancelled, match="cancelled at step"):
        train_across(spec, "2", Witness(3, lambda: asked.append(1)), lambda: bool(asked))
    assert list((spec.folder / "checkpoints").glob("checkpoint-*"))
    train_here(spec)
    assert curve(spec) == pytest.approx(curve(whole), rel=1e-4, abs=1e-5)


@pytest.mark.slow
def test_a_launcher_that_starts_one_process_where_two_were_asked_for_is_found_out(spec, tmp_path):
    """`accelerate launch --cpu --num_processes 2` does just that."""
    folder = tmp_path / FOLDER
    folder.mkdir()
    me = psutil.Process()
    Order(spec, 2, (me.pid, me.create_time())).write(folder / ORDER)
    run = subprocess.run([sys.executable, "-m", "accelerate.commands.launch", "--cpu", "--num_processes", "2",
                          "-m", "training.rank", str(folder / ORDER)],
                         cwd=PROJECT, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})  # fmt: skip
    assert run.returncode != 0
    told = json.loads((folder / "error-0.json").read_text())
    assert told["what"] == "1 process runs where 2 were asked for"
    assert not (spec.folder / "model").exists()


@pytest.mark.slow
def test_two_machines_that_share_a_disk_train_together(spec, tmp_path, capfd):
    """The first one prints what the second has to run."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    both = config(tmp_path, distributed_type="MULTI_CPU", use_cpu=True, num_processes=2, num_machines=2,
                  main_process_ip="127.0.0.1", main_process_port=port)  # fmt: skip
    order = spec.folder / FOLDER / ORDER
    ran = []

    def second():
        while not order.exists():
            time.sleep(0.1)
        words = [*launch_of(both).others[0], str(order)]
        env = {**os.environ, "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "1"}
        ran.append(subprocess.run(words, cwd=PROJECT, env=env, stdin=subprocess.DEVNULL).returncode)

    thread = threading.Thread(target=second)
    thread.start()
    trained = train_across(replace(spec, settings=replace(SETTINGS, max_steps=3)), both)
    thread.join()
    assert ran == [0]
    assert trained.steps == 3
    assert "on machine 1 run, in its checkout" in capfd.readouterr().err


@pytest.mark.slow
def test_rows_that_cannot_be_shared_stop_every_process_in_one_line(spec):
    with pytest.raises(UserError, match="3 rows a step cannot be shared by 2 processes"):
        train_across(replace(spec, settings=replace(SETTINGS, batch_size=3, gradient_accumulation=1)), "2")


def test_paths_of_the_project_hold_the_module_that_is_started():
    assert (Path(PROJECT) / "training" / "rank.py").is_file()
