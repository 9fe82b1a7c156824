"""One run in several processes, on one machine or more: who starts them, listens to them, and stops them.

`--accelerate` takes a number of processes, or the file that `accelerate config` writes (DDP, FSDP, DeepSpeed, several
machines). The job itself does not train then. It starts the processes, reads along what the first of them logs, and is
the only one that knows the database. With a CPU they are started by torchrun, because `accelerate launch --cpu` runs a
single one without a word; each process checks how many there are (training/rank.py).
"""

import json
import os
import platform
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import psutil

from db.connection import PROJECT
from db.errors import UserError
from training.following import Cancelled
from training.metrics import Metric
from training.processes import mark_of, runs_still
from training.rank import OBSERVED, ORDER, STOP, Order
from training.running import OutOfMemory, Trained, going_on_with_less, read_result
from training.settings import RunSpec
from training.together import FOLDER

if TYPE_CHECKING:
    from accelerate.commands.config.config_args import ClusterConfig

LOOK = 0.2
"""seconds between two looks at what the processes say"""


class Launch(NamedTuple):
    """How the processes are started. `command` and `others` (one for each further machine) lack the order at their end."""

    command: list[str]
    processes: int
    others: tuple[list[str], ...] = ()
    cpu: bool = False


def launch_of(config: str) -> Launch:
    """The command for a number of processes, or for an accelerate config file; UserError where it cannot run here."""
    import torch

    gpus = torch.cuda.device_count()
    if config.isdecimal():
        n = int(config)
        if n < 1 or (gpus and n > gpus):
            raise UserError(f"--accelerate {n} does not fit a machine with {gpus or 'no'} GPU" + "s" * (gpus > 1),
                            f"give it 1 to {gpus}" if gpus else "give it 1 or more")  # fmt: skip
        return Launch(_torchrun(n), n, cpu=not gpus)
    read = _read(config)
    n, machines = int(read.num_processes), int(read.num_machines)
    if n < 1 or n % machines:
        raise UserError(f"{config} asks for {n} processes on {machines} machines",
                        "set num_processes to a multiple of num_machines")  # fmt: skip
    kind = str(getattr(read.distributed_type, "value", read.distributed_type))
    if not gpus and not (read.use_cpu or kind in ("NO", "MULTI_CPU")):
        raise UserError(f"{config} asks for {kind}, which needs GPUs, and there is none here",
                        "set `use_cpu: true` and `distributed_type: MULTI_CPU`, or run it where there is one")  # fmt: skip
    if read.use_cpu or not gpus:
        return Launch(*_on_machines(lambda k: _torchrun(n // machines, read, k), machines, n), cpu=True)
    return Launch(*_on_machines(lambda k: _accelerate(config, k), machines, n))


def _on_machines(
    command: Callable[[int], list[str]], machines: int, processes: int
) -> tuple[list[str], int, tuple[list[str], ...]]:
    """The first machine's command, the number of processes, and the other machines' commands."""
    return command(0), processes, tuple(command(k) for k in range(1, machines))


def _read(config: str) -> "ClusterConfig":
    """An accelerate config file by accelerate's own reader; UserError where it is none."""
    from accelerate.commands.config.config_args import ClusterConfig, load_config_from_file
    from yaml import YAMLError

    if not Path(config).is_file():
        raise UserError(f"--accelerate {config} is neither a number of processes nor a file",
                        "give a number, or the file that `accelerate config --config_file FILE` wrote")  # fmt: skip
    try:
        read = load_config_from_file(config)
    except (YAMLError, ValueError, TypeError, AttributeError, OSError) as error:
        raise UserError(f"{config} is no accelerate config: {str(error).splitlines()[0]}",
                        "write it with `accelerate config --config_file FILE`") from error  # fmt: skip
    if not isinstance(read, ClusterConfig):
        raise UserError(f"{config} is for a hosted service", "run on your own machines: choose LOCAL_MACHINE")
    return read


def _torchrun(each: int, read: "ClusterConfig | None" = None, machine: int = 0) -> list[str]:
    """The command that starts so many processes on one machine (of several, where a config says so)."""
    several = read is not None and read.num_machines > 1
    where = ["--standalone"]
    if read is not None and several:
        where = [f"--nnodes={read.num_machines}", f"--node-rank={machine}",
                 f"--master-addr={read.main_process_ip}", f"--master-port={read.main_process_port or 29500}"]  # fmt: skip
    return [sys.executable, "-m", "torch.distributed.run", f"--nproc-per-node={each}", *where, "-m", "training.rank"]  # fmt: skip


def _accelerate(config: str, machine: int) -> list[str]:
    """The command that starts a machine's processes as the config says."""
    path = str(Path(config).resolve())
    return [sys.executable, "-m", "accelerate.commands.launch", "--config_file", path, f"--machine_rank={machine}",
            "-m", "training.rank"]  # fmt: skip


@going_on_with_less
def train_across(
    spec: RunSpec[Any],
    config: str,
    observe: Callable[[Metric], None] = lambda _: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Trained:
    """Run the spec in the processes of a config; the same as `train_here` otherwise.

    UserError: what the processes themselves raise, a config that cannot run here, a process that was killed.
    """
    launch = launch_of(config)
    folder = spec.folder / FOLDER
    end_all(folder)  # of a run whose starter was killed
    shutil.rmtree(folder, ignore_errors=True)
    (spec.folder / "result.json").unlink(missing_ok=True)
    folder.mkdir(parents=True)
    me = os.getpid()
    Order(spec, launch.processes, (me, mark_of(me))).write(folder / ORDER)
    for k, other in enumerate(launch.others, 1):
        words = shlex.join(
            [
                *(f"{name}={value}" for name, value in _environment(launch).items()),
                *other,
                str(folder / ORDER),
            ]
        )
        print(f"on machine {k} run, in its checkout: env {words}", file=sys.stderr)
    with started(launch, folder) as child:
        listen(child, folder, observe, should_stop)
    if not (spec.folder / "result.json").is_file():
        raise failure(folder, launch.processes)
    shutil.rmtree(folder, ignore_errors=True)
    return read_result(spec)


@contextmanager
def started(launch: Launch, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The launcher of the processes in a group of its own; all of them are gone when the block ends.

    What they print goes where this process's errors go. Each gets its share of the threads.
    """
    threads = max(1, int(os.environ.get("OMP_NUM_THREADS", "1")) // launch.processes)
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), **_environment(launch)}
    child = subprocess.Popen([*launch.command, str(folder / ORDER)], cwd=PROJECT, env=environment, stdout=2,
                             stdin=subprocess.DEVNULL, start_new_session=True)  # fmt: skip
    try:
        yield child
    finally:
        with suppress(psutil.NoSuchProcess):
            for process in psutil.Process(child.pid).children(recursive=True):
                _kill(process)
        child.kill()
        child.wait()
        end_all(folder)


def _environment(launch: Launch) -> dict[str, str]:
    """What the processes must find in their environment."""
    return {"ACCELERATE_USE_CPU": "1", "CUDA_VISIBLE_DEVICES": ""} if launch.cpu else {}


def listen(
    child: subprocess.Popen[bytes],
    folder: Path,
    observe: Callable[[Metric], None],
    should_stop: Callable[[], bool],
) -> None:
    """Pass on what the first process logs until the launcher ends; let them stop where that is asked."""
    (folder / OBSERVED).touch()
    with (folder / OBSERVED).open(encoding="utf-8") as file:
        while child.poll() is None:
            _pass_on(file, observe)
            if should_stop():
                (folder / STOP).touch()
            time.sleep(LOOK)
        _pass_on(file, observe)


def _pass_on(file: IO[str], observe: Callable[[Metric], None]) -> None:
    """The whole lines that are new; one still being written is left for the next look."""
    while True:
        place = file.tell()
        line = file.readline()
        if not line.endswith("\n"):
            file.seek(place)
            return
        observe(Metric(**json.loads(line)))


def failure(folder: Path, processes: int) -> Exception:
    """Why there is no result: what the processes said, a bug's before a person's, or that one of them said nothing."""
    told = [json.loads(p.read_text(encoding="utf-8")) for p in sorted(folder.glob("error-*.json"))]
    for one in told:
        if one["kind"] == "bug":
            return RuntimeError(f"a process of the run failed: {one['what']} (its traceback is in the log)")
    for kind in (OutOfMemory, UserError, Cancelled):
        for one in told:
            if one["kind"] == kind.__name__:
                return kind(one["what"], one["remedy"])
    return UserError(
        f"one of the {processes} processes ended without a word (killed, or out of memory)",
        "the log shows what it printed; `jobs resume` goes on from the last checkpoint",
    )


def end_all(folder: Path) -> None:
    """End the processes on this machine that have signed in and still run."""
    for path in folder.glob("process-*.json"):
        with suppress(ValueError, psutil.NoSuchProcess):
            pid, began, machine = json.loads(path.read_text(encoding="utf-8"))
            if machine == platform.node() and runs_still(pid, began):
                _kill(psutil.Process(pid))


def _kill(process: psutil.Process) -> None:
    """End a process at once."""
    with suppress(psutil.NoSuchProcess):
        process.kill()
