"""A small closed-loop HTTP client for the benchmarks: keep-alive, as many users as asked, latencies in seconds."""

import asyncio
import json
import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass


class Wire:
    """One keep-alive HTTP/1.1 connection."""

    def __init__(self, host: str, port: int, headers: dict[str, str] | None = None) -> None:
        self.host, self.port, self.headers = host, port, headers or {}
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def request(self, method: str, path: str, body: object = None) -> tuple[int, dict[str, str], bytes]:
        """(status, headers, body) of one request; a connection that was closed while idle is opened anew, as browsers do."""
        idle = self._writer is not None
        try:
            return await self._request(method, path, body)
        except (asyncio.IncompleteReadError, ConnectionError):
            if not idle:
                raise
            self.close()
            self._writer = None
            return await self._request(method, path, body)

    async def _request(self, method: str, path: str, body: object) -> tuple[int, dict[str, str], bytes]:
        if self._writer is None:
            self._reader, self._writer = await asyncio.open_connection(self.host, self.port)
        assert self._reader is not None
        data = b"" if body is None else json.dumps(body).encode()
        lines = [
            f"{method} {path} HTTP/1.1",
            f"Host: {self.host}:{self.port}",
            f"Content-Length: {len(data)}",
        ]
        if data:
            lines.append("Content-Type: application/json")
        lines += [f"{k}: {v}" for k, v in self.headers.items()]
        self._writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + data)
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        found = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in head[1:] if line)}
        if "content-length" in found:
            payload = await self._reader.readexactly(int(found["content-length"]))
        elif found.get("transfer-encoding") == "chunked":
            payload = await self._chunks()
        else:
            payload = b""
        return int(head[0].split()[1]), found, payload

    async def _chunks(self) -> bytes:
        assert self._reader is not None
        parts = []
        while size := int(await self._reader.readline(), 16):
            parts.append(await self._reader.readexactly(size))
            await self._reader.readexactly(2)
        await self._reader.readexactly(2)
        return b"".join(parts)

    def close(self) -> None:
        """Hang up."""
        if self._writer is not None:
            self._writer.close()


@dataclass(frozen=True)
class Load:
    """What a closed loop of users saw."""

    users: int
    done: int
    failed: int
    seconds: float
    latencies: list[float]

    @property
    def rate(self) -> float:
        """Requests answered well a second."""
        return self.done / self.seconds

    def quantile(self, share: float) -> float:
        """A latency in milliseconds."""
        ordered = sorted(self.latencies)
        return 1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")

    def line(self, name: str) -> str:
        """One row of the printed table."""
        return (
            f"{name:28} {self.users:4} users  {self.rate:8.0f}/s  p50 {self.quantile(0.5):7.1f}  "
            f"p95 {self.quantile(0.95):7.1f}  p99 {self.quantile(0.99):7.1f} ms  failed {self.failed}"
        )


async def closed_loop(users: int, work: Callable[[int], Awaitable[list[tuple[float, bool]]]]) -> Load:
    """Run every user's work at once; `work` gives (latency, whether it went well) of each of its requests."""
    started = time.perf_counter()
    results = await asyncio.gather(*(work(i) for i in range(users)))
    seconds = time.perf_counter() - started
    flat = [r for one in results for r in one]
    good = [t for t, ok in flat if ok]
    return Load(users, len(good), len(flat) - len(good), seconds, good)


def median(values: list[float]) -> float:
    """The middle value."""
    return statistics.median(values)
