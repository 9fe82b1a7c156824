"""DeBERTa's attention to positions, reckoned for the distances a batch has instead of all there could be. Heavy.

The transformers class multiplies every token with all 2 x `position_buckets` rows of positions, copied once a row of the
batch, and then picks one product for each two tokens. Two tokens of n are one of 2n - 1 distances apart, and the product of
token i with distance j - i is a diagonal of one matrix: a view, without picking. Scores are the same up to rounding.
"""

from __future__ import annotations

from types import MethodType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import nn


def reckon_leanly(model: nn.Module) -> int:
    """Let every DeBERTa-v2 attention in a model work this way where it saves work; how many there are."""
    from transformers.models.deberta_v2.modeling_deberta_v2 import DisentangledSelfAttention

    found = [m for m in model.modules() if isinstance(m, DisentangledSelfAttention)]
    for module in found:
        plain = module.disentangled_attention_bias
        module.disentangled_attention_bias = MethodType(_lean(plain), module)  # type: ignore[no-untyped-call]
    return len(found)


def _lean(plain):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202 - takes the place of an untyped method
    def bias(self, query, key, relative, embeddings, factor):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        n, span = query.size(1), self.pos_ebd_size
        square = relative is not None and relative.shape[-2:] == (n, n) and relative.numel() == n * n
        if not square or key.size(1) != n or 2 * n - 1 > 2 * span:
            return plain(query, key, relative, embeddings, factor)
        buckets = relative.reshape(n, n)
        by_distance = _clamped(buckets, span)  # of j - i, from 1 - n to n - 1, where bucket is that of i - j
        heads, score = self.num_attention_heads, 0
        if "c2p" in self.pos_att_type:
            project = self.key_proj if self.share_att_key else self.pos_key_proj
            score = _diagonals(query, project(embeddings[by_distance]), heads)
        if "p2c" in self.pos_att_type:
            project = self.query_proj if self.share_att_key else self.pos_query_proj
            turned = embeddings[_clamped(-buckets, span)]
            score = score + _diagonals(key, project(turned), heads).transpose(-1, -2)
        return (score / (query.size(-1) * factor) ** 0.5).reshape(-1, n, n)

    return bias


def _clamped(buckets: torch.Tensor, span: int) -> torch.Tensor:
    """The row of positions for each distance j - i = 1 - n ... n - 1, from the buckets (n x n) of tokens i and j."""
    import torch

    return torch.cat([buckets[:, 0].flip(0), buckets[0, 1:]]).long().add(span).clamp(0, 2 * span - 1)


def _diagonals(tokens: torch.Tensor, positions: torch.Tensor, heads: int) -> torch.Tensor:
    """(batch, heads, n, n): token i (batch x heads, n, size) times the position (2n - 1, heads x size) of distance j - i."""
    import torch

    rows, n, size = tokens.shape
    flat = tokens.view(-1, heads, n, size).transpose(0, 1).reshape(heads, -1, size)
    every = torch.bmm(flat, positions.view(-1, heads, size).permute(1, 2, 0)).view(heads, -1, n, 2 * n - 1)
    by_head, by_row, by_token, _ = every.stride()
    return every.as_strided(
        (rows // heads, heads, n, n), (by_row, by_head, by_token - 1, 1), every.storage_offset() + n - 1
    )
