"""Which language a prompt is in: right where it is said at all."""

import json
from pathlib import Path

import pytest

from arena.language import language_of

PROMPTS = {
    "de": "Was ist der Unterschied zwischen einem Hund und einer Katze?",
    "fr": "Écris un poème sur l'automne à Paris.",
    "es": "¿Cuál es la capital de Australia?",
    "it": "Scrivi una poesia sull'autunno.",
    "pt": "Qual é a capital da Austrália?",
    "nl": "Schrijf een gedicht over de herfst.",
    "sv": "Skriv en dikt om hösten i Stockholm.",
    "ru": "Какая столица Австралии?",
    "zh": "请写一首关于秋天的诗，不少于四句话。",
    "ja": "オーストラリアの首都はどこですか？",
    "en": "What is the capital of Australia?",
}


@pytest.mark.parametrize("code", PROMPTS)
def test_a_short_prompt_is_known_by_its_language(code: str) -> None:
    assert language_of(PROMPTS[code]) == code


@pytest.mark.parametrize(
    "text", ["", "2 + 2 = ?", "def f(x):", "```python\nprint('what is this language')\n```"]
)
def test_nothing_is_guessed_where_there_are_no_words(text: str) -> None:
    assert language_of(text) is None


def test_real_english_prompts_are_english_or_unclear_and_mostly_clear(shared_data: Path) -> None:
    lines = (shared_data / "hh_helpful_base_test.jsonl").read_text().splitlines()[:600]
    found = [language_of(json.loads(line)["prompt"][0]["content"]) for line in lines]
    assert {code for code in found if code} == {"en"}
    assert found.count("en") > 0.9 * len(found)
