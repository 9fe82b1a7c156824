import shutil

import httpx
import pytest
import tiny
from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

from db.errors import UserError
from training.folders import count_parameters
from training.loading import PLAIN_TEMPLATE, explained, load_policy, load_tokenizer
from training.settings import ModelFiles


def test_a_checkpoint_loads_in_evaluation_mode_with_its_own_template(base):
    model, tokenizer = load_policy(ModelFiles(str(base)))
    assert not model.training
    assert tokenizer.chat_template == tiny.CHATML
    assert count_parameters(str(base)) == sum(p.numel() for p in model.parameters())


def test_an_adapter_loads_under_the_name_the_trainer_wants(base, adapter):
    files = ModelFiles(str(base), str(adapter))
    frozen, _ = load_policy(files)
    assert list(frozen.peft_config) == ["default"]
    assert not any(p.requires_grad for p in frozen.parameters())
    open_, _ = load_policy(files, trainable=True)
    assert all("lora_" in name for name, p in open_.named_parameters() if p.requires_grad)
    assert any(p.requires_grad for p in open_.parameters())


def test_a_model_without_chat_template_gets_the_plain_one_and_its_end_as_padding(tmp_path):
    tokenizer = load_tokenizer(str(tiny.tiny_gpt2(tmp_path / "gpt2")))
    assert tokenizer.chat_template == PLAIN_TEMPLATE
    assert tokenizer.pad_token == tokenizer.eos_token
    chat = [{"role": "user", "content": " Hello\n"}, {"role": "assistant", "content": "Hi"}]
    assert tokenizer.apply_chat_template(chat, tokenize=False) == "User: Hello\nAssistant: Hi<|im_end|>"
    start = tokenizer.apply_chat_template(chat[:1], tokenize=False, add_generation_prompt=True)
    assert start == "User: Hello\nAssistant:"


def test_four_bits_load_and_answer(base):
    model, tokenizer = load_policy(ModelFiles(str(base), quantize="4bit"))
    assert model.is_loaded_in_4bit
    ids = tokenizer("hello", return_tensors="pt")["input_ids"]
    assert model(ids).logits.shape == (1, ids.shape[1], len(tokenizer))


def broken(base, tmp_path, how):
    """A model folder with one thing wrong."""
    folder = tmp_path / "broken"
    if how == "missing":
        return ModelFiles(str(folder))
    if how == "hub":
        return ModelFiles("nobody-owns/this-model")
    if how == "adapter only":
        return ModelFiles(str(tiny.tiny_adapter(base, folder)))
    if how == "no end token":
        return ModelFiles(str(tiny.tiny_llama(folder, eos=None)))
    if how == "no adapter there":
        return ModelFiles(str(base), str(folder))
    if how == "other width":
        other = tiny.tiny_llama(tmp_path / "wide", hidden=64)
        return ModelFiles(str(base), str(tiny.tiny_adapter(other, folder)))
    if how == "other depth":
        other = tiny.tiny_llama(tmp_path / "deep", layers=3)
        return ModelFiles(str(base), str(tiny.tiny_adapter(other, folder)))
    if how == "other family":
        other = tiny.tiny_gpt2(tmp_path / "gpt2")
        return ModelFiles(str(base), str(tiny.tiny_adapter(other, folder)))
    if how == "no weights":
        shutil.copytree(base, folder)
        (folder / "model.safetensors").unlink()
    if how == "cut weights":
        shutil.copytree(base, folder)
        (folder / "model.safetensors").write_bytes((base / "model.safetensors").read_bytes()[:1000])
    if how == "bad config":
        shutil.copytree(base, folder)
        (folder / "config.json").write_text("{", encoding="utf-8")
    if how == "small vocabulary":
        shutil.copytree(base, folder)
        tokenizer = load_tokenizer(str(base))
        tokenizer.add_tokens(["<new-1>", "<new-2>"])
        tokenizer.save_pretrained(folder)
    return ModelFiles(str(folder))


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("missing", "no model folder"),
        pytest.param("hub", "neither a folder here nor within reach", marks=pytest.mark.slow),
        ("adapter only", "name its base as source"),
        ("no end token", "no end token"),
        ("no adapter there", "no model folder"),
        ("other width", "does not fit"),
        ("other depth", "does not fit"),
        ("other family", "does not fit"),
        ("no weights", "cannot be loaded"),
        ("cut weights", "cannot be loaded"),
        ("bad config", "cannot be loaded"),
        ("small vocabulary", "only knows"),
    ],
)
def test_what_does_not_load_is_one_line_with_a_remedy(base, tmp_path, how, says):
    with pytest.raises(UserError, match=says) as e:
        load_policy(broken(base, tmp_path, how))
    assert "\n" not in str(e.value)
    assert e.value.remedy


def test_an_adapter_for_another_base_names_the_right_one(base, tmp_path):
    wide = tiny.tiny_llama(tmp_path / "wide", hidden=64)
    files = ModelFiles(str(base), str(tiny.tiny_adapter(wide, tmp_path / "adapter")))
    with pytest.raises(UserError, match=str(wide)):
        load_policy(files)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (GatedRepoError, "owner/name is gated; accept its terms on the hub"),
        (RepositoryNotFoundError, "the hub has no model owner/name; check the name"),
    ],
)
def test_what_the_hub_refuses_is_one_line(kind, said):
    answer = httpx.Response(403, request=httpx.Request("GET", "https://hub.invalid/owner/name"))
    with pytest.raises(UserError, match=said), explained("owner/name"):
        raise OSError("cannot load it") from kind("refused", response=answer)
