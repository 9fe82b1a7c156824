from dataclasses import replace

import pytest

from db.entities.catalog import Quantize
from training.fitting import fit
from training.memory import estimate, shape_of
from training.settings import DpoSettings, KtoSettings, SftSettings

LLAMA_1B = {"hidden_size": 2048, "num_hidden_layers": 16, "vocab_size": 128256, "num_attention_heads": 32,
            "num_key_value_heads": 8, "intermediate_size": 8192, "hidden_act": "silu", "tie_word_embeddings": True}  # fmt: skip
SHAPE = shape_of(LLAMA_1B, 1_235_814_400)
GIB = 2**30


def size(settings):
    return estimate(SHAPE, settings, tokens=1024, on_gpu=True).total


def test_what_fits_is_left_as_it_is():
    s = DpoSettings()
    found = fit(s, size, 2 * size(s), 1024)
    assert (found.settings, found.changes, found.fits) == (s, (), True)


@pytest.mark.parametrize("free", [40, 24, 16, 12, 10, 8, 7])
def test_it_fits_and_a_step_sees_as_many_rows(free):
    s = DpoSettings(batch_size=8, gradient_accumulation=4, max_length=1024)
    found = fit(s, size, free * GIB, 1024)
    if found.fits:
        assert size(found.settings) <= 0.9 * free * GIB
    assert found.settings.effective_batch == 32
    assert found.fits == (free > 5)


def test_the_first_change_is_the_batch_and_only_as_small_as_needed():
    s = DpoSettings(batch_size=8, gradient_accumulation=4)
    half = size(replace(s, batch_size=4))
    found = fit(s, size, int(half / 0.89), 1024)
    assert found.changes[0].set == ("batch_size=4", "gradient_accumulation=8")
    assert len(found.changes) == 1


def test_then_layers_are_computed_again_and_the_batch_is_given_back_where_that_is_enough():
    s = DpoSettings(batch_size=2, gradient_accumulation=8)
    enough = size(replace(s, batch_size=2, checkpointing=True))
    assert enough < size(replace(s, batch_size=1))
    found = fit(s, size, int(enough / 0.89), 1024)
    assert [c.set for c in found.changes] == [("checkpointing=true",)]


def test_full_training_asks_its_reference_beforehand():
    s = DpoSettings(lora=False, batch_size=1, checkpointing=True)
    beforehand = size(replace(s, precompute=True))
    found = fit(s, size, int(beforehand / 0.89), 1024)
    assert [c.set for c in found.changes] == [("precompute=true",)]


def test_last_come_shorter_rows_and_four_bits():
    s = SftSettings(batch_size=1, checkpointing=True)
    tight = size(replace(s, quantize=Quantize.FOUR_BIT, max_length=512))
    found = fit(s, size, int(tight / 0.89), 1024)
    assert found.settings.quantize is Quantize.FOUR_BIT
    assert found.fits


def test_nothing_fits_is_said():
    found = fit(DpoSettings(), size, GIB, 1024)
    assert not found.fits
    assert found.settings.batch_size == 1


def test_kto_keeps_a_neighbour_to_compare_with():
    assert fit(KtoSettings(), size, GIB, 1024).settings.batch_size == 2
