"""The player that runs a checkpoint, or a checkpoint with an adapter, in this process.

Heavy: never in the web process. Chats always go through the model's chat template.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from arena.players import Generated, GenerationSettings, Unanswerable, with_system
from db.entities.catalog import Message, content_id
from training.loading import context_length, load_policy, quiet
from training.settings import ModelFiles

if TYPE_CHECKING:
    import torch
    from transformers import GenerationConfig, PreTrainedModel

# Tokens of one batch, prompts and answers and padding together: what a small machine holds with room to spare.
BATCH_TOKENS = 16_384
READ_TOKENS = 1_024
"""the same where texts are only read, on a CPU: more at once would no longer fit its caches, and is slower"""
BATCH_ROWS = 64
FIRST_STAGE = 32
"""tokens after which answers that have ended leave their batch; doubled with each stage"""


class LocalPlayer:
    """A model in memory that answers."""

    def __init__(self, files: ModelFiles, base: PreTrainedModel | None = None) -> None:
        quiet()
        self._files = files
        self.model, self.tokenizer = load_policy(files, base=base)
        self.context = context_length(self.model)

    @property
    def base(self) -> str:
        """What it shares with other adapters over the same base (arena.generating.base_of)."""
        return f"{self._files.source} {self._files.quantize or ''}"

    @property
    def made_by(self) -> Mapping[str, str]:
        """What answers: revision of the weights, their number type, where they run."""
        return {"revision": revision_of(self._files, self.model), "dtype": str(self.model.dtype).removeprefix("torch."),
                "device": self.model.device.type}  # fmt: skip

    def give_base(self) -> PreTrainedModel:
        """The base without its adapter, for the next adapter over it. This player is of no use afterwards."""
        bare: PreTrainedModel = self.model.unload() if self._files.adapter else self.model
        return bare

    def respond(self, prompts: Sequence[Sequence[Message]], settings: GenerationSettings) -> list[Generated]:
        """One answer to each prompt, in their order; prompts of like length are answered together.

        Answers are drawn in stages, so that those that have ended make room in their batch for those that go on.

        The same call gives the same answers: the draw is seeded by the settings and leaves torch's own generator
        as it was. Unanswerable: a prompt that fills the model's context.
        """
        import torch

        ids = [self._prompt_ids(messages, settings) for messages in prompts]
        drawn: list[list[int]] = [[] for _ in ids]
        ends, left, stage = self._end_tokens(), settings.max_new_tokens, FIRST_STAGE
        writing = list(range(len(ids)))
        with torch.random.fork_rng(), torch.inference_mode():
            torch.manual_seed(settings.seed)
            while writing and left > 0:
                now = min(stage, left) if len(writing) > 1 else left
                for rows in batches([len(ids[i]) + len(drawn[i]) for i in writing], now):
                    batch = [writing[row] for row in rows]
                    more = self._draw(
                        [ids[i] + drawn[i] for i in batch], replace(settings, max_new_tokens=now)
                    )
                    for i, tokens in zip(batch, more, strict=True):
                        drawn[i] += tokens
                left, stage = left - now, 2 * stage
                writing = [i for i in writing if not self._over(ids[i], drawn[i], ends)]
        return [self._generated(tokens, ends) for tokens in drawn]

    def _over(self, prompt: list[int], drawn: list[int], ends: Sequence[int]) -> bool:
        """Whether an answer has come to its end, or to the end of the model's context."""
        return any(token in ends for token in drawn) or len(prompt) + len(drawn) >= self.context

    def stream(self, messages: Sequence[Message], settings: GenerationSettings) -> Iterator[str]:
        """The answer to one chat, piece by piece; leaving the loop early stops the model too."""
        import torch
        from transformers import StoppingCriteriaList, TextIteratorStreamer

        ids = self._prompt_ids(messages, settings)
        streamer = TextIteratorStreamer(self.tokenizer, skip_prompt=True, skip_special_tokens=True)
        left = threading.Event()
        failed: list[BaseException] = []

        def stopped(input_ids: torch.Tensor, _scores: torch.Tensor, **_: object) -> torch.Tensor:
            return torch.full((input_ids.shape[0],), left.is_set(), device=input_ids.device)

        def run() -> None:
            try:
                with torch.random.fork_rng(), torch.inference_mode():
                    torch.manual_seed(settings.seed)
                    self.model.generate(
                        **self._padded([ids]),
                        generation_config=self._config(settings, len(ids)),
                        streamer=streamer,
                        stopping_criteria=StoppingCriteriaList([stopped]),
                    )
            except BaseException as e:  # noqa: BLE001 - handed to the reader, who raises it
                failed.append(e)
                streamer.end()

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        try:
            began = False
            for piece in streamer:
                shown = piece if began else piece.lstrip()
                began = began or bool(shown)
                if shown:
                    yield shown
        finally:
            left.set()
            thread.join()
        if failed:
            raise failed[0]

    def _prompt_ids(self, messages: Sequence[Message], settings: GenerationSettings) -> list[int]:
        from jinja2 import TemplateError

        try:
            rendered = self.tokenizer.apply_chat_template(
                with_system(messages, settings.system), add_generation_prompt=True, return_dict=True
            )
        except TemplateError as e:
            raise Unanswerable(
                f"the model's chat template refuses this chat: {e}", "change its roles or turns"
            ) from e
        ids: list[int] = rendered["input_ids"]
        if len(ids) >= self.context:
            raise Unanswerable(
                f"the prompt has {len(ids)} tokens and the model takes {self.context}",
                "shorten it, or start a new chat",
            )
        return ids

    def _draw(self, ids: Sequence[list[int]], settings: GenerationSettings) -> list[list[int]]:
        """The tokens that follow each row of one batch; what follows an end token is padding."""
        longest = max(len(x) for x in ids)
        config = self._config(settings, longest)
        rows: list[list[int]] = self.model.generate(**self._padded(ids), generation_config=config)[
            :, longest:
        ].tolist()
        return rows

    def _padded(self, ids: Sequence[list[int]]) -> dict[str, Any]:
        """Input ids and attention mask, padded on the left, so that every answer starts at the same column."""
        import torch

        longest = max(len(x) for x in ids)
        pad = self.tokenizer.pad_token_id
        return {
            "input_ids": torch.tensor(
                [[pad] * (longest - len(x)) + x for x in ids], device=self.model.device
            ),
            "attention_mask": torch.tensor(
                [[0] * (longest - len(x)) + [1] * len(x) for x in ids], device=self.model.device
            ),
        }

    def _config(self, settings: GenerationSettings, prompt_tokens: int) -> GenerationConfig:
        """Our settings alone: what a checkpoint suggests for sampling must not differ between rivals."""
        from transformers import GenerationConfig

        sampling = {"temperature": settings.temperature, "top_p": settings.top_p, "top_k": 0}
        return GenerationConfig(
            do_sample=settings.temperature > 0,
            max_new_tokens=min(settings.max_new_tokens, self.context - prompt_tokens),
            eos_token_id=self._end_tokens(),
            pad_token_id=self.tokenizer.pad_token_id,
            **(sampling if settings.temperature > 0 else {}),
        )

    def _end_tokens(self) -> list[int]:
        """The tokenizer's end token and those the checkpoint names beside it (end of turn, end of text)."""
        named = self.model.generation_config.eos_token_id
        named = [] if named is None else [named] if isinstance(named, int) else list(named)
        return sorted({self.tokenizer.eos_token_id, *named})

    def _generated(self, ids: list[int], ends: Sequence[int]) -> Generated:
        """One answer from its tokens, up to its end token; what follows is padding."""
        stop = next((n for n, token in enumerate(ids) if token in ends), None)
        kept = ids if stop is None else ids[:stop]
        text = self.tokenizer.decode(kept, skip_special_tokens=True).strip()
        return Generated(text, "length" if stop is None else "stop", len(kept))


def batches(lengths: Sequence[int], new_tokens: int, most: int = BATCH_TOKENS) -> Iterator[list[int]]:
    """Row numbers by length, in batches that hold at most `most` tokens after padding, and BATCH_ROWS rows."""
    batch: list[int] = []
    for i in sorted(range(len(lengths)), key=lambda i: lengths[i]):
        if batch and (len(batch) >= BATCH_ROWS or (len(batch) + 1) * (lengths[i] + new_tokens) > most):
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch


def read_batches(lengths: Sequence[int], device: torch.device) -> Iterator[list[int]]:
    """Row numbers by length, in batches of texts that are only read, as large as is good on this device."""
    return batches(lengths, 0, READ_TOKENS if device.type == "cpu" else BATCH_TOKENS)


def revision_of(files: ModelFiles, model: PreTrainedModel) -> str:
    """What tells these weights from others of the same name: a hub's commit, or a hash of each file's name, size, time."""
    commit = getattr(model.config, "_commit_hash", None)
    found = [str(commit)] if commit else []
    for name in (files.source, files.adapter):
        folder = Path(name or "")
        if name and folder.is_dir():
            weights = sorted(folder.glob("*.safetensors"))
            found.append(
                content_id(*[(w.name, w.stat().st_size, w.stat().st_mtime_ns) for w in weights])[:12]
            )
    return " + ".join(found)
