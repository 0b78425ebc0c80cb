"""Errors as the original tells them: `{"detail": …}`, and `{"error": "Unauthorized"}` for strangers."""

import json
import math
from collections.abc import Sequence
from typing import Any, assert_never

from fastapi import FastAPI, Request
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
from fastapi.routing import iter_route_contexts
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import Scope

from runwell.dialects.exchange import Headers, Reply, as_response
from runwell.domain.errors import (
    AddressFault,
    AddressRefused,
    Conflict,
    ErrorKind,
    Invalid,
    InvalidInput,
    InvalidJson,
    NotFound,
    QueueFull,
    RunNotFinal,
    RunNotFound,
    RunwellError,
    TooMany,
    Unavailable,
)

JSON = (b"content-type", b"application/json")
VARY = (b"vary", b"Origin")
"""On every answer: which pages may read it depends on which of them asked."""


class JobNotFound(NotFound):
    """There is no such job, or it is somebody else's. Says the id as it was given."""

    code = "job_not_found"

    def __init__(self, job_id: str) -> None:
        super().__init__(f"Job not found: {job_id[:200]}")


class JobNotComplete(Conflict):
    code = "job_not_complete"

    def __init__(self, status: str) -> None:
        super().__init__(f"Job is not complete. Current status: {status}")


class JobComplete(Conflict):
    code = "job_complete"

    def __init__(self, status: str) -> None:
        super().__init__(f"Job is already complete. Status: {status}")


class BadStatus(Invalid):
    """A list was asked for by a status that there is not."""

    code = "bad_status"


class OutsideRoot(Invalid):
    """`agent_file` names a file that callers may not name."""

    code = "outside_root"

    def __init__(self, root: str) -> None:
        super().__init__(f"agent_file must be within PRAISONAI_JOBS_AGENT_ROOT ({root})")


def status_of(error: RunwellError) -> int:
    match error.kind:
        case ErrorKind.INVALID:
            return 400 if isinstance(error, BadStatus | OutsideRoot) else 422
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


def webhook_text(fault: AddressFault) -> str:
    """The original's sentence for an address that is not posted to."""
    match fault:
        case AddressFault.SCHEME:
            return "Webhook URL must use http or https scheme"
        case AddressFault.MALFORMED:
            return "Invalid Webhook URL"
        case AddressFault.LOOPBACK:
            return "Webhook URL cannot be a localhost address"
        case AddressFault.UNRESOLVABLE:
            return "Webhook URL hostname could not be resolved"
        case AddressFault.RESTRICTED:
            return "Webhook URL resolves to a private or restricted network address"
    assert_never(fault)


def webhook_refused(url: str, error: AddressRefused) -> RequestValidationError:
    """The same as a fault in the body. The hint is ours: it names the setting that allows an address."""
    fault = _value_error(["body", "webhook_url"], webhook_text(error.fault), url)
    return RequestValidationError([{**fault, "hint": error.hint} if error.hint else fault])


def refuse(error: Exception, scope: Scope) -> Reply:
    """The answer to a request that ended in `error`. What nobody foresaw is told as 500, without a
    word of what it was; whoever caught it logs it."""
    if isinstance(error, RunwellError):
        return _domain(error)
    if isinstance(error, RequestValidationError):
        return Reply(422, [JSON], _dumped(error.errors()))
    if isinstance(error, HTTPException):
        headers: Headers = [JSON]
        if error.status_code == 405:
            headers.append((b"allow", _methods(scope).encode()))
        return Reply(error.status_code, headers, _body(detail=error.detail))
    return Reply(500, [JSON], _body(detail="Internal Server Error"))


def refuse_outside(error: Exception, scope: Scope) -> Reply:
    """The same for what is answered without the app, whose middleware adds `Vary` to its own."""
    reply = refuse(error, scope)
    return reply._replace(headers=[*reply.headers, VARY])


def _domain(error: RunwellError) -> Reply:
    status, headers = status_of(error), [JSON]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
        return Reply(status, headers, _body(error="Unauthorized"))
    if isinstance(error, QueueFull):
        headers.append((b"retry-after", b"1"))
        return Reply(status, headers, _body(detail="Job queue is full; retry later."))
    if isinstance(error, TooMany | Unavailable):
        headers.append((b"retry-after", b"%d" % max(math.ceil(error.retry_after), 1)))
    if isinstance(error, RunNotFinal):
        return Reply(status, headers, _body(detail="Cannot delete a running job. Cancel it first."))
    if isinstance(error, RunNotFound):
        return Reply(
            status, headers, _body(detail=error.message.replace("There is no run", "Job not found:"))
        )
    if status == 422:
        return Reply(status, headers, _dumped([_fault_of(error)]))
    hint = {"hint": error.hint} if error.hint else {}
    return Reply(status, headers, _body(detail=error.message, **hint))


def _fault_of(error: RunwellError) -> dict[str, Any]:
    """Where in the body it is, and what. The value is not told again: it may be what cannot be told."""
    path, sentence = "$", error.message
    if isinstance(error, InvalidInput | InvalidJson):
        path, sentence = error.path, error.message.removeprefix(f"{error.path}: ")
    # What an agent refuses is its input, which is the prompt.
    root = ["body", "prompt"] if isinstance(error, InvalidInput) else ["body"]
    location = [*root, *path.removeprefix("$").strip(".").split(".")]
    fault = _value_error([part for part in location if part], sentence, None)
    return {**fault, "hint": error.hint} if error.hint else fault


def _value_error(location: list[str], sentence: str, value: Any) -> dict[str, Any]:
    """One item of `detail` as a validator of the original makes it."""
    message = f"Value error, {sentence}"
    return {"type": "value_error", "loc": location, "msg": message, "input": value, "ctx": {"error": {}}}


def _dumped(faults: Sequence[Any]) -> bytes:
    """A list of faults. They repeat the input, which may be no JSON at all (NaN) or nested too deep."""
    try:
        return _body(detail=jsonable_encoder(faults))
    except (ValueError, RecursionError):
        return _body(detail=[{**jsonable_encoder({**fault, "input": None}), "ctx": {}} for fault in faults])


def _body(**fields: Any) -> bytes:
    # Not by msgspec: a fault may repeat a lone surrogate, which only an escape can write.
    return json.dumps(fields, separators=(",", ":"), allow_nan=False).encode()


def _methods(scope: Scope) -> str:
    """All methods of the path: the router itself only names those of the first route that has it."""
    methods: set[str] = set()
    for context in iter_route_contexts(scope["app"].routes):
        route = context.original_route
        if isinstance(route, Route) and route.methods and route.matches(scope)[0] is not Match.NONE:
            methods |= route.methods
    return ", ".join(sorted(methods))


def install(app: FastAPI) -> None:
    """Let every error of this app's routes be told this way. Other apps keep their own ways."""

    async def answer(request: Request, error: Exception) -> Response:
        return as_response(refuse(error, request.scope))

    for kind in (RunwellError, RequestValidationError, HTTPException, Exception):
        app.add_exception_handler(kind, answer)
