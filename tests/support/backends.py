"""Which database the tests run on: SQLite files, or with `pytest --backend postgres` PostgreSQL.

Tests name a database by a path. On PostgreSQL each path of a test stands for a database of its own, the
same one as often as it is opened; between tests it is emptied and used again.
"""

import asyncio
import functools
import os
import threading
from collections.abc import AsyncIterator, Coroutine
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from runwell.ports.store import Store
from runwell.store.signals import LocalSignals

BACKEND = "RUNWELL_TEST_BACKEND"


def on_postgres() -> bool:
    return os.environ.get(BACKEND) == "postgres"


class Databases:
    """The PostgreSQL databases of one test process."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._server = ""
        self._free: list[str] = []
        self._taken: dict[Path, str] = {}

    def of(self, path: Path) -> str:
        """The URL of the database that stands for the path; empty, with our schema, the first time."""
        url = self._taken.get(path)
        if url is None:
            url = self._taken[path] = self._new()
        return url

    def give_back(self, below: Path) -> None:
        """Nobody asks for the paths below this one any more."""
        for path in [each for each in self._taken if each.is_relative_to(below)]:
            self._free.append(self._taken.pop(path))

    def close(self) -> None:
        self._stack.close()

    def server(self) -> str:
        """The URL of their server, started when it is first asked for."""
        from tests.support.postgres import a_postgres

        if not self._server:
            self._server = self._stack.enter_context(a_postgres())
        return self._server

    def _new(self) -> str:
        from tests.support.postgres import a_database, clear, prepare

        if self._free:
            url = self._free.pop()
            elsewhere(clear(url))
            return url
        url = self._stack.enter_context(a_database(self.server()))
        elsewhere(prepare(url))
        return url


@functools.cache
def databases() -> Databases:
    return Databases()


def elsewhere(work: Coroutine[Any, Any, Any]) -> Any:
    """The result of `work`, done on a loop of its own: this thread may have one that is running."""
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(asyncio.run(work)))
    thread.start()
    thread.join()
    (result,) = results
    return result


def database_of(path: Path) -> str:
    """What `--db` is to be for the database that the path names."""
    return databases().of(path) if on_postgres() else str(path)


def everything_in(path: Path) -> bytes:
    """All bytes that the database holds, for tests that look for what must not be there."""
    if on_postgres():
        from tests.support.postgres import everything

        return bytes(elsewhere(everything(databases().of(path))))
    return b"".join(file.read_bytes() for file in sorted(path.parent.glob(f"{path.name}*")))


@asynccontextmanager
async def a_store_at(
    path: Path, signals: LocalSignals | None = None, durability: Any = "off", serving: bool = True
) -> AsyncIterator[Store]:
    """A store on the database that the path names, closed at the end; its commits are told to `signals`.
    Not `serving`: beside a server."""
    publish = signals.publish if signals is not None else None
    if on_postgres():
        from runwell.store.postgres import Database as Postgres

        postgres = await Postgres.open(databases().of(path), migrates=False)
        try:
            yield postgres.store(publish)
        finally:
            await postgres.close()
        return
    from runwell.store.sqlite import Database

    database = Database.open(path, durability=durability, serving=serving)
    store = database.store(publish)
    try:
        yield store
    finally:
        await store.close()
        database.close()
