"""Consensus against majority on published votes: how often they agree, and the pairs each policy makes.

python -m bench.consensus FOLDER     # pandalm_*.jsonl and llmfao_*.jsonl, as tests read them from ../shared/data
"""

import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from db.connection import home_at, open_reader
from labeling.agreement import Opinion, codes, label_counts, majority, opinions, standing
from labeling.consensus import dawid_skene, information
from labeling.importing import ImportKind, import_file
from labeling.pairs import PairPolicy, policy_effects, read_votes


def majorities(given: Iterable[Opinion]) -> dict[str, int]:
    """What most raters say of each battle; without a strict majority over every other label, a tie."""
    kept = standing(given)
    _, battles = codes(o.battle for o in kept)
    return {b: majority(row) for b, row in zip(battles, label_counts(kept).tolist(), strict=True)}


def measure(folder: Path, name: str) -> None:
    """Print one line a policy for the votes of this name."""
    with tempfile.TemporaryDirectory() as place:
        home = home_at(Path(place))
        import_file(home, ImportKind.RESPONSES, str(folder / f"{name}_items.jsonl"))
        import_file(home, ImportKind.VOTES, str(folder / f"{name}_votes.jsonl"), campaign=name)
        read = read_votes(open_reader(home), [name])
    given = opinions(read.votes)
    by_majority = majorities(given)
    found = dawid_skene([(o.rater, o.battle, o.label) for o in standing(given)])
    likeliest = {battle: p.index(max(p)) for battle, p in found.probabilities.items()}
    same = sum(likeliest[b] == label for b, label in by_majority.items()) / len(by_majority)
    bits = sorted(information(found).values())
    print(f"{name}: {len(read.votes)} votes, {len(bits)} raters, {len(by_majority)} battles")
    print(f"  consensus says what the majority says on {same:.1%}")
    print(f"  bits a rater's vote tells: {bits[0]:.2f} to {bits[-1]:.2f}, median {bits[len(bits) // 2]:.2f}")
    for effect in policy_effects(read.votes, read.texts, PairPolicy(), read.ruled):
        print(f"  {effect.policy.method:14} {effect.pairs:6} pairs, {effect.left_out:6} votes left out")


if __name__ == "__main__":
    for data in ("pandalm", "llmfao"):
        measure(Path(sys.argv[1]), data)
