"""Alarms on curves of runs that really went wrong (bench/curves.py recorded them), and on the edges of each rule."""

import json
import math
from pathlib import Path

import pytest

from db.entities.runs import RunKind
from training.alarms import AlarmKind, Course, alarms

CURVES = Path(__file__).with_name("curves")
RECORDED = {
    "healthy": set(),
    "nothing": {AlarmKind.NOTHING_LEARNED},
    "overfit": {AlarmKind.OVERFIT},
    "forgot": {AlarmKind.FORGETTING},
    "longer": {AlarmKind.LONGER, AlarmKind.FORGETTING},
    "reference": {AlarmKind.WRONG_REFERENCE},
    "falls": {
        AlarmKind.CHOSEN_FALLS,
        AlarmKind.ENDLESS,
        AlarmKind.REPEATS,
        AlarmKind.LONGER,
        AlarmKind.FORGETTING,
    },
    "endless": {AlarmKind.ENDLESS, AlarmKind.LONGER},
    "blown": {AlarmKind.BLOW_UP, AlarmKind.FORGETTING, AlarmKind.OVERFIT},
}


def recorded(name):
    held = json.loads((CURVES / f"{name}.json").read_text(encoding="utf-8"))
    return Course(RunKind(held["kind"]), held["curves"])


def kinds(course):
    return {a.kind for a in alarms(course)}


def dpo(ended=True, own_reference=True, **curves):
    """A DPO run from bare values: one a step, from step 1."""
    named = {name.replace("__", "/"): list(enumerate(values, 1)) for name, values in curves.items()}
    return Course(RunKind.DPO, named, ended, own_reference)


@pytest.mark.parametrize("name", RECORDED)
def test_each_recorded_run_gives_its_alarms_and_no_other(name):
    assert {p.stem for p in CURVES.glob("*.json")} == set(RECORDED)
    assert kinds(recorded(name)) == RECORDED[name]


@pytest.mark.parametrize("name", RECORDED)
def test_every_alarm_says_what_to_change(name):
    for alarm in alarms(recorded(name)):
        assert any(
            word in alarm.change for word in ("learning rate", "set ", "epochs", "votes", "start it from")
        )
        assert "nan" not in alarm.what


def test_the_verdict_names_both_lengths():
    (alarm,) = [a for a in alarms(recorded("longer")) if a.kind is AlarmKind.LONGER]
    assert alarm.what.startswith("the answers just got longer: 40 tokens on average instead of 5")


def test_no_curves_no_alarms():
    assert alarms(dpo()) == ()
    assert alarms(Course(RunKind.SFT, {})) == ()


def test_a_run_under_way_is_not_called_unlearned():
    still = {"loss": [0.693] * 8, "rewards__margins": [0.0] * 8, "rewards__accuracies": [0.5] * 8}
    assert kinds(dpo(ended=False, **still)) == set()
    assert kinds(dpo(**still)) == {AlarmKind.NOTHING_LEARNED}


@pytest.mark.parametrize("loss", [0.676, 0.698])
def test_a_published_success_at_a_loss_of_ln_2_is_none(loss):
    """The two final losses of the GPT-2 assignment that called itself trained."""
    margin = 0.03 if loss < 0.69 else -0.01
    found = kinds(
        dpo(loss=[0.693, *[loss] * 7], rewards__margins=[0, *[margin] * 7], rewards__accuracies=[0.52] * 8)
    )
    assert found == ({AlarmKind.NOTHING_LEARNED} if loss >= 0.68 else set())


def test_a_first_margin_away_from_zero_is_another_reference():
    off = {"rewards__margins": [0.3, 0.4], "loss": [0.6, 0.5]}
    assert AlarmKind.WRONG_REFERENCE in kinds(dpo(**off))
    assert AlarmKind.WRONG_REFERENCE not in kinds(dpo(own_reference=False, **off))
    assert AlarmKind.WRONG_REFERENCE not in kinds(dpo(rewards__margins=[0.001, 0.4], loss=[0.69, 0.5]))


def test_a_loss_near_zero_at_once_is_a_leak_or_another_reference():
    assert AlarmKind.WRONG_REFERENCE in kinds(dpo(loss=[0.69, 0.01, *[0.01] * 38]))
    assert AlarmKind.WRONG_REFERENCE not in kinds(dpo(loss=[0.69, *[0.4] * 20, *[0.01] * 19]))


def test_the_chosen_answers_may_lose_a_fifth_of_their_log_probability():
    def falling(last):
        return dpo(eval_logps__chosen=[-50.0, -48.0, last], loss=[0.6, 0.5, 0.4])

    assert AlarmKind.CHOSEN_FALLS in kinds(falling(-61.0))
    assert AlarmKind.CHOSEN_FALLS not in kinds(falling(-59.0))
    assert AlarmKind.CHOSEN_FALLS not in kinds(falling(-20.0))
    without_held_out = dpo(logps__chosen=[-50.0] * 10 + [-80.0] * 10, loss=[0.5] * 20)
    assert AlarmKind.CHOSEN_FALLS in kinds(without_held_out)


def test_answers_that_no_longer_stop_or_go_in_circles():
    assert kinds(dpo(samples__stopped=[1.0, 1.0, 0.5])) == {AlarmKind.ENDLESS}
    assert kinds(dpo(samples__stopped=[0.25, 0.25])) == set()
    assert kinds(dpo(samples__repetition=[0.1, 0.6])) == {AlarmKind.REPEATS}


@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_a_gradient_that_is_no_number(broken):
    (alarm,) = alarms(dpo(grad_norm=[1.0, 1.2, broken]))
    assert (alarm.kind, alarm.what) == (AlarmKind.BLOW_UP, "the gradient was no number at step 3")


def test_a_gradient_that_fades_is_no_blow_up():
    assert kinds(dpo(grad_norm=[5.0, 4.0, 1.0, 0.1, *[0.001] * 20])) == set()
    assert kinds(dpo(grad_norm=[*[1.0] * 9, 30.0])) == {AlarmKind.BLOW_UP}


def test_sft_that_does_not_move_learned_nothing():
    def course(last):
        return Course(RunKind.SFT, {"loss": [(1, 2.0), *[(n, last) for n in range(2, 12)]]})

    assert kinds(course(1.99)) == {AlarmKind.NOTHING_LEARNED}
    assert kinds(course(1.5)) == set()
