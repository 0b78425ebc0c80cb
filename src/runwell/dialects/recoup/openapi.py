"""The routes, and what the document of this API says of them."""

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import msgspec
from fastapi import FastAPI, Request
from starlette.responses import Response

from runwell.dialects.exchange import Call, Reply, as_response
from runwell.dialects.recoup.bodies import BODIES, Failure
from runwell.dialects.recoup.responses import empty

Document = dict[str, Any]

FAILURES = {
    400: "A fault in the request; `missing_fields` is its path.",
    401: "Not exactly one credential, or one that is unknown or revoked.",
    403: "The key lacks a scope, or it is another account's.",
    404: "There is no such thing.",
    409: "A run is under way in this chat; or the id is in use.",
    413: "The body is too large.",
    429: "Too many requests, or too many open streams, for this key. Nothing was done.",
    503: "Nothing was done; the same request may work later.",
    504: "It has not stopped in time; it is still being stopped.",
}
ALWAYS = (401, 403, 429, 503)
STREAM: Document = {
    "text/event-stream": {
        "schema": {"type": "string"},
        "example": 'data: {"type":"start","messageId":"m1"}\n\ndata: {"type":"finish"}\n\ndata: [DONE]\n\n',
    }
}
NOTHING = "Nothing to watch; or, as the server is set, a stream of one `finish`."


@dataclass(frozen=True)
class Operation:
    """A route. `answer` is the body of its success, None for a stream; `failures` beside the usual."""

    method: str
    path: str
    handler: Callable[[Call], Awaitable[Reply | Response]]
    answer: type[msgspec.Struct] | None
    failures: tuple[int, ...] = ()
    status: int = 200
    request: Document | None = None
    request_required: bool = True
    query: tuple[Document, ...] = ()
    may_be_empty: bool = False

    @property
    def params(self) -> list[str]:
        return [segment[1:-1] for segment in self.path.split("/") if segment.startswith("{")]


def add(app: FastAPI, operations: tuple[Operation, ...]) -> None:
    """Give the app these routes, and to each path what a browser asks first."""
    for operation in operations:
        title, _, description = (inspect.getdoc(operation.handler) or "").partition("\n")
        app.add_api_route(
            operation.path,
            _endpoint(operation),
            methods=[operation.method],
            status_code=operation.status,
            operation_id=operation.handler.__name__,
            summary=title.rstrip("."),
            description=description.strip() or None,
            tags=["sessions" if operation.path.startswith("/api/sessions") else "chat"],
            response_class=Response,
            responses=_responses(operation),
            openapi_extra=_extra(operation),
        )
    for path in dict.fromkeys(operation.path for operation in operations):
        app.add_api_route(path, _preflight, methods=["OPTIONS"], include_in_schema=False)


def document(app: FastAPI) -> Document:
    """The whole document; FastAPI's own, with our schemas."""
    made: Document = FastAPI.openapi(app)
    _, schemas = msgspec.json.schema_components(BODIES, ref_template="#/components/schemas/{name}")
    components = made.setdefault("components", {})
    components["schemas"] = schemas
    components["securitySchemes"] = {
        "apiKeyAuth": {"type": "apiKey", "in": "header", "name": "x-api-key"},
        "bearerAuth": {"type": "http", "scheme": "bearer"},
    }
    # The last: nothing at all, which is enough in local mode.
    made["security"] = [{"apiKeyAuth": []}, {"bearerAuth": []}, {}]
    return made


def _endpoint(operation: Operation) -> Callable[[Request], Awaitable[Response]]:
    first = operation.params[0] if operation.params else None

    async def endpoint(request: Request) -> Response:
        param = request.path_params[first] if first is not None else ""
        return as_response(await operation.handler(Call.of(request, param)))

    return endpoint


async def _preflight(request: Request) -> Response:
    return as_response(empty(200))


def _responses(operation: Operation) -> dict[int | str, Document]:
    content = STREAM
    if operation.answer is not None:
        content = {"application/json": {"schema": _ref(operation.answer)}}
    found: dict[int | str, Document] = {operation.status: {"description": "Done.", "content": content}}
    if operation.status == 202:
        found[202]["headers"] = {"Location": {"schema": {"type": "string"}}}
    if operation.may_be_empty:
        found[204] = {"description": NOTHING}
    with_body = (400, 413) if operation.request is not None else ()
    for status in sorted({*ALWAYS, *with_body, *operation.failures}):
        failure = {"application/json": {"schema": _ref(Failure)}}
        found[status] = {"description": FAILURES[status], "content": failure}
        if status in (429, 503):
            found[status]["headers"] = {"Retry-After": {"schema": {"type": "integer", "minimum": 1}}}
    return found


def _extra(operation: Operation) -> Document:
    path = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in operation.params
    ]
    extra: Document = {"parameters": [*path, *operation.query]}
    if operation.request is not None:
        content = {"application/json": {"schema": operation.request}}
        extra["requestBody"] = {"required": operation.request_required, "content": content}
    return extra


def _ref(struct: type[msgspec.Struct]) -> Document:
    return {"$ref": f"#/components/schemas/{struct.__name__}"}
