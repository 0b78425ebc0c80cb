"""Moments made to last: commits that wait, and a loop given turns until something holds."""

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

from runwell.domain.run import Run
from runwell.wiring import Machine
from tests.support.machines import LONG


class Held:
    """Commits of one command that wait, once they are durable, until `gate` opens."""

    def __init__(self, machine: Machine, command: str) -> None:
        self.reached, self.gate = threading.Event(), threading.Event()
        self._command = command
        self._commit = machine.store.runs.commit
        machine.store.runs.commit = self.commit  # type: ignore[method-assign]

    async def commit(self, change: Any, now: int, **more: Any) -> Run:
        done = await self._commit(change, now, **more)
        if change.command == self._command:
            self.reached.set()
            await asyncio.to_thread(self.gate.wait, LONG)
        return done


async def turns_until(true: Callable[[], Any]) -> None:
    """Give the loop turns until `true()`."""
    began = time.monotonic()
    while not true():
        assert time.monotonic() - began < LONG, "it does not come"
        await asyncio.sleep(0)
