"""Errors as `{"status": "error", "error": …, "message": …}`: the same text twice, because the original's
code says one and its documentation the other. The only place where a domain error meets an HTTP status."""

import math
from typing import assert_never

import msgspec
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import iter_route_contexts
from msgspec import UNSET
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import Scope

from runwell.dialects.exchange import Headers, Reply, as_response
from runwell.dialects.recoup.bodies import Failure
from runwell.domain.errors import (
    ErrorKind,
    RunNotFound,
    RunwellError,
    ThreadBusy,
    ThreadNotFound,
    TooMany,
    Unauthenticated,
    Unavailable,
)

JSON = (b"content-type", b"application/json")
CORS: Headers = [
    (b"access-control-allow-origin", b"*"),
    (b"access-control-allow-methods", b"GET, POST, PUT, DELETE, OPTIONS, PATCH"),
    (b"access-control-allow-headers", b"Content-Type, Authorization, X-Requested-With, x-api-key"),
    (b"access-control-expose-headers", b"x-workflow-run-id, x-workflow-stream-tail-index"),
]
"""On every answer. There are no cookies here: who may do what is the key's to say."""

BUSY = "Another workflow is already running for this chat"
NO_RUN = "Run not found"
NO_CHAT = "Chat not found"
NO_SESSION = "Session not found"
NOT_YOURS = "Forbidden"


class Failed(RunwellError):
    """A refusal in this API's own words, which brings its status along.

    `missing_fields` is the path of the fault in the request; `path` the same where the original calls it
    so. `bare` leaves out `status`, as the original does here and there.
    """

    code = "failed"

    def __init__(
        self,
        status: int,
        text: str,
        *,
        missing_fields: list[str] | None = None,
        path: list[str] | None = None,
        bare: bool = False,
    ) -> None:
        super().__init__(text)
        self.status = status
        self.body = Failure(
            status=UNSET if bare else "error",
            missing_fields=UNSET if missing_fields is None else missing_fields,
            path=UNSET if path is None else path,
            error=text,
            message=text,
        )


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


def refuse(error: Exception, scope: Scope) -> Reply:
    """The answer to a request that ended in `error`. What nobody foresaw is told as 500, without a
    word of what it was; whoever caught it logs it."""
    if isinstance(error, Failed):
        return _failure(error.status, error.body)
    if isinstance(error, RunwellError):
        headers: Headers = []
        if isinstance(error, TooMany | Unavailable):
            headers = [(b"retry-after", b"%d" % max(math.ceil(error.retry_after), 1))]
        return _told(status_of(error), _text(error), headers)
    if isinstance(error, RequestValidationError):
        return _told(400, "The request is malformed")
    if isinstance(error, HTTPException):
        return _of_router(error, scope)
    return _told(500, "Internal server error")


def _text(error: RunwellError) -> str:
    """The original's words where it has some for this."""
    match error:
        case ThreadBusy():
            return BUSY
        case RunNotFound():
            return NO_RUN
        case ThreadNotFound():
            return NO_CHAT
        case Unauthenticated():
            return "Unauthorized"
        case _:
            return f"{error.message.rstrip('.')}. {error.hint}".strip()


def _of_router(error: HTTPException, scope: Scope) -> Reply:
    """No such path, or not with this method."""
    headers = [(name.lower().encode(), value.encode()) for name, value in (error.headers or {}).items()]
    if error.status_code == 404:
        return _told(404, "There is no such path in this API; /recoup/openapi.json has all of them.")
    if error.status_code == 405:
        allowed = _methods(scope)
        text = f"{scope['method']} is not possible here. Possible: {allowed}."
        return _told(405, text, [(b"allow", allowed.encode())])
    return _told(error.status_code, str(error.detail), headers)


def _methods(scope: Scope) -> str:
    """All methods of the path: the router itself only names those of the first route that has it."""
    methods: set[str] = set()
    for context in iter_route_contexts(scope["app"].routes):
        route = context.original_route
        if isinstance(route, Route) and route.methods and route.matches(scope)[0] is not Match.NONE:
            methods |= route.methods
    return ", ".join(sorted(methods))


def _told(status: int, text: str, headers: Headers | None = None) -> Reply:
    return _failure(status, Failure(error=text, message=text), headers)


def _failure(status: int, body: Failure, headers: Headers | None = None) -> Reply:
    return Reply(status, [JSON, *(headers or ()), *CORS], msgspec.json.encode(body))


def install(app: FastAPI) -> None:
    """Let every error of this app's routes look like this."""

    async def answer(request: Request, error: Exception) -> Response:
        return as_response(refuse(error, request.scope))

    for kind in (RunwellError, RequestValidationError, HTTPException, Exception):
        app.add_exception_handler(kind, answer)
