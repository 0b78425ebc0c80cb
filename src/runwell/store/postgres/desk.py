"""Writing: what concerns one run or one thread in the order it was asked for, and telling everybody."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import TypeVar

from runwell.ports.signals import SignalKind
from runwell.store.postgres.offers import Enlist
from runwell.store.postgres.pool import Pool, Transaction, Work

T = TypeVar("T")
Publish = Callable[[SignalKind, str], None]


class Desk:
    """Where the writes of one event loop are handed in. `enlist`: see `offers`."""

    def __init__(self, pool: Pool, publish: Publish | None, enlist: Enlist | None) -> None:
        self._pool = pool
        self._publish = publish
        self.enlist = enlist
        self._turns = Turns()

    async def write(self, work: Work[T], about: str | None = None) -> T:
        """Do `work` in one transaction; durable when it returns.

        Writes `about` the same id take turns here, before they take connections: those of one process
        happen in the order they were asked for, and a crowd that wants one row does not use up the pool.
        """
        if about is None:
            return await self._pool.write(work, self._told)
        async with self._turns.turn(about):
            return await self._pool.write(work, self._told)

    def _told(self, transaction: Transaction) -> None:
        if self._publish is not None:
            for kind, run_id in transaction.signals:
                self._publish(kind, run_id)


class Turns:
    """One after the other per id, first come, first served. Nothing is kept of an id nobody waits for."""

    def __init__(self) -> None:
        self._ids: dict[str, tuple[asyncio.Lock, int]] = {}

    @contextlib.asynccontextmanager
    async def turn(self, id: str) -> AsyncIterator[None]:
        lock, wanting = self._ids.get(id) or (asyncio.Lock(), 0)
        self._ids[id] = lock, wanting + 1
        try:
            async with lock:
                yield
        finally:
            lock, wanting = self._ids[id]
            if wanting > 1:
                self._ids[id] = lock, wanting - 1
            else:
                del self._ids[id]
