"""What stands behind the Train form: its choices, its fields, and the command it runs. No Gradio here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from enum import StrEnum

from arena.generating import files_of
from arena.loop import SIMULATED, WITH_WEIGHTS, can_train_on
from arena.run_kinds import MEASURED
from arena.run_plans import next_name
from db.campaigns import coverage, list_campaigns
from db.catalog import get_model, list_models, prompt_sets
from db.connection import Database, Home
from db.entities.campaigns import Campaign, CampaignStatus, Purpose
from db.entities.runs import RunKind, RunStatus
from db.errors import UserError
from db.runs import champion, list_runs
from db.snapshots import list_snapshots, pair_sets
from db.sweeps import swept_runs
from labeling.pairs import Method, PairPolicy
from training.folders import count_parameters
from training.presets import default_preset, preset_of
from training.settings import SETTINGS_OF, Settings, with_overrides
from training.snapshots import Source

WEIGHED = "majority-weighed"
"""the choice of a majority in which raters count by what their votes tell"""
NUMBERS = ("learning_rate", "epochs", "batch_size", "gradient_accumulation", "max_length", "lora_r", "beta", "sft_weight",
           "label_smoothing", "good_weight", "bad_weight", "margin", "center", "seed")  # fmt: skip
"""the settings with a field for a number"""
TICKS = ("checkpointing", "precompute")
CHOICES = ("loss", "quantize")
FIELDS = (*NUMBERS, *TICKS, *CHOICES)
"""the settings with a field of their own; any other goes into the box below them"""
PARENT = "parent"
Value = float | str | bool | None


class From(StrEnum):
    """Where the rows come from."""

    VOTES = "votes"
    PAIRS = "pairs"
    DATA = "data"
    SNAPSHOT = "snapshot"


@dataclass(frozen=True, slots=True)
class Form:
    """What the form holds. `values` are settings of FIELDS; one that is missing or None is as in the preset.

    `picked` is the pair set, the data set or the snapshot, where the rows come from one.
    """

    parent: str | None
    campaigns: Sequence[str]
    simulated: bool
    policy: str
    preset: str
    values: Mapping[str, Value] = field(default_factory=dict)
    more: str = ""
    name: str = ""
    kind: RunKind = RunKind.DPO
    rows: From = From.VOTES
    picked: str | None = None
    reference: str = PARENT
    against: str = PARENT
    rematch: bool = True
    replay: float = 0.0

    @property
    def has_policy(self) -> bool:
        """Whether votes become rows by a policy of the form."""
        return self.rows is From.VOTES


def parents(db: Database) -> list[str]:
    """The models that can be trained, the likeliest first: the champion, the newest candidate, then the rest.

    Of the rest, a model that meets another in an open campaign comes first: its votes are there.
    """
    able = [m.name for m in list_models(db) if m.kind in WITH_WEIGHTS]
    trials = swept_runs(db)
    candidates = [r.model for r in list_runs(db) if r.status is RunStatus.SUCCEEDED and r.name not in trials]
    met = [m for c in list_campaigns(db) if c.status is CampaignStatus.OPEN for m in c.models]
    return [m for m in dict.fromkeys([champion(db), *candidates, *met, *able]) if m in able]


def rivals(db: Database) -> list[str]:
    """The models a candidate may meet."""
    return [m.name for m in list_models(db)]


def campaigns_for(db: Database) -> list[Campaign]:
    """The campaigns whose votes may train, newest first; the demo's simulated one has a tick of its own."""
    found = [c for c in list_campaigns(db) if c.settings.purpose is Purpose.COLLECT and c.demo != SIMULATED]
    return found[::-1]


def ticked_for(db: Database, parent: str | None) -> list[str]:
    """The campaigns that are ticked at first: those in which this parent takes part; else all that could train."""
    models = list_models(db)
    usable = [c for c in campaigns_for(db) if can_train_on(c, models)]
    own = [c.name for c in usable if parent in c.models]
    return own or [c.name for c in usable] or [c.name for c in campaigns_for(db)]


def simulated_campaigns(db: Database) -> list[str]:
    """The demo's campaigns of made-up votes."""
    return [c.name for c in list_campaigns(db) if c.demo == SIMULATED]


def picks(db: Database, rows: From, kind: RunKind) -> list[tuple[str, str]]:
    """(words, name) of what can be picked as rows of this sort, the newest first."""
    if rows is From.PAIRS:
        return [(f"{name} ({n:,} pairs)", name) for name, _, n in reversed(pair_sets(db))]
    if rows is From.DATA and kind is RunKind.SFT:
        recorded = [m.name for m in list_models(db) if m.kind not in WITH_WEIGHTS]
        return [
            (name, name) for name in dict.fromkeys([*(s.name for s in reversed(prompt_sets(db))), *recorded])
        ]
    if rows is From.SNAPSHOT:
        return [(f"{s.id[:12]}: {s.train:,} rows of {s.source}", s.id) for s in list_snapshots(db)]
    return []


def preset_for(home: Home, db: Database, parent: str | None) -> str:
    """The preset that suits the size of this parent."""
    model = get_model(db, parent) if parent else None
    if model is None or model.kind not in WITH_WEIGHTS:
        return "lora"
    return default_preset(count_parameters(files_of(home, model).source), model.quantize)


def fields_of(kind: RunKind) -> tuple[str, ...]:
    """The settings of FIELDS that a kind of run has."""
    return tuple(name for name in FIELDS if name in {f.name for f in fields(SETTINGS_OF[kind])})


def values_of(name: str, kind: RunKind = RunKind.DPO) -> dict[str, Value]:
    """The preset's settings of FIELDS."""
    settings = preset_of(kind, name).settings
    return {f: shown(getattr(settings, f)) for f in fields_of(kind)}


def shown(value: object) -> Value:
    """A setting as its field holds it."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return value
    return float(value) if isinstance(value, int | float) else str(value)


def keys_of(kind: RunKind) -> list[str]:
    """Every setting of a kind, by the name that `key=value` takes."""
    return [f.name for f in fields(SETTINGS_OF[kind])]


def losses_of(kind: RunKind) -> list[str]:
    """The losses a kind may use; none where it has but one."""
    loss = getattr(SETTINGS_OF[kind](), "loss", None)
    return [] if loss is None else [str(one) for one in type(loss)]


def default_name(db: Database, parent: str | None) -> str:
    """What the candidate is called where no name is given."""
    return next_name(db, get_model(db, parent)) if parent else ""


def overrides(form: Form) -> list[str]:
    """`key=value` of what differs from the preset."""
    base = preset_of(form.kind, form.preset).settings
    changed = []
    for name in fields_of(form.kind):
        value, usual = form.values.get(name), getattr(base, name)
        if value is not None and value != "" and value != shown(usual):
            changed.append(f"{name}={_typed(value, usual)}")
    return changed + [line.strip() for line in form.more.replace(",", "\n").splitlines() if line.strip()]


def _typed(value: Value, usual: object) -> str:
    """A field's value as `key=value` takes it."""
    if isinstance(value, bool) or isinstance(usual, bool):
        return str(bool(value)).lower()
    if isinstance(value, int | float):
        return (
            str(int(value)) if isinstance(usual, int) and float(value).is_integer() else f"{float(value):g}"
        )
    return str(value)


def settings_of(form: Form) -> Settings:
    """The settings a run would have; UserError names what is out of range."""
    changes = [change for change in overrides(form) if change != MEASURED]
    settings: Settings = with_overrides(preset_of(form.kind, form.preset).settings, changes)
    return settings


def source_of(db: Database, form: Form) -> Source:
    """Where the rows come from; of campaigns the one with most votes first: its raters go on with the candidate.

    UserError where nothing is ticked or picked.
    """
    if form.rows is not From.VOTES:
        if not form.picked:
            raise UserError("nothing to learn from is picked", f"pick one of the {WORDS_OF[form.rows]}")
        return Source(pair_set=form.picked) if form.rows is From.PAIRS else Source(data=form.picked)
    votes = {c.name: coverage(db, c).votes for c in list_campaigns(db)}
    ticked = sorted(form.campaigns, key=lambda name: -votes.get(name, 0))
    names = (*ticked, *(simulated_campaigns(db) if form.simulated else ()))
    if not names:
        raise UserError("no campaign is ticked", "tick at least one whose votes should train")
    return Source(tuple(names), replay=form.replay)


WORDS_OF = {From.PAIRS: "pair sets", From.DATA: "sets of answers", From.SNAPSHOT: "snapshots"}
FLAG_OF = {From.PAIRS: "--pairs", From.DATA: "--data", From.SNAPSHOT: "--snapshot"}


def arguments(db: Database, form: Form) -> list[str]:
    """The verb that does it, as the command line takes it."""
    if not form.parent:
        raise UserError(
            "no model to start from is chosen", "add a checkpoint or an adapter in the Models tab"
        )
    source = source_of(db, form)
    words = ["train", form.kind.value, "--from", form.parent]
    words += [w for name in source.campaigns for w in ("--campaign", name)]
    words += [FLAG_OF[form.rows], str(form.picked)] if form.rows is not From.VOTES else []
    words += _policy_words(form) if form.has_policy else []
    words += ["--preset", form.preset]
    words += [w for change in overrides(form) for w in ("--set", change)]
    words += ["--no-simulated"] if form.has_policy and not form.simulated else []
    words += ["--replay", f"{form.replay:g}"] if form.has_policy and form.replay else []
    if form.kind is RunKind.DPO and form.reference != PARENT:
        words += ["--reference", form.reference]
    if form.kind is not RunKind.REWARD:
        words += ["--against", form.against] if form.rematch and form.against != PARENT else []
        words += [] if form.rematch else ["--no-rematch"]
    return words + (["--name", form.name.strip()] if form.name.strip() else [])


def _policy_words(form: Form) -> list[str]:
    policy = policy_of(form)
    return ["--policy", policy.method.value, *(["--weigh-raters"] if policy.weighted else [])]


def policy_of(form: Form) -> PairPolicy:
    """The pair policy of the form; majority may weigh raters by what their votes tell."""
    if not form.has_policy:
        return PairPolicy()
    weighted = form.policy == WEIGHED
    return PairPolicy(
        Method.MAJORITY if weighted else Method(form.policy), simulated=form.simulated, weighted=weighted
    )
