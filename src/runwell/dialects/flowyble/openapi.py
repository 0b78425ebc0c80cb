"""The document of this API: what the routes say of themselves, and the schemas they share."""

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import msgspec
from fastapi import FastAPI, Request
from starlette.responses import Response

from runwell.dialects.exchange import Call, Reply, as_response
from runwell.dialects.flowyble.bodies import BODIES, Failure
from runwell.dialects.flowyble.requests import REQUESTS

Document = dict[str, Any]

FAILURES = {
    400: "The request cannot be met; `message` says why.",
    401: "No API key, or one that is unknown or revoked.",
    403: "The key lacks a scope; or, in local mode, the request comes from elsewhere.",
    404: "There is no such thing, or it is somebody else's.",
    413: "The body is too large.",
    429: "Too many requests in a minute. `Retry-After` says when the next is let in.",
    503: "Nothing was done; the same request may work later.",
}
WITH_KEY = (401, 403, 404, 429, 503)
WITH_BODY = (400, 413)
ANY_OBJECT: Document = {"type": "object"}
ANY_JSON: Document = {}


@dataclass(frozen=True)
class Operation:
    """A route, with the name of its one path parameter in `path`. `failures` are statuses."""

    method: str
    path: str
    handler: Callable[[Call], Awaitable[Reply]]
    body: type[msgspec.Struct]
    tag: str
    failures: tuple[int, ...] = WITH_KEY
    request: Document | None = None
    request_required: bool = True
    headers: tuple[Document, ...] = ()
    open: bool = False
    """The address itself is the credential."""

    @property
    def param(self) -> str:
        return self.path.partition("{")[2].partition("}")[0]


def ref(struct: type[msgspec.Struct]) -> Document:
    return {"$ref": f"#/components/schemas/{struct.__name__}"}


def add(app: FastAPI, operation: Operation) -> None:
    """Give the app this route."""
    title, _, description = (inspect.getdoc(operation.handler) or "").partition("\n")
    app.add_api_route(
        operation.path,
        _endpoint(operation),
        methods=[operation.method],
        operation_id=operation.handler.__name__,
        summary=title.rstrip("."),
        description=description.strip() or None,
        tags=[operation.tag],
        response_class=Response,
        responses=_responses(operation),
        openapi_extra=_extra(operation),
    )


def document(app: FastAPI) -> Document:
    """The whole document; FastAPI's own, with our schemas."""
    made: Document = FastAPI.openapi(app)
    _, schemas = msgspec.json.schema_components(
        (*BODIES, *REQUESTS), ref_template="#/components/schemas/{name}"
    )
    components = made.setdefault("components", {})
    components["schemas"] = schemas
    components["securitySchemes"] = {"apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"}}
    # The last: nothing at all, which is enough in local mode.
    made["security"] = [{"apiKey": []}, {}]
    return made


def _endpoint(operation: Operation) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        return as_response(await operation.handler(Call.of(request, request.path_params[operation.param])))

    return endpoint


def _responses(operation: Operation) -> dict[int | str, Document]:
    found: dict[int | str, Document] = {
        200: {"description": "Done.", "content": {"application/json": {"schema": ref(operation.body)}}}
    }
    for status in sorted({*operation.failures, *(WITH_BODY if operation.request is not None else ())}):
        content = {"application/json": {"schema": ref(Failure)}}
        found[status] = {"description": FAILURES[status], "content": content}
        if status in (429, 503):
            found[status]["headers"] = {"Retry-After": {"schema": {"type": "integer", "minimum": 1}}}
    return found


def _extra(operation: Operation) -> Document:
    path = {"name": operation.param, "in": "path", "required": True, "schema": {"type": "string"}}
    extra: Document = {"parameters": [path, *operation.headers]}
    if operation.request is not None:
        content = {"application/json": {"schema": operation.request}}
        extra["requestBody"] = {"required": operation.request_required, "content": content}
    if operation.open:
        extra["security"] = [{}]
    return extra
