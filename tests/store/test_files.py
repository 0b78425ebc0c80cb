"""The file itself: its schema, its lock, its size."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import apsw
import msgspec
import pytest

from runwell.domain.agent import AgentSpec
from runwell.domain.commands import Claim, Succeed
from runwell.domain.errors import StoreUnavailable
from runwell.domain.events import TextDelta
from runwell.domain.instant import to_iso
from runwell.domain.lifecycle import decide
from runwell.ports.store import RunFilter
from runwell.store.sqlite import Database
from runwell.store.sqlite.connections import Location, open_writer
from runwell.store.sqlite.migrations import ADDITIONS, migrate, migrations, schema_of
from tests.support.runs import (
    AGENT,
    NOW,
    OWNER,
    WORKER,
    a_create,
    a_queued_run,
    a_running_run,
    a_store,
    add,
    an_id,
    do,
    doc,
    record,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "runs.db"


def schema(db: apsw.Connection) -> list[tuple[Any, ...]]:
    return db.execute("SELECT name, sql FROM sqlite_schema ORDER BY name").fetchall()


def test_the_schema_of_a_new_file_is_the_sum_of_the_migrations(path: Path) -> None:
    Database.open(path).close()
    by_hand = apsw.Connection(":memory:")
    for step in migrations():
        by_hand.execute(step.script)
    opened = apsw.Connection(str(path))
    by_hand.execute(ADDITIONS)
    assert schema(opened) == schema(by_hand)
    assert schema_of(opened).number == len(migrations())
    assert opened.pragma("journal_mode") == "wal"
    opened.close()


def test_migrations_are_numbered_without_gaps(tmp_path: Path) -> None:
    (tmp_path / "0001_one.sql").write_text("SELECT 1;")
    (tmp_path / "0003_three.sql").write_text("SELECT 1;")
    with pytest.raises(ValueError, match="numbered"):
        migrations(tmp_path)
    (tmp_path / "0003_three.sql").rename(tmp_path / "two.sql")
    with pytest.raises(ValueError, match=r"two\.sql"):
        migrations(tmp_path)


async def test_a_file_of_the_first_schema_is_upgraded_with_all_it_holds(path: Path) -> None:
    spec = AgentSpec(id=an_id(), name="writer", kind="model", owner=OWNER)
    run = decide(None, a_create(), NOW).run
    old = open_writer(Location(str(path), "off", None))
    migrate(old, migrations()[:1])
    old.execute(
        "INSERT INTO agents (owner, name, created_at, spec) VALUES (?, ?, ?, ?)",
        (OWNER, spec.name, NOW, msgspec.json.encode(spec)),
    )
    old.execute(
        """INSERT INTO runs (id, owner, agent, status, source, created_at, queued_at, version, last_seq,
            attempt, tries, max_attempts, priority, in_order, ran_for, behind)
        VALUES (?, ?, ?, 'queued', 'native', ?, ?, 1, 0, 0, 0, 3, 0, 0, 0, 0)""",
        (bytes.fromhex(run.id), OWNER, AGENT, NOW, NOW),
    )
    old.close()
    async with a_store(path, durability="off") as store:
        found = await store.agents.by_id(spec.id, OWNER)
        assert found is not None
        assert found.name == "writer"
        assert await store.runs.get(run.id) == run
        page = await store.runs.page(OWNER, RunFilter(), before=None, after=None, limit=10)
        assert page == [run]
        ended = await do(store, await do(store, run, Claim(worker=WORKER)), Succeed(output=doc("x")))
        assert (ended.label, ended.callbacks, await store.deliveries.of(run.id)) == (None, (), [])


def test_a_migration_that_fails_leaves_the_file_as_it_was() -> None:
    db = apsw.Connection(":memory:")
    good = migrations()
    newest = len(good)
    broken = [*good, good[0]._replace(number=newest + 1, script="CREATE TABLE extra (a); SELECT nonsense;")]
    migrate(db, good)
    before = schema(db)
    with pytest.raises(apsw.SQLError):
        migrate(db, broken)
    assert schema(db) == before
    assert schema_of(db).number == newest
    more = good[0]._replace(number=newest + 1, script="CREATE TABLE extra (a);")
    assert migrate(db, [*good, more]) == [more]
    assert migrate(db, [*good, more]) == []
    assert schema_of(db).number == newest + 1


async def test_a_file_is_opened_again_with_all_that_was_in_it(path: Path) -> None:
    async with a_store(path) as store:
        run = await a_running_run(store)
    async with a_store(path) as store:
        assert await store.runs.held() == [run]


def test_a_newer_file_is_refused(path: Path) -> None:
    Database.open(path).close()
    db = apsw.Connection(str(path))
    db.pragma("user_version", 99)
    db.close()
    with pytest.raises(StoreUnavailable, match="newer Runwell") as refused:
        Database.open(path)
    assert "Upgrade" in refused.value.hint


def test_another_programs_file_is_refused_and_left_alone(path: Path) -> None:
    db = apsw.Connection(str(path))
    db.execute("CREATE TABLE theirs (a)")
    db.close()
    with pytest.raises(StoreUnavailable, match="another program"):
        Database.open(path)
    path.write_bytes(b"no database at all, but long enough to look at" * 100)
    with pytest.raises(StoreUnavailable, match="no database"):
        Database.open(path)


def test_a_path_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="missing"):
        Database.open(tmp_path / "missing" / "runs.db")


HOLD = """
import sys
from runwell.store.sqlite import Database
database = Database.open(sys.argv[1])
print("open", flush=True)
sys.stdin.read()
"""


def test_a_second_server_on_the_same_file_is_refused_and_told_who_holds_it(path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "open\n"
        with pytest.raises(StoreUnavailable) as refused:
            Database.open(path)
        assert str(path) in refused.value.message
        assert str(holder.pid) in refused.value.message
        Database.open(path, serving=False).close()
        holder.kill()
    Database.open(path).close()


def test_the_lock_is_free_again_after_closing_and_after_a_failed_open(path: Path) -> None:
    database = Database.open(path)
    with pytest.raises(StoreUnavailable, match=str(os.getpid())):
        Database.open(path)
    database.close()
    Database.open(path).close()
    db = apsw.Connection(str(path))
    db.pragma("user_version", 99)
    with pytest.raises(StoreUnavailable, match="newer"):
        Database.open(path)
    db.pragma("user_version", len(migrations()))
    db.close()
    Database.open(path).close()


async def test_tools_write_beside_a_server(path: Path) -> None:
    async with a_store(path) as server, a_store(path, serving=False) as tool:
        first = await a_queued_run(server)
        second = await a_queued_run(tool)
        third = await a_queued_run(server)
        assert await server.runs.every(None, 9) == await tool.runs.every(None, 9)
        assert {run.id for run in await tool.runs.every(None, 9)} == {first.id, second.id, third.id}


async def test_a_log_is_hardly_larger_on_disk_than_on_the_wire(path: Path) -> None:
    words = "the quick brown fox jumps over the lazy dog and says so "
    wire = 0
    async with a_store(path, durability="off") as store:
        runs = [await a_running_run(store) for _ in range(16)]
        for number in range(120):
            text = words[: 5 + number % 50] * (1 + number % 5)
            runs = [await record(store, run, TextDelta(text=text)) for run in runs]
        for run in runs:
            for line in await store.events.read(run.id, 0, 1000):
                head = f'{{"seq":{line.seq},"at":"{to_iso(line.at)}","type":"{line.type}","data":}}'
                wire += len(head) + len(line.data)
    db = apsw.Connection(str(path))
    size: Any = db.execute("SELECT sum(pgsize) FROM dbstat WHERE name = 'events'").get
    db.close()
    assert size <= 1.2 * wire


async def test_the_wal_stays_bounded_while_much_is_written(path: Path) -> None:
    async with a_store(path, durability="off") as store:
        run = await a_running_run(store)
        for _ in range(60):
            run = await record(store, run, TextDelta(text="x" * 1_000_000))
        wal = path.with_name(path.name + "-wal").stat().st_size
    assert wal < 40_000_000
    assert path.stat().st_size > 60_000_000


async def test_reads_leave_nothing_open(path: Path) -> None:
    async with a_store(path) as store:
        run = await a_queued_run(store)
        await a_queued_run(store)
        await store.events.read(run.id, 0, 1)
        await store.runs.claimable(2**60, agents=frozenset({"echo"}), limit=1, exclude=frozenset())
        await store.runs.position(run)
        db = apsw.Connection(str(path))
        db.execute("SELECT count(*) FROM runs").fetchall()
        # Would be busy if anybody still read an older state.
        assert db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE) == (0, 0)
        db.close()
        await add(store)
