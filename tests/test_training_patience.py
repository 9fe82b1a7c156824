"""Early stop: a run that gets no better on held-out rows ends, and its model is the one that was best."""

import random
from dataclasses import replace

import pytest
import tiny
from safetensors.torch import load_file

from db.entities.runs import RunKind
from training.dpo import train
from training.following import Cancelled
from training.metrics import read_metrics
from training.monitoring import Monitor
from training.presets import PRESETS
from training.settings import ModelFiles, RunSpec, with_overrides

WORDS = ["red", "blue", "tea", "rain", "stone", "bread", "north", "cloud", "lamp", "river"]
SETTINGS = with_overrides(
    PRESETS["starter"].settings,
    ["batch_size=8", "epochs=8", "sft_weight=0", "learning_rate=5e-3", "patience=2"],
)


@pytest.fixture(scope="module")
def spec(tmp_path_factory):
    """Pairs preferred at random: what is learned of them is of no use on others."""
    folder, lot = tmp_path_factory.mktemp("noise"), random.Random(3)

    def text():
        return " ".join(lot.choices(WORDS, k=6))

    rows = [
        tiny.pair(i, f"Say {text()}", text(), text(), "train" if i < 16 else "heldout") for i in range(40)
    ]
    base = tiny.tiny_llama(folder / "base", hidden=64)
    return RunSpec(
        RunKind.DPO,
        folder / "run",
        tiny.write_rows(folder / "rows", rows),
        ModelFiles(str(base)),
        None,
        SETTINGS,
    )


def weights(spec):
    return load_file(spec.folder / "model" / "adapter_model.safetensors")


def margins(spec):
    logged = read_metrics(spec.folder / "metrics.jsonl")
    return {m.step: m.values["eval_rewards/margins"] for m in logged if "eval_rewards/margins" in m.values}


def test_it_stops_and_keeps_the_best_and_so_does_a_run_that_goes_on(spec):
    early = replace(spec, folder=spec.folder.with_name("early"))
    trained = train(early)
    seen = margins(early)
    best = max(seen, key=lambda step: seen[step])
    later = [step for step in seen if step > best]
    assert 0 < best < trained.steps < 16
    assert len(later) == 2
    assert trained.metrics["eval_rewards/margins"] == pytest.approx(seen[best])
    assert (
        f"the model is that of step {best}, the best on held-out rows; the run stopped after step {trained.steps} of 16"
        in trained.notes
    )

    # the very weights: those of the same run as it was after that step
    broken = replace(spec, folder=spec.folder.with_name("broken"))
    heard = []
    with pytest.raises(Cancelled):
        train(broken, heard.append, lambda: any(m.step >= best for m in heard))
    again = train(broken)
    assert again.steps == trained.steps
    first, second = weights(early), weights(broken)
    assert all((first[name] - second[name]).abs().max() < 1e-6 for name in first)


def test_without_patience_it_trains_to_the_end(spec):
    whole = replace(
        spec, folder=spec.folder.with_name("whole"), settings=replace(SETTINGS, patience=0, epochs=3)
    )
    trained = train(whole)
    assert trained.steps == 6
    assert not any("best on held-out" in note for note in trained.notes)


def monitor(tmp_path):
    return Monitor(tmp_path, None, "", lambda _: None, lambda: False, patience=2)


def test_the_loss_decides_where_there_is_no_margin(tmp_path):
    m = monitor(tmp_path)
    assert [m.evaluated(n, {"eval_loss": v}) for n, v in enumerate((2.0, 1.5, 1.6))] == [True, True, False]
    assert (m.best, m.waited, m.ended_early) == ((1, -1.5), 1, False)
    assert not m.evaluated(3, {"eval_loss": 1.5})
    assert m.ended_early


def test_the_margin_decides_where_there_is_one(tmp_path):
    m = monitor(tmp_path)
    both = ({"eval_loss": 1.0, "eval_rewards/margins": 0.1}, {"eval_loss": 2.0, "eval_rewards/margins": 0.3})
    assert [m.evaluated(n, v) for n, v in enumerate(both)] == [True, True]
