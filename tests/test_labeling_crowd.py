"""Made-up sessions with fixed seeds: careless raters are found within 40 ballots, readers are left alone."""

import random

import pytest

from bench.raters import CARELESS, look, play, scenes, starter_world, tried
from bench.raters import Session as Played
from bench.raters import crowd as made_up

SCENES = {s.name: s for s in scenes()}


def tried_once(name, runs, seed=1):
    """Shares flagged, by profile: at the end, and at any look."""
    scores = tried(SCENES[name], runs, 40, seed)
    return {p: (s.last / s.raters, s.ever / s.raters) for p, s in scores.items()}


@pytest.mark.parametrize("name", ["SFT and DPO, overlap 1", "showcase, overlap 12, careful"])
def test_a_few_sessions_with_fixed_seeds(name):
    found = tried_once(name, 6)
    for profile in CARELESS:
        assert found.pop(profile)[0] >= 5 / 6, profile
    assert {reader: shares[0] for reader, shares in found.items()} == dict.fromkeys(found, 0.0)


@pytest.mark.slow
@pytest.mark.parametrize("name", [n for n in SCENES if "one vote in ten" not in n and "no checks" not in n])
def test_a_hundred_sessions_with_fixed_seeds(name):
    found = tried_once(name, 100, seed=0)
    for profile in CARELESS:
        assert found.pop(profile)[0] >= 0.95, profile
    assert all(last <= 0.02 for last, _ in found.values())


def test_without_any_check_question_four_bots_among_twelve_careful_raters_are_found():
    """Overlap 3 over 382 battles: careful raters first, 50 ballots each, then two of each bot, 40 each."""
    session, everyone = Played(starter_world(), 3, 0.0, 0.0, random.Random(7)), []
    for profile, raters, votes in (("careful", 12, 50), ("left", 2, 40), ("random", 2, 40)):
        come = made_up([profile] * raters, f"7-{profile}")
        for _ in play(session, come, votes):
            pass
        everyone += come
    flagged = {name for name, j in look(session, everyone).items() if j.raised}
    assert flagged == {"left-0", "left-1", "random-0", "random-1"}
