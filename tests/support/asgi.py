"""An ASGI client that delivers what is sent when it is sent: a live stream can be watched through it.

Everything happens on the test's loop, without sockets. A connection is a task with two queues.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import unquote, urlsplit

from starlette.types import ASGIApp, Message

PATIENCE = 20.0
"""Seconds after which a test has waited for something that does not come."""


TURNS = 100
"""Turns of the loop after which what is waited for is in other hands, a thread's or a database's."""


async def soon(true: Callable[[], object]) -> None:
    """Give the loop turns until `true` is."""
    deadline = asyncio.get_running_loop().time() + PATIENCE
    turns = 0
    while not true():
        assert asyncio.get_running_loop().time() < deadline, "it does not happen"
        turns += 1
        if turns < TURNS:
            await asyncio.sleep(0)
        else:
            await asyncio.sleep(0.001)  # sleep: whoever has it needs the processor


class Exchange:
    """One request under way. `status` and `headers` are there after `started`."""

    def __init__(
        self, app: ASGIApp, scope: dict[str, Any], body: Iterable[bytes], *, unsent: bool = False
    ) -> None:
        self.scope = scope
        self.status = 0
        self.taken = 0
        """How many pieces of the request the app has asked for and got."""
        self.headers: dict[str, str] = {}
        self.sends: list[Message] = []
        """Everything the app has sent."""
        self._incoming: asyncio.Queue[Message] = asyncio.Queue()
        self._outgoing: asyncio.Queue[Message | None] = asyncio.Queue()
        parts = list(body) or [b""]
        for index, part in enumerate([] if unsent else parts):
            more = index + 1 < len(parts)
            self._incoming.put_nowait({"type": "http.request", "body": part, "more_body": more})
        self.task = asyncio.ensure_future(self._run(app, scope))

    async def _run(self, app: ASGIApp, scope: dict[str, Any]) -> None:
        try:
            await app(scope, self._receive, self._send)
        finally:
            self._outgoing.put_nowait(None)

    async def _receive(self) -> Message:
        message = await self._incoming.get()
        self.taken += 1
        return message

    async def _send(self, message: Message) -> None:
        self.sends.append(message)
        self._outgoing.put_nowait(message)

    async def started(self) -> "Exchange":
        message = await self._next()
        assert message is not None, "the app ended without an answer"
        assert message["type"] == "http.response.start", message
        self.status = message["status"]
        self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        return self

    async def chunk(self) -> bytes | None:
        """The next piece of the body, as it was sent; None when the answer is complete."""
        message = await self._next()
        if message is None:
            return None
        body: bytes = message.get("body", b"")
        if not message.get("more_body") and not body:
            return None
        return body

    async def until(self, text: bytes) -> bytes:
        """What comes up to and with the next piece that contains `text`."""
        chunks = []
        while (chunk := await self.chunk()) is not None:
            chunks.append(chunk)
            if text in chunk:
                return b"".join(chunks)
        raise AssertionError(f"the answer ended without {text!r}")

    async def read(self) -> bytes:
        """All that is left of the body."""
        chunks = []
        while (chunk := await self.chunk()) is not None:
            chunks.append(chunk)
        return b"".join(chunks)

    def leave(self) -> None:
        """Close the connection from the client's side."""
        self._incoming.put_nowait({"type": "http.disconnect"})

    async def ended(self) -> None:
        """Until the app has let go of the request. Raises what it raised."""
        await asyncio.wait_for(asyncio.shield(self.task), PATIENCE)

    async def _next(self) -> Message | None:
        return await asyncio.wait_for(self._outgoing.get(), PATIENCE)


class Answer:
    """A whole answer."""

    def __init__(self, exchange: Exchange, body: bytes) -> None:
        self.status = exchange.status
        self.headers = exchange.headers
        self.body = body

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()


class AsgiClient:
    """Requests to one app. `headers` go with each; `Host` is loopback unless they say otherwise."""

    def __init__(self, app: ASGIApp, headers: dict[str, str] | None = None) -> None:
        self.app = app
        self.headers = {"host": "127.0.0.1:8005", **(headers or {})}

    def with_headers(self, **headers: str) -> "AsgiClient":
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return AsgiClient(self.app, {**self.headers, **named})

    @asynccontextmanager
    async def open(
        self,
        method: str,
        url: str,
        *,
        headers: dict[str, str] | list[tuple[str, str]] | None = None,
        body: bytes | list[bytes] = b"",
        unsent: bool = False,
    ) -> AsyncIterator[Exchange]:
        """A request whose answer is taken piece by piece. Leaves at the end, if it is still open.
        `unsent`: no piece of the body is ever sent."""
        extra = headers.items() if isinstance(headers, dict) else headers or ()
        pairs = [*self.headers.items(), *extra]
        parts = [body] if isinstance(body, bytes) else body
        if isinstance(body, bytes):
            if body:
                pairs.append(("content-length", str(len(body))))
        else:
            pairs.append(("transfer-encoding", "chunked"))
        exchange = Exchange(self.app, _scope(method, url, pairs), parts, unsent=unsent)
        try:
            yield exchange
        finally:
            exchange.leave()
            await exchange.ended()

    async def request(
        self,
        method: str,
        url: str,
        *,
        json: Any = ...,
        headers: dict[str, str] | list[tuple[str, str]] | None = None,
        body: bytes | list[bytes] = b"",
    ) -> Answer:
        if json is not ...:
            body = _dumps(json)
        async with self.open(method, url, headers=headers, body=body) as exchange:
            await exchange.started()
            return Answer(exchange, await exchange.read())

    async def get(self, url: str, **given: Any) -> Answer:
        return await self.request("GET", url, **given)

    async def post(self, url: str, json: Any = ..., **given: Any) -> Answer:
        return await self.request("POST", url, json=json, **given)

    async def put(self, url: str, json: Any = ..., **given: Any) -> Answer:
        return await self.request("PUT", url, json=json, **given)

    async def patch(self, url: str, json: Any = ..., **given: Any) -> Answer:
        return await self.request("PATCH", url, json=json, **given)

    async def delete(self, url: str, **given: Any) -> Answer:
        return await self.request("DELETE", url, **given)


def _dumps(value: Any) -> bytes:
    return json.dumps(value).encode()


def _scope(method: str, url: str, headers: list[tuple[str, str]]) -> dict[str, Any]:
    parts = urlsplit(url)
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(parts.path),
        "raw_path": parts.path.encode(),
        "query_string": parts.query.encode(),
        "root_path": "",
        # A Host given for one request replaces the client's own.
        "headers": [
            (name.lower().encode(), value.encode("latin-1"))
            for index, (name, value) in enumerate(headers)
            if not (index == 0 and any(other.lower() == "host" for other, _ in headers[1:]))
        ],
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 8005),
        "state": {},
    }
