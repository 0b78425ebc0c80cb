"""The one thread that writes: group commit without a timer.

It takes everything that queued up while the last transaction was being written, makes one
transaction of it, and only then tells the callers. One sync of the disk serves them all; a lone
caller waits for nobody. If the process dies anywhere in here, nothing that was acknowledged is lost.
"""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

import apsw

from runwell.domain.callback import StandingCallback
from runwell.domain.errors import RunwellError, StoreUnavailable
from runwell.ports.signals import SignalKind
from runwell.store.sqlite.failures import DATABASE_FAILURES, unavailable
from runwell.store.sqlite.kept import RUNS_KEPT, Kept
from runwell.store.sqlite.transaction import Head, Job, Transaction

T = TypeVar("T")
Publish = Callable[[SignalKind, str], None]

BATCH_JOBS = 512
BATCH_BYTES = 8 * 1024 * 1024
CHECKPOINT_PAGES = 4_000
"""16 MiB of WAL since the last checkpoint."""
HEADS_KEPT = 8_192


class Desk:
    """Where the jobs of one event loop are handed in, and where that loop is told."""

    def __init__(self, writer: "Writer", publish: Publish | None) -> None:
        self._writer = writer
        self._publish = publish
        self.loop = asyncio.get_running_loop()
        self.kept = Kept(RUNS_KEPT if publish is not None else 0)

    @property
    def listens(self) -> bool:
        return self._publish is not None

    async def write(self, job: Job[T]) -> T:
        """Durable when it returns. A cancelled caller's job may still be written."""
        job.desk = self
        future: asyncio.Future[T] = self.loop.create_future()
        job.future = future
        self._writer.submit(job)
        return await future

    def deliver(self, jobs: list[Job[Any]], signals: tuple[tuple[SignalKind, str], ...]) -> None:
        """On the loop, once per batch: answer the callers, tell the watchers."""
        self.kept.hear(jobs, signals, alone=self._writer.serves_only(self))
        for job in jobs:
            if job.future.done():  # its caller was cancelled
                continue
            if job.error is not None:
                job.future.set_exception(job.error)
            else:
                job.future.set_result(job.result)
        if self._publish is not None:
            for kind, run_id in signals:
                self._publish(kind, run_id)


class _Entangled(Exception):
    """A job failed after it had written: the batch must be undone, and done one by one."""


class Writer:
    def __init__(self, connect: Callable[[], apsw.Connection]) -> None:
        self._connect = connect
        self._db: apsw.Connection | None = None
        self._queue: SimpleQueue[Job[Any] | None] = SimpleQueue()
        self._gate = threading.Lock()
        self._closed = False
        # Replaced, never changed: the writer's thread reads it while loops come and go.
        self._desks: tuple[Desk, ...] = ()
        self._heads: dict[str, Head] = {}
        self._standing: dict[str, tuple[StandingCallback, ...]] = {}
        self._data_version = -1
        self._wal_pages = 0
        self._checkpointed_at = 0
        self._thread = threading.Thread(target=self._serve, name="runwell-writer", daemon=True)

    def start(self) -> None:
        """Raises `apsw.Error` when the file cannot be opened."""
        self._open()
        self._thread.start()

    def add_desk(self, publish: Publish | None) -> Desk:
        """For the running event loop."""
        desk = Desk(self, publish)
        with self._gate:
            self._desks = (*self._desks, desk)
        return desk

    def serves_only(self, desk: Desk) -> bool:
        return self._desks == (desk,)

    def drop_desk(self, desk: Desk) -> None:
        with self._gate:
            self._desks = tuple(other for other in self._desks if other is not desk)

    def submit(self, job: Job[Any]) -> None:
        with self._gate:  # so that nothing is queued behind the end
            if self._closed:
                raise StoreUnavailable("The store is closed", "The server is shutting down.")
            self._queue.put(job)

    def close(self) -> None:
        """Write what was handed in, then end. Blocks until done."""
        with self._gate:
            if not self._closed:
                self._closed = True
                self._queue.put(None)
        self._thread.join()

    def _serve(self) -> None:
        going = True
        while going:
            batch: list[Job[Any]] = []
            going = self._gather(batch)
            if batch:
                self._write(batch)
                self._tell(batch)
                self._checkpoint()
        self._drop_connection()

    def _gather(self, batch: list[Job[Any]]) -> bool:
        """Wait for one job, then take what else is there; False at the end."""
        job = self._queue.get()
        size = 0
        while job is not None:
            batch.append(job)
            size += job.size
            if len(batch) >= BATCH_JOBS or size >= BATCH_BYTES:
                return True
            try:
                job = self._queue.get_nowait()
            except Empty:
                return True
        return False

    def _write(self, batch: list[Job[Any]]) -> None:
        """One transaction. Every job ends with a result or an error; none is left without."""
        try:
            transaction = self._begin()
            try:
                self._together(transaction, batch)
            except _Entangled:
                transaction.db.execute("ROLLBACK")
                transaction.forget()
                transaction.db.execute("BEGIN IMMEDIATE")
                self._one_by_one(transaction, batch)
            transaction.db.execute("COMMIT")
        except Exception as error:  # noqa: BLE001 - whatever it is, the callers hear it and the thread lives
            # Refusals fall too: they may rest on what another job of this batch had written.
            for job in batch:
                job.error = unavailable(error)
            # After a failed sync neither the connection's cache nor the kernel's can be trusted.
            self._drop_connection()

    def _begin(self) -> Transaction:
        db = self._db or self._open()
        db.execute("BEGIN IMMEDIATE")
        if len(self._heads) > HEADS_KEPT:
            self._heads.clear()
        if len(self._standing) > HEADS_KEPT:
            self._standing.clear()
        # Moves when another process has written to the file; asked under the lock, so it cannot move now.
        version = db.execute("PRAGMA data_version").get
        if version != self._data_version:
            self._data_version = version
            self._heads.clear()
            self._standing.clear()
        return Transaction(db, self._heads, self._standing)

    def _together(self, transaction: Transaction, batch: list[Job[Any]]) -> None:
        """All jobs without savepoints: a job that refuses does so before it writes."""
        written = transaction.db.total_changes()
        for job in batch:
            try:
                job.result = job.run(transaction)
                job.error = None
            except DATABASE_FAILURES:
                raise
            except RunwellError as refusal:
                if transaction.db.total_changes() != written:
                    raise _Entangled from refusal
                job.error = refusal
            except Exception as error:
                raise _Entangled from error
            written = transaction.db.total_changes()
        transaction.flush()

    def _one_by_one(self, transaction: Transaction, batch: list[Job[Any]]) -> None:
        """Each job under a savepoint; rare, since only a fault of ours leads here."""
        for job in batch:
            transaction.db.execute("SAVEPOINT job")
            try:
                job.result = job.run(transaction)
                transaction.flush()
                job.error = None
            except DATABASE_FAILURES:
                raise
            except Exception as error:  # noqa: BLE001 - goes to the caller of this job
                job.error = error
                transaction.db.execute("ROLLBACK TO job")
                transaction.forget()
            transaction.db.execute("RELEASE job")

    def _tell(self, batch: list[Job[Any]]) -> None:
        """One wake-up per loop: each desk its own jobs, and all desks all signals."""
        jobs: dict[Desk, list[Job[Any]]] = {}
        told: dict[tuple[SignalKind, str], None] = {}
        for job in batch:
            jobs.setdefault(job.desk, []).append(job)
            if job.error is None:
                told.update(dict.fromkeys(job.signals))
        signals = tuple(told)
        if signals:
            for desk in self._desks:
                if desk.listens:
                    jobs.setdefault(desk, [])
        for desk, own in jobs.items():
            # A loop that has been closed has nobody left to tell.
            with contextlib.suppress(RuntimeError):
                desk.loop.call_soon_threadsafe(desk.deliver, own, signals)

    def _checkpoint(self) -> None:
        """Copy the WAL into the file when it has grown; passive, so that no reader is waited for.

        If the process dies in here, the WAL is still whole. If it fails, the WAL stays as it is,
        grows, and is tried again.
        """
        if self._wal_pages < self._checkpointed_at:  # the WAL began anew
            self._checkpointed_at = 0
        if self._db is None or self._wal_pages - self._checkpointed_at < CHECKPOINT_PAGES:
            return
        self._checkpointed_at = self._wal_pages
        try:
            self._db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        except apsw.Error:
            self._drop_connection()

    def _open(self) -> apsw.Connection:
        """Raises `apsw.Error`."""
        db = self._connect()
        db.set_wal_hook(self._note_wal)
        self._heads.clear()
        self._data_version = -1
        self._db = db
        return db

    def _note_wal(self, db: apsw.Connection, name: str, pages: int) -> int:
        self._wal_pages = pages
        return apsw.SQLITE_OK

    def _drop_connection(self) -> None:
        """Close it, which rolls back what was open; the next batch opens another."""
        self._heads.clear()
        db, self._db = self._db, None
        if db is not None:
            # The file may be gone; what matters was said to the callers already.
            with contextlib.suppress(apsw.Error):
                db.close(True)
