"""Kill -9 around posts: every end of a run is told, under one id, and twice only where a kill was."""

import asyncio
import random
from collections import Counter, defaultdict
from pathlib import Path

import pytest
from standardwebhooks import Webhook

from runwell.client import AsyncClient
from tests.support.live_server import LiveServer
from tests.support.receiver import Got, Receiver

AGENTS = str(Path(__file__).with_name("ending_agents.py"))
KILLS = [3, pytest.param(10, marks=pytest.mark.long)]
RUNS = 6
"""In each life of the server, two deliveries each."""
AT_ONCE = 4
"""Posts that one receiver may have under way: so many a kill can leave without a record."""


class Killer:
    """Kills the server at a post that chance chooses, before its answer or just after it; and brings
    it back. Remembers in which life of the server each post came."""

    def __init__(self, receiver: Receiver, server: LiveServer, seed: int) -> None:
        self._server = server
        self._dice = random.Random(seed)
        self._at = 0
        self._killing = False
        self.lives: list[list[str]] = [[]]
        self.dead = asyncio.Event()
        receiver.before, receiver.after = self.before, self.after

    def arm(self) -> None:
        self.dead.clear()
        self._at = self._dice.randint(1, RUNS)
        self._early = self._dice.random() < 0.5

    async def before(self, got: Got) -> None:
        self.lives[-1].append(got.id)
        self._at -= 1
        if self._at == 0 and self._early:
            await self._kill()

    async def after(self, got: Got) -> None:
        if self._at <= 0 and not self._early and not self._killing and not self.dead.is_set():
            await self._kill()

    async def _kill(self) -> None:
        self._killing = True
        await asyncio.to_thread(self._server.kill)
        self.lives.append([])
        await asyncio.to_thread(self._server.start)
        self._killing = False
        self.dead.set()


async def _all_ended(client: AsyncClient, count: int) -> dict[str, int]:
    """The posts recorded of each delivery, once none is pending any more."""
    async with asyncio.timeout(60):
        while True:
            found = [each async for each in client.deliveries.list()]
            if len(found) == count and all(each.status == "delivered" for each in found):
                return {each.id: each.posts for each in found}
            await asyncio.sleep(0.05)  # sleep: the server is another process


@pytest.mark.e2e
@pytest.mark.timeout(180)
@pytest.mark.parametrize("kills", KILLS)
async def test_kills_around_posts_lose_nothing_and_double_nothing_else(tmp_path: Path, kills: int) -> None:
    async with Receiver() as receiver:
        allowed = f"127.0.0.1:{receiver.port}"
        server = LiveServer(tmp_path, AGENTS, env={"RUNWELL_CALLBACKS_ALLOW": allowed})
        with server:
            killer = Killer(receiver, server, seed=7)
            async with AsyncClient(server.url) as client:
                standing = await client.callbacks.create(receiver.url + "?standing")
                own = (await client.callbacks.secret()).secret
                runs = set()
                for life in range(kills):
                    killer.arm()
                    submits = (
                        client.runs.create("quick", f"{life}.{n}", callbacks=[receiver.url])
                        for n in range(RUNS)
                    )
                    runs |= {run.id for run in await asyncio.gather(*submits)}
                    await asyncio.wait_for(killer.dead.wait(), 60)
                recorded = await _all_ended(client, 2 * len(runs))
            assert server.stop() == 0
    assert len(runs) == kills * RUNS
    assert len(killer.lives) == kills + 1
    _judge(receiver, killer, runs, recorded, most=kills * AT_ONCE)
    for got in receiver.got:
        secret = standing.secret if got.path.endswith("?standing") else own
        assert secret is not None
        assert Webhook(secret).verify(got.body, got.headers)["type"] == "run.succeeded"


def _judge(
    receiver: Receiver, killer: Killer, runs: set[str], recorded: dict[str, int], *, most: int
) -> None:
    """`most` posts may have come twice: those that were under way when the server was killed."""
    told = defaultdict(set)
    for got in receiver.got:
        told[got.path, got.json["data"]["run"]["id"]].add(got.id)
    assert {run for _, run in told} == runs, "the end of a run was not told"
    assert len(told) == 2 * len(runs), "one of a run's two callbacks was not told"
    assert all(len(ids) == 1 for ids in told.values()), "one event came under two ids"
    bodies = defaultdict(set)
    for got in receiver.got:
        bodies[got.id].add(got.body)
    assert all(len(found) == 1 for found in bodies.values()), "a body changed between two posts"
    assert set(bodies) == set(recorded)
    came = Counter(got.id for got in receiver.got)
    for life in killer.lives:
        assert max(Counter(life).values(), default=1) == 1, "a post was doubled without a kill"
    doubled = sum(count - 1 for count in came.values())
    assert 1 <= doubled <= most, doubled
    assert all(came[id] >= posts == 1 for id, posts in recorded.items()), "a post was recorded twice"
