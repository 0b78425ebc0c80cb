"""`ports.store.Documents` on SQLite."""

from runwell.domain.instant import Instant
from runwell.domain.json_gate import Json
from runwell.store.sqlite.reader import Reader
from runwell.store.sqlite.transaction import Job, Transaction
from runwell.store.sqlite.writer import Desk

_PUT = """INSERT INTO documents (owner, space, id, updated_at, value) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (owner, space, id) DO UPDATE SET updated_at = excluded.updated_at, value = excluded.value"""
_GET = "SELECT value FROM documents WHERE owner = ? AND space = ? AND id = ?"
_DELETE = "DELETE FROM documents WHERE owner = ? AND space = ? AND id = ?"
_PAGE = """SELECT id, value FROM documents
WHERE owner = ?1 AND space = ?2 AND (?3 IS NULL OR id < ?3) ORDER BY id DESC LIMIT ?4"""


class SqliteDocuments:
    def __init__(self, reader: Reader, desk: Desk) -> None:
        self._reader = reader
        self._desk = desk

    async def put(self, owner: str, space: str, id: str, value: Json, now: Instant) -> None:
        await self._desk.write(PutDocument(owner, space, id, value, now))

    async def get(self, owner: str, space: str, id: str) -> Json | None:
        row = self._reader.one(_GET, (owner, space, id))
        return None if row is None else Json(row[0])

    async def delete(self, owner: str, space: str, id: str) -> bool:
        return await self._desk.write(DeleteDocument(owner, space, id))

    async def page(
        self, owner: str, space: str, *, before: str | None = None, limit: int
    ) -> list[tuple[str, Json]]:
        rows = self._reader.all(_PAGE, (owner, space, before, limit))
        return [(id, Json(value)) for id, value in rows]


class PutDocument(Job[None]):
    def __init__(self, owner: str, space: str, id: str, value: Json, now: Instant) -> None:
        self._values = (owner, space, id, now, bytes(value))
        self.size = 256 + len(bytes(value))

    def run(self, transaction: Transaction) -> None:
        transaction.run(_PUT, self._values)


class DeleteDocument(Job[bool]):
    def __init__(self, owner: str, space: str, id: str) -> None:
        self._values = (owner, space, id)

    def run(self, transaction: Transaction) -> bool:
        return transaction.run(_DELETE, self._values) > 0
