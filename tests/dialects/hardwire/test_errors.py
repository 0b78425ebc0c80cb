"""Errors on the wire: every error of the domain in both forms and in that of the auth routes."""

import inspect
import json
import re

import pytest
from fastapi.exceptions import RequestValidationError

from runwell.dialects.dialect import Options
from runwell.dialects.hardwire.auth_errors import auth_error, code_of
from runwell.dialects.hardwire.errors import TYPES, UNEXPLAINED, app_error, docs_error, status_of
from runwell.domain import errors
from runwell.domain.errors import ErrorKind, RunwellError
from tests.dialects.hardwire.people import CHAT, Person, check_app_refused, check_refused
from tests.support.house import House, a_house

ERRORS = sorted(
    (error for _, error in inspect.getmembers(errors, inspect.isclass) if issubclass(error, RunwellError)),
    key=lambda error: error.__name__,
)
SCOPE = {"type": "http", "method": "GET", "path": "/x", "headers": []}
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
CODES = {
    errors.ThreadBusy: "WORKFLOW_RUN_IN_PROGRESS",
    errors.ThreadNotFound: "CHAT_NOT_FOUND",
    errors.RunNotFound: "WORKFLOW_RUN_NOT_FOUND",
    errors.Unauthenticated: "UNAUTHORIZED",
    errors.RateLimited: "RATE_LIMIT_EXCEEDED",
    errors.InvalidInput: "REQUEST_VALIDATION",
    errors.InvalidJson: "REQUEST_VALIDATION",
}


def made(error: type[RunwellError]) -> RunwellError:
    needed = [each for each in inspect.signature(error).parameters.values() if each.default is each.empty]
    return error(*["a word"] * len(needed))


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
def test_every_error_in_the_documented_form(error):
    reply = docs_error(made(error), SCOPE)
    assert reply.status == STATUSES[error.kind]
    body = json.loads(reply.body)
    assert list(body) == ["error", "message"]
    assert body["error"] == TYPES[reply.status]
    assert body["message"]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
def test_every_error_in_the_web_clients_form(error):
    reply = app_error(made(error), SCOPE)
    body = json.loads(reply.body)
    assert (reply.status, body["statusCode"]) == (STATUSES[error.kind],) * 2
    assert body["code"] == CODES.get(error, error.code.upper())
    assert [*body][:3] == ["message", "clientMessage", "code"]
    assert (body["message"], body["clientMessage"]) != (UNEXPLAINED, UNEXPLAINED)
    assert re.fullmatch(r"[0-9a-f-]{36}", body["requestId"])


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
def test_every_error_of_the_auth_routes(error):
    reply = auth_error(made(error), SCOPE)
    body = json.loads(reply.body)
    assert reply.status == (422 if error is errors.EmailTaken else STATUSES[error.kind])
    assert set(body) <= {"code", "message"}
    assert ("code" not in body) == (error is errors.RateLimited)


@pytest.mark.parametrize("kind", list(ErrorKind))
def test_every_kind_has_a_status_and_a_type(kind):
    class Made(RunwellError):
        pass

    Made.kind = kind
    assert status_of(Made("x")) == STATUSES[kind]
    assert STATUSES[kind] in TYPES


@pytest.mark.parametrize("render", [docs_error, app_error, auth_error])
@pytest.mark.parametrize("error", [ZeroDivisionError("secret detail"), RequestValidationError([])])
def test_what_nobody_foresaw_tells_nothing(render, error):
    reply = render(error, SCOPE)
    assert reply.status == 500
    assert b"secret" not in reply.body


@pytest.mark.parametrize("error", [errors.RateLimited, errors.TooManyStreams, errors.StoreUnavailable])
def test_who_should_come_back_is_told_when(error):
    for render in (docs_error, app_error, auth_error):
        reply = render(error("too much", retry_after=2.3), SCOPE)
        assert dict(reply.headers)[b"retry-after"] == b"3"
    body = json.loads(app_error(error("too much", retry_after=2.3), SCOPE).body)
    assert body.get("retryAfter") == (3 if error is not errors.StoreUnavailable else None)


def test_a_request_keeps_the_id_that_it_came_with():
    scope = {**SCOPE, "headers": [(b"x-request-id", b"mine")]}
    assert json.loads(app_error(errors.Conflict("x"), scope).body)["requestId"] == "mine"
    long = {**SCOPE, "headers": [(b"x-request-id", b"x" * 999)]}
    assert len(json.loads(app_error(errors.Conflict("x"), long).body)["requestId"]) == 36


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("Invalid email or password", "INVALID_EMAIL_OR_PASSWORD"),
        ("User already exists. Use another email.", "USER_ALREADY_EXISTS_USE_ANOTHER_EMAIL"),
    ],
)
def test_codes_are_messages_in_capitals(message, code):
    assert code_of(message) == code


async def test_paths_and_methods_that_are_not_there(house: House, app_house: House):
    check_refused(await house.client.get("/hardwire/api/nothing"), 404)
    check_app_refused(await app_house.client.get("/hardwire/api/nothing"), 404, "ROUTE_NOT_FOUND")
    for mount in ("", "/hardwire"):
        answer = await house.client.request("PUT", f"{mount}/api/chats/{CHAT}/messages")
        check_refused(answer, 405)
        assert answer.headers["allow"] == "GET, OPTIONS, POST"
        auth = await house.client.request("PUT", f"{mount}/api/auth/sign-out")
        assert (auth.status, list(auth.json)) == (405, ["code", "message"])


async def test_too_large_a_body_is_413_in_this_form(tmp_path):
    for form in ("docs", "app"):
        options = Options(hardwire_wire=form)
        async with a_house(tmp_path / form, max_body=100, options=options) as house:
            for body in (b"x" * 200, [b"x" * 200]):
                answer = await house.client.post(f"/hardwire/api/chats/{CHAT}/messages", body=body)
                assert (answer.status, len(answer.json)) in ((413, 2), (413, 5), (401, 2), (401, 5))


async def test_a_store_that_is_gone_is_503_everywhere(house: House, ann: Person, monkeypatch):
    async def gone(*args, **kwargs):
        raise errors.StoreUnavailable("disk full")

    assert (await ann.client.get("/api/auth/session")).status == 200
    monkeypatch.setattr(house.store.threads, "owner", gone)
    monkeypatch.setattr(house.store.threads, "page", gone)
    monkeypatch.setattr(house.store.documents, "get", gone)
    for path in (
        f"/api/chats/{CHAT}/workflow-runs", f"/api/chats/{CHAT}/messages", f"/api/users/{ann.id}/chats",
        f"/api/workflows/{CHAT}", f"/api/users/{ann.id}/model-preference",
    ):  # fmt: skip
        answer = await ann.client.get(path)
        check_refused(answer, 503)
        assert int(answer.headers["retry-after"]) >= 1


async def test_a_fault_of_the_server_is_500_and_logged(house: House, ann: Person, monkeypatch, caplog):
    async def broken(*args, **kwargs):
        raise ZeroDivisionError("secret detail")

    await ann.start()
    monkeypatch.setattr(house.store.runs, "page", broken)
    answer = await ann.client.get(f"/api/chats/{CHAT}/workflow-runs")
    check_refused(answer, 500, "Internal server error")
    assert "secret detail" in caplog.text
