"""A campaign's settings by name: what each means, how it is typed, what fits together.

Pure, but for the KEY=@FILE of the command line.
"""

import dataclasses
import json
import math
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from db.entities.campaigns import (
    CampaignSettings,
    Guard,
    Matchmaking,
    Purpose,
    QuizQuestion,
    Recruit,
    Sampling,
)
from db.entities.catalog import content_id
from db.errors import UserError
from labeling.submission import LONGEST_NAME, MOST_NAMES

MEANING: Mapping[str, str] = {
    "purpose": "collect (its votes train) or evaluate (held-out prompts only, never trains)",
    "overlap": "votes wanted for each battle",
    "target": "votes wanted in all; none: battles x overlap",
    "rater_cap": "ballots one rater may get; none: as many as there are",
    "starts_at": "when ballots begin to go out, e.g. 2026-12-01T09:00 (UTC); none: at once",
    "ends_at": "when no further ballots go out; votes on those already out are taken",
    "guidelines": "what raters should look for (Markdown); always a key away",
    "consent_text": "what raters agree to before their first ballot (Markdown); empty: nothing",
    "consent_version": "the text's version, stored with every vote; made from the text where left out",
    "criteria": "further questions on each ballot, separated by commas: helpful, truthful",
    "ask_strength": "ask whether the preference is slight or clear",
    "ask_acceptable": "ask of each answer whether it is good enough by itself",
    "ask_comment": "offer a free comment",
    "ask_better": "offer to write a better answer; it trains, chosen over both",
    "reason_tags": "reasons raters may tick for each answer, separated by commas",
    "follow_turns": "after a ballot, go on with the same conversation where a longer one is there",
    "reveal": "when raters learn who wrote what: never, each (after each vote; then no undo), end",
    "undo_seconds": "how long a vote can be taken back",
    "lease_seconds": "how long a ballot is kept for the rater who has it",
    "time_floor": "seconds under which a vote is remarkable; it is flagged, never refused",
    "gold_rate": "share of ballots whose better answer is known (0 to 0.5); they check raters and never count",
    "repeat_rate": "share of ballots shown a second time, sides swapped (0 to 0.5)",
    "practice": "ballots with a known answer before the session, with feedback",
    "quiz": "comprehension check: JSON list of {question, answers, correct}, or @FILE; two tries",
    "warn_below": "share of right check questions under which a rater is flagged",
    "block_below": "the same under which a rater gets no more ballots; 0: nobody is sent away",
    "sampling": "which battle comes next: least_covered, uniform, most_uncertain, judge_disagreement",
    "random_share": "share of ballots drawn evenly whatever the sampling, so that figures stay unbiased",
    "matchmaking": "which models meet next, of three or more: uniform, least_played, most_informative",
    "live": "raters may write prompts of their own, which two of the models answer while they wait",
    "live_limit": "prompts of their own that one rater may write",
    "guard": "battles that give a model away: hold (not served), redact (words covered), allow",
    "count_leaked": "count votes on battles that give a model away",
    "recruit": "where raters come from: link, prolific, mturk",
    "completion_code": "code shown once a rater's votes are stored",
    "completion_url": "where they go then, e.g. https://app.prolific.com/submissions/complete?cc=CODE",
    "screenout_code": "code for those who fail the comprehension check or are sent away",
    "screenout_url": "where they go then",
    "share_results": "let raters of this campaign open its results",
    "recruited": "how raters were found and paid, for the card of an export",
    "license": "licence of the collected votes, for the card of an export, e.g. cc-by-4.0",
}

NONE = {"", "none"}
MOST = 1_000_000_000
"""the largest number of votes or ballots that a setting takes"""
YEAR = 366 * 24 * 3600
YES, NO = {"yes", "true", "on", "1"}, {"no", "false", "off", "0"}


class Reveal(StrEnum):
    """When raters learn who wrote what."""

    NEVER = "never"
    EACH = "each"
    END = "end"


def changed(settings: CampaignSettings, typed: Mapping[str, str]) -> CampaignSettings:
    """The settings with some of them replaced by what was typed; UserError names the one that is wrong."""
    values = {name: _value(name, text) for name, text in typed.items()}
    made = dataclasses.replace(settings, **values)  # type: ignore[arg-type]
    if made.consent_text and ("consent_version" not in values or not made.consent_version):
        unchanged = made.consent_text == settings.consent_text and settings.consent_version
        version = settings.consent_version if unchanged else f"text-{content_id(made.consent_text)[:8]}"
        made = dataclasses.replace(made, consent_version=version)
    check(made)
    return made


def check(settings: CampaignSettings) -> None:
    """UserError where settings are out of their bounds or do not fit together."""
    numbers = [v for f in dataclasses.fields(settings) if isinstance(v := getattr(settings, f.name), float)]
    for fine, what, remedy in (
        (all(map(math.isfinite, numbers)), "a setting is no number that can be reckoned with", "give a plain number"),
        (1 <= settings.overlap <= MOST, "overlap is the number of votes wanted for each battle",
         f"give 1 to {MOST}"),
        (settings.target is None or 1 <= settings.target <= MOST, "target is a number of votes",
         f"give 1 to {MOST}, or none"),
        (settings.rater_cap is None or 1 <= settings.rater_cap <= MOST, "rater_cap is a number of ballots",
         f"give 1 to {MOST}, or none"),
        (0 <= settings.undo_seconds <= YEAR, "undo_seconds is a time of a year at most", f"give 0 to {YEAR}"),
        (1 <= settings.lease_seconds <= YEAR, "lease_seconds is a time of a year at most", f"give 1 to {YEAR}"),
        (0 <= settings.time_floor <= YEAR, "time_floor is a time of a year at most", f"give 0 to {YEAR}"),
        (0 <= settings.practice <= 50, "practice is a number of ballots", "give 0 to 50"),
        (all(0 <= r <= 0.5 for r in (settings.gold_rate, settings.repeat_rate)), "gold_rate and repeat_rate are shares",
         "give 0 to 0.5"),
        (0 < settings.random_share <= 1, "random_share is a share", "give more than 0 and at most 1"),
        (0 <= settings.warn_below <= 1 and 0 <= settings.block_below <= 1, "warn_below and block_below are shares",
         "give 0 to 1"),
        (not (settings.starts_at and settings.ends_at) or str(settings.starts_at) < str(settings.ends_at),
         "the session ends before it starts", "give a later ends_at"),
        (not settings.block_below or settings.gold_rate > 0, "block_below needs check questions",
         "set gold_rate too, e.g. gold_rate=0.1"),
        (settings.reveal != "each" or not settings.gold_rate, "models that are revealed after each vote give check questions away",
         "reveal them at the end, or set gold_rate=0"),
        (all(0 <= q.correct < len(q.answers) >= 2 for q in settings.quiz),
         "each quiz question needs two answers or more and the place of the correct one, from 0", "mend the quiz"),
        (1 <= settings.live_limit <= MOST, "live_limit is a number of prompts", f"give 1 to {MOST}"),
        (not (settings.live and settings.purpose is Purpose.EVALUATE),
         "an evaluation takes held-out prompts only, and what raters write falls into either half",
         "set live=no, or collect"),
        *((len(names) <= MOST_NAMES and all(len(name) <= LONGEST_NAME for name in names), f"{what} are short, and a vote takes few of them",
           f"give at most {MOST_NAMES}, each of {LONGEST_NAME} characters at most")
          for what, names in (("criteria", settings.criteria), ("reason_tags", settings.reason_tags))),
        *((not url or urlsplit(url).scheme in ("http", "https"), f"{url!r} is no web address", "give https://...")
          for url in (settings.completion_url, settings.screenout_url)),
    ):  # fmt: skip
        if not fine:
            raise UserError(what, remedy)


def typed_pairs(pairs: Sequence[str]) -> dict[str, str]:
    """KEY=VALUE texts as a mapping; UserError for one without a key we know."""
    found = {}
    for pair in pairs:
        name, mark, value = pair.partition("=")
        if not mark or name.strip() not in MEANING:
            raise UserError(
                f"{pair!r} sets nothing we know", "`campaign settings` lists what can be set, as KEY=VALUE"
            )
        found[name.strip()] = _typed_or_in_file(name, value.strip())
    return found


def _typed_or_in_file(name: str, value: str) -> str:
    """What was typed, or what is in the file after an @; two of them stand for one that is meant."""
    if value.startswith("@@"):
        return value[1:]
    return _of_file(name, value[1:]) if value.startswith("@") else value


def _of_file(name: str, path: str) -> str:
    try:
        return Path(path).expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise UserError(f"{name}: cannot read {path} ({why})", "name a text file") from None


def shown(settings: CampaignSettings, name: str) -> str:
    """A setting as a person would type it."""
    value = getattr(settings, name)
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if name == "quiz":
        return json.dumps([dataclasses.asdict(q) for q in value]) if value else ""
    return (
        ", ".join(value)
        if isinstance(value, tuple)
        else f"{value:g}"
        if isinstance(value, float)
        else str(value)
    )


def _value(name: str, text: str) -> object:
    parse = _PARSERS.get(name, _text)
    try:
        return parse(text)
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        typed = " ".join(text[:60].split())
        raise UserError(f"{name}={typed} does not fit: {MEANING[name]}", FITS[parse]) from None


def _text(text: str) -> str:
    return text.strip()


def _yes_or_no(text: str) -> bool:
    if text.strip().lower() not in YES | NO:
        raise ValueError
    return text.strip().lower() in YES


def _optional_int(text: str) -> int | None:
    return None if text.strip().lower() in NONE else _int(text)


def _int(text: str) -> int:
    return int(text)


def _float(text: str) -> float:
    return float(text)


def _reveal(text: str) -> str:
    return Reveal(text.strip()).value


def _list(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))


def _time(text: str) -> str | None:
    """A time as the database writes it; one without a zone is UTC."""
    if text.strip().lower() in NONE:
        return None
    moment = datetime.fromisoformat(text.strip().replace("Z", "+00:00"))
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.000Z")


def _quiz(text: str) -> tuple[QuizQuestion, ...]:
    if not text.strip():
        return ()
    rows: Any = json.loads(text)
    return tuple(
        QuizQuestion(str(r["question"]), tuple(map(str, r["answers"])), int(r["correct"])) for r in rows
    )


_PARSERS: Mapping[str, Callable[[str], object]] = {
    "purpose": Purpose, "sampling": Sampling, "guard": Guard, "recruit": Recruit,
    "matchmaking": Matchmaking, "reveal": _reveal, "quiz": _quiz, "criteria": _list, "reason_tags": _list,
    "starts_at": _time, "ends_at": _time, "target": _optional_int, "rater_cap": _optional_int,
    **dict.fromkeys(("overlap", "undo_seconds", "lease_seconds", "practice", "live_limit"), _int),
    **dict.fromkeys(("time_floor", "gold_rate", "repeat_rate", "random_share", "warn_below", "block_below"), _float),
    **{f.name: _yes_or_no for f in dataclasses.fields(CampaignSettings) if f.type is bool},
}  # fmt: skip


def _one_of(words: type[StrEnum]) -> str:
    return "give one of: " + ", ".join(words)


FITS: Mapping[Callable[[str], object], str] = {
    Purpose: _one_of(Purpose), Sampling: _one_of(Sampling), Guard: _one_of(Guard), Recruit: _one_of(Recruit),
    Matchmaking: _one_of(Matchmaking),
    _reveal: _one_of(Reveal), _int: "give a whole number, e.g. 3", _optional_int: "give a whole number, or none",
    _float: "give a number, e.g. 0.1", _yes_or_no: "say yes or no", _time: "give a date like 2026-12-01T09:00, or none",
    _quiz: 'give a list like [{"question": "Which?", "answers": ["this", "that"], "correct": 0}], or @FILE',
}  # fmt: skip
"""what to type, by how a setting is read"""
