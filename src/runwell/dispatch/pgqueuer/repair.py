"""Where PgQueuer's table and that of the runs disagree: they are written together, but not all that
happens to a job happens in a commit of ours, and a process may die between any two lines.

The statements here read both tables. They choose; what becomes of a run is decided elsewhere.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple

from runwell.dispatch.pgqueuer.driver import Connections
from runwell.dispatch.pgqueuer.names import LOG_TABLE, TABLE

LIMIT = 500
"""Rows found, or removed, at once."""

_JOB = f"""SELECT 1 FROM {TABLE} AS job
    WHERE job.dedupe_key = encode(runs.id, 'hex') || ':' || {{attempt}}
        AND job.status IN ('queued', 'picked')"""
_WAITING = _JOB.format(attempt="(runs.attempt + 1)")
_AT_WORK = _JOB.format(attempt="runs.attempt")

_UNOFFERED = f"""SELECT id FROM runs
WHERE status = 'queued' AND behind = 0 AND concurrency_key IS NULL AND NOT EXISTS ({_WAITING})
LIMIT {LIMIT}"""
# Of those that share a key only the first is offered, and only while nobody holds it.
_UNOFFERED_KEYED = f"""SELECT id FROM (
    SELECT DISTINCT ON (owner, concurrency_key) id, attempt FROM runs
    WHERE status = 'queued' AND behind = 0 AND concurrency_key IS NOT NULL
        AND (not_before IS NULL OR not_before <= $1) AND (expires_at IS NULL OR expires_at > $1)
        AND NOT EXISTS (
            SELECT 1 FROM runs AS held WHERE held.status = 'running' AND held.concurrency_key IS NOT NULL
                AND held.owner = runs.owner AND held.concurrency_key = runs.concurrency_key
        )
    ORDER BY owner, concurrency_key, priority DESC, queued_at, pk
) AS runs WHERE NOT EXISTS ({_WAITING}) LIMIT {LIMIT}"""
_UNOFFERED_DELAYED = f"""SELECT id FROM runs
WHERE status = 'queued' AND behind = 0 AND concurrency_key IS NOT NULL AND not_before > $1
    AND NOT EXISTS ({_WAITING})
LIMIT {LIMIT}"""

# A job whose heartbeat has stopped is given to another process, if there is one that serves the agent.
_ABANDONED = f"""SELECT id, attempt FROM runs
WHERE status = 'running' AND NOT EXISTS ({_AT_WORK} AND job.heartbeat > now() - $1::interval)
    AND worker <> ALL($2::text[])
LIMIT {LIMIT}"""

# A picked one is its holder's to put away, unless that is gone.
_NOTHING_TO_COME = f"""SELECT job.id, job.dedupe_key FROM {TABLE} AS job
    LEFT JOIN runs ON runs.id = decode(split_part(job.dedupe_key, ':', 1), 'hex')
    WHERE job.dedupe_key ~ '^[0-9a-f]{{32}}:[0-9]+$'
        AND (job.status = 'queued' OR job.heartbeat < now() - $1::interval)
        AND NOT coalesce(
            (runs.status = 'queued' AND runs.attempt + 1 = split_part(job.dedupe_key, ':', 2)::bigint)
            OR (runs.status = 'running' AND runs.attempt = split_part(job.dedupe_key, ':', 2)::bigint), false)
    LIMIT {LIMIT}"""
_PASSED = f"""WITH passed AS ({_NOTHING_TO_COME} FOR UPDATE OF job SKIP LOCKED)
DELETE FROM {TABLE} WHERE id IN (SELECT id FROM passed)"""
_PRUNE = f"""DELETE FROM {LOG_TABLE} WHERE id IN (
    SELECT id FROM {LOG_TABLE} WHERE created < now() - $1::interval LIMIT {LIMIT * 10}
)"""


class Abandoned(NamedTuple):
    run_id: str
    attempt: int


class JobTable:
    """PgQueuer's table held against that of the runs. Every method raises `Unavailable`."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def unoffered(self, now: int) -> list[str]:
        """Queued runs that could start, now or at their time, and have no job."""
        rows = [
            *await self._connections.fetch(_UNOFFERED),
            *await self._connections.fetch(_UNOFFERED_KEYED, now),
            *await self._connections.fetch(_UNOFFERED_DELAYED, now),
        ]
        return [row[0].hex() for row in rows]

    async def abandoned(self, lapse: float, alive: Sequence[str]) -> list[Abandoned]:
        """Running runs of workers that are not `alive`, whose job is not there, or has had no heartbeat for
        `lapse` seconds."""
        rows = await self._connections.fetch(_ABANDONED, timedelta(seconds=lapse), list(alive))
        return [Abandoned(row[0].hex(), row[1]) for row in rows]

    async def passed(self, lapse: float) -> list[str]:
        """The keys of jobs that nothing is to come of, see `remove_passed`."""
        rows = await self._connections.fetch(_NOTHING_TO_COME, timedelta(seconds=lapse))
        return [row[1] for row in rows]

    async def remove_passed(self, lapse: float) -> int:
        """Remove jobs that nothing is to come of: of runs that have ended, are deleted, or wait for another
        attempt; how many."""
        return _count(await self._connections.execute(_PASSED, timedelta(seconds=lapse)))

    async def prune_log(self, keep: float) -> int:
        """Remove what PgQueuer has noted more than `keep` seconds ago, a batch of it; how many lines."""
        return _count(await self._connections.execute(_PRUNE, timedelta(seconds=keep)))


def _count(status: str) -> int:
    return int(status.rpartition(" ")[2])
