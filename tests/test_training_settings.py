import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from db.entities.runs import RunKind
from db.errors import UserError
from training.presets import PRESETS_OF, default_preset, kind_of, preset, preset_of, warnings_for
from training.settings import (
    SETTINGS_OF,
    DpoLoss,
    DpoSettings,
    KtoSettings,
    Schedule,
    from_mapping,
    to_json,
    with_overrides,
)

SETTINGS = st.builds(
    DpoSettings,
    loss=st.sampled_from(DpoLoss),
    beta=st.floats(1e-4, 10),
    learning_rate=st.floats(1e-9, 0.5),
    epochs=st.floats(0.01, 100),
    max_steps=st.integers(0, 10**6),
    batch_size=st.integers(1, 512),
    schedule=st.sampled_from(Schedule),
    lora=st.just(True),
    checkpointing=st.booleans(),
    quantize=st.sampled_from([None, "4bit", "8bit"]),
    seed=st.integers(0, 2**32 - 1),
)


@given(SETTINGS)
def test_settings_survive_json(settings):
    assert from_mapping(json.loads(to_json(settings))) == settings


@pytest.mark.parametrize(("kind", "name"), [(k, n) for k, presets in PRESETS_OF.items() for n in presets])
def test_every_preset_round_trips_and_gives_its_reason(kind, name):
    found = preset_of(kind, name)
    assert (found.kind, found.name, kind_of(found.settings)) == (kind, name, kind)
    assert type(found.settings) is SETTINGS_OF[kind]
    assert from_mapping(json.loads(to_json(found.settings)), kind) == found.settings
    assert found.why.endswith(".")


@pytest.mark.parametrize("kind", RunKind)
def test_every_kind_has_the_same_five_presets_and_its_usual_ones_earn_no_warning(kind):
    assert list(PRESETS_OF[kind]) == ["starter", "lora", "qlora", "full", "smoke"]
    for name in ("lora", "qlora", "full"):
        assert warnings_for(preset_of(kind, name).settings, 1000) == ()
    fast = with_overrides(preset_of(kind, "full").settings, ["learning_rate=9e-5"])
    assert ["learning_rate" in w for w in warnings_for(fast, 1000)] == [True]


def test_one_row_at_a_time_is_no_batch_for_kto():
    with pytest.raises(UserError, match="batch_size must be 2 or more with the kto loss"):
        KtoSettings(batch_size=1)
    assert with_overrides(KtoSettings(), ["loss=apo_zero_unpaired", "batch_size=1"]).batch_size == 1


def test_overrides_are_read_by_type():
    s = with_overrides(DpoSettings(), ["beta=0.2", "batch_size=8", "lora=no", "loss=ipo", "quantize=none"])
    assert (s.beta, s.batch_size, s.lora, s.loss, s.quantize) == (0.2, 8, False, DpoLoss.IPO, None)


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ("betta=0.1", "beta"),
        ("beta", "key=value"),
        ("beta=much", "a number"),
        ("beta=nan", "a number"),
        ("beta=-1", "above 0"),
        ("batch_size=1.5", "whole number"),
        ("lora=perhaps", "true or false"),
        ("loss=squared", "sigmoid"),
        ("quantize=3bit", "4bit"),
        ("label_smoothing=0.5", "below 0.5"),
        ("max_length=4", "16 tokens"),
    ],
)
def test_a_bad_override_names_the_key_and_what_is_allowed(override, named):
    with pytest.raises(UserError) as e:
        with_overrides(DpoSettings(), [override])
    assert named in str(e.value)
    assert override.split("=")[0] in str(e.value)


def test_full_training_of_a_quantised_model_is_refused():
    with pytest.raises(UserError, match="quantised"):
        with_overrides(DpoSettings(), ["lora=false", "quantize=4bit"])


def test_unknown_preset_and_unknown_stored_key_name_the_known_ones():
    with pytest.raises(UserError, match="starter"):
        preset("fast")
    with pytest.raises(UserError, match="learning_rate"):
        from_mapping({"lr": 1})


def test_the_preset_follows_the_size_of_the_model():
    assert default_preset(1_400_000) == "starter"
    assert default_preset(135_000_000) == "lora"
    assert default_preset(7_000_000_000, "4bit") == "qlora"
    assert default_preset(None) == "lora"


def test_a_usual_run_inside_the_safe_bands_earns_no_warning():
    assert warnings_for(preset("lora").settings, rows=1000) == ()


@pytest.mark.parametrize(
    ("overrides", "pairs", "word"),
    [
        (["learning_rate=5e-5"], 1000, "learning_rate"),
        (["epochs=4"], 1000, "epochs"),
        (["beta=0.001"], 1000, "beta"),
        ([], 60, "60 pairs"),
        (["label_smoothing=0.1"], 1000, "label_smoothing"),
        (["loss=robust"], 1000, "robust"),
        (["lora_alpha=128"], 1000, "lora_alpha"),
    ],
)
def test_what_leaves_a_safe_band_is_named(overrides, pairs, word):
    found = warnings_for(with_overrides(preset("lora").settings, overrides), pairs)
    assert len(found) == 1
    assert word in found[0]


def test_settings_preflight_and_following_do_not_load_torch():
    code = (
        "import sys, training.settings, training.presets, training.preflight, training.following, training.folders, arena.players;"
        "print(*[m for m in ('torch', 'transformers', 'peft', 'trl', 'datasets') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == ""
