"""Workflow of the blinding guard: scan a campaign's battles, keep the owner's list, cover words at serving, list."""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from sqlite_utils import Database

from db import guarding as store
from db.campaigns import battles_to_be, campaign_by_id, get_campaign
from db.campaigns import set_status as store_status
from db.catalog import get_setting, set_setting
from db.connection import transaction
from db.entities.campaigns import Campaign, CampaignStatus, Finding, FindingKind, Guard, Purpose
from db.entities.catalog import Message
from db.errors import UserError
from labeling.guard_words import DEFAULT, GuardWords, default_words, parse_words
from labeling.guarding import COVERABLE, excerpt, findings, redacted

CHUNK = 100
"""battles a transaction: only what was found is written in it, a few milliseconds"""
WORDS = "guard_words"
"""the setting that holds the owner's list where it is not the program's own"""
HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
SHOWN = {
    FindingKind.IDENTITY: "names its model or maker",
    FindingKind.TEMPLATE: "chat template remains",
    FindingKind.NEAR_IDENTICAL: "both answers as good as the same",
    FindingKind.EMPTY: "empty answer",
    FindingKind.REPORTED: "reported by a rater",
    FindingKind.BY_HAND: "held by hand",
}
"""the kinds in words for the owner"""
UNKNOWN = "its text is not known here"
"""what is found in an answer of which an import gave no text"""


class Scanned(NamedTuple):
    """What a scan did."""

    battles: int
    found: int
    """battles with a finding"""


class Ahead(NamedTuple):
    """What was found in the battles of a campaign to be, with which names and words."""

    names: tuple[str, ...]
    words: GuardWords
    found: Mapping[tuple[str, str], tuple[Finding, ...]]
    """by the two responses"""


def read_ahead(db: Database, models: Sequence[str], prompts: str, purpose: Purpose) -> Ahead:
    """Look at the battles that a campaign would have, before the transaction that makes them: votes wait for that one.

    A reader's connection will do.
    """
    names, words = own_names(store.names_of(db, models)), words_of(db)
    to_be = battles_to_be(db, models, prompts, purpose)
    return Ahead(names, words, {
        (b.response_a, b.response_b): found_in(b.messages, b.text_a, b.text_b, names, words) for b in to_be
    })  # fmt: skip


def scan(db: Database, campaign: int, ahead: Ahead | None = None) -> Scanned:
    """Look at every battle of a campaign and keep what is found, chunk by chunk. A second scan adds nothing new.

    What was looked at ahead with the names and words of now is kept at once; only what came since is read.
    """
    names = names_in(db, campaign)
    battles = store.scannable(db, campaign)
    read = ahead.found if ahead and (ahead.names, ahead.words) == (names, words_of(db)) else {}
    known = {battle: read[two] for battle, two in battles.items() if two in read}
    store.put_findings(db, known)
    hits = sum(map(bool, known.values()))
    left = [battle for battle in battles if battle not in known]
    hits += sum(scan_battles(db, left[at : at + CHUNK], names) for at in range(0, len(left), CHUNK))
    store.carry_decisions(db, campaign)
    store.mark_scanned(db, campaign)
    return Scanned(len(battles), hits)


def names_in(db: Database, campaign: int) -> tuple[str, ...]:
    """The names to look for in a campaign's battles: those of its own models."""
    return own_names(store.names_of(db, campaign_by_id(db, campaign).models))


def scan_battles(db: Database, battles: Sequence[int], names: Sequence[str]) -> int:
    """Look at these battles and keep what is found; in how many there was something."""
    words = words_of(db)
    chunk = store.battle_texts(db, battles)
    found = {b.battle: found_in(b.messages, b.text_a, b.text_b, names, words) for b in chunk}
    store.put_findings(db, found)
    return sum(map(bool, found.values()))


def scan_unscanned(db: Database) -> list[str]:
    """Look at the open campaigns that nobody has looked at (an older version's); what was done, a line for each."""
    done = []
    for campaign in store.unscanned(db):
        scanned, name = scan(db, campaign), campaign_by_id(db, campaign).name
        found = (
            f', {scanned.found:,} with something found: `campaign guard "{name}"`' if scanned.found else ""
        )
        done.append(f"Looked at {_n(scanned.battles, 'battle')} of {name}{found}")
    return done


def set_status(db: Database, name: str, status: CampaignStatus) -> Campaign:
    """Open, pause or close a campaign. One that nobody has looked at is scanned before it opens."""
    chosen = get_campaign(db, name)
    if status is CampaignStatus.OPEN and not store.is_scanned(db, chosen.id):
        scan(db, chosen.id)
    return store_status(db, name, status)


def found_in(
    messages: Sequence[Message],
    text_a: str | None,
    text_b: str | None,
    names: Sequence[str],
    words: GuardWords,
) -> tuple[Finding, ...]:
    """What is found in a battle. An answer whose text is not known (an imported vote's) leaves nothing to read."""
    missing = [slot for slot, text in (("a", text_a), ("b", text_b)) if text is None]
    if text_a is None or text_b is None:
        return tuple(Finding(slot, FindingKind.EMPTY, UNKNOWN) for slot in missing)
    return findings(messages, text_a, text_b, names, words)


def own_names(names: Sequence[str]) -> tuple[str, ...]:
    """The names to look for: a hub id as it is, of a folder its last part."""
    return tuple(n if HUB_ID.fullmatch(n) else re.split(r"[/\\]", n.rstrip("/\\"))[-1] for n in names)


# -- the list ----------------------------------------------------------------------------------------------------


def words_text(db: Database) -> str:
    """The list as the owner sees and edits it."""
    return get_setting(db, WORDS) or DEFAULT.read_text(encoding="utf-8")


def words_of(db: Database) -> GuardWords:
    """The list that is in force."""
    return _parsed(words_text(db))


_parsed = lru_cache(maxsize=8)(parse_words)


def save_words(db: Database, text: str) -> GuardWords:
    """Keep a list in place of the program's own; an empty text brings that back. UserError says what cannot be read.

    Campaigns that are there already keep their findings until they are scanned again.
    """
    words = parse_words(text) if text.strip() else default_words()
    if not (words.names or words.everyday):
        raise UserError("the list names no maker or model", "give it a section [names]")
    own = text.strip() and text.strip() != DEFAULT.read_text(encoding="utf-8").strip()
    set_setting(db, WORDS, text if own else "")
    return words


# -- serving -----------------------------------------------------------------------------------------------------


def as_served(
    db: Database, campaign: Campaign, battle: int, text_a: str | None, text_b: str | None
) -> tuple[str, str]:
    """The two texts of a battle as raters read them: with leaks covered where the campaign says so.

    Only what is shown changes. The texts that become chosen and rejected are the stored ones.
    """
    a, b = text_a or "", text_b or ""
    if campaign.settings.guard is not Guard.REDACT:
        return a, b
    words = store.covered_words(db, battle)
    return redacted(a, words.get("a", ())), redacted(b, words.get("b", ()))


# -- for the owner -----------------------------------------------------------------------------------------------


class Listed(NamedTuple):
    """A finding with the words around it, and what becomes of the battle."""

    battle: int
    slot: str
    kind: str
    what: str
    before: str
    after: str
    state: str
    prompt: str
    votes: int
    found_at: str
    by: str | None


def listed(db: Database, campaign: Campaign, limit: int = -1) -> list[Listed]:
    """The findings of a campaign, standing ones first, each with its place in the text."""
    rows = []
    for row in store.findings_of(db, campaign.id, limit):
        before, what, after = ("", row.what, "")
        if row.kind in COVERABLE:
            before, what, after = excerpt(row.text, row.what)
        rows.append(Listed(
            row.battle, row.slot, row.kind.value, what or row.what, before, after, state_of(campaign, row),
            " ".join(row.prompt.split())[:120], row.votes, row.found_at, row.dismissed_by or row.by,
        ))  # fmt: skip
    return rows


def state_of(campaign: Campaign, row: store.FindingRow) -> str:
    """What becomes of a battle with this finding, in words."""
    if row.dismissed_at is not None:
        return "released"
    if row.held:
        return "held"
    if row.leaked:
        return "served" if campaign.settings.count_leaked else "served, votes left out"
    return "served, words covered" if row.kind in COVERABLE else "served"


def summary(db: Database, campaign: Campaign) -> list[str]:
    """The guard's counts of a campaign in plain sentences."""
    c = store.guard_counts(db, campaign.id)
    lines = [
        f"Held: {_n(c.held, 'battle')}. Giving a model away: {c.leaked:,}. Reported by raters: {c.reported:,}."
    ]
    if c.left_out:
        lines.append(f"Left out of every figure for giving a model away: {_n(c.left_out, 'vote')}.")
    if c.marked:
        lines.append(f"Imported, on such a battle, marked and counted: {_n(c.marked, 'vote')}.")
    return lines


def _n(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'s' * (count != 1)}"


def notes(db: Database, campaign: int) -> list[str]:
    """What to tell whoever just made a campaign or filled one: nothing where nothing was found."""
    found, held, unknown = store.found_beside(db, campaign, UNKNOWN)
    told = [f"{_n(unknown, 'battle')} without its texts here, never shown to raters"] if unknown else []
    if not found:
        return told
    name = campaign_by_id(db, campaign).name
    return [*told, (f"{_n(found, 'battle')} with an answer that gives its model away, is empty or equals the other; "
             f'{held:,} held; `campaign guard "{name}"` lists them')]  # fmt: skip


def document(db: Database, campaign: Campaign) -> dict[str, object]:
    """What `campaign guard --json` prints."""
    counts = store.guard_counts(db, campaign.id)._asdict()
    rows = [row._asdict() for row in listed(db, campaign)]
    return {"campaign": campaign.name, "rule": campaign.settings.guard.value,
            "count_leaked": campaign.settings.count_leaked, **counts, "findings": rows}  # fmt: skip


def lines(db: Database, campaign: Campaign) -> list[str]:
    """What `campaign guard` prints for a person: the counts, then each finding with the words around it."""
    out = [f"{campaign.name}: {campaign.settings.guard.value}", *summary(db, campaign)]
    for row in listed(db, campaign):
        where = {"a": "one answer", "b": "the other answer"}.get(row.slot, "both answers")
        words = f": {row.before}>>{row.what}<<{row.after}" if row.before or row.after else f": {row.what}"
        out.append(f"battle {row.battle} [{row.state}] {SHOWN[FindingKind(row.kind)]}, {where}{words}")
    return out


def decide(db: Database, name: str, battle: int, who: str, *, held: bool, reason: str = "") -> str:
    """Release a battle of a campaign, or hold it by hand; what was done, in a sentence."""
    with transaction(db):
        chosen = campaign_by_id(db, store.campaign_of(db, battle))
        if chosen.name != name:
            raise UserError(f"battle {battle} belongs to campaign {chosen.name!r}, not {name!r}",
                            "`campaign guard NAME` lists a campaign's battles by number")  # fmt: skip
        if held:
            store.hold(db, battle, who, reason)
            return f"Battle {battle} is held; the votes it has stay."
        n = store.release(db, battle, who, reason)
        return f"Battle {battle} is served and counted again; {_n(n, 'finding')} dismissed."
