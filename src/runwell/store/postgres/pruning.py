"""Logs and runs that are not kept any longer, a small transaction at a time. See migration 0006 for the
words of `log_pruned`."""

from runwell.domain.instant import Instant
from runwell.ports.store import Pruned
from runwell.store.postgres.pool import Transaction

# Those that another process is at are left to it.
_GOING = """SELECT pk FROM runs WHERE finished_at IS NOT NULL AND log_pruned = 2
ORDER BY finished_at LIMIT 1 FOR UPDATE SKIP LOCKED"""
_OLD = """SELECT pk, last_seq FROM runs WHERE finished_at < $1 AND log_pruned = 0
ORDER BY finished_at LIMIT $2"""
# Under READ COMMITTED this waits for whoever has a row, then looks again: of two one finds nothing to mark.
_MARK = "UPDATE runs SET log_pruned = $2 WHERE pk = ANY($1::bigint[]) AND log_pruned = 0 RETURNING pk"
_EMPTIED = "UPDATE runs SET log_pruned = 1 WHERE pk = $1"
_LOGS = "DELETE FROM events WHERE run_pk = ANY($1::bigint[])"
# Numbers have no gaps.
_SLICE = """DELETE FROM events WHERE run_pk = $1
    AND seq < (SELECT min(seq) FROM events WHERE run_pk = $1) + $2"""

_LEAVING = """SELECT pk FROM (
    (
        SELECT pk, log_pruned, finished_at FROM runs WHERE finished_at IS NOT NULL AND log_pruned = 3
        ORDER BY finished_at LIMIT $2
    ) UNION ALL (
        SELECT pk, log_pruned, finished_at FROM runs WHERE finished_at < $1 AND log_pruned = 1
        ORDER BY finished_at LIMIT $2
    )
) AS leaving ORDER BY log_pruned DESC, finished_at LIMIT $2"""
_STEPS = """DELETE FROM steps WHERE (run_pk, digest) IN (
    SELECT run_pk, digest FROM steps WHERE run_pk = ANY($1::bigint[]) ORDER BY run_pk, digest LIMIT $2
) RETURNING run_pk"""
_RUNS = """DELETE FROM runs WHERE pk = ANY($1::bigint[])
    AND NOT EXISTS (SELECT 1 FROM steps WHERE steps.run_pk = runs.pk)"""
_HALF = "UPDATE runs SET log_pruned = 3 WHERE pk = ANY($1::bigint[]) AND log_pruned = 1"


class PruneLogs:
    """`Runs.prune_logs`, on a transaction."""

    def __init__(self, before: Instant, limit: int) -> None:
        self._before = before
        self._limit = limit

    async def __call__(self, transaction: Transaction) -> Pruned:
        begun = await transaction.one(_GOING)
        if begun is not None:
            return await self._slice(transaction, begun[0])
        old = await transaction.all(_OLD, self._before, self._limit)
        if old and old[0][1] > self._limit:
            (pk, _) = old[0]
            if not await transaction.all(_MARK, [pk], 2):
                return Pruned(0, 0)
            return await self._slice(transaction, pk)
        marked = [pk for (pk,) in await transaction.all(_MARK, self._fitting(old), 1)]
        return Pruned(len(marked), await transaction.run(_LOGS, marked))

    def _fitting(self, old: list[tuple[int, int]]) -> list[int]:
        """The first runs whose logs are no more than the limit together; never one in part."""
        fitting, events = [], 0
        for pk, last_seq in old:
            events += last_seq
            if events > self._limit:
                break
            fitting.append(pk)
        return fitting

    async def _slice(self, transaction: Transaction, pk: int) -> Pruned:
        """A part of a long log that is marked as going: nobody reads it any more."""
        events = await transaction.run(_SLICE, pk, self._limit)
        if events == self._limit:
            return Pruned(0, events)
        await transaction.run(_EMPTIED, pk)
        return Pruned(1, events)


class ForgetRuns:
    """`Runs.forget`, on a transaction."""

    def __init__(self, before: Instant, limit: int) -> None:
        self._before = before
        self._limit = limit

    async def __call__(self, transaction: Transaction) -> Pruned:
        leaving = [pk for (pk,) in await transaction.all(_LEAVING, self._before, self._limit)]
        steps = [pk for (pk,) in await transaction.all(_STEPS, leaving, self._limit)]
        runs = await transaction.run(_RUNS, leaving)
        # Of those that lost steps here, what is still there lost only some.
        await transaction.run(_HALF, list(set(steps)))
        return Pruned(runs, len(steps))
