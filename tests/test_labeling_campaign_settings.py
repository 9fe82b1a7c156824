"""Settings by name: typed, checked, shown as they are typed."""

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from db.entities.campaigns import CampaignSettings
from db.errors import UserError
from labeling.campaign_settings import MEANING, changed, shown, typed_pairs
from labeling.submission import parse_submission

PLAIN = CampaignSettings()
QUIZ = json.dumps([{"question": "Which?", "answers": ["this", "that"], "correct": 1}])


def test_every_setting_is_explained():
    assert set(MEANING) == {f.name for f in dataclasses.fields(CampaignSettings)}


def test_what_is_shown_can_be_typed():
    full = changed(PLAIN, {
        "criteria": "helpful, truthful", "ask_better": "yes", "starts_at": "2026-12-01T09:00", "ends_at": "2026-12-02 09:00+02:00",
        "quiz": QUIZ, "gold_rate": "0.1", "block_below": ".5", "target": "none", "rater_cap": "40", "consent_text": "Agree?",
        "reveal": "end", "sampling": "most_uncertain", "recruit": "prolific", "completion_url": "https://x.example/?cc=1",
    })  # fmt: skip
    assert changed(PLAIN, {name: shown(full, name) for name in MEANING}) == full
    assert (full.starts_at, full.ends_at) == ("2026-12-01T09:00:00.000Z", "2026-12-02T07:00:00.000Z")
    assert full.quiz[0].answers == ("this", "that")
    assert changed(PLAIN, {name: shown(PLAIN, name) for name in MEANING}) == PLAIN


def test_a_consent_text_gets_a_version_of_its_own_until_it_changes():
    one = changed(PLAIN, {"consent_text": "Your votes are published."})
    assert one.consent_version.startswith("text-")
    assert changed(one, {"overlap": "2"}).consent_version == one.consent_version
    assert changed(one, {"consent_text": "Other words."}).consent_version != one.consent_version
    assert changed(one, {"consent_text": "Other.", "consent_version": "2026-11"}).consent_version == "2026-11"


@pytest.mark.parametrize(("key", "value"), [
    ("overlap", "0"), ("overlap", "many"), ("target", "0"), ("gold_rate", "0.6"), ("repeat_rate", "-0.1"),
    ("random_share", "0"), ("practice", "99"), ("reveal", "sometimes"), ("guard", "none"), ("ask_better", "perhaps"),
    ("starts_at", "tomorrow"), ("quiz", "{"), ("quiz", '[{"question": "x", "answers": ["a"], "correct": 0}]'),
    ("quiz", '[{"question": "x", "answers": ["a", "b"], "correct": 2}]'), ("block_below", "0.5"),
    ("completion_url", "javascript:alert(1)"), ("time_floor", "nan5"), ("time_floor", "inf"), ("time_floor", "nan"),
    ("overlap", "9" * 20), ("target", "9" * 20), ("rater_cap", "9" * 20), ("lease_seconds", "9" * 12), ("undo_seconds", "9" * 12),
    ("starts_at", "0001-01-01T00:00+14:00"), ("quiz", "[" * 20_000),
    ("quiz", '[{"question": "x", "answers": ["a", "b"], "correct": 1e999}]'),
    ("criteria", "w" * 81), ("reason_tags", ",".join(map(str, range(21)))),
])  # fmt: skip
def test_what_does_not_fit_is_one_line_that_says_what_to_do(key, value):
    with pytest.raises(UserError) as error:
        changed(PLAIN, {key: value})
    assert error.value.remedy
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("key", "value", "fits"), [
    ("overlap", "many", "a whole number"), ("target", "1.5", "a whole number, or none"), ("time_floor", "x", "a number"),
    ("starts_at", "tomorrow", "2026-12-01T09:00"), ("ask_better", "perhaps", "yes or no"), ("quiz", "{", "[{"),
    ("sampling", "odd", "least_covered, uniform"), ("reveal", "sometimes", "never, each, end"), ("purpose", "x", "collect, evaluate"),
])  # fmt: skip
def test_the_remedy_says_what_fits_in_plain_words(key, value, fits):
    with pytest.raises(UserError) as error:
        changed(PLAIN, {key: value})
    assert fits in error.value.remedy
    assert not any(w in str(error.value) for w in ("literal", "isoformat", "could not", "Expecting", "Errno"))


def test_a_session_does_not_end_before_it_starts():
    with pytest.raises(UserError, match="before it starts"):
        changed(PLAIN, {"starts_at": "2026-12-02", "ends_at": "2026-12-01"})


def test_check_questions_and_a_reveal_after_each_vote_do_not_go_together():
    with pytest.raises(UserError, match="give check questions away"):
        changed(PLAIN, {"reveal": "each", "gold_rate": "0.1"})


def test_a_vote_that_answers_everything_a_campaign_may_ask_is_taken():
    names = [f"{n:080}" for n in range(20)]
    asks = changed(PLAIN, {"criteria": ",".join(names), "reason_tags": ",".join(names)})
    given = {"criteria": dict.fromkeys(asks.criteria, "left"), "tags": {"left": list(asks.reason_tags)}}
    vote = parse_submission({"assignment": "a", "choice": "left", "key": "k", **given})
    assert len(vote.criteria) == len(vote.tags[0][1]) == 20


def test_typed_pairs_read_files_and_refuse_what_they_do_not_know(tmp_path):
    file = tmp_path / "guide.md"
    file.write_text("# Look for truth\n", encoding="utf-8")
    assert typed_pairs([f"guidelines=@{file}", "overlap=3"]) == {
        "guidelines": "# Look for truth\n",
        "overlap": "3",
    }
    assert typed_pairs(["guidelines=@@home"]) == {"guidelines": "@home"}
    for wrong in ("overlap", "colour=red", f"quiz=@{tmp_path / 'missing'}"):
        with pytest.raises(UserError):
            typed_pairs([wrong])


@given(st.sampled_from(sorted(MEANING)), st.text(max_size=40))
def test_any_text_is_a_setting_or_one_line(key, text):
    try:
        made = changed(PLAIN, {key: text})
    except UserError:
        return
    assert isinstance(made, CampaignSettings)
