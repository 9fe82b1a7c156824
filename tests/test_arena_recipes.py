"""Recipes: five files of commands that exist, run one after the other as jobs, stop at the first failure and go on."""

import csv
import io
import json
import shlex

import click
import nbformat
import pytest

import launch
from arena import jobs
from arena.recipes import smoke_data
from arena.recipes.notebooks import write
from arena.recipes.reading import Recipe, Step, Way, names, recipe
from arena.recipes.running import run
from db import runs
from db.connection import PROJECT, checked_name
from db.entities.runs import JobStatus
from db.errors import NotFound, UserError
from db.snapshots import pair_sets
from labeling.formats.records import ImportKind
from labeling.importing import import_file
from tests.factories import make_home
from tests.workshop import run as typed

WAYS = [Way(), Way(smoke=True), Way(published=True), Way(smoke=True, published=True)]
FIVE = ["ultraaligned", "llamarefine", "preference-learning", "mistral-pairrm", "gpt2-hh"]


# -- the files -------------------------------------------------------------------------------------------------


def test_the_five_seed_systems_are_there(home):
    assert names() == FIVE
    listed = json.loads(typed(home.root, "recipe", "list", "--json").out)
    assert [row["name"] for row in listed] == FIVE
    assert all(row["needs"] and row["what"] and row["steps"] >= 5 for row in listed)


@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.parametrize("name", FIVE)
def test_every_command_of_a_recipe_is_one_that_the_command_line_takes(name, way, tmp_path):
    """Parsed by the command line itself: an option that was renamed, or a value it refuses, fails here."""
    for step in recipe(name, tmp_path, way).steps:
        command, words = launch.cli, list(step.command)
        while isinstance(command, click.Group):
            with click.Context(command) as context:
                found, command, words = command.resolve_command(context, words)
            assert command is not None, found
        command.make_context("recipe", words)


@pytest.mark.parametrize("name", FIVE)
def test_a_recipe_says_what_it_is_what_is_right_and_how_it_differs(name, tmp_path):
    plain, smoke, published = (recipe(name, tmp_path, way) for way in WAYS[:3])
    assert plain.corrected
    assert plain.after
    assert not plain.warnings
    assert len(smoke.warnings) == 1
    assert "stand" in smoke.warnings[0], "it says what stands in for what"
    assert published.warnings
    assert any(s.result for s in plain.steps), "its end shows figures"
    assert [s.command for s in plain.steps] != [s.command for s in published.steps]
    assert "hub" not in " ".join(w for s in smoke.steps for w in s.command)


@pytest.mark.parametrize("name", FIVE)
def test_without_smoke_the_real_ids_are_named_and_with_it_none_is(name, tmp_path):
    def words(way):
        return [w for s in recipe(name, tmp_path, way).steps for w in s.command]

    def ids(way):
        return [w for w in words(way) if w.count("/") == 1 and not w.startswith((".", "/"))]

    assert len(ids(Way())) >= 2
    assert ids(Way(smoke=True)) == []


def test_one_home_holds_a_recipe_run_in_every_way(tmp_path):
    for name in FIVE:
        made = [
            {s.command[s.command.index("--name") + 1] for s in recipe(name, tmp_path, w).steps if "--name" in s.command}
            for w in WAYS
        ]  # fmt: skip
        assert sum(map(len, made)) == len(set().union(*made)), name


def test_the_names_that_recipes_give_are_names(tmp_path):
    for made in (recipe(name, tmp_path, way) for name in FIVE for way in WAYS):
        for words in (s.command for s in made.steps):
            if words[:2] == ("campaign", "create"):
                assert checked_name(words[2], "campaign") == words[2]
            for option in ("--name", "--as"):
                if option in words:
                    checked_name(words[words.index(option) + 1], "model")


def test_the_seeds_whose_reference_was_wrong_have_it_right_unless_as_published(tmp_path):
    def dpo(name, way):
        return next(s.command for s in recipe(name, tmp_path, way).steps if s.command[:2] == ("train", "dpo"))

    own = dpo("ultraaligned", Way())
    assert own[own.index("--from") + 1] == "ultra-sft"
    seed = dpo("ultraaligned", Way(published=True))
    assert seed[seed.index("--from") + 1] == "ultra-published-base"
    refine = dpo("llamarefine", Way())
    assert (refine[refine.index("--from") + 1], refine[refine.index("--reference") + 1]) == (
        "refine-sft",
        "parent",
    )
    rounds = [
        s.command for s in recipe("mistral-pairrm", tmp_path).steps if s.command[:2] == ("train", "dpo")
    ]
    assert [c[c.index("--reference") + 1] for c in rounds] == ["pairrm-base", "pairrm-1", "pairrm-2"]


def test_an_unknown_recipe_names_the_others(home):
    with pytest.raises(NotFound, match="gpt2-hh"):
        recipe("mine", home.exports)
    ran = typed(home.root, "recipe", "run", "mine", "--smoke")
    assert (ran.code, ran.err.count("\n")) == (2, 1)


def test_show_prints_every_command_as_it_is_typed(home):
    ran = typed(home.root, "recipe", "show", "gpt2-hh", "--smoke")
    assert "python launch.py import pairs arena/recipes/smoke/hh.jsonl" in ran.out
    assert "--sweep learning_rate=" in ran.out
    document = json.loads(typed(home.root, "recipe", "show", "gpt2-hh", "--json").out)
    assert "openai-community/gpt2" in document["steps"][0]["command"]


# -- the small data --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", smoke_data.FILES)
def test_the_small_data_is_what_its_maker_makes(name):
    assert (smoke_data.FOLDER / name).read_text(encoding="utf-8") == smoke_data.text_of(name)


@pytest.mark.parametrize(
    ("name", "kind", "shape"),
    [("ultrafeedback.jsonl", "pairs", "ultrafeedback"), ("questions.csv", "responses", "qa"),
     ("rlhf-reward.jsonl", "pairs", "rlhf_reward"), ("lima.jsonl", "responses", "lima"), ("hh.jsonl", "pairs", "hh")],
)  # fmt: skip
def test_the_small_data_comes_in_as_the_seeds_own_formats(home, name, kind, shape):
    made = import_file(home, ImportKind(kind), str(smoke_data.FOLDER / name))
    assert (made.format, made.refused) == (shape, 0)
    assert made.added == smoke_data.FILES[name][1]


def test_only_the_first_rows_are_read_where_a_limit_is_set(home):
    made = import_file(home, ImportKind.PAIRS, str(smoke_data.FOLDER / "hh.jsonl"), limit=7)
    assert (made.read, made.added) == (7, 7)
    with pytest.raises(UserError, match="--limit"):
        import_file(home, ImportKind.PAIRS, str(smoke_data.FOLDER / "hh.jsonl"), limit=0)


# -- running ---------------------------------------------------------------------------------------------------


class Listener(jobs.ThisJob):
    """A job whose words are kept; asked to stop after so many steps."""

    def __init__(self, db, after=None):
        self.heard = []
        super().__init__(runs.add_job(db, ["recipe", "run", "mine"]).id, db, self.heard.append)
        self._after = after

    def should_stop(self):
        return self._after is not None and sum("python launch.py" in h for h in self.heard) >= self._after


def recipe_of(*commands, results=()):
    steps = tuple(Step(f"step {n}", tuple(shlex.split(c)), n in results) for n, c in enumerate(commands, 1))
    return Recipe("mine", "", "", "", (), (), ("a warning",), "", Way(smoke=True), steps)


@pytest.fixture
def questions(tmp_path):
    path = tmp_path / "questions.csv"
    path.write_text("question,answer\nWhy?,Because.\nHow?,So.\n", encoding="utf-8")
    return path


def test_each_step_is_a_job_and_results_are_kept(home, db, questions):
    listener = Listener(db)
    done = run(db, home, recipe_of(f"import responses {questions}", "models list", results=(2,)), listener)
    assert [d.before for d in done] == [False, False]
    assert "note: a warning" in listener.heard
    assert any("python launch.py import responses" in line for line in listener.heard), "shown before it runs"
    for step in done:
        job = runs.get_job(db, step.job)
        assert job.status is JobStatus.SUCCEEDED, "a verb that is no job by itself is one here"
        assert jobs.read_log(home, job)
    assert done[0].result is None
    assert done[1].result.splitlines()[0].startswith("name")


def test_what_is_done_is_not_done_twice_but_results_are_shown_again(home, db, questions):
    mine = recipe_of(f"import responses {questions}", "models list", results=(2,))
    first = run(db, home, mine, Listener(db))
    again = run(db, home, mine, Listener(db))
    assert [d.before for d in again] == [True, False]
    assert again[0].job == first[0].job
    assert again[1].result == first[1].result


def test_it_stops_at_the_first_failure_with_one_line_and_goes_on_when_mended(home, db, tmp_path):
    late = tmp_path / "late.csv"
    mine = recipe_of("models add far --recorded", f"import responses {late}", "models list", results=(3,))
    with pytest.raises(UserError) as told:
        run(db, home, mine, Listener(db))
    assert "step 2 of 3 of mine did not work (step 2): there is no file" in str(told.value)
    assert "recipe run mine --smoke" in str(told.value)
    assert "\n" not in str(told.value)
    assert len(runs.list_jobs(db)) == 3, "the recipe and the two commands that were tried"
    late.write_text("question,answer\nWhy?,Because.\n", encoding="utf-8")
    assert [d.before for d in run(db, home, mine, Listener(db))] == [True, False, False]


def test_told_to_stop_it_ends_its_child_and_begins_nothing_more(home, db, questions):
    mine = recipe_of(f"import responses {questions}", "models add far --recorded", "models list")
    with pytest.raises(UserError, match="stopped in step 1 of 3"):
        run(db, home, mine, Listener(db, after=1))
    assert next(j.status for j in runs.list_jobs(db)) is JobStatus.CANCELLED
    assert len(runs.list_jobs(db)) == 2


# -- as a notebook ---------------------------------------------------------------------------------------------


def test_the_notebook_has_a_cell_for_each_command(home, tmp_path):
    made = recipe("llamarefine", home.exports, Way(smoke=True))
    write(made, home, tmp_path / "book.ipynb")
    book = nbformat.read(tmp_path / "book.ipynb", as_version=4)
    nbformat.validate(book)
    code = [cell.source for cell in book.cells if cell.cell_type == "code"]
    assert len(code) == len(made.steps) + 1
    assert all(
        f"tastebench({shlex.join(s.command)!r})" == c for s, c in zip(made.steps, code[1:], strict=True)
    )
    again = tmp_path / "again.ipynb"
    write(made, home, again)
    assert again.read_bytes() == (tmp_path / "book.ipynb").read_bytes()


def test_the_cells_of_a_notebook_run_and_stop_at_a_failure(tmp_path, capsys):
    home = make_home(tmp_path / "home")
    write(recipe_of("models list", "models show nobody"), home, tmp_path / "book.ipynb")
    first, good, bad = [
        c.source for c in nbformat.read(tmp_path / "book.ipynb", as_version=4).cells if c.cell_type == "code"
    ]
    space = {}
    exec(first, space)
    assert space["CHECKOUT"] == str(PROJECT)
    exec(good, space)
    assert "model-one" in capsys.readouterr().out
    with pytest.raises(Exception, match="returned non-zero exit status 2"):
        exec(bad, space)
    assert "there is no model 'nobody'" in capsys.readouterr().out


def test_a_notebook_that_cannot_be_written_is_one_line(home, tmp_path):
    with pytest.raises(UserError, match="cannot write"):
        write(recipe("gpt2-hh", home.exports), home, tmp_path)


# -- the five, run on the starter models ----------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("name", FIVE)
def test_a_recipe_runs_to_its_end_on_the_starter_models(name, home, db):
    ran = typed(home.root, "recipe", "run", name, "--smoke", "--json")
    assert ran.code == 0, ran.err[-500:]
    document = json.loads(ran.out)
    assert document["results"]
    assert all(r["text"] for r in document["results"])
    models = json.loads(typed(home.root, "models", "list", "--json").out)
    assert any(m["run"] for m in models)
    assert all(j.status is JobStatus.SUCCEEDED for j in runs.list_jobs(db))
    proofs = [r.reference_proof for r in runs.list_runs(db) if r.kind == "dpo"]
    assert proofs
    assert all(proof["ok"] for proof in proofs)
    CHECKS[name](home, db, "\n".join(r["text"] for r in document["results"]))


def ultra(home, db, told):
    assert "of what it read was cut to fit" in told
    assert "difference" in told
    assert "95 % interval" in told
    assert "/5" not in told
    plots = home.exports / "ultraaligned-smoke" / "plots"
    wanted = {"training_curves", "mean_scores", "score_differences", "scores", "win_rates"}
    assert wanted <= {p.stem for p in plots.glob("*.png")}
    assert runs.get_run(db, "ultra-smoke-dpo").parent == "ultra-smoke-sft"


def refine(home, db, told):
    assert "refine-smoke-merged" in told
    assert "perplexity" in told
    assert "loss on lima" in told
    heads = next(csv.reader(io.StringIO((home.exports / "llamarefine-smoke" / "answers.csv").read_text())))
    assert {"starter-base: answer", "refine-smoke-sft: answer", "refine-smoke-merged: answer"} <= set(heads)


def prefer(home, db, told):
    assert "judge starter-reward" in told
    assert {name for name, _, n in pair_sets(db) if n} >= {
        "prefer-smoke-by-judge",
        "prefer-smoke-by-ranker",
    }
    assert (home.exports / "preference-learning-smoke" / "answers.csv").is_file()


def pairrm(home, db, told):
    assert "votes were given by simulated raters, not by people" in told
    assert "0 votes counted" not in told
    assert all(f"pairrm-smoke-{n} " in told for n in (1, 2, 3))
    from datasets import load_dataset

    out = home.exports / "mistral-pairrm-smoke" / "responses"
    assert "all_generated_responses" in load_dataset(str(out), split="train").column_names
    assert (out / "README.md").is_file()


def gpt2(home, db, told):
    assert "nothing learned" in told
    sweep = home.runs / "hh-smoke-sweep"
    assert (sweep / "table.csv").is_file()
    assert (sweep / "table.xlsx").is_file()


CHECKS = dict(zip(FIVE, (ultra, refine, prefer, pairrm, gpt2), strict=True))
