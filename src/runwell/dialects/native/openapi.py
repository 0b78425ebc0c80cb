"""The native API's OpenAPI document: what the routes say of themselves, and the schemas they share."""

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec
from fastapi import FastAPI
from starlette.responses import Response

from runwell.auth import cookies
from runwell.dialects.native.bodies import BODIES, Problem
from runwell.dialects.native.overview import BODIES as OVERVIEW_BODIES
from runwell.dialects.native.overview import REQUESTS as OVERVIEW_REQUESTS
from runwell.dialects.native.requests import REQUESTS
from runwell.dialects.native.schedules import BODIES as SCHEDULE_BODIES
from runwell.dialects.native.schedules import REQUESTS as SCHEDULE_REQUESTS

Document = dict[str, Any]

PROBLEMS = {
    400: "The body is not JSON.",
    401: "No credential, or one that is unknown or revoked.",
    403: "The key lacks a scope; or, in local mode, the request comes from elsewhere.",
    404: "There is no such thing, or it is somebody else's.",
    409: "Right request, wrong moment.",
    410: "The run is kept, its log was pruned.",
    413: "The body is too large.",
    422: "The request is understood and cannot be met; `errors` points at the faults.",
    429: "Too many requests, or too many open streams, for this key. Nothing was done.",
    503: "Nothing was done; the same request may work later.",
}
ALWAYS = (401, 403, 422, 429, 503)
WITH_BODY = (400, 413)

_HEADERS: dict[str, tuple[str, Document]] = {
    "Location": ("The run's path, under the mount the request came through.", {"type": "string"}),
    "ETag": ("Names this state of the run, its place in the queue included.", {"type": "string"}),
    "Retry-After": ("Seconds until asking again is worth it.", {"type": "integer", "minimum": 1}),
    "Preference-Applied": ("The wait that was granted.", {"type": "string"}),
    "Idempotent-Replayed": ("`true`: this key has been used, and this is its run.", {"type": "string"}),
    "WWW-Authenticate": ("How to authenticate.", {"type": "string"}),
}

SECURITY: Document = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "An API key, `rw_…`"},
    "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "An API key, `rw_…`"},
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": cookies.NAME,
        "description": "Whoever is signed in to the dashboard; for pages of this server alone. Over TLS the "
        f"cookie is called `{cookies.name_of(secure=True)}`.",
    },
}


@dataclass(frozen=True)
class Answer:
    """One way a request can go well."""

    status: int
    description: str
    body: type[msgspec.Struct] | None = None
    headers: tuple[str, ...] = ()
    content: Document = field(default_factory=dict)
    """Media types beside JSON, with their descriptions."""


@dataclass(frozen=True)
class Operation:
    """A route and all that is to be said of it. The first line of the endpoint's docstring is its title."""

    method: str
    path: str
    endpoint: Callable[..., Any]
    answers: tuple[Answer, ...]
    tag: str
    body: type[msgspec.Struct] | None = None
    problems: tuple[int, ...] = ()
    example: Any = None
    parameters: tuple[Document, ...] = ()
    """Headers that the route reads without the framework."""


def ref(struct: type[msgspec.Struct]) -> Document:
    return {"$ref": f"#/components/schemas/{struct.__name__}"}


def add(app: FastAPI, operations: Iterable[Operation]) -> None:
    """Give the app these routes."""
    for operation in operations:
        title, _, description = inspect.getdoc(operation.endpoint).partition("\n")  # type: ignore[union-attr]
        first, *_ = operation.answers
        app.add_api_route(
            operation.path,
            operation.endpoint,
            methods=[operation.method],
            operation_id=operation.endpoint.__name__,
            summary=title.rstrip("."),
            description=description.strip() or None,
            tags=[operation.tag],
            status_code=first.status,
            response_class=Response,
            responses=_responses(operation),
            openapi_extra=_extra(operation),
        )


def document(app: FastAPI) -> Document:
    """The whole document; FastAPI's own, with our schemas."""
    made: Document = FastAPI.openapi(app)
    _, schemas = msgspec.json.schema_components(
        (*BODIES, *REQUESTS, *OVERVIEW_BODIES, *OVERVIEW_REQUESTS, *SCHEDULE_BODIES, *SCHEDULE_REQUESTS),
        ref_template="#/components/schemas/{name}",
    )
    for schema in schemas.values():
        if "description" in schema:
            schema["description"] = inspect.cleandoc(schema["description"])
    components = made.setdefault("components", {})
    # What the framework adds for its own validation errors is never sent: ours are problems.
    components["schemas"] = schemas
    components["securitySchemes"] = SECURITY
    # The last: nothing at all, which is enough in local mode.
    made["security"] = [{"bearer": []}, {"apiKey": []}, {"session": []}, {}]
    return made


def header(name: str, description: str, schema: Document) -> Document:
    return {"name": name, "in": "header", "required": False, "description": description, "schema": schema}


def _responses(operation: Operation) -> dict[int | str, Document]:
    responses: dict[int | str, Document] = {}
    for answer in operation.answers:
        content = dict(answer.content)
        if answer.body is not None:
            content["application/json"] = {"schema": ref(answer.body)}
        responses[answer.status] = _response(answer.description, answer.headers, content)
    problems = {*ALWAYS, *operation.problems, *(WITH_BODY if operation.body else ())}
    for status in sorted(problems):
        content = {"application/problem+json": {"schema": ref(Problem)}}
        headers = {401: ("WWW-Authenticate",), 429: ("Retry-After",), 503: ("Retry-After",)}.get(status, ())
        responses[status] = _response(PROBLEMS[status], headers, content)
    return responses


def _response(description: str, headers: tuple[str, ...], content: Document) -> Document:
    response: Document = {"description": description}
    if headers:
        response["headers"] = {
            name: {"description": _HEADERS[name][0], "schema": _HEADERS[name][1]} for name in headers
        }
    if content:
        response["content"] = content
    return response


def _extra(operation: Operation) -> Document:
    extra: Document = {}
    if operation.body is not None:
        content: Document = {"schema": ref(operation.body)}
        if operation.example is not None:
            content["example"] = operation.example
        extra["requestBody"] = {"required": True, "content": {"application/json": content}}
    if operation.parameters:
        extra["parameters"] = list(operation.parameters)
    return extra
