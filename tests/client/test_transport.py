"""Requests, retries and errors against a real server on loopback."""

import json
from typing import Any

import pytest

from runwell.client import (
    ApiError,
    AsyncClient,
    Conflict,
    ConnectionFailed,
    NotFound,
    Patience,
    RateLimited,
    ServerUnavailable,
    Unauthenticated,
)
from runwell.client.transport import Notice
from tests.client.scripted import AT, Answer, Script, listen, serving

RUN = {"id": "run_1", "status": "queued", "agent": "a", "created_at": AT, "links": {}, "from_the_future": 1}
BUSY = Answer(503, {"code": "store_unavailable", "detail": "disk full", "hint": "make room"})


def client_of(url: str, *, patience: float = 5.0, notice: Notice | None = None) -> AsyncClient:
    quick = Patience(total=patience, shortest=0.001, longest=0.01)
    return AsyncClient(url, "rw_secret", patience=quick, notice=notice)


async def test_create_sends_what_is_given_and_nothing_else() -> None:
    script = Script(Answer(202, RUN))
    with serving(script) as url:
        async with client_of(url) as client:
            run = await client.runs.create("a", {"q": 1}, priority=5, idempotency_key="k", wait=0.2)
    request = script.seen[0]
    assert (run.id, run.status, run.final) == ("run_1", "queued", False)
    assert (request.method, request.path) == ("POST", "/runs")
    assert json.loads(request.body) == {"agent": "a", "input": {"q": 1}, "priority": 5}
    assert request.headers["authorization"] == "Bearer rw_secret"
    assert request.headers["idempotency-key"] == "k"
    assert request.headers["prefer"] == "wait=1"


@pytest.mark.parametrize("trouble", [BUSY, Answer(502), Answer(504), Answer(429), Answer(drop=True)])
async def test_create_is_repeated_with_one_key_and_one_body(trouble: Answer) -> None:
    script = Script(trouble, trouble, Answer(202, RUN))
    told: list[str] = []
    with serving(script) as url:
        async with client_of(url, notice=lambda error, wait: told.append(error.code)) as client:
            await client.runs.create("a", "x")
            first_key = script.seen[0].headers["idempotency-key"]
            await client.runs.create("a", "x")
    assert len(script.seen) == 4
    assert len({(seen.headers["idempotency-key"], seen.body) for seen in script.seen[:3]}) == 1
    assert script.seen[3].headers["idempotency-key"] != first_key
    assert len(told) == 2


@pytest.mark.parametrize("trouble", [BUSY, Answer(429), Answer(drop=True)])
async def test_what_may_have_happened_is_not_done_again(trouble: Answer) -> None:
    script = Script(trouble, Answer(202, RUN))
    with serving(script) as url:
        async with client_of(url) as client:
            with pytest.raises(ApiError):
                await client.runs.answer("run_1", "yes")
            assert len(script.seen) == 1
            script.answers.insert(0, trouble)
            with pytest.raises(ApiError):
                await client.runs.retry("run_1")
    assert len(script.seen) == 2


async def test_cancel_is_repeated() -> None:
    script = Script(Answer(drop=True), BUSY, Answer(202, RUN))
    with serving(script) as url:
        async with client_of(url) as client:
            run = await client.runs.cancel("run_1")
    assert run.id == "run_1"
    assert [seen.path for seen in script.seen] == ["/runs/run_1/cancel"] * 3


async def test_even_an_answer_waits_for_a_server_that_starts() -> None:
    with listen() as sock:
        port = sock.getsockname()[1]
    script = Script(Answer(202, RUN))
    servers: list[Any] = []

    def start(error: ApiError, wait: float) -> None:
        assert isinstance(error, ConnectionFailed)
        assert not error.sent
        if not servers:
            servers.append(serving(script, port))
            servers[0].__enter__()

    async with client_of(f"http://127.0.0.1:{port}", notice=start) as client:
        try:
            run = await client.runs.answer("run_1", {"ok": True})
        finally:
            servers[0].__exit__(None, None, None)
    assert run.id == "run_1"
    assert json.loads(script.seen[0].body) == {"answer": {"ok": True}}


async def test_a_delete_whose_answer_was_lost_is_done() -> None:
    gone = Answer(404, {"code": "run_not_found", "detail": "no such run"})
    with serving(Script(Answer(drop=True), gone)) as url:
        async with client_of(url) as client:
            await client.runs.delete("run_1")
            with pytest.raises(NotFound):
                await client.runs.delete("run_1")


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, Unauthenticated),
        (404, NotFound),
        (409, Conflict),
        (422, ApiError),
        (403, ApiError),
        (500, ApiError),
    ],
)
async def test_errors_are_typed_and_not_repeated(status: int, kind: type[ApiError]) -> None:
    problem = {
        "type": "about:blank",
        "title": "T",
        "status": status,
        "code": "the_code",
        "detail": "A sentence",
        "hint": "Do this",
        "run_id": "run_2",
    }
    script = Script(Answer(status, problem, {"content-type": "application/problem+json"}))
    with serving(script) as url:
        async with client_of(url) as client:
            with pytest.raises(ApiError) as caught:
                await client.runs.get("run_1")
    error = caught.value
    assert type(error) is kind
    assert (error.status, error.code, error.message, error.hint) == (
        status,
        "the_code",
        "A sentence",
        "Do this",
    )
    assert error.details == {"run_id": "run_2"}
    assert len(script.seen) == 1


async def test_an_error_that_is_no_document_is_still_told() -> None:
    with serving(Script(Answer(500, b"<h1>Bad\n gateway</h1>"), Answer(500, b""))) as url:
        async with client_of(url) as client:
            with pytest.raises(ApiError, match="HTTP 500: <h1>Bad gateway</h1>"):
                await client.runs.get("run_1")
            with pytest.raises(ApiError, match=r"^HTTP 500 \(http_500\)$"):
                await client.runs.get("run_1")


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"id": 1}', b"\xff", {**RUN, "status": "odd"}])
async def test_another_server_on_that_port_is_an_error_too(body: object) -> None:
    with serving(Script(Answer(200, body))) as url:
        async with client_of(url) as client:
            with pytest.raises(ApiError, match="not as a Runwell server does") as caught:
                await client.runs.get("run_1")
    assert caught.value.code == "unexpected_answer"


async def test_gives_up_when_patience_ends() -> None:
    with serving(Script(BUSY)) as url:
        async with client_of(url, patience=0.05) as client:
            with pytest.raises(ServerUnavailable, match="disk full"):
                await client.runs.get("run_1")


async def test_does_not_wait_longer_than_it_has() -> None:
    script = Script(Answer(429, {"detail": "slow down"}, {"retry-after": "3"}))
    with serving(script) as url:
        async with client_of(url, patience=2.0) as client:
            with pytest.raises(RateLimited) as caught:
                await client.runs.get("run_1")
    assert caught.value.retry_after == 3.0
    assert len(script.seen) == 1


async def test_nothing_there_is_said_with_a_hint() -> None:
    with listen() as sock:
        url = f"http://127.0.0.1:{sock.getsockname()[1]}"
    async with client_of(url, patience=0.0) as client:
        with pytest.raises(ConnectionFailed) as caught:
            await client.runs.get("run_1")
    assert caught.value.hint == f"Is `runwell serve` running at {url}?"
    assert caught.value.status == 0


async def test_a_proxy_of_the_environment_is_not_for_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with serving(Script(Answer(200, RUN))) as url:
        async with client_of(url, patience=0.0) as client:
            assert (await client.runs.get("run_1")).id == "run_1"


def test_address_and_key_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RUNWELL_URL", raising=False)
    assert AsyncClient().base_url == "http://127.0.0.1:8005"
    monkeypatch.setenv("RUNWELL_URL", "https://runs.example/native/")
    assert AsyncClient().base_url == "https://runs.example/native"
    assert AsyncClient("http://[::1]:1").base_url == "http://[::1]:1"


@pytest.mark.parametrize("url", ["localhost:8005", "ftp://x", "http://", "/runs"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="write http://HOST:PORT"):
        AsyncClient(url)


async def test_a_mount_in_the_address_is_kept() -> None:
    script = Script(Answer(200, RUN))
    with serving(script) as url:
        async with client_of(url + "/native/") as client:
            await client.runs.get("run_1")
    assert script.seen[0].path == "/native/runs/run_1"
