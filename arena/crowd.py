"""Made-up raters that vote over HTTP as a browser would; their seats are marked simulated.

Profiles: `honest` judges by the starter world's hidden rubric with a little noise. `careful` has a steady taste of
its own (complete, clean, not rambling) and judges any text. `lazy` reads only how long an answer is, `left` presses
left, `random` presses anything, `fast` does so in no time, `copy` repeats its last choice.
"""

import math
import random
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import httpx
from sqlite_utils import Database

from arena.jobs import ThisJob
from db.campaigns import get_campaign
from db.connection import Home, transaction
from db.entities.votes import Choice
from db.errors import UserError
from db.lock import server_of
from labeling import joining
from training.starter.votes import honest_margin
from training.starter.world import is_world_prompt

AT_ONCE = 8
DEFAULT_NOISE: Mapping[str, float] = {"honest": 0.03, "careful": 0.03}
CHOICES = (Choice.LEFT, Choice.RIGHT, Choice.TIE)


@dataclass(frozen=True, slots=True)
class Crowd:
    """What a made-up crowd did."""

    raters: int
    votes: int
    profile: str
    seconds: float
    left_out: Mapping[str, int] = field(default_factory=dict)


def simulate(
    home: Home, db: Database, campaign: str, job: ThisJob, *, raters: int, votes: int, profile: str,
    noise: float | None = None, pace: float = 0.0, seed: int = 0, file: str | None = None,
) -> Crowd:  # fmt: skip
    """Let `raters` simulated raters give `votes` votes in all, about as many each; ends early where no ballot is left."""
    address = server_address(home)
    if not 1 <= raters <= 1000 or votes < 1:
        raise UserError("--raters must be 1 to 1000 and --votes 1 or more", "ask for that many")
    if noise is not None and not 0 <= noise <= 0.5:
        raise UserError("--noise is the share of votes turned round", "give a number between 0 and 0.5")
    if file is not None:
        raise UserError(
            f"only --profile replay reads a file ({file})", "leave the file out, or say --profile replay"
        )
    _check_profile(db, campaign, profile)
    share = DEFAULT_NOISE.get(profile, 0.0) if noise is None else noise
    with transaction(db):
        made = joining.invite(db, campaign, raters, simulated=True)
    answers = [question.correct for question in get_campaign(db, campaign).settings.quiz]
    tally = Tally(votes, job)
    started = time.monotonic()
    with ExitStack() as stack:
        crowd = [
            Rater(stack.enter_context(Client(address, i.token, campaign, answers)), profile,
                  random.Random(f"{seed}-{n}"), share, pace)
            for n, i in enumerate(made)
        ]  # fmt: skip
        for most in (math.ceil(votes / raters), votes):  # what one could not give, others may
            with ThreadPoolExecutor(min(raters, AT_ONCE)) as pool:
                list(pool.map(lambda rater, most=most: rater.rate(tally, most), crowd))
    return Crowd(raters, tally.done, profile, round(time.monotonic() - started, 2))


def server_address(home: Home) -> str:
    """Where the home's server answers; UserError where none runs."""
    server = server_of(home)
    if server is None or not server.address:
        raise UserError(f"no server runs on {home.root}", "start `serve` on this home first")
    return server.address


def _check_profile(db: Database, campaign: str, profile: str) -> None:
    """`honest` knows the starter world only."""
    found = get_campaign(db, campaign)
    if profile == "honest" and found.demo != "starter":
        raise UserError(f"honest raters judge by the starter world's rubric, which says nothing of {campaign!r}",
                        "use --profile careful, or a campaign of the starter models")  # fmt: skip


class Tally:
    """How many votes are still to give, shared by the raters' threads."""

    def __init__(self, votes: int, job: ThisJob) -> None:
        self._lock = threading.Lock()
        self._left, self._all, self._job, self.done = votes, votes, job, 0

    def take(self) -> bool:
        """Take one vote from the pool; False where it is empty or the job was told to stop."""
        with self._lock:  # also around the message: a database connection serves one thread at a time
            if self._left == 0 or self._job.should_stop():
                return False
            self._left -= 1
            self.done += 1
            if self.done % 25 == 0:
                self._job.say(self.done / self._all, f"{self.done} of {self._all} votes")
            return True

    def give_back(self) -> None:
        """The vote that was taken could not be given."""
        with self._lock:
            self._left += 1
            self.done -= 1


class Client:
    """A rater's browser, as far as the server can tell: cookie, same origin, JSON."""

    def __init__(self, address: str, token: str, campaign: str | None, answers: Sequence[int] = ()) -> None:
        self._campaign = campaign
        self._answers = list(answers)
        self._http = httpx.Client(base_url=address, timeout=60.0, trust_env=False, headers={
            "Origin": address, "Sec-Fetch-Site": "same-origin"
        })  # fmt: skip
        joined = self._ask("GET", f"/join/{token}", (303,), "let no rater in")
        # By hand: a server told of an https address marks the cookie Secure, and we speak to it on this machine.
        self._http.cookies.clear()
        self._http.headers["Cookie"] = joined.headers["set-cookie"].partition(";")[0]

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def ballot(self) -> dict[str, Any] | None:
        """The next ballot, or None where there is none left."""
        query = {"n": "1", **({"campaign": self._campaign} if self._campaign else {})}
        answer = self._ask("GET", "/api/next", (200, 403), "refused a ballot", params=query)
        while answer.status_code == 403 and self._through(answer.json()):
            answer = self._ask("GET", "/api/next", (200, 403), "refused a ballot", params=query)
        self._check(answer, (200,), "refused a ballot")
        ballots: list[dict[str, Any]] = answer.json()["ballots"]
        return ballots[0] if ballots else None

    def _through(self, asked: Mapping[str, Any]) -> bool:
        """Agree to the consent text, or answer the comprehension check; False where it is something else that is asked."""
        if asked["error"] == "consent_required":
            self._ask("POST", "/api/consent", (200,), "refused consent", json={"version": asked["version"]})
            return True
        if asked["error"] == "quiz_required":
            body = {"answers": self._answers}
            made = self._ask("POST", "/api/quiz", (200,), "refused the answers", json=body)
            return bool(made.json()["passed"])
        return False

    def vote(self, ballot: Mapping[str, Any], choice: Choice, elapsed_ms: int) -> None:
        """Cast a vote, durable when this returns."""
        body = {"assignment": ballot["assignment"], "choice": choice.value, "key": uuid.uuid4().hex,
                "elapsed_ms": elapsed_ms}  # fmt: skip
        self._ask("POST", "/api/vote", (200,), "refused a vote", json=body)

    def _ask(
        self, method: str, path: str, wanted: Sequence[int], failure: str, **parts: Any  # noqa: ANN401
    ) -> httpx.Response:  # fmt: skip
        """The answer if it has a wanted status; UserError for any other, and for a server that went away."""
        address = self._http.base_url
        try:
            answer = self._http.request(method, path, **parts)
        except httpx.TransportError as error:
            raise UserError(
                f"the server at {address} does not answer ({type(error).__name__})", "start `serve` again"
            ) from None
        return self._check(answer, wanted, failure)

    def _check(self, answer: httpx.Response, wanted: Sequence[int], failure: str) -> httpx.Response:
        if answer.status_code not in wanted:
            raise UserError(
                f"the server at {self._http.base_url} {failure} ({answer.status_code}): {answer.text[:200]}",
                "check that the campaign is open",
            )
        return answer


class Rater:
    """A made-up rater at a browser of its own."""

    def __init__(self, client: Client, profile: str, rng: random.Random, noise: float, pace: float) -> None:
        self._client, self._profile, self._rng, self._pace = client, profile, rng, pace
        self._decide = decision(profile, rng, noise)
        self._given = 0

    def rate(self, tally: Tally, most: int) -> None:
        """Vote until `most` are given, the tally is empty or no ballot is left."""
        while self._given < most and tally.take():
            ballot = self._client.ballot()
            if ballot is None:
                tally.give_back()
                return
            choice, elapsed = self._decide(ballot), drawn_elapsed_ms(ballot, self._rng, self._profile)
            time.sleep(self._pace)
            self._client.vote(ballot, choice, elapsed)
            self._given += 1


def drawn_elapsed_ms(ballot: Mapping[str, Any], rng: random.Random, profile: str) -> int:
    """A plausible reading time: about 250 words a minute with a long tail; half a second for the fast."""
    if profile == "fast":
        return int(rng.uniform(200, 800))
    words = sum(len(ballot[side]["text"].split()) for side in ("left", "right"))
    words += sum(len(m["content"].split()) for m in ballot["prompt"])
    return int(1000 * (1.5 + words / 4.2) * rng.lognormvariate(0.0, 0.4))


Decide = Callable[[Mapping[str, Any]], Choice]


def decision(profile: str, rng: random.Random, noise: float) -> Decide:
    """How a rater of this profile answers a ballot."""
    last: list[Choice] = []

    def decide(ballot: Mapping[str, Any]) -> Choice:
        choice = _judged(profile, ballot, rng, last)
        if choice in (Choice.LEFT, Choice.RIGHT) and rng.random() < noise:
            choice = Choice.RIGHT if choice is Choice.LEFT else Choice.LEFT
        last[:] = [choice]
        return choice

    return decide


def _judged(profile: str, ballot: Mapping[str, Any], rng: random.Random, last: Sequence[Choice]) -> Choice:
    left, right = ballot["left"]["text"], ballot["right"]["text"]
    if profile in ("random", "fast"):
        return rng.choice(CHOICES)
    if profile == "copy":
        return last[0] if last else rng.choice((Choice.LEFT, Choice.RIGHT))
    if profile == "left":
        return Choice.LEFT
    if profile == "lazy":
        return _side(len(left) - len(right))
    prompt = ballot["prompt"][-1]["content"]
    if is_world_prompt(prompt):
        return _side(honest_margin(prompt, left, right, rng))
    return _side(taste(left) - taste(right))


def _side(margin: float) -> Choice:
    return Choice.LEFT if margin > 0 else Choice.RIGHT if margin < 0 else Choice.TIE


def taste(text: str) -> float:
    """A steady liking for answers of some substance that end cleanly and do not say the same twice."""
    words = text.lower().split()
    if not words:
        return -1.0
    varied = len(set(words)) / len(words)
    return (
        min(len(words), 200) / 200
        + varied
        + (0.3 if text.rstrip().endswith((".", "!", "?", "`", "|")) else 0.0)
    )
