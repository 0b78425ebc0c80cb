"""Waiting until nobody else uses the machine: two cores are just enough for a server and its load."""

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path

QUIET = 0.12
"""Share of all cores that others may use."""
LOOK = 0.4
"""Seconds."""
_TICKS = os.sysconf("SC_CLK_TCK")


class Quiet:
    """`await quiet()` before a round: it returns when the machine is idle, or patience is at its end.

    `patience` is in seconds, for all waits together.
    """

    def __init__(self, patience: float, tell: Callable[[str], None]) -> None:
        self._left = patience
        self._tell = tell
        self._told = False

    async def __call__(self) -> None:
        while self._left > 0:
            began, busy = time.perf_counter(), _busy()
            await asyncio.sleep(LOOK)
            took = time.perf_counter() - began
            share = (_busy() - busy) / took / (os.cpu_count() or 1)
            if share < QUIET:
                return
            self._left -= took
            if not self._told:
                self._tell(f"others use {share:.0%} of the machine: waiting for them to finish")
                self._told = True


def _busy() -> float:
    """Seconds that all cores together have worked since the machine was started."""
    fields = [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]]
    user, nice, system, _, _, irq, softirq, steal, *_ = fields
    return (user + nice + system + irq + softirq + steal) / _TICKS
