"""What bad votes do to a candidate: the starter loop with votes turned round, or with raters who always press left.

    python -m bench.bad_votes [--seeds 1] [--votes 360] [--scenes clean,flipped20,flipped40,left20,left40]

For each scene a home is served and ten made-up raters vote over HTTP on starter-sft against starter-dpo, three votes a
battle: a share of all votes is turned round (`simulate --noise`), or that share of the raters always presses left. Then
`train dpo --from starter-sft` runs on the same votes as they are, without the raters that the program flags, and with
`loss=robust label_smoothing=measured`. What is told is the true win rate against the parent on 200 prompts that no campaign
used, by the starter world's rubric, ties half.
"""

import argparse
import json
import statistics
from collections.abc import Sequence
from pathlib import Path

from bench.loop import answers, launch, served
from training.starter.votes import win_rate
from training.starter.world import bench_prompts, demo_prompts

RATERS, OVERLAP = 10, 3
SCENES = ("clean", "flipped20", "flipped40", "left20", "left40")
WAYS: dict[str, Sequence[str]] = {
    "as they are": (),
    "robust loss": ("--set", "loss=robust", "--set", "label_smoothing=measured"),
    "without flagged": (),
}
CAMPAIGN = "bad votes"


def vote(home: str, scene: str, votes: int, seed: int) -> None:
    """The scene's raters vote."""
    share = int(scene[-2:]) / 100 if scene != "clean" else 0.0
    bad = round(RATERS * share) if scene.startswith("left") else 0
    common = ["--seed", str(seed)]
    if bad:
        launch(home, "simulate", CAMPAIGN, "--raters", str(bad), "--votes", str(votes * bad // RATERS),
               "--profile", "left", *common)  # fmt: skip
    noise = ["--noise", str(share)] if scene.startswith("flipped") else []
    launch(home, "simulate", CAMPAIGN, "--raters", str(RATERS - bad), "--votes", str(votes * (RATERS - bad) // RATERS),
           "--profile", "honest", *noise, *common)  # fmt: skip


def exclude_flagged(home: str) -> int:
    """Leave the votes of flagged raters out; how many those are."""
    flagged = [r["name"] for r in json.loads(launch(home, "raters", "list", "--json")) if r.get("flags")]
    for rater in flagged:
        launch(home, "raters", "exclude", rater, "--reason", "flagged")
    return len(flagged)


def smoothing_of(home: str, run: str) -> float:
    """The share of wrong votes that the run measured."""
    from db.connection import home_at, open_writer
    from db.runs import get_run

    db = open_writer(home_at(Path(home)))
    found = float(str(get_run(db, run).settings["label_smoothing"]))
    db.conn.close()
    return found


def scene_of(scene: str, votes: int, seed: int) -> dict[str, tuple[float, str]]:
    """{way: (true win rate, what is worth saying)} of one scene."""
    found: dict[str, tuple[float, str]] = {}
    texts = [p.text for p in bench_prompts()]
    with served() as home:
        few = Path(home) / "few.jsonl"  # so few that each battle gets its votes
        asked = [p.text for p in demo_prompts()[: votes // OVERLAP]]
        few.write_text("".join(json.dumps({"text": text}) + "\n" for text in asked), encoding="utf-8")
        launch(home, "import", "prompts", str(few), "--split", "train")
        launch(home, "campaign", "create", CAMPAIGN, "--models", "starter-sft,starter-dpo", "--prompts", "few:train",
               "--overlap", str(OVERLAP))  # fmt: skip
        vote(home, scene, votes, seed)
        before = answers(home, "starter-sft", seed + 1000)
        for way, words in WAYS.items():
            name, note = way.replace(" ", "-"), ""
            if way == "without flagged":
                excluded = exclude_flagged(home)
                note = f"{excluded} excluded"
                if not excluded:
                    found[way] = (found["as they are"][0], note)
                    continue
            made = json.loads(launch(home, "train", "dpo", "--from", "starter-sft", "--campaign", CAMPAIGN, "--name", name,
                                     "--no-rematch", "--set", f"seed={seed}", *words, "--json"))  # fmt: skip
            if way == "robust loss":
                note = f"smoothing {smoothing_of(home, name):.2f}"
            note = note or f"{made['metrics']['counts']['trained']} pairs"
            found[way] = (win_rate(texts, answers(home, name, seed), before), note)
            print(f"  {scene:10} {way:16} {found[way][0]:.3f}  {note}", flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--votes", type=int, default=360)
    parser.add_argument("--scenes", default=",".join(SCENES))
    options = parser.parse_args()
    rows = []
    for scene in options.scenes.split(","):
        runs = [scene_of(scene, options.votes, seed) for seed in range(1, options.seeds + 1)]
        rows.append(
            (scene, {way: (statistics.mean(r[way][0] for r in runs), runs[-1][way][1]) for way in WAYS})
        )
    print("| votes | " + " | ".join(WAYS) + " |\n|---|" + "---|" * len(WAYS))
    for scene, found in rows:
        print(f"| {scene} | " + " | ".join(f"{rate:.3f} ({note})" for rate, note in found.values()) + " |")


if __name__ == "__main__":
    main()
