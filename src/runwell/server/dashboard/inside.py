"""The native API, asked from within for whoever asks for a page: the same route, credential and answer."""

from typing import NamedTuple

from starlette.types import ASGIApp, Message

from runwell.dialects.exchange import Call


class Answer(NamedTuple):
    status: int
    body: bytes


async def ask(app: ASGIApp, call: Call, path: str, query: bytes = b"") -> Answer:
    """GET a path of the API, with the headers of this call. Errors are answers, as for any client."""
    scope = {
        **call.scope,
        "method": "GET",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query,
        "root_path": "",
    }
    status = 0
    parts: list[bytes] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
        else:
            parts.append(message.get("body", b""))

    await app(scope, receive, send)
    return Answer(status, b"".join(parts))
