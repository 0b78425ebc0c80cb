"""The native API, asked from within for whoever asks for a page: the same route, credential and answer."""

from typing import NamedTuple

from starlette.types import ASGIApp, Message

from runwell.dialects.exchange import Call, Headers

WHO = frozenset({b"authorization", b"x-api-key", b"cookie", b"host"})
"""Headers that say who asks. What else a browser says is of the page: what it has kept, what it prefers."""


class Answer(NamedTuple):
    status: int
    headers: Headers
    body: bytes


async def ask(app: ASGIApp, call: Call, path: str, query: bytes = b"") -> Answer:
    """GET a path of the API as whoever made this call. Errors are answers, as for any client."""
    scope = {
        **call.scope,
        "method": "GET",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query,
        "root_path": "",
        "headers": [each for each in call.scope["headers"] if each[0] in WHO],
    }
    status = 0
    headers: Headers = []
    parts: list[bytes] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        nonlocal status, headers
        if message["type"] == "http.response.start":
            status, headers = message["status"], list(message["headers"])
        else:
            parts.append(message.get("body", b""))

    await app(scope, receive, send)
    return Answer(status, headers, b"".join(parts))
