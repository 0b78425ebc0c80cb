"""/healthz: the process is alive. /readyz: it can do its work. /metrics: how much it has done."""

from time import monotonic
from typing import Any

from runwell.dialects.dialect import Services
from runwell.dialects.exchange import Call, Headers, Reply, bearer_or_key
from runwell.domain.errors import StoreUnavailable, Unavailable
from runwell.domain.principal import Scope
from runwell.server.metrics import CONTENT_TYPE, Metrics

_NO_STORE: Headers = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
CHECK_EVERY = 1.0
"""Seconds; a check writes, and anybody may ask for one."""


class Health:
    def __init__(self, services: Services, metrics: Metrics) -> None:
        self._services = services
        self._metrics = metrics
        self._checked_at = float("-inf")
        self._fault: StoreUnavailable | None = None

    async def alive(self, call: Call) -> Reply:
        """Always 200: a broken disk is no reason to kill the process that says so."""
        return Reply(200, _NO_STORE, b'{"status":"ok"}')

    async def ready(self, call: Call) -> Reply:
        """200 when a small write was durable within the last second; 503 otherwise, and when closing."""
        if self._services.closing.begun:
            raise Unavailable("The server is closing")
        if monotonic() - self._checked_at >= CHECK_EVERY:
            self._checked_at = monotonic()
            try:
                await self._services.core.store.check()
                self._fault = None
            except StoreUnavailable as error:
                self._fault = error
        if self._fault is not None:
            raise self._fault
        return Reply(200, _NO_STORE, b'{"status":"ready"}')

    async def metrics(self, call: Call) -> Reply:
        """The exposition. It names all owners' agents, so a key must have the scope `admin`."""
        await self._services.authenticator.admit(bearer_or_key(call.headers), Scope.ADMIN)
        core = self._services.core
        text = self._metrics.text(await core.store.runs.depths(), core.clock.now())
        return Reply(200, [(b"content-type", CONTENT_TYPE), (b"cache-control", b"no-store")], text)


def documented() -> dict[str, Any]:
    """The OpenAPI path items of these three."""
    problem = {"content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}}
    word = {"type": "object", "properties": {"status": {"type": "string"}}, "required": ["status"]}
    status = {"content": {"application/json": {"schema": word}}}

    def item(id: str, title: str, answers: dict[str, Any], **extra: Any) -> dict[str, Any]:
        return {
            "get": {"tags": ["server"], "operationId": id, "summary": title, "responses": answers, **extra}
        }

    text = {"description": "Text for Prometheus.", "content": {"text/plain": {"schema": {"type": "string"}}}}
    return {
        "/healthz": item("healthz", "Alive", {"200": {"description": "It is.", **status}}, security=[{}]),
        "/readyz": item(
            "readyz",
            "Ready",
            {"200": {"description": "It is.", **status}, "503": {"description": "It is not.", **problem}},
            security=[{}],
        ),
        "/metrics": item(
            "metrics",
            "Metrics; needs the scope admin",
            {
                "200": text,
                "401": {"description": "No credential.", **problem},
                "403": {"description": "The key lacks the scope.", **problem},
                "429": {"description": "Too many requests for this key.", **problem},
                "503": {"description": "The store is not available.", **problem},
            },
        ),
    }
