"""What every request meets first: a guard, a table of routes, and the routes too hot for a framework.

Pure ASGI, no middleware classes around it: each layer would cost more than the whole status read.
"""

import logging
from collections.abc import Mapping

from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope, Send

from runwell.dialects.dialect import HotHandler, RenderBody
from runwell.dialects.exchange import Call, Reply, send_reply
from runwell.domain.errors import RunwellError
from runwell.server.body_limit import CountedBody, check_length, refuse
from runwell.server.cors import Cors, is_preflight
from runwell.server.guard import LocalGuard
from runwell.server.metrics import Metrics
from runwell.server.paths import Mount, Paths, Place

logger = logging.getLogger("runwell.server")

NO_PLACE = "(none)"
"""The route of paths that are nobody's, in the metrics."""


class Front:
    """The ASGI app. `guard` is None outside local mode; `max_body` is in bytes; `callback_bodies` are
    the formats of callbacks that its dialects write."""

    def __init__(
        self,
        paths: Paths,
        metrics: Metrics,
        guard: LocalGuard | None,
        cors: Cors,
        max_body: int,
        callback_bodies: Mapping[str, RenderBody],
    ) -> None:
        self.paths = paths
        self.callback_bodies = callback_bodies
        self._guard = guard
        self._cors = cors
        self._max_body = max_body
        self._requests = metrics.requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await _decline(scope, receive, send)
            return
        method = scope["method"]
        segments = scope["path"].split("/")
        place = self.paths.find(segments, method)
        mount = self._mount(place, segments, method)
        headers: dict[bytes, bytes] = dict(scope["headers"])
        try:
            if self._guard is not None:
                self._guard.check(scope, headers)
            check_length(headers, self._max_body)
        except RunwellError as error:
            reply = mount.dialect.refuse(error, scope)
            self._count(method, place, reply.status)
            await refuse(reply, headers, receive, send)
            return
        origin = headers.get(b"origin")
        if origin is not None and not mount.dialect.own_cors and self._cors.allows(origin):
            if is_preflight(method, headers):
                await send_reply(self._cors.preflight(origin, headers), send)
                return
            send = self._cors.around(origin, send)
        if b"transfer-encoding" in headers:
            counted = CountedBody(
                receive, send, self._max_body, lambda error: mount.dialect.refuse(error, scope)
            )
            receive, send = counted.receive, counted.send
        if place is not None and (hot := place.hot.get(method)) is not None:
            call = Call(scope, receive, headers, segments[place.param], mount.prefix)
            if await self._hot(hot, call, mount, place, send):
                return
        await self._app(mount, place, scope, receive, send)

    def _mount(self, place: Place | None, segments: list[str], method: str) -> Mount:
        if place is None:
            return self.paths.nearest(segments)
        return place.methods.get(method, place.owner)

    async def _hot(self, handler: HotHandler, call: Call, mount: Mount, place: Place, send: Send) -> bool:
        """Whether the handler took the call."""
        try:
            answer = await handler(call)
        except ClientDisconnect:
            return True  # nobody is there to be answered
        except Exception as error:
            if not isinstance(error, RunwellError):
                logger.exception("%s %s failed", call.scope["method"], call.scope["path"])
            answer = mount.dialect.refuse(error, call.scope)
        if answer is None:
            return False
        if isinstance(answer, Reply):
            self._count(call.scope["method"], place, answer.status)
            await send_reply(answer, send)
        else:
            self._count(call.scope["method"], place, answer.status_code)
            await answer(call.scope, call.receive, send)
        return True

    async def _app(
        self, mount: Mount, place: Place | None, scope: Scope, receive: Receive, send: Send
    ) -> None:
        method = scope["method"]

        async def counting(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._count(method, place, message["status"])
            await send(message)

        # A copy: frameworks write into the scope, and the prefix is theirs alone.
        await mount.dialect.app({**scope, "root_path": mount.prefix}, receive, counting)

    def _count(self, method: str, place: Place | None, status: int) -> None:
        self._requests[method, place.template if place is not None else NO_PLACE, status] += 1


async def _decline(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers the lifespan, in which nothing is done: whoever runs the app starts what it needs.
    There are no websockets."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1008})
        return
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
