"""The published shapes with random weights, small: each is loaded, trained (LoRA, and over 4 bits), merged and asked."""

from dataclasses import replace

import pytest
import tiny

from arena.players.scorer import RewardScorer
from db.entities.catalog import Split
from db.entities.runs import RunKind
from training import dpo, reward, sft
from training.loading import leave_unpacked, load_policy
from training.merging import PROMPTS, greedy, merge
from training.preflight import read_rows
from training.presets import preset_of
from training.settings import ModelFiles, RunSpec, with_overrides

ZEPHYR = (
    "{% for message in messages %}<|{{ message['role'] }}|>\n{{ message['content'] }}{{ eos_token }}\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)
INST = (
    "{% for message in messages %}{% if message['role'] == 'user' %}[INST] {{ message['content'] }} [/INST]"
    "{% else %} {{ message['content'] }}{{ eos_token }}{% endif %}{% endfor %}"
)


def saved(folder, model_class, config_class, template, pad="<|pad|>", **config):
    """A checkpoint of that shape with random weights."""
    import torch

    tokenizer = tiny.tiny_tokenizer(template=template, pad=pad)
    torch.manual_seed(0)
    ids = {
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": None,
    }
    model_class(
        config_class(vocab_size=len(tokenizer), initializer_range=0.1, **ids, **config)
    ).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def llama(folder):
    """Llama 3: grouped heads, tied embeddings, scaled rotations."""
    from transformers import LlamaConfig, LlamaForCausalLM

    rope = {"rope_type": "llama3", "rope_theta": 500000.0, "factor": 32.0, "low_freq_factor": 1.0,
            "high_freq_factor": 4.0, "original_max_position_embeddings": 512}  # fmt: skip
    return saved(folder, LlamaForCausalLM, LlamaConfig, tiny.CHATML, hidden_size=64, intermediate_size=128,
                 num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=1024,
                 tie_word_embeddings=True, rope_parameters=rope)  # fmt: skip


def tinyllama(folder):
    """TinyLlama: the same with its own output layer, its template, and the end token as padding."""
    from transformers import LlamaConfig, LlamaForCausalLM

    return saved(folder, LlamaForCausalLM, LlamaConfig, ZEPHYR, pad="<|im_end|>", hidden_size=64,
                 intermediate_size=176, num_hidden_layers=2, num_attention_heads=8, num_key_value_heads=1,
                 max_position_embeddings=512, tie_word_embeddings=False)  # fmt: skip


def mistral(folder):
    """Mistral: a sliding window, and a template that knows no system turn."""
    from transformers import MistralConfig, MistralForCausalLM

    return saved(folder, MistralForCausalLM, MistralConfig, INST, hidden_size=64, intermediate_size=192,
                 num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=512,
                 sliding_window=32)  # fmt: skip


def gpt2(folder):
    """GPT-2: no template, no padding, linear layers the other way round."""
    from transformers import GPT2Config, GPT2LMHeadModel

    return saved(
        folder, GPT2LMHeadModel, GPT2Config, None, pad=None, n_embd=64, n_layer=2, n_head=4, n_positions=512
    )


def deberta(folder):
    """DeBERTa-v3 with one logit, as reward models are published: no template, two segments."""
    from transformers import DebertaV2Config, DebertaV2ForSequenceClassification

    return saved(folder, DebertaV2ForSequenceClassification, DebertaV2Config, None, hidden_size=64,
                 intermediate_size=128, num_hidden_layers=2, num_attention_heads=4, max_position_embeddings=512,
                 relative_attention=True, position_buckets=32, norm_rel_ebd="layer_norm", share_att_key=True,
                 pos_att_type=["p2c", "c2p"], type_vocab_size=0, position_biased_input=False, num_labels=1)  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("quantize", ["none", "4bit"])
@pytest.mark.parametrize("shape", [llama, tinyllama, mistral, gpt2])
def test_a_language_model_is_taught_preferred_and_merged(tmp_path, shape, quantize):
    files = ModelFiles(str(shape(tmp_path / "base")), None, None if quantize == "none" else quantize)
    rows = tiny.write_rows(tmp_path / "rows.jsonl", tiny.some_pairs())
    steps = ["max_steps=2", f"quantize={quantize}", "batch_size=4"]
    taught = sft.train(RunSpec(RunKind.SFT, tmp_path / "sft", rows, files, None,
                               with_overrides(preset_of(RunKind.SFT, "starter").settings, steps)))  # fmt: skip
    start = replace(files, adapter=str(taught.model_folder))
    preferred = dpo.train(RunSpec(RunKind.DPO, tmp_path / "dpo", rows, start, None,
                                  with_overrides(preset_of(RunKind.DPO, "starter").settings, steps)))  # fmt: skip
    assert preferred.reference_proof.ok
    assert abs(preferred.reference_proof.margin) < 1e-3

    end = replace(files, adapter=str(preferred.model_folder))
    report = merge(end, tmp_path / "merged", "base16" if quantize == "none" else "nf4")
    assert report.same_texts == report.prompts
    adapted, tokenizer = load_policy(end)
    if quantize == "4bit":
        leave_unpacked(adapted)
    merged, _ = load_policy(ModelFiles(str(tmp_path / "merged")))
    asked = [{"role": "user", "content": PROMPTS[0]}]
    assert greedy(merged, tokenizer, asked).ids.tolist() == greedy(adapted, tokenizer, asked).ids.tolist()


@pytest.mark.slow
@pytest.mark.parametrize("quantize", ["none", "4bit"])
@pytest.mark.parametrize("shape", [llama, mistral, gpt2, deberta])
def test_a_reward_model_of_each_shape_is_trained_and_scores(tmp_path, shape, quantize):
    rows = tiny.write_rows(tmp_path / "rows.jsonl", tiny.some_pairs())
    settings = with_overrides(preset_of(RunKind.REWARD, "starter").settings,
                              [f"quantize={quantize}", "epochs=20", "learning_rate=1e-2", "batch_size=4"])  # fmt: skip
    base = ModelFiles(str(shape(tmp_path / "base")))
    trained = reward.train(RunSpec(RunKind.REWARD, tmp_path / "run", rows, base, None, settings))
    scorer = RewardScorer(str(trained.model_folder))
    right = {part: [] for part in Split}
    for row in read_rows(rows):
        sides = [(row.prompt, side[0]["content"]) for side in (row.chosen, row.rejected)]
        good, bad = scorer.score(sides)
        right[row.part].append(good.score > bad.score)
    assert sum(right[Split.TRAIN]) >= 7  # of 8
    # What is scored here is what the trainer saw: the same share of held-out pairs comes out right.
    assert sum(right[Split.HELDOUT]) / 4 == trained.metrics["eval_accuracy"]
