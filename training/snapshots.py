"""Freezing the pairs of a run: hashed, stored, and written to the file its trainer reads."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from sqlite_utils import Database

from db.catalog import add_responses
from db.connection import transaction
from db.entities import PreferencePair, Snapshot, Split, content_id
from db.errors import UserError
from db.runs import add_snapshot, pairs_of_set, snapshot_rows
from labeling.pairs import PairPolicy, Pairs, pairs_of_campaigns

FEWEST = 2


class Source(NamedTuple):
    """Where pairs come from: campaigns (their votes), or a named pair set."""

    campaigns: tuple[str, ...] = ()
    pair_set: str | None = None

    def __str__(self) -> str:
        """As it is stored with the snapshot."""
        return f"pairs:{self.pair_set}" if self.pair_set else "votes:" + ",".join(self.campaigns or ("all",))


def gather(db: Database, source: Source, policy: PairPolicy) -> Pairs:
    """The pairs a snapshot of this source would hold."""
    if source.pair_set:
        return Pairs(tuple(pairs_of_set(db, source.pair_set)), (), {})
    return pairs_of_campaigns(db, source.campaigns, policy, training=True)


def freeze(db: Database, source: Source, policy: PairPolicy) -> Snapshot:
    """Freeze the pairs of a source; the same pairs under the same policy give the same snapshot.

    UserError where there are too few to train on.
    """
    found = gather(db, source, policy)
    trainable = sum(p.split is Split.TRAIN for p in found.pairs)
    if trainable < FEWEST:
        raise UserError(
            f"{source} gives {trainable} pairs to train on ({_why(found)})",
            f"collect at least {FEWEST} votes that prefer one answer, on prompts that are not held out",
        )
    with transaction(db):  # what raters wrote becomes a response when pairs are frozen that name it
        add_responses(db, (found.written or {}).values())
        return add_snapshot(
            db, snapshot_id(found.pairs, policy.to_json()), str(source), policy.to_json(), found.pairs
        )


def _why(found: Pairs) -> str:
    heldout = sum(p.split is Split.HELDOUT for p in found.pairs)
    reasons = {**found.left_out, **({"held-out prompt": heldout} if heldout else {})}
    return ", ".join(f"{n} {reason}" for reason, n in reasons.items()) or "no votes that count"


def snapshot_id(pairs: Sequence[PreferencePair], policy: Mapping[str, object]) -> str:
    """The hash of exactly these pairs, in this order, with their votes, under this policy."""
    return content_id("snapshot", policy, [(p.prompt, p.chosen, p.rejected, p.votes) for p in pairs])


def write_rows(db: Database, snapshot: str, file: Path) -> int:
    """Write a snapshot as the JSONL file a trainer reads, aside and then renamed; the number of rows."""
    aside = file.with_suffix(".part")
    n = 0
    with aside.open("w", encoding="utf-8") as out:
        for row in snapshot_rows(db, snapshot):
            n += 1
            out.write(json.dumps({
                "pair": row.position, "part": row.part, "prompt_id": row.prompt_id, "prompt": row.prompt,
                "chosen": [{"role": "assistant", "content": row.chosen}],
                "rejected": [{"role": "assistant", "content": row.rejected}],
                "votes": row.votes, "agreement": row.agreement, "margin": row.margin,
            }, ensure_ascii=False) + "\n")  # fmt: skip
        out.flush()
        os.fsync(out.fileno())
    aside.replace(file)
    return n
