"""What an attempt says and does, on its way into the log.

Agents speak on their own threads, faster than a disk syncs. `put` only queues; one flush at a time
writes everything queued, in order, in one commit. What is said while a commit is being written goes
into the next: batches grow with the load and nobody waits for a timer.
"""

import asyncio
import logging
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future

from runwell.domain.commands import Record
from runwell.domain.errors import AttemptSuperseded, IllegalTransition, RunNotFound, Unavailable
from runwell.domain.events import Event, OutputEvent, Said, StepEvent, StepFinished
from runwell.domain.lifecycle import decide
from runwell.domain.retelling import Retelling
from runwell.domain.run import Run
from runwell.ports.agent import Suspended
from runwell.ports.clock import Clock
from runwell.ports.store import Store

LOG = logging.getLogger(__name__)

CROWDED = 64
"""Events waiting to be written beyond which a speaker waits for the disk."""
OWN = ("output.", "step.")
"""How the types of events begin that only an attempt writes."""
BATCH = 500
"""Events in one commit; more would make other runs wait behind it."""
RETRY_EVERY = 0.25
"""Seconds between tries while the store is unavailable."""


class Recorder:
    """The pen of one attempt. `put` and `crowded` from any thread, the rest on the worker's loop."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        run: Run,
        retelling: Retelling,
        lost: Callable[[], None],
        faulty: Callable[[], None] = lambda: None,
    ) -> None:
        self.fault: Exception | None = None
        self._faulty = faulty
        self.run = run
        self._store = store
        self._clock = clock
        self._retelling = retelling
        self._lost = lost
        self._home = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._queue: list[Event] = []
        self._waiters: list[Future[None]] = []
        self._flushing: asyncio.Task[None] | None = None
        self._scheduled = False
        self._sealed = False
        self._broken: Exception | None = None

    @property
    def crowded(self) -> bool:
        return len(self._queue) >= CROWDED

    def put(self, event: StepEvent | OutputEvent, *, durable: bool = False) -> Future[None] | None:
        """Queue an event. With `durable`, a future that is done when it and all before it are on disk.

        Raises `Suspended` when the attempt is over: whoever still speaks is unwound.
        """
        with self._lock:
            if self._sealed:
                raise Suspended
            self._queue.extend(self._compared(event))
            waiter: Future[None] | None = None
            if durable:
                waiter = promise()
                self._waiters.append(waiter)
            self._schedule()
        return waiter

    def settled(self) -> Future[None]:
        """Done when everything put so far is on disk."""
        with self._lock:
            waiter = promise()
            if self._sealed:
                raise Suspended
            self._waiters.append(waiter)
            self._schedule()
        return waiter

    def _compared(self, event: StepEvent | OutputEvent) -> Iterable[Event]:
        if isinstance(event, Said):
            return self._retelling.tell(event)
        if isinstance(event, StepFinished):
            return (*self._retelling.finish_step(event.key), event)
        return (event,)

    def text(self) -> str:
        """All standing text of the run."""
        with self._lock:
            return self._retelling.text()

    async def end(self, *, complete: bool) -> Run:
        """Seal, write what is queued, and return the run as stored.

        `complete`: the agent returned, so what the log holds beyond what it said now is void.
        """
        with self._lock:
            if complete and not self._sealed:
                self._queue.extend(self._retelling.end())
            self._sealed = True
        if self._queue or self._waiters or self._flushing is not None:
            self._start()
            if self._flushing is not None:
                await self._flushing
        return self.run

    def seal(self) -> None:
        """Nothing is accepted any more."""
        with self._lock:
            self._sealed = True

    def _schedule(self) -> None:
        """Under the lock: see that a flush will happen."""
        if not self._scheduled:
            self._scheduled = True
            self._home.call_soon_threadsafe(self._start)

    def _start(self) -> None:
        if self._flushing is None:
            self._flushing = self._home.create_task(self._flush())

    async def _flush(self) -> None:
        try:
            while batch := self._take():
                events, waiters = batch
                error = await self._write(events) if events else self._broken
                for waiter in waiters:
                    if error is None:
                        waiter.set_result(None)
                    else:
                        waiter.set_exception(Suspended())
        finally:
            self._flushing = None

    def _take(self) -> tuple[list[Event], list[Future[None]]] | None:
        with self._lock:
            if not self._queue and not self._waiters:
                self._scheduled = False
                return None
            events, self._queue = self._queue[:BATCH], self._queue[BATCH:]
            waiters: list[Future[None]] = []
            if not self._queue:
                waiters, self._waiters = self._waiters, []
            return events, waiters

    def _break(self, error: Exception) -> None:
        with self._lock:
            self._sealed = True
            self._broken = error
            self._queue.clear()

    async def _write(self, events: list[Event]) -> Exception | None:
        """Commit, however long the disk is full; the error that ended the attempt, or None."""
        command = Record(events=tuple(events))  # type: ignore[arg-type]
        unsure = False
        while True:
            now = self._clock.now()
            try:
                if unsure and await self._is_written():
                    return None
                self.run = await self._store.runs.commit(decide(self.run, command, now), now)
            except Unavailable as error:
                LOG.warning("run_%s: its events wait for the store: %s", self.run.id, error)
                unsure = True
                await asyncio.sleep(RETRY_EVERY)
            except (AttemptSuperseded, RunNotFound, IllegalTransition) as error:
                # The fence: somebody else has this run now. Nothing of this attempt counts.
                self._break(error)
                self._lost()
                return error
            except Exception as error:  # noqa: BLE001 - an event that cannot be written ends the attempt, audibly
                self._break(error)
                self.fault = error
                self._faulty()
                return error
            else:
                return None

    async def _is_written(self) -> bool:
        """Whether the last commit has happened although nobody heard of it: the store may have been lost in
        the middle of it. While the attempt goes on nobody else writes what an agent says or does, so if
        there is any of that behind what is known, it is what was to be written."""
        run = await self._store.runs.get(self.run.id)
        if run.attempt != self.run.attempt or run.last_seq == self.run.last_seq:
            return False
        lines = await self._store.events.read(run.id, self.run.last_seq, 2 * BATCH)
        if not any(line.type.startswith(OWN) for line in lines):
            return False
        self.run = run
        return True


def promise() -> Future[None]:
    """A future that nobody can cancel: a waiter that goes away must not break the flush."""
    promise: Future[None] = Future()
    promise.set_running_or_notify_cancel()
    return promise
