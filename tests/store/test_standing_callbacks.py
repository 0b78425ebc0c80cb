"""The writer remembers who wants to be told; what it remembers is what is in the file."""

import asyncio
from pathlib import Path
from uuid import uuid4

import pytest

from runwell.domain.commands import Succeed
from runwell.domain.errors import StoreUnavailable
from runwell.domain.run import Run
from runwell.ports.store import Store
from tests.store.test_outbox import a_callback
from tests.support.failing_disk import FailingDisk
from tests.support.runs import OWNER, a_queued_run, a_running_run, a_store, a_succeeded_run, do, doc

DONE = Succeed(output=doc("x"))


async def told(store: Store, run: Run) -> list[str | None]:
    """Which standing callbacks are told of the run."""
    return [each.callback_id for each in await store.deliveries.of(run.id)]


@pytest.mark.parametrize("fault", ["full", "broken"])
async def test_a_callback_that_was_not_kept_is_not_told_and_one_that_was_not_deleted_is(
    tmp_path: Path, fault: str
) -> None:
    disk = FailingDisk(f"failing-{uuid4().hex}")
    async with a_store(tmp_path / "runs.db", vfs=disk.name, hears=True) as store:
        run = await a_running_run(store)
        with disk.being(**{fault: True}):
            # In one transaction, which has the end of the run tell the callback, and then fails.
            failed = await asyncio.gather(a_callback(store), do(store, run, DONE), return_exceptions=True)
        assert [type(each) for each in failed] == [StoreUnavailable, StoreUnavailable]
        assert await told(store, await do(store, run, DONE)) == []
        callback, run = await a_callback(store), await a_running_run(store)
        with disk.being(**{fault: True}):
            undone = await asyncio.gather(
                store.callbacks.delete(callback.id, OWNER), do(store, run, DONE), return_exceptions=True
            )
        assert [type(each) for each in undone] == [StoreUnavailable, StoreUnavailable]
        assert await told(store, await do(store, run, DONE)) == [callback.id]
    disk.unregister()


async def test_what_another_process_changes_counts_from_then_on(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    async with a_store(path, hears=True, durability="off") as store:
        await a_queued_run(store)  # nobody wants to be told, and that is remembered
        async with a_store(path, serving=False, durability="off") as other:
            callback = await a_callback(other)
            assert await told(store, await a_succeeded_run(store)) == [callback.id]
            await other.callbacks.delete(callback.id, OWNER)
            assert await told(store, await a_succeeded_run(store)) == []
