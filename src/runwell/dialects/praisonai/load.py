"""/health and /stats: how much there is to do, and how much of it is the caller's."""

from runwell.dialects.exchange import Reply
from runwell.dialects.praisonai import bodies
from runwell.dialects.praisonai.jobs import Jobs
from runwell.dialects.praisonai.requests import DEFAULT_TIMEOUT
from runwell.dialects.praisonai.words import JobStatus, run_statuses
from runwell.domain.instant import SECOND, Instant
from runwell.ports.store import RunFilter

STORE = "RunwellStore"
"""Where the original names a class: what is behind it is not this dialect's to know."""


class Load:
    """Counts at most once a second: anybody may ask for `/health`."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs
        self._counted_at: Instant | None = None
        self._live = 0

    async def health(self) -> Reply:
        """Raises `StoreUnavailable`, which is no 200: what is not there cannot be healthy."""
        return self._jobs.render.json(200, bodies.HealthResponse("healthy", STORE, await self._executor()))

    async def stats(self, owner: str) -> Reply:
        runs = self._jobs.core.store.runs
        counts = {
            str(status): await runs.count(owner, RunFilter(statuses=run_statuses(status)))
            for status in JobStatus
        }
        total = sum(counts.values())
        store = bodies.StoreStats(total, None, counts)
        body = bodies.StatsResponse(total, counts, await self._executor(), store)
        return self._jobs.render.json(200, body)

    async def _executor(self) -> bodies.ExecutorStats:
        services = self._jobs.services
        now = services.core.clock.now()
        if self._counted_at is None or not 0 <= now - self._counted_at < SECOND:
            depths = await services.core.store.runs.depths()
            self._live = sum(depth.queued + depth.running for depth in depths)
            self._counted_at = now
        return bodies.ExecutorStats(
            self._live, services.options.concurrency, DEFAULT_TIMEOUT, services.closing.begun
        )
