"""One server per file: an OS lock that dies with its process, whatever way that ends."""

import fcntl
import os
from pathlib import Path

from runwell.domain.errors import StoreUnavailable


class Served(StoreUnavailable):
    """Another process has the lock: it serves the file."""


class ServingLock:
    """Holds `<path>.lock`. The file stays; only the lock on it counts, and the pid in it is for people."""

    def __init__(self, database: Path) -> None:
        path = database.with_name(database.name + ".lock")
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreUnavailable(
                f"{path} cannot be written: {error.strerror}", "Check the path, and the rights on its folder."
            ) from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(self._file, 32, 0).decode("ascii", "replace").strip()
            os.close(self._file)
            raise Served(
                f"{database} is already served by process {holder or 'unknown'}",
                "Stop that server, or give this one another file: one server per SQLite file.",
            ) from error
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, f"{os.getpid()}\n".encode("ascii"), 0)

    def release(self) -> None:
        os.close(self._file)
