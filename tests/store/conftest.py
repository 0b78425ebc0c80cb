"""The stores that the conformance suite runs on. A backend is one more parameter here."""

import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from runwell.ports.store import Store
from tests.support.runs import a_store

MEMORY = Path("/dev/shm")


@pytest.fixture
def fast_folder(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory where the system has one, else on disk."""
    if not MEMORY.is_dir():
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        yield Path(folder)


@pytest.fixture(params=["sqlite-in-memory", "sqlite-on-disk"])
async def store(request: pytest.FixtureRequest, fast_folder: Path, tmp_path: Path) -> AsyncIterator[Store]:
    if request.param == "sqlite-in-memory":
        opened = a_store(fast_folder / "runs.db", hears=True, durability="off")
    else:
        opened = a_store(tmp_path / "runs.db", durability="full")
    async with opened as store:
        yield store
