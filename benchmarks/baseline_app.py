"""What uvicorn can do at most: an ASGI app that knows its answers before it is asked.

GET, POST /<size>          a body of so many bytes; of a POST the body is read first
GET /stream/<n>/<size>     n server-sent events of that size, a write each
GET /idle                  an event stream that says nothing
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

_EVENT_STREAM = [(b"content-type", b"text/event-stream; charset=utf-8")]


class Hello:
    """The app. Answers of one size are made once."""

    def __init__(self) -> None:
        self._answers: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        if path.startswith("/stream/"):
            _, _, count, size = path.split("/")
            await self._stream(int(count), int(size), send)
        elif path == "/idle":
            await self._idle(receive, send)
        else:
            if scope["method"] == "POST":
                while (await receive()).get("more_body"):
                    continue
            start, body = self._answers.get(path) or self._answer(path)
            await send(start)
            await send(body)

    def _answer(self, path: str) -> tuple[dict[str, Any], dict[str, Any]]:
        body = b"x" * int(path[1:])
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        answer = (
            {"type": "http.response.start", "status": 200, "headers": headers},
            {"type": "http.response.body", "body": body},
        )
        self._answers[path] = answer
        return answer

    async def _stream(self, count: int, size: int, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": _EVENT_STREAM})
        for number in range(1, count + 1):
            head = b"id: %d\ndata: " % number
            frame = head + b"x" * (size - len(head) - 2) + b"\n\n"
            await send({"type": "http.response.body", "body": frame, "more_body": True})
            # So that all streams go on side by side, as they do where events come one by one.
            await asyncio.sleep(0)
        await send({"type": "http.response.body", "body": b""})

    async def _idle(self, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": _EVENT_STREAM})
        await send({"type": "http.response.body", "body": b"retry: 1000\n\n", "more_body": True})
        while (await receive())["type"] != "http.disconnect":
            continue


def hello() -> Hello:
    """For `uvicorn --factory`."""
    return Hello()
