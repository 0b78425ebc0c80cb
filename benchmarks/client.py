"""The load generator's HTTP: as little as two programs that know each other need.

Requests are bytes made beforehand; of an answer only status, length and framing are looked at. One
request at a time per connection, connections are kept. About four times as fast as the servers it
is pointed at, so that what is measured is the server.
"""

import asyncio
from collections.abc import Callable
from typing import NamedTuple, cast

from benchmarks.chunked import Chunked

_HEAD_END = b"\r\n\r\n"
_LENGTH = b"content-length: "


class Answer(NamedTuple):
    status: int
    head: bytes
    body: bytes


class Broken(Exception):
    """The server closed the connection in the middle, or said what nobody expected."""


class Connection(asyncio.Protocol):
    """One connection. `heard` is called with every answer; it may send the next request at once.

    `streamed` is called with each piece of an answer without a length, and with b"" at its end.
    """

    def __init__(self) -> None:
        self.heard: Callable[[Answer], None] = _nobody
        self.streamed: Callable[[bytes], None] = _nobody
        self.lost: Callable[[Exception], None] = _nobody
        self._buffer = bytearray()
        self._chunked: Chunked | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclass of asyncio's.
        opened = cast(asyncio.Transport, transport)
        self._opened = opened
        self.send = opened.write

    def close(self) -> None:
        """Hang up; nobody is told."""
        self.lost = _nobody
        self._opened.close()

    def connection_lost(self, error: Exception | None) -> None:
        self.lost(error or Broken("the server closed the connection"))

    def data_received(self, data: bytes) -> None:
        if self._chunked is not None:
            self._stream(data)
            return
        if self._buffer:
            self._buffer += data
            data = bytes(self._buffer)
        end = data.find(_HEAD_END)
        if end < 0:
            self._buffer[:] = data
            return
        at = data.find(_LENGTH, 0, end)
        status = int(data[9:12])
        if at < 0 and status == 200:
            self._chunked = Chunked()
            self._stream(data[end + 4 :])
            return
        length = int(data[at + len(_LENGTH) : data.find(b"\r", at)]) if at >= 0 else 0
        if len(data) < end + 4 + length:
            self._buffer[:] = data
            return
        self._buffer.clear()
        self.heard(Answer(status, data[:end], data[end + 4 :]))

    def _stream(self, data: bytes) -> None:
        chunked = self._chunked
        assert chunked is not None
        piece = chunked.take(data)
        if piece:
            self.streamed(piece)
        if chunked.over:
            self._chunked = None
            self.streamed(b"")

    async def ask(self, request: bytes) -> Answer:
        """Send a request and wait for its answer."""
        answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self.heard = answered.set_result
        self.lost = lambda error: None if answered.done() else answered.set_exception(error)
        self.send(request)
        try:
            return await answered
        finally:
            self.heard = self.lost = _nobody


async def connect(port: int) -> Connection:
    """A connection to this machine."""
    _, connection = await asyncio.get_running_loop().create_connection(Connection, "127.0.0.1", port)
    return connection


def request(method: str, path: str, *, key: str | None = None, body: bytes = b"", extra: str = "") -> bytes:
    """The bytes of a request. `extra` are whole header lines, each with its end of line."""
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{extra}"
    if key is not None:
        head += f"Authorization: Bearer {key}\r\n"
    if body:
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return f"{head}\r\n".encode() + body


def _nobody(_: object) -> None:
    """Nobody is listening."""
