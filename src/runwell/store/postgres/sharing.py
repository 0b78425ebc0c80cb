"""The database lent to others: a queue that lives on it uses our pool and the connection of our signals."""

from collections.abc import Callable
from typing import Any

from runwell.store.postgres.pool import Pool
from runwell.store.postgres.signals import PostgresSignals


class Shared:
    """Statements of another's, each a transaction of its own. Raises `StoreUnavailable` for faults of the
    way, and what asyncpg raises for those of the statement."""

    def __init__(self, pool: Pool, signals: PostgresSignals) -> None:
        self._pool = pool
        self._signals = signals

    async def fetch(self, sql: str, *values: object) -> list[Any]:
        rows: list[Any] = await self._pool.apart(lambda connection: connection.fetch(sql, *values))
        return rows

    async def execute(self, sql: str, *values: object) -> str:
        status: str = await self._pool.apart(lambda connection: connection.execute(sql, *values))
        return status

    async def listen(self, channel: str, heard: Callable[[str], None]) -> None:
        """Call `heard` with every payload, for as long as there are signals; what is sent while their
        connection is down is lost."""
        await self._signals.hear(channel, heard)
