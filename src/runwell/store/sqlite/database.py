"""One SQLite file, opened: its lock, its writer, and the stores made on it."""

from pathlib import Path

import apsw

from runwell.store.sqlite.connections import Durability, Location, open_reader, open_writer
from runwell.store.sqlite.failures import unavailable
from runwell.store.sqlite.lock import ServingLock
from runwell.store.sqlite.reader import Reader
from runwell.store.sqlite.store import SqliteStore
from runwell.store.sqlite.upgrading import bring_up_to_date
from runwell.store.sqlite.writer import Publish, Writer


class Database:
    """Made by `open`. Thread-safe: each event loop asks it for a store of its own."""

    def __init__(
        self, location: Location, keeper: apsw.Connection, writer: Writer, lock: ServingLock | None
    ) -> None:
        self._location = location
        # Never used. While it is open the WAL's index outlives the writer's connection, so a frame
        # whose sync failed is written over by the next commit, and not recovered as if it had held.
        self._keeper = keeper
        self._writer = writer
        self._lock = lock

    @classmethod
    def open(
        cls,
        path: Path | str,
        *,
        durability: Durability = "full",
        serving: bool = True,
        vfs: str | None = None,
    ) -> "Database":
        """Open or make the file and bring its schema up to date.

        `durability`: `full` syncs every commit; `normal` may lose the last commits when the power
        fails; `off` is for tests. `serving` takes the OS lock that keeps a second server off the
        file; command-line tools work beside a server without it. Raises `StoreUnavailable` when
        another process serves the file, when it needs a newer program, or cannot be opened; without
        `serving` too, when it would have to be changed under a server.
        """
        path = Path(path).absolute()
        location = Location(str(path), durability, vfs)
        lock = ServingLock(path) if serving else None
        try:
            db = open_writer(location)
            try:
                bring_up_to_date(db, path, locked=serving)
                keeper = open_reader(location)
                keeper.execute("SELECT count(*) FROM sqlite_schema").fetchall()
            finally:
                db.close(True)
            writer = Writer(lambda: open_writer(location))
            writer.start()
        except BaseException as error:
            if lock is not None:
                lock.release()
            if isinstance(error, apsw.Error):
                raise unavailable(error) from error
            raise
        return cls(location, keeper, writer, lock)

    def store(self, publish: Publish | None = None) -> SqliteStore:
        """A store for the running event loop.

        `publish` is called on this loop, after each commit of *any* store of this database: CHANGED
        for the run; QUEUED when it became queued, or when it left a place in its thread or its
        concurrency key; CANCEL_REQUESTED. So what one loop writes wakes whoever watches on another.
        """
        reader = Reader(self._location)
        return SqliteStore(reader, self._writer.add_desk(publish), self._writer.drop_desk)

    def close(self) -> None:
        """Write what was handed in, then let go of the file. Blocks until done."""
        self._writer.close()
        self._keeper.close(True)
        if self._lock is not None:
            self._lock.release()
            self._lock = None
