"""Errors on the wire: every class of the domain and of this dialect."""

import inspect
import json

import pytest

from runwell.dialects.praisonai import errors as own
from runwell.dialects.praisonai.errors import refuse, webhook_text
from runwell.domain import errors
from runwell.domain.errors import AddressFault, ErrorKind, RunwellError
from tests.support.house import House

ID = "a" * 32
SCOPE = {"type": "http", "method": "GET", "path": "/x"}
MADE = {
    "job_id": "run_x", "status": "running", "root": "/srv", "run_id": ID, "thread_id": ID, "key_id": ID,
    "callback_id": ID, "delivery_id": ID, "fault": AddressFault.MALFORMED, "attempt": 1, "retry_after": 2.3,
    "known": ("echo",),
}  # fmt: skip
ERRORS = sorted(
    {
        error
        for module in (errors, own)
        for _, error in inspect.getmembers(module, inspect.isclass)
        if issubclass(error, RunwellError)
    },
    key=lambda error: error.__name__,
)


def made(error: type[RunwellError]) -> RunwellError:
    parameters = list(inspect.signature(error).parameters.values())
    return error(*(MADE.get(each.name, f"some {each.name}") for each in parameters))  # type: ignore[arg-type]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
def test_every_error_has_an_answer_in_the_originals_form(error):
    told = made(error)
    reply = refuse(told, SCOPE)
    body = json.loads(reply.body)
    assert dict(reply.headers)[b"content-type"] == b"application/json"
    if reply.status == 401:
        assert body == {"error": "Unauthorized"}
    elif reply.status == 422:
        assert {"type", "loc", "msg", "input"} <= set(body["detail"][0])
        assert body["detail"][0]["loc"][0] == "body"
    else:
        assert isinstance(body["detail"], str)
        assert set(body) <= {"detail", "hint"}
    if reply.status in (429, 503):
        assert int(dict(reply.headers)[b"retry-after"]) >= 1


@pytest.mark.parametrize("kind", list(ErrorKind))
def test_every_kind_has_a_status(kind):
    class Made(RunwellError):
        pass

    Made.kind = kind
    assert 400 <= own.status_of(Made("x")) < 600


def test_every_fault_of_an_address_has_a_sentence_of_its_own():
    assert len({webhook_text(fault) for fault in AddressFault}) == len(AddressFault)


def test_what_nobody_foresaw_tells_nothing():
    reply = refuse(ZeroDivisionError("secret detail"), SCOPE)
    assert (reply.status, json.loads(reply.body)) == (500, {"detail": "Internal Server Error"})


def test_a_full_queue_is_told_as_the_original_does():
    reply = refuse(errors.QueueFull("10 runs are queued already", "", 5.0), SCOPE)
    assert (reply.status, json.loads(reply.body)) == (503, {"detail": "Job queue is full; retry later."})
    assert dict(reply.headers)[b"retry-after"] == b"1"


async def test_a_store_that_is_gone_is_503_everywhere(house: House, monkeypatch):
    async def gone(*args, **kwargs):
        raise errors.StoreUnavailable("disk full", retry_after=2.3)

    for method in ("get", "page", "depths", "count"):
        monkeypatch.setattr(house.store.runs, method, gone)
    for path in (
        "/api/v1/runs",
        f"/api/v1/runs/run_{ID}",
        f"/api/v1/runs/run_{ID}/stream",
        "/health",
        "/stats",
    ):
        answer = await house.client.get(path)
        assert (answer.status, answer.json["detail"]) == (503, "disk full"), path
        assert answer.headers["retry-after"] == "3"


async def test_a_fault_of_the_server_is_500_without_a_word(house: House, monkeypatch):
    run = await house.submit()

    async def broken(*args, **kwargs):
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr(house.store.runs, "get", broken)
    answer = await house.client.get(f"/api/v1/runs/run_{run.id}")
    assert (answer.status, answer.json) == (500, {"detail": "Internal Server Error"})
    asked = house.client.open("GET", f"/api/v1/runs/run_{run.id}/result")
    exchange = await (await asked.__aenter__()).started()
    assert (exchange.status, json.loads(await exchange.read())) == (500, answer.json)
    # A framework raises again after it has answered, so that the server logs it.
    with pytest.raises(ZeroDivisionError):
        await asked.__aexit__(None, None, None)
