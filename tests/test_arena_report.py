"""The report from the database: its shape, its counts, conditions, files; published figures through import and report."""

import csv
import io
import json
import random
from pathlib import Path
from types import SimpleNamespace

import pytest

from arena.charts import body, downloads, drawn_fragment, shown_pair, whole_page
from arena.figure_tables import as_csv, tables
from arena.report import report
from arena.report_files import write_html, write_text
from arena.wording import lines
from db.campaigns import battles_of, create_campaign, get_campaign
from db.catalog import add_model, add_prompts, add_responses, add_scores
from db.connection import open_writer, transaction
from db.entities.campaigns import CampaignSettings, Sampling
from db.entities.catalog import ModelKind, Prompt, Response, Score, Split, content_id
from db.entities.runs import RunKind
from db.entities.votes import Outcome, PreferencePair, RaterKind
from db.errors import NotFound, UserError
from db.imports import ImportCounts, ImportedVote, add_imported_votes, begin_import, finish_import
from db.raters import add_rater, decide_rater
from db.runs import add_run, finish_run
from db.snapshots import add_snapshot
from labeling.assignment import Drawn
from labeling.importing import ImportKind, import_file
from labeling.lending import assign
from labeling.scanning import decide
from tests.factories import NOW
from tests.test_labeling_lending import Session

PAIR_FIELDS = {
    "model_a", "model_b", "n", "wins_a", "wins_b", "ties", "both_good", "both_bad", "win_rate_a", "se", "ci95",
    "ci_method", "naive_ci95", "decided_win_rate_a", "decided_ci95", "sign_test_p", "anytime",
    "length_controlled_win_rate_a", "left_win_share", "votes_needed", "trained_on_share", "verdict",
}  # fmt: skip
FIELDS = {
    "campaign", "snapshot", "counts", "pairs", "criteria", "slices", "ratings", "style_controlled_ratings", "agreement",
    "judges", "human_agreement", "raters",
}  # fmt: skip
JUDGE_FIELDS = {
    "name", "kind", "scored", "truncated_share", "mean_score", "score_gap", "win_rate_a",
    "length_controlled_win_rate_a", "draws", "agreement_decided", "agreement_ci95", "agreement_with_ties",
    "cohen_kappa", "auc", "spearman", "by_score_gap", "by_length_gap", "longer_wins_baseline",
}  # fmt: skip
RATER_FIELDS = {
    "rater", "simulated", "votes", "median_seconds", "left_share", "tie_share", "longer_share", "gold_accuracy",
    "self_consistency", "agreement", "information", "influence", "flags",
}  # fmt: skip
AGREEMENT_FIELDS = {
    "raters", "battles_with_2plus", "percent", "percent_n", "percent_decided", "percent_decided_n", "cohen_kappa",
    "fleiss_kappa", "krippendorff_alpha",
}  # fmt: skip
HOSTILE = "<img src=x onerror=alert(1)>'\"&"


def filled(db, models=("sft", "dpo"), prompts=20, tags=("code",), name="first"):
    """A campaign of recorded models over tagged prompts."""
    asked = [Prompt.of([{"role": "user", "content": f"Question {i} of {name}?"}], Split.TRAIN, tags if i % 2 else ())
             for i in range(prompts)]  # fmt: skip
    add_prompts(db, asked, prompt_set=f"set of {name}")
    for model in models:
        add_model(db, model, ModelKind.RECORDED)
        add_responses(
            db, [Response.of(p.id, model, f"{model} {i} " + "word " * (i % 7)) for i, p in enumerate(asked)]
        )
    return create_campaign(db, name, models, f"set of {name}", CampaignSettings()).campaign


def voted(db, campaign, outcomes, raters=("r1", "r2"), kind=RaterKind.PERSON):
    """Votes on the campaign's battles in turn, by the raters in turn."""
    battles = battles_of(db, campaign.id)
    ids = [add_rater(db, r, kind) for r in raters]
    number = begin_import(db, "votes", "by hand", campaign.id)
    votes = [
        ImportedVote(content_id(campaign.name, raters, i), campaign.id, battles[i % len(battles)].id, ids[i % len(ids)],
                     Outcome(o), None)
        for i, o in enumerate(outcomes)
    ]  # fmt: skip
    add_imported_votes(db, votes, number)
    finish_import(db, number, ImportCounts(len(votes), len(votes), 0, 0))
    return votes


def scored(db, campaign, by):
    """Scores of a reward model: `by` gives the score of (model, place of the prompt)."""
    made = []
    for i, b in enumerate(battles_of(db, campaign.id)):
        made += [
            Score(b.response_a, "rm", by(b.model_a, i), truncated=i == 0),
            Score(b.response_b, "rm", by(b.model_b, i)),
        ]
    add_scores(db, made)


def test_the_document_has_every_field_of_the_contract_and_is_plain_json(db):
    campaign = filled(db)
    voted(db, campaign, ["a", "b", "b", "tie", "both_good", "both_bad", "b", "skip"])
    scored(db, campaign, lambda model, i: float(model == "dpo") + i % 3)
    document = json.loads(json.dumps(report(db, "first").to_json(), allow_nan=False))
    assert document.keys() >= FIELDS
    assert document["counts"] == {
        "shown": 0,
        "stored": 8,
        "counted": 7,
        "retracted": 0,
        "excluded": {"skipped": 1},
    }
    (pair,), (judge,) = document["pairs"], document["judges"]
    assert pair.keys() >= PAIR_FIELDS
    assert [pair[k] for k in ("model_a", "model_b", "n", "wins_a", "wins_b", "ties", "both_good", "both_bad")] == \
        ["sft", "dpo", 7, 1, 3, 1, 1, 1]  # fmt: skip
    assert pair["anytime"].keys() == {"e_value", "p", "cs95"}
    assert judge.keys() >= JUDGE_FIELDS
    assert document["why"]["style_controlled_ratings"] == "the answers do not differ in style"
    assert document["win_matrix"] == {"models": ["sft", "dpo"], "wins": [[None, 2.5], [4.5, None]]}
    assert (judge["name"], judge["kind"], judge["win_rate_a"], judge["score_gap"]) == (
        "rm",
        "reward",
        0.0,
        -1.0,
    )
    assert document["raters"][0].keys() >= RATER_FIELDS
    assert document["agreement"].keys() >= AGREEMENT_FIELDS
    assert document["human_agreement"].keys() >= AGREEMENT_FIELDS


def test_ratings_at_equal_style_stand_beside_the_raw_ones(db):
    campaign = filled(db, models=("one", "longer-name"))
    voted(db, campaign, ["a", "a", "b", "tie", "a"] * 10)
    document = json.loads(json.dumps(report(db, "first").to_json(), allow_nan=False))
    styled = document["style_controlled_ratings"]
    assert [r.keys() for r in styled["ratings"]] == [r.keys() for r in document["ratings"]]
    assert styled["coefficients"].keys() == {"length"}
    assert styled["coefficients"]["length"].keys() == {"value", "se", "ci95", "method"}
    assert styled["n"] == 50


def nulls(value, path=""):
    """Every null in the document whose object says nothing about why."""
    if isinstance(value, dict):
        for key, part in value.items():
            if part is None and key not in value.get("why", {}):
                yield f"{path}.{key}"
            yield from nulls(part, f"{path}.{key}")
    elif isinstance(value, list):
        for part in value:
            yield from nulls(part, path)


OPTIONAL = {
    ".where",  # no condition was given
    ".ratings.unbounded",  # null says that it is bounded
    ".win_matrix.wins",  # null says that the two never met
    ".robustness.without_flagged.win_rate_a",  # the row's own why says that every rater is flagged
}


@pytest.mark.parametrize("outcomes", [[], ["a"], ["tie"] * 6, ["a"] * 30, ["a", "b"] * 30, ["both_bad"] * 3])
def test_every_undefined_figure_says_why(db, outcomes):
    campaign = filled(db)
    voted(db, campaign, outcomes)
    scored(db, campaign, lambda model, i: float(i))
    made = report(db, "first")
    assert set(nulls(made.to_json())) <= OPTIONAL
    assert body(made)
    assert list(lines(made))


@pytest.mark.parametrize(("outcomes", "ahead", "behind"), [("aaab", "sft", "dpo"), ("abbb", "dpo", "sft")])
def test_every_rate_beside_the_first_sentence_is_of_the_model_it_calls_ahead(db, outcomes, ahead, behind):
    campaign = filled(db)
    voted(db, campaign, list(outcomes))
    scored(db, campaign, lambda model, i: float(model == "dpo"))
    page = " ".join(body(report(db, "first")).replace("\u00a0", " ").replace("&nbsp;", " ").split())
    judge = 100 if ahead == "dpo" else 0
    assert f"<h2>{ahead} is ahead of {behind} so far (75 % of votes" in page
    assert f"How often {ahead} wins, with 95 % intervals" in page
    assert f"From {behind} better to {ahead} better. All votes, a tie counts half: 75 %" in page
    assert f"Decided votes only: 75 %, 95 % interval 30 to 95 %. rm: {judge} %" in page
    assert f"{ahead} wins 75 % of all votes and {behind} 25 %" in page
    assert f"gap, {ahead} less {behind}</th><td>{1 if ahead == 'dpo' else -1}</td>" in page
    assert f"{ahead} wins, draws, loses</th><td>{'4, 0, 0' if ahead == 'dpo' else '0, 0, 4'}" in page
    assert f"win rate of {ahead}</th><td>{judge} %" in page
    left, right = ("b", "a") if ahead == "sft" else ("a", "b")  # the colours stay with the models
    assert f'"{left}">&larr; {behind} better</span><span data-side="{right}">{ahead} better' in page


def test_no_votes_still_give_the_judges_word(db):
    scored(db, filled(db), lambda model, i: float(model == "dpo"))
    made = report(db)
    assert (made.campaign, made.pairs, made.ratings) == ("first", (), ())
    assert made.judges[0].win_rate_a == 0.0
    assert "No votes yet in first" in body(made)
    assert "rm: dpo wins 100\u00a0% of 20 battles" in body(made)


def test_an_empty_home_has_a_report_too(db):
    made = report(db)
    assert (made.campaign, made.campaigns, made.counts.stored) == (None, (), 0)
    assert "No votes yet" in body(made)


def test_an_unknown_campaign_or_condition_is_one_line(db):
    with pytest.raises(NotFound, match="no campaign 'nope'"):
        report(db, "nope")
    with pytest.raises(UserError, match="colour=red"):
        report(db, None, "colour=red")


def test_where_narrows_votes_and_says_what_it_left_out(db):
    campaign = filled(db)
    voted(db, campaign, ["a"] * 20, raters=("r1",))
    voted(db, campaign, ["b"] * 10, raters=("r2",))
    made = report(db, "first", "rater=r2")
    assert (made.pairs[0].wins_a, made.pairs[0].wins_b) == (0, 10)
    assert made.counts.counted == 10
    assert made.counts.excluded == {"outside --where": 20}
    assert made.counts.stored == 30
    assert report(db, "first", "tag=code").pairs[0].n == 15
    assert report(db, "first").snapshot != made.snapshot


def test_an_excluded_rater_is_out_of_every_figure_with_the_reason_counted(db):
    campaign = filled(db)
    voted(db, campaign, ["a"] * 10, raters=("r1",))
    voted(db, campaign, ["b"] * 4, raters=("bad",))
    decide_rater(db, "bad", counted=False, reason="pressed without reading")
    made = report(db, "first")
    assert (made.pairs[0].n, made.counts.excluded) == (10, {"rater excluded": 4})
    assert [r.rater for r in made.raters] == ["r1"]


def test_verdicts_of_a_judge_stand_beside_votes_and_count_in_no_win_rate(db):
    campaign = filled(db)
    voted(db, campaign, ["a"] * 12, raters=("r1",))
    voted(db, campaign, ["b"] * 6 + ["a"] * 6, raters=("gpt",), kind=RaterKind.JUDGE)
    made = report(db, "first")
    assert (made.pairs[0].n, made.pairs[0].wins_b) == (12, 0)
    (judge,) = made.judges
    assert (judge.name, judge.kind, judge.scored, judge.win_rate_a) == ("gpt", "verdicts", 12, 0.5)
    assert (judge.agreement_decided, judge.agreement_n) == (0.5, 12)
    assert made.counts.excluded == {"verdict of a machine judge": 12}


def test_simulated_votes_are_named_on_the_face(db):
    campaign = filled(db)
    voted(db, campaign, ["a"] * 5, raters=("sim",), kind=RaterKind.SIMULATED)
    made = report(db, "first")
    assert made.simulated_share == 1
    assert made.warnings[0] == "All 5 votes were given by simulated raters, not by people."
    assert "simulated raters" in body(made)
    voted(db, campaign, ["a"] * 15, raters=("person",))
    assert report(db, "first").simulated_share == 0.25


def test_prompts_that_a_model_or_its_parent_was_trained_on_are_told(db):
    campaign = filled(db, models=("sft", "other"))
    trained = battles_of(db, campaign.id)[:5]
    pairs = [PreferencePair(b.prompt, b.response_a, b.response_b, (), 1.0, Split.TRAIN) for b in trained]
    snapshot = add_snapshot(db, content_id("s"), "by hand", {}, pairs)
    run = add_run(db, "run-1", RunKind.DPO, parent="sft", snapshot=snapshot.id, folder="runs/1", settings={},
                  campaign=None, job=None, pid=1, pid_started=0.0)  # fmt: skip
    finish_run(db, run.id, model="dpo", kind=ModelKind.ADAPTER, source="x", adapter="y", quantize=None,
               reference_proof=None, metrics={}, versions={}, seconds=1.0)  # fmt: skip
    add_model(db, "child", ModelKind.RECORDED, parent="dpo")
    for model in ("dpo", "child"):
        add_responses(
            db,
            [
                Response.of(b.prompt, model, f"{model} says {i}")
                for i, b in enumerate(battles_of(db, campaign.id))
            ],
        )
    rematch = create_campaign(db, "rematch", ("child", "other"), "set of first", CampaignSettings()).campaign
    voted(db, rematch, ["a"] * 10)
    made = report(db, "rematch")
    assert made.pairs[0].trained_on_share == pytest.approx(0.5)
    assert any("50 % of the prompts" in w for w in made.warnings)
    voted(db, campaign, ["a"] * 10)
    assert report(db, "first").pairs[0].trained_on_share == 0


def test_several_campaigns_are_read_together(db):
    first, second = filled(db), filled(db, name="second", prompts=10)
    voted(db, first, ["a"] * 4)
    voted(db, second, ["b"] * 3, raters=("r3",))
    made = report(db)
    assert (made.campaign, made.campaigns) == (None, ("first", "second"))
    assert (made.pairs[0].wins_a, made.pairs[0].wins_b) == (4, 3)
    assert made.why["campaign"] == "several campaigns are read together"


def test_slices_show_parts_and_vanish_where_all_is_alike(db):
    campaign = filled(db, prompts=60)
    voted(db, campaign, ["a", "b"] * 30, raters=("r1", "r2", "r3"))
    slices = {(s.by, s.value): s.pairs[0].n for s in report(db, "first").slices}
    assert slices[("tag", "code")] == 30
    assert slices[("length", "short")] + slices[("length", "middle")] + slices[("length", "long")] == 60
    assert not any(by in ("turn", "rater group") for by, _ in slices)


def test_slices_by_language_and_time(db):
    asked = [Prompt.of([{"role": "user", "content": text}], Split.TRAIN) for i in range(12) for text in
             (f"Please tell me a short story about the number {i}.", f"Bitte erzähle mir eine kurze Geschichte über die Zahl {i}.")]  # fmt: skip
    add_prompts(db, asked, prompt_set="asked")
    for model in ("one", "two"):
        add_model(db, model, ModelKind.RECORDED)
        add_responses(db, [Response.of(p.id, model, f"{model} {i}") for i, p in enumerate(asked)])
    campaign = create_campaign(db, "languages", ("one", "two"), "asked", CampaignSettings()).campaign
    rater, number = add_rater(db, "r1", RaterKind.PERSON), begin_import(db, "votes", "by hand", campaign.id)
    by_id = {p.id: p for p in asked}
    votes = [
        ImportedVote(content_id(i), campaign.id, b.id, rater,
                     Outcome.A if "story" in by_id[b.prompt].messages[0]["content"] else Outcome.B,
                     f"2026-11-{1 + i // 12:02}T10:00:00Z")
        for i, b in enumerate(battles_of(db, campaign.id))
    ]  # fmt: skip
    add_imported_votes(db, votes, number)
    finish_import(db, number, ImportCounts(len(votes), len(votes), 0, 0))
    found = {(s.by, s.value): s.pairs[0] for s in report(db, "languages").slices}
    assert (found["language", "en"].wins_a, found["language", "de"].wins_b) == (12, 12)
    assert [found["time", day].n for day in ("2026-11-01", "2026-11-02")] == [12, 12]


def answer(db, campaign, criteria):
    """A rater whose votes on the first battles, all for the left, say this on further questions, a list a vote."""
    from db.assignments import add_assignment
    from db.entities.votes import Assignment, VoteDetails
    from db.votes import add_vote

    rater = add_rater(db, "r1", RaterKind.PERSON)
    for i, (battle, given) in enumerate(zip(battles_of(db, campaign.id), criteria, strict=False)):
        lent = Assignment(f"assignment-{i:020}", battle.id, rater, "a", "2026-01-01", "2026-01-02")
        add_assignment(db, lent)
        add_vote(db, receipt=f"r{i}", assignment=lent.id, campaign=campaign.id, battle=battle.id, rater=rater,
                 outcome=Outcome.A, key=f"k{i}", body="{}", details=VoteDetails(criteria=given), consent_version=None,
                 revealed=False, created_at="2026-01-01T00:00:00Z")  # fmt: skip


def test_criteria_that_nobody_asked_for_fill_no_report(db):
    campaign = filled(db)
    made_up = [tuple((f"{i}-{n}", Outcome.A) for n in range(20)) for i in range(3)]
    answer(db, campaign, [(*given, ("clear", Outcome.B)) for given in made_up])
    found = [c.name for c in report(db, "first").criteria]
    assert (len(found), "clear" in found) == (20, True)


def test_criteria_are_head_to_heads_of_their_own(db):
    campaign = filled(db)
    answer(
        db, campaign, [(("clear", Outcome.B), ("true", Outcome.A if i else Outcome.TIE)) for i in range(4)]
    )
    made = report(db, "first")
    found = {c.name: (c.pairs[0].wins_a, c.pairs[0].ties, c.pairs[0].wins_b) for c in made.criteria}
    assert found == {"clear": (0, 0, 4), "true": (3, 1, 0)}
    assert made.pairs[0].left_win_share == 1.0
    assert made.counts.shown == 4


def test_votes_that_come_in_while_a_report_is_made_do_not_split_it(db, home):
    """Everything is read at one moment: a vote stored between two reads shows in none of the figures."""
    from db.figures import one_moment

    campaign = filled(db)
    voted(db, campaign, ["a"] * 4)
    other = open_writer(home)
    with one_moment(db):
        before = db.conn.execute("SELECT count(*) FROM votes").fetchone()
        voted(other, get_campaign(other, "first"), ["b"] * 3, raters=("late",))
        assert db.conn.execute("SELECT count(*) FROM votes").fetchone() == before
    other.conn.close()
    assert report(db, "first").pairs[0].n == 7


# -- pages -----------------------------------------------------------------------------------------------------


def test_names_of_strangers_stay_text_on_the_page(db):
    campaign = filled(db, tags=(HOSTILE,), prompts=40)
    voted(db, campaign, ["a", "b"] * 20)
    add_scores(
        db,
        [
            Score(r, HOSTILE, float(i))
            for i, b in enumerate(battles_of(db, campaign.id))
            for r in (b.response_a, b.response_b)
        ],
    )
    page = whole_page(report(db, "first"))
    assert "<img src=x" not in page
    assert page.count("&lt;img src=x") >= 3


def test_the_page_needs_nothing_else_and_is_written_whole(db, tmp_path):
    campaign = filled(db, models=("base", "sft", "dpo"))
    voted(db, campaign, random.Random(1).choices(["a", "b", "tie"], k=60))
    out = tmp_path / "new folder" / "report.html"
    write_html(report(db, "first"), out)
    page = out.read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    for outside in ('src="http', 'href="http', "url(http", "@import", "<link"):
        assert outside not in page
    assert "Ratings" in page
    assert list(out.parent.iterdir()) == [out], "nothing half-written beside it"


def test_charts_are_drawn_with_their_files_when_asked_for(db):
    campaign = filled(db)
    assert "nothing to draw yet" in drawn_fragment(report(db, "first"))
    voted(db, campaign, ["a", "b", "tie"])
    page = drawn_fragment(report(db, "first"))
    for name in ("outcomes", "win_rates", "ratings"):
        assert f'download="{name}.svg"' in page
        assert f'download="{name}.png"' in page


def test_the_first_screen_is_about_the_two_models_that_are_asked_for(db):
    campaign = filled(db, models=("base", "sft", "dpo"), prompts=8)
    voted(db, campaign, ["a"] * 24 + ["b"] * 3)
    made = report(db, "first")
    assert shown_pair(made).n == max(p.n for p in made.pairs)
    for i, pair in enumerate(made.pairs):
        assert f"{pair.model_a} against {pair.model_b}, {pair.n} votes" in body(made, i)


def test_downloads_hold_the_document_itself(db):
    import base64

    campaign = filled(db)
    voted(db, campaign, ["a", "b", "b"])
    made = report(db, "first")
    files = {d.name: base64.b64decode(d.href.split(",", 1)[1]).decode() for d in downloads(made)}
    assert json.loads(files["report.json"]) == json.loads(json.dumps(made.to_json()))
    assert files["pairs.csv"].splitlines()[1].startswith("sft,dpo,3,1,2,0,0,0,")


def test_battles_where_people_and_the_judge_differ_can_be_read_clearest_first(db):
    campaign = filled(db, prompts=6)
    voted(db, campaign, ["a", "a", "b", "tie", "a", "b"] * 3, raters=("r1", "r2", "r3"))
    voted(db, campaign, ["b"], raters=("r4",))
    scored(db, campaign, lambda model, i: float(model == "dpo") * (i + 1))
    made = report(db, "first")
    (queue,) = made.differing
    judged = battles_of(db, campaign.id)
    expected = {b.prompt: i for i, b in enumerate(judged) if i in (0, 1, 4)}
    assert (queue.judge, queue.n, queue.of) == ("rm", 3, 5)
    assert {d.prompt for d in queue.first} == expected.keys()
    assert [(d.for_a, d.for_b) for d in queue.first] == [(3, 0), (3, 0), (3, 1)]
    assert [d.score_gap for d in queue.first] == [-5.0, -2.0, -1.0]
    assert all((d.people_prefer, d.judge_prefers) == ("sft", "dpo") for d in queue.first)
    page = body(made)
    assert page.count('class="tr-differs"') == 3
    assert all(d.answer_a in page and d.question in page for d in queue.first)


def test_a_table_opened_in_a_spreadsheet_runs_nothing(db):
    campaign = filled(db)
    voted(db, campaign, ["a"])
    made = report(db, "first")
    import dataclasses

    pair = dataclasses.replace(made.pairs[0], model_a="=1+1", verdict="@sum")
    rows = dict(tables(dataclasses.replace(made, pairs=(pair,))))["pairs.csv"].splitlines()
    assert rows[1].startswith("'=1+1,")
    assert rows[1].endswith(",'@sum")


# -- published figures, through import and report --------------------------------------------------------------


def test_mtbench_through_import_and_report_gives_the_published_table(home, db, shared_data):
    for kind, file in (
        (ImportKind.VOTES, "mtbench_human_votes.jsonl"),
        (ImportKind.VERDICTS, "mtbench_gpt4_pair.jsonl"),
    ):
        import_file(home, kind, str(shared_data / file), campaign="mtbench")
    published = json.loads((shared_data / "published_agreement.json").read_text(encoding="utf-8"))[
        "mt_bench"
    ]["cells"]
    for turn in (1, 2):
        made = report(db, "mtbench", f"turn={turn},rater=expert*,repeats=every")
        (judge,) = made.judges
        ours = {
            ("human-human", "S1"): (made.agreement.percent, made.agreement.percent_n),
            ("human-human", "S2"): (made.agreement.percent_decided, made.agreement.percent_decided_n),
            ("gpt4_pair-human", "S1"): (judge.agreement_with_ties, judge.agreement_with_ties_n),
            ("gpt4_pair-human", "S2"): (judge.agreement_decided, judge.agreement_n),
        }
        for cell in (c for c in published if c["turn"] == turn):
            rate, n = ours[cell["between"], cell["setup"]]
            assert (n, rate) == (cell["total"], pytest.approx(cell["agree"] / cell["total"]))
    rated = report(db, "mtbench").ratings
    assert [r.ci95.low for r in rated] == sorted((r.ci95.low for r in rated), reverse=True)
    ranked = [r.model for r in sorted(rated, key=lambda r: -r.rating)]
    assert ranked == ["gpt-4", "claude-v1", "gpt-3.5-turbo", "vicuna-13b-v1.2", "alpaca-13b", "llama-13b"]


def test_pandalm_through_import_and_report_gives_the_published_kappas(home, db, shared_data):
    import_file(home, ImportKind.RESPONSES, str(shared_data / "pandalm_items.jsonl"))
    import_file(home, ImportKind.VOTES, str(shared_data / "pandalm_votes.jsonl"), campaign="pandalm")
    published = json.loads((shared_data / "published_agreement.json").read_text(encoding="utf-8"))
    expected = published["pandalm"]["recomputed_shared_400"]
    found = report(db, "pandalm").agreement
    kappas = {f"{k.rater_1[-1]}-{k.rater_2[-1]}": k.kappa for k in found.cohen_kappa}
    assert kappas == pytest.approx({p: expected[p] for p in ("1-2", "1-3", "2-3")}, abs=6e-5)
    assert found.fleiss_kappa == pytest.approx(expected["fleiss"], abs=6e-5)
    assert found.krippendorff_alpha == pytest.approx(expected["krippendorff_alpha"], abs=6e-5)


def test_the_same_votes_from_another_file_order_give_the_same_figures(db):
    first = filled(db)
    second = filled(db, name="second")
    outcomes = ["a", "b", "b", "tie", "both_good"] * 4
    voted(db, first, outcomes)
    voted(db, second, outcomes[::-1], raters=("r2", "r1"))
    one, two = report(db, "first").pairs[0], report(db, "second").pairs[0]
    assert (one.wins_a, one.wins_b, one.ties, one.win_rate_a) == (
        two.wins_a,
        two.wins_b,
        two.ties,
        two.win_rate_a,
    )


def test_asset_files_are_where_the_page_looks_for_them():
    from arena.charts import ASSETS

    assert {p.name for p in Path(ASSETS).glob("*.css")} >= {"base.css", "results.css"}


def test_a_file_of_the_report_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(UserError, match="cannot write"):
        write_text(tmp_path / "file" / "report.html", "text")


@pytest.mark.parametrize("text", ["=1+1", "  =1+1", "\t=1+1", "@SUM(A1)", "\uff1d1+1"])
def test_no_table_hands_a_formula_to_a_spreadsheet(text):
    assert list(csv.reader(io.StringIO(as_csv([[text, -0.5]])))) == [[f"'{text}", "-0.5"]]


def test_votes_on_held_battles_do_not_make_up_for_those_that_are_missing(tmp_path):
    """Eight of twelve battles are voted on and four of them held since: sampling still decides what was seen."""
    session = Session(tmp_path, CampaignSettings(sampling=Sampling.MOST_UNCERTAIN))
    db, rater = session.db, session.rater()
    rater.next()
    battles = battles_of(db, session.campaign.id)[:8]
    for battle, (winner, chance) in zip(battles, [("a", 0.9), ("b", 0.1)] * 4, strict=True):
        drawn = Drawn(battle.id, chance, 12)
        with transaction(db):
            lent = assign(db, session.campaign, rater.seat.rater, battle.id, NOW, drawn=drawn)
        rater.vote(SimpleNamespace(assignment=lent.id), "left" if lent.left_is == winner else "right")
    for battle in battles[:4]:
        decide(db, "first", battle.id, "me", held=True, reason="a test")
    (pair,) = report(db, "first").pairs
    assert (pair.n, pair.wins_a) == (8, 4)
    assert pair.win_rate_a == pytest.approx(0.1), "a win drawn with 0.9 weighs a ninth of one drawn with 0.1"
