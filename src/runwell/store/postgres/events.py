"""`ports.store.Events` on PostgreSQL."""

from typing import NamedTuple

from runwell.domain.errors import LogPruned
from runwell.domain.events import LoggedEvent
from runwell.store.postgres.gathering import Gathering
from runwell.store.postgres.pool import Pool
from runwell.store.postgres.rows import EVENT_TYPES_BY_KIND, MAX_SEQ, Row
from runwell.store.rows import EVENT_KINDS

# One look, so that each log is one moment's. A run without such events is one row of nothing.
_READ = """SELECT 1::bigint, runs.created_at, runs.log_pruned, line.seq, line.kind, line.at, line.data
FROM runs LEFT JOIN LATERAL (
    SELECT seq, kind, at, data FROM events WHERE events.run_pk = runs.pk AND seq > $2 ORDER BY seq LIMIT $3
) AS line ON true
WHERE runs.id = $1 ORDER BY line.seq"""
# Run by run: a plan that was made while there were few would read all of them.
_READ_MANY = """SELECT asked.place, run.created_at, run.log_pruned, line.seq, line.kind, line.at, line.data
FROM unnest($1::bytea[], $2::int[], $3::int[]) WITH ORDINALITY AS asked (id, after, most, place)
CROSS JOIN LATERAL (SELECT pk, created_at, log_pruned FROM runs WHERE runs.id = asked.id LIMIT 1) AS run
LEFT JOIN LATERAL (
    SELECT seq, kind, at, data FROM events
    WHERE events.run_pk = run.pk AND seq > asked.after ORDER BY seq LIMIT asked.most
) AS line ON true
ORDER BY asked.place, line.seq"""
_NEWEST = """SELECT runs.created_at, runs.log_pruned, line.seq, line.kind, line.at, line.data
FROM runs LEFT JOIN LATERAL (
    SELECT seq, kind, at, data FROM events
    WHERE events.run_pk = runs.pk AND kind = ANY($2::smallint[]) ORDER BY seq DESC LIMIT $3
) AS line ON true
WHERE runs.id = $1 ORDER BY line.seq DESC"""

AT_ONCE = 32
"""Logs read by one statement."""


class _Part(NamedTuple):
    run_id: bytes
    after: int
    limit: int


class PostgresEvents:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._parts: Gathering[_Part, list[Row]] = Gathering(self._read, AT_ONCE)

    async def read(self, run_id: str, after: int, limit: int) -> list[LoggedEvent]:
        cursor = min(max(after, 0), MAX_SEQ)
        rows = await self._parts.get(_Part(bytes.fromhex(run_id), cursor, min(limit, MAX_SEQ))) or []
        if rows and rows[0][2]:
            raise LogPruned(run_id)
        return [
            LoggedEvent(seq, created_at + at, EVENT_TYPES_BY_KIND[kind], data)
            for _, created_at, _, seq, kind, at, data in rows
            if seq is not None
        ]

    async def newest(self, run_id: str, types: frozenset[str], limit: int) -> list[LoggedEvent]:
        kinds = [EVENT_KINDS[type] for type in types]
        rows = await self._pool.all(_NEWEST, bytes.fromhex(run_id), kinds, limit)
        if rows and rows[0][1]:
            raise LogPruned(run_id)
        return [
            LoggedEvent(seq, created_at + at, EVENT_TYPES_BY_KIND[kind], data)
            for created_at, _, seq, kind, at, data in rows
            if seq is not None
        ]

    async def _read(self, parts: list[_Part]) -> dict[_Part, list[Row]]:
        if len(parts) == 1:
            rows = await self._pool.all(_READ, *parts[0])
        else:
            columns = [list(column) for column in zip(*parts, strict=True)]
            rows = await self._pool.all(_READ_MANY, *columns)
        found: dict[_Part, list[Row]] = {}
        for row in rows:
            found.setdefault(parts[row[0] - 1], []).append(row)
        return found
