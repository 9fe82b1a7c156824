"""The fields of the Train form, which of them a kind of run and a source of rows show, and a warning at its field."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from arena.web.pages.studio import retraining as form_of
from arena.web.pages.studio.retraining import CHOICES, FIELDS, NUMBERS, TICKS, From
from db.entities.runs import RunKind
from training.presets import PRESETS, preset_of

KINDS = [
    ("Preferences (DPO): which of two answers is better", RunKind.DPO.value),
    ("Answers (SFT): learn good answers as they stand", RunKind.SFT.value),
    ("Thumbs (KTO): answers that are good or bad, one by one", RunKind.KTO.value),
    ("Reward model: learn to give scores, as a judge", RunKind.REWARD.value),
]
SOURCES = {
    From.VOTES: "Votes of campaigns", From.PAIRS: "A named pair set", From.DATA: "Answers of a file or a model",
    From.SNAPSHOT: "Rows frozen before",
}  # fmt: skip
HELP = {
    "learning_rate": ("Learning rate", "How far each step moves the model. Too high breaks it, too low does nothing."),
    "epochs": ("Epochs", "How often it goes through all the rows."),
    "batch_size": ("Rows at a time", "How many are in memory at once; the largest lever on memory."),
    "gradient_accumulation": ("Times a step", "So many batches make one step of the model."),
    "max_length": ("Longest row", "In tokens, prompt and answer together; what is longer is cut."),
    "lora_r": ("LoRA rank", "Size of the adapter that is trained: 8 to 64."),
    "beta": ("Beta", "How close it stays to its parent: lower lets it drift further."),
    "sft_weight": ("Weight of the chosen answers", "Also learn them as they stand, which keeps what it knew; 0 is off."),
    "label_smoothing": ("Share of wrong votes", "For the robust loss: 0.1 says that one vote in ten is wrong."),
    "good_weight": ("Weight of good answers", "Raise it where good answers are few."),
    "bad_weight": ("Weight of bad answers", "Raise it where bad answers are few."),
    "margin": ("Margin", "How much more score a clear vote asks for."),
    "center": ("Pull to zero", "Keeps the mean score near 0."),
    "seed": ("Seed", "The same seed draws the same order of rows again."),
    "checkpointing": ("Compute layers again", "Less memory, about a third slower; the same model."),
    "precompute": ("Ask the reference beforehand", "Once instead of at every step: less memory, faster from the second epoch."),
    "loss": ("Loss", "Sigmoid is the usual one; robust where votes are often wrong, sigmoid_norm where answers grow longer."),
    "quantize": ("Weights held in", "4 bits is for a model that fills most of the memory."),
}  # fmt: skip
"""each field's name and what it does"""
BITS = [("as the model is", "none"), ("4 bits", "4bit"), ("8 bits", "8bit")]


@dataclass(frozen=True)
class Fields:
    """The form's components. `values` are those of FIELDS, in order."""

    kind: gr.Radio
    parent: gr.Dropdown
    rows: gr.Radio
    campaigns: gr.CheckboxGroup
    simulated: gr.Checkbox
    policy: gr.Radio
    picked: gr.Dropdown
    preset: gr.Dropdown
    by_name: Mapping[str, Any]
    reference: gr.Dropdown
    against: gr.Dropdown
    rematch: gr.Checkbox
    replay: gr.Number
    more: gr.Textbox
    name: gr.Textbox
    go: gr.Button
    look: gr.Button

    @property
    def values(self) -> list[Any]:
        """The fields of settings."""
        return [self.by_name[f] for f in FIELDS]

    @property
    def numbers(self) -> dict[str, Any]:
        """Those that hold a number, by name."""
        return {f: self.by_name[f] for f in NUMBERS}

    @property
    def inputs(self) -> list[Any]:
        """Everything the form holds, in the order read_form takes it."""
        return [self.kind, self.parent, self.rows, self.campaigns, self.simulated, self.policy, self.picked, self.preset,
                *self.values, self.reference, self.against, self.rematch, self.replay, self.more, self.name]  # fmt: skip

    @property
    def watched(self) -> list[Any]:
        """What changes the preview at once, without changing other fields."""
        return [self.campaigns, self.simulated, self.policy, self.picked, *self.values, self.reference, self.against,
                self.rematch, self.replay]  # fmt: skip

    @property
    def of_rows(self) -> list[Any]:
        """What the source of the rows shows or hides."""
        return [self.campaigns, self.simulated, self.policy, self.picked, self.replay]

    @property
    def of_kind(self) -> list[Any]:
        """What the kind of run shows or hides, besides the settings."""
        return [self.rows, self.reference, self.against, self.rematch, self.more]


def form_fields() -> Fields:
    """Build the form: what a newcomer needs first, the rest folded."""
    parent = gr.Dropdown(
        [],
        label="Start from",
        info="The parent: the candidate learns on top of it and must beat it.",
        elem_id="parent",
    )
    campaigns = gr.CheckboxGroup(
        [], label="Votes of", info="Held-out prompts and evaluations never train.", elem_id="campaigns"
    )
    simulated = gr.Checkbox(False, label="Also simulated votes", elem_id="simulated",
                            info="Made-up raters, not people: the demo's stored ones and any other.")  # fmt: skip
    picked = gr.Dropdown([], label="Learn from", visible=False, elem_id="picked")
    chosen = gr.Dropdown(
        list(PRESETS),
        value="lora",
        label="Preset",
        info="Safe settings for the size of the model.",
        elem_id="preset",
    )
    go = gr.Button("Retrain", variant="primary", size="lg", elem_id="retrain")
    with gr.Accordion("Another kind of run, or other rows", open=False, elem_id="kind-fold"):
        kind = gr.Radio(KINDS, value=RunKind.DPO.value, label="What it learns", elem_id="kind")
        rows = gr.Radio(
            sources(RunKind.DPO), value=From.VOTES.value, label="Where the rows come from", elem_id="rows"
        )
        policy = gr.Radio([("majority: one pair a battle, if most agree", "majority"), ("vote: every vote is a pair", "vote"),
                           ("majority, raters weighed by what their votes tell", form_of.WEIGHED),
                           ("min-agreement: the same as majority, if 70 % agree", "min-agreement"),
                           ("consensus: the likeliest winner, by what each rater's votes tell", "consensus")],
                          value="majority", label="How votes become pairs", info="Ties and 'both' give no pair in any.")  # fmt: skip
        replay = gr.Number(0.0, label="Share of older votes", minimum=0.0, maximum=1.0, step=0.1, elem_id="replay",
                           info="Of earlier rounds in the same line, mixed in: 0 to 1.")  # fmt: skip
    with gr.Accordion("Settings", open=False, elem_id="settings-fold"):
        by_name = _settings()
        more = gr.Textbox(label="Other settings", info=allowed(RunKind.DPO), lines=2, elem_id="more")
        reference = gr.Dropdown(
            [form_of.PARENT], value=form_of.PARENT, label="Reference", elem_id="reference",
            info="The frozen model it is held against: its parent, or the first SFT model of a line of rounds.",
        )  # fmt: skip
        rematch = gr.Checkbox(True, label="Open the blind rematch afterwards", elem_id="rematch")
        against = gr.Dropdown([form_of.PARENT], value=form_of.PARENT, label="Against", elem_id="against",
                              info="Whom the candidate meets blind.")  # fmt: skip
        name = gr.Textbox(
            label="Name of the candidate", info="Empty: the parent's name with -r1, -r2, ...", max_length=80
        )
        look = gr.Button("Look at the rows as the trainer sees them")
    return Fields(kind, parent, rows, campaigns, simulated, policy, picked, chosen, by_name, reference, against, rematch,
                  replay, more, name, go, look)  # fmt: skip


def _settings() -> dict[str, Any]:
    """A component for each setting of FIELDS; the ones that DPO lacks are hidden at first."""
    shown = form_of.fields_of(RunKind.DPO)
    made: dict[str, Any] = {}
    for names in (NUMBERS, TICKS, CHOICES):
        with gr.Row(elem_classes="tb-fields"):
            made |= {f: _setting(f, f in shown) for f in names}
    return made


def _setting(name: str, visible: bool) -> gr.components.Component:
    """The component of one setting."""
    label, info = HELP[name]
    options: dict[str, Any] = {
        "label": label, "info": info, "elem_id": f"set-{name}", "visible": visible, "min_width": 150
    }  # fmt: skip
    if name in NUMBERS:
        return gr.Number(**options)
    if name in TICKS:
        return gr.Checkbox(**options)
    return gr.Dropdown(BITS if name == "quantize" else form_of.losses_of(RunKind.DPO), **options)


def allowed(kind: RunKind) -> str:
    """What the box of other settings takes."""
    rest = [k for k in form_of.keys_of(kind) if k not in FIELDS]
    return f"key=value, one a line. Allowed: {', '.join(rest)}; and any field above by its name: {', '.join(form_of.fields_of(kind))}."


def sources(kind: RunKind) -> list[tuple[str, str]]:
    """Where the rows of a kind may come from; answers as they stand are for SFT alone."""
    return [
        (words, sort.value) for sort, words in SOURCES.items() if sort is not From.DATA or kind is RunKind.SFT
    ]


def settings_shown(kind: RunKind, chosen: str) -> list[Any]:
    """The fields of FIELDS as a preset of a kind sets them; hidden where the kind has no such setting."""
    values = form_of.values_of(chosen, kind)
    made = []
    for f in FIELDS:
        more: dict[str, Any] = {"choices": form_of.losses_of(kind)} if f == "loss" else {}
        made.append(gr.update(value=values.get(f), visible=f in values, **more))
    return made


def kind_shown(kind: RunKind, rows: From) -> list[Any]:
    """The components of Fields.of_kind as a kind of run shows them."""
    sort = From.VOTES if rows is From.DATA and kind is not RunKind.SFT else rows
    rival = kind is not RunKind.REWARD
    return [
        gr.update(choices=sources(kind), value=sort.value), gr.update(visible=kind is RunKind.DPO), gr.update(visible=rival),
        gr.update(visible=rival), gr.update(info=allowed(kind)),
    ]  # fmt: skip


def rows_shown(rows: From, picks: Sequence[tuple[str, str]]) -> list[Any]:
    """The components of Fields.of_rows as a source of rows shows them; the first that can be picked is picked."""
    votes = rows is From.VOTES
    label = {From.PAIRS: "Pair set", From.DATA: "Answers", From.SNAPSHOT: "Snapshot"}.get(rows, "")
    info = "" if picks else "There is none yet: import some in the Data tab, or freeze a snapshot."
    picked = gr.update(
        choices=list(picks), value=picks[0][1] if picks else None, visible=not votes, label=label, info=info
    )
    return [*(gr.update(visible=votes) for _ in range(3)), picked, gr.update(visible=votes)]


def why(kind: RunKind, chosen: str) -> Any:  # noqa: ANN401 - an update of a component
    """The preset with its reason."""
    return gr.update(value=chosen, info=preset_of(kind, chosen).why)


def with_warning(name: str, sentence: str | None) -> Any:  # noqa: ANN401 - an update of a component
    """A number's field with what it does or, outside the safe band, with why that matters."""
    return gr.update(info=HELP[name][1] if sentence is None else f"⚠ {sentence[:1].upper()}{sentence[1:]}.")
