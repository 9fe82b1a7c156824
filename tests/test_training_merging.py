import json
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import tiny

from db.errors import UserError
from training.folders import MARKER, verify
from training.loading import leave_unpacked, load_policy
from training.merging import PROMPTS, greedy, merge
from training.settings import ModelFiles

WITHOUT_PEFT = """
import json, sys
sys.modules["peft"] = None  # as if it were not installed: importing it fails
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
folder, prompts = sys.argv[1], json.loads(sys.argv[2])
tokenizer = AutoTokenizer.from_pretrained(folder)
model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
answers = []
for text in prompts:
    chat = [{"role": "user", "content": text}]
    ids = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    with torch.no_grad():
        answers.append(model.generate(**ids, do_sample=False, max_new_tokens=32)[0].tolist())
assert sys.modules["peft"] is None
print(json.dumps(answers))
"""


def test_a_merged_checkpoint_answers_as_its_adapter_without_peft(base, tmp_path):
    files = ModelFiles(str(base), str(tiny.tiny_adapter(base, tmp_path / "adapter")))
    model, tokenizer = load_policy(files)
    adapted = [
        greedy(model, tokenizer, [{"role": "user", "content": text}]).ids[0].tolist() for text in PROMPTS
    ]
    bare, _ = load_policy(ModelFiles(str(base)))
    unadapted = [
        greedy(bare, tokenizer, [{"role": "user", "content": text}]).ids[0].tolist() for text in PROMPTS
    ]
    assert adapted != unadapted  # else nothing is shown below

    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        report = merge(files, tmp_path / "merged")

    assert [w for w in said if "gradient_checkpointing" in str(w.message)] == []
    assert report.same_texts == report.prompts == len(PROMPTS)
    assert report.max_difference < 1e-3
    assert report.dtype == "float32"
    verify(tmp_path / "merged")
    out = subprocess.run(
        [sys.executable, "-c", WITHOUT_PEFT, str(tmp_path / "merged"), json.dumps(PROMPTS)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert json.loads(out.stdout) == adapted


def test_a_half_precision_base_stays_in_half_precision(tmp_path):
    base = tiny.tiny_llama(tmp_path / "base", dtype="float16")
    files = ModelFiles(str(base), str(tiny.tiny_adapter(base, tmp_path / "adapter")))
    report = merge(files, tmp_path / "merged")
    assert report.dtype == "float16"
    assert 0 < report.max_difference <= report.tolerance
    sizes = [(f / "model.safetensors").stat().st_size for f in (base, tmp_path / "merged")]
    assert sizes[0] == sizes[1]


def test_a_merge_that_answers_differently_is_refused_and_leaves_nothing(tmp_path):
    # The sum of base and adapter lies beyond the largest number of half precision.
    base = tiny.tiny_llama(tmp_path / "base", dtype="float16")
    files = ModelFiles(str(base), str(tiny.tiny_adapter(base, tmp_path / "adapter", scale=1e6)))
    with pytest.raises(UserError, match="does not answer as the adapter does"):
        merge(files, tmp_path / "merged")
    assert {p.name for p in tmp_path.iterdir()} == {"base", "adapter"}


def test_a_checkpoint_without_adapter_has_nothing_to_merge(base, tmp_path):
    with pytest.raises(UserError, match="nothing to merge"):
        merge(ModelFiles(str(base)), tmp_path / "merged")


def test_a_four_bit_adapter_is_merged_into_the_base_it_was_taught_on(tmp_path):
    """nf4 gives the same answers as 4-bit base plus adapter; the whole base gives others and is refused."""
    base = tiny.tiny_llama(tmp_path / "base", hidden=64)
    adapter = tiny.tiny_adapter(base, tmp_path / "adapter")
    files = ModelFiles(str(base), str(adapter), "4bit")
    with pytest.raises(UserError, match="merge with --mode nf4"):
        merge(files, tmp_path / "whole")
    report = merge(files, tmp_path / "rounded", mode="nf4")
    assert report.max_difference <= report.tolerance
    assert report.same_texts == report.prompts
    model, tokenizer = load_policy(files)
    leave_unpacked(model)
    adapted = [greedy(model, tokenizer, [{"role": "user", "content": t}]).ids[0].tolist() for t in PROMPTS]
    out = subprocess.run(
        [sys.executable, "-c", WITHOUT_PEFT, str(tmp_path / "rounded"), json.dumps(PROMPTS)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert json.loads(out.stdout) == adapted


def test_an_unknown_mode_names_the_known_one(base, tmp_path):
    files = ModelFiles(str(base), str(tiny.tiny_adapter(base, tmp_path / "adapter")))
    with pytest.raises(UserError, match="base16"):
        merge(files, tmp_path / "merged", mode="fp8")


def test_an_existing_folder_is_not_written_over(base, tmp_path):
    files = ModelFiles(str(base), str(tiny.tiny_adapter(base, tmp_path / "adapter")))
    merge(files, tmp_path / "merged")
    before = (tmp_path / "merged" / MARKER).read_bytes()
    with pytest.raises(UserError, match="exists already"):
        merge(files, tmp_path / "merged")
    assert (tmp_path / "merged" / MARKER).read_bytes() == before


@pytest.mark.parametrize("damage", ["change", "remove", "unseal"])
def test_a_damaged_model_folder_is_noticed(base, tmp_path, damage):
    files = ModelFiles(str(base), str(tiny.tiny_adapter(base, tmp_path / "adapter")))
    folder = tmp_path / "merged"
    merge(files, folder)
    weights = folder / "model.safetensors"
    if damage == "change":
        data = bytearray(weights.read_bytes())
        data[-1] ^= 1
        weights.write_bytes(bytes(data))
    else:
        Path(weights if damage == "remove" else folder / MARKER).unlink()
    with pytest.raises(UserError):
        verify(folder)
