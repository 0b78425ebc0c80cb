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


class Others:
    """How much of the machine programs that are not ours have used since this was made."""

    def __init__(self) -> None:
        self._began, self._busy, self._own = time.perf_counter(), _busy(), _own()

    @property
    def share(self) -> float:
        """0 to 1, of all cores. Our servers are counted when they have ended."""
        took = time.perf_counter() - self._began
        others = (_busy() - self._busy) - (_own() - self._own)
        return max(others, 0.0) / took / (os.cpu_count() or 1)


def _own() -> float:
    """Seconds of processor time of this process and of its children that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _busy() -> float:
    """Seconds that all cores together have worked since the machine was started."""
    fields = [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]]
    user, nice, system, _, _, irq, softirq, steal, *_ = fields
    return (user + nice + system + irq + softirq + steal) / _TICKS
