"""A model behind any OpenAI-compatible server (vLLM, `transformers serve`, llama.cpp, a hosted one)."""

import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import httpx

from arena.players import Generated, GenerationSettings, Unanswerable, with_system
from db.entities import Message
from db.errors import UserError

TRIES, AT_ONCE = 4, 8
UNFIT = (400, 413, 422)
"""how servers refuse one request, too long a one mostly"""
RETRIED = (408, 409, 429, 500, 502, 503, 504)


class EndpointPlayer:
    """Asks `POST <url>/chat/completions`; the key comes from TASTEBENCH_API_KEY or OPENAI_API_KEY.

    `pause` is called with the seconds to wait before a request is tried again.
    """

    def __init__(
        self,
        url: str,
        remote_name: str,
        timeout: float = 120.0,
        pause: Callable[[float], object] = time.sleep,
    ) -> None:
        key = os.environ.get("TASTEBENCH_API_KEY") or os.environ.get("OPENAI_API_KEY")
        self.url, self.remote_name, self._pause = url.rstrip("/"), remote_name, pause
        self._client = httpx.Client(
            timeout=timeout, headers={"Authorization": f"Bearer {key}"} if key else {}
        )

    def respond(self, prompts: Sequence[Sequence[Message]], settings: GenerationSettings) -> list[Generated]:
        """One answer to each prompt, in their order, a few requests at a time."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return list(pool.map(lambda messages: self._answer(messages, settings), prompts))

    def stream(self, messages: Sequence[Message], settings: GenerationSettings) -> Iterator[str]:
        """The answer piece by piece."""
        body = self._body(messages, settings) | {"stream": True}
        try:
            with self._client.stream("POST", f"{self.url}/chat/completions", json=body) as answer:
                if answer.status_code != 200:
                    answer.read()
                    raise self._refused(answer)
                for line in answer.iter_lines():
                    data = line.removeprefix("data:").strip()
                    if line.startswith("data:") and data != "[DONE]":
                        yield self._piece(data)
        except httpx.TransportError as error:
            raise self._unreachable(error) from error

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
        """One answer; a busy or broken server is asked again after 1, 2, 4 seconds."""
        for attempt in range(TRIES):
            last = attempt == TRIES - 1
            try:
                answer = self._client.post(
                    f"{self.url}/chat/completions", json=self._body(messages, settings)
                )
            except httpx.TransportError as error:
                if last:
                    raise self._unreachable(error) from error
            else:
                if answer.status_code == 200:
                    return self._read(answer)
                if last or answer.status_code not in RETRIED:
                    raise self._refused(answer)
            self._pause(2.0**attempt)
        raise AssertionError("unreachable")

    def _read(self, answer: httpx.Response) -> Generated:
        try:
            body = answer.json()
            choice = body["choices"][0]
            text = str(choice["message"]["content"] or "")
        except (ValueError, KeyError, IndexError, TypeError):
            raise self._strange() from None
        return Generated(text, choice.get("finish_reason") or "stop",
                         int((body.get("usage") or {}).get("completion_tokens") or 0))  # fmt: skip

    def _strange(self) -> UserError:
        return UserError(f"{self.url} answered something that is no chat completion",
                         "check that the address is that of an OpenAI-compatible server, /v1 included")  # fmt: skip

    def _refused(self, answer: httpx.Response) -> UserError:
        kind = Unanswerable if answer.status_code in UNFIT else UserError
        return kind(f"{self.url} answered {answer.status_code}: {answer.text[:200]}",
                    "check the address, the remote name and the key in TASTEBENCH_API_KEY")  # fmt: skip

    def _unreachable(self, error: httpx.TransportError) -> UserError:
        return UserError(f"{self.url} does not answer ({type(error).__name__})", "check that the server runs")
