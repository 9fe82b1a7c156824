"""A pair in one row against the same pair in two rows, for every family that is read so, and for rows that must not be."""

import json
from dataclasses import replace

import pytest
import tiny
import torch
from transformers import CONFIG_MAPPING, AutoModelForCausalLM
from trl.trainer.utils import add_fused_lm_head

from db.entities.runs import RunKind
from training.dpo import build_trainer, load
from training.metrics import read_metrics
from training.presets import PRESETS
from training.prompts_once import FAMILIES, pack, read_once, shares_prompts
from training.rank import train_here
from training.settings import ModelFiles, RunSpec, with_overrides

SETTINGS = with_overrides(PRESETS["starter"].settings, ["batch_size=2", "max_steps=3", "sft_weight=0"])
OUTPUTS = ("log_probs", "entropy", "mean_logits", "is_top1")


def rows_of(*pairs):
    """The trainer's rows: (prompt, chosen, rejected) token counts, each token another number."""
    draw = torch.Generator().manual_seed(1)
    prompts = [torch.randint(1, 90, (p,), generator=draw) for p, _, _ in pairs]
    answers = [
        (i, torch.randint(1, 90, (pair[side],), generator=draw))
        for side in (1, 2)
        for i, pair in enumerate(pairs)
    ]
    longest = max(len(prompts[i]) + len(a) for i, a in answers)
    ids, told = torch.zeros(2, len(answers), longest, dtype=torch.long)
    for row, (i, answer) in enumerate(answers):
        end = len(prompts[i]) + len(answer)
        ids[row, :end], told[row, len(prompts[i]) : end] = torch.cat([prompts[i], answer]), 1
    return {"input_ids": ids, "attention_mask": (ids > 0).long(), "completion_mask": told}


def asked(inputs):
    """As the trainer asks its model."""
    labels = inputs["input_ids"].masked_fill(inputs["completion_mask"] == 0, -100)
    return {"input_ids": inputs["input_ids"], "attention_mask": inputs["attention_mask"], "labels": labels,
            "use_cache": False, "fused_lm_head": True}  # fmt: skip


def model_of(family, attention="sdpa", **more):
    torch.manual_seed(0)
    config = CONFIG_MAPPING[family](
        vocab_size=96, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2 if family != "phi" else 4, max_position_embeddings=64, initializer_range=0.3,
        pad_token_id=0, bos_token_id=1, eos_token_id=2, **more,
    )  # fmt: skip
    model = AutoModelForCausalLM.from_config(
        config, attn_implementation=attention, dtype=torch.float32
    ).eval()
    add_fused_lm_head(model, outputs=OUTPUTS)
    return model


INPUTS = rows_of((5, 3, 7), (9, 1, 4), (1, 6, 6))


@pytest.mark.parametrize("family", sorted(FAMILIES))
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_one_row_says_what_two_rows_say_and_teaches_the_same(family, attention):
    model = model_of(family, attention)
    assert shares_prompts(model, INPUTS)
    plain, once = model(**asked(INPUTS)), read_once(model, **asked(INPUTS))
    for name in OUTPUTS:
        assert torch.allclose(once[name].float(), plain[name].float(), atol=1e-4), name
    weights = torch.arange(1.0, 7.0)[:, None]
    found = []
    for said in (plain, once):
        model.zero_grad()
        (said.log_probs * weights).sum().backward()
        found.append([p.grad.clone() for p in model.parameters() if p.grad is not None])
    for a, b in zip(*found, strict=True):
        assert torch.allclose(a, b, atol=1e-3 * float(a.abs().max()))


def test_a_pair_in_one_row_has_each_place_once():
    labels = asked(INPUTS)["labels"][:, 1:] != -100
    packed = pack(INPUTS["input_ids"], INPUTS["attention_mask"], labels, torch.float32)
    assert packed.ids.shape == (3, 5 + 3 + 7 - 1)
    ids = INPUTS["input_ids"]
    assert packed.ids[0].tolist() == [*ids[0, :7].tolist(), *ids[3, 4:11].tolist()]
    assert packed.positions[0].tolist() == [*range(7), *range(4, 11)]
    sees = packed.mask[0, 0] == 0
    assert sees[6].nonzero().flatten().tolist() == list(range(7))
    assert sees[8].nonzero().flatten().tolist() == [0, 1, 2, 3, 7, 8]


def test_rows_and_models_that_cannot_be_read_so_are_left_to_the_trainer():
    llama = model_of("llama")
    other = {k: v.clone() for k, v in INPUTS.items()}
    other["input_ids"][0, 0] += 1  # not the same prompt
    assert not shares_prompts(llama, other)
    later = {k: v.clone() for k, v in INPUTS.items()}
    later["completion_mask"][0, 4] = 1  # not the same length of prompt
    assert not shares_prompts(llama, later)
    inside = {k: v.clone() for k, v in INPUTS.items()}
    inside["completion_mask"][3, 7] = 0  # a gap in an answer
    assert not shares_prompts(llama, inside)
    assert not shares_prompts(model_of("mistral", sliding_window=12), INPUTS)
    assert shares_prompts(model_of("mistral", sliding_window=13), INPUTS)
    llama.config.model_type = "another"
    assert not shares_prompts(llama, INPUTS)


@pytest.mark.parametrize("how", ["start", "beforehand", "second model", "full", "sft"])
def test_a_run_that_reads_once_learns_as_one_that_reads_twice(tmp_path, monkeypatch, how):
    """Same losses, margins and gradients at each step and evaluation, with fewer tokens read."""
    base = tiny.tiny_llama(tmp_path / "base")
    rows = tiny.write_rows(tmp_path / "rows.jsonl", tiny.some_pairs())
    told = {"start": [], "beforehand": ["precompute=true"], "full": ["lora=false", "learning_rate=1e-3"],
            "sft": ["sft_weight=0.5"], "second model": []}[how]  # fmt: skip
    other = ModelFiles(str(tiny.tiny_llama(tmp_path / "other", seed=3))) if how == "second model" else None
    spec = RunSpec(
        RunKind.DPO, tmp_path / "once", rows, ModelFiles(str(base)), other, with_overrides(SETTINGS, told)
    )
    found = []
    for name in ("once", "twice"):
        if name == "twice":
            monkeypatch.setattr("training.dpo.shares_prompts", lambda *_: False)
        train_here(replace(spec, folder=tmp_path / name))
        found.append([m.values for m in read_metrics(tmp_path / name / "metrics.jsonl")])
    compared = {
        "loss",
        "grad_norm",
        "rewards/margins",
        "logps/chosen",
        "entropy",
        "mean_token_accuracy",
        "logits/chosen",
    }
    compared |= {f"eval_{k}" for k in compared}
    for once, twice in zip(*found, strict=True):
        assert once.keys() == twice.keys()
        for key in once.keys() & compared:
            assert once[key] == pytest.approx(twice[key], rel=1e-3, abs=1e-4), key


@pytest.mark.parametrize("told", [[], ["precompute=true"]])
def test_a_reference_of_another_make_is_asked_as_it_must_be(tmp_path, told):
    """Its tokens see the last four alone, which no mask of a pair in one row says."""
    base = tiny.tiny_llama(tmp_path / "base")
    other = tiny.tiny_llama(tmp_path / "other", seed=3)
    config = json.loads((other / "config.json").read_text())
    config |= {"model_type": "mistral", "architectures": ["MistralForCausalLM"], "sliding_window": 4}
    (other / "config.json").write_text(json.dumps(config))
    rows = tiny.write_rows(tmp_path / "rows.jsonl", tiny.some_pairs())
    settings = with_overrides(SETTINGS, ["max_steps=1", *told])
    spec = RunSpec(
        RunKind.DPO, tmp_path / "run", rows, ModelFiles(str(base)), ModelFiles(str(other)), settings
    )
    train_here(spec)  # it proves its reference by plain passes, or ends
    assert read_metrics(tmp_path / "run" / "metrics.jsonl")


def test_a_prompt_goes_through_the_model_once(tmp_path):
    base = tiny.tiny_llama(tmp_path / "base")
    rows = tiny.write_rows(tmp_path / "rows.jsonl", tiny.some_pairs())
    spec = RunSpec(RunKind.DPO, tmp_path / "run", rows, ModelFiles(str(base)), None, SETTINGS)
    trainer = build_trainer(spec, load(spec))
    inputs = trainer._prepare_inputs(trainer.data_collator([trainer.train_dataset[i] for i in range(3)]))
    read, told = [], []
    trainer.model.get_input_embeddings().register_forward_hook(
        lambda _m, args, _out: read.append(args[0].numel())
    )
    trainer.model.get_base_model().base_model.register_forward_hook(
        lambda _m, _args, out: told.append(out.last_hidden_state.shape[1])
    )
    trainer.compute_loss(trainer.model, inputs)
    assert len(read) == 2  # the reference, and the policy
    assert all(n < int(inputs["attention_mask"].sum()) for n in read)
    assert trainer.precompute_ref_logps is False
