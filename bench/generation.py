"""Responses of a starter model as `generate` draws them, beside one at a time as a plain loop over the prompts does it.

    python -m bench.generation [--prompts 200] [--model starter-sft] [--tokens 80]

Both sides use the same weights in the same process, chat template and settings. Prints seconds, responses a second and
the ratios (that of processor time is the same on a machine with other work); loading is left out on both sides.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path


def main(prompts: int, model: str, tokens: int) -> None:
    from arena.demo import ensure_starter
    from arena.generating import player_of
    from arena.players import GenerationSettings
    from db.connection import home_at, open_writer
    from db.entities.catalog import Message
    from training.starter.world import bench_prompts

    with tempfile.TemporaryDirectory() as folder:
        home = home_at(Path(folder))
        db = open_writer(home)
        player = player_of(home, ensure_starter(db, model))
        db.conn.close()
        asked = [[Message(role="user", content=p.text)] for p in bench_prompts()[:prompts]]
        settings = GenerationSettings(temperature=0.8, max_new_tokens=tokens)
        player.respond(asked[:4], settings)  # warm

        ours = timed("generate", lambda: [a.tokens for a in player.respond(asked, settings)])
        naive = timed("one at a time", lambda: plain_loop(player, asked, settings))
    print(f"{'ratio':>14}: {naive[0] / ours[0]:.1f} by the clock, {naive[1] / ours[1]:.1f} in processor time")


def timed(name: str, work: Callable[[], list[int]]) -> tuple[float, float]:
    """(seconds by the clock, processor seconds) of the work, whose tokens are printed with them."""
    began, busy = time.perf_counter(), time.process_time()
    drawn = work()
    seconds, processor = time.perf_counter() - began, time.process_time() - busy
    print(f"{name:>14}: {seconds:6.2f} s ({processor:.2f} s of processor), {len(drawn) / seconds:.1f} responses/s, "
          f"{sum(drawn)} tokens")  # fmt: skip
    return seconds, processor


def plain_loop(player: object, asked: Sequence[object], settings: object) -> list[int]:
    """Each prompt by itself through `model.generate`; the number of tokens of each answer."""
    import torch

    counts = []
    model, tokenizer = player.model, player.tokenizer  # type: ignore[attr-defined]
    torch.manual_seed(0)
    for messages in asked:
        ids = tokenizer.apply_chat_template(
            messages, add_generation_prompt=True, return_tensors="pt", return_dict=True
        )
        with torch.inference_mode():
            out = model.generate(**ids, do_sample=True, temperature=settings.temperature, top_k=0,  # type: ignore[attr-defined]
                                 max_new_tokens=settings.max_new_tokens, pad_token_id=tokenizer.pad_token_id)  # type: ignore[attr-defined]  # fmt: skip
        counts.append(out.shape[1] - ids["input_ids"].shape[1])
    return counts


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--prompts", type=int, default=200)
    parser.add_argument("--model", default="starter-sft")
    parser.add_argument("--tokens", type=int, default=80)
    main(**vars(parser.parse_args()))
