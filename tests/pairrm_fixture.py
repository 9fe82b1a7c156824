"""A PairRM checkpoint of the published shape, scaled down, with random weights and a vocabulary of its own."""

import io
import json
from pathlib import Path

from tests.tiny import CORPUS

PIECES = {"pad_id": 0, "pad_piece": "[PAD]", "bos_id": 1, "bos_piece": "[CLS]", "eos_id": 2, "eos_piece": "[SEP]",
          "unk_id": 3, "unk_piece": "[UNK]"}  # fmt: skip
ADDED = ["<|source|>", "<|candidate|>", "<|candidate1|>", "<|candidate2|>"]


def tiny_pairrm(folder: Path, *, seed: int = 0, fast: bool = True) -> Path:
    """The checkpoint in `folder`; its vocabulary as tokenizer.json, or as a SentencePiece file alone."""
    import sentencepiece
    import torch
    from transformers import DebertaV2Config, DebertaV2Tokenizer

    from training.pairrm import PairRM

    folder.mkdir(parents=True, exist_ok=True)
    made = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([line for line in CORPUS for _ in range(20)]), model_writer=made, vocab_size=150,
        model_type="unigram", hard_vocab_limit=False, minloglevel=2, **PIECES,
    )  # fmt: skip
    (folder / "tokenizer.json").unlink(missing_ok=True)
    (folder / "spm.model").write_bytes(made.getvalue())
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "DebertaV2Tokenizer", "do_lower_case": False, "vocab_type": "spm"})
    )
    tokenizer = DebertaV2Tokenizer.from_pretrained(folder)
    first = len(tokenizer)
    if fast:
        tokenizer.add_special_tokens({"additional_special_tokens": ["[MASK]", *ADDED]})
        tokenizer.save_pretrained(folder)
        (folder / "spm.model").unlink()
    else:
        (folder / "added_tokens.json").write_text(
            json.dumps({t: first + n for n, t in enumerate(["[MASK]", *ADDED])})
        )
        tokenizer = DebertaV2Tokenizer.from_pretrained(folder)
    torch.manual_seed(seed)
    ids = dict(zip(("source", "cand", "cand1", "cand2"), tokenizer.convert_tokens_to_ids(ADDED), strict=True))
    config = DebertaV2Config(
        vocab_size=first + 8, hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4,
        max_position_embeddings=512, relative_attention=True, position_buckets=32, norm_rel_ebd="layer_norm",
        share_att_key=True, pos_att_type=["p2c", "c2p"], type_vocab_size=0, position_biased_input=False,
        initializer_range=0.2, n_tasks=1, drop_out=0.05, sep_token_id=2, pad_token_id=0,
        **{f"{name}_prefix_id": number for name, number in ids.items()},
    )  # fmt: skip
    PairRM(config).save_pretrained(folder)
    return folder
