"""Errors as `{"success": false, "message": …}`. The only place where a domain error meets an HTTP status."""

import math
from typing import assert_never

import msgspec
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import Scope

from runwell.dialects.exchange import Headers, Reply, as_response
from runwell.dialects.flowyble.bodies import Failure
from runwell.domain.errors import ErrorKind, Invalid, NotFound, RunwellError, TooMany, Unavailable

JSON = (b"content-type", b"application/json")


class NoSuch(NotFound):
    """No agent, tool or run of this id: unknown, malformed, another owner's, or the other kind."""

    code = "no_such"

    def __init__(self, what: str, id: str, hint: str) -> None:
        super().__init__(f"There is no {what} {id[:80]}", hint)


class Misconfigured(Invalid):
    """A webhook that cannot start anything."""

    code = "misconfigured"


def status_of(error: RunwellError) -> int:
    match error.kind:
        case ErrorKind.INVALID | ErrorKind.CONFLICT:
            return 400  # this API knows no 409
        case ErrorKind.UNAUTHENTICATED:
            return 401
        case ErrorKind.FORBIDDEN:
            return 403
        case ErrorKind.NOT_FOUND | ErrorKind.GONE:
            return 404
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
    if isinstance(error, RunwellError):
        headers: Headers = []
        if isinstance(error, TooMany | Unavailable):
            headers = [(b"retry-after", b"%d" % max(math.ceil(error.retry_after), 1))]
        return failure(status_of(error), error.message, error.hint, headers)
    if isinstance(error, RequestValidationError):
        return failure(400, "The request is malformed", "See the documentation of this API.")
    if isinstance(error, HTTPException):
        return _of_router(error, scope)
    return failure(500, "The server made a mistake", "The server's log has the details.")


def failure(status: int, message: str, hint: str = "", headers: Headers | None = None) -> Reply:
    """`message` and `hint` in one text: this API has one field for both."""
    text = f"{message.rstrip('.')}. {hint}".strip()
    return Reply(status, [JSON, *(headers or ())], msgspec.json.encode(Failure(message=text)))


def _of_router(error: HTTPException, scope: Scope) -> Reply:
    """No such path, or not with this method."""
    headers = [(name.lower().encode(), value.encode()) for name, value in (error.headers or {}).items()]
    if error.status_code == 404:
        return failure(404, "There is no such path in this API", "/flowyble/openapi.json has all of them.")
    if error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "another one")
        return failure(405, f"{scope['method']} is not possible here", f"Possible: {allowed}.", headers)
    return failure(error.status_code, str(error.detail), "", headers)


def install(app: FastAPI) -> None:
    """Let every error of this app's routes look like this."""

    async def answer(request: Request, error: Exception) -> Response:
        return as_response(refuse(error, request.scope))

    for kind in (RunwellError, RequestValidationError, HTTPException, Exception):
        app.add_exception_handler(kind, answer)
