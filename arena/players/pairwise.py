"""PairRM over many battles: both orders of every two answers, battles of like length together. Heavy."""

from __future__ import annotations

from collections.abc import Sequence

from arena.judges import Compared, Duel, word_of_margin
from arena.players.disentangled import reckon_leanly
from arena.players.local import read_batches
from training.loading import quiet

STOCK = "llm-blender/PairRM-hf"


class PairRanker:
    """Says of two answers which is better, by a checkpoint in the form of PairRM-hf."""

    def __init__(self, source: str) -> None:
        from training.pairrm import load

        quiet()
        self.model, self.tokenizer = load(source)
        reckon_leanly(self.model)

    def compare(self, duels: Sequence[Duel]) -> list[Compared]:
        """A word on each duel, in their order: the logit of one order less that of the other.

        A tie where both orders prefer the same place, which then says nothing of the answers.
        """
        from training.pairrm import encode

        read = [encode(self.tokenizer, d.prompt, *texts) for d in duels for texts in ((d.a, d.b), (d.b, d.a))]
        logits = self._logits([one.ids for one in read])
        found = []
        for i in range(len(duels)):
            forward, reverse = logits[2 * i], logits[2 * i + 1]
            word = word_of_margin(forward, reverse)
            cut = read[2 * i].cut or read[2 * i + 1].cut
            found.append(Compared(word, forward - reverse, cut, {"forward": forward, "reverse": reverse}))
        return found

    def _logits(self, ids: Sequence[list[int]]) -> list[float]:
        import torch

        found: dict[int, float] = {}
        for rows in read_batches([len(x) for x in ids], self.model.device):
            padded = self.tokenizer.pad({"input_ids": [ids[i] for i in rows]}, return_tensors="pt")
            batch = {k: padded[k].to(self.model.device) for k in ("input_ids", "attention_mask")}
            with torch.inference_mode():
                found.update(zip(rows, self.model(**batch).logits.float().tolist(), strict=True))
        return [found[i] for i in range(len(ids))]
