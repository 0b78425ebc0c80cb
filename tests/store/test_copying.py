"""A database that moves: all of it arrives, or nothing, and its runs go on where they were."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import apsw
import pytest

from runwell.domain.commands import Succeed
from runwell.domain.errors import StoreUnavailable
from runwell.domain.events import StepFinished, StepStarted, TextDelta
from runwell.domain.json_gate import Json
from runwell.domain.run import RunStatus
from runwell.domain.step import StepKind
from runwell.domain.thread import Role
from runwell.ports.store import Idempotency, NewMessage, Store
from runwell.store.copying import PASSING, Copied, copy, tables
from runwell.store.sqlite.migrations import migrate, migrations
from tests.support.postgres import a_database, a_postgres_store, a_session, until
from tests.support.runs import (
    NOW,
    OWNER,
    a_queued_run,
    a_running_run,
    a_store,
    a_waiting_run,
    add,
    an_id,
    do,
    doc,
    record,
    say,
)

pytestmark = pytest.mark.postgres

OTHERWISE = {"runs", "events", "messages", "steps"}
"""Tables whose columns are not the same in both."""


@pytest.fixture
async def target(postgres_server: str) -> AsyncIterator[str]:
    """The URL of an empty database."""
    with a_database(postgres_server) as url:
        yield url


@pytest.fixture
async def source(fast_folder: Path) -> Path:
    """A file with runs in every state, and with something in every table."""
    path = fast_folder / "runs.db"
    async with a_store(path, durability="off") as store:
        thread = an_id()
        message = NewMessage(Role.USER, doc("hi"))
        for n in range(3):
            run = (await add(store, message=message, thread_id=thread, label=f"label {n}", timeout=1.5)).run
        await add(
            store, idempotency=Idempotency("native", "key", b"digest"), metadata=Json(b'{"\xc3\xbc":1.50}')
        )
        await a_waiting_run(store)
        run = await a_running_run(store)
        step: dict[str, Any] = {"key": "s" * 3_000, "name": "s", "kind": StepKind.CODE}
        run = await record(store, run, StepStarted(**step))
        run = await record(store, run, StepFinished(**step, started_at=NOW, output=doc([1, None])))
        for _ in range(5):
            # The last of them are in the log alone.
            run = await say(store, run)
        await do(store, await a_running_run(store), Succeed(output=doc("x" * 100_000)))
        await a_queued_run(store)
        await store.documents.put(OWNER, "space", "id", doc({"a": 1}), NOW)
    fill(path)
    return path


FULL: dict[Any, Any] = {"INTEGER": 2**62, "TEXT": "wörter", "BLOB": b"\0\xff", "REAL": 0.1}
BARE: dict[Any, Any] = {"INTEGER": 7, "TEXT": "", "BLOB": b"", "REAL": -0.0}
SMALL: dict[Any, Any] = {"status_code": 500, "paused": 1, "admin": 1}
"""What PostgreSQL has no more than four bytes for."""


def fill(path: Path) -> None:
    """Two rows in the tables that are empty: one with all there can be, one with as little."""
    db = apsw.Connection(str(path))
    for table in tables():
        if db.execute(f"SELECT count(*) FROM {table}").get:
            continue
        columns = db.execute(
            f"SELECT name, type, \"notnull\" OR pk FROM pragma_table_info('{table}')"
        ).fetchall()
        full = [SMALL.get(name, FULL[kind]) for name, kind, _ in columns]
        bare = [
            SMALL.get(name, BARE[kind]) if needed or (table, name) == ("agents", "id") else None
            for name, kind, needed in columns
        ]
        marks = ", ".join("?" * len(columns))
        db.executemany(f"INSERT INTO {table} VALUES ({marks})", [full, bare])
    db.close()


def quiet(table: str, done: int, total: int) -> None:
    assert 0 <= done <= total


async def all_of(store: Store) -> list[Any]:
    """What can be read through the store."""
    runs = await store.runs.every(None, 100)
    return [
        runs,
        [await store.events.read(run.id, 0, 1000) for run in runs],
        [await store.steps.of(run.id) for run in runs],
        [await store.threads.messages(run.thread_id, limit=9) for run in runs if run.thread_id],
        [await store.threads.get(run.thread_id, OWNER) for run in runs if run.thread_id],
        await store.runs.earlier(OWNER, Idempotency("native", "key", b"digest")),
        await store.documents.get(OWNER, "space", "id"),
        await store.runs.claimable(NOW, agents=frozenset({"echo"}), limit=9, exclude=frozenset()),
    ]


async def test_all_that_is_in_a_file_is_in_the_database_after_it(source: Path, target: str) -> None:
    copied = await copy(source, target, quiet)
    assert [each.table for each in copied] == tables()
    assert all(each.rows for each in copied)
    async with a_store(source) as old, a_postgres_store(target, migrates=False) as new:
        assert await all_of(new) == await all_of(old)
    db = apsw.Connection(str(source))
    async with a_session(target) as session:
        for table in set(tables()) - OTHERWISE:
            names = [name for (name,) in db.execute(f"SELECT name FROM pragma_table_info('{table}')")]
            wanted = f"SELECT {', '.join(names)} FROM {table}"
            assert {tuple(row) for row in await session.fetch(wanted)} == set(db.execute(wanted)), table
    db.close()


def test_every_table_of_a_file_is_copied_with_every_column() -> None:
    db = apsw.Connection(":memory:")
    for step in migrations():
        db.execute(step.script)
    found = db.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND sql IS NOT NULL")
    # The words of errors are not copied: PostgreSQL has an index of its own for them.
    kept = {name for (name,) in found if not name.startswith("run_errors")}
    assert kept == set(tables()) | PASSING


async def test_a_run_goes_on_where_it_was_and_a_new_one_is_numbered_behind(source: Path, target: str) -> None:
    await copy(source, target, quiet)
    async with a_postgres_store(target) as store:
        running = next(run for run in await store.runs.every(None, 100) if run.status is RunStatus.RUNNING)
        said = len(await store.events.read(running.id, 0, 100))
        await record(store, running, TextDelta(text="more"))
        numbers = [line.seq for line in await store.events.read(running.id, 0, 100)]
        assert numbers == list(range(1, said + 2))
        new = (await add(store, message=NewMessage(Role.USER, doc("hi")), thread_id=an_id())).run
        assert [line.type for line in await store.events.read(new.id, 0, 9)] == ["run.created"]
        assert len(await store.runs.every(None, 100)) == 9


async def test_a_database_moves_to_another_one(source: Path, target: str, postgres: str) -> None:
    first = await copy(source, target, quiet)
    async with a_postgres_store(target) as store:
        await store.check()
        with pytest.raises(StoreUnavailable, match="connections of servers are open"):
            await copy(target, postgres, quiet)
    await until(target, "SELECT count(*) = 0 FROM pg_stat_activity WHERE application_name = 'runwell'"
                        " AND datname = current_database()")  # fmt: skip
    assert await copy(target, postgres, quiet) == first


async def rows_in(url: str) -> int:
    async with a_session(url) as session:
        return sum([await session.fetchval(f"SELECT count(*) FROM {table}") for table in tables()])


async def test_what_fails_in_the_middle_leaves_nothing(source: Path, target: str) -> None:
    def dies(table: str, done: int, total: int) -> None:
        if table == tables()[-1] and done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await copy(source, target, dies)
    assert await rows_in(target) == 0
    assert len(await copy(source, target, quiet)) == len(tables())


async def test_what_does_not_arrive_as_it_was_sent_is_found(source: Path, target: str) -> None:
    await copy_nothing(target)
    async with a_session(target) as session:
        await session.execute("""CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN NEW.data = NEW.data || ' '::bytea; RETURN NEW; END $$""")
        await session.execute("""CREATE TRIGGER spoil BEFORE INSERT ON events FOR EACH ROW
            WHEN (NEW.seq = 2) EXECUTE FUNCTION spoil()""")
    with pytest.raises(StoreUnavailable, match="events is not the same on both sides"):
        await copy(source, target, quiet)
    assert await rows_in(target) == 0


async def copy_nothing(target: str) -> None:
    async with a_postgres_store(target) as store:
        assert await store.runs.every(None, 1) == []


async def test_what_cannot_be_copied_whole_is_refused(source: Path, target: str, tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="There is no database"):
        await copy(tmp_path / "none.db", target, quiet)
    older = tmp_path / "older.db"
    db = apsw.Connection(str(older))
    migrate(db, migrations()[:3])
    db.close()
    with pytest.raises(StoreUnavailable, match="has schema 3") as refused:
        await copy(older, target, quiet)
    assert "runwell migrate" in refused.value.hint
    async with a_store(source):
        with pytest.raises(StoreUnavailable, match="already served") as refused:
            await copy(source, target, quiet)
        assert "left behind" in refused.value.hint
    db = apsw.Connection(str(source))
    db.execute("UPDATE threads SET title = 'nothing' || char(0)")
    with pytest.raises(StoreUnavailable, match="threads cannot be copied"):
        await copy(source, target, quiet)
    db.execute("UPDATE threads SET title = NULL")
    db.close()
    async with a_postgres_store(target) as store:
        await store.documents.put(OWNER, "space", "other", doc(1), NOW)
    with pytest.raises(StoreUnavailable, match="not empty: there are rows in documents"):
        await copy(source, target, quiet)
    assert await rows_in(target) == 1


async def test_nobody_writes_to_what_is_being_copied_or_filled(source: Path, target: str) -> None:
    seen = set[str]()

    def looks(table: str, done: int, total: int) -> None:
        if table != "runs" or done:
            return
        beside = apsw.Connection(str(source))
        with pytest.raises(apsw.BusyError):
            beside.execute("BEGIN IMMEDIATE")
        beside.close()
        seen.add(table)

    copied = await copy(source, target, looks)
    assert seen == {"runs"}
    assert isinstance(copied[0], Copied)
