"""A real HTTP server on loopback that says what a test tells it to, in a thread of its own."""

import json
import random
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, NamedTuple

import uvicorn

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]


class Dropped(Exception):
    """Raised in an app, makes uvicorn cut the connection."""


class Seen(NamedTuple):
    """A request as it came in."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes


class Answer(NamedTuple):
    """What to say. `drop`: cut the connection instead, after the body was read."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = MappingProxyType({})
    drop: bool = False


def listen(port: int = 0) -> socket.socket:
    """A listening socket: what connects before the server runs waits in its queue."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", port))
    sock.listen()
    return sock


@contextmanager
def serving(app: App, port: int = 0) -> Iterator[str]:
    """Serve `app`; gives its address. At the end open connections are cut."""
    sock = listen(port)
    config = uvicorn.Config(
        app, lifespan="off", log_level="critical", timeout_graceful_shutdown=0, access_log=False
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{sock.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        sock.close()


async def read_request(scope: Message, receive: Receive) -> Seen:
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    headers = {name.decode(): value.decode() for name, value in scope["headers"]}
    return Seen(scope["method"], scope["path"], scope["query_string"].decode(), headers, body)


class Script:
    """Gives its answers one after the other, the last one for ever, and remembers the requests."""

    def __init__(self, *answers: Answer | Callable[[Seen], Answer]) -> None:
        self.answers = list(answers)
        self.seen: list[Seen] = []

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        seen = await read_request(scope, receive)
        self.seen.append(seen)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if callable(answer) and not isinstance(answer, Answer):
            answer = answer(seen)
        if answer.drop:
            # Cut inside the answer: before its first byte uvicorn would still say 500.
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"9")]})
            await send({"type": "http.response.body", "body": b"{", "more_body": True})
            raise Dropped
        body = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
        headers = [(name.encode(), value.encode()) for name, value in answer.headers.items()]
        if answer.status not in (204, 304):
            headers.append((b"content-length", str(len(body)).encode()))
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if answer.status in (204, 304) else body})


EVENT_STREAM = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"text/event-stream")],
}

AT = "2026-11-22T22:28:00.000123Z"


def frame(seq: int, type: str, **data: Any) -> bytes:
    event = json.dumps({"seq": seq, "at": AT, "type": type, "data": data}, ensure_ascii=False)
    return f"id: {seq}\nevent: {type}\ndata: {event}\n\n".encode()


def log_of(count: int) -> list[bytes]:
    """The frames of a run's log: `count` events, text with all that makes text awkward, then the end."""
    words = ["plain", "ünïcödé", "🚀 rocket", "line\nbreak", "data: not a field", "\r\n"]
    frames = [
        frame(1, "run.created", agent="a", input="x"),
        frame(2, "attempt.started", attempt=1, worker="w"),
    ]
    frames += [frame(seq, "output.text_delta", text=words[seq % len(words)]) for seq in range(3, count)]
    return [*frames, frame(count, "run.succeeded", output="done")]


class FlakyLog:
    """Serves a run's log as an event stream, cut into odd chunks, and breaks off at random points.

    After a cut it also tends to send some events again, as a proxy with a cache might.
    """

    def __init__(self, frames: list[bytes], chance: random.Random, cuts: int) -> None:
        self.frames = frames
        self.chance = chance
        self.cuts = cuts
        self.cursors: list[int] = []

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        seen = await read_request(scope, receive)
        after = int(seen.headers["last-event-id"])
        self.cursors.append(after)
        if after >= len(self.frames):
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body"})
            return
        start = max(after - self.chance.randint(0, 2), 0)
        stream = b"retry: 1\n\n: keep-alive\n\n" + b"".join(self.frames[start:])
        cut = None
        if self.cuts:
            self.cuts -= 1
            # Somewhere in the next few hundred bytes, so that every connection gets a little further.
            cut = self.chance.randint(0, 900)
        await send(EVENT_STREAM)
        await self._pour(stream[:cut], send)
        if cut is not None and self.chance.random() < 0.7:
            raise Dropped
        await send({"type": "http.response.body", "body": b""})

    async def _pour(self, stream: bytes, send: Send) -> None:
        position = 0
        while position < len(stream):
            size = self.chance.randint(1, 200)
            chunk = stream[position : position + size]
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
            position += size
