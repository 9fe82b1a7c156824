"""Direct preference optimisation of one model on one frozen snapshot. Heavy; read from top to bottom.

The loss pushes up log p(chosen) - log p(rejected) of the policy over that of a frozen reference, by beta
(2305.18290). The reference is the model the policy starts from unless the run names another, and the first step
proves it: a run whose reference is wrong stops there, and nothing of it is kept.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import torch
from datasets import Dataset
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from trl import DPOConfig, DPOTrainer

from db.entities.catalog import Split
from db.errors import UserError
from training.following import follow
from training.loading import load_policy
from training.metrics import Metric
from training.preflight import Row, preflight, read_rows, tokenize, usable
from training.prompts_once import read_once, shares_prompts
from training.proof import (
    ROUGH,
    ReferenceProof,
    prove_reference,
    refuse_unproven,
    starting_loss,
    tolerance_for,
)
from training.running import (
    Trained,
    begin,
    common_arguments,
    findable,
    going_on_with_less,
    load_start,
    lora,
    memory_explained,
    result,
    save_policy,
)
from training.settings import DpoSettings, DpoSpec
from training.together import gathered, processes

SPOT_CHECKED = 4
"""pairs on which a reference that was asked beforehand is asked once more before it is let go"""


@dataclass(frozen=True, slots=True)
class Loaded:
    """The models of a run in memory. `reference` None: the trainer keeps a frozen copy of the start."""

    policy: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    reference: PreTrainedModel | None


@going_on_with_less
def train(
    spec: DpoSpec,
    observe: Callable[[Metric], None] = lambda _: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Trained:
    """Run the spec: `spec.folder` gets settings.json, metrics.jsonl and, if all goes well, model/.

    `observe` sees every log; `should_stop` is asked after each step and ends the run with `Cancelled`.
    UserError: rows that cannot train, models that do not load or fit, a reference that is not the one asked for,
    a loss that is no longer a number, no memory, no disk.
    """
    with memory_explained(spec.settings):
        return fit(spec, load(spec), observe, should_stop)


def load(spec: DpoSpec) -> Loaded:
    """The policy to train and, only where it is needed, a second model as reference.

    Adapter start: the trainer copies the adapter to a frozen `ref`. Checkpoint start with LoRA: the reference is
    the same model with the adapter switched off. Full training, or another reference: a second model in memory,
    unless it is the start and is asked before anything is trained.
    """
    policy, tokenizer, start, dtype = load_start(spec)
    other = spec.reference if names_another(spec) else None
    if other is None and (spec.settings.lora or spec.settings.precompute):
        return Loaded(policy, tokenizer, None)
    reference, its_tokenizer = load_policy(other or start, dtype=dtype)
    if its_tokenizer.get_vocab() != tokenizer.get_vocab():
        raise UserError(
            f"the reference {other} does not share the start's tokenizer, so their probabilities cannot be compared",
            "name a reference of the same family",
        )
    # The trainer reads past a wrapper; the model inside has the adapter's layers in place and switched on.
    inner = reference.get_base_model() if (other or start).adapter else reference
    return Loaded(policy, tokenizer, inner)


def names_another(spec: DpoSpec) -> bool:
    """Whether the reference is to be another model than the start."""
    return spec.reference not in (None, spec.start)


def fit(
    spec: DpoSpec, models: Loaded, observe: Callable[[Metric], None], should_stop: Callable[[], bool]
) -> Trained:
    """The run itself, on models already in memory."""
    report = preflight(spec.rows, models.tokenizer, spec.settings)
    begin(spec, report, "pairs", split_prompts=report.split_prompts)
    began = time.monotonic()
    trainer = build_trainer(spec, models)
    asking = time.monotonic() - began if spec.settings.precompute else 0.0
    if spec.settings.precompute and models.reference is not None:
        trainer.let_go_of_reference()
    del models  # a reference that has been asked leaves the memory here
    monitor = follow(trainer, spec, observe, should_stop, partial(proven, trainer, spec.settings), asking)
    assert monitor.proof is not None
    folder = save_policy(spec, trainer, trainer.processing_class)
    return result(spec, trainer, monitor, report, folder, is_adapter=spec.settings.lora)


def build_trainer(spec: DpoSpec, models: Loaded) -> "WitnessedTrainer":
    """The trainer over the snapshot's rows; fresh LoRA on a checkpoint, none on a model that has its adapter."""
    s = spec.settings
    rows = [row for row in read_rows(spec.rows) if usable(row, tokenize(row, models.tokenizer), s)]
    taught, heldout = (
        findable(as_dataset(rows, part), spec, part.value) for part in (Split.TRAIN, Split.HELDOUT)
    )
    fresh = s.lora and not spec.start.adapter
    trainer = WitnessedTrainer(
        model=models.policy,
        ref_model=models.reference,
        args=arguments(spec, taught.num_rows, heldout.num_rows),
        train_dataset=taught,
        eval_dataset=heldout if heldout.num_rows else None,
        processing_class=models.tokenizer,
        peft_config=lora(s) if fresh else None,
    )
    trainer.settings, trainer.other_reference = s, names_another(spec)
    # On a quantised base the trainer rounds the trained adapter to bfloat16 but not its frozen copy.
    for name, parameter in trainer.model.named_parameters():
        if ".ref." in name:
            trained = trainer.model.get_parameter(name.replace(".ref.", ".default."))
            parameter.data = parameter.data.to(trained.dtype)
    return trainer


def as_dataset(rows: list[Row], part: Split) -> Dataset:
    """The rows of one part with the three columns the trainer reads, and no other."""
    chosen = [row for row in rows if row.part is part]
    return Dataset.from_list(
        [{"prompt": list(r.prompt), "chosen": list(r.chosen), "rejected": list(r.rejected)} for r in chosen]
    )


def arguments(spec: DpoSpec, trained: int, evaluated: int) -> DPOConfig:
    """Our settings in the trainer's words."""
    s = spec.settings
    return DPOConfig(
        loss_type=[s.loss.value, *(["sft"] if s.sft_weight else [])],
        loss_weights=[1.0, s.sft_weight] if s.sft_weight else None,
        beta=s.beta,
        label_smoothing=s.label_smoothing,
        precompute_ref_log_probs=s.precompute,
        **common_arguments(s, spec.folder, trained, evaluated),
    )


class WitnessedTrainer(DPOTrainer):  # type: ignore[misc]
    """The DPO trainer, with a second reckoning of its first step where the loss does not follow from margin 0 alone.

    That is so where the reference is another model and where the chosen answers' own likelihood is in the loss.
    `expected` holds, for each batch of the first step, margin and loss by plain forward passes. It stays empty
    where the reference is the start itself and nothing is added: then margin 0 is all that must be shown.
    """

    settings: DpoSettings
    ref_model: PreTrainedModel | None
    precompute_ref_logps: bool
    other_reference = False
    expected: tuple[tuple[float, float], ...] = ()

    def compute_loss(
        self, model: PreTrainedModel, inputs: Mapping[str, torch.Tensor], *args: object, **kwargs: object
    ) -> torch.Tensor:
        """As the trainer's own, but where that pays each prompt is read once for both of its answers."""
        witnessed = self.other_reference or self.settings.sft_weight > 0
        if witnessed and self.state.global_step == 0 and self.model.training:
            self.expected = (*self.expected, self.reckoned(inputs))
        if not self.reads_once(inputs):
            return super().compute_loss(model, inputs, *args, **kwargs)
        if not self.precompute_ref_logps:
            asked = self.compute_ref_log_probs(self.ref_model or self.model, inputs)
            inputs = {**inputs, "ref_chosen_logps": asked[0], "ref_rejected_logps": asked[1]}
        beforehand, self.precompute_ref_logps = self.precompute_ref_logps, True
        try:
            return super().compute_loss(partial(read_once, model), inputs, *args, **kwargs)
        finally:
            self.precompute_ref_logps = beforehand

    def reads_once(self, inputs: Mapping[str, torch.Tensor]) -> bool:
        """Whether a prompt is read once for both answers, by the reference as by the policy: a second model may be of another make.

        Several processes wrap their models and read as the trainer does.
        """
        models = [self.model, *([self.ref_model] if self.ref_model is not None else [])]
        return processes() == 1 and all(shares_prompts(model, inputs) for model in models)

    def reckoned(self, inputs: Mapping[str, torch.Tensor]) -> tuple[float, float]:
        """Mean margin and mean loss of one batch, the chosen half of which comes first."""
        policy = answer_logps(self.model, inputs)
        gain = policy - (self.of_reference(inputs) if self.other_reference else policy)
        chosen, rejected = gain.chunk(2)
        margins = (self.beta * (chosen - rejected)).tolist()
        losses = [starting_loss(self.settings, margin) for margin in margins]
        tokens = inputs["completion_mask"].chunk(2)[0][:, 1:].sum()
        likelihood = float(-policy.chunk(2)[0].sum() / tokens)
        return sum(margins) / len(margins), sum(losses) / len(losses) + self.settings.sft_weight * likelihood

    def of_reference(self, inputs: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """log p of the reference for each answer: asked now, or as it was asked before the first step."""
        if self.precompute_ref_logps:
            return torch.cat([inputs["ref_chosen_logps"], inputs["ref_rejected_logps"]])
        return answer_logps(self.ref_model, inputs)

    def _precompute_ref_logps(self, dataset: Dataset, name: str, batch_size: int) -> Dataset:
        """As the trainer's own, but in the order of length, so that little of a batch is padding."""
        sizes = [len(r["prompt_ids"]) + max(len(r["chosen_ids"]), len(r["rejected_ids"])) for r in dataset]
        order = sorted(range(len(sizes)), key=sizes.__getitem__)
        asked = super()._precompute_ref_logps(dataset.select(order), name, batch_size)
        return asked.select(sorted(range(len(order)), key=order.__getitem__))

    def compute_ref_log_probs(
        self, model: PreTrainedModel, inputs: Mapping[str, torch.Tensor]
    ) -> tuple[torch.Tensor, ...]:
        """As the trainer's own, with each prompt read once where `compute_loss` does so too."""
        reader = partial(read_once, model) if self.reads_once(inputs) else model
        asked: tuple[torch.Tensor, ...] = super().compute_ref_log_probs(reader, inputs)
        return asked

    def let_go_of_reference(self) -> None:
        """Drop the second model once it was asked; UserError where what it said is not what plain passes give."""
        rows = [self.train_dataset[i] for i in range(min(SPOT_CHECKED, len(self.train_dataset)))]
        inputs = self._prepare_inputs(self.data_collator(rows))
        off = float((self.of_reference(inputs) - answer_logps(self.ref_model, inputs)).abs().max())
        if off > ROUGH * max(1.0, float(self.of_reference(inputs).abs().max())):
            raise UserError(f"the reference was asked beforehand and gave other answers: log-probabilities differ by {off:.3g}",
                            "set precompute=false")  # fmt: skip
        self.ref_model = None


@torch.no_grad()  # type: ignore[untyped-decorator]
def answer_logps(model: PreTrainedModel, inputs: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """log p(answer | prompt) of each sequence, shape (2 * pairs,): one row at a time, to need little memory."""
    sums = []
    for ids, attention, answer in zip(
        inputs["input_ids"], inputs["attention_mask"], inputs["completion_mask"], strict=True
    ):
        logits = model(input_ids=ids[None], attention_mask=attention[None], use_cache=False).logits[0, :-1]
        logps = logits.float().log_softmax(-1).gather(-1, ids[1:, None])[:, 0]
        sums.append((logps * answer[1:]).sum())
    return torch.stack(sums)


def proven(trainer: WitnessedTrainer, settings: DpoSettings, values: Mapping[str, float]) -> ReferenceProof:
    """The proof from the first step's log, or UserError and with it the end of the run."""
    if trainer.expected:
        everywhere = gathered(list(trainer.expected))
        margin, loss = (sum(column) / len(column) for column in zip(*everywhere, strict=True))
    else:
        margin, loss = 0.0, starting_loss(settings)
    proof = prove_reference(values, margin, loss, tolerance_for(settings, torch.cuda.is_available()))
    refuse_unproven(proof)
    return proof
