"""What PgQueuer asks of the database, in the ways in which we differ from it.

It stops when the database is away, or says what nobody foresaw, and then waits for all that it works on;
and it drops what it could not put back. A process of ours waits until the database is back, and looks again.
It counts its places by the jobs in the table; ours are fewer while the worker stops, and an agent may have
none. It puts jobs away whoever has them; we only those that are still ours.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import TypeVar

from pgqueuer.adapters.persistence.qb import (
    QueryBuilderEnvironment,
    QueryQueueBuilder,
    QuerySchedulerBuilder,
)
from pgqueuer.adapters.persistence.queries import Queries
from pgqueuer.domain.models import Job, TracebackRecord
from pgqueuer.domain.types import JOB_STATUS, JobId, QueueEntrypoint, QueueManagerId
from pgqueuer.ports.driver import Driver
from pgqueuer.ports.repository import EntrypointExecutionParameter

from runwell.dispatch.pgqueuer.driver import StoreDriver
from runwell.dispatch.pgqueuer.names import TABLE, settings
from runwell.domain.errors import Unavailable

LOG = logging.getLogger(__name__)
T = TypeVar("T")

AGAIN = 0.5
"""Seconds between two tries while the database is away."""
REST = 1.0
"""Seconds after a look that failed as nobody foresaw."""
NEVER = timedelta(days=365)

_OURS = f"SELECT id FROM {TABLE} WHERE id = ANY($1::bigint[]) AND status = 'picked' AND queue_manager_id = $2"


def queries_over(driver: Driver) -> Queries:
    """PgQueuer's statements, on our names for its tables."""
    return Queries(driver, *_builders())


def _builders() -> tuple[QueryBuilderEnvironment, QueryQueueBuilder, QuerySchedulerBuilder]:
    names = settings()
    return QueryBuilderEnvironment(names), QueryQueueBuilder(names), QuerySchedulerBuilder(names)


class _NoRoom(Exception):
    """Nothing was asked of the database."""


class PatientQueries(Queries):
    """Of one queue manager. `room()` says how many jobs may be taken now, and of which entrypoints; when
    `stopping()`, nothing is waited for. `lapse`: after how long without a heartbeat a job is taken over."""

    def __init__(
        self,
        driver: StoreDriver,
        room: Callable[[], tuple[int, frozenset[str]]],
        stopping: Callable[[], bool],
        lapse: timedelta,
    ) -> None:
        super().__init__(driver, *_builders())
        self._way = driver
        self._room = room
        self._stopping = stopping
        self._lapse = lapse
        self._away = False
        self._trusts_at = 0.0

    async def dequeue(
        self,
        batch_size: int,
        entrypoints: dict[QueueEntrypoint, EntrypointExecutionParameter],
        queue_manager_id: QueueManagerId,
        global_concurrency_limit: int | None,
        heartbeat_timeout: timedelta,
    ) -> list[Job]:
        async def take() -> list[Job]:
            self._way.looked()
            # Looked at again on every try: the worker may have stopped while the database was away.
            free, open_to = self._room()
            wanted = {name: limit for name, limit in entrypoints.items() if name in open_to}
            if free <= 0 or not wanted:
                raise _NoRoom
            return await super(PatientQueries, self).dequeue(
                min(batch_size, free), wanted, queue_manager_id, global_concurrency_limit, self._silence()
            )

        return await self._looks(take, [])

    def _silence(self) -> timedelta:
        """After how long without a heartbeat a job is taken over. When the database was away nobody's heart
        was heard: each has a lapse to be heard again."""
        now = asyncio.get_running_loop().time()
        return NEVER if self._away or now < self._trusts_at else self._lapse

    # Of these three, where there is no room: there may be work, but not for us. Whoever ends makes room, and
    # wakes us.

    async def queued_work(self, entrypoints: list[QueueEntrypoint]) -> int:
        return await self._if_room(lambda: super(PatientQueries, self).queued_work(entrypoints), 0)

    async def eligible_queued_work(self, entrypoints: list[QueueEntrypoint]) -> int:
        return await self._if_room(lambda: super(PatientQueries, self).eligible_queued_work(entrypoints), 0)

    async def next_deferred_eta(self, entrypoints: list[QueueEntrypoint]) -> timedelta | None:
        return await self._if_room(lambda: super(PatientQueries, self).next_deferred_eta(entrypoints), None)

    async def retry_job(self, job: Job, delay: timedelta, traceback_record: TracebackRecord | None) -> None:
        async def put_back() -> None:
            if await self.holds(job):
                await super(PatientQueries, self).retry_job(job, delay, traceback_record)

        # Given up, it stays picked, and goes to another process after the lapse.
        await self._patiently(put_back, None)

    async def log_jobs(self, job_status: list[tuple[Job, JOB_STATUS, TracebackRecord | None]]) -> None:
        async def put_away() -> None:
            ours = await self._ours([job for job, _, _ in job_status])
            if still_ours := [each for each in job_status if each[0].id in ours]:
                await super(PatientQueries, self).log_jobs(still_ours)

        # Given up, they stay picked, and go to another process after the lapse, which finds them passed.
        await self._patiently(put_away, None)

    async def update_heartbeat(self, job_ids: list[JobId]) -> None:
        """A beat that does not get through is lost: the next one says the same."""
        try:
            await super().update_heartbeat(job_ids)
        except Unavailable as error:
            LOG.debug("the hearts of %d jobs were not heard: %s", len(job_ids), error)
            # Those of others neither; and a process that is full asks for nothing else.
            self._away = True

    async def holds(self, job: Job) -> bool:
        """Whether the job is still that of the manager that has taken it. Raises `Unavailable`."""
        return bool(await self._ours([job]))

    async def _ours(self, jobs: Sequence[Job]) -> set[JobId]:
        """All of them were taken by one manager."""
        rows = await self.driver.fetch(_OURS, [job.id for job in jobs], jobs[0].queue_manager_id)
        return {JobId(int(str(row["id"]))) for row in rows}

    async def _if_room(self, ask: Callable[[], Awaitable[T]], otherwise: T) -> T:
        free, _ = self._room()
        return otherwise if free <= 0 else await self._looks(ask, otherwise)

    async def _looks(self, ask: Callable[[], Awaitable[T]], otherwise: T) -> T:
        """As `_patiently`, for what only asks for work and comes again soon. What nobody foresaw is
        `otherwise` too: it would end the manager, and another begins only when all that this one works on
        has ended. What was picked by an answer that nobody could read goes to another after the lapse."""
        try:
            return await self._patiently(ask, otherwise)
        except Exception:
            LOG.exception("looking for work failed, and is done again")
            await asyncio.sleep(REST)
            return otherwise

    async def _patiently(self, ask: Callable[[], Awaitable[T]], otherwise: T) -> T:
        """The answer, however long it takes; `otherwise` when nobody waits for it any more."""
        while True:
            try:
                answer = await ask()
            except _NoRoom:
                return otherwise  # which does not say that the database is back
            except Unavailable as error:
                if self._stopping():
                    return otherwise
                if not self._away:
                    LOG.warning("the queue waits for the database: %s", error)
                self._away = True
                await asyncio.sleep(AGAIN)
            else:
                if self._away:
                    LOG.info("the queue goes on: the database is back")
                    self._trusts_at = asyncio.get_running_loop().time() + self._lapse.total_seconds()
                self._away = False
                return answer
