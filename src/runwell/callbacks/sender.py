"""The sender: takes what is due out of the outbox and posts it, until somebody takes it.

A delivery is a row with a time. Nothing about it is remembered only here, so this process may die on
any line: what was not recorded is done again. A receiver may therefore see one delivery twice, always
under the same id and with the same body, and never misses one.
"""

import asyncio
import contextlib
import logging
import random
import re
from collections import Counter
from collections.abc import Callable, Mapping

import httpx

from runwell.callbacks.delivering import Body, Delivering
from runwell.callbacks.guard import AddressGuard
from runwell.callbacks.post import TOTAL_TIMEOUT, new_client
from runwell.domain.callback import Delivery
from runwell.domain.errors import Unavailable
from runwell.domain.instant import Instant, seconds_between
from runwell.engine.core import Core
from runwell.ports.signals import SignalKind

LOG = logging.getLogger(__name__)

AT_ONCE = 32
"""Posts under way, to all receivers together."""
PER_RECEIVER = 4
"""To one of them: a receiver that hangs holds this many places and no more."""
LONGEST_IDLE = 10.0
"""Seconds until the outbox is looked at without a signal: signals may be lost."""
GRACE = 5.0
"""Seconds that posts under way have to end in when the sender stops."""
PATIENCE = 1.0
"""Seconds between two tries of what the store did not do."""

_ORIGIN = re.compile(r"[^:/?#]+://[^/?#]*")


class Sender:
    """A service. `bodies` are the formats of callbacks, by their word; `chance` shakes the delays,
    `timeout` is the seconds a post may take; `may_post` says whether this process is to: one of all those
    on a database is. Whoever may from now on is woken.

    Belongs to the loop of the core's store and signals.
    """

    def __init__(
        self,
        core: Core,
        guard: AddressGuard,
        bodies: Mapping[str, Body],
        *,
        client: Callable[[], httpx.AsyncClient] = new_client,
        chance: Callable[[], float] = random.random,
        at_once: int = AT_ONCE,
        per_receiver: int = PER_RECEIVER,
        timeout: float = TOTAL_TIMEOUT,
        grace: float = GRACE,
        patience: float = PATIENCE,
        may_post: Callable[[], bool] = lambda: True,
    ) -> None:
        self._core = core
        self._may_post = may_post
        self._new_client = client
        self._delivering = Delivering(core, guard, bodies, chance, timeout, patience)
        self._at_once = at_once
        self._per_receiver = per_receiver
        self._grace = grace
        self._patience = patience
        self._woken = asyncio.Event()
        self._under_way: dict[str, asyncio.Task[None]] = {}
        self._receivers: Counter[str] = Counter()
        self._task: asyncio.Task[None] | None = None
        self._unlisten: Callable[[], None] | None = None

    @property
    def under_way(self) -> int:
        """How many deliveries are being posted now."""
        return len(self._under_way)

    def start(self) -> None:
        if self._task is None:
            self._delivering.open(self._new_client())
            self._unlisten = self._core.signals.listen(self._heard)
            self._task = asyncio.create_task(self._run(), name="sender")

    async def stop(self) -> None:
        """Take nothing more, and let the posts under way end, for a few seconds. What is cut off is
        posted again by the next process, under its old id. Stopping twice is stopping once."""
        task, self._task = self._task, None
        if task is None:
            return
        if self._unlisten is not None:
            self._unlisten()
        self._delivering.closing = True
        task.cancel()
        await asyncio.wait([task])
        if self._under_way:
            _, late = await asyncio.wait(self._under_way.values(), timeout=self._grace)
            for each in late:
                each.cancel()
            if late:
                await asyncio.wait(late)
        await self._delivering.close()

    def wake(self) -> None:
        """Look at the outbox now: something may have become due."""
        self._woken.set()

    def _heard(self, kind: SignalKind, run_id: str) -> None:
        if kind is SignalKind.DELIVERY_DUE:
            self._woken.set()

    async def _run(self) -> None:
        while True:
            # Cleared before the look: what becomes due during it is another look.
            self._woken.clear()
            try:
                idle = await self._idle(await self._take_due())
            except Unavailable as error:
                LOG.warning("callbacks wait for the store: %s", error)
                idle = self._patience
            except Exception:
                LOG.exception("taking deliveries failed and goes on")
                idle = self._patience
            await self._pause(idle)

    async def _take_due(self) -> Instant:
        """Begin what is due; up to which moment that was looked for."""
        deliveries, now = self._core.store.deliveries, self._core.clock.now()
        while self._may_post() and (free := self._at_once - len(self._under_way)) > 0:
            busy = frozenset(at for at, posts in self._receivers.items() if posts >= self._per_receiver)
            now = self._core.clock.now()
            found = await deliveries.due(now, free, frozenset(self._under_way), busy)
            # More of one receiver's than it may have are found again, when it has a place.
            if not [each for each in found if self._begin(each)]:
                break
        return now

    def _begin(self, delivery: Delivery) -> bool:
        receiver = _receiver(delivery.url)
        if self._receivers[receiver] >= self._per_receiver:
            return False
        self._receivers[receiver] += 1
        task = asyncio.create_task(self._delivering.deliver(delivery), name=f"deliver {delivery.id}")
        self._under_way[delivery.id] = task
        task.add_done_callback(lambda _: self._ended(delivery.id, receiver))
        return True

    def _ended(self, delivery_id: str, receiver: str) -> None:
        del self._under_way[delivery_id]
        self._receivers[receiver] -= 1
        if not self._receivers[receiver]:
            del self._receivers[receiver]
        self._woken.set()

    async def _idle(self, looked: Instant) -> float:
        """Seconds until something is due that was not yet when it was `looked` for: meanwhile it may be."""
        if not self._may_post():
            return LONGEST_IDLE
        due = await self._core.store.deliveries.next_due(looked)
        if due is None:
            return LONGEST_IDLE
        return min(max(seconds_between(self._core.clock.now(), due), 0.0), LONGEST_IDLE)

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._woken.wait()


def _receiver(url: str) -> str:
    """What counts as one receiver: scheme, host and port, as they are written but for ASCII case."""
    found = _ORIGIN.match(url)
    return (found[0] if found else url).encode().lower().decode()
