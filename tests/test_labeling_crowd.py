"""Made-up sessions with fixed seeds: careless raters are found within 40 ballots, readers are left alone."""

import pytest

from bench.raters import CARELESS, scenes, tried

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


AT_ONCE = [
    n for n, s in SCENES.items() if not s.later and "one vote in ten" not in n and "no checks" not in n
]


@pytest.mark.slow
@pytest.mark.parametrize("name", AT_ONCE)
def test_a_hundred_sessions_with_fixed_seeds(name):
    found = tried_once(name, 100, seed=0)
    for profile in CARELESS:
        assert found.pop(profile)[0] >= 0.95, profile
    assert all(last <= 0.02 for last, _ in found.values())


@pytest.mark.parametrize("runs", [6, pytest.param(100, marks=pytest.mark.slow)])
def test_without_any_check_question_four_bots_among_twelve_careful_raters_are_found(runs):
    """Overlap 3 over 382 battles: careful raters first, 50 ballots each, then two of each bot, 40 each."""
    found = tried(SCENES["four bots come later, overlap 3, no checks"], runs, 40, seed=7, end=True)
    assert found["left"].last == found["left"].raters == 2 * runs
    assert found["random"].last >= 0.99 * 2 * runs
    assert found["careful"].last == 0


def test_readers_who_slip_now_and_then_are_left_alone_among_careful_ones():
    found = tried(SCENES["four bots come later among uneven readers"], 6, 40, end=True)
    readers = ("careful", "careful 0.1", "careful 0.15")
    assert {p: found[p].last for p in readers} == dict.fromkeys(readers, 0)
    assert found["random"].last >= 11


@pytest.mark.parametrize(("spread", "coins"), [(4, 10), (1, 0)])
def test_people_who_differ_are_not_marked_for_it(spread, coins):
    """Twelve of them and two who throw a coin a session: the coins are found as far as the people agree."""
    found = tried(SCENES[f"people who differ, taste {spread}, overlap 3, no checks"], 10, 40, end=True)
    assert found[f"taste {spread}"].last == 0
    assert found["coin"].last >= coins
