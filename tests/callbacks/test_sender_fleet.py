"""In a fleet one process posts at a time, and when it goes another does."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

import httpx
import pytest

from runwell import agent
from runwell.callbacks.delivering import Body
from runwell.callbacks.post import new_client
from runwell.callbacks.sender import Sender
from runwell.domain.callback import Callback
from runwell.wiring import Machine
from tests.support.asgi import soon
from tests.support.fleets import a_fleet_machine, app_of
from tests.support.machines import run_to_end
from tests.support.receiver import Receiver

pytestmark = pytest.mark.postgres


@agent
async def quick() -> int:
    return 1


@asynccontextmanager
async def a_server(url: str, bodies: Mapping[str, Body], name: str) -> AsyncIterator[tuple[Machine, Sender]]:
    """A machine and its sender, as `runwell serve` puts them together; its posts say who they are from."""

    def client() -> httpx.AsyncClient:
        client = new_client()
        client.headers["x-from"] = name
        return client

    async with a_fleet_machine(url, quick, serves=True, callbacks_allow=("127.0.0.1",)) as machine:
        sender = Sender(
            machine.core, machine.guard, bodies, client=client, may_post=lambda: machine.telling.mine
        )
        machine.telling.taken = sender.wake
        sender.start()
        try:
            yield machine, sender
        finally:
            await sender.stop()


async def test_one_server_posts_and_when_it_goes_another_does(
    fleet: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nobody looks without being woken.
    monkeypatch.setattr("runwell.callbacks.sender.LONGEST_IDLE", 3600.0)
    async with a_fleet_machine(fleet, quick) as machine:
        bodies = app_of(machine).callback_bodies
    async with AsyncExitStack() as stack, Receiver(["hang"]) as receiver:
        callback = (Callback(url=receiver.url),)
        first, _ = await stack.enter_async_context(a_server(fleet, bodies, "first"))
        async with a_server(fleet, bodies, "second") as (second, standing_by):
            for machine in (first, second, second):
                await run_to_end(machine, "quick", callbacks=callback)
            await receiver.posts(3)
            standing_by.wake()
            await soon(lambda: not standing_by._woken.is_set())
            receiver.let_go()
            await stack.aclose()
            await run_to_end(second, "quick", callbacks=callback)
            await second.telling.renew()
            await receiver.posts(4)
    assert [got.headers["x-from"] for got in receiver.got] == ["first"] * 3 + ["second"]
    assert len({got.id for got in receiver.got}) == 4
