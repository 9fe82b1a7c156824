"""Following and steering runs in a real browser: the queue and its order, runs over each other, a sweep from form to table."""

import os
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from arena import jobs
from arena.demo import seed
from db import queueing, runs
from db.connection import open_reader, open_writer
from db.entities.catalog import ModelKind
from db.entities.runs import JobStatus, RunKind, RunStatus
from db.sweeps import add_sweep, list_sweeps
from labeling.pairs import PairPolicy
from tests.browser.conftest import look_at
from tests.factories import new_home
from tests.serving import Running, running
from tests.test_arena_loop import give
from training.snapshots import Source, freeze

# it would end at once, as there is no such model; here it never gets its turn
WORDS = ["train", "dpo", "--from", "nobody", "--campaign", "SFT vs DPO"]


def made(db, name, losses, **settings):
    """A run with curves that has its model."""
    snapshot = freeze(db, Source(("SFT vs DPO",)), PairPolicy())
    run = runs.add_run(db, name, RunKind.DPO, parent="starter-sft", snapshot=snapshot.id, folder=f"runs/{name}",
                       settings={"beta": 0.1, "batch_size": 8, "gradient_accumulation": 1, **settings}, campaign=None, job=None, pid=os.getpid(),
                       pid_started=jobs.own_start())  # fmt: skip
    for step, loss in enumerate(losses, 1):
        runs.add_metrics(db, run.id, step, len(losses),
                         {"loss": loss, "rewards/margins": losses[0] - loss, "rewards/accuracies": 1 - loss})  # fmt: skip
    runs.add_metrics(db, run.id, len(losses), len(losses),
                     {"eval_loss": losses[-1], "eval_rewards/accuracies": 1 - losses[-1], "eval_rewards/margins": 0.2})  # fmt: skip
    runs.finish_run(db, run.id, model=name, kind=ModelKind.ADAPTER, source="starter-sft", adapter="x", quantize=None,
                    reference_proof=None, metrics={"counts": {"evaluated": 20}, "steps": 4}, versions={}, seconds=3.0)  # fmt: skip
    return run


@pytest.fixture
def web(tmp_path) -> Iterator[Running]:
    """The demo with votes, two runs that are done as a sweep, and one that holds the slot."""
    home = new_home(tmp_path / "home")
    db = open_writer(home)
    seed(db)
    give(db, "SFT vs DPO", 12)
    snapshot = freeze(db, Source(("SFT vs DPO",)), PairPolicy())
    add_sweep(db, "grid", RunKind.DPO, parent="starter-sft", snapshot=snapshot.id, command=["train", "dpo"],
              changes=[{"beta": "0.1"}, {"beta": "0.5"}], job=None)  # fmt: skip
    made(db, "grid-1", [0.69, 0.5, 0.3, 0.2])
    made(db, "grid-2", [0.69, 0.69, 0.69, 0.69], beta=0.5)
    runs.add_run(db, "busy", RunKind.DPO, parent="starter-sft", snapshot=snapshot.id, folder="runs/busy", settings={},
                 campaign=None, job=None, pid=os.getpid(), pid_started=jobs.own_start())  # fmt: skip
    db.conn.close()
    with running(home) as served:
        yield served


def subtab(page: Page, web: Running, title: str) -> None:
    """Open a sub-tab of Train."""
    look_at(page, web, "train")
    page.locator("#train-tabs").get_by_role("tab", name=title, exact=True).click()


def test_the_queue_is_seen_reordered_and_cancelled(studio: Page, web: Running) -> None:
    first, second = (web.writer.call(lambda db: jobs.start(web.home, db, WORDS)).id for _ in range(2))
    look_at(studio, web, "jobs")
    places = studio.locator("#queue tbody tr")
    expect(places).to_have_count(2)
    expect(places.first).to_contain_text("1. in the queue")
    expect(places.first).to_contain_text("--from nobody")
    studio.locator("#job input").click()
    studio.get_by_role("option", name=f"{second}:").click()
    studio.click("#job-earlier")
    expect(places.first.locator("td").nth(1)).to_have_text(str(second))
    db = open_reader(web.home)
    assert queueing.queue(db) == [second, first]
    studio.get_by_role("button", name="Cancel", exact=True).click()
    expect(places).to_have_count(1)
    assert runs.get_job(db, second).status is JobStatus.CANCELLED


def test_runs_over_each_other_with_what_differs(studio: Page, web: Running) -> None:
    subtab(studio, web, "Compare")
    shown = studio.locator("#comparison")
    expect(shown.locator(".tb-over-key li")).to_have_count(3)
    studio.locator("#compared").get_by_role("button", name="Remove busy").or_(
        studio.locator("#compared .token-remove").first
    ).first.click()
    studio.locator("#compared input").click()
    studio.get_by_role("option", name="grid-1").click()
    expect(shown.locator("polyline")).to_have_count(2 * 6)
    drawing, below = (shown.locator(f"{part} >> nth=0").bounding_box() for part in ("svg", ".tb-axis-x"))
    assert drawing["y"] + drawing["height"] <= below["y"]  # the words of the axis do not lie on it
    differ = shown.get_by_role("region", name="Settings that differ")
    expect(differ.locator("tbody tr")).to_have_count(1)
    expect(differ).to_contain_text("beta")
    expect(shown).to_contain_text("All learned from the same rows")
    expect(shown.get_by_role("region", name="Results")).to_contain_text("nothing learned")


def test_a_sweep_is_formed_started_and_its_table_saved(studio: Page, web: Running) -> None:
    subtab(studio, web, "Sweep")
    table = studio.locator("#sweep-table")
    expect(table.locator("#sweep-why")).to_contain_text(
        "Best: beta=0.1 has 80% of 20 held-out rows the right way round"
    )
    expect(table.locator("tbody tr")).to_have_count(2)
    look = studio.locator("#sweep-look")
    expect(look.locator(".tb-big")).to_have_text("6 runs")
    values = studio.locator("#sweep-values-0").locator("input, textarea")
    values.fill("1e-3")
    values.blur()
    expect(look.locator(".tb-big")).to_have_text("2 runs")
    expect(look).to_contain_text("going by past runs")
    expect(look).to_contain_text("--sweep learning_rate=1e-3")
    values.fill("fast")
    values.blur()
    expect(look).to_contain_text("learning_rate=fast is not possible")
    values.fill("1e-3")
    values.blur()
    expect(look.locator(".tb-big")).to_have_text("2 runs")
    studio.click("#sweep-start")
    expect(studio.locator("#sweep-said")).to_contain_text("waits its turn")
    job = runs.list_jobs(open_reader(web.home))[0]
    assert "--sweep" in job.command
    web.writer.call(lambda db: jobs.cancel(db, job.id))


def test_a_sweep_takes_its_rows_from_where_a_run_can(studio: Page, web: Running) -> None:
    subtab(studio, web, "Sweep")
    look = studio.locator("#sweep-look")
    expect(look).to_contain_text("--campaign 'SFT vs DPO'")
    sources = studio.locator("#sweep-rows")
    expect(sources.get_by_label("Answers of a file or a model")).to_have_count(0)
    sources.get_by_label("Rows frozen before").click()
    expect(look).to_contain_text("--snapshot")
    expect(look).not_to_contain_text("--campaign")
    expect(look).not_to_contain_text("--no-simulated")
    studio.locator("#sweep-kind").get_by_label("sft: the chosen answers as they stand").click()
    sources.get_by_label("Answers of a file or a model").click()
    expect(look).to_contain_text("--data")
    studio.locator("#sweep-kind").get_by_label("dpo: which of two answers is better").click()
    expect(look).to_contain_text("--campaign 'SFT vs DPO'")


@pytest.mark.slow
def test_a_sweep_fills_its_table(studio: Page, web: Running) -> None:
    web.writer.call(lambda db: runs.end_run(db, runs.get_run(db, "busy").id, RunStatus.FAILED, "over"))
    subtab(studio, web, "Sweep")
    studio.locator("#sweep-parent input").click()
    studio.get_by_role("option", name="starter-sft", exact=True).click()
    expect(studio.locator("#sweep-look")).to_contain_text("--from starter-sft")
    studio.get_by_role("button", name="More").locator("visible=true").last.click()
    studio.locator("#sweep-more textarea").fill("max_steps=2")
    for n, values in enumerate(("1e-3,1e-8", "4")):
        field = studio.locator(f"#sweep-values-{n}").locator("input, textarea")
        field.fill(values)
        field.blur()
    expect(studio.locator("#sweep-look .tb-big")).to_have_text("2 runs")
    studio.click("#sweep-start")
    expect(studio.locator("#sweep-table caption")).to_contain_text("starter-sft-s1", timeout=60_000)
    expect(studio.locator("#sweep-table a[download$='.xlsx']")).to_be_visible(timeout=240_000)
    expect(studio.locator("#sweep-table").get_by_text("best", exact=True)).to_be_visible(timeout=240_000)
    assert list_sweeps(open_reader(web.home))[0].name == "starter-sft-s1"
