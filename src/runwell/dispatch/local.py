"""The dispatcher of one process: ask the store what may start, and start it.

It remembers nothing that matters. Which runs are queued, in which order, and what holds them back
is the store's knowledge, so a restart needs no rebuilding and a lost wake-up costs a second.
"""

import asyncio
import contextlib
import functools
import logging

from runwell.domain.errors import Unavailable
from runwell.domain.instant import seconds_between
from runwell.ports.clock import Clock
from runwell.ports.dispatcher import Execute, Takes
from runwell.ports.store import Store

LOG = logging.getLogger(__name__)

LONGEST_SLEEP = 1.0
"""Seconds between two looks when nobody calls: the floor under lost wake-ups and clock changes.

As long does a run rest that could not be claimed.
"""
CROWD_PAUSE = 0.05
"""Seconds to the next look when as many runs rest as there are places: the store must be away."""


class LocalDispatcher:
    """Keeps up to `places` executions going. Belongs to the loop it was started on."""

    def __init__(self, store: Store, clock: Clock, places: int) -> None:
        self._store = store
        self._clock = clock
        self._places = places
        self._awake = asyncio.Event()
        self._trying: dict[str, asyncio.Task[bool]] = {}
        self._resting: dict[str, asyncio.TimerHandle] = {}
        self._loop_task: asyncio.Task[None] | None = None

    async def start(self, execute: Execute, takes: Takes) -> None:
        self._loop_task = asyncio.create_task(self._run(execute, takes), name="dispatcher")

    def wake(self) -> None:
        self._awake.set()

    async def stop(self) -> None:
        if self._loop_task is not None:
            self._loop_task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._loop_task
            self._loop_task = None
        for timer in self._resting.values():
            timer.cancel()
        self._resting.clear()

    async def close(self) -> None:
        """Nothing is left: what is queued is the store's knowledge."""

    @property
    def trying(self) -> int:
        """How many executions are going on."""
        return len(self._trying)

    async def _run(self, execute: Execute, takes: Takes) -> None:
        while True:
            # Cleared before the look: what becomes claimable during it wakes the next one.
            self._awake.clear()
            try:
                sleep = await self._look(execute, takes)
            except Unavailable as error:
                LOG.warning("cannot look for queued runs: %s", error)
                sleep = LONGEST_SLEEP
            except Exception:
                # A defect of ours in one look must not leave every later run queued for ever.
                LOG.exception("looking for queued runs failed")
                sleep = LONGEST_SLEEP
            # Not wait_for, which in Python 3.11 loses a cancel that comes together with the wake-up.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(sleep):
                    await self._awake.wait()

    async def _look(self, execute: Execute, takes: Takes) -> float:
        """Start what may start; how long to sleep, in seconds, if nobody calls."""
        free = self._places - len(self._trying)
        if free <= 0:
            return LONGEST_SLEEP  # the end of an execution wakes us
        now, places = self._clock.now(), takes()
        exclude = frozenset((*self._trying, *self._resting))
        found = await self._store.runs.claimable(
            now, agents=places.free, full=places.full, limit=free, exclude=exclude
        )
        for run_id in found:
            task = asyncio.create_task(execute(run_id, None), name=f"run_{run_id}")
            self._trying[run_id] = task
            task.add_done_callback(functools.partial(self._ended, run_id))
        due = await self._store.runs.next_due(now)
        return LONGEST_SLEEP if due is None else min(max(seconds_between(now, due), 0.001), LONGEST_SLEEP)

    def _ended(self, run_id: str, task: "asyncio.Task[bool]") -> None:
        self._trying.pop(run_id, None)
        if task.cancelled() or task.exception() is not None or task.result():
            self._awake.set()
            return
        # Offered again at once it would fail again at once: a look, a claim and a log line, for ever.
        loop = task.get_loop()
        self._resting[run_id] = loop.call_later(LONGEST_SLEEP, self._rested, run_id)
        if len(self._resting) < self._places:
            self._awake.set()
        else:
            loop.call_later(CROWD_PAUSE, self._awake.set)

    def _rested(self, run_id: str) -> None:
        self._resting.pop(run_id, None)
        self._awake.set()
