"""Machine judges in the studio: over the battles of a campaign, and as rankers that make pairs. Both run commands."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import gradio as gr

from arena import jobs, judging
from arena.charts import judge_word
from arena.web.context import Context
from arena.web.pages.studio.acts import panel, start_job, told, typed, wanted
from arena.web.pages.studio.markup import Cell, note, table
from arena.web.pages.studio.together import Together
from db.campaigns import find_campaign, get_campaign
from db.catalog import list_models
from db.entities.catalog import ModelKind
from db.snapshots import pair_sets

SINGLE = "llm single"
"""the choice that is not one word on the command line"""
KINDS = [
    ("Reward model: a score for each answer", "reward"), ("PairRM: reads two answers together", "pairrm"),
    ("Language model: gives reasons, then a verdict", "llm"),
    ("Language model: gives reasons, then a grade from 1 to 10", SINGLE), ("Length: prefers the longer answer", "length"),
]  # fmt: skip
HEADS = ("Judge", "Kind", "Said", "Not read", "Cut to fit")
MODEL = ("Left empty: the home's own reward model, or llm-blender/PairRM-hf. A language model has to be named: a "
         "registered endpoint, or weights on this machine.")  # fmt: skip


def judge_table(context: Context, campaign: str | None) -> str:
    """The judges of a campaign and how far each has come."""
    db = context.readers.get()
    found = find_campaign(db, campaign) if campaign else None
    if found is None:
        return note("Choose a campaign above.")
    rows: list[Sequence[Cell]] = [
        (j.name, judge_word(j.kind), f"{j.said:,} {j.what}", j.errors or None, j.cut or None)
        for j in judging.standings(db, found)
    ]
    return table(
        HEADS, rows, empty="No machine has judged these battles yet.", caption=f"Judges of {found.name}"
    )


def start_judging(context: Context, campaign: str | None, kind: str, model: str | None, again: bool) -> str:
    """Let a judge judge a campaign, as a job; what to tell."""
    chosen = wanted(campaign, "no campaign is chosen", "choose one from the list")
    get_campaign(context.readers.get(), chosen)
    arguments = ["judge", chosen, *_with(kind), *_model("--model", kind, model)]
    job = start_job(context, arguments + (["--again"] if again and kind != "reward" else []))
    command = jobs.shown(job.command)
    return f"Job {job.id} runs {command}; open this part again to see how far it is. The Results page shows it beside people's votes."


def _with(kind: str) -> list[str]:
    """The judge as the command line names it."""
    return ["--with", "llm", "--single"] if kind == SINGLE else ["--with", kind]


def _model(option: str, kind: str, model: str | None) -> list[str]:
    """The judge's model as it is typed; the judge by length has none."""
    if kind in ("llm", SINGLE):
        return [option, wanted(model, "a language model that judges has to be named", "choose a model")]
    return [option, typed(model)] if typed(model) and kind != "length" else []


@dataclass(frozen=True, slots=True)
class RankForm:
    """What the form for ranked pairs holds."""

    prompts: str | None
    model: str | None
    n: float | None
    kind: str
    judge: str | None
    which: str
    name: str | None


def start_ranking(context: Context, form: RankForm) -> str:
    """Let a judge rank N answers a prompt, as a job; what to tell."""
    prompts = wanted(form.prompts, "no prompts are chosen", "choose a set, or all")
    model = wanted(form.model, "no model is chosen", "choose who answers")
    name = wanted(form.name, "the pairs need a name", "write one; you train on it later")
    job = start_job(context, [
        "rank", prompts, "--model", model, "--n", str(int(form.n or 0)), *_with(form.kind),
        *_model("--judge-model", form.kind, form.judge), "--pairs", form.which, "--as", name,
    ])  # fmt: skip
    return f"Job {job.id} runs {jobs.shown(job.command)}; then train on the pair set {name} in the Train tab."


def set_table(context: Context) -> str:
    """The named pair sets, and where each is from."""
    rows: list[Sequence[Cell]] = [(n, pairs, source) for n, source, pairs in pair_sets(context.readers.get())]
    return table(("Pair set", "Pairs", "From"), rows, empty="No pair sets yet.", caption="Pair sets")


def judges(context: Context) -> list[str]:
    """Models that a language-model judge can be."""
    return [m.name for m in list_models(context.readers.get()) if m.kind is not ModelKind.RECORDED]


def _models(context: Context) -> list[str]:
    """Models that have answers, or can give some."""
    return [m.name for m in list_models(context.readers.get())]


def build(context: Context, chosen: gr.Dropdown, changed: Together) -> None:
    """The accordion for the campaign in `chosen`."""
    with gr.Accordion("Machine judges", open=False) as opened:
        panel(note("A judge reads the same battles as people. Its word stands beside theirs on the Results page and never "
                   "counts as a vote. It can be stopped, and goes on when it is started again."))  # fmt: skip
        with gr.Row():
            kind = gr.Radio(KINDS, value="reward", label="Judge", info="Who judges.", elem_id="judge-kind")
            model = gr.Dropdown(
                [], label="Its model", info=MODEL, allow_custom_value=True, elem_id="judge-model"
            )
        again = gr.Checkbox(
            label="Ask again where nothing could be read",
            info="For judges that compare two answers, or grade them.",
        )
        go = gr.Button("Judge these battles", variant="primary", elem_id="judge-go")
        said = panel()
        shown = panel()

    def look(name: str | None) -> tuple[str, gr.Dropdown]:
        return judge_table(context, name), gr.Dropdown(choices=judges(context))

    changed.in_fold(opened, look, chosen, [shown, model])
    go.click(told(lambda c, k, m, a: note(start_judging(context, c, k, m, a), "good")), [chosen, kind, model, again], said,
             api_visibility="private")  # fmt: skip


def build_ranking(context: Context, choices: Callable[[Context], list[str]]) -> None:
    """The accordion that makes pairs without people; `choices` names what prompts there are."""
    with gr.Accordion("Pairs without people", open=False) as opened:
        panel(note("A model answers each prompt several times, a judge ranks the answers, and the best against the worst "
                   "becomes a pair to train on. These pairs keep their own name and never mix with votes."))  # fmt: skip
        with gr.Row():
            prompts = gr.Dropdown(
                [], label="Prompts", info="A set, or one half of it: NAME:train.", allow_custom_value=True
            )
            model = gr.Dropdown([], label="Who answers", info="The model you want to train, mostly.")
            n = gr.Number(
                4, label="Answers a prompt", minimum=2, precision=0, info="Those that are there count."
            )
        with gr.Row():
            kind = gr.Radio(KINDS, value="reward", label="Who ranks", info="The judge.")
            judge = gr.Dropdown([], label="The judge's model", info=MODEL, allow_custom_value=True)
        with gr.Row():
            which = gr.Radio([("best against worst", "best-worst"), ("every two that differ", "all")],
                             value="best-worst", label="Pairs", info="What becomes of a ranking.")  # fmt: skip
            name = gr.Textbox(label="Name of the pair set", info="Train on it by this name.", max_length=80)
        go = gr.Button("Rank", variant="primary", elem_id="rank-go")
        said = panel()
        shown = panel()

    def look() -> tuple[str, gr.Dropdown, gr.Dropdown, gr.Dropdown]:
        return (set_table(context), gr.Dropdown(choices=choices(context)), gr.Dropdown(choices=_models(context)),
                gr.Dropdown(choices=judges(context)))  # fmt: skip

    opened.expand(
        look, outputs=[shown, prompts, model, judge], show_progress="hidden", api_visibility="private"
    )
    go.click(told(lambda *f: note(start_ranking(context, RankForm(*f)), "good")),
             [prompts, model, n, kind, judge, which, name], said, api_visibility="private")  # fmt: skip
