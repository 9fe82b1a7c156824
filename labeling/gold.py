"""Check questions: pairs whose better answer is known, from a file of pairs or by spoiling a stored answer.

Raters cannot tell them from other ballots; they are never counted.
"""

import random
from collections.abc import Callable, Iterator
from typing import NamedTuple

from sqlite_utils import Database

from db import campaigns, checks
from db.catalog import add_prompts, get_prompt, get_response, scores_of_campaign
from db.checks import GoldPair
from db.connection import transaction
from db.entities.campaigns import Campaign, Purpose
from db.entities.catalog import Prompt, Split, bare
from db.errors import UserError
from db.guarding import found_in_campaign
from labeling.formats.records import GivenPair
from labeling.importing import read_pairs
from labeling.scanning import found_in, names_in, words_of

FEWEST_WORDS = 3
"""an answer shorter than this cannot be spoiled so that it shows"""
CHUNK = 50
_MARKS = ".,;:!?|`*_()\"'"


class Added(NamedTuple):
    """What became of the check questions that were asked for."""

    added: int
    already_there: int
    refused: int


def spoiled(text: str, other: str) -> str:
    """A plainly worse answer: the start of the answer to another question, half as long, every word of it said twice.

    Words in disorder, or only cut off, were no worse to one made-up reader in four (docs/log.md).
    """
    length = max(FEWEST_WORDS, len(text.split()) // 2)
    words = [word.strip(_MARKS) or word for word in other.split()]
    return " ".join([word for word in words for _ in range(2)][:length])


def add_spoiled(db: Database, campaign: Campaign, n: int, seed: int = 0) -> Added:
    """Make up to n check questions of the campaign's own prompts: a stored answer against a spoiled version of it.

    Battles in which the blinding guard found something give none. UserError where the campaign has too few prompts with
    an answer of some words.
    """
    rng = random.Random(seed)
    found = found_in_campaign(db, campaign.id)
    battles = [b for b in campaigns.battles_of(db, campaign.id) if b.id not in found]
    rng.shuffle(battles)
    first = {b.prompt: b for b in reversed(battles)}
    shown = list(first.values())[: 4 * n + 4]
    best = _best(db, campaign)
    texts = {
        b.prompt: bare(get_response(db, max((b.response_a, b.response_b), key=best)).text or "")
        for b in shown
    }
    usable = {p: t for p, t in texts.items() if len(t.split()) >= FEWEST_WORDS}
    if len(usable) < 2:
        raise UserError(f"{campaign.name} has no two prompts with answers long enough to spoil",
                        "give check questions in a file of pairs: prompt, chosen, rejected")  # fmt: skip
    prompts = list(usable)
    pairs = []
    for i, prompt in enumerate(prompts[:n]):
        other = next((usable[q] for q in prompts[i + 1 :] + prompts[:i] if usable[q] != usable[prompt]), "")
        bad = spoiled(usable[prompt], other)
        if bad and bad != usable[prompt]:
            pairs.append(GoldPair(prompt, usable[prompt], bad))
    return _add(db, campaign, pairs, "degraded", refused=0)


def _best(db: Database, campaign: Campaign) -> Callable[[str], float]:
    """How good a response is by the scorers' mean, where there are any: the better one of two makes a fairer question."""
    scores = scores_of_campaign(db, campaign.id).values()
    return lambda response: sum(found[response].score for found in scores if response in found)


def add_file(db: Database, campaign: Campaign, source: str) -> Added:
    """Make check questions of a file of pairs: the chosen answer is the known better one.

    UserError where the file cannot be read, or holds nothing that can be used.
    """
    pairs, refused = [], 0
    for given in read_pairs(source):
        pair = _stored(db, campaign, given) if given is not None else None
        if pair is None:
            refused += 1
        else:
            pairs.append(pair)
    if not pairs:
        raise UserError(f"{source} holds no pair that can be a check question ({refused} refused)",
                        "each row needs a prompt and two different answers, chosen and rejected")  # fmt: skip
    return _add(db, campaign, pairs, "file", refused)


def _stored(db: Database, campaign: Campaign, given: GivenPair) -> GoldPair | None:
    """The pair with its prompt stored; None where the prompt may not be shown in this campaign, or nothing differs."""
    good, bad = bare(given.chosen), bare(given.rejected)
    if not given.prompt.messages or not good or not bad or good == bad:
        return None
    evaluating = campaign.settings.purpose is Purpose.EVALUATE
    prompt = Prompt.of(given.prompt.messages, Split.HELDOUT if evaluating else given.prompt.split)
    with transaction(db):
        add_prompts(db, [prompt])
    stored = get_prompt(db, prompt.id)
    return None if evaluating and stored.split is not Split.HELDOUT else GoldPair(prompt.id, good, bad)


def _add(db: Database, campaign: Campaign, pairs: list[GoldPair], source: str, refused: int) -> Added:
    """Store pairs in whose texts the blinding guard finds nothing; the others are refused."""
    names, words = names_in(db, campaign.id), words_of(db)
    clean = [p for p in pairs if not found_in(get_prompt(db, p.prompt).messages, p.good, p.bad, names, words)]
    added = sum(checks.add_gold_pairs(db, campaign, chunk, source) for chunk in _chunks(clean))
    return Added(added, len(clean) - added, refused + len(pairs) - len(clean))


def _chunks(pairs: list[GoldPair]) -> Iterator[list[GoldPair]]:
    return (pairs[i : i + CHUNK] for i in range(0, len(pairs), CHUNK))
