"""Base, adapter, quantisation and reference in one place, for every trainer and player.

Heavy: torch, transformers and peft are imported inside the functions. Every failure a person can mend is one
UserError; weights are held in 32 bits on a CPU, in bfloat16 (float16 on older cards) on a GPU.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from db.errors import UserError
from training.settings import ModelFiles

if TYPE_CHECKING:
    import torch
    from transformers import BitsAndBytesConfig, PreTrainedModel, PreTrainedTokenizerBase

# Used, and recorded with the result, where a tokenizer brings no chat template (GPT-2 and other base models).
# The answer follows "Assistant:" after one space, so that byte-level tokenizers split there and nowhere else,
# and every answer ends with the end token.
PLAIN_TEMPLATE = (
    "{% if bos_token and bos_token != eos_token %}{{ bos_token }}{% endif %}"
    "{% for message in messages %}{% if not loop.first %}{{ '\\n' }}{% endif %}"
    "{{ message['role'] | capitalize }}: {{ message['content'] | trim }}"
    "{% if message['role'] == 'assistant' %}{{ eos_token }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '\\nAssistant:' }}{% endif %}"
)


NO_CODE = {"trust_remote_code": False}
"""for every loader: a checkpoint brings data, never code that runs here"""
WEIGHTS_ONLY: dict[str, Any] = {**NO_CODE, "use_safetensors": True}
"""for loaders of weights: safetensors, no pickles, which can run code as they are read"""


def load_tokenizer(source: str) -> PreTrainedTokenizerBase:
    """The tokenizer of a checkpoint or adapter folder, or of a hub id, ready to render chats.

    Sets the plain chat template where there is none. A missing pad token becomes the end token, which does no
    harm because padding is masked by position. UserError: nothing there, no end token.
    """
    from transformers import AutoTokenizer

    _refuse_missing_folder(source)
    with explained(source):
        tokenizer = AutoTokenizer.from_pretrained(source, **NO_CODE)
    if tokenizer.eos_token_id is None:
        raise UserError(
            f"the tokenizer of {source} has no end token, so no answer could be taught to stop",
            "set eos_token in its tokenizer_config.json",
        )
    if tokenizer.chat_template is None:
        tokenizer.chat_template = PLAIN_TEMPLATE
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def tokenizer_for(files: ModelFiles) -> PreTrainedTokenizerBase:
    """The tokenizer an adapter was trained with where its folder holds one, else its base's."""
    if files.adapter and (Path(files.adapter) / "tokenizer_config.json").is_file():
        return load_tokenizer(files.adapter)
    return load_tokenizer(files.source)


def load_policy(
    files: ModelFiles,
    trainable: bool = False,
    dtype: torch.dtype | None = None,
    base: PreTrainedModel | None = None,
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """(model, tokenizer). With an adapter the model is a PeftModel whose adapter is named `default`.

    `trainable` leaves the adapter's weights open to training. The model is in evaluation mode, on the GPU where
    there is one; `dtype` None means the working number type. A `base` that is in memory already is taken as it is.
    """
    tokenizer = tokenizer_for(files)
    model = load_base(files.source, files.quantize, dtype) if base is None else base
    if files.adapter:
        model = attach_adapter(model, files, trainable)
    _refuse_small_vocabulary(model, tokenizer, files)
    model.config.pad_token_id = tokenizer.pad_token_id
    model.eval()
    return model, tokenizer


def load_base(source: str, quantize: str | None = None, dtype: torch.dtype | None = None) -> PreTrainedModel:
    """The causal language model of a checkpoint folder or hub id, without adapters."""
    import torch
    from transformers import AutoModelForCausalLM

    _refuse_missing_folder(source)
    if (Path(source) / "adapter_config.json").is_file() and not (Path(source) / "config.json").is_file():
        raise UserError(
            f"{source} holds an adapter, not a whole model", "name its base as source and it as adapter"
        )
    if is_scorer(source):
        raise UserError(f"{source} is a reward model: it scores answers and writes none",
                        "name a language model; score with `judge --with reward --model`")  # fmt: skip
    device = "cuda" if torch.cuda.is_available() else "cpu"
    held = {"quantization_config": quantization(quantize), "device_map": {"": device}} if quantize else {}
    with explained(source):
        model = AutoModelForCausalLM.from_pretrained(
            source, dtype=dtype or working_dtype(), **WEIGHTS_ONLY, **held
        )
    if quantize == "4bit" and device == "cpu":
        _leave_narrow_layers_unpacked(model)
    return model if quantize else model.to(device)


def _leave_narrow_layers_unpacked(model: PreTrainedModel) -> None:
    """Keep bitsandbytes from repacking layers for AVX512-BF16 that do not fill its blocks of 64 by 32: it fails on them."""
    leave_unpacked(model, lambda layer: bool(layer.in_features % 64 or layer.out_features % 32))


def leave_unpacked(model: PreTrainedModel, which: Callable[[torch.nn.Module], bool] = lambda _: True) -> None:
    """Keep 4-bit layers on a CPU from being repacked at their first use; packed ones compute in bfloat16."""
    from bitsandbytes.nn import Linear4bit

    for layer in model.modules():
        if isinstance(layer, Linear4bit) and which(layer):
            layer.support_avx512bf16_for_cpu = False


def attach_adapter(model: PreTrainedModel, files: ModelFiles, trainable: bool) -> PreTrainedModel:
    """The base with its adapter over it; UserError where the adapter belongs to another base."""
    from peft import PeftConfig, PeftModel
    from peft.utils.save_and_load import get_peft_model_state_dict
    from safetensors import safe_open

    adapter = str(files.adapter)
    _refuse_missing_folder(adapter)
    weights = Path(adapter) / "adapter_model.safetensors"
    if Path(adapter).is_dir() and not weights.is_file():
        raise UserError(
            f"{adapter} holds no adapter_model.safetensors", "name the folder the adapter was saved to"
        )
    with explained(adapter):
        PeftConfig.from_pretrained(adapter)
    try:
        model = PeftModel.from_pretrained(model, adapter, adapter_name="default", is_trainable=trainable)
    except (RuntimeError, ValueError) as e:
        raise _misfit(files, str(e).splitlines()[0]) from e
    if weights.is_file():
        # Layers the adapter lacks, or has too many of, are only a warning to peft; to us it is the wrong base.
        with safe_open(weights, "pt") as stored:
            if set(stored.keys()) != set(get_peft_model_state_dict(model, adapter_name="default")):
                raise _misfit(files, "their layers differ")
    return model


def quiet() -> None:
    """No progress bars of the libraries, nor warnings between them that nobody here can mend: noise between the metrics."""
    import logging
    import os
    import warnings

    import datasets
    from transformers.utils.logging import disable_progress_bar

    os.environ["TQDM_DISABLE"] = "1"
    disable_progress_bar()
    datasets.disable_progress_bars()
    # peft 0.21 asks every model for it by the name that transformers 5 has given up
    warnings.filterwarnings("ignore", "`is_gradient_checkpointing` is deprecated", FutureWarning)
    # bitsandbytes misses a package that speeds up 4 bits on some CPUs
    logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)


def working_dtype() -> torch.dtype:
    """The number type weights are held in here: see the module's first lines."""
    import torch

    if not torch.cuda.is_available():
        return torch.float32
    return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16


def stored_dtype(source: str) -> torch.dtype:
    """The number type a checkpoint is kept in on disk; float32 where its config does not say."""
    import torch
    from transformers import AutoConfig

    with explained(source):
        return AutoConfig.from_pretrained(source, **NO_CODE).dtype or torch.float32


def is_scorer(source: str) -> bool:
    """Whether a checkpoint gives scores (a reward model) instead of text."""
    from transformers import AutoConfig

    _refuse_missing_folder(source)
    with explained(source):
        config = AutoConfig.from_pretrained(source, **NO_CODE)
    return any(name.endswith("ForSequenceClassification") for name in config.architectures or ())


def scorer_tokenizer(source: str) -> PreTrainedTokenizerBase:
    """The tokenizer of a reward model as it is, or of a language model with its chat template."""
    from transformers import AutoTokenizer

    if not is_scorer(source):
        return load_tokenizer(source)
    with explained(source):
        tokenizer = AutoTokenizer.from_pretrained(source, **NO_CODE)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def load_scorer(
    source: str, quantize: str | None = None, dtype: torch.dtype | None = None
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """(model, tokenizer) that give one score for a text: a reward model, or a language model with a new head.

    A language model's chats are rendered as it was taught; a reward model keeps the form it was published with.
    UserError: nothing there, a model that gives several values.
    """
    import torch
    from transformers import AutoModelForSequenceClassification

    tokenizer = scorer_tokenizer(source)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    held = (
        {"quantization_config": quantization(quantize, HEADS), "device_map": {"": device}} if quantize else {}
    )
    with explained(source):
        model = AutoModelForSequenceClassification.from_pretrained(
            source, num_labels=1, dtype=dtype or working_dtype(), **WEIGHTS_ONLY, **held
        )
    model.config.pad_token_id = tokenizer.pad_token_id
    if quantize == "4bit" and device == "cpu":
        _leave_narrow_layers_unpacked(model)
    return model if quantize else model.to(device), tokenizer


HEADS = ["score", "classifier", "pooler", "lm_head"]
"""layers that stay whole where the rest is quantised"""


def quantization(quantize: str, whole: Sequence[str] = ()) -> BitsAndBytesConfig:
    """The bitsandbytes settings for `4bit` (NF4, double quantisation) or `8bit`; UserError where it does not load.

    `whole` names layers that keep their number type.
    """
    from transformers import BitsAndBytesConfig

    try:
        import bitsandbytes  # noqa: F401 - transformers would find it missing much later, in many lines
    except (ImportError, OSError) as e:
        raise UserError(
            f"quantize={quantize} needs bitsandbytes, which does not load here ({e})",
            "install the version in requirements.txt, or leave quantize out",
        ) from e
    skipped = {"llm_int8_skip_modules": list(whole)} if whole else {}
    if quantize == "8bit":
        return BitsAndBytesConfig(load_in_8bit=True, **skipped)
    if quantize != "4bit":
        raise UserError(f"quantize={quantize} is unknown", "use 4bit or 8bit")
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=working_dtype(),
        **skipped,
    )


def context_length(model: PreTrainedModel) -> int:
    """Tokens the model can attend to; a large number where its config does not say."""
    return int(getattr(model.config, "max_position_embeddings", None) or 1_000_000)


def _misfit(files: ModelFiles, detail: str) -> UserError:
    config = Path(str(files.adapter)) / "adapter_config.json"
    made_for = (
        json.loads(config.read_text(encoding="utf-8")).get("base_model_name_or_path")
        if config.is_file()
        else None
    )
    return UserError(
        f"the adapter {files.adapter} does not fit the model {files.source}: {detail}",
        f"give it the base it was trained on ({made_for})"
        if made_for
        else "give it the base it was trained on",
    )


def _refuse_missing_folder(source: str) -> None:
    """A path must exist; what looks like a hub id (`name` or `owner/name`) is left to the hub."""
    path = Path(source)
    looks_like_path = path.is_absolute() or source.startswith((".", "~")) or source.count("/") > 1
    if looks_like_path and not path.is_dir():
        raise UserError(
            f"there is no model folder {source}", "check the path, or give a hub id such as owner/name"
        )


def _refuse_small_vocabulary(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, files: ModelFiles
) -> None:
    rows = model.get_input_embeddings().weight.shape[0]
    if len(tokenizer) > rows:
        raise UserError(
            f"the tokenizer has {len(tokenizer)} tokens but {files.source} only knows {rows}",
            "use the tokenizer that came with the model",
        )


@contextmanager
def explained(source: str) -> Iterator[None]:
    """Turns what the loaders raise about `source` into one line that says what to do."""
    from safetensors import SafetensorError

    try:
        yield
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as e:
        raise _in_one_line(source, e) from e


def _in_one_line(source: str, error: Exception) -> UserError:
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    causes = _chain(error)
    if any(isinstance(c, GatedRepoError) for c in causes):
        return UserError(
            f"{source} is gated", "accept its terms on the hub, then log in with `hf auth login`"
        )
    if any(isinstance(c, RepositoryNotFoundError) for c in causes):
        return UserError(
            f"the hub has no model {source}", "check the name; a private one needs `hf auth login`"
        )
    if not Path(source).is_dir():
        return UserError(
            f"{source} is neither a folder here nor within reach on the hub",
            "check the name and the network, or give the path of a model folder",
        )
    folder = Path(source)
    if "trust_remote_code" in str(error):
        return UserError(f"{source} brings code of its own, which is never run here",
                         "use a model of a kind that transformers knows by itself")  # fmt: skip
    if any(folder.glob("pytorch_model*.bin")) and not any(folder.glob("*.safetensors")):
        return UserError(f"{source} holds its weights as a pickle, which could run code and is never read here",
                         "save it again with save_pretrained, which writes safetensors")  # fmt: skip
    detail = (str(error) or type(error).__name__).splitlines()[0]
    return UserError(f"{source} cannot be loaded: {detail}", "check that the folder holds a whole model")


def _chain(error: BaseException | None) -> list[BaseException]:
    """The error and everything it came from."""
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        error = error.__cause__ or error.__context__
    return found
