"""One battle that a person voted on: both answers, what people said of it, and what a judge says when it is asked."""

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, NamedTuple

import gradio as gr

from arena import jobs
from arena.charts import judge_word
from arena.judging import checked_battle
from arena.web.context import Context
from arena.web.pages.studio.acts import panel, start_job, told, typed, wanted
from arena.web.pages.studio.exports import named
from arena.web.pages.studio.judging import judges
from arena.web.pages.studio.markup import note, render, turns
from db.asked_battles import People, Said, campaign_of, judges_on, people_on, voted_battles
from db.campaigns import get_battle, get_campaign
from db.catalog import get_prompt, get_response
from db.entities.campaigns import Battle, Campaign
from db.entities.runs import Job, JobStatus
from db.entities.votes import Outcome
from db.errors import UserError
from db.runs import list_jobs

# the results page names a battle in the address, so that its link opens it
NAMED = "() => new URLSearchParams(window.location.search).get('battle') || ''"
LOG = 600
"""characters of a failed job's log that are shown"""


class Order(NamedTuple):
    """What a judge said when it read the answers in one order: which stood as A and B, its word, its reasons."""

    a: str
    b: str
    word: str
    said: str


class Verdict(NamedTuple):
    """A judge's word as the page shows it."""

    judge: str
    kind: str
    word: str
    orders: tuple[Order, ...]


def choices(context: Context, campaign: str | None) -> list[tuple[str, str]]:
    """(words, battle) of the battles that persons voted on, the last voted on first."""
    found = voted_battles(context.readers.get(), named(campaign))
    return [(f"{b.battle}: {' '.join(b.prompt.split())[:90]}", str(b.battle)) for b in found]


def chosen_battle(context: Context, battle: str | None) -> tuple[Campaign, Battle]:
    """The battle with this number, and its campaign; UserError where a judge may not be asked about it."""
    number = re.fullmatch(
        r"(?:battle\s*)?(\d{1,15})", wanted(battle, "no battle is chosen", "choose one").lower()
    )
    db = context.readers.get()
    name = campaign_of(db, int(number[1])) if number else None
    if number is None or name is None:
        raise UserError(
            f"there is no battle {typed(battle)[:40]!r}", "choose one from the list, or write its number"
        )
    campaign = get_campaign(db, name)
    checked_battle(db, campaign, int(number[1]))
    return campaign, get_battle(db, int(number[1]))


def shown(context: Context, battle: str | None) -> str:
    """A battle with what people and judges said of it, or in a line why a judge cannot be asked."""
    if not typed(battle):
        return ""
    try:
        campaign, found = chosen_battle(context, battle)
    except UserError as error:
        return note(f"{str(error)[:1].upper()}{str(error)[1:]}.", "bad")
    db = context.readers.get()
    people = people_on(db, campaign.id, found.id) or People(0, 0, 0)
    return render(
        "one_battle", battle=found, campaign=campaign.name, turns=turns(get_prompt(db, found.prompt).messages),
        answers=[(get_response(db, found.response_a).text or "", found.model_a, people.for_a),
                 (get_response(db, found.response_b).text or "", found.model_b, people.for_b)],
        neither=people.neither, verdicts=[_verdict(s, found) for s in judges_on(db, found.id)],
        asking=_asking(context, found.id),
    )  # fmt: skip


def _verdict(said: Said, battle: Battle) -> Verdict:
    words = {Outcome.A: f"{battle.model_a} is better", Outcome.B: f"{battle.model_b} is better",
             Outcome.TIE: "a tie", None: "could not be read, so it counts as no verdict"}  # fmt: skip
    return Verdict(said.judge, judge_word(said.kind), words[said.outcome], tuple(_orders(said, battle)))


def _orders(said: Said, battle: Battle) -> Iterator[Order]:
    """What a language model wrote in each order; other judges write nothing."""
    ends = (battle.model_b, battle.model_a) if said.turned else (battle.model_a, battle.model_b)
    for name, (a, b) in (("forward", ends), ("reverse", ends[::-1])):
        one = said.details.get(name)
        if isinstance(one, dict):
            words = {"a": f"{a} is better", "b": f"{b} is better", "tie": "a tie"}
            missing = "it did not answer" if "error" in one else "nothing that can be read as a verdict"
            word = words.get(str(one.get("verdict")), missing)
            yield Order(a, b, word, str(one.get("said") or one.get("error") or ""))


def _asking(context: Context, battle: int) -> tuple[str, str] | None:
    """(words, kind) of the newest job that asked about this battle, while it runs or where it failed."""
    job = next((j for j in list_jobs(context.readers.get()) if _about(j, battle)), None)
    if job is None or job.status is JobStatus.SUCCEEDED:
        return None
    if not job.status.over:
        return f"Job {job.id} is asking. {job.message}", "busy"
    log = jobs.read_log(context.home, job, LOG).strip().splitlines()
    return f"Job {job.id} {job.status.value}: {log[-1] if log else job.message}", "bad"


def _about(job: Job, battle: int) -> bool:
    words = job.command
    return words[:1] == ("judge",) and ("--battle", str(battle)) in pairwise(words)


def ask(context: Context, battle: str | None, model: str | None) -> str:
    """Let a language model judge one battle, as a job; what to tell."""
    campaign, found = chosen_battle(context, battle)
    judge = wanted(model, "no judge is chosen", "choose a model that judges")
    job = start_job(context, [
        "judge", campaign.name, "--with", "llm", "--model", judge, "--battle", str(found.id), "--again",
    ])  # fmt: skip
    return f"Job {job.id} runs {jobs.shown(job.command)}; the verdict appears below."


def build(context: Context, campaign: gr.Dropdown, timer: gr.Timer) -> tuple[gr.Dropdown, gr.Dropdown]:
    """The list, the judge and the button; returns the two lists, which are filled when the tab is looked at."""
    with gr.Accordion("Ask a judge about one battle", open=False) as fold:
        panel(note("A language model reads both answers twice, once in each order, and gives its reasons. It can be asked once a "
                   "person has voted on the battle; raters never see what it says while they rate."))  # fmt: skip
        asked = gr.Textbox(visible="hidden", elem_id="asked-battle")
        with gr.Row():
            battle = gr.Dropdown([], label="Battle", allow_custom_value=True, elem_id="one-battle",
                                 info="Those people voted on last, or any other by its number.")  # fmt: skip
            model = gr.Dropdown([], label="Judge", elem_id="one-judge",
                                info="A registered endpoint, or weights on this machine.")  # fmt: skip
        go = gr.Button("Ask a judge", variant="primary", elem_id="one-go")
        said, seen = panel(), panel()
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}

    def opened(number: str) -> tuple[Any, ...]:
        if not number:
            return gr.skip(), gr.skip(), gr.skip()
        return gr.Accordion(open=True), gr.Dropdown(value=number), shown(context, number)

    def looked(number: str | None) -> Any:  # noqa: ANN401 - what Gradio calls an update
        return shown(context, number) if typed(number) else gr.skip()

    gr.on(None, opened, asked, [fold, battle, seen], js=NAMED, **quiet)
    battle.change(lambda b: ("", shown(context, b)), battle, [said, seen], **quiet)
    campaign.change(lambda c: gr.Dropdown(choices=choices(context, c)), campaign, battle, **quiet)
    go.click(told(lambda b, m: note(ask(context, b, m), "good")), [battle, model], said, **quiet)
    timer.tick(looked, battle, seen, **quiet)
    return battle, model


def refreshed(context: Context, campaign: str | None) -> tuple[gr.Dropdown, gr.Dropdown]:
    """The two lists anew; what is chosen stays."""
    return gr.Dropdown(choices=choices(context, campaign)), gr.Dropdown(choices=judges(context))
