"""How much memory a run will take, by parts, before it starts. A checkpoint's own files say its shape; nothing is loaded.

Bytes a token keeps in a layer are counted from the layer's widths; the constants (what the libraries take, how many copies of
the logits are alive at once) are those of real runs: `python -m bench.memory` holds the estimate against them.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from db.entities.catalog import Quantize
from db.entities.runs import RunKind
from training.folders import count_parameters
from training.presets import kind_of
from training.settings import DpoSettings, KtoSettings, Optimizer, Settings

MIB = 2**20
OFF_BY = 0.3
"""how far the estimate was off at most, of the measured peak, over the runs of bench.memory"""
LIBRARIES = 680 * MIB
"""held by the process before there is a model"""
ON_GPU = 1400 * MIB
"""the GPU's own context and the workspaces of its libraries"""
TILE_TOKENS, TILE_VOCABULARY = 4096, 32768
"""the trainer projects onto the vocabulary in tiles of so many tokens and words"""
TILES = {False: 8, True: 2}
"""copies of such a tile alive at once in the backward pass: plain code on a CPU, a kernel on a GPU"""
NEUTRAL_TOKENS = 12 * 32
NEUTRAL_COPIES = 2
"""distributions over the neutral set (training/neutral.py): those kept from the start, twice while they are put together"""
FOUR_BIT = 0.53
"""bytes a weight in 4 bits takes with the scales of its block"""
SLACK = 0.05
"""what an allocator holds beyond what is in use, as a share of it"""
FRAGMENTED = 0.45
"""the same on a CPU with an adapter: its many middle-sized passing numbers leave holes among those that are kept"""


@dataclass(frozen=True, slots=True)
class Shape:
    """The widths of a transformer, and how many weights it has."""

    parameters: int
    hidden: int
    layers: int
    intermediate: int
    query: int
    key_value: int
    heads: int
    vocabulary: int
    tied: bool
    gated: bool
    eager: bool
    """attention that keeps its weights, one for each pair of tokens"""

    @property
    def linear(self) -> int:
        """Weights of the linear layers, which an adapter lies over and which 4 bits can hold."""
        h, up = self.hidden, 3 if self.gated else 2
        return self.layers * (2 * h * self.query + 2 * h * self.key_value + up * h * self.intermediate)

    def adapter(self, rank: int) -> int:
        """Weights of an adapter of that rank over every linear layer: rank times both widths of each."""
        h, q, kv, i = self.hidden, self.query, self.key_value, self.intermediate
        ends = [h + q, h + kv, h + kv, q + h, *([h + i] * (3 if self.gated else 2))]
        return rank * self.layers * sum(ends)

    def kept_by_layer(self, tokens: int) -> int:
        """Numbers one token keeps in one layer for the backward pass, in a sequence of so many tokens.

        Both residual sums and both norms, queries, keys, values, what attention gives and its copy for the projection;
        then the wide layer: what goes into the gate, what comes out, the other half and their product.
        """
        narrow = 4 * self.hidden + 3 * self.query + 2 * self.query
        wide = (4 if self.gated else 5) * self.intermediate
        return narrow + wide + (4 * self.heads * tokens if self.eager else 0)


class Part(NamedTuple):
    """One part of the estimate: its name, bytes, and in words what it is."""

    name: str
    bytes: int
    words: str


@dataclass(frozen=True, slots=True)
class Estimate:
    """The parts of what a run will hold at its worst moment."""

    parts: tuple[Part, ...]

    @property
    def total(self) -> int:
        """Bytes in all."""
        return sum(part.bytes for part in self.parts)

    @property
    def largest(self) -> Part:
        """The part to make smaller first."""
        return max(self.parts, key=lambda part: part.bytes)


def shape_of(config: Mapping[str, Any], parameters: int) -> Shape | None:
    """The shape a checkpoint's config.json tells of; None where it names none of the widths that are known."""
    hidden = _first(config, "hidden_size", "n_embd", "d_model")
    layers = _first(config, "num_hidden_layers", "n_layer", "num_layers")
    vocabulary = _first(config, "vocab_size")
    if not (hidden and layers and vocabulary):
        return None
    heads = _first(config, "num_attention_heads", "n_head") or 1
    head = _first(config, "head_dim") or hidden // heads
    kind = str(config.get("model_type", ""))
    return Shape(
        parameters, hidden, layers, _first(config, "intermediate_size", "n_inner", "d_ff") or 4 * hidden, head * heads,
        head * (_first(config, "num_key_value_heads") or heads), heads, vocabulary,
        tied=bool(config.get("tie_word_embeddings", kind == "gpt2")),
        gated=str(config.get("hidden_act", "")) in ("silu", "swish", "gelu_pytorch_tanh"),
        eager=kind.startswith("deberta"),
    )  # fmt: skip


def _first(config: Mapping[str, Any], *names: str) -> int | None:
    """The first of these keys that holds a number."""
    return next((int(config[n]) for n in names if isinstance(config.get(n), int | float) and config[n]), None)


def shape_in(source: str) -> Shape | None:
    """The shape of a checkpoint folder; None where it is none that can be read (a hub id that is not here yet)."""
    config, parameters = Path(source) / "config.json", count_parameters(source)
    if parameters is None or not config.is_file():
        return None
    return shape_of(json.loads(config.read_text(encoding="utf-8")), parameters)


def estimate(
    shape: Shape, settings: Settings, *, tokens: int, on_gpu: bool, quantize: str | None = None,
    second_model: bool = False, from_adapter: bool = False,
) -> Estimate:  # fmt: skip
    """What a run holds at its worst moment: the backward pass of the widest batch.

    `tokens` are those of the longest row, cut at `max_length`. `quantize` is how the start is held where the settings do not
    say; `second_model` a reference that is another model; `from_adapter` a start whose adapter is trained on.
    """
    s, kind = settings, kind_of(settings)
    tokens = min(tokens, s.max_length)
    four_bit = (s.quantize or quantize) is not None and s.lora
    wide = 2 if on_gpu and s.lora else 4  # bytes a weight is held in
    moving = 2 if on_gpu else 4  # bytes a number takes on its way through the layers
    trained = shape.adapter(s.lora_r) if s.lora else shape.parameters
    if s.lora and kind is RunKind.REWARD:
        trained += shape.hidden
    paired = kind in (RunKind.DPO, RunKind.REWARD)
    sequences = s.batch_size * (2 if paired else 1)
    parts = [
        Part("libraries", ON_GPU if on_gpu else LIBRARIES, "what is held before there is a model"),
        Part("weights", _weights(shape, wide, four_bit, s.quantize or quantize), "the model itself"),
        Part("adapter" if s.lora else "trained weights", trained * 4 if s.lora else 0, "the adapter that is trained"),
        Part("gradients", trained * 4, "one number for each weight that is trained"),
        Part("optimizer", trained * (8 if s.optimizer is Optimizer.ADAMW else 2), "two moments of each trained weight"),
        Part("reference", _reference(shape, s, second_model, from_adapter, wide, four_bit), "the frozen model or adapter it is held against"),
        Part("activations", _activations(shape, s, sequences * tokens, tokens, moving), "what the layers keep for the way back"),
        Part("logits", _logits(shape, kind, s, sequences * tokens, moving, on_gpu), "scores of every word of the vocabulary"),
        Part("looks", 0 if kind is RunKind.REWARD else NEUTRAL_TOKENS * NEUTRAL_COPIES * shape.vocabulary * 4,
             "how the start model reads plain text, to see what is forgotten"),
    ]  # fmt: skip
    moved = sum(part.bytes for part in parts if part.name in ("activations", "logits"))
    share = FRAGMENTED if s.lora and not on_gpu else SLACK
    parts.append(Part("slack", int(moved * share), "memory that is free again but not given back"))
    return Estimate(tuple(part for part in parts if part.bytes))


def _weights(shape: Shape, wide: int, four_bit: bool, quantize: str | None) -> int:
    if not four_bit:
        return shape.parameters * wide
    small = FOUR_BIT if quantize == Quantize.FOUR_BIT else 1.0
    return int(shape.linear * small + (shape.parameters - shape.linear) * wide)


def _reference(
    shape: Shape, s: Settings, second_model: bool, from_adapter: bool, wide: int, four_bit: bool
) -> int:
    """A second model, unless it is the start and is asked beforehand; or the frozen copy of the start's adapter."""
    if not isinstance(s, DpoSettings | KtoSettings):
        return 0
    if second_model:  # it stands beside the other while it is asked, even where that is done beforehand
        return _weights(shape, wide, four_bit, s.quantize)
    if not s.lora:
        return 0 if s.precompute else shape.parameters * wide
    return shape.adapter(s.lora_r) * 4 if from_adapter else 0


def _activations(shape: Shape, s: Settings, tokens: int, each: int, moving: int) -> int:
    """All layers' where none is computed again; else one layer's, and what goes into each."""
    layer = shape.kept_by_layer(each) * tokens * moving
    ends = 4 * shape.hidden * tokens * 4
    if s.checkpointing:
        return layer * 2 + shape.layers * shape.hidden * tokens * moving + ends
    return layer * shape.layers + ends


def _logits(shape: Shape, kind: RunKind, s: Settings, tokens: int, moving: int, on_gpu: bool) -> int:
    """The tiles of the projection onto the vocabulary; all its gradient too where every weight is trained."""
    if kind is RunKind.REWARD:
        return 0
    tile = min(tokens, TILE_TOKENS) * min(shape.vocabulary, TILE_VOCABULARY)
    gradient = 0 if s.lora else shape.vocabulary * shape.hidden * 4
    return tile * TILES[on_gpu] * (moving if on_gpu else 4) + gradient
