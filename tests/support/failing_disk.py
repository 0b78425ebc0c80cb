"""A disk that can be told to fail, and that counts its syncs: a VFS between SQLite and the system's."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import apsw


class FailingDisk(apsw.VFS):
    """Open databases with `vfs=disk.name`. While `full`, writes to the WAL or the file fail as on a
    full disk; while `broken`, syncs fail. `syncs` counts those of the WAL: one per transaction."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.full = False
        self.broken = False
        self.unreadable = False
        self.syncs = 0
        super().__init__(name, "")

    def xOpen(self, name: Any, flags: list[int]) -> "FailingFile":
        return FailingFile(self, name, flags)

    @contextmanager
    def being(self, **fault: bool) -> Iterator[None]:
        """`with disk.being(full=True)`: so it is inside, and is not after."""
        for name, value in fault.items():
            setattr(self, name, value)
        try:
            yield
        finally:
            for name in fault:
                setattr(self, name, False)


class FailingFile(apsw.VFSFile):
    def __init__(self, disk: FailingDisk, name: Any, flags: list[int]) -> None:
        self._disk = disk
        self._is_wal = bool(flags[0] & apsw.SQLITE_OPEN_WAL)
        super().__init__("", name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:
        if self._disk.full:
            raise apsw.FullError("no space left")
        super().xWrite(data, offset)

    def xRead(self, amount: int, offset: int) -> bytes:
        if self._disk.unreadable:
            raise apsw.IOError("cannot read")
        return super().xRead(amount, offset)

    def xSync(self, flags: int) -> None:
        self._disk.syncs += self._is_wal
        if self._disk.broken:
            raise apsw.IOError("the sync failed")
        super().xSync(flags)
