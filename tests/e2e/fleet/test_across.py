"""What begins at one process of the fleet and goes on at another."""

import asyncio
import time

import pytest

from runwell.client import AsyncClient
from runwell.client.models import Event
from tests.e2e.fleet.agents import WORDS
from tests.e2e.fleet.story import at, check_whole, client_of, gate, log_of, on, until
from tests.support.live_fleet import Fleet, Member

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(90)]

WATCHERS = 2_000
POOL = 10
"""The connections of a process, beside the one of its signals, which is all that watchers need."""


async def test_a_cancel_reaches_any_worker_from_any_server(fleet: Fleet) -> None:
    took = []
    async with client_of(fleet["a"]) as here, client_of(fleet["b"]) as there:
        for _ in range(3):
            run = await on(fleet, there, fleet["c"], "patient", str(gate(fleet)))
            asked = time.time()
            await here.runs.cancel(run.id)
            ended = await there.runs.wait(run.id, timeout=10)
            assert (ended.status, ended.tries) == ("cancelled", 0)
            log = await log_of(there, run.id)
            check_whole(log)
            took.append(at(log[-1]) - asked)
    print(f"cancelled after {', '.join(f'{each:.3f}' for each in took)} s")
    assert min(took) < 1.0, "never within a second"
    assert max(took) < 3.0


async def test_an_answer_is_given_at_another_server_and_counts_once(fleet: Fleet) -> None:
    async with client_of(fleet["a"]) as here, client_of(fleet["b"]) as there:
        run = await here.runs.create("asking", "q")
        await until(there, run.id, "waiting")
        answers = await asyncio.gather(
            *(each.runs.answer(run.id, n) for n, each in enumerate((here, there, here, there))),
            return_exceptions=True,
        )
        assert sum(not isinstance(each, BaseException) for each in answers) == 1, answers
        ended = await here.runs.wait(run.id, timeout=10)
        (given,) = [n for n, each in enumerate(answers) if not isinstance(each, BaseException)]
        assert (ended.status, ended.output) == ("succeeded", str(given))
        check_whole(await log_of(there, run.id))


async def some_of(client: AsyncClient, run_id: str, count: int) -> list[Event]:
    seen = []
    async for event in client.runs.events(run_id):
        seen.append(event)
        if len(seen) == count:
            break
    return seen


async def test_a_stream_goes_on_at_another_server_when_its_own_is_killed(fleet: Fleet) -> None:
    async with client_of(fleet["a"]) as here, client_of(fleet["b"]) as there:
        run = await on(fleet, there, fleet["c"], "talker", "q")
        seen = await some_of(here, run.id, 10)
        await asyncio.to_thread(fleet["a"].kill)
        async for event in there.runs.events(run.id, after=seen[-1].seq):
            seen.append(event)
        check_whole(seen)
        words = "".join(event.data["text"] for event in seen if event.type == "output.text_delta")
        assert words.split() == [str(n) for n in range(WORDS)]
        assert (await there.runs.get(run.id)).attempt == 1, "its worker lived on"


async def _watch(member: Member, run_id: str, begun: asyncio.Semaphore) -> bytes:
    """Everything that a watcher is sent. By hand: a real client takes longer for it than the server."""
    reader, writer = await asyncio.open_connection(*member.place)
    host = f"{member.place.host}:{member.place.port}"
    writer.write(
        f"GET /runs/{run_id}/events HTTP/1.1\r\nHost: {host}\r\nAccept: text/event-stream\r\n"
        "Connection: close\r\n\r\n".encode()
    )
    sent = await reader.readuntil(b"\r\n\r\n")
    begun.release()
    sent += await reader.read(-1)
    writer.close()
    return sent


async def test_thousands_of_watchers_cost_no_connection_to_the_database(fleet: Fleet) -> None:
    door = gate(fleet)
    server = fleet["b"]
    assert server.way is not None
    async with client_of(server) as client:
        runs = [(await client.runs.create("patient", str(door))).id for _ in range(10)]
        begun = asyncio.Semaphore(0)
        watchers = [asyncio.create_task(_watch(server, runs[n % len(runs)], begun)) for n in range(WATCHERS)]
        for _ in range(WATCHERS):
            await begun.acquire()
        for run_id in runs:
            await until(client, run_id, "running")
        held = server.way.passing
        door.touch()
        sent = await asyncio.gather(*watchers)
    print(f"{WATCHERS} watchers: {held} connections")
    assert all(each.count(b"event: run.succeeded") == 1 for each in sent)
    assert 0 < held <= POOL + 1
