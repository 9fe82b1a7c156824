"""DeBERTa reckoned leanly says what transformers' own class says, whatever its settings and the length of the texts."""

import pytest
import torch
from transformers import DebertaV2Config, DebertaV2ForSequenceClassification

from arena.players.disentangled import reckon_leanly

COMMON = {
    "vocab_size": 50, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64,
    "max_position_embeddings": 64, "type_vocab_size": 0, "num_labels": 1, "initializer_range": 0.3, "pad_token_id": 0,
    "relative_attention": True, "position_biased_input": False,
}  # fmt: skip


@pytest.mark.parametrize(
    "settings",
    [
        {"position_buckets": 16, "pos_att_type": ["p2c", "c2p"], "share_att_key": True, "norm_rel_ebd": "layer_norm"},
        {"position_buckets": 16, "pos_att_type": ["p2c", "c2p"], "share_att_key": False},
        {"position_buckets": -1, "pos_att_type": ["c2p"], "share_att_key": True},
        {"position_buckets": 16, "pos_att_type": ["p2c"], "share_att_key": True},
        {"relative_attention": False},
    ],
    ids=["published", "own keys", "no buckets", "one way", "no positions"],
)  # fmt: skip
@pytest.mark.parametrize("length", [1, 2, 9, 16, 17, 50], ids=str)
def test_the_scores_are_those_of_the_plain_class(settings: dict[str, object], length: int) -> None:
    torch.manual_seed(length)
    model = DebertaV2ForSequenceClassification(DebertaV2Config(**COMMON | settings)).eval()
    ids = torch.randint(1, 50, (3, length))
    mask = torch.ones_like(ids)
    mask[1, max(1, length - 3) :] = 0
    with torch.no_grad():
        plain = model(input_ids=ids, attention_mask=mask).logits
        assert reckon_leanly(model) == 2
        lean = model(input_ids=ids, attention_mask=mask).logits
    assert plain.std() > 1e-3
    assert torch.allclose(lean, plain, atol=1e-5, rtol=1e-5)
