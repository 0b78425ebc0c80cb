"""`ports.store.Events` on PostgreSQL."""

from runwell.domain.errors import LogPruned
from runwell.domain.events import LoggedEvent
from runwell.store.postgres.pool import Pool
from runwell.store.postgres.rows import EVENT_TYPES_BY_KIND, MAX_SEQ

# One look, so that the log is one moment's. A run without such events is one row of nothing.
_READ = """SELECT runs.created_at, runs.log_pruned, line.seq, line.kind, line.at, line.data
FROM runs LEFT JOIN LATERAL (
    SELECT seq, kind, at, data FROM events WHERE events.run_pk = runs.pk AND seq > $2 ORDER BY seq LIMIT $3
) AS line ON true
WHERE runs.id = $1 ORDER BY line.seq"""


class PostgresEvents:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def read(self, run_id: str, after: int, limit: int) -> list[LoggedEvent]:
        cursor = min(max(after, 0), MAX_SEQ)
        rows = await self._pool.all(_READ, bytes.fromhex(run_id), cursor, limit)
        if rows and rows[0][1]:
            raise LogPruned(run_id)
        return [
            LoggedEvent(seq, created_at + at, EVENT_TYPES_BY_KIND[kind], data)
            for created_at, _, seq, kind, at, data in rows
            if seq is not None
        ]
