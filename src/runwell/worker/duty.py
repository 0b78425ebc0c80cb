"""What one process of a fleet does at a time: whoever holds the lease, for as long as it renews it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from runwell.domain.errors import Unavailable
from runwell.domain.instant import after
from runwell.ports.clock import Clock
from runwell.ports.store import Store
from runwell.worker.service import Service

LOG = logging.getLogger(__name__)

RENEWALS = 3
"""How often a lease is renewed while it lasts."""


class Duty:
    """`mine` is True while this process holds the duty. `taken` is called when it becomes so."""

    def __init__(
        self,
        name: str,
        holder: str,
        store: Store,
        clock: Clock,
        lapse: float,
        taken: Callable[[], None] = lambda: None,
    ) -> None:
        self.name = name
        self._holder = holder
        self._store = store
        self._clock = clock
        self._lapse = lapse
        self._until = 0.0
        self.taken = taken
        self._service = Service(f"duty {name}", self.renew, every=lapse / RENEWALS)

    @property
    def mine(self) -> bool:
        # On the loop's own clock and counted from before it was asked for: a process that was stopped for
        # a while finds that it has lost it, without asking anybody.
        return asyncio.get_running_loop().time() < self._until

    def start(self) -> None:
        self._service.start()

    async def stop(self) -> None:
        """Give it back, so that another takes it at its next turn."""
        await self._service.stop()
        if self.mine:
            self._until = 0.0
            try:
                await self._store.leases.release(self.name, self._holder)
            except Unavailable as error:
                LOG.warning("the duty %s runs out by itself: %s", self.name, error)

    async def renew(self) -> None:
        """Take it, or keep it. Raises `Unavailable`."""
        asked, had = asyncio.get_running_loop().time(), self.mine
        now = self._clock.now()
        held = await self._store.leases.take(self.name, self._holder, now, after(now, self._lapse))
        self._until = asked + self._lapse if held else 0.0
        if self.mine and not had:
            LOG.debug("%s is this process's duty now", self.name)
            self.taken()

    def when_mine(self, work: Callable[[], Awaitable[object]]) -> Callable[[], Awaitable[None]]:
        """`work`, done only while the duty is this process's."""

        async def do() -> None:
            if self.mine:
                await work()

        return do
