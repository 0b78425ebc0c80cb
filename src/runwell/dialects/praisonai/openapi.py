"""The routes, and what the OpenAPI document says of them."""

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
from fastapi import FastAPI
from starlette.responses import Response

from runwell.dialects.praisonai import bodies, routes
from runwell.dialects.praisonai.jobs import AdmittedRoute
from runwell.dialects.praisonai.words import JobStatus

Document = dict[str, Any]

FAULTS = {
    400: "A status that there is not; or an `agent_file` outside the root.",
    401: "No credential, or one that is unknown or revoked.",
    403: "The key lacks a scope; or, in local mode, the request comes from elsewhere.",
    404: "There is no such job, or it is somebody else's.",
    409: "Right request, wrong moment.",
    413: "The body is too large.",
    422: "Faults in the request, one by one.",
    429: "Too many requests, or too many open streams, for this key. Nothing was done.",
    503: "Nothing was done; the same request may work later.",
}
ALWAYS = (401, 403, 429, 503)
SECURITY: Document = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "An API key, `rw_…`"},
    "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "An API key, `rw_…`"},
}
STREAM: Document = {
    "schema": {"type": "string"},
    "example": 'id: 3\r\nevent: progress\r\ndata: {"percentage": 30.0, "step": "Reading", '
    '"event": "progress", "data": {"percentage": 30.0, "current_step": "Reading"}}\r\n\r\n',
}


class Operation(NamedTuple):
    """A route: `answers` are the ways it can go well, `faults` those it can go wrong beside the usual."""

    method: str
    path: str
    endpoint: Callable[..., Any]
    answers: dict[int, tuple[str, type[msgspec.Struct] | Document | None]]
    faults: tuple[int, ...] = ()
    open: bool = False


def _operations() -> tuple[Operation, ...]:
    runs, job = "/api/v1/runs", "/api/v1/runs/{job_id}"
    status = bodies.JobStatusResponse
    return (
        Operation(
            "POST", runs, routes.submit_job,
            {202: ("Queued, or known already.", bodies.JobSubmitResponse)}, (400, 413, 422),
        ),
        Operation("GET", runs, routes.list_jobs, {200: ("A page.", bodies.JobListResponse)}, (400, 422)),
        Operation("GET", job, routes.get_job_status, {200: ("The job.", status)}, (404,)),
        Operation(
            "GET", f"{job}/result", routes.get_job_result,
            {200: ("How it ended.", bodies.JobResultResponse)}, (404, 409),
        ),
        Operation(
            "POST", f"{job}/cancel", routes.cancel_job,
            {200: ("It is cancelled.", status), 202: ("It is being stopped.", status)}, (404, 409),
        ),
        Operation("DELETE", job, routes.delete_job, {204: ("Deleted.", None)}, (404, 409)),
        Operation(
            "GET", f"{job}/stream", routes.stream_job,
            {200: ("The stream.", STREAM), 204: ("All of it has been seen.", None)}, (404,),
        ),
        Operation(
            "GET", "/health", routes.health_check, {200: ("It is there.", bodies.HealthResponse)}, open=True
        ),
        Operation("GET", "/stats", routes.get_stats, {200: ("The numbers.", bodies.StatsResponse)}),
    )  # fmt: skip


def add_routes(app: FastAPI) -> None:
    for operation in _operations():
        title, _, description = inspect.getdoc(operation.endpoint).partition("\n")  # type: ignore[union-attr]
        first, *_ = operation.answers
        app.router.add_api_route(
            operation.path,
            operation.endpoint,
            methods=[operation.method],
            summary=title.rstrip("."),
            description=description.strip() or None,
            tags=["jobs"] if operation.path.startswith("/api") else ["server"],
            status_code=first,
            response_class=Response,
            responses=_responses(operation),
            route_class_override=None if operation.open else AdmittedRoute,
        )


def document(app: FastAPI) -> Document:
    """The whole document; FastAPI's own, with our schemas beside its own of the request."""
    made: Document = FastAPI.openapi(app)
    _, schemas = msgspec.json.schema_components(bodies.BODIES, ref_template="#/components/schemas/{name}")
    for schema in schemas.values():
        schema["description"] = inspect.cleandoc(schema.get("description", ""))
        if "status" in schema.get("properties", {}) and "job_id" in schema["properties"]:
            schema["properties"]["status"] = {"type": "string", "enum": [str(each) for each in JobStatus]}
    components = made.setdefault("components", {})
    components["schemas"] = {**components.get("schemas", {}), **schemas}
    components["securitySchemes"] = SECURITY
    # The last: nothing at all, which is enough in local mode.
    made["security"] = [{"bearer": []}, {"apiKey": []}, {}]
    return made


def _responses(operation: Operation) -> dict[int | str, Document]:
    responses: dict[int | str, Document] = {}
    for status, (description, body) in operation.answers.items():
        responses[status] = {"description": description}
        if isinstance(body, dict):
            responses[status]["content"] = {"text/event-stream": body}
        elif body is not None:
            responses[status]["content"] = {"application/json": {"schema": _ref(body)}}
    always = (503,) if operation.open else ALWAYS
    for status in sorted({*always, *operation.faults} - {422}):
        body = bodies.Refusal if status == 401 else bodies.Detail
        content = {"application/json": {"schema": _ref(body)}}
        responses[status] = {"description": FAULTS[status], "content": content}
    return responses


def _ref(body: type[msgspec.Struct]) -> Document:
    return {"$ref": f"#/components/schemas/{body.__name__}"}
