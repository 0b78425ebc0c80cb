"""All that is in a file, table by table, in the columns that PostgreSQL keeps it in."""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apsw

from runwell.domain.errors import StoreUnavailable
from runwell.store.batches import Batch, Row
from runwell.store.rows import step_digest
from runwell.store.scripts import Schema
from runwell.store.sqlite.connections import Location, open_writer
from runwell.store.sqlite.failures import unavailable
from runwell.store.sqlite.lock import Served, ServingLock
from runwell.store.sqlite.migrations import schema_of
from runwell.store.sqlite.rows import LAST_SEQ, MAX_SEQ, SEQ_BITS

COLUMNS = {
    # A text-only commit leaves the row as it was; PostgreSQL counts on from this number.
    ("runs", "last_seq"): LAST_SEQ,
    ("events", "run_pk"): f"key >> {SEQ_BITS}",
    ("events", "seq"): f"key & {MAX_SEQ}",
    ("messages", "thread_pk"): f"key >> {SEQ_BITS}",
    ("messages", "position"): f"key & {MAX_SEQ}",
    ("steps", "digest"): "step_digest(key)",
}
"""What stands for a column, where it is not the column of that name."""


class FileExport:
    """A file that nobody serves and nobody writes to, for as long as this is open. Nothing in it is changed.

    Raises `StoreUnavailable` when there is none, or another process serves it.
    """

    def __init__(self, path: Path) -> None:
        if not path.exists():
            raise StoreUnavailable(f"There is no database {path}", "Check the path.")
        path = path.absolute()
        self._lock = _locked(path)
        try:
            with _failures():
                self._db = open_writer(Location(str(path), "full", None))
                # Holds off tools that would write what is then left behind.
                self._db.execute("BEGIN IMMEDIATE")
                self._db.create_scalar_function("step_digest", _step_digest, 1, deterministic=True)
        except BaseException:
            self._lock.release()
            raise

    async def schema(self) -> Schema:
        with _failures():
            return schema_of(self._db)

    async def count(self, table: str) -> int:
        with _failures():
            return int(self._db.execute(f"SELECT count(*) FROM {table}").get)

    async def batches(self, table: str, columns: Sequence[str]) -> AsyncIterator[list[Row]]:
        wanted = ", ".join(COLUMNS.get((table, column), column) for column in columns)
        batch = Batch()
        with _failures():
            for row in self._db.execute(f"SELECT {wanted} FROM {table}"):
                if full := batch.add(row):
                    yield full
        yield batch.rest()

    def close(self) -> None:
        self._db.execute("ROLLBACK")
        self._db.close(True)
        self._lock.release()


def _step_digest(*values: Any) -> bytes:
    (key,) = values
    return step_digest(key)


def _locked(path: Path) -> ServingLock:
    try:
        return ServingLock(path)
    except Served as error:
        raise StoreUnavailable(
            error.message, "Stop that server first: what it writes meanwhile would be left behind."
        ) from error


@contextmanager
def _failures() -> Iterator[None]:
    try:
        yield
    except apsw.Error as error:
        raise unavailable(error) from error
