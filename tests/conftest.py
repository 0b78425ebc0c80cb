"""What holds for all tests: on which database they run."""

import gc
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

from tests.support.backends import BACKEND, databases, on_postgres

FLEET = "tests/e2e/fleet/"
LONG = ("tests/e2e/", "tests/browser/", "tests/store/test_differential", "tests/store/test_lifecycle")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--backend",
        choices=("sqlite", "postgres"),
        default="sqlite",
        help="the database of all tests that could run on either",
    )


def pytest_configure(config: pytest.Config) -> None:
    # Each test builds an app, of very many objects: looking through all there are for cycles each time
    # takes longer than most tests.
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
    os.environ[BACKEND] = config.getoption("--backend")


class ByFile(LoadScopeScheduling):  # type: ignore[misc]
    """The tests of a file go to one process, so that what they share is made once. Those of fleets all go to
    one: each of them is many processes.

    Not by xdist's own groups: its 3.8 marks the tests in a way that pytest 9.2 no longer looks at.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return FLEET if file.startswith(FLEET) else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFile:
    config.option.loadscopereorder = False
    return ByFile(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    # Files that take long begin early, so that no process ends long after the others.
    items.sort(key=lambda item: not item.nodeid.startswith(LONG))
    if config.getoption("--backend") != "postgres":
        return
    chosen = [item for item in items if item.get_closest_marker("sqlite") is None and _touches(item)]
    config.hook.pytest_deselected(items=[item for item in items if item not in set(chosen)])
    items[:] = chosen


def _touches(item: pytest.Item) -> bool:
    """Whether the test uses a database at all: whoever does has a folder for it."""
    return bool({"tmp_path", "tmp_path_factory"} & set(getattr(item, "fixturenames", ())))


def pytest_unconfigure() -> None:
    if databases.cache_info().currsize:
        databases().close()


@pytest.fixture(autouse=True)
def _databases(request: pytest.FixtureRequest) -> Iterator[None]:
    """What this test's paths stood for is free for the next one."""
    folder: Path | None = None
    if on_postgres() and "tmp_path" in request.fixturenames:
        folder = request.getfixturevalue("tmp_path")
    yield
    if folder is not None:
        databases().give_back(folder)


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[str]:
    """The URL of a PostgreSQL database with all tables and nothing in them, for machines that share it."""
    yield databases().of(tmp_path / "fleet")
    databases().give_back(tmp_path)
