"""How often the rule of promotion errs where neither model is better, looked at after every vote.

    python -m bench.promotion [RUNS]

Three ways in which votes fall on 40 prompts with five votes each: every vote a fair coin; prompts that differ in which
model they suit, as many one way as the other; raters with tastes of their own. The rule says "preferred" where the
e-value reaches 20 at any vote. Beside it: the same rule with the cluster-robust interval clear of a half as well, and
the fixed-size test at 5 % that peeks after every vote.
"""

import sys

import numpy as np

from arena.intervals import ENOUGH, Bools, Floats, clustered_mean

PROMPTS, OVERLAP, RATERS = 40, 5, 6
FEWEST = 8


def votes(kind: str, rng: np.random.Generator) -> tuple[Bools, np.ndarray, np.ndarray]:
    """(won, rater, prompt) of one rematch in order of arrival, where neither model is better on the whole."""
    prompt = np.concatenate([rng.permutation(PROMPTS) for _ in range(OVERLAP)])
    rater = rng.integers(0, RATERS, len(prompt))
    chance: Floats = np.full(len(prompt), 0.5)
    if kind == "prompts differ":
        chance = rng.beta(0.5, 0.5, PROMPTS)[prompt]
    if kind == "raters differ":
        chance = rng.beta(4, 4, RATERS)[rater]
    return rng.random(len(prompt)) < chance, rater, prompt


def e_values(won: Bools) -> Floats:
    """The evidence after each vote."""
    from scipy.special import betaln

    n, k = np.arange(1, len(won) + 1), np.cumsum(won)
    return np.asarray(np.exp(betaln(1 + k, 1 + n - k) + n * np.log(2)), np.float64)


def peeking(won: Bools) -> bool:
    """Whether a fixed-size test at 5 % calls a winner at some vote from the tenth on."""
    n, k = np.arange(1, len(won) + 1), np.cumsum(won)
    z = np.abs(k - n / 2) / np.sqrt(n / 4)
    return bool((z[9:] > 1.96).any())


def clear(won: Bools, rater: np.ndarray, prompt: np.ndarray) -> bool:
    """Whether there is a vote at which the evidence is enough and the interval is clear of a half."""
    for at in np.flatnonzero(e_values(won) >= ENOUGH)[::5]:
        band = clustered_mean(won[: at + 1].astype(np.float64), rater[: at + 1], prompt[: at + 1]).ci95
        if at >= FEWEST and band is not None and not band.low <= 0.5 <= band.high:
            return True
    return False


def main(runs: int) -> None:
    """Print the table."""
    print(
        f"{runs} rematches of {PROMPTS} prompts x {OVERLAP} votes by {RATERS} raters; share with a false winner"
    )
    print(f"{'':18}{'rule':>8}{'rule + interval':>18}{'fixed, peeking':>16}")
    for kind in ("fair coins", "prompts differ", "raters differ"):
        rng = np.random.default_rng(0)
        drawn = [votes(kind, rng) for _ in range(runs)]
        rule = np.mean([bool((e_values(w) >= ENOUGH).any()) for w, _, _ in drawn])
        both = np.mean([clear(*one) for one in drawn])
        fixed = np.mean([peeking(w) for w, _, _ in drawn])
        print(f"{kind:18}{rule:8.1%}{both:18.1%}{fixed:16.1%}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
