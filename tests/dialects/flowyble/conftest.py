"""A server without a worker, in local mode, with tools beside its agents."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.dialects.flowyble.agents import AGENTS
from tests.support.house import House, a_house


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with a_house(tmp_path, agents=AGENTS) as house:
        yield house


@pytest.fixture
async def keyed(tmp_path: Path) -> AsyncIterator[House]:
    """One that wants a key."""
    async with a_house(tmp_path, local_mode=False, agents=AGENTS) as house:
        yield house
