"""Reward scoring of many pairs as `judge --with reward` does it, beside one text at a time as the seed systems do it.

    python -m bench.scoring [--pairs 500] [--shape tiny|small|large] [--large-pairs 6] [--threads 1]

Both score the same pairs, once those of the demo (short, and an answer fights in more than one of them: `judge` scores it
once) and once made-up ones (answers of 5 to 400 words, no text twice), with the same checkpoint of random weights: two
small DeBERTa-v2 (64 x 2 and 128 x 4) and one in the shape of deberta-v3-large, which takes seconds a text on a CPU and so gets few pairs unless
told otherwise. One at a time is tokenizer and model on one question and answer after the other. Each runs in a process of
its own, so that its memory is its own; loading is left out of the seconds. Prints seconds, texts a second, processor
seconds, the memory above what the process held once the model was loaded, the ratios, and the largest difference of a score.
"""

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bench.rows import Row, better, report
from bench.votes import ROOT
from db.entities.catalog import Message

SHAPES: dict[str, dict[str, Any]] = {
    "tiny": {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 256},
    "small": {"hidden_size": 128, "num_hidden_layers": 4, "num_attention_heads": 4, "intermediate_size": 512},
    "large": {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16, "intermediate_size": 4096,
              "vocab_size": 128100},
}  # fmt: skip
TEXT = """of a the in it is to and what red river open small paper never light round green table garden because after
seven window carry letter under which morning answer simple number"""
WORDS = TEXT.split()


def made_up(pairs: int) -> list[tuple[str, str]]:
    """(question, answer) of each text of that many pairs, in the order of the pairs; lengths as people's are, skewed."""
    rng = random.Random(5)

    def words(low: int, high: int) -> str:
        n = int(min(high, max(low, rng.lognormvariate(3.9, 0.9))))
        return " ".join(rng.choice(WORDS) for _ in range(n)) + "."

    questions = [words(4, 80) for _ in range(pairs)]
    return [(question, words(5, 400)) for question in questions for _ in range(2)]


def of_the_demo(pairs: int) -> list[tuple[str, str]]:
    """(question, answer) of each side of that many battles of the demo: an answer that fights twice stands there twice."""
    from arena.demo import seed
    from db.campaigns import battles_of, list_campaigns
    from db.catalog import get_prompt, get_response
    from db.connection import home_at, open_writer

    with tempfile.TemporaryDirectory() as folder:
        db = open_writer(home_at(Path(folder)))
        seed(db)
        battles = [b for c in list_campaigns(db) for b in battles_of(db, c.id)]
        found = [(get_prompt(db, b.prompt).messages[-1]["content"], get_response(db, r).text or "")
                 for b in random.Random(1).sample(battles, pairs) for r in (b.response_a, b.response_b)]  # fmt: skip
        db.conn.close()
    return found


TEXTS = {"of the demo": of_the_demo, "made up": made_up}


def make(folder: Path, shape: str) -> Path:
    """A checkpoint of that shape with random weights and a tokenizer of whole words."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import DebertaV2Config, DebertaV2ForSequenceClassification, PreTrainedTokenizerFast

    vocabulary = {w: i for i, w in enumerate(["[PAD]", "[CLS]", "[SEP]", "[UNK]", ".", *WORDS])}
    raw = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    raw.pre_tokenizer = pre_tokenizers.Whitespace()
    raw.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=raw, pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]", unk_token="[UNK]",
        model_max_length=512,
    ).save_pretrained(folder)  # fmt: skip
    torch.manual_seed(0)
    config = DebertaV2Config(
        **{"vocab_size": len(vocabulary), **SHAPES[shape]}, relative_attention=True, position_buckets=256,
        norm_rel_ebd="layer_norm", share_att_key=True, pos_att_type=["p2c", "c2p"], position_biased_input=False,
        type_vocab_size=0, max_position_embeddings=512, num_labels=1, pad_token_id=0, initializer_range=0.1,
    )  # fmt: skip
    DebertaV2ForSequenceClassification(config).save_pretrained(folder)
    return folder


def ours(source: Path, texts: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """The scores and what they cost, in lots of like length as `judge` has them."""
    from arena.judging import LOT
    from arena.players.scorer import RewardScorer

    scorer = RewardScorer(str(source))

    def work() -> list[float]:
        order = sorted(dict.fromkeys(texts), key=lambda text: len(text[0]) + len(text[1]))
        asked: list[tuple[list[Message], str]] = [([{"role": "user", "content": q}], a) for q, a in order]
        found = [s.score for at in range(0, len(asked), LOT) for s in scorer.score(asked[at : at + LOT])]
        known = dict(zip(order, found, strict=True))
        return [known[text] for text in texts]

    return measured(work)


def one_at_a_time(source: Path, texts: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """The same as the seeds have it."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(source)
    model = AutoModelForSequenceClassification.from_pretrained(source).eval()

    def score(question: str, answer: str) -> float:
        inputs = tokenizer(question, answer, return_tensors="pt", truncation=True)
        with torch.no_grad():
            return float(model(**inputs).logits[0].item())

    return measured(lambda: [score(*text) for text in texts])


WAYS = {"ours": ours, "one at a time": one_at_a_time}


def measured(work: Callable[[], list[float]]) -> dict[str, Any]:
    """What the work gives and costs."""
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began, busy = time.perf_counter(), time.process_time()
    scores = work()
    seconds, processor = time.perf_counter() - began, time.process_time() - busy
    return {"scores": scores, "seconds": seconds, "processor": processor,
            "memory": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - held) / 1024}  # fmt: skip


def child(way: str, source: Path, texts: Path, threads: int) -> dict[str, Any]:
    """One way in a process of its own."""
    done = subprocess.run([sys.executable, "-m", "bench.scoring", "--child", way, str(source), str(texts)],
                          cwd=ROOT, capture_output=True, text=True, check=False,
                          env={**os.environ, "OMP_NUM_THREADS": str(threads)})  # fmt: skip
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def compare(shape: str, kind: str, pairs: int, threads: int) -> None:
    """Both ways on one shape, and the ratios."""
    with tempfile.TemporaryDirectory() as folder:
        texts, written = TEXTS[kind](pairs), Path(folder) / "texts.json"
        written.write_text(json.dumps(texts), encoding="utf-8")
        source = make(Path(folder), shape)
        found = {way: child(way, source, written, threads) for way in WAYS}
    print(f"{shape}, {pairs} pairs {kind}, {len(set(texts))} texts")
    for way, one in found.items():
        print(f"  {way:14}{one['seconds']:8.2f} s ({one['processor']:.2f} of processor), {2 * pairs / one['seconds']:7.1f} texts/s, "
              f"{one['memory']:6.0f} MiB above the model")  # fmt: skip
    mine, plain = found.values()
    apart = max(abs(a - b) for a, b in zip(mine["scores"], plain["scores"], strict=True))
    print(f"  scores differ by at most {apart:.1e}")
    report(*(
        Row(f"reward scoring, {shape} DeBERTa, {pairs} pairs {kind}, {what}", f"{mine[key]:.2f} s", f"{plain[key]:.2f} s one at a time",
            better(mine[key], plain[key], less=True), "3 times" if shape == "tiny" else "")
        for what, key in (("by the clock", "seconds"), ("of the processor", "processor"))
    ))  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=500)
    parser.add_argument("--large-pairs", type=int, default=6)
    parser.add_argument("--shape", choices=list(SHAPES), help="Only this one.")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        way, source, written = given.child
        texts = [(q, a) for q, a in json.loads(Path(written).read_text(encoding="utf-8"))]
        print(json.dumps(WAYS[way](Path(source), texts)))
        return
    for shape in [given.shape] if given.shape else SHAPES:
        for kind in TEXTS:
            if shape != "large" or kind == "made up":
                compare(shape, kind, given.large_pairs if shape == "large" else given.pairs, given.threads)


if __name__ == "__main__":
    main()
