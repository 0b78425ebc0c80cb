"""How connections to the file are opened: every pragma with its reason."""

from typing import Literal, NamedTuple

import apsw

Durability = Literal["full", "normal", "off"]

BUSY_TIMEOUT_MS = 5_000
"""How long a write waits for a command-line tool that writes to the same file."""

_STATEMENTS_KEPT = 128


class Location(NamedTuple):
    """The file, how hard its commits are, and the VFS it is reached through (None: the system's)."""

    path: str
    durability: Durability
    vfs: str | None


def open_writer(location: Location) -> apsw.Connection:
    """A connection that may write. Raises `apsw.Error`."""
    db = _open(location)
    # Only counts for a file that is still empty. Small pages: a commit writes whole pages to the
    # WAL, and most commits change a few hundred bytes of each.
    db.pragma("page_size", 4096)
    # Space of deleted logs is used again; giving it back would move pages inside commits.
    db.pragma("auto_vacuum", 0)
    db.pragma("journal_mode", "wal")
    # FULL syncs the WAL in every commit. NORMAL does not: it keeps the file whole, not the promise.
    db.pragma("synchronous", location.durability)
    # macOS only: its fsync returns before the drive has written.
    db.pragma("fullfsync", location.durability == "full")
    # The writer checkpoints between batches, when nobody waits for it.
    db.wal_autocheckpoint(0)
    db.pragma("cache_size", -64 * 1024)
    return db


def open_reader(location: Location) -> apsw.Connection:
    """A connection that cannot write, for one event loop. Raises `apsw.Error`."""
    db = _open(location)
    db.pragma("query_only", True)
    db.pragma("cache_size", -32 * 1024)
    return db


def _open(location: Location) -> apsw.Connection:
    flags = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
    db = apsw.Connection(location.path, flags, location.vfs, _STATEMENTS_KEPT)
    db.set_busy_timeout(BUSY_TIMEOUT_MS)
    # "x" is a column, never quietly a string.
    db.config(apsw.SQLITE_DBCONFIG_DQS_DML, 0)
    db.config(apsw.SQLITE_DBCONFIG_DQS_DDL, 0)
    # With a memory map a disk error would be a SIGBUS, which ends the process; read() reports it.
    db.pragma("mmap_size", 0)
    db.pragma("temp_store", "memory")
    # All rows of a run are written by the same few functions; checks would cost look-ups per event.
    db.pragma("foreign_keys", False)
    return db
