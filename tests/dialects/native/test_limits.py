"""429 and 503: how often a key may ask, how many streams it may hold, how much may be queued."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from runwell.auth.authenticator import Authenticator
from runwell.auth.rate_limit import RateLimit
from runwell.dialects.native.dialect import build_native
from runwell.domain.principal import Scope
from runwell.engine.queue_limit import QueueLimit
from runwell.server.app import build_app
from tests.support.asgi import Answer, AsgiClient, Exchange, soon
from tests.support.house import House, a_house

SSE = {"accept": "text/event-stream"}


@pytest.fixture
async def keyed(tmp_path: Path) -> AsyncIterator[House]:
    """A server that wants a key."""
    async with a_house(tmp_path / "keyed", local_mode=False) as house:
        yield house


def app_of(house: House, way: str, **services: Any) -> AsgiClient:
    """The house with other services: through the front, or its native app alone."""
    given = replace(house.services, **services)
    return AsgiClient(build_app(given) if way == "front" else build_native(given).app)


def check_problem(answer: Answer, status: int, code: str, retry_after: str) -> None:
    assert (answer.status, answer.json["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["retry-after"] == retry_after
    assert answer.json["status"] == status
    assert answer.json["detail"]
    assert answer.json["hint"]


WAYS = pytest.mark.parametrize("way", ["front", "app"])


def limited(house: House, way: str, count: int, *, local_mode: bool = False) -> AsgiClient:
    auth = Authenticator(
        house.store, house.clock, local_mode=local_mode, rate_limit=RateLimit(count, seconds=60)
    )
    return app_of(house, way, authenticator=auth)


@WAYS
async def test_a_key_that_asks_too_often_is_told_when_to_come_back(keyed: House, way):
    client = limited(keyed, way, 4)
    ann = client.with_headers(authorization=f"Bearer {await keyed.secret('ann')}")
    bob = client.with_headers(authorization=f"Bearer {await keyed.secret('bob')}")
    run = await keyed.submit(owner="ann")
    # Every route counts, the hot ones and the others, and also what is refused.
    assert (await ann.get(f"/runs/{run.id}")).status == 200
    assert (await ann.get("/agents")).status == 200
    assert (await ann.post("/runs", {"input": "x"})).status == 202
    assert (await ann.get("/runs/x")).status == 422
    for method, path in (("GET", f"/runs/{run.id}"), ("GET", "/agents"), ("POST", "/runs")):
        check_problem(await ann.request(method, path, json={"input": "x"}), 429, "rate_limited", "15")
    check_problem(await ann.get(f"/runs/{run.id}/events", headers=SSE), 429, "rate_limited", "15")
    assert len((await bob.get("/runs")).json["runs"]) == 0
    assert len(await keyed.store.runs.every(None, 10)) == 2
    keyed.clock.move(14.5)
    check_problem(await ann.get("/agents"), 429, "rate_limited", "1")
    keyed.clock.move(0.5)
    assert (await ann.get("/agents")).status == 200


@WAYS
async def test_what_the_key_may_not_do_counts_too(keyed: House, way):
    client = limited(keyed, way, 2)
    secret = await keyed.secret("ann", [Scope.RUNS_READ])
    ann = client.with_headers(authorization=f"Bearer {secret}")
    statuses = [(await ann.post("/runs", {"input": "x"})).status for _ in range(3)]
    assert statuses == [403, 403, 429]


@WAYS
async def test_wrong_keys_use_up_nobodys_share(keyed: House, way):
    client = limited(keyed, way, 1)
    ann = client.with_headers(authorization=f"Bearer {await keyed.secret('ann')}")
    for number in range(5):
        wrong = client.with_headers(authorization=f"Bearer rw_{number}")
        assert (await wrong.get("/agents")).status == 401
    assert (await ann.get("/agents")).status == 200


async def test_metrics_count_as_well(keyed: House):
    client = limited(keyed, "front", 1)
    ann = client.with_headers(authorization=f"Bearer {await keyed.secret('ann')}")
    assert (await ann.get("/metrics")).status == 200
    check_problem(await ann.get("/metrics"), 429, "rate_limited", "60")
    assert (await client.get("/healthz")).status == 200


@WAYS
async def test_local_mode_may_ask_as_often_as_it_likes(house: House, way):
    client = limited(house, way, 1, local_mode=True)
    assert [(await client.get("/agents")).status for _ in range(5)] == [200] * 5


@WAYS
async def test_a_full_queue_is_503_and_a_repeated_submit_is_answered(house: House, way):
    client = app_of(house, way, core=replace(house.core, queue=QueueLimit(2)))
    keyed = {"idempotency-key": "one"}
    first = await client.post("/runs", {"input": "x"}, headers=keyed)
    done = await house.a_finished_run()
    await client.post("/runs", {"input": "x"})
    check_problem(await client.post("/runs", {"input": "x"}), 503, "queue_full", "5")
    check_problem(await client.post(f"/runs/{done.id}/retry"), 503, "queue_full", "5")
    again = await client.post("/runs", {"input": "x"}, headers=keyed)
    assert (again.status, again.headers["idempotent-replayed"]) == (202, "true")
    assert again.json["id"] == first.json["id"]
    assert len(await house.store.runs.every(None, 10)) == 3


async def open_stream(stack: AsyncExitStack, client: AsgiClient, run_id: str) -> Exchange:
    exchange = await stack.enter_async_context(client.open("GET", f"/runs/{run_id}/events", headers=SSE))
    await exchange.started()
    assert exchange.status == 200
    await exchange.chunk()
    return exchange


@WAYS
async def test_a_key_has_so_many_streams_and_gets_another_when_one_ends(keyed: House, way):
    keyed.closing.most_streams = 2
    client = app_of(keyed, way)
    ann = client.with_headers(authorization=f"Bearer {await keyed.secret('ann')}")
    again = client.with_headers(authorization=f"Bearer {await keyed.secret('ann')}")
    run = await keyed.a_running_run(owner="ann")
    path = f"/runs/{run.id}/events"
    async with AsyncExitStack() as stack:
        first = await open_stream(stack, ann, run.id)
        await open_stream(stack, ann, run.id)
        check_problem(await ann.get(path, headers=SSE), 429, "too_many_streams", "5")
        # Another key has its own; what is no stream is not limited.
        await open_stream(stack, again, run.id)
        assert (await ann.get(path)).status == 200
        assert (await ann.get("/runs/" + "0" * 32 + "/events", headers=SSE)).status == 404
        first.leave()
        await first.ended()
        await open_stream(stack, ann, run.id)
        assert (await ann.get(path, headers=SSE)).status == 429
    await soon(lambda: not keyed.closing.streams)
    await keyed.succeed(run)
    for _ in range(5):
        assert (await ann.get(path, headers=SSE)).status == 200


@WAYS
async def test_the_local_owner_is_limited_too(house: House, way):
    house.closing.most_streams = 1
    client = app_of(house, way)
    run = await house.a_running_run()
    async with AsyncExitStack() as stack:
        await open_stream(stack, client, run.id)
        answer = await client.get(f"/runs/{run.id}/events", headers=SSE)
        check_problem(answer, 429, "too_many_streams", "5")
