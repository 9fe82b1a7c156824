import contextlib
import json

import pytest
import tiny
from tiny import pair

from db.connection import home_at, open_writer
from db.errors import UserError
from labeling.importing import ImportKind, import_file
from labeling.policy import PairPolicy
from training.answers import read_answers
from training.preflight import preflight, read_rows
from training.settings import DpoSettings
from training.snapshots import Source, freeze, write_rows

LONG = "word " * 60
ROWS = [
    pair(1, "Question one", "Good answer", "Bad answer"),
    pair(2, "Question two", "The same", "The same "),
    pair(3, "Question three", "Yes", "No"),
    pair(4, "Question three", "Yes", "No"),
    pair(5, "Question five", "Left", "Right"),
    pair(6, "Question five", "Right", "Left"),
    pair(7, LONG, "Never seen", "Dropped with its prompt"),
    pair(8, "Question eight", LONG, "Short"),
    pair(9, "Question nine", "Held", "Out", part="heldout"),
    pair(10, "Question one", "Other good answer", "Other bad answer", part="heldout"),
]


@pytest.fixture(scope="module")
def tokenizer():
    return tiny.tiny_tokenizer()


@pytest.fixture
def settings():
    return DpoSettings(max_length=96)


def test_each_kind_of_row_is_counted_once(tmp_path, tokenizer, settings):
    report = preflight(tiny.write_rows(tmp_path / "rows.jsonl", ROWS), tokenizer, settings)
    assert (report.train, report.heldout) == (8, 2)
    assert (report.trained, report.evaluated) == (6, 2)
    assert report.identical == (2,)
    assert report.duplicate == (3, 4)
    assert report.contradictory == (5, 6)
    assert report.dropped == (7,)
    assert report.cut == (8,)
    assert report.split_prompts == (1, 10)
    assert report.shifted == report.unended == ()
    assert len(report.problems) == 6
    assert report.lengths["max"] > 96 > report.lengths["p50"] > report.lengths["min"] > 0
    assert json.loads(report.to_json())["problems"] == list(report.problems)


def test_a_clean_file_has_no_problems(tmp_path, tokenizer, settings):
    report = preflight(tiny.write_rows(tmp_path / "rows.jsonl", tiny.some_pairs()), tokenizer, settings)
    assert report.problems == ()
    assert (report.trained, report.evaluated) == (8, 4)


def test_the_rendered_row_shows_where_the_loss_begins_and_ends(tmp_path, tokenizer, settings):
    report = preflight(tiny.write_rows(tmp_path / "rows.jsonl", ROWS), tokenizer, settings)
    assert [row.pair for row in report.rendered] == [1, 2, 3]
    row = report.rendered[0]
    assert row.prompt == "<|im_start|>user\nQuestion one<|im_end|>\n<|im_start|>assistant\n"
    assert "".join(token.text for token in row.chosen) == "Good answer<|im_end|>"
    assert "".join(token.text for token in row.rejected) == "Bad answer<|im_end|>"
    assert all(token.loss for token in row.chosen + row.rejected)
    assert row.ends


def test_tokens_past_max_length_carry_no_loss(tmp_path, tokenizer, settings):
    report = preflight(tiny.write_rows(tmp_path / "rows.jsonl", [ROWS[7]]), tokenizer, settings)
    row = report.rendered[0]
    counted = [token.loss for token in row.chosen]
    assert counted == sorted(counted, reverse=True)
    assert sum(counted) == 96 - row.prompt_tokens < len(counted)
    assert not row.ends


def test_the_boundary_is_the_trainers_own(tmp_path, tokenizer, settings):
    from datasets import Dataset
    from trl import DPOConfig, DPOTrainer

    from training.loading import load_base
    from training.preflight import read_rows, tokenize

    rows = read_rows(tiny.write_rows(tmp_path / "rows.jsonl", tiny.some_pairs(heldout=0)))
    plain = [{"prompt": list(r.prompt), "chosen": list(r.chosen), "rejected": list(r.rejected)} for r in rows]
    trainer = DPOTrainer(
        load_base(str(tiny.tiny_llama(tmp_path / "base"))),
        args=DPOConfig(str(tmp_path / "out"), use_cpu=True, bf16=False, max_length=96, report_to="none"),
        train_dataset=Dataset.from_list(plain),
        processing_class=tokenizer,
    )
    for row, theirs in zip(rows, trainer.train_dataset, strict=True):
        ours = tokenize(row, tokenizer)
        assert (ours.prompt, ours.chosen, ours.rejected) == (
            theirs["prompt_ids"], theirs["chosen_ids"], theirs["rejected_ids"],
        )  # fmt: skip


def test_a_template_that_renders_the_prompt_differently_is_reported(tmp_path, settings):
    thinking = tiny.CHATML.replace(
        "assistant\\n' }}{% endif %}", "assistant\\n<think></think>' }}{% endif %}"
    )
    tokenizer = tiny.tiny_tokenizer(template=thinking)
    report = preflight(tiny.write_rows(tmp_path / "rows.jsonl", ROWS[:1]), tokenizer, settings)
    assert report.shifted == (1,)
    assert "losing the end of the prompt" in report.problems[0]


def test_a_template_that_does_not_end_the_turn_is_reported(tmp_path, settings):
    endless = "{% for m in messages %}{{ m['role'] + ': ' + m['content'] + '\\n' }}{% endfor %}"
    tokenizer = tiny.tiny_tokenizer(template=endless + "{% if add_generation_prompt %}assistant: {% endif %}")
    report = preflight(tiny.write_rows(tmp_path / "rows.jsonl", ROWS[:1]), tokenizer, settings)
    assert report.unended == (1,)


def test_a_template_that_refuses_a_role_is_one_line(tmp_path, settings):
    refusing = (
        "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system turn') }}{% endif %}"
        + tiny.CHATML
    )
    row = pair(1, "Hello", "Yes", "No")
    row["prompt"].insert(0, {"role": "system", "content": "Be kind"})
    with pytest.raises(UserError, match="no system turn"):
        preflight(
            tiny.write_rows(tmp_path / "rows.jsonl", [row]), tiny.tiny_tokenizer(template=refusing), settings
        )


@pytest.mark.parametrize(
    "line",
    [
        "not json",
        "[]",
        '{"prompt": "text", "chosen": [], "rejected": []}',
        '{"prompt": [{"role": "user"}], "chosen": [], "rejected": []}',
        '{"prompt": [{"role": "user", "content": "x"}], "chosen": [], "rejected": []}',
        json.dumps({**pair(1, "x", "y", "z"), "part": "both"}),
    ],
)
def test_a_line_that_is_no_pair_is_named(tmp_path, tokenizer, settings, line):
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(ROWS[0]) + "\n" + line + "\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"rows\.jsonl, line 2"):
        preflight(path, tokenizer, settings)


def test_a_missing_file_is_named(tmp_path, tokenizer, settings):
    with pytest.raises(UserError, match=r"none\.jsonl"):
        preflight(tmp_path / "none.jsonl", tokenizer, settings)


def test_special_tokens_that_stand_twice_are_named(tmp_path, settings):
    """A template that writes the end token itself, twice: the classic of a template and a tokenizer that both add one."""
    twice = tiny.tiny_tokenizer(template=tiny.CHATML.replace("'<|im_end|>'", "'<|im_end|><|im_end|>'"))
    report = preflight(tiny.write_rows(tmp_path / "rows.jsonl", tiny.some_pairs()), twice, settings)
    assert len(report.doubled) == 12
    assert any("one special token twice" in p for p in report.problems)
    assert (
        preflight(
            tiny.write_rows(tmp_path / "rows.jsonl", tiny.some_pairs()), tiny.tiny_tokenizer(), settings
        ).doubled
        == ()
    )


def test_the_pieces_of_a_rendered_prompt_are_its_tokens(tmp_path, tokenizer, settings):
    row = preflight(tiny.write_rows(tmp_path / "rows.jsonl", ROWS), tokenizer, settings).rendered[0]
    assert len(row.pieces) == row.prompt_tokens
    assert "".join(row.pieces) == row.prompt


@pytest.mark.parametrize("sign", ["\u2028", "\u2029", "\x85", "\x0b", "\x1c", "\r", "\n"])
def test_a_sign_that_ends_a_line_elsewhere_ends_no_row(tmp_path, sign):
    """Answers from the web hold them, and a frozen file holds texts as they are."""
    home, file = home_at(tmp_path / "home"), tmp_path / "pairs.jsonl"
    said = [{"prompt": f"Question {n}", "chosen": f"yes{sign}{n}", "rejected": "no"} for n in range(10)]
    file.write_text("".join(json.dumps(row) + "\n" for row in said), encoding="utf-8")
    with contextlib.closing(open_writer(home).conn):
        pass
    import_file(home, ImportKind.PAIRS, str(file))
    db = open_writer(home)
    made = freeze(db, Source(pair_set="pairs"), PairPolicy())
    assert write_rows(db, made.id, tmp_path / "rows.jsonl") == 10
    db.conn.close()
    rows = read_rows(tmp_path / "rows.jsonl")
    assert sorted(row.chosen[0]["content"] for row in rows) == sorted(str(row["chosen"]) for row in said)
    assert len(read_answers(tmp_path / "rows.jsonl")) == 20
