"""A service: something small that is done again and again until it is stopped."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

from runwell.domain.errors import Unavailable

LOG = logging.getLogger(__name__)


class Service:
    """Calls `work` every `every` seconds. An error is logged and the next turn comes all the same."""

    def __init__(self, name: str, work: Callable[[], Awaitable[object]], every: float) -> None:
        self.name = name
        self._work = work
        self._every = every
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=self.name)

    async def stop(self) -> None:
        """Returns when the service has ended; stopping twice is stopping once."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _run(self) -> None:
        while True:
            try:
                await self._work()
            except Unavailable as error:
                LOG.warning("%s waits for the store: %s", self.name, error)
            except Exception:
                LOG.exception("%s failed and goes on", self.name)
            await asyncio.sleep(self._every)
