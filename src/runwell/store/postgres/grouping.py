"""Group commit: works that come while others are being written share the next transaction."""

from collections.abc import Callable

from runwell.domain.errors import RunwellError, StoreUnavailable
from runwell.store.postgres.lanes import Job, Lanes
from runwell.store.postgres.offers import Enlist
from runwell.store.postgres.pool import Pool, Transaction
from runwell.store.postgres.together import Outcome, Work, WriteTogether

LANES = 3
"""Transactions of groups under way at once: while one is at the server, the next is made."""
WORKS = 128
BYTES = 4 * 1024 * 1024


class Grouping:
    """Takes works of one event loop. `told` is called with every transaction that is durable."""

    def __init__(self, pool: Pool, told: Callable[[Transaction], None], enlist: Enlist | None) -> None:
        self._pool = pool
        self._told = told
        self._enlist = enlist
        self._queue: Lanes[Work, Outcome] = Lanes(self._write, lanes=LANES, works=WORKS, size=BYTES)

    def hand_in(self, work: Work) -> Job[Work, Outcome]:
        """No two works about the same run at a time."""
        return self._queue.hand_in(work, work.size)

    async def _write(self, jobs: list[Job[Work, Outcome]]) -> None:
        try:
            work = WriteTogether([job.asked for job in jobs], self._enlist)
            outcomes = await self._pool.write(work, self._told)
        except StoreUnavailable:
            raise
        except Exception:
            if len(jobs) == 1:
                raise
            # Nothing was written. Whose fault it was comes out when each is done by itself.
            outcomes = [None] * len(jobs)
        for job, outcome in zip(jobs, outcomes, strict=True):
            if isinstance(outcome, RunwellError):
                job.fail(outcome)
            else:
                job.reply(outcome)
