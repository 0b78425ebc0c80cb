"""The dispatcher of one process: ask the store what may start, and start it.

It remembers nothing that matters. Which runs are queued, in which order, and what holds them back
is the store's knowledge, so a restart needs no rebuilding and a lost wake-up costs a second.
"""

import asyncio
import contextlib
import logging

from runwell.domain.errors import Unavailable
from runwell.domain.instant import seconds_between
from runwell.ports.clock import Clock
from runwell.ports.dispatcher import Execute, Takes
from runwell.ports.store import Store

LOG = logging.getLogger(__name__)

LONGEST_SLEEP = 1.0
"""Seconds between two looks when nobody calls: the floor under lost wake-ups and clock changes."""


class LocalDispatcher:
    """Keeps up to `places` executions going. Belongs to the loop it was started on."""

    def __init__(self, store: Store, clock: Clock, places: int) -> None:
        self._store = store
        self._clock = clock
        self._places = places
        self._awake = asyncio.Event()
        self._trying: dict[str, asyncio.Task[None]] = {}
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
        now = self._clock.now()
        found = await self._store.runs.claimable(
            now, agents=takes(), limit=free, exclude=frozenset(self._trying)
        )
        for run_id in found:
            task = asyncio.create_task(execute(run_id), name=f"run_{run_id}")
            self._trying[run_id] = task
            task.add_done_callback(lambda _, run_id=run_id: self._ended(run_id))  # type: ignore[misc]
        due = await self._store.runs.next_due(now)
        return LONGEST_SLEEP if due is None else min(max(seconds_between(now, due), 0.001), LONGEST_SLEEP)

    def _ended(self, run_id: str) -> None:
        self._trying.pop(run_id, None)
        self._awake.set()
