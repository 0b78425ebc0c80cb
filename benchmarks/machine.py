"""What the figures were taken on."""

import os
import platform
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median

import apsw
import msgspec

_SYNCS = 200


class Machine(msgspec.Struct, frozen=True):
    """`memory` is bytes; `sync` is the median of what writing 4 KiB and `fdatasync` takes, in µs."""

    processor: str
    cores: int
    memory: int
    kernel: str
    filesystem: str
    sync: float
    python: str
    sqlite: str
    uvicorn: str
    uvloop: str
    date: str


def look(folder: Path) -> Machine:
    """This machine, and the disk behind `folder`."""
    return Machine(
        processor=_processor(),
        cores=len(os.sched_getaffinity(0)),
        memory=os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
        kernel=f"{platform.system()} {platform.release().partition('-')[0]}",
        filesystem=_filesystem(folder),
        sync=_sync(folder),
        python=platform.python_version(),
        sqlite=apsw.sqlite_lib_version(),
        uvicorn=version("uvicorn"),
        uvloop=version("uvloop"),
        date=datetime.now(UTC).strftime("%Y-%m-%d"),
    )


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _filesystem(folder: Path) -> str:
    """The type of the mount that the folder is on: the one with the longest path above it."""
    best, kind = "", "unknown"
    for line in Path("/proc/mounts").read_text().splitlines():
        _, mount, name, *_ = line.split()
        if folder.resolve().is_relative_to(mount) and len(mount) > len(best):
            best, kind = mount, name
    return kind


def _sync(folder: Path) -> float:
    path = folder / "sync.probe"
    took = []
    with path.open("wb", buffering=0) as file:
        for _ in range(_SYNCS):
            began = time.perf_counter()
            file.write(b"x" * 4096)
            os.fdatasync(file.fileno())
            took.append(time.perf_counter() - began)
    path.unlink()
    return median(took) * 1e6
