"""Errors as Letta words them: `{"detail": "…"}`, and a string for what FastAPI gives as a list."""

import math
from collections.abc import Sequence
from typing import Any, assert_never
from urllib.parse import quote

import msgspec
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import iter_route_contexts
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import Scope

from runwell.dialects.exchange import Headers, Reply, as_response
from runwell.dialects.letta import ids
from runwell.domain.errors import (
    AgentNotFound,
    ErrorKind,
    Invalid,
    InvalidInput,
    InvalidJson,
    RunNotFound,
    RunwellError,
    ThreadBusy,
    ThreadNotFound,
    TooMany,
    Unavailable,
)

JSON = (b"content-type", b"application/json")
NO_RETRY = (b"x-should-retry", b"false")
"""Letta's client sends a 409 and a 5xx again by itself. Where that cannot help, or would start a second
run, this header tells it not to."""
EXAMPLES = {
    "agent_id": "agent-123e4567-e89b-42d3-8456-426614174000",
    "step_id": "step-123e4567-e89b-42d3-8456-426614174000",
    "conversation_id": "conv-123e4567-e89b-42d3-8456-426614174000",
}


class LettaRefusal(Invalid):
    """An error that this API has a body of its own for; `retry` False: asking again does not help."""

    code = "letta_refusal"

    def __init__(self, status: int, body: dict[str, Any], retry: bool = True) -> None:
        super().__init__(str(body.get("detail", body)))
        self.status = status
        self.body = body
        self.retry = retry


class Faulty(Invalid):
    """The request does not fit: 422, with the faults as Letta shows them."""

    code = "letta_faulty"

    def __init__(self, faults: Sequence[dict[str, Any]], examples: Sequence[str] = ()) -> None:
        super().__init__(repr(list(faults)))
        self.examples = list(examples)


def invalid_argument(sentence: str) -> LettaRefusal:
    return LettaRefusal(400, {"detail": f"INVALID_ARGUMENT: {sentence}"})


def malformed(what: str, name: str, prefix: str) -> LettaRefusal:
    expected = f"{prefix}-<uuid4>"
    return invalid_argument(f"Invalid {what} ID format: {name[:80]}. Expected format: '{expected}'")


def not_found(sentence: str) -> LettaRefusal:
    return LettaRefusal(404, {"detail": sentence})


def malformed_path_id(parameter: str, given: str) -> Faulty:
    fault = {
        "type": "string_pattern_mismatch",
        "loc": ("path", parameter),
        "msg": f"String should be an id like {EXAMPLES[parameter]}",
        "input": given[:80],
    }
    return Faulty([fault], [EXAMPLES[parameter]])


def refuse(error: Exception, scope: Scope) -> Reply:
    """The answer to a request that ended in `error`. What nobody foresaw is told as 500, without a
    word of what it was; whoever caught it logs it."""
    if isinstance(error, LettaRefusal):
        return reply(error.status, error.body, () if error.retry else (NO_RETRY,))
    if isinstance(error, Faulty):
        return _unprocessable(error.message, error.examples)
    if isinstance(error, RunwellError):
        return _domain(error)
    if isinstance(error, RequestValidationError):
        return _unprocessable(repr(error.errors()))
    if isinstance(error, HTTPException):
        return _http(error, scope)
    return reply(500, {"detail": "An unknown error occurred"})


def reply(status: int, body: Any, headers: Sequence[tuple[bytes, bytes]] = ()) -> Reply:
    return Reply(status, [JSON, *headers], msgspec.json.encode(body))


def _domain(error: RunwellError) -> Reply:
    headers: Headers = []
    if isinstance(error, Unavailable | TooMany):
        headers = [(b"retry-after", b"%d" % max(math.ceil(error.retry_after), 1))]
    sentence = f"{error.message}. {error.hint}" if error.hint else error.message
    match error.kind:
        case ErrorKind.INVALID:
            return _unprocessable(_faults(error))
        case ErrorKind.NOT_FOUND:
            return reply(404, {"detail": _missing(error)})
        case ErrorKind.CONFLICT:
            return _conflict(error, sentence)
        case ErrorKind.UNAUTHENTICATED:
            return reply(401, {"detail": "Unauthorized"}, [(b"www-authenticate", b"Bearer")])
        case ErrorKind.FORBIDDEN:
            return reply(403, {"detail": sentence})
        case ErrorKind.GONE:
            return reply(410, {"detail": f"EXPIRED: {sentence}"})
        case ErrorKind.TOO_LARGE:
            return reply(413, {"detail": sentence})
        case ErrorKind.LIMITED:
            return reply(429, {"detail": sentence}, headers)
        case ErrorKind.UNAVAILABLE:
            return reply(503, {"detail": sentence}, headers)
    assert_never(error.kind)


def _faults(error: RunwellError) -> str:
    if isinstance(error, InvalidInput | InvalidJson):
        fault = error.message.removeprefix(f"{error.path}: ")
        where = ("body", *error.path.removeprefix("$").strip(".").split("."))
        return repr([{"type": "value_error", "loc": tuple(part for part in where if part), "msg": fault}])
    return repr([{"type": "value_error", "loc": ("body",), "msg": error.message}])


def _missing(error: RunwellError) -> str:
    if isinstance(error, RunNotFound):
        return f"Run not found with id='['{_spelled(error.message, ids.run_id)}']'"
    if isinstance(error, ThreadNotFound):
        return f"Conversation not found with id='['{_spelled(error.message, ids.conversation_id)}']'"
    if isinstance(error, AgentNotFound):
        return "Agent not found"
    return error.message


def _spelled(message: str, spell: Any) -> str:
    """The id at the end of a core error's sentence, as this API spells it."""
    id = message.rpartition("_")[2]
    return str(spell(id)) if ids.read(id) is not None else id


def _conflict(error: RunwellError, sentence: str) -> Reply:
    if isinstance(error, ThreadBusy):
        run = ids.run_id(error.run_id) if ids.read(error.run_id) is not None else error.run_id
        busy = (
            f"CONFLICT: Cannot send a new message: Another request (run_id={run}) is currently being "
            "processed for this conversation. Please wait for it to complete."
        )
        return reply(409, {"detail": busy, "run_id": run})
    return reply(409, {"detail": f"CONFLICT: {sentence}"}, [NO_RETRY])


def _unprocessable(detail: str, examples: Sequence[str] = ()) -> Reply:
    body: dict[str, Any] = {"trace_id": "", "detail": detail}
    if examples:
        body["examples"] = list(examples)
    return reply(422, body)


def _http(error: HTTPException, scope: Scope) -> Reply:
    """What the router says: no such path, the same path with or without its last slash, another method."""
    if error.status_code == 404:
        other = _other_slash(scope)
        if other is not None:
            return redirect(other, scope)
        return reply(404, {"detail": "Not Found"})
    headers = [(name.lower().encode(), value.encode()) for name, value in (error.headers or {}).items()]
    return reply(error.status_code, {"detail": error.detail}, headers)


def redirect(path: str, scope: Scope) -> Reply:
    """307 to a path of this server, with the query as it was."""
    query = scope.get("query_string", b"")
    # The path was decoded: what must not stand in a header, or would be read as a query, is not in it.
    location = quote(path).encode("ascii") + (b"?" + query if query else b"")
    return Reply(307, [(b"location", location)])


def _other_slash(scope: Scope) -> str | None:
    """The path with its last slash taken or added, if something is there."""
    path = scope["path"]
    other = path.rstrip("/") if path.endswith("/") else f"{path}/"
    wanted = {**scope, "path": other}
    for context in iter_route_contexts(scope["app"].routes) if "app" in scope else ():
        route = context.original_route
        if isinstance(route, Route) and route.matches(wanted)[0] is not Match.NONE:
            return other
    return None


def install(app: FastAPI) -> None:
    """Let every error of this app's routes be one of these. Other apps keep their own ways."""

    async def answer(request: Request, error: Exception) -> Response:
        return as_response(refuse(error, request.scope))

    for kind in (RunwellError, RequestValidationError, HTTPException, Exception):
        app.add_exception_handler(kind, answer)
