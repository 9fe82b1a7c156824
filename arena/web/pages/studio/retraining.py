"""What stands behind the Train form: its choices, what would be trained on, and the command it runs. No Gradio here."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from arena.generating import files_of
from arena.loop import SIMULATED, WITH_WEIGHTS, can_train_on
from arena.rounds import next_name
from db.campaigns import coverage, list_campaigns
from db.catalog import get_model, get_prompt, get_response, list_models
from db.connection import Database, Home
from db.entities import Campaign, CampaignStatus, Message, PreferencePair, Purpose, RunStatus, Split
from db.errors import UserError
from db.runs import champion, list_runs
from labeling.pairs import Effect, Method, PairPolicy, effects_of_campaigns
from training.folders import count_parameters
from training.presets import PRESETS, default_preset, preset, warnings_for
from training.settings import DpoSettings, with_overrides
from training.snapshots import FEWEST, Source, gather

WEIGHED = "majority-weighed"
"""the choice of a majority in which raters count by what their votes tell"""
FIELDS = ("learning_rate", "epochs", "beta", "lora_r", "max_length")
"""the settings with a field of their own; any other goes into the box below them"""


@dataclass(frozen=True, slots=True)
class Form:
    """What the form holds. `values` are the settings of FIELDS, None where a field is empty."""

    parent: str | None
    campaigns: Sequence[str]
    simulated: bool
    policy: str
    preset: str
    values: Sequence[float | None]
    more: str
    name: str


def parents(db: Database) -> list[str]:
    """The models that can be trained, the likeliest first: the champion, the newest candidate, then the rest.

    Of the rest, a model that meets another in an open campaign comes first: its votes are there.
    """
    able = [m.name for m in list_models(db) if m.kind in WITH_WEIGHTS]
    candidates = [r.model for r in list_runs(db) if r.status is RunStatus.SUCCEEDED]
    met = [m for c in list_campaigns(db) if c.status is CampaignStatus.OPEN for m in c.models]
    return [m for m in dict.fromkeys([champion(db), *candidates, *met, *able]) if m in able]


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


def preset_for(home: Home, db: Database, parent: str | None) -> str:
    """The preset that suits the size of this parent."""
    model = get_model(db, parent) if parent else None
    if model is None or model.kind not in WITH_WEIGHTS:
        return "lora"
    return default_preset(count_parameters(files_of(home, model).source), model.quantize)


def values_of(name: str) -> list[float]:
    """The preset's settings of FIELDS, in order."""
    settings = preset(name).settings
    return [float(getattr(settings, f)) for f in FIELDS]


def default_name(db: Database, parent: str | None) -> str:
    """What the candidate is called where no name is given."""
    return next_name(db, get_model(db, parent)) if parent else ""


def overrides(form: Form) -> list[str]:
    """`key=value` of what differs from the preset."""
    base = preset(form.preset).settings
    changed = []
    for field, value in zip(FIELDS, form.values, strict=True):
        if value is not None and float(value) != float(getattr(base, field)):
            whole = isinstance(getattr(base, field), int)
            changed.append(f"{field}={int(value) if whole else f'{float(value):g}'}")
    return changed + [line.strip() for line in form.more.replace(",", "\n").splitlines() if line.strip()]


def settings_of(form: Form) -> DpoSettings:
    """The settings a run would have; UserError names what is out of range."""
    return with_overrides(preset(form.preset).settings, overrides(form))


def source_of(db: Database, form: Form) -> Source:
    """The campaigns whose votes train, the one with most votes first: its raters go on with the candidate.

    UserError where none is ticked.
    """
    votes = {c.name: coverage(db, c).votes for c in list_campaigns(db)}
    ticked = sorted(form.campaigns, key=lambda name: -votes.get(name, 0))
    names = (*ticked, *(simulated_campaigns(db) if form.simulated else ()))
    if not names:
        raise UserError("no campaign is ticked", "tick at least one whose votes should train")
    return Source(tuple(names))


def arguments(db: Database, form: Form) -> list[str]:
    """The verb that does it, as the command line takes it."""
    if not form.parent:
        raise UserError(
            "no model to start from is chosen", "add a checkpoint or an adapter in the Models tab"
        )
    words = ["train", "dpo", "--from", form.parent]
    for name in source_of(db, form).campaigns:
        words += ["--campaign", name]
    policy = policy_of(form)
    words += [
        "--policy",
        policy.method.value,
        *(["--weigh-raters"] if policy.weighted else []),
        "--preset",
        form.preset,
    ]
    for change in overrides(form):
        words += ["--set", change]
    words += [] if form.simulated else ["--no-simulated"]
    return words + (["--name", form.name.strip()] if form.name.strip() else [])


def policy_of(form: Form) -> PairPolicy:
    """The pair policy of the form; majority may weigh raters by what their votes tell."""
    weighted = form.policy == WEIGHED
    return PairPolicy(
        Method.MAJORITY if weighted else Method(form.policy), simulated=form.simulated, weighted=weighted
    )


class ShownPair(NamedTuple):
    """A pair as a person reads it."""

    prompt: Sequence[Message]
    chosen: str
    rejected: str
    votes: int


@dataclass(frozen=True, slots=True)
class Look:
    """What a run would be trained on."""

    train: int
    heldout: int
    left_out: Sequence[tuple[str, int]]
    contradictions: int
    pairs: Sequence[ShownPair]
    warnings: Sequence[str]
    settings: DpoSettings
    why: str
    enough: bool
    effects: Sequence[Effect]
    """what each way of making pairs would give"""


def look(home: Home, db: Database, form: Form) -> Look:
    """Gather the pairs of the form's campaigns under its policy; nothing is frozen. UserError where it needs more votes."""
    settings = settings_of(form)
    source, policy = source_of(db, form), policy_of(form)
    found = gather(db, source, policy)
    effects = effects_of_campaigns(db, source.campaigns, policy)
    train = [p for p in found.pairs if p.split is Split.TRAIN]
    written = found.written or {}
    shown = [
        ShownPair(get_prompt(db, p.prompt).messages, (written.get(p.chosen) or get_response(db, p.chosen)).text or "",
                  get_response(db, p.rejected).text or "", len(p.votes))
        for p in _spread(train)
    ]  # fmt: skip
    return Look(
        len(train), len(found.pairs) - len(train), sorted(found.left_out.items(), key=lambda r: -r[1]),
        len(found.contradictions), shown, _warnings(home, db, form, len(train)), settings, PRESETS[form.preset].why,
        len(train) >= FEWEST, effects,
    )  # fmt: skip


def _warnings(home: Home, db: Database, form: Form, pairs: int) -> list[str]:
    """What lies outside the safe bands; what the preset that suits the model brings with it is no news."""
    usual = warnings_for(preset(preset_for(home, db, form.parent)).settings, 1000)
    return [w for w in warnings_for(settings_of(form), pairs) if w not in usual] if pairs >= FEWEST else []


def _spread(pairs: Sequence[PreferencePair]) -> list[PreferencePair]:
    """The first, the middle and the last."""
    last = len(pairs) - 1
    return [pairs[i] for i in dict.fromkeys((0, last // 2, last))] if pairs else []


def check(home: Home, db: Database, form: Form) -> list[str]:
    """The verb, once everything that can be known beforehand is in order."""
    words = arguments(db, form)
    seen = look(home, db, form)
    if not seen.enough:
        raise UserError(
            f"there are {seen.train} pairs to train on",
            f"collect at least {FEWEST} votes that prefer one answer",
        )
    return words
