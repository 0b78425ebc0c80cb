"""The audit holds the outbox against the log: who asked to be told was told, of what happened, once."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import apsw
import pytest

from runwell.domain.callback import Callback
from runwell.domain.instant import SECOND
from runwell.engine.audit import audit
from runwell.ports.store import Store
from tests.support.runs import NOW, a_store, a_succeeded_run, a_waiting_run

TOLD = (
    Callback(url="https://app.test/a", events=("run.created", "run.succeeded")),
    Callback(url="https://app.test/b"),
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "runs.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[Store]:
    async with a_store(path, durability="off") as store:
        yield store


async def faults(store: Store, told_since: int = 0) -> list[str]:
    return [each.sentence async for _, found in audit(store, told_since) for each in found]


def damage(path: Path, sql: str) -> None:
    db = apsw.Connection(str(path))
    db.execute(sql)
    db.close()


async def test_whoever_was_told_of_all_that_happened_is_passed(store: Store) -> None:
    await a_succeeded_run(store, callbacks=TOLD)
    await a_waiting_run(store, callbacks=TOLD)
    await a_succeeded_run(store)
    assert await faults(store) == []


async def test_a_delivery_that_is_missing_is_found(store: Store, path: Path) -> None:
    run = await a_succeeded_run(store, callbacks=TOLD)
    damage(path, "DELETE FROM deliveries WHERE event = 'run.succeeded' AND url LIKE '%/b'")
    (fault,) = await faults(store)
    assert run.id in fault
    assert "seq 3 is not told" in fault


async def test_a_run_whose_log_is_pruned_or_going_is_passed(store: Store) -> None:
    for number in range(3):
        await a_succeeded_run(store, NOW + number, callbacks=TOLD)
    assert (await store.runs.prune_logs(NOW + 1, 100)).runs == 1
    assert (await store.runs.prune_logs(NOW + 2, 1)).runs == 0
    assert await faults(store) == []


async def test_a_run_that_is_removed_while_it_is_read_is_passed(store: Store, monkeypatch) -> None:
    await a_succeeded_run(store, callbacks=TOLD)
    read = store.events.read

    async def too_late(run_id: str, after: int, limit: int) -> list[Any]:
        await store.runs.prune_logs(NOW + 1, 100)
        await store.runs.forget(NOW + 1, 100)
        return await read(run_id, after, limit)

    monkeypatch.setattr(store.events, "read", too_late)
    assert await faults(store) == []


async def test_one_that_may_have_been_forgotten_is_not_missed(store: Store, path: Path) -> None:
    await a_succeeded_run(store, callbacks=TOLD)
    damage(path, "DELETE FROM deliveries")
    assert len(await faults(store, NOW)) == 3
    assert await faults(store, NOW + SECOND) == []


async def test_a_delivery_of_what_did_not_happen_is_found(store: Store, path: Path) -> None:
    await a_succeeded_run(store, callbacks=TOLD)
    damage(
        path, "UPDATE deliveries SET event = 'run.failed' WHERE event = 'run.succeeded' AND url LIKE '%/a'"
    )
    (fault,) = await faults(store)
    assert "tells run.failed (seq 3), which the log does not" in fault


async def test_a_delivery_nobody_asked_for_is_found(store: Store, path: Path) -> None:
    await a_succeeded_run(store, callbacks=TOLD)
    damage(
        path,
        """INSERT INTO deliveries (id, owner, run_id, seq, event, url, format, status, created_at)
        SELECT randomblob(16), owner, run_id, seq, event, url, format, status, created_at
        FROM deliveries WHERE event = 'run.created'""",
    )
    (fault,) = await faults(store)
    assert "seq 1 is told to a callback that did not ask for it" in fault
