"""The vocabulary: one frozen dataclass a noun, one StrEnum a closed set (docs/vocabulary.md).

Types here know nothing of SQL, files or pages. Ids that are text are hashes of content or random bits;
ids that are whole numbers are row numbers and give the order of arrival.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypedDict


class Message(TypedDict):
    """One turn of a chat, in the form every chat template takes."""

    role: str
    content: str


class Split(StrEnum):
    """Whether a prompt may train (train) or is kept for measuring (heldout)."""

    TRAIN = "train"
    HELDOUT = "heldout"


class ModelKind(StrEnum):
    """What answers: weights on disk or on a hub, an adapter over them, a server, or recorded texts."""

    CHECKPOINT = "checkpoint"
    ADAPTER = "adapter"
    ENDPOINT = "endpoint"
    RECORDED = "recorded"


class Quantize(StrEnum):
    """How a checkpoint's weights are held in memory."""

    FOUR_BIT = "4bit"
    EIGHT_BIT = "8bit"


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


class RaterKind(StrEnum):
    """Who judges: a person, a made-up rater, or a machine judge."""

    PERSON = "person"
    SIMULATED = "simulated"
    JUDGE = "judge"


class Side(StrEnum):
    """A panel of the ballot."""

    LEFT = "left"
    RIGHT = "right"


class Choice(StrEnum):
    """What was pressed, in terms of the screen."""

    LEFT = "left"
    RIGHT = "right"
    TIE = "tie"
    BOTH_GOOD = "both_good"
    BOTH_BAD = "both_bad"
    SKIP = "skip"


class Outcome(StrEnum):
    """The same in terms of the battle, independent of sides."""

    A = "a"
    B = "b"
    TIE = "tie"
    BOTH_GOOD = "both_good"
    BOTH_BAD = "both_bad"
    SKIP = "skip"

    decisive: bool
    """whether one response won; kept, for it is asked of every vote many times"""

    def __init__(self, value: str) -> None:
        self.decisive = value in ("a", "b")


class Strength(StrEnum):
    """How clear the preference was."""

    SLIGHT = "slight"
    CLEAR = "clear"


class BallotKind(StrEnum):
    """Why a battle is lent: for its vote, or to check the rater (raters cannot tell)."""

    BATTLE = "battle"
    GOLD = "gold"
    """two answers whose better one is known"""
    REPEAT = "repeat"
    """a battle the rater has judged before, sides swapped"""
    PRACTICE = "practice"
    """a known answer before the session counts, with feedback"""


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


class NoticeKind(StrEnum):
    """What the owners are told of."""

    TARGET_MET = "target_met"
    JOB_ENDED = "job_ended"
    ALARM = "alarm"


class OwnerRole(StrEnum):
    """An owner acts; a viewer looks."""

    OWNER = "owner"
    VIEWER = "viewer"


class RunKind(StrEnum):
    """The kinds of training."""

    SFT = "sft"
    DPO = "dpo"
    KTO = "kto"
    REWARD = "reward"


class RunStatus(StrEnum):
    """Where a run stands."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class JobStatus(StrEnum):
    """Where a job stands."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def over(self) -> bool:
        """Whether nothing more will happen."""
        return self not in (JobStatus.QUEUED, JobStatus.RUNNING)


def content_id(*parts: object) -> str:
    """128 bits of SHA-256 over the canonical JSON of the parts, as 32 hex digits.

    Two things have the same id exactly when their content is the same, so importing twice adds nothing.
    """
    text = json.dumps(parts, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def bare(text: str) -> str:
    """A text without the spaces, tabs and line ends around it: what decides whether two responses differ.

    The same four characters are trimmed in the schema (battles, vote_pairs).
    """
    return text.strip(" \t\n\r")


def split_of(prompt_id: str) -> Split:
    """The split a prompt falls into by its id alone: one in five is held out."""
    return Split.HELDOUT if int(prompt_id[:8], 16) % 5 == 0 else Split.TRAIN


@dataclass(frozen=True, slots=True)
class Prompt:
    """Chat messages ending with the user's. `messages` is empty where only an id is known (imported votes)."""

    id: str
    messages: tuple[Message, ...]
    split: Split
    tags: tuple[str, ...] = ()

    @staticmethod
    def of(messages: Sequence[Message], split: Split | None = None, tags: Sequence[str] = ()) -> "Prompt":
        """The prompt with its content id, and the split that id gives unless one is named."""
        clean: list[Message] = [{"role": m["role"], "content": m["content"]} for m in messages]
        pid = content_id("prompt", clean)
        return Prompt(pid, tuple(clean), split or split_of(pid), tuple(sorted(set(tags))))

    @property
    def text(self) -> str:
        """The last user turn: what a list shows."""
        return self.messages[-1]["content"] if self.messages else ""


@dataclass(frozen=True, slots=True)
class Model:
    """Anything that can answer. `source`, `adapter` are hub ids or folders; see Home.locate for relative ones."""

    id: int
    name: str
    kind: ModelKind
    source: str | None = None
    adapter: str | None = None
    quantize: Quantize | None = None
    endpoint: str | None = None
    remote_name: str | None = None
    parent: str | None = None
    run: int | None = None
    note: str = ""
    created_at: str = ""


@dataclass(frozen=True, slots=True)
class Response:
    """One model's answer to one prompt. `text` is None where only the vote on it is known."""

    id: str
    prompt: str
    model: str | None
    text: str | None
    sample: int = 0
    finish_reason: str | None = None
    settings: Mapping[str, object] | None = None

    @staticmethod
    def of(prompt: str, model: str | None, text: str | None, *, sample: int = 0, finish_reason: str | None = None,
           settings: Mapping[str, object] | None = None) -> "Response":  # fmt: skip
        """The response with its content id: prompt, model, sample number and text."""
        return Response(content_id("response", prompt, model, sample, text), prompt, model, text, sample,
                        finish_reason, settings)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Score:
    """What a scorer (a reward model, say) gave one response; unbounded, only differences mean something."""

    response: str
    scorer: str
    score: float
    truncated: bool = False


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


@dataclass(frozen=True, slots=True)
class Rater:
    """Who judges, known by a pseudonym."""

    id: int
    name: str
    kind: RaterKind
    excluded: str | None = None


@dataclass(frozen=True, slots=True)
class Seat:
    """A rater's place in a campaign's lineage, taken through a link whose token is stored hashed."""

    id: int
    rater: int
    campaign: int
    lineage: int
    owner: bool
    created_at: str


@dataclass(frozen=True, slots=True)
class Assignment:
    """One battle lent to one rater: 128 random bits, the drawn side, the lease."""

    id: str
    battle: int
    rater: int
    left_is: str
    lent_at: str
    expires_at: str
    kind: BallotKind = BallotKind.BATTLE
    chance: float | None = None
    """how likely this battle was to be drawn, of `among` that could be; None where it was not drawn"""
    among: int | None = None


@dataclass(frozen=True, slots=True)
class Ballot:
    """An assignment as the rater sees it. It has no field that could name a model."""

    assignment: str
    prompt: tuple[Message, ...]
    left: str
    right: str
    criteria: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class VoteDetails:
    """What may come with a choice; everything optional, already un-swapped to slots a and b."""

    strength: Strength | None = None
    acceptable_a: bool | None = None
    acceptable_b: bool | None = None
    criteria: tuple[tuple[str, Outcome], ...] = ()
    tags_a: tuple[str, ...] = ()
    tags_b: tuple[str, ...] = ()
    comment: str | None = None
    better: str | None = None
    reason: str | None = None
    report: str | None = None
    elapsed_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Vote:
    """One rater's outcome on one battle, with what the figures and the pairs need of the battle."""

    id: int
    campaign: int
    battle: int
    rater: int
    outcome: Outcome
    left_is: str | None
    created_at: str
    prompt: str
    response_a: str
    response_b: str
    model_a: str
    model_b: str
    rater_name: str
    rater_kind: RaterKind
    split: Split
    strength: Strength | None = None
    elapsed_ms: int | None = None
    turn: int | None = None
    acceptable_a: bool | None = None
    acceptable_b: bool | None = None
    better: str | None = None
    """the answer the rater wrote, better than both"""
    weight: float = 1.0
    """1 / (chance x number of battles it was drawn among): 1 unless the campaign's sampling prefers some battles"""


@dataclass(frozen=True, slots=True)
class PreferencePair:
    """Prompt, chosen, rejected, and the votes it rests on."""

    prompt: str
    chosen: str
    rejected: str
    votes: tuple[int, ...]
    agreement: float
    split: Split
    margin: float | None = None
    ruled: bool = False
    """whether the owner decided it"""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The exact pairs a run trains on, hashed before it starts."""

    id: str
    source: str
    policy: str
    train: int
    heldout: int
    created_at: str


@dataclass(frozen=True, slots=True)
class Run:
    """One training."""

    id: int
    name: str
    kind: RunKind
    parent: str
    snapshot: str
    status: RunStatus
    folder: str
    settings: Mapping[str, object]
    reference_proof: Mapping[str, object] | None
    metrics: Mapping[str, object] | None
    campaign: int | None
    model: str | None
    job: int | None
    error: str | None
    rematch: str | None
    started_at: str
    finished_at: str | None
    seconds: float | None


@dataclass(frozen=True, slots=True)
class Job:
    """A launch.py command in a child process, whoever started it."""

    id: int
    command: tuple[str, ...]
    status: JobStatus
    progress: float | None
    message: str
    log: str | None
    pid: int | None
    exit_code: int | None
    run: int | None
    created_at: str
    started_at: str | None
    finished_at: str | None
    turn: int | None = None
    """its place in the queue, among those that wait; None: it does not wait"""
    slot: int | None = None
    """the accelerator it holds or held; None: it needs none"""
