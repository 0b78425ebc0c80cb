"""Signals inside one event loop."""

import asyncio
from collections.abc import Callable
from typing import Self

from runwell.ports.signals import SignalKind

Heard = Callable[[SignalKind, str], None]


class LocalSignals:
    """`ports.signals.Signals` for one loop. Not thread-safe: everything happens on that loop.

    Nobody watching costs a dictionary look-up per publish. A watch is a flag and at most one
    future, so any number of changes between two waits are one.
    """

    def __init__(self) -> None:
        self._watches: dict[str, tuple[LocalWatch, ...]] = {}
        # Tuples that are replaced, so that whoever is told may leave while the others are being told.
        self._listeners: tuple[Heard, ...] = ()

    def watch(self, run_id: str) -> "LocalWatch":
        return LocalWatch(self._watches, run_id)

    def listen(self, heard: Heard) -> Callable[[], None]:
        def listener(kind: SignalKind, run_id: str) -> None:
            # Its own object, so that one callable can listen twice and leave once.
            heard(kind, run_id)

        def leave() -> None:
            self._listeners = tuple(other for other in self._listeners if other is not listener)

        self._listeners = (*self._listeners, listener)
        return leave

    def publish(self, kind: SignalKind, run_id: str) -> None:
        # Every other kind comes with a CHANGED.
        if kind is SignalKind.CHANGED:
            for watch in self._watches.get(run_id, ()):
                watch.notice()
        for heard in self._listeners:
            heard(kind, run_id)


class LocalWatch:
    """A subscription to one run; see `ports.signals.Watch`. For one waiting task at a time."""

    __slots__ = ("_changed", "_run_id", "_waiter", "_watches")

    def __init__(self, watches: dict[str, tuple["LocalWatch", ...]], run_id: str) -> None:
        self._watches = watches
        self._run_id = run_id
        self._changed = False
        self._waiter: asyncio.Future[None] | None = None

    def __enter__(self) -> Self:
        self._watches[self._run_id] = (*self._watches.get(self._run_id, ()), self)
        return self

    def __exit__(self, *exc: object) -> None:
        left = tuple(other for other in self._watches.pop(self._run_id, ()) if other is not self)
        if left:
            self._watches[self._run_id] = left

    def notice(self) -> None:
        """The run changed. Wakes the waiting task, or makes its next wait return at once."""
        self._changed = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def wait(self, timeout: float) -> bool:
        if not self._changed and timeout > 0:
            await self._sleep(timeout)
        changed, self._changed = self._changed, False
        return changed

    async def _sleep(self, timeout: float) -> None:
        """Until noticed or `timeout` seconds are over: one timer and one future, no task."""
        loop = asyncio.get_running_loop()
        waiter = self._waiter = loop.create_future()
        timer = loop.call_later(timeout, _expire, waiter)
        try:
            await waiter
        finally:
            timer.cancel()
            self._waiter = None


def _expire(waiter: "asyncio.Future[None]") -> None:
    if not waiter.done():
        waiter.set_result(None)
