"""Errors as RFC 9457 problems. The only place where a domain error meets an HTTP status."""

import math
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, assert_never

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
from runwell.dialects.native.bodies import Fault, Problem
from runwell.domain.errors import (
    ErrorKind,
    Invalid,
    InvalidInput,
    InvalidJson,
    RunwellError,
    TooMany,
    Unavailable,
)

PROBLEM_JSON = (b"content-type", b"application/problem+json")


class MalformedJson(Invalid):
    """The body is no JSON at all."""

    code = "malformed_json"


def status_of(error: RunwellError) -> int:
    match error.kind:
        case ErrorKind.INVALID:
            return 400 if isinstance(error, MalformedJson) else 422
        case ErrorKind.NOT_FOUND:
            return 404
        case ErrorKind.CONFLICT:
            return 409
        case ErrorKind.UNAUTHENTICATED:
            return 401
        case ErrorKind.FORBIDDEN:
            return 403
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
    if isinstance(error, RunwellError):
        return _domain_problem(error)
    if isinstance(error, RequestValidationError):
        return _invalid_parameters(error.errors())
    if isinstance(error, HTTPException):
        return _http_problem(error, scope)
    return problem(500, "internal", "The server made a mistake", "The server's log has the details.")


def problem(
    status: int, code: str, detail: str, hint: str = "", headers: Headers | None = None, **extra: Any
) -> Reply:
    title = HTTPStatus(status).phrase
    body = Problem("about:blank", title, status, code, detail, hint=hint or UNSET, **extra)
    return Reply(status, [PROBLEM_JSON, *(headers or ())], msgspec.json.encode(body))


def _domain_problem(error: RunwellError) -> Reply:
    extra: dict[str, Any] = {}
    if isinstance(error, InvalidInput | InvalidJson):
        fault = error.message.removeprefix(f"{error.path}: ")
        extra = {"path": error.path, "errors": [Fault(error.path, fault)]}
    elif run_id := getattr(error, "run_id", None):
        extra = {"run_id": f"run_{run_id}"}
    headers: Headers = []
    if error.kind is ErrorKind.UNAUTHENTICATED:
        headers = [(b"www-authenticate", b'Bearer realm="runwell"')]
    elif isinstance(error, Unavailable | TooMany):
        headers = [(b"retry-after", b"%d" % max(math.ceil(error.retry_after), 1))]
    return problem(status_of(error), error.code, error.message, error.hint, headers, **extra)


def _invalid_parameters(errors: Sequence[Any]) -> Reply:
    """Faults in the path, the query or the headers, which the framework has found."""
    faults = [Fault(".".join(map(str, error["loc"])), str(error["msg"])) for error in errors]
    first = faults[0]
    return problem(
        422, "invalid_input", f"{first.path}: {first.fault}", path=first.path, errors=faults
    )  # fmt: skip


def _http_problem(error: HTTPException, scope: Scope) -> Reply:
    """What the router says: no such path, or not with this method."""
    if error.status_code == 404:
        return problem(404, "no_such_path", f"There is nothing at {scope['path'][:200]}", "See /docs.")
    if error.status_code == 405:
        allowed = _methods(scope)
        return problem(
            405, "method_not_allowed", f"{scope['method']} is not possible here",
            f"Possible: {allowed}.", [(b"allow", allowed.encode())],
        )  # fmt: skip
    headers = [(name.lower().encode(), value.encode()) for name, value in (error.headers or {}).items()]
    return problem(error.status_code, "http_error", str(error.detail), headers=headers)


def _methods(scope: Scope) -> str:
    """All methods of the path: the router itself only names those of the first route that has it."""
    methods: set[str] = set()
    for context in iter_route_contexts(scope["app"].routes):
        route = context.original_route
        if isinstance(route, Route) and route.methods and route.matches(scope)[0] is not Match.NONE:
            methods |= route.methods
    return ", ".join(sorted(methods))


def install(app: FastAPI) -> None:
    """Let every error of this app's routes be a problem. Other apps keep their own ways."""

    async def answer(request: Request, error: Exception) -> Response:
        return as_response(refuse(error, request.scope))

    for kind in (RunwellError, RequestValidationError, HTTPException, Exception):
        app.add_exception_handler(kind, answer)
