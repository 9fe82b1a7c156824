from dataclasses import replace

import pytest
import tiny

from db.entities.runs import RunKind
from db.errors import UserError
from training.answers import look, read_answers
from training.folders import verify
from training.loading import load_policy, load_tokenizer, stored_dtype
from training.metrics import read_metrics
from training.presets import preset_of
from training.running import load_start
from training.settings import ModelFiles, RunSpec, with_overrides
from training.sft import build_trainer, train

SETTINGS = with_overrides(preset_of(RunKind.SFT, "starter").settings, ["batch_size=4", "epochs=2"])


@pytest.fixture
def spec(base, tmp_path):
    rows = tiny.write_rows(tmp_path / "rows.jsonl", tiny.some_answers())
    return RunSpec(RunKind.SFT, tmp_path / "run", rows, ModelFiles(str(base)), None, SETTINGS)


@pytest.mark.parametrize("model", [tiny.tiny_llama, tiny.tiny_gpt2])
def test_the_loss_falls_on_the_answers_tokens_and_on_no_other(spec, model, tmp_path):
    """Labels of every row of a padded batch are the answer with its end token; the rest is -100."""
    start = load_start(replace(spec, start=ModelFiles(str(model(tmp_path / "model")))))
    trainer = build_trainer(spec, start)
    said = {a.completion[0]["content"] for a in read_answers(spec.rows)}
    seen = 0
    for batch in trainer.get_train_dataloader():
        for ids, labels in zip(batch["input_ids"], batch["labels"], strict=True):
            taught = labels != -100
            assert (ids[taught] == labels[taught]).all()
            text = start.tokenizer.decode(ids[taught])
            assert text.endswith(start.tokenizer.eos_token)
            assert text.removesuffix(start.tokenizer.eos_token).strip() in said
            edges = taught.int().diff().tolist()
            assert edges.count(1) == 1
            assert edges.count(-1) <= 1
            seen += 1
    assert seen == 8


def test_a_run_learns_the_answers_and_leaves_a_sealed_adapter(spec):
    trained = train(spec)
    verify(trained.model_folder)
    assert (trained.is_adapter, trained.reference_proof) == (True, None)
    assert (trained.counts.trained, trained.counts.evaluated) == (8, 4)
    losses = [
        m.values["eval_loss"] for m in read_metrics(spec.folder / "metrics.jsonl") if "eval_loss" in m.values
    ]
    assert losses[-1] < losses[0] - 0.5
    model, _ = load_policy(replace(spec.start, adapter=str(trained.model_folder)))
    assert list(model.peft_config) == ["default"]


def test_the_chosen_sides_of_pairs_are_learned_once_and_the_rejected_never(spec):
    pairs = [*tiny.some_pairs(), tiny.pair(20, "Question 0, please?", "Yes, thank you: 0.", "Never.")]
    tiny.write_rows(spec.rows, pairs)
    trained = train(replace(spec, settings=replace(SETTINGS, max_steps=1)))
    assert (trained.counts.trained, trained.counts.evaluated, trained.counts.identical) == (8, 4, 1)
    trainer = build_trainer(spec, load_start(spec))
    texts = [c[0]["content"] for c in (r.completion for r in read_answers(spec.rows, good_only=True))]
    assert len(trainer.train_dataset) == 8
    assert all(text.startswith("Yes") for text in texts)


def test_full_training_keeps_the_number_type(spec, tmp_path):
    base = tiny.tiny_llama(tmp_path / "half", dtype="bfloat16")
    run = replace(spec, start=ModelFiles(str(base)), settings=replace(SETTINGS, lora=False, max_steps=2))
    trained = train(run)
    assert not trained.is_adapter
    assert str(stored_dtype(str(trained.model_folder))) == "torch.bfloat16"


def test_a_further_run_goes_on_from_an_adapter(spec):
    first = train(spec)
    start = replace(spec.start, adapter=str(first.model_folder))
    second = train(replace(spec, start=start, folder=spec.folder.with_name("second")))
    assert second.metrics["eval_loss"] < first.metrics["eval_loss"]


def test_a_four_bit_base_learns(spec):
    trained = train(replace(spec, settings=with_overrides(SETTINGS, ["quantize=4bit", "max_steps=2"])))
    assert trained.is_adapter
    assert trained.steps == 2


@pytest.mark.parametrize("optimizer", ["adamw_8bit"])
def test_eight_bit_moments_learn_too(spec, optimizer):
    trained = train(replace(spec, settings=with_overrides(SETTINGS, [f"optimizer={optimizer}", "lora_r=64"])))
    before = read_metrics(spec.folder / "metrics.jsonl")[0].values["eval_loss"]
    assert trained.metrics["eval_loss"] < before - 0.5


def test_paged_moments_without_a_gpu_are_one_line(spec):
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a GPU to page out of")
    with pytest.raises(UserError, match="there is no GPU here; set optimizer=adamw_8bit"):
        train(replace(spec, settings=with_overrides(SETTINGS, ["optimizer=paged_adamw_8bit"])))


def test_what_the_trainer_will_see_is_counted_and_named(spec, base):
    rows = [
        tiny.answer(0, "One", "Fine."),
        tiny.answer(1, "One", "Fine."),
        tiny.answer(2, "Two", "Fine.", good=False),
        tiny.answer(3, "Two", "Fine."),
        tiny.answer(4, "Three", "  "),
        tiny.answer(5, "Four " * 300, "Cannot fit."),
        tiny.answer(6, "Five", "word " * 300),
        tiny.answer(7, "Six", "Fine.", part="heldout"),
        tiny.answer(8, "Six", "Good."),
    ]
    report = look(read_answers(tiny.write_rows(spec.rows, rows)), load_tokenizer(str(base)), SETTINGS)
    assert (report.duplicate, report.contradictory, report.empty) == ((1,), (2, 3), (4,))
    assert (report.dropped, report.cut, report.split_prompts) == ((5,), (6,), (7, 8))
    assert (report.train, report.trained, report.heldout, report.evaluated) == (8, 5, 1, 1)
    assert (report.good, report.bad) == (4, 1)
    assert len(report.problems) == 6
    shown = report.rendered[0]
    assert shown.prompt.endswith("assistant\n")
    assert "".join(t.text for t in shown.answer) == "Fine.<|im_end|>"
    assert all(t.loss for t in shown.answer)
    assert shown.ends


@pytest.mark.parametrize(
    "line", ['{"prompt": []}', "no json", '{"prompt": [{"role": "user", "content": "x"}], "completion": []}']
)
def test_a_line_that_is_no_answer_is_named(spec, line):
    spec.rows.write_text(line + "\n")
    with pytest.raises(UserError, match=r"rows\.jsonl, line 1"):
        train(spec)


def test_a_prompt_on_both_sides_or_too_few_answers_stop_the_run(spec):
    tiny.write_rows(spec.rows, [tiny.answer(1, "One", "a"), tiny.answer(2, "One", "b", part="heldout")])
    with pytest.raises(UserError, match="both trains and is held out"):
        train(spec)
    tiny.write_rows(spec.rows, [tiny.answer(1, "One", "a"), tiny.answer(2, "Two", "b", good=False)])
    with pytest.raises(UserError, match="1 of 1 answers can train"):
        train(spec)
