"""GET /metrics: the server in numbers, as Prometheus reads them, for owners and for a scraper that has the token.

Counts of the home are read when asked; the time of requests is kept in memory, by route, method and kind of answer. No
rater, model, campaign or address is in it.
"""

import asyncio
import hmac
from collections.abc import Callable, Iterator

from fastapi import APIRouter, Request
from prometheus_client import CollectorRegistry, Histogram, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.responses import JSONResponse, Response

from arena.web.sessions import BadTries, Door, address_of
from db.connection import Readers, Writer
from db.metering import Measured, measured

TOKEN_VARIABLE = "TASTEBENCH_METRICS_TOKEN"  # noqa: S105 - the name of a variable
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1.0, 2.5, 10.0)

router = APIRouter()


class _Home(Collector):
    """The counts of the home and the writer's queue, read at each scrape."""

    def __init__(self, read: Callable[[], Measured], waiting: Callable[[], int]) -> None:
        self._read, self._waiting = read, waiting

    def describe(self) -> list[Metric]:
        """Nothing ahead of time: registering must not read the home."""
        return []

    def collect(self) -> Iterator[Metric]:
        """The families."""
        now = self._read()
        yield CounterMetricFamily("tastebench_votes_stored", "Votes ever stored.", now.stored)
        yield CounterMetricFamily("tastebench_votes_retracted", "Votes taken back.", now.retracted)
        yield GaugeMetricFamily("tastebench_votes_counted", "Votes that count in figures.", now.counted)
        yield GaugeMetricFamily(
            "tastebench_votes_counted_share", "Counted votes by stored votes; 1 where there are none.",
            now.counted / now.stored if now.stored else 1.0,
        )  # fmt: skip
        yield GaugeMetricFamily("tastebench_campaigns_open", "Campaigns that are open.", now.open_campaigns)
        yield GaugeMetricFamily(
            "tastebench_writer_queue", "Requests that wait for the database's writer.", self._waiting()
        )
        jobs = GaugeMetricFamily("tastebench_jobs", "Jobs by status.", labels=["status"])
        for status, n in now.jobs.items():
            jobs.add_metric([status], n)
        yield jobs


class Metrics:
    """The registry of one app, and who may read it."""

    def __init__(self, readers: Readers, writer: Writer, token: str | None = None) -> None:
        self._registry = CollectorRegistry()
        self._seconds = Histogram(
            "tastebench_request_seconds", "Time until an answer begins.", ["route", "method", "answer"],
            buckets=SECONDS, registry=self._registry,
        )  # fmt: skip
        ProcessCollector(registry=self._registry)
        self._registry.register(_Home(lambda: measured(readers.get()), lambda: writer.waiting))
        self._token = token or None
        self._children: dict[tuple[str, str, int], Histogram] = {}

    def timed(self, method: str, route: str, status: int, seconds: float) -> None:
        """One answered request."""
        key = (route, method, status // 100)
        child = self._children.get(key)
        if child is None:
            child = self._children[key] = self._seconds.labels(route, method, f"{status // 100}xx")
        child.observe(seconds)

    def opens_for(self, authorization: str) -> bool:
        """Whether a request's Authorization header holds the scraper's token; never where none was set."""
        kind, _, secret = authorization.partition(" ")
        if self._token is None or kind.lower() != "bearer":
            return False
        return hmac.compare_digest(secret.strip().encode(), self._token.encode())

    def text(self) -> bytes:
        """Everything, in Prometheus's text form."""
        return generate_latest(self._registry)


@router.get("/metrics")
async def get_metrics(request: Request) -> Response:
    """The numbers, for owners and viewers, and for whoever brings the token; wrong ones are slowed down."""
    metrics: Metrics = request.app.state.metrics
    door: Door = request.app.state.web.door
    tries: BadTries = request.app.state.web.tries
    brought = request.headers.get("authorization", "")
    if door.visitor(request).owner is None:
        address = address_of(request)
        if tries.too_many(address):
            return JSONResponse({"error": "too many tries; wait a minute"}, 429)
        if not metrics.opens_for(brought):
            if brought:
                tries.note(address)
            what = (
                "only the owner reads this; log in to the studio, or send the token of the server's settings"
            )
            return JSONResponse({"error": what}, 401)
    return Response(await asyncio.to_thread(metrics.text), media_type=CONTENT_TYPE_LATEST)
