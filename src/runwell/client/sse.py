"""A parser for event streams, as the WHATWG HTML standard (9.2.6) defines them. No I/O.

Lines end in CR LF, LF or CR, also where a chunk ends between the two. What the stream breaks off
in the middle of is never delivered, so a torn event is read again whole after a reconnect.
"""

from collections.abc import Iterator
from typing import NamedTuple

_BOM = b"\xef\xbb\xbf"


class ServerSentEvent(NamedTuple):
    """`id` is the last one seen so far, which may be an earlier event's."""

    event: str
    data: str
    id: str


class Parser:
    """Feed it bytes as they come; it yields the events they complete.

    `retry` is the reconnection time that the server asked for last, in milliseconds, or None.
    """

    def __init__(self) -> None:
        self.retry: int | None = None
        self._id = ""
        self._event = ""
        self._data: list[str] = []
        self._rest = bytearray()
        self._at_start = True
        self._after_cr = False

    def feed(self, chunk: bytes) -> Iterator[ServerSentEvent]:
        for line in self._lines(chunk):
            if line:
                self._field(line)
            elif (event := self._dispatch()) is not None:
                yield event

    def _lines(self, chunk: bytes) -> Iterator[bytes]:
        """The lines that `chunk` completes. A CR ends its line at once; an LF right after it, even
        in the next chunk, belongs to the same line end."""
        if self._after_cr and chunk:
            chunk = chunk.removeprefix(b"\n")
            self._after_cr = False
        if not chunk:
            return
        self._after_cr = chunk.endswith(b"\r")
        self._rest += chunk
        if self._at_start:
            if len(self._rest) < len(_BOM) and _BOM.startswith(self._rest):
                return
            self._at_start = False
            if self._rest.startswith(_BOM):
                del self._rest[: len(_BOM)]
        if b"\n" not in chunk and b"\r" not in chunk:
            return
        text = bytes(self._rest).replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *lines, last = text.split(b"\n")
        self._rest = bytearray(last)
        yield from lines

    def _field(self, line: bytes) -> None:
        # A comment, ": keep-alive", has the empty name.
        name, _, value = line.decode("utf-8", "replace").partition(":")
        value = value.removeprefix(" ")
        match name:
            case "data":
                self._data.append(value)
            case "event":
                self._event = value
            case "id" if "\0" not in value:
                self._id = value
            case "retry" if value.isascii() and value.isdigit():
                self.retry = int(value)

    def _dispatch(self) -> ServerSentEvent | None:
        data, event = self._data, self._event
        self._data, self._event = [], ""
        return ServerSentEvent(event or "message", "\n".join(data), self._id) if data else None
