"""Errors on the wire: one form, every kind, every error of the domain."""

import inspect

import msgspec
import pytest
from fastapi.exceptions import RequestValidationError

from runwell.dialects.recoup.errors import refuse, status_of
from runwell.domain import errors
from runwell.domain.errors import ErrorKind, RunwellError
from tests.dialects.recoup.wire import CORS, UNKNOWN, a_headless_run, check_refused
from tests.support.house import House, a_house

ERRORS = sorted(
    (error for _, error in inspect.getmembers(errors, inspect.isclass) if issubclass(error, RunwellError)),
    key=lambda error: error.__name__,
)
SCOPE = {"type": "http", "method": "GET", "path": "/x"}
STATUSES = {
    ErrorKind.INVALID: 400,
    ErrorKind.UNAUTHENTICATED: 401,
    ErrorKind.FORBIDDEN: 403,
    ErrorKind.NOT_FOUND: 404,
    ErrorKind.CONFLICT: 409,
    ErrorKind.GONE: 410,
    ErrorKind.TOO_LARGE: 413,
    ErrorKind.LIMITED: 429,
    ErrorKind.UNAVAILABLE: 503,
}
OWN_WORDS = {
    errors.ThreadBusy: "Another workflow is already running for this chat",
    errors.RunNotFound: "Run not found",
    errors.ThreadNotFound: "Chat not found",
    errors.Unauthenticated: "Unauthorized",
}


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
def test_every_error_says_the_same_twice(error):
    needed = [each for each in inspect.signature(error).parameters.values() if each.default is each.empty]
    made = error(*["a word"] * len(needed))
    reply = refuse(made, SCOPE)
    assert reply.status == STATUSES[error.kind]
    headers = {name.decode(): value.decode() for name, value in reply.headers}
    assert (CORS | {"content-type": "application/json"}).items() <= headers.items()
    text = OWN_WORDS.get(error, f"{made.message.rstrip('.')}. {made.hint}".strip())
    assert msgspec.json.decode(reply.body) == {"status": "error", "error": text, "message": text}


@pytest.mark.parametrize("kind", list(ErrorKind))
def test_every_kind_has_a_status(kind):
    class Made(RunwellError):
        pass

    Made.kind = kind
    assert status_of(Made("x")) == STATUSES[kind]


def test_what_nobody_foresaw_tells_nothing():
    reply = refuse(ZeroDivisionError("secret detail"), SCOPE)
    assert reply.status == 500
    assert msgspec.json.decode(reply.body)["error"] == "Internal server error"


def test_a_faulty_parameter_is_400():
    assert refuse(RequestValidationError([]), SCOPE).status == 400


@pytest.mark.parametrize("error", [errors.StoreUnavailable, errors.RateLimited])
def test_what_passes_says_when(error):
    assert dict(refuse(error("x", "", 2.3), SCOPE).headers)[b"retry-after"] == b"3"


@pytest.mark.parametrize("mount", ["", "/recoup"])
@pytest.mark.parametrize(
    ("method", "path", "status", "allow"),
    [
        ("GET", "/api/chat/generate", 404, None),
        ("GET", f"/api/chat/{UNKNOWN}/nothing", 404, None),
        ("POST", f"/api/sessions/{UNKNOWN}/x", 404, None),
        ("GET", "/api/chat", 405, "OPTIONS, POST"),
        ("DELETE", "/api/chat/runs/x", 405, "GET, OPTIONS"),
        ("PUT", f"/api/sessions/{UNKNOWN}", 405, "GET, OPTIONS, PATCH"),
        ("PUT", f"/api/sessions/{UNKNOWN}/chats", 405, "GET, OPTIONS, POST"),
    ],
)
async def test_paths_and_methods_that_are_not_there(house: House, mount, method, path, status, allow):
    answer = await house.client.request(method, mount + path)
    check_refused(answer, status)
    assert answer.headers.get("allow") == allow


async def test_a_store_that_is_gone_is_503(house: House, monkeypatch):
    started = await a_headless_run(house.client)

    async def gone(*args, **kwargs):
        raise errors.StoreUnavailable("disk full")

    monkeypatch.setattr(house.store.runs, "get", gone)
    answer = await house.client.get(f"/api/chat/runs/{started['runId']}")
    check_refused(answer, 503)
    assert int(answer.headers["retry-after"]) >= 1


@pytest.mark.parametrize("path", ["/api/chat/runs/{runId}", "/api/chat/{chatId}/stream"])
async def test_a_fault_of_the_server_is_500_and_logged(house: House, monkeypatch, caplog, path):
    started = await a_headless_run(house.client)

    async def broken(*args, **kwargs):
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr(house.store.runs, "get", broken)
    monkeypatch.setattr(house.store.runs, "page", broken)
    if "chatId" in path:
        # The framework answers, and then lets its caller know.
        with pytest.raises(ZeroDivisionError):
            await house.client.get(path.format(**started))
        return
    check_refused(await house.client.get(path.format(**started)), 500, "Internal server error")
    assert "secret detail" in caplog.text


async def test_too_large_a_body_is_413_in_this_form(tmp_path):
    async with a_house(tmp_path, max_body=100) as house:
        for body in (b"x" * 200, [b"x" * 200]):
            check_refused(await house.client.post("/api/chat/runs", body=body), 413)
