"""Looking at a model while it trains: samples at the start, halfway and at the end, the neutral set ten times between.

The figures join the run's metrics, so that charts and alarms know them like any other.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from db.entities.runs import RunKind
from db.files import written_file
from training import neutral, samples, together
from training.checkpoints import FOLDER, steps_between
from training.monitoring import Monitor
from training.settings import RunSpec

if TYPE_CHECKING:
    from transformers import Trainer, TrainerCallback

START = "start.safetensors"
"""the start model's distributions over the neutral set, kept beside the checkpoints for a run that goes on"""


class Looks:
    """What is looked at in one run, and against what: the start model's distributions are taken once."""

    def __init__(self, trainer: Trainer, spec: RunSpec[Any], monitor: Monitor) -> None:
        self.trainer, self.spec, self.monitor = trainer, spec, monitor
        self.prompts = samples.fixed_prompts(spec.rows)
        self.start = self._kept_start()

    def look(self, step: int, total: int) -> None:
        """Take what is due after a step and log it; the time that takes is none of the step's."""
        began = time.monotonic()
        model, tokenizer = self.trainer.model, self.trainer.processing_class
        values: dict[str, float] = {}
        with samples.evaluating(model):
            if step == 0:
                self._keep_start(neutral.read(model, tokenizer))
            # A sentence at a time: with a large vocabulary the whole set is hundreds of megabytes.
            found = neutral.moved_by(neutral.lines(model, tokenizer), self.start)
            values["neutral/perplexity"] = found.perplexity
            if found.divergence is not None:
                values["neutral/divergence"] = found.divergence
            if step in (0, total // 2, total):
                said = samples.answer(model, tokenizer, self.prompts, step, self.spec.settings.max_length)
                if together.first():
                    samples.write(self.spec.folder, said)
                values |= samples.figures(said)
        self.monitor.logged(step, total, values)
        self.monitor.pace.began += time.monotonic() - began

    def due(self, step: int, total: int) -> bool:
        """Whether to look after this step."""
        return step % steps_between(total) == 0 or step in (total // 2, total)

    def _keep_start(self, now: neutral.Read) -> None:
        from safetensors.torch import save_file

        self.start = now.logps
        if not together.first():
            return
        folder = self.spec.folder / FOLDER
        folder.mkdir(exist_ok=True)
        with written_file(folder / START) as aside:
            save_file({"logps": now.logps}, aside)

    def _kept_start(self) -> Any:  # noqa: ANN401 - a tensor, or None before the first look
        from safetensors.torch import load_file

        path = self.spec.folder / FOLDER / START
        return load_file(path)["logps"] if path.is_file() else None


def as_callback(looks: Looks) -> TrainerCallback:
    """The looks in the form the trainer calls."""
    from transformers import TrainerCallback

    class Look(TrainerCallback):  # type: ignore[misc]
        """Looks before the first step and after each that is due, while the weights are those of that step."""

        def on_step_begin(self, _args: object, state: Any, *_: object, **__: object) -> None:  # noqa: ANN401
            step, total = state.global_step, state.max_steps
            if step == 0 or (looks.monitor.owes_look and looks.due(step, total)):
                looks.look(step, total)
            looks.monitor.owes_look = False

        def on_step_end(self, _args: object, state: Any, *_: object, **__: object) -> None:  # noqa: ANN401
            if looks.monitor.stopped_at is None and looks.due(state.global_step, state.max_steps):
                looks.look(state.global_step, state.max_steps)

    return Look()


def attach(trainer: Trainer, spec: RunSpec[Any], monitor: Monitor) -> None:
    """Look at a run's model as it learns; a reward model neither writes nor reads on."""
    if spec.kind is not RunKind.REWARD:
        trainer.add_callback(as_callback(Looks(trainer, spec, monitor)))
