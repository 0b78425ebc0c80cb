"""Keeps one process of a fleet at work: PgQueuer gives out jobs, a job is one attempt at a run.

A job stays picked, with a heartbeat, for as long as its attempt goes on. When the process is gone, the
heartbeat stops, and after the lapse another process is given the same job: it finds the run running in
the very attempt that the job is for, and so knows that whoever had claimed it is gone.
"""

import asyncio
import contextlib
import functools
import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta

from pgqueuer.core.qm import QueueManager
from pgqueuer.domain.errors import RetryRequested
from pgqueuer.domain.models import Job

from runwell.dispatch.pgqueuer.driver import Connections, StoreDriver
from runwell.dispatch.pgqueuer.jobs import Attempt, read_job
from runwell.dispatch.pgqueuer.names import CHANNEL, DEFINED, entrypoint_by, entrypoint_of
from runwell.dispatch.pgqueuer.queue import PatientQueries
from runwell.domain.errors import RunNotFound, Unavailable
from runwell.domain.run import Run, RunStatus
from runwell.ports.dispatcher import Execute, Takes
from runwell.ports.store import Store

LOG = logging.getLogger(__name__)

BEATS = 2
"""How much quicker jobs' hearts beat than PgQueuer would let them: at most a third of the lapse old, so
that a process that nobody hears has stopped its attempts (see `worker.heartbeat`) before its jobs are
given away."""
LONGEST_SLEEP = 1.0
"""Seconds between two looks when nobody calls: the floor under lost notifications, and the longest that a
job waits whose worker's lapse is over."""
BATCH = 50
"""Jobs taken at once."""
REST, LONGEST_REST = 0.25, 5.0
"""Seconds that a run is left alone which could not be claimed; doubled each time up to the longest."""
RESTART = 1.0

Lost = Callable[[Run], Awaitable[object]]
"""Nobody works on this run, which says that it is running: lapse it, or hand it back where it is this process
that has claimed it. Raises `Unavailable`."""


class PgQueuerDispatcher:
    """Keeps up to `places` executions going. Belongs to the loop it was started on.

    `lapse` (s) is after how long without a heartbeat a job is given to another process. `limits` says how
    many runs of an agent may be at work in the whole fleet; all processes must say the same.
    """

    def __init__(
        self,
        store: Store,
        connections: Connections,
        lost: Lost,
        *,
        places: int,
        lapse: float,
        limits: dict[str, int | None],
    ) -> None:
        self._store = store
        self._driver = StoreDriver(connections)
        self._lost = lost
        self._places = places
        self._lapse = timedelta(seconds=lapse)
        self._limits = limits
        self._unlimited = frozenset((DEFINED, *map(entrypoint_by, limits)))
        self._manager: QueueManager | None = None
        self._task: asyncio.Task[None] | None = None
        self._stopping = False

    async def start(self, execute: Execute, takes: Takes) -> None:
        self._task = asyncio.create_task(self._run(execute, takes), name="dispatcher")

    def wake(self) -> None:
        self._driver.poke()

    async def stop(self) -> None:
        self._stopping = True
        if self._manager is not None:
            self._manager.shutdown.set()

    async def close(self) -> None:
        """Wait until the jobs of all executions are put away."""
        self._stopping = True
        if self._task is not None:
            if self._manager is None:
                self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    @property
    def trying(self) -> int:
        """How many jobs this process holds."""
        return 0 if self._manager is None else len(self._manager.job_context)

    async def _run(self, execute: Execute, takes: Takes) -> None:
        while not self._stopping:
            self._manager = self._new_manager(execute, takes)
            try:
                await self._manager.run(
                    dequeue_timeout=timedelta(seconds=LONGEST_SLEEP),
                    batch_size=BATCH,
                    heartbeat_timeout=self._lapse / BEATS,
                    log_aggregation_interval=timedelta(0),
                )
            except Unavailable as error:
                LOG.warning("the queue is not served until the database is back: %s", error)
            except Exception:
                # Nothing of ours raises here; whatever it was must not leave every later run queued.
                LOG.exception("the queue broke and is begun again")
            self._manager = None
            if not self._stopping:
                await asyncio.sleep(RESTART)

    def _new_manager(self, execute: Execute, takes: Takes) -> QueueManager:
        room = functools.partial(self._room, takes)
        queries = PatientQueries(self._driver, room, lambda: self._stopping, self._lapse)
        manager = QueueManager(queries, CHANNEL)

        async def work(job: Job) -> None:
            await self._work(job, queries, execute)

        for name, limit in self._limits.items():
            manager.entrypoint(entrypoint_of(name), concurrency_limit=limit or 0, accepts_context=False)(work)
        for name in self._unlimited:
            manager.entrypoint(name, accepts_context=False)(work)
        return manager

    def _room(self, takes: Takes) -> tuple[int, frozenset[str]]:
        """How many jobs may be taken now, and of which entrypoints."""
        places = takes()
        if self._stopping or not places.free:
            return 0, frozenset()
        # Counted by what was given out, not by what has begun: the next look comes before that.
        return self._places - self.trying, self._unlimited.union(map(entrypoint_of, places.free))

    async def _work(self, job: Job, queries: PatientQueries, execute: Execute) -> None:
        """One job. Returning ends it; what must not be lost is asked for again."""
        attempt = read_job(job.payload)
        if attempt is None:
            LOG.error("job %d is none of ours and is dropped: %r", job.id, job.payload)
            return
        if (task := asyncio.current_task()) is not None:
            task.add_done_callback(lambda _: self._driver.poke())  # there is a place again
        if not await execute(*attempt):
            await self._judge(job, attempt, queries)

    async def _judge(self, job: Job, attempt: Attempt, queries: PatientQueries) -> None:
        """Why could it not be claimed? Kept until that is known: put back unjudged, a job whose claim was
        written although its answer was lost would be another's, who finds a run whose worker is gone."""
        rest = timedelta(seconds=min(REST * 2 ** min(job.attempts, 10), LONGEST_REST))
        while True:
            try:
                if await self._still_waits(job, attempt, queries):
                    raise RetryRequested(rest, "it may not start yet, or not here")
                return
            except RunNotFound:
                return
            except Unavailable as error:
                if self._stopping:
                    raise RetryRequested(rest, "the database is away") from error
                await asyncio.sleep(REST)

    async def _still_waits(self, job: Job, attempt: Attempt, queries: PatientQueries) -> bool:
        """Whether the attempt is to come. Raises `RunNotFound`, `Unavailable`."""
        run = await self._store.runs.get(attempt.run_id)
        claimed = run.status is RunStatus.RUNNING and run.attempt == attempt.number
        # Claimed with this job: if it is ours, by a process whose heart had stopped, or by this one, which
        # does not know; if not, ours had, and whoever has the job now is at work.
        if claimed and await queries.holds(job):
            await self._lost(run)
        return run.status is RunStatus.QUEUED and run.attempt + 1 == attempt.number
