"""What an owner sets up: campaigns and their settings, the battles in them, what the guard finds there."""

from dataclasses import dataclass
from enum import StrEnum


class Purpose(StrEnum):
    """What a campaign's votes are for: `collect` votes train, `evaluate` votes never do."""

    COLLECT = "collect"
    EVALUATE = "evaluate"


class CampaignStatus(StrEnum):
    """Where a campaign stands; only an open one hands out ballots."""

    DRAFT = "draft"
    OPEN = "open"
    PAUSED = "paused"
    CLOSED = "closed"


class Sampling(StrEnum):
    """Which battle comes next to whoever asks."""

    LEAST_COVERED = "least_covered"
    UNIFORM = "uniform"
    MOST_UNCERTAIN = "most_uncertain"
    JUDGE_DISAGREEMENT = "judge_disagreement"


class Matchmaking(StrEnum):
    """Which two of a campaign's models meet next, where there are more than two."""

    UNIFORM = "uniform"
    """each two as likely as any other"""
    LEAST_PLAYED = "least_played"
    """the fewer battles two had, the likelier"""
    MOST_INFORMATIVE = "most_informative"
    """the more a further vote would narrow their win rate, the likelier"""


class Guard(StrEnum):
    """What becomes of a battle that gives a model away: not served, served with the words covered, or served."""

    HOLD = "hold"
    REDACT = "redact"
    ALLOW = "allow"


class FindingKind(StrEnum):
    """What the blinding guard finds in a battle, what raters report, and what an owner holds by hand."""

    IDENTITY = "identity"
    TEMPLATE = "template"
    NEAR_IDENTICAL = "near_identical"
    EMPTY = "empty"
    REPORTED = "reported"
    BY_HAND = "by_hand"


class Recruit(StrEnum):
    """Where raters come from."""

    LINK = "link"
    PROLIFIC = "prolific"
    MTURK = "mturk"


@dataclass(frozen=True, slots=True)
class QuizQuestion:
    """A question of the comprehension check; `correct` is the place of the right answer among `answers`."""

    question: str
    answers: tuple[str, ...]
    correct: int


@dataclass(frozen=True, slots=True)
class CampaignSettings:
    """What the owner decides about a campaign.

    What raters are asked and shown (FROZEN) stays as it is once there are votes; a trigger holds it.
    Rates and shares are between 0 and 1, times UTC ISO text, `time_floor` seconds a ballot.
    """

    purpose: Purpose = Purpose.COLLECT
    overlap: int = 1
    criteria: tuple[str, ...] = ()
    guidelines: str = ""
    consent_text: str = ""
    consent_version: str = ""
    reveal: str = "never"
    undo_seconds: int = 600
    lease_seconds: int = 900
    target: int | None = None
    rater_cap: int | None = None
    starts_at: str | None = None
    ends_at: str | None = None
    ask_strength: bool = False
    ask_acceptable: bool = False
    ask_comment: bool = False
    ask_better: bool = False
    reason_tags: tuple[str, ...] = ()
    follow_turns: bool = False
    time_floor: float = 0.0
    gold_rate: float = 0.0
    repeat_rate: float = 0.0
    practice: int = 0
    quiz: tuple[QuizQuestion, ...] = ()
    sampling: Sampling = Sampling.LEAST_COVERED
    random_share: float = 0.2
    matchmaking: Matchmaking = Matchmaking.UNIFORM
    live: bool = False
    live_limit: int = 20
    guard: Guard = Guard.HOLD
    count_leaked: bool = False
    warn_below: float = 0.7
    block_below: float = 0.0
    recruit: Recruit = Recruit.LINK
    completion_code: str = ""
    screenout_code: str = ""
    completion_url: str = ""
    screenout_url: str = ""
    share_results: bool = False
    recruited: str = ""
    license: str = ""


FROZEN = frozenset({
    "purpose", "overlap", "criteria", "guidelines", "consent_text", "consent_version", "reveal", "ask_strength",
    "ask_acceptable", "ask_comment", "ask_better", "reason_tags", "gold_rate", "repeat_rate", "practice", "quiz",
    "sampling", "random_share", "guard",
})  # fmt: skip
"""the settings that a campaign with votes cannot change: a change makes a new version (trigger campaigns_frozen)"""


@dataclass(frozen=True, slots=True)
class Campaign:
    """Models that meet over prompts, blind, under one set of questions."""

    id: int
    name: str
    models: tuple[str, ...]
    prompts: str
    status: CampaignStatus
    settings: CampaignSettings
    lineage: int
    parent_run: int | None = None
    demo: str | None = None
    created_at: str = ""
    version: int = 1


@dataclass(frozen=True, slots=True)
class Battle:
    """Two different responses to one prompt; slot a belongs to the campaign's earlier model."""

    id: int
    campaign: int
    prompt: str
    response_a: str
    response_b: str
    model_a: str
    model_b: str


@dataclass(frozen=True, slots=True)
class Finding:
    """Something the guard found in a battle: in slot a, b or both, of what kind, and the words themselves.

    For a report, `what` is the row number of the rater who gave it.
    """

    slot: str
    kind: FindingKind
    what: str
