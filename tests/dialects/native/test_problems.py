"""Errors on the wire: RFC 9457, every kind, every code."""

import inspect

import jsonschema
import msgspec
import pytest
from msgspec.json import schema

from runwell.dialects.native import problems
from runwell.dialects.native.bodies import Problem
from runwell.domain import errors
from runwell.domain.errors import ErrorKind, RunwellError
from tests.support.house import House

ID = "a" * 32
MADE = {
    errors.InvalidId: ("x",),
    errors.InvalidJson: ("$.a", "bad"),
    errors.InvalidInput: ("$.a", "bad"),
    errors.IdempotencyMismatch: ("key", ID),
    errors.RunNotFound: (ID,),
    errors.AgentNotFound: ("x",),
    errors.ThreadNotFound: (ID,),
    errors.KeyNotFound: ("x",),
    errors.UserNotFound: ("x",),
    errors.EmailTaken: ("x",),
    errors.TriggerNotFound: ("x",),
    errors.ScheduleNotFound: ("x",),
    errors.DeliveryNotFound: (ID,),
    errors.CallbackNotFound: (ID,),
    errors.IllegalTransition: (ID, "failed", "cancel"),
    errors.RunNotFinal: (ID, "queued", "deleted"),
    errors.RunNotWaiting: (ID, "queued"),
    errors.QuestionChanged: (ID, "ask", "ask#2"),
    errors.ThreadBusy: (ID, ID),
    errors.StaleRun: (ID,),
    errors.NotItsTurn: (ID,),
    errors.AttemptSuperseded: (ID, 1),
    errors.LogPruned: (ID,),
}
ERRORS = [
    error for _, error in inspect.getmembers(errors, inspect.isclass) if issubclass(error, RunwellError)
] + [problems.MalformedJson]
SCOPE = {"type": "http", "method": "GET", "path": "/x"}


def check_problem(reply) -> Problem:
    assert dict(reply.headers)[b"content-type"] == b"application/problem+json"
    body = msgspec.json.decode(reply.body)
    jsonschema.validate(body, schema(Problem))
    assert body["status"] == reply.status
    assert list(body)[:5] == ["type", "title", "status", "code", "detail"]
    return msgspec.convert(body, Problem)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
def test_every_error_has_a_problem(error):
    made = error(*MADE.get(error, ("a sentence", "a hint")))
    told = check_problem(problems.refuse(made, SCOPE))
    assert told.code == error.code
    assert told.detail == made.message
    assert (told.hint or "") == made.hint


@pytest.mark.parametrize("kind", list(ErrorKind))
def test_every_kind_has_a_status(kind):
    class Made(RunwellError):
        pass

    Made.kind = kind
    assert 400 <= problems.status_of(Made("x")) < 600


def test_what_nobody_foresaw_tells_nothing():
    reply = problems.refuse(ZeroDivisionError("secret detail"), SCOPE)
    assert check_problem(reply).code == "internal"
    assert b"secret" not in reply.body


def test_an_unavailable_store_says_when_to_come_back():
    reply = problems.refuse(errors.StoreUnavailable("disk full", retry_after=2.3), SCOPE)
    assert reply.status == 503
    assert dict(reply.headers)[b"retry-after"] == b"3"


@pytest.mark.parametrize(("seconds", "header"), [(0.0, b"1"), (0.001, b"1"), (1.0, b"1"), (59.1, b"60")])
@pytest.mark.parametrize("error", [errors.RateLimited, errors.TooManyStreams])
def test_who_has_too_much_is_told_when_to_come_back(error, seconds, header):
    reply = problems.refuse(error("too much", retry_after=seconds), SCOPE)
    assert reply.status == 429
    assert dict(reply.headers)[b"retry-after"] == header


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing", 404, "no_such_path"), ("GET", "/native/nothing", 404, "no_such_path"),
        ("GET", "/runs/", 404, "no_such_path"), ("GET", "/runs/x/y/z", 404, "no_such_path"),
        ("PUT", "/runs", 405, "method_not_allowed"), ("PATCH", "/native/runs/x", 405, "method_not_allowed"),
        ("GET", "/runs/x/cancel", 405, "method_not_allowed"),
    ],
)  # fmt: skip
async def test_paths_and_methods_that_are_not_there(house: House, method, path, status, code):
    answer = await house.client.request(method, path)
    assert (answer.status, answer.json["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"


async def test_all_methods_of_a_path_are_allowed(house: House):
    assert (await house.client.request("PUT", "/runs")).headers["allow"] == "GET, POST"
    assert (await house.client.request("PUT", "/native/runs/x")).headers["allow"] == "DELETE, GET"


@pytest.mark.parametrize("path", ["/runs/{id}", "/runs", "/runs/{id}/events", "/runs/{id}/steps"])
async def test_a_store_that_is_gone_is_503_everywhere(house: House, path, monkeypatch):
    run = await house.submit()

    async def gone(*args, **kwargs):
        raise errors.StoreUnavailable("disk full")

    for method in ("get", "page"):
        monkeypatch.setattr(house.store.runs, method, gone)
    answer = await house.client.get(path.format(id=run.id))
    assert (answer.status, answer.json["code"]) == (503, "store_unavailable")
    assert int(answer.headers["retry-after"]) >= 1


async def test_a_fault_of_the_server_is_500_and_logged(house: House, monkeypatch, caplog):
    run = await house.submit()

    async def broken(*args, **kwargs):
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr(house.store.runs, "get", broken)
    answer = await house.client.get(f"/runs/{run.id}")
    assert (answer.status, answer.json["code"]) == (500, "internal")
    assert "secret" not in answer.text
    assert "secret detail" in caplog.text
