"""Numbers for Prometheus. Counting is an integer in a dictionary; all else happens at the scrape."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from runwell.domain.instant import Instant, seconds_between
from runwell.ports.store import QueueDepth
from runwell.server.observed import Transitions
from runwell.stream.presence import Closing

CONTENT_TYPE = CONTENT_TYPE_LATEST.encode()

Source = Callable[[], Iterable[Metric]]
"""Whatever else has numbers, such as a store with its commit batches: called at each scrape."""


class Metrics(Collector):
    """One app's numbers, in a registry of their own.

    `requests` counts answers by method, route template and status. `transitions` are counted by the
    stores of this process, one counter for each, since each belongs to a thread.
    """

    def __init__(
        self, closing: Closing, transitions: Sequence[Transitions] = (), sources: Sequence[Source] = ()
    ) -> None:
        self.requests: Counter[tuple[str, str, int]] = Counter()
        self._closing = closing
        self._transitions = transitions
        self._sources = sources
        self._depths: Sequence[QueueDepth] = ()
        self._now: Instant = 0
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    def text(self, depths: Sequence[QueueDepth], now: Instant) -> bytes:
        """The exposition, with the queue as it was read at `now`."""
        self._depths, self._now = depths, now
        return generate_latest(self._registry)

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterable[Metric]:
        yield self._http()
        yield self._runs()
        yield from self._queue()
        yield GaugeMetricFamily(
            "runwell_event_streams", "Event streams open now", value=len(self._closing.streams)
        )
        yield GaugeMetricFamily(
            "runwell_long_polls", "Long-polls waiting now", value=len(self._closing.polls)
        )
        for source in self._sources:
            yield from source()

    def _http(self) -> Metric:
        family = CounterMetricFamily(
            "runwell_http_requests", "Answers by route", labels=("method", "route", "status")
        )
        for (method, route, status), count in self.requests.copy().items():
            family.add_metric((method, route, str(status)), count)
        return family

    def _runs(self) -> Metric:
        family = CounterMetricFamily(
            "runwell_run_transitions",
            "Changes of runs by command and the status they led to",
            labels=("command", "status"),
        )
        total: Counter[tuple[str, str]] = Counter()
        for counted in self._transitions:
            total.update(counted.copy())
        for labels, count in sorted(total.items()):
            family.add_metric(labels, count)
        return family

    def _queue(self) -> Iterable[Metric]:
        queued = GaugeMetricFamily("runwell_runs_queued", "Queued runs", labels=("agent",))
        running = GaugeMetricFamily("runwell_runs_running", "Running runs", labels=("agent",))
        oldest = GaugeMetricFamily(
            "runwell_oldest_queued_seconds", "How long the oldest queued run has waited", labels=("agent",)
        )
        for depth in self._depths:
            queued.add_metric((depth.agent,), depth.queued)
            running.add_metric((depth.agent,), depth.running)
            if depth.oldest_at is not None:
                oldest.add_metric((depth.agent,), max(seconds_between(depth.oldest_at, self._now), 0.0))
        return queued, running, oldest
