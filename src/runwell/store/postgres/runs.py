"""`ports.store.Runs` on PostgreSQL."""

import logging
from collections.abc import Collection
from functools import partial

import msgspec

from runwell.domain.errors import RunNotFinal, RunNotFound
from runwell.domain.instant import Instant
from runwell.domain.lifecycle import FINAL, Change
from runwell.domain.run import Run
from runwell.domain.thread import IfBusy
from runwell.ports.signals import SignalKind
from runwell.ports.store import Added, Idempotency, NewMessage, Pruned, QueueDepth, RunFilter
from runwell.store.postgres import queue, searching
from runwell.store.postgres.adding import AddRun, find_earlier
from runwell.store.postgres.committing import CommitChange
from runwell.store.postgres.desk import Desk
from runwell.store.postgres.gathering import Gathering
from runwell.store.postgres.paging import count_query
from runwell.store.postgres.pool import Pool, Transaction
from runwell.store.postgres.pruning import ForgetRuns, PruneLogs
from runwell.store.postgres.rows import BRIEF_FIELDS, RUN_FIELDS, Row, brief_of, run_of

LOG = logging.getLogger(__name__)

_GET_OWNED = f"SELECT 1::bigint, {RUN_FIELDS} FROM runs WHERE id = $1 AND ($2::text IS NULL OR owner = $2)"
# One after the other, by their index: a plan that was made while there were few runs would read all of them.
_GET_MANY = f"""SELECT asked.place, found.*
FROM unnest($1::bytea[], $2::text[]) WITH ORDINALITY AS asked (id, owner, place)
CROSS JOIN LATERAL (
    SELECT {RUN_FIELDS} FROM runs
    WHERE runs.id = asked.id AND (asked.owner IS NULL OR runs.owner = asked.owner) LIMIT 1
) AS found"""
_AT_ONCE = 128
"""Runs read by one statement."""
_COUNTED_AT_ONCE = 16
"""Positions counted by one statement: each may be a walk over a thousand runs."""
_EXPIRED = f"""SELECT {RUN_FIELDS} FROM runs
WHERE status IN ('queued', 'waiting') AND expires_at IS NOT NULL AND expires_at <= $1
ORDER BY expires_at, pk LIMIT $2"""
_HELD = f"SELECT {RUN_FIELDS} FROM runs WHERE status = 'running' ORDER BY pk"
_HELD_BY = f"SELECT {RUN_FIELDS} FROM runs WHERE status = 'running' AND worker = ANY($1::text[]) ORDER BY pk"
_EVERY = f"SELECT {RUN_FIELDS} FROM runs WHERE id > $1 ORDER BY id LIMIT $2"
_OWNERS = "SELECT id, owner FROM runs WHERE id = ANY($1::bytea[])"
_FORGET = """DELETE FROM idempotency WHERE (owner, scope, key) IN (
    SELECT owner, scope, key FROM idempotency WHERE created_at < $1
    ORDER BY created_at, owner, scope, key LIMIT $2
)"""
_LOCK = "SELECT pk, status FROM runs WHERE id = $1 AND owner = $2 FOR UPDATE"


class PostgresRuns:
    def __init__(self, pool: Pool, desk: Desk) -> None:
        self._pool = pool
        self._desk = desk
        self._illegible: set[str] = set()  # said once, not every half second
        self._positions: Gathering[bytes, int] = Gathering(partial(queue.positions, pool), _COUNTED_AT_ONCE)
        self._rows: Gathering[tuple[bytes, str | None], Row] = Gathering(self._get, _AT_ONCE)

    async def add(
        self,
        change: Change,
        now: Instant,
        *,
        if_busy: IfBusy = IfBusy.QUEUE,
        message: NewMessage | None = None,
        idempotency: Idempotency | None = None,
        ending: Change | None = None,
    ) -> Added:
        enlist = self._desk.enlist
        end = CommitChange(ending, now, None, enlist) if ending is not None else None
        work = AddRun(change, now, if_busy, message, idempotency, end, enlist)
        return await self._desk.add(work, change.run.thread_id)

    async def get(self, run_id: str, owner: str | None = None) -> Run:
        row = await self._rows.get((bytes.fromhex(run_id), owner))
        if row is None:
            raise RunNotFound(run_id)
        _, *fields = row
        return run_of(fields)

    async def _get(self, keys: list[tuple[bytes, str | None]]) -> dict[tuple[bytes, str | None], Row]:
        if len(keys) == 1:
            rows = await self._pool.all(_GET_OWNED, *keys[0])
        else:
            ids, owners = zip(*keys, strict=True)
            rows = await self._pool.all(_GET_MANY, list(ids), list(owners))
        return {keys[row[0] - 1]: row for row in rows}

    async def page(
        self,
        owner: str | None,
        where: RunFilter,
        *,
        before: str | None,
        after: str | None,
        limit: int,
        offset: int = 0,
        brief: bool = False,
    ) -> list[Run]:
        fields, read = (BRIEF_FIELDS, brief_of) if brief else (RUN_FIELDS, run_of)
        rows = await searching.page(self._pool, owner, where, before, after, limit, offset, fields)
        return [read(row) for row in rows]

    async def count(self, owner: str, where: RunFilter) -> int:
        sql, values = count_query(owner, where)
        (count,) = await self._pool.one(sql, *values) or (0,)
        return int(count)

    async def owners(self, run_ids: Collection[str]) -> dict[str, str]:
        rows = await self._pool.all(_OWNERS, [bytes.fromhex(id) for id in run_ids])
        return {id.hex(): owner for id, owner in rows}

    async def commit(self, change: Change, now: Instant, *, message: NewMessage | None = None) -> Run:
        if not change.events and not change.visible:
            return await self.get(change.run.id)
        work = CommitChange(change, now, message, self._desk.enlist)
        return await self._desk.commit(work, change.run.id)

    async def delete(self, run_id: str, owner: str) -> None:
        """Its idempotency key stays until it is forgotten, and is free meanwhile."""

        async def work(transaction: Transaction) -> None:
            row = await transaction.one(_LOCK, bytes.fromhex(run_id), owner)
            if row is None:
                raise RunNotFound(run_id)
            pk, status = row
            if status not in FINAL:
                raise RunNotFinal(run_id, status, "deleted")
            await transaction.run("DELETE FROM events WHERE run_pk = $1", pk)
            await transaction.run("DELETE FROM steps WHERE run_pk = $1", pk)
            await transaction.run("DELETE FROM runs WHERE pk = $1", pk)
            transaction.tell((SignalKind.CHANGED, run_id))

        await self._desk.write(work, run_id)

    async def claimable(
        self,
        now: Instant,
        *,
        agents: frozenset[str],
        limit: int,
        exclude: frozenset[str],
        full: frozenset[str] = frozenset(),
    ) -> list[str]:
        return await queue.claimable(self._pool, now, agents, full, limit, exclude)

    async def next_due(self, now: Instant) -> Instant | None:
        return await queue.next_due(self._pool, now)

    async def expired(self, now: Instant, limit: int) -> list[Run]:
        return self._legible(await self._pool.all(_EXPIRED, now, limit))

    async def held(self, workers: frozenset[str] | None = None) -> list[Run]:
        # Few: no more than there are places on workers.
        if workers is None:
            return self._legible(await self._pool.all(_HELD))
        return self._legible(await self._pool.all(_HELD_BY, list(workers)))

    async def every(self, after: str | None, limit: int) -> list[Run]:
        cursor = bytes.fromhex(after) if after is not None else b""
        while rows := await self._pool.all(_EVERY, cursor, limit):
            if runs := self._legible(rows):
                return runs
            cursor = rows[-1][0]  # an empty page would be the end
        return []

    async def position(self, run: Run) -> int | None:
        return await self._positions.get(bytes.fromhex(run.id))

    async def queued(self, owner: str | None, at_most: int) -> int:
        return await queue.queued(self._pool, owner, at_most)

    async def earlier(self, owner: str, idempotency: Idempotency) -> Run | None:
        run_id = await find_earlier(self._pool, owner, idempotency)
        if run_id is None:
            return None
        try:
            return await self.get(run_id, owner)
        except RunNotFound:
            return None  # deleted between the two reads, which frees the key

    async def depths(self) -> list[QueueDepth]:
        return await queue.depths(self._pool)

    async def forget_idempotency(self, before: Instant, limit: int) -> int:
        return await self._desk.write(lambda transaction: transaction.run(_FORGET, before, limit))

    async def prune_logs(self, before: Instant, limit: int) -> Pruned:
        return await self._desk.write(PruneLogs(before, limit))

    async def forget(self, before: Instant, limit: int) -> Pruned:
        return await self._desk.write(ForgetRuns(before, limit))

    def _legible(self, rows: list[Row]) -> list[Run]:
        """The runs behind rows of all owners, but for rows that cannot be read.

        One damaged row must not keep a server from starting, nor from looking after all others.
        """
        runs = []
        for row in rows:
            try:
                runs.append(run_of(row))
            except (msgspec.MsgspecError, ValueError, KeyError) as error:
                run_id = row[0].hex()
                if run_id not in self._illegible:
                    self._illegible.add(run_id)
                    LOG.error("run_%s cannot be read and is passed over: %s", run_id, error)
        return runs
