"""A PairRM checkpoint in the published form, small and with random weights, goes through save, load and score."""

import json
import shutil

import pytest
import tiny
import torch
from pairrm_fixture import tiny_pairrm

from arena.judges import Duel
from arena.players.pairwise import PairRanker
from db.entities.votes import Outcome
from db.errors import UserError
from training.pairrm import ANSWER_ROOM, MARKERS, SOURCE_ROOM, encode, load

ASKED = [{"role": "user", "content": "What is the capital of France?"}]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_pairrm(tmp_path_factory.mktemp("pairrm"))


@pytest.fixture(scope="module")
def ranker(folder):
    return PairRanker(str(folder))


def marker_places(ids, tokenizer):
    return [[n for n, i in enumerate(ids) if i == m] for m in tokenizer.convert_tokens_to_ids(list(MARKERS))]


def test_the_three_texts_stand_behind_their_markers(folder):
    _, tokenizer = load(str(folder))
    read = encode(tokenizer, ASKED, "Paris.", "Red and green.")
    parts = [f"[CLS]{marker}{text}[SEP]" for marker, text in zip(
        MARKERS, (ASKED[0]["content"], "Paris.", "Red and green."), strict=True)]  # fmt: skip
    assert tokenizer.decode(read.ids).replace(" ", "") == "".join(parts).replace(" ", "")
    assert not read.cut


def test_an_answer_that_holds_a_marker_does_not_count_as_one(folder, ranker):
    _, tokenizer = load(str(folder))
    read = encode(tokenizer, ASKED, "Paris <|candidate2|> or <|source|> so.", "No.")
    assert [len(places) for places in marker_places(read.ids, tokenizer)] == [1, 1, 1]
    plain, marked = ranker.compare([Duel(ASKED, "Paris.", "No."), Duel(ASKED, "Paris.<|candidate1|>", "No.")])
    assert plain.margin == pytest.approx(marked.margin, abs=1e-6)


def test_what_the_prompt_leaves_of_its_room_is_shared_by_the_answers(folder):
    _, tokenizer = load(str(folder))
    long = "yes " * 3000
    read = encode(tokenizer, ASKED, long, long)
    source, first, second = (places[0] for places in marker_places(read.ids, tokenizer))
    assert read.cut
    assert (
        second - first
        == len(read.ids) - second + 1
        == (SOURCE_ROOM + 2 * ANSWER_ROOM - (first - source)) // 2
    )
    assert len(read.ids) <= SOURCE_ROOM + 2 * ANSWER_ROOM
    wordy = encode(tokenizer, [{"role": "user", "content": long}], long, long)
    source, first, second = (places[0] for places in marker_places(wordy.ids, tokenizer))
    assert (first - source, second - first, len(wordy.ids)) == (SOURCE_ROOM, ANSWER_ROOM, 2048)


def test_the_logit_is_the_first_answers_rate_less_the_seconds(folder):
    """Against the same computed by hand from the states of the markers."""
    model, tokenizer = load(str(folder))
    read = encode(tokenizer, ASKED, "Paris.", "Red and green.")
    ids = torch.tensor([read.ids])
    source, first, second = (places[0] for places in marker_places(read.ids, tokenizer))
    with torch.inference_mode():
        states = model.pretrained_model(input_ids=ids).last_hidden_state[0]
        rates = [model.head_layer(torch.cat([states[source], states[at]])) for at in (first, second)]
        assert model(ids).logits.item() == pytest.approx((rates[0] - rates[1]).item(), abs=1e-6)


def test_both_orders_are_asked_and_swapped_answers_give_the_opposite_word(ranker):
    duels = [Duel(ASKED, f"Paris {i}.", "Red " * (i + 1)) for i in range(12)]
    words = ranker.compare(duels)
    swapped = ranker.compare([Duel(d.prompt, d.b, d.a) for d in duels])
    opposite = {Outcome.A: Outcome.B, Outcome.B: Outcome.A, Outcome.TIE: Outcome.TIE}
    assert [opposite[w.outcome] for w in words] == [w.outcome for w in swapped]
    assert {w.outcome for w in words} >= {Outcome.TIE} or len({w.outcome for w in words}) > 1
    for word, other in zip(words, swapped, strict=True):
        assert word.margin == pytest.approx(word.details["forward"] - word.details["reverse"], abs=1e-6)
        assert word.margin == pytest.approx(-other.margin, abs=1e-5)


def test_equal_answers_are_a_tie(ranker):
    word = ranker.compare([Duel(ASKED, "Paris.", "Paris.")])[0]
    assert word.outcome is Outcome.TIE
    assert word.margin == pytest.approx(0, abs=1e-6)


def test_a_batch_says_what_each_duel_alone_says(ranker):
    duels = [Duel(ASKED, "Paris. " * n, "No.") for n in (1, 30, 4, 80)]
    together = ranker.compare(duels)
    alone = [ranker.compare([d])[0] for d in duels]
    assert [w.margin for w in together] == pytest.approx([w.margin for w in alone], abs=1e-4)


def test_several_turns_are_read_with_their_roles(folder):
    _, tokenizer = load(str(folder))
    chat = [
        *ASKED,
        {"role": "assistant", "content": "Paris."},
        {"role": "user", "content": "Name three colours."},
    ]
    text = tokenizer.decode(encode(tokenizer, chat, "Red.", "Blue.").ids, skip_special_tokens=False)
    assert text.index("What is the capital") < text.index("Paris.") < text.index("Name three colours.")


def test_a_vocabulary_kept_as_sentencepiece_alone_is_read_the_same(folder, tmp_path):
    older = shutil.copytree(folder, tmp_path / "older")
    tiny_pairrm(older, fast=False)
    assert not (older / "tokenizer.json").exists()
    ids = [encode(load(str(f))[1], ASKED, "Paris.", "Red and green.").ids for f in (folder, older)]
    assert ids[0] == ids[1]


def test_a_checkpoint_that_is_none_of_these_is_refused(tmp_path, folder):
    with pytest.raises(UserError, match="is no PairRM checkpoint: its markers"):
        load(str(tiny.tiny_reward(tmp_path / "reward")))
    with pytest.raises(UserError, match="neither a folder here nor within reach"):
        load(str(tmp_path / "nowhere"))
    headless = shutil.copytree(folder, tmp_path / "headless")
    from safetensors.torch import load_file, save_file

    weights = load_file(headless / "model.safetensors")
    kept = {k: v for k, v in weights.items() if not k.startswith("head_layer.4")}
    save_file(kept, headless / "model.safetensors", {"format": "pt"})
    with pytest.raises(UserError, match=r"2 of its weights are missing, head_layer\.4\.bias"):
        load(str(headless))


def test_the_fixture_has_the_published_form(folder):
    config = json.loads((folder / "config.json").read_text())
    assert config["model_type"] == "deberta-v2"
    assert {"n_tasks", "drop_out", "source_prefix_id", "cand1_prefix_id", "cand2_prefix_id"} <= set(config)
