"""One fleet for all tests of this folder; each leaves it whole."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.support.live_fleet import Fleet
from tests.support.receiver import Receiver

ROLES = {"a": "server", "b": "api", "c": "worker", "d": "worker"}
AGENTS = Path(__file__).with_name("agents.py")


@pytest.fixture(scope="package")
def whole_fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    folder = tmp_path_factory.mktemp("fleet")
    settings = {"RUNWELL_CALLBACKS_ALLOW": "127.0.0.1", "RUNWELL_MAX_STREAMS": "3000"}
    with Fleet(folder, AGENTS, ROLES, settings) as fleet:
        yield fleet


@pytest.fixture
async def fleet(whole_fleet: Fleet) -> AsyncIterator[Fleet]:
    yield whole_fleet
    await whole_fleet.heal()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as receiver:
        yield receiver
