"""Web pages of other origins: which may read answers, and what they are told before they ask."""

from collections.abc import AsyncIterator

import pytest

from tests.support.house import House, a_house

APP = "https://app.example"
PREFLIGHT = {"access-control-request-method": "POST", "access-control-request-headers": "idempotency-key"}


@pytest.fixture
async def keyed(tmp_path) -> AsyncIterator[House]:
    async with a_house(tmp_path / "keyed", local_mode=False, origins=[APP]) as house:
        yield house


@pytest.fixture
async def local(tmp_path) -> AsyncIterator[House]:
    async with a_house(tmp_path / "local", origins=[APP]) as house:
        yield house


@pytest.mark.parametrize("path", ["/runs", "/native/runs", "/runs/x", "/agents", "/nothing", "/healthz"])
async def test_a_listed_page_may_read_every_answer(keyed: House, path):
    answer = await keyed.client.get(path, headers={"origin": APP})
    assert answer.headers["access-control-allow-origin"] == APP
    assert answer.headers["vary"] == "origin"
    assert "etag" in answer.headers["access-control-expose-headers"]
    assert "access-control-allow-credentials" not in answer.headers


async def test_a_listed_page_may_ask_first(keyed: House):
    for path in ("/runs", "/runs/x/cancel", "/native/agents/x"):
        answer = await keyed.client.request("OPTIONS", path, headers={"origin": APP, **PREFLIGHT})
        assert (answer.status, answer.body) == (204, b"")
        assert answer.headers["access-control-allow-origin"] == APP
        assert "idempotency-key" in answer.headers["access-control-allow-headers"]
        assert "DELETE" in answer.headers["access-control-allow-methods"]
        assert "access-control-allow-private-network" not in answer.headers


async def test_a_listed_page_from_the_net_may_ask_this_machine(local: House):
    headers = {"origin": APP, **PREFLIGHT, "access-control-request-private-network": "true"}
    answer = await local.client.request("OPTIONS", "/runs", headers=headers)
    assert answer.headers["access-control-allow-private-network"] == "true"


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost:3000", ""])
async def test_others_get_no_word_of_it(keyed: House, origin):
    for method, headers in (("GET", {}), ("OPTIONS", PREFLIGHT)):
        answer = await keyed.client.request(method, "/runs", headers={"origin": origin, **headers})
        assert answer.status in (401, 405)
        assert not [name for name in answer.headers if name.startswith("access-control")]


async def test_pages_of_this_machine_may_read_in_local_mode(local: House):
    for origin in ("http://localhost:3000", "http://127.0.0.1:5173", APP):
        answer = await local.client.get("/runs", headers={"origin": origin})
        assert (answer.status, answer.headers["access-control-allow-origin"]) == (200, origin)
    refused = await local.client.request("OPTIONS", "/runs", headers={"origin": "http://e.x", **PREFLIGHT})
    assert refused.status == 403


async def test_streams_are_readable_too(local: House):
    run = await local.a_finished_run()
    headers = {"origin": APP, "accept": "text/event-stream"}
    answer = await local.client.get(f"/runs/{run.id}/events", headers=headers)
    assert answer.headers["access-control-allow-origin"] == APP
    assert b"run.succeeded" in answer.body


async def test_an_options_request_that_asks_for_nothing_is_refused_as_ever(local: House):
    assert (await local.client.request("OPTIONS", "/runs", headers={"origin": APP})).status == 405
