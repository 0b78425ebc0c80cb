"""Errors on the wire: one form, every kind, every error of the domain."""

import msgspec
import pytest
from fastapi.exceptions import RequestValidationError

from runwell.dialects.flowyble import errors as ours
from runwell.dialects.flowyble.errors import refuse, status_of
from runwell.domain import errors
from runwell.domain.errors import ErrorKind, RunwellError
from tests.dialects.flowyble.agents import ECHO
from tests.dialects.native.test_problems import ERRORS as DOMAIN_ERRORS
from tests.dialects.native.test_problems import MADE as DOMAIN_MADE
from tests.support.house import House

MADE = {**DOMAIN_MADE, ours.NoSuch: ("agent run", "x", "a hint.")}
ERRORS: list[type[RunwellError]] = [*DOMAIN_ERRORS, ours.NoSuch, ours.Misconfigured]
SCOPE = {"type": "http", "method": "GET", "path": "/x"}
STATUSES = {
    ErrorKind.INVALID: 400,
    ErrorKind.NOT_FOUND: 404,
    ErrorKind.CONFLICT: 400,
    ErrorKind.UNAUTHENTICATED: 401,
    ErrorKind.FORBIDDEN: 403,
    ErrorKind.GONE: 404,
    ErrorKind.TOO_LARGE: 413,
    ErrorKind.LIMITED: 429,
    ErrorKind.UNAVAILABLE: 503,
}


def check_failure(reply) -> str:
    assert dict(reply.headers)[b"content-type"] == b"application/json"
    body = msgspec.json.decode(reply.body)
    assert list(body) == ["success", "message"]
    assert body["success"] is False
    return body["message"]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
def test_every_error_is_one_message_with_cause_and_next_step(error):
    made = error(*MADE.get(error, ("a sentence", "a hint")))
    reply = refuse(made, SCOPE)
    assert reply.status == STATUSES[error.kind]
    assert check_failure(reply) == f"{made.message.rstrip('.')}. {made.hint}".strip()


@pytest.mark.parametrize("kind", list(ErrorKind))
def test_every_kind_has_a_status(kind):
    class Made(RunwellError):
        pass

    Made.kind = kind
    assert status_of(Made("x")) == STATUSES[kind]


def test_what_nobody_foresaw_tells_nothing():
    reply = refuse(ZeroDivisionError("secret detail"), SCOPE)
    assert reply.status == 500
    assert "secret" not in check_failure(reply)


def test_a_faulty_parameter_is_400():
    assert refuse(RequestValidationError([]), SCOPE).status == 400


@pytest.mark.parametrize("error", [errors.StoreUnavailable, errors.RateLimited])
def test_what_passes_says_when(error):
    assert dict(refuse(error("x", "", 2.3), SCOPE).headers)[b"retry-after"] == b"3"


@pytest.mark.parametrize("mount", ["", "/flowyble"])
@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/tools/run/x/details", 404), ("GET", "/v1/agents/run/x/y/z", 404),
        ("POST", "/webhooks/", 404), ("POST", "/webhooks/a/b", 404), ("GET", "/webhooks/x", 405),
        ("DELETE", "/v1/agents/run/x/status", 405), ("GET", "/v1/tools/run/x", 405),
        ("POST", "/v1/tools/run/x/result", 405),
    ],
)  # fmt: skip
async def test_paths_and_methods_that_are_not_there(house: House, mount, method, path, status):
    answer = await house.client.request(method, mount + path)
    assert (answer.status, answer.json["success"]) == (status, False)
    assert ("allow" in answer.headers) == (status == 405)


@pytest.mark.parametrize("what", ["status", "details"])
async def test_a_store_that_is_gone_is_503(house: House, what, monkeypatch):
    async def gone(*args, **kwargs):
        raise errors.StoreUnavailable("disk full")

    monkeypatch.setattr(house.store.runs, "get", gone)
    answer = await house.client.get(f"/v1/agents/run/{ECHO}/{what}")
    assert (answer.status, answer.json["success"]) == (503, False)
    assert int(answer.headers["retry-after"]) >= 1


async def test_a_fault_of_the_server_is_500_and_logged(house: House, monkeypatch, caplog):
    async def broken(*args, **kwargs):
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr(house.store.runs, "get", broken)
    answer = await house.client.get(f"/v1/agents/run/{ECHO}/status")
    assert (answer.status, answer.json["success"]) == (500, False)
    assert "secret" not in answer.text
    assert "secret detail" in caplog.text


async def test_too_large_a_body_is_413_in_this_form(tmp_path):
    from tests.support.house import a_house

    async with a_house(tmp_path, max_body=100) as house:
        for body in (b"x" * 200, [b"x" * 200]):
            answer = await house.client.post(f"/v1/agents/run/{ECHO}", body=body)
            assert (answer.status, answer.json["success"]) == (413, False)
