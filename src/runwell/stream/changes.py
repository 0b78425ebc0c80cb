"""Which runs have come or changed, for whoever shows a list of them: ids, told to those whose runs they are.

Like a signal this only says "look again". What happens while nobody listens is not kept: whoever begins to
listen reads the list once.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Collection
from typing import NamedTuple

from runwell.domain.errors import StoreUnavailable
from runwell.ports.signals import SignalKind, Signals
from runwell.ports.store import Store
from runwell.stream.tail import LOOKS

LOG = logging.getLogger(__name__)

REST = 0.25
"""Seconds between two tellings: what comes meanwhile is told together."""
MOST = 100
"""Ids told at once; a list of more is read anew anyway."""
KEPT = 10_000
"""Signals kept for the next telling, and owners remembered."""


class Changed(NamedTuple):
    """`more`: there were others, or it is not known which."""

    run_ids: tuple[str, ...]
    more: bool


class Changes:
    """One for all readers of a process: however many they are, whose runs changed is looked up once. It
    listens only while somebody reads. Belongs to one loop."""

    def __init__(self, store: Store, signals: Signals) -> None:
        self._store = store
        self._signals = signals
        self._readers: dict[str | None, list[_Reader]] = {}
        self._owners: dict[str, str] = {}
        self._heard: dict[str, None] = {}
        self._wanted = asyncio.Event()
        self._stop: Callable[[], None] | None = None

    async def of(self, owner: str | None) -> AsyncGenerator[Changed | None, None]:
        """The changes of an owner's runs, of everybody's for None, at most every `REST` seconds; never ends.

        The first is empty, and comes when listening has begun. None says that nothing came for a while.
        """
        reader = _Reader()
        self._readers.setdefault(owner, []).append(reader)
        if self._stop is None:
            self._stop = self._begin()
        try:
            yield Changed((), more=False)
            while True:
                yield await reader.next()
        finally:
            self._readers[owner].remove(reader)
            if not self._readers[owner]:
                del self._readers[owner]
            if not self._readers and self._stop is not None:
                self._stop()
                self._stop = None

    def _begin(self) -> Callable[[], None]:
        self._heard.clear()
        leave = self._signals.listen(self._hear)
        task = asyncio.create_task(self._serve(), name="runwell-changes")

        def stop() -> None:
            leave()
            task.cancel()

        return stop

    def _hear(self, kind: SignalKind, run_id: str) -> None:
        # All else comes with one of these.
        if kind is SignalKind.CHANGED or kind is SignalKind.QUEUED:
            if len(self._heard) <= KEPT:
                self._heard[run_id] = None
            self._wanted.set()

    async def _serve(self) -> None:
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            heard, self._heard = self._heard, {}
            lost = len(heard) > KEPT
            try:
                await self._tell(heard)
            except StoreUnavailable:
                lost = True
            except Exception:
                # Whatever it was, whoever reads must not wait for ever.
                LOG.exception("whose runs changed could not be told; everybody is told to look")
                lost = True
            for reader in self._everybody() if lost else ():
                reader.add_more()
            await asyncio.sleep(REST)

    async def _tell(self, run_ids: Collection[str]) -> None:
        """Raises `StoreUnavailable`."""
        if len(self._owners) > KEPT:
            self._owners.clear()
        if unknown := [id for id in run_ids if id not in self._owners]:
            self._owners |= await self._store.runs.owners(unknown)
        for id in run_ids:
            # One that was deleted since is nobody's.
            if (owner := self._owners.get(id)) is not None:
                for reader in (*self._readers.get(owner, ()), *self._readers.get(None, ())):
                    reader.add(id)

    def _everybody(self) -> list["_Reader"]:
        return [reader for readers in self._readers.values() for reader in readers]


class _Reader:
    """What is to be told to one reader when it takes it: one that is slow is told less, and that it was."""

    def __init__(self) -> None:
        self._ids: dict[str, None] = {}
        self._more = False
        self._something = asyncio.Event()

    def add(self, run_id: str) -> None:
        if len(self._ids) < MOST:
            self._ids[run_id] = None
        elif run_id not in self._ids:
            self._more = True
        self._something.set()

    def add_more(self) -> None:
        self._more = True
        self._something.set()

    async def next(self) -> Changed | None:
        try:
            async with asyncio.timeout(LOOKS[-1]):
                await self._something.wait()
        except TimeoutError:
            return None
        changed = Changed(tuple(self._ids), self._more)
        self._ids, self._more = {}, False
        self._something.clear()
        return changed
