"""The card of an exported dataset: what it holds, how it was collected, and what whoever uses it must know. Pure."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from db.entities.campaigns import Campaign, Guard, Purpose, Recruit
from db.entities.catalog import Model
from labeling.policy import Method, PairPolicy, Ties
from labeling.privacy import told
from labeling.tables import JUDGED, PAIRED, ExportFormat, columns

SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
WHAT = {
    ExportFormat.TRL: "one row a preference pair: `prompt`, `chosen`, `rejected` as message lists, as TRL takes them",
    ExportFormat.KTO: "one row a judged response: `prompt`, `completion`, `label`, as TRL's KTO takes them",
    ExportFormat.REWARD: "one row a preference pair with the `margin` TRL's reward trainer takes",
    ExportFormat.ULTRAFEEDBACK: "one row a preference pair with whole chats and `score_chosen`, `score_rejected` (the "
                                "share of the votes on the two that each won, ties half), and the same once more in the "
                                "columns of the argilla edition (ratings from 1 to 5)",
    ExportFormat.RESPONSES: "one row a prompt with all its responses, the models that gave them, the scores of each "
                            "judge, and the best and the worst of them (`chosen_by` says by what); where the loop went "
                            "several rounds, each has splits of its own",
    ExportFormat.SFT: "one row an answer that a rater wrote as better than both: `prompt`, `completion`",
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
    policy: PairPolicy
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
    version: str
    """names this content under this policy: the same votes give the same"""
    consents: Sequence[tuple[str | None, int]]
    """(version of the consent text, votes given under it)"""
    ruled: int
    """battles the owner ruled on"""
    written: int
    """answers that raters wrote"""
    comments: bool = False
    """whether comments, reasons and reports are in it"""
    exact_times: bool = False
    left_out: Mapping[str, int] = field(default_factory=dict)
    contradictions: int = 0
    refused: int = 0
    personal: Mapping[str, int] = field(default_factory=dict)
    """{kind: places} of personal data in what was written"""
    confirmed: bool = False
    """whether the owner looked at it and let it out"""


def _count(n: int, one: str, many: str | None = None) -> str:
    """A number with its noun."""
    return f"{n} {one if n == 1 else many or one + 's'}"


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
        f"---\n{_license(facts)}pretty_name: {_quoted(facts.name)}\nsize_categories:\n- {size}\ntags:\n"
        f"- preference\n- human-feedback\n- {facts.shape}\n- tastebench\n"
        f"configs:\n- config_name: default\n  data_files:\n{files}{_csv_types(facts.shape)}---\n\n"
    )


def licenses(facts: Facts) -> list[str]:
    """The licences that the campaigns state, each once."""
    return list(dict.fromkeys(name for c in facts.campaigns if (name := c.settings.license.strip())))


def _license(facts: Facts) -> str:
    """The licence's line: a hub's identifier where all campaigns state that one; another text by its name."""
    stated = licenses(facts)
    if len(stated) != 1 or not all(c.settings.license.strip() for c in facts.campaigns):
        return "license: unknown\n"
    if re.fullmatch(r"[a-z0-9][a-z0-9.-]*", stated[0].lower()):
        return f"license: {stated[0].lower()}\n"
    return f"license: other\nlicense_name: {_quoted(stated[0])}\n"


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
    if facts.shape in PAIRED | JUDGED:
        lines += [f"Policy: {facts.policy}.", *_ties(facts)]
    lines += [
        f"Left out: {', '.join(f'{n} {reason}' for reason, n in facts.left_out.items()) or 'nothing'}"
        + ("; `left_out.csv` names each vote." if facts.left_out else "."),
    ]
    if facts.refused:
        lines += [
            f"Refused for their texts: {facts.refused} (empty, equal, repeated or unknown); `manifest.json` has their ids."
        ]
    if facts.shape in PAIRED:
        lines += [
            f"Contradictions: on {_count(facts.contradictions, 'battle')} people chose opposite responses."
        ]
    if facts.agreement is None:
        lines += ["Agreement: undefined, for no battle has two votes."]
    else:
        battles, share = facts.repeated_battles, f"{facts.agreement:.1%}"
        lines += [
            f"Agreement: on {battles} battles with two votes or more, {share} of the pairs of votes say the same."
        ]
    return "\n".join([*lines, ""])


def _ties(facts: Facts) -> list[str]:
    if facts.shape is not ExportFormat.KTO:
        return []
    what = {Ties.DROP: "left out", Ties.GOOD: "two good answers", Ties.BAD: "two bad answers"}[
        facts.policy.ties
    ]
    return [f"Both good and both bad judge both answers, `acceptable` marks go first; ties are {what}."]


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
        found = _recruited(campaign)
        if found:
            lines += [f"  How its raters were found: {found}"]
        if campaign.settings.guidelines.strip():
            lines += [f"  Guidelines: {' '.join(campaign.settings.guidelines.split())}"]
    return "\n".join([*lines, ""])


def _recruited(campaign: Campaign) -> str:
    """How raters were found, as the owner says and by the way they came in."""
    ways = {Recruit.LINK: "", Recruit.PROLIFIC: "through Prolific", Recruit.MTURK: "through Mechanical Turk"}
    said = " ".join(campaign.settings.recruited.split())
    return "; ".join(part for part in (ways[campaign.settings.recruit], said) if part)


def _raters(facts: Facts) -> str:
    text = f"## Raters\n\n{_count(facts.people, 'person', 'people')}, under pseudonyms made for this export alone."
    if facts.simulated:
        text += (
            f" **{_count(facts.simulated, 'rater is', 'raters are')} simulated**: a program gave {facts.simulated_votes} of the votes. "
            "Their rows say `simulated: true`."
        )
    agreed = [f"{_count(n, 'vote')} under version `{version}`" for version, n in facts.consents if version]
    without = sum(n for version, n in facts.consents if not version)
    if agreed:
        text += f"\n\nConsent: {', '.join(agreed)} of the consent text" + (f"; {_count(without, 'vote was', 'votes were')} given without one." if without else ".")  # fmt: skip
    elif facts.votes:
        text += "\n\nConsent: no consent text was asked for."
    if facts.ruled:
        text += f"\n\nOn {_count(facts.ruled, 'battle')} the owner ruled; rows that follow from it say `ruled: true`."
    if facts.written:
        text += f"\n\n{_count(facts.written, 'answer was', 'answers were')} written by raters; rows with one say `written: true`."
    return text + "\n"


def _use(facts: Facts) -> str:
    stated = licenses(facts)
    lines = ["## Before you use it\n"]
    if not stated:
        lines += [("The licence is not stated: set `license` above to one that the prompts, the models' terms and your "
                  "raters' consent allow before you publish this.")]  # fmt: skip
    elif len(stated) == 1 and "license: unknown" not in _license(facts):
        lines += [
            f"Licence, as the owner states it: {stated[0]}. The terms of the prompts' sources and of the models hold beside it."
        ]
    else:
        lines += [
            f"Campaigns state different licences or none: {', '.join(stated)}. Settle on one before you publish this."
        ]
    if facts.personal:
        found = told(facts.personal)
        looked = (
            "the owner looked at it and let it out"
            if facts.confirmed
            else "**nobody looked at it yet: do before you pass this on**"
        )
        lines += [f"Personal data: a search found {found}; {looked}."]
    else:
        lines += [("Personal data: a search for mail addresses, phone numbers, cards, bank accounts and keys found none. "
                  "Names and addresses in running text are not searched for.")]  # fmt: skip
    lines += [
        "What raters wrote as comments, reasons and reports is in it."
        if facts.comments
        else "What raters wrote as comments, reasons and reports is not in it.",
        "Times are exact."
        if facts.exact_times
        else "Times are cut to the day, and how long a vote took to the second.",
    ]
    if any(c.settings.guard is Guard.REDACT for c in facts.campaigns):
        lines += [("`redacted: true`: raters saw words that give a model away covered; the texts here are the whole ones, "
                  "which they did not see.")]  # fmt: skip
    if facts.shape is ExportFormat.REWARD:
        lines += ["`margin`: 1 for a clear preference, 0.5 for a slight one, 0 where the rater did not say."]
    if facts.shape is ExportFormat.CSV:
        lines += [
            "Cells that begin like a formula (= + - @, also full-width or after spaces, tab, line end) have an apostrophe put before them."
        ]
    lines += [
        (
            f"`manifest.json` has the hash of each file; version `{facts.version}`, snapshot of the votes read "
            f"`{facts.snapshot}`."
        )
    ]
    return "\n".join([*lines, ""])


def _citation(facts: Facts) -> str:
    lines = ["## Models, data and method to cite\n"]
    for model in facts.models:
        origin = model.source or model.remote_name or f"recorded responses {model.note}".strip()
        lines += [
            f"- model `{model.name}`: {origin}" + (f", trained from {model.parent}" if model.parent else "")
        ]
    lines += [f"- {kind} imported from `{source}`" for kind, source in facts.sources]
    lines += ["- method: blind pairwise comparison with sides drawn anew for each ballot, by Tastebench"]
    if facts.policy.method is Method.CONSENSUS or facts.policy.weighted:
        lines += [("- method: A. P. Dawid and A. M. Skene, Maximum likelihood estimation of observer error-rates using the EM "
                  "algorithm, Journal of the Royal Statistical Society C 28 (1979), 20-28")]  # fmt: skip
    return "\n".join([*lines, ""])
