"""Workflow: the card of a model (README.md of its folder): what it came from, learned from, and what people say of it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from sqlite_utils import Database

from arena.citations import citations
from arena.demo import ensure_starter
from arena.promoting import SIMULATED, Against, Detail, Word, shown, weigh
from arena.winrates import percent
from db import runs
from db.catalog import find_model
from db.connection import Home
from db.entities.catalog import Model, ModelKind
from db.entities.runs import Run, RunKind, Snapshot
from db.entities.votes import RaterKind
from db.promotions import Promotion, promotions
from db.snapshots import get_snapshot, raters_of_snapshot
from labeling.agreement import agreement, opinions
from labeling.pairs import read_votes
from labeling.policy import policy_from
from training.folders import MARKER, put_card
from training.starter import STARTER_MODELS

CARD = "README.md"
HERE = ("accelerate",)
"""settings that name files of this machine"""
ENDS = (
    "loss",
    "rewards/margins",
    "rewards/accuracies",
    "eval_loss",
    "eval_rewards/margins",
    "eval_rewards/accuracies",
)
SHOWN_METRICS = {
    "loss": "loss", "rewards/margins": "margin", "rewards/accuracies": "accuracy", "eval_loss": "loss, held-out rows",
    "eval_rewards/margins": "margin, held-out rows", "eval_rewards/accuracies": "accuracy, held-out rows",
}  # fmt: skip
_TEMPLATES = Environment(  # noqa: S701 - Markdown, and only names, figures and words of ours go in
    loader=FileSystemLoader(Path(__file__).parent / "templates"), undefined=StrictUndefined, trim_blocks=True,
    lstrip_blocks=True, keep_trailing_newline=True,
)  # fmt: skip


class Rival(NamedTuple):
    """A line of the table of what people say."""

    rival: str
    role: str
    n: int
    raters: int
    rate: str
    interval: str
    decided: str
    evidence: str
    simulated_words: str


@dataclass(frozen=True, slots=True)
class Facts:
    """What a card states. `run` is the run that taught the model, also where an adapter was merged since."""

    name: str
    what: str
    parent: str | None
    parent_hub: str | None
    base_hub: str | None
    base_name: str
    folder_words: str
    hashes: Sequence[tuple[str, str]]
    run: Run | None
    snapshot: Snapshot | None
    source: str
    settings: Mapping[str, object]
    counts: Mapping[str, int] | None
    from_votes: bool
    policy_words: str
    people: int
    people_votes: int
    simulated: int
    simulated_votes: int
    agreement_words: str
    replay: Mapping[str, object] | None
    proof: Mapping[str, object] | None
    ends: Sequence[tuple[str, float]]
    notes: Sequence[str]
    accuracies: Sequence[Mapping[str, object]]
    scores: bool
    """whether it is a reward model"""
    rivals: Sequence[Rival]
    standing_words: str
    judges: Sequence[Word]
    promotions: Sequence[Promotion]
    limits: Sequence[str]
    usage: str
    versions: str
    citations: Sequence[str]


def card(db: Database, home: Home, name: str) -> str:
    """The card as the figures stand now: the YAML that hubs read, then the text for people. NotFound."""
    from huggingface_hub import ModelCardData

    made = facts(db, home, name)
    kind = made.run.kind.value if made.run else "model"
    adapter = made.folder_words.startswith("an adapter")
    head = ModelCardData(
        license="unknown", library_name="peft" if adapter else "transformers",
        pipeline_tag="text-classification" if made.scores else "text-generation", base_model=made.base_hub,
        model_name=made.name, tags=["tastebench", "trl", "preference", kind, *(["lora"] if adapter else [])],
    ).to_yaml()  # fmt: skip
    body = _TEMPLATES.get_template("modelcard.md.jinja").render(c=made)
    while "\n\n\n" in body:
        body = body.replace("\n\n\n", "\n\n")
    return f"---\n{head}\n---\n\n{body.strip()}\n"


def write(db: Database, home: Home, name: str) -> Path | None:
    """Write the card into the model's own folder in the home; None where it has none there."""
    folder = own_folder(home, ensure_starter(db, name))
    return put_card(folder, CARD, card(db, home, name)) if folder else None


def own_folder(home: Home, model: Model) -> Path | None:
    """The folder a run or a merge wrote for this model, where it lies in the home."""
    stored = model.adapter or model.source
    folder = home.root / (stored or "")
    return folder if stored and (folder / MARKER).is_file() else None


def facts(db: Database, home: Home, name: str) -> Facts:
    """Everything the card of a model states."""
    model = ensure_starter(db, name)
    taught = _taught(db, model)
    run = runs.run_by_id(db, taught.run) if taught.run is not None else None
    snapshot = get_snapshot(db, run.snapshot) if run else None
    metrics: Mapping[str, Any] = (run.metrics if run else None) or {}
    scores = run is not None and run.kind is RunKind.REWARD
    rivals, words, judges = _people(db, name) if not scores else ((), "", ())
    parent = find_model(db, taught.parent) if taught.parent else None
    base_hub, base_name = _base(db, home, taught)
    settings = {k: v for k, v in run.settings.items() if k not in HERE} if run else {}
    adapter = model.kind is ModelKind.ADAPTER
    return Facts(
        name=name, what=_what(run, snapshot), parent=taught.parent,
        parent_hub=hub_id(home, parent.source) if parent and parent.adapter is None else None, base_hub=base_hub,
        base_name=base_name, folder_words=_folder_words(model, taught), hashes=_hashes(own_folder(home, model)),
        run=run, snapshot=snapshot, settings=settings, counts=metrics.get("counts"), **_data(db, snapshot),
        proof=run.reference_proof if run else None,
        ends=[(SHOWN_METRICS[k], float(metrics[k])) for k in ENDS if isinstance(metrics.get(k), int | float)],
        notes=[str(n).rstrip(".") for n in metrics.get("notes", [])], accuracies=[a | {"scorer": _bare(a["scorer"])} for a in metrics.get("heldout", [])], scores=scores,
        rivals=rivals, standing_words=words, judges=judges, promotions=[p for p in promotions(db) if p.model == name],
        limits=_limits(base_name, snapshot, scores), usage=_usage(base_hub, base_name, adapter=adapter, scores=scores),
        versions=", ".join(f"{k} {v}" for k, v in runs.run_versions(db, run.id).items()) if run else "",
        citations=citations(run.kind if run else None, settings, _policy(snapshot), adapter=taught.kind is ModelKind.ADAPTER),
    )  # fmt: skip


def _taught(db: Database, model: Model) -> Model:
    """The model whose run taught this one: itself, or the adapter that was merged into it."""
    merged = (
        model.run is None
        and model.parent
        and model.note == f"{model.parent}, merged (" + model.note.rpartition("(")[2]
    )
    parent = find_model(db, model.parent) if merged and model.parent else None
    return parent or model


def hub_id(home: Home, source: str | None) -> str | None:
    """The hub id a source stands for; None where it is a folder of somebody's machine."""
    local = source is None or Path(home.locate(source)).exists() or source.startswith(("/", "~", "."))
    return None if local else source


def _base(db: Database, home: Home, model: Model) -> tuple[str | None, str]:
    """The weights a model goes back to: their hub id where they have one, and their name here."""
    seen = model
    while seen.parent is not None and (up := find_model(db, seen.parent)) is not None:
        seen = up
    source = model.source if model.kind is ModelKind.ADAPTER else seen.source
    return hub_id(home, source), seen.name


def _what(run: Run | None, snapshot: Snapshot | None) -> str:
    if run is None or snapshot is None:
        return "A model that was registered as it is; it was not trained here."
    if run.kind is RunKind.REWARD:
        return f"A reward model, trained from `{run.parent}` on {snapshot.train} pairs to score the answers people prefer higher."
    how = {RunKind.SFT: "fine-tuned on answers", RunKind.DPO: "trained on preference pairs with DPO",
           RunKind.KTO: "trained with KTO on answers called good or bad"}[run.kind]  # fmt: skip
    return f"A language model: `{run.parent}`, {how} ({snapshot.train} rows)."


def _folder_words(model: Model, taught: Model) -> str:
    if model.kind is ModelKind.ADAPTER:
        return "an adapter (LoRA); it needs the base weights above"
    if model.name != taught.name:
        return f"a whole checkpoint: the base with the adapter `{taught.name}` folded in, its outputs compared with the adapter's"
    return "a whole checkpoint"


def _hashes(folder: Path | None) -> list[tuple[str, str]]:
    """(file, SHA-256) of the weights, from the folder's marker."""
    if folder is None:
        return []
    files: Mapping[str, Mapping[str, str]] = json.loads((folder / MARKER).read_text(encoding="utf-8"))
    return [(name, entry["sha256"]) for name, entry in files.items() if name.endswith(".safetensors")]


def _policy(snapshot: Snapshot | None) -> Mapping[str, Any]:
    policy: dict[str, Any] = json.loads(snapshot.policy) if snapshot else {}
    return policy


def _data(db: Database, snapshot: Snapshot | None) -> dict[str, Any]:
    """What is said of the rows: where they come from, whose votes they rest on, how far raters agree."""
    none = {"source": "", "from_votes": False, "policy_words": "", "people": 0, "people_votes": 0, "simulated": 0,
            "simulated_votes": 0, "agreement_words": "", "replay": None}  # fmt: skip
    if snapshot is None:
        return none
    kind, _, names = snapshot.source.partition(":")
    if kind != "votes":
        words = {"pairs": "the pair set", "answers": "the answers"}.get(kind, kind)
        return none | {"source": f"{words} `{names}`"}
    policy = policy_from(_policy(snapshot))
    read = read_votes(
        db, () if names == "all" else tuple(names.split(",")), training=True, until=snapshot.created_at
    )
    kept = [v for v in read.votes if policy.takes(v)]
    of = raters_of_snapshot(db, snapshot.id)
    made_up = {v.rater_name for v in read.votes if v.rater_kind is RaterKind.SIMULATED}
    found = agreement(opinions(kept))
    said = (
        f"Rater agreement: {found.percent:.0%} of {found.percent_n} pairs of votes on the same battle say the same"
        + (
            f"; Krippendorff's alpha {found.krippendorff_alpha:.2f}."
            if found.krippendorff_alpha is not None
            else "."
        )
        if found.percent is not None
        else "Rater agreement: unknown, for no battle was judged by two raters."
    )
    return {
        "source": "the votes of " + (", ".join(f"`{n}`" for n in names.split(",")) if names != "all" else "all campaigns"),
        "from_votes": True, "policy_words": str(policy), "people": sum(r not in made_up for r in of),
        "people_votes": sum(n for r, n in of.items() if r not in made_up), "simulated": sum(r in made_up for r in of),
        "simulated_votes": sum(n for r, n in of.items() if r in made_up), "agreement_words": said,
        "replay": _policy(snapshot).get("replay"),
    }  # fmt: skip


def _people(db: Database, name: str) -> tuple[list[Rival], str, list[Word]]:
    """The table of what people say, the rule's sentence, and the judges beside."""
    standing = weigh(db, name, details=True)
    rows = [_rival(db, name, a, d) for a, d in zip(standing.rivals, standing.details, strict=True)]
    judges = [w._replace(judge=_bare(w.judge)) for d in standing.details for w in d.judges]
    return rows, standing.words() if rows else "", judges


def _bare(scorer: str) -> str:
    """A scorer without the folders of this machine before its name."""
    return Path(scorer).name if Path(scorer).is_absolute() else scorer


def _rival(db: Database, name: str, one: Against, detail: Detail) -> Rival:
    f = detail.figures
    rate = percent(f.win_rate_a) if f and f.win_rate_a is not None else "not rated yet"
    interval = f"{percent(f.ci95.low)} to {percent(f.ci95.high)}" if f and f.ci95 else "none"
    made_up = one.left_out.get(SIMULATED, 0)
    words = ""
    if made_up:
        again = next(r for r in weigh(db, name, simulated=True).rivals if r.rival == one.rival)
        words = (f"Simulated raters (a program, not people; not counted above): {again.wins} of {again.wins + again.losses} "
                 f"decided votes for this model against `{one.rival}`.")  # fmt: skip
    return Rival(one.rival, one.role, one.n, one.raters, rate, interval, f"{one.wins} of {one.wins + one.losses}",
                 shown(one.e_value) if one.n else "none", words)  # fmt: skip


def _limits(base_name: str, snapshot: Snapshot | None, scores: bool) -> list[str]:
    said = [
        "It learned what the raters of one team prefer on their prompts; elsewhere, and in other languages, nothing is known.",
        "A preferred answer is not a true one: facts, safety and bias were not tested.",
    ]
    if scores:
        said.append(
            "Its scores have no unit and no end; only the difference between two answers to one prompt means something."
        )
    else:
        said.append(
            "Raters often prefer longer and surer answers; look at the length-controlled win rate in the report."
        )
    if snapshot is not None and snapshot.train < 200:
        said.append(f"It learned from {snapshot.train} rows, which is few.")
    if base_name in STARTER_MODELS:
        said.append(
            "It goes back to a starter model of the demo: a few million weights that know one small made-up world."
        )
    return said


def _usage(base_hub: str | None, base_name: str, *, adapter: bool, scores: bool) -> str:
    base = base_hub or f"FOLDER_OF_{base_name}"
    if scores:
        return ("from transformers import AutoModelForSequenceClassification, AutoTokenizer\n\n"
                'tokenizer = AutoTokenizer.from_pretrained("THIS_FOLDER")\n'
                'model = AutoModelForSequenceClassification.from_pretrained("THIS_FOLDER")  # one logit: the score')  # fmt: skip
    if adapter:
        return ("from peft import PeftModel\nfrom transformers import AutoModelForCausalLM, AutoTokenizer\n\n"
                'tokenizer = AutoTokenizer.from_pretrained("THIS_FOLDER")\n'
                f'base = AutoModelForCausalLM.from_pretrained("{base}")\n'
                'model = PeftModel.from_pretrained(base, "THIS_FOLDER")')  # fmt: skip
    return ('from transformers import pipeline\n\nchat = pipeline("text-generation", model="THIS_FOLDER")\n'
            'chat([{"role": "user", "content": "Hello"}])')  # fmt: skip
