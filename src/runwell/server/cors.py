"""Cross-origin answers: what lets a web page of an allowed origin read them. Others get no word of it.

No answer lets cookies along, so an origin needs no more than to be named; what it may do is its key's
to say, or local mode's.
"""

from starlette.types import Message, Send

from runwell.auth.local_mode import normal_origin, origin_allowed
from runwell.dialects.exchange import Headers, Reply

_METHODS = b"GET, POST, PUT, PATCH, DELETE"
_HEADERS = b"authorization, content-type, idempotency-key, if-none-match, last-event-id, prefer, x-api-key"
_EXPOSED = b"etag, idempotent-replayed, location, preference-applied, retry-after"
_MAX_AGE = b"600"
"""Seconds for which a browser need not ask again."""


class Cors:
    """`origins` are the listed ones; in local mode, pages of this machine are allowed too."""

    def __init__(self, origins: frozenset[str], *, local_mode: bool) -> None:
        self._origins = origins
        self._local_mode = local_mode

    def allows(self, origin: bytes) -> bool:
        text = origin.decode("latin-1")
        if self._local_mode:
            return origin_allowed(text, self._origins)
        return normal_origin(text) in self._origins

    def preflight(self, origin: bytes, headers: dict[bytes, bytes]) -> Reply:
        """The answer to a browser that asks whether it may ask."""
        granted: Headers = [
            *_named(origin),
            (b"access-control-allow-methods", _METHODS),
            (b"access-control-allow-headers", _HEADERS),
            (b"access-control-max-age", _MAX_AGE),
        ]
        if headers.get(b"access-control-request-private-network") == b"true":
            # A page from the net that talks to this machine: its origin was listed by hand.
            granted.append((b"access-control-allow-private-network", b"true"))
        return Reply(204, granted)

    def around(self, origin: bytes, send: Send) -> Send:
        """A `send` that lets pages of this origin read the answer."""

        async def named(message: Message) -> None:
            if message["type"] == "http.response.start":
                exposed = (b"access-control-expose-headers", _EXPOSED)
                message = {**message, "headers": [*message["headers"], *_named(origin), exposed]}
            await send(message)

        return named


def is_preflight(method: str, headers: dict[bytes, bytes]) -> bool:
    return method == "OPTIONS" and b"access-control-request-method" in headers


def _named(origin: bytes) -> Headers:
    return [(b"access-control-allow-origin", origin), (b"vary", b"origin")]
