"""Whether a judge and the models it judges are of one family: such judges tend to prefer their own kind. Pure."""

import re
from collections.abc import Iterable, Sequence

# How the names of published models and of what is made from them begin; the first that fits is the family.
FAMILIES = {
    "GPT": r"(chat)?gpt-?([345]|oss)|\bo[134]\b",
    "GPT-2": r"gpt-?2",
    "Claude": r"claude",
    "Gemini and Gemma": r"gemini|gemma|palm",
    "Llama": r"llama|vicuna|alpaca|zephyr-llama",
    "Mistral": r"mistral|mixtral|ministral|zephyr",
    "Qwen": r"qwen|qwq",
    "Phi": r"\bphi-?\d",
    "SmolLM": r"smollm",
    "DeepSeek": r"deepseek",
    "Yi": r"\byi-",
    "Falcon": r"falcon",
    "OLMo": r"olmo|tulu",
    "Command": r"command-?[ar]|\baya\b",
    "the starter models": r"\bstarter-",
}


def family(names: Iterable[str]) -> str | None:
    """The family that a model's names (its own, its source, its ancestors') point to."""
    for name in names:
        for title, pattern in FAMILIES.items():
            if re.search(pattern, name, re.IGNORECASE):
                return title
    return None


def kin(judge: Sequence[str], rated: Sequence[str]) -> str | None:
    """What makes a judge and a model kin, in words; None where nothing does. Each is given with all its names."""
    if judge and rated and judge[0] == rated[0]:
        return "are the same model"
    if set(judge) & set(rated):
        return "come from the same model"
    one, other = family(judge), family(rated)
    return f"are of one family ({one})" if one is not None and one == other else None
