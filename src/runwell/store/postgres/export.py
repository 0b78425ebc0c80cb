"""All that is in a database, table by table, in its own columns."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

from runwell.domain.errors import StoreUnavailable
from runwell.store.batches import Batch, Row
from runwell.store.postgres.migrations import schema_of
from runwell.store.scripts import Schema

ROWS_AT_ONCE = 200
"""How many the server sends at a time: one of them may be a whole output."""

_AT_WORK = """SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND application_name = 'runwell'"""


class DatabaseExport:
    """A database that no server is connected to and nobody writes to, for as long as this is open.

    `connection` is used for nothing else. Nothing in it is changed.
    """

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._transaction = connection.transaction(isolation="repeatable_read")

    async def open(self, tables: Sequence[str]) -> None:
        """Raises `StoreUnavailable` when servers are at work on it."""
        if found := await self._connection.fetchval(_AT_WORK):
            raise StoreUnavailable(
                f"{found} connections of servers are open to the database that is to be copied",
                "Stop them first: what they write meanwhile would be left behind.",
            )
        await self._transaction.start()
        await self._connection.execute(f"LOCK TABLE {', '.join(tables)} IN SHARE MODE")

    async def schema(self) -> Schema:
        return await schema_of(self._connection)

    async def count(self, table: str) -> int:
        return int(await self._connection.fetchval(f"SELECT count(*) FROM {table}"))

    async def batches(self, table: str, columns: Sequence[str]) -> AsyncIterator[list[Row]]:
        batch = Batch()
        sql = f"SELECT {', '.join(columns)} FROM {table}"
        async for record in self._connection.cursor(sql, prefetch=ROWS_AT_ONCE):
            if full := batch.add(tuple(record)):
                yield full
        yield batch.rest()

    async def close(self) -> None:
        if not self._connection.is_closed():
            await self._transaction.rollback()
