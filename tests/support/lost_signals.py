"""Signals that never arrive, and waits that are over at once: what is left is looking again."""

import asyncio
from collections.abc import Callable

from runwell.ports.signals import SignalKind


class LostSignals:
    """`waits` are the seconds that were asked for, in order."""

    def __init__(self) -> None:
        self.waits: list[float] = []
        self.watching = 0

    def watch(self, run_id: str) -> "LostWatch":
        return LostWatch(self)

    def listen(self, heard: Callable[[SignalKind, str], None]) -> Callable[[], None]:
        return lambda: None

    def publish(self, kind: SignalKind, run_id: str) -> None:
        return None


class LostWatch:
    def __init__(self, signals: LostSignals) -> None:
        self._signals = signals

    def __enter__(self) -> "LostWatch":
        self._signals.watching += 1
        return self

    def __exit__(self, *exc: object) -> None:
        self._signals.watching -= 1

    async def wait(self, timeout: float) -> bool:
        self._signals.waits.append(timeout)
        await asyncio.sleep(0)
        return False
