"""The card of an exported dataset: what it holds, how it was collected, and what whoever uses it must know. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from db.entities import Campaign, Model, Purpose
from labeling.tables import ExportFormat, columns

SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
WHAT = {
    ExportFormat.TRL: "one row a preference pair: `prompt`, `chosen`, `rejected` as message lists, as TRL takes them",
    ExportFormat.KTO: "one row a judged response: `prompt`, `completion`, `label`, as TRL's KTO takes them",
    ExportFormat.REWARD: "one row a preference pair with the `margin` TRL's reward trainer takes",
    ExportFormat.ULTRAFEEDBACK: "one row a preference pair with whole chats and `score_chosen`, `score_rejected`: "
                                "the share of the votes on the two that each won, ties half",
    ExportFormat.RESPONSES: "one row a response of a model to a prompt",
    ExportFormat.VOTES: "one row a vote, ties too, with the columns of chat arenas",
    ExportFormat.CSV: "one row a vote, ties too, as CSV for spreadsheets",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Facts:
    """What a card states."""

    name: str
    shape: ExportFormat
    splits: Mapping[str, int]
    data: Mapping[str, str]
    """{split: path of its file}"""
    policy: str
    left_out: Mapping[str, int]
    contradictions: int
    votes: int
    people: int
    simulated: int
    simulated_votes: int
    imported_votes: int
    repeated_battles: int
    agreement: float | None
    """share of the pairs of votes on one battle that say the same; None where no battle has two"""
    snapshot: str
    campaigns: Sequence[Campaign]
    models: Sequence[Model]
    sources: Sequence[tuple[str, str]]
    """(kind, name of the file or hub dataset) of what was imported"""
    created_at: str


def card(facts: Facts) -> str:
    """README.md of the dataset folder: the YAML that load_dataset reads, then the text for people."""
    sections = (
        _intro(facts),
        _counts(facts),
        _collected(facts),
        _raters(facts),
        _use(facts),
        _citation(facts),
    )
    return _front_matter(facts) + "\n".join(sections)


def _front_matter(facts: Facts) -> str:
    total = sum(facts.splits.values())
    size = next((label for limit, label in SIZES if total < limit), "n>1M")
    files = "".join(f"  - split: {split}\n    path: {path}\n" for split, path in facts.data.items())
    return (
        f"---\nlicense: unknown\npretty_name: {_quoted(facts.name)}\nsize_categories:\n- {size}\ntags:\n"
        f"- preference\n- human-feedback\n- {facts.shape}\n- tastebench\n"
        f"configs:\n- config_name: default\n  data_files:\n{files}{_csv_types(facts.shape)}---\n\n"
    )


def _csv_types(shape: ExportFormat) -> str:
    """The columns of a CSV, which itself says nothing of types: a column empty in one split would be of two."""
    if shape is not ExportFormat.CSV:
        return ""
    return "dataset_info:\n  features:\n" + "".join(
        f"  - name: {name}\n    dtype: {kind}\n" for name, kind in columns(shape).items()
    )


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _intro(facts: Facts) -> str:
    names = ", ".join(f"`{c.name}`" for c in facts.campaigns) or "none"
    return (
        f"# {facts.name}\n\nBlind pairwise judgments of language models, exported from Tastebench at "
        f"{facts.created_at}: {WHAT[facts.shape]}. Campaigns: {names}.\n\n"
        f"```python\nfrom datasets import load_dataset\n\ndata = load_dataset({facts.name!r})\n```\n"
    )


def _counts(facts: Facts) -> str:
    lines = ["## Counts\n", "| split | rows |", "|---|---|"]
    lines += [f"| {split} | {n} |" for split, n in facts.splits.items()]
    lines += [
        "",
        f"Read: {facts.votes} counted votes. `test` holds the held-out prompts; nothing of it may train.",
    ]
    if facts.shape not in (ExportFormat.RESPONSES, ExportFormat.VOTES, ExportFormat.CSV):
        lines += [f"Policy: {facts.policy}."]
        lines += [
            f"Left out: {', '.join(f'{n} {reason}' for reason, n in facts.left_out.items()) or 'nothing'}."
        ]
        lines += [f"Contradictions: on {facts.contradictions} battles people chose opposite responses."]
    if facts.agreement is None:
        lines += ["Agreement: undefined, for no battle has two votes."]
    else:
        battles, share = facts.repeated_battles, f"{facts.agreement:.1%}"
        lines += [
            f"Agreement: on {battles} battles with two votes or more, {share} of the pairs of votes say the same."
        ]
    return "\n".join([*lines, ""])


def _collected(facts: Facts) -> str:
    lines = ["## How it was collected\n"]
    if facts.votes > facts.imported_votes:
        lines += [
            "A rater saw a prompt and two responses without names, on sides drawn anew for each ballot and undone here.",
            "What was pressed counts; a vote taken back, skipped, or of a rater who was left out is not here.",
        ]
    if facts.imported_votes:
        lines += [
            f"{facts.imported_votes} votes were imported: how they were given is for their source to say."
        ]
    for campaign in facts.campaigns:
        evaluates = campaign.settings.purpose is Purpose.EVALUATE
        lines += [f"- `{campaign.name}`: models {', '.join(campaign.models)}; overlap {campaign.settings.overlap}"
                  + ("; **its votes evaluate and must not train**" if evaluates else "")]  # fmt: skip
        if campaign.settings.guidelines.strip():
            lines += [f"  Guidelines: {' '.join(campaign.settings.guidelines.split())}"]
    return "\n".join([*lines, ""])


def _raters(facts: Facts) -> str:
    text = f"## Raters\n\n{facts.people} people, under pseudonyms made for this export alone."
    if facts.simulated:
        text += (
            f" **{facts.simulated} raters are simulated**: a program gave {facts.simulated_votes} of the votes. "
            "Their rows say `simulated: true`."
        )
    return text + "\n"


def _use(facts: Facts) -> str:
    text = (
        "The licence is not stated: set `license` above to one that the prompts, the models' terms and your raters' "
        "consent allow before you publish this. Prompts and responses were not searched for personal data."
    )
    lines = ["## Before you use it\n", text]
    if facts.shape is ExportFormat.REWARD:
        lines += ["`margin`: 1 for a clear preference, 0.5 for a slight one, 0 where the rater did not say."]
    if facts.shape is ExportFormat.CSV:
        lines += ["Cells that begin like a formula (= + - @, tab) have an apostrophe put before them."]
    lines += [f"`manifest.json` has the hash of each file; snapshot of the votes read: `{facts.snapshot}`."]
    return "\n".join([*lines, ""])


def _citation(facts: Facts) -> str:
    lines = ["## Models and data to cite\n"]
    for model in facts.models:
        origin = model.source or model.remote_name or f"recorded responses {model.note}".strip()
        lines += [
            f"- model `{model.name}`: {origin}" + (f", trained from {model.parent}" if model.parent else "")
        ]
    lines += [f"- {kind} imported from `{source}`" for kind, source in facts.sources]
    return "\n".join([*lines, ""])
