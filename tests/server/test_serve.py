"""The server on a real socket, with a real client."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import suppress

import httpx
import pytest

from runwell.server.serve import MOST_OVERHEAD, Server, server
from tests.support.asgi import PATIENCE, soon
from tests.support.house import House, a_house

LIMIT = 100_000
SSE = {"accept": "text/event-stream"}


class Served:
    def __init__(self, house: House, serving: Server, task: asyncio.Task[None]) -> None:
        self.house = house
        self.url = f"http://127.0.0.1:{serving.port}"
        self.client = httpx.AsyncClient(base_url=self.url, timeout=PATIENCE, trust_env=False)
        self._serving = serving
        self._task = task

    async def stop(self) -> None:
        self._serving.should_exit = True
        await asyncio.wait_for(self._task, PATIENCE)


@pytest.fixture
async def served(tmp_path) -> AsyncIterator[Served]:
    async with a_house(tmp_path, max_body=LIMIT) as house:
        serving = server(house.app, house.closing, host="127.0.0.1", port=0)
        task = asyncio.ensure_future(serving.serve())
        await serving.ready.wait()
        served = Served(house, serving, task)
        async with served.client:
            yield served
        await served.stop()


async def test_no_answer_is_taken_for_something_else_than_it_says(served: Served):
    for method, path in (
        ("GET", "/"), ("GET", "/ui/"), ("GET", "/ui/nothing"), ("GET", "/ui/assets/old/app.js"),
        ("DELETE", "/ui/"), ("POST", "/ui/sign-out"), ("POST", "/ui/csp-reports"), ("GET", "/ui/runs/x"),
    ):  # fmt: skip
        answer = await served.client.request(method, path)
        assert answer.headers.get_list("x-content-type-options") == ["nosniff"], (method, path)


async def test_a_run_from_submit_to_end(served: Served):
    client, house = served.client, served.house
    submitted = await client.post("/runs", json={"input": "x"}, headers={"Idempotency-Key": "k"})
    assert submitted.status_code == 202
    location = submitted.headers["location"]
    seen = await client.get(location)
    assert seen.json()["status"] == "queued"
    assert "server" not in seen.headers
    assert seen.headers["x-content-type-options"] == "nosniff"
    same = await client.get(location, headers={"If-None-Match": seen.headers["etag"]})
    assert (same.status_code, same.content) == (304, b"")
    run = await house.claim(await house.the_only_run())
    polling = asyncio.ensure_future(client.get(location, headers={"Prefer": "wait=20"}))
    await soon(lambda: house.closing.polls)
    await house.succeed(run, {"n": 1})
    assert (await polling).json()["output"] == {"n": 1}
    assert (await client.delete(location)).status_code == 204
    assert (await client.get(location)).status_code == 404


async def test_a_stream_over_a_socket(served: Served):
    house = served.house
    run = await house.a_running_run()
    async with served.client.stream("GET", f"/runs/{run.id}/events", headers=SSE) as response:
        lines = response.aiter_lines()
        assert await anext(lines) == "retry: 1000"
        await house.say(run, "a", "b")
        await house.succeed(run)
        rest = [line async for line in lines]
    assert [line for line in rest if line.startswith("id:")] == [f"id: {seq}" for seq in range(1, 6)]


@pytest.mark.parametrize(
    "beginning",
    [
        b"GET /runs HTTP/1.1\r\nhost: localhost\r\nx-long: ",
        b"GET /runs?",
        b"POST /runs HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n1;",
    ],
)
async def test_a_head_without_an_end_is_refused(served: Served, beginning):
    reader, writer = await asyncio.open_connection("127.0.0.1", int(served.url.rpartition(":")[2]))
    writer.write(beginning + b"x" * 4 * MOST_OVERHEAD)
    # Whoever sends more than is read may be told by a reset instead; who waits for more is not told at all.
    with suppress(ConnectionError):
        assert b" 400 " in await asyncio.wait_for(reader.read(), PATIENCE)
    writer.close()
    assert (await served.client.get("/healthz")).status_code == 200


async def test_heads_and_bodies_of_many_requests_do_not_add_up(served: Served):
    headers, body = {"x-long": "x" * 40_000}, {"input": "x" * 90_000}
    for _ in range(5):
        assert (await served.client.post("/runs", json=body, headers=headers)).status_code == 202


async def test_a_client_that_leaves_a_stream_is_noticed(served: Served):
    house = served.house
    run = await house.a_running_run()
    async with served.client.stream("GET", f"/runs/{run.id}/events", headers=SSE) as response:
        await anext(response.aiter_lines())
        assert len(house.closing.streams) == 1
    await soon(lambda: not house.closing.streams)
    assert house.signals._watches == {}


async def test_a_client_that_leaves_a_long_poll_is_noticed(served: Served):
    house = served.house
    run = await house.a_running_run()
    with pytest.raises(httpx.ReadTimeout):
        await served.client.get(f"/runs/{run.id}", headers={"Prefer": "wait=60"}, timeout=0.05)
    await soon(lambda: not house.closing.polls)
    assert house.signals._watches == {}


async def test_a_slow_reader_holds_nothing_in_memory(served: Served):
    """Megabytes are in the log, and no more of them than a socket holds are under way."""
    house = served.house
    run = await house.a_running_run()
    for _ in range(40):
        await house.say(run, "x" * 200_000)
    reader, writer = await asyncio.open_connection("127.0.0.1", int(served.url.rpartition(":")[2]))
    writer.write(
        f"GET /runs/{run.id}/events HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n".encode()
    )
    await soon(lambda: house.closing.streams)
    transport_buffers = [
        connection.transport.get_write_buffer_size()
        for connection in served._serving.server_state.connections
        if connection.transport is not None
    ]
    # One page at most, however long the log is.
    assert max(transport_buffers) <= 500 * 200_100
    await house.succeed(run)
    text = b""
    while b"run.succeeded" not in text[-20_000:]:
        text += await asyncio.wait_for(reader.read(1 << 20), PATIENCE)
    assert text.count(b"event: output.text_delta") == 40
    writer.close()


async def test_a_body_over_the_limit_over_a_socket(served: Served):
    large = b"x" * (LIMIT + 1)
    assert (await served.client.post("/runs", content=large)).status_code == 413

    async def parts():
        for _ in range(20):
            yield large[: LIMIT // 10]

    assert (await served.client.post("/runs", content=parts())).status_code == 413
    assert (await served.client.get("/healthz")).status_code == 200


async def test_one_connection_serves_many_requests(served: Served):
    run = await served.house.submit()
    for _ in range(50):
        assert (await served.client.get(f"/runs/{run.id}")).status_code == 200
        assert (await served.client.get(f"/runs/{run.id}/steps")).status_code == 200
    assert len(served._serving.server_state.connections) == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_the_serving_and_nothing_else(house: House, number):
    serving = server(house.app, house.closing, host="127.0.0.1", port=0)
    task = asyncio.ensure_future(serving.serve())
    await serving.ready.wait()
    signal.raise_signal(number)
    await asyncio.wait_for(task, PATIENCE)
    assert house.closing.begun
    # The process is still here, and so is its store.
    assert await house.submit()


async def test_the_servers_end_ends_what_would_hold_it_up(served: Served):
    house = served.house
    run = await house.a_running_run()

    async def stream() -> list[str]:
        async with served.client.stream("GET", f"/runs/{run.id}/events", headers=SSE) as response:
            return [line async for line in response.aiter_lines()]

    streams = [asyncio.ensure_future(stream()) for _ in range(5)]
    polls = [
        asyncio.ensure_future(served.client.get(f"/runs/{run.id}", headers={"Prefer": "wait=60"}))
        for _ in range(5)
    ]
    await soon(lambda: len(house.closing.streams) == len(house.closing.polls) == 5)
    loop = asyncio.get_running_loop()
    began = loop.time()
    await served.stop()
    assert loop.time() - began < 5
    assert all("id: 2" in lines for lines in await asyncio.gather(*streams))
    assert {poll.json()["status"] for poll in await asyncio.gather(*polls)} == {"running"}
