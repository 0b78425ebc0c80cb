"""What SQLite says went wrong, in words for whoever runs the server."""

import apsw

from runwell.domain.errors import StoreUnavailable

DATABASE_FAILURES = (
    apsw.FullError,
    apsw.IOError,
    apsw.CorruptError,
    apsw.NotADBError,
    apsw.ReadOnlyError,
    apsw.CantOpenError,
    apsw.BusyError,
    apsw.LockedError,
    apsw.NoMemError,
    apsw.ProtocolError,
    apsw.PermissionsError,
    apsw.ConnectionClosedError,
)
"""The database could not do it, whatever was asked. Anything else is the fault of one statement."""

_HINTS: tuple[tuple[type[Exception], str, str], ...] = (
    (apsw.FullError, "the disk is full", "Free space on its volume; the server goes on by itself."),
    (apsw.CorruptError, "the file is damaged", "Stop the server and restore the file from a backup."),
    (apsw.NotADBError, "the file is no database", "Check the path in RUNWELL_DB."),
    (apsw.ReadOnlyError, "the file cannot be written", "Check the rights on the file and its folder."),
    (apsw.CantOpenError, "the file cannot be opened", "Check the path, and the rights on its folder."),
    (apsw.PermissionsError, "access was denied", "Check the rights on the file and its folder."),
    (apsw.BusyError, "another process holds its write lock", "Find and stop that process."),
    (apsw.ConnectionClosedError, "the store was closed", "The server is shutting down; ask again after it."),
    (apsw.IOError, "reading or writing the disk failed", "Check the disk and the system's log."),
)


def unavailable(error: Exception) -> StoreUnavailable:
    """The fact for the caller: nothing of the call has happened."""
    for kind, cause, hint in _HINTS:
        if isinstance(error, kind):
            return StoreUnavailable(f"The database failed: {cause} ({error})", hint)
    return StoreUnavailable(f"The database failed: {error}", "See the server's log.")
