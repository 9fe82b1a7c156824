"""Tiny real checkpoints for tests: random weights, a byte-level tokenizer, saved the way any model is."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

# Read by the hub's library when it is first imported: no test waits for a network.
os.environ["HF_HUB_OFFLINE"] = "1"

CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' }}"
    "{% if not loop.last %}{{ '\\n' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '\\n<|im_start|>assistant\\n' }}{% endif %}"
)

CORPUS = [
    "What is the capital of France? The capital of France is Paris.",
    "Name three colours. Red, green and blue.",
    "How do I boil an egg? Put it in hot water for eight minutes.",
    "user assistant system question answer yes no please thank you sorry",
]


def tiny_tokenizer(
    template: str | None = CHATML,
    eos: str | None = "<|im_end|>",
    pad: str | None = "<|pad|>",
    corpus: Sequence[str] = CORPUS,
) -> Any:
    """A byte-level BPE tokenizer of 400 tokens."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    special = ["<|im_start|>", "<|im_end|>", "<|pad|>"]
    core.train_from_iterator(
        corpus,
        trainers.BpeTrainer(
            vocab_size=400, special_tokens=special, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )  # fmt: skip
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core, eos_token=eos, pad_token=pad, extra_special_tokens=["<|im_start|>"]
    )
    tokenizer.chat_template = template
    return tokenizer


def tiny_llama(folder: Path, *, seed: int = 0, hidden: int = 32, layers: int = 2, dtype: str = "float32",
               **tokenizer: Any) -> Path:  # fmt: skip
    """A Llama checkpoint of about 50,000 weights in `folder`."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    tok = tiny_tokenizer(**tokenizer)
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(tok), hidden_size=hidden, intermediate_size=2 * hidden, num_hidden_layers=layers,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=512, initializer_range=0.2,
        bos_token_id=None, eos_token_id=tok.eos_token_id, pad_token_id=tok.pad_token_id,
    )  # fmt: skip
    LlamaForCausalLM(config).to(getattr(torch, dtype)).save_pretrained(folder)
    tok.save_pretrained(folder)
    return folder


def tiny_gpt2(folder: Path, *, seed: int = 0) -> Path:
    """A GPT-2 checkpoint without chat template and without pad token, as the published one."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    tok = tiny_tokenizer(template=None, pad=None)
    torch.manual_seed(seed)
    config = GPT2Config(
        vocab_size=len(tok), n_embd=32, n_layer=2, n_head=4, n_positions=512, initializer_range=0.2,
        bos_token_id=tok.eos_token_id, eos_token_id=tok.eos_token_id,
    )  # fmt: skip
    GPT2LMHeadModel(config).save_pretrained(folder)
    tok.save_pretrained(folder)
    return folder


def tiny_reward(folder: Path, *, seed: int = 0, template: str | None = CHATML) -> Path:
    """A sequence-classification checkpoint with one logit."""
    import torch
    from transformers import LlamaConfig, LlamaForSequenceClassification

    tok = tiny_tokenizer(template=template)
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(tok), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=64, initializer_range=0.2, num_labels=1,
        bos_token_id=None, eos_token_id=tok.eos_token_id, pad_token_id=tok.pad_token_id,
    )  # fmt: skip
    LlamaForSequenceClassification(config).save_pretrained(folder)
    tok.save_pretrained(folder)
    return folder


def tiny_adapter(base: Path, folder: Path, *, seed: int = 1, scale: float = 0.3) -> Path:
    """A LoRA adapter over `base` that really changes what it says, with the base's tokenizer beside it."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.manual_seed(seed)
    model = get_peft_model(
        AutoModelForCausalLM.from_pretrained(base), LoraConfig(r=4, lora_alpha=8, target_modules="all-linear")
    )
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=scale)
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(base).save_pretrained(folder)
    return folder


def pair(number: int, prompt: str, chosen: str, rejected: str, part: str = "train") -> dict[str, Any]:
    """One row of a snapshot file."""
    return {
        "prompt": [{"role": "user", "content": prompt}],
        "chosen": [{"role": "assistant", "content": chosen}],
        "rejected": [{"role": "assistant", "content": rejected}],
        "part": part,
        "pair": number,
    }


def some_pairs(train: int = 8, heldout: int = 4) -> list[dict[str, Any]]:
    """Pairs in which the polite answer is always preferred."""
    return [
        pair(
            i,
            f"Question {i}, please?",
            f"Yes, thank you: {i}.",
            f"No. Sorry {i}",
            "train" if i < train else "heldout",
        )
        for i in range(train + heldout)
    ]


def write_rows(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    """The rows as a snapshot file."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def answer(number: int, prompt: str, text: str, *, good: bool = True, part: str = "train") -> dict[str, Any]:
    """One row of a snapshot file of answers."""
    return {
        "prompt": [{"role": "user", "content": prompt}],
        "completion": [{"role": "assistant", "content": text}],
        "label": good,
        "part": part,
        "row": number,
    }


def some_answers(train: int = 8, heldout: int = 4) -> list[dict[str, Any]]:
    """Good answers, all polite."""
    pairs = some_pairs(train, heldout)
    return [
        answer(p["pair"], p["prompt"][0]["content"], p["chosen"][0]["content"], part=p["part"]) for p in pairs
    ]
