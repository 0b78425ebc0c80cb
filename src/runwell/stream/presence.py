"""Long answers: how many a caller may hold open, and that they end when nobody waits for them any
more: the client left, or the server is closing."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Literal

from starlette.types import Receive

from runwell.domain.errors import RunwellError, TooManyStreams

End = Literal["done", "left", "closing"]
"""Why an attended piece of work ended: by itself, or for one of the two."""

STREAM_AGAIN = 5.0
"""Seconds after which it is worth asking again for a stream that was one too many."""


class Closing:
    """The server's going down, told to everybody who would hold it up. One per app.

    Of event streams each caller may have `most_streams` open at once, 0 is no limit.
    """

    def __init__(self, most_streams: int = 0) -> None:
        self.begun = False
        self.most_streams = most_streams
        self._streams_of: dict[str, int] = {}
        self.streams: set[Attended] = set()
        """The event streams open now."""
        self.polls: set[Attended] = set()
        """The long-polls waiting now."""

    def begin(self) -> None:
        """End all long answers, those under way and those to come. Calling it twice is calling it once."""
        self.begun = True
        for attended in (*self.streams, *self.polls):
            attended.interrupt("closing")

    def admit_stream(self, who: str) -> None:
        """Raise `TooManyStreams` when the caller has as many as it may have."""
        most = self.most_streams
        if most and self._streams_of.get(who, 0) >= most:
            raise TooManyStreams(
                f"No more than {most} event streams may be open at once for one caller",
                "Close one first, or poll: `Prefer: wait=30` answers when a run has ended.",
                STREAM_AGAIN,
            )

    @contextmanager
    def stream_of(self, who: str) -> Iterator[None]:
        """While inside, the caller has one more event stream."""
        self._streams_of[who] = self._streams_of.get(who, 0) + 1
        try:
            yield
        finally:
            left = self._streams_of[who] - 1
            if left:
                self._streams_of[who] = left
            else:
                del self._streams_of[who]


class Attended:
    """`async with Attended(receive, closing, closing.polls):` runs its body while somebody waits for it.

    When the client leaves or the server closes, the body is cancelled and the block ends quietly,
    with `attended.end` saying why. Costs one small task, which holds the ASGI `receive`: a server
    tells of a disconnect nowhere else.
    """

    __slots__ = ("_closing", "_listener", "_peers", "_receive", "_timeout", "end")

    def __init__(self, receive: Receive, closing: Closing, peers: "set[Attended]") -> None:
        self._receive = receive
        self._closing = closing
        self._peers = peers
        # A timeout without a deadline is the standard library's way to cancel one block of a task
        # and nothing else, right also when somebody cancels the whole task at the same moment.
        self._timeout = asyncio.timeout(None)
        self.end: End = "done"

    async def __aenter__(self) -> "Attended":
        await self._timeout.__aenter__()
        self._peers.add(self)
        self._listener = asyncio.ensure_future(self._listen())
        if self._closing.begun:
            self.interrupt("closing")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        self._peers.discard(self)
        self._listener.cancel()
        try:
            await self._timeout.__aexit__(kind, error, trace)
        except TimeoutError:
            return True
        return False

    def interrupt(self, end: End) -> None:
        if not self._timeout.expired():
            self.end = end
            self._timeout.reschedule(-1.0)

    async def _listen(self) -> None:
        # What is left of the request's body comes first; one over the limit is as good as leaving.
        with suppress(RunwellError):
            while (await self._receive())["type"] != "http.disconnect":
                continue
        self.interrupt("left")
