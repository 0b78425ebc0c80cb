"""The stores that the conformance suite runs on. A backend is one more parameter here."""

import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from runwell.ports.store import Store
from tests.support.backends import databases
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


@pytest.fixture(scope="session")
def postgres_server() -> str:
    """The URL of a PostgreSQL server, started when it is first asked for."""
    return databases().server()


@pytest.fixture(scope="session")
def kept_postgres(postgres_server: str) -> Iterator[str]:
    """The URL of a database that the tests of this process use one after the other."""
    from tests.support.postgres import a_database

    with a_database(postgres_server) as url:
        yield url


@pytest.fixture
async def postgres(kept_postgres: str) -> str:
    """The URL of a database with our schema and nothing in it."""
    from tests.support.postgres import empty

    await empty(kept_postgres)
    return kept_postgres


BACKENDS = ["sqlite-in-memory", "sqlite-on-disk", pytest.param("postgres", marks=pytest.mark.postgres)]


@pytest.fixture(params=BACKENDS)
async def store(request: pytest.FixtureRequest, fast_folder: Path, tmp_path: Path) -> AsyncIterator[Store]:
    if request.param == "postgres":
        from tests.support.postgres import a_postgres_store, empty

        url = request.getfixturevalue("kept_postgres")
        await empty(url)
        opened = a_postgres_store(url, hears=True)
    elif request.param == "sqlite-in-memory":
        opened = a_store(fast_folder / "runs.db", hears=True, durability="off")
    else:
        opened = a_store(tmp_path / "runs.db", durability="full")
    async with opened as store:
        yield store
