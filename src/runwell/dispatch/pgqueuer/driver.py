"""How PgQueuer reaches the database: over the store's pool, and the connection of its signals."""

import asyncio
from collections.abc import Callable
from typing import Any, Protocol, Self

from asyncpg import DeadlockDetectedError
from pgqueuer.core.tm import TaskManager
from pgqueuer.domain.models import TableChangedEvent, utc_now
from pgqueuer.ports.driver import Driver, NotifyCallback

from runwell.dispatch.pgqueuer.names import CHANNEL, TABLE
from runwell.domain.errors import Unavailable

_CHANGED = TableChangedEvent(
    channel=CHANNEL, sent_at=utc_now(), type="table_changed_event", operation="insert", table=TABLE
).model_dump_json()


_HEADERS = "headers"
"""What our jobs do not have. PgQueuer reads it in all that it has picked, and could not go on with any if one
of them were damaged: they would be picked together again and again."""

_LOOK = '"table_changed_event"'
"""In a payload that says no more than that the table is to be looked at."""


class Connections(Protocol):
    """The store's connections. Faults of the way raise `Unavailable`."""

    async def fetch(self, sql: str, *values: object) -> list[Any]: ...

    async def execute(self, sql: str, *values: object) -> str: ...

    async def listen(self, channel: str, heard: Callable[[str], None]) -> None: ...


class StoreDriver(Driver):
    """PgQueuer's port to a database, on `Connections`, which come back by themselves."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._shutdown = asyncio.Event()
        self._tasks = TaskManager()
        self._heard: NotifyCallback | None = None
        self._told = False

    async def fetch(self, query: str, *args: object) -> list[dict[str, object]]:
        try:
            rows = await self._connections.fetch(query, *args)
        except Unavailable as error:
            # Two processes that take jobs of several agents with limits: PgQueuer knows what to do.
            if isinstance(error.__cause__, DeadlockDetectedError):
                raise error.__cause__ from error
            raise
        return [{**row, _HEADERS: None} if _HEADERS in row else dict(row) for row in rows]

    async def execute(self, query: str, *args: object) -> str:
        return await self._connections.execute(query, *args)

    async def notify(self, channel: str, payload: str) -> None:
        await self._connections.execute("SELECT pg_notify($1, $2)", channel, payload)

    async def add_listener(self, channel: str, callback: NotifyCallback) -> None:
        first, self._heard = self._heard is None, callback
        if first:
            await self._connections.listen(channel, self._pass_on)

    def poke(self) -> None:
        """Let PgQueuer look at its table, as a notification would."""
        self._pass_on(_CHANGED)

    def looked(self) -> None:
        """A look begins: what is said from now on asks for another one."""
        self._told = False

    def _pass_on(self, payload: str) -> None:
        if self._heard is None:
            return
        if _LOOK in payload:
            # PgQueuer keeps all that it is told, and looks once for each: where others change the table
            # faster than that, they would become more and more.
            if self._told:
                return
            self._told = True
        self._heard(payload)

    @property
    def shutdown(self) -> asyncio.Event:
        return self._shutdown

    @property
    def tm(self) -> TaskManager:
        return self._tasks

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """The connections are the store's to close."""
