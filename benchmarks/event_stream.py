"""A watcher: one connection that follows a run's events over SSE."""

import asyncio
import json
import time
from typing import Any

from benchmarks.client import Broken, Connection, request

_FINAL = (b"event: run.succeeded\n", b"event: run.failed\n", b"event: run.cancelled\n")


class Watcher:
    """Counts frames as they come and keeps the bytes; what they say is looked at afterwards.

    `first` and `last` are when the first and the final frame were there (`perf_counter`).
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._pieces: list[bytes] = []
        self._seen = b""
        self._ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done with the first bytes of the stream."""
        self.first = 0.0
        self.last = 0.0

    def start(self, path: str, key: str | None) -> None:
        """Ask for the stream."""
        self._connection.streamed = self._streamed
        self._connection.lost = self._lost
        self._connection.heard = lambda answer: self._lost(Broken(f"no stream: {answer}"))
        self._connection.send(request("GET", path, key=key, extra="Accept: text/event-stream\r\n"))

    async def follow(self, path: str, key: str | None) -> None:
        """Watch until the stream ends."""
        self.start(path, key)
        await self._ended

    def _streamed(self, piece: bytes) -> None:
        if not piece:
            self._ended.set_result(None)
            return
        if not self.opened.done():
            self.opened.set_result(None)
        self._pieces.append(piece)
        if not self.first and b"id: " in piece:
            self.first = time.perf_counter()
        # A frame that was cut in two still has its name whole in the end of one and all of the other.
        self._seen = self._seen[-64:] + piece
        if any(name in self._seen for name in _FINAL) and not self.last:
            self.last = time.perf_counter()

    def _lost(self, error: Exception) -> None:
        for future in (self.opened, self._ended):
            if not future.done():
                future.set_exception(error)

    @property
    def size(self) -> int:
        """Bytes of the stream."""
        return sum(map(len, self._pieces))

    def events(self) -> list[dict[str, Any]]:
        """The events of the stream so far, parsed. Raises `Broken` when their numbers have a gap."""
        found = []
        for frame in b"".join(self._pieces).split(b"\n\n"):
            for line in frame.split(b"\n"):
                if line.startswith(b"data: "):
                    found.append(json.loads(line[6:]))
        numbers = [event["seq"] for event in found]
        if numbers != list(range(1, len(numbers) + 1)):
            raise Broken(f"the stream has a gap: {numbers[:50]}")
        return found
