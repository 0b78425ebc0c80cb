"""No request body is larger than the server allows, whether it says its size or not."""

from collections.abc import Callable

from starlette.types import Message, Receive, Send

from runwell.dialects.exchange import Reply, send_reply
from runwell.domain.errors import TooLarge

LINGER = 16 * 2**20
"""Bytes beyond the limit that are read for politeness."""


def too_large(limit: int) -> TooLarge:
    return TooLarge(
        f"The body is larger than {limit} bytes", "Send a link to the data, or raise the server's limit."
    )


def check_length(headers: dict[bytes, bytes], limit: int) -> None:
    """Raise `TooLarge` for a body that says it is. The protocol has checked that it is a number, and
    will not hand over more than it says."""
    length = headers.get(b"content-length")
    if length is not None and int(length) > limit:
        raise too_large(limit)


async def refuse(reply: Reply, headers: dict[bytes, bytes], receive: Receive, send: Send) -> None:
    """Answer a request whose body nobody wants.

    What is on its way is read and dropped first, up to `LINGER` bytes: a connection that is closed
    over unread data is reset, and takes the answer with it. Who asks before sending is not told to go on.
    """
    if b"expect" in headers or not await _drained(receive):
        # The rest of the body would be taken for the next request.
        reply = Reply(reply.status, [*reply.headers, (b"connection", b"close")], reply.body)
    await send_reply(reply, send)


async def _drained(receive: Receive) -> bool:
    """Whether the body came to its end within `LINGER` bytes."""
    left = LINGER
    while left > 0:
        message = await receive()
        if message["type"] == "http.disconnect" or not message.get("more_body"):
            return True
        left -= len(message.get("body", b""))
    return False


class CountedBody:
    """Around a request whose body does not say its size. What the app makes of the error that it
    gets in the middle of its body is not sent: what `render` makes is."""

    def __init__(self, receive: Receive, send: Send, limit: int, render: Callable[[TooLarge], Reply]) -> None:
        self._receive = receive
        self._send = send
        self._limit = limit
        self._render = render
        self._read = 0
        self._started = False
        self._over = False
        self._whole = False
        """The body has come to its end: there is nothing more to wait for."""

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self._read += len(message.get("body", b""))
            self._whole = not message.get("more_body")
            if self._read > self._limit:
                self._over = True
                raise too_large(self._limit)
        return message

    async def send(self, message: Message) -> None:
        if not self._over or self._started:
            self._started = True
            await self._send(message)
        elif message["type"] == "http.response.start":
            reply = self._render(too_large(self._limit))
            if self._whole:
                await send_reply(reply, self._send)
            else:
                await refuse(reply, {}, self._receive, self._send)
