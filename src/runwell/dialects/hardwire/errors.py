"""Errors as both forms of this API have them. The only place where a domain error meets an HTTP status.

docs   {"error": "Not Found", "message": "Chat does not exist"}
app    {"message", "clientMessage", "code", "error"?, "requestId", "statusCode"}
auth   {"code", "message"}: below /api/auth, in both forms; see `auth_errors`
"""

import math
import uuid
from collections.abc import Sequence
from typing import Literal, NamedTuple, assert_never

import msgspec
from fastapi.routing import iter_route_contexts
from msgspec import UNSET, UnsetType
from starlette.exceptions import HTTPException
from starlette.routing import Match, Route
from starlette.types import Scope

from runwell.dialects.exchange import Headers, Reply
from runwell.domain.errors import (
    AgentNotFound,
    ErrorKind,
    InvalidInput,
    InvalidJson,
    RateLimited,
    RunNotFound,
    RunwellError,
    ThreadBusy,
    ThreadNotFound,
    TooMany,
    Unauthenticated,
    Unavailable,
    UserNotFound,
)

JSON = (b"content-type", b"application/json")
PRIVATE = (b"cache-control", b"private, no-cache")
UNEXPLAINED = "We experienced an internal error. Please try again or contact support for assistance."
TOO_MANY = "Too many requests. Please try again later."
LONGEST_REQUEST_ID = 200

Field = Literal["message", "clientMessage", "both"]

TYPES = {
    400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed",
    409: "Conflict", 410: "Gone", 413: "Payload Too Large", 422: "Unprocessable Entity",
    429: "Too Many Requests", 500: "Internal Server Error", 503: "Service Unavailable",
}  # fmt: skip


class Told(NamedTuple):
    """A refusal in both forms: `docs` is the sentence of one; `app` that of the other, in the field that
    carries it. `detail` are the validator's sentences."""

    status: int
    code: str
    docs: str
    app: str
    field: Field = "clientMessage"
    detail: str | None = None


class Failed(RunwellError):
    """A refusal in this API's own words, which brings its status along."""

    code = "failed"

    def __init__(self, told: Told) -> None:
        super().__init__(told.docs)
        self.told = told


class DocsError(msgspec.Struct, frozen=True):
    error: str
    message: str


class AppError(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """`error` are the validator's sentences."""

    message: str
    client_message: str
    code: str
    error: str | UnsetType = UNSET
    request_id: str
    status_code: int
    retry_after: int | UnsetType = UNSET


def invalid_id(what: str, texts: str) -> Failed:
    """A path that holds no UUID where one belongs. `what` names it for people."""
    return Failed(Told(400, "REQUEST_VALIDATION", f"Invalid {what} format", _schema(what), "message", texts))


def invalid(what: str, faults: Sequence[str]) -> Failed:
    """A body or a query in which the validator found these faults; `what` names the request."""
    texts = ",".join(faults)
    return Failed(Told(400, "REQUEST_VALIDATION", texts, _schema(what), "message", texts))


def _schema(what: str) -> str:
    return f"Error Validating the {what.upper()} Request."


UNAUTHORIZED = Told(
    401, "UNAUTHORIZED", "Valid session required",
    "Authentication is required and has failed or has not yet been provided.", "message",
)  # fmt: skip
CHAT_ACCESS = Told(
    403, "CHAT_ACCESS_DENIED", "Cannot access another user's chat", "Access denied to the specified chat."
)
CHAT_ACCESS_FORBIDDEN = CHAT_ACCESS._replace(code="CHAT_ACCESS_FORBIDDEN")
NO_CHAT = Told(404, "CHAT_NOT_FOUND", "Chat does not exist", "Chat with the given id not found.")
WORKFLOW_ACCESS = Told(
    403, "WORKFLOW_ACCESS_DENIED", "Cannot access another user's workflow",
    "Access denied to the specified workflow.",
)  # fmt: skip
SHARED_WORKFLOW = WORKFLOW_ACCESS._replace(
    docs="This workflow is the server's own: it is changed where it was made",
    app="This workflow is the server's own: it is changed where it was made.",
)
NO_WORKFLOW = Told(
    404, "WORKFLOW_NOT_FOUND", "Workflow does not exist", "Workflow with the given id not found."
)
NO_STEPS = Told(
    400, "WORKFLOW_HAS_NO_STEPS",
    "This workflow has no steps and cannot run: give it some with PATCH /api/workflows/:workflowId",
    "This workflow has no steps and cannot run.",
)  # fmt: skip
NO_RUN = Told(404, "WORKFLOW_RUN_NOT_FOUND", "Workflow run does not exist", "Workflow run not found.")
RUN_ACCESS = Told(
    403, "WORKFLOW_RUN_ACCESS_FORBIDDEN", "Workflow run does not exist",
    "Access denied to the specified workflow run.",
)  # fmt: skip
BUSY = Told(
    409, "WORKFLOW_RUN_IN_PROGRESS",
    "A workflow is currently running for this chat. Please wait for it to finish.",
    "A workflow is currently running for this chat. Please wait for it to finish.",
)  # fmt: skip
OTHER_USER = Told(
    403, "USER_ID_MISMATCH", "Cannot access another user's resources",
    "Access denied. You can only access your own resources.",
)  # fmt: skip
NO_MESSAGES = Told(404, "MESSAGES_NOT_FOUND", "No messages", "Messages not found.")
NO_TOOL = Told(404, "TOOL_NOT_FOUND", "Tool does not exist", "Tool with the given id not found.")
NO_PREFERENCE = Told(
    404, "MODEL_PREFERENCE_NOT_FOUND", "No model preference is set", "No model preference is set."
)
NO_ROUTE = Told(
    404, "ROUTE_NOT_FOUND", "This route does not exist: /hardwire/openapi.json has all of them",
    "This route does not exist.", "message",
)  # fmt: skip
NO_ANSWER = Told(500, "LLM_REQUEST_FAILED", "LLM request failed", "LLM request failed")
UNFORESEEN = Told(500, "SERVER_INTERNAL_ERROR", "Internal server error", UNEXPLAINED, "both")


def status_of(error: RunwellError) -> int:
    match error.kind:
        case ErrorKind.INVALID:
            return 400
        case ErrorKind.UNAUTHENTICATED:
            return 401
        case ErrorKind.FORBIDDEN:
            return 403
        case ErrorKind.NOT_FOUND:
            return 404
        case ErrorKind.CONFLICT:
            return 409
        case ErrorKind.GONE:
            return 410
        case ErrorKind.TOO_LARGE:
            return 413
        case ErrorKind.LIMITED:
            return 429
        case ErrorKind.UNAVAILABLE:
            return 503
    assert_never(error.kind)


def told_of(error: Exception) -> Told:
    """What is said of an error. What nobody foresaw is told without a word of what it was."""
    match error:
        case Failed():
            return error.told
        case ThreadBusy():
            return BUSY
        case ThreadNotFound():
            return NO_CHAT
        case RunNotFound():
            return NO_RUN
        case Unauthenticated():
            return UNAUTHORIZED
        case RateLimited():
            return Told(429, "RATE_LIMIT_EXCEEDED", TOO_MANY, TOO_MANY, "both")
        case RunwellError():
            return _of_domain(error)
        case HTTPException():
            return _of_router(error)
        case _:
            return UNFORESEEN


def _of_domain(error: RunwellError) -> Told:
    text = _sentence(error)
    if isinstance(error, InvalidInput | InvalidJson):
        return invalid("body", [text.replace("$", "body", 1)]).told
    if isinstance(error, AgentNotFound | UserNotFound):
        return Told(status_of(error), error.code.upper(), text, text)
    return Told(status_of(error), error.code.upper(), text, text, "both")


def _sentence(error: RunwellError) -> str:
    return f"{error.message.rstrip('.')}. {error.hint}".strip()


def _of_router(error: HTTPException) -> Told:
    """No such path, or not with this method."""
    if error.status_code == 404:
        return NO_ROUTE
    if error.status_code == 405:
        text = "This method is not possible here"
        return Told(405, "METHOD_NOT_ALLOWED", text, f"{text}.", "message")
    text = str(error.detail)
    return Told(error.status_code, "REQUEST_FAILED", text, text, "both")


def retry_after(error: Exception) -> int | None:
    """Whole seconds after which it is worth asking again; None where waiting does not help."""
    if isinstance(error, TooMany | Unavailable):
        return max(math.ceil(error.retry_after), 1)
    return None


def headers_of(error: Exception, scope: Scope) -> Headers:
    headers: Headers = [JSON, PRIVATE]
    seconds = retry_after(error)
    if seconds is not None:
        headers.append((b"retry-after", b"%d" % seconds))
    if isinstance(error, HTTPException) and error.status_code == 405:
        headers.append((b"allow", _methods(scope).encode()))
    return headers


def _methods(scope: Scope) -> str:
    """All methods of the path: the router itself only names those of the first route that has it."""
    methods: set[str] = set()
    for context in iter_route_contexts(scope["app"].routes):
        route = context.original_route
        if isinstance(route, Route) and route.methods and route.matches(scope)[0] is not Match.NONE:
            methods |= route.methods
    return ", ".join(sorted(methods))


def docs_error(error: Exception, scope: Scope) -> Reply:
    told = told_of(error)
    body = DocsError(TYPES.get(told.status, "Error"), told.docs)
    return Reply(told.status, headers_of(error, scope), msgspec.json.encode(body))


def app_error(error: Exception, scope: Scope) -> Reply:
    body = app_body(error, scope)
    return Reply(body.status_code, headers_of(error, scope), msgspec.json.encode(body))


def app_body(error: Exception, scope: Scope) -> AppError:
    """The same for a frame of a stream."""
    told = told_of(error)
    seconds = retry_after(error) if told.status == 429 else None
    return AppError(
        message=told.app if told.field != "clientMessage" else UNEXPLAINED,
        client_message=told.app if told.field != "message" else UNEXPLAINED,
        code=told.code,
        error=told.detail if told.detail is not None else UNSET,
        request_id=_request_id(scope),
        status_code=told.status,
        retry_after=seconds if seconds is not None else UNSET,
    )


def _request_id(scope: Scope) -> str:
    """The client's, or a new one."""
    for name, value in scope.get("headers", ()):
        if name == b"x-request-id" and 0 < len(value) <= LONGEST_REQUEST_ID:
            return str(value.decode("latin-1"))
    return str(uuid.uuid4())
