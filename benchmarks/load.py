"""A closed loop of load: so many connections, each asking again as soon as it is answered.

The loop spins instead of sleeping. Waking another core costs whoever sends to it, more so in a virtual
machine; a client that slept whenever a server is slow would put that on the slow one's bill alone.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from statistics import quantiles
from typing import NamedTuple

from benchmarks.client import Answer, Broken, Connection, connect
from benchmarks.server_process import ServerProcess


class Load(NamedTuple):
    """What a round of load saw. Times are seconds.

    `busy` is the share of the time in which the load generator had answers to take: near 1, it is its
    own speed that was measured. `processor` is what the server used, all its threads together.
    """

    answers: int
    seconds: float
    median: float
    p99: float
    busy: float
    processor: float

    @property
    def rate(self) -> float:
        """Answers per second."""
        return self.answers / self.seconds

    @property
    def cost(self) -> float:
        """Microseconds of the server's processor time for each answer."""
        return self.processor / self.answers * 1e6


class _Caller:
    """One connection's part of the loop."""

    def __init__(self, connection: Connection, loop: "_Loop") -> None:
        self._connection = connection
        self._loop = loop
        self._asked = 0.0
        connection.heard = self._heard
        connection.lost = loop.fail

    def ask(self) -> None:
        request = next(self._loop.requests, None)
        if request is None or self._loop.ended:
            self._loop.left()
            return
        self._asked = time.perf_counter()
        self._connection.send(request)

    def _heard(self, answer: Answer) -> None:
        loop = self._loop
        loop.took.append(time.perf_counter() - self._asked)
        if answer.status != loop.expected:
            loop.fail(Broken(f"{answer.status} instead of {loop.expected}: {answer.body[:300]!r}"))
            return
        if loop.keep is not None:
            loop.keep(answer)
        self.ask()


class _Loop:
    def __init__(
        self, requests: Iterator[bytes], expected: int, callers: int, keep: Callable[[Answer], None] | None
    ) -> None:
        self.requests = requests
        self.expected = expected
        self.keep = keep
        self.took: list[float] = []
        self.ended = False
        self.busy = 0.0
        self._callers = callers
        self._loop = asyncio.get_running_loop()
        self.done: asyncio.Future[None] = self._loop.create_future()

    def spin(self, since: float, taken: int) -> None:
        """Once per turn of the event loop, until the end."""
        now = time.perf_counter()
        if len(self.took) != taken:
            self.busy += now - since
        if not self.done.done():
            self._loop.call_soon(self.spin, now, len(self.took))

    def end(self) -> None:
        self.ended = True

    def left(self) -> None:
        self._callers -= 1
        if not self._callers and not self.done.done():
            self.done.set_result(None)

    def fail(self, error: Exception) -> None:
        self.ended = True
        if not self.done.done():
            self.done.set_exception(error)


async def press(
    server: ServerProcess,
    requests: Iterator[bytes],
    *,
    connections: int,
    expected: int,
    seconds: float | None = None,
    keep: Callable[[Answer], None] | None = None,
) -> Load:
    """Ask until `requests` ends or the time is up; every answer must have the expected status.

    `keep` is called with each answer. Raises `Broken`.
    """
    opened = [await connect(server.port) for _ in range(connections)]
    loop = _Loop(requests, expected, connections, keep)
    callers = [_Caller(connection, loop) for connection in opened]
    processor, began = server.processor, time.perf_counter()
    if seconds is not None:
        asyncio.get_running_loop().call_later(seconds, loop.end)
    for caller in callers:
        caller.ask()
    loop.spin(began, 0)
    try:
        await loop.done
    finally:
        took = time.perf_counter() - began
        for connection in opened:
            connection.close()
    cuts = quantiles(loop.took, n=100)
    return Load(len(loop.took), took, cuts[49], cuts[98], loop.busy / took, server.processor - processor)
