"""One transaction of the writer, while it is being made."""

from typing import Any, Generic, TypeVar

import apsw

from runwell.domain.callback import StandingCallback
from runwell.domain.events import SCHEMA_VERSION, LoggedEvent
from runwell.domain.instant import Instant
from runwell.ports.signals import SignalKind
from runwell.store.sqlite.rows import LAST_SEQ, SEQ_BITS, Row

T = TypeVar("T")

_SELECT_HEAD = f"""SELECT pk, version, {LAST_SEQ}, attempt, status = 'running', cancel_requested_at,
    created_at
FROM runs WHERE id = ?"""

_EVENT = "(?, ?, ?, ?, ?)"
_INSERT_EVENT = f"INSERT INTO events (key, kind, schema_version, at, data) VALUES {_EVENT}"
_CHUNK = 16
_INSERT_EVENTS = _INSERT_EVENT + f", {_EVENT}" * (_CHUNK - 1)


class Head:
    """The few columns that guard and number a run's changes, as the writer has left them."""

    __slots__ = ("attempt", "cancel_requested_at", "created_at", "last_seq", "pk", "running", "version")

    def __init__(
        self,
        pk: int,
        version: int,
        last_seq: int,
        attempt: int,
        running: int,
        cancel_requested_at: Instant | None,
        created_at: Instant,
    ) -> None:
        self.pk = pk
        self.version = version
        self.last_seq = last_seq
        self.attempt = attempt
        self.running = running
        self.cancel_requested_at = cancel_requested_at
        self.created_at = created_at


class Transaction:
    """What a job writes through. `heads` and `standing` outlive it; the writer says when they may.

    Events are gathered and written together, just before the commit or before anybody reads them:
    each statement that SQLite runs gives the interpreter lock away, and getting it back from a busy
    event loop can take milliseconds.
    """

    __slots__ = ("_events", "db", "heads", "standing")

    def __init__(
        self,
        db: apsw.Connection,
        heads: dict[str, Head],
        standing: dict[str, tuple[StandingCallback, ...]],
    ) -> None:
        self.db = db
        self.heads = heads
        self.standing = standing
        """Each owner's callbacks that are not paused. A job that changes them clears it."""
        self._events: list[Row] = []

    def head(self, run_id: str) -> Head | None:
        """The run's head, from memory or from the row."""
        head = self.heads.get(run_id)
        if head is None:
            row = self.one(_SELECT_HEAD, (bytes.fromhex(run_id),))
            if row is not None:
                head = self.heads[run_id] = Head(*row)
        return head

    def append(self, head: Head, encoded: list[tuple[int, bytes]], now: Instant) -> None:
        """Give the events the run's next numbers. `encoded` is (kind, data) of each."""
        key = (head.pk << SEQ_BITS) + head.last_seq
        at = now - head.created_at
        gathered = self._events
        for kind, data in encoded:
            key += 1
            gathered.append((key, kind, SCHEMA_VERSION, at, data))
        head.last_seq += len(encoded)

    def flush(self) -> None:
        """Write the gathered events, in the order of their keys, so that neighbours share a page."""
        events = self._events
        if not events:
            return
        self._events = []
        events.sort()
        whole = len(events) - len(events) % _CHUNK
        for start in range(0, whole, _CHUNK):
            chunk = events[start : start + _CHUNK]
            self.db.execute(_INSERT_EVENTS, [value for event in chunk for value in event])
        for event in events[whole:]:
            self.db.execute(_INSERT_EVENT, event)

    def forget(self) -> None:
        """The transaction was rolled back: so is everything remembered of it."""
        self._events = []
        self.heads.clear()
        self.standing.clear()

    def one(self, sql: str, values: Row = ()) -> Row | None:
        """The first row, or None."""
        row: Row | None = self.db.execute(sql, values).fetchone()
        return row

    def run(self, sql: str, values: Row = ()) -> int:
        """Execute a statement without rows; how many rows it changed."""
        self.db.execute(sql, values)
        return self.db.changes()


class Job(Generic[T]):
    """Something to write. `run` is called on the writer's thread, perhaps twice.

    It raises a `RunwellError` only before its first write. Twice: when another job of the batch
    failed half way, all is rolled back and each is done again by itself.
    """

    size: int = 256
    """About how many bytes it writes, to keep transactions short."""

    signals: tuple[tuple[SignalKind, str], ...] = ()
    """What to tell the world once it is durable."""

    first_event: LoggedEvent | None = None
    """The first event of a run it makes, for whoever reads that next."""

    result: T
    error: Exception | None = None
    # Whom to tell: set by the desk it is handed in at.
    desk: Any = None
    future: Any = None

    def run(self, transaction: Transaction) -> T:
        raise NotImplementedError
