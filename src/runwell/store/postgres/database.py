"""One PostgreSQL database, opened: its schema, its connections, and the stores made on it."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from runwell.store.postgres.clock import DatabaseClock
from runwell.store.postgres.connections import Location, connect
from runwell.store.postgres.desk import Desk, Publish
from runwell.store.postgres.failures import is_failure, unavailable
from runwell.store.postgres.migrations import MIGRATING, migrate, postgres_migrations, require
from runwell.store.postgres.offers import Enlist
from runwell.store.postgres.pool import Pool
from runwell.store.postgres.sharing import Shared
from runwell.store.postgres.signals import PostgresSignals
from runwell.store.postgres.store import PostgresStore

T = TypeVar("T")

CONNECTIONS = 10


class Database:
    """Made by `open`, for the running event loop, and belongs to it."""

    def __init__(self, location: Location, pool: Pool) -> None:
        self._location = location
        self._pool = pool

    @classmethod
    async def open(
        cls, url: str, *, connections: int = CONNECTIONS, idle_limit: float = 5.0, migrates: bool = True
    ) -> "Database":
        """Bring the schema up to date, or see that it is, and get ready; connections are opened when they
        are needed.

        `url` is a `postgresql://` address. `connections` bounds how many this process holds at once,
        beside the one of its signals. `idle_limit` (seconds): the server undoes a transaction in which
        this process stands still for longer. Raises `StoreUnavailable`.
        """
        location = Location(url, connections, idle_limit)
        try:
            connection = await connect(location, MIGRATING)
            try:
                await (migrate if migrates else require)(connection, postgres_migrations())
            finally:
                await connection.close(timeout=5.0)
            pool = Pool(location)
            await pool.open()
        except Exception as error:
            if is_failure(error) or isinstance(error, ValueError):
                raise unavailable(error) from error
            raise
        return cls(location, pool)

    def store(self, publish: Publish | None = None, enlist: Enlist | None = None) -> PostgresStore:
        """A store on this loop.

        `publish` is called after each commit of this store: CHANGED for the run; QUEUED when it became
        queued, or when it left a place in its thread or its concurrency key; CANCEL_REQUESTED. Other
        processes hear of it when it is that of `signals`. `enlist`: see `offers`.
        """
        return PostgresStore(self._pool, Desk(self._pool, publish, enlist))

    def signals(self) -> PostgresSignals:
        """The signals of this process; to be started and closed."""
        return PostgresSignals(self._location)

    async def apart(self, work: Callable[[Any], Awaitable[T]]) -> T:
        """Do `work` on a connection of its own, which is closed afterwards. Raises `StoreUnavailable`."""
        try:
            connection = await connect(self._location)
            try:
                return await work(connection)
            finally:
                await connection.close(timeout=5.0)
        except Exception as error:
            if is_failure(error):
                raise unavailable(error) from error
            raise

    def clock(self) -> DatabaseClock:
        """The database's time; to be measured before it is read."""
        return DatabaseClock(self._pool)

    def shared(self, signals: PostgresSignals) -> Shared:
        """The pool and the connection of these signals, for a queue on the same database."""
        return Shared(self._pool, signals)

    async def close(self) -> None:
        """Wait for what is being written, then let go of all connections."""
        await self._pool.close()
