"""A program of before the additions lives with them: it goes on where it was open, and starts anew."""

import asyncio
import io
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from runwell.store.scripts import Schema
from runwell.store.upgrading import Place, outlook, upgrade
from tests.store.test_migrations import GOOD
from tests.support import older_program
from tests.support.postgres import a_database, a_postgres_store
from tests.support.runs import a_store

COMMIT = "9107ad99534bdd45989101d648d9afc3379975e4"
"""The last one that knew three migrations."""

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def older(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source of that commit."""
    command = ["git", "archive", COMMIT, "src/runwell"]
    try:
        archive = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"the history of this repository is not here, which has the older program ({error})")
    folder = tmp_path_factory.mktemp("older")
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        files.extractall(folder, filter="data")
    return folder / "src"


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    """A database that is not there yet, or empty."""
    if request.param == "sqlite":
        yield tmp_path / "runs.db"
        return
    with a_database(request.getfixturevalue("postgres_server")) as url:
        yield url


async def test_a_program_of_before_the_additions_lives_with_them(older: Path, place: Place) -> None:
    # One server per file: there it is stopped for the migration.
    how = "stops" if isinstance(place, Path) else "goes-on"
    program = await asyncio.create_subprocess_exec(
        *(sys.executable, older_program.__file__, str(place), how),
        env={**os.environ, "PYTHONPATH": str(older)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert program.stdout is not None
    assert await program.stdout.readline() == b"open\n", (await program.communicate())[1].decode()
    assert (await outlook(place)).schema == Schema(3, 3)
    done = [step.name for step in await upgrade(place)]
    assert [name for name in done if not name.startswith("index ")] == [step.name for step in GOOD[3:]]
    out, err = await program.communicate(b"go on\n")
    assert program.returncode == 0, err.decode()
    found = json.loads(out)
    times = 2 if how == "stops" else 3
    assert found["runs"] == ["succeeded"] * times
    assert [log[-1] for log in found["logs"]] == ["run.succeeded"] * times
    async with a_store_of(place) as store:
        runs = await store.runs.every(None, 100)
        assert [run.status.value for run in runs] == found["runs"]
        assert [[line.type for line in await store.events.read(run.id, 0, 100)] for run in runs] == found[
            "logs"
        ]
        assert await older_program.work(store) == found["logs"][0]


def a_store_of(place: Place):
    return a_store(place) if isinstance(place, Path) else a_postgres_store(place)
