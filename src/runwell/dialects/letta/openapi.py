"""This dialect's OpenAPI document: routes, and the schemas of what they read and write."""

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import msgspec
from fastapi import FastAPI
from starlette.responses import Response

from runwell.dialects.letta import messages, requests
from runwell.dialects.letta.agent_state import AgentState
from runwell.dialects.letta.conversations import Conversation
from runwell.dialects.letta.models import ModelBody
from runwell.dialects.letta.runs import RunBody
from runwell.dialects.letta.steps import ProviderTrace, StepBody, StepMetrics, UsageBody

Document = dict[str, Any]
BODIES = (
    *messages.BODIES, AgentState, Conversation, ModelBody, RunBody, ProviderTrace, StepBody,
    StepMetrics, UsageBody, *requests.BODIES,
)  # fmt: skip
ANY = "any"
"""A JSON answer without a schema of its own."""
STREAM = "text/event-stream"
ERRORS = {
    401: "No credential, or one that is unknown or revoked.",
    403: "The key lacks a scope.",
    422: "The request does not fit; `detail` is the list of faults, as text.",
    429: "Too many requests, or too many open streams, for this key.",
    503: "Nothing was done; the same request may work later.",
}


@dataclass(frozen=True)
class Operation:
    """A route. The first line of the endpoint's docstring is its title; `answer` is the struct that is
    answered, `many` of them, or `ANY`."""

    method: str
    path: str
    endpoint: Callable[..., Any]
    answer: type[msgspec.Struct] | str
    many: bool = False
    body: type[msgspec.Struct] | None = None
    streams: bool = False
    tag: str = "runs"


def add(app: FastAPI, operations: Iterable[Operation]) -> None:
    """Give the app these routes."""
    for operation in operations:
        title, _, description = inspect.getdoc(operation.endpoint).partition("\n")  # type: ignore[union-attr]
        app.add_api_route(
            operation.path,
            operation.endpoint,
            methods=[operation.method],
            operation_id=operation.endpoint.__name__,
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
    _, schemas = msgspec.json.schema_components(BODIES, ref_template="#/components/schemas/{name}")
    components = made.setdefault("components", {})
    components["schemas"] = schemas
    components["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer"}}
    made["security"] = [{"bearer": []}, {}]
    return made


def _responses(operation: Operation) -> dict[int | str, Document]:
    content: Document = {}
    if operation.answer != STREAM:
        content["application/json"] = {"schema": _schema(operation)}
    if operation.streams:
        content[STREAM] = {"schema": {"type": "string"}}
    responses: dict[int | str, Document] = {200: {"description": "Done.", "content": content}}
    for status, description in ERRORS.items():
        detail = {"type": "object", "properties": {"detail": {}}}
        responses[status] = {
            "description": description,
            "content": {"application/json": {"schema": detail}},
        }
    return responses


def _schema(operation: Operation) -> Document:
    if isinstance(operation.answer, str):
        return {}
    schema: Document = {"$ref": f"#/components/schemas/{operation.answer.__name__}"}
    return {"type": "array", "items": schema} if operation.many else schema


def _extra(operation: Operation) -> Document | None:
    if operation.body is None:
        return None
    schema = {"$ref": f"#/components/schemas/{operation.body.__name__}"}
    return {"requestBody": {"required": False, "content": {"application/json": {"schema": schema}}}}
