import gc
import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import tiny
import torch
from transformers import LlamaForCausalLM

from db.entities.catalog import Split
from db.entities.runs import RunKind
from db.errors import UserError
from training.dpo import Loaded, answer_logps, build_trainer, fit, load, train
from training.folders import verify
from training.following import Cancelled
from training.loading import load_base, load_policy, load_tokenizer, stored_dtype
from training.metrics import read_metrics
from training.monitoring import refuse_not_a_number
from training.preflight import read_rows
from training.presets import PRESETS
from training.prompts_once import shares_prompts
from training.settings import DpoLoss, ModelFiles, RunSpec, from_mapping, with_overrides

SETTINGS = with_overrides(PRESETS["starter"].settings, ["batch_size=4", "epochs=2", "sft_weight=0"])


@pytest.fixture
def spec(base, tmp_path):
    rows = tiny.write_rows(tmp_path / "rows.jsonl", tiny.some_pairs())
    return RunSpec(RunKind.DPO, tmp_path / "run", rows, ModelFiles(str(base)), None, SETTINGS)


def test_from_a_checkpoint_the_first_step_proves_the_reference(spec):
    trained = train(spec)
    proof = trained.reference_proof
    assert proof.ok
    assert (proof.margin, proof.expected_margin) == (0.0, 0.0)
    assert proof.loss == pytest.approx(math.log(2), abs=1e-6)
    assert trained.is_adapter
    assert (trained.counts.trained, trained.counts.evaluated) == (8, 4)


def test_the_run_learns_what_was_preferred(spec):
    metrics = train(replace(spec, settings=replace(SETTINGS, epochs=4))).metrics
    assert metrics["eval_rewards/accuracies"] == 1.0
    assert metrics["eval_rewards/margins"] > 1
    assert metrics["eval_loss"] < 0.3


def test_the_run_folder_holds_model_settings_metrics_and_result(spec):
    trained = train(spec)
    verify(trained.model_folder)
    names = {p.name for p in trained.model_folder.iterdir()}
    assert {"adapter_model.safetensors", "adapter_config.json", "chat_template.jinja", "COMPLETE"} <= names
    assert "ref" not in names
    assert "training_args.bin" not in names
    assert from_mapping(json.loads((spec.folder / "settings.json").read_text())) == SETTINGS
    assert json.loads((spec.folder / "result.json").read_text())["reference_proof"]["ok"] is True
    assert {p.name for p in spec.folder.iterdir()} == {
        "model",
        "checkpoints",
        "metrics.jsonl",
        "samples.jsonl",
        "settings.json",
        "result.json",
    }
    model, tokenizer = load_policy(replace(spec.start, adapter=str(trained.model_folder)))
    assert list(model.peft_config) == ["default"]
    assert tokenizer.chat_template == tiny.CHATML


def test_metrics_are_logged_each_step_and_evaluated_before_each_epoch_and_at_the_end(spec):
    seen = []
    train(spec, observe=seen.append)
    assert read_metrics(spec.folder / "metrics.jsonl") == seen
    assert [m.step for m in seen if "loss" in m.values] == [1, 2, 3, 4]
    assert [m.step for m in seen if "eval_loss" in m.values] == [0, 2, 4]
    assert {m.total_steps for m in seen} == {4}
    before = next(m for m in seen if "eval_loss" in m.values).values
    assert before["eval_loss"] == pytest.approx(math.log(2), abs=1e-6)
    assert {"rewards/margins", "rewards/accuracies", "logps/chosen", "grad_norm"} <= set(
        next(m for m in seen if "loss" in m.values).values
    )


def bytes_of(folder):
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_from_an_adapter_the_reference_is_its_frozen_copy_and_the_parent_stays_as_it_was(spec, base, adapter):
    was = bytes_of(adapter)
    trained = train(replace(spec, start=ModelFiles(str(base), str(adapter))))
    assert trained.reference_proof.ok
    assert trained.reference_proof.margin == 0.0
    assert trained.reference_proof.loss == pytest.approx(math.log(2), abs=1e-6)
    assert bytes_of(adapter) == was
    assert not (trained.model_folder / "ref").exists()
    weights = "adapter_model.safetensors"
    assert (trained.model_folder / weights).read_bytes() != (adapter / weights).read_bytes()


@pytest.mark.parametrize("loss", DpoLoss)
def test_every_loss_starts_at_its_own_value(spec, loss):
    s = replace(SETTINGS, loss=loss, label_smoothing=0.1 if loss is DpoLoss.ROBUST else 0.0, max_steps=1)
    proof = train(replace(spec, settings=s)).reference_proof
    assert proof.ok
    expected = {"ipo": 25.0, "hinge": 1.0, "apo_zero": 1.0}.get(loss, math.log(2))
    assert proof.expected_loss == pytest.approx(expected)
    assert proof.loss == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("loss", ["sigmoid", "robust", "hinge"])
def test_another_reference_is_proven_against_plain_forward_passes(spec, base, adapter, loss):
    s = with_overrides(
        SETTINGS, [f"loss={loss}", "label_smoothing=0.1", "gradient_accumulation=2", "max_steps=1"]
    )
    start = ModelFiles(str(base), str(adapter))
    proof = train(replace(spec, start=start, reference=ModelFiles(str(base)), settings=s)).reference_proof
    assert proof.ok
    assert abs(proof.expected_margin) > 0.01
    assert proof.margin == pytest.approx(proof.expected_margin, abs=1e-3)
    assert proof.loss == pytest.approx(proof.expected_loss, abs=1e-3)


def test_a_reference_with_an_adapter_counts_with_its_adapter(spec, base, adapter):
    other = ModelFiles(str(base), str(adapter))
    proof = train(replace(spec, reference=other, settings=replace(SETTINGS, max_steps=1))).reference_proof
    assert proof.ok
    assert abs(proof.expected_margin) > 0.01


@pytest.mark.parametrize("started_from", ["base", "adapter"])
def test_with_the_chosen_answers_learned_too_the_loss_is_still_proven(spec, base, adapter, started_from):
    """Margin 0, and a loss of ln 2 plus the weight times what a chosen token costs."""
    start = {"base": ModelFiles(str(base)), "adapter": ModelFiles(str(base), str(adapter))}[started_from]
    run = replace(spec, start=start, settings=replace(SETTINGS, sft_weight=2.0, max_steps=1))
    proof = train(run).reference_proof
    assert proof.ok
    assert abs(proof.margin) < 1e-3
    assert proof.expected_loss > math.log(2) + 1
    assert abs(proof.loss - proof.expected_loss) < 1e-3


def test_the_start_named_as_reference_is_no_other_reference(spec):
    assert load(replace(spec, reference=spec.start)).reference is None


def test_another_reference_needs_a_loss_that_can_be_checked(spec, base, adapter):
    s = with_overrides(SETTINGS, ["loss=ipo"])
    with pytest.raises(UserError, match="cannot be checked"):
        train(replace(spec, reference=ModelFiles(str(base), str(adapter)), settings=s))


@pytest.mark.parametrize("kind", ["base", "adapter", "full", "4bit", "another"])
def test_a_reference_asked_beforehand_gives_the_same_run(spec, base, adapter, kind):
    """Same proof, same losses, and no second model in memory while it trains."""
    start = ModelFiles(str(base), str(adapter) if kind in ("adapter", "another") else None)
    other = ModelFiles(str(base)) if kind == "another" else None
    s = with_overrides(
        SETTINGS, [f"lora={kind != 'full'}", f"quantize={'4bit' if kind == '4bit' else 'none'}"]
    )
    runs, models = [], []
    for precompute in (False, True):
        run = replace(spec, folder=spec.folder / str(precompute), start=start, reference=other,
                      settings=replace(s, precompute=precompute))  # fmt: skip
        trained = train(run, lambda m: models.append(in_memory()) if m.step == m.total_steps else None)
        assert trained.reference_proof.ok
        runs.append(
            [m.values["loss"] for m in read_metrics(run.folder / "metrics.jsonl") if "loss" in m.values]
        )
    assert runs[0][0] == pytest.approx(runs[1][0], abs=1e-3)
    assert runs[1][-1] < runs[1][0]
    if kind != "4bit":  # which computes in bfloat16, so that a pass depends on what else is in its batch
        assert runs[0] == pytest.approx(runs[1], rel=1e-4)
    assert models[-1] == 1


@pytest.mark.parametrize("precompute_with", ["base", "adapter"])
def test_a_prompt_is_read_once_for_both_answers_and_they_are_as_likely_as_before(
    spec, base, adapter, precompute_with
):
    start = ModelFiles(str(base), str(adapter) if precompute_with == "adapter" else None)
    run = replace(spec, start=start, settings=replace(SETTINGS, batch_size=2))
    trainer = build_trainer(run, load(run))
    inputs = trainer._prepare_inputs(trainer.data_collator([trainer.train_dataset[i] for i in range(3)]))
    assert shares_prompts(trainer.model, inputs)
    read = []
    handle = trainer.model.get_input_embeddings().register_forward_hook(
        lambda _module, args, _out: read.append(args[0].numel())
    )
    asked = torch.cat(trainer.compute_ref_log_probs(trainer.model, inputs))
    handle.remove()
    assert asked == pytest.approx(
        answer_logps(trainer.model, inputs), abs=1e-4
    )  # nothing has been trained yet
    assert sum(read) < int(inputs["attention_mask"].sum())
    inputs["input_ids"][0, 0] += 1  # two prompts that are not the same are read one by one
    assert not shares_prompts(trainer.model, inputs)


def in_memory() -> int:
    """Language models that are alive."""
    gc.collect()
    return sum(isinstance(o, LlamaForCausalLM) for o in gc.get_objects())


def test_a_reference_that_answers_differently_beforehand_is_not_let_go(spec, base, adapter):
    run = replace(
        spec, reference=ModelFiles(str(base), str(adapter)), settings=replace(SETTINGS, precompute=True)
    )
    trainer = build_trainer(run, load(run))
    trainer.let_go_of_reference()
    assert trainer.ref_model is None
    again = load(run)
    trainer = build_trainer(run, again)
    trainer.ref_model = again.policy
    with pytest.raises(UserError, match="gave other answers"):
        trainer.let_go_of_reference()


def test_a_reference_of_another_family_is_refused(spec, tmp_path):
    other = tiny.tiny_llama(tmp_path / "other", corpus=("Quite different words for a tokenizer of its own",))
    with pytest.raises(UserError, match="tokenizer"):
        train(replace(spec, reference=ModelFiles(str(other))))


@pytest.mark.parametrize("started_from", ["checkpoint", "adapter"])
def test_a_wrong_reference_is_caught_and_nothing_is_kept(spec, base, adapter, started_from):
    """The bare base, or a stranger, in the place of the frozen start: the classic mistake."""
    if started_from == "adapter":
        spec = replace(spec, start=ModelFiles(str(base), str(adapter)))
        wrong = load_base(str(base))
    else:
        wrong = load_policy(ModelFiles(str(base), str(adapter)))[0].get_base_model()
    right = load(spec)
    with pytest.raises(UserError, match="the reference is not the model it should be") as e:
        fit(spec, Loaded(right.policy, right.tokenizer, wrong), lambda _: None, lambda: False)
    assert "instead of 0.0000" in str(e.value)
    assert not (spec.folder / "model").exists()


def test_full_training_keeps_the_number_type_and_a_frozen_copy(spec, tmp_path):
    half = tiny.tiny_llama(tmp_path / "half", dtype="float16")
    s = with_overrides(SETTINGS, ["lora=false", "learning_rate=1e-3"])
    trained = train(replace(spec, start=ModelFiles(str(half)), settings=s))
    assert trained.reference_proof.ok
    assert not trained.is_adapter
    assert str(stored_dtype(str(trained.model_folder))) == "torch.float16"
    verify(trained.model_folder)
    load_policy(ModelFiles(str(trained.model_folder)))
    assert trained.metrics["eval_rewards/margins"] > 0.1


def test_full_training_from_an_adapter_says_to_merge_first(spec, base, adapter):
    with pytest.raises(UserError, match="merge"):
        train(
            replace(spec, start=ModelFiles(str(base), str(adapter)), settings=replace(SETTINGS, lora=False))
        )


@pytest.mark.parametrize("with_adapter", [False, True])
def test_a_four_bit_base_is_proven_too(spec, base, adapter, with_adapter):
    start = ModelFiles(str(base), str(adapter) if with_adapter else None, "4bit")
    trained = train(replace(spec, start=start, settings=replace(SETTINGS, max_steps=2)))
    assert trained.reference_proof.ok


def test_a_model_without_template_or_padding_trains_with_the_plain_one(spec, tmp_path):
    trained = train(replace(spec, start=ModelFiles(str(tiny.tiny_gpt2(tmp_path / "gpt2")))))
    assert trained.plain_template
    assert trained.reference_proof.ok
    assert "Assistant:" in (trained.model_folder / "chat_template.jinja").read_text()


def test_cancelling_ends_at_the_next_step_and_keeps_no_model(spec):
    seen = []
    with pytest.raises(Cancelled, match="at step 3 of 4"):
        train(spec, observe=seen.append, should_stop=lambda: any(m.step == 2 for m in seen))
    assert max(m.step for m in seen) == 3
    assert [m.step for m in seen if "eval_loss" in m.values] == [0, 2]
    assert not (spec.folder / "model").exists()


def test_cancelling_before_the_first_step(spec):
    with pytest.raises(Cancelled, match="before its first step"):
        train(spec, should_stop=lambda: True)
    assert read_metrics(spec.folder / "metrics.jsonl") == []


def test_held_out_rows_are_never_among_the_training_rows(spec):
    trainer = build_trainer(spec, load(spec))
    rows = read_rows(spec.rows)
    expected = {part: {r.prompt[0]["content"] for r in rows if r.part is part} for part in Split}
    assert {r["prompt"][0]["content"] for r in trainer.train_dataset} == expected[Split.TRAIN]
    assert {r["prompt"][0]["content"] for r in trainer.eval_dataset} == expected[Split.HELDOUT]


def test_identical_and_overlong_pairs_neither_train_nor_evaluate(spec):
    rows = tiny.some_pairs()
    rows += [tiny.pair(20, "Same", "x", "x"), tiny.pair(21, "Alike", "y", "y", "heldout")]
    rows += [tiny.pair(22, "long " * 300, "a", "b"), tiny.pair(23, "a cut one", "long " * 300, "b")]
    rows[0]["votes"] = [1, 2]  # keys of others are none of the trainer's business
    tiny.write_rows(spec.rows, rows)
    counts = train(replace(spec, settings=replace(SETTINGS, max_steps=1))).counts
    assert (counts.trained, counts.evaluated) == (9, 4)
    assert (counts.identical, counts.dropped, counts.cut) == (2, 1, 1)


def test_without_held_out_pairs_there_is_no_evaluation(spec):
    tiny.write_rows(spec.rows, tiny.some_pairs(heldout=0))
    metrics = train(spec).metrics
    assert not [key for key in metrics if key.startswith("eval")]


def test_too_few_pairs_say_what_was_left_out(spec):
    tiny.write_rows(spec.rows, [tiny.pair(1, "One", "a", "b"), tiny.pair(2, "Two", "c", "c")])
    with pytest.raises(UserError, match=r"1 of 2 pairs can train .*both answers are the same"):
        train(spec)


def test_a_prompt_on_both_sides_stops_the_run(spec):
    tiny.write_rows(
        spec.rows, [*tiny.some_pairs(), tiny.pair(99, "Question 0, please?", "a", "b", "heldout")]
    )
    with pytest.raises(UserError, match="both trains and is held out"):
        train(spec)


def test_a_loss_that_is_no_number_stops_the_run(spec, base, tmp_path):
    broken = load_base(str(base))
    broken.model.norm.weight.data.fill_(math.nan)
    broken.save_pretrained(tmp_path / "broken")
    load_tokenizer(str(base)).save_pretrained(tmp_path / "broken")
    with pytest.raises(UserError, match="eval_loss is not a number at step 0"):
        train(replace(spec, start=ModelFiles(str(tmp_path / "broken"))))
    assert not (spec.folder / "model").exists()


def test_an_overflow_later_on_blames_the_learning_rate():
    refuse_not_a_number(5, {"loss": 0.1, "grad_norm": 3.0})
    with pytest.raises(UserError, match="loss is not a number at step 5") as e:
        refuse_not_a_number(5, {"loss": math.inf})
    assert "learning_rate" in e.value.remedy


def test_the_same_seed_gives_the_same_weights(spec):
    first = train(spec).model_folder / "adapter_model.safetensors"
    second = train(replace(spec, folder=spec.folder.with_name("again"))).model_folder / first.name
    other = train(
        replace(spec, folder=spec.folder.with_name("other"), settings=replace(SETTINGS, seed=7))
    ).model_folder / first.name  # fmt: skip
    assert first.read_bytes() == second.read_bytes() != other.read_bytes()


def test_nothing_is_printed_to_standard_output(spec, capfd):
    train(spec)
    assert capfd.readouterr().out == ""


def test_a_line_still_being_written_is_left_for_the_next_reading(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1, "total_steps": 4, "values": {"loss": 0.5}}\n{"step": 2, "tot')
    assert [m.step for m in read_metrics(path)] == [1]
    assert read_metrics(tmp_path / "none") == []


HH = Path(__file__).parents[2] / "shared" / "data" / "hh_helpful_train.jsonl"


@pytest.mark.slow
@pytest.mark.skipif(not HH.is_file(), reason="the hh-rlhf pairs are not at hand")
def test_five_hundred_real_pairs_train(spec, tmp_path):
    lines = HH.read_text(encoding="utf-8").splitlines()[:600]
    rows = [
        {
            "prompt": raw["prompt"],
            "chosen": [{"role": "assistant", "content": raw["chosen"]}],
            "rejected": [{"role": "assistant", "content": raw["rejected"]}],
            "part": "train" if n < 500 else "heldout",
            "pair": n,
        }
        for n, raw in enumerate(map(json.loads, lines))
    ]
    heldout = {json.dumps(r["prompt"]) for r in rows[500:]}
    rows = [r for n, r in enumerate(rows) if n >= 500 or json.dumps(r["prompt"]) not in heldout]
    s = with_overrides(SETTINGS, ["batch_size=8", "epochs=1", "max_length=512"])
    trained = train(replace(spec, rows=tiny.write_rows(tmp_path / "hh.jsonl", rows), settings=s))
    assert trained.reference_proof.ok
    assert trained.counts.trained + trained.counts.dropped + trained.counts.identical >= 495
    assert trained.counts.trained >= 300
    assert trained.metrics["rewards/margins"] != 0
    verify(trained.model_folder)
