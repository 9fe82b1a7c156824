import importlib
import json
import random
from dataclasses import replace
from pathlib import Path

import dying
import pytest
import tiny
from safetensors.torch import load_file

from db.entities.runs import RunKind
from db.errors import UserError
from training.checkpoints import CARRIED, drop, keep, mark_of, newest, prune, steps_between
from training.dpo import train
from training.folders import MARKER, seal, verify
from training.following import Cancelled
from training.metrics import read_metrics
from training.presets import PRESETS
from training.samples import read_samples
from training.settings import SETTINGS_OF, ModelFiles, RunSpec, with_overrides

SETTINGS = with_overrides(
    PRESETS["starter"].settings, ["batch_size=2", "epochs=2", "sft_weight=0", "eval_every=0"]
)


def spec_in(folder, base, pairs=24, **changes):
    """Twelve steps an epoch, two epochs, a checkpoint every second step; with 12 pairs half of each."""
    folder.mkdir(exist_ok=True)
    rows = tiny.write_rows(folder / "rows.jsonl", tiny.some_pairs(pairs, 4))
    spec = RunSpec(RunKind.DPO, folder / "run", rows, ModelFiles(str(base)), None, SETTINGS)
    return replace(spec, **changes)


def weights(spec):
    return load_file(next((spec.folder / "model").glob("*model.safetensors")))


def curve(spec, *keys):
    """{(step, key): value}: each step was logged once, whatever happened to the run."""
    found = [(m.step, k, v) for m in read_metrics(spec.folder / "metrics.jsonl") for k, v in m.values.items()]
    wanted = [(step, k, v) for step, k, v in found if k in keys]
    assert len({(step, k) for step, k, _ in wanted}) == len(wanted)
    return {(step, k): v for step, k, v in wanted}


CURVES = (
    "loss", "eval_loss", "rewards/margins", "eval_rewards/margins", "learning_rate", "grad_norm", "num_tokens",
    "neutral/perplexity", "neutral/divergence", "samples/tokens", "samples/stopped", "samples/repetition",
)  # fmt: skip


def same_end(one, other):
    assert curve(one, *CURVES) == pytest.approx(curve(other, *CURVES), rel=1e-5, abs=1e-6)
    assert read_samples(one.folder) == read_samples(other.folder)
    first, second = weights(one), weights(other)
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert value.dtype == second[name].dtype
        assert (value - second[name]).abs().max() < 1e-6


# -- the folder ------------------------------------------------------------------------------------------------


def written(folder, step=1):
    part = folder / "trainer" / f"checkpoint-{step}"
    part.mkdir(parents=True)
    (part / "weights.bin").write_bytes(bytes(range(256)) * 8)
    (part / "more.json").write_text('{"a": 1}')
    return part


def kept(folder, step, mark="m"):
    return keep(written(folder, step), folder, step, {"mark": mark, "proof": None})


def test_the_newest_that_verifies_is_taken(tmp_path):
    assert newest(tmp_path, "m") == (None, ())
    for step in (9, 10, 2):
        kept(tmp_path, step)
    found = newest(tmp_path, "m")
    assert (found.checkpoint.step, found.passed_over) == (10, ())
    assert not list((tmp_path / "trainer").iterdir())


def damages(path):
    whole = path.read_bytes()
    at = len(whole) // 2
    return {
        "cut short": whole[:at],
        "emptied": b"",
        "a bit flipped": whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :],
        "gone": None,
    }


@pytest.mark.parametrize("damage", ["cut short", "emptied", "a bit flipped", "gone"])
@pytest.mark.parametrize("name", ["weights.bin", "more.json", CARRIED, MARKER])
def test_any_damage_to_any_file_passes_the_checkpoint_over_and_says_so(tmp_path, name, damage):
    kept(tmp_path, 4)
    victim = kept(tmp_path, 6) / name
    content = damages(victim)[damage]
    victim.unlink() if content is None else victim.write_bytes(content)
    found = newest(tmp_path, "m")
    assert found.checkpoint.step == 4
    assert len(found.passed_over) == 1
    assert "checkpoint-6 was passed over" in found.passed_over[0]


def test_every_single_bit_of_the_marker_counts(tmp_path):
    folder = kept(tmp_path, 3)
    marker = folder / MARKER
    whole = marker.read_bytes()
    silent = []
    for at in range(8 * len(whole)):
        flipped = bytearray(whole)
        flipped[at // 8] ^= 1 << at % 8
        marker.write_bytes(bytes(flipped))
        try:
            verify(folder)
        except UserError:
            continue
        silent.append(at // 8)
    # only white space between the entries may change without a word, and it says nothing
    assert all(whole[at : at + 1].isspace() for at in silent)


def test_a_checkpoint_of_other_rows_or_settings_is_passed_over(tmp_path):
    kept(tmp_path, 2, mark="theirs")
    found = newest(tmp_path, "mine")
    assert found.checkpoint is None
    assert "other rows or settings" in found.passed_over[0]


def test_the_mark_follows_rows_and_settings_but_not_how_a_batch_is_split(tmp_path):
    spec = spec_in(tmp_path, "anything")
    was = mark_of(spec)

    def other(*overrides):
        return mark_of(replace(spec, settings=with_overrides(SETTINGS, overrides)))

    assert other("batch_size=1", "gradient_accumulation=2") == was
    assert other("batch_size=4") != was
    assert other("learning_rate=1e-4") != was
    tiny.write_rows(spec.rows, tiny.some_pairs(23, 4))
    assert mark_of(spec) != was


def test_old_checkpoints_go_but_not_the_best(tmp_path):
    for step in range(1, 7):
        kept(tmp_path, step)
    prune(tmp_path, best=2)
    assert sorted(p.name for p in (tmp_path / "checkpoints").iterdir()) == [
        f"checkpoint-{step}" for step in (2, 5, 6)
    ]
    drop(tmp_path)
    assert not (tmp_path / "checkpoints").exists()


def test_ten_in_a_run_unless_asked():
    assert [steps_between(n) for n in (1, 9, 24, 500)] == [1, 1, 2, 50]
    assert steps_between(500, 7) == 7


def test_an_empty_folder_vouches_for_nothing(tmp_path):
    seal(tmp_path)
    with pytest.raises(UserError, match="vouches"):
        verify(tmp_path)


# -- runs that are cancelled and go on -------------------------------------------------------------------------


def cancelled_at(spec, *steps):
    """Cancel the run after each of these steps, go on each time, and let it end; what the last part returned."""
    for step in steps:
        seen = []
        with pytest.raises(Cancelled, match=f"at step {step} of"):
            train(spec, seen.append, lambda step=step, seen=seen: any(m.step >= step - 1 for m in seen))
    return train(spec)


@pytest.mark.parametrize(
    "kind", ["lora", "adapter", "another reference", "full", "four bit", "four bit adapter", "steps"]
)
def test_a_cancelled_run_that_goes_on_ends_as_the_unbroken_one(tmp_path, base, adapter, kind):
    with_adapter = ModelFiles(str(base), str(adapter))
    changes = {
        "lora": {},
        "adapter": {"start": with_adapter},
        "another reference": {"start": with_adapter, "reference": ModelFiles(str(base))},
        "full": {"settings": with_overrides(SETTINGS, ["lora=false", "learning_rate=1e-3"])},
        "four bit": {"start": ModelFiles(str(base), None, "4bit")},
        "four bit adapter": {"start": replace(with_adapter, quantize="4bit")},
        "steps": {"settings": with_overrides(SETTINGS, ["eval_every=5", "gradient_accumulation=2"])},
    }[kind]
    pairs, steps = (24, (5, 10)) if kind == "steps" else (12, (3, 8))  # in the first epoch and in the second
    unbroken = spec_in(tmp_path / "unbroken", base, pairs, **changes)
    broken = spec_in(tmp_path / "broken", base, pairs, **changes)
    whole = train(unbroken)
    resumed = cancelled_at(broken, *steps)
    same_end(broken, unbroken)
    assert resumed.steps == whole.steps
    assert resumed.reference_proof == whole.reference_proof
    assert f"the run went on from its checkpoint after step {steps[-1]}" in resumed.notes


def test_the_recorded_proof_stands(tmp_path, base):
    """The policy has moved by then: a new proof of margin 0 would fail."""
    spec = spec_in(tmp_path, base)
    resumed = cancelled_at(spec, 8)
    assert resumed.reference_proof.margin == 0.0
    assert abs(curve(spec, "rewards/margins")[9, "rewards/margins"]) > 0.01


@pytest.mark.parametrize("kind", [RunKind.SFT, RunKind.KTO, RunKind.REWARD])
def test_the_other_kinds_go_on_with_the_same_losses(tmp_path, base, kind):
    module = importlib.import_module(f"training.{kind}")
    settings = with_overrides(
        SETTINGS_OF[kind](), ["learning_rate=1e-3", "batch_size=4", "gradient_accumulation=1", "epochs=2"]
    )
    rows = tiny.write_rows(tmp_path / "rows.jsonl", tiny.some_pairs(16, 4))
    whole = RunSpec(kind, tmp_path / "whole", rows, ModelFiles(str(base)), None, settings)
    broken = replace(whole, folder=tmp_path / "broken")
    module.train(whole)
    seen = []
    with pytest.raises(Cancelled):
        module.train(broken, seen.append, lambda: any(m.step >= 3 for m in seen))
    assert "the run went on from its checkpoint after step 4" in module.train(broken).notes
    assert curve(broken, "loss") == pytest.approx(curve(whole, "loss"), rel=1e-5)


# -- runs that are killed --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory, base):
    spec = spec_in(tmp_path_factory.mktemp("unbroken") / "it", base)
    assert dying.run(spec) == 0
    return spec


def spoil(run: Path, how: str, lot: random.Random) -> None:
    """Damage one file of the newest checkpoint."""
    folders = sorted((run / "checkpoints").glob("checkpoint-*"), key=lambda p: int(p.name.split("-")[1]))
    victim = lot.choice(sorted(p for p in folders[-1].rglob("*") if p.is_file() and p.stat().st_size))
    victim.write_bytes(damages(victim)[how])


MANNERS = ("whole", "cut short", "emptied", "a bit flipped")
LOTS = [pytest.param(n, marks=pytest.mark.slow if n >= 2 else ()) for n in range(20)]


@pytest.mark.parametrize("lot", LOTS)
def test_killed_at_any_step_the_run_ends_where_the_unbroken_one_does(tmp_path, base, unbroken, lot):
    draw, how = random.Random(lot), MANNERS[lot % len(MANNERS)]
    spec = spec_in(tmp_path / "it", base)
    assert dying.run(spec, kill_after=draw.randint(3, 22)) == -9
    assert not (spec.folder / "model").exists()
    if how != "whole":
        spoil(spec.folder, how, draw)
    assert dying.run(spec) == 0
    same_end(spec, unbroken)
    notes = json.loads((spec.folder / "result.json").read_text())["notes"]
    assert any("passed over" in note for note in notes) == (how != "whole")
    print(f"\nR11: killed at a step, the newest checkpoint {how}: ends as the unbroken run does")
