"""The server that posts is killed at a post: another goes on, and every end is told."""

import asyncio
from collections import defaultdict

import pytest

from tests.e2e.fleet.story import client_of, until_true
from tests.support.live_fleet import Fleet
from tests.support.receiver import Got, Receiver

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(90)]

RUNS = 12
HOLDER = "SELECT holder FROM leases WHERE duty = 'callbacks'"


async def test_callbacks_go_on_at_another_server_and_none_is_missing(
    fleet: Fleet, receiver: Receiver
) -> None:
    sender = fleet.at_work_on(await fleet.database.value(HOLDER))
    (other,) = [each for each in fleet.servers if each is not sender]
    killed = asyncio.Event()

    async def kill(got: Got) -> None:
        """At the third post, before its answer: nobody knows whether it was heard."""
        if len(receiver.got) == 3:
            await asyncio.to_thread(sender.kill)
            killed.set()

    receiver.before = kill
    async with client_of(other) as client:
        submits = (client.runs.create("quick", str(n), callbacks=[receiver.url]) for n in range(RUNS))
        runs = {run.id for run in await asyncio.gather(*submits)}
        await asyncio.wait_for(killed.wait(), 20)
        await until_true(lambda: {_run_of(got) for got in receiver.got} == runs)
        assert fleet.at_work_on(await fleet.database.value(HOLDER)) is other
        async with asyncio.timeout(20):
            while pending := [each async for each in client.deliveries.list() if each.status != "delivered"]:
                assert {each.status for each in pending} == {"pending"}
                await asyncio.sleep(0.05)  # sleep: what was posted is recorded by another process
    ids = defaultdict(set)
    for got in receiver.got:
        ids[_run_of(got)].add(got.id)
    assert all(len(found) == 1 for found in ids.values()), "one end was told under two ids"
    assert len(receiver.got) <= RUNS + 4, "more was told twice than was under way"


def _run_of(got: Got) -> str:
    run: str = got.json["data"]["run"]["id"]
    return run
