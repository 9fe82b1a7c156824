"""Blindness in a real browser: names planted wherever one could leak from, searched in every byte received."""

import base64
import json
from pathlib import Path
from urllib.parse import quote

from playwright.sync_api import BrowserContext, Page, Response, expect

from db.campaigns import create_campaign
from db.catalog import add_model, add_prompts, add_responses, add_scores
from db.connection import Home, home_at, open_writer
from db.entities.campaigns import CampaignSettings
from db.entities.catalog import ModelKind, Prompt, Score, Split
from db.entities.catalog import Response as Answer
from db.entities.runs import RunKind
from db.runs import add_metrics, add_run, finish_run, note_rematch
from db.snapshots import add_snapshot
from tests.serving import running

PLACES = (
    "parent model", "candidate model", "note", "base source", "base adapter", "candidate source", "candidate adapter",
    "prompt set", "campaign", "other campaign", "tag", "settings key", "settings value", "finish reason", "scorer", "run",
    "run folder", "run setting", "metric", "snapshot", "rematch", "demo", "version",
)  # fmt: skip
CANARY = {place: f"zq{i:02d}{place.replace(' ', '')}" for i, place in enumerate(PLACES)}


def planted(folder: Path) -> Home:
    """A home with a canary in every place that could tell something about a model."""
    c = CANARY
    home = home_at(folder)
    db = open_writer(home)
    prompts = [
        Prompt.of([{"role": "user", "content": f"Question {i}?"}], Split.TRAIN, [c["tag"]]) for i in range(4)
    ]
    add_prompts(db, prompts, prompt_set=c["prompt set"])
    parent, candidate = c["parent model"], c["candidate model"]
    add_model(
        db, parent, ModelKind.ADAPTER, source=c["base source"], adapter=c["base adapter"], note=c["note"]
    )
    add_snapshot(db, "f" * 32, c["snapshot"], {}, [])
    run = add_run(db, c["run"], RunKind.DPO, parent=parent, snapshot="f" * 32, folder=c["run folder"],
                  settings={c["run setting"]: 1}, campaign=None, job=None, pid=1, pid_started=0.0)  # fmt: skip
    add_metrics(db, run.id, 1, 1, {c["metric"]: 0.5})
    finish_run(db, run.id, model=candidate, kind=ModelKind.ADAPTER, source=c["candidate source"], adapter=c["candidate adapter"],
               quantize=None, reference_proof=None, metrics={c["metric"]: 1}, versions={"torch": c["version"]}, seconds=1.0)  # fmt: skip
    note_rematch(db, run.id, c["rematch"])
    for model in (parent, candidate):
        answers = [
            Answer.of(
                p.id,
                model,
                f"Answer {i}{'!' * (model == parent)}",
                finish_reason=c["finish reason"],
                settings={c["settings key"]: c["settings value"]},
            )
            for i, p in enumerate(prompts)
        ]
        add_responses(db, answers)
        add_scores(db, [Score(a.id, c["scorer"], 1.0) for a in answers])
    settings = CampaignSettings(guidelines="Be fair.")
    first = create_campaign(
        db, c["campaign"], (parent, candidate), c["prompt set"], settings, demo=c["demo"], parent_run=run.id
    )
    create_campaign(
        db,
        c["other campaign"],
        (candidate, parent),
        c["prompt set"],
        settings,
        lineage=first.campaign.lineage,
    )
    db.conn.close()
    return home


class Ear:
    """Keeps every byte a browser receives: addresses, status lines, headers, bodies."""

    def __init__(self, context: BrowserContext) -> None:
        self._answers: list[Response] = []
        self.heard: list[tuple[str, bytes]] = []
        context.on("response", lambda answer: self._answers.append(answer))

    def listen(self, page: Page) -> None:
        """Read what has arrived so far, and what the page keeps and shows."""
        for answer in self._answers:
            self.heard.append((answer.url, json.dumps(answer.headers_array()).encode()))
            if answer.status not in (204, 303, 307):
                self.heard.append((answer.url, answer.body()))
        self._answers.clear()
        kept = page.evaluate(
            "JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie, document.title])"
        )
        self.heard.append(("storage", kept.encode()))
        self.heard.append(("cookies", json.dumps(page.context.cookies()).encode()))
        self.heard.append(("page", page.content().encode()))

    def found(self, words: str) -> list[str]:
        """Where the words were heard, as they are or encoded."""
        forms = {
            words.encode(),
            words.lower().encode(),
            quote(words).encode(),
            base64.b64encode(words.encode())[:-4],
        }
        return [where for where, data in self.heard if any(f in data or f in data.lower() for f in forms)]


def test_nothing_a_rater_receives_names_a_model(tmp_path: Path, context: BrowserContext) -> None:
    with running(planted(tmp_path)) as web:
        ear = Ear(context)
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.goto(web.base + web.link(CANARY["campaign"]))
        page.wait_for_selector('.tb-rate[data-state="rating"]')
        expect(page.locator("[data-role=guide]")).to_be_visible()
        ear.listen(page)
        assert len(ear.heard) > 20
        assert ear.found("Question ")  # the ear does hear: the prompt is in it
        assert ear.found(page.inner_text("[data-role=left]"))
        assert {place: where for place, words in CANARY.items() if (where := ear.found(words))} == {}
        # nor afterwards: this campaign reveals nothing
        page.wait_for_timeout(350)
        page.keyboard.press("ArrowLeft")
        expect(page.locator("[data-role=saved]")).to_have_text("Saved")
        page.keyboard.press("u")
        expect(page.locator("[data-role=saved]")).to_have_text("Vote taken back")
        ear.listen(page)
        for path in (
            "/results/",
            "/studio/",
            "/chat/",
            "/login/",
            "/api/guidelines",
            "/healthz",
            "/manifest.json",
            "/nothing",
        ):
            page.goto(web.base + path, wait_until="networkidle")
            ear.listen(page)
        assert {place: where for place, words in CANARY.items() if (where := ear.found(words))} == {}
        print(f"\nS2: {len(CANARY)} canaries, {len(ear.heard)} answers heard, 0 found")


def test_ids_a_rater_sees_are_random_and_say_nothing(tmp_path: Path, context: BrowserContext) -> None:
    with running(planted(tmp_path)) as web:
        page = context.new_page()
        page.goto(web.base + web.link(CANARY["campaign"]))
        page.wait_for_selector('.tb-rate[data-state="rating"]')
        shown = page.locator(".tb-ballot").evaluate(
            "e => [...e.querySelectorAll('*')].flatMap(x => [...x.attributes].filter(a => !['class', 'data-role', 'data-side', 'data-jump', 'data-do', 'dir', 'lang',"
            " 'data-who', 'type', 'role', 'hidden', 'style'].includes(a.name)).map(a => `${a.name}=${a.value}`))"
        )
        assert set(shown) <= {"aria-label=Prompt", "aria-label=Left answer", "aria-label=Right answer", "aria-label=Jump to an answer",
                              "aria-current=true"}  # fmt: skip
