"""Out of memory: the run goes on with half the batch and says so. And what is estimated before a run."""

import json
from dataclasses import replace

import pytest
import tiny
import torch

from db.entities.runs import RunKind
from training.dpo import train
from training.loading import load_base
from training.memory import estimate, shape_in, shape_of
from training.metrics import read_metrics
from training.presets import PRESETS, preset_of
from training.running import OutOfMemory, halved
from training.settings import (
    SETTINGS_OF,
    DpoSettings,
    KtoSettings,
    ModelFiles,
    RunSpec,
    with_overrides,
)

SETTINGS = with_overrides(PRESETS["starter"].settings, ["batch_size=4", "epochs=2", "sft_weight=0"])


def spec_in(folder, base):
    rows = tiny.write_rows(folder / "rows.jsonl", tiny.some_pairs(16, 4))
    return RunSpec(RunKind.DPO, folder / "run", rows, ModelFiles(str(base)), None, SETTINGS)


@pytest.fixture
def spec(base, tmp_path):
    return spec_in(tmp_path, base)


class Full:
    """Hears every log of a run and is out of memory at these steps, once each."""

    def __init__(self, *steps):
        self.steps = list(steps)

    def __call__(self, metric):
        if self.steps and metric.step == self.steps[0] and "loss" in metric.values:
            self.steps.pop(0)
            raise torch.OutOfMemoryError("tried to allocate more than there is")


def losses(spec):
    logged = [m for m in read_metrics(spec.folder / "metrics.jsonl") if "loss" in m.values]
    assert [m.step for m in logged] == list(range(1, 9))
    return [m.values["loss"] for m in logged]


@pytest.fixture(scope="module")
def unbroken(base, tmp_path_factory):
    """What a run with memory enough loses, step by step."""
    spec = spec_in(tmp_path_factory.mktemp("unbroken"), base)
    train(spec)
    return losses(spec)


@pytest.mark.parametrize("steps", [(1,), (5,), (3, 6)])
def test_it_goes_on_with_half_the_batch_and_learns_the_same(spec, unbroken, steps, capfd):
    trained = train(spec, Full(*steps))
    assert losses(spec) == pytest.approx(unbroken, rel=1e-3, abs=1e-5)
    said = [n for n in trained.notes if n.startswith("out of memory")]
    assert said[0] == "out of memory: it goes on with batches of 2 instead of 4, and 2 of them a step"
    assert len(said) == len(steps)
    assert json.loads((spec.folder / "result.json").read_text())["notes"] == list(trained.notes)
    assert said[0] in capfd.readouterr().err
    assert trained.reference_proof.ok


def test_not_more_than_twice(spec):
    full = Full(2, 3, 4, 5)
    with pytest.raises(OutOfMemory, match="out of memory with batches of 1 rows") as e:
        train(spec, full)
    assert "checkpointing=true" in e.value.remedy
    assert full.steps == [5]
    assert not (spec.folder / "model").exists()


def test_a_batch_of_one_cannot_be_halved(spec):
    full = Full(2, 3)
    with pytest.raises(OutOfMemory):
        train(replace(spec, settings=replace(SETTINGS, batch_size=1)), full)
    assert full.steps == [3]


def test_a_step_still_sees_as_many_rows():
    for size in (2, 3, 4, 7, 16):
        s = DpoSettings(batch_size=size, gradient_accumulation=3)
        assert halved(s).batch_size == (size // 2 if size % 2 == 0 else 1)
        assert halved(s).effective_batch == s.effective_batch
    assert halved(DpoSettings(batch_size=1)) is None
    assert halved(KtoSettings(batch_size=2)) is None


# -- the estimate before a run -----------------------------------------------------------------------------------


def tiny_shape(base):
    shape = shape_in(str(base))
    assert shape is not None
    return shape


def test_the_shape_is_read_from_the_checkpoint_alone(base):
    shape = tiny_shape(base)
    model = load_base(str(base))
    assert shape.parameters == sum(p.numel() for p in model.parameters())
    assert (shape.hidden, shape.layers, shape.gated, shape.eager) == (32, 2, True, False)
    linear = [m for n, m in model.named_modules() if isinstance(m, torch.nn.Linear) and n != "lm_head"]
    assert shape.linear == sum(m.weight.numel() for m in linear)
    assert shape.adapter(4) == sum(4 * (m.in_features + m.out_features) for m in linear)
    assert shape_in(str(base.parent)) is None
    assert shape_in("owner/name") is None


def test_every_shape_that_can_be_trained_has_an_estimate(tmp_path):
    made = [tiny.tiny_gpt2(tmp_path / "gpt2"), tiny.tiny_llama(tmp_path / "llama")]
    for folder in made:
        shape = tiny_shape(folder)
        model = load_base(str(folder))
        wide = [
            m for n, m in model.named_modules() if type(m).__name__ in ("Linear", "Conv1D") and n != "lm_head"
        ]
        assert shape.linear == sum(m.weight.numel() for m in wide)


def total(shape, *changes, kind=RunKind.DPO, **given):
    settings = with_overrides(preset_of(kind, "lora").settings, ["checkpointing=false", *changes])
    return estimate(shape, settings, **{"tokens": 10_000, "on_gpu": False, **given})


BIG = shape_of({"hidden_size": 2048, "num_hidden_layers": 16, "vocab_size": 128256, "num_attention_heads": 32,
                "num_key_value_heads": 8, "intermediate_size": 8192, "hidden_act": "silu"}, 1_235_814_400)  # fmt: skip


def part(estimate, name):
    return next((p.bytes for p in estimate.parts if p.name == name), 0)


def test_the_parts_follow_the_settings():
    plain = total(BIG)
    assert plain.total == sum(p.bytes for p in plain.parts)
    assert part(plain, "weights") == 4 * BIG.parameters
    assert part(total(BIG, "batch_size=8"), "activations") == 2 * part(plain, "activations")
    assert part(total(BIG, "checkpointing=true"), "activations") < part(plain, "activations") / 4
    assert part(total(BIG, "quantize=4bit"), "weights") < part(plain, "weights") / 2
    assert part(total(BIG, "lora_r=32"), "adapter") == 2 * part(plain, "adapter")
    assert part(total(BIG, "optimizer=adamw_8bit"), "optimizer") * 4 == part(plain, "optimizer")
    full = total(BIG, "lora=false")
    assert part(full, "reference") == part(full, "gradients") == 4 * BIG.parameters
    assert part(total(BIG, "lora=false", "precompute=true"), "reference") == 0
    assert part(plain, "reference") == 0
    assert part(total(BIG, second_model=True), "reference") == part(plain, "weights")
    assert part(total(BIG, from_adapter=True), "reference") == part(plain, "adapter")
    assert part(total(BIG, on_gpu=True), "weights") == 2 * BIG.parameters
    assert total(BIG, tokens=100).total < plain.total == total(BIG, tokens=1024).total


def test_each_kind_has_the_parts_it_holds():
    parts = {kind: {p.name for p in total(BIG, kind=kind).parts} for kind in SETTINGS_OF}
    assert "logits" not in parts[RunKind.REWARD]
    assert "looks" not in parts[RunKind.REWARD]
    for kind in (RunKind.SFT, RunKind.DPO, RunKind.KTO):
        assert {"weights", "adapter", "gradients", "optimizer", "activations", "logits"} <= parts[kind]
    of = {kind: part(total(BIG, "batch_size=4", kind=kind), "activations") for kind in SETTINGS_OF}
    assert of[RunKind.DPO] == of[RunKind.REWARD] == 2 * of[RunKind.SFT] == 2 * of[RunKind.KTO]
