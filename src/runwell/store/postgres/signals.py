"""Signals between processes: LISTEN/NOTIFY over one connection, whatever the number of watchers.

Only ids travel, and only after the commit: a NOTIFY inside the transaction would make all commits of the
database wait for each other. A process that dies between the two loses signals, and so does one whose
connection is down; whoever watches looks again anyway after a while.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from runwell.ports.signals import SignalKind
from runwell.store.postgres.connections import Location, connect
from runwell.store.postgres.failures import is_failure
from runwell.store.signals import LocalSignals

LOG = logging.getLogger(__name__)

CHANNEL = "runwell"
LONGEST = 7_900
"""Bytes of one notification; PostgreSQL takes less than 8,000."""
QUIET = 10.0
"""Seconds without anything to say after which the connection is tried: it may be half dead."""
AGAIN = 0.5
"""Seconds from a lost connection to the next try."""
_MOST_KEPT = 10_000
"""Signals that wait for the connection; what is beyond is lost."""

_LETTERS = {
    SignalKind.CHANGED: "c",
    SignalKind.QUEUED: "q",
    SignalKind.CANCEL_REQUESTED: "x",
    SignalKind.DELIVERY_DUE: "d",
}
_KINDS = {letter: kind for kind, letter in _LETTERS.items()}
_NOTIFY = "SELECT count(pg_notify($1, payload)) FROM unnest($2::text[]) AS payload"

Signal = tuple[SignalKind, str]


class PostgresSignals(LocalSignals):
    """`ports.signals.Signals` of one process among many. For one loop; `start` it, and `close` it.

    What is published here is told on this loop at once, and to the others as soon as the last telling
    is out: whatever came meanwhile goes together, each signal once.
    """

    def __init__(self, location: Location) -> None:
        super().__init__()
        self._location = location
        self._outgoing: dict[Signal, None] = {}
        self._wanted = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._up = False
        self._others: list[tuple[str, Callable[[str], None]]] = []
        self._connection: Any = None
        self._pid = 0
        self.connected = asyncio.Event()
        """Set while others are heard."""

    def publish(self, kind: SignalKind, run_id: str) -> None:
        super().publish(kind, run_id)
        if len(self._outgoing) < _MOST_KEPT:
            self._outgoing[kind, run_id] = None
            self._wanted.set()

    async def hear(self, channel: str, heard: Callable[[str], None]) -> None:
        """Call `heard` with every payload of another channel, which shares the connection."""
        self._others.append((channel, heard))
        if self._connection is not None:
            await self._connection.add_listener(channel, _passing(heard))

    async def start(self) -> None:
        """Begin to listen. Without the database it goes on trying; nothing is raised."""
        self._task = asyncio.create_task(self._serve(), name="runwell-signals")

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def _serve(self) -> None:
        while True:
            try:
                await self._talk()
            except Exception as error:
                if not is_failure(error):
                    LOG.exception("signals of other processes are not heard; they are tried again")
                elif self._up:
                    LOG.warning("signals of other processes are not heard: %s", error)
            self._up = False
            self.connected.clear()
            await asyncio.sleep(AGAIN)

    async def _talk(self) -> None:
        """Over one connection, until it fails."""
        connection = await connect(self._location)
        try:
            connection.add_termination_listener(lambda _: self._wanted.set())
            self._pid = connection.get_server_pid()
            await connection.add_listener(CHANNEL, self._heard)
            for channel, heard in self._others:
                await connection.add_listener(channel, _passing(heard))
            self._connection = connection
            self._up = True
            self.connected.set()
            self._look_again()
            while not connection.is_closed():
                await self._say(connection)
        finally:
            self._connection = None
            connection.terminate()

    async def _say(self, connection: Any) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(QUIET):
                await self._wanted.wait()
        self._wanted.clear()
        told, self._outgoing = self._outgoing, {}
        await connection.fetchval(_NOTIFY, CHANNEL, list(payloads(told)))

    def _heard(self, connection: Any, pid: int, channel: str, payload: object) -> None:
        # Asked for when it was opened: it may be closed by now.
        if pid == self._pid:
            return  # it was told here already
        for kind, run_id in signals_of(str(payload)):
            super().publish(kind, run_id)

    def _look_again(self) -> None:
        """Nobody knows what was missed while there was no connection."""
        for run_id in list(self._watches):
            super().publish(SignalKind.CHANGED, run_id)


def _passing(heard: Callable[[str], None]) -> Callable[[Any, int, str, object], None]:
    def listener(connection: Any, pid: int, channel: str, payload: object) -> None:
        heard(str(payload))

    return listener


def payloads(signals: Iterable[Signal]) -> Iterator[str]:
    """The signals as notifications: `c<id>q<id>…`, no longer than one may be."""
    words = [_LETTERS[kind] + run_id for kind, run_id in signals]
    most = LONGEST // 33
    for start in range(0, len(words), most):
        yield "".join(words[start : start + most])


def signals_of(payload: str) -> Iterator[Signal]:
    """Back again. What another version says and this one does not know is passed over."""
    for start in range(0, len(payload) - 32, 33):
        kind = _KINDS.get(payload[start])
        if kind is not None:
            yield kind, payload[start + 1 : start + 33]
