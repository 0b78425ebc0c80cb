"""Saying that this process is alive, and noticing when nobody can hear it.

Whoever is not heard for the whole lapse counts as gone, and its runs go on elsewhere. So a process that
could not say anything for two thirds of it stops its attempts by itself: an agent that nobody can hear
must not go on spending while another does its work again.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable

from runwell.domain.errors import Unavailable
from runwell.domain.worker import Heartbeat
from runwell.ports.store import Store

LOG = logging.getLogger(__name__)

BEATS = 3
"""Heartbeats in one lapse."""


class Beating:
    """A service. `describe()` is the row as it is now; `before` runs ahead of each beat (it may set the
    clock); `fence()` stops what this process does to runs, `unfence()` lets it begin again.

    Belongs to the loop of the store.
    """

    def __init__(
        self,
        store: Store,
        describe: Callable[[], Heartbeat],
        lapse: float,
        *,
        before: Callable[[], Awaitable[None]] | None = None,
        fence: Callable[[], None] = lambda: None,
        unfence: Callable[[], None] = lambda: None,
    ) -> None:
        self._store = store
        self._describe = describe
        self._lapse = lapse
        self._before = before
        self._fence = fence
        self._unfence = unfence
        self._heard_at = 0.0
        self._fenced = False
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def heard(self) -> bool:
        """Whether the others still take this process for alive. True to the moment, from any thread, also
        when all of it has stood still: then the watch comes too late for who goes on at once."""
        return time.monotonic() - self._heard_at <= self._lapse * 2 / 3

    async def start(self) -> None:
        """Returns when the first beat is written. Raises `Unavailable`."""
        await self._beat()
        self._heard_at = asyncio.get_running_loop().time()
        self._tasks = [
            asyncio.create_task(self._run(), name="heartbeat"),
            asyncio.create_task(self._watch(), name="self-fence"),
        ]

    async def stop(self) -> None:
        """Stop, and say goodbye if anybody hears it."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        if tasks:
            try:
                async with asyncio.timeout(self._lapse / BEATS):
                    await self._store.workers.remove(self._describe().name)
            except (Unavailable, TimeoutError) as error:
                LOG.warning("the goodbye of this process was not heard: %s", error or "no answer")

    async def _beat(self) -> None:
        if self._before is not None:
            await self._before()
        await self._store.workers.beat(self._describe())

    async def _run(self) -> None:
        loop, every = asyncio.get_running_loop(), self._lapse / BEATS
        while True:
            began = loop.time()
            try:
                async with asyncio.timeout(every):
                    await self._beat()
            except (Unavailable, TimeoutError) as error:
                LOG.warning("the heartbeat of this process is not heard: %s", error or "no answer")
            except Exception:
                LOG.exception("the heartbeat failed and goes on")
            else:
                # From before it was sent: that is what the others go by.
                self._heard_at = began
                if self._fenced:
                    self._fenced = False
                    LOG.warning("this process is heard again and takes runs")
                    self._unfence()
            await asyncio.sleep(max(began + every - loop.time(), every / 10))

    async def _watch(self) -> None:
        """Apart from the beats, which may hang."""
        loop, limit = asyncio.get_running_loop(), self._lapse * 2 / 3
        while True:
            silent = loop.time() - self._heard_at
            if silent > limit and not self._fenced:
                self._fenced = True
                LOG.error(
                    "nobody has heard this process for %.1f s: it stops its attempts before others take them",
                    silent,
                )
                self._fence()
            await asyncio.sleep(min(max(limit - silent, 0.05), limit / 10))
