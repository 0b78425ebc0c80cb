"""`ports.store.Documents` on PostgreSQL."""

from runwell.domain.instant import Instant
from runwell.domain.json_gate import Json
from runwell.store.postgres.desk import Desk
from runwell.store.postgres.pool import Pool

_PUT = """INSERT INTO documents (owner, space, id, updated_at, value) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (owner, space, id) DO UPDATE SET updated_at = excluded.updated_at, value = excluded.value"""
_GET = "SELECT value FROM documents WHERE owner = $1 AND space = $2 AND id = $3"
_DELETE = "DELETE FROM documents WHERE owner = $1 AND space = $2 AND id = $3"
_PAGE = """SELECT id, value FROM documents
WHERE owner = $1 AND space = $2 AND ($3::text IS NULL OR id < $3) ORDER BY id DESC LIMIT $4"""


class PostgresDocuments:
    def __init__(self, pool: Pool, desk: Desk) -> None:
        self._pool = pool
        self._desk = desk

    async def put(self, owner: str, space: str, id: str, value: Json, now: Instant) -> None:
        values = (owner, space, id, now, bytes(value))
        await self._desk.write(lambda transaction: transaction.run(_PUT, *values))

    async def get(self, owner: str, space: str, id: str) -> Json | None:
        row = await self._pool.one(_GET, owner, space, id)
        return None if row is None else Json(row[0])

    async def delete(self, owner: str, space: str, id: str) -> bool:
        return await self._desk.write(lambda transaction: transaction.run(_DELETE, owner, space, id)) > 0

    async def page(
        self, owner: str, space: str, *, before: str | None = None, limit: int
    ) -> list[tuple[str, Json]]:
        rows = await self._pool.all(_PAGE, owner, space, before, limit)
        return [(id, Json(value)) for id, value in rows]
