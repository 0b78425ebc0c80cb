"""Concurrent writes share transactions and their syncs; those who refuse harm nobody."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from msgspec.structs import replace

from runwell.domain.commands import Cancel
from runwell.domain.errors import AttemptSuperseded, StaleRun
from runwell.store.sqlite import Database
from runwell.store.sqlite.transaction import Job, Transaction
from tests.support.failing_disk import FailingDisk
from tests.support.runs import a_queued_run, a_running_run, a_store, add, do, say


@pytest.fixture
def disk() -> Iterator[FailingDisk]:
    disk = FailingDisk(f"counting-{uuid4().hex}")
    yield disk
    disk.unregister()


@pytest.fixture
def path(fast_folder: Path) -> Path:
    return fast_folder / "runs.db"


async def test_a_lone_commit_is_one_sync(disk: FailingDisk, path: Path) -> None:
    async with a_store(path, vfs=disk.name) as store:
        run = await a_running_run(store)
        before = disk.syncs
        for _ in range(5):
            run = await say(store, run)
        assert disk.syncs == before + 5


async def test_concurrent_commits_share_syncs(disk: FailingDisk, path: Path) -> None:
    async with a_store(path, vfs=disk.name) as store:
        runs = [await a_running_run(store) for _ in range(64)]
        before = disk.syncs
        await asyncio.gather(*(say(store, run) for run in runs))
        # The first may be on its way alone; the rest wait for it together.
        assert disk.syncs - before <= 4
        assert [(await store.runs.get(run.id)).last_seq for run in runs] == [3] * 64


async def test_without_durability_nothing_is_synced(disk: FailingDisk, path: Path) -> None:
    async with a_store(path, vfs=disk.name, durability="off") as store:
        await say(store, await a_running_run(store))
        assert disk.syncs == 0


async def test_a_refused_change_in_a_batch_harms_nobody(path: Path) -> None:
    async with a_store(path) as store:
        runs = [await a_running_run(store) for _ in range(20)]
        gone = await a_running_run(store)
        stale = await a_queued_run(store)
        await do(store, stale, Cancel())
        jobs = [say(store, run) for run in runs]
        jobs[5:5] = [do(store, stale, Cancel())]
        jobs[11:11] = [say(store, replace(gone, attempt=2))]
        results = await asyncio.gather(*jobs, return_exceptions=True)
        assert isinstance(results[5], StaleRun)
        assert isinstance(results[11], AttemptSuperseded)
        for run in runs:
            assert [line.seq for line in await store.events.read(run.id, 0, 9)] == [1, 2, 3]


class Blocking(Job[None]):
    """Holds the writer's thread until it is let go."""

    def __init__(self) -> None:
        self.let_go = threading.Event()

    def run(self, transaction: Transaction) -> None:
        self.let_go.wait(20)


async def test_a_batch_has_a_limit_and_all_of_them_are_written(disk: FailingDisk, path: Path) -> None:
    database = Database.open(path, vfs=disk.name)
    store = database.store()
    blocking = Blocking()
    first = asyncio.ensure_future(store._desk.write(blocking))
    await asyncio.sleep(0)
    waiting = [asyncio.ensure_future(add(store)) for _ in range(1_100)]
    await asyncio.sleep(0)
    before = disk.syncs
    blocking.let_go.set()
    await asyncio.gather(first, *waiting)
    assert 3 <= disk.syncs - before <= 5
    assert len(await store.runs.every(None, 2_000)) == 1_100
    await store.close()
    database.close()


async def test_two_loops_write_through_one_thread_and_hear_each_other(path: Path) -> None:
    database = Database.open(path, durability="off")
    heard_here: list[str] = []
    heard_there: list[str] = []
    here = database.store(lambda kind, run_id: heard_here.append(run_id))

    async def elsewhere() -> list[str]:
        there = database.store(lambda kind, run_id: heard_there.append(run_id))
        runs = await asyncio.gather(*(a_running_run(there) for _ in range(10)))
        assert (await there.runs.get(mine.id)).id == mine.id
        await there.close()
        return [run.id for run in runs]

    mine = await a_queued_run(here)
    ids, _ = await asyncio.gather(
        asyncio.to_thread(asyncio.run, elsewhere()),
        asyncio.gather(*(a_running_run(here) for _ in range(10))),
    )
    await here.check()
    assert set(ids) <= set(heard_here)
    assert set(ids) <= set(heard_there)
    assert len(await here.runs.held()) == 20
    await here.close()
    database.close()
