"""Mending what the queue of a fleet and the runs disagree about.

They are written together, so there is little to do. But a job may be dropped that was not done, a table
may be restored from a backup, and a database may be filled by `runwell copy`.
"""

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

from runwell.domain.errors import RunNotFound, Unavailable
from runwell.domain.instant import Instant
from runwell.domain.run import RunStatus
from runwell.ports.clock import Clock
from runwell.ports.store import Store
from runwell.worker.upkeep.rescue import rescue

LOG = logging.getLogger(__name__)

KEEP_LOG = 3_600.0
"""Seconds that the queue's own log is kept."""
SLACK = 1.5
"""Seconds beyond the lapse in which another worker takes a job whose worker is gone."""

Reoffer = Callable[[Sequence[str], Instant], Awaitable[int]]
"""Offer these queued runs to the queue again; how many could be."""


class Jobs(Protocol):
    """The queue's table held against that of the runs."""

    async def unoffered(self, now: Instant) -> list[str]: ...

    async def abandoned(self, lapse: float, alive: Sequence[str]) -> Sequence[Any]: ...

    async def remove_passed(self, lapse: float) -> int: ...

    async def prune_log(self, keep: float) -> int: ...


class Repairs:
    """One look at each of the four. `lapse` is in seconds."""

    def __init__(self, store: Store, clock: Clock, jobs: Jobs, reoffer: Reoffer, lapse: float) -> None:
        self._store = store
        self._clock = clock
        self._jobs = jobs
        self._reoffer = reoffer
        self._lapse = lapse
        self._since = self._looked = -math.inf

    async def mend(self) -> None:
        """All of it. Raises `Unavailable`."""
        try:
            if self._has_looked_for_long():
                await self.lapse_abandoned()
            await self.offer_again()
            await self.remove_passed()
            while await self._jobs.prune_log(KEEP_LOG):
                pass
        except Unavailable:
            self._looked = -math.inf
            raise

    def _has_looked_for_long(self) -> bool:
        """Whether this process has looked again and again for a whole lapse. Else the database may have been
        away, and with it everybody's heartbeats: whoever lives is about to be heard again."""
        now = asyncio.get_running_loop().time()
        if now - self._looked > 2 * self._lapse:
            self._since = now
        self._looked = now
        return now - self._since >= self._lapse

    async def offer_again(self) -> int:
        """Queued runs without a job, batch after batch for a lapse at most; how many got one.

        A database that was filled by `runwell copy` may have very many. What is left then comes in the next
        turn, after those whose worker is gone.
        """
        offered, end = 0, asyncio.get_running_loop().time() + self._lapse
        while found := await self._jobs.unoffered(now := self._clock.now()):
            got = await self._reoffer(found, now)
            offered += got
            if not got or asyncio.get_running_loop().time() > end:
                break
        if offered:
            LOG.warning("%d queued runs had no job, and have one now", offered)
        return offered

    async def lapse_abandoned(self) -> int:
        """Running runs whose worker is gone, and whose job nobody was given; how many."""
        now = self._clock.now()
        alive = [each.name for each in await self._store.workers.all() if each.alive(now)]
        lapsed = 0
        for run_id, attempt in await self._jobs.abandoned(self._lapse + SLACK, alive):
            try:
                run = await self._store.runs.get(run_id)
            except RunNotFound:
                continue
            if run.status is RunStatus.RUNNING and run.attempt == attempt:
                lapsed += await rescue(self._store, self._clock, run) is not None
        if lapsed:
            LOG.warning("took up %d runs whose worker had vanished", lapsed)
        return lapsed

    async def remove_passed(self) -> int:
        """Jobs that nothing is to come of; how many."""
        removed = 0
        while found := await self._jobs.remove_passed(self._lapse):
            removed += found
        return removed
