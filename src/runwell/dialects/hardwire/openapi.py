"""The routes, and what the document of this API says of them."""

import inspect
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

import msgspec
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from runwell.dialects.exchange import Call, Reply, as_response
from runwell.dialects.hardwire.auth_errors import AuthError
from runwell.dialects.hardwire.errors import AppError, DocsError
from runwell.dialects.hardwire.hardwire import Answer, Handler, Hardwire
from runwell.dialects.hardwire.requests import path_id
from runwell.domain.errors import RunwellError
from runwell.domain.principal import Scope as Right

Document = dict[str, Any]
OpenHandler = Callable[[Call], Awaitable[Answer]]

UUIDS = frozenset({"chatId", "workflowId", "workflowRunId"})
FAILURES = {
    400: "An id in the path that is no UUID, or a fault in the request.",
    401: "No session, or one that has ended.",
    403: "Another user's, or the page of another site asks.",
    404: "There is no such thing.",
    409: "A run is under way in this chat.",
    413: "The body is too large.",
    422: "There is a user with this address already.",
    429: "Too many. Nothing was done.",
    500: "No answer came.",
    503: "Nothing was done; the same request may work later.",
}
STREAM: Document = {"text/event-stream": {"schema": {"type": "string"}}}


@dataclass(frozen=True)
class Operation:
    """A route. `right` is what its caller must be allowed; None lets in who has no session, and gives the
    call alone. `answer` is the type of its success: None for no body; `stream` for frames instead."""

    method: str
    path: str
    handler: Any
    right: Right | None
    answer: Any = None
    failures: tuple[int, ...] = ()
    status: int = 200
    request: Document | None = None
    query: tuple[Document, ...] = ()
    stream: bool = False

    @property
    def params(self) -> list[str]:
        return [segment[1:-1] for segment in self.path.split("/") if segment.startswith("{")]

    @property
    def tag(self) -> str:
        return self.path.split("/")[2]


def handler_of(hardwire: Hardwire, operation: Operation) -> OpenHandler:
    """What takes the call, with or without a framework before it."""
    right = operation.right
    if right is None:
        open_handler: OpenHandler = operation.handler

        async def let_in(call: Call) -> Answer:
            return hardwire.let_go(await open_handler(call), call.scope, [])

        return let_in
    handler: Handler = operation.handler
    params = operation.params

    async def admitted(call: Call) -> Answer:
        return await hardwire.handle(handler, right, call, lambda: _ids(params, call))

    return admitted


def _ids(params: list[str], call: Call) -> dict[str, str]:
    """Raises `Failed`."""
    given = call.scope.get("path_params") or {}
    texts = {name: given.get(name, call.param) for name in params}
    return {name: path_id(name, text) if name in UUIDS else text for name, text in texts.items()}


def add(app: FastAPI, hardwire: Hardwire, operations: Iterable[Operation]) -> None:
    """Give the app these routes, and to each path what a browser asks first."""
    operations = tuple(operations)
    for operation in operations:
        title, _, description = (inspect.getdoc(operation.handler) or "").partition("\n")
        app.add_api_route(
            operation.path,
            _endpoint(handler_of(hardwire, operation)),
            methods=[operation.method],
            status_code=operation.status,
            operation_id=_operation_id(operation),
            summary=title.rstrip("."),
            description=description.strip() or None,
            tags=[operation.tag],
            response_class=Response,
            responses=_responses(operation, hardwire.wire.strict),
            openapi_extra=_extra(operation),
        )

    async def preflight(request: Request) -> Response:
        return as_response(Reply(204, hardwire.access.preflight(request.scope)))

    for path in dict.fromkeys(operation.path for operation in operations):
        app.add_api_route(path, preflight, methods=["OPTIONS"], include_in_schema=False)
    _install(app, hardwire)


def document(app: FastAPI, operations: Iterable[Operation]) -> Document:
    """The whole document; FastAPI's own, with our schemas."""
    made: Document = FastAPI.openapi(app)
    types = [operation.answer for operation in operations if operation.answer is not None]
    _, schemas = msgspec.json.schema_components(
        [*dict.fromkeys(types), DocsError, AppError, AuthError], ref_template="#/components/schemas/{name}"
    )
    components = made.setdefault("components", {})
    components["schemas"] = schemas
    components["securitySchemes"] = {
        "session": {"type": "apiKey", "in": "cookie", "name": "better-auth.session_token"}
    }
    return made


def _operation_id(operation: Operation) -> str:
    name: str = operation.handler.__name__
    return name if operation.path != "/api/auth/get-session" else f"{name}_by_its_other_name"


def _endpoint(handler: OpenHandler) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        return as_response(await handler(Call.of(request)))

    return endpoint


def _install(app: FastAPI, hardwire: Hardwire) -> None:
    """Let every error of this app's routes look as the dialect's do."""

    async def answer(request: Request, error: Exception) -> Response:
        return as_response(hardwire.refuse(error, request.scope))

    for kind in (RunwellError, RequestValidationError, HTTPException, Exception):
        app.add_exception_handler(kind, answer)


def _responses(operation: Operation, strict: bool) -> dict[int | str, Document]:
    found: dict[int | str, Document] = {operation.status: {"description": "Done."}}
    if operation.stream:
        found[operation.status]["content"] = STREAM
    elif operation.answer is not None:
        found[operation.status]["content"] = {"application/json": {"schema": _ref(operation.answer)}}
    failure = AuthError if operation.tag == "auth" else AppError if strict else DocsError
    statuses = {*operation.failures, 503}
    if operation.right is not None:
        statuses |= {401, 403}
    if any(name in UUIDS for name in operation.params) or operation.request is not None:
        statuses.add(400)
    if operation.request is not None:
        statuses.add(413)
    for status in sorted(statuses):
        content = {"application/json": {"schema": _ref(failure)}}
        found[status] = {"description": FAILURES[status], "content": content}
    return found


def _extra(operation: Operation) -> Document:
    uuid, text = {"type": "string", "format": "uuid"}, {"type": "string"}
    path = [
        {"name": name, "in": "path", "required": True, "schema": uuid if name in UUIDS else text}
        for name in operation.params
    ]
    extra: Document = {
        "parameters": [*path, *operation.query],
        "security": [{"session": []}] if operation.right is not None else [],
    }
    if operation.request is not None:
        content = {"application/json": {"schema": operation.request}}
        extra["requestBody"] = {"required": True, "content": content}
    return extra


def _ref(answer: Any) -> Document:
    (schema,), _ = msgspec.json.schema_components([answer], ref_template="#/components/schemas/{name}")
    found: Document = schema
    return found
