import threading

import pytest
import tiny
import torch

from arena.players import GenerationSettings
from arena.players.local import BATCH_ROWS, BATCH_TOKENS, LocalPlayer, batches
from arena.players.scorer import RewardScorer
from db.errors import UserError
from training.settings import ModelFiles

GREEDY = GenerationSettings(temperature=0.0, max_new_tokens=24)
PROMPTS = [
    [{"role": "user", "content": text}]
    for text in ("Hi", "What is the capital of France?", "Name three colours. " * 6, "x " * 30)
] + [
    [
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "Good day"},
        {"role": "user", "content": "And now?"},
    ]
]


@pytest.fixture(scope="module")
def player(base):
    return LocalPlayer(ModelFiles(str(base)))


def by_hand(player, messages, new_tokens):
    """Greedy decoding without cache, padding or generate(): the second source."""
    ids = player.tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=True)[
        "input_ids"
    ]
    answer = []
    for _ in range(new_tokens):
        with torch.no_grad():
            token = int(player.model(torch.tensor([ids + answer])).logits[0, -1].argmax())
        if token == player.tokenizer.eos_token_id:
            return player.tokenizer.decode(answer, skip_special_tokens=True).strip(), "stop", len(answer)
        answer.append(token)
    return player.tokenizer.decode(answer, skip_special_tokens=True).strip(), "length", len(answer)


def test_a_batch_answers_as_each_prompt_alone(player):
    together = player.respond(PROMPTS, GREEDY)
    alone = [player.respond([messages], GREEDY)[0] for messages in PROMPTS]
    assert together == alone
    assert len({g.text for g in together}) > 1


def test_greedy_answers_are_those_of_plain_forward_passes(player):
    for messages, got in zip(PROMPTS, player.respond(PROMPTS, GREEDY), strict=True):
        assert (got.text, got.finish_reason, got.tokens) == by_hand(player, messages, 24)


def test_an_answer_that_ends_says_stop(tmp_path):
    folder = tiny.tiny_llama(tmp_path / "short")
    player = LocalPlayer(ModelFiles(str(folder)))
    settings = GenerationSettings(temperature=3.0, max_new_tokens=400, seed=5)
    answers = player.respond([PROMPTS[0]] * 24, settings)
    assert {g.finish_reason for g in answers} == {"stop", "length"}
    for g in answers:
        assert (g.tokens == 400) == (g.finish_reason == "length")
        assert "<|im_end|>" not in g.text


def test_the_seed_fixes_the_draw_and_leaves_torchs_own_alone(player):
    settings = GenerationSettings(temperature=1.0, max_new_tokens=16, seed=3)
    torch.manual_seed(11)
    expected = torch.rand(1)
    torch.manual_seed(11)
    first = player.respond(PROMPTS, settings)
    assert torch.equal(torch.rand(1), expected)
    assert player.respond(PROMPTS, settings) == first
    other = GenerationSettings(temperature=1.0, max_new_tokens=16, seed=4)
    assert player.respond(PROMPTS, other) != first


def test_what_the_checkpoint_suggests_for_sampling_is_not_used(base, tmp_path, player):
    model = player.model.from_pretrained(base)
    model.generation_config.update(do_sample=True, top_k=1, temperature=0.1)
    model.save_pretrained(tmp_path / "cold")
    player.tokenizer.save_pretrained(tmp_path / "cold")
    cold = LocalPlayer(ModelFiles(str(tmp_path / "cold")))
    settings = GenerationSettings(temperature=1.0, max_new_tokens=16, seed=3)
    assert cold.respond(PROMPTS, settings) == player.respond(PROMPTS, settings)


def test_the_system_turn_reaches_the_model_once(player):
    asked = GenerationSettings(temperature=0, max_new_tokens=12, system="Answer in one word")
    written = [{"role": "system", "content": "Answer in one word"}, *PROMPTS[1]]
    expected = player.respond([written], GenerationSettings(temperature=0, max_new_tokens=12))
    assert player.respond([PROMPTS[1]], asked) == player.respond([written], asked) == expected
    assert expected != player.respond([PROMPTS[1]], GenerationSettings(temperature=0, max_new_tokens=12))


def test_the_stream_gives_the_same_answer_in_pieces(player):
    pieces = list(player.stream(PROMPTS[1], GREEDY))
    assert len(pieces) > 1
    assert "".join(pieces).strip() == player.respond([PROMPTS[1]], GREEDY)[0].text


def test_leaving_the_stream_early_stops_the_model(player):
    before = threading.active_count()
    stream = player.stream(PROMPTS[1], GenerationSettings(temperature=0, max_new_tokens=400))
    next(stream)
    stream.close()
    assert threading.active_count() == before


def test_a_prompt_that_fills_the_context_is_one_line(player):
    long = [{"role": "user", "content": "word " * 600}]
    with pytest.raises(UserError, match="the model takes 512"):
        player.respond([long], GREEDY)
    with pytest.raises(UserError, match="the model takes 512"):
        next(player.stream(long, GREEDY))


def test_an_answer_gets_only_the_room_that_is_left(player):
    near = [{"role": "user", "content": "x" * 480}]
    used = len(
        player.tokenizer.apply_chat_template(near, add_generation_prompt=True, return_dict=True)["input_ids"]
    )
    assert used < 512
    (got,) = player.respond([near], GenerationSettings(temperature=0, max_new_tokens=400))
    assert got.tokens <= 512 - used


def test_an_adapter_changes_the_answers(base, tmp_path, player):
    adapted = LocalPlayer(ModelFiles(str(base), str(tiny.tiny_adapter(base, tmp_path / "adapter"))))
    assert adapted.respond(PROMPTS, GREEDY) != player.respond(PROMPTS, GREEDY)


def test_a_model_without_template_answers_through_the_plain_one(tmp_path):
    player = LocalPlayer(ModelFiles(str(tiny.tiny_gpt2(tmp_path / "gpt2"))))
    together = player.respond(PROMPTS, GREEDY)
    assert together == [player.respond([messages], GREEDY)[0] for messages in PROMPTS]


def test_batches_hold_every_row_once_within_the_limits():
    lengths = [(n * 37) % 900 + 1 for n in range(500)]
    found = list(batches(lengths, 256))
    assert sorted(i for batch in found for i in batch) == list(range(500))
    for batch in found:
        assert len(batch) <= BATCH_ROWS
        assert len(batch) * (max(lengths[i] for i in batch) + 256) <= BATCH_TOKENS
    assert list(batches([10**6], 1)) == [[0]]
    assert list(batches([], 1)) == []


@pytest.fixture(scope="module", params=["chat", "segments"])
def scorer(request, tmp_path_factory):
    template = tiny.CHATML if request.param == "chat" else None
    return RewardScorer(str(tiny.tiny_reward(tmp_path_factory.mktemp("reward"), template=template)))


PAIRS = [
    (PROMPTS[0], "Good day"),
    (PROMPTS[1], "Paris is the capital."),
    (PROMPTS[0], "No"),
    (PROMPTS[0], "Good day"),
]


def test_scores_do_not_depend_on_the_company(scorer):
    together = scorer.score(PAIRS)
    alone = [scorer.score([pair])[0] for pair in PAIRS]
    assert [s.score for s in together] == pytest.approx([s.score for s in alone], abs=1e-4)
    assert together[0].score == pytest.approx(together[3].score, abs=1e-4)
    assert len({round(s.score, 3) for s in together}) == 3
    assert not any(s.truncated for s in together)


def test_a_long_prompt_is_cut_from_its_left_and_the_answer_stays(scorer):
    chats = [
        [{"role": "user", "content": start + "the same long ending of it all " * 12}]
        for start in ("A", "Zebra ")
    ]
    first, second, other = scorer.score([(chats[0], "Yes."), (chats[1], "Yes."), (chats[0], "No!")])
    assert first.truncated
    assert second.truncated
    assert first.score == pytest.approx(second.score, abs=1e-4)  # only the beginning differed, and it is cut
    assert first.score != pytest.approx(other.score, abs=1e-3)


def test_an_answer_longer_than_everything_keeps_its_beginning(scorer):
    (a, b) = scorer.score([(PROMPTS[0], "begin " + "x " * 300), (PROMPTS[0], "other " + "x " * 300)])
    assert a.truncated
    assert b.truncated
    assert a.score != pytest.approx(b.score, abs=1e-4)


def test_a_published_style_reward_model_reads_question_and_answer_as_two_segments(tmp_path):
    from tokenizers.processors import TemplateProcessing
    from transformers import DebertaV2Config, DebertaV2ForSequenceClassification

    tokenizer = tiny.tiny_tokenizer(template=None)
    end = ("<|im_end|>", tokenizer.eos_token_id)
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single=f"$A {end[0]}", pair=f"$A {end[0]} $B:1 {end[0]}:1", special_tokens=[end]
    )
    torch.manual_seed(0)
    config = DebertaV2Config(
        vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64,
        max_position_embeddings=64, type_vocab_size=2, num_labels=1, initializer_range=0.2,
        pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    DebertaV2ForSequenceClassification(config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    scorer = RewardScorer(str(tmp_path))
    assert scorer.max_length == 64
    for got, (prompt, answer) in zip(scorer.score(PAIRS), PAIRS, strict=True):
        row = scorer.tokenizer(prompt[0]["content"], answer, return_tensors="pt")
        assert (row["input_ids"] == tokenizer.eos_token_id).sum() == 2
        with torch.no_grad():
            assert got.score == pytest.approx(scorer.model(**row).logits.item(), abs=1e-4)


def test_a_model_with_several_outputs_is_no_reward_model(tmp_path):
    from transformers import LlamaForSequenceClassification

    folder = tiny.tiny_reward(tmp_path / "two")
    model = LlamaForSequenceClassification.from_pretrained(folder, num_labels=2, ignore_mismatched_sizes=True)
    model.save_pretrained(folder)
    with pytest.raises(UserError, match="2 values"):
        RewardScorer(str(folder))


def test_a_missing_reward_model_is_one_line(tmp_path):
    with pytest.raises(UserError, match="neither a folder here"):
        RewardScorer(str(tmp_path / "none"))
