"""The guard's eye: every planted leak is found, plain subject matter is not, and covering leaves the rest as it was."""

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from db.entities.campaigns import Finding, FindingKind
from db.errors import UserError
from labeling.folding import Folded, fold
from labeling.guard_words import DEFAULT, default_words, long_enough, parse_words
from labeling.guarding import HIDDEN, excerpt, findings, is_empty, near_identical, places, redacted
from tests.leaks import CLEAN, LEAKS, OWN

OTHER = "Something else entirely, my friend."
TEXTS = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=60)


def found(text, prompt="Tell me something.", other=OTHER, names=OWN, words=None):
    return findings([{"role": "user", "content": prompt}], text, other, names, words or default_words())


def kinds(text, **given_):
    return {f.kind for f in found(text, **given_)}


# -- who wrote it ------------------------------------------------------------------------------------------------


def test_there_are_sixty_leaks_in_many_languages():
    assert len(LEAKS) >= 60
    assert len({unicodedata.name(c).split()[0] for t in LEAKS for c in t if c.isalpha()}) >= 8


@pytest.mark.parametrize("text", LEAKS)
def test_every_planted_leak_is_found_in_either_slot(text):
    assert FindingKind.IDENTITY in {f.kind for f in found(text) if f.slot == "a"}
    swapped = found(OTHER, other=text)
    assert FindingKind.IDENTITY in {f.kind for f in swapped if f.slot == "b"}


@pytest.mark.parametrize(("prompt", "text"), CLEAN)
def test_what_an_answer_merely_writes_about_is_no_leak(prompt, text):
    assert found(text, prompt) == ()


@pytest.mark.parametrize("text", LEAKS)
def test_covered_leaks_are_leaks_no_more(text):
    what = [f.what for f in found(text)]
    shown = redacted(text, what)
    assert HIDDEN in shown
    assert not any(places(shown, w) for w in what)
    assert found(shown) == ()


def test_the_spelling_of_a_name_does_not_matter():
    for text in (
        "i am chat-gpt.",
        "I AM CHATGPT.",
        "I am Ｃｈａｔ ＧＰＴ.",
        "I am **Chat\u00adGPT**.",
        "I’m ChatGPT.",
    ):
        assert FindingKind.IDENTITY in kinds(text), text


def test_a_campaigns_own_names_are_found_wherever_they_stand():
    assert found("Both acme_chat 7b and others agree.") == (
        Finding("a", FindingKind.IDENTITY, "acme_chat 7b"),
    )
    assert found("Such is the AcmeChat-7B-Instruct way.")[0].what == "AcmeChat-7B-Instruct"
    assert found("I am made by acmelabs, whose jam is good.")[0].what == "acmelabs"
    assert found("The jam of Acmelabs is good.") == ()
    assert found("A megaacme-chat-7bc is something else.") == ()


def test_names_under_four_letters_and_plain_words_are_not_searched():
    assert not long_enough("sft")
    assert long_enough("llama")
    assert long_enough("千问")
    assert found("The abc of it is that I am sft.", names=("abc", "sft")) == ()
    assert found("The base of the helpful model.", names=("base", "helpful", "checkpoint")) == ()
    assert found("The checkpoint-500 of it.", names=("checkpoint-500",))[0].what == "checkpoint-500"


def test_a_name_that_the_prompt_brought_up_is_no_leak():
    text = "acme-chat-7b is a model."
    assert found(text)
    assert found(text, "What is acme-chat-7b?") == ()
    assert found(text, "What is Acme Chat 7B?") == ()
    assert found("I am Claude, at your service.", "You are Claude, a butler. Greet me.") == ()


def test_a_prompt_that_asks_who_speaks_excuses_no_answer():
    assert found("Yes, I am ChatGPT.", "Are you ChatGPT?")[0].what == "ChatGPT"
    assert found("I work much like ChatGPT does.", "Are you as good as ChatGPT?") == ()


def test_the_part_of_a_longer_name_is_not_found_twice():
    assert [f.what for f in found("I am a model by Mistral AI.")] == ["Mistral AI"]


# -- what else ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [
    "It is blue.<|im_end|>", "<|im_start|>assistant\nIt is blue.", "[INST] why? [/INST] It is blue.",
    "It is blue.</s>", "<s> It is blue.", "### Response: It is blue.", "### Instruction:\nNow another one",
    "Assistant: It is blue.", "**AI:** It is blue.", "It is blue.<end_of_turn>", "<<SYS>> be nice <</SYS>> Blue",
    "<think>Is it blue?</think> It is blue.", "It is blue.\n\nHuman: And why?", "It is blue.\nUser: why?\nAssistant: so.",
    "▁It▁is▁blue", "ĠIt Ġis Ġblue", "Blue [PAD] [PAD]", "<｜end▁of▁sentence｜>Blue", "**API REQUEST ERROR**",
])  # fmt: skip
def test_remains_of_a_template_are_found_and_can_be_covered(text):
    hits = [f for f in found(text) if f.kind is FindingKind.TEMPLATE]
    assert hits
    assert FindingKind.TEMPLATE not in kinds(redacted(text, [f.what for f in hits]))


@pytest.mark.parametrize(("prompt", "text"), [
    ("Explain HTML.", "Use <b>bold</b>, <s>struck</s> and <p>paragraphs</p>."),
    ("What is [INST]?", "[INST] opens an instruction."),
    ("Show me the tokens.", "They look like this:\n```\n<|im_start|>user\n```\nand `<|im_end|>`."),
    ("Write a dialogue of a user and an assistant.", "User: Hello\nAssistant: Hi!"),
    ("A recipe, please.", "### Instructions\nStir.\n\n### Ingredients\nFlour."),
    ("Use F#.", "let x = f <| y |> g"),
    ("Times?", "Assistant referees: two. Start: 9:00. The AI: a short history."),
])  # fmt: skip
def test_what_looks_like_a_template_and_is_none(prompt, text):
    assert FindingKind.TEMPLATE not in kinds(text, prompt=prompt)


LONG = " ".join(f"word{i}" for i in range(60)).replace("0", "o").translate({ord(c): "x" for c in "123456789"})


def test_near_identical_means_that_nothing_is_left_to_choose():
    assert near_identical("It is **blue**.", " It  is blue")
    assert not near_identical("The answer is 41.", "The answer is 42.")
    assert not near_identical("a giant spider", "A Giant Spider")
    assert not near_identical("", "")
    words = [f"w{chr(97 + i % 26)}{chr(97 + i // 26)}" for i in range(100)]
    one, three = [*words[:50], "other", *words[51:]], ["x", "y", "z", *words[3:]]
    number = [*words[:50], "17", *words[51:]]
    assert near_identical(" ".join(words), " ".join(one))
    assert not near_identical(" ".join(words), " ".join(three))
    assert not near_identical(" ".join(number), " ".join([*words[:50], "18", *words[51:]]))
    assert kinds("It is blue.", other="It is blue!") == {FindingKind.NEAR_IDENTICAL}


@given(TEXTS, TEXTS)
def test_near_identical_does_not_depend_on_the_order(a, b):
    assert near_identical(a, b) == near_identical(b, a)


@pytest.mark.parametrize("text", ["", " \n\t", "...", "\u200b\u00ad", "```", "<|im_end|>", "-"])
def test_a_text_with_nothing_to_read_is_empty(text):
    assert FindingKind.EMPTY in kinds(text)


@pytest.mark.parametrize("text", ["4", "да", "好", "👍", "→", "/\\_/\\", "a"])
def test_a_short_answer_is_not_empty(text):
    assert not is_empty(text)


# -- covering and folding ----------------------------------------------------------------------------------------


@given(TEXTS)
@example("ﬃ Ⅷ ½ İstanbul ǅ")
@example("が한국어 हिन्दी")
def test_folding_whole_or_by_letter_is_the_same(text):
    assert Folded(text).folded == fold(text)
    assert fold(fold(text)) == fold(text)


@given(TEXTS, st.sampled_from(["ChatGPT", "OpenAI", "Größe", "通义千问", "Mistral AI"]), TEXTS)
def test_covering_takes_the_words_and_leaves_the_rest(before, what, after):
    text = f"{before} {what} {after}"
    shown = redacted(text, [what])
    assert HIDDEN in shown
    assert not places(shown, what)
    kept = [piece for piece in shown.split(HIDDEN) if piece]
    assert all(piece in text for piece in kept)


@given(TEXTS)
def test_a_text_without_findings_is_served_as_it_is(text):
    assert redacted(text, []) == text


def test_an_excerpt_marks_the_first_place():
    assert excerpt("So, I am\nChatGPT!", "chatgpt") == ("So, I am ", "ChatGPT", "!")
    assert excerpt("nothing of it", "chatgpt") == ("", "", "nothing of it")


# -- the list ----------------------------------------------------------------------------------------------------


def test_an_owners_own_names_and_phrases_are_searched():
    words = parse_words(DEFAULT.read_text(encoding="utf-8")
                        .replace("[names]\n", "[names]\nFrobnicator\n")
                        .replace("[phrases]\n", "[phrases]\nbeep boop\nwith love (from|by) {name}\n")
                        .replace("[templates]\n", "[templates]\n[[SNIP]]\n"))  # fmt: skip
    assert found("I am Frobnicator.", words=words)[0].what == "Frobnicator"
    assert found("With love from Apple.", words=words)[0].what == "Apple"
    assert found("And so: Beep, boop!", words=words)[0].kind is FindingKind.IDENTITY
    assert found("Blue [[SNIP]]", words=words)[0].kind is FindingKind.TEMPLATE
    assert found("I am Frobnicator. With love from Apple. Beep boop [[SNIP]]") == ()


def test_an_ignored_name_is_not_looked_for():
    words = parse_words(DEFAULT.read_text(encoding="utf-8").replace("\n[ignored]\n", "\n[ignored]\nclaude\n"))
    assert found("My name is Claude.", words=words) == ()


@pytest.mark.parametrize(("text", "what"), [
    ("Acme", "before any"),
    ("[phrases]\nmade in {place}", "{place}"),
    ("[phrases]\nmade (in|by {name}", "cannot be read"),
])  # fmt: skip
def test_a_list_that_cannot_be_read_says_where(text, what):
    with pytest.raises(UserError, match=what.replace("{", r"\{").replace("(", r"\(")):
        parse_words(text)
