"""Reading on the event loop: one connection, point reads in microseconds, never awaited."""

import contextlib
from collections.abc import Iterator

import apsw

from runwell.domain.errors import StoreUnavailable
from runwell.store.sqlite.connections import Location, open_reader
from runwell.store.sqlite.failures import unavailable
from runwell.store.sqlite.rows import Row


class Reader:
    """Every method reads all it needs and lets go: a read that stays open would pin the WAL.

    Raises `StoreUnavailable`, never an error of SQLite.
    """

    def __init__(self, location: Location) -> None:
        self._location = location
        try:
            self._db = open_reader(location)
        except apsw.Error as error:
            raise unavailable(error) from error

    def one(self, sql: str, values: Row = ()) -> Row | None:
        """The first row, or None."""
        try:
            # The cursor dies with this line, and with it the read.
            row: Row | None = self._db.execute(sql, values).fetchone()
        except apsw.Error as error:
            raise self._failed(error) from error
        return row

    def all(self, sql: str, values: Row = ()) -> list[Row]:
        try:
            rows: list[Row] = self._db.execute(sql, values).fetchall()
        except apsw.Error as error:
            raise self._failed(error) from error
        return rows

    def each(self, sql: str, values: Row = ()) -> Iterator[Row]:
        """Row by row, for whoever stops early. Only inside `snapshot`."""
        cursor = self._db.execute(sql, values)
        try:
            yield from cursor
        finally:
            cursor.close(True)

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[None]:
        """All reads inside see the same moment."""
        try:
            self._db.execute("BEGIN")
            try:
                yield
            finally:
                self._db.execute("COMMIT")
        except apsw.Error as error:
            raise self._failed(error) from error

    def close(self) -> None:
        self._db.close(True)

    def _failed(self, error: apsw.Error) -> StoreUnavailable:
        """After an I/O error, start again with a fresh connection; keep the old one if there is none."""
        if not isinstance(error, apsw.ConnectionClosedError):
            with contextlib.suppress(apsw.Error):
                fresh, old = open_reader(self._location), self._db
                self._db = fresh
                old.close(True)
        return unavailable(error)
