"""Homes that can train: two tiny checkpoints that answered some prompts, a reward model, a rater, the command line."""

import atexit
import contextlib
import functools
import io
import json
import shutil
import tempfile
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import psutil
from sqlite_utils import Database

import launch
from arena import jobs
from db import runs
from db.campaigns import create_campaign
from db.catalog import add_model, add_prompts, add_responses, set_setting
from db.connection import Home, open_writer, transaction
from db.entities.campaigns import CampaignSettings
from db.entities.catalog import ModelKind, Prompt, Response, Split
from db.entities.runs import Job
from db.guarding import mark_scanned
from labeling import joining, lending, rating
from labeling.submission import parse_submission
from tests.factories import NOW, new_home
from tests.tiny import tiny_llama, tiny_reward
from training.processes import runs_still

SHORT = {"temperature": 0.8, "top_p": 1.0, "max_new_tokens": 8, "system": ""}
QUICK = ["--preset", "smoke"]
"""options of `train dpo` for three steps"""


@functools.cache
def weights() -> Path:
    """A folder with the checkpoints `one` and `two` and the reward model `reward`, made once."""
    folder = Path(tempfile.mkdtemp(prefix="tastebench-weights-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    tiny_llama(folder / "one", seed=0)
    tiny_llama(folder / "two", seed=1)
    tiny_reward(folder / "reward")
    return folder


def trainable_home(folder: Path, *, train: int = 8, heldout: int = 12) -> Home:
    """A home in which `one` (polite) met `two` over the set `questions`, in the open campaign `first`."""
    home = new_home(folder)
    with contextlib.closing(open_writer(home).conn) as conn:
        db = Database(conn)
        asked = [
            Prompt.of([{"role": "user", "content": f"Question {i}, please?"}],
                      Split.TRAIN if i < train else Split.HELDOUT)
            for i in range(train + heldout)
        ]  # fmt: skip
        add_prompts(db, asked, prompt_set="questions")
        for name, words in (("one", "Yes, thank you: {}."), ("two", "No. Sorry {}")):
            add_model(db, name, ModelKind.CHECKPOINT, source=str(weights() / name))
            add_responses(db, [
                Response.of(p.id, name, words.format(i), settings=SHORT) for i, p in enumerate(asked)
            ])  # fmt: skip
        set_setting(db, "reward_model", str(weights() / "reward"))
        made = create_campaign(db, "first", ("one", "two"), "questions:train", CampaignSettings())
        mark_scanned(db, made.campaign.id)
    return home


def endpoint_home(folder: Path, url: str, prompts: int = 3) -> Home:
    """A home with one model, `far`, behind a server, and a few prompts (set `asked`)."""
    home = new_home(folder)
    with contextlib.closing(open_writer(home).conn) as conn:
        db = Database(conn)
        add_model(db, "far", ModelKind.ENDPOINT, endpoint=url, remote_name="far-away")
        asked = [Prompt.of([{"role": "user", "content": f"word {i}"}]) for i in range(prompts)]
        add_prompts(db, asked, prompt_set="asked")
    return home


def give_votes(db: Database, campaign: str = "first", votes: int = 8, *, polite: bool = True) -> None:
    """One rater takes ballots and prefers the polite answer (or the other) until that many votes are given."""
    cookie = joining.join(db, joining.invite(db, campaign, 1)[0].token, None, NOW)
    for n in range(votes):
        now = NOW + timedelta(seconds=n)
        with transaction(db):
            ballot = lending.next_ballots(db, joining.session_from(db, cookie, now), 1, now, None).ballots[0]
        wanted = "left" if ("thank" in ballot.left) == polite else "right"
        body = {"assignment": ballot.assignment, "choice": wanted, "key": f"{campaign}-{n}"}
        with transaction(db):
            session = joining.session_from(db, cookie, now)
            rating.cast_vote(db, session, parse_submission(body), now)


class Ran(NamedTuple):
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one JSON document on stdout."""
        return json.loads(self.out)


def run(home: Home | Path | str, *words: object) -> Ran:
    """Run a verb in this process, as `python launch.py --home HOME WORDS` does."""
    out, err = io.StringIO(), io.StringIO()
    root = home.root if isinstance(home, Home) else home
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            launch.main(["--home", str(root), *map(str, words)])
        except SystemExit as end:
            code = int(end.code or 0)
    return Ran(code, out.getvalue(), err.getvalue())


def refused(ran: Ran) -> str:
    """The reason of a command that the person can mend: exit 2, one line, nothing on stdout."""
    assert ran.code == 2, ran
    assert ran.out == ""
    last = ran.err.splitlines()[-1]
    assert last.startswith("error: ")
    assert "; " in last, "an error says what to do"
    assert "Traceback" not in ran.err
    return last


def ended(db: Database, job: int) -> Job:
    """The job once it is over, and its process, which prints its last words after it has ended its row."""

    def over() -> bool:
        jobs.reconcile(db)
        return runs.get_job(db, job).status.over

    wait_for(over)
    done = runs.get_job(db, job)
    mine = [child.pid for child in psutil.Process().children() if child.pid == done.pid]
    wait_for(lambda: not any(runs_still(pid, None) for pid in mine))
    return done


def wait_for(it: Callable[[], bool], seconds: float = 90) -> None:
    """Wait until it is so."""
    deadline = time.monotonic() + seconds
    while not it():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.02)
