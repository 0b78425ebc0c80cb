"""A request and its answer without a framework, for routes that are asked too often to afford one."""

from typing import NamedTuple

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from runwell.domain.errors import TooLarge

Headers = list[tuple[bytes, bytes]]


class Reply(NamedTuple):
    """A whole answer. `headers` are lower-case and without content-length, which `send_reply` adds."""

    status: int
    headers: Headers
    body: bytes = b""


class Call:
    """A request as the server handed it over.

    Of a header that comes twice `headers` has the last: none that is read here may come twice.
    `param` is the one path parameter of the route, or empty. `mount` is the path prefix it came
    through, without a slash at its end: empty at the root.
    """

    __slots__ = ("headers", "mount", "param", "receive", "scope")

    def __init__(
        self, scope: Scope, receive: Receive, headers: dict[bytes, bytes], param: str, mount: str
    ) -> None:
        self.scope = scope
        self.receive = receive
        self.headers = headers
        self.param = param
        self.mount = mount

    @classmethod
    def of(cls, request: Request, param: str = "") -> "Call":
        """The call behind a framework's request."""
        scope = request.scope
        return cls(scope, request.receive, dict(scope["headers"]), param, scope.get("root_path", ""))

    def header(self, name: bytes) -> str | None:
        """A header's value by its lower-case name."""
        value = self.headers.get(name)
        return None if value is None else value.decode("latin-1")

    async def body(self, most: int | None = None) -> bytes:
        """The whole body, of at most so many bytes; more are not read. The front has limited its size too.
        Raises `TooLarge`; `ClientDisconnect`, for half a body is none."""
        parts: list[bytes] = []
        size = 0
        while True:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if most is not None and size > most:
                raise TooLarge(f"This takes no more than {most} bytes", "Send less.")
            if not message.get("more_body"):
                return parts[0] if len(parts) == 1 else b"".join(parts)


async def send_reply(reply: Reply, send: Send) -> None:
    """Send it in one go."""
    status, headers, body = reply
    if status != 304 and status != 204:
        headers = [*headers, (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def as_response(reply: Reply | Response) -> Response:
    """The same answer for a framework route."""
    if isinstance(reply, Response):
        return reply
    response = Response(reply.body if reply.body else None, reply.status)
    response.raw_headers.extend(reply.headers)
    return response


def bearer_or_key(headers: dict[bytes, bytes]) -> str | None:
    """The credential of `Authorization: Bearer …` or `X-API-Key: …`; an empty one is a wrong one."""
    value = headers.get(b"authorization")
    if value is not None:
        scheme, _, credential = value.partition(b" ")
        return (credential if scheme.lower() == b"bearer" else value).strip().decode("latin-1")
    value = headers.get(b"x-api-key")
    return None if value is None else value.strip().decode("latin-1")
