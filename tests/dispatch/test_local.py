"""Who is offered, how often, and when again."""

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from runwell import Context, agent
from runwell.agents.model import ModelRunner
from runwell.dispatch import local
from runwell.dispatch.local import LocalDispatcher
from runwell.domain.agent import ModelAgent
from runwell.domain.run import RunStatus
from runwell.ports.dispatcher import Places
from tests.support.machines import LONG, a_machine, run_to_end, start, until

TURNS = 200
"""Turns of the loop in which a dispatcher that does not rest looks dozens of times."""


class Queue:
    """A store whose queued runs never get away."""

    def __init__(self, *ids: str) -> None:
        self.ids = ids
        self.looks = 0
        self.runs = self

    async def claimable(self, now: int, *, limit: int, exclude: frozenset[str], **_: Any) -> list[str]:
        self.looks += 1
        return [id for id in self.ids if id not in exclude][:limit]

    async def next_due(self, now: int) -> None:
        return None

    def now(self) -> int:
        return 0


async def turn(times: int = TURNS) -> None:
    for _ in range(times):
        await asyncio.sleep(0)


async def dispatching(queue: Any, execute: Any, places: int) -> LocalDispatcher:
    dispatcher = LocalDispatcher(queue, queue, places)
    await dispatcher.start(execute, lambda: Places(frozenset("a"), frozenset()))
    return dispatcher


async def test_a_run_that_cannot_be_claimed_rests_and_the_others_go_on() -> None:
    queue, tries = Queue("bad", "good"), Counter[str]()

    async def execute(run_id: str, attempt: int | None) -> bool:
        tries[run_id] += 1
        if run_id == "good":
            queue.ids = ("bad",)
        return run_id == "good"

    dispatcher = await dispatching(queue, execute, places=2)
    await turn()
    await dispatcher.stop()
    assert tries == {"bad": 1, "good": 1}
    assert queue.looks <= 4


async def test_a_rested_run_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "LONGEST_SLEEP", 0.001)
    tries, again = 0, asyncio.Event()

    async def execute(run_id: str, attempt: int | None) -> bool:
        nonlocal tries
        tries += 1
        if tries == 3:
            again.set()
        return False

    dispatcher = await dispatching(Queue("bad"), execute, places=4)
    async with asyncio.timeout(LONG):
        await again.wait()
    await dispatcher.stop()
    assert tries >= 3


async def test_a_store_that_takes_nothing_is_not_stormed() -> None:
    tries = 0

    async def execute(run_id: str, attempt: int | None) -> bool:
        nonlocal tries
        tries += 1
        return False

    dispatcher = await dispatching(Queue(*map(str, range(1_000))), execute, places=3)
    await turn()
    await dispatcher.stop()
    assert tries <= 6


@agent
async def hang(ctx: Context) -> None:
    await asyncio.get_running_loop().create_future()


@agent
async def quick(ctx: Context) -> int:
    return 1


@pytest.mark.sqlite
async def test_an_agent_made_of_a_model_keeps_its_limit_and_starves_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = ModelRunner("writer", ModelAgent(model="m"), concurrency=1)
    async with a_machine(tmp_path / "runs.db", quick, hang, writer, grace=0.1, concurrency=4) as machine:
        find = machine.catalog.find
        hanging = find("hang", None)
        monkeypatch.setattr(
            machine.catalog, "find", lambda name, given: hanging if given else find(name, None)
        )
        looks, claimable = 0, machine.store.runs.claimable

        async def counted(*args: Any, **kwargs: Any) -> list[str]:
            nonlocal looks
            looks += 1
            return await claimable(*args, **kwargs)

        monkeypatch.setattr(machine.store.runs, "claimable", counted)
        first = await start(machine, "writer")
        assert first.definition is not None
        await until(machine, first.id, lambda run: run.status is RunStatus.RUNNING)
        behind = [await start(machine, "writer") for _ in range(8)]
        done = await run_to_end(machine, "quick")
        looks = 0
        await turn()
        assert done.status is RunStatus.SUCCEEDED
        assert looks <= 3
        assert {(await machine.store.runs.get(run.id)).status for run in behind} == {RunStatus.QUEUED}
        assert machine.worker.takes() == Places(frozenset({"quick", "hang"}), frozenset({"writer"}))
