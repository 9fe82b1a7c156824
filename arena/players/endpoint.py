"""A model behind any OpenAI-compatible server (vLLM, `transformers serve`, llama.cpp, a hosted one)."""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor

import httpx

from arena.players import Generated, GenerationSettings, Unanswerable, Unfinished, with_system
from arena.players.limits import Limits, asked_to_wait, key_for, limits_from, meter_of
from db.entities.catalog import Message
from db.errors import UserError

UNFIT = (400, 413, 422)
"""how servers refuse one request, too long a one mostly"""
RETRIED = (408, 409, 429, 500, 502, 503, 504)
A_TOKEN = 4
"""characters, about, where a server does not count its tokens"""


class EndpointPlayer:
    """Asks `POST <url>/chat/completions`; key and limits come from the environment (docs/players.md).

    `pause` is called with the seconds to wait before a request is made or tried again.
    """

    def __init__(
        self,
        url: str,
        remote_name: str,
        limits: Limits | None = None,
        pause: Callable[[float], object] = time.sleep,
    ) -> None:
        self.url, self.remote_name, self._pause = url.rstrip("/"), remote_name, pause
        self.limits = limits or limits_from()
        self._meter = meter_of(self.url)
        self._key = key_for(self.url)
        self._client = httpx.Client(
            timeout=self.limits.timeout, headers={"Authorization": f"Bearer {self._key}"} if self._key else {}
        )

    @property
    def made_by(self) -> Mapping[str, str]:
        """What answers: the model's name on the server, which is all that is known of its revision."""
        return {"revision": self.remote_name, "endpoint": self.url}

    def respond(self, prompts: Sequence[Sequence[Message]], settings: GenerationSettings) -> list[Generated]:
        """One answer to each prompt, in their order, a few requests at a time.

        Unfinished where one fails for good: it holds the answers that came, and no further request goes out.
        """
        answers: dict[int, Generated] = {}
        failed: UserError | None = None
        with ThreadPoolExecutor(self.limits.at_once) as pool:
            waiting = [pool.submit(self._answer, messages, settings) for messages in prompts]
            for i, future in enumerate(waiting):
                try:
                    answers[i] = future.result()
                except CancelledError:
                    continue
                except UserError as error:
                    failed = failed or error
                    pool.shutdown(wait=False, cancel_futures=True)
        if failed is not None:
            raise Unfinished(failed, answers) from failed
        return [answers[i] for i in range(len(prompts))]

    def stream(self, messages: Sequence[Message], settings: GenerationSettings) -> Iterator[str]:
        """The answer piece by piece."""
        body = self._body(messages, settings) | {"stream": True}
        self._take_turn()
        told = 0
        try:
            with self._client.stream("POST", f"{self.url}/chat/completions", json=body) as answer:
                if answer.status_code != 200:
                    answer.read()
                    raise self._refused(answer)
                for line in answer.iter_lines():
                    data = line.removeprefix("data:").strip()
                    if line.startswith("data:") and data != "[DONE]":
                        piece = self._piece(data)
                        told += len(piece)
                        yield piece
        except httpx.TransportError as error:
            raise self._unreachable(error) from error
        finally:
            self._meter.spend((told + _length(messages)) // A_TOKEN)

    def _take_turn(self) -> None:
        """Wait for this request's place under the limits; UserError where the token budget is used up."""
        self._meter.check(self.url, self.limits.tokens)
        seconds = self._meter.turn(self.limits.per_minute)
        if seconds > 0:
            self._pause(seconds)

    def _piece(self, data: str) -> str:
        """The text of one event of a stream; many carry none."""
        try:
            choices = json.loads(data)["choices"]
            return "".join(choice["delta"].get("content") or "" for choice in choices)
        except (ValueError, KeyError, TypeError, AttributeError):
            raise self._strange() from None

    def _body(self, messages: Sequence[Message], settings: GenerationSettings) -> dict[str, object]:
        return {
            "model": self.remote_name, "messages": with_system(messages, settings.system),
            "temperature": settings.temperature, "top_p": settings.top_p,
            "max_tokens": settings.max_new_tokens, "seed": settings.seed,
        }  # fmt: skip

    def _answer(self, messages: Sequence[Message], settings: GenerationSettings) -> Generated:
        """One answer; a busy or broken server is asked again after 1, 2, 4 seconds, or later where it says so."""
        for attempt in range(self.limits.tries):
            last = attempt == self.limits.tries - 1
            wanted = 0.0
            self._take_turn()
            try:
                answer = self._client.post(
                    f"{self.url}/chat/completions", json=self._body(messages, settings)
                )
            except httpx.TransportError as error:
                if last:
                    raise self._unreachable(error) from error
            else:
                if answer.status_code == 200:
                    return self._read(answer, messages)
                if last or answer.status_code not in RETRIED:
                    raise self._refused(answer)
                wanted = asked_to_wait(answer.headers.get("retry-after"))
            self._pause(max(2.0**attempt, wanted))
        raise AssertionError("unreachable")

    def _read(self, answer: httpx.Response, messages: Sequence[Message]) -> Generated:
        try:
            body = answer.json()
            choice = body["choices"][0]
            text = str(choice["message"]["content"] or "")
            usage = body.get("usage") or {}
            tokens = int(usage.get("completion_tokens") or 0)
            total = int(usage.get("total_tokens") or 0)
        except (ValueError, KeyError, IndexError, TypeError, AttributeError):
            raise self._strange() from None
        self._meter.spend(total or (len(text) + _length(messages)) // A_TOKEN)
        return Generated(text, choice.get("finish_reason") or "stop", tokens)

    def _strange(self) -> UserError:
        return UserError(f"{self.url} answered something that is no chat completion",
                         "check that the address is that of an OpenAI-compatible server, /v1 included")  # fmt: skip

    def _refused(self, answer: httpx.Response) -> UserError:
        kind = Unanswerable if answer.status_code in UNFIT else UserError
        said = answer.text.replace(self._key, "(key)") if self._key else answer.text  # some servers repeat it
        return kind(f"{self.url} answered {answer.status_code}: {said[:200]}",
                    "check the address, the remote name and the key in TASTEBENCH_API_KEY")  # fmt: skip

    def _unreachable(self, error: httpx.TransportError) -> UserError:
        return UserError(f"{self.url} does not answer ({type(error).__name__})", "check that the server runs")


def _length(messages: Sequence[Message]) -> int:
    return sum(len(m["content"]) for m in messages)
